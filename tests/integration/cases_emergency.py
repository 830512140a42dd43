# SPDX-License-Identifier: Apache-2.0
"""A group in emergency: its runs are ended from outside, whatever their own berms do. What the tools did is looked at
by the files that they make longer."""
import json
import os
import signal
import time

import cases_halt
import cases_record
import harness

GROWS = "trap '' INT TERM HUP; while :; do echo x >> grow.$1; done"


def begin(world, case, agent, number):
    process = cases_halt.start(world, GROWS, agent, number)
    cases_record.wait_for(case, "what %s writes" % agent, lambda: size(world, number) > 0, 30)
    return process


def size(world, number):
    try:
        return os.stat("%s/grow.%d" % (world.sandbox.ws, number)).st_size
    except FileNotFoundError:
        return 0


def sizes(world, *numbers):
    return [size(world, number) for number in numbers]


def finish(world, processes):
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
        harness.stop(process)
    for name in os.listdir(world.sandbox.ws):
        if name.startswith("grow."):
            os.unlink(world.sandbox.ws + "/" + name)


def make(world, case, *agents, name="crew"):
    case.code(world.berm("pace", "group", name, "--tier", "2"), 0)
    for agent in agents:
        case.code(world.add(agent, "--group", name), 0)


def changes(world):
    lines = [json.loads(line)["record"] for line in world.berm("log", "--json").text.splitlines()]
    return lines, [line["phase_change"] for line in lines if "phase_change" in line]


@cases_halt.row("stopped")
def an_emergency_asks_no_berm(world, sandbox, case):
    """Two berms are stopped; one run is of an agent that came to the group later."""
    make(world, case, "alpha", "beta")
    make(world, case, "other", name="shop")
    case.code(world.add("moved"), 0)
    case.code(world.berm("agent", "set", "moved", "--group", "crew"), 0)
    processes = []
    try:
        for number, agent in enumerate(("alpha", "beta", "moved", "other")):
            processes.append(begin(world, case, agent, number))
        for stopped in (0, 2):
            processes[stopped].send_signal(signal.SIGSTOP)
        begun = time.monotonic()
        result = world.berm("pace", "declare", "--json", "crew", "emergency")
        took = time.monotonic() - begun
        after = sizes(world, 0, 1, 2)
        case.code(result, 0)
        told = json.loads(result.text)
        # The one berm that is awake may be the first to end its run.
        case.that(told["runs_gone"] in (2, 3) and told["runs_left"] == 0, told)
        case.that({"kill-runs", "capture-state"} <= set(told["actions"]) and told["required"] == ["notify"], told)
        other = size(world, 3)
        cases_record.wait_for(case, "the other group goes on", lambda: size(world, 3) > other, 20)
        case.that(sizes(world, 0, 1, 2) == after, "a tool went on", after, sizes(world, 0, 1, 2))
        lines, phases = changes(world)
        last = [phase for phase in phases if phase.get("after") == 3][-1]
        case.that(last["runs_gone"] == told["runs_gone"] and last["required"] == ["notify"], last)
        killed = [line["kill"] for line in lines if "kill" in line]
        case.that(len(killed) == told["runs_gone"], killed)
        case.that(all("group crew, kill by" in one["by"] for one in killed), killed)
        for stopped in (0, 2):
            processes[stopped].send_signal(signal.SIGCONT)
        for process in processes[:3]:
            case.that(process.wait(30 * harness.SLOWER) == 137, process.returncode)
        case.that(processes[3].poll() is None, "a run of another group was ended")
    finally:
        finish(world, processes)
    case.summary = "%.0f ms with all that is kept" % (took * 1000)


@cases_halt.row("unread")
def an_agent_that_cannot_be_read_is_no_shield(world, sandbox, case):
    """Where the files of the agents are damaged the runs are found by what they began as, and it is said."""
    make(world, case, "alpha", "beta")
    processes = []
    try:
        processes = [begin(world, case, agent, number) for number, agent in enumerate(("alpha", "beta"))]
        processes[0].send_signal(signal.SIGSTOP)
        with open(world.state + "/agents/alpha", "r+b") as file:
            file.truncate(30)
        result = world.berm("pace", "declare", "--json", "crew", "emergency")
        after = sizes(world, 0, 1)
        case.code(result, 3)
        told = json.loads(result.text)
        case.that(told["runs_gone"] in (1, 2) and told["runs_left"] > 0, told)
        case.that("kill-runs" in told["required"], told)
        processes[0].send_signal(signal.SIGCONT)
        for process in processes:
            process.wait(30 * harness.SLOWER)
        case.that(sizes(world, 0, 1) == after, "a tool went on", after, sizes(world, 0, 1))
    finally:
        finish(world, processes)


ROWS = [
    ("an emergency ends runs whose berms are stopped or watch another group", an_emergency_asks_no_berm),
    ("a damaged agent keeps no run from its group's emergency", an_agent_that_cannot_be_read_is_no_shield),
]
