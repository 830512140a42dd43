# SPDX-License-Identifier: Apache-2.0
"""berm halt: nothing new starts, what runs may end by itself, and the rest is killed; and berm kill by the names of
agents and groups."""
import fcntl
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
        case.that(told == [("halt", "agent worker"), ("lift", "agent renamed")], records)
    finally:
        end(world, processes)


@row("held")
def a_halt_waits_for_no_lock(world, sandbox, case):
    """Somebody holds the locks of the state for ever: a starter whose berm is frozen."""
    case.code(world.add("worker"), 0)
    processes = [start(world, TICKS, "worker", 1)]
    try:
        ticks(world, case, 1)
        with open(world.state + "/govern.lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            began = time.monotonic()
            result = world.berm("halt", "--drain", "1ms", "worker")
            took = time.monotonic() - began
            case.code(result, 0)
            case.that(took < 8 * harness.SLOWER, "the halt took %.1f s" % took)
            case.that(processes[0].wait(20 * harness.SLOWER) == 137, "the run lasts")
            case.that("agent worker" in world.berm("halt").text, "it is not in the list")
            case.code(world.berm("halt", "--lift", "worker"), 0)
        case.code(world.run(["true"]), 0)
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
    case.code(result, 3)
    case.that("is NOT halted" in result.errors, *result.describe())
    result = world.run(["true"])
    case.that(result.code == 126 and "others may write to it" in result.errors, *result.describe())


@row("storm")
def nothing_slips_through(world, sandbox, case):
    """Runs are started all the time while everything is halted, round by round: afterwards none is there."""
    case.code(world.add("worker", "--running", "50", "--runs-per-hour", "100000"), 0)
    rounds, started, left = 6, 0, 0
    for number in range(rounds):
        processes = [start(world, TICKS, "worker", 6 * number + n) for n in range(6)]
        try:
            time.sleep(0.08 * number)  # any moment will do: between being admitted and being at work
            # On a slow machine one may still be about to be refused.
            case.that(harness.wait_for(lambda: world.berm("halt", "--drain", "1ms", "worker").code == 0, 60), "no halt")
            for process in processes:
                words = process.communicate(timeout=30 * harness.SLOWER)[1]
                # Also where it was killed between its place and its start.
                case.that(process.returncode != 137 or b"killed by uid" in words, words)
                started += process.returncode == 137
                left += process.returncode not in (137, 126)
            case.that(running(world, "worker") == [], running(world, "worker"))
            case.code(world.berm("halt", "--lift", "worker"), 0)
        finally:
            end(world, processes)
    case.that(left == 0, "%d rounds, %d were killed, %d were neither killed nor refused" % (rounds, started, left))
    print("# %d rounds, %d starts, %d killed, %d others" % (rounds, rounds * 6, started, left))


@row("full")
def what_cannot_be_kept_is_ended_all_the_same(world, sandbox, case):
    """Neither marks nor evidence can be written, as on a full disk; what runs is ended, and then it is said."""
    case.code(world.add("worker", "--running", "3"), 0)
    case.code(world.add("0x"), 0)
    processes = [start(world, TICKS, "worker", 1)]
    try:
        ticks(world, case, 1)
        with open(world.state + "/halts", "wb"), open(world.state + "/evidence", "wb"):
            pass
        result = world.berm("halt", "--drain", "1ms", "--json", "worker")
        last = content(world, "tick.1")
        case.that(result.code == 3 and "is NOT halted" in result.errors, *result.describe())
        told = json.loads(result.text)
        case.that([run["gone"] for run in told["killed"]] == [True] and not told["recorded"], told)
        case.that(processes[0].wait(20 * harness.SLOWER) == 137, processes[0].returncode)
        case.that(content(world, "tick.1") == last, "it went on")
        os.unlink(world.state + "/halts")
        processes.append(start(world, TICKS, "worker", 2))
        ticks(world, case, 2)
        result = world.berm("kill", "worker")
        case.that(result.code == 3 and "gone after" in result.text and "not in the log" in result.errors,
                  *result.describe())
        case.that(processes[1].wait(20 * harness.SLOWER) == 137, processes[1].returncode)
        result = world.berm("kill", "0x")
        case.that(result.code == 1 and "write agent:0x" in result.errors, *result.describe())
        case.code(world.berm("kill", "agent:0x"), 0)
    finally:
        end(world, processes)


def places(sandbox):
    """Where the places of this user's runs are."""
    own = sandbox.environment().get("XDG_RUNTIME_DIR", "")
    there = ("/run/berm/runs", own + "/berm/runs", "/tmp/berm-%d/runs" % os.geteuid())
    return [path for path in there if os.path.isdir(path)]


@row("unfound")
def a_run_that_cannot_be_found_is_told(world, sandbox, case):
    """Its place is gone, so that nobody can kill it: that is no run less."""
    case.code(world.add("worker"), 0)
    processes = [start(world, TICKS, "worker", 1)]
    name, kept = "", b""
    try:
        ticks(world, case, 1)
        run = running(world, "worker")[0]
        name = [path for path in ("%s/%s.place" % (place, run) for place in places(sandbox)) if os.path.exists(path)][0]
        with open(name, "rb") as file:
            kept = file.read()
        os.unlink(name)
        for verb in (("kill",), ("halt", "--drain", "1ms")):
            result = world.berm(*verb, "--json", "worker")
            case.that(result.code == 1 and "1 run begins or cannot be found" in result.errors, *result.describe())
            case.that(json.loads(result.text)["unfound"] == 1, *result.describe())
        result = world.berm("kill", run)
        case.that(result.code == 1 and "1 run begins or cannot be found" in result.errors, *result.describe())
        ticks(world, case, 1, again=True)
        with open(name, "wb") as file:
            file.write(kept)
        result = world.berm("kill", "--json", "worker")
        case.code(result, 0)
        case.that(json.loads(result.text)["unfound"] == 0, *result.describe())
    finally:
        end(world, processes)


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
    ("a halt waits for no lock", a_halt_waits_for_no_lock),
    ("what ends by itself after a halt is not killed", what_ends_by_itself_is_not_killed),
    ("a group is halted and killed by its name", a_group_is_halted_and_killed),
    ("a mark that cannot be read halts", a_damaged_mark_halts),
    ("no start slips through a halt", nothing_slips_through),
    ("what cannot be kept is ended all the same", what_cannot_be_kept_is_ended_all_the_same),
    ("a run that cannot be found is told", a_run_that_cannot_be_found_is_told),
    ("halt refuses wrong words", wrong_words_of_halt),
]
