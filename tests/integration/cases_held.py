# SPDX-License-Identifier: Apache-2.0
"""Runs that wait for an answer: who looks at runs sees them, and who kills or halts takes them back."""
import json
import os
import signal
import subprocess

import harness
from cases_approvals import TOUCH, ran, row

ASKS = "approvals: {on: [%s], timeout: 600s}\n"


def told(world, *words):
    return json.loads(world.berm(*words).text)


def held(world, case):
    """A run that is not begun, and its question."""
    process = world.start(*TOUCH)
    asked = world.waiting(case, [1])[0]
    found = [entry for entry in told(world, "ps", "--json")["held"] if entry["approval"] == asked["id"]]
    case.that(len(found) == 1, found)
    return process, asked, found[0]


@row("held-seen")
def a_run_that_is_not_begun_is_seen(world, sandbox, case):
    world.use(ASKS % "run")
    process, asked, found = held(world, case)
    case.that(found["on"] == "run" and found["command"] == list(TOUCH) and found["agent"] is None and
              found["left_ms"] > 0, found)
    row_of = [line for line in world.berm("ps").text.splitlines() if line.startswith(found["run"])]
    case.that(len(row_of) == 1 and "held at run, approval " + asked["id"] in row_of[0], row_of)
    case.that(asked["id"] in world.berm("top", "--once").text, "berm top does not show it")
    case.that(found["run"] in [entry["run"] for entry in told(world, "top", "--once", "--json")["held"]], found)
    result = world.berm("inspect", found["run"])
    case.that(result.code == 0 and "held      at run, " in result.text and asked["id"] in result.text,
              *result.describe())
    case.that(told(world, "inspect", "--json", found["run"])["approval"] == asked["id"], found)
    case.code(world.berm("approve", asked["id"]), 0)
    case.code(world.end(process), 0)
    case.that(ran(sandbox) and found["run"] not in world.berm("ps").text, "it is listed still")
    case.code(world.berm("inspect", found["run"]), 2)


@row("held-write-seen")
def a_first_write_that_waits_is_seen(world, _sandbox, case):
    world.use(ASKS % "write")
    process = world.start("/bin/sh", "-c", "echo $BERM_RUN; echo x > ran; read line")
    asked = world.waiting(case, [1])[0]
    run = os.read(process.stdout.fileno(), 100).decode().split()[0]
    status = told(world, "inspect", "--json", run)
    case.that(status["held"] and status["held"]["on"] == "write" and status["held"]["approval"] == asked["id"], status)
    for words in (["ps"], ["top", "--once"], ["inspect", run]):
        result = world.berm(*words)
        case.that("at write, " in result.text and "approval " + asked["id"] in result.text, *result.describe())
    case.that([entry for entry in told(world, "ps", "--json")["held"] if entry["run"] == run] == [], "it is begun")
    case.code(world.berm("deny", asked["id"]), 0)
    case.that(harness.wait_for(lambda: not world.approvals(), 30), "the question is open still")
    world.end(process)


def check_withdrawn(world, sandbox, case, process, asked):
    """After the verb: the question is gone, a yes is for nobody, and who waited says why it ends."""
    case.that(world.approvals() == [], world.approvals())
    result = world.berm("approve", asked["id"])
    case.that(result.code == 1 and "withdrawn" in result.errors, *result.describe())
    result = world.end(process)
    case.that(result.code == 126 and "killed while it was held, by uid %d" % os.getuid() in result.errors and
              asked["id"] in result.errors and not ran(sandbox), *result.describe())


@row("held-kill")
def a_held_run_is_killed(world, sandbox, case):
    world.use(ASKS % "run")
    process, asked, found = held(world, case)
    world.may_end.append(process)
    result = world.berm("kill", "--json", "--reason", "not this one", found["run"])
    case.code(result, 0)
    case.that(json.loads(result.text)["withdrawn"] == [{"run": found["run"], "approval": asked["id"], "on": "run"}],
              result.text)
    check_withdrawn(world, sandbox, case, process, asked)
    entries = world.records()
    case.that(len(entries) == 1 and entries[0]["answer"] == "withdrawn" and "not this one" in entries[0]["reason"],
              entries)
    # What is over is no run any more.
    case.code(world.berm("kill", found["run"]), 2)


