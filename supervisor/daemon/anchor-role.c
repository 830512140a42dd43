/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/anchor-role.h"

#include "base/path.h"
#include "daemon/anchors.h"
#include "daemon/role.h"
#include "daemon/starter.h"
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
	int own_fd, lock_fd, starter_fd;
	bool locked;
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

	while (!p->locked && flock(p->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		if (clock_ms(CLOCK_BOOTTIME) >= until)
			return error_set(err, -EBUSY, ERROR_INTERNAL,
				"another process still anchors this log");
		poll(NULL, 0, LOCK_TURN_MS);
	}
	p->locked = true;
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
	(void)!anchor_status_write(p->own_fd, &status);
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

/* ---- what it is left with ---- */

static int open_own(struct anchor_process *p, const char *state, struct error *err)
{
	autoclose int state_fd = state_directory_open(state, err);

	if (state_fd < 0)
		return state_fd;
	p->own_fd = state_directory_within(state_fd, ANCHOR_DIR, 0750, err);
	if (p->own_fd < 0)
		return p->own_fd;
	p->lock_fd =
		openat(p->own_fd, ANCHOR_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return p->lock_fd < 0 ? error_errno(err, "open %s", ANCHOR_LOCK) : 0;
}

/* The directory that the operator named, or where it would be: it may be made while this process
 * waits for it. -1: nowhere. */
static int place_of(const char *directory)
{
	autofree char *parent = directory ? path_parent(directory) : NULL;
	int fd = directory ? open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	return fd < 0 && parent ? open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC) : fd;
}

static int confine_self(struct anchor_process *p, struct error *err)
{
	autoclose int directory = place_of(p->file.anchor_directory);
	const struct confine_place places[] = {
		{p->own_fd, CONFINE_WRITE}, {directory, CONFINE_WRITE}};

	if (p->file.anchor_command) {
		p->starter_fd = starter_for_anchor(p->file.anchor_command, err);
		if (p->starter_fd < 0)
			return p->starter_fd;
		p->anchors.starter.fd = p->starter_fd;
	}
	return role_confine(ROLE_ANCHOR, places, array_size(places), err);
}

int anchor_role(int argc, char **argv)
{
	struct anchor_process p = {.own_fd = -1, .lock_fd = -1, .starter_fd = -1};
	autotext struct text diagnostics = {0};
	struct error err = {0};

	if (argc != 3 || fcntl(ROLE_FD, F_SETFD, FD_CLOEXEC) < 0)
		return 2; /* somebody typed it */
	harden();
	if (open_own(&p, argv[2], &err) < 0 ||
		recorder_file_read(argv[2], geteuid(), &p.file, &diagnostics, &err) < 0)
		return 1; /* which the recorder sees as an end of file */
	anchors_init(&p.anchors, &p.file);
	p.anchors.all = p.file.anchor_required;
	p.anchors.key_dir = p.own_fd;
	if (confine_self(&p, &err) < 0)
		note(&p, &err, 0, true);
	else
		serve(&p);
	anchors_finish(&p.anchors);
	recorder_file_finish(&p.file);
	own_close(&p.starter_fd);
	own_close(&p.lock_fd);
	own_close(&p.own_fd);
	return err.code ? 1 : 0;
}
