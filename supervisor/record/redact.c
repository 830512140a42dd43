/* SPDX-License-Identifier: Apache-2.0 */
#include "record/redact-internal.h"

#include "base/pattern.h"

#include <string.h>

#define MATCHES_MAX 64    /* of one expression in one text */
#define CUT_BYTES_MIN 4   /* of a secret that begins where a text was cut */
#define NAME_BYTES_MAX 64 /* of a variable, where it is shown */

struct value {
	char *name, *bytes; /* owned */
	size_t length;
};

struct redactor {
	struct value values[2 * REDACT_VALUES_MAX]; /* each may have a second form */
	size_t count, named;
	struct pattern *patterns[REDACT_PATTERNS_MAX];
	size_t pattern_count;
};

int redactor_create(struct redactor **ret_redactor, struct error *err)
{
	*ret_redactor = calloc(1, sizeof(**ret_redactor));
	return *ret_redactor ? 0
			     : error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory to keep secrets");
}

void redactor_destroy(struct redactor *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->count; i++) {
		explicit_bzero(r->values[i].bytes, r->values[i].length);
		free(r->values[i].bytes);
		free(r->values[i].name);
	}
	for (size_t i = 0; i < r->pattern_count; i++)
		pattern_destroy(r->patterns[i]);
	free(r);
}

/* Takes bytes. */
static int keep_value(struct redactor *r, const char *name, char *bytes, struct error *err)
{
	struct value *value = &r->values[r->count];

	*value = (struct value){.name = strndup(name, NAME_BYTES_MAX), .bytes = bytes};
	if (!value->name || !bytes) {
		free(value->name);
		free(bytes);
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory to keep secrets");
	}
	value->length = strlen(bytes);
	r->count++;
	return 0;
}

/* As in a URL (RFC 3986 section 2.1); NULL when memory ran out. */
static char *percent_encoded(const char *value)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	struct text out = {0};

	for (const char *c = value; *c; c++) {
		if (strchr(plain, *c))
			text_append(&out, c, 1);
		else
			text_printf(&out, "%%%02X", (unsigned char)*c);
	}
	return text_take(&out);
}

int redactor_add_value(struct redactor *r, const char *name, const char *value, struct error *err)
{
	char *encoded;
	int result;

	if (strlen(value) < REDACT_VALUE_BYTES_MIN)
		return 0;
	if (r->named == REDACT_VALUES_MAX)
		return error_set(err, -E2BIG, ERROR_INPUT,
			"more than %d variables are to be kept out of the records",
			REDACT_VALUES_MAX);
	r->named++;
	result = keep_value(r, name, strdup(value), err);
	if (result < 0)
		return result;
	encoded = percent_encoded(value);
	if (encoded && strcmp(encoded, value) == 0) {
		free(encoded);
		return 0;
	}
	return keep_value(r, name, encoded, err);
}

int redactor_add_pattern(struct redactor *r, const char *expression, struct error *err)
{
	int result;

	if (r->pattern_count == REDACT_PATTERNS_MAX)
		return error_set(err, -E2BIG, ERROR_INPUT,
			"recorder.redact has more than %d expressions", REDACT_PATTERNS_MAX);
	result = pattern_create(expression, &r->patterns[r->pattern_count], err);
	if (result == 0)
		r->pattern_count++;
	return result;
}

static void find_value(const struct value *value, const char *text, size_t length, bool cut,
	struct redact_spans *spans)
{
	const char *at = text, *end = text + length;

	while ((at = memmem(at, (size_t)(end - at), value->bytes, value->length))) {
		redact_add(spans, (size_t)(at - text), (size_t)(at - text) + value->length,
			value->name);
		at += value->length;
	}
	for (size_t n = value->length - 1; cut && n >= CUT_BYTES_MIN; n--) {
		if (n > length || memcmp(end - n, value->bytes, n) != 0)
			continue;
		redact_add(spans, length - n, length, value->name);
		return;
	}
}

static void find_pattern(
	const struct pattern *pattern, const char *text, size_t length, struct redact_spans *spans)
{
	size_t from = 0, begin, end;

	for (unsigned i = 0; i < MATCHES_MAX; i++) {
		int found = pattern_find(pattern, text, length, from, &begin, &end);

		if (found == 0)
			return;
		if (found < 0)
			break;
		redact_add(spans, begin, end, "profile");
		from = end;
	}
	/* More than may be looked for, or not to be told. */
	spans->overflow = true;
}

