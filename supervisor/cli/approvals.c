/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/caller.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/verb.h"
#include "daemon/hold.h"
#include "daemon/places.h"
#include "daemon/requests.h"
#include "wire/held.h"

#include <sodium.h>
#include <string.h>

#define LINE_BYTES 1000
#define WORDS_BYTES 200

struct approvals_options {
	bool json, all;
	uint64_t waiting;
	const char *reason;
	const char *state_dir;
};

#define at(field) offsetof(struct approvals_options, field)

/* clang-format off */
static const struct option_spec list_specs[] = {
	{"all", 0, OPTION_FLAG, at(all), NULL, NULL, "those that are over too"},
	{"json", 0, OPTION_FLAG, at(json), NULL, NULL, "one JSON object instead of lines"},
	{"state-dir", 0, OPTION_TEXT, at(state_dir), "DIR", "BERM_STATE_DIR", "where berm keeps its state"},
};
static const struct option_spec approve_specs[] = {
	{"waiting", 0, OPTION_NUMBER, at(waiting), "N", NULL, "so many runs were seen waiting for it: these may start"},
	{"reason", 0, OPTION_TEXT, at(reason), "TEXT", NULL, "why, for the record and for who asked"},
	{"state-dir", 0, OPTION_TEXT, at(state_dir), "DIR", "BERM_STATE_DIR", "where berm keeps its state"},
};
static const struct option_spec deny_specs[] = {
	{"reason", 0, OPTION_TEXT, at(reason), "TEXT", NULL, "why, for the record and for who asked"},
	{"state-dir", 0, OPTION_TEXT, at(state_dir), "DIR", "BERM_STATE_DIR", "where berm keeps its state"},
};
/* clang-format on */

static int open_place(
	const struct approvals_options *options, struct requests *ret_requests, struct error *err)
{
	const struct places_request wanted = {.state_dir = options->state_dir};
	struct places places = {0};
	struct caller caller;
	int r;

	caller_identify(&caller);
	r = places_find(&caller, &wanted, &places, err);
	if (r < 0)
		return r;
	r = places.state ? requests_open(places.state, false, ret_requests, err)
			 : error_set(err, -ENOENT, ERROR_INTERNAL,
				   "no state directory is known, since there is no home directory");
	places_finish(&places);
	return r;
}

/* ---- berm approvals ---- */

static void put(struct text *out, const char *before, const char *words)
{
	if (!words[0])
		return;
	text_puts(out, before);
	text_escape(out, words, strlen(words), WORDS_BYTES);
}

static void put_lines(
	const Berm__Wire__ApprovalRequest *r, const struct agent_now *now, struct text *out)
{
	enum approval_state state = approval_state(r, now);
	unsigned waiting = approval_waiting(r, now);

	text_printf(out, "%s  %s", r->id, approval_state_name(state));
	if (state == APPROVAL_PENDING)
		text_printf(out, ", %llu s left",
			(unsigned long long)((approval_left_ms(r, now) + 999) / 1000));
	if (waiting > 1)
		text_printf(out, ", %u wait for it", waiting);
	put(out, ", by ", r->by);
	put(out, ": ", r->reason);
	text_printf(out, "\n    %s", hold_moment(r->on));
	put(out, "  profile ", r->profile);
	put(out, "  agent ", r->agent);
	put(out, "  group ", r->group);
	put(out, "  task ", r->task);
	put(out, "  user ", r->user);
	put(out, "\n    because ", r->why);
	text_puts(out, "\n    in ");
	text_escape(out, (const char *)r->directory.data, r->directory.len, WORDS_BYTES);
	text_puts(out, ": ");
	if (!hold_line(r, LINE_BYTES, out))
		text_puts(out, "\n    that is not all of it (--json)");
	if (!hold_details(r, "\n    ", out))
		text_puts(out, "\n    these lines are not all of it (--json)");
	text_puts(out, "\n");
	if (!(r->channels & APPROVAL_SOCKET))
		text_puts(out, "    not to be answered here (approvals.channels)\n");
}

static void put_object(
	const Berm__Wire__ApprovalRequest *r, const struct agent_now *now, struct json *j)
{
	char hex[2 * APPROVAL_DIGEST_BYTES + 1];

	json_object_begin(j, NULL);
	json_put_string(j, "id", r->id);
	json_put_string(j, "state", approval_state_name(approval_state(r, now)));
	json_put_string(j, "on", hold_moment(r->on));
	json_put_u64(j, "left_ms", approval_left_ms(r, now));
	json_put_u64(j, "waiting", approval_waiting(r, now));
	json_put_string(j, "profile", r->profile);
	json_put_string(j, "agent", r->agent[0] ? r->agent : NULL);
	json_put_string(j, "group", r->group[0] ? r->group : NULL);
	json_put_string(j, "task", r->task[0] ? r->task : NULL);
	hold_json_chain(r, j);
	json_put_u64(j, "uid", r->uid);
	json_put_string(j, "why", r->why[0] ? r->why : NULL);
	json_array_begin(j, "argv");
	for (size_t i = 0; i < r->n_argv; i++)
		json_put_string_n(j, NULL, (const char *)r->argv[i].data, r->argv[i].len);
	json_array_end(j);
	json_put_string_n(j, "directory", (const char *)r->directory.data, r->directory.len);
	json_put_string_n(j, "details", (const char *)r->details.data, r->details.len);
	json_put_string(j, "by", r->by[0] ? r->by : NULL);
	json_put_string(j, "channel", r->channel[0] ? r->channel : NULL);
	json_put_string(j, "reason", r->reason[0] ? r->reason : NULL);
	json_put_string(j, "digest",
		sodium_bin2hex(hex, sizeof(hex), r->digest.data, APPROVAL_DIGEST_BYTES));
	json_object_end(j);
}

