# SPDX-License-Identifier: Apache-2.0
"""The kill switch: a process, a socket and a key of its own. It works while what it ends is stopped, and nobody but who
may makes it work."""
import array
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import cases_emergency
import cases_halt
import cases_record
import harness
from sandbox import Skip

ORDER_BYTES = 432
STRANGER = 54331


class Switch:
    def __init__(self, world, case):
        self.world, self.case = world, case
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.world.sandbox.berm, "killswitch", "serve"], env=self.world.environment(),
                                        cwd="/", stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.case.that(b"ready" in self.process.stderr.readline(), "it does not serve")

    def send(self, *words, timeout=60):
        return self.world.berm("killswitch", "send", *words, timeout=timeout)

    def front(self):
        """The process that talks to clients."""
        wanted = b"berm\0--role=kill-front\0%s\0" % os.fsencode(self.world.state)
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % name, "rb") as file:
                    if file.read() == wanted:
                        return int(name)
            except OSError:
                pass
        return None

    def path(self):
        places = ["/run/berm"] if os.geteuid() == 0 else []
        runtime = self.world.environment().get("XDG_RUNTIME_DIR")
        places += [runtime + "/berm"] if runtime else []
        places.append("/tmp/berm-%d" % os.geteuid())
        return [place + "/kill.sock" for place in places if os.path.exists(place + "/kill.sock")][0]

    def journal(self):
        with open(self.world.state + "/kill.log", encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.strip()]

    def lines(self):
        """Of its own file, which it may be writing to."""
        with open(self.world.state + "/kill.log", encoding="utf-8") as file:
            return [line for line in file if line.endswith("}\n")]

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.communicate(timeout=30 * harness.SLOWER)
        return self.process.returncode


def row(name):
    """With a kill switch that is ended whatever comes of the row."""
    def wrap(function):
        def judged(world, sandbox, case):
            switch = Switch(world, case)
            try:
                function(world, sandbox, case, switch)
            finally:
                if switch.process.poll() is None:
                    switch.stop()
        return cases_halt.row("switch-" + name)(judged)
    return wrap


def recorders(state):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % name, "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if words[1:3] == [b"--role=recorder", os.fsencode(state)]:
            found.append(int(name))
    return found


def kills_in_log(world):
    lines = [json.loads(line)["record"] for line in world.berm("log", "--json").text.splitlines()]
    return [line["kill"] for line in lines if "kill" in line]


@row("stopped")
def it_needs_nobody(world, sandbox, case, switch):
    """The run's berm and the recorder are stopped, and the lock of the state directory is held."""
    case.code(world.add("worker"), 0)
    process = cases_emergency.begin(world, case, "worker", 0)
    stopped = []
    try:
        stopped = [process.pid] + recorders(world.state)
        case.that(len(stopped) == 2, "no recorder", stopped)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        begun = time.monotonic()
        result = switch.send("--json", "--reason", "odd\u00e4", "agent:worker")
        took = time.monotonic() - begun
        after = cases_emergency.size(world, 0)
        case.code(result, 0)
        told = json.loads(result.text)
        case.that((told["result"], told["gone"], told["left"]) == ("done", 1, 0), told)
        case.that(told["t_boot_ns"] > told["asked_boot_ns"], told)
        case.that(harness.wait_for(lambda: len(switch.journal()) == 1, 60), "nothing in its own file")
        line = switch.journal()[0]
        case.that(not line["recorded"] and line["t_boot_ns"] == told["t_boot_ns"] and line["gone"] == 1, line)
        case.that(os.listdir(world.state + "/kills.pending") != [], "nothing is kept for the log")
        case.that(cases_emergency.size(world, 0) == after, "the tool went on")
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        case.that(process.wait(30 * harness.SLOWER) == 137, process.returncode)
        case.that(harness.wait_for(lambda: os.listdir(world.state + "/kills.pending") == [], 60), "it stays unrecorded")
        killed = kills_in_log(world)
        # The recorder that was stopped may have had it too, without an answer.
        case.that({one["gone_boot_ns"] for one in killed} == {told["t_boot_ns"]}, killed, told)
        case.that("kill switch: uid" in killed[0]["by"], killed)
    finally:
        for pid in stopped:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        cases_emergency.finish(world, [process])
    case.summary = "answered after %.0f ms" % (took * 1000)


