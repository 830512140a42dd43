/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/learn-run.h"

#include "base/io.h"
#include "base/path.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Between the process of the run and ours: both are berm. */
struct reply {
	int r; /* 0, or what kept the run from beginning */
	int code;
	struct error error;
	uint64_t failed, lost;
	struct learn_peak peaks[LEARN_CAP_COUNT];
	uint64_t count; /* of observations behind this */
};

struct packed {
	uint32_t operation, there;
	uint64_t count;
	uint32_t of_root, length; /* of the object behind this */
};

#define PACKED_BYTES_MAX                                                                           \
	(sizeof(struct reply) + LEARN_BYTES_MAX + LEARN_OBSERVATIONS_MAX * sizeof(struct packed))

/* The host's view of the path before the call goes on. Reporting only: what it decides about is
 * words for a person to read, never what the walls let through. */
static void look(struct learn_observation *seen)
{
	struct stat st;
	int r = seen->operation == OPERATION_WRITE ? lstat(seen->object, &st)
						   : stat(seen->object, &st);

	if (r < 0) {
		seen->there = errno == ENOENT || errno == ENOTDIR ? LEARN_ABSENT : LEARN_OTHER;
		return;
	}
	seen->there = S_ISREG(st.st_mode)   ? LEARN_FILE
		      : S_ISDIR(st.st_mode) ? LEARN_DIRECTORY
					    : LEARN_OTHER;
	seen->of_root = st.st_uid == 0;
}

static void on_seen(void *context, const char *operation, const char *object)
{
	struct learn *learn = context;
	struct learn_observation seen = {.operation = operation_from_name(operation),
		.object = object,
		.there = LEARN_OTHER,
		.runs = 1,
		.count = 1};

	if (seen.operation == OPERATION_COUNT)
		seen.operation = OPERATION_SYSCALL; /* "socket", with its family */
	if (seen.operation == OPERATION_READ || seen.operation == OPERATION_WRITE ||
		seen.operation == OPERATION_EXEC) {
		if (!path_is_normal(object) || strlen(object) >= PATH_MAX) {
			learn->lost++;
			return;
		}
		look(&seen);
	}
	learn_add(learn, &seen);
}

static void take_peaks(
	const struct session *session, const struct run_result *result, struct learn *learn)
{
	static const struct {
		enum learn_cap cap;
		enum effect_counter counter;
	} rows[] = {{LEARN_FILES_CHANGED, COUNTER_FILES_CHANGED},
		{LEARN_FILES_DELETED, COUNTER_FILES_DELETED},
		{LEARN_BYTES_WRITTEN, COUNTER_BYTES_WRITTEN},
		{LEARN_PROCESSES_STARTED, COUNTER_PROCESSES_STARTED}};

	for (size_t i = 0; i < array_size(rows); i++) {
		if (session->effects.counted[rows[i].counter])
			learn_peak(learn, rows[i].cap, session->effects.done[rows[i].counter]);
	}
	learn_peak(learn, LEARN_WALL_TIME, result->duration_ms);
	/* Of one process alone, which the kernel tells everywhere, nothing follows for a run that
	 * has more of them. */
	if (result->memory_peak)
		learn_peak(learn, LEARN_MEMORY, result->memory_peak);
	if (result->pids_peak)
		learn_peak(learn, LEARN_PIDS, result->pids_peak);
}

