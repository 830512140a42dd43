/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/own-state.h"

#include "base/path.h"
#include "daemon/recorder-place.h"

#include <limits.h>
#include <string.h>

void own_state_prepare(const struct session *session)
{
	struct recorder_place place = RECORDER_PLACE_NONE;
	struct error ignored = {0};

	if (access(session->places.state, F_OK) == 0)
		return;
	if (recorder_place_open(session->places.state, &place, &ignored) == 0)
		recorder_place_close(&place);
}

static bool overlap(const char *a, const char *b)
{
	return path_is_beneath(a, b) || path_is_beneath(b, a);
}

bool own_state_is_reached(const struct session *session)
{
	const Berm__Wire__Plan *plan = session->plan;
	autofree char *real = realpath(session->places.state, NULL);

	for (size_t i = 0; real && i < plan->n_mounts; i++)
		if (plan->mounts[i]->kind == BERM__WIRE__MOUNT_KIND__MOUNT_BIND &&
			overlap(plan->mounts[i]->source, real))
			return true;
	return false;
}

int own_state_deny(struct session *session, struct error *err)
{
	struct path_rules *deny = &session->profile->fs.deny;

	session->own_deny = calloc(deny->count + 1, sizeof(*session->own_deny));
	if (!session->own_deny)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (deny->count)
		memcpy(session->own_deny, deny->items, deny->count * sizeof(*deny->items));
	session->own_deny[deny->count] = (struct path_rule){.path = session->places.state,
		.written = session->places.state,
		.reason = "berm's own records and keys",
		.at = {.file = ""}};
	deny->items = session->own_deny;
	deny->count++;
	return 0;
}
