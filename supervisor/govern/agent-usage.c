/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/agent-usage.h"

#include <string.h>

#define SLOTS_MAX 128 /* 61 where clocks run as they should */

static const struct {
	const char *name;
	uint64_t ms;
} windows[AGENT_WINDOW_COUNT] = {
	[AGENT_HOUR] = {"hour", 3600000ULL},
	[AGENT_DAY] = {"day", 24 * 3600000ULL},
	[AGENT_LIFETIME] = {"lifetime", 0},
};

const char *agent_window_name(unsigned window)
{
	return window < AGENT_WINDOW_COUNT ? windows[window].name : "";
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

static uint64_t beyond(uint64_t later, uint64_t earlier)
{
	return later > earlier ? later - earlier : 0;
}

uint64_t agent_age_ms(const Berm__Wire__AgentMoment *then, const struct agent_now *now)
{
	uint64_t wall = then ? beyond(now->wall_ms, then->wall_ms) : 0;
	uint64_t boot = then ? beyond(now->boot_ms, then->boot_ms) : 0;

	if (!then || then->boot_id.len != AGENT_BOOT_ID_BYTES ||
		memcmp(then->boot_id.data, now->boot_id, AGENT_BOOT_ID_BYTES) != 0)
		return wall;
	return boot < wall ? boot : wall;
}

static int set_moment(Berm__Wire__AgentMoment *moment, const struct agent_now *now)
{
	if (!moment->boot_id.data) {
		moment->boot_id.data = malloc(AGENT_BOOT_ID_BYTES);
		if (!moment->boot_id.data)
			return -ENOMEM;
		moment->boot_id.len = AGENT_BOOT_ID_BYTES;
	}
	memcpy(moment->boot_id.data, now->boot_id, AGENT_BOOT_ID_BYTES);
	moment->boot_ms = now->boot_ms;
	moment->wall_ms = now->wall_ms;
	return 0;
}

Berm__Wire__AgentMoment *agent_moment(const struct agent_now *now)
{
	Berm__Wire__AgentMoment *moment = malloc(sizeof(*moment));

	if (!moment)
		return NULL;
	berm__wire__agent_moment__init(moment);
	if (set_moment(moment, now) == 0)
		return moment;
	free(moment);
	return NULL;
}

/* ---- asking ---- */

static uint64_t amount_at(const uint64_t *amounts, size_t count, unsigned counter)
{
	return counter < count ? amounts[counter] : 0;
}

/* counter: COUNTER_COUNT means runs. */
static uint64_t amount_of(const Berm__Wire__AgentSlot *slot, unsigned counter)
{
	return counter == COUNTER_COUNT ? slot->runs
					: amount_at(slot->amounts, slot->n_amounts, counter);
}

/* The run itself was counted when it was admitted. */
static uint64_t amount_of_lost(const Berm__Wire__AgentLost *lost, unsigned counter)
{
	return amount_at(lost->amounts, lost->n_amounts, counter);
}

struct slots {
	Berm__Wire__AgentSlot **items;
	size_t count;
};

static struct slots slots_of(const Berm__Wire__Agent *agent, enum agent_window window)
{
	if (window == AGENT_HOUR)
		return (struct slots){agent->hour, agent->n_hour};
	return (struct slots){agent->day, agent->n_day};
}

static uint64_t in_window(const Berm__Wire__Agent *agent, enum agent_window window,
	unsigned counter, const struct agent_now *now)
{
	struct slots slots = slots_of(agent, window);
	uint64_t sum = 0;

	for (size_t i = 0; i < slots.count; i++)
		if (agent_age_ms(slots.items[i]->last, now) < windows[window].ms)
			sum = plus(sum, amount_of(slots.items[i], counter));
	for (size_t i = 0; i < agent->n_lost; i++)
		if (agent_age_ms(agent->lost[i]->moment, now) < windows[window].ms)
			sum = plus(sum, amount_of_lost(agent->lost[i], counter));
	return sum;
}

uint64_t agent_lifetime(const Berm__Wire__Agent *agent, unsigned counter)
{
	uint64_t sum = amount_at(agent->lifetime, agent->n_lifetime, counter);

	for (size_t i = 0; i < agent->n_lost; i++)
		sum = plus(sum, amount_of_lost(agent->lost[i], counter));
	return sum;
}

uint64_t agent_used(const Berm__Wire__Agent *agent, enum agent_window window, unsigned counter,
	const struct agent_now *now)
{
	uint64_t sum = window == AGENT_LIFETIME ? agent_lifetime(agent, counter)
						: in_window(agent, window, counter, now);

	for (size_t i = 0; i < agent->n_runs; i++)
		sum = plus(sum,
			amount_at(agent->runs[i]->reserved, agent->runs[i]->n_reserved, counter));
	return sum;
}

uint64_t agent_runs(const Berm__Wire__Agent *agent, const struct agent_now *now)
{
	return in_window(agent, AGENT_HOUR, COUNTER_COUNT, now);
}

uint64_t agent_wait_ms(const Berm__Wire__Agent *agent, enum agent_window window, unsigned counter,
	const struct agent_now *now)
{
	struct slots slots = slots_of(agent, window);
	uint64_t least = AGENT_UNLIMITED;

	if (window == AGENT_LIFETIME)
		return least;
	for (size_t i = 0; i < slots.count; i++) {
		uint64_t age = agent_age_ms(slots.items[i]->last, now);

		if (age < windows[window].ms && amount_of(slots.items[i], counter) > 0 &&
			windows[window].ms - age < least)
			least = windows[window].ms - age;
	}
	for (size_t i = 0; i < agent->n_lost; i++) {
		uint64_t age = agent_age_ms(agent->lost[i]->moment, now);

		if (age < windows[window].ms && amount_of_lost(agent->lost[i], counter) > 0 &&
			windows[window].ms - age < least)
			least = windows[window].ms - age;
	}
	return least;
}

uint64_t agent_remaining(const Berm__Wire__Agent *agent, unsigned counter,
	const struct agent_now *now, const Berm__Wire__AgentBudget **ret_budget)
{
	uint64_t least = AGENT_UNLIMITED;

	*ret_budget = NULL;
	for (size_t i = 0; i < agent->n_budgets; i++) {
		const Berm__Wire__AgentBudget *budget = agent->budgets[i];
		uint64_t left;

		if (budget->counter != counter || budget->window >= AGENT_WINDOW_COUNT)
			continue;
		left = beyond(budget->limit,
			agent_used(agent, (enum agent_window)budget->window, counter, now));
		if (!*ret_budget || left < least) {
			least = left;
			*ret_budget = budget;
		}
	}
	return least;
}

/* ---- counting ---- */

static int add_amounts(uint64_t **items, size_t *count, const uint64_t amounts[COUNTER_COUNT])
{
	uint64_t *grown = *items;

	if (!amounts)
		return 0;
	if (*count < COUNTER_COUNT) {
		grown = realloc(*items, COUNTER_COUNT * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		memset(grown + *count, 0, (COUNTER_COUNT - *count) * sizeof(*grown));
		*items = grown;
		*count = COUNTER_COUNT;
	}
	for (size_t i = 0; i < COUNTER_COUNT; i++)
		grown[i] = plus(grown[i], amounts[i]);
	return 0;
}

static Berm__Wire__AgentSlot *new_slot(const struct agent_now *now)
{
	Berm__Wire__AgentSlot *slot = malloc(sizeof(*slot));

	if (!slot)
		return NULL;
	berm__wire__agent_slot__init(slot);
	slot->first = agent_moment(now);
	slot->last = agent_moment(now);
	if (slot->first && slot->last)
		return slot;
	berm__wire__agent_slot__free_unpacked(slot, NULL);
	return NULL;
}

static void drop_slot(Berm__Wire__AgentSlot **items, size_t *count, size_t index)
{
	berm__wire__agent_slot__free_unpacked(items[index], NULL);
	(*count)--;
	memmove(items + index, items + index + 1, (*count - index) * sizeof(*items));
}

/* A clock that is set back and forth makes a slot each time: what is older is then kept with what
 * is newer, for as long as that. */
static int join_oldest(Berm__Wire__AgentSlot **items, size_t *count, const struct agent_now *now)
{
	uint64_t amounts[COUNTER_COUNT];
	int r;

	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		amounts[i] = amount_of(items[0], i);
	r = add_amounts(&items[1]->amounts, &items[1]->n_amounts, amounts);
	if (r < 0)
		return r;
	items[1]->runs = plus(items[1]->runs, items[0]->runs);
	if (agent_age_ms(items[0]->last, now) < agent_age_ms(items[1]->last, now)) {
		Berm__Wire__AgentMoment *later = items[0]->last;

		items[0]->last = items[1]->last;
		items[1]->last = later;
	}
	drop_slot(items, count, 0);
	return 0;
}

/* True where what happens now belongs into the slot: in the boot that it was begun in, and soon
 * after that. */
static bool is_current(
	const Berm__Wire__AgentSlot *slot, enum agent_window window, const struct agent_now *now)
{
	const Berm__Wire__AgentMoment *first = slot->first;

	return first && first->boot_id.len == AGENT_BOOT_ID_BYTES &&
	       memcmp(first->boot_id.data, now->boot_id, AGENT_BOOT_ID_BYTES) == 0 &&
	       now->boot_ms >= first->boot_ms &&
	       now->boot_ms - first->boot_ms < windows[window].ms / 60;
}

struct agent_charge {
	const uint64_t *amounts; /* COUNTER_COUNT of them, or NULL */
	uint64_t runs;
};

static int charge_slots(Berm__Wire__AgentSlot ***items, size_t *count, enum agent_window window,
	const struct agent_now *now, const struct agent_charge *charge)
{
	Berm__Wire__AgentSlot **grown = *items, *slot;
	int r = 0;

	for (size_t i = *count; i-- > 0;)
		if (agent_age_ms(grown[i]->last, now) >= windows[window].ms)
			drop_slot(grown, count, i);
	slot = *count ? grown[*count - 1] : NULL;
	if (!slot || !is_current(slot, window, now)) {
		if (*count == SLOTS_MAX)
			r = join_oldest(grown, count, now);
		grown = r < 0 ? NULL : realloc(grown, (*count + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		*items = grown;
		slot = new_slot(now);
		if (!slot)
			return -ENOMEM;
		grown[(*count)++] = slot;
	}
	slot->runs = plus(slot->runs, charge->runs);
	/* A charge in the past (a lost run's) makes nothing older than it was. */
	r = agent_age_ms(slot->last, now) > 0 ? set_moment(slot->last, now) : 0;
	return r < 0 ? r : add_amounts(&slot->amounts, &slot->n_amounts, charge->amounts);
}

int agent_charge(Berm__Wire__Agent *agent, const struct agent_now *now,
	const uint64_t amounts[COUNTER_COUNT], uint64_t runs)
{
	const struct agent_charge charge = {amounts, runs};
	int r = charge_slots(&agent->hour, &agent->n_hour, AGENT_HOUR, now, &charge);

	if (r == 0)
		r = charge_slots(&agent->day, &agent->n_day, AGENT_DAY, now, &charge);
	if (r == 0)
		r = add_amounts(&agent->lifetime, &agent->n_lifetime, amounts);
	agent->runs_total = plus(agent->runs_total, runs);
	return r;
}
