/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

#include "base/number.h"
#include "policy/keys.h"

enum section_shape {
	SHAPE_PATHS,
	SHAPE_PATHS_ACCESS, /* with the access that is asked for */
	SHAPE_STRINGS,
	SHAPE_EXECS,
	SHAPE_NETWORK,
	SHAPE_SETS,
	SHAPE_BYTES,
	SHAPE_MS,
	SHAPE_PERCENT,
	SHAPE_COUNT,
	SHAPE_WORD,    /* a single word: add_word() */
	SHAPE_PRIVATE, /* fs.tmp, fs.home */
	SHAPE_TRIGGERS,
	SHAPE_RESPONSE,
	SHAPE_LIMIT_WORD, /* a limit that holds the number of a word of the key */
	SHAPE_SINKS,
	SHAPE_SET, /* a limit that holds a set of the words of the key */
	SHAPE_GATES
};

/* clang-format off */
#define AT(member) offsetof(struct profile, member)
static const struct {
	const char *key;
	enum section_shape shape;
	size_t offset; /* of the member in struct profile; SHAPE_WORD: not used */
} lines[RULES_SECTION_COUNT] = {
	[RULES_FS_READ]              = {"fs.read",             SHAPE_PATHS,        AT(fs.read)},
	[RULES_FS_WRITE]             = {"fs.write",            SHAPE_PATHS,        AT(fs.write)},
	[RULES_FS_ASK]               = {"fs.ask",              SHAPE_PATHS_ACCESS, AT(fs.ask)},
	[RULES_FS_DENY]              = {"fs.deny",             SHAPE_PATHS,        AT(fs.deny)},
	[RULES_FS_PROTECT]           = {"fs.protect",          SHAPE_PATHS,        AT(fs.protect)},
	[RULES_FS_CANARIES]          = {"fs.canaries",         SHAPE_PATHS,        AT(fs.canaries)},
	[RULES_FS_TMP]               = {"fs.tmp",              SHAPE_PRIVATE,      AT(fs.tmp)},
	[RULES_FS_HOME]              = {"fs.home",             SHAPE_PRIVATE,      AT(fs.home)},
	[RULES_NETWORK_MODE]         = {"network.mode",        SHAPE_WORD,         0},
	[RULES_NETWORK_ALLOW]        = {"network.allow",       SHAPE_NETWORK,      AT(network.allow)},
	[RULES_NETWORK_ASK]          = {"network.ask",         SHAPE_NETWORK,      AT(network.ask)},
	[RULES_NETWORK_DENY]         = {"network.deny",        SHAPE_NETWORK,      AT(network.deny)},
	[RULES_NETWORK_LISTEN]       = {"network.listen",      SHAPE_STRINGS,      AT(network.listen)},
	[RULES_NETWORK_UNIX]         = {"network.unix",        SHAPE_PATHS,        AT(network.unix_sockets)},
	[RULES_EXEC_DEFAULT]         = {"exec.default",        SHAPE_WORD,         0},
	[RULES_EXEC_ALLOW]           = {"exec.allow",          SHAPE_EXECS,        AT(exec.allow)},
	[RULES_EXEC_ASK]             = {"exec.ask",            SHAPE_EXECS,        AT(exec.ask)},
	[RULES_EXEC_DENY]            = {"exec.deny",           SHAPE_EXECS,        AT(exec.deny)},
	[RULES_EXEC_HASH]            = {"exec.hash",           SHAPE_WORD,         0},
	[RULES_ENV_PASS]             = {"env.pass",            SHAPE_STRINGS,      AT(env.pass)},
	[RULES_ENV_SET]              = {"env.set",             SHAPE_SETS,         AT(env.set)},
	[RULES_ENV_HIDE]             = {"env.hide",            SHAPE_STRINGS,      AT(env.hide)},
	[RULES_LIMITS_CPU]           = {"limits.cpu",          SHAPE_PERCENT,      AT(limits.cpu_percent)},
	[RULES_LIMITS_MEMORY]        = {"limits.memory",       SHAPE_BYTES,        AT(limits.memory_bytes)},
	[RULES_LIMITS_PIDS]          = {"limits.pids",         SHAPE_COUNT,        AT(limits.pids)},
	[RULES_LIMITS_OPEN_FILES]    = {"limits.open_files",   SHAPE_COUNT,        AT(limits.open_files)},
	[RULES_LIMITS_FILE_SIZE]     = {"limits.file_size",    SHAPE_BYTES,        AT(limits.file_size_bytes)},
	[RULES_LIMITS_WALL_TIME]     = {"limits.wall_time",    SHAPE_MS,           AT(limits.wall_time_ms)},
	[RULES_LIMITS_IO_WEIGHT]     = {"limits.io_weight",    SHAPE_COUNT,        AT(limits.io_weight)},
	[RULES_BLAST_FILES_CHANGED]  = {"blast_radius.files_changed",     SHAPE_COUNT, AT(blast_radius.files_changed)},
	[RULES_BLAST_FILES_DELETED]  = {"blast_radius.files_deleted",     SHAPE_COUNT, AT(blast_radius.files_deleted)},
	[RULES_BLAST_BYTES_WRITTEN]  = {"blast_radius.bytes_written",     SHAPE_BYTES, AT(blast_radius.bytes_written)},
	[RULES_BLAST_BYTES_SENT]     = {"blast_radius.bytes_sent",        SHAPE_BYTES, AT(blast_radius.bytes_sent)},
	[RULES_BLAST_HOSTS_CONTACTED] = {"blast_radius.hosts_contacted",  SHAPE_COUNT, AT(blast_radius.hosts_contacted)},
	[RULES_BLAST_PROCESSES_STARTED] = {"blast_radius.processes_started", SHAPE_COUNT,
					   AT(blast_radius.processes_started)},
	[RULES_BLAST_WARN_AT]        = {"blast_radius.warn_at",   SHAPE_PERCENT,   AT(blast_radius.warn_at)},
	[RULES_BLAST_ON_EXCEED]      = {"blast_radius.on_exceed", SHAPE_WORD,      0},
	[RULES_ALTERNATE_WHEN]       = {"pace.alternate.when",    SHAPE_TRIGGERS,  AT(pace.alternate.when)},
	[RULES_ALTERNATE_THEN]       = {"pace.alternate.then",    SHAPE_RESPONSE,  AT(pace.alternate.then)},
	[RULES_CONTINGENCY_WHEN]     = {"pace.contingency.when",  SHAPE_TRIGGERS,  AT(pace.contingency.when)},
	[RULES_CONTINGENCY_THEN]     = {"pace.contingency.then",  SHAPE_RESPONSE,  AT(pace.contingency.then)},
	[RULES_EMERGENCY_WHEN]       = {"pace.emergency.when",    SHAPE_TRIGGERS,  AT(pace.emergency.when)},
	[RULES_EMERGENCY_THEN]       = {"pace.emergency.then",    SHAPE_RESPONSE,  AT(pace.emergency.then)},
	[RULES_RECORDER_LEVEL]       = {"recorder.level",         SHAPE_LIMIT_WORD, AT(recorder.level)},
	[RULES_RECORDER_ON_FAILURE]  = {"recorder.on_failure",    SHAPE_LIMIT_WORD, AT(recorder.on_failure)},
	[RULES_RECORDER_KEEP]        = {"recorder.keep",          SHAPE_MS,         AT(recorder.keep_ms)},
	[RULES_RECORDER_REDACT]      = {"recorder.redact",        SHAPE_STRINGS,    AT(recorder.redact)},
	[RULES_RECORDER_SINKS]       = {"recorder.sinks",         SHAPE_SINKS,      AT(recorder.sinks)},
	[RULES_RECORDER_OUTPUTS]     = {"recorder.outputs",       SHAPE_PATHS,      AT(recorder.outputs)},
	[RULES_WORKSPACE_MODE]       = {"workspace.mode",         SHAPE_LIMIT_WORD, AT(workspace.mode)},
	[RULES_APPROVALS_ON]         = {"approvals.on",           SHAPE_SET,        AT(approvals.on)},
	[RULES_GATES]                = {"gates",                  SHAPE_GATES,      AT(gates)},
};
#undef AT
/* clang-format on */

