/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/kill.h"

#include "daemon/act.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

#define MS_NS 1000000ULL
#define RECORD_TIMEOUT_MS 5000
#define STATUS_VERSION 1

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static unsigned left_ms(uint64_t deadline_ns)
{
	uint64_t now = now_ns();

	return now >= deadline_ns ? 0 : (unsigned)((deadline_ns - now + MS_NS - 1) / MS_NS);
}

/* ---- which ---- */

struct gathering {
	struct kill_report *report;
	bool freeze;
};

/* Each is stopped as soon as it is found: finding the others takes its time. */
static int gather(void *context, struct run_found *found)
{
	struct gathering *g = context;
	struct kill_report *report = g->report;
	struct killed *run;

	if (report->count == KILL_RUNS_MAX)
		return -E2BIG;
	run = &report->runs[report->count++];
	memcpy(run->run_id, found->run_id, sizeof(run->run_id));
	run->uid = found->uid;
	run->directory_fd = fcntl(found->directory_fd, F_DUPFD_CLOEXEC, 3);
	run->run = found->outside;
	run->error = found->error;
	found->outside = (struct outside)OUTSIDE_NONE;
	if (g->freeze && run->run.init_fd >= 0)
		outside_freeze(&run->run);
	return 0;
}

static int find(const struct kill_request *request, struct kill_report *report, struct error *err)
{
	struct gathering g = {report, request->prefix[0] == '\0'};
	int r = runs_find(request->prefix, request->all_users, gather, &g, err);

	/* What was found is dealt with; the rest is said to be left. */
	if (r == -E2BIG) {
		report->more = true;
		r = 0;
	}
	if (r < 0 || g.freeze)
		return r;
	if (report->count == 0)
		return error_set(
			err, -ENOENT, ERROR_NOT_FOUND, "no run begins with %s", request->prefix);
	if (report->count > 1)
		return error_set(err, -ENOTUNIQ, ERROR_NOT_FOUND,
			"%zu runs begin with %s; give more of the id", report->count,
			request->prefix);
	if (report->runs[0].run.init_fd >= 0)
		outside_freeze(&report->runs[0].run);
	return 0;
}

/* ---- the deed ---- */

/* From then on nothing of the run went on, where it can be told. */
static void see_frozen(struct kill_report *report)
{
	const struct timespec pause = {.tv_nsec = 200000};
	uint64_t deadline = report->asked_ns + KILL_FREEZE_MS * MS_NS;

	for (bool all = false; !all; nanosleep(&pause, NULL)) {
		all = true;
		for (size_t i = 0; i < report->count; i++) {
			struct killed *run = &report->runs[i];

			if (run->frozen_ns || run->run.cgroup_fd < 0)
				continue;
			if (outside_is_frozen(&run->run))
				run->frozen_ns = now_ns();
			else
				all = false;
		}
		if (now_ns() >= deadline)
			return;
	}
}

static void look(const struct kill_request *request, struct kill_report *report)
{
	uint64_t deadline = now_ns() + KILL_EVIDENCE_MS * MS_NS;
	struct evidence_table table = {0};

	if (request->state)
		evidence_scan(&table);
	for (size_t i = 0; request->state && i < report->count; i++) {
		struct killed *run = &report->runs[i];
		struct text text = {0};
		struct json j = {.out = &text};

		json_object_begin(&j, NULL);
		json_put_u64(&j, "version", STATUS_VERSION);
		json_put_string(&j, "run", run->run_id);
		json_put_u64(&j, "uid", run->uid);
		json_put_string(&j, "by", request->by);
		json_put_string(&j, "reason", request->reason);
		json_put_u64(&j, "asked_boot_ns", report->asked_ns);
		json_put_u64(&j, "frozen_boot_ns", run->frozen_ns);
		evidence_gather(&table, run->run.init_pid, deadline, &j, &run->evidence);
		json_object_end(&j);
		text_puts(&text, "\n");
		/* The disk is not waited for now: see keep(). */
		run->evidence_text = text;
	}
	evidence_table_finish(&table);
}

