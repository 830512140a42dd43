/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/keys.h"

#include "base/own.h"
#include "base/text.h"
#include "policy/keys-rows.h"

#include <string.h>

#define SECOND_MS 1000ULL
#define DAY_MS (24 * 3600 * SECOND_MS)
#define MIB (1ULL << 20)
#define TIB (1ULL << 40)

/* clang-format off */

static const struct key keys_top[] = {
	{"version", VALUE_VERSION, .flags = KEY_REQUIRED, .example = "1",
	 .help = "The version of the profile language. It is always 1. Every other number is refused."},
	{"name", VALUE_STRING, CONTENT_NAME, .flags = KEY_REQUIRED, .example = "coding-agent", STORED(name),
	 .help = "The profile's name, as it stands in every record and status."},
	{"description", VALUE_STRING, CONTENT_TEXT, .example = "Coding agent working on one repository",
	 STORED(description), .help = "For whom the profile is. Shown to people, changes nothing."},
	{"extends", VALUE_STRING_LIST, CONTENT_PROFILE, .example = "[base-linux]",
	 .help = "Profiles that this one builds on, by name from the search path or as ./file.yaml next to this file. "
		 "Lists are added to theirs. Single values written here replace theirs. At most 5 levels."},
	{"remove", VALUE_REMOVE_MAP, .example = "{fs.read: [/etc/ssl]}",
	 .help = "Entries to take out of what `extends` brought, exactly as they are written there. "
		 "An entry that is not there is an error."},
	{"mode", VALUE_WORD, WORDS("enforce", "audit"), NEEDS(NULL, AUDIT),
	 .default_text = "enforce", .example = "enforce",
	 .help = "enforce applies every decision. audit records decisions and does not apply them."},
	{"on_unsupported", VALUE_WORD, WORDS("refuse", "degrade"), .default_text = "refuse", .example = "refuse",
	 STORED(degrade), AT(degrade_at),
	 .help = "What happens where this host cannot enforce a rule: refuse the start, or run without that rule "
		 "and say so in every record."},
	{"requires", VALUE_OBJECT, .of = SECTION_REQUIRES, .help = "What the host must give at least."},
	{"feedback", VALUE_WORD, WORDS("code", "none", "hint"), NEEDS(NULL, NULL, TOOL_PROXY),
	 .default_text = "code", .example = "code", STORED(feedback), AT(feedback_at),
	 .help = "What the tool itself is told about a denial: an error code, nothing, or a hint. "
		 "The operator always sees the full explanation."},
	{"fs", VALUE_OBJECT, .of = SECTION_FS, .help = "Files and directories. What is not listed is not visible."},
	{"network", VALUE_OBJECT, .of = SECTION_NETWORK, .help = "Connections to other machines and to sockets."},
	{"exec", VALUE_OBJECT, .of = SECTION_EXEC, .help = "Programs that may be started."},
	{"syscalls", VALUE_OBJECT, .of = SECTION_SYSCALLS, .help = "System calls. Few profiles need this section."},
	{"env", VALUE_OBJECT, .of = SECTION_ENV, .help = "Environment variables. What is not listed is not passed on."},
	{"limits", VALUE_OBJECT, .of = SECTION_LIMITS, .help = "What one run may use at any moment."},
	{"blast_radius", VALUE_OBJECT, .of = SECTION_BLAST_RADIUS,
	 .help = "What one run may do in total. The tool cannot reset the counters."},
	{"pace", VALUE_OBJECT, .of = SECTION_PACE,
	 .help = "When a run moves to the alternate, contingency or emergency state, and what holds there."},
	{"tools", VALUE_OBJECT, .flags = KEY_PENDING, .needs = "the tool proxy", .of = SECTION_TOOLS,
	 .help = "Tool servers of the Model Context Protocol and what may be called on them."},
	{"approvals", VALUE_OBJECT, .of = SECTION_APPROVALS,
	 .help = "How a person is asked, and what holds when nobody answers."},
	{"recorder", VALUE_OBJECT, .of = SECTION_RECORDER,
	 .help = "What is recorded of a run, for how long, and what happens when it cannot be."},
	{"workspace", VALUE_OBJECT, .of = SECTION_WORKSPACE,
	 .help = "A directory whose changes wait to be looked at."},
	{"gates", VALUE_OBJECT_LIST, .of = SECTION_GATE, .example = "[{name: judge, exec: [/usr/local/lib/berm/judge], on: [run]}]",
	 STORED(gates),
	 .help = "Programs that judge a run before it starts or before its changes are kept. The strictest answer wins."},
	{"orphan", VALUE_WORD, WORDS("continue", "freeze", "kill"), .flags = KEY_PENDING, .needs = "the supervisor",
	 .example = "kill", .help = "What happens to a run whose supervisor died."},
	{"tests", VALUE_OBJECT_LIST, .flags = KEY_TEST_NOT_RUN, .of = SECTION_TEST,
	 .help = "What the profile must decide. `berm profile check` runs them each time."},
	{0},
};

