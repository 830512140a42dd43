/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/io.h"
#include "base/path.h"
#include "daemon/planned.h"
#include "daemon/planner.h"
#include "daemon/role.h"
#include "facts-text.h"
#include "plan/plan.h"
#include "policy/load.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

/* Golden plans. For each NAME.yaml of this directory: the profile, compiled for the host of
 * base.facts with the lines of NAME.facts over it, has to give NAME.plan. UPDATE_GOLDEN=1 writes
 * what was got; read the difference before it is committed.
 *
 * Lines of a facts file that begin with "request" say what the caller asks for:
 *   request argv true            a word of the command, one a line ("request show": no command)
 *   request directory /srv/u/w   the working directory; "request explicit" as with -C
 *   request environ A=b          a variable of the caller
 *   request env A=b              a word of --env
 *   request degrade bpf          a word of --allow-degraded
 *   request home /srv/u          ${HOME}; request timeout 500 in ms; request run ID; request trace
 *   request calls                print the filter too */

#define WORDS_MAX 16
#define GOLDEN_MAX 256
#define FILE_BYTES_MAX (256 * 1024)
#define WORKDIR "/srv/u/w"

struct words {
	const char *items[WORDS_MAX + 1];
	size_t count;
};

struct golden {
	char name[64];
	struct words argv, environ, env, degrade;
	struct plan_request request;
	bool show, calls;
	struct text facts; /* what is left after the requests */
	char *text;        /* the files read; the requests point into it */
};

static void add_word(struct words *words, const char *word)
{
	assert_in_range(words->count, 0, WORDS_MAX - 1);
	words->items[words->count++] = word;
}

static void set_request(struct golden *g, char *line)
{
	char *rest = line, *word = strsep(&rest, " ");

	if (strcmp(word, "argv") == 0)
		add_word(&g->argv, rest);
	else if (strcmp(word, "show") == 0)
		g->show = true;
	else if (strcmp(word, "calls") == 0)
		g->calls = true;
	else if (strcmp(word, "explicit") == 0)
		g->request.working_directory_explicit = true;
	else if (strcmp(word, "trace") == 0)
		g->request.trace_denials = true;
	else if (strcmp(word, "directory") == 0)
		g->request.working_directory = rest;
	else if (strcmp(word, "environ") == 0)
		add_word(&g->environ, rest);
	else if (strcmp(word, "env") == 0)
		add_word(&g->env, rest);
	else if (strcmp(word, "degrade") == 0)
		add_word(&g->degrade, rest);
	else if (strcmp(word, "home") == 0)
		g->request.home = rest;
	else if (strcmp(word, "timeout") == 0)
		g->request.wall_time_ms = strtoull(rest, NULL, 10);
	else if (strcmp(word, "run") == 0)
		g->request.run_id = rest;
	else
		fail_msg("%s.facts: request %s is not known", g->name, word);
}

/* True where a later line says something else about the same path. */
static bool said_again(const char *line, const char *later)
{
	size_t length;

	if (strncmp(line, "path ", 5))
		return false;
	length = 5 + strcspn(line + 5, " \n");
	for (const char *at = later; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, line, length) == 0 &&
			(at[length] == ' ' || at[length] == '\n' || !at[length]))
			return true;
		if (!*at)
			break;
	}
	return false;
}

static void read_facts(struct golden *g)
{
	autotext struct text all = {0};
	autofree char *base = NULL, *own = NULL;
	char file[80], *rest, *line;
	struct error err = {0};

	if (io_read_file(AT_FDCWD, "base.facts", FILE_BYTES_MAX, &base, NULL, &err) < 0)
		fail_msg("%s", err.text);
	snprintf(file, sizeof(file), "%s.facts", g->name);
	if (io_read_file(AT_FDCWD, file, FILE_BYTES_MAX, &own, NULL, NULL) < 0)
		own = NULL;
	text_printf(&all, "%s\n%s", base, own ? own : "");
	rest = g->text = text_take(&all);
	assert_non_null(rest);
	while ((line = strsep(&rest, "\n"))) {
		if (strncmp(line, "request ", 8) == 0)
			set_request(g, line + 8);
		else if (!rest || !said_again(line, rest))
			text_printf(&g->facts, "%s\n", line);
	}
	g->request.argv = g->show ? NULL : g->argv.items;
	g->request.environment = g->environ.items;
	g->request.env_extra = g->env.items;
	g->request.allow_degraded = g->degrade.items;
}

static const char *error_kind(const struct error *err)
{
	static const char *const kinds[ERROR_KIND_COUNT] = {[ERROR_INTERNAL] = "internal",
		[ERROR_INPUT] = "input",
		[ERROR_UNSUPPORTED] = "unsupported",
		[ERROR_REFUSED] = "refused",
		[ERROR_NOT_FOUND] = "not found"};

	return err->kind < ERROR_KIND_COUNT ? kinds[err->kind] : "?";
}

