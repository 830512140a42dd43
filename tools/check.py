#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Build every configuration and run every test, from a fresh Debian 12: tools/check [PHASE...]

Installs what is missing (tools/install-deps all), builds under build-check/, runs the tests here and in
virtual machines with Debian's 6.1 and 6.12 kernels. The drivers of the suites integration and escape become
root, an ordinary user or root of a user namespace by themselves, so this wants to be started as root; without
it they fail. PHASE is one or more names of the table PHASES.

The results of each phase as they come stand in build-check/PHASE.results, one JSON object a test.
Prints a line for each phase, and all that a failed test said. The last line is "N passed, N failed", with
", N skipped" where a test that was skipped in one place passed in another; a test that was skipped wherever
it ran, and a phase without a test, are failures. Exits 0 when nothing failed, 1 otherwise, 2 on wrong use."""
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

SOURCE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
BUILDS = os.path.join(SOURCE, "build-check")
WHOLE_SECONDS = 80 * 60  # the last stop; the run is meant to take under 40 minutes on two cores
BUILD_SECONDS = 900
WALLS = {"integration", "escape", "network", "soak"}  # suites that build sandboxes, so that the place matters
COMPLETE = ["-Dbpf=enabled"]  # nothing is left out because something was not found
SANITIZED = [*COMPLETE, "-Dstatic=false", "-Dwerror=false", "-Db_sanitize=address,undefined", "-Db_lundef=false",
             "-Dbuildtype=debugoptimized"]

# name -> environment of meson setup, its options
CONFIGURATIONS = {
    "gcc": ({"CC": "gcc"}, [*COMPLETE, "-Dstatic=true", "-Dwerror=true"]),
    "clang": ({"CC": "clang"}, [*COMPLETE, "-Dstatic=false", "-Dwerror=true"]),
    "sanitized": ({"CC": "gcc"}, [*SANITIZED, "-Dfailpoints=true"]),
    "fuzz": ({"CC": "clang"}, [*SANITIZED, "-Dfuzz=true"]),
}
SANITIZER_ENV = {"ASAN_OPTIONS": "detect_leaks=1:halt_on_error=1",
                 "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}

Phase = collections.namedtuple("Phase", "name build where suites")
# where: what runs the tests (see PLACES); suites: the ones to run, or those to leave out when the first is "not"
PHASES = [
    Phase("gcc", "gcc", "here", ("not", *WALLS, "stress", "fuzz", "vm")),
    Phase("clang", "clang", "here", ("not", *WALLS, "fuzz", "vm", "style", "slow")),
    Phase("sanitized", "sanitized", "here", ("not", *WALLS, "stress", "fuzz", "vm", "style", "analysis")),
    Phase("fuzz", "fuzz", "here", ("fuzz",)),
    Phase("machines", "gcc", "here", ("vm",)),
    Phase("walls", "gcc", "here", (*WALLS, "stress")),
    Phase("vm-6.1", "gcc", "vm", tuple(WALLS)),
    Phase("vm-6.12", "gcc", "vm", tuple(WALLS)),
    Phase("vm-6.12-no-bpf", "gcc", "vm", tuple(WALLS)),
]
# What tests see of the environment; nothing of the caller's leaks in.
CLEAN = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "LANG": "C.UTF-8"}
# phase -> arguments of tools/vm, and the tests to run there: emulation is ten times slower, so what does not depend
# on the kernel is left to the host
MACHINES = {
    "vm-6.1": (["--kernel", "6.1"], r"(escape|faults)-root|escape-user|integration-(root|user)-(run|world|meter)"),
    "vm-6.12": (["--kernel", "6.12"],
                r"(escape|faults)-root|integration-(root|user)-(run|world|meter)|integration-root-pinned"),
    "vm-6.12-no-bpf": (["--kernel", "6.12", "--append", "lsm=landlock,lockdown,yama"],
                       r"integration-root-(run|world|meter)|integration-user-meter"),
}
GUEST_PACKAGES = ["python3", "python3-yaml", "git", "gcc", "libc6-dev", "make", "stress-ng", "util-linux",
                  "iproute2", "procps", "bash", "coreutils"]
GUEST_SOURCE = "/opt/berm"  # where the checkout is in a guest: any user may read there
GUEST_SLOWER = 8  # emulation: the time limits of tests are stretched by this


SAYING = threading.Lock()  # the results of a phase are said and counted in one piece
LIVE = set()  # processes that were started and not yet waited for


class Stopped(Exception):
    """Something outside the tests failed: a build, an installation."""


def row_of(test, point):
    """What a skip and a pass of the same row have in common: the driver of integration runs its rows as root, as an
    ordinary user and as root of a user namespace, some of which only one of these can run, and puts what it
    measured behind the title."""
    return re.sub(r"^(integration)-(root|user|userns)-", r"\1-", test), point.split(": ")[0]


class Run:
    """What is known about the whole run so far."""

    def __init__(self):
        self.begun = time.monotonic()
        self.passed = self.failed = 0
        self.skips = []  # (phase, test, point, reason)
        self.good = set()  # row_of() what passed somewhere
        self.work = tempfile.mkdtemp(prefix="berm-check-")
        os.chmod(self.work, 0o755)
        self.home = os.path.join(self.work, "root")
        os.mkdir(self.home, 0o700)

    def left(self, at_most):
        return max(1, min(at_most, WHOLE_SECONDS - (time.monotonic() - self.begun)))

    def fail(self, text, output=""):
        self.failed += 1
        say(f"FAILED {text}")
        for line in output.rstrip().splitlines():
            say("    " + line)

    def record(self, phase, entries):
        """Count the results of a phase; returns how many of each verdict."""
        counts = collections.Counter()
        for entry in entries:
            for verdict, name, reason in entry["results"]:
                counts[verdict] += 1
                if verdict == "passed":
                    self.passed += 1
                    self.good.add(row_of(entry["test"], name))
                elif verdict == "skipped":
                    self.skips.append((phase, entry["test"], name, reason))
            bad = [(name, reason) for verdict, name, reason in entry["results"] if verdict == "failed"]
            for number, (name, reason) in enumerate(bad, 1):
                last = number == len(bad)
                self.fail(f"{phase}: {entry['test']}: {name} {reason}", entry["output"] if last else "")
        return counts


def say(text):
    print(text, flush=True)


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text[:100]}", end="", file=sys.stderr, flush=True)


def command(argv, seconds, env=None, cwd=SOURCE):
    """Run a program in a process group of its own; returns (exit code or None when time was up, output)."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as out:
        process = subprocess.Popen(argv, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=out, start_new_session=True)
        LIVE.add(process)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            stop_group(process)
            LIVE.discard(process)
        out.seek(0)
        return code, out.read()


