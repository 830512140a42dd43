/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/content.h"

#include "base/io.h"

#include <errno.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES 65536

static int take_pieces(
	int fd, int to, uint64_t most_bytes, crypto_generichash_state *state, uint64_t *ret_bytes)
{
	unsigned char piece[PIECE_BYTES];
	uint64_t bytes = 0;
	ssize_t n;

	for (;;) {
		int r = 0;

		n = pread(fd, piece, sizeof(piece), (off_t)bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		bytes += (uint64_t)n;
		if (bytes > most_bytes)
			return -EFBIG;
		if (to >= 0)
			r = io_write_all(to, piece, (size_t)n);
		if (r < 0)
			return r;
		if (crypto_generichash_update(state, piece, (unsigned long long)n))
			return -EIO;
	}
	if (n < 0)
		return -errno;
	*ret_bytes = bytes;
	return 0;
}

int content_take(int fd, int to, uint64_t most_bytes, uint8_t ret_digest[CONTENT_DIGEST_BYTES],
	uint64_t *ret_bytes)
{
	crypto_generichash_state state;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((uint64_t)st.st_size > most_bytes)
		return -EFBIG;
	if (crypto_generichash_init(&state, NULL, 0, CONTENT_DIGEST_BYTES))
		return -EIO;
	r = take_pieces(fd, to, most_bytes, &state, ret_bytes);
	if (r == 0 && crypto_generichash_final(&state, ret_digest, CONTENT_DIGEST_BYTES))
		r = -EIO;
	return r;
}
