/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>

#define FILES 10000
#define THREADS 64

static _Atomic int next_file;

static void *delete_files(void *unused)
{
	(void)unused;
	for (;;) {
		int number = next_file++;
		char name[16];

		if (number >= FILES)
			return NULL;
		snprintf(name, sizeof(name), "f%d", number);
		if (unlink(name) == 0)
			shared->done++;
		else if (errno == EPERM)
			shared->refused++;
		else
			shared->other++;
	}
}

static int delete_with_threads(void *context)
{
	pthread_t threads[THREADS];

	(void)context;
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, delete_files, NULL))
			return 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

static void row_delete_race(void)
{
	unsigned left = 0;
	struct tally tally;
	char name[16];

	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		make_file(name, 0);
	}
	world.limits.cap[METER_FILES_DELETED].limit = 100;
	world.limits.cap[METER_FILES_DELETED].id = 11;
	for (int i = 0; i < METER_STEPS; i++)
		world.limits.step[METER_FILES_DELETED][i] =
			(struct meter_step){.at = (uint64_t)(i + 1) * 50, .id = 12 + (uint32_t)i};
	start();
	EXPECT_EQ(within(delete_with_threads, NULL), 0);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		left += exists(name);
	}
	EXPECT_EQ(shared->done, 100);
	EXPECT_EQ(shared->refused, FILES - 100);
	EXPECT_EQ(left, FILES - 100);
	EXPECT_EQ(counted(METER_FILES_DELETED), 100);
	EXPECT_EQ(meter_look(world.meter, world.slot)->refused[METER_FILES_DELETED], FILES - 100);
	read_events(&tally);
	EXPECT_EQ(tally.kind[METER_EVENT_CAP], 1);
	/* 50 and 100 by what was deleted, 150 and 200 by what was refused. */
	EXPECT_EQ(tally.kind[METER_EVENT_STEP], METER_STEPS);
	EXPECT_EQ(tally.id[METER_EVENT_CAP], 11);
	EXPECT_EQ(tally.id[METER_EVENT_STEP], 15);
}

/* The same cap again and again, with few files: a race that is lost once in a while shows. */
static int delete_round(void *context)
{
	pthread_t threads[16];

	(void)context;
	for (int i = 0; i < 16; i++)
		if (pthread_create(&threads[i], NULL, delete_files, NULL))
			return 1;
	for (int i = 0; i < 16; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

static void row_delete_rounds(void)
{
	uint8_t identity[16] = {1};
	struct error err = {0};
	struct meter_limits limits;
	uint32_t agent = 0;

	meter_limits_none(&limits);
	limits.cap[METER_FILES_DELETED].limit = 60;
	EXPECT_EQ(meter_account(world.meter, identity, &agent, &err), 0);
	EXPECT_EQ(meter_limits_set(world.meter, agent, &limits, &err), 0);
	world.limits.cap[METER_FILES_DELETED].limit = 20;
	world.request.agent = agent;
	for (int round = 0; round < 5; round++) {
		char name[16];

		for (int i = 0; i < 40; i++) {
			snprintf(name, sizeof(name), "f%d", FILES - 40 + i);
			make_file(name, 0);
		}
		next_file = FILES - 40;
		shared->done = 0;
		start();
		EXPECT_EQ(within(delete_round, NULL), 0);
		/* Three runs use up what the agent has. */
		EXPECT_EQ(shared->done, round < 3 ? 20 : 0);
		EXPECT_EQ(counted(METER_FILES_DELETED), round < 3 ? 20 : 0);
		finish();
	}
	EXPECT_EQ(counted_at(agent, METER_FILES_DELETED), 60);
	EXPECT_EQ(meter_account_release(world.meter, identity, &err), 0);
}

static int rename_over(void *context)
{
	(void)context;
	for (int i = 0; i < 10; i++) {
		char from[16], to[16];
		int fd;

		snprintf(from, sizeof(from), "t%d", i);
		snprintf(to, sizeof(to), "f%d", i);
		fd = open(from, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0)
			return errno;
		close(fd);
		if (rename(from, to))
			return errno;
	}
	for (int i = 0; i < 10; i += 2) {
		char from[16], to[16];

		snprintf(from, sizeof(from), "g%d", i);
		snprintf(to, sizeof(to), "g%d", i + 1);
		if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 2))
			return errno;
	}
	return 0;
}

