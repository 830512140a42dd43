// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Addresses and bytes, in the cgroup that holds the runs: these see TCP Fast Open, unconnected
 * datagrams, mapped addresses and both families alike, and load where LSM programs are refused.
 * cgroup_skb has the last word on every IP packet. */
#include "net.bpf.h"
#include "kernel.bpf.h"

#include <bpf/bpf_endian.h>

/* cgroup programs answer 1 = go on, 0 = -EPERM. */
#define LET 1
#define STOP 0

struct net_subject {
	struct meter_run *run;
	__u32 slot;
	__u32 posture;
};

struct endpoint {
	__u8 address[16]; /* IPv4 as ::ffff:a.b.c.d */
	__u16 port;       /* host order */
	__u16 protocol;   /* IPPROTO_… */
};

/* 0 = in no run, 1 = go on, -1 = refused whatever it is. */
static __always_inline int find_run(struct net_subject *s, __u64 cgroup, __u32 hook)
{
	__u32 *slot = bpf_map_lookup_elem(&cgroups, &cgroup);

	if (!slot)
		return 0;
	s->slot = *slot;
	s->run = bpf_map_lookup_elem(&runs, &s->slot);
	if (!s->run || !(s->run->flags & METER_RUN_LIVE))
		return -1;
	prove(s->run, hook);
	s->posture = posture_of(s->run);
	return 1;
}

static __always_inline bool is_loopback(const struct endpoint *to)
{
	const __u32 *word = (const __u32 *)to->address;

	if (word[0] || word[1])
		return false;
	if (word[2] == bpf_htonl(0xffff))
		return to->address[12] == 127;
	return word[2] == 0 && word[3] == bpf_htonl(1);
}

static __always_inline void from_ipv4(struct endpoint *to, __u32 address)
{
	__u32 *word = (__u32 *)to->address;

	word[0] = 0;
	word[1] = 0;
	word[2] = bpf_htonl(0xffff);
	word[3] = address;
}

/* The IPv4-compatible and the unspecified address mean this host. */
static __always_inline void from_ipv6(struct endpoint *to, __u32 a, __u32 b, __u32 c, __u32 d)
{
	__u32 *word = (__u32 *)to->address;

	word[0] = a;
	word[1] = b;
	word[2] = c;
	word[3] = d;
}

/* The rule for an endpoint: 1 = allowed, 0 = refused; its number in *ret_rule. */
static __always_inline int rule_for(
	const struct net_subject *s, const struct endpoint *to, __u32 direction, __u32 *ret_rule)
{
	struct meter_net_key key = {
		.prefix_bits = 64 + 128,
		.scope = bpf_htonl(s->run->scope),
		.direction = bpf_htonl(direction),
	};
	struct meter_net_value *value;

	*ret_rule = 0;
	if (!s->run->scope)
		return 1;
	__builtin_memcpy(key.address, to->address, sizeof(key.address));
	value = bpf_map_lookup_elem(&networks, &key);
	if (!value)
		return 0;
	for (__u32 i = 0; i < METER_NET_RANGES; i++) {
		const struct meter_net_range *range = &value->range[i];

		if (i >= value->count)
			break;
		if (to->port < range->first || to->port > range->last)
			continue;
		if (range->protocol && range->protocol != to->protocol)
			continue;
		*ret_rule = range->rule;
		return range->allow;
	}
	return 0;
}

static __always_inline int contact(
	const struct net_subject *s, const struct endpoint *to, __u32 hook)
{
	const __u64 *half = (const __u64 *)to->address;

	return charge_host(s->slot, half[0], half[1], hook);
}

static __always_inline int refuse_net(
	const struct net_subject *s, const struct endpoint *to, __u32 hook, __u32 rule)
{
	struct net_report report = {
		.kind = METER_EVENT_DENIAL,
		.hook = hook,
		.class = METER_DENIAL,
		.rule = rule,
		.port = to->port,
		.protocol = to->protocol,
	};

	__builtin_memcpy(report.address, to->address, sizeof(report.address));
	note_refusal(s->slot, METER_DENIAL);
	net_emit(s->slot, &report);
	return STOP;
}

static __always_inline int refuse_net_posture(
	const struct net_subject *s, const struct endpoint *to, __u32 hook)
{
	struct net_report report = {
		.kind = METER_EVENT_POSTURE,
		.hook = hook,
		.port = to->port,
		.protocol = to->protocol,
		.posture = s->posture,
	};

	__builtin_memcpy(report.address, to->address, sizeof(report.address));
	net_emit(s->slot, &report);
	return STOP;
}

