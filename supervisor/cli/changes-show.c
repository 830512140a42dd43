/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/changes-show.h"

#include "daemon/changes-view.h"

#include <string.h>

/* A change is shown whole or with a line that says what is not shown of it: whoever commits decides
 * by this list. */

#define PATH_SHOWN 4096
#define NAMES_SHOWN 1000 /* beneath one directory, unless all are asked for */

struct showing {
	struct change_set *set;
	const Berm__Wire__Change *change;
	const struct changes_showing *how;
	struct text *out;
	struct json *json;
	struct changes_spent *spent;
	size_t top; /* length of the change's own path */
	uint64_t shown, left_out, same;
	bool diffs; /* this time, what differs is shown */
	struct error *err;
};

void changes_put_path(struct text *out, const ProtobufCBinaryData *path, size_t most)
{
	const char *string = (const char *)path->data;

	if (path->len)
		text_escape(out, string, strnlen(string, path->len), most);
}

void changes_json_path(struct json *j, const char *key, const ProtobufCBinaryData *path)
{
	json_put_string_n(j, key, (const char *)path->data,
		path->len ? strnlen((const char *)path->data, path->len) : 0);
}

/* A name that could be taken for words of berm's own stands between quotes. */
static void put_name(struct text *out, const char *name)
{
	bool quotes = strpbrk(name, " \"()!") != NULL;

	text_puts(out, quotes ? "\"" : "");
	for (const char *at = name; *at;) {
		size_t n = strcspn(at, "\"");

		text_escape(out, at, n, PATH_SHOWN);
		at += n;
		if (*at == '"') {
			text_puts(out, "\\\"");
			at++;
		}
	}
	text_puts(out, quotes ? "\"" : "");
}

static bool is_usual(mode_t mode)
{
	return (mode & 07777) == (S_ISDIR(mode) ? 0755 : 0644) || S_ISLNK(mode);
}

static const char *type_word(mode_t mode)
{
	return S_ISDIR(mode) ? "a directory" : S_ISLNK(mode) ? "a link" : "a file";
}

static void put_link(struct showing *s, const struct changes_entry *entry)
{
	char to[4096];

	if (!entry->has_now || !S_ISLNK(entry->now.st_mode))
		return;
	text_puts(s->out, " -> ");
	if (changes_link(s->set, entry, false, to, sizeof(to)) < 0)
		text_puts(s->out, "(it cannot be read)");
	else
		put_name(s->out, to);
}

static void put_was(struct showing *s, const struct changes_entry *entry)
{
	char to[4096];

	if (!entry->has_old)
		return;
	if (S_ISLNK(entry->old.st_mode) && changes_link(s->set, entry, true, to, sizeof(to)) == 0) {
		text_puts(s->out, " (was a link to ");
		put_name(s->out, to);
		text_puts(s->out, ")");
	} else if (entry->has_now && (entry->old.st_mode & S_IFMT) != (entry->now.st_mode & S_IFMT))
		text_printf(s->out, " (was %s%s)", type_word(entry->old.st_mode),
			S_ISDIR(entry->old.st_mode) ? ", which goes with all beneath it" : "");
}

static void put_details(struct showing *s, const struct changes_entry *entry)
{
	autotext struct text attributes = {0};
	mode_t now = entry->now.st_mode, old = entry->old.st_mode;

	put_link(s, entry);
	put_was(s, entry);
	if (entry->has_now && entry->has_old && ((now ^ old) & 07777) && !S_ISLNK(now) &&
		(now & S_IFMT) == (old & S_IFMT))
		text_printf(s->out, " (mode %04o, was %04o)", now & 07777, old & 07777);
	else if (entry->has_now && !is_usual(now))
		text_printf(s->out, " (mode %04o)", now & 07777);
	if (changes_attributes(s->set, entry, &attributes) == 0 && attributes.length)
		text_printf(s->out, " (attributes: %s)", text_string(&attributes));
}

static bool is_top(const struct showing *s, const struct changes_entry *entry)
{
	return strlen(entry->path) == s->top;
}