uint32_t rule_add(struct compiler *c, const char *key, const char *value, const struct source *at,
	const char *reason)
{
	Berm__Wire__Rule *rule = malloc(sizeof(*rule));

	if (!rule || !message_push(c, &c->plan->rules, &c->plan->n_rules, rule)) {
		free(rule);
		c->out_of_memory = true;
		return UINT32_MAX;
	}
	berm__wire__rule__init(rule);
	rule->key = message_string(c, key);
	rule->value = message_string(c, value);
	rule->reason = message_string(c, reason);
	if (at) {
		rule->file = message_string(c, at->file);
		rule->line = at->line;
		rule->column = at->column;
	}
	return (uint32_t)c->plan->n_rules - 1;
}

static void add(struct compiler *c, enum rule_section section, const char *value,
	const struct source *at, const char *reason)
{
	rule_add(c, lines[section].key, value, at, reason);
}

static void add_paths(struct compiler *c, enum rule_section section, const struct path_rules *rules)
{
	char value[4200];

	for (size_t i = 0; i < rules->count; i++) {
		const struct path_rule *r = &rules->items[i];

		if (lines[section].shape == SHAPE_PATHS_ACCESS) {
			snprintf(value, sizeof(value), "%s (%s)", r->path,
				r->access == PATH_WRITE ? "write" : "read");
			add(c, section, value, &r->at, r->reason);
		} else {
			add(c, section, r->path, &r->at, r->reason);
		}
	}
}

