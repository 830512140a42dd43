/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/network-filter.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <string.h>

/* linux/netfilter_ipv4.h and _ipv6.h name these; the numbers are the same. */
#define PRIORITY_FILTER 0
#define PRIORITY_SOURCE_NAT 100
/* NF_CT_STATE_BIT(IP_CT_ESTABLISHED) and of IP_CT_RELATED (nf_conntrack_common.h). */
#define STATE_ESTABLISHED 2
#define STATE_RELATED 4
#define MESSAGES_MAX 12

enum part {
	PART_END,
	PART_FROM_LINK,
	PART_TO_LINK,
	PART_TO_UPLINK,
	PART_NOT_TO_UPLINK,
	PART_NEW, /* of no connection that is known */
	PART_DROP,
	PART_MASQUERADE,
	PART_COUNT
};

struct chain {
	const char *name, *type;
	uint32_t hook, priority;
};

struct rule {
	const struct chain *chain;
	enum part parts[4];
};

static const struct chain forward = {"forward", "filter", NF_INET_FORWARD, PRIORITY_FILTER};
static const struct chain postrouting = {
	"postrouting", "nat", NF_INET_POST_ROUTING, PRIORITY_SOURCE_NAT};

static const struct rule with_uplink[] = {
	{&forward, {PART_FROM_LINK, PART_NOT_TO_UPLINK, PART_DROP}},
	{&forward, {PART_TO_LINK, PART_NEW, PART_DROP}},
	{&postrouting, {PART_FROM_LINK, PART_TO_UPLINK, PART_MASQUERADE}},
};
static const struct rule without_uplink[] = {
	{&forward, {PART_FROM_LINK, PART_DROP}},
	{&forward, {PART_TO_LINK, PART_DROP}},
};

/* What a batch is made of. failed: something did not fit or memory ran out. */
struct batch {
	const char *table, *uplink;
	struct nl_msg *messages[MESSAGES_MAX];
	size_t count;
	int failed;
};

static struct nl_msg *add(
	struct batch *b, uint16_t type, uint16_t flags, uint8_t family, uint16_t resource)
{
	struct nfgenmsg head = {
		.nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(resource)};
	struct nl_msg *m =
		b->count < MESSAGES_MAX ? nlmsg_alloc_simple(type, NLM_F_REQUEST | flags) : NULL;

	if (!m || nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) < 0) {
		b->failed = -ENOMEM;
		nlmsg_free(m);
		return NULL;
	}
	b->messages[b->count++] = m;
	return m;
}

static struct nl_msg *add_object(struct batch *b, uint16_t message, uint16_t flags)
{
	return add(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | message),
		NLM_F_CREATE | NLM_F_ACK | flags, NFPROTO_INET, 0);
}

static int put_be32(struct nl_msg *m, int attribute, uint32_t value)
{
	return nla_put_u32(m, attribute, htonl(value));
}

