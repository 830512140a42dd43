// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Names: made, removed, renamed and linked. The path_* hooks fire for what the caller asked for
 * only; the inode_* ones would fire again for what overlayfs does on its own layers. */
#include "effect.bpf.h"

static __always_inline bool is_counted(const struct subject *s)
{
	return !s->run->scope || !(s->work->walk.rights & METER_RIGHT_SCRATCH);
}

/* A new name. Files and links may not take a name that leads to a protected one (".git" as a file
 * says "gitdir:"). */
static __always_inline int make(
	struct subject *s, struct dentry *dentry, __u32 kind, bool directory)
{
	struct pending *p;
	int r = decide(s, dentry, METER_RIGHT_WRITE);

	if (r)
		return r;
	if (s->work->walk.prefix && !directory) {
		spell(dentry, s->work);
		return refuse_as(s, METER_DENIAL, names_rule(s->run->scope, s->work), -EPERM);
	}
	if (!is_counted(s))
		return 0;
	if (s->posture & METER_NO_WRITE)
		return refuse_posture(s);
	p = begin(s, kind);
	p->object = (__u64)dentry;
	r = charge_for(s, METER_FILES_CREATED, 1);
	if (r)
		return r;
	p->created = 1;
	r = charge_for(s, METER_FILES_CHANGED, 1);
	if (r)
		return r;
	p->changed = 1;
	report_activity(s, dentry);
	return 0;
}

HOOK(path_mknod, path_mknod,
	(const struct path *directory, struct dentry *dentry, umode_t mode, unsigned int device),
	(directory, dentry, mode, device))
{
	struct subject s;
	int r = enter_with_work(&s, METER_HOOK_path_mknod, 0);

	return r <= 0 ? r : make(&s, dentry, PENDING_MAKE, false);
}

HOOK(path_mkdir, path_mkdir, (const struct path *directory, struct dentry *dentry, umode_t mode),
	(directory, dentry, mode))
{
	struct subject s;
	int r = enter_with_work(&s, METER_HOOK_path_mkdir, 0);

	return r <= 0 ? r : make(&s, dentry, PENDING_MKDIR, true);
}

HOOK(path_symlink, path_symlink,
	(const struct path *directory, struct dentry *dentry, const char *target),
	(directory, dentry, target))
{
	struct subject s;
	int r = enter_with_work(&s, METER_HOOK_path_symlink, 0);

	return r <= 0 ? r : make(&s, dentry, PENDING_SYMLINK, false);
}

/* A name goes. It is a loss unless the run made the file itself. */
static __always_inline int lose(struct subject *s, struct dentry *dentry, __u32 kind)
{
	struct inode *inode = dentry->d_inode;
	struct pending *p;
	int r = decide(s, dentry, METER_RIGHT_WRITE);

	if (r)
		return r;
	if (s->run->scope && s->work->walk.anchored == 1)
		return refuse_as(s, METER_DENIAL, s->work->walk.rule, -EPERM);
	if (!is_counted(s))
		return 0;
	if (s->posture & METER_NO_WRITE)
		return refuse_posture(s);
	p = begin(s, kind);
	if (is_positive(dentry) && !(seen_bits(s->slot, inode) & SEEN_CREATED)) {
		r = charge_for(s, METER_FILES_DELETED, 1);
		if (r)
			return r;
		p->deleted = 1;
	}
	report_activity(s, dentry);
	return 0;
}

HOOK(path_unlink, path_unlink, (const struct path *directory, struct dentry *dentry),
	(directory, dentry))
{
	struct subject s;
	int r = enter_with_work(&s, METER_HOOK_path_unlink, 0);

	return r <= 0 ? r : lose(&s, dentry, PENDING_UNLINK);
}

HOOK(path_rmdir, path_rmdir, (const struct path *directory, struct dentry *dentry),
	(directory, dentry))
{
	struct subject s;
	int r = enter_with_work(&s, METER_HOOK_path_rmdir, 0);

	return r <= 0 ? r : lose(&s, dentry, PENDING_RMDIR);
}

