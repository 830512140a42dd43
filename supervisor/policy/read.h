/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/document.h"
#include "policy/keys.h"
#include "policy/load.h"

/* From nodes to struct profile, driven by the key table. Problems are reported and reading goes on,
 * so that an author sees them all at once; memory that runs out is remembered in no_memory. */

#define READ_ENTRIES_MAX 4096 /* of one list, after extends */

struct reader {
	struct arena *arena;   /* of the profile; borrowed */
	struct diagnostics *d; /* borrowed */
	const struct profile_request *request;
	struct profile *profile; /* what is being filled; each file is read onto what it extends */
	const char *trail[DOCUMENT_DEPTH_MAX + 2]; /* keys that lead to the value being read */
	unsigned depth;
	bool families_written;
	bool no_memory;
	char where[256]; /* behind reader_where() */
};

/* The full key of the value being read, "limits.pids". Borrowed until the next call. */
const char *reader_where(struct reader *r);
/* Memory from the arena; NULL and no_memory when it ran out. */
void *reader_alloc(struct reader *r, size_t size);
char *reader_copy(struct reader *r, const char *text);
/* The next free item of a list {items, count}; NULL (reported at `at`) when the list is full. The
 * count is raised by the caller once the item is good. */
void *reader_grow(struct reader *r, void *items, size_t count, size_t size, struct source at);
#define reader_next(r, list, at)                                                                   \
	({                                                                                         \
		__typeof__((list)->items) grown_ =                                                 \
			reader_grow(r, (list)->items, (list)->count, sizeof(*(list)->items), at);  \
		if (grown_)                                                                        \
			(list)->items = grown_;                                                    \
		grown_ ? &grown_[(list)->count] : NULL;                                            \
	})

/* Read a whole file onto r->profile: the keys of SECTION_TOP but extends and remove. */
void read_file(struct reader *r, const struct node *root);
/* Read a mapping with the keys of a section; base is what their offsets are in. */
void read_section(
	struct reader *r, enum section_id section, const struct node *mapping, void *base);
/* Read the lists that hold rules, onto the list in base that the key's offset names. */
void read_path_rules(
	struct reader *r, const struct key *key, const struct node *list, struct path_rules *rules);
void read_network_rules(struct reader *r, const struct key *key, const struct node *list,
	struct network_rules *rules);
void read_exec_rules(
	struct reader *r, const struct key *key, const struct node *list, struct exec_rules *rules);
/* One entry of pace.….when, onto its list. */
void read_trigger(struct reader *r, const struct node *entry, struct triggers *triggers);
/* One entry of recorder.sinks, onto its list. */
void read_sink(struct reader *r, const struct node *entry, struct sink_rules *sinks);
/* One entry of gates, onto its list. */
void read_gate(struct reader *r, const struct node *entry, struct judge_rules *gates);
void read_tests(struct reader *r, const struct node *list);
/* Split "OPERATION OBJECT", which is test->operation so far; false where it is no such line, which
 * is reported at the node. */
bool read_test_line(struct reader *r, const struct node *node, struct test_rule *test);

/* One value of a type; each reports what is wrong and then returns NULL or false. */
const char *value_string(struct reader *r, const struct node *node, enum content content);
/* VALUE_COUNT, _CPU, _SIZE, _DURATION, _PERCENT and _VERSION, in the unit of the type, within the
 * row's bounds. */
bool value_number(
	struct reader *r, const struct node *node, const struct key *key, uint64_t *ret_value);
bool value_bool(struct reader *r, const struct node *node, bool *ret_value);
/* The index of the word in key->words. */
bool value_word(
	struct reader *r, const struct node *node, const struct key *key, unsigned *ret_index);
/* One port or range. */
bool value_port(struct reader *r, const struct node *node, uint16_t ret_range[2]);
/* True where the node is a list; null counts as an empty one. Otherwise reported. */
bool value_is_list(struct reader *r, const struct node *node, enum value_type type);
bool value_is_mapping(struct reader *r, const struct node *node, enum value_type type);

/* The host names, ranges and listen addresses of network rules, in their canonical form in the
 * arena. */
const char *value_host(struct reader *r, const struct node *node);
const char *value_cidr(struct reader *r, const struct node *node);
const char *value_listen(struct reader *r, const struct node *node);
/* A path with its variables replaced, absolute and normal; or any text with them replaced. */
const char *value_path(struct reader *r, const struct node *node, bool glob);
const char *value_expanded(struct reader *r, const struct node *node);

/* Take the entries that `remove` names out of the lists of r->profile. */
void read_remove(struct reader *r, const struct node *mapping);
