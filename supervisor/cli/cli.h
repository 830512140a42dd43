/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Exit codes of every verb but run (docs/architecture.md). */
enum cli_exit {
	CLI_GOOD = 0,
	CLI_NO = 1, /* the question's answer is no */
	CLI_BAD_INPUT = 2,
	CLI_HOST_CANNOT = 3
};

/* Pick the verb, run it, return the process's exit code. */
int cli_main(int argc, char **argv);
