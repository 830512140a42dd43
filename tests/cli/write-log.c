/* SPDX-License-Identifier: Apache-2.0 */
/* Makes logs for the tests of `berm log`: write-log DIRECTORY all|many|live [RECORDS]
 * In DIRECTORY: log/, keys/ and anchor/. The clock is a fixed one but for `live`. `live` adds a
 * record for each line of its input, tells on stdout when it is on the disk, and closes the log at
 * the end of the input; with "crash" as a line it ends at once instead. */

#include "base/number.h"
#include "base/own.h"
#include "record/anchor.h"
#include "record/recorder.h"
#include "wire/effects.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SECOND_NS 1000000000ULL
#define START_NS 1795378443000000000LL /* 2026-11-22T20:14:03Z */

struct writer {
	struct recorder *r;
	struct record_run *run;
	struct record_time now;
	Berm__Wire__Evidence evidence;
	struct error err;
};

/* Everything that a line, a terminal or JSON could be broken with. */
static const char hostile[] = "/tmp/a|b=c\\d\"e\n\r\x1b[31m\x80\xff\xe2\x80\xae,%s{}<x>\t/last\x07";

static char *word(const char *string)
{
	union {
		const char *in;
		char *out;
	} u = {string};

	return u.out;
}

static ProtobufCBinaryData bytes(const char *string)
{
	return (ProtobufCBinaryData){.data = (uint8_t *)word(string), .len = strlen(string)};
}

static void fixed_clock(void *context, struct record_time *ret_time)
{
	struct writer *w = context;

	*ret_time = w->now;
}

static int make_directory(const char *parent, const char *name)
{
	autofree char *path = NULL;

	if (asprintf(&path, "%s/%s", parent, name) < 0)
		return -1;
	mkdir(path, 0700);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void check(const struct writer *w, int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "write-log: %s: %s %s\n", what, strerror(-r), w->err.text);
	exit(1);
}

static void begin(struct writer *w, const char *agent, const char *run)
{
	static const uint8_t digest[32] = {0x1f, 0x3c};
	struct record_run_info info = {.agent_id = agent,
		.run = run,
		.group = "team",
		.profile_digest = digest,
		.enforcement = RECORD_ENFORCED_LANDLOCK | RECORD_ENFORCED_SECCOMP};

	check(w, recorder_run_begin(w->r, &info, &w->run, &w->err), "begin a run");
}

/* Put the body into an envelope and queue it, a second after the one before. */
static void put(struct writer *w, Berm__Wire__Record__BodyCase body, void *message)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;

	record.body_case = body;
	record.run_start = message; /* one place for all bodies */
	if (w->run)
		record.evidence = &w->evidence;
	w->now.wall_ns += (int64_t)SECOND_NS;
	w->now.boot_ns += SECOND_NS;
	check(w, recorder_append(w->r, w->run, RECORD_RING_DECISIONS, &record), "append");
}

static void start(struct writer *w)
{
	static char *degraded[] = {NULL};
	ProtobufCBinaryData argv[] = {bytes("node"), bytes("a b.js"), bytes(hostile)};
	Berm__Wire__RunStart s = BERM__WIRE__RUN_START__INIT;

	degraded[0] = word("idmap");
	s.profile = word("coding-agent");
	s.argv = argv;
	s.n_argv = array_size(argv);
	s.has_plan_digest = s.has_working_directory = s.has_caller_uid = s.has_caller_pid = 1;
	s.plan_digest = bytes("0123456789abcdef0123456789abcdef");
	s.working_directory = bytes("/srv/repo");
	s.caller_uid = 1000;
	s.caller_pid = 4000;
	s.caller_name = word("alice");
	s.asked_by = word("alice@example.com");
	s.degraded = degraded;
	s.n_degraded = 1;
	s.enforced_by = word("mount+landlock, seccomp");
	put(w, BERM__WIRE__RECORD__BODY_RUN_START, &s);
}

static void deny(struct writer *w, const char *id, const char *operation, const char *target,
	uint32_t class, uint64_t count)
{
	Berm__Wire__RecordRule rule = BERM__WIRE__RECORD_RULE__INIT;
	Berm__Wire__Denial d = BERM__WIRE__DENIAL__INIT;

	rule.key = word("fs.deny");
	rule.file = word("/etc/berm/profiles/coding-agent.yaml");
	rule.has_line = 1;
	rule.line = 22;
	rule.by = word("mount+landlock");
	d.id = word(id);
	d.operation = word(operation);
	d.has_target = d.has_error = d.has_class_ = 1;
	d.target = bytes(target);
	d.rule = &rule;
	d.error = EACCES;
	d.class_ = class;
	d.has_count = count != 1;
	d.count = count;
	put(w, BERM__WIRE__RECORD__BODY_DENIAL, &d);
}

