/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/schema.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "policy/calls.h"
#include "policy/keys.h"

/* clang-format off */
static const struct {
	const char *key, *by;
} enforced[] = {
	{"requires.landlock",      "facts of the host, before the start"},
	{"requires.notify",        "facts of the host, before the start"},
	{"requires.cgroup",        "facts of the host, before the start"},
	{"requires.bpf",           "facts of the host, before the start"},
	{"on_unsupported",         "plan, before the start"},
	{"feedback",               "supervisor"},
	{"mode",                   "supervisor"},
	{"fs.read",                "mounts (read-only) and Landlock"},
	{"fs.write",               "mounts and Landlock"},
	{"fs.ask",                 "as fs.deny (for writing: as fs.protect)"},
	{"fs.deny",                "not granted, so not there; inside a grant: covered by a mount, or reserved before it exists"},
	{"fs.protect",             "read-only mount on itself, ancestors pinned; reserved before it exists"},
	{"fs.canaries",            "as fs.deny"},
	{"fs.tmp.private",         "tmpfs of the run"},
	{"fs.tmp.size",            "tmpfs of the run"},
	{"fs.home.private",        "tmpfs of the run"},
	{"fs.home.size",           "tmpfs of the run"},
	{"network.mode",           "network namespace"},
	{"network.default",        "network namespace"},
	{"network.allow",          "cgroup programs and a link of the run's own; without them the start is refused"},
	{"network.ask",            "as network.deny"},
	{"network.deny",           "cgroup programs; where nothing is allowed the network namespace"},
	{"network.listen",         "cgroup programs"},
	{"network.unix",           "mounts: only listed sockets are there"},
	{"exec.default",           "Landlock, mounts with noexec"},
	{"exec.allow",             "Landlock, mounts with noexec"},
	{"exec.ask",               "as exec.deny"},
	{"exec.deny",              "covered by a mount"},
	{"exec.hash",              "a copy made and hashed at the start, mounted over the file; Landlock"},
	{"syscalls.base",          "seccomp"},
	{"syscalls.allow",         "seccomp"},
	{"syscalls.deny",          "seccomp"},
	{"syscalls.deny_groups",   "seccomp"},
	{"syscalls.families",      "seccomp, on socket and socketpair"},
	{"syscalls.on_deny",       "seccomp"},
	{"env.pass",               "environment made by berm"},
	{"env.set",                "environment made by berm"},
	{"env.hide",               "environment made by berm"},
	{"limits.cpu",             "cgroup v2; without it the start is refused"},
	{"limits.memory",          "cgroup v2; without it RLIMIT_DATA of each process (weaker)"},
	{"limits.pids",            "cgroup v2; without it RLIMIT_NPROC (weaker)"},
	{"limits.open_files",      "rlimit of each process"},
	{"limits.file_size",       "rlimit of each process"},
	{"limits.wall_time",       "supervisor's timer"},
	{"limits.io_weight",       "cgroup v2"},
	{"blast_radius.files_changed",     "programs in the kernel; without them user notification, which counts each open for writing and each changing call"},
	{"blast_radius.files_deleted",     "programs in the kernel; without them user notification, an upper bound"},
	{"blast_radius.bytes_written",     "programs in the kernel; without them the start is refused"},
	{"blast_radius.bytes_sent",        "cgroup programs; without them the start is refused"},
	{"blast_radius.hosts_contacted",   "cgroup programs; without them the start is refused"},
	{"blast_radius.processes_started", "programs in the kernel; without them user notification"},
	{"blast_radius.warn_at",           "as its caps"},
	{"blast_radius.on_exceed",         "as its caps"},
	{"pace.alternate.when",            "as the caps; canary_touched: programs in the kernel only"},
	{"pace.alternate.then",            "programs in the kernel; without them user notification (weaker: what is open stays open)"},
	{"pace.alternate.recover",         "supervisor"},
	{"recorder.level",                 "recorder; above decisions: programs in the kernel, without them the start is refused; where that is allowed (`--allow-degraded bpf`) calls that the notify make stops are recorded, with no path or address"},
	{"recorder.on_failure",            "supervisor"},
	{"recorder.keep",                  "recorder"},
	{"recorder.redact",                "supervisor, before a record is made"},
	{"recorder.sinks",                 "recorder"},
	{"recorder.outputs",               "supervisor, when all processes of the run are gone"},
	{"recorder.chain",                 "recorder"},
	{"workspace.path",                 "as workspace.mode"},
	{"workspace.mode",                 "overlay; without it the start is refused"},
	{"approvals.on",                   "supervisor: before anything of the run is there"},
	{"approvals.channels",             "supervisor"},
	{"approvals.exec",                 "supervisor"},
	{"approvals.timeout",              "supervisor"},
	{"approvals.on_timeout",           "supervisor"},
	{"approvals.widest",               "supervisor"},
	{"approvals.rate",                 "supervisor"},
	{"gates",                          "supervisor: before anything of the run is there"},
};
/* clang-format on */

