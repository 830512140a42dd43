/* SPDX-License-Identifier: Apache-2.0 */

/* Rules as the kernel programs read them: anchored inodes, bit tables of names, tries of addresses.
 */
#include "meter/internal.h"
#include "meter/patterns.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/file.h>

/* ---- anchors ---- */

/* The domain of an inode: its own number for as long as it stays in memory, which fd takes care of.
 */
static int domain_of(struct meter *m, const struct inode_list *inodes, int fd, uint32_t *ret_domain,
	struct error *err)
{
	bool by_address = m->make == METER_MAKE_FMOD_RET;
	int map_fd = m->map_fd[by_address ? METER_MAP_numbered : METER_MAP_anchors];
	uint64_t address = by_address ? inodes_find(inodes, fd) : 0;
	const void *key = by_address ? (const void *)&address : (const void *)&fd;
	struct meter_anchor anchor = {0};

	if (m->make == METER_MAKE_NETWORK)
		return error_set(err, -ENOTSUP, ERROR_UNSUPPORTED,
			"the network's programs hold no rules about files");
	if (by_address && !address)
		return error_set(err, -EBADF, ERROR_INTERNAL, "find an open inode");
	/* An address that once was another inode's: its domain means nothing in a new scope, and
	 * in one that still goes on the mount holds that inode where it was. */
	if (bpf_map_lookup_elem(map_fd, key, &anchor) == 0) {
		*ret_domain = anchor.domain;
		return 0;
	}
	anchor.domain = 1 + __atomic_fetch_add(&m->host->next_domain, 1, __ATOMIC_RELAXED);
	if (bpf_map_update_elem(map_fd, key, &anchor, BPF_NOEXIST)) {
		if (errno != EEXIST || bpf_map_lookup_elem(map_fd, key, &anchor))
			return error_errno(err, "anchor an inode");
	}
	*ret_domain = anchor.domain;
	return 0;
}

/* The same inode at several places of one run: each mount's flags still hold there, so the rights
 * come together. What is uncounted in one place only is counted, what is shut in one place stays
 * shut, and the names protected below any of them are below all. */
static void merge_rights(
	struct meter *m, const struct meter_right_key *key, struct meter_right_value *value)
{
	struct meter_right_value earlier;
	uint32_t marks, here, there;

	if (bpf_map_lookup_elem(m->map_fd[METER_MAP_rights], key, &earlier))
		return;
	marks = (value->rights | earlier.rights) & METER_RIGHT_MARKS;
	here = value->rights & ~(uint32_t)METER_RIGHT_MARKS;
	there = earlier.rights & ~(uint32_t)METER_RIGHT_MARKS;
	value->rights = !here || !there ? 0
					: ((here | there) & ~(uint32_t)METER_RIGHT_SCRATCH) |
						  (here & there & METER_RIGHT_SCRATCH);
	if (marks & METER_RIGHT_PROTECTED)
		value->rights &= ~(uint32_t)METER_RIGHT_WRITE;
	value->rights |= marks;
	if (earlier.rights & METER_RIGHT_CANARY)
		value->rule = earlier.rule;
	for (size_t i = 0; i < METER_NAME_WORDS; i++)
		value->live.word[i] |= earlier.live.word[i];
}

static int set_anchor(struct meter *m, const struct inode_list *inodes, uint32_t scope,
	const struct meter_anchor_rule *anchor, const struct meter_bits *live, struct error *err)
{
	struct meter_right_value value = {
		.rights = anchor->rights, .rule = anchor->rule, .live = *live};
	struct meter_right_key key = {.scope = scope};
	int r;

	/* Whatever may be executed may be mapped. */
	if (value.rights & METER_RIGHT_EXEC)
		value.rights |= METER_RIGHT_MAP_EXEC;
	r = domain_of(m, inodes, anchor->fd, &key.domain, err);
	if (r)
		return error_wrap(err, "%s", anchor->path);
	merge_rights(m, &key, &value);
	if (bpf_map_update_elem(m->map_fd[METER_MAP_rights], &key, &value, BPF_ANY))
		return error_errno(err, "set the rights of %s", anchor->path);
	return 0;
}

int meter_scope_anchor(struct meter *meter, uint32_t scope, const struct meter_anchor_rule *anchor,
	struct error *err)
{
	static const struct meter_bits none;
	struct inode_list inodes = {0};
	int r = inodes_read(meter, &inodes, err);

	if (r == 0)
		r = set_anchor(meter, &inodes, scope, anchor, &none, err);
	inodes_finish(&inodes);
	return r;
}

/* ---- addresses ---- */

