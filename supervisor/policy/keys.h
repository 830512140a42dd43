/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The language of profiles as data: what may be written where, of which type, within which bounds,
 * with which help. The parser, the checker, the JSON Schema and the reference all walk these
 * tables; a key is added in one row. */

/* What a value looks like in the file. */
enum value_type {
	VALUE_VERSION,        /* the integer 1 */
	VALUE_STRING,         /* one line; content says what it may hold */
	VALUE_BOOL,           /* true or false, without quotes */
	VALUE_COUNT,          /* whole number from least to most */
	VALUE_CPU,            /* processors: 2, 0.5, 1.25; stored as per cent */
	VALUE_SIZE,           /* 512, 64KiB, 2MiB, 1GiB: bytes */
	VALUE_DURATION,       /* 250ms, 30s, 15m, 2h, 30d: milliseconds */
	VALUE_PERCENT,        /* 50% */
	VALUE_WORD,           /* one of words */
	VALUE_WORD_OR_OBJECT, /* one of words, or a mapping with the keys of section `of` */
	VALUE_STRING_LIST,    /* a list of strings; content says what each may hold */
	VALUE_WORD_LIST,      /* a list of words */
	VALUE_COMMAND,        /* a list of strings: program and first arguments; not empty */
	VALUE_PORT_LIST,      /* a list of 443 and "3000-3999"; not empty */
	VALUE_STRING_MAP,     /* free names (content) to strings */
	VALUE_REMOVE_MAP,     /* full keys ("network.allow") to lists of entries to take out */
	VALUE_OBJECT,         /* a mapping with the keys of section `of` */
	VALUE_OBJECT_LIST,    /* a list of such mappings */
	VALUE_OBJECT_MAP,     /* free names to such mappings */
	VALUE_OBJECT_MAP_MAP, /* free names to free names to such mappings */
	VALUE_PATH_RULES,     /* a list of paths, or of mappings with the keys of section `of` */
	VALUE_EXEC_RULES,    /* a list of paths of programs, or of mappings with the keys of section
				`of` */
	VALUE_NETWORK_RULES, /* a list of mappings with the keys of section `of` */
	VALUE_TYPE_COUNT
};

/* What a string may hold, beside never being empty. */
enum content {
	CONTENT_LINE,      /* any one line */
	CONTENT_TEXT,      /* any text, line feeds and tabs too */
	CONTENT_VALUE,     /* any text with variables replaced; may be empty */
	CONTENT_NAME,      /* [a-z0-9-]{1,63} */
	CONTENT_PROFILE,   /* a profile's name, or the path of a file */
	CONTENT_PATH,      /* absolute path after variables, no glob */
	CONTENT_PATH_GLOB, /* absolute path after variables, may hold * ? [ ] and ** */
	CONTENT_HOST,      /* host name, "*.name" or "**.name" */
	CONTENT_CIDR,      /* 10.20.0.0/16 or fd00::/8 */
	CONTENT_LISTEN,    /* ADDRESS:PORT or ADDRESS:PORT-PORT */
	CONTENT_SYSCALL,   /* a system call's name */
	CONTENT_SYSCALL_GROUP,
	CONTENT_SOCKET_FAMILY,
	CONTENT_ENV_NAME,    /* [A-Za-z_][A-Za-z0-9_]* */
	CONTENT_ENV_PATTERN, /* the same with * and ? */
	CONTENT_TOOL,        /* a tool's, server's or argument's name: [A-Za-z0-9_./-]{1,128} */
	CONTENT_TEST,        /* "OPERATION OBJECT" */
	CONTENT_EXPRESSION,  /* a regular expression, base/pattern.h */
	CONTENT_COUNT
};

struct content_info {
	const char *words;   /* for messages: "a path that begins with / or a variable" */
	const char *pattern; /* regular expression (ECMA 262) for the JSON Schema; never tighter
				than the parser */
};
extern const struct content_info contents[CONTENT_COUNT];

enum section_id {
	SECTION_TOP,
	SECTION_REQUIRES,
	SECTION_FS,
	SECTION_TMP,
	SECTION_HOME,
	SECTION_PATH_RULE,
	SECTION_ASK_RULE,
	SECTION_NETWORK,
	SECTION_NETWORK_RULE,
	SECTION_DNS,
	SECTION_EXEC,
	SECTION_EXEC_RULE,
	SECTION_SYSCALLS,
	SECTION_ENV,
	SECTION_LIMITS,
	SECTION_BLAST_RADIUS,
	SECTION_PACE,
	SECTION_PHASE,
	SECTION_TRIGGER,
	SECTION_RESPONSE,
	SECTION_RECOVER,
	SECTION_TOOLS,
	SECTION_SERVER,
	SECTION_ARGUMENT,
	SECTION_RATE,
	SECTION_RESULTS,
	SECTION_APPROVALS,
	SECTION_ASK_RATE,
	SECTION_RECORDER,
	SECTION_SINK,
	SECTION_WORKSPACE,
	SECTION_GATE,
	SECTION_TEST,
	SECTION_COUNT
};

enum key_flags {
	KEY_REQUIRED = 1 << 0, /* must be written in every mapping of its section */
	KEY_PENDING =
		1 << 1, /* checked and shown; a run that has it is refused until `needs` is there */
	KEY_TEST_NOT_RUN = 1 << 2, /* for check and test; changes nothing about a run */
	KEY_PENDING_OBJECT =
		1 << 3,        /* VALUE_WORD_OR_OBJECT: as KEY_PENDING where it is a mapping */
	KEY_OPERATOR = 1 << 4, /* no profile may say it: always an error; `needs` says what
				  does instead */
};

struct key {
	const char *name;
	enum value_type type;
	enum content content; /* strings, string lists, names of a string map */
	unsigned flags;       /* enum key_flags */
	const char *needs; /* KEY_PENDING, KEY_PENDING_OBJECT: "approvals" …; what this build lacks.
			      KEY_OPERATOR: who says it */
	enum section_id of;       /* the section of the mappings this key holds */
	const char *const *words; /* NULL-terminated, in the order of the enum they are stored as */
	/* VALUE_WORD: what words[n] needs that this build lacks, NULL for the others; or NULL. */
	const char *const *word_needs;
	uint64_t least, most; /* VALUE_COUNT, VALUE_CPU (per cent), VALUE_SIZE, VALUE_DURATION; most
				 0 = no bound */
	const char *default_text; /* what holds where the key is not written, for people; NULL =
				     nothing */
	const char *example;      /* as it is written after "name: " */
	const char *help;         /* simple sentences */
	/* Where the value goes: in struct profile, or in the rule where the section is a rule's.
	 * Nothing where stored is false: the value is checked only. */
	bool stored;
	uint16_t offset;
	uint16_t size;      /* of the field; words and bools have the size of their field */
	uint16_t at_offset; /* a struct source beside it; 0 = none */
};

struct section {
	const char
		*path; /* "", "fs", "fs.tmp"; for mappings that have no fixed place "fs.read[]" */
	const struct key *keys; /* ended by a row without a name */
	const char *help;
};
extern const struct section sections[SECTION_COUNT];

/* The row for a key of a section, or NULL. */
const struct key *key_find(enum section_id section, const char *name);
/* The row for a full key of the fixed sections, "fs.tmp.size" or "version"; NULL where there is
 * none. ret_section (may be NULL) receives its section. */
const struct key *key_resolve(const char *full, enum section_id *ret_section);
/* The key of a section whose name is nearest to word, or NULL where none is near. */
const char *key_nearest(enum section_id section, const char *word);
/* What a type is called in messages and in the reference: "a list of paths". */
const char *value_type_words(enum value_type type);
