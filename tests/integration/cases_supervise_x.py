# SPDX-License-Identifier: Apache-2.0
"""The supervisor's socket under attack: the rows X of a catalogue of attacks, and what clients can send along."""
import array
import contextlib
import itertools
import json
import os
import pty
import re
import resource
import signal
import socket
import struct
import subprocess
import time
import traceback

import cases_agents
import harness
from cases_supervise import as_user, descriptors, row
from supervisor_wire import LONG, connect, is_begun, raw, raw_run, request, run_of, signals_pipe

SOON = 1.0  # seconds in which an operator is answered, whatever others do


def lingering(listener):
    """A socket that whoever closes it last waits for, for a minute: nobody takes what was written to it."""
    ours = socket.socket()
    ours.connect(listener.getsockname())
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
    ours.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while ours.send(b"x" * 65536):
            pass
    return ours


def send_with(connection, packet, fds):
    connection.sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


def sessions_of(world):
    """The processes of its sessions, without those that these have forked."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                words = file.read().split(b"\0")
            if b"--role=session" in words and world.state.encode() in words:
                found[int(pid)] = int(stat_words(pid)[1])
    return [pid for pid, parent in found.items() if parent not in found]


def stat_words(pid):
    """Of /proc/PID/stat, from the state on."""
    with open("/proc/%s/stat" % pid, encoding="utf-8") as file:
        return file.read().rsplit(")", 1)[1].split()


def ticks(pid):
    words = stat_words(pid)
    return int(words[11]) + int(words[12])


class Asked:
    """A run that was asked for by hand: its connection and its pipe of signals."""

    def __init__(self, world, script, stderr=None):
        self.null = os.open("/dev/null", os.O_RDWR)
        reader, self.writer = os.pipe()
        with as_user(world):
            self.connection = connect(world.socket)
            send_with(self.connection, request(run=run_of(argv=(b"/bin/sh", b"-c", script.encode()))),
                      [self.null, self.null, self.null if stderr is None else stderr, reader])
        os.close(reader)
        self.begun = is_begun(self.connection.recv(1000))

    def close(self):
        for fd in (self.null, self.writer):
            with contextlib.suppress(OSError):
                os.close(fd)
        self.connection.close()


def appears(sandbox, name):
    """Whether the tool makes that file."""
    return harness.wait_for(lambda: os.path.exists(sandbox.ws + "/" + name), LONG)


def send_what_lingers(world, connections, listener):
    """In a process that is gone afterwards: what it sent is nobody's but of those who have it in a queue."""
    null, (reader, _) = os.open("/dev/null", os.O_RDWR), os.pipe()
    for packets in connections:
        peer = connect(world.socket)
        for packet, kinds in packets:
            fds = {"n": lambda: null, "s": lambda: reader, "l": lambda: lingering(listener).detach()}
            send_with(peer, packet, [fds[kind]() for kind in kinds])
        peer.detach()


def as_client(world, function):
    """Whether a process of the client's user does that."""
    child = os.fork()
    if child == 0:
        try:
            if world.become():
                world.become()()
            function()
            os._exit(0)
        except BaseException:  # pylint: disable=broad-except
            traceback.print_exc()
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