static void put_row(struct showing *s, const struct changes_entry *entry)
{
	const Berm__Wire__Change *change = s->change;

	text_printf(s->out, "%-8s  ", changes_kind_word(change->kind));
	put_name(s->out, entry->path);
	if (entry->has_now ? S_ISDIR(entry->now.st_mode)
			   : change->staged && S_ISDIR(change->staged->mode))
		text_puts(s->out, "/");
	if (change->entries > 1)
		text_printf(s->out, " (%llu names)", (unsigned long long)change->entries);
	if (change->from.len) {
		text_puts(s->out, " (was ");
		put_name(s->out, (const char *)change->from.data);
		text_puts(s->out, ")");
	}
	put_details(s, entry);
	if (change->old && change->old->links > 1)
		text_printf(s->out, " (it has %u more names, which keep what they lead to)",
			change->old->links - 1);
	if (change->linked)
		text_printf(s->out, " (%llu of a file with several names: each becomes a file)",
			(unsigned long long)change->linked);
	if (change->left_out)
		text_printf(s->out, " (without %llu sockets, pipes or devices)",
			(unsigned long long)change->left_out);
	text_puts(s->out, "\n");
	if (*change->problem) {
		text_puts(s->out, "          ! ");
		text_escape(s->out, change->problem, strlen(change->problem), PATH_SHOWN);
		text_puts(s->out, "\n");
	}
}

static const char *within_word(const struct changes_entry *entry)
{
	return !entry->has_now ? "-" : entry->has_old ? "~" : "+";
}

static bool is_made(const struct changes_entry *entry)
{
	return !entry->has_now || S_ISREG(entry->now.st_mode) || S_ISDIR(entry->now.st_mode) ||
	       S_ISLNK(entry->now.st_mode);
}

/* Whether a name beneath is to be shown; what is not, is counted. */
static bool wants(struct showing *s, const struct changes_entry *entry)
{
	if (!is_made(entry))
		return false;
	if (entry->same && !S_ISDIR(entry->now.st_mode))
		s->same++;
	if (entry->same)
		return false;
	if (!s->how->all && s->shown >= NAMES_SHOWN) {
		s->left_out++;
		return false;
	}
	s->shown++;
	return true;
}

static int text_entry(void *context, const struct changes_entry *entry)
{
	struct showing *s = context;

	if (is_top(s, entry)) {
		put_row(s, entry);
	} else if (wants(s, entry)) {
		text_printf(s->out, "        %s ", within_word(entry));
		put_name(s->out, entry->path);
		if (S_ISDIR(entry->has_now ? entry->now.st_mode : entry->old.st_mode))
			text_puts(s->out, "/");
		put_details(s, entry);
		text_puts(s->out, "\n");
	}
	return s->out->failed ? -ENOMEM : 0;
}

static int diff_entry(void *context, const struct changes_entry *entry)
{
	struct showing *s = context;
	int r;

	/* Cannot be committed as it is: it is told as such. */
	if (!is_made(entry))
		return 0;
	r = changes_diff(s->set, entry, s->spent, s->out, s->err);
	return r < 0 ? r : s->out->failed ? -ENOMEM : 0;
}

static void json_side(
	struct showing *s, const char *key, const struct changes_entry *entry, bool old)
{
	const struct stat *st = old ? &entry->old : &entry->now;
	char mode[16], to[4096];

	if (!(old ? entry->has_old : entry->has_now))
		return;
	snprintf(mode, sizeof(mode), "%06o", st->st_mode);
	json_object_begin(s->json, key);
	json_put_string(s->json, "mode", mode);
	json_put_u64(s->json, "size", S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size);
	json_put_u64(s->json, "uid", st->st_uid);
	json_put_u64(s->json, "gid", st->st_gid);
	if (!S_ISDIR(st->st_mode))
		json_put_u64(s->json, "links", st->st_nlink);
	if (S_ISLNK(st->st_mode) && changes_link(s->set, entry, old, to, sizeof(to)) == 0)
		json_put_string_n(s->json, "to", to, strlen(to));
	json_object_end(s->json);
}

static void json_details(struct showing *s, const struct changes_entry *entry)
{
	autotext struct text attributes = {0};

	json_side(s, "before", entry, true);
	json_side(s, "after", entry, false);
	if (changes_attributes(s->set, entry, &attributes) == 0 && attributes.length)
		json_put_string(s->json, "attributes", text_string(&attributes));
}

