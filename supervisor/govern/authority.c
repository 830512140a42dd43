/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/authority.h"

#include "base/text.h"

#include <sodium.h>
#include <string.h>

#define DOMAIN "berm pace statement v2"

struct writer {
	uint8_t *bytes;
	size_t length;
};

static void put(struct writer *w, const void *data, size_t length)
{
	for (unsigned i = 0; i < 4; i++)
		w->bytes[w->length++] = (uint8_t)(length >> (8 * i));
	memcpy(w->bytes + w->length, data, length);
	w->length += length;
}

static void put_number(struct writer *w, uint64_t value)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	put(w, bytes, sizeof(bytes));
}

size_t authority_encode(const struct authority_statement *statement,
	uint8_t ret_bytes[AUTHORITY_STATEMENT_BYTES_MAX])
{
	struct writer w = {.bytes = ret_bytes};

	put(&w, DOMAIN, strlen(DOMAIN));
	put(&w, statement->group, strnlen(statement->group, PACE_NAME_MAX));
	put(&w, statement->id, sizeof(statement->id));
	put_number(&w, statement->changes);
	put_number(&w, statement->from);
	put_number(&w, statement->to);
	put_number(&w, statement->trigger);
	put_number(&w, statement->role);
	put_number(&w, statement->review);
	put(&w, statement->agent, strnlen(statement->agent, AGENT_ID_BYTES));
	put(&w, statement->subject, sizeof(statement->subject));
	put(&w, statement->nonce, sizeof(statement->nonce));
	put_number(&w, statement->signed_ms);
	put(&w, statement->reason, strnlen(statement->reason, AUTHORITY_REASON_MAX));
	return w.length;
}

bool authority_statement_is_good(const struct authority_statement *s)
{
	size_t length = strnlen(s->reason, sizeof(s->reason));

	return agent_name_is_good(s->group) && (!s->agent[0] || agent_id_is_good(s->agent)) &&
	       s->from < PHASE_COUNT && s->to < PHASE_COUNT && s->trigger < PACE_TRIGGER_COUNT &&
	       s->role < PACE_AUTHORITY_COUNT && (AUTHORITY_ROLES & 1U << s->role) &&
	       s->review <= PACE_REVIEW_ALL && length <= AUTHORITY_REASON_MAX &&
	       text_is_one_line(s->reason, length);
}

static const struct authority_key *find_key(
	const struct authority *authority, const uint8_t key[AUTHORITY_KEY_BYTES])
{
	for (size_t i = 0; i < authority->key_count; i++)
		if (memcmp(authority->keys[i].key, key, AUTHORITY_KEY_BYTES) == 0)
			return &authority->keys[i];
	return NULL;
}

static enum authority_refusal check_time(uint64_t signed_ms, uint64_t wall_ms)
{
	if (signed_ms > wall_ms)
		return signed_ms - wall_ms > PACE_SKEW_MS ? AUTHORITY_TOO_NEW : AUTHORITY_FINE;
	return wall_ms - signed_ms > PACE_STATEMENT_MS + PACE_SKEW_MS ? AUTHORITY_TOO_OLD
								      : AUTHORITY_FINE;
}

/* What restricts holds wherever the group has gone on the same way since: an agent that trips its
 * breaker between the signature and its use must not make a kill void. */
static bool is_on_the_way(
	const struct authority_statement *statement, const struct pace_group *group)
{
	return statement->to > statement->from && statement->trigger != PACE_DISMISSED &&
	       statement->trigger != PACE_EXPLAINED && group->phase >= statement->from &&
	       group->phase < statement->to && group->changes >= statement->changes;
}

/* Whether the group is the one that it was signed for, and as it was then. */
static enum authority_refusal check_group(
	const struct authority_statement *statement, const struct pace_group *group)
{
	uint8_t subject[PACE_DIGEST_BYTES];

	if (!is_on_the_way(statement, group) &&
		(statement->from != group->phase || statement->changes != group->changes))
		return AUTHORITY_OTHER_PHASE;
	(void)pace_subject(group, statement->trigger, statement->to, subject);
	return memcmp(subject, statement->subject, sizeof(subject)) == 0 ? AUTHORITY_FINE
									 : AUTHORITY_OTHER_QUESTION;
}

