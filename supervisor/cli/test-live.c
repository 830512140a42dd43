/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/test-live.h"

#include "base/io.h"
#include "base/path.h"
#include "cli/cli.h"
#include "policy/decide.h"

#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ANSWERS_BYTES_MAX (16 << 20)
#define LIBRARIES_MAX 32

/* What the run needs beside the profile so that berm itself can be the tool in it. */
struct prober {
	char self[PATH_MAX];
	const char *libraries[LIBRARIES_MAX]; /* borrowed from the dynamic linker */
	size_t library_count;
	struct path_rule *read; /* the profile's own and these */
	struct exec_rule *allow;
	const char **argv;
};

static void prober_finish(struct prober *p)
{
	own_free(&p->read);
	own_free(&p->allow);
	own_free(&p->argv);
}
#define autoprober __attribute__((cleanup(prober_finish)))

static int add_library(struct dl_phdr_info *info, size_t size, void *context)
{
	struct prober *p = context;

	(void)size;
	if (info->dlpi_name[0] == '/' && p->library_count < LIBRARIES_MAX)
		p->libraries[p->library_count++] = info->dlpi_name;
	return 0;
}

static struct path_rule own_rule(const char *path)
{
	return (struct path_rule){
		.path = path, .written = path, .reason = "berm tries the cases itself"};
}

static int find_self(struct prober *p, struct error *err)
{
	ssize_t n = readlink("/proc/self/exe", p->self, sizeof(p->self) - 1);

	if (n < 0)
		return error_errno(err, "/proc/self/exe");
	p->self[n] = '\0';
	return 0;
}

/* Let the run see and start berm: nothing that a case asks about is decided otherwise by that. */
static int grant_self(struct prober *p, struct profile *profile, struct error *err)
{
	struct path_rules *read = &profile->fs.read;
	struct exec_rules *allow = &profile->exec.allow;

	dl_iterate_phdr(add_library, p);
	p->read = calloc(read->count + p->library_count + 1, sizeof(*p->read));
	p->allow = calloc(allow->count + 1, sizeof(*p->allow));
	if (!p->read || !p->allow)
		return error_errno(err, "live");
	if (read->count)
		memcpy(p->read, read->items, read->count * sizeof(*p->read));
	if (allow->count)
		memcpy(p->allow, allow->items, allow->count * sizeof(*p->allow));
	p->read[read->count++] = own_rule(p->self);
	for (size_t i = 0; i < p->library_count; i++)
		p->read[read->count++] = own_rule(p->libraries[i]);
	p->allow[allow->count++] = (struct exec_rule){.path = p->self, .written = p->self};
	read->items = p->read;
	allow->items = p->allow;
	return 0;
}

/* What a run is made of, and what came of it. */
struct live_run {
	const struct session_request *request;
	struct prober *prober; /* berm itself is the tool; or NULL */
	int in, out;           /* its stdin and stdout */
};

struct reply {
	int code; /* 0, or what kept the run from starting */
	struct error error;
	struct run_result result;
};

static void run_here(const struct live_run *live, struct reply *reply)
{
	autosession struct session session = {0};
	autotext struct text by = {0};
	int r = session_load(live->request, &session, &reply->error);

	if (r == 0 && live->prober)
		r = grant_self(live->prober, session.profile, &reply->error);
	if (r == 0)
		r = session_check(&session, &reply->error);
	if (r == 0)
		r = session_compile(&session, &reply->error);
	/* What is tried is not what a person would be asked about. */
	if (r == 0 && (session_is_held(&session) || session_writes_are_held(&session))) {
		session_held_by(&session, &by);
		r = error_set(&reply->error, -EPERM, ERROR_REFUSED,
			"%s: runs are held until somebody says yes, so that this cannot be tried "
			"live",
			text_string(&by));
	}
	if (r == 0 && (dup2(live->in, STDIN_FILENO) < 0 || dup2(live->out, STDOUT_FILENO) < 0))
		r = error_errno(&reply->error, "standard streams");
	if (r == 0)
		session_run(&session, &reply->result);
	/* A program that is not there is refused too, and a test may expect just that. */
	if (r == 0 && reply->result.outcome == RUN_SETUP_FAILED) {
		reply->error = reply->result.error;
		r = reply->error.code ? reply->error.code : -EPROTO;
	}
	reply->code = r;
}

/* Every run has a process of its own to start from: what a run changes in the one that starts it
 * (prctl(2), PR_SET_DUMPABLE) stays, and a second run could not be set up. */
