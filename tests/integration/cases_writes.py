# SPDX-License-Identifier: Apache-2.0
"""Runs that are held before their first write: they read on, and nothing is changed before somebody says yes."""
import json
import os
import signal
import subprocess

import harness
from cases_approvals import YES, ran, row
from cases_record import wait_for

ASKS = "approvals: {on: [write], timeout: 120s}\n"
WRITES = "cat given; echo x > ran; echo y > two; echo after $?"


def begin(world, sandbox, script):
    sandbox.file("given", "read\n")
    return world.start("/bin/sh", "-c", script)


def begin_named(world, sandbox, case):
    """One that says which run it is: others' runs are none of this row's business. Held when this returns."""
    process = begin(world, sandbox, "echo $BERM_RUN; " + WRITES)
    asked = world.waiting(case, [1])[0]
    return process, asked, os.read(process.stdout.fileno(), 100).decode().split()[0]


@row("write-yes")
def the_first_write_waits(world, sandbox, case):
    world.use(ASKS)
    process = begin(world, sandbox, WRITES)
    asked = world.waiting(case, [1])[0]
    case.that(os.read(process.stdout.fileno(), 100) == b"read\n", "it does not read on")
    case.that(not ran(sandbox), "it wrote before anybody answered")
    case.that(asked["on"] == "write" and "first write: openat of ran\n" in asked["details"], asked)
    case.code(world.berm("approve", asked["id"]), 0)
    result = world.end(process)
    case.that(result.code == 0 and result.text == "after 0\n" and ran(sandbox) and ran(sandbox, "two"),
              *result.describe())
    case.that(len(world.approvals("--all")) == 1, world.approvals("--all"))
    told = world.records()
    case.that(len(told) == 1 and told[0]["operation"] == "write" and told[0]["answer"] == "once" and
              told[0]["digest"] == asked["digest"], told)


@row("write-no")
def a_run_that_may_not_write_goes_on_without(world, sandbox, case):
    for timeout, answer in (("120s", "denied"), ("1s", "timeout")):
        sandbox.fresh()
        world.use(ASKS.replace("120s", timeout))
        process = begin(world, sandbox, WRITES + "; cat given")
        if answer == "denied":
            case.code(world.berm("deny", "--reason", "not here", world.waiting(case, [1])[0]["id"]), 0)
        result = world.end(process)
        case.that(result.code == 0 and result.text.endswith("read\n") and "after 0" not in result.text and
                  not ran(sandbox) and not ran(sandbox, "two"), *result.describe())
        case.that("may not write" in result.errors, *result.describe())
    # It was asked once, and each write that was refused is a denial by that line.
    told = [entry["answer"] for entry in world.records()]
    case.that(told == ["denied", "timeout"], told)
    rules = {(entry["operation"], entry["rule"]["key"]) for entry in world.records("denial")}
    case.that(("syscall", "approvals.on") in rules, rules)


# Whatever a tool can begin with.
BEGINNINGS = ["rm given", "mkdir ran", "ln -s given ran", "ln given ran", "chmod 600 given", "mv given ran",
              "touch given", "truncate -s 0 given", "(: >> given)", "mkfifo ran"]


@row("write-kinds")
def every_way_to_begin_is_held(world, sandbox, case):
    world.use("gates:\n" + world.gate("no", "exit 2", on="[write]"))
    for script in BEGINNINGS:
        sandbox.fresh()
        path = sandbox.file("given", "read\n")
        before = os.lstat(path)
        result = world.run("/bin/sh", "-c", script + " 2>/dev/null; echo after")
        case.that(result.code == 0 and result.text == "after\n", script, *result.describe())
        case.that(not os.path.lexists(sandbox.ws + "/ran"), script)
        now = os.lstat(path)
        case.that((before.st_mode, before.st_mtime_ns, before.st_size, before.st_nlink) ==
                  (now.st_mode, now.st_mtime_ns, now.st_size, now.st_nlink), script)


def written(sandbox):
    return [name for name in os.listdir(sandbox.ws) if name[0] == "f"]


@row("write-many")
def all_that_write_wait_together(world, sandbox, case):
    world.use(ASKS)
    process = begin(world, sandbox, "for n in 1 2 3 4 5 6 7 8; do (echo $n > f$n) & done; wait")
    asked = world.waiting(case, [1])[0]
    case.that(not written(sandbox), written(sandbox))
    case.code(world.berm("approve", asked["id"]), 0)
    case.code(world.end(process), 0)
    case.that(len(written(sandbox)) == 8, written(sandbox))


