/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "policy/arena.h"
#include "policy/decide.h"
#include "policy/profile.h"

#include <limits.h>

/* Learning a profile: what confined runs did, what of it a profile may grant, and the words of that
 * profile. Pure: what was seen comes in, lines go out. Nothing is granted by any of it. */

#define LEARN_RUNS_MAX 64            /* bits of learn_observation.runs */
#define LEARN_OBSERVATIONS_MAX 16384 /* different ones that are kept */
#define LEARN_ABSENT_MAX 4096 /* of them: reads of what is not there, which cost a tool nothing */
#define LEARN_BYTES_MAX (8u << 20)  /* of their objects together */
#define LEARN_LINES_MAX 256         /* of a proposal: nobody reads more */
#define LEARN_LINES_BYTES_MAX 49152 /* of their paths */
#define LEARN_NAMES_LEAST 8         /* of one directory, for the directory to be proposed */

/* What the host had at a path when a run first named it, before the call went on. */
enum learn_there {
	LEARN_ABSENT,
	LEARN_FILE,
	LEARN_DIRECTORY,
	LEARN_OTHER, /* a device, a socket, or not looked at */
	LEARN_THERE_COUNT
};

struct learn_observation {
	enum operation operation; /* READ, WRITE, EXEC, CONNECT, SYSCALL */
	const char *object;       /* as decide() wants it; raw bytes of the tool */
	enum learn_there there;
	bool of_root;   /* what is there belongs to root */
	uint64_t runs;  /* bit n: run n did it */
	uint64_t count; /* how often in all runs */
};

/* What a run needed most of. */
enum learn_cap {
	LEARN_FILES_CHANGED,
	LEARN_FILES_DELETED,
	LEARN_BYTES_WRITTEN,
	LEARN_PROCESSES_STARTED,
	LEARN_MEMORY,    /* bytes */
	LEARN_PIDS,      /* processes and threads at one time */
	LEARN_WALL_TIME, /* milliseconds */
	LEARN_CAP_COUNT
};

struct learn_peak {
	bool known;
	uint64_t value;
};

/* What runs did. Zero-initialise; release with learn_finish(). */
struct learn {
	struct arena arena;
	struct learn_observation *items; /* in the order they were first seen */
	size_t count;
	uint32_t *slots; /* hash table of indexes + 1; owned */
	size_t bytes, absent;
	unsigned runs;   /* at most LEARN_RUNS_MAX */
	uint64_t failed; /* bits of runs whose command failed */
	uint64_t lost;   /* observations that found no room: counted, not told apart */
	struct learn_peak peaks[LEARN_CAP_COUNT];
};

/* Add what one run saw; equal ones are joined. seen->object is copied. Never fails: what finds no
 * room is counted in lost. */
void learn_add(struct learn *learn, const struct learn_observation *seen);
void learn_peak(struct learn *learn, enum learn_cap cap, uint64_t value);
/* Add all of `more` as further runs. -E2BIG (kind INPUT) where that is over LEARN_RUNS_MAX. */
int learn_merge(struct learn *learn, const struct learn *more, struct error *err) must_check;
void learn_finish(struct learn *learn);
#define autolearn __attribute__((cleanup(learn_finish)))

/* The profile's word for a cap, "limits.wall_time". Static. */
const char *learn_cap_name(enum learn_cap cap);
unsigned learn_run_count(uint64_t runs);

/* What an observation comes to. */
enum learn_class {
	LEARN_COVERED,  /* the base allows it */
	LEARN_OWN,      /* of the run's own empty home */
	LEARN_NOTHING,  /* there was nothing to read */
	LEARN_PROPOSED, /* a line of the proposal allows it */
	/* Those after this one are for a person to look at. */
	LEARN_SECRET,    /* credentials */
	LEARN_RULED_OUT, /* a rule of the base, of the ceiling or of the walls says no */
	LEARN_OUTSIDE,   /* neither of the system nor of the work tree */
	LEARN_LISTING,   /* would grant a whole tree that is never granted */
	LEARN_NAMELESS,  /* its name cannot be written into a profile */
	LEARN_PROGRAM,   /* a program where the run can write */
	LEARN_NETWORK,
	LEARN_CALL, /* a system call */
	LEARN_CLASS_COUNT
};

/* "credential", "outside the system and the work tree" …; static. */
const char *learn_class_words(enum learn_class class);
static inline bool learn_to_look_at(enum learn_class class)
{
	return class > LEARN_PROPOSED;
}

/* What the lines are made against. All borrowed. */
struct learn_world {
	const struct profile *base;  /* what the proposal extends */
	const struct profile *walls; /* what the runs were held by */
	const char *workdir, *home;
	bool starts_there; /* runs start in workdir, so that it must be there for reading */
	const char *const *secrets; /* existing paths with credentials, NULL-terminated; or NULL */
};

/* One line of the proposal. */
struct learn_line {
	const char *key; /* "fs.read" …; static */
	const char *path;
	const char *rule;   /* why this path: "as-opened", "many-names" …; static */
	const char *reason; /* of that rule, for people; static */
	uint64_t runs;      /* that needed it */
	size_t names;       /* observations that it stands for */
	bool optional;
};

struct learn_proposal {
	struct arena arena;
	enum learn_class *classes; /* one for each observation */
	struct learn_line *lines;  /* by key, then path */
	size_t count;
	struct learn_peak caps[LEARN_CAP_COUNT]; /* proposed; not those that the base has */
	size_t proposed;                         /* lines that grant something */
};

/* Work out what may be proposed. 0, -ENOMEM, or -E2BIG (kind REFUSED) where that is more than a
 * profile should hold. Release with learn_proposal_finish(). */
int learn_propose(const struct learn *learn, const struct learn_world *world,
	struct learn_proposal *ret_proposal, struct error *err) must_check;
void learn_proposal_finish(struct learn_proposal *proposal);
#define autoproposal __attribute__((cleanup(learn_proposal_finish)))

/* The value of a cap as a profile has it: "4s", "15". buffer >= 32 bytes. */
const char *learn_cap_words(enum learn_cap cap, uint64_t value, char *buffer, size_t capacity);

/* The proposal as the text of a profile. base: the entry of its extends; command: what was run, for
 * a comment. Every byte that a tool chose is escaped. */
void learn_write(const struct learn *learn, const struct learn_world *world,
	const struct learn_proposal *proposal, const char *name, const char *base,
	struct text *out);

/* Ask the model about every observation under the profile that came of the text: what is proposed
 * or covered is allowed, what a person should look at is not. Returns how many are not so; the
 * first ones are said in out. */
size_t learn_check(const struct learn *learn, const struct learn_proposal *proposal,
	const struct profile *made, struct text *out);

/* True for a path that holds credentials by its name or place: it is never proposed. */
bool learn_is_secret(const char *path);
/* The same by the path's own name, for one whose parents are known to be none. */
bool learn_names_secret(const char *path);
/* True where a profile can name the path literally. */
bool learn_can_write(const char *path);
/* The path, or the nearest directory around it that a profile can name: path or the buffer. */
const char *learn_nearest_name(const char *path, char buffer[PATH_MAX]);
/* The path as a quoted scalar of a profile; what is beneath workdir (or NULL) by ${WORKDIR}. */
void learn_put_path(struct text *out, const char *path, const char *workdir);
/* What programs outside of a run execute or obey in a work tree: names beneath it, NULL-terminated;
 * ret_optional[i] where the i-th need not be kept free. Static. */
const char *learn_door(size_t i, bool *ret_optional);
