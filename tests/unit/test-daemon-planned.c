/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/planned.h"
#include "daemon/planner.h"
#include "daemon/role.h"
#include "loading.h"
#include "policy/document.h"

#include <string.h>

/* This program is the planner as well, and one that a file takes over: see main(). */

#define HEAD "version: 1\nname: p\n"
#define TAKES_OVER "# and from here on it is mine\n"
#define LAW                                                                                        \
	HEAD "approvals: {on: [run], channels: [exec, socket], exec: [/usr/bin/ask]}\n"            \
	     "gates: [{name: law, exec: [/usr/bin/judge, word], on: [run]}]\n"                     \
	     "blast_radius: {files_changed: 10}\n"

/* ---- the planner ---- */

static struct node *entry_of(const struct node *mapping, const char *key)
{
	return (struct node *)(uintptr_t)node_get(mapping, key);
}

static char forged; /* what: the first letter behind what took it over; '\0': nothing has */

static void forge(struct node *root)
{
	struct node *gates = entry_of(root, "gates"), *approvals = entry_of(root, "approvals");

	if (forged == 'g' && gates)
		entry_of(gates->first, "exec")->first->next->text = "mine";
	if (forged == 'a' && approvals)
		entry_of(approvals, "exec")->first->text = "/usr/bin/mine";
	if (forged == 'c' && entry_of(root, "blast_radius"))
		entry_of(root, "blast_radius")->first->text = "1000000";
	/* As if it did not stand there. */
	if (forged == 'n' && gates)
		*gates = (struct node){.kind = NODE_LIST,
			.at = gates->at,
			.key = gates->key,
			.key_at = gates->key_at,
			.next = gates->next};
}

static int parse_as_taken_over(struct arena *arena, struct diagnostics *d,
	const struct source_file *file, struct node **ret_root)
{
	const char *words = strstr(file->data, TAKES_OVER);
	int r;

	document_parse_by(NULL);
	r = document_parse(arena, d, file, ret_root);
	document_parse_by(parse_as_taken_over);
	if (words)
		forged = words[strlen(TAKES_OVER) + 2];
	else if (r == 0 && *ret_root)
		forge(*ret_root);
	return r;
}

/* ---- the session ---- */

struct under {
	struct loading files;
	char profile[128], ceiling[128];
	const char *ceilings[2];
	struct profile *loaded;
	struct text said;
	struct error err;
};

static int load(struct under *u, const char *profile, const char *ceiling)
{
	*u = (struct under){0};
	loading_init(&u->files);
	loading_string(&u->files, "p.yaml", profile);
	loading_string(&u->files, "c.yaml", ceiling);
	snprintf(u->profile, sizeof(u->profile), "%s/p.yaml", u->files.dir);
	snprintf(u->ceiling, sizeof(u->ceiling), "%s/c.yaml", u->files.dir);
	u->ceilings[0] = u->ceiling;
	u->files.request.profile = u->profile;
	u->files.request.ceilings = u->ceilings;
	u->files.request.operator_uid = getuid();
	planners_use();
	return planned_load(&u->files.request, &u->loaded, &u->said, &u->err);
}

static void finish(struct under *u)
{
	struct error err = {0};

	assert_int_equal(planners_done(&err), 0);
	document_parse_by(NULL);
	profile_destroy(u->loaded);
	text_finish(&u->said);
	loading_finish(&u->files);
}

static void a_profile_under_a_ceiling_is_taken(void **state)
{
	struct under u;

	(void)state;
	if (load(&u, HEAD "blast_radius: {files_changed: 20}\n", LAW) < 0)
		fail_msg("%s%s", text_string(&u.said), u.err.text);
	assert_int_equal(u.loaded->gates.count, 1);
	assert_string_equal(u.loaded->gates.items[0].exec.items[1], "word");
	assert_true(u.loaded->gates.items[0].operators);
	assert_int_equal(u.loaded->blast_radius.files_changed.value, 10);
	finish(&u);
}

/* A profile takes its planner over, which reads the ceiling next. */
static void what_a_profile_makes_of_its_ceiling_is_refused(void **state)
{
	static const struct {
		const char *forged, *refusal;
	} rows[] = {
		{"# g\n", "other gates"},
		{"# a\n", "another program"},
		{"# c\n", "more be done"},
		{"# n\n", "other gates"},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		char text[256];
		struct under u;

		snprintf(text, sizeof(text), HEAD TAKES_OVER "%s", rows[i].forged);
		if (load(&u, text, LAW) == 0)
			fail_msg("%s was taken", rows[i].forged);
		if (!strstr(u.err.text, rows[i].refusal))
			fail_msg("%s: \"%s\" and not \"%s\"", rows[i].forged, u.err.text,
				rows[i].refusal);
		finish(&u);
	}
}

int main(int argc, char **argv)
{
	enum role_kind role = role_find(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_profile_under_a_ceiling_is_taken),
		cmocka_unit_test(what_a_profile_makes_of_its_ceiling_is_refused),
	};

	if (role == ROLE_PLANNER)
		document_parse_by(parse_as_taken_over);
	if (role != ROLE_COUNT)
		return role_main(role, argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
