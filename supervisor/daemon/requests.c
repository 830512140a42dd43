/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/requests.h"

#include "base/failpoint.h"
#include "daemon/run-id.h"
#include "daemon/state-directory.h"
#include "wire/held.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define TYPE (&berm__wire__approval_request__descriptor)
#define LOCK_MS 10000
#define ID_LENGTH 8 /* of the random part of a run's id: to be typed by people */

/* ---- the directory ---- */

int requests_open(const char *state, bool make, struct requests *ret_requests, struct error *err)
{
	autorequests struct requests r = REQUESTS_NONE;

	r.state_fd = state_directory_open(state, err);
	if (r.state_fd < 0)
		return r.state_fd;
	if (!make && faccessat(r.state_fd, REQUESTS_DIR, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
		errno == ENOENT)
		return error_set(err, -ENOENT, ERROR_NOT_FOUND, "nothing was ever asked here");
	r.dir_fd = state_directory_within(r.state_fd, REQUESTS_DIR, 0700, err);
	if (r.dir_fd < 0)
		return r.dir_fd;
	ret_requests->place = (struct state_place){&storage_system, r.dir_fd};
	ret_requests->state_fd = take_fd(&r.state_fd);
	ret_requests->dir_fd = take_fd(&r.dir_fd);
	return 0;
}

void requests_close(struct requests *requests)
{
	own_close(&requests->dir_fd);
	own_close(&requests->state_fd);
}

void request_free(Berm__Wire__ApprovalRequest **request)
{
	if (*request)
		berm__wire__approval_request__free_unpacked(*request, NULL);
	*request = NULL;
}

/* ---- reading ---- */

static int read_file(const struct requests *requests, const char *name,
	Berm__Wire__ApprovalRequest **ret_request, struct error *err)
{
	autorequest Berm__Wire__ApprovalRequest *request = NULL;
	struct error why = {0};
	void *message = NULL;
	int r = state_file_read(&requests->place, name, TYPE, &message, err);

	if (r < 0)
		return r;
	request = message;
	if (approval_check(request, &why) < 0)
		return error_set(
			err, -EBADMSG, ERROR_INTERNAL, "the state file %s: %s", name, why.text);
	if (strcmp(request->id, name) != 0)
		return error_set(err, -EBADMSG, ERROR_INTERNAL,
			"the state file %s is that of the question %s", name, request->id);
	*ret_request = take_ptr(&request);
	return 0;
}

int requests_read(const struct requests *requests, const char *id,
	Berm__Wire__ApprovalRequest **ret_request, struct error *err)
{
	return read_file(requests, id, ret_request, err);
}

void requests_list_free(struct requests_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		request_free(&list->items[i]);
	for (size_t i = 0; i < list->damaged_count; i++)
		free(list->damaged[i]);
	own_free(&list->items);
	own_free(&list->damaged);
	list->count = list->damaged_count = 0;
}

struct listing {
	const struct requests *requests;
	struct requests_list list;
};

static int add_damaged(struct requests_list *list, const char *name)
{
	char **grown = realloc(list->damaged, (list->damaged_count + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	list->damaged = grown;
	grown[list->damaged_count] = strdup(name);
	if (!grown[list->damaged_count])
		return -ENOMEM;
	list->damaged_count++;
	return 0;
}

static int add(void *data, const char *name)
{
	struct listing *l = data;
	struct requests_list *list = &l->list;
	Berm__Wire__ApprovalRequest **grown;
	struct error why = {0};
	int r;

	if (list->count + list->damaged_count == REQUESTS_MAX * 2)
		return -EOVERFLOW;
	grown = realloc(list->items, (list->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	list->items = grown;
	r = read_file(l->requests, name, &grown[list->count], &why);
	/* Another process may have taken it away since the directory was read. */
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r == -ENOMEM ? r : add_damaged(list, name);
	list->count++;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const Berm__Wire__ApprovalRequest *const *left = a, *const *right = b;

	if ((*left)->asked_wall_ms != (*right)->asked_wall_ms)
		return (*left)->asked_wall_ms < (*right)->asked_wall_ms ? -1 : 1;
	return strcmp((*left)->id, (*right)->id);
}

/* A directory that is written to while it is read may name a file twice. */
static void drop_doubles(struct requests_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (kept && strcmp(list->items[kept - 1]->id, list->items[i]->id) == 0)
			request_free(&list->items[i]);
		else
			list->items[kept++] = list->items[i];
	}
	list->count = kept;
}

int requests_list(
	const struct requests *requests, struct requests_list *ret_list, struct error *err)
{
	struct listing l = {.requests = requests};
	int r = state_file_list(&requests->place, add, &l);

	if (r < 0) {
		requests_list_free(&l.list);
		return error_set(
			err, r, ERROR_INTERNAL, "cannot list the questions: %s", strerror(-r));
	}
	if (l.list.count)
		qsort(l.list.items, l.list.count, sizeof(*l.list.items), compare);
	drop_doubles(&l.list);
	*ret_list = l.list;
	return 0;
}

struct search {
	const char *beginning;
	char found[APPROVAL_ID_MAX + 1];
	size_t count;
};

static int match(void *data, const char *name)
{
	struct search *s = data;

	if (strncmp(name, s->beginning, strlen(s->beginning)) != 0)
		return 0;
	s->count++;
	snprintf(s->found, sizeof(s->found), "%s", name);
	return 0;
}

/* Under the lock, so that each file has its name once. */
static int find_one(const struct requests *requests, const char *beginning,
	Berm__Wire__ApprovalRequest **ret_request, struct error *err)
{
	struct search s = {.beginning = beginning};
	int r;

	if (strlen(beginning) < REQUESTS_ID_LEAST || strlen(beginning) > APPROVAL_ID_MAX)
		return error_set(err, -EINVAL, ERROR_INPUT,
			"a question is named by %d letters of its id at least", REQUESTS_ID_LEAST);
	r = state_file_list(&requests->place, match, &s);
	if (r < 0)
		return error_set(
			err, r, ERROR_INTERNAL, "cannot list the questions: %s", strerror(-r));
	if (s.count > 1)
		return error_set(err, -ENOTUNIQ, ERROR_INPUT, "%zu questions begin with %s",
			s.count, beginning);
	if (s.count == 0)
		return error_set(
			err, -ENOENT, ERROR_NOT_FOUND, "there is no question %s", beginning);
	return read_file(requests, s.found, ret_request, err);
}

/* ---- asking ---- */

/* A file that nobody can read tells no time but its own. */
static bool is_old(const struct requests *requests, const char *name, uint64_t kept_ms,
	const struct agent_now *now)
{
	struct stat st;

	return fstatat(requests->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (uint64_t)st.st_mtim.tv_sec * 1000 + kept_ms < now->wall_ms;
}

static int take_away(const struct requests *requests, const char *name, struct error *err)
{
	int r = state_file_remove(&requests->place, name, err);

	return r == -ENOENT ? 0 : r;
}

/* What is over and old goes, and the oldest that are over where there are too many. */
static int prune(const struct requests *requests, const struct requests_list *list,
	uint64_t kept_ms, const struct agent_now *now, struct error *err)
{
	size_t left = list->count + list->damaged_count;

	for (size_t i = 0; i < list->damaged_count; i++) {
		if (!is_old(requests, list->damaged[i], kept_ms, now))
			continue;
		if (take_away(requests, list->damaged[i], err) < 0)
			return err->code;
		left--;
	}
	for (size_t i = 0; i < list->count; i++) {
		bool over = approval_state(list->items[i], now) != APPROVAL_PENDING;

		if (!over ||
			(approval_age_ms(list->items[i], now) < kept_ms && left < REQUESTS_MAX))
			continue;
		if (take_away(requests, list->items[i]->id, err) < 0)
			return err->code;
		left--;
	}
	return left < REQUESTS_MAX ? 0
				   : error_set(err, -EDQUOT, ERROR_REFUSED,
					     "%zu questions are open already", left);
}

/* A copy that can be changed. */
static Berm__Wire__ApprovalRequest *copy(const Berm__Wire__ApprovalRequest *request)
{
	size_t length = berm__wire__approval_request__get_packed_size(request);
	autofree uint8_t *bytes = malloc(length + 1);

	if (!bytes)
		return NULL;
	berm__wire__approval_request__pack(request, bytes);
	return berm__wire__approval_request__unpack(NULL, length, bytes);
}

static int begin(const struct requests *requests, const struct requests_ask *ask,
	const struct agent_now *now, struct requests_asked *asked, struct error *err)
{
	autorequest Berm__Wire__ApprovalRequest *request = copy(ask->wanted);

	if (!request)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (request->id != protobuf_c_empty_string)
		free(request->id);
	request->id = strdup(asked->id);
	if (!request->id || approval_begin(request, ask->run, ask->timeout_ms, now) < 0)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (approval_check(request, err) < 0)
		return err->code;
	asked->first = true;
	asked->waiters = asked->waiting = 1;
	failpoint("request.asking");
	return state_file_write(&requests->place, asked->id, &request->base, err);
}

static int join(const struct requests *requests, const struct requests_ask *ask,
	Berm__Wire__ApprovalRequest *request, const struct agent_now *now,
	struct requests_asked *asked, struct error *err)
{
	int r = approval_join(request, ask->run, ask->timeout_ms, now);

	if (r < 0)
		return error_set(err, r == -ENOSPC ? -EDQUOT : r, ERROR_REFUSED,
			"%u runs wait for the same answer", (unsigned)request->n_waiters);
	snprintf(asked->id, sizeof(asked->id), "%s", request->id);
	asked->first = false;
	asked->waiters = (unsigned)request->n_waiters;
	asked->waiting = approval_waiting(request, now);
	failpoint("request.joining");
	return state_file_write(&requests->place, request->id, &request->base, err);
}

/* Whoever asks has a right to so much of people's time, and of what is kept here. */
static int check_asker(const struct requests_list *list, const struct requests_ask *ask,
	const struct agent_now *now, struct error *err)
{
	const Berm__Wire__ApprovalRequest *wanted = ask->wanted;
	const char *who = wanted->agent[0] ? wanted->agent : wanted->asker;
	size_t open = 0;

	for (size_t i = 0; i < list->count; i++)
		open += strcmp(list->items[i]->asker, wanted->asker) == 0 &&
			approval_state(list->items[i], now) == APPROVAL_PENDING;
	if (open >= REQUESTS_OPEN_MAX)
		return error_set(err, -EDQUOT, ERROR_REFUSED,
			"%zu questions of %s are open already", open, who);
	if (approval_is_flood((const Berm__Wire__ApprovalRequest *const *)list->items, list->count,
		    wanted->asker, ask->max, ask->within_ms, now))
		return error_set(err, -EDQUOT, ERROR_REFUSED,
			"%s asked %llu times within %llu s already, and nobody is asked more often",
			who, (unsigned long long)ask->max,
			(unsigned long long)(ask->within_ms / 1000));
	return 0;
}

/* With all that is there, read under the lock. */
static int ask_among(const struct requests *requests, const struct requests_ask *ask,
	const struct requests_list *list, struct requests_asked *asked, struct error *err)
{
	struct agent_now now = {0};
	char id[RUN_ID_LENGTH + 1];
	uint64_t kept_ms = ask->within_ms > REQUESTS_KEPT_MS ? ask->within_ms : REQUESTS_KEPT_MS;

	if (agents_now(&now, err) < 0 || check_asker(list, ask, &now, err) < 0)
		return err->code;
	for (size_t i = 0; i < list->count; i++)
		if (approval_is_equal(list->items[i], ask->wanted, &now))
			return join(requests, ask, list->items[i], &now, asked, err);
	if (prune(requests, list, kept_ms, &now, err) < 0 || run_id_make(id, err) < 0)
		return err->code;
	snprintf(asked->id, sizeof(asked->id), "%s", id + RUN_ID_LENGTH - ID_LENGTH);
	return begin(requests, ask, &now, asked, err);
}

int requests_ask(const struct requests *requests, const struct requests_ask *ask,
	struct requests_asked *ret_asked, struct error *err)
{
	autolist struct requests_list list = {0};
	autounlock int lock = -1;
	int r;

	*ret_asked = (struct requests_asked){0};
	/* Nobody reads so much before he answers, and nobody is to find it cut. */
	if (berm__wire__approval_request__get_packed_size(ask->wanted) > REQUESTS_BYTES_MAX)
		return error_set(err, -E2BIG, ERROR_REFUSED,
			"it is more than the %u bytes that a person is shown", REQUESTS_BYTES_MAX);
	lock = state_lock(requests->state_fd, LOCK_MS, err);
	r = lock < 0 ? lock : requests_list(requests, &list, err);
	return r < 0 ? r : ask_among(requests, ask, &list, ret_asked, err);
}

/* ---- answering ---- */

static const char *channel_name(unsigned channel)
{
	return channel == APPROVAL_TERMINAL ? "tty" : channel == APPROVAL_EXEC ? "exec" : "socket";
}

/* Whom a yes is for. Where it is over that is for approval_answer() to say. */
static int find_covered(const Berm__Wire__ApprovalRequest *request,
	const struct requests_answer *answer, const struct agent_now *now,
	struct approval_answer *given, struct error *err)
{
	unsigned waiting = approval_waiting(request, now);

	if (given->covers || !given->yes || approval_state(request, now) != APPROVAL_PENDING)
		return 0;
	if (!answer->waiting && waiting > 1)
		return error_set(err, -ESTALE, ERROR_REFUSED,
			"%u runs wait for %s: say that so many may start (--waiting %u)", waiting,
			request->id, waiting);
	given->covers = approval_covers(request, answer->waiting ? answer->waiting : 1, now);
	return 0;
}

static int answer_it(const struct requests *requests, Berm__Wire__ApprovalRequest *request,
	const struct requests_answer *answer, struct error *err)
{
	struct approval_answer given = {.yes = answer->yes,
		.covers = answer->covers,
		.who = answer->who,
		.channel = channel_name(answer->channel),
		.reason = answer->reason};
	struct agent_now now = {0};
	int r = agents_now(&now, err);

	if (r == 0)
		r = find_covered(request, answer, &now, &given, err);
	if (r < 0)
		return r;
	if (!(request->channels & answer->channel))
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s is not to be answered in this way (approvals.channels of its profile)",
			request->id);
	r = approval_answer(request, &given, &now);
	if (r == -EALREADY)
		return error_set(err, r, ERROR_REFUSED, "%s is %s", request->id,
			approval_state_name(approval_state(request, &now)));
	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "%s cannot be answered: %s", request->id,
			strerror(-r));
	failpoint("request.answering");
	return state_file_write(&requests->place, request->id, &request->base, err);
}

int requests_answer(const struct requests *requests, const struct requests_answer *answer,
	Berm__Wire__ApprovalRequest **ret_request, struct error *err)
{
	autorequest Berm__Wire__ApprovalRequest *request = NULL;
	autounlock int lock = state_lock(requests->state_fd, LOCK_MS, err);
	int r = lock < 0 ? lock : find_one(requests, answer->id, &request, err);

	if (r == 0 && request)
		r = answer_it(requests, request, answer, err);
	if (r == 0 && ret_request)
		*ret_request = take_ptr(&request);
	return r;
}

void requests_leave(const struct requests *requests, const char *id, const char *run)
{
	autorequest Berm__Wire__ApprovalRequest *request = NULL;
	struct error ignored = {0};
	autounlock int lock = state_lock(requests->state_fd, LOCK_MS, &ignored);

	if (lock < 0 || read_file(requests, id, &request, &ignored) < 0)
		return;
	approval_leave(request, run);
	failpoint("request.leaving");
	(void)!state_file_write(&requests->place, id, &request->base, &ignored);
}
