/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For the files that hold rows of the key table only. */

#include "policy/keys.h"
#include "policy/profile.h"

#define STORED_IN(type_, member)                                                                   \
	.stored = true, .offset = offsetof(type_, member), .size = sizeof(((type_ *)0)->member)
#define STORED(member) STORED_IN(struct profile, member)
#define AT(member) .at_offset = offsetof(struct profile, member)
#define WORDS(...)                                                                                 \
	.words = (const char *const[])                                                             \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}
/* One for each of WORDS. */
#define NEEDS(...)                                                                                 \
	.word_needs = (const char *const[])                                                        \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define TOOL_PROXY "the tool proxy"
#define AUDIT "the audit mode"
#define EVIDENCE "the evidence store"
#define APPROVALS "approvals"
#define DNS_PROXY "the DNS proxy"

extern const struct key keys_blast_radius[], keys_pace[], keys_phase[], keys_trigger[],
	keys_response[], keys_recover[], keys_tools[], keys_server[], keys_argument[], keys_rate[],
	keys_results[], keys_approvals[], keys_ask_rate[], keys_recorder[], keys_sink[],
	keys_workspace[], keys_gate[];
