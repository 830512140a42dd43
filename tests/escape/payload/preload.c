/* SPDX-License-Identifier: Apache-2.0 */
/* Loaded into whatever program honours LD_PRELOAD: leaves its mark where the driver looks. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void mark(void)
{
	const char *path = getenv("ESCAPE_PRELOAD");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;

	if (fd >= 0) {
		dprintf(fd, "loaded as %u\n", (unsigned int)geteuid());
		close(fd);
	}
}
