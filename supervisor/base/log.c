/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/io.h"
#include "base/text.h"

#include <stdarg.h>
#include <string.h>

#define LOG_LINE_MAX 512

void log_line(const char *format, ...)
{
	autotext struct text line = {0};
	char raw[2 * LOG_LINE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	text_puts(&line, "berm: ");
	text_escape(&line, raw, strlen(raw), LOG_LINE_MAX);
	text_puts(&line, "\n");
	if (!line.failed)
		(void)!io_write_all(STDERR_FILENO, line.data, line.length);
}
