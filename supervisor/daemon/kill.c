/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/kill.h"

#include "daemon/act.h"
#include "daemon/kill-pending.h"
#include "wire/effects.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define MS_NS 1000000ULL
#define RECORD_TIMEOUT_MS 5000

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
	for (size_t i = 0; i < stage->report->count; i++)
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
	memcpy(run->agent, found->agent, sizeof(run->agent));
	memcpy(run->group, found->group, sizeof(run->group));
	run->posture = found->posture;
	run->phase = found->phase;
	run->staged = found->staged;
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
	size_t held = 0;
	int r;

	/* Those of an agent or a group are told by their state directory, wherever they are. */
	if (whose == RUNS_OWN && request->named->scope != NAMED_EVERYTHING)
		whose = RUNS_OWN_ANYWHERE;
	r = runs_find(prefix, whose, gather, stage, &report->more, err);

	/* What was found is dealt with; the rest is said to be left. */
	if (r == -E2BIG) {
		report->more = true;
		r = 0;
	}
	if (r < 0 || stage->freeze)
		return r;
	if (request->held && request->state)
		held = withdraw_count(request->state, prefix);
	if (report->count - stage->first + held > 1)
		return error_set(err, -ENOTUNIQ, ERROR_NOT_FOUND,
			"%zu runs begin with %s; give more of the id",
			report->count - stage->first + held, prefix);
	if (report->count == stage->first)
		return 0;
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
	json_put_string(&j, "agent_id", run->agent[0] ? run->agent : NULL);
	json_put_string(&j, "group", run->group[0] ? run->group : NULL);
	json_put_string(&j, "posture", posture_name(run->posture));
	json_put_string(&j, "phase", phase_name(run->phase));
	/* The change set of that name holds what was written. */
	json_put_string(&j, "changes", run->staged ? run->run_id : NULL);
	/* What was begun is begun by who puts the whole together. */
	return text.failed ? NULL : strdup(text_string(&text) + 1);
}

static unsigned evidence_ms(const struct kill_report *report)
{
	unsigned ms = left_ms(report->asked_ns + KILL_EVIDENCE_UNTIL_MS * MS_NS);

	if (ms < KILL_EVIDENCE_LEAST_MS)
		return KILL_EVIDENCE_LEAST_MS;
	return ms < KILL_EVIDENCE_MS ? ms : KILL_EVIDENCE_MS;
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
	evidence_look(subjects, count, evidence_ms(stage->report));
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

static void see_gone(struct kill_report *report)
{
	uint64_t deadline = now_ns() + KILL_WAIT_MS * MS_NS;

	for (size_t i = 0; i < report->count; i++) {
		struct killed *run = &report->runs[i];

		if (run->gone_ns)
			continue;
		if (run->error.code == 0 && outside_wait(&run->run, left_ms(deadline)))
			run->gone_ns = now_ns();
		else if (run->error.code == 0)
			error_set(&run->error, -ETIMEDOUT, ERROR_INTERNAL,
				"it is still there after %d ms: a process waits in the kernel",
				KILL_WAIT_MS);
	}
}

/* Nobody killed what only begins with the same letters. */
static void forget(const struct stage *stage)
{
	while (stage->report->count > stage->first)
		outside_close(&stage->report->runs[--stage->report->count].run);
}

/* From finding to the word that ends them: this user's own runs have it before others' are touched.
 */
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

	if (r == -ENOTUNIQ)
		forget(&stage);
	if (r < 0)
		return r;
	see_frozen(&stage);
	look(request, &stage);
	end(request, &stage);
	return 0;
}

/* ---- those that have no place yet ---- */

static bool is_reported(const void *context, const char *run_id)
{
	const struct kill_report *report = context;

	for (size_t i = 0; i < report->count; i++)
		if (strcmp(report->runs[i].run_id, run_id) == 0)
			return true;
	/* What was held and is not any more does not begin. */
	for (size_t i = 0; i < report->withdrawn.count; i++)
		if (strcmp(report->withdrawn.items[i].run, run_id) == 0)
			return true;
	return false;
}

static unsigned count_unfound(const struct kill_request *request, struct kill_report *report)
{
	struct runs_named *named = request->named;
	struct error err = {0};

	switch (named->scope) {
	case NAMED_AGENT:
	case NAMED_GROUP:
		if (!request->state)
			return 0;
		if (runs_named_refresh(request->state, named, &err) < 0)
			named->unsure = err;
		return runs_named_unfound(request->state, named, is_reported, report);
	case NAMED_EVERYTHING:
		return runs_without_place("");
	case NAMED_RUN:
		return report->count ? 0 : runs_without_place(named->of);
	}
	return 0;
}

