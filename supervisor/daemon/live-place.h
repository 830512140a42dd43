/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/runs-place.h"
#include "daemon/session.h"

/* What was told of the run. */
struct live_place {
	bool staged; /* said by who begins: its writes wait in a change set */
	bool is_told;
	unsigned posture, phase;
};

/* Tell where the run is, for whoever has to stop it although this process does not answer. */
int live_place_tell(struct live_place *place, const struct session *session,
	const struct run_socket *socket, const struct run_entry *entry,
	struct error *err) must_check;
/* What the run may do is told anew where it is no longer what was told. */
void live_place_look(
	struct live_place *place, const struct session *session, const struct run_socket *socket);
/* Where the end came from outside: who it was stands beside the run's socket, and goes into the
 * result. */
void live_place_killer(const struct run_socket *socket, struct run_result *result);
