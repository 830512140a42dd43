/* SPDX-License-Identifier: Apache-2.0 */
#include "meter/prove.h"

#include "base/own.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* sys/mount.h is for apply/ only; this much is needed to see that mounting is refused. */
#define MOUNT_PRIVATE (1ul << 18)   /* MS_PRIVATE */
#define MOUNT_RECURSIVE (1ul << 14) /* MS_REC */
#define UNMOUNT_DETACH 2            /* MNT_DETACH */

/* A result that nobody wants, where the compiler insists. */
static void ignore(long result)
{
	(void)result;
}

int prove_prepare(void)
{
	if (unshare(CLONE_NEWNS))
		return errno;
	if (syscall(SYS_mount, "none", "/", NULL, MOUNT_PRIVATE | MOUNT_RECURSIVE, NULL))
		return errno;
	if (mkdir("mount", 0700) || mkdir("other", 0700))
		return errno;
	return syscall(SYS_mount, "proof", "mount", "tmpfs", 0, NULL) ? errno : 0;
}

static void use_names(void)
{
	ignore(mkdir("dir", 0700));
	ignore(symlink("x", "symlink"));
	ignore(mkfifo("fifo", 0600));
	ignore(link("file", "hard"));
	ignore(rename("hard", "hard2"));
	ignore(unlink("hard2"));
	ignore(rmdir("dir"));
	ignore(truncate("file", 100));
	ignore(chmod("file", 0700));
	ignore(chown("file", (uid_t)-1, (gid_t)-1));
	ignore(utimensat(AT_FDCWD, "file", NULL, 0));
	ignore(setxattr("file", "user.proof", "x", 1, 0));
	ignore(removexattr("file", "user.proof"));
}

/* An access list in the form of linux/posix_acl_xattr.h: u::rwx g::--- o::---. */
static void use_access_list(void)
{
	const struct {
		uint32_t version;
		struct {
			uint16_t tag, permissions;
			uint32_t id;
		} entry[3];
	} list = {2, {{0x01, 7, UINT32_MAX}, {0x04, 0, UINT32_MAX}, {0x20, 0, UINT32_MAX}}};

	ignore(setxattr("file", "system.posix_acl_access", &list, sizeof(list), 0));
	ignore(removexattr("file", "system.posix_acl_access"));
}

static void submit_write(int fd)
{
	struct iocb write_it = {
		.aio_lio_opcode = IOCB_CMD_PWRITE,
		.aio_fildes = (uint32_t)fd,
		.aio_buf = (uintptr_t) "x",
		.aio_nbytes = 1,
	};
	struct iocb *list[] = {&write_it};
	aio_context_t context = 0;

	if (syscall(SYS_io_setup, 1, &context))
		return;
	ignore(syscall(SYS_io_submit, context, 1, list));
	ignore(syscall(SYS_io_destroy, context));
}

