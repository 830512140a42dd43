/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "govern/pace.h"

/* Who may declare a phase: statements that somebody signed (Ed25519, libsodium) and people whom the
 * operator lists by their uid. Nothing here opens a file or looks at a clock. */

#define AUTHORITY_KEYS_MAX PACE_KEYS_MAX
#define AUTHORITY_PEOPLE_MAX 64
#define AUTHORITY_SOURCES_MAX 32
#define AUTHORITY_KEY_BYTES PACE_KEY_BYTES
#define AUTHORITY_SIGNATURE_BYTES 64
#define AUTHORITY_REASON_MAX 512

/* The roles that a key or a person may have, as a set of 1 << enum pace_authority. */
#define AUTHORITY_ROLES                                                                            \
	(1U << PACE_BY_OBSERVER | 1U << PACE_BY_OPERATOR | 1U << PACE_BY_SECURITY |                \
		1U << PACE_BY_COMMANDER | 1U << PACE_BY_RISK_OWNER | 1U << PACE_BY_KILL_KEY)

struct authority_key {
	char name[PACE_NAME_MAX + 1];
	uint8_t key[AUTHORITY_KEY_BYTES];
	unsigned roles;
};

struct authority_person {
	char name[PACE_NAME_MAX + 1];
	uint32_t uid;
	unsigned roles; /* the observer is none: it is known by its key, or as a source */
};

/* A program outside of berm that may raise signals. */
struct authority_source {
	char name[PACE_NAME_MAX + 1];
	uint32_t uid;
	bool observer;
	unsigned triggers; /* set of 1 << enum pace_trigger: suspicions and evidence only */
};

/* All who may do something. Zero is nobody. */
struct authority {
	struct authority_key keys[AUTHORITY_KEYS_MAX];
	size_t key_count;
	struct authority_person people[AUTHORITY_PEOPLE_MAX];
	size_t person_count;
	struct authority_source sources[AUTHORITY_SOURCES_MAX];
	size_t source_count;
};

/* What is signed: one change of one group on one host, while it is as it was when that was decided.
 */
struct authority_statement {
	char group[PACE_NAME_MAX + 1];
	uint8_t id[PACE_ID_BYTES]; /* the group's */
	uint64_t changes;          /* of its phase until then */
	unsigned from, to; /* enum phase; the same where a decision is answered or explained */
	unsigned trigger;  /* enum pace_trigger */
	unsigned role;     /* enum pace_authority that it is signed as */
	unsigned review;   /* set of enum pace_review */
	char agent[AGENT_ID_BYTES + 1];     /* concerned, or "" */
	uint8_t subject[PACE_DIGEST_BYTES]; /* of an answer: pace_subject(); else 0 */
	uint8_t nonce[PACE_NONCE_BYTES];
	uint64_t signed_ms;                    /* wall clock, since 1970 */
	char reason[AUTHORITY_REASON_MAX + 1]; /* UTF-8 in one line */
};

struct authority_signed {
	struct authority_statement statement;
	uint8_t key[AUTHORITY_KEY_BYTES];
	uint8_t signature[AUTHORITY_SIGNATURE_BYTES];
};

/* The bytes that are signed: a name that nothing else has, and every field with its length before
 * it, so that no two statements have the same ones. Returns their number. */
#define AUTHORITY_STATEMENT_BYTES_MAX 1024
size_t authority_encode(const struct authority_statement *statement,
	uint8_t ret_bytes[AUTHORITY_STATEMENT_BYTES_MAX]);
/* True where every field is one that a statement can have. */
bool authority_statement_is_good(const struct authority_statement *statement);

enum authority_refusal {
	AUTHORITY_FINE = 0,
	AUTHORITY_MALFORMED,
	AUTHORITY_UNKNOWN_KEY,
	AUTHORITY_NO_ROLE, /* the key is listed, without this role */
	AUTHORITY_FORGED,  /* the signature is not of this key and these words */
	AUTHORITY_TOO_OLD,
	AUTHORITY_TOO_NEW,
	AUTHORITY_USED,           /* the nonce was there before, or may have been */
	AUTHORITY_OTHER_GROUP,    /* by its name or its id */
	AUTHORITY_OTHER_PHASE,    /* `from` is not where the group is, or it was elsewhere since */
	AUTHORITY_OTHER_QUESTION, /* what it answers is not what is asked */
	AUTHORITY_TOO_MANY,       /* the key has signed as much as one may for now */
	AUTHORITY_REFUSAL_COUNT
};

/* Whether a signed statement holds for this group, now (wall clock). ret_key: who signed. The nonce
 * is to be used (pace_nonce_use()) by whoever acts on it, also where that is refused. */
enum authority_refusal authority_verify(const struct authority *authority,
	const struct authority_signed *s, const struct pace_group *group, uint64_t wall_ms,
	const struct authority_key **ret_key);
/* Half a sentence about a refusal, and what to do. Static. */
const char *authority_refusal_words(enum authority_refusal refusal);

/* The person with that uid, or NULL. */
const struct authority_person *authority_person(const struct authority *authority, uint32_t uid);
/* The source of that name which this uid may speak for, or NULL. */
const struct authority_source *authority_source(
	const struct authority *authority, const char *name, uint32_t uid);

/* What a signature is to be about, as one word without blanks: GROUP:PHASE:CHANGES:ID, and for an
 * answer :SUBJECT. Whoever signs on another host takes it from "berm pace show". */
#define AUTHORITY_ABOUT_MAX 256
/* trigger: DISMISSED (with the phase that was asked for in `to`) or EXPLAINED: an answer; any
 * other: not. False where there is nothing to answer. */
bool authority_about(const struct pace_group *group, unsigned trigger, unsigned to,
	char ret_word[AUTHORITY_ABOUT_MAX]);
/* The word again into the fields of a statement that it holds; ret_is_answer: it has a SUBJECT. */
int authority_about_read(const char *word, struct authority_statement *statement,
	bool *ret_is_answer, struct error *err) must_check;

/* A signed statement as text for a file, in its one form, and back. Reading is strict: the lines in
 * their order, nothing else, and every value as it would be written. */
#define AUTHORITY_TEXT_MAX 2048
int authority_write(const struct authority_signed *s, char ret_text[AUTHORITY_TEXT_MAX]) must_check;
int authority_read(const char *text, size_t length, struct authority_signed *ret_signed,
	struct error *err) must_check;
