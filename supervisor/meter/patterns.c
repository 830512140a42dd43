/* SPDX-License-Identifier: Apache-2.0 */
#include "meter/patterns.h"

#include <string.h>

#define COMPONENTS_MAX 64
#define NAME_BYTES_MAX 255

struct component {
	const char *text; /* borrowed from the pattern */
	size_t length;
	bool any_depth; /* "**" */
	bool glob;
};

/* One pattern while it is compiled. */
struct pattern {
	struct component part[COMPONENTS_MAX];
	size_t count;
	size_t first_bit; /* of part[from] */
	size_t from;      /* parts before it are consumed by every anchor */
};

static void bit_set(struct meter_bits *bits, size_t bit)
{
	bits->word[bit / 64] |= 1ULL << (bit % 64);
}

void pattern_tables_finish(struct pattern_tables *tables)
{
	own_free(&tables->live);
	own_free(&tables->covers);
}

uint64_t pattern_hash(const char *name, size_t length)
{
	uint64_t hash = METER_HASH_SEED;

	for (size_t at = 0; at < length; at += 8) {
		size_t bytes = length - at < 8 ? length - at : 8;
		uint64_t word = 0;

		memcpy(&word, name + at, bytes);
		hash = meter_hash_step(hash, word);
	}
	return hash;
}

static bool is_any_depth(const char *text, size_t length)
{
	return length == 2 && memcmp(text, "**", 2) == 0;
}

/* Split into components; "**" at the end and twice in a row say nothing more. */
static int split(const char *text, struct pattern *pattern, struct error *err)
{
	const char *at = text;

	pattern->count = 0;
	if (*at != '/')
		return error_set(err, -EINVAL, ERROR_INPUT, "the pattern %s is not absolute", text);
	while (*at == '/')
		at++;
	while (*at) {
		size_t length = strcspn(at, "/");
		struct component part = {.text = at, .length = length};

		part.any_depth = is_any_depth(at, length);
		part.glob = !part.any_depth && memchr(at, '*', length);
		part.glob = part.glob || memchr(at, '?', length);
		if (length > NAME_BYTES_MAX)
			return error_set(err, -ENAMETOOLONG, ERROR_INPUT,
				"a component of %s is too long", text);
		if (length == 1 && *at == '*')
			return error_set(err, -ENOTSUP, ERROR_UNSUPPORTED,
				"the meter cannot hold %s: a component that is only * matches "
				"every name",
				text);
		if (!part.any_depth || pattern->count == 0 ||
			!pattern->part[pattern->count - 1].any_depth) {
			if (pattern->count == COMPONENTS_MAX)
				return error_set(err, -E2BIG, ERROR_UNSUPPORTED,
					"%s has too many components", text);
			pattern->part[pattern->count++] = part;
		}
		at += length;
		while (*at == '/')
			at++;
	}
	while (pattern->count && pattern->part[pattern->count - 1].any_depth)
		pattern->count--;
	if (pattern->count == 0)
		return error_set(
			err, -EINVAL, ERROR_UNSUPPORTED, "the pattern %s matches everything", text);
	return 0;
}

/* One component against one name: "*" any bytes, "?" one. */
static bool component_matches(const struct component *part, const char *name, size_t length)
{
	size_t p = 0, n = 0, star = SIZE_MAX, mark = 0;

	while (n < length) {
		if (p < part->length && part->text[p] == '*') {
			star = p++;
			mark = n;
		} else if (p < part->length && (part->text[p] == '?' || part->text[p] == name[n])) {
			p++;
			n++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			n = ++mark;
		} else {
			return false;
		}
	}
	while (p < part->length && part->text[p] == '*')
		p++;
	return p == part->length;
}

/* Positions of a pattern that may match next, while an anchor's path is consumed. */
struct positions {
	bool live[COMPONENTS_MAX + 1];
	bool complete; /* the pattern ended on the way */
};

static void open_position(const struct pattern *pattern, struct positions *at, size_t position)
{
	at->live[position] = true;
	if (position < pattern->count && pattern->part[position].any_depth)
		at->live[position + 1] =
			true; /* "**" may stand for nothing; it is never the last */
}