static int compare_spans(const void *a, const void *b)
{
	const struct redact_span *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return x->end > y->end ? -1 : x->end < y->end;
}

/* Those that overlap are one, under the name of the first. */
static void put(const char *text, size_t length, struct redact_spans *spans, struct text *out)
{
	size_t at = 0;

	if (spans->count > 0)
		qsort(spans->items, spans->count, sizeof(spans->items[0]), compare_spans);
	for (size_t i = 0; i < spans->count;) {
		const struct redact_span *first = &spans->items[i];
		size_t end = first->end;

		while (++i < spans->count && spans->items[i].begin < end)
			end = spans->items[i].end > end ? spans->items[i].end : end;
		text_append(out, text + at, first->begin - at);
		text_printf(out, "[redacted:%s]", first->name);
		at = end;
	}
	text_append(out, text + at, length - at);
}

bool redact_text(
	const struct redactor *r, const char *text, size_t length, bool cut, struct text *out)
{
	struct redact_spans spans;

	spans.count = 0;
	spans.overflow = false;
	if (length == 0)
		return false;
	for (size_t i = 0; r && i < r->count; i++)
		find_value(&r->values[i], text, length, cut, &spans);
	redact_shapes(text, length, &spans);
	for (size_t i = 0; r && i < r->pattern_count && !spans.overflow; i++)
		find_pattern(r->patterns[i], text, length, &spans);
	if (spans.overflow)
		text_puts(out, "[redacted:all]");
	else
		put(text, length, &spans, out);
	return spans.overflow || spans.count > 0;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Programs that take a password in a short option, in the same word or the next one. */
static const struct {
	const char *program, *option;
	bool attached;     /* only in the same word: alone, the option asks for it */
	bool behind_colon; /* "user:password" */
} short_options[] = {
	{"mysql", "-p", true, false},
	{"mysqldump", "-p", true, false},
	{"mysqladmin", "-p", true, false},
	{"mariadb", "-p", true, false},
	{"mariadb-dump", "-p", true, false},
	{"sshpass", "-p", false, false},
	{"redis-cli", "-a", false, false},
	{"curl", "-u", false, true},
	{"curl", "--user", false, true},
	{"curl", "-U", false, true},
	{"curl", "--proxy-user", false, true},
	{"openssl", "-passin", false, false},
	{"openssl", "-passout", false, false},
};

enum part { PART_NONE, PART_ALL, PART_BEHIND_COLON };

/* What of the word is a secret because of the program and the word before it; *ret_from: where it
 * begins. */
static enum part secret_part(
	const char *program, const char *before, const char *word, size_t *ret_from)
{
	*ret_from = 0;
	for (size_t i = 0; i < array_size(short_options); i++) {
		const char *option = short_options[i].option;
		size_t n = strlen(option);
		enum part part = short_options[i].behind_colon ? PART_BEHIND_COLON : PART_ALL;

		if (strcmp(short_options[i].program, program) != 0)
			continue;
		if (!short_options[i].attached && before && strcmp(before, option) == 0)
			return part;
		if (n == 2 && strncmp(word, option, n) == 0 && word[n]) {
			*ret_from = n;
			return part;
		}
	}
	return before && redact_is_option(before) && word[0] != '-' ? PART_ALL : PART_NONE;
}

bool redact_words(
	const struct redactor *r, const char *const *words, size_t count, struct text *ret_words)
{
	const char *program = count ? last_part(words[0]) : "";
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(words[i]), from = 0;
		enum part part =
			i ? secret_part(program, i > 1 ? words[i - 1] : NULL, words[i], &from)
			  : PART_NONE;
		const char *colon = part == PART_BEHIND_COLON ? strchr(words[i] + from, ':') : NULL;

		if (part == PART_BEHIND_COLON && !colon)
			part = PART_NONE;
		if (colon)
			from = (size_t)(colon - words[i]) + 1;
		any |= part != PART_NONE;
		any |= redact_text(
			r, words[i], part == PART_NONE ? length : from, false, &ret_words[i]);
		if (part != PART_NONE)
			text_puts(&ret_words[i], "[redacted:option]");
	}
	return any;
}
