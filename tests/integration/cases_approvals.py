# SPDX-License-Identifier: Apache-2.0
"""Approvals and gates from outside: what is held starts when it may, as it was shown, or not at all."""
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import termios
import time

import harness
import inventory
from cases_record import wait_for

JUDGE = """#!/bin/sh
# The question is kept where the row looks.
cat > "%(top)s/$1.question.new" && mv "%(top)s/$1.question.new" "%(top)s/$1.question"
%(body)s
"""
YES = "echo '{\"decision\": \"allow\", \"by\": \"a judge\", \"reason\": \"it is fine\"}'"


class World:
    """A state directory of one row, berm's words for it, and programs that judge."""

    def __init__(self, sandbox, name):
        self.sandbox = sandbox
        self.name = name
        self.top = "%s/approvals-%s" % (sandbox.top, name)
        shutil.rmtree(self.top, ignore_errors=True)
        os.mkdir(self.top, 0o755)
        self.state = self.top + "/state"
        self.started = []
        self.may_end = []
        self.profile = None

    def environment(self):
        values = self.sandbox.environment(BERM_STATE_DIR=self.state)
        values.pop("SUDO_UID", None)
        values.pop("SUDO_GID", None)
        return values

    def use(self, more):
        self.profile = self.sandbox.write_profile("approvals-" + self.name, more)
        os.chmod(self.profile, 0o644)

    def program(self, name, body, mode=0o755):
        path = "%s/%s.sh" % (self.top, name)
        self.sandbox.write_text(path, JUDGE % {"top": self.top, "body": body})
        os.chmod(path, mode)
        return path

    def gate(self, name, body, more="", on="[run]"):
        return "  - {name: %s, exec: [%s, %s], on: %s%s}\n" % (name, self.program(name, body), name, on, more)

    def gates(self, *rows):
        self.use("gates:\n" + "".join(rows))

    def question(self, name):
        with open("%s/%s.question" % (self.top, name), encoding="utf-8") as file:
            return json.load(file)

    def berm(self, *words, timeout=60):
        return harness.run([self.sandbox.berm, *words], env=self.environment(), cwd=self.sandbox.ws, timeout=timeout)

    def command(self, *tool):
        return [self.sandbox.berm, "run", "-p", self.profile, "--", *tool]

    def run(self, *tool):
        return self.berm(*self.command(*tool)[1:])

    def start(self, *tool, **options):
        command = self.command(*tool)
        command[2:2] = options.pop("words", [])
        options.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(command, env=self.environment(), cwd=self.sandbox.ws, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, **options)
        self.started.append(process)
        return process

    def approvals(self, *options):
        return json.loads(self.berm("approvals", "--json", *options).text)["approvals"]

    def waiting(self, case, counts):
        """The questions that are open, once so many runs wait for each. Whoever has ended meanwhile fails the row."""
        end = time.monotonic() + 60 * harness.SLOWER
        found = []
        while time.monotonic() < end:
            found = self.approvals()
            if sorted(entry["waiting"] for entry in found) == counts:
                return found
            for process in self.started:
                if process.poll() is not None and process not in self.may_end:
                    case.that(False, "a run that is to wait has ended", *self.end(process).describe())
                    raise AssertionError("nobody waits")
            time.sleep(0.1)
        case.that(False, "questions of %s runs, and there are: %s" % (counts, found))
        raise AssertionError("nobody waits")

    def end(self, process):
        self.may_end.append(process)
        output, errors = process.communicate(timeout=60 * harness.SLOWER)
        return harness.Result(process.returncode, output, errors, 0, False)

    def records(self, kind="approval"):
        inventory.end_recorders(self.state)
        result = self.berm("log", "--json")
        rows = [json.loads(line) for line in result.text.splitlines() if line]
        return [row["record"][kind] for row in rows if row.get("kind") == kind]

    def close(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.communicate()
        inventory.end_recorders(self.state)
        shutil.rmtree(self.top, ignore_errors=True)


def row(name):
    def wrap(function):
        def judged(sandbox, case):
            world = World(sandbox, name)
            try:
                function(world, sandbox, case)
            finally:
                world.close()
        return judged
    return wrap


def ran(sandbox, name="ran"):
    return os.path.exists(sandbox.ws + "/" + name)


TOUCH = ("/bin/sh", "-c", "echo x > ran")


@row("yes")
def an_approved_run_starts(world, sandbox, case):
    world.use("approvals: {on: [run], timeout: 60s}\n")
    process = world.start(*TOUCH)
    asked = world.waiting(case, [1])
    case.that(not ran(sandbox), "it ran before anybody answered")
    case.that(asked[0]["argv"] == list(TOUCH) and asked[0]["directory"] == sandbox.ws, asked)
    case.code(world.berm("approve", "--reason", "looks good", asked[0]["id"][:5]), 0)
    case.code(world.end(process), 0)
    case.that(ran(sandbox), "it did not run")
    case.that(world.approvals() == [] and len(world.approvals("--all")) == 1, world.approvals("--all"))
    case.code(world.berm("approve", asked[0]["id"]), 1)
    case.code(world.berm("deny", asked[0]["id"]), 1)
    case.code(world.berm("approve", "ZZZZZZZZ"), 2)
    told = world.records()
    case.that(len(told) == 1 and told[0]["answer"] == "once" and told[0]["channel"] == "socket" and
              told[0]["approver"] and told[0]["digest"] == asked[0]["digest"], told)


@row("no")
def a_denied_run_never_starts(world, sandbox, case):
    world.use("approvals: {on: [run], timeout: 60s}\n")
    process = world.start(*TOUCH)
    asked = world.waiting(case, [1])
    case.code(world.berm("deny", "--reason", "not today", asked[0]["id"]), 0)
    result = world.end(process)
    case.that(result.code == 126 and "not today" in result.errors and not ran(sandbox), *result.describe())
    told = world.records()
    case.that([entry["answer"] for entry in told] == ["denied"], told)


@row("late")
def no_answer_is_no(world, sandbox, case):
    world.use("approvals: {on: [run], timeout: 1s}\n")
    result = world.run(*TOUCH)
    case.that(result.code == 126 and "nobody approved" in result.errors and not ran(sandbox), *result.describe())
    over = world.approvals("--all")
    case.that(len(over) == 1 and over[0]["state"] == "expired", over)
    case.code(world.berm("approve", over[0]["id"]), 1)
    told = world.records()
    case.that([entry["answer"] for entry in told] == ["timeout"], told)


@row("again")
def the_same_command_asks_again(world, _sandbox, case):
    world.use("approvals: {on: [run], timeout: 60s}\n")
    asked = set()
    for _ in range(2):
        process = world.start("/bin/true")
        found = world.waiting(case, [1])
        case.that(found[0]["id"] not in asked, "an answer was kept")
        asked.add(found[0]["id"])
        case.code(world.berm("approve", found[0]["id"]), 0)
        case.code(world.end(process), 0)


@row("equal")
def equal_questions_are_one(world, sandbox, case):
    world.use("approvals: {on: [run], timeout: 120s}\n")
    tool = sandbox.file("tool", "#!/bin/sh\n", 0o755)
    first = world.start(tool, "a")
    world.waiting(case, [1])
    second = world.start(tool, "a")
    world.waiting(case, [2])
    other = world.start(tool, "b")
    found = world.waiting(case, [1, 2])
    double = [entry for entry in found if entry["waiting"] == 2]
    single = [entry for entry in found if entry["waiting"] == 1]
    case.that(double[0]["argv"][1] == "a", found)
    # Whoever does not know how many wait says yes to none of them.
    result = world.berm("approve", double[0]["id"])
    case.that(result.code == 1 and "--waiting 2" in result.errors, *result.describe())
    case.code(world.berm("approve", "--waiting", "2", double[0]["id"]), 0)
    case.code(world.end(first), 0)
    case.code(world.end(second), 0)
    case.code(world.berm("deny", single[0]["id"]), 0)
    case.code(world.end(other), 126)


@row("joined")
def who_joins_after_somebody_looked_asks_anew(world, sandbox, case):
    world.use("approvals: {on: [run], timeout: 120s}\n")
    tool = sandbox.file("tool", "#!/bin/sh\n", 0o755)
    first = world.start(tool)
    seen = world.waiting(case, [1])
    second = world.start(tool)
    world.waiting(case, [2])
    case.code(world.berm("approve", "--waiting", "1", seen[0]["id"]), 0)
    case.code(world.end(first), 0)
    anew = world.waiting(case, [1])
    case.that(anew[0]["id"] != seen[0]["id"], anew)
    case.code(world.berm("deny", anew[0]["id"]), 0)
    case.code(world.end(second), 126)


@row("input")
def what_the_tool_reads_is_part_of_the_question(world, sandbox, case):
    world.use("approvals: {on: [run], timeout: 120s}\n")
    held = []
    for name in ("good", "evil"):
        with open(sandbox.file(name, name + "\n"), "rb") as file:
            held.append(world.start("/bin/sh", "-c", "cat > ran", stdin=file))
        found = world.waiting(case, [1] * len(held))
    case.that(any(sandbox.ws + "/good" in entry["details"] for entry in found), found)
    with open(sandbox.ws + "/evil", "a", encoding="utf-8") as file:
        file.write("worse\n")
    for entry in found:
        case.code(world.berm("approve", entry["id"]), 0)
    case.code(world.end(held[0]), 0)
    result = world.end(held[1])
    case.that(result.code == 126 and "reads from" in result.errors, *result.describe())


@row("flood")
def who_asks_too_often_is_not_heard(world, _sandbox, case):
    world.use("approvals: {on: [run], timeout: 60s, rate: {max: 2, within: 24h}}\n")
    held = [world.start("/bin/true", str(number)) for number in range(2)]
    asked = world.waiting(case, [1, 1])
    # Another question is one too many, and so is one more that joins.
    for word in ("third", "0"):
        result = world.run("/bin/true", word)
        case.that(result.code == 126 and "more often" in result.errors, *result.describe())
    for entry in asked:
        case.code(world.berm("approve", entry["id"]), 0)
    for process in held:
        case.code(world.end(process), 0)
    answers = sorted(entry["answer"] for entry in world.records())
    case.that(answers == ["once", "once", "rate_limited", "rate_limited"], answers)


@row("swap")
def what_changed_while_it_was_held_does_not_start(world, sandbox, case):
    world.use("approvals: {on: [run], timeout: 60s}\n")
    tool = sandbox.file("tool", "#!/bin/sh\necho good > ran\n", 0o755)
    process = world.start(tool)
    asked = world.waiting(case, [1])
    sandbox.file("tool.new", "#!/bin/sh\necho evil > ran\n", 0o755)
    os.rename(tool + ".new", tool)
    case.code(world.berm("approve", asked[0]["id"]), 0)
    result = world.end(process)
    case.that(result.code == 126 and "was changed while" in result.errors and not ran(sandbox), *result.describe())


@row("signal")
def a_run_that_gives_up_takes_its_question_back(world, sandbox, case):
    world.use("approvals: {on: [run], timeout: 60s}\n")
    process = world.start(*TOUCH)
    asked = world.waiting(case, [1])
    process.send_signal(signal.SIGTERM)
    world.end(process)
    case.that(process.returncode == -signal.SIGTERM, process.returncode)
    over = world.approvals("--all")
    case.that(over[0]["state"] == "withdrawn" and not ran(sandbox), over)
    case.code(world.berm("approve", asked[0]["id"]), 1)
    told = world.records()
    case.that([entry["answer"] for entry in told] == ["withdrawn"], told)


@row("changed")
def what_it_may_do_is_asked_again_after_the_answer(world, sandbox, case):
    """A profile, a ceiling, or what is on the host: each may be another one than when the person looked."""
    ceiling = sandbox.write_profile("approvals-ceiling")

    def narrow_profile():
        world.use("limits: {open_files: 100}\n" + asks)

    def narrow_ceiling():
        sandbox.write_profile("approvals-ceiling", "limits: {open_files: 100}\n")

    def new_key():
        sandbox.file("new.pem", "secret")
    asks = "approvals: {on: [run], timeout: 120s}\n"
    for change in (None, narrow_profile, narrow_ceiling, new_key):
        sandbox.fresh()
        sandbox.file("old.pem", "secret")
        sandbox.write_profile("approvals-ceiling")
        world.use(asks)
        with open(world.profile, encoding="utf-8") as file:
            text = file.read()
        more = "  deny:\n    - {path: '${WORKDIR}/*.pem', optional: true}\n"
        sandbox.write_text(world.profile, text.replace("  deny:\n", more))
        process = world.start(*TOUCH, words=["--ceiling", ceiling])
        asked = world.waiting(case, [1])
        if change:
            change()
        case.code(world.berm("approve", asked[0]["id"]), 0)
        result = world.end(process)
        if change:
            case.that(result.code == 126 and "was changed while" in result.errors and not ran(sandbox),
                      change.__name__, *result.describe())
        else:
            case.that(result.code == 0 and ran(sandbox), *result.describe())


@row("doors")
def every_verb_that_starts_a_tool_asks(world, sandbox, case):
    world.gates(world.gate("no", "exit 2"))
    tests = sandbox.write_text(world.top + "/doors.test.yaml", "profile: %s\ncases:\n  - {name: runs, run: [%s], "
                               "expect_exit: 0}\n" % (world.profile, ", ".join('"%s"' % word for word in TOUCH)))
    out = world.top + "/learnt.yaml"
    for words in (("run", "-p", world.profile, "--", *TOUCH),
                  ("learn", "--base", world.profile, "--out", out, "--", *TOUCH),
                  ("profile", "test", "--live", tests)):
        result = world.berm(*words)
        case.that(result.code not in (0, 2) and not ran(sandbox), *words, *result.describe())
        case.that("says no" in result.errors or "held" in result.errors + result.text, *words, *result.describe())


@row("big")
def what_nobody_can_be_shown_is_not_asked(world, _sandbox, case):
    world.use("approvals: {on: [run], timeout: 120s}\n")
    result = world.run("/bin/true", "x" * 40000)
    case.that(result.code == 126 and "more than" in result.errors, *result.describe())
    case.that(world.approvals("--all") == [], world.approvals("--all"))


def as_leader(terminal):
    """The terminal becomes that of a session of its own."""
    def change():
        os.setsid()
        import fcntl  # pylint: disable=import-outside-toplevel
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    return change


class Terminal:
    """A terminal of somebody, and what stands on it."""

    def __init__(self):
        self.ours, self.theirs = pty.openpty()
        os.set_blocking(self.ours, False)
        self.shown = ""

    def look(self):
        try:
            self.shown += os.read(self.ours, 65536).decode("utf-8", "replace")
        except OSError:
            pass
        return self.shown

    def type(self, words):
        os.write(self.ours, words.encode())

    def codes(self):
        return re.findall("Type ([0-9A-Z]+) to approve", self.look())

    def asked(self, case, count=1):
        """The letters that say yes, once so many questions have stood there."""
        wait_for(case, "a question at the terminal", lambda: len(self.codes()) >= count, seconds=60)
        return self.codes()[count - 1]

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


def at_terminal(function):
    def judged(world, sandbox, case):
        terminal = Terminal()
        try:
            function(world, sandbox, case, terminal)
        finally:
            terminal.close()
    return judged


@row("terminal")
def the_terminal_answers(world, sandbox, case):
    world.use("approvals: {on: [run], channels: [tty], timeout: 60s}\n")
    for words, code in ((("a", None), 0), (("d",), 126), (("a", "yes", "y"), 126)):
        sandbox.fresh()
        terminal = Terminal()
        try:
            # What was typed before the question is no answer to it.
            terminal.type("d\n")
            process = world.start(*TOUCH, preexec_fn=as_leader(terminal.theirs))
            yes = terminal.asked(case)
            case.that(not ran(sandbox) and "echo x > ran" in terminal.shown, terminal.shown)
            for word in words:
                terminal.type((word or yes.lower()) + "\n")
            result = world.end(process)
            case.that(result.code == code and ran(sandbox) == (code == 0), *result.describe())
        finally:
            terminal.close()
    process = world.start(*TOUCH, start_new_session=True)
    result = world.end(process)
    case.that(result.code == 126 and "nobody can be asked" in result.errors, *result.describe())


@row("turns")
@at_terminal
def one_question_at_a_time(world, sandbox, case, terminal):
    """Two runs of one foreground group: a line is for the question that is shown, and the other one waits."""
    world.use("approvals: {on: [run], channels: [tty], timeout: 120s}\n")
    script = "%s run -p %s -- /bin/sh -c 'echo $0 >> ran' $1 2>/dev/null & " % (sandbox.berm, world.profile)
    process = subprocess.Popen(["/bin/sh", "-c", script.replace("$1", "one") + script.replace("$1", "two") + "wait"],
                               env=world.environment(), cwd=sandbox.ws, stdin=terminal.theirs,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               preexec_fn=as_leader(terminal.theirs))
    world.started.append(process)
    first = terminal.asked(case)
    world.waiting(case, [1, 1])
    shown = terminal.look()
    # The other one has looked for its turn several times.
    time.sleep(2.5)
    case.that(len(terminal.codes()) == 1, terminal.shown)
    name = "one" if "one" in shown.split("asked")[0].split("Type")[0] else "two"
    terminal.type(first + "\n")
    second = terminal.asked(case, 2)
    case.that(second != first, terminal.shown)
    # The letters of the first question are nothing to the second one.
    terminal.type(first + "\n")
    wait_for(case, "another attempt", lambda: terminal.look().count("to approve, d to deny: ") == 1, seconds=60)
    terminal.type("d\n")
    world.end(process)
    with open(sandbox.ws + "/ran", encoding="utf-8") as file:
        case.that(file.read() == name + "\n", name, terminal.shown)


@row("forged")
def a_file_that_is_not_ours_answers_nothing(world, sandbox, case):
    """And nobody else's question is the worse for it."""
    world.use("approvals: {on: [run], timeout: 120s}\n")
    bad = world.start(*TOUCH)
    asked = world.waiting(case, [1])
    good = world.start("/bin/true")
    other = [entry for entry in world.waiting(case, [1, 1]) if entry["id"] != asked[0]["id"]]
    path = "%s/approvals/%s" % (world.state, asked[0]["id"])
    with open(path, "rb") as file:
        whole = file.read()
    with open(path + ".x", "wb") as file:
        file.write(whole[:-1] + bytes([whole[-1] ^ 1]))
    os.chmod(path + ".x", 0o600)
    os.rename(path + ".x", path)
    result = world.end(bad)
    case.that(result.code == 125 and "state file" in result.errors and not ran(sandbox), *result.describe())
    case.code(world.berm("approve", asked[0]["id"]), 3)
    listed = json.loads(world.berm("approvals", "--json").text)
    case.that(listed["damaged"] == [asked[0]["id"]], listed)
    case.code(world.berm("approve", other[0]["id"]), 0)
    case.code(world.end(good), 0)


ROWS = [
    ("a held run starts when a person approved it, and the answer is recorded", an_approved_run_starts),
    ("a denied run never starts", a_denied_run_never_starts),
    ("no answer in time is no", no_answer_is_no),
    ("an answer is for the runs that waited, not for later ones", the_same_command_asks_again),
    ("equal questions are one, and one answer is for all who wait", equal_questions_are_one),
    ("one yes is for those that were seen waiting, and who joins later asks anew",
     who_joins_after_somebody_looked_asks_anew),
    ("what the tool reads is part of the question", what_the_tool_reads_is_part_of_the_question),
    ("what a run may do is looked at again after the answer", what_it_may_do_is_asked_again_after_the_answer),
    ("every verb that starts a tool asks first", every_verb_that_starts_a_tool_asks),
    ("what is too long to be shown is denied", what_nobody_can_be_shown_is_not_asked),
    ("who asks too often is denied without asking", who_asks_too_often_is_not_heard),
    ("a program that was changed while it was held does not start", what_changed_while_it_was_held_does_not_start),
    ("a run that gives up takes its question back", a_run_that_gives_up_takes_its_question_back),
    ("the caller's terminal answers, and nothing that was typed before", the_terminal_answers),
    ("at one terminal stands one question at a time", one_question_at_a_time),
    ("a damaged question lets nothing start, and stands in nobody else's way", a_file_that_is_not_ours_answers_nothing),
]
