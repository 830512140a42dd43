# SPDX-License-Identifier: Apache-2.0
"""Rows: a deed of gate-payload, what must have been counted, and what must lie in the workspace afterwards."""
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import harness

ROUNDS = 100
STORM_THREADS, STORM_FILES, STORM_CAP = 64, 10000, 100
COUNTERS = ("files_changed", "files_created", "files_deleted", "bytes_written", "bytes_sent", "bytes_received",
            "hosts_contacted", "processes_started", "programs_started", "denials", "packets_dropped")
OPEN, READ_ONLY, FROZEN = 0, 3, 31
PRIMARY, ALTERNATE = 0, 1
EXITED = 0  # RUN_EXITED


class Report:
    """What gate-run said."""

    def __init__(self, text):
        self.events, self.state, self.end = [], None, None
        for line in text.splitlines():
            words = line.split()
            if words[0] == "event":
                self.events.append((words[1], words[2]) + tuple(int(word) for word in words[3:]))
            elif words[0] == "state":
                self.state = State(words[1:])
            elif words[0] == "end":
                self.end = (int(words[1]), int(words[2]))


class State:
    def __init__(self, words):
        parts = " ".join(words).split(":")
        self.done = dict(zip(COUNTERS, (int(word) for word in parts[0].split())))
        self.refused = dict(zip(COUNTERS, (int(word) for word in parts[1].split())))
        self.posture, self.phase, self.undone = (int(word) for word in parts[2].split())


class World:
    def __init__(self, sandbox, build, rounds, seconds):
        self.sandbox, self.rounds, self.seconds = sandbox, rounds, seconds
        self.payload, self.talk = sandbox.bin + "/gate-payload", sandbox.bin + "/gate-talk"
        for program in (self.payload, self.talk):
            shutil.copy(build + "/" + os.path.basename(program), program)
        self.ws = sandbox.ws

    def profile(self, section):
        name = "gate-%08x" % (hash(section) & 0xffffffff)
        return self.sandbox.write_profile(name, section, read=[self.sandbox.bin])

    def caps(self, **caps):
        """A profile with caps; on_exceed: deny unless said otherwise."""
        caps.setdefault("on_exceed", "deny")
        return self.profile("blast_radius: {%s}\n" % ", ".join("%s: %s" % item for item in caps.items()))

    def files(self, count, start=0):
        for number in range(start, count):
            path = "%s/f%d" % (self.ws, number)
            if not os.path.exists(path):
                with open(path, "w", encoding="ascii") as file:
                    file.write("x")
                self.sandbox.own(path)

    def left(self, prefix="f"):
        return sum(name.startswith(prefix) for name in os.listdir(self.ws))

    def run(self, profile, deed, *options, **popen):
        """(result of the payload, Report)"""
        reader, writer = os.pipe()
        chunks = []
        collector = threading.Thread(target=lambda: chunks.append(read_all(reader)))
        collector.start()
        result = self.sandbox.run([self.payload] + [str(word) for word in deed], "--report", str(writer), *options,
                                  profile=profile, pass_fds=(writer,), **popen)
        os.close(writer)
        collector.join()
        return result, Report(chunks[0])

    def outside(self, deed):
        """The same deed without walls, as the user that the tool is."""
        options = {}
        if self.sandbox.mode == "root":
            options["preexec_fn"] = harness.become(self.sandbox.uid)
        return harness.run([self.payload] + [str(word) for word in deed], cwd=self.ws, **options)


