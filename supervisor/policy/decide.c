/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/decide.h"

#include <fnmatch.h>
#include <limits.h>
#include <string.h>

#include "base/own.h"
#include "base/path.h"
#include "policy/decide-internal.h"

/* What berm itself puts into every run, see plan/. */
static const struct {
	const char *path;
	bool beneath, write;
} own_paths[] = {
	{"/dev/null", false, true},
	{"/dev/zero", false, true},
	{"/dev/full", false, true},
	{"/dev/random", false, true},
	{"/dev/urandom", false, true},
	{"/dev/tty", false, true},
	{"/dev/ptmx", false, true},
	{"/dev/pts", true, true},
	{"/dev/shm", true, true},
	{"/dev", false, false},
	{"/proc", true, false},
	{"/etc/passwd", false, false},
	{"/etc/group", false, false},
	{"/etc/hosts", false, false},
	{"/etc/hostname", false, false},
};

const char *decide_own_path(size_t i)
{
	return i < array_size(own_paths) ? own_paths[i].path : NULL;
}

bool path_covered_by_glob(const char *pattern, const char *path)
{
	char part[PATH_MAX];

	for (size_t i = 1;; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (path_glob_match(pattern, part))
			return true;
		if (path[i] == '\0')
			return false;
	}
}

static const struct path_rule *rules_cover(
	const struct path_rules *rules, const char *path, bool globs)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct path_rule *rule = &rules->items[i];

		if (rule->is_glob ? globs && path_covered_by_glob(rule->path, path)
				  : path_is_beneath(path, rule->path))
			return rule;
	}
	return NULL;
}

static const struct path_rule *asks_cover(
	const struct profile *profile, const char *path, enum path_access access)
{
	const struct path_rules *rules = &profile->fs.ask;

	for (size_t i = 0; i < rules->count; i++)
		if (!rules->items[i].is_glob && rules->items[i].access == access &&
			path_is_beneath(path, rules->items[i].path))
			return &rules->items[i];
	return NULL;
}

static bool settle_path(
	struct verdict *v, enum decision decision, const char *name, const struct path_rule *rule)
{
	return rule && verdict_settle(v, decision, name, rule->written, rule->reason, &rule->at);
}

/* What is granted for reading in /tmp stands there as it is on the host, and is not written. */
static bool is_read_only_in_tmp(const struct profile *profile, const char *path)
{
	const struct path_rules *read = &profile->fs.read;

	for (size_t i = 0; i < read->count; i++)
		if (path_is_beneath(read->items[i].path, "/tmp") &&
			path_is_beneath(path, read->items[i].path))
			return true;
	return false;
}

static bool settle_own(
	const struct profile *profile, const char *path, bool write, struct verdict *v)
{
	if (profile->fs.tmp.private && path_is_beneath(path, "/tmp") &&
		!(write && is_read_only_in_tmp(profile, path)))
		return verdict_settle(v, DECISION_ALLOW, "fs.tmp", "/tmp",
			"private, empty at the start, gone at the end", &profile->fs.tmp.at);
	for (size_t i = 0; i < array_size(own_paths); i++) {
		bool covers = own_paths[i].beneath ? path_is_beneath(path, own_paths[i].path)
						   : strcmp(path, own_paths[i].path) == 0;

		if (covers && (own_paths[i].write || !write))
			return verdict_settle(v, DECISION_ALLOW, "berm", own_paths[i].path,
				"part of every run", NULL);
	}
	return false;
}

static bool path_is_sound(const char *path)
{
	return strlen(path) < PATH_MAX && path_is_normal(path);
}

static void decide_read(const struct profile *profile, const char *path, struct verdict *v)
{
	if (settle_path(v, DECISION_DENY, "fs.deny", rules_cover(&profile->fs.deny, path, true)) ||
		settle_path(v, DECISION_DENY, "fs.canaries",
			rules_cover(&profile->fs.canaries, path, true)) ||
		settle_path(v, DECISION_ASK, "fs.ask", asks_cover(profile, path, PATH_READ)) ||
		settle_path(v, DECISION_ALLOW, "fs.read",
			rules_cover(&profile->fs.read, path, false)) ||
		settle_path(v, DECISION_ALLOW, "fs.write",
			rules_cover(&profile->fs.write, path, false)) ||
		settle_own(profile, path, false, v) ||
		settle_path(v, DECISION_ASK, "fs.ask", asks_cover(profile, path, PATH_WRITE)))
		return;
	verdict_settle(v, DECISION_DENY, "fs.default", NULL, NULL, NULL);
}

