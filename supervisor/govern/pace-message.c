/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/pace-message.h"

#include "govern/pace-table.h"
#include "wire/pace.pb-c.h"

#include <stdio.h>
#include <string.h>

typedef Berm__Wire__GroupState GroupMessage;
typedef Berm__Wire__PaceMoment MomentMessage;

static MomentMessage moment_message(const struct pace_moment *m)
{
	MomentMessage message = BERM__WIRE__PACE_MOMENT__INIT;

	message.least_ms = m->least_ms;
	message.most_ms = m->most_ms;
	message.wall_ms = m->wall_ms;
	return message;
}

/* Protobuf-c takes strings and bytes as writable; packing only reads them. */
static char *words(const char *text)
{
	return (char *)(uintptr_t)text;
}

static ProtobufCBinaryData bytes_of(const uint8_t *data, size_t length)
{
	return (ProtobufCBinaryData){length, (uint8_t *)(uintptr_t)data};
}

/* Room for the messages that a GroupState points to. */
struct parts {
	MomentMessage entered, disturbed, clock_moment;
	Berm__Wire__PaceClock clock;
	MomentMessage asked[PACE_SLOT_COUNT];
	Berm__Wire__PaceRequest requests[PACE_SLOT_COUNT];
	Berm__Wire__PaceRequest *request_list[PACE_SLOT_COUNT];
	Berm__Wire__PaceFinding findings[PACE_SLOT_COUNT][PACE_FINDINGS_MAX];
	Berm__Wire__PaceFinding *finding_list[PACE_SLOT_COUNT][PACE_FINDINGS_MAX];
	Berm__Wire__PaceIsolated isolated[PACE_ISOLATED_MAX];
	MomentMessage isolated_since[PACE_ISOLATED_MAX];
	Berm__Wire__PaceIsolated *isolated_list[PACE_ISOLATED_MAX];
	MomentMessage returns[PACE_RETURNS_MAX];
	MomentMessage *return_list[PACE_RETURNS_MAX];
	Berm__Wire__PaceNonce nonces[PACE_NONCES_MAX];
	Berm__Wire__PaceNonce *nonce_list[PACE_NONCES_MAX];
	Berm__Wire__PaceTakeover takeover;
};

static void fill_lists(const struct pace_group *g, struct parts *parts, GroupMessage *message)
{
	for (size_t i = 0; i < g->isolated_count; i++) {
		berm__wire__pace_isolated__init(&parts->isolated[i]);
		parts->isolated_since[i] = moment_message(&g->isolated[i].since);
		parts->isolated[i].agent = words(g->isolated[i].agent);
		parts->isolated[i].since = &parts->isolated_since[i];
		parts->isolated_list[i] = &parts->isolated[i];
	}
	message->n_isolated = g->isolated_count;
	message->isolated = parts->isolated_list;
	for (size_t i = 0; i < g->return_count; i++) {
		parts->returns[i] = moment_message(&g->returns[i]);
		parts->return_list[i] = &parts->returns[i];
	}
	message->n_returns = g->return_count;
	message->returns = parts->return_list;
	for (size_t i = 0; i < g->nonce_count; i++) {
		berm__wire__pace_nonce__init(&parts->nonces[i]);
		parts->nonces[i].nonce = bytes_of(g->nonces[i].nonce, PACE_NONCE_BYTES);
		parts->nonces[i].signed_ms = g->nonces[i].signed_ms;
		parts->nonces[i].key = bytes_of(g->nonces[i].key, PACE_KEY_BYTES);
		parts->nonce_list[i] = &parts->nonces[i];
	}
	message->n_nonces = g->nonce_count;
	message->nonces = parts->nonce_list;
}

