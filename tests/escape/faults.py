#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Faults: berm is killed, stopped and starved at every moment. Nothing of it may be left, no tool may run free.

The tool of most rows is escape-first, whose first instructions tell which walls stand: if it ever began, all must."""
import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import harness  # noqa: E402
import inventory  # noqa: E402
import world as worlds  # noqa: E402

WALLS = {"CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"}
KILL_ROUNDS = 120
KILL_STEPS_MAX = 400
COMING_AND_GOING = 200


class Faults:
    def __init__(self, world, tap):
        self.world = world
        self.tap = tap
        self.profile = world.profiles + "/escape.yaml"
        self.before = None

    def environment(self):
        values = {"PATH": "/usr/bin:/bin", "HOME": self.world.home, "TMPDIR": self.world.tmp}
        if self.world.mode == "root":
            values.update(SUDO_UID=str(self.world.uid), SUDO_GID=str(self.world.uid))
        return values

    def berm(self, tool, *options):
        return [self.world.berm, "run", "-p", self.profile, "-C", self.world.ws, "--state-dir", self.world.state] + \
            list(options) + ["--"] + tool

    def first(self):
        return [self.world.bin + "/escape-first"]

    def payload(self, attack, **arguments):
        return [self.world.payload, attack] + ["%s=%s" % pair for pair in arguments.items()]

    def begin(self):
        self.world.reset()
        self.before = (inventory.take([self.world.token]), self.world.snapshot())

    def left(self, seconds=3.0):
        """What the host holds more, or holds differently, than before."""
        lines = inventory.settle(self.before[0], [self.world.token], seconds)
        after = self.world.snapshot()
        return lines + ["changed: " + path for path in sorted(set(after) | set(self.before[1]))
                        if after.get(path) != self.before[1].get(path)]

    def naked(self, text):
        """A tool that began must have had every wall."""
        wrong = []
        for line in text.splitlines():
            key, _, value = line.partition(":")
            if key in WALLS and value.strip() != WALLS[key]:
                wrong.append("the tool ran with " + line)
        return wrong

    def start(self, argv, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(argv, env=self.environment(), cwd=self.world.ws, **options)

    def run(self, argv, **options):
        options.setdefault("env", self.environment())
        options.setdefault("cwd", self.world.ws)
        return harness.run(argv, **options)


def output_of(process, timeout=10):
    try:
        return process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        return (b"", b"timed out")


def children_of(pid):
    """Direct children, by /proc."""
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def named(pid):
    return inventory.read("/proc/%d/comm" % pid).strip()


def killed_at_random(faults, victim_of):
    """Kill at a random moment of a short run, again and again; victim_of picks who is killed."""
    faults.begin()
    start = time.monotonic()
    whole = faults.run(faults.berm(faults.first()))
    duration = time.monotonic() - start
    wrong = [] if whole.code == 0 and "Seccomp" in whole.text else ["a quiet run fails"] + whole.describe()
    began = cut = 0
    for _ in range(KILL_ROUNDS):
        process = faults.start(faults.berm(faults.first()))
        time.sleep(random.uniform(0, duration * 1.1))
        for pid in victim_of(process):
            try:
                os.kill(pid, signal.SIGKILL)
                cut += 1
            except ProcessLookupError:
                pass
        out, _ = output_of(process)
        began += b"Seccomp" in out
        wrong += faults.naked(out.decode("ascii", "replace"))
    wrong += faults.left()
    return wrong, "%d rounds, %d killed, %d tools had begun" % (KILL_ROUNDS, cut, began)


def kill_supervisor(faults):
    return killed_at_random(faults, lambda process: [process.pid])


def kill_init(faults):
    return killed_at_random(faults, lambda process: children_of(process.pid))


def kill_at_every_call(faults):
    """The supervisor is killed at each of its system calls in turn."""
    strace = shutil.which("strace")
    if not strace:
        return ["strace is missing"], ""
    faults.begin()
    wrong, killed = [], 0
    for step in range(1, KILL_STEPS_MAX):
        argv = [strace, "-qq", "-o", "/dev/null", "-e", "inject=all:signal=KILL:when=%d" % step]
        process = faults.start(argv + faults.berm(faults.first()))
        out, _ = output_of(process)
        wrong += faults.naked(out.decode("ascii", "replace"))
        if process.returncode == 0:
            break
        killed += 1
        left = faults.left()
        if left:
            wrong += ["killed at call %d: %s" % (step, line) for line in left]
            faults.begin()
        if len(wrong) > 20:
            break
    return wrong, "%d moments" % killed


def kill_while_running(faults):
    """The tool runs and has daemons; berm vanishes; within two seconds so does everything else."""
    faults.begin()
    wrong = []
    for _ in range(10):
        process = faults.start(faults.berm(faults.payload("survive", W=faults.world.ws)))
        end = time.monotonic() + 5
        while not os.path.exists(faults.world.ws + "/beat-2") and time.monotonic() < end:
            time.sleep(0.005)
        process.kill()
        output_of(process)
        wrong += faults.left(2.0)
        faults.world.remove(faults.world.ws + "/beat-2")
    return wrong, "10 rounds"


def stopped_supervisor(faults):
    """While the supervisor sleeps, refused calls wait or fail; none of them goes through."""
    faults.begin()
    process = faults.start(faults.berm(faults.payload("namespaces", W=faults.world.ws, D=faults.world.denied,
                                                      RO=faults.world.ro, HIDDEN=faults.world.hidden)))
    time.sleep(0.003)
    wrong = []
    for _ in range(5):
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        process.send_signal(signal.SIGCONT)
        time.sleep(0.01)
    out, errors = output_of(process, 30)
    if b"PROOF" in out or b"DONE namespaces" not in out:
        wrong += ["stdout: %r" % out, "stderr: %r" % errors]
    return wrong + faults.left(), "5 stops"


def signals_at_start(faults):
    """TERM, INT and HUP at any moment of the start: an exit code of a signal or of the tool, and nothing left."""
    faults.begin()
    wrong, codes = [], {}
    for number in range(90):
        sent = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[number % 3]
        process = faults.start(faults.berm(faults.payload("hold", SECONDS=20)))
        time.sleep(random.uniform(0.001, 0.03))
        process.send_signal(sent)
        out, errors = output_of(process)
        codes[process.returncode] = codes.get(process.returncode, 0) + 1
        if process.returncode not in (128 + sent, -sent):
            wrong.append("%s gave %s: %r %r" % (sent.name, process.returncode, out, errors))
    return wrong + faults.left(), "exit codes %s" % codes


def closed_streams(faults):
    """Every combination of closed 0-2: no descriptor of berm may slip into the gap and reach the tool."""
    faults.begin()
    wrong = []
    for mask in range(1, 8):
        closed = [fd for fd in range(3) if mask & 1 << fd]

        def close(numbers=tuple(closed)):
            for fd in numbers:
                os.close(fd)

        result = faults.run(faults.berm(faults.payload("streams", W=faults.world.ws)), preexec_fn=close,
                            close_fds=False)
        told = inventory.read(faults.world.ws + "/streams")
        if result.code not in (0, 125) or (result.code == 0 and "lowest" not in told):
            wrong += ["closed %s:" % closed] + result.describe()
        for line in told.splitlines():
            fd, _, target = line.partition(" ")
            if fd.isdigit() and int(fd) in closed and target not in ("/dev/null", "closed"):
                wrong.append("closed %s: descriptor %s is %s" % (closed, fd, target))
        faults.world.remove(faults.world.ws + "/streams")
    return wrong + faults.left(), "7 combinations"


def broken_pipes(faults):
    """Nobody reads the tool's output: its own death by SIGPIPE, not berm's."""
    faults.begin()
    wrong = []
    for name in ("stdout", "stderr"):
        reader, writer = os.pipe()
        os.close(reader)
        result = faults.run(faults.berm(faults.payload("sweep", FIRST=39, LAST=60)), **{name: writer})
        os.close(writer)
        if result.code not in (0, 128 + signal.SIGPIPE):
            wrong += result.describe()
    return wrong + faults.left(), None


def directory_as_stdin(faults):
    """A directory of the host on a standard stream is refused, or shown to be harmless by the rows of L01."""
    faults.begin()
    fd = os.open(faults.world.denied, os.O_RDONLY)
    result = faults.run(faults.berm(faults.payload("directory-stdin", D=faults.world.denied)), stdin=fd)
    os.close(fd)
    wrong = [] if result.code == 125 or faults.world.secret not in result.text else result.describe()
    return wrong + faults.left(), "exit %d" % result.code


def large_arguments(faults):
    """What execve(2) can carry, arrives; what it cannot is a clean error."""
    faults.begin()
    big = ["X%d=%s" % (number, "y" * 100000) for number in range(12)]
    result = faults.run(faults.berm(faults.payload("hold", SECONDS=0) + big))
    wrong = [] if result.code == 0 else ["1.2 MB of arguments:"] + result.describe()
    extra = ["--env=B%d=%s" % (number, "z" * 100000) for number in range(8)]
    result = faults.run(faults.berm(faults.payload("environment"), *extra))
    # Printed once by the program and once more from /proc/self/environ, which ends at 64 KiB.
    if result.text.count("z" * 100000) != 8:
        wrong += ["800 kB of environment:", "exit %d" % result.code, result.errors[-500:]]
    hostile = faults.environment()
    hostile.update({"E%d" % number: "e" * 120000 for number in range(10)})
    result = faults.run(faults.berm(faults.first()), env=hostile)
    if result.code:
        wrong += ["1.2 MB of environment around berm:"] + result.describe()
    return wrong + faults.left(), None


def deleted_directory(faults):
    """The caller's directory is gone."""
    faults.begin()
    gone = faults.world.top + "/gone"
    os.mkdir(gone)
    script = "rmdir \"$PWD\" && exec \"$@\""
    argv = faults.berm(faults.first())
    result = faults.run(["/bin/sh", "-c", script, "sh"] + argv, cwd=gone)
    wrong = [] if result.code == 0 else ["-C given:"] + result.describe()
    os.mkdir(gone)
    argv = [word for word in argv if word not in ("-C", faults.world.ws)]
    result = faults.run(["/bin/sh", "-c", script, "sh"] + argv, cwd=gone)
    if result.code not in (2, 125) or not result.errors.startswith("berm: "):
        wrong += ["no -C:"] + result.describe()
    return wrong + faults.left(), None


