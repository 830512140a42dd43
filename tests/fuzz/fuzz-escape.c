/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

/* text_escape(): what comes out is safe to show, bounded, and says exactly which bytes went in.
 * Input: one byte that gives the bound, then the bytes to escape. */

#define CUT "…"

static unsigned hex(const char *digits, size_t length)
{
	unsigned value = 0;

	for (size_t i = 0; i < length; i++) {
		char c = digits[i];

		assert((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
		value = value * 16 + (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return value;
}

static void append_point(struct text *t, uint32_t p)
{
	char utf8[4];
	size_t n = 0;

	if (p < 0x80) {
		utf8[n++] = (char)p;
	} else if (p < 0x800) {
		utf8[n++] = (char)(0xc0 | p >> 6);
		utf8[n++] = (char)(0x80 | (p & 0x3f));
	} else if (p < 0x10000) {
		utf8[n++] = (char)(0xe0 | p >> 12);
		utf8[n++] = (char)(0x80 | (p >> 6 & 0x3f));
		utf8[n++] = (char)(0x80 | (p & 0x3f));
	} else {
		utf8[n++] = (char)(0xf0 | p >> 18);
		utf8[n++] = (char)(0x80 | (p >> 12 & 0x3f));
		utf8[n++] = (char)(0x80 | (p >> 6 & 0x3f));
		utf8[n++] = (char)(0x80 | (p & 0x3f));
	}
	text_append(t, utf8, n);
}

/* The bytes that the escaped text stands for. */
static void unescape(const char *escaped, size_t length, struct text *out)
{
	for (size_t i = 0; i < length;) {
		const char *at = escaped + i, *end;
		char byte;

		if (*at != '\\') {
			text_append(out, at, 1);
			i++;
			continue;
		}
		assert(i + 1 < length);
		switch (at[1]) {
		case '\\':
			text_append(out, "\\", 1);
			i += 2;
			break;
		case 'x':
			assert(i + 4 <= length);
			byte = (char)hex(at + 2, 2);
			text_append(out, &byte, 1);
			i += 4;
			break;
		default:
			assert(at[1] == 'u' && at[2] == '{');
			end = memchr(at, '}', length - i);
			assert(end);
			append_point(out, hex(at + 3, (size_t)(end - at - 3)));
			i += (size_t)(end - at) + 1;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autotext struct text whole = {0}, cut = {0}, back = {0};
	const char *bytes;
	size_t bound;

	if (size == 0)
		return 0;
	bound = data[0];
	bytes = (const char *)data + 1;
	size--;
	text_escape(&whole, bytes, size, SIZE_MAX);
	assert(!whole.failed && is_safe_to_show(text_string(&whole), whole.length));
	assert(!memchr(text_string(&whole), '\n', whole.length));
	unescape(text_string(&whole), whole.length, &back);
	assert(back.length == size && (size == 0 || memcmp(back.data, bytes, size) == 0));

	text_puts(&cut, "before ");
	text_escape(&cut, bytes, size, bound);
	assert(cut.length <= 7 + bound + strlen(CUT));
	assert(is_safe_to_show(cut.data, cut.length));
	if (whole.length <= bound)
		assert(cut.length == 7 + whole.length);
	else
		assert(strcmp(cut.data + cut.length - strlen(CUT), CUT) == 0);
	return 0;
}
