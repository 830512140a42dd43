/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/diff-internal.h"

#include "base/path.h"
#include "policy/keys.h"

#include <string.h>

/* What diff_destroy() frees: the diff is its first member. */
struct compared {
	struct diff diff;
	struct arena arena;
};

/* A path rule that may be asked about by itself: no glob, and not berm's own. */
static void keep_literal(struct differ *d, struct path_rules *rules)
{
	struct path_rule *kept = arena_alloc(d->arena, (rules->count + 1) * sizeof(*kept));
	size_t count = 0;

	d->no_memory |= !kept;
	for (size_t i = 0; kept && i < rules->count; i++) {
		if (!rules->items[i].is_glob && rules->items[i].at.line)
			kept[count++] = rules->items[i];
	}
	*rules = (struct path_rules){kept, count};
}

static void side_init(struct differ *d, struct side *side, const struct profile *profile)
{
	side->profile = profile;
	side->literal = *profile;
	keep_literal(d, &side->literal.fs.deny);
	keep_literal(d, &side->literal.fs.protect);
	keep_literal(d, &side->literal.fs.canaries);
}

void diff_mark(struct change *change, bool wider, const char *example)
{
	const char **place = wider ? &change->wider_example : &change->narrower_example;

	*(wider ? &change->wider : &change->narrower) = true;
	if (!*place)
		*place = example;
}

/* Put a profile together that denies nothing but the entry, and see whether it denies the object:
 * then the entry speaks about it. Denies are read widely, so that nothing is missed. */
static bool speaks(const struct change *change, const struct probe *probe)
{
	union {
		const void *entry;
		struct path_rule *path;
		struct network_rule *network;
		struct exec_rule *exec;
		struct string_rule *string;
	} u = {change->entry};
	const struct env_set *set = change->entry;
	struct profile only = {0};
	struct string_rule name;
	struct verdict v;

	switch (diff_lists[change->list].kind) {
	case ENTRY_PATH:
		only.fs.deny = (struct path_rules){u.path, 1};
		break;
	case ENTRY_NETWORK:
		only.network.deny = (struct network_rules){u.network, 1};
		break;
	case ENTRY_EXEC:
		only.exec.deny = (struct exec_rules){u.exec, 1};
		break;
	case ENTRY_SET:
		name = (struct string_rule){.text = set->name};
		only.env.hide = (struct string_rules){&name, 1};
		break;
	case ENTRY_STRING:
		if (change->list == LIST_FAMILIES)
			return probe->operation == OPERATION_CONNECT &&
			       (strcmp(u.string->text, "unix") == 0) ==
				       (strncmp(probe->object, "unix:", 5) == 0);
		if (change->list == LIST_CALLS_GROUPS)
			only.syscalls.deny_groups = (struct string_rules){u.string, 1};
		else if (change->list == LIST_PASS || change->list == LIST_HIDE)
			only.env.hide = (struct string_rules){u.string, 1};
		else
			only.syscalls.deny = (struct string_rules){u.string, 1};
		break;
	case ENTRY_KINDS:
		break;
	}
	decide(&only, probe->operation, probe->object, &v);
	return strcmp(v.rule, "fs.deny") == 0 || strcmp(v.rule, "network.deny") == 0 ||
	       strcmp(v.rule, "exec.deny") == 0 || strcmp(v.rule, "env.hide") == 0 ||
	       strncmp(v.rule, "syscalls.deny", strlen("syscalls.deny")) == 0;
}

/* An entry that allows came, or one that takes away went; an ask can do either. */
static bool is_likely(const struct change *c, bool wider)
{
	if (c->list == LIST_FS_ASK || c->list == LIST_NET_ASK || c->list == LIST_EXEC_ASK)
		return true;
	return (c->added != diff_lists[c->list].takes_away) == wider;
}

static bool moved(unsigned was, unsigned now, bool wider)
{
	return wider ? now > was : now < was;
}

