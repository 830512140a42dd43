/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/read.h"

#include <assert.h>
#include <string.h>

static void push(struct reader *r, const char *name)
{
	assert(r->depth < array_size(r->trail));
	r->trail[r->depth++] = name;
}

static void pop(struct reader *r)
{
	r->depth--;
}

/* Take back what a file that this one extends said about a key. What stands in a list stays: the
 * lists of both files hold. */
static void forget_pending(struct profile *p, const char *key)
{
	size_t kept = 0;

	if (strstr(key, "[]"))
		return;

	for (size_t i = 0; i < p->pending.count; i++) {
		if (strcmp(p->pending.items[i].key, key) != 0)
			p->pending.items[kept++] = p->pending.items[i];
	}
	p->pending.count = kept;
}

static void remember_pending(struct reader *r, const char *needs, const struct node *node)
{
	struct pending *item = reader_next(r, &r->profile->pending, node->key_at);
	char *key = reader_copy(r, reader_where(r)), *value;
	autotext struct text words = {0};

	node_words(node, &words);
	value = reader_copy(r, text_string(&words));
	r->no_memory |= words.failed;
	if (!item || !key || !value)
		return;
	*item = (struct pending){.key = key, .needs = needs, .value = value, .at = node->key_at};
	r->profile->pending.count++;
}

static void store_number(const struct key *key, void *base, uint64_t value, struct source at)
{
	struct limit *limit;

	if (!key->stored)
		return;
	limit = (struct limit *)((char *)base + key->offset);
	*limit = (struct limit){.set = true, .value = value, .at = at};
}

/* Fields of words differ in size: bool, enum, a pointer to the word, or a limit that counts from 1.
 */
static void store_word(const struct key *key, void *base, unsigned index, struct source at)
{
	bool flag = index != 0;
	char *field;

	if (!key->stored)
		return;
	field = (char *)base + key->offset;
	if (key->size == sizeof(bool))
		memcpy(field, &flag, sizeof(flag));
	else if (key->size == sizeof(unsigned))
		memcpy(field, &index, sizeof(index));
	else if (key->size == sizeof(const char *))
		memcpy(field, &key->words[index], sizeof(const char *));
	else
		store_number(key, base, index + 1, at);
	if (key->at_offset)
		memcpy((char *)base + key->at_offset, &at, sizeof(at));
}

static void read_word(struct reader *r, const struct key *key, const struct node *node, void *base)
{
	unsigned index;

	if (!value_word(r, node, key, &index))
		return;
	store_word(key, base, index, node->key_at);
	if (!key->word_needs)
		return;
	forget_pending(r->profile, reader_where(r));
	if (key->word_needs[index])
		remember_pending(r, key->word_needs[index], node);
}

static void read_bool(struct reader *r, const struct key *key, const struct node *node, void *base)
{
	bool value;

	if (!value_bool(r, node, &value))
		return;
	if (key->stored && key->size == sizeof(struct limit))
		store_number(key, base, value, node->key_at);
	else
		store_word(key, base, value, node->key_at);
}

static void read_string(
	struct reader *r, const struct key *key, const struct node *node, void *base)
{
	const char *text = value_string(r, node, key->content);

	if (text && key->stored)
		memcpy((char *)base + key->offset, &text, sizeof(text));
}

static void read_string_list(
	struct reader *r, const struct key *key, const struct node *node, void *base)
{
	struct string_rules *rules =
		key->stored ? (struct string_rules *)((char *)base + key->offset) : NULL;

	if (!value_is_list(r, node, key->type))
		return;
	if (rules == &r->profile->syscalls.families)
		r->families_written = true;
	for (const struct node *entry = node->first; entry; entry = entry->next) {
		const char *text = value_string(r, entry, key->content);
		struct string_rule *rule = text && rules ? reader_next(r, rules, entry->at) : NULL;

		if (!rule)
			continue;
		*rule = (struct string_rule){.text = text, .at = entry->at};
		rules->count++;
	}
}

/* Stored as a set: bit N is word N. The lists of files that extend each other add up. */
static void read_word_list(
	struct reader *r, const struct key *key, const struct node *node, void *base)
{
	uint64_t bits = key->stored ? ((struct limit *)((char *)base + key->offset))->value : 0;
	unsigned index = 0;

	if (!value_is_list(r, node, key->type))
		return;
	for (const struct node *entry = node->first; entry; entry = entry->next) {
		if (!value_word(r, entry, key, &index))
			continue;
		bits |= 1ULL << index;
		if (key->word_needs && key->word_needs[index])
			remember_pending(r, key->word_needs[index], entry);
	}
	store_number(key, base, bits, node->key_at);
}

