/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/held.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A profile after parsing, extends, remove, variables and the ceiling: typed, complete, still
 * knowing where each line came from. Everything is owned by the profile (one arena) and lives until
 * profile_destroy(). */

/* Where a value was written. file is owned by the profile; line and column from 1; all 0 and "" for
 * defaults. */
struct source {
	const char *file;
	uint32_t line;
	uint32_t column;
};

struct source_file;

enum decision {
	DECISION_DENY = 0, /* zero on purpose: what nobody filled in is denied */
	DECISION_ASK,
	DECISION_ALLOW,
	DECISION_COUNT
};

enum path_access { PATH_READ, PATH_WRITE, PATH_ACCESS_COUNT };

/* One entry of fs.read, fs.write, fs.ask, fs.deny, fs.protect, fs.canaries, network.unix,
 * exec.*[].path. */
struct path_rule {
	const char *path; /* absolute, normal, variables replaced; may hold a glob in deny, protect
			     and canaries */
	const char *written; /* as in the file */
	const char *reason;  /* or NULL */
	bool optional;       /* absent is no error */
	bool is_glob;
	/* Of fs.read and fs.ask, where a ceiling took a write grant away: programs still do not run
	 * here unless exec.allow names them. */
	bool no_exec;
	enum path_access access; /* fs.ask: what it asks for */
	struct source at;
};

struct path_rules {
	struct path_rule *items;
	size_t count;
};

struct network_rule {
	/* Exactly one of the two. host is lower case and may begin with "*." (one label) or "**."
	 * (any depth); cidr is canonical, "10.20.0.0/16". */
	const char *host, *cidr;
	uint16_t (*ports)[2]; /* inclusive ranges; none = every port */
	size_t port_count;
	const char *proto; /* "tcp", "udp" or NULL = both */
	const char **by;   /* executables that may use the rule; none = every one */
	size_t by_count;
	bool allow_all; /* the author said that 0.0.0.0/0 or ::/0 is meant */
	const char *reason;
	struct source at;
};

struct network_rules {
	struct network_rule *items;
	size_t count;
};

struct exec_rule {
	const char *path;     /* absolute, normal, never a glob; or NULL */
	const char *written;  /* path as in the file, or NULL */
	const char **command; /* argv prefix, or NULL; exactly one of the two */
	size_t command_count;
	bool optional; /* a path that is absent is no error */
	const char *reason;
	struct source at;
};

struct exec_rules {
	struct exec_rule *items;
	size_t count;
};

struct string_rule {
	const char *text;
	struct source at;
};

struct string_rules {
	struct string_rule *items;
	size_t count;
};

struct env_set {
	const char *name;
	const char *value;
	struct source at;
};

/* One line of tests: what the profile says it decides, for check and test. */
struct test_rule {
	const char *operation; /* "read", "write", "exec", "connect", "syscall", "env" or "tool" */
	const char *object;    /* the rest of the line, variables replaced */
	const char *name;      /* or NULL */
	enum decision expect;
	struct source at;
};

/* A number that may be absent. */
struct limit {
	bool set;
	uint64_t value; /* unit by the field that holds it */
	struct source at;
};

/* The state that follows when a cap refuses. In order of strength. */
enum on_exceed {
	ON_EXCEED_DENY, /* none: the operation is refused, the run goes on */
	ON_EXCEED_ALTERNATE,
	ON_EXCEED_CONTINGENCY,
	ON_EXCEED_EMERGENCY,
	ON_EXCEED_COUNT
};

enum trigger_event {
	TRIGGER_DENIAL,
	TRIGGER_BLAST_RADIUS,
	TRIGGER_TOOL_CHANGED,
	TRIGGER_APPROVALS_UNREACHABLE,
	TRIGGER_CANARY_TOUCHED,
	TRIGGER_RECORDER_FAILED,
	TRIGGER_ESCAPE_ATTEMPT,
	TRIGGER_COUNT
};

/* Something that moves a run into a state of pace. Numbers that are not the event's own are not
 * set. */
struct trigger {
	enum trigger_event event;
	struct limit count, within_ms; /* TRIGGER_DENIAL */
	struct limit above_percent;    /* TRIGGER_BLAST_RADIUS: of any cap */
	struct limit for_ms;           /* TRIGGER_APPROVALS_UNREACHABLE */
	struct source at;
};

