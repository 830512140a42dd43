/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/kill-journal.h"
#include "tree.h"

#include <sodium.h>
#include <string.h>
#include <time.h>

/* Which orders hold, over restarts: never twice, and whatever somebody else signs. */

#define LATER_MS (PACE_STATEMENT_MS + 3 * PACE_SKEW_MS)

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct kill_order order_of(unsigned who, unsigned number, uint64_t ms)
{
	uint8_t nonce[PACE_NONCE_BYTES] = {0}, seed[32] = {(uint8_t)who};
	struct kill_order order;

	assert_true(kill_order_make(KILL_AGENT, "worker", NULL, &order));
	order.state[0] = 1;
	memcpy(nonce, &number, sizeof(number));
	kill_order_sign(&order, ms, nonce, seed);
	return order;
}

static struct kill_journal open_here(void)
{
	struct kill_journal journal;
	struct error err = {0};

	if (kill_journal_open(in_top("state"), &journal, &err) < 0)
		fail_msg("%s", err.text);
	return journal;
}

/* All that this key may; then no more of it. */
static void use_up(struct kill_journal *journal, unsigned who, uint64_t ms)
{
	struct kill_order order;

	for (unsigned i = 0; i < KILL_NONCES_PER_KEY; i++) {
		order = order_of(who, i, ms);
		assert_int_equal(kill_journal_use(journal, &order, ms), 0);
		assert_int_equal(kill_journal_write_nonce(journal, &order), 0);
	}
	order = order_of(who, KILL_NONCES_PER_KEY, ms);
	assert_int_equal(kill_journal_use(journal, &order, ms), -ENOSPC);
}

static void each_key_has_its_share(void **state)
{
	struct kill_journal journal = open_here();
	uint64_t ms = now_ms();

	(void)state;
	use_up(&journal, 1, ms);
	for (int again = 0; again < 2; again++) {
		struct kill_order first = order_of(1, 0, ms),
				  more = order_of(1, KILL_NONCES_PER_KEY, ms),
				  other = order_of(2, (unsigned)again, ms),
				  later = order_of(1, 5000, ms + LATER_MS);

		assert_int_equal(kill_journal_use(&journal, &first, ms), -EALREADY);
		assert_int_equal(kill_journal_use(&journal, &more, ms), -ENOSPC);
		assert_int_equal(kill_journal_use(&journal, &other, ms), 0);
		assert_int_equal(kill_journal_use(&journal, &other, ms), -EALREADY);
		if (again)
			assert_int_equal(kill_journal_use(&journal, &later, ms + LATER_MS), 0);
		kill_journal_close(&journal);
		journal = open_here();
	}
	kill_journal_close(&journal);
}

/* Somebody who needs no signature has many more lines in the file. */
static void no_other_line_pushes_one_out(void **state)
{
	struct kill_journal journal = open_here();
	uint64_t ms = now_ms();
	struct kill_order order = order_of(1, 1, ms), unsigned_order;
	struct kill_deed deed = {.order = &unsigned_order, .by = "uid 0"};
	char line[2048];
	ssize_t length;
	off_t before;

	(void)state;
	assert_int_equal(kill_journal_use(&journal, &order, ms), 0);
	assert_int_equal(kill_journal_write_nonce(&journal, &order), 0);
	assert_true(kill_order_make(KILL_EVERYTHING, NULL, NULL, &unsigned_order));
	before = lseek(journal.fd, 0, SEEK_END);
	assert_int_equal(kill_journal_write(&journal, &deed), 0);
	length = pread(journal.fd, line, sizeof(line), before);
	assert_in_range(length, 2, sizeof(line) - 1);
	for (unsigned i = 0; i < 6000; i++)
		assert_int_equal(write(journal.fd, line, (size_t)length), length);
	kill_journal_close(&journal);
	journal = open_here();
	assert_int_equal(kill_journal_use(&journal, &order, ms), -EALREADY);
	assert_int_equal(journal.count, 1);
	kill_journal_close(&journal);
}

static void what_is_old_is_kept_while_there_is_room(void **state)
{
	struct kill_journal journal = open_here();
	uint64_t ms = now_ms();
	struct kill_order order = order_of(1, 1, ms), later = order_of(1, 2, ms + LATER_MS);

	(void)state;
	assert_int_equal(kill_journal_use(&journal, &order, ms), 0);
	assert_int_equal(kill_journal_use(&journal, &later, ms + LATER_MS), 0);
	/* The clock was set back. */
	assert_int_equal(kill_journal_use(&journal, &order, ms), -EALREADY);
	kill_journal_close(&journal);
}

/* A line that was cut off, as by a full disk, costs no other one. */
static void a_cut_line_costs_no_other(void **state)
{
	struct kill_journal journal = open_here();
	uint64_t ms = now_ms();
	struct kill_order order = order_of(1, 1, ms), cut = order_of(1, 2, ms);
	static const char half[] = "{\"signed_ms\":12,\"nonce\":\"00ff";

	(void)state;
	assert_int_equal(kill_journal_use(&journal, &order, ms), 0);
	assert_int_equal(kill_journal_use(&journal, &cut, ms), 0);
	assert_int_equal(write(journal.fd, half, strlen(half)), strlen(half));
	assert_int_equal(kill_journal_write_nonce(&journal, &order), 0);
	kill_journal_close(&journal);
	journal = open_here();
	assert_int_equal(kill_journal_use(&journal, &order, ms), -EALREADY);
	kill_journal_close(&journal);
}

static void a_full_disk_is_told(void **state)
{
	struct kill_journal journal = open_here();
	struct kill_order order = order_of(1, 1, now_ms());
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_true(kill_journal_write_ahead(&journal, &order, 60000));
	assert_true(full >= 0);
	assert_int_equal(dup2(full, journal.fd), journal.fd);
	assert_false(kill_journal_write_ahead(&journal, &order, 60000));
	close(full);
	kill_journal_close(&journal);
	journal = open_here();
	assert_int_equal(kill_journal_use(&journal, &order, now_ms()), -EALREADY);
	kill_journal_close(&journal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_tree(each_key_has_its_share),
		in_tree(no_other_line_pushes_one_out),
		in_tree(what_is_old_is_kept_while_there_is_room),
		in_tree(a_full_disk_is_told),
		in_tree(a_cut_line_costs_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