static void consume(const struct pattern *pattern, const char *path, struct positions *at)
{
	memset(at, 0, sizeof(*at));
	open_position(pattern, at, 0);
	while (*path == '/')
		path++;
	while (*path && !at->complete) {
		size_t length = strcspn(path, "/");
		struct positions next = {0};

		for (size_t i = 0; i < pattern->count; i++) {
			if (!at->live[i])
				continue;
			if (pattern->part[i].any_depth) {
				open_position(pattern, &next, i);
			} else if (component_matches(&pattern->part[i], path, length)) {
				if (i + 1 == pattern->count)
					next.complete = true;
				else
					open_position(pattern, &next, i + 1);
			}
		}
		*at = next;
		path += length;
		while (*path == '/')
			path++;
	}
}

/* ---- literals and globs ---- */

static void allow_length(struct meter_scope *scope, size_t length)
{
	scope->length_mask[length / 64] |= 1ULL << (length % 64);
}

static int add_literal(
	struct pattern_tables *t, const struct component *part, size_t bit, struct error *err)
{
	uint64_t hash = pattern_hash(part->text, part->length);

	if (part->length >= METER_LITERAL_BYTES)
		return error_set(err, -ENOTSUP, ERROR_UNSUPPORTED,
			"the meter cannot hold the name %.*s: over %d bytes", (int)part->length,
			part->text, METER_LITERAL_BYTES - 1);
	allow_length(&t->scope, part->length);
	for (size_t i = 0; i < t->literal_count; i++) {
		if (t->literals[i].hash == hash && t->literals[i].length == part->length) {
			bit_set(&t->literals[i].bits, bit);
			return 0;
		}
	}
	if (t->literal_count == PATTERN_LITERALS_MAX)
		return error_set(err, -E2BIG, ERROR_UNSUPPORTED, "over %d protected names",
			PATTERN_LITERALS_MAX);
	t->literals[t->literal_count].hash = hash;
	t->literals[t->literal_count].length = (uint32_t)part->length;
	bit_set(&t->literals[t->literal_count].bits, bit);
	t->literal_count++;
	return 0;
}

/* What is handed on from one pattern to the next. */
struct glob_builder {
	size_t state; /* next free */
	size_t bit;   /* next free */
	uint32_t glob_count;
	const struct component *done[METER_GLOBS];
};

/* Bytes that a name may begin or end with. */
static void mark_edge(uint32_t *table, char edge, uint32_t glob)
{
	for (size_t c = 0; c < 256; c++)
		if (edge == '*' || edge == '?' || (unsigned char)edge == c)
			table[c] |= 1u << glob;
}

static int add_glob(struct pattern_tables *t, struct glob_builder *builder,
	const struct component *part, size_t bit, struct error *err)
{
	struct meter_scope *s = &t->scope;
	uint32_t number = builder->glob_count;
	size_t least = 0;
	bool star = false;

	for (uint32_t i = 0; i < number; i++) {
		if (builder->done[i]->length == part->length &&
			!memcmp(builder->done[i]->text, part->text, part->length)) {
			bit_set(&s->glob[i].bits, bit);
			return 0;
		}
	}
	for (size_t i = 0; i < part->length; i++)
		least += part->text[i] != '*';
	if (number == METER_GLOBS || builder->state + least + 1 > METER_GLOB_STATES)
		return error_set(err, -E2BIG, ERROR_UNSUPPORTED,
			"no room for the glob %.*s: at most %d globs of %d bytes",
			(int)part->length, part->text, METER_GLOBS, METER_GLOB_STATES);
	s->glob_start[builder->state / 64] |= 1ULL << (builder->state % 64);
	for (size_t i = 0; i < part->length; i++) {
		if (part->text[i] == '*') {
			s->glob_loop[builder->state / 64] |= 1ULL << (builder->state % 64);
			star = true;
			continue;
		}
		builder->state++;
		for (size_t c = 0; c < 256; c++)
			if (part->text[i] == '?' || (unsigned char)part->text[i] == c)
				s->glob_accepts[c][builder->state / 64] |= 1ULL
									   << (builder->state % 64);
	}
	s->glob[number].accept = (uint32_t)builder->state++;
	bit_set(&s->glob[number].bits, bit);
	mark_edge(s->glob_first, part->text[0], number);
	mark_edge(s->glob_last, part->text[part->length - 1], number);
	for (size_t length = least ? least : 1; length <= (star ? NAME_BYTES_MAX : least); length++)
		allow_length(s, length);
	builder->done[number] = part;
	s->glob_count = ++builder->glob_count;
	return 0;
}