static void fill_requests(const struct pace_group *g, struct parts *parts, GroupMessage *message)
{
	for (size_t i = 0; i < PACE_SLOT_COUNT; i++) {
		Berm__Wire__PaceRequest *request = &parts->requests[i];
		const struct pace_request *r = &g->requests[i];

		if (!r->open)
			continue;
		berm__wire__pace_request__init(request);
		parts->asked[i] = moment_message(&r->since);
		request->to = r->to;
		request->trigger = r->trigger;
		request->authority = r->authority;
		request->source = words(r->source);
		request->agent = words(r->agent);
		request->since = &parts->asked[i];
		for (size_t n = 0; n < r->more_count; n++) {
			Berm__Wire__PaceFinding *finding = &parts->findings[i][n];

			berm__wire__pace_finding__init(finding);
			finding->trigger = r->more[n].trigger;
			finding->agent = words(r->more[n].agent);
			parts->finding_list[i][n] = finding;
		}
		request->n_more = r->more_count;
		request->more = parts->finding_list[i];
		parts->request_list[message->n_requests++] = request;
	}
	message->requests = parts->request_list;
}

static void fill_takeover(const struct pace_group *g, struct parts *parts, GroupMessage *message)
{
	if (!g->takeover.change)
		return;
	berm__wire__pace_takeover__init(&parts->takeover);
	parts->takeover.change = g->takeover.change;
	parts->takeover.trigger = g->takeover.trigger;
	parts->takeover.authority = g->takeover.authority;
	parts->takeover.by = words(g->takeover.by);
	parts->takeover.taken = g->takeover.taken;
	message->takeover = &parts->takeover;
}

static void fill(const struct pace_group *g, struct parts *parts, GroupMessage *message)
{
	berm__wire__group_state__init(message);
	message->version = PACE_MESSAGE_VERSION;
	message->group = words(g->name);
	message->id = bytes_of(g->id, PACE_ID_BYTES);
	message->tier = g->tier;
	message->configured = g->configured;
	message->backup = words(g->backup);
	message->contingency = words(g->contingency);
	message->window_ms = g->window_ms;
	berm__wire__pace_clock__init(&parts->clock);
	parts->clock_moment = moment_message(&g->clock.moment);
	parts->clock.boot_id = bytes_of(g->clock.boot_id, PACE_BOOT_ID_BYTES);
	parts->clock.boot_ms = g->clock.boot_ms;
	parts->clock.moment = &parts->clock_moment;
	message->clock = &parts->clock;
	message->phase = g->phase;
	parts->entered = moment_message(&g->entered);
	message->entered = &parts->entered;
	parts->disturbed = moment_message(&g->disturbed);
	message->disturbed = &parts->disturbed;
	message->explained = g->explained;
	message->recovering = g->recovering;
	message->all_isolated = g->all_isolated;
	fill_lists(g, parts, message);
	fill_requests(g, parts, message);
	fill_takeover(g, parts, message);
	message->nonce_floor_ms = g->nonce_floor_ms;
	message->changes = g->changes;
}

int pace_pack(
	const struct pace_group *group, uint8_t **ret_bytes, size_t *ret_length, struct error *err)
{
	autofree struct parts *parts = malloc(sizeof(*parts));
	GroupMessage message;
	size_t length;
	uint8_t *bytes;

	if (!parts)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for a group");
	fill(group, parts, &message);
	length = berm__wire__group_state__get_packed_size(&message);
	if (length > PACE_MESSAGE_MAX)
		return error_set(err, -EFBIG, ERROR_INTERNAL, "the state of a group is too large");
	bytes = malloc(length);
	if (!bytes)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for a group");
	berm__wire__group_state__pack(&message, bytes);
	*ret_bytes = bytes;
	*ret_length = length;
	return 0;
}

static bool take_name(const char *text, bool may_be_empty, char to[PACE_NAME_MAX + 1])
{
	if (!text || (!(may_be_empty && !text[0]) && !agent_name_is_good(text)))
		return false;
	snprintf(to, PACE_NAME_MAX + 1, "%s", text);
	return true;
}

static bool take_id(const char *text, bool may_be_empty, char to[AGENT_ID_BYTES + 1])
{
	if (!text || (!(may_be_empty && !text[0]) && !agent_id_is_good(text)))
		return false;
	snprintf(to, AGENT_ID_BYTES + 1, "%s", text);
	return true;
}

/* A moment of this group: not ahead of its clock, and the two clocks in their order. */
static bool take_moment(
	const MomentMessage *m, const struct pace_moment *clock, struct pace_moment *to)
{
	if (!m || m->most_ms < m->least_ms)
		return false;
	if (m->least_ms > clock->least_ms || m->most_ms > clock->most_ms)
		return false;
	*to = (struct pace_moment){m->least_ms, m->most_ms, m->wall_ms};
	return true;
}

