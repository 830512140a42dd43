/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/path.h"
#include "policy/decide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "random-profile.h"

/* Random profiles over a small world. BERM_TEST_SEED and BERM_TEST_ROUNDS change the run; a failure
 * prints the seed of its round. */

#define ROUNDS_DEFAULT 100000

static enum decision ask_of(const struct built *b, enum operation operation, const char *object)
{
	struct verdict v;

	decide(&b->profile, operation, object, &v);
	assert_true(v.decision < DECISION_COUNT);
	assert_non_null(v.rule);
	assert_true(v.decision != DECISION_ALLOW || v.hint[0] == '\0');
	return v.decision;
}

static void one_more_deny_never_enlarges_one_more_allow_never_shrinks(void **state)
{
	uint64_t seed = environment_number("BERM_TEST_SEED", 1);
	uint64_t rounds = environment_number("BERM_TEST_ROUNDS", ROUNDS_DEFAULT);
	unsigned changed[LISTS] = {0};
	static struct built b;

	(void)state;
	for (uint64_t round = 0; round < rounds; round++, seed++) {
		enum operation operation;
		const char *object;
		enum decision before, after;
		enum list list;

		random_state = seed;
		random_profile(&b);
		list = (enum list)pick(LISTS);
		operation = (enum operation)pick(OPERATION_COUNT);
		object = random_object(operation);
		before = ask_of(&b, operation, object);
		add_rule(&b, list);
		after = ask_of(&b, operation, object);
		changed[list] += before != after;
		/* The two allows that take away: what becomes writable stops being a place for
		 * programs, and what the host has in /tmp, granted for reading, takes the place of
		 * the run's own. */
		if ((list == FS_WRITE && operation == OPERATION_EXEC) ||
			(list == FS_READ && operation == OPERATION_WRITE &&
				path_is_beneath(object, "/tmp")))
			continue;
		if ((list < ALLOWS && after < before) ||
			(list >= ALLOWS && list < DENIES && after > before) ||
			(list >= DENIES && before != DECISION_ALLOW && after == DECISION_ALLOW))
			fail_msg("seed %llu: list %u, %s %s went from %s to %s",
				(unsigned long long)seed, list, operation_name(operation), object,
				decision_name(before), decision_name(after));
	}
	/* A world in which nothing ever happens would prove nothing. */
	for (unsigned list = 0; rounds >= ROUNDS_DEFAULT && list < LISTS; list++)
		if (changed[list] < 10)
			fail_msg("list %u changed only %u decisions", list, changed[list]);
}

static void reverse_rules(void *items, size_t count, size_t size)
{
	unsigned char *bytes = items, swap[128];

	assert_true(size <= sizeof(swap));
	for (size_t i = 0; i + 1 < count - i; i++) {
		memcpy(swap, bytes + i * size, size);
		memcpy(bytes + i * size, bytes + (count - 1 - i) * size, size);
		memcpy(bytes + (count - 1 - i) * size, swap, size);
	}
}

#define REVERSE(rules)                                                                             \
	do {                                                                                       \
		if ((rules).count > 1)                                                             \
			reverse_rules((rules).items, (rules).count, sizeof((rules).items[0]));     \
	} while (0)

static void order_never_matters(void **state)
{
	uint64_t seed = environment_number("BERM_TEST_SEED", 1);
	uint64_t rounds = environment_number("BERM_TEST_ROUNDS", ROUNDS_DEFAULT) / 4;
	static struct built b;
	struct profile *p = &b.profile;

	(void)state;
	for (uint64_t round = 0; round < rounds; round++, seed++) {
		enum operation operation;
		const char *object;
		enum decision before;

		random_state = seed;
		random_profile(&b);
		operation = (enum operation)pick(OPERATION_COUNT);
		object = random_object(operation);
		before = ask_of(&b, operation, object);
		REVERSE(p->fs.read);
		REVERSE(p->fs.write);
		REVERSE(p->fs.ask);
		REVERSE(p->fs.deny);
		REVERSE(p->network.allow);
		REVERSE(p->network.ask);
		REVERSE(p->network.deny);
		REVERSE(p->exec.allow);
		REVERSE(p->exec.ask);
		REVERSE(p->exec.deny);
		REVERSE(p->env.pass);
		if (ask_of(&b, operation, object) != before)
			fail_msg("seed %llu: order changed %s %s", (unsigned long long)seed,
				operation_name(operation), object);
	}
}

static void what_may_be_written_may_be_read(void **state)
{
	uint64_t seed = environment_number("BERM_TEST_SEED", 1);
	uint64_t rounds = environment_number("BERM_TEST_ROUNDS", ROUNDS_DEFAULT) / 4;
	unsigned writable = 0;
	static struct built b;

	(void)state;
	for (uint64_t round = 0; round < rounds; round++, seed++) {
		const char *object;
		enum decision write;

		random_state = seed;
		random_profile(&b);
		object = PICK(objects);
		write = ask_of(&b, OPERATION_WRITE, object);
		writable += write == DECISION_ALLOW;
		if (ask_of(&b, OPERATION_READ, object) < write)
			fail_msg("seed %llu: %s may be written but not read",
				(unsigned long long)seed, object);
	}
	assert_true(rounds < 1000 || writable > rounds / 100);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(one_more_deny_never_enlarges_one_more_allow_never_shrinks),
		cmocka_unit_test(order_never_matters),
		cmocka_unit_test(what_may_be_written_may_be_read),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
