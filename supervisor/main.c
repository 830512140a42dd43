/* SPDX-License-Identifier: Apache-2.0 */
#include "base/own.h"
#include "cli/cli.h"
#include "daemon/role.h"

#include <fcntl.h>

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
	enum role_kind role = role_find(argc, argv);

	if (fill_standard_streams() < 0)
		return 125;
	return role < ROLE_COUNT ? role_main(role, argc, argv) : cli_main(argc, argv);
}