static __always_inline void keep_place(struct place *place, const struct walk *walk)
{
	place->rights = walk->rights;
	place->anchor = walk->anchored == 1;
	place->pinned = walk->pinned;
	place->prefix = walk->prefix;
	place->live = walk->live;
}

static __always_inline bool same_bits(const struct meter_bits *a, const struct meter_bits *b)
{
	return !((a->word[0] ^ b->word[0]) | (a->word[1] ^ b->word[1]) | (a->word[2] ^ b->word[2]) |
		 (a->word[3] ^ b->word[3]));
}

/* Whether an object may change its place from a to b. Rights would change with it where the anchors
 * differ: the answer is that of another file system, so that callers copy. What a directory holds
 * is protected by where it is. */
static __always_inline int may_move(
	struct subject *s, const struct place *a, const struct place *b, bool directory)
{
	if (!s->run->scope)
		return 0;
	if (a->anchor || a->pinned || (b->prefix && !directory) ||
		(directory && !same_bits(&a->live, &b->live)))
		return refuse_as(s, METER_DENIAL, names_rule(s->run->scope, s->work), -EPERM);
	return a->rights == b->rights ? 0 : -EXDEV;
}

static __always_inline int charge_rename(
	struct subject *s, struct inode *from, struct inode *over, bool replaces, bool exchange)
{
	struct pending *p = begin(s, PENDING_RENAME);
	int r = touch_for(s, p, from);

	if (r || !replaces)
		return r;
	r = touch_for(s, p, over);
	if (r || exchange || (seen_bits(s->slot, from) & SEEN_CREATED) ||
		(seen_bits(s->slot, over) & SEEN_CREATED))
		return r;
	/* Two files that were there before, one name left. */
	r = charge_for(s, METER_FILES_DELETED, 1);
	if (!r)
		p->deleted = 1;
	return r;
}

HOOK(path_rename, path_rename,
	(const struct path *old_directory, struct dentry *old_dentry,
		const struct path *new_directory, struct dentry *new_dentry, unsigned int flags),
	(old_directory, old_dentry, new_directory, new_dentry, flags))
{
	struct inode *from = old_dentry->d_inode, *over = new_dentry->d_inode;
	bool exchange = flags & RENAME_EXCHANGE, replaces;
	struct subject s;
	int r = enter_with_work(&s, METER_HOOK_path_rename, 0);

	if (r <= 0)
		return r;
	if (!is_positive(old_dentry))
		return -ENOENT;
	replaces = is_positive(new_dentry);
	/* Leaves a new node behind that no other hook sees. */
	if (flags & RENAME_WHITEOUT)
		return refuse_as(&s, METER_DENIAL, 0, -EPERM);
	r = decide(&s, old_dentry, METER_RIGHT_WRITE);
	if (r)
		return r;
	keep_place(&s.work->from, &s.work->walk);
	r = decide(&s, new_dentry, METER_RIGHT_WRITE);
	if (r)
		return r;
	keep_place(&s.work->to, &s.work->walk);
	r = may_move(&s, &s.work->from, &s.work->to, is_directory(from));
	if (!r && replaces && exchange)
		r = may_move(&s, &s.work->to, &s.work->from, is_directory(over));
	if (!r && replaces && s.run->scope && s.work->to.anchor)
		r = -EPERM;
	if (r || !is_counted(&s))
		return r;
	if (s.posture & METER_NO_WRITE)
		return refuse_posture(&s);
	r = charge_rename(&s, from, over, replaces, exchange);
	if (!r)
		report_activity(&s, new_dentry);
	return r;
}

HOOK(path_link, path_link,
	(struct dentry * old_dentry, const struct path *directory, struct dentry *new_dentry),
	(old_dentry, directory, new_dentry))
{
	struct pending *p;
	struct subject s;
	int r = enter_with_work(&s, METER_HOOK_path_link, 0);

	if (r <= 0)
		return r;
	r = decide(&s, old_dentry, METER_RIGHT_WRITE);
	if (r)
		return r;
	keep_place(&s.work->from, &s.work->walk);
	r = make(&s, new_dentry, PENDING_LINK, false);
	if (r)
		return r;
	keep_place(&s.work->to, &s.work->walk);
	r = may_move(&s, &s.work->from, &s.work->to, false);
	if (r) {
		settle(s.work, 1, 0);
		return r;
	}
	p = &s.work->operation;
	p->object = 0;
	return 0;
}

