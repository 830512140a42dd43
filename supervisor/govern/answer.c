/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/answer.h"

#include "base/text.h"

#include <string.h>

struct input {
	const char *at, *end;
};

static const char *const verdict_names[VERDICT_COUNT] = {
	[VERDICT_ALLOW] = "allow", [VERDICT_ASK] = "ask", [VERDICT_DENY] = "deny"};

const char *verdict_name(enum verdict verdict)
{
	return verdict < VERDICT_COUNT ? verdict_names[verdict] : "";
}

enum verdict verdict_join(enum verdict a, enum verdict b)
{
	return a > b ? a : b;
}

static void skip_blanks(struct input *in)
{
	while (in->at < in->end &&
		(*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r'))
		in->at++;
}

static bool take(struct input *in, char c)
{
	skip_blanks(in);
	if (in->at == in->end || *in->at != c)
		return false;
	in->at++;
	return true;
}

static bool take_hex(struct input *in, uint32_t *ret_unit)
{
	uint32_t unit = 0;

	if (in->end - in->at < 4)
		return false;
	for (unsigned i = 0; i < 4; i++) {
		char c = *in->at++;

		if (c >= '0' && c <= '9')
			unit = unit << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			unit = unit << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	*ret_unit = unit;
	return true;
}

/* The rest of \uXXXX; a pair of surrogates is one character, a lone one is none. */
static bool take_point(struct input *in, uint32_t *ret_point)
{
	uint32_t high = 0, low = 0;

	if (!take_hex(in, &high) || high == 0 || (high >= 0xdc00 && high < 0xe000))
		return false;
	*ret_point = high;
	if (high < 0xd800 || high >= 0xdc00)
		return true;
	if (in->end - in->at < 2 || in->at[0] != '\\' || in->at[1] != 'u')
		return false;
	in->at += 2;
	if (!take_hex(in, &low) || low < 0xdc00 || low >= 0xe000)
		return false;
	*ret_point = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	return true;
}

static size_t encode(uint32_t point, char bytes[4])
{
	if (point < 0x80) {
		bytes[0] = (char)point;
		return 1;
	}
	if (point < 0x800) {
		bytes[0] = (char)(0xc0 | point >> 6);
		bytes[1] = (char)(0x80 | (point & 0x3f));
		return 2;
	}
	if (point < 0x10000) {
		bytes[0] = (char)(0xe0 | point >> 12);
		bytes[1] = (char)(0x80 | (point >> 6 & 0x3f));
		bytes[2] = (char)(0x80 | (point & 0x3f));
		return 3;
	}
	bytes[0] = (char)(0xf0 | point >> 18);
	bytes[1] = (char)(0x80 | (point >> 12 & 0x3f));
	bytes[2] = (char)(0x80 | (point >> 6 & 0x3f));
	bytes[3] = (char)(0x80 | (point & 0x3f));
	return 4;
}

static bool take_escape(struct input *in, char bytes[4], size_t *ret_length)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *name;
	uint32_t point = 0;

	if (in->at == in->end)
		return false;
	if (*in->at == 'u') {
		in->at++;
		if (!take_point(in, &point))
			return false;
		*ret_length = encode(point, bytes);
		return true;
	}
	name = *in->at ? strchr(names, *in->at) : NULL;
	if (!name)
		return false;
	in->at++;
	bytes[0] = values[name - names];
	*ret_length = 1;
	return true;
}

/* A string into out, which has room for ANSWER_WORDS_MAX bytes and a NUL. */
static bool take_string(struct input *in, char *out)
{
	size_t length = 0;

	if (!take(in, '"'))
		return false;
	while (in->at < in->end && *in->at != '"') {
		char bytes[4];
		uint32_t point;
		size_t n;

		if ((unsigned char)*in->at < 0x20)
			return false;
		if (*in->at == '\\') {
			in->at++;
			if (!take_escape(in, bytes, &n))
				return false;
		} else {
			n = text_decode(in->at, (size_t)(in->end - in->at), &point);
			if (n == 0)
				return false;
			memcpy(bytes, in->at, n);
			in->at += n;
		}
		if (length + n > ANSWER_WORDS_MAX)
			return false;
		memcpy(out + length, bytes, n);
		length += n;
	}
	out[length] = '\0';
	return take(in, '"');
}

/* Where members go. */
struct members {
	char decision[ANSWER_WORDS_MAX + 1], scope[ANSWER_WORDS_MAX + 1];
	struct answer *answer;
	unsigned seen;
};

static bool take_member(struct input *in, struct members *m)
{
	const struct {
		const char *name;
		char *value;
	} rows[] = {{"decision", m->decision}, {"scope", m->scope}, {"by", m->answer->by},
		{"reason", m->answer->reason}};
	char name[ANSWER_WORDS_MAX + 1];

	if (!take_string(in, name) || !take(in, ':'))
		return false;
	for (unsigned i = 0; i < array_size(rows); i++) {
		if (strcmp(rows[i].name, name) != 0)
			continue;
		if (m->seen & 1U << i)
			return false;
		m->seen |= 1U << i;
		skip_blanks(in);
		return take_string(in, rows[i].value);
	}
	return false;
}

static bool take_object(struct input *in, struct members *m)
{
	if (!take(in, '{'))
		return false;
	do {
		skip_blanks(in);
		if (!take_member(in, m))
			return false;
	} while (take(in, ','));
	if (!take(in, '}'))
		return false;
	skip_blanks(in);
	return in->at == in->end;
}

int answer_read(const char *bytes, size_t length, struct answer *ret_answer, struct error *err)
{
	struct input in = {bytes, bytes + length};
	struct answer answer = {.verdict = VERDICT_DENY};
	struct members m = {.answer = &answer};

	if (length > ANSWER_BYTES_MAX || !take_object(&in, &m))
		return error_set(err, -EBADMSG, ERROR_INTERNAL,
			"what it wrote is not one JSON object with decision, by, reason and scope");
	if (m.scope[0] && strcmp(m.scope, "once") != 0 && strcmp(m.scope, "run") != 0)
		return error_set(
			err, -EBADMSG, ERROR_INTERNAL, "its scope is neither \"once\" nor \"run\"");
	for (unsigned i = 0; i < VERDICT_COUNT; i++) {
		if (strcmp(verdict_names[i], m.decision) != 0)
			continue;
		answer.verdict = (enum verdict)i;
		*ret_answer = answer;
		return 0;
	}
	return error_set(err, -EBADMSG, ERROR_INTERNAL,
		"its decision is none of \"allow\", \"deny\" and \"ask\"");
}
