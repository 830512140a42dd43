/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/state-directory.h"
#include "daemon/state-file.h"
#include "wire/halt.pb-c.h"

#include "tree.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static struct state_place real_place(void)
{
	int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return (struct state_place){&storage_system, fd};
}

static int wait_for(pid_t child)
{
	int status = -1;

	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* A file that is not changed at once: what two do at a time is lost. */
static unsigned count(void)
{
	FILE *f = fopen(in_top("count"), "re");
	unsigned value = 0;
	bool read = f && fscanf(f, "%u", &value) == 1;

	if (f)
		fclose(f);
	return read ? value : UINT32_MAX;
}

static bool count_one_more(void)
{
	unsigned value = count();
	FILE *f;

	usleep(200);
	f = fopen(in_top("count"), "we");
	return f && fprintf(f, "%u", value + 1) > 0 && fclose(f) == 0;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void a_lock_is_waited_for_but_not_for_ever(void **state)
{
	struct state_place place = real_place();
	struct error err = {0};
	uint64_t start;
	int first = state_lock(place.dir, 0, &err), second;

	(void)state;
	assert_true(first >= 0);
	start = now_ms();
	assert_int_equal(state_lock(place.dir, 100, &err), -ETIMEDOUT);
	assert_true(now_ms() - start >= 100);
	state_unlock(&first);
	assert_int_equal(first, -1);
	second = state_lock(place.dir, 0, &err);
	assert_true(second >= 0);
	state_unlock(&second);
	close(place.dir);
}

static void a_lock_ends_with_its_process(void **state)
{
	struct state_place place = real_place();
	struct error err = {0};
	int ready[2], fd;
	char byte = 0;
	pid_t child;

	(void)state;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (state_lock(place.dir, 1000, NULL) < 0 || write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(state_lock(place.dir, 30, &err), -ETIMEDOUT);
	assert_int_equal(kill(child, SIGKILL), 0);
	wait_for(child);
	fd = state_lock(place.dir, 5000, &err);
	assert_true(fd >= 0);
	state_unlock(&fd);
	close(ready[0]);
	close(ready[1]);
	close(place.dir);
}

/* A terminal can stop a berm of root's that somebody else started. */
static void who_holds_it_is_neither_stopped_nor_interrupted(void **state)
{
	static const int signals[] = {SIGTSTP, SIGTTIN, SIGTTOU, SIGINT, SIGQUIT, SIGTERM, SIGHUP};
	struct state_place place = real_place();
	int ready[2], go[2], status = 0;
	char byte = 0;
	pid_t child;

	(void)state;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int fd = state_lock(place.dir, 1000, NULL);

		if (fd < 0 || write(ready[1], "r", 1) != 1 || read(go[0], &byte, 1) != 1 ||
			write(ready[1], "d", 1) != 1)
			_exit(1);
		state_unlock(&fd);
		/* What was sent meanwhile comes now. */
		_exit(2);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	for (size_t i = 0; i < array_size(signals); i++)
		assert_int_equal(kill(child, signals[i]), 0);
	assert_int_equal(waitpid(child, &status, WNOHANG | WUNTRACED), 0);
	assert_int_equal(write(go[1], "g", 1), 1);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 'd');
	assert_int_equal(kill(child, SIGCONT), 0);
	assert_true(WIFSIGNALED(wait_for(child)));
	for (unsigned i = 0; i < 2; i++) {
		close(ready[i]);
		close(go[i]);
	}
	close(place.dir);
}

static void a_lock_that_others_could_hold_is_refused(void **state)
{
	struct state_place place = real_place();
	struct error err = {0};
	int fd = state_lock(place.dir, 0, &err);

	(void)state;
	assert_true(fd >= 0);
	state_unlock(&fd);
	assert_int_equal(chmod(in_top(STATE_LOCK), 0640), 0);
	assert_int_equal(state_lock(place.dir, 0, &err), -EPERM);
	assert_int_equal(unlink(in_top(STATE_LOCK)), 0);
	make_file("elsewhere", "");
	assert_int_equal(symlink("elsewhere", in_top(STATE_LOCK)), 0);
	assert_int_equal(state_lock(place.dir, 0, &err), -ELOOP);
	assert_int_equal(unlink(in_top(STATE_LOCK)), 0);
	assert_int_equal(mkfifo(in_top(STATE_LOCK), 0600), 0);
	assert_int_equal(state_lock(place.dir, 0, &err), -EPERM);
	close(place.dir);
}

/* Many who each add one, and some who are killed while they have the lock: none is lost. */
static void what_is_changed_under_the_lock_adds_up(void **state)
{
	struct state_place place = real_place();
	pid_t children[30];
	unsigned each = 4;

	(void)state;
	make_file("count", "0");
	for (size_t i = 0; i < array_size(children); i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] != 0)
			continue;
		for (unsigned n = 0; n < each; n++) {
			int fd = state_lock(place.dir, 60000, NULL);

			if (fd < 0 || !count_one_more())
				_exit(1);
			state_unlock(&fd);
		}
		if (i % 3 == 0 && state_lock(place.dir, 60000, NULL) >= 0)
			raise(SIGKILL);
		_exit(0);
	}
	for (size_t i = 0; i < array_size(children); i++) {
		int status = wait_for(children[i]);

		assert_true(i % 3 == 0 ? WIFSIGNALED(status) : status == 0);
	}
	assert_int_equal(count(), each * array_size(children));
	close(place.dir);
}

