/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/network-pool.h"

/* What a link needs of the host's own network. Nothing is changed. */

/* The uplink (NULL: none) is there and forwards; *ret_mtu gets its MTU, or stays as it is. Errors
 * (kind UNSUPPORTED) name what the operator has to set. */
int uplink_look(const char *uplink, bool has6, uint32_t *ret_mtu, struct error *err) must_check;
/* No interface but a run's link has an address that the pool holds, or holds the pool. */
int uplink_check_pool(const struct network_pool *pool, struct error *err) must_check;
/* Whether a file of /proc/sys holds another number than 0. */
int uplink_read_flag(const char *path, bool *ret_set, struct error *err) must_check;
