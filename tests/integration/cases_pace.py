# SPDX-License-Identifier: Apache-2.0
"""Groups from outside: what a phase means for runs that last and that begin, and how a run's breaker reaches it."""
import fcntl
import glob
import json
import os
import resource
import subprocess

import harness
import inventory
from cases_agents import BREAKER, row
from sandbox import Skip

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
    told = status("worker", "cat first && echo x > second && echo x >> first")
    case.that(told["outcome"] == "exited" and told["code"] == 0 and not os.path.exists(sandbox.ws + "/second"), told)
    case.that(limits(told).get("processes_started") == 20, told)
    signed = with_role(world, case, "security", "alternate", "contingency")
    case.code(world.berm("pace", "declare", "--signature", signed, "crew", "contingency"), 0)
    result = world.run(["true"], agent="worker")
    case.that(result.code == 126 and "lets the agent worker start nothing" in result.errors, *result.describe())


@row("held")
def the_last_agent_starts_when_a_person_says_so(world, sandbox, case):
    """Whatever its profile says about who answers: its own programs do not, and what changed meanwhile asks anew."""
    world.profile = with_yes(sandbox)
    make(world, case, "last")
    case.code(world.berm("pace", "group", "--contingency", "last", "crew"), 0)
    case.code(world.berm("pace", "declare", "--reason", "x", "crew", "alternate"), 0)
    signed = with_role(world, case, "security", "alternate", "contingency")
    case.code(world.berm("pace", "declare", "--signature", signed, "crew", "contingency"), 0)

    def asked():
        return json.loads(world.berm("approvals", "--json").text)["approvals"]
    number = 0
    for verb, code, change in (("approve", 0, None), ("deny", 126, None),
                               ("approve", 126, ["agent", "set", "last", "--tier", "1"]),
                               ("approve", 126, ["agent", "set", "last", "--runs-per-hour", "1"])):
        number += 1
        with Running(world, sandbox, "last", "echo began; : %d" % number) as run:
            case.that(harness.wait_for(asked, 60), "nobody is asked", run.said())
            question = asked()[0]
            case.that("contingency" in question["why"] and "began" not in run.said(), question)
            if change:
                case.code(world.berm(*change), 0)
            case.code(world.berm(verb, question["id"]), 0)
            case.that(run.process.wait(timeout=60 * harness.SLOWER) == code, verb, change, run.said())
            case.that(("began" in run.said()) == (code == 0), verb, change, run.said())
        # A no is not asked for again at once: that is a failure as any other.
        if verb == "deny":
            result = world.run(["/bin/sh", "-c", "echo began; : %d" % number], agent="last")
            case.that(result.code == 126 and "cooldown" in result.errors and not asked(), *result.describe())
    case.that(not os.path.exists(sandbox.top + "/asked"), "the profile's program answered for the phase")


@row("instead")
def a_held_run_that_cannot_be_staged_starts_read_only(world, sandbox, case):
    """Made once more after the yes, it comes out as it was shown, and says once why it is read-only."""
    more = sandbox.top + "/held-more"
    os.makedirs(more, exist_ok=True)
    os.chmod(more, 0o777)
    world.profile = sandbox.write_profile(
        "agent-instead", "blast_radius: {files_changed: 5}\napprovals: {on: [run], timeout: 120s}\n" + BREAKER)
    with open(world.profile, encoding="utf-8") as file:
        text = file.read().replace("  write:\n", "  write:\n    - \"%s\"\n" % more)
    sandbox.write_text(world.profile, text)
    os.chmod(world.profile, 0o644)
    make(world, case, "worker", "spare")
    case.code(world.berm("pace", "group", "--backup", "spare", "crew"), 0)
    case.code(world.berm("pace", "declare", "--reason", "x", "crew", "alternate"), 0)

    def asked():
        return json.loads(world.berm("approvals", "--json").text)["approvals"]
    for change, code in ((False, 0), (True, 126)):
        with Running(world, sandbox, "worker", "echo x > new || echo refused") as run:
            case.that(harness.wait_for(asked, 60), "nobody is asked", run.said())
            question = asked()[0]["id"]
            if change:
                case.code(world.berm("pace", "group", "--backup", "worker", "crew"), 0)
            case.code(world.berm("approve", question), 0)
            case.that(run.process.wait(timeout=60 * harness.SLOWER) == code, change, run.said())
            case.that(("refused\n" in run.said()) == (code == 0), change, run.said())
            case.that(run.said().count("it starts read-only") == 1, change, run.said())
            case.that(not os.path.exists(sandbox.ws + "/new"), "it was written")


