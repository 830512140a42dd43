/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/perform.h"

#include "base/limits.h"
#include "daemon/planner.h"
#include "daemon/status.h"

#include <signal.h>

#define EXIT_BAD_INPUT 2
#define EXIT_SETUP 125
#define EXIT_REFUSED 126
#define EXIT_NOT_FOUND 127

static const int exit_codes[ERROR_KIND_COUNT] = {
	[ERROR_INTERNAL] = EXIT_SETUP,
	[ERROR_INPUT] = EXIT_BAD_INPUT,
	[ERROR_UNSUPPORTED] = EXIT_SETUP,
	[ERROR_REFUSED] = EXIT_REFUSED,
	[ERROR_NOT_FOUND] = EXIT_NOT_FOUND,
};

int perform_exit_code(const struct error *err)
{
	return err->kind < ERROR_KIND_COUNT ? exit_codes[err->kind] : EXIT_SETUP;
}

static void put_words(const struct performance_wanted *wanted, const struct status *status,
	struct performance *performance)
{
	performance->code = status->code;
	if (wanted->record)
		status_record(status, &performance->record);
	if (wanted->footer)
		status_footer(status, &performance->footer);
}

/* Nothing ran: say why, with the profile's own errors where those are the reason. */
static void tell_failure(const struct performance_wanted *wanted, struct session *session,
	const struct error *err, struct performance *performance)
{
	struct status status = {
		.run_id = session->run_id,
		.outcome = err->kind == ERROR_REFUSED || err->kind == ERROR_NOT_FOUND
				   ? RUN_REFUSED
				   : RUN_SETUP_FAILED,
		.code = perform_exit_code(err),
		.error = err->text,
		.profile = session->profile,
		.plan = session->plan,
		.denials = &session->denials,
		.effects = &session->effects,
		.agent = session_agent(session),
		.chain = &session->chain,
	};

	if (session->diagnostics.length && err->kind == ERROR_INPUT)
		text_append(&performance->diagnostics, session->diagnostics.data,
			session->diagnostics.length);
	snprintf(performance->reason, sizeof(performance->reason), "%s", err->text);
	session_refused(
		session, &(struct run_result){
				 .outcome = status.outcome, .code = status.code, .error = *err});
	performance->was_refused = true;
	status.recorder = recording_words(session);
	put_words(wanted, &status, performance);
}

static void tell_result(const struct performance_wanted *wanted, const struct session *session,
	const struct run_result *result, struct performance *performance)
{
	bool failed = result->outcome == RUN_REFUSED || result->outcome == RUN_SETUP_FAILED;
	const struct status status = {
		.run_id = session->run_id,
		.outcome = result->outcome,
		.code = result->code,
		.signal = result->signal,
		.error = failed ? result->error.text : NULL,
		.profile = session->profile,
		.plan = session->plan,
		.plan_digest = session->plan_digest,
		.denials = &session->denials,
		.effects = &session->effects,
		.duration_ms = result->duration_ms,
		.recorder = recording_words(session),
		.agent = session_agent(session),
		.chain = &session->chain,
		.outputs = session->outputs,
		.output_count = session->output_count,
	};
	char *reason = performance->reason;
	size_t size = sizeof(performance->reason);

	if (failed)
		snprintf(reason, size, "%s", result->error.text);
	else if (result->outcome == RUN_TIMEOUT)
		snprintf(reason, size,
			"the time limit of %llu ms passed; everything of the run was ended",
			(unsigned long long)session->plan->wall_time_ms);
	else if (result->outcome == RUN_OOM)
		snprintf(reason, size,
			"the memory limit was reached; the kernel killed a process of the "
			"run");
	put_words(wanted, &status, performance);
}

/* *ret_signal: what ended the run while it was held, or 0. */
static void perform_session(const struct session_request *request,
	const struct performance_wanted *wanted, struct performance *ret_performance,
	int *ret_signal)
{
	autosession struct session session = {0};
	struct run_result result = {0};
	struct error err = {0};
	int r;

	limits_take_off();
	r = session_load(request, &session, &err);
	if (r == 0)
		r = session_check(&session, &err);
	if (r == 0)
		r = session_compile(&session, &err);
	/* A person can take hours; what was read for the same plan again is read by another. */
	if (r == 0)
		r = planners_done(&err);
	if (r == 0)
		r = session_approve(&session, &err);
	if (r == 0)
		r = planners_done(&err);
	if (r < 0) {
		tell_failure(wanted, &session, &err, ret_performance);
	} else {
		session_run(&session, &result);
		tell_result(wanted, &session, &result, ret_performance);
	}
	*ret_signal = session.held ? session.held->answers.signal : 0;
}

int perform(const struct session_request *request, const struct performance_wanted *wanted,
	struct performance *ret_performance)
{
	int signal_number = 0;

	*ret_performance = (struct performance){0};
	perform_session(request, wanted, ret_performance, &signal_number);
	/* All is told and given back: now it may end this process, as it would have. */
	if (signal_number) {
		signal(signal_number, SIG_DFL);
		raise(signal_number);
	}
	return ret_performance->code;
}

void performance_finish(struct performance *performance)
{
	text_finish(&performance->diagnostics);
	text_finish(&performance->footer);
	text_finish(&performance->record);
}
