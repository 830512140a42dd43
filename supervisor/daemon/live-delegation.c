/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/live-delegation.h"

#include "base/log.h"
#include "daemon/metering.h"

static void on_refused(struct session *session, enum delegation_rule rule, const char *target)
{
	const struct denial_rule from = {.key = delegation_rule_name(rule),
		.file = "",
		.reason = delegation_rule_words(rule)};
	size_t before = session->denials.count;

	denials_add(&session->denials, "delegate", target, &from);
	if (session->denials.count > before)
		recording_denials(session);
}

int live_delegation_begin(
	struct live_delegation *d, struct session *session, int epoll_fd, struct error *err)
{
	d->below.refused = on_refused;
	if (delegations_are_allowed(session))
		delegations_begin(&d->below, session, epoll_fd);
	return delegated_watch(&d->above, session->request->delegated, epoll_fd, err);
}

/* What the run above is in, added to this one; what it is in no longer is taken back where this run
 * has it from there alone. What cannot be enforced on a run without a meter freezes it. */
static bool apply(struct delegated_link *link, struct session *session, struct metering *metering,
	struct run_handle *handle)
{
	unsigned before = session->effects.posture;
	unsigned wanted = (before & ~(link->added & ~link->floor)) | link->floor;
	struct error err = {0};
	int r;

	link->added = (link->added | (link->floor & ~before)) & link->floor;
	if (wanted == before || !handle)
		return false;
	log_line("run %s: the run that delegated it is %s; it is %s now", session->run_id,
		posture_name(link->floor), posture_name(wanted));
	if (wanted & POSTURE_DEAD_BIT) {
		run_kill(handle, RUN_BREAKER);
		return true;
	}
	r = metering ? metering_set(metering, wanted, &err)
		     : run_freeze(handle, wanted != POSTURE_OPEN, &err);
	/* What does not take back is narrower, and stays. */
	if (r < 0 && link->floor & ~before)
		run_kill(handle, RUN_BREAKER);
	else if (r == 0 && !metering)
		session->effects.posture = wanted ? POSTURE_FROZEN : POSTURE_OPEN;
	return true;
}

int live_delegation_enter(struct live_delegation *d, struct session *session,
	const struct run_entry *entry, struct metering *metering, struct error *err)
{
	delegations_enter(&d->below, entry);
	(void)live_delegation_look(d, session, metering, entry->handle);
	if (d->above.ended)
		return error_set(err, -ECANCELED, ERROR_REFUSED,
			"the run that delegated this one has ended");
	(void)apply(&d->above, session, metering, entry->handle);
	return 0;
}

bool live_delegation_look(struct live_delegation *d, struct session *session,
	struct metering *metering, struct run_handle *handle)
{
	const char *why = "";

	delegations_look(&d->below);
	switch (delegated_look(&d->above, &why)) {
	case DELEGATED_NOTHING:
		return false;
	case DELEGATED_POSTURE:
		return apply(&d->above, session, metering, handle);
	case DELEGATED_END:
		break;
	}
	log_line("run %s is ended: %s", session->run_id, why);
	d->why = why;
	if (handle)
		run_kill(handle, RUN_KILLED);
	return false;
}

unsigned live_delegation_floor(const struct live_delegation *d)
{
	return d->above.origin ? d->above.floor : 0;
}

void live_delegation_end(struct live_delegation *d, struct run_result *result)
{
	if (d->why && result->outcome == RUN_KILLED)
		error_set(&result->error, -ECANCELED, ERROR_REFUSED, "ended, since %s", d->why);
	delegations_end(&d->below);
}
