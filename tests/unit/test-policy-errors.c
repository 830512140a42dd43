/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "loading.h"
#include "path-facts.h"
#include "policy/diagnostics.h"

#define HEAD "version: 1\nname: p\n" /* lines 1 and 2 */

/* Which codes some test of this file saw; the last test wants them all. */
static bool seen[CODE_COUNT];

static void see(const struct text *out)
{
	for (const char *at = strchr(text_string(out), '['); at; at = strchr(at + 1, '[')) {
		char id[8] = "";
		const struct code *code;

		snprintf(id, sizeof(id), "%.4s", at + 1);
		code = code_find(id);
		if (code && at[5] == ']')
			seen[code - codes] = true;
	}
}

/* clang-format off */
static const struct row {
	const char *text;
	const char *wanted; /* "line:column: severity[code]: beginning of the text" */
} rows[] = {
	{"fs: [a\n", "2:1: error[E001]"},
	{"fs:\n\t- a\n", "2:1: error[E001]: found character that cannot start any token"},
	{"\xef\xbb\xbf" HEAD, "1:1: error[E002]: the file begins with a byte order mark"},
	{HEAD "description: \xc3\x28\n", "3:14: error[E002]: byte 0xc3 is not UTF-8"},
	{HEAD "description: \xed\xa0\x80\n", "3:14: error[E002]: byte 0xed is not UTF-8"},
	{"version: 1\r\nname: p\r\n", "1:11: error[E002]: carriage return"},
	{HEAD "# harmless\rfs: {read: [/]}\n", "3:11: error[E002]: carriage return"},
	{HEAD "# harmless\xe2\x80\xa8" "fs: {read: [/]}\n", "3:11: error[E002]: character U+2028"},
	{HEAD "description: a \xe2\x80\xae b\n", "3:16: error[E002]: character U+202E"},
	{HEAD "description: a\x1b[2J\n", "3:15: error[E002]: character U+001B"},
	{HEAD "description: \"a\\u202eb\"\n", "3:14: error[E002]: the value holds a control"},
	{HEAD "description: \"a\\0b\"\n", "3:14: error[E002]: the value holds a control"},
	{HEAD "alow_write: [/srv]\n", "3:1: error[E003]: unknown key `alow_write`"},
	{HEAD "fs: {reed: [/srv]}\n", "3:6: error[E003]: unknown key `fs.reed`; did you mean `read`? (keys of `fs`: read, write, ask, deny, protect, "},
	{HEAD "blast_radius: {file_deleted: 5}\n",
	 "3:16: error[E003]: unknown key `blast_radius.file_deleted`; did you mean `files_deleted`?"},
	{HEAD "read: [/usr]\n", "3:1: error[E003]: unknown key `read`"},
	{HEAD "network: {allow: [{hosts: a.example}]}\n", "3:20: error[E003]: unknown key `network.allow.hosts`"},
	{HEAD "pace: {alternate: {when: [{event: denial, cont: 3}]}}\n",
	 "3:43: error[E003]: unknown key `pace.alternate.when[].cont`; did you mean `count`?"},
	{HEAD "remove: {fs.reed: [/x]}\n", "3:10: error[E003]: `remove` names `fs.reed`"},
	{HEAD "limits: {pids: 1,\n  cpu: 2, pids: 3}\n", "4:11: error[E004]: duplicate key `limits.pids` (first at line 3)"},
	{HEAD "env: {set: {A: x, A: y}}\n", "3:19: error[E004]: duplicate key `env.set.A` (first at line 3)"},
	{HEAD "fs: {read: /usr}\n", "3:12: error[E005]: `fs.read` wants a list of paths; write [/usr]"},
	{HEAD "fs: [/usr]\n", "3:5: error[E005]: `fs` wants a mapping of keys, this is a list"},
	{HEAD "fs: {read: [[/usr]]}\n", "3:13: error[E005]: `fs.read` wants an absolute path, this is a list"},
	{HEAD "fs: {read: [1]}\n", "3:13: error[E005]: `fs.read` wants an absolute path, and YAML does not read 1 as text"},
	{HEAD "env: {set: {CI: true}}\n", "3:17: error[E005]: `env.set` wants text, and YAML does not read true"},
	{HEAD "limits: {pids: [3]}\n", "3:16: error[E005]: `limits.pids` wants a whole number"},
	{HEAD "limits: {pids: }\n", "3:16: error[E005]: `limits.pids` wants a whole number"},
	{HEAD "exec: {default: {}}\n", "3:17: error[E005]: `exec.default` wants a word, this is a mapping"},
	{HEAD "{a: b}: c\n", "3:1: error[E005]: a key must be a word"},
	{HEAD "? {a: b}\n: c\n", "3:3: error[E005]: a key must be a word"},
	{"- a\n", "1:1: error[E005]: a profile is a mapping of keys"},
	{HEAD "fs: {read: &x [/usr]}\n", "3:12: error[E006]: `&` starts a YAML anchor"},
	{HEAD "fs: {read: [*x]}\n", "3:13: error[E006]: `*` starts a YAML alias here"},
	{HEAD "fs: !!map {}\n", "3:5: error[E007]: `!` starts a YAML tag"},
	{"%YAML 1.1\n---\n" HEAD, "1:1: error[E007]: YAML directives"},
	{HEAD "---\nname: q\n", "3:1: error[E008]: a second document"},
	{"name: p\n", "1:1: error[E010]: `version` is missing; write `version: 1`"},
	{"", "1:1: error[E010]: `name` is missing"},
	{"# comments only\n", "1:1: error[E010]: `version` is missing"},
	{HEAD "fs: {read: [{optional: true}]}\n", "3:13: error[E010]: `fs.read.path` is missing"},
	{HEAD "gates: [{name: g, exec: [/x]}]\n", "3:9: error[E010]: `gates[].on` is missing"},
	{"version: 2\nname: p\n", "1:10: error[E011]: version 2 is unknown"},
	{"version: \"1\"\nname: p\n", "1:10: error[E011]"},
	{"version: 1.0\nname: p\n", "1:10: error[E011]"},
	{"version: 1\nname: P\n", "2:7: error[E012]: `P` is not a name"},
	{HEAD "extends: [base.yaml]\n", "3:11: error[E012]: `base.yaml` is not a profile's name"},
	{HEAD "tools: {servers: {\"a b\": {command: [x]}}}\n", "3:19: error[E012]: `a b` is not a name"},
	{HEAD "network: {mode: none}\n", "3:17: error[E013]: `network.mode` can be scoped, host; this is `none`"},
	{HEAD "on_unsupported: degrades\n", "3:17: error[E013]: `on_unsupported` can be refuse, degrade; this is `degrades`; did you mean `degrade`?"},
	{HEAD "network: {default: allow}\n", "3:20: error[E013]"},
	{HEAD "tests: [{do: read /x, expect: denied}]\n", "3:31: error[E013]"},
	{HEAD "limits: {pids: -1}\n", "3:16: error[E014]: `limits.pids` wants a whole number; this is -1"},
	{HEAD "limits: {pids: 010}\n", "3:16: error[E014]"},
	{HEAD "limits: {pids: 0x10}\n", "3:16: error[E014]"},
	{HEAD "limits: {pids: 1e309}\n", "3:16: error[E014]"},
	{HEAD "limits: {pids: .nan}\n", "3:16: error[E014]"},
	{HEAD "limits: {pids: 9223372036854775808}\n", "3:16: error[E014]: `limits.pids` lies between 1 and 4194304"},
	{HEAD "limits: {pids: 18446744073709551616}\n", "3:16: error[E014]"},
	{HEAD "limits: {pids: 0}\n", "3:16: error[E014]: `limits.pids` lies between"},
	{HEAD "limits: {pids: \"3\"}\n", "3:16: error[E014]: `limits.pids` wants a whole number; this is 3, a text since it is quoted"},
	{HEAD "limits: {cpu: 0.125}\n", "3:15: error[E014]"},
	{HEAD "limits: {cpu: .5}\n", "3:15: error[E014]"},
	{HEAD "limits: {cpu: 0}\n", "3:15: error[E014]: `limits.cpu` lies between 0.01 and 1024"},
	{HEAD "limits: {memory: 4KiB}\n", "3:18: error[E014]: `limits.memory` lies between 1MiB and 1024TiB"},
	{HEAD "limits: {memory: 10k}\n", "3:18: error[E015]: `limits.memory` wants a size"},
	{HEAD "limits: {memory: 2GB}\n", "3:18: error[E015]"},
	{HEAD "limits: {wall_time: 30}\n", "3:21: error[E015]: `limits.wall_time` wants a time"},
	{HEAD "limits: {wall_time: 1h30m}\n", "3:21: error[E015]"},
	{HEAD "blast_radius: {warn_at: 50}\n", "3:25: error[E015]"},
	{HEAD "blast_radius: {warn_at: 1001%}\n", "3:25: error[E015]"},
	{HEAD "pace: {alternate: {when: [{event: denial, count: 3}]}}\n",
	 "3:35: error[E048]: the event denial needs `within: 10m` beside it"},
	{HEAD "fs: {tmp: {private: no}}\n", "3:21: error[E016]: `fs.tmp.private`: booleans are true or false"},
	{HEAD "requires: {notify: \"true\"}\n", "3:20: error[E016]"},
	{HEAD "requires: {bpf: }\n", "3:17: error[E016]"},
	{HEAD "network: {allow: [\"\"]}\n", "3:19: error[E005]: `network.allow` wants a mapping of keys"},
	{HEAD "network: {allow: [null]}\n", "3:19: error[E017]: an empty entry in `network.allow`"},
	{HEAD "fs: {read: [\"\"]}\n", "3:13: error[E017]: an empty entry in `fs.read`"},
	{HEAD "fs: {write:\n  - \n  - /srv}\n", "error["},
	{HEAD "fs:\n  write:\n    - \n", "5:6: error[E017]: an empty entry in `fs.write`"},
	{HEAD "exec: {deny: [\"\"]}\n", "3:15: error[E017]"},
	{HEAD "env: {pass: [\"\"]}\n", "3:14: error[E017]"},
	{HEAD "exec: {deny: [{command: []}]}\n", "3:25: error[E017]: `exec.deny.command` is an empty list"},
	{HEAD "exec: {deny: [{command: [\"-x\"]}]}\n", "3:25: error[E017]: the first word of a command is a program"},
	{HEAD "network: {allow: [{host: a.example, by: []}]}\n", "3:41: error[E017]: an empty list of programs"},
	{HEAD "\"\": x\n", "3:1: error[E017]: a key is empty"},
	{HEAD "fs: {read: [\"${TMPDIR}\"]}\n", "3:13: error[E018]: ${TMPDIR} has no value in this run"},
	{HEAD "fs: {read: [\"${STATE}\"]}\n", "3:13: error[E018]"},
	{HEAD "fs: {read: [\"${HOM}/x\"]}\n", "3:13: error[E019]: unknown variable ${HOM}; did you mean ${HOME}?"},
	{HEAD "fs: {read: [$HOME/x]}\n", "3:13: error[E019]: `$` stands before a variable in braces only"},
	{HEAD "fs: {read: [\"${HOME\"]}\n", "3:13: error[E019]"},
	{HEAD "env: {set: {A: $B}}\n", "3:16: error[E019]"},
	{HEAD "fs: {read: [usr]}\n", "3:13: error[E020]: path `usr` does not begin with /"},
	{HEAD "fs: {read: [~/x]}\n", "3:13: error[E020]: path `~/x` does not begin with /; write ${HOME}"},
	{HEAD "fs: {read: [/usr/../etc]}\n", "3:13: error[E020]: path `/usr/../etc` has a component `..`"},
	{HEAD "fs: {read: [\"${RUN_ID}\"]}\n", "3:13: error[E020]: the value of ${RUN_ID} is not one word: a/b"},
	{HEAD "fs: {read: [\"${WORKDIR}\"]}\n", "3:13: error[E020]: the value of ${WORKDIR} is not an absolute path"},
	{HEAD "fs: {read: [/usr/*]}\n", "3:13: error[E021]: `/usr/*`: globs are understood in fs.deny"},
	{HEAD "fs: {write: [{path: /srv/*}]}\n", "3:21: error[E021]"},
	{HEAD "fs: {ask: [/srv/?]}\n", "3:12: error[E021]"},
	{HEAD "exec: {deny: [/usr/bin/*]}\n", "3:15: error[E021]"},
	{HEAD "fs: {deny: [/srv/a**b]}\n", "3:13: error[E021]: `/srv/a**b`: `**` stands alone"},
	{HEAD "extends: [nowhere]\n", "3:11: error[E022]: no profile `nowhere` in /"},
	{HEAD "extends: [./nowhere.yaml]\n", "3:11: error[E022]"},
	{HEAD "extends: [p]\n", "3:11: error[E023]: profiles in a circle"},
	{HEAD "extends: [./dir]\n", "3:11: error[E026]"},
	{HEAD "extends: [base]\nremove: {fs.read: [/lib]}\n", "4:20: error[E027]: `fs.read` has no entry `/lib`"},
	{HEAD "extends: [base]\nremove: {limits.pids: [\"3\"]}\n", "4:10: error[E028]: `limits.pids` is not a list"},
	{HEAD "remove: {blast_radius.warn_at: [x]}\n", "3:10: error[E028]"},
	{HEAD "network: {allow: [{host: \"*\"}]}\n", "3:26: error[E029]: host `*` covers every host"},
	{HEAD "network: {allow: [{host: \"*.com\"}]}\n", "3:26: error[E029]: host `*.com` covers a whole top-level domain"},
	{HEAD "network: {allow: [{host: \"**.co.uk\"}]}\n", "3:26: error[E029]: host `**.co.uk` covers an ending"},
	{HEAD "network: {allow: [{host: \"a*.example.com\"}]}\n", "3:26: error[E029]: host `a*.example.com` has a wildcard"},
	{HEAD "network: {allow: [{host: \"***.example.com\"}]}\n", "3:26: error[E029]"},
	{HEAD "network: {allow: [{host: \"scheme://example.com\"}]}\n", "3:26: error[E029]: host `scheme://example.com` has a scheme"},
	{HEAD "network: {allow: [{host: \"a example.com\"}]}\n", "3:26: error[E029]: host `a example.com` holds a character"},
	{HEAD "network: {allow: [{host: \"example.com:443\"}]}\n", "3:26: error[E029]: host `example.com:443` has a `:`"},
	{HEAD "network: {allow: [{host: \"b\xc3\xbc" "cher.example\"}]}\n", "3:26: error[E029]"},
	{HEAD "network: {allow: [{host: 10.0.0.1}]}\n", "3:26: error[E029]: host `10.0.0.1` looks like an address"},
	{HEAD "network: {allow: [{host: a..example}]}\n", "3:26: error[E029]: host `a..example` has an empty label"},
	{HEAD "network: {allow: [{host: -a.example}]}\n", "3:26: error[E029]"},
	{HEAD "network: {allow: [{cidr: 1.2.3.4/0}]}\n", "3:26: error[E030]: range `1.2.3.4/0` has bits set behind its first 0; did you mean 0.0.0.0/0?"},
	{HEAD "network: {allow: [{cidr: 1.2.3.4}]}\n", "3:26: error[E030]"},
	{HEAD "network: {allow: [{cidr: 1.2.3.0/33}]}\n", "3:26: error[E030]"},
	{HEAD "network: {allow: [{cidr: \"::ffff:10.0.0.0/104\"}]}\n", "3:26: error[E030]: range `::ffff:10.0.0.0/104` is IPv4 written as IPv6"},
	{HEAD "network: {allow: [{cidr: 010.0.0.0/8}]}\n", "3:26: error[E030]"},
	{HEAD "fs:\n  deny:\n    - *.pem\n", "5:7: error[E031]: `*` starts a YAML alias here; quote it"},
	{HEAD "syscalls:\n  deny_groups:\n    - @mount\n", "5:7: error[E031]: `@` cannot begin a word"},
	{HEAD "fs: {read: [${HOME}/x, /y]}\n", "3:14: error[E031]: did not find expected ',' or ']'; quote `${…}` inside"},
	{HEAD "fs:\n  read:\n    - `x`\n", "5:7: error[E031]: \"`\" cannot begin a word"},
	{HEAD "network: {allow: [{cidr: 0.0.0.0/0}]}\n", "3:26: error[E032]: 0.0.0.0/0 is every address there is"},
	{HEAD "network: {ask: [{cidr: \"::/0\"}]}\n", "3:24: error[E032]"},
	{HEAD "network: {allow: [{ports: [443]}]}\n", "3:19: error[E033]: a rule of `network.allow` has exactly one of host and cidr"},
	{HEAD "network: {deny: [{host: a.example, cidr: 10.0.0.0/8}]}\n", "3:18: error[E033]"},
	{HEAD "exec: {deny: [{reason: x}]}\n", "3:15: error[E033]: a rule of `exec.deny` has exactly one of path and command"},
	{HEAD "network: {allow: [{host: a.example, ports: [0]}]}\n", "3:45: error[E034]"},
	{HEAD "network: {allow: [{host: a.example, ports: [65536]}]}\n", "3:45: error[E034]"},
	{HEAD "network: {allow: [{host: a.example, ports: [\"9-3\"]}]}\n", "3:45: error[E034]"},
	{HEAD "network: {allow: [{host: a.example, ports: [\"443\"]}]}\n", "3:45: error[E034]"},
	{HEAD "network: {allow: [{host: a.example, ports: [https]}]}\n", "3:45: error[E034]"},
	{HEAD "network: {allow: [{host: a.example, ports: []}]}\n", "3:44: error[E034]: an empty list of ports"},
	{HEAD "fs: {write: [/]}\n", "3:14: error[E035]: / must not be writable: everything would be"},
	{HEAD "fs: {write: [/etc/ssh]}\n", "3:14: error[E035]"},
	{HEAD "fs: {write: [/usr]}\n", "3:14: error[E035]"},
	{HEAD "fs: {write: [/home]}\n", "3:14: error[E035]"},
	{HEAD "fs: {write: [\"${HOME}\"]}\n", "3:14: error[E035]: /home/user must not be writable: it is or holds the home"},
	{HEAD "fs: {write: [/proc/1]}\n", "3:14: error[E035]"},
	{HEAD "fs: {write: [/sys]}\n", "3:14: error[E035]"},
	{HEAD "fs: {write: [/dev/sda]}\n", "3:14: error[E035]"},
	{HEAD "syscalls: {deny: [opens]}\n", "3:19: error[E036]: unknown system call `opens`; did you mean `open`?"},
	{HEAD "syscalls: {deny_groups: [\"@mount\"]}\n", "3:26: error[E036]: names have no @ here; write `mount`"},
	{HEAD "syscalls: {deny_groups: [mounts]}\n", "3:26: error[E036]: unknown group of system calls `mounts`; did you mean `mount`?"},
	{HEAD "syscalls: {families: [inet4]}\n", "3:23: error[E036]: unknown socket family `inet4`; did you mean `inet`?"},
	{HEAD "syscalls: {families: [vsock]}\n", "3:23: error[E036]"},
	{HEAD "env: {pass: [A-B]}\n", "3:14: error[E037]: `A-B` is not a variable's name"},
	{HEAD "env: {pass: [\"A[B]\"]}\n", "3:14: error[E037]"},
	{HEAD "env: {set: {1A: x}}\n", "3:13: error[E037]"},
	{HEAD "env: {set: {\"A*\": x}}\n", "3:13: error[E037]"},
	{HEAD "env: {set: {\"A=B\": x}}\n", "3:13: error[E037]"},
	{HEAD "exec: {ask: [{command: [git, push], match: [git pull]}]}\n", "3:45: error[E038]: the rule does not cover `git pull`"},
	{HEAD "exec: {ask: [{command: [git, push], not_match: [git push x]}]}\n", "3:49: error[E038]: the rule covers `git push x`"},
	{HEAD "exec: {ask: [{path: /x, match: [x]}]}\n", "3:25: error[E038]"},
	{HEAD "network: {mode: host, allow: [{host: a.example}]}\n", "3:11: error[E039]"},
	{HEAD "network: {listen: [\"localhost:80\"]}\n", "3:20: error[E041]"},
	{HEAD "network: {listen: [\"127.0.0.1\"]}\n", "3:20: error[E041]"},
	{HEAD "network: {listen: [\"::1:80\"]}\n", "3:20: error[E041]"},
	{HEAD "tests: [{do: reed /x, expect: deny}]\n", "3:14: error[E042]: unknown operation `reed`; did you mean `read`?"},
	{HEAD "tests: [{do: read x, expect: deny}]\n", "3:14: error[E042]: `read` wants an absolute, plain path after it"},
	{HEAD "tests: [{do: connect, expect: deny}]\n", "3:14: error[E042]"},
	{HEAD "name: \"a\\nb\"\n", "error["},
	{"version: 1\nname: \"a\\nb\"\n", "2:7: error[E043]: `name` must be one line"},
	{HEAD "syscalls: {allow: [io_uring_enter]}\n", "error[E046]"},
	{HEAD "recorder: {redact: ['(']}\n", "3:21: error[E049]: `(` cannot be used: missing closing parenthesis (at character 2)"},
	{HEAD "recorder: {redact: ['a*']}\n", "3:21: error[E049]: `a*` cannot be used: it matches the empty text"},
	{HEAD "recorder: {dir: /tmp/log}\n", "3:12: error[E050]: `recorder.dir` is not for a profile: the log is where"},
	{HEAD "recorder: {keep: 30d}\n", "3:12: warning[W008]: recorder.keep: the records may go after less than 90 days"},
	{HEAD "syscalls: {deny: [execve]}\n", "3:19: error[E047]: no program starts without execve"},
	{HEAD "syscalls: {deny_groups: [process]}\n", "3:26: error[E047]"},
	{HEAD "fs: {read: [/a/b], deny: [/a]}\n", "3:13: warning[W001]: fs.read /a/b has no effect: fs.deny /a"},
	{HEAD "fs: {write: [/srv/x], deny: [\"/srv/*\"]}\n", "3:14: warning[W001]"},
	{HEAD "fs: {write: [/srv/x/y/z], deny: [\"/srv/*\"]}\n", "3:14: warning[W001]"},
	{HEAD "fs: {write: [/srv]}\nexec: {allow: [/srv/bin]}\n", "4:16: warning[W002]: exec.allow /srv/bin lies inside fs.write /srv"},
	{HEAD "network: {allow: [{cidr: 0.0.0.0/1}]}\n", "3:26: warning[W003]"},
	{HEAD "env: {pass: [\"*\"]}\n", "3:14: warning[W005]"},
	{HEAD "fs: {read: [/]}\n", "3:13: warning[W006]"},
	{HEAD "blast_radius: {warn_at: 50%}\n", "3:16: warning[W007]: blast_radius.warn_at"},
};
/* clang-format on */