class Live:
    """A run that is talked to while it lasts."""

    def __init__(self, world, profile, deed, program=None):
        self.report, writer = os.pipe()
        theirs, self.control = os.pipe()
        self.buffer = b""
        self.took = None  # microseconds and result of the last freeze
        tool = [program or world.payload] + [str(word) for word in deed]
        self.process = world.sandbox.start(tool, "--report", str(writer), "--control", str(theirs), profile=profile,
                                           pass_fds=(writer, theirs))
        os.close(writer)
        os.close(theirs)

    def begun(self):
        return self.process.stdout.readline() == b"begun\n"

    def ask(self, words):
        """The state that answers."""
        os.write(self.control, (words + "\n").encode())
        while True:
            line, newline, self.buffer = self.buffer.partition(b"\n")
            if newline:
                if line.startswith(b"took "):
                    self.took = [int(word) for word in line.split()[1:]]
                if line.startswith(b"state "):
                    return State(line.decode().split()[1:])
                continue
            self.buffer = line
            data = os.read(self.report, 65536)
            if not data:
                return None
            self.buffer += data

    def close(self):
        harness.stop(self.process)
        self.process.stdout.close()
        self.process.stderr.close()
        os.close(self.report)
        os.close(self.control)


def read_all(descriptor):
    with os.fdopen(descriptor, "rb") as file:
        return file.read().decode()


def said(result, word):
    return [int(value) for value in re.findall(r"^%s (\d+)$" % word, result.text, re.M)]


def expect(case, state, **counters):
    """These counters, and no other one but the payload's own start."""
    counters.setdefault("programs_started", 1)
    for counter in COUNTERS:
        wanted = counters.get(counter, 0)
        case.that(state.done[counter] == wanted, "%s is %d, not %d" % (counter, state.done[counter], wanted))


# ---- caps ----

def storm_at_a_cap(world, case):
    """B01: 64 threads remove 10^4 files at a cap of 100. 100 are gone, in every round."""
    profile = world.caps(files_deleted=STORM_CAP)
    end = time.monotonic() + world.seconds
    rounds = 0
    while rounds < world.rounds and time.monotonic() < end and not case.wrong:
        world.files(STORM_FILES)
        result, report = world.run(profile, ["remove", STORM_THREADS, STORM_FILES], timeout=120)
        case.code(result, 0)
        case.that(said(result, "good") == [STORM_CAP], "let on: %s" % said(result, "good"))
        case.that(world.left() == STORM_FILES - STORM_CAP, "left: %d" % world.left())
        case.that(report.state.refused["files_deleted"] == STORM_FILES - STORM_CAP, "refused")
        case.that(len(report.events) == 1 and report.events[0][:4] == ("cap", "files_deleted", 101, STORM_CAP),
                  "events %s" % report.events)
        expect(case, report.state, files_deleted=STORM_CAP)
        rounds += 1
    case.summary = "%d of %d rounds, overshoot 0" % (rounds, world.rounds)
    # Without the gate the same storm leaves nothing, and so does it outside.
    result, _ = world.run(profile, ["remove", STORM_THREADS, STORM_FILES], "--no-gate", timeout=120)
    case.that(world.left() == 0, "the storm itself is weak: %d left" % world.left())


def storm_that_makes(world, case):
    """The tripping open leaves nothing behind: it is refused before the file is there."""
    profile = world.caps(files_changed=50)
    result, report = world.run(profile, ["make", 32, 2000])
    case.that(said(result, "good") == [50] and world.left("n") == 50, "made %d" % world.left("n"))
    expect(case, report.state, files_changed=50, files_created=50)
    result = world.outside(["make", 32, 2000])
    case.that(world.left("n") == 2000, "outside: %d" % world.left("n"))


def storm_of_processes(world, case):
    profile = world.caps(processes_started=40)
    result, report = world.run(profile, ["fork", 100])
    case.that(said(result, "good") == [40] and said(result, "bad") == [60], result.text)
    expect(case, report.state, processes_started=40)
    result = world.outside(["fork", 100])
    case.that(said(result, "good") == [100], result.text)


def programs_are_counted(world, case):
    """P16: each program that is started is one, and so is its process."""
    profile = world.caps(processes_started=100000)
    result, report = world.run(profile, ["spawn", 300], timeout=120)
    case.that(said(result, "good") == [300], result.text)
    expect(case, report.state, processes_started=300, programs_started=301)