@row("write-gates")
def gates_judge_a_first_write(world, sandbox, case):
    yes = world.gate("yes", YES, on="[write]")
    world.use("gates:\n" + yes)
    result = world.end(begin(world, sandbox, WRITES))
    case.that(result.code == 0 and ran(sandbox), *result.describe())
    question = world.question("yes")
    case.that(question["on"] == "write" and "openat of ran" in question["details"], question)
    sandbox.fresh()
    world.use("gates:\n" + yes + world.gate("broken", "exit 7", on="[run, write]", more=", on_error: ask"))
    process = begin(world, sandbox, WRITES)
    for moment in ("run", "write"):
        asked = world.waiting(case, [1])[0]
        case.that(asked["on"] == moment and not ran(sandbox), asked)
        case.code(world.berm("approve", asked["id"]), 0)
    case.code(world.end(process), 0)
    case.that(ran(sandbox), "it did not write")


def killed(world, _process, run):
    return world.berm("kill", run)


def ended(_world, process, _run):
    process.send_signal(signal.SIGTERM)


def murdered(_world, process, _run):
    process.send_signal(signal.SIGKILL)


@row("write-end")
def a_run_that_ends_takes_its_question_back(world, sandbox, case):
    world.use(ASKS)
    for how in (killed, ended, murdered):
        sandbox.fresh()
        process, asked, run = begin_named(world, sandbox, case)
        how(world, process, run)
        result = world.end(process)
        case.that(result.code != 0 and not ran(sandbox), how.__name__, *result.describe())
        wait_for(case, "the question to be taken back", lambda: world.approvals() == [], seconds=60)
        case.code(world.berm("approve", asked["id"]), 1)
    answers = [entry["answer"] for entry in world.records()]
    case.that(answers[:2] == ["withdrawn"] * 2, answers)


@row("write-posture")
def nobody_is_asked_for_what_a_posture_refuses(world, sandbox, case):
    world.use(ASKS)
    process, _asked, run = begin_named(world, sandbox, case)
    case.code(world.berm("pace", "set", run, "read-only"), 0)
    result = world.end(process)
    case.that("after 0" not in result.text and not ran(sandbox), *result.describe())


@row("write-staged")
def what_is_staged_is_held_too(world, sandbox, case):
    world.use("workspace: {path: \"${WORKDIR}\", mode: staged}\n" + ASKS)
    process = begin(world, sandbox, WRITES)
    asked = world.waiting(case, [1])[0]
    case.code(world.berm("approve", asked["id"]), 0)
    case.code(world.end(process), 0)
    sets = json.loads(world.berm("changes", "--json").text)["change_sets"]
    case.that(len(sets) == 1 and sets[0]["changes"] == 2, sets)


@row("write-where")
def a_terminal_that_the_tool_shares_is_no_place_to_ask(world, sandbox, case):
    world.use("approvals: {on: [write], channels: [tty], timeout: 120s}\n")
    result = world.run("/bin/true")
    case.that(result.code == 2 and "terminal" in result.errors, *result.describe())
    world.use(ASKS)
    tests = sandbox.write_text(world.top + "/live.test.yaml", "profile: %s\ncases:\n  - {name: runs, run: [/bin/true], "
                               "expect_exit: 0}\n" % world.profile)
    result = world.berm("profile", "test", "--live", tests)
    case.that(result.code != 0 and "held" in result.errors + result.text, *result.describe())
    result = harness.run([sandbox.berm, "run", "-p", world.profile, "--", "/bin/cat"], env=world.environment(),
                         cwd=sandbox.ws, stdin=subprocess.DEVNULL)
    case.that(result.code == 0 and world.approvals("--all") == [], *result.describe())


ROWS = [
    ("the first write of a run waits for a yes, and nothing else does", the_first_write_waits),
    ("a run whose first write is denied goes on without writing", a_run_that_may_not_write_goes_on_without),
    ("whatever a tool begins with is held", every_way_to_begin_is_held),
    ("all that write at once wait for one answer", all_that_write_wait_together),
    ("gates judge a first write", gates_judge_a_first_write),
    ("a run that ends before the answer takes its question back and wrote nothing",
     a_run_that_ends_takes_its_question_back),
    ("a posture that refuses writing ends the wait", nobody_is_asked_for_what_a_posture_refuses),
    ("a first write to a staged workspace is held", what_is_staged_is_held_too),
    ("nobody is asked before a write at the tool's own terminal, nor for a test",
     a_terminal_that_the_tool_shares_is_no_place_to_ask),
]
