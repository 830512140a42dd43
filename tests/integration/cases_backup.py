# SPDX-License-Identifier: Apache-2.0
"""The backup of a group: berm starts it when the group comes to alternate, once, read-only, as the operator says."""
import json
import os
import resource
import signal

import harness
import inventory
from cases_agents import row
from cases_crowd import runs_of
from cases_pace import Running, breaker_of_three, group, make
from sandbox import Skip

# What it finds of where it is and of what it may do; it goes on as long as it is let.
START = "start-backup-read-only"
LOOKS = ("echo cwd=$PWD; echo env=${LC_SECRET-none} out=$(env | wc -l); (echo x > /tmp/mark) && echo tmp; "
         "(echo x > mark-of-backup) 2>/dev/null && echo wrote || echo refused; echo begun; "
         "while :; do sleep 0.1; done")
CAPS = "blast_radius: {files_changed: 100000}\n"
ENDS = "echo begun; exit 0"


class Crew:
    """A group with a backup and what it runs."""

    def __init__(self, world, sandbox, case, script, *more, options=()):
        self.world, self.sandbox, self.case = world, sandbox, case
        make(world, case, "alpha", "spare", *more, options=options)
        case.code(world.berm("pace", "group", "--backup", "spare", "crew"), 0)
        self.told = sandbox.top + "/told"
        if os.path.exists(self.told):
            os.unlink(self.told)
        self.says(["/bin/sh", "-c", script])

    def says(self, command):
        # A program of its own that is told, to see what it hears.
        notify = ["/bin/sh", "-c", "cat >> %s" % self.told]
        entry = {"name": "crew", "notify": notify}
        if command:
            entry["backup"] = command
        path = self.world.state + "/groups.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(json.dumps({"version": 1, "groups": [entry]}))
        os.chmod(path, 0o644)

    def output(self):
        try:
            return inventory.read(self.world.state + "/backups/crew")
        except FileNotFoundError:
            return ""

    def begun(self, seconds=30):
        return harness.wait_for(lambda: "begun" in self.output(), seconds)

    def runs(self):
        return self.world.show("spare").get("runs_total")

    def running(self):
        return self.world.show("spare").get("running") or []

    def lasting(self):
        """Not those whose watcher was killed, which stay listed until they are counted as ended."""
        return [run for run in self.running() if run["lasts"]]

    def run(self):
        """The one that lasts."""
        self.case.that(harness.wait_for(lambda: len(self.running()) == 1, 60), self.output(), self.about(),
                       *self.world.berm("agent", "show", "spare").describe())
        return (self.running() or [{"run": None}])[0]

    def records(self):
        lines = [json.loads(line)["record"] for line in self.world.berm("log", "--json").text.splitlines()]
        return [line["phase_change"] for line in lines if "phase_change" in line]

    def about(self, number=1):
        """What the records of that change say of the start, in their order."""
        kinds = ("begun", "actions", "required")
        said = [(one.get("result"), [kind for kind in kinds if START in (one.get(kind) or [])])
                for one in self.records() if one.get("number") == number]
        said = [(result, found) for result, found in said if found]
        # A change that is told while somebody else changes the group is in the log twice.
        again = ("changed", ["required"])
        return [one for one in said if one != again or ("changed", ["begun"]) not in said]

    def told_of(self, number=1, count=2):
        harness.wait_for(lambda: len(self.about(number)) >= count, 30)
        return self.about(number)

    def heard(self):
        try:
            return [json.loads(line) for line in inventory.read(self.told).splitlines()]
        except FileNotFoundError:
            return []

    def alternate(self):
        return self.world.berm("pace", "declare", "--reason", "x", "--agent", "alpha", "--json", "crew", "alternate",
                               LC_SECRET="1")

    def close(self):
        """What watches a backup writes how it ended, and is gone some time after what it watched."""
        for run in self.lasting():
            told = self.world.berm("kill", run["run"])
            # One that ends just now is gone from the kill's list before it is gone from its agent's.
            self.case.that(told.code == 0 or harness.wait_for(lambda: not self.lasting(), 30), *told.describe())
        self.case.that(harness.wait_for(lambda: not self.watchers(), 30), self.watchers(), self.records()[-3:])

    def watchers(self):
        return inventory.processes_of("backup", self.world.state)


def crew_row(name, script, **more):
    def wrap(function):
        @row(name, caps=CAPS)
        def judged(world, sandbox, case):
            crew = Crew(world, sandbox, case, script, **more)
            try:
                function(crew, world, sandbox, case)
            finally:
                crew.close()
        return judged
    return wrap