enum authority_refusal authority_verify(const struct authority *authority,
	const struct authority_signed *s, const struct pace_group *group, uint64_t wall_ms,
	const struct authority_key **ret_key)
{
	const struct authority_statement *statement = &s->statement;
	uint8_t bytes[AUTHORITY_STATEMENT_BYTES_MAX];
	const struct authority_key *key;
	enum authority_refusal late, other;
	size_t length;

	if (!authority_statement_is_good(statement))
		return AUTHORITY_MALFORMED;
	key = find_key(authority, s->key);
	if (!key)
		return AUTHORITY_UNKNOWN_KEY;
	length = authority_encode(statement, bytes);
	if (crypto_sign_verify_detached(s->signature, bytes, length, key->key) != 0)
		return AUTHORITY_FORGED;
	if (!(key->roles & 1U << statement->role))
		return AUTHORITY_NO_ROLE;
	if (strcmp(statement->group, group->name) != 0 ||
		memcmp(statement->id, group->id, sizeof(group->id)) != 0)
		return AUTHORITY_OTHER_GROUP;
	late = check_time(statement->signed_ms, wall_ms);
	if (late != AUTHORITY_FINE)
		return late;
	switch (pace_nonce_ask(group, key->key, statement->nonce, statement->signed_ms, wall_ms)) {
	case PACE_NONCE_NEW:
		break;
	case PACE_NONCE_USED:
		return AUTHORITY_USED;
	case PACE_NONCE_FULL:
		return AUTHORITY_TOO_MANY;
	}
	other = check_group(statement, group);
	if (other != AUTHORITY_FINE)
		return other;
	*ret_key = key;
	return AUTHORITY_FINE;
}

const char *authority_refusal_words(enum authority_refusal refusal)
{
	switch (refusal) {
	case AUTHORITY_FINE:
		return "";
	case AUTHORITY_MALFORMED:
		return "it is no statement about a phase. Make one with \"berm pace sign\"";
	case AUTHORITY_UNKNOWN_KEY:
		return "its key is not listed in authority.yaml";
	case AUTHORITY_NO_ROLE:
		return "its key is listed in authority.yaml without the role that it was signed as";
	case AUTHORITY_FORGED:
		return "its signature is not one of this key over these words";
	case AUTHORITY_TOO_OLD:
		return "it was signed more than 10 minutes ago. Sign it again";
	case AUTHORITY_TOO_NEW:
		return "it was signed in the future. Look at the clocks of both hosts";
	case AUTHORITY_USED:
		return "it was used before, or one that was signed after it has been forgotten. "
		       "Sign "
		       "it again";
	case AUTHORITY_OTHER_GROUP:
		return "it is about another group, or one of the same name on another host";
	case AUTHORITY_OTHER_PHASE:
		return "the group is not in the phase that it begins with, or was elsewhere since. "
		       "Look at \"berm pace show\" and sign again";
	case AUTHORITY_OTHER_QUESTION:
		return "it answers another question than the one that is open. Look at \"berm pace "
		       "show\" and sign again";
	case AUTHORITY_TOO_MANY:
		return "its key has signed as many statements as are taken of one key within 12 "
		       "minutes";
	case AUTHORITY_REFUSAL_COUNT:
		break;
	}
	return "it is not known why";
}

const struct authority_person *authority_person(const struct authority *authority, uint32_t uid)
{
	for (size_t i = 0; i < authority->person_count; i++)
		if (authority->people[i].uid == uid)
			return &authority->people[i];
	return NULL;
}

const struct authority_source *authority_source(
	const struct authority *authority, const char *name, uint32_t uid)
{
	for (size_t i = 0; i < authority->source_count; i++)
		if (strcmp(authority->sources[i].name, name) == 0 &&
			authority->sources[i].uid == uid)
			return &authority->sources[i];
	return NULL;
}
