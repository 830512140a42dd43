/* SPDX-License-Identifier: Apache-2.0 */

/* The maps that each slot has for itself: the run's memory of distinct files and hosts, and its
 * rings. Putting one into its outer map or taking it out waits until no program is left that could
 * use the old one (bpf(2) waits for a grace period of RCU, 10 to 20 ms), so the first slots keep
 * theirs from run to run, emptied, and the start of a run does not wait. */
#include "base/own.h"
#include "meter/internal.h"

#include <bpf/libbpf.h>
#include <string.h>

#define SEEN_DEFAULT 16384
#define RING_DEFAULT (256u << 10)
#define SLOTS_KEPT 16 /* slots that keep their maps: half a MiB each */
#define SLOTS_READY 4 /* slots that get theirs when the programs are loaded */
#define EMPTY_AT_ONCE 512

/* The map of a slot in an outer map, or -1. */
static int inner_map(const struct meter *m, enum meter_map outer, uint32_t slot)
{
	uint32_t id;

	return bpf_map_lookup_elem(m->map_fd[outer], &slot, &id) ? -1 : bpf_map_get_fd_by_id(id);
}

static bool has_room(int fd, uint32_t entries)
{
	struct bpf_map_info info = {0};
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.max_entries == entries;
}

/* Remove all that is in it; false where that failed. One pass: nothing of the run is left that
 * could put more into it. */
static bool empty(int seen_fd)
{
	struct meter_seen_key keys[EMPTY_AT_ONCE];
	uint32_t values[EMPTY_AT_ONCE], batch = 0;
	LIBBPF_OPTS(bpf_map_batch_opts, options);

	for (bool first = true;; first = false) {
		uint32_t count = EMPTY_AT_ONCE;

		if (bpf_map_lookup_and_delete_batch(
			    seen_fd, first ? NULL : &batch, &batch, keys, values, &count, &options))
			return errno == ENOENT; /* that was the last */
	}
}

static int put(struct meter *m, enum meter_map outer, uint32_t slot, int fd, struct error *err)
{
	if (fd < 0)
		return error_errno(err, "make a map for slot %u", slot);
	if (bpf_map_update_elem(m->map_fd[outer], &slot, &fd, BPF_ANY))
		return error_errno(err, "give a map to slot %u", slot);
	return 0;
}

static int give_seen(struct meter *m, uint32_t slot, uint32_t entries, struct error *err)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	autoclose int old_fd = inner_map(m, METER_MAP_seen, slot);
	autoclose int fd = -1;

	/* It was emptied before the slot was given back. */
	if (old_fd >= 0 && has_room(old_fd, entries))
		return 0;
	fd = bpf_map_create(BPF_MAP_TYPE_HASH, "meter_seen", sizeof(struct meter_seen_key),
		sizeof(uint32_t), entries, &options);
	return put(m, METER_MAP_seen, slot, fd, err);
}

static int ignore(void *context, void *data, size_t size)
{
	(void)context;
	(void)data;
	(void)size;
	return 0;
}

/* What its reader did not live to see; a ring that holds something wakes nobody for more. */
static void drain(struct meter *m, enum meter_map outer, uint32_t slot)
{
	autoclose int fd = inner_map(m, outer, slot);
	struct ring_buffer *ring = fd < 0 ? NULL : ring_buffer__new(fd, ignore, NULL, NULL);

	if (ring)
		(void)ring_buffer__consume(ring);
	ring_buffer__free(ring);
}

/* A late event of an earlier run has that run's id: the reader of the next one drops it. */
static int give_ring(
	struct meter *m, enum meter_map outer, uint32_t slot, uint32_t bytes, struct error *err)
{
	autoclose int old_fd = inner_map(m, outer, slot);
	autoclose int fd = -1;

	if (old_fd >= 0 && has_room(old_fd, bytes))
		return 0;
	fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF,
		outer == METER_MAP_activity ? "meter_activity" : "meter_verdicts", 0, 0, bytes,
		NULL);
	return put(m, outer, slot, fd, err);
}

int slot_maps_give(
	struct meter *m, const struct meter_run_request *request, uint32_t slot, struct error *err)
{
	uint32_t ring_bytes = request->ring_bytes ? request->ring_bytes : RING_DEFAULT;
	int r = give_seen(m, slot, request->seen_max ? request->seen_max : SEEN_DEFAULT, err);

	if (!r)
		r = give_ring(m, METER_MAP_verdicts, slot, ring_bytes, err);
	if (!r && (request->flags & METER_RUN_ACTIVITY))
		r = give_ring(m, METER_MAP_activity, slot, ring_bytes, err);
	return r;
}

void slot_maps_take(struct meter *m, uint32_t slot)
{
	autoclose int seen_fd = slot > SLOTS_KEPT ? -1 : inner_map(m, METER_MAP_seen, slot);

	if (m->pins_fd >= 0 && seen_fd >= 0 && empty(seen_fd)) {
		drain(m, METER_MAP_verdicts, slot);
		drain(m, METER_MAP_activity, slot);
		return;
	}
	bpf_map_delete_elem(m->map_fd[METER_MAP_seen], &slot);
	bpf_map_delete_elem(m->map_fd[METER_MAP_verdicts], &slot);
	bpf_map_delete_elem(m->map_fd[METER_MAP_activity], &slot);
}

int slot_maps_prepare(struct meter *m, struct error *err)
{
	const struct meter_run_request usual = {0};
	int r = 0;

	for (uint32_t slot = 1; r == 0 && slot <= SLOTS_READY; slot++)
		r = slot_maps_give(m, &usual, slot, err);
	return r;
}