const char *profile_enforced_by(const char *full_key)
{
	for (size_t i = 0; i < array_size(enforced); i++)
		if (strcmp(enforced[i].key, full_key) == 0)
			return enforced[i].by;
	return NULL;
}

static const char before_tables[] =
	"<!-- Generated from the key table: tests/unit/test-policy-schema.c says how. -->\n"
	"# Profile reference\n\n"
	"A profile is one YAML file. It says what a tool may see, change, run and reach. "
	"What it does not say is denied.\n\n"
	"The rules of the language:\n\n"
	"1. There are three decisions: deny wins over ask, ask wins over allow. "
	"The order of lines never matters.\n"
	"2. An unknown key, a key written twice, a wrong type, an anchor, an alias, a tag or a "
	"second document "
	"is an error. Only `true` and `false` are booleans. An empty list, nothing after a key, "
	"and a missing "
	"section allow nothing.\n"
	"3. `extends` adds what other profiles say. A ceiling, which the operator of a machine "
	"writes, "
	"only takes away.\n"
	"4. Profiles are found by path, or by name in `$XDG_CONFIG_HOME/berm/profiles`, "
	"`/etc/berm/profiles` and "
	"`/usr/share/berm/profiles`. The working directory is never searched.\n"
	"5. Variables are `${HOME}`, `${WORKDIR}`, `${TMPDIR}`, `${STATE}`, `${RUN_ID}` and "
	"`${UID}`. "
	"One that has no value is an error where it is used. Inside `[ ]` and `{ }` they need "
	"quotes.\n"
	"6. Paths are absolute. A path covers what lies beneath it, name by name: `/srv/a` does "
	"not cover "
	"`/srv/ab`. Globs (`*` and `?` within one name, `**` for any number of directories) are "
	"for `fs.deny`, "
	"`fs.protect` and `fs.canaries`.\n"
	"7. Writing includes reading, creating, renaming and deleting.\n"
	"8. A path that does not exist is an error, unless its entry says `optional: true`. "
	"What `fs.deny` and `fs.protect` name may be absent.\n"
	"9. Programs run from what can be read and not written. Where `fs.write` reaches, only "
	"what `exec.allow` "
	"names may run.\n"
	"10. `*.example.org` stands for exactly one label, `**.example.org` for one or more. "
	"Neither covers `example.org`. An IPv4 address written as an IPv6 one is that IPv4 "
	"address. "
	"The addresses of cloud metadata services and all link-local ones need an entry of their "
	"own: "
	"`0.0.0.0/0` does not allow them.\n"
	"11. Sizes are written as `64KiB`, `2MiB` or `1GiB`, times as `250ms`, `30s`, `15m`, `2h` "
	"or `30d`, "
	"shares as `50%`.\n\n"
	"What berm puts into every run, whatever the profile says: `/dev/null` and its few "
	"relatives, terminals of "
	"the run's own, a `/proc` that shows only the run, `/etc/passwd`, `/etc/group`, "
	"`/etc/hosts` and "
	"`/etc/hostname` made for the run, a loopback of its own, and the variables `PATH`, "
	"`HOME`, `TMPDIR`, "
	"`USER`, `LOGNAME`, `SHELL` and `BERM_RUN`.\n\n"
	"The column *enforced by* says what holds a rule on a host that has everything; `berm "
	"profile show` says it "
	"for the host at hand. A key that is *checked only* is read, checked and shown; a run "
	"whose profile has it is "
	"refused until the part that it names exists.\n\n"
	"Editors complete and check profiles by `profiles/profile-v1.schema.json`. The first line "
	"of a profile tells "
	"them: `# yaml-language-server: $schema=PATH`.\n";

/* Text of a table's cell: outside of code spans what Markdown would read is escaped. */
static void cell_puts(struct text *out, const char *text)
{
	bool code = false;

	for (; *text; text++) {
		if (*text == '`')
			code = !code;
		if (*text == '|' || (!code && strchr("*<>[]_$", *text)))
			text_puts(out, "\\");
		text_append(out, text, 1);
	}
}

