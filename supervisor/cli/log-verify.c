/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/log-place.h"
#include "cli/paint.h"

#include "base/json.h"
#include "base/log.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

struct verify_words {
	struct log_request request;
	bool json, verbose;
};

static const struct option_spec specs[] = {
	{"json", 0, OPTION_FLAG, offsetof(struct verify_words, json), NULL, NULL,
		"one JSON object instead of lines"},
	{"verbose", 'v', OPTION_FLAG, offsetof(struct verify_words, verbose), NULL, NULL,
		"tell what was looked at, and how fast"},
	LOG_REQUEST_ROWS(struct verify_words),
};

static uint64_t rate(const struct log_check *check)
{
	return check->took_ns
		       ? (uint64_t)((double)check->result.records * 1e9 / (double)check->took_ns)
		       : 0;
}

static void put_json(const struct log_place *place, const struct log_check *check, struct text *out)
{
	const struct verify_result *r = &check->result;
	char id[LOG_ID_BYTES * 2 + 1];
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", 1);
	json_put_string(&j, "verdict", r->pass ? "PASS" : "FAIL");
	json_put_string(&j, "reason", verify_reason_word(r->reason));
	json_put_string(&j, "text", verify_reason_text(r->reason));
	json_put_u64(&j, "segment", r->segment);
	json_put_u64(&j, "record", r->sequence);
	json_put_u64(&j, "offset", r->offset);
	json_put_u64(&j, "sealed_record", r->sealed_sequence);
	json_put_string(&j, "log", place->path);
	json_put_string(
		&j, "log_id", sodium_bin2hex(id, sizeof(id), check->pin.log_id, LOG_ID_BYTES));
	json_put_string(&j, "key", check->key_path);
	json_put_u64(&j, "key_owner", check->key_owner);
	json_put_bool(&j, "live", check->live);
	json_put_bool(&j, "closed", r->closed);
	json_put_bool(&j, "anchor", check->has_anchor);
	json_put_string(&j, "anchor_from", check->anchor_from);
	json_put_bool(&j, "anchored", r->anchored);
	json_put_u64(&j, "beyond_anchor", r->beyond_anchor);
	json_put_u64(&j, "segments", r->segments);
	json_put_u64(&j, "removed_segments", r->removed_segments);
	json_put_u64(&j, "records", r->records);
	json_put_u64(&j, "seals", r->seals);
	json_put_u64(&j, "bytes", r->bytes);
	json_put_u64(&j, "abandoned_bytes", r->abandoned_bytes);
	json_put_u64(&j, "unsealed_records", r->unsealed_records);
	json_put_u64(&j, "torn_bytes", r->torn_bytes);
	json_put_double(&j, "seconds", (double)check->took_ns / 1e9);
	json_put_double(&j, "cpu_seconds", (double)check->cpu_ns / 1e9);
	json_put_u64(&j, "records_per_second", rate(check));
	json_object_end(&j);
	text_puts(out, "\n");
}

static void put_path(struct text *out, const char *path)
{
	text_escape(out, path, strlen(path), 400);
}

static void put_numbers(const struct log_check *check, struct text *out)
{
	const struct verify_result *r = &check->result;

	text_printf(out,
		"  looked at %" PRIu64 " bytes, %" PRIu64 " seals in %.2f s: %" PRIu64
		" records/s; %.2f s of a processor\n",
		r->bytes, r->seals, (double)check->took_ns / 1e9, rate(check),
		(double)check->cpu_ns / 1e9);
	if (r->removed_segments)
		text_printf(out,
			"  of %" PRIu64 " segments only the head is left, as the log says\n",
			r->removed_segments);
	if (r->abandoned_bytes)
		text_printf(out,
			"  %" PRIu64 " bytes were left behind when a recorder could not go on\n",
			r->abandoned_bytes);
}

static void put_lines(const struct log_place *place, const struct log_check *check, bool verbose,
	struct text *out)
{
	const struct verify_result *r = &check->result;

