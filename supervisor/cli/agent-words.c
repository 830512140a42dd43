/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/agent.h"

#include "base/io.h"
#include "base/number.h"
#include "daemon/agent-run.h"
#include "govern/delegation.h"

#include <fcntl.h>
#include <string.h>

/* Words of the command line that become parts of an agent. */

#define PASSWD_BYTES_MAX (16U << 20)

static bool find_counter(const char *words, size_t length, unsigned *ret_counter)
{
	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		const char *name = effect_counter_name(i);

		if (strlen(name) != length || strncmp(name, words, length) != 0)
			continue;
		*ret_counter = i;
		return agent_can_budget(i);
	}
	return false;
}

static bool parse_amount(const char *words, size_t length, unsigned counter, uint64_t *ret_amount)
{
	bool bytes = counter == COUNTER_BYTES_WRITTEN || counter == COUNTER_BYTES_SENT;
	char amount[32];

	if (length == 0 || length >= sizeof(amount))
		return false;
	memcpy(amount, words, length);
	amount[length] = '\0';
	if (strcmp(amount, "none") == 0) {
		*ret_amount = AGENT_UNLIMITED;
		return true;
	}
	return (bytes ? number_parse_size(amount, ret_amount)
		      : number_parse_u64(amount, ret_amount)) &&
	       *ret_amount < 1ULL << 50;
}

bool agent_amount_parse(const char *words, unsigned *ret_counter, uint64_t *ret_amount)
{
	const char *equals = strchr(words, '=');

	return equals && find_counter(words, (size_t)(equals - words), ret_counter) &&
	       parse_amount(equals + 1, strlen(equals + 1), *ret_counter, ret_amount) &&
	       *ret_amount != AGENT_UNLIMITED;
}

static bool find_window(const char *words, enum agent_window *ret_window)
{
	for (unsigned i = 0; i < AGENT_WINDOW_COUNT; i++)
		if (strcmp(agent_window_name(i), words) == 0) {
			*ret_window = (enum agent_window)i;
			return true;
		}
	return false;
}

int agent_budget_parse(Berm__Wire__Agent *agent, const char *words, struct error *err)
{
	const char *equals = strchr(words, '='), *slash = strrchr(words, '/');
	enum agent_window window = AGENT_HOUR;
	unsigned counter = 0;
	uint64_t amount = 0;

	if (!equals || !slash || slash < equals)
		return error_set(err, -EINVAL, ERROR_INPUT,
			"--budget is COUNTER=AMOUNT/WINDOW, as in files_changed=500/day: %s",
			words);
	if (!find_counter(words, (size_t)(equals - words), &counter))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"--budget: there is a budget of files_changed, files_deleted, "
			"bytes_written, bytes_sent, hosts_contacted and processes_started: %s",
			words);
	if (!find_window(slash + 1, &window))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"--budget: a window is hour, day or lifetime: %s", words);
	if (!parse_amount(equals + 1, (size_t)(slash - equals - 1), counter, &amount))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"--budget: an amount is a number, bytes as in 10MiB, or none: %s", words);
	return agent_set_budget(agent, counter, window, amount) < 0
		       ? error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory")
		       : 0;
}

/* The number in the third field of the line that begins with the name: of passwd(5) the uid, of
 * group(5) the gid. Read directly, since a static glibc has no NSS. */
static bool find_id(const char *file, const char *name, uint32_t *ret_id)
{
	autofree char *text = NULL;
	struct error ignored = {0};
	size_t length = strlen(name);
	char *rest, *line;

	if (io_read_file(AT_FDCWD, file, PASSWD_BYTES_MAX, &text, NULL, &ignored) < 0)
		return false;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		uint64_t id = 0;
		char *number;

		if (strncmp(line, name, length) != 0 || line[length] != ':')
			continue;
		number = strchr(line + length + 1, ':');
		if (!number)
			return false;
		number++;
		number[strcspn(number, ":")] = '\0';
		if (!number_parse_u64(number, &id) || id >= UINT32_MAX)
			return false;
		*ret_id = (uint32_t)id;
		return true;
	}
	return false;
}

static int add_starter(Berm__Wire__Agent *agent, bool group, uint32_t id, struct error *err)
{
	Berm__Wire__AgentStarter *starter = malloc(sizeof(*starter)), **grown;

	grown = starter ? realloc(agent->may_start, (agent->n_may_start + 1) * sizeof(*grown))
			: NULL;
	if (!grown) {
		free(starter);
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	}
	agent->may_start = grown;
	berm__wire__agent_starter__init(starter);
	starter->group = group;
	starter->id = id;
	grown[agent->n_may_start++] = starter;
	return 0;
}

int agent_starters_parse(Berm__Wire__Agent *agent, const struct word_list *words, struct error *err)
{
	int r = 0;

	if (!words->count)
		return 0;
	for (size_t i = 0; i < agent->n_may_start; i++)
		berm__wire__agent_starter__free_unpacked(agent->may_start[i], NULL);
	agent->n_may_start = 0;
	for (size_t i = 0; r == 0 && i < words->count; i++) {
		bool group = words->items[i][0] == '@';
		const char *name = words->items[i] + group;
		uint64_t number = 0;
		uint32_t id = 0;

		if (words->count == 1 && strcmp(name, "none") == 0)
			return 0;
		if (number_parse_u64(name, &number) && number < UINT32_MAX)
			id = (uint32_t)number;
		else if (!find_id(group ? "/etc/group" : "/etc/passwd", name, &id))
			return error_set(err, -ENOENT, ERROR_INPUT,
				"--may-start: no %s is called %s here", group ? "group" : "user",
				name);
		r = add_starter(agent, group, id, err);
	}
	return r;
}

static int add_delegate(Berm__Wire__Agent *agent, const char *id, struct error *err)
{
	char **grown, *copy = strdup(id);

	grown = copy ? realloc(agent->delegate_to, (agent->n_delegate_to + 1) * sizeof(*grown))
		     : NULL;
	if (!grown) {
		free(copy);
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	}
	agent->delegate_to = grown;
	grown[agent->n_delegate_to++] = copy;
	return 0;
}

int agent_delegates_parse(const struct agents *agents, Berm__Wire__Agent *agent,
	const struct word_list *words, struct error *err)
{
	int r = 0;

	if (!words->count)
		return 0;
	for (size_t i = 0; i < agent->n_delegate_to; i++)
		free(agent->delegate_to[i]);
	agent->n_delegate_to = 0;
	if (words->count == 1 && strcmp(words->items[0], "none") == 0)
		return 0;
	if (agent_tier(agent->tier)->delegations == 0)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"an agent of tier %u delegates nothing (--delegate-to)", agent->tier);
	for (size_t i = 0; r == 0 && i < words->count; i++) {
		autoagent Berm__Wire__Agent *other = NULL;

		r = agents_read(agents, words->items[i], &other, err);
		if (r == 0 && other && strcmp(other->id, agent->id) == 0)
			r = error_set(err, -EINVAL, ERROR_INPUT,
				"--delegate-to: an agent does not delegate to itself");
		if (r == 0 && other && !delegation_names(agent, other->id))
			r = add_delegate(agent, other->id, err);
	}
	return r;
}
