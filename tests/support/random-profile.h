/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Random profiles over a small world, so that rules meet often. random_state is the seed of what
 * comes next: a round depends on it alone. */

#include "profile-build.h"

#include "base/own.h"
#include "policy/decide.h"

#include <stdlib.h>

static uint64_t random_state;

/* splitmix64: a round depends on its seed alone, on every machine. */
static inline uint64_t random_next(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

static inline unsigned pick(unsigned below)
{
	return (unsigned)(random_next() % below);
}

#define PICK(list) ((list)[pick(array_size(list))])

static const char *const literals[] = {"/", "/a", "/a/b", "/a/b/c", "/a/bc", "/b", "/b/c", "/tmp",
	"/tmp/a", "/dev", "/dev/null", "/etc/passwd", "/proc"};
static const char *const sockets[] = {"/a/b", "/b/c", "/tmp/a"};
static const char *const globs[] = {
	"/a/*", "/a/**", "/*/b", "/**/c", "/a/b?", "/tmp/*", "/**/[bc]"};
static const char *const objects[] = {"/", "/a", "/a/b", "/a/b/c", "/a/b/c/d", "/a/bc", "/a/bd",
	"/b", "/b/c", "/b/d", "/c", "/tmp", "/tmp/a", "/tmp/b/c", "/dev/null", "/dev/kvm",
	"/etc/passwd", "/proc/self/maps", "a", "/a//b"};
static const char *const places[] = {"x.example", "*.x.example", "**.x.example", "y.example",
	"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "0.0.0.0/0", "::/0", "fe80::/10", "169.254.0.0/16",
	"169.254.169.254", "127.0.0.0/8", "64:ff9b::/96"};
static const char *const targets[] = {"x.example:80", "a.x.example:80", "a.b.x.example:443",
	"y.example:443/udp", "10.1.2.3:80", "10.2.2.3:443", "[::ffff:10.1.2.3]:80",
	"169.254.169.254:80", "[fe80::1]:80", "127.0.0.1:80", "[64:ff9b::a01:203]:80",
	"[64:ff9b::a9fe:a9fe]:80", "[2001:db8::1]:443", "unix:/a/b", "unix:/tmp/a", "unix:/b/c",
	"nonsense"};
static const char *const calls[] = {"read", "ptrace", "shmget", "bpf", "clone3", "inotify_init1"};
static const char *const groups[] = {"ipc", "watch", "debug", "file-io", "bpf"};
static const char *const patterns[] = {"A", "A*", "*", "LD_PRELOAD", "LD_*", "B?"};
static const char *const names[] = {"A", "AB", "B", "BC", "LD_PRELOAD", "LD_X", "PATH"};
static const char *const commands[] = {"b", "c", "d"};

/* A rule of one list, added when its turn comes. */
enum list {
	FS_READ,
	FS_WRITE,
	NET_ALLOW,
	NET_UNIX,
	EXEC_ALLOW,
	SYS_ALLOW,
	ENV_PASS,
	ALLOWS, /* from here on: lists that only take away */
	FS_DENY = ALLOWS,
	FS_PROTECT,
	FS_CANARY,
	NET_DENY,
	EXEC_DENY,
	SYS_DENY,
	SYS_DENY_GROUP,
	ENV_HIDE,
	DENIES, /* asks: allowed never grows by one; what was denied may become a question */
	FS_ASK = DENIES,
	NET_ASK,
	EXEC_ASK,
	LISTS
};

static inline void add_exec(struct built *b, struct exec_rules *rules)
{
	if (pick(2))
		built_exec_path(b, rules, PICK(literals));
	else
		built_command(b, rules, PICK(commands), pick(2) ? PICK(commands) : NULL, NULL);
}

static inline const char *path_or_glob(void)
{
	return pick(2) ? PICK(globs) : PICK(literals);
}

static inline void add_rule(struct built *b, enum list list)
{
	struct profile *p = &b->profile;
	unsigned port = pick(2) ? 80 : 0;

	switch (list) {
	case FS_READ:
		built_path(b, &p->fs.read, PICK(literals), PATH_READ);
		break;
	case FS_WRITE:
		built_path(b, &p->fs.write, PICK(literals), PATH_READ);
		break;
	case NET_ALLOW:
		built_net(b, &p->network.allow, PICK(places), port);
		break;
	case NET_UNIX:
		built_path(b, &p->network.unix_sockets, PICK(sockets), PATH_READ);
		break;
	case EXEC_ALLOW:
		add_exec(b, &p->exec.allow);
		break;
	case SYS_ALLOW:
		built_string(b, &p->syscalls.allow, PICK(calls));
		break;
	case ENV_PASS:
		built_string(b, &p->env.pass, PICK(patterns));
		break;
	case FS_DENY:
		built_path(b, &p->fs.deny, path_or_glob(), PATH_READ);
		break;
	case FS_PROTECT:
		built_path(b, &p->fs.protect, path_or_glob(), PATH_READ);
		break;
	case FS_CANARY:
		built_path(b, &p->fs.canaries, path_or_glob(), PATH_READ);
		break;
	case NET_DENY:
		built_net(b, &p->network.deny, PICK(places), port);
		break;
	case EXEC_DENY:
		add_exec(b, &p->exec.deny);
		break;
	case SYS_DENY:
		built_string(b, &p->syscalls.deny, PICK(calls));
		break;
	case SYS_DENY_GROUP:
		built_string(b, &p->syscalls.deny_groups, PICK(groups));
		break;
	case ENV_HIDE:
		built_string(b, &p->env.hide, PICK(patterns));
		break;
	case FS_ASK:
		built_path(b, &p->fs.ask, PICK(literals), pick(2) ? PATH_READ : PATH_WRITE);
		break;
	case NET_ASK:
		built_net(b, &p->network.ask, PICK(places), port);
		break;
	case EXEC_ASK:
		add_exec(b, &p->exec.ask);
		break;
	case LISTS:
		break;
	}
}

static inline void random_profile(struct built *b)
{
	built_init(b);
	b->profile.exec.default_decision = (enum decision)pick(DECISION_COUNT);
	b->profile.fs.tmp.private = pick(2);
	b->profile.network.mode = pick(4) ? NETWORK_MODE_SCOPED : NETWORK_MODE_HOST;
	b->profile.syscalls.base = (enum syscall_base)pick(SYSCALL_BASE_COUNT);
	b->profile.syscalls.families.count = pick(4) ? 2 : pick(3);
	if (pick(2))
		built_string(b, &b->profile.syscalls.families, "unix");
	for (unsigned left = pick(12); left > 0; left--)
		add_rule(b, (enum list)pick(LISTS));
}

static inline const char *random_object(enum operation operation)
{
	switch (operation) {
	case OPERATION_READ:
	case OPERATION_WRITE:
		return PICK(objects);
	case OPERATION_EXEC:
		return pick(4) ? PICK(objects) : pick(2) ? "b c" : PICK(commands);
	case OPERATION_CONNECT:
		return PICK(targets);
	case OPERATION_SYSCALL:
		return PICK(calls);
	case OPERATION_ENV:
		return PICK(names);
	case OPERATION_COUNT:
		break;
	}
	return "";
}

static inline uint64_t environment_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}
