/* SPDX-License-Identifier: Apache-2.0 */
/* Running what was not granted. Targets: FORBIDDEN a program outside of exec.allow that writes
 * "RAN" to stdout when its only argument is "RAN" (an echo), W writable grant, SELF this program's
 * path. */
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

static char *const ran[] = {(char *)(uintptr_t) "echo", (char *)(uintptr_t) "PROOF RAN", NULL};
static const char *program;

static void run_program(void)
{
	execve(program, ran, environ);
	note("execve %s: %s", program, strerror(errno));
}

static void run_at(void)
{
	autoclose int fd = open(program, O_PATH | O_CLOEXEC);

	syscall(SYS_execveat, fd, "", ran, environ, AT_EMPTY_PATH);
	note("execveat %s: %s", program, strerror(errno));
}

static void each_way(const char *path)
{
	pid_t pid;

	program = path;
	named_variant("execve", run_program);
	named_variant("execveat", run_at);
	if (!posix_spawn(&pid, path, NULL, NULL, ran, environ))
		waitpid(pid, NULL, 0);
}

static void exec_forbidden(void)
{
	each_way(target("FORBIDDEN"));
}

static int copy_to(int out, const char *from)
{
	autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (in < 0 || out < 0 || fstat(in, &st))
		return -errno;
	for (off_t left = st.st_size; left > 0;) {
		ssize_t n = sendfile(out, in, NULL, (size_t)left);

		if (n <= 0)
			return -EIO;
		left -= n;
	}
	return 0;
}

/* The same bytes under a name of our own. */
static void copy_and_exec(const char *directory)
{
	char copy[4096], other[4096];
	int fd;

	snprintf(copy, sizeof(copy), "%s/copied-program", directory);
	snprintf(other, sizeof(other), "%s/other-name", directory);
	fd = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	if (fd < 0 || copy_to(fd, target("FORBIDDEN")))
		note("copy to %s: %s", copy, strerror(errno));
	close(fd);
	each_way(copy);
	if (!link(copy, other) || !symlink(copy, other))
		each_way(other);
}

static void exec_copies(void)
{
	char root[4096];

	snprintf(root, sizeof(root), "/proc/self/root%s", target("FORBIDDEN"));
	each_way(root);
	copy_and_exec(target("W"));
	copy_and_exec("/tmp");
	copy_and_exec("/dev/shm");
	if (symlink(target("FORBIDDEN"), below("W", "sym-program")))
		note("symlink: %s", strerror(errno));
	each_way(below("W", "sym-program"));
}

static void exec_script(void)
{
	const char *script = below("W", "script");
	char text[4200];

	snprintf(text, sizeof(text), "#!%s PROOF RAN\n", target("FORBIDDEN"));
	write_text(script, text);
	chmod(script, 0755);
	each_way(script);
}

static void from_descriptor(int fd, const char *what)
{
	char path[64];
	pid_t pid;

	if (fd < 0 || copy_to(fd, target("SELF"))) {
		note("%s: %s", what, strerror(errno));
		return;
	}
	fchmod(fd, 0755);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	pid = fork();
	if (pid == 0) {
		/* A file that is open for writing does not execute: reopen it read-only first. */
		int reader = open(path, O_RDONLY);

		close(fd);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", reader);
		syscall(SYS_execveat, reader, "",
			(char *[]){(char *)(uintptr_t) "x", (char *)(uintptr_t) "prove", NULL},
			environ, AT_EMPTY_PATH);
		execl(path, "x", "prove", NULL);
		note("%s: exec: %s", what, strerror(errno));
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* Programs that no path ever named. */
static void fileless(void)
{
	int fd = (int)syscall(SYS_memfd_create, "x", 0x0010 /* MFD_EXEC */);
	const char *gone = below("W", "gone");

	from_descriptor(fd, "memfd with MFD_EXEC");
	close(fd);
	fd = (int)syscall(SYS_memfd_create, "x", 0);
	from_descriptor(fd, "memfd");
	close(fd);
	fd = (int)syscall(SYS_memfd_create, "x", 0x0008 /* MFD_NOEXEC_SEAL */);
	from_descriptor(fd, "memfd with MFD_NOEXEC_SEAL");
	close(fd);
	fd = open(target("W"), O_TMPFILE | O_RDWR | O_CLOEXEC, 0755);
	from_descriptor(fd, "O_TMPFILE");
	close(fd);
	fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0755);
	from_descriptor(fd, "O_TMPFILE in /tmp");
	close(fd);
	fd = open(gone, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	unlink(gone);
	from_descriptor(fd, "unlinked");
	close(fd);
	fd = open("/dev/shm/x", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	from_descriptor(fd, "/dev/shm");
	close(fd);
	unlink("/dev/shm/x");
}

static void prove(void)
{
	proof("a program without a name runs");
}

/* Machine code out of a file that the tool may write, without any exec. */
static void map_executable(void)
{
	/* mov $42, %eax; ret */
	static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
	static const char *const directories[] = {NULL, "/tmp", "/dev/shm"};

	for (size_t i = 0; i < array_size(directories); i++) {
		char path[4096];
		autoclose int fd = -1;
		void *page;

		snprintf(path, sizeof(path), "%s/code",
			directories[i] ? directories[i] : target("W"));
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
		if (fd < 0 || write(fd, code, sizeof(code)) != sizeof(code))
			continue;
		page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
		if (page == MAP_FAILED) {
			page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
			if (page == MAP_FAILED || mprotect(page, 4096, PROT_READ | PROT_EXEC)) {
				note("%s: %s", path, strerror(errno));
				continue;
			}
		}
		if (((int (*)(void))(uintptr_t)page)() == 42)
			proof("code from %s runs", path);
		unlink(path);
	}
}

/* A program with file capabilities or the set-user-id bit, to be gained from. */
static void exec_privileged(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl(target("PRIVILEGED"), "privileged", "posture", NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

/* CVE-2019-5736: whoever starts the tool executes from a file; keep a descriptor of it and write
 * when it is free. */
static void overwrite_launcher(void)
{
	char path[64];
	static const char *const names[] = {
		"/proc/self/exe", "/proc/1/exe", "/proc/2/exe", "/proc/thread-self/exe"};

	for (int i = 0; i < 2000; i++) {
		for (size_t n = 0; n < array_size(names); n++) {
			autoclose int held = open(names[n], O_PATH | O_CLOEXEC);

			snprintf(path, sizeof(path), "/proc/self/fd/%d", held);
			deface(open(names[n], O_WRONLY | O_CLOEXEC));
			deface(open(path, O_WRONLY | O_CLOEXEC));
		}
	}
	if (target_or("LAUNCHER", NULL))
		deface_path(target("LAUNCHER"));
}

const struct technique exec_techniques[] = {
	{"P01", "exec-forbidden", "landlock", exec_forbidden},
	{"P02", "exec-copies", "mounts, landlock", exec_copies},
	{"P02", "exec-script", "landlock", exec_script},
	{"P04", "fileless", "seccomp, mounts, memfd_noexec", fileless},
	{"P04", "prove", "", prove},
	{"F22", "map-executable", "mounts", map_executable},
	{"C01", "exec-privileged", "no_new_privs", exec_privileged},
	{"L07", "overwrite-launcher", "namespaces, landlock", overwrite_launcher},
	{0},
};