static void add_strings(
	struct compiler *c, enum rule_section section, const struct string_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		add(c, section, rules->items[i].text, &rules->items[i].at, NULL);
}

static void add_exec(struct compiler *c, enum rule_section section, const struct exec_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct exec_rule *r = &rules->items[i];
		autotext struct text command = {0};

		for (size_t k = 0; !r->path && k < r->command_count; k++)
			text_printf(&command, "%s%s", k ? " " : "", r->command[k]);
		c->out_of_memory |= command.failed;
		add(c, section, r->path ? r->path : text_string(&command), &r->at, r->reason);
	}
}

static void add_network(
	struct compiler *c, enum rule_section section, const struct network_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct network_rule *r = &rules->items[i];
		autotext struct text value = {0};

		text_puts(&value, r->host ? r->host : r->cidr ? r->cidr : "");
		for (size_t k = 0; k < r->port_count; k++) {
			text_printf(&value, "%s%u", k ? "," : ":", r->ports[k][0]);
			if (r->ports[k][1] != r->ports[k][0])
				text_printf(&value, "-%u", r->ports[k][1]);
		}
		if (r->proto)
			text_printf(&value, "/%s", r->proto);
		c->out_of_memory |= value.failed;
		add(c, section, text_string(&value), &r->at, r->reason);
	}
}

static void add_limit(struct compiler *c, enum rule_section section, const struct limit *limit)
{
	char value[48];

	if (!limit->set)
		return;
	if (lines[section].shape == SHAPE_LIMIT_WORD)
		snprintf(value, sizeof(value), "%s",
			key_resolve(lines[section].key, NULL)->words[limit->value - 1]);
	else if (lines[section].shape == SHAPE_BYTES)
		number_format_size(limit->value, value, sizeof(value));
	else if (lines[section].shape == SHAPE_MS)
		number_format_duration(limit->value, value, sizeof(value));
	else
		snprintf(value, sizeof(value), "%llu%s", (unsigned long long)limit->value,
			lines[section].shape == SHAPE_PERCENT ? "%" : "");
	add(c, section, value, &limit->at, NULL);
}

/* fs.tmp and fs.home have the same members. */
static void add_private(struct compiler *c, enum rule_section section)
{
	const struct profile *p = c->profile;
	bool is_tmp = section == RULES_FS_TMP;
	bool private = is_tmp ? p->fs.tmp.private : p->fs.home.private;
	const struct limit *size = is_tmp ? &p->fs.tmp.size_bytes : &p->fs.home.size_bytes;
	const struct source *at = is_tmp ? &p->fs.tmp.at : &p->fs.home.at;
	char value[64], bytes[32];

	if (!at->line)
		return;
	if (private && size->set)
		snprintf(value, sizeof(value), "private, %s",
			number_format_size(size->value, bytes, sizeof(bytes)));
	else
		snprintf(value, sizeof(value), private ? "private" : "not private");
	add(c, section, value, at, NULL);
}