@row("held-one-of-two")
def of_two_that_ask_the_same_one_is_killed(world, sandbox, case):
    world.use(ASKS % "run")
    first, asked, found = held(world, case)
    second = world.start(*TOUCH)
    world.waiting(case, [2])
    runs = sorted(entry["run"] for entry in told(world, "ps", "--json")["held"] if entry["approval"] == asked["id"])
    # Two that begin with the same letters: which of them was meant is not known.
    result = world.berm("kill", os.path.commonprefix(runs))
    case.that(result.code == 2 and "give more" in result.errors, *result.describe())
    world.may_end.append(first)
    result = world.berm("kill", found["run"])
    case.that(result.code == 0 and found["run"] + "  held at run" in result.text, *result.describe())
    case.code(world.end(first), 126)
    case.that(not ran(sandbox), "it ran")
    world.waiting(case, [1])
    case.code(world.berm("approve", asked["id"]), 0)
    case.code(world.end(second), 0)
    case.that(ran(sandbox), "the other one did not run")


@row("held-late")
def a_yes_that_was_not_looked_at_starts_nothing(world, sandbox, case):
    """Who waits is stopped, somebody says yes, and then the run is killed."""
    world.use(ASKS % "run")
    process, asked, found = held(world, case)
    world.may_end.append(process)
    process.send_signal(signal.SIGSTOP)
    try:
        case.code(world.berm("approve", asked["id"]), 0)
        case.code(world.berm("kill", found["run"]), 0)
    finally:
        process.send_signal(signal.SIGCONT)
    result = world.end(process)
    case.that(result.code == 126 and "killed" in result.errors and not ran(sandbox), *result.describe())


def add_agent(world, case, name):
    case.code(world.berm("agent", "add", name, "--role", "tests", "--accountable-human", "A. Person", "--tier", "1",
                         "--group", "crew", "--profile", world.profile), 0)


def start_agent(world, case, name):
    process = subprocess.Popen([world.sandbox.berm, "run", "--agent", name, "--", *TOUCH], env=world.environment(),
                               cwd=world.sandbox.ws, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    world.started.append(process)
    return process, world.waiting(case, [1])[0]


@row("held-agent")
def what_is_held_of_an_agent_or_group_goes(world, sandbox, case):
    world.use(ASKS % "run")
    case.code(world.berm("pace", "group", "crew", "--tier", "1"), 0)
    add_agent(world, case, "worker")
    add_agent(world, case, "other")
    for words in (["kill", "worker"], ["kill", "crew"], ["halt", "--drain", "1ms", "worker"],
                  ["halt", "--drain", "1ms", "--all"]):
        process, asked = start_agent(world, case, "worker")
        if words[-1] == "worker":
            case.code(world.berm(words[0], "other"), 0)
            if words[0] == "halt":
                case.code(world.berm("halt", "--lift", "other"), 0)
            case.that(len(world.approvals()) == 1, "another agent's question was taken")
        world.may_end.append(process)
        case.code(world.berm(*words), 0)
        check_withdrawn(world, sandbox, case, process, asked)
        if words[0] == "halt":
            case.code(world.berm("halt", "--lift", words[-1]), 0)
    answers = [entry["answer"] for entry in world.records()]
    case.that(answers == ["withdrawn"] * 4, answers)


ROWS = [
    ("a run that is held before it begins is listed, with its question", a_run_that_is_not_begun_is_seen),
    ("a run that is held at its first write says so", a_first_write_that_waits_is_seen),
    ("a held run that is killed does not start, and the log has it", a_held_run_is_killed),
    ("of two held runs that ask the same one is killed, and the other starts", of_two_that_ask_the_same_one_is_killed),
    ("a yes that nobody has looked at starts nothing after a kill", a_yes_that_was_not_looked_at_starts_nothing),
    ("what is held of an agent, of a group or of all is killed and halted with them",
     what_is_held_of_an_agent_or_group_goes),
]
