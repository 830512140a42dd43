/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recorder-role.h"

#include "base/failpoint.h"
#include "base/io.h"
#include "base/memory.h"
#include "daemon/anchor-client.h"
#include "daemon/recorder-file.h"
#include "daemon/recorder-place.h"
#include "daemon/recorder-server.h"
#include "daemon/recorder-wire.h"
#include "daemon/retention.h"
#include "daemon/role.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

/* Descriptors beside those of the clients. */
#define OWN_DESCRIPTORS 64
/* More than a socket holds. */
#define FIRST_PACKETS 1024

struct role {
	struct recorder_place place;
	struct recorder *recorder;
	struct recorder_server *server;
	int listen_fd, signal_fd;
	struct recorder_file file; /* what the operator wants */
	struct anchor_client anchor_client;
	struct anchor anchor;
	uint8_t host_id[RECORD_ID_BYTES], boot_id[RECORD_ID_BYTES];
};

static uint64_t boot_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Limits that the caller has for itself are not for who serves all runs: as far as they may be
 * taken back. */
static void raise_limits(void)
{
	static const int resources[] = {
		RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_CPU, RLIMIT_AS, RLIMIT_DATA};

	for (size_t i = 0; i < array_size(resources); i++) {
		struct rlimit limit;

		if (getrlimit(resources[i], &limit) < 0)
			continue;
		limit.rlim_cur = limit.rlim_max;
		setrlimit(resources[i], &limit);
	}
	/* A write that fails is dealt with; a signal would end everything. */
	signal(SIGXFSZ, SIG_IGN);
}

/* Its memory holds keys: nobody's to read or to find on a disk. */
static void harden(void)
{
	const struct rlimit none = {0};

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_NAME, "berm-recorder");
	setrlimit(RLIMIT_CORE, &none);
	umask(027);
	raise_limits();
}

/* A client that cannot be accepted for want of a descriptor could not be told so either. */
static unsigned places(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
		limit.rlim_cur >= RECORDER_CLIENTS_MAX + OWN_DESCRIPTORS)
		return RECORDER_CLIENTS_MAX;
	return limit.rlim_cur > 2 * OWN_DESCRIPTORS ? (unsigned)limit.rlim_cur - OWN_DESCRIPTORS
						    : OWN_DESCRIPTORS;
}

static int open_signals(void)
{
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGHUP);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	return signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* 32 hexadecimal digits, with or without dashes, as in machine-id(5) and boot_id; NULL where the
 * file has none. */