/* One that had its yes already may have its place since the others were looked for; one that has
 * none yet finds that its yes is gone. */
static int take_held_ones(
	const struct kill_request *request, struct kill_report *report, struct error *err)
{
	char words[RUNS_WORDS_MAX];
	int r = 0;

	if (!request->held || !request->state)
		return 0;
	snprintf(words, sizeof(words), "%s%s%s", request->by, request->reason ? ": " : "",
		request->reason ? request->reason : "");
	(void)!withdraw_held(
		request->state, request->named, words, &report->withdrawn, &report->not_withdrawn);
	if (report->withdrawn.was_approved) {
		r = do_stage(request, RUNS_OWN, report, err);
		see_gone(report);
	}
	return r;
}

/* A run that was about to begin is killed when it has; one that takes longer is told. */
static int take_late_ones(
	const struct kill_request *request, struct kill_report *report, struct error *err)
{
	const struct timespec pause = {.tv_nsec = 10 * MS_NS};
	uint64_t deadline = now_ns() + request->begin_ms * MS_NS;
	int r = 0;

	while (r == 0 && (report->unfound = count_unfound(request, report)) > 0) {
		if (now_ns() >= deadline)
			break;
		nanosleep(&pause, NULL);
		r = do_stage(request, RUNS_OWN, report, err);
		see_gone(report);
	}
	return r;
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

void kill_keep(const struct kill_request *request, struct kill_report *report)
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
	if (report->not_recorded.code == 0)
		(void)!evidence_settle(request->state, report->asked_wall_s, &report->not_recorded);
	if (act_record(
		    &(const struct act){
			    .state = request->state, .records = pointers, .count = report->count},
		    RECORD_TIMEOUT_MS, &report->not_recorded) < 0)
		kill_pending_put(request->state, kills, report->count);
	report->took_ns = now_ns() - report->asked_ns;
}

/* A thousand runs are some thousand descriptors: as many as this process may have, for as long as
 * it takes. */
static struct rlimit raise_descriptors(void)
{
	struct rlimit limit = {0}, raised;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		raised = limit;
		raised.rlim_cur = raised.rlim_max;
		setrlimit(RLIMIT_NOFILE, &raised);
	}
	return limit;
}

int kill_runs(const struct kill_request *request, struct kill_report *ret_report, struct error *err)
{
	struct kill_report *report = ret_report;
	struct rlimit before;
	int r, usual;

	*report = (struct kill_report){.runs = calloc(KILL_RUNS_MAX, sizeof(*report->runs)),
		.asked_ns = now_ns(),
		.asked_wall_s = time(NULL)};
	if (!report->runs)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	before = raise_descriptors();
	usual = kill_go_first();
	r = do_stage(request, RUNS_OWN, report, err);
	if (r == 0 && request->all_users &&
		(request->named->scope != NAMED_RUN || report->count == 0))
		r = do_stage(request, RUNS_OTHERS, report, err);
	see_gone(report);
	kill_go_as_before(usual);
	if (r == 0)
		r = take_held_ones(request, report, err);
	if (r == 0)
		r = take_late_ones(request, report, err);
	if (r == 0 && report->count == 0 && report->unfound == 0 && report->withdrawn.count == 0 &&
		!report->withdrawn.was_approved && report->not_withdrawn.code == 0 &&
		request->named->scope == NAMED_RUN)
		r = error_set(
			err, -ENOENT, ERROR_NOT_FOUND, "no run begins with %s", request->named->of);
	if (request->state && report->count && !request->keep_later)
		kill_keep(request, report);
	if (before.rlim_max)
		setrlimit(RLIMIT_NOFILE, &before);
	report->took_ns = now_ns() - report->asked_ns;
	return r;
}

uint64_t kill_report_t(const struct kill_report *report)
{
	uint64_t t = 0;

	for (size_t i = 0; i < report->count; i++) {
		if (report->runs[i].gone_ns == 0)
			return 0;
		if (report->runs[i].gone_ns > t)
			t = report->runs[i].gone_ns;
	}
	return report->unfound || report->more ? 0 : t;
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
	withdrawal_finish(&report->withdrawn);
	free(report->runs);
	*report = (struct kill_report){0};
}
