/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/io.h"
#include "bpf-interpreter.h"
#include "constants.h"
#include "fixture.h"
#include "policy/calls.h"
#include "wire/effects.h"
#include "wire/verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>

/* Runs the files named on the command line; each is one test. A file first puts a profile together,
 * one "set KEY VALUE" a line (see fixture_add()), then has one row a line:
 *
 *     CALL ARGUMENT… -> ACTION [RULE]
 *
 * CALL: a name or a number, after "i386:" or "arm:" as that machine's own call, after "x32:" with
 * the x32 bit set. ARGUMENT: numbers and names of tests/syscalls/constants.c joined by "|"; what is
 * left out is 0. ACTION: allow, notify, kill, errno:NAME, or for a notification that the meter
 * decides about gate:COUNTERS:POSTURE, with the counters joined by "+" and a "2" before those that
 * get two ("gate:2files_changed+files_deleted:no-write", "gate::no-network"). RULE: the rule's
 * index; left out it is not compared. Every row is decided by the compiled program on our own
 * interpreter and by the table that the supervisor uses. */

#define FILE_BYTES_MAX (256 * 1024)
#define LINE_WORDS_MAX 16

struct row {
	uint32_t arch;
	uint32_t number;
	uint64_t arguments[6];
	const char *action;
	const char *rule; /* or NULL */
};

static bool parse_number(const char *word, uint64_t *ret_value)
{
	char *end;

	errno = 0;
	*ret_value = strtoull(word, &end, 0);
	return !errno && end != word && !*end;
}

static bool parse_argument(char *word, uint64_t *ret_value)
{
	char *rest = NULL;

	*ret_value = 0;
	for (char *part = strtok_r(word, "|", &rest); part; part = strtok_r(NULL, "|", &rest)) {
		uint64_t value;

		if (!parse_number(part, &value) && !constants_find(part, &value))
			return false;
		*ret_value |= value;
	}
	return true;
}

static bool parse_call(const char *word, uint32_t native, struct row *row)
{
	static const struct {
		const char *prefix;
		uint32_t arch, machine, bits;
	} entries[] = {
		{"i386:", AUDIT_ARCH_I386, SCMP_ARCH_X86, 0},
		{"arm:", AUDIT_ARCH_ARM, SCMP_ARCH_ARM, 0},
		{"x32:", AUDIT_ARCH_X86_64, SCMP_ARCH_X86_64, VERDICT_X32_BIT},
		{"", 0, 0, 0},
	};
	uint64_t number;
	uint32_t machine = native;
	size_t e = 0;

	while (strncmp(word, entries[e].prefix, strlen(entries[e].prefix)) != 0)
		e++;
	word += strlen(entries[e].prefix);
	row->arch = entries[e].arch ? entries[e].arch : native;
	machine = entries[e].machine ? entries[e].machine : native;
	if (!parse_number(word, &number)) {
		const struct calls_entry *own = calls_find(word);
		int known = seccomp_syscall_resolve_name_arch(machine, word);

		/* libseccomp first: the table under test must not vouch for itself. */
		if (known < 0 && own)
			known = machine == AUDIT_ARCH_AARCH64 ? own->aarch64 : own->x86_64;
		if (known < 0)
			return false;
		number = (uint64_t)known;
	}
	row->number = (uint32_t)number | entries[e].bits;
	return number <= UINT32_MAX;
}

static bool parse_row(char **words, size_t count, uint32_t native, struct row *row)
{
	size_t arrow = 0;

	memset(row, 0, sizeof(*row));
	while (arrow < count && strcmp(words[arrow], "->") != 0)
		arrow++;
	if (!arrow || arrow > 7 || arrow + 1 >= count || arrow + 3 < count)
		return false;
	for (size_t i = 1; i < arrow; i++) {
		if (!parse_argument(words[i], &row->arguments[i - 1]))
			return false;
	}
	row->action = words[arrow + 1];
	row->rule = arrow + 2 < count ? words[arrow + 2] : NULL;
	return parse_call(words[0], native, row);
}

static void describe(uint32_t returned, char *text, size_t capacity)
{
	uint32_t data = returned & SECCOMP_RET_DATA;

	snprintf(text, capacity, "0x%08x", returned);
	if (returned == SECCOMP_RET_ALLOW)
		snprintf(text, capacity, "allow");
	if (returned == SECCOMP_RET_USER_NOTIF)
		snprintf(text, capacity, "notify");
	if (returned == SECCOMP_RET_KILL_PROCESS)
		snprintf(text, capacity, "kill");
	if ((returned & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO && data)
		snprintf(text, capacity, "errno:%s", strerrorname_np((int)data));
}

static void describe_gate(const struct syscall_verdict *verdict, char *text, size_t capacity)
{
	size_t used = (size_t)snprintf(text, capacity, "gate:");
	const char *between = "";

	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		if (!(verdict->charge & CHARGE_ONE(i)))
			continue;
		used += (size_t)snprintf(text + used, capacity - used, "%s%s%s", between,
			verdict->charge & CHARGE_MORE(i) ? "2" : "", effect_counter_name(i));
		between = "+";
	}
	snprintf(text + used, capacity - used, ":%s", posture_name(verdict->needs));
}

