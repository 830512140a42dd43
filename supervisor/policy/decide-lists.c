/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/decide-internal.h"

#include <string.h>

#include "base/own.h"
#include "policy/calls.h"
#include "policy/risky-env.h"

static const struct string_rule *rules_hold(const struct string_rules *rules, const char *text)
{
	for (size_t i = 0; i < rules->count; i++)
		if (strcmp(rules->items[i].text, text) == 0)
			return &rules->items[i];
	return NULL;
}

static bool settle_string(
	struct verdict *v, enum decision decision, const char *name, const struct string_rule *rule)
{
	return rule && verdict_settle(v, decision, name, rule->text, NULL, &rule->at);
}

void decide_syscall(const struct profile *profile, const char *object, struct verdict *v)
{
	static const char *const bases[SYSCALL_BASE_COUNT] = {
		[SYSCALL_BASE_DEFAULT] = "default", [SYSCALL_BASE_STRICT] = "strict"};
	const struct calls_entry *call = calls_find(object);
	const struct calls_group_entry *group;
	bool in_base;

	if (!call)
		return;
	group = calls_group((enum calls_group)call->group);
	if (settle_string(v, DECISION_DENY, "syscalls.deny",
		    rules_hold(&profile->syscalls.deny, object)) ||
		settle_string(v, DECISION_DENY, "syscalls.deny_groups",
			rules_hold(&profile->syscalls.deny_groups, group->name)))
		return;
	if (call->flags & CALLS_NEVER) {
		verdict_settle(v, DECISION_DENY, "berm", group->name,
			"it would undo the rules about other calls", NULL);
		return;
	}
	if (settle_string(v, DECISION_ALLOW, "syscalls.allow",
		    rules_hold(&profile->syscalls.allow, object)))
		return;
	in_base = group->in_base[profile->syscalls.base];
	verdict_settle(v, in_base ? DECISION_ALLOW : DECISION_DENY, "syscalls.base",
		bases[profile->syscalls.base], group->holds, &profile->syscalls.base_at);
}

/* Set by berm in every run, whatever the caller has. */
static const char *const own_names[] = {
	"PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "SHELL", "BERM_RUN"};

static bool env_name_is_sound(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
	static const char word[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

	return name[0] && strchr(letters, name[0]) && name[strspn(name, word)] == '\0';
}

void decide_env(const struct profile *profile, const char *object, struct verdict *v)
{
	if (!env_name_is_sound(object))
		return;
	for (size_t i = 0; i < array_size(own_names); i++)
		if (strcmp(own_names[i], object) == 0) {
			verdict_settle(v, DECISION_ALLOW, "berm", own_names[i],
				"berm sets it in every run", NULL);
			return;
		}
	for (size_t i = 0; i < profile->env.hide.count; i++)
		if (env_hides(profile->env.hide.items[i].text, object) &&
			settle_string(v, DECISION_DENY, "env.hide", &profile->env.hide.items[i]))
			return;
	for (size_t i = 0; i < profile->env.set_count; i++)
		if (strcmp(profile->env.set[i].name, object) == 0) {
			verdict_settle(v, DECISION_ALLOW, "env.set", profile->env.set[i].name, NULL,
				&profile->env.set[i].at);
			return;
		}
	for (size_t i = 0; i < profile->env.pass.count; i++)
		if (env_passes(profile->env.pass.items[i].text, object) &&
			settle_string(v, DECISION_ALLOW, "env.pass", &profile->env.pass.items[i]))
			return;
	verdict_settle(v, DECISION_DENY, "env.default", NULL,
		env_is_risky(object) ? "programs load or trust what it names: no pattern passes it"
				     : NULL,
		NULL);
}
