/* SPDX-License-Identifier: Apache-2.0 */
#include "meter/join.h"

#include "meter/places.h"

#include <fcntl.h>
#include <string.h>

struct meter_joined {
	struct meter *meter; /* borrowed */
	uint32_t slot;
	uint32_t scope;
	struct places places; /* descriptors that keep the anchored inodes in memory */
};

/* Rules while they are compiled; the kernel keeps no reference to them. */
struct compiled {
	struct meter_name_rule *names;
	struct meter_net_rule *networks;
	struct meter_rules rules;
};

static void compiled_finish(struct compiled *c)
{
	free(c->names);
	free(c->networks);
}

static int compile_addresses(const Berm__Wire__Meter *plan, struct compiled *c, struct error *err)
{
	for (size_t i = 0; i < plan->n_addresses; i++) {
		const Berm__Wire__MeterAddress *from = plan->addresses[i];
		struct meter_net_rule *to = &c->networks[i];

		if (from->address.len != sizeof(to->address) || from->prefix_bits > 128 ||
			from->first_port > UINT16_MAX || from->last_port > UINT16_MAX ||
			from->protocol > UINT8_MAX || from->first_port > from->last_port)
			return error_set(err, -EINVAL, ERROR_INPUT,
				"address %zu of the plan makes no sense", i);
		memcpy(to->address, from->address.data, sizeof(to->address));
		to->prefix_bits = from->prefix_bits;
		to->first_port = (uint16_t)from->first_port;
		to->last_port = (uint16_t)from->last_port;
		to->protocol = (uint8_t)from->protocol;
		to->allow = from->allow;
		to->listen = from->listen;
		to->rule = from->rule;
	}
	return 0;
}

/* Every address, where the plan speaks of none and nothing else needs them judged. */
static void open_all(struct compiled *c, bool listen)
{
	c->networks[c->rules.network_count++] =
		(struct meter_net_rule){.last_port = UINT16_MAX, .allow = true, .listen = listen};
}

static int compile(const Berm__Wire__Plan *whole, const struct places *places, struct compiled *c,
	struct error *err)
{
	const Berm__Wire__Meter *plan = whole->meter;
	Berm__Wire__NetworkMode mode =
		whole->network ? whole->network->mode : BERM__WIRE__NETWORK_MODE__NETWORK_NONE;

	c->names = calloc(plan->n_names + 1, sizeof(*c->names));
	c->networks = calloc(plan->n_addresses + 2, sizeof(*c->networks));
	if (!c->names || !c->networks)
		return error_errno(err, "allocate the rules of a run");
	for (size_t i = 0; i < plan->n_names; i++)
		c->names[i] = (struct meter_name_rule){.pattern = plan->names[i]->pattern,
			.no_read = plan->names[i]->no_read,
			.no_write = plan->names[i]->no_write,
			.canary = plan->names[i]->canary,
			.rule = plan->names[i]->rule};
	for (size_t i = 0; i < plan->n_families; i++) {
		if (plan->families[i] >= 64)
			return error_set(err, -EINVAL, ERROR_UNSUPPORTED,
				"the meter knows no address family %u", plan->families[i]);
		c->rules.families |= 1ULL << plan->families[i];
	}
	c->rules.anchors = places->anchors;
	c->rules.anchor_count = places->count;
	c->rules.names = c->names;
	c->rules.name_count = plan->n_names;
	c->rules.networks = c->networks;
	c->rules.network_count = plan->n_addresses;
	/* The host's own network is not judged. Nobody outside of a network without a link can tell
	 * what listens in it. */
	if (plan->n_addresses == 0 && mode != BERM__WIRE__NETWORK_MODE__NETWORK_LINK)
		open_all(c, true);
	if (plan->n_addresses == 0 && mode == BERM__WIRE__NETWORK_MODE__NETWORK_HOST)
		open_all(c, false);
	/* Which sockets can be made is up to seccomp then. */
	if (plan->n_families == 0)
		c->rules.families = UINT64_MAX;
	return compile_addresses(plan, c, err);
}

static int can_do(const struct meter *meter, const Berm__Wire__Plan *plan, struct error *err)
{
	if (plan->meter->programs == BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_ALL &&
		meter_make(meter) == METER_MAKE_NETWORK)
		return error_set(err, -ENOTSUP, ERROR_UNSUPPORTED,
			"the plan needs every program of the meter, and here are only the "
			"network's");
	return 0;
}

static int make_scope(struct meter_joined *joined, const Berm__Wire__Plan *plan,
	const struct meter_place *place, struct error *err)
{
	struct compiled c = {0};
	int r = 0;

	if (meter_make(joined->meter) != METER_MAKE_NETWORK)
		r = run_places_gather(plan, place->init_pid, &joined->places, err);
	if (r == 0)
		r = compile(plan, &joined->places, &c, err);
	if (r == 0)
		r = meter_scope_create(joined->meter, &c.rules, &joined->scope, err);
	compiled_finish(&c);
	return r;
}

static int make_run(struct meter_joined *joined, const Berm__Wire__Plan *plan,
	const struct meter_place *place, struct error *err)
{
	struct meter_limits limits;
	struct meter_run_request request = {.run_id = place->run_id,
		.agent = place->agent,
		.group = place->group,
		.scope = joined->scope,
		.orphan_posture = place->orphan_posture,
		.orphan_after_ns = place->orphan_after_ns,
		.limits = &limits};
	int r = meter_limits_of_plan(plan->meter, &limits, err);

	if (r == 0 && place->cgroup_fd >= 0)
		r = meter_cgroup_id(place->cgroup_fd, &request.cgroup_id, err);
	if (r)
		return r;
	if (place->activity)
		request.flags |= METER_RUN_ACTIVITY;
	if (plan->meter->no_anonymous_exec)
		request.flags |= METER_RUN_NO_ANON_EXEC;
	if (plan->network && plan->network->mode != BERM__WIRE__NETWORK_MODE__NETWORK_HOST)
		request.flags |= METER_RUN_LOOPBACK_FREE;
	r = meter_run_create(joined->meter, &request, &joined->slot, err);
	if (r == 0 && meter_make(joined->meter) != METER_MAKE_NETWORK)
		r = meter_run_enrol(joined->meter, joined->slot, place->init_pidfd, err);
	return r;
}

int meter_join(struct meter *meter, const Berm__Wire__Plan *plan, const struct meter_place *place,
	struct meter_joined **ret_joined, struct error *err)
{
	struct meter_joined *joined;
	int r = can_do(meter, plan, err);

	if (r)
		return r;
	joined = calloc(1, sizeof(*joined));
	if (!joined)
		return error_errno(err, "allocate a run");
	joined->meter = meter;
	r = make_scope(joined, plan, place, err);
	if (r == 0)
		r = make_run(joined, plan, place, err);
	if (r) {
		meter_leave(joined);
		return error_wrap(err, "meter");
	}
	*ret_joined = joined;
	return 0;
}

uint32_t meter_joined_slot(const struct meter_joined *joined)
{
	return joined->slot;
}

void meter_leave(struct meter_joined *joined)
{
	if (!joined)
		return;
	meter_run_destroy(joined->meter, joined->slot);
	meter_scope_destroy(joined->meter, joined->scope);
	run_places_finish(&joined->places);
	free(joined);
}