/* False, with what came instead, where the row's text is not reported as it should be. */
static bool row_holds(const struct row *row)
{
	bool error = strstr(row->wanted, "error[") != NULL, failed;
	autoloading struct loading l;
	char folder[128];

	loading_init(&l);
	snprintf(folder, sizeof(folder), "%s/dir", l.dir);
	assert_int_equal(mkdir(folder, 0755), 0);
	loading_string(&l, "base.yaml", HEAD "fs: {read: [/usr]}\nlimits: {pids: 3}\n");
	l.request.variables.tmpdir = NULL;
	l.request.variables.state = "";
	l.request.variables.run_id = "a/b";
	l.request.variables.workdir = "srv/repo";
	failed = loading_text(&l, row->text) < 0;
	see(&l.out);
	if (failed == error && strstr(text_string(&l.out), row->wanted))
		return true;
	print_error("%swants %s, %s:\n%s", row->text, row->wanted, failed ? "refused" : "accepted",
		text_string(&l.out));
	return false;
}

static void every_mistake_is_reported_at_its_place(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++)
		wrong += !row_holds(&rows[i]);
	assert_int_equal(wrong, 0);
}

static void expect(struct loading *l, const char *text, const char *wanted)
{
	int r = loading_text(l, text);

	see(&l->out);
	if ((r < 0) != (strstr(wanted, "error[") != NULL) || !strstr(text_string(&l->out), wanted))
		fail_msg("%swants %s, got\n%s", text, wanted, text_string(&l->out));
}

