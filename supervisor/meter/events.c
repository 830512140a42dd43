/* SPDX-License-Identifier: Apache-2.0 */

/* The rings of one run. Verdicts first, whatever waits among the activity. */
#include "meter/internal.h"

#include <bpf/libbpf.h>

struct meter_events {
	meter_event_handler handler;
	void *context;   /* borrowed */
	uint64_t run_id; /* a slot's rings can hold what is left of an earlier run */
	struct ring_buffer *verdicts;
	struct ring_buffer *activity; /* NULL where the run reports none */
	uint32_t ringful;             /* events of activity that its ring holds at most */
	int taken;                    /* events of this turn */
	uint32_t budget;              /* of them, still to be taken in this turn */
};

static int take_verdict(void *context, void *data, size_t size)
{
	struct meter_events *events = context;
	const struct meter_long_event *event = data;

	if (size >= sizeof(*event) && event->head.run_id == events->run_id)
		events->handler(events->context, &event->head, event->text);
	events->taken++;
	return 0;
}

/* A slow handler must cost no verdict: they are looked for before each event of activity. And it
 * must come to an end although the run goes on: a turn takes no more than what the ring holds. */
static int take_activity(void *context, void *data, size_t size)
{
	struct meter_events *events = context;
	const struct meter_short_event *event = data;

	ring_buffer__consume(events->verdicts);
	if (size >= sizeof(*event) && event->head.run_id == events->run_id)
		events->handler(events->context, &event->head, event->text);
	events->taken++;
	return --events->budget ? 0 : -EAGAIN;
}

/* The run's ring in an outer map: -ENOENT where it has none. */
static int ring_fd(const struct meter *meter, enum meter_map outer, uint32_t slot)
{
	uint32_t id;

	if (bpf_map_lookup_elem(meter->map_fd[outer], &slot, &id))
		return -errno;
	return bpf_map_get_fd_by_id(id);
}

int meter_events_open(struct meter *meter, uint32_t slot, meter_event_handler handler,
	void *context, struct meter_events **ret_events, struct error *err)
{
	autoclose int verdicts_fd = ring_fd(meter, METER_MAP_verdicts, slot);
	autoclose int activity_fd = -1;
	struct bpf_map_info info = {0};
	uint32_t length = sizeof(info);
	struct meter_events *events;
	struct meter_run run;

	if (bpf_map_lookup_elem(meter->map_fd[METER_MAP_runs], &slot, &run))
		return error_errno(err, "read slot %u", slot);
	if (run.flags & METER_RUN_ACTIVITY)
		activity_fd = ring_fd(meter, METER_MAP_activity, slot);
	if (verdicts_fd < 0)
		return error_set(err, verdicts_fd, ERROR_INTERNAL, "slot %u has no ring", slot);
	events = calloc(1, sizeof(*events));
	if (!events)
		return error_errno(err, "allocate the event reader");
	events->handler = handler;
	events->context = context;
	events->run_id = run.run_id;
	events->verdicts = ring_buffer__new(verdicts_fd, take_verdict, events, NULL);
	if (events->verdicts && activity_fd >= 0 &&
		bpf_obj_get_info_by_fd(activity_fd, &info, &length) == 0) {
		events->ringful = info.max_entries / sizeof(struct meter_event) + 1;
		events->activity = ring_buffer__new(activity_fd, take_activity, events, NULL);
	}
	if (!events->verdicts || (activity_fd >= 0 && !events->activity)) {
		int r = error_errno(err, "read the rings of slot %u", slot);

		meter_events_close(events);
		return r;
	}
	*ret_events = events;
	return 0;
}

int meter_events_fd(const struct meter_events *events)
{
	return ring_buffer__epoll_fd(events->verdicts);
}

int meter_events_read(struct meter_events *events)
{
	events->taken = 0;
	events->budget = events->ringful;
	ring_buffer__consume(events->verdicts);
	if (events->activity)
		ring_buffer__consume(events->activity);
	return events->taken;
}

void meter_events_close(struct meter_events *events)
{
	if (!events)
		return;
	ring_buffer__free(events->verdicts);
	ring_buffer__free(events->activity);
	free(events);
}
