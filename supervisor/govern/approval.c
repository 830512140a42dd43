/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/approval.h"

#include "govern/delegation.h"
#include "wire/held.h"

#include <string.h>

const char *approval_state_name(enum approval_state state)
{
	static const char *const names[APPROVAL_STATE_COUNT] = {
		[APPROVAL_PENDING] = "pending",
		[APPROVAL_APPROVED] = "approved",
		[APPROVAL_DENIED] = "denied",
		[APPROVAL_EXPIRED] = "expired",
		[APPROVAL_WITHDRAWN] = "withdrawn",
		[APPROVAL_ANEW] = "asked anew",
	};

	return state < APPROVAL_STATE_COUNT ? names[state] : "";
}

static const char *wrong_with(const Berm__Wire__ApprovalRequest *r)
{
	const unsigned channels = APPROVAL_TERMINAL | APPROVAL_EXEC | APPROVAL_SOCKET;

	if (r->version != APPROVAL_VERSION)
		return "another version";
	if (!r->id[0] || strlen(r->id) > APPROVAL_ID_MAX || strchr(r->id, '/'))
		return "no id";
	if (r->digest.len != APPROVAL_DIGEST_BYTES || r->boot_id.len != AGENT_BOOT_ID_BYTES)
		return "a digest that is none";
	if (r->on != HELD_RUN && r->on != HELD_COMMIT && r->on != HELD_WRITE)
		return "it holds nothing";
	if (r->channels & ~channels)
		return "an unknown way to answer";
	if (r->n_waiters == 0 || r->n_waiters > APPROVAL_WAITERS_MAX)
		return "nobody, or too many, who wait";
	if (r->n_delegated_by > DELEGATION_HOPS_MAX)
		return "a chain that is too long";
	if (r->verdict > BERM__WIRE__APPROVAL_VERDICT__APPROVAL_VERDICT_NO)
		return "an unknown verdict";
	if (r->verdict && r->answered_boot_ms < r->asked_boot_ms)
		return "an answer from before the question";
	if (r->answered_waiters > r->n_waiters || !r->verdict != !r->answered_waiters)
		return "an answer for nobody, or for more than there are";
	for (size_t i = 0; i < r->n_waiters; i++)
		if (!r->waiters[i]->run[0] ||
			r->waiters[i]->until_boot_ms < r->waiters[i]->asked_boot_ms)
			return "a run that waits for nothing";
	return NULL;
}

int approval_check(const Berm__Wire__ApprovalRequest *request, struct error *err)
{
	const char *wrong = wrong_with(request);

	return wrong ? error_set(err, -EINVAL, ERROR_INTERNAL, "it is no approval: %s", wrong) : 0;
}

static bool is_of_this_boot(const Berm__Wire__ApprovalRequest *request, const struct agent_now *now)
{
	return request->boot_id.len == AGENT_BOOT_ID_BYTES &&
	       memcmp(request->boot_id.data, now->boot_id, AGENT_BOOT_ID_BYTES) == 0;
}

static bool waits(const Berm__Wire__ApprovalWaiter *waiter, const struct agent_now *now)
{
	return !waiter->left && now->boot_ms < waiter->until_boot_ms;
}

unsigned approval_waiting(const Berm__Wire__ApprovalRequest *request, const struct agent_now *now)
{
	unsigned count = 0;

	for (size_t i = 0; is_of_this_boot(request, now) && i < request->n_waiters; i++)
		count += waits(request->waiters[i], now);
	return count;
}

uint64_t approval_left_ms(const Berm__Wire__ApprovalRequest *request, const struct agent_now *now)
{
	uint64_t most = 0;

	for (size_t i = 0; is_of_this_boot(request, now) && i < request->n_waiters; i++) {
		const Berm__Wire__ApprovalWaiter *waiter = request->waiters[i];

		if (waits(waiter, now) && waiter->until_boot_ms - now->boot_ms > most)
			most = waiter->until_boot_ms - now->boot_ms;
	}
	return most;
}

enum approval_state approval_state(
	const Berm__Wire__ApprovalRequest *request, const struct agent_now *now)
{
	bool all_left = true;

	if (request->verdict == BERM__WIRE__APPROVAL_VERDICT__APPROVAL_VERDICT_YES)
		return APPROVAL_APPROVED;
	if (request->verdict)
		return APPROVAL_DENIED;
	for (size_t i = 0; i < request->n_waiters; i++)
		all_left = all_left && request->waiters[i]->left;
	if (all_left)
		return APPROVAL_WITHDRAWN;
	return approval_waiting(request, now) ? APPROVAL_PENDING : APPROVAL_EXPIRED;
}