static int run_here(const struct session_request *request, struct learn *learn, struct reply *reply)
{
	autosession struct session session = {0};
	struct run_result result = {0};
	int r = session_load(request, &session, &reply->error);

	if (r == 0)
		r = session_check(&session, &reply->error);
	if (r == 0)
		r = session_compile(&session, &reply->error);
	if (r == 0)
		r = session_approve(&session, &reply->error);
	if (r == 0 && dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		r = error_errno(&reply->error, "stdout");
	if (r < 0)
		return r;
	session_run(&session, &result);
	if (result.outcome == RUN_SETUP_FAILED || result.outcome == RUN_REFUSED) {
		reply->error = result.error;
		return result.error.code ? result.error.code : -EPROTO;
	}
	reply->code = result.code;
	reply->failed = result.outcome != RUN_EXITED || result.code != 0;
	take_peaks(&session, &result, learn);
	return 0;
}

static int pack(int fd, const struct learn *learn, struct reply *reply)
{
	int r;

	reply->count = learn->count;
	reply->lost = learn->lost;
	memcpy(reply->peaks, learn->peaks, sizeof(reply->peaks));
	r = io_write_all(fd, reply, sizeof(*reply));
	for (size_t i = 0; r == 0 && i < learn->count; i++) {
		const struct learn_observation *seen = &learn->items[i];
		const struct packed packed = {seen->operation, seen->there, seen->count,
			seen->of_root, (uint32_t)strlen(seen->object)};

		r = io_write_all(fd, &packed, sizeof(packed));
		if (r == 0)
			r = io_write_all(fd, seen->object, packed.length + 1);
	}
	return r;
}

/* What a run runs in: everything that it changes here ends with it. */
static int child(const struct session_request *request, int fd)
{
	autolearn struct learn learn = {.runs = 1};
	const struct session_observer observer = {&learn, on_seen};
	struct session_request own = *request;
	struct reply reply = {0};

	own.observer = &observer;
	own.trace_denials = true;
	own.record = true;
	reply.r = run_here(&own, &learn, &reply);
	return pack(fd, &learn, &reply) < 0;
}

static int unpack(const char *data, size_t length, const struct reply *reply, struct learn *run)
{
	for (uint64_t i = 0; i < reply->count; i++) {
		struct packed packed;

		if (length < sizeof(packed))
			return -EPROTO;
		memcpy(&packed, data, sizeof(packed));
		data += sizeof(packed);
		length -= sizeof(packed);
		if (packed.length >= length)
			return -EPROTO;
		learn_add(run, &(struct learn_observation){.operation = packed.operation,
				       .object = data,
				       .there = packed.there,
				       .of_root = packed.of_root,
				       .runs = 1,
				       .count = packed.count});
		data += packed.length + 1;
		length -= packed.length + 1;
	}
	run->runs = 1;
	run->failed = reply->failed;
	run->lost += reply->lost;
	memcpy(run->peaks, reply->peaks, sizeof(run->peaks));
	return 0;
}

static int take_reply(int fd, struct learn *learn, int *ret_code, struct error *err)
{
	autolearn struct learn run = {0};
	autofree char *data = NULL;
	struct reply reply;
	size_t length = 0;
	int r = lseek(fd, 0, SEEK_SET) < 0
			? error_errno(err, "learn")
			: io_read_fd(fd, "observations", PACKED_BYTES_MAX, &data, &length, err);

	if (r < 0)
		return r;
	if (length < sizeof(reply))
		return error_set(err, -EPROTO, ERROR_INTERNAL, "the run ended unseen");
	memcpy(&reply, data, sizeof(reply));
	if (reply.r < 0) {
		*err = reply.error;
		return reply.r;
	}
	*ret_code = reply.code;
	if (!learn)
		return 0;
	if (unpack(data + sizeof(reply), length - sizeof(reply), &reply, &run) < 0)
		return error_set(err, -EPROTO, ERROR_INTERNAL, "an observation is missing");
	return learn_merge(learn, &run, err);
}

/* What a terminal sends to all of its foreground is the run's to answer; we wait for its end. */
static const int answered[] = {SIGINT, SIGQUIT, SIGHUP};

static pid_t start(const struct session_request *request, int fd)
{
	pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	/* Killed, we take the run with us: it hands SIGTERM on to its tool. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(1);
	_exit(child(request, fd));
}

int learn_run(const struct session_request *request, struct learn *learn, int *ret_code,
	struct error *err)
{
	autoclose int fd = memfd_create("berm-learn", MFD_CLOEXEC);
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction old[array_size(answered)];
	int status;
	pid_t pid;

	if (fd < 0)
		return error_errno(err, "learn");
	pid = start(request, fd);
	if (pid < 0)
		return error_errno(err, "fork");
	for (size_t i = 0; i < array_size(answered); i++)
		sigaction(answered[i], &ignore, &old[i]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	for (size_t i = 0; i < array_size(answered); i++)
		sigaction(answered[i], &old[i], NULL);
	return take_reply(fd, learn, ret_code, err);
}
