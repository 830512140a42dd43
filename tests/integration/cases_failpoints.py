# SPDX-License-Identifier: Apache-2.0
"""RT-12 from within: each change of a group, a halt, an agent, a question and a commit, with berm ended at each moment
that has a name. What holds afterwards is what held before or what was asked for; no run may do more than that; what
follows works, and nothing is left. FAILPOINTS_ALL=1: at every passage of every one, with a probe after each."""
import os
import shutil
import time

import cases_changes
import cases_pace
import failpoints
import harness
import inventory
from cases_record import wait_for
from cases_agents import World
from failpoints import Copy, Play, Tally, background, chosen, held_lock, passes_of

ALL = bool(os.environ.get("FAILPOINTS_ALL"))
AUTHORITY = """version: 1
keys:
  - {name: alice, key: %s, roles: [security, risk-owner, observer]}
people:
  - {name: bob, uid: %d, roles: [operator, kill-key, security, incident-commander, risk-owner]}
sources:
  - {name: judge, uid: %d, triggers: [external, exfiltration, rogue]}
"""
NOTIFY = "version: 1\ngroups:\n  - {notify: [/bin/true]}\n"
POINTS_AT_LEAST = 40
CALM = "pace:\n  alternate:\n    when: [{event: denial, count: 64, within: 1s}]\n"
REASON = ("--reason", "a test")
REVIEW = ("--review", "root-cause,gap-closed,baselines,sign-off")
# Three refusals are one too many, and then it lasts.
TRIPS = "for i in 1 2 3 4 5; do unshare -U true; done; sleep 0.2; echo x > tripped"


def write_private(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o600)


class Bases:
    """State directories from which transitions begin."""

    def __init__(self, sandbox, case):
        self.sandbox, self.case, self.made, self.calm = sandbox, case, {}, None

    def make(self, name, start, steps):
        """steps: words of berm, or what is called with the world."""
        world = World(self.sandbox, "fp-" + name)
        if start:
            inventory.end_recorders(self.made[start].state)
            shutil.copytree(self.made[start].state, world.state, symlinks=True)
        if start:
            world.profile = self.made[start].profile
        else:
            self.calm = self.sandbox.write_profile("fp-calm", "blast_radius: {files_changed: 100000}\n" + CALM)
            os.chmod(self.calm, 0o644)
            cases_pace.breaker_of_three(world)
        self.made[name] = world
        for step in steps:
            if callable(step):
                step(world)
            else:
                self.case.code(world.berm(*step), 0)
        inventory.end_recorders(world.state)
        return world

    def close(self):
        for world in self.made.values():
            world.close()

    def begin(self, world):
        trips = world.profile
        key = world.state + ".key"
        if os.path.exists(key):
            os.unlink(key)
        made = world.berm("pace", "key", key)
        self.case.code(made, 0)
        uid = os.geteuid()
        os.mkdir(world.state, 0o700)
        write_private(world.state + "/authority.yaml", AUTHORITY % (made.text.strip(), uid, uid))
        write_private(world.state + "/groups.yaml", NOTIFY)
        self.case.code(world.berm("pace", "group", "--tier", "2", "crew"), 0)
        for agent in ("alpha", "beta", "spare"):
            self.case.code(world.add(agent, "--group", "crew", "--budget", "files_changed=90/day"), 0)
            world.profile = self.calm
        self.case.code(world.berm("pace", "group", "--backup", "spare", "--contingency", "spare", "crew"), 0)
        world.profile = trips

    def sign(self, base, role, to, *more):
        """Words that hold once, in each copy of that state."""
        world, path = self.made[base], "%s/%s-%s.signed" % (self.sandbox.top, base, to)
        if os.path.exists(path):
            os.unlink(path)
        about = cases_pace.group(world)["to_sign"]
        key = self.made["primary"].state + ".key"
        words = ("pace", "sign", "--key", key, "--as", role, *REASON, "--out", path)
        self.case.code(world.berm(*words, *more, about, to), 0)
        inventory.end_recorders(world.state)
        return path


def mark_it(world):
    with held_lock(world):
        world.berm("pace", "declare", "crew", "emergency")


def kill_when_kept(world):
    """A run that trips, whose berm is killed when it has noted so and told nobody."""
    words = ("run", "--timeout", "1s", "--agent", "alpha", "--", "/bin/sh", "-c", TRIPS)
    with Copy(world) as copy:
        shown = passes_of(copy.berm(*words, BERM_FAILPOINT="show"))
    kept = [one for one in shown if one.startswith("untold.keeping")]
    read = [one for one in shown[shown.index(kept[0]):] if one.startswith("state.locked")] if kept else []
    if read:
        world.berm(*words, BERM_FAILPOINT="alone," + read[0])
    if os.path.exists(world.sandbox.ws + "/tripped"):
        os.unlink(world.sandbox.ws + "/tripped")


