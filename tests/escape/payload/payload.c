/* SPDX-License-Identifier: Apache-2.0 */
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define SPILL_MAX_BYTES (64 * 1024)
#define VARIANT_SECONDS 10

static const struct technique *const families[] = {
	fs_techniques,
	fs_write_techniques,
	mount_techniques,
	race_techniques,
	proc_techniques,
	exec_techniques,
	tty_techniques,
	kernel_techniques,
	entry_techniques,
	caps_techniques,
	fds_techniques,
	sys_techniques,
	ipc_techniques,
	net_techniques,
	posture_techniques,
	load_techniques,
};

static char **arguments;

const char *target_or(const char *key, const char *fallback)
{
	size_t length = strlen(key);

	for (char **a = arguments; *a; a++)
		if (!strncmp(*a, key, length) && (*a)[length] == '=')
			return *a + length + 1;
	return fallback;
}

const char *target(const char *key)
{
	const char *value = target_or(key, NULL);

	if (!value) {
		fprintf(stderr, "escape-payload: %s=VALUE is missing\n", key);
		_exit(64);
	}
	return value;
}

long target_number(const char *key, long fallback)
{
	const char *value = target_or(key, NULL);

	return value ? strtol(value, NULL, 0) : fallback;
}

const char *below(const char *key, const char *rest)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", target(key), rest) < 0)
		_exit(66);
	return path;
}

/* One write for one line: the children of a technique share stdout. */
__attribute__((format(printf, 2, 0))) static void say(
	const char *word, const char *format, va_list values)
{
	char line[1024];
	int length = snprintf(line, sizeof(line), "%s ", word);
	ssize_t ignored;

	length += vsnprintf(line + length, sizeof(line) - (size_t)length - 1, format, values);
	if (length > (int)sizeof(line) - 2)
		length = (int)sizeof(line) - 2;
	line[length++] = '\n';
	ignored = write(STDOUT_FILENO, line, (size_t)length);
	(void)ignored;
}

void proof(const char *format, ...)
{
	va_list values;

	va_start(values, format);
	say("PROOF", format, values);
	va_end(values);
}

void note(const char *format, ...)
{
	va_list values;

	va_start(values, format);
	say("NOTE", format, values);
	va_end(values);
}

long got(long result, const char *what)
{
	if (result >= 0)
		proof("%s gave %ld", what, result);
	else
		note("%s: %s", what, strerror(errno));
	return result;
}

void spill(int fd)
{
	autoclose int owned = fd;
	char buffer[4096];
	size_t total = 0;
	ssize_t n;

	while (owned >= 0 && total < SPILL_MAX_BYTES &&
		(n = read(owned, buffer, sizeof(buffer))) > 0) {
		ssize_t ignored = write(STDOUT_FILENO, buffer, (size_t)n);

		(void)ignored;
		total += (size_t)n;
	}
	/* Whatever was in it, the next line is our own again. */
	if (total)
		n = write(STDOUT_FILENO, "\n", 1);
}

void spill_path(const char *path)
{
	spill(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
}

void deface(int fd)
{
	autoclose int owned = fd;

	if (owned >= 0 && write(owned, "defaced\n", 8) < 0)
		note("write: %s", strerror(errno));
}

void deface_path(const char *path)
{
	deface(open(path, O_WRONLY | O_TRUNC | O_CLOEXEC));
}

int write_text(const char *path, const char *text)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t length = strlen(text);

	if (fd < 0)
		return -errno;
	return write(fd, text, length) == (ssize_t)length ? 0 : -errno;
}

int named_variant(const char *name, void (*function)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid < 0) {
		note("%s: fork: %s", name, strerror(errno));
		return -1;
	}
	if (pid == 0) {
		alarm(VARIANT_SECONDS);
		function();
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		note("%s: ended by signal %d", name, WTERMSIG(status));
	return status;
}

int variant(void (*function)(void))
{
	return named_variant("variant", function);
}

/* The control of a mount technique needs what berm gives: a mount namespace in which RO is a
 * read-only bind and HIDDEN is covered. It is made in a user namespace when the caller is not root.
 */
static int control_mounts(void)
{
	const char *read_only = target_or("RO", NULL);
	const char *hidden = target_or("HIDDEN", NULL);

	if (unshare((geteuid() ? CLONE_NEWUSER : 0) | CLONE_NEWNS) ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	if (read_only &&
		(mount(read_only, read_only, NULL, MS_BIND | MS_REC, NULL) ||
			mount(NULL, read_only, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL)))
		return -errno;
	if (hidden && mount("tmpfs", hidden, "tmpfs", 0, NULL))
		return -errno;
	return 0;
}

static int list(void)
{
	for (size_t f = 0; f < array_size(families); f++)
		for (const struct technique *t = families[f]; t->name; t++)
			printf("%s\t%s\t%s\n", t->id, t->name, t->layer);
	return 0;
}

bool run_technique(const char *name)
{
	for (size_t f = 0; f < array_size(families); f++) {
		for (const struct technique *t = families[f]; t->name; t++) {
			if (strcmp(t->name, name))
				continue;
			printf("BEGIN %s\n", t->name);
			t->attack();
			printf("DONE %s\n", t->name);
			return true;
		}
	}
	return false;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--list"))
		return list();
	if (argc < 2) {
		fprintf(stderr, "usage: escape-payload --list | NAME [KEY=VALUE]…\n");
		return 64;
	}
	setvbuf(stdout, NULL, _IONBF, 0);
	arguments = argv + 2;
	if (!strcmp(target_or("SETUP", ""), "mounts") && control_mounts()) {
		perror("escape-payload: control mounts");
		return 65;
	}
	if (run_technique(argv[1]))
		return 0;
	fprintf(stderr, "escape-payload: no technique %s\n", argv[1]);
	return 64;
}