static void repeat(struct text *out, const char *what, size_t count)
{
	for (size_t i = 0; i < count; i++)
		text_puts(out, what);
}

/* The bounds of a file, each one by one too many, and right at the bound. */
static void what_is_too_big_is_refused(void **state)
{
	static const struct {
		const char *before, *one, *after;
		size_t most;
	} bounds[] = {
		{HEAD "# ", "x", "\n", 256 * 1024 - sizeof(HEAD "# \n") + 1},
		{HEAD "description: ", "x", "\n", 64 * 1024},
		{HEAD "fs: {deny: [", "/a,", "]}\n", 4096},
		{HEAD "description: {a: ", "[", "\n", 0},
	};
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	for (size_t i = 0; i < array_size(bounds); i++) {
		autotext struct text good = {0}, bad = {0};

		text_puts(&good, bounds[i].before);
		repeat(&good, bounds[i].one, bounds[i].most);
		text_puts(&good, bounds[i].after);
		text_puts(&bad, bounds[i].before);
		repeat(&bad, bounds[i].one, bounds[i].most ? bounds[i].most + 1 : 20);
		text_puts(&bad, bounds[i].after);
		if (bounds[i].most && loading_text(&l, text_string(&good)) < 0)
			fail_msg("bound %zu: %s", i, text_string(&l.out));
		expect(&l, text_string(&bad), "error[E009]");
	}
}