static bool covers(const struct meter_net_rule *wide, const struct meter_net_rule *narrow)
{
	uint32_t whole = wide->prefix_bits / 8, rest = wide->prefix_bits % 8;
	uint8_t mask = (uint8_t)(0xff00u >> rest);

	if (wide->listen != narrow->listen || wide->prefix_bits > narrow->prefix_bits)
		return false;
	if (memcmp(wide->address, narrow->address, whole) != 0)
		return false;
	return rest == 0 || ((wide->address[whole] ^ narrow->address[whole]) & mask) == 0;
}

/* Everything that covers one rule's prefix, denials first: the kernel finds the longest prefix and
 * looks no further. */
static int set_network(struct meter *m, uint32_t scope, const struct meter_rules *rules,
	size_t index, struct error *err)
{
	const struct meter_net_rule *own = &rules->networks[index];
	struct meter_net_value value = {0};
	struct meter_net_key key = {
		.prefix_bits = 64 + own->prefix_bits,
		.scope = htonl(scope),
		.direction = htonl(own->listen ? METER_NET_LISTEN : METER_NET_CONNECT),
	};

	if (own->prefix_bits > 128 || own->first_port > own->last_port)
		return error_set(
			err, -EINVAL, ERROR_INPUT, "network rule %u makes no sense", own->rule);
	memcpy(key.address, own->address, sizeof(key.address));
	for (int allow = 0; allow < 2; allow++) {
		for (size_t i = 0; i < rules->network_count; i++) {
			const struct meter_net_rule *rule = &rules->networks[i];

			if (rule->allow != (allow == 1) || !covers(rule, own))
				continue;
			if (value.count == METER_NET_RANGES)
				return error_set(err, -E2BIG, ERROR_UNSUPPORTED,
					"over %d network rules for the same addresses (rule %u)",
					METER_NET_RANGES, own->rule);
			value.range[value.count++] = (struct meter_net_range){
				.first = rule->first_port,
				.last = rule->last_port,
				.protocol = rule->protocol,
				.allow = rule->allow,
				.rule = (uint16_t)rule->rule,
			};
		}
	}
	if (bpf_map_update_elem(m->map_fd[METER_MAP_networks], &key, &value, BPF_ANY))
		return error_errno(err, "set network rule %u", own->rule);
	return 0;
}

/* ---- scopes ---- */

static int fill_scope(struct meter *m, uint32_t scope, const struct meter_rules *rules,
	struct pattern_tables *tables, struct error *err)
{
	struct inode_list inodes = {0};
	int r = pattern_compile(rules, tables, err);

	for (size_t i = 0; !r && m->make != METER_MAKE_NETWORK && i < tables->literal_count; i++) {
		struct meter_name_key key = {
			.hash = tables->literals[i].hash,
			.scope = scope,
			.length = tables->literals[i].length,
		};

		if (bpf_map_update_elem(
			    m->map_fd[METER_MAP_names], &key, &tables->literals[i].bits, BPF_ANY))
			r = error_errno(err, "set a protected name");
	}
	tables->scope.families = rules->families;
	tables->scope.network_rules = (uint32_t)rules->network_count;
	if (!r && bpf_map_update_elem(m->map_fd[METER_MAP_scopes], &scope, &tables->scope, BPF_ANY))
		r = error_errno(err, "set scope %u", scope);
	if (!r && rules->anchor_count)
		r = inodes_read(m, &inodes, err);
	for (size_t i = 0; !r && i < rules->anchor_count; i++) {
		const struct pattern_cover *cover = &tables->covers[i];
		struct meter_anchor_rule anchor = rules->anchors[i];

		anchor.rights = (anchor.rights & ~cover->refused) | cover->marks;
		if (cover->refused)
			anchor.rule = cover->rule;
		r = set_anchor(m, &inodes, scope, &anchor, &tables->live[i], err);
	}
	inodes_finish(&inodes);
	for (size_t i = 0; !r && i < rules->network_count; i++)
		r = set_network(m, scope, rules, i, err);
	return r;
}

/* Only where addresses stand for inodes does one supervisor take away what another one just found.
 */
static void lock_addresses(const struct meter *m, int operation)
{
	if (m->make == METER_MAKE_FMOD_RET && m->pins_fd >= 0)
		while (flock(m->pins_fd, operation) && errno == EINTR)
			;
}

int meter_scope_create(struct meter *meter, const struct meter_rules *rules, uint32_t *ret_scope,
	struct error *err)
{
	autofree struct pattern_tables *tables = calloc(1, sizeof(*tables));
	uint32_t scope = 0;
	int r;