static void use_files(void)
{
	autoclose int fd = open("file", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	autoclose int in = open("file", O_RDONLY | O_CLOEXEC);
	struct iovec part = {.iov_base = (char[]){"x"}, .iov_len = 1};
	int pipes[2] = {-1, -1}, waiting = 0;
	void *memory;

	ignore(write(fd, "0123456789", 10));
	ignore(writev(fd, &part, 1));
	ignore(sendfile(fd, in, NULL, 1));
	ignore(copy_file_range(in, NULL, fd, NULL, 1, 0));
	if (pipe2(pipes, O_CLOEXEC) == 0) {
		ignore(write(pipes[1], "x", 1));
		ignore(splice(pipes[0], NULL, fd, NULL, 1, 0));
		close(pipes[0]);
		close(pipes[1]);
	}
	submit_write(fd);
	ignore(ftruncate(fd, 4096));
	ignore(ioctl(fd, FIONREAD, &waiting));
	memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (memory != MAP_FAILED) {
		void *grown;

		ignore(mprotect(memory, 4096, PROT_READ | PROT_WRITE));
		grown = mremap(memory, 4096, 8192, MREMAP_MAYMOVE);
		munmap(grown == MAP_FAILED ? memory : grown, grown == MAP_FAILED ? 4096 : 8192);
	}
}

static void pass_descriptor(void)
{
	char control[CMSG_SPACE(sizeof(int))] = {0}, byte = 'x';
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	autoclose int fd = open("file", O_RDONLY | O_CLOEXEC);
	int pair[2];

	if (fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return;
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	ignore(sendmsg(pair[0], &message, 0));
	ignore(recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC));
	/* And a signal for input, to ourselves. */
	signal(SIGIO, SIG_IGN);
	ignore(fcntl(pair[1], F_SETOWN, getpid()));
	ignore(fcntl(pair[1], F_SETFL, O_ASYNC | O_NONBLOCK));
	ignore(write(pair[0], "x", 1));
	close(pair[0]);
	close(pair[1]);
}

static void use_unix_sockets(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
	autoclose int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	autoclose int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	autoclose int box = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	autoclose int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ignore(bind(server, (struct sockaddr *)&address, sizeof(address)));
	ignore(listen(server, 1));
	ignore(connect(client, (struct sockaddr *)&address, sizeof(address)));
	strcpy(address.sun_path, "box");
	ignore(bind(box, (struct sockaddr *)&address, sizeof(address)));
	ignore(connect(sender, (struct sockaddr *)&address, sizeof(address)));
}

/* To ourselves, over loopback. */
static void use_addresses(int family, struct sockaddr *address, socklen_t length)
{
	autoclose int receiver = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	autoclose int sender = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int size = 4096;

	ignore(bind(receiver, address, length));
	ignore(getsockname(receiver, address, &length));
	ignore(setsockopt(sender, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
	ignore(sendto(sender, "x", 1, 0, address, length));
	ignore(connect(sender, address, length));
	ignore(send(sender, "x", 1, 0));
}

static void use_network(void)
{
	struct sockaddr_in four = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};

	use_addresses(AF_INET, (struct sockaddr *)&four, sizeof(four));
	use_addresses(AF_INET6, (struct sockaddr *)&six, sizeof(six));
}

static void start_tasks(void)
{
	autoclose int fd = -1;
	char *argv[] = {(char[]){"program"}, NULL}, *envp[] = {NULL};
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	/* No program at all: the hooks are asked, then the kernel finds no way to run it. */
	fd = (int)syscall(SYS_memfd_create, "program", 0x10 /* MFD_EXEC, since 6.3 */);
	if (fd < 0)
		fd = (int)syscall(SYS_memfd_create, "program", 0);
	ignore(write(fd, "neither script nor program", 26));
	ignore(syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH));
}

static void try_the_forbidden(void)
{
	union bpf_attr map = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
	struct perf_event_attr event = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(event), .config = PERF_COUNT_SW_DUMMY};

	ignore(syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map)));
	ignore(syscall(SYS_perf_event_open, &event, 0, -1, -1, 0));
	ignore(kill(getppid(), 0));
	/* PTRACE_ATTACH would stop the parent for good where no program refuses it. */
	ignore(ptrace(PTRACE_SEIZE, getppid(), NULL, NULL));
	ignore(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	ignore(unshare(CLONE_NEWUSER));
	ignore(syscall(SYS_mount, "proof", "other", "tmpfs", 0, NULL));
	ignore(syscall(SYS_move_mount, AT_FDCWD, "mount", AT_FDCWD, "other", 0));
	ignore(syscall(SYS_pivot_root, "mount", "mount"));
	ignore(syscall(SYS_umount2, "mount", UNMOUNT_DETACH));
}

void prove_deeds(bool network_only)
{
	/* What no program refuses here would be done. */
	if (network_only) {
		use_network();
		return;
	}
	use_files();
	use_names();
	use_access_list();
	pass_descriptor();
	use_unix_sockets();
	use_network();
	start_tasks();
	try_the_forbidden();
}
