/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "policy/diff-internal.h"

#include "loading.h"
#include "policy/keys.h"

#define HEAD "version: 1\nname: p\n"

/* Two profiles and what the comparison says: a line a change, its direction, key and values. */
struct row {
	const char *was, *now, *lines;
};

static void put_line(const struct diff_line *line, struct text *out)
{
	text_printf(out, "%s %s", diff_direction_name(line->direction), line->key);
	if (line->was)
		text_printf(out, " -%s", line->was);
	if (line->now)
		text_printf(out, " +%s", line->now);
	text_puts(out, "\n");
}

static struct profile *load(struct loading *l, const char *text)
{
	autotext struct text whole = {0};

	text_printf(&whole, HEAD "%s", text);
	if (loading_text(l, text_string(&whole)) < 0)
		fail_msg("%s\n%s", l->err.text, text_string(&l->out));
	return take_ptr(&l->profile);
}

static void check_row(struct loading *l, const struct row *row)
{
	autoprofile struct profile *was = load(l, row->was), *now = load(l, row->now);
	autodiff struct diff *diff = NULL;
	autotext struct text lines = {0};
	struct error err = {0};

	assert_int_equal(profile_diff(was, now, &diff, &err), 0);
	for (size_t i = 0; i < diff->count; i++)
		put_line(&diff->lines[i], &lines);
	if (strcmp(text_string(&lines), row->lines) != 0)
		fail_msg("%s\n--- now\n%s\n--- should be\n%s--- is\n%s", row->was, row->now,
			row->lines, text_string(&lines));
}

static void check_rows(const struct row *rows, size_t count)
{
	autoloading struct loading l;

	loading_init(&l);
	for (size_t i = 0; i < count; i++)
		check_row(&l, &rows[i]);
}

static void paths_are_compared_by_what_they_reach(void **state)
{
	static const struct row rows[] = {
		{"fs: {read: [/usr]}", "fs: {read: [/usr]}", ""},
		{"fs: {read: [/usr, /lib]}", "fs: {read: [/lib, /usr, /usr]}", ""},
		{"fs: {read: [/usr]}", "fs: {read: [/usr, /usr/bin]}", "SAME fs.read +/usr/bin\n"},
		{"fs: {read: [/usr]}", "fs: {read: [/usr, /lib]}", "WIDER fs.read +/lib\n"},
		{"fs: {read: [/usr]}", "fs: {read: [/usr/bin]}",
			"NARROWER fs.read -/usr\nSAME fs.read +/usr/bin\n"},
		{"fs: {read: [/a]}", "fs: {write: [/a]}",
			"WIDER fs.write +/a\nNARROWER fs.read -/a\n"},
		{"fs: {read: [/a], deny: [/a/b]}", "fs: {read: [/a]}", "WIDER fs.deny -/a/b\n"},
		{"fs: {read: [/a]}", "fs: {read: [/a], deny: [/a/b]}", "NARROWER fs.deny +/a/b\n"},
		/* Nothing is granted there, so nothing is taken away. */
		{"fs: {read: [/a], deny: [/b]}", "fs: {read: [/a]}", "SAME fs.deny -/b\n"},
		{"fs: {read: [/a], deny: [\"/b/*\"]}", "fs: {read: [/a]}", "SAME fs.deny -/b/*\n"},
		{"fs: {write: [/a], protect: [/a/b]}", "fs: {write: [/a], deny: [/a/b]}",
			"NARROWER fs.deny +/a/b\nSAME fs.protect -/a/b\n"},
		{"fs: {write: [/a], deny: [/a/b]}", "fs: {write: [/a], protect: [/a/b]}",
			"WIDER fs.deny -/a/b\nSAME fs.protect +/a/b\n"},
		{"fs: {read: [/a]}", "fs: {ask: [{path: /a, access: read}]}",
			"NARROWER fs.ask +read /a\nNARROWER fs.read -/a\n"},
		{"fs: {}", "fs: {ask: [{path: /a, access: read}]}", "WIDER fs.ask +read /a\n"},
		{"fs: {read: [/a, /b]}", "fs: {read: [/a, {path: /b, optional: true}]}",
			"WIDER fs.read -/b +/b (optional)\n"},
		{"fs: {read: [/a], canaries: [/a/b]}", "fs: {read: [/a], deny: [/a/b]}",
			"WIDER fs.canaries -/a/b\nSAME fs.deny +/a/b\n"},
		{"fs: {read: [/a], deny: [/a/b]}", "fs: {read: [/a], canaries: [/a/b]}",
			"NARROWER fs.canaries +/a/b\nSAME fs.deny -/a/b\n"},
		{"fs: {read: [\"${WORKDIR}\"]}", "fs: {read: [/srv/repo]}", ""},
	};

	(void)state;
	check_rows(rows, array_size(rows));
}

