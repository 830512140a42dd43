/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/path.h"
#include "loading.h"
#include "policy/ceiling.h"
#include "policy/decide.h"
#include "random.h"

/* Random profiles under random ceilings over a small world, so that rules meet often: the result
 * never allows what either of the two does not. BERM_TEST_SEED and BERM_TEST_ROUNDS change the run;
 * a failure prints the two files. */

#define HEAD "version: 1\nname: p\n"
#define ROUNDS_DEFAULT 2000

#define PICK(list) ((list)[random_below(array_size(list))])

static const char *const places_of_files[] = {
	"/a", "/a/b", "/a/b/c", "/a/bc", "/b", "/b/c", "/tmp/a", "/"};
static const char *const globs[] = {"/a/*", "/a/**", "/**/c", "/a/b?", "/b"};
static const char *const places[] = {"host: x.example.com", "host: \"*.example.com\"",
	"host: \"**.example.com\"", "host: \"*.x.example.com\"", "host: y.example.com",
	"cidr: 10.0.0.0/8", "cidr: 10.1.0.0/16", "cidr: 10.1.2.3/32",
	"cidr: 0.0.0.0/0, allow_all: true", "cidr: \"::/0\", allow_all: true",
	"cidr: \"fe80::/10\"", "cidr: 169.254.169.254/32", "cidr: 169.254.0.0/16",
	"cidr: \"64:ff9b::/96\"", "cidr: 127.0.0.0/8"};
static const char *const more[] = {"", "", ", ports: [80]", ", ports: [\"1-100\", 443]",
	", proto: tcp", ", proto: udp", ", by: [/a/b]", ", by: [/b, /a/b], ports: [443]"};
static const char *const programs[] = {"/a", "/a/b", "/b/c", "/tmp/a", "{command: [b]}",
	"{command: [b, push]}", "{command: [b, push, now]}", "{command: [c]}"};
static const char *const calls[] = {"read", "ptrace", "shmget", "bpf", "inotify_init1"};
static const char *const denied_calls[] = {"ptrace", "shmget", "inotify_init1"};
static const char *const groups[] = {"ipc", "watch", "debug", "bpf"};
static const char *const patterns[] = {
	"A", "A*", "\"*\"", "LD_PRELOAD", "\"LD_*\"", "B?", "AB*", "A?"};
static const char *const families[] = {"unix", "inet", "inet6"};
static const char *const decisions[] = {"deny", "ask", "allow", "allow"};

static const char *const objects[] = {"/", "/a", "/a/b", "/a/b/c", "/a/b/c/d", "/a/bc", "/a/bd",
	"/b", "/b/c", "/b/d", "/c", "/tmp/a", "/tmp/a/x", "/tmp/b"};
static const char *const commands[] = {"b", "b push", "b push now", "c", "c x", "d"};
static const char *const targets[] = {"x.example.com:80", "a.x.example.com:443",
	"y.example.com:443/udp", "10.1.2.3:80", "10.2.2.3:443", "11.2.2.3:443",
	"[::ffff:10.1.2.3]:80", "169.254.169.254:80", "[fe80::1]:80", "127.0.0.1:80",
	"[64:ff9b::a01:203]:80", "[64:ff9b::a9fe:a9fe]:80", "[2001:db8::1]:443",
	"10.1.2.3:80 by /a/b", "x.example.com:443 by /b", "x.example.com:443 by /c", "unix:/a/b",
	"unix:/b/c", "unix:/tmp/a"};
static const char *const names[] = {"A", "AB", "ABC", "B", "BC", "LD_PRELOAD", "LD_X", "PATH"};

/* The words of one file. */
struct words {
	struct text reads, writes, rest;
};

static void words_finish(struct words *w)
{
	text_finish(&w->reads);
	text_finish(&w->writes);
	text_finish(&w->rest);
}
#define autowords __attribute__((cleanup(words_finish)))

static void put_items(struct text *out, const char *const *from, size_t count, unsigned most)
{
	unsigned n = random_below(most + 1);

	for (unsigned i = 0; i < n; i++)
		text_printf(out, "%s%s", i ? ", " : "", from[random_below((uint32_t)count)]);
}

static void put_list(
	struct text *out, const char *key, const char *const *from, size_t count, unsigned most)
{
	text_printf(out, "  %s: [", key);
	put_items(out, from, count, most);
	text_puts(out, "]\n");
}
#define LIST(out, key, from, most) put_list(out, key, from, array_size(from), most)

