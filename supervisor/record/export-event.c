/* SPDX-License-Identifier: Apache-2.0 */
#include "record/export-internal.h"

#include "base/own.h"
#include "record/line.h"
#include "record/recorder.h"
#include "wire/effects.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

enum {
	PROCESS = 1007,
	FILES = 1001,
	KERNEL = 1003,
	LOG = 1008,
	NETWORK = 4001,
	CONFIG = 5019,
	FINDING = 2004
};

/* Class and category numbers and names: OCSF 1.8.0, events of the categories system, findings,
 * network and discovery. */
static const struct export_class classes[] = {
	{FILES, "File System Activity", 1, "System Activity"},
	{KERNEL, "Kernel Activity", 1, "System Activity"},
	{PROCESS, "Process Activity", 1, "System Activity"},
	{LOG, "Event Log Activity", 1, "System Activity"},
	{FINDING, "Detection Finding", 2, "Findings"},
	{NETWORK, "Network Activity", 4, "Network Activity"},
	{CONFIG, "Device Config State Change", 5, "Discovery"},
};

/* A row for each body, and for each operation of it that others have a word for; the row without
 * an operation comes last and stands for all others. */
static const struct row {
	Berm__Wire__Record__BodyCase body;
	const char *operation;
	struct export_kind kind;
} rows[] = {
#define ROW(body_, operation_, ...)                                                                \
	{                                                                                          \
		BERM__WIRE__RECORD__BODY_##body_, operation_,                                      \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
	/* clang-format off */
	ROW(EXEC, NULL, PROCESS, 1, "Launch", {"process"}, {"start"}, "process-launch"),
	ROW(FILE, "open", FILES, 14, "Open", {"file"}, {"access"}, "file-open"),
	ROW(FILE, "read", FILES, 2, "Read", {"file"}, {"access"}, "file-read"),
	ROW(FILE, "create", FILES, 1, "Create", {"file"}, {"creation"}, "file-create"),
	ROW(FILE, "write", FILES, 3, "Update", {"file"}, {"change"}, "file-write"),
	ROW(FILE, "delete", FILES, 4, "Delete", {"file"}, {"deletion"}, "file-delete"),
	ROW(FILE, "rename", FILES, 5, "Rename", {"file"}, {"change"}, "file-rename"),
	ROW(FILE, NULL, FILES, 99, "Other", {"file"}, {"change"}, "file-other"),
	ROW(NETWORK, "connect", NETWORK, 1, "Open", {"network"}, {"connection", "start"}, "network-connect"),
	ROW(NETWORK, "listen", NETWORK, 7, "Listen", {"network"}, {"connection"}, "network-listen"),
	ROW(NETWORK, "bind", NETWORK, 7, "Listen", {"network"}, {"connection"}, "network-bind"),
	ROW(NETWORK, "send", NETWORK, 6, "Traffic", {"network"}, {"connection"}, "network-send"),
	ROW(NETWORK, NULL, NETWORK, 99, "Other", {"network"}, {"connection"}, "network-other"),
	ROW(DENIAL, "read", FILES, 2, "Read", {"file", "intrusion_detection"}, {"access", "denied"}, "file-read"),
	ROW(DENIAL, "open", FILES, 14, "Open", {"file", "intrusion_detection"}, {"access", "denied"}, "file-open"),
	ROW(DENIAL, "write", FILES, 3, "Update", {"file", "intrusion_detection"}, {"change", "denied"}, "file-write"),
	ROW(DENIAL, "exec", PROCESS, 1, "Launch", {"process", "intrusion_detection"}, {"start", "denied"}, "process-launch"),
	ROW(DENIAL, "connect", NETWORK, 1, "Open", {"network"}, {"connection", "denied"}, "network-connect"),
	ROW(DENIAL, NULL, KERNEL, 4, "Invoke", {"process", "intrusion_detection"}, {"info", "denied"}, "system-call"),
	ROW(TRIP, NULL, FINDING, 1, "Create", {"intrusion_detection"}, {"info"}, "cap-reached"),
	ROW(RUN_START, NULL, PROCESS, 1, "Launch", {"process"}, {"start"}, "run-start"),
	ROW(RUN_END, NULL, PROCESS, 2, "Terminate", {"process"}, {"end"}, "run-end"),
	ROW(POSTURE_CHANGE, NULL, CONFIG, 1, "Log", {"configuration"}, {"change"}, "posture-change"),
	ROW(PHASE_CHANGE, NULL, CONFIG, 1, "Log", {"configuration"}, {"change"}, "phase-change"),
	ROW(APPROVAL, NULL, CONFIG, 1, "Log", {"configuration"}, {"info"}, "approval"),
	ROW(KILL, NULL, PROCESS, 2, "Terminate", {"process"}, {"end"}, "run-kill"),
	ROW(AGENT_CHANGE, NULL, CONFIG, 1, "Log", {"configuration"}, {"change"}, "agent-change"),
	ROW(CHANGE_SET, NULL, FILES, 3, "Update", {"file"}, {"change"}, "change-set-end"),
	ROW(HALT_CHANGE, NULL, CONFIG, 1, "Log", {"configuration"}, {"change"}, "halt-change"),
	ROW(OPENED, NULL, LOG, 6, "Start", {"host"}, {"start"}, "log-open"),
	ROW(SEGMENT_HEAD, NULL, LOG, 5, "Rotate", {"host"}, {"change"}, "log-rotate"),
	ROW(SEAL, NULL, LOG, 99, "Seal", {"host"}, {"info"}, "log-seal"),
	ROW(LOSS, NULL, LOG, 99, "Loss", {"host"}, {"info"}, "log-loss"),
	ROW(CLOCK_STEP, NULL, LOG, 99, "Clock step", {"host"}, {"info"}, "log-clock-step"),
	ROW(RETENTION, NULL, LOG, 2, "Delete", {"host"}, {"change"}, "log-retention"),
	ROW(TROUBLE, NULL, LOG, 7, "Stop", {"host"}, {"end"}, "log-trouble"),
	ROW(_NOT_SET, NULL, LOG, 0, "Unknown", {"host"}, {"info"}, "log-unknown"),
/* clang-format on */
#undef ROW
};

/* A canary or an escape is more than a denial. */
static const struct export_kind finding = {
	FINDING, 1, "Create", {"intrusion_detection"}, {"info", "denied"}, "incident"};

static const struct export_kind *kind_of(const Berm__Wire__Record *record, const char *operation)
{
	const struct export_kind *unknown = &rows[array_size(rows) - 1].kind;

	for (size_t i = 0; i < array_size(rows); i++) {
		if (rows[i].body == record->body_case &&
			(!rows[i].operation || strcmp(rows[i].operation, operation) == 0))
			return &rows[i].kind;
	}
	return unknown;
}

static const struct export_class *class_of(unsigned uid)
{
	size_t i = 0;

	while (i + 1 < array_size(classes) && classes[i].uid != uid)
		i++;
	return &classes[i];
}

void export_put(struct text *out, const ProtobufCBinaryData *bytes)
{
	if (bytes->len)
		text_escape(out, (const char *)bytes->data, bytes->len, EXPORT_TEXT_BYTES_MAX);
}

static void put_string(struct text *out, const char *string)
{
	text_escape(out, string ? string : "", string ? strlen(string) : 0, EXPORT_TEXT_BYTES_MAX);
}

void export_json_bytes(struct json *j, const char *key, const ProtobufCBinaryData *bytes)
{
	autotext struct text safe = {0};

	if (!bytes->len)
		return;
	export_put(&safe, bytes);
	j->out->failed |= safe.failed;
	json_put_string_n(j, key, text_string(&safe), safe.length);
}

void export_json_string(struct json *j, const char *key, const char *string)
{
	autotext struct text safe = {0};

	if (!string) {
		json_put_null(j, key);
		return;
	}
	put_string(&safe, string);
	j->out->failed |= safe.failed;
	json_put_string(j, key, text_string(&safe));
}

void export_put_hex(struct text *out, const uint8_t *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < length; i++) {
		const char two[] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};

		text_append(out, two, sizeof(two));
	}
}