static void less_in_one_list_may_be_more_elsewhere(void **state)
{
	static const struct row rows[] = {
		/* Programs do not run from where a run can write. */
		{"fs: {read: [/a], write: [/a/b]}", "fs: {read: [/a]}",
			"WIDER fs.write -/a/b\nNARROWER fs.write -/a/b\n"},
		/* What of /tmp is granted for reading hides the run's own. */
		{"fs: {read: [/tmp/a]}", "fs: {}", "WIDER fs.read -/tmp/a\n"},
		{"fs: {tmp: {private: true}}", "fs: {tmp: {private: false}}",
			"NARROWER fs.tmp.private -true +false\n"},
		{"fs: {read: [/tmp], tmp: {private: true}}",
			"fs: {read: [/tmp], tmp: {private: false}}",
			"WIDER exec\nNARROWER fs.tmp.private -true +false\n"},
	};

	(void)state;
	check_rows(rows, array_size(rows));
}

static void globs_are_the_same_only_where_that_is_certain(void **state)
{
	static const struct {
		const char *wide, *narrow;
		bool covers;
	} rows[] = {
		{"/a", "/a", true},
		{"/a", "/a/b", true},
		{"/a/b", "/a", false},
		{"/a/*", "/a/b", true},
		{"/a/*", "/a/b/c", true},
		{"/a/*", "/a", false},
		{"/a/*", "/a/**", false},
		{"/a/**", "/a/*", true},
		{"/a/**", "/a", true},
		{"/**/.env*", "/a/**/.env", true},
		{"/**/.env", "/a/**/.env*", false},
		{"/a/b*", "/a/bc?", true},
		{"/a/b?", "/a/b*", false},
		{"/a/?", "/a/[bc]", false},
		{"/a/*", "/a/[bc]", true},
		{"/a/[bc]", "/a/[bc]", true},
		{"/*/b", "/**/b", false},
		{"/**/b", "/**/b/c", true},
		{"/**/b/c", "/**/b", false},
		{"/a*b*c", "/aXbYc", true},
		{"/a*b*c", "/a*c", false},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++)
		if (glob_covers(rows[i].wide, rows[i].narrow) != rows[i].covers)
			fail_msg("%s %s %s", rows[i].wide,
				rows[i].covers ? "should cover" : "should not cover",
				rows[i].narrow);
}

