/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "govern/authority.h"
#include "random.h"

#include <sodium.h>
#include <string.h>

/* Signed statements: what holds, and that nothing else does. */

#define NOW 1795378443118ULL

static const uint8_t group_id[PACE_ID_BYTES] = {3, 1, 4};

struct bench {
	struct authority authority;
	struct pace_group group;
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	struct authority_signed s;
};

static void sign(struct bench *b)
{
	uint8_t bytes[AUTHORITY_STATEMENT_BYTES_MAX];
	size_t length = authority_encode(&b->s.statement, bytes);

	assert_true(length <= sizeof(bytes));
	assert_int_equal(crypto_sign_detached(b->s.signature, NULL, bytes, length, b->secret), 0);
}

static void bench_begin(struct bench *b)
{
	struct pace_now now = {.boot_ms = 5, .wall_ms = NOW};
	uint8_t seed[crypto_sign_SEEDBYTES] = {42};
	struct authority_key *key = &b->authority.keys[0];

	memset(b, 0, sizeof(*b));
	pace_group_start(&b->group, "crew", group_id, 2, PHASE_PRIMARY, &now);
	assert_int_equal(crypto_sign_seed_keypair(b->s.key, b->secret, seed), 0);
	snprintf(key->name, sizeof(key->name), "alice");
	memcpy(key->key, b->s.key, sizeof(key->key));
	key->roles = 1U << PACE_BY_SECURITY | 1U << PACE_BY_RISK_OWNER;
	b->authority.key_count = 1;
	b->s.statement = (struct authority_statement){.group = "crew",
		.id = {3, 1, 4},
		.from = PHASE_PRIMARY,
		.to = PHASE_CONTINGENCY,
		.trigger = PACE_DECLARED,
		.role = PACE_BY_SECURITY,
		.nonce = {1, 2, 3},
		.signed_ms = NOW,
		.reason = "two agents agree too well"};
	sign(b);
}

static enum authority_refusal verify(const struct bench *b)
{
	const struct authority_key *key = NULL;
	enum authority_refusal refusal =
		authority_verify(&b->authority, &b->s, &b->group, NOW, &key);

	assert_int_equal(refusal == AUTHORITY_FINE, key != NULL);
	return refusal;
}

static void a_statement_holds_once_for_its_group_phase_and_time(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b);
	assert_int_equal(verify(&b), AUTHORITY_FINE);
	b.group.phase = PHASE_CONTINGENCY;
	assert_int_equal(verify(&b), AUTHORITY_OTHER_PHASE);
	b.group.phase = PHASE_PRIMARY;
	snprintf(b.group.name, sizeof(b.group.name), "other");
	assert_int_equal(verify(&b), AUTHORITY_OTHER_GROUP);
	bench_begin(&b);
	pace_nonce_use(&b.group, b.s.key, b.s.statement.nonce, NOW, NOW);
	assert_int_equal(verify(&b), AUTHORITY_USED);
	bench_begin(&b);
	for (unsigned i = 0; i < PACE_NONCES_PER_KEY; i++) {
		uint8_t nonce[PACE_NONCE_BYTES] = {99, (uint8_t)i};

		pace_nonce_use(&b.group, b.s.key, nonce, NOW, NOW);
	}
	assert_int_equal(verify(&b), AUTHORITY_TOO_MANY);
	bench_begin(&b);
	b.authority.keys[0].roles = 1U << PACE_BY_RISK_OWNER;
	assert_int_equal(verify(&b), AUTHORITY_NO_ROLE);
	bench_begin(&b);
	b.authority.key_count = 0;
	assert_int_equal(verify(&b), AUTHORITY_UNKNOWN_KEY);
	for (unsigned i = 0; i < AUTHORITY_REFUSAL_COUNT; i++)
		assert_true(i == AUTHORITY_FINE ||
			    strlen(authority_refusal_words((enum authority_refusal)i)) > 15);
}

/* Ten hosts have a group of that name and the same keys: what is signed for one holds on no other,
 * and not any more when the group was elsewhere since. */
