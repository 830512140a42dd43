/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "tree.h"

#include "apply/content.h"
#include "apply/facts.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

/* Of nothing, and of "abc": b2sum -l 256. */
#define OF_NOTHING "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"
#define OF_ABC "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"

static const char *hex(const uint8_t *digest)
{
	static char text[CONTENT_DIGEST_BYTES * 2 + 1];

	return sodium_bin2hex(text, sizeof(text), digest, CONTENT_DIGEST_BYTES);
}

static int take(const char *name, int to, uint64_t most, uint8_t *digest, uint64_t *bytes)
{
	autoclose int fd = open(in_top(name), O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	assert_true(fd >= 0);
	return content_take(fd, to, most, digest, bytes);
}

static void the_digest_is_the_one_of_everybody(void **state)
{
	uint8_t digest[CONTENT_DIGEST_BYTES];
	uint64_t bytes = 9;

	(void)state;
	make_file("nothing", "");
	make_file("abc", "abc");
	assert_int_equal(take("nothing", -1, 0, digest, &bytes), 0);
	assert_int_equal(bytes, 0);
	assert_string_equal(hex(digest), OF_NOTHING);
	assert_int_equal(take("abc", -1, 3, digest, &bytes), 0);
	assert_int_equal(bytes, 3);
	assert_string_equal(hex(digest), OF_ABC);
}

static void the_copy_is_what_was_hashed_from_the_beginning(void **state)
{
	static char all[300001], back[sizeof(all) + 1];
	uint8_t digest[CONTENT_DIGEST_BYTES], wanted[CONTENT_DIGEST_BYTES];
	autoclose int from = -1, to = -1;
	uint64_t bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)(i * 31 + i / 251);
	from = open(in_top("many"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	to = open(in_top("copy"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(from, all, sizeof(all)), sizeof(all));
	/* Where the descriptor stands does not matter. */
	assert_int_equal(lseek(from, 77, SEEK_SET), 77);
	assert_int_equal(content_take(from, to, sizeof(all), digest, &bytes), 0);
	assert_int_equal(bytes, sizeof(all));
	assert_int_equal(pread(to, back, sizeof(back), 0), sizeof(all));
	assert_memory_equal(all, back, sizeof(all));
	crypto_generichash(
		wanted, sizeof(wanted), (const unsigned char *)all, sizeof(all), NULL, 0);
	assert_memory_equal(digest, wanted, sizeof(wanted));
}

static void what_is_too_large_or_no_file_is_an_error(void **state)
{
	uint8_t digest[CONTENT_DIGEST_BYTES];
	uint64_t bytes;

	(void)state;
	make_file("four", "abcd");
	assert_int_equal(take("four", -1, 3, digest, &bytes), -EFBIG);
	assert_int_equal(take("four", -1, 4, digest, &bytes), 0);
	make_directory("directory");
	assert_int_equal(take("directory", -1, 100, digest, &bytes), -EINVAL);
	assert_int_equal(mkfifo(in_top("fifo"), 0600), 0);
	assert_int_equal(take("fifo", -1, 100, digest, &bytes), -EINVAL);
	/* Files of /proc say that they are empty: the bound holds for what they give as well. */
	{
		autoclose int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

		assert_true(fd >= 0);
		assert_int_equal(content_take(fd, -1, 10, digest, &bytes), -EFBIG);
	}
}

static void facts_hold_digests_of_the_programs_that_were_asked_for(void **state)
{
	const char *paths[4], *programs[4];
	const struct facts_request request = {.paths = paths, .programs = programs};
	Berm__Wire__HostFacts *facts = NULL;
	struct error err = {0};
	char link[4096], file[4096], directory[4096];

	(void)state;
	make_file("program", "abc");
	make_directory("place");
	assert_int_equal(symlink("program", in_top("link")), 0);
	snprintf(file, sizeof(file), "%s", in_top("program"));
	snprintf(link, sizeof(link), "%s", in_top("link"));
	snprintf(directory, sizeof(directory), "%s", in_top("place"));
	memcpy(paths, (const char *[]){file, link, directory, NULL}, sizeof(paths));
	memcpy(programs, (const char *[]){link, directory, "/not/asked", NULL}, sizeof(programs));
	assert_int_equal(facts_gather(&request, &facts, &err), 0);
	assert_int_equal(facts->paths[0]->content.len, 0);
	assert_int_equal(facts->paths[1]->content.len, CONTENT_DIGEST_BYTES);
	assert_string_equal(hex(facts->paths[1]->content.data), OF_ABC);
	assert_int_equal(facts->paths[1]->size_bytes, 3);
	assert_int_equal(facts->paths[2]->content.len, 0);
	assert_int_equal(facts->paths[2]->content_error, 0);
	berm__wire__host_facts__free_unpacked(facts, NULL);
}

static void a_program_that_is_too_large_says_so(void **state)
{
	const char *paths[2] = {NULL};
	const struct facts_request request = {.paths = paths, .programs = paths};
	Berm__Wire__HostFacts *facts = NULL;
	struct error err = {0};

	(void)state;
	make_file("large", "");
	assert_int_equal(truncate(in_top("large"), CONTENT_MAX_BYTES + 1), 0);
	paths[0] = in_top("large");
	assert_int_equal(facts_gather(&request, &facts, &err), 0);
	assert_int_equal(facts->paths[0]->content.len, 0);
	assert_int_equal(facts->paths[0]->content_error, EFBIG);
	berm__wire__host_facts__free_unpacked(facts, NULL);
}

#define in_tree(test) cmocka_unit_test_setup_teardown(test, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest list[] = {
		in_tree(the_digest_is_the_one_of_everybody),
		in_tree(the_copy_is_what_was_hashed_from_the_beginning),
		in_tree(what_is_too_large_or_no_file_is_an_error),
		in_tree(facts_hold_digests_of_the_programs_that_were_asked_for),
		in_tree(a_program_that_is_too_large_says_so),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
