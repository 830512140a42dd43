/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "base/io.h"
#include "cli/learn.h"

#include <sys/mman.h>

/* A file of observations: it is refused, or it is written and read as the same again. */

static bool read_back(const char *data, size_t size, struct learn *learn)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct error err = {0};
	char path[32];
	int r;

	assert(fd >= 0 && io_write_all(fd, data, size) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = learn_file_read(path, "/srv/repo", learn, &err);
	assert(r == 0 || (err.kind == ERROR_INPUT && err.text[0]));
	close(fd);
	return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autolearn struct learn learn = {0}, again = {0};
	autotext struct text out = {0}, twice = {0};

	if (!read_back((const char *)data, size, &learn))
		return 0;
	assert(learn.runs >= 1 && learn.runs <= LEARN_RUNS_MAX);
	learn_file_write(&learn, "/srv/repo", &out);
	assert(!out.failed);
	assert(read_back(out.data, out.length, &again));
	learn_file_write(&again, "/srv/repo", &twice);
	assert(out.length == twice.length && memcmp(out.data, twice.data, out.length) == 0);
	return 0;
}
