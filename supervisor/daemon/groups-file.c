/* SPDX-License-Identifier: Apache-2.0 */
#include "base/failpoint.h"
#include "base/io.h"
#include "daemon/agents.h"
#include "daemon/authority-file.h"
#include "daemon/groups-internal.h"
#include "daemon/state-directory.h"
#include "daemon/state-file.h"
#include "govern/pace-message.h"
#include "wire/pace.pb-c.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int groups_open(const char *state, struct groups *ret_groups, struct error *err)
{
	autoclose int fd = state_directory_open(state, err);

	*ret_groups = GROUPS_NONE;
	return fd < 0 ? fd : groups_open_at(fd, state, ret_groups, err);
}

int groups_open_at(int state_fd, const char *state, struct groups *ret_groups, struct error *err)
{
	autogroups struct groups groups = GROUPS_NONE;
	struct stat st;

	*ret_groups = GROUPS_NONE;
	groups.state_fd = fcntl(state_fd, F_DUPFD_CLOEXEC, 3);
	if (groups.state_fd < 0)
		return error_errno(err, "%s", state);
	groups.dir_fd = state_directory_within(groups.state_fd, GROUPS_DIR, 0700, err);
	if (groups.dir_fd < 0)
		return groups.dir_fd;
	if (fstat(groups.state_fd, &st) < 0)
		return error_errno(err, "%s", state);
	groups.owner = st.st_uid;
	groups.state = strdup(state);
	groups.authority = calloc(1, sizeof(*groups.authority));
	if (!groups.state || !groups.authority)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for the groups");
	ret_groups->owner = groups.owner;
	ret_groups->state_fd = take_fd(&groups.state_fd);
	ret_groups->dir_fd = take_fd(&groups.dir_fd);
	ret_groups->state = take_ptr(&groups.state);
	ret_groups->authority = take_ptr(&groups.authority);
	return 0;
}

void groups_close(struct groups *groups)
{
	own_close(&groups->dir_fd);
	own_close(&groups->state_fd);
	own_free(&groups->state);
	own_free(&groups->authority_path);
	own_free(&groups->authority);
}

