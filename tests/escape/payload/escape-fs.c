/* SPDX-License-Identifier: Apache-2.0 */
/* Reaching files by other names. Targets: W writable grant, D directory that is not granted, HIDDEN
 * directory that is denied beneath W, RO read-only grant. D and HIDDEN hold a file "canary" with a
 * secret. */
#include "payload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

/* Reopen an O_PATH descriptor through the magic links: the open is new, the object is the old one.
 */
static void reopen(const char *path)
{
	autoclose int fd = open(path, O_PATH | O_CLOEXEC);
	char link[64];

	if (fd < 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	spill_path(link);
	deface(open(link, O_WRONLY | O_TRUNC | O_CLOEXEC));
}

static void traverse_read(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/../../../../../../../..%s/canary", target("W"),
		target("D"));
	spill_path(path);
	spill_path(below("D", "canary"));
}

static void traverse_write(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/../../../../../../../..%s/canary", target("W"),
		target("D"));
	deface_path(path);
	deface_path(below("D", "canary"));
	if (truncate(below("D", "canary"), 1))
		note("truncate: %s", strerror(errno));
}

static void traverse_reopen(void)
{
	reopen(below("D", "canary"));
}

/* A prefix compared as text would take these for parts of the grant W. */
static void sibling_prefix(void)
{
	static const char *const suffixes[] = {"-evil", "2", ".", " "};
	char path[PATH_MAX];

	for (size_t i = 0; i < array_size(suffixes); i++) {
		snprintf(path, sizeof(path), "%s%s/planted", target("W"), suffixes[i]);
		note("%s: %d", path, write_text(path, "planted\n"));
	}
}

/* link-0 -> link-1 -> … -> D/canary, as long as the kernel follows. */
static void symlink_chain(void)
{
	char from[PATH_MAX], to[PATH_MAX];

	snprintf(from, sizeof(from), "%s/link-0", target("W"));
	if (symlink(below("D", "canary"), from))
		note("symlink: %s", strerror(errno));
	for (int i = 1; i < 39; i++) {
		snprintf(to, sizeof(to), "%s/link-%d", target("W"), i);
		if (symlink(from, to))
			note("symlink: %s", strerror(errno));
		memcpy(from, to, sizeof(from));
	}
	spill_path(from);
	deface_path(from);
}

static void symlink_loop(void)
{
	autoclose int fd = -1;
	const char *a = below("W", "loop-a"), *b = below("W", "loop-b");

	if (symlink(a, b) || symlink(b, a))
		note("symlink: %s", strerror(errno));
	fd = open(a, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 || errno != ELOOP)
		proof("a loop of links opened: %d (%s)", fd, strerror(errno));
}

/* The same inode by every spelling that a textual rule would miss. */
static void spellings(void)
{
	static const char *const forms[] = {"%s/canary", "%s//canary", "%s/./canary",
		"%s/../%s/canary", "%s/././/../%s/.//canary", "/proc/self/root%s/canary",
		"/proc/self/cwd/../../../../../..%s/canary", "/proc/thread-self/root%s/canary",
		"/proc/1/root%s/canary", "/dev/fd/../../../../%s/canary"};
	const char *hidden = target("HIDDEN");
	const char *last = strrchr(hidden, '/') + 1;
	char path[PATH_MAX];

	for (size_t i = 0; i < array_size(forms); i++) {
/* The forms are the constants above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
		snprintf(path, sizeof(path), forms[i], hidden, last);
#pragma GCC diagnostic pop
		spill_path(path);
		reopen(path);
	}
}

/* A descriptor that gives no access by itself, turned into one that does. */
static void empty_path(void)
{
	const char *canary = below("HIDDEN", "canary");
	autoclose int file = open(canary, O_PATH | O_CLOEXEC);
	autoclose int directory = open(target("HIDDEN"), O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC};

	if (directory >= 0) {
		spill(openat(directory, "canary", O_RDONLY | O_CLOEXEC));
		deface(openat(directory, "canary", O_WRONLY | O_TRUNC | O_CLOEXEC));
		spill((int)syscall(SYS_openat2, directory, "canary", &how, sizeof(how)));
		if (fchmodat(directory, "canary", 0666, 0))
			note("fchmodat: %s", strerror(errno));
	}
	if (file < 0) {
		note("O_PATH: %s", strerror(errno));
		return;
	}
	spill(openat(file, "", O_RDONLY | O_CLOEXEC));
	if (syscall(452 /* fchmodat2 */, file, "", 0666, AT_EMPTY_PATH))
		note("fchmodat2: %s", strerror(errno));
	if (fchownat(file, "", getuid(), getgid(), AT_EMPTY_PATH))
		note("fchownat: %s", strerror(errno));
}

/* Children of the denied directory, through a descriptor that a parent process opened. */
static void empty_path_child(void)
{
	if (variant(empty_path))
		note("child ended early");
	empty_path();
}

/* Whether a path outside every grant exists must not be visible: every question has to have the
 * same answer for a name that is there and one that is not. */
static void oracle(void)
{
	const char *present = below("D", "canary"), *absent = below("D", "no-such-name");
	struct stat st;
	char link[16];
	int with[6], without[6];

	for (int round = 0; round < 2; round++) {
		const char *path = round ? absent : present;
		int *answer = round ? without : with;
		struct open_how how = {.flags = O_PATH};

		answer[0] = stat(path, &st) ? errno : 0;
		answer[1] = access(path, F_OK) ? errno : 0;
		answer[2] = readlink(path, link, sizeof(link)) < 0 ? errno : 0;
		answer[3] = chdir(path) ? errno : 0;
		answer[4] = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)) < 0 ? errno : 0;
		answer[5] = unlink(below("D", round ? "no-such-name" : "canary/")) ? errno : 0;
	}
	for (int i = 0; i < 6; i++)
		if (with[i] != without[i])
			proof("question %d tells existence: %d and %d", i, with[i], without[i]);
}