/* ---- patterns ---- */

static int place_pattern(struct pattern_tables *t, struct glob_builder *builder,
	const struct meter_name_rule *rule, struct pattern *pattern, struct error *err)
{
	struct meter_scope *s = &t->scope;
	size_t last;

	pattern->first_bit = builder->bit;
	if (builder->bit + pattern->count - pattern->from > METER_NAME_BITS)
		return error_set(err, -E2BIG, ERROR_UNSUPPORTED,
			"no room for the pattern %s: over %d components in all", rule->pattern,
			METER_NAME_BITS);
	for (size_t i = pattern->from; i < pattern->count; i++) {
		size_t bit = pattern->first_bit + i - pattern->from;
		int r = 0;

		s->rule_of_bit[bit] = (uint16_t)rule->rule;
		if (pattern->part[i].any_depth)
			bit_set(&s->any_depth, bit);
		else if (pattern->part[i].glob)
			r = add_glob(t, builder, &pattern->part[i], bit, err);
		else
			r = add_literal(t, &pattern->part[i], bit, err);
		if (r)
			return r;
	}
	builder->bit += pattern->count - pattern->from;
	last = builder->bit - 1;
	bit_set(&s->final, last);
	if (rule->no_read)
		bit_set(&s->no_read, last);
	if (rule->no_write)
		bit_set(&s->no_write, last);
	if (rule->canary)
		bit_set(&s->canary, last);
	s->pattern_count++;
	return 0;
}

/* What may only not be written can still be read, started and connected to. */
static void cover(struct pattern_cover *cover, const struct meter_name_rule *rule)
{
	uint32_t refused = rule->no_write ? METER_RIGHT_WRITE : 0u;

	if (rule->no_read || rule->canary)
		refused = ~(uint32_t)METER_RIGHT_MARKS;
	if (!cover->refused || refused & ~cover->refused ||
		(rule->canary && !(cover->marks & METER_RIGHT_CANARY)))
		cover->rule = rule->rule;
	cover->refused |= refused;
	cover->marks |= (rule->no_write ? METER_RIGHT_PROTECTED : 0u) |
			(rule->canary ? METER_RIGHT_CANARY : 0u);
}

static int compile_one(const struct meter_rules *rules, size_t index, struct pattern_tables *t,
	struct glob_builder *builder, struct pattern *pattern, struct error *err)
{
	const struct meter_name_rule *rule = &rules->names[index];
	int r = split(rule->pattern, pattern, err);
	struct positions at;
	bool reached = false;

	if (r)
		return r;
	/* What every anchor consumes needs no bits. */
	pattern->from = pattern->count;
	for (size_t a = 0; a < rules->anchor_count; a++) {
		consume(pattern, rules->anchors[a].path, &at);
		if (at.complete)
			cover(&t->covers[a], rule);
		for (size_t i = 0; i < pattern->count && !at.complete; i++) {
			if (at.live[i] && i < pattern->from)
				pattern->from = i;
			reached = reached || at.live[i];
		}
	}
	if (!reached)
		return 0; /* nothing that the run can see lies there */
	r = place_pattern(t, builder, rule, pattern, err);
	for (size_t a = 0; !r && a < rules->anchor_count; a++) {
		consume(pattern, rules->anchors[a].path, &at);
		for (size_t i = pattern->from; i < pattern->count && !at.complete; i++)
			if (at.live[i])
				bit_set(&t->live[a], pattern->first_bit + i - pattern->from);
	}
	return r;
}

int pattern_compile(
	const struct meter_rules *rules, struct pattern_tables *tables, struct error *err)
{
	struct glob_builder builder = {0};
	autofree struct pattern *patterns = calloc(rules->name_count + 1, sizeof(*patterns));

	memset(tables, 0, sizeof(*tables));
	tables->live = calloc(rules->anchor_count + 1, sizeof(*tables->live));
	tables->covers = calloc(rules->anchor_count + 1, sizeof(*tables->covers));
	if (!patterns || !tables->live || !tables->covers)
		return error_errno(err, "allocate patterns");
	for (size_t i = 0; i < rules->name_count; i++) {
		/* Globs are compared with earlier ones, so every pattern stays until the end. */
		int r = compile_one(rules, i, tables, &builder, &patterns[i], err);

		if (r)
			return r;
	}
	return 0;
}
