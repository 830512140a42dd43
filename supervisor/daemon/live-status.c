/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/live-status.h"

#include "daemon/control.h"
#include "daemon/status.h"

#include <string.h>

static char *copy(const char *text)
{
	char *out = NULL;

	return asprintf(&out, "%.*s", CONTROL_TEXT_MAX, text) < 0 ? NULL : out;
}

/* Make the array of count messages of a repeated field; the messages one by one, so that what is
 * there can be freed at any time. NULL where memory ran out. */
#define GROW(field, count_field, init)                                                             \
	({                                                                                         \
		__typeof__(*(field)) made_ = malloc(sizeof(*made_));                               \
		if (made_) {                                                                       \
			init(made_);                                                               \
			(field)[(count_field)++] = made_;                                          \
		}                                                                                  \
		made_;                                                                             \
	})

static Berm__Wire__RunRule *copy_rule(
	const char *key, const char *value, const char *file, uint32_t line)
{
	Berm__Wire__RunRule *rule = malloc(sizeof(*rule));

	if (!rule)
		return NULL;
	berm__wire__run_rule__init(rule);
	rule->key = control_bytes(key);
	rule->value = control_bytes(value ? value : "");
	rule->file = control_bytes(file);
	rule->line = line;
	return rule;
}

static int add_command(const Berm__Wire__Plan *plan, Berm__Wire__RunStatus *status)
{
	size_t count = plan->n_argv < CONTROL_WORDS_MAX ? plan->n_argv : CONTROL_WORDS_MAX;

	status->command = calloc(count + 1, sizeof(*status->command));
	if (!status->command)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		status->command[status->n_command++] = control_bytes(plan->argv[i]);
	return 0;
}

static int add_counters(const struct effects *effects, Berm__Wire__RunStatus *status)
{
	status->counters = calloc(COUNTER_COUNT, sizeof(*status->counters));
	if (!status->counters)
		return -ENOMEM;
	for (unsigned i = 0; effects->metered && i < COUNTER_COUNT; i++) {
		Berm__Wire__RunCounter *c;

		if (!effects->counted[i])
			continue;
		c = GROW(status->counters, status->n_counters, berm__wire__run_counter__init);
		if (!c)
			return -ENOMEM;
		c->counter = i;
		c->value = effects->done[i];
		c->refused = effects->refused[i];
		c->capped = effects->limit[i] != EFFECTS_UNLIMITED;
		c->limit = c->capped ? effects->limit[i] : 0;
	}
	return 0;
}

static int add_trips(const struct session *session, Berm__Wire__RunStatus *status)
{
	static const Berm__Wire__TripKind kinds[TRIP_KIND_COUNT] = {
		[TRIP_KIND_CAP] = BERM__WIRE__TRIP_KIND__TRIP_CAP,
		[TRIP_KIND_STEP] = BERM__WIRE__TRIP_KIND__TRIP_STEP,
		[TRIP_KIND_BREAKER] = BERM__WIRE__TRIP_KIND__TRIP_BREAKER,
		[TRIP_KIND_OPERATOR] = BERM__WIRE__TRIP_KIND__TRIP_OPERATOR,
		[TRIP_KIND_METER] = BERM__WIRE__TRIP_KIND__TRIP_METER,
		[TRIP_KIND_RECORDER] = BERM__WIRE__TRIP_KIND__TRIP_RECORDER,
		[TRIP_KIND_GROUP] = BERM__WIRE__TRIP_KIND__TRIP_GROUP,
	};
	const struct effects *e = &session->effects;
	size_t first = e->trip_count > CONTROL_TRIPS_MAX ? e->trip_count - CONTROL_TRIPS_MAX : 0;

	status->trips = calloc(CONTROL_TRIPS_MAX, sizeof(*status->trips));
	if (!status->trips)
		return -ENOMEM;
	for (size_t i = first; i < e->trip_count; i++) {
		const struct trip *from = &e->trips[i];
		Berm__Wire__RunTrip *t =
			GROW(status->trips, status->n_trips, berm__wire__run_trip__init);

		if (!t)
			return -ENOMEM;
		t->kind = kinds[from->kind];
		t->counter = from->counter;
		t->value = from->value;
		t->limit = from->limit;
		t->posture = from->posture;
		t->phase = from->phase;
		t->after_ms = from->after_ms;
		t->class_ = from->class;
		t->warning = from->warning;
		if (from->rule < session->plan->n_rules) {
			const Berm__Wire__Rule *rule = session->plan->rules[from->rule];

			t->rule = copy_rule(rule->key, rule->value, rule->file, rule->line);
		}
	}
	return 0;
}

