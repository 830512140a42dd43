/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/facts.h"

#include "base/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define SEGMENTS_MAX 63

/* File systems that hold no file of a user. */
static const unsigned long skipped_types[] = {
	PROC_SUPER_MAGIC,
	SYSFS_MAGIC,
	CGROUP_SUPER_MAGIC,
	CGROUP2_SUPER_MAGIC,
	DEBUGFS_MAGIC,
	TRACEFS_MAGIC,
	BPF_FS_MAGIC,
	SECURITYFS_MAGIC,
	DEVPTS_SUPER_MAGIC,
};

/* A glob walk is a nondeterministic automaton over path segments: bit i of a mask says that segment
 * i of the pattern may match the next name, bit segment_count that the pattern is used up. Each
 * directory is read once, however many
 * "**" the pattern has. */
struct walk {
	char *segments[SEGMENTS_MAX];
	unsigned segment_count;
	uint64_t stars; /* segments that are "**" */
	uint64_t wild;  /* segments that need a directory listing */
	Berm__Wire__GlobFact *fact;
	unsigned entries_left;
	size_t capacity; /* of fact->matches */
	struct error *err;
};

struct directory {
	int fd; /* O_PATH */
	dev_t dev;
	const char *path;
	uint64_t mask;
	unsigned depth;
};

static int visit(struct walk *w, const struct directory *dir);

static int no_memory(struct walk *w)
{
	return error_set(w->err, -ENOMEM, ERROR_INTERNAL, "host facts: out of memory");
}

static uint64_t bit(unsigned segment)
{
	return 1ULL << segment;
}

/* "**" also stands for no segment at all. */
static uint64_t close_over(const struct walk *w, uint64_t mask)
{
	for (unsigned i = 0; i < w->segment_count; i++)
		if (mask & w->stars & bit(i))
			mask |= bit(i + 1);
	return mask;
}

static int add_match(struct walk *w, const char *path)
{
	Berm__Wire__GlobFact *fact = w->fact;
	int r;

	if (fact->n_matches >= GLOB_MATCHES_MAX) {
		fact->complete = false;
		return 0;
	}
	if (fact->n_matches == w->capacity) {
		size_t more = w->capacity ? w->capacity * 2 : 8;
		Berm__Wire__PathFact **grown = realloc(fact->matches, more * sizeof(*grown));

		if (!grown)
			return no_memory(w);
		fact->matches = grown;
		w->capacity = more;
	}
	r = facts_path(path, &fact->matches[fact->n_matches], w->err);
	if (r == 0)
		fact->n_matches++;
	return r;
}

static bool may_enter(struct walk *w, int fd, dev_t parent_dev, dev_t *ret_dev)
{
	struct stat st;
	struct statfs fs;

	if (fstat(fd, &st) < 0)
		return false;
	*ret_dev = st.st_dev;
	if (st.st_dev == parent_dev)
		return true;
	if (fstatfs(fd, &fs) < 0)
		return false;
	/* Reading an automount point would mount it; what lies there is unknown. */
	if ((unsigned long)fs.f_type == AUTOFS_SUPER_MAGIC) {
		w->fact->complete = false;
		return false;
	}
	for (size_t i = 0; i < array_size(skipped_types); i++)
		if ((unsigned long)fs.f_type == skipped_types[i])
			return false;
	return true;
}

/* Take one name of a directory: record it where the pattern ends there, else go into it.
 * Beneath a match nothing more is looked for: what a rule does to a directory it does to all
 * beneath it. */
