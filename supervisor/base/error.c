/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <string.h>

int error_errno(struct error *err, const char *format, ...)
{
	int number = errno ? errno : EIO;
	va_list args;
	int n;

	if (!err)
		return -number;
	err->code = -number;
	err->kind = ERROR_INTERNAL;
	va_start(args, format);
	n = vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < sizeof(err->text))
		snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s", strerror(number));
	return -number;
}

int error_set(struct error *err, int code, enum error_kind kind, const char *format, ...)
{
	va_list args;

	if (!err)
		return code;
	err->code = code;
	err->kind = kind;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return code;
}

int error_wrap(struct error *err, const char *format, ...)
{
	char old[ERROR_TEXT_MAX];
	va_list args;
	int n;

	if (!err)
		return -EIO;
	memcpy(old, err->text, sizeof(old));
	va_start(args, format);
	n = vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < sizeof(err->text))
		snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s", old);
	return err->code;
}
