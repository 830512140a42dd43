/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "govern/answer.h"

#include <jansson.h>

/* What a gate writes. Whatever is taken is an object for another reader of JSON too, with that very
 * decision and those very words. */

static void same(const json_t *object, const char *key, const char *words)
{
	const json_t *value = json_object_get(object, key);

	assert(value ? strcmp(json_string_value(value), words) == 0 : !*words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct answer answer = {.verdict = VERDICT_COUNT};
	struct error err = {0};
	json_t *object;
	int r = answer_read((const char *)data, size, &answer, &err);

	assert(r == 0 || (r == -EBADMSG && err.text[0] && answer.verdict == VERDICT_COUNT));
	if (r < 0)
		return 0;
	object = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	assert(json_is_object(object));
	same(object, "decision", verdict_name(answer.verdict));
	same(object, "by", answer.by);
	same(object, "reason", answer.reason);
	json_decref(object);
	return 0;
}