void export_json_hex(struct json *j, const char *key, const uint8_t *bytes, size_t length)
{
	autotext struct text hex = {0};

	export_put_hex(&hex, bytes, length);
	j->out->failed |= hex.failed;
	json_put_string(j, key, text_string(&hex));
}

const Berm__Wire__RunEnd *export_end_with_outputs(const Berm__Wire__Record *record)
{
	const Berm__Wire__RunEnd *end =
		record->body_case == BERM__WIRE__RECORD__BODY_RUN_END ? record->run_end : NULL;

	return end && end->n_outputs > 0 ? end : NULL;
}

void export_put_output(struct text *out, const Berm__Wire__OutputHash *output)
{
	if (output->has_digest)
		export_put_hex(out, output->digest.data, output->digest.len);
	else
		put_string(out, output->state ? output->state : "unknown");
	text_puts(out, " ");
	export_put(out, &output->path);
}

bool export_address(const ProtobufCBinaryData *address, char ret_text[64])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (address->len != 16)
		return false;
	if (memcmp(address->data, mapped, sizeof(mapped)) == 0)
		return inet_ntop(AF_INET, address->data + 12, ret_text, 64);
	return inet_ntop(AF_INET6, address->data, ret_text, 64);
}

ProtobufCBinaryData export_last(const ProtobufCBinaryData *path)
{
	size_t at = path->len;

	while (at > 0 && path->data[at - 1] != '/')
		at--;
	return (ProtobufCBinaryData){.data = path->data + (at < path->len ? at : 0),
		.len = at < path->len ? path->len - at : path->len};
}