	if (!tables)
		return error_errno(err, "allocate the tables of a scope");
	for (uint32_t i = 1; i < METER_SCOPES && !scope; i++) {
		uint32_t nobody = 0;

		if (__atomic_compare_exchange_n(&meter->host->scope_owner[i], &nobody,
			    (uint32_t)getpid(), false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			scope = i;
	}
	if (!scope)
		return error_set(err, -ENOSPC, ERROR_INTERNAL, "all %d sets of rules are taken",
			METER_SCOPES - 1);
	lock_addresses(meter, LOCK_EX);
	r = fill_scope(meter, scope, rules, tables, err);
	lock_addresses(meter, LOCK_UN);
	pattern_tables_finish(tables);
	if (r) {
		meter_scope_destroy(meter, scope);
		return r;
	}
	*ret_scope = scope;
	return 0;
}

/* Remove the keys of one scope from a map. scope_of says whose a key is. */
static void remove_keys(
	int fd, size_t key_bytes, uint32_t scope, uint32_t (*scope_of)(const void *key))
{
	_Alignas(8) unsigned char key[64], next[64];
	bool more = bpf_map_get_next_key(fd, NULL, next) == 0;

	while (more) {
		memcpy(key, next, key_bytes);
		/* The next one is asked for before this one goes, or the walk would begin anew. */
		more = bpf_map_get_next_key(fd, key, next) == 0;
		if (scope_of(key) == scope)
			bpf_map_delete_elem(fd, key);
	}
}

static uint32_t scope_of_right(const void *key)
{
	return ((const struct meter_right_key *)key)->scope;
}

static uint32_t scope_of_name(const void *key)
{
	return ((const struct meter_name_key *)key)->scope;
}

static uint32_t scope_of_network(const void *key)
{
	return ntohl(((const struct meter_net_key *)key)->scope);
}

static int compare_domains(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

/* Every domain that some scope has a rule for, sorted; NULL when memory ran out. */
static uint32_t *domains_in_use(struct meter *m, size_t *ret_count)
{
	struct meter_right_key key, next;
	uint32_t *domains = NULL;
	size_t count = 0, capacity = 0;
	int r = bpf_map_get_next_key(m->map_fd[METER_MAP_rights], NULL, &next);

	for (; r == 0; r = bpf_map_get_next_key(m->map_fd[METER_MAP_rights], &key, &next)) {
		key = next;
		if (count == capacity) {
			uint32_t *larger;

			capacity = capacity ? capacity * 2 : 256;
			larger = realloc(domains, capacity * sizeof(*domains));
			if (!larger) {
				free(domains);
				return NULL;
			}
			domains = larger;
		}
		domains[count++] = key.domain;
	}
	*ret_count = count;
	if (count)
		qsort(domains, count, sizeof(*domains), compare_domains);
	return domains ? domains : calloc(1, sizeof(*domains));
}

/* Forget the inodes that no scope has a rule for any more: by address nothing goes by itself. */
static void forget_addresses(struct meter *m)
{
	size_t count = 0;
	autofree uint32_t *domains = domains_in_use(m, &count);
	uint64_t address, next;
	struct meter_anchor anchor;
	bool more =
		domains && bpf_map_get_next_key(m->map_fd[METER_MAP_numbered], NULL, &next) == 0;

	while (more) {
		address = next;
		more = bpf_map_get_next_key(m->map_fd[METER_MAP_numbered], &address, &next) == 0;
		if (bpf_map_lookup_elem(m->map_fd[METER_MAP_numbered], &address, &anchor) == 0 &&
			!bsearch(&anchor.domain, domains, count, sizeof(*domains), compare_domains))
			bpf_map_delete_elem(m->map_fd[METER_MAP_numbered], &address);
	}
}

void meter_scope_destroy(struct meter *meter, uint32_t scope)
{
	if (scope == 0 || scope >= METER_SCOPES)
		return;
	/* The network's programs have no rules about files, and walking a large map takes time also
	 * where it is empty. */
	if (meter->make != METER_MAKE_NETWORK) {
		lock_addresses(meter, LOCK_EX);
		remove_keys(meter->map_fd[METER_MAP_rights], sizeof(struct meter_right_key), scope,
			scope_of_right);
		if (meter->make == METER_MAKE_FMOD_RET)
			forget_addresses(meter);
		lock_addresses(meter, LOCK_UN);
		remove_keys(meter->map_fd[METER_MAP_names], sizeof(struct meter_name_key), scope,
			scope_of_name);
	}
	remove_keys(meter->map_fd[METER_MAP_networks], sizeof(struct meter_net_key), scope,
		scope_of_network);
	__atomic_store_n(&meter->host->scope_owner[scope], 0, __ATOMIC_RELEASE);
}