static void networks_are_compared_by_what_they_reach(void **state)
{
	static const struct row rows[] = {
		{"network: {allow: [{host: x.example.com, ports: [80, 443]}]}",
			"network: {allow: [{host: x.example.com, ports: [443]}, "
			"{host: x.example.com, ports: [80]}]}",
			"SAME network.allow -x.example.com:80,443\n"
			"SAME network.allow +x.example.com:443\nSAME network.allow "
			"+x.example.com:80\n"},
		{"network: {allow: [{host: \"*.example.com\"}]}",
			"network: {allow: [{host: \"**.example.com\"}]}",
			"WIDER network.allow +**.example.com\nSAME network.allow -*.example.com\n"},
		{"network: {allow: [{host: \"*.example.com\"}]}",
			"network: {allow: [{host: \"*.example.com\"}, {host: a.example.com}]}",
			"SAME network.allow +a.example.com\n"},
		{"network: {allow: [{host: \"*.example.com\"}]}",
			"network: {allow: [{host: \"*.example.com\"}, {host: example.com}]}",
			"WIDER network.allow +example.com\n"},
		{"network: {allow: [{cidr: 10.0.0.0/9}, {cidr: 10.128.0.0/9}]}",
			"network: {allow: [{cidr: 10.0.0.0/8}]}",
			"SAME network.allow -10.0.0.0/9\nSAME network.allow -10.128.0.0/9\n"
			"SAME network.allow +10.0.0.0/8\n"},
		{"network: {allow: [{cidr: 10.0.0.0/9}, {cidr: 10.192.0.0/10}]}",
			"network: {allow: [{cidr: 10.0.0.0/8}]}",
			"WIDER network.allow +10.0.0.0/8\nSAME network.allow -10.0.0.0/9\n"
			"SAME network.allow -10.192.0.0/10\n"},
		{"network: {allow: [{host: a.example.com, proto: tcp}]}",
			"network: {allow: [{host: a.example.com}]}",
			"WIDER network.allow +a.example.com\nSAME network.allow "
			"-a.example.com/tcp\n"},
		{"network: {allow: [{host: a.example.com}]}",
			"network: {allow: [{host: a.example.com, by: [/usr/bin/git]}]}",
			"NARROWER network.allow -a.example.com\n"
			"SAME network.allow +a.example.com by /usr/bin/git\n"},
		{"network: {allow: [{host: a.example.com}], deny: [{cidr: 10.0.0.0/8}]}",
			"network: {allow: [{host: a.example.com}]}",
			"SAME network.deny -10.0.0.0/8\n"},
		{"network: {allow: [{cidr: \"64:ff9b::/96\"}], deny: [{cidr: 10.0.0.0/8}]}",
			"network: {allow: [{cidr: \"64:ff9b::/96\"}]}",
			"WIDER network.deny -10.0.0.0/8\n"},
		{"network: {}", "network: {mode: host}", "WIDER network.mode -scoped +host\n"},
		{"network: {listen: [\"127.0.0.1:80-90\"]}",
			"network: {listen: [\"127.0.0.1:80-85\", \"127.0.0.1:86-90\"]}",
			"SAME network.listen -127.0.0.1:80-90\nSAME network.listen "
			"+127.0.0.1:80-85\n"
			"SAME network.listen +127.0.0.1:86-90\n"},
		{"network: {listen: [\"127.0.0.1:80\"]}", "network: {listen: [\"0.0.0.0:80\"]}",
			"WIDER network.listen +0.0.0.0:80\nSAME network.listen -127.0.0.1:80\n"},
		{"syscalls: {families: [inet]}", "syscalls: {families: [inet, netlink]}",
			"WIDER syscalls.families +netlink\n"},
	};

	(void)state;
	check_rows(rows, array_size(rows));
}

