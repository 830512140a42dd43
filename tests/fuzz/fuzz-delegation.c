/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/delegation-wire.h"
#include "fuzz.h"
#include "govern/agent.h"

/* What a tool may send through its door. Whatever it is, it is a whole request or none.
 * Input: the packet. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct delegation_asked asked = {0};
	struct error err = {0};
	size_t count = 0;

	if (size > DELEGATION_REQUEST_MAX)
		return 0;
	if (delegation_request_read(data, size, &asked, &err) < 0) {
		assert(err.code < 0 && err.text[0] && !asked.request && !asked.words);
		return 0;
	}
	assert(agent_words_are_good(asked.agent));
	assert(!asked.task || agent_name_is_good(asked.task));
	while (asked.argv[count])
		count++;
	assert(count > 0 && count <= DELEGATION_WORDS_MAX && asked.argv[0][0]);
	delegation_asked_finish(&asked);
	return 0;
}
