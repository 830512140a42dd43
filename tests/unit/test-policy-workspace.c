/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "loading.h"

/* workspace: what is read, and what a ceiling makes of it. */

#define HEAD "version: 1\nname: p\n"
#define STAGED HEAD "workspace: {path: /w, mode: staged}\n"

struct staged {
	bool staged;
	const char *path;
	size_t pending;
};

static const struct {
	const char *profile, *ceiling;
	struct staged wanted;
} rows[] = {
	{HEAD, NULL, {false, NULL, 0}},
	{HEAD "workspace: {path: /w}\n", NULL, {false, "/w", 0}},
	{STAGED, NULL, {true, "/w", 0}},
	/* A ceiling without the section takes nothing away, and gives nothing. */
	{STAGED, HEAD, {true, "/w", 0}},
	{STAGED, HEAD "workspace: {path: /w, mode: direct}\n", {true, "/w", 0}},
	{HEAD, STAGED, {true, "/w", 0}},
	{HEAD "workspace: {path: /w}\n", STAGED, {true, "/w", 0}},
	{HEAD "workspace: {path: /v, mode: direct}\n", STAGED, {true, "/w", 0}},
	{STAGED, STAGED, {true, "/w", 0}},
	/* Two that differ cannot both hold: no run starts. */
	{HEAD "workspace: {path: /v, mode: staged}\n", STAGED, {true, "/v", 1}},
};

static void a_ceiling_can_only_make_a_workspace_staged(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autoloading struct loading l;
		const struct profile *p;

		loading_init(&l);
		if (rows[i].ceiling)
			loading_under(&l, rows[i].profile, rows[i].ceiling);
		else
			loading_good(&l, rows[i].profile);
		p = l.profile;
		assert_int_equal(
			p->workspace.mode.set && p->workspace.mode.value == WORKSPACE_STAGED,
			rows[i].wanted.staged);
		if (rows[i].wanted.path)
			assert_string_equal(p->workspace.path, rows[i].wanted.path);
		else
			assert_null(p->workspace.path);
		assert_int_equal(p->pending.count, rows[i].wanted.pending);
	}
}

static void a_workspace_has_a_path(void **state)
{
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	assert_true(loading_text(&l, HEAD "workspace: {mode: staged}\n") < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ceiling_can_only_make_a_workspace_staged),
		cmocka_unit_test(a_workspace_has_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
