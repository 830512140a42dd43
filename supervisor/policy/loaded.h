/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/arena.h"
#include "policy/profile.h"

/* What profile_destroy() frees: the profile is its first member, so one pointer is both. */
struct loaded {
	struct profile profile;
	struct arena arena;
};
