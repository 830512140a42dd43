/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "fuzz.h"

#include <jansson.h>

/* The JSON writer: whatever strings it is given, another reader (jansson) takes the result, and
 * reads the same strings where they were UTF-8. Input: a list of steps, one byte each, some
 * followed by a length and that many bytes. */

struct input {
	const uint8_t *at;
	size_t left;
};

static unsigned next(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

static char *next_string(struct input *in, size_t *ret_length)
{
	size_t length = next(in);
	char *string;

	if (length > in->left)
		length = in->left;
	string = fuzz_string(in->at, length);
	in->at += length;
	in->left -= length;
	*ret_length = length;
	return string;
}

/* Write one value, or open or close a container. is_array says what each open one is. */
static void step(struct input *in, struct json *j, bool is_array[JSON_DEPTH_MAX])
{
	unsigned what = next(in);
	autofree char *key_text = NULL, *value = NULL;
	const char *key = NULL;
	size_t length;

	if (what % 8 == 0) {
		if (j->depth > 1 && is_array[j->depth - 1])
			json_array_end(j);
		else if (j->depth > 1)
			json_object_end(j);
		return;
	}
	if (!is_array[j->depth - 1])
		key = key_text = next_string(in, &length);
	switch (what % 8) {
	case 1:
	case 2:
		if (j->depth == JSON_DEPTH_MAX) {
			json_put_null(j, key);
			break;
		}
		is_array[j->depth] = what % 8 == 2;
		if (what % 8 == 2)
			json_array_begin(j, key);
		else
			json_object_begin(j, key);
		break;
	case 3:
		json_put_u64(j, key, (uint64_t)next(in) << next(in) % 64);
		break;
	case 4:
		json_put_i64(j, key, -(int64_t)next(in) * (1LL << next(in) % 54));
		break;
	case 5:
		json_put_bool(j, key, next(in) & 1);
		break;
	default:
		value = next_string(in, &length);
		json_put_string_n(j, key, value, length);
	}
}

static bool is_utf8(const char *bytes, size_t length)
{
	uint32_t point;

	for (size_t i = 0, n; i < length; i += n)
		if (!(n = text_decode(bytes + i, length - i, &point)))
			return false;
	return true;
}

/* One string in an array comes back as it was. */
static void check_string(const char *bytes, size_t length)
{
	autotext struct text out = {0};
	struct json j = {.out = &out};
	json_t *root;

	json_array_begin(&j, NULL);
	json_put_string_n(&j, NULL, bytes, length);
	json_array_end(&j);
	assert(!out.failed && is_utf8(out.data, out.length) && !memchr(out.data, '\n', out.length));
	root = json_loadb(out.data, out.length, JSON_ALLOW_NUL, NULL);
	assert(root);
	if (is_utf8(bytes, length)) {
		const json_t *string = json_array_get(root, 0);

		assert(json_string_length(string) == length);
		assert(length == 0 || memcmp(json_string_value(string), bytes, length) == 0);
	}
	json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autotext struct text out = {0};
	struct json j = {.out = &out};
	struct input in = {data, size};
	bool is_array[JSON_DEPTH_MAX] = {false};
	json_t *root;

	check_string((const char *)data, size);
	json_object_begin(&j, NULL);
	while (in.left)
		step(&in, &j, is_array);
	while (j.depth) {
		if (is_array[j.depth - 1])
			json_array_end(&j);
		else
			json_object_end(&j);
	}
	assert(!out.failed && is_utf8(out.data, out.length));
	/* jansson has no unsigned 64-bit numbers and, unlike RFC 8259, no NUL in keys. */
	root = json_loadb(out.data, out.length, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	assert(root && json_is_object(root));
	json_decref(root);
	return 0;
}
