/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/anchor-client.h"

#include "daemon/role.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void anchor_client_init(struct anchor_client *client, int fd)
{
	*client = (struct anchor_client){.fd = fd};
}

int anchor_client_start(const char *state, struct anchor_client *client, struct error *err)
{
	autoclose int ours = -1, theirs = -1;
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return error_errno(err, "a socket for the anchor");
	ours = ends[0];
	theirs = ends[1];
	r = role_launch(ROLE_ANCHOR, state, theirs, err);
	if (r == 0)
		anchor_client_init(client, take_fd(&ours));
	return r;
}

static void take_reply(struct anchor_client *c, const struct anchor_reply *reply)
{
	if (reply->verb == ANCHOR_LATEST) {
		c->latest = *reply;
		c->has_latest = true;
		return;
	}
	c->answered = reply->head.sequence;
	c->since_ms = now_ms();
	/* A place that knows a later head is not forgotten for the next one that it took. */
	if (c->failure.code == -ESTALE)
		return;
	c->failure = (struct error){0};
	if (reply->code)
		error_set(&c->failure, reply->code, ERROR_INTERNAL, "%.*s",
			(int)sizeof(reply->text) - 1, reply->text);
}

/* What has come. False: nothing was there. */
static bool take(struct anchor_client *c)
{
	struct anchor_reply reply;
	ssize_t n;

	if (c->gone)
		return false;
	n = recv(c->fd, &reply, sizeof(reply), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n != sizeof(reply)) {
		c->gone = true;
		return false;
	}
	take_reply(c, &reply);
	return true;
}

/* Until the answer is here: the latest head, or that to all that was sent. */
static void wait_for(struct anchor_client *c, bool latest, unsigned wait_ms)
{
	uint64_t until = now_ms() + wait_ms;

	for (;;) {
		struct pollfd polled = {.fd = c->fd, .events = POLLIN};
		uint64_t now = now_ms();

		while (take(c))
			;
		if (c->gone || (latest ? c->has_latest : c->answered == c->sent) || now >= until)
			return;
		poll(&polled, 1, (int)(until - now));
	}
}

static int ask(struct anchor_client *c, uint32_t verb, const struct log_head *head)
{
	struct anchor_request request;

	memset(&request, 0, sizeof(request));
	request.verb = verb;
	request.head = *head;
	return send(c->fd, &request, sizeof(request), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int is_gone(struct error *err)
{
	return error_set(err, -EPIPE, ERROR_INTERNAL, "the process that anchors has ended");
}

static int client_latest(void *context, const uint8_t log_id[LOG_ID_BYTES],
	struct log_head *ret_head, struct error *err)
{
	struct anchor_client *c = context;
	struct log_head head = {0};

	memcpy(head.log_id, log_id, LOG_ID_BYTES);
	if (!c->asked && !c->gone) {
		c->has_latest = false;
		c->asked = ask(c, ANCHOR_LATEST, &head) == 0;
	}
	wait_for(c, true, c->waited ? ANCHOR_AGAIN_MS : ANCHOR_FIRST_MS);
	c->waited = true;
	if (!c->has_latest)
		return c->gone ? is_gone(err)
			       : error_set(err, -EAGAIN, ERROR_INTERNAL,
					 "the anchor has not answered yet");
	/* Whoever asks again wants to know anew. */
	c->asked = c->has_latest = false;
	if (c->latest.code)
		return error_set(err, c->latest.code, ERROR_INTERNAL, "%.*s",
			(int)sizeof(c->latest.text) - 1, c->latest.text);
	*ret_head = c->latest.head;
	return 0;
}

static int client_publish(void *context, const struct log_head *head, struct error *err)
{
	struct anchor_client *c = context;
	int r;

	while (take(c))
		;
	if (c->gone)
		return is_gone(err);
	if (c->failure.code == -ESTALE)
		return error_set(err, -ESTALE, ERROR_REFUSED, "%s", c->failure.text);
	if (c->answered == c->sent)
		c->since_ms = now_ms();
	r = ask(c, ANCHOR_PUBLISH, head);
	if (r == 0)
		c->sent = head->sequence;
	if (r < 0 || now_ms() - c->since_ms >= ANCHOR_PATIENCE_MS)
		return error_set(err, r < 0 ? r : -ETIMEDOUT, ERROR_INTERNAL,
			"the process that anchors does not answer");
	return c->failure.code
		       ? error_set(err, c->failure.code, ERROR_INTERNAL, "%s", c->failure.text)
		       : 0;
}

struct anchor anchor_client_anchor(struct anchor_client *client)
{
	return (struct anchor){
		.publish = client_publish, .latest = client_latest, .context = client};
}

static bool is_late(const struct anchor_client *c, uint64_t now)
{
	return c->answered != c->sent && now - c->since_ms >= ANCHOR_PATIENCE_MS;
}

bool anchor_client_turned(struct anchor_client *client)
{
	bool fails;

	if (client->fd < 0)
		return false;
	while (take(client))
		;
	fails = client->gone || client->failure.code != 0 || is_late(client, now_ms());
	if (fails == client->fails)
		return false;
	client->fails = fails;
	return true;
}

int anchor_client_patience_ms(const struct anchor_client *client)
{
	uint64_t waited;

	if (anchor_client_fd(client) < 0 || client->answered == client->sent || client->fails)
		return -1;
	waited = now_ms() - client->since_ms;
	return waited >= ANCHOR_PATIENCE_MS ? 0 : (int)(ANCHOR_PATIENCE_MS - waited);
}

int anchor_client_fd(const struct anchor_client *client)
{
	return client->gone ? -1 : client->fd;
}

void anchor_client_finish(struct anchor_client *client)
{
	if (client->fd >= 0)
		wait_for(client, false, ANCHOR_LAST_MS);
	own_close(&client->fd);
}