static int write_alone(const struct state_place *place, unsigned value)
{
	Berm__Wire__Halt halt;
	char words[400];

	memset(words, 'a' + (int)(value % 26), sizeof(words));
	words[(value * 37) % (sizeof(words) - 1)] = '\0';
	berm__wire__halt__init(&halt);
	halt.version = 1;
	halt.of = halt.words = halt.by = words;
	halt.by_uid = value;
	return state_file_write_alone(place, "mark", &halt.base, NULL);
}

/* Without the lock too each name has a whole file, whoever writes at that moment. */
static void files_that_many_write_at_once_are_whole(void **state)
{
	struct state_place place = real_place();
	unsigned ended = 0, reads = 0;
	pid_t children[8];

	(void)state;
	assert_int_equal(write_alone(&place, 0), 0);
	for (unsigned i = 0; i < array_size(children); i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] != 0)
			continue;
		for (unsigned n = 0; n < 40; n++)
			if (write_alone(&place, i * 1000 + n) != 0)
				_exit(1);
		_exit(0);
	}
	while (ended < array_size(children)) {
		struct error err = {0};
		void *message = NULL;
		int status = 0;

		assert_int_equal(state_file_read(&place, "mark", &berm__wire__halt__descriptor,
					 &message, &err),
			0);
		protobuf_c_message_free_unpacked(message, NULL);
		reads++;
		if (waitpid(-1, &status, WNOHANG) > 0) {
			assert_int_equal(status, 0);
			ended++;
		}
	}
	assert_true(reads > 0);
	close(place.dir);
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(in_top(name), &st), 0);
	return st.st_mode & 07777;
}

/* A state directory that was named by mistake, or by somebody who means harm. */
static void what_berm_did_not_make_keeps_its_mode(void **state)
{
	static const struct {
		const char *file, *content;
		bool is_ours;
	} rows[] = {
		{NULL, NULL, false},
		{"syslog", "words", false},
		{"0000000001.seg", "", true},
		{"000000001.seg", "", false},
		{"recorder.key", "", true},
		{"01HZX3K9QJ5V8W2M4N6P7R8S9T.json", "{}", true},
		{"01HZX3K9QJ5V8W2M4N6P7R8S9T", "{}", false},
		{"worker", STATE_FILE_MAGIC "and more", true},
		{"worker", "BERMSTA", false},
	};

	(void)state;
	make_directory("state");
	for (size_t i = 0; i < array_size(rows); i++) {
		autoclose int fd = open(in_top("state"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		autoclose int within = -1;
		struct error err = {0};
		char path[64];

		snprintf(path, sizeof(path), "state/log/%s", rows[i].file ? rows[i].file : "");
		make_directory("state/log");
		if (rows[i].file)
			make_file(path, rows[i].content);
		within = state_directory_within(fd, "log", 0750, &err);
		if (rows[i].is_ours) {
			assert_true(within >= 0);
			assert_int_equal(mode_of("state/log"), 0750);
			/* Beside a directory it is not berm's all the same. */
			own_close(&within);
			assert_int_equal(chmod(in_top("state/log"), 0755), 0);
			make_directory("state/log/journal");
			within = state_directory_within(fd, "log", 0750, &err);
			assert_int_equal(rmdir(in_top("state/log/journal")), 0);
		}
		assert_int_equal(within, -EPERM);
		assert_int_equal(err.kind, ERROR_REFUSED);
		assert_int_equal(mode_of("state/log"), 0755);
		if (rows[i].file)
			assert_int_equal(unlink(in_top(path)), 0);
		assert_int_equal(rmdir(in_top("state/log")), 0);
	}
}

static void directories_of_others_are_refused(void **state)
{
	struct error err = {0};
	struct stat st;
	autoclose int fd = state_directory_open(in_top("way/to/berm"), &err);
	autoclose int within = fd < 0 ? -1 : state_directory_within(fd, "agents", 0700, &err);

	(void)state;
	assert_true(fd >= 0 && within >= 0);
	assert_int_equal(stat(in_top("way/to"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(chmod(in_top("way/to/berm/agents"), 0755), 0);
	make_file("way/to/berm/agents/worker", STATE_FILE_MAGIC);
	own_close(&within);
	within = state_directory_within(fd, "agents", 0700, &err);
	assert_true(within >= 0);
	assert_int_equal(fstat(within, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(chmod(in_top("way/to/berm/agents"), 0770), 0);
	assert_int_equal(state_directory_within(fd, "agents", 0700, &err), -EPERM);
	assert_int_equal(chmod(in_top("way/to/berm"), 0775), 0);
	assert_int_equal(state_directory_open(in_top("way/to/berm"), &err), -EPERM);
	assert_int_equal(state_directory_open("relative", &err), -EINVAL);
}

#define row(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest rows[] = {
		row(a_lock_is_waited_for_but_not_for_ever),
		row(a_lock_ends_with_its_process),
		row(who_holds_it_is_neither_stopped_nor_interrupted),
		row(a_lock_that_others_could_hold_is_refused),
		row(what_is_changed_under_the_lock_adds_up),
		row(files_that_many_write_at_once_are_whole),
		row(directories_of_others_are_refused),
		row(what_berm_did_not_make_keeps_its_mode),
	};

	umask(022);
	return cmocka_run_group_tests(rows, NULL, NULL);
}
