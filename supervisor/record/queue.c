/* SPDX-License-Identifier: Apache-2.0 */
#include "record/envelope.h"

#include <string.h>

/* Each ring of each run is sure of run_bytes of the queue. What is beyond all these shares is for
 * whoever comes, but a ring may hold of it no more than it leaves free: one that floods gets half,
 * and the next one half of the rest (Choudhury and Hahne, "Dynamic queue length thresholds", 1998,
 * with a factor of one). */

static size_t share(const struct recorder *r)
{
	return r->options.run_bytes;
}

static size_t capacity(const struct recorder *r)
{
	return r->options.queue_bytes - OWN_QUEUE_BYTES;
}

static size_t at_least_share(const struct recorder *r, size_t used)
{
	return used > share(r) ? used : share(r);
}

bool queue_admits(const struct recorder *r, const struct ring_state *ring, size_t bytes)
{
	size_t before = at_least_share(r, ring->used);
	size_t after = at_least_share(r, ring->used + bytes);
	size_t more = after - before;
	size_t free_bytes = r->committed < capacity(r) ? capacity(r) - r->committed : 0;

	if (r->queued + bytes > r->options.queue_bytes - OWN_FRAME_MAX)
		return false;
	return more == 0 || (more <= free_bytes && after - share(r) <= free_bytes - more);
}

void queue_charge(struct recorder *r, struct ring_state *ring, size_t bytes)
{
	r->committed -= at_least_share(r, ring->used);
	ring->used += bytes;
	ring->queued++;
	r->committed += at_least_share(r, ring->used);
}

void queue_init(struct recorder *r)
{
	r->own.is_own = true;
	r->committed = RECORD_RING_COUNT * share(r);
}

static void run_free(struct record_run *run)
{
	free(run->agent_id);
	free(run->run);
	free(run->group);
	envelope_free(run);
	free(run);
}

void queue_finish(struct recorder *r)
{
	for (unsigned i = 0; i < r->run_count; i++)
		run_free(r->runs[i]);
	r->run_count = 0;
}

static char *copy(const char *string, bool *failed)
{
	char *made = string ? strdup(string) : NULL;

	*failed = *failed || (string && !made);
	return made;
}

int recorder_run_begin(struct recorder *r, const struct record_run_info *info,
	struct record_run **ret_run, struct error *err)
{
	size_t wanted = RECORD_RING_COUNT * share(r);
	struct record_run *run;
	bool failed = false;

	/* Half of the queue stays for large records, whatever the number of runs. */
	if (r->run_count == RECORD_RUNS_MAX || (r->run_count + 2) * wanted > capacity(r) / 2 ||
		r->committed + wanted > capacity(r))
		return error_set(err, -EAGAIN, ERROR_INTERNAL,
			"the recorder has no room for another run (%u are there)", r->run_count);
	run = calloc(1, sizeof(*run));
	if (!run)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory to record a run");
	run->agent_id = copy(info->agent_id, &failed);
	run->run = copy(info->run, &failed);
	run->group = copy(info->group, &failed);
	if (failed || envelope_prepare(run) < 0) {
		run_free(run);
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory to record a run");
	}
	run->enforcement = info->enforcement;
	run->sequence = info->sequence;
	if (info->profile_digest) {
		memcpy(run->profile_digest, info->profile_digest, sizeof(run->profile_digest));
		run->has_profile_digest = true;
	}
	r->runs[r->run_count++] = run;
	r->committed += wanted;
	*ret_run = run;
	return 0;
}

void recorder_run_end(struct recorder *r, struct record_run *run)
{
	(void)r;
	run->ended = true;
}

void recorder_run_phase(struct record_run *run, uint32_t phase)
{
	run->phase = phase;
}

uint64_t recorder_run_lost(const struct record_run *run)
{
	return run->lost;
}

uint64_t recorder_run_sequence(const struct record_run *run)
{
	return run->sequence;
}

/* Runs that are over, with nothing left in the queue and nothing to declare. */
static void forget_ended(struct recorder *r)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < r->run_count; i++) {
		struct record_run *run = r->runs[i];

		if (run->ended && !run->has_loss) {
			r->committed -= RECORD_RING_COUNT * share(r);
			run_free(run);
		} else {
			r->runs[kept++] = run;
		}
	}
	r->run_count = kept;
}

