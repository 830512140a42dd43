/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of plan/ share while one plan is made. Private to plan/.
 *
 * The order of work is fixed (see plan_compile()): rules, identity, grants, areas, protections,
 * mounts, Landlock, system calls, the rest. Each step reads what the earlier ones left here and
 * adds its part to the Plan message. Nothing here asks the system for anything. Allocation failures
 * are sticky (out_of_memory) and reported once, at the end. */

#include "base/path.h"
#include "plan/plan.h"

#include <string.h>

/* The run's own PID 1 lives in the same cgroup and user namespace as the tool. */
#define PLAN_OWN_TASKS 1

/* Where the lines of a profile stand in Plan.rules; the order of this list is the order in the
 * plan. Those about system calls come after them, as syscalls_compile() asks for them. */
enum rule_section {
	RULES_FS_READ,
	RULES_FS_WRITE,
	RULES_FS_ASK,
	RULES_FS_DENY,
	RULES_FS_PROTECT,
	RULES_FS_CANARIES,
	RULES_FS_TMP,
	RULES_FS_HOME,
	RULES_NETWORK_MODE,
	RULES_NETWORK_ALLOW,
	RULES_NETWORK_ASK,
	RULES_NETWORK_DENY,
	RULES_NETWORK_LISTEN,
	RULES_NETWORK_UNIX,
	RULES_EXEC_DEFAULT,
	RULES_EXEC_ALLOW,
	RULES_EXEC_ASK,
	RULES_EXEC_DENY,
	RULES_EXEC_HASH,
	RULES_ENV_PASS,
	RULES_ENV_SET,
	RULES_ENV_HIDE,
	RULES_LIMITS_CPU,
	RULES_LIMITS_MEMORY,
	RULES_LIMITS_PIDS,
	RULES_LIMITS_OPEN_FILES,
	RULES_LIMITS_FILE_SIZE,
	RULES_LIMITS_WALL_TIME,
	RULES_LIMITS_IO_WEIGHT,
	RULES_BLAST_FILES_CHANGED,
	RULES_BLAST_FILES_DELETED,
	RULES_BLAST_BYTES_WRITTEN,
	RULES_BLAST_BYTES_SENT,
	RULES_BLAST_HOSTS_CONTACTED,
	RULES_BLAST_PROCESSES_STARTED,
	RULES_BLAST_WARN_AT,
	RULES_BLAST_ON_EXCEED,
	RULES_ALTERNATE_WHEN,
	RULES_ALTERNATE_THEN,
	RULES_CONTINGENCY_WHEN,
	RULES_CONTINGENCY_THEN,
	RULES_EMERGENCY_WHEN,
	RULES_EMERGENCY_THEN,
	RULES_RECORDER_LEVEL,
	RULES_RECORDER_ON_FAILURE,
	RULES_RECORDER_KEEP,
	RULES_RECORDER_REDACT,
	RULES_RECORDER_SINKS,
	RULES_RECORDER_OUTPUTS,
	RULES_WORKSPACE_MODE,
	RULES_APPROVALS_ON,
	RULES_GATES,
	RULES_SECTION_COUNT
};

/* Where root itself asks, a run gets a host uid that nobody else has: the range is far above what
 * distributions, directories (sssd, winbind) and subuid(5) hand out by default. */
#define DEDICATED_UID_FIRST 0x70000000U
#define DEDICATED_UID_COUNT 0x0f000000U

/* One fs.read or fs.write entry (or an exec.allow path inside a write grant) after its links were
 * followed. */
struct grant {
	const char *written; /* as the profile names it; borrowed */
	const char *path;    /* the real path; borrowed from the facts */
	const Berm__Wire__PathFact *fact;
	enum rule_section section;
	uint32_t rule;
	bool write;
	bool exec;    /* programs beneath it may be run, files mapped executable */
	bool dropped; /* a deny covers it, or it is the same object as another grant */
	bool socket;  /* from network.unix */
	bool mounted; /* needs a mount of its own: it is an area */
};

enum area_kind {
	AREA_ROOT,  /* berm's own, empty, read-only in the end */
	AREA_GRANT, /* a bind of the host's object at the same path */
	AREA_TMPFS, /* private and empty: /tmp, the home, /dev/shm */
	AREA_PROC,
	AREA_DEV
};

/* A part of the new root that is one mount. Sorted by path_order(), "/" first. */
struct area {
	const char *path;
	size_t length;
	enum area_kind kind;
	const struct grant *grant; /* AREA_GRANT */
	bool write;
	bool exec;
	uint64_t size_bytes; /* AREA_TMPFS */
	uint32_t mode;       /* AREA_TMPFS */
	uint32_t rule;
	bool staged; /* AREA_GRANT: what is written lands beside it */
};

