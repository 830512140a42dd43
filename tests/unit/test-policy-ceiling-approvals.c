/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "loading.h"
#include "policy/approvals.h"
#include "wire/held.h"

#include <string.h>

#define HEAD "version: 1\nname: p\n"
#define TTY APPROVAL_TERMINAL
#define EXEC APPROVAL_EXEC
#define SOCKET APPROVAL_SOCKET
#define MINUTE 60000ULL
#define DAY (24 * 60 * MINUTE)
#define ANY "approvals: {channels: [tty, exec, socket], exec: [/own]}"
#define GATE "gates: [{name: law, exec: [/law], on: [run]}]"

/* One line of the profile, one of the ceiling, and who may answer then. */
static const struct {
	const char *profile, *ceiling;
	unsigned channels;
	const char *program; /* NULL: none */
} rows[] = {
	/* Nobody else has a say. */
	{ANY, "", TTY | EXEC | SOCKET, "/own"},
	{ANY, "approvals: {timeout: 5s}", TTY | EXEC | SOCKET, "/own"},
	/* Whatever a ceiling may leave to a person is not for the profile's program. */
	{ANY, "approvals: {on: [run]}", SOCKET, NULL},
	{ANY, GATE, SOCKET, NULL},
	{ANY, "approvals: {channels: [tty, exec]}", TTY, NULL},
	{ANY, "approvals: {channels: [tty, exec], exec: [/law]}", TTY | EXEC, "/law"},
	{"approvals: {channels: [tty]}", GATE, 0, NULL},
	{"approvals: {channels: [tty]}", GATE "\napprovals: {channels: [tty, socket]}", TTY, NULL},
	{"approvals: {channels: [exec], exec: [/own]}", GATE, 0, NULL},
	{GATE, "approvals: {channels: [tty]}", 0, NULL},
	/* A profile that says nothing has no say. */
	{"", "approvals: {on: [run]}", SOCKET, NULL},
	{"", "approvals: {on: [run], channels: [tty]}", TTY, NULL},
	{"", "approvals: {on: [run], channels: [exec], exec: [/law]}", EXEC, "/law"},
	{"", GATE, SOCKET, NULL},
};

static void load(struct loading *l, const char *profile, const char *ceiling)
{
	char text[512], above[512];

	loading_init(l);
	snprintf(text, sizeof(text), HEAD "%s\n", profile);
	snprintf(above, sizeof(above), HEAD "%s\n", ceiling);
	loading_under(l, text, above);
	assert_non_null(l->profile);
}

static void a_ceiling_that_has_a_say_says_who_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct loading l;
		const struct command_words *program;

		load(&l, rows[i].profile, rows[i].ceiling);
		program = &l.profile->approvals.exec;
		if (approvals_channels(l.profile) != rows[i].channels ||
			strcmp(program->count ? program->items[0] : "",
				rows[i].program ? rows[i].program : "") != 0)
			fail_msg("%s under %s: channels %u, program %s", rows[i].profile,
				rows[i].ceiling, approvals_channels(l.profile),
				program->count ? program->items[0] : "none");
		loading_finish(&l);
	}
}

