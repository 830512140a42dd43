/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"
#include "plan/syscalls.h"

#define PLAN_VERSION 1
#define HOST_NAME "berm"
#define MOUNTS_MAX 4096 /* steps of one plan; each is several system calls at every start */

const char *const *plan_fact_paths(void)
{
	static const char *const paths[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
		"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1",
		"/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-aarch64.so.1", "/dev/null", "/dev/zero",
		"/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", NULL};

	return paths;
}

static void finish(struct compiler *c)
{
	for (size_t i = 0; i < c->kept_count; i++)
		free(c->kept[i]);
	free(c->kept);
	free(c->paths);
	for (size_t i = 0; i < COVERS_COUNT; i++)
		free(c->covers[i].items);
	free(c->grants);
	free(c->areas);
	free(c->protections);
	free(c->links);
	free(c->programs);
	/* What was written to it had no message to go to. */
	if (c->spare_mount.source != protobuf_c_empty_string)
		free(c->spare_mount.source);
	free(c->spare_mount.content.data);
	free(c->spare_mount.digest.data);
}

static int plan_argv(struct compiler *c)
{
	const char *const *argv = c->request->argv;
	Berm__Wire__Plan *plan = c->plan;

	for (size_t i = 0; argv && argv[i]; i++) {
		char *word = message_string(c, argv[i]);

		if (!message_push(c, &plan->argv, &plan->n_argv, word)) {
			if (word != protobuf_c_empty_string)
				free(word);
			return -ENOMEM;
		}
	}
	return 0;
}

static bool is_hidden(const struct compiler *c, const char *path)
{
	for (size_t i = 0; i < c->protection_count; i++) {
		if (c->protections[i].kind == PROTECTION_HIDE &&
			path_is_beneath(path, c->protections[i].path))
			return true;
	}
	return path_is_denied(c, path);
}

/* Where the tool starts: what the caller asked for where the run can see it. */
static int plan_working_directory(struct compiler *c)
{
	const char *asked = c->request->working_directory ? c->request->working_directory : "/";
	bool hidden = is_hidden(c, asked);
	const struct area *area;

	if (!path_is_normal(asked))
		return error_set(c->err, -EINVAL, ERROR_INPUT,
			"working directory %s is no plain path", asked);
	area = area_of(c, asked);
	if (!hidden && (area->kind == AREA_GRANT || strcmp(asked, area->path) == 0)) {
		c->plan->working_directory = message_string(c, asked);
		return 0;
	}
	if (c->request->working_directory_explicit && hidden)
		return error_set(c->err, -EACCES, ERROR_REFUSED,
			"working directory %s is denied by the profile", asked);
	if (c->request->working_directory_explicit)
		return error_set(c->err, -EACCES, ERROR_REFUSED,
			"working directory %s is not granted; add it to the profile: fs.write: "
			"[%s] (or fs.read)",
			asked, asked);
	note(c, "working directory %s is not %s: the run starts in /", asked,
		hidden ? "visible" : "granted");
	c->plan->working_directory = message_string(c, "/");
	return 0;
}

static void plan_agent(struct compiler *c)
{
	const Berm__Wire__Agent *agent = c->request->agent;
	Berm__Wire__PlanAgent *to = agent ? malloc(sizeof(*to)) : NULL;

	c->out_of_memory |= agent && !to;
	if (!to)
		return;
	berm__wire__plan_agent__init(to);
	to->id = message_string(c, agent->id);
	to->name = message_string(c, agent->name);
	to->group = message_string(c, agent->group);
	to->tier = agent->tier;
	c->plan->agent = to;
}

static int plan_settings(struct compiler *c)
{
	c->plan->version = PLAN_VERSION;
	c->plan->profile_name = message_string(c, c->profile->name);
	c->plan->host_name = message_string(c, HOST_NAME);
	message_bytes(c, &c->plan->profile_digest, c->profile->digest, sizeof(c->profile->digest));
	c->plan->trace_denials = c->request->trace_denials;
	/* Only host uid 0 may write it (mm/memfd.c registers it with root's permissions). */
	c->plan->memfd_noexec = c->facts->memfd_noexec && c->facts->privileged;
	if (c->request->trace_denials && !c->facts->seccomp_notify)
		note(c, "--trace-denials: this host has no seccomp user notification, so path "
			"denials are not "
			"seen");
	plan_agent(c);
	return plan_argv(c);
}

static uint32_t call_rule(
	void *context, const char *key, const char *value, const struct source *at)
{
	return rule_add(context, key, value, at, NULL);
}

static int plan_calls(struct compiler *c)
{
	const struct syscalls_request request = {.trace = c->request->trace_denials,
		.meter = c->plan->meter,
		.network_closed =
			c->plan->network->mode == BERM__WIRE__NETWORK_MODE__NETWORK_NONE ||
			(c->plan->meter && c->plan->meter->programs),
		.rule = call_rule,
		.context = c};

	return syscalls_compile(
		c->profile, c->facts, &request, &c->plan->seccomp, c->notes, c->err);
}

static int plan_finish(struct compiler *c)
{
	if (c->plan->n_mounts > MOUNTS_MAX)
		return error_set(c->err, -E2BIG, ERROR_INPUT,
			"the profile needs %zu mounts, more than %d; a pattern with many matches "
			"is the usual "
			"cause",
			c->plan->n_mounts, MOUNTS_MAX);
	plan_canaries(c);
	plan_enforcement(c);
	return c->out_of_memory ? -ENOMEM : 0;
}

/* In this order: each step needs what those before it left. */
static int (*const steps[])(struct compiler *c) = {
	plan_settings,
	plan_rules,
	plan_facts,
	plan_covers,
	plan_requirements,
	plan_recorder,
	plan_approvals,
	plan_meter,
	recorder_level,
	plan_identity,
	plan_grants,
	plan_owner,
	plan_areas,
	plan_stage,
	plan_protections,
	plan_programs,
	plan_mounts,
	plan_network,
	plan_meter_scope,
	plan_landlock,
	plan_calls,
	plan_environment,
	plan_limits,
	plan_working_directory,
	plan_pinned,
	plan_finish,
};

int plan_compile(const struct profile *profile, const Berm__Wire__HostFacts *facts,
	const struct plan_request *request, Berm__Wire__Plan **ret_plan, struct text *notes,
	struct error *err)
{
	struct compiler c = {.profile = profile,
		.facts = facts,
		.request = request,
		.notes = notes,
		.err = err,
		.plan = malloc(sizeof(*c.plan))};
	int r = c.plan ? 0 : -ENOMEM;

	if (c.plan)
		berm__wire__plan__init(c.plan);
	for (size_t i = 0; r == 0 && i < array_size(steps); i++) {
		r = steps[i](&c);
		if (r == 0 && c.out_of_memory)
			r = -ENOMEM;
	}
	finish(&c);
	if (r < 0) {
		plan_destroy(c.plan);
		return r == -ENOMEM ? error_set(err, r, ERROR_INTERNAL, "out of memory") : r;
	}
	*ret_plan = c.plan;
	return 0;
}

void plan_destroy(Berm__Wire__Plan *plan)
{
	if (plan)
		berm__wire__plan__free_unpacked(plan, NULL);
}
