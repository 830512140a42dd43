/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/* A classic BPF interpreter of our own for seccomp filters, made from the description in seccomp(2)
 * and the kernel's Documentation/networking/filter.rst; shares nothing with the code that makes the
 * filters. */

/* What the kernel would say of the program at seccomp(SECCOMP_SET_MODE_FILTER): NULL where it would
 * take it, else why not. The rules: 1 to 4096 instructions; only the operations that seccomp knows;
 * loads of struct seccomp_data by aligned words inside it; jumps forward inside the program; no
 * division by a constant 0 and no constant shift over 31; scratch memory stored before it is loaded
 * on every path; a return at the end. */
const char *bpf_check(const struct sock_filter *program, size_t count);

/* Run a program that bpf_check() takes; gives the 32 bits that it returns. ret_steps (may be NULL)
 * receives the number of instructions executed. A division by X = 0 returns 0, as in the kernel. */
uint32_t bpf_run(const struct sock_filter *program, size_t count, const struct seccomp_data *data,
	unsigned *ret_steps);
