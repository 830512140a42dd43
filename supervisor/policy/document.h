/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/arena.h"
#include "policy/diagnostics.h"

/* A profile file as a tree of nodes, every one knowing its place. The strict part of YAML: one
 * document, plain mappings, lists and scalars; no anchors, aliases, tags or directives. */

#define DOCUMENT_BYTES_MAX (256 * 1024)
#define DOCUMENT_SCALAR_BYTES_MAX (64 * 1024)
#define DOCUMENT_NODES_MAX 20000
#define DOCUMENT_DEPTH_MAX 16
#define DOCUMENT_KEYS_MAX 512 /* of one mapping */

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAPPING };

struct node {
	enum node_kind kind;
	bool plain;                /* a scalar without quotes: may be a number, a bool or null */
	const char *text;          /* of a scalar: valid UTF-8, no NUL, no controls but \n and \t */
	struct source at;          /* of the value */
	const char *key;           /* where the parent is a mapping; else NULL */
	struct source key_at;      /* place of the key */
	struct node *first, *last; /* entries, in order */
	struct node *next;         /* in the parent */
	size_t count;              /* entries */
};

/* Parse a file. Problems are reported to d; libyaml stops at the first one of syntax.
 * ret_root is NULL for a file without any content. Returns 0, -EINVAL (reported) or -ENOMEM. */
int document_parse(struct arena *arena, struct diagnostics *d, const struct source_file *file,
	struct node **ret_root) must_check;

/* From now on, in this process and its children, document_parse() is done by that function, which
 * keeps its contract; NULL: as at first. For a process that has rights and lets one that has none
 * look at what people wrote. */
typedef int document_parser(struct arena *arena, struct diagnostics *d,
	const struct source_file *file, struct node **ret_root);
void document_parse_by(document_parser *parser);

/* The entry of a mapping with that key, or NULL. */
const struct node *node_get(const struct node *mapping, const char *key);
/* Append what the node holds on one line, so that two nodes have the same words only where they say
 * the same: [a, "b c"], {key: value}. */
void node_words(const struct node *node, struct text *out);
/* True for null, ~ and nothing at all, without quotes. */
bool node_is_null(const struct node *node);
