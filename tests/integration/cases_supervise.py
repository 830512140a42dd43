# SPDX-License-Identifier: Apache-2.0
"""berm supervise: runs of agents for others, over a socket that anybody may come to."""
import json
import os
import resource
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading

import cases_agents
import harness
from supervisor_wire import LONG, connect, field, raw, raw_run, request, run_of, signals_pipe
import inventory

CLIENT_MAX = 16


class Supervised(cases_agents.World):
    """A state directory with one agent that the tests' user may start, and a supervisor for it."""

    def __init__(self, sandbox, name):
        super().__init__(sandbox, "supervise-" + name)
        self.socket = sandbox.top + "/supervise-%s.sock" % name
        self.errors = sandbox.top + "/supervise-%s.errors" % name
        self.process = None
        self.processes = []

    def add_worker(self, case, *options):
        case.code(self.add("worker", "--may-start", str(self.sandbox.uid), "--cooldown", "none", *options), 0)

    def supervisor_command(self):
        return [self.sandbox.berm, "supervise", "--socket", self.socket]

    def supervise(self, **popen):
        """Start one and wait until it listens."""
        command = self.supervisor_command()
        with open(self.errors, "ab") as errors:
            self.process = subprocess.Popen(command, env=self.environment(), cwd=self.sandbox.ws, stderr=errors,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **popen)
        self.processes.append(self.process)
        return harness.wait_for(lambda: self.status().get("pid") == self.process.pid, LONG)

    def status(self):
        result = self.berm("supervise", "--status", "--json", "--socket", self.socket)
        return json.loads(result.text) if result.code == 0 else {}

    def client_environment(self, **more):
        return dict({"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": self.sandbox.home}, **more)

    def become(self):
        return harness.become(self.sandbox.uid) if self.sandbox.mode == "root" else None

    def call(self, *tool, options=(), agent="worker"):
        return [self.sandbox.berm, "run", "--socket", self.socket, "--agent", agent, *options, "--", *tool]

    def ask(self, *tool, options=(), agent="worker", env=None, **popen):
        popen.setdefault("preexec_fn", self.become())
        return harness.run(self.call(*tool, options=options, agent=agent), env=self.client_environment(**(env or {})),
                           cwd=self.sandbox.home, **popen)

    def start_client(self, *tool, agent="worker", **popen):
        popen.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(self.call(*tool, agent=agent), env=self.client_environment(), cwd=self.sandbox.home,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=self.become(), **popen)
        self.processes.append(process)
        return process

    def end(self, number=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(timeout=LONG * harness.SLOWER)

    def close(self):
        for process in self.processes:
            harness.stop(process)
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
        for path in (self.socket, self.socket + ".lock", self.errors):
            if os.path.lexists(path):
                os.unlink(path)
        super().close()


def row(name):
    def wrap(function):
        def judged(sandbox, case):
            world = Supervised(sandbox, name)
            try:
                function(world, sandbox, case)
            finally:
                world.close()
        return judged
    return wrap


def has(path, what="", begin=0):
    try:
        with open(path, encoding="utf-8") as file:
            file.seek(begin)
            return what in file.read()
    except OSError:
        return False


class as_user:
    """The same process with another effective user, for sockets that it opens."""

    def __init__(self, world):
        self.uid = world.sandbox.uid if world.sandbox.mode == "root" else None

    def __enter__(self):
        if self.uid is not None:
            os.setegid(self.uid)
            os.seteuid(self.uid)

    def __exit__(self, *_):
        if self.uid is not None:
            os.seteuid(0)
            os.setegid(0)


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


# ---- rows ----

@row("run")
def an_agent_runs_for_somebody_else(world, sandbox, case):
    world.add_worker(case)
    case.that(world.supervise(), "it does not listen")
    script = "id -u; pwd; echo \"${CLIENTS_OWN:-none}\"; ulimit -n; touch made; cat; echo told >&2; exit 7"

    def odd():
        os.umask(0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (77, 77))
        if world.become():
            world.become()()

    source, target = sandbox.home + "/source", sandbox.home + "/target"
    sandbox.write_text(source, "through a file\n")
    with open(source, "rb") as file, open(target, "wb") as out:
        result = world.ask("/bin/sh", "-c", script, stdin=file, stdout=out, preexec_fn=odd,
                           env={"CLIENTS_OWN": "x", "SUDO_UID": "0", "BERM_STATE_DIR": "/nonexistent"})
    case.code(result, 7)
    case.that(result.errors == "told\n", *result.describe())
    with open(target, encoding="utf-8") as file:
        told = file.read().splitlines()
    uid = "1000" if sandbox.mode == "userns" else str(sandbox.uid)
    case.that(told[:3] == [uid, sandbox.ws, "none"] and told[3] != "77" and told[4:] == ["through a file"], told)
    case.that(stat.S_IMODE(os.stat(sandbox.ws + "/made").st_mode) == 0o644, "the client's umask counts")
    # To pipes and to one file for both, in order.
    case.that(world.ask("/bin/sh", "-c", "echo out").text == "out\n", "no output")
    with open(target, "wb") as out:
        case.code(world.ask("/bin/sh", "-c", "for i in 1 2 3; do echo o$i; echo e$i >&2; done", stdout=out,
                            stderr=subprocess.STDOUT), 0)
    case.that(has(target, "o1\ne1\no2\ne2\no3\ne3\n"), open(target, encoding="utf-8").read())
    big = sandbox.home + "/big"
    with open(big, "wb") as file:
        file.write(os.urandom(1 << 20) * 3)
    with open(big, "rb") as file, open(target, "wb") as out:
        case.code(world.ask("/bin/cat", stdin=file, stdout=out), 0)
    case.that(open(big, "rb").read() == open(target, "rb").read(), "bytes were lost on the way")
    log = world.berm("log", "--json").text
    case.that('"caller_uid":%d,' % sandbox.uid in log.replace(" ", ""), log[-300:])
    case.that(harness.wait_for(lambda: world.status().get("runs") == 0, LONG), world.status())
    case.that(world.show()["running"] == [], world.show())


@row("words")
def its_words_are_those_of_berm_run(world, sandbox, case):
    world.add_worker(case)
    case.that(world.supervise(), "it does not listen")
    reader, writer = os.pipe()
    result = world.ask("/bin/sh", "-c", "kill -9 $$", options=["--status-fd", str(writer)], pass_fds=(writer,))
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        record = json.loads(file.read())
    case.that(result.code == 137 and record["outcome"] == "signaled" and record["agent"] == "worker" and
              record["code"] == 137, record, *result.describe())
    case.that(world.ask("no-such-command-here").code == 127, "not found")
    case.that(world.ask("/bin/sleep", "60", options=["--timeout", "300ms"]).code == 124, "time limit")
    result = world.ask("true", agent="nobody-has-this")
    wanted = (126, "there is no agent") if sandbox.mode == "root" else (2, "no agent is called")
    case.that(result.code == wanted[0] and wanted[1] in result.errors, *result.describe())
    for options in (["-C", "/"], ["--env", "A=b"], ["--allow-degraded=bpf"], ["--ceiling", world.profile],
                    ["--state-dir", world.state]):
        result = world.ask("true", options=options)
        case.that(result.code == 2 and "through a supervisor" in result.errors, options, *result.describe())
    case.code(world.berm("agent", "set", "worker", "-C", "none"), 0)
    result = world.ask("true")
    case.that(result.code == 126 and "no directory of its own" in result.errors, *result.describe())
    world.berm("agent", "set", "worker", "-C", sandbox.ws)
    if sandbox.mode == "root":
        case.code(world.berm("agent", "set", "worker", "--may-start", "none"), 0)
        result = world.ask("true")
        case.that(result.code == 126 and "may_start" in result.errors, *result.describe())
    world.end()
    result = world.ask("true")
    case.that(result.code == 125 and "no supervisor answers" in result.errors, *result.describe())
    case.that(world.process.returncode == 0 and not os.path.exists(world.socket), world.process.returncode)


@row("signals")
def signals_arrive_and_a_clients_end_is_the_runs(world, sandbox, case):
    world.add_worker(case)
    case.that(world.supervise(), "it does not listen")
    ready = sandbox.ws + "/ready"
    for number, word in ((signal.SIGTERM, "term"), (signal.SIGINT, "int"), (signal.SIGUSR1, "usr1")):
        # Another command each time: one that failed may not be tried again at once.
        client = world.start_client("/bin/sh", "-c", ": %s; trap 'echo term; exit 1' TERM; "
                                    "trap 'echo int; exit 2' INT; "
                                    "trap 'echo usr1; exit 3' USR1; echo > ready; while :; do sleep 0.05; done" % word)
        case.that(harness.wait_for(lambda: os.path.exists(ready), LONG), word, "it did not begin")
        client.send_signal(number)
        out, errors = client.communicate(timeout=LONG * harness.SLOWER)
        case.that(out.decode().split() == [word] and client.returncode in (1, 2, 3), word, out, errors)
        os.unlink(ready)
    # Deaf to all that can be heard, and its client is killed.
    client = world.start_client("/bin/sh", "-c", "trap '' INT TERM HUP; echo > ready; while :; do sleep 0.05; done")
    case.that(harness.wait_for(lambda: os.path.exists(ready), LONG), "it did not begin")
    case.that(world.status().get("runs") == 1, world.status())
    client.kill()
    client.communicate(timeout=LONG * harness.SLOWER)
    case.that(harness.wait_for(lambda: world.status().get("runs") == 0, LONG), "it outlives its client", world.status())
    case.that(harness.wait_for(lambda: world.show()["running"] == [], LONG), world.show())


@row("held")
def a_held_run_is_taken_back_with_its_client(world, sandbox, case):
    """Other signals end no question; nobody needs to answer it after the client."""
    world.profile = sandbox.write_profile("supervise-held", "blast_radius: {files_changed: 5}\n"
                                          "approvals: {on: [run], timeout: 300s}\n" + cases_agents.BREAKER)
    os.chmod(world.profile, 0o644)
    world.add_worker(case)
    case.that(world.supervise(), "it does not listen")

    def asked():
        return json.loads(world.berm("approvals", "--json").text)["approvals"]
    for number, began in ((None, b"began\n"), (signal.SIGTERM, b""), (signal.SIGKILL, b"")):
        client = world.start_client("/bin/echo", "began")
        case.that(harness.wait_for(asked, LONG), number, "nobody is asked")
        client.send_signal(signal.SIGUSR1)
        client.send_signal(signal.SIGWINCH)
        if number is None:
            case.code(world.berm("approve", asked()[0]["id"]), 0)
        else:
            client.send_signal(number)
        out, errors = client.communicate(timeout=LONG * harness.SLOWER)
        case.that(out == began and (client.returncode == 0) == bool(began), number, out, errors)
        case.that(harness.wait_for(lambda: not asked(), LONG), number, "still asked")
        case.that(harness.wait_for(lambda: world.show()["running"] == [], LONG), number, world.show())


@row("lives")
def runs_outlive_the_supervisor(world, sandbox, case):
    """Killed and started anew while a run lasts: it goes on, is counted, and its client gets its end."""
    world.add_worker(case)
    case.that(world.supervise(), "it does not listen")
    first = world.process
    client = world.start_client("/bin/sh", "-c", "echo > ready; until [ -e go ]; do sleep 0.05; done; echo done; "
                                "exit 5")
    case.that(harness.wait_for(lambda: os.path.exists(sandbox.ws + "/ready"), LONG), "it did not begin")
    # A second one is refused while the first lives, also at another place.
    for path in (world.socket, world.socket + ".other"):
        result = world.berm("supervise", "--socket", path)
        case.that(result.code == 1 and "supervisor already" in result.errors and str(first.pid) in result.errors,
                  *result.describe())
    for number in (signal.SIGKILL, signal.SIGTERM):
        world.end(number)
        case.that(client.poll() is None, "its client did not go on")
        case.that(world.supervise(), "the next one does not listen")
        told = world.status()
        case.that(told.get("runs") == 1 and told.get("adopted") == 1, told)
    case.that(world.ask("/bin/sh", "-c", "echo beside").text == "beside\n", "the next one starts nothing")
    sandbox.file("go", "")
    out, errors = client.communicate(timeout=LONG * harness.SLOWER)
    case.that(client.returncode == 5 and out == b"done\n", client.returncode, out, errors)
    case.that(harness.wait_for(lambda: world.status().get("runs") == 0, LONG), world.status())


@row("types")
def only_plain_descriptors_are_taken(world, sandbox, case):
    """X08: whatever else comes is closed, and nothing starts."""
    world.add_worker(case)
    case.that(world.supervise(), "it does not listen")
    pid, null = world.process.pid, os.open("/dev/null", os.O_RDWR)
    reader, writer = os.pipe()
    pair = socket.socketpair()
    memory = os.memfd_create("x")
    path = os.open("/", os.O_PATH)
    odd = {"directory": os.open("/", os.O_RDONLY), "O_PATH": path, "socket": pair[0].fileno(), "memfd": memory,
           "file": os.open("/etc/passwd", os.O_RDONLY), "not for reading": writer}
    before = descriptors(pid)
    good = request(run=run_of())
    with as_user(world):
        for name, fd in odd.items():
            case.that(b"stdin is no pipe" in raw_run(world.socket, good, [fd, null, null]), name)
        for fd in (odd["directory"], path, odd["socket"], memory, reader):
            case.that(b"stdout is no pipe" in raw_run(world.socket, good, [null, fd, null]), fd)
        case.that(b"stderr is no pipe" in raw_run(world.socket, good, [null, null, odd["file"]]), "stderr")
        for fd in (odd["directory"], null, odd["socket"], memory, writer):
            case.that(b"signals come through no pipe" in raw(world.socket, good, [null] * 3 + [fd]), fd)
        case.that(b"come four descriptors" in raw(world.socket, good), "none")
        for count in (1, 3):
            case.that(b"come 4 descriptors" in raw(world.socket, good, [null] * count), count)
        for count in (5, 253):
            case.that(b"this is no request" in raw(world.socket, good, [null] * count), count)
    case.that(b"come no descriptors" in raw(world.socket, request(kind=2), [null]), "a status with a descriptor")
    case.that(not os.path.exists(sandbox.ws + "/ran"), "something ran")
    case.that(harness.wait_for(lambda: descriptors(pid) <= before, LONG), before, descriptors(pid))
    # The same without any of that runs.
    with as_user(world):
        raw_run(world.socket, good, [null] * 3)
    case.that(os.path.exists(sandbox.ws + "/ran"), "nothing runs at all")
    for fd in (null, reader, writer, memory, path, odd["directory"], odd["file"]):
        os.close(fd)
    for end in pair:
        end.close()


@row("frames")
def what_is_no_request_is_refused(world, sandbox, case):
    """X04, X14: cut at each byte, other versions, other types, more than there should be."""
    world.add_worker(case)
    case.that(world.supervise(), "it does not listen")
    null = os.open("/dev/null", os.O_RDWR)
    good = request(run=run_of())
    before = descriptors(world.process.pid)
    packets = [good[:length] for length in range(1, len(good))]
    packets += [good + b"\0", good + field(9, b"more"), good + good, request(version=0, run=run_of()),
                request(version=2, run=run_of()), request(kind=0, run=run_of()), request(kind=3), request(kind=200),
                request(kind=2, run=run_of()), request(run=run_of() + field(20, 1)), request(run=run_of(agent=b"../x")),
                request(run=run_of(agent=b"work\0er")), request(run=run_of(agent=b"")), request(run=run_of(argv=())),
                request(run=run_of(argv=(b"",))), request(run=run_of(argv=[b"x"] * 5000)),
                request(run=run_of(task=b"Not A Task")), request(run=run_of(task=b"x" * 65)), b"\xff" * 100,
                field(2, 1) + field(1, 1) + field(3, run_of()), good + b"x" * 140000]
    for number, packet in enumerate(packets):
        with as_user(world):
            answer = raw(world.socket, packet, [null] * 4)
        case.that(answer and answer[:3] == b"\x08\x01\x10", number, answer[:80])
    with as_user(world):
        for _ in range(30):
            with connect(world.socket) as peer:
                peer.send(good[:20])
    # The user's own are too many until those are seen to be gone.
    case.that(harness.wait_for(lambda: world.status().get("runs") == 0, LONG), world.status())
    case.that(not os.path.exists(sandbox.ws + "/ran"), "it ran")
    case.that(harness.wait_for(lambda: descriptors(world.process.pid) <= before, LONG), before)
    case.that(world.status()["refused"] >= len(packets), world.status(), len(packets))
    os.close(null)


@row("flood")
def who_floods_delays_nobody_else(world, sandbox, case):
    """X07: silent connections up to the limit and a flood of others; who is somebody else is served."""
    world.add_worker(case)
    case.that(world.supervise(), "it does not listen")
    with as_user(world):
        silent = [connect(world.socket) for _ in range(CLIENT_MAX + 4)]
    refused = 0
    for peer in silent[CLIENT_MAX:]:
        try:
            refused += b"too many connections" in peer.recv(1000)
        except OSError:
            pass
    case.that(refused == 4, "%d of 4 were refused" % refused)
    stop = threading.Event()

    def flood():
        while not stop.is_set():
            try:
                with connect(world.socket) as peer:
                    peer.send(b"x")
            except OSError:
                pass

    if sandbox.mode == "root":
        child = os.fork()
        if child == 0:
            harness.become(sandbox.uid)()
            threads = [threading.Thread(target=flood, daemon=True) for _ in range(4)]
            for thread in threads:
                thread.start()
            signal.pause()
            os._exit(0)
        try:
            slowest = 0.0
            for _ in range(20):
                result = world.berm("supervise", "--status", "--socket", world.socket)
                case.code(result, 0)
                slowest = max(slowest, result.seconds)
            case.that(slowest < harness.a_second(sandbox.berm), "the operator waited %.2f s" % slowest)
            case.summary = "the slowest answer came after %.0f ms" % (slowest * 1000)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    for peer in silent:
        peer.close()
    case.that(harness.wait_for(lambda: world.ask("/bin/echo", "served").text == "served\n", LONG), "not served")


@row("place")
def a_place_that_others_can_reach_is_refused(world, sandbox, case):
    """X11: whoever could have made the socket, or could replace it, is no part of it."""
    world.add_worker(case)
    for make in (lambda path: sandbox.write_text(path, ""), lambda path: os.symlink("/nonexistent/x", path), os.mkdir):
        make(world.socket)
        result = world.berm("supervise", "--socket", world.socket)
        case.that(result.code == 1 and "is no socket of a supervisor" in result.errors, *result.describe())
        case.that(os.path.lexists(world.socket), "it was taken away")
        (os.rmdir if os.path.isdir(world.socket) else os.unlink)(world.socket)
    directory = tempfile.mkdtemp(dir=sandbox.top)
    for mode in (0o777, 0o775, 0o1777):
        os.chmod(directory, mode)
        result = world.berm("supervise", "--socket", directory + "/s")
        case.that(result.code == 1 and "others may write" in result.errors, oct(mode), *result.describe())
    os.chmod(directory, 0o755)
    if sandbox.mode == "root":
        os.chown(directory, sandbox.uid, sandbox.uid)
        result = world.berm("supervise", "--socket", directory + "/s")
        case.that(result.code == 1 and "somebody else" in result.errors, *result.describe())
    shutil.rmtree(directory)
    # What a killed one left is replaced.
    case.that(world.supervise(), "it does not listen")
    world.end(signal.SIGKILL)
    case.that(os.path.exists(world.socket) and world.supervise(), "it does not come back")
    # A lock that others could hold is no lock.
    world.end()
    os.chmod(world.socket + ".lock", 0o666)
    result = world.berm("supervise", "--socket", world.socket)
    case.that(result.code == 1 and "others may hold it" in result.errors, *result.describe())


@row("inside")
def nobody_asks_from_another_pid_namespace(world, sandbox, case):
    """X01, X05: a run or a container that was given the socket all the same."""
    world.add_worker(case)
    case.that(world.supervise(), "it does not listen")
    wrap = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if harness.run(wrap + ["true"], preexec_fn=world.become(), env=world.client_environment()).code != 0:
        raise cases_agents.Skip("no user namespaces here")
    script = "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect('%s'); " \
             "s.send(bytes([8, 1, 16, 2])) if %d else 0; print(s.recv(1000))"

    def ask_from(wrap):
        # Who is refused at once cannot say anything any more.
        return harness.run(wrap + ["python3", "-c", script % (world.socket, not wrap)], cwd=sandbox.home,
                           env=world.client_environment(), preexec_fn=world.become())

    # The same words, of the same user, from inside and from outside of namespaces.
    for inside in (wrap, ["unshare", "--user", "--map-root-user"]):
        result = ask_from(inside)
        case.that(result.code == 0 and "from inside of a run" in result.text, inside, *result.describe())
    result = ask_from([])
    case.that("from inside" not in result.text and (sandbox.mode != "root" or "operator alone" in result.text),
              *result.describe())
    if sandbox.mode == "root":
        # A pid namespace alone, which only root can make.
        result = harness.run(["unshare", "--pid", "--fork", "python3", "-c", script % (world.socket, 0)],
                             env=world.environment())
        case.that(result.code == 0 and "from inside of a run" in result.text, *result.describe())


@row("passed")
def a_socket_that_is_passed_is_never_away(world, sandbox, case):
    """As systemd does it: who comes while the supervisor is replaced waits, and is served."""
    world.add_worker(case)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(world.socket)
    os.chmod(world.socket, 0o666)
    listening.listen(64)
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.bind(sandbox.top + "/notify")
    notified.settimeout(LONG * harness.SLOWER)

    def begin():
        number = listening.fileno()
        script = "import os; os.dup2(%d, 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); " \
                 "os.execv('%s', ['berm', 'supervise'])" % (number, sandbox.berm)
        process = subprocess.Popen(["python3", "-c", script], pass_fds=(number,), stdin=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL,
                                   env=dict(world.environment(), NOTIFY_SOCKET=sandbox.top + "/notify"))
        world.processes.append(process)
        return process

    client = world.start_client("/bin/sh", "-c", "echo early")
    for _ in range(3):
        process = begin()
        case.that(notified.recv(100) == b"READY=1", "it is not said to be ready")
        out, errors = client.communicate(timeout=LONG * harness.SLOWER)
        case.that(out == b"early\n" and client.returncode == 0, out, errors)
        process.send_signal(signal.SIGTERM)
        case.that(notified.recv(100) == b"STOPPING=1", "it is not said to end")
        process.wait(timeout=LONG * harness.SLOWER)
        case.that(process.returncode == 0 and os.path.exists(world.socket), "it took away what is not its own")
        client = world.start_client("/bin/sh", "-c", "echo early")
    process = begin()
    client.communicate(timeout=LONG * harness.SLOWER)
    harness.stop(process)
    listening.close()
    notified.close()
    os.unlink(sandbox.top + "/notify")


ROWS = [
    ("an agent runs for somebody else, with nothing of theirs", an_agent_runs_for_somebody_else),
    ("a run through the supervisor says what berm run says", its_words_are_those_of_berm_run),
    ("signals arrive, and a client's end is the run's", signals_arrive_and_a_clients_end_is_the_runs),
    ("a held run is taken back with its client", a_held_run_is_taken_back_with_its_client),
    ("runs outlive the supervisor, and the next one finds them", runs_outlive_the_supervisor),
    ("only pipes, terminals and null devices are taken", only_plain_descriptors_are_taken),
    ("what is no request is refused and changes nothing", what_is_no_request_is_refused),
    ("who floods the socket delays nobody else", who_floods_delays_nobody_else),
    ("a place that others can reach is refused", a_place_that_others_can_reach_is_refused),
    ("nobody asks from inside of a run or a container", nobody_asks_from_another_pid_namespace),
    ("a socket that is passed is never away", a_socket_that_is_passed_is_never_away),
]
