/* SPDX-License-Identifier: Apache-2.0 */
#include "gate-payload.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_child(int number)
{
	(void)number;
}

int children_end(char **words)
{
	const struct sigaction action = {.sa_handler = on_child};
	long rounds = atol(words[0]), both = 0;

	sigaction(SIGCHLD, &action, NULL);
	for (long n = 0; n < rounds; n++) {
		pid_t pid = fork();
		int fd;

		if (pid == 0)
			_exit(0);
		fd = open("made", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		both += pid > 0 && fd >= 0;
		close(fd);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	while (wait(NULL) > 0 || errno == EINTR)
		;
	printf("good %ld\n", both);
	return 0;
}