static void act(struct writer *w)
{
	static uint8_t address[16] = {[10] = 0xff, 0xff, 192, 0, 2, 7};
	static uint8_t address6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	ProtobufCBinaryData argv[] = {bytes("git"), bytes("status")};
	Berm__Wire__ExecActivity exec = BERM__WIRE__EXEC_ACTIVITY__INIT;
	Berm__Wire__FileActivity file = BERM__WIRE__FILE_ACTIVITY__INIT;
	Berm__Wire__NetworkActivity net = BERM__WIRE__NETWORK_ACTIVITY__INIT;

	exec.has_path = 1;
	exec.path = bytes("/usr/bin/git");
	exec.argv = argv;
	exec.n_argv = array_size(argv);
	put(w, BERM__WIRE__RECORD__BODY_EXEC, &exec);
	exec.n_argv = 0;
	exec.has_error = 1;
	exec.error = ENOENT;
	put(w, BERM__WIRE__RECORD__BODY_EXEC, &exec);
	file.operation = word("rename");
	file.has_path = file.has_new_path = 1;
	file.path = bytes("/srv/repo/\xc3\xa4");
	file.new_path = bytes(hostile);
	put(w, BERM__WIRE__RECORD__BODY_FILE, &file);
	net.operation = word("connect");
	net.has_address = net.has_port = net.has_bytes_sent = 1;
	net.address = (ProtobufCBinaryData){.data = address, .len = sizeof(address)};
	net.port = 443;
	net.bytes_sent = 512;
	put(w, BERM__WIRE__RECORD__BODY_NETWORK, &net);
	net.address.data = address6;
	net.has_error = 1;
	net.error = EACCES;
	put(w, BERM__WIRE__RECORD__BODY_NETWORK, &net);
}

static void govern(struct writer *w)
{
	Berm__Wire__Trip trip = BERM__WIRE__TRIP__INIT;
	Berm__Wire__PostureChange posture = BERM__WIRE__POSTURE_CHANGE__INIT;
	Berm__Wire__PhaseChange phase = BERM__WIRE__PHASE_CHANGE__INIT;
	Berm__Wire__Approval approval = BERM__WIRE__APPROVAL__INIT;

	trip.has_counter = trip.has_used = trip.has_limit = trip.has_posture = 1;
	trip.counter = COUNTER_FILES_DELETED;
	trip.used = 26;
	trip.limit = 25;
	trip.posture = POSTURE_READ_ONLY;
	put(w, BERM__WIRE__RECORD__BODY_TRIP, &trip);
	posture.has_after = posture.has_before = 1;
	posture.after = POSTURE_READ_ONLY;
	posture.reason = word("files_deleted");
	posture.by = word("meter");
	put(w, BERM__WIRE__RECORD__BODY_POSTURE_CHANGE, &posture);
	recorder_run_phase(w->run, PHASE_ALTERNATE);
	phase.has_after = phase.has_before = 1;
	phase.after = PHASE_ALTERNATE;
	phase.trigger = word("cap");
	phase.authority = word("automatic");
	put(w, BERM__WIRE__RECORD__BODY_PHASE_CHANGE, &phase);
	approval.id = word("A1");
	approval.operation = word("exec");
	approval.has_target = approval.has_waited_ms = 1;
	approval.target = bytes("git push origin main");
	approval.answer = word("once");
	approval.approver = word("alice");
	approval.waited_ms = 3200;
	put(w, BERM__WIRE__RECORD__BODY_APPROVAL, &approval);
}

static void finish(struct writer *w, uint64_t denials)
{
	Berm__Wire__CounterUse used = BERM__WIRE__COUNTER_USE__INIT, *counters[] = {&used};
	Berm__Wire__ResourceUse resources = BERM__WIRE__RESOURCE_USE__INIT;
	Berm__Wire__OutputHash made = BERM__WIRE__OUTPUT_HASH__INIT,
			       link = BERM__WIRE__OUTPUT_HASH__INIT, *outputs[] = {&made, &link};
	Berm__Wire__RunEnd e = BERM__WIRE__RUN_END__INIT;

	made.has_path = made.has_digest = made.has_bytes = link.has_path = 1;
	made.path = bytes("/srv/repo/report.json");
	made.digest = bytes("0123456789abcdef0123456789abcdef");
	made.bytes = 12;
	link.path = bytes(hostile);
	link.state = word("link");
	used.has_counter = used.has_used = used.has_cap = 1;
	used.counter = COUNTER_FILES_DELETED;
	used.used = used.cap = 25;
	resources.has_user_us = resources.has_max_rss_kib = 1;
	resources.user_us = 1500000;
	resources.max_rss_kib = 40960;
	e.outcome = word("exited");
	e.has_exit_code = e.has_duration_ms = e.has_denials = 1;
	e.exit_code = 3;
	e.duration_ms = 65400;
	e.counters = counters;
	e.n_counters = 1;
	e.resources = &resources;
	e.outputs = outputs;
	e.n_outputs = array_size(outputs);
	e.denials = denials;
	put(w, BERM__WIRE__RECORD__BODY_RUN_END, &e);
	recorder_run_end(w->r, w->run);
	w->run = NULL;
}