static void programs_calls_and_variables_are_compared(void **state)
{
	static const struct row rows[] = {
		{"exec: {default: deny}", "exec: {default: ask}",
			"WIDER exec.default -deny +ask\n"},
		{"exec: {default: deny, allow: [{command: [git]}]}",
			"exec: {default: deny, allow: [{command: [git, push]}]}",
			"NARROWER exec.allow -[git]\nSAME exec.allow +[git, push]\n"},
		{"exec: {deny: [{command: [git, push, --force]}]}",
			"exec: {deny: [{command: [git, push]}]}",
			"NARROWER exec.deny +[git, push]\nSAME exec.deny -[git, push, --force]\n"},
		{"exec: {deny: [{command: [git, \"a b\"]}]}", "exec: {}",
			"WIDER exec.deny -[git, \"a b\"]\n"},
		{"exec: {}", "exec: {hash: pin}", "NARROWER exec.hash -off +pin\n"},
		{"exec: {hash: pin}", "exec: {hash: off}", "WIDER exec.hash -pin +off\n"},
		{"syscalls: {deny: [ptrace]}", "syscalls: {deny_groups: [debug]}",
			"SAME syscalls.deny -ptrace\nSAME syscalls.deny_groups +debug\n"},
		{"syscalls: {deny_groups: [ipc]}", "syscalls: {deny: [shmget]}",
			"WIDER syscalls.deny_groups -ipc\nSAME syscalls.deny +shmget\n"},
		{"syscalls: {base: strict}", "syscalls: {}",
			"WIDER syscalls.base -strict +default\n"},
		{"syscalls: {on_deny: kill}", "syscalls: {on_deny: ENOSYS}",
			"WIDER syscalls.on_deny -kill +ENOSYS\n"},
		{"syscalls: {on_deny: EPERM}", "syscalls: {on_deny: ENOSYS}",
			"SAME syscalls.on_deny -EPERM +ENOSYS\n"},
		{"env: {pass: [\"A*\"]}", "env: {pass: [AB]}",
			"NARROWER env.pass -A*\nSAME env.pass +AB\n"},
		{"env: {pass: [\"LD_*\"]}", "env: {pass: [\"LD_*\", LD_PRELOAD]}",
			"WIDER env.pass +LD_PRELOAD\n"},
		{"env: {pass: [A]}", "env: {set: {A: x}}",
			"WIDER env.set +A=x\nSAME env.pass -A\n"},
		{"env: {set: {A: x}}", "env: {set: {A: y}}", "WIDER env.set -A=x +A=y\n"},
		{"env: {set: {A: x}}", "env: {}", "NARROWER env.set -A=x\n"},
		{"env: {hide: [\"*_KEY\", A_KEY]}", "env: {hide: [\"*_KEY\"]}",
			"SAME env.hide -A_KEY\n"},
		{"env: {hide: [\"*_KEY\"]}", "env: {}", "WIDER env.hide -*_KEY\n"},
	};

	(void)state;
	check_rows(rows, array_size(rows));
}

static void less_recorded_is_wider(void **state)
{
	static const struct row rows[] = {
		{"recorder: {level: decisions, keep: 365d, on_failure: stop}", "recorder: {}", ""},
		{"recorder: {level: full}", "recorder: {level: activity}",
			"WIDER recorder.level -full +activity\n"},
		{"recorder: {}", "recorder: {level: activity}",
			"NARROWER recorder.level -decisions +activity\n"},
		{"recorder: {keep: 400d}", "recorder: {}", "WIDER recorder.keep -400d +365d\n"},
		{"recorder: {}", "recorder: {keep: 400d}", "NARROWER recorder.keep -365d +400d\n"},
		{"recorder: {}", "recorder: {on_failure: emergency}",
			"WIDER recorder.on_failure -stop +emergency\n"},
		{"recorder: {on_failure: continue}", "recorder: {on_failure: emergency}",
			"NARROWER recorder.on_failure -continue +emergency\n"},
		{"recorder: {redact: [aa]}", "recorder: {redact: [bb, aa]}",
			"WIDER recorder.redact +bb\n"},
		{"recorder: {redact: [aa]}", "recorder: {}", "WIDER recorder.redact -aa\n"},
		{"recorder: {}", "workspace: {path: /w, mode: staged}",
			"NARROWER workspace.mode -direct +staged /w\n"},
		{"workspace: {path: /w, mode: staged}", "workspace: {path: /w}",
			"WIDER workspace.mode -staged /w +direct\n"},
		{"workspace: {path: /w, mode: staged}", "workspace: {path: /v, mode: staged}",
			"WIDER workspace.mode -staged /w +staged /v\n"},
		{"workspace: {path: /w}", "workspace: {path: /v, mode: direct}", ""},
		{"recorder: {sinks: [{type: syslog}]}", "recorder: {}",
			"WIDER recorder.sinks -syslog (ocsf)\n"},
		{"recorder: {sinks: [{type: syslog}]}",
			"recorder: {sinks: [{type: syslog}, {type: journald, format: cef}]}",
			"NARROWER recorder.sinks +journald (cef)\n"},
		{"recorder: {outputs: [/srv/a, /srv/b]}", "recorder: {outputs: [/srv/b]}",
			"WIDER recorder.outputs -/srv/a\n"},
		{"recorder: {}", "recorder: {outputs: [/srv/a]}",
			"NARROWER recorder.outputs +/srv/a\n"},
	};

	(void)state;
	check_rows(rows, array_size(rows));
}