def stop_group(process):
    """TERM first, so that a tool clears up what it made; then KILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            continue


def line(name, counts, begun, note=""):
    parts = [f"{counts[v]} {v}" for v in ("passed", "failed", "skipped") if counts[v]]
    progress("")
    say(f"{name:<16}{', '.join(parts) or note:<44}{time.monotonic() - begun:7.1f} s")


# ---- building ---------------------------------------------------------------------------------

def build(run, name):
    env, options = CONFIGURATIONS[name]
    folder = os.path.join(BUILDS, name)
    begun = time.monotonic()
    progress(f"building {name}")
    fresh = not os.path.exists(os.path.join(folder, "build.ninja"))
    argv = ["meson", "setup", folder, *options] if fresh else ["meson", "configure", folder, *options]
    for step in (argv, ["ninja", "-k", "20", "-C", folder]):
        code, output = command(step, run.left(BUILD_SECONDS), env)
        if code != 0:
            shown = "\n".join(output.splitlines()[-120:])
            run.fail(f"build of {name}: {' '.join(step)}: exit code {code}", shown)
            return False
    line(f"build {name}", {"passed": 0, "failed": 0, "skipped": 0}, begun, "built")
    return True


def tests_of(phase):
    """What meson knows about the tests of this phase."""
    code, output = command(["meson", "introspect", "--tests", os.path.join(BUILDS, phase.build)], 120)
    if code != 0:
        raise Stopped(f"meson introspect: {output}")
    chosen = []
    for test in json.loads(output):
        suites = {s.rpartition(":")[2] for s in test["suite"]}
        if phase.where == "vm" and not re.fullmatch(MACHINES[phase.name][1], test["name"]):
            continue
        if not suites & set(phase.suites) if phase.suites[0] == "not" else suites & set(phase.suites):
            chosen.append({**test, "workdir": test["workdir"] or os.path.join(BUILDS, phase.build)})
    return chosen


def fetch_kernels(run):
    """Beforehand, so that no test has to wait for the network."""
    begun = time.monotonic()
    for version in ("6.1", "6.12"):
        progress(f"fetching kernel {version}")
        code, output = command([os.path.join(SOURCE, "tools/vm"), "--kernel", version, "--fetch"], run.left(900))
        if code != 0:
            run.fail(f"tools/vm --kernel {version} --fetch: exit code {code}", output)
    line("kernels", collections.Counter(), begun, "fetched")


# ---- places -----------------------------------------------------------------------------------

def moved(tests, place):
    """The same tests with the checkout at another place."""
    def move(word):
        return place if word == SOURCE else word.replace(SOURCE + "/", place + "/")
    return [{**test, "workdir": move(test["workdir"]), "cmd": [move(word) for word in test["cmd"]],
             "env": {name: move(value) for name, value in test["env"].items()}} for test in tests]


def assignments(env):
    return [f"{name}={value}" for name, value in env.items()]


def list_file(run, phase, tests):
    path = os.path.join(run.work, phase.name + ".json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(tests, f)
    os.chmod(path, 0o644)
    return path


def seconds_for(tests, slower=1):
    return 120 + sum(test["timeout"] for test in tests) * slower


def cache():
    """Where tools/vm keeps its kernels: the caller's cache, whatever HOME the tests get."""
    return os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")


