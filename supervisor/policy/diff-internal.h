/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "policy/arena.h"
#include "policy/decide.h"
#include "policy/diff.h"

/* Between the files of the comparison only. */

enum entry_kind { ENTRY_PATH, ENTRY_NETWORK, ENTRY_EXEC, ENTRY_STRING, ENTRY_SET, ENTRY_KINDS };

enum list_id {
	LIST_READ,
	LIST_WRITE,
	LIST_FS_ASK,
	LIST_FS_DENY,
	LIST_PROTECT,
	LIST_CANARIES,
	LIST_NET_ALLOW,
	LIST_NET_ASK,
	LIST_NET_DENY,
	LIST_LISTEN,
	LIST_UNIX,
	LIST_EXEC_ALLOW,
	LIST_EXEC_ASK,
	LIST_EXEC_DENY,
	LIST_CALLS,
	LIST_CALLS_DENY,
	LIST_CALLS_GROUPS,
	LIST_FAMILIES,
	LIST_PASS,
	LIST_SET,
	LIST_HIDE,
	LIST_COUNT
};

/* A list of struct profile. */
struct diff_list {
	const char *key;
	enum entry_kind kind;
	bool takes_away; /* more entries allow less */
	size_t offset;   /* of {items, count} in struct profile */
};
extern const struct diff_list diff_lists[LIST_COUNT];

/* An entry that only one of the two profiles has. */
struct change {
	enum list_id list;
	const void *entry; /* of the kind of the list; in its profile */
	bool added;        /* the second profile has it */
	const char *words; /* for people */
	struct source at;
	/* What it turned out to do. The examples are of the first probe that showed it, or NULL. */
	bool wider, narrower;
	const char *wider_example, *narrower_example;
};

/* One profile, prepared for being asked about whole regions of paths at once. */
struct side {
	const struct profile *profile;
	/* The same without globs, and without what berm adds to protect the profile's own files. */
	struct profile literal;
};

struct differ {
	struct side was, now;
	struct arena *arena; /* of the result */
	struct diff *out;
	struct change *changes;
	size_t change_count;
	/* Operations of which something became wider and no change of a list accounts for it. */
	const char *loose[OPERATION_COUNT];
	bool no_memory;
};

/* Something that both profiles were asked about. */
struct probe {
	enum operation operation; /* OPERATION_COUNT: listening */
	const char *object;
	enum decision was, now;
};

/* What the list of that id holds in a profile. */
size_t diff_list_count(const struct profile *profile, enum list_id list);
const void *diff_list_entry(const struct profile *profile, enum list_id list, size_t i);

/* Find the entries that only one side has: d->changes. Lines are added for entries of both sides
 * that differ in whether they are optional. */
void diff_find_changes(struct differ *d);
/* Book what a probe shows on the changes that speak about its object. */
void diff_book(struct differ *d, const struct probe *probe);
/* Mark a change; example may be NULL, the first one stays. */
void diff_mark(struct change *change, bool wider, const char *example);
/* A copy of printed words in the arena; "" and no_memory when memory ran out. */
const char *diff_words(struct differ *d, const char *format, ...) printf_like(2, 3);
void diff_add_line(struct differ *d, const struct diff_line *line);

/* Ask about all that the lists can tell apart. */
void diff_probe_paths(struct differ *d);
void diff_probe_commands(struct differ *d);
void diff_probe_network(struct differ *d);
void diff_probe_listen(struct differ *d);
void diff_probe_names(struct differ *d); /* system calls, variables */
/* Changes that probes cannot settle: globs, patterns, commands with blanks, families. */
void diff_judge_patterns(struct differ *d);

/* Lines about single values, pace and pending keys. */
bool diff_knows_value(const char *key); /* "limits.memory" is one that diff_scalars() compares */
void diff_scalars(struct differ *d);
void diff_pace(struct differ *d);
void diff_recorder(struct differ *d);
void diff_approvals(struct differ *d);
void diff_pending(struct differ *d);
void diff_workspace(struct differ *d);

/* True where every path that the narrow pattern matches is matched by the wide one, or lies beneath
 * one that is. Both may be literal. False where that is not certain. */
bool glob_covers(const char *wide, const char *narrow);
/* The same for one word without "/": every name that narrow matches. */
bool word_covers(const char *wide, const char *narrow);
/* False where certainly no path that the pattern covers is beneath the path, or around it. */
bool glob_meets(const char *pattern, const char *path);
