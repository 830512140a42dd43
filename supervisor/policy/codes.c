/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/diagnostics.h"

/* clang-format off */

const struct code codes[CODE_COUNT] = {
	[CODE_SYNTAX] = {"E001", "not YAML",
		"The file is not YAML: an indent, a colon, a quote or a bracket is missing or out of place. The text after the "
		"code is the YAML reader's own. Look at the line shown and at the one before it. Indent with spaces, never tabs."},
	[CODE_ENCODING] = {"E002", "not plain UTF-8 text",
		"A profile is UTF-8 text without a byte order mark, with lines that end in a line feed. Control characters, "
		"carriage returns and characters that are invisible or change the direction of text are refused, since a "
		"reviewer would see something else than what is in force."},
	[CODE_UNKNOWN_KEY] = {"E003", "unknown key",
		"The profile language has no such key at this place. A key that is not understood is never skipped: a typing "
		"error in a rule must not silently leave the rule out. `berm help profile` lists every key."},
	[CODE_DUPLICATE_KEY] = {"E004", "duplicate key",
		"The same key is written twice in one mapping. YAML readers keep one of the two without a word; here it is an "
		"error. Put both lists into one."},
	[CODE_WRONG_TYPE] = {"E005", "wrong type",
		"The value is not of the type that the key wants, for instance a list where one word belongs. Text that YAML "
		"reads as a number, a truth value or null must be quoted where text is wanted, and numbers must not be quoted "
		"where a number is wanted."},
	[CODE_ALIAS] = {"E006", "anchor or alias",
		"`&` and `*` at the start of a word make an anchor and an alias in YAML: one text that stands for another. They "
		"make a profile hard to review and can blow up in size, so they are not part of the profile language. Quote "
		"text that begins with one of them."},
	[CODE_TAG] = {"E007", "tag or directive",
		"`!` at the start of a word and lines that begin with % are YAML tags and directives. They change how values "
		"are read and are not part of the profile language. Quote text that begins with one of them."},
	[CODE_SECOND_DOCUMENT] = {"E008", "second document",
		"`---` begins a second YAML document. A profile is exactly one document, so that nothing can hide behind its end."},
	[CODE_TOO_BIG] = {"E009", "too big",
		"A profile has at most 256 KiB, 20000 values, 16 levels, 512 keys in a mapping, 4096 entries in a list and 64 KiB "
		"in a value. The bounds keep a hostile file from costing time or memory. Grant directories instead of single files."},
	[CODE_MISSING_KEY] = {"E010", "missing key",
		"A key that must be written is not there. Every profile file has `version: 1` and a `name`; rules in their long "
		"form have what they are about."},
	[CODE_VERSION] = {"E011", "unknown version",
		"This build reads version 1 of the profile language only. It refuses everything else, since it cannot know what "
		"the rules of another version mean."},
	[CODE_NAME] = {"E012", "bad name",
		"A name has 1 to 63 lower-case letters, digits and -. It stands in records, in file names and in metrics. A "
		"profile in `extends` is such a name, or the path of a file that begins with ./ or /."},
	[CODE_UNKNOWN_WORD] = {"E013", "unknown word",
		"The key takes one of a few words and this is none of them. The words are listed in the message."},
	[CODE_NUMBER] = {"E014", "bad number",
		"A number is written with decimal digits alone, without a sign, leading zero, exponent or suffix, and lies within "
		"the bounds in the message. Everything else is refused instead of guessed."},
	[CODE_UNIT] = {"E015", "bad size, time or percentage",
		"Sizes are written as 512KiB, 64MiB, 2GiB or 1TiB, or as plain bytes; times as 250ms, 30s, 15m, 2h or 30d, always "
		"with a unit; percentages as 50%. Suffixes such as k, KB or min are refused since people read them differently."},
	[CODE_BOOL] = {"E016", "bad truth value",
		"The only truth values are true and false, without quotes. yes, no, on, off and 1 mean different things to "
		"different YAML readers."},
	[CODE_EMPTY] = {"E017", "empty",
		"An entry or a value is empty. An empty list means that nothing is allowed; an empty text in a list means "
		"nothing at all and is most often a mistake of a template."},
	[CODE_UNSET_VARIABLE] = {"E018", "variable not set",
		"The variable is part of the language and has no value in this run. An empty value would turn ${HOME}/.ssh into "
		"/.ssh, so it is an error instead."},
	[CODE_DOLLAR] = {"E019", "unknown variable",
		"The variables are ${HOME}, ${WORKDIR}, ${TMPDIR}, ${STATE}, ${RUN_ID} and ${UID}, always in braces. There is no "
		"other use of $: no shell and no environment is behind it."},
	[CODE_PATH] = {"E020", "bad path",
		"A path is absolute once its variables are replaced, shorter than 4096 bytes, and has no component `..`: what `..` "
		"means depends on links that may change."},
	[CODE_GLOB] = {"E021", "bad glob",
		"Globs are understood in fs.deny, fs.protect and fs.canaries only; a grant names a directory and covers what is "
		"beneath it. `**` stands alone between two slashes. A variable whose value holds a glob character cannot be used "
		"in a pattern."},
	[CODE_EXTENDS_MISSING] = {"E022", "profile not found",
		"A profile named in `extends` was not found. Names are looked up in the directories of the search path, never in "
		"the working directory; ./file.yaml is looked up beside the file that names it. `meson install` puts the "
		"profiles that come with berm into /usr/share/berm/profiles."},
	[CODE_EXTENDS_CYCLE] = {"E023", "profiles in a circle",
		"Profiles extend one another in a circle. The message shows the chain."},
	[CODE_EXTENDS_DEPTH] = {"E024", "too many levels of extends",
		"`extends` goes at most 5 levels deep and over at most 32 files. Deeper chains cannot be reviewed."},
	[CODE_UNTRUSTED] = {"E025", "file can be changed by others",
		"Somebody else can change this profile: it or one of its directories belongs to another user, or is writable by its "
		"group or by everyone. Who can change a profile chooses the walls. Remedy: chmod go-w FILE, and chown it to root "
		"or to yourself."},
	[CODE_UNREADABLE] = {"E026", "file cannot be read",
		"The file is there and cannot be read, or it is no regular file."},
	[CODE_REMOVE_ABSENT] = {"E027", "nothing to remove",
		"`remove` names an entry that `extends` did not bring. It must be written exactly as in the profile it came from. "
		"An entry that is gone from the base is an error, so that a grant under a new spelling is noticed."},
	[CODE_REMOVE_KEY] = {"E028", "key cannot be removed from",
		"`remove` takes entries out of lists: fs, network, exec, syscalls and env keys that hold lists. A single value is "
		"replaced by writing it again."},
	[CODE_HOST] = {"E029", "bad host",
		"A host is a name such as api.example.com; *.example.com covers exactly one more label, **.example.com any number, "
		"and neither covers example.com itself. No scheme, port, path or address, and no wildcard over a whole top-level "
		"domain. Names in other scripts are written in their xn-- form, since different letters can look alike."},
	[CODE_CIDR] = {"E030", "bad address range",
		"A range is an address, / and the number of its leading bits, with all other bits zero: 10.20.0.0/16 or "
		"2001:db8::/32. A single address is written with /32 or /128."},
	[CODE_QUOTE] = {"E031", "needs quotes",
		"The character means something to YAML where it stands. Quote the whole text: \"*.example.com\". Inside [ ] and "
		"{ } text with ${…} needs quotes as well."},
	[CODE_EVERYWHERE] = {"E032", "the whole Internet",
		"0.0.0.0/0 and ::/0 are every address there is. Where that is meant, write allow_all: true in the same rule."},
	[CODE_ONE_OF] = {"E033", "exactly one of two keys",
		"A network rule has either host or cidr, an exec rule either path or command. Two rules are written for both."},
	[CODE_PORTS] = {"E034", "bad ports",
		"Ports are whole numbers from 1 to 65535 and ranges such as \"3000-3999\", in a list that is not empty. Without the "
		"key, a rule covers every port."},
	[CODE_PROTECTED_ROOT] = {"E035", "must not be writable",
		"Who can write to /, /etc, /usr, the home directory itself or the kernel's file systems can change what runs "
		"outside the walls. Grant the directories beneath them that the tool works in."},
	[CODE_UNKNOWN_NAME] = {"E036", "unknown system call, group or family",
		"There is no system call, group of system calls or socket family of that name. Groups are written without @. "
		"A name that is not understood is never skipped."},
	[CODE_ENV_NAME] = {"E037", "bad variable name",
		"A variable's name has letters, digits and _, and begins with no digit. In pass and hide, * and ? stand for parts "
		"of a name."},
	[CODE_SAMPLE] = {"E038", "sample contradicts its rule",
		"The samples in match must be covered by the command of their rule, those in not_match must not be. They are "
		"checked each time the profile is read, so that a rule does what its author thinks."},
	[CODE_HOST_NETWORK] = {"E039", "host network with rules",
		"network.mode: host gives the run the host's whole network but for what network.deny names, so that allow, ask and "
		"listen would say nothing. Take the mode or these rules out."},
	[CODE_PATH_ABSENT] = {"E040", "path does not exist",
		"A path that is granted does not exist on this host. Skipping it silently would make the same profile mean "
		"different things on different hosts. Where it may be absent, write {path: …, optional: true}."},
	[CODE_LISTEN] = {"E041", "bad listen address",
		"listen takes ADDRESS:PORT or ADDRESS:PORT-PORT with a numeric address, IPv6 in brackets: \"127.0.0.1:3000-3999\", "
		"\"[::1]:8080\"."},
	[CODE_TEST] = {"E042", "bad test",
		"do is an operation and what it is tried on: read, write or exec with a path or command line, connect HOST:PORT, "
		"syscall NAME, env NAME, tool NAME."},
	[CODE_LINE] = {"E043", "more than one line",
		"The value must be one line without tabs. Only descriptions, reasons and values of variables may hold more."},
	[CODE_PROFILE_WRITABLE] = {"E044", "profile inside its own grant",
		"A write grant leads, through a symbolic link, to the directory of the profile itself. What runs inside could "
		"rewrite its own walls for the next run. Name the grant by its real path, or keep the profile elsewhere."},
	[CODE_CEILING] = {"E045", "ceiling and profile cannot be combined",
		"The stricter of what the two say cannot be written as rules: the ceiling asks about programs in a directory that "
		"holds a write grant of the profile, where programs do not run at all. The run is refused instead of guessed at."},
	[CODE_CALL_NEVER] = {"E046", "system call that nobody can allow",
		"The call carries other calls or its arguments in memory, so allowing it would undo the rules about other calls. "
		"No profile can allow it."},
	[CODE_CALL_ESSENTIAL] = {"E047", "system call that every program needs",
		"Without this call no program starts or ends: the run would hang or die before the tool's first instruction."},
	[CODE_TRIGGER] = {"E048", "trigger without what it needs",
		"A trigger of pace has the numbers of its event and no others: denial has count and within, blast_radius has "
		"above, approvals_unreachable may have for. A share of blast_radius needs a cap there: a share of nothing is "
		"never reached."},
	[CODE_EXPRESSION] = {"E049", "bad regular expression",
		"Expressions are those of Perl as PCRE2 reads them, over bytes, at most 1024 of them. One that matches the empty "
		"text would blank nothing. Write it in single quotes, so that YAML leaves its backslashes alone."},
	[CODE_OPERATOR] = {"E050", "not for a profile",
		"What runs, or where something is written, outside of the walls with the rights of the recorder is said by the "
		"operator of the log and never by a profile: who writes a profile could hide a run from the log, or have "
		"programs started beside the walls. The message names the place where it is said."},
	[CODE_WARNING_COVERED] = {"W001", "rule without effect",
		"A grant is fully covered by a deny, so it allows nothing. deny wins over everything, in any order."},
	[CODE_WARNING_EXEC_WRITABLE] = {"W002", "writable programs",
		"Programs may be started from a directory that the tool can write. It can then run anything it likes, and exec "
		"rules by path mean little there. Where that is meant, give the entry a reason."},
	[CODE_WARNING_WIDE] = {"W003", "wide address range",
		"The range covers a very large part of the Internet. Name the networks that are needed."},
	[CODE_WARNING_LINKS] = {"W004", "denied file has other names",
		"The denied file has more than one hard link. Under its other names it may still be reachable: deny those too."},
	[CODE_WARNING_ENV_ALL] = {"W005", "whole environment",
		"env.pass: \"*\" hands every variable of the caller to the tool, with every secret in them. Name what it needs, or "
		"list the secrets in env.hide."},
	[CODE_WARNING_READ_ALL] = {"W006", "everything readable",
		"fs.read: / makes every file of the host readable that is not denied. Name the directories that are needed."},
	[CODE_WARNING_NEVER] = {"W007", "never happens",
		"What the line speaks of cannot happen in this profile: a warning or a state at a cap where no cap is written, "
		"or the touch of a canary where there are none."},
	[CODE_WARNING_KEEP] = {"W008", "records kept for a short time",
		"The records of a run may go after less than 90 days. That is the least that MASO asks for, and an incident is "
		"often noticed only after weeks. Without the line they are kept for a year."},
	[CODE_NOTE_NARROWED] = {"N001", "narrowed by the ceiling",
		"The operator's ceiling allows only a part of what the profile asks for. The part is in force."},
	[CODE_NOTE_DROPPED] = {"N002", "dropped by the ceiling",
		"The operator's ceiling does not allow this, so it is not in force. A ceiling only takes away; the operator can "
		"widen it."},
	[CODE_NOTE_SYMLINK] = {"N003", "symbolic link",
		"The granted path is a symbolic link. What it leads to when the run starts is granted, and it is checked that it "
		"does not change in between."},
	[CODE_NOTE_SELF] = {"N004", "profiles protected",
		"The profile, or a place where a profile would be looked for, lies inside a write grant. It is kept from being "
		"changed, since a tool that writes a profile chooses its own walls for the next run."},
};

/* clang-format on */
