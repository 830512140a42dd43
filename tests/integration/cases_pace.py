# SPDX-License-Identifier: Apache-2.0
"""Groups from outside: what a phase means for runs that last and that begin, and how a run's breaker reaches it."""
import fcntl
import json
import os
import subprocess

import harness
from cases_agents import BREAKER, row

LOOP = "while :; do (echo x > f) 2>/dev/null && echo wrote || echo refused; sleep 0.1; done"
THREE = "pace:\n  alternate:\n    when: [{event: denial, count: 3, within: 10m}]\n"
# Three refusals, and then something to look at.
REFUSED = "for i in 1 2 3 4; do unshare -U true; done; echo done; while :; do sleep 0.1; done"


class Running:
    """A run of an agent that lasts, and all that it says."""

    def __init__(self, world, sandbox, agent, script):
        self.path = "%s/%s.out" % (sandbox.top, agent)
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen(world.command(["/bin/sh", "-c", script], agent=agent), stdout=out,
                                            stderr=out, stdin=subprocess.DEVNULL, env=world.environment(),
                                            cwd=sandbox.ws)

    def said(self):
        with open(self.path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def says(self, word, seconds=30):
        return harness.wait_for(lambda: word in self.said(), seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        harness.stop(self.process)


def group(world, name="crew"):
    shown = world.berm("pace", "show", "--json", name)
    return json.loads(shown.text) if shown.code == 0 else {}


def isolated(world, name="crew"):
    return [one["agent"] for one in group(world, name).get("isolated", [])]


def make(world, case, *agents, name="crew", options=()):
    case.code(world.berm("pace", "group", "--tier", "2", *options, name), 0)
    for agent in agents:
        case.code(world.add(agent, "--group", name), 0)


@row("phase", caps="blast_radius: {files_changed: 100000}\n")
def the_phase_of_a_group_holds_for_its_running_runs(world, sandbox, case):
    """Nobody tells the run: it looks at the group's file by itself, also where that is damaged or gone."""
    for ending in ("emergency", "damaged", "gone"):
        make(world, case, ending, name=ending)
        path = "%s/groups/%s" % (world.state, ending)
        with Running(world, sandbox, ending, LOOP) as run:
            case.that(run.says("wrote"), "the run cannot write in primary", run.said())
            if ending == "emergency":
                case.code(world.berm("pace", "declare", "--reason", "x", ending, "alternate"), 0)
                case.that(run.says("refused"), "the run writes in alternate", run.said())
                case.code(world.berm("pace", "declare", ending, "emergency"), 0)
                case.that(run.process.wait(timeout=30 * harness.SLOWER) == 137, "the run is alive in emergency")
            elif ending == "damaged":
                with open(path, "r+b") as file:
                    file.truncate(20)
            else:
                os.unlink(path)
            if ending != "emergency":
                case.that(run.says("it is frozen now"), "the run goes on without a phase", run.said())
            result = world.run(["true"], agent=ending)
            case.that(result.code in (125, 126), *result.describe())


@row("starts", caps="blast_radius: {files_changed: 10, processes_started: 40}\n")
def a_run_that_begins_in_a_phase_is_narrowed_by_it(world, sandbox, case):
    make(world, case, "worker", "last")
    case.code(world.berm("pace", "group", "--contingency", "last", "crew"), 0)

    def status(agent, script):
        result = world.run(["/bin/sh", "-c", script], "--json", agent=agent)
        lines = [json.loads(line) for line in result.errors.splitlines() if line.startswith("{")]
        return lines[0] if lines else {"outcome": "none", "words": result.describe()}

    def limits(told):
        return {name: value["limit"] for name, value in told.get("counters", {}).items()}

    told = status("worker", "echo x > first")
    case.that(told["outcome"] == "exited" and told["code"] == 0, told)
    case.that(limits(told).get("processes_started") == 40, told)
    case.code(world.berm("pace", "declare", "--reason", "x", "crew", "alternate"), 0)
    told = status("worker", "cat first && ! echo x > second && ! echo x >> first")
    case.that(told["outcome"] == "exited" and told["code"] == 0 and not os.path.exists(sandbox.ws + "/second"), told)
    case.that(limits(told).get("processes_started") == 20, told)
    signed = with_role(world, case, "security", "alternate", "contingency")
    case.code(world.berm("pace", "declare", "--signature", signed, "crew", "contingency"), 0)
    for agent, word in (("worker", "lets the agent worker start nothing"), ("last", "has to approve each run")):
        result = world.run(["true"], agent=agent)
        case.that(result.code == 126 and word in result.errors, *result.describe())


def with_role(world, case, role, start, end):
    """A statement signed by a new key that the operator lists."""
    key = world.state + "/../%s.key" % os.path.basename(world.state)
    if os.path.exists(key):
        os.unlink(key)
    made = world.berm("pace", "key", key)
    case.code(made, 0)
    path = world.state + "/authority.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write("version: 1\nkeys:\n  - {name: alice, key: %s, roles: [%s]}\npeople:\n"
                   "  - {name: bob, uid: %d, roles: [operator, kill-key]}\n" % (made.text.strip(), role, os.geteuid()))
    os.chmod(path, 0o600)
    about = group(world)["to_sign"]
    case.that(about.startswith("crew:%s:" % start), about)
    signed = key + ".signed"
    if os.path.exists(signed):
        os.unlink(signed)
    case.code(world.berm("pace", "sign", "--key", key, "--as", role, "--reason", "a test", "--out", signed, about, end),
              0)
    return signed


def breaker_of_three(world):
    with open(world.profile, encoding="utf-8") as file:
        text = file.read()
    with open(world.profile, "w", encoding="utf-8") as file:
        file.write(text[:text.index("pace:")] + THREE)


def crossed(world, sandbox, case, agent, script, phase):
    """The agent's run crosses something: it is isolated, and its run is frozen and says why."""
    with Running(world, sandbox, agent, script) as run:
        case.that(harness.wait_for(lambda: agent in isolated(world), 30), "nobody told the group", run.said(),
                  group(world))
        case.that(run.says("it is isolated; it is frozen now"), run.said())
        case.that(group(world)["phase"] == phase, group(world))
    result = world.run(["true"], agent=agent)
    case.that(result.code == 126 and "it is isolated" in result.errors, *result.describe())


@row("told", caps="blast_radius: {files_changed: 5}\n")
def a_breaker_of_a_run_is_heard_by_its_group(world, sandbox, case):
    breaker_of_three(world)
    make(world, case, "alpha", "beta", "gamma")
    over = "for i in 1 2 3 4 5 6 7; do echo x > f$i; done; while :; do sleep 0.1; done"
    case.that(world.run(["/bin/sh", "-c", "echo x > one"], agent="alpha").code == 0, "within its cap")
    case.that(group(world)["phase"] == "primary", group(world))
    crossed(world, sandbox, case, "alpha", over, "alternate")
    # The second one is a question to a person; it is held until that one answers.
    crossed(world, sandbox, case, "beta", REFUSED, "alternate")
    asked = group(world)["decisions"]
    case.that([(one["phase"], one["trigger"], one["agent"]) for one in asked] ==
              [("contingency", "second-agent", "beta")], asked)
    result = world.run(["/bin/sh", "-c", "! echo x > nothing"], agent="gamma")
    case.that(result.code == 0, *result.describe())
    records = [json.loads(line)["record"] for line in world.berm("log", "--json").text.splitlines()]
    told = [tuple(one["phase_change"].get(field) for field in ("trigger", "result", "agent"))
            for one in records if "phase_change" in one and one["phase_change"].get("authority") == "automatic"]
    case.that(told[0] == ("cap", "changed", "alpha") and ("second-agent", "asked", "beta") in told, told)


@row("short", caps="blast_radius: {files_changed: 5}\n")
def a_run_that_ends_at_once_has_told_its_group(world, sandbox, case):
    """What is found with the end of a run is told too, and after a while where somebody holds the lock."""
    breaker_of_three(world)
    make(world, case, "alpha", "beta")
    result = world.run(["/bin/sh", "-c", "for i in 1 2 3 4 5 6 7; do echo x > f$i; done"], agent="alpha")
    case.that(isolated(world) == ["alpha"] and "knows of it (cap)" in result.errors, group(world), *result.describe())
    over = "read go; " + REFUSED
    path = sandbox.top + "/beta.out"
    with open(path, "wb") as out, open(world.state + "/govern.lock", "rb") as lock:
        # In alternate it begins read-only, and crosses no cap of what it changes.
        process = subprocess.Popen(world.command(["/bin/sh", "-c", over], agent="beta"), stdin=subprocess.PIPE,
                                   stdout=out, stderr=out, env=world.environment(), cwd=sandbox.ws)
        try:
            case.that(harness.wait_for(lambda: (world.show("beta").get("running") or []) != [], 30), "no run")
            fcntl.flock(lock, fcntl.LOCK_EX)
            process.stdin.write(b"go\n")
            process.stdin.close()
            case.that(harness.wait_for(lambda: "it is tried again" in open(path, encoding="utf-8").read(), 30),
                      open(path, encoding="utf-8").read())
            fcntl.flock(lock, fcntl.LOCK_UN)
            case.that(harness.wait_for(lambda: "beta" in isolated(world), 30), group(world))
        finally:
            harness.stop(process)


@row("worst", caps="blast_radius: {files_changed: 100000}\n")
def an_emergency_of_a_run_asks_for_one_of_its_group(world, sandbox, case):
    """Nobody answers, and the window ends it for all runs of the group."""
    worse = sandbox.write_profile("agent-worst-2", "blast_radius: {files_changed: 5}\n" + BREAKER +
                                  "  emergency:\n    when: [{event: denial, count: 3, within: 10m}]\n")
    os.chmod(worse, 0o644)
    make(world, case, "alpha", "beta", options=("--window", "5s"))
    case.code(world.berm("agent", "set", "alpha", "-p", worse), 0)
    with Running(world, sandbox, "beta", LOOP) as other:
        case.that(other.says("wrote"), other.said())
        result = world.run(["/bin/sh", "-c", REFUSED], agent="alpha")
        case.that(result.code == 137, *result.describe())
        told = group(world)
        case.that(told["phase"] == "emergency" or [(one["phase"], one["trigger"], one["agent"])
                                                   for one in told["decisions"]] == [("emergency", "rogue", "alpha")],
                  told)
        case.that(other.process.wait(timeout=60 * harness.SLOWER) == 137, other.said())
        case.that(group(world)["phase"] == "emergency", group(world))


@row("copied")
def a_groups_file_is_believed_where_it_is_its_own(world, sandbox, case):
    """The file of a group in primary in the place of the one of a group that is not; one that others may write."""
    make(world, case, "worker")
    make(world, case, "other", name="calm")
    case.code(world.run(["true"]), 0)
    case.code(world.berm("pace", "declare", "crew", "emergency"), 0)
    path = world.state + "/groups/"
    with open(path + "calm", "rb") as calm, open(path + "crew", "r+b") as crew:
        crew.truncate(0)
        crew.write(calm.read())
    result = world.run(["true"])
    case.that(result.code in (125, 126) and "is the one of calm" in result.errors, *result.describe())
    os.chmod(path + "calm", 0o666)
    result = world.run(["true"], agent="other")
    case.that(result.code in (125, 126), *result.describe())
    os.chmod(path + "calm", 0o600)
    case.code(world.run(["true"], agent="other"), 0)
    os.unlink(path + "calm")
    result = world.run(["true"], agent="other")
    case.that(result.code == 126 and "nobody knows the phase of the group calm" in result.errors, *result.describe())


ROWS = [
    ("the phase of a group holds for its running runs", the_phase_of_a_group_holds_for_its_running_runs),
    ("a run that begins in a phase is narrowed by it", a_run_that_begins_in_a_phase_is_narrowed_by_it),
    ("a breaker of a run is heard by its group", a_breaker_of_a_run_is_heard_by_its_group),
    ("what a run did is told at its end, and after a while where it cannot be",
     a_run_that_ends_at_once_has_told_its_group),
    ("an emergency of a run asks for one of its group", an_emergency_of_a_run_asks_for_one_of_its_group),
    ("a group's file is believed where it is its own, and its absence is no primary",
     a_groups_file_is_believed_where_it_is_its_own),
]
