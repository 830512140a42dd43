# SPDX-License-Identifier: Apache-2.0
"""berm halt: nothing new starts, what runs may end by itself, and the rest is killed; and berm kill by the names of
agents and groups."""
import json
import os
import subprocess
import time

import cases_agents
import cases_record
import harness
import inventory

TICKS = "i=0; while :; do i=$((i+1)); echo $i > tick.$1; done"


def row(name):
    return cases_agents.row(name, caps="blast_radius: {files_changed: 100000000}\n")


def start(world, script, agent=None, number=0):
    command = ["run", "--agent", agent] if agent else ["run", "-p", world.profile]
    return popen(world, [*command, "--", "/bin/sh", "-c", script, "sh", str(number)])


def popen(world, words):
    return subprocess.Popen([world.sandbox.berm, *words], env=world.environment(), cwd=world.sandbox.ws,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def running(world, agent):
    return [run["run"] for run in world.show(agent).get("running", [])]


def content(world, name):
    return inventory.read("%s/%s" % (world.sandbox.ws, name))


def ticks(world, case, *numbers, again=False):
    """The tools are at work; again: now."""
    for number in numbers:
        path = "%s/tick.%d" % (world.sandbox.ws, number)
        if again:
            os.unlink(path)
        cases_record.wait_for(case, "a sign of life of %d" % number, lambda path=path: os.path.exists(path), 20)


def end(world, processes):
    for name in os.listdir(world.sandbox.ws):
        if name.startswith("tick."):
            os.unlink(world.sandbox.ws + "/" + name)
    for process in processes:
        if process.poll() is None:
            process.terminate()  # it takes the run along, and ends as the last of it
        process.communicate(timeout=20 * harness.SLOWER)


@row("halted")
def an_agent_is_halted(world, sandbox, case):
    case.code(world.add("worker"), 0)
    case.code(world.add("other"), 0)
    processes = [start(world, TICKS, "worker", 1), start(world, TICKS, "other", 2)]
    try:
        ticks(world, case, 1, 2)
        result = world.berm("halt", "--drain", "100ms", "--reason", "odd\nwrites", "--json", "worker")
        case.code(result, 0)
        told = json.loads(result.text)
        case.that(told["halted"] == "agent worker" and not told["was_halted"] and len(told["killed"]) == 1, told)
        last = content(world, "tick.1")
        result = world.run(["true"])
        case.that(result.code == 126 and "halted by" in result.errors and "odd" in result.errors, *result.describe())
        case.that(world.show().get("runs_total") == 1, "a refused start was counted", world.show())
        ticks(world, case, 2, again=True)  # the other one lives, and may start
        case.that(content(world, "tick.1") == last, "it still writes")
        case.code(world.run(["true"], agent="other"), 0)
        case.code(world.berm("halt", "worker"), 0)
        result = world.berm("halt", "--json")
        case.that([halt["of"] for halt in json.loads(result.text)["halted"]] == ["agent worker"], *result.describe())
        # A new name does not help it.
        case.code(world.berm("agent", "set", "worker", "--name", "renamed"), 0)
        case.code(world.run(["true"], agent="renamed"), 126)
        case.code(world.berm("halt", "--lift", "renamed"), 0)
        case.code(world.run(["true"], agent="renamed"), 0)
        case.code(world.berm("halt", "--lift", "renamed"), 2)
        case.that(world.berm("halt").text == "nothing is halted\n", "the list")
        records = [r for r in cases_record.closed(sandbox, world.state)[0] if "halt_change" in r]
        told = [(r["halt_change"]["operation"], r["halt_change"]["of"]) for r in records]
        case.that(told == [("halt", "agent worker"), ("lift", "agent renamed"), ("lift", "agent renamed")], records)
    finally:
        end(world, processes)


@row("drained")
def what_ends_by_itself_is_not_killed(world, sandbox, case):
    case.code(world.add("worker", "--running", "3"), 0)
    waits = "echo > tick.$1; while [ ! -e stop ]; do sleep 0.05; done"
    processes = [start(world, waits, "worker", number) for number in (1, 2)]
    path = sandbox.ws + "/stop"
    try:
        ticks(world, case, 1, 2)
        halt = popen(world, ["halt", "--drain", "10m", "--json", "--all"])
        processes.append(halt)
        cases_record.wait_for(case, "the halt", lambda: os.path.exists(world.state + "/halts/all"), 20)
        case.that(all(process.poll() is None for process in processes), "a run was not let end")
        case.code(world.berm("run", "-p", world.profile, "--", "true"), 126)
        with open(path, "w", encoding="ascii"):
            pass
        text = halt.communicate(timeout=60 * harness.SLOWER)[0]
        case.that(halt.returncode == 0 and json.loads(text)["killed"] == [], text)
        for process in processes[:2]:
            process.wait(20 * harness.SLOWER)
            case.that(process.returncode == 0, process.returncode)
        case.code(world.berm("halt", "--lift", "--all"), 0)
        case.code(world.berm("run", "-p", world.profile, "--", "true"), 0)
    finally:
        if os.path.exists(path):
            os.unlink(path)
        end(world, processes)


@row("group")
def a_group_is_halted_and_killed(world, sandbox, case):
    for group in ("lab", "shop"):
        case.code(world.berm("pace", "group", group, "--tier", "2"), 0)
    for name, group in (("one", "lab"), ("two", "lab"), ("three", "shop"), ("lab", "shop")):
        case.code(world.add(name, "--group", group), 0)
    processes = [start(world, TICKS, name, number) for number, name in enumerate(("one", "two", "three"))]
    try:
        ticks(world, case, 0, 1, 2)
        result = world.berm("kill", "lab")
        case.that(result.code == 1 and "group:lab" in result.errors, *result.describe())
        ticks(world, case, 0, 1, 2, again=True)
        result = world.berm("kill", "--json", "--reason", "enough", "group:lab")
        case.code(result, 0)
        case.that(len(json.loads(result.text)["killed"]) == 2, *result.describe())
        ticks(world, case, 2, again=True)
        case.code(world.run(["true"], agent="one"), 0)
        case.code(world.berm("halt", "group:lab"), 0)
        for name, code in (("one", 126), ("two", 126), ("lab", 0)):
            case.code(world.run(["true"], agent=name), code)
        result = world.berm("kill", "agent:three")
        case.that(result.code == 0 and "gone after" in result.text, *result.describe())
        case.code(world.berm("kill", "three"), 0)
    finally:
        end(world, processes)


@row("stale")
def a_damaged_mark_halts(world, sandbox, case):
    case.code(world.add("worker"), 0)
    case.code(world.berm("halt", "worker"), 0)
    directory = world.state + "/halts"
    name = os.listdir(directory)[0]
    with open(directory + "/" + name, "r+b") as file:
        file.seek(60)
        file.write(b"\xff")
    result = world.run(["true"])
    case.that(result.code == 126 and "cannot be told" in result.errors, *result.describe())
    case.code(world.berm("halt", "--lift", "worker"), 0)
    case.code(world.run(["true"]), 0)
    os.chmod(directory, 0o777)
    result = world.berm("halt", "worker")
    case.that(result.code != 0, "a directory of everybody's is taken", *result.describe())


@row("storm")
def nothing_slips_through(world, sandbox, case):
    """Runs are started all the time while everything is halted, round by round: afterwards none is there."""
    case.code(world.add("worker", "--running", "50", "--runs-per-hour", "100000"), 0)
    rounds, started, left = 6, 0, 0
    for number in range(rounds):
        processes = [start(world, TICKS, "worker", 6 * number + n) for n in range(6)]
        try:
            time.sleep(0.08 * number)  # any moment will do: between being admitted and being at work
            case.code(world.berm("halt", "--drain", "1ms", "worker"), 0)
            for process in processes:
                words = process.communicate(timeout=30 * harness.SLOWER)[1]
                early = process.returncode == 125 and b"before its start" in words
                started += process.returncode == 137
                left += process.returncode not in (137, 126) and not early
            case.that(running(world, "worker") == [], running(world, "worker"))
            case.code(world.berm("halt", "--lift", "worker"), 0)
        finally:
            end(world, processes)
    case.that(left == 0, "%d rounds, %d were killed, %d were neither killed nor refused" % (rounds, started, left))
    print("# %d rounds, %d starts, %d killed, %d others" % (rounds, rounds * 6, started, left))


@row("words")
def wrong_words_of_halt(world, sandbox, case):
    for words in (("--all", "worker"), ("a", "b"), ("",), ("--lift",), ("--reason", "x" * 201, "--all"),
                  ("--drain", "5", "--all")):
        result = world.berm("halt", *words)
        case.that(result.code == 2 and "usage: berm halt" in result.errors, words, *result.describe())
    for words in (("nobody",), ("agent:nobody",), ("group:nobody",), ("run:/",), ("agent:../x",)):
        result = world.berm("halt", *words)
        case.that(result.code == 2, words, *result.describe())
        case.code(world.berm("kill", *words), 2)
    halts = world.state + "/halts"
    case.that(not os.path.exists(halts) or not os.listdir(halts), "something is halted")


ROWS = [
    ("an agent that is halted is stopped and starts no more, under any name", an_agent_is_halted),
    ("what ends by itself after a halt is not killed", what_ends_by_itself_is_not_killed),
    ("a group is halted and killed by its name", a_group_is_halted_and_killed),
    ("a mark that cannot be read halts", a_damaged_mark_halts),
    ("no start slips through a halt", nothing_slips_through),
    ("halt refuses wrong words", wrong_words_of_halt),
]
