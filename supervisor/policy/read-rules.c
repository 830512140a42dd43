/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/read.h"

#include "base/path.h"

#include <string.h>

/* The path of an entry that is a path or a mapping; NULL where the mapping has none. */
static const struct node *path_node(const struct node *entry)
{
	return entry->kind == NODE_MAPPING ? node_get(entry, "path") : entry;
}

void read_path_rules(
	struct reader *r, const struct key *key, const struct node *list, struct path_rules *rules)
{
	bool glob = key->content == CONTENT_PATH_GLOB;

	for (const struct node *entry = list->first; entry; entry = entry->next) {
		const struct node *written = path_node(entry);
		unsigned errors = r->d->errors;
		struct path_rule rule = {.at = entry->at}, *item;

		if (entry->kind == NODE_MAPPING)
			read_section(r, key->of, entry, &rule);
		else
			rule.path = value_string(r, entry, key->content);
		if (!rule.path || errors != r->d->errors)
			continue;
		rule.written = written->text;
		rule.is_glob = path_has_glob(rule.written);
		if (rule.is_glob && !glob) {
			(void)value_path(r, written, false);
			continue;
		}
		item = reader_next(r, rules, entry->at);
		if (!item)
			return;
		*item = rule;
		rules->count++;
	}
}

static void read_by(struct reader *r, const struct node *list, struct network_rule *rule)
{
	if (!list || list->count == 0)
		return;
	rule->by = reader_alloc(r, list->count * sizeof(*rule->by));
	if (!rule->by)
		return;
	for (const struct node *entry = list->first; entry; entry = entry->next)
		rule->by[rule->by_count++] = value_path(r, entry, false);
}

static void read_rule_ports(struct reader *r, const struct node *list, struct network_rule *rule)
{
	if (!list || list->count == 0)
		return;
	rule->ports = reader_alloc(r, list->count * sizeof(*rule->ports));
	if (!rule->ports)
		return;
	for (const struct node *entry = list->first; entry; entry = entry->next) {
		if (value_port(r, entry, rule->ports[rule->port_count]))
			rule->port_count++;
	}
}

static bool check_network_rule(
	struct reader *r, const struct node *entry, const struct network_rule *rule, bool grant)
{
	const struct node *by = node_get(entry, "by");

	if (!rule->host == !rule->cidr) {
		diagnostics_report(r->d, CODE_ONE_OF, entry->at,
			"a rule of `%s` has exactly one of host and cidr", reader_where(r));
		return false;
	}
	if (by && by->count == 0) {
		diagnostics_report(r->d, CODE_EMPTY, by->at,
			"an empty list of programs; leave `by` out for every program");
		return false;
	}
	if (grant && rule->cidr && strstr(rule->cidr, "/0") && !rule->allow_all) {
		diagnostics_report(r->d, CODE_EVERYWHERE, node_get(entry, "cidr")->at,
			"%s is every address there is; write allow_all: true in this rule "
			"where that is meant",
			rule->cidr);
		return false;
	}
	return true;
}

void read_network_rules(struct reader *r, const struct key *key, const struct node *list,
	struct network_rules *rules)
{
	bool grant = rules != &r->profile->network.deny;

	for (const struct node *entry = list->first; entry; entry = entry->next) {
		struct network_rule rule = {.at = entry->at}, *item;
		unsigned errors = r->d->errors;

		if (node_is_null(entry) || !value_is_mapping(r, entry, VALUE_OBJECT)) {
			if (node_is_null(entry))
				diagnostics_report(r->d, CODE_EMPTY, entry->at,
					"an empty entry in `%s`", reader_where(r));
			continue;
		}
		read_section(r, key->of, entry, &rule);
		if (errors != r->d->errors || !check_network_rule(r, entry, &rule, grant))
			continue;
		read_rule_ports(r, node_get(entry, "ports"), &rule);
		read_by(r, node_get(entry, "by"), &rule);
		item = reader_next(r, rules, entry->at);
		if (!item || r->no_memory)
			return;
		*item = rule;
		rules->count++;
	}
}

static void read_exec_command(struct reader *r, const struct node *list, struct exec_rule *rule)
{
	if (!list || list->count == 0)
		return;
	rule->command = reader_alloc(r, list->count * sizeof(*rule->command));
	if (!rule->command)
		return;
	for (const struct node *entry = list->first; entry; entry = entry->next)
		rule->command[rule->command_count++] = value_expanded(r, entry);
}

/* A command line, split at spaces, begins with the words of the rule. The first word may also be
 * the path of the program. */
