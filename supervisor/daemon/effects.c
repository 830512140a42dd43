/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/effects.h"

const char *trip_word(const struct trip *trip)
{
	static const char *const words[TRIP_KIND_COUNT] = {
		[TRIP_KIND_CAP] = "cap",
		[TRIP_KIND_STEP] = "step",
		[TRIP_KIND_BREAKER] = "breaker",
		[TRIP_KIND_OPERATOR] = "operator",
		[TRIP_KIND_METER] = "meter",
		[TRIP_KIND_RECORDER] = "recorder",
		[TRIP_KIND_GROUP] = "group",
	};

	return trip->warning ? "warning" : words[trip->kind];
}