/* The least of both and the longest of both: neither is the other one's average. */
static void no_burst_passes_a_lower_rate(void **state)
{
	static const struct {
		const char *profile, *ceiling;
		uint64_t max, within;
	} cases[] = {
		{"", "", APPROVAL_RATE_DEFAULT, APPROVAL_WITHIN_DEFAULT_MS},
		{"approvals: {rate: {max: 1000, within: 24h}}", "", 1000, DAY},
		{"approvals: {rate: {max: 1000, within: 24h}}",
			"approvals: {rate: {max: 1, within: 1m}}", 1, DAY},
		{"approvals: {rate: {max: 1, within: 1m}}",
			"approvals: {rate: {max: 1000, within: 24h}}", 1, DAY},
		{"approvals: {rate: {max: 2, within: 1m}}",
			"approvals: {rate: {max: 5, within: 1m}}", 2, MINUTE},
		{"", "approvals: {rate: {max: 5, within: 10s}}", 5, APPROVAL_WITHIN_DEFAULT_MS},
		{"", "approvals: {rate: {max: 50, within: 1h}}", APPROVAL_RATE_DEFAULT,
			60 * MINUTE},
	};

	(void)state;
	for (size_t i = 0; i < array_size(cases); i++) {
		struct loading l;
		uint64_t within = 0, max;

		load(&l, cases[i].profile, cases[i].ceiling);
		max = approvals_rate(l.profile, &within);
		if (max != cases[i].max || within != cases[i].within)
			fail_msg("%s under %s: %llu within %llu ms", cases[i].profile,
				cases[i].ceiling, (unsigned long long)max,
				(unsigned long long)within);
		loading_finish(&l);
	}
}

static void a_ceiling_only_adds(void **state)
{
	struct loading l;

	(void)state;
	load(&l, "approvals: {timeout: 5s}\n" GATE, "approvals: {on: [run], timeout: 1h}\n" GATE);
	assert_int_equal(l.profile->approvals.on.value, HELD_RUN);
	assert_int_equal(approvals_timeout_ms(l.profile), 5000);
	assert_int_equal(l.profile->gates.count, 2);
	assert_false(l.profile->gates.items[0].operators);
	loading_finish(&l);
}

/* Whoever may name one more ceiling must not say who answers what the first one wants asked. */
static void no_ceiling_answers_for_another(void **state)
{
#define LAW "approvals: {on: [run], channels: [exec, socket], exec: [/law]}"
	static const struct {
		const char *first, *second;
		unsigned channels;
		const char *program;
	} both[] = {
		{LAW, "approvals: {channels: [exec, socket], exec: [/own]}", SOCKET, NULL},
		{LAW, "approvals: {channels: [exec], exec: [/own]}", 0, NULL},
		{LAW, "approvals: {on: [run]}", SOCKET, NULL},
		{LAW, LAW, EXEC | SOCKET, "/law"},
		{LAW, "approvals: {timeout: 5s}", EXEC | SOCKET, "/law"},
		{"approvals: {on: [run], channels: [exec, socket]}", LAW, SOCKET, NULL},
		{"approvals: {on: [run]}", "approvals: {channels: [exec], exec: [/own]}", 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < array_size(both); i++) {
		autoloading struct loading l;
		char first[128], second[128], text[256];
		const char *paths[] = {first, second, NULL};
		const struct command_words *program;

		loading_init(&l);
		snprintf(first, sizeof(first), "%s/c1.yaml", l.dir);
		snprintf(second, sizeof(second), "%s/c2.yaml", l.dir);
		snprintf(text, sizeof(text), HEAD "%s\n", both[i].first);
		loading_string(&l, "c1.yaml", text);
		snprintf(text, sizeof(text), HEAD "%s\n", both[i].second);
		loading_string(&l, "c2.yaml", text);
		l.request.ceilings = paths;
		loading_text(&l, HEAD ANY "\n");
		/* Asked, and nobody left to answer: that is an error. */
		if (!both[i].channels) {
			assert_null(l.profile);
			continue;
		}
		if (!l.profile || approvals_channels(l.profile) != both[i].channels)
			fail_msg("%s, then %s: %s", both[i].first, both[i].second, l.err.text);
		program = &l.profile->approvals.exec;
		assert_int_equal(program->count, both[i].program != NULL);
		if (both[i].program)
			assert_string_equal(program->items[0], both[i].program);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ceiling_that_has_a_say_says_who_answers),
		cmocka_unit_test(no_burst_passes_a_lower_rate),
		cmocka_unit_test(a_ceiling_only_adds),
		cmocka_unit_test(no_ceiling_answers_for_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
