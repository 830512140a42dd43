/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-view.h"

#include "daemon/changes-internal.h"

#include <sodium.h>
#include <string.h>
#include <sys/xattr.h>

#define COMPARED_BYTES (256ULL << 20)
#define VALUE_BYTES 65536

struct view {
	struct change_set *set;
	changes_each *each;
	void *context;
	struct error *err;
	uint64_t compared;
	unsigned depth;
};

/* With the rights of the workspace's owner: what he may not read is not shown to whoever asks. */
static int open_old(struct change_set *set, int dir, const char *name, int flags)
{
	int r = dir < 0 ? -ENOENT : owner_enter(set), fd;

	if (r < 0)
		return r;
	fd = beneath_open(dir, name, flags);
	r = fd < 0 ? -errno : fd;
	owner_leave(set);
	return r;
}

int changes_open_side(
	struct change_set *set, const struct changes_entry *entry, bool old, int flags)
{
	int fd;

	if (old)
		return open_old(set, entry->old_dir, entry->name, flags);
	fd = beneath_open(entry->now_dir, entry->name, flags);
	return fd < 0 ? -errno : fd;
}

int changes_link(
	struct change_set *set, const struct changes_entry *entry, bool old, char *ret, size_t size)
{
	autoclose int fd = changes_open_side(set, entry, old, O_PATH);
	ssize_t n = fd < 0 ? fd : readlinkat(fd, "", ret, size - 1);

	if (n < 0)
		return fd < 0 ? fd : -errno;
	ret[n] = '\0';
	return 0;
}

static bool same_link(struct change_set *set, const struct changes_entry *entry)
{
	char a[4096], b[4096];

	return changes_link(set, entry, true, a, sizeof(a)) == 0 &&
	       changes_link(set, entry, false, b, sizeof(b)) == 0 && strcmp(a, b) == 0;
}

static bool is_same(struct view *v, const struct changes_entry *entry)
{
	autotext struct text attributes = {0};

	if (!entry->has_old || !entry->has_now ||
		((entry->old.st_mode ^ entry->now.st_mode) & (S_IFMT | 01777)))
		return false;
	if (S_ISDIR(entry->now.st_mode))
		return true;
	if (S_ISLNK(entry->now.st_mode))
		return same_link(v->set, entry);
	if (entry->old.st_size != entry->now.st_size)
		return false;
	v->compared += (uint64_t)entry->now.st_size;
	if (v->compared > COMPARED_BYTES || changes_attributes(v->set, entry, &attributes) < 0 ||
		attributes.length)
		return false;
	return changes_same_content(entry->now_dir, entry->name, entry->old_dir, entry->name,
		       (uint64_t)entry->now.st_size) == 1;
}

static int tell(struct view *v, struct changes_entry *entry);

static int tell_name(struct view *v, int old, int now, const char *path, const char *name)
{
	autofree char *own = NULL;
	struct changes_entry entry = {.name = name, .old_dir = old, .now_dir = now};

	if (asprintf(&own, "%s/%s", path, name) < 0)
		return -ENOMEM;
	entry.path = own;
	entry.has_old = old >= 0 && fstatat(old, name, &entry.old, AT_SYMLINK_NOFOLLOW) == 0;
	/* Whatever no commit makes leaves the name as free as if it had been deleted. */
	entry.has_now = now >= 0 && fstatat(now, name, &entry.now, AT_SYMLINK_NOFOLLOW) == 0 &&
			(S_ISREG(entry.now.st_mode) || S_ISDIR(entry.now.st_mode) ||
				S_ISLNK(entry.now.st_mode));
	return entry.has_old || entry.has_now ? tell(v, &entry) : 0;
}

