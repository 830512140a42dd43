/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/evidence.h"

#include "base/io.h"
#include "daemon/state-directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY "evidence"
#define SAME_RUN_MAX 100

static int write_file(int directory_fd, const char *name, const struct text *text)
{
	autoclose int fd = openat(
		directory_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = io_write_all(fd, text_string(text), text->length);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(directory_fd, name, 0);
	return r;
}

int evidence_keep(const char *state, const char *run_id, const struct text *text,
	struct evidence *evidence, struct error *err)
{
	autoclose int state_fd = state_directory_open(state, err), fd = -1;
	int r = -EEXIST;

	if (state_fd < 0)
		return state_fd;
	fd = state_directory_within(state_fd, DIRECTORY, 0700, err);
	if (fd < 0)
		return fd;
	if (text->failed)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	for (unsigned i = 0; r == -EEXIST && i < SAME_RUN_MAX; i++) {
		snprintf(evidence->name, sizeof(evidence->name), i ? "%s-%u.json" : "%s.json",
			run_id, i);
		r = write_file(fd, evidence->name, text);
	}
	if (r < 0) {
		evidence->name[0] = '\0';
		return error_set(
			err, r, ERROR_INTERNAL, "%s/" DIRECTORY ": %s", state, strerror(-r));
	}
	crypto_generichash(evidence->digest, sizeof(evidence->digest),
		(const unsigned char *)text_string(text), text->length, NULL, 0);
	return 0;
}

/* ---- what is over the bounds ---- */

struct kept {
	char name[EVIDENCE_NAME_BYTES];
	struct timespec when;
	uint64_t bytes;
};

static int compare_kept(const void *a, const void *b)
{
	const struct timespec *l = &((const struct kept *)a)->when;
	const struct timespec *r = &((const struct kept *)b)->when;

	if (l->tv_sec != r->tv_sec)
		return l->tv_sec < r->tv_sec ? -1 : 1;
	return (l->tv_nsec > r->tv_nsec) - (l->tv_nsec < r->tv_nsec);
}

static bool read_kept(int directory_fd, const char *name, struct kept *ret_kept)
{
	size_t length = strlen(name);
	struct stat st;

	if (length < 5 || length >= sizeof(ret_kept->name) ||
		strcmp(name + length - 5, ".json") != 0 ||
		fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return false;
	snprintf(ret_kept->name, sizeof(ret_kept->name), "%s", name);
	ret_kept->when = st.st_mtim;
	ret_kept->bytes = (uint64_t)st.st_size;
	return true;
}

static struct kept *list_kept(int directory_fd, size_t *ret_count)
{
	int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct kept *list = NULL;
	struct dirent *entry;
	size_t count = 0, room = 0;

	if (!directory)
		own_close(&fd);
	while (directory && (entry = readdir(directory))) {
		if (count == room) {
			struct kept *grown;

			room = room ? 2 * room : 64;
			grown = reallocarray(list, room, sizeof(*grown));
			if (!grown)
				break;
			list = grown;
		}
		count += read_kept(directory_fd, entry->d_name, &list[count]);
	}
	if (directory)
		closedir(directory);
	if (count)
		qsort(list, count, sizeof(*list), compare_kept);
	*ret_count = count;
	return list;
}

unsigned evidence_prune(int directory_fd, size_t files, uint64_t bytes, int64_t since_s)
{
	size_t count = 0;
	autofree struct kept *list = list_kept(directory_fd, &count);
	uint64_t total = 0;
	unsigned removed = 0;

	for (size_t i = 0; i < count; i++)
		total += list[i].bytes;
	for (size_t i = 0; i < count && (count - i > files || total > bytes); i++) {
		if (list[i].when.tv_sec >= since_s)
			break;
		removed += unlinkat(directory_fd, list[i].name, 0) == 0;
		total -= list[i].bytes;
	}
	return removed;
}

int evidence_settle(const char *state, int64_t since_s, struct error *err)
{
	autoclose int state_fd = state_directory_open(state, err), fd = -1;

	if (state_fd < 0)
		return state_fd;
	fd = state_directory_within(state_fd, DIRECTORY, 0700, err);
	if (fd < 0)
		return fd;
	evidence_prune(fd, EVIDENCE_KEPT_FILES, EVIDENCE_KEPT_BYTES, since_s);
	return fsync(fd) < 0 ? error_errno(err, "%s/" DIRECTORY, state) : 0;
}
