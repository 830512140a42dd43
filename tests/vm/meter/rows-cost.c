/* SPDX-License-Identifier: Apache-2.0 */

/* What the meter adds to a call: for a process outside of any run and inside of one, beside the
 * same kernel without it and with a program that does nothing at each of the places where the
 * meter has one. In a guest whose clock counts instructions (tools/vm --instructions) the figures
 * are the same on every machine; elsewhere they are nanoseconds. */
#include "harness.h"

#include "meter/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <netinet/in.h>

enum call { CALL_OPEN, CALL_WRITE, CALL_CONNECT, CALL_NAME, CALL_COUNT };
static const char *const call_name[] = {
	"open and close at depth 10", "write", "UDP socket, connect and close", "mkdir and rmdir"};
#define DEEP "a/b/c/d/e/f/g/h/i/file"
#define CALLS 2000
#define ROUNDS 5

static int64_t without[CALL_COUNT], with_empty[CALL_COUNT], programs[CALL_COUNT];

static int connect_once(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return connect(fd, (struct sockaddr *)&to, sizeof(to));
}

static int call_once(enum call call, int fd)
{
	switch (call) {
	case CALL_OPEN:
		return close(open(DEEP, O_RDONLY | O_CLOEXEC));
	case CALL_WRITE:
		return pwrite(fd, "x", 1, 0) != 1;
	case CALL_CONNECT:
		return connect_once();
	case CALL_NAME:
		return mkdir("made", 0700) || rmdir("made");
	case CALL_COUNT:
		break;
	}
	return 1;
}

/* The best of some rounds each, into shared->value. With a context: only that call, CALLS times. */
static int time_calls(void *context)
{
	const int *only = context;
	autoclose int fd = open("file", O_RDWR | O_CLOEXEC);

	for (int call = 0; call < CALL_COUNT; call++) {
		int64_t best = INT64_MAX;

		for (int round = 0; round < (only ? 1 : ROUNDS) && (!only || *only == call);
			round++) {
			uint64_t begun = now_ns();
			int64_t took;

			for (int i = 0; i < CALLS; i++)
				if (call_once((enum call)call, fd))
					return 1 + call;
			took = (int64_t)(now_ns() - begun) / CALLS;
			best = took < best ? took : best;
		}
		shared->value[call] = best;
	}
	return 0;
}

static void make_depth(void)
{
	char path[32] = "";

	for (const char *c = "abcdefghi"; *c; c++) {
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "%c", *c);
		mkdirat(world.directory_fd, path, 0755);
		strcat(path, "/");
	}
	make_file("file", 1);
	make_file(DEEP, 1);
}

/* ---- a program that does nothing, wherever the meter has one ---- */

#define PLACES_MAX 128
static struct place {
	enum bpf_attach_type type;
	uint32_t function; /* in the kernel's type information */
} places[PLACES_MAX];
static size_t place_count;

static void find_places(void)
{
	for (size_t i = 0; i < world.meter->link_count && place_count < PLACES_MAX; i++) {
		struct bpf_link_info info = {0};
		uint32_t length = sizeof(info);

		EXPECT_EQ(bpf_obj_get_info_by_fd(world.meter->link_fd[i], &info, &length), 0);
		/* Those of a cgroup do not run for anybody outside of it. */
		if (info.type == BPF_LINK_TYPE_TRACING)
			places[place_count++] = (struct place){
				info.tracing.attach_type, info.tracing.target_btf_id};
	}
	EXPECT(place_count > 0);
}

static int attach_nothing(const struct place *place)
{
	static const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = place->type,
		.attach_btf_id = place->function);
	autoclose int program = bpf_prog_load(
		place->type == BPF_LSM_MAC ? BPF_PROG_TYPE_LSM : BPF_PROG_TYPE_TRACING, "nothing",
		"GPL", nothing, array_size(nothing), &options);

	return program < 0 ? program : bpf_raw_tracepoint_open(NULL, program);
}