static void a_statement_is_for_one_group_of_one_host_as_it_was(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b);
	b.group.id[0]++;
	assert_int_equal(verify(&b), AUTHORITY_OTHER_GROUP);
	bench_begin(&b);
	b.group.changes = 2;
	b.s.statement.to = PHASE_PRIMARY;
	b.s.statement.trigger = PACE_EXPLAINED;
	assert_true(pace_subject(&b.group, PACE_EXPLAINED, PHASE_PRIMARY, b.s.statement.subject));
	sign(&b);
	assert_int_equal(verify(&b), AUTHORITY_OTHER_PHASE);
	b.s.statement.changes = 2;
	assert_int_equal(verify(&b), AUTHORITY_FORGED);
	sign(&b);
	assert_int_equal(verify(&b), AUTHORITY_FINE);
	/* The agent is signed too: whoever carries the file does not choose it. */
	snprintf(b.s.statement.agent, sizeof(b.s.statement.agent), "01ARZ3NDEKTSV4RRFFQ69GBETA");
	assert_int_equal(verify(&b), AUTHORITY_FORGED);
	snprintf(b.s.statement.agent, sizeof(b.s.statement.agent), "worker");
	sign(&b);
	assert_int_equal(verify(&b), AUTHORITY_MALFORMED);
}

/* An agent that trips its breaker after the commander has signed, or before the words are brought.
 */
static void what_restricts_holds_wherever_the_group_has_gone_on(void **state)
{
	static const struct {
		unsigned from, to, phase, changes;
		enum authority_refusal refusal;
	} rows[] = {
		{PHASE_PRIMARY, PHASE_EMERGENCY, PHASE_ALTERNATE, 5, AUTHORITY_FINE},
		{PHASE_PRIMARY, PHASE_EMERGENCY, PHASE_CONTINGENCY, 6, AUTHORITY_FINE},
		{PHASE_PRIMARY, PHASE_EMERGENCY, PHASE_PRIMARY, 6, AUTHORITY_FINE},
		{PHASE_PRIMARY, PHASE_CONTINGENCY, PHASE_ALTERNATE, 5, AUTHORITY_FINE},
		{PHASE_ALTERNATE, PHASE_EMERGENCY, PHASE_PRIMARY, 5, AUTHORITY_OTHER_PHASE},
		{PHASE_PRIMARY, PHASE_ALTERNATE, PHASE_ALTERNATE, 5, AUTHORITY_OTHER_PHASE},
		{PHASE_PRIMARY, PHASE_EMERGENCY, PHASE_PRIMARY, 3, AUTHORITY_OTHER_PHASE},
		/* What loosens is for the group as it was. */
		{PHASE_CONTINGENCY, PHASE_ALTERNATE, PHASE_CONTINGENCY, 6, AUTHORITY_OTHER_PHASE},
		{PHASE_CONTINGENCY, PHASE_ALTERNATE, PHASE_CONTINGENCY, 4, AUTHORITY_FINE},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct bench b;

		bench_begin(&b);
		b.s.statement.from = rows[i].from;
		b.s.statement.to = rows[i].to;
		b.s.statement.changes = 4;
		sign(&b);
		b.group.phase = rows[i].phase;
		b.group.changes = rows[i].changes;
		assert_int_equal(verify(&b), rows[i].refusal);
	}
}

static void raise_alarm(struct bench *b, const char *source, uint64_t ms)
{
	struct pace_now now = {.boot_ms = 5 + ms, .wall_ms = NOW + ms};
	struct pace_event alarm = {.trigger = PACE_EXFILTRATION,
		.authority = PACE_BY_BERM,
		.to = PHASE_COUNT,
		.source = source};
	struct pace_outcome o;

	pace_apply(&b->group, &now, &alarm, &o);
	assert_int_equal(o.result, PACE_ASKED);
}

/* A "no" to a false alarm is kept back, and the real one comes. */
static void an_answer_is_to_the_question_that_was_read(void **state)
{
	char about[AUTHORITY_ABOUT_MAX];
	struct authority_statement read = {0};
	struct error err = {0};
	bool is_answer = false;
	struct bench b;

	(void)state;
	bench_begin(&b);
	raise_alarm(&b, "scanner", 0);
	b.s.statement.trigger = PACE_DISMISSED;
	b.s.statement.to = PHASE_EMERGENCY;
	sign(&b);
	assert_int_equal(verify(&b), AUTHORITY_OTHER_QUESTION);
	assert_true(authority_about(&b.group, PACE_DISMISSED, PHASE_EMERGENCY, about));
	assert_int_equal(authority_about_read(about, &read, &is_answer, &err), 0);
	assert_true(is_answer && read.from == PHASE_PRIMARY);
	assert_memory_equal(read.id, group_id, sizeof(group_id));
	memcpy(b.s.statement.subject, read.subject, sizeof(read.subject));
	sign(&b);
	assert_int_equal(verify(&b), AUTHORITY_FINE);
	b.group.requests[PACE_SLOT_EMERGENCY] = (struct pace_request){0};
	assert_int_equal(verify(&b), AUTHORITY_OTHER_QUESTION);
	raise_alarm(&b, "judge", 60000);
	assert_int_equal(verify(&b), AUTHORITY_OTHER_QUESTION);
}

