/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* What the programs keep for themselves; user space never sees it.
 * It lives in task storage, not in per-CPU maps: LSM programs can be preempted, and a second task
 * on the same CPU would then write over a per-CPU buffer. */

#include "abi.h"

/* An operation that was charged before it happened, until it is known how it ended. */
enum pending_kind {
	PENDING_NONE = 0,
	PENDING_MAKE, /* open with O_CREAT, mknod, bind of a unix socket */
	PENDING_MKDIR,
	PENDING_SYMLINK,
	PENDING_LINK,
	PENDING_UNLINK,
	PENDING_RMDIR,
	PENDING_RENAME,
	PENDING_TRUNCATE,
	PENDING_WRITE,
	PENDING_MAP,
	PENDING_CHMOD,
	PENDING_CHOWN,
	PENDING_UTIMES,
	PENDING_FORK,
};

#define PENDING_KEYS 2

struct pending {
	__u32 kind; /* enum pending_kind */
	__u32 slot;
	__u32 changed;
	__u32 created;
	__u32 deleted;
	__u32 processes;
	__u64 bytes;
	__u64 object;      /* address of the dentry or file: compared, never followed */
	__u32 keys;        /* how many of key[] this operation put into the seen set */
	__u32 unannounced; /* a write whose length was not known beforehand */
	struct meter_seen_key key[PENDING_KEYS];
};

/* What was found out about a file that this task wrote to lately. */
struct known_file {
	__u64 inode; /* address: compared, never followed */
	__u64 number;
	__u32 generation;
	__u32 flags;
};
#define KNOWN_FILES 4
#define FILE_COUNTED 1
#define FILE_NOT_COUNTED 2

struct live_match {
	__u32 level; /* distance from the object */
	__u32 reserved;
	struct meter_bits bits;
};

/* The result of walking from an object to its anchor. */
struct walk {
	__u32 rights;
	__u32 rule;
	__u32 anchored; /* distance of the anchor + 1; 0 = none found */
	__u32 depth;    /* components between anchor and object */
	__u32 failed;   /* too deep or too many matches: refuse */
	__u32 no_read;  /* a pattern refuses this */
	__u32 no_write;
	__u32 canary;
	__u32 pinned; /* the object is the last component of a pattern: its name stays */
	__u32 prefix; /* the object is an earlier component of a pattern: only a directory may take
			 such a name */
	struct meter_bits matched; /* last components of the patterns that refuse */
	struct meter_bits live;    /* what may match beneath the object: equal for two places = same
				      protection */
	__u32 match_count;
	__u32 next; /* level + 1 of the component that is fed next */
	struct live_match match[METER_LIVE_MATCHES];
};

/* What matters of one end of a rename or link. */
struct place {
	__u32 rights;
	__u32 anchor; /* the object itself is anchored */
	__u32 pinned;
	__u32 prefix;
	struct meter_bits live;
};

struct work {
	__u64 length_file; /* address of the file whose length was announced */
	__u64 length;
	__u64 map_length;
	__u64 utimes_dentry;
	__u64 pointer; /* of is_there() */
	struct pending operation;
	__u32 programs; /* charged for an execve that has not ended */
	__u32 programs_slot;
	struct known_file known[KNOWN_FILES];
	struct walk walk;
	struct place from; /* of a rename or link */
	struct place to;
	char name[METER_NAME_BYTES];
	__u64 glob[METER_GLOB_WORDS]; /* states of all globs after the name */
	struct meter_bits found;      /* components that the name may be */
	char text[METER_EVENT_TEXT];
	__u32 text_bytes;
	__u32 reserved;
	__u64 text_device; /* of what text names */
	__u64 text_inode;
	char command[16];
};

/* A socket that was allowed to talk: by connect, by bind and listen, or because its listener was.
 */
struct socket_state {
	__u32 slot;
	__u32 generation;
	__u32 verdict;       /* SOCKET_CONNECTED, SOCKET_LISTENING */
	__u32 next_sequence; /* TCP: the first byte that was not sent yet, in network order of time
			      */
	__u32 sequence_known;
	__u32 reserved;
	__u8 address[16]; /* the peer that was allowed */
	__u16 port;
	__u16 protocol;
	__u32 reserved2;
};
#define SOCKET_CONNECTED 1
#define SOCKET_LISTENING 2
