/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain-denial.h"

#include "base/json.h"
#include "base/log.h"
#include "cli/log-time.h"
#include "cli/profile.h"
#include "daemon/run-id.h"
#include "policy/schema.h"
#include "record/line.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define WORDS_BYTES 400
#define NUMBER_DIGITS 10

bool explain_is_denial(const char *words)
{
	size_t run = strspn(words, "0123456789ABCDEFGHJKMNPQRSTVWXYZ"), digits;

	if (run != RUN_ID_LENGTH || (words[run] != '.' && words[run] != '-'))
		return false;
	digits = strspn(words + run + 1, "0123456789");
	return digits > 0 && digits <= NUMBER_DIGITS && words[run + 1 + digits] == '\0';
}

/* The separator may be written either way. */
static bool same_id(const char *a, const char *b)
{
	return strncmp(a, b, RUN_ID_LENGTH) == 0 && strlen(a) > RUN_ID_LENGTH &&
	       strlen(b) > RUN_ID_LENGTH &&
	       strcmp(a + RUN_ID_LENGTH + 1, b + RUN_ID_LENGTH + 1) == 0;
}

static int keep(Berm__Wire__Record **place, const struct log_item *item)
{
	if (*place)
		return 0;
	*place = berm__wire__record__unpack(
		NULL, item->raw->frame.record_length, item->raw->frame.record);
	return *place ? 0 : -ENOMEM;
}

/* Any rule of the run may lead to its profile; the first with a file is as good as another. */
static void keep_file(struct refusal *refusal, const Berm__Wire__RecordRule *rule)
{
	if (refusal->rule_file[0] == '\0' && rule && rule->file)
		snprintf(refusal->rule_file, sizeof(refusal->rule_file), "%s", rule->file);
}

static int look_at(void *data, const struct log_item *item, struct text *out)
{
	struct refusal *refusal = data;
	const Berm__Wire__Record *record = item->record;

	(void)out;
	if (record->body_case == BERM__WIRE__RECORD__BODY_RUN_START)
		return keep(&refusal->start, item);
	if (record->body_case != BERM__WIRE__RECORD__BODY_DENIAL)
		return 0;
	keep_file(refusal, record->denial->rule);
	if (!record->denial->id || !same_id(record->denial->id, refusal->id))
		return 0;
	if (!refusal->first || item->trust > refusal->trust)
		refusal->trust = item->trust;
	refusal->count += record->denial->has_count ? record->denial->count : 1;
	refusal->last_ns = record->timestamp;
	return keep(&refusal->first, item);
}

static const char *advice_words(const struct advice *advice)
{
	if (advice->state == ADVICE_NONE)
		return NULL;
	return advice->hint[0] ? advice->hint : NULL;
}

static void put(struct text *out, const char *before, const char *words)
{
	if (!words || !words[0])
		return;
	text_puts(out, before);
	text_escape(out, words, strlen(words), WORDS_BYTES);
}

/* The line itself only where it is certain that the file has what the run's rule was made from. */
static void put_rule_line(struct text *out, const struct rule_file *file)
{
	if (file->state == RULE_FILE_SAME)
		put(out, "\n  line:      ", file->line);
	if (file->state != RULE_FILE_CHANGED && file->state != RULE_FILE_GONE)
		return;
	put(out, "\n  note:      ", file->path);
	text_puts(out, file->state == RULE_FILE_CHANGED
			       ? " was changed since the run: its line is another one today"
			       : " cannot be read today");
}

static void put_rule(
	struct text *out, const Berm__Wire__RecordRule *rule, const struct rule_file *file)
{
	const char *by = rule ? rule->by : NULL;

	put(out, "\n  rule:      ", rule && rule->key ? rule->key : "not recorded");
	if (rule && rule->file && rule->file[0]) {
		put(out, "  (", rule->file);
		if (rule->line)
			text_printf(out, ":%u", rule->line);
		text_puts(out, ")");
	} else if (rule) {
		text_puts(out, "  (the default)");
	}
	put_rule_line(out, file);
	if (rule && !by && rule->key)
		by = profile_enforced_by(rule->key);
	put(out, "\n  by:        ", by ? by : "not recorded");
}

/* A line for a profile, "fs.read: - /x", and no sentence. */
static bool is_line(const struct advice *advice)
{
	return !advice->keep_denied && strstr(advice->hint, ": - ") != NULL;
}

static void put_advice(struct text *out, const struct refusal *refusal, const struct advice *advice)
{
	autotext struct text changed = {0};

	put(out, "\n  reason:    ", advice->reason);
	if (advice->state == ADVICE_NONE) {
		put(out, "\n  advice:    none, the profile could not be read: ", advice->file);
		return;
	}
	if (advice->allowed)
		text_puts(out, "\n  advice:    the profile of today allows it");
	else
		put(out, is_line(advice) ? "\n  allow it:  " : "\n  advice:    ",
			advice_words(advice));
	if (advice->state != ADVICE_CHANGED)
		return;
	explain_changed_files(refusal, &changed);
	if (changed.length) {
		text_printf(out,
			"\n  note:      not what the run had: %s; the advice is from today",
			text_string(&changed));
		return;
	}
	put(out, "\n  note:      ", advice->file);
	text_puts(out, " or what it extends is not what the run had: the advice is from "
		       "what it is today");
}

