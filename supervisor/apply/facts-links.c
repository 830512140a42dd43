/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/facts.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* As the kernel does (path_resolution(7)): more links than this are a loop. */
#define LINKS_MAX 40

/* One walk from the root, link by link, with what is left of the path in `rest`. */
struct walk {
	int directory;
	char rest[PATH_MAX];
	char here[PATH_MAX]; /* the real path of directory */
};

static int add_link(Berm__Wire__PathFact *fact, const char *where, struct error *err)
{
	char **grown = reallocarray(fact->links_passed, fact->n_links_passed + 1, sizeof(*grown));
	char *copy = strdup(where);

	if (grown)
		fact->links_passed = grown;
	if (!grown || !copy) {
		free(copy);
		return error_errno(err, "host facts");
	}
	fact->links_passed[fact->n_links_passed++] = copy;
	return 0;
}

/* A link is as good as whoever can replace it: its owner, and who may write the directory around
 * it. In a sticky directory only the link's owner may remove it. In a user namespace root's files
 * belong to an unmapped id, as their directory does. */
static bool is_loose(const struct stat *directory, const struct stat *link)
{
	bool open_to_all = (directory->st_mode & S_IWOTH) && !(directory->st_mode & S_ISVTX);

	return open_to_all || (link->st_uid != 0 && link->st_uid != geteuid() &&
				      link->st_uid != directory->st_uid);
}

/* Cut the next component off rest; false at the end. */
static bool next_component(struct walk *w, char name[NAME_MAX + 1])
{
	size_t skip = strspn(w->rest, "/"), length = strcspn(w->rest + skip, "/");

	if (length == 0 || length > NAME_MAX)
		return false;
	memcpy(name, w->rest + skip, length);
	name[length] = '\0';
	memmove(w->rest, w->rest + skip + length, strlen(w->rest + skip + length) + 1);
	return true;
}

static bool descend(struct walk *w, const char *name)
{
	int fd;

	if (strlen(w->here) + strlen(name) + 2 > sizeof(w->here))
		return false;
	fd = openat(w->directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	own_close(&w->directory);
	w->directory = fd;
	if (strcmp(name, "..") == 0) {
		char *slash = strrchr(w->here, '/');

		if (slash)
			*slash = '\0';
	} else if (strcmp(name, ".") != 0) {
		size_t used = strlen(w->here);

		snprintf(w->here + used, sizeof(w->here) - used, "/%s", name);
	}
	return true;
}

/* True where words are names parted by single slashes, none of them "." or "..". */
static bool is_plain(const char *words)
{
	while (*words) {
		size_t n = strcspn(words, "/");

		if (n == 0 || (words[0] == '.' && (n == 1 || (n == 2 && words[1] == '.'))))
			return false;
		words += n + (words[n] == '/');
	}
	return true;
}

/* Go to the end of what is left by one call; false where a link or anything else is in the way, and
 * then nothing has changed. */
static bool descend_to_the_end(struct walk *w)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
	size_t used = strlen(w->here), skip = strspn(w->rest, "/"), length = strlen(w->rest);
	autoclose int fd = -1;
	struct stat st;

	while (length > skip && w->rest[length - 1] == '/')
		w->rest[--length] = '\0';
	if (length == skip || used + length + 2 > sizeof(w->here) || !is_plain(w->rest + skip))
		return false;
	fd = (int)syscall(SYS_openat2, w->directory, w->rest + skip, &how, sizeof(how));
	if (fd < 0 || fstat(fd, &st) < 0 || S_ISLNK(st.st_mode))
		return false;
	snprintf(w->here + used, sizeof(w->here) - used, "/%s", w->rest + skip);
	w->rest[0] = '\0';
	own_close(&w->directory);
	w->directory = take_fd(&fd);
	return true;
}

/* Put a link's target before what is left. */
static bool follow(struct walk *w, const char *name)
{
	char target[PATH_MAX], joined[2 * PATH_MAX];
	ssize_t n = readlinkat(w->directory, name, target, sizeof(target) - 1);

	if (n <= 0)
		return false;
	target[n] = '\0';
	if (snprintf(joined, sizeof(joined), "%s/%s", target, w->rest) >= PATH_MAX)
		return false;
	strcpy(w->rest, joined);
	if (target[0] != '/')
		return true;
	own_close(&w->directory);
	w->here[0] = '\0';
	w->directory = open("/", O_PATH | O_CLOEXEC);
	return w->directory >= 0;
}

static int pass_link(struct walk *w, const char *name, const struct stat *link,
	Berm__Wire__PathFact *fact, struct error *err)
{
	char where[PATH_MAX + NAME_MAX + 2];
	struct stat directory;
	int r;

	if (fstat(w->directory, &directory) < 0)
		return error_errno(err, "stat %s", w->here);
	snprintf(where, sizeof(where), "%s/%s", w->here, name);
	r = add_link(fact, where, err);
	if (r == 0 && !fact->loose_link[0] && is_loose(&directory, link))
		r = facts_set_string(&fact->loose_link, where, err);
	return r;
}

int facts_links(const char *path, const struct stat *found, Berm__Wire__PathFact *fact,
	char ret_real[PATH_MAX], struct error *err)
{
	struct stat reached;
	struct walk w = {.directory = open("/", O_PATH | O_CLOEXEC)};
	char name[NAME_MAX + 1];
	int r = 0;

	if (w.directory < 0 || strlen(path) >= sizeof(w.rest)) {
		own_close(&w.directory);
		return error_set(err, -ENAMETOOLONG, ERROR_INPUT, "%s is too long", path);
	}
	strcpy(w.rest, path);
	while (r == 0 && next_component(&w, name)) {
		struct stat st;

		if (fstatat(w.directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			break;
		if (S_ISLNK(st.st_mode)) {
			r = pass_link(&w, name, &st, fact, err);
			if (fact->n_links_passed > LINKS_MAX || !follow(&w, name))
				break;
			descend_to_the_end(&w);
		} else if (!descend(&w, name)) {
			break;
		}
	}
	if (w.directory < 0 || fstat(w.directory, &reached) < 0 ||
		reached.st_dev != found->st_dev || reached.st_ino != found->st_ino)
		fact->error = ESTALE;
	else
		strcpy(ret_real, w.here[0] ? w.here : "/");
	own_close(&w.directory);
	return r;
}
