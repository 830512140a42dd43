/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/learn-save.h"

#include "base/io.h"
#include "base/path.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE (1 << 0) /* linux/fs.h */
#endif

#define SUFFIX ".yaml"

/* The name of the file as a profile's name may be: [a-z0-9-]. */
static void make_name(const char *file, size_t length, char *name, size_t capacity)
{
	size_t n = 0;

	for (size_t i = 0; i < length && n + 1 < capacity; i++) {
		char c = file[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			name[n++] = c;
		else if (n > 0 && name[n - 1] != '-')
			name[n++] = '-';
	}
	while (n > 0 && name[n - 1] == '-')
		n--;
	name[n] = '\0';
	if (n == 0)
		snprintf(name, capacity, "learned");
}

static int check_absent(const struct learn_save *save, const char *name, struct error *err)
{
	struct stat st;

	if (fstatat(save->directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_errno(err, "look at %s", name);
	if (!save->force)
		return error_set(err, -EEXIST, ERROR_INPUT,
			"%s is there already; --force replaces it", name);
	return S_ISREG(st.st_mode) ? 0
				   : error_set(err, -EEXIST, ERROR_INPUT, "%s is no file", name);
}

int learn_save_open(const char *out, bool force, struct learn_save *save, struct error *err)
{
	const char *slash = strrchr(out, '/'), *file = slash ? slash + 1 : out;
	size_t n = strlen(file), stem = n - strlen(SUFFIX);
	char directory[PATH_MAX];
	int r;

	save->directory_fd = -1;
	save->force = force;
	if (n <= strlen(SUFFIX) || strcmp(file + stem, SUFFIX) != 0 || n > 200)
		return error_set(err, -EINVAL, ERROR_INPUT,
			"the name of a profile's file ends in .yaml: %s", out);
	if (snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(file - out) : 1,
		    slash ? out : ".") >= (int)sizeof(directory))
		return error_set(err, -ENAMETOOLONG, ERROR_INPUT, "%s is too long", out);
	snprintf(save->profile, sizeof(save->profile), "%s", file);
	snprintf(
		save->observations, sizeof(save->observations), "%.*s.learn.json", (int)stem, file);
	make_name(file, stem, save->name, sizeof(save->name));
	save->directory_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (save->directory_fd < 0) {
		r = error_errno(err, "%s", directory);
		if (err)
			err->kind = ERROR_INPUT;
		return r;
	}
	r = check_absent(save, save->profile, err);
	return r < 0 ? r : check_absent(save, save->observations, err);
}

static int write_one(
	const struct learn_save *save, const char *name, const struct text *text, struct error *err)
{
	char temporary[300];
	autoclose int fd = -1;
	int r;

	snprintf(temporary, sizeof(temporary), ".%s.%d", name, (int)getpid());
	fd = openat(save->directory_fd, temporary,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_errno(err, "write %s", name);
	r = io_write_all(fd, text_string(text), text->length);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat2(save->directory_fd, temporary, save->directory_fd, name,
			      save->force ? 0 : RENAME_NOREPLACE) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(save->directory_fd, temporary, 0);
		return error_set(err, r, ERROR_INTERNAL, "write %s: %s", name, strerror(-r));
	}
	return 0;
}

int learn_save_write(const struct learn_save *save, const struct text *profile,
	const struct text *observations, struct error *err)
{
	int r;

	if (profile->failed || observations->failed)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	r = write_one(save, save->observations, observations, err);
	return r < 0 ? r : write_one(save, save->profile, profile, err);
}

void learn_save_finish(struct learn_save *save)
{
	own_close(&save->directory_fd);
}
