/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "base/log.h"

int cli_main(int argc, char **argv)
{
	(void)argc;
	log_line("%s: no verbs yet", argv[0]);
	return CLI_BAD_INPUT;
}
