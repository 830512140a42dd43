/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/agent-group.h"

#include "govern/pace-message.h"
#include "wire/pace.pb-c.h"

#include <fcntl.h>
#include <string.h>

#define STEPS_MAX 16 /* changes that time alone can bring at once */

static int read_group(int dir, const char *name, struct pace_group *ret_group, struct error *err)
{
	const struct state_place place = {&storage_system, dir};
	autofree uint8_t *bytes = NULL;
	void *message = NULL;
	size_t length;
	int r = state_file_read(&place, name, &berm__wire__group_state__descriptor, &message, err);

	if (r < 0)
		return r;
	length = protobuf_c_message_get_packed_size(message);
	bytes = malloc(length + 1);
	if (bytes)
		protobuf_c_message_pack(message, bytes);
	protobuf_c_message_free_unpacked(message, NULL);
	return bytes ? pace_unpack(bytes, length, ret_group, err)
		     : error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
}

static void look(struct pace_group *group, const Berm__Wire__Agent *agent,
	const struct agent_now *now, struct pace_effects *ret_effects)
{
	struct pace_now pace_now = {.boot_ms = now->boot_ms, .wall_ms = now->wall_ms};
	struct pace_outcome outcome = {.result = PACE_CHANGED};

	memcpy(pace_now.boot_id, now->boot_id, sizeof(pace_now.boot_id));
	/* What is due is taken to have come; it is for others to write it down. */
	for (unsigned i = 0; i < STEPS_MAX && outcome.result == PACE_CHANGED; i++)
		pace_tick(group, &pace_now, &outcome);
	pace_effects(group, agent->name, ret_effects);
}

int agent_group(const struct agents *agents, const Berm__Wire__Agent *agent,
	const struct agent_now *now, struct admission_group *ret_group, struct error *err)
{
	autofree struct pace_group *group = NULL;
	struct pace_effects effects = {0};
	autoclose int dir = -1;
	int r;

	*ret_group = (struct admission_group){0};
	if (!agent->group[0])
		return 0;
	dir = openat(agents->state_fd, GROUPS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0 && errno == ENOENT)
		return 0;
	if (dir < 0)
		return error_errno(err, "the groups' directory");
	group = calloc(1, sizeof(*group));
	if (!group)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	r = read_group(dir, agent->group, group, err);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	look(group, agent, now, &effects);
	ret_group->no_start = !effects.may_start;
	ret_group->read_only = effects.read_only;
	ret_group->approval = effects.approve_runs;
	ret_group->why = effects.why;
	return 0;
}
