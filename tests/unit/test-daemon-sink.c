/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/io.h"
#include "daemon/sink.h"
#include "daemon/sinks-role.h"
#include "daemon/starter.h"

#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* Sinks against sockets, files and programs of this test's own. */

static char top[] = "/tmp/berm-sink-XXXXXX";

static int make_top(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	return mkdtemp(top) ? 0 : -1;
}

static const char *in_top(const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", top, name);
	return path;
}

static void destroy(struct sink **sink)
{
	sink_destroy(*sink);
}

#define autosink __attribute__((cleanup(destroy)))

static struct sink *make(
	enum sink_type type, enum sink_format format, const char *path, const char *const *command)
{
	const struct sink_target target = {type, format, path, command, 0};
	struct sink *sink = NULL;

	assert_int_equal(sink_create(&target, &sink, NULL), 0);
	return sink;
}

static int listener(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlink(path);
	assert_int_equal(bind(fd, (void *)&address, sizeof(address)), 0);
	return fd;
}

/* A refusal on a path that a tool made, as long as it is told. */
static void give(struct sink *sink, const char *target, size_t length, uint64_t now_ms)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Denial denial = BERM__WIRE__DENIAL__INIT;
	const struct export_place place = {.host = "host-1"};
	char operation[] = "read", run[] = "01J00000000000000000000001";

	denial.operation = operation;
	denial.has_target = true;
	denial.target = (ProtobufCBinaryData){length, (uint8_t *)(uintptr_t)target};
	record.has_sequence = record.has_timestamp = true;
	record.sequence = 7;
	record.timestamp = 1700000000123456789;
	record.run = run;
	record.body_case = BERM__WIRE__RECORD__BODY_DENIAL;
	record.denial = &denial;
	sink_give(sink, &record, &place, now_ms);
}

static const char hostile[] = "/etc/x\nPRIORITY=0\x1b[2J\xff";

/* Every line of the journal's native protocol is NAME=value with a name that journald takes. */
static void the_journal_gets_fields_and_nothing_of_a_tool_makes_one(void **state)
{
	char path[128], message[65536];
	autoclose int fd = listener(in_top("journal", path));
	autosink struct sink *sink = make(SINK_JOURNALD, SINK_JSONL, path, NULL);
	regex_t field;
	unsigned lines = 0, priorities = 0;
	ssize_t n;

	(void)state;
	give(sink, hostile, sizeof(hostile) - 1, 1);
	n = recv(fd, message, sizeof(message) - 1, 0);
	assert_true(n > 0);
	message[n] = '\0';
	assert_int_equal(message[n - 1], '\n');
	assert_int_equal(regcomp(&field, "^[A-Z][A-Z0-9_]{0,63}=", REG_EXTENDED | REG_NOSUB), 0);
	for (char *rest, *line = strtok_r(message, "\n", &rest); line;
		line = strtok_r(NULL, "\n", &rest)) {
		if (regexec(&field, line, 0, NULL, 0) != 0)
			fail_msg("no field: %s", line);
		priorities += strncmp(line, "PRIORITY=", 9) == 0;
		if (strncmp(line, "MESSAGE=", 8) == 0)
			assert_string_equal(line, "MESSAGE=denial of run 01J00000000000000000000001"
						  ": read /etc/x\\x0aPRIORITY=0\\x1b[2J\\xff");
		lines++;
	}
	regfree(&field);
	assert_int_equal(priorities, 1);
	assert_int_equal(lines, 9);
	assert_int_equal(sink_lost(sink), 0);
}

