/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-hold.h"

#include "base/log.h"
#include "daemon/act.h"
#include "daemon/changes-internal.h"
#include "daemon/changes-view.h"
#include "daemon/run-id.h"
#include "govern/approval.h"
#include "wire/held.h"

#include <sodium.h>
#include <string.h>
#include <sys/file.h>

#define DIGEST_DOMAIN "berm held commit 1"
#define LINES_BYTES 6000 /* of a question, so that a terminal shows it whole */
#define RECORD_TIMEOUT_MS 5000

/* ---- what is kept for the commit ---- */

static bool asks_about_commits(const Berm__Wire__Approvals *rules)
{
	bool asks = rules && rules->on & HELD_COMMIT;

	for (size_t i = 0; rules && i < rules->n_gates; i++)
		asks = asks || rules->gates[i]->on & HELD_COMMIT;
	return asks;
}

static Berm__Wire__Approvals *copy_rules(const Berm__Wire__Approvals *rules)
{
	size_t length = berm__wire__approvals__get_packed_size(rules);
	autofree uint8_t *packed = malloc(length + 1);

	if (!packed)
		return NULL;
	berm__wire__approvals__pack(rules, packed);
	return berm__wire__approvals__unpack(NULL, length, packed);
}

static bool set_words(char **field, const char *words)
{
	*field = strdup(words ? words : "");
	return *field;
}

static bool set_digest(ProtobufCBinaryData *field, const ProtobufCBinaryData *digest)
{
	field->data = malloc(digest->len + 1);
	if (!field->data)
		return false;
	field->len = digest->len;
	if (digest->len)
		memcpy(field->data, digest->data, digest->len);
	return true;
}

int changes_hold_keep(const struct session *session, Berm__Wire__ChangeHead *head)
{
	const Berm__Wire__Agent *agent = session_agent(session);
	Berm__Wire__ChangeHold *hold;
	char asker[32];

	if (!asks_about_commits(session->plan->approvals))
		return 0;
	hold = head->hold = malloc(sizeof(*hold));
	if (!hold)
		return -ENOMEM;
	berm__wire__change_hold__init(hold);
	snprintf(asker, sizeof(asker), "uid %u", (unsigned)session->caller.uid);
	hold->uid = session->caller.uid;
	hold->judge_uid = session->agent_run ? geteuid() : session->caller.uid;
	hold->judge_gid = session->agent_run ? getegid() : session->caller.gid;
	hold->rules = copy_rules(session->plan->approvals);
	if (!hold->rules || !set_words(&hold->asker, agent ? agent->id : asker) ||
		!set_words(&hold->agent, agent ? agent->name : "") ||
		!set_words(&hold->group, agent ? agent->group : "") ||
		!set_words(&hold->task, session->request->task) ||
		!set_words(&hold->user, session->caller.name) ||
		!set_digest(&hold->profile_digest, &session->plan->profile_digest))
		return -ENOMEM;
	return 0;
}

bool changes_is_held(const struct change_set *set)
{
	return set->head && set->head->hold && set->manifest &&
	       asks_about_commits(set->head->hold->rules);
}

/* ---- what is shown ---- */

static void put_counts(const Berm__Wire__ChangeManifest *m, struct text *out)
{
	for (Berm__Wire__ChangeKind kind = BERM__WIRE__CHANGE_KIND__CHANGE_CREATE;
		kind <= BERM__WIRE__CHANGE_KIND__CHANGE_LEFT_OUT; kind++) {
		size_t count = 0;

		for (size_t i = 0; i < m->n_changes; i++)
			count += m->changes[i]->kind == kind;
		if (count)
			text_printf(out, ", %s %zu", changes_kind_word(kind), count);
	}
}

/* The digest is of the whole list, also where not all of it is shown here. */
static void put_details(
	const struct change_set *set, const char *digest, const char *lines, struct text *out)
{
	size_t start, left = 0;

	text_printf(out, "list %s", digest);
	put_counts(set->manifest, out);
	text_puts(out, "\n");
	start = out->length;
	while (*lines) {
		size_t length = strcspn(lines, "\n");

		if (left || out->length - start + length > LINES_BYTES)
			left++;
		else
			text_printf(out, "%.*s\n", (int)length, lines);
		lines += length + (lines[length] == '\n');
	}
	if (left)
		text_printf(out, "%zu more lines: berm changes show --diff %s\n", left, set->run);
}

static void add(crypto_generichash_state *state, const void *bytes, size_t length)
{
	uint64_t size = length;

	crypto_generichash_update(state, (const unsigned char *)&size, sizeof(size));
	if (length)
		crypto_generichash_update(state, bytes, length);
}

static void make_digest(const struct change_set *set, const char *list,
	const Berm__Wire__ApprovalRequest *shown, uint8_t digest[APPROVAL_DIGEST_BYTES])
{
	const Berm__Wire__ChangeHead *head = set->head;
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, APPROVAL_DIGEST_BYTES);
	add(&state, DIGEST_DOMAIN, sizeof(DIGEST_DOMAIN));
	add(&state, set->run, strlen(set->run));
	add(&state, list, strlen(list));
	add(&state, head->workspace.data, head->workspace.len);
	add(&state, &head->ino, sizeof(head->ino));
	add(&state, head->plan_digest.data, head->plan_digest.len);
	add(&state, shown->asker, strlen(shown->asker));
	add(&state, shown->agent, strlen(shown->agent));
	add(&state, shown->group, strlen(shown->group));
	add(&state, shown->task, strlen(shown->task));
	add(&state, shown->details.data, shown->details.len);
	crypto_generichash_final(&state, digest, APPROVAL_DIGEST_BYTES);
}

