/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A disk that loses its power. Every call of a commit is done, and kept in a list; when the power
 * goes, calls that no sync has made durable are taken back, the last one first, so that inodes stay
 * what they are. Include after change-set.h.
 *
 * What is durable: the data and the mode of a file after its fsync(2); names in a directory, and
 * the directory's own mode, after that directory's. Of two calls on the same name the first cannot
 * be lost alone. A rename(2) from one directory to another is one call, lost or kept: file systems
 * without a journal are not what berm promises to survive on. */

#include <sys/random.h>

#define POWER_CALLS_MAX 2048

enum power_loss {
	LOSE_NOTHING,
	LOSE_ALL,                 /* that is not durable */
	LOSE_DATA,                /* names are there, what they lead to is empty */
	LOSE_NAMES,               /* the last names alone, in the order of a journal */
	LOSE_SOME,                /* any of it */
	LOSE_WAYS = LOSE_SOME + 4 /* with four seeds */
};

struct power_call {
	const char *word;
	int fd, to_fd;
	ino_t ino, to_ino;
	char name[NAME_MAX + 1], to[NAME_MAX + 1];
	unsigned flags;
	mode_t mode; /* before a chmod */
	off_t size;  /* before a write */
	bool durable, lost, replaced;
};

struct power {
	long left, calls;
	unsigned loss;
	uint64_t seed;
	struct power_call list[POWER_CALLS_MAX];
	size_t count;
	int grave; /* where is kept what was removed or replaced */
};

static inline bool power_is(const struct power_call *c, const char *word)
{
	return strcmp(c->word, word) == 0;
}

static inline bool power_is_data(const struct power_call *c)
{
	return power_is(c, "write") || power_is(c, "copy") || power_is(c, "chmod");
}

static inline ino_t power_inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static inline void power_grave_name(size_t index, char name[32])
{
	snprintf(name, 32, "%zu", index);
}

static inline void power_sync(struct power *p, int fd, bool all)
{
	ino_t ino = all ? 0 : power_inode(fd);

	for (size_t i = 0; i < p->count; i++) {
		struct power_call *c = &p->list[i];

		if (all || c->ino == ino || c->to_ino == ino)
			c->durable = true;
	}
}

