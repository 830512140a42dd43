# SPDX-License-Identifier: Apache-2.0
"""A host full of runs that want to stay (RT-11): what they do, who stops them, and what was done after the time that
berm says nothing was done any more. Looked at from outside: by the times of files, and by the processes of /proc."""
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import time

import harness
import inventory

CLONE_NEWNS = 0x20000
MS_PRIVATE_ALL = 0x44000
# Places where this host's berms look for runs. Whoever has their own there hits nobody else with --all.
PLACES = ("/run/berm", "/run/user", "/tmp")
MARK = "sub mark{open(my $f,'>',$_[0]) or return;syswrite($f,'x');close($f)} $n=$ARGV[0]; "
DEAF = "for(keys %SIG){$SIG{$_}='IGNORE'} "
# What each does is seen by one file that is written again and again.
KINDS = (
    ("fork bomb", MARK + "while(1){defined(fork) or select(undef,undef,undef,.002); mark(\"mark.$n\")}"),
    ("ignores signals", MARK + DEAF + "while(1){mark(\"mark.$n\")}"),
    ("forks twice", MARK + DEAF + "use POSIX; if(!fork){POSIX::setsid(); exit if fork; while(1){mark(\"mark.$n\")}} "
                                  "while(1){sleep 300}"),
    ("writer", MARK + "while(1){mark(\"mark.$n\"); for(0..3){mark(\"more.$n.$_\");unlink(\"more.$n.$_\")}}"),
)
BOMB_TASKS = 24  # of one run at a time


def tool(number):
    return ["/usr/bin/perl", "-e", KINDS[number % len(KINDS)][1], str(number)]


def is_own(number):
    """Started by its user's own berm, and not by the supervisor."""
    return number % 8 >= 4


@contextlib.contextmanager
def apart():
    """This process, and whom it starts meanwhile, see none of this host's runs, and none of it sees theirs."""
    libc = ctypes.CDLL(None, use_errno=True)
    directory, before = os.getcwd(), os.open("/proc/self/ns/mnt", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    try:
        libc.mount(b"none", b"/", None, MS_PRIVATE_ALL, None)
        for place in PLACES:
            os.makedirs(place, exist_ok=True)
            mode = b"mode=1777" if place == "/tmp" else b"mode=0755"
            if libc.mount(b"none", place.encode(), b"tmpfs", 0, mode):
                raise OSError(ctypes.get_errno(), "mount", place)
        yield
    finally:
        libc.setns(before, CLONE_NEWNS)
        os.close(before)
        os.chdir(directory)


def space_of(pid):
    try:
        return os.readlink("/proc/%s/ns/pid" % pid)
    except OSError:
        return None


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def spaces_beneath(pid, depth=4):
    """The process namespaces that this one's children made."""
    found, own = set(), space_of("self")
    for child in children(pid) if depth else ():
        space = space_of(child)
        found |= {space} if space not in (None, own) else spaces_beneath(child, depth - 1)
    return found


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def is_dead(pid):
    """It has ended, and waits for a parent that may be stopped."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def tasks_in(spaces):
    """How many processes live in these namespaces."""
    return sum(space_of(pid) in spaces and not is_dead(pid) for pid in pids())


def wall_of(boot_ns):
    """The wall clock's time then, in nanoseconds."""
    return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME) + boot_ns


class Marks:
    """The times of the files in a directory. Its own is berm's too, which takes placeholders away."""

    def __init__(self, directory):
        self.times = []
        with os.scandir(directory) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    self.times.append(entry.stat(follow_symlinks=False).st_mtime_ns)

    def after(self, wall_ns):
        return sum(mark > wall_ns for mark in self.times)

    def newest(self):
        return max(self.times)