struct asking {
	const char *state;
	struct change_set *set;
	Berm__Wire__ApprovalRequest shown; /* all of it borrowed */
	ProtobufCBinaryData word;          /* the run */
	uint8_t digest[APPROVAL_DIGEST_BYTES];
	char list[CHANGES_DIGEST_HEX];
	struct text details;
	struct hold_answers answers;
};

static ProtobufCBinaryData bytes_of(const char *string)
{
	return (ProtobufCBinaryData){strlen(string), (uint8_t *)(uintptr_t)string};
}

static int fill(struct asking *a, const struct changes_shown *said)
{
	const Berm__Wire__ChangeHead *head = a->set->head;
	Berm__Wire__ApprovalRequest *shown = &a->shown;

	berm__wire__approval_request__init(shown);
	if (changes_digest(a->set, a->list) < 0)
		return -ENOMEM;
	put_details(a->set, a->list, said->lines, &a->details);
	if (a->details.failed)
		return -ENOMEM;
	a->word = bytes_of(a->set->run);
	shown->on = HELD_COMMIT;
	shown->asker = head->hold->asker;
	shown->agent = head->hold->agent;
	shown->group = head->hold->group;
	shown->task = head->hold->task;
	shown->profile = head->profile;
	shown->profile_digest = head->hold->profile_digest;
	shown->argv = &a->word;
	shown->n_argv = 1;
	shown->directory = bytes_of(changes_path(&head->workspace));
	shown->uid = head->hold->uid;
	shown->user = head->hold->user;
	shown->details = bytes_of(text_string(&a->details));
	make_digest(a->set, a->list, shown, a->digest);
	shown->digest = (ProtobufCBinaryData){APPROVAL_DIGEST_BYTES, a->digest};
	return 0;
}

/* ---- the hold ---- */

static int record(const struct asking *a, struct error *err)
{
	size_t count = a->answers.count;
	autofree Berm__Wire__Approval *bodies = calloc(count + 1, sizeof(*bodies));
	autofree Berm__Wire__Record *records = calloc(count + 1, sizeof(*records));
	autofree const Berm__Wire__Record **list = calloc(count + 1, sizeof(*list));
	const Berm__Wire__ChangeHold *hold = a->set->head->hold;
	const struct act act = {.state = a->state,
		.agent = *hold->agent ? hold->asker : NULL,
		.group = *hold->group ? hold->group : NULL,
		.records = list,
		.count = count};

	if (!bodies || !records || !list)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	for (size_t i = 0; i < count; i++) {
		hold_record(&a->answers.items[i], &a->shown, &a->word, &bodies[i]);
		berm__wire__record__init(&records[i]);
		records[i].body_case = BERM__WIRE__RECORD__BODY_APPROVAL;
		records[i].approval = &bodies[i];
		list[i] = &records[i];
	}
	return count ? act_record(&act, RECORD_TIMEOUT_MS, err) : 0;
}

static int check_conflicts(struct change_set *set, struct error *err)
{
	autotext struct text lines = {0};
	int r = changes_conflicts(set, &lines, err);

	if (r < 0 || (!lines.failed && !lines.length))
		return r;
	return error_set(err, -EBUSY, ERROR_REFUSED, "something is in the way: %.*s",
		(int)strcspn(text_string(&lines), "\n"), text_string(&lines));
}

static int ask(struct asking *a, const struct changes_shown *said, struct error *err)
{
	const Berm__Wire__ChangeHold *hold_ = a->set->head->hold;
	struct error unrecorded = {0};
	char waiter[RUN_ID_LENGTH + 1];
	int r = run_id_make(waiter, err);
	const struct hold_question question = {.state = a->state,
		.rules = hold_->rules,
		.run = a->set->run,
		.waiter = waiter,
		.changes = said->json,
		.shown = &a->shown,
		.client_fd = -1,
		.uid = hold_->judge_uid,
		.gid = hold_->judge_gid};

	if (r < 0)
		return r;
	if (flock(a->set->fd, LOCK_UN) < 0)
		return error_errno(err, "unlock the change set");
	r = hold(&question, &a->answers, err);
	if (record(a, &unrecorded) == 0)
		return r;
	log_line("changes commit: who was asked is not recorded: %s", unrecorded.text);
	return r < 0 ? r
		     : error_set(err, -EIO, ERROR_INTERNAL,
			       "nothing is kept that nobody is known to have approved");
}

int changes_hold(const char *state, struct change_set *set, const struct changes_shown *shown,
	struct error *err)
{
	autofree struct asking *a = calloc(1, sizeof(*a));
	int r = check_conflicts(set, err);

	if (r < 0)
		return r;
	if (!a)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	a->state = state;
	a->set = set;
	r = fill(a, shown);
	r = r < 0 ? error_set(err, r, ERROR_INTERNAL, "out of memory") : ask(a, shown, err);
	text_finish(&a->details);
	return r;
}