/* A single value changed that may have done it: there is a line about that one. */
static bool value_accounts(const struct differ *d, const struct probe *probe, bool wider)
{
	const struct profile *was = d->was.profile, *now = d->now.profile;
	const char *path =
		strncmp(probe->object, "unix:", 5) == 0 ? probe->object + 5 : probe->object;

	switch (probe->operation) {
	case OPERATION_EXEC:
		return moved(was->exec.default_decision, now->exec.default_decision, wider);
	case OPERATION_SYSCALL:
		return moved(was->syscalls.base == SYSCALL_BASE_DEFAULT,
			now->syscalls.base == SYSCALL_BASE_DEFAULT, wider);
	case OPERATION_CONNECT:
		if (path == probe->object)
			return moved(was->network.mode, now->network.mode, wider);
		return path_is_beneath(path, "/tmp") &&
		       moved(was->fs.tmp.private, now->fs.tmp.private, wider);
	case OPERATION_READ:
	case OPERATION_WRITE:
		return path_is_beneath(path, "/tmp") &&
		       moved(was->fs.tmp.private, now->fs.tmp.private, wider);
	case OPERATION_ENV:
	case OPERATION_COUNT:
		break;
	}
	return false;
}

/* likely: on those changes whose kind does this; else on the others, since a grant of writing that
 * went may let programs run. */
static bool book(struct differ *d, const struct probe *probe, const char *example, bool likely)
{
	bool wider = probe->now > probe->was, booked = false;

	for (size_t i = 0; i < d->change_count; i++) {
		struct change *c = &d->changes[i];

		if (is_likely(c, wider) != likely || !speaks(c, probe))
			continue;
		diff_mark(c, wider, example);
		booked = true;
	}
	return booked;
}

void diff_book(struct differ *d, const struct probe *probe)
{
	bool wider = probe->now > probe->was;
	const char *example;

	if (probe->now == probe->was)
		return;
	example = diff_words(d, "%s %s: %s -> %s", operation_name(probe->operation), probe->object,
		decision_name(probe->was), decision_name(probe->now));
	if (book(d, probe, example, true) || value_accounts(d, probe, wider) ||
		book(d, probe, example, false))
		return;
	if (wider && !d->loose[probe->operation])
		d->loose[probe->operation] = example;
}

/* twin: what took the place of the entry, or NULL. */
static void add_change_line(struct differ *d, const struct change *c, const struct change *twin,
	enum diff_direction direction)
{
	const struct change *was = c->added ? twin : c, *now = c->added ? c : twin;
	struct diff_line line = {
		.direction = direction,
		.key = diff_lists[c->list].key,
		.was = was ? was->words : NULL,
		.was_at = was ? was->at : (struct source){0},
		.now = now ? now->words : NULL,
		.now_at = now ? now->at : (struct source){0},
	};

	if (direction != DIFF_SAME)
		line.example = direction == DIFF_WIDER ? c->wider_example : c->narrower_example;
	diff_add_line(d, &line);
}

/* The entry of env.set of the other side with the same name, or NULL. */
static struct change *twin_of(struct differ *d, const struct change *c)
{
	const struct env_set *set = c->entry;

	for (size_t i = 0; c->list == LIST_SET && i < d->change_count; i++) {
		const struct env_set *other = d->changes[i].entry;

		if (d->changes[i].list == LIST_SET && d->changes[i].added != c->added &&
			strcmp(other->name, set->name) == 0)
			return &d->changes[i];
	}
	return NULL;
}

static void add_change_lines(struct differ *d)
{
	for (size_t i = 0; i < d->change_count; i++) {
		const struct change *c = &d->changes[i];
		const struct change *twin = twin_of(d, c);

		if (twin && c->added)
			continue;
		if (c->wider)
			add_change_line(d, c, twin, DIFF_WIDER);
		if (c->narrower)
			add_change_line(d, c, twin, DIFF_NARROWER);
		if (!c->wider && !c->narrower)
			add_change_line(d, c, twin, DIFF_SAME);
	}
}