static void values_are_wider_where_they_allow_more(void **state)
{
	static const struct row rows[] = {
		{"limits: {memory: 1GiB}", "limits: {memory: 1024MiB}", ""},
		{"limits: {memory: 1GiB}", "limits: {memory: 2GiB}",
			"WIDER limits.memory -1GiB +2GiB\n"},
		{"limits: {memory: 1GiB}", "limits: {}", "WIDER limits.memory -1GiB +no limit\n"},
		{"limits: {}", "limits: {wall_time: 1h}",
			"NARROWER limits.wall_time -no limit +1h\n"},
		{"limits: {}", "limits: {io_weight: 100}", ""},
		{"limits: {}", "limits: {cpu: 1.5}", "NARROWER limits.cpu -no limit +150%\n"},
		{"fs: {}", "fs: {tmp: {size: 256MiB}}", ""},
		{"fs: {}", "fs: {home: {size: 1GiB}}", "WIDER fs.home.size -256MiB +1GiB\n"},
		{"requires: {landlock: 4}", "requires: {landlock: 3}",
			"WIDER requires.landlock -4 +3\n"},
		{"requires: {}", "requires: {bpf: true}", "NARROWER requires.bpf -nothing +true\n"},
		{"on_unsupported: refuse", "on_unsupported: degrade",
			"WIDER on_unsupported -refuse +degrade\n"},
		{"feedback: none", "feedback: code", "WIDER feedback -none +code\n"},
		{"mode: enforce", "mode: audit", "WIDER mode +audit\n"},
		{"mode: audit", "mode: enforce", "NARROWER mode -audit\n"},
	};

	(void)state;
	check_rows(rows, array_size(rows));
}

#define WRITE_OFF "then: {fs_write: deny}"

static void states_are_wider_where_they_come_later_or_refuse_less(void **state)
{
	static const struct row rows[] = {
		{"blast_radius: {files_deleted: 5}", "blast_radius: {files_deleted: 6}",
			"WIDER blast_radius.files_deleted -5 +6\n"},
		{"blast_radius: {files_deleted: 5, on_exceed: emergency}",
			"blast_radius: {files_deleted: 5}",
			"WIDER blast_radius.on_exceed -emergency +deny\n"},
		{"pace: {alternate: {when: [{event: denial, count: 5, within: 1m}]}}",
			"pace: {alternate: {when: [{event: denial, count: 3, within: 2m}]}}",
			"NARROWER pace.alternate.when +denial count 3 within 2m\n"
			"SAME pace.alternate.when -denial count 5 within 1m\n"},
		{"pace: {alternate: {when: [{event: denial, count: 5, within: 2m}]}}",
			"pace: {alternate: {when: [{event: denial, count: 3, within: 1m}]}}",
			"WIDER pace.alternate.when -denial count 5 within 2m\n"
			"NARROWER pace.alternate.when +denial count 3 within 1m\n"},
		/* What a state means where nothing is written is a response too. */
		{"pace: {alternate: {when: [{event: canary_touched}]}}\n"
		 "fs: {read: [/a], canaries: [/a/b]}",
			"pace: {alternate: {when: [{event: canary_touched}], " WRITE_OFF "}}\n"
			"fs: {read: [/a], canaries: [/a/b]}",
			"WIDER pace.alternate.then.network -deny +nothing\n"},
		{"pace: {emergency: {recover: manual}}", "pace: {emergency: {recover: never}}",
			"NARROWER pace.emergency.recover -manual +never\n"},
	};

	(void)state;
	check_rows(rows, array_size(rows));
}

