/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Which directory the pins are in. The first of these that there is: a bpffs at `own`, the host's
 * at /sys/fs/bpf where the directory "berm" on it is root's alone or can be made so, and, only with
 * mount, a bpffs that is mounted at `own` now (mode 0700, nosuid, nodev, noexec). `own`: absolute,
 * its parent belongs to root alone. Only one of several that start at once mounts.
 *
 * Errors: -ENOENT there is none (without mount); ERROR_UNSUPPORTED it cannot be mounted here;
 * ERROR_REFUSED something else is in its place, or others may write to it. */
int bpffs_find(
	const char *own, bool mount, char *path, size_t capacity, struct error *err) must_check;
