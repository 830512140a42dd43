/* SPDX-License-Identifier: Apache-2.0 */
#include "record/export-internal.h"

#include "base/own.h"
#include "wire/effects.h"

#include <string.h>

/* OCSF 1.8.0 (schema.ocsf.io). What its classes have no attribute for stands under `unmapped`; the
 * agent's and the log's own objects come with 1.9. */

#define OCSF_VERSION "1.8.0"
#define MILLISECOND_NS 1000000

static void put_file(struct json *j, const char *key, const ProtobufCBinaryData *path)
{
	ProtobufCBinaryData name = export_last(path);

	json_object_begin(j, key);
	if (name.len)
		export_json_bytes(j, "name", &name);
	else
		json_put_string(j, "name", "unknown");
	export_json_bytes(j, "path", path);
	json_put_u64(j, "type_id", 0); /* what kind of file it is was not looked at */
	json_object_end(j);
}

/* A process has a number or, where only the run is known, the run's own. */
static void put_process(struct json *j, const char *key, const struct export_event *e)
{
	const Berm__Wire__Evidence *evidence = e->record->evidence;

	json_object_begin(j, key);
	if (evidence && evidence->has_pid)
		json_put_u64(j, "pid", evidence->pid);
	else
		export_json_string(j, "uid", e->record->run ? e->record->run : "berm");
	if (evidence && evidence->program.len) {
		ProtobufCBinaryData name = export_last(&evidence->program);

		export_json_bytes(j, "name", &name);
		put_file(j, "file", &evidence->program);
	}
	if (evidence && evidence->has_parent_pid) {
		json_object_begin(j, "parent_process");
		json_put_u64(j, "pid", evidence->parent_pid);
		json_object_end(j);
	}
	json_object_end(j);
}

/* The process that is started or ends. */
static void put_started(struct json *j, const struct export_event *e)
{
	autotext struct text line = {0};

	if (!e->object.len || e->exit_code >= 0) {
		put_process(j, "process", e);
		return;
	}
	for (size_t i = 0; i < e->argc && line.length < EXPORT_TEXT_BYTES_MAX; i++) {
		text_puts(&line, i ? " " : "");
		export_put(&line, &e->argv[i]);
	}
	j->out->failed |= line.failed;
	json_object_begin(j, "process");
	if (e->record->evidence && e->record->evidence->has_pid)
		json_put_u64(j, "pid", e->record->evidence->pid);
	else
		export_json_string(j, "uid", e->record->run ? e->record->run : "berm");
	if (line.length)
		json_put_string(j, "cmd_line", text_string(&line));
	put_file(j, "file", &e->object);
	json_object_end(j);
}

static void put_endpoint(struct json *j, const struct export_event *e)
{
	char address[64];

	json_object_begin(j, "dst_endpoint");
	if (export_address(&e->address, address))
		json_put_string(j, "ip", address);
	if (e->host_name.len)
		export_json_bytes(j, "hostname", &e->host_name);
	else if (e->object.len) /* of a denial: as it was asked for */
		export_json_bytes(j, "hostname", &e->object);
	else if (!e->address.len)
		json_put_string(j, "name", "unknown");
	if (e->port)
		json_put_u64(j, "port", e->port);
	json_object_end(j);
}

static void put_finding(struct json *j, const struct export_event *e)
{
	autotext struct text uid = {0};

	text_printf(&uid, "%llu", (unsigned long long)e->record->sequence);
	j->out->failed |= uid.failed;
	json_object_begin(j, "finding_info");
	json_put_string(j, "uid", text_string(&uid));
	json_put_string(j, "title", text_string(&e->words));
	json_object_end(j);
	json_array_begin(j, "evidences");
	json_object_begin(j, NULL);
	put_process(j, "process", e);
	json_object_end(j);
	json_array_end(j);
}

static void put_subject(struct json *j, const struct export_event *e)
{
	switch (e->kind->class_uid) {
	case 1007:
		put_started(j, e);
		if (e->exit_code >= 0)
			json_put_u64(j, "exit_code", (uint64_t)e->exit_code);
		break;
	case 1001:
		put_file(j, "file", &e->object);
		if (e->second.len)
			put_file(j, "file_result", &e->second);
		break;
	case 1003:
		json_object_begin(j, "kernel");
		if (e->object.len)
			export_json_bytes(j, "name", &e->object);
		else
			json_put_string(j, "name", "unknown");
		json_put_u64(j, "type_id", 2); /* system call */
		json_object_end(j);
		break;
	case 1008:
		json_put_string(j, "log_name", "berm");
		break;
	case 2004:
		put_finding(j, e);
		break;
	case 4001:
		put_endpoint(j, e);
		break;
	default:
		break;
	}
}

