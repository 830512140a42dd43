/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/metering-kernel.h"

#include "daemon/metering-prove.h"
#include "daemon/metering-words.h"
#include "meter/join.h"
#include "meter/meter.h"

#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define ATTACHED_MS 1000
#define SEED 0xcbf29ce484222325ULL
#define FACTOR 0x100000001b3ULL

struct metering_kernel {
	const Berm__Wire__Plan *plan;
	struct metering_kernel_sink sink;
	struct meter *meter;
	struct meter_joined *joined; /* NULL: the run has not entered yet */
	struct meter_events *events;
	int epoll_fd; /* borrowed */
	uint64_t run_id;
	uint64_t looked_ms; /* at whether the programs are attached */
	bool detached;
};

/* The meter that was opened for the facts: loading it a second time would cost as much again where
 * nothing can be pinned. */
static struct meter *kept;

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- what the host has ---- */

static int set_word(char **field, const char *word, struct error *err)
{
	char *copy = strdup(word);

	if (!copy)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	*field = copy;
	return 0;
}

static int facts_of(enum meter_make make, const struct error *lacks, Berm__Wire__HostFacts *facts,
	struct error *err)
{
	bool all = make != METER_MAKE_NETWORK;
	int r = lacks->code ? set_word(&facts->meter_missing, lacks->text, err) : 0;

	facts->meter_programs = all ? BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_ALL
				    : BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_NETWORK;
	return r ? r : set_word(&facts->meter_make, meter_make_name(make), err);
}

int metering_kernel_facts(Berm__Wire__HostFacts *facts, bool starts, struct error *err)
{
	struct error lacks = {0}, failed = {0};
	enum meter_make make = METER_MAKE_NETWORK;
	int r = 0;

	if (!facts->privileged)
		return set_word(&facts->meter_missing,
			"the kernel's programs are loaded by root only", err);
	if (!starts)
		r = metering_probe(facts, &make, &lacks, &failed);
	else if (!kept)
		r = metering_open_proved(facts, &kept, &lacks, &failed);
	/* Not what the host lacks: somebody has to look at it. */
	if (r && starts && failed.kind == ERROR_REFUSED) {
		*err = failed;
		return failed.code;
	}
	if (r)
		return set_word(&facts->meter_missing, failed.text, err);
	return facts_of(starts ? meter_make(kept) : make, &lacks, facts, err);
}

/* ---- one run ---- */

static uint64_t number_of(const char *run_id)
{
	uint64_t hash = SEED;

	for (const char *c = run_id; *c; c++)
		hash = (hash ^ (unsigned char)*c) * FACTOR;
	return hash ? hash : 1;
}

int metering_kernel_create(const Berm__Wire__Plan *plan, const char *run_id, int epoll_fd,
	const struct metering_kernel_sink *sink, struct metering_kernel **ret_kernel,
	struct error *err)
{
	struct metering_kernel *k;

	if (!kept)
		return error_set(err, -ENOENT, ERROR_INTERNAL,
			"the plan wants the kernel's programs, and none are loaded");
	k = calloc(1, sizeof(*k));
	if (!k)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	k->plan = plan;
	k->sink = *sink;
	k->epoll_fd = epoll_fd;
	k->run_id = number_of(run_id);
	k->meter = take_ptr(&kept);
	*ret_kernel = k;
	return 0;
}

void metering_kernel_destroy(struct metering_kernel *k)
{
	if (!k)
		return;
	if (k->events)
		meter_events_close(k->events);
	meter_leave(k->joined);
	meter_close(k->meter);
	free(k);
}

static void on_trip(struct metering_kernel *k, const struct meter_event *event, enum trip_kind kind)
{
	struct trip trip = {.kind = kind,
		.counter = event->counter,
		.value = event->value,
		.limit = event->limit,
		.rule = EFFECTS_NO_RULE,
		.posture = event->posture};
	struct meter_origin origin;

	if (kind == TRIP_KIND_BREAKER) {
		trip.counter = COUNTER_DENIALS;
		trip.class = event->class;
	}
	if (meter_origin_of(k->plan->meter, event, &origin)) {
		trip.rule = origin.rule;
		trip.phase = origin.phase;
		trip.warning = kind == TRIP_KIND_STEP && origin.phase == PHASE_PRIMARY;
	}
	k->sink.trip(k->sink.context, &trip);
}

static void on_denial(struct metering_kernel *k, const struct meter_event *event, const char *text)
{
	autotext struct text target = {0};

	metering_target(event, text, &target);
	if (event->kind == METER_EVENT_POSTURE)
		k->sink.denied(k->sink.context, metering_operation(event), text_string(&target),
			EFFECTS_BY_POSTURE, DENIAL_QUIET);
	else
		k->sink.denied(k->sink.context, metering_operation(event), text_string(&target),
			event->rule, event->class);
}

static enum activity_kind kind_of(const char *operation)
{
	static const struct {
		const char *operation;
		enum activity_kind kind;
	} rows[] = {{"exec", ACTIVITY_EXEC}, {"fork", ACTIVITY_EXEC}, {"connect", ACTIVITY_NETWORK},
		{"send", ACTIVITY_NETWORK}, {"listen", ACTIVITY_NETWORK},
		{"socket", ACTIVITY_NETWORK}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].operation, operation) == 0)
			return rows[i].kind;
	return ACTIVITY_FILE;
}