static void add_table(struct batch *b)
{
	struct nl_msg *m = add_object(b, NFT_MSG_NEWTABLE, NLM_F_EXCL);

	if (m)
		b->failed |= nla_put_string(m, NFTA_TABLE_NAME, b->table) |
			     put_be32(m, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
}

static void add_chain(struct batch *b, const struct chain *chain)
{
	struct nl_msg *m = add_object(b, NFT_MSG_NEWCHAIN, NLM_F_EXCL);
	struct nlattr *hook;

	if (!m)
		return;
	b->failed |= nla_put_string(m, NFTA_CHAIN_TABLE, b->table) |
		     nla_put_string(m, NFTA_CHAIN_NAME, chain->name) |
		     nla_put_string(m, NFTA_CHAIN_TYPE, chain->type) |
		     put_be32(m, NFTA_CHAIN_POLICY, NF_ACCEPT);
	hook = nla_nest_start(m, NFTA_CHAIN_HOOK);
	if (!hook) {
		b->failed = -ENOMEM;
		return;
	}
	b->failed |= put_be32(m, NFTA_HOOK_HOOKNUM, chain->hook) |
		     put_be32(m, NFTA_HOOK_PRIORITY, chain->priority);
	nla_nest_end(m, hook);
}

/* One attribute that holds another which holds bytes: NFTA_CMP_DATA and the like. */
static int put_data(struct nl_msg *m, int attribute, const void *bytes, int length)
{
	struct nlattr *nest = nla_nest_start(m, attribute);

	if (!nest || nla_put(m, NFTA_DATA_VALUE, length, bytes) < 0)
		return -ENOMEM;
	nla_nest_end(m, nest);
	return 0;
}

/* An expression: its name and whatever put writes. */
static int put_expression(struct nl_msg *m, const char *name,
	int (*put)(struct nl_msg *m, const void *context), const void *context)
{
	struct nlattr *element = nla_nest_start(m, NFTA_LIST_ELEM), *data;

	if (!element || nla_put_string(m, NFTA_EXPR_NAME, name) < 0)
		return -ENOMEM;
	if (put) {
		data = nla_nest_start(m, NFTA_EXPR_DATA);
		if (!data || put(m, context) < 0)
			return -ENOMEM;
		nla_nest_end(m, data);
	}
	nla_nest_end(m, element);
	return 0;
}

struct comparison {
	uint32_t operation;
	const void *bytes;
	int length;
};

static int put_comparison(struct nl_msg *m, const void *context)
{
	const struct comparison *c = context;

	return put_be32(m, NFTA_CMP_SREG, NFT_REG_1) | put_be32(m, NFTA_CMP_OP, c->operation) |
	       put_data(m, NFTA_CMP_DATA, c->bytes, c->length);
}

static int put_meta(struct nl_msg *m, const void *context)
{
	const uint32_t *key = context;

	return put_be32(m, NFTA_META_KEY, *key) | put_be32(m, NFTA_META_DREG, NFT_REG_1);
}

static int match_interface(struct nl_msg *m, uint32_t key, uint32_t operation, const char *name)
{
	char padded[IFNAMSIZ] = "";
	const struct comparison same = {operation, padded, sizeof(padded)};

	/* The register holds the whole array (nft_meta_store_ifname). */
	snprintf(padded, sizeof(padded), "%s", name);
	return put_expression(m, "meta", put_meta, &key) |
	       put_expression(m, "cmp", put_comparison, &same);
}

static int put_state(struct nl_msg *m, const void *context)
{
	(void)context;
	return put_be32(m, NFTA_CT_KEY, NFT_CT_STATE) | put_be32(m, NFTA_CT_DREG, NFT_REG_1);
}

static int put_mask(struct nl_msg *m, const void *context)
{
	static const uint32_t none;

	return put_be32(m, NFTA_BITWISE_SREG, NFT_REG_1) |
	       put_be32(m, NFTA_BITWISE_DREG, NFT_REG_1) |
	       put_be32(m, NFTA_BITWISE_LEN, sizeof(uint32_t)) |
	       put_data(m, NFTA_BITWISE_MASK, context, sizeof(uint32_t)) |
	       put_data(m, NFTA_BITWISE_XOR, &none, sizeof(none));
}

static int match_new(struct nl_msg *m)
{
	static const uint32_t known = STATE_ESTABLISHED | STATE_RELATED, none;
	static const struct comparison nothing = {NFT_CMP_EQ, &none, sizeof(none)};

	return put_expression(m, "ct", put_state, NULL) |
	       put_expression(m, "bitwise", put_mask, &known) |
	       put_expression(m, "cmp", put_comparison, &nothing);
}

static int put_drop(struct nl_msg *m, const void *context)
{
	struct nlattr *data, *verdict;
	int failed = put_be32(m, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);

	(void)context;
	data = nla_nest_start(m, NFTA_IMMEDIATE_DATA);
	verdict = data ? nla_nest_start(m, NFTA_DATA_VERDICT) : NULL;
	if (!verdict || failed)
		return -ENOMEM;
	failed = put_be32(m, NFTA_VERDICT_CODE, NF_DROP);
	nla_nest_end(m, verdict);
	nla_nest_end(m, data);
	return failed;
}

static int put_part(const struct batch *b, struct nl_msg *m, enum part part)
{
	switch (part) {
	case PART_FROM_LINK:
		return match_interface(m, NFT_META_IIFNAME, NFT_CMP_EQ, b->table);
	case PART_TO_LINK:
		return match_interface(m, NFT_META_OIFNAME, NFT_CMP_EQ, b->table);
	case PART_TO_UPLINK:
		return match_interface(m, NFT_META_OIFNAME, NFT_CMP_EQ, b->uplink);
	case PART_NOT_TO_UPLINK:
		return match_interface(m, NFT_META_OIFNAME, NFT_CMP_NEQ, b->uplink);
	case PART_NEW:
		return match_new(m);
	case PART_DROP:
		return put_expression(m, "immediate", put_drop, NULL);
	case PART_MASQUERADE:
		return put_expression(m, "masq", NULL, NULL);
	case PART_END:
	case PART_COUNT:
		break;
	}
	return 0;
}

static void add_rule(struct batch *b, const struct rule *rule)
{
	struct nl_msg *m = add_object(b, NFT_MSG_NEWRULE, NLM_F_APPEND);
	struct nlattr *list;

	if (!m)
		return;
	b->failed |= nla_put_string(m, NFTA_RULE_TABLE, b->table) |
		     nla_put_string(m, NFTA_RULE_CHAIN, rule->chain->name);
	list = nla_nest_start(m, NFTA_RULE_EXPRESSIONS);
	if (!list) {
		b->failed = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < array_size(rule->parts); i++)
		b->failed |= put_part(b, m, rule->parts[i]);
	nla_nest_end(m, list);
}

static void fill(struct batch *b)
{
	const struct rule *rules = b->uplink ? with_uplink : without_uplink;
	size_t count = b->uplink ? array_size(with_uplink) : array_size(without_uplink);

	add(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	add_table(b);
	add_chain(b, &forward);
	if (b->uplink)
		add_chain(b, &postrouting);
	for (size_t i = 0; i < count; i++)
		add_rule(b, &rules[i]);
	add(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
}

int network_filter_make(
	const char *link, const char *uplink, struct netlink *ret_owner, struct error *err)
{
	struct batch b = {.table = link, .uplink = uplink};
	autonetlink struct netlink owner = NETLINK_NONE;
	int r = netlink_open(NETLINK_NETFILTER, &owner, err);

	if (r == 0) {
		fill(&b);
		r = b.failed ? error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for messages")
			     : netlink_send(&owner, b.messages, b.count, err);
	}
	for (size_t i = 0; i < b.count; i++)
		nlmsg_free(b.messages[i]);
	if (r < 0) {
		error_wrap(err, "make the packet filter of %s (nf_tables)", link);
		if (err)
			err->kind = ERROR_UNSUPPORTED;
		return r;
	}
	ret_owner->sequence = owner.sequence;
	ret_owner->fd = take_fd(&owner.fd);
	return 0;
}
