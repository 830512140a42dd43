/* SPDX-License-Identifier: Apache-2.0 */

/* The tool that test-oracle runs behind the walls: for each path of its command line a line "read
 * write exec" of 0 and 1, by trying. "--exit" does nothing; the files of the world are copies of
 * this program. */

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool can_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* A directory that berm made on the way to a grant is empty but for that way: the mark tells the
 * host's. */
static bool can_list(const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	bool found = false;

	while (directory && !found && (entry = readdir(directory)))
		found = strcmp(entry->d_name, ".mark") == 0;
	if (directory)
		closedir(directory);
	return found;
}

/* Make a file and take it away again. */
static bool can_create(const char *path)
{
	if (!can_open(path, O_WRONLY | O_CREAT | O_EXCL))
		return false;
	unlink(path);
	return true;
}

static bool can_run(const char *path)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		execl(path, path, "--exit", (char *)NULL);
		_exit(99);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

/* The same, with the directory around it, which may be absent too. */
static bool can_make(const char *path)
{
	char parent[4096];
	bool made, done;

	snprintf(parent, sizeof(parent), "%s", path);
	*strrchr(parent, '/') = '\0';
	made = mkdir(parent, 0700) == 0;
	done = can_create(path);
	if (made)
		rmdir(parent);
	return done;
}

/* kind: what the path is on the host; here it may be hidden or look like something else. */
static void probe(char kind, const char *path)
{
	char inside[4096];

	snprintf(inside, sizeof(inside), "%s/.probe", path);
	if (kind == 'd')
		printf("%d %d 0\n", can_list(path), can_create(inside));
	else if (kind == 'f')
		printf("%d %d %d\n", can_open(path, O_RDONLY), can_open(path, O_WRONLY),
			can_run(path));
	else
		printf("0 %d 0\n", can_make(path));
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--exit") == 0)
		return 0;
	for (int i = 1; i < argc; i++)
		probe(argv[i][0], argv[i] + 1);
	return fflush(stdout) ? 1 : 0;
}