@row("linger")
def what_a_client_sends_is_never_the_supervisors_to_close(world, sandbox, case):
    """X08: sockets that linger, as a stream, as one too many, in a second packet, and before accept."""
    world.add_worker(case)
    case.that(world.supervise(), "it does not listen")
    good, slowest = request(run=run_of()), 0.0
    before, pid = descriptors(world.process.pid), world.process.pid
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        for connections in ([[(good, "lnns")]], [[(good, "nnls")]], [[(good, "nnnl")]], [[(good, "nnnsl")]],
                            [[(b"no request", "l")]], [[(good, "nnns"), (b"x", "l")]], [[(b"x", "n"), (b"y", "l")]],
                            [[(request(kind=2), "l")]],
                            # More than may be open at once: refused before anybody has looked at what lies in them.
                            [[(b"x", "l")]] * 40):
            # Nothing is closed before all is sent.
            os.kill(pid, signal.SIGSTOP)
            sent = as_client(world, lambda: send_what_lingers(world, connections, listener))
            os.kill(pid, signal.SIGCONT)
            case.that(sent, "it was not sent", connections[0])
            for _ in range(3):
                result = world.berm("supervise", "--status", "--socket", world.socket)
                slowest = max(slowest, result.seconds)
                case.that(result.code == 0 and result.seconds < SOON * harness.SLOWER, connections[0],
                          *result.describe())
        case.that(harness.wait_for(lambda: descriptors(pid) <= before, LONG), before, descriptors(pid))
        os.kill(pid, signal.SIGSTOP)
        case.that(as_client(world, lambda: send_what_lingers(world, [[(b"x", "l")]] * 10, listener)), "not sent")
        begun = time.monotonic()
        world.process.send_signal(signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)
        world.end()
        case.that(world.process.returncode == 0 and time.monotonic() - begun < SOON * harness.SLOWER,
                  "it took %.2f s to end" % (time.monotonic() - begun))
    case.summary = "the operator waited %.0f ms at most" % (slowest * 1000)


@row("full")
def without_a_process_to_close_nothing_is_closed(world, sandbox, case):
    """X07, X08: the table of processes is full, and what lingers would hold whoever closes it for a minute."""
    if sandbox.mode == "root":
        raise cases_agents.Skip("no limit holds for root")
    world.add_worker(case)
    case.that(world.supervise(), "it does not listen")
    pid, slowest = world.process.pid, 0.0
    before, hard = descriptors(pid), resource.prlimit(pid, resource.RLIMIT_NPROC)[1]
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        resource.prlimit(pid, resource.RLIMIT_NPROC, (1, hard))
        for count in (90, 60):
            os.kill(pid, signal.SIGSTOP)
            sent = as_client(world, lambda count=count: send_what_lingers(world, [[(b"x", "l")]] * count, listener))
            os.kill(pid, signal.SIGCONT)
            case.that(sent, "it was not sent")
            case.that(harness.wait_for(lambda: descriptors(pid) - before >= 90, LONG), descriptors(pid) - before)
        # It has more than a child would take, and holds them.
        case.that(harness.wait_for(lambda: descriptors(pid) - before >= 100, LONG), descriptors(pid) - before)
        time.sleep(0.2)
        used = ticks(pid)
        time.sleep(0.5)
        case.that(ticks(pid) - used < 10, "it turns for nothing")
        resource.prlimit(pid, resource.RLIMIT_NPROC, (hard, hard))
        for _ in range(3):
            harness.wait_for(lambda: world.status(), LONG)
            result = world.berm("supervise", "--status", "--socket", world.socket)
            slowest = max(slowest, result.seconds)
            case.that(result.code == 0, *result.describe())
        case.that(harness.wait_for(lambda: descriptors(pid) <= before, LONG), before, descriptors(pid))


@row("watchman")
def a_client_cannot_stop_its_own_watchman(world, sandbox, case):
    """What it sends later lies unread, and a stderr that nobody reads holds nobody up."""
    world.add_worker(case)
    case.that(world.supervise(), "it does not listen")
    master, slave = pty.openpty()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    if sandbox.mode == "root":
        os.fchown(slave, sandbox.uid, sandbox.uid)
    script = "trap 'echo > heard; exit 0' TERM; echo > ready; head -c 300000 /dev/zero >&2 & exec 2>/dev/null; " \
             "while :; do sleep 0.05; done"
    asked = Asked(world, script, slave)
    try:
        case.that(asked.begun and appears(sandbox, "ready"), "it did not begin")
        sent = as_client(world, lambda: send_with(asked.connection, b"x", [lingering(listener).detach()]))
        case.that(sent, "it was not sent")
        agent = world.show()["id"]
        runs = [run for run in json.loads(world.berm("ps", "--json").text)["runs"] if run.get("agent_id") == agent]
        case.that(len(runs) == 1, runs)
        # It says on stderr what it was set to, and goes on.
        for posture in ("read-only", "open"):
            result = world.berm("pace", "set", runs[0]["run"], posture)
            case.that(result.code == 0 and result.seconds < SOON * harness.SLOWER, posture, *result.describe())
        os.write(asked.writer, bytes([signal.SIGTERM]))
        case.that(appears(sandbox, "heard"), "the signal did not come through")
    finally:
        asked.close()
        listener.close()
        os.close(master)
        os.close(slave)
    case.that(harness.wait_for(lambda: not sessions_of(world), LONG), "the session goes on")