/* What is removed stays, out of sight. 0 where the call is to be made after all, and fails. */
static inline int power_remove(struct power *p, const struct power_call *c)
{
	bool directory = (c->flags & AT_REMOVEDIR) != 0;
	char name[32];
	struct stat st;

	if (fstatat(c->fd, c->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		S_ISDIR(st.st_mode) != directory)
		return 0;
	power_grave_name(p->count, name);
	assert_int_equal(renameat(c->fd, c->name, p->grave, name), 0);
	return 1;
}

static inline void power_keep_target(struct power *p, struct power_call *c)
{
	char name[32];

	power_grave_name(p->count, name);
	c->replaced = !c->flags && linkat(c->to_fd, c->to, p->grave, name, 0) == 0;
}

/* ---- the power goes ---- */

static inline bool power_same_name(const struct power_call *a, const struct power_call *b)
{
	bool first = a->name[0] && ((a->ino == b->ino && strcmp(a->name, b->name) == 0) ||
					   (a->ino == b->to_ino && strcmp(a->name, b->to) == 0));
	bool second = a->to[0] && ((a->to_ino == b->ino && strcmp(a->to, b->name) == 0) ||
					  (a->to_ino == b->to_ino && strcmp(a->to, b->to) == 0));

	return first || second;
}

static inline uint64_t power_random(struct power *p)
{
	p->seed = p->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return p->seed >> 33;
}

static inline bool power_wants(struct power *p, size_t i, size_t names_kept)
{
	bool data = power_is_data(&p->list[i]);

	if (p->loss == LOSE_NOTHING)
		return false;
	if (p->loss == LOSE_ALL)
		return true;
	if (p->loss == LOSE_DATA)
		return data;
	if (p->loss == LOSE_NAMES)
		return data || i >= names_kept;
	return power_random(p) & 1;
}

static inline void power_choose(struct power *p)
{
	size_t names_kept = p->count ? power_random(p) % p->count : 0;

	for (size_t i = p->count; i-- > 0;) {
		struct power_call *c = &p->list[i];
		bool can = !c->durable;

		for (size_t k = i + 1; can && !power_is_data(c) && k < p->count; k++)
			can = p->list[k].lost || power_is_data(&p->list[k]) ||
			      !power_same_name(c, &p->list[k]);
		c->lost = can && power_wants(p, i, names_kept);
	}
}

/* It may have been opened with O_PATH. */
static inline void power_chmod(const struct power_call *c)
{
	char own[32];

	snprintf(own, sizeof(own), "/proc/self/fd/%d", c->fd);
	assert_int_equal(chmod(own, c->mode), 0);
}

static inline void power_take_back(struct power *p, size_t index)
{
	struct power_call *c = &p->list[index];
	char name[32];

	power_grave_name(index, name);
	if (power_is(c, "write") || power_is(c, "copy"))
		assert_int_equal(ftruncate(c->fd, power_random(p) & 1 ? 0 : c->size / 2), 0);
	else if (power_is(c, "chmod"))
		power_chmod(c);
	else if (power_is(c, "unlink"))
		assert_int_equal(renameat(p->grave, name, c->fd, c->name), 0);
	else if (power_is(c, "rename")) {
		assert_int_equal(
			renameat2(c->to_fd, c->to, c->fd, c->name,
				c->flags & RENAME_EXCHANGE ? RENAME_EXCHANGE : RENAME_NOREPLACE),
			0);
		if (c->replaced)
			assert_int_equal(renameat(p->grave, name, c->to_fd, c->to), 0);
	} else {
		/* mkdir, create, symlink: with all that was put into it. */
		assert_int_equal(renameat(c->fd, c->name, p->grave, name), 0);
	}
}

static inline void power_goes(struct power *p)
{
	power_choose(p);
	for (size_t i = p->count; i-- > 0;)
		if (p->list[i].lost)
			power_take_back(p, i);
	_exit(99);
}

static inline void power_note(struct power *p, const struct changes_call *call)
{
	struct power_call *c = &p->list[p->count];
	struct stat st;

	assert_true(p->count + 1 < POWER_CALLS_MAX);
	*c = (struct power_call){.word = call->word, .flags = call->flags, .to_fd = -1};
	c->fd = fcntl(call->fd, F_DUPFD_CLOEXEC, 3);
	assert_true(c->fd >= 0);
	assert_int_equal(fstat(c->fd, &st), 0);
	c->ino = st.st_ino;
	c->mode = st.st_mode & 07777;
	c->size = st.st_size;
	if (call->name)
		snprintf(c->name, sizeof(c->name), "%s", call->name);
	if (call->to) {
		c->to_fd = fcntl(call->to_fd, F_DUPFD_CLOEXEC, 3);
		assert_true(c->to_fd >= 0);
		c->to_ino = power_inode(c->to_fd);
		snprintf(c->to, sizeof(c->to), "%s", call->to);
	}
}

/* A call that is going to fail is none. */
static inline bool power_will_fail(const struct power_call *c)
{
	struct stat st;
	bool there;

	if (power_is_data(c))
		return false;
	there = fstatat(c->fd, c->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (power_is(c, "unlink"))
		return !there || S_ISDIR(st.st_mode) != ((c->flags & AT_REMOVEDIR) != 0);
	if (!power_is(c, "rename"))
		return there;
	if (!there)
		return true;
	there = fstatat(c->to_fd, c->to, &st, AT_SYMLINK_NOFOLLOW) == 0;
	return (c->flags & RENAME_NOREPLACE && there) || (c->flags & RENAME_EXCHANGE && !there);
}

static inline int power_before(void *context, const struct changes_call *call)
{
	struct power *p = context;
	int done = 0;

	p->calls++;
	if (p->left >= 0 && p->left-- == 0)
		power_goes(p);
	if (strncmp(call->word, "sync", 4) == 0) {
		power_sync(p, call->fd, strcmp(call->word, "sync-all") == 0);
		return 1;
	}
	power_note(p, call);
	if (power_will_fail(&p->list[p->count]))
		return 0;
	if (power_is(&p->list[p->count], "unlink"))
		done = power_remove(p, &p->list[p->count]);
	if (power_is(&p->list[p->count], "rename"))
		power_keep_target(p, &p->list[p->count]);
	p->count++;
	return done;
}