static bool line_begins_with(const char *line, const struct exec_rule *rule)
{
	for (size_t i = 0; i < rule->command_count; i++) {
		size_t n;
		const char *word;

		line += strspn(line, " ");
		n = strcspn(line, " ");
		word = line;
		if (i == 0 && !strchr(rule->command[0], '/')) {
			const char *slash = memrchr(line, '/', n);

			word = slash ? slash + 1 : line;
		}
		if (strlen(rule->command[i]) != n - (size_t)(word - line) ||
			memcmp(word, rule->command[i], strlen(rule->command[i])) != 0)
			return false;
		line += n;
	}
	return true;
}

static void check_samples(
	struct reader *r, const struct node *list, const struct exec_rule *rule, bool must_match)
{
	if (!list)
		return;
	if (!rule->command) {
		diagnostics_report(
			r->d, CODE_SAMPLE, list->key_at, "samples belong to rules with a command");
		return;
	}
	for (const struct node *entry = list->first; entry; entry = entry->next) {
		if (line_begins_with(entry->text, rule) != must_match)
			diagnostics_report(r->d, CODE_SAMPLE, entry->at,
				"the rule %s `%s`, its sample says otherwise",
				must_match ? "does not cover" : "covers", entry->text);
	}
}

static bool complete_exec_rule(struct reader *r, const struct node *entry, struct exec_rule *rule)
{
	const struct node *path = path_node(entry);
	unsigned errors = r->d->errors;

	if (rule->path)
		rule->written = path->text;
	if (entry->kind != NODE_MAPPING)
		return rule->path != NULL;
	read_exec_command(r, node_get(entry, "command"), rule);
	if (!rule->path == !rule->command) {
		diagnostics_report(r->d, CODE_ONE_OF, entry->at,
			"a rule of `%s` has exactly one of path and command", reader_where(r));
		return false;
	}
	if (rule->command && (rule->command[0][0] == '-' || rule->command[0][0] == '\0')) {
		diagnostics_report(r->d, CODE_EMPTY, node_get(entry, "command")->at,
			"the first word of a command is a program, not `%s`", rule->command[0]);
		return false;
	}
	check_samples(r, node_get(entry, "match"), rule, true);
	check_samples(r, node_get(entry, "not_match"), rule, false);
	return errors == r->d->errors && !r->no_memory;
}

void read_exec_rules(
	struct reader *r, const struct key *key, const struct node *list, struct exec_rules *rules)
{
	for (const struct node *entry = list->first; entry; entry = entry->next) {
		struct exec_rule rule = {.at = entry->at}, *item;
		unsigned errors = r->d->errors;

		if (entry->kind == NODE_MAPPING)
			read_section(r, key->of, entry, &rule);
		else
			rule.path = value_string(r, entry, CONTENT_PATH);
		if (errors != r->d->errors || !complete_exec_rule(r, entry, &rule))
			continue;
		item = reader_next(r, rules, entry->at);
		if (!item)
			return;
		*item = rule;
		rules->count++;
	}
}

bool read_test_line(struct reader *r, const struct node *node, struct test_rule *test)
{
	static const char *const operations[] = {
		"read", "write", "exec", "connect", "syscall", "env", "tool"};
	const char *line = test->operation, *nearest;
	size_t n = strcspn(line, " ");
	char *word;

	word = arena_copy(r->arena, line, n);
	r->no_memory |= !word;
	if (!word)
		return false;
	test->operation = word;
	test->object = line + n + strspn(line + n, " ");
	for (size_t i = 0; i < array_size(operations); i++) {
		if (strcmp(operations[i], word) != 0)
			continue;
		if (*test->object && (i > 1 || path_is_normal(test->object)))
			return true;
		diagnostics_report(r->d, CODE_TEST, node->at, "`%s` wants %s after it", word,
			i > 1 ? "what it is tried on" : "an absolute, plain path");
		return false;
	}
	nearest = text_nearest(word, operations, array_size(operations));
	diagnostics_report(r->d, CODE_TEST, node->at, "unknown operation `%s`%s%s%s", word,
		nearest ? "; did you mean `" : "", nearest ? nearest : "", nearest ? "`?" : "");
	return false;
}

void read_tests(struct reader *r, const struct node *list)
{
	if (!value_is_list(r, list, VALUE_OBJECT_LIST))
		return;
	for (const struct node *entry = list->first; entry; entry = entry->next) {
		struct test_rule test = {.at = entry->at}, *item;
		unsigned errors = r->d->errors;

		if (!value_is_mapping(r, entry, VALUE_OBJECT))
			continue;
		read_section(r, SECTION_TEST, entry, &test);
		if (errors != r->d->errors || !read_test_line(r, node_get(entry, "do"), &test))
			continue;
		item = reader_next(r, &r->profile->tests, entry->at);
		if (!item)
			return;
		*item = test;
		r->profile->tests.count++;
	}
}
