/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/live-place.h"

#include "base/log.h"

#include <signal.h>

int live_place_tell(struct live_place *place, const struct session *session,
	const struct run_socket *socket, const struct run_entry *entry, struct error *err)
{
	const Berm__Wire__Agent *agent = session_agent(session);
	const struct run_owner owner = {.uid = session->caller.uid,
		.supervised = session->request->client != NULL,
		.state = run_state_of(session->places.state),
		.agent = agent ? agent->id : NULL,
		.group = agent ? agent->group : NULL,
		.staged = place->staged};
	int r = runs_place_write(socket, entry->init_pid, entry->cgroup_fd, &owner, err);

	place->is_told = r == 0;
	return r;
}

void live_place_look(
	struct live_place *place, const struct session *session, const struct run_socket *socket)
{
	const struct effects *e = &session->effects;

	if (!place->is_told || (place->posture == e->posture && place->phase == e->phase))
		return;
	place->posture = e->posture;
	place->phase = e->phase;
	runs_place_posture(socket, e->posture, e->phase);
}

void live_place_killer(const struct run_socket *socket, struct run_result *result)
{
	char words[RUNS_WORDS_MAX];

	/* Between its place and its start there is nothing yet but the first process. */
	if ((result->outcome != RUN_KILLED && result->outcome != RUN_SETUP_FAILED) ||
		!runs_was_killed(socket, words))
		return;
	if (result->outcome == RUN_SETUP_FAILED) {
		result->outcome = RUN_KILLED;
		result->signal = SIGKILL;
		result->code = 128 + SIGKILL;
	}
	error_set(&result->error, -ECANCELED, ERROR_REFUSED, "killed by %s", words);
	log_line("run: %s", result->error.text);
}
