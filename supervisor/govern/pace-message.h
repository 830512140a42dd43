/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "govern/pace.h"

#define PACE_MESSAGE_MAX 65536 /* bytes of a packed group at most */
#define PACE_MESSAGE_VERSION 1

/* A group as the packed form of GroupState, in a new buffer (caller frees). -ENOMEM. */
int pace_pack(const struct pace_group *group, uint8_t **ret_bytes, size_t *ret_length,
	struct error *err) must_check;
/* The group again. Strict: only the one packed form that pace_pack() gives, every field within its
 * range, no moment that lies ahead of the group's clock, nothing twice. -EBADMSG with what is
 * wrong, -ENOMEM. */
int pace_unpack(const uint8_t *bytes, size_t length, struct pace_group *ret_group,
	struct error *err) must_check;
