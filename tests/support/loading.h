/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Profiles from strings, for tests: a directory of its own for every use. Include after test.h. */

#include "base/io.h"
#include "policy/load.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

struct loading {
	char dir[64];
	struct profile *profile; /* of the last load, or NULL */
	struct text out;         /* its diagnostics */
	struct error err;
	const char *search[2];
	struct profile_request request; /* may be changed before each load */
};

static inline void loading_write(
	struct loading *l, const char *name, const char *data, size_t length)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", l->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, data, length), 0);
	close(fd);
}

static inline void loading_string(struct loading *l, const char *name, const char *text)
{
	loading_write(l, name, text, strlen(text));
}

static inline void loading_init(struct loading *l)
{
	*l = (struct loading){
		.dir = "/tmp/berm-test-XXXXXX",
		.request = {.trusted_uid = getuid(),
			.variables = {.home = "/home/user",
				.workdir = "/srv/repo",
				.tmpdir = "/tmp",
				.state = "/var/lib/berm",
				.run_id = "r1",
				.uid = "1000"}},
	};
	assert_non_null(mkdtemp(l->dir));
	l->search[0] = l->dir;
	l->request.search_path = l->search;
}

/* Load NAME.yaml of the directory by its name. */
static inline int loading_load(struct loading *l, const char *name)
{
	profile_destroy(l->profile);
	l->profile = NULL;
	text_finish(&l->out);
	l->err = (struct error){0};
	l->request.profile = name;
	return profile_load(&l->request, &l->profile, &l->out, &l->err);
}

/* Write the text as p.yaml and load it. */
static inline int loading_text(struct loading *l, const char *text)
{
	loading_string(l, "p.yaml", text);
	return loading_load(l, "p");
}

/* The same, of a profile that must be good. Its warnings are in l->out. */
static inline void loading_good(struct loading *l, const char *text)
{
	if (loading_text(l, text) < 0)
		fail_msg("%s%s", text_string(&l->out), l->err.text);
}

/* The same, under a ceiling. */
static inline void loading_under(struct loading *l, const char *text, const char *ceiling)
{
	char path[PATH_MAX];
	const char *paths[] = {path, NULL};

	snprintf(path, sizeof(path), "%s/ceiling.yaml", l->dir);
	loading_string(l, "ceiling.yaml", ceiling);
	l->request.ceilings = paths;
	loading_good(l, text);
	l->request.ceilings = NULL;
}

static inline int loading_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void loading_finish(struct loading *l)
{
	profile_destroy(l->profile);
	text_finish(&l->out);
	nftw(l->dir, loading_unlink, 8, FTW_DEPTH | FTW_PHYS);
}
#define autoloading __attribute__((cleanup(loading_finish)))
