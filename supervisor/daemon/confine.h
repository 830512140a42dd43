/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stddef.h>

/* The walls of berm's own processes: what a role needs when it serves, and nothing else. */

/* Calls, by what they are for. Memory, time, chance, descriptors that are open and the end belong
 * to every role. */
enum confine_calls {
	CONFINE_FILES = 1 << 0,     /* open, make, rename and remove files */
	CONFINE_KEYS = 1 << 1,      /* hold memory that is never written to a disk */
	CONFINE_CLIENTS = 1 << 2,   /* take in who connects, and wait for many */
	CONFINE_MESSAGES = 1 << 3,  /* send and receive over sockets that are open */
	CONFINE_DATAGRAMS = 1 << 4, /* send to a socket by its name, a descriptor with it */
	CONFINE_PIPES = 1 << 5,     /* make pipes */
	CONFINE_CHILDREN = 1 << 6,  /* make copies of itself */
};

/* What may be done beneath a directory, or to a file. */
enum confine_access {
	CONFINE_READ,    /* read files, list directories */
	CONFINE_WRITE,   /* the same, and make, write, rename and remove files */
	CONFINE_SOCKETS, /* make and remove sockets */
	CONFINE_LOOK,    /* read files whose names are known */
};

struct confine_place {
	int fd; /* borrowed; may be one of O_PATH. -1: none */
	enum confine_access access;
};

/* Give up everything else, for good: no capabilities, no new privileges, Landlock where the host
 * has it, an allow-list of system calls, of which all others fail with EPERM. calls: of enum
 * confine_calls. What was started before stays as it is. */
int confine(unsigned calls, const struct confine_place *places, size_t count,
	struct error *err) must_check;