static void end(const struct kill_request *request, struct kill_report *report)
{
	char words[RUNS_WORDS_MAX];

	snprintf(words, sizeof(words), "%s%s%s", request->by, request->reason ? ": " : "",
		request->reason ? request->reason : "");
	for (size_t i = 0; i < report->count; i++) {
		struct killed *run = &report->runs[i];
		const struct run_found found = {.directory_fd = run->directory_fd};
		struct run_found named = found;

		memcpy(named.run_id, run->run_id, sizeof(named.run_id));
		if (run->run.init_fd < 0)
			continue;
		runs_say_killed(&named, words);
		(void)!outside_kill(&run->run, &run->error);
	}
}

static void see_gone(struct kill_report *report)
{
	uint64_t deadline = now_ns() + KILL_WAIT_MS * MS_NS;

	for (size_t i = 0; i < report->count; i++) {
		struct killed *run = &report->runs[i];

		if (run->error.code == 0 && outside_wait(&run->run, left_ms(deadline)))
			run->gone_ns = now_ns();
		else if (run->error.code == 0)
			error_set(&run->error, -ETIMEDOUT, ERROR_INTERNAL,
				"it is still there after %d ms: a process waits in the kernel",
				KILL_WAIT_MS);
	}
}

/* ---- what is kept of it ---- */

static void fill(const struct kill_request *request, const struct kill_report *report,
	struct killed *run, Berm__Wire__Kill *kill)
{
	berm__wire__kill__init(kill);
	kill->killed = run->run_id;
	kill->by = (char *)(uintptr_t)request->by;
	if (request->reason) {
		kill->has_reason = true;
		kill->reason = (ProtobufCBinaryData){
			strlen(request->reason), (uint8_t *)(uintptr_t)request->reason};
	}
	kill->has_asked_boot_ns = true;
	kill->asked_boot_ns = report->asked_ns;
	kill->has_frozen_boot_ns = run->frozen_ns != 0;
	kill->frozen_boot_ns = run->frozen_ns;
	kill->has_gone_boot_ns = run->gone_ns != 0;
	kill->gone_boot_ns = run->gone_ns;
	kill->has_processes = true;
	kill->processes = run->evidence.processes;
	if (run->evidence.name[0]) {
		kill->evidence = run->evidence.name;
		kill->has_evidence_digest = true;
		kill->evidence_digest =
			(ProtobufCBinaryData){EVIDENCE_DIGEST_BYTES, run->evidence.digest};
	}
}

static void keep(const struct kill_request *request, struct kill_report *report)
{
	autofree Berm__Wire__Record *records = calloc(report->count + 1, sizeof(*records));
	autofree const Berm__Wire__Record **pointers = calloc(report->count + 1, sizeof(*pointers));
	autofree Berm__Wire__Kill *kills = calloc(report->count + 1, sizeof(*kills));

	if (!records || !pointers || !kills) {
		error_set(&report->not_recorded, -ENOMEM, ERROR_INTERNAL, "out of memory");
		return;
	}
	for (size_t i = 0; i < report->count; i++) {
		struct killed *run = &report->runs[i];
		struct error err = {0};

		if (evidence_keep(request->state, run->run_id, &run->evidence_text, &run->evidence,
			    &err) < 0 &&
			report->not_recorded.code == 0)
			report->not_recorded = err;
		fill(request, report, run, &kills[i]);
		berm__wire__record__init(&records[i]);
		records[i].body_case = BERM__WIRE__RECORD__BODY_KILL;
		records[i].kill = &kills[i];
		pointers[i] = &records[i];
	}
	(void)!act_record(
		&(const struct act){
			.state = request->state, .records = pointers, .count = report->count},
		RECORD_TIMEOUT_MS, &report->not_recorded);
}

int kill_runs(const struct kill_request *request, struct kill_report *ret_report, struct error *err)
{
	struct kill_report *report = ret_report;
	int r;

	*report = (struct kill_report){
		.runs = calloc(KILL_RUNS_MAX, sizeof(*report->runs)), .asked_ns = now_ns()};
	if (!report->runs)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	r = find(request, report, err);
	if (r < 0)
		return r;
	see_frozen(report);
	look(request, report);
	end(request, report);
	see_gone(report);
	if (request->state && report->count)
		keep(request, report);
	report->took_ns = now_ns() - report->asked_ns;
	return 0;
}

void kill_finish(struct kill_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		outside_close(&report->runs[i].run);
		own_close(&report->runs[i].directory_fd);
		text_finish(&report->runs[i].evidence_text);
	}
	free(report->runs);
	*report = (struct kill_report){0};
}
