/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A workspace and what a run staged for it. Include after test.h. */

#include "daemon/changes-internal.h"
#include "tree.h"

#include <dirent.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* A workspace, and the upper directory of an overlay as the kernel would leave it: the rows of
 * "before" and "after" are what a commit is to make of the one. */

#define RUN "r0123456789"

static inline void put(const char *name, const char *content, mode_t mode)
{
	int fd = open(in_top(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, content, strlen(content)), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* mknod(2): everybody may make this one device. */
static inline void put_whiteout(const char *name)
{
	assert_int_equal(mknod(in_top(name), S_IFCHR, makedev(0, 0)), 0);
}

static inline void put_opaque(const char *name)
{
	assert_int_equal(setxattr(in_top(name), "user.overlay.opaque", "y", 1, 0), 0);
}

static inline int place(bool create)
{
	struct error err = {0};
	int fd = -1;

	assert_int_equal(changes_place(in_top("state"), create, &fd, &err), 0);
	return fd;
}

static inline void put_workspace(void)
{
	make_directory("state");
	make_directory("w");
	make_directory("w/dir");
	make_directory("w/old");
	make_directory("w/old/deep");
	make_directory("w/swap");
	put("w/same", "not touched\n", 0644);
	put("w/edit", "one\ntwo\nthree\n", 0644);
	put("w/dir/gone", "deleted\n", 0600);
	put("w/dir/moved", "the content of what is moved\n", 0644);
	put("w/old/deep/file", "deep\n", 0644);
	put("w/swap/inner", "inner\n", 0644);
	put("w/type", "becomes a link\n", 0644);
}

static inline void guard(
	Berm__Wire__ChangeHead *head, ProtobufCBinaryData *guarded, const char *path)
{
	if (!path)
		return;
	guarded->data = (uint8_t *)(uintptr_t)path;
	guarded->len = strlen(path) + 1;
	head->guarded = guarded;
	head->n_guarded = 1;
}

static inline void begin_guarded(struct change_set *set, const char *guarded_path)
{
	Berm__Wire__ChangeHead head;
	ProtobufCBinaryData guarded;
	struct error err = {0};
	struct stat st;
	int fd = place(true);

	assert_int_equal(stat(in_top("w"), &st), 0);
	berm__wire__change_head__init(&head);
	head.run = (char *)(uintptr_t)RUN;
	head.workspace.data = (uint8_t *)(uintptr_t)in_top("w");
	head.workspace.len = strlen((char *)head.workspace.data) + 1;
	head.ino = st.st_ino;
	head.owner_uid = st.st_uid;
	head.owner_gid = st.st_gid;
	guard(&head, &guarded, guarded_path);
	if (changes_begin(fd, &head, st.st_uid, st.st_gid, set, &err) < 0)
		fail_msg("%s", err.text);
	close(fd);
}

#define UPPER "state/changes/" RUN "/layers/upper/"

static inline void put_changes(void)
{
	make_directory(UPPER "dir");
	put(UPPER "edit", "one\n2\nthree\n", 0600);
	put_whiteout(UPPER "dir/gone");
	put_whiteout(UPPER "dir/moved");
	put(UPPER "dir/here", "the content of what is moved\n", 0644);
	put_whiteout(UPPER "old");
	make_directory(UPPER "new");
	put_opaque(UPPER "new");
	make_directory(UPPER "new/sub");
	put(UPPER "new/sub/file", "new\n", 0755);
	put_whiteout(UPPER "new/never");
	make_directory(UPPER "swap");
	put_opaque(UPPER "swap");
	put(UPPER "swap/other", "other\n", 0644);
	assert_int_equal(symlink("/etc/passwd", in_top(UPPER "type")), 0);
	assert_int_equal(chmod(in_top(UPPER "dir"), 0700), 0);
	assert_int_equal(mkfifo(in_top(UPPER "pipe"), 0600), 0);
}

/* In memory where that has attributes of users (tmpfs: kernel 6.6): nobody waits for a disk. */
static inline int make_own_tree(void **state)
{
	(void)state;
	strcpy(top, "/dev/shm/berm-test-XXXXXX");
	if (mkdtemp(top) && setxattr(top, "user.overlay.try", "", 0, 0) == 0)
		return removexattr(top, "user.overlay.try");
	rmdir(top);
	return make_tree(state);
}

/* ---- what a tree looks like, as text ---- */

static inline void list_entry(struct text *out, const char *path, const char *shown);

static inline void list(struct text *out, const char *path, const char *shown)
{
	struct dirent **names = NULL;
	int count = scandir(path, &names, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		const char *name = names[i]->d_name;
		autofree char *own = NULL, *as = NULL;

		assert_true(asprintf(&own, "%s/%s", path, name) > 0);
		assert_true(asprintf(&as, "%s%s%s", shown, *shown ? "/" : "", name) > 0);
		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			list_entry(out, own, as);
		free(names[i]);
	}
	free(names);
}

static inline void list_entry(struct text *out, const char *path, const char *shown)
{
	char content[256] = "";
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	if (S_ISLNK(st.st_mode)) {
		assert_true(readlink(path, content, sizeof(content) - 1) > 0);
	} else if (S_ISREG(st.st_mode)) {
		autofclose FILE *f = fopen(path, "re");

		assert_non_null(f);
		content[fread(content, 1, sizeof(content) - 1, f)] = '\0';
	}
	text_printf(out, "%s %o ", shown, st.st_mode);
	text_escape(out, content, strlen(content), 200);
	text_puts(out, "\n");
	if (S_ISDIR(st.st_mode))
		list(out, path, shown);
}

static inline char *tree(void)
{
	struct text out = {0};

	list(&out, in_top("w"), "");
	return text_take(&out);
}

static const char committed[] = "dir 40700 \n"
				"dir/here 100644 the content of what is moved\\x0a\n"
				"edit 100600 one\\x0a2\\x0athree\\x0a\n"
				"new 40755 \n"
				"new/sub 40755 \n"
				"new/sub/file 100755 new\\x0a\n"
				"same 100644 not touched\\x0a\n"
				"swap 40755 \n"
				"swap/other 100644 other\\x0a\n"
				"type 120777 /etc/passwd\n";

struct breaking {
	long left; /* calls until it breaks; -1: never */
	long calls;
	bool dies;
};

static inline int breaks(void *context, const struct changes_call *call)
{
	struct breaking *b = context;

	b->calls++;
	/* Other programs see what was not synced too: a kill needs no disk. */
	if (b->left < 0 || b->left-- > 0)
		return strncmp(call->word, "sync", 4) == 0;
	if (b->dies)
		_exit(99);
	b->left = -1;
	return -EIO;
}

static struct breaking never = {.left = -1};
static const struct changes_disk quick = {breaks, &never};

static inline void stage(struct change_set *set)
{
	struct error err = {0};
	bool empty = true;

	put_workspace();
	set->disk = &quick;
	begin_guarded(set, NULL);
	put_changes();
	if (changes_seal(set, &empty, &err) < 0)
		fail_msg("%s", err.text);
	assert_false(empty);
	change_set_finish(set);
	*set = (struct change_set)CHANGE_SET_INIT;
}

static inline int reopen(struct change_set *set, const struct changes_disk *disk, struct error *err)
{
	int fd = place(false), r = changes_open(fd, RUN, disk, set, err);

	close(fd);
	if (r < 0 || !set->committed)
		return r;
	/* Finished now. */
	r = changes_clean(set, err);
	change_set_finish(set);
	return r < 0 ? r : -ENOENT;
}

static inline int commit_whole(struct change_set *set, struct error *err)
{
	int r = changes_commit(set, err);

	assert_true(r < 0 || set->committed);
	return r < 0 ? r : changes_clean(set, err);
}

static inline int rollback_whole(struct change_set *set, struct error *err)
{
	int r = changes_rollback(set, err);

	return r < 0 ? r : changes_clean(set, err);
}

static inline bool set_is_there(void)
{
	struct stat st;

	return stat(in_top("state/changes/" RUN), &st) == 0;
}

static inline void nothing_is_left(void)
{
	DIR *stream = opendir(in_top("state/changes"));
	struct dirent *entry;

	assert_non_null(stream);
	while ((entry = readdir(stream)))
		assert_true(entry->d_name[0] == '.' && strlen(entry->d_name) < 3);
	closedir(stream);
}

#define in_memory(test) cmocka_unit_test_setup_teardown(test, make_own_tree, remove_tree)
