/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "record/canonical.h"

/* One packed Record: what the checker takes is what packs to the same bytes again, and it takes all
 * that packing makes. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Berm__Wire__Record *record = berm__wire__record__unpack(NULL, size, data);
	struct record_view view;
	bool taken = record_view_read(data, size, &view);
	uint8_t *again;
	size_t length;

	if (!record) {
		assert(!taken);
		return 0;
	}
	length = berm__wire__record__get_packed_size(record);
	again = malloc(length + 1);
	assert(again);
	assert(berm__wire__record__pack(record, again) == length);
	if (taken) {
		assert(length == size && memcmp(again, data, size) == 0);
		assert(view.sequence == record->sequence && view.body == record->body_case);
		assert(view.boot_ns == record->boot_ns && view.timestamp == record->timestamp);
		assert(view.body_bytes >= data && view.body_length <= size);
	}
	/* Unknown fields pack after the known ones, and enums keep values that they do not have. */
	berm__wire__record__free_unpacked(record, NULL);
	free(again);
	return 0;
}
