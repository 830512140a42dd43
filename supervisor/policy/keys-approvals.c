/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/keys-rows.h"

/* Rows of approvals and gates. */

#define SECOND_MS 1000ULL
#define DAY_MS (24 * 3600 * SECOND_MS)

/* clang-format off */

const struct key keys_approvals[] = {
	{"on", VALUE_WORD_LIST, WORDS("run", "commit", "write"), .example = "[run]", STORED(approvals.on),
	 .help = "Before what a person is asked. run: before the tool is started. commit: before `berm changes commit` keeps what "
		 "the run staged. write: before the first call of the tool that could write to a file. Nothing is asked where it is not written, unless a gate or the state of the agent's group wants it."},
	{"channels", VALUE_WORD_LIST, WORDS("tty", "exec", "socket"), .default_text = "[socket]",
	 .example = "[tty, socket]", STORED(approvals.channels),
	 .help = "Ways to reach a person, all tried at once; the first answer counts. tty: the terminal of who starts the run. "
		 "exec: a program. socket: `berm approve` and `berm deny`."},
	{"exec", VALUE_COMMAND, CONTENT_VALUE, .example = "[/usr/local/lib/berm/approve]", STORED(approvals.exec),
	 .help = "The program of the channel exec: the question comes on its input, the answer is its exit code and output."},
	{"timeout", VALUE_DURATION, .least = SECOND_MS, .most = DAY_MS, .default_text = "2m", .example = "2m",
	 STORED(approvals.timeout_ms), .help = "How long an answer is waited for."},
	{"on_timeout", VALUE_WORD, WORDS("deny"), .default_text = "deny", .example = "deny",
	 .help = "What no answer means. It is always deny."},
	{"widest", VALUE_WORD, WORDS("once", "run", "profile"), NEEDS(NULL, NULL, "proposals"), .default_text = "run",
	 .example = "run", .help = "The widest scope that a person can give with one answer. What is held is one run or one "
		 "commit, so that once and run mean the same."},
	{"rate", VALUE_OBJECT, .of = SECTION_ASK_RATE, .help = "Beyond it: denied without asking."},
	{0},
};

const struct key keys_ask_rate[] = {
	{"max", VALUE_COUNT, .flags = KEY_REQUIRED, .least = 1, .most = 1000, .example = "10", STORED(approvals.rate_max),
	 .help = "How many questions of one agent; without agents, of one user. Not written: 10."},
	{"within", VALUE_DURATION, .flags = KEY_REQUIRED, .least = SECOND_MS, .most = DAY_MS, .example = "1m",
	 STORED(approvals.rate_within_ms), .help = "In which time, sliding. Not written: 1m."},
	{0},
};

const struct key keys_gate[] = {
	{"name", VALUE_STRING, CONTENT_NAME, .flags = KEY_REQUIRED, .example = "judge", STORED_IN(struct judge_rule, name),
	 .help = "The gate's name in records."},
	{"exec", VALUE_COMMAND, CONTENT_VALUE, .flags = KEY_REQUIRED, .example = "[/usr/local/lib/berm/judge]",
	 STORED_IN(struct judge_rule, exec), .help = "The program that is asked: an absolute path and its first arguments."},
	{"on", VALUE_WORD_LIST, WORDS("run", "commit", "write"),
	 .flags = KEY_REQUIRED, .example = "[run]", STORED_IN(struct judge_rule, on), .help = "Before what."},
	{"timeout", VALUE_DURATION, .least = 1, .most = DAY_MS, .default_text = "2m", .example = "30s",
	 STORED_IN(struct judge_rule, timeout_ms), .help = "How long an answer is waited for."},
	{"on_error", VALUE_WORD, WORDS("deny", "ask"), .default_text = "deny", .example = "deny",
	 STORED_IN(struct judge_rule, on_error),
	 .help = "What a gate that fails means: no, or that a person is asked."},
	{0},
};

/* clang-format on */
