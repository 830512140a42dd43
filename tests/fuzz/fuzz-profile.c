/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"
#include "base/path.h"
#include "fuzz.h"
#include "plan/plan.h"
#include "policy/decide.h"
#include "policy/load.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <sys/stat.h>

/* A profile written by anybody. What the loader says about it is safe to show and bounded; one that
 * it takes can be asked about, listed, and compiled into a plan that can be read back.
 * Input: p.yaml, and after each line "#next" one more file (b.yaml, c.yaml), so that `extends` and
 * `remove` have something to work on. */

#define DIAGNOSTICS_BYTES_MAX (512 * 1024) /* as many of each kind, all long */
#define DIAGNOSTICS_SHOWN_MAX 50
#define NEXT "#next\n"

static char directory[] = "/tmp/berm-fuzz-XXXXXX";
static const char *const names[] = {"p.yaml", "b.yaml", "c.yaml"};

static void remove_directory(void)
{
	int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < array_size(names); i++)
		unlinkat(fd, names[i], 0);
	close(fd);
	rmdir(directory);
}

static void write_file(int directory_fd, const char *name, const char *data, size_t length)
{
	autoclose int fd =
		openat(directory_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert(fd >= 0);
	assert(io_write_all(fd, data, length) == 0);
}

static void write_files(const char *data, size_t size)
{
	static int fd = -1;

	if (fd < 0) {
		umask(022);
		assert(mkdtemp(directory));
		atexit(remove_directory);
		fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
		assert(fd >= 0);
	}
	for (size_t i = 0; i < array_size(names); i++) {
		const char *end = i + 1 < array_size(names) && size
					  ? memmem(data, size, NEXT, strlen(NEXT))
					  : NULL;
		size_t length = end ? (size_t)(end - data) : size;

		write_file(fd, names[i], data, length);
		length += end ? strlen(NEXT) : 0;
		data += length;
		size -= length;
	}
}

static void ask(const struct profile *profile, enum operation operation, const char *object)
{
	struct verdict v = {.decision = DECISION_COUNT};

	decide(profile, operation, object, &v);
	assert(v.decision < DECISION_COUNT);
	assert(v.rule && *v.rule && v.at.file);
	assert(memchr(v.hint, '\0', sizeof(v.hint)));
	assert(is_safe_to_show(v.hint, strlen(v.hint)));
	assert(v.decision != DECISION_ALLOW || !*v.hint);
}

static void ask_everything(const struct profile *profile, const char *const *paths)
{
	static const char *const objects[] = {"/", "/usr/bin/true", "/home/user/.ssh/id",
		"/srv/repo/.git/hooks/x", "git push origin", "example.com:443", "10.0.0.1:80/udp",
		"[fd00::1]:1 by /usr/bin/curl", "unix:/run/x", "ptrace", "LD_PRELOAD", "PATH", "",
		"not/normal", "/a/../b", "\xff\x1b[0m:443"};

	for (enum operation o = 0; o < OPERATION_COUNT; o++) {
		for (size_t i = 0; i < array_size(objects); i++)
			ask(profile, o, objects[i]);
		for (size_t i = 0; paths[i] && i < 16; i++)
			ask(profile, o, paths[i]);
	}
	for (size_t i = 0; i < profile->tests.count && i < 16; i++) {
		const struct test_rule *test = &profile->tests.items[i];

		ask(profile, operation_from_name(test->operation), test->object);
	}
}

static void add_fact(Berm__Wire__HostFacts *facts, const char *path)
{
	Berm__Wire__PathFact *fact = malloc(sizeof(*fact));
	void *grown = realloc(facts->paths, (facts->n_paths + 1) * sizeof(*facts->paths));

	assert(fact && grown);
	facts->paths = grown;
	berm__wire__path_fact__init(fact);
	fact->path = strdup(path);
	fact->resolved = strdup(path);
	assert(fact->path && fact->resolved);
	fact->kind = fact->resolved_kind = BERM__WIRE__FILE_KIND__FILE_DIRECTORY;
	fact->dev = 8;
	fact->ino = facts->n_paths + 1;
	fact->mode = 0755;
	fact->owner_uid = 1000;
	fact->links = 2;
	facts->paths[facts->n_paths++] = fact;
}

/* A host that has everything, where each path is a directory. */
static Berm__Wire__HostFacts *make_facts(const char *const *paths)
{
	Berm__Wire__HostFacts *facts = malloc(sizeof(*facts));

	assert(facts);
	berm__wire__host_facts__init(facts);
	facts->audit_arch = AUDIT_ARCH_X86_64;
	facts->landlock_abi = 7;
	facts->seccomp_filter = facts->seccomp_notify = true;
	facts->user_namespaces = facts->network_namespaces = true;
	facts->initial_user_namespace = facts->memfd_noexec = true;
	facts->caller_uid = facts->caller_gid = 1000;
	facts->caller_name = strdup("user");
	facts->caller_home = strdup("/home/user");
	assert(facts->caller_name && facts->caller_home);
	for (size_t i = 0; paths[i]; i++)
		add_fact(facts, paths[i]);
	return facts;
}

static void read_back(const Berm__Wire__Plan *plan)
{
	uint8_t digest[PLAN_DIGEST_BYTES], again[PLAN_DIGEST_BYTES];
	size_t length = berm__wire__plan__get_packed_size(plan);
	autofree uint8_t *packed = malloc(length + 1);
	autotext struct text out = {0};
	Berm__Wire__Plan *copy;

	assert(packed && berm__wire__plan__pack(plan, packed) == length);
	copy = berm__wire__plan__unpack(NULL, length, packed);
	assert(copy);
	assert(plan_digest(plan, digest) == 0 && plan_digest(copy, again) == 0);
	assert(memcmp(digest, again, sizeof(digest)) == 0);
	plan_print(copy, &out);
	assert(!out.failed && is_safe_to_show(out.data, out.length));
	berm__wire__plan__free_unpacked(copy, NULL);
	for (size_t i = 0; i < plan->n_mounts; i++)
		assert(path_is_normal(plan->mounts[i]->target));
}

static void make_socket(Berm__Wire__HostFacts *facts, const char *path)
{
	for (size_t i = 0; i < facts->n_paths; i++)
		if (strcmp(facts->paths[i]->path, path) == 0)
			facts->paths[i]->kind = facts->paths[i]->resolved_kind =
				BERM__WIRE__FILE_KIND__FILE_SOCKET;
}

static void compile(const struct profile *profile, const char *const *paths)
{
	static const char *const words[] = {"true", NULL}, *const degraded[] = {"network", "cgroup",
								   "bpf", NULL};
	const struct plan_request request = {.argv = words,
		.home = "/home/user",
		.working_directory = "/srv/repo",
		.environment = words + 1,
		.allow_degraded = degraded,
		.run_id = "r1"};
	Berm__Wire__HostFacts *facts = make_facts(paths);
	autotext struct text notes = {0}, diagnostics = {0};
	Berm__Wire__Plan *plan = NULL;
	struct error err = {0};

	for (size_t i = 0; i < profile->network.unix_sockets.count; i++)
		make_socket(facts, profile->network.unix_sockets.items[i].path);
	if (profile_check_paths(profile, facts, &diagnostics, &err) == 0 &&
		plan_compile(profile, facts, &request, &plan, &notes, &err) == 0)
		read_back(plan);
	else
		assert(err.code < 0 && *err.text && !plan);
	assert(is_safe_to_show(text_string(&diagnostics), diagnostics.length));
	assert(diagnostics.length <= DIAGNOSTICS_BYTES_MAX);
	plan_destroy(plan);
	berm__wire__host_facts__free_unpacked(facts, NULL);
}

static void check_profile(const struct profile *profile)
{
	autofree const char **paths = NULL, **globs = NULL;

	assert(profile->name && profile->file && profile->file_count > 0);
	assert(profile_paths(profile, &paths, &globs) == 0);
	for (size_t i = 0; paths[i]; i++) {
		assert(path_is_normal(paths[i]));
		assert(i == 0 || strcmp(paths[i - 1], paths[i]) < 0);
	}
	ask_everything(profile, paths);
	compile(profile, paths);
}

/* How often the word is in the text. */
static unsigned count(const char *text, const char *word)
{
	unsigned n = 0;

	while ((text = strstr(text, word))) {
		text += strlen(word);
		n++;
	}
	return n;
}

/* Whatever was wrong, a person can read it: bounded in all, and by kind. */
static void check_diagnostics(const struct text *diagnostics, const uint8_t *data, size_t size)
{
	static const char *const kinds[] = {" error[E", " warning[W", " note[N"};
	const char *text = text_string(diagnostics);

	assert(!diagnostics->failed && diagnostics->length <= DIAGNOSTICS_BYTES_MAX);
	assert(is_safe_to_show(text, diagnostics->length));
	for (size_t i = 0; i < array_size(kinds); i++)
		if (!memmem(data, size, kinds[i], strlen(kinds[i])))
			assert(count(text, kinds[i]) <= DIAGNOSTICS_SHOWN_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[sizeof(directory) + 16];
	const char *const search_path[] = {directory, NULL};
	const struct profile_request request = {.profile = path,
		.search_path = search_path,
		.variables = {.home = "/home/user",
			.workdir = "/srv/repo",
			.tmpdir = "/tmp",
			.state = "/var/lib/berm",
			.run_id = "r1",
			.uid = "1000"},
		.trusted_uid = getuid()};
	autoprofile struct profile *profile = NULL;
	autotext struct text diagnostics = {0};
	struct error err = {0};

	write_files((const char *)data, size);
	snprintf(path, sizeof(path), "%s/p.yaml", directory);
	if (profile_load(&request, &profile, &diagnostics, &err) == 0) {
		check_profile(profile);
	} else {
		assert(!profile && err.code == -EINVAL && err.kind == ERROR_INPUT);
		assert(diagnostics.length > 0);
	}
	check_diagnostics(&diagnostics, data, size);
	return 0;
}
