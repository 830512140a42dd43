/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "loading.h"
#include "policy/approvals.h"
#include "policy/ceiling.h"
#include "wire/held.h"

#include <string.h>

/* What a process that was taken over could say that a profile is under its ceilings. */

#define HEAD "version: 1\nname: p\n"
#define OWN                                                                                        \
	"approvals: {on: [commit], channels: [tty, exec, socket], exec: [/own], timeout: 4m}\n"    \
	"gates: [{name: own, exec: [/own, word], on: [run]}]\n"
#define LAW                                                                                        \
	"approvals: {on: [run], channels: [exec, socket], exec: [/law, ask], timeout: 3m,\n"       \
	"  rate: {max: 5, within: 2m}}\n"                                                          \
	"gates: [{name: law, exec: [/law, judge], on: [run, commit]}]\n"                           \
	"blast_radius: {files_changed: 10}\nlimits: {wall_time: 5m, pids: 20}\n"                   \
	"requires: {landlock: 4}\nfeedback: none\n"
#define GATE "gates: [{name: other, exec: [/other], on: [run], on_error: ask}]\n"

struct under {
	struct loading loading;
	struct profile *ceilings[2];
	size_t count;
};

static void load(struct under *u, const char *profile, const char *first, const char *second)
{
	const char *const texts[] = {first, second};
	char paths[2][128];
	const char *list[3] = {NULL};

	*u = (struct under){0};
	loading_init(&u->loading);
	for (; u->count < 2 && texts[u->count]; u->count++) {
		char name[] = "c1.yaml", text[1024];

		name[1] = (char)('1' + u->count);
		snprintf(text, sizeof(text), HEAD "%s", texts[u->count]);
		loading_string(&u->loading, name, text);
		snprintf(paths[u->count], sizeof(paths[0]), "%s/%s", u->loading.dir, name);
		list[u->count] = paths[u->count];
	}
	for (size_t i = 0; i < u->count; i++) {
		u->loading.request.as_ceiling = true;
		if (loading_load(&u->loading, paths[i]) < 0)
			fail_msg("%s%s", text_string(&u->loading.out), u->loading.err.text);
		u->ceilings[i] = u->loading.profile;
		u->loading.profile = NULL;
	}
	u->loading.request.as_ceiling = false;
	u->loading.request.ceilings = list;
	loading_string(&u->loading, "p.yaml", profile);
	if (loading_load(&u->loading, "p") < 0)
		fail_msg("%s%s", text_string(&u->loading.out), u->loading.err.text);
}

static void finish(struct under *u)
{
	for (size_t i = 0; i < u->count; i++)
		profile_destroy(u->ceilings[i]);
	loading_finish(&u->loading);
}

static const char *look(const struct under *u)
{
	autoarena struct arena arena = {0};
	const char *wrong = NULL;

	assert_int_equal(
		ceilings_hold(u->loading.profile, (const struct profile *const *)u->ceilings,
			u->count, &arena, &wrong),
		0);
	return wrong;
}

static void what_the_ceilings_made_is_taken(void **state)
{
	static const char *const profiles[] = {HEAD, HEAD OWN,
		HEAD
		"limits: {pids: 5, wall_time: 1h, memory: 1GiB}\nfeedback: hint\n"
		"blast_radius: {files_changed: 5, bytes_sent: 1MiB}\non_unsupported: degrade\n",
		HEAD "approvals: {timeout: 1m, rate: {max: 3, within: 1m}}\n"};
	static const char *const above[] = {"", LAW, GATE,
		"approvals: {channels: [exec, socket], exec: [/own]}\n",
		"approvals: {timeout: 1m}\n",
		"fs: {tmp: {size: 1MiB}}\nblast_radius: {files_deleted: 1}\n", OWN};

	(void)state;
	for (size_t i = 0; i < array_size(profiles); i++)
		for (size_t k = 0; k < array_size(above) * (array_size(above) + 1); k++) {
			const char *first = above[k % array_size(above)];
			size_t second = k / array_size(above);
			const char *wrong;
			struct under u;

			load(&u, profiles[i], first, second ? above[second - 1] : NULL);
			wrong = look(&u);
			if (wrong)
				fail_msg("%s under %s and %zu: %s", profiles[i], first, second,
					wrong);
			finish(&u);
		}
}

static void no_gates(struct profile *p)
{
	p->gates.count = 0;
}

static void one_gate_less(struct profile *p)
{
	p->gates.items++;
	p->gates.count--;
}

static void last_gate_missing(struct profile *p)
{
	p->gates.count--;
}

static void other_gate(struct profile *p)
{
	p->gates.items[1].exec.items[1] = "own";
}

