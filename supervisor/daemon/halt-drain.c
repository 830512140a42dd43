/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/halt-drain.h"

#include "daemon/runs-place.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#define TURN_MS 100

struct counting {
	const struct runs_named *named;
	size_t count;
};

static int count_one(void *context, struct run_found *found)
{
	struct counting *counting = context;

	counting->count += runs_named_has(counting->named, found);
	return 0;
}

/* Those of an agent or a group are this user's, and where root names one run it may be anybody's.
 */
static int count(const struct runs_named *named, size_t *ret_count, struct error *err)
{
	const char *prefix = named->scope == NAMED_RUN ? named->of : "";
	struct counting counting = {named, 0};
	bool more = false;
	int r = runs_find(prefix, RUNS_OWN, count_one, &counting, &more, err);

	if (r == 0 && geteuid() == 0 && named->scope == NAMED_RUN && counting.count == 0)
		r = runs_find(prefix, RUNS_OTHERS, count_one, &counting, &more, err);
	*ret_count = counting.count + more;
	return r;
}

uint64_t drain_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int drain_wait(const struct drain *drain, size_t *ret_left, struct error *err)
{
	for (;;) {
		int r = runs_named_refresh(drain->state, drain->named, err);

		if (r == 0)
			r = count(drain->named, ret_left, err);
		if (r < 0)
			return r;
		if (drain->each)
			drain->each(drain->context, *ret_left);
		if (*ret_left == 0 || drain_now_ms() >= drain->until_ms)
			return 0;
		poll(NULL, 0, TURN_MS);
	}
}
