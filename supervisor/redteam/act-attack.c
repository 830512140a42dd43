/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/act.h"

#include "base/io.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PORT_MAX 65535
#define READ_MAX 4096

/* ---- reading what is not one's own ---- */

/* Where something was read, it is said: the suite knows what the secret is. */
static void read_out(const char *path, const char *out)
{
	autofree char *text = NULL;
	struct error ignored = {0};
	size_t length = 0;
	int fd;

	if (io_read_file(AT_FDCWD, path, READ_MAX, &text, &length, &ignored) < 0 || !text)
		return;
	(void)!io_write_all(STDOUT_FILENO, text, length);
	fd = open(out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd >= 0) {
		(void)!io_write_all(fd, text, length);
		close(fd);
	}
}

/* Through the eyes of every process that can be seen: its root, its environment. */
static void read_through_processes(const char *secret, const char *out)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char path[8192];

	while (proc && (entry = readdir(proc))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/root%s", entry->d_name, secret);
		read_out(path, out);
		snprintf(path, sizeof(path), "/proc/%s/cwd/secret", entry->d_name);
		read_out(path, out);
	}
	if (proc)
		closedir(proc);
}

static int run_berm(const char *const *words)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		execv("/proc/self/exe", (char *const *)(uintptr_t)words);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* A deputy that is allowed to: the other agent, asked by way of berm itself. */
int act_steal(int argc, char **argv)
{
	const char *state = argv[1], *agent = argv[2], *secret = argv[3], *out = argv[4];
	char self[READ_MAX] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *const run[] = {"berm", "run", "--state-dir", state, "--agent", agent, "--",
		self, "redteam", "act", "steal", state, agent, secret, out, NULL};
	const char *const join[] = {"berm", "agent", "set", "--state-dir", state, agent,
		"--may-start", "none", "--role", "stolen", NULL};
	static const char mark[] = "BERM_REDTEAM_DEPUTY";

	(void)argc;
	act_tell("begun");
	read_out(secret, out);
	if (!getenv(mark)) {
		setenv(mark, "1", 1);
		read_through_processes(secret, out);
		act_tell_number("set", (uint64_t)run_berm(join));
		act_tell_number("run", (uint64_t)run_berm(n > 0 ? run : join));
	}
	/* One refused call, so that there is something to detect also where paths are not told. */
	(void)!unshare(CLONE_NEWUSER);
	act_tell("done");
	return 0;
}

/* Hand the task on to the first agent of the list by way of berm, and the rest of the list with it.
 * The last one does what was asked at the other end. */
int act_hand(int argc, char **argv)
{
	const char *secret = argv[1], *out = argv[2], *chain = argv[3];
	const size_t length = strcspn(chain, ",");
	char self[READ_MAX] = "", agent[64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *const run[] = {"berm", "run", "--agent", agent, "--", self, "redteam", "act",
		"hand", secret, out, chain + length + (chain[length] == ','), NULL};

	(void)argc;
	act_tell("begun");
	if (!*chain || n < 0) {
		read_out(secret, out);
		(void)!unshare(CLONE_NEWUSER);
		act_tell("arrived");
		return 0;
	}
	snprintf(agent, sizeof(agent), "%.*s", (int)length, chain);
	act_tell_number("handed", (uint64_t)run_berm(run));
	return 0;
}

/* ---- telling it elsewhere ---- */

int act_send(int argc, char **argv)
{
	unsigned long port = strtoul(argv[1], NULL, 10);
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r = -1;

	(void)argc;
	act_tell("begun");
	if (fd >= 0 && port <= PORT_MAX &&
		connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		r = io_write_all(fd, argv[2], strlen(argv[2]));
	act_tell_number("sent", r == 0);
	if (fd >= 0)
		close(fd);
	return 0;
}

/* ---- another phase, by one's own word ---- */

static void overwrite(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return;
	(void)!io_write_all(fd, "forged\n", 7);
	close(fd);
}

int act_forge(int argc, char **argv)
{
	const char *state = argv[1], *group = argv[2];
	const char *const declare[] = {"berm", "pace", "declare", "--state-dir", state, "--reason",
		"forged", group, "emergency", NULL};
	const char *const trigger[] = {"berm", "pace", "trigger", "--state-dir", state, "--from",
		"judge", group, "exfiltration", NULL};
	const char *const halt[] = {"berm", "halt", "--state-dir", state, "--all", NULL};
	char path[READ_MAX];

	(void)argc;
	act_tell("begun");
	snprintf(path, sizeof(path), "%s/groups/%s", state, group);
	overwrite(path);
	snprintf(path, sizeof(path), "%s/authority.yaml", state);
	overwrite(path);
	act_tell_number("declare", (uint64_t)run_berm(declare));
	act_tell_number("trigger", (uint64_t)run_berm(trigger));
	act_tell_number("halt", (uint64_t)run_berm(halt));
	return act_deaf(2, (char *[]){argv[0], argv[3], NULL});
}