static void too_many_values_and_keys_are_refused(void **state)
{
	autotext struct text values = {0}, keys = {0};
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	text_puts(&values, HEAD "fs:\n");
	for (unsigned i = 0; i < 200; i++) {
		text_printf(&values, "  k%u: [", i);
		repeat(&values, "1,", 110);
		text_puts(&values, "]\n");
	}
	expect(&l, text_string(&values), "error[E009]: more than 20000 values");
	text_puts(&keys, HEAD "env:\n  set:\n");
	for (unsigned i = 0; i < 513; i++)
		text_printf(&keys, "    A%u: x\n", i);
	expect(&l, text_string(&keys), "517:5: error[E009]: a mapping has more than 512 keys");
}

static void files_that_others_can_change_are_refused(void **state)
{
	autoloading struct loading l;
	char path[128];

	(void)state;
	loading_init(&l);
	loading_string(&l, "base.yaml", HEAD);
	snprintf(path, sizeof(path), "%s/base.yaml", l.dir);
	assert_int_equal(chmod(path, 0664), 0);
	expect(&l, HEAD "extends: [base]\n", "p.yaml:3:11: error[E025]");
	assert_int_equal(chmod(path, 0646), 0);
	expect(&l, HEAD "extends: [base]\n", "p.yaml:3:11: error[E025]");
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(loading_text(&l, HEAD "extends: [base]\n"), 0);
	assert_int_equal(chmod(l.dir, 0777), 0);
	expect(&l, HEAD, "error[E025]");
	assert_int_equal(chmod(l.dir, 01777), 0);
	assert_int_equal(loading_text(&l, HEAD), 0);
}