static const struct key keys_requires[] = {
	{"landlock", VALUE_COUNT, .least = 1, .most = 64, .example = "4", STORED(requires.landlock),
	 .help = "The least Landlock ABI."},
	{"notify", VALUE_BOOL, .default_text = "false", .example = "true", STORED(requires.notify),
	 .help = "Demand seccomp user notification."},
	{"cgroup", VALUE_WORD, WORDS("v2"), .example = "v2", STORED(requires.cgroup),
	 .help = "Demand a usable cgroup of version 2."},
	{"bpf", VALUE_BOOL, .default_text = "false", .example = "true", STORED(requires.bpf),
	 .help = "Demand enforcement by eBPF programs."},
	{0},
};

static const struct key keys_fs[] = {
	{"read", VALUE_PATH_RULES, CONTENT_PATH, .of = SECTION_PATH_RULE, .example = "[/usr, /lib, /bin]",
	 STORED(fs.read), .help = "May be read, listed and (where exec allows it) executed, with everything beneath."},
	{"write", VALUE_PATH_RULES, CONTENT_PATH, .of = SECTION_PATH_RULE, .example = "[\"${WORKDIR}\"]",
	 STORED(fs.write), .help = "May be read, created, changed, renamed and deleted, with everything beneath. "
		 "There is no way to grant writing without reading."},
	{"ask", VALUE_PATH_RULES, CONTENT_PATH, .of = SECTION_ASK_RULE,
	 .example = "[{path: \"${HOME}/.gitconfig\", access: read}]", STORED(fs.ask),
	 .help = "Wins over read and write: a person is asked. Enforced as denied until approvals are there."},
	{"deny", VALUE_PATH_RULES, CONTENT_PATH_GLOB, .of = SECTION_PATH_RULE,
	 .example = "[\"${HOME}/.ssh\", \"${WORKDIR}/**/.env*\"]", STORED(fs.deny),
	 .help = "Wins over everything else, in any order: neither visible nor writable, with everything beneath. "
		 "May hold globs: * and ? within one name, ** for any number of directories."},
	{"protect", VALUE_PATH_RULES, CONTENT_PATH_GLOB, .of = SECTION_PATH_RULE,
	 .example = "[\"${WORKDIR}/.git/hooks\"]", STORED(fs.protect),
	 .help = "Inside a write grant: may be read, but it and everything beneath it cannot be created, changed, "
		 "replaced, renamed or removed. Wins over write. deny wins over it. May hold globs. "
		 "What does not exist yet is protected as well."},
	{"tmp", VALUE_OBJECT, .of = SECTION_TMP, .help = "The run's own /tmp."},
	{"home", VALUE_OBJECT, .of = SECTION_HOME, .help = "The run's own ${HOME}."},
	{"canaries", VALUE_PATH_RULES, CONTENT_PATH_GLOB, .of = SECTION_PATH_RULE,
	 .example = "[\"${HOME}/.config/gcloud/credentials.db\"]", STORED(fs.canaries),
	 .help = "Decoys. Denied like deny, and any touch is an incident. May hold globs."},
	{0},
};