static bool has_name(const struct changes_names *names, const char *name)
{
	size_t from = 0, count = names->count;

	while (count) {
		size_t half = count / 2;
		int order = strcmp(names->items[from + half], name);

		if (order == 0)
			return true;
		if (order < 0) {
			from += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	return false;
}

static int read_names(int dir, struct changes_names *names)
{
	int fd = dir < 0 ? -1 : openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? 0 : changes_names_read(fd, NULL, names);
}

/* Names that come or stay, then those that go. */
static int tell_names(struct view *v, int old, int now, const char *path)
{
	struct changes_names coming = {0}, there = {0};
	int r = read_names(now, &coming);

	if (r == 0)
		r = read_names(old, &there);
	for (size_t i = 0; r == 0 && i < coming.count; i++)
		r = tell_name(v, old, now, path, coming.items[i]);
	for (size_t i = 0; r == 0 && i < there.count; i++)
		if (!has_name(&coming, there.items[i]))
			r = tell_name(v, old, now, path, there.items[i]);
	changes_names_finish(&coming);
	changes_names_finish(&there);
	return r;
}

/* The name itself, then what is in a directory that comes. What goes with a directory is counted in
 * the list. */
static int tell(struct view *v, struct changes_entry *entry)
{
	int r;

	entry->same = is_same(v, entry);
	r = v->each(v->context, entry);
	if (r < 0 || !entry->has_now || !S_ISDIR(entry->now.st_mode) ||
		v->depth > CHANGES_DEPTH_MAX)
		return r;
	autoclose int now = changes_open_side(v->set, entry, false, O_RDONLY | O_DIRECTORY);
	autoclose int old = entry->has_old && S_ISDIR(entry->old.st_mode)
				    ? changes_open_side(v->set, entry, true, O_RDONLY | O_DIRECTORY)
				    : -1;

	if (now < 0)
		return 0; /* its change has a problem that says so */
	v->depth++;
	r = tell_names(v, old, now, entry->path);
	v->depth--;
	return r;
}

int changes_view(struct change_set *set, const Berm__Wire__Change *change, changes_each *each,
	void *context, struct error *err)
{
	autoclose int upper = beneath_open(set->fd, CHANGES_UPPER, O_PATH | O_DIRECTORY);
	struct view v = {.set = set, .each = each, .context = context, .err = err};
	struct changes_entry entry = {.path = changes_path(&change->path)};
	autoclose int old = -1, now = -1;
	struct error moved = {0};
	int r = 0;

	/* Without it there is one side less to be seen. */
	(void)!changes_open_workspace(set, &moved);
	if (upper < 0)
		return error_errno(err, "open what was staged");
	now = beneath_parent(upper, entry.path, &entry.name);
	if (set->work_fd >= 0 && owner_enter(set) == 0) {
		old = beneath_parent(set->work_fd, entry.path, &entry.name);
		owner_leave(set);
	}
	entry.has_old = change->old && old >= 0 &&
			fstatat(old, entry.name, &entry.old, AT_SYMLINK_NOFOLLOW) == 0;
	entry.has_now = change->staged && now >= 0 &&
			fstatat(now, entry.name, &entry.now, AT_SYMLINK_NOFOLLOW) == 0;
	entry.old_dir = old;
	entry.now_dir = now;
	/* A directory that stays is listed name by name. */
	if (change->kind == BERM__WIRE__CHANGE_KIND__CHANGE_ATTRIBUTES ||
		change->kind == BERM__WIRE__CHANGE_KIND__CHANGE_LEFT_OUT)
		r = each(context, &entry);
	else
		r = tell(&v, &entry);
	return r < 0 && !err->code ? error_set(err, r, ERROR_INTERNAL,
					     "look at what was staged: %s", strerror(-r))
				   : r;
}

/* ---- attributes ---- */

static bool is_tools_own(const char *name)
{
	return strncmp(name, "user.", 5) == 0 &&
	       strncmp(name, CHANGES_XATTR_PREFIX, strlen(CHANGES_XATTR_PREFIX)) != 0;
}

static bool same_value(int now, int old, const char *name)
{
	autofree char *a = malloc(VALUE_BYTES), *b = malloc(VALUE_BYTES);
	ssize_t n = a && b ? fgetxattr(now, name, a, VALUE_BYTES) : -1;
	ssize_t m = n < 0 || old < 0 ? -1 : fgetxattr(old, name, b, VALUE_BYTES);

	return n >= 0 && n == m && memcmp(a, b, (size_t)n) == 0;
}

/* Those of one side that the other does not have, or in another way. */
static void put_attributes(int from, int other, const char *sign, bool values, struct text *out)
{
	autofree char *list = from < 0 ? NULL : malloc(VALUE_BYTES);
	ssize_t length = list ? flistxattr(from, list, VALUE_BYTES) : -1;

	for (const char *at = list; length > 0 && at < list + length; at += strlen(at) + 1) {
		if (!is_tools_own(at) ||
			(values ? same_value(from, other, at) : fgetxattr(other, at, NULL, 0) >= 0))
			continue;
		text_puts(out, out->length ? ", " : "");
		text_puts(out, sign);
		text_escape(out, at, strlen(at), 256);
	}
}

int changes_attributes(struct change_set *set, const struct changes_entry *entry, struct text *out)
{
	autoclose int now = -1, old = -1;

	if (!entry->has_now || !S_ISREG(entry->now.st_mode))
		return 0;
	now = changes_open_side(set, entry, false, O_RDONLY | O_NONBLOCK);
	if (entry->has_old && S_ISREG(entry->old.st_mode))
		old = changes_open_side(set, entry, true, O_RDONLY | O_NONBLOCK);
	put_attributes(now, old, "", true, out);
	if (now >= 0)
		put_attributes(old, now, "-", false, out);
	return out->failed ? -ENOMEM : 0;
}

bool changes_is_untouched(struct change_set *set, const struct changes_entry *entry)
{
	autotext struct text attributes = {0};
	const struct stat *a = &entry->now, *b = &entry->old;

	if (!entry->has_old || (a->st_mode & S_IFMT) != (b->st_mode & S_IFMT))
		return false;
	if (S_ISLNK(a->st_mode))
		return same_link(set, entry);
	/* A file of holes has no end: who reads it would be at it for as long as a tool likes. */
	if (a->st_mode != b->st_mode || a->st_size != b->st_size ||
		(uint64_t)a->st_size > COMPARED_BYTES || a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
		a->st_mtim.tv_nsec != b->st_mtim.tv_nsec)
		return false;
	return changes_attributes(set, entry, &attributes) == 0 && !attributes.length &&
	       changes_same_content(entry->now_dir, entry->name, entry->old_dir, entry->name,
		       (uint64_t)a->st_size) == 1;
}

int changes_digest(const struct change_set *set, char ret[CHANGES_DIGEST_HEX])
{
	unsigned char digest[(CHANGES_DIGEST_HEX - 1) / 2];
	size_t length = berm__wire__change_manifest__get_packed_size(set->manifest);
	autofree uint8_t *packed = malloc(length + 1);

	if (!packed)
		return -ENOMEM;
	berm__wire__change_manifest__pack(set->manifest, packed);
	crypto_generichash(digest, sizeof(digest), packed, length, NULL, 0);
	sodium_bin2hex(ret, CHANGES_DIGEST_HEX, digest, sizeof(digest));
	return 0;
}
