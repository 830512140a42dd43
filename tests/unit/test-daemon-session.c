/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/text.h"
#include "daemon/denials.h"
#include "daemon/places.h"
#include "daemon/run-id.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static const struct denial_rule one = {
	.key = "fs.deny", .value = "/s", .file = "p.yaml", .line = 3};
static const struct denial_rule other = {
	.key = "fs.deny", .value = "/s", .file = "p.yaml", .line = 4};

static void equal_denials_are_one_row_with_a_count(void **state)
{
	struct denials denials = {0};

	(void)state;
	denials_add(&denials, "read", "/s/a", &one);
	denials_add(&denials, "read", "/s/a", &one);
	denials_add(&denials, "write", "/s/a", &one);
	denials_add(&denials, "read", "/s/b", &one);
	denials_add(&denials, "read", "/s/a", &other);
	denials_add(&denials, "read", "/s/a", &one);
	assert_int_equal(denials.count, 4);
	assert_int_equal(denials.items[0].count, 3);
	assert_string_equal(denials.items[0].target, "/s/a");
	assert_string_equal(denials.items[1].operation, "write");
	assert_int_equal(denials.items[3].rule.line, 4);
	assert_int_equal(denials.total, 6);
	assert_int_equal(denials.not_kept, 0);
	denials_finish(&denials);
}

/* A tool that tries a new name each time must not make berm grow, and nothing goes uncounted. */
static void a_flood_of_names_is_bounded_and_counted(void **state)
{
	struct denials denials = {0};
	char name[32];

	(void)state;
	for (int i = 0; i < DENIALS_MAX + 100; i++) {
		snprintf(name, sizeof(name), "/s/%d", i);
		denials_add(&denials, "read", name, &one);
	}
	denials_add(&denials, "read", "/s/0", &one);
	assert_int_equal(denials.count, DENIALS_MAX);
	assert_int_equal(denials.not_kept, 100);
	assert_int_equal(denials.total, DENIALS_MAX + 101);
	assert_int_equal(denials.items[0].count, 2);
	denials_finish(&denials);
}

static void long_targets_are_cut_before_they_are_compared(void **state)
{
	struct denials denials = {0};
	char name[DENIAL_TARGET_MAX + 16];

	(void)state;
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	denials_add(&denials, "read", name, &one);
	name[sizeof(name) - 2] = 'y';
	denials_add(&denials, "read", name, &one);
	assert_int_equal(denials.count, 1);
	assert_int_equal(strlen(denials.items[0].target), DENIAL_TARGET_MAX);
	denials_finish(&denials);
}

static void run_ids_are_time_and_chance_in_base_32(void **state)
{
	static const unsigned char zero[10],
		full[10] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
		mixed[10] = {0x08, 0x42, 0x10, 0x84, 0x21, 0x08, 0x42, 0x10, 0x84, 0x21};
	char id[RUN_ID_LENGTH + 1], later[RUN_ID_LENGTH + 1];

	(void)state;
	run_id_format(0, zero, id);
	assert_string_equal(id, "00000000000000000000000000");
	run_id_format((1ULL << 48) - 1, full, id);
	assert_string_equal(id, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
	run_id_format(1469918176385ULL, mixed, id);
	assert_string_equal(id, "01ARYZ6S411111111111111111");
	run_id_format(1469918176386ULL, zero, later);
	assert_true(strcmp(id, later) < 0);
	assert_int_equal(run_id_make(id, NULL), 0);
	assert_int_equal(run_id_make(later, NULL), 0);
	assert_int_equal(strlen(id), RUN_ID_LENGTH);
	assert_string_not_equal(id, later);
}

static void a_directory_is_known_by_its_real_path(void **state)
{
	char top[] = "/tmp/berm-places-XXXXXX", path[PATH_MAX];
	autofree char *real = NULL;
	struct error err = {0};

	(void)state;
	assert_non_null(mkdtemp(top));
	snprintf(path, sizeof(path), "%s/link", top);
	assert_int_equal(symlink(".", path), 0);
	assert_int_equal(places_directory(path, &real, &err), 0);
	assert_string_equal(real, top);
	unlink(path);
	rmdir(top);
}

/* A run that may write beside an agent's directory moves that away and puts a link in its place, so
 * that the agent's next run would write elsewhere (the shape of CVE-2024-42472). */
static void a_kept_directory_is_never_found_through_a_link(void **state)
{
	char top[] = "/tmp/berm-places-XXXXXX", at[64], inside[64], on_the_way[64];
	char moved[64], dotted[64];
	autofree char *real = NULL, *none = NULL;
	struct error err = {0};

	(void)state;
	assert_non_null(mkdtemp(top));
	snprintf(on_the_way, sizeof(on_the_way), "%s/src", top);
	snprintf(at, sizeof(at), "%s/src/project", top);
	snprintf(moved, sizeof(moved), "%s/moved", top);
	snprintf(inside, sizeof(inside), "%s/moved/project", top);
	snprintf(dotted, sizeof(dotted), "%s/src/./project", top);
	assert_int_equal(mkdir(on_the_way, 0755), 0);
	assert_int_equal(mkdir(at, 0755), 0);
	assert_int_equal(places_directory_kept(at, &real, &err), 0);
	assert_string_equal(real, at);
	/* No link, and not what was kept either. */
	assert_int_equal(places_directory_kept(dotted, &none, &err), -EPERM);
	assert_int_equal(err.kind, ERROR_REFUSED);
	/* In its place. */
	assert_int_equal(rename(at, moved), 0);
	assert_int_equal(symlink(moved, at), 0);
	assert_int_equal(places_directory_kept(at, &none, &err), -ELOOP);
	assert_int_equal(err.kind, ERROR_REFUSED);
	assert_non_null(strstr(err.text, at));
	/* On the way. */
	assert_int_equal(unlink(at), 0);
	assert_int_equal(rename(moved, at), 0);
	assert_int_equal(rename(on_the_way, moved), 0);
	assert_int_equal(symlink(moved, on_the_way), 0);
	assert_int_equal(places_directory_kept(at, &none, &err), -ELOOP);
	assert_int_equal(err.kind, ERROR_REFUSED);
	assert_null(none);
	assert_int_equal(unlink(on_the_way), 0);
	assert_int_equal(places_directory_kept(at, &none, &err), -ENOENT);
	assert_int_equal(err.kind, ERROR_INPUT);
	assert_int_equal(rmdir(inside) + rmdir(moved) + rmdir(top), 0);
}

/* CVE-2024-21626: a leaked descriptor named as the working directory leads out of the root. */
static void descriptors_and_other_processes_are_no_directories(void **state)
{
	autoclose int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char by_descriptor[64];
	const char *rows[] = {
		by_descriptor, "/proc/self/cwd", "/proc/1/root", "/proc/thread-self/root/usr"};

	(void)state;
	snprintf(by_descriptor, sizeof(by_descriptor), "/proc/self/fd/%d", fd);
	for (size_t i = 0; i < array_size(rows); i++) {
		autofree char *real = NULL;
		struct error err = {0};

		assert_true(places_directory(rows[i], &real, &err) < 0);
		assert_null(real);
		assert_int_equal(err.kind, ERROR_INPUT);
	}
}

static void what_is_no_directory_is_refused(void **state)
{
	static const char *const rows[] = {"/nonexistent", "/etc/passwd", ""};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autofree char *real = NULL;
		struct error err = {0};

		assert_true(places_directory(rows[i], &real, &err) < 0);
		assert_int_equal(err.kind, ERROR_INPUT);
	}
}

