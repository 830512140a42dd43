/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/image-internal.h"

#include <assert.h>

#define COMMAND_MAX 1024
#define PROFILE_BYTES 2256

/* Who adds a field to a profile adds it here. */
static_assert(sizeof(struct profile) == PROFILE_BYTES, "all of a profile is in its image");

static void code_word(struct image *m, void *item)
{
	const char **string = item;

	image_needed(m, string);
}

/* ---- rules ---- */

static void code_path_rule(struct image *m, void *item)
{
	struct path_rule *rule = item;

	image_needed(m, &rule->path);
	image_string(m, &rule->written);
	image_string(m, &rule->reason);
	image_bool(m, &rule->optional);
	image_bool(m, &rule->is_glob);
	image_bool(m, &rule->no_exec);
	IMAGE_WORD(m, rule->access, PATH_ACCESS_COUNT);
	image_source(m, &rule->at);
}

static void code_path_rules(struct image *m, struct path_rules *rules)
{
	IMAGE_LIST(m, rules->items, rules->count, 31, code_path_rule);
}

static void code_ports(struct image *m, void *item)
{
	uint16_t *ports = item;

	for (unsigned i = 0; i < 2; i++)
		ports[i] = (uint16_t)image_below(m, ports[i], 1U << 16);
}

static void code_network_rule(struct image *m, void *item)
{
	struct network_rule *rule = item;

	image_string(m, &rule->host);
	image_string(m, &rule->cidr);
	m->failed |= !rule->host == !rule->cidr;
	IMAGE_LIST(m, rule->ports, rule->port_count, 8, code_ports);
	image_string(m, &rule->proto);
	IMAGE_LIST(m, rule->by, rule->by_count, 4, code_word);
	image_bool(m, &rule->allow_all);
	image_string(m, &rule->reason);
	image_source(m, &rule->at);
}

static void code_network_rules(struct image *m, struct network_rules *rules)
{
	IMAGE_LIST(m, rules->items, rules->count, 37, code_network_rule);
}

static void code_exec_rule(struct image *m, void *item)
{
	struct exec_rule *rule = item;

	image_string(m, &rule->path);
	image_string(m, &rule->written);
	IMAGE_LIST(m, rule->command, rule->command_count, 4, code_word);
	m->failed |= !rule->path == !rule->command_count;
	image_bool(m, &rule->optional);
	image_string(m, &rule->reason);
	image_source(m, &rule->at);
}

static void code_exec_rules(struct image *m, struct exec_rules *rules)
{
	IMAGE_LIST(m, rules->items, rules->count, 29, code_exec_rule);
}

static void code_string_rule(struct image *m, void *item)
{
	struct string_rule *rule = item;

	image_needed(m, &rule->text);
	image_source(m, &rule->at);
}

static void code_string_rules(struct image *m, struct string_rules *rules)
{
	IMAGE_LIST(m, rules->items, rules->count, 16, code_string_rule);
}

static void code_env_set(struct image *m, void *item)
{
	struct env_set *set = item;

	image_needed(m, &set->name);
	image_needed(m, &set->value);
	image_source(m, &set->at);
}

static void code_test(struct image *m, void *item)
{
	struct test_rule *test = item;

	image_needed(m, &test->operation);
	image_needed(m, &test->object);
	image_string(m, &test->name);
	IMAGE_WORD(m, test->expect, DECISION_COUNT);
	image_source(m, &test->at);
}

static void code_pending(struct image *m, void *item)
{
	struct pending *pending = item;

	image_needed(m, &pending->key);
	image_needed(m, &pending->needs);
	image_string(m, &pending->value);
	image_source(m, &pending->at);
}

static void code_trigger(struct image *m, void *item)
{
	struct trigger *trigger = item;

	IMAGE_WORD(m, trigger->event, TRIGGER_COUNT);
	image_limit(m, &trigger->count);
	image_limit(m, &trigger->within_ms);
	image_limit(m, &trigger->above_percent);
	image_limit(m, &trigger->for_ms);
	image_source(m, &trigger->at);
}

static void code_phase(struct image *m, struct phase_rules *phase)
{
	IMAGE_LIST(m, phase->when.items, phase->when.count, 100, code_trigger);
	image_limit(m, &phase->then.fs_write);
	image_limit(m, &phase->then.network);
	image_limit(m, &phase->then.exec);
	image_limit(m, &phase->then.run);
	IMAGE_WORD(m, phase->recover, RECOVER_COUNT);
	image_source(m, &phase->recover_at);
}

static void code_sink(struct image *m, void *item)
{
	struct sink_rule *sink = item;

	IMAGE_WORD(m, sink->type, SINK_TYPE_COUNT);
	IMAGE_WORD(m, sink->format, SINK_FORMAT_COUNT);
	image_source(m, &sink->at);
}

static void code_command(struct image *m, struct command_words *command)
{
	IMAGE_LIST(m, command->items, command->count, 4, code_word);
	m->failed |= command->count > COMMAND_MAX;
	image_source(m, &command->at);
}

static void code_judge(struct image *m, void *item)
{
	struct judge_rule *judge = item;

	image_needed(m, &judge->name);
	code_command(m, &judge->exec);
	image_limit(m, &judge->on);
	image_limit(m, &judge->timeout_ms);
	IMAGE_WORD(m, judge->on_error, GATE_ERROR_COUNT);
	image_bool(m, &judge->operators);
	image_source(m, &judge->at);
}

/* ---- sections ---- */

