/* SPDX-License-Identifier: Apache-2.0 */

/* Places that are themselves what a pattern of names stands for: decoys, and what is kept. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define DECOY_END_S 5

static int touch_canary(void *context)
{
	(void)context;
	return ERRNO_OF(open("bait", O_RDONLY | O_CLOEXEC));
}

static void row_canary(void)
{
	make_file("bait", 1);
	usual_rules();
	protect("/w/bait", true);
	names[0].canary = true;
	world.limits.breaker[0] = (struct meter_breaker){
		.class = METER_CANARY, .count = 1, .posture = METER_POSTURE_FROZEN};
	start();
	EXPECT_EQ(within(touch_canary, NULL), EPERM);
	EXPECT_EQ(meter_posture(world.meter, world.slot), METER_POSTURE_FROZEN);
	close_anchors();
}

/* One thread touches it, another one makes files all the time. */
static void *make_files(void *context)
{
	(void)context;
	for (int i = 0; i < 100000; i++) {
		uint64_t begun = now_ns();
		char name[32];

		snprintf(name, sizeof(name), "made%d", i);
		if (touch_file(name) == 0)
			shared->value[0] = (int64_t)begun;
	}
	return NULL;
}

static int touch_decoy(void *context)
{
	const char *decoy = context;
	pthread_t other;

	if (pthread_create(&other, NULL, make_files, NULL))
		return 1;
	while (shared->value[0] == 0)
		usleep(100);
	shared->value[1] = ERRNO_OF(open(decoy, O_RDONLY | O_CLOEXEC));
	(void)touch_file("after");
	/* The kernel ends it right here, or never does: where the hook was taken away. */
	sleep(DECOY_END_S);
	return 1;
}

static void breaker_event(void *context, const struct meter_event *event, const char *text)
{
	uint64_t *when = context;

	(void)text;
	if (event->kind == METER_EVENT_BREAKER && event->class == METER_CANARY)
		*when = event->time_ns;
}

/* A decoy that is there is anchored, since it is a mount of its own: the hook trips by itself, and
 * nothing that is begun afterwards succeeds, although nobody in user space has looked yet. */
static void row_decoy(void)
{
	static const char *const decoys[] = {"bait", "lair/inner"};

	make_file("bait", 1);
	EXPECT_EQ(mkdirat(world.directory_fd, "lair", 0755), 0);
	make_file("lair/inner", 1);
	for (size_t i = 0; i < array_size(decoys); i++) {
		union {
			const char *borrowed;
			void *context;
		} decoy = {.borrowed = decoys[i]};
		struct meter_events *events;
		struct error err = {0};
		uint64_t tripped = 0;

		memset(&world.rules, 0, sizeof(world.rules));
		memset(shared, 0, sizeof(*shared));
		usual_rules();
		anchor("bait", "/w/bait", METER_RIGHT_READ);
		anchor("lair", "/w/lair", METER_RIGHT_READ);
		protect("/w/bait", true);
		protect("/w/lair", true);
		names[0].canary = names[1].canary = true;
		world.limits.breaker[0] = (struct meter_breaker){
			.class = METER_CANARY, .count = 1, .posture = METER_POSTURE_DEAD};
		start();
		EXPECT_EQ(within(touch_decoy, decoy.context), 1000 + SIGKILL);
		EXPECT_EQ(meter_posture(world.meter, world.slot), METER_POSTURE_DEAD);
		EXPECT(!exists("after"));
		EXPECT_EQ(meter_events_open(
				  world.meter, world.slot, breaker_event, &tripped, &events, &err),
			0);
		meter_events_read(events);
		meter_events_close(events);
		EXPECT(tripped != 0);
		/* Both clocks are the same where nothing was suspended. */
		EXPECT(shared->value[0] > 0 && (uint64_t)shared->value[0] <= tripped);
		finish();
		close_anchors();
	}
}

static int read_protected(void *context)
{
	char byte;
	autoclose int fd = open("kept", O_RDONLY | O_CLOEXEC);

	(void)context;
	if (fd < 0 || read(fd, &byte, 1) != 1)
		return 1;
	if (open("kept", O_WRONLY | O_CLOEXEC) != -1 || errno != EPERM)
		return 2;
	/* The same file by another name that may be written. */
	return open("alias/kept", O_WRONLY | O_CLOEXEC) != -1 || errno != EPERM ? 3 : 0;
}

static void row_protected_anchor(void)
{
	make_file("kept", 1);
	EXPECT_EQ(mkdirat(world.directory_fd, "alias", 0755), 0);
	make_file("alias/kept", 0);
	EXPECT_EQ(mount("kept", "alias/kept", NULL, MS_BIND, NULL), 0);
	usual_rules();
	anchor("kept", "/w/kept", METER_RIGHT_READ | METER_RIGHT_WRITE);
	anchor("alias/kept", "/w/alias/kept", METER_RIGHT_READ | METER_RIGHT_WRITE);
	protect("/w/kept", false);
	start();
	EXPECT_EQ(within(read_protected, NULL), 0);
	EXPECT_EQ(umount2("alias/kept", MNT_DETACH), 0);
	close_anchors();
}

const struct row decoy_rows[] = {
	{"touching a canary trips", row_canary, NULL},
	{"a canary that is there ends the run in the hook itself", row_decoy, "file_open"},
	{"what may only not be written can be read where it is anchored", row_protected_anchor,
		"file_open"},
	{NULL, NULL, NULL},
};