	paint_word(out, paint_wanted(STDOUT_FILENO), r->pass ? PAINT_GOOD : PAINT_BAD,
		r->pass ? "PASS" : "FAIL", 0);
	text_puts(out, "  ");
	put_path(out, place->path);
	if (r->pass)
		text_printf(out, ": %" PRIu64 " record%s in %" PRIu64 " segment%s, %s\n",
			r->records, r->records == 1 ? "" : "s", r->segments,
			r->segments == 1 ? "" : "s", check->live ? "being written" : "closed");
	else
		text_printf(out,
			": segment %" PRIu64 ", record %" PRIu64 ", byte %" PRIu64 ": %s (%s)\n"
			"  what is under the seal of record %" PRIu64
			" and before it is as it was recorded\n",
			r->segment, r->sequence, r->offset, verify_reason_text(r->reason),
			verify_reason_word(r->reason), r->sealed_sequence);
	text_puts(out, "  key       ");
	put_path(out, check->key_path);
	text_printf(out, " (of uid %u)\n", check->key_owner);
	if (!check->has_anchor) {
		text_puts(out, "  anchor    none: what is missing at the end cannot be noticed\n");
		if (check->anchor_not[0]) {
			text_puts(out, "            the operator's were not asked: ");
			text_escape(out, check->anchor_not, strlen(check->anchor_not), 400);
			text_puts(out, "\n");
		}
	} else if (r->anchored)
		text_printf(out, "  anchor    reached; %" PRIu64 " records came after it\n",
			r->beyond_anchor);
	else
		text_puts(out, "  anchor    not reached\n");
	if (check->anchor_from) {
		text_puts(out, "            kept in ");
		put_path(out, check->anchor_from);
		text_puts(out, "\n");
	}
	if (r->pass && check->live)
		text_printf(out, "  open end  %" PRIu64 " records are not sealed yet\n",
			r->unsealed_records);
	if (verbose)
		put_numbers(check, out);
}

static int verify(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct verify_words *words = values;
	autoplace struct log_place place = {.dir = -1};
	autocheck struct log_check check = {0};
	autotext struct text out = {0};
	struct error err = {0};
	int r;

	if (argc > 0)
		return verb_misused(verb, "takes no words: %s", argv[0]);
	r = log_place_open(&words->request, &place, &err);
	if (r == 0)
		r = log_check_key(&words->request, &place, &check, &err);
	if (r == 0 && place.dir >= 0)
		r = log_check_operators_anchor(&words->request, &place, &check, &err);
	if (r < 0)
		return verb_failed(verb, &err);
	if (!check.pinned && place.dir < 0) {
		log_place_say_empty(verb, &place);
		return CLI_HOST_CANNOT;
	}
	if (!check.pinned) {
		log_line("%s: no key to check with: %s; --key names a copy of recorder.pub",
			verb->name, check.why_not);
		return CLI_HOST_CANNOT;
	}
	/* A key without a log: it was taken away. */
	if (place.dir < 0)
		check.result = (struct verify_result){.reason = VERIFY_NO_LOG, .segment = 1};
	else if (log_check_run(&place, &check, &err) < 0)
		return verb_failed(verb, &err);
	if (words->json)
		put_json(&place, &check, &out);
	else
		put_lines(&place, &check, words->verbose, &out);
	return verb_print(&out, check.result.pass ? CLI_GOOD : CLI_NO);
}

const struct verb verb_log_verify = {
	.name = "log verify",
	.summary = "Check that the log is what was recorded",
	.usage = "[OPTIONS]",
	.details =
		"The key is recorder.pub, written when the log began: pin a copy of it elsewhere "
		"and "
		"name it with\n"
		"--key. Without --key the one in the state directory is used, which who owns that "
		"could have\n"
		"replaced together with the log. Never a key out of the log.\n"
		"Without --anchor the places that `anchor` in recorder.yaml names are asked.\n"
		"Exit: 0 PASS, 1 FAIL, 2 wrong words or files, 3 it cannot be read or there is no "
		"key.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct verify_words)},
	.function = verify,
};
