/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/syscalls-gate.h"

#include "base/own.h"
#include "wire/effects.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

/* Only registers are looked at, 32 bits where the kernel takes an int: see syscalls-arguments.c. */

/* clang-format off */
#define BITS(argument, mask, value) { (argument), false, (uint32_t)(mask), (uint32_t)(value) }
#define ANY(argument, bits)         { (argument), true, (uint32_t)(bits), 0 }
#define EQUAL(argument, value)      { (argument), false, UINT32_MAX, (uint32_t)(value) }

#define TMPFILE_BIT 020000000U      /* asm-generic/fcntl.h: __O_TMPFILE */

#define CHANGED CHARGE_ONE(COUNTER_FILES_CHANGED)
#define TWO_CHANGED (CHANGED | CHARGE_MORE(COUNTER_FILES_CHANGED))
#define DELETED CHARGE_ONE(COUNTER_FILES_DELETED)
#define MADE    (CHARGE_ONE(COUNTER_FILES_CREATED) | CHANGED)

/* An O_TMPFILE has no name yet: linkat(2) is what counts it. O_TRUNC empties also what is opened for
 * reading, and the access mode 3 of ioctl(2) users needs the right to write (open(2)). */
#define OPEN(flags) \
	{ .conditions = { ANY(flags, TMPFILE_BIT) }, .needs = POSTURE_NO_WRITE }, \
	{ .conditions = { ANY(flags, O_CREAT) }, .charge = MADE, .needs = POSTURE_NO_WRITE }, \
	{ .conditions = { ANY(flags, O_ACCMODE | O_TRUNC) }, .charge = CHANGED, .needs = POSTURE_NO_WRITE }

static const struct gate_rule open_rules[] =      { OPEN(1) };
static const struct gate_rule openat_rules[] =    { OPEN(2) };
static const struct gate_rule changes[] =         { { .charge = CHANGED, .needs = POSTURE_NO_WRITE } };
static const struct gate_rule makes[] =           { { .charge = MADE, .needs = POSTURE_NO_WRITE } };
static const struct gate_rule removes[] =         { { .charge = DELETED, .needs = POSTURE_NO_WRITE } };
static const struct gate_rule renames[] =         { { .charge = TWO_CHANGED | DELETED, .needs = POSTURE_NO_WRITE } };
static const struct gate_rule renameat2_rules[] = {
	{ .conditions = { ANY(4, RENAME_EXCHANGE) }, .charge = TWO_CHANGED, .needs = POSTURE_NO_WRITE },
	{ .conditions = { ANY(4, RENAME_NOREPLACE) }, .charge = CHANGED, .needs = POSTURE_NO_WRITE },
	{ .charge = TWO_CHANGED | DELETED, .needs = POSTURE_NO_WRITE },
};

/* Those that change a file through a descriptor that was opened for reading only. */
#define ATTRIBUTES(request) { .conditions = { EQUAL(1, request) }, .charge = CHANGED, .needs = POSTURE_NO_WRITE }
#define FSVERITY_ENABLE      0x40806685U               /* linux/fsverity.h: FS_IOC_ENABLE_VERITY */
#define ENCRYPTION_POLICY    0x800c6613U               /* linux/fscrypt.h: FS_IOC_SET_ENCRYPTION_POLICY */
static const struct gate_rule ioctl_rules[] = {
	ATTRIBUTES(FS_IOC_SETFLAGS),
	ATTRIBUTES(FS_IOC_FSSETXATTR),
	ATTRIBUTES(FS_IOC_SETVERSION),
	ATTRIBUTES(FSVERITY_ENABLE),
	ATTRIBUTES(ENCRYPTION_POLICY),
};

/* Not counted: a handler that has its calls interrupted is mended on its way (apply/restart.c). */
static const struct gate_rule sigaction_rules[] = {
	{ .conditions = { EQUAL(0, SIGCHLD), { 1, true, UINT64_MAX, 0 } } },
};

