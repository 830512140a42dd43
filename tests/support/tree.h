/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A temporary directory tree of one test. Include after test.h. */

#include "base/io.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static char top[64]; /* the temporary tree of one test */

static inline int make_tree(void **state)
{
	(void)state;
	strcpy(top, "/tmp/berm-test-XXXXXX");
	return mkdtemp(top) ? 0 : -1;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int remove_tree(void **state)
{
	(void)state;
	return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* "top/name" in one of a few static buffers. */
static inline const char *in_top(const char *name)
{
	static char buffers[4][PATH_MAX + sizeof(top)];
	static unsigned next;
	char *buffer = buffers[next++ % array_size(buffers)];

	snprintf(buffer, sizeof(buffers[0]), "%s/%s", top, name);
	return buffer;
}

static inline void make_directory(const char *name)
{
	assert_int_equal(mkdir(in_top(name), 0755), 0);
}

static inline void make_file(const char *name, const char *content)
{
	int fd = open(in_top(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, content, strlen(content)), 0);
	close(fd);
}

#define in_tree(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)
