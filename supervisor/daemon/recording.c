/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recording.h"

#include "base/log.h"
#include "daemon/recorder-place.h"
#include "daemon/recording-internal.h"
#include "daemon/sinks-role.h"

#include <string.h>
#include <unistd.h>

extern char **environ;

/* Patience at the end of a run, with a disk that is slow. */
#define RECEIPT_MS 5000

static enum recording_level level_of(const Berm__Wire__Recorder *asked)
{
	if (asked->level == BERM__WIRE__RECORDER_LEVEL__RECORDER_FULL)
		return RECORDING_FULL;
	return asked->level == BERM__WIRE__RECORDER_LEVEL__RECORDER_ACTIVITY ? RECORDING_ACTIVITY
									     : RECORDING_DECISIONS;
}

struct recording_policy recording_policy_of(const Berm__Wire__Plan *plan)
{
	const Berm__Wire__Recorder *asked = plan ? plan->recorder : NULL;
	struct recording_policy policy = {
		.level = RECORDING_DECISIONS, .on_failure = RECORDING_STOP};

	if (!asked)
		return policy;
	policy.level = level_of(asked);
	if (asked->on_failure == BERM__WIRE__RECORDER_FAILURE__RECORDER_FAILURE_CONTINUE)
		policy.on_failure = RECORDING_CONTINUE;
	if (asked->on_failure == BERM__WIRE__RECORDER_FAILURE__RECORDER_FAILURE_PHASE) {
		policy.on_failure = RECORDING_PHASE;
		policy.phase = asked->failure_phase;
		policy.posture = asked->failure_posture;
	}
	return policy;
}

struct recording_policy recording_policy(const struct session *session)
{
	return session->recording ? session->recording->policy
				  : (struct recording_policy){.on_failure = RECORDING_CONTINUE};
}

const char *recording_words(const struct session *session)
{
	const struct recording *recording = session->recording;

	if (!recording)
		return NULL;
	return recording->failed ? recording->words : "recorded";
}

/* Nothing more is recorded. 0 where the run goes on all the same. */
static int fail(struct recording *recording, const struct error *why, struct error *err)
{
	if (recording->failed)
		return recording->policy.on_failure == RECORDING_CONTINUE
			       ? 0
			       : error_set(err, why->code, ERROR_INTERNAL, "%s", recording->words);
	recording->failed = true;
	recording->failure = *why;
	snprintf(recording->words, sizeof(recording->words), "not recorded: %s", why->text);
	if (recording->policy.on_failure == RECORDING_CONTINUE) {
		log_line("run: %s", recording->words);
		return 0;
	}
	return error_set(err, why->code, ERROR_INTERNAL,
		"%s; --state-dir names another directory, and recorder: {on_failure: continue} in "
		"the profile lets runs go on without",
		recording->words);
}

static int open_recording(struct session *session, struct recording *recording, struct error *err)
{
	const Berm__Wire__Plan *plan = session->plan;
	const Berm__Wire__Agent *agent = session_agent(session);
	const struct recorder_client_options options = {
		.state = session->places.state,
		.info = {.run = session->run_id,
			.agent_id = agent ? agent->id : NULL,
			.group = agent && agent->group[0] ? agent->group : NULL,
			.profile_digest = session->profile ? session->profile->digest : NULL,
			.enforcement = plan ? recording_enforcement(plan) : 0},
	};

	if (!session->places.state)
		return error_set(err, -ENOENT, ERROR_INTERNAL,
			"no state directory is known, since there is no home directory");
	return recorder_client_open(&options, &recording->client, err);
}

int recording_begin(struct session *session, struct error *err)
{
	struct recording *recording = calloc(1, sizeof(*recording));
	struct error why = {0};

	if (!recording)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory to record the run");
	recording->policy = recording_policy_of(session->plan);
	session->recording = recording;
	if (redaction_make(session->profile, (const char *const *)environ,
		    session->request->env_extra, &recording->redactor, &why) < 0 ||
		open_recording(session, recording, &why) < 0)
		(void)!fail(recording, &why, NULL);
	else
		recording_tell_start(recording, session);
	if (!recording->failed)
		recording_tell_approvals(recording, session);
	if (!recording->failed)
		sinks_launch(session->places.state, session->plan);
	return 0;
}

int recording_ready(struct session *session, struct error *err)
{
	struct recording *recording = session->recording;
	struct error why = {0};

	if (!recording)
		return 0;
	if (!recording->failed && recorder_client_ready(recording->client, &why) == 0)
		return 0;
	return fail(recording, recording->failed ? &recording->failure : &why, err);
}

void recording_denials(struct session *session)
{
	if (session->recording && !session->recording->failed)
		recording_tell_denials(session->recording, session);
}

void recording_look(struct session *session, const char *by)
{
	struct recording *recording = session->recording;

	if (!recording || recording->failed)
		return;
	recording_tell_denials(recording, session);
	recording_tell_effects(recording, session, by);
}

int recording_fd(const struct session *session)
{
	const struct recording *recording = session->recording;

	return recording && !recording->failed ? recorder_client_fd(recording->client) : -1;
}

int recording_handle(struct session *session, struct error *err)
{
	struct recording *recording = session->recording;
	struct error why = {0};

	if (!recording || recording->failed || recorder_client_handle(recording->client, &why) == 0)
		return 0;
	return fail(recording, &why, err);
}

int recording_end(struct session *session, const struct run_result *result, struct error *err)
{
	struct recording *recording = session->recording;
	struct error why = {0};

	if (!recording || recording->ended)
		return 0;
	recording->ended = true;
	if (recording->failed)
		return fail(recording, &recording->failure, err);
	recording_look(session, NULL);
	recording_tell_end(recording, session, result);
	/* The first process of a container takes everything with it when it ends: the log is closed
	 * before that. */
	if (recorder_client_finish(recording->client, getpid() == 1, RECEIPT_MS, &why) == 0)
		return 0;
	return fail(recording, &why, err);
}

void recording_refused(struct session *session, const struct run_result *result)
{
	struct error ignored = {0};

	if (session->recording || !session->run_id[0])
		return;
	session->was_refused = true;
	if (recording_begin(session, &ignored) < 0 || recording_ready(session, &ignored) < 0)
		return;
	(void)!recording_end(session, result, &ignored);
}

void recording_close(struct session *session)
{
	if (!session->recording)
		return;
	recorder_client_close(session->recording->client);
	redactor_destroy(session->recording->redactor);
	own_free(&session->recording);
}