def bases_of(sandbox, case):
    bases = Bases(sandbox, case)
    alternate = ("pace", "declare", *REASON, "--agent", "alpha", "crew", "alternate")
    evidence = ("pace", "trigger", "--from", "judge", "--agent", "alpha", "crew", "exfiltration")
    bases.make("primary", None, [bases.begin])
    bases.make("alternate", "primary", [alternate])
    bases.make("contingency", "alternate", [("pace", "declare", *REASON, "crew", "contingency")])
    bases.make("emergency", "primary", [("pace", "declare", *REASON, "crew", "emergency")])
    bases.make("asked", "primary", [evidence])
    bases.make("due", "primary", [("pace", "group", "--window", "1s", "crew"), evidence, lambda world: time.sleep(1.2)])
    bases.make("marked", "alternate", [mark_it])
    bases.make("halted", "primary", [("halt", "--drain", "1ms", "beta")])
    bases.make("half", "contingency", [lambda world: world.berm("pace", "recover", *REASON, "crew",
                                                                BERM_FAILPOINT="alone,group.telling:1")])
    bases.make("untold", "primary", [kill_when_kept])
    return bases


def plays_of(bases):
    b = bases.made
    to_contingency = bases.sign("alternate", "security", "contingency")
    seen = bases.sign("asked", "observer", "emergency", "--evidence", "exfiltration")
    declare = ("pace", "declare", *REASON)
    judge = ("pace", "trigger", "--from", "judge", "--agent", "beta", "crew")
    return [
        Play("primary to alternate", b["primary"], declare + ("--agent", "beta", "crew", "alternate"), lives="beta"),
        Play("primary to contingency", b["primary"], declare + ("crew", "contingency"), lives="beta"),
        Play("the kill switch", b["primary"], declare + ("crew", "emergency"), lives="beta"),
        Play("alternate to contingency, signed", b["alternate"],
             ("pace", "declare", "--signature", to_contingency, "crew", "contingency")),
        Play("a suspicion", b["primary"], judge + ("external",), lives="beta"),
        Play("a second suspicion", b["alternate"], judge + ("external",)),
        Play("evidence", b["primary"], judge + ("exfiltration",)),
        Play("a second signal", b["asked"],
             ("pace", "declare", "--evidence", "exfiltration", "--signature", seen, "crew", "emergency")),
        Play("no to a decision", b["asked"], ("pace", "dismiss", *REASON, "crew"), agent="alpha"),
        Play("the end of a window", b["due"], ("pace", "show", "crew"), waits=True),
        Play("a way back", b["contingency"], ("pace", "recover", *REASON, "crew")),
        Play("the way out of emergency", b["emergency"], ("pace", "recover", *REASON, *REVIEW, "crew")),
        Play("a change after a way back that was cut", b["half"], ("pace", "recover", *REASON, "crew")),
        Play("an emergency without the lock", b["primary"], declare + ("crew", "emergency"), before=held_lock,
             waits=True),
        Play("an emergency beside its group", b["marked"], declare + ("crew", "contingency"), waits=True),
        Play("a floor", b["primary"], ("pace", "group", "--at-least", "alternate", "crew")),
        Play("a longer window", b["primary"], ("pace", "group", "--window", "20m", "crew")),
        Play("a full disk", b["primary"], declare + ("--agent", "beta", "crew", "alternate"),
             failing="storage.write:1:28", points=["reserve.given:1", "group.writing:2", "replace.named:1"]),
        Play("a halt", b["primary"], ("halt", "--drain", "1ms", "beta"), lives="beta"),
        Play("a halt of the group", b["primary"], ("halt", "--drain", "1ms", "group:crew")),
        Play("the end of a halt", b["halted"], ("halt", "--lift", "beta")),
        Play("a budget", b["primary"], ("agent", "set", "beta", "--budget", "files_changed=50/day")),
        Play("another name", b["primary"], ("agent", "set", "beta", "--name", "gamma"), agent="alpha"),
        Play("a new agent", b["primary"], ("agent", "add", "delta", "--role", "r", "--accountable-human", "A <a@b.org>",
                                           "-p", b["primary"].profile, "-C", bases.sandbox.ws, "--tier", "2",
                                           "--group", "crew"),
             agent="alpha"),
        Play("the end of an agent", b["primary"], ("agent", "retire", "beta", *REASON), agent="alpha"),
    ]


