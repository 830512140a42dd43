/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "meter/meter.h"

/* What an event of the kernel's programs was about, in the words of the status record. Pure. */

/* "read", "exec", "connect" …; static. */
const char *metering_operation(const struct meter_event *event);
/* The name of the kernel's hook that saw it, or NULL; static. */
const char *metering_hook_name(const struct meter_event *event);
/* The path, or the address and port, or the name of the hook where there is neither. text: as the
 * event's handler gets it: components, leaf first, each ending in NUL, event->text_bytes of them.
 */
void metering_target(const struct meter_event *event, const char *text, struct text *out);