static void decide_write(const struct profile *profile, const char *path, struct verdict *v)
{
	if (settle_path(v, DECISION_DENY, "fs.deny", rules_cover(&profile->fs.deny, path, true)) ||
		settle_path(v, DECISION_DENY, "fs.canaries",
			rules_cover(&profile->fs.canaries, path, true)) ||
		settle_path(v, DECISION_DENY, "fs.protect",
			rules_cover(&profile->fs.protect, path, true)) ||
		settle_path(v, DECISION_ASK, "fs.ask", asks_cover(profile, path, PATH_WRITE)))
		return;
	if (!settle_path(
		    v, DECISION_ALLOW, "fs.write", rules_cover(&profile->fs.write, path, false)) &&
		!settle_own(profile, path, true, v)) {
		verdict_settle(v, DECISION_DENY, "fs.default", NULL, NULL, NULL);
		return;
	}
	/* Writing includes reading, so what is only read after an answer is not written before it.
	 */
	settle_path(v, DECISION_ASK, "fs.ask", asks_cover(profile, path, PATH_READ));
}

/* The next word of a command line; NULL at its end. Words are parted by blanks, there are no
 * quotes. */
static const char *next_word(const char **at, size_t *ret_length)
{
	const char *word;

	*at += strspn(*at, " ");
	word = *at;
	*ret_length = strcspn(word, " ");
	*at += *ret_length;
	return *ret_length > 0 ? word : NULL;
}

static bool same_program(const char *rule_word, const char *word, size_t length)
{
	const char *name = path_last(rule_word);

	return strlen(name) == length && strncmp(name, word, length) == 0;
}

static bool command_matches(const struct exec_rule *rule, const char *line)
{
	size_t length;

	for (size_t i = 0; i < rule->command_count; i++) {
		const char *word = next_word(&line, &length);

		if (!word)
			return false;
		if (i == 0 ? !same_program(rule->command[0], word, length)
			   : strlen(rule->command[i]) != length ||
					strncmp(rule->command[i], word, length) != 0)
			return false;
	}
	return rule->command_count > 0;
}

/* Deny and ask match widely (a path rule also by the program's name), allow only what is certain.
 */
static bool exec_rule_matches(const struct exec_rule *rule, const char *object, bool widely)
{
	if (object[0] == '/') {
		if (rule->command)
			return widely && rule->command_count == 1 &&
			       same_program(rule->command[0], path_last(object),
				       strlen(path_last(object)));
		if (!rule->path)
			return widely;
		return path_is_beneath(object, rule->path) ||
		       (widely && path_has_glob(rule->path) &&
			       path_covered_by_glob(rule->path, object));
	}
	if (rule->command)
		return command_matches(rule, object);
	return widely && (!rule->path || same_program(rule->path, object, strcspn(object, " ")));
}

static bool settle_exec(struct verdict *v, enum decision decision, const struct exec_rules *rules,
	const char *object, bool widely)
{
	static const char *const names[DECISION_COUNT] = {[DECISION_DENY] = "exec.deny",
		[DECISION_ASK] = "exec.ask",
		[DECISION_ALLOW] = "exec.allow"};

	for (size_t i = 0; i < rules->count; i++) {
		const struct exec_rule *rule = &rules->items[i];

		if (exec_rule_matches(rule, object, widely))
			return verdict_settle(v, decision, names[decision],
				rule->written   ? rule->written
				: rule->command ? rule->command[0]
						: NULL,
				rule->reason, &rule->at);
	}
	return false;
}

