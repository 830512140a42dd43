/* SPDX-License-Identifier: Apache-2.0 */

/* A whole plan, joined in one call by a process that has built its walls and waits. */
#include "harness.h"

#include "meter/join.h"
#include "wire/effects.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MOUNTS 8

/* A plan for the root that build_root() makes. */
struct small_plan {
	Berm__Wire__Plan plan;
	Berm__Wire__Meter meter;
	Berm__Wire__Network network;
	Berm__Wire__Mount mount[MOUNTS], *mounts[MOUNTS];
	Berm__Wire__MeterAnchor anchor, *anchors[1];
	Berm__Wire__MeterName name, *names[1];
	Berm__Wire__MeterCap cap, *caps[1];
};

static void add_mount(
	struct small_plan *p, Berm__Wire__MountKind kind, const char *target, bool read_only)
{
	Berm__Wire__Mount *mount = &p->mount[p->plan.n_mounts];
	union {
		const char *borrowed;
		char *given;
	} text = {.borrowed = target};

	berm__wire__mount__init(mount);
	mount->kind = kind;
	mount->target = text.given;
	mount->read_only = read_only;
	mount->rule = (uint32_t)p->plan.n_mounts + 1;
	p->mounts[p->plan.n_mounts++] = mount;
}

static void make_plan(struct small_plan *p)
{
	static char anchored[] = "/job/shut", hidden[] = "/job/**/.env*";

	memset(p, 0, sizeof(*p));
	berm__wire__plan__init(&p->plan);
	berm__wire__meter__init(&p->meter);
	berm__wire__network__init(&p->network);
	berm__wire__meter_anchor__init(&p->anchor);
	berm__wire__meter_name__init(&p->name);
	berm__wire__meter_cap__init(&p->cap);
	p->plan.meter = &p->meter;
	p->plan.network = &p->network;
	p->plan.mounts = p->mounts;
	p->network.mode = BERM__WIRE__NETWORK_MODE__NETWORK_NONE;
	p->meter.programs = BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_ALL;
	add_mount(p, BERM__WIRE__MOUNT_KIND__MOUNT_TMPFS, "/", false);
	add_mount(p, BERM__WIRE__MOUNT_KIND__MOUNT_BIND, "/job", false);
	add_mount(p, BERM__WIRE__MOUNT_KIND__MOUNT_BIND, "/given", true);
	add_mount(p, BERM__WIRE__MOUNT_KIND__MOUNT_TMPFS, "/tmp", false);
	p->anchor.path = anchored;
	p->anchor.rights = ANCHOR_READ;
	p->anchor.rule = 40;
	p->anchors[0] = &p->anchor;
	p->meter.anchors = p->anchors;
	p->meter.n_anchors = 1;
	p->name.pattern = hidden;
	p->name.no_read = true;
	p->name.no_write = true;
	p->name.rule = 41;
	p->names[0] = &p->name;
	p->meter.names = p->names;
	p->meter.n_names = 1;
	p->cap.counter = COUNTER_FILES_CREATED;
	p->cap.limit = 3;
	p->cap.posture = POSTURE_NO_WRITE;
	p->cap.phase = PHASE_ALTERNATE;
	p->cap.rule = 42;
	p->caps[0] = &p->cap;
	p->meter.caps = p->caps;
	p->meter.n_caps = 1;
}

/* In the child: /job (with a file system of its own at /job/disk), /given, /tmp. */
static int build_root(void)
{
	static const char *const directories[] = {
		"root", "host", "host/shut", "host/disk", "host/.envs", "lib"};

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return errno;
	for (size_t i = 0; i < array_size(directories); i++)
		if (mkdir(directories[i], 0777))
			return errno;
	if (mount("disk", "host/disk", "tmpfs", 0, NULL) ||
		mount("root", "root", "tmpfs", 0, NULL) || mkdir("root/job", 0755) ||
		mkdir("root/given", 0755) || mkdir("root/tmp", 0755) || mkdir("root/old", 0755))
		return errno;
	if (mount("host", "root/job", NULL, MS_BIND | MS_REC, NULL) ||
		mount("lib", "root/given", NULL, MS_BIND, NULL) ||
		mount(NULL, "root/given", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) ||
		mount("tmp", "root/tmp", "tmpfs", 0, NULL))
		return errno;
	if (chdir("root") || syscall(SYS_pivot_root, ".", "old") || chdir("/"))
		return errno;
	return umount2("/old", MNT_DETACH) || rmdir("/old") ? errno : 0;
}

static int make(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	int saved = errno;

	if (fd >= 0)
		close(fd);
	return fd >= 0 ? 0 : saved;
}

/* What the joined process finds: shared->value[i] is the errno of each. */
static void look_around(void)
{
	shared->value[0] = make("/job/one");
	shared->value[1] = make("/job/disk/two");
	shared->value[2] = make("/job/shut/no");
	shared->value[3] = make("/job/disk/.env");
	shared->value[4] = make("/tmp/free");
	shared->value[5] = make("/given/no");
	shared->value[6] = make("/job/three");
	shared->value[7] = make("/job/over");
	shared->done = ERRNO_OF(open("/job/one", O_WRONLY | O_CLOEXEC)) == EPERM;
}