static void extends_has_a_depth(void **state)
{
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	for (unsigned i = 0; i < 6; i++) {
		char name[16], text[64];

		snprintf(name, sizeof(name), "b%u.yaml", i);
		snprintf(text, sizeof(text), HEAD "%s", i ? "" : "fs: {read: [/usr]}\n");
		if (i)
			snprintf(text, sizeof(text), HEAD "extends: [b%u]\n", i - 1);
		loading_string(&l, name, text);
	}
	assert_int_equal(loading_text(&l, HEAD "extends: [b4]\n"), 0);
	assert_int_equal(l.profile->fs.read.count, 1);
	expect(&l, HEAD "extends: [b5]\n", "error[E024]");
}

/* What only a ceiling or the facts of a host bring out. */
static void ceilings_and_hosts_have_codes_too(void **state)
{
	autoloading struct loading l;
	struct host h;
	char path[128];
	const char *ceilings[] = {path, NULL};
	Berm__Wire__PathFact *fact;

	(void)state;
	loading_init(&l);
	snprintf(path, sizeof(path), "%s/c.yaml", l.dir);
	l.request.ceilings = ceilings;
	loading_string(&l, "c.yaml", HEAD "fs: {read: [/usr/bin]}\n");
	expect(&l, HEAD "fs: {read: [/usr, /opt]}\n", "note[N001]");
	assert_non_null(strstr(text_string(&l.out), "note[N002]"));
	loading_string(&l, "c.yaml", HEAD "exec: {ask: [/srv]}\n");
	expect(&l, HEAD "fs: {write: [/srv/x]}\n", "c.yaml:3:14: error[E045]");
	l.request.ceilings = NULL;
	expect(&l, HEAD "fs: {read: [/a, /c], write: [/b], deny: [/d]}\n", "");
	host_init(&h);
	host_add(&h, "/a", "");
	host_add(&h, "/b", l.dir);
	fact = host_add(&h, "/c", "/c2");
	fact->kind = BERM__WIRE__FILE_KIND__FILE_SYMLINK;
	fact->owner_uid = 1000;
	fact = host_add(&h, "/d", "/d");
	fact->resolved_kind = BERM__WIRE__FILE_KIND__FILE_REGULAR;
	fact->links = 2;
	assert_int_equal(profile_check_paths(l.profile, &h.facts, &l.out, &l.err), -EINVAL);
	see(&l.out);
}