/* What a datagram does not hold comes as a descriptor of a sealed file. */
static void a_long_record_reaches_the_journal_as_a_sealed_file(void **state)
{
	char path[128], control[CMSG_SPACE(sizeof(int))];
	struct msghdr message = {.msg_control = control, .msg_controllen = sizeof(control)};
	autoclose int fd = listener(in_top("journal", path)), file = -1;
	autosink struct sink *sink = make(SINK_JOURNALD, SINK_JSONL, path, NULL);
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__RunStart start = BERM__WIRE__RUN_START__INIT;
	ProtobufCBinaryData words[200];
	static uint8_t word[2000];
	struct stat st;

	(void)state;
	memset(word, 'w', sizeof(word));
	for (size_t i = 0; i < array_size(words); i++)
		words[i] = (ProtobufCBinaryData){sizeof(word), word};
	start.argv = words;
	start.n_argv = array_size(words);
	record.body_case = BERM__WIRE__RECORD__BODY_RUN_START;
	record.run_start = &start;
	sink_give(sink, &record, &(struct export_place){0}, 1);
	assert_int_equal(recvmsg(fd, &message, MSG_CMSG_CLOEXEC), 0);
	assert_non_null(CMSG_FIRSTHDR(&message));
	memcpy(&file, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(file));
	assert_int_equal(
		fcntl(file, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	assert_int_equal(fstat(file, &st), 0);
	assert_true(st.st_size > 200 * 2000);
	assert_int_equal(sink_lost(sink), 0);
}

/* RFC 5424, section 6: PRI VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG. */
static void syslog_gets_a_line_of_its_grammar(void **state)
{
	char path[128], message[65536];
	autoclose int fd = listener(in_top("syslog", path));
	autosink struct sink *sink = make(SINK_SYSLOG, SINK_OCSF, path, NULL);
	regex_t grammar;
	ssize_t n;

	(void)state;
	give(sink, hostile, sizeof(hostile) - 1, 1);
	n = recv(fd, message, sizeof(message) - 1, 0);
	assert_true(n > 0);
	message[n] = '\0';
	assert_int_equal(
		regcomp(&grammar,
			"^<108>1 2023-11-14T22:13:20\\.123456Z host-1 berm [0-9]+ denial - "
			"\\{[^\n\x1b]*\\}$",
			REG_EXTENDED | REG_NOSUB),
		0);
	if (regexec(&grammar, message, 0, NULL, 0) != 0)
		fail_msg("%s", message);
	regfree(&grammar);
}

static void a_socket_that_is_not_there_yet_gets_all_of_it_later(void **state)
{
	char path[128], message[65536];
	autosink struct sink *sink = make(SINK_SYSLOG, SINK_CEF, in_top("later", path), NULL);
	autoclose int fd = -1;

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		give(sink, "/x", 2, 1);
	assert_true(sink_waiting(sink) > 0);
	fd = listener(path);
	sink_turn(sink, 2);
	assert_int_equal(sink_waiting(sink), 0);
	for (unsigned i = 0; i < 5; i++)
		assert_true(recv(fd, message, sizeof(message), 0) > 0);
	assert_int_equal(recv(fd, message, sizeof(message), 0), -1);
}

/* A place that takes nothing: what is beyond the bound is counted and told, in its place. */
static void what_a_sink_misses_is_counted_and_declared(void **state)
{
	char path[128], message[65536];
	autosink struct sink *sink = make(SINK_SYSLOG, SINK_JSONL, in_top("gone", path), NULL);
	autoclose int fd = -1;
	uint64_t given = 0, seen = 0, lost = 0, lost_told = 0;

	(void)state;
	unlink(path);
	while (sink_lost(sink) < 100 && given < 100000) {
		give(sink, "/x", 2, 1);
		given++;
	}
	assert_true(sink_waiting(sink) <= SINK_WAITING_MAX);
	lost = sink_lost(sink);
	assert_int_equal(lost, 100);
	fd = listener(path);
	for (unsigned i = 0; i < 100000 && (sink_waiting(sink) || i == 0); i++) {
		ssize_t n;

		sink_turn(sink, 2);
		while ((n = recv(fd, message, sizeof(message) - 1, 0)) > 0)
			seen++;
	}
	give(sink, "/last", 5, 3);
	for (ssize_t n; (n = recv(fd, message, sizeof(message) - 1, 0)) > 0;) {
		message[n] = '\0';
		if (strstr(message, " loss - ")) {
			assert_non_null(strstr(message, "\"count\":100"));
			assert_int_equal(seen + lost, given);
			lost_told++;
		} else {
			assert_int_equal(lost_told, 1);
			assert_non_null(strstr(message, "/last"));
		}
	}
	assert_int_equal(lost_told, 1);
	assert_int_equal(sink_lost(sink), 0);
}

static unsigned lines_of(const char *path)
{
	autofree char *text = NULL;
	unsigned count = 0;

	if (io_read_file(AT_FDCWD, path, 1 << 24, &text, NULL, NULL) < 0)
		return 0;
	for (const char *c = text; *c; c++)
		count += *c == '\n';
	return count;
}

static void a_file_is_added_to_and_begun_anew_when_it_was_renamed(void **state)
{
	char path[128], moved[128];
	autosink struct sink *sink = make(SINK_FILE, SINK_OCSF, in_top("file", path), NULL);
	struct stat st;

	(void)state;
	give(sink, "/x", 2, 1000);
	give(sink, "/y", 2, 1001);
	assert_int_equal(lines_of(path), 2);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777 & ~0640U, 0);
	assert_int_equal(rename(path, in_top("file.1", moved)), 0);
	give(sink, "/z", 2, 3000);
	assert_int_equal(lines_of(moved), 2);
	assert_int_equal(lines_of(path), 1);
}

static void a_link_is_not_followed(void **state)
{
	char path[128], other[128];
	autosink struct sink *sink = make(SINK_FILE, SINK_OCSF, in_top("link", path), NULL);

	(void)state;
	assert_int_equal(symlink(in_top("elsewhere", other), path), 0);
	give(sink, "/x", 2, 1);
	assert_int_equal(access(other, F_OK), -1);
	assert_true(sink_waiting(sink) > 0);
}

static unsigned wait_for_lines(const char *path, unsigned wanted)
{
	for (unsigned i = 0; i < 100 && lines_of(path) < wanted; i++)
		poll(NULL, 0, 50);
	return lines_of(path);
}

/* The program ends after two lines: the next one is started after a pause, and nothing is lost but
 * what was in the pipe of the one that ended. */
static void a_program_gets_lines_and_is_started_again(void **state)
{
	char out[128], script[1024];
	const char *const command[] = {"/bin/sh", "-c", script, NULL};
	autosink struct sink *sink = NULL;
	autoclose int starter = -1;
	uint64_t now = 1000;

	(void)state;
	in_top("program", out);
	snprintf(script, sizeof(script),
		"read a; echo \"$a\" >>%s; read b; echo \"$b\" >>%s; env | grep -v "
		"'^PATH=\\|^PWD=\\|^SHLVL=\\|^_=' >>%s.env; ls /proc/self/fd | wc -l >>%s.fds",
		out, out, out, out);
	sink = make(SINK_EXEC, SINK_OCSF, NULL, command);
	give(sink, "/0", 2, now - 1000);
	assert_true(sink_waiting(sink) > 0); /* nobody is there to start it */
	sink_destroy(sink);
	sink = make(SINK_EXEC, SINK_OCSF, NULL, command);
	assert_int_equal(starter_for_sinks(&sink, 1, &starter, NULL), 0);
	setenv("BERM_TEST_SECRET", "x", 1);
	give(sink, "/1", 2, now);
	give(sink, "/2", 2, now);
	assert_int_equal(wait_for_lines(out, 2), 2);
	poll(NULL, 0, 300); /* it has ended */
	give(sink, "/3", 2, now + 100);
	assert_true(sink_waiting(sink) > 0);
	sink_turn(sink, now + 5000);
	give(sink, "/4", 2, now + 5000);
	assert_int_equal(wait_for_lines(out, 4), 4);
	/* Neither environment nor descriptors came along: 0, 1, 2 and the directory that ls reads.
	 */
	snprintf(script, sizeof(script), "%s.env", out);
	assert_int_equal(lines_of(script), 0);
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? -1 : st.st_size;
}

/* Lines stay whole, the newest stand in the file itself, and no more than five files are there. */
static void a_file_is_begun_anew_before_it_is_too_large(void **state)
{
	char path[128], old[160];
	struct sink_target target = {
		SINK_FILE, SINK_JSONL, in_top("rotated.jsonl", path), NULL, 1 << 14};
	static char name[1500];
	autosink struct sink *sink = NULL;
	unsigned lines = 0;

	(void)state;
	assert_int_equal(sink_create(&target, &sink, NULL), 0);
	memset(name, 'n', sizeof(name));
	for (unsigned i = 0; i < 100; i++)
		give(sink, name, sizeof(name), 5);
	assert_int_equal(sink_waiting(sink), 0);
	assert_in_range(size_of(path), 1, 1 << 14);
	for (int i = 1; i <= SINK_FILES_OLD; i++) {
		unsigned count;

		snprintf(old, sizeof(old), "%s.%d", path, i);
		assert_in_range(size_of(old), (1 << 14) - 2000, 1 << 14);
		count = (unsigned)lines_of(old);
		assert_true(lines == 0 || count == lines);
		lines = count;
	}
	assert_true(lines > 1);
	snprintf(old, sizeof(old), "%s.%d", path, SINK_FILES_OLD + 1);
	assert_int_equal(size_of(old), -1);
	/* What is longer than that goes into a file of its own rather than nowhere. */
	target.max_bytes = 100;
	sink_destroy(sink);
	sink = NULL;
	assert_int_equal(sink_create(&target, &sink, NULL), 0);
	give(sink, name, sizeof(name), 5);
	assert_int_equal(lines_of(path), 1);
}

static void words_of_a_profile_are_bits(void **state)
{
	uint32_t all = 0;
	static const char *const good[] = {"journald ocsf", "journald ecs", "journald cef",
		"journald jsonl", "syslog ocsf", "syslog ecs", "syslog cef", "syslog jsonl"};
	static const char *const bad[] = {
		"file ocsf", "exec ocsf", "journald", "journald  ocsf", "", "syslog x"};

	(void)state;
	for (size_t i = 0; i < array_size(good); i++) {
		assert_int_equal(sinks_bit(good[i]), 1U << i);
		all |= sinks_bit(good[i]);
	}
	assert_int_equal(all, 0xff);
	for (size_t i = 0; i < array_size(bad); i++)
		assert_int_equal(sinks_bit(bad[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_journal_gets_fields_and_nothing_of_a_tool_makes_one),
		cmocka_unit_test(a_long_record_reaches_the_journal_as_a_sealed_file),
		cmocka_unit_test(syslog_gets_a_line_of_its_grammar),
		cmocka_unit_test(a_socket_that_is_not_there_yet_gets_all_of_it_later),
		cmocka_unit_test(what_a_sink_misses_is_counted_and_declared),
		cmocka_unit_test(a_file_is_added_to_and_begun_anew_when_it_was_renamed),
		cmocka_unit_test(a_link_is_not_followed),
		cmocka_unit_test(a_program_gets_lines_and_is_started_again),
		cmocka_unit_test(a_file_is_begun_anew_before_it_is_too_large),
		cmocka_unit_test(words_of_a_profile_are_bits),
	};

	return cmocka_run_group_tests(tests, make_top, NULL);
}
