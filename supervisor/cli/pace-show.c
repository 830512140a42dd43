/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pace-group.h"

#include "base/json.h"
#include "cli/log-time.h"
#include "govern/pace-words.h"

#include <inttypes.h>
#include <string.h>

static void put_ago(struct text *out, const struct pace_group *group, const struct pace_moment *m)
{
	pace_duration_write(out, pace_at_least_ms(&group->clock, m));
	text_puts(out, " ago");
}

static void put_next(const struct pace_group *group, struct text *out)
{
	struct pace_outcome next = {0};
	uint64_t ms = pace_next(group, &next);

	if (ms == UINT64_MAX)
		return;
	text_printf(out, "  by itself    %s in ", phase_name(next.after));
	pace_duration_write(out, ms);
	text_printf(out, ": %s\n", pace_trigger_words(next.trigger));
}

/* What a signature about the group has to be about, where there is something to answer. */
static void put_about(struct text *out, const char *words, const struct pace_group *group,
	unsigned trigger, unsigned to)
{
	char about[AUTHORITY_ABOUT_MAX];

	if (authority_about(group, trigger, to, about))
		text_printf(out, "  %-12s %s\n", words, about);
}

static void put_decision(const struct groups *groups, const struct pace_group *group,
	const struct pace_request *r, struct text *out)
{
	char agent[GROUP_AGENT_WORDS] = "the whole group";

	if (!r->open)
		return;
	if (r->agent[0])
		groups_agent_name(groups, r->agent, agent);
	text_printf(out, "  decision     about %s: %s", phase_name(r->to),
		pace_trigger_words(r->trigger));
	text_printf(out, "; asked by %s, ", r->source[0] ? r->source : "berm");
	put_ago(out, group, &r->since);
	text_printf(out, "; frozen until then: %s\n", agent);
	for (size_t i = 0; i < r->more_count; i++) {
		snprintf(agent, sizeof(agent), "the whole group");
		if (r->more[i].agent[0])
			groups_agent_name(groups, r->more[i].agent, agent);
		text_printf(out, "    and        %s; frozen until then: %s\n",
			pace_trigger_words(r->more[i].trigger), agent);
	}
	put_about(out, "to say no", group, PACE_DISMISSED, r->to);
}

static void put_agent(
	const struct groups *groups, const char *words, const char *id, struct text *out)
{
	char name[GROUP_AGENT_WORDS];

	if (!id[0])
		return;
	groups_agent_name(groups, id, name);
	text_printf(out, "  %-12s %s\n", words, name);
}

void pace_group_write(const struct groups *groups, const struct pace_group *group, struct text *out)
{
	char name[GROUP_AGENT_WORDS];

	text_printf(out, "%s  %s%s  tier %u, since ", group->name, phase_name(group->phase),
		group->recovering ? " (on the way back from emergency)" : "", group->tier);
	log_time_put(out, (int64_t)(group->entered.wall_ms * 1000000));
	text_puts(out, "\n");
	put_about(out, "to sign", group, PACE_TRIGGER_COUNT, PHASE_COUNT);
	for (size_t i = 0; i < group->isolated_count; i++) {
		groups_agent_name(groups, group->isolated[i].agent, name);
		text_printf(out, "  isolated     %s (%s), ", name, group->isolated[i].agent);
		put_ago(out, group, &group->isolated[i].since);
		text_puts(out, "\n");
	}
	if (group->all_isolated)
		text_puts(out, "  isolated     all agents: more than the list holds\n");
	for (size_t i = 0; i < PACE_SLOT_COUNT; i++)
		put_decision(groups, group, &group->requests[i], out);
	if (group->phase == PHASE_ALTERNATE && !group->explained)
		put_about(out, "to explain", group, PACE_EXPLAINED, PHASE_COUNT);
	put_next(group, out);
	if (group->configured != PHASE_PRIMARY)
		text_printf(out, "  at least     %s\n", phase_name(group->configured));
	put_agent(groups, "backup", group->backup, out);
	put_agent(groups, "contingency", group->contingency, out);
}

static void put_moment(struct json *j, const char *key, const struct pace_group *group,
	const struct pace_moment *m)
{
	json_object_begin(j, key);
	json_put_u64(j, "wall_ms", m->wall_ms);
	json_put_u64(j, "at_least_ms_ago", pace_at_least_ms(&group->clock, m));
	json_put_u64(j, "at_most_ms_ago", pace_at_most_ms(&group->clock, m));
	json_object_end(j);
}

static void json_about(struct json *j, const char *key, const struct pace_group *group,
	unsigned trigger, unsigned to)
{
	char about[AUTHORITY_ABOUT_MAX];

	json_put_string(j, key, authority_about(group, trigger, to, about) ? about : NULL);
}

/* "backup" and "backup_id": the name is for people. */
static void json_agent(struct json *j, const struct groups *groups, const char *key, const char *id)
{
	char name[GROUP_AGENT_WORDS], id_key[32];

	snprintf(id_key, sizeof(id_key), "%s_id", key);
	if (id[0])
		groups_agent_name(groups, id, name);
	json_put_string(j, key, id[0] ? name : NULL);
	json_put_string(j, id_key, id[0] ? id : NULL);
}