static const struct key keys_tmp[] = {
	{"private", VALUE_BOOL, .default_text = "true", .example = "true", STORED(fs.tmp.private), AT(fs.tmp.at),
	 .help = "An empty /tmp of its own, gone after the run. false: only what fs grants of /tmp is there."},
	{"size", VALUE_SIZE, .least = 4096, .most = TIB, .default_text = "256MiB", .example = "256MiB",
	 STORED(fs.tmp.size_bytes), .help = "The most that may be stored there."},
	{0},
};

static const struct key keys_home[] = {
	{"private", VALUE_BOOL, .default_text = "true", .example = "true", STORED(fs.home.private), AT(fs.home.at),
	 .help = "An empty home directory of its own, gone after the run, with what fs grants of ${HOME} in it. "
		 "false: only what fs grants of ${HOME} is there."},
	{"size", VALUE_SIZE, .least = 4096, .most = TIB, .default_text = "256MiB", .example = "256MiB",
	 STORED(fs.home.size_bytes), .help = "The most that may be stored there."},
	{0},
};

#define PATH_RULE_ROW(content_) \
	{"path", VALUE_STRING, content_, .flags = KEY_REQUIRED, .example = "\"${HOME}/.cache/pip\"", \
	 STORED_IN(struct path_rule, path), .help = "Absolute, variables allowed."}
#define OPTIONAL_ROW(type_) \
	{"optional", VALUE_BOOL, .default_text = "false", .example = "true", STORED_IN(type_, optional), \
	 .help = "It is no error where the path does not exist. In deny, protect, canaries and ask: holds only where it exists " \
		 "when the run starts. Without it the name is kept free for as long as the run lasts."}
#define REASON_ROW(type_) \
	{"reason", VALUE_STRING, CONTENT_TEXT, .example = "test database", STORED_IN(type_, reason), \
	 .help = "Why. Shown with a denial and in reviews."}

static const struct key keys_path_rule[] = {
	PATH_RULE_ROW(CONTENT_PATH_GLOB), OPTIONAL_ROW(struct path_rule), REASON_ROW(struct path_rule), {0},
};

static const struct key keys_ask_rule[] = {
	PATH_RULE_ROW(CONTENT_PATH),
	{"access", VALUE_WORD, WORDS("read", "write"), .default_text = "read", .example = "write",
	 STORED_IN(struct path_rule, access), .help = "What is asked for. write includes read."},
	OPTIONAL_ROW(struct path_rule), REASON_ROW(struct path_rule), {0},
};

static const struct key keys_network[] = {
	{"mode", VALUE_WORD, WORDS("scoped", "host"), .default_text = "scoped", .example = "scoped",
	 STORED(network.mode), AT(network.mode_at),
	 .help = "scoped: a network of its own with only what this section allows; without allow, loopback only. "
		 "host: the host's whole network, flagged in every status."},
	{"default", VALUE_WORD, WORDS("deny"), .default_text = "deny", .example = "deny",
	 .help = "What holds for everything not listed. It is always deny."},
	{"allow", VALUE_NETWORK_RULES, .of = SECTION_NETWORK_RULE,
	 .example = "[{cidr: 10.20.0.0/16, ports: [5432]}]", STORED(network.allow),
	 .help = "May be connected to. The run then has a link to the host, with addresses that the operator set aside. "
		 "Rules with host or by are checked only: they need the DNS proxy and the exec meter."},
	{"ask", VALUE_NETWORK_RULES, .of = SECTION_NETWORK_RULE,
	 .example = "[{cidr: 10.30.0.0/16, ports: [22, 443]}]", STORED(network.ask),
	 .help = "Wins over allow: a person is asked. Enforced as denied until approvals are there."},
	{"deny", VALUE_NETWORK_RULES, .of = SECTION_NETWORK_RULE,
	 .example = "[{cidr: 169.254.0.0/16, reason: cloud metadata}]", STORED(network.deny),
	 .help = "Wins over allow and ask, in any order. With mode: host it is the only rule."},
	{"dns", VALUE_OBJECT, .flags = KEY_PENDING, .needs = DNS_PROXY, .of = SECTION_DNS,
	 .help = "How names are resolved."},
	{"listen", VALUE_STRING_LIST, CONTENT_LISTEN,
	 .example = "[\"127.0.0.1:3000-3999\"]", STORED(network.listen),
	 .help = "Addresses and ports where connections from outside the run may be accepted."},
	{"unix", VALUE_PATH_RULES, CONTENT_PATH, .of = SECTION_PATH_RULE, .example = "[/run/user/1000/bus]",
	 STORED(network.unix_sockets), .help = "Unix sockets of the host that may be connected to."},
	{0},
};