static int run_live(const struct live_run *live, struct run_result *ret_result, struct error *err)
{
	struct reply reply = {0};
	int pipes[2], status;
	pid_t pid;
	int r;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return error_errno(err, "live");
	pid = fork();
	if (pid == 0) {
		run_here(live, &reply);
		_exit(io_write_all(pipes[1], &reply, sizeof(reply)) < 0);
	}
	close(pipes[1]);
	r = pid < 0 ? error_errno(err, "fork") : io_read_exact(pipes[0], &reply, sizeof(reply));
	close(pipes[0]);
	if (pid < 0)
		return r;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return error_set(err, -EPROTO, ERROR_INTERNAL, "live: the run ended unseen");
	if (reply.code < 0) {
		*err = reply.error;
		return reply.code;
	}
	*ret_result = reply.result;
	return 0;
}

/* The attempt of one case, as `profile try` printed it. */
struct answer {
	int error;
	unsigned long device, inode;
};

/* Whether the kernel can be asked about the case; NULL where it can, else why not. */
static const char *cannot_try(const struct test_case *test)
{
	const struct test_step *step = &test->steps[0];
	struct stat st;
	enum operation operation;

	if (test->kind == TEST_STATE)
		return "states are for the model";
	operation = operation_from_name(step->operation);
	if (operation == OPERATION_CONNECT) {
		char first = step->object[0];

		if (strncmp(step->object, "unix:", 5) == 0 || strstr(step->object, " by "))
			return strstr(step->object, " by ") ? "the program is not this one" : NULL;
		return first == '[' || (first >= '0' && first <= '9') ? NULL : "needs an address";
	}
	if (operation == OPERATION_SYSCALL || operation == OPERATION_ENV ||
		operation == OPERATION_COUNT)
		return "only read, write, exec and connect are tried";
	if (step->object[0] != '/')
		return "command lines are not enforced yet";
	if (operation == OPERATION_WRITE) {
		autofree char *parent = path_parent(step->object);

		return lstat(step->object, &st) < 0 && (!parent || stat(parent, &st) < 0)
			       ? "its directory is not on this host"
			       : NULL;
	}
	if (lstat(step->object, &st) < 0)
		return "it is not on this host";
	return operation == OPERATION_EXEC && (stat(step->object, &st) < 0 || !S_ISREG(st.st_mode))
		       ? "it is no program"
		       : NULL;
}

/* True where what was reached is the host's own file (or a new one beside the host's own), and not
 * something that berm put in its place. */
static bool is_the_hosts(const struct test_step *step, const struct answer *answer)
{
	autofree char *parent = NULL;
	struct stat st;

	if (strcmp(step->operation, "connect") == 0)
		return true;
	if (stat(step->object, &st) == 0 && st.st_dev == answer->device &&
		(st.st_ino == answer->inode || S_ISDIR(st.st_mode)))
		return st.st_ino == answer->inode || strcmp(step->operation, "write") == 0;
	parent = path_parent(step->object);
	return strcmp(step->operation, "write") == 0 && parent && stat(parent, &st) == 0 &&
	       st.st_dev == answer->device;
}

/* The bits of the file itself stand in the way of a stranger: no wall was needed. */
static bool is_closed_to_strangers(const struct test_step *step, int error)
{
	static const struct {
		const char *operation;
		mode_t bit;
	} rows[] = {{"read", S_IROTH}, {"write", S_IWOTH}, {"exec", S_IXOTH}};
	struct stat st;

	if (error != EACCES && error != EPERM)
		return false;
	for (size_t i = 0; i < array_size(rows); i++) {
		autofree char *parent = NULL;

		if (strcmp(rows[i].operation, step->operation) != 0)
			continue;
		if (stat(step->object, &st) == 0)
			return !(st.st_mode & rows[i].bit);
		parent = path_parent(step->object);
		return parent && stat(parent, &st) == 0 && !(st.st_mode & S_IWOTH);
	}
	return false;
}

/* Errors of a connection that come from the other side, or from the way to it. */
static bool is_from_afar(int error)
{
	return error == ECONNREFUSED || error == ETIMEDOUT || error == ECONNRESET;
}

/* Hold what the kernel did against what the model says. False where nothing was learnt, and why. */
static bool compare(const struct profile *profile, struct test_result *result,
	const struct answer *answer, const char **ret_why)
{
	const struct test_step *step = &result->test->steps[0];
	bool connects = strcmp(step->operation, "connect") == 0, reached, allowed;
	struct verdict v;

	decide(profile, operation_from_name(step->operation), step->object, &v);
	reached = answer->error == 0 || (connects && is_from_afar(answer->error));
	allowed = reached && (v.decision == DECISION_ALLOW || is_the_hosts(step, answer));
	if (allowed == (v.decision == DECISION_ALLOW))
		return true;
	if (!allowed && strcmp(step->operation, "exec") == 0 && answer->error == EINVAL)
		*ret_why = "needs Linux 6.14";
	else if (!allowed && is_closed_to_strangers(step, answer->error))
		*ret_why = "the file's own permissions refuse it";
	else if (!allowed && connects && answer->error == ENETUNREACH)
		*ret_why = "there is no way to that address";
	if (*ret_why)
		return false;
	result->outcome = TEST_FAILED;
	text_printf(&result->why, "%sthe model says %s (%s), the kernel %s%s",
		result->why.length ? "; " : "", decision_name(v.decision), v.rule,
		allowed ? "allowed it" : "refused: ", allowed ? "" : strerror(answer->error));
	return true;
}

