/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

#include <sys/resource.h>

#define CPU_PERIOD_US 100000ULL
#define MESSAGE_QUEUE_BYTES 819200 /* the kernel's default, mq_overview(7) */

static void add_rlimit(struct compiler *c, uint32_t resource, uint64_t value, uint32_t rule)
{
	Berm__Wire__Rlimit *limit = malloc(sizeof(*limit));

	if (!limit || !message_push(c, &c->plan->rlimits, &c->plan->n_rlimits, limit)) {
		free(limit);
		c->out_of_memory = true;
		return;
	}
	berm__wire__rlimit__init(limit);
	limit->resource = resource;
	limit->soft = value;
	limit->hard = value;
	limit->rule = rule;
}

/* NULL when memory ran out. */
static Berm__Wire__CgroupValue *add_cgroup(
	struct compiler *c, const char *file, const char *value, uint32_t rule)
{
	Berm__Wire__Cgroup *cgroup = c->plan->cgroup;
	Berm__Wire__CgroupValue *v = malloc(sizeof(*v));

	if (!v || !message_push(c, &cgroup->values, &cgroup->n_values, v)) {
		free(v);
		c->out_of_memory = true;
		return NULL;
	}
	berm__wire__cgroup_value__init(v);
	v->file = message_string(c, file);
	v->value = message_string(c, value);
	v->rule = rule;
	return v;
}

static void add_cgroup_number(struct compiler *c, const char *file, uint64_t value, uint32_t rule)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	add_cgroup(c, file, text, rule);
}

static bool has_controller(const struct compiler *c, const char *name)
{
	if (!c->facts->cgroup_v2)
		return false;
	for (size_t i = 0; i < c->facts->n_cgroup_controllers; i++) {
		if (strcmp(c->facts->cgroup_controllers[i], name) == 0)
			return true;
	}
	return false;
}

static void limit_memory(struct compiler *c)
{
	const struct limit *limit = &c->profile->limits.memory_bytes;
	uint32_t rule = rule_index(c, RULES_LIMITS_MEMORY, 0);
	Berm__Wire__CgroupValue *swap;

	if (!limit->set)
		return;
	if (has_controller(c, "memory")) {
		add_cgroup_number(c, "memory.max", limit->value, rule);
		/* Swap would be memory beyond the limit; and what is killed is the run, not a
		 * random part of it. */
		swap = add_cgroup(c, "memory.swap.max", "0", rule);
		if (swap)
			swap->optional = true;
		add_cgroup(c, "memory.oom.group", "1", rule);
		rule_enforced(c, rule, "cgroup");
		return;
	}
	add_rlimit(c, RLIMIT_DATA, limit->value, rule);
	rule_enforced(c, rule, "rlimit (weaker: per process)");
	note(c, "%s: no memory controller here, so each process is limited, not the run",
		rule_text(c, rule));
}

static void limit_pids(struct compiler *c)
{
	const struct limit *limit = &c->profile->limits.pids;
	uint32_t rule = rule_index(c, RULES_LIMITS_PIDS, 0);

	if (!limit->set)
		return;
	if (has_controller(c, "pids")) {
		add_cgroup_number(c, "pids.max", limit->value + PLAN_OWN_TASKS, rule);
		rule_enforced(c, rule, "cgroup");
		return;
	}
	/* Since Linux 5.14 counted for each user namespace, and each run has one. */
	add_rlimit(c, RLIMIT_NPROC, limit->value + PLAN_OWN_TASKS, rule);
	rule_enforced(c, rule, "rlimit (weaker: counted by user namespace)");
}

static int limit_cpu(struct compiler *c)
{
	const struct limit *cpu = &c->profile->limits.cpu_percent;
	const struct limit *io = &c->profile->limits.io_weight;
	uint32_t cpu_rule = rule_index(c, RULES_LIMITS_CPU, 0);
	uint32_t io_rule = rule_index(c, RULES_LIMITS_IO_WEIGHT, 0);
	char text[64];
	int r = 0;

	if (cpu->set && has_controller(c, "cpu")) {
		snprintf(text, sizeof(text), "%llu %llu",
			(unsigned long long)(cpu->value * CPU_PERIOD_US / 100), CPU_PERIOD_US);
		add_cgroup(c, "cpu.max", text, cpu_rule);
		rule_enforced(c, cpu_rule, "cgroup");
	} else if (cpu->set) {
		r = feature_missing(c, "cgroup", cpu_rule,
			"without the cpu controller of cgroup v2 nothing bounds processor time");
	}
	if (r == 0 && io->set && has_controller(c, "io")) {
		snprintf(text, sizeof(text), "default %llu", (unsigned long long)io->value);
		add_cgroup(c, "io.weight", text, io_rule);
		rule_enforced(c, io_rule, "cgroup");
	} else if (r == 0 && io->set) {
		r = feature_missing(c, "cgroup", io_rule,
			"without the io controller of cgroup v2 nothing weighs input and output");
	}
	return r;
}

static void limit_each(struct compiler *c)
{
	const struct limit *files = &c->profile->limits.open_files;
	const struct limit *size = &c->profile->limits.file_size_bytes;
	uint32_t rule;

	/* A core file holds the memory of a tool that may have read secrets, and is written by the
	 * kernel. One byte is too little for a file and, unlike zero, also keeps the kernel from
	 * starting a handler of core_pattern on the host (core(5); fs/coredump.c). */
	add_rlimit(c, RLIMIT_CORE, 1, 0);
	add_rlimit(c, RLIMIT_NICE, 0, 0);
	add_rlimit(c, RLIMIT_RTPRIO, 0, 0);
	add_rlimit(c, RLIMIT_MSGQUEUE, MESSAGE_QUEUE_BYTES, 0);
	if (files->set) {
		rule = rule_index(c, RULES_LIMITS_OPEN_FILES, 0);
		add_rlimit(c, RLIMIT_NOFILE, files->value, rule);
		rule_enforced(c, rule, "rlimit (per process)");
	}
	if (size->set) {
		rule = rule_index(c, RULES_LIMITS_FILE_SIZE, 0);
		add_rlimit(c, RLIMIT_FSIZE, size->value, rule);
		rule_enforced(c, rule, "rlimit (per file)");
	}
}

int plan_limits(struct compiler *c)
{
	Berm__Wire__Cgroup *cgroup = malloc(sizeof(*cgroup));
	const struct limit *wall = &c->profile->limits.wall_time_ms;
	uint64_t asked = c->request->wall_time_ms;
	int r;

	if (!cgroup)
		return -ENOMEM;
	berm__wire__cgroup__init(cgroup);
	c->plan->cgroup = cgroup;
	if (c->facts->cgroup_v2) {
		cgroup->use = true;
		cgroup->parent = message_string(c, c->facts->cgroup_parent);
	}
	limit_memory(c);
	limit_pids(c);
	r = limit_cpu(c);
	if (r < 0)
		return r;
	/* The pid namespace already holds a run together: without a value to set a cgroup would
	 * only cost time. The meter's network programs need one, and its freezer stops a run
	 * at once. */
	if (!cgroup->n_values && !c->profile->requires.cgroup.set && !c->plan->meter)
		cgroup->use = false;
	limit_each(c);
	if (wall->set) {
		c->plan->wall_time_ms = wall->value;
		rule_enforced(c, rule_index(c, RULES_LIMITS_WALL_TIME, 0), "supervisor");
	}
	/* --timeout only shortens. */
	if (asked && (!wall->set || asked < wall->value))
		c->plan->wall_time_ms = asked;
	return c->out_of_memory ? -ENOMEM : 0;
}
