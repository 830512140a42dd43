/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "wire/plan.pb-c.h"

#define FILTER_INSTRUCTIONS_MAX                                                                    \
	4096 /* BPF_MAXINSNS of linux/bpf_common.h: the kernel takes no more */

/* Translate the table of seccomp (audit_arch, listener, unknown_*, syscalls sorted by number) into
 * a classic BPF program (struct sock_filter[], seccomp(2)) in seccomp->program, replacing what was
 * there.
 *
 * Layout: machine check, then a binary search over ranges of numbers that share an unconditional
 * action, weighted so that calls with argument rules are found first; then the argument rules; then
 * the returns. Until an argument is looked at only nr and arch are loaded and only constants
 * compared, which is what lets the kernel (5.11 and later) put every unconditionally allowed call
 * into its bitmap and not run the program at all. Every jump goes forward; the same table always
 * gives the same bytes.
 *
 * Errors: -EINVAL (kind INTERNAL) for a table that is not sorted or has a number, condition or
 * errno out of range (the kernel would cut an errno over 4095 and let 0 through as success), or
 * gates where nobody listens, who would let them all pass or fail; -E2BIG
 * over FILTER_INSTRUCTIONS_MAX; -ENOMEM. Pure. */
int filter_compile(Berm__Wire__Seccomp *seccomp, struct error *err) must_check;
