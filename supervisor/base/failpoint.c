/* SPDX-License-Identifier: Apache-2.0 */
#include "base/failpoint.h"

#ifdef BERM_FAILPOINTS

#include "base/own.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VARIABLE "BERM_FAILPOINT"
#define WORDS_MAX 4
#define POINTS_MAX 256 /* that are counted */

/* Their first and the one behind their last, from the linker: a section with a C name has these. */
extern const struct failpoint __start_berm_failpoints[], __stop_berm_failpoints[];

struct word {
	char name[64];
	unsigned long left; /* passes until it comes; 0: it came */
	int error;
};

static struct {
	bool is_read, is_shown, is_alone;
	struct word words[WORDS_MAX];
	unsigned count;
} asked;

static void __attribute__((noreturn)) die(void)
{
	raise(SIGKILL);
	_exit(137);
}

size_t failpoint_count(void)
{
	return (size_t)(__stop_berm_failpoints - __start_berm_failpoints);
}

const char *failpoint_name(size_t i)
{
	return __start_berm_failpoints[i].name;
}

static bool exists(const char *name)
{
	for (size_t i = 0; i < failpoint_count(); i++)
		if (strcmp(failpoint_name(i), name) == 0)
			return true;
	return false;
}

static void read_word(const char *at, size_t length)
{
	struct word *word = &asked.words[asked.count];
	char copy[sizeof(word->name) + 32], *end;

	if (length >= sizeof(copy) || asked.count == WORDS_MAX)
		die();
	memcpy(copy, at, length);
	copy[length] = '\0';
	if (strchr(copy, '='))
		return; /* failpoint_number() */
	asked.is_alone |= strcmp(copy, "alone") == 0;
	if (strcmp(copy, "alone") == 0)
		return;
	*word = (struct word){.left = 1};
	length = strcspn(copy, ":");
	snprintf(word->name, sizeof(word->name), "%.*s", (int)length, copy);
	if (copy[length] == ':') {
		word->left = strtoul(copy + length + 1, &end, 10);
		if (*end == ':')
			word->error = (int)strtol(end + 1, &end, 10);
		if (*end || word->left == 0 || word->error < 0)
			die();
	}
	if (!exists(word->name))
		die();
	asked.count++;
}

static void say(const char *word, const char *name, unsigned number)
{
	char line[100];
	int n = snprintf(line, sizeof(line), "%s %s:%u\n", word, name, number);

	(void)!write(STDERR_FILENO, line, (size_t)n);
}

static void list_all(void)
{
	for (size_t i = 0; i < failpoint_count(); i++)
		say("failpoint", failpoint_name(i), 0);
	_exit(0);
}

static void read_asked(void)
{
	const char *words = getenv(VARIABLE);

	asked.is_read = true;
	if (words && strcmp(words, "list") == 0)
		list_all();
	asked.is_shown = words && strcmp(words, "show") == 0;
	asked.is_alone = asked.is_shown;
	while (!asked.is_shown && words && *words) {
		size_t length = strcspn(words, ",");

		read_word(words, length);
		words += length + (words[length] == ',');
	}
}

/* How often this process, and those that it was forked from, came to it. */
static unsigned passed_now(const struct failpoint *point)
{
	static unsigned passes[POINTS_MAX];
	size_t i = (size_t)(point - __start_berm_failpoints);

	return i < POINTS_MAX ? ++passes[i] : 0;
}

int failpoint_pass(const struct failpoint *point)
{
	if (!asked.is_read)
		read_asked();
	if (asked.is_shown)
		say("failpoint", point->name, passed_now(point));
	for (unsigned i = 0; i < asked.count; i++) {
		struct word *word = &asked.words[i];

		if (word->left == 0 || strcmp(word->name, point->name) != 0 || --word->left > 0)
			continue;
		if (word->error)
			return -word->error;
		say("killed at", point->name, 1);
		die();
	}
	return 0;
}

char *failpoint_environment(void)
{
	if (!asked.is_read)
		read_asked();
	if (asked.is_alone)
		return NULL;
	for (char **at = environ; at && *at; at++)
		if (strncmp(*at, VARIABLE "=", sizeof(VARIABLE)) == 0)
			return *at;
	return NULL;
}

unsigned long long failpoint_number(const char *name, unsigned long long otherwise)
{
	const char *words = getenv(VARIABLE);
	const size_t length = strlen(name);

	while (words && *words) {
		if (strncmp(words, name, length) == 0 && words[length] == '=')
			return strtoull(words + length + 1, NULL, 10);
		words += strcspn(words, ",");
		words += *words == ',';
	}
	return otherwise;
}

#endif