static void write_all_kinds(struct writer *w)
{
	Berm__Wire__Approval refused = BERM__WIRE__APPROVAL__INIT;

	begin(w, "coder", "01JD7Z3K9QAAAAAAAAAAAAAAAA");
	start(w);
	deny(w, "01JD7Z3K9QAAAAAAAAAAAAAAAA-1", "read", "/srv/ann/.ssh/id_ed25519", DENIAL_COUNTED,
		14);
	deny(w, "01JD7Z3K9QAAAAAAAAAAAAAAAA-2", "connect", "httpbin.org:443", DENIAL_COUNTED, 1);
	deny(w, "01JD7Z3K9QAAAAAAAAAAAAAAAA-3", "write", hostile, DENIAL_CANARY, 1);
	act(w);
	govern(w);
	recorder_lost(
		w->r, w->run, RECORD_RING_ACTIVITY, BERM__WIRE__LOSS_SOURCE__LOSS_KERNEL_RING, 7);
	finish(w, 16);
	check(w, recorder_seal(w->r, &w->err), "seal");
	begin(w, "other\x1b[2J", "01JD80000QBBBBBBBBBBBBBBBB");
	start(w);
	deny(w, "01JD80000QBBBBBBBBBBBBBBBB-1", "syscall", "bpf", DENIAL_ESCAPE, 2);
	refused.operation = word("write");
	refused.has_target = 1;
	refused.target = bytes("/etc/hosts");
	refused.answer = word("timeout");
	put(w, BERM__WIRE__RECORD__BODY_APPROVAL, &refused);
	finish(w, 2);
}

static void one_file(struct writer *w, uint64_t n)
{
	Berm__Wire__FileActivity file = BERM__WIRE__FILE_ACTIVITY__INIT;
	char path[64];
	int r = 0;

	snprintf(path, sizeof(path), "/srv/repo/src/module/file-%llu.c", (unsigned long long)n);
	file.operation = word("open");
	file.has_path = file.has_inode = file.has_device = file.has_flags = 1;
	file.path = bytes(path);
	file.inode = 1000000 + n;
	file.device = 0xfe00;
	file.flags = 0x8241;
	if (n % 4096 == 4095)
		r = recorder_commit(w->r, &w->err);
	check(w, r, "commit");
	put(w, BERM__WIRE__RECORD__BODY_FILE, &file);
}

static void write_live(struct writer *w)
{
	char line[64];
	uint64_t n = 0;

	puts("open");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "crash\n") == 0)
			_exit(0);
		if (strcmp(line, "seal\n") == 0)
			check(w, recorder_seal(w->r, &w->err), "seal");
		else
			one_file(w, n++);
		check(w, recorder_commit(w->r, &w->err), "commit");
		printf("%llu\n", (unsigned long long)recorder_durable(w->r));
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	struct writer w = {.now = {.wall_ns = START_NS, .boot_ns = 1000 * SECOND_NS}};
	struct anchor_directory directory = {.storage = &storage_system};
	struct anchor anchor = anchor_directory(&directory);
	struct recorder_options options = {.storage = &storage_system,
		.anchor = &anchor,
		.create = true,
		.clock = fixed_clock,
		.clock_context = &w};
	uint64_t records = 0;
	bool is_live;

	if (argc < 3 || (argc > 3 && !number_parse_u64(argv[3], &records))) {
		fprintf(stderr, "usage: write-log DIRECTORY all|many|live [RECORDS]\n");
		return 2;
	}
	is_live = strcmp(argv[2], "live") == 0;
	options.log_dir = make_directory(argv[1], "log");
	options.key_dir = make_directory(argv[1], "keys");
	directory.dir = make_directory(argv[1], "anchor");
	if (is_live) {
		options.segment_bytes = 4096;
		options.clock = NULL;
	}
	berm__wire__evidence__init(&w.evidence);
	w.evidence.has_pid = w.evidence.has_program = 1;
	w.evidence.pid = 4121;
	w.evidence.program = bytes("/usr/bin/node");
	check(&w, recorder_open(&options, &w.r, &w.err), "open");
	if (strcmp(argv[2], "all") == 0) {
		write_all_kinds(&w);
	} else {
		begin(&w, "coder", "01JD7Z3K9QCCCCCCCCCCCCCCCC");
		if (is_live)
			write_live(&w);
		for (uint64_t n = 0; n < records; n++)
			one_file(&w, n);
		recorder_run_end(w.r, w.run);
	}
	check(&w, recorder_close(w.r, &w.err), "close");
	recorder_destroy(w.r);
	return 0;
}