static void run_flushed(struct recorder *r, struct record_run *run)
{
	for (unsigned i = 0; i < RECORD_RING_COUNT; i++) {
		struct ring_state *ring = &run->rings[i];

		r->committed -= at_least_share(r, ring->used) - share(r);
		ring->used = 0;
		ring->queued = 0;
		memset(ring->declared, 0, sizeof(ring->declared));
	}
}

void queue_flushed(struct recorder *r)
{
	run_flushed(r, &r->own);
	for (unsigned i = 0; i < r->run_count; i++)
		run_flushed(r, r->runs[i]);
	forget_ended(r);
}

static void run_dropped(struct recorder *r, struct record_run *run)
{
	for (unsigned i = 0; i < RECORD_RING_COUNT; i++) {
		struct ring_state *ring = &run->rings[i];

		ring->lost[BERM__WIRE__LOSS_SOURCE__LOSS_STORAGE - 1] += ring->queued;
		r->lost += ring->queued;
		run->lost += ring->queued;
		run->has_loss = run->has_loss || ring->queued > 0;
		for (unsigned source = 0; source < LOSS_SOURCES; source++) {
			ring->lost[source] += ring->declared[source];
			run->has_loss = run->has_loss || ring->declared[source] > 0;
		}
	}
	run_flushed(r, run);
}

void queue_dropped(struct recorder *r)
{
	run_dropped(r, &r->own);
	for (unsigned i = 0; i < r->run_count; i++)
		run_dropped(r, r->runs[i]);
}

void recorder_lost(struct recorder *r, struct record_run *run, enum record_ring ring,
	Berm__Wire__LossSource source, uint64_t count)
{
	if (!run)
		run = &r->own;
	if (count == 0)
		return;
	run->rings[ring].lost[source - 1] += count;
	run->sequence += count;
	run->lost += count;
	run->has_loss = true;
	r->lost += count;
}

static void put_loss(struct recorder *r, const struct record_run *run, unsigned ring,
	Berm__Wire__LossSource source, uint64_t count)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Loss loss = BERM__WIRE__LOSS__INIT;
	struct record_time time;

	loss.has_source = loss.has_count = true;
	loss.has_ring = ring < RECORD_RING_COUNT;
	loss.ring = ring;
	loss.source = source;
	loss.count = count;
	record.agent_id = run->agent_id;
	record.run = run->run;
	record.group = run->group;
	record.body_case = BERM__WIRE__RECORD__BODY_LOSS;
	record.loss = &loss;
	writer_time(r, &time);
	writer_put(r, &record, &time);
}

bool queue_wants_seal(const struct recorder *r, unsigned more)
{
	return r->now.since_seal >= (uint64_t)r->options.seal_records + more;
}

bool queue_declare(struct recorder *r, struct record_run *run, size_t limit_bytes)
{
	for (unsigned i = 0; i < RECORD_RING_COUNT && run->has_loss; i++) {
		struct ring_state *ring = &run->rings[i];

		for (unsigned source = 0; source < LOSS_SOURCES; source++) {
			if (!ring->lost[source])
				continue;
			if (r->queued + OWN_FRAME_MAX > limit_bytes ||
				queue_wants_seal(r, UNSEALED_SLACK - 16))
				return false;
			put_loss(r, run, i, (Berm__Wire__LossSource)(source + 1),
				ring->lost[source]);
			ring->declared[source] += ring->lost[source];
			ring->lost[source] = 0;
		}
	}
	run->has_loss = false;
	return true;
}

void queue_declare_all(struct recorder *r, size_t limit_bytes)
{
	bool room = queue_declare(r, &r->own, limit_bytes);

	for (unsigned i = 0; i < r->run_count && room; i++)
		room = queue_declare(r, r->runs[i], limit_bytes);
}

static uint64_t undeclared(struct record_run *run)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < RECORD_RING_COUNT; i++)
		for (unsigned source = 0; source < LOSS_SOURCES; source++)
			count += run->rings[i].lost[source];
	return count;
}

void queue_declare_rest(struct recorder *r)
{
	static const struct record_run nobody;
	uint64_t count = undeclared(&r->own);

	for (unsigned i = 0; i < r->run_count; i++)
		count += undeclared(r->runs[i]);
	if (count)
		put_loss(r, &nobody, RECORD_RING_COUNT, BERM__WIRE__LOSS_SOURCE__LOSS_STORAGE,
			count);
}