static void what_to_sign_is_one_word_of_one_form(void **state)
{
	static const char *const wrong[] = {"", "crew", "crew:primary", "crew:primary:0",
		"crew:primary:0:00", "crew:primary:x:03010400000000000000000000000000",
		"Crew:primary:0:03010400000000000000000000000000",
		"crew:red:0:03010400000000000000000000000000",
		"crew:primary:0:03010400000000000000000000000000:",
		"crew:primary:0:03010400000000000000000000000000:00",
		"crew:primary:0:03010400000000000000000000000000:"
		"0000000000000000000000000000000000000000000000000000000000000000:",
		"crew:primary:0:03010400000000000000000000000000:"
		"0000000000000000000000000000000000000000000000000000000000000000:x"};
	char about[AUTHORITY_ABOUT_MAX];
	struct authority_statement read = {0};
	struct error err = {0};
	bool is_answer = true;
	struct bench b;

	(void)state;
	bench_begin(&b);
	assert_false(authority_about(&b.group, PACE_DISMISSED, PHASE_EMERGENCY, about));
	assert_true(authority_about(&b.group, PACE_TRIGGER_COUNT, PHASE_COUNT, about));
	assert_string_equal(about, "crew:primary:0:03010400000000000000000000000000");
	assert_int_equal(authority_about_read(about, &read, &is_answer, &err), 0);
	assert_false(is_answer);
	for (size_t i = 0; i < array_size(wrong); i++)
		if (authority_about_read(wrong[i], &read, &is_answer, &err) != -EINVAL)
			fail_msg("%s was taken", wrong[i]);
}

static void the_clocks_may_differ_by_two_minutes(void **state)
{
	static const struct {
		int64_t ms;
		enum authority_refusal refusal;
	} rows[] = {{0, AUTHORITY_FINE}, {(int64_t)PACE_SKEW_MS, AUTHORITY_FINE},
		{(int64_t)PACE_SKEW_MS + 1, AUTHORITY_TOO_NEW},
		{-(int64_t)(PACE_STATEMENT_MS + PACE_SKEW_MS), AUTHORITY_FINE},
		{-(int64_t)(PACE_STATEMENT_MS + PACE_SKEW_MS) - 1, AUTHORITY_TOO_OLD},
		{-(int64_t)NOW, AUTHORITY_TOO_OLD}, {INT64_MAX - (int64_t)NOW, AUTHORITY_TOO_NEW}};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct bench b;

		bench_begin(&b);
		b.s.statement.signed_ms = (uint64_t)((int64_t)NOW + rows[i].ms);
		sign(&b);
		assert_int_equal(verify(&b), rows[i].refusal);
	}
}

/* Every bit of what was signed, of the key and of the signature counts. */
static void not_one_bit_can_be_changed(void **state)
{
	unsigned forged = 0, malformed = 0, unknown = 0;
	struct bench b;

	(void)state;
	bench_begin(&b);
	for (size_t bit = 0; bit < sizeof(b.s) * 8; bit++) {
		struct authority_signed was = b.s;
		uint8_t before[AUTHORITY_STATEMENT_BYTES_MAX], after[AUTHORITY_STATEMENT_BYTES_MAX];
		size_t length = authority_encode(&was.statement, before), changed;
		enum authority_refusal refusal;

		((uint8_t *)&b.s)[bit / 8] ^= (uint8_t)(1U << bit % 8);
		changed = authority_encode(&b.s.statement, after);
		refusal = verify(&b);
		forged += refusal == AUTHORITY_FORGED;
		malformed += refusal == AUTHORITY_MALFORMED;
		unknown += refusal == AUTHORITY_UNKNOWN_KEY;
		/* Padding, and what lies behind the end of a string, are not signed. */
		if (refusal == AUTHORITY_FINE)
			assert_true(changed == length && memcmp(before, after, length) == 0 &&
				    memcmp(b.s.key, was.key, sizeof(was.key)) == 0 &&
				    memcmp(b.s.signature, was.signature, 64) == 0);
		b.s = was;
	}
	assert_true(unknown == AUTHORITY_KEY_BYTES * 8);
	assert_true(forged > 64 * 8 + 64 && malformed > 100);
	assert_int_equal(verify(&b), AUTHORITY_FINE);
}

