/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "agent-sample.h"
#include "govern/delegation.h"

/* An agent called by one letter, with an id of it; delegates to those of the letters. */
static Berm__Wire__Agent *agent_of(char letter, unsigned tier, const char *to)
{
	Berm__Wire__Agent *agent = sample_agent();

	memset(agent->id, letter, AGENT_ID_BYTES);
	snprintf(agent->name, 2, "%c", letter | 0x20);
	agent->tier = tier;
	agent->n_delegate_to = strlen(to);
	agent->delegate_to = calloc(strlen(to) + 1, sizeof(*agent->delegate_to));
	assert_non_null(agent->delegate_to);
	for (size_t i = 0; to[i]; i++) {
		agent->delegate_to[i] = sample_words("01HZX3K9QJ5V8W2M4N6P7R8S9T");
		memset(agent->delegate_to[i], to[i], AGENT_ID_BYTES);
	}
	return agent;
}

/* Each letter asks for the next one: the rule that the last question comes to. */
static enum delegation_rule walk(const char *letters, const char *tiers, const char *to)
{
	struct delegation_chain chain = {0}, next;
	enum delegation_rule rule = DELEGATION_YES;

	for (size_t i = 0; letters[i + 1]; i++) {
		Berm__Wire__Agent *from = agent_of(letters[i], (unsigned)(tiers[i] - '0'), to);
		Berm__Wire__Agent *target = agent_of(letters[i + 1], 3, to);

		assert_int_equal(rule, DELEGATION_YES);
		delegation_extend(&chain, sample_run((unsigned)i), from, &next);
		chain = next;
		rule = delegation_judge(&chain, from, target);
		berm__wire__agent__free_unpacked(from, NULL);
		berm__wire__agent__free_unpacked(target, NULL);
	}
	return rule;
}

static const struct {
	const char *letters, *tiers, *to;
	enum delegation_rule wanted;
} walks[] = {
	{"AB", "3", "B", DELEGATION_YES},
	{"AB", "3", "", DELEGATION_TO},
	{"AB", "3", "C", DELEGATION_TO},
	/* To itself, back, and round a corner. */
	{"AA", "3", "A", DELEGATION_CYCLE},
	{"ABA", "33", "AB", DELEGATION_CYCLE},
	{"ABCA", "333", "ABC", DELEGATION_CYCLE},
	{"ABCB", "333", "ABC", DELEGATION_CYCLE},
	/* Whom it may not delegate to it learns nothing about, not even that it is in the chain. */
	{"ABA", "33", "B", DELEGATION_TO},
	/* None, two and three may follow, and the least of the chain counts. */
	{"AB", "1", "B", DELEGATION_DEPTH},
	{"ABC", "22", "BC", DELEGATION_YES},
	{"ABCD", "222", "BCD", DELEGATION_DEPTH},
	{"ABCD", "333", "BCD", DELEGATION_YES},
	{"ABCDE", "3333", "BCDE", DELEGATION_DEPTH},
	{"ABCD", "233", "BCD", DELEGATION_DEPTH},
	{"ABCD", "323", "BCD", DELEGATION_YES},
	{"ABCD", "332", "BCD", DELEGATION_YES},
	{"ABCDE", "3233", "BCDE", DELEGATION_DEPTH},
	{"ABC", "31", "BC", DELEGATION_DEPTH},
};

static void a_chain_ends_where_the_first_rule_says_so(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(walks); i++)
		if (walk(walks[i].letters, walks[i].tiers, walks[i].to) != walks[i].wanted)
			fail_msg("%s of tiers %s to %s", walks[i].letters, walks[i].tiers,
				walks[i].to);
}

/* Whatever is asked for, one after the other. */
static void no_chain_outgrows_its_room(void **state)
{
	struct delegation_chain chain = {0}, next;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		Berm__Wire__Agent *agent = agent_of((char)('A' + i), 3, "");

		delegation_extend(&chain, sample_run(i), agent, &next);
		chain = next;
		assert_true(chain.count <= DELEGATION_HOPS_MAX);
		assert_true(chain.left <= DELEGATION_DEPTH_MAX);
		assert_true(i < DELEGATION_DEPTH_MAX || chain.left == 0);
		berm__wire__agent__free_unpacked(agent, NULL);
	}
}