static void put_places(struct text *out, const char *key, unsigned most)
{
	unsigned n = random_below(most + 1);

	text_printf(out, "  %s: [", key);
	for (unsigned i = 0; i < n; i++) {
		const char *place = PICK(places);

		text_printf(out, "%s{%s%s}", i ? ", " : "", place, PICK(more));
	}
	text_puts(out, "]\n");
}

static void put_asks(struct text *out)
{
	unsigned n = random_below(3);

	text_puts(out, "  ask: [");
	for (unsigned i = 0; i < n; i++) {
		const char *path = PICK(places_of_files);

		text_printf(out, "%s{path: %s, access: %s}", i ? ", " : "", path,
			random_below(2) ? "read" : "write");
	}
	text_puts(out, "]\n");
}

static void words_make(struct words *w)
{
	bool host = random_below(6) == 0;

	put_items(&w->reads, places_of_files, array_size(places_of_files), 3);
	put_items(&w->writes, places_of_files, array_size(places_of_files) - 1, 2);
	LIST(&w->rest, "deny", globs, 1);
	LIST(&w->rest, "protect", globs, 1);
	LIST(&w->rest, "canaries", globs, random_below(4) == 0);
	put_asks(&w->rest);
	text_printf(&w->rest, "network:\n  mode: %s\n", host ? "host" : "scoped");
	if (!host) {
		put_places(&w->rest, "allow", 3);
		put_places(&w->rest, "ask", 2);
	}
	put_places(&w->rest, "deny", 1);
	LIST(&w->rest, "unix", places_of_files, 2);
	text_printf(&w->rest, "exec:\n  default: %s\n", PICK(decisions));
	LIST(&w->rest, "allow", programs, 3);
	LIST(&w->rest, "ask", programs, 2);
	LIST(&w->rest, "deny", programs, 1);
	text_printf(&w->rest, "syscalls:\n  base: %s\n", random_below(3) ? "default" : "strict");
	LIST(&w->rest, "allow", calls, 2);
	LIST(&w->rest, "deny", denied_calls, 1);
	LIST(&w->rest, "deny_groups", groups, 1);
	if (random_below(3) == 0)
		LIST(&w->rest, "families", families, 3);
	text_puts(&w->rest, "env:\n");
	LIST(&w->rest, "pass", patterns, 3);
	LIST(&w->rest, "hide", patterns, 1);
	text_printf(&w->rest, "  set: {%s}\n",
		random_below(3)   ? ""
		: random_below(2) ? "A: x"
				  : "LD_X: y");
}

static void words_write(const struct words *w, struct text *out)
{
	text_printf(out, HEAD "fs:\n  read: [%s]\n  write: [%s]\n%s", text_string(&w->reads),
		text_string(&w->writes), text_string(&w->rest));
}

/* The ceiling as exec rules see it: that programs do not run from where a run can write follows
 * from the profile's own grants; those of a ceiling are a bound. */
static void words_write_bound(const struct words *w, struct text *out)
{
	text_printf(out, HEAD "fs:\n  tmp: {private: false}\n  read: [%s%s%s%s/tmp]\n%s",
		text_string(&w->reads), w->reads.length ? ", " : "", text_string(&w->writes),
		w->writes.length ? ", " : "", text_string(&w->rest));
}

struct tally {
	unsigned long compared, equal, allowed;
};

/* One profile under one ceiling. */
struct round {
	struct text profile_text, ceiling_text, bound_text;
	struct profile *profile, *ceiling, *bound, *result;
};

static void round_finish(struct round *r)
{
	text_finish(&r->profile_text);
	text_finish(&r->ceiling_text);
	text_finish(&r->bound_text);
	profile_destroy(r->profile);
	profile_destroy(r->ceiling);
	profile_destroy(r->bound);
	profile_destroy(r->result);
}
#define autoround __attribute__((cleanup(round_finish)))

/* A profile whose own /tmp is private denies writing there by no rule only where a part of the
 * host's /tmp is granted for reading. Under another profile that part may be gone, and the run's
 * own /tmp is there again: nobody's files are written. */
static bool is_read_only_in_tmp(const struct profile *profile, enum operation operation,
	const char *object, const struct verdict *v)
{
	return operation == OPERATION_WRITE && path_is_beneath(object, "/tmp") &&
	       profile->fs.tmp.private && v->decision == DECISION_DENY &&
	       strcmp(v->rule, "fs.default") == 0;
}

static void compare(const struct round *round, enum operation operation, const char *object,
	struct tally *tally)
{
	struct verdict p, c, r;
	enum decision least;

