/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"
#include "base/memory.h"
#include "base/path.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define EXIT_TIMEOUT 124
#define EXIT_SETUP 125
#define EXIT_REFUSED 126
#define EXIT_NOT_FOUND 127
/* After the time limit the tool is asked to end, and killed this much later. */
#define TIMEOUT_GRACE_MS 2000
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

struct supervision {
	struct launch *launch;
	struct listener listener;
	struct run_result *result;
	int signal_fd;
	uint64_t deadline_ms; /* monotonic; 0: none */
	bool asked_to_end;    /* the time limit passed, SIGTERM was sent */
	bool timed_out;
	bool started; /* the canary is through, the tool's program runs or is about to */
	bool exited;  /* PID 1 told the tool's status */
	bool failed;  /* one of the run's processes told why it could not start */
	bool init_gone;
	bool idle; /* nothing happened for a while: memory was given back */
	int wait_status;
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static const char *environment_value(const Berm__Wire__Plan *plan, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < plan->n_environment; i++)
		if (strncmp(plan->environment[i], name, n) == 0 && plan->environment[i][n] == '=')
			return plan->environment[i] + n + 1;
	return NULL;
}

/* Where execve(2) will look for argv[0], as execvp(3) does; an empty element of PATH is not the
 * working directory. */
static int find_candidates(struct launch *launch, struct error *err)
{
	const char *path = environment_value(launch->plan, "PATH"), *name = launch->argv[0];
	size_t count = 0, capacity = 2;

	if (!path)
		path = DEFAULT_PATH;
	for (const char *at = path; *at; at++)
		capacity += *at == ':';
	launch->candidates = calloc(capacity + 1, sizeof(char *));
	if (!launch->candidates)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (strchr(name, '/')) {
		launch->candidates[0] = strdup(name);
		return launch->candidates[0]
			       ? 0
			       : error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	}
	while (*path) {
		size_t n = strcspn(path, ":");

		if (path[0] == '/' &&
			asprintf(&launch->candidates[count++], "%.*s/%s", (int)n, path, name) < 0)
			return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
		path += n + (path[n] == ':');
	}
	return 0;
}

static int prepare_arguments(struct launch *launch, struct error *err)
{
	const Berm__Wire__Plan *plan = launch->plan;

	if (plan->n_argv == 0 || plan->argv[0][0] == '\0')
		return error_set(err, -EINVAL, ERROR_INPUT, "no command");
	launch->argv = calloc(plan->n_argv + 1, sizeof(char *));
	launch->environment = calloc(plan->n_environment + 1, sizeof(char *));
	launch->grants = calloc(plan->n_mounts + 1, sizeof(*launch->grants));
	launch->placeholders = calloc(plan->n_mounts + 1, sizeof(*launch->placeholders));
	if (!launch->argv || !launch->environment || !launch->grants || !launch->placeholders)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	for (size_t i = 0; i < plan->n_mounts; i++)
		launch->grants[i].fd = -1;
	memcpy(launch->argv, plan->argv, plan->n_argv * sizeof(char *));
	memcpy(launch->environment, plan->environment, plan->n_environment * sizeof(char *));
	return find_candidates(launch, err);
}

/* 0-2 go to the tool as they are; a directory among them would be a way out of its root
 * (CVE-2024-21626). */
static int check_standard_streams(struct error *err)
{
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;

		if (fstat(fd, &st) < 0)
			return error_errno(err, "descriptor %d", fd);
		if (S_ISDIR(st.st_mode))
			return error_set(err, -EISDIR, ERROR_INPUT,
				"descriptor %d is a directory: it would open the host's file "
				"system to the tool",
				fd);
		if (fcntl(fd, F_GETFL) & O_PATH)
			return error_set(err, -EBADF, ERROR_INPUT,
				"descriptor %d was opened with O_PATH", fd);
	}
	return 0;
}

static int start_init(struct launch *launch, struct error *err)
{
	struct sys_clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
			 CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&launch->init_fd,
		.exit_signal = SIGCHLD,
	};
	int pid;

	if (launch->cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)launch->cgroup_fd;
	}
	pid = sys_clone3(&args);
	if (pid == 0)
		child_main(launch);
	if (pid < 0)
		return error_errno(err, "clone3 the run's namespaces");
	launch->init_pid = pid;
	own_close(&launch->sync[1]);
	return 0;
}

