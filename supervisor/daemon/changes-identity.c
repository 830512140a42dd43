/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include <sodium.h>
#include <string.h>

#define NS 1000000000LL

int64_t stat_ctime_ns(const struct stat *st)
{
	return (int64_t)st->st_ctim.tv_sec * NS + st->st_ctim.tv_nsec;
}

/* The size and the times of a directory change with what lies in it, which is looked at by itself.
 */
void identity_from(const struct stat *st, Berm__Wire__ChangeIdentity *ret)
{
	bool directory = S_ISDIR(st->st_mode);

	ret->ino = st->st_ino;
	ret->size = directory ? 0 : (uint64_t)st->st_size;
	ret->mtime_ns = directory ? 0 : (int64_t)st->st_mtim.tv_sec * NS + st->st_mtim.tv_nsec;
	ret->ctime_ns = directory ? 0 : stat_ctime_ns(st);
	ret->mode = st->st_mode;
	ret->uid = st->st_uid;
	ret->gid = st->st_gid;
	ret->links = directory ? 0 : (uint32_t)st->st_nlink;
}

Berm__Wire__ChangeIdentity *identity_new(const struct stat *st)
{
	Berm__Wire__ChangeIdentity *identity = malloc(sizeof(*identity));

	if (!identity)
		return NULL;
	berm__wire__change_identity__init(identity);
	identity_from(st, identity);
	return identity;
}

bool identity_same(const Berm__Wire__ChangeIdentity *identity, const struct stat *st, bool moved)
{
	Berm__Wire__ChangeIdentity now = BERM__WIRE__CHANGE_IDENTITY__INIT;

	identity_from(st, &now);
	return now.ino == identity->ino && now.size == identity->size &&
	       now.mtime_ns == identity->mtime_ns && now.mode == identity->mode &&
	       now.uid == identity->uid && now.gid == identity->gid &&
	       (moved || now.ctime_ns == identity->ctime_ns);
}

struct walk {
	unsigned depth;
	int64_t newest_ns;
	uint64_t entries;
	struct error *err;
};

static int walk_directory(struct walk *w, int fd, crypto_generichash_state *state);

/* A file with more names is another one in its ctime as soon as the commit moves one of them. */
static void hash_entry(crypto_generichash_state *state, const char *name,
	const Berm__Wire__ChangeIdentity *identity)
{
	uint64_t row[7] = {identity->ino, identity->size, (uint64_t)identity->mtime_ns,
		identity->links > 1 ? 0 : (uint64_t)identity->ctime_ns, identity->mode,
		identity->uid, identity->gid};

	crypto_generichash_update(state, (const unsigned char *)name, strlen(name) + 1);
	crypto_generichash_update(state, (const unsigned char *)row, sizeof(row));
}

static int walk_entry(struct walk *w, int dir, const char *name, crypto_generichash_state *state)
{
	static const unsigned char end[1] = {0};
	Berm__Wire__ChangeIdentity identity = BERM__WIRE__CHANGE_IDENTITY__INIT;
	struct stat st;
	int fd, r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(w->err, "look at what is to go");
	identity_from(&st, &identity);
	hash_entry(state, name, &identity);
	w->entries++;
	if (stat_ctime_ns(&st) > w->newest_ns)
		w->newest_ns = stat_ctime_ns(&st);
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (w->depth >= CHANGES_DEPTH_MAX)
		return error_set(w->err, -ELOOP, ERROR_REFUSED, "directories lie more than %d deep",
			CHANGES_DEPTH_MAX);
	fd = beneath_open(dir, name, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return error_errno(w->err, "open a directory that is to go");
	w->depth++;
	r = walk_directory(w, fd, state);
	w->depth--;
	crypto_generichash_update(state, end, sizeof(end));
	return r;
}

/* Takes fd. */
static int walk_directory(struct walk *w, int fd, crypto_generichash_state *state)
{
	autoclose int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	struct changes_names names = {0};
	int r;

	if (own < 0) {
		close(fd);
		return error_errno(w->err, "descriptors");
	}
	r = changes_names_read(fd, NULL, &names);
	if (r < 0)
		error_set(w->err, r, ERROR_INTERNAL, "cannot list a directory: %s", strerror(-r));
	for (size_t i = 0; r == 0 && i < names.count; i++)
		r = walk_entry(w, own, names.items[i], state);
	changes_names_finish(&names);
	return r;
}

int identity_tree(int dir, const char *name, unsigned char digest[IDENTITY_TREE_BYTES],
	int64_t *ret_newest_ns, uint64_t *ret_entries, struct error *err)
{
	struct walk w = {.entries = 1, .err = err};
	crypto_generichash_state state;
	int fd = beneath_open(dir, name, O_RDONLY | O_DIRECTORY), r;

	if (fd < 0)
		return error_errno(err, "open a directory that is to go");
	crypto_generichash_init(&state, NULL, 0, IDENTITY_TREE_BYTES);
	r = walk_directory(&w, fd, &state);
	crypto_generichash_final(&state, digest, IDENTITY_TREE_BYTES);
	*ret_newest_ns = w.newest_ns;
	*ret_entries = w.entries;
	return r;
}

int identity_check(int dir, const char *name, const Berm__Wire__ChangeIdentity *identity,
	bool moved, const char **ret_why, struct error *err)
{
	unsigned char digest[IDENTITY_TREE_BYTES];
	uint64_t entries;
	int64_t newest;
	struct stat st, own;
	int r;

	*ret_why = NULL;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return error_errno(err, "look at the workspace");
		*ret_why = identity ? "it is gone" : NULL;
		return 0;
	}
	if (!identity)
		*ret_why = "something is there now";
	else if (fstat(dir, &own) < 0 || st.st_dev != own.st_dev || st.st_ino != identity->ino)
		*ret_why = "another one is in its place";
	else if (!identity_same(identity, &st, moved))
		*ret_why = "it was changed";
	if (*ret_why || !identity || identity->tree.len != IDENTITY_TREE_BYTES)
		return 0;
	r = identity_tree(dir, name, digest, &newest, &entries, err);
	if (r == 0 && memcmp(digest, identity->tree.data, sizeof(digest)) != 0)
		*ret_why = "something in it was changed";
	return r;
}
