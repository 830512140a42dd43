# SPDX-License-Identifier: Apache-2.0
"""Many runs of a supervisor at once (tests/bench/supervised has a thousand), and what becomes of them and of its
clients while it is replaced."""
import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess

import cases_agents
import crowd
import harness
from cases_supervise import has, row
from supervisor_wire import LONG

RUNS = 40
KILLED = 4  # each fourth is ended by berm kill
SUPERVISOR_MAX = 64 << 10  # KiB
CLIENTS = 3  # of the swarm at a time


def add_agents(world, case, *names):
    world.profile = world.sandbox.write_profile("crowd", "blast_radius: {files_changed: 12, processes_started: 12}\n" +
                                                cases_agents.BREAKER)
    os.chmod(world.profile, 0o644)
    for name in names:
        case.code(world.add(name, "--may-start", str(world.sandbox.uid), "--cooldown", "none", "--running", str(RUNS),
                            "--runs-per-hour", str(RUNS)), 0)


def runs_of(world, *names):
    ids = {world.show(name)["id"] for name in names}
    return [run for run in json.loads(world.berm("ps", "--json").text)["runs"] if run.get("agent_id") in ids]


@row("crowd")
def each_of_many_runs_counts_its_own(world, sandbox, case):
    """Counters, exit codes and ends of each are its own, and of the supervisor nothing grows with them."""
    add_agents(world, case, "stays", "killed")
    case.that(world.supervise(), "it does not listen")

    def call(number):
        agent = "killed" if number % KILLED == KILLED - 1 else "stays"
        return [sandbox.berm, "run", "--json", "--socket", world.socket, "--agent", agent, "--"]

    many = crowd.Crowd(sandbox.ws, call, world.client_environment(), lambda number: world.become())
    try:
        many.start(RUNS)
        case.that(many.all_last() and world.status().get("runs") == RUNS, world.status())
        case.that(len(runs_of(world, "stays", "killed")) == RUNS, "berm ps has not all of them")
        case.code(world.berm("kill", "agent:killed"), 0)
        case.that(len(runs_of(world, "stays")) == RUNS - RUNS // KILLED, "others were killed")
        many.let_go()
        for number in many.runs:
            many.check(number, number % KILLED == KILLED - 1)
        case.that(not many.wrong, *many.wrong[:5])
    finally:
        many.close()
    case.that(harness.wait_for(lambda: world.status().get("runs") == 0, LONG), world.status())
    held = crowd.field(world.process.pid, "status", "VmHWM")
    case.that(held < SUPERVISOR_MAX, "the supervisor held %d KiB" % held)
    case.summary = "%d runs, start %s; the supervisor had %.1f MiB" % (RUNS, many.start_words(), held / 1024)
    total = world.show("stays")["runs_total"] + world.show("killed")["runs_total"]
    case.that(total == RUNS, "%d runs of the agents" % total)


class Swarm:
    """Clients that come one after the other, some at a time; each has to be served once, as if nothing were the
    matter."""

    def __init__(self, world, case):
        self.world, self.case, self.under_way, self.begun, self.served = world, case, {}, 0, 0

    def turn(self, stop=False):
        for number, client in list(self.under_way.items()):
            if client.poll() is None:
                continue
            out, errors = client.communicate()
            self.case.that(client.returncode == 0 and out == b"%d\n" % number, number, client.returncode, out, errors)
            self.served += 1
            del self.under_way[number]
        while not stop and len(self.under_way) < CLIENTS:
            self.begun += 1
            self.under_way[self.begun] = self.world.start_client(
                "/bin/sh", "-c", "echo %d; echo x >> served" % self.begun, agent="swarm")
        return False

    def until(self, condition):
        return harness.wait_for(lambda: self.turn() or condition(), LONG)

    def some_more(self):
        goal = self.served + CLIENTS
        return self.until(lambda: self.served >= goal)

    def end(self):
        good = harness.wait_for(lambda: self.turn(stop=True) or not self.under_way, LONG)
        with open(self.world.sandbox.ws + "/served", encoding="ascii") as file:
            ran = len(file.readlines())
        self.case.that(good and ran == self.begun == self.served, "%d ran of %d clients" % (ran, self.begun))


def no_program(path):
    with open(path, "wb") as file:
        file.write(b"no program\n")


def of_another_machine(path):
    """e_machine, elf(5): one that nobody has."""
    with open(path, "r+b") as file:
        file.seek(18)
        file.write(b"\xff\x7f")


# What is installed, and what is said about it.
BAD_VERSIONS = [
    ("others may write to it", lambda path: os.chmod(path, 0o777), "writable by others"),
    ("no program", no_program, "cannot be executed"),
    ("the beginning of one", lambda path: os.truncate(path, 64 << 10), "the program that is on disk now"),
    ("another machine's", of_another_machine, "cannot be executed"),
    ("another one", lambda path: shutil.copy("/bin/true", path), "the program that is on disk now"),
    ("one that fails", lambda path: shutil.copy("/bin/false", path), "ended with code"),
]


class Replaced:
    """A supervisor with clients all the time, and how the next one comes in its place."""

    def __init__(self, world, listening=None):
        self.world, self.listening = world, listening
        self.folder = world.sandbox.top + "/next"
        os.makedirs(self.folder, 0o755, exist_ok=True)
        self.program = shutil.copy(world.sandbox.berm, self.folder + "/berm")

    def begin(self):
        if not self.listening:
            command, more = [self.program, "supervise", "--socket", self.world.socket], {}
        else:
            number = self.listening.fileno()
            script = "import os; os.dup2(%d, 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); " \
                     "os.execv('%s', ['berm', 'supervise'])" % (number, self.program)
            command, more = ["python3", "-c", script], {"pass_fds": (number,)}
        with open(self.world.errors, "ab") as errors:
            self.world.process = subprocess.Popen(command, env=self.world.environment(), cwd="/", stderr=errors,
                                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **more)
        self.world.processes.append(self.world.process)

    def is_there(self):
        return self.world.status().get("pid") == self.world.process.pid

    def by_signal(self, number, swarm):
        """It ends, and another one begins."""
        self.world.process.send_signal(number)
        self.world.process.wait(timeout=LONG * harness.SLOWER)
        self.begin()
        return swarm.until(self.is_there)

    def install(self, make=None):
        """Another file in the place of its program."""
        shutil.copy(self.world.sandbox.berm, self.program + ".new")
        if make:
            make(self.program + ".new")
        os.rename(self.program + ".new", self.program)
        return self.program

    def told(self):
        with open(self.world.errors, encoding="utf-8", errors="replace") as file:
            return file.read()

    def is_refused(self, swarm, *words):
        """The old one says why, goes on with what it has, and serves."""
        pid, before = self.world.process.pid, os.stat(self.world.errors).st_size
        program = os.stat("/proc/%d/exe" % pid).st_ino
        self.world.process.send_signal(signal.SIGUSR2)
        return swarm.until(lambda: has(self.world.errors, "this one goes on", before)) and \
            all(has(self.world.errors, word, before) for word in words) and swarm.some_more() and self.is_there() and \
            os.stat("/proc/%d/exe" % pid).st_ino == program

    def by_bad_version(self, swarm, case):
        """What others may write to, is no program, or does not work here is not executed: the old one goes on."""
        for name, make, word in BAD_VERSIONS:
            self.install(make)
            case.that(self.is_refused(swarm, word), name, self.told())
        self.install()
        self.by_link(swarm, case)
        self.install()
        return swarm.until(self.is_there)

    def by_link(self, swarm, case):
        """A good program that a link leads to, or that lies where others may put one, is nobody's choice."""
        os.rename(self.program, self.program + ".good")
        os.symlink(self.program + ".good", self.program)
        case.that(self.is_refused(swarm, "a link"), "a link", self.told())
        os.rename(self.program + ".good", self.program)
        mode = stat.S_IMODE(os.stat(self.folder).st_mode)
        os.chmod(self.folder, 0o777)
        case.that(self.is_refused(swarm, "others can write to"), "a directory", self.told())
        os.chmod(self.folder, mode)

    def by_version(self, swarm):
        """The program is another file now, and the same process becomes that."""
        process = self.world.process
        wanted = os.stat(self.install()).st_ino
        process.send_signal(signal.SIGUSR2)
        return swarm.until(lambda: os.stat("/proc/%d/exe" % process.pid).st_ino == wanted) and \
            swarm.until(self.is_there)


class Lasting:
    """A run that lasts while its supervisor is replaced: restricted by hand, with counters of its own."""
    runs = 0

    def __init__(self, world, case, name):
        self.world, self.case, self.source, self.gate = world, case, *os.pipe()
        self.client = world.start_client("/bin/sh", "-c", ": " + name + "; echo > a; echo > ready; read x; echo > c; "
                                         "read x; echo > b && echo done; exit 5", stdin=self.source)
        os.close(self.source)
        case.that(harness.wait_for(lambda: os.path.exists(world.sandbox.ws + "/ready"), LONG), "it did not begin")
        case.code(world.berm("pace", "set", self.told()["run"], "read-only"), 0)

    def told(self):
        runs = runs_of(self.world, "worker")
        return runs[0] if len(runs) == 1 else {}

    def check(self, *words):
        told = self.told()
        self.case.that(self.client.poll() is None and told.get("posture") == "read-only" and
                       told["counters"]["files_changed"]["value"] == 2, *words, told)

    def end(self):
        """It is as restricted as it was, and goes on to count where it was."""
        os.write(self.gate, b"x\n")
        self.case.that(harness.wait_for(lambda: self.told().get("denials_total"), LONG), "nothing was refused")
        self.case.code(self.world.berm("pace", "set", self.told()["run"], "open"), 0)
        os.close(self.gate)
        out, errors = self.client.communicate(timeout=LONG * harness.SLOWER)
        self.case.that(self.client.returncode == 5 and out == b"done\n", self.client.returncode, out, errors)
        names = sorted(name for name in os.listdir(self.world.sandbox.ws) if name != "served")
        self.case.that(names == ["a", "b", "ready"], names)
        Lasting.runs += 1
        self.case.that(self.world.used() == {("files_changed", "day"): 3 * self.runs}, self.world.used())
        for name in names:
            os.unlink(self.world.sandbox.ws + "/" + name)


@row("replaced")
def nobody_is_turned_away_by_an_upgrade(world, sandbox, case):
    """By systemd's way, by kill -9, and by SIGUSR2, while clients come all the time; a run lasts through all."""
    add_agents(world, case, "worker", "swarm")
    case.code(world.berm("agent", "set", "worker", "--budget", "files_changed=100/day"), 0)
    case.code(world.berm("agent", "set", "swarm", "--runs-per-hour", "10000"), 0)
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)) as listening:
        listening.bind(world.socket)
        os.chmod(world.socket, 0o666)
        listening.listen(128)
        for held in (True, False):
            way = Replaced(world, listening if held else None)
            way.begin()
            case.that(harness.wait_for(way.is_there, LONG), "it does not listen")
            lasting = Lasting(world, case, str(held))
            swarm = Swarm(world, case)
            # Who comes to a socket that nobody holds, while there is no supervisor, is refused.
            for turn in ("TERM", "KILL", "USR2", "KILL", "TERM") if held else ("USR2", "USR2"):
                case.that(swarm.some_more(), held, turn, "nobody is served before")
                good = way.by_version(swarm) if turn == "USR2" else \
                    way.by_signal(getattr(signal, "SIG" + turn), swarm)
                case.that(good and swarm.some_more(), held, turn, "nobody is served after")
                case.that(world.status().get("adopted", 0) >= 1, held, turn, world.status())
                lasting.check(held, turn)
            case.that(way.by_bad_version(swarm, case), held, "a bad version")
            swarm.end()
            lasting.end()
            os.unlink(sandbox.ws + "/served")
            world.end()
            case.that(os.path.exists(world.socket) == held, "whose socket was it?")
            if held:
                os.unlink(world.socket)


