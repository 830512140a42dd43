/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"
#include "daemon/changes-view.h"

#include "base/path.h"

#include <string.h>
#include <sys/sysmacros.h>

/* Reads an overlay's upper directory (Documentation/filesystems/overlayfs.rst of the kernel): a
 * character device 0/0 is a name that was deleted; a directory with the attribute "opaque" hides
 * the one beneath it. Cost grows with what is in it, and with what it deletes. */

#define WHITEOUT makedev(0, 0)
/* A list that is larger helps nobody who has to look at it, and a tool must not choose how long
 * berm is at it or how much memory that takes. */
#define CHANGES_MAX 200000U        /* listed */
#define PATH_BYTES_MAX (64U << 20) /* of their paths */

struct scan {
	struct change_set *set;
	Berm__Wire__ChangeManifest *manifest;
	struct changes_room room;
	size_t capacity, path_bytes;
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

static int too_large(struct scan *s)
{
	return error_set(s->err, -EFBIG, ERROR_REFUSED,
		"more was staged than can be listed: it can be rolled back only");
}

/* What a list has room for; NULL: memory is short. */
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
	s->path_bytes += change->path.len;
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

static int guarded(struct scan *s, Berm__Wire__Change *change, int r, const char *pattern)
{
	if (r < 0)
		return error_set(
			s->err, r, ERROR_INTERNAL, "look at the profile's rules: %s", strerror(-r));
	if (pattern)
		set_problem(s, change,
			strcmp(pattern, CHANGES_RESERVED) == 0
				? "names that begin so are berm's own: "
				: "the profile denies or protects ",
			pattern);
	return 0;
}

/* whole: all beneath the path is concerned. */
static int check_guards(struct scan *s, Berm__Wire__Change *change, const char *path, bool whole)
{
	const char *pattern;
	int r = changes_guarded(s->set->head, path, whole, &pattern);

	return guarded(s, change, r, pattern);
}

/* Patterns are asked of each name that goes with a directory. */
static int check_guards_beneath(struct scan *s, Berm__Wire__Change *change, const struct pair *p)
{
	const char *pattern = NULL;
	int r = p->has_base && S_ISDIR(p->base.st_mode)
			? changes_guarded_beneath(s->set->head, p->base_dir, p->path, &pattern)
			: 0;

	return guarded(s, change, r, pattern);
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
		if (r == -ENOMEM || r == -EMFILE)
			return r;
		if (r < 0) {
			set_problem(s, change, "what lies in it cannot be looked at", "");
			*s->err = (struct error){0};
			return 0;
		}
		if (within > newest)
			newest = within;
		if (change->kind == BERM__WIRE__CHANGE_KIND__CHANGE_DELETE)
			change->entries = entries;
	}
	if (newest > s->set->head->started_ns)
		set_problem(s, change, "it was changed while the run went on", "");
	return 0;
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

static int each_pair(
	struct scan *s, struct pair *p, const char *path, each_name *each, void *context)
{
	autofree char *own = NULL;