def list_key(world, case, role):
    key = world.state + "/../%s.kill-key" % os.path.basename(world.state)
    if not os.path.exists(key):
        made = world.berm("pace", "key", key)
        case.code(made, 0)
        with open(key + ".pub", "w", encoding="ascii") as file:
            file.write(made.text.strip())
    with open(key + ".pub", encoding="ascii") as file:
        public = file.read()
    with open(world.state + "/authority.yaml", "w", encoding="utf-8") as file:
        file.write("version: 1\nkeys:\n  - {name: alice, key: %s, roles: [%s]}\npeople:\n"
                   "  - {name: bob, uid: %d, roles: [operator]}\n" % (public, role, os.geteuid()))
    os.chmod(world.state + "/authority.yaml", 0o600)
    return key


def sign(world, case, key, name, *words):
    path = "%s.%s" % (key, name)
    case.code(world.berm("killswitch", "sign", "--key", key, "--out", path, *words), 0)
    return path


@row("signed")
def an_order_is_signed_and_holds_once(world, sandbox, case, switch):
    case.code(world.add("worker", "--running", "3"), 0)
    key = list_key(world, case, "operator")
    switch.stop()
    switch.start()
    processes = []
    try:
        processes = [cases_emergency.begin(world, case, "worker", 0)]
        order = sign(world, case, key, "operators", "agent:worker")
        result = switch.send("--order", order)
        case.that(result.code == 1 and "without the role" in result.errors, *result.describe())
        list_key(world, case, "kill-key")
        switch.stop()
        switch.start()
        with open(order, encoding="ascii") as file:
            text = file.read()
        forged = order + ".forged"
        with open(forged, "w", encoding="ascii") as file:
            file.write(text[:-2] + ("0" if text[-2] != "0" else "1") + "\n")
        result = switch.send("--order", forged)
        case.that(result.code == 1 and "not one of this key" in result.errors, *result.describe())
        case.that(processes[0].poll() is None, "a forged order was followed")
        case.code(switch.send("--order", key), 2)
        result = switch.send("--order", order)
        after = cases_emergency.size(world, 0)
        case.that(result.code == 0 and "1 gone, 0 left" in result.text, *result.describe())
        case.that(processes[0].wait(30 * harness.SLOWER) == 137, processes[0].returncode)
        case.that(cases_emergency.size(world, 0) == after, "the tool went on")
        # Nothing of it can be used again, neither at once nor by a kill switch that was started anew.
        processes.append(cases_emergency.begin(world, case, "worker", 1))
        for again in (False, True):
            if again:
                case.that(switch.stop(signal.SIGKILL) == -9, "killed")
                switch.start()
            result = switch.send("--order", order)
            case.that(result.code == 1 and "followed before" in result.errors, *result.describe())
        case.that(processes[1].poll() is None, "an order was followed twice")
        case.that(any("kill switch: key alice" in one["by"] for one in kills_in_log(world)), kills_in_log(world))
    finally:
        cases_emergency.finish(world, processes)


def connect(path):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.settimeout(20 * harness.SLOWER)
    client.connect(path)
    return client


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


