/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/groups.h"
#include "daemon/state-file.h"
#include "wire/pace.pb-c.h"

/* What the two halves of the groups share: the files, and what is recorded. */

/* What the log lacks of a group: kept in its file, so that a kill between the change and its record
 * loses neither. Whoever changes the group next tells it; so a thing may be told twice, under the
 * same number. */
#define GROUP_UNTOLD_MAX 64
struct group_log {
	uint64_t told;             /* things, ever */
	bool planned;              /* something that loosens was to be told, and is not so yet */
	ProtobufCBinaryData *list; /* owned: the things after them, each a PhaseChange */
	size_t count;
};
void group_log_finish(struct group_log *log);
/* Drop those of the first `until` things, ever, that are there still. */
void group_log_drop(struct group_log *log, uint64_t until);

/* The file as it is. log: NULL where it is not wanted; what it held before is released. */
int group_read(const struct groups *groups, const char *name, struct pace_group *ret_group,
	struct group_log *log, struct error *err) must_check;
int group_write(const struct groups *groups, const struct pace_group *group,
	const struct group_log *log, struct error *err) must_check;

/* Room on the disk for what has to be written when there is none (groups/.reserve.N): made where
 * there is room for it; a part of it is given back for each thing that needs it. False: there is
 * nothing left. */
void group_reserve_make(const struct groups *groups);
bool group_reserve_give(const struct groups *groups);

/* The id of the agent of that name or id, where it is one of the group and in service. ret_name:
 * may be NULL. Kind INPUT where it is not. */
int group_agent(const struct groups *groups, const char *group, const char *agent,
	char ret_id[AGENT_ID_BYTES + 1], char ret_name[AGENT_NAME_MAX + 1],
	struct error *err) must_check;

/* What the file alone brings about: whoever starts a run of the group or watches one reads it. */
#define GROUP_BY_FILE                                                                              \
	(PACE_ISOLATE | PACE_APPROVE_WRITES | PACE_HALVE_THRESHOLDS | PACE_SUSPEND |               \
		PACE_CONTAIN | PACE_RELEASE | PACE_SUPERVISE)

/* One thing for the log. */
struct group_told {
	struct pace_outcome outcome;
	const struct group_killed *killed; /* NULL: its runs were not ended for it */
	const char *refusal;               /* NULL: as the outcome says */
	const char *result;                /* NULL: as the outcome says */
	const char *by, *reason;
	const uint8_t *key; /* AUTHORITY_KEY_BYTES, or NULL */
	uint64_t number;
	unsigned started; /* set of enum pace_action: what was done by a program that was started */
	unsigned begun;   /* likewise: what one does that tells by itself what came of it */
};

/* Of the actions of what came about: those that are done, or in force by the file. */
unsigned group_told_done(const struct group_told *told);

/* Write them to the log, in order, and wait so long until they are on the disk. group: for the
 * words of a refusal, and its name. */
struct group_telling {
	const struct pace_group *group;
	const ProtobufCBinaryData *before; /* each a PhaseChange that was to be told before */
	size_t before_count;
	const struct group_told *told;
	size_t count;
	unsigned patience_ms;
};
int group_tell(const struct groups *groups, const struct group_telling *telling,
	struct error *err) must_check;

#define GROUP_LOCK_MS 15000
#define GROUP_TELL_MS 5000

/* One of them as a PhaseChange of its own, packed (caller frees the data); data NULL where there is
 * no memory. */
ProtobufCBinaryData group_pack(
	const struct groups *groups, const struct pace_group *group, const struct group_told *told);

/* One change of one group as a transaction: begin, act upon result->group, add what came of it,
 * commit, end. */
