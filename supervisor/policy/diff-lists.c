/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/diff-internal.h"

#include "base/path.h"

#include <stdarg.h>
#include <string.h>

#define LIST(name, kind_, takes, member)                                                           \
	{                                                                                          \
		.key = (name), .kind = (kind_), .takes_away = (takes),                             \
		.offset = offsetof(struct profile, member)                                         \
	}

const struct diff_list diff_lists[LIST_COUNT] = {
	[LIST_READ] = LIST("fs.read", ENTRY_PATH, false, fs.read),
	[LIST_WRITE] = LIST("fs.write", ENTRY_PATH, false, fs.write),
	[LIST_FS_ASK] = LIST("fs.ask", ENTRY_PATH, false, fs.ask),
	[LIST_FS_DENY] = LIST("fs.deny", ENTRY_PATH, true, fs.deny),
	[LIST_PROTECT] = LIST("fs.protect", ENTRY_PATH, true, fs.protect),
	[LIST_CANARIES] = LIST("fs.canaries", ENTRY_PATH, true, fs.canaries),
	[LIST_NET_ALLOW] = LIST("network.allow", ENTRY_NETWORK, false, network.allow),
	[LIST_NET_ASK] = LIST("network.ask", ENTRY_NETWORK, false, network.ask),
	[LIST_NET_DENY] = LIST("network.deny", ENTRY_NETWORK, true, network.deny),
	[LIST_LISTEN] = LIST("network.listen", ENTRY_STRING, false, network.listen),
	[LIST_UNIX] = LIST("network.unix", ENTRY_PATH, false, network.unix_sockets),
	[LIST_EXEC_ALLOW] = LIST("exec.allow", ENTRY_EXEC, false, exec.allow),
	[LIST_EXEC_ASK] = LIST("exec.ask", ENTRY_EXEC, false, exec.ask),
	[LIST_EXEC_DENY] = LIST("exec.deny", ENTRY_EXEC, true, exec.deny),
	[LIST_CALLS] = LIST("syscalls.allow", ENTRY_STRING, false, syscalls.allow),
	[LIST_CALLS_DENY] = LIST("syscalls.deny", ENTRY_STRING, true, syscalls.deny),
	[LIST_CALLS_GROUPS] =
		LIST("syscalls.deny_groups", ENTRY_STRING, true, syscalls.deny_groups),
	[LIST_FAMILIES] = LIST("syscalls.families", ENTRY_STRING, false, syscalls.families),
	[LIST_PASS] = LIST("env.pass", ENTRY_STRING, false, env.pass),
	[LIST_SET] = LIST("env.set", ENTRY_SET, false, env.set),
	[LIST_HIDE] = LIST("env.hide", ENTRY_STRING, true, env.hide),
};

static const size_t entry_sizes[ENTRY_KINDS] = {
	[ENTRY_PATH] = sizeof(struct path_rule),
	[ENTRY_NETWORK] = sizeof(struct network_rule),
	[ENTRY_EXEC] = sizeof(struct exec_rule),
	[ENTRY_STRING] = sizeof(struct string_rule),
	[ENTRY_SET] = sizeof(struct env_set),
};

/* What every list of struct profile looks like. */
struct any_rules {
	const void *items;
	size_t count;
};

static const struct any_rules *list_of(const struct profile *profile, enum list_id list)
{
	return (const void *)((const char *)profile + diff_lists[list].offset);
}

size_t diff_list_count(const struct profile *profile, enum list_id list)
{
	return list_of(profile, list)->count;
}

const void *diff_list_entry(const struct profile *profile, enum list_id list, size_t i)
{
	return (const char *)list_of(profile, list)->items + i * entry_sizes[diff_lists[list].kind];
}

const char *diff_words(struct differ *d, const char *format, ...)
{
	autofree char *printed = NULL;
	const char *kept;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vasprintf(&printed, format, arguments);
	va_end(arguments);
	if (n < 0)
		printed = NULL;
	kept = printed ? arena_string(d->arena, printed) : NULL;
	d->no_memory |= !kept;
	return kept ? kept : "";
}

void diff_add_line(struct differ *d, const struct diff_line *line)
{
	struct diff_line *grown =
		arena_grow(d->arena, d->out->lines, d->out->count, sizeof(*grown));

	d->no_memory |= !grown;
	if (!grown)
		return;
	d->out->lines = grown;
	grown[d->out->count++] = *line;
}

/* A word among others, so that two lists of words never look alike. */
static void put_word(const char *word, struct text *out)
{
	if (word[0] && !word[strcspn(word, " ,[]\"\\")]) {
		text_puts(out, word);
		return;
	}
	text_puts(out, "\"");
	for (; *word; word++) {
		if (strchr("\"\\", *word))
			text_puts(out, "\\");
		text_append(out, word, 1);
	}
	text_puts(out, "\"");
}

static void put_network(const struct network_rule *rule, struct text *out)
{
	text_puts(out, rule->host ? rule->host : rule->cidr ? rule->cidr : "");
	for (size_t i = 0; i < rule->port_count; i++) {
		text_printf(out, "%c%u", i ? ',' : ':', rule->ports[i][0]);
		if (rule->ports[i][1] != rule->ports[i][0])
			text_printf(out, "-%u", rule->ports[i][1]);
	}
	if (rule->proto)
		text_printf(out, "/%s", rule->proto);
	for (size_t i = 0; i < rule->by_count; i++) {
		text_puts(out, i ? ", " : " by ");
		put_word(rule->by[i], out);
	}
}

