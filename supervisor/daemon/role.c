/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/role.h"

#include "base/failpoint.h"
#include "daemon/anchor-role.h"
#include "daemon/backup-role.h"
#include "daemon/kill-front.h"
#include "daemon/planner-role.h"
#include "daemon/recorder-role.h"
#include "daemon/session-role.h"
#include "daemon/sinks-role.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SELF "/proc/self/exe"

static const struct {
	const char *word;
	int (*main)(int argc, char **argv);
	unsigned calls; /* enum confine_calls: what is left to it when it serves */
	bool has_places;
} roles[ROLE_COUNT] = {
	[ROLE_RECORDER] = {"--role=recorder", recorder_role,
		CONFINE_FILES | CONFINE_KEYS | CONFINE_CLIENTS},
	[ROLE_SINKS] = {"--role=sinks", sinks_role,
		CONFINE_FILES | CONFINE_DATAGRAMS | CONFINE_PIPES},
	[ROLE_ANCHOR] = {"--role=anchor", anchor_role, CONFINE_FILES | CONFINE_MESSAGES},
	[ROLE_SESSION] = {"--role=session", session_role, 0},
	[ROLE_KILL_FRONT] = {"--role=kill-front", kill_front_role,
		CONFINE_FILES | CONFINE_CLIENTS | CONFINE_PIPES | CONFINE_CHILDREN},
	[ROLE_PLANNER] = {"--role=planner", planner_role, CONFINE_MESSAGES},
	[ROLE_BACKUP] = {"--role=backup", backup_role, 0, true},
};

/* What a user's own berm finds that user's runs and state by: a role that begins runs has them
 * where berm ps and berm kill look. Root's are in places that nothing but root names. */
static const char *const places_variables[] = {
	"HOME=", "XDG_CONFIG_HOME=", "XDG_STATE_HOME=", "XDG_RUNTIME_DIR="};

enum role_kind role_find(int argc, char **argv)
{
	unsigned role = 0;

	while (role < ROLE_COUNT && (argc < 2 || strcmp(argv[1], roles[role].word) != 0))
		role++;
	return (enum role_kind)role;
}

int role_main(enum role_kind role, int argc, char **argv)
{
	return roles[role].main(argc, argv);
}

int role_confine(
	enum role_kind role, const struct confine_place *places, size_t count, struct error *err)
{
	return confine(roles[role].calls, places, count, err);
}

/* 0 to 2 lead nowhere, ROLE_FD is fd, and there are no others: who started this may have readers
 * that wait for an end of file. */
static int leave_descriptors(int fd)
{
	int null = -1;

	/* First out of the way of the numbers that they are to have. */
	if (fd >= 0)
		fd = fcntl(fd, F_DUPFD, ROLE_FD + 1);
	null = open("/dev/null", O_RDWR);
	if (null < 0)
		return -1;
	for (int number = 0; number < ROLE_FD; number++)
		if (dup2(null, number) < 0)
			return -1;
	if (fd >= 0 && dup2(fd, ROLE_FD) < 0)
		return -1;
	return close_range(fd >= 0 ? ROLE_FD + 1 : ROLE_FD, ~0U, 0);
}

static char *variable(const char *beginning)
{
	for (char **at = environ; at && *at; at++)
		if (strncmp(*at, beginning, strlen(beginning)) == 0)
			return *at;
	return NULL;
}

/* Nothing of the one who started it, but what has_places says. Returns only where that fails. */
static void become(enum role_kind role, const char *state, int fd)
{
	char name[] = "berm";
	char *argv[] = {name, (char *)(uintptr_t)roles[role].word, (char *)(uintptr_t)state, NULL};
	char *environment[array_size(places_variables) + 2] = {failpoint_environment()};
	size_t count = environment[0] ? 1 : 0;
	struct sigaction normal = {.sa_handler = SIG_DFL};
	sigset_t none;

	if (roles[role].has_places && geteuid() != 0)
		for (size_t i = 0; i < array_size(places_variables); i++)
			if ((environment[count] = variable(places_variables[i])))
				count++;
	for (int number = 1; number < NSIG; number++)
		sigaction(number, &normal, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (leave_descriptors(fd) == 0 && chdir("/") == 0)
		execve(SELF, argv, environment);
}

/* As fork(2), and the one who calls goes on when the new process executes or ends (CLONE_VFORK,
 * clone(2)). */
static pid_t fork_until_executed(void)
{
	return (pid_t)syscall(SYS_clone, CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, NULL);
}

int role_launch(enum role_kind role, const char *state, int fd, struct error *err)
{
	pid_t pid = fork();

	if (pid < 0)
		return error_errno(err, "start berm %s", roles[role].word);
	if (pid == 0) {
		/* Twice, so that it is no child of ours, and leads no session that a terminal
		 * could belong to. We wait for it to have left our descriptors: it would be the
		 * last to close what we close meanwhile, and that may wait for whoever sent it. */
		setsid();
		if (fork_until_executed() == 0) {
			become(role, state, fd);
			_exit(127);
		}
		_exit(0);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

int role_spawn(enum role_kind role, int fd, pid_t *ret_pid, struct error *err)
{
	pid_t pid = fork();

	if (pid < 0)
		return error_errno(err, "start berm %s", roles[role].word);
	if (pid == 0) {
		setsid();
		become(role, "/", fd);
		_exit(127);
	}
	*ret_pid = pid;
	return 0;
}
