/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The scenarios of MASO's red team that a supervisor of processes can be tried with, as a suite
 * that an operator runs on their own host. This layer looks at berm from outside, as an attacker
 * and an operator do: it starts berm's verbs as processes and looks at what they changed, and
 * includes nothing of what it judges.
 *
 * Every scenario has a control: the same attack without the wall or the limit that is to stop it
 * has to have its effect. A control that has none makes the scenario "not tested". */

enum redteam_verdict { REDTEAM_PASSED, REDTEAM_FAILED, REDTEAM_UNTESTED, REDTEAM_VERDICTS };
const char *redteam_verdict_name(enum redteam_verdict verdict);

#define REDTEAM_NEVER UINT64_MAX

/* What came of one scenario. Release with redteam_finish(). */
struct redteam_result {
	enum redteam_verdict verdict;
	struct text happened; /* sentences, one a line */
	uint64_t detect_us;   /* from the first forbidden act to berm's first word about it;
				 REDTEAM_NEVER: not measured */
	uint64_t contain_us;  /* from there, or from the order, until nothing was done any more */
	unsigned attempts;    /* forbidden acts tried */
	unsigned effects;     /* of these, those that had an effect behind berm's walls */
	unsigned controls;    /* of these, those that had one without */
	unsigned transitions,
		in_time; /* of a PACE phase while attacked, and those within their time */
	uint64_t took_us;
};
void redteam_finish(struct redteam_result *result);

struct world;

/* One scenario: everything that the suite knows about it. */
struct scenario {
	const char *id;       /* "RT-02" */
	const char *title;    /* MASO's aim, as a question */
	const char *does;     /* what is done, for people */
	const char *expected; /* what passes */
	const char *verified; /* MASO's controls that it is about */
	/* Plays it and fills the result, which begins as passed with nothing measured. A host or a
	 * berm that cannot: world_untested(). */
	void (*play)(struct world *world, struct redteam_result *result);
};
extern const struct scenario *const scenarios[];
extern const size_t scenario_count;
/* By id, upper or lower case; NULL: none. */
const struct scenario *scenario_find(const char *id);

struct redteam_request {
	const char *directory; /* where the suite may make one of its own */
	const char *berm;      /* the program that is attacked; NULL: this one */
};
/* Play one scenario in a directory of its own, and remove all of it: runs, recorder, files. An
 * error is one of the suite (no directory, no program): the scenario was not played. */
int redteam_play(const struct scenario *scenario, const struct redteam_request *request,
	struct redteam_result *ret_result, struct error *err) must_check;
/* True once SIGINT, SIGTERM or SIGHUP came: what is played is cut short, cleaned up and not tested.
 */
bool redteam_is_interrupted(void);
void redteam_watch_signals(void);

/* Play the tool of a scenario: argv is the name of an act and its words. The exit code. */
int act_main(int argc, char **argv);
