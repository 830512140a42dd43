/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sinks-role.h"

#include "base/io.h"
#include "base/path.h"
#include "daemon/log-tail.h"
#include "daemon/recorder-file.h"
#include "daemon/recorder-place.h"
#include "daemon/role.h"
#include "daemon/run-id.h"
#include "daemon/starter.h"
#include "daemon/state-directory.h"
#include "policy/keys.h"
#include "record/recorder.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#define TURN_RECORDS 1000
#define TURN_MS 100
#define SAVE_MS 1000
#define LOCK_TRIES 20                         /* of TURN_MS: the one before may be about to end */
#define FIRST_MS 5000                         /* for the recorder, started at the same time */
#define LAST_MS 2000                          /* for places that do not take the last records */
#define CURSOR_MAX 262144                     /* bytes */
#define PROFILE_SINKS (2 * SINK_FORMAT_COUNT) /* journald and syslog, each format */

struct run {
	char id[RUN_ID_LENGTH + 1];
	uint32_t sinks;
};

struct role {
	int state_fd, own_fd, log_fd, starter_fd;
	struct recorder_file file;        /* the operator's: every record goes to its sinks */
	struct sink *some[PROFILE_SINKS]; /* the profiles': those of the runs that want them */
	struct run runs[RECORD_RUNS_MAX];
	size_t run_count;
	struct log_tail tail;
	uint64_t saved_ms;
	char host[256];
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint32_t sinks_bit(const char *words)
{
	const char *const *types = key_find(SECTION_SINK, "type")->words;
	const char *const *formats = key_find(SECTION_SINK, "format")->words;

	for (unsigned i = 0; i < PROFILE_SINKS; i++) {
		const char *type = types[i / SINK_FORMAT_COUNT];
		size_t n = strlen(type);

		if (strncmp(words, type, n) == 0 && words[n] == ' ' &&
			strcmp(words + n + 1, formats[i % SINK_FORMAT_COUNT]) == 0)
			return 1U << i;
	}
	return 0;
}

/* ---- runs ---- */

static struct run *find_run(struct role *role, const char *id)
{
	for (size_t i = 0; i < role->run_count; i++)
		if (strcmp(role->runs[i].id, id) == 0)
			return &role->runs[i];
	return NULL;
}

static void add_run(struct role *role, const char *id, uint32_t sinks)
{
	struct run *run = find_run(role, id);

	if (!sinks || strlen(id) > RUN_ID_LENGTH)
		return;
	if (!run && role->run_count == RECORD_RUNS_MAX)
		return;
	if (!run)
		run = &role->runs[role->run_count++];
	strcpy(run->id, id);
	run->sinks = sinks;
}

static uint32_t sinks_of(struct role *role, const Berm__Wire__Record *record)
{
	struct run *run;
	uint32_t sinks = 0;

	if (!record->run)
		return 0;
	if (record->body_case == BERM__WIRE__RECORD__BODY_RUN_START) {
		for (size_t i = 0; i < record->run_start->n_sinks; i++)
			sinks |= sinks_bit(record->run_start->sinks[i]);
		add_run(role, record->run, sinks);
	}
	run = find_run(role, record->run);
	if (!run)
		return 0;
	sinks = run->sinks;
	if (record->body_case == BERM__WIRE__RECORD__BODY_RUN_END)
		*run = role->runs[--role->run_count];
	return sinks;
}

/* ---- sending ---- */

static void told(void *context, const Berm__Wire__Record *record, const struct export_place *at)
{
	struct role *role = context;
	struct export_place place = *at;
	uint32_t sinks = sinks_of(role, record);
	uint64_t now = now_ms();

	place.host = role->host;
	for (int i = 0; i < role->file.sink_count; i++)
		sink_give(role->file.sinks[i], record, &place, now);
	for (unsigned i = 0; i < PROFILE_SINKS; i++) {
		if (sinks & (1U << i))
			sink_give(role->some[i], record, &place, now);
	}
}

/* Returns what still waits. */
static size_t turn(struct role *role)
{
	uint64_t now = now_ms();
	size_t waiting = 0;

	for (int i = 0; i < role->file.sink_count; i++) {
		sink_turn(role->file.sinks[i], now);
		waiting += sink_waiting(role->file.sinks[i]);
	}
	for (unsigned i = 0; i < PROFILE_SINKS; i++) {
		sink_turn(role->some[i], now);
		waiting += sink_waiting(role->some[i]);
	}
	return waiting;
}

/* ---- how far it came ---- */

static void save(struct role *role)
{
	autotext struct text out = {0};

	text_printf(&out, "berm-sinks-1 %" PRIu64 " %" PRIu64 "\n", role->tail.segment,
		role->tail.offset);
	for (size_t i = 0; i < role->run_count; i++)
		text_printf(&out, "%s %" PRIu32 "\n", role->runs[i].id, role->runs[i].sinks);
	if (!out.failed)
		(void)!storage_replace(
			&storage_system, role->own_fd, SINKS_CURSOR, 0600, out.data, out.length);
	role->saved_ms = now_ms();
}

/* What cannot be read counts as not there: the newest segment is begun with. */
static void load(struct role *role, uint64_t *ret_segment, uint64_t *ret_offset)
{
	autofree char *words = NULL;
	char *rest, *line, id[RUN_ID_LENGTH + 1];
	uint32_t sinks;

	*ret_segment = *ret_offset = 0;
	if (io_read_file(role->own_fd, SINKS_CURSOR, CURSOR_MAX, &words, NULL, NULL) < 0)
		return;
	line = strtok_r(words, "\n", &rest);
	if (!line ||
		sscanf(line, "berm-sinks-1 %" SCNu64 " %" SCNu64, ret_segment, ret_offset) != 2 ||
		*ret_segment > SEGMENT_NUMBER_MAX) {
		*ret_segment = *ret_offset = 0;
		return;
	}
	while ((line = strtok_r(NULL, "\n", &rest))) {
		/* RUN_ID_LENGTH */
		if (sscanf(line, "%26s %" SCNu32, id, &sinks) == 2)
			add_run(role, id, sinks & ((1U << PROFILE_SINKS) - 1));
	}
}

/* ---- the process ---- */

static void follow(struct role *role)
{
	uint64_t begun_ms = now_ms();
	bool last = false, seen = false;

	for (;;) {
		/* Asked before reading: what was written until then is read in this turn. */
		bool writing = recorder_is_writing(&storage_system, role->log_fd) != 0;
		int count = log_tail_read(&role->tail, TURN_RECORDS, told, role);

		turn(role);
		if (count > 0 && now_ms() - role->saved_ms >= SAVE_MS)
			save(role);
		if (count < 0 || (last && count == 0))
			break;
		seen |= writing;
		last = !writing && (seen || now_ms() - begun_ms >= FIRST_MS);
		if (count == 0)
			poll(NULL, 0, TURN_MS);
	}
	save(role);
	for (unsigned i = 0; i < LAST_MS / TURN_MS && turn(role) > 0; i++)
		poll(NULL, 0, TURN_MS);
}

static void harden(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN},
			 no_children = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
	struct rlimit none = {0};

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_NAME, "berm-sinks");
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
	umask(027);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGCHLD, &no_children, NULL);
}

