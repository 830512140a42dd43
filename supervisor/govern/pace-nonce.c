/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/pace.h"

#include <string.h>

/* Too old to be taken whoever looks: nothing is lost when it is forgotten. */
static bool is_past(const struct pace_nonce *nonce, uint64_t wall_ms)
{
	return wall_ms > PACE_STATEMENT_MS + PACE_SKEW_MS &&
	       nonce->signed_ms < wall_ms - PACE_STATEMENT_MS - PACE_SKEW_MS;
}

/* The most that a clock is set back by with what was used before in mind. */
#define FLOOR_AHEAD_MS (24 * 3600 * 1000ULL)

/* Signatures up to that time are not taken. A clock that is set back by less than a day must not
 * make anything new that was used; one that was far ahead when something was signed and used must
 * not keep out for ever what is signed since it was set right. */
static uint64_t floor_at(const struct pace_group *group, uint64_t wall_ms)
{
	uint64_t oldest = wall_ms > PACE_STATEMENT_MS + PACE_SKEW_MS
				  ? wall_ms - PACE_STATEMENT_MS - PACE_SKEW_MS
				  : 0;
	bool far_ahead =
		group->nonce_floor_ms > wall_ms && group->nonce_floor_ms - wall_ms > FLOOR_AHEAD_MS;

	return far_ahead ? oldest : group->nonce_floor_ms;
}

/* How many at the beginning of the list, which is in the order of signing, are forgotten. */
static size_t count_past(const struct pace_group *group, uint64_t wall_ms)
{
	size_t past = 0;

	while (past < group->nonce_count && is_past(&group->nonces[past], wall_ms))
		past++;
	return past;
}

enum pace_nonce_answer pace_nonce_ask(const struct pace_group *group,
	const uint8_t key[PACE_KEY_BYTES], const uint8_t nonce[PACE_NONCE_BYTES],
	uint64_t signed_ms, uint64_t wall_ms)
{
	size_t past = count_past(group, wall_ms), of_key = 0;

	if (signed_ms <= floor_at(group, wall_ms) ||
		(past && signed_ms <= group->nonces[past - 1].signed_ms))
		return PACE_NONCE_USED;
	for (size_t i = past; i < group->nonce_count; i++) {
		if (memcmp(group->nonces[i].nonce, nonce, PACE_NONCE_BYTES) == 0)
			return PACE_NONCE_USED;
		of_key += memcmp(group->nonces[i].key, key, PACE_KEY_BYTES) == 0;
	}
	return of_key < PACE_NONCES_PER_KEY && group->nonce_count - past < PACE_NONCES_MAX
		       ? PACE_NONCE_NEW
		       : PACE_NONCE_FULL;
}

void pace_nonce_use(struct pace_group *group, const uint8_t key[PACE_KEY_BYTES],
	const uint8_t nonce[PACE_NONCE_BYTES], uint64_t signed_ms, uint64_t wall_ms)
{
	struct pace_nonce *list = group->nonces;
	size_t past = count_past(group, wall_ms), at;

	group->nonce_floor_ms = floor_at(group, wall_ms);
	if (past) {
		group->nonce_floor_ms = list[past - 1].signed_ms;
		group->nonce_count -= past;
		memmove(list, list + past, group->nonce_count * sizeof(list[0]));
	}
	if (group->nonce_count == PACE_NONCES_MAX)
		return;
	for (at = group->nonce_count; at > 0 && list[at - 1].signed_ms > signed_ms; at--)
		list[at] = list[at - 1];
	memcpy(list[at].nonce, nonce, PACE_NONCE_BYTES);
	memcpy(list[at].key, key, PACE_KEY_BYTES);
	list[at].signed_ms = signed_ms;
	group->nonce_count++;
}