static void shorter_gate(struct profile *p)
{
	p->gates.items[1].exec.count--;
}

static void gate_of_nothing(struct profile *p)
{
	p->gates.items[1].on.value = HELD_RUN;
}

static void gate_that_asks(struct profile *p)
{
	p->gates.items[1].on_error = GATE_ERROR_ASK;
}

static void gate_for_ever(struct profile *p)
{
	p->gates.items[1].timeout_ms = (struct limit){.set = true, .value = 1};
}

static void gate_of_another_name(struct profile *p)
{
	p->gates.items[1].name = "own";
}

static void own_gate_as_the_operator(struct profile *p)
{
	p->gates.items[0].operators = true;
}

static void gate_as_another_user(struct profile *p)
{
	p->gates.items[1].operators = !p->gates.items[1].operators;
}

static void other_program(struct profile *p)
{
	p->approvals.exec.items[0] = "/own";
}

static void other_argument(struct profile *p)
{
	p->approvals.exec.items[1] = "own";
}

static void program_as_another_user(struct profile *p)
{
	p->approvals.exec_is_operators = !p->approvals.exec_is_operators;
}

static void of_no_ceiling(struct profile *p)
{
	p->approvals.exec_of_ceiling = false;
}

static void asked_before_less(struct profile *p)
{
	p->approvals.on.value &= ~(uint64_t)HELD_RUN;
}

static void asked_by_more(struct profile *p)
{
	p->approvals.channels.value |= APPROVAL_TERMINAL;
}

static void asked_for_longer(struct profile *p)
{
	p->approvals.timeout_ms.value++;
}

static void asked_more_often(struct profile *p)
{
	p->approvals.rate_max.value++;
}

static void no_cap(struct profile *p)
{
	p->blast_radius.files_changed.set = false;
}

static void higher_cap(struct profile *p)
{
	p->blast_radius.files_changed.value++;
}

static void no_time_box(struct profile *p)
{
	p->limits.wall_time_ms.set = false;
}

static void more_processes(struct profile *p)
{
	p->limits.pids.value++;
}

static void degrades(struct profile *p)
{
	p->degrade = true;
}

static void needs_nothing(struct profile *p)
{
	p->requires.landlock.set = false;
}

static void tells_more(struct profile *p)
{
	p->feedback = FEEDBACK_HINT;
}

static const struct {
	void (*change)(struct profile *p);
	const char *wrong;
} rows[] = {
	{no_gates, "other gates"},
	{one_gate_less, NULL}, /* of the profile itself */
	{last_gate_missing, "other gates"},
	{other_gate, "other gates"},
	{shorter_gate, "other gates"},
	{gate_of_nothing, "other gates"},
	{gate_that_asks, "other gates"},
	{gate_for_ever, "other gates"},
	{gate_of_another_name, "other gates"},
	{own_gate_as_the_operator, "other gates"},
	{gate_as_another_user, "other gates"},
	{other_program, "another program"},
	{other_argument, "another program"},
	{program_as_another_user, "another program"},
	{of_no_ceiling, "another program"},
	{asked_before_less, "in another way"},
	{asked_by_more, "in another way"},
	{asked_for_longer, "in another way"},
	{asked_more_often, "in another way"},
	{no_cap, "more be done"},
	{higher_cap, "more be done"},
	{no_time_box, "more be done"},
	{more_processes, "more be done"},
	{degrades, "less of this host"},
	{needs_nothing, "less of this host"},
	{tells_more, "less of this host"},
};

static void what_no_ceiling_made_is_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		const char *wrong;
		struct under u;

		load(&u, HEAD OWN, LAW, NULL);
		assert_null(look(&u));
		rows[i].change(u.loading.profile);
		wrong = look(&u);
		if (!wrong != !rows[i].wrong || (wrong && !strstr(wrong, rows[i].wrong)))
			fail_msg("row %zu: %s", i, wrong ? wrong : "was taken");
		finish(&u);
	}
}

/* Where no ceiling is, nobody's program is the operator's. */
static void without_a_ceiling_nothing_is_the_operators(void **state)
{
	struct under u;

	(void)state;
	load(&u, HEAD OWN, NULL, NULL);
	assert_null(look(&u));
	u.loading.profile->approvals.exec_is_operators = true;
	assert_non_null(look(&u));
	u.loading.profile->approvals.exec_is_operators = false;
	u.loading.profile->gates.items[0].operators = true;
	assert_non_null(look(&u));
	finish(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_ceilings_made_is_taken),
		cmocka_unit_test(what_no_ceiling_made_is_not),
		cmocka_unit_test(without_a_ceiling_nothing_is_the_operators),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