void export_rule_place(const Berm__Wire__RecordRule *rule, struct text *out)
{
	if (rule->file && rule->file[0]) {
		put_string(out, rule->file);
		if (rule->line)
			text_printf(out, ":%u", rule->line);
	} else {
		put_string(out, rule->key);
	}
}

void export_enforcement(uint32_t bits, struct text *out)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {{RECORD_ENFORCED_MOUNT, "mount"}, {RECORD_ENFORCED_LANDLOCK, "landlock"},
		{RECORD_ENFORCED_SECCOMP, "seccomp"}, {RECORD_ENFORCED_CGROUP, "cgroup"},
		{RECORD_ENFORCED_BPF, "bpf"}, {RECORD_ENFORCED_NOTIFY, "notify"},
		{RECORD_ENFORCED_NETNS, "netns"}, {RECORD_ENFORCED_USERNS, "userns"},
		{RECORD_ENFORCED_RLIMIT, "rlimit"}, {RECORD_ENFORCED_DEGRADED, "degraded"}};
	size_t start = out->length;

	for (size_t i = 0; i < array_size(names); i++) {
		if (bits & names[i].bit)
			text_printf(out, "%s%s", out->length > start ? "+" : "", names[i].name);
	}
}

static ProtobufCBinaryData bytes_of(const char *string)
{
	union {
		const char *in;
		uint8_t *out;
	} u = {string};

	return (ProtobufCBinaryData){.data = u.out, .len = string ? strlen(string) : 0};
}

/* What was done succeeded, or the kernel refused it. */
static void decide_by_error(struct export_event *e, bool has_error, uint32_t error)
{
	e->error = has_error ? error : 0;
	e->decision = has_error && error ? EXPORT_DENIED : EXPORT_ALLOWED;
}

static void fill_denial(struct export_event *e, const Berm__Wire__Denial *denial)
{
	e->object = denial->target;
	e->rule = denial->rule;
	e->error = denial->error;
	e->count = denial->has_count ? denial->count : 1;
	e->decision = EXPORT_DENIED;
	e->severity = 3;
	if (denial->class_ != DENIAL_CANARY && denial->class_ != DENIAL_ESCAPE)
		return;
	e->finding = true;
	e->severity = 4;
	e->kind = &finding;
}

static void fill_activity(struct export_event *e, const Berm__Wire__Record *record)
{
	const Berm__Wire__ExecActivity *exec = record->exec;
	const Berm__Wire__FileActivity *file = record->file;
	const Berm__Wire__NetworkActivity *network = record->network;

	if (record->body_case == BERM__WIRE__RECORD__BODY_EXEC) {
		e->object = exec->path;
		e->argv = exec->argv;
		e->argc = exec->n_argv;
		decide_by_error(e, exec->has_error, exec->error);
	} else if (record->body_case == BERM__WIRE__RECORD__BODY_FILE) {
		e->object = file->path;
		e->second = file->new_path;
		decide_by_error(e, file->has_error, file->error);
	} else {
		e->address = network->address;
		e->host_name = network->host_name;
		e->port = network->port;
		e->protocol = network->protocol;
		decide_by_error(e, network->has_error, network->error);
	}
}

static void fill_run_end(struct export_event *e, const Berm__Wire__RunEnd *end)
{
	e->exit_code = (int)end->exit_code;
	e->object = bytes_of(end->outcome);
	e->count = end->denials;
}