static pid_t start_waiting(int *ret_pidfd)
{
	pid_t pid;

	shared->gate = 0;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int r = build_root();

		if (r)
			_exit(r);
		shared->gate = 1;
		while (shared->gate != 2)
			usleep(200);
		look_around();
		_exit(0);
	}
	for (int i = 0; i < 20000 && shared->gate != 1; i++)
		usleep(200);
	*ret_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return pid;
}

static void row_join(void)
{
	struct small_plan p;
	struct meter_place place = {.cgroup_fd = -1, .run_id = 4711};
	struct meter_joined *joined = NULL;
	struct meter_origin origin = {0};
	struct error err = {0};
	struct tally tally;
	int status;

	make_plan(&p);
	place.init_pid = start_waiting(&place.init_pidfd);
	EXPECT_EQ(meter_join(world.meter, &p.plan, &place, &joined, &err), 0);
	if (!joined)
		printf("# %s\n", err.text);
	shared->gate = 2;
	EXPECT(waitpid(place.init_pid, &status, 0) == place.init_pid && status == 0);
	close(place.init_pidfd);
	if (!joined)
		return;
	world.slot = meter_joined_slot(joined);
	EXPECT_EQ(shared->value[0], 0);
	EXPECT_EQ(shared->value[1], 0);
	EXPECT_EQ(shared->value[2], EPERM);
	EXPECT_EQ(shared->value[3], EPERM);
	EXPECT_EQ(shared->value[4], 0);
	EXPECT_EQ(shared->value[5], EROFS);
	EXPECT_EQ(shared->value[6], 0);
	EXPECT_EQ(shared->value[7], EPERM);
	EXPECT_EQ(shared->done, 1);
	EXPECT(exists("host/one") && exists("host/three") && !exists("host/over"));
	EXPECT_EQ(counted(METER_FILES_CREATED), 3);
	EXPECT_EQ(counted(METER_DENIALS), 2);
	read_events(&tally);
	EXPECT_EQ(tally.kind[METER_EVENT_CAP], 1);
	tally.last.kind = METER_EVENT_CAP;
	tally.last.id = tally.id[METER_EVENT_CAP];
	EXPECT(meter_origin_of(&p.meter, &tally.last, &origin));
	EXPECT_EQ(origin.rule, 42);
	EXPECT_EQ(origin.phase, PHASE_ALTERNATE);
	world.slot = 0;
	meter_leave(joined);
}

/* Slots and scopes that are taken. */
static unsigned taken(void)
{
	struct meter_rules rules = {0};
	struct error err = {0};
	uint32_t slot = 0, scope = 0;
	struct meter_run_request request = {.run_id = 4712};

	EXPECT_EQ(meter_scope_create(world.meter, &rules, &scope, &err), 0);
	EXPECT_EQ(meter_run_create(world.meter, &request, &slot, &err), 0);
	meter_run_destroy(world.meter, slot);
	meter_scope_destroy(world.meter, scope);
	return slot * 1000 + scope;
}

static void row_join_fails(void)
{
	struct small_plan p;
	struct meter_place place = {.cgroup_fd = -1, .run_id = 4713, .init_pidfd = -1};
	struct meter_joined *joined = NULL;
	unsigned before = taken();
	struct error err = {0};
	char nowhere[] = "/job/gone", odd[] = "/job/*";
	int status;

	make_plan(&p);
	place.init_pid = start_waiting(&place.init_pidfd);
	/* Narrower than what is around it, and not there to hold it. */
	p.anchor.path = nowhere;
	EXPECT_EQ(meter_join(world.meter, &p.plan, &place, &joined, &err), -ENOENT);
	p.anchor.rights = ~0u;
	p.name.pattern = odd;
	EXPECT_EQ(meter_join(world.meter, &p.plan, &place, &joined, &err), -ENOTSUP);
	make_plan(&p);
	p.cap.counter = COUNTER_COUNT;
	EXPECT_EQ(meter_join(world.meter, &p.plan, &place, &joined, &err), -EINVAL);
	make_plan(&p);
	close(place.init_pidfd);
	place.init_pidfd = -1;
	EXPECT(meter_join(world.meter, &p.plan, &place, &joined, &err) < 0);
	EXPECT_EQ(taken(), before);
	/* Nothing of it sticks to the process. */
	shared->gate = 2;
	EXPECT(waitpid(place.init_pid, &status, 0) == place.init_pid && status == 0);
	EXPECT(exists("host/over") && exists("host/shut/no"));
}

const struct row join_rows[] = {
	{"a plan is joined in one call and holds in every mount", row_join, "path_mknod",
		.not_outside = true},
	{"what cannot be joined leaves nothing behind", row_join_fails, NULL, .not_outside = true},
	{NULL, NULL, NULL},
};