def here(run, phase, tests):
    env = {**CLEAN, "HOME": run.home, "XDG_CACHE_HOME": cache()}
    if phase.build in ("sanitized", "fuzz"):
        env |= SANITIZER_ENV
    jobs = 1 if is_guests(phase) else os.cpu_count()  # a machine has two processors of its own
    if phase.suites[0] in WALLS:
        env["MUST_RUN"] = "1"  # this host has everything: a skip is a failure
        jobs = 1  # two runs at once would see each other's processes
        tests = moved(tests, readable(run))
    return ["env", "-i", *assignments(env), os.path.join(SOURCE, "tools/run-tests"), "--jobs", str(jobs),
            list_file(run, phase, tests)]


def readable(run):
    """The checkout, or a copy of it where it lies in a directory that other users may not enter."""
    folder, closed = SOURCE, False
    while folder != "/":
        closed = closed or os.stat(folder).st_mode & 0o005 != 0o005
        folder = os.path.dirname(folder)
    if not closed:
        return SOURCE
    copy = os.path.join(run.work, "checkout")
    for argv in ([] if os.path.isdir(copy) else [["cp", "-a", SOURCE, copy], ["chmod", "-R", "a+rX", copy]]):
        code, output = command(argv, run.left(300))
        if code != 0:
            raise Stopped(f"copying the checkout for ordinary users: {output}")
    return copy


def vm(run, phase, tests):
    listed = list_file(run, phase, moved(tests, GUEST_SOURCE))
    argv = [os.path.join(SOURCE, "tools/vm"), *MACHINES[phase.name][0], "--memory", "2048", "--chdir", "/",
            "--timeout", str(int(run.left(seconds_for(tests, GUEST_SLOWER)))),
            "--berm", os.path.join(BUILDS, phase.build, "supervisor/berm"), "--carry", f"{listed}:/opt/tests.json"]
    for name in GUEST_PACKAGES:
        argv += ["--package", name]
    built = f"build-check/{phase.build}"
    for name in ("tests", "profiles", "tools/run-tests", f"{built}/tests", f"{built}/supervisor/berm"):
        if os.path.exists(os.path.join(SOURCE, name)):
            argv += ["--carry", f"{SOURCE}/{name}:{GUEST_SOURCE}/{name}"]
    return [*argv, "--", "env", *assignments(CLEAN), "/usr/bin/python3", f"{GUEST_SOURCE}/tools/run-tests",
            "--slower", str(GUEST_SLOWER), "/opt/tests.json"]


PLACES = {"here": here, "vm": vm}


def run_phase(run, phase):
    """Run one phase; returns its entries and what else went wrong, for finish()."""
    begun = time.monotonic()
    tests = tests_of(phase)
    if not tests:
        return [], "no test belongs to this phase", begun
    argv = PLACES[phase.where](run, phase, tests)
    limit = run.left(seconds_for(tests, GUEST_SLOWER if phase.where == "vm" else 1) + 120)
    entries, noise = [], tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
    process = subprocess.Popen(argv, cwd="/", text=True, errors="replace",
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=noise, start_new_session=True)
    LIVE.add(process)
    timer = ThreadPoolExecutor(1)
    late = timer.submit(wait_or_stop, process, limit)
    kept = open(os.path.join(BUILDS, phase.name + ".results"), "w", encoding="utf-8")
    for text in process.stdout:
        print(text, end="", file=kept, flush=True)
        try:
            entries.append(json.loads(text))
            progress(f"{phase.name}: {len(entries)} of {len(tests)}: {entries[-1]['test']}")
        except (ValueError, KeyError):
            print(text, end="", file=noise)
    kept.close()
    was_late = late.result()
    timer.shutdown()
    LIVE.discard(process)
    noise.seek(0)
    said = noise.read()
    if was_late:
        return entries, f"not done after {limit:.0f} s\n{said}", begun
    if process.returncode != 0 or len(entries) != len(tests):
        return entries, f"exit code {process.returncode}, {len(entries)} of {len(tests)} tests ended\n{said}", begun
    return entries, "", begun