static void json_head(struct showing *s, const struct changes_entry *entry)
{
	const Berm__Wire__Change *change = s->change;

	json_put_string(s->json, "kind", changes_kind_word(change->kind));
	changes_json_path(s->json, "path", &change->path);
	if (change->from.len)
		changes_json_path(s->json, "from", &change->from);
	json_put_u64(s->json, "names", change->entries);
	if (change->linked)
		json_put_u64(s->json, "linked", change->linked);
	if (change->left_out)
		json_put_u64(s->json, "left_out", change->left_out);
	json_details(s, entry);
	if (*change->problem)
		json_put_string(s->json, "problem", change->problem);
	json_array_begin(s->json, "within");
}

static int json_entry(void *context, const struct changes_entry *entry)
{
	struct showing *s = context;

	if (is_top(s, entry)) {
		json_head(s, entry);
	} else if (wants(s, entry)) {
		json_object_begin(s->json, NULL);
		json_put_string_n(s->json, "path", entry->path, strlen(entry->path));
		json_details(s, entry);
		json_object_end(s->json);
	}
	return s->out->failed ? -ENOMEM : 0;
}

static struct showing begin(const struct showing *all, size_t index)
{
	struct showing s = *all;
	const ProtobufCBinaryData *path;

	s.change = all->set->manifest->changes[index];
	path = &s.change->path;
	s.top = strnlen((const char *)path->data, path->len);
	return s;
}

static int show_json(struct showing *all)
{
	const Berm__Wire__ChangeManifest *m = all->set->manifest;
	int r = 0;

	json_array_begin(all->json, "changes");
	for (size_t i = 0; r == 0 && i < m->n_changes; i++) {
		struct showing s = begin(all, i);

		json_object_begin(all->json, NULL);
		r = changes_view(s.set, s.change, json_entry, &s, s.err);
		json_array_end(all->json);
		if (s.left_out)
			json_put_u64(all->json, "not_shown", s.left_out);
		if (s.same)
			json_put_u64(all->json, "unchanged", s.same);
		json_object_end(all->json);
	}
	json_array_end(all->json);
	return r;
}

static int show_text(struct showing *all)
{
	const Berm__Wire__ChangeManifest *m = all->set->manifest;
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->n_changes; i++) {
		struct showing s = begin(all, i);

		r = changes_view(s.set, s.change, text_entry, &s, s.err);
		if (s.same)
			text_printf(all->out, "          (%llu names in it stay as they are)\n",
				(unsigned long long)s.same);
		if (s.left_out)
			text_printf(all->out,
				"          (%llu more names in it are not shown; --all shows "
				"them)\n",
				(unsigned long long)s.left_out);
	}
	for (size_t i = 0; all->how->diff && r == 0 && i < m->n_changes; i++) {
		struct showing s = begin(all, i);

		r = changes_view(s.set, s.change, diff_entry, &s, s.err);
	}
	return r;
}

int changes_show(struct change_set *set, const struct changes_showing *how, struct text *out,
	struct error *err)
{
	autotext struct text conflicts = {0};
	struct changes_spent spent = {0};
	struct json j = {.out = out};
	struct showing all = {
		.set = set, .how = how, .out = out, .json = &j, .spent = &spent, .err = err};
	char digest[CHANGES_DIGEST_HEX];
	int r = changes_digest(set, digest);

	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "out of memory");
	/* What cannot be compared cannot be committed, and is shown all the same. */
	if (changes_conflicts(set, &conflicts, err) < 0) {
		text_escape(&conflicts, err->text, strlen(err->text), PATH_SHOWN);
		text_puts(&conflicts, "\n");
		*err = (struct error){0};
	}
	if (!how->json) {
		r = show_text(&all);
		if (r == 0 && conflicts.length)
			text_printf(out, "in the way of a commit:\n%s", text_string(&conflicts));
		if (r == 0)
			text_printf(out, "shown: %s\n", digest);
		return r;
	}
	json_object_begin(&j, NULL);
	json_put_string(&j, "run", set->run);
	changes_json_path(&j, "workspace", &set->head->workspace);
	json_put_string(&j, "profile", set->head->profile);
	json_put_string(&j, "shown", digest);
	json_put_bool(&j, "can_be_committed", conflicts.length == 0);
	if (conflicts.length)
		json_put_string(&j, "in_the_way", text_string(&conflicts));
	r = show_json(&all);
	json_object_end(&j);
	text_puts(out, "\n");
	return r;
}