static int prepare(struct launch *launch, struct error *err)
{
	int r = check_standard_streams(err);

	if (r == 0)
		r = prepare_arguments(launch, err);
	if (r == 0)
		r = network_prepare(launch, err);
	if (r == 0)
		r = grants_open(launch, err);
	if (r == 0)
		r = cgroup_name(launch, err);
	if (r == 0)
		r = reserve_name(launch, err);
	if (r == 0)
		r = janitor_start(launch, err);
	if (r == 0)
		r = cgroup_make(launch, err);
	if (r == 0)
		r = reserve_make(launch, err);
	if (r == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, launch->sync) < 0)
		r = error_errno(err, "socketpair");
	return r;
}

static void release(struct launch *launch)
{
	if (launch->grants)
		for (size_t i = 0; i < launch->plan->n_mounts; i++)
			own_close(&launch->grants[i].fd);
	cgroup_remove(launch);
	reserve_remove(launch, 0);
	janitor_dismiss(launch);
	for (size_t i = 0; i < launch->placeholder_count; i++)
		own_close(&launch->placeholders[i].parent_fd);
	own_close(&launch->sync[0]);
	own_close(&launch->sync[1]);
	own_close(&launch->init_fd);
	free(launch->argv);
	free(launch->environment);
	for (char **path = launch->candidates; path && *path; path++)
		free(*path);
	free(launch->candidates);
	free(launch->grants);
	free(launch->placeholders);
}

/* Take every message that is there. */
static void drain_messages(void *context)
{
	struct supervision *s = context;
	struct sync_message message;
	int r;

	while ((r = sync_receive(s->launch->sync[0], &message, NULL, MSG_DONTWAIT)) == 0) {
		if (message.type == SYNC_PROVED) {
			s->started = true;
			s->listener.proving = false;
		} else if (message.type == SYNC_FAILED) {
			s->failed = true;
			s->result->error = message.error;
		} else if (message.type == SYNC_EXIT) {
			s->exited = true;
			s->wait_status = message.status;
		}
	}
	if (r != -EAGAIN)
		own_close(&s->launch->sync[0]); /* PID 1 is ending: do not poll its end again */
}

static void kill_run(const struct supervision *s)
{
	/* The kernel kills every process of a pid namespace with its PID 1 (pid_namespaces(7)). */
	pidfd_send_signal(s->launch->init_fd, SIGKILL, NULL, 0);
}

static void forward_signals(const struct supervision *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			pidfd_send_signal(s->launch->init_fd, (int)info.ssi_signo, NULL, 0);
}

static void check_deadline(struct supervision *s)
{
	if (!s->deadline_ms || now_ms() < s->deadline_ms)
		return;
	if (!s->asked_to_end && s->started) {
		s->asked_to_end = s->timed_out = true;
		s->deadline_ms = now_ms() + TIMEOUT_GRACE_MS;
		pidfd_send_signal(s->launch->init_fd, SIGTERM, NULL, 0);
		return;
	}
	s->timed_out = true;
	s->deadline_ms = 0;
	kill_run(s);
}

static int poll_timeout_ms(const struct supervision *s)
{
	uint64_t now = now_ms(), most = s->idle ? 60000 : MEMORY_IDLE_MS;

	if (!s->deadline_ms)
		return s->idle ? -1 : MEMORY_IDLE_MS;
	if (now >= s->deadline_ms)
		return 0;
	return (int)(s->deadline_ms - now < most ? s->deadline_ms - now : most);
}

static void supervise(struct supervision *s)
{
	while (!s->init_gone) {
		struct pollfd fds[] = {
			{.fd = s->launch->init_fd, .events = POLLIN},
			{.fd = s->launch->sync[0], .events = POLLIN},
			{.fd = s->signal_fd, .events = POLLIN},
			{.fd = s->listener.fd, .events = POLLIN},
		};

		int ready = poll(fds, array_size(fds), poll_timeout_ms(s));

		if (ready < 0 && errno != EINTR)
			break;
		if (ready == 0 && !s->idle) {
			s->idle = true;
			memory_release_program();
		}
		if (fds[2].revents)
			forward_signals(s);
		if (fds[3].revents & POLLIN)
			listener_handle(&s->listener, drain_messages, s);
		else if (fds[3].revents & (POLLHUP | POLLERR))
			own_close(&s->listener.fd); /* the last process under the filter is gone */
		drain_messages(s);
		if (fds[0].revents)
			s->init_gone = true;
		check_deadline(s);
	}
}

static void reap_init(const struct launch *launch, struct rusage *usage)
{
	int status;

	while (wait4(launch->init_pid, &status, 0, usage) < 0 && errno == EINTR)
		;
}

