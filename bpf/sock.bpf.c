// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sockets as the task that uses them sees it: families, sockets that somebody else made, and unix
 * sockets, whose peer no read-only mount keeps away. */
#include "walk.bpf.h"

static __always_inline __u64 cgroup_of(const struct sock *sk)
{
	return sk->sk_cgrp_data.cgroup->kn->id;
}

HOOK(socket_create, socket_create, (int family, int type, int protocol, int kern),
	(family, type, protocol, kern))
{
	struct meter_scope *scope;
	struct subject s;
	int r;

	if (kern) /* MPTCP and the like make sockets for themselves */
		return 0;
	r = enter(&s, METER_HOOK_socket_create, 0);
	if (r <= 0 || !s.run->scope)
		return r < 0 ? r : 0;
	scope = bpf_map_lookup_elem(&scopes, &s.run->scope);
	if (scope && family >= 0 && family < 64 && ((scope->families >> (family & 63)) & 1))
		return 0;
	return refuse_as(&s, METER_DENIAL, 0, -EPERM);
}

/* An inet socket keeps the cgroup that it was made in, and with it that one's rules. */
static __always_inline int use_socket(struct socket *socket, __u32 hook)
{
	struct sock *sk = socket->sk;
	struct subject s;
	__u16 family;
	int r = enter(&s, hook, 0);

	if (r <= 0)
		return r;
	if (!sk)
		return 0;
	family = sk->__sk_common.skc_family;
	if (family == AF_UNIX)
		return 0;
	if (s.posture & METER_NO_NETWORK)
		return refuse_posture(&s);
	if ((family == AF_INET || family == AF_INET6) && s.run->cgroup_id &&
		cgroup_of(sk) != s.run->cgroup_id)
		return refuse_as(&s, METER_DENIAL, 0, -EPERM);
	return 0;
}

HOOK(socket_connect, socket_connect, (struct socket * socket, struct sockaddr *address, int length),
	(socket, address, length))
{
	return use_socket(socket, METER_HOOK_socket_connect);
}

HOOK(socket_sendmsg, socket_sendmsg, (struct socket * socket, struct msghdr *message, int size),
	(socket, message, size))
{
	return use_socket(socket, METER_HOOK_socket_sendmsg);
}

/* Peers in the same run are free; others need the right to connect to where their socket lies. */
static __always_inline int meet(struct sock *other, __u32 hook)
{
	struct dentry *dentry;
	struct unix_sock *peer;
	struct subject s;
	int r = enter_with_work(&s, hook, 0);

	if (r <= 0)
		return r;
	if (!s.run->scope || (s.run->cgroup_id && cgroup_of(other) == s.run->cgroup_id))
		return 0;
	peer = bpf_skc_to_unix_sock(other);
	if (!peer)
		return refuse_as(&s, METER_DENIAL, 0, -EPERM);
	dentry = peer->path.dentry;
	s.work->pointer = (__u64)dentry;
	if (!*(volatile __u64 *)&s.work->pointer) /* abstract or without a name */
		return refuse_as(&s, METER_DENIAL, 0, -EPERM);
	return decide(&s, dentry, METER_RIGHT_CONNECT);
}

HOOK(unix_stream_connect, unix_stream_connect,
	(struct sock * sock, struct sock *other, struct sock *fresh), (sock, other, fresh))
{
	return meet(other, METER_HOOK_unix_stream_connect);
}

HOOK(unix_may_send, unix_may_send, (struct socket * socket, struct socket *other), (socket, other))
{
	struct sock *sk = other->sk;

	return sk ? meet(sk, METER_HOOK_unix_may_send) : 0;
}
