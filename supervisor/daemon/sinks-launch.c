/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sinks-role.h"

#include "daemon/recorder-file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define SELF "/proc/self/exe"

/* Nothing of the one who started it. */
static void become_sinks(const char *state)
{
	char role[] = SINKS_ROLE, name[] = "berm", *path = (char *)(uintptr_t)state;
	char *argv[] = {name, role, path, NULL}, *environment[] = {NULL};
	struct sigaction normal = {.sa_handler = SIG_DFL};
	sigset_t none;
	int null;

	for (int number = 1; number < NSIG; number++)
		sigaction(number, &normal, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	null = open("/dev/null", O_RDWR);
	if (null < 0 || chdir("/") < 0)
		return;
	for (int number = 0; number < 3; number++)
		if (dup2(null, number) < 0)
			return;
	if (close_range(3, ~0U, 0) == 0)
		execve(SELF, argv, environment);
}

void sinks_launch(const char *state, const Berm__Wire__Plan *plan)
{
	bool wanted = plan && plan->recorder && plan->recorder->n_sinks > 0;
	autofree char *path = NULL;
	pid_t pid;

	if (!wanted && (asprintf(&path, "%s/%s", state, RECORDER_FILE) < 0 ||
			       faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) < 0))
		return;
	pid = fork();
	if (pid == 0) {
		/* Twice, so that it is no child of ours. */
		setsid();
		if (fork() == 0) {
			become_sinks(state);
			_exit(127);
		}
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
