/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/failpoint.h"
#include "daemon/recorder-client.h"
#include "daemon/recorder-file.h"
#include "daemon/recorder-place.h"
#include "daemon/recorder-role.h"
#include "daemon/role.h"
#include "record/keys.h"

#include "recorder-play.h"
#include "tree.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* The recorder's process is killed, with SIGKILL, at each of its failpoints (base/failpoint.h), and
 * its disk fails at each of its kinds of calls. The runs go on: what the recorder had acknowledged
 * is there afterwards, and the log verifies. This program is the recorder as well.
 *
 * A play has two runs and three recorders: one that begins the log and is killed, with what it has
 * not sealed; one that takes that up; one that takes up what was closed. Each failpoint is asked of
 * the first of them that comes to it (with RECORD_ALL=1 of all of them). */

#ifdef BERM_FAILPOINTS

/* ---- recorders ---- */

static int launch(struct error *err)
{
	char words[256];
	const char *ask = NULL;
	int fd;

	recorder_play.launches++;
	if (recorder_play.launches == recorder_play.at)
		ask = recorder_play.ask;
	else if (recorder_play.launches + 1 == recorder_play.at)
		ask = recorder_play.before;
	snprintf(words, sizeof(words), SEGMENT "%s%s%s",
		recorder_play.keeps_nothing ? ",log-bytes=10000" : "", ask ? "," : "",
		ask ? ask : "");
	assert_int_equal(setenv("BERM_FAILPOINT", words, 1), 0);
	fd = recorder_launch(recorder_play.state, err);
	unsetenv("BERM_FAILPOINT");
	return fd;
}

static int reach(void *context, struct error *err)
{
	int fd = recorder_place_connect(recorder_play.state);

	(void)context;
	return fd == -ENOENT || fd == -ECONNREFUSED ? launch(err)
	       : fd == -ECONNRESET                  ? -EAGAIN
						    : fd;
}

/* As an operator would, or the kernel for want of memory. */
static void kill_recorder(void)
{
	int fd = recorder_place_connect(recorder_play.state);
	struct ucred peer = {0};
	socklen_t length = sizeof(peer);

	if (fd < 0)
		return;
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length), 0);
	close(fd);
	assert_true(recorder_play.killed_count < array_size(recorder_play.killed_by_us));
	/* Who listens was the one who made the socket: it may be gone already. */
	if (kill(peer.pid, SIGKILL) == 0) {
		recorder_play.killed_by_us[recorder_play.killed_count++] = peer.pid;
		waitpid(peer.pid, NULL, 0);
	}
}

static bool is_ours(pid_t pid)
{
	for (unsigned i = 0; i < recorder_play.killed_count; i++)
		if (recorder_play.killed_by_us[i] == pid)
			return true;
	return false;
}

/* All recorders have ended; true where one was killed at a failpoint. */
static bool reap(void)
{
	bool was_killed = false;
	int status;
	pid_t pid;

	while ((pid = wait(&status)) > 0) {
		bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;

		if (!killed && !(WIFEXITED(status) && WEXITSTATUS(status) <= 1))
			fail_msg("%s: a recorder ended with %#x", recorder_play.ask,
				(unsigned)status);
		was_killed = was_killed || (killed && !is_ours(pid));
	}
	return was_killed;
}

/* ---- runs ---- */

/* The write that a recorder was killed in: a frame that ends too early. */
static void tear_end(void)
{
	static const char half[] = {100, 0, 0, 0, 1, 0, 0, 0, 8};
	autoclose int log = recorder_play_open(RECORDER_LOG_DIR), file = -1;
	char name[SEGMENT_NAME_BYTES];
	uint64_t last = 1;

	do
		segment_name(++last, name);
	while (faccessat(log, name, F_OK, 0) == 0);
	segment_name(last - 1, name);
	file = openat(log, name, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(file >= 0);
	assert_int_equal(io_write_all(file, half, sizeof(half)), 0);
}

static void append_start(struct recorder_client *client)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__RunStart start = BERM__WIRE__RUN_START__INIT;

	record.body_case = BERM__WIRE__RECORD__BODY_RUN_START;
	record.run_start = &start;
	recorder_client_append(client, RECORD_RING_DECISIONS, &record);
}

static void append_end(struct recorder_client *client)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__RunEnd end = BERM__WIRE__RUN_END__INIT;

	end.outcome = (char[]){"exited"};
	record.body_case = BERM__WIRE__RECORD__BODY_RUN_END;
	record.run_end = &end;
	recorder_client_append(client, RECORD_RING_DECISIONS, &record);
}

static void append_number(struct recorder_client *client, uint64_t number)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Trip trip = BERM__WIRE__TRIP__INIT;
	Berm__Wire__RecordRule rule = BERM__WIRE__RECORD_RULE__INIT;

	trip.has_used = true;
	trip.used = number;
	rule.key = (char[]){"some more words, so that segments are full soon"};
	trip.rule = &rule;
	record.body_case = BERM__WIRE__RECORD__BODY_TRIP;
	record.trip = &trip;
	recorder_client_append(client, RECORD_RING_DECISIONS, &record);
}

