/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pace-group.h"

#include "apply/caller.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/log-time.h"
#include "daemon/places.h"
#include "govern/pace-words.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

int pace_open(const struct verb *verb, const struct pace_group_options *options, bool authority,
	struct groups *ret_groups)
{
	const struct places_request wanted = {.state_dir = options->state_dir};
	autotext struct text diagnostics = {0};
	struct places places = {0};
	struct caller caller;
	struct error err = {0};
	int r;

	caller_identify(&caller);
	r = places_find(&caller, &wanted, &places, &err);
	if (r == 0 && !places.state)
		r = error_set(&err, -ENOENT, ERROR_INPUT,
			"there is no home directory to look for groups in: name it with "
			"--state-dir");
	if (r == 0)
		r = groups_open(places.state, ret_groups, &err);
	places_finish(&places);
	if (r == 0 && authority)
		r = groups_authority(ret_groups, &diagnostics, &err);
	if (diagnostics.length)
		(void)!io_write_all(STDERR_FILENO, text_string(&diagnostics), diagnostics.length);
	return r < 0 ? verb_failed(verb, &err) : CLI_GOOD;
}

static int read_signature(const char *path, struct authority_signed *ret_signed, struct error *err)
{
	autofree char *text = NULL;
	size_t length = 0;
	int r = io_read_file(AT_FDCWD, path, AUTHORITY_TEXT_MAX, &text, &length, err);

	if (r < 0) {
		err->kind = ERROR_INPUT;
		return r;
	}
	return text ? authority_read(text, length, ret_signed, err) : -ENOMEM;
}

/* The words and the file have to say the same: nobody is to act on another statement than the one
 * that was meant. */
static int check_signature(const struct authority_statement *s, const char *name,
	const struct pace_event *event, struct error *err)
{
	if (strcmp(s->group, name) != 0)
		return error_set(
			err, -EINVAL, ERROR_INPUT, "it is signed for the group %s", s->group);
	if (event->to != PHASE_COUNT && s->to != event->to)
		return error_set(err, -EINVAL, ERROR_INPUT, "it is signed for the way to %s",
			phase_name(s->to));
	if (s->trigger != event->trigger)
		return error_set(err, -EINVAL, ERROR_INPUT, "it is signed for \"%s\"",
			pace_trigger_name(s->trigger));
	return 0;
}

static const char *const result_words[PACE_RESULT_COUNT] = {
	[PACE_CHANGED] = "changed",
	[PACE_ASKED] = "asked",
	[PACE_NOTED] = "noted",
	[PACE_REFUSED] = "refused",
};

static void put_refusal(struct text *out, const struct group_result *result)
{
	if (result->signature != AUTHORITY_FINE)
		text_printf(out, "the signed statement does not hold: %s",
			authority_refusal_words(result->signature));
	else if (result->unlisted)
		text_puts(out, result->unlisted);
	else
		pace_refusal_write(out, &result->group, &result->outcome);
}

static void put_actions(struct json *j, const char *key, unsigned actions)
{
	json_array_begin(j, key);
	for (unsigned bit = 1; bit < PACE_ACTIONS_ALL; bit <<= 1)
		if (actions & bit)
			json_put_string(j, NULL, pace_action_name(bit));
	json_array_end(j);
}

static void put_json(
	struct text *out, const struct groups *groups, const struct group_result *result)
{
	const struct pace_outcome *o = &result->outcome;
	autotext struct text refusal = {0};
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	json_put_string(&j, "group", result->group.name);
	json_put_string(&j, "result", result_words[o->result]);
	json_put_string(&j, "before", phase_name(o->before));
	json_put_string(&j, "after", phase_name(o->after));
	json_put_string(&j, "wanted", o->wanted < PHASE_COUNT ? phase_name(o->wanted) : NULL);
	json_put_string(&j, "trigger", pace_trigger_name(o->trigger));
	json_put_string(&j, "authority", pace_authority_name(o->authority));
	json_put_string(&j, "by", result->by[0] ? result->by : NULL);
	json_put_string(&j, "agent", result->agent[0] ? result->agent : NULL);
	json_put_string(&j, "agent_id", o->agent[0] ? o->agent : NULL);
	put_actions(&j, "actions", o->actions & result->done);
	put_actions(&j, "begun", o->actions & result->begun);
	put_actions(&j, "required", o->actions & ~result->done & ~result->begun);
	if (result->killing) {
		json_put_u64(&j, "runs_gone", result->killed.gone);
		json_put_u64(&j, "runs_left", result->killed.left);
	}
	put_refusal(&refusal, result);
	json_put_string(&j, "refusal", o->result == PACE_REFUSED ? text_string(&refusal) : NULL);
	json_put_u64(&j, "wait_ms", o->wait_ms);
	json_put_bool(&j, "recorded", result->recorded);
	json_object_begin(&j, "state");
	pace_group_json(groups, &result->group, &j);
	json_object_end(&j);
	json_object_end(&j);
	text_puts(out, "\n");
}

