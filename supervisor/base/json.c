/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Length of the valid UTF-8 sequence at s (RFC 3629), 0 where there is none. */
static size_t utf8_length(const unsigned char *s, size_t length)
{
	size_t n = s[0] < 0x80                   ? 1
		   : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
		   : (s[0] & 0xf0) == 0xe0       ? 3
		   : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
						 : 0;

	if (n == 0 || n > length)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static void write_string(struct text *out, const char *value, size_t length)
{
	text_puts(out, "\"");
	for (size_t i = 0; i < length;) {
		const unsigned char *s = (const unsigned char *)value + i;
		size_t n = utf8_length(s, length - i);

		if (n == 0)
			text_puts(out, "\\ufffd");
		else if (s[0] == '"' || s[0] == '\\')
			text_printf(out, "\\%c", s[0]);
		else if (s[0] < 0x20 || s[0] == 0x7f)
			text_printf(out, "\\u%04x", s[0]);
		else
			text_append(out, (const char *)s, n);
		i += n ? n : 1;
	}
	text_puts(out, "\"");
}

static void before_value(struct json *j, const char *key)
{
	if (j->depth > 0) {
		if (j->has_member[j->depth - 1])
			text_puts(j->out, ",");
		j->has_member[j->depth - 1] = true;
	}
	if (key) {
		write_string(j->out, key, strlen(key));
		text_puts(j->out, ":");
	}
}

static void nest(struct json *j, const char *key, const char *opening)
{
	before_value(j, key);
	text_puts(j->out, opening);
	if (j->depth >= JSON_DEPTH_MAX) {
		j->out->failed = true;
		return;
	}
	j->has_member[j->depth++] = false;
}

static void unnest(struct json *j, const char *closing)
{
	if (j->depth > 0)
		j->depth--;
	text_puts(j->out, closing);
}

void json_object_begin(struct json *j, const char *key)
{
	nest(j, key, "{");
}

void json_object_end(struct json *j)
{
	unnest(j, "}");
}

void json_array_begin(struct json *j, const char *key)
{
	nest(j, key, "[");
}

void json_array_end(struct json *j)
{
	unnest(j, "]");
}

void json_put_string_n(struct json *j, const char *key, const char *value, size_t length)
{
	before_value(j, key);
	write_string(j->out, value, length);
}

void json_put_string(struct json *j, const char *key, const char *value)
{
	if (value)
		json_put_string_n(j, key, value, strlen(value));
	else
		json_put_null(j, key);
}

void json_put_u64(struct json *j, const char *key, uint64_t value)
{
	before_value(j, key);
	text_printf(j->out, "%" PRIu64, value);
}

void json_put_i64(struct json *j, const char *key, int64_t value)
{
	before_value(j, key);
	text_printf(j->out, "%" PRId64, value);
}

void json_put_double(struct json *j, const char *key, double value)
{
	before_value(j, key);
	if (isfinite(value))
		text_printf(j->out, "%.17g", value);
	else
		text_puts(j->out, "null");
}

void json_put_bool(struct json *j, const char *key, bool value)
{
	before_value(j, key);
	text_puts(j->out, value ? "true" : "false");
}

void json_put_null(struct json *j, const char *key)
{
	before_value(j, key);
	text_puts(j->out, "null");
}

void json_put_json(struct json *j, const char *key, const char *value, size_t length)
{
	before_value(j, key);
	text_append(j->out, value, length);
}