static __always_inline void remember_socket(
	struct bpf_sock *sk, const struct net_subject *s, const struct endpoint *to, __u32 verdict)
{
	struct socket_state *state;

	if (!sk)
		return;
	state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state)
		return; /* then every packet is looked up */
	state->slot = s->slot;
	state->generation = s->run->generation;
	state->verdict = verdict;
	state->port = to->port;
	state->protocol = to->protocol;
	__builtin_memcpy(state->address, to->address, sizeof(state->address));
}

static __always_inline int talk_to(struct bpf_sock_addr *ctx, struct endpoint *to, __u32 hook)
{
	struct net_subject s;
	__u32 rule = 0;
	int r = find_run(&s, bpf_get_current_cgroup_id(), hook);

	if (r <= 0)
		return r == 0 ? LET : STOP;
	to->port = bpf_ntohs((__u16)ctx->user_port);
	to->protocol = ctx->protocol;
	if (s.posture & (METER_NO_NETWORK | METER_FROZEN))
		return refuse_net_posture(&s, to, hook);
	if ((s.run->flags & METER_RUN_LOOPBACK_FREE) && is_loopback(to)) {
		remember_socket(ctx->sk, &s, to, SOCKET_CONNECTED);
		return LET;
	}
	if (!rule_for(&s, to, METER_NET_CONNECT, &rule))
		return refuse_net(&s, to, hook, rule);
	if (contact(&s, to, hook))
		return STOP;
	if (ctx->type == SOCK_STREAM)
		remember_socket(ctx->sk, &s, to, SOCKET_CONNECTED);
	return LET;
}

SEC("?cgroup/connect4") int net_connect4(struct bpf_sock_addr *ctx)
{
	struct endpoint to = {};

	from_ipv4(&to, ctx->user_ip4);
	return talk_to(ctx, &to, METER_HOOK_net_connect4);
}

SEC("?cgroup/sendmsg4") int net_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct endpoint to = {};

	from_ipv4(&to, ctx->user_ip4);
	return talk_to(ctx, &to, METER_HOOK_net_sendmsg4);
}

SEC("?cgroup/connect6") int net_connect6(struct bpf_sock_addr *ctx)
{
	struct endpoint to = {};

	from_ipv6(&to, ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]);
	return talk_to(ctx, &to, METER_HOOK_net_connect6);
}

SEC("?cgroup/sendmsg6") int net_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct endpoint to = {};

	from_ipv6(&to, ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]);
	return talk_to(ctx, &to, METER_HOOK_net_sendmsg6);
}

static __always_inline int listen_on(struct bpf_sock_addr *ctx, struct endpoint *to, __u32 hook)
{
	struct net_subject s;
	__u32 rule = 0;
	int r = find_run(&s, bpf_get_current_cgroup_id(), hook);

	if (r <= 0)
		return r == 0 ? LET : STOP;
	to->port = bpf_ntohs((__u16)ctx->user_port);
	to->protocol = ctx->protocol;
	if (s.posture & METER_FROZEN)
		return refuse_net_posture(&s, to, hook);
	/* Any port will do: the beginning of most clients, and it listens nowhere that a peer could
	 * know. */
	if (to->port == 0 || ((s.run->flags & METER_RUN_LOOPBACK_FREE) && is_loopback(to)))
		return LET;
	if (!rule_for(&s, to, METER_NET_LISTEN, &rule))
		return refuse_net(&s, to, hook, rule);
	remember_socket(ctx->sk, &s, to, SOCKET_LISTENING);
	return LET;
}

SEC("?cgroup/bind4") int net_bind4(struct bpf_sock_addr *ctx)
{
	struct endpoint to = {};

	from_ipv4(&to, ctx->user_ip4);
	return listen_on(ctx, &to, METER_HOOK_net_bind4);
}

SEC("?cgroup/bind6") int net_bind6(struct bpf_sock_addr *ctx)
{
	struct endpoint to = {};

	from_ipv6(&to, ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]);
	return listen_on(ctx, &to, METER_HOOK_net_bind6);
}

/* TCP and UDP only: raw, ICMP, SCTP and MPTCP sockets would pass connect and sendmsg unseen. */
SEC("?cgroup/sock_create") int net_sock_create(struct bpf_sock *ctx)
{
	struct endpoint to = {};
	struct net_subject s;
	int r = find_run(&s, bpf_get_current_cgroup_id(), METER_HOOK_net_sock_create);

	if (r <= 0)
		return r == 0 ? LET : STOP;
	if (ctx->type == SOCK_STREAM && (ctx->protocol == 0 || ctx->protocol == IPPROTO_TCP))
		return LET;
	if (ctx->type == SOCK_DGRAM && (ctx->protocol == 0 || ctx->protocol == IPPROTO_UDP))
		return LET;
	to.protocol = ctx->protocol;
	return refuse_net(&s, &to, METER_HOOK_net_sock_create, 0);
}