def with_bases(function):
    def judged(sandbox, case):
        bases = bases_of(sandbox, case)
        try:
            if case.wrong:
                return
            function(bases, sandbox, case)
        finally:
            bases.close()
    judged.__doc__ = function.__doc__
    return judged


@with_bases
def a_kill_at_any_moment_leaves_the_old_or_the_new(bases, sandbox, case):
    tally = Tally(case, ALL)
    tally.listed = failpoints.all_points(sandbox, bases.made["primary"].state)
    lives = []
    for play in plays_of(bases):
        passes, *wanted = play.undisturbed(tally)
        for point in chosen(passes, tally):
            play.kill(tally, point, wanted)
        tally.say(play.name, passes)
        if play.lives:
            lives += [(play, point, wanted) for point in passes if ALL or point in ("group.written:1", "halt.set:1")]
    for play, point, wanted in lives:
        play.watch(tally, point, wanted)
    runs_of_agents(bases, tally)
    questions(bases, tally)
    commits(sandbox, tally)
    missed = tally.listed - tally.points
    case.that(not missed, "no kill at: %s" % sorted(missed))
    case.that(len(tally.points) >= POINTS_AT_LEAST, "only %d points" % len(tally.points))
    case.that(tally.old and tally.new and tally.between, "one side was never met: " + tally.words())
    case.summary = tally.words()


def counted(world, agent):
    shown = world.json("agent", "show", "--json", agent)
    return shown["runs_total"], sum(row["used"] for row in shown["budgets"])


def runs_of_agents(bases, tally):
    """A run that ends with its berm: what it did is counted, at least; what it was to tell is told by the next one."""
    case = tally.case
    for name, base, script, agent in (("a run", "primary", "echo x > counted", "beta"),
                                      ("a run that trips", "primary", TRIPS, "alpha"),
                                      ("a run after one that could tell nobody", "untold", "true", "alpha")):
        words = ("run", "--timeout", "1s", "--agent", agent, "--", "/bin/sh", "-c", script)
        base = bases.made[base]
        with Copy(base) as world:
            passes = passes_of(world.berm(*words, BERM_FAILPOINT="show"))
            group = world.json("pace", "show", "--json", "crew")
            sandbox_file(base, "counted")()
        for point in chosen(passes, tally):
            where = "%s, killed at %s" % (name, point)
            wrote = sandbox_file(base, "counted")
            with Copy(base) as world:
                before = counted(world, agent)
                result, met = world.at(words, point)
                if not case.that(met, where + ": it was not", *result.describe()):
                    continue
                tally.kills += 1
                tally.points.add(point.split(":")[0])
                case.that(harness.wait_for(lambda: not inventory.processes([world.state]), 20), where, "it lasts")
                did = wrote() or sandbox_file(base, "tripped")()
                result = world.berm(*words)  # it finds what the first one left
                case.that(result.code in (0, 1, 124, 126, 137), where, *result.describe())
                did += wrote()
                runs, used = counted(world, agent)
                case.that(used - before[1] >= did and runs - before[0] <= 2, where,
                          "counted %s" % ((before, runs, used),), "done %d" % did)
                if group["phase"] != "primary" and passes.index(point) >= kept_at(passes):
                    now = world.json("pace", "show", "--json", "crew")["phase"]
                    case.that(now == group["phase"], where, "its group is in %s" % now)
                tally.new += 1
                case.that(world.berm("pace", "declare", "crew", "emergency").code == 0, where)
                case.that(world.berm("log", "verify").code == 0, where, "the log")
                inventory.end_recorders(world.state)
                case.that(not [one for one in world.names() if one.endswith(".new")], where, sorted(world.names()))


def kept_at(passes):
    """From where on a kill keeps nothing from the group: what is to be told it has its name on the disk."""
    if "untold.keeping:1" not in passes:
        return 0
    begun = passes.index("untold.keeping:1")
    return begun + [one.split(":")[0] for one in passes[begun:]].index("replace.named")


def sandbox_file(world, name):
    """Whether the tool made it; it is removed."""
    def look():
        path = world.sandbox.ws + "/" + name
        if not os.path.exists(path):
            return 0
        os.unlink(path)
        return 1
    return look