static const struct key keys_network_rule[] = {
	{"host", VALUE_STRING, CONTENT_HOST, .example = "\"*.githubusercontent.com\"",
	 STORED_IN(struct network_rule, host),
	 .help = "A host name. *. stands for exactly one label, **. for any number; neither covers the name itself. "
		 "Checked only: needs the DNS proxy."},
	{"cidr", VALUE_STRING, CONTENT_CIDR, .example = "10.20.0.0/16", STORED_IN(struct network_rule, cidr),
	 .help = "A range of addresses. Exactly one of host and cidr is written."},
	{"ports", VALUE_PORT_LIST, .example = "[443, \"3000-3999\"]", .default_text = "every port",
	 .help = "Port numbers and ranges."},
	{"proto", VALUE_WORD, WORDS("tcp", "udp"), .default_text = "both", .example = "tcp",
	 STORED_IN(struct network_rule, proto), .help = "The transport protocol."},
	{"by", VALUE_STRING_LIST, CONTENT_PATH, .example = "[/usr/bin/npm]", .default_text = "every program",
	 .help = "The programs that may use this rule, by path. Checked only: needs the exec meter. A deny holds for every "
		 "program."},
	{"allow_all", VALUE_BOOL, .default_text = "false", .example = "true", STORED_IN(struct network_rule, allow_all),
	 .help = "Must be true where cidr is 0.0.0.0/0 or ::/0, so that it is never written by mistake."},
	REASON_ROW(struct network_rule),
	{0},
};

static const struct key keys_dns[] = {
	{"resolver", VALUE_WORD, WORDS("builtin"), .default_text = "builtin", .example = "builtin",
	 .help = "Who answers: berm's own resolver, which gives only names that a rule allows."},
	{"types", VALUE_WORD_LIST, WORDS("A", "AAAA", "CNAME", "MX", "SRV", "TXT"), .default_text = "[A, AAAA]",
	 .example = "[A, AAAA]", .help = "The record types that are answered."},
	{"max_per_minute", VALUE_COUNT, .least = 1, .most = 1000000, .example = "120",
	 .help = "Questions a minute; names are a channel for secrets."},
	{0},
};