/* False where the run was told that nothing more is recorded. */
static bool wait_for(struct recorder_client *client, unsigned run, uint64_t durable)
{
	struct pollfd fd = {.fd = recorder_client_fd(client), .events = POLLIN};
	struct recorder_client_status status;
	struct error err = {0};

	for (unsigned i = 0; i < 200; i++) {
		recorder_client_status(client, &status);
		recorder_play.durable[run] = status.durable;
		if (status.durable >= durable)
			return true;
		poll(&fd, 1, 100);
		if (recorder_client_handle(client, &err) < 0) {
			if (!recorder_play.may_fail)
				fail_msg("%s: %s", recorder_play.ask, err.text);
			return false;
		}
	}
	fail_msg("%s: no answer", recorder_play.ask);
	return false;
}

/* Record 1 is the start, the last one the receipt; those between have their numbers in them. */
static void record_run(unsigned run, bool kill_in_the_middle)
{
	const struct recorder_client_options options = {.state = recorder_play.state,
		.info = {.run = recorder_play_runs[run]},
		.connect = reach};
	struct recorder_client_status status;
	struct recorder_client *client;
	struct error err = {0};
	bool goes_on;

	assert_int_equal(recorder_client_open(&options, &client, &err), 0);
	append_start(client);
	goes_on = recorder_client_ready(client, &err) == 0;
	if (!goes_on && !recorder_play.may_fail)
		fail_msg("%s: %s", recorder_play.ask, err.text);
	for (uint64_t number = 2; goes_on && number < RECORDS; number++) {
		append_number(client, number);
		if (number % 20 == 0)
			goes_on = wait_for(client, run, number);
		if (number == RECORDS / 2 && kill_in_the_middle) {
			kill_recorder();
			if (recorder_play.tears_end)
				tear_end();
		}
	}
	if (goes_on) {
		append_end(client);
		goes_on = recorder_client_finish(client, true, PATIENCE_MS, &err) == 0;
		if (!goes_on && !recorder_play.may_fail)
			fail_msg("%s: %s", recorder_play.ask, err.text);
	}
	recorder_client_status(client, &status);
	recorder_play.durable[run] = status.durable;
	assert_true(!goes_on || status.durable == RECORDS);
	assert_int_equal(status.lost, 0);
	recorder_client_close(client);
}

/* ---- plays ---- */

