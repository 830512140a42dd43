/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hold-internal.h"

#include "base/json.h"
#include "wire/held.h"

#include <limits.h>
#include <sodium.h>
#include <string.h>

#define ARGUMENT_BYTES 200
#define DETAILS_BYTES 4000
#define SHOWN_BYTES 4000 /* what fits on a screen or two */

/* ---- for people ---- */

/* False where it did not fit. */
static bool put_escaped(struct text *out, const char *bytes, size_t length, size_t max_bytes)
{
	autotext struct text all = {0};

	text_escape(&all, bytes, length, SIZE_MAX);
	text_escape(out, bytes, length, max_bytes);
	return !all.failed && all.length <= max_bytes;
}

/* In quotes where it could be taken for several words, or for none. */
static void put_word(const ProtobufCBinaryData *word, size_t max_bytes, struct text *out)
{
	const char *bytes = (const char *)word->data;
	bool quoted = word->len == 0 || memchr(bytes, ' ', word->len) ||
		      memchr(bytes, '"', word->len) || memchr(bytes, '\'', word->len);
	size_t start = out->length;

	if (quoted)
		text_puts(out, "\"");
	for (size_t i = 0; i < word->len && out->length - start < max_bytes;) {
		const char *quote = memchr(bytes + i, '"', word->len - i);
		size_t length = quote ? (size_t)(quote - bytes) - i : word->len - i;

		text_escape(out, bytes + i, length, max_bytes - (out->length - start));
		i += length;
		if (i < word->len) {
			text_puts(out, "\\\"");
			i++;
		}
	}
	if (quoted)
		text_puts(out, "\"");
}

bool hold_line(const Berm__Wire__ApprovalRequest *shown, size_t max_bytes, struct text *out)
{
	size_t start = out->length;
	autotext struct text whole = {0};

	for (size_t i = 0; i < shown->n_argv; i++) {
		if (i)
			text_puts(&whole, " ");
		put_word(&shown->argv[i], REQUESTS_BYTES_MAX, &whole);
	}
	if (whole.length <= max_bytes) {
		text_append(out, text_string(&whole), whole.length);
		return !whole.failed;
	}
	/* What was escaped is ASCII and whole characters: to be cut between two of them. */
	while (max_bytes && ((unsigned char)whole.data[max_bytes] & 0xc0) == 0x80)
		max_bytes--;
	text_append(out, whole.data, max_bytes);
	text_printf(out, "… (%zu of %zu bytes)", out->length - start, whole.length);
	return false;
}

static void put_words(struct text *out, const char *before, const char *words)
{
	if (!words[0])
		return;
	text_puts(out, before);
	text_escape(out, words, strlen(words), ARGUMENT_BYTES);
}

bool hold_details(const Berm__Wire__ApprovalRequest *shown, const char *before, struct text *out)
{
	bool whole = true;
	const char *line = (const char *)shown->details.data, *end = line + shown->details.len;

	while (line && line < end) {
		const char *feed = memchr(line, '\n', (size_t)(end - line));
		size_t length = feed ? (size_t)(feed - line) : (size_t)(end - line);

		text_puts(out, before);
		whole = put_escaped(out, line, length, DETAILS_BYTES) && whole;
		line += length + 1;
	}
	return whole;
}

bool hold_words(const struct hold_question *q, struct text *out)
{
	const Berm__Wire__ApprovalRequest *shown = q->shown;
	bool whole;

	text_puts(out, "berm: the profile ");
	put_words(out, "", shown->profile);
	put_words(out, ", agent ", shown->agent);
	put_words(out, ", group ", shown->group);
	put_words(out, ", task ", shown->task);
	text_puts(out, shown->on == HELD_COMMIT  ? " wants to keep what this run changed, in "
		       : shown->on == HELD_WRITE ? " wants to write for the first time, in "
						 : " wants to run, in ");
	text_escape(out, (const char *)shown->directory.data, shown->directory.len, PATH_MAX);
	text_puts(out, ":\n  ");
	whole = hold_line(shown, SHOWN_BYTES, out);
	put_words(out, "\n  asked because ", q->why ? q->why : "");
	/* Of a commit as much is shown as there is room for, and the digest of all. */
	whole = (hold_details(shown, "\n  ", out) || shown->on == HELD_COMMIT) && whole;
	return whole && out->length < 3 * SHOWN_BYTES && !out->failed;
}

/* ---- for programs ---- */

static void put_bytes(struct json *j, const char *key, const ProtobufCBinaryData *bytes)
{
	json_put_string_n(j, key, (const char *)bytes->data, bytes->len);
}

static void put_hex(struct json *j, const char *key, const ProtobufCBinaryData *bytes)
{
	char hex[2 * 64 + 1] = "";

	if (bytes->len && bytes->len <= 64)
		sodium_bin2hex(hex, sizeof(hex), bytes->data, bytes->len);
	json_put_string(j, key, hex);
}

static void put_or_null(struct json *j, const char *key, const char *words)
{
	json_put_string(j, key, words && words[0] ? words : NULL);
}

void hold_json_chain(const Berm__Wire__ApprovalRequest *shown, struct json *j)
{
	json_array_begin(j, "delegated_by");
	for (size_t i = 0; i < shown->n_delegated_by; i++) {
		json_object_begin(j, NULL);
		json_put_string(j, "run", shown->delegated_by[i]->run);
		json_put_string(j, "agent", shown->delegated_by[i]->agent);
		json_put_string(j, "agent_id", shown->delegated_by[i]->agent_id);
		json_object_end(j);
	}
	json_array_end(j);
}

void hold_json(
	const struct hold_question *question, const char *id, const char *gate, struct text *out)
{
	const Berm__Wire__ApprovalRequest *shown = question->shown;
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", 1);
	json_put_string(&j, "on", hold_moment(shown->on));
	put_or_null(&j, "id", id);
	put_or_null(&j, "gate", gate);
	json_put_string(&j, "run", question->run);
	put_or_null(&j, "agent", shown->agent);
	put_or_null(&j, "group", shown->group);
	put_or_null(&j, "task", shown->task);
	hold_json_chain(shown, &j);
	json_put_string(&j, "profile", shown->profile);
	put_hex(&j, "profile_digest", &shown->profile_digest);
	json_array_begin(&j, "argv");
	for (size_t i = 0; i < shown->n_argv; i++)
		put_bytes(&j, NULL, &shown->argv[i]);
	json_array_end(&j);
	put_bytes(&j, "directory", &shown->directory);
	json_put_u64(&j, "uid", shown->uid);
	put_or_null(&j, "user", shown->user);
	put_or_null(&j, "why", question->why);
	if (shown->details.len)
		put_bytes(&j, "details", &shown->details);
	if (question->changes)
		json_put_json(&j, "changes", question->changes, strcspn(question->changes, "\n"));
	put_hex(&j, "digest", &shown->digest);
	json_object_end(&j);
	text_puts(out, "\n");
}