static void fill_body(struct export_event *e, const Berm__Wire__Record *record)
{
	switch ((int)record->body_case) {
	case BERM__WIRE__RECORD__BODY_DENIAL:
		fill_denial(e, record->denial);
		break;
	case BERM__WIRE__RECORD__BODY_EXEC:
	case BERM__WIRE__RECORD__BODY_FILE:
	case BERM__WIRE__RECORD__BODY_NETWORK:
		fill_activity(e, record);
		break;
	case BERM__WIRE__RECORD__BODY_RUN_START:
		e->argv = record->run_start->argv;
		e->argc = record->run_start->n_argv;
		if (e->argc)
			e->object = e->argv[0];
		break;
	case BERM__WIRE__RECORD__BODY_RUN_END:
		fill_run_end(e, record->run_end);
		break;
	case BERM__WIRE__RECORD__BODY_TRIP:
		e->rule = record->trip->rule;
		e->object = bytes_of(effect_counter_name(record->trip->counter));
		e->finding = true;
		e->severity = 4;
		e->decision = EXPORT_DENIED;
		break;
	case BERM__WIRE__RECORD__BODY_PHASE_CHANGE:
		e->object = bytes_of(record->phase_change->trigger);
		e->severity = record->phase_change->after == PHASE_EMERGENCY ? 5 : 3;
		break;
	case BERM__WIRE__RECORD__BODY_POSTURE_CHANGE:
		e->object = bytes_of(record->posture_change->reason);
		e->severity = 3;
		break;
	case BERM__WIRE__RECORD__BODY_APPROVAL:
		e->object = record->approval->target;
		e->decision = line_approval_is_yes(
				      record->approval->answer ? record->approval->answer : "")
				      ? EXPORT_APPROVED
				      : EXPORT_DENIED;
		break;
	case BERM__WIRE__RECORD__BODY_KILL:
		e->object = bytes_of(record->kill->killed);
		e->severity = 4;
		break;
	case BERM__WIRE__RECORD__BODY_AGENT_CHANGE:
		e->object = bytes_of(record->agent_change->name);
		e->severity = 3;
		break;
	case BERM__WIRE__RECORD__BODY_CHANGE_SET:
		e->object = record->change_set->workspace;
		e->count = record->change_set->changes;
		break;
	case BERM__WIRE__RECORD__BODY_HALT_CHANGE:
		e->object = bytes_of(record->halt_change->of);
		e->severity = 4;
		break;
	case BERM__WIRE__RECORD__BODY_LOSS:
		e->count = record->loss->count;
		e->severity = 4;
		break;
	case BERM__WIRE__RECORD__BODY_TROUBLE:
		e->object = bytes_of(record->trouble->operation);
		e->error = record->trouble->error;
		e->severity = 5;
		break;
	default:
		break;
	}
}

static const char *operation_of(const Berm__Wire__Record *record)
{
	const char *operation = NULL;

	if (record->body_case == BERM__WIRE__RECORD__BODY_DENIAL)
		operation = record->denial->operation;
	else if (record->body_case == BERM__WIRE__RECORD__BODY_FILE)
		operation = record->file->operation;
	else if (record->body_case == BERM__WIRE__RECORD__BODY_NETWORK)
		operation = record->network->operation;
	return operation ? operation : "";
}

static void put_sentence(struct export_event *e, const char *operation)
{
	static const char *const decisions[] = {[EXPORT_UNDECIDED] = "",
		[EXPORT_ALLOWED] = "allow ",
		[EXPORT_DENIED] = "deny ",
		[EXPORT_APPROVED] = "approve "};
	char address[64];

	text_puts(&e->words, decisions[e->decision]);
	if (operation[0])
		put_string(&e->words, operation);
	else
		text_puts(&e->words, e->kind->action);
	if (e->object.len) {
		text_puts(&e->words, " ");
		export_put(&e->words, &e->object);
	}
	if (export_address(&e->address, address))
		text_printf(&e->words, " %s:%u", address, e->port);
	if (e->record->evidence && e->record->evidence->program.len) {
		ProtobufCBinaryData name = export_last(&e->record->evidence->program);

		text_puts(&e->words, " by ");
		export_put(&e->words, &name);
	}
}

void export_event_fill(struct export_event *event, const Berm__Wire__Record *record,
	const struct export_place *place)
{
	static const struct export_place nowhere;
	const char *operation = operation_of(record);

	*event = (struct export_event){
		.record = record,
		.place = place ? place : &nowhere,
		.kind = kind_of(record, operation),
		.severity = 1,
		.count = 1,
		.exit_code = -1,
	};
	fill_body(event, record);
	event->class_ = class_of(event->kind->class_uid);
	put_sentence(event, operation);
}

void export_event_finish(struct export_event *event)
{
	text_finish(&event->words);
}
