/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/act.h"

#include "base/failpoint.h"
#include "daemon/recorder-client.h"
#include "daemon/run-id.h"

int act_record(const struct act *act, unsigned timeout_ms, struct error *err)
{
	char id[RUN_ID_LENGTH + 1];
	const struct recorder_client_options options = {.state = act->state,
		.info = {.run = id, .agent_id = act->agent, .group = act->group},
		.act = true};
	struct recorder_client *client = NULL;
	int r = run_id_make(id, err);

	if (r == 0)
		r = recorder_client_open(&options, &client, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < act->count; i++)
		recorder_client_append(client, RECORD_RING_DECISIONS, act->records[i]);
	failpoint("act.told");
	r = recorder_client_finish(client, false, timeout_ms, err);
	failpoint("act.on-disk");
	recorder_client_close(client);
	return r;
}
