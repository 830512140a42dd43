/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "record/redact.h"

#include <assert.h>
#include <string.h>

/* A text as a tool makes it, before a record is made of it. First byte: whether it was cut. A known
 * secret never comes through, and what comes through is looked at once more without a change that
 * would bring one back. */

static struct redactor *redactor;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char secret[] = "s3cr3t/x";
	struct text out = {0};

	if (!redactor && (redactor_create(&redactor, NULL) < 0 ||
				 redactor_add_value(redactor, "S", secret, NULL) < 0 ||
				 redactor_add_pattern(redactor, "[0-9]{4}-[0-9]{4}", NULL) < 0))
		abort();
	if (size == 0)
		return 0;
	redact_text(redactor, (const char *)data + 1, size - 1, data[0] & 1, &out);
	assert(!out.failed);
	assert(!memmem(text_string(&out), out.length, secret, sizeof(secret) - 1));
	text_finish(&out);
	return 0;
}