/* Fields do not run into one another, and nothing else that is signed has this beginning. */
static void two_statements_never_have_the_same_bytes(void **state)
{
	struct authority_statement a = {.group = "ab", .reason = "c"};
	struct authority_statement b = {.group = "a", .reason = "bc"};
	uint8_t one[AUTHORITY_STATEMENT_BYTES_MAX], two[AUTHORITY_STATEMENT_BYTES_MAX];
	size_t length = authority_encode(&a, one);

	(void)state;
	assert_true(length != authority_encode(&b, two) || memcmp(one, two, length) != 0);
	assert_memory_equal(one, "\x16\0\0\0berm pace statement v2", 26);
	memset(a.reason, 'r', AUTHORITY_REASON_MAX);
	memset(a.group, 'g', PACE_NAME_MAX);
	assert_true(authority_encode(&a, one) <= sizeof(one));
}

static void a_file_is_read_as_it_is_written_and_in_no_other_form(void **state)
{
	char text[AUTHORITY_TEXT_MAX], changed[AUTHORITY_TEXT_MAX];
	struct authority_signed again;
	struct error err = {0};
	unsigned taken = 0;
	struct bench b;
	size_t length;

	(void)state;
	bench_begin(&b);
	b.s.statement.review = PACE_ROOT_CAUSE | PACE_SIGN_OFF;
	sign(&b);
	assert_int_equal(authority_write(&b.s, text), 0);
	length = strlen(text);
	assert_int_equal(authority_read(text, length, &again, &err), 0);
	b.s = again;
	assert_int_equal(verify(&b), AUTHORITY_FINE);
	for (size_t cut = 0; cut < length; cut++)
		assert_true(authority_read(text, cut, &again, &err) < 0);
	for (unsigned i = 0; i < 100000; i++) {
		memcpy(changed, text, length + 1);
		for (unsigned n = 1 + random_below(3); n > 0; n--)
			changed[random_below((uint32_t)length)] = (char)random_u64();
		if (authority_read(changed, length, &again, &err) < 0 ||
			memcmp(changed, text, length) == 0)
			continue;
		/* Another statement, which nobody signed. */
		taken++;
		b.s = again;
		assert_true(verify(&b) == AUTHORITY_FORGED || verify(&b) == AUTHORITY_UNKNOWN_KEY);
	}
	assert_true(taken > 100);
}

static void people_are_known_by_uid_and_sources_by_name_and_uid(void **state)
{
	struct authority a = {.people = {{.name = "bob", .uid = 1000, .roles = 1}},
		.person_count = 1,
		.sources = {{.name = "judge", .uid = 7}, {.name = "scan", .uid = 8}},
		.source_count = 2};

	(void)state;
	assert_string_equal(authority_person(&a, 1000)->name, "bob");
	assert_null(authority_person(&a, 0));
	assert_int_equal(authority_source(&a, "scan", 8)->uid, 8);
	assert_null(authority_source(&a, "scan", 7));
	assert_null(authority_source(&a, "judge", 0));
	assert_null(authority_source(&a, "", 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_statement_holds_once_for_its_group_phase_and_time),
		cmocka_unit_test(what_restricts_holds_wherever_the_group_has_gone_on),
		cmocka_unit_test(a_statement_is_for_one_group_of_one_host_as_it_was),
		cmocka_unit_test(an_answer_is_to_the_question_that_was_read),
		cmocka_unit_test(what_to_sign_is_one_word_of_one_form),
		cmocka_unit_test(the_clocks_may_differ_by_two_minutes),
		cmocka_unit_test(not_one_bit_can_be_changed),
		cmocka_unit_test(two_statements_never_have_the_same_bytes),
		cmocka_unit_test(a_file_is_read_as_it_is_written_and_in_no_other_form),
		cmocka_unit_test(people_are_known_by_uid_and_sources_by_name_and_uid),
	};

	random_seed(20261123);
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