struct group_change {
	struct groups *groups;
	const char *name;
	struct group_result *result;
	int lock; /* owned; -1: not held */
	struct pace_now now;
	struct group_patience patience;
	bool alone;     /* without the lock: an emergency is the only thing that can come of it */
	bool is_absent; /* there is no group of that name */
	bool unacted;   /* something that is in the file is to be acted upon still */
	bool loosens;   /* what is to be told first */
	bool left_waiting; /* something that is due could not be written down */
	struct group_told told[PACE_STEPS_MAX + 4];
	size_t told_count;
	struct group_log log; /* owned; its last `own` things are of told */
	size_t logged, own;   /* how many of told are dealt with, and are in it */
	bool weighs;          /* one of them has to be in force on a full disk too */
	struct group_told past[PACE_STEPS_MAX + 4]; /* loosened, and told before it was so */
	size_t past_count;
	Berm__Wire__GroupKill *kill; /* owned: what was declared without the lock */
	char kill_reason[AUTHORITY_REASON_MAX + 1];
	uint8_t nonce[PACE_NONCE_BYTES]; /* of what is signed */
};
void group_change_end(struct group_change *change);
#define autochange __attribute__((cleanup(group_change_end)))

/* Take the lock and read the group; then what was declared without the lock, and what time has
 * brought, is in force and in the file: a transaction of its own. restricts: whatever comes now
 * only restricts, so that it does not wait for a record of anything that loosens: that does not
 * come about then. With an error the lock may be held: no group of that name (-ENOENT), or its
 * file cannot be read. */
int group_change_begin(struct group_change *change, const struct group_patience *patience,
	bool restricts, struct error *err) must_check;
/* The same without the lock, which could not be taken for that reason. */
int group_change_begin_alone(
	struct group_change *change, const struct error *why, struct error *err) must_check;
/* One thing that came of it; the strings are borrowed. */
void group_change_add(struct group_change *change, const struct pace_outcome *outcome,
	const char *by, const char *reason, const uint8_t *key);
/* What the operator's settings bring about by themselves. */
void group_change_floor(struct group_change *change);
/* Let it be so. What restricts is in force and the lock is free before anything is recorded. */
int group_change_commit(struct group_change *change, struct error *err) must_check;

/* The steps of such a transaction. */
#define GROUP_LOCK_BYTES (PACE_NAME_MAX + 8)
void group_change_note(struct group_change *change, const struct pace_outcome *outcome,
	const char *by, const char *reason, const uint8_t *key);
/* What was told before it came about is for the operator's programs afterwards. */
void group_change_keep(struct group_change *change, const struct group_told *told, size_t count);
/* What is to be told goes into the file with the group. */
void group_change_log(struct group_change *change);
/* What is restricted by now holds, before anything else is tried. */
int group_change_write(struct group_change *change, struct error *err) must_check;
/* All that is not told yet, of earlier changes too. What of it is in the file is not needed there
 * any more: *ret_until. */
int group_change_tell(
	struct group_change *change, uint64_t *ret_until, struct error *err) must_check;
/* Before something that loosens is told the file says so: after a kill, or where it then cannot be
 * written, the next change tells that it was not done. */
int group_change_plan(
	struct group_change *change, const struct pace_group *before, struct error *err) must_check;
int group_change_carry_out(
	struct group_change *change, uint64_t until, struct error *err) must_check;
/* The lock was free meanwhile. Where it is held now the next change tells it again. */
void group_change_forget(struct group_change *change, uint64_t until);
/* Something that loosens was told, or nearly, and did not come about. */
int group_change_tell_undone(struct group_change *change, struct error *err) must_check;
/* What was declared without the lock. The file of it goes when the group has it. */
int group_change_take_kill(struct group_change *change, struct error *err) must_check;
/* What time has brought since the file was written, in its order. */
int group_change_let_time_pass(
	struct group_change *change, bool restricts, struct error *err) must_check;

/* What holds, and whether anything is due that nobody has written down. */
int group_look(const struct groups *groups, const char *name, struct pace_group *ret_group,
	bool *ret_due, struct error *err) must_check;

/* An emergency that is declared while somebody else has the lock stands beside the group
 * (groups/NAME.kill) until the next transaction takes it in. That the file is there is what counts,
 * whatever is in it. */
/* 1 where it is there, 0 where it is not. */
int group_mark_is_there(
	const struct groups *groups, const char *name, struct error *err) must_check;
int group_mark_write(const struct groups *groups, const Berm__Wire__GroupKill *kill,
	struct error *err) must_check;
/* NULL where what is in it cannot be read. */
Berm__Wire__GroupKill *group_mark_read(const struct groups *groups, const char *name);
int group_mark_remove(const struct groups *groups, const char *name, struct error *err) must_check;