@row("hostile")
def nobody_else_is_heard_and_nobody_delays(world, sandbox, case, switch):
    """Wrong packets, descriptors, silence and more connections than there are places."""
    case.code(world.add("worker"), 0)
    process = cases_emergency.begin(world, case, "worker", 0)
    path, held = switch.path(), []
    try:
        case.that(harness.wait_for(switch.front, 20), "no front")
        front, lingering = switch.front(), socket.socketpair()
        usual = descriptors(front) if sandbox.mode != "user" else 0  # else nobody may look into it
        for packet in (b"x", b"", b"\0" * ORDER_BYTES, b"\xff" * ORDER_BYTES, b"bermkill\x02" + b"\0" * 500):
            with connect(path) as client:
                client.send(packet)
                said = client.recv(1000)
                case.that(said == b"" or b"no order" in said, packet[:20], said)
        for _ in range(40):
            client = connect(path)
            rights = array.array("i", [lingering[0].fileno()] * 3)
            try:
                client.sendmsg([b"x" * ORDER_BYTES], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            except OSError:
                pass
            client.close()
        for _ in range(300):
            held.append(connect(path))
        begun = time.monotonic()
        result = switch.send("--json", "agent:worker")
        took = time.monotonic() - begun
        case.that(result.code == 0 and json.loads(result.text)["gone"] == 1, *result.describe())
        case.that(took < harness.a_second(sandbox.berm), "%.2f s" % took)
        for client in held:
            client.close()
        held = []
        # One that lived for a minute is replaced, and has no descriptors of others at all.
        if usual and os.path.exists("/proc/%d" % front):
            case.that(harness.wait_for(lambda: descriptors(front) <= usual + 2, 20), "descriptors of clients are kept")
        lingering[0].close()
        case.that(process.wait(30 * harness.SLOWER) == 137, process.returncode)
    finally:
        for client in held:
            client.close()
        cases_emergency.finish(world, [process])
    case.summary = "%.0f ms with 300 who say nothing" % (took * 1000)


@row("stranger")
def a_stranger_floods_and_is_refused(world, sandbox, case, switch):
    if sandbox.mode != "root":
        raise Skip("needs two users")
    case.code(world.add("worker"), 0)
    process = cases_emergency.begin(world, case, "worker", 0)
    as_stranger = ["setpriv", "--reuid=%d" % STRANGER, "--regid=%d" % STRANGER, "--clear-groups"]
    script = "import socket,sys,time\nheld=[]\nend=time.monotonic()+120\nprint('on',flush=True)\n" \
        "while time.monotonic()<end:\n c=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n try:\n" \
        "  c.connect(sys.argv[1]);c.send(b'bermkill\\x02'+b'\\0'*423)\n except OSError: pass\n" \
        " held=held[-400:]+[c]\n"
    floods = []
    try:
        env = {"HOME": "/nonexistent", "PATH": os.environ["PATH"]}
        result = harness.run(as_stranger + [sandbox.berm, "killswitch", "send", "agent:worker"], env=env, cwd="/")
        case.that(result.code == 1 and "only the owner" in result.errors, *result.describe())
        floods = [subprocess.Popen(as_stranger + ["python3", "-c", script, switch.path()], stdout=subprocess.PIPE,
                                   cwd="/") for _ in range(4)]
        for flood in floods:
            flood.stdout.readline()
        case.that(process.poll() is None, "a stranger killed")
        begun = time.monotonic()
        result = switch.send("--json", "agent:worker")
        took = time.monotonic() - begun
        case.that(result.code == 0 and json.loads(result.text)["gone"] == 1, *result.describe())
        case.that(all(flood.poll() is None for flood in floods), "who floods has ended")
        case.that(took < harness.a_second(sandbox.berm), "%.2f s" % took)
        case.that(process.wait(30 * harness.SLOWER) == 137, process.returncode)
    finally:
        for flood in floods:
            flood.kill()
            flood.communicate()
        cases_emergency.finish(world, [process])
    case.summary = "%.0f ms under four floods" % (took * 1000)


@row("front")
def a_front_that_hangs_or_dies_is_replaced(world, sandbox, case, switch):
    case.that(harness.wait_for(switch.front, 20), "no front")
    result = switch.send("run:0")
    case.that(result.code == 2 and "whole" in result.errors, *result.describe())
    for number in (signal.SIGKILL, signal.SIGSTOP):
        before = switch.front()
        os.kill(before, number)
        result = switch.send("--json", "run:" + 26 * "Z")
        case.that(result.code in (1, 3), *result.describe())
        case.that(harness.wait_for(lambda old=before: switch.front() not in (None, old), 30), "no other front")
    other = world.berm("killswitch", "serve")
    case.that(other.code == 1 and "runs here already" in other.errors, *other.describe())
    case.that(switch.stop() == 0, switch.process.returncode)
    cases_record.wait_for(case, "the end of the front", lambda: switch.front() is None, 20)
    result = switch.send("agent:worker")
    case.that(result.code == 2 and "no kill switch runs here" in result.errors, *result.describe())


class Beginning:
    """A run that begins and never gets there: whoever is to kill it waits a second for it."""
    ID = "0" + 25 * "Z"

    def __init__(self, switch):
        self.path = "%s/runs/%s.sock" % (os.path.dirname(switch.path()), self.ID)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen(100)

    def close(self):
        self.listener.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


@row("slow")
def nobody_waits_for_somebody_elses_deed(world, sandbox, case, switch):
    """Orders that take a second each, and one that does not."""
    case.code(world.add("worker"), 0)
    process = cases_emergency.begin(world, case, "worker", 0)
    beginning, slow = Beginning(switch), []
    command = [sandbox.berm, "killswitch", "send", "--json"]
    try:
        slow = [subprocess.Popen([*command, "run:" + Beginning.ID], env=world.environment(), stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE) for _ in range(6)]
        case.that(harness.wait_for(lambda: copies(switch) == 6 or any(one.poll() is not None for one in slow), 20),
                  "no six deeds at once", copies(switch))
        result = switch.send("--json", "agent:worker")
        case.that(result.code == 0 and json.loads(result.text)["gone"] == 1, *result.describe())
        for one in slow:
            out, _ = one.communicate(timeout=60 * harness.SLOWER)
            told = json.loads(out)
            case.that((one.returncode, told["result"], told["left"]) == (1, "left", 1), one.returncode, told)
        case.that(result.seconds < harness.a_second(sandbox.berm), "%.2f s" % result.seconds)
        case.that(process.wait(30 * harness.SLOWER) == 137, process.returncode)
    finally:
        beginning.close()
        for one in slow:
            harness.stop(one)
            one.stdout.close()
            one.stderr.close()
        cases_emergency.finish(world, [process])
    case.summary = "%.0f ms among six that take a second" % (result.seconds * 1000)


def copies(switch):
    with contextlib.suppress(OSError), open("/proc/%d/task/%d/children" % ((switch.process.pid,) * 2),
                                            encoding="ascii") as file:
        return len(file.read().split())
    return 0


@row("crash")
def an_order_is_used_whatever_is_written_later(world, sandbox, case, switch):
    """Who crashes before the log has it, has it as used all the same; and a key that was taken away holds no more."""
    case.code(world.add("worker", "--running", "3"), 0)
    key = list_key(world, case, "kill-key")
    switch.stop()
    switch.start()
    processes, stopped = [cases_emergency.begin(world, case, "worker", 0)], []
    try:
        order = sign(world, case, key, "crash", "agent:worker")
        stopped = recorders(world.state)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        result = switch.send("--json", "--order", order)
        case.that(result.code == 0 and json.loads(result.text)["gone"] == 1, *result.describe())
        case.that(harness.wait_for(lambda: os.path.getsize(world.state + "/kill.log") > 0, 3), "nothing is written")
        case.that(not any("recorded" in line for line in switch.journal()), switch.journal())
        for pid in [int(word) for word in children(switch.process.pid)]:
            os.kill(pid, signal.SIGKILL)
        case.that(switch.stop(signal.SIGKILL) == -9, "killed")
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        switch.start()
        processes.append(cases_emergency.begin(world, case, "worker", 1))
        result = switch.send("--order", order)
        case.that(result.code == 1 and "followed before" in result.errors, *result.describe())
        # Who talks to clients has read the file before.
        case.that(harness.wait_for(switch.front, 20), "no front")
        late = sign(world, case, key, "late", "agent:worker")
        list_key(world, case, "operator")
        result = switch.send("--order", late)
        case.that(result.code == 1 and "without the role" in result.errors, *result.describe())
        case.that(processes[1].poll() is None, "a key that is none any more was followed")
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        cases_emergency.finish(world, processes)


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
        return file.read().split()


@row("moved")
def a_group_is_what_its_runs_began_in(world, sandbox, case, switch):
    """The file of its last agent is gone, and an agent that cannot be read is told."""
    cases_emergency.make(world, case, "worker")
    cases_emergency.make(world, case, "other", name="shop")
    processes = []
    try:
        processes = [cases_emergency.begin(world, case, "worker", 0)]
        os.rename(world.state + "/agents/worker", world.state + "/worker.away")
        result = switch.send("--json", "group:crew")
        case.that(result.code == 0 and json.loads(result.text)["gone"] == 1, *result.describe())
        case.that(processes[0].wait(30 * harness.SLOWER) == 137, processes[0].returncode)
        result = switch.send("group:crew")
        case.that(result.code == 3 and "no agent is in a group" in result.errors, *result.describe())
        processes.append(cases_emergency.begin(world, case, "other", 1))
        with open(world.state + "/agents/worker", "wb") as file:
            file.write(b"\xff" * 20)
        result = switch.send("--json", "group:shop")
        case.that(result.code == 1 and json.loads(result.text)["gone"] == 1, *result.describe())
        case.that("there may be more" in result.errors, *result.describe())
        case.that(processes[1].wait(30 * harness.SLOWER) == 137, processes[1].returncode)
    finally:
        cases_emergency.finish(world, processes)


@row("bound")
def an_order_is_for_one_state_directory(world, sandbox, case, switch):
    """Another one has an agent of the same name, and the same key."""
    case.code(world.add("worker"), 0)
    other = world.state + "-other"
    os.makedirs(other, 0o700, exist_ok=True)
    key = list_key(world, case, "kill-key")
    switch.stop()
    switch.start()
    process = cases_emergency.begin(world, case, "worker", 0)
    try:
        result = switch.send("--state-dir", other, "agent:worker")
        case.that(result.code == 2 and "no kill switch has served" in result.errors, *result.describe())
        with open(other + "/kill.id", "wb") as file:
            file.write(os.urandom(32))
        os.chmod(other + "/kill.id", 0o600)
        words = [world.berm("killswitch", "id", "--state-dir", state).text.strip() for state in (world.state, other)]
        case.that(len(set(words)) == 2 and all(len(word) == 32 for word in words), words)
        theirs = sign(world, case, key, "theirs", "--for", words[1], "--all")
        for order in (("--state-dir", other, "agent:worker"), ("--state-dir", other, "--all"), ("--order", theirs)):
            result = switch.send(*order)
            case.that(result.code == 1 and "another state directory or host" in result.errors, *result.describe())
        case.that(process.poll() is None, "an order for another state directory was followed")
        case.code(world.berm("killswitch", "sign", "--key", key, "--for", words[0][:-1], "--all"), 2)
        case.code(world.berm("killswitch", "sign", "--key", key, "--for", 32 * "0", "--all"), 2)
        result = switch.send("--order", sign(world, case, key, "ours", "--for", words[0], "agent:worker"))
        case.that(result.code == 0 and "1 gone" in result.text, *result.describe())
        case.that(process.wait(30 * harness.SLOWER) == 137, process.returncode)
    finally:
        cases_emergency.finish(world, [process])
        shutil.rmtree(other)


ROWS = [
    ("the kill switch needs nobody", it_needs_nobody),
    ("a signed order to the kill switch holds once", an_order_is_signed_and_holds_once),
    ("nobody else is heard by the kill switch, and nobody delays it", nobody_else_is_heard_and_nobody_delays),
    ("a stranger floods the kill switch and is refused", a_stranger_floods_and_is_refused),
    ("an order to the kill switch is for one state directory", an_order_is_for_one_state_directory),
    ("an order to the kill switch waits for no other", nobody_waits_for_somebody_elses_deed),
    ("an order to the kill switch is used whatever crashes", an_order_is_used_whatever_is_written_later),
    ("a group that the kill switch is told is what its runs began in", a_group_is_what_its_runs_began_in),
    ("a front of the kill switch that hangs or dies is replaced", a_front_that_hangs_or_dies_is_replaced),
]