/* A single word has a rule even where nobody wrote it: what holds then shall be named too. */
static void add_word(struct compiler *c, enum rule_section section)
{
	static const char *const decisions[DECISION_COUNT] = {"deny", "ask", "allow"};
	static const char *const modes[NETWORK_MODE_COUNT] = {"scoped", "host"};
	static const char *const hashes[EXEC_HASH_COUNT] = {"off", "pin"};
	static const char *const states[ON_EXCEED_COUNT] = {
		"deny", "alternate", "contingency", "emergency"};
	const struct profile *p = c->profile;
	const struct {
		enum rule_section section;
		const char *word; /* NULL: no rule */
		const struct source *at;
	} words[] = {
		{RULES_NETWORK_MODE, modes[p->network.mode], &p->network.mode_at},
		{RULES_EXEC_DEFAULT, decisions[p->exec.default_decision], &p->exec.default_at},
		{RULES_EXEC_HASH, p->exec.hash_at.line ? hashes[p->exec.hash] : NULL,
			&p->exec.hash_at},
		{RULES_BLAST_ON_EXCEED,
			p->blast_radius.on_exceed_at.line ? states[p->blast_radius.on_exceed]
							  : NULL,
			&p->blast_radius.on_exceed_at},
	};

	for (size_t i = 0; i < array_size(words); i++) {
		if (words[i].section == section && words[i].word)
			add(c, section, words[i].word, words[i].at, NULL);
	}
}

static void add_triggers(
	struct compiler *c, enum rule_section section, const struct triggers *triggers)
{
	static const char *const events[TRIGGER_COUNT] = {"denial", "blast_radius", "tool_changed",
		"approvals_unreachable", "canary_touched", "recorder_failed", "escape_attempt"};

	for (size_t i = 0; i < triggers->count; i++) {
		const struct trigger *t = &triggers->items[i];
		char value[96], within[32];

		if (t->event == TRIGGER_DENIAL)
			snprintf(value, sizeof(value), "denial, %llu within %s",
				(unsigned long long)t->count.value,
				number_format_duration(t->within_ms.value, within, sizeof(within)));
		else if (t->event == TRIGGER_BLAST_RADIUS)
			snprintf(value, sizeof(value), "blast_radius above %llu%%",
				(unsigned long long)t->above_percent.value);
		else
			snprintf(value, sizeof(value), "%s", events[t->event]);
		add(c, section, value, &t->at, NULL);
	}
}

static void add_response(
	struct compiler *c, enum rule_section section, const struct response *response)
{
	static const char *const decisions[] = {"", "deny", "ask"}, *const ends[] = {
									    "", "freeze", "kill"};
	const struct {
		const struct limit *limit;
		const char *key;
		const char *const *words;
	} parts[] = {{&response->fs_write, "fs_write", decisions},
		{&response->network, "network", decisions}, {&response->exec, "exec", decisions},
		{&response->run, "run", ends}};
	const struct source *at = NULL;
	autotext struct text value = {0};

	for (size_t i = 0; i < array_size(parts); i++) {
		if (!parts[i].limit->set)
			continue;
		text_printf(&value, "%s%s: %s", at ? ", " : "", parts[i].key,
			parts[i].words[parts[i].limit->value]);
		at = at && at->line ? at : &parts[i].limit->at;
	}
	c->out_of_memory |= value.failed;
	if (at)
		add(c, section, text_string(&value), at, NULL);
}

static void add_sinks(struct compiler *c, enum rule_section section, const struct sink_rules *sinks)
{
	char value[64];

	for (size_t i = 0; i < sinks->count; i++) {
		const struct sink_rule *sink = &sinks->items[i];

		snprintf(value, sizeof(value), "%s (%s)",
			key_find(SECTION_SINK, "type")->words[sink->type],
			key_find(SECTION_SINK, "format")->words[sink->format]);
		add(c, section, value, &sink->at, NULL);
	}
}

