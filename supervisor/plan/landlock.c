/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

#include <linux/landlock.h>

/* Newer than the headers of Linux 6.1; numbers from include/uapi/linux/landlock.h of the releases
 * named. They are part of the kernel's ABI and never change. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14) /* ABI 3, Linux 6.2 */
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15) /* ABI 5, Linux 6.10 */
#endif
#ifndef LANDLOCK_ACCESS_FS_RESOLVE_UNIX
#define LANDLOCK_ACCESS_FS_RESOLVE_UNIX (1ULL << 16) /* ABI 9, Linux 7.1 */
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP (1ULL << 0) /* ABI 4, Linux 6.7 */
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ULL << 1)
#endif
#ifndef LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0) /* ABI 6, Linux 6.12 */
#define LANDLOCK_SCOPE_SIGNAL (1ULL << 1)
#endif

#define FS_ABI1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define NET_ABI4 (LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP)
#define SCOPE_ABI6 (LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL)

/* What each ABI added (landlock(7), "Landlock features by ABI version"). */
static const struct {
	uint32_t abi;
	uint64_t fs, net, scoped;
} abis[] = {
	{1, FS_ABI1, 0, 0},
	{2, LANDLOCK_ACCESS_FS_REFER, 0, 0},
	{3, LANDLOCK_ACCESS_FS_TRUNCATE, 0, 0},
	{4, 0, NET_ABI4, 0},
	{5, LANDLOCK_ACCESS_FS_IOCTL_DEV, 0, 0},
	{6, 0, 0, SCOPE_ABI6},
	{9, LANDLOCK_ACCESS_FS_RESOLVE_UNIX, 0, 0},
};

#define ABI_NEWEST 9 /* of the table; a newer kernel is asked for no more than that */

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define CHANGE                                                                                     \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |                             \
		LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                   \
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                        \
		LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                      \
		LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)
/* The kernel refuses other rights in a rule about something that is no directory. */
#define FILE_RIGHTS                                                                                \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |                            \
		LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_TRUNCATE |                         \
		LANDLOCK_ACCESS_FS_IOCTL_DEV | LANDLOCK_ACCESS_FS_RESOLVE_UNIX)

/* Never granted to anything: making device nodes. Granted to terminals and to device nodes that
 * fs.write names only: ioctl(2) on devices. */

/* Landlock adds up the rights of all rules on the way to the root, mounts or not: a rule that one
 * above it makes needless is a system call saved at each start. It also means that a read grant in
 * a place that the run may write (its private home) is kept by its mount alone. */
static bool is_given(const Berm__Wire__Landlock *l, const char *path, uint64_t access)
{
	uint64_t given = 0;

	for (size_t i = 0; i < l->n_paths; i++) {
		if (path_is_beneath(path, l->paths[i]->path))
			given |= l->paths[i]->access;
	}
	return (access & ~given) == 0;
}

static void add_path(struct compiler *c, const char *path, uint64_t access, uint32_t rule)
{
	Berm__Wire__Landlock *l = c->plan->landlock;
	Berm__Wire__LandlockPath *p;

	access &= l->handled_fs;
	if (is_given(l, path, access))
		return;
	p = malloc(sizeof(*p));
	if (!p || !message_push(c, &l->paths, &l->n_paths, p)) {
		free(p);
		c->out_of_memory = true;
		return;
	}
	berm__wire__landlock_path__init(p);
	p->path = message_string(c, path);
	p->access = access;
	p->rule = rule;
}

static uint64_t grant_access(const struct compiler *c, const struct grant *g)
{
	uint64_t access = READ;

	if (g->socket)
		return LANDLOCK_ACCESS_FS_RESOLVE_UNIX;
	if (g->write)
		access |= CHANGE;
	if (g->exec &&
		(c->profile->exec.default_decision == DECISION_ALLOW || path_may_exec(c, g->path)))
		access |= LANDLOCK_ACCESS_FS_EXECUTE;
	if (g->fact->resolved_kind == BERM__WIRE__FILE_KIND__FILE_DEVICE)
		access = READ |
			 (g->write ? LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_IOCTL_DEV
				   : 0);
	if (g->fact->resolved_kind != BERM__WIRE__FILE_KIND__FILE_DIRECTORY)
		access &= FILE_RIGHTS;
	return access;
}

static void add_grants(struct compiler *c)
{
	for (size_t i = 0; i < c->grant_count; i++) {
		const struct grant *g = &c->grants[i];

		if (!g->dropped)
			add_path(c, g->path, grant_access(c, g), g->rule);
	}
}

/* The ELF interpreters of the C libraries that Linux systems use; a program that may be run is of
 * no use without its own. */
static const char *const interpreters[] = {"/lib64/ld-linux-x86-64.so.2",
	"/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-aarch64.so.1"};

bool interpreter_name_is_known(const char *path)
{
	for (size_t i = 0; i < array_size(interpreters); i++) {
		if (strcmp(path, interpreters[i]) == 0)
			return true;
	}
	return false;
}

/* Where the run may write nothing can be run, but for the copies of the programs that are pinned.
 */
