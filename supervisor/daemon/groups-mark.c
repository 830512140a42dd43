/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/groups-internal.h"

#include "base/failpoint.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TYPE (&berm__wire__group_kill__descriptor)
#define NAME_BYTES (PACE_NAME_MAX + 8)

static const char *mark_of(const char *group, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "%s.kill", group);
	return name;
}

int group_mark_is_there(const struct groups *groups, const char *name, struct error *err)
{
	char mark[NAME_BYTES];

	if (faccessat(groups->dir_fd, mark_of(name, mark), F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT
		       ? 0
		       : error_errno(err, "whether the group %s was put into emergency", name);
}

int group_mark_write(
	const struct groups *groups, const Berm__Wire__GroupKill *kill, struct error *err)
{
	const struct state_place place = {&storage_system, groups->dir_fd};
	char mark[NAME_BYTES];
	int r;

	failpoint("mark.writing");
	r = state_file_write_alone(&place, mark_of(kill->group, mark), &kill->base, err);
	failpoint("mark.written");
	return r;
}

static bool is_good(const Berm__Wire__GroupKill *kill, const char *name)
{
	return kill->version == 1 && strcmp(kill->group, name) == 0 &&
	       kill->id.len == PACE_ID_BYTES && kill->trigger < PACE_TRIGGER_COUNT &&
	       kill->authority < PACE_AUTHORITY_COUNT &&
	       (!kill->agent[0] || agent_id_is_good(kill->agent)) &&
	       (!kill->by[0] || strlen(kill->by) <= PACE_NAME_MAX) &&
	       kill->reason.len <= AUTHORITY_REASON_MAX &&
	       (kill->key.len == 0 || (kill->key.len == AUTHORITY_KEY_BYTES &&
					      kill->nonce.len == PACE_NONCE_BYTES));
}

Berm__Wire__GroupKill *group_mark_read(const struct groups *groups, const char *name)
{
	const struct state_place place = {&storage_system, groups->dir_fd};
	Berm__Wire__GroupKill *kill;
	char mark[NAME_BYTES];
	struct error ignored = {0};
	void *message = NULL;

	if (state_file_read(&place, mark_of(name, mark), TYPE, &message, &ignored) < 0)
		return NULL;
	kill = message;
	failpoint("mark.found");
	if (is_good(kill, name))
		return kill;
	berm__wire__group_kill__free_unpacked(kill, NULL);
	return NULL;
}

int group_mark_remove(const struct groups *groups, const char *name, struct error *err)
{
	const struct state_place place = {&storage_system, groups->dir_fd};
	char mark[NAME_BYTES];
	int r;

	failpoint("mark.removing");
	r = state_file_remove(&place, mark_of(name, mark), err);
	failpoint("mark.removed");
	return r == -ENOENT ? 0 : r;
}
