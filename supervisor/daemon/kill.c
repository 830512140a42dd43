/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/kill.h"

#include "daemon/act.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#define MS_NS 1000000ULL
#define RECORD_TIMEOUT_MS 5000
#define EVIDENCE_VERSION 1

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

/* Those that one search found: from `first` to the end of the report. */
struct stage {
	const struct runs_named *named;
	struct kill_report *report;
	size_t first;
	bool freeze;
};

/* Two places of one process are one run. */
static bool is_known(const struct stage *stage, const struct run_found *found)
{
	for (size_t i = stage->first; i < stage->report->count; i++)
		if (found->outside.init_fd >= 0 && stage->report->runs[i].run.init_fd >= 0 &&
			stage->report->runs[i].run.init_pid == found->outside.init_pid)
			return true;
	return false;
}

/* One descriptor for all runs of a directory. */
static int keep_directory(struct kill_report *report, const struct run_found *found)
{
	if (report->last_directory != found->directory) {
		int *grown = reallocarray(
			report->directories, report->directory_count + 1, sizeof(*grown));

		if (!grown)
			return -1;
		report->directories = grown;
		grown[report->directory_count++] = fcntl(found->directory_fd, F_DUPFD_CLOEXEC, 3);
		report->last_directory = found->directory;
	}
	return report->directories[report->directory_count - 1];
}

/* Each is stopped as soon as it is found: finding the others takes its time. */
static int gather(void *context, struct run_found *found)
{
	struct stage *stage = context;
	struct kill_report *report = stage->report;
	struct killed *run;

	if (!runs_named_has(stage->named, found) || is_known(stage, found))
		return 0;
	if (report->count == KILL_RUNS_MAX)
		return -E2BIG;
	run = &report->runs[report->count++];
	memcpy(run->run_id, found->run_id, sizeof(run->run_id));
	run->uid = found->uid;
	run->directory_fd = keep_directory(report, found);
	run->run = found->outside;
	run->error = found->error;
	found->outside = (struct outside)OUTSIDE_NONE;
	if (stage->freeze && run->run.init_fd >= 0)
		outside_freeze(&run->run);
	return 0;
}

/* A whole id of another user's run can only be doubled by somebody who points at processes of their
 * own: then these go too. The beginning of an id is a person's, who may have meant another one. */
static int find(const struct kill_request *request, struct stage *stage, enum runs_whose whose,
	struct error *err)
{
	struct kill_report *report = stage->report;
	const char *prefix = request->named->scope == NAMED_RUN ? request->named->of : "";
	int r = runs_find(prefix, whose, gather, stage, &report->more, err);

	/* What was found is dealt with; the rest is said to be left. */
	if (r == -E2BIG) {
		report->more = true;
		r = 0;
	}
	if (r < 0 || stage->freeze || report->count == stage->first)
		return r;
	if (report->count - stage->first > 1)
		return error_set(err, -ENOTUNIQ, ERROR_NOT_FOUND,
			"%zu runs begin with %s; give more of the id", report->count - stage->first,
			prefix);
	if (report->runs[stage->first].run.init_fd >= 0)
		outside_freeze(&report->runs[stage->first].run);
	return 0;
}

/* ---- the deed ---- */

/* From then on nothing of the run went on, where it can be told. */
static void see_frozen(const struct stage *stage)
{
	const struct timespec pause = {.tv_nsec = 200000};
	uint64_t deadline = now_ns() + KILL_FREEZE_MS * MS_NS;

	for (bool all = false; !all && now_ns() < deadline;) {
		all = true;
		for (size_t i = stage->first; i < stage->report->count; i++) {
			struct killed *run = &stage->report->runs[i];

			if (run->frozen_ns || run->run.cgroup_fd < 0)
				continue;
			if (outside_is_frozen(&run->run))
				run->frozen_ns = now_ns();
			else
				all = false;
		}
		if (!all)
			nanosleep(&pause, NULL);
	}
}