static void what_is_only_checked_is_wider_when_it_changes(void **state)
{
	static const struct row rows[] = {
		{"tools: {manifest: a, unknown: deny}", "tools: {unknown: \"deny\", manifest: a}",
			""},
		{"tools: {manifest: a}", "tools: {manifest: b}",
			"WIDER tools.manifest -a\nWIDER tools.manifest +b\n"},
		{"tools: {}", "tools: {unknown: ask}", "WIDER tools.unknown +ask\n"},
	};

	(void)state;
	check_rows(rows, array_size(rows));
}

static void who_is_asked_less_is_wider(void **state)
{
	static const struct row rows[] = {
		{"approvals: {on: [run]}", "approvals: {on: [\"run\"], timeout: 2m}", ""},
		{"approvals: {on: [run]}", "", "WIDER approvals.on -[run] +[]\n"},
		{"", "approvals: {on: [run]}", "NARROWER approvals.on -[] +[run]\n"},
		{"approvals: {timeout: 2m}", "approvals: {timeout: 1m}",
			"NARROWER approvals.timeout -2m +1m\n"},
		{"approvals: {channels: [socket]}", "approvals: {channels: [socket, tty]}",
			"WIDER approvals.channels -[socket] +[tty, socket]\n"},
		{"approvals: {channels: [tty]}", "", "WIDER approvals.channels -[tty] +[socket]\n"},
		{"", "approvals: {rate: {max: 1, within: 1m}}",
			"NARROWER approvals.rate -10 within 1m +1 within 1m\n"},
		{"gates: [{name: a, exec: [/j], on: [run]}]", "", "WIDER gates -a (/j)\n"},
		{"gates: [{name: a, exec: [/j], on: [run]}]",
			"gates: [{name: a, exec: [/j, x], on: [run]}]",
			"WIDER gates -a (/j)\nNARROWER gates +a (/j x)\n"},
		{"gates: [{name: a, exec: [/j], on: [run]}]",
			"gates: [{name: a, exec: [/j], on: [run], on_error: ask}]",
			"WIDER gates -a (/j)\nNARROWER gates +a (/j)\n"},
	};

	(void)state;
	check_rows(rows, array_size(rows));
}

static void names_reasons_and_tests_mean_nothing(void **state)
{
	static const struct row rows[] = {
		{"description: one\nfs: {read: [/a]}",
			"description: two\nfs: {read: [{path: /a, reason: why}]}\n"
			"tests: [{do: read /a, expect: allow}]",
			""},
	};

	(void)state;
	check_rows(rows, array_size(rows));
}

static void what_is_extended_counts_and_its_lines_are_named(void **state)
{
	autoloading struct loading l;
	autoprofile struct profile *was = NULL, *now = NULL;
	autodiff struct diff *diff = NULL;
	autotext struct text place = {0};
	struct error err = {0};

	(void)state;
	loading_init(&l);
	loading_string(&l, "base.yaml", HEAD "fs:\n  read:\n    - /usr\n    - /opt\n");
	was = load(&l, "extends: [base]");
	now = load(&l, "fs:\n  read: [/usr]");
	assert_int_equal(profile_diff(was, now, &diff, &err), 0);
	assert_int_equal(diff->count, 1);
	assert_int_equal(diff->direction, DIFF_NARROWER);
	text_printf(&place, "%s/base.yaml", l.dir);
	assert_string_equal(diff->lines[0].was_at.file, text_string(&place));
	assert_int_equal(diff->lines[0].was_at.line, 6);
	assert_string_equal(diff->lines[0].example, "read /opt: allow -> deny");
}