/* Truncation by path; until 6.1 also by descriptor and by open(2). */
static __always_inline int truncate(struct subject *s, struct dentry *dentry, bool check_rights)
{
	struct inode *inode = dentry->d_inode;
	struct pending *p;
	int r;

	if (check_rights) {
		r = decide(s, dentry, METER_RIGHT_WRITE);
		if (r)
			return r;
		if (!is_counted(s))
			return 0;
	}
	if (s->posture & METER_NO_WRITE)
		return refuse_posture(s);
	p = begin(s, PENDING_TRUNCATE);
	if (is_positive(dentry) && inode->i_nlink)
		return touch_for(s, p, inode);
	return 0;
}

HOOK(path_truncate, path_truncate, (const struct path *path), (path))
{
	struct subject s;
	int r = enter_with_work(&s, METER_HOOK_path_truncate, 0);

	if (r <= 0)
		return r;
	if (is_internal(path->mnt))
		return 0;
	return truncate(&s, path->dentry, true);
}

HOOK(file_truncate, file_truncate, (struct file * file), (file))
{
	struct subject s;
	int r = enter_with_work(&s, METER_HOOK_file_truncate, 0);

	if (r <= 0)
		return r;
	/* The right was asked for when the file was opened. */
	if (file_kind(&s, file) == FILE_NOT_COUNTED)
		return 0;
	return truncate(&s, file->f_path.dentry, false);
}

ENDED(do_unlinkat, PENDING_UNLINK)
ENDED(do_rmdir, PENDING_RMDIR)
ENDED(do_mknodat, PENDING_MAKE)
ENDED(do_mkdirat, PENDING_MKDIR)
ENDED(do_symlinkat, PENDING_SYMLINK)
ENDED(do_renameat2, PENDING_RENAME)
ENDED(do_linkat, PENDING_LINK)
ENDED(unix_bind, PENDING_MAKE)
ENDED(do_truncate, PENDING_TRUNCATE)

SEC("?fexit/do_filp_open") int probe_do_filp_open(void *ctx)
{
	struct file *file = (void *)result_of(ctx);
	bool made = !is_error((long)file);
	unsigned int mode = 0;

	/* Until the file system has been asked nobody knows that the name is there: path_mknod
	 * comes for every name that is not cached. */
	if (made && !bpf_core_read(&mode, sizeof(mode), &file->f_mode))
		made = (mode & FMODE_CREATED) != 0;
	return ended(METER_HOOK_do_filp_open, PENDING_MAKE, !made);
}

/* What was made: directories, symbolic links and nodes. Regular files are marked when they are
 * opened. */
static __always_inline int made(__u32 hook, struct dentry *dentry, bool failed)
{
	struct inode *inode = dentry->d_inode;
	struct subject s;

	if (find_subject(&s, hook) <= 0)
		return 0;
	prove(s.run, hook);
	s.work = bpf_task_storage_get(&works, bpf_get_current_task_btf(), 0, 0);
	if (failed || !is_positive(dentry) || !s.work || s.work->operation.object != (__u64)dentry)
		return 0;
	mark_created(&s, inode);
	return 0;
}

SEC("?fexit/vfs_mkdir")
int BPF_PROG(probe_vfs_mkdir, void *idmap, struct inode *directory, struct dentry *dentry)
{
	/* Since 6.15 it returns a dentry, before that an int. */
	return made(
		METER_HOOK_vfs_mkdir, dentry, (int)result_of(ctx) < 0 || is_error(result_of(ctx)));
}

SEC("?fexit/vfs_symlink")
int BPF_PROG(probe_vfs_symlink, void *idmap, struct inode *directory, struct dentry *dentry)
{
	return made(METER_HOOK_vfs_symlink, dentry, (int)result_of(ctx) != 0);
}

SEC("?fexit/vfs_mknod")
int BPF_PROG(probe_vfs_mknod, void *idmap, struct inode *directory, struct dentry *dentry)
{
	return made(METER_HOOK_vfs_mknod, dentry, (int)result_of(ctx) != 0);
}
