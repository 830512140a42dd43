# SPDX-License-Identifier: Apache-2.0
"""berm is ended, as kill -9 ends it, at moments that are asked for by name (base/failpoint.h), and what is there then
is looked at: copies of a state directory, what holds in them, and what a run has a right to."""
import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
import time

import harness
import inventory
from cases_agents import World
from cases_record import wait_for

# What says when something was; it is another one each time.
TIMES = {"wall_ms", "at_least_ms_ago", "at_most_ms_ago", "in_ms", "to_sign", "to_sign_explained", "entered",
         "disturbed", "since", "created_ms", "retired_ms", "id", "since_ms"}
# What a probe adds to.
COUNTED = {"runs_within_hour", "runs_total", "used", "lifetime", "running", "lost"}
# Points of the recorder's process: tests/unit/test-daemon-failpoints.c is about them.
RECORDER = ("anchor", "close", "commit", "key", "recovery", "removal", "role", "rotation", "seal", "server", "trouble")
WRITES = "while :; do (echo x >> live) 2>/dev/null; sleep 0.05; done"
RECORDER_STORAGE = ("storage.truncate", "storage.reserve")


def without(value, names):
    if isinstance(value, dict):
        return {name: without(item, names) for name, item in value.items() if name not in names}
    return [without(item, names) for item in value] if isinstance(value, list) else value


def leaves(value, at=""):
    """[(where, what)] of all that is in it."""
    if isinstance(value, dict):
        return [leaf for name, item in value.items() for leaf in leaves(item, "%s.%s" % (at, name))]
    if isinstance(value, list):
        return [(at, len(value))] + [leaf for i, item in enumerate(value) for leaf in leaves(item, "%s.%d" % (at, i))]
    return [(at, value)]


def difference(now, wanted):
    return "now %s, not %s" % tuple(sorted((set(leaves(a)) - set(leaves(b))), key=str)
                                    for a, b in ((now, wanted), (wanted, now)))


