/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define ALL_RIGHTS (METER_RIGHT_READ | METER_RIGHT_WRITE | METER_RIGHT_EXEC | METER_RIGHT_CONNECT)

static int stay_inside(void *context)
{
	(void)context;
	if (touch_file("new") || touch_file("sub/new"))
		return 1;
	if (touch_file("/tmp/meter/outside") != EPERM || touch_file("../outside") != EPERM)
		return 2;
	if (open("/tmp/meter/victim", O_RDONLY | O_CLOEXEC) != -1 || errno != EPERM)
		return 3;
	if (open("/bin/busybox", O_RDONLY | O_CLOEXEC) < 0 || touch_file("/bin/new") != EPERM)
		return 4;
	if (unlink("/tmp/meter/victim") != -1 || truncate("/tmp/meter/victim", 0) != -1)
		return 5;
	if (chmod("/tmp/meter/victim", 0) != -1 || rename("/tmp/meter/victim", "mine") != -1)
		return 6;
	if (link("/tmp/meter/victim", "mine") != -1)
		return 7;
	/* Through a bind mount made by somebody else: the inode decides. */
	if (open("alias/victim", O_RDONLY | O_CLOEXEC) != -1 || errno != EPERM)
		return 8;
	return 0;
}

static void row_anchors(void)
{
	autoclose int fd = open("/tmp/meter/victim", O_CREAT | O_WRONLY | O_CLOEXEC, 0666);

	EXPECT(fd >= 0 && write(fd, "canary", 6) == 6);
	EXPECT_EQ(mkdirat(world.directory_fd, "sub", 0777), 0);
	EXPECT_EQ(mkdirat(world.directory_fd, "alias", 0777), 0);
	EXPECT_EQ(mount("/tmp/meter", "alias", NULL, MS_BIND, NULL), 0);
	usual_rules();
	start();
	EXPECT_EQ(within(stay_inside, NULL), 0);
	EXPECT(!exists("mine"));
	EXPECT_EQ(access("/tmp/meter/outside", F_OK), -1);
	EXPECT_EQ(umount2("alias", MNT_DETACH), 0);
	close_anchors();
}

static int plant(void *context)
{
	(void)context;
	/* Names that are not there yet, and every verb that could make them. */
	if (touch_file(".envrc") != EPERM || touch_file("a/b/.env.local") != EPERM ||
		touch_file("a/key.pem") != EPERM)
		return 1;
	if (mkdir(".git", 0777) || touch_file(".git/description"))
		return 2;
	if (mkdir(".git/hooks", 0777) != -1 || errno != EPERM)
		return 3;
	if (touch_file("tmp") || rename("tmp", ".envrc") != -1 || link("tmp", ".envrc") != -1 ||
		symlink("tmp", ".envrc") != -1)
		return 4;
	/* A directory that brings a protected name along. */
	if (mkdir("x", 0777) || mkdir("x/hooks", 0777) || touch_file("x/hooks/pre-commit"))
		return 5;
	if (rename(".git", "gone") != -1 ||
		syscall(SYS_renameat2, AT_FDCWD, "x", AT_FDCWD, ".git", 2) != -1)
		return 6;
	if (rmdir(".git/none") == 0)
		return 7;
	/* ".git" as a file says where git should look. */
	if (unlink(".git/description") || rmdir(".git") || touch_file(".git") != EPERM ||
		symlink("x", ".git") != -1)
		return 8;
	if (rename("x", ".git") != -1 || errno != EPERM)
		return 9;
	/* Near misses are nobody's business. */
	if (touch_file("envrc") || touch_file("a/.environ") != EPERM || touch_file("key.pem.txt") ||
		touch_file("hooks"))
		return 10;
	return 0;
}

static int read_secrets(void *context)
{
	(void)context;
	if (open("deep/down/id_rsa", O_RDONLY | O_CLOEXEC) != -1 || errno != EPERM)
		return 1;
	if (open(".settings", O_RDONLY | O_CLOEXEC) < 0) /* refuses writing only */
		return 2;
	if (touch_file(".settings") != EPERM || unlink(".settings") != -1)
		return 3;
	if (rename("deep/down/id_rsa", "mine") != -1 || link("deep/down/id_rsa", "mine") != -1)
		return 4;
	if (rename("deep", "deeper") != 0) /* still protected there */
		return 5;
	return open("deeper/down/id_rsa", O_RDONLY | O_CLOEXEC) == -1 ? 0 : 6;
}