static void json_decisions(
	struct json *j, const struct groups *groups, const struct pace_group *group)
{
	json_array_begin(j, "decisions");
	for (size_t i = 0; i < PACE_SLOT_COUNT; i++) {
		const struct pace_request *r = &group->requests[i];

		if (!r->open)
			continue;
		json_object_begin(j, NULL);
		json_put_string(j, "phase", phase_name(r->to));
		json_put_string(j, "trigger", pace_trigger_name(r->trigger));
		json_put_string(j, "authority", pace_authority_name(r->authority));
		json_put_string(j, "source", r->source[0] ? r->source : NULL);
		json_agent(j, groups, "agent", r->agent);
		put_moment(j, "since", group, &r->since);
		json_array_begin(j, "more");
		for (size_t n = 0; n < r->more_count; n++) {
			json_object_begin(j, NULL);
			json_put_string(j, "trigger", pace_trigger_name(r->more[n].trigger));
			json_agent(j, groups, "agent", r->more[n].agent);
			json_object_end(j);
		}
		json_array_end(j);
		json_about(j, "to_sign", group, PACE_DISMISSED, r->to);
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_isolated(
	struct json *j, const struct groups *groups, const struct pace_group *group)
{
	json_put_bool(j, "all_isolated", group->all_isolated);
	json_array_begin(j, "isolated");
	for (size_t i = 0; i < group->isolated_count; i++) {
		json_object_begin(j, NULL);
		json_agent(j, groups, "agent", group->isolated[i].agent);
		put_moment(j, "since", group, &group->isolated[i].since);
		json_object_end(j);
	}
	json_array_end(j);
}

void pace_group_json(const struct groups *groups, const struct pace_group *group, struct json *j)
{
	struct pace_outcome next = {0};
	uint64_t ms = pace_next(group, &next);

	json_put_string(j, "name", group->name);
	json_put_u64(j, "tier", group->tier);
	json_put_string(j, "phase", phase_name(group->phase));
	json_put_string(j, "at_least", phase_name(group->configured));
	json_put_bool(j, "recovering", group->recovering);
	json_put_bool(j, "explained", group->explained);
	json_agent(j, groups, "backup", group->backup);
	json_agent(j, groups, "contingency", group->contingency);
	json_put_u64(j, "window_ms", group->window_ms);
	json_put_u64(j, "changes", group->changes);
	json_about(j, "to_sign", group, PACE_TRIGGER_COUNT, PHASE_COUNT);
	json_about(j, "to_sign_explained", group, PACE_EXPLAINED, PHASE_COUNT);
	put_moment(j, "entered", group, &group->entered);
	put_moment(j, "disturbed", group, &group->disturbed);
	json_isolated(j, groups, group);
	json_decisions(j, groups, group);
	if (ms == UINT64_MAX) {
		json_put_null(j, "by_itself");
		return;
	}
	json_object_begin(j, "by_itself");
	json_put_string(j, "phase", phase_name(next.after));
	json_put_string(j, "trigger", pace_trigger_name(next.trigger));
	json_put_u64(j, "in_ms", ms);
	json_object_end(j);
}

/* Who looks has written down what is due, where that can be done soon. */
static int look(
	struct groups *groups, const char *name, struct pace_group *group, struct error *err)
{
	static const struct group_patience patience = {1000, 2000};
	bool waits;

	return groups_settle(groups, name, &patience, group, &waits, err);
}

/* One unreadable group does not hide the others; it makes the answer a failure. */
static int show_all(const struct verb *verb, struct groups *groups, bool as_json)
{
	autotext struct text out = {0};
	struct json j = {.out = &out};
	struct error err = {0};
	char **names = NULL;
	size_t count = 0;
	int code = CLI_GOOD;

	if (groups_list(groups, &names, &count, &err) < 0)
		return verb_failed(verb, &err);
	if (as_json)
		json_array_begin(&j, NULL);
	for (size_t i = 0; i < count; i++) {
		autofree struct pace_group *group = calloc(1, sizeof(*group));
		struct error why = {0};

		if (!group || look(groups, names[i], group, &why) < 0) {
			code = verb_failed(verb, &why);
		} else if (as_json) {
			json_object_begin(&j, NULL);
			pace_group_json(groups, group, &j);
			json_object_end(&j);
		} else {
			pace_group_write(groups, group, &out);
		}
		free(names[i]);
	}
	free(names);
	if (as_json) {
		json_array_end(&j);
		text_puts(&out, "\n");
	}
	return verb_print(&out, code);
}

int pace_show_group(
	const struct verb *verb, const struct pace_group_options *options, const char *name)
{
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct pace_group *group = calloc(1, sizeof(*group));
	autotext struct text out = {0};
	struct json j = {.out = &out};
	struct error err = {0};
	int r;

	if (name && !agent_name_is_good(name))
		return -1;
	r = group ? pace_open(verb, options, false, &groups) : CLI_HOST_CANNOT;
	if (r != CLI_GOOD)
		return r;
	if (!name)
		return show_all(verb, &groups, options->json);
	r = look(&groups, name, group, &err);
	if (r == -ENOENT)
		return -1;
	if (r < 0)
		return verb_failed(verb, &err);
	if (options->json) {
		json_object_begin(&j, NULL);
		pace_group_json(&groups, group, &j);
		json_object_end(&j);
		text_puts(&out, "\n");
	} else {
		pace_group_write(&groups, group, &out);
	}
	return verb_print(&out, CLI_GOOD);
}
