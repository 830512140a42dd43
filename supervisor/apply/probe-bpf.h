/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Load the smallest BPF LSM program (return 0) and close it again: 0, or the negative errno;
 * -ENOENT where the kernel has no BTF or no such hook. Attaches nothing. */
int probe_bpf_lsm_load(void);

/* The id of a function in BTF data (Documentation/bpf/btf.rst of the kernel), or -ENOENT; -EBADMSG
 * for data that does not hold together. Reads no byte outside of data. */
int32_t btf_find_function(const void *data, size_t length, const char *name);