@row("spin")
def a_connection_that_was_handed_over_costs_nothing(world, sandbox, case):
    """Signals and ends that a stopped session does not take are no events of the supervisor's."""
    world.add_worker(case)
    case.that(world.supervise(), "it does not listen")
    asked = Asked(world, "echo > ready; sleep 60")
    case.that(asked.begun and appears(sandbox, "ready"), "it did not begin")
    sessions = sessions_of(world)
    case.that(len(sessions) == 1, sessions)
    os.kill(sessions[0], signal.SIGSTOP)
    try:
        for _ in range(17):
            os.write(asked.writer, bytes([signal.SIGWINCH]))
            asked.connection.send(b"x")
        asked.connection.shutdown(socket.SHUT_WR)
        asked.close()
        before = ticks(world.process.pid)
        time.sleep(1)
        used = ticks(world.process.pid) - before
        case.that(used < 10, "%d ticks in a second of nothing to do" % used)
    finally:
        os.kill(sessions[0], signal.SIGCONT)
    case.that(harness.wait_for(lambda: world.status().get("runs") == 0, LONG), world.status())


def size_of_log(world):
    total = 0
    for directory, _, names in os.walk(world.state + "/log"):
        total += sum(os.lstat(directory + "/" + name).st_size for name in names)
    return total


@row("strangers")
def strangers_write_nothing_into_the_log(world, sandbox, case):
    """Who may start nothing is refused for a word, and soon without a process; who may goes on being recorded."""
    if sandbox.mode != "root":
        raise cases_agents.Skip("there is nobody else")
    world.add_worker(case)
    case.code(world.berm("agent", "set", "worker", "--may-start", "none"), 0)
    case.that(world.supervise(), "it does not listen")
    case.code(world.run(["true"]), 0)
    size, null = size_of_log(world), os.open("/dev/null", os.O_RDWR)
    packet = request(run=run_of(argv=[b"x" * 1000] * 100))
    answers = {}
    with as_user(world), signals_pipe() as reader:
        for _ in range(300):
            try:
                with connect(world.socket) as peer:
                    send_with(peer, packet, [null, null, null, reader])
                    answer = peer.recv(200000)
                    answer = peer.recv(200000) if is_begun(answer) else answer
            except (BrokenPipeError, ConnectionResetError):
                answer = b"gone"
            for word in (b"may_start", b"were refused", b"too many requests of yours at once", b"gone"):
                answers[word] = answers.get(word, 0) + (word in answer)
    os.close(null)
    case.that(answers[b"may_start"] <= 45, "a process for each refusal", answers)
    case.that(answers[b"may_start"] >= 10 and answers[b"were refused"] > 0, answers)
    result = world.run(["/bin/echo", "meanwhile"])
    case.that(result.text == "meanwhile\n", *result.describe())
    grown = size_of_log(world) - size
    case.that(0 < grown < 65536, "the log grew by %d bytes" % grown)
    told = world.berm("log", "--json").text
    case.that("xxxxxxxx" not in told and "meanwhile" in told, told[-500:])
    with open(world.errors, encoding="utf-8") as file:
        lines = [line for line in file if "was refused" in line]
    case.that(len(lines) == 1 and str(sandbox.uid) in lines[0], lines)


def log_in_as(uid):
    def change():
        with open("/proc/self/loginuid", "w", encoding="utf-8") as file:
            file.write(str(uid))
    return change


