/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/control.h"
#include "apply/launch.h"
#include "apply/sys.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define EXIT_TIMEOUT 124
#define EXIT_SETUP 125
#define EXIT_REFUSED 126
#define EXIT_NOT_FOUND 127
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

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
	launch->copies = calloc(plan->n_mounts + 1, sizeof(*launch->copies));
	launch->placeholders = calloc(plan->n_mounts + 1, sizeof(*launch->placeholders));
	if (!launch->argv || !launch->environment || !launch->grants || !launch->placeholders ||
		!launch->copies)
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
	/* Later nobody but root may look, since PID 1 is not dumpable then. */
	if (launch->cgroup_fd < 0)
		launch->pid_namespace = stop_namespace_of(pid);
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
		r = stage_open(launch, err);
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
	if (r == 0 && !(launch->last = sync_last_new()))
		r = error_errno(err, "memory for the run's last word");
	return r;
}

static void release(struct launch *launch)
{
	if (launch->grants)
		for (size_t i = 0; i < launch->plan->n_mounts; i++)
			own_close(&launch->grants[i].fd);
	own_close(&launch->stage.fd);
	network_unlink(launch);
	cgroup_remove(launch);
	reserve_remove(launch, 0);
	janitor_dismiss(launch);
	for (size_t i = 0; i < launch->placeholder_count; i++)
		own_close(&launch->placeholders[i].parent_fd);
	own_close(&launch->sync[0]);
	own_close(&launch->sync[1]);
	own_close(&launch->init_fd);
	sync_last_free(launch->last);
	free(launch->argv);
	free(launch->environment);
	for (char **path = launch->candidates; path && *path; path++)
		free(*path);
	free(launch->candidates);
	free(launch->grants);
	free(launch->placeholders);
	free(launch->copies);
}

static void reap_init(const struct launch *launch, struct rusage *usage)
{
	int status;

	while (wait4(launch->init_pid, &status, 0, usage) < 0 && errno == EINTR)
		;
}

static int enter(struct supervision *s, struct error *err)
{
	const struct run_entry entry = {.handle = &s->handle,
		.init_pidfd = s->launch->init_fd,
		.init_pid = s->launch->init_pid,
		.cgroup_fd = s->launch->cgroup_fd};

	if (!s->callbacks || !s->callbacks->enter)
		return s->launch->plan->network->mode == BERM__WIRE__NETWORK_MODE__NETWORK_LINK
			       ? error_set(err, -EINVAL, ERROR_INTERNAL,
					 "a link with nobody to decide what may pass it")
			       : 0;
	return s->callbacks->enter(s->callbacks->context, &entry, err);
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
	r = enter(s, err);
	if (r == 0)
		r = network_link(launch, err);
	if (r < 0)
		return r;
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
	} else if (s->handle.asked != RUN_OUTCOME_COUNT) {
		result->outcome = s->handle.asked;
		result->signal = s->handle.asked_signal ? s->handle.asked_signal : SIGKILL;
		result->code = 128 + result->signal;
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
	if (cgroup_was_oom(s->launch) &&
		(result->outcome == RUN_SIGNALED || result->outcome == RUN_KILLED))
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
		supervise_kill(s);
	else
		supervise(s);
	reap_init(launch, &result->usage);
	cgroup_peaks(launch, result);
	supervise_end(s);
	if (r < 0)
		judge_failure(&err, result);
	else
		judge(s, result);
	listener_close(&s->listener);
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
		.filter_fd = -1,
		.copies_fd = -1,
		.stage = {.fd = -1},
		.stage_path = callbacks ? callbacks->stage_path : NULL,
		.lower_fd = -1,
		.cover_fd = -1};
	struct supervision s = {.launch = &launch,
		.callbacks = callbacks,
		.handle = {.launch = &launch, .asked = RUN_OUTCOME_COUNT},
		.result = ret_result,
		.signal_fd = -1,
		.listener = {.fd = -1, .plan = plan, .callbacks = callbacks, .proving = true}};
	uint64_t started_ms = control_now_ms();
	sigset_t waited, before;
	struct error err = {0};

	*ret_result = (struct run_result){.outcome = RUN_SETUP_FAILED, .code = EXIT_SETUP};
	reaper_supervisor_signals(&waited);
	sigprocmask(SIG_BLOCK, &waited, &before);
	if (plan->wall_time_ms)
		s.deadline_ms = started_ms + plan->wall_time_ms;
	s.signal_fd = signalfd(-1, &waited, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s.signal_fd < 0) {
		error_errno(&err, "signalfd");
		judge_failure(&err, ret_result);
	} else if (listener_check(&s.listener, &err) < 0 || prepare(&launch, &err) < 0) {
		judge_failure(&err, ret_result);
	} else {
		run_confined(&s, ret_result);
	}
	release(&launch);
	stop_mark_finish(&s.handle.mark);
	own_close(&s.signal_fd);
	sigprocmask(SIG_SETMASK, &before, NULL);
	ret_result->duration_ms = control_now_ms() - started_ms;
}
