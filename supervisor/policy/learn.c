/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/learn.h"

#include "base/number.h"

#include <inttypes.h>
#include <string.h>

/* FNV-1a, 64 bits. Who knows it can make chains long; the table is bounded, and so is the cost. */
#define FNV_OFFSET 0xcbf29ce484222325ULL
#define FNV_PRIME 0x100000001b3ULL
#define SLOTS (2u * LEARN_OBSERVATIONS_MAX)
#define CHAIN_MAX 64

static uint32_t hash_of(const struct learn_observation *seen)
{
	uint64_t hash = (FNV_OFFSET ^ (unsigned)seen->operation) * FNV_PRIME;

	for (const char *at = seen->object; *at; at++)
		hash = (hash ^ (unsigned char)*at) * FNV_PRIME;
	return (uint32_t)(hash ^ hash >> 32);
}

/* The slot of an equal observation or a free one; NULL where the chain is too long. */
static uint32_t *find_slot(struct learn *learn, const struct learn_observation *seen)
{
	uint32_t at = hash_of(seen);

	for (unsigned i = 0; i < CHAIN_MAX; i++, at++) {
		uint32_t *slot = &learn->slots[at % SLOTS];
		const struct learn_observation *other;

		if (*slot == 0)
			return slot;
		other = &learn->items[*slot - 1];
		if (other->operation == seen->operation && strcmp(other->object, seen->object) == 0)
			return slot;
	}
	return NULL;
}

/* Of what is written the emptiest state counts, since to make a name takes its directory; of what
 * is read the fullest. */
static void join(struct learn_observation *into, const struct learn_observation *seen)
{
	bool writes = seen->operation == OPERATION_WRITE;

	if ((seen->there == LEARN_ABSENT && writes) || (into->there == LEARN_ABSENT && !writes))
		into->there = seen->there;
	into->of_root &= seen->of_root;
	into->runs |= seen->runs;
	into->count =
		into->count + seen->count < into->count ? UINT64_MAX : into->count + seen->count;
}

static bool add_new(struct learn *learn, const struct learn_observation *seen, uint32_t *slot)
{
	size_t length = strlen(seen->object);
	bool absent = seen->there == LEARN_ABSENT && seen->operation != OPERATION_WRITE;
	struct learn_observation *grown;
	char *object;

	if (learn->count == LEARN_OBSERVATIONS_MAX || learn->bytes + length > LEARN_BYTES_MAX ||
		(absent && learn->absent == LEARN_ABSENT_MAX))
		return false;
	grown = arena_grow(&learn->arena, learn->items, learn->count, sizeof(*grown));
	object = grown ? arena_copy(&learn->arena, seen->object, length) : NULL;
	if (!object)
		return false;
	learn->items = grown;
	grown[learn->count] = *seen;
	grown[learn->count].object = object;
	learn->bytes += length;
	learn->absent += absent;
	*slot = (uint32_t)++learn->count;
	return true;
}

void learn_add(struct learn *learn, const struct learn_observation *seen)
{
	uint32_t *slot;

	if (!learn->slots)
		learn->slots = calloc(SLOTS, sizeof(*learn->slots));
	slot = learn->slots ? find_slot(learn, seen) : NULL;
	if (slot && *slot)
		join(&learn->items[*slot - 1], seen);
	else if (!slot || !add_new(learn, seen, slot))
		learn->lost += learn->lost < UINT64_MAX;
}

void learn_peak(struct learn *learn, enum learn_cap cap, uint64_t value)
{
	struct learn_peak *peak = &learn->peaks[cap];

	if (!peak->known || value > peak->value)
		*peak = (struct learn_peak){true, value};
}

int learn_merge(struct learn *learn, const struct learn *more, struct error *err)
{
	if (learn->runs + more->runs > LEARN_RUNS_MAX)
		return error_set(err, -E2BIG, ERROR_INPUT,
			"%u and %u runs are too many to be held against each other; at most %d",
			learn->runs, more->runs, LEARN_RUNS_MAX);
	if (more->runs == 0)
		return 0;
	for (size_t i = 0; i < more->count; i++) {
		struct learn_observation seen = more->items[i];

		seen.runs <<= learn->runs;
		learn_add(learn, &seen);
	}
	for (enum learn_cap cap = 0; cap < LEARN_CAP_COUNT; cap++) {
		if (more->peaks[cap].known)
			learn_peak(learn, cap, more->peaks[cap].value);
	}
	learn->failed |= more->failed << learn->runs;
	learn->runs += more->runs;
	learn->lost += more->lost;
	return 0;
}

void learn_finish(struct learn *learn)
{
	arena_finish(&learn->arena);
	own_free(&learn->slots);
	*learn = (struct learn){0};
}

unsigned learn_run_count(uint64_t runs)
{
	unsigned count = 0;

	for (; runs; runs &= runs - 1)
		count++;
	return count;
}

static const char *const cap_names[LEARN_CAP_COUNT] = {
	[LEARN_FILES_CHANGED] = "blast_radius.files_changed",
	[LEARN_FILES_DELETED] = "blast_radius.files_deleted",
	[LEARN_BYTES_WRITTEN] = "blast_radius.bytes_written",
	[LEARN_PROCESSES_STARTED] = "blast_radius.processes_started",
	[LEARN_MEMORY] = "limits.memory",
	[LEARN_PIDS] = "limits.pids",
	[LEARN_WALL_TIME] = "limits.wall_time",
};

const char *learn_cap_name(enum learn_cap cap)
{
	return cap_names[cap];
}

const char *learn_cap_words(enum learn_cap cap, uint64_t value, char *buffer, size_t capacity)
{
	if (cap == LEARN_WALL_TIME)
		return number_format_duration(value, buffer, capacity);
	if (cap == LEARN_BYTES_WRITTEN || cap == LEARN_MEMORY)
		return number_format_size(value, buffer, capacity);
	snprintf(buffer, capacity, "%" PRIu64, value);
	return buffer;
}

static const char *const class_words[LEARN_CLASS_COUNT] = {
	[LEARN_COVERED] = "the base allows it",
	[LEARN_OWN] = "in the run's own empty home",
	[LEARN_NOTHING] = "nothing is there",
	[LEARN_PROPOSED] = "proposed",
	[LEARN_SECRET] = "credentials",
	[LEARN_RULED_OUT] = "ruled out",
	[LEARN_OUTSIDE] = "outside the system and the work tree",
	[LEARN_LISTING] = "to list it would take all that is beneath it",
	[LEARN_NAMELESS] = "its name cannot be written into a profile",
	[LEARN_PROGRAM] = "a program where the run can write",
	[LEARN_NETWORK] = "the network",
	[LEARN_CALL] = "a system call",
};

const char *learn_class_words(enum learn_class class)
{
	return class_words[class];
}
