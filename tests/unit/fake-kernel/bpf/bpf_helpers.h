/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The helpers that bpf/names.bpf.c calls; the test defines those that have a body of their own. */

#define SEC(name)
#define __always_inline inline
#define __noinline
#define __uint(name, value) int(*name)[value]
#define __type(name, value) __typeof__(value) *name
#define __array(name, value) __typeof__(value) *name[]
#define barrier_var(variable) __asm__ volatile("" : "+r"(variable))

void *bpf_map_lookup_elem(void *map, const void *key);
void *bpf_task_storage_get(void *map, struct task_struct *task, void *value, __u64 flags);
struct task_struct *bpf_get_current_task_btf(void);
__u64 bpf_ktime_get_ns(void);

static inline long bpf_probe_read_kernel(void *to, __u32 bytes, const void *from)
{
	memcpy(to, from, bytes);
	return 0;
}

static inline long bpf_get_func_ret(void *context, __u64 *result)
{
	(void)context;
	*result = 0;
	return 0;
}