/* Options that change where packets go, who may see them or what the socket is. */
static __always_inline bool is_forbidden_option(int level, int option)
{
	switch (level) {
	case 1: /* SOL_SOCKET */
		return option == 25 /* SO_BINDTODEVICE */ || option == 26 /* SO_ATTACH_FILTER */ ||
		       option == 36 /* SO_MARK */ || option == 50 /* SO_ATTACH_BPF */ ||
		       option == 51 /* SO_ATTACH_REUSEPORT_CBPF */ ||
		       option == 52 /* SO_ATTACH_REUSEPORT_EBPF */ ||
		       option == 62 /* SO_BINDTOIFINDEX */;
	case 0: /* SOL_IP */
		return option == 3 /* IP_HDRINCL */ || option == 4 /* IP_OPTIONS */ ||
		       option == 19 /* IP_TRANSPARENT */ || option == 32 /* IP_MULTICAST_IF */ ||
		       (option >= 35 && option <= 48) /* multicast membership */ ||
		       option == 64 /* IPT_SO_SET_REPLACE */;
	case 41: /* SOL_IPV6 */
		return option == 1 /* IPV6_ADDRFORM */ || option == 20 /* IPV6_ADD_MEMBERSHIP */ ||
		       option == 57 /* IPV6_RTHDR */ || option == 75 /* IPV6_TRANSPARENT */ ||
		       option == 36 /* IPV6_HDRINCL */ || (option >= 42 && option <= 48);
	case 6: /* SOL_TCP */
		return option == 19 /* TCP_REPAIR */ || option == 31 /* TCP_ULP */;
	case 263: /* SOL_RAW */
	case 264: /* SOL_PACKET */
	case 279: /* SOL_ALG */
	case 282: /* SOL_TLS */
	case 283: /* SOL_XDP */
		return true;
	}
	return false;
}

SEC("?cgroup/setsockopt") int net_setsockopt(struct bpf_sockopt *ctx)
{
	struct endpoint to = {};
	struct net_subject s;
	int r = find_run(&s, bpf_get_current_cgroup_id(), METER_HOOK_net_setsockopt);

	if (r < 0)
		return STOP;
	if (r > 0 && is_forbidden_option(ctx->level, ctx->optname))
		return refuse_net(&s, &to, METER_HOOK_net_setsockopt, 0);
	/* The caller's own buffer, not the kernel's copy of at most a page (bpf-cgroup.h). */
	ctx->optlen = 0;
	return LET;
}

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define FRAGMENT_OFFSET 0x1fff

struct packet {
	struct endpoint to;
	struct endpoint from;
	__u32 payload;  /* bytes after the transport header */
	__u32 sequence; /* TCP */
	bool is_tcp;
	bool is_fragment; /* a later one: no ports */
	bool whole;       /* understood */
};

static __always_inline void read_ports(
	struct __sk_buff *skb, struct packet *p, __u32 offset, __u32 end)
{
	struct {
		__be16 source, destination;
		__be32 sequence, acknowledged;
		__u8 header, flags;
	} head = {};

	p->whole = true;
	if (p->is_fragment) {
		p->payload = end > offset ? end - offset : 0;
		return;
	}
	if (p->to.protocol == IPPROTO_UDP) {
		if (bpf_skb_load_bytes(skb, offset, &head, 4))
			p->whole = false;
		offset += 8;
	} else if (p->to.protocol == IPPROTO_TCP) {
		if (bpf_skb_load_bytes(skb, offset, &head, 14))
			p->whole = false;
		p->is_tcp = true;
		p->sequence = bpf_ntohl(head.sequence);
		offset += (head.header >> 4) * 4;
	}
	p->to.port = bpf_ntohs(head.destination);
	p->from.port = bpf_ntohs(head.source);
	p->payload = end > offset ? end - offset : 0;
}