static void put_decision(struct json *j, const struct export_event *e)
{
	/* action_id, disposition_id: Allowed/Allowed, Denied/Blocked, Allowed/Approved. */
	static const unsigned actions[] = {
		[EXPORT_ALLOWED] = 1, [EXPORT_DENIED] = 2, [EXPORT_APPROVED] = 1};
	static const unsigned dispositions[] = {
		[EXPORT_ALLOWED] = 1, [EXPORT_DENIED] = 2, [EXPORT_APPROVED] = 8};
	autotext struct text place = {0};

	if (e->decision == EXPORT_UNDECIDED)
		return;
	json_put_u64(j, "action_id", actions[e->decision]);
	json_put_u64(j, "disposition_id", dispositions[e->decision]);
	json_put_bool(j, "is_alert", e->finding);
	if (e->rule && e->rule->key) {
		export_rule_place(e->rule, &place);
		j->out->failed |= place.failed;
		json_object_begin(j, "firewall_rule");
		export_json_string(j, "name", e->rule->key);
		json_put_string(j, "uid", text_string(&place));
		json_object_end(j);
	}
	if (e->record->has_profile_digest) {
		json_object_begin(j, "policy");
		if (e->place->profile)
			export_json_string(j, "name", e->place->profile);
		export_json_hex(
			j, "uid", e->record->profile_digest.data, e->record->profile_digest.len);
		json_object_end(j);
	}
}

static void put_metadata(struct json *j, const struct export_event *e)
{
	json_object_begin(j, "metadata");
	json_put_string(j, "version", OCSF_VERSION);
	json_put_u64(j, "sequence", e->record->sequence);
	json_object_begin(j, "product");
	json_put_string(j, "name", "berm");
	json_put_string(j, "vendor_name", "berm");
	json_put_string(j, "version", BERM_VERSION);
	json_object_end(j);
	json_put_string(j, "log_name", "berm");
	if (e->record->run)
		export_json_string(j, "correlation_uid", e->record->run);
	json_array_begin(j, "profiles");
	json_put_string(j, NULL, "host");
	if (e->decision != EXPORT_UNDECIDED)
		json_put_string(j, NULL, "security_control");
	json_array_end(j);
	json_object_end(j);
}

static void put_outputs(struct json *j, const Berm__Wire__Record *r)
{
	const Berm__Wire__RunEnd *end = export_end_with_outputs(r);

	if (!end)
		return;
	json_array_begin(j, "outputs");
	for (size_t i = 0; i < end->n_outputs; i++) {
		const Berm__Wire__OutputHash *output = end->outputs[i];

		json_object_begin(j, NULL);
		export_json_bytes(j, "path", &output->path);
		if (output->has_digest)
			export_json_hex(j, "blake2b", output->digest.data, output->digest.len);
		export_json_string(j, "state", output->state);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_unmapped(struct json *j, const struct export_event *e)
{
	const Berm__Wire__Record *r = e->record;
	autotext struct text enforcement = {0};

	export_enforcement(r->enforcement, &enforcement);
	j->out->failed |= enforcement.failed;
	json_object_begin(j, "unmapped");
	export_json_string(j, "agent", r->agent_id);
	export_json_string(j, "group", r->group);
	json_put_u64(j, "run_sequence", r->run_sequence);
	json_put_u64(j, "boot_ns", r->boot_ns);
	json_put_u64(j, "pace_phase", r->pace_phase);
	json_put_string(j, "enforcement", text_string(&enforcement));
	json_put_u64(j, "count", e->count);
	if (e->error)
		json_put_u64(j, "errno", e->error);
	put_outputs(j, r);
	if (e->place->hash && e->place->previous_hash) {
		json_object_begin(j, "chain");
		export_json_hex(j, "previous", e->place->previous_hash, EXPORT_HASH_BYTES);
		export_json_hex(j, "this", e->place->hash, EXPORT_HASH_BYTES);
		json_object_end(j);
	}
	json_object_end(j);
}

static void put_device(struct json *j, const struct export_event *e)
{
	json_object_begin(j, "device");
	json_put_u64(j, "type_id", 0);
	export_json_string(j, "hostname", e->place->host ? e->place->host : "unknown");
	json_object_end(j);
}

void export_ocsf(const struct export_event *e, struct text *out)
{
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	json_put_u64(&j, "class_uid", e->kind->class_uid);
	json_put_string(&j, "class_name", e->class_->name);
	json_put_u64(&j, "category_uid", e->class_->category_uid);
	json_put_string(&j, "category_name", e->class_->category);
	json_put_u64(&j, "activity_id", e->kind->activity_id);
	json_put_string(&j, "activity_name", e->kind->activity);
	json_put_u64(&j, "type_uid", e->kind->class_uid * 100UL + e->kind->activity_id);
	json_put_i64(&j, "time", e->record->timestamp / MILLISECOND_NS);
	json_put_u64(&j, "severity_id", e->severity);
	json_put_u64(&j, "status_id", e->decision == EXPORT_DENIED || e->error ? 2 : 1);
	json_put_string(&j, "message", text_string(&e->words));
	put_decision(&j, e);
	put_device(&j, e);
	json_object_begin(&j, "actor");
	put_process(&j, "process", e);
	json_object_end(&j);
	put_subject(&j, e);
	put_metadata(&j, e);
	put_unmapped(&j, e);
	json_object_end(&j);
}
