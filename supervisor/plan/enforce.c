/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

/* The features that may be missing with the operator's word; the list of the design. */
static bool degrading_allowed(const struct compiler *c, const char *feature)
{
	const char *const *names = c->request->allow_degraded;

	for (size_t i = 0; names && names[i]; i++) {
		if (strcmp(names[i], feature) == 0)
			return true;
	}
	return c->profile->degrade;
}

static void remember_degraded(struct compiler *c, const char *feature)
{
	Berm__Wire__Plan *plan = c->plan;
	char *name;

	for (size_t i = 0; i < plan->n_degraded; i++) {
		if (strcmp(plan->degraded[i], feature) == 0)
			return;
	}
	name = message_string(c, feature);
	if (!message_push(c, &plan->degraded, &plan->n_degraded, name) &&
		name != protobuf_c_empty_string)
		free(name);
}

int feature_missing(struct compiler *c, const char *feature, uint32_t rule, const char *consequence)
{
	char by[640];

	if (!degrading_allowed(c, feature))
		return error_set(c->err, -EOPNOTSUPP, ERROR_UNSUPPORTED,
			"%s: feature %s is missing: %s; change the rule, or run it weaker with "
			"--allow-degraded=%s (in the profile: on_unsupported: degrade)",
			rule_text(c, rule), feature, consequence, feature);
	snprintf(by, sizeof(by), "weaker without %s: %s", feature, consequence);
	rule_enforced(c, rule, by);
	note(c, "%s: degraded, feature %s is missing: %s", rule_text(c, rule), feature,
		consequence);
	remember_degraded(c, feature);
	return 0;
}

/* A line that the walls cannot hold and that a later part of berm will. Running without it would be
 * running without a rule that somebody wrote. */
static int not_yet(struct compiler *c, const struct source *at, const char *key, const char *needs)
{
	if (!c->request->argv) {
		note(c, "%s:%u:%u: %s needs %s, which this build does not have: run refuses it",
			at->file, at->line, at->column, key, needs);
		return 0;
	}
	return error_set(c->err, -EOPNOTSUPP, ERROR_UNSUPPORTED,
		"%s:%u:%u: %s cannot be enforced yet: it needs %s, which this build does not have; "
		"take the "
		"line out to run without it",
		at->file, at->line, at->column, key, needs);
}

