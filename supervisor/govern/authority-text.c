/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/authority.h"

#include "base/number.h"
#include "govern/pace-words.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define HEAD "berm pace statement 2"

static void write_hex(struct text *out, const char *name, const uint8_t *bytes, size_t length)
{
	char hex[2 * AUTHORITY_SIGNATURE_BYTES + 1];

	sodium_bin2hex(hex, sizeof(hex), bytes, length);
	text_printf(out, "%s: %s\n", name, hex);
}

static void write_review(struct text *out, unsigned review)
{
	bool first = true;

	text_puts(out, "review:");
	for (unsigned bit = 1; bit < PACE_REVIEW_ALL; bit <<= 1) {
		if (!(review & bit))
			continue;
		text_printf(out, "%s%s", first ? " " : ",", pace_review_name(bit));
		first = false;
	}
	text_puts(out, first ? " none\n" : "\n");
}

int authority_write(const struct authority_signed *s, char ret_text[AUTHORITY_TEXT_MAX])
{
	const struct authority_statement *st = &s->statement;
	autotext struct text out = {0};

	if (!authority_statement_is_good(st))
		return -EINVAL;
	text_printf(&out, HEAD "\ngroup: %s\n", st->group);
	write_hex(&out, "id", st->id, sizeof(st->id));
	text_printf(&out,
		"changes: %" PRIu64 "\nfrom: %s\nto: %s\ntrigger: %s\nrole: %s\nagent: %s\n",
		st->changes, phase_name(st->from), phase_name(st->to),
		pace_trigger_name(st->trigger), pace_authority_name(st->role),
		st->agent[0] ? st->agent : "none");
	write_hex(&out, "subject", st->subject, sizeof(st->subject));
	write_review(&out, st->review);
	text_printf(&out, "reason: %s\nsigned: %" PRIu64 "\n", st->reason, st->signed_ms);
	write_hex(&out, "nonce", st->nonce, sizeof(st->nonce));
	write_hex(&out, "key", s->key, sizeof(s->key));
	write_hex(&out, "signature", s->signature, sizeof(s->signature));
	if (out.failed)
		return -ENOMEM;
	if (out.length >= AUTHORITY_TEXT_MAX)
		return -EMSGSIZE;
	memcpy(ret_text, text_string(&out), out.length + 1);
	return 0;
}

static bool parse_hex(const char *word, uint8_t *to, size_t length)
{
	size_t got = 0;

	return sodium_hex2bin(to, length, word, strlen(word), NULL, &got, NULL) == 0 &&
	       got == length;
}

static bool take_group(struct authority_signed *s, const char *word)
{
	snprintf(s->statement.group, sizeof(s->statement.group), "%.*s", PACE_NAME_MAX, word);
	return agent_name_is_good(word);
}

static bool take_id(struct authority_signed *s, const char *word)
{
	return parse_hex(word, s->statement.id, sizeof(s->statement.id));
}

static bool take_changes(struct authority_signed *s, const char *word)
{
	return number_parse_u64(word, &s->statement.changes);
}

static bool take_agent(struct authority_signed *s, const char *word)
{
	if (strcmp(word, "none") == 0)
		return true;
	snprintf(s->statement.agent, sizeof(s->statement.agent), "%.*s", AGENT_ID_BYTES, word);
	return agent_id_is_good(word);
}

static bool take_subject(struct authority_signed *s, const char *word)
{
	return parse_hex(word, s->statement.subject, sizeof(s->statement.subject));
}

static bool take_from(struct authority_signed *s, const char *word)
{
	return pace_phase_parse(word, &s->statement.from);
}

static bool take_to(struct authority_signed *s, const char *word)
{
	return pace_phase_parse(word, &s->statement.to);
}

static bool take_trigger(struct authority_signed *s, const char *word)
{
	return pace_trigger_parse(word, &s->statement.trigger);
}

static bool take_role(struct authority_signed *s, const char *word)
{
	return pace_authority_parse(word, &s->statement.role);
}

static bool take_review(struct authority_signed *s, const char *word)
{
	char copy[128], *rest = copy, *item;
	unsigned bit;

	if (strcmp(word, "none") == 0)
		return true;
	snprintf(copy, sizeof(copy), "%s", word);
	while ((item = strsep(&rest, ",")) != NULL) {
		if (!pace_review_parse(item, &bit))
			return false;
		s->statement.review |= bit;
	}
	return true;
}

static bool take_reason(struct authority_signed *s, const char *word)
{
	if (strlen(word) > AUTHORITY_REASON_MAX)
		return false;
	snprintf(s->statement.reason, sizeof(s->statement.reason), "%s", word);
	return true;
}

static bool take_signed(struct authority_signed *s, const char *word)
{
	return number_parse_u64(word, &s->statement.signed_ms);
}