struct triggers {
	struct trigger *items;
	size_t count;
};

/* Values of the words of a response, which count from 1. */
enum response_word { RESPONSE_DENY = 1, RESPONSE_ASK };
enum response_run { RESPONSE_FREEZE = 1, RESPONSE_KILL };

/* What holds in a state, beside the profile. Nothing set: what the state means by itself, see
 * phase_posture(). */
struct response {
	struct limit fs_write, network, exec; /* enum response_word; ask is enforced as deny */
	struct limit run;                     /* enum response_run */
};

enum recover {
	RECOVER_MANUAL, /* a person ends the state */
	RECOVER_NEVER,
	RECOVER_COUNT
};

/* One state of pace, beside the primary one, which is the profile itself. */
struct phase_rules {
	struct triggers when;
	struct response then;
	enum recover recover;
	struct source recover_at;
};

#define RECORD_OUTPUTS_MAX 64
/* The numbers of the words of workspace.mode, which count from 1. */
enum workspace_mode { WORKSPACE_DIRECT = 1, WORKSPACE_STAGED };

/* The numbers of the words of recorder, which count from 1. */
enum record_level { RECORD_DECISIONS = 1, RECORD_ACTIVITY, RECORD_FULL };
/* From the strictest. */
enum record_failure { RECORD_FAILURE_STOP = 1, RECORD_FAILURE_EMERGENCY, RECORD_FAILURE_CONTINUE };
#define RECORD_KEEP_DEFAULT_MS (365ULL * 24 * 3600 * 1000)

enum sink_type {
	SINK_JOURNALD,
	SINK_SYSLOG,
	SINK_FILE, /* this and the next are the operator's alone: never in a profile */
	SINK_EXEC,
	SINK_TYPE_COUNT
};

enum sink_format { SINK_OCSF, SINK_ECS, SINK_CEF, SINK_JSONL, SINK_FORMAT_COUNT };

/* Where the records of a run are also sent to. */
struct sink_rule {
	enum sink_type type;
	enum sink_format format;
	struct source at;
};

struct sink_rules {
	struct sink_rule *items;
	size_t count;
};

#define GATES_MAX 16

struct command_words {
	const char **items; /* of them the first is a program */
	size_t count;       /* 0: not written */
	struct source at;
};

enum gate_error { GATE_ERROR_DENY, GATE_ERROR_ASK, GATE_ERROR_COUNT };

struct judge_rule {
	const char *name;
	struct command_words exec;
	struct limit on; /* set of HELD_… */
	struct limit timeout_ms;
	enum gate_error on_error;
	bool operators; /* of an operator's ceiling: it runs as this process */
	struct source at;
};

struct judge_rules {
	struct judge_rule *items;
	size_t count;
};

enum network_mode {
	NETWORK_MODE_SCOPED, /* own namespace; what allow lists, nothing else */
	NETWORK_MODE_HOST,   /* explicit: the host's network */
	NETWORK_MODE_COUNT
};

enum syscall_base { SYSCALL_BASE_DEFAULT, SYSCALL_BASE_STRICT, SYSCALL_BASE_COUNT };

enum deny_action { DENY_EPERM, DENY_ENOSYS, DENY_KILL, DENY_ACTION_COUNT };

enum exec_hash { EXEC_HASH_OFF, EXEC_HASH_PIN, EXEC_HASH_COUNT };

enum feedback {
	FEEDBACK_CODE, /* the tool sees an error number */
	FEEDBACK_NONE,
	FEEDBACK_HINT,
	FEEDBACK_COUNT
};

/* A section or key that parses and is checked and shown, but that this build cannot enforce yet. */
struct pending {
	const char *key;   /* "blast_radius.files_deleted" */
	const char *needs; /* "the meter", "approvals" …: for the message */
	/* As written, on one line, variables not replaced: to be compared and shown. NULL where the
	 * value is stored elsewhere in the profile. */
	const char *value;
	struct source at;
};

