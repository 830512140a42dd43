/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/pace.h"

#include <string.h>

bool pace_nonce_is_new(
	const struct pace_group *group, const uint8_t nonce[PACE_NONCE_BYTES], uint64_t signed_ms)
{
	if (signed_ms <= group->nonce_floor_ms)
		return false;
	for (size_t i = 0; i < group->nonce_count; i++)
		if (memcmp(group->nonces[i].nonce, nonce, PACE_NONCE_BYTES) == 0)
			return false;
	return true;
}

void pace_nonce_use(
	struct pace_group *group, const uint8_t nonce[PACE_NONCE_BYTES], uint64_t signed_ms)
{
	struct pace_nonce *list = group->nonces;
	size_t at = group->nonce_count;

	if (group->nonce_count == PACE_NONCES_MAX) {
		if (signed_ms <= list[0].signed_ms) {
			/* Itself the oldest one: forgotten at once, with all that are as old. */
			if (signed_ms > group->nonce_floor_ms)
				group->nonce_floor_ms = signed_ms;
			return;
		}
		if (list[0].signed_ms > group->nonce_floor_ms)
			group->nonce_floor_ms = list[0].signed_ms;
		memmove(list, list + 1, (PACE_NONCES_MAX - 1) * sizeof(list[0]));
		at = --group->nonce_count;
	}
	for (; at > 0 && list[at - 1].signed_ms > signed_ms; at--)
		list[at] = list[at - 1];
	memcpy(list[at].nonce, nonce, PACE_NONCE_BYTES);
	list[at].signed_ms = signed_ms;
	group->nonce_count++;
}
