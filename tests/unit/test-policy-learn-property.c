/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/path.h"
#include "learn-stage.h"
#include "random.h"

/* Random runs of hostile tools: whatever they name, the proposal is a profile, says about each path
 * what it is meant to, and grants nothing outside of the system and the work tree.
 * BERM_TEST_SEED and BERM_TEST_ROUNDS change the run. */

#define ROUNDS_DEFAULT 200

static uint64_t from_environment(const char *name, uint64_t usual)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : usual;
}

/* Names that YAML, a terminal, a glob or our own language would take for something else. */
static const char *const names[] = {"a", "b", "lib", "x.key", ".env", ".ssh", "id_rsa",
	"credentials.json", "new\nline", "tab\there", "q\"uote", "back\\slash", "'s'", "- item",
	"key: value", "# comment", "&anchor", "*alias", "?", "[x]", "{y}", "%dir", "@at", "`b`",
	"|", ">", "!tag", "~", "null", "true", "${HOME}", "$x", "...", "---", "\x1b[31mred",
	"\xff\xfe", "\xc3\xa9t\xc3\xa9",
	"\xe2\x80\xae"
	"evil",
	"\xe2\x80\x8bzero",
	"\xef\xbb\xbf"
	"bom",
	"\x7f", " ", "  two", "trail ", ", optional: true", "}", "\"}", "\r\n  write: [/]", ".git",
	".mcp.json", "src"};

static const char *const roots[] = {"/opt", "/opt/x", "/etc/app", "/etc/one.conf", "/srv/repo",
	"/srv/repo/build", "/srv/other", "/home/user", "/var/lib", "", "/usr/lib", "/tmp", "/etc"};

static void random_path(char *path, size_t capacity)
{
	size_t n = (size_t)snprintf(path, capacity, "%s", roots[random_below(array_size(roots))]);

	for (unsigned i = random_below(4); i > 0 || n == 0; i -= i > 0)
		n += (size_t)snprintf(
			path + n, capacity - n, "/%s", names[random_below(array_size(names))]);
}

static void random_run(struct stage *s)
{
	static const enum operation operations[] = {OPERATION_READ, OPERATION_READ, OPERATION_READ,
		OPERATION_WRITE, OPERATION_WRITE, OPERATION_EXEC, OPERATION_CONNECT,
		OPERATION_SYSCALL};

	s->learn.runs = 1 + random_below(LEARN_RUNS_MAX);
	s->world.starts_there = random_below(2);
	for (unsigned i = random_below(120); i > 0; i--) {
		char path[512];
		struct learn_observation seen = {
			.operation = operations[random_below(array_size(operations))],
			.object = path,
			.there = random_below(LEARN_THERE_COUNT),
			.of_root = random_below(2),
			.runs = 1ULL << random_below(s->learn.runs),
			.count = 1 + random_below(9)};

		random_path(path, sizeof(path));
		learn_add(&s->learn, &seen);
	}
	for (enum learn_cap cap = 0; cap < LEARN_CAP_COUNT; cap++) {
		if (random_below(2))
			learn_peak(&s->learn, cap, random_u64() >> random_below(64));
	}
}

/* Every line came back out of the parser with the bytes that went in. */
static void lines_are_in_the_profile(const struct stage *s)
{
	const struct profile *p = s->l.profile;
	const struct {
		const char *key;
		const struct path_rules *rules;
	} lists[] = {{"fs.read", &p->fs.read}, {"fs.write", &p->fs.write}, {"fs.deny", &p->fs.deny},
		{"fs.protect", &p->fs.protect}};

	for (size_t i = 0; i < s->proposal.count; i++) {
		const struct learn_line *l = &s->proposal.lines[i];
		bool found = strncmp(l->key, "exec.", 5) == 0;

		for (size_t k = 0; k < array_size(lists); k++) {
			for (size_t r = 0;
				strcmp(lists[k].key, l->key) == 0 && r < lists[k].rules->count; r++)
				found |= strcmp(lists[k].rules->items[r].path, l->path) == 0;
		}
		if (!found)
			fail_msg("%s %s is not in\n%s", l->key, l->path, text_string(&s->text));
	}
}

static void nothing_else_is_granted(const struct stage *s)
{
	const struct profile *p = s->l.profile;

	assert_int_equal(p->exec.allow.count, 0);
	assert_int_equal(p->network.allow.count, 0);
	for (size_t i = 0; i < p->fs.write.count; i++)
		assert_true(path_is_beneath(p->fs.write.items[i].path, "/srv/repo"));
	for (size_t i = 0; i < p->fs.read.count; i++) {
		const char *path = p->fs.read.items[i].path;

		assert_true(path_is_beneath(path, "/usr") || path_is_beneath(path, "/srv/repo") ||
			    path_is_beneath(path, "/etc/app") ||
			    path_is_beneath(path, "/etc/one.conf") ||
			    (path_is_beneath(path, "/opt") && path_depth(path) >= 2));
	}
}

static void whatever_runs_do_the_proposal_is_a_profile_that_says_so(void **state)
{
	uint64_t rounds = from_environment("BERM_TEST_ROUNDS", ROUNDS_DEFAULT);
	uint64_t seed = from_environment("BERM_TEST_SEED", 1), lines = 0;
	autostage struct stage s;

	(void)state;
	random_seed(seed);
	stage_init(&s, BASE);
	for (uint64_t i = 0; i < rounds; i++) {
		learn_finish(&s.learn);
		random_run(&s);
		propose(&s);
		lines += s.proposal.count;
		round_trip(&s);
		lines_are_in_the_profile(&s);
		nothing_else_is_granted(&s);
		text_finish(&s.text);
		learn_proposal_finish(&s.proposal);
	}
	assert_true(lines > rounds);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(whatever_runs_do_the_proposal_is_a_profile_that_says_so),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
