/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/facts.h"

#include "base/path.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static Berm__Wire__FileKind kind_of(mode_t mode)
{
	static const struct {
		mode_t type;
		Berm__Wire__FileKind kind;
	} kinds[] = {
		{S_IFREG, BERM__WIRE__FILE_KIND__FILE_REGULAR},
		{S_IFDIR, BERM__WIRE__FILE_KIND__FILE_DIRECTORY},
		{S_IFLNK, BERM__WIRE__FILE_KIND__FILE_SYMLINK},
		{S_IFSOCK, BERM__WIRE__FILE_KIND__FILE_SOCKET},
		{S_IFCHR, BERM__WIRE__FILE_KIND__FILE_DEVICE},
		{S_IFBLK, BERM__WIRE__FILE_KIND__FILE_DEVICE},
	};

	for (size_t i = 0; i < array_size(kinds); i++)
		if ((mode & S_IFMT) == kinds[i].type)
			return kinds[i].kind;
	return BERM__WIRE__FILE_KIND__FILE_OTHER;
}

static void fill_found(const struct stat *st, Berm__Wire__PathFact *fact)
{
	fact->resolved_kind = kind_of(st->st_mode);
	fact->dev = st->st_dev;
	fact->ino = st->st_ino;
	fact->owner_uid = st->st_uid;
	fact->owner_gid = st->st_gid;
	fact->mode = st->st_mode & 07777;
	fact->links = (uint32_t)st->st_nlink;
}

/* path: what st was found by where no link was on the way, else NULL. */
static int fill_resolved(
	const char *path, const struct stat *st, Berm__Wire__PathFact *fact, struct error *err)
{
	char resolved[PATH_MAX];

	if (!path) {
		int r = facts_links(fact->path, st, fact, resolved, err);

		if (r < 0 || fact->error)
			return r;
	}
	fill_found(st, fact);
	return facts_set_string(&fact->resolved, path ? path : resolved, err);
}

/* Most paths have no link in them: then the path is its own resolved form, and asking /proc for it
 * is saved. */
static int open_without_links(const char *path, uint64_t flags)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC | flags, .resolve = RESOLVE_NO_SYMLINKS};

	if (path_is_normal(path))
		return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	errno = EINVAL;
	return -1;
}

static bool is_absence(int number)
{
	return number == ENOENT || number == ENOTDIR;
}

/* What is missing beneath the deepest existing directory, and what that is. A link that leads
 * nowhere exists as a name: it is then the deepest itself. */
static int describe_deepest(int fd, const char *existing, const char *missing,
	Berm__Wire__PathFact *fact, struct error *err)
{
	size_t first = strcspn(missing, "/");
	char name[NAME_MAX + 1], link[PATH_MAX + NAME_MAX + 2];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "stat %s", existing);
	if (first < sizeof(name) && S_ISDIR(st.st_mode)) {
		struct stat beneath;

		memcpy(name, missing, first);
		name[first] = '\0';
		if (fstatat(fd, name, &beneath, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISLNK(beneath.st_mode)) {
			snprintf(link, sizeof(link), "%s/%s", existing[1] ? existing : "", name);
			existing = link;
			missing += missing[first] ? first + 1 : first;
			st = beneath;
		}
	}
	fact->deepest_kind = kind_of(st.st_mode);
	fact->deepest_dev = st.st_dev;
	fact->deepest_ino = st.st_ino;
	fact->deepest_mode = st.st_mode & 07777;
	if (facts_set_string(&fact->missing, missing, err) < 0)
		return -ENOMEM;
	return facts_set_string(&fact->deepest_existing, existing, err);
}

/* The same for an existing directory that was reached through links, which are noted too: a name
 * that is to be protected may lie behind one that a tool can replace. */
static int describe_linked(int fd, const char *existing, const char *missing,
	Berm__Wire__PathFact *fact, struct error *err)
{
	char real[PATH_MAX];
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "stat %s", existing);
	r = facts_links(existing, &st, fact, real, err);
	if (r < 0)
		return r;
	if (fact->error == ESTALE)
		return error_set(err, -ESTALE, ERROR_REFUSED,
			"%s changes while it is looked at: somebody turns a link around", existing);
	return describe_deepest(fd, real, missing, fact, err);
}

static int fill_deepest(const char *path, Berm__Wire__PathFact *fact, struct error *err)
{
	autofree char *at = strdup(path);

	while (at) {
		autofree char *parent = path_parent(at);
		autoclose int fd = -1;

		if (!parent)
			return 0;
		fd = open_without_links(parent, 0);
		if (fd >= 0)
			return describe_deepest(
				fd, parent, path + strlen(parent) + (parent[1] ? 1 : 0), fact, err);
		if (!is_absence(errno))
			fd = open(parent, O_PATH | O_CLOEXEC);
		if (fd >= 0)
			return describe_linked(
				fd, parent, path + strlen(parent) + (parent[1] ? 1 : 0), fact, err);
		free(at);
		at = take_ptr(&parent);
	}
	return error_set(err, -ENOMEM, ERROR_INTERNAL, "host facts: out of memory");
}

