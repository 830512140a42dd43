/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pattern.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct pattern {
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *context;
};

void pattern_destroy(struct pattern *pattern)
{
	if (!pattern)
		return;
	pcre2_match_context_free(pattern->context);
	pcre2_match_data_free(pattern->data);
	pcre2_code_free(pattern->code);
	free(pattern);
}

static void pattern_cleanup(struct pattern **pattern)
{
	pattern_destroy(*pattern);
}

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
}

static int compile(struct pattern *p, const char *expression, struct error *err)
{
	PCRE2_UCHAR why[160];
	PCRE2_SIZE at;
	int code;

	/* Text of a tool need not be UTF-8, and \C would be the only way to split what is. */
	p->code = pcre2_compile((PCRE2_SPTR)expression, PCRE2_ZERO_TERMINATED,
		PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
	if (p->code)
		return 0;
	if (code == PCRE2_ERROR_NOMEMORY)
		return no_memory(err);
	if (pcre2_get_error_message(code, why, sizeof(why)) < 0)
		snprintf((char *)why, sizeof(why), "error %d", code);
	return error_set(err, -EINVAL, ERROR_INPUT, "%s (at character %zu)", (const char *)why,
		(size_t)at + 1);
}

/* One search for any match, the empty one too. */
static int search(const struct pattern *p, const char *text, size_t length, size_t from)
{
	int r = pcre2_match(p->code, (PCRE2_SPTR)text, length, from, 0, p->data, p->context);

	if (r == PCRE2_ERROR_NOMATCH)
		return 0;
	if (r == PCRE2_ERROR_NOMEMORY)
		return -ENOMEM;
	return r < 0 ? -E2BIG : 1;
}

int pattern_create(const char *expression, struct pattern **ret_pattern, struct error *err)
{
	__attribute__((cleanup(pattern_cleanup))) struct pattern *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return no_memory(err);
	if (strlen(expression) > PATTERN_BYTES_MAX)
		return error_set(err, -EINVAL, ERROR_INPUT, "an expression has at most %d bytes",
			PATTERN_BYTES_MAX);
	r = compile(p, expression, err);
	if (r < 0)
		return r;
	p->data = pcre2_match_data_create_from_pattern(p->code, NULL);
	p->context = pcre2_match_context_create(NULL);
	if (!p->data || !p->context)
		return no_memory(err);
	pcre2_set_match_limit(p->context, PATTERN_STEPS_MAX);
	pcre2_set_depth_limit(p->context, PATTERN_STEPS_MAX);
	pcre2_set_heap_limit(p->context, PATTERN_HEAP_KIB);
	r = search(p, "", 0, 0);
	if (r == -ENOMEM)
		return no_memory(err);
	if (r > 0)
		return error_set(err, -EINVAL, ERROR_INPUT, "it matches the empty text");
	*ret_pattern = take_ptr(&p);
	return 0;
}

int pattern_find(const struct pattern *p, const char *text, size_t length, size_t from,
	size_t *ret_begin, size_t *ret_end)
{
	while (from <= length) {
		int r = search(p, text, length, from);
		const PCRE2_SIZE *bounds;

		if (r <= 0)
			return r;
		bounds = pcre2_get_ovector_pointer(p->data);
		/* \K in an assertion can put the beginning behind the end, or before the search. */
		if (bounds[0] > bounds[1] || bounds[0] < from)
			return -E2BIG;
		if (bounds[0] < bounds[1]) {
			*ret_begin = bounds[0];
			*ret_end = bounds[1];
			return 1;
		}
		from = bounds[1] + 1;
	}
	return 0;
}