static const struct key keys_exec[] = {
	{"default", VALUE_WORD, WORDS("deny", "ask", "allow"), .default_text = "allow", .example = "allow",
	 STORED(exec.default_decision), AT(exec.default_at),
	 .help = "What holds for a program that is not listed. allow: every program that fs lets the run read."},
	{"allow", VALUE_EXEC_RULES, .of = SECTION_EXEC_RULE, .example = "[/usr/bin/git]", STORED(exec.allow),
	 .help = "May be started, with everything beneath where the path is a directory."},
	{"ask", VALUE_EXEC_RULES, .of = SECTION_EXEC_RULE, .example = "[{command: [git, push]}]", STORED(exec.ask),
	 .help = "Wins over allow: a person is asked. Enforced as denied until approvals are there."},
	{"deny", VALUE_EXEC_RULES, .of = SECTION_EXEC_RULE, .example = "[/usr/bin/sudo]", STORED(exec.deny),
	 .help = "Wins over allow and ask, in any order."},
	{"hash", VALUE_WORD, WORDS("off", "pin"), .default_text = "off", .example = "pin",
	 STORED(exec.hash), AT(exec.hash_at),
	 .help = "pin: the programs that exec.allow names run as they were when the plan was made, byte for byte, whatever "
		 "becomes of their files, and nothing else can be started but the dynamic loader. The entries must then be files: "
		 "a directory is refused, also one that is not granted. exec.default must be deny or ask; a ceiling that pins "
		 "makes it deny."},
	{0},
};

static const struct key keys_exec_rule[] = {
	{"path", VALUE_STRING, CONTENT_PATH, .example = "/usr/bin/sudo", STORED_IN(struct exec_rule, path),
	 .help = "A program or a directory of programs. Exactly one of path and command is written."},
	{"command", VALUE_COMMAND, CONTENT_VALUE, .example = "[git, push]",
	 .help = "A program's name and first arguments. Needs the exec meter: until then a run with such a rule is refused."},
	{"match", VALUE_STRING_LIST, CONTENT_LINE, .example = "[\"git push origin main\"]",
	 .help = "Command lines that this rule must match. Checked when the profile is read."},
	{"not_match", VALUE_STRING_LIST, CONTENT_LINE, .example = "[\"git status\"]",
	 .help = "Command lines that this rule must not match. Checked when the profile is read."},
	OPTIONAL_ROW(struct exec_rule),
	REASON_ROW(struct exec_rule),
	{0},
};

static const struct key keys_syscalls[] = {
	{"base", VALUE_WORD, WORDS("default", "strict"), .default_text = "default", .example = "default",
	 STORED(syscalls.base), AT(syscalls.base_at),
	 .help = "The list to start from: what ordinary programs need, or only what a computation needs."},
	{"allow", VALUE_STRING_LIST, CONTENT_SYSCALL, .example = "[mlock]", STORED(syscalls.allow),
	 .help = "Calls added to the base."},
	{"deny", VALUE_STRING_LIST, CONTENT_SYSCALL, .example = "[bpf, io_uring_setup]", STORED(syscalls.deny),
	 .help = "Calls taken out. Wins over allow."},
	{"deny_groups", VALUE_STRING_LIST, CONTENT_SYSCALL_GROUP, .example = "[mount, keyring]",
	 STORED(syscalls.deny_groups), .help = "Groups of calls taken out. Wins over allow. Names have no @."},
	{"families", VALUE_STRING_LIST, CONTENT_SOCKET_FAMILY, .default_text = "[inet, inet6]",
	 .example = "[unix, inet, inet6]", STORED(syscalls.families),
	 .help = "All the kinds of sockets that may be made. An empty list: none. With unix every socket file that the run sees can be connected to."},
	{"on_deny", VALUE_WORD, WORDS("EPERM", "ENOSYS", "kill"), .default_text = "EPERM", .example = "EPERM",
	 STORED(syscalls.on_deny), AT(syscalls.on_deny_at), .help = "What a denied call gets."},
	{0},
};

static const struct key keys_env[] = {
	{"pass", VALUE_STRING_LIST, CONTENT_ENV_PATTERN, .example = "[LANG, \"LC_*\", TERM]", STORED(env.pass),
	 .help = "Variables passed on from the caller. * and ? stand for parts of a name. A pattern never passes variables "
		 "that make other programs load code, such as LD_PRELOAD: those must be named in full."},
	{"set", VALUE_STRING_MAP, CONTENT_ENV_NAME, .example = "{CI: \"true\"}", STORED(env.set),
	 .help = "Variables set for the run. Wins over pass."},
	{"hide", VALUE_STRING_LIST, CONTENT_ENV_PATTERN, .example = "[\"*_TOKEN\", \"AWS_*\"]", STORED(env.hide),
	 .help = "Never passed on, even where pass lists them, and blanked in records."},
	{0},
};