static void add_set(struct compiler *c, enum rule_section section, const struct limit *set)
{
	const char *const *words = key_resolve(lines[section].key, NULL)->words;
	autotext struct text value = {0};

	if (!set->value)
		return;
	for (unsigned i = 0; words[i]; i++)
		if (set->value & 1ULL << i)
			text_printf(&value, "%s%s", value.length ? ", " : "", words[i]);
	c->out_of_memory |= value.failed;
	add(c, section, text_string(&value), &set->at, NULL);
}

static void add_gates(
	struct compiler *c, enum rule_section section, const struct judge_rules *gates)
{
	for (size_t i = 0; i < gates->count; i++)
		add(c, section, gates->items[i].name, &gates->items[i].at, NULL);
}

static void add_section(struct compiler *c, enum rule_section section)
{
	const void *member = (const char *)c->profile + lines[section].offset;

	switch (lines[section].shape) {
	case SHAPE_PATHS:
	case SHAPE_PATHS_ACCESS:
		return add_paths(c, section, member);
	case SHAPE_STRINGS:
		return add_strings(c, section, member);
	case SHAPE_EXECS:
		return add_exec(c, section, member);
	case SHAPE_NETWORK:
		return add_network(c, section, member);
	case SHAPE_SETS:
		for (size_t i = 0; i < c->profile->env.set_count; i++)
			add(c, section, c->profile->env.set[i].name, &c->profile->env.set[i].at,
				NULL);
		return;
	case SHAPE_BYTES:
	case SHAPE_MS:
	case SHAPE_PERCENT:
	case SHAPE_COUNT:
	case SHAPE_LIMIT_WORD:
		return add_limit(c, section, member);
	case SHAPE_WORD:
		return add_word(c, section);
	case SHAPE_PRIVATE:
		return add_private(c, section);
	case SHAPE_TRIGGERS:
		return add_triggers(c, section, member);
	case SHAPE_RESPONSE:
		return add_response(c, section, member);
	case SHAPE_SINKS:
		return add_sinks(c, section, member);
	case SHAPE_SET:
		return add_set(c, section, member);
	case SHAPE_GATES:
		return add_gates(c, section, member);
	}
}

int plan_rules(struct compiler *c)
{
	rule_add(c, "berm", "built-in", NULL, NULL);
	for (enum rule_section s = 0; s < RULES_SECTION_COUNT; s++) {
		c->rule_first[s] = (uint32_t)c->plan->n_rules;
		add_section(c, s);
	}
	c->rule_first[RULES_SECTION_COUNT] = (uint32_t)c->plan->n_rules;
	if (c->plan->n_rules)
		c->plan->rules[0]->enforced_by =
			message_string(c, "namespaces, mounts, Landlock, seccomp, no capabilities");
	/* Indices into the table are handed out from here on, so it must be complete. */
	return c->out_of_memory ? -ENOMEM : 0;
}

uint32_t rule_index(const struct compiler *c, enum rule_section section, size_t i)
{
	uint32_t index = c->rule_first[section] + (uint32_t)i;

	return index < c->rule_first[section + 1] ? index : 0;
}

void rule_enforced(struct compiler *c, uint32_t rule, const char *by)
{
	Berm__Wire__Rule *r = c->plan->rules[rule];
	char both[1024];

	/* Rule 0 stands for all that every run has. */
	if (rule == 0)
		return;
	if (!*r->enforced_by) {
		r->enforced_by = message_string(c, by);
		return;
	}
	if (strstr(r->enforced_by, by))
		return;
	snprintf(both, sizeof(both), "%s, %s", r->enforced_by, by);
	free(r->enforced_by);
	r->enforced_by = message_string(c, both);
}

const char *rule_text(struct compiler *c, uint32_t rule)
{
	const Berm__Wire__Rule *r = c->plan->rules[rule];
	autotext struct text t = {0};
	char *kept;

	if (r->line)
		text_printf(&t, "%s:%u:%u: ", r->file, r->line, r->column);
	text_printf(&t, "%s ", r->key);
	text_escape(&t, r->value, strlen(r->value), 256);
	kept = keep(c, text_take(&t));
	return kept ? kept : "";
}