static const char *take_clock(const GroupMessage *m, struct pace_group *g)
{
	static const struct pace_moment all = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
	const struct pace_moment *now = &g->clock.moment;

	if (!m->clock || m->clock->boot_id.len != PACE_BOOT_ID_BYTES || !m->clock->moment ||
		!take_moment(m->clock->moment, &all, &g->clock.moment))
		return "clock";
	memcpy(g->clock.boot_id, m->clock->boot_id.data, PACE_BOOT_ID_BYTES);
	g->clock.boot_ms = m->clock->boot_ms;
	if (!take_moment(m->entered, now, &g->entered))
		return "entered";
	if (!take_moment(m->disturbed, now, &g->disturbed) ||
		g->disturbed.least_ms < g->entered.least_ms)
		return "disturbed";
	return NULL;
}

static const char *take_setting(const GroupMessage *m, struct pace_group *g)
{
	if (m->version != PACE_MESSAGE_VERSION)
		return "version";
	if (!take_name(m->group, false, g->name))
		return "group";
	if (m->id.len != PACE_ID_BYTES)
		return "id";
	memcpy(g->id, m->id.data, PACE_ID_BYTES);
	if (m->tier < 1 || m->tier > 3)
		return "tier";
	if (m->configured >= PHASE_COUNT)
		return "configured";
	if (!take_id(m->backup, true, g->backup))
		return "backup";
	if (!take_id(m->contingency, true, g->contingency))
		return "contingency";
	if (m->window_ms < PACE_WINDOW_MIN_MS || m->window_ms > PACE_WINDOW_MAX_MS)
		return "window";
	if (m->phase >= PHASE_COUNT ||
		((m->phase == PHASE_PRIMARY || m->phase == PHASE_EMERGENCY) && m->recovering))
		return "phase";
	g->tier = m->tier;
	g->configured = m->configured;
	g->window_ms = m->window_ms;
	g->phase = m->phase;
	g->explained = m->explained;
	g->recovering = m->recovering;
	g->all_isolated = m->all_isolated;
	g->nonce_floor_ms = m->nonce_floor_ms;
	g->changes = m->changes;
	return NULL;
}

static bool take_findings(const Berm__Wire__PaceRequest *r, struct pace_request *to)
{
	if (r->n_more > PACE_FINDINGS_MAX)
		return false;
	for (size_t i = 0; i < r->n_more; i++) {
		if (r->more[i]->trigger >= PACE_TRIGGER_COUNT ||
			!take_id(r->more[i]->agent, true, to->more[i].agent))
			return false;
		to->more[i].trigger = r->more[i]->trigger;
		for (size_t j = 0; j < i; j++)
			if (to->more[i].trigger == to->more[j].trigger &&
				strcmp(to->more[i].agent, to->more[j].agent) == 0)
				return false;
	}
	to->more_count = r->n_more;
	return true;
}

static bool take_request(const Berm__Wire__PaceRequest *r, struct pace_group *g)
{
	struct pace_request *to = &g->requests[r->to == PHASE_EMERGENCY ? PACE_SLOT_EMERGENCY
									: PACE_SLOT_CONTINGENCY];

	if ((r->to != PHASE_CONTINGENCY && r->to != PHASE_EMERGENCY) || r->to <= g->phase ||
		to->open || r->trigger >= PACE_TRIGGER_COUNT ||
		(r->authority != PACE_BY_BERM && r->authority != PACE_BY_OBSERVER) ||
		!take_name(r->source, true, to->source) || !take_id(r->agent, true, to->agent) ||
		!take_moment(r->since, &g->clock.moment, &to->since) || !take_findings(r, to))
		return false;
	to->open = true;
	to->to = r->to;
	to->trigger = r->trigger;
	to->authority = r->authority;
	return true;
}

static const char *take_requests(const GroupMessage *m, struct pace_group *g)
{
	for (size_t i = 0; i < m->n_requests; i++)
		if (!take_request(m->requests[i], g))
			return "requests";
	return NULL;
}