/* What no other line accounts for. */
static void add_loose_lines(struct differ *d)
{
	static const char *const keys[OPERATION_COUNT] = {[OPERATION_READ] = "fs",
		[OPERATION_WRITE] = "fs",
		[OPERATION_EXEC] = "exec",
		[OPERATION_CONNECT] = "network",
		[OPERATION_SYSCALL] = "syscalls",
		[OPERATION_ENV] = "env"};

	for (size_t i = 0; i < OPERATION_COUNT; i++) {
		if (d->loose[i])
			diff_add_line(d, &(struct diff_line){.direction = DIFF_WIDER,
						 .key = keys[i],
						 .example = d->loose[i]});
	}
}

static int by_weight(const void *a, const void *b)
{
	const struct diff_line *left = a, *right = b;
	const struct source *l = left->was ? &left->was_at : &left->now_at;
	const struct source *r = right->was ? &right->was_at : &right->now_at;
	int order = (int)right->direction - (int)left->direction;

	if (order == 0)
		order = strcmp(left->key, right->key);
	if (order == 0)
		order = (left->was == NULL) - (right->was == NULL);
	return order ? order : (l->line > r->line) - (l->line < r->line);
}

static bool section_moved(const struct diff *diff, const char *section)
{
	size_t n = strlen(section);

	for (size_t i = 0; i < diff->count; i++) {
		const struct diff_line *line = &diff->lines[i];

		if (line->direction != DIFF_SAME && strncmp(line->key, section, n) == 0 &&
			(line->key[n] == '\0' || line->key[n] == '.' || line->key[n] == '['))
			return true;
	}
	return false;
}

/* Keys of the language that say nothing about what a run may do. */
static bool is_silent(const char *key)
{
	static const char *const silent[] = {
		"version", "name", "description", "extends", "remove", "tests"};

	for (size_t i = 0; i < array_size(silent); i++) {
		if (strcmp(silent[i], key) == 0)
			return true;
	}
	return false;
}

static void sum_up(struct differ *d)
{
	struct diff *out = d->out;
	size_t count = 0;

	if (out->count > 0)
		qsort(out->lines, out->count, sizeof(*out->lines), by_weight);
	for (size_t i = 0; i < out->count; i++) {
		if (out->lines[i].direction > out->direction)
			out->direction = out->lines[i].direction;
	}
	while (sections[SECTION_TOP].keys[count].name)
		count++;
	out->same = arena_alloc(d->arena, count * sizeof(*out->same));
	d->no_memory |= !out->same;
	for (size_t i = 0; out->same && i < count; i++) {
		const char *key = sections[SECTION_TOP].keys[i].name;

		if (!is_silent(key) && !section_moved(out, key))
			out->same[out->same_count++] = key;
	}
}

int profile_diff(const struct profile *was, const struct profile *now, struct diff **ret_diff,
	struct error *err)
{
	struct compared *compared = calloc(1, sizeof(*compared));
	struct differ d = {0};

	if (!compared)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	d.arena = &compared->arena;
	d.out = &compared->diff;
	side_init(&d, &d.was, was);
	side_init(&d, &d.now, now);
	if (!d.no_memory)
		diff_find_changes(&d);
	if (!d.no_memory) {
		diff_probe_paths(&d);
		diff_probe_commands(&d);
		diff_probe_network(&d);
		diff_probe_listen(&d);
		diff_probe_names(&d);
		diff_judge_patterns(&d);
		add_change_lines(&d);
		diff_scalars(&d);
		diff_pace(&d);
		diff_recorder(&d);
		diff_approvals(&d);
		diff_pending(&d);
		diff_workspace(&d);
		add_loose_lines(&d);
		sum_up(&d);
	}
	if (d.no_memory) {
		diff_destroy(&compared->diff);
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	}
	*ret_diff = &compared->diff;
	return 0;
}

void diff_destroy(struct diff *diff)
{
	struct compared *compared = (struct compared *)diff;

	if (!compared)
		return;
	arena_finish(&compared->arena);
	free(compared);
}

const char *diff_direction_name(enum diff_direction direction)
{
	static const char *const names[DIFF_COUNT] = {
		[DIFF_SAME] = "SAME", [DIFF_NARROWER] = "NARROWER", [DIFF_WIDER] = "WIDER"};

	return names[direction];
}