def starved(faults):
    """Small limits of the caller: a run or a clean refusal, never half a sandbox."""
    faults.begin()
    wrong, codes = [], []
    for name, value in (("NOFILE", 4), ("NOFILE", 12), ("NOFILE", 24), ("NPROC", 1), ("FSIZE", 0), ("AS", 8 << 20),
                        ("DATA", 64 << 10), ("STACK", 64 << 10), ("MEMLOCK", 0), ("CPU", 1)):
        number = getattr(resource, "RLIMIT_" + name)

        def limit(number=number, value=value):
            resource.setrlimit(number, (value, value))

        try:
            result = faults.run(faults.berm(faults.first()), preexec_fn=limit)
        except subprocess.SubprocessError:
            continue
        codes.append("%s=%d:%d" % (name, value, result.code))
        wrong += faults.naked(result.text)
        if result.code not in (0, 2, 125, 126, -signal.SIGSEGV, -signal.SIGKILL, -signal.SIGXFSZ):
            wrong += ["%s=%d" % (name, value)] + result.describe()
    return wrong + faults.left(), " ".join(codes)


def two_runs_one_placeholder(faults):
    """A run that ends must not take away the name that another has reserved."""
    faults.begin()
    long_run = faults.start(faults.berm(faults.payload("wait-then", W=faults.world.ws, THEN="create-absent")))
    end = time.monotonic() + 10 * harness.SLOWER
    while not os.path.exists(faults.world.ws + "/waiting") and time.monotonic() < end:
        time.sleep(0.01)
    wrong = []
    for _ in range(5):
        result = faults.run(faults.berm(faults.first()))
        wrong += result.describe() if result.code else []
    killed = faults.start(faults.berm(faults.payload("hold", SECONDS=20)))
    time.sleep(0.1)
    killed.kill()
    output_of(killed)
    time.sleep(0.3)
    faults.world.write(faults.world.ws + "/go", "go\n")
    out, errors = output_of(long_run, 20)
    if b"DONE create-absent" not in out:
        wrong += ["the long run did not attack", repr(out), repr(errors)]
    return wrong + faults.left(), "5 short runs and a killed one beside it"


