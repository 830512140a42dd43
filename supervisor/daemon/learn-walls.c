/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/learn-walls.h"

#include "base/io.h"
#include "base/path.h"
#include "policy/learn.h"
#include "policy/lint.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define ENTRIES_MAX 500000
#define DEPTH_MAX 64
#define SECRETS_MAX 256

/* Beside /etc, which is given by its entries. */
static const char *const system_roots[] = {
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt"};
/* The base's /usr is public. */
static const char *const searched[] = {"/etc", "/opt"};
/* berm makes these for each run; the host's name users and machines. */
static const char *const made[] = {"/etc/passwd", "/etc/group", "/etc/hosts", "/etc/hostname"};

struct builder {
	const struct learn_walls_request *request;
	struct learn_walls *walls;
	struct error *err;
	size_t entries;
};

static bool base_allows(const struct builder *b, enum operation operation, const char *path)
{
	struct verdict verdict;

	decide(b->request->base, operation, path, &verdict);
	return verdict.decision == DECISION_ALLOW;
}

/* ---- credentials ---- */

/* A path that no profile can name is kept by the directory it lies in. */
static int add_secret(struct builder *b, const char *path, const char *root)
{
	struct learn_walls *walls = b->walls;
	char buffer[PATH_MAX];
	const char *name = learn_nearest_name(path, buffer), **grown;

	if (!path_is_beneath(name, root) || strcmp(name, root) == 0)
		return error_set(b->err, -EINVAL, ERROR_INPUT,
			"%s holds a file with credentials whose name no profile can hold", root);
	if (base_allows(b, OPERATION_READ, name))
		return 0;
	if (walls->secret_count == SECRETS_MAX)
		return error_set(b->err, -E2BIG, ERROR_INPUT,
			"more than %d files beneath %s look like credentials; let the base profile "
			"deny the directories that they lie in (fs.deny)",
			SECRETS_MAX, root);
	grown = arena_grow(
		&walls->arena, walls->secrets, walls->secret_count, sizeof(*walls->secrets));
	if (!grown)
		return error_set(b->err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	walls->secrets = grown;
	grown[walls->secret_count] = arena_string(&walls->arena, name);
	if (!grown[walls->secret_count])
		return error_set(b->err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	walls->secret_count++;
	return 0;
}

static int search(struct builder *b, int parent, const char *path, const char *root);

static int search_entry(struct builder *b, DIR *dir, const char *path, const char *root)
{
	const struct dirent *entry;
	int r = 0;

	while (r == 0 && (entry = readdir(dir))) {
		char full[PATH_MAX];
		struct verdict verdict;
		int n;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (++b->entries > ENTRIES_MAX)
			return error_set(b->err, -E2BIG, ERROR_INPUT,
				"%s has too many files to look for credentials in", root);
		n = snprintf(full, sizeof(full), "%s/%s", path, entry->d_name);
		if (n >= (int)sizeof(full))
			continue;
		/* What the base hides is hidden. */
		decide(b->request->base, OPERATION_READ, full, &verdict);
		if (strcmp(verdict.rule, "fs.deny") == 0)
			continue;
		if (learn_names_secret(full))
			r = add_secret(b, full, root);
		else if (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN)
			r = search(b, dirfd(dir), full, root);
	}
	return r;
}

/* Everything beneath a directory, without following links. What cannot be read is no danger: the
 * run is not more than we are. */
static int search(struct builder *b, int parent, const char *path, const char *root)
{
	const char *name = parent == AT_FDCWD ? path : path_last(path);
	autoclose int fd = -1;
	DIR *dir;
	int r;

	if (path_depth(path) > DEPTH_MAX)
		return 0;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return 0;
	(void)take_fd(&fd);
	r = search_entry(b, dir, path, root);
	closedir(dir);
	return r;
}

static int find_secrets(struct builder *b)
{
	const char **grown;
	int r = search(b, AT_FDCWD, b->request->workdir, b->request->workdir);

	for (size_t i = 0; r == 0 && i < array_size(searched); i++)
		r = search(b, AT_FDCWD, searched[i], searched[i]);
	if (r < 0)
		return r;
	grown = arena_grow(&b->walls->arena, b->walls->secrets, b->walls->secret_count,
		sizeof(*b->walls->secrets));
	if (!grown)
		return error_set(b->err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	b->walls->secrets = grown; /* with a NULL behind the last */
	return 0;
}

/* ---- the profile ---- */

static bool is_made(const char *path)
{
	for (size_t i = 0; i < array_size(made); i++) {
		if (strcmp(made[i], path) == 0)
			return true;
	}
	return false;
}

static void put_read(struct builder *b, struct text *out, const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0 || base_allows(b, OPERATION_READ, path) ||
		!learn_can_write(path) || learn_is_secret(path) || is_made(path))
		return;
	text_puts(out, "    - {path: ");
	learn_put_path(out, path, NULL);
	text_puts(out, ", optional: true}\n");
}

/* /etc by what everybody may read in it. Links lead elsewhere, and the base has those that matter.
 */
static void put_settings(struct builder *b, struct text *out)
{
	const struct dirent *entry;
	DIR *dir = opendir("/etc");

	while (dir && (entry = readdir(dir))) {
		char path[PATH_MAX];
		struct stat st;

		snprintf(path, sizeof(path), "/etc/%s", entry->d_name);
		if (entry->d_name[0] != '.' && lstat(path, &st) == 0 && (st.st_mode & S_IROTH) &&
			(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
			put_read(b, out, path);
	}
	if (dir)
		closedir(dir);
}

static void put_doors(struct builder *b, struct text *out)
{
	const char *name;
	bool optional, opened = false;

	for (size_t i = 0; (name = learn_door(i, &optional)); i++) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s/%s", b->request->workdir, name);
		if (base_allows(b, OPERATION_WRITE, path))
			continue;
		text_puts(out, opened ? "" : "  protect:\n");
		opened = true;
		text_puts(out, "    - {path: ");
		learn_put_path(out, path, b->request->workdir);
		text_printf(out, ", optional: %s}\n", optional ? "true" : "false");
	}
}

static void put_secrets(struct builder *b, struct text *out)
{
	for (size_t i = 0; i < b->walls->secret_count; i++) {
		text_puts(out, i ? "" : "  deny:\n");
		text_puts(out, "    - {path: ");
		learn_put_path(out, b->walls->secrets[i], b->request->workdir);
		text_puts(out, ", optional: true, reason: credentials}\n");
	}
}

/* Caps that nothing comes near are there so that somebody counts. */
static void put_counters(struct builder *b, struct text *out)
{
	const struct profile *base = b->request->base;

	text_puts(out, "blast_radius:\n");
	if (!base->blast_radius.files_changed.set)
		text_puts(out, "  files_changed: 1000000000000\n");
	if (!base->blast_radius.files_deleted.set)
		text_puts(out, "  files_deleted: 1000000000000\n");
	if (!base->blast_radius.processes_started.set)
		text_puts(out, "  processes_started: 1000000000000\n");
}

/* The kernel counts memory and processes of a cgroup where somebody asks for a limit. */
static void put_limits(struct builder *b, struct text *out)
{
	const struct profile *base = b->request->base;

	if (base->limits.memory_bytes.set && base->limits.pids.set)
		return;
	text_puts(out, "limits:\n");
	if (!base->limits.memory_bytes.set)
		text_puts(out, "  memory: 1024TiB\n");
	if (!base->limits.pids.set)
		text_puts(out, "  pids: 4194304\n");
}

static void put_profile(struct builder *b, struct text *out)
{
	const struct learn_walls_request *request = b->request;

	text_puts(out, "version: 1\nname: learn-walls\nextends: [");
	learn_put_path(out, request->entry, NULL);
	text_puts(out, "]\nfs:\n  read:\n    - {path: /usr, optional: true}\n");
	for (size_t i = 0; i < array_size(system_roots); i++)
		put_read(b, out, system_roots[i]);
	put_settings(b, out);
	if (!base_allows(b, OPERATION_WRITE, request->workdir))
		text_puts(out, "  write: [\"${WORKDIR}\"]\n");
	put_doors(b, out);
	put_secrets(b, out);
	if (request->base->exec.default_decision != DECISION_ALLOW)
		text_puts(out, "exec: {default: allow}\n");
	put_counters(b, out);
	put_limits(b, out);
}

static int write_profile(struct builder *b, const struct text *profile)
{
	struct learn_walls *walls = b->walls;
	autoclose int fd = -1;
	int r;

	snprintf(walls->directory, sizeof(walls->directory), "/tmp/berm-learn-XXXXXX");
	if (!mkdtemp(walls->directory)) {
		walls->directory[0] = '\0';
		return error_errno(b->err, "a directory in /tmp");
	}
	snprintf(walls->path, sizeof(walls->path), "%s/walls.yaml", walls->directory);
	fd = open(walls->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	r = fd < 0 ? -errno : io_write_all(fd, text_string(profile), profile->length);
	return r < 0 ? error_set(b->err, r, ERROR_INTERNAL, "%s: %s", walls->path, strerror(-r))
		     : 0;
}

int learn_walls_make(
	const struct learn_walls_request *request, struct learn_walls *walls, struct error *err)
{
	struct builder b = {.request = request, .walls = walls, .err = err};
	const char *why = lint_protected_root(request->workdir, request->home);
	autotext struct text profile = {0};
	int r;

	if (why)
		return error_set(err, -EINVAL, ERROR_INPUT,
			"%s is no place to learn in: %s; -C names the work tree", request->workdir,
			why);
	if (!learn_can_write(request->workdir) || learn_is_secret(request->workdir))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"%s is no place to learn in: its name cannot be written into a profile, or "
			"is "
			"one of credentials",
			request->workdir);
	r = find_secrets(&b);
	if (r < 0)
		return r;
	put_profile(&b, &profile);
	if (profile.failed)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	return write_profile(&b, &profile);
}

void learn_walls_finish(struct learn_walls *walls)
{
	if (walls->path[0])
		unlink(walls->path);
	if (walls->directory[0])
		rmdir(walls->directory);
	arena_finish(&walls->arena);
	*walls = (struct learn_walls){0};
}