@row("behind")
def who_is_behind_root_is_not_root(world, sandbox, case):
    """X05: by sudo, su and the like nobody becomes the operator of the agents."""
    if sandbox.mode != "root":
        raise cases_agents.Skip("root is asked for")
    world.add_worker(case)
    case.code(world.berm("agent", "set", "worker", "--may-start", "none"), 0)
    case.that(world.supervise(), "it does not listen")
    call, environment = world.call("/bin/echo", "ran"), world.client_environment()
    # Root itself may, so that the rows below are about who is behind it.
    result = harness.run(call, env=environment)
    case.that(result.text == "ran\n", *result.describe())
    result = harness.run(call, env=dict(environment, SUDO_UID=str(sandbox.uid), SUDO_GID=str(sandbox.uid)))
    case.that(result.code == 126 and "without sudo" in result.errors, *result.describe())
    try:
        subprocess.run(["true"], preexec_fn=log_in_as(sandbox.uid), check=True)
    except subprocess.SubprocessError:
        raise cases_agents.Skip("nobody can log in here") from None
    result = harness.run(call, env=environment, preexec_fn=log_in_as(sandbox.uid))
    case.that(result.code == 126 and "without sudo" in result.errors, *result.describe())
    # A client that does not ask itself is told the same by the supervisor.
    script = "import array, os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(%r); " \
             "n = os.open('/dev/null', os.O_RDWR); s.sendmsg([%r], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, " \
             "array.array('i', [n, n, n, os.pipe()[0]]))]); print(s.recv(9999)); print(s.recv(9999))"
    script = script % (world.socket, request(run=run_of()))
    for change, words in ((log_in_as(sandbox.uid), "user %d may start" % sandbox.uid), (None, "b'\\\\x08\\\\x01\\*")):
        result = harness.run(["python3", "-c", script], env=environment, preexec_fn=change)
        case.that(result.code == 0 and re.search(words, result.text), words, *result.describe())
    case.that(os.path.exists(sandbox.ws + "/ran"), "root's own did not run")


def flood(world):
    """Without end: silence, packets that are costly to read, clients that die in the middle of anything."""
    good, costly = request(run=run_of()), request() + b"\x1a\x02\x12\x00" * 32000
    held = []
    for number in itertools.count():
        with contextlib.suppress(OSError):
            peer = connect(world.socket)
            packet = (costly, good[:number % len(good)], b"x", None)[number % 4]
            if packet:
                peer.send(packet)
            if number % 8 < 7:
                peer.close()
            else:
                held = [*held[-800:], peer]


def attack(world, count):
    """So many processes of the client's user."""
    attackers = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            try:
                if world.become():
                    world.become()()
                flood(world)
            finally:
                os._exit(0)
        attackers.append(child)
    return attackers


@row("flooded")
def an_operators_kill_waits_for_no_client(world, sandbox, case):
    """X04, X07: slow, dying and flooding clients; what is refused starts nothing and stays nowhere."""
    world.add_worker(case)
    case.that(world.supervise(), "it does not listen")
    before, slowest, kills = descriptors(world.process.pid), 0.0, []
    for number in range(3):
        # Whoever floods has no more requests, and these are the client's too.
        case.that(harness.wait_for(lambda: world.ask("/bin/true").code == 0, LONG), "it is not served again")
        client = world.start_client("/bin/sh", "-c", "echo > ready%d; exec sleep 600" % number)
        case.that(appears(sandbox, "ready%d" % number), "it did not begin")
        attackers = attack(world, 2)
        try:
            for _ in range(5 if sandbox.mode == "root" else 0):
                result = world.berm("supervise", "--status", "--socket", world.socket)
                slowest = max(slowest, result.seconds)
                case.code(result, 0)
            result = world.berm("kill", "agent:worker")
            case.code(result, 0)
            kills.append(result.seconds)
            # What was measured is what it says: they were at it until now.
            case.that(not any(os.waitpid(child, os.WNOHANG)[0] for child in attackers), "who floods has ended")
            allowed = harness.a_second(sandbox.berm)
        finally:
            for child in attackers:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
        client.communicate(timeout=LONG * harness.SLOWER)
        case.that(client.returncode == 137, client.returncode)
        case.that(slowest < allowed, "the operator waited %.2f s" % slowest)
        case.that(kills[-1] < allowed, "kill took %.2f s" % kills[-1])
    case.summary = "kill took %.0f ms at most, a status %.0f ms" % (max(kills) * 1000, slowest * 1000)
    case.that(not os.path.exists(sandbox.ws + "/ran"), "something ran")
    case.that(harness.wait_for(lambda: descriptors(world.process.pid) <= before, LONG), before)
    case.that(harness.wait_for(lambda: not sessions_of(world), LONG), sessions_of(world))
    case.that(harness.wait_for(lambda: world.status().get("runs") == 0, LONG) and world.show()["running"] == [],
              world.show()["running"])