def what_a_cap_sets_off(world, case):
    """on_exceed: alternate makes the run read-only with the first refusal; a warning comes once."""
    profile = world.caps(files_deleted=10, warn_at="50%", on_exceed="alternate")
    world.files(40)
    result, report = world.run(profile, ["remove", 8, 40])
    case.that(world.left() == 30, "left %d" % world.left())
    kinds = [event[:4] for event in report.events]
    case.that(kinds == [("step", "files_deleted", 5, 5), ("cap", "files_deleted", 11, 10)], "events %s" % kinds)
    case.that(report.state.posture == READ_ONLY and report.state.phase == ALTERNATE, "posture %d phase %d" %
              (report.state.posture, report.state.phase))
    # Once read-only, the posture refuses: only what raced is beyond the cap.
    case.that(report.state.refused["files_deleted"] == 1, "refused %d" % report.state.refused["files_deleted"])


# ---- what counts as what ----

C, M, D, P = "files_changed", "files_created", "files_deleted", "processes_started"
CALLS = {
    "read": {}, "write": {C: 1}, "append": {C: 1}, "truncate-open": {C: 1}, "create": {C: 1, M: 1},
    "create-over": {C: 1, M: 1}, "unnamed": {C: 1, M: 1}, "truncate": {C: 1}, "ftruncate": {C: 2}, "unlink": {D: 1},
    "mkdir": {C: 1, M: 1}, "rmdir": {D: 1}, "link": {C: 1, M: 1}, "symlink": {C: 1, M: 1}, "fifo": {C: 1, M: 1},
    "rename": {C: 2, D: 1}, "rename-away": {C: 1}, "exchange": {C: 2}, "chmod": {C: 1}, "fchmod": {C: 1},
    "times": {C: 1}, "attribute": {C: 1}, "thread": {}, "fork": {P: 1}, "missing": {D: 1},
}


def fill(world):
    world.sandbox.fresh()
    world.files(10)
    os.mkdir(world.ws + "/empty")
    world.sandbox.own(world.ws + "/empty")


def each_call_counts(world, case):
    profile = world.caps(files_changed=1000)
    for call, counters in CALLS.items():
        fill(world)
        result, report = world.run(profile, ["one", call])
        # Attributes of users need a file system that has them.
        good = "errno none" in result.text or (call == "attribute" and "EOPNOTSUPP" in result.text)
        case.that(good, call, *result.describe())
        before = len(case.wrong)
        expect(case, report.state, **counters)
        if len(case.wrong) > before:
            case.wrong.insert(before, call + ":")
    case.summary = "%d calls" % len(CALLS)


def each_call_is_refused_at_zero(world, case):
    """At a cap of 0 no call that counts there gets through, and nothing in the workspace changes."""
    profile = world.caps(files_changed=0, files_deleted=0, processes_started=0)
    for call, counters in CALLS.items():
        fill(world)
        before = look(world.ws)
        result, report = world.run(profile, ["one", call])
        refused = "errno EPERM" in result.text or "errno EAGAIN" in result.text
        # The one that expects ENOENT says by its own words that it got another answer.
        case.that(refused == bool(counters), "%s: %s" % (call, result.text))
        case.that(look(world.ws) == before, "%s changed the workspace" % call)
        if counters:
            fill(world)
            result = world.outside(["one", call])
            good = "errno none" in result.text or call == "attribute"
            case.that(good and (call in ("fork", "missing") or look(world.ws) != before), "%s outside: %s" %
                      (call, result.text))
    case.summary = "%d calls" % len(CALLS)


