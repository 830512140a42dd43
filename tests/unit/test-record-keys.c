/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "record/keys.h"

#include "tree.h"

#include <signal.h>
#include <sys/wait.h>

/* The keys on a real disk and in real memory. */

static int dir = -1;

static struct keys *make_keys(void)
{
	struct keys *keys;

	dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	assert_int_equal(keys_create(&storage_system, dir, &keys, NULL), 0);
	return keys;
}

static void finish(struct keys *keys)
{
	keys_destroy(keys);
	close(dir);
}

/* The address sanitizer lets mlock(2) do nothing. */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define LOCKED ""
#else
#define LOCKED " lo"
#endif

static bool line_has_flags(const char *line)
{
	/* proc(5): locked, not dumped, wiped in a child */
	return strstr(line, LOCKED) && strstr(line, " dd") && strstr(line, " wf");
}

static void the_secret_page_is_locked_and_in_no_dump_and_no_child(void **state)
{
	struct keys *keys = make_keys();
	autofclose FILE *smaps = fopen("/proc/self/smaps", "re");
	unsigned pages = 0;
	char line[512];

	(void)state;
	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps))
		pages += strncmp(line, "VmFlags:", 8) == 0 && line_has_flags(line);
	assert_int_equal(pages, 1);
	finish(keys);
}

static void a_child_cannot_sign(void **state)
{
	struct keys *keys = make_keys();
	uint8_t digest[SIGNED_DIGEST_BYTES] = {1}, signature[SIGNATURE_BYTES];
	int status;
	pid_t child;

	(void)state;
	keys_sign(keys, SIGNED_SEAL, digest, signature);
	child = fork();
	if (child == 0) {
		/* The assertion says so on stderr; that is not for the test's output. */
		close(STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		keys_sign(keys, SIGNED_SEAL, digest, signature);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	finish(keys);
}

static void files_have_the_modes_that_they_must(void **state)
{
	struct keys *keys = make_keys(), *again;
	struct error err;
	struct stat st;

	(void)state;
	assert_int_equal(fstatat(dir, KEYS_FILE, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(fstatat(dir, KEYS_PIN_FILE, &st, 0), 0);
	assert_int_equal(keys_create(&storage_system, dir, &again, &err), -EEXIST);
	assert_int_equal(fchmodat(dir, KEYS_FILE, 0640, 0), 0);
	assert_int_equal(keys_load(&storage_system, dir, &again, &err), -EPERM);
	assert_int_equal(fchmodat(dir, KEYS_FILE, 0600, 0), 0);
	assert_int_equal(keys_load(&storage_system, dir, &again, &err), 0);
	assert_memory_equal(keys_log_id(again), keys_log_id(keys), LOG_ID_BYTES);
	keys_destroy(again);
	finish(keys);
}

/* What is announced as the next key is the next key, in memory and from the file. */
static void keys_follow_one_another(void **state)
{
	struct keys *keys = make_keys(), *loaded;
	struct log_position position = {.segment = 1, .offset = 500, .sequence = 9, .reason = 3};

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		enum signed_kind kind = i % 3 ? SIGNED_SEAL : SIGNED_HEAD;
		uint8_t next[PUBLIC_KEY_BYTES], now[PUBLIC_KEY_BYTES];
		uint64_t number = keys_number(keys, kind);

		keys_public(keys, kind, 1, next);
		keys_public(keys, kind, 0, now);
		assert_memory_not_equal(now, next, PUBLIC_KEY_BYTES);
		position.sequence++;
		assert_int_equal(keys_advance(keys, kind, &position, NULL), 0);
		keys_public(keys, kind, 0, now);
		assert_memory_equal(now, next, PUBLIC_KEY_BYTES);
		assert_true(keys_number(keys, kind) == number + 1);
		assert_int_equal(keys_load(&storage_system, dir, &loaded, NULL), 0);
		keys_public(loaded, kind, 0, now);
		assert_memory_equal(now, next, PUBLIC_KEY_BYTES);
		assert_memory_equal(keys_position(loaded), &position, sizeof(position));
		keys_destroy(loaded);
	}
	finish(keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_tree(the_secret_page_is_locked_and_in_no_dump_and_no_child),
		in_tree(a_child_cannot_sign),
		in_tree(files_have_the_modes_that_they_must),
		in_tree(keys_follow_one_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
