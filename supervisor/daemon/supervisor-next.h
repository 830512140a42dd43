/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The program that a supervisor is to become (SIGUSR2): where it is, and whether it works. */

#include "base/error.h"

/* How long the next program may take to say its version, on a host that is busy; less than what is
 * left of a watchdog's time (WatchdogSec= in tools/systemd). */
#define SUPERVISOR_NEXT_MS 10000

/* The file that is now where this process's program came from. A descriptor (O_PATH) that the
 * caller owns; -EPERM or -ELOOP where somebody else could choose it, see trust_program(). */
int supervisor_next_open(struct error *err) must_check;

/* Have a child execute that file with --version and wait limit_ms for it at most: it must end with
 * code 0 and have said "berm VERSION" in one line. Errors, all with text: -ENOEXEC where it cannot
 * be executed, ends otherwise or says something else; -ETIMEDOUT; else as fork(2) or pipe(2). */
int supervisor_next_try(int fd, unsigned limit_ms, struct error *err) must_check;