BEGUN = [("changed", ["begun"]), ("noted", ["actions"])]
UNDONE = [("changed", ["begun"]), ("noted", ["actions"]), ("undone", ["required"])]


@crew_row("takes-over", LOOKS)
def the_backup_is_started_read_only(crew, world, sandbox, case):
    """By whoever brings alternate about, with nothing of theirs; what it prints is kept, and the log has it all."""
    told = crew.alternate()
    case.code(told, 0)
    told = json.loads(told.text)
    case.that(told["begun"] == [START] and START not in told["required"] + told["actions"], told)
    case.that(crew.begun(), crew.output(), crew.records())
    said = crew.output()
    case.that("cwd=%s\n" % sandbox.ws in said and "env=none" in said and "refused" in said and "wrote" not in said and
              not os.path.exists(sandbox.ws + "/mark-of-backup"), said)
    running = crew.running()
    case.that(len(running) == 1 and running[0].get("task") == "backup-1" and crew.runs() == 1, running)
    case.that(crew.told_of()[1:] == BEGUN[1:], crew.about(), crew.records()[-3:])
    last = [one for one in crew.records() if START in (one.get("actions") or [])][0]
    case.that(last["trigger"] == "declared" and last["agent"] == "spare" and last.get("by"), last)
    case.that(harness.wait_for(crew.heard, 30), "nobody is told")
    case.that(crew.heard()[0]["begun"] == [START] and START not in crew.heard()[0]["required"], crew.heard())
    # Looking at the group, and whatever else is said of it, starts no second one.
    for _ in range(5):
        group(world)
        world.berm("pace", "declare", "--reason", "x", "--agent", "alpha", "crew", "alternate")
    case.that(len(crew.running()) == 1 and crew.runs() == 1, crew.running())


def how_it_is(pid):
    """(scheduling, score, limit of processor time) of that process; None where it is gone."""
    try:
        limits = inventory.read("/proc/%s/limits" % pid).splitlines()
        cpu = [line.split()[3] for line in limits if line.startswith("Max cpu time")][0]
        return os.sched_getscheduler(int(pid)), int(inventory.read("/proc/%s/oom_score_adj" % pid)), cpu
    except (OSError, ValueError, IndexError):
        return None


