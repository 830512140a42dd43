/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/diff-internal.h"

#include "base/path.h"
#include "policy/decide-internal.h"

#include <fnmatch.h>
#include <limits.h>
#include <string.h>

/* Whether one pattern says all that another one says. Exact answers cost too much for what they
 * are worth: where it is not certain, the answer is no. */

#define STEPS_MAX 20000    /* of one comparison; beyond, the answer is no */
#define WORD_BYTES_MAX 255 /* as path_glob_match(): longer segments match nothing */

/* The narrow word is read as signs: a literal character, "?" (any one) or "*" (any number). */
static bool signs_cover(const char *wide, const char *narrow, unsigned *steps)
{
	if (++*steps > STEPS_MAX)
		return false;
	if (*wide == '\0')
		return *narrow == '\0';
	if (*wide == '*')
		return signs_cover(wide + 1, narrow, steps) ||
		       (*narrow && signs_cover(wide, narrow + 1, steps));
	if (*narrow == '\0' || *narrow == '*')
		return false;
	/* Bytes and characters are not the same to "?" in UTF-8. */
	if (*wide == '?')
		return (*narrow == '?' || (unsigned char)*narrow < 0x80) &&
		       signs_cover(wide + 1, narrow + 1, steps);
	return *wide == *narrow && signs_cover(wide + 1, narrow + 1, steps);
}

bool word_covers(const char *wide, const char *narrow)
{
	unsigned steps = 0;

	if (strcmp(wide, narrow) == 0 || strcmp(wide, "*") == 0)
		return true;
	if (!strpbrk(narrow, "*?["))
		return fnmatch(wide, narrow, FNM_NOESCAPE) == 0;
	if (strchr(wide, '[') || strchr(narrow, '['))
		return false;
	return signs_cover(wide, narrow, &steps);
}

static bool is_any_depth(const char *segment, size_t length)
{
	return length == 2 && segment[0] == '*' && segment[1] == '*';
}

static bool segment_covers(const char *wide, size_t wide_length, const char *narrow, size_t length)
{
	char w[WORD_BYTES_MAX + 1], n[WORD_BYTES_MAX + 1];

	if (wide_length > WORD_BYTES_MAX || length > WORD_BYTES_MAX)
		return false;
	memcpy(w, wide, wide_length);
	w[wide_length] = '\0';
	memcpy(n, narrow, length);
	n[length] = '\0';
	return word_covers(w, n);
}

/* A pattern that has ended covers everything beneath what it matched. */
static bool segments_cover(const char *wide, const char *narrow, unsigned *steps)
{
	size_t w, n;

	if (++*steps > STEPS_MAX)
		return false;
	wide += strspn(wide, "/");
	narrow += strspn(narrow, "/");
	w = strcspn(wide, "/");
	n = strcspn(narrow, "/");
	if (w == 0)
		return true;
	if (is_any_depth(wide, w))
		return segments_cover(wide + w, narrow, steps) ||
		       (n > 0 && segments_cover(wide, narrow + n, steps));
	if (n == 0 || is_any_depth(narrow, n) || !segment_covers(wide, w, narrow, n))
		return false;
	return segments_cover(wide + w, narrow + n, steps);
}

bool glob_covers(const char *wide, const char *narrow)
{
	unsigned steps = 0;

	return segments_cover(wide, narrow, &steps);
}

bool glob_meets(const char *pattern, const char *path)
{
	size_t fixed = strcspn(pattern, "*?[");
	char prefix[PATH_MAX];

	if (fixed >= sizeof(prefix))
		return true;
	memcpy(prefix, pattern, fixed);
	prefix[fixed] = '\0';
	if (pattern[fixed])
		*(strrchr(prefix, '/') ? strrchr(prefix, '/') : prefix) = '\0';
	if (prefix[0] == '\0')
		return true;
	return path_is_beneath(prefix, path) || path_is_beneath(path, prefix);
}

static bool is_pattern(const char *text)
{
	return strpbrk(text, "*?[") != NULL;
}

/* Some entry of the lists says all that the pattern says. */
static bool bars_cover(const struct profile *p, enum list_id first, const char *pattern)
{
	/* What takes away as much: deny and canaries as protect, and canaries as deny. */
	static const bool as_much[LIST_COUNT][LIST_COUNT] = {
		[LIST_FS_DENY] = {[LIST_FS_DENY] = true, [LIST_CANARIES] = true},
		[LIST_CANARIES] = {[LIST_CANARIES] = true},
		[LIST_PROTECT] =
			{[LIST_PROTECT] = true, [LIST_FS_DENY] = true, [LIST_CANARIES] = true},
	};

	for (enum list_id list = LIST_FS_DENY; list <= LIST_CANARIES; list++) {
		for (size_t i = 0; as_much[first][list] && i < diff_list_count(p, list); i++) {
			const struct path_rule *rule = diff_list_entry(p, list, i);

			if (glob_covers(rule->path, pattern))
				return true;
		}
	}
	return false;
}