@row("damaged")
def what_is_damaged_restricts(world, sandbox, case):
    """Nothing of a state that cannot be read lets a run of the next supervisor do more."""
    add_agents(world, case, "worker")
    case.code(world.berm("pace", "group", "lab", "--tier", "2"), 0)
    case.code(world.berm("agent", "set", "worker", "--group", "lab"), 0)
    case.that(world.supervise(), "it does not listen")
    group, agent = world.state + "/groups/lab", world.state + "/agents/worker"
    client = world.start_client("/bin/sh", "-c", "echo > ready; read x", stdin=subprocess.PIPE)
    case.that(harness.wait_for(lambda: os.path.exists(sandbox.ws + "/ready"), LONG), "it did not begin")
    world.end(signal.SIGKILL)
    damaged = []
    for path in (group, agent):
        with open(path, "rb") as file:
            damaged.append((path, file.read()))
    with open(group, "r+b") as file:
        file.write(bytes([damaged[0][1][0] ^ 1]))
    case.that(world.supervise() and world.status().get("adopted") == 1, "the next one has not the run")
    case.that(harness.wait_for(lambda: runs_of(world, "worker")[0]["posture"] == "frozen", LONG),
              runs_of(world, "worker"))
    for path, text in damaged:
        with open(path, "r+b") as file:
            file.write(bytes([text[0] ^ 1]))
        result = world.ask("/bin/sh", "-c", "echo > ran")
        case.that(result.code in (125, 126) and not os.path.exists(sandbox.ws + "/ran"), path, *result.describe())
        with open(path, "r+b") as file:
            file.write(text)
    case.code(world.ask("/bin/sh", "-c", ": again; echo > ran"), 0)
    client.kill()
    client.communicate(timeout=LONG * harness.SLOWER)
    case.that(harness.wait_for(lambda: world.status().get("runs") == 0, LONG), world.status())


ROWS = [
    ("each of many runs counts its own", each_of_many_runs_counts_its_own),
    ("nobody is turned away by an upgrade, and nobody's run ends", nobody_is_turned_away_by_an_upgrade),
    ("what is damaged restricts whoever the next supervisor has", what_is_damaged_restricts),
]