static void who_is_not_the_last_of_the_chain_delegates_nothing(void **state)
{
	Berm__Wire__Agent *a = agent_of('A', 3, "B"), *b = agent_of('B', 3, "C");
	Berm__Wire__Agent *c = agent_of('C', 3, "");
	struct delegation_chain none = {0}, chain;
	struct agent_now now = sample_now(0);

	(void)state;
	assert_int_equal(delegation_judge(&none, a, b), DELEGATION_TO);
	delegation_extend(&none, sample_run(1), a, &chain);
	assert_int_equal(delegation_judge(&chain, b, c), DELEGATION_TO);
	assert_int_equal(delegation_judge(&chain, a, b), DELEGATION_YES);
	/* As they are now. */
	a->tier = 1;
	assert_int_equal(delegation_judge(&chain, a, b), DELEGATION_DEPTH);
	a->tier = 3;
	a->retired = agent_moment(&now);
	assert_int_equal(delegation_judge(&chain, a, b), DELEGATION_TO);
	berm__wire__agent__free_unpacked(a, NULL);
	berm__wire__agent__free_unpacked(b, NULL);
	berm__wire__agent__free_unpacked(c, NULL);
}

static void the_words_hold_every_hop(void **state)
{
	struct delegation_chain chain = {0}, next;
	char words[DELEGATION_WORDS];

	(void)state;
	delegation_words(&chain, words);
	assert_string_equal(words, "");
	for (unsigned i = 0; i < DELEGATION_HOPS_MAX; i++) {
		Berm__Wire__Agent *agent = agent_of((char)('A' + i), 3, "");

		free(agent->name);
		agent->name = sample_words("a234567890123456789012345678901234567890"
					   "123456789012345678901234");
		delegation_extend(&chain, sample_run(i), agent, &next);
		chain = next;
		berm__wire__agent__free_unpacked(agent, NULL);
	}
	delegation_words(&chain, words);
	assert_int_equal(strlen(words), DELEGATION_HOPS_MAX * (64 + 1 + 26) + 3 * 3);
}

static void a_run_asks_for_so_many_and_no_more(void **state)
{
	(void)state;
	assert_int_equal(delegation_has_room(0, 0), DELEGATION_YES);
	assert_int_equal(delegation_has_room(3, 63), DELEGATION_YES);
	assert_int_equal(delegation_has_room(4, 63), DELEGATION_AT_ONCE);
	assert_int_equal(delegation_has_room(0, 64), DELEGATION_TOTAL);
	assert_int_equal(delegation_has_room(4, 64), DELEGATION_TOTAL);
}

static void what_is_left_is_never_more_than_there_was(void **state)
{
	static const struct {
		uint64_t limit, done, held, left;
	} rows[] = {
		{DELEGATION_NOTHING, 7, 7, DELEGATION_NOTHING},
		{10, 0, 0, 10},
		{10, 3, 4, 3},
		{10, 3, 7, 0},
		{10, 10, 0, 0},
		{10, 11, 0, 0},
		{10, 0, 11, 0},
		{10, UINT64_MAX, UINT64_MAX, 0},
		{10, 5, UINT64_MAX - 4, 0},
		{0, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++)
		assert_int_equal(
			delegation_left(rows[i].limit, rows[i].done, rows[i].held), rows[i].left);
}

static void each_rule_has_a_name_and_words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DELEGATION_RULE_COUNT; i++) {
		assert_true(strncmp(delegation_rule_name(i), "delegation", 10) == 0);
		assert_true(delegation_rule_words(i)[0] != '\0');
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(delegation_rule_name(i), delegation_rule_name(k));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_ends_where_the_first_rule_says_so),
		cmocka_unit_test(no_chain_outgrows_its_room),
		cmocka_unit_test(who_is_not_the_last_of_the_chain_delegates_nothing),
		cmocka_unit_test(the_words_hold_every_hop),
		cmocka_unit_test(a_run_asks_for_so_many_and_no_more),
		cmocka_unit_test(what_is_left_is_never_more_than_there_was),
		cmocka_unit_test(each_rule_has_a_name_and_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