static void code_head(struct image *m, struct profile *p)
{
	image_needed(m, &p->name);
	image_string(m, &p->description);
	image_needed(m, &p->file);
	image_bool(m, &p->of_run);
	image_bool(m, &p->of_operator);
	image_bytes(m, p->digest, sizeof(p->digest));
	image_bool(m, &p->degrade);
	image_source(m, &p->degrade_at);
	IMAGE_WORD(m, p->feedback, FEEDBACK_COUNT);
	image_source(m, &p->feedback_at);
	image_limit(m, &p->requires.landlock);
	image_limit(m, &p->requires.notify);
	image_limit(m, &p->requires.bpf);
	image_limit(m, &p->requires.cgroup);
}

static void code_files(struct image *m, struct profile *p)
{
	code_path_rules(m, &p->fs.read);
	code_path_rules(m, &p->fs.write);
	code_path_rules(m, &p->fs.ask);
	code_path_rules(m, &p->fs.deny);
	code_path_rules(m, &p->fs.canaries);
	code_path_rules(m, &p->fs.protect);
	image_bool(m, &p->fs.tmp.private);
	image_limit(m, &p->fs.tmp.size_bytes);
	image_source(m, &p->fs.tmp.at);
	image_bool(m, &p->fs.home.private);
	image_limit(m, &p->fs.home.size_bytes);
	image_source(m, &p->fs.home.at);
}

static void code_network(struct image *m, struct profile *p)
{
	IMAGE_WORD(m, p->network.mode, NETWORK_MODE_COUNT);
	image_source(m, &p->network.mode_at);
	code_network_rules(m, &p->network.allow);
	code_network_rules(m, &p->network.ask);
	code_network_rules(m, &p->network.deny);
	code_string_rules(m, &p->network.listen);
	code_path_rules(m, &p->network.unix_sockets);
}

static void code_programs(struct image *m, struct profile *p)
{
	IMAGE_WORD(m, p->exec.default_decision, DECISION_COUNT);
	image_source(m, &p->exec.default_at);
	code_exec_rules(m, &p->exec.allow);
	code_exec_rules(m, &p->exec.ask);
	code_exec_rules(m, &p->exec.deny);
	IMAGE_WORD(m, p->exec.hash, EXEC_HASH_COUNT);
	image_source(m, &p->exec.hash_at);
}

static void code_calls(struct image *m, struct profile *p)
{
	IMAGE_WORD(m, p->syscalls.base, SYSCALL_BASE_COUNT);
	image_source(m, &p->syscalls.base_at);
	code_string_rules(m, &p->syscalls.allow);
	code_string_rules(m, &p->syscalls.deny);
	code_string_rules(m, &p->syscalls.deny_groups);
	code_string_rules(m, &p->syscalls.families);
	IMAGE_WORD(m, p->syscalls.on_deny, DENY_ACTION_COUNT);
	image_source(m, &p->syscalls.on_deny_at);
	code_string_rules(m, &p->env.pass);
	IMAGE_LIST(m, p->env.set, p->env.set_count, 20, code_env_set);
	code_string_rules(m, &p->env.hide);
}

static void code_numbers(struct image *m, struct profile *p)
{
	image_limit(m, &p->limits.cpu_percent);
	image_limit(m, &p->limits.memory_bytes);
	image_limit(m, &p->limits.pids);
	image_limit(m, &p->limits.open_files);
	image_limit(m, &p->limits.file_size_bytes);
	image_limit(m, &p->limits.wall_time_ms);
	image_limit(m, &p->limits.io_weight);
	image_limit(m, &p->blast_radius.files_changed);
	image_limit(m, &p->blast_radius.files_deleted);
	image_limit(m, &p->blast_radius.bytes_written);
	image_limit(m, &p->blast_radius.bytes_sent);
	image_limit(m, &p->blast_radius.hosts_contacted);
	image_limit(m, &p->blast_radius.processes_started);
	image_limit(m, &p->blast_radius.warn_at);
	IMAGE_WORD(m, p->blast_radius.on_exceed, ON_EXCEED_COUNT);
	image_source(m, &p->blast_radius.on_exceed_at);
	code_phase(m, &p->pace.alternate);
	code_phase(m, &p->pace.contingency);
	code_phase(m, &p->pace.emergency);
}

static void code_rest(struct image *m, struct profile *p)
{
	image_limit(m, &p->recorder.level);
	image_limit(m, &p->recorder.on_failure);
	image_limit(m, &p->recorder.keep_ms);
	code_string_rules(m, &p->recorder.redact);
	IMAGE_LIST(m, p->recorder.sinks.items, p->recorder.sinks.count, 20, code_sink);
	code_path_rules(m, &p->recorder.outputs);
	image_string(m, &p->workspace.path);
	image_source(m, &p->workspace.path_at);
	image_limit(m, &p->workspace.mode);
	image_limit(m, &p->approvals.on);
	image_limit(m, &p->approvals.channels);
	code_command(m, &p->approvals.exec);
	image_bool(m, &p->approvals.exec_is_operators);
	image_bool(m, &p->approvals.exec_of_ceiling);
	image_limit(m, &p->approvals.timeout_ms);
	image_limit(m, &p->approvals.rate_max);
	image_limit(m, &p->approvals.rate_within_ms);
	IMAGE_LIST(m, p->gates.items, p->gates.count, 87, code_judge);
	m->failed |= p->gates.count > GATES_MAX;
	IMAGE_LIST(m, p->pending.items, p->pending.count, 24, code_pending);
	IMAGE_LIST(m, p->tests.items, p->tests.count, 28, code_test);
}

void image_profile(struct image *m, struct profile *p)
{
	static void (*const sections[])(struct image * m, struct profile * p) = {code_head,
		code_files, code_network, code_programs, code_calls, code_numbers, code_rest};

	for (size_t i = 0; i < array_size(sections) && !m->failed; i++)
		sections[i](m, p);
}
