/* SPDX-License-Identifier: Apache-2.0 */
#include "network-world.h"
#include "tree.h"

#include "daemon/network-file.h"

#include <string.h>

static Berm__Wire__HostFacts facts;
static struct text diagnostics;
static struct error problem;

static int read_file(const char *content)
{
	unlink(in_top("network.yaml"));
	make_file("network.yaml", content);
	text_finish(&diagnostics);
	problem = (struct error){0};
	berm__wire__host_facts__init(&facts);
	return network_file_read(in_top("network.yaml"), &facts, &diagnostics, &problem);
}

/* What unpacked messages do with their strings. */
static void forget(char **text)
{
	if (**text)
		free(*text);
}

static void expect(const char *content, const char *pool, const char *pool6, const char *uplink)
{
	if (read_file(content) < 0)
		fail_msg("%s%s", problem.text, text_string(&diagnostics));
	assert_string_equal(facts.network_pool, pool);
	assert_string_equal(facts.network_pool6, pool6);
	assert_string_equal(facts.network_uplink, uplink);
	forget(&facts.network_pool);
	forget(&facts.network_pool6);
	forget(&facts.network_uplink);
	text_finish(&diagnostics);
}

static void what_is_written_becomes_facts(void **state)
{
	(void)state;
	expect("version: 1\npool: 10.143.0.0/16\n", "10.143.0.0/16", "", "");
	expect("# links\nuplink: eth0.7\npool6: fd62:6572:6d00::/64\nversion: 1\n"
	       "pool: \"10.143.0.0/16\"\n",
		"10.143.0.0/16", "fd62:6572:6d00::/64", "eth0.7");
}

static void without_a_file_there_is_no_pool(void **state)
{
	(void)state;
	berm__wire__host_facts__init(&facts);
	assert_int_equal(
		network_file_read(in_top("absent.yaml"), &facts, &diagnostics, &problem), 0);
	assert_string_equal(facts.network_pool, "");
	assert_int_equal(
		network_file_read("/proc/self/status/network.yaml", &facts, &diagnostics, &problem),
		0);
}

#define GOOD "version: 1\npool: 10.143.0.0/16\n"

static const struct {
	const char *content, *place, *words;
} bad[] = {
	{"", "1:1: error[E005]", "must be a mapping"},
	{"- a\n", "1:1: error[E005]", "must be a mapping"},
	{"version: 1\n", "1:1: error[E010]", "`pool` is missing"},
	{"pool: 10.143.0.0/16\n", "1:1: error[E010]", "`version` is missing"},
	{"version: 2\npool: 10.143.0.0/16\n", "1:10: error[E011]", "version must be 1"},
	{"version: \"1\"\npool: 10.143.0.0/16\n", "1:10: error[E011]", "version must be 1"},
	{"version: 1\npool: 10.143.0.1/16\n", "2:7: error[E030]", "behind the first 16"},
	{"version: 1\npool: 10.143.0.0/30\n", "2:7: error[E030]", "between /8 and /29"},
	{"version: 1\npool: everything\n", "2:7: error[E030]", "not an IPv4 prefix"},
	{"version: 1\npool:\n", "2:6: error[E005]", "pool: must be one word"},
	{"version: 1\npool: [10.143.0.0/16]\n", "2:7: error[E005]", "pool: must be one word"},
	{GOOD "pool: 10.143.0.0/16\n", "3:1: error[E004]", "duplicate key"},
	{GOOD "pool6: fe80::/64\n", "3:8: error[E030]", "neither global"},
	{GOOD "pool6: \"\"\n", "3:8: error[E030]", "leave the key out"},
	{GOOD "uplink: lo\n", "3:9: error[E005]", "this host alone"},
	{GOOD "uplink: berm-0a8f0000\n", "3:9: error[E005]", "is the link of a run"},
	{GOOD "uplink: ../all\n", "3:9: error[E005]", "is no name of a network interface"},
	{GOOD "uplink: \"e h0\"\n", "3:9: error[E005]", "is no name of a network interface"},
	{GOOD "uplink: sixteen-bytes-16\n", "3:9: error[E005]",
		"is no name of a network interface"},
	{GOOD "up_link: eth0\n", "3:1: error[E003]", "did you mean `uplink`?"},
	{GOOD "pool: &a 10.0.0.0/8\n", "3:7: error[E006]", "anchor"},
	{GOOD "\tx: 1\n", "3:1: error[E001]", ""},
};

static void what_is_wrong_is_said_with_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(bad); i++) {
		int r = read_file(bad[i].content);
		const char *text = text_string(&diagnostics);
		char place[PATH_MAX + 64];

		snprintf(place, sizeof(place), "%s:%s", in_top("network.yaml"), bad[i].place);
		if (r != -EINVAL || !strstr(text, place) || !strstr(text, bad[i].words))
			fail_msg("\"%s\": %d, wanted %s %s\n%s", bad[i].content, r, place,
				bad[i].words, text);
		assert_int_equal(problem.kind, ERROR_INPUT);
		assert_non_null(strstr(problem.text, "network.yaml: "));
		assert_string_equal(facts.network_pool, "");
		assert_string_equal(facts.network_uplink, "");
	}
	text_finish(&diagnostics);
}

static void a_file_that_others_can_write_is_refused(void **state)
{
	(void)state;
	expect(GOOD, "10.143.0.0/16", "", "");
	assert_int_equal(chmod(in_top("network.yaml"), 0666), 0);
	berm__wire__host_facts__init(&facts);
	assert_int_equal(
		network_file_read(in_top("network.yaml"), &facts, &diagnostics, &problem), -EPERM);
	assert_non_null(strstr(problem.text, "is writable by others"));
	assert_int_equal(chmod(in_top("network.yaml"), 0644), 0);
	assert_int_equal(chmod(top, 0777), 0);
	problem = (struct error){0};
	assert_int_equal(
		network_file_read(in_top("network.yaml"), &facts, &diagnostics, &problem), -EPERM);
	assert_string_equal(facts.network_pool, "");
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(what_is_written_becomes_facts),
		ROW(without_a_file_there_is_no_pool),
		ROW(what_is_wrong_is_said_with_its_place),
		ROW(a_file_that_others_can_write_is_refused),
	};

	return cmocka_run_group_tests(tests, become_root, NULL);
}
