/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/scenarios.h"
#include "redteam/world.h"

#include <signal.h>
#include <string.h>
#include <strings.h>

static volatile sig_atomic_t interrupted;

const struct scenario *const scenarios[] = {
	&scenario_rt02,
	&scenario_rt03,
	&scenario_rt09,
	&scenario_rt10,
	&scenario_rt11,
	&scenario_rt12,
	&scenario_rt15,
	&scenario_rt16,
};
const size_t scenario_count = array_size(scenarios);

static const char *const verdicts[REDTEAM_VERDICTS] = {
	[REDTEAM_PASSED] = "pass",
	[REDTEAM_FAILED] = "FAIL",
	[REDTEAM_UNTESTED] = "not tested",
};

const char *redteam_verdict_name(enum redteam_verdict verdict)
{
	return verdicts[verdict];
}

const struct scenario *scenario_find(const char *id)
{
	for (size_t i = 0; i < scenario_count; i++)
		if (strcasecmp(scenarios[i]->id, id) == 0)
			return scenarios[i];
	return NULL;
}

static void note_signal(int number)
{
	(void)number;
	interrupted = 1;
}

void redteam_watch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	const struct sigaction action = {.sa_handler = note_signal};

	for (size_t i = 0; i < array_size(numbers); i++)
		sigaction(numbers[i], &action, NULL);
}

bool redteam_is_interrupted(void)
{
	return interrupted;
}

void redteam_finish(struct redteam_result *result)
{
	text_finish(&result->happened);
}

int redteam_play(const struct scenario *scenario, const struct redteam_request *request,
	struct redteam_result *ret_result, struct error *err)
{
	struct world *world = calloc(1, sizeof(*world));
	uint64_t begun = world_now_us();
	int r;

	*ret_result =
		(struct redteam_result){.detect_us = REDTEAM_NEVER, .contain_us = REDTEAM_NEVER};
	if (!world)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	world->result = ret_result;
	r = world_open(world, request, scenario->id, err);
	if (r == 0) {
		scenario->play(world, ret_result);
		if (redteam_is_interrupted())
			world_untested(world, "it was broken off");
	}
	world_close(world);
	free(world);
	ret_result->took_us = world_now_us() - begun;
	return r;
}
