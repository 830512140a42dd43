/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/diff-internal.h"

#include "base/number.h"
#include "policy/keys.h"
#include "policy/pace.h"

#include <inttypes.h>
#include <string.h>

/* Single values: which of two allows more. */

enum measure {
	MEASURE_CAP,    /* a limit: more is wider; nothing written is the most */
	MEASURE_DEMAND, /* of the host: more is narrower; nothing written is the least */
	MEASURE_WORD,   /* by openness */
};

static const struct scalar {
	const char *key;
	enum measure measure;
	unsigned openness[4]; /* MEASURE_WORD: of each word (or false, true); more is wider */
} scalars[] = {
	{"on_unsupported", MEASURE_WORD, {0, 1}},
	{"feedback", MEASURE_WORD, {1, 0, 2}},
	{"requires.landlock", MEASURE_DEMAND, {0}},
	{"requires.notify", MEASURE_DEMAND, {0}},
	{"requires.cgroup", MEASURE_DEMAND, {0}},
	{"requires.bpf", MEASURE_DEMAND, {0}},
	{"fs.tmp.private", MEASURE_WORD, {0, 1}},
	{"fs.tmp.size", MEASURE_CAP, {0}},
	{"fs.home.private", MEASURE_WORD, {0, 1}},
	{"fs.home.size", MEASURE_CAP, {0}},
	{"network.mode", MEASURE_WORD, {0, 1}},
	{"exec.default", MEASURE_WORD, {0, 1, 2}},
	{"exec.hash", MEASURE_WORD, {1, 0}},
	{"syscalls.base", MEASURE_WORD, {1, 0}},
	{"syscalls.on_deny", MEASURE_WORD, {1, 1, 0}},
	{"limits.cpu", MEASURE_CAP, {0}},
	{"limits.memory", MEASURE_CAP, {0}},
	{"limits.pids", MEASURE_CAP, {0}},
	{"limits.open_files", MEASURE_CAP, {0}},
	{"limits.file_size", MEASURE_CAP, {0}},
	{"limits.wall_time", MEASURE_CAP, {0}},
	{"limits.io_weight", MEASURE_CAP, {0}},
	{"blast_radius.files_changed", MEASURE_CAP, {0}},
	{"blast_radius.files_deleted", MEASURE_CAP, {0}},
	{"blast_radius.bytes_written", MEASURE_CAP, {0}},
	{"blast_radius.bytes_sent", MEASURE_CAP, {0}},
	{"blast_radius.hosts_contacted", MEASURE_CAP, {0}},
	{"blast_radius.processes_started", MEASURE_CAP, {0}},
	{"blast_radius.warn_at", MEASURE_CAP, {0}},
	{"blast_radius.on_exceed", MEASURE_WORD, {3, 2, 1, 0}},
};

bool diff_knows_value(const char *key)
{
	for (size_t i = 0; i < array_size(scalars); i++) {
		if (strcmp(scalars[i].key, key) == 0)
			return true;
	}
	return false;
}

static const char *number_words(struct differ *d, const struct key *key, uint64_t value)
{
	char buffer[32];

	if (key->type == VALUE_SIZE)
		return diff_words(d, "%s", number_format_size(value, buffer, sizeof(buffer)));
	if (key->type == VALUE_DURATION)
		return diff_words(d, "%s", number_format_duration(value, buffer, sizeof(buffer)));
	if (key->type == VALUE_WORD && value > 0)
		return key->words[value - 1];
	if (key->type == VALUE_BOOL)
		return value ? "true" : "false";
	return diff_words(d, "%" PRIu64 "%s", value,
		key->type == VALUE_CPU || key->type == VALUE_PERCENT ? "%" : "");
}

/* A value in force, for comparing and for people. */
struct value {
	uint64_t amount; /* more is wider */
	const char *words;
	struct source at;
};

static bool default_number(const struct key *key, uint64_t *ret_value)
{
	return key->default_text &&
	       (key->type == VALUE_SIZE ? number_parse_size(key->default_text, ret_value)
					: number_parse_u64(key->default_text, ret_value));
}

static struct value limit_value(struct differ *d, const struct profile *p,
	const struct scalar *scalar, const struct key *key)
{
	const struct limit *limit = (const void *)((const char *)p + key->offset);
	bool demand = scalar->measure == MEASURE_DEMAND;
	uint64_t number = limit->value;

	if (!limit->set && (demand || !default_number(key, &number)))
		return (struct value){UINT64_MAX, demand ? "nothing" : "no limit", {0}};
	return (struct value){
		demand ? UINT64_MAX - number : number, number_words(d, key, number), limit->at};
}