static const struct key keys_limits[] = {
	{"cpu", VALUE_CPU, .least = 1, .most = 102400, .example = "2", STORED(limits.cpu_percent),
	 .help = "Processors' worth of time: 2, or 0.5."},
	{"memory", VALUE_SIZE, .least = MIB, .most = 1024 * TIB, .example = "2GiB", STORED(limits.memory_bytes),
	 .help = "Memory of the whole run."},
	{"pids", VALUE_COUNT, .least = 1, .most = 4194304, .example = "256", STORED(limits.pids),
	 .help = "Processes and threads at one time."},
	{"open_files", VALUE_COUNT, .least = 3, .most = 1048576, .example = "1024", STORED(limits.open_files),
	 .help = "Open descriptors of one process."},
	{"file_size", VALUE_SIZE, .most = 1024 * TIB, .example = "512MiB", STORED(limits.file_size_bytes),
	 .help = "The largest file that can be written."},
	{"wall_time", VALUE_DURATION, .least = 1, .most = 365 * DAY_MS, .example = "30m",
	 STORED(limits.wall_time_ms), .help = "How long the run may take. Then it is ended (exit 124)."},
	{"io_weight", VALUE_COUNT, .least = 1, .most = 10000, .default_text = "100", .example = "50",
	 STORED(limits.io_weight), .help = "The share of disk time, against 100 of others."},
	{"output", VALUE_SIZE, .flags = KEY_PENDING, .needs = "the supervisor", .least = 1, .most = TIB,
	 .example = "16MiB", .help = "Bytes that the run may write to its output."},
	{0},
};

static const struct key keys_test[] = {
	{"do", VALUE_STRING, CONTENT_TEST, .flags = KEY_REQUIRED, .example = "\"read ${HOME}/.ssh/id_ed25519\"",
	 STORED_IN(struct test_rule, operation),
	 .help = "What is tried: read, write or exec PATH, connect HOST:PORT, syscall NAME, env NAME, tool NAME."},
	{"expect", VALUE_WORD, WORDS("deny", "ask", "allow"), .flags = KEY_REQUIRED, .example = "deny",
	 STORED_IN(struct test_rule, expect), .help = "What the profile must decide."},
	{"name", VALUE_STRING, CONTENT_LINE, .example = "cannot read keys", STORED_IN(struct test_rule, name),
	 .help = "What the test shows, for people."},
	{0},
};

