/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/authority-file.h"

#include "base/number.h"
#include "govern/pace-table.h"
#include "govern/pace-words.h"
#include "policy/document.h"
#include "policy/trust.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

struct reading {
	struct diagnostics d;
	struct authority *authority;
};

/* One key of a mapping: what reads it into an entry. */
struct field {
	const char *key;
	bool required;
	void (*read)(struct reading *r, const struct node *node, void *entry);
};

static bool is_word(struct reading *r, const struct node *node)
{
	if (node->kind == NODE_SCALAR && !node_is_null(node))
		return true;
	diagnostics_report(&r->d, CODE_WRONG_TYPE, node->at, "%s: must be one word",
		node->key ? node->key : "an entry");
	return false;
}

static void read_fields(struct reading *r, const struct node *mapping, const struct field *fields,
	size_t count, void *entry)
{
	const char *names[8];

	if (mapping->kind != NODE_MAPPING) {
		diagnostics_report(&r->d, CODE_WRONG_TYPE, mapping->at, "must be a mapping");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		names[i] = fields[i].key;
		if (fields[i].required && !node_get(mapping, fields[i].key))
			diagnostics_report(&r->d, CODE_MISSING_KEY, mapping->at, "`%s` is missing",
				fields[i].key);
	}
	for (const struct node *n = mapping->first; n; n = n->next) {
		const struct field *found = NULL;
		const char *near;

		for (size_t i = 0; i < count && !found; i++)
			found = strcmp(fields[i].key, n->key) == 0 ? &fields[i] : NULL;
		if (found) {
			found->read(r, n, entry);
			continue;
		}
		near = text_nearest(n->key, names, count);
		diagnostics_report(&r->d, CODE_UNKNOWN_KEY, n->key_at, "unknown key `%s`%s%s%s",
			n->key, near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
	}
}

/* The name is the first field of every entry. */
static void read_name(struct reading *r, const struct node *node, void *entry)
{
	if (!is_word(r, node))
		return;
	if (!agent_name_is_good(node->text))
		diagnostics_report(&r->d, CODE_NAME, node->at,
			"`%s` is no name: up to %d of a-z 0-9 _ -", node->text, PACE_NAME_MAX);
	else
		snprintf(entry, PACE_NAME_MAX + 1, "%s", node->text);
}

static uint32_t read_uid(struct reading *r, const struct node *node)
{
	uint64_t uid = 0;

	if (is_word(r, node) &&
		(!node->plain || !number_parse_u64(node->text, &uid) || uid >= UINT32_MAX))
		diagnostics_report(
			&r->d, CODE_NUMBER, node->at, "uid: must be the number of a user");
	return (uint32_t)uid;
}

static void read_person_uid(struct reading *r, const struct node *node, void *entry)
{
	((struct authority_person *)entry)->uid = read_uid(r, node);
}

static void read_source_uid(struct reading *r, const struct node *node, void *entry)
{
	((struct authority_source *)entry)->uid = read_uid(r, node);
}

/* A list of words as a set of bits, each at most once and of those that are allowed. */
static unsigned read_set(struct reading *r, const struct node *node, unsigned allowed,
	bool (*parse)(const char *word, unsigned *ret_value))
{
	unsigned set = 0, value;

	if (node->kind != NODE_LIST || node->count == 0) {
		diagnostics_report(&r->d, CODE_WRONG_TYPE, node->at,
			"%s: must be a list with at least one entry", node->key);
		return 0;
	}
	for (const struct node *n = node->first; n; n = n->next) {
		if (!is_word(r, n))
			continue;
		if (!parse(n->text, &value) || !(allowed & 1U << value))
			diagnostics_report(&r->d, CODE_UNKNOWN_WORD, n->at,
				"`%s` cannot be one of `%s` here", n->text, node->key);
		else if (set & 1U << value)
			diagnostics_report(
				&r->d, CODE_DUPLICATE_KEY, n->at, "`%s` is there twice", n->text);
		else
			set |= 1U << value;
	}
	return set;
}

static void read_key_roles(struct reading *r, const struct node *node, void *entry)
{
	((struct authority_key *)entry)->roles =
		read_set(r, node, AUTHORITY_ROLES, pace_authority_parse);
}

static void read_person_roles(struct reading *r, const struct node *node, void *entry)
{
	((struct authority_person *)entry)->roles = read_set(
		r, node, AUTHORITY_ROLES & ~(1U << PACE_BY_OBSERVER), pace_authority_parse);
}

static void read_triggers(struct reading *r, const struct node *node, void *entry)
{
	((struct authority_source *)entry)->triggers =
		read_set(r, node, PACE_SUSPICIONS | PACE_EVIDENCE, pace_trigger_parse);
}

static void read_observer(struct reading *r, const struct node *node, void *entry)
{
	bool yes = node->kind == NODE_SCALAR && node->plain && strcmp(node->text, "true") == 0;

	if (!yes && !(node->kind == NODE_SCALAR && node->plain && strcmp(node->text, "false") == 0))
		diagnostics_report(&r->d, CODE_BOOL, node->at, "observer: must be true or false");
	((struct authority_source *)entry)->observer = yes;
}

static void read_key(struct reading *r, const struct node *node, void *entry)
{
	struct authority_key *key = entry;
	size_t length = 0;

	if (!is_word(r, node))
		return;
	if (sodium_hex2bin(key->key, sizeof(key->key), node->text, strlen(node->text), NULL,
		    &length, NULL) != 0 ||
		length != sizeof(key->key))
		diagnostics_report(&r->d, CODE_WRONG_TYPE, node->at,
			"key: must be the 64 hexadecimal digits of a public key (berm pace key)");
}

static const struct field key_fields[] = {
	{"name", true, read_name},
	{"key", true, read_key},
	{"roles", true, read_key_roles},
};
static const struct field person_fields[] = {
	{"name", true, read_name},
	{"uid", true, read_person_uid},
	{"roles", true, read_person_roles},
};
static const struct field source_fields[] = {
	{"name", true, read_name},
	{"uid", true, read_source_uid},
	{"triggers", true, read_triggers},
	{"observer", false, read_observer},
};

/* Entries of one kind: where they go, and what makes two of them the same. */
struct list {
	const struct field *fields;
	size_t field_count;
	void *entries;
	size_t *count;
	size_t max, size;
	size_t id_offset, id_size; /* besides the name */
	const char *id_word;
};

static void check_twins(struct reading *r, const struct list *list, const struct node *node)
{
	const char *all = list->entries, *last = all + (*list->count - 1) * list->size;

	for (const char *other = all; other < last; other += list->size) {
		if (strcmp(other, last) == 0)
			diagnostics_report(
				&r->d, CODE_DUPLICATE_KEY, node->at, "`%s` is there twice", last);
		else if (memcmp(other + list->id_offset, last + list->id_offset, list->id_size) ==
			 0)
			diagnostics_report(&r->d, CODE_DUPLICATE_KEY, node->at,
				"`%s` has the %s of `%s`: two names are not two who say the same",
				last, list->id_word, other);
	}
}

static void read_list(struct reading *r, const struct node *node, const struct list *list)
{
	if (node->kind != NODE_LIST) {
		diagnostics_report(
			&r->d, CODE_WRONG_TYPE, node->at, "%s: must be a list", node->key);
		return;
	}
	for (const struct node *n = node->first; n; n = n->next) {
		if (*list->count == list->max) {
			diagnostics_report(&r->d, CODE_TOO_BIG, n->at, "%s: more than %zu entries",
				node->key, list->max);
			return;
		}
		read_fields(r, n, list->fields, list->field_count,
			(char *)list->entries + *list->count * list->size);
		(*list->count)++;
		check_twins(r, list, n);
	}
}

static void read_version(struct reading *r, const struct node *node, void *entry)
{
	(void)entry;
	if (node->kind != NODE_SCALAR || !node->plain || strcmp(node->text, "1") != 0)
		diagnostics_report(&r->d, CODE_VERSION, node->at, "version must be 1");
}

static void read_keys(struct reading *r, const struct node *node, void *entry)
{
	struct authority *a = entry;

	read_list(r, node,
		&(struct list){key_fields, array_size(key_fields), a->keys, &a->key_count,
			AUTHORITY_KEYS_MAX, sizeof(a->keys[0]), offsetof(struct authority_key, key),
			AUTHORITY_KEY_BYTES, "key"});
}

static void read_people(struct reading *r, const struct node *node, void *entry)
{
	struct authority *a = entry;

	read_list(r, node,
		&(struct list){person_fields, array_size(person_fields), a->people,
			&a->person_count, AUTHORITY_PEOPLE_MAX, sizeof(a->people[0]),
			offsetof(struct authority_person, uid), sizeof(uint32_t), "uid"});
}

static void read_sources(struct reading *r, const struct node *node, void *entry)
{
	struct authority *a = entry;

	read_list(r, node,
		&(struct list){source_fields, array_size(source_fields), a->sources,
			&a->source_count, AUTHORITY_SOURCES_MAX, sizeof(a->sources[0]),
			offsetof(struct authority_source, uid), sizeof(uint32_t), "uid"});
}

static const struct field root_fields[] = {
	{"version", true, read_version},
	{"keys", false, read_keys},
	{"people", false, read_people},
	{"sources", false, read_sources},
};

/* What one program says by its key and as a source must not be two who say the same. */
static void check_voices(struct reading *r, const struct node *root, const struct authority *a)
{
	for (size_t i = 0; i < a->source_count; i++)
		for (size_t k = 0; k < a->key_count; k++)
			if (strcmp(a->sources[i].name, a->keys[k].name) == 0)
				diagnostics_report(&r->d, CODE_DUPLICATE_KEY, root->at,
					"`%s` is a source and a key: they would be two who say the "
					"same",
					a->keys[k].name);
}

int authority_file_read(const char *path, uid_t owner, struct authority *ret_authority,
	struct text *diagnostics, struct error *err)
{
	autoarena struct arena arena = {0};
	autofree struct authority *authority = calloc(1, sizeof(*authority));
	struct reading reading = {.d = {.out = diagnostics}, .authority = authority};
	struct source_file *file = NULL;
	struct node *root = NULL;
	bool linked;
	int r;

	if (!authority)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for %s", path);
	r = trust_read(&arena, path, owner, &file, &linked, err);
	if (r < 0)
		return r;
	reading.d.files = file;
	r = document_parse(&arena, &reading.d, file, &root);
	if (r == -ENOMEM)
		return error_set(err, r, ERROR_INTERNAL, "no memory for %s", path);
	if (r == 0 && root)
		read_fields(&reading, root, root_fields, array_size(root_fields), authority);
	if (r == 0 && root)
		check_voices(&reading, root, authority);
	if (r == 0 && root && reading.d.errors == 0) {
		*ret_authority = *authority;
		return 0;
	}
	return error_set(err, -EINVAL, ERROR_INPUT,
		"%s: %u error%s, so that nobody has any authority", path, reading.d.errors,
		reading.d.errors == 1 ? "" : "s");
}
