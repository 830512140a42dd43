/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/keys-rows.h"

/* Rows of blast_radius and pace. */

#define SECOND_MS 1000ULL
#define DAY_MS (24 * 3600 * SECOND_MS)
#define TIB (1ULL << 40)
#define MANY 1000000000000ULL
#define DENIALS_KEPT 64 /* what the meter remembers of the last ones, METER_DENIALS_KEPT */

/* clang-format off */

const struct key keys_blast_radius[] = {
	{"files_changed", VALUE_COUNT, .most = MANY, .example = "500", STORED(blast_radius.files_changed),
	 .help = "Different files written, made, renamed, replaced or given other attributes. A file counts once."},
	{"files_deleted", VALUE_COUNT, .most = MANY, .example = "25", STORED(blast_radius.files_deleted),
	 .help = "Names removed or replaced of files that the run did not make itself."},
	{"bytes_written", VALUE_SIZE, .most = 1024 * TIB, .example = "1GiB", STORED(blast_radius.bytes_written),
	 .help = "Bytes written to regular files. A writable shared mapping counts its whole length."},
	{"bytes_sent", VALUE_SIZE, .most = 1024 * TIB, .example = "50MiB", STORED(blast_radius.bytes_sent),
	 .help = "Bytes of payload sent over the network."},
	{"hosts_contacted", VALUE_COUNT, .most = MANY, .example = "20", STORED(blast_radius.hosts_contacted),
	 .help = "Different addresses connected or sent to."},
	{"processes_started", VALUE_COUNT, .most = MANY, .example = "5000", STORED(blast_radius.processes_started),
	 .help = "Forks that made a process. Threads and programs started in place of the one before are none."},
	{"tool_calls", VALUE_COUNT, .flags = KEY_PENDING, .needs = TOOL_PROXY, .most = MANY, .example = "300",
	 .help = "Calls of tools."},
	{"irreversible_actions", VALUE_COUNT, .flags = KEY_PENDING, .needs = TOOL_PROXY, .most = MANY, .example = "0",
	 .help = "Actions that nobody can take back."},
	{"warn_at", VALUE_PERCENT, .least = 1, .most = 100, .example = "50%", STORED(blast_radius.warn_at),
	 .help = "The share of any cap at which a warning is given, once for each."},
	{"on_exceed", VALUE_WORD, WORDS("deny", "alternate", "contingency", "emergency"), .default_text = "deny",
	 .example = "alternate", STORED(blast_radius.on_exceed), AT(blast_radius.on_exceed_at),
	 .help = "The operation that would cross a cap is always refused. This is the state that follows."},
	{0},
};

const struct key keys_pace[] = {
	{"alternate", VALUE_OBJECT, .of = SECTION_PHASE, STORED(pace.alternate),
	 .help = "Something is odd: less is allowed."},
	{"contingency", VALUE_OBJECT, .of = SECTION_PHASE, STORED(pace.contingency),
	 .help = "Something is wrong: next to nothing is allowed."},
	{"emergency", VALUE_OBJECT, .of = SECTION_PHASE, STORED(pace.emergency),
	 .help = "Stop, and keep the evidence."},
	{0},
};

const struct key keys_phase[] = {
	{"when", VALUE_OBJECT_LIST, .of = SECTION_TRIGGER, STORED_IN(struct phase_rules, when),
	 .example = "[{event: blast_radius, above: 50%}]",
	 .help = "Any one of these moves a run into the state."},
	{"then", VALUE_OBJECT, .of = SECTION_RESPONSE, STORED_IN(struct phase_rules, then),
	 .help = "What holds in the state, beside what held before. Without it alternate refuses writing and the network, "
		 "contingency freezes the run and emergency kills it."},
	{"recover", VALUE_WORD_OR_OBJECT, WORDS("manual", "never"), .flags = KEY_PENDING_OBJECT, .needs = "the supervisor",
	 .of = SECTION_RECOVER, .default_text = "manual", STORED_IN(struct phase_rules, recover),
	 .at_offset = offsetof(struct phase_rules, recover_at), .example = "manual",
	 .help = "How the state ends: by a person, never, or (checked only) by itself: "
		 "`{after: 15m, max_times: 3, within: 24h}`."},
	{0},
};

const struct key keys_trigger[] = {
	{"event", VALUE_WORD, WORDS("denial", "blast_radius", "tool_changed", "approvals_unreachable", "canary_touched",
	 "recorder_failed", "escape_attempt"), NEEDS(NULL, NULL, TOOL_PROXY, APPROVALS, NULL, NULL, NULL),
	 .flags = KEY_REQUIRED, .example = "denial", STORED_IN(struct trigger, event), .help = "What happened."},
	{"count", VALUE_COUNT, .least = 1, .most = DENIALS_KEPT, .example = "5", STORED_IN(struct trigger, count),
	 .help = "Of denial, with within: how often."},
	{"within", VALUE_DURATION, .least = SECOND_MS, .most = 365 * DAY_MS, .example = "10m",
	 STORED_IN(struct trigger, within_ms), .help = "Of denial, with count: in which time, sliding."},
	{"above", VALUE_PERCENT, .most = 1000, .example = "50%", STORED_IN(struct trigger, above_percent),
	 .help = "Of blast_radius: above which share of any cap. What was refused beyond the cap counts, so that a share "
		 "above 100% is one of attempts."},
	{"for", VALUE_DURATION, .least = 1, .most = 365 * DAY_MS, .example = "5m", STORED_IN(struct trigger, for_ms),
	 .help = "Of approvals_unreachable: for how long."},
	{0},
};

const struct key keys_response[] = {
	{"fs_write", VALUE_WORD, WORDS("deny", "ask"), .example = "deny", STORED_IN(struct response, fs_write),
	 .help = "What happens to writes, also through descriptors opened before. ask is enforced as deny until approvals "
		 "are there."},
	{"network", VALUE_WORD, WORDS("deny", "ask"), .example = "deny", STORED_IN(struct response, network),
	 .help = "What happens to the network. ask is enforced as deny until approvals are there."},
	{"exec", VALUE_WORD, WORDS("deny", "ask"), .example = "deny", STORED_IN(struct response, exec),
	 .help = "What happens to starting programs. ask is enforced as deny until approvals are there."},
	{"tools", VALUE_WORD, WORDS("deny", "ask", "read-only"), .flags = KEY_PENDING, .needs = TOOL_PROXY,
	 .example = "read-only", .help = "What happens to calls of tools."},
	{"run", VALUE_WORD, WORDS("freeze", "kill"), .example = "freeze", STORED_IN(struct response, run),
	 .help = "What happens to all processes."},
	{"keep", VALUE_WORD, WORDS("evidence", "nothing"), NEEDS(EVIDENCE, NULL), .example = "evidence",
	 .help = "What is kept of the run for those who look into it."},
	{0},
};

const struct key keys_recover[] = {
	{"after", VALUE_DURATION, .flags = KEY_REQUIRED, .least = SECOND_MS, .most = 365 * DAY_MS, .example = "15m",
	 .help = "Quiet time before the state ends."},
	{"max_times", VALUE_COUNT, .least = 1, .most = 1000, .example = "3",
	 .help = "How often it may end by itself. Then a person is needed."},
	{"within", VALUE_DURATION, .least = SECOND_MS, .most = 365 * DAY_MS, .example = "24h",
	 .help = "The time that max_times is counted in."},
	{0},
};

/* clang-format on */
