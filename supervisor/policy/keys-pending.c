/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/keys-rows.h"

/* Rows of the sections that are checked and shown, and that this build cannot enforce yet. */

#define SECOND_MS 1000ULL
#define DAY_MS (24 * 3600 * SECOND_MS)
#define TIB (1ULL << 40)
#define MANY 1000000000000ULL

/* clang-format off */

const struct key keys_tools[] = {
	{"manifest", VALUE_STRING, CONTENT_VALUE, .example = "tools.lock.yaml",
	 .help = "The file with the tools as they were reviewed. It is the list of what is allowed."},
	{"unknown", VALUE_WORD, WORDS("deny", "ask"), .default_text = "deny", .example = "deny",
	 .help = "What happens to a tool that is in no list."},
	{"on_change", VALUE_WORD, WORDS("deny", "quarantine"), .default_text = "quarantine", .example = "quarantine",
	 .help = "What happens when a tool is no longer as it was reviewed: that tool or its whole server is denied."},
	{"servers", VALUE_OBJECT_MAP, CONTENT_TOOL, .of = SECTION_SERVER, .help = "The servers, by name."},
	{0},
};

const struct key keys_server[] = {
	{"command", VALUE_COMMAND, CONTENT_VALUE, .flags = KEY_REQUIRED,
	 .example = "[mcp-server-filesystem, \"${WORKDIR}\"]", .help = "How the server is started."},
	{"profile", VALUE_STRING, CONTENT_PROFILE, .example = "mcp-server",
	 .help = "The profile that the server itself runs under."},
	{"allow", VALUE_STRING_LIST, CONTENT_TOOL, .example = "[read_text_file]", .help = "Tools that may be called."},
	{"ask", VALUE_STRING_LIST, CONTENT_TOOL, .example = "[write_file]", .help = "Tools that a person is asked about."},
	{"deny", VALUE_STRING_LIST, CONTENT_TOOL, .example = "[move_file]", .help = "Tools that are never called."},
	{"args", VALUE_OBJECT_MAP_MAP, CONTENT_TOOL, .of = SECTION_ARGUMENT,
	 .help = "Bounds of arguments, by tool and argument."},
	{"rate", VALUE_OBJECT, .of = SECTION_RATE, .help = "How often tools may be called."},
	{"results", VALUE_OBJECT, .of = SECTION_RESULTS, .help = "Bounds of results."},
	{0},
};

const struct key keys_argument[] = {
	{"under", VALUE_STRING, CONTENT_PATH, .example = "\"${WORKDIR}\"", .help = "A path that it must be beneath."},
	{"max_bytes", VALUE_SIZE, .least = 1, .most = TIB, .example = "1MiB", .help = "The most bytes."},
	{"words", VALUE_STRING_LIST, CONTENT_LINE, .example = "[main, develop]", .help = "The only values."},
	{"host", VALUE_STRING, CONTENT_HOST, .example = "api.example.com", .help = "The host that an address must have."},
	{0},
};

const struct key keys_rate[] = {
	{"max", VALUE_COUNT, .flags = KEY_REQUIRED, .most = 1000000000, .example = "60", .help = "How often."},
	{"within", VALUE_DURATION, .flags = KEY_REQUIRED, .least = SECOND_MS, .most = 365 * DAY_MS, .example = "1m",
	 .help = "In which time, sliding."},
	{0},
};

const struct key keys_results[] = {
	{"max_bytes", VALUE_SIZE, .least = 1, .most = TIB, .example = "1MiB", .help = "The most bytes of a result."},
	{"hide_secrets", VALUE_BOOL, .default_text = "true", .example = "true", .help = "Blank what looks like a secret."},
	{0},
};

const struct key keys_workspace[] = {
	{"path", VALUE_STRING, CONTENT_PATH, .flags = KEY_REQUIRED, .example = "\"${WORKDIR}\"", STORED(workspace.path),
	 AT(workspace.path_at), .help = "The directory. Where it is staged, it is one of fs.write."},
	{"mode", VALUE_WORD, WORDS("direct", "staged"), .default_text = "direct", .example = "staged",
	 STORED(workspace.mode),
	 .help = "staged: writes land beside the directory until somebody keeps or drops them."},
	{0},
};

/* clang-format on */