/* A place inside a granted tree that is less than the tree. In order of strength. */
enum protection_kind { PROTECTION_PIN, PROTECTION_RESERVE, PROTECTION_SEAL, PROTECTION_HIDE };

struct protection {
	const char *path; /* real path */
	enum protection_kind kind;
	Berm__Wire__FileKind file_kind;
	uint64_t dev, ino; /* of the object; 0 for RESERVE */
	uint32_t rule;
	bool merged; /* a stronger or higher one does its work */
	bool decoy;  /* whoever touches it trips the breaker: not to be tried */
	bool may_go; /* covered if it is still there, whichever directory it is then: not to be
			tried either */
};

struct link {
	const char *path;
	const char *target; /* real path */
	const char *content;
	uint32_t rule;
};

/* A program of exec.allow that runs as it is now: exec.hash. */
struct program {
	const Berm__Wire__PathFact *fact;
	uint32_t rule;
};

/* Paths and patterns that lines of one meaning name. */
enum cover_set {
	COVERS_DENY,    /* fs.deny, fs.canaries, fs.ask for reading */
	COVERS_PROTECT, /* fs.protect, fs.ask for writing */
	COVERS_WRITE,   /* fs.write, also where a ceiling made reading of it */
	COVERS_EXEC_ALLOW,
	COVERS_EXEC_DENY, /* exec.deny, exec.ask */
	COVERS_COUNT
};

struct cover {
	const char *path; /* borrowed from the profile or the facts */
	size_t length;
	bool is_glob;
};

struct covers {
	struct cover *items;
	size_t count, capacity;
};

struct compiler {
	const struct profile *profile;
	const Berm__Wire__HostFacts *facts;
	const struct plan_request *request;
	Berm__Wire__Plan *plan;
	struct text *notes;
	struct error *err;
	bool out_of_memory;

	uint32_t rule_first[RULES_SECTION_COUNT + 1]; /* the last one: their end */
	const Berm__Wire__PathFact **paths;           /* facts, sorted by path */
	struct covers covers[COVERS_COUNT];
	struct grant *grants;
	size_t grant_count, grant_capacity;
	struct area *areas;
	size_t area_count, area_capacity;
	struct protection *protections;
	size_t protection_count, protection_capacity;
	struct program *programs;
	size_t program_count, program_capacity;
	struct link *links;
	size_t link_count, link_capacity;
	void **kept; /* freed with the compiler */
	size_t kept_count, kept_capacity;
	const char *home;              /* inside, real path */
	bool network_missing;          /* a network namespace was wanted and cannot be had */
	Berm__Wire__Mount spare_mount; /* written to instead when memory ran out */
};

/* rules.c: every line of the profile into Plan.rules. */
int plan_rules(struct compiler *c) must_check;
/* One more; its index, UINT32_MAX when memory ran out. at and reason may be NULL. */
uint32_t rule_add(struct compiler *c, const char *key, const char *value, const struct source *at,
	const char *reason);
/* The index in Plan.rules of entry i of a section; 0 (berm's default) for a single value that
 * nobody wrote. */
uint32_t rule_index(const struct compiler *c, enum rule_section section, size_t i);
/* Say by what a rule is enforced. The first word stands; further different ones are added after ",
 * ". */
void rule_enforced(struct compiler *c, uint32_t rule, const char *by);
/* "base.yaml:3:5: fs.read /usr" for messages, kept by the compiler. */
const char *rule_text(struct compiler *c, uint32_t rule);

/* enforce.c */
/* Demands of the profile against the host, and what is parsed but cannot be enforced yet. */
int plan_requirements(struct compiler *c) must_check;
/* A feature is missing for a rule: 0 where degrading was allowed (the feature is then in
 * Plan.degraded), else -EOPNOTSUPP and the error. consequence: what does not hold then. */
int feature_missing(
	struct compiler *c, const char *feature, uint32_t rule, const char *consequence) must_check;
/* What is left without a word in Rule.enforced_by gets its word. */
void plan_enforcement(struct compiler *c);

/* facts.c: refuse facts that would put a place that is no plain path into the plan: every reader of
 * a plan may rely on plain ones, wherever the facts came from. */
int plan_facts(struct compiler *c) must_check;
/* covers.c: sort the facts, gather what the lines speak about. */
int plan_covers(struct compiler *c) must_check;
/* The fact about a path as it was asked for, or NULL. */
const Berm__Wire__PathFact *fact_find(const struct compiler *c, const char *path);
/* True where a path (or pattern) of the set is the path or lies above it. */
bool path_is_covered(const struct compiler *c, enum cover_set set, const char *path);
bool path_is_denied(const struct compiler *c, const char *path);
/* True where exec.allow covers the path and neither exec.deny nor exec.ask does. */
bool path_may_exec(const struct compiler *c, const char *path);
/* True where exec.deny or exec.ask covers the path. */
bool path_may_not_exec(const struct compiler *c, const char *path);

