/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/withdraw.h"

#include "base/failpoint.h"
#include "daemon/requests.h"
#include "wire/held.h"

#include <string.h>
#include <unistd.h>

static bool is_listed(const struct runs_named *named, const char *run)
{
	for (size_t i = 0; i < named->count; i++)
		if (strcmp(named->ids[i], run) == 0)
			return true;
	return false;
}

static bool is_named(
	const struct runs_named *named, const Berm__Wire__ApprovalRequest *request, const char *run)
{
	switch (named->scope) {
	case NAMED_EVERYTHING:
		return true;
	case NAMED_RUN:
		return request->on != HELD_COMMIT &&
		       strncmp(run, named->of, strlen(named->of)) == 0;
	case NAMED_AGENT:
		return strcmp(request->asker, named->of) == 0 || is_listed(named, run);
	case NAMED_GROUP:
		return strcmp(request->group, named->of) == 0 || is_listed(named, run);
	}
	return true;
}

/* ---- one question ---- */

struct taking {
	const struct requests *requests;
	const struct runs_named *named;
	const char *words;
	struct agent_now now;
	struct withdrawal *withdrawal;
};

static int note(struct taking *t, const Berm__Wire__ApprovalRequest *request, const char *run)
{
	struct withdrawal *w = t->withdrawal;
	struct withdrawn *grown = reallocarray(w->items, w->count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	w->items = grown;
	grown[w->count] = (struct withdrawn){.on = request->on};
	snprintf(grown[w->count].run, sizeof(grown->run), "%s", run);
	snprintf(grown[w->count++].id, sizeof(grown->id), "%s", request->id);
	return 0;
}

/* Changes the message alone. 1 where it is another one now. */
static int take(struct taking *t, Berm__Wire__ApprovalRequest *request, bool only_look)
{
	int changed = 0;

	for (size_t i = 0; i < request->n_waiters; i++) {
		const char *run = request->waiters[i]->run;
		int r = !is_named(t->named, request, run)
				? 0
				: approval_withdraw(request, run, t->words, &t->now);

		changed |= r > 0;
		if (r < 0)
			return r;
		if (only_look)
			continue;
		t->withdrawal->was_approved |= r == 1;
		if (r == 2 && note(t, request, run) < 0)
			return -ENOMEM;
	}
	return changed;
}

/* Under the lock: as it is now, whatever it was when it was listed. */
static int take_back(struct taking *t, const char *id, struct error *err)
{
	autorequest Berm__Wire__ApprovalRequest *request = NULL;
	size_t before = t->withdrawal->count;
	int r = requests_read(t->requests, id, &request, err);

	if (r == -ENOENT)
		return 0;
	if (r < 0 || !request)
		return r < 0 ? r : -EIO;
	r = take(t, request, false);
	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "out of memory");
	failpoint("request.withdrawing");
	if (r > 0)
		r = state_file_write(&t->requests->place, id, &request->base, err);
	if (r < 0)
		t->withdrawal->count = before;
	return r;
}

/* ---- all of them ---- */

/* Leaves those in the list that have something to be taken; their messages are of no use then. */
static int choose(struct taking *t, struct requests_list *list)
{
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < list->count; i++) {
		int this = r < 0 ? r : take(t, list->items[i], true);

		if (this > 0)
			list->items[kept++] = list->items[i];
		else
			request_free(&list->items[i]);
		r = this < 0 ? this : 0;
	}
	list->count = kept;
	return r;
}

static int take_all(struct taking *t, struct requests_list *list, struct error *err)
{
	struct error why = {0};
	autounlock int lock = -1;
	int r = choose(t, list);

	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "out of memory");
	if (list->count == 0)
		return 0;
	lock = state_lock(t->requests->state_fd, WITHDRAW_LOCK_MS, err);
	if (lock < 0)
		return lock;
	/* One that fails keeps none of the others. */
	for (size_t i = 0; i < list->count; i++)
		if (take_back(t, list->items[i]->id, &why) < 0 && r == 0)
			r = error_set(err, why.code, (enum error_kind)why.kind, "%s", why.text);
	return r;
}

/* Whoever kills makes no directory to look into. */
static bool is_there(const char *state)
{
	return access(state, F_OK) == 0 || errno != ENOENT;
}

int withdraw_held(const char *state, const struct runs_named *named, const char *words,
	struct withdrawal *ret_withdrawal, struct error *err)
{
	autorequests struct requests requests = REQUESTS_NONE;
	autolist struct requests_list list = {0};
	struct taking t = {.requests = &requests,
		.named = named,
		.words = words,
		.withdrawal = ret_withdrawal};
	struct error why = {0};
	int r = is_there(state) ? requests_open(state, false, &requests, &why) : -ENOENT;

	/* Where somebody may not look he may not begin anything that is held, either. */
	if (r == -ENOENT || r == -EACCES)
		return 0;
	if (r < 0)
		error_set(err, why.code, (enum error_kind)why.kind, "%s", why.text);
	if (r == 0)
		r = agents_now(&t.now, err);
	if (r == 0)
		r = requests_list(&requests, &list, err);
	return r == 0 ? take_all(&t, &list, err) : r;
}

void withdrawal_finish(struct withdrawal *withdrawal)
{
	free(withdrawal->items);
	*withdrawal = (struct withdrawal){0};
}

static bool is_held(const Berm__Wire__ApprovalRequest *request, const char *prefix,
	const struct agent_now *now, size_t i)
{
	const char *run = request->waiters[i]->run;

	return request->on == HELD_RUN && strncmp(run, prefix, strlen(prefix)) == 0 &&
	       approval_of(request, run, now) == APPROVAL_PENDING;
}

size_t withdraw_count(const char *state, const char *prefix)
{
	autorequests struct requests requests = REQUESTS_NONE;
	autolist struct requests_list list = {0};
	struct agent_now now = {0};
	struct error ignored = {0};
	size_t count = 0;

	if (!is_there(state) || requests_open(state, false, &requests, &ignored) < 0 ||
		agents_now(&now, &ignored) < 0 || requests_list(&requests, &list, &ignored) < 0)
		return 0;
	for (size_t i = 0; i < list.count; i++)
		for (size_t k = 0; k < list.items[i]->n_waiters; k++)
			count += is_held(list.items[i], prefix, &now, k);
	return count;
}
