/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/pace-words.h"

#include <inttypes.h>
#include <string.h>

struct naming {
	const char *name;
	const char *words;
};

static const struct naming triggers[PACE_TRIGGER_COUNT] = {
	[PACE_CAP] = {"cap", "a cap of the blast radius was crossed"},
	[PACE_BREAKER] = {"breaker", "refusals came together"},
	[PACE_SCORE] = {"score", "an anomaly score over its limit"},
	[PACE_EXTERNAL] = {"external", "a source outside of berm said so"},
	[PACE_SECOND_AGENT] = {"second-agent", "a second agent of the group is suspected"},
	[PACE_BACKUP] = {"backup", "the backup is suspected too"},
	[PACE_STAYED] = {"stayed", "48 hours in alternate"},
	[PACE_CYCLES] = {"cycles", "the fourth alternate within 24 hours"},
	[PACE_CASCADE] = {"cascade", "failures that cascade"},
	[PACE_EXFILTRATION] = {"exfiltration", "confirmed exfiltration"},
	[PACE_COORDINATION] = {"coordination", "coordinated manipulation"},
	[PACE_ROGUE] = {"rogue", "rogue behaviour"},
	[PACE_SECOND_SIGNAL] = {"second-signal", "a second source said the same"},
	[PACE_WINDOW] = {"window", "nobody confirmed or denied a signal within its window"},
	[PACE_UNANSWERED] = {"unanswered", "nobody answered the observer"},
	[PACE_KILL] = {"kill", "the kill switch"},
	[PACE_DECLARED] = {"declared", "a person declared it"},
	[PACE_DISMISSED] = {"dismissed", "a person said no to what was asked"},
	[PACE_EXPLAINED] = {"explained", "the cause is known"},
	[PACE_STABLE] = {"stable", "stable for the whole window and explained"},
	[PACE_REVIEWED] = {"reviewed", "a person took the group one step back"},
	[PACE_CONFIGURED] = {"configured", "the operator's setting is more restrictive"},
	[PACE_TIME_BOX] = {"time-box", "a run was not done when its time was over"},
};

static const struct naming authorities[PACE_AUTHORITY_COUNT] = {
	[PACE_BY_AGENT] = {"agent", "an agent"},
	[PACE_BY_BERM] = {"automatic", "berm itself"},
	[PACE_BY_OBSERVER] = {"observer", "the independent observer"},
	[PACE_BY_OPERATOR] = {"operator", "an operator"},
	[PACE_BY_SECURITY] = {"security", "the security role"},
	[PACE_BY_COMMANDER] = {"incident-commander", "the incident commander"},
	[PACE_BY_RISK_OWNER] = {"risk-owner", "the risk owner"},
	[PACE_BY_KILL_KEY] = {"kill-key", "who holds the kill key"},
};

/* By the number of the bit. */
static const char *const actions_by_bit[] = {"notify", "isolate", "start-backup-read-only",
	"approve-writes", "halve-thresholds", "suspend", "cut-traffic", "capture-state",
	"kill-runs", "revoke-scopes", "seal-evidence", "contain", "release", "supervise"};
static const char *const reviews_by_bit[] = {"root-cause", "gap-closed", "baselines", "sign-off"};

static const char *bit_name(const char *const *names, size_t count, unsigned bit)
{
	for (size_t i = 0; i < count; i++)
		if (bit == 1U << i)
			return names[i];
	return "";
}

static bool parse(const struct naming *names, unsigned count, const char *word, unsigned *ret_value)
{
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(names[i].name, word) == 0) {
			*ret_value = i;
			return true;
		}
	}
	return false;
}

const char *pace_trigger_name(unsigned trigger)
{
	return trigger < PACE_TRIGGER_COUNT ? triggers[trigger].name : "";
}

bool pace_trigger_parse(const char *word, unsigned *ret_trigger)
{
	return parse(triggers, PACE_TRIGGER_COUNT, word, ret_trigger);
}

const char *pace_trigger_words(unsigned trigger)
{
	return trigger < PACE_TRIGGER_COUNT ? triggers[trigger].words : "";
}

const char *pace_authority_name(unsigned authority)
{
	return authority < PACE_AUTHORITY_COUNT ? authorities[authority].name : "";
}

bool pace_authority_parse(const char *word, unsigned *ret_authority)
{
	return parse(authorities, PACE_AUTHORITY_COUNT, word, ret_authority);
}

bool pace_phase_parse(const char *word, unsigned *ret_phase)
{
	for (unsigned phase = 0; phase < PHASE_COUNT; phase++) {
		const char *name = phase_name(phase);

		if (strcmp(word, name) == 0 || (word[0] && !word[1] && (word[0] | 32) == name[0])) {
			*ret_phase = phase;
			return true;
		}
	}
	return false;
}

const char *pace_action_name(unsigned action)
{
	return bit_name(actions_by_bit, array_size(actions_by_bit), action);
}

const char *pace_review_name(unsigned item)
{
	return bit_name(reviews_by_bit, array_size(reviews_by_bit), item);
}

bool pace_review_parse(const char *word, unsigned *ret_item)
{
	for (size_t i = 0; i < array_size(reviews_by_bit); i++) {
		if (strcmp(word, reviews_by_bit[i]) == 0) {
			*ret_item = 1U << i;
			return true;
		}
	}
	return false;
}

