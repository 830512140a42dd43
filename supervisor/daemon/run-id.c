/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/run-id.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#define RANDOM_BYTES 10
#define TIME_DIGITS 10

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void run_id_format(
	uint64_t time_ms, const unsigned char random[RANDOM_BYTES], char ret_id[RUN_ID_LENGTH + 1])
{
	unsigned bits = 0, held = 0;
	int at = TIME_DIGITS;

	for (int i = TIME_DIGITS - 1; i >= 0; i--, time_ms >>= 5)
		ret_id[i] = digits[time_ms & 31];
	for (int i = 0; i < RANDOM_BYTES; i++) {
		bits = bits << 8 | random[i];
		for (held += 8; held >= 5; held -= 5)
			ret_id[at++] = digits[bits >> (held - 5) & 31];
	}
	ret_id[at] = '\0';
}

int run_id_make(char ret_id[RUN_ID_LENGTH + 1], struct error *err)
{
	unsigned char random[RANDOM_BYTES];
	struct timespec now;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return error_errno(err, "getrandom");
	clock_gettime(CLOCK_REALTIME, &now);
	run_id_format(
		(uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000, random, ret_id);
	return 0;
}

bool run_id_is_valid(const char *words)
{
	return strlen(words) == RUN_ID_LENGTH && strspn(words, digits) == RUN_ID_LENGTH;
}