static void put_words(struct text *out, const struct group_result *result)
{
	const struct pace_outcome *o = &result->outcome;

	switch (o->result) {
	case PACE_CHANGED:
		text_printf(out, "%s: %s -> %s", result->group.name, phase_name(o->before),
			phase_name(o->after));
		break;
	case PACE_ASKED:
		text_printf(out, "%s: %s; a decision about %s is open", result->group.name,
			phase_name(o->after), phase_name(o->wanted));
		break;
	case PACE_NOTED:
		text_printf(out, "%s: %s, as before", result->group.name, phase_name(o->after));
		break;
	case PACE_REFUSED:
	case PACE_RESULT_COUNT:
		return;
	}
	text_printf(out, " (%s by %s%s%s)", pace_trigger_name(o->trigger),
		pace_authority_name(o->authority), result->by[0] ? " " : "", result->by);
	if (result->done) {
		text_puts(out, "; ");
		pace_actions_write(out, result->done);
	}
	if (result->killing)
		text_printf(out, "; %u %s ended, %u left", result->killed.gone,
			result->killed.gone == 1 ? "run" : "runs", result->killed.left);
	if (result->begun) {
		text_puts(out, "; begun: ");
		pace_actions_write(out, result->begun);
	}
	if (o->actions & ~result->done & ~result->begun) {
		text_puts(out, "; still required: ");
		pace_actions_write(out, o->actions & ~result->done & ~result->begun);
	}
	text_puts(out, "\n");
}

static int print(const struct verb *verb, const struct pace_group_options *options,
	const struct groups *groups, const struct group_result *result)
{
	bool refused = result->outcome.result == PACE_REFUSED;
	autotext struct text out = {0}, why = {0};

	if (refused) {
		put_refusal(&why, result);
		log_line("%s: refused: %s", verb->name, text_string(&why));
	}
	if (!result->recorded)
		log_line("%s: not recorded: %s", verb->name, result->recording.text);
	if (result->without_lock.code)
		log_line("%s: it holds, and stands beside the group until its lock is free: %s",
			verb->name, result->without_lock.text);
	if (result->killing && result->killed.left)
		log_line("%s: runs of the group are left or cannot be found: %s", verb->name,
			result->killed.error.text);
	if (options->json)
		put_json(&out, groups, result);
	else
		put_words(&out, result);
	if (refused)
		return verb_print(&out, CLI_NO);
	return verb_print(&out, result->killed.left ? CLI_HOST_CANNOT : CLI_GOOD);
}

int pace_act(const struct verb *verb, const struct pace_group_options *options, const char *name,
	const struct pace_event *event)
{
	autogroups struct groups groups = GROUPS_NONE;
	struct authority_signed s = {0};
	struct group_act act = {.event = *event, .role = PACE_AUTHORITY_COUNT};
	autofree struct group_result *result = calloc(1, sizeof(*result));
	struct error err = {0};
	int r;

	act.agent = options->agent;
	act.event.reason = options->reason;
	act.source = options->from;
	if (options->as && !pace_authority_parse(options->as, &act.role))
		return verb_misused(verb, "\"%s\" is no role", options->as);
	if (options->reason && strlen(options->reason) > AUTHORITY_REASON_MAX)
		return verb_misused(
			verb, "the reason is longer than %d bytes", AUTHORITY_REASON_MAX);
	if (options->signature && (options->as || options->from || options->agent ||
					  options->reason || options->review.count))
		return verb_misused(verb, "--signature says who, why and about whom: without --as, "
					  "--agent, --reason and --review");
	if (options->signature) {
		r = read_signature(options->signature, &s, &err);
		if (r == 0)
			r = check_signature(&s.statement, name, event, &err);
		if (r < 0) {
			error_wrap(&err, "%s", options->signature);
			return verb_failed(verb, &err);
		}
		act.signed_words = &s;
	}
	r = result ? pace_open(verb, options, true, &groups) : CLI_HOST_CANNOT;
	if (r != CLI_GOOD)
		return r;
	if (groups_caller(&groups, &act.uid, &err) < 0 ||
		groups_act(&groups, name, &act, result, &err) < 0)
		return verb_failed(verb, &err);
	return print(verb, options, &groups, result);
}