/* "git push": words of printable characters whose first one is a bare name. */
static bool command_is_sound(const char *line)
{
	size_t length;
	const char *at = line, *word = next_word(&at, &length);

	for (const char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return false;
	return word == line && !memchr(word, '/', length);
}

static bool reads_without_exec(const struct path_rules *rules, const char *path)
{
	for (size_t i = 0; i < rules->count; i++)
		if (rules->items[i].no_exec && path_is_beneath(path, rules->items[i].path))
			return true;
	return false;
}

static void decide_exec(const struct profile *profile, const char *object, struct verdict *v)
{
	bool is_path = object[0] == '/';
	struct verdict file = {0};
	bool settled;

	if (is_path ? !path_is_sound(object) : !command_is_sound(object))
		return;
	if (settle_exec(v, DECISION_DENY, &profile->exec.deny, object, true))
		return;
	settled = settle_exec(v, DECISION_ALLOW, &profile->exec.allow, object, false);
	if (!settled && is_path &&
		(rules_cover(&profile->fs.write, object, false) ||
			reads_without_exec(&profile->fs.read, object) ||
			reads_without_exec(&profile->fs.ask, object) ||
			settle_own(profile, object, false, &file)))
		verdict_settle(v, DECISION_DENY, "exec.default", NULL,
			"programs do not run from where the run can write, unless exec.allow names "
			"it",
			&profile->exec.default_at);
	else if (!settled)
		verdict_settle(v, profile->exec.default_decision, "exec.default",
			decision_name(profile->exec.default_decision), NULL,
			&profile->exec.default_at);
	/* In the way of what would run every ask stands that may be meant; alone it must be
	 * certain, or an ask about a name would open what is denied. */
	settle_exec(v, DECISION_ASK, &profile->exec.ask, object, v->decision != DECISION_DENY);
	/* A program that cannot be read cannot be run: its mount is not there. */
	if (is_path)
		decide_read(profile, object, &file);
	if (is_path && (file.decision == DECISION_DENY || file.decision < v->decision))
		*v = file;
}

static void decide_path(
	const struct profile *profile, const char *path, struct verdict *v, bool write)
{
	if (!path_is_sound(path))
		return;
	if (write)
		decide_write(profile, path, v);
	else
		decide_read(profile, path, v);
}

void decide(const struct profile *profile, enum operation operation, const char *object,
	struct verdict *ret_verdict)
{
	struct verdict v = {.decision = DECISION_DENY, .rule = "malformed"};

	switch (operation) {
	case OPERATION_READ:
	case OPERATION_WRITE:
		decide_path(profile, object, &v, operation == OPERATION_WRITE);
		break;
	case OPERATION_EXEC:
		decide_exec(profile, object, &v);
		break;
	case OPERATION_CONNECT:
		decide_network(profile, object, &v);
		break;
	case OPERATION_SYSCALL:
		decide_syscall(profile, object, &v);
		break;
	case OPERATION_ENV:
		decide_env(profile, object, &v);
		break;
	case OPERATION_COUNT:
		break;
	}
	if (v.decision != DECISION_ALLOW && strcmp(v.rule, "malformed") != 0)
		hint_write(profile, operation, object, &v);
	if (!v.at.file)
		v.at.file = "";
	*ret_verdict = v;
}

static const char *const decision_names[DECISION_COUNT] = {
	[DECISION_DENY] = "deny", [DECISION_ASK] = "ask", [DECISION_ALLOW] = "allow"};

static const char *const operation_names[OPERATION_COUNT] = {[OPERATION_READ] = "read",
	[OPERATION_WRITE] = "write",
	[OPERATION_EXEC] = "exec",
	[OPERATION_CONNECT] = "connect",
	[OPERATION_SYSCALL] = "syscall",
	[OPERATION_ENV] = "env"};

const char *decision_name(enum decision decision)
{
	return decision < DECISION_COUNT ? decision_names[decision] : "deny";
}

const char *operation_name(enum operation operation)
{
	return operation < OPERATION_COUNT ? operation_names[operation] : "unknown";
}

enum operation operation_from_name(const char *name)
{
	for (unsigned i = 0; i < OPERATION_COUNT; i++)
		if (strcmp(name, operation_names[i]) == 0)
			return (enum operation)i;
	return OPERATION_COUNT;
}
