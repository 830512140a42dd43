/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include "base/path.h"

#include <dirent.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* Reads an overlay's upper directory (Documentation/filesystems/overlayfs.rst of the kernel): a
 * character device 0/0 is a name that was deleted; a directory with the attribute "opaque" hides
 * the one beneath it. Cost grows with what is in it, and with what it deletes. */

#define XATTR_LIST_BYTES 65536
#define COMPARE_CHUNK 65536
#define RENAME_CANDIDATES 64 /* deleted files of one size that a new file is compared with */
#define WHITEOUT makedev(0, 0)

struct scan {
	struct change_set *set;
	Berm__Wire__ChangeManifest *manifest;
	size_t capacity;
	bool out_of_memory;
	struct error *err;
};

/* One name on both sides. */
struct pair {
	const char *name, *path; /* path: beneath the workspace */
	int upper_dir, base_dir; /* base_dir: -1 where there is no such directory */
	struct stat upper, base;
	bool has_base;
};

static int no_memory(struct scan *s)
{
	return error_set(s->err, -ENOMEM, ERROR_INTERNAL, "out of memory");
}

int changes_opaque(int fd)
{
	static const char *const known[] = {
		"opaque", "origin", "impure", "nlink", "uuid", "upper", "protattr"};
	autofree char *list = malloc(XATTR_LIST_BYTES);
	ssize_t length = list ? flistxattr(fd, list, XATTR_LIST_BYTES) : -1;
	char value = 0;

	if (length < 0)
		return list && errno == ENOTSUP ? 0 : -errno;
	for (const char *at = list; at < list + length; at += strlen(at) + 1) {
		const char *name = at + strlen(CHANGES_XATTR_PREFIX);
		bool found = false;

		if (strncmp(at, CHANGES_XATTR_PREFIX, strlen(CHANGES_XATTR_PREFIX)) != 0)
			continue;
		/* The tool's own of that name: the kernel escapes them, and lets nobody set others
		 * through the overlay. */
		found = strncmp(name, "overlay.", strlen("overlay.")) == 0;
		for (size_t i = 0; i < array_size(known) && !found; i++)
			found = strcmp(name, known[i]) == 0;
		if (!found)
			return -EBADMSG;
		if (strcmp(name, "opaque") == 0 && fgetxattr(fd, at, &value, 1) < 0)
			return -errno;
	}
	return value;
}

static Berm__Wire__Change *add(struct scan *s, Berm__Wire__ChangeKind kind, const struct pair *p)
{
	Berm__Wire__ChangeManifest *m = s->manifest;
	Berm__Wire__Change *change;

	if (m->n_changes == s->capacity) {
		size_t wanted = s->capacity ? s->capacity * 2 : 16;
		Berm__Wire__Change **grown = reallocarray(m->changes, wanted, sizeof(*grown));

		if (!grown)
			return NULL;
		m->changes = grown;
		s->capacity = wanted;
	}
	change = malloc(sizeof(*change));
	if (!change)
		return NULL;
	berm__wire__change__init(change);
	change->kind = kind;
	change->entries = 1;
	m->changes[m->n_changes++] = change;
	if (changes_bytes(&change->path, p->path) < 0)
		return NULL;
	if (kind != BERM__WIRE__CHANGE_KIND__CHANGE_DELETE &&
		!(change->staged = identity_new(&p->upper)))
		return NULL;
	if (p->has_base && !(change->old = identity_new(&p->base)))
		return NULL;
	return change;
}

/* The first one stands. One that finds no memory is not forgotten: the scan fails in the end. */
static void set_problem(
	struct scan *s, Berm__Wire__Change *change, const char *words, const char *name)
{
	char *text = NULL;

	if (*change->problem)
		return;
	if (asprintf(&text, "%s%s", words, name) < 0)
		s->out_of_memory = true;
	else
		change->problem = text;
}

static bool guards(const char *pattern, const char *absolute, bool whole)
{
	if (path_has_glob(pattern))
		return path_glob_match(pattern, absolute);
	return path_is_beneath(absolute, pattern) || (whole && path_is_beneath(pattern, absolute));
}

/* whole: all beneath the path is concerned. */
static int check_guards(struct scan *s, Berm__Wire__Change *change, const char *path, bool whole)
{
	const Berm__Wire__ChangeHead *head = s->set->head;
	autofree char *absolute = path_join(changes_path(&head->workspace), path);

	if (!absolute)
		return no_memory(s);
	for (size_t i = 0; i < head->n_guarded; i++)
		if (guards(changes_path(&head->guarded[i]), absolute, whole))
			set_problem(s, change, "the profile denies or protects ",
				changes_path(&head->guarded[i]));
	if (strncmp(path_last(path), CHANGES_RESERVED, strlen(CHANGES_RESERVED)) == 0)
		set_problem(s, change, "names that begin so are berm's own: ", CHANGES_RESERVED);
	return 0;
}

