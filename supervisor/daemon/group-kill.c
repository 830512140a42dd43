/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/group-kill.h"

#include "base/failpoint.h"
#include "daemon/kill.h"
#include "govern/pace.h"

/* Nothing of the group starts in its phase: where no run is left, none has a right any more. */
static unsigned done_by(const struct kill_report *report, const struct group_killed *killed)
{
	unsigned done = 0;
	bool kept = true;

	for (size_t i = 0; i < report->count; i++)
		kept &= report->runs[i].evidence.name[0] != '\0';
	if (killed->left == 0)
		done |= PACE_KILL_RUNS | PACE_REVOKE;
	if (kept && killed->left == 0)
		done |= PACE_CAPTURE;
	/* The log has the digests of what was kept. */
	if (kept && killed->left == 0 && report->not_recorded.code == 0)
		done |= PACE_SEAL;
	return done;
}

static void count(const struct kill_report *report, struct group_killed *killed)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct killed *run = &report->runs[i];

		killed->gone += run->gone_ns != 0;
		killed->left += run->gone_ns == 0;
		if (run->gone_ns == 0 && killed->error.code == 0)
			killed->error = run->error;
	}
	killed->left += report->more + report->unfound;
	if (killed->left && killed->error.code == 0)
		error_set(&killed->error, -EAGAIN, ERROR_INTERNAL, "%u begin or cannot be found",
			killed->left);
}

void group_kill(
	const char *state, const char *group, const char *by, struct group_killed *ret_killed)
{
	autonamed struct runs_named named = {0};
	const struct kill_request request = {.named = &named,
		.begin_ms = KILL_BEGIN_MS,
		.reason = "the group is in emergency",
		.by = by,
		.state = state};
	struct kill_report report = {0};
	struct error err = {0};

	*ret_killed = (struct group_killed){0};
	runs_named_group(group, &named);
	/* Where its agents cannot be read, what began in the group is still known. */
	if (runs_named_refresh(state, &named, &err) < 0)
		ret_killed->error = err;
	else if (named.unsure.code)
		ret_killed->error = named.unsure;
	named.state = run_state_of(state);
	ret_killed->left = ret_killed->error.code != 0;
	failpoint("group.killing");
	if (kill_runs(&request, &report, &err) < 0) {
		ret_killed->left++;
		ret_killed->error = err;
	}
	failpoint("group.killed");
	count(&report, ret_killed);
	ret_killed->done = done_by(&report, ret_killed);
	kill_finish(&report);
}
