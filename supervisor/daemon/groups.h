/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "daemon/act.h"
#include "daemon/group-kill.h"
#include "govern/authority.h"

#include <stdbool.h>
#include <sys/types.h>

/* The groups of a state directory (STATE/groups/NAME), who may change their phase, and each change
 * as one transaction: lock, read, let time pass, act, write and record. A change that restricts is
 * written first and recorded then, without the lock; one that loosens is recorded, durably, before
 * it is written. Each group has a lock of its own (NAME.lock), and what brings emergency about
 * waits for it only for a moment. */

#define GROUPS_DIR "groups"

/* Zero is no valid state: initialise with GROUPS_NONE. */
struct groups {
	int state_fd, dir_fd; /* owned; -1: not open */
	uid_t owner;          /* of the state directory */
	char *state;          /* owned */
	char *authority_path; /* owned; NULL: no file, so that the owner is operator and has the
				 kill key */
	struct authority *authority; /* owned */
	/* For tests; NULL: groups_now(), act_record() and a process of its own. */
	int (*now)(struct pace_now *ret_now, struct error *err);
	int (*record)(const struct act *act, unsigned timeout_ms, struct error *err);
	int (*start_backup)(const struct groups *groups, const char *name, struct error *err);
};
#define GROUPS_NONE                                                                                \
	(struct groups)                                                                            \
	{                                                                                          \
		.state_fd = -1, .dir_fd = -1                                                       \
	}

/* Open the groups of the state directory that is open as state_fd (borrowed); as groups_open(). */
int groups_open_at(
	int state_fd, const char *state, struct groups *ret_groups, struct error *err) must_check;
/* Open the groups of the state directory, made where they are absent. Who has authority is read by
 * groups_authority(). Release with groups_close(). */
int groups_open(const char *state, struct groups *ret_groups, struct error *err) must_check;
void groups_close(struct groups *groups);
#define autogroups __attribute__((cleanup(groups_close)))

/* Read who has authority: authority.yaml of the state directory, else the one of /etc/berm. Where
 * there is neither, who owns the state directory is an operator and holds the kill key, and nobody
 * has any other role. diagnostics: what is wrong with the file. */
int groups_authority(struct groups *groups, struct text *diagnostics, struct error *err) must_check;

/* Whose authority counts: the person who asks, as the doors say (apply/caller.h), and nobody else:
 * that berm runs as root for somebody who is not listed gives that one nothing. Where there is no
 * authority.yaml everybody who can act as the owner is the owner. After groups_authority(). Kind
 * REFUSED where the doors name different people. */
int groups_caller(const struct groups *groups, uid_t *ret_uid, struct error *err) must_check;

/* The host's time. */
int groups_now(struct pace_now *ret_now, struct error *err) must_check;

/* The group as it is now: what time has brought since it was written is in it where that restricts,
 * though not yet in the file; what loosens holds when it is written. Needs no lock. -ENOENT (kind
 * NOT_FOUND); as state_file_read(). */
int groups_look(const struct groups *groups, const char *name, struct pace_group *ret_group,
	struct error *err) must_check;
/* How long to wait, at most. */
struct group_patience {
	unsigned lock_ms;
	unsigned tell_ms; /* for the log */
};
/* The same, and what is due is written down and recorded where that can be done in this time.
 * *ret_waits: something still is. */
int groups_settle(struct groups *groups, const char *name, const struct group_patience *patience,
	struct pace_group *ret_group, bool *ret_waits, struct error *err) must_check;
/* Each group's name, sorted; *ret_names and each name are the caller's. */
int groups_list(const struct groups *groups, char ***ret_names, size_t *ret_count,
	struct error *err) must_check;

/* What an operator sets. Fields that are not given stay. */
struct group_settings {
	unsigned tier;       /* 0: not given */
	unsigned configured; /* PHASE_COUNT: not given */
	const char *backup;  /* name or id of an agent of the group; NULL: not given; "": none */
	const char *contingency; /* likewise */
	uint64_t window_ms;      /* 0: not given */
};

/* Who acts and how it is known. Exactly one of signed, source, and neither (a person by uid). */
struct group_act {
	struct pace_event event; /* authority and source are filled in; nothing of it counts with
				    `signed_words` */
	const char *agent;       /* concerned: name or id of an agent of the group, or NULL */
	const struct authority_signed *signed_words; /* or NULL */
	const char *source;                          /* or NULL */
	uid_t uid;                                   /* of who asks */
	unsigned role; /* enum pace_authority; PACE_AUTHORITY_COUNT: whichever of theirs it takes */
};

struct group_result {
	struct pace_group group; /* afterwards */
	struct pace_outcome outcome;
	enum authority_refusal signature; /* not FINE: that is why it was refused */
	const char *unlisted;             /* static: not NULL, that is why it was refused */
	char by[PACE_NAME_MAX + 1];       /* who it was, "" where nobody is listed */
	char agent[AGENT_NAME_MAX + 1];   /* its name, where that was asked for */
	unsigned passed;                  /* changes that time brought before */
	unsigned done;  /* of outcome.actions: what is done, or in force by the file */
	unsigned begun; /* likewise: what a process of berm's does by now */
	bool killing;   /* it is an emergency: `killed` says what became of its runs */
	struct group_killed killed;
	struct error without_lock; /* code 0, or why it was done without the lock */
	bool recorded;
	struct error recording; /* why not */
};

/* Make the group (tier 1 and primary where nothing else is said), or change what is set. A new
 * group and what restricts need an operator or any other role but the observer's; a higher tier, a
 * less restrictive floor and other agents for backup and contingency need the risk owner where
 * anybody is one, and so does a group that agents say was there before. A floor above the phase in
 * which the group is needs who may declare that phase. The tier is another one only where nothing
 * waits that depends on it: in primary, with nobody held. */
int groups_set(struct groups *groups, const char *name, const struct group_settings *settings,
	uid_t uid, struct group_result *ret_result, struct error *err) must_check;
/* One act of one group. A refusal is no error: see ret_result->outcome. */
int groups_act(struct groups *groups, const char *name, const struct group_act *act,
	struct group_result *ret_result, struct error *err) must_check;
/* What a meter of berm's own found. */
struct group_finding {
	const char *agent; /* its id */
	unsigned trigger;  /* enum pace_trigger: a suspicion or evidence */
	struct group_patience patience;
};
/* Tell the group of that name. -ETIMEDOUT: the lock was held for that long. */
int groups_suspect(struct groups *groups, const char *name, const struct group_finding *finding,
	struct group_result *ret_result, struct error *err) must_check;

/* An agent's name for people, where its file can be read; else its id. */
#define GROUP_AGENT_WORDS (AGENT_NAME_MAX + 1)
void groups_agent_name(
	const struct groups *groups, const char *id, char ret_name[GROUP_AGENT_WORDS]);