static void note_untried(struct test_result *result, const char *why, unsigned *untried)
{
	text_printf(&result->why, "%snot tried: %s", result->why.length ? "; " : "", why);
	++*untried;
}

/* Fill the command line of the run; how many cases it holds. */
static size_t put_tries(struct prober *p, const struct test_suite *suite)
{
	size_t words = 0, tries = 0;

	p->argv = calloc(2 * suite->count + 4, sizeof(*p->argv));
	if (!p->argv)
		return 0;
	p->argv[words++] = p->self;
	p->argv[words++] = "profile";
	p->argv[words++] = "try";
	for (size_t i = 0; i < suite->count; i++) {
		const struct test_result *result = &suite->results[i];

		if (result->outcome == TEST_SKIPPED || result->test->kind == TEST_RUN ||
			cannot_try(result->test))
			continue;
		p->argv[words++] = result->test->steps[0].operation;
		p->argv[words++] = result->test->steps[0].object;
		tries++;
	}
	return tries;
}

static int read_answers(const struct profile *profile, struct test_suite *suite, const char *lines,
	unsigned *untried)
{
	for (size_t i = 0; i < suite->count; i++) {
		struct test_result *result = &suite->results[i];
		struct answer answer;
		const char *why = NULL;

		if (result->outcome == TEST_SKIPPED || result->test->kind == TEST_RUN)
			continue;
		why = cannot_try(result->test);
		if (!why) {
			if (sscanf(lines, "%d %lu %lu ", &answer.error, &answer.device,
				    &answer.inode) != 3)
				return -EPROTO;
			lines += strcspn(lines, "\n");
			lines += *lines == '\n';
			if (compare(profile, result, &answer, &why))
				continue;
		}
		note_untried(result, why, untried);
	}
	return 0;
}

static int try_cases(const struct session_request *request, const struct profile *profile,
	struct test_suite *suite, unsigned *untried, struct error *err)
{
	struct session_request own = *request;
	autoprober struct prober prober = {0};
	autoclose int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	autoclose int out = memfd_create("berm-tries", MFD_CLOEXEC);
	const struct live_run live = {&own, &prober, in, out};
	autofree char *lines = NULL;
	struct run_result result = {.outcome = RUN_SETUP_FAILED};
	size_t length;
	int r = find_self(&prober, err);

	if (r == 0 && (in < 0 || out < 0))
		r = error_errno(err, "live");
	if (r < 0)
		return r;
	if (put_tries(&prober, suite) == 0)
		return read_answers(profile, suite, "", untried);
	own.argv = prober.argv;
	r = run_live(&live, &result, err);
	if (r < 0)
		return r;
	if (result.outcome != RUN_EXITED || result.code > CLI_NO)
		return error_set(err, -EPROTO, ERROR_UNSUPPORTED,
			"the cases cannot be tried: berm does not start in a run of this profile "
			"(exit %d)",
			result.code);
	if (lseek(out, 0, SEEK_SET) < 0)
		return error_errno(err, "live");
	r = io_read_fd(out, "answers", ANSWERS_BYTES_MAX, &lines, &length, err);
	if (r < 0)
		return r;
	if (read_answers(profile, suite, lines, untried) < 0)
		return error_set(err, -EPROTO, ERROR_INTERNAL, "live: an answer is missing");
	return 0;
}

static int try_run(
	const struct session_request *request, struct test_result *result, struct error *err)
{
	struct session_request own = *request;
	autoclose int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	const struct live_run live = {&own, NULL, in, STDERR_FILENO};
	struct run_result run;
	int r;

	if (in < 0)
		return error_errno(err, "/dev/null");
	own.argv = result->test->run;
	r = run_live(&live, &run, err);
	if (r < 0)
		return r;
	text_finish(&result->why);
	result->outcome = run.code == result->test->expect_exit ? TEST_PASSED : TEST_FAILED;
	if (result->outcome == TEST_FAILED)
		text_printf(&result->why, "expected exit %d, got %d", result->test->expect_exit,
			run.code);
	return 0;
}

int test_live(const struct session_request *request, const struct profile *profile,
	struct test_suite *suite, unsigned *ret_untried, struct error *err)
{
	int r = try_cases(request, profile, suite, ret_untried, err);

	for (size_t i = 0; r == 0 && i < suite->count; i++) {
		if (suite->results[i].test->kind == TEST_RUN)
			r = try_run(request, &suite->results[i], err);
	}
	return r;
}
