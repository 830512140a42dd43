/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "policy/diff.h"

#include <stdio.h>
#include <string.h>

#include "random-profile.h"

/* Pairs of random profiles: what decide() says and what the comparison says never part in the
 * direction that hurts. BERM_TEST_SEED and BERM_TEST_ROUNDS change the run. */

#define ROUNDS_DEFAULT 1000

/* Take one entry out of a list of {items, count}. */
#define TAKE_OUT(rules)                                                                            \
	do {                                                                                       \
		if ((rules).count) {                                                               \
			size_t at_ = pick((unsigned)(rules).count);                                \
			memmove(&(rules).items[at_], &(rules).items[at_ + 1],                      \
				((rules).count - at_ - 1) * sizeof((rules).items[0]));             \
			(rules).count--;                                                           \
		}                                                                                  \
	} while (0)

static void take_out(struct profile *p)
{
	switch (pick(16)) {
	case 0:
		TAKE_OUT(p->fs.read);
		break;
	case 1:
		TAKE_OUT(p->fs.write);
		break;
	case 2:
		TAKE_OUT(p->fs.ask);
		break;
	case 3:
		TAKE_OUT(p->fs.deny);
		break;
	case 4:
		TAKE_OUT(p->fs.protect);
		break;
	case 5:
		TAKE_OUT(p->fs.canaries);
		break;
	case 6:
		TAKE_OUT(p->network.allow);
		break;
	case 7:
		TAKE_OUT(p->network.ask);
		break;
	case 8:
		TAKE_OUT(p->network.deny);
		break;
	case 9:
		TAKE_OUT(p->exec.allow);
		break;
	case 10:
		TAKE_OUT(p->exec.ask);
		break;
	case 11:
		TAKE_OUT(p->exec.deny);
		break;
	case 12:
		TAKE_OUT(p->syscalls.deny);
		break;
	case 13:
		TAKE_OUT(p->env.pass);
		break;
	case 14:
		TAKE_OUT(p->env.hide);
		break;
	default:
		TAKE_OUT(p->network.unix_sockets);
		break;
	}
}

static void turn(struct profile *p)
{
	switch (pick(6)) {
	case 0:
		p->exec.default_decision = (enum decision)pick(DECISION_COUNT);
		break;
	case 1:
		p->fs.tmp.private = !p->fs.tmp.private;
		break;
	case 2:
		p->network.mode = (enum network_mode)pick(NETWORK_MODE_COUNT);
		break;
	case 3:
		p->syscalls.base = (enum syscall_base)pick(SYSCALL_BASE_COUNT);
		break;
	case 4:
		TAKE_OUT(p->syscalls.families);
		break;
	default:
		p->fs.home.private = !p->fs.home.private;
		break;
	}
}