def hierarchy():
    """Where cgroups of version 2 are."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        found = [line.split()[1] for line in file if line.split()[2] == "cgroup2"]
    return found[0] if found else ""


def cgroup_of(pid):
    with open("/proc/%d/cgroup" % pid, encoding="utf-8") as file:
        return [line.strip()[3:] for line in file if line.startswith("0::")][0]


@row("delegated")
def in_a_delegated_cgroup_it_takes_a_leaf(world, sandbox, case):
    """As a unit with Delegate= has it: no process in the cgroup itself, and runs beside the supervisor's leaf."""
    if sandbox.mode != "root" or not hierarchy():
        raise cases_agents.Skip("no cgroup to delegate")
    world.add_worker(case)
    outer = "%s/berm-test-slice-%d" % (hierarchy(), os.getpid())
    service = outer + "/berm.service"
    os.makedirs(service)
    name = service[len(hierarchy()):]
    try:
        os.setxattr(service, "trusted.delegate", b"1")

        def enter():
            with open(service + "/cgroup.procs", "w", encoding="utf-8") as file:
                file.write("0")

        case.that(world.supervise(preexec_fn=enter), "it does not listen")
        case.that(cgroup_of(world.process.pid) == name + "/supervisor", cgroup_of(world.process.pid))
        client = world.start_client("/bin/sh", "-c", "echo > ready; until [ -e go ]; do sleep 0.05; done")
        case.that(appears(sandbox, "ready"), "it did not begin")
        agent = world.show()["id"]
        run = [run for run in json.loads(world.berm("ps", "--json").text)["runs"] if run.get("agent_id") == agent][0]
        place = cgroup_of(children_of(run["pid"])[-1])
        # Where the cgroup has controllers to hand down the run's is beside the leaf, else beneath it.
        with open(service + "/cgroup.controllers", encoding="utf-8") as file:
            wanted = name + ("/" if file.read().strip() else "/supervisor/") + "berm-"
        case.that(place.startswith(wanted), place, wanted)
        # The next one finds its leaf, and takes nothing from the run.
        world.end(signal.SIGKILL)
        case.that(world.supervise(preexec_fn=enter), "the next one does not listen")
        case.that(cgroup_of(world.process.pid) == name + "/supervisor", cgroup_of(world.process.pid))
        sandbox.file("go", "")
        client.communicate(timeout=LONG * harness.SLOWER)
        case.that(client.returncode == 0, client.returncode)
        world.end()
    finally:
        for process in world.processes:
            harness.stop(process)
        cases_agents.inventory.end_recorders(world.state)
        for directory in (service + "/supervisor", service, outer):
            harness.wait_for(lambda directory=directory: remove(directory), LONG)
    case.that(not os.path.exists(outer), "it left cgroups")


def remove(directory):
    with contextlib.suppress(FileNotFoundError):
        try:
            os.rmdir(directory)
        except OSError:
            return False
    return True


def children_of(pid):
    """The process and all beneath it, the youngest last."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError), open("/proc/%d/task/%d/children" % (one, one), encoding="utf-8") as file:
            found.extend(int(word) for word in file.read().split())
    return found


ROWS = [
    ("what a client sends is never the supervisor's to close", what_a_client_sends_is_never_the_supervisors_to_close),
    ("without a process to close connections nothing is closed", without_a_process_to_close_nothing_is_closed),
    ("a client cannot stop its own watchman", a_client_cannot_stop_its_own_watchman),
    ("a connection that was handed over costs nothing", a_connection_that_was_handed_over_costs_nothing),
    ("strangers write nothing into the log", strangers_write_nothing_into_the_log),
    ("who is behind root is not root", who_is_behind_root_is_not_root),
    ("an operator's kill waits for no client", an_operators_kill_waits_for_no_client),
    ("in a delegated cgroup it takes a leaf", in_a_delegated_cgroup_it_takes_a_leaf),
]
