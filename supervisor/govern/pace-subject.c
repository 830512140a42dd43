/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/pace.h"

#include <sodium.h>
#include <string.h>

/* What an answer answers, as a digest: who signs "no" says it to one question, not to whatever will
 * be asked by the time the words arrive. */

#define DOMAIN "berm pace subject v2"

typedef crypto_generichash_state Hash;

static void add_number(Hash *hash, uint64_t value)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	crypto_generichash_update(hash, bytes, sizeof(bytes));
}

static void add_words(Hash *hash, const char *words)
{
	size_t length = strlen(words);

	add_number(hash, length);
	crypto_generichash_update(hash, (const uint8_t *)words, length);
}

static void add_moment(Hash *hash, const struct pace_moment *moment)
{
	add_number(hash, moment->least_ms);
	add_number(hash, moment->most_ms);
	add_number(hash, moment->wall_ms);
}

bool pace_subject(const struct pace_group *group, unsigned trigger, unsigned to,
	uint8_t ret_digest[PACE_DIGEST_BYTES])
{
	const struct pace_request *request = pace_request_of(group, to);
	bool dismissed = trigger == PACE_DISMISSED && request;
	Hash hash;

	memset(ret_digest, 0, PACE_DIGEST_BYTES);
	if (!dismissed && trigger != PACE_EXPLAINED)
		return false;
	crypto_generichash_init(&hash, NULL, 0, PACE_DIGEST_BYTES);
	add_words(&hash, DOMAIN);
	crypto_generichash_update(&hash, group->id, PACE_ID_BYTES);
	add_number(&hash, trigger);
	if (dismissed) {
		add_number(&hash, request->to);
		add_number(&hash, request->trigger);
		add_number(&hash, request->authority);
		add_words(&hash, request->source);
		add_words(&hash, request->agent);
		add_moment(&hash, &request->since);
		add_number(&hash, request->more_count);
		for (size_t i = 0; i < request->more_count; i++) {
			add_number(&hash, request->more[i].trigger);
			add_words(&hash, request->more[i].agent);
		}
	} else {
		add_moment(&hash, &group->disturbed);
	}
	crypto_generichash_final(&hash, ret_digest, PACE_DIGEST_BYTES);
	return true;
}
