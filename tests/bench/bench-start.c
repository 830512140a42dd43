/* SPDX-License-Identifier: Apache-2.0 */
/* What a start with the kernel's programs does beyond one without, step by step, each many times in
 * one process: what adopting takes, a slot, and the socket for those who ask. Root, with programs
 * that are pinned already (run berm once). Prints the least and the median of each. */
#include "base/own.h"
#include "daemon/control.h"
#include "daemon/metering-prove.h"
#include "daemon/run-id.h"
#include "daemon/runs.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define ROUNDS 500

enum step {
	STEP_ADOPT,
	STEP_CREATE,
	STEP_LISTEN,
	STEP_DESTROY,
	STEP_CLOSE,
	STEP_SOCKET,
	STEP_SOCKET_CLOSE,
	STEP_COUNT
};

static const char *const names[STEP_COUNT] = {
	[STEP_ADOPT] = "adopting the programs",
	[STEP_CREATE] = "rules and a slot for the run",
	[STEP_LISTEN] = "reading its events",
	[STEP_DESTROY] = "giving them back",
	[STEP_CLOSE] = "letting the programs go",
	[STEP_SOCKET] = "the run's control socket",
	[STEP_SOCKET_CLOSE] = "removing it",
};

static uint64_t times_ns[STEP_COUNT][ROUNDS];

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t lap(enum step step, int round, uint64_t begun)
{
	uint64_t now = now_ns();

	times_ns[step][round] = now - begun;
	return now_ns();
}

static int ascending(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static void ignore_event(void *context, const struct meter_event *event, const char *text)
{
	(void)context;
	(void)event;
	(void)text;
}

static int meter_once(const Berm__Wire__HostFacts *facts, int round, struct error *err)
{
	const struct meter_net_rule all = {.last_port = UINT16_MAX, .allow = true};
	struct meter_rules rules = {.networks = &all, .network_count = 1};
	struct meter_run_request request = {.run_id = 1 + (uint64_t)round};
	struct meter_events *events = NULL;
	struct error lacks = {0};
	struct meter *meter = NULL;
	uint64_t begun = now_ns();
	uint32_t slot = 0;
	int r = metering_open_proved(facts, &meter, &lacks, err);

	if (r)
		return r;
	begun = lap(STEP_ADOPT, round, begun);
	r = meter_scope_create(meter, &rules, &request.scope, err);
	if (r == 0)
		r = meter_run_create(meter, &request, &slot, err);
	begun = lap(STEP_CREATE, round, begun);
	if (r == 0)
		r = meter_events_open(meter, slot, ignore_event, NULL, &events, err);
	begun = lap(STEP_LISTEN, round, begun);
	meter_events_close(events);
	meter_run_destroy(meter, slot);
	meter_scope_destroy(meter, request.scope);
	begun = lap(STEP_DESTROY, round, begun);
	if (r == 0 && !meter_adopted(meter) && round)
		r = error_set(err, -ESTALE, ERROR_INTERNAL, "the programs were loaded again");
	meter_close(meter);
	(void)lap(STEP_CLOSE, round, begun);
	return r;
}

static int no_status(void *context, Berm__Wire__RunStatus *status)
{
	(void)context;
	(void)status;
	return -ENOSYS;
}

static int no_posture(void *context, unsigned posture, struct error *err)
{
	(void)context;
	(void)posture;
	return error_set(err, -ENOSYS, ERROR_INTERNAL, "nothing");
}

static int socket_once(int round, struct error *err)
{
	const struct control_actions actions = {NULL, no_status, no_posture};
	struct run_socket socket = {.directory_fd = -1, .listen_fd = -1};
	struct control control = {.epoll_fd = -1};
	char run_id[RUN_ID_LENGTH + 1];
	int r = run_id_make(run_id, err);
	uint64_t begun = now_ns();

	if (r == 0)
		r = runs_enter(run_id, geteuid(), &socket, err);
	if (r == 0)
		r = control_open(&control, socket.listen_fd, geteuid(), &actions, err);
	begun = lap(STEP_SOCKET, round, begun);
	control_close(&control);
	runs_leave(&socket);
	(void)lap(STEP_SOCKET_CLOSE, round, begun);
	return r;
}

int main(void)
{
	Berm__Wire__HostFacts facts;
	struct stat st;
	char v2[] = "v2", hybrid[] = "hybrid";
	struct error err = {0};
	int r = 0;

	berm__wire__host_facts__init(&facts);
	facts.cgroup_layout = stat("/sys/fs/cgroup/unified", &st) == 0 ? hybrid : v2;
	for (int round = 0; r == 0 && round < ROUNDS; round++) {
		r = socket_once(round, &err);
		if (r == 0)
			r = meter_once(&facts, round, &err);
	}
	if (r) {
		fprintf(stderr, "bench-start: %s\n", err.text);
		return 1;
	}
	for (int step = 0; step < STEP_COUNT; step++) {
		qsort(times_ns[step], ROUNDS, sizeof(uint64_t), ascending);
		printf("%s: least %.1f us, median %.1f us\n", names[step],
			(double)times_ns[step][0] / 1e3, (double)times_ns[step][ROUNDS / 2] / 1e3);
	}
	return 0;
}
