/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/act.h"

#include "base/own.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* Ways to change a file or a directory. Every one works on an ordinary file system without walls;
 * what does not on this host is seen in the control, and is not counted. */

#define VICTIM "victim"
#define WORDS "changed by an attacker"

static int errno_of(bool failed)
{
	return failed ? -errno : 0;
}

static int write_with(int flags)
{
	autoclose int fd = open(VICTIM, flags | O_CLOEXEC, 0600);

	return errno_of(fd < 0 || write(fd, WORDS, sizeof(WORDS)) < 0);
}

static int try_open_write(void)
{
	return write_with(O_WRONLY);
}

static int try_open_append(void)
{
	return write_with(O_WRONLY | O_APPEND);
}

static int try_open_truncate(void)
{
	autoclose int fd = open(VICTIM, O_RDONLY | O_TRUNC | O_CLOEXEC);

	return errno_of(fd < 0);
}

static int try_create(void)
{
	autoclose int fd = open("new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return errno_of(fd < 0);
}

/* O_PATH needs no right to write; opened again it asks for one. */
static int try_reopen(void)
{
	autoclose int path = open(VICTIM, O_PATH | O_CLOEXEC), fd = -1;
	char name[64];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", path);
	fd = path < 0 ? -1 : open(name, O_WRONLY | O_CLOEXEC);
	return errno_of(fd < 0 || write(fd, WORDS, sizeof(WORDS)) < 0);
}

static int try_unnamed(void)
{
	autoclose int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char name[64];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return errno_of(fd < 0 || linkat(AT_FDCWD, name, AT_FDCWD, "new", AT_SYMLINK_FOLLOW) < 0);
}

static int try_truncate(void)
{
	return errno_of(truncate(VICTIM, 1) < 0);
}

static int try_rename(void)
{
	return errno_of(rename(VICTIM, "moved") < 0);
}

static int try_exchange(void)
{
	return errno_of(
		syscall(SYS_renameat2, AT_FDCWD, VICTIM, AT_FDCWD, "other", RENAME_EXCHANGE) < 0);
}

static int try_link(void)
{
	return errno_of(link(VICTIM, "new") < 0);
}

static int try_symlink(void)
{
	return errno_of(symlink("/etc/passwd", "new") < 0);
}

static int try_unlink(void)
{
	return errno_of(unlink(VICTIM) < 0);
}

static int try_mkdir(void)
{
	return errno_of(mkdir("new", 0700) < 0);
}

static int try_rmdir(void)
{
	return errno_of(rmdir("empty") < 0);
}

static int try_fifo(void)
{
	return errno_of(mkfifo("new", 0600) < 0);
}

static int try_socket(void)
{
	return errno_of(mknod("new", S_IFSOCK | 0600, 0) < 0);
}

static int try_chmod(void)
{
	return errno_of(chmod(VICTIM, 0777) < 0);
}

static int try_times(void)
{
	const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

	return errno_of(utimensat(AT_FDCWD, VICTIM, times, 0) < 0);
}

static int try_xattr(void)
{
	return errno_of(setxattr(VICTIM, "user.redteam", "x", 1, 0) < 0);
}

static int try_fallocate(void)
{
	autoclose int fd = open(VICTIM, O_RDWR | O_CLOEXEC);

	return errno_of(fd < 0 || fallocate(fd, 0, 0, 4096) < 0);
}

static int try_mmap(void)
{
	autoclose int fd = open(VICTIM, O_RDWR | O_CLOEXEC);
	char *at = fd < 0 ? MAP_FAILED : mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	memcpy(at, "evil", 4);
	return errno_of(munmap(at, 4) < 0);
}

/* A private mapping of a file that is only read, made shared by way of /proc. */
static int try_proc_mem(void)
{
	autoclose int fd = open(VICTIM, O_RDONLY | O_CLOEXEC), memory = -1;
	char *at = fd < 0 ? MAP_FAILED : mmap(NULL, 4, PROT_READ, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (memory < 0 || pwrite(memory, "evil", 4, (off_t)(uintptr_t)at) < 0)
		return -errno;
	return 0;
}

static int copy_with(ssize_t (*copy)(int from, int to))
{
	autoclose int from = open("other", O_RDONLY | O_CLOEXEC);
	autoclose int to = open(VICTIM, O_WRONLY | O_CLOEXEC);

	return errno_of(from < 0 || to < 0 || copy(from, to) <= 0);
}

static ssize_t by_sendfile(int from, int to)
{
	return sendfile(to, from, NULL, 5);
}

static ssize_t by_copy_file_range(int from, int to)
{
	return copy_file_range(from, NULL, to, NULL, 5, 0);
}

static ssize_t by_splice(int from, int to)
{
	int ends[2];
	ssize_t n = -1;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	if (splice(from, NULL, ends[1], NULL, 5, 0) > 0)
		n = splice(ends[0], NULL, to, NULL, 5, 0);
	own_close(&ends[0]);
	own_close(&ends[1]);
	return n;
}

static int try_sendfile(void)
{
	return copy_with(by_sendfile);
}

static int try_copy_range(void)
{
	return copy_with(by_copy_file_range);
}

static int try_splice(void)
{
	return copy_with(by_splice);
}

/* The walls of a file system come off where it is mounted anew; namespaces of one's own give the
 * right to. */
static int remount_and_write(void)
{
	autofree char *here = getcwd(NULL, 0);

	if (!here || (geteuid() != 0 && unshare(CLONE_NEWUSER) < 0) || unshare(CLONE_NEWNS) < 0)
		return -errno;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount(here, here, NULL, MS_BIND, NULL) < 0 ||
		mount(NULL, here, NULL, MS_BIND | MS_REMOUNT, NULL) < 0 || chdir(here) < 0)
		return -errno;
	return try_open_write();
}

static int in_child(int (*attempt)(void))
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(-attempt() & 255);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

static int try_remount(void)
{
	return in_child(remount_and_write);
}

static int try_root_again(void)
{
	if (setresuid(0, 0, 0) < 0)
		return -errno;
	return try_open_write();
}

static int as_root(void)
{
	return in_child(try_root_again);
}

/* Whatever descriptor was left open, and leads to the victim. */
static int try_inherited(void)
{
	struct stat victim, st;

	if (stat(VICTIM, &victim) < 0)
		return -errno;
	for (int fd = 0; fd < 256; fd++)
		if (fstat(fd, &st) == 0 && st.st_ino == victim.st_ino &&
			st.st_dev == victim.st_dev && pwrite(fd, WORDS, sizeof(WORDS), 0) > 0)
			return 0;
	return -EBADF;
}

const struct technique techniques[] = {
	{"open", try_open_write},
	{"append", try_open_append},
	{"open-truncate", try_open_truncate},
	{"create", try_create},
	{"reopen-o-path", try_reopen},
	{"o-tmpfile", try_unnamed},
	{"truncate", try_truncate},
	{"rename", try_rename},
	{"exchange", try_exchange},
	{"link", try_link},
	{"symlink", try_symlink},
	{"unlink", try_unlink},
	{"mkdir", try_mkdir},
	{"rmdir", try_rmdir},
	{"fifo", try_fifo},
	{"socket", try_socket},
	{"chmod", try_chmod},
	{"utimens", try_times},
	{"xattr", try_xattr},
	{"fallocate", try_fallocate},
	{"mmap", try_mmap},
	{"proc-mem", try_proc_mem},
	{"sendfile", try_sendfile},
	{"copy-range", try_copy_range},
	{"splice", try_splice},
	{"io-uring", write_through_ring},
	{"remount", try_remount},
	{"uid-0", as_root},
	{"inherited", try_inherited},
};
const size_t technique_count = array_size(techniques);

int act_write(int argc, char **argv)
{
	(void)argc;
	act_tell("begun");
	for (size_t i = 0; i < technique_count; i++) {
		char path[4096];
		int r;

		snprintf(path, sizeof(path), "%s/%s", argv[1], techniques[i].name);
		r = chdir(path) < 0 ? -errno : techniques[i].attempt();
		act_tell_number(techniques[i].name, (uint64_t)-r);
	}
	act_tell("done");
	return 0;
}
