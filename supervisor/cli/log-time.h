/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"

/* Times as people write and read them. */

/* "10m" (that long before now_ns), or "2026-11-23", "2026-11-23T20:14", "2026-11-23 20:14:03.5",
 * each with "Z" or "+01:00" behind it or in local time. *ret_ns: nanoseconds since 1970. False
 * where it is none of these. */
bool log_time_parse(const char *words, int64_t now_ns, int64_t *ret_ns) must_check;
/* "2026-11-23 20:14:03", local time; "-" where no calendar has it. */
void log_time_put(struct text *out, int64_t ns);
