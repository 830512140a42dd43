/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "record/keys.h"
#include "record/recorder.h"
#include "record/verify.h"

#include "tree.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

/* What else may stand in a log's directory, on a real file system, in the place of a segment or of
 * a file that is about to be made. */

static struct recorder_options options;
/* Without fsync(2), which makes no difference here. */
static struct storage_ops ops;
static const struct storage storage = {.ops = &ops};

static int no_sync(void *context, int file)
{
	(void)context;
	(void)file;
	return 0;
}

static void begin(void)
{
	ops = *storage_system.ops;
	ops.sync = ops.sync_dir = no_sync;
	make_directory("log");
	make_directory("keys");
	options = (struct recorder_options){.storage = &storage,
		.log_dir = open(in_top("log"), O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.key_dir = open(in_top("keys"), O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.create = true,
		.segment_bytes = 1000,
		.queue_bytes = 1 << 20};
	assert_true(options.log_dir >= 0 && options.key_dir >= 0);
}

static void end(void)
{
	close(options.log_dir);
	close(options.key_dir);
}

/* Sessions until there are that many segments. */
static void record(uint64_t segments)
{
	struct recorder_status status = {0};

	while (status.segment < segments) {
		Berm__Wire__Record one = BERM__WIRE__RECORD__INIT;
		Berm__Wire__Trip trip = BERM__WIRE__TRIP__INIT;
		struct recorder *r;
		struct error err = {0};

		if (recorder_open(&options, &r, &err) < 0)
			fail_msg("%s", err.text);
		one.body_case = BERM__WIRE__RECORD__BODY_TRIP;
		one.trip = &trip;
		for (unsigned i = 0; i < 10; i++) {
			assert_int_equal(recorder_append(r, NULL, RECORD_RING_DECISIONS, &one), 0);
			assert_int_equal(recorder_commit(r, NULL), 0);
		}
		recorder_status(r, &status);
		assert_int_equal(recorder_close(r, NULL), 0);
		recorder_destroy(r);
	}
}

static struct verify_result verify(bool live)
{
	autofree char *line = NULL;
	struct log_pin pin;
	struct verify_options verify_options = {
		.storage = &storage_system, .dir = options.log_dir, .pin = &pin, .live = live};
	struct verify_result result;
	size_t length;

	assert_int_equal(
		io_read_file(options.key_dir, KEYS_PIN_FILE, 4096, &line, &length, NULL), 0);
	assert_int_equal(log_pin_parse(line, length, &pin, NULL), 0);
	assert_int_equal(verify_log(&verify_options, &result, NULL), 0);
	return result;
}

static bool put_link(const char *path)
{
	return symlink("/etc/passwd", path) == 0;
}

static bool put_link_to_itself(const char *path)
{
	return symlink(path, path) == 0;
}

static bool put_good_link(const char *path)
{
	return symlink("0000000001.seg", path) == 0;
}

static bool put_pipe(const char *path)
{
	return mkfifo(path, 0600) == 0;
}

static bool put_directory(const char *path)
{
	return mkdir(path, 0700) == 0;
}

static bool put_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

/* An endless file of zeros, where one may be made. */
static bool put_device(const char *path)
{
	return mknod(path, S_IFCHR | 0600, makedev(1, 5)) == 0;
}

static bool put_empty(const char *path)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd >= 0;
}

static bool put_huge(const char *path)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd >= 0 && ftruncate(fd, 1LL << 40) == 0;
}

static const struct {
	const char *name;
	bool (*put)(const char *path);
} things[] = {
	{"link", put_link},
	{"link to itself", put_link_to_itself},
	{"link to a segment", put_good_link},
	{"pipe", put_pipe},
	{"directory", put_directory},
	{"socket", put_socket},
	{"device", put_device},
	{"empty file", put_empty},
	{"huge file", put_huge},
};

static const char *segment_path(uint64_t number)
{
	char name[SEGMENT_NAME_BYTES];
	static char path[PATH_MAX];

	segment_name(number, name);
	snprintf(path, sizeof(path), "%s/log/%s", top, name);
	return path;
}

