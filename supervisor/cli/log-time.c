/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/log-time.h"

#include "base/number.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#define NS 1000000000LL
#define YEAR_MIN 1970
#define YEAR_MAX 2200 /* 64 bits of nanoseconds reach to 2262 */

/* Exactly `digits` digits. */
static bool take_number(const char **at, int digits, int least, int most, int *ret_value)
{
	int value = 0;

	for (int i = 0; i < digits; i++) {
		if (!isdigit((unsigned char)(*at)[i]))
			return false;
		value = value * 10 + ((*at)[i] - '0');
	}
	*at += digits;
	*ret_value = value;
	return value >= least && value <= most;
}

static bool take_char(const char **at, const char *one_of)
{
	if (**at == '\0' || !strchr(one_of, **at))
		return false;
	(*at)++;
	return true;
}

static bool take_date(const char **at, struct tm *t)
{
	int year, month;

	if (!take_number(at, 4, YEAR_MIN, YEAR_MAX, &year) || !take_char(at, "-") ||
		!take_number(at, 2, 1, 12, &month) || !take_char(at, "-") ||
		!take_number(at, 2, 1, 31, &t->tm_mday))
		return false;
	t->tm_year = year - 1900;
	t->tm_mon = month - 1;
	return true;
}

/* "20:14", "20:14:03", "20:14:03.123456789" */
static bool take_clock(const char **at, struct tm *t, int64_t *ret_ns)
{
	int64_t unit = NS;

	if (!take_number(at, 2, 0, 23, &t->tm_hour) || !take_char(at, ":") ||
		!take_number(at, 2, 0, 59, &t->tm_min))
		return false;
	if (!take_char(at, ":"))
		return true;
	if (!take_number(at, 2, 0, 59, &t->tm_sec))
		return false;
	if (!take_char(at, "."))
		return true;
	for (; isdigit((unsigned char)**at) && unit > 1; (*at)++) {
		unit /= 10;
		*ret_ns += unit * (**at - '0');
	}
	return unit < NS;
}

/* "Z", "+01:00", "-0530"; *ret_local where there is none. */
static bool take_zone(const char **at, bool *ret_local, int64_t *ret_seconds)
{
	int hours, minutes, sign = **at == '-' ? -1 : 1;

	*ret_local = **at == '\0';
	*ret_seconds = 0;
	if (*ret_local || take_char(at, "Z"))
		return true;
	if (!take_char(at, "+-") || !take_number(at, 2, 0, 14, &hours))
		return false;
	(void)take_char(at, ":");
	if (!take_number(at, 2, 0, 59, &minutes))
		return false;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool parse_date(const char *words, int64_t *ret_ns)
{
	struct tm t = {.tm_isdst = -1}, given;
	const char *at = words;
	int64_t ns = 0, zone;
	time_t seconds;
	bool local;

	if (!take_date(&at, &t))
		return false;
	if ((*at == 'T' || *at == ' ') && (at++, !take_clock(&at, &t, &ns)))
		return false;
	if (!take_zone(&at, &local, &zone) || *at != '\0')
		return false;
	given = t;
	seconds = local ? mktime(&t) : timegm(&t) - zone;
	/* The calendar turns 31 February into 3 March: that was not meant. */
	if (t.tm_mday != given.tm_mday || t.tm_mon != given.tm_mon)
		return false;
	*ret_ns = (int64_t)seconds * NS + ns;
	return true;
}

bool log_time_parse(const char *words, int64_t now_ns, int64_t *ret_ns)
{
	uint64_t ms;

	if (number_parse_duration(words, &ms)) {
		int64_t back = ms > INT64_MAX / 1000000 ? INT64_MAX : (int64_t)ms * 1000000;

		*ret_ns = back > now_ns ? 0 : now_ns - back;
		return true;
	}
	return parse_date(words, ret_ns);
}

void log_time_put(struct text *out, int64_t ns)
{
	time_t seconds = (time_t)(ns / NS - (ns % NS < 0));
	struct tm t;

	if (!localtime_r(&seconds, &t) || t.tm_year > 8099 || t.tm_year < -1900)
		text_puts(out, "-");
	else
		text_printf(out, "%04d-%02d-%02d %02d:%02d:%02d", t.tm_year + 1900, t.tm_mon + 1,
			t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
}