/* The same profile twice from the same seed, the second one changed a little; or two strangers. */
static void random_pair(struct built *was, struct built *now, uint64_t seed)
{
	random_state = seed;
	random_profile(was);
	if (seed % 4)
		random_state = seed;
	random_profile(now);
	random_state = seed ^ 0xabcdef;
	for (unsigned i = pick(4); i > 0; i--)
		add_rule(now, (enum list)pick(LISTS));
	for (unsigned i = pick(4); i > 0; i--)
		take_out(&now->profile);
	if (pick(3) == 0)
		turn(&now->profile);
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Whether a line may be the one that accounts for an operation. */
static bool is_about(const struct diff_line *line, enum operation operation)
{
	static const char *const keys[OPERATION_COUNT][3] = {
		[OPERATION_READ] = {"fs"},
		[OPERATION_WRITE] = {"fs"},
		[OPERATION_EXEC] = {"fs", "exec"},
		[OPERATION_CONNECT] = {"fs", "network", "syscalls.families"},
		[OPERATION_SYSCALL] = {"syscalls"},
		[OPERATION_ENV] = {"env"},
	};

	for (size_t i = 0; i < array_size(keys[operation]) && keys[operation][i]; i++)
		if (begins(line->key, keys[operation][i]))
			return true;
	return false;
}

static bool says(const struct diff *diff, enum diff_direction least, enum operation operation)
{
	for (size_t i = 0; i < diff->count; i++)
		if (diff->lines[i].direction >= least && is_about(&diff->lines[i], operation))
			return true;
	return false;
}

static enum decision decision_of(
	const struct built *b, enum operation operation, const char *object)
{
	struct verdict v;

	decide(&b->profile, operation, object, &v);
	return v.decision;
}

struct tally {
	unsigned wider[OPERATION_COUNT], narrower[OPERATION_COUNT], same, examples;
};

static void check_object(const struct built *was, const struct built *now, const struct diff *diff,
	enum operation operation, const char *object, struct tally *tally)
{
	enum decision before = decision_of(was, operation, object);
	enum decision after = decision_of(now, operation, object);

	tally->wider[operation] += after > before;
	tally->narrower[operation] += after < before;
	if (after > before && !says(diff, DIFF_WIDER, operation))
		fail_msg("seed %llu: %s %s went from %s to %s and no line is wider",
			(unsigned long long)random_state, operation_name(operation), object,
			decision_name(before), decision_name(after));
	if (after < before && !says(diff, DIFF_NARROWER, operation))
		fail_msg("seed %llu: %s %s went from %s to %s and no line says anything",
			(unsigned long long)random_state, operation_name(operation), object,
			decision_name(before), decision_name(after));
}

#define CHECK(list, operation)                                                                     \
	for (size_t i_ = 0; i_ < array_size(list); i_++)                                           \
	check_object(was, now, diff, operation, (list)[i_], tally)

static void check_objects(const struct built *was, const struct built *now, const struct diff *diff,
	struct tally *tally)
{
	static const char *const lines[] = {"b", "c", "d", "b c", "b d", "b b x", "x", "x y"};

	CHECK(objects, OPERATION_READ);
	CHECK(objects, OPERATION_WRITE);
	CHECK(objects, OPERATION_EXEC);
	CHECK(lines, OPERATION_EXEC);
	CHECK(targets, OPERATION_CONNECT);
	CHECK(calls, OPERATION_SYSCALL);
	CHECK(names, OPERATION_ENV);
}

static bool has_globs(const struct profile *p)
{
	const struct path_rules *lists[] = {&p->fs.deny, &p->fs.protect, &p->fs.canaries};

	for (size_t i = 0; i < array_size(lists); i++)
		for (size_t j = 0; j < lists[i]->count; j++)
			if (lists[i]->items[j].is_glob)
				return true;
	return false;
}

/* An example is what explain says about both profiles. */
static void check_example(
	const struct built *was, const struct built *now, const char *example, struct tally *tally)
{
	const char *blank = strchr(example, ' '), *end = strstr(example, ": ");
	autofree char *name = NULL, *object = NULL, *expected = NULL;
	enum operation operation;

	if (!strstr(example, " -> "))
		return;
	for (const char *at = end; at; at = strstr(at + 1, ": "))
		end = at;
	name = strndup(example, (size_t)(blank - example));
	object = strndup(blank + 1, (size_t)(end - blank - 1));
	operation = operation_from_name(name);
	assert_int_not_equal(operation, OPERATION_COUNT);
	assert_true(asprintf(&expected, "%s %s: %s -> %s", name, object,
			    decision_name(decision_of(was, operation, object)),
			    decision_name(decision_of(now, operation, object))) > 0);
	assert_string_equal(example, expected);
	tally->examples++;
}

static void the_comparison_never_misses_what_became_wider(void **state)
{
	uint64_t first = environment_number("BERM_TEST_SEED", 1);
	uint64_t rounds = environment_number("BERM_TEST_ROUNDS", ROUNDS_DEFAULT);
	static struct built was, now;
	struct tally tally = {0};

	(void)state;
	for (uint64_t seed = first; seed < first + rounds; seed++) {
		autodiff struct diff *diff = NULL;
		struct error err = {0};
		bool has;

		random_pair(&was, &now, seed);
		has = has_globs(&was.profile) || has_globs(&now.profile);
		assert_int_equal(profile_diff(&was.profile, &now.profile, &diff, &err), 0);
		random_state = seed;
		check_objects(&was, &now, diff, &tally);
		tally.same += diff->direction == DIFF_SAME;
		for (size_t i = 0; !has && i < diff->count; i++)
			if (diff->lines[i].example)
				check_example(&was, &now, diff->lines[i].example, &tally);
	}
	/* Worlds in which nothing happens, or in which everything is wider, would prove nothing. */
	for (unsigned i = 0; rounds >= ROUNDS_DEFAULT && i < OPERATION_COUNT; i++) {
		assert_in_range(tally.wider[i], 20, UINT32_MAX);
		assert_in_range(tally.narrower[i], 20, UINT32_MAX);
	}
	assert_true(rounds < ROUNDS_DEFAULT || (tally.same > 30 && tally.examples > 300));
}

static void a_profile_is_the_same_as_itself(void **state)
{
	static struct built was, now;

	(void)state;
	for (uint64_t seed = 1; seed < 100; seed++) {
		autodiff struct diff *diff = NULL;
		struct error err = {0};

		random_state = seed;
		random_profile(&was);
		random_state = seed;
		random_profile(&now);
		assert_int_equal(profile_diff(&was.profile, &now.profile, &diff, &err), 0);
		assert_int_equal(diff->count, 0);
		assert_true(diff->same_count > 10);
	}
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(a_profile_is_the_same_as_itself),
		cmocka_unit_test(the_comparison_never_misses_what_became_wider),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