static void what_is_no_segment_fails_and_the_log_goes_on(void **state)
{
	unsigned tried = 0;

	(void)state;
	for (unsigned i = 0; i < array_size(things); i++)
		for (uint64_t place = 1; place <= 3; place++) {
			const char *path;
			char saved[PATH_MAX + 8];

			begin();
			record(3);
			assert_true(verify(false).pass);
			path = segment_path(place);
			snprintf(saved, sizeof(saved), "%s.saved", path);
			assert_int_equal(rename(path, saved), 0);
			if (!things[i].put(path)) {
				assert_true(things[i].put == put_device);
			} else {
				struct verify_result result = verify(true);

				assert_int_equal(result.reason, VERIFY_SEGMENT_HEADER);
				assert_true(result.segment == place);
				assert_false(verify(false).pass);
				/* It records on, behind it, and the fault stays. */
				record(5);
				assert_int_equal(verify(false).reason, VERIFY_SEGMENT_HEADER);
				assert_int_equal(remove(path), 0);
				/* With the right one in its place again, nothing is wrong. */
				assert_int_equal(rename(saved, path), 0);
				assert_true(verify(false).pass);
				tried++;
			}
			end();
			assert_int_equal(remove_tree(NULL), 0);
			assert_int_equal(make_tree(NULL), 0);
		}
	print_message("# %u things in the place of a segment noticed\n", tried);
}

static void foreign_names_do_not_matter(void **state)
{
	static const char *const names[] = {"0000000000.seg", "00000000004.seg", "4.seg",
		"lost+found", "0000000004.seg.gz", "0000000004.SEG", "0000000001.seg~",
		"-0000000001.seg", "\n"};

	(void)state;
	begin();
	record(2);
	for (unsigned i = 0; i < array_size(names); i++) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "log/%s", names[i]);
		make_file(path, "anything");
	}
	record(4);
	assert_true(verify(false).pass);
	/* A number behind the last one is a segment's: it can be missing what is between. */
	make_file("log/9999999999.seg", "anything");
	assert_int_equal(verify(false).reason, VERIFY_SEGMENT_MISSING);
	{
		struct recorder *r;
		struct error err;

		assert_int_equal(recorder_open(&options, &r, &err), -ESTALE);
	}
	end();
}

/* A tail of zeros that a file system may leave, a terabyte of it. */
static void a_huge_tail_is_read_no_further_than_its_first_bytes(void **state)
{
	struct stat st;

	(void)state;
	begin();
	record(1);
	assert_int_equal(stat(segment_path(1), &st), 0);
	assert_int_equal(truncate(segment_path(1), 1LL << 40), 0);
	assert_int_equal(verify(true).reason, VERIFY_FRAME);
	record(2);
	assert_true(verify(false).pass);
	end();
}

/* Names of files to be made that are there already: links to others, or open elsewhere. */
static void new_files_are_new(void **state)
{
	autofree char *kept = NULL;
	autoclose int open_one = -1;
	struct stat st;
	char byte;

	(void)state;
	begin();
	make_file("victim", "precious");
	make_file("keys/" KEYS_FILE ".new", "");
	open_one = open(in_top("keys/" KEYS_FILE ".new"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(chmod(in_top("keys/" KEYS_FILE ".new"), 0666), 0);
	assert_int_equal(link(in_top("victim"), in_top("keys/" KEYS_PIN_FILE ".new")), 0);
	assert_int_equal(link(in_top("victim"), in_top("log/0000000001.seg.new")), 0);
	assert_int_equal(symlink("../victim", in_top("log/0000000002.seg.new")), 0);
	assert_int_equal(mkfifo(in_top("log/0000000003.seg.new"), 0600), 0);
	record(4);
	assert_true(verify(false).pass);
	assert_int_equal(io_read_file(AT_FDCWD, in_top("victim"), 4096, &kept, NULL, NULL), 0);
	assert_string_equal(kept, "precious");
	/* Whoever had the old one open sees no key. */
	assert_true(open_one >= 0);
	assert_int_equal(read(open_one, &byte, 1), 0);
	assert_int_equal(stat(in_top("keys/" KEYS_FILE), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_tree(what_is_no_segment_fails_and_the_log_goes_on),
		in_tree(foreign_names_do_not_matter),
		in_tree(a_huge_tail_is_read_no_further_than_its_first_bytes),
		in_tree(new_files_are_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
