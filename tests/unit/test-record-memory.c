/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "counted-malloc.h"
#include "log-world.h"

/* Every allocation of a session fails in its turn: whoever asked is told, nothing is lost or left
 * behind, and the log goes on. Only calls into the recorder count, not the disk that stands in. */

static int append_some(struct recorder *r, struct record_run *run)
{
	int error = 0;

	for (unsigned i = 0; i < 5 && error == 0; i++)
		error = append_file(r, run, "/srv/x");
	return error;
}

static struct world w;

/* The whole session with that many allocations left; 0 or the error. */
static int session(long left)
{
	struct record_run_info info = {.agent_id = "a", .run = "b", .group = "c"};
	struct record_run *run;
	struct recorder *r;
	struct error err;
	int error;

	allocations_left = left;
	error = recorder_open(&w.options, &r, &err);
	if (error < 0)
		return error;
	error = recorder_run_begin(r, &info, &run, &err);
	if (error == 0)
		error = append_some(r, run);
	if (error == 0)
		error = recorder_seal(r, &err);
	if (error == 0)
		error = recorder_close(r, &err);
	recorder_destroy(r);
	return error;
}

static void every_allocation_may_fail(void **state)
{
	unsigned failed = 0;

	(void)state;
	world_init(&w, fake_disk_create());
	/* A log that was not closed, so that there is something to mend. */
	assert_int_equal(session(-1), 0);
	for (long n = 0;; n++) {
		struct recorder *r;
		struct verify_result result;
		long before;
		int error;

		assert_true(n < 1000);
		assert_int_equal(recorder_open(&w.options, &r, NULL), 0);
		assert_int_equal(append_some(r, NULL), 0);
		assert_int_equal(recorder_commit(r, NULL), 0);
		recorder_destroy(r);
		before = live;
		error = session(n);
		allocations_left = -1;
		assert_true(error == 0 || error == -ENOMEM);
		assert_int_equal(live, before);
		result = world_verify(&w, true);
		assert_true(result.pass);
		if (error == 0)
			break;
		failed++;
	}
	assert_true(failed > 5);
	print_message("# %u allocations failed\n", failed);
	fake_disk_destroy(w.disk);
}

static void the_verifier_says_that_it_could_not_read(void **state)
{
	struct log_pin pin;
	struct verify_options options;
	struct verify_result result;
	unsigned failed = 0;

	(void)state;
	world_init(&w, fake_disk_create());
	assert_int_equal(session(-1), 0);
	pin = world_pin(&w);
	options = (struct verify_options){
		.storage = fake_disk_storage(w.disk), .dir = LOG_DIR, .pin = &pin};
	for (long n = 0;; n++) {
		long before = live;
		int error;

		allocations_left = n;
		result.pass = false;
		error = verify_log(&options, &result, NULL);
		allocations_left = -1;
		assert_int_equal(live, before);
		if (error == 0 && result.pass)
			break;
		/* Not a word about the log, which is as it should be. */
		assert_int_equal(error, -ENOMEM);
		failed++;
	}
	/* Its window is all that it takes. */
	assert_int_equal(failed, 1);
	fake_disk_destroy(w.disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(the_verifier_says_that_it_could_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