static struct places found(const struct caller *caller, const char *profile)
{
	const struct places_request request = {.profile = profile};
	struct places places;
	struct error err = {0};

	if (places_find(caller, &request, &places, &err) < 0)
		fail_msg("%s", err.text);
	return places;
}

static void profiles_are_looked_for_where_the_caller_and_the_operator_put_them(void **state)
{
	struct caller caller = {.uid = getuid(), .home = "/passwd-home"};
	struct places places;

	(void)state;
	setenv("HOME", "/env-home", 1);
	setenv("XDG_CONFIG_HOME", "/xdg", 1);
	places = found(&caller, "name");
	assert_string_equal(places.home, "/env-home");
	assert_string_equal(places.search[0], "/xdg/berm/profiles");
	assert_string_equal(places.search[1], "/etc/berm/profiles");
	assert_string_equal(places.search[2], "/usr/share/berm/profiles");
	assert_null(places.search[3]);
	places_finish(&places);
	setenv("XDG_CONFIG_HOME", "relative", 1);
	places = found(&caller, "name");
	assert_string_equal(places.search[0], "/env-home/.config/berm/profiles");
	places_finish(&places);
	unsetenv("HOME");
	unsetenv("XDG_CONFIG_HOME");
	places = found(&caller, "name");
	assert_string_equal(places.home, "/passwd-home");
	places_finish(&places);
	caller.home[0] = '\0';
	places = found(&caller, "name");
	assert_string_equal(places.home, "");
	assert_string_equal(places.search[0], "/etc/berm/profiles");
	places_finish(&places);
}

static void profiles_beside_a_named_file_come_first(void **state)
{
	static const struct {
		const char *profile, *first;
	} rows[] = {{"/a/b/x.yaml", "/a/b"}, {"p/x", "p"}, {"./x.yaml", "."}, {"x.yaml", "."},
		{"/x.yaml", "/"}, {"name", "/etc/berm/profiles"}, {".yaml", "/etc/berm/profiles"}};
	struct caller caller = {.uid = getuid() + 1};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct places places = found(&caller, rows[i].profile);

		assert_string_equal(places.search[0], rows[i].first);
		places_finish(&places);
	}
}

/* Under sudo the environment is root's, the person is not. */
static void somebody_elses_environment_is_not_the_callers(void **state)
{
	struct caller caller = {.uid = getuid() + 1, .home = "/passwd-home"};
	struct places places;

	(void)state;
	setenv("HOME", "/env-home", 1);
	setenv("XDG_CONFIG_HOME", "/xdg", 1);
	places = found(&caller, "name");
	assert_string_equal(places.home, "/passwd-home");
	assert_string_equal(places.search[0], "/passwd-home/.config/berm/profiles");
	places_finish(&places);
	unsetenv("XDG_CONFIG_HOME");
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(equal_denials_are_one_row_with_a_count),
		cmocka_unit_test(a_flood_of_names_is_bounded_and_counted),
		cmocka_unit_test(long_targets_are_cut_before_they_are_compared),
		cmocka_unit_test(run_ids_are_time_and_chance_in_base_32),
		cmocka_unit_test(a_directory_is_known_by_its_real_path),
		cmocka_unit_test(a_kept_directory_is_never_found_through_a_link),
		cmocka_unit_test(descriptors_and_other_processes_are_no_directories),
		cmocka_unit_test(what_is_no_directory_is_refused),
		cmocka_unit_test(
			profiles_are_looked_for_where_the_caller_and_the_operator_put_them),
		cmocka_unit_test(profiles_beside_a_named_file_come_first),
		cmocka_unit_test(somebody_elses_environment_is_not_the_callers),
	};

	return cmocka_run_group_tests_name("daemon-session", list, NULL, NULL);
}