/* By this process, or all of it by a planner ("planned"), which this program is as well. */
static __typeof__(profile_load) *how_load = profile_load;
static __typeof__(plan_compile) *how_compile = plan_compile;

static void compile(const struct golden *g, const struct profile *profile, struct text *out)
{
	Berm__Wire__HostFacts *facts = facts_from_text(text_string(&g->facts));
	Berm__Wire__Plan *plan = NULL;
	struct text notes = {0};
	struct error err = {0};

	if (how_compile(profile, facts, &g->request, &plan, &notes, &err) < 0) {
		text_printf(out, "refused (%s): %s\n", error_kind(&err), err.text);
	} else {
		/* The filter has tests of its own, in tests/syscalls. */
		if (!g->calls) {
			berm__wire__seccomp__free_unpacked(plan->seccomp, NULL);
			plan->seccomp = NULL;
		}
		plan_print(plan, out);
	}
	for (const char *line = text_string(&notes); *line; line += strcspn(line, "\n") + 1)
		text_printf(out, "note       %.*s\n", (int)strcspn(line, "\n"), line);
	text_finish(&notes);
	plan_destroy(plan);
	berm__wire__host_facts__free_unpacked(facts, NULL);
}

static void make(struct golden *g, struct text *out)
{
	char file[80];
	const struct profile_request request = {.profile = file,
		.variables = {.home = g->request.home,
			.workdir = WORKDIR,
			.tmpdir = "/tmp",
			.uid = "1000"},
		.trusted_uid = getuid()};
	struct profile *profile = NULL;
	struct text diagnostics = {0};
	struct error err = {0};

	snprintf(file, sizeof(file), "./%s.yaml", g->name);
	if (how_load(&request, &profile, &diagnostics, &err) < 0)
		fail_msg("%s: %s\n%s", file, err.text, text_string(&diagnostics));
	compile(g, profile, out);
	profile_destroy(profile);
	text_finish(&diagnostics);
}

static void plan_is_golden(void **state)
{
	struct golden *g = *state;
	autotext struct text got = {0};
	autofree char *wanted = NULL;
	char file[80];

	read_facts(g);
	make(g, &got);
	assert_false(got.failed);
	snprintf(file, sizeof(file), "%s.plan", g->name);
	if (getenv("UPDATE_GOLDEN")) {
		autoclose int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		assert_true(fd >= 0);
		assert_int_equal(io_write_all(fd, got.data, got.length), 0);
		return;
	}
	if (io_read_file(AT_FDCWD, file, FILE_BYTES_MAX, &wanted, NULL, NULL) < 0)
		fail_msg("%s is not there; UPDATE_GOLDEN=1 makes it", file);
	if (strcmp(wanted, text_string(&got)) != 0) {
		fprintf(stderr, "%s", text_string(&got));
		fail_msg("the plan is not the one of %s (got: above)", file);
	}
}

static int release(void **state)
{
	struct golden *g = *state;

	text_finish(&g->facts);
	free(take_ptr(&g->text));
	return 0;
}

static int is_profile(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && strcmp(dot, ".yaml") == 0 && dot - entry->d_name < 63;
}

static int end_planner(void **state)
{
	struct error err = {0};

	(void)state;
	return planners_done(&err);
}

int main(int argc, char **argv)
{
	enum role_kind role = role_find(argc, argv);
	static struct CMUnitTest tests[GOLDEN_MAX];
	static struct golden goldens[GOLDEN_MAX];
	struct dirent **entries = NULL;
	const char *source = getenv("BERM_SOURCE");
	char directory[4096];
	int count;

	if (role != ROLE_COUNT)
		return role_main(role, argc, argv);
	if (argc > 1 && strcmp(argv[1], "planned") == 0) {
		planners_use();
		how_load = planned_load;
		how_compile = planned_compile;
	}
	snprintf(directory, sizeof(directory), "%s/tests/plans", source ? source : ".");
	if (chdir(directory) < 0) {
		perror(directory);
		return 1;
	}
	count = scandir(".", &entries, is_profile, alphasort);
	/* A run that tests nothing has failed. */
	if (count <= 0 || (size_t)count > array_size(tests))
		return 1;
	for (int i = 0; i < count; i++) {
		struct golden *g = &goldens[i];

		snprintf(g->name, sizeof(g->name), "%.*s",
			(int)(strrchr(entries[i]->d_name, '.') - entries[i]->d_name),
			entries[i]->d_name);
		free(entries[i]);
		tests[i] = (struct CMUnitTest){.name = g->name,
			.test_func = plan_is_golden,
			.teardown_func = release,
			.initial_state = g};
	}
	free(entries);
	return _cmocka_run_group_tests("plans", tests, (size_t)count, NULL, end_planner);
}