static void add_pinned(struct compiler *c)
{
	for (size_t i = 0; i < c->program_count; i++)
		add_path(c, c->programs[i].fact->resolved, LANDLOCK_ACCESS_FS_EXECUTE,
			c->programs[i].rule);
}

/* exec.default: deny (or ask): only what exec.allow names is executable. Landlock looks at the file
 * that execve(2) opens and at its interpreter, not at what an interpreter then maps. */
static void add_programs(struct compiler *c)
{
	const struct exec_rules *allow = &c->profile->exec.allow;
	bool pin = c->profile->exec.hash == EXEC_HASH_PIN;

	if (c->profile->exec.default_decision == DECISION_ALLOW)
		return;
	/* Pinned programs have theirs, and nothing else is to have it. */
	for (size_t i = 0; !pin && i < allow->count; i++) {
		const char *path = allow->items[i].path;
		const Berm__Wire__PathFact *fact = path ? fact_find(c, path) : NULL;
		uint32_t rule = rule_index(c, RULES_EXEC_ALLOW, i);

		if (!fact || !*fact->resolved || area_of(c, fact->resolved)->kind != AREA_GRANT ||
			path_may_not_exec(c, fact->resolved))
			continue;
		add_path(c, fact->resolved, LANDLOCK_ACCESS_FS_EXECUTE, rule);
	}
	/* Nothing can be run, so nothing needs one; it would run what it can read. */
	if (pin && !c->program_count)
		return;
	for (size_t i = 0; i < array_size(interpreters); i++) {
		const Berm__Wire__PathFact *fact = fact_find(c, interpreters[i]);

		if (fact && *fact->resolved && area_of(c, fact->resolved)->kind == AREA_GRANT)
			add_path(c, fact->resolved, LANDLOCK_ACCESS_FS_EXECUTE, 0);
	}
}

/* Landlock for /dev as a whole would also let a device node be written that fs.read names. */
static bool devices_granted(const struct compiler *c)
{
	for (size_t i = 0; i < c->area_count; i++) {
		const struct grant *g = c->areas[i].grant;

		if (g && g->fact->resolved_kind == BERM__WIRE__FILE_KIND__FILE_DEVICE)
			return true;
	}
	return false;
}

static void add_areas(struct compiler *c, bool single_nodes)
{
	/* Names only, and only of what was granted: the new root holds nothing else. */
	add_path(c, "/", LANDLOCK_ACCESS_FS_READ_DIR, 0);
	for (size_t i = 0; i < c->area_count; i++) {
		const struct area *a = &c->areas[i];
		uint64_t access = READ;

		if (a->kind == AREA_TMPFS)
			access |= CHANGE | (a->exec ? LANDLOCK_ACCESS_FS_EXECUTE : 0);
		else if (a->kind == AREA_DEV)
			access = single_nodes ? LANDLOCK_ACCESS_FS_READ_DIR
					      : READ | LANDLOCK_ACCESS_FS_WRITE_FILE;
		else if (a->kind != AREA_PROC)
			continue;
		add_path(c, a->path, access, a->rule);
	}
}

static void add_own(struct compiler *c)
{
	const uint64_t node = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
	bool single_nodes = devices_granted(c);

	add_areas(c, single_nodes);
	for (size_t i = 0; i < c->plan->n_mounts; i++) {
		const Berm__Wire__Mount *m = c->plan->mounts[i];
		bool terminal = strcmp(m->target, "/dev/tty") == 0;
		const Berm__Wire__PathFact *fact;

		if (m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_FILE)
			add_path(c, m->target, LANDLOCK_ACCESS_FS_READ_FILE, m->rule);
		if (m->kind == BERM__WIRE__MOUNT_KIND__MOUNT_DEVPTS)
			add_path(c, m->target,
				node | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_IOCTL_DEV,
				0);
		if (m->kind != BERM__WIRE__MOUNT_KIND__MOUNT_DEVICE || m->source_ino ||
			!(terminal || single_nodes))
			continue;
		/* The host may lack it, and a rule needs its object: a fact must have seen it. */
		fact = fact_find(c, m->target);
		if (fact && *fact->resolved)
			add_path(c, m->target, node | (terminal ? LANDLOCK_ACCESS_FS_IOCTL_DEV : 0),
				0);
	}
}

int plan_landlock(struct compiler *c)
{
	Berm__Wire__Landlock *l = malloc(sizeof(*l));

	if (!l)
		return -ENOMEM;
	berm__wire__landlock__init(l);
	c->plan->landlock = l;
	for (size_t i = 0; i < array_size(abis); i++) {
		if (abis[i].abi > c->facts->landlock_abi)
			break;
		l->abi = c->facts->landlock_abi < ABI_NEWEST ? c->facts->landlock_abi : ABI_NEWEST;
		l->handled_fs |= abis[i].fs;
		l->scoped |= abis[i].scoped;
		/* In a network namespace of its own a run may use TCP with itself. Rights are
		 * handled only where a namespace was wanted and is missing. */
		if (c->network_missing)
			l->handled_net |= abis[i].net;
	}
	if (!l->abi)
		return 0;
	add_own(c);
	add_grants(c);
	add_pinned(c);
	add_programs(c);
	return c->out_of_memory ? -ENOMEM : 0;
}