def wait_or_stop(process, seconds):
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        stop_group(process)
        return True


def finish(run, phase, outcome):
    entries, trouble, begun = outcome
    counts = run.record(phase.name, entries)
    if trouble:
        head, _, rest = trouble.partition("\n")
        run.fail(f"{phase.name}: {head}", rest)
        counts["failed"] += 1
    line(phase.name, counts, begun)


# ---- the whole --------------------------------------------------------------------------------

def settle_skips(run):
    """A skip is fine where the same row passed in another place; elsewhere it hides something."""
    fine = collections.Counter()
    for phase, test, name, reason in run.skips:
        if row_of(test, name) in run.good:
            fine[(phase, reason)] += 1
        else:
            run.fail(f"{phase}: {test}: {name}: skipped, and it passed nowhere else: {reason}")
    for (phase, reason), count in sorted(fine.items()):
        say(f"skipped in {phase}, passed elsewhere: {count} x {reason}")
    return sum(fine.values())


def is_guests(phase):
    return phase.where == "vm" or "vm" in phase.suites[:1]


def work_off(run, queues):
    """Run the phases of these queues, in order, until there is none."""
    for queue in queues:
        while True:
            try:
                phase = queue.popleft()
            except IndexError:
                break
            outcome = run_phase(run, phase)
            with SAYING:
                finish(run, phase, outcome)


def check(run, chosen):
    begun = time.monotonic()
    code, output = command([os.path.join(SOURCE, "tools/install-deps"), "all"], run.left(2400))
    if code != 0:
        raise Stopped(f"tools/install-deps all: exit code {code}\n{output}")
    line("install-deps", collections.Counter(), begun, "all is there")
    if any(is_guests(phase) for phase in chosen):
        fetch_kernels(run)
    if any(phase.suites[0] in WALLS for phase in chosen):
        # Beforehand and with the caller's environment, which may be needed to reach a registry.
        code, output = command(["python3", os.path.join(SOURCE, "tests/integration/run.py"), "--fill"], run.left(400))
        if code != 0:
            run.fail(f"tests/integration/run.py --fill: exit code {code}", output)
    built = {name: build(run, name) for name in CONFIGURATIONS if any(p.build == name for p in chosen)}
    lanes = {"host": collections.deque(), "guests": collections.deque()}
    for phase in chosen:
        if not built[phase.build]:
            run.fail(f"{phase.name}: not run, its build failed")
        else:
            lanes["guests" if is_guests(phase) else "host"].append(phase)
    # Rows about the host come one by one and wait a lot: machines run beside them. Whoever is done first helps
    # with the machines that are left.
    with ThreadPoolExecutor(2) as pool:
        workers = [pool.submit(work_off, run, queues) for queues in
                   ([lanes["host"], lanes["guests"]], [lanes["guests"]])]
        for worker in workers:
            worker.result()


def give_up(number, _):
    """Told to stop: everything that was started stops first, each in its own session."""
    for process in list(LIVE):
        stop_group(process)
    sys.exit(128 + number)


def main():
    names = [p.name for p in PHASES]
    wanted = sys.argv[1:] or names
    if wanted[0] in ("-h", "--help"):
        print(__doc__ + "\n\nPhases: " + " ".join(names))
        return 0
    unknown = [n for n in wanted if n not in names]
    if unknown:
        print(f"check: no phase {unknown[0]}; there are {' '.join(names)}", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, give_up)
    run = Run()
    try:
        check(run, [p for p in PHASES if p.name in wanted])
    except Stopped as stopped:
        head, _, rest = str(stopped).partition("\n")
        run.fail(head, rest)
    finally:
        shutil.rmtree(run.work, ignore_errors=True)
    skipped = settle_skips(run)
    say(f"{run.passed} passed, {run.failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 0 if run.failed == 0 and run.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