def many_at_once(faults):
    """Forty runs at once in one workspace."""
    faults.begin()
    processes = [faults.start(faults.berm(faults.first())) for _ in range(40)]
    wrong = []
    for process in processes:
        out, errors = output_of(process, 60)
        wrong += faults.naked(out.decode("ascii", "replace"))
        if process.returncode or b"Seccomp" not in out:
            wrong.append("exit %s: %r" % (process.returncode, errors[-300:]))
    return wrong + faults.left(), "40 runs"


def come_and_go(faults):
    """Runs that start while others end, all over the same absent names: what one finds of another's placeholders
    is gone a moment later."""
    faults.begin()
    wrong, running, started = [], [], 0
    while running or started < COMING_AND_GOING:
        while len(running) < 8 and started < COMING_AND_GOING:
            running.append(faults.start(faults.berm(faults.first())))
            started += 1
        process = running.pop(0)
        out, errors = output_of(process, 60)
        if process.returncode or b"Seccomp" not in out:
            wrong.append("exit %s: %r" % (process.returncode, errors[-300:]))
    return wrong + faults.left(), "%d runs, 8 at a time, %d failed" % (started, len(wrong))


TABLE = (
    ("kill -9 of berm at random moments leaves nothing", kill_supervisor, True),
    ("kill -9 of the run's first process at random moments leaves nothing", kill_init, True),
    ("kill -9 of berm at each of its system calls leaves nothing", kill_at_every_call, True),
    ("kill -9 of berm ends tool and daemons", kill_while_running, False),
    ("a stopped supervisor lets nothing through", stopped_supervisor, False),
    ("signals at any moment of the start end the run", signals_at_start, False),
    ("closed standard streams are never filled with berm's own", closed_streams, False),
    ("nobody reads the output", broken_pipes, False),
    ("a directory as stdin is no way out", directory_as_stdin, False),
    ("large arguments and environment", large_arguments, False),
    ("the caller's directory is deleted", deleted_directory, False),
    ("small limits of the caller", starved, False),
    ("two runs share a reserved name", two_runs_one_placeholder, False),
    ("forty runs at once", many_at_once, False),
    ("runs come and go in one workspace", come_and_go, False),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=("root", "user", "userns"), default=os.environ.get("ESCAPE_MODE", "root"))
    parser.add_argument("--berm")
    parser.add_argument("--programs", default=os.environ.get("ESCAPE_PROGRAMS"))
    parser.add_argument("--only", action="append")
    parser.add_argument("--slow", action="store_true", help="the rows that take long, instead of the others")
    arguments = parser.parse_args()
    berm = harness.find_berm(arguments.berm)
    if not harness.enter_mode(arguments.mode):
        print("1..0 # SKIP mode %s needs root of the host" % arguments.mode)
        return 1 if os.environ.get("MUST_RUN") else harness.SKIPPED
    world = worlds.World(arguments.mode, berm, os.path.abspath(arguments.programs))
    tap = harness.Tap()
    try:
        for title, function, slow in TABLE:
            if arguments.only and not any(word in title for word in arguments.only):
                continue
            if not arguments.only and slow != arguments.slow:
                continue
            wrong, summary = function(Faults(world, tap))
            tap.row(not wrong, title + (": " + summary if summary else ""), wrong)
    finally:
        world.close()
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