class Copy(World):
    """A state directory as another one is, at a place of its own."""
    count = 0

    def __init__(self, base):
        self.sandbox, self.profile = base.sandbox, base.profile
        Copy.count += 1
        self.state = "%s.%d" % (base.state, Copy.count)
        subprocess.run(["cp", "-a", base.state, self.state], check=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # What is staged lies beneath a directory that the kernel closed.
        subprocess.run(["chmod", "-R", "u+rwX", self.state], check=False, stderr=subprocess.DEVNULL)
        self.close()

    def at(self, words, point, timeout=60):
        """Killed there, or so the result says: (result, whether it was)."""
        result = self.berm(*words, timeout=timeout, BERM_FAILPOINT="alone," + point)
        return result, result.code == -9 or "killed at " in result.errors

    def digest(self):
        with open(self.state + "/groups/crew", "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def json(self, *words):
        result = self.berm(*words)
        if result.code != 0:
            raise AssertionError("%s: %s" % (words, result.describe()))
        return without(json.loads(result.text), TIMES)

    def look(self):
        """What holds, for whoever looks."""
        agents = json.loads(self.berm("agent", "list", "--json", "--retired").text)["agents"]
        agents.sort(key=lambda agent: agent["id"])
        return {"group": self.json("pace", "show", "--json", "crew"), "agents": without(agents, COUNTED | TIMES),
                "halts": self.json("halt", "--json")}

    def rights(self, agent):
        """What a run of the agent may do: 0 it does not start, 1 it changes nothing, 2 what it writes is kept apart,
        3 it writes."""
        probe = self.sandbox.ws + "/probe"
        result = self.berm("run", "--agent", agent, "--", "/bin/sh", "-c", "echo x > probe; ls probe", timeout=20)
        if result.code == 126:
            return 0
        if os.path.exists(probe):
            os.unlink(probe)
            return 3
        return 2 if "probe" in result.text else 1

    def names(self):
        """What is there, but for the log and what a recorder that lasts has."""
        found = set()
        for where, directories, files in os.walk(self.state):
            if os.path.basename(where) == "log":
                directories[:] = []
                continue
            found.update(os.path.relpath(os.path.join(where, name), self.state) for name in files)
        return {name for name in found if not name.startswith("recorder.")}

    def processes(self):
        return inventory.processes([self.state]) or [pid for pid in inventory.recorders(self.state)]


def passes_of(result):
    """["group.read:1", …] in their order, without those of the recorder."""
    found = [line.split(" ", 1)[1] for line in result.errors.splitlines() if line.startswith("failpoint ")]
    return list(dict.fromkeys(found))


def all_points(sandbox, state):
    """Those of this program that are no recorder's."""
    result = harness.run([sandbox.berm, "pace", "show"], env=sandbox.environment(BERM_STATE_DIR=state,
                                                                                BERM_FAILPOINT="list"))
    names = {line.split(" ", 1)[1].split(":")[0] for line in result.errors.splitlines()
             if line.startswith("failpoint ")}
    return {name for name in names if name.split(".")[0] not in RECORDER and name not in RECORDER_STORAGE}


@contextlib.contextmanager
def held_lock(world):
    """Somebody has the lock of the group, and keeps it."""
    with open(world.state + "/groups/crew.lock", "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def background(world, words, **more):
    """Another berm, at work until it is not needed any more."""
    process = subprocess.Popen([world.sandbox.berm, *words], env=dict(world.environment(), **more),
                               cwd=world.sandbox.ws, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30 * harness.SLOWER)
        except subprocess.TimeoutExpired:
            harness.stop(process)


class Tally:
    """What was done, and what is wrong with it."""

    def __init__(self, case, whole):
        self.case, self.whole = case, whole
        self.points, self.listed = set(), set()
        self.kills = self.old = self.new = self.between = self.probes = self.lapses_looked = 0
        self.begun = time.monotonic()

    def say(self, name, passes):
        print("# %s: %d moments; %s" % (name, len(passes), self.words()), flush=True)

    def words(self):
        return ("%d of %d points, %d kills: %d old, %d new, %d on the way; %d probes, %d runs that lasted, %.0f s" %
                (len(self.points), len(self.listed), self.kills, self.old, self.new, self.between, self.probes,
                 self.lapses_looked, time.monotonic() - self.begun))


def chosen(passes, tally):
    """All of them, or in the short form those of which no other transition was ended."""
    if tally.whole:
        return passes
    seen, kept = set(tally.points), []
    for one in passes:
        name = one.split(":")[0]
        if name not in seen:
            seen.add(name)
            kept.append(one)
    return kept


class Play:
    """One transition: what is asked of berm in copies of a state directory. words: of the command. before: what has to
    be so while it is asked; agent: whose rights are probed; lives: an agent's run that lasts meanwhile."""

    def __init__(self, name, base, words, **more):
        self.name, self.base, self.words = name, base, words
        self.before = more.get("before", lambda world: contextlib.nullcontext())
        self.agent, self.lives = more.get("agent", "beta"), more.get("lives")
        self.failing, self.points = more.get("failing"), more.get("points")
        self.waits = more.get("waits")  # something that holds is not in the file yet
        self.follows = more.get("follows", ("pace", "declare", "crew", "emergency"))

    def undisturbed(self, tally):
        """(what passes, before, afterwards, rights of both, names)"""
        case = tally.case
        with Copy(self.base) as world:
            old, rights = world.look(), world.rights(self.agent)
            digest = world.digest()
        with Copy(self.base) as world:
            with self.before(world):
                result = world.berm(*self.words, BERM_FAILPOINT="show")
            case.that(self.points or passes_of(result), self.name, "no point is passed", *result.describe())
            new, after = world.look(), world.rights(self.agent)
            self.follow(world, case, "undisturbed")
            inventory.end_recorders(world.state)
            names = world.names()
        return self.points or passes_of(result), (old, rights, digest), (new, after), names

    def follow(self, world, case, where):
        """What comes next works, and the log is whole."""
        result = world.berm(*self.follows)
        case.that(result.code == 0, "%s: %s: what follows does not work" % (self.name, where), *result.describe())
        case.that(world.json("pace", "show", "--json", "crew")["phase"] == "emergency", self.name, where,
                  "the emergency does not hold")
        case.that(world.rights(self.agent) == 0, self.name, where, "a run starts in emergency")
        result = world.berm("log", "verify")
        case.that(result.code == 0, self.name, where, *result.describe())

    def kill(self, tally, point, wanted):
        """Ended there, once: what holds is what held, or what was to hold."""
        case = tally.case
        (old, old_rights, digest), (new, new_rights), names = wanted
        where = "%s, killed at %s" % (self.name, point)
        with Copy(self.base) as world:
            with self.before(world):
                words = (self.failing + "," if self.failing else "") + point
                result, met = world.at(self.words, words)
            if not case.that(met, where + ": it was not", *result.describe()):
                return
            tally.kills += 1
            tally.points.add(point.split(":")[0])
            kept = world.digest() == digest
            now = world.look()
            is_old, is_new = now == old, now == new
            if not case.that(is_old or is_new, "%s: neither old nor new" % where, "old: " + difference(now, old),
                             "new: " + difference(now, new)):
                return
            tally.old += is_old
            tally.new += is_new and not is_old
            tally.between += is_old and not kept
            case.that(not kept or self.waits or now["group"] == old["group"], where, "another state in the same file")
            if tally.whole or tally.kills % 4 == 0:
                tally.probes += 1
                rights = world.rights(self.agent)
                case.that(rights == (old_rights if is_old else new_rights), where,
                          "a run may do %d, not %d" % (rights, old_rights if is_old else new_rights))
            result = world.berm(*self.words)
            case.that(result.code in (0, 1, 2), where, "again:", *result.describe())
            now = world.look()
            case.that(now == new, "%s: asked again" % where, difference(now, new))
            self.follow(world, case, where)
            inventory.end_recorders(world.state)
            case.that(world.names() == names, where, "files: %s" % sorted(world.names() ^ names))
            case.that(not world.processes(), where, "processes: %s" % world.processes())

    def watch(self, tally, point, wanted):
        """The same while a run of the agent lasts, which berm itself watches: it comes to what holds by itself."""
        case, world = tally.case, None
        (old, _, _), (new, _), _ = wanted
        where = "%s, killed at %s while a run lasts" % (self.name, point)
        with Copy(self.base) as world:
            grows = world.sandbox.ws + "/live"
            words = ["run", "--agent", self.lives, "--", "/bin/sh", "-c", WRITES]
            with background(world, words) as run, self.before(world):
                try:
                    wait_for(case, "the run writes", lambda: size_of(grows) > 0, 30)
                    _, met = world.at(self.words, point)
                    case.that(met, where)
                    now = without_run(world.look())
                    is_new = now == without_run(new)
                    case.that(is_new or now == without_run(old), where, difference(now, without_run(new)))
                    if is_new:
                        case.that(harness.wait_for(lambda: not goes_on(grows), 20), where, "the run writes on")
                    else:
                        case.that(goes_on(grows, 5), where, "the run was stopped, and nothing holds")
                    tally.lapses_looked += 1
                finally:
                    run.kill()
                    run.wait()
                    wait_for(case, "the run is gone", lambda: not inventory.processes([world.state]), 30)
                    if os.path.exists(grows):
                        os.unlink(grows)


def without_run(look):
    """The run itself is counted by its agent."""
    return {"group": look["group"], "halts": look["halts"]}


def size_of(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def goes_on(path, seconds=0.2):
    """Whether it grows within that time."""
    size = size_of(path)
    return harness.wait_for(lambda: size_of(path) > size, seconds)