static int set_tree(struct scan *s, int dir, const char *name, Berm__Wire__ChangeIdentity *identity,
	int64_t *ret_newest_ns, uint64_t *ret_entries)
{
	unsigned char digest[IDENTITY_TREE_BYTES];
	int r = identity_tree(dir, name, digest, ret_newest_ns, ret_entries, s->err);

	if (r < 0)
		return r;
	identity->tree.data = malloc(sizeof(digest));
	if (!identity->tree.data)
		return no_memory(s);
	memcpy(identity->tree.data, digest, sizeof(digest));
	identity->tree.len = sizeof(digest);
	return 0;
}

/* What is there now, and since when. */
static int look_at_base(struct scan *s, Berm__Wire__Change *change, const struct pair *p)
{
	uint64_t entries = 1;
	int64_t newest;
	int r;

	if (!p->has_base)
		return 0;
	newest = stat_ctime_ns(&p->base);
	if (S_ISDIR(p->base.st_mode)) {
		int64_t within;

		r = set_tree(s, p->base_dir, p->name, change->old, &within, &entries);
		if (r < 0)
			return r;
		if (within > newest)
			newest = within;
		if (change->kind == BERM__WIRE__CHANGE_KIND__CHANGE_DELETE)
			change->entries = entries;
	}
	if (newest > s->set->head->started_ns)
		set_problem(s, change, "it was changed while the run went on", "");
	return 0;
}

static int same_bytes(int a, int b, uint64_t size)
{
	autofree char *left = malloc(COMPARE_CHUNK), *right = malloc(COMPARE_CHUNK);
	uint64_t at = 0;

	if (!left || !right)
		return -ENOMEM;
	while (at < size) {
		ssize_t n = pread(a, left, COMPARE_CHUNK, (off_t)at);
		ssize_t m = pread(b, right, COMPARE_CHUNK, (off_t)at);

		if (n <= 0 || n != m || memcmp(left, right, (size_t)n) != 0)
			return 0;
		at += (uint64_t)n;
	}
	return 1;
}

static int same_content(int dir, const char *name, int other_dir, const char *other, uint64_t size)
{
	autoclose int a = beneath_open(dir, name, O_RDONLY | O_NONBLOCK);
	autoclose int b = beneath_open(other_dir, other, O_RDONLY | O_NONBLOCK);

	return a < 0 || b < 0 ? 0 : same_bytes(a, b, size);
}

/* Opened for writing and left as it was, or written back. */
static bool is_untouched(const struct pair *p)
{
	char left[4096], right[sizeof(left)];
	ssize_t n, m;

	if (!p->has_base || (p->upper.st_mode & S_IFMT) != (p->base.st_mode & S_IFMT))
		return false;
	if (S_ISLNK(p->upper.st_mode)) {
		n = readlinkat(p->upper_dir, p->name, left, sizeof(left));
		m = readlinkat(p->base_dir, p->name, right, sizeof(right));
		return n > 0 && n == m && memcmp(left, right, (size_t)n) == 0;
	}
	if (p->upper.st_mode != p->base.st_mode || p->upper.st_size != p->base.st_size ||
		p->upper.st_mtim.tv_sec != p->base.st_mtim.tv_sec ||
		p->upper.st_mtim.tv_nsec != p->base.st_mtim.tv_nsec)
		return false;
	return same_content(p->upper_dir, p->name, p->base_dir, p->name,
		       (uint64_t)p->upper.st_size) == 1;
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == WHITEOUT;
}

static bool is_kept(mode_t mode)
{
	return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode);
}

typedef int each_name(struct scan *s, struct pair *p, void *context);

