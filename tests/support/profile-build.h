/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Profiles made by hand for tests of what comes after the loader: fixed room, no allocation,
 * strings borrowed. */

#include "policy/host.h"
#include "policy/profile.h"

#include <assert.h>
#include <string.h>

#include "base/path.h"

#define BUILT_MAX 16

struct built {
	struct profile profile;
	struct path_rule read[BUILT_MAX], write[BUILT_MAX], ask[BUILT_MAX], deny[BUILT_MAX];
	struct path_rule protect[BUILT_MAX], canaries[BUILT_MAX], sockets[BUILT_MAX];
	struct network_rule net_allow[BUILT_MAX], net_ask[BUILT_MAX], net_deny[BUILT_MAX];
	uint16_t ports[3 * BUILT_MAX][1][2];
	size_t ports_used;
	struct exec_rule exec_allow[BUILT_MAX], exec_ask[BUILT_MAX], exec_deny[BUILT_MAX];
	const char *words[3 * BUILT_MAX][4];
	size_t words_used;
	struct string_rule sys_allow[BUILT_MAX], sys_deny[BUILT_MAX], sys_groups[BUILT_MAX];
	struct string_rule pass[BUILT_MAX], hide[BUILT_MAX], families[BUILT_MAX];
	struct env_set set[BUILT_MAX];
	unsigned line;
};

/* What the loader gives for an empty file. */
static inline void built_init(struct built *b)
{
	memset(b, 0, sizeof(*b));
	b->profile.name = "built";
	b->profile.exec.default_decision = DECISION_ALLOW;
	b->profile.fs.tmp.private = b->profile.fs.home.private = true;
	b->profile.fs.read.items = b->read;
	b->profile.fs.write.items = b->write;
	b->profile.fs.ask.items = b->ask;
	b->profile.fs.deny.items = b->deny;
	b->profile.fs.protect.items = b->protect;
	b->profile.fs.canaries.items = b->canaries;
	b->profile.network.unix_sockets.items = b->sockets;
	b->profile.network.allow.items = b->net_allow;
	b->profile.network.ask.items = b->net_ask;
	b->profile.network.deny.items = b->net_deny;
	b->profile.exec.allow.items = b->exec_allow;
	b->profile.exec.ask.items = b->exec_ask;
	b->profile.exec.deny.items = b->exec_deny;
	b->profile.syscalls.allow.items = b->sys_allow;
	b->profile.syscalls.deny.items = b->sys_deny;
	b->profile.syscalls.deny_groups.items = b->sys_groups;
	b->profile.syscalls.families.items = b->families;
	b->families[b->profile.syscalls.families.count++].text = "inet";
	b->families[b->profile.syscalls.families.count++].text = "inet6";
	b->profile.env.pass.items = b->pass;
	b->profile.env.hide.items = b->hide;
	b->profile.env.set = b->set;
}

static inline struct source built_at(struct built *b)
{
	return (struct source){.file = "built.yaml", .line = ++b->line, .column = 1};
}

static inline void built_path(
	struct built *b, struct path_rules *rules, const char *path, enum path_access access)
{
	assert(rules->count < BUILT_MAX);
	rules->items[rules->count++] = (struct path_rule){.path = path,
		.written = path,
		.is_glob = path_has_glob(path),
		.access = access,
		.at = built_at(b)};
}

/* port 0: every port. */
static inline void built_net(
	struct built *b, struct network_rules *rules, const char *where, unsigned port)
{
	struct network_rule rule = {.at = built_at(b)};
	struct address_range range;

	assert(rules->count < BUILT_MAX && b->ports_used < 3 * BUILT_MAX);
	if (address_range_parse(where, &range))
		rule.cidr = where;
	else
		rule.host = where;
	if (port) {
		rule.ports = b->ports[b->ports_used++];
		rule.ports[0][0] = rule.ports[0][1] = (uint16_t)port;
		rule.port_count = 1;
	}
	rules->items[rules->count++] = rule;
}

static inline void built_exec_path(struct built *b, struct exec_rules *rules, const char *path)
{
	assert(rules->count < BUILT_MAX);
	rules->items[rules->count++] =
		(struct exec_rule){.path = path, .written = path, .at = built_at(b)};
}

/* second and third may be NULL. */
static inline void built_command(struct built *b, struct exec_rules *rules, const char *first,
	const char *second, const char *third)
{
	const char **words = b->words[b->words_used++];

	assert(rules->count < BUILT_MAX);
	words[0] = first;
	words[1] = second;
	words[2] = third;
	rules->items[rules->count++] = (struct exec_rule){.command = words,
		.command_count = 1U + (second != NULL) + (third != NULL),
		.at = built_at(b)};
}

static inline void built_string(struct built *b, struct string_rules *rules, const char *text)
{
	assert(rules->count < BUILT_MAX);
	rules->items[rules->count++] = (struct string_rule){.text = text, .at = built_at(b)};
}

static inline void built_set(struct built *b, const char *name, const char *value)
{
	assert(b->profile.env.set_count < BUILT_MAX);
	b->set[b->profile.env.set_count++] =
		(struct env_set){.name = name, .value = value, .at = built_at(b)};
}