static struct value word_value(
	const struct profile *p, const struct scalar *scalar, const struct key *key)
{
	static const char *const truths[] = {"false", "true"};
	const char *field = (const char *)p + key->offset;
	struct value value = {0};
	unsigned index = 0;

	if (key->size == sizeof(bool))
		index = *(const bool *)field;
	else
		memcpy(&index, field, sizeof(index));
	value.amount = scalar->openness[index];
	value.words = key->type == VALUE_BOOL ? truths[index] : key->words[index];
	if (key->at_offset)
		memcpy(&value.at, (const char *)p + key->at_offset, sizeof(value.at));
	return value;
}

static struct value value_of(struct differ *d, const struct profile *p, const struct scalar *scalar,
	const struct key *key)
{
	return scalar->measure == MEASURE_WORD ? word_value(p, scalar, key)
					       : limit_value(d, p, scalar, key);
}

static enum diff_direction compare(uint64_t was, uint64_t now)
{
	return now > was ? DIFF_WIDER : now < was ? DIFF_NARROWER : DIFF_SAME;
}

void diff_scalars(struct differ *d)
{
	for (size_t i = 0; i < array_size(scalars); i++) {
		const struct scalar *scalar = &scalars[i];
		const struct key *key = key_resolve(scalar->key, NULL);
		struct value was = value_of(d, d->was.profile, scalar, key);
		struct value now = value_of(d, d->now.profile, scalar, key);

		if (strcmp(was.words, now.words) == 0)
			continue;
		diff_add_line(d, &(struct diff_line){
					 .direction = compare(was.amount, now.amount),
					 .key = scalar->key,
					 .was = was.words,
					 .now = now.words,
					 .was_at = was.at,
					 .now_at = now.at,
				 });
	}
}

static const char *trigger_words(struct differ *d, const struct trigger *t)
{
	const struct key *event = key_find(SECTION_TRIGGER, "event");
	char within[32], lasting[32];

	return diff_words(d, "%s%s%s%s%s%s%s%s%s", event->words[t->event],
		t->count.set ? diff_words(d, " count %" PRIu64, t->count.value) : "",
		t->within_ms.set ? " within " : "",
		t->within_ms.set
			? number_format_duration(t->within_ms.value, within, sizeof(within))
			: "",
		t->above_percent.set ? " above " : "",
		t->above_percent.set ? diff_words(d, "%" PRIu64, t->above_percent.value) : "",
		t->above_percent.set ? "%" : "", t->for_ms.set ? " for " : "",
		t->for_ms.set ? number_format_duration(t->for_ms.value, lasting, sizeof(lasting))
			      : "");
}

/* Whenever late would move the run, early has moved it. A number that is not set is the least. */
static bool trigger_covers(const struct trigger *early, const struct trigger *late)
{
	return early->event == late->event && early->count.value <= late->count.value &&
	       early->within_ms.value >= late->within_ms.value &&
	       early->above_percent.value <= late->above_percent.value &&
	       early->for_ms.value <= late->for_ms.value;
}

static bool triggers_cover(const struct triggers *triggers, const struct trigger *trigger)
{
	for (size_t i = 0; i < triggers->count; i++) {
		if (trigger_covers(&triggers->items[i], trigger))
			return true;
	}
	return false;
}

static bool same_trigger(const struct trigger *a, const struct trigger *b)
{
	return trigger_covers(a, b) && trigger_covers(b, a);
}

static void diff_triggers(struct differ *d, const char *key, const struct triggers *was,
	const struct triggers *now, bool added)
{
	for (size_t i = 0; i < was->count; i++) {
		const struct trigger *t = &was->items[i];
		struct diff_line line = {.key = key, .direction = DIFF_SAME};
		bool same = false;

		for (size_t j = 0; j < now->count; j++)
			same |= same_trigger(t, &now->items[j]);
		if (same)
			continue;
		if (!triggers_cover(now, t))
			line.direction = added ? DIFF_NARROWER : DIFF_WIDER;
		*(added ? &line.now : &line.was) = trigger_words(d, t);
		*(added ? &line.now_at : &line.was_at) = t->at;
		diff_add_line(d, &line);
	}
}

static struct response response_of(const struct phase_rules *rules, enum phase phase)
{
	return response_is_written(&rules->then) ? rules->then : response_default(phase);
}