static void row_protected_names(void)
{
	struct tally tally;

	EXPECT_EQ(mkdirat(world.directory_fd, "a", 0777), 0);
	EXPECT_EQ(mkdirat(world.directory_fd, "a/b", 0777), 0);
	EXPECT_EQ(mkdirat(world.directory_fd, "deep", 0777), 0);
	EXPECT_EQ(mkdirat(world.directory_fd, "deep/down", 0777), 0);
	make_file("deep/down/id_rsa", 9);
	make_file(".settings", 9);
	usual_rules();
	protect("/w/.git/hooks", true);
	protect("/w/**/.env*", true);
	protect("/w/**/*.pem", true);
	protect("/w/**/id_rsa", true);
	protect("/w/.settings", false);
	start();
	EXPECT_EQ(within(plant, NULL), 0);
	EXPECT(!exists(".envrc") && !exists(".git/hooks/pre-commit"));
	read_events(&tally);
	EXPECT(tally.kind[METER_EVENT_DENIAL] >= 10);
	EXPECT_EQ(within(read_secrets, NULL), 0);
	read_events(&tally);
	EXPECT_EQ(tally.last.rule, 104);
	EXPECT(strcmp(tally.text, "id_rsa") == 0 && strcmp(tally.text + 7, "down") == 0);
	close_anchors();
}

static int go_deep(void *context)
{
	(void)context;
	for (int i = 0; i < 80; i++) {
		if (mkdir("d", 0777)) {
			shared->value[0] = i;
			return errno == EPERM ? 0 : errno;
		}
		if (chdir("d"))
			return errno;
	}
	return 1;
}

static void row_depth(void)
{
	usual_rules();
	start();
	EXPECT_EQ(within(go_deep, NULL), 0);
	EXPECT_EQ(shared->value[0], METER_DEPTH - 1);
	close_anchors();
}

static int copy_program(const char *from, int out)
{
	autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
	char block[65536];
	ssize_t n;

	while ((n = read(in, block, sizeof(block))) > 0)
		if (write(out, block, (size_t)n) != n)
			return errno;
	return n < 0 ? errno : 0;
}

static int run_copies(void *context)
{
	char *argv[] = {"true", NULL}, *envp[] = {NULL};
	int memory, unnamed;

	(void)context;
	memory = (int)syscall(SYS_memfd_create, "true", 0);
	unnamed = open("prog", O_CREAT | O_RDWR | O_CLOEXEC, 0755);
	if (copy_program("/bin/busybox", memory) || copy_program("/bin/busybox", unnamed))
		return 1;
	close(unnamed);
	execve("./prog", argv, envp);
	if (errno != EPERM)
		return 2;
	syscall(SYS_execveat, memory, "", argv, envp, AT_EMPTY_PATH);
	if (errno != EPERM)
		return 3;
	unnamed = open("prog", O_RDONLY);
	unlink("prog");
	syscall(SYS_execveat, unnamed, "", argv, envp, AT_EMPTY_PATH);
	if (errno != EPERM)
		return 4;
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, unnamed, 0) != MAP_FAILED ||
		errno != EPERM)
		return 5;
	execve("/bin/true", argv, envp);
	return 6;
}

static void row_exec(void)
{
	usual_rules();
	start();
	EXPECT_EQ(within(run_copies, NULL), 0);
	EXPECT_EQ(counted(METER_PROGRAMS_STARTED), 1);
	EXPECT_EQ(counted(METER_DENIALS), 4);
	close_anchors();
}

/* What a program with a compiler in it does. */
static int map_executable_memory(void *context)
{
	char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)context;
	if (memory == MAP_FAILED || mprotect(memory, 4096, PROT_READ | PROT_EXEC))
		return errno;
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == MAP_FAILED)
		return errno;
	return 0;
}

static void row_executable_memory(void)
{
	usual_rules();
	start();
	EXPECT_EQ(within(map_executable_memory, NULL), 0);
	EXPECT_EQ(counted(METER_DENIALS), 0);
	finish();
	world.request.flags = METER_RUN_NO_ANON_EXEC;
	start();
	EXPECT_EQ(within(map_executable_memory, NULL), EPERM);
	EXPECT_EQ(counted(METER_DENIALS), 1);
	close_anchors();
}

static void send_descriptor(int socket_fd, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec part = {.iov_base = "x", .iov_len = 1};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	EXPECT_EQ(sendmsg(socket_fd, &message, 0), 1);
}

static int received[2];

static int receive_descriptor(void *context)
{
	char control[CMSG_SPACE(sizeof(int))] = {0}, byte;
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *head;
	int fd;

	(void)context;
	if (recvmsg(received[1], &message, 0) != 1)
		return 1;
	head = CMSG_FIRSTHDR(&message);
	if (!head || head->cmsg_len < CMSG_LEN(sizeof(int)))
		return 2; /* taken out on the way */
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return write(fd, "gift", 4) == 4 ? 0 : 3;
}

static void row_received(void)
{
	autoclose int outside_fd = open("/tmp/meter/victim2", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	autoclose int inside_fd = -1;

	make_file("inside", 0);
	inside_fd = openat(world.directory_fd, "inside", O_RDWR | O_CLOEXEC);
	EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, received), 0);
	usual_rules();
	start();
	send_descriptor(received[0], outside_fd);
	EXPECT_EQ(within(receive_descriptor, NULL), 2);
	EXPECT_EQ(counted(METER_DENIALS), 1);
	send_descriptor(received[0], inside_fd);
	EXPECT_EQ(within(receive_descriptor, NULL), 0);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 4);
	close(received[0]);
	close(received[1]);
	close_anchors();
}