static int lock(int own_fd)
{
	int fd = openat(own_fd, SINKS_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	for (unsigned i = 0; fd >= 0 && i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		poll(NULL, 0, TURN_MS);
	}
	own_close(&fd);
	return -1;
}

/* ---- what it is left with ---- */

/* A file is renamed when it is large or another one takes its place, so its directory is what the
 * process may write to. What is no regular file is never renamed. -1: there is no such place now.
 */
static int place_of(const char *path)
{
	autofree char *parent = path_parent(path);
	struct stat st;
	bool other = stat(path, &st) == 0 && !S_ISREG(st.st_mode);

	return parent ? open(other ? path : parent, O_PATH | O_CLOEXEC) : -1;
}

static int confine_self(struct role *role, struct error *err)
{
	struct confine_place places[RECORDER_FILE_SINKS_MAX + 2] = {
		{role->log_fd, CONFINE_READ}, {role->own_fd, CONFINE_WRITE}};
	size_t count = 2;
	int r;

	for (int i = 0; i < role->file.sink_count; i++) {
		const char *path = sink_file(role->file.sinks[i]);

		if (!path)
			continue;
		places[count++] = (struct confine_place){place_of(path), CONFINE_WRITE};
	}
	r = role_confine(ROLE_SINKS, places, count, err);
	for (size_t i = 2; i < count; i++)
		own_close(&places[i].fd);
	return r;
}

/* All that is opened or started before the walls stand. */
static int prepare(struct role *role, struct error *err)
{
	int r;

	for (unsigned i = 0; i < PROFILE_SINKS; i++) {
		const struct sink_target target = {.type = (enum sink_type)(i / SINK_FORMAT_COUNT),
			.format = (enum sink_format)(i % SINK_FORMAT_COUNT)};

		r = sink_create(&target, &role->some[i], err);
		if (r < 0)
			return r;
		sink_prepare(role->some[i]);
	}
	for (int i = 0; i < role->file.sink_count; i++)
		sink_prepare(role->file.sinks[i]);
	r = starter_for_sinks(role->file.sinks, role->file.sink_count, &role->starter_fd, err);
	return r < 0 ? r : confine_self(role, err);
}

/* What is wrong is told where the operator looks: beside the file. A file that is wrong is read by
 * no recorder either. */
static bool begin(struct role *role, const char *state)
{
	autotext struct text words = {0};
	struct error err = {0};

	(void)!unlinkat(role->state_fd, RECORDER_FILE ".errors", 0);
	if (recorder_file_read(state, geteuid(), &role->file, &words, &err) == 0 &&
		prepare(role, &err) == 0)
		return true;
	(void)!storage_replace(&storage_system, role->state_fd, RECORDER_FILE ".errors", 0640,
		words.length ? words.data : err.text,
		words.length ? words.length : strlen(err.text));
	return false;
}

static void finish(struct role *role)
{
	recorder_file_finish(&role->file);
	for (unsigned i = 0; i < PROFILE_SINKS; i++)
		sink_destroy(role->some[i]);
	log_tail_finish(&role->tail);
	own_close(&role->starter_fd);
	own_close(&role->own_fd);
}

int sinks_role(int argc, char **argv)
{
	static struct role role; /* large */
	struct recorder_place place = RECORDER_PLACE_NONE;
	autoclose int lock_fd = -1;
	struct error err = {0};
	uint64_t segment, offset;

	if (argc != 3)
		return 2; /* somebody typed it */
	harden();
	if (recorder_place_open(argv[2], &place, &err) < 0)
		return 1;
	own_close(&place.key_fd);
	role.state_fd = place.state_fd;
	role.log_fd = place.log_fd;
	role.starter_fd = -1;
	role.own_fd = state_directory_within(place.state_fd, SINKS_DIR, 0700, &err);
	lock_fd = role.own_fd < 0 ? -1 : lock(role.own_fd);
	if (lock_fd >= 0) {
		gethostname(role.host, sizeof(role.host) - 1);
		load(&role, &segment, &offset);
		if (begin(&role, argv[2]) &&
			log_tail_init(&role.tail, role.log_fd, segment, offset, &err) == 0)
			follow(&role);
		finish(&role);
	}
	recorder_place_close(&place);
	return 0;
}
