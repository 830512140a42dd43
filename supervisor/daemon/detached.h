/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/* A program of the operator's that is started and left alone: nobody's child, in a session of its
 * own without a terminal, in "/", with no signal blocked or ignored, PATH alone in its environment,
 * and no descriptor but the first three: its input, and /dev/null twice. A process of berm's stays
 * until it ends, and kills its process group when its time is up. */

struct detached {
	char *const *argv; /* borrowed; argv[0] is an absolute path */
	int input;         /* borrowed: standard input; -1: /dev/null */
	unsigned limit_seconds;
};

/* 0: it was executed. What becomes of it nobody hears. Errors: those of fork(2) and execve(2). */
int detached_start(const struct detached *detached, struct error *err) must_check;