static const char *take_isolated(const GroupMessage *m, struct pace_group *g)
{
	if (m->n_isolated > PACE_ISOLATED_MAX)
		return "isolated";
	for (size_t i = 0; i < m->n_isolated; i++) {
		if (!take_id(m->isolated[i]->agent, false, g->isolated[i].agent) ||
			!take_moment(
				m->isolated[i]->since, &g->clock.moment, &g->isolated[i].since))
			return "isolated";
		for (size_t j = 0; j < i; j++)
			if (strcmp(g->isolated[i].agent, g->isolated[j].agent) == 0)
				return "isolated";
	}
	g->isolated_count = m->n_isolated;
	return NULL;
}

static const char *take_returns(const GroupMessage *m, struct pace_group *g)
{
	if (m->n_returns > PACE_RETURNS_MAX)
		return "returns";
	for (size_t i = 0; i < m->n_returns; i++)
		if (!take_moment(m->returns[i], &g->clock.moment, &g->returns[i]) ||
			(i > 0 && g->returns[i].least_ms < g->returns[i - 1].least_ms))
			return "returns";
	g->return_count = m->n_returns;
	return NULL;
}

static const char *take_nonces(const GroupMessage *m, struct pace_group *g)
{
	if (m->n_nonces > PACE_NONCES_MAX)
		return "nonces";
	for (size_t i = 0; i < m->n_nonces; i++) {
		const Berm__Wire__PaceNonce *n = m->nonces[i];

		if (n->nonce.len != PACE_NONCE_BYTES || n->key.len != PACE_KEY_BYTES ||
			n->signed_ms <= g->nonce_floor_ms ||
			(i > 0 && n->signed_ms < m->nonces[i - 1]->signed_ms))
			return "nonces";
		memcpy(g->nonces[i].nonce, n->nonce.data, PACE_NONCE_BYTES);
		memcpy(g->nonces[i].key, n->key.data, PACE_KEY_BYTES);
		g->nonces[i].signed_ms = n->signed_ms;
	}
	g->nonce_count = m->n_nonces;
	return NULL;
}

static const char *take_takeover(const GroupMessage *m, struct pace_group *g)
{
	const Berm__Wire__PaceTakeover *t = m->takeover;

	if (!t)
		return NULL;
	if (!t->change || t->change > g->changes || t->trigger >= PACE_TRIGGER_COUNT ||
		t->authority >= PACE_AUTHORITY_COUNT || !take_name(t->by, true, g->takeover.by))
		return "takeover";
	g->takeover.change = t->change;
	g->takeover.trigger = t->trigger;
	g->takeover.authority = t->authority;
	g->takeover.taken = t->taken;
	return NULL;
}

static const char *take(const GroupMessage *m, struct pace_group *g)
{
	static const char *(*const parts[])(const GroupMessage *, struct pace_group *) = {
		take_setting, take_clock, take_requests, take_isolated, take_returns, take_nonces,
		take_takeover};

	for (size_t i = 0; i < array_size(parts); i++) {
		const char *bad = parts[i](m, g);

		if (bad)
			return bad;
	}
	return NULL;
}

static int is_packed_so(
	const struct pace_group *group, const uint8_t *bytes, size_t length, struct error *err)
{
	autofree uint8_t *again = NULL;
	size_t again_length = 0;
	int r = pace_pack(group, &again, &again_length, err);

	if (r < 0)
		return r;
	if (!again || again_length != length || memcmp(again, bytes, length) != 0)
		return error_set(err, -EBADMSG, ERROR_INTERNAL,
			"the state of a group is not in its one form");
	return 0;
}

int pace_unpack(
	const uint8_t *bytes, size_t length, struct pace_group *ret_group, struct error *err)
{
	GroupMessage *message = NULL;
	struct pace_group group = {0};
	const char *bad;
	int r;

	if (length <= PACE_MESSAGE_MAX)
		message = berm__wire__group_state__unpack(NULL, length, bytes);
	if (!message)
		return error_set(err, -EBADMSG, ERROR_INTERNAL, "this is no state of a group");
	bad = take(message, &group);
	berm__wire__group_state__free_unpacked(message, NULL);
	if (bad)
		return error_set(err, -EBADMSG, ERROR_INTERNAL,
			"the state of a group is damaged: its %s", bad);
	r = is_packed_so(&group, bytes, length, err);
	if (r == 0)
		*ret_group = group;
	return r;
}