static int rename_onto_one(void *context)
{
	(void)context;
	for (int i = 1; i < 5; i++) {
		char from[16];

		snprintf(from, sizeof(from), "h%d", i);
		if (rename(from, "h0"))
			return errno;
	}
	return 0;
}

static void row_rename(void)
{
	char name[16];

	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		make_file(name, 5);
		snprintf(name, sizeof(name), "g%d", i);
		make_file(name, 5);
		snprintf(name, sizeof(name), "h%d", i);
		make_file(name, 5);
	}
	start();
	EXPECT_EQ(within(rename_over, NULL), 0);
	EXPECT_EQ(counted(METER_FILES_CREATED), 10);
	/* Ten made, ten replaced, ten exchanged. */
	EXPECT_EQ(counted(METER_FILES_CHANGED), 30);
	EXPECT_EQ(counted(METER_FILES_DELETED), 0);
	EXPECT_EQ(within(rename_onto_one, NULL), 0);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 35);
	EXPECT_EQ(counted(METER_FILES_DELETED), 4);
}

static int links_and_reuse(void *context)
{
	(void)context;
	for (int i = 0; i < 50; i++) {
		char name[16];
		int fd;

		snprintf(name, sizeof(name), "link%d", i);
		fd = open(name, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "x", 1) != 1)
			return errno;
		close(fd);
	}
	shared->value[0] = (int64_t)counted(METER_FILES_CHANGED);
	for (int i = 0; i < 100; i++) {
		int fd = open("again", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

		if (fd < 0 || write(fd, "x", 1) != 1)
			return errno;
		close(fd);
		if (unlink("again"))
			return errno;
	}
	return 0;
}

static void row_hard_links(void)
{
	make_file("file", 1);
	for (int i = 0; i < 50; i++) {
		char name[16];

		snprintf(name, sizeof(name), "link%d", i);
		EXPECT_EQ(linkat(world.directory_fd, "file", world.directory_fd, name, 0), 0);
	}
	start();
	EXPECT_EQ(within(links_and_reuse, NULL), 0);
	EXPECT_EQ(shared->value[0], 1);
	EXPECT_EQ(counted(METER_FILES_CREATED), 100);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 101);
	EXPECT_EQ(counted(METER_FILES_DELETED), 0); /* its own */
}

static int bind_socket(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, name, sizeof(address.sun_path) - 1);
	return bind(fd, (struct sockaddr *)&address, sizeof(address));
}

static int make_every_kind(void *context)
{
	(void)context;
	if (mkdir("dir", 0700) || symlink("x", "symlink") || mkfifo("fifo", 0600) ||
		link("file", "hard"))
		return errno;
	return ERRNO_OF(bind_socket("socket"));
}

static int fail_in_every_way(void *context)
{
	(void)context;
	if (mkdir("dir", 0700) == 0 || symlink("x", "symlink") == 0 || mkfifo("fifo", 0600) == 0)
		return 1;
	if (link("file", "hard") == 0 || bind_socket("socket") == 0 || rmdir("full") == 0)
		return 2;
	if (unlink("absent") == 0 || unlink("full") == 0 || rename("absent", "x") == 0)
		return 3;
	if (open("dir", O_CREAT | O_WRONLY | O_CLOEXEC, 0600) >= 0)
		return 4;
	if (rename("dir", "full") == 0) /* not empty */
		return 5;
	return 0;
}

static void row_every_kind(void)
{
	make_file("file", 1);
	EXPECT_EQ(mkdirat(world.directory_fd, "full", 0700), 0);
	make_file("full/inside", 1);
	start();
	EXPECT_EQ(within(make_every_kind, NULL), 0);
	EXPECT_EQ(counted(METER_FILES_CREATED), 5);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 5);
	EXPECT_EQ(within(fail_in_every_way, NULL), 0);
	EXPECT_EQ(counted(METER_FILES_CREATED), 5);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 5);
	EXPECT_EQ(counted(METER_FILES_DELETED), 0);
	finish();
	world.limits.cap[METER_FILES_CREATED].limit = 0;
	start();
	EXPECT_EQ(unlinkat(world.directory_fd, "dir", AT_REMOVEDIR), 0);
	EXPECT_EQ(within(make_every_kind, NULL), EPERM);
	EXPECT(!exists("dir"));
}