struct profile {
	const char *name;
	const char *description;
	const char *file;   /* the file asked for */
	bool of_run;        /* narrowed to a run, which asks for this one */
	bool of_operator;   /* every file of it is root's, or the user's who this process is */
	const char **files; /* every file read, in reading order, as real paths: ceilings last */
	size_t file_count;
	const struct source_file *sources; /* their text, to quote lines from; or NULL */
	uint8_t digest[32]; /* BLAKE2b-256 over every file read: domain, length, bytes, in reading
			       order */

	bool degrade; /* on_unsupported: degrade */
	struct source degrade_at;
	enum feedback feedback;
	struct source feedback_at;

	struct {
		struct limit landlock;            /* least ABI */
		struct limit notify, bpf, cgroup; /* value 1 = demanded */
	} requires;

	struct {
		struct path_rules read, write, ask, deny, canaries;
		/* Inside a write grant: as readable as the grant makes it, but it and everything
		 * beneath it cannot be created, changed, replaced, renamed or removed. Wins over
		 * write; deny wins over it. A path that is absent is protected as well, so absence
		 * is never an error. extends and the ceiling add to it. */
		struct path_rules protect;
		struct {
			bool private;            /* default true */
			struct limit size_bytes; /* default 256 MiB */
			struct source at;
		} tmp, home; /* a private, empty tmpfs at /tmp and at ${HOME} */
	} fs;

	struct {
		enum network_mode mode;
		struct source mode_at;
		struct network_rules allow, ask, deny;
		struct string_rules listen;
		struct path_rules unix_sockets;
	} network;

	struct {
		enum decision default_decision; /* allow where not written */
		struct source default_at;
		struct exec_rules allow, ask, deny;
		enum exec_hash hash;
		struct source hash_at;
	} exec;

	struct {
		enum syscall_base base;
		struct source base_at;
		struct string_rules allow; /* names added to the base */
		struct string_rules deny;  /* names taken out, win over allow */
		struct string_rules deny_groups;
		/* All that socket() may make: unix inet inet6 netlink …; none = no socket at all.
		 * The loader fills in inet and inet6 (place zero) where the key is not
		 * written, so an empty list never means a default. */
		struct string_rules families;
		enum deny_action on_deny;
		struct source on_deny_at;
	} syscalls;

	struct {
		struct string_rules pass; /* names and globs */
		struct env_set *set;
		size_t set_count;
		struct string_rules hide;
	} env;

	struct {
		struct limit cpu_percent; /* cpu: 2 = 200 */
		struct limit memory_bytes, pids, open_files, file_size_bytes, wall_time_ms,
			io_weight;
	} limits;

	/* What one run may do in total; bytes_… in bytes. */
	struct {
		struct limit files_changed, files_deleted, bytes_written, bytes_sent,
			hosts_contacted, processes_started;
		struct limit warn_at; /* per cent of every cap */
		enum on_exceed on_exceed;
		struct source on_exceed_at;
	} blast_radius;

	struct {
		struct phase_rules alternate, contingency, emergency;
	} pace;

	struct {
		struct limit level;         /* enum record_level; not set: decisions */
		struct limit on_failure;    /* enum record_failure; see recorded_failure() */
		struct limit keep_ms;       /* not set: RECORD_KEEP_DEFAULT_MS */
		struct string_rules redact; /* regular expressions */
		struct sink_rules sinks;
		struct path_rules outputs; /* files whose hashes are in the receipt */
	} recorder;

	struct {
		const char *path; /* NULL: there is no such section */
		struct source path_at;
		struct limit mode; /* enum workspace_mode; not set: direct */
	} workspace;

	struct {
		struct limit on;       /* set of HELD_… */
		struct limit channels; /* set of APPROVAL_…; see approvals_channels() */
		struct command_words exec;
		bool exec_is_operators;
		bool exec_of_ceiling;    /* a ceiling had a say: no other program takes its
					    place */
		struct limit timeout_ms; /* not set: APPROVAL_TIMEOUT_DEFAULT_MS */
		/* New questions of one agent; both or none. */
		struct limit rate_max, rate_within_ms;
	} approvals;
	struct judge_rules gates;

	struct {
		struct pending *items;
		size_t count;
	} pending;

	struct {
		struct test_rule *items;
		size_t count;
	} tests;
};