static int compare_entries(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_dots(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* Each name of the upper directory in order, with what lies beneath it. */
static int each_entry(
	struct scan *s, int upper, int base, const char *path, each_name *each, void *context)
{
	struct dirent **names = NULL;
	int count, r = 0;

	if (path_depth(path) > CHANGES_DEPTH_MAX)
		return error_set(s->err, -ELOOP, ERROR_REFUSED,
			"what was staged lies more than %d directories deep", CHANGES_DEPTH_MAX);
	count = scandirat(upper, ".", &names, not_dots, compare_entries);
	if (count < 0)
		return error_errno(s->err, "list what was staged");
	for (int i = 0; i < count; i++) {
		autofree char *own = NULL;
		struct pair p = {.name = names[i]->d_name, .upper_dir = upper, .base_dir = base};

		if (r == 0 && asprintf(&own, "%s%s%s", path, *path ? "/" : "", p.name) < 0)
			r = no_memory(s);
		p.path = own;
		if (r == 0 && fstatat(upper, p.name, &p.upper, AT_SYMLINK_NOFOLLOW) < 0)
			r = error_errno(s->err, "look at what was staged");
		p.has_base = r == 0 && base >= 0 &&
			     fstatat(base, p.name, &p.base, AT_SYMLINK_NOFOLLOW) == 0;
		if (r == 0)
			r = each(s, &p, context);
		free(names[i]);
	}
	free(names);
	return r;
}

/* The commit makes a file of its own of each of its names. */
static bool is_linked(const struct stat *st)
{
	return !S_ISDIR(st->st_mode) && st->st_nlink > 1;
}

static int scan_new(struct scan *s, const struct pair *p, size_t index);

/* All beneath a directory that comes as a whole. context: the index of its change. */
static int scan_within(struct scan *s, struct pair *p, void *context)
{
	size_t index = *(size_t *)context;
	int r;

	if (is_whiteout(&p->upper))
		return 0;
	if (!is_kept(p->upper.st_mode))
		return add(s, BERM__WIRE__CHANGE_KIND__CHANGE_LEFT_OUT, p) ? 0 : no_memory(s);
	s->manifest->changes[index]->entries++;
	s->manifest->changes[index]->linked += is_linked(&p->upper);
	r = check_guards(s, s->manifest->changes[index], p->path, false);
	return r < 0 ? r : scan_new(s, p, index);
}

/* What is wrong with an object of the upper directory itself, and with what is in it. */
static int scan_new(struct scan *s, const struct pair *p, size_t index)
{
	autoclose int fd = -1;
	int r;

	if (S_ISLNK(p->upper.st_mode))
		return 0;
	if (!S_ISDIR(p->upper.st_mode) && p->upper.st_mode & (S_ISUID | S_ISGID))
		set_problem(s, s->manifest->changes[index], "it has a set-id bit", "");
	fd = beneath_open(p->upper_dir, p->name,
		O_RDONLY | O_NONBLOCK | (S_ISDIR(p->upper.st_mode) ? O_DIRECTORY : 0));
	r = fd < 0 ? -errno : changes_opaque(fd);
	if (r == -EACCES)
		set_problem(s, s->manifest->changes[index],
			"its mode keeps its owner from reading it", "");
	else if (r == -EBADMSG)
		set_problem(s, s->manifest->changes[index],
			"it has an attribute of the overlay that berm does not know", "");
	else if (r < 0)
		return error_set(
			s->err, r, ERROR_INTERNAL, "look at what was staged: %s", strerror(-r));
	if (r < 0 || !S_ISDIR(p->upper.st_mode))
		return 0;
	return each_entry(s, fd, -1, p->path, scan_within, &index);
}

static int add_whole(struct scan *s, Berm__Wire__ChangeKind kind, const struct pair *p)
{
	size_t index = s->manifest->n_changes;
	Berm__Wire__Change *change = add(s, kind, p);
	uint64_t entries;
	int64_t newest;
	int r;

	if (!change)
		return no_memory(s);
	r = look_at_base(s, change, p);
	if (r == 0)
		r = check_guards(s, change, p->path, p->has_base);
	if (r < 0 || kind == BERM__WIRE__CHANGE_KIND__CHANGE_DELETE)
		return r;
	change->linked = is_linked(&p->upper);
	r = scan_new(s, p, index);
	if (r < 0 || !S_ISDIR(p->upper.st_mode))
		return r;
	/* The list may have moved. One that cannot be read whole has its problem already. */
	change = s->manifest->changes[index];
	return *change->problem
		       ? 0
		       : set_tree(s, p->upper_dir, p->name, change->staged, &newest, &entries);
}

/* Where a name was reserved for the run there is an empty directory in its place. */
static bool is_placeholder(struct scan *s, const struct pair *p)
{
	const Berm__Wire__ChangeHead *head = s->set->head;
	const char *workspace = changes_path(&head->workspace);
	size_t n = strlen(workspace);

	if (p->has_base || !S_ISDIR(p->upper.st_mode))
		return false;
	for (size_t i = 0; i < head->n_reserved; i++) {
		const char *path = changes_path(&head->reserved[i]);

		if (strncmp(path, workspace, n) == 0 && path[n] == '/' &&
			strcmp(path + n + 1, p->path) == 0)
			return true;
	}
	return false;
}

static int scan_entry(struct scan *s, struct pair *p, void *context);

/* A directory on both sides. */
static int scan_merged(struct scan *s, const struct pair *p)
{
	autoclose int upper = beneath_open(p->upper_dir, p->name, O_RDONLY | O_DIRECTORY);
	autoclose int base = -1;
	int opaque;

	if (upper < 0)
		return error_errno(s->err, "open a directory of what was staged");
	opaque = changes_opaque(upper);
	if (opaque < 0 && opaque != -EBADMSG)
		return error_set(s->err, opaque, ERROR_INTERNAL, "look at what was staged: %s",
			strerror(-opaque));
	if (opaque == 'y' || opaque == -EBADMSG)
		return add_whole(s, BERM__WIRE__CHANGE_KIND__CHANGE_REPLACE, p);
	base = beneath_open(p->base_dir, p->name, O_RDONLY | O_DIRECTORY);
	if (base < 0)
		return error_errno(s->err, "open a directory of the workspace");
	if ((p->upper.st_mode ^ p->base.st_mode) & 01777) {
		Berm__Wire__Change *change = add(s, BERM__WIRE__CHANGE_KIND__CHANGE_ATTRIBUTES, p);

		if (!change)
			return no_memory(s);
		if (check_guards(s, change, p->path, false) < 0)
			return -ENOMEM;
	}
	return each_entry(s, upper, base, p->path, scan_entry, NULL);
}

static int scan_entry(struct scan *s, struct pair *p, void *context)
{
	mode_t upper = p->upper.st_mode & S_IFMT;

	(void)context;
	if (is_whiteout(&p->upper))
		return p->has_base ? add_whole(s, BERM__WIRE__CHANGE_KIND__CHANGE_DELETE, p) : 0;
	if (!is_kept(upper))
		return add(s, BERM__WIRE__CHANGE_KIND__CHANGE_LEFT_OUT, p) ? 0 : no_memory(s);
	if (is_placeholder(s, p))
		return 0;
	if (!p->has_base)
		return add_whole(s, BERM__WIRE__CHANGE_KIND__CHANGE_CREATE, p);
	if (upper != (p->base.st_mode & S_IFMT))
		return add_whole(s, BERM__WIRE__CHANGE_KIND__CHANGE_REPLACE, p);
	if (upper == S_IFDIR)
		return scan_merged(s, p);
	return is_untouched(p) ? 0 : add_whole(s, BERM__WIRE__CHANGE_KIND__CHANGE_MODIFY, p);
}

/* The overlay copies a file that is renamed: a new file with the content of one that goes. */
static int find_renames(struct scan *s, int upper)
{
	Berm__Wire__ChangeManifest *m = s->manifest;

	for (size_t i = 0; i < m->n_changes; i++) {
		Berm__Wire__Change *to = m->changes[i];
		unsigned tried = 0;

		if (to->kind != BERM__WIRE__CHANGE_KIND__CHANGE_CREATE ||
			!S_ISREG(to->staged->mode) || !to->staged->size)
			continue;
		for (size_t k = 0; k < m->n_changes && !to->from.len; k++) {
			const Berm__Wire__Change *gone = m->changes[k];

			if (gone->kind != BERM__WIRE__CHANGE_KIND__CHANGE_DELETE ||
				!S_ISREG(gone->old->mode) || gone->old->size != to->staged->size ||
				tried++ >= RENAME_CANDIDATES)
				continue;
			if (same_content(upper, changes_path(&to->path), s->set->work_fd,
				    changes_path(&gone->path), to->staged->size) == 1 &&
				changes_bytes(&to->from, changes_path(&gone->path)) < 0)
				return no_memory(s);
		}
	}
	return 0;
}

int changes_scan(struct change_set *set, Berm__Wire__ChangeManifest **ret, struct error *err)
{
	autoclose int upper = beneath_open(set->fd, CHANGES_UPPER, O_RDONLY | O_DIRECTORY);
	autoclose int base = -1;
	struct scan s = {.set = set, .err = err};
	int r = changes_open_workspace(set, err);

	if (r < 0)
		return r;
	base = beneath_open(set->work_fd, "", O_RDONLY | O_DIRECTORY);
	if (upper < 0 || base < 0)
		return error_errno(err, "open what was staged");
	s.manifest = malloc(sizeof(*s.manifest));
	if (!s.manifest)
		return no_memory(&s);
	berm__wire__change_manifest__init(s.manifest);
	s.manifest->version = 1;
	s.manifest->run = strdup(set->run);
	r = s.manifest->run ? each_entry(&s, upper, base, "", scan_entry, NULL) : no_memory(&s);
	if (r == 0)
		r = find_renames(&s, upper);
	if (r == 0 && s.out_of_memory)
		r = no_memory(&s);
	if (r < 0)
		changes_message_free(s.manifest);
	else
		*ret = s.manifest;
	return r;
}
