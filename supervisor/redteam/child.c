/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"
#include "redteam/world.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define CALL_MS 60000
#define STEP_MS 5
#define SAID_BYTES_MAX (16UL << 20)
#define CODE_TIMEOUT 124
#define NOBODY "4294967295"

uint64_t world_now_us(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void rest(unsigned ms)
{
	const struct timespec ts = {.tv_nsec = (long)ms * 1000000};

	nanosleep(&ts, NULL);
}

/* Whoever uses sudo would not be the operator of the suite's own state directory (docs/agents.md):
 * here it is root that acts. Where the kernel does not let go of who logged in nothing changes. */
static void forget_login(void)
{
	struct error ignored = {0};

	(void)!io_write_file(AT_FDCWD, "/proc/self/loginuid", NOBODY, &ignored);
}

static void become(const struct world *world, const struct child *child, const char *const *words)
{
	char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", lang[] = "LANG=C.UTF-8";
	autotext struct text state = {0}, home = {0}, runtime = {0};
	const char *argv[WORLD_WORDS_MAX + 1];
	char *environment[6] = {path, lang};
	size_t count = 0;

	text_printf(&state, "BERM_STATE_DIR=%s/state", world->top);
	text_printf(&home, "HOME=%s/home", world->top);
	text_printf(&runtime, "XDG_RUNTIME_DIR=%s/runtime", world->top);
	environment[2] = state.data;
	environment[3] = home.data;
	environment[4] = runtime.data;
	argv[count++] = words[0] ? words[0] : world->berm;
	for (size_t i = 1; words[i] && count < WORLD_WORDS_MAX; i++)
		argv[count++] = words[i];
	argv[count] = NULL;
	/* The suite that is killed leaves nobody behind: berm's runs end with their berm. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	forget_login();
	if (dup2(open("/dev/null", O_RDONLY), 0) == 0 && dup2(child->out_fd, 1) == 1 &&
		dup2(child->error_fd, 2) == 2 && chdir(world->top) == 0)
		execve(argv[0], (char *const *)(uintptr_t)argv, environment);
}

static struct child *free_child(struct world *world)
{
	struct child *child = NULL;

	for (size_t i = 0; !child && i < world->child_count; i++)
		if (world->children[i].pid == 0)
			child = &world->children[i];
	if (!child && world->child_count < WORLD_CHILDREN_MAX)
		child = &world->children[world->child_count++];
	if (child)
		*child = (struct child){.out_fd = -1, .error_fd = -1};
	return child;
}

struct child *world_start(struct world *world, const char *const *words)
{
	struct child *child = free_child(world);

	if (child) {
		child->out_fd = memfd_create("redteam-out", MFD_CLOEXEC);
		child->error_fd = memfd_create("redteam-errors", MFD_CLOEXEC);
		child->begun_us = world_now_us();
		if (child->out_fd >= 0 && child->error_fd >= 0)
			child->pid = fork();
	}
	if (child && child->pid == 0 && child->error_fd >= 0) {
		become(world, child, words);
		_exit(127);
	}
	if (!child || child->pid <= 0) {
		world_untested(world, "a process could not be started: %s", strerror(errno));
		if (child)
			child->pid = 0;
		return NULL;
	}
	return child;
}

static bool look(struct child *child)
{
	if (!child->ended && child->pid > 0 &&
		waitpid(child->pid, &child->status, WNOHANG) == child->pid)
		child->ended = true;
	return child->ended;
}

bool world_wait(struct child *child, unsigned ms)
{
	const uint64_t end = world_now_us() + ms * 1000ULL;

	while (!look(child) && world_now_us() < end && !redteam_is_interrupted())
		rest(STEP_MS);
	return child->ended;
}

void world_end(struct child *child)
{
	if (!child->ended && child->pid > 0) {
		kill(child->pid, SIGKILL);
		while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
			;
		child->ended = true;
	}
	own_close(&child->out_fd);
	own_close(&child->error_fd);
	child->pid = 0;
}

static char *content(int fd)
{
	struct stat st;
	char *text = NULL;
	ssize_t n = 0;

	if (fstat(fd, &st) == 0 && (uint64_t)st.st_size < SAID_BYTES_MAX)
		text = calloc(1, (size_t)st.st_size + 1);
	if (text)
		n = pread(fd, text, (size_t)st.st_size, 0);
	if (text && n >= 0)
		text[n] = '\0';
	return text ? text : strdup("");
}

char *world_said(const struct child *child)
{
	return content(child->out_fd);
}

char *world_complained(const struct child *child)
{
	return content(child->error_fd);
}

int world_code(const struct child *child)
{
	if (!child->ended)
		return -1;
	return WIFSIGNALED(child->status) ? 128 + WTERMSIG(child->status)
					  : WEXITSTATUS(child->status);
}

int world_call(struct world *world, const char *const *words, char **ret_out, char **ret_errors)
{
	struct child *child = world_start(world, words);
	int code = 125;

	if (child) {
		code = world_wait(child, CALL_MS) ? world_code(child) : CODE_TIMEOUT;
		if (ret_out)
			*ret_out = world_said(child);
		if (ret_errors)
			*ret_errors = world_complained(child);
		world_end(child);
	}
	if (ret_out && !*ret_out)
		*ret_out = strdup("");
	if (ret_errors && !*ret_errors)
		*ret_errors = strdup("");
	return code;
}

json_t *world_ask(struct world *world, const char *const *words)
{
	autofree char *out = NULL;
	int code = world_call(world, words, &out, NULL);

	return code == 0 && out ? json_loads(out, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

bool world_until(bool (*holds)(void *context), void *context)
{
	const uint64_t end = world_now_us() + 30000000;

	for (;;) {
		if (holds(context))
			return true;
		if (world_now_us() > end || redteam_is_interrupted())
			return false;
		rest(STEP_MS);
	}
}

struct telling {
	struct child *child;
	const char *name;
	uint64_t number;
};

static bool has_told(void *context)
{
	struct telling *telling = context;
	const bool ended = look(telling->child);

	autofree char *said = world_said(telling->child);
	const size_t length = strlen(telling->name);

	for (const char *line = said; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, telling->name, length) == 0 && line[length] == ' ' &&
			strchr(line, '\n')) {
			telling->number = strtoull(line + length + 1, NULL, 10);
			return true;
		}
	}
	return ended;
}

uint64_t world_told(struct child *child, const char *name)
{
	struct telling telling = {child, name, REDTEAM_NEVER};

	return world_until(has_told, &telling) ? telling.number : REDTEAM_NEVER;
}

void world_measure(uint64_t *field, uint64_t from_us, uint64_t until_us)
{
	if (from_us == REDTEAM_NEVER || until_us == REDTEAM_NEVER)
		return;
	*field = until_us > from_us ? until_us - from_us : 0;
}