/* Variables to set: the later file wins, so a name that is there already is overwritten. */
static void read_string_map(struct reader *r, const struct key *key, const struct node *node)
{
	struct profile *p = r->profile;

	if (!value_is_mapping(r, node, key->type))
		return;
	for (const struct node *entry = node->first; entry; entry = entry->next) {
		struct node name = {.kind = NODE_SCALAR, .text = entry->key, .at = entry->key_at};
		const char *good = value_string(r, &name, key->content);
		const char *value = value_string(r, entry, CONTENT_VALUE);
		size_t i = 0;

		if (!good || !value)
			continue;
		while (i < p->env.set_count && strcmp(p->env.set[i].name, good) != 0)
			i++;
		if (i == p->env.set_count) {
			void *grown = reader_grow(r, p->env.set, i, sizeof(*p->env.set), entry->at);

			if (!grown)
				return;
			p->env.set = grown;
			p->env.set_count++;
		}
		p->env.set[i] = (struct env_set){.name = good, .value = value, .at = entry->key_at};
	}
}

static void read_object(
	struct reader *r, const struct key *key, const struct node *node, void *base)
{
	if (!value_is_mapping(r, node, key->type))
		return;
	/* A mapping that has a place of its own is what the offsets of its keys are in. */
	read_section(r, key->of, node, key->stored ? (char *)base + key->offset : base);
}

/* Lists and maps of mappings. Only triggers, sinks and gates are stored; the others belong to
 * sections that are checked only. */
static void read_objects(struct reader *r, const struct key *key, const struct node *node,
	void *base, unsigned levels)
{
	bool list = key->type == VALUE_OBJECT_LIST;

	if (!(list ? value_is_list(r, node, key->type) : value_is_mapping(r, node, key->type)))
		return;
	for (const struct node *entry = node->first; entry; entry = entry->next) {
		struct node name = {.kind = NODE_SCALAR, .text = entry->key, .at = entry->key_at};

		if (!list && !value_string(r, &name, key->content))
			continue;
		push(r, list ? "[]" : entry->key);
		if (levels > 1)
			read_objects(r, key, entry, base, levels - 1);
		else if (list && node_is_null(entry))
			diagnostics_report(r->d, CODE_EMPTY, entry->at, "an empty entry in `%s`",
				reader_where(r));
		else if (value_is_mapping(r, entry, VALUE_OBJECT) && key->of == SECTION_TRIGGER)
			read_trigger(r, entry, (void *)((char *)base + key->offset));
		else if (entry->kind == NODE_MAPPING && key->of == SECTION_SINK)
			read_sink(r, entry, (void *)((char *)base + key->offset));
		else if (entry->kind == NODE_MAPPING && key->of == SECTION_GATE)
			read_gate(r, entry, (void *)((char *)base + key->offset));
		else if (entry->kind == NODE_MAPPING || node_is_null(entry))
			read_section(r, key->of, entry, NULL);
		pop(r);
	}
}

static void read_command(
	struct reader *r, const struct key *key, const struct node *node, void *base)
{
	struct command_words words = {.at = node->key_at};

	if (!value_is_list(r, node, key->type))
		return;
	if (node->count == 0)
		diagnostics_report(
			r->d, CODE_EMPTY, node->at, "`%s` is an empty list", reader_where(r));
	words.items = reader_alloc(r, (node->count + 1) * sizeof(*words.items));
	for (const struct node *entry = node->first; entry; entry = entry->next) {
		const char *text = value_string(r, entry, key->content);

		if (text && words.items)
			words.items[words.count++] = text;
	}
	if (key->stored && words.items)
		memcpy((char *)base + key->offset, &words, sizeof(words));
}

static void read_ports(struct reader *r, const struct key *key, const struct node *node)
{
	uint16_t range[2];

	if (!value_is_list(r, node, key->type))
		return;
	if (node->count == 0)
		diagnostics_report(r->d, CODE_PORTS, node->at,
			"an empty list of ports; leave `ports` out for every port");
	for (const struct node *entry = node->first; entry; entry = entry->next)
		(void)value_port(r, entry, range);
}

static void read_rules(struct reader *r, const struct key *key, const struct node *node, void *base)
{
	void *field = (char *)base + key->offset;

	if (!value_is_list(r, node, key->type))
		return;
	if (key->type == VALUE_PATH_RULES)
		read_path_rules(r, key, node, field);
	else if (key->type == VALUE_NETWORK_RULES)
		read_network_rules(r, key, node, field);
	else
		read_exec_rules(r, key, node, field);
}