/* The members of a run's evidence that are known without looking. */
static char *head_of(const struct kill_request *request, const struct kill_report *report,
	const struct killed *run)
{
	autotext struct text text = {0};
	struct json j = {.out = &text};

	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", EVIDENCE_VERSION);
	json_put_string(&j, "run", run->run_id);
	json_put_u64(&j, "uid", run->uid);
	json_put_string(&j, "by", request->by);
	json_put_string(&j, "reason", request->reason);
	json_put_u64(&j, "asked_boot_ns", report->asked_ns);
	json_put_u64(&j, "frozen_boot_ns", run->frozen_ns);
	/* What was begun is begun by who puts the whole together. */
	return text.failed ? NULL : strdup(text_string(&text) + 1);
}

static void look(const struct kill_request *request, const struct stage *stage)
{
	size_t count = stage->report->count - stage->first;
	struct killed *runs = stage->report->runs + stage->first;
	autofree struct evidence_subject *subjects = calloc(count + 1, sizeof(*subjects));

	if (!request->state || !subjects)
		return;
	for (size_t i = 0; i < count; i++) {
		char *head = head_of(request, stage->report, &runs[i]);

		subjects[i] = (struct evidence_subject){runs[i].run.init_pid, head ? head : "",
			&runs[i].evidence, &runs[i].evidence_text};
	}
	evidence_look(subjects, count, KILL_EVIDENCE_MS);
	for (size_t i = 0; i < count; i++)
		if (subjects[i].head[0])
			free((char *)(uintptr_t)subjects[i].head);
}

static void end(const struct kill_request *request, const struct stage *stage)
{
	char words[RUNS_WORDS_MAX];

	snprintf(words, sizeof(words), "%s%s%s", request->by, request->reason ? ": " : "",
		request->reason ? request->reason : "");
	for (size_t i = stage->first; i < stage->report->count; i++) {
		struct killed *run = &stage->report->runs[i];

		if (run->run.init_fd < 0)
			continue;
		runs_say_killed(run->directory_fd, run->run_id, words);
		(void)!outside_kill(&run->run, &run->error);
	}
}

static void see_gone(const struct stage *stage)
{
	uint64_t deadline = now_ns() + KILL_WAIT_MS * MS_NS;

	for (size_t i = stage->first; i < stage->report->count; i++) {
		struct killed *run = &stage->report->runs[i];

		if (run->error.code == 0 && outside_wait(&run->run, left_ms(deadline)))
			run->gone_ns = now_ns();
		else if (run->error.code == 0)
			error_set(&run->error, -ETIMEDOUT, ERROR_INTERNAL,
				"it is still there after %d ms: a process waits in the kernel",
				KILL_WAIT_MS);
	}
}

/* From finding to the last process gone: this user's own runs are through before others' are
 * touched. */
static int do_stage(const struct kill_request *request, enum runs_whose whose,
	struct kill_report *report, struct error *err)
{
	bool one = request->named->scope == NAMED_RUN;
	bool whole = one && strlen(request->named->of) == RUN_ID_LENGTH;
	struct stage stage = {
		request->named, report, report->count, !one || (whole && whose == RUNS_OTHERS)};
	int r;

	report->last_directory = UINT_MAX;
	r = find(request, &stage, whose, err);

	if (r < 0)
		return r;
	see_frozen(&stage);
	look(request, &stage);
	end(request, &stage);
	see_gone(&stage);
	return 0;
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
	r = do_stage(request, RUNS_OWN, report, err);
	if (r == 0 && request->all_users &&
		(request->named->scope != NAMED_RUN || report->count == 0))
		r = do_stage(request, RUNS_OTHERS, report, err);
	if (r == 0 && report->count == 0 && request->named->scope == NAMED_RUN)
		r = error_set(
			err, -ENOENT, ERROR_NOT_FOUND, "no run begins with %s", request->named->of);
	if (request->state && report->count)
		keep(request, report);
	report->took_ns = now_ns() - report->asked_ns;
	return r;
}

void kill_finish(struct kill_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		outside_close(&report->runs[i].run);
		text_finish(&report->runs[i].evidence_text);
	}
	for (size_t i = 0; i < report->directory_count; i++)
		own_close(&report->directories[i]);
	free(report->directories);
	free(report->runs);
	*report = (struct kill_report){0};
}
