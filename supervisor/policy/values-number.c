/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/port.h"
#include "policy/read.h"

#include "base/number.h"

#include <inttypes.h>
#include <string.h>

/* Processors as per cent: "2" is 200, "0.5" is 50. Two digits after the point at most. */
static bool parse_cpu(const char *text, uint64_t *ret_percent)
{
	size_t digits = strcspn(text, ".");
	char whole[16];
	uint64_t value, hundredths = 0;

	if (digits == 0 || digits >= sizeof(whole))
		return false;
	memcpy(whole, text, digits);
	whole[digits] = '\0';
	if (!number_parse_u64(whole, &value))
		return false;
	if (text[digits] == '.') {
		const char *fraction = text + digits + 1;
		size_t n = strspn(fraction, "0123456789");

		if (n < 1 || n > 2 || fraction[n])
			return false;
		hundredths = (uint64_t)(fraction[0] - '0') * 10;
		if (n == 2)
			hundredths += (uint64_t)(fraction[1] - '0');
	}
	if (__builtin_mul_overflow(value, 100, &value) ||
		__builtin_add_overflow(value, hundredths, &value))
		return false;
	*ret_percent = value;
	return true;
}

static void report_number(struct reader *r, const struct node *node, const struct key *key)
{
	bool unit = key->type == VALUE_SIZE || key->type == VALUE_DURATION ||
		    key->type == VALUE_PERCENT;

	diagnostics_report(r->d, unit ? CODE_UNIT : CODE_NUMBER, node->at,
		"`%s` wants %s; this is %s%s", reader_where(r), value_type_words(key->type),
		node->text, !node->plain && !unit ? ", a text since it is quoted" : "");
}

static void report_range(struct reader *r, const struct node *node, const struct key *key)
{
	char least[32], most[32];

	if (key->type == VALUE_SIZE) {
		number_format_size(key->least, least, sizeof(least));
		number_format_size(key->most, most, sizeof(most));
	} else if (key->type == VALUE_DURATION) {
		number_format_duration(key->least, least, sizeof(least));
		number_format_duration(key->most, most, sizeof(most));
	} else if (key->type == VALUE_CPU) {
		snprintf(least, sizeof(least), "%" PRIu64 ".%02" PRIu64, key->least / 100,
			key->least % 100);
		snprintf(most, sizeof(most), "%" PRIu64, key->most / 100);
	} else {
		snprintf(least, sizeof(least), "%" PRIu64, key->least);
		snprintf(most, sizeof(most), "%" PRIu64, key->most);
	}
	diagnostics_report(r->d, CODE_NUMBER, node->at, "`%s` lies between %s and %s; this is %s",
		reader_where(r), least, most, node->text);
}

/* Read the number without looking at its bounds. */
static bool parse_number(const struct node *node, enum value_type type, uint64_t *ret_value)
{
	if (type == VALUE_SIZE)
		return number_parse_size(node->text, ret_value);
	if (type == VALUE_DURATION)
		return number_parse_duration(node->text, ret_value);
	if (type == VALUE_PERCENT)
		return number_parse_percent(node->text, ret_value);
	if (!node->plain)
		return false;
	return type == VALUE_CPU ? parse_cpu(node->text, ret_value)
				 : number_parse_u64(node->text, ret_value);
}

bool value_number(
	struct reader *r, const struct node *node, const struct key *key, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (node->kind != NODE_SCALAR || node_is_null(node)) {
		diagnostics_report(r->d, CODE_WRONG_TYPE, node->at, "`%s` wants %s",
			reader_where(r), value_type_words(key->type));
		return false;
	}
	if (key->type == VALUE_VERSION) {
		if (parse_number(node, key->type, &value) && value == 1)
			return true;
		diagnostics_report(r->d, CODE_VERSION, node->at,
			"version %s is unknown; this build reads version 1", node->text);
		return false;
	}
	if (!parse_number(node, key->type, &value)) {
		report_number(r, node, key);
		return false;
	}
	if (value < key->least || (key->most && value > key->most)) {
		report_range(r, node, key);
		return false;
	}
	*ret_value = value;
	return true;
}

static bool parse_port(const char *text, size_t length, uint16_t *ret_port)
{
	char digits[8];
	uint64_t value;

	if (length == 0 || length >= sizeof(digits))
		return false;
	memcpy(digits, text, length);
	digits[length] = '\0';
	if (!number_parse_u64(digits, &value) || value < 1 || value > 65535)
		return false;
	*ret_port = (uint16_t)value;
	return true;
}

bool port_range_parse(const char *text, uint16_t ret_range[2])
{
	size_t n = strcspn(text, "-");
	uint16_t range[2];

	if (!parse_port(text, n, &range[0]))
		return false;
	range[1] = range[0];
	if (text[n] == '-' && !parse_port(text + n + 1, strlen(text + n + 1), &range[1]))
		return false;
	if (range[1] < range[0])
		return false;
	ret_range[0] = range[0];
	ret_range[1] = range[1];
	return true;
}

bool value_port(struct reader *r, const struct node *node, uint16_t ret_range[2])
{
	bool scalar = node->kind == NODE_SCALAR;

	if (scalar && (node->plain || strchr(node->text, '-')) &&
		port_range_parse(node->text, ret_range))
		return true;
	diagnostics_report(r->d, CODE_PORTS, node->at,
		"a port is a number from 1 to 65535 or a range such as \"3000-3999\"%s%s",
		scalar ? "; this is " : "", scalar ? node->text : "");
	return false;
}