/* Words of a response by how much they leave open; nothing written leaves all. */
static void diff_response(struct differ *d, enum phase phase, const struct phase_rules *was,
	const struct phase_rules *now)
{
	static const struct {
		const char *name;
		size_t offset;
		uint64_t openness[3]; /* of the value, 0 = not written */
	} rows[] = {
		{"fs_write", offsetof(struct response, fs_write), {2, 0, 1}},
		{"network", offsetof(struct response, network), {2, 0, 1}},
		{"exec", offsetof(struct response, exec), {2, 0, 1}},
		{"run", offsetof(struct response, run), {2, 1, 0}},
	};
	struct response a = response_of(was, phase), b = response_of(now, phase);

	for (size_t i = 0; i < array_size(rows); i++) {
		const struct limit *x = (const void *)((const char *)&a + rows[i].offset);
		const struct limit *y = (const void *)((const char *)&b + rows[i].offset);
		const struct key *key = key_find(SECTION_RESPONSE, rows[i].name);
		uint64_t from = x->set ? x->value : 0, to = y->set ? y->value : 0;

		if (from == to)
			continue;
		diff_add_line(d,
			&(struct diff_line){
				.direction = compare(rows[i].openness[from], rows[i].openness[to]),
				.key = diff_words(d, "%s.then.%s", pace_key(phase), rows[i].name),
				.was = from ? key->words[from - 1] : "nothing",
				.now = to ? key->words[to - 1] : "nothing",
				.was_at = x->at,
				.now_at = y->at,
			});
	}
}

static void diff_recover(struct differ *d, enum phase phase, const struct phase_rules *was,
	const struct phase_rules *now)
{
	const struct key *key = key_find(SECTION_PHASE, "recover");

	if (was->recover == now->recover)
		return;
	diff_add_line(
		d, &(struct diff_line){
			   .direction = now->recover == RECOVER_NEVER ? DIFF_NARROWER : DIFF_WIDER,
			   .key = diff_words(d, "%s.recover", pace_key(phase)),
			   .was = key->words[was->recover],
			   .now = key->words[now->recover],
			   .was_at = was->recover_at,
			   .now_at = now->recover_at,
		   });
}

/* A state that nothing in the profile leads to can still be ordered by a person. */
void diff_pace(struct differ *d)
{
	for (enum phase phase = PHASE_ALTERNATE; phase < PHASE_COUNT; phase++) {
		const struct phase_rules *was = pace_rules(d->was.profile, phase);
		const struct phase_rules *now = pace_rules(d->now.profile, phase);
		const char *key = diff_words(d, "%s.when", pace_key(phase));

		diff_triggers(d, key, &was->when, &now->when, false);
		diff_triggers(d, key, &now->when, &was->when, true);
		diff_response(d, phase, was, now);
		diff_recover(d, phase, was, now);
	}
}

/* Keys whose value is a single word that this build only checks: what the word does. */
static const struct {
	const char *key;
	enum diff_direction direction; /* of writing it */
} pending_words[] = {
	{"mode", DIFF_WIDER}, /* audit: decisions are not applied */
};

static bool is_stored(const struct pending *p)
{
	return !p->value;
}

static bool holds_pending(const struct profile *profile, const struct pending *pending)
{
	for (size_t i = 0; i < profile->pending.count; i++) {
		const struct pending *other = &profile->pending.items[i];

		if (!is_stored(other) && strcmp(other->key, pending->key) == 0 &&
			strcmp(other->value, pending->value) == 0)
			return true;
	}
	return false;
}

static void add_pending(struct differ *d, const struct pending *p, bool added)
{
	struct diff_line line = {
		.direction = DIFF_WIDER, .key = p->key, .example = "this build cannot compare it"};

	for (size_t i = 0; i < array_size(pending_words); i++) {
		if (strcmp(pending_words[i].key, p->key) != 0)
			continue;
		line.example = NULL;
		if (added == (pending_words[i].direction == DIFF_NARROWER))
			line.direction = DIFF_NARROWER;
	}
	*(added ? &line.now : &line.was) = p->value;
	*(added ? &line.now_at : &line.was_at) = p->at;
	diff_add_line(d, &line);
}

/* What is only checked has no meaning that could be compared: any change may be wider. */
void diff_pending(struct differ *d)
{
	const struct profile *was = d->was.profile, *now = d->now.profile;

	for (size_t i = 0; i < was->pending.count; i++) {
		if (!is_stored(&was->pending.items[i]) &&
			!holds_pending(now, &was->pending.items[i]))
			add_pending(d, &was->pending.items[i], false);
	}
	for (size_t i = 0; i < now->pending.count; i++) {
		if (!is_stored(&now->pending.items[i]) &&
			!holds_pending(was, &now->pending.items[i]))
			add_pending(d, &now->pending.items[i], true);
	}
}
