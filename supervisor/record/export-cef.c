/* SPDX-License-Identifier: Apache-2.0 */
#include "record/export-internal.h"

#include "base/own.h"

#include <inttypes.h>
#include <string.h>

/* ArcSight Common Event Format, version 0: seven header fields between "|", then key=value. In the
 * header "\" and "|" are escaped, in the extension "\" and "="; nothing here ever holds a line
 * feed, since text_escape() went before. */

#define MILLISECOND_NS 1000000

static void put_escaped(struct text *out, const char *words, const char *special)
{
	for (; *words; words++) {
		if (strchr(special, *words))
			text_puts(out, "\\");
		text_append(out, words, 1);
	}
}

static void put_field(struct text *out, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	text_printf(out, " %s=", key);
	put_escaped(out, value, "\\=");
}

static void put_bytes(struct text *out, const char *key, const ProtobufCBinaryData *bytes)
{
	autotext struct text safe = {0};

	export_put(&safe, bytes);
	out->failed |= safe.failed;
	put_field(out, key, text_string(&safe));
}

/* Strings of ours that hold what a caller chose. */
static void put_string(struct text *out, const char *key, const char *value)
{
	autotext struct text safe = {0};

	if (!value)
		return;
	text_escape(&safe, value, strlen(value), EXPORT_TEXT_BYTES_MAX);
	out->failed |= safe.failed;
	put_field(out, key, text_string(&safe));
}

static void put_number(struct text *out, const char *key, uint64_t value)
{
	text_printf(out, " %s=%" PRIu64, key, value);
}

static void put_subject(struct text *out, const struct export_event *e)
{
	ProtobufCBinaryData name = export_last(&e->object);
	char address[64];

	switch (e->kind->class_uid) {
	case 1001:
		put_bytes(out, "fname", &name);
		put_bytes(out, "filePath", &e->object);
		break;
	case 4001:
		if (export_address(&e->address, address))
			put_field(out, "dst", address);
		put_bytes(out, "dhost", e->host_name.len ? &e->host_name : &e->object);
		if (e->port)
			put_number(out, "dpt", e->port);
		if (e->protocol == 6 || e->protocol == 17)
			put_field(out, "proto", e->protocol == 6 ? "TCP" : "UDP");
		break;
	default:
		put_bytes(out, "dproc", &e->object);
		break;
	}
}

static void put_labelled(struct text *out, unsigned number, const char *label, const char *value)
{
	char key[16];

	if (!value || !*value)
		return;
	snprintf(key, sizeof(key), "cs%u", number);
	put_string(out, key, value);
	text_printf(out, " cs%uLabel=%s", number, label);
}

/* The key for a hash has room for one; which file each is of stands in a string of our own. */
static void put_outputs(struct text *out, const struct export_event *e)
{
	const Berm__Wire__RunEnd *end = export_end_with_outputs(e->record);
	autotext struct text all = {0}, hash = {0};
	size_t shown = 0;

	if (!end)
		return;
	while (shown < end->n_outputs && all.length < EXPORT_TEXT_BYTES_MAX) {
		text_puts(&all, shown ? "; " : "");
		export_put_output(&all, end->outputs[shown++]);
	}
	if (shown < end->n_outputs)
		text_printf(&all, "; and %zu more", end->n_outputs - shown);
	if (end->n_outputs == 1 && end->outputs[0]->has_digest)
		export_put_hex(&hash, end->outputs[0]->digest.data, end->outputs[0]->digest.len);
	out->failed |= all.failed || hash.failed;
	put_field(out, "fileHash", text_string(&hash));
	put_field(out, "cs5", text_string(&all));
	text_puts(out, " cs5Label=outputs");
}

static void put_extension(struct text *out, const struct export_event *e)
{
	static const char *const acts[] = {[EXPORT_UNDECIDED] = NULL,
		[EXPORT_ALLOWED] = "allowed",
		[EXPORT_DENIED] = "blocked",
		[EXPORT_APPROVED] = "approved"};
	const Berm__Wire__Evidence *evidence = e->record->evidence;
	autotext struct text rule = {0};

	if (e->rule && e->rule->key)
		export_rule_place(e->rule, &rule);
	out->failed |= rule.failed;
	text_printf(out, "rt=%" PRId64, e->record->timestamp / MILLISECOND_NS);
	put_field(out, "act", acts[e->decision]);
	put_number(out, "externalId", e->record->sequence);
	if (e->place->host)
		put_string(out, "dvchost", e->place->host);
	put_subject(out, e);
	if (evidence && evidence->has_pid)
		put_number(out, "spid", evidence->pid);
	if (evidence)
		put_bytes(out, "sproc", &evidence->program);
	put_labelled(out, 1, "profile", e->place->profile);
	if (rule.length) {
		put_field(out, "cs2", text_string(&rule));
		text_puts(out, " cs2Label=rule");
	}
	put_labelled(out, 3, "run", e->record->run);
	put_labelled(out, 4, "agent", e->record->agent_id);
	put_outputs(out, e);
	put_number(out, "cn1", e->count);
	text_puts(out, " cn1Label=count");
	put_field(out, "msg", text_string(&e->words));
}

void export_cef(const struct export_event *e, struct text *out)
{
	/* By OCSF severity: 1, 3, 4 and 5 become low, medium, high and very high of CEF's 0 to 10.
	 */
	static const unsigned severities[] = {0, 1, 3, 5, 8, 10};

	text_puts(out, "CEF:0|berm|berm|");
	put_escaped(out, BERM_VERSION, "\\|");
	text_printf(out, "|%lu|", e->kind->class_uid * 100UL + e->kind->activity_id);
	put_escaped(out, e->kind->action, "\\|");
	text_printf(out, "|%u|", severities[e->severity]);
	put_extension(out, e);
}
