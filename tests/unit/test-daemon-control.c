/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/control.h"
#include "daemon/runs.h"
#include "wire/effects.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

/* The socket of a run: its name in the directory of runs, who may ask, and what is answered. */

#define RUN_A "01M82Q1GM904MMB0GB72AKD5WK"
#define RUN_B "01M82Q1GM904MMB0GB72AKD5WM"

static char top[] = "/var/tmp/berm-control-XXXXXX";
static unsigned set_to;

static int on_status(void *context, Berm__Wire__RunStatus *status)
{
	(void)context;
	status->run = strdup(RUN_A);
	status->posture = set_to;
	return 0;
}

static int on_posture(void *context, unsigned posture, struct error *err)
{
	(void)context;
	if (posture == POSTURE_READ_ONLY)
		return error_set(err, -EPERM, ERROR_REFUSED, "not this one");
	set_to = posture;
	return 0;
}

static const struct control_actions actions = {NULL, on_status, on_posture};

struct served {
	struct run_socket socket;
	struct control control;
};

static void serve(struct served *served, const char *id)
{
	struct error err = {0};

	if (runs_enter(id, geteuid(), &served->socket, &err) < 0 ||
		control_open(
			&served->control, served->socket.listen_fd, geteuid(), &actions, &err) < 0)
		fail_msg("%s", err.text);
}

static void end(struct served *served)
{
	control_close(&served->control);
	runs_leave(&served->socket);
}

/* A server in a process of its own, as the verbs wait for it; killed with SIGKILL. */
static pid_t serve_apart(const char *id)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct served served;
		struct pollfd fd;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(&served, id);
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		fd = (struct pollfd){.fd = served.control.epoll_fd, .events = POLLIN};
		for (;;) {
			poll(&fd, 1, -1);
			control_handle(&served.control);
		}
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int ask(const char *words, Berm__Wire__ControlType type, unsigned posture,
	unsigned *ret_posture, struct error *err)
{
	Berm__Wire__RunStatus *status = NULL;
	Berm__Wire__ControlRequest request;
	char id[RUN_ID_LENGTH + 1];
	autoclose int fd = runs_connect(words, id, err);
	int r;

	if (fd < 0)
		return fd;
	berm__wire__control_request__init(&request);
	request.version = CONTROL_VERSION;
	request.type = type;
	request.posture = posture;
	r = control_ask(fd, &request, &status, err);
	if (r == 0) {
		*ret_posture = status->posture;
		berm__wire__run_status__free_unpacked(status, NULL);
	}
	return r;
}

#define STATUS BERM__WIRE__CONTROL_TYPE__CONTROL_STATUS
#define POSTURE BERM__WIRE__CONTROL_TYPE__CONTROL_POSTURE

static void a_run_answers_and_takes_a_posture(void **state)
{
	pid_t pid = serve_apart(RUN_A);
	struct error err = {0};
	unsigned posture = 99;

	(void)state;
	assert_int_equal(ask(RUN_A, STATUS, 0, &posture, &err), 0);
	assert_int_equal(posture, POSTURE_OPEN);
	assert_int_equal(ask("01m82q1gm9", POSTURE, POSTURE_FROZEN, &posture, &err), 0);
	assert_int_equal(posture, POSTURE_FROZEN);
	assert_int_equal(ask(RUN_A, POSTURE, POSTURE_READ_ONLY, &posture, &err), -EPERM);
	assert_string_equal(err.text, "not this one");
	assert_int_equal(ask(RUN_A, POSTURE, POSTURE_DEAD, &posture, &err), -EINVAL);
	assert_int_equal(ask(RUN_A, 77, 0, &posture, &err), -ENOSYS);
	assert_int_equal(ask(RUN_A, STATUS, 0, &posture, &err), 0);
	assert_int_equal(posture, POSTURE_FROZEN);
	stop(pid);
}

static void a_beginning_names_one_run_or_none(void **state)
{
	pid_t a = serve_apart(RUN_A), b = serve_apart(RUN_B);
	struct error err = {0};
	unsigned posture;

	(void)state;
	assert_int_equal(ask("01M8", STATUS, 0, &posture, &err), -ENOTUNIQ);
	assert_int_equal(ask("01M9", STATUS, 0, &posture, &err), -ENOENT);
	assert_int_equal(ask("", STATUS, 0, &posture, &err), -EINVAL);
	assert_int_equal(ask("../x", STATUS, 0, &posture, &err), -EINVAL);
	assert_int_equal(ask(RUN_B, STATUS, 0, &posture, &err), 0);
	stop(a);
	stop(b);
}

