/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#define WORD_MAX 63

void text_finish(struct text *t)
{
	own_free(&t->data);
	*t = (struct text){0};
}

static bool text_reserve(struct text *t, size_t more)
{
	size_t need, capacity;
	char *data;

	if (t->failed)
		return false;
	if (__builtin_add_overflow(t->length, more, &need) ||
		__builtin_add_overflow(need, 1, &need)) {
		t->failed = true;
		return false;
	}
	if (need <= t->capacity)
		return true;
	capacity = t->capacity ? t->capacity : 128;
	while (capacity < need) {
		if (__builtin_mul_overflow(capacity, 2, &capacity)) {
			t->failed = true;
			return false;
		}
	}
	data = realloc(t->data, capacity);
	if (!data) {
		t->failed = true;
		return false;
	}
	t->data = data;
	t->capacity = capacity;
	return true;
}

void text_append(struct text *t, const char *bytes, size_t length)
{
	if (!text_reserve(t, length))
		return;
	if (length)
		memcpy(t->data + t->length, bytes, length);
	t->length += length;
	t->data[t->length] = '\0';
}

void text_puts(struct text *t, const char *string)
{
	text_append(t, string, strlen(string));
}

void text_printf(struct text *t, const char *format, ...)
{
	va_list args, again;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	if (n < 0)
		t->failed = true;
	else if (text_reserve(t, (size_t)n)) {
		vsnprintf(t->data + t->length, (size_t)n + 1, format, again);
		t->length += (size_t)n;
	}
	va_end(again);
	va_end(args);
}

const char *text_string(const struct text *t)
{
	return t->data ? t->data : "";
}

char *text_take(struct text *t)
{
	char *data;

	if (t->failed)
		return NULL;
	if (!t->data)
		text_append(t, "", 0);
	data = t->failed ? NULL : t->data;
	if (data)
		*t = (struct text){0};
	return data;
}

size_t text_decode(const char *bytes, size_t length, uint32_t *ret_point)
{
	const unsigned char *s = (const unsigned char *)bytes;
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[] = {
		{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
	uint32_t point;

	for (size_t n = 0; n < array_size(forms); n++) {
		if ((s[0] & forms[n].mask) != forms[n].lead)
			continue;
		if (n + 1 > length)
			return 0;
		point = s[0] & (unsigned char)~forms[n].mask;
		for (size_t i = 1; i <= n; i++) {
			if ((s[i] & 0xc0) != 0x80)
				return 0;
			point = point << 6 | (s[i] & 0x3f);
		}
		if (point < forms[n].least || point > 0x10ffff ||
			(point >= 0xd800 && point <= 0xdfff))
			return 0;
		*ret_point = point;
		return n + 1;
	}
	return 0;
}

bool text_point_is_deceptive(uint32_t p)
{
	return p < 0x20 || (p >= 0x7f && p < 0xa0) || p == 0xad || p == 0x61c || p == 0x180e ||
	       (p >= 0x200b && p <= 0x200f) || (p >= 0x2028 && p <= 0x202e) ||
	       (p >= 0x2060 && p <= 0x206f) || p == 0xfeff || p == 0x115f || p == 0x1160 ||
	       p == 0x17b4 || p == 0x17b5 || p == 0x2800 || p == 0x3164 || p == 0xffa0 ||
	       (p >= 0xfe00 && p <= 0xfe0f) || (p >= 0xfff0 && p <= 0xfffb) ||
	       (p >= 0xe0000 && p <= 0xe0fff);
}

bool text_is_one_line(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length;) {
		uint32_t point = 0;
		size_t n = text_decode(bytes + i, length - i, &point);

		if (n == 0 || text_point_is_deceptive(point))
			return false;
		i += n;
	}
	return true;
}

void text_escape(struct text *t, const char *bytes, size_t length, size_t max_bytes)
{
	size_t start = t->length;

	for (size_t i = 0; i < length;) {
		const unsigned char *s = (const unsigned char *)bytes + i;
		uint32_t point = 0;
		size_t n = text_decode(bytes + i, length - i, &point);
		char shown[16];
		int width;

		if (!n)
			width = snprintf(shown, sizeof(shown), "\\x%02x", s[0]);
		else if (point == '\\')
			width = snprintf(shown, sizeof(shown), "\\\\");
		else if (text_point_is_deceptive(point))
			width = point < 0x100 && n == 1
					? snprintf(shown, sizeof(shown), "\\x%02x", point)
					: snprintf(shown, sizeof(shown), "\\u{%x}", point);
		else
			width = snprintf(shown, sizeof(shown), "%.*s", (int)n, (const char *)s);
		if (t->length - start + (size_t)width > max_bytes) {
			text_puts(t, "…");
			return;
		}
		text_append(t, shown, (size_t)width);
		i += n ? n : 1;
	}
}

unsigned text_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned row[WORD_MAX + 1];

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX + 1;
	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned change = diagonal + (a[i - 1] != b[j - 1]);
			unsigned least = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;

			diagonal = row[j];
			row[j] = change < least ? change : least;
		}
	}
	return row[lb];
}

const char *text_nearest(const char *word, const char *const *names, size_t count)
{
	unsigned best = (unsigned)strlen(word) / 3 + 2;
	const char *found = NULL;

	for (size_t i = 0; i < count; i++) {
		unsigned d = text_distance(word, names[i]);

		if (d < best) {
			best = d;
			found = names[i];
		}
	}
	return found;
}