static int set_group(const struct verb *verb, const struct pace_group_options *options,
	const char *name, const struct group_settings *settings)
{
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct group_result *result = calloc(1, sizeof(*result));
	struct error err = {0};
	autotext struct text out = {0};
	struct json j = {.out = &out};
	uid_t uid = 0;
	int r = result ? pace_open(verb, options, true, &groups) : CLI_HOST_CANNOT;

	if (r != CLI_GOOD)
		return r;
	if (groups_caller(&groups, &uid, &err) < 0 ||
		groups_set(&groups, name, settings, uid, result, &err) < 0)
		return verb_failed(verb, &err);
	if (!result->recorded)
		log_line("%s: not recorded: %s", verb->name, result->recording.text);
	if (options->json) {
		json_object_begin(&j, NULL);
		pace_group_json(&groups, &result->group, &j);
		json_object_end(&j);
		text_puts(&out, "\n");
	} else {
		pace_group_write(&groups, &result->group, &out);
	}
	return verb_print(&out, CLI_GOOD);
}

struct setting_options {
	struct pace_group_options group; /* first: shared rows have their offsets in it */
	uint64_t tier, window_ms;
	const char *at_least, *backup, *contingency;
};

#define SETTING(name, type, field, argument, help)                                                 \
	{                                                                                          \
		name, 0, type, offsetof(struct setting_options, field), argument, NULL, help       \
	}

static const struct option_spec setting_specs[] = {
	SETTING("tier", OPTION_NUMBER, tier, "1|2|3", "supervised, managed or autonomous"),
	SETTING("at-least", OPTION_TEXT, at_least, "PHASE", "no phase is less restrictive"),
	SETTING("backup", OPTION_TEXT, backup, "AGENT", "takes over in alternate, read-only"),
	SETTING("contingency", OPTION_TEXT, contingency, "AGENT", "the only one in contingency"),
	SETTING("window", OPTION_DURATION, window_ms, "TIME", "for a second signal (5m)"),
	PACE_STATE_DIR,
	PACE_JSON,
};

static int pace_group(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct setting_options *options = values;
	struct group_settings settings = {.configured = PHASE_COUNT,
		.backup = options->backup,
		.contingency = options->contingency,
		.window_ms = options->window_ms};

	if (argc != 1)
		return verb_misused(verb, "one group");
	if (options->at_least && !pace_phase_parse(options->at_least, &settings.configured))
		return verb_misused(verb, "\"%s\" is no phase", options->at_least);
	if (options->tier > 3)
		return verb_misused(verb, "a tier is 1, 2 or 3");
	settings.tier = (unsigned)options->tier;
	return set_group(verb, &options->group, argv[0], &settings);
}

const struct verb verb_pace_group = {
	.name = "pace group",
	.summary = "Make a group, or set what its phases need",
	.usage = "[OPTIONS] GROUP",
	.details = "A group that is not there is made: tier 1 and primary, where nothing else is "
		   "said. Only who is\n"
		   "listed in authority.yaml may set groups. A higher tier, a less restrictive "
		   "--at-least, a longer\n"
		   "window and other agents for backup and contingency need the risk owner, where "
		   "anybody is one.\n"
		   "--at-least above the phase needs who may declare it; the tier is set in "
		   "primary.\n"
		   "Exit: 0 it is so now, 1 it was refused, 2 wrong words.",
	.options = {.specs = setting_specs,
		.count = array_size(setting_specs),
		.size = sizeof(struct setting_options)},
	.function = pace_group,
};