/* Keys that are compared as part of what holds them: entries of lists by decide(), states by
 * diff_pace(), as the tests above see; and those that say nothing about what a run may do. */
static const char *const compared_within[] = {"name", "description", "pace.alternate",
	"pace.contingency", "pace.emergency", "pace.alternate.when", "pace.alternate.then",
	"pace.alternate.recover", "pace.alternate.when[].event", "pace.alternate.when[].count",
	"pace.alternate.when[].within", "pace.alternate.when[].above", "pace.alternate.when[].for",
	"pace.alternate.then.fs_write", "pace.alternate.then.network", "pace.alternate.then.exec",
	"pace.alternate.then.run", "fs.read[].path", "fs.read[].optional", "fs.read[].reason",
	"fs.ask[].path", "fs.ask[].access", "fs.ask[].optional", "fs.ask[].reason",
	"network.allow[].host", "network.allow[].cidr", "network.allow[].proto",
	"network.allow[].allow_all", "network.allow[].reason", "exec.allow[].path",
	"exec.allow[].optional", "exec.allow[].reason", "recorder.level", "recorder.on_failure",
	"recorder.keep", "recorder.redact", "recorder.sinks", "recorder.sinks[].type",
	"recorder.sinks[].format", "recorder.outputs", "recorder.outputs[].path",
	"recorder.outputs[].optional", "recorder.outputs[].reason", "workspace.path",
	"workspace.mode", "approvals.on", "approvals.channels", "approvals.exec",
	"approvals.timeout", "approvals.rate.max", "approvals.rate.within", "gates", "gates[].name",
	"gates[].exec", "gates[].on", "gates[].timeout", "gates[].on_error"};

static bool is_compared(const char *full)
{
	bool known = diff_knows_value(full);

	for (size_t i = 0; i < LIST_COUNT; i++)
		known |= strcmp(diff_lists[i].key, full) == 0;
	for (size_t i = 0; i < array_size(compared_within); i++)
		known |= strcmp(compared_within[i], full) == 0;
	return known;
}

/* A key that nobody compares would be a hole: the language and the comparison grow together. */
static void every_key_that_is_stored_is_compared(void **state)
{
	unsigned compared = 0;

	(void)state;
	for (size_t i = 0; i < SECTION_COUNT; i++) {
		const char *path = sections[i].path;

		if (i == SECTION_TEST) /* cases of a test decide nothing */
			continue;
		for (const struct key *key = sections[i].keys; key->name; key++) {
			char full[128];

			if (!key->stored)
				continue;
			snprintf(full, sizeof(full), "%s%s%s", path, *path ? "." : "", key->name);
			if (!is_compared(full))
				fail_msg("nobody compares %s", full);
			compared++;
		}
	}
	assert_true(compared > 70);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(paths_are_compared_by_what_they_reach),
		cmocka_unit_test(less_in_one_list_may_be_more_elsewhere),
		cmocka_unit_test(globs_are_the_same_only_where_that_is_certain),
		cmocka_unit_test(networks_are_compared_by_what_they_reach),
		cmocka_unit_test(programs_calls_and_variables_are_compared),
		cmocka_unit_test(less_recorded_is_wider),
		cmocka_unit_test(values_are_wider_where_they_allow_more),
		cmocka_unit_test(states_are_wider_where_they_come_later_or_refuse_less),
		cmocka_unit_test(what_is_only_checked_is_wider_when_it_changes),
		cmocka_unit_test(who_is_asked_less_is_wider),
		cmocka_unit_test(names_reasons_and_tests_mean_nothing),
		cmocka_unit_test(what_is_extended_counts_and_its_lines_are_named),
		cmocka_unit_test(every_key_that_is_stored_is_compared),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