static void code_puts(struct text *out, const char *text)
{
	text_puts(out, "`");
	for (; *text; text++)
		text_append(out, *text == '|' ? "\\|" : text, *text == '|' ? 2 : 1);
	text_puts(out, "`");
}

static void type_puts(struct text *out, const struct key *key)
{
	cell_puts(out, value_type_words(key->type));
	for (const char *const *word = key->words; word && *word; word++) {
		text_puts(out, word == key->words ? ": " : ", ");
		code_puts(out, *word);
		if (key->word_needs && key->word_needs[word - key->words])
			text_printf(out, " (checked only, needs %s)",
				key->word_needs[word - key->words]);
	}
}

static void row_puts(
	struct text *out, const struct section *section, const struct key *key, bool pending)
{
	char full[128];
	const char *by;

	snprintf(full, sizeof(full), "%s%s%s", section->path, section->path[0] ? "." : "",
		key->name);
	by = profile_enforced_by(full);
	pending |= (key->flags & KEY_PENDING) != 0;
	text_puts(out, "| ");
	code_puts(out, key->name);
	text_puts(out, key->flags & KEY_REQUIRED ? " (required) | " : " | ");
	type_puts(out, key);
	text_puts(out, " | ");
	if (key->default_text)
		cell_puts(out, key->default_text);
	text_puts(out, " | ");
	cell_puts(out, key->help);
	if (key->example && !(key->flags & KEY_OPERATOR)) {
		text_puts(out, " Example: ");
		code_puts(out, key->example);
	}
	text_puts(out, " | ");
	if (by && !pending)
		cell_puts(out, by);
	text_puts(out, " | ");
	if (key->flags & KEY_OPERATOR)
		text_puts(out, "not for a profile");
	else if (pending)
		text_printf(out, "checked only%s%s", key->needs ? ", needs " : "",
			key->needs ? key->needs : "");
	else
		text_puts(out, "0.1");
	text_puts(out, " |\n");
}

/* The key of the top section beneath which a section lies is pending: so is all of it. */
static bool section_is_pending(const struct section *section)
{
	char top[64];
	size_t n = strcspn(section->path, ".[");
	const struct key *key;

	if (n == 0 || n >= sizeof(top))
		return false;
	memcpy(top, section->path, n);
	top[n] = '\0';
	key = key_find(SECTION_TOP, top);
	return key && (key->flags & KEY_PENDING);
}

static void groups_puts(struct text *out)
{
	text_puts(out, "\n## Groups of system calls\n\nFor `syscalls.deny_groups`. A call that is "
		       "in no base is allowed "
		       "only by its own name in `syscalls.allow`.\n\n"
		       "| group | what it holds | in base default | in base strict "
		       "|\n|---|---|---|---|\n");
	for (unsigned i = 0; i < CALLS_GROUP_COUNT; i++) {
		const struct calls_group_entry *group = calls_group((enum calls_group)i);

		text_printf(out, "| `%s` | ", group->name);
		cell_puts(out, group->holds);
		text_printf(out, " | %s | %s |\n",
			group->in_base[SYSCALL_BASE_DEFAULT] ? "yes" : "no",
			group->in_base[SYSCALL_BASE_STRICT] ? "yes" : "no");
	}
}

static void families_puts(struct text *out)
{
	const struct calls_family *families;
	size_t count;

	text_puts(out, "\n## Families of sockets\n\nFor `syscalls.families`.\n\n| family | may be "
		       "named |\n|---|---|\n");
	families = calls_families(&count);
	for (size_t i = 0; i < count; i++) {
		text_printf(out, "| `%s` | %s", families[i].name,
			families[i].nameable ? "yes" : "no: ");
		if (!families[i].nameable && families[i].reason)
			cell_puts(out, families[i].reason);
		text_puts(out, " |\n");
	}
}

void profile_reference_print(struct text *out)
{
	text_puts(out, before_tables);
	for (unsigned id = 0; id < SECTION_COUNT; id++) {
		const struct section *section = &sections[id];
		bool pending = section_is_pending(section);

		text_printf(out, "\n## %s\n\n", section->path[0] ? section->path : "The file");
		cell_puts(out, section->help);
		text_puts(out, "\n\n| key | type | default | what it does | enforced by | since |\n"
			       "|---|---|---|---|---|---|\n");
		for (const struct key *key = section->keys; key->name; key++)
			row_puts(out, section, key, pending);
	}
	groups_puts(out);
	families_puts(out);
}
