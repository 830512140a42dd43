/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/anchor-role.h"

#include "daemon/anchors.h"
#include "daemon/recorder-place.h"
#include "daemon/role.h"
#include "daemon/state-directory.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

/* The one before may still wait for its command. */
#define LOCK_WAIT_MS (ANCHOR_COMMAND_MS + 1000)
#define LOCK_TURN_MS 50
#define STATUS_EVERY_MS 10000 /* while nothing changes */

struct anchor_process {
	int state_fd, key_fd, lock_fd;
	struct recorder_file file;
	struct anchors anchors;
	struct anchor_status status;
	bool has_status;
	struct anchor_request next; /* verb 0: nothing is to be published */
};

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void harden(void)
{
	static const int ends[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGXFSZ};
	const struct rlimit none = {0};

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_NAME, "berm-anchor");
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
	umask(027);
	/* It ends when the recorder does, which has a last head to publish then. */
	for (size_t i = 0; i < array_size(ends); i++)
		signal(ends[i], SIG_IGN);
}

/* Two that publish would each take the other's head for a stranger's. */
static int take_lock(struct anchor_process *p, struct error *err)
{
	uint64_t until = clock_ms(CLOCK_BOOTTIME) + LOCK_WAIT_MS;
	autoclose int fd = -1;

	if (p->lock_fd >= 0)
		return 0;
	fd = openat(p->state_fd, ANCHOR_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_errno(err, "open %s", ANCHOR_LOCK);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (clock_ms(CLOCK_BOOTTIME) >= until)
			return error_set(err, -EBUSY, ERROR_INTERNAL,
				"another process still anchors this log");
		poll(NULL, 0, LOCK_TURN_MS);
	}
	p->lock_fd = take_fd(&fd);
	return 0;
}

/* How it goes, for who asks later: when that changes, and now and then. */
static void note(struct anchor_process *p, const struct error *err, uint64_t sequence, bool last)
{
	uint64_t now = clock_ms(CLOCK_REALTIME);
	struct anchor_status status = p->status;

	status.code = err->code;
	status.sequence = sequence ? sequence : status.sequence;
	snprintf(status.text, sizeof(status.text), "%s", err->code ? err->text : "published");
	for (char *at = status.text; *at; at++)
		if ((unsigned char)*at < ' ')
			*at = ' ';
	if (p->has_status && !last && status.code == p->status.code && now >= p->status.wall_ms &&
		now - p->status.wall_ms < STATUS_EVERY_MS)
		return;
	status.wall_ms = now;
	p->status = status;
	p->has_status = true;
	(void)!anchor_status_write(p->state_fd, &status);
}

static void answer(
	const struct anchor_request *request, const struct log_head *head, const struct error *err)
{
	struct anchor_reply reply;

	memset(&reply, 0, sizeof(reply));
	reply.verb = request->verb;
	reply.code = err->code;
	reply.head = *head;
	snprintf(reply.text, sizeof(reply.text), "%s", err->text);
	(void)!send(ROLE_FD, &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void tell_latest(struct anchor_process *p, const struct anchor_request *request)
{
	struct anchor anchor = anchors_anchor(&p->anchors);
	struct log_head head = {0};
	struct error err = {0};

	if (take_lock(p, &err) == 0 &&
		anchor.latest(anchor.context, request->head.log_id, &head, &err) == 0)
		err = (struct error){0};
	if (err.code && err.code != -ENOENT)
		note(p, &err, 0, false);
	answer(request, &head, &err);
}

static void publish_next(struct anchor_process *p, bool last)
{
	struct anchor anchor = anchors_anchor(&p->anchors);
	const struct anchor_request request = p->next;
	struct error err = {0};

	if (!request.verb)
		return;
	p->next.verb = 0;
	if (take_lock(p, &err) == 0 && anchor.publish(anchor.context, &request.head, &err) == 0)
		err = (struct error){0};
	note(p, &err, err.code ? 0 : request.head.sequence, last);
	answer(&request, &request.head, &err);
}

/* All that waits. False: the recorder is gone. */
static bool take_requests(struct anchor_process *p)
{
	for (;;) {
		struct anchor_request request;
		ssize_t n = recv(ROLE_FD, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n != sizeof(request))
			return false;
		if (request.verb == ANCHOR_LATEST)
			tell_latest(p, &request);
		else if (request.verb == ANCHOR_PUBLISH)
			p->next = request;
	}
}

static void serve(struct anchor_process *p)
{
	struct pollfd polled = {.fd = ROLE_FD, .events = POLLIN};

	while (take_requests(p)) {
		if (p->next.verb)
			publish_next(p, false);
		else
			poll(&polled, 1, -1);
	}
	publish_next(p, true);
}

int anchor_role(int argc, char **argv)
{
	struct anchor_process p = {.state_fd = -1, .key_fd = -1, .lock_fd = -1};
	autotext struct text diagnostics = {0};
	struct error err = {0};

	if (argc != 3 || fcntl(ROLE_FD, F_SETFD, FD_CLOEXEC) < 0)
		return 2; /* somebody typed it */
	harden();
	p.state_fd = state_directory_open(argv[2], &err);
	if (p.state_fd < 0 ||
		recorder_file_read(argv[2], geteuid(), &p.file, &diagnostics, &err) < 0)
		return 1; /* which the recorder sees as an end of file */
	/* The recorder made it before it started this. */
	p.key_fd = openat(
		p.state_fd, RECORDER_KEY_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (p.key_fd < 0)
		return 1;
	anchors_init(&p.anchors, &p.file);
	p.anchors.all = p.file.anchor_required;
	p.anchors.key_dir = p.key_fd;
	serve(&p);
	anchors_finish(&p.anchors);
	recorder_file_finish(&p.file);
	own_close(&p.lock_fd);
	own_close(&p.key_fd);
	own_close(&p.state_fd);
	return 0;
}
