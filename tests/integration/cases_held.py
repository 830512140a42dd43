# SPDX-License-Identifier: Apache-2.0
"""Runs that wait for an answer: who looks at runs sees them."""
import json
import os

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


ROWS = [
    ("a run that is held before it begins is listed, with its question", a_run_that_is_not_begun_is_seen),
    ("a run that is held at its first write says so", a_first_write_that_waits_is_seen),
]