const struct section sections[SECTION_COUNT] = {
	[SECTION_TOP] = {"", keys_top, "The profile itself."},
	[SECTION_REQUIRES] = {"requires", keys_requires, "What the host must give. Otherwise the start is refused."},
	[SECTION_FS] = {"fs", keys_fs, "Files and directories. What is not listed is not visible. "
			"deny wins over everything, ask and protect win over write and read. Order never matters."},
	[SECTION_TMP] = {"fs.tmp", keys_tmp, "The run's own /tmp."},
	[SECTION_HOME] = {"fs.home", keys_home, "The run's own ${HOME}."},
	[SECTION_PATH_RULE] = {"fs.read[]", keys_path_rule,
			"An entry of fs.read, write, deny, protect, canaries or network.unix, in its long form."},
	[SECTION_ASK_RULE] = {"fs.ask[]", keys_ask_rule, "An entry of fs.ask, in its long form."},
	[SECTION_NETWORK] = {"network", keys_network, "Connections. What is not listed is denied."},
	[SECTION_NETWORK_RULE] = {"network.allow[]", keys_network_rule, "An entry of network.allow, ask or deny."},
	[SECTION_DNS] = {"network.dns", keys_dns, "How names are resolved."},
	[SECTION_EXEC] = {"exec", keys_exec, "Programs that may be started."},
	[SECTION_EXEC_RULE] = {"exec.allow[]", keys_exec_rule, "An entry of exec.allow, ask or deny, in its long form."},
	[SECTION_SYSCALLS] = {"syscalls", keys_syscalls, "System calls."},
	[SECTION_ENV] = {"env", keys_env, "Environment variables. What is not listed is not passed on."},
	[SECTION_LIMITS] = {"limits", keys_limits, "What one run may use at any moment."},
	[SECTION_BLAST_RADIUS] = {"blast_radius", keys_blast_radius, "What one run may do in total."},
	[SECTION_PACE] = {"pace", keys_pace, "The states a run can be moved to. The primary state is the profile itself."},
	[SECTION_PHASE] = {"pace.alternate", keys_phase, "One state: when it is entered, what holds, how it ends."},
	[SECTION_TRIGGER] = {"pace.alternate.when[]", keys_trigger, "Something that moves a run into the state."},
	[SECTION_RESPONSE] = {"pace.alternate.then", keys_response, "What holds in the state, beside the profile."},
	[SECTION_RECOVER] = {"pace.alternate.recover", keys_recover, "How the state ends by itself."},
	[SECTION_TOOLS] = {"tools", keys_tools, "Tool servers and what may be called on them."},
	[SECTION_SERVER] = {"tools.servers.NAME", keys_server, "One tool server."},
	[SECTION_ARGUMENT] = {"tools.servers.NAME.args.TOOL.ARGUMENT", keys_argument, "Bounds of one argument of one tool."},
	[SECTION_RATE] = {"tools.servers.NAME.rate", keys_rate, "How often something may happen."},
	[SECTION_RESULTS] = {"tools.servers.NAME.results", keys_results, "Bounds of what a tool gives back."},
	[SECTION_APPROVALS] = {"approvals", keys_approvals, "How a person is asked."},
	[SECTION_ASK_RATE] = {"approvals.rate", keys_ask_rate, "How often a person is asked at most."},
	[SECTION_RECORDER] = {"recorder", keys_recorder, "What is recorded of a run. Where the log is, the operator says (docs/recorder.md)."},
	[SECTION_SINK] = {"recorder.sinks[]", keys_sink, "A place that the records of the run are also sent to."},
	[SECTION_WORKSPACE] = {"workspace", keys_workspace, "A directory whose changes wait to be looked at."},
	[SECTION_GATE] = {"gates[]", keys_gate, "A program that judges."},
	[SECTION_TEST] = {"tests[]", keys_test, "One thing the profile must decide."},
};

/* clang-format on */

#define PATTERN_PATH "^(/|\\$\\{[A-Z_]+\\})"

const struct content_info contents[CONTENT_COUNT] = {
	[CONTENT_LINE] = {"one line of text", NULL},
	[CONTENT_TEXT] = {"text", NULL},
	[CONTENT_VALUE] = {"text", NULL},
	[CONTENT_NAME] = {"a name of 1 to 63 lower-case letters, digits and -",
		"^[a-z0-9-]{1,63}$"},
	[CONTENT_PROFILE] = {"a profile's name, or a file as ./file.yaml",
		"^([a-z0-9-]{1,63}|.*/.*)$"},
	[CONTENT_PATH] = {"an absolute path", PATTERN_PATH},
	[CONTENT_PATH_GLOB] = {"an absolute path, globs allowed", PATTERN_PATH},
	[CONTENT_HOST] = {"a host name, \"*.name\" or \"**.name\"",
		"^(\\*{1,2}\\.)?[A-Za-z0-9.-]+$"},
	[CONTENT_CIDR] = {"a range of addresses such as 10.20.0.0/16",
		"^[0-9A-Fa-f.:]+/[0-9]{1,3}$"},
	[CONTENT_LISTEN] = {"ADDRESS:PORT or ADDRESS:PORT-PORT",
		"^(\\[[0-9A-Fa-f:]+\\]|[0-9.]+):[0-9-]+$"},
	[CONTENT_SYSCALL] = {"a system call's name", "^[a-z0-9_]+$"},
	[CONTENT_SYSCALL_GROUP] = {"the name of a group of system calls", "^[a-z0-9-]+$"},
	[CONTENT_SOCKET_FAMILY] = {"the name of a socket family", "^[a-z0-9]+$"},
	[CONTENT_ENV_NAME] = {"a variable's name", "^[A-Za-z_][A-Za-z0-9_]*$"},
	[CONTENT_ENV_PATTERN] = {"a variable's name, * and ? allowed",
		"^[A-Za-z_*?][A-Za-z0-9_*?]*$"},
	[CONTENT_TOOL] = {"a name of letters, digits and _ . / -", "^[A-Za-z0-9_./-]{1,128}$"},
	[CONTENT_TEST] = {"an operation and what it is tried on: \"read /etc/shadow\"",
		"^(read|write|exec|connect|syscall|env|tool) ."},
	[CONTENT_EXPRESSION] = {"a regular expression", NULL},
};