static void write_bits(
	struct text *out, unsigned bits, const char *(*name)(unsigned), const char *between)
{
	bool first = true;

	for (unsigned bit = 1; bit && bit <= bits; bit <<= 1) {
		if (!(bits & bit))
			continue;
		text_printf(out, "%s%s", first ? "" : between, name(bit));
		first = false;
	}
}

void pace_actions_write(struct text *out, unsigned actions)
{
	write_bits(out, actions, pace_action_name, ", ");
}

void pace_duration_write(struct text *out, uint64_t ms)
{
	uint64_t seconds = ms / 1000 + (ms % 1000 != 0);

	if (seconds < 60)
		text_printf(out, "%" PRIu64 " s", seconds);
	else if (seconds < 3600)
		text_printf(out, "%" PRIu64 " min", (seconds + 59) / 60);
	else
		text_printf(
			out, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600, seconds % 3600 / 60);
}

static const char *who_words(unsigned bit)
{
	for (unsigned i = 0; i < PACE_AUTHORITY_COUNT; i++)
		if (bit == 1U << i)
			return authorities[i].words;
	return "";
}

static const char *wanted_name(const struct pace_outcome *o)
{
	return o->wanted < PHASE_COUNT ? phase_name(o->wanted) : "another phase";
}

static void no_rule(struct text *out, const struct pace_outcome *o)
{
	if (o->wanted < o->before && o->trigger != PACE_REVIEWED)
		text_printf(out,
			"a group is not declared into a less restrictive phase. Use \"berm pace "
			"recover\", which goes back one step at a time");
	else if (o->wanted == o->before)
		text_printf(out, "the group is in %s already", phase_name(o->before));
	else
		text_printf(out, "the trigger \"%s\" does not lead from %s to %s",
			pace_trigger_name(o->trigger), phase_name(o->before), wanted_name(o));
}

static void too_early(
	struct text *out, const struct pace_group *group, const struct pace_outcome *o)
{
	/* The supervised wait of a group on its way back is looked at first and is the longer one.
	 */
	bool step = o->before == PHASE_CONTINGENCY ||
		    (group->recovering && pace_step_missing_ms(group) > 0);

	if (step)
		text_printf(out,
			"each supervised step back from emergency lasts %s in tier %u. It can be "
			"asked for again in ",
			group->tier == 3 ? "24 hours" : "4 hours", group->tier);
	else
		text_puts(out, "the group must be stable for 2 hours without a new signal. It can "
			       "be asked for again in ");
	pace_duration_write(out, o->wait_ms);
}

/* The decision that is the nearest to the phase now. */
static const struct pace_request *undecided(const struct pace_group *group)
{
	return &group->requests[group->requests[PACE_SLOT_CONTINGENCY].open ? PACE_SLOT_CONTINGENCY
									    : PACE_SLOT_EMERGENCY];
}

void pace_refusal_write(
	struct text *out, const struct pace_group *group, const struct pace_outcome *o)
{
	switch (o->refusal) {
	case PACE_FINE:
		break;
	case PACE_NO_RULE:
		no_rule(out, o);
		break;
	case PACE_NO_AUTHORITY:
		text_printf(out, "%s may not take the group from %s to %s; this needs ",
			o->authority < PACE_AUTHORITY_COUNT ? authorities[o->authority].words
							    : "it",
			phase_name(o->before), wanted_name(o));
		write_bits(out, o->who_may, who_words, " or ");
		break;
	case PACE_NOT_IN_TIER:
		text_printf(out, "tier %u does not know this change; a person has to make it",
			group->tier);
		break;
	case PACE_NO_SKIPPING:
		text_printf(out,
			"escalation may skip phases, recovery may not: the next step back from %s "
			"is %s",
			phase_name(o->before), phase_name(o->before - 1));
		break;
	case PACE_TOO_EARLY:
		too_early(out, group, o);
		break;
	case PACE_NO_REASON:
		text_puts(out, "a return needs an explanation. Say with --reason what happened and "
			       "why it is over");
		break;
	case PACE_NO_REVIEW:
		text_puts(out, "emergency is left after a whole review. What is missing: ");
		write_bits(out, o->missing_review, pace_review_name, ", ");
		break;
	case PACE_UNDECIDED:
		text_printf(out,
			"a decision about %s is open since %s asked for it. Declare that phase, or "
			"say no with \"berm pace dismiss\"",
			phase_name(undecided(group)->to),
			undecided(group)->source[0] ? undecided(group)->source : "berm");
		break;
	case PACE_WHICH:
		text_puts(out, "two decisions are open. Say about which phase: \"berm pace dismiss "
			       "GROUP contingency\" or \"emergency\"");
		break;
	case PACE_NOT_ASKED:
		text_puts(out, "no such decision is open");
		break;
	case PACE_FLOOR:
		text_printf(out,
			"the operator's setting keeps this group at least in %s. Change it with "
			"\"berm pace group --at-least\"",
			phase_name(group->configured));
		break;
	case PACE_TOO_OFTEN:
		text_puts(out, "the group went back to primary 3 times within 24 hours; by itself "
			       "it does not any more");
		break;
	case PACE_MALFORMED:
		text_puts(out, "these are no words of this table: a phase, a trigger, an authority "
			       "or a name");
		break;
	case PACE_REFUSAL_COUNT:
		text_puts(out, "it is not known why");
		break;
	}
}