static void on_activity(
	struct metering_kernel *k, const struct meter_event *event, const char *text)
{
	autotext struct text target = {0};
	struct activity activity = {.operation = metering_operation(event),
		.hook = metering_hook_name(event),
		.error = event->result < 0 ? -event->result : 0,
		.time_ns = event->time_ns,
		.sequence = event->sequence,
		.device = event->device,
		.inode = event->inode,
		.pid = event->pid,
		.tid = event->tid,
		.port = event->port,
		.protocol = event->protocol};

	if (!k->sink.activity)
		return;
	activity.kind = kind_of(activity.operation);
	metering_target(event, text, &target);
	activity.target = text_string(&target);
	if (activity.kind == ACTIVITY_NETWORK)
		activity.address = event->address;
	k->sink.activity(k->sink.context, &activity);
}

static void on_event(void *context, const struct meter_event *event, const char *text)
{
	struct metering_kernel *k = context;

	switch ((enum meter_event_kind)event->kind) {
	case METER_EVENT_DENIAL:
	case METER_EVENT_POSTURE:
		on_denial(k, event, text);
		break;
	case METER_EVENT_CAP:
		on_trip(k, event, TRIP_KIND_CAP);
		break;
	case METER_EVENT_STEP:
		on_trip(k, event, TRIP_KIND_STEP);
		break;
	case METER_EVENT_BREAKER:
		on_trip(k, event, TRIP_KIND_BREAKER);
		break;
	case METER_EVENT_ACTIVITY:
		on_activity(k, event, text);
		break;
	}
}

int metering_kernel_enter(
	struct metering_kernel *k, const struct run_entry *entry, struct error *err)
{
	const struct meter_place place = {.init_pid = entry->init_pid,
		.init_pidfd = entry->init_pidfd,
		.cgroup_fd = entry->cgroup_fd,
		.run_id = k->run_id,
		.activity = k->sink.activity != NULL};
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = 1};
	int r;

	meter_heartbeat(k->meter);
	k->looked_ms = now_ms(); /* when they were adopted or attached */
	r = meter_join(k->meter, k->plan, &place, &k->joined, err);
	if (r == 0)
		r = meter_events_open(
			k->meter, meter_joined_slot(k->joined), on_event, k, &k->events, err);
	if (r == 0 && epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, meter_events_fd(k->events), &event) < 0)
		r = error_errno(err, "wait for the meter's events");
	return r;
}

bool metering_kernel_read(struct metering_kernel *k)
{
	uint64_t now = now_ms();

	if (!k->joined)
		return true;
	meter_heartbeat(k->meter);
	(void)meter_events_read(k->events);
	if (!k->detached && now - k->looked_ms >= ATTACHED_MS) {
		k->looked_ms = now;
		k->detached = !meter_attached(k->meter);
	}
	return !k->detached;
}

uint32_t metering_kernel_posture(const struct metering_kernel *k)
{
	return k->joined ? meter_posture(k->meter, meter_joined_slot(k->joined)) : POSTURE_OPEN;
}

void metering_kernel_tighten(struct metering_kernel *k, uint32_t posture)
{
	if (k->joined && posture & ~metering_kernel_posture(k))
		meter_posture_change(k->meter, meter_joined_slot(k->joined), posture, 0);
}

void metering_kernel_set(struct metering_kernel *k, uint32_t posture)
{
	if (k->joined)
		meter_posture_change(
			k->meter, meter_joined_slot(k->joined), posture, POSTURE_ALL & ~posture);
}

/* The programs of cgroups see packets and addresses only. */
static bool counts(const struct metering_kernel *k, unsigned counter)
{
	if (meter_make(k->meter) != METER_MAKE_NETWORK)
		return counter != COUNTER_DENIALS;
	return counter == COUNTER_BYTES_SENT || counter == COUNTER_BYTES_RECEIVED ||
	       counter == COUNTER_HOSTS_CONTACTED || counter == COUNTER_PACKETS_DROPPED;
}

void metering_kernel_look(const struct metering_kernel *k, struct effects *effects)
{
	static const char *const makes[METER_MAKE_COUNT] = {
		[METER_MAKE_AUTO] = "bpf",
		[METER_MAKE_LSM] = "bpf (lsm)",
		[METER_MAKE_FMOD_RET] = "bpf (fmod_ret)",
		[METER_MAKE_NETWORK] = "notify, cgroup programs for the network",
	};
	const struct meter_account *account;

	effects->make = makes[meter_make(k->meter)];
	if (!k->joined)
		return;
	account = meter_look(k->meter, meter_joined_slot(k->joined));
	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		if (!counts(k, i))
			continue;
		effects->counted[i] = true;
		effects->done[i] = account->value[i];
		effects->refused[i] = account->refused[i];
	}
	effects->events_lost = account->lost[METER_RING_VERDICTS];
	effects->activity_lost = account->lost[METER_RING_ACTIVITY];
}