/* What nobody can read is open to nobody, and its run is refused. */
static void put_damaged(const struct requests_list *list, struct json *j, struct text *out)
{
	if (j)
		json_array_begin(j, "damaged");
	for (size_t i = 0; i < list->damaged_count; i++) {
		if (j) {
			json_put_string(j, NULL, list->damaged[i]);
			continue;
		}
		put(out, "", list->damaged[i]);
		text_puts(out, "  damaged: it lets nothing start\n");
	}
	if (j)
		json_array_end(j);
}

static int put_all(const struct requests *requests, const struct approvals_options *options,
	struct text *out, struct error *err)
{
	autolist struct requests_list list = {0};
	struct agent_now now = {0};
	struct json j = {.out = out};
	int r = agents_now(&now, err);

	if (r == 0 && requests->dir_fd >= 0)
		r = requests_list(requests, &list, err);
	if (r < 0)
		return r;
	if (options->json) {
		json_object_begin(&j, NULL);
		json_array_begin(&j, "approvals");
	}
	for (size_t i = 0; i < list.count; i++) {
		const Berm__Wire__ApprovalRequest *request = list.items[i];

		if (!options->all && approval_state(request, &now) != APPROVAL_PENDING)
			continue;
		if (options->json)
			put_object(request, &now, &j);
		else
			put_lines(request, &now, out);
	}
	if (options->json)
		json_array_end(&j);
	put_damaged(&list, options->json ? &j : NULL, out);
	if (options->json) {
		json_object_end(&j);
		text_puts(out, "\n");
	}
	return 0;
}

static int list_verb(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct approvals_options *options = values;
	autorequests struct requests requests = REQUESTS_NONE;
	autotext struct text out = {0};
	struct error err = {0};
	int r;

	if (argc > 0)
		return verb_misused(verb, "takes no words: %s", argv[0]);
	r = open_place(options, &requests, &err);
	if (r == 0 || r == -ENOENT)
		r = put_all(&requests, options, &out, &err);
	return r < 0 ? verb_failed(verb, &err) : verb_print(&out, CLI_GOOD);
}

/* ---- berm approve, berm deny ---- */

static int answer(const struct verb *verb, const void *values, int argc, char **argv, bool yes)
{
	const struct approvals_options *options = values;
	autorequests struct requests requests = REQUESTS_NONE;
	autorequest Berm__Wire__ApprovalRequest *request = NULL;
	autotext struct text line = {0};
	struct requests_answer given = {.yes = yes, .channel = APPROVAL_SOCKET};
	char who[CALLER_NAME_MAX + 32];
	struct error err = {0};
	struct caller caller;
	int r;

	if (argc != 1)
		return verb_misused(verb, "one question, by the beginning of its id");
	if (options->reason && strlen(options->reason) > APPROVAL_WORDS_MAX)
		return verb_misused(verb, "--reason: at most %d bytes", APPROVAL_WORDS_MAX);
	if (options->waiting > APPROVAL_WAITERS_MAX)
		return verb_misused(verb, "--waiting: at most %d", APPROVAL_WAITERS_MAX);
	caller_identify(&caller);
	if (caller.name[0])
		snprintf(who, sizeof(who), "%s", caller.name);
	else
		snprintf(who, sizeof(who), "uid %u", (unsigned)caller.uid);
	given.id = argv[0];
	given.who = who;
	given.waiting = (unsigned)options->waiting;
	given.reason = options->reason ? options->reason : "";
	r = open_place(options, &requests, &err);
	if (r == 0)
		r = requests_answer(&requests, &given, &request, &err);
	if (r < 0 || !request)
		return verb_failed(verb, &err);
	(void)hold_line(request, LINE_BYTES, &line);
	log_line("%s %s: %s", yes ? "approved" : "denied", request->id, text_string(&line));
	return CLI_GOOD;
}

static int approve_verb(const struct verb *verb, const void *values, int argc, char **argv)
{
	return answer(verb, values, argc, argv, true);
}

static int deny_verb(const struct verb *verb, const void *values, int argc, char **argv)
{
	return answer(verb, values, argc, argv, false);
}

#define TABLE(specs_)                                                                              \
	{                                                                                          \
		.specs = (specs_), .count = array_size(specs_),                                    \
		.size = sizeof(struct approvals_options)                                           \
	}

const struct verb verb_approvals = {
	.name = "approvals",
	.summary = "List what is held until a person says yes or no",
	.usage = "[--all] [--json]",
	.details = "What nobody answers in time is denied. See docs/approvals.md.",
	.options = TABLE(list_specs),
	.function = list_verb,
};

const struct verb verb_approve = {
	.name = "approve",
	.summary = "Let go on what is held",
	.usage = "[--waiting N] [--reason TEXT] ID",
	.details =
		"The answer is for the runs that were seen waiting and for nothing else: the same "
		"command asks again\nthe next time. Where several wait, --waiting says for how "
		"many the answer is; who joined later\nasks anew. ID is what \"berm approvals\" "
		"shows, or how it begins (4 letters at least).\n"
		"Exit: 0 it goes on, 1 it is over or not to be answered here, 2 no such question.",
	.options = TABLE(approve_specs),
	.function = approve_verb,
};

const struct verb verb_deny = {
	.name = "deny",
	.summary = "Refuse what is held",
	.usage = "[--reason TEXT] ID",
	.details = "ID is what \"berm approvals\" shows, or how it begins.\n"
		   "Exit: 0 it is refused, 1 it is over or not to be answered here, 2 no such "
		   "question.",
	.options = TABLE(deny_specs),
	.function = deny_verb,
};
