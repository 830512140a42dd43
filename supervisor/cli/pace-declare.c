/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pace-group.h"
#include "govern/pace-table.h"
#include "govern/pace-words.h"

/* The verbs that change the phase of a group, or answer a question about it. */

#define EVIDENCE_WORDS "cascade|exfiltration|coordination|rogue"
#define WHO_WORDS                                                                                  \
	"Who may do it is looked up in authority.yaml: a person by the uid, or a key by "          \
	"--signature.\n"
#define EXIT_WORDS                                                                                 \
	"Exit: 0 it is so now, 1 it was refused, 2 wrong words or no such group, 3 not done."

static const struct option_spec declare_specs[] = {
	PACE_REASON,
	PACE_OPTION("evidence", OPTION_TEXT, evidence, EVIDENCE_WORDS,
		"of emergency: what was found; without it, it is the kill switch"),
	PACE_AGENT,
	PACE_SIGNATURE,
	PACE_AS,
	PACE_STATE_DIR,
	PACE_JSON,
};

static int pace_declare(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct pace_group_options *options = values;
	struct pace_event event = {.trigger = PACE_DECLARED};

	if (argc != 2)
		return verb_misused(verb, "a group and a phase");
	if (!pace_phase_parse(argv[1], &event.to))
		return verb_misused(verb,
			"\"%s\" is no phase: primary, alternate, contingency or emergency",
			argv[1]);
	if (event.to == PHASE_EMERGENCY)
		event.trigger = PACE_KILL;
	if (options->evidence && event.to != PHASE_EMERGENCY)
		return verb_misused(verb, "--evidence belongs to emergency");
	if (options->evidence && (!pace_trigger_parse(options->evidence, &event.trigger) ||
					 !(PACE_EVIDENCE & 1U << event.trigger)))
		return verb_misused(
			verb, "\"%s\" is no evidence: " EVIDENCE_WORDS, options->evidence);
	return pace_act(verb, options, argv[0], &event);
}

const struct verb verb_pace_declare = {
	.name = "pace declare",
	.summary = "Put a group into a more restrictive phase",
	.usage = "[OPTIONS] GROUP PHASE",
	.details = WHO_WORDS
	"alternate needs anybody with a role; contingency the security role or the incident "
	"commander;\n"
	"emergency the incident commander with --evidence, or who holds the kill key. Phases may "
	"be skipped.\n" EXIT_WORDS,
	.options = PACE_OPTIONS_OF(declare_specs),
	.function = pace_declare,
};

static const struct option_spec recover_specs[] = {
	PACE_REASON,
	PACE_OPTION("review", OPTION_COMMA_WORDS, review, "ITEM,…",
		"what the review found: root-cause, gap-closed, baselines, sign-off"),
	PACE_SIGNATURE,
	PACE_AS,
	PACE_STATE_DIR,
	PACE_JSON,
};

static int pace_recover(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct pace_group_options *options = values;
	struct pace_event event = {.trigger = PACE_REVIEWED, .to = PHASE_COUNT};

	if (argc < 1 || argc > 2)
		return verb_misused(verb, "a group, and perhaps the phase to go back to");
	if (argc == 2 && !pace_phase_parse(argv[1], &event.to))
		return verb_misused(verb, "\"%s\" is no phase", argv[1]);
	for (size_t i = 0; i < options->review.count; i++) {
		unsigned item;

		if (!pace_review_parse(options->review.items[i], &item))
			return verb_misused(
				verb, "\"%s\" is no item of a review", options->review.items[i]);
		event.review |= item;
	}
	return pace_act(verb, options, argv[0], &event);
}

const struct verb verb_pace_recover = {
	.name = "pace recover",
	.summary = "Take a group one phase back",
	.usage = "[OPTIONS] --reason TEXT GROUP [PHASE]",
	.details = WHO_WORDS
	"alternate to primary needs 2 hours without a new signal. contingency to alternate needs "
	"the\n"
	"security role or the risk owner. emergency is left by the risk owner with a whole "
	"--review; then\n"
	"each step back is theirs too, and lasts 4 hours in tier 2 and 24 hours in tier "
	"3.\n" EXIT_WORDS,
	.options = PACE_OPTIONS_OF(recover_specs),
	.function = pace_recover,
};