static void name_anchor(void)
{
	autoclose int state = recorder_play_open("."), file = -1;
	char words[200];

	assert_int_equal(mkdirat(state, "../" WITNESS, 0700), 0);
	file = openat(state, RECORDER_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	snprintf(words, sizeof(words), "version: 1\nanchor: {directory: %s/%s}\n", top, WITNESS);
	assert_int_equal(io_write_all(file, words, strlen(words)), 0);
}

/* True where the failpoint was met. */
static bool perform(const char *ask, unsigned at)
{
	bool met, may_fail;

	assert_int_equal(remove_tree(NULL), 0);
	strcpy(top, "/dev/shm/berm-test-XXXXXX");
	assert_non_null(mkdtemp(top));
	snprintf(recorder_play.state, sizeof(recorder_play.state), "%s/state", top);
	assert_int_equal(mkdir(recorder_play.state, 0700), 0);
	if (recorder_play.has_anchor)
		name_anchor();
	recorder_play.ask = ask;
	recorder_play.at = at;
	recorder_play.launches = recorder_play.killed_count = 0;
	record_run(0, true);
	record_run(1, false);
	met = reap();
	/* Whatever is left is mended and closed by one that nothing happens to. */
	recorder_play.at = 0;
	may_fail = recorder_play.may_fail;
	recorder_play.may_fail = false;
	record_run(2, false);
	reap();
	recorder_play.may_fail = may_fail;
	recorder_play_check();
	return met;
}

/* Room for a commit, and then for less than that. */
#define FULL "storage.reserve:2:28,storage.reserve:2:28"

/* What else must happen for some of them. */
static const struct special {
	const char *point;
	const char *ask;    /* NULL: the point alone */
	const char *before; /* of the recorder before */
	unsigned at;        /* 0: any */
	bool keeps_nothing, tears_end, may_fail, has_anchor;
} specials[] = {
	{"recovery.head-found", .before = "rotation.named", .at = 2},
	{"recovery.seal-found", .before = "seal.on-disk", .at = 2},
	{"recovery.abandoning", "recovery.rewritten:1:5,recovery.abandoning", .at = 2},
	{"recovery.cut", .at = 2, .tears_end = true},
	{"storage.truncate", .at = 2, .tears_end = true},
	{"trouble.queued", FULL ",trouble.queued", .may_fail = true},
	{"trouble.written", FULL ",trouble.written", .may_fail = true},
	{"removal.queued", .keeps_nothing = true},
	{"removal.sealed", .keeps_nothing = true},
	{"removal.found", .keeps_nothing = true},
	{"removal.cut", .keeps_nothing = true},
	{"anchor.publishing", .has_anchor = true},
	{"anchor.published", .has_anchor = true},
	{"seal.anchored", .has_anchor = true},
};

/* Those of other processes of berm: tests/integration/cases_failpoints.py ends them. */
static bool is_recorders(const char *point)
{
	static const char *const others[] = {"act.", "agent.", "backup.", "changes.", "group.",
		"halt.", "hooks.", "mark.", "receipt.", "request.", "reserve.", "state.",
		"untold."};

	for (size_t i = 0; i < array_size(others); i++)
		if (strncmp(point, others[i], strlen(others[i])) == 0)
			return false;
	return true;
}

static bool tries_all(void)
{
	return getenv("RECORD_ALL") != NULL;
}

static bool perform_for(const char *point, unsigned at)
{
	const struct special *special = NULL;

	for (size_t i = 0; i < array_size(specials); i++)
		if (strcmp(specials[i].point, point) == 0)
			special = &specials[i];
	recorder_play.before = special ? special->before : NULL;
	recorder_play.keeps_nothing = special && special->keeps_nothing;
	recorder_play.tears_end = special && special->tears_end;
	recorder_play.may_fail = special && special->may_fail;
	recorder_play.has_anchor = special && special->has_anchor;
	if (special && special->at && special->at != at)
		return false;
	return perform(special && special->ask ? special->ask : point, at);
}

static void a_kill_at_every_failpoint_loses_nothing_acknowledged(void **state)
{
	unsigned kills = 0, missed = 0;

	(void)state;
	for (size_t i = 0; i < failpoint_count(); i++) {
		const char *point = failpoint_name(i);
		bool met = false;

		if (!is_recorders(point))
			continue;
		for (unsigned at = 1; at <= LAUNCHES && (!met || tries_all()); at++) {
			bool now = perform_for(point, at);

			met = met || now;
			kills += now;
		}
		if (!met)
			print_message("# nobody came to %s\n", point);
		missed += !met;
	}
	print_message("# %zu failpoints, %u kills: all that was acknowledged is there\n",
		failpoint_count(), kills);
	assert_int_equal(missed, 0);
}

static void a_disk_that_fails_once_at_any_call_loses_nothing_acknowledged(void **state)
{
	static const char *const calls[] = {"create", "write", "half-write", "sync", "sync-dir",
		"rename", "remove", "truncate", "reserve"};
	static const int errors[] = {EIO, ENOSPC};
	unsigned most = tries_all() ? 24 : 3;

	(void)state;
	for (size_t call = 0; call < array_size(calls); call++)
		for (size_t error = 0; error < array_size(errors); error++)
			for (unsigned n = 1; n <= most; n++) {
				char words[64];

				/* Those that begin a log, and later ones. */
				snprintf(words, sizeof(words), "storage.%s:%u:%d", calls[call],
					tries_all() ? n : n * n, errors[error]);
				recorder_play.before = NULL;
				recorder_play.keeps_nothing = recorder_play.tears_end =
					recorder_play.has_anchor = false;
				recorder_play.may_fail = true;
				perform(words, 1);
			}
}

static void the_names_of_failpoints_are_of_one_moment_each(void **state)
{
	(void)state;
	assert_true(failpoint_count() >= 50);
	for (size_t i = 0; i < failpoint_count(); i++) {
		assert_true(strchr(failpoint_name(i), '.') != NULL);
		assert_null(strpbrk(failpoint_name(i), ":,= "));
		for (size_t other = 0; other < i; other++)
			assert_string_not_equal(failpoint_name(i), failpoint_name(other));
	}
}

#else

static void failpoints_are_compiled_in_with_an_option_alone(void **state)
{
	(void)state;
	assert_null(failpoint_environment());
	assert_int_equal(failpoint_number("segment-bytes", 7), 7);
	assert_int_equal(failpoint_error("storage.write"), 0);
}
#endif

int main(int argc, char **argv)
{
	enum role_kind role = role_find(argc, argv);
#ifdef BERM_FAILPOINTS
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_names_of_failpoints_are_of_one_moment_each),
		cmocka_unit_test_setup_teardown(
			a_kill_at_every_failpoint_loses_nothing_acknowledged, make_tree,
			remove_tree),
		cmocka_unit_test_setup_teardown(
			a_disk_that_fails_once_at_any_call_loses_nothing_acknowledged, make_tree,
			remove_tree),
	};
#else
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failpoints_are_compiled_in_with_an_option_alone),
	};
#endif

	if (role != ROLE_COUNT)
		return role_main(role, argc, argv);
#ifdef BERM_FAILPOINTS
	/* Recorders are nobody's children: they come to us when their parent ends. */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