static Berm__Wire__ApprovalWaiter *find(const Berm__Wire__ApprovalRequest *request, const char *run)
{
	for (size_t i = 0; i < request->n_waiters; i++)
		if (strcmp(request->waiters[i]->run, run) == 0)
			return request->waiters[i];
	return NULL;
}

static bool is_covered(
	const Berm__Wire__ApprovalRequest *request, const Berm__Wire__ApprovalWaiter *waiter)
{
	for (size_t i = 0; i < request->answered_waiters && i < request->n_waiters; i++)
		if (request->waiters[i] == waiter)
			return true;
	return false;
}

enum approval_state approval_of(
	const Berm__Wire__ApprovalRequest *request, const char *run, const struct agent_now *now)
{
	const Berm__Wire__ApprovalWaiter *waiter = find(request, run);

	if (!waiter || waiter->left)
		return APPROVAL_WITHDRAWN;
	if (!is_of_this_boot(request, now))
		return APPROVAL_EXPIRED;
	if (request->verdict == BERM__WIRE__APPROVAL_VERDICT__APPROVAL_VERDICT_NO)
		return APPROVAL_DENIED;
	if (!request->verdict || !is_covered(request, waiter))
		return !waits(waiter, now) ? APPROVAL_EXPIRED
		       : request->verdict  ? APPROVAL_ANEW
					   : APPROVAL_PENDING;
	/* Nobody keeps a yes for later: whoever stopped the run meanwhile has waited too long. */
	return request->answered_boot_ms < waiter->until_boot_ms &&
			       now->boot_ms < waiter->until_boot_ms + APPROVAL_GRACE_MS
		       ? APPROVAL_APPROVED
		       : APPROVAL_EXPIRED;
}

static int add_waiter(Berm__Wire__ApprovalRequest *request, const char *run, uint64_t timeout_ms,
	const struct agent_now *now)
{
	Berm__Wire__ApprovalWaiter *waiter = malloc(sizeof(*waiter)), **grown;

	grown = waiter ? realloc(request->waiters, (request->n_waiters + 1) * sizeof(*grown))
		       : NULL;
	if (grown)
		request->waiters = grown;
	if (grown) {
		berm__wire__approval_waiter__init(waiter);
		waiter->run = strdup(run);
	}
	if (!grown || !waiter->run) {
		free(waiter);
		return -ENOMEM;
	}
	waiter->asked_boot_ms = now->boot_ms;
	waiter->until_boot_ms = now->boot_ms + timeout_ms;
	grown[request->n_waiters++] = waiter;
	return 0;
}

int approval_begin(Berm__Wire__ApprovalRequest *request, const char *run, uint64_t timeout_ms,
	const struct agent_now *now)
{
	uint8_t *boot_id = malloc(AGENT_BOOT_ID_BYTES);

	if (!boot_id)
		return -ENOMEM;
	memcpy(boot_id, now->boot_id, AGENT_BOOT_ID_BYTES);
	free(request->boot_id.data);
	request->boot_id = (ProtobufCBinaryData){AGENT_BOOT_ID_BYTES, boot_id};
	request->version = APPROVAL_VERSION;
	request->asked_boot_ms = now->boot_ms;
	request->asked_wall_ms = now->wall_ms;
	return add_waiter(request, run, timeout_ms, now);
}

bool approval_is_equal(const Berm__Wire__ApprovalRequest *request,
	const Berm__Wire__ApprovalRequest *other, const struct agent_now *now)
{
	return approval_state(request, now) == APPROVAL_PENDING &&
	       request->digest.len == other->digest.len && request->digest.len > 0 &&
	       memcmp(request->digest.data, other->digest.data, other->digest.len) == 0 &&
	       request->on == other->on && request->channels == other->channels &&
	       strcmp(request->asker, other->asker) == 0;
}

int approval_join(Berm__Wire__ApprovalRequest *request, const char *run, uint64_t timeout_ms,
	const struct agent_now *now)
{
	if (approval_state(request, now) != APPROVAL_PENDING)
		return -EALREADY;
	if (find(request, run))
		return -EEXIST;
	if (request->n_waiters >= APPROVAL_WAITERS_MAX)
		return -ENOSPC;
	return add_waiter(request, run, timeout_ms, now);
}

static int set_words(char **field, const char *words)
{
	char *copy = strndup(words, APPROVAL_WORDS_MAX);

	if (!copy)
		return -ENOMEM;
	if (*field != protobuf_c_empty_string)
		free(*field);
	*field = copy;
	return 0;
}