@crew_row("starter", "echo cpu=$(ulimit -t); " + LOOKS)
def it_is_as_fast_and_lasts_as_long_whoever_starts_it(crew, world, sandbox, case):
    """What is handed on to a child, of whoever brings alternate about, neither slows it down nor ends it."""
    usual = how_it_is(os.getpid())
    case.that(usual and usual[0] == os.SCHED_OTHER, usual)

    def poor():
        resource.setrlimit(resource.RLIMIT_CPU, (90, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        # Nobody but root gets out of the other one.
        os.sched_setscheduler(0, os.SCHED_IDLE if sandbox.mode == "root" else os.SCHED_BATCH, os.sched_param(0))
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("%d" % max(700, usual[1]))

    case.code(harness.run([sandbox.berm, "pace", "declare", "--reason", "x", "--agent", "alpha", "crew", "alternate"],
                          env=world.environment(), cwd=sandbox.ws, preexec_fn=poor), 0)
    case.that(crew.begun(), crew.output(), crew.records())
    case.that("cpu=%s\n" % usual[2] in crew.output(), usual, crew.output())
    found = [one for one in map(how_it_is, crew.watchers()) if one]
    case.that(found and all(one[0] == os.SCHED_OTHER and one[1] <= max(0, usual[1]) and one[2] == usual[2]
                            for one in found), usual, found)


def grow(crew, world, sandbox, case):
    with Running(world, sandbox, "alpha", "for i in 1 2 3 4; do unshare -U true; done; while :; do sleep 0.1; done"):
        case.that(harness.wait_for(lambda: group(world).get("phase") == "alternate", 30), group(world))
    return "breaker"


def signal_from_outside(crew, world, sandbox, case):
    path = world.state + "/authority.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write("version: 1\npeople:\n  - {name: bob, uid: %d, roles: [operator]}\n"
                   "sources:\n  - {name: judge, uid: %d, triggers: [external]}\n" % (os.geteuid(), os.geteuid()))
    os.chmod(path, 0o600)
    case.code(world.berm("pace", "trigger", "--from", "judge", "--agent", "alpha", "crew", "external"), 0)
    return "external"


def floor(crew, world, sandbox, case):
    case.code(world.berm("pace", "group", "--at-least", "alternate", "crew"), 0)
    return "configured"


@row("doors", caps=CAPS)
def every_door_to_alternate_starts_it(world, sandbox, case):
    for door in (grow, signal_from_outside, floor):
        world.close()
        world.__init__(sandbox, "doors", caps=CAPS)
        breaker_of_three(world)
        crew = Crew(world, sandbox, case, ENDS)
        trigger = door(crew, world, sandbox, case)
        case.that(crew.begun(), trigger, crew.output(), crew.records())
        # A busy recorder is told by whoever comes next, who does not know what was begun.
        case.that(crew.told_of() in (BEGUN, [("changed", ["required"])] + BEGUN[1:]), trigger, crew.about())
        case.that([one["trigger"] for one in crew.records() if START in (one.get("actions") or [])] == [trigger],
                  crew.records())
        case.that(crew.runs() == 1, trigger, crew.runs())


@crew_row("beyond", LOOKS)
def it_ends_with_alternate(crew, world, sandbox, case):
    """In contingency unless it is the last agent; on the way back it is started once more."""
    for last, number in ((None, 1), ("spare", None)):
        if last:
            case.code(world.berm("pace", "group", "--contingency", "spare", "crew"), 0)
        else:
            case.code(crew.alternate(), 0)
        case.that(crew.begun(), crew.output())
        run = crew.run()["run"]
        write_people(world, "operator, security")
        case.code(world.berm("pace", "declare", "--reason", "x", "crew", "contingency"), 0)
        if last:
            case.that(group(world)["phase"] == "contingency" and [one["run"] for one in crew.running()] == [run],
                      crew.running(), crew.output())
            continue
        case.that(harness.wait_for(lambda: not crew.running(), 60), crew.running(), crew.output())
        case.that("its group is in contingency" in crew.output(), crew.output())
        case.code(world.berm("pace", "recover", "--reason", "it is mended", "crew"), 0)
        case.that(harness.wait_for(lambda: len(crew.running()) == 1, 60), crew.records(), crew.output())
        # What loosens is in the log before it is so.
        case.that(crew.told_of(3) == [("changed", ["required"])] + BEGUN[1:], crew.about(3))
        case.that(crew.run().get("task") == "backup-3", crew.running())
    write_people(world, "operator, kill-key")
    case.code(world.berm("pace", "declare", "crew", "emergency"), 0)
    case.that(harness.wait_for(lambda: not crew.running(), 60), crew.running())
    case.that(crew.runs() == 2, crew.runs())


def write_people(world, roles):
    path = world.state + "/authority.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write("version: 1\npeople:\n  - {name: bob, uid: %d, roles: [%s]}\n" % (os.geteuid(), roles))
    os.chmod(path, 0o600)


@row("cannot", caps=CAPS)
def what_cannot_be_started_is_told(world, sandbox, case):
    """And holds nothing up: who is suspected is isolated all the same."""
    def halted(crew):
        case.code(world.berm("halt", "agent:spare", "--reason", "x"), 0)

    def homeless(crew):
        os.mkdir(sandbox.top + "/home-of-spare")
        case.code(world.berm("agent", "set", "spare", "--directory", sandbox.top + "/home-of-spare"), 0)
        os.rmdir(sandbox.top + "/home-of-spare")

    def nothing(crew):
        crew.says(["/nonexistent/program"])

    def spent(crew):
        case.code(world.berm("agent", "set", "spare", "--runs-per-hour", "1"), 0)
        case.code(world.run(["true"], agent="spare"), 0)

    for spoil, why in ((halted, "halt"), (homeless, "home-of-spare"), (nothing, "/nonexistent/program"),
                       (spent, "runs_per_hour")):
        world.close()
        world.__init__(sandbox, "cannot", caps=CAPS)
        crew = Crew(world, sandbox, case, ENDS)
        spoil(crew)
        case.code(crew.alternate(), 0)
        told = group(world)
        case.that(told["phase"] == "alternate" and [one["agent"] for one in told["isolated"]] == ["alpha"], told)
        case.that(crew.told_of(count=3)[1:] == UNDONE[1:], why, crew.about())
        last = [one for one in crew.records() if one.get("result") == "undone"][0]
        case.that(why in last["reason"] and last["trigger"] == "declared", why, last)
        case.that(harness.wait_for(lambda: len(crew.heard()) == 2, 30), why, crew.heard())
        case.that(crew.heard()[1]["required"] == [START] and why in crew.heard()[1]["reason"], crew.heard())
        case.that("begun" not in crew.output(), crew.output())


@crew_row("killed", LOOKS)
def a_kill_costs_the_run_and_starts_no_other(crew, world, sandbox, case):
    """kill -9 of the process that watches it: the run ends, who looks next tells it, and nobody starts another."""
    case.code(crew.alternate(), 0)
    case.that(crew.begun(), crew.output())
    watcher = [run["pid"] for run in runs_of(world, "spare")]
    case.that(len(watcher) == 1, watcher)
    os.kill(watcher[0], signal.SIGKILL)
    for _ in range(3):
        harness.wait_for(lambda: group(world) and crew.told_of(count=3)[1:] == UNDONE[1:], 30)
    case.that(crew.about()[1:] == UNDONE[1:], crew.about())
    # Whoever looks from now on finds nothing to begin with.
    for _ in range(5):
        case.that(group(world)["phase"] == "alternate", group(world))
    case.that(crew.about()[1:] == UNDONE[1:] and crew.runs() == 1, crew.about(), crew.runs())
    case.that(not crew.lasting(), crew.running())


@row("listed", caps=CAPS)
def a_user_finds_the_backup_where_other_runs_are(world, sandbox, case):
    """berm ps and berm kill --all look where XDG_RUNTIME_DIR says: who is logged in has one."""
    if sandbox.mode == "root":
        raise Skip("root's runs are in /run/berm whatever the environment says")
    crew = Crew(world, sandbox, case, LOOKS)
    where = sandbox.top + "/runtime"
    os.mkdir(where, 0o700)
    try:
        case.code(world.berm("pace", "declare", "--reason", "x", "--agent", "alpha", "crew", "alternate",
                             XDG_RUNTIME_DIR=where), 0)
        run = crew.run()["run"]
        listed = json.loads(world.berm("ps", "--json", XDG_RUNTIME_DIR=where).text)["runs"]
        case.that([one["run"] for one in listed] == [run], run, listed)
        case.code(world.berm("kill", "--all", XDG_RUNTIME_DIR=where), 0)
        case.that(harness.wait_for(lambda: not crew.running(), 60), crew.running())
    finally:
        crew.close()


@crew_row("box", LOOKS)
def its_time_box_says_nothing_of_it(crew, world, sandbox, case):
    """It lasts until something ends it: that its time is over is no suspicion, and the group keeps its backup."""
    case.code(world.berm("agent", "set", "spare", "--time-box", "2s"), 0)
    case.code(crew.alternate(), 0)
    ended = "its backup has ended: exit code 124"
    case.that(harness.wait_for(lambda: any(ended in (one.get("reason") or "") for one in crew.records()), 60),
              crew.records(), crew.output())
    told = group(world)
    case.that(told["phase"] == "alternate" and [one["agent"] for one in told["isolated"]] == ["alpha"], told)
    case.that(not any(one.get("trigger") == "time-box" for one in crew.records()), crew.records())


@crew_row("foreseen", ENDS.replace("exit 0", "exit 1"))
def nobody_fails_in_its_place(crew, world, sandbox, case):
    """Its task is berm's alone, and a command with the task's name at its end is another one."""
    command = ["/bin/sh", "-c", ENDS.replace("exit 0", "exit 1")]
    result = world.run(command, "--task", "backup-1", agent="spare")
    case.that(result.code == 2 and "is berm's own" in result.errors and not result.text, *result.describe())
    case.code(world.run(command + ["backup-1"], agent="spare"), 1)
    case.code(crew.alternate(), 0)
    case.that(crew.begun(), crew.about(), crew.records())


ROWS = [
    ("the backup is started read-only when its group comes to alternate", the_backup_is_started_read_only),
    ("the backup is as fast and lasts as long, whoever starts it", it_is_as_fast_and_lasts_as_long_whoever_starts_it),
    ("a breaker, a signal from outside and a floor start the backup too", every_door_to_alternate_starts_it),
    ("the backup ends with alternate, unless it is the last agent", it_ends_with_alternate),
    ("a backup that cannot be started is told, and holds nothing up", what_cannot_be_started_is_told),
    ("a kill costs the backup's run and starts no other one", a_kill_costs_the_run_and_starts_no_other),
    ("a user's backup is listed and killed where that user's other runs are",
     a_user_finds_the_backup_where_other_runs_are),
    ("the time box of a backup's agent is no suspicion", its_time_box_says_nothing_of_it),
    ("nobody's failed run keeps the backup from its start", nobody_fails_in_its_place),
]
