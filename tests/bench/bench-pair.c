/* SPDX-License-Identifier: Apache-2.0 */
/* How long two commands take from their start to their end, measured in turn (A B A B …), so that
 * whatever else the machine does meets both alike. Prints one line for each and one for the ratio.
 */
#include "base/own.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define ROUNDS_MAX 100000
#define WARM_UP_ROUNDS 3

extern char **environ;

struct command {
	char **argv; /* NULL-terminated, borrowed from the command line */
	uint64_t *times_ns;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* One round; 0 when the command could not be started or did not end with status 0. */
static uint64_t measure(const struct command *command, posix_spawn_file_actions_t *actions)
{
	uint64_t start = now_ns();
	int status;
	pid_t pid;

	if (posix_spawn(&pid, command->argv[0], actions, NULL, command->argv, environ))
		return 0;
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		return 0;
	return now_ns() - start;
}

static int ascending(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static double percentile_ms(const uint64_t *sorted, long count, int percent)
{
	return (double)sorted[(count - 1) * percent / 100] / 1e6;
}

static void print_times(const char *name, uint64_t *times_ns, long count)
{
	qsort(times_ns, (size_t)count, sizeof(*times_ns), ascending);
	printf("%s: median %.3f ms, 10%% %.3f ms, 90%% %.3f ms, %ld rounds\n", name,
		percentile_ms(times_ns, count, 50), percentile_ms(times_ns, count, 10),
		percentile_ms(times_ns, count, 90), count);
}

/* The words up to the next "--" become a command; the position after it. */
static int take_command(char **words, int at, struct command *command)
{
	command->argv = words + at;
	while (words[at] && strcmp(words[at], "--"))
		at++;
	if (words[at])
		words[at++] = NULL;
	return at;
}

int main(int argc, char **argv)
{
	struct command commands[2];
	posix_spawn_file_actions_t actions;
	long rounds = argc > 3 ? strtol(argv[1], NULL, 10) : 0;
	int at;

	if (rounds < 1 || rounds > ROUNDS_MAX || strcmp(argv[2], "--")) {
		fprintf(stderr, "usage: bench-pair ROUNDS -- A ARG… -- B ARG…\n");
		return 2;
	}
	at = take_command(argv, 3, &commands[0]);
	take_command(argv, at, &commands[1]);
	if (!commands[0].argv[0] || !commands[1].argv[0])
		return 2;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	for (size_t c = 0; c < array_size(commands); c++) {
		commands[c].times_ns = calloc((size_t)rounds, sizeof(uint64_t));
		if (!commands[c].times_ns)
			return 3;
	}
	for (long round = -WARM_UP_ROUNDS; round < rounds; round++) {
		for (size_t c = 0; c < array_size(commands); c++) {
			uint64_t taken = measure(&commands[c], &actions);

			if (!taken) {
				fprintf(stderr, "bench-pair: %s failed\n", commands[c].argv[0]);
				return 1;
			}
			if (round >= 0)
				commands[c].times_ns[round] = taken;
		}
	}
	print_times("A", commands[0].times_ns, rounds);
	print_times("B", commands[1].times_ns, rounds);
	printf("ratio of medians A/B: %.3f\n",
		percentile_ms(commands[0].times_ns, rounds, 50) /
			percentile_ms(commands[1].times_ns, rounds, 50));
	free(commands[0].times_ns);
	free(commands[1].times_ns);
	return 0;
}