unsigned approval_covers(
	const Berm__Wire__ApprovalRequest *request, unsigned waiting, const struct agent_now *now)
{
	unsigned covers = 0, seen = 0;

	for (unsigned i = 0; is_of_this_boot(request, now) && i < request->n_waiters; i++) {
		if (!waits(request->waiters[i], now))
			continue;
		if (seen++ == waiting)
			break;
		covers = i + 1;
	}
	return covers;
}

int approval_answer(Berm__Wire__ApprovalRequest *request, const struct approval_answer *answer,
	const struct agent_now *now)
{
	unsigned covers = answer->yes ? answer->covers : (unsigned)request->n_waiters;

	if (approval_state(request, now) != APPROVAL_PENDING)
		return -EALREADY;
	if (covers == 0 || covers > request->n_waiters)
		return -EINVAL;
	if (set_words(&request->by, answer->who) < 0 ||
		set_words(&request->channel, answer->channel) < 0 ||
		set_words(&request->reason, answer->reason) < 0)
		return -ENOMEM;
	request->answered_waiters = covers;
	request->verdict = answer->yes ? BERM__WIRE__APPROVAL_VERDICT__APPROVAL_VERDICT_YES
				       : BERM__WIRE__APPROVAL_VERDICT__APPROVAL_VERDICT_NO;
	request->answered_boot_ms = now->boot_ms;
	request->answered_wall_ms = now->wall_ms;
	return 0;
}

void approval_leave(Berm__Wire__ApprovalRequest *request, const char *run)
{
	Berm__Wire__ApprovalWaiter *waiter = find(request, run);

	if (waiter)
		waiter->left = true;
}

enum approval_state approval_at_start(
	const Berm__Wire__ApprovalRequest *request, const char *run, const struct agent_now *now)
{
	const Berm__Wire__ApprovalWaiter *waiter = find(request, run);

	if (!waiter || waiter->left)
		return APPROVAL_WITHDRAWN;
	return is_of_this_boot(request, now) && is_covered(request, waiter) &&
			       request->verdict ==
				       BERM__WIRE__APPROVAL_VERDICT__APPROVAL_VERDICT_YES &&
			       now->boot_ms < request->answered_boot_ms + APPROVAL_START_MS
		       ? APPROVAL_APPROVED
		       : APPROVAL_EXPIRED;
}

const char *approval_withdrawn_by(const Berm__Wire__ApprovalRequest *request, const char *run)
{
	const Berm__Wire__ApprovalWaiter *waiter = find(request, run);

	return waiter && waiter->left ? waiter->withdrawn : "";
}

int approval_withdraw(Berm__Wire__ApprovalRequest *request, const char *run, const char *words,
	const struct agent_now *now)
{
	Berm__Wire__ApprovalWaiter *waiter = find(request, run);
	enum approval_state state = approval_of(request, run, now);
	bool waited = state == APPROVAL_PENDING || state == APPROVAL_ANEW;

	if (!waiter || (!waited && approval_at_start(request, run, now) != APPROVAL_APPROVED))
		return 0;
	if (set_words(&waiter->withdrawn, words) < 0)
		return -ENOMEM;
	waiter->left = true;
	return waited ? 2 : 1;
}

uint64_t approval_age_ms(const Berm__Wire__ApprovalRequest *request, const struct agent_now *now)
{
	Berm__Wire__AgentMoment asked = BERM__WIRE__AGENT_MOMENT__INIT;

	asked.boot_id = request->boot_id;
	asked.boot_ms = request->asked_boot_ms;
	asked.wall_ms = request->asked_wall_ms;
	return agent_age_ms(&asked, now);
}

/* Runs that began to wait within the time. */
static uint64_t count_recent(
	const Berm__Wire__ApprovalRequest *request, uint64_t within_ms, const struct agent_now *now)
{
	uint64_t recent = 0;

	if (!is_of_this_boot(request, now))
		return approval_age_ms(request, now) < within_ms ? request->n_waiters : 0;
	for (size_t i = 0; i < request->n_waiters; i++) {
		uint64_t asked = request->waiters[i]->asked_boot_ms;

		recent += asked > now->boot_ms || now->boot_ms - asked < within_ms;
	}
	return recent;
}

bool approval_is_flood(const Berm__Wire__ApprovalRequest *const *all, size_t count,
	const char *asker, uint64_t max, uint64_t within_ms, const struct agent_now *now)
{
	uint64_t recent = 0;

	for (size_t i = 0; i < count; i++)
		if (strcmp(all[i]->asker, asker) == 0)
			recent += count_recent(all[i], within_ms, now);
	return recent >= max;
}
