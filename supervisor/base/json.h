/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"

#include <stdint.h>

#define JSON_DEPTH_MAX 16

/* A streaming JSON writer (RFC 8259) into a struct text. Commas and quotes are its business; keys
 * and values come in order. Strings are bytes: what is not valid UTF-8 is written as U+FFFD. In an
 * object pass the key, in an array pass NULL. Nesting over JSON_DEPTH_MAX marks the text failed. */
struct json {
	struct text *out; /* borrowed */
	unsigned depth;
	bool has_member[JSON_DEPTH_MAX];
};

void json_object_begin(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array_begin(struct json *j, const char *key);
void json_array_end(struct json *j);
void json_put_string(
	struct json *j, const char *key, const char *value); /* NULL value writes null */
void json_put_string_n(struct json *j, const char *key, const char *value, size_t length);
void json_put_u64(struct json *j, const char *key, uint64_t value);
void json_put_i64(struct json *j, const char *key, int64_t value);
/* As many digits as read back the same number; null for what is none (infinite, not a number). */
void json_put_double(struct json *j, const char *key, double value);
void json_put_bool(struct json *j, const char *key, bool value);
void json_put_null(struct json *j, const char *key);
/* One whole value that is JSON already. */
void json_put_json(struct json *j, const char *key, const char *value, size_t length);
