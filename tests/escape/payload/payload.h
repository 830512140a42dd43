/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/own.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One way out that a hostile tool may try. The same static binary runs outside the walls, where it
 * must get through (the positive control), and inside, where it must not. The driver judges by what
 * changed on the host; proof() is only for what nobody but the process itself can see, such as a
 * descriptor that the kernel handed out. */
struct technique {
	const char
		*id; /* row of the catalogue of attacks: a letter for the family and two digits */
	const char *name;     /* what the driver calls it by */
	const char *layer;    /* the walls that are expected to refuse it */
	void (*attack)(void); /* tries every variant and returns; a variant that may be killed runs
				 in a child */
};

/* Every family ends in an entry whose name is NULL. */
extern const struct technique fs_techniques[];
extern const struct technique fs_write_techniques[];
extern const struct technique mount_techniques[];
extern const struct technique race_techniques[];
extern const struct technique proc_techniques[];
extern const struct technique exec_techniques[];
extern const struct technique tty_techniques[];
extern const struct technique kernel_techniques[];
extern const struct technique entry_techniques[];
extern const struct technique caps_techniques[];
extern const struct technique fds_techniques[];
extern const struct technique sys_techniques[];
extern const struct technique ipc_techniques[];
extern const struct technique net_techniques[];
extern const struct technique posture_techniques[];
extern const struct technique load_techniques[];

/* The value of KEY=VALUE from the command line. A missing key ends the program with status 64, so
 * that a mistake of the driver is never taken for a refusal. Borrowed from argv. */
const char *target(const char *key);
/* The same, but with a value for when the key is missing. */
const char *target_or(const char *key, const char *fallback);
long target_number(const char *key, long fallback);
/* A path made of a target and a rest. It lives until the program ends: not for loops. */
const char *below(const char *key, const char *rest);

/* Say that a technique got through, with what it got. */
void proof(const char *format, ...) printf_like(1, 2);
/* Say something about the way, for people who read the output of a failed row. */
void note(const char *format, ...) printf_like(1, 2);
/* proof() when result is not negative, note() with errno when it is. Returns result. */
long got(long result, const char *what);

/* Copy up to 64 KiB of a descriptor to stdout, where the driver looks for the secret. Closes it.
 * Negative is fine. */
void spill(int fd);
void spill_path(const char *path);
/* Overwrite what a descriptor refers to. Closes it. Negative is fine. */
void deface(int fd);
void deface_path(const char *path);
int write_text(const char *path, const char *text);

/* Run one variant in a child that has ten seconds; returns its wait status. */
int variant(void (*function)(void));
/* The same with a name that is printed with the signal that ended the child, if one did. */
int named_variant(const char *name, void (*function)(void));

/* Run the technique of that name between its BEGIN and DONE; false when there is none. */
bool run_technique(const char *name);