/* Let the run build its walls, hand over the listener and start the tool. */
static int confine(struct supervision *s, struct error *err)
{
	struct launch *launch = s->launch;
	struct sync_message message = {.type = SYNC_GO};
	int r = identity_map(launch, err);

	if (r == 0)
		r = identity_oom_score(launch, err);
	/* Memory of the supervisor is nobody's to read from here on; before, an unprivileged one
	 * could not have opened the map files of its own child (proc(5), "dumpable"). */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (r < 0)
		return r;
	r = sync_send(launch->sync[0], &message, -1);
	if (r == 0)
		r = sync_receive(launch->sync[0], &message, &s->listener.fd, 0);
	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL,
			"the run's first process died before its walls stood");
	if (message.type == SYNC_FAILED) {
		*err = message.error;
		return err->code;
	}
	if (message.type != SYNC_WALLS || (launch->plan->seccomp->listener && s->listener.fd < 0))
		return error_set(
			err, -EPROTO, ERROR_INTERNAL, "the run's first process broke the protocol");
	if (s->listener.fd >= 0)
		listener_tune(&s->listener);
	message = (struct sync_message){.type = SYNC_START};
	r = sync_send(launch->sync[0], &message, -1);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL,
			       "the run's first process died before its start")
		     : 0;
}

static void judge_failure(const struct error *err, struct run_result *result)
{
	result->error = *err;
	result->outcome = RUN_SETUP_FAILED;
	result->code = EXIT_SETUP;
	if (err->kind == ERROR_REFUSED || err->kind == ERROR_NOT_FOUND) {
		result->outcome = RUN_REFUSED;
		result->code = err->kind == ERROR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_REFUSED;
	}
}

static void judge(const struct supervision *s, struct run_result *result)
{
	int status = s->wait_status;

	if (s->failed) {
		struct error err = result->error;

		judge_failure(&err, result);
	} else if (!s->exited) {
		/* PID 1 was killed from outside, or by the kernel: nothing of the run is left. */
		result->outcome = RUN_KILLED;
		result->signal = SIGKILL;
		result->code = 128 + SIGKILL;
	} else if (WIFSIGNALED(status)) {
		result->outcome = RUN_SIGNALED;
		result->signal = WTERMSIG(status);
		result->code = 128 + WTERMSIG(status);
	} else {
		result->outcome = RUN_EXITED;
		result->code = WEXITSTATUS(status);
	}
	if (cgroup_was_oom(s->launch) && result->outcome != RUN_EXITED)
		result->outcome = RUN_OOM;
	if (s->timed_out) {
		result->outcome = RUN_TIMEOUT;
		result->code = EXIT_TIMEOUT;
	}
}

static void run_confined(struct supervision *s, struct run_result *result)
{
	struct launch *launch = s->launch;
	struct error err = {0};
	int r = start_init(launch, &err);

	if (r < 0) {
		judge_failure(&err, result);
		return;
	}
	r = confine(s, &err);
	if (r < 0)
		kill_run(s);
	else
		supervise(s);
	reap_init(launch, &result->usage);
	drain_messages(s);
	if (r < 0)
		judge_failure(&err, result);
	else
		judge(s, result);
	own_close(&s->listener.fd);
}

void run_plan(const Berm__Wire__Plan *plan, const struct run_callbacks *callbacks,
	struct run_result *ret_result)
{
	struct launch launch = {.plan = plan,
		.sync = {-1, -1},
		.cgroup_fd = -1,
		.cgroup_parent_fd = -1,
		.janitor_fd = -1,
		.init_fd = -1,
		.root_fd = -1,
		.network_fd = -1,
		.cover_fd = -1};
	struct supervision s = {.launch = &launch,
		.result = ret_result,
		.signal_fd = -1,
		.listener = {.fd = -1, .plan = plan, .callbacks = callbacks, .proving = true}};
	uint64_t started_ms = now_ms();
	sigset_t waited, before;
	struct error err = {0};

	*ret_result = (struct run_result){.outcome = RUN_SETUP_FAILED, .code = EXIT_SETUP};
	reaper_signals(&waited);
	sigprocmask(SIG_BLOCK, &waited, &before);
	if (plan->wall_time_ms)
		s.deadline_ms = started_ms + plan->wall_time_ms;
	s.signal_fd = signalfd(-1, &waited, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s.signal_fd < 0) {
		error_errno(&err, "signalfd");
		judge_failure(&err, ret_result);
	} else if (prepare(&launch, &err) < 0) {
		judge_failure(&err, ret_result);
	} else {
		run_confined(&s, ret_result);
	}
	release(&launch);
	own_close(&s.signal_fd);
	sigprocmask(SIG_SETMASK, &before, NULL);
	ret_result->duration_ms = now_ms() - started_ms;
}