static const struct option_spec answer_specs[] = {
	PACE_REASON, PACE_SIGNATURE, PACE_AS, PACE_STATE_DIR, PACE_JSON};

static int answer(const struct verb *verb, const void *values, int argc, char **argv,
	enum pace_trigger trigger)
{
	struct pace_event event = {.trigger = trigger, .to = PHASE_COUNT};
	int most = trigger == PACE_DISMISSED ? 2 : 1;

	if (argc < 1 || argc > most)
		return verb_misused(verb, most == 1 ? "one group"
						    : "a group, and perhaps the phase that was "
						      "asked for");
	if (argc == 2 && !pace_phase_parse(argv[1], &event.to))
		return verb_misused(verb, "\"%s\" is no phase", argv[1]);
	return pace_act(verb, values, argv[0], &event);
}

static int pace_explain(const struct verb *verb, const void *values, int argc, char **argv)
{
	return answer(verb, values, argc, argv, PACE_EXPLAINED);
}

const struct verb verb_pace_explain = {
	.name = "pace explain",
	.summary = "Say why a group is in alternate",
	.usage = "[OPTIONS] --reason TEXT GROUP",
	.details = "In tier 3 a group that is explained goes back to primary by itself after 2 "
		   "hours without a new\n"
		   "signal, at most 3 times in 24 hours. A new signal takes the explanation "
		   "back.\n" EXIT_WORDS,
	.options = PACE_OPTIONS_OF(answer_specs),
	.function = pace_explain,
};

static int pace_dismiss(const struct verb *verb, const void *values, int argc, char **argv)
{
	return answer(verb, values, argc, argv, PACE_DISMISSED);
}

const struct verb verb_pace_dismiss = {
	.name = "pace dismiss",
	.summary = "Say no to the phase that was asked for",
	.usage = "[OPTIONS] --reason TEXT GROUP [contingency|emergency]",
	.details = "Who may declare that phase may also say no to it. What was frozen for the "
		   "decision goes on; what\n"
		   "is isolated stays so.\n" EXIT_WORDS,
	.options = PACE_OPTIONS_OF(answer_specs),
	.function = pace_dismiss,
};

static const struct option_spec trigger_specs[] = {
	PACE_OPTION("from", OPTION_TEXT, from, "NAME", "the source, as authority.yaml lists it"),
	PACE_AGENT,
	PACE_REASON,
	PACE_STATE_DIR,
	PACE_JSON,
};

static int pace_trigger(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct pace_group_options *options = values;
	struct pace_event event = {.to = PHASE_COUNT};

	if (argc != 2 || !options->from)
		return verb_misused(verb, "--from, a group and a trigger");
	if (!pace_trigger_parse(argv[1], &event.trigger) ||
		!((PACE_SUSPICIONS | PACE_EVIDENCE) & 1U << event.trigger))
		return verb_misused(verb,
			"\"%s\" is no trigger of a source: cap, breaker, score, external, "
			"time-box, "
			"cascade, exfiltration, coordination or rogue",
			argv[1]);
	return pace_act(verb, options, argv[0], &event);
}

const struct verb verb_pace_trigger = {
	.name = "pace trigger",
	.summary = "Raise a signal about a group, for programs",
	.usage = "[OPTIONS] --from NAME GROUP TRIGGER",
	.details =
		"A suspicion (cap, breaker, score, external, time-box) puts the group into "
		"alternate at "
		"once. "
		"Evidence\n"
		"(cascade, exfiltration, coordination, rogue) freezes who is concerned and asks "
		"for "
		"emergency: a\n"
		"signal of another source brings it at once, and the end of the window brings it "
		"too, unless the\n"
		"incident commander said no. Only the uid that authority.yaml lists for NAME may "
		"do "
		"it.\n" EXIT_WORDS,
	.options = PACE_OPTIONS_OF(trigger_specs),
	.function = pace_trigger,
};