static int add_denials(const struct denials *denials, Berm__Wire__RunStatus *status)
{
	size_t first =
		denials->count > CONTROL_DENIALS_MAX ? denials->count - CONTROL_DENIALS_MAX : 0;

	status->denials = calloc(CONTROL_DENIALS_MAX, sizeof(*status->denials));
	if (!status->denials)
		return -ENOMEM;
	for (size_t i = first; i < denials->count; i++) {
		const struct denial *from = &denials->items[i];
		Berm__Wire__RunDenial *d =
			GROW(status->denials, status->n_denials, berm__wire__run_denial__init);

		if (!d)
			return -ENOMEM;
		d->operation = copy(from->operation);
		d->target = control_bytes(from->target);
		d->rule = copy_rule(
			from->rule.key, from->rule.value, from->rule.file, from->rule.line);
		d->count = from->count;
		if (!d->operation)
			return -ENOMEM;
	}
	status->denials_total = denials->total;
	return 0;
}

static int add_enforcement(const Berm__Wire__Plan *plan, Berm__Wire__RunStatus *status)
{
	status->enforcement = calloc(CONTROL_RULES_MAX, sizeof(*status->enforcement));
	if (!status->enforcement)
		return -ENOMEM;
	for (size_t i = 0; i < plan->n_rules && status->n_enforcement < CONTROL_RULES_MAX; i++) {
		autotext struct text ways = {0};
		Berm__Wire__RunEnforcement *e;

		if (!status_enforced_by(plan, i, &ways))
			continue;
		e = GROW(status->enforcement, status->n_enforcement,
			berm__wire__run_enforcement__init);
		if (!e)
			return -ENOMEM;
		e->key = copy(plan->rules[i]->key);
		e->by = copy(text_string(&ways));
		if (!e->key || !e->by)
			return -ENOMEM;
	}
	return 0;
}

static int add_degraded(const Berm__Wire__Plan *plan, Berm__Wire__RunStatus *status)
{
	status->degraded = calloc(plan->n_degraded + 1, sizeof(*status->degraded));
	if (!status->degraded)
		return -ENOMEM;
	for (size_t i = 0; i < plan->n_degraded; i++) {
		status->degraded[i] = copy(plan->degraded[i]);
		if (!status->degraded[i])
			return -ENOMEM;
		status->n_degraded++;
	}
	return 0;
}

static int add_chain(const struct delegation_chain *chain, Berm__Wire__RunStatus *status)
{
	status->delegated_by = calloc(DELEGATION_HOPS_MAX, sizeof(*status->delegated_by));
	if (!status->delegated_by)
		return -ENOMEM;
	for (size_t i = 0; i < chain->count; i++) {
		Berm__Wire__RunHop *hop = GROW(
			status->delegated_by, status->n_delegated_by, berm__wire__run_hop__init);

		if (!hop)
			return -ENOMEM;
		hop->run = copy(chain->hops[i].run);
		hop->agent = copy(chain->hops[i].agent);
		hop->agent_id = copy(chain->hops[i].agent_id);
		if (!hop->run || !hop->agent || !hop->agent_id)
			return -ENOMEM;
	}
	return 0;
}

int live_status(const struct session *session, uint64_t uptime_ms, Berm__Wire__RunStatus *status)
{
	const struct effects *e = &session->effects;
	const Berm__Wire__Agent *agent = session_agent(session);
	int r;

	status->run = copy(session->run_id);
	status->make = copy(e->make ? e->make : "");
	status->profile = control_bytes(session->plan->profile_name);
	status->pid = (uint32_t)getpid();
	status->uid = session->caller.uid;
	status->uptime_ms = uptime_ms;
	status->metered = e->metered;
	status->posture = e->posture;
	status->phase = e->phase;
	status->events_lost = e->events_lost;
	status->agent = copy(agent ? agent->name : "");
	status->agent_id = copy(agent ? agent->id : "");
	status->group = copy(agent ? agent->group : "");
	if (!status->run || !status->make || !status->agent || !status->agent_id || !status->group)
		return -ENOMEM;
	r = add_chain(&session->chain, status);
	if (r == 0)
		r = add_command(session->plan, status);
	if (r == 0)
		r = add_counters(e, status);
	if (r == 0)
		r = add_trips(session, status);
	if (r == 0)
		r = add_denials(&session->denials, status);
	if (r == 0)
		r = add_enforcement(session->plan, status);
	return r == 0 ? add_degraded(session->plan, status) : r;
}