static void what_a_killed_berm_left_is_removed(void **state)
{
	pid_t pid = serve_apart(RUN_A);
	char(*ids)[RUN_ID_LENGTH + 1] = NULL;
	struct error err = {0};
	struct served served;
	size_t count;

	(void)state;
	serve(&served, RUN_B);
	assert_int_equal(runs_list(&ids, &count, &err), 0);
	assert_int_equal(count, 2);
	assert_string_equal(ids[0], RUN_A);
	free(ids);
	stop(pid);
	assert_int_equal(faccessat(served.socket.directory_fd, RUN_A ".sock", F_OK, 0), 0);
	assert_int_equal(runs_list(&ids, &count, &err), 0);
	assert_int_equal(count, 1);
	free(ids);
	assert_int_equal(faccessat(served.socket.directory_fd, RUN_A ".sock", F_OK, 0), -1);
	end(&served);
}

static int connect_here(const struct served *served)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" RUN_A ".sock",
		served->socket.directory_fd);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Nobody waits for a client that does not read, and one more than there are places takes the
 * oldest's. */
static void slow_clients_hold_up_nobody(void **state)
{
	int fds[CONTROL_CLIENTS_MAX + 1];
	struct served served;
	char byte;

	(void)state;
	serve(&served, RUN_A);
	for (size_t i = 0; i < array_size(fds); i++) {
		fds[i] = connect_here(&served);
		assert_true(fds[i] >= 0);
		control_handle(&served.control);
	}
	assert_int_equal(recv(fds[0], &byte, 1, MSG_DONTWAIT), 0);
	assert_int_equal(recv(fds[1], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	/* Requests without end, and no answer taken: the server drops the client. */
	for (int i = 0; i < 100000; i++) {
		if (send(fds[1], "\x08\x01\x10\x01", 4, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
			errno != EAGAIN)
			break;
		control_handle(&served.control);
	}
	assert_int_equal(send(fds[1], "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	for (size_t i = 0; i < array_size(fds); i++)
		close(fds[i]);
	end(&served);
}

/* It has the owner's uid, and is in a user namespace of its own as every run is. */
static void a_process_in_another_user_namespace_is_refused(void **state)
{
	pid_t server = serve_apart(RUN_A), pid;
	int status;

	(void)state;
	pid = fork();
	if (pid == 0) {
		struct error err = {0};
		unsigned posture;
		int control = ask(RUN_A, STATUS, 0, &posture, &err);

		if (control != 0)
			_exit(2);
		if (unshare(CLONE_NEWUSER) < 0)
			_exit(3);
		_exit(ask(RUN_A, STATUS, 0, &posture, &err) == -EACCES ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	stop(server);
}

/* Its owner decides what is in it; here anybody could. */
static void a_directory_that_others_write_to_is_not_taken(void **state)
{
	struct error err = {0};
	struct stat good, other;
	int fd = runs_directory(&err), second;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &good), 0);
	assert_int_equal(fchmod(fd, 0777), 0);
	second = runs_directory(&err);
	if (second >= 0) {
		assert_int_equal(fstat(second, &other), 0);
		assert_false(good.st_ino == other.st_ino && good.st_dev == other.st_dev);
	}
	own_close(&second);
	assert_int_equal(fchmod(fd, 0700), 0);
	close(fd);
}

static void remove_directories(void)
{
	char path[sizeof(top) + 16];

	snprintf(path, sizeof(path), "%s/berm/runs", top);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/berm", top);
	rmdir(path);
	rmdir(top);
}

static int begin(void **state)
{
	(void)state;
	set_to = POSTURE_OPEN;
	return 0;
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test_setup(a_run_answers_and_takes_a_posture, begin),
		cmocka_unit_test_setup(a_beginning_names_one_run_or_none, begin),
		cmocka_unit_test_setup(what_a_killed_berm_left_is_removed, begin),
		cmocka_unit_test_setup(slow_clients_hold_up_nobody, begin),
		cmocka_unit_test_setup(a_process_in_another_user_namespace_is_refused, begin),
		cmocka_unit_test_setup(a_directory_that_others_write_to_is_not_taken, begin),
	};
	int r;

	/* An ordinary user has a directory of runs wherever XDG_RUNTIME_DIR says. */
	if (!mkdtemp(top))
		return 1;
	if (geteuid() == 0 &&
		(chown(top, 54321, 54321) < 0 || setgid(54321) < 0 || setuid(54321) < 0))
		return 1;
	prctl(PR_SET_DUMPABLE, 1);
	setenv("XDG_RUNTIME_DIR", top, 1);
	r = cmocka_run_group_tests_name("daemon-control", list, NULL, NULL);
	remove_directories();
	return r;
}
