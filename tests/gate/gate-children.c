/* SPDX-License-Identifier: Apache-2.0 */
#include "gate-payload.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_signal(int number)
{
	(void)number;
}

int children_end(char **words)
{
	const struct sigaction action = {.sa_handler = on_signal};
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

int not_restarted(char **words)
{
	const struct sigaction action = {.sa_handler = on_signal};
	struct itimerval timer = {{0, 150}, {0, 150}};
	long files = atol(words[0]), good = 0, interrupted = 0;
	char name[32];

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	for (long i = 0; i < files; i++) {
		int r;

		snprintf(name, sizeof(name), "f%ld", i);
		while ((r = unlink(name)) < 0 && errno == EINTR)
			interrupted++;
		good += r == 0;
	}
	timer = (struct itimerval){{0, 0}, {0, 0}};
	setitimer(ITIMER_REAL, &timer, NULL);
	printf("good %ld\ninterrupted %ld\n", good, interrupted);
	return 0;
}
