/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/own.h"

/* One line on stderr, "berm: " before it, escaped and bounded (512 bytes): only cli/ and daemon/
 * call this. Written with one write(2), so that lines of several processes do not mix. Never waits:
 * where nobody takes the line at once it is lost. */
void log_line(const char *format, ...) printf_like(1, 2);
/* From now on to that descriptor instead (borrowed); -1: nowhere. */
void log_to(int fd);