def with_yes(sandbox):
    """A profile whose own program says yes to everything."""
    program = sandbox.write_text(sandbox.top + "/say-yes", "#!/bin/sh\n: > %s/asked\n"
                                 "echo '{\"decision\": \"allow\"}'\n" % sandbox.top)
    os.chmod(program, 0o755)
    profile = sandbox.write_profile("agent-held", "blast_radius: {files_changed: 5}\napprovals: {channels: [exec], "
                                    "exec: [%s], timeout: 120s}\n" % program + BREAKER)
    os.chmod(profile, 0o644)
    return profile


@row("plain")
def a_run_that_changes_nothing_goes_on_in_alternate(world, sandbox, case):
    """The ordinary supervised agent has neither caps nor breakers: its walls say that it changes nothing."""
    plain = sandbox.write_profile("agent-plain-one")
    make(world, case, "worker", "spare")
    case.code(world.berm("agent", "add", "quiet", "--role", "r", "--accountable-human", "Ada <ada@example.org>", "-p",
                         plain, "-C", sandbox.ws, "--tier", "1", "--group", "crew"), 0)
    case.code(world.berm("pace", "group", "--backup", "quiet", "crew"), 0)
    with Running(world, sandbox, "quiet", LOOP) as run:
        case.that(run.says("refused"), "it does not run", run.said())
        case.code(world.berm("pace", "declare", "--reason", "x", "crew", "alternate"), 0)
        result = world.run(["/bin/sh", "-c", "echo hello; echo x > new || echo refused"], agent="quiet")
        case.that(result.text.split() == ["hello", "refused"], *result.describe())
        told = run.said().count("refused")
        case.that(harness.wait_for(lambda: run.said().count("refused") > told + 5, 30), "it is frozen", run.said())
        case.code(world.berm("pace", "declare", "crew", "emergency"), 0)
        case.that(run.process.wait(timeout=30 * harness.SLOWER) == 137, "the run is alive in emergency")


def staged_by(world, run):
    """How many names wait in that change set, or None."""
    sets = json.loads(world.berm("changes", "--json").text)["change_sets"]
    return next((row.get("changes") for row in sets if row["run"] == run), None)


@row("staged", caps="blast_radius: {files_changed: 100}\n")
def writes_in_alternate_are_staged_and_need_a_person(world, sandbox, case):
    make(world, case, "worker", "spare")
    case.code(world.berm("pace", "group", "--backup", "spare", "crew"), 0)
    case.code(world.berm("pace", "declare", "--reason", "x", "crew", "alternate"), 0)
    sandbox.file("first", "one\n")
    result = world.run(["/bin/sh", "-c", "echo two > second && echo more >> first && cat first"], agent="worker")
    case.that(result.code == 0 and result.text == "one\nmore\n", *result.describe())
    case.that(not os.path.exists(sandbox.ws + "/second"), "written before anybody said yes")
    run = json.loads(world.berm("changes", "--json").text)["change_sets"][0]["run"]
    shown = json.loads(world.berm("changes", "show", "--json", run).text)["shown"]
    result = world.run(["/bin/sh", "-c", "echo x > third || echo refused"], agent="spare")
    case.that(result.text == "refused\n", *result.describe())
    # Bound to what was shown, by somebody with a role.
    result = world.berm("changes", "commit", run)
    case.that(result.code == 1 and "crew is in alternate: say" in result.errors, *result.describe())
    nobody = os.path.join(world.state, "authority.yaml")
    sandbox.write_text(nobody, "version: 1\npeople:\n  - {name: other, uid: 4242, roles: [operator]}\n")
    result = world.berm("changes", "commit", "--shown", shown, run)
    case.that(result.code == 1 and "crew is in alternate" in result.errors, *result.describe())
    os.unlink(nobody)
    case.that(not os.path.exists(sandbox.ws + "/second") and staged_by(world, run) == 2, "committed by nobody")
    case.code(world.berm("changes", "commit", "--shown", shown, run), 0)
    with open(sandbox.ws + "/first", encoding="utf-8") as file:
        case.that(file.read() == "one\nmore\n" and os.path.exists(sandbox.ws + "/second"), "first")


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
    result = world.run(["/bin/sh", "-c", "echo x > nothing"], agent="gamma")
    case.that(result.code == 0 and not os.path.exists(sandbox.ws + "/nothing"), *result.describe())
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
    with open(path, "wb") as out, open(world.state + "/groups/crew.lock", "rb") as lock:
        # In alternate it begins staged, and changes nothing itself.
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