static int check_pending(struct compiler *c)
{
	for (size_t i = 0; i < c->profile->pending.count; i++) {
		const struct pending *p = &c->profile->pending.items[i];
		int r = not_yet(c, &p->at, p->key, p->needs);

		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_pending(const struct compiler *c, const struct source *at)
{
	for (size_t i = 0; i < c->profile->pending.count; i++) {
		const struct source *p = &c->profile->pending.items[i].at;

		if (p->line == at->line && p->column == at->column &&
			strcmp(p->file, at->file) == 0)
			return true;
	}
	return false;
}

/* A rule that goes by the name of a host, or that is for some programs only. */
static int check_network(
	struct compiler *c, const struct network_rules *rules, const char *key, bool grant)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct network_rule *rule = &rules->items[i];
		int r = 0;

		if (is_pending(c, &rule->at))
			continue;
		if (rule->host)
			r = not_yet(c, &rule->at, key, "the DNS proxy");
		else if (rule->by_count && grant)
			r = not_yet(c, &rule->at, key, "the exec meter");
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_commands(
	struct compiler *c, enum rule_section section, const struct exec_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		uint32_t rule = rule_index(c, section, i);
		int r;

		if (rules->items[i].path)
			continue;
		rule_enforced(c, rule, "nothing (not yet)");
		if (is_pending(c, &rules->items[i].at))
			continue;
		r = not_yet(c, &rules->items[i].at, c->plan->rules[rule]->key, "the exec meter");
		if (r < 0)
			return r;
	}
	return 0;
}

/* The loader lists what is pending; what it forgot is found here, so that nothing is lost between
 * the two. */
static int check_unenforced(struct compiler *c)
{
	const struct profile *p = c->profile;
	bool closed = p->network.mode == NETWORK_MODE_SCOPED && !p->network.allow.count;
	int r = check_network(c, &p->network.allow, "network.allow", true);

	if (r == 0)
		r = check_network(c, &p->network.ask, "network.ask", false);
	if (r == 0 && !closed)
		r = check_network(c, &p->network.deny, "network.deny", false);
	if (r == 0)
		r = check_commands(c, RULES_EXEC_ALLOW, &p->exec.allow);
	if (r == 0)
		r = check_commands(c, RULES_EXEC_ASK, &p->exec.ask);
	if (r == 0)
		r = check_commands(c, RULES_EXEC_DENY, &p->exec.deny);
	return r;
}

static int demanded(
	struct compiler *c, const struct limit *limit, const char *what, const char *has)
{
	return error_set(c->err, -EOPNOTSUPP, ERROR_UNSUPPORTED,
		"%s:%u:%u: requires %s, and this host has %s", limit->at.file, limit->at.line,
		limit->at.column, what, has);
}

/* requires: is a condition of its own, which nothing degrades. */
static int check_requires(struct compiler *c)
{
	const struct profile *p = c->profile;
	const Berm__Wire__HostFacts *f = c->facts;
	char what[48], has[64];

	if (p->requires.landlock.set && p->requires.landlock.value > f->landlock_abi) {
		snprintf(what, sizeof(what), "landlock ABI %llu",
			(unsigned long long)p->requires.landlock.value);
		snprintf(has, sizeof(has), f->landlock_abi ? "ABI %u" : "no Landlock",
			f->landlock_abi);
		return demanded(c, &p->requires.landlock, what, has);
	}
	if (p->requires.notify.set && p->requires.notify.value && !f->seccomp_notify)
		return demanded(c, &p->requires.notify, "notify", "no seccomp user notification");
	if (p->requires.cgroup.set && p->requires.cgroup.value && !f->cgroup_v2) {
		snprintf(has, sizeof(has), "no cgroup v2 to use (%s)",
			*f->cgroup_layout ? f->cgroup_layout : "none");
		return demanded(c, &p->requires.cgroup, "cgroup v2", has);
	}
	if (p->requires.bpf.set && p->requires.bpf.value)
		return error_set(c->err, -EOPNOTSUPP, ERROR_UNSUPPORTED,
			"%s:%u:%u: requires bpf, and this build enforces nothing with bpf",
			p->requires.bpf.at.file, p->requires.bpf.at.line,
			p->requires.bpf.at.column);
	return 0;
}

int plan_requirements(struct compiler *c)
{
	int r = check_requires(c);

	if (r == 0)
		r = check_pending(c);
	if (r == 0)
		r = check_unenforced(c);
	if (r < 0)
		return r;
	if (!c->facts->user_namespaces)
		return error_set(c->err, -EOPNOTSUPP, ERROR_UNSUPPORTED,
			"feature userns is missing: this host lets berm make no user namespace, "
			"and every "
			"wall stands in one; see user.max_user_namespaces and, on Debian, "
			"kernel.unprivileged_userns_clone");
	if (!c->facts->seccomp_filter)
		return error_set(c->err, -EOPNOTSUPP, ERROR_UNSUPPORTED,
			"this kernel has no seccomp filters, and without them no run starts");
	if (c->facts->landlock_abi == 0)
		r = feature_missing(c, "landlock", 0,
			"files are guarded by mounts alone, without a second wall");
	if (r == 0 && c->facts->landlock_abi == 0 &&
		c->profile->exec.default_decision != DECISION_ALLOW)
		r = feature_missing(c, "landlock", rule_index(c, RULES_EXEC_DEFAULT, 0),
			"every program that can be read can be run");
	return r;
}

/* What most lines of a section are enforced by, where their own step has not said it better. */
static const char *usual(const struct compiler *c, const char *key)
{
	bool second = c->plan->landlock->abi > 0;

	if (strcmp(key, "fs.read") == 0 || strcmp(key, "fs.write") == 0)
		return second ? "mount+landlock" : "mount";
	if (strcmp(key, "fs.tmp") == 0 || strcmp(key, "fs.home") == 0)
		return second ? "mount+landlock" : "mount";
	if (strcmp(key, "network.unix") == 0)
		return c->plan->landlock->abi >= 9 ? "mount+landlock" : "mount";
	if (strcmp(key, "exec.default") == 0 && c->profile->exec.default_decision == DECISION_ALLOW)
		return "mount (noexec where the run can write)";
	if (strcmp(key, "exec.default") == 0 ||
		(strcmp(key, "exec.allow") == 0 &&
			c->profile->exec.default_decision != DECISION_ALLOW))
		return second ? "mount+landlock (weaker: an interpreter runs what it can read)"
			      : "mount";
	if (strncmp(key, "exec.", 5) == 0)
		return "mount";
	if (strncmp(key, "syscalls.", 9) == 0)
		return "seccomp";
	if (strncmp(key, "env.", 4) == 0)
		return "environment";
	if (strncmp(key, "network.", 8) == 0)
		return "nothing (not yet)";
	if (strcmp(key, "recorder.redact") == 0)
		return "supervisor, before a record is made";
	if (strcmp(key, "recorder.on_failure") == 0 || strcmp(key, "recorder.outputs") == 0)
		return "supervisor";
	if (strncmp(key, "recorder.", 9) == 0)
		return "recorder";
	if (strcmp(key, "workspace.mode") == 0)
		return "nothing to stage";
	if (strncmp(key, "blast_radius.", 13) == 0)
		return "the meter of the caps";
	return "";
}

void plan_enforcement(struct compiler *c)
{
	for (uint32_t i = 0; i < c->plan->n_rules; i++) {
		const Berm__Wire__Rule *r = c->plan->rules[i];

		if (!*r->enforced_by)
			rule_enforced(c, i, usual(c, r->key));
	}
}
