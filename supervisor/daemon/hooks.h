/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "govern/answer.h"

#include <stdint.h>
#include <sys/types.h>

/* Programs that are asked: gates, and the exec channel of approvals. Each is run without a shell,
 * in a session of its own without a terminal, in "/", with the environment PATH=/usr/bin:/bin and
 *no descriptor but the first three; as the user below, without any capability and unable to gain
 *one; standard error is the caller's. The question is one JSON object on its standard input. It
 *answers by
 *
 *	exit code 0 and one JSON object (govern/answer.h) on its standard output, or
 *	exit code 2: no.
 *
 * Everything else is a failure. When its time is up its group is killed. */

#define HOOK_ARGUMENTS_MAX 64
#define HOOKS_MAX 40 /* at once */
#define HOOK_FDS 2

struct hook {
	/* To be set before it is started; borrowed for as long as it lasts. */
	char *const *argv; /* argv[0] is an absolute path */
	size_t argc;
	const char *input;
	size_t input_length;
	uint64_t timeout_ms;
	uid_t uid; /* who it runs as, where this process can choose: as root */
	gid_t gid;

	/* The rest is filled here. */
	pid_t pid;
	int pidfd, output;
	uint64_t deadline_ms; /* of the boot clock */
	char text[ANSWER_BYTES_MAX + 1];
	size_t length;
	bool over;
	bool failed;
	struct answer answer; /* over and not failed */
	struct error error;   /* failed: why */
};

/* Start it. It is over and failed where that does not work. */
void hook_start(struct hook *hook);
/* Descriptors to be polled for reading; -1: none. */
void hook_fds(const struct hook *hook, int fds[HOOK_FDS]);
/* Look at the clock, and at what came: now_ms of the boot clock. */
void hook_handle(struct hook *hook, uint64_t now_ms);
/* End it where it lasts, and release what it holds. */
void hook_finish(struct hook *hook);
/* Who wants hooks to end: asked when the descriptor can be read. */
struct hooks_stop {
	int fd; /* -1: nobody */
	bool (*is_meant)(void *context);
	void *context;
};
/* All at once, until each is over: HOOKS_MAX at most. What still lasts when somebody wants the end
 * is ended, and failed with -EINTR. */
void hooks_run(struct hook *hooks, size_t count, const struct hooks_stop *stop);

uint64_t hook_clock_ms(void);
