/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/json.h"
#include "cli/verb.h"
#include "daemon/groups.h"

/* What the verbs about groups share. */

struct pace_group_options {
	bool json;
	const char *state_dir;
	const char *signature; /* file */
	const char *as;        /* role */
	const char *reason;
	const char *agent;
	const char *evidence; /* trigger */
	const char *from;     /* source */
	struct word_list review;
};

/* Rows of options by their fields. */
/* clang-format off */
#define PACE_OPTION(name, type, field, argument, help)                                             \
	{(name), 0, (type), offsetof(struct pace_group_options, field), (argument), NULL, (help)}
#define PACE_JSON PACE_OPTION("json", OPTION_FLAG, json, NULL, "one JSON object instead of lines")
#define PACE_STATE_DIR                                                                             \
	{"state-dir", 0, OPTION_TEXT, offsetof(struct pace_group_options, state_dir), "DIR",      \
		"BERM_STATE_DIR", "where berm keeps its state"}
#define PACE_SIGNATURE                                                                             \
	PACE_OPTION("signature", OPTION_TEXT, signature, "FILE", "a statement made with \"berm pace sign\"")
#define PACE_AS PACE_OPTION("as", OPTION_TEXT, as, "ROLE", "act in this role of yours")
#define PACE_REASON PACE_OPTION("reason", OPTION_TEXT, reason, "TEXT", "why, for the log")
#define PACE_AGENT PACE_OPTION("agent", OPTION_TEXT, agent, "AGENT", "the agent concerned, of the group: it is isolated")
#define PACE_OPTIONS_OF(rows)                                                                      \
	{.specs = (rows), .count = array_size(rows), .size = sizeof(struct pace_group_options)}
/* clang-format on */

/* The seed (32 bytes) in a file of "berm pace key". */
int pace_key_read(const char *path, uint8_t seed[32], struct error *err) must_check;
/* A new file of one's own, mode 0600, with this text. */
int pace_write_new(const char *path, const char *text, struct error *err) must_check;
/* Open the groups and who has authority, and say what is wrong: CLI_GOOD or the exit code. */
int pace_open(const struct verb *verb, const struct pace_group_options *options, bool authority,
	struct groups *ret_groups);
/* The group as lines, or as members of an object that is open. */
void pace_group_write(
	const struct groups *groups, const struct pace_group *group, struct text *out);
void pace_group_json(const struct groups *groups, const struct pace_group *group, struct json *j);
/* Do it as the options say who does it, and tell what came of it; returns the exit code. */
int pace_act(const struct verb *verb, const struct pace_group_options *options, const char *name,
	const struct pace_event *event);

extern const struct verb verb_pace_declare;
extern const struct verb verb_pace_recover;
extern const struct verb verb_pace_explain;
extern const struct verb verb_pace_dismiss;
extern const struct verb verb_pace_trigger;
extern const struct verb verb_pace_group;
extern const struct verb verb_pace_sign;
extern const struct verb verb_pace_key;
/* "pace show" of a group, or of all: -1 where the word names none, else the exit code. */
int pace_show_group(
	const struct verb *verb, const struct pace_group_options *options, const char *name);
