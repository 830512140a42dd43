/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/agents.h"

#include "base/failpoint.h"
#include "base/io.h"
#include "base/text.h"
#include "daemon/run-id.h"
#include "daemon/state-directory.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

#define TYPE (&berm__wire__agent__descriptor)
#define HOUR_MS 3600000ULL
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

int agents_open(const char *state, struct agents *ret_agents, struct error *err)
{
	struct agents agents = AGENTS_NONE;

	agents.state_fd = state_directory_open(state, err);
	if (agents.state_fd < 0)
		return agents.state_fd;
	agents.dir_fd = state_directory_within(agents.state_fd, AGENTS_DIR, 0700, err);
	if (agents.dir_fd < 0) {
		int r = agents.dir_fd;

		agents_close(&agents);
		return r;
	}
	agents.place = (struct state_place){&storage_system, agents.dir_fd};
	agents.state = strdup(state);
	if (!agents.state) {
		agents_close(&agents);
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	}
	*ret_agents = agents;
	return 0;
}

void agents_close(struct agents *agents)
{
	own_close(&agents->dir_fd);
	own_close(&agents->state_fd);
	own_free(&agents->state);
}

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec t = {0};

	clock_gettime(clock, &t);
	return t.tv_sec < 0 ? 0 : (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* 32 hexadecimal digits with dashes between. */
static bool parse_boot_id(const char *words, uint8_t id[AGENT_BOOT_ID_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	size_t count = 0;

	memset(id, 0, AGENT_BOOT_ID_BYTES);
	for (const char *at = words; *at && *at != '\n'; at++) {
		const char *digit = strchr(digits, *at);

		if (*at == '-')
			continue;
		if (!digit || count == 2UL * AGENT_BOOT_ID_BYTES)
			return false;
		id[count / 2] |= (uint8_t)((digit - digits) << (count % 2 ? 0 : 4));
		count++;
	}
	return count == 2UL * AGENT_BOOT_ID_BYTES;
}

int agents_now(struct agent_now *ret_now, struct error *err)
{
	autofree char *words = NULL;
	int r = io_read_file(AT_FDCWD, BOOT_ID_FILE, 128, &words, NULL, err);

	if (!words)
		return r;
	if (!parse_boot_id(words, ret_now->boot_id))
		return error_set(err, -EBADMSG, ERROR_INTERNAL, "%s is no id", BOOT_ID_FILE);
	ret_now->boot_ms = clock_ms(CLOCK_BOOTTIME);
	ret_now->wall_ms = clock_ms(CLOCK_REALTIME);
	return 0;
}

/* ---- reading ---- */

/* protobuf-c takes its shared empty string for "not set" and never frees it. */
static char *empty(void)
{
	return (char *)(uintptr_t)protobuf_c_empty_string;
}

static void clear_words(char **field)
{
	if (*field != protobuf_c_empty_string)
		free(*field);
	*field = empty();
}

static int set_words(char **field, const char *words)
{
	char *copy = words[0] ? strdup(words) : empty();

	if (!copy)
		return -ENOMEM;
	clear_words(field);
	*field = copy;
	return 0;
}

/* A rename that a kill interrupted was done or was not: the file's name says which. */
static bool settle_name(Berm__Wire__Agent *agent, const char *file)
{
	if (strcmp(agent->name, file) != 0 && strcmp(agent->next_name, file) == 0) {
		clear_words(&agent->name);
		agent->name = agent->next_name;
		agent->next_name = empty();
	}
	clear_words(&agent->next_name);
	return strcmp(agent->name, file) == 0 || (agent->retired && strcmp(agent->id, file) == 0);
}

static int read_file(const struct agents *agents, const char *file, Berm__Wire__Agent **ret_agent,
	struct error *err)
{
	autoagent Berm__Wire__Agent *agent = NULL;
	struct error why = {0};
	void *message = NULL;
	int r = state_file_read(&agents->place, file, TYPE, &message, err);

	if (r < 0)
		return r;
	agent = message;
	if (agent_check(agent, &why) < 0)
		return error_set(
			err, -EBADMSG, ERROR_INTERNAL, "the state file %s: %s", file, why.text);
	if (!settle_name(agent, file))
		return error_set(err, -EBADMSG, ERROR_INTERNAL,
			"the state file %s is that of the agent %s: it was copied or renamed", file,
			agent->name);
	*ret_agent = take_ptr(&agent);
	return 0;
}

struct names {
	char **items;
	size_t count;
};

static void free_names(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
	*names = (struct names){0};
}

static int add_name(void *data, const char *name)
{
	struct names *names = data;
	char **grown;

	if (names->count == AGENTS_MAX)
		return -EOVERFLOW;
	grown = realloc(names->items, (names->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	names->items = grown;
	grown[names->count] = strdup(name);
	return grown[names->count] ? (int)(names->count++, 0) : -ENOMEM;
}

static int compare_names(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;

	return strcmp(*left, *right);
}

static int list_names(const struct agents *agents, struct names *ret_names, struct error *err)
{
	int r = state_file_list(&agents->place, add_name, ret_names);

	if (r < 0) {
		free_names(ret_names);
		return error_set(
			err, r, ERROR_INTERNAL, "cannot list the agents: %s", strerror(-r));
	}
	if (ret_names->count)
		qsort(ret_names->items, ret_names->count, sizeof(*ret_names->items), compare_names);
	return 0;
}

/* One that has a name is found by its id as well. */
static int find_id(const struct agents *agents, const char *id, Berm__Wire__Agent **ret_agent,
	struct error *err)
{
	struct names names = {0};
	struct error ignored = {0};
	int r = list_names(agents, &names, err);
	bool found = false;

	for (size_t i = 0; r == 0 && !found && i < names.count; i++) {
		Berm__Wire__Agent *agent = NULL;

		if (read_file(agents, names.items[i], &agent, &ignored) < 0 || !agent)
			continue;
		found = strcmp(agent->id, id) == 0;
		if (found)
			*ret_agent = agent;
		else
			agent_free(&agent);
	}
	free_names(&names);
	if (r == 0 && !found)
		return error_set(err, -ENOENT, ERROR_NOT_FOUND, "no agent has the id %s", id);
	return r;
}

static int not_found(const struct agents *agents, const char *name, struct error *err)
{
	struct names names = {0};
	struct error ignored = {0};
	const char *near = NULL;

	if (list_names(agents, &names, &ignored) == 0 && names.count)
		near = text_nearest(name, (const char *const *)names.items, names.count);
	error_set(err, -ENOENT, ERROR_NOT_FOUND, "no agent is called %s%s%s%s", name,
		near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	free_names(&names);
	return -ENOENT;
}

int agents_read(const struct agents *agents, const char *name, Berm__Wire__Agent **ret_agent,
	struct error *err)
{
	bool is_id = run_id_is_valid(name);
	struct error why = {0};
	int r;

	if (!is_id && !agent_name_is_good(name))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"an agent's name is 1 to %d of a-z, 0-9, \"_\" and \"-\"", AGENT_NAME_MAX);
	r = read_file(agents, name, ret_agent, &why);
	if (r == -ENOENT)
		return is_id ? find_id(agents, name, ret_agent, err) : not_found(agents, name, err);
	if (r < 0)
		return error_set(err, why.code, (enum error_kind)why.kind, "%s", why.text);
	return 0;
}

void agents_free_list(Berm__Wire__Agent **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		agent_free(&list[i]);
	free(list);
}

int agents_list(const struct agents *agents, bool retired, Berm__Wire__Agent ***ret_list,
	size_t *ret_count, size_t *ret_damaged, struct error *err)
{
	struct names names = {0};
	Berm__Wire__Agent **list;
	size_t count = 0, damaged = 0;
	int r = list_names(agents, &names, err);

	if (r < 0)
		return r;
	list = calloc(names.count + 1, sizeof(*list));
	for (size_t i = 0; list && i < names.count; i++) {
		struct error why = {0};

		r = read_file(agents, names.items[i], &list[count], &why);
		/* It may have gone since it was listed. */
		if (r < 0 && r != -ENOENT && damaged++ == 0)
			error_set(err, why.code, (enum error_kind)why.kind, "%s", why.text);
		if (!list[count])
			continue;
		if (list[count]->retired && !retired)
			agent_free(&list[count]);
		else
			count++;
	}
	free_names(&names);
	if (!list)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	*ret_list = list;
	*ret_count = count;
	*ret_damaged = damaged;
	return 0;
}

/* ---- changes ---- */

int agents_lock(const struct agents *agents, struct error *err)
{
	return state_lock(agents->state_fd, AGENTS_LOCK_MS, err);
}

int agents_write(const struct agents *agents, const Berm__Wire__Agent *agent, struct error *err)
{
	int r = agent_check(agent, err);

	failpoint("agent.writing");
	if (r == 0)
		r = state_file_write(&agents->place, agent->retired ? agent->id : agent->name,
			&agent->base, err);
	failpoint("agent.written");
	return r;
}

static int move(const struct agents *agents, const char *from, const char *to, struct error *err)
{
	const struct storage *s = agents->place.storage;
	int r;

	failpoint("agent.moving");
	r = s->ops->rename(s->context, agents->dir_fd, from, to);
	failpoint("agent.moved");
	if (r == 0)
		r = s->ops->sync_dir(s->context, agents->dir_fd);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "cannot rename the state file %s: %s",
			       from, strerror(-r))
		     : 0;
}

/* What was written under its id since is newer: the end of a run that lasted. */
static int finish_retirement(
	const struct agents *agents, const Berm__Wire__Agent *there, struct error *err)
{
	autoagent Berm__Wire__Agent *newer = NULL;
	struct error why = {0};
	int r = read_file(agents, there->id, &newer, &why);

	if (r == -ENOENT)
		return move(agents, there->name, there->id, err);
	return r < 0 ? error_set(err, why.code, (enum error_kind)why.kind, "%s", why.text)
		     : state_file_remove(&agents->place, there->name, err);
}

/* No agent has the name. A retirement that was interrupted is finished on the way. */
static int check_free(const struct agents *agents, const char *name, struct error *err)
{
	autoagent Berm__Wire__Agent *there = NULL;
	struct error why = {0};
	int r = read_file(agents, name, &there, &why);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_set(err, why.code, (enum error_kind)why.kind, "%s", why.text);
	if (there && there->retired)
		return finish_retirement(agents, there, err);
	return error_set(err, -EEXIST, ERROR_REFUSED, "there is an agent called %s already", name);
}

static int check_growth(const struct agents *agents, const char *group, const struct agent_now *now,
	struct error *err)
{
	Berm__Wire__Agent **list = NULL;
	size_t count = 0, damaged = 0, young = 0;
	struct error why = {0};
	int r = agents_list(agents, true, &list, &count, &damaged, &why);

	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "%s", why.text);
	for (size_t i = 0; i < count; i++)
		young += strcmp(list[i]->group, group) == 0 &&
			 agent_age_ms(list[i]->joined ? list[i]->joined : list[i]->created, now) <
				 HOUR_MS;
	agents_free_list(list, count);
	if (young < AGENTS_NEW_PER_HOUR)
		return 0;
	return error_set(err, -EDQUOT, ERROR_REFUSED,
		"the group %s has got %zu agents within an hour; that many at most", group, young);
}

int agents_add(const struct agents *agents, Berm__Wire__Agent *agent, struct error *err)
{
	char id[RUN_ID_LENGTH + 1] = "";
	struct agent_now now = {0};
	int r = agents_now(&now, err);

	if (r == 0)
		r = run_id_make(id, err);
	if (r < 0)
		return r;
	agent->version = AGENT_VERSION;
	if (agent->created)
		berm__wire__agent_moment__free_unpacked(agent->created, NULL);
	agent->created = agent_moment(&now);
	if (!agent->created || set_words(&agent->id, id) < 0)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	r = agent_check(agent, err);
	if (r == 0)
		r = check_free(agents, agent->name, err);
	if (r == 0 && agent->group[0])
		r = check_growth(agents, agent->group, &now, err);
	return r < 0 ? r : agents_write(agents, agent, err);
}

int agents_join(const struct agents *agents, Berm__Wire__Agent *agent, struct error *err)
{
	struct agent_now now = {0};
	int r = agents_now(&now, err);

	if (r == 0)
		r = check_growth(agents, agent->group, &now, err);
	if (r < 0)
		return r;
	if (agent->joined)
		berm__wire__agent_moment__free_unpacked(agent->joined, NULL);
	agent->joined = agent_moment(&now);
	return agent->joined ? 0 : error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
}

/* The new name is announced in the old file first, and the file is moved: whatever a kill leaves is
 * one agent under one name. */
static int move_name(
	const struct agents *agents, const char *before, const char *name, struct error *err)
{
	autoagent Berm__Wire__Agent *as_it_is = NULL;
	int r = read_file(agents, before, &as_it_is, err);

	if (r < 0 || !as_it_is)
		return r;
	if (set_words(&as_it_is->next_name, name) < 0)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	r = agents_write(agents, as_it_is, err);
	failpoint("agent.announced");
	return r < 0 ? r : move(agents, before, name, err);
}

int agents_rename(
	const struct agents *agents, Berm__Wire__Agent *agent, const char *name, struct error *err)
{
	struct error why = {0};
	int r;

	if (!agent_name_is_good(name))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"an agent's name is 1 to %d of a-z, 0-9, \"_\" and \"-\"", AGENT_NAME_MAX);
	if (agent->retired)
		return error_set(
			err, -EPERM, ERROR_REFUSED, "the agent %s was retired", agent->name);
	r = agent_check(agent, err);
	if (r == 0)
		r = check_free(agents, name, err);
	if (r == 0)
		r = move_name(agents, agent->name, name, err);
	if (r < 0)
		return r;
	failpoint("agent.renamed");
	if (set_words(&agent->name, name) < 0)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	r = agents_write(agents, agent, &why);
	return r < 0 ? error_set(err, r, (enum error_kind)why.kind,
			       "the agent is called %s now, and nothing else of it was changed: %s",
			       name, why.text)
		     : 0;
}

/* A berm that was killed on the way left it under its name, which is to be free. */
static int finish(const struct agents *agents, const Berm__Wire__Agent *agent, struct error *err)
{
	autoagent Berm__Wire__Agent *left = NULL;
	struct error ignored = {0};

	(void)!read_file(agents, agent->name, &left, &ignored);
	if (left && strcmp(left->id, agent->id) == 0)
		return move(agents, agent->name, agent->id, err);
	return error_set(err, -EALREADY, ERROR_REFUSED, "the agent %s was retired", agent->name);
}

int agents_retire(const struct agents *agents, Berm__Wire__Agent *agent, const char *reason,
	struct error *err)
{
	struct agent_now now = {0};
	int r = agents_now(&now, err);

	if (r < 0)
		return r;
	if (agent->retired)
		return finish(agents, agent, err);
	if (!agent_words_are_good(reason))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"a reason is mandatory: one line of at most %d bytes", AGENT_WORDS_MAX);
	agent->retired = agent_moment(&now);
	if (!agent->retired || set_words(&agent->retired_reason, reason) < 0)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	r = state_file_write(&agents->place, agent->name, &agent->base, err);
	failpoint("agent.retired");
	return r < 0 ? r : move(agents, agent->name, agent->id, err);
}