const struct key *key_find(enum section_id section, const char *name)
{
	for (const struct key *key = sections[section].keys; key->name; key++) {
		if (strcmp(key->name, name) == 0)
			return key;
	}
	return NULL;
}

const struct key *key_resolve(const char *full, enum section_id *ret_section)
{
	enum section_id section = SECTION_TOP;
	char name[64];

	for (;;) {
		size_t n = strcspn(full, ".");
		const struct key *key;

		if (n == 0 || n >= sizeof(name))
			return NULL;
		memcpy(name, full, n);
		name[n] = '\0';
		key = key_find(section, name);
		if (!key)
			return NULL;
		if (full[n] == '\0') {
			if (ret_section)
				*ret_section = section;
			return key;
		}
		if (key->type != VALUE_OBJECT)
			return NULL;
		section = key->of;
		full += n + 1;
	}
}

#define KEYS_MAX 64

const char *key_nearest(enum section_id section, const char *word)
{
	const char *names[KEYS_MAX];
	size_t count = 0;

	for (const struct key *key = sections[section].keys; key->name && count < KEYS_MAX; key++)
		names[count++] = key->name;
	return text_nearest(word, names, count);
}

const char *value_type_words(enum value_type type)
{
	static const char *const words[VALUE_TYPE_COUNT] = {
		[VALUE_VERSION] = "the number 1",
		[VALUE_STRING] = "a string",
		[VALUE_BOOL] = "true or false",
		[VALUE_COUNT] = "a whole number",
		[VALUE_CPU] = "a number of processors such as 2 or 0.5",
		[VALUE_SIZE] = "a size such as 512MiB",
		[VALUE_DURATION] = "a time such as 30s or 15m",
		[VALUE_PERCENT] = "a percentage such as 50%",
		[VALUE_WORD] = "a word",
		[VALUE_WORD_OR_OBJECT] = "a word or a mapping",
		[VALUE_STRING_LIST] = "a list of strings",
		[VALUE_WORD_LIST] = "a list of words",
		[VALUE_COMMAND] = "a list of a program and its first arguments",
		[VALUE_PORT_LIST] = "a list of ports such as [443, \"3000-3999\"]",
		[VALUE_STRING_MAP] = "a mapping of names to strings",
		[VALUE_REMOVE_MAP] = "a mapping of keys to lists of entries",
		[VALUE_OBJECT] = "a mapping of keys",
		[VALUE_OBJECT_LIST] = "a list of mappings",
		[VALUE_OBJECT_MAP] = "a mapping of names to mappings",
		[VALUE_OBJECT_MAP_MAP] = "a mapping of names to mappings of names to mappings",
		[VALUE_PATH_RULES] = "a list of paths",
		[VALUE_EXEC_RULES] = "a list of programs",
		[VALUE_NETWORK_RULES] = "a list of network rules",
	};

	return words[type];
}