static void time_with_nothing(void)
{
	int links[PLACES_MAX];

	for (size_t i = 0; i < place_count; i++) {
		links[i] = attach_nothing(&places[i]);
		EXPECT(links[i] >= 0);
	}
	EXPECT_EQ(outside(time_calls, NULL), 0);
	memcpy(with_empty, shared->value, sizeof(with_empty));
	for (size_t i = 0; i < place_count; i++)
		own_close(&links[i]);
}

void cost_without_meter(void)
{
	char directory[] = "/tmp/meter/without";

	mkdir(directory, 0777);
	world.directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EXPECT_EQ(fchdir(world.directory_fd), 0);
	make_depth();
	EXPECT_EQ(outside(time_calls, NULL), 0);
	memcpy(without, shared->value, sizeof(without));
	find_places();
	meter_close(world.meter);
	world.meter = NULL;
	/* Links that were closed go when the kernel gets round to it. */
	usleep(500000);
	EXPECT_EQ(outside(time_calls, NULL), 0);
	memcpy(without, shared->value, sizeof(without));
	time_with_nothing();
	own_close(&world.directory_fd);
}

/* ---- the rows ---- */

static uint64_t fired(void)
{
	uint64_t sum = 0;

	for (uint32_t hook = 0; hook < METER_HOOK_COUNT; hook++)
		sum += world.meter->fired[hook];
	return sum;
}

/* How many programs of the meter one call runs through, those of cgroups included. */
static void count_programs(void)
{
	for (int call = 0; call < CALL_COUNT; call++) {
		uint64_t before = fired();

		EXPECT_EQ(within(time_calls, &call), 0);
		programs[call] = (int64_t)((fired() - before + CALLS / 2) / CALLS);
	}
}

static const char *unit(void)
{
	return getenv("INSTRUCTIONS") ? "instructions" : "ns";
}

static void row_outside(void)
{
	struct meter_net_rule anywhere = {.last_port = UINT16_MAX, .allow = true};

	make_depth();
	world.rules.networks = &anywhere;
	world.rules.network_count = 1;
	world.rules.families = ~0ULL;
	usual_rules();
	world.request.flags = METER_RUN_PROOF;
	start();
	count_programs();
	EXPECT_EQ(outside(time_calls, NULL), 0);
	for (int i = 0; i < CALL_COUNT; i++) {
		int64_t empty = with_empty[i] - without[i], meter = shared->value[i] - without[i];

		EXPECT(without[i] > 0 && empty > 0 && programs[i] > 0);
		printf("# outside of any run: %s: %lld %s without the meter, %+lld with %lld "
		       "programs "
		       "that do nothing, %+lld with the meter: %.2f times the empty ones, %+.0f a "
		       "program\n",
			call_name[i], (long long)without[i], unit(), (long long)empty,
			(long long)programs[i], (long long)meter, (double)meter / (double)empty,
			(double)(meter - empty) / (double)programs[i]);
	}
	close_anchors();
}

static void row_inside(void)
{
	struct meter_net_rule anywhere = {.last_port = UINT16_MAX, .allow = true};

	make_depth();
	world.rules.networks = &anywhere;
	world.rules.network_count = 1;
	world.rules.families = ~0ULL;
	usual_rules();
	protect("/w/**/.env*", false);
	start();
	EXPECT_EQ(within(time_calls, NULL), 0);
	for (int i = 0; i < CALL_COUNT; i++)
		printf("# in a run with rules: %s: %+lld %s, %.2f times what it is without the "
		       "meter\n",
			call_name[i], (long long)(shared->value[i] - without[i]), unit(),
			(double)shared->value[i] / (double)without[i]);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), ROUNDS * CALLS);
	close_anchors();
}

const struct row cost_rows[] = {
	{"what the meter costs a process outside of any run is printed", row_outside, NULL},
	{"what it costs inside of one is printed", row_inside, NULL},
	/* A task that is kept waiting between its last effect and its look at the clock seems to
	 * have gone on: not so where the clock waits too. */
	{"five hundred tasks stop at once", row_stop, NULL},
	{NULL, NULL, NULL},
};