def look(directory):
    """Names, kinds, modes, times and contents."""
    found = {}
    for name in sorted(os.listdir(directory)):
        path = directory + "/" + name
        st = os.lstat(path)
        found[name] = (st.st_mode, st.st_ino, st.st_nlink, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
    return found


# ---- postures ----

def posture_changes_at_once(world, case):
    """After the answer no file is made, and after it was opened again they are."""
    live = Live(world, world.caps(files_changed=10000000), ["endless"])
    try:
        case.that(live.begun(), "not begun")
        time.sleep(0.05)
        for posture in (READ_ONLY, FROZEN, READ_ONLY):
            live.ask("posture %d %d" % (posture, ALTERNATE))
            first = world.left("e")
            time.sleep(0.1)
            # The one call that was let on before the answer may still have been on its way.
            case.that(world.left("e") <= first + 1 and first > 0, "posture %d: %d, then %d" %
                      (posture, first, world.left("e")))
            live.ask("posture %d %d" % (OPEN, PRIMARY))
            time.sleep(0.1)
            case.that(world.left("e") > first + 1, "opened again: %d, then %d" % (first, world.left("e")))
        live.ask("posture %d %d" % (FROZEN, ALTERNATE))
        time.sleep(0.1)
        state = live.ask("state")
        # Every file that is there was counted, and no file more.
        case.that(state.done["files_created"] == world.left("e"), "counted %d, there are %d" %
                  (state.done["files_created"], world.left("e")))
    finally:
        live.close()


def supervisor_killed(world, case):
    """Nothing lands once the supervisor is gone: calls that waited fail, and the run ends."""
    for _ in range(5):
        world.sandbox.fresh()
        live = Live(world, world.caps(files_changed=10000000), ["endless"])
        try:
            case.that(live.begun(), "not begun")
            time.sleep(0.03)
            live.process.kill()
            live.process.wait()
            first = world.left("e")
            time.sleep(0.05)
            # The one call that was let on before may still have been on its way.
            case.that(world.left("e") <= first + 1 and first > 0, "%d, then %d" % (first, world.left("e")))
        finally:
            live.close()


def supervisor_stopped(world, case):
    """While it is stopped calls wait; when it goes on each is answered, none twice and none never."""
    world.files(3000)
    live = Live(world, world.caps(files_deleted=2000), ["remove", "16", "3000"])
    try:
        for _ in range(20):
            live.process.send_signal(signal.SIGSTOP)
            time.sleep(0.01)
            first = world.left()
            time.sleep(0.02)
            # One call of each thread may have been on its way.
            case.that(world.left() >= first - 16, "%d, then %d while it was stopped" % (first, world.left()))
            live.process.send_signal(signal.SIGCONT)
            time.sleep(0.003)
        out, _ = live.process.communicate(timeout=30)
        case.that(b"good 2000" in out and world.left() == 1000, "%r, left %d" % (out, world.left()))
    except subprocess.TimeoutExpired:
        case.that(False, "a call was never answered")
    finally:
        live.close()


def letters(server, seconds):
    """Which ways of sending got through within the time."""
    found, end = set(), time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found.add(server.recv(16).decode())
        except OSError:
            pass
    return "".join(sorted(found))


def forget(server):
    """What was on its way, and what a busy machine has not read yet: a full buffer at most."""
    time.sleep(0.1)
    server.setblocking(False)
    try:
        for _ in range(100000):
            server.recv(16)
    except BlockingIOError:
        pass
    server.settimeout(0.05)


def network_is_closed_at_once(world, case):
    """In the host's network: what makes a connection or names a peer stops. A socket that was connected before goes on,
    which is why a profile can ask for a freeze (docs/decisions/0007)."""
    profile = world.profile("network: {mode: host}\nblast_radius: {files_changed: 10, on_exceed: deny}\n")
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.settimeout(0.05)
    live = Live(world, profile, [server.getsockname()[1]], world.talk)
    try:
        case.that(live.begun(), "not begun")
        case.that(letters(server, 0.3) == "cmsvw", "open: " + letters(server, 0.3))
        live.ask("posture %d %d" % (READ_ONLY, ALTERNATE))
        forget(server)
        found = letters(server, 0.3)
        case.that(found == "w", "read-only: " + found)
        live.ask("posture %d %d" % (OPEN, PRIMARY))
        case.that(letters(server, 0.3) == "cmsvw", "opened again: " + letters(server, 0.3))
    finally:
        live.close()
        server.close()


def stopped_while_asking(world, case):
    """64 threads that wait for an answer stop as fast as others: only what was taken up waits on."""
    world.files(1)
    live = Live(world, world.caps(files_changed=100000000), ["flood", "64"])
    longest = 0
    try:
        case.that(live.begun(), "not begun")
        for posture in (OPEN, FROZEN):
            live.ask("posture %d %d" % (posture, PRIMARY))
            before = live.ask("freeze")
            longest = max(longest, live.took[0])
            case.that(live.took[1] == 0, "result %d" % live.took[1])
            time.sleep(0.05)
            after = live.ask("state")
            case.that(after.done == before.done and after.refused == before.refused, "it went on")
            live.ask("posture %d %d" % (OPEN, PRIMARY))
            live.ask("thaw")
            time.sleep(0.05)
            case.that(live.ask("state").done["files_changed"] > after.done["files_changed"], "it did not go on")
        case.summary = "%.1f ms" % (longest / 1000)
        case.that(longest < 500000 * harness.SLOWER, case.summary)
    finally:
        live.close()


# ---- getting around it ----

def second_listener(world, case):
    profile = world.caps(files_changed=1000)
    result, report = world.run(profile, ["second-listener"])
    case.that("errno EPERM" in result.text, result.text)
    case.that(report.state.done["denials"] == 1, "not reported")
    result = world.outside(["second-listener"])
    case.that("errno none" in result.text, "outside: " + result.text)


def flags_in_memory(world, case):
    result, report = world.run(world.caps(files_changed=1000), ["flags-in-memory"])
    case.that(result.text == "errno ENOSYS\n" * 3, result.text)
    case.that(not os.path.exists(world.ws + "/by-openat2"), "openat2 made a file")
    result = world.outside(["flags-in-memory"])
    case.that("errno none" in result.text and os.path.exists(world.ws + "/by-openat2"), "outside: " + result.text)


def memory_is_rewritten(world, case):
    """A thread changes the name while the call waits: what is counted and refused is the same."""
    world.files(1)
    os.rename(world.ws + "/f0", world.ws + "/x0")
    world.files(1)
    result, report = world.run(world.caps(files_changed=10000), ["rewriting", "4000"])
    case.that(said(result, "good") == [4000], result.text)
    expect(case, report.state, files_changed=2000)
    world.files(1)
    before = look(world.ws)
    result, report = world.run(world.caps(files_changed=0), ["rewriting", "4000"])
    case.that(said(result, "good") == [2000] and look(world.ws) == before, "a write got through: " + result.text)


def signals_interrupt(world, case):
    """A call that a signal would restart is decided once."""
    world.files(2500)
    result, report = world.run(world.caps(files_deleted=100000), ["interrupted", "2500"])
    case.that(said(result, "good") == [2500] and world.left() == 0, result.text)
    expect(case, report.state, files_deleted=2500)


def signals_end_calls(world, case):
    """A handler that wants no restart ends a call only before it was taken up: it did nothing and counts nothing."""
    files = 2500
    world.files(files)
    result, report = world.run(world.caps(files_deleted=100000), ["not-restarted", files])
    case.that(said(result, "good") == [files] and world.left() == 0, result.text)
    expect(case, report.state, files_deleted=files)
    seen = said(result, "interrupted")
    case.summary = "%s of %d calls ended with EINTR" % (seen[0] if seen else "?", files)


def children_end(world, case):
    """A signal that comes before a call was taken up ends it with EINTR where the handler wants no restart, which no
    program expects of fork or of open: shells gave up with "Cannot fork". Handlers of SIGCHLD are mended."""
    profile = world.caps(files_changed=100000, processes_started=100000)
    result, report = world.run(profile, ["children-end", 2000])
    case.that(said(result, "good") == [2000], result.text)
    # The kernel makes a fork again that a signal met (kernel/fork.c, copy_process); it is asked about again.
    forks = report.state.done["processes_started"]
    case.that(2000 <= forks < 6000, "%d forks" % forks)
    expect(case, report.state, files_changed=2000, files_created=2000, processes_started=forks)
    result = world.outside(["children-end", 2000])
    case.that(said(result, "good") == [2000], "outside: " + result.text)


def shells_fork(world, case):
    """Pipelines of /bin/sh, whose first parts end while the others are started."""
    profile = world.caps(files_changed=100000, processes_started=100000)
    pipes = "n=0; while [ $n -lt 200 ]; do n=$((n+1)); true | true | true | true | true || exit 9; done; echo over"
    result = world.sandbox.run(["/bin/sh", "-c", pipes], "--report", "1", profile=profile)
    case.code(result, 0)
    case.that("over" in result.text and "Cannot fork" not in result.errors, *result.describe())


def callers_die(world, case):
    """Who is killed while it waits is not charged for what it did not do: at most the one call that was let on in the
    very moment of each death."""
    children = 40
    for slow in ("0", "300"):
        world.files(100 * children)
        result, report = world.run(world.caps(files_deleted=100000), ["killed", children], "--slow", slow)
        case.code(result, 0)
        gone = 100 * children - world.left()
        counted = report.state.done["files_deleted"]
        case.that(gone <= counted <= gone + children, "counted %d, gone %d" % (counted, gone))
        case.summary = "counted %d, gone %d, given back %d" % (counted, gone, report.state.undone)
    # Most of them were thought about when they died.
    case.that(report.state.undone > children / 4 and counted - gone < children / 4, case.summary)


def two_runs(world, case):
    """A run that floods its own supervisor takes nothing from another one's but processor time."""
    world.files(1)
    profile = world.caps(files_changed=100000000)
    live = Live(world, profile, ["flood", "64"])
    try:
        case.that(live.begun(), "not begun")
        result, report = world.run(profile, ["steady", "2000"])
        case.that(said(result, "good") == [2000], result.text)
        expect(case, report.state, files_changed=2000)
        case.summary = "2000 calls beside it in " + re.search(r"seconds (\S+)", result.text).group(1) + " s"
    finally:
        live.close()


def nobody_counts(world, case):
    """A run whose calls are to be counted does not start where notifications go to nobody: berm itself says so."""
    result = world.sandbox.run(["true"], "--report", "1", profile=world.sandbox.profile)
    case.code(result, 125)
    case.that("counts nothing" in result.errors, result.errors)


def rows():
    return [
        ("64 threads remove 10^4 files at a cap of 100", storm_at_a_cap),
        ("32 threads make files at a cap of 50", storm_that_makes),
        ("processes at a cap of 40", storm_of_processes),
        ("programs are counted", programs_are_counted),
        ("a cap's posture, a warning once", what_a_cap_sets_off),
        ("each call counts as what it can do", each_call_counts),
        ("at a cap of 0 no call gets through", each_call_is_refused_at_zero),
        ("a posture changes at once, both ways", posture_changes_at_once),
        ("a posture closes the network at once", network_is_closed_at_once),
        ("nothing lands when the supervisor is killed", supervisor_killed),
        ("nothing lands while the supervisor is stopped", supervisor_stopped),
        ("threads that wait for an answer can be stopped", stopped_while_asking),
        ("a second listener is refused", second_listener),
        ("calls with flags in memory answer ENOSYS", flags_in_memory),
        ("memory that is rewritten changes no verdict", memory_is_rewritten),
        ("a call that signals interrupt is counted once", signals_interrupt),
        ("a call that ends with EINTR did nothing and counts nothing", signals_end_calls),
        ("a call that a child's end interrupts is none that fails", children_end),
        ("shells start pipelines", shells_fork),
        ("callers that are killed while they wait", callers_die),
        ("a run that floods beside one that works", two_runs),
        ("a profile that counts nothing is none for this make", nobody_counts),
    ]
