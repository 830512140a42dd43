/* SPDX-License-Identifier: Apache-2.0 */
#include "meter/classes.h"

#include "base/own.h"

#include <stddef.h>
#include <string.h>

/* Only calls with a filter rule come here as denials, with the arguments that the rule names: ioctl
 * is one that types into a terminal, seccomp one that wants to answer in the supervisor's place
 * (plan/syscalls-arguments.c).
 *
 * No escape, and so a denial like any other, is what ordinary programs try: browsers, Bazel, Nix
 * and bubblewrap ask for a user namespace (clone, unshare) and then do without or say so;
 * debuggers, strace, and the leak detector of AddressSanitizer attach to processes (ptrace,
 * process_vm_readv, pidfd_getfd); profilers and benchmarks open perf events; package managers
 * chroot. All of it is refused, ends at the run's own processes, and gets nowhere by being tried
 * again. */
static const struct {
	const char *call;
	enum denial_class class;
} calls[] = {
	{"bpf", DENIAL_ESCAPE},
	{"delete_module", DENIAL_ESCAPE},
	{"finit_module", DENIAL_ESCAPE},
	{"fsconfig", DENIAL_ESCAPE},
	{"fsmount", DENIAL_ESCAPE},
	{"fsopen", DENIAL_ESCAPE},
	{"fspick", DENIAL_ESCAPE},
	{"init_module", DENIAL_ESCAPE},
	{"ioctl", DENIAL_ESCAPE},
	{"ioperm", DENIAL_ESCAPE},
	{"iopl", DENIAL_ESCAPE},
	{"kexec_file_load", DENIAL_ESCAPE},
	{"kexec_load", DENIAL_ESCAPE},
	{"mount", DENIAL_ESCAPE},
	{"mount_setattr", DENIAL_ESCAPE},
	{"move_mount", DENIAL_ESCAPE},
	{"open_by_handle_at", DENIAL_ESCAPE},
	{"open_tree", DENIAL_ESCAPE},
	{"open_tree_attr", DENIAL_ESCAPE},
	{"pivot_root", DENIAL_ESCAPE},
	{"reboot", DENIAL_ESCAPE},
	{"seccomp", DENIAL_ESCAPE},
	{"setns", DENIAL_ESCAPE},
	{"swapoff", DENIAL_ESCAPE},
	{"swapon", DENIAL_ESCAPE},
	{"umount2", DENIAL_ESCAPE},
	{"userfaultfd", DENIAL_ESCAPE},
	/* Mesa asks whether two descriptors are one file. */
	{"kcmp", DENIAL_QUIET},
	/* Kerberos looks for tickets in a keyring, and with it every git and ssh that can use one.
	 */
	{"add_key", DENIAL_QUIET},
	{"keyctl", DENIAL_QUIET},
	{"request_key", DENIAL_QUIET},
	{"arch_prctl", DENIAL_QUIET},
	{"memfd_create", DENIAL_QUIET},
	{"personality", DENIAL_QUIET},
	{"prctl", DENIAL_QUIET},
	{"setsockopt", DENIAL_QUIET},
	{"socketpair", DENIAL_QUIET},
};

/* The C library asks netlink for the host's addresses before each look-up of a name, OpenSSL looks
 * for the kernel's ciphers, and Python's tests for a radio. */
static const char *const quiet_families[] = {"family netlink", "family alg", "family bluetooth"};

enum denial_class denial_class_of(const char *operation, const char *target)
{
	for (size_t i = 0; strcmp(operation, "socket") == 0 && i < array_size(quiet_families); i++)
		if (strcmp(quiet_families[i], target) == 0)
			return DENIAL_QUIET;
	if (strcmp(operation, "syscall") != 0)
		return DENIAL_COUNTED;
	for (size_t i = 0; i < array_size(calls); i++)
		if (strcmp(calls[i].call, target) == 0)
			return calls[i].class;
	return DENIAL_COUNTED;
}