static void read_value(struct reader *r, const struct key *key, const struct node *node, void *base)
{
	uint64_t number;

	switch (key->type) {
	case VALUE_VERSION:
	case VALUE_COUNT:
	case VALUE_CPU:
	case VALUE_SIZE:
	case VALUE_DURATION:
	case VALUE_PERCENT:
		if (value_number(r, node, key, &number))
			store_number(key, base, number, node->key_at);
		return;
	case VALUE_STRING:
		read_string(r, key, node, base);
		return;
	case VALUE_BOOL:
		read_bool(r, key, node, base);
		return;
	case VALUE_WORD:
		read_word(r, key, node, base);
		return;
	case VALUE_WORD_OR_OBJECT:
		if (node->kind == NODE_MAPPING)
			read_section(r, key->of, node, NULL);
		else
			read_word(r, key, node, base);
		return;
	case VALUE_STRING_LIST:
		read_string_list(r, key, node, base);
		return;
	case VALUE_WORD_LIST:
		read_word_list(r, key, node, base);
		return;
	case VALUE_COMMAND:
		read_command(r, key, node, base);
		return;
	case VALUE_PORT_LIST:
		read_ports(r, key, node);
		return;
	case VALUE_STRING_MAP:
		read_string_map(r, key, node);
		return;
	case VALUE_REMOVE_MAP:
		return;
	case VALUE_OBJECT:
		read_object(r, key, node, base);
		return;
	case VALUE_OBJECT_LIST:
		if (key->flags & KEY_TEST_NOT_RUN)
			read_tests(r, node);
		else
			read_objects(r, key, node, base, 1);
		return;
	case VALUE_OBJECT_MAP:
		read_objects(r, key, node, base, 1);
		return;
	case VALUE_OBJECT_MAP_MAP:
		read_objects(r, key, node, base, 2);
		return;
	case VALUE_PATH_RULES:
	case VALUE_EXEC_RULES:
	case VALUE_NETWORK_RULES:
		read_rules(r, key, node, base);
		return;
	case VALUE_TYPE_COUNT:
		return;
	}
}

/* What this build cannot enforce is remembered: each key of a pending section, or the key itself.
 * Lists that are stored are looked at when everything is merged, since entries may be removed. */
static void note_pending(struct reader *r, const struct key *key, const struct node *node)
{
	if (key->flags & KEY_PENDING_OBJECT) {
		forget_pending(r->profile, reader_where(r));
		if (node->kind == NODE_MAPPING)
			remember_pending(r, key->needs, node);
		return;
	}
	if (!(key->flags & KEY_PENDING) || key->stored || node_is_null(node) ||
		(node->kind != NODE_SCALAR && node->count == 0))
		return;
	if (node->kind != NODE_MAPPING) {
		forget_pending(r->profile, reader_where(r));
		remember_pending(r, key->needs, node);
		return;
	}
	for (const struct node *entry = node->first; entry; entry = entry->next) {
		push(r, entry->key);
		forget_pending(r->profile, reader_where(r));
		remember_pending(r, key->needs, entry);
		pop(r);
	}
}

/* The suggestion is a key of this section and not of another one: the section's keys say so. */
static void put_keys(struct reader *r, enum section_id section, struct text *out)
{
	if (section == SECTION_TOP)
		return;
	text_printf(out, " (keys of `%s`: ", reader_where(r));
	for (const struct key *key = sections[section].keys; key->name; key++)
		text_printf(out, "%s%s", key == sections[section].keys ? "" : ", ", key->name);
	text_puts(out, ")");
}

static void report_unknown_key(struct reader *r, enum section_id section, const struct node *entry)
{
	const char *nearest = key_nearest(section, entry->key);
	autotext struct text keys = {0};

	put_keys(r, section, &keys);
	push(r, entry->key);
	diagnostics_report(r->d, CODE_UNKNOWN_KEY, entry->key_at, "unknown key `%s`%s%s%s%s",
		reader_where(r), nearest ? "; did you mean `" : "", nearest ? nearest : "",
		nearest ? "`?" : "", text_string(&keys));
	pop(r);
}

void read_section(struct reader *r, enum section_id section, const struct node *mapping, void *base)
{
	for (const struct node *entry = mapping->first; entry; entry = entry->next) {
		const struct key *key = key_find(section, entry->key);

		/* A key that would be stored where there is no place for it is as good as unknown.
		 */
		if (!key || (key->stored && !base)) {
			report_unknown_key(r, section, entry);
			continue;
		}
		push(r, key->name);
		if (key->flags & KEY_OPERATOR)
			diagnostics_report(r->d, CODE_OPERATOR, entry->key_at,
				"`%s` is not for a profile: %s", reader_where(r), key->needs);
		else
			read_value(r, key, entry, base);
		note_pending(r, key, entry);
		pop(r);
	}
	for (const struct key *key = sections[section].keys; key->name; key++) {
		if (!(key->flags & KEY_REQUIRED) || node_get(mapping, key->name))
			continue;
		push(r, key->name);
		diagnostics_report(r->d, CODE_MISSING_KEY, mapping->at,
			"`%s` is missing; write `%s: %s`", reader_where(r), key->name,
			key->example);
		pop(r);
	}
}

void read_file(struct reader *r, const struct node *root)
{
	/* Names, descriptions and tests belong to a file and are not inherited. */
	r->profile->name = NULL;
	r->profile->description = NULL;
	r->profile->tests.count = 0;
	r->depth = 0;
	read_section(r, SECTION_TOP, root, r->profile);
}
