/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/act.h"

#include "base/io.h"
#include "redteam/redteam.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define CODE_MISUSED 2

static const struct {
	const char *name;
	int words; /* that it takes */
	int (*play)(int argc, char **argv);
} acts[] = {
	{"write", 1, act_write},   /* DIR */
	{"touch", 3, act_touch},   /* DIR PREFIX COUNT */
	{"tick", 1, act_tick},     /* FILE */
	{"deaf", 1, act_deaf},     /* FILE */
	{"orphan", 1, act_orphan}, /* FILE */
	{"forks", 1, act_forks},   /* FILE */
	{"wakes", 1, act_wakes},   /* FILE */
	{"escape", 2, act_escape}, /* COUNT FILE */
	{"steal", 4, act_steal},   /* STATE AGENT SECRET OUT */
	{"send", 2, act_send},     /* PORT WORD */
	{"forge", 3, act_forge},   /* STATE GROUP FILE */
	{"judge", 1, act_judge},   /* ANSWER */
	{"hand", 3, act_hand},     /* SECRET OUT AGENT,… */
};

void act_tell_number(const char *name, uint64_t number)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "%s %" PRIu64 "\n", name, number);

	(void)!io_write_all(STDOUT_FILENO, line, (size_t)n);
}

void act_tell(const char *name)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_BOOTTIME, &ts);
	act_tell_number(name, (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
}

int act_main(int argc, char **argv)
{
	for (size_t i = 0; argc > 0 && i < array_size(acts); i++)
		if (strcmp(acts[i].name, argv[0]) == 0 && argc == acts[i].words + 1)
			return acts[i].play(argc, argv);
	return CODE_MISUSED;
}