/* Something that the pattern may cover can be reached without it. */
static bool is_reachable(const struct profile *p, const char *pattern)
{
	static const enum list_id grants[] = {LIST_READ, LIST_WRITE, LIST_FS_ASK, LIST_UNIX};

	for (size_t i = 0; i < array_size(grants); i++) {
		for (size_t j = 0; j < diff_list_count(p, grants[i]); j++) {
			const struct path_rule *rule = diff_list_entry(p, grants[i], j);

			if (glob_meets(pattern, rule->path))
				return true;
		}
	}
	for (size_t i = 0; decide_own_path(i); i++) {
		if (glob_meets(pattern, decide_own_path(i)))
			return true;
	}
	return p->fs.tmp.private && glob_meets(pattern, "/tmp");
}

/* A canary is more than a deny: its touch is an incident, so also a literal one is judged here. */
static void judge_bar(struct differ *d, struct change *c)
{
	const struct path_rule *rule = c->entry;
	const struct profile *other = c->added ? d->was.profile : d->now.profile;
	const struct profile *own = c->added ? d->now.profile : d->was.profile;
	bool canary = c->list == LIST_CANARIES;

	if (!rule->is_glob && !canary)
		return;
	if (bars_cover(other, c->list, rule->path))
		return;
	if (!canary && !is_reachable(other, rule->path) && !is_reachable(own, rule->path))
		return;
	diff_mark(c, !c->added, canary ? "whether a touch is an incident" : NULL);
}

static bool list_covers(const struct profile *p, enum list_id list, const char *pattern)
{
	for (size_t i = 0; i < diff_list_count(p, list); i++) {
		const struct string_rule *rule = diff_list_entry(p, list, i);

		if (word_covers(rule->text, pattern))
			return true;
	}
	return false;
}

/* What is hidden is also blanked in records, so a pattern counts even where nothing is passed. */
static void judge_variable(struct differ *d, struct change *c)
{
	const struct profile *other = c->added ? d->was.profile : d->now.profile;
	const struct profile *own = c->added ? d->now.profile : d->was.profile;
	const struct string_rule *rule = c->entry;

	if (c->list == LIST_SET) {
		/* Another value may mean anything, unless the run does not see it. */
		struct verdict v;

		decide(d->now.profile, OPERATION_ENV, ((const struct env_set *)c->entry)->name, &v);
		if (v.decision == DECISION_ALLOW)
			diff_mark(c, true, "another value cannot be compared");
		return;
	}
	if (list_covers(other, c->list, rule->text))
		return;
	if (c->list == LIST_HIDE)
		diff_mark(c, !c->added, "what is hidden from the run and from its records");
	else if (is_pattern(rule->text) && !list_covers(own, LIST_HIDE, rule->text))
		diff_mark(c, c->added, "variables that other rules do not name");
}

/* Words that a command line, as it is asked about, cannot hold. */
static void judge_command(struct change *c)
{
	const struct exec_rule *rule = c->entry;
	bool strange = false;

	for (size_t i = 0; i < rule->command_count; i++) {
		const char *word = i ? rule->command[i] : path_last(rule->command[i]);

		strange |= !*word;
		for (; *word; word++)
			strange |= (unsigned char)*word <= ' ' || *word == 0x7f;
	}
	if (!strange)
		return;
	if (c->list == LIST_EXEC_ASK)
		diff_mark(c, true, "cannot be compared");
	else
		diff_mark(c, c->added != (c->list == LIST_EXEC_DENY), "cannot be compared");
}

void diff_judge_patterns(struct differ *d)
{
	for (size_t i = 0; i < d->change_count; i++) {
		struct change *c = &d->changes[i];

		if (diff_lists[c->list].kind == ENTRY_EXEC)
			judge_command(c);
		else if (c->list == LIST_FAMILIES)
			diff_mark(c, c->added, NULL);
		else if (c->list == LIST_PASS || c->list == LIST_SET || c->list == LIST_HIDE)
			judge_variable(d, c);
		else if (diff_lists[c->list].kind == ENTRY_PATH && diff_lists[c->list].takes_away)
			judge_bar(d, c);
	}
}