/* Only the name that is not there at all is no file: one that cannot be looked at is an error. */
static int find_file(struct groups *groups, struct error *err)
{
	const char *found = NULL;
	char *own = NULL;

	if (asprintf(&own, "%s/%s", groups->state, AUTHORITY_FILE) < 0)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for the groups");
	groups->authority_path = own;
	if (faccessat(AT_FDCWD, own, F_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno != ENOENT)
		return error_errno(err, "%s", own);
	if (faccessat(AT_FDCWD, AUTHORITY_FILE_SYSTEM, F_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0)
		found = AUTHORITY_FILE_SYSTEM;
	else if (errno != ENOENT && errno != ENOTDIR)
		return error_errno(err, AUTHORITY_FILE_SYSTEM);
	own_free(&groups->authority_path);
	groups->authority_path = found ? strdup(found) : NULL;
	return found && !groups->authority_path
		       ? error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for the groups")
		       : 0;
}

int groups_authority(struct groups *groups, struct text *diagnostics, struct error *err)
{
	struct authority_person *owner = &groups->authority->people[0];
	int r = find_file(groups, err);

	if (r < 0)
		return r;
	if (groups->authority_path)
		return authority_file_read(
			groups->authority_path, groups->owner, groups->authority, diagnostics, err);
	snprintf(owner->name, sizeof(owner->name), "uid-%u", (unsigned)groups->owner);
	owner->uid = groups->owner;
	owner->roles = 1U << PACE_BY_OPERATOR | 1U << PACE_BY_KILL_KEY;
	groups->authority->person_count = 1;
	return 0;
}

static int read_boot_id(uint8_t id[PACE_BOOT_ID_BYTES], struct error *err)
{
	autofree char *text = NULL;
	size_t length = 0, got = 0;
	int r = io_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text, &length, err);

	if (r < 0)
		return r;
	if (!text || length != 37 ||
		sodium_hex2bin(id, PACE_BOOT_ID_BYTES, text, 36, "-", &got, NULL) != 0 ||
		got != PACE_BOOT_ID_BYTES)
		return error_set(err, -EBADMSG, ERROR_INTERNAL, "the boot's id is none");
	return 0;
}

static uint64_t ms_of(clockid_t clock)
{
	struct timespec ts = {0};

	clock_gettime(clock, &ts);
	return ts.tv_sec < 0 ? 0 : (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int groups_now(struct pace_now *ret_now, struct error *err)
{
	ret_now->boot_ms = ms_of(CLOCK_BOOTTIME);
	ret_now->wall_ms = ms_of(CLOCK_REALTIME);
	return read_boot_id(ret_now->boot_id, err);
}

/* The message without what is about the log, and that apart: govern/ knows no log. */
static int take_log(Berm__Wire__GroupState *message, struct group_log *log)
{
	if (message->n_untold > GROUP_UNTOLD_MAX)
		return -EBADMSG;
	if (log) {
		group_log_finish(log);
		*log = (struct group_log){.told = message->told,
			.planned = message->planned,
			.list = message->untold,
			.count = message->n_untold};
		message->untold = NULL;
	}
	for (size_t i = 0; message->untold && i < message->n_untold; i++)
		free(message->untold[i].data);
	free(message->untold);
	message->untold = NULL;
	message->n_untold = 0;
	message->told = 0;
	message->planned = false;
	return 0;
}

static int pack_again(
	const ProtobufCMessage *message, uint8_t **ret_bytes, size_t *ret_length, struct error *err)
{
	*ret_length = protobuf_c_message_get_packed_size(message);
	*ret_bytes = malloc(*ret_length + 1);
	if (!*ret_bytes)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for a group");
	protobuf_c_message_pack(message, *ret_bytes);
	return 0;
}

int group_read(const struct groups *groups, const char *name, struct pace_group *ret_group,
	struct group_log *log, struct error *err)
{
	const struct state_place place = {&storage_system, groups->dir_fd};
	autofree uint8_t *bytes = NULL;
	void *message = NULL;
	size_t length = 0;
	int r;

	if (!agent_name_is_good(name))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"\"%s\" is no name of a group: up to %d of a-z 0-9 _ -", name,
			PACE_NAME_MAX);
	r = state_file_read(&place, name, &berm__wire__group_state__descriptor, &message, err);
	if (r == -ENOENT)
		return error_set(err, r, ERROR_NOT_FOUND,
			"there is no group \"%s\"; \"berm pace group %s --tier 2\" makes it", name,
			name);
	if (r < 0)
		return r;
	if (take_log(message, log) < 0)
		r = error_set(err, -EBADMSG, ERROR_INTERNAL,
			"the state of a group is damaged: what is not recorded");
	else
		r = pack_again(message, &bytes, &length, err);
	protobuf_c_message_free_unpacked(message, NULL);
	if (r == 0)
		r = pace_unpack(bytes, length, ret_group, err);
	if (r == 0 && strcmp(ret_group->name, name) != 0)
		return error_set(err, -EBADMSG, ERROR_INTERNAL,
			"the file of the group %s is the one of %s", name, ret_group->name);
	failpoint("group.read");
	return r;
}

int group_write(const struct groups *groups, const struct pace_group *group,
	const struct group_log *log, struct error *err)
{
	const struct state_place place = {&storage_system, groups->dir_fd};
	autofree uint8_t *bytes = NULL;
	Berm__Wire__GroupState *message;
	size_t length = 0;
	int r = pace_pack(group, &bytes, &length, err);

	if (r < 0)
		return r;
	message = berm__wire__group_state__unpack(NULL, length, bytes);
	if (!message)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for a group");
	message->told = log->told;
	message->planned = log->planned;
	message->n_untold = log->count;
	message->untold = log->list;
	failpoint("group.writing");
	r = state_file_write(&place, group->name, &message->base, err);
	failpoint("group.written");
	message->untold = NULL;
	message->n_untold = 0;
	berm__wire__group_state__free_unpacked(message, NULL);
	return r;
}

/* What was declared without the lock, as long as nobody has taken it in. */
static void hold_kill(struct pace_group *group, const char *name, const struct pace_now *now)
{
	const struct pace_event kill = {
		.trigger = PACE_KILL, .authority = PACE_BY_KILL_KEY, .to = PHASE_EMERGENCY};
	struct pace_outcome outcome;

	if (!group->name[0]) {
		static const uint8_t id[PACE_ID_BYTES];

		pace_group_start(group, name, id, 1, PHASE_EMERGENCY, now);
		return;
	}
	if (group->phase != PHASE_EMERGENCY)
		pace_apply(group, now, &kill, &outcome);
}

int group_look(const struct groups *groups, const char *name, struct pace_group *ret_group,
	bool *ret_due, struct error *err)
{
	struct pace_now now = {0};
	int r = group_read(groups, name, ret_group, NULL, err), kill;

	*ret_due = false;
	if (r == -ENOENT || r == -EINVAL)
		return r;
	kill = group_mark_is_there(groups, name, r < 0 ? NULL : err);
	/* An emergency is one whether or not the file can be read. */
	if (r < 0 && kill > 0)
		ret_group->name[0] = '\0';
	else if (r < 0 || kill < 0)
		return r < 0 ? r : kill;
	r = (groups->now ? groups->now : groups_now)(&now, err);
	if (r < 0)
		return r;
	if (ret_group->name[0] && !pace_settle(ret_group, &now, PACE_STEPS_MAX, ret_due))
		return error_set(err, -ELOOP, ERROR_INTERNAL,
			"the group %s comes to no phase in which it stays", name);
	if (kill)
		hold_kill(ret_group, name, &now);
	*ret_due |= kill;
	return 0;
}

int groups_look(const struct groups *groups, const char *name, struct pace_group *ret_group,
	struct error *err)
{
	bool due;

	return group_look(groups, name, ret_group, &due, err);
}

int group_agent(const struct groups *groups, const char *group, const char *agent,
	char ret_id[AGENT_ID_BYTES + 1], char ret_name[AGENT_NAME_MAX + 1], struct error *err)
{
	autoagents struct agents agents = AGENTS_NONE;
	autoagent Berm__Wire__Agent *found = NULL;
	int r = agents_open(groups->state, &agents, err);

	if (r == 0)
		r = agents_read(&agents, agent, &found, err);
	if (r < 0 || !found) {
		if (err->kind == ERROR_NOT_FOUND)
			err->kind = ERROR_INPUT;
		return r;
	}
	if (strcmp(found->group, group) != 0 || found->retired)
		return error_set(err, -EINVAL, ERROR_INPUT, "the agent %s %s%s", found->name,
			found->retired    ? "was retired"
			: found->group[0] ? "is of the group "
					  : "is of no group",
			found->retired ? "" : found->group);
	snprintf(ret_id, AGENT_ID_BYTES + 1, "%s", found->id);
	if (ret_name)
		snprintf(ret_name, AGENT_NAME_MAX + 1, "%s", found->name);
	return 0;
}

void groups_agent_name(
	const struct groups *groups, const char *id, char ret_name[GROUP_AGENT_WORDS])
{
	autoagents struct agents agents = AGENTS_NONE;
	autoagent Berm__Wire__Agent *found = NULL;
	struct error ignored = {0};

	snprintf(ret_name, GROUP_AGENT_WORDS, "%s", id);
	if (agents_open(groups->state, &agents, &ignored) == 0 &&
		agents_read(&agents, id, &found, &ignored) == 0 && found)
		snprintf(ret_name, GROUP_AGENT_WORDS, "%s", found->name);
}

struct names {
	char **list;
	size_t count;
};

static int add_name(void *data, const char *name)
{
	struct names *names = data;
	char **list;

	/* Beside a group's file are others of it, whose names have a dot. */
	if (!agent_name_is_good(name))
		return 0;
	list = reallocarray(names->list, names->count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	names->list = list;
	list[names->count] = strdup(name);
	if (!list[names->count])
		return -ENOMEM;
	names->count++;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int groups_list(
	const struct groups *groups, char ***ret_names, size_t *ret_count, struct error *err)
{
	const struct state_place place = {&storage_system, groups->dir_fd};
	struct names names = {0};
	int r = state_file_list(&place, add_name, &names);

	if (r < 0) {
		for (size_t i = 0; i < names.count; i++)
			free(names.list[i]);
		free(names.list);
		return error_set(err, r, ERROR_INTERNAL, "the groups cannot be listed");
	}
	if (names.count)
		qsort(names.list, names.count, sizeof(*names.list), by_name);
	*ret_names = names.list;
	*ret_count = names.count;
	return 0;
}