static const struct gate_rule clone_rules[] = {
	{ .conditions = { BITS(0, CLONE_THREAD, 0) }, .charge = CHARGE_ONE(COUNTER_PROCESSES_STARTED),
	  .needs = POSTURE_NO_FORK },
};
static const struct gate_rule forks[] = {
	{ .charge = CHARGE_ONE(COUNTER_PROCESSES_STARTED), .needs = POSTURE_NO_FORK },
};
static const struct gate_rule execs[] = {
	{ .charge = CHARGE_ONE(COUNTER_PROGRAMS_STARTED), .needs = POSTURE_NO_EXEC },
};
/* The family lies in memory, and a socket of the unix family is a file; a pair has that family too. */
static const struct gate_rule bind_rules[] =      { { .charge = MADE, .needs = POSTURE_NO_WRITE } };
static const struct gate_rule sockets[] =         { { .needs = POSTURE_NO_NETWORK } };

#define ENTRY(call, number, rules)   { call, number, false, rules, array_size(rules) }
#define NETWORK(call, number, rules) { call, number, true, rules, array_size(rules) }
static const struct gate_entry table[] = {
	ENTRY("open",                2, open_rules),
	ENTRY("rt_sigaction",       13, sigaction_rules),
	ENTRY("ioctl",              16, ioctl_rules),
	NETWORK("connect",          42, sockets),
	NETWORK("accept",           43, sockets),
	NETWORK("sendto",           44, sockets),
	NETWORK("sendmsg",          46, sockets),
	ENTRY("bind",               49, bind_rules),
	NETWORK("listen",           50, sockets),
	ENTRY("clone",              56, clone_rules),
	ENTRY("fork",               57, forks),
	ENTRY("vfork",              58, forks),
	ENTRY("execve",             59, execs),
	ENTRY("truncate",           76, changes),
	ENTRY("ftruncate",          77, changes),
	ENTRY("rename",             82, renames),
	ENTRY("mkdir",              83, makes),
	ENTRY("rmdir",              84, removes),
	ENTRY("creat",              85, makes),
	ENTRY("link",               86, makes),
	ENTRY("unlink",             87, removes),
	ENTRY("symlink",            88, makes),
	ENTRY("chmod",              90, changes),
	ENTRY("fchmod",             91, changes),
	ENTRY("chown",              92, changes),
	ENTRY("fchown",             93, changes),
	ENTRY("lchown",             94, changes),
	ENTRY("utime",             132, changes),
	ENTRY("mknod",             133, makes),
	ENTRY("setxattr",          188, changes),
	ENTRY("lsetxattr",         189, changes),
	ENTRY("fsetxattr",         190, changes),
	ENTRY("removexattr",       197, changes),
	ENTRY("lremovexattr",      198, changes),
	ENTRY("fremovexattr",      199, changes),
	ENTRY("utimes",            235, changes),
	ENTRY("openat",            257, openat_rules),
	ENTRY("mkdirat",           258, makes),
	ENTRY("mknodat",           259, makes),
	ENTRY("fchownat",          260, changes),
	ENTRY("futimesat",         261, changes),
	ENTRY("unlinkat",          263, removes),
	ENTRY("renameat",          264, renames),
	ENTRY("linkat",            265, makes),
	ENTRY("symlinkat",         266, makes),
	ENTRY("fchmodat",          268, changes),
	ENTRY("utimensat",         280, changes),
	ENTRY("fallocate",         285, changes),
	NETWORK("accept4",         288, sockets),
	ENTRY("open_by_handle_at", 304, openat_rules),
	NETWORK("sendmmsg",        307, sockets),
	ENTRY("renameat2",         316, renameat2_rules),
	ENTRY("execveat",          322, execs),
	ENTRY("fchmodat2",         452, changes),
	ENTRY("setxattrat",        463, changes),
	ENTRY("removexattrat",     466, changes),
	ENTRY("file_setattr",      469, changes),
};
/* clang-format on */

const struct gate_entry *gate_table(size_t *ret_count)
{
	*ret_count = array_size(table);
	return table;
}

static int compare_number(const void *number, const void *entry)
{
	return *(const int16_t *)number - ((const struct gate_entry *)entry)->x86_64;
}

const struct gate_entry *gate_find(int16_t x86_64)
{
	return bsearch(&x86_64, table, array_size(table), sizeof(table[0]), compare_number);
}
