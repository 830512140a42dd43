/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/outputs.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sodium.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHUNK_BYTES (256U << 10)

const char *output_state_word(enum output_state state)
{
	static const char *const words[OUTPUT_STATE_COUNT] = {
		[OUTPUT_MISSING] = "missing",
		[OUTPUT_LINK] = "link",
		[OUTPUT_NOT_A_FILE] = "not_a_file",
		[OUTPUT_TOO_LARGE] = "too_large",
		[OUTPUT_UNREADABLE] = "unreadable",
	};

	return words[state];
}

/* With O_PATH nothing happens to what is opened, whatever it is. */
static int find(const char *path, struct stat *ret_st, enum output_state *ret_state)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (fd < 0) {
		*ret_state = errno == ELOOP                        ? OUTPUT_LINK
			     : errno == ENOENT || errno == ENOTDIR ? OUTPUT_MISSING
								   : OUTPUT_UNREADABLE;
		return -1;
	}
	if (fstat(fd, ret_st) == 0 && S_ISREG(ret_st->st_mode))
		return fd;
	*ret_state = S_ISLNK(ret_st->st_mode) ? OUTPUT_LINK : OUTPUT_NOT_A_FILE;
	close(fd);
	return -1;
}

/* The very file that was found, for reading. */
static int open_found(int found)
{
	char link[32];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", found);
	return open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* Others than the run may still write: no more is read than was promised. */
static enum output_state digest(int fd, uint8_t *buffer, uint64_t *left, struct output *output)
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, OUTPUT_DIGEST_BYTES);
	output->bytes = 0;
	for (;;) {
		ssize_t n = read(fd, buffer, CHUNK_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return OUTPUT_UNREADABLE;
		if (n == 0)
			break;
		if ((uint64_t)n > *left)
			return OUTPUT_TOO_LARGE;
		*left -= (uint64_t)n;
		output->bytes += (uint64_t)n;
		crypto_generichash_update(&state, buffer, (unsigned long long)n);
	}
	crypto_generichash_final(&state, output->digest, OUTPUT_DIGEST_BYTES);
	return OUTPUT_HASHED;
}

static void hash_one(struct output *output, uint8_t *buffer, uint64_t *left)
{
	struct stat st = {0};
	autoclose int found = find(output->path, &st, &output->state), fd = -1;

	if (found < 0)
		return;
	output->bytes = (uint64_t)st.st_size;
	if (output->bytes > *left) {
		output->state = OUTPUT_TOO_LARGE;
		return;
	}
	fd = open_found(found);
	output->state = fd < 0 ? OUTPUT_UNREADABLE : digest(fd, buffer, left, output);
}

int outputs_hash(const Berm__Wire__Recorder *recorder, struct output **ret_outputs,
	size_t *ret_count, struct error *err)
{
	size_t count = recorder ? recorder->n_outputs : 0;
	uint64_t left = OUTPUTS_BYTES_MAX;
	autofree uint8_t *buffer = NULL;
	struct output *outputs;

	*ret_outputs = NULL;
	*ret_count = 0;
	if (count == 0)
		return 0;
	outputs = calloc(count, sizeof(*outputs));
	buffer = malloc(CHUNK_BYTES);
	if (!outputs || !buffer) {
		free(outputs);
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory to hash the outputs");
	}
	for (size_t i = 0; i < count; i++) {
		outputs[i].path = recorder->outputs[i]->path;
		hash_one(&outputs[i], buffer, &left);
	}
	*ret_outputs = outputs;
	*ret_count = count;
	return 0;
}