class Held:
    """Nobody else gets a lock of the state directory."""

    def __init__(self, world):
        self.files = [open(path, "rb") for path in glob.glob(world.state + "/**/*.lock", recursive=True)]

    def __enter__(self):
        for file in self.files:
            fcntl.flock(file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        for file in self.files:
            file.close()


@row("untold", caps="blast_radius: {files_changed: 5}\n")
def what_a_run_did_outlives_its_berm(world, sandbox, case):
    """Killed before the word to the group, or ended while somebody held the lock: the next start tells."""
    breaker_of_three(world)
    make(world, case, "alpha", "beta", "gamma")
    path = sandbox.top + "/untold.out"

    def said():
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def begun(agent, script, code):
        with open(path, "wb") as out:
            process = subprocess.Popen(world.command(["/bin/sh", "-c", "read go; " + script], agent=agent), stdout=out,
                                       stdin=subprocess.PIPE, stderr=out, env=world.environment(), cwd=sandbox.ws)
        try:
            case.that(harness.wait_for(lambda: (world.show(agent).get("running") or []) != [], 30), "no run")
            with Held(world):
                process.stdin.write(b"go\n")
                process.stdin.close()
                if code < 0:
                    case.that(harness.wait_for(lambda: "it is tried again" in said(), 30), said())
                    process.kill()
                case.that(process.wait(timeout=60 * harness.SLOWER) == code, process.returncode, said())
        finally:
            harness.stop(process)

    begun("alpha", REFUSED, -9)
    case.that(isolated(world) == [], group(world))
    result = world.run(["true"], agent="alpha")
    case.that(result.code == 126 and "it is isolated" in result.errors, *result.describe())
    case.that(isolated(world) == ["alpha"] and group(world)["phase"] == "alternate", group(world))
    # Another one of the group is the one that tells it.
    begun("beta", "for i in 1 2 3 4; do unshare -U true; done; exit 0", 0)
    case.that("who starts its next run tells it" in said() and isolated(world) == ["alpha"], said(), group(world))
    result = world.run(["true"], agent="gamma")
    case.that("knows of it (breaker)" in result.errors, *result.describe())
    case.that([one["agent"] for one in group(world)["decisions"]] == ["beta"], group(world))
    case.that(os.listdir(world.state + "/groups.untold") == [], os.listdir(world.state + "/groups.untold"))
    # What cannot be read may be anything.
    with open(world.state + "/groups.untold/" + "0" * 26, "wb"):
        pass
    result = world.run(["true"], agent="gamma")
    case.that(result.code == 125 and "what a run before this one did" in result.errors, *result.describe())
    case.code(world.add("free"), 0)
    case.code(world.run(["true"], agent="free"), 0)


@row("move", caps="blast_radius: {files_changed: 5}\n")
def what_a_run_did_follows_an_agent_that_is_moved(world, sandbox, case):
    """Not while it runs, not before its group heard of it, and not out of a group that is halted."""
    breaker_of_three(world)
    make(world, case, "alpha", "beta")
    case.code(world.berm("pace", "group", "other"), 0)
    case.code(world.add("gamma", "--group", "other"), 0)

    def move(agent="alpha", group="other"):
        return world.berm("agent", "set", agent, "--group", group)

    path = sandbox.top + "/move.out"
    with open(path, "wb") as out:
        process = subprocess.Popen(world.command(["/bin/sh", "-c", "read go; " + REFUSED], agent="alpha"), stdout=out,
                                   stdin=subprocess.PIPE, stderr=out, env=world.environment(), cwd=sandbox.ws)
    try:
        case.that(harness.wait_for(lambda: (world.show("alpha").get("running") or []) != [], 30), "no run")
        for group_name in ("other", "none"):
            result = move(group=group_name)
            case.that(result.code == 1 and "lasts, under the phase of its group" in result.errors, *result.describe())
        case.code(move(group="crew"), 0)
        with Held(world):
            process.stdin.write(b"go\n")
            process.stdin.close()
            case.that(harness.wait_for(lambda: "it is tried again" in inventory.read(path), 30), inventory.read(path))
            process.kill()
            process.wait(timeout=60 * harness.SLOWER)
    finally:
        harness.stop(process)
    case.that(isolated(world) == [], group(world))
    # The question alone has its group told, and then it is held there.
    result = move()
    case.that(result.code == 1 and "the group crew is in alternate" in result.errors, *result.describe())
    case.that(isolated(world) == ["alpha"] and world.show("alpha")["group"] == "crew", group(world))
    # What nobody can read stops its own group alone.
    unreadable = world.state + "/groups.untold/other." + "0" * 26
    with open(unreadable, "wb"):
        pass
    result = world.run(["true"], agent="gamma")
    case.that(result.code == 125 and "what a run before this one did" in result.errors, *result.describe())
    case.code(world.run(["true"], agent="beta"), 0)
    result = move("gamma", "crew")
    case.that(result.code == 1 and world.show("gamma")["group"] == "other", *result.describe())
    os.unlink(unreadable)
    case.code(world.berm("halt", "group:other"), 0)
    result = move("gamma", "none")
    case.that(result.code == 1 and "the group other is halted" in result.errors, *result.describe())
    case.code(world.berm("halt", "--lift", "group:other"), 0)
    case.code(move("gamma", "none"), 0)
    case.that(world.show("gamma")["group"] is None, world.show("gamma"))


@row("box", caps="limits: {wall_time: 3s}\nblast_radius: {files_changed: 5}\n")
def a_run_whose_time_is_over_is_looked_at_and_its_group_told(world, sandbox, case):
    """Frozen, kept as it is, told and ended. What only who starts it wanted is an ordinary time limit."""
    make(world, case, "alpha", "beta")
    case.code(world.add("alone"), 0)
    script = "trap 'echo asked; exit 3' TERM; echo x > made; exec 5< made; while :; do sleep 0.1; done"
    result = world.run(["/bin/sh", "-c", script], "--timeout", "1s", agent="beta")
    case.that(result.code == 124 and result.text == "asked\n", *result.describe())
    case.that(isolated(world) == [] and not os.path.exists(world.state + "/evidence"), group(world))
    for agent in ("alpha", "alone"):
        result = world.run(["/bin/sh", "-c", script], agent=agent)
        case.that(result.code == 124 and result.text == "", *result.describe())
        case.that("the time box of 3s is over" in result.errors, *result.describe())
    case.that(isolated(world) == ["alpha"] and group(world)["phase"] == "alternate", group(world))
    records = [json.loads(line)["record"] for line in world.berm("log", "--json").text.splitlines()]
    told = [one["phase_change"] for one in records if "phase_change" in one and
            one["phase_change"].get("trigger") == "time-box"]
    case.that(len(told) == 1 and told[0]["result"] == "changed" and told[0]["agent"] == "alpha", told)
    kills = [one["kill"] for one in records if "kill" in one]
    case.that(len(kills) == 2 and len(os.listdir(world.state + "/evidence")) == 2, kills)
    for kill in kills:
        kept = json.loads(inventory.read("%s/evidence/%s" % (world.state, kill["evidence"])))
        case.that(kept["agent"] in ("alpha", "alone") and kept["posture"] == "open" and
                  kept["counters"]["files_changed"] == 1 and kept["reason"] == "the time box of 3s is over", kept)
        files = [path for process in kept["processes"] for path in process["open_files"].values()]
        case.that(any(path.endswith("/ws/made") for path in files if path), kept)
        case.that(kill["asked_boot_ns"] <= kill["frozen_boot_ns"] <= kill["gone_boot_ns"], kill)


@row("held")
def what_an_agent_may_do_stays_while_it_is_held(world, sandbox, case):
    """Another profile, directory or budget is another agent: while a group is in alternate that needs the authority."""
    other = sandbox.write_profile("agent-held-2", "blast_radius: {files_changed: 5}\n" + BREAKER)
    os.chmod(other, 0o644)
    make(world, case, "alpha")
    case.code(world.berm("agent", "set", "alpha", "-p", other), 0)
    case.code(world.berm("pace", "declare", "--reason", "x", "crew", "alternate"), 0)
    before = world.show("alpha")
    for options in (["-p", world.profile], ["-C", sandbox.top], ["--budget", "files_changed=9/day"]):
        result = world.berm("agent", "set", "alpha", *options)
        case.that(result.code == 1 and "until it is back in primary" in result.errors, options, *result.describe())
    case.that(world.show("alpha") == before, world.show("alpha"), before)
    case.code(world.berm("agent", "set", "alpha", "--role", "another one"), 0)


@row("grows")
def a_group_grows_only_so_fast(world, sandbox, case):
    """However its agents come to it."""
    case.code(world.berm("pace", "group", "lab"), 0)
    for number in range(21):
        case.code(world.add("a%d" % number), 0)
        result = world.berm("agent", "set", "a%d" % number, "--group", "lab")
        case.that(result.code == (0 if number < 20 else 1), number, *result.describe())
    case.that("within an hour" in result.errors and world.show("a20").get("group") is None, *result.describe())


@row("poor", caps="blast_radius: {files_changed: 5}\n")
def the_limits_of_who_starts_are_the_tools(world, sandbox, case):
    """By sudo a user says with ulimit how much berm may have: it is for the tool alone."""
    if sandbox.mode != "root":
        raise Skip("berm has no more than its caller here")
    make(world, case, "alpha")

    def poor():
        # Also root may not take a hard limit back on every host.
        for kind, value in ((resource.RLIMIT_NOFILE, 64), (resource.RLIMIT_FSIZE, 512)):
            resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))

    script = "ulimit -n; ulimit -f; for i in 1 2 3 4 5 6 7; do echo x > f$i; done; echo end"
    path = sandbox.top + "/poor.out"
    with open(path, "wb") as out:
        process = subprocess.Popen(world.command(["/bin/sh", "-c", script], agent="alpha"), stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=out, env=world.environment(), cwd=sandbox.ws, preexec_fn=poor)
    try:
        heard = harness.wait_for(lambda: isolated(world) == ["alpha"], 30)
        said = inventory.read(path)
        case.that(heard and said.split()[:2] == ["64", "1"], said, group(world))
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
    ("writes of a group in alternate are staged and need a person", writes_in_alternate_are_staged_and_need_a_person),
    ("a run that changes nothing goes on in alternate without a meter",
     a_run_that_changes_nothing_goes_on_in_alternate),
    ("in contingency a person says yes to each run of the one agent that is left",
     the_last_agent_starts_when_a_person_says_so),
    ("a held run that cannot be staged starts read-only", a_held_run_that_cannot_be_staged_starts_read_only),
    ("a breaker of a run is heard by its group", a_breaker_of_a_run_is_heard_by_its_group),
    ("what a run did is told at its end, and after a while where it cannot be",
     a_run_that_ends_at_once_has_told_its_group),
    ("what a run did is told to its group although its berm was killed or could not wait",
     what_a_run_did_outlives_its_berm),
    ("an agent is moved when nothing of it runs, its group knows what it did, and nothing is halted",
     what_a_run_did_follows_an_agent_that_is_moved),
    ("a run whose time box is over is frozen, looked at, told to its group and ended",
     a_run_whose_time_is_over_is_looked_at_and_its_group_told),
    ("what an agent may do is not changed while its group holds it", what_an_agent_may_do_stays_while_it_is_held),
    ("a group gets so many agents within an hour, however they come to it", a_group_grows_only_so_fast),
    ("who starts a run says with ulimit what the tool has, not what berm has", the_limits_of_who_starts_are_the_tools),
    ("an emergency of a run asks for one of its group", an_emergency_of_a_run_asks_for_one_of_its_group),
    ("a group's file is believed where it is its own, and its absence is no primary",
     a_groups_file_is_believed_where_it_is_its_own),
]