static void print_lines(const struct refusal *refusal, const struct advice *advice,
	const struct rule_file *file, struct text *out)
{
	const Berm__Wire__Record *record = refusal->first;
	const Berm__Wire__Denial *denial = record->denial;
	struct line line;

	line_fill(&line, record);
	text_printf(out, "DENY  %s %s", text_string(&line.operation), text_string(&line.object));
	put_rule(out, denial->rule, file);
	text_printf(out, "\n  count:     %" PRIu64 "x, first ", refusal->count);
	log_time_put(out, record->timestamp);
	if (refusal->last_ns != record->timestamp) {
		text_puts(out, ", last ");
		log_time_put(out, refusal->last_ns);
	}
	put(out, "\n  program:   ", text_string(&line.program));
	put(out, "\n  run:       ", record->run);
	put(out, " of ", record->agent_id);
	if (refusal->start) {
		put(out, ", profile ", refusal->start->run_start->profile);
		put(out, ", for ", refusal->start->run_start->caller_name);
	}
	put_advice(out, refusal, advice);
	text_puts(
		out, refusal->trust == LOG_UNTRUSTED
			     ? "\n  WARNING:   this record may be forged: the log fails the check\n"
			     : "\n");
	line_finish(&line);
}

/* What a profile or its author wrote may change how a line is shown. */
static void put_safe(struct json *j, const char *key, const char *words)
{
	autotext struct text safe = {0};

	text_escape(&safe, words, strlen(words), WORDS_BYTES);
	json_put_string(j, key, safe.length ? text_string(&safe) : NULL);
}

static void print_json(const struct refusal *refusal, const struct advice *advice,
	const struct rule_file *file, struct text *out)
{
	static const char *const file_states[] = {[RULE_FILE_UNKNOWN] = NULL,
		[RULE_FILE_SAME] = "same",
		[RULE_FILE_CHANGED] = "changed",
		[RULE_FILE_GONE] = "gone"};
	static const char *const states[] = {
		[ADVICE_NONE] = "unreadable", [ADVICE_SAME] = "same", [ADVICE_CHANGED] = "changed"};
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", 1);
	json_object_begin(&j, "denial");
	line_json(&j, refusal->first, NULL);
	json_object_end(&j);
	json_put_u64(&j, "count", refusal->count);
	line_json_time(&j, "first", refusal->first->timestamp);
	line_json_time(&j, "last", refusal->last_ns);
	if (refusal->trust == LOG_UNKNOWN)
		json_put_null(&j, "verified");
	else
		json_put_bool(&j, "verified", refusal->trust == LOG_TRUSTED);
	put_safe(&j, "rule_path", file->path);
	json_put_string(&j, "rule_file", file_states[file->state]);
	put_safe(&j, "rule_line", file->line);
	json_put_string(&j, "profile", states[advice->state]);
	json_put_string(&j, "hint", advice_words(advice));
	json_put_bool(&j, "keep_denied", advice->keep_denied);
	json_put_bool(&j, "allowed_today", advice->allowed);
	json_put_string(&j, "reason", advice->reason[0] ? advice->reason : NULL);
	json_object_end(&j);
	text_puts(out, "\n");
}

static int tell(const struct verb *verb, const struct explain_words *words,
	const struct refusal *refusal, int code)
{
	autotext struct text out = {0};
	struct rule_file file;
	struct advice advice;

	if (!refusal->first) {
		log_line("%s: no refusal %s was recorded", verb->name, refusal->id);
		return CLI_BAD_INPUT;
	}
	explain_advise(words, refusal, &advice);
	explain_rule_file(refusal, &file);
	if (words->json)
		print_json(refusal, &advice, &file, &out);
	else
		print_lines(refusal, &advice, &file, &out);
	return verb_print(&out, code);
}

int explain_denial(const struct verb *verb, const struct explain_words *words, const char *id)
{
	struct refusal refusal = {.trust = LOG_TRUSTED};
	char run[RUN_ID_LENGTH + 1];
	struct log_filter filter = {.run = run, .since_ns = INT64_MIN};
	struct log_reading reading = {
		.verb = verb, .filter = &filter, .sink = look_at, .data = &refusal};
	autologsession struct log_session session = {0};
	int code;

	snprintf(refusal.id, sizeof(refusal.id), "%s", id);
	snprintf(run, sizeof(run), "%.*s", RUN_ID_LENGTH, id);
	if (!log_session_open(verb, &words->request, false, &session, &code))
		return code == CLI_GOOD ? CLI_BAD_INPUT : code;
	code = log_session_read(&session, &reading);
	if (code <= CLI_NO)
		code = tell(verb, words, &refusal, code);
	berm__wire__record__free_unpacked(refusal.first, NULL);
	berm__wire__record__free_unpacked(refusal.start, NULL);
	return code;
}