static void describe_verdict(
	const struct syscall_verdict *verdict, bool listener, char *text, size_t capacity)
{
	static const char *const names[] = {
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW] = "allow",
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_DENY] = "notify",
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_ERRNO] = "errno",
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_KILL] = "kill",
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_TRACE] = "notify",
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE] = "gate",
	};
	bool fails = verdict->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_ERRNO ||
		     (verdict->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_DENY && !listener);

	snprintf(text, capacity, "%s", names[verdict->action]);
	if (verdict->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE)
		describe_gate(verdict, text, capacity);
	if (fails)
		snprintf(text, capacity, "errno:%s", strerrorname_np((int)verdict->errno_value));
}

static void run_row(const struct fixture *f, const struct row *row, const char *file, unsigned line)
{
	struct seccomp_data data = {.nr = (int)row->number, .arch = row->arch};
	struct syscall_verdict verdict;
	char got[32], table[96];
	const char *answer = strncmp(row->action, "gate:", 5) ? row->action : "notify";
	size_t count;
	const struct sock_filter *program = fixture_program(f, &count);

	memcpy(data.args, row->arguments, sizeof(data.args));
	describe(bpf_run(program, count, &data, NULL), got, sizeof(got));
	syscall_verdict(f->seccomp, row->arch, row->number, row->arguments, &verdict);
	describe_verdict(&verdict, f->seccomp->listener, table, sizeof(table));
	if (strcmp(got, answer) != 0)
		fail_msg("%s:%u: the program says %s, not %s", file, line, got, answer);
	if (strcmp(table, row->action) != 0)
		fail_msg("%s:%u: the table says %s, not %s", file, line, table, row->action);
	if (row->rule && verdict.rule != (uint32_t)atoi(row->rule))
		fail_msg("%s:%u: rule %u, not %s", file, line, verdict.rule, row->rule);
}

static void compile(struct fixture *f, const char *file)
{
	struct error err = {0};
	size_t count;
	const struct sock_filter *program;
	const char *why;

	if (fixture_compile(f, &err) < 0)
		fail_msg("%s: %s", file, err.text);
	program = fixture_program(f, &count);
	why = bpf_check(program, count);
	if (why)
		fail_msg("%s: the program has %s", file, why);
}

static void run_line(struct fixture *f, char *text, const char *file, unsigned line)
{
	char *words[LINE_WORDS_MAX], *rest = NULL;
	size_t count = 0;
	struct row row;

	text[strcspn(text, "#")] = '\0';
	for (char *word = strtok_r(text, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
		if (count == LINE_WORDS_MAX)
			fail_msg("%s:%u: too many words", file, line);
		words[count++] = word;
	}
	if (!count)
		return;
	if (!strcmp(words[0], "set")) {
		if (count != 3 || f->seccomp || !fixture_add(f, words[1], words[2], line))
			fail_msg("%s:%u: not a setting", file, line);
		return;
	}
	if (!f->seccomp)
		compile(f, file);
	if (!parse_row(words, count, f->facts.audit_arch, &row))
		fail_msg("%s:%u: not a row", file, line);
	run_row(f, &row, file, line);
}

static void every_row_is_decided_as_written(void **state)
{
	const char *file = *state;
	autofree char *text = NULL;
	struct fixture f;
	struct error err = {0};
	unsigned line = 0;
	char *next;

	if (io_read_file(AT_FDCWD, file, FILE_BYTES_MAX, &text, NULL, &err) < 0)
		fail_msg("%s", err.text);
	fixture_init(&f);
	next = text;
	for (char *start = strsep(&next, "\n"); start; start = strsep(&next, "\n"))
		run_line(&f, start, file, ++line);
	assert_non_null(f.seccomp);
	fixture_finish(&f);
}

int main(int argc, char **argv)
{
	autofree struct CMUnitTest *tests = calloc((size_t)argc, sizeof(*tests));

	for (int i = 1; tests && i < argc; i++) {
		const char *slash = strrchr(argv[i], '/');

		tests[i - 1] = (struct CMUnitTest){.name = slash ? slash + 1 : argv[i],
			.test_func = every_row_is_decided_as_written,
			.initial_state = argv[i]};
	}
	return argc > 1 && tests ? _cmocka_run_group_tests(
					   "syscalls-rows", tests, (size_t)argc - 1, NULL, NULL)
				 : 99;
}