static int take_name(struct walk *w, const struct directory *from, const char *name,
	uint64_t written, uint64_t carried)
{
	struct directory dir = {.depth = from->depth + 1, .mask = close_over(w, written | carried)};
	autofree char *path = NULL;
	autoclose int fd = -1;

	if (dir.mask == 0)
		return 0;
	path = path_join(from->path, name);
	if (!path)
		return no_memory(w);
	if (dir.mask & bit(w->segment_count))
		return add_match(w, path);
	fd = openat(from->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && written) {
		/* A link that a written segment names is followed, as in a shell; "**" does not go
		 * through it. */
		fd = openat(from->fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		dir.mask = close_over(w, written);
	}
	if (fd < 0 || !may_enter(w, fd, from->dev, &dir.dev))
		return 0;
	if (dir.depth > GLOB_DEPTH_MAX) {
		w->fact->complete = false;
		return 0;
	}
	dir.fd = fd;
	dir.path = path;
	return visit(w, &dir);
}

static int visit_literals(struct walk *w, const struct directory *dir)
{
	int r = 0;

	for (unsigned i = 0; i < w->segment_count && r == 0; i++) {
		struct stat st;

		if (!(dir->mask & bit(i)) || fstatat(dir->fd, w->segments[i], &st,
						     AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
			continue;
		r = take_name(w, dir, w->segments[i], bit(i + 1), 0);
	}
	return r;
}

static int visit_entry(struct walk *w, const struct directory *dir, const struct dirent *entry)
{
	bool ends;
	uint64_t written = 0;

	for (unsigned i = 0; i < w->segment_count; i++)
		if ((dir->mask & ~w->stars & bit(i)) &&
			path_glob_match(w->segments[i], entry->d_name))
			written |= bit(i + 1);
	ends = close_over(w, written) & bit(w->segment_count);
	if (!ends && entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN &&
		!(entry->d_type == DT_LNK && written))
		return 0;
	return take_name(w, dir, entry->d_name, written, dir->mask & w->stars);
}

static DIR *open_listing(struct walk *w, const struct directory *dir)
{
	autoclose int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	DIR *listing;

	/* Who owns a directory can make it readable; anybody else's closed one stays closed to the
	 * tool too. */
	if (fd < 0 && fstat(dir->fd, &st) == 0 && st.st_uid == geteuid())
		w->fact->complete = false;
	listing = fd < 0 ? NULL : fdopendir(fd);
	if (listing)
		(void)take_fd(&fd);
	return listing;
}

static int visit_listing(struct walk *w, const struct directory *dir)
{
	DIR *listing = open_listing(w, dir);
	int r = 0;

	if (!listing)
		return 0;
	while (r == 0) {
		const struct dirent *entry = readdir(listing);

		if (!entry)
			break;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (w->entries_left == 0) {
			w->fact->complete = false;
			break;
		}
		w->entries_left--;
		r = visit_entry(w, dir, entry);
	}
	closedir(listing);
	return r;
}

static int visit(struct walk *w, const struct directory *dir)
{
	return dir->mask & w->wild ? visit_listing(w, dir) : visit_literals(w, dir);
}

/* Cut pattern (changed in place) into segments; -E2BIG where there are too many. */
static int split(struct walk *w, char *pattern)
{
	char *rest = pattern;

	for (char *segment = strsep(&rest, "/"); segment; segment = strsep(&rest, "/")) {
		if (segment[0] == '\0')
			continue;
		if (w->segment_count >= SEGMENTS_MAX)
			return -E2BIG;
		if (strcmp(segment, "**") == 0)
			w->stars |= bit(w->segment_count);
		if (path_has_glob(segment))
			w->wild |= bit(w->segment_count);
		w->segments[w->segment_count++] = segment;
	}
	return 0;
}

static int compare_matches(const void *a, const void *b)
{
	Berm__Wire__PathFact *const *left = a, *const *right = b;

	return strcmp((*left)->path, (*right)->path);
}

static int fill(const char *pattern, Berm__Wire__GlobFact *fact, struct error *err)
{
	autofree char *copy = strdup(pattern);
	struct walk w = {.fact = fact, .entries_left = GLOB_ENTRIES_MAX, .err = err};
	autoclose int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct directory dir = {.path = "/"};
	struct stat st;
	int r;

	if (!copy)
		return no_memory(&w);
	if (root < 0 || fstat(root, &st) < 0)
		return error_errno(err, "open /");
	fact->complete = split(&w, copy) == 0;
	if (!fact->complete || w.segment_count == 0)
		return 0;
	dir.fd = root;
	dir.dev = st.st_dev;
	dir.mask = close_over(&w, bit(0));
	r = visit(&w, &dir);
	if (fact->n_matches > 1)
		qsort(fact->matches, fact->n_matches, sizeof(fact->matches[0]), compare_matches);
	return r;
}

int facts_glob(const char *pattern, Berm__Wire__GlobFact **ret_fact, struct error *err)
{
	Berm__Wire__GlobFact *fact = malloc(sizeof(*fact));
	int r;

	if (!fact)
		return error_errno(err, "host facts");
	berm__wire__glob_fact__init(fact);
	r = facts_set_string(&fact->pattern, pattern, err);
	if (r == 0)
		r = fill(pattern, fact, err);
	if (r < 0) {
		berm__wire__glob_fact__free_unpacked(fact, NULL);
		return r;
	}
	*ret_fact = fact;
	return 0;
}