static void put_exec(const struct exec_rule *rule, struct text *out)
{
	if (rule->path) {
		text_puts(out, rule->path);
		return;
	}
	text_puts(out, "[");
	for (size_t i = 0; i < rule->command_count; i++) {
		text_puts(out, i ? ", " : "");
		put_word(rule->command[i], out);
	}
	text_puts(out, "]");
}

/* What the entry means, so that equal words are equal entries. */
static void put_entry(enum list_id list, const void *entry, struct text *out)
{
	static const char *const accesses[PATH_ACCESS_COUNT] = {
		[PATH_READ] = "read", [PATH_WRITE] = "write"};
	const struct path_rule *path = entry;
	const struct env_set *set = entry;

	switch (diff_lists[list].kind) {
	case ENTRY_PATH:
		if (path->no_exec)
			text_puts(out, "no programs ");
		if (list == LIST_FS_ASK)
			text_printf(out, "%s ", accesses[path->access]);
		text_puts(out, path->path);
		break;
	case ENTRY_NETWORK:
		put_network(entry, out);
		break;
	case ENTRY_EXEC:
		put_exec(entry, out);
		break;
	case ENTRY_STRING:
		text_puts(out, ((const struct string_rule *)entry)->text);
		break;
	case ENTRY_SET:
		text_printf(out, "%s=%s", set->name, set->value);
		break;
	case ENTRY_KINDS:
		break;
	}
}

static struct source place_of(enum list_id list, const void *entry)
{
	switch (diff_lists[list].kind) {
	case ENTRY_PATH:
		return ((const struct path_rule *)entry)->at;
	case ENTRY_NETWORK:
		return ((const struct network_rule *)entry)->at;
	case ENTRY_EXEC:
		return ((const struct exec_rule *)entry)->at;
	case ENTRY_STRING:
		return ((const struct string_rule *)entry)->at;
	case ENTRY_SET:
		return ((const struct env_set *)entry)->at;
	case ENTRY_KINDS:
		break;
	}
	return (struct source){0};
}

static bool is_optional(enum list_id list, const void *entry)
{
	if (diff_lists[list].kind == ENTRY_PATH)
		return ((const struct path_rule *)entry)->optional;
	return diff_lists[list].kind == ENTRY_EXEC && ((const struct exec_rule *)entry)->optional;
}

/* An entry with its words, in both directions of the comparison. */
struct worded {
	const char *words;
	const void *entry;
	bool other; /* the other side has it as well */
};

static int by_words(const void *a, const void *b)
{
	const struct worded *left = a, *right = b;

	return strcmp(left->words, right->words);
}

/* The entries of one list, each once, sorted by their words; NULL (and no_memory) without memory.
 */
static struct worded *worded_list(
	struct differ *d, const struct side *side, enum list_id list, size_t *ret_count)
{
	size_t count = diff_list_count(side->profile, list), kept = 0;
	struct worded *all = arena_alloc(d->arena, (count + 1) * sizeof(*all));

	d->no_memory |= !all;
	for (size_t i = 0; all && i < count; i++) {
		const void *entry = diff_list_entry(side->profile, list, i);
		autotext struct text words = {0};

		/* What berm adds to protect the files of the profile itself. */
		if (list == LIST_PROTECT && !place_of(list, entry).line)
			continue;
		put_entry(list, entry, &words);
		d->no_memory |= words.failed;
		all[kept].words = diff_words(d, "%s", text_string(&words));
		all[kept++].entry = entry;
	}
	if (all)
		qsort(all, kept, sizeof(*all), by_words);
	count = kept;
	kept = 0;
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || strcmp(all[kept - 1].words, all[i].words) != 0)
			all[kept++] = all[i];
	}
	*ret_count = kept;
	return all;
}

static void add_optional(
	struct differ *d, enum list_id list, const struct worded *was, const struct worded *now)
{
	bool optional = is_optional(list, now->entry);

	if (is_optional(list, was->entry) == optional)
		return;
	diff_add_line(
		d, &(struct diff_line){
			   .direction = optional ? DIFF_WIDER : DIFF_NARROWER,
			   .key = diff_lists[list].key,
			   .was = diff_words(d, "%s%s", was->words, optional ? "" : " (optional)"),
			   .now = diff_words(d, "%s%s", now->words, optional ? " (optional)" : ""),
			   .was_at = place_of(list, was->entry),
			   .now_at = place_of(list, now->entry),
			   .example = optional ? "a run also starts without it"
					       : "a run does not start without it",
		   });
}

static void add_changes(
	struct differ *d, enum list_id list, const struct worded *entries, size_t count, bool added)
{
	for (size_t i = 0; i < count; i++) {
		struct change *grown;

		if (entries[i].other)
			continue;
		grown = arena_grow(d->arena, d->changes, d->change_count, sizeof(*grown));
		d->no_memory |= !grown;
		if (!grown)
			return;
		d->changes = grown;
		grown[d->change_count++] = (struct change){
			.list = list,
			.entry = entries[i].entry,
			.added = added,
			.words = entries[i].words,
			.at = place_of(list, entries[i].entry),
		};
	}
}

void diff_find_changes(struct differ *d)
{
	for (enum list_id list = 0; list < LIST_COUNT; list++) {
		size_t was_count = 0, now_count = 0, i = 0, j = 0;
		struct worded *was = worded_list(d, &d->was, list, &was_count);
		struct worded *now = worded_list(d, &d->now, list, &now_count);

		if (!was || !now)
			return;
		while (i < was_count && j < now_count) {
			int order = strcmp(was[i].words, now[j].words);

			if (order == 0) {
				was[i].other = now[j].other = true;
				add_optional(d, list, &was[i], &now[j]);
			}
			i += order <= 0;
			j += order >= 0;
		}
		add_changes(d, list, was, was_count, false);
		add_changes(d, list, now, now_count, true);
	}
}