def questions(bases, tally):
    """Who asks, who joins, who answers and who leaves: nothing starts that nobody said yes to."""
    case, base, sandbox = tally.case, bases.made["primary"], bases.sandbox
    profile = sandbox.write_profile("fp-held", "approvals: {on: [run], timeout: 4s}\n")
    os.chmod(profile, 0o644)
    words = ("run", "-p", profile, "--", "/bin/sh", "-c", "echo x > counted")
    wrote = sandbox_file(base, "counted")

    def asked(world):
        return [one for one in world.json("approvals", "--json")["approvals"]]
    for name, joins, answers in (("a question", False, False), ("one more who asks", True, False),
                                 ("a yes", True, True)):
        def ask(world, point, environment=None):
            shown = None
            with background(world, words) if joins else failpoints.contextlib.nullcontext():
                if joins:
                    harness.wait_for(lambda: asked_ids(world), 20)
                command = ("approve", (asked_ids(world) or ["none"])[0]) if answers else words
                shown = world.berm(*command, BERM_FAILPOINT=point)
                if answers:
                    time.sleep(0.05)
            return shown
        with Copy(base) as world:
            passes = passes_of(ask(world, "show"))
            wrote()
        passes = [one for one in passes if one.startswith("request.") or tally.whole]
        for point in passes:
            where = "%s, killed at %s" % (name, point)
            if not tally.whole and point.split(":")[0] in tally.points:
                continue
            with Copy(base) as world:
                result = ask(world, "alone," + point)
                if not case.that("killed at " in result.errors, where, *result.describe()):
                    continue
                tally.kills += 1
                tally.points.add(point.split(":")[0])
                answered = [one for one in world.json("approvals", "--json", "--all")["approvals"]
                            if one.get("state") == "approved"]
                did = wrote()
                case.that(not did or answered, where, "it began, and nobody said so")
                tally.new += bool(answered)
                tally.old += not answered
                inventory.end_recorders(world.state)
                case.that(harness.wait_for(lambda: not inventory.processes([world.state]), 20), where, "it lasts")
    with Copy(base) as world:
        with background(world, words, BERM_FAILPOINT="alone,request.leaving:1") as process:
            wait_for(case, "a question", lambda: asked_ids(world), 30)
            process.terminate()
            case.that(process.wait(30 * harness.SLOWER) == -9, "who leaves was not killed", process.returncode)
        case.that(not wrote(), "who leaves began")
        tally.kills += 1
        tally.old += 1
        tally.points.add("request.leaving")
        wait_for(case, "the question is over", lambda: not asked_ids(world), 30)


def asked_ids(world):
    result = world.berm("approvals", "--json")
    return [one["id"] for one in failpoints.json.loads(result.text)["approvals"]] if result.code == 0 else []


def commits(sandbox, tally):
    """All of a change set or nothing of it, whoever looks next."""
    case = tally.case
    script = "echo new > made; echo more >> edit; rm gone; mkdir -p deep/er; echo d > deep/er/file; chmod 700 dir"

    def stage():
        cases_changes.clean(sandbox)
        sandbox.fresh()
        for name in ("edit", "gone", "dir/file"):
            sandbox.file(name, name)
        case.code(cases_changes.shell(sandbox, script), 0)
        return cases_changes.the_run(sandbox, case)

    def picture():
        return {path: (seen[0], seen[-1]) for path, seen in cases_changes.picture(sandbox.ws).items()}
    run = stage()
    old = picture()
    result = cases_changes.changes(sandbox, "commit", run, env=sandbox.environment(BERM_FAILPOINT="show"))
    case.code(result, 0)
    new = picture()
    for point in chosen(passes_of(result), tally):
        where = "a commit, killed at %s" % point
        run = stage()
        result = cases_changes.changes(sandbox, "commit", run,
                                       env=sandbox.environment(BERM_FAILPOINT="alone," + point))
        if not case.that("killed at " in result.errors, where, *result.describe()):
            continue
        tally.kills += 1
        tally.points.add(point.split(":")[0])
        waits = cases_changes.waiting(sandbox)
        now = picture()
        if case.that(now in (old, new), where, sorted(set(now.items()) ^ set(new.items()))):
            case.that((now == old) == (run in waits), where, "the set waits: %s" % waits)
            tally.old += now == old
            tally.new += now == new
        if run in waits:
            case.code(cases_changes.changes(sandbox, "commit", run), 0)
            case.that(picture() == new, where, "the commit after it is another one")
        left = [name for name in os.listdir(sandbox.ws) if name.startswith(".berm")]
        case.that(not left, where, left)
    cases_changes.clean(sandbox)


ROWS = [("a kill at any moment leaves the old or the new, and nothing else",
         a_kill_at_any_moment_leaves_the_old_or_the_new)]
