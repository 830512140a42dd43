/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "apply/apply.h"
#include "base/io.h"
#include "plan/plan.h"
#include "policy/load.h"
#include "random.h"
#include "small-world.h"

#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

/* The kernel as the judge: random profiles are run for real over a tree of real files, and what a
 * tool can reach behind the walls has to be what decide() says. The model of test-plan-property is
 * checked by this, and so is everything between a profile and the last wall. The program of the
 * tool is the first argument. BERM_TEST_SEED and BERM_TEST_ROUNDS change the run. */

#define ROUNDS_DEFAULT 60
#define OUTPUT_MAX 4096
#define ORDINARY_ID 1000

static char top[64];
static char *probe; /* the bytes of the tool's program, read while everything could be read */
static size_t probe_bytes;

static void make_program(const char *path)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, probe, probe_bytes), 0);
}

static int make_tree(void **state)
{
	char mark[PATH_MAX];

	(void)state;
	snprintf(top, sizeof(top), "/tmp/berm-oracle-XXXXXX");
	if (!mkdtemp(top) || chmod(top, 0755) < 0)
		return -1;
	world_init(top);
	for (size_t i = 0; i < WORLD_EXISTING; i++) {
		const struct world_path *p = &world_paths()[i];

		if (p->kind != BERM__WIRE__FILE_KIND__FILE_DIRECTORY) {
			make_program(p->path);
			continue;
		}
		snprintf(mark, sizeof(mark), "%s/.mark", p->path);
		if (mkdir(p->path, 0755) < 0 || mknod(mark, S_IFREG | 0644, 0) < 0)
			return -1;
	}
	snprintf(strchr(top, '\0'), 8, "/probe");
	make_program(top);
	*strrchr(top, '/') = '\0';
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int remove_tree(void **state)
{
	(void)state;
	return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static Berm__Wire__HostFacts *gather(const char *program)
{
	const char *paths[WORLD_PATHS + 32], *globs[WORLD_GLOBS + 1];
	const char *const *more = plan_fact_paths();
	struct facts_request request = {.paths = paths, .globs = globs};
	Berm__Wire__HostFacts *facts = NULL;
	struct error err = {0};
	size_t count = 0;

	for (size_t i = 0; i < WORLD_PATHS; i++)
		paths[count++] = world_paths()[i].path;
	while (*more)
		paths[count++] = *more++;
	paths[count++] = program;
	paths[count] = NULL;
	memcpy(globs, world_globs(), WORLD_GLOBS * sizeof(*globs));
	globs[WORLD_GLOBS] = NULL;
	if (facts_gather(&request, &facts, &err) < 0)
		fail_msg("%s", err.text);
	return facts;
}

/* Run the plan with its output in a file of memory; the output, NUL-terminated. */
static void run(const Berm__Wire__Plan *plan, char output[OUTPUT_MAX])
{
	const struct run_callbacks callbacks = {0};
	autoclose int fd = memfd_create("oracle", MFD_CLOEXEC);
	autoclose int saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
	struct run_result result = {0};
	ssize_t n;

	assert_true(fd >= 0 && saved >= 0);
	fflush(stdout);
	assert_true(dup2(fd, STDOUT_FILENO) >= 0);
	/* A run leaves its supervisor closed to others, which without privilege includes the next
	 * one. */
	assert_int_equal(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
	run_plan(plan, &callbacks, &result);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	if (result.outcome != RUN_EXITED || result.code != 0)
		fail_msg("the run ended with outcome %d, code %d: %s", result.outcome, result.code,
			result.error.text);
	n = pread(fd, output, OUTPUT_MAX - 1, 0);
	assert_true(n >= 0);
	output[n] = '\0';
}

static Berm__Wire__Plan *compile(
	struct built *b, const Berm__Wire__HostFacts *facts, const char *program)
{
	static char words[WORLD_PATHS][PATH_MAX];
	static const char *const degraded[] = {"bpf", "landlock", "netns", "idmap", NULL};
	const char *argv[WORLD_PATHS + 2] = {program};
	const struct plan_request request = {.argv = argv,
		.home = "/nonexistent/home",
		.allow_degraded = degraded,
		.run_id = "oracle"};
	Berm__Wire__Plan *plan = NULL;
	struct error err = {0};

	for (size_t i = 0; i < WORLD_PATHS; i++) {
		const struct world_path *p = &world_paths()[i];

		snprintf(words[i], sizeof(words[i]), "%c%s",
			p->kind == BERM__WIRE__FILE_KIND__FILE_DIRECTORY ? 'd'
			: p->kind == BERM__WIRE__FILE_KIND__FILE_REGULAR ? 'f'
									 : 'a',
			p->path);
		argv[i + 1] = words[i];
	}
	if (plan_compile(&b->profile, facts, &request, &plan, NULL, &err) < 0)
		fail_msg("%s", err.text);
	return plan;
}

static void compare(const struct built *b, const Berm__Wire__Plan *plan, uint64_t seed)
{
	static char output[OUTPUT_MAX];
	const char *line = output;

	run(plan, output);
	for (size_t i = 0; i < WORLD_PATHS; i++) {
		int read = 0, write = 0, exec = 0;
		char why[256];

		if (!line || sscanf(line, "%d %d %d", &read, &write, &exec) != 3)
			fail_msg("seed %llu: no word about %s", (unsigned long long)seed,
				world_paths()[i].path);
		if (!world_agrees(b, &world_paths()[i], (struct reach){read, write, exec}, why)) {
			autotext struct text t = {0};

			plan_print(plan, &t);
			fputs(text_string(&t), stderr);
			fail_msg("seed %llu: %s", (unsigned long long)seed, why);
		}
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void a_tool_reaches_what_decide_allows(void **state)
{
	uint64_t seed = setting("BERM_TEST_SEED", 1),
		 rounds = setting("BERM_TEST_ROUNDS", ROUNDS_DEFAULT);
	static struct built b;
	char program[80];
	Berm__Wire__HostFacts *facts;

	(void)state;
	snprintf(program, sizeof(program), "%s/probe", top);
	facts = gather(program);
	for (uint64_t i = 0; i < rounds; i++, seed++) {
		Berm__Wire__Plan *plan;

		random_seed(seed * 0x9e3779b97f4a7c15ULL);
		world_profile(&b);
		/* The world lies in the host's /tmp, and the tool beside it. */
		b.profile.fs.tmp.private = b.profile.fs.home.private = false;
		built_path(&b, &b.profile.fs.read, program, PATH_READ);
		built_exec_path(&b, &b.profile.exec.allow, program);
		plan = compile(&b, facts, program);
		compare(&b, plan, seed);
		plan_destroy(plan);
	}
	berm__wire__host_facts__free_unpacked(facts, NULL);
}

/* Who asks: whoever runs the test, an ordinary user, or that user as root of a namespace of its
 * own. */
static int become(const char *who)
{
	gid_t gid;
	char map[32];

	if (strcmp(who, "self") == 0)
		return 0;
	if (geteuid() == 0 &&
		(setgroups(0, NULL) < 0 || setresgid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID) < 0 ||
			setresuid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID) < 0))
		return -1;
	if (strcmp(who, "userns") != 0)
		return 0;
	/* The files of /proc belong to root while the process is not dumpable. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	gid = getegid();
	snprintf(map, sizeof(map), "0 %u 1\n", geteuid());
	if (unshare(CLONE_NEWUSER) < 0)
		return -1;
	if (io_write_file(AT_FDCWD, "/proc/self/setgroups", "deny", NULL) < 0 ||
		io_write_file(AT_FDCWD, "/proc/self/uid_map", map, NULL) < 0)
		return -1;
	snprintf(map, sizeof(map), "0 %u 1\n", gid);
	return io_write_file(AT_FDCWD, "/proc/self/gid_map", map, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test_setup_teardown(
			a_tool_reaches_what_decide_allows, make_tree, remove_tree),
	};
	struct error err = {0};

	if (argc != 3) {
		fprintf(stderr, "usage: test-oracle PROBE self|user|userns\n");
		return 2;
	}
	if (io_read_file(AT_FDCWD, argv[1], 16 << 20, &probe, &probe_bytes, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	if (become(argv[2]) < 0) {
		perror(argv[2]);
		return 1;
	}
	return cmocka_run_group_tests_name(argv[2], list, NULL, NULL);
}