	decide(round->profile, operation, object, &p);
	decide(operation == OPERATION_EXEC ? round->bound : round->ceiling, operation, object, &c);
	decide(round->result, operation, object, &r);
	least = p.decision < c.decision ? p.decision : c.decision;
	if (is_read_only_in_tmp(round->profile, operation, object, &p) ||
		is_read_only_in_tmp(round->ceiling, operation, object, &c))
		return;
	if (r.decision > least)
		fail_msg("%s %s: profile %s (%s %s), ceiling %s (%s %s), result %s (%s %s)\n"
			 "--- profile\n%s--- ceiling\n%s",
			operation_name(operation), object, decision_name(p.decision), p.rule,
			p.value ? p.value : "", decision_name(c.decision), c.rule,
			c.value ? c.value : "", decision_name(r.decision), r.rule,
			r.value ? r.value : "", text_string(&round->profile_text),
			text_string(&round->ceiling_text));
	tally->compared++;
	tally->equal += r.decision == least;
	tally->allowed += r.decision == DECISION_ALLOW;
}

#define COMPARE(round, operation, list, tally)                                                     \
	for (size_t i_ = 0; i_ < array_size(list); i_++)                                           \
	compare(round, operation, (list)[i_], &(tally)[operation])

/* What the text says by itself; NULL where it is refused. */
static struct profile *load(struct loading *l, const struct text *text)
{
	l->request.ceilings = NULL;
	return loading_text(l, text_string(text)) < 0 ? NULL : take_ptr(&l->profile);
}

/* Who looks whether a ceiling was applied finds that it was. */
static void holds(const struct round *r)
{
	const struct profile *const above[] = {r->ceiling};
	autoarena struct arena arena = {0};
	const char *wrong = NULL;

	assert_int_equal(ceilings_hold(r->result, above, 1, &arena, &wrong), 0);
	if (wrong)
		fail_msg("%s under %s: %s", text_string(&r->profile_text),
			text_string(&r->ceiling_text), wrong);
}

/* False where one of the two is refused by itself. */
static bool round_make(struct round *r, struct loading *l)
{
	autowords struct words profile = {0}, ceiling = {0};
	char path[PATH_MAX];
	const char *ceilings[] = {path, NULL};

	words_make(&profile);
	words_make(&ceiling);
	words_write(&profile, &r->profile_text);
	words_write(&ceiling, &r->ceiling_text);
	words_write_bound(&ceiling, &r->bound_text);
	r->profile = load(l, &r->profile_text);
	r->ceiling = load(l, &r->ceiling_text);
	r->bound = load(l, &r->bound_text);
	if (!r->profile || !r->ceiling || !r->bound)
		return false;
	snprintf(path, sizeof(path), "%s/ceiling.yaml", l->dir);
	loading_string(l, "ceiling.yaml", text_string(&r->ceiling_text));
	l->request.ceilings = ceilings;
	if (loading_text(l, text_string(&r->profile_text)) < 0) {
		if (!strstr(text_string(&l->out), "error[E045]"))
			fail_msg("%s", text_string(&l->out));
		return false;
	}
	r->result = take_ptr(&l->profile);
	holds(r);
	return true;
}

static unsigned long number_from(const char *name, unsigned long otherwise)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 10) : otherwise;
}

static void a_ceiling_never_widens(void **state)
{
	unsigned long rounds = number_from("BERM_TEST_ROUNDS", ROUNDS_DEFAULT), made = 0;
	struct tally tally[OPERATION_COUNT] = {0};
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	random_seed(number_from("BERM_TEST_SEED", 1));
	for (unsigned long i = 0; i < rounds; i++) {
		autoround struct round r = {0};

		if (!round_make(&r, &l))
			continue;
		made++;
		COMPARE(&r, OPERATION_READ, objects, tally);
		COMPARE(&r, OPERATION_WRITE, objects, tally);
		COMPARE(&r, OPERATION_EXEC, objects, tally);
		COMPARE(&r, OPERATION_EXEC, commands, tally);
		COMPARE(&r, OPERATION_CONNECT, targets, tally);
		COMPARE(&r, OPERATION_SYSCALL, calls, tally);
		COMPARE(&r, OPERATION_ENV, names, tally);
	}
	/* A ceiling that denied everything would pass as well: most of the time the result must be
	 * exactly the stricter of the two. */
	assert_true(made * 3 > rounds);
	for (unsigned i = 0; i < OPERATION_COUNT; i++) {
		print_message("# %s: %lu compared, %lu exact, %lu allowed\n", operation_name(i),
			tally[i].compared, tally[i].equal, tally[i].allowed);
		assert_true(tally[i].equal * 100 >= tally[i].compared * 97);
		assert_true(tally[i].allowed > 0);
	}
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(a_ceiling_never_widens),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