/* grants.c */
/* Follow every grant and drop what a deny covers. */
int plan_grants(struct compiler *c) must_check;
/* links.c: refuse grants whose way the tool could bend. */
int plan_links(struct compiler *c) must_check;

/* areas.c: what the new root consists of, and the links in it. */
int plan_areas(struct compiler *c) must_check;
/* The innermost area that holds the path; never NULL, since "/" is one. */
const struct area *area_of(const struct compiler *c, const char *path);
/* The same, but not the area that begins at the path itself. */
const struct area *area_around(const struct compiler *c, const char *path);

/* stage.c: the area whose changes wait to be committed. */
int plan_stage(struct compiler *c) must_check;

/* protect.c: what is denied or protected inside a grant. */
int plan_protections(struct compiler *c) must_check;

/* programs.c: exec.hash. Which programs run as they are now, after the protections. */
int plan_programs(struct compiler *c) must_check;
/* Their steps, for mounts.c. */
void plan_program_mounts(struct compiler *c);
/* True where exec.allow names this file, and exec.hash holds what is in it. */
bool program_is_pinned(const struct compiler *c, const char *path);
/* pinned.c: with exec.hash: pin, refuse a finished plan (mounts and Landlock are there) that lets
 * anything be executed but the copies and the ELF interpreter. It is the one place that decides
 * this: a line of the profile that no other step refuses ends here. */
int plan_pinned(struct compiler *c) must_check;
/* The same for any plan; -EINVAL and the error where it does not hold. */
int pinned_holds(const Berm__Wire__Plan *plan, const Berm__Wire__HostFacts *facts,
	struct error *err) must_check;

/* mounts.c */
int plan_mounts(struct compiler *c) must_check;
/* dev.c: /dev, /proc and the small files of /etc, into Plan.mounts. */
void plan_devices(struct compiler *c);
/* True for a node or link of /dev that every run has. */
bool path_is_own_device(const char *path);
void plan_synthetic_files(struct compiler *c);

int plan_landlock(struct compiler *c) must_check;
/* True for the name of an ELF interpreter, which a run may execute wherever it is granted. */
bool interpreter_name_is_known(const char *path);
/* Who the run is; before the areas, which need the home. */
int plan_identity(struct compiler *c) must_check;
/* After the grants: whether the files of the write grants can keep their owner. */
int plan_owner(struct compiler *c) must_check;
/* True where write grants are id-mapped. */
bool identity_maps(const struct compiler *c);
int plan_environment(struct compiler *c) must_check;
int plan_limits(struct compiler *c) must_check;
int plan_network(struct compiler *c) must_check;
void plan_canaries(struct compiler *c);

/* meter.c: whether the run is metered and by what (Plan.meter), its caps, states and breakers. */
int plan_meter(struct compiler *c) must_check;
/* meter-scope.c: places and families of sockets, once mounts and network are there; a meter that
 * has nothing to do goes. */
int plan_meter_scope(struct compiler *c) must_check;

/* approvals.c: Plan.approvals. */
int plan_approvals(struct compiler *c) must_check;

/* recorder.c: Plan.recorder; before the meter, which has to do with it. */
int plan_recorder(struct compiler *c) must_check;
/* By what the level is enforced, once the meter is known. */
int recorder_level(struct compiler *c) must_check;

/* message.c: parts of the Plan. They never return NULL; see out_of_memory. */
Berm__Wire__Mount *message_mount(
	struct compiler *c, Berm__Wire__MountKind kind, const char *target, uint32_t rule);
char *message_string(struct compiler *c, const char *string);
void message_bytes(struct compiler *c, ProtobufCBinaryData *ret, const void *bytes, size_t length);
/* Append a pointer to a repeated field; *items is grown by powers of two. */
bool message_push(struct compiler *c, void *items, size_t *count, void *item) must_check;
/* Room for one more element of size bytes in a growing array; the new element, zeroed, or NULL. */
void *array_add(struct compiler *c, void *items, size_t *count, size_t *capacity, size_t size);
/* Keep an allocation until the compiler is finished; returns it. NULL counts as out of memory. */
char *keep(struct compiler *c, char *allocated);
void note(struct compiler *c, const char *format, ...) printf_like(2, 3);

/* Order paths so that every directory comes right before what lies beneath it. */
int path_order(const char *a, const char *b);
