/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/runs-named.h"

#include <stdint.h>

/* Wait for runs to end by themselves. */

struct drain {
	const char *state;
	struct runs_named *named; /* read anew at each look: some may still have begun */
	uint64_t until_ms;        /* of drain_now_ms() */
	/* At each look, or NULL: how many last. */
	void (*each)(void *context, size_t left);
	void *context;
};

/* Boot time. */
uint64_t drain_now_ms(void);
/* Until none lasts (0 in *ret_left) or the time is over. An error where it cannot be told. */
int drain_wait(const struct drain *drain, size_t *ret_left, struct error *err) must_check;