static bool is_protected(const struct profile *p, const char *dir, const char *name)
{
	for (size_t i = 0; i < p->fs.protect.count; i++) {
		const char *path = p->fs.protect.items[i].path;
		size_t n = strlen(dir);

		if (strncmp(path, dir, n) == 0 && path[n] == '/' && strcmp(path + n + 1, name) == 0)
			return true;
	}
	return false;
}

/* Attack M08: the profile lies where the tool can write, and so do places that come before the one
 * where its base was found. */
static void profiles_inside_their_own_grant_are_protected(void **state)
{
	autoloading struct loading l, base;
	char text[256], path[128];
	const char *search[] = {NULL, NULL, NULL};

	(void)state;
	loading_init(&l);
	loading_init(&base);
	loading_string(&base, "base.yaml", HEAD);
	search[0] = l.dir;
	search[1] = base.dir;
	l.request.search_path = search;
	snprintf(path, sizeof(path), "%s/p.yaml", l.dir);
	snprintf(text, sizeof(text), HEAD "extends: [base]\nfs: {write: [%s]}\n", l.dir);
	loading_string(&l, "p.yaml", text);
	if (loading_load(&l, path) < 0)
		fail_msg("%s", text_string(&l.out));
	see(&l.out);
	assert_non_null(strstr(text_string(&l.out), "p.yaml:4:14: note[N004]"));
	assert_true(is_protected(l.profile, l.dir, "p.yaml"));
	assert_true(is_protected(l.profile, l.dir, "base.yaml"));
	/* The placeholder of a run that goes on is not taken for a profile. */
	snprintf(path, sizeof(path), "%s/base.yaml", l.dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/p.yaml", l.dir);
	assert_int_equal(loading_load(&l, path), 0);
	assert_int_equal(l.profile->file_count, 2);
}

/* The other profiles of a directory would be read as well, by other runs. */
static void places_of_profiles_and_state_are_nobodys_to_write(void **state)
{
	autoloading struct loading l;
	char text[256], inside[128];
	const char *search[] = {NULL, inside, NULL};

	(void)state;
	loading_init(&l);
	search[0] = l.dir;
	l.request.search_path = search;
	snprintf(inside, sizeof(inside), "%s/config/profiles", l.dir);
	snprintf(text, sizeof(text), HEAD "fs: {write: [%s/x]}\n", l.dir);
	expect(&l, text, "p.yaml:3:14: error[E035]");
	search[0] = inside;
	snprintf(text, sizeof(text), HEAD "fs: {write: [%s]}\n", l.dir);
	loading_string(&l, "p.yaml", text);
	snprintf(text, sizeof(text), "%s/p.yaml", l.dir);
	assert_int_equal(loading_load(&l, text), 0);
	assert_true(is_protected(l.profile, l.dir, "config/profiles"));
	search[0] = l.dir;
	expect(&l, HEAD "fs: {write: [/var/lib/berm/log]}\n", "p.yaml:3:14: error[E035]");
}

static void every_code_is_complete_and_was_seen_above(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CODE_COUNT; i++) {
		if (!codes[i].id || !codes[i].title || !codes[i].help || strlen(codes[i].help) < 60)
			fail_msg("code %u is not complete", i);
		assert_ptr_equal(code_find(codes[i].id), &codes[i]);
		if (!seen[i])
			fail_msg("no test produces %s (%s)", codes[i].id, codes[i].title);
	}
	assert_null(code_find("E999"));
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(every_mistake_is_reported_at_its_place),
		cmocka_unit_test(what_is_too_big_is_refused),
		cmocka_unit_test(too_many_values_and_keys_are_refused),
		cmocka_unit_test(files_that_others_can_change_are_refused),
		cmocka_unit_test(extends_has_a_depth),
		cmocka_unit_test(ceilings_and_hosts_have_codes_too),
		cmocka_unit_test(profiles_inside_their_own_grant_are_protected),
		cmocka_unit_test(places_of_profiles_and_state_are_nobodys_to_write),
		cmocka_unit_test(every_code_is_complete_and_was_seen_above),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
