/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

#include <inttypes.h>
#include <string.h>

struct unit {
	const char *suffix;
	uint64_t factor;
};

/* Largest first: the formatter takes the first that divides. */
static const struct unit sizes[] = {
	{"TiB", 1ULL << 40},
	{"GiB", 1ULL << 30},
	{"MiB", 1ULL << 20},
	{"KiB", 1ULL << 10},
	{"", 1},
};

static const struct unit durations[] = {
	{"d", 86400000},
	{"h", 3600000},
	{"m", 60000},
	{"s", 1000},
	{"ms", 1},
};

static bool parse_digits(const char *text, size_t length, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (length == 0 || (text[0] == '0' && length > 1))
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
			return false;
	}
	*ret_value = value;
	return true;
}

static bool parse_with_unit(const char *text, const struct unit *units, size_t count, uint64_t *ret)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t value;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(text + digits, units[i].suffix) != 0)
			continue;
		if (!parse_digits(text, digits, &value) ||
			__builtin_mul_overflow(value, units[i].factor, &value))
			return false;
		*ret = value;
		return true;
	}
	return false;
}

static const char *format_with_unit(
	uint64_t value, const struct unit *units, size_t count, char *buffer, size_t capacity)
{
	size_t i = 0;

	while (i + 1 < count && (value == 0 || value % units[i].factor != 0))
		i++;
	snprintf(buffer, capacity, "%" PRIu64 "%s", value / units[i].factor, units[i].suffix);
	return buffer;
}

bool number_parse_u64(const char *text, uint64_t *ret_value)
{
	return parse_digits(text, strlen(text), ret_value);
}

bool number_parse_size(const char *text, uint64_t *ret_bytes)
{
	return parse_with_unit(text, sizes, array_size(sizes), ret_bytes);
}

bool number_parse_duration(const char *text, uint64_t *ret_ms)
{
	return parse_with_unit(text, durations, array_size(durations), ret_ms);
}

bool number_parse_percent(const char *text, uint64_t *ret_percent)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t value;

	if (strcmp(text + digits, "%") != 0 || !parse_digits(text, digits, &value) || value > 1000)
		return false;
	*ret_percent = value;
	return true;
}

const char *number_format_size(uint64_t bytes, char *buffer, size_t capacity)
{
	return format_with_unit(bytes, sizes, array_size(sizes), buffer, capacity);
}

const char *number_format_duration(uint64_t ms, char *buffer, size_t capacity)
{
	return format_with_unit(ms, durations, array_size(durations), buffer, capacity);
}
