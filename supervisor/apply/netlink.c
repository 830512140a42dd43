/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/netlink.h"

#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#define MESSAGES_MAX 16
#define ANSWER_BYTES 4096
/* The kernel has answered when sendmsg(2) returns; the time is for an answer that was lost
 * (netlink(7): ENOBUFS). */
#define ANSWER_SECONDS 5

int netlink_open(int protocol, struct netlink *ret_netlink, struct error *err)
{
	const struct timeval patience = {.tv_sec = ANSWER_SECONDS};
	const int on = 1;
	autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return error_errno(err, "open a netlink socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
		setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)) < 0 ||
		setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)) < 0)
		return error_errno(err, "set up a netlink socket");
	*ret_netlink = (struct netlink){.fd = take_fd(&fd)};
	return 0;
}

void netlink_close(struct netlink *netlink)
{
	own_close(&netlink->fd);
}

/* The kernel's words, or "". They stand behind struct nlmsgerr, whose message is cut to its header
 * (NETLINK_CAP_ACK). */
static const char *words_of(const struct nlmsghdr *header)
{
	const struct nlattr *words;

	if (!(header->nlmsg_flags & NLM_F_ACK_TLVS))
		return "";
	words = nlmsg_find_attr(
		(struct nlmsghdr *)(uintptr_t)header, sizeof(struct nlmsgerr), NLMSGERR_ATTR_MSG);
	return words && nla_len(words) > 0 && memchr(nla_data(words), '\0', (size_t)nla_len(words))
		       ? nla_get_string(words)
		       : "";
}

/* 0: an answer to this conversation that says it was done; 1: to something else. */
static int judge(const struct netlink *netlink, const struct nlmsghdr *header, uint32_t first,
	struct error *err)
{
	const struct nlmsgerr *answer = nlmsg_data(header);
	const char *words;

	if (header->nlmsg_type != NLMSG_ERROR ||
		header->nlmsg_len < NLMSG_LENGTH(sizeof(*answer)) || header->nlmsg_seq < first ||
		header->nlmsg_seq > netlink->sequence)
		return 1;
	if (answer->error == 0)
		return 0;
	words = words_of(header);
	return error_set(err, answer->error, ERROR_INTERNAL, "%s%s%s%s", strerror(-answer->error),
		*words ? " (" : "", words, *words ? ")" : "");
}

static int take_answers(struct netlink *netlink, uint32_t first, size_t wanted, struct error *err)
{
	union {
		struct nlmsghdr header;
		char bytes[ANSWER_BYTES];
	} answer;

	while (wanted > 0) {
		ssize_t n = recv(netlink->fd, &answer, sizeof(answer), 0);
		int left = (int)n;
		struct nlmsghdr *header = &answer.header;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "no answer from the kernel");
		for (; nlmsg_ok(header, left); header = nlmsg_next(header, &left)) {
			int r = judge(netlink, header, first, err);

			if (r < 0)
				return r;
			if (r == 0 && wanted > 0)
				wanted--;
		}
	}
	return 0;
}

int netlink_send(
	struct netlink *netlink, struct nl_msg *const *messages, size_t count, struct error *err)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct iovec parts[MESSAGES_MAX];
	struct msghdr all = {.msg_name = &kernel,
		.msg_namelen = sizeof(kernel),
		.msg_iov = parts,
		.msg_iovlen = count};
	uint32_t first = netlink->sequence + 1;
	size_t answers = 0;

	if (count > MESSAGES_MAX)
		return error_set(err, -E2BIG, ERROR_INTERNAL, "too many netlink messages");
	for (size_t i = 0; i < count; i++) {
		struct nlmsghdr *header = nlmsg_hdr(messages[i]);

		header->nlmsg_seq = ++netlink->sequence;
		header->nlmsg_pid = 0;
		answers += !!(header->nlmsg_flags & NLM_F_ACK);
		parts[i] = (struct iovec){header, NLMSG_ALIGN(header->nlmsg_len)};
	}
	if (sendmsg(netlink->fd, &all, 0) < 0)
		return error_errno(err, "send to the kernel");
	return take_answers(netlink, first, answers, err);
}

int netlink_send_one(struct netlink *netlink, struct nl_msg *message, int failed, struct error *err)
{
	int r = message && failed == 0
			? netlink_send(netlink, &message, 1, err)
			: error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for a message");

	nlmsg_free(message);
	return r;
}