static int work_in_scratch(void *context)
{
	(void)context;
	for (int i = 0; i < 10; i++) {
		char name[32];
		int fd;

		snprintf(name, sizeof(name), "scratch/f%d", i);
		fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, name, 10) != 10)
			return errno;
		close(fd);
		if (unlink(name))
			return errno;
	}
	if (mkdir("scratch/d", 0700) || rename("scratch/d", "scratch/e") || rmdir("scratch/e"))
		return errno;
	/* Out of it with a file means another anchor: as another file system. */
	if (touch_file("scratch/x") || rename("scratch/x", "x") != -1 || errno != EXDEV)
		return 100;
	return 0;
}

static void row_scratch(void)
{
	EXPECT_EQ(mkdirat(world.directory_fd, "scratch", 0777), 0);
	usual_rules();
	anchor("scratch", "/w/scratch", METER_RIGHT_READ | METER_RIGHT_WRITE | METER_RIGHT_SCRATCH);
	start();
	EXPECT_EQ(within(work_in_scratch, NULL), 0);
	EXPECT_EQ(counted(METER_FILES_CREATED), 0);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 0);
	EXPECT_EQ(counted(METER_FILES_DELETED), 0);
	close_anchors();
}

static int use_overlay(void *context)
{
	autoclose int fd = -1;

	(void)context;
	if (chdir("merged"))
		return errno;
	/* Copies a mebibyte up. That the name is there no cache knows yet. */
	fd = open("low", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "0123456789", 10) != 10)
		return errno;
	if (touch_file("fresh") || mkdir("dir", 0700) || rename("fresh", "renamed") ||
		unlink("gone"))
		return errno;
	if (chmod("low", 0600) || truncate("low", 5))
		return errno;
	return 0;
}

/* The file in a mapping is that of the layer: neither its bytes nor its code go by unseen. */
static int map_overlay(void *context)
{
	autoclose int fd = open("merged/mapped", O_RDWR | O_CLOEXEC);
	char *memory = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
	char *program;

	(void)context;
	if (memory == MAP_FAILED || mprotect(memory, 8192, PROT_READ | PROT_WRITE))
		return errno;
	memory[0] = 'x';
	program = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0);
	if (program == MAP_FAILED)
		return errno;
	shared->value[0] = ERRNO_OF(mprotect(program, 8192, PROT_READ | PROT_EXEC));
	return 0;
}

static void row_overlay(void)
{
	EXPECT_EQ(mkdirat(world.directory_fd, "lower", 0777) |
			  mkdirat(world.directory_fd, "upper", 0777) |
			  mkdirat(world.directory_fd, "work", 0777) |
			  mkdirat(world.directory_fd, "merged", 0777),
		0);
	make_file("lower/low", 1 << 20);
	make_file("lower/gone", 5);
	make_file("lower/mapped", 8192);
	if (mount("overlay", "merged", "overlay", 0,
		    "lowerdir=lower,upperdir=upper,workdir=work")) {
		printf("# no overlayfs here: %s\n", strerror(errno));
		return;
	}
	anchor("merged", "/w", METER_RIGHT_READ | METER_RIGHT_WRITE);
	start();
	EXPECT_EQ(within(use_overlay, NULL), 0);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 10);
	EXPECT_EQ(counted(METER_FILES_CREATED), 2);
	EXPECT_EQ(counted(METER_FILES_DELETED), 1);
	EXPECT_EQ(counted(METER_FILES_CHANGED), 3);
	EXPECT_EQ(counted(METER_DENIALS), 0);
	EXPECT_EQ(within(map_overlay, NULL), 0);
	EXPECT_EQ(shared->value[0], EPERM);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 10 + 8192);
	EXPECT(counted(METER_FILES_CHANGED) >= 4);
	EXPECT_EQ(umount2("merged", MNT_DETACH), 0);
	close_anchors();
}

const struct row rule_rows[] = {
	{"what lies outside of the anchors is refused by every verb", row_anchors, "file_open"},
	{"protected names hold before they exist and against every verb", row_protected_names,
		"path_rename"},
	{"deeper than the walk goes is refused", row_depth, NULL},
	{"programs run from where they may and from nowhere else", row_exec, "bprm_check_security"},
	{"executable memory without a file is the profile's choice", row_executable_memory, NULL},
	{"a received descriptor is judged as if it were opened", row_received, "file_receive"},
	{"scratch space is not counted and nothing moves out of it", row_scratch, NULL},
	{"overlayfs counts what was asked for, once", row_overlay, NULL},
	{NULL, NULL, NULL},
};
