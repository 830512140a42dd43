/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "meter/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

struct world world;
struct shared *shared;
static unsigned row_number;
static uint64_t next_run_id = 1;
static int run_cgroup_fd = -1;

void expect(bool condition, const char *text, const char *file, int line)
{
	if (condition)
		return;
	world.failures++;
	printf("# %s:%d: not so: %s\n", file, line, text);
}

void expect_equal(int64_t a, int64_t b, const char *text, const char *file, int line)
{
	if (a == b)
		return;
	world.failures++;
	printf("# %s:%d: not so: %s: %lld and %lld\n", file, line, text, (long long)a,
		(long long)b);
}

uint64_t counted_at(uint32_t account, enum meter_counter counter)
{
	return meter_look(world.meter, account)->value[counter];
}

uint64_t counted(enum meter_counter counter)
{
	return counted_at(world.slot, counter);
}

void make_file(const char *name, size_t bytes)
{
	autoclose int fd =
		openat(world.directory_fd, name, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

	EXPECT(fd >= 0);
	EXPECT(ftruncate(fd, (off_t)bytes) == 0);
}

bool exists(const char *name)
{
	return faccessat(world.directory_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int64_t size_of(const char *name)
{
	struct stat status;

	return fstatat(world.directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) ? -1
									       : status.st_size;
}

static struct meter_anchor_rule anchors[8];
struct meter_name_rule names[8];

void anchor(const char *path, const char *seen_as, uint32_t rights)
{
	struct meter_anchor_rule *rule = &anchors[world.rules.anchor_count++];

	*rule = (struct meter_anchor_rule){.path = seen_as, .rights = rights};
	rule->rule = (uint32_t)world.rules.anchor_count;
	rule->fd = open(path, O_PATH | O_CLOEXEC);
	EXPECT(rule->fd >= 0);
	world.rules.anchors = anchors;
}

void protect(const char *pattern, bool reading)
{
	struct meter_name_rule *rule = &names[world.rules.name_count++];

	*rule = (struct meter_name_rule){.pattern = pattern, .no_write = true, .no_read = reading};
	rule->rule = 100 + (uint32_t)world.rules.name_count;
	world.rules.names = names;
}

void close_anchors(void)
{
	for (size_t i = 0; i < world.rules.anchor_count; i++)
		own_close(&anchors[i].fd);
}

void usual_rules(void)
{
	anchor("/", "/", METER_RIGHT_READ | METER_RIGHT_EXEC);
	anchor("/proc", "/proc", METER_RIGHT_READ | METER_RIGHT_WRITE | METER_RIGHT_SCRATCH);
	anchor("/dev", "/dev", METER_RIGHT_READ | METER_RIGHT_WRITE | METER_RIGHT_SCRATCH);
	anchor(".", "/w", METER_RIGHT_READ | METER_RIGHT_WRITE | METER_RIGHT_CONNECT);
}

int touch_file(const char *path)
{
	autoclose int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	return fd < 0 ? errno : 0;
}

/* A cgroup for the run; its id is what name_to_handle_at(2) says. */
static uint64_t make_cgroup(void)
{
	struct {
		struct file_handle head;
		uint64_t id;
	} handle = {.head = {.handle_bytes = sizeof(uint64_t)}};
	char name[32];
	int mount;

	if (world.cgroup_fd < 0)
		return 0;
	snprintf(
		name, sizeof(name), "run%u", row_number * 100 + world.slot + (unsigned)next_run_id);
	if (mkdirat(world.cgroup_fd, name, 0755))
		return 0;
	own_close(&run_cgroup_fd);
	run_cgroup_fd = openat(world.cgroup_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (name_to_handle_at(run_cgroup_fd, "", &handle.head, &mount, AT_EMPTY_PATH))
		return 0;
	return handle.id;
}

void start(void)
{
	struct error err = {0};

	world.request.run_id = next_run_id++;
	world.request.limits = &world.limits;
	world.request.cgroup_id = world.off ? 0 : make_cgroup();
	if ((world.rules.anchor_count || world.rules.network_count) && !world.request.scope &&
		meter_scope_create(world.meter, &world.rules, &world.request.scope, &err)) {
		printf("# scope: %s\n", err.text);
		world.failures++;
	}
	if (meter_run_create(world.meter, &world.request, &world.slot, &err)) {
		printf("# run: %s\n", err.text);
		world.failures++;
	}
}

void finish(void)
{
	meter_run_destroy(world.meter, world.slot);
	if (world.request.scope)
		meter_scope_destroy(world.meter, world.request.scope);
	world.request.scope = 0;
	world.slot = 0;
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int finish_child(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void join_cgroup(void)
{
	autoclose int fd = run_cgroup_fd < 0
				   ? -1
				   : openat(run_cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "0", 1) != 1)
		printf("# cgroup: %s\n", strerror(errno));
}

/* The gate is shared memory: a run that is frozen could not even read from a pipe. */
int within(deed function, void *context)
{
	struct error err = {0};
	int pidfd;
	pid_t pid;

	shared->gate = 0;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		join_cgroup();
		shared->gate = 1;
		while (shared->gate != 2)
			usleep(200);
		_exit(function(context));
	}
	while (shared->gate != 1)
		usleep(200);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (!world.off && meter_run_enrol(world.meter, world.slot, pidfd, &err)) {
		printf("# enrol: %s\n", err.text);
		world.failures++;
	}
	close(pidfd);
	shared->gate = 2;
	return finish_child(pid);
}

int outside(deed function, void *context)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(function(context));
	return finish_child(pid);
}

static void tally_event(void *context, const struct meter_event *event, const char *text)
{
	struct tally *tally = context;

	if (event->kind < 8) {
		tally->kind[event->kind]++;
		tally->id[event->kind] = event->id;
	}
	tally->in_order = tally->in_order && event->sequence > tally->last_sequence;
	tally->last_sequence = event->sequence;
	tally->total++;
	tally->last = *event;
	memcpy(tally->text, text,
		event->text_bytes < sizeof(tally->text) ? event->text_bytes : sizeof(tally->text));
}

void read_events(struct tally *tally)
{
	struct meter_events *events;
	struct error err = {0};

	memset(tally, 0, sizeof(*tally));
	tally->in_order = true;
	if (meter_events_open(world.meter, world.slot, tally_event, tally, &events, &err)) {
		printf("# events: %s\n", err.text);
		world.failures++;
		return;
	}
	meter_events_read(events);
	meter_events_close(events);
}

/* One row in a directory of its own; true where nothing was wrong. */
static bool run_row(const struct row *row)
{
	memset(&world.request, 0, sizeof(world.request));
	memset(&world.rules, 0, sizeof(world.rules));
	memset(shared, 0, sizeof(*shared));
	meter_limits_none(&world.limits);
	world.failures = 0;
	world.slot = 0;
	snprintf(world.directory, sizeof(world.directory), "/tmp/meter/row%u", row_number);
	if (mkdir(world.directory, 0777))
		return false;
	world.directory_fd = open(world.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (world.directory_fd < 0 || fchdir(world.directory_fd))
		return false;
	row->run();
	if (world.slot)
		finish();
	own_close(&world.directory_fd);
	return world.failures == 0;
}

static int open_meter(enum meter_make make)
{
	struct meter_options options = {.make = make, .cgroup_fd = world.cgroup_fd};
	struct error err = {0};
	int r = meter_open(&options, &world.meter, &err);

	if (r)
		printf("# meter: %s\n", err.text);
	return r;
}

/* Detach one program, and attach it again. */
static bool switch_hook(const char *name, bool on)
{
	static const struct {
		const char *name;
		enum bpf_attach_type type;
	} of_cgroup[] = {{"net_connect4", BPF_CGROUP_INET4_CONNECT},
		{"net_sock_create", BPF_CGROUP_INET_SOCK_CREATE}};
	static int program_fd = -1;
	struct meter *m = world.meter;

	for (size_t i = 0; i < m->link_count; i++) {
		if (strcmp(meter_hook_name(m->hook[i]), name) != 0)
			continue;
		if (!on)
			program_fd = meter_program_of(m->link_fd[i]);
		own_close(&m->link_fd[i]);
		for (size_t k = 0; on && k < array_size(of_cgroup); k++)
			if (strcmp(of_cgroup[k].name, name) == 0)
				m->link_fd[i] = bpf_link_create(
					program_fd, world.cgroup_fd, of_cgroup[k].type, NULL);
		if (on && m->link_fd[i] < 0)
			m->link_fd[i] = bpf_raw_tracepoint_open(NULL, program_fd);
		if (on)
			own_close(&program_fd);
		return on ? m->link_fd[i] >= 0 : program_fd >= 0;
	}
	return false;
}

/* Above the cgroups of all runs; a hybrid host has the unified hierarchy in a directory of its own.
 */
static int open_cgroup(void)
{
	static const char *const places[] = {
		"/sys/fs/cgroup/unified/meter", "/sys/fs/cgroup/meter"};

	for (size_t i = 0; i < array_size(places); i++) {
		mkdir(places[i], 0755);
		int fd = open(places[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0 && faccessat(fd, "cgroup.procs", F_OK, 0) == 0)
			return fd;
		own_close(&fd);
	}
	return -1;
}

static const struct row *const tables[] = {write_rows, name_rows, task_rows, rule_rows, decoy_rows,
	join_rows, net_rows, life_rows, bench_rows, cost_rows};

static unsigned passed, failed;

static void report(bool good, const char *name, const char *how, const char *hook)
{
	printf("%s %u - %s%s%s\n", good ? "ok" : "not ok", row_number, name, how, hook);
	passed += good;
	failed += !good;
}

/* What a row says is not so without the meter, nor without the hook that it names. */
static void ablate(const struct row *row)
{
	if (!row->not_outside) {
		row_number++;
		world.off = true;
		report(!run_row(row), row->name, " fails outside of a run", "");
		world.off = false;
	}
	if (!row->hook)
		return;
	row_number++;
	EXPECT(switch_hook(row->hook, false));
	report(!run_row(row), row->name, " fails without ", row->hook);
	if (!switch_hook(row->hook, true)) {
		printf("Bail out! %s cannot be attached again\n", row->hook);
		exit(1);
	}
}

/* Usage: meter-rows [auto|fmod_ret|network] [life|bench|cost|ablation|WORD]: all rows but those
 * about the life of the programs and the figures, or only those, or each row without the meter and
 * without its hook, or the rows whose name has the word. "network" runs the network rows with
 * cgroup programs alone. */
int main(int argc, char **argv)
{
	const char *wanted = argc > 1 ? argv[1] : "auto";
	enum meter_make make = !strcmp(wanted, "fmod_ret")  ? METER_MAKE_FMOD_RET
			       : !strcmp(wanted, "network") ? METER_MAKE_NETWORK
							    : METER_MAKE_AUTO;
	bool ablation = argc > 2 && !strcmp(argv[2], "ablation");
	bool life = argc > 2 && !strcmp(argv[2], "life");
	bool bench = argc > 2 && !strcmp(argv[2], "bench");
	bool cost = argc > 2 && !strcmp(argv[2], "cost");
	const char *only = argc > 2 && !ablation && !life && !bench && !cost ? argv[2] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	mkdir("/tmp/meter", 0777);
	if (mount("meter", "/tmp/meter", "tmpfs", 0, NULL))
		perror("mount");
	world.cgroup_fd = open_cgroup();
	if (open_meter(make))
		return 1;
	if (cost) {
		cost_without_meter();
		if (open_meter(make))
			return 1;
	}
	printf("# make %s\n", meter_make_name(meter_make(world.meter)));
	for (size_t t = 0; t < array_size(tables); t++) {
		for (const struct row *row = tables[t]; row->name; row++) {
			if (!strstr(row->name, only) ||
				(!only[0] && (life != (tables[t] == life_rows) ||
						     bench != (tables[t] == bench_rows) ||
						     cost != (tables[t] == cost_rows))))
				continue;
			if (make == METER_MAKE_NETWORK && (tables[t] != net_rows || row->needs_lsm))
				continue;
			if (ablation) {
				ablate(row);
				continue;
			}
			row_number++;
			report(run_row(row), row->name, "", "");
		}
	}
	printf("# skipped by the kernel: %llu\n", (unsigned long long)meter_skipped(world.meter));
	meter_close(world.meter);
	printf("1..%u\n# %u passed, %u failed\n", passed + failed, passed, failed);
	return failed ? 1 : 0;
}