	if (s->manifest->n_changes >= CHANGES_MAX || s->path_bytes > PATH_BYTES_MAX ||
		!changes_has_time(&s->room))
		return too_large(s);
	if (asprintf(&own, "%s%s%s", path, *path ? "/" : "", p->name) < 0)
		return no_memory(s);
	p->path = own;
	if (fstatat(p->upper_dir, p->name, &p->upper, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(s->err, "look at what was staged");
	p->has_base = p->base_dir >= 0 &&
		      fstatat(p->base_dir, p->name, &p->base, AT_SYMLINK_NOFOLLOW) == 0;
	/* What cannot be looked at is not absent. */
	if (p->base_dir >= 0 && !p->has_base && errno != ENOENT)
		return error_errno(s->err, "look at the workspace");
	return each(s, p, context);
}

/* Each name of the upper directory in order, with what lies beneath it. */
static int each_entry(
	struct scan *s, int upper, int base, const char *path, each_name *each, void *context)
{
	struct changes_names names = {0};
	int fd = openat(upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return error_errno(s->err, "list what was staged");
	r = changes_names_read(fd, &s->room, &names);
	if (r == -EFBIG)
		too_large(s);
	else if (r < 0)
		error_set(s->err, r, ERROR_INTERNAL, "list what was staged: %s", strerror(-r));
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		struct pair p = {.name = names.items[i], .upper_dir = upper, .base_dir = base};

		r = each_pair(s, &p, path, each, context);
	}
	changes_names_finish(&names);
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
	if (!is_kept(p->upper.st_mode)) {
		s->manifest->changes[index]->left_out++;
		return 0;
	}
	s->manifest->changes[index]->entries++;
	s->manifest->changes[index]->linked += is_linked(&p->upper);
	r = check_guards(s, s->manifest->changes[index], p->path, false);
	return r < 0 ? r : scan_new(s, p, index);
}

static bool is_too_deep(const char *path)
{
	return path_depth(path) > CHANGES_DEPTH_MAX;
}

/* What is wrong with an object of the upper directory itself, and with what is in it. */
static int scan_new(struct scan *s, const struct pair *p, size_t index)
{
	bool directory = S_ISDIR(p->upper.st_mode);
	autoclose int fd = -1;
	int r;

	if (S_ISLNK(p->upper.st_mode))
		return 0;
	if (!directory && p->upper.st_mode & (S_ISUID | S_ISGID))
		set_problem(s, s->manifest->changes[index], "it has a set-id bit", "");
	fd = beneath_open(
		p->upper_dir, p->name, O_RDONLY | O_NONBLOCK | (directory ? O_DIRECTORY : 0));
	r = fd < 0 ? -errno : changes_opaque(fd);
	if (r == -ENOMEM || r == -EMFILE)
		return error_set(
			s->err, r, ERROR_INTERNAL, "look at what was staged: %s", strerror(-r));
	if (r < 0)
		set_problem(s, s->manifest->changes[index], changes_trouble(r), "");
	else if (directory && is_too_deep(p->path))
		set_problem(s, s->manifest->changes[index], "directories lie too deep in it", "");
	else if (directory)
		return each_entry(s, fd, -1, p->path, scan_within, &index);
	return 0;
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
	if (r == 0)
		r = check_guards_beneath(s, change, p);
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
	return !p->has_base && S_ISDIR(p->upper.st_mode) &&
	       changes_is_reserved(s->set->head, p->path);
}

/* A name that is not in the workspace. The overlay has of a directory that was only what the run
 * touched: it is none that comes. */
static int add_new(struct scan *s, const struct pair *p)
{
	size_t index = s->manifest->n_changes;
	int r = add_whole(s, BERM__WIRE__CHANGE_KIND__CHANGE_CREATE, p);

	if (r == 0 && S_ISDIR(p->upper.st_mode) && changes_was_there(p->upper_dir, p->name))
		set_problem(s, s->manifest->changes[index],
			"it was taken out of the workspace while the run went on", "");
	return r;
}

static int scan_entry(struct scan *s, struct pair *p, void *context);

static void drop_last(struct scan *s)
{
	Berm__Wire__ChangeManifest *m = s->manifest;

	berm__wire__change__free_unpacked(m->changes[--m->n_changes], NULL);
}

/* The mode of a directory that stays; one that its owner closed to himself is opened up for as long
 * as a commit changes something in it. */
static int add_mode(struct scan *s, const struct pair *p, const char *why)
{
	Berm__Wire__Change *change = add(s, BERM__WIRE__CHANGE_KIND__CHANGE_ATTRIBUTES, p);
	bool differs = (p->upper.st_mode ^ p->base.st_mode) & 01777;

	if (!change)
		return no_memory(s);
	if (why)
		set_problem(s, change, why, "");
	/* Its ctime changes with every name in it, too: better asked once more than lost. */
	if (differs && stat_ctime_ns(&p->base) > s->set->head->started_ns)
		set_problem(s, change, "it was changed while the run went on", "");
	return differs ? check_guards(s, change, p->path, true) : 0;
}

/* Names that come and go give a directory one time as the other; to be moved, or given another
 * mode, its ctime alone. */
static bool was_moved(const struct scan *s, const struct stat *st)
{
	return stat_ctime_ns(st) > s->set->head->started_ns &&
	       (st->st_ctim.tv_sec != st->st_mtim.tv_sec ||
		       st->st_ctim.tv_nsec != st->st_mtim.tv_nsec);
}

/* A directory on both sides. */
static int scan_merged(struct scan *s, const struct pair *p)
{
	autoclose int upper = beneath_open(p->upper_dir, p->name, O_RDONLY | O_DIRECTORY);
	autoclose int base = -1;
	bool differs = (p->upper.st_mode ^ p->base.st_mode) & 01777;
	bool closed =
		(p->base.st_mode & S_IRWXU) != S_IRWXU && p->base.st_uid == s->set->head->owner_uid;
	bool moved = was_moved(s, &p->base);
	size_t before = s->manifest->n_changes;
	int opaque = upper < 0 ? -errno : changes_opaque(upper), r;
	const char *why = changes_trouble(opaque);

	if (opaque == 'y' || opaque == -EBADMSG)
		return add_whole(s, BERM__WIRE__CHANGE_KIND__CHANGE_REPLACE, p);
	if (!why && is_too_deep(p->path))
		why = "directories lie too deep in it";
	if (!why)
		base = beneath_open(p->base_dir, p->name, O_RDONLY | O_DIRECTORY);
	if (!why && base < 0)
		why = "the directory in the workspace cannot be opened";
	r = why || differs || closed || moved ? add_mode(s, p, why) : 0;
	if (r < 0 || why)
		return r;
	if (moved)
		set_problem(s, s->manifest->changes[before],
			"it was moved, or got another mode, while the run went on", "");
	r = each_entry(s, upper, base, p->path, scan_entry, NULL);
	if (r == 0 && !differs && (closed || moved) && s->manifest->n_changes == before + 1)
		drop_last(s);
	return r;
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
		return add_new(s, p);
	if (upper != (p->base.st_mode & S_IFMT))
		return add_whole(s, BERM__WIRE__CHANGE_KIND__CHANGE_REPLACE, p);
	if (upper == S_IFDIR)
		return scan_merged(s, p);
	return changes_is_untouched(s->set, &(const struct changes_entry){.path = p->path,
						    .name = p->name,
						    .old_dir = p->base_dir,
						    .now_dir = p->upper_dir,
						    .old = p->base,
						    .now = p->upper,
						    .has_old = p->has_base,
						    .has_now = true})
		       ? 0
		       : add_whole(s, BERM__WIRE__CHANGE_KIND__CHANGE_MODIFY, p);
}

/* The workspace's own mode is its owner's to set: told, and never changed. */
static int scan_top(struct scan *s, int upper, int base)
{
	struct pair p = {.name = ".", .path = ".", .has_base = true};

	if (fstat(upper, &p.upper) < 0 || fstat(base, &p.base) < 0)
		return error_errno(s->err, "look at the workspace");
	if (((p.upper.st_mode ^ p.base.st_mode) & 01777) == 0)
		return 0;
	return add(s, BERM__WIRE__CHANGE_KIND__CHANGE_LEFT_OUT, &p) ? 0 : no_memory(s);
}

static int scan_all(struct scan *s, int upper, int base)
{
	int r = scan_top(s, upper, base);

	if (r == 0)
		r = each_entry(s, upper, base, "", scan_entry, NULL);

	if (r == 0)
		r = changes_find_renames(s->set, s->manifest, upper);
	if (r == -ENOMEM || s->out_of_memory)
		r = no_memory(s);
	return r;
}

/* The list without what was found so far: one that is not whole misleads. */
static int without_list(struct scan *s)
{
	Berm__Wire__ChangeManifest *m = s->manifest;

	while (m->n_changes)
		drop_last(s);
	m->problem = strdup(s->err->text);
	*s->err = (struct error){0};
	return m->problem ? 0 : no_memory(s);
}

int changes_scan(struct change_set *set, Berm__Wire__ChangeManifest **ret, struct error *err)
{
	autoclose int upper = beneath_open(set->fd, CHANGES_UPPER, O_RDONLY | O_DIRECTORY);
	autoclose int base = -1;
	struct scan s = {.set = set, .err = err, .room = changes_room(set)};
	int r = upper < 0 ? error_errno(err, "open what was staged")
			  : changes_open_workspace(set, err);

	if (r < 0)
		return r;
	base = beneath_open(set->work_fd, "", O_RDONLY | O_DIRECTORY);
	if (base < 0)
		return error_errno(err, "open the workspace");
	s.manifest = malloc(sizeof(*s.manifest));
	if (!s.manifest)
		return no_memory(&s);
	berm__wire__change_manifest__init(s.manifest);
	s.manifest->version = 1;
	s.manifest->run = strdup(set->run);
	r = s.manifest->run ? scan_all(&s, upper, base) : no_memory(&s);
	if (r == -EFBIG)
		r = without_list(&s);
	if (r < 0)
		changes_message_free(s.manifest);
	else
		*ret = s.manifest;
	return r;
}