static int denied_by_mode(void *context)
{
	(void)context;
	if (setgid(1000) || setuid(1000))
		return 1;
	for (int i = 0; i < 10; i++)
		if (unlink("locked/file") != -1 || errno != EACCES ||
			open("locked/file", O_WRONLY) != -1)
			return 2;
	if (chmod("locked", 0777) != -1 || truncate("locked/file", 0) != -1)
		return 3;
	return 0;
}

static void row_denied_by_mode(void)
{
	EXPECT_EQ(mkdirat(world.directory_fd, "locked", 0755), 0);
	make_file("locked/file", 5);
	world.limits.breaker[0] = (struct meter_breaker){.class = METER_DENIAL,
		.count = 3,
		.within_ns = 1000000000ULL * 600,
		.posture = METER_POSTURE_FROZEN};
	start();
	EXPECT_EQ(within(denied_by_mode, NULL), 0);
	EXPECT_EQ(counted(METER_FILES_DELETED), 0);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 0);
	EXPECT_EQ(counted(METER_DENIALS), 0);
	EXPECT_EQ(meter_posture(world.meter, world.slot), METER_OPEN);
}

static int change_attributes(void *context)
{
	(void)context;
	if (chmod("a", 0600) || chown("b", 5, 5) || utimensat(AT_FDCWD, "c", NULL, 0))
		return errno;
	if (setxattr("d", "trusted.test", "v", 1, 0) || removexattr("d", "trusted.test"))
		return errno;
	return 0;
}

static int set_id(void *context)
{
	(void)context;
	return ERRNO_OF(chmod("a", 04755));
}

static void row_attributes(void)
{
	struct stat status;

	for (const char *name = "abcd"; *name; name++)
		make_file((const char[]){*name, 0}, 1);
	start();
	EXPECT_EQ(within(change_attributes, NULL), 0);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 4);
	EXPECT_EQ(within(set_id, NULL), EPERM);
	EXPECT_EQ(fstatat(world.directory_fd, "a", &status, 0), 0);
	EXPECT_EQ(status.st_mode & 07000, 0);
	finish();
	world.limits.cap[METER_FILES_CHANGED].limit = 2;
	start();
	EXPECT_EQ(within(change_attributes, NULL), EPERM);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 2);
}

static int change_twice(void *context)
{
	(void)context;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 20; i++) {
			char name[16];

			snprintf(name, sizeof(name), "f%d", i);
			if (truncate(name, 1 + round))
				return errno;
		}
	}
	return 0;
}

static void row_memory_full(void)
{
	char name[16];

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		make_file(name, 0);
	}
	world.request.seen_max = 8;
	start();
	EXPECT_EQ(within(change_twice, NULL), 0);
	/* Never free: what is not remembered is charged each time. */
	EXPECT(counted(METER_FILES_CHANGED) >= 32);
	EXPECT(meter_look(world.meter, world.slot)->untracked >= 24);
}

const struct row name_rows[] = {
	{"64 threads delete exactly up to the cap", row_delete_race, "path_unlink"},
	{"an agent's cap spans its runs", row_delete_rounds, NULL},
	{"replacing and exchanging files count as changes", row_rename, "path_rename"},
	{"links are one file, a new file is a new one", row_hard_links, NULL},
	{"each kind of name counts when made and not when it fails", row_every_kind, "path_mkdir"},
	{"what permission bits refuse is neither damage nor a denial", row_denied_by_mode, NULL,
		.not_outside = true},
	{"attributes are changes, set-id bits are refused", row_attributes, "path_chmod"},
	{"a full memory charges more, never less", row_memory_full, NULL},
	{NULL, NULL, NULL},
};
