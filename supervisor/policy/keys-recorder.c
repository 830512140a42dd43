/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/keys-rows.h"

/* Rows of recorder. */

#define DAY_MS (24 * 3600 * 1000ULL)

/* clang-format off */

const struct key keys_recorder[] = {
	{"level", VALUE_WORD, WORDS("decisions", "activity", "full"), .default_text = "decisions", .example = "activity",
	 STORED(recorder.level),
	 .help = "How much is recorded. decisions: start and end of a run, denials, caps and states. activity: also programs "
		 "started, files changed and connections. full: also what is read."},
	{"on_failure", VALUE_WORD, WORDS("stop", "emergency", "continue"), .default_text = "stop", .example = "emergency",
	 STORED(recorder.on_failure),
	 .help = "What happens to the run when nothing can be recorded: it is stopped (or not started), it enters the state "
		 "emergency, or it goes on unrecorded. Not written: the state whose `when` has the event recorder_failed, if any."},
	{"keep", VALUE_DURATION, .least = DAY_MS, .most = 36500 * DAY_MS, .default_text = "365d", .example = "1095d",
	 STORED(recorder.keep_ms), .help = "How long the records of the run are kept at least."},
	{"redact", VALUE_STRING_LIST, CONTENT_EXPRESSION, .example = "['\\bACME-[0-9]{8}\\b']", STORED(recorder.redact),
	 .help = "Regular expressions (PCRE2, over bytes). What they match is blanked before a record is made, beside the "
		 "values of the variables in env.hide and what looks like a well-known kind of secret."},
	{"sinks", VALUE_OBJECT_LIST, .of = SECTION_SINK, .example = "[{type: journald, format: ocsf}]",
	 STORED(recorder.sinks), .help = "Where the records of the run are also sent to."},
	{"outputs", VALUE_PATH_RULES, CONTENT_PATH, .of = SECTION_PATH_RULE, .example = "[\"${WORKDIR}/report.json\"]",
	 STORED(recorder.outputs),
	 .help = "Files whose hashes (BLAKE2b-256) are in the record of the run's end, taken after its last process is gone. At "
		 "most 64; no directories, and nothing behind a link."},
	{"chain", VALUE_WORD, WORDS("blake2b"), .default_text = "blake2b", .example = "blake2b",
	 .help = "The hash that ties each record to the one before. There is only this one."},
	{"dir", VALUE_STRING, CONTENT_PATH, .flags = KEY_OPERATOR, .example = "/var/lib/berm/log",
	 .needs = "the log is where --state-dir says, or else in its usual place, so that no profile can lead its runs "
		  "past it",
	 .help = "Where the log is: `--state-dir`, or its usual place."},
	{"sign_key", VALUE_STRING, CONTENT_PATH, .flags = KEY_OPERATOR, .example = "/var/lib/berm/keys",
	 .needs = "the log is sealed with the keys in the state directory, which change with each seal",
	 .help = "The keys are those of the state directory."},
	{0},
};

const struct key keys_sink[] = {
	{"type", VALUE_WORD, WORDS("journald", "syslog", "file", "exec"), .flags = KEY_REQUIRED, .example = "journald",
	 STORED_IN(struct sink_rule, type),
	 .help = "What kind of place. file and exec are not for a profile: the operator names them in recorder.yaml of the "
		 "state directory."},
	{"format", VALUE_WORD, WORDS("ocsf", "ecs", "cef", "jsonl"), .default_text = "ocsf", .example = "ocsf",
	 STORED_IN(struct sink_rule, format), .help = "How a record is written."},
	{"path", VALUE_STRING, CONTENT_PATH, .flags = KEY_OPERATOR, .example = "/var/log/berm/runs.jsonl",
	 .needs = "a file is named in recorder.yaml of the state directory", .help = "For file, see type."},
	{"command", VALUE_COMMAND, CONTENT_VALUE, .flags = KEY_OPERATOR, .example = "[/usr/local/lib/berm/to-otlp]",
	 .needs = "a program is named in recorder.yaml of the state directory", .help = "For exec, see type."},
	{0},
};

/* clang-format on */