static __always_inline void read_packet(struct __sk_buff *skb, struct packet *p)
{
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr ip;

		if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
			return;
		p->to.protocol = ip.protocol;
		from_ipv4(&p->to, ip.daddr);
		from_ipv4(&p->from, ip.saddr);
		p->is_fragment = ip.frag_off & bpf_htons(FRAGMENT_OFFSET);
		read_ports(skb, p, (*(const __u8 *)&ip & 0xf) * 4, skb->len);
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
			return;
		/* Extension headers: not looked through, so the ports stay 0 and only a rule for
		 * all ports lets them. */
		p->to.protocol = ip.nexthdr;
		__builtin_memcpy(p->to.address, &ip.daddr, 16);
		__builtin_memcpy(p->from.address, &ip.saddr, 16);
		read_ports(skb, p, sizeof(ip), skb->len);
	}
}

static __always_inline bool is_same_endpoint(
	const struct socket_state *state, const struct endpoint *to)
{
	const __u64 *a = (const __u64 *)state->address, *b = (const __u64 *)to->address;

	return a[0] == b[0] && a[1] == b[1] && state->port == to->port;
}

/* Whether the packet belongs to a connection that was allowed when it began. */
static __always_inline bool is_allowed_stream(
	const struct socket_state *state, const struct net_subject *s, const struct packet *p)
{
	if (!state || !p->is_tcp || state->slot != s->slot ||
		state->generation != s->run->generation)
		return false;
	return state->verdict == SOCKET_LISTENING || is_same_endpoint(state, &p->to);
}

/* The bytes of this segment that no earlier one carried. */
static __always_inline __u32 new_bytes(struct socket_state *state, const struct packet *p)
{
	__u32 end = p->sequence + p->payload, fresh = p->payload;

	if (!state || !p->is_tcp)
		return p->payload;
	if (state->sequence_known) {
		__s32 ahead = (__s32)(end - state->next_sequence);

		if (ahead <= 0)
			return 0;
		if ((__u32)ahead < fresh)
			fresh = ahead;
	}
	return fresh;
}

/* A namespace's own sockets (for resets, "port unreachable") count as of the cgroup that it was
 * made in. They are raw, as no socket of a run is, and nothing that the tool has tried. */
static __always_inline bool is_of_kernel(const struct bpf_sock *sk)
{
	return sk && sk->type == SOCK_RAW;
}

SEC("?cgroup_skb/egress") int net_egress(struct __sk_buff *skb)
{
	struct socket_state *state = 0;
	struct net_subject s;
	struct packet p = {};
	struct bpf_sock *sk;
	__u32 rule = 0, fresh;
	int r = find_run(&s, bpf_skb_cgroup_id(skb), METER_HOOK_net_egress);

	if (r <= 0)
		return r == 0 ? LET : STOP;
	read_packet(skb, &p);
	if (!p.whole)
		return STOP;
	if (s.posture & (METER_NO_NETWORK | METER_FROZEN)) {
		account_only(s.slot, METER_PACKETS_DROPPED, 1, METER_HOOK_net_egress);
		return STOP;
	}
	if ((s.run->flags & METER_RUN_LOOPBACK_FREE) && is_loopback(&p.to))
		return LET;
	sk = skb->sk;
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (sk)
		state = bpf_sk_storage_get(
			&sockets, sk, 0, p.is_tcp ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	if (!is_allowed_stream(state, &s, &p) && !rule_for(&s, &p.to, METER_NET_CONNECT, &rule)) {
		if (!is_of_kernel(sk))
			return refuse_net(&s, &p.to, METER_HOOK_net_egress, rule);
		account_only(s.slot, METER_PACKETS_DROPPED, 1, METER_HOOK_net_egress);
		return STOP;
	}
	fresh = new_bytes(state, &p);
	if (!fresh)
		return LET;
	if (charge(s.slot, METER_BYTES_SENT, fresh, METER_HOOK_net_egress)) {
		account_only(s.slot, METER_PACKETS_DROPPED, 1, METER_HOOK_net_egress);
		return STOP;
	}
	if (state && p.is_tcp) {
		state->next_sequence = p.sequence + p.payload;
		state->sequence_known = 1;
	}
	return LET;
}

SEC("?cgroup_skb/ingress") int net_ingress(struct __sk_buff *skb)
{
	struct net_subject s;
	struct packet p = {};
	int r = find_run(&s, bpf_skb_cgroup_id(skb), METER_HOOK_net_ingress);

	if (r <= 0)
		return r == 0 ? LET : STOP;
	read_packet(skb, &p);
	if (s.posture & METER_FROZEN)
		return STOP;
	if ((s.run->flags & METER_RUN_LOOPBACK_FREE) && is_loopback(&p.from))
		return LET;
	if (p.payload)
		account_only(s.slot, METER_BYTES_RECEIVED, p.payload, METER_HOOK_net_ingress);
	return LET;
}