/* List and read everything below the root that is not kernel made; the driver looks for the secret
 * in it. */
static void walk(int parent, const char *name, unsigned int depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory;
	struct dirent *entry;

	if (fd < 0)
		return;
	directory = fdopendir(fd);
	if (!directory) {
		close(fd);
		return;
	}
	while (depth < 12 && (entry = readdir(directory))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (entry->d_type == DT_DIR && depth == 0 &&
			(!strcmp(entry->d_name, "proc") || !strcmp(entry->d_name, "sys") ||
				!strcmp(entry->d_name, "usr")))
			continue;
		if (entry->d_type == DT_DIR)
			walk(dirfd(directory), entry->d_name, depth + 1);
		else if (!strncmp(entry->d_name, "canary", 6))
			spill(openat(dirfd(directory), entry->d_name,
				O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	}
	closedir(directory);
}

static void walk_tree(void)
{
	walk(AT_FDCWD, target_or("TOP", "/"), 0);
}

/* A link that was already there, put into the writable tree by an earlier run. */
static void planted_link(void)
{
	spill_path(below("W", "planted-link/canary"));
	deface_path(below("W", "planted-link/canary"));
	spill_path(below("W", "planted-file"));
	deface_path(below("W", "planted-file"));
}

static void hard_link_out(void)
{
	if (link(below("HIDDEN", "canary"), below("W", "hard")))
		note("link: %s", strerror(errno));
	if (link(below("RO", "file"), below("W", "hard-ro")))
		note("link: %s", strerror(errno));
	if (rename(below("HIDDEN", "canary"), below("W", "moved")))
		note("rename: %s", strerror(errno));
	spill_path(below("W", "hard"));
	spill_path(below("W", "moved"));
	deface_path(below("W", "hard-ro"));
}

/* Wait until the driver has moved the directory we stand in out of the grant, then climb. */
static void disconnected(void)
{
	const char *ready = below("W", "ready"), *moved = below("W", "moved");
	struct timespec nap = {.tv_nsec = 10 * 1000 * 1000};
	autoclose int at = -1;

	if (chdir(below("W", "deep/er")) || write_text(ready, "ready\n"))
		note("cannot enter: %s", strerror(errno));
	for (int i = 0; i < 1000 && access(moved, F_OK); i++)
		nanosleep(&nap, NULL);
	spill_path("../canary");
	spill_path("../../canary");
	at = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 32 && at >= 0; i++) {
		int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		spill(openat(at, "canary", O_RDONLY | O_CLOEXEC));
		deface(openat(at, "canary", O_WRONLY | O_CLOEXEC));
		close(at);
		at = up;
	}
}

const struct technique fs_techniques[] = {
	{"F01", "traverse-read", "namespace, landlock", traverse_read},
	{"F01", "traverse-write", "namespace, landlock", traverse_write},
	{"F01", "traverse-reopen", "namespace, landlock", traverse_reopen},
	{"F01", "walk-tree", "namespace, landlock", walk_tree},
	{"F01", "planted-link", "namespace, landlock", planted_link},
	{"F02", "sibling-prefix", "namespace, landlock", sibling_prefix},
	{"F04", "symlink-chain", "namespace, landlock", symlink_chain},
	{"F04", "symlink-loop", "kernel", symlink_loop},
	{"F07", "hard-link-out", "namespace, landlock", hard_link_out},
	{"F11", "disconnected", "landlock", disconnected},
	{"F14", "empty-path", "namespace, landlock", empty_path_child},
	{"F19", "spellings", "namespace, landlock", spellings},
	{"F20", "oracle", "namespace", oracle},
	{0},
};