static bool take_nonce(struct authority_signed *s, const char *word)
{
	return parse_hex(word, s->statement.nonce, sizeof(s->statement.nonce));
}

static bool take_key(struct authority_signed *s, const char *word)
{
	return parse_hex(word, s->key, sizeof(s->key));
}

static bool take_signature(struct authority_signed *s, const char *word)
{
	return parse_hex(word, s->signature, sizeof(s->signature));
}

static const struct {
	const char *name;
	bool (*take)(struct authority_signed *s, const char *word);
} lines[] = {
	{"group", take_group},
	{"id", take_id},
	{"changes", take_changes},
	{"from", take_from},
	{"to", take_to},
	{"trigger", take_trigger},
	{"role", take_role},
	{"agent", take_agent},
	{"subject", take_subject},
	{"review", take_review},
	{"reason", take_reason},
	{"signed", take_signed},
	{"nonce", take_nonce},
	{"key", take_key},
	{"signature", take_signature},
};

static const char *wrong_line(char *text, struct authority_signed *s)
{
	char *rest = text;
	const char *line = strsep(&rest, "\n");

	if (!line || strcmp(line, HEAD) != 0)
		return "first line";
	for (size_t i = 0; i < array_size(lines); i++) {
		size_t length = strlen(lines[i].name);

		line = strsep(&rest, "\n");
		if (!line || strncmp(line, lines[i].name, length) != 0 ||
			strncmp(line + length, ": ", 2) != 0 ||
			!lines[i].take(s, line + length + 2))
			return lines[i].name;
	}
	return rest && !rest[0] ? NULL : "end";
}

int authority_read(
	const char *text, size_t length, struct authority_signed *ret_signed, struct error *err)
{
	char copy[AUTHORITY_TEXT_MAX], again[AUTHORITY_TEXT_MAX];
	struct authority_signed s = {0};
	const char *wrong;

	if (length >= sizeof(copy) || memchr(text, '\0', length))
		return error_set(
			err, -EINVAL, ERROR_INPUT, "this is no signed statement about a phase");
	memcpy(copy, text, length);
	copy[length] = '\0';
	wrong = wrong_line(copy, &s);
	if (wrong)
		return error_set(err, -EINVAL, ERROR_INPUT,
			"this is no signed statement about a phase: its %s", wrong);
	/* One form only: what was read is what would be written. */
	if (authority_write(&s, again) < 0 || strlen(again) != length ||
		memcmp(again, text, length) != 0)
		return error_set(err, -EINVAL, ERROR_INPUT,
			"the signed statement is not written as \"berm pace sign\" writes it");
	*ret_signed = s;
	return 0;
}

/* ---- what a signature is to be about ---- */

bool authority_about(const struct pace_group *group, unsigned trigger, unsigned to,
	char ret_word[AUTHORITY_ABOUT_MAX])
{
	bool is_answer = trigger == PACE_DISMISSED || trigger == PACE_EXPLAINED;
	char id[2 * PACE_ID_BYTES + 1], hex[2 * PACE_DIGEST_BYTES + 1];
	uint8_t subject[PACE_DIGEST_BYTES];

	if (is_answer && !pace_subject(group, trigger, to, subject))
		return false;
	sodium_bin2hex(id, sizeof(id), group->id, sizeof(group->id));
	hex[0] = '\0';
	if (is_answer)
		sodium_bin2hex(hex, sizeof(hex), subject, sizeof(subject));
	snprintf(ret_word, AUTHORITY_ABOUT_MAX, "%s:%s:%" PRIu64 ":%s%s%s", group->name,
		phase_name(group->phase), group->changes, id, is_answer ? ":" : "", hex);
	return true;
}

int authority_about_read(const char *word, struct authority_statement *statement,
	bool *ret_is_answer, struct error *err)
{
	struct authority_signed s = {.statement = *statement};
	char copy[AUTHORITY_ABOUT_MAX], *rest = copy;
	bool (*const take[])(struct authority_signed *, const char *) = {
		take_group, take_from, take_changes, take_id, take_subject};
	size_t count = 0;

	if (strlen(word) < sizeof(copy)) {
		memcpy(copy, word, strlen(word) + 1);
		for (char *part; (part = strsep(&rest, ":")) != NULL; count++) {
			if (count < array_size(take) && take[count](&s, part))
				continue;
			count = 0;
			break;
		}
	}
	if (count != array_size(take) && count != array_size(take) - 1)
		return error_set(err, -EINVAL, ERROR_INPUT,
			"\"%s\" is not what \"berm pace show\" tells to sign: "
			"GROUP:PHASE:CHANGES:ID, and for an answer :SUBJECT",
			word);
	*statement = s.statement;
	*ret_is_answer = count == array_size(take);
	return 0;
}