class Crowd:
    """So many runs of berm, half of them of an agent and through a supervisor, and the rest by their user's own berm.
    The supervisor's are metered, the others not: these go on to write while all berms are stopped. profiles: of these
    and of those; environment: what berm needs besides; uid: the user where this process is root, else None."""

    def __init__(self, berm, top, count, profiles, environment, uid=None):
        self.berm, self.top, self.count, self.uid = berm, top, count, uid
        self.profile, self.metered = profiles
        self.runs, self.supervisor, self.spaces, self.stopped = [], None, set(), []
        for name in ("work", "state", "own", "runtime", "control"):
            os.mkdir("%s/%s" % (top, name), 0o755 if name in ("work", "control") else 0o700)
            if uid is not None and name in ("work", "own"):
                os.chown("%s/%s" % (top, name), uid, uid)
        self.work, self.socket = top + "/work", top + "/supervisor.sock"
        self.operator = dict(environment, BERM_STATE_DIR=top + "/state")
        self.user = dict(environment, BERM_STATE_DIR=top + ("/state" if uid is None else "/own"))
        if uid is None:
            self.operator["XDG_RUNTIME_DIR"] = self.user["XDG_RUNTIME_DIR"] = top + "/runtime"
        self.errors = open(top + "/errors", "a+b")
        # Somebody who is no run, so that what is counted after T is not nothing for want of looking.
        self.control = subprocess.Popen(tool(1), cwd=top + "/control", stdin=subprocess.DEVNULL)

    def words(self, *words, user=False, timeout=120):
        env, become = (self.user, self.become()) if user else (self.operator, None)
        return harness.run([self.berm, *words], env=env, cwd=self.work, preexec_fn=become, timeout=timeout)

    def become(self):
        return None if self.uid is None else harness.become(self.uid)

    def start(self):
        """All are at work when it returns; an OSError where they do not get there."""
        may_start = str(os.geteuid() if self.uid is None else self.uid)
        added = self.words("agent", "add", "worker", "--role", "stays", "--accountable-human", "Ada <ada@example.org>",
                           "-p", self.metered, "-C", self.work, "--tier", "2", "--running", "1000", "--runs-per-hour",
                           "10000", "--cooldown", "none", "--may-start", may_start)
        if added.code:
            raise OSError(added.errors)
        self.supervisor = subprocess.Popen([self.berm, "supervise", "--socket", self.socket], env=self.operator,
                                           cwd="/", stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not harness.wait_for(lambda: os.path.exists(self.socket), 30):
            raise OSError("the supervisor does not listen")
        for number in range(self.count):
            through = ["run", "--socket", self.socket, "--agent", "worker", "--"]
            own = ["run", "-p", self.profile, "-C", self.work, "--"]
            self.runs.append(subprocess.Popen(
                [self.berm, *(own if is_own(number) else through), *tool(number)], env=self.user, cwd=self.work,
                preexec_fn=self.become(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=self.errors))
        if not harness.wait_for(self.all_work, 60 + self.count):
            raise OSError("of %d runs %d are at work" % (self.count, self.at_work()))
        self.spaces = set().union(*(spaces_beneath(pid) for pid in self.berms()))
        if len(self.spaces) != self.count:
            raise OSError("%d namespaces of %d runs" % (len(self.spaces), self.count))

    def at_work(self, within=2):
        """Runs that wrote within so many seconds."""
        count, now = 0, time.time_ns()
        for number in range(self.count):
            with contextlib.suppress(OSError):
                written = os.stat("%s/mark.%d" % (self.work, number)).st_mtime_ns
                count += now - written < within * 1000000000 * harness.SLOWER
        return count

    def all_work(self):
        for number, run in enumerate(self.runs):
            if run.poll() is not None:
                self.errors.seek(0)
                raise OSError("run %d ended with %d: %r" % (number, run.returncode, self.errors.read(1000)))
        return self.at_work() == self.count

    def berms(self):
        """The process that watches over each run: a session of the supervisor's, or the user's own berm."""
        found = set()
        for user in (False, True):
            told = self.words("ps", "--json", user=user)
            found |= {run["pid"] for run in json.loads(told.text)["runs"]} if told.code == 0 else set()
        return found

    def stop(self, *who):
        """SIGSTOP to "supervisor" (with what watches over each run), "recorder"."""
        stopped = set()
        if "supervisor" in who:
            stopped |= self.berms() | {self.supervisor.pid}
        if "recorder" in who:
            for state in {self.operator["BERM_STATE_DIR"], self.user["BERM_STATE_DIR"]}:
                stopped |= set(self.recorders(state))
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        self.stopped = sorted(stopped)
        return len(stopped)

    @staticmethod
    def recorders(state):
        found = []
        for pid in pids():
            with contextlib.suppress(OSError), open("/proc/%d/cmdline" % pid, "rb") as file:
                if file.read().split(b"\0")[1:3] == [b"--role=recorder", os.fsencode(state)]:
                    found.append(pid)
        return found

    def kill(self, *words):
        """The order, and what came of it."""
        idle = [harness.run([self.berm, "--version"]).seconds for _ in range(3)]
        told = {"at_work": self.at_work(), "idle_ms": sorted(idle)[1] * 1000}
        ordered = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        result = self.words(*(words or ("kill", "--all")), "--json")
        told["tasks_left"] = tasks_in(self.spaces)
        told["code"], told["errors"], told["verb_ms"] = result.code, result.errors, result.seconds * 1000
        said = json.loads(result.text)
        told["gone"] = sum(run["gone"] for run in said["killed"]) if "killed" in said else said["gone"]
        t = said["t_boot_ns"]
        if not t:
            return told
        wall = wall_of(t)
        # Time enough for whoever would still do something.
        harness.wait_for(lambda: Marks(self.top + "/control").after(wall) > 0, 20)
        time.sleep(0.3)
        done = Marks(self.work)
        told.update(t_boot_ns=t, begun_ms=(said["asked_boot_ns"] - ordered) / 1e6,
                    last_gone_ms=(t - ordered) / 1e6, after=done.after(wall),
                    newest_ms=(done.newest() - wall) / 1e6, control=Marks(self.top + "/control").after(wall),
                    before=len(done.times) - done.after(wall))
        return told

    def recorded_t(self):
        """The newest end that the log knows of these runs, and how many it knows."""
        lines = [json.loads(line)["record"] for line in self.words("log", "--json").text.splitlines()]
        kills = {line["kill"]["killed"]: line["kill"]["gone_boot_ns"] for line in lines if "kill" in line}
        return max(kills.values(), default=0), len(kills)

    def go_on(self):
        for pid in self.stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.stopped = []

    def finish(self):
        self.go_on()
        self.errors.close()
        self.control.kill()
        self.control.wait()
        for run in self.runs:
            if run.poll() is None and not harness.wait_for(lambda run=run: run.poll() is not None, 5):
                run.kill()  # what it ran goes with it
        if self.supervisor:
            self.supervisor.terminate()
            self.supervisor.wait(timeout=30 * harness.SLOWER)
        codes = [run.wait(timeout=60 * harness.SLOWER) for run in self.runs]
        inventory.end_recorders(self.top)
        return codes