static int fill_absent(const char *path, int number, Berm__Wire__PathFact *fact, struct error *err)
{
	fact->resolved_kind = BERM__WIRE__FILE_KIND__FILE_ABSENT;
	if (!is_absence(number))
		fact->error = (uint32_t)number;
	return fill_deepest(path, fact, err);
}

static int fill_symlink(
	const char *path, int link_fd, Berm__Wire__PathFact *fact, struct error *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(link_fd, "", target, sizeof(target) - 1);
	autoclose int fd = open(path, O_PATH | O_CLOEXEC);
	int number = errno, r;
	struct stat st;

	if (n > 0) {
		target[n] = '\0';
		r = facts_set_string(&fact->link_target, target, err);
		if (r < 0)
			return r;
	}
	if (fd < 0)
		return fill_absent(path, number, fact, err);
	if (fstat(fd, &st) < 0)
		return fill_absent(path, errno, fact, err);
	return fill_resolved(NULL, &st, fact, err);
}

static int fill(const char *path, Berm__Wire__PathFact *fact, struct error *err)
{
	autoclose int fd = open_without_links(path, O_NOFOLLOW);
	const char *plain = fd < 0 ? NULL : path;
	struct stat st;

	if (fd < 0 && !is_absence(errno))
		fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	fact->kind = BERM__WIRE__FILE_KIND__FILE_ABSENT;
	if (fd < 0 || fstat(fd, &st) < 0)
		return fill_absent(path, errno, fact, err);
	fact->kind = kind_of(st.st_mode);
	if (S_ISLNK(st.st_mode))
		return fill_symlink(path, fd, fact, err);
	return fill_resolved(plain, &st, fact, err);
}

/* Make parent the directory of path; false where there is none that is reached without a link. */
static bool enter_parent(struct facts_parent *parent, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;

	if (length == 0 || length >= sizeof(parent->path) || path[1] == '\0')
		return false;
	if (parent->fd >= 0 && strlen(parent->path) == length &&
		memcmp(parent->path, path, length) == 0)
		return true;
	own_close(&parent->fd);
	memcpy(parent->path, path, length);
	parent->path[length] = '\0';
	parent->fd = open_without_links(parent->path, O_DIRECTORY);
	if (parent->fd >= 0 && fstat(parent->fd, &parent->st) == 0)
		return true;
	own_close(&parent->fd);
	return false;
}

/* The usual cases with one look into a known directory: there and no link, or not there. False for
 * all others, and then nothing was filled in. */
static bool fill_near(struct facts_parent *parent, const char *path, Berm__Wire__PathFact *fact,
	struct error *err, int *ret_result)
{
	const char *name = path_last(path);
	struct stat st;

	if (!path_is_normal(path) || !enter_parent(parent, path))
		return false;
	if (fstatat(parent->fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0) {
		if (S_ISLNK(st.st_mode))
			return false;
		fact->kind = kind_of(st.st_mode);
		fill_found(&st, fact);
		*ret_result = facts_set_string(&fact->resolved, path, err);
		return true;
	}
	if (errno != ENOENT)
		return false;
	fact->kind = fact->resolved_kind = BERM__WIRE__FILE_KIND__FILE_ABSENT;
	fact->deepest_kind = kind_of(parent->st.st_mode);
	fact->deepest_dev = parent->st.st_dev;
	fact->deepest_ino = parent->st.st_ino;
	fact->deepest_mode = parent->st.st_mode & 07777;
	*ret_result = facts_set_string(&fact->missing, name, err);
	if (*ret_result == 0)
		*ret_result = facts_set_string(&fact->deepest_existing, parent->path, err);
	return true;
}

int facts_path_near(struct facts_parent *parent, const char *path, Berm__Wire__PathFact **ret_fact,
	struct error *err)
{
	Berm__Wire__PathFact *fact = malloc(sizeof(*fact));
	int r;

	if (!fact)
		return error_errno(err, "host facts");
	berm__wire__path_fact__init(fact);
	r = facts_set_string(&fact->path, path, err);
	if (r == 0 && !fill_near(parent, path, fact, err, &r))
		r = fill(path, fact, err);
	if (r < 0) {
		berm__wire__path_fact__free_unpacked(fact, NULL);
		return r;
	}
	*ret_fact = fact;
	return 0;
}

int facts_path(const char *path, Berm__Wire__PathFact **ret_fact, struct error *err)
{
	struct facts_parent none = {.fd = -1};
	int r = facts_path_near(&none, path, ret_fact, err);

	own_close(&none.fd);
	return r;
}