static const uint8_t *read_id(const char *path, uint8_t id[RECORD_ID_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	autofree char *words = NULL;
	size_t count = 0;

	if (io_read_file(AT_FDCWD, path, 128, &words, NULL, NULL) < 0)
		return NULL;
	memset(id, 0, RECORD_ID_BYTES);
	for (const char *at = words; *at && *at != '\n'; at++) {
		const char *digit = strchr(digits, *at);

		if (*at == '-')
			continue;
		if (!digit || count == 2UL * RECORD_ID_BYTES)
			return NULL;
		id[count / 2] |= (uint8_t)((digit - digits) << (count % 2 ? 0 : 4));
		count++;
	}
	return count == 2UL * RECORD_ID_BYTES ? id : NULL;
}

/* Before the recorder's own walls, which let it read nothing else of the directory. A file that is
 * wrong is not passed over: what it was to say may be where the log is anchored. */
static int read_operator(struct role *role, const char *state, struct error *err)
{
	autotext struct text diagnostics = {0};

	return recorder_file_read(state, geteuid(), &role->file, &diagnostics, err);
}

/* Heads are brought elsewhere by a process of its own. */
static int open_anchor(
	struct role *role, const char *state, struct recorder_options *options, struct error *err)
{
	int r;

	if (!recorder_file_has_anchor(&role->file))
		return 0;
	r = anchor_client_start(state, &role->anchor_client, err);
	if (r < 0)
		return r;
	role->anchor = anchor_client_anchor(&role->anchor_client);
	options->anchor = &role->anchor;
	options->anchor_required = role->file.anchor_required;
	return 0;
}

static int open_log(struct role *role, const char *state, struct error *err)
{
	struct recorder_options options = {.storage = &storage_system, .create = true};
	int r = recorder_place_open(state, &role->place, err);

	if (r < 0)
		return r;
	r = read_operator(role, state, err);
	if (r < 0)
		return r;
	r = open_anchor(role, state, &options, err);
	if (r < 0)
		return r;
	options.segment_bytes = failpoint_number("segment-bytes", 0);
	options.log_dir = role->place.log_fd;
	options.key_dir = role->place.key_fd;
	options.host_id = read_id("/etc/machine-id", role->host_id);
	options.boot_id = read_id("/proc/sys/kernel/random/boot_id", role->boot_id);
	return recorder_open(&options, &role->recorder, err);
}

/* Nothing but the two directories, the socket's name, and /proc, where it is read who asks. */
static int confine_self(const struct role *role, struct error *err)
{
	autoclose int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct confine_place places[] = {{role->place.log_fd, CONFINE_WRITE},
		{role->place.key_fd, CONFINE_WRITE}, {role->place.state_fd, CONFINE_SOCKETS},
		{proc, CONFINE_LOOK}};

	if (proc < 0)
		return error_errno(err, "open /proc");
	return role_confine(ROLE_RECORDER, places, array_size(places), err);
}

static int open_server(struct role *role, int *first_fd, struct error *err)
{
	struct recorder_server_options options = {
		.recorder = role->recorder, .owner = geteuid(), .places = places()};
	int r;

	role->listen_fd = recorder_place_listen(role->place.state_fd, err);
	if (role->listen_fd < 0)
		return role->listen_fd;
	failpoint("role.listening");
	options.listen_fd = role->listen_fd;
	r = recorder_server_create(&options, &role->server, err);
	if (r == 0)
		r = recorder_server_add(role->server, first_fd, err);
	if (r == 0)
		r = confine_self(role, err);
	failpoint("role.confined");
	return r;
}

/* How long to wait for something to happen; 0: it is time to end. */
static int patience_ms(const struct role *role)
{
	uint64_t now = boot_now_ms(), since;

	if (recorder_server_clients(role->server) > 0)
		return -1;
	since = recorder_server_idle_since_ns(role->server) / 1000000;
	if (recorder_server_is_to_close(role->server) || now - since >= RECORDER_IDLE_MS)
		return 0;
	return (int)(RECORDER_IDLE_MS - (now - since)) + 1;
}

/* True where nobody came while the name was taken away. */
static bool nobody_is_left(struct role *role, struct error *err)
{
	if (recorder_place_hide(role->place.state_fd) < 0)
		return true; /* somebody removed it: nobody can come any more */
	failpoint("role.leaving");
	if (recorder_server_handle(role->server, err) < 0 ||
		recorder_server_clients(role->server) == 0)
		return true;
	return recorder_place_show(role->place.state_fd) < 0;
}

/* An answer of the anchor is heard when it comes, not with the next record of a run. */
static int look_at_anchor(struct role *role, struct error *err)
{
	return anchor_client_turned(&role->anchor_client) ? recorder_server_seal(role->server, err)
							  : 0;
}

static int sooner(int patience_ms, int other_ms)
{
	return other_ms < 0 || (patience_ms >= 0 && patience_ms < other_ms) ? patience_ms
									    : other_ms;
}

/* Until there is nothing to do for long, or somebody ends it. 0, or why the recorder failed. */
static int serve(struct role *role, struct error *err)
{
	struct pollfd fds[] = {{.fd = recorder_server_fd(role->server), .events = POLLIN},
		{.fd = role->signal_fd, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
	bool rested = false;

	for (;;) {
		int patience = patience_ms(role), r;

		if (patience == 0 && nobody_is_left(role, err))
			return err->code;
		if (patience > MEMORY_IDLE_MS && !rested)
			patience = MEMORY_IDLE_MS;
		patience = sooner(patience, anchor_client_patience_ms(&role->anchor_client));
		fds[2].fd = anchor_client_fd(&role->anchor_client);
		if (poll(fds, array_size(fds), patience) == 0 && !rested &&
			recorder_server_clients(role->server) == 0) {
			memory_release_program();
			rested = true;
			continue;
		}
		rested = rested && recorder_server_clients(role->server) == 0;
		if (fds[1].revents)
			return 0;
		r = recorder_server_handle(role->server, err);
		if (r == 0)
			r = look_at_anchor(role, err);
		if (r < 0)
			return r;
	}
}

/* The one who started this waits for the reason. */
static int refuse_first(int fd, const struct error *why)
{
	struct recorder_reply reply = {.error = why->code};
	uint8_t packet[RECORDER_REPLY_MAX];

	if (why->code == -EWOULDBLOCK)
		reply.error = -EAGAIN;
	snprintf(reply.reason, sizeof(reply.reason), "%s", why->text);
	if (fd < 0)
		return 1;
	(void)!send(fd, packet, recorder_reply_write(&reply, packet), MSG_DONTWAIT | MSG_NOSIGNAL);
	/* A socket that is closed with packets in it takes away what was said (ECONNRESET). */
	for (unsigned i = 0; i < FIRST_PACKETS && recv(fd, packet, 1, MSG_DONTWAIT) > 0; i++)
		;
	return 1;
}

/* Nobody waits for it now. What it cannot do today it tries again tomorrow: a log that is too long
 * is no reason to lose a record. */
static void let_old_go(struct role *role)
{
	struct retention_request request = {.log_dir = role->place.log_fd,
		.state_dir = role->place.state_fd,
		.max_bytes = failpoint_number("log-bytes", role->file.max_bytes)};
	struct recorder_status status;
	struct error ignored = {0};
	struct timespec now;

	recorder_status(role->recorder, &status);
	if (status.failed)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	request.now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	(void)!retention_apply(&request, role->recorder, &ignored);
}

static void finish(struct role *role)
{
	/* The name first: whoever comes now starts another recorder, which waits for the lock. */
	if (role->listen_fd >= 0) {
		(void)!recorder_place_hide(role->place.state_fd);
		recorder_place_remove(role->place.state_fd);
	}
	failpoint("role.hidden");
	recorder_server_destroy(role->server);
	own_close(&role->listen_fd);
	if (role->recorder) {
		let_old_go(role);
		(void)!recorder_close(role->recorder, NULL);
	}
	/* While the log is still locked: the next one to write it finds this one's last head. */
	anchor_client_finish(&role->anchor_client);
	recorder_destroy(role->recorder);
	own_close(&role->signal_fd);
	recorder_place_close(&role->place);
	recorder_file_finish(&role->file);
}

int recorder_role(int argc, char **argv)
{
	struct role role = {.place = RECORDER_PLACE_NONE,
		.listen_fd = -1,
		.signal_fd = -1,
		.anchor_client = {.fd = -1}};
	autoclose int first_fd = ROLE_FD;
	struct error err = {0};
	int r;

	if (argc != 3 || fcntl(first_fd, F_SETFD, FD_CLOEXEC) < 0) {
		first_fd = -1;
		return 2; /* somebody typed it */
	}
	harden();
	role.signal_fd = open_signals();
	r = role.signal_fd < 0 ? error_errno(&err, "signalfd") : open_log(&role, argv[2], &err);
	if (r == 0)
		r = open_server(&role, &first_fd, &err);
	if (r < 0) {
		/* Where the first client was taken already, the server tells it. */
		if (role.server)
			recorder_server_refuse(role.server, &err);
		refuse_first(first_fd, &err);
	} else {
		r = serve(&role, &err);
	}
	finish(&role);
	return r < 0 ? 1 : 0;
}
