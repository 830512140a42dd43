/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"
#include "cli/log-show.h"
#include "record/unpack.h"

#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <string.h>

#define NAMES_MAX 64 /* runs whose profile's name is remembered: the latest that began */
#define NAME_BYTES 64
#define HOST_BYTES 16 /* machine-id(5) */

struct export_options {
	struct log_request request;
	struct log_filter filter;
	const char *format;
	uint64_t limit;
	bool follow, unchecked;
};

static const struct option_spec specs[] = {
	{"format", 0, OPTION_TEXT, offsetof(struct export_options, format), "NAME", NULL,
		"ocsf, ecs, cef or jsonl"},
	{"follow", 'f', OPTION_FLAG, offsetof(struct export_options, follow), NULL, NULL,
		"go on with what is recorded, until ended"},
	LOG_FILTER_ROWS(struct export_options),
	{"limit", 'n', OPTION_NUMBER, offsetof(struct export_options, limit), "N", NULL,
		"only the newest N"},
	{"unchecked", 0, OPTION_FLAG, offsetof(struct export_options, unchecked), NULL, NULL,
		"do not check the log first"},
	LOG_REQUEST_ROWS(struct export_options),
};

/* Which profile a run has is in its first record only. */
struct name {
	char run[NAME_BYTES], profile[NAME_BYTES];
};

struct exporter {
	enum export_format format;
	struct name names[NAMES_MAX];
	size_t next;
	char host[HOST_NAME_MAX + 1];
	bool own_host;
};

static void remember(struct exporter *e, const Berm__Wire__Record *record)
{
	const char *profile = record->run_start->profile;
	struct name *name = &e->names[e->next % NAMES_MAX];

	if (!record->run || !profile)
		return;
	e->next++;
	snprintf(name->run, sizeof(name->run), "%s", record->run);
	snprintf(name->profile, sizeof(name->profile), "%s", profile);
}

static const char *profile_of(const struct exporter *e, const char *run)
{
	for (size_t i = 0; run && i < NAMES_MAX; i++)
		if (e->names[i].run[0] && strcmp(e->names[i].run, run) == 0)
			return e->names[i].profile;
	return NULL;
}

static int export_item(void *data, const struct log_item *item, struct text *out)
{
	struct exporter *e = data;
	struct export_place place = item->place;

	if (item->record->body_case == BERM__WIRE__RECORD__BODY_RUN_START)
		remember(e, item->record);
	place.profile = profile_of(e, item->record->run);
	place.host = e->own_host ? e->host : NULL;
	export_record(e->format, item->record, &place, out);
	return 0;
}

/* The machine that the log's head names; false where it names none. */
static bool log_host(const struct log_place *place, uint8_t ret_id[HOST_BYTES])
{
	autocursor struct cursor c = {0};
	Berm__Wire__SegmentHead *head;
	struct cursor_record raw;
	struct unpack_room room;
	enum cursor_step step;
	struct error err;

	if (cursor_open(&storage_system, place->dir, &c, &err) < 0 ||
		cursor_next(&c, &raw, &step, &err) < 0 || step != CURSOR_RECORD ||
		raw.view.body != BERM__WIRE__RECORD__BODY_SEGMENT_HEAD)
		return false;
	head = unpack_small(&room, &berm__wire__segment_head__descriptor, raw.view.body_bytes,
		raw.view.body_length);
	if (!head || !head->has_host_id || head->host_id.len != HOST_BYTES)
		return false;
	memcpy(ret_id, head->host_id.data, HOST_BYTES);
	return true;
}

/* A log that was brought here from elsewhere does not get this machine's name. */
static bool is_own_host(const struct log_place *place)
{
	uint8_t of_log[HOST_BYTES], own[HOST_BYTES];
	autofree char *words = NULL;
	struct error err;
	size_t length, used;

	return log_host(place, of_log) &&
	       io_read_file(AT_FDCWD, "/etc/machine-id", 64, &words, &length, &err) == 0 &&
	       sodium_hex2bin(own, sizeof(own), words, length, "\n", &used, NULL) == 0 &&
	       used == sizeof(own) && memcmp(own, of_log, sizeof(own)) == 0;
}

static int export_log(const struct verb *verb, const struct export_options *options,
	const struct log_filter *filter, enum export_format format)
{
	struct exporter e = {.format = format};
	autologsession struct log_session session = {0};
	struct log_reading reading = {.verb = verb,
		.filter = filter,
		.limit = options->limit,
		.follow = options->follow,
		.sink = export_item,
		.data = &e};
	int code;

	if (!log_session_open(verb, &options->request, options->unchecked, &session, &code))
		return code;
	e.own_host = is_own_host(&session.place) && gethostname(e.host, sizeof(e.host)) == 0;
	return log_session_read(&session, &reading);
}

static int log_export(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct export_options *options = values;
	struct log_filter filter = options->filter;
	enum export_format format;
	int code;

	if (argc > 0)
		return verb_misused(verb, "takes no words: %s", argv[0]);
	if (!options->format)
		return verb_misused(verb, "--format is missing: ocsf, ecs, cef or jsonl");
	format = export_format_from_name(options->format);
	if (format == EXPORT_FORMAT_COUNT)
		return verb_misused(
			verb, "\"%s\" is no format: ocsf, ecs, cef or jsonl", options->format);
	if (options->limit > LOG_LIMIT_MAX)
		return verb_misused(verb, "--limit: at most %d", LOG_LIMIT_MAX);
	filter.all = true;
	code = log_read_prepare(verb, &filter);
	return code == CLI_GOOD ? export_log(verb, options, &filter, format) : code;
}

const struct verb verb_log_export = {
	.name = "log export",
	.summary = "Write what was recorded for other tools",
	.usage = "--format ocsf|ecs|cef|jsonl [OPTIONS]",
	.details = "One line a record, the log's own records among them: docs/record-exports.md. "
		   "The log "
		   "is checked\n"
		   "first; where it fails there is a warning, and the exit code is 1.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct export_options)},
	.function = log_export,
};
