/* SPDX-License-Identifier: Apache-2.0 */
#include "base/own.h"
#include "cli/cli.h"
#include "daemon/recorder-role.h"
#include "daemon/sinks-role.h"

#include <fcntl.h>
#include <string.h>

/* The processes that berm starts of itself, by their first word. */
static const struct {
	const char *word;
	int (*main)(int argc, char **argv);
} roles[] = {
	{RECORDER_ROLE, recorder_role},
	{SINKS_ROLE, sinks_role},
};

/* A descriptor that berm opens must never become one of the tool's standard streams. */
static int fill_standard_streams(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	if (fill_standard_streams() < 0)
		return 125;
	for (size_t i = 0; argc > 1 && i < array_size(roles); i++)
		if (strcmp(argv[1], roles[i].word) == 0)
			return roles[i].main(argc, argv);
	return cli_main(argc, argv);
}
