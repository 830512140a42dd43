/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/* Who would be told: a server of the suite on the host's loopback. */
struct listener {
	int fd; /* owned */
	unsigned port;
};

/* False with errno where there is none. */
bool listener_open(struct listener *listener);
/* How many came since it was asked last. */
unsigned listener_count(const struct listener *listener);
