/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "log-world.h"

static struct recorder *open_log(struct world *w)
{
	struct recorder *r;
	struct error err = {0};
	int error = recorder_open(&w->options, &r, &err);

	if (error < 0)
		print_error("%s\n", err.text);
	assert_int_equal(error, 0);
	return r;
}

static void a_closed_log_passes(void **state)
{
	struct world w;
	struct verify_result result;
	struct recorder *r;
	struct record_run *run;

	(void)state;
	world_init(&w, fake_disk_create());
	r = open_log(&w);
	run = begin_run(r, "run-1");
	for (int i = 0; i < 100; i++)
		assert_int_equal(append_file(r, run, "/srv/x"), 0);
	recorder_run_end(r, run);
	assert_int_equal(recorder_close(r, NULL), 0);
	recorder_destroy(r);
	result = world_verify(&w, false);
	assert_passes(result);
	assert_true(result.closed && result.anchored);
	/* Head, opened, the hundred, seal. */
	assert_int_equal(result.records, 103);
	assert_int_equal(result.seals, 1);
	fake_disk_destroy(w.disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_closed_log_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
