# SPDX-License-Identifier: Apache-2.0
"""Who asks a supervisor: numbers of processes that are used again, and bytes that somebody else has sent before."""
import os
import socket
import subprocess
import time

import cases_agents
import harness
from cases_supervise import row
from supervisor_wire import LONG, raw_run, request, run_of

ROUNDS = 5
TRIES = 200  # to get a certain number: others on this host take some, too
APPENDS = (b"/bin/sh", b"-c", b"echo x >> ran")
# Who connected ends; its child has the connection, and sends the request when it is told to.
HOLDER = """import array, os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(%r)
if %r and os.fork():
    os._exit(0)
sys.stdin.readline()
n = os.open("/dev/null", os.O_RDWR)
s.settimeout(%d)
try:
    s.sendmsg([%r], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [n, n, n, os.pipe()[0]]))])
    print(s.recv(9999), s.recv(9999))
except OSError as error:
    print(error)
"""


def lines(sandbox):
    try:
        with open(sandbox.ws + "/ran", encoding="ascii") as file:
            return file.read().count("x")
    except OSError:
        return 0


def take_number(number):
    """A process of root's that has this number, or None."""
    for _ in range(TRIES):
        with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
            file.write(str(number - 1))
        process = subprocess.Popen(["/bin/sleep", "60"], stdin=subprocess.DEVNULL)
        if process.pid == number:
            return process
        process.kill()
        process.wait()
    return None


def hold(world, leaves, preexec_fn=None):
    packet = request(run=run_of(argv=APPENDS))
    script = HOLDER % (world.socket, leaves, LONG * harness.SLOWER, packet)
    return subprocess.Popen(["python3", "-c", script], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            preexec_fn=preexec_fn)


def told(process):
    return process.communicate("go\n", timeout=2 * LONG * harness.SLOWER)[0]


@row("recycled")
def a_number_that_is_used_again_is_nobodys_right(world, sandbox, case):
    """X02: by the time of the request the number of who connected is that of a process of root's."""
    if sandbox.mode != "root" or not os.path.exists("/proc/sys/kernel/ns_last_pid"):
        raise cases_agents.Skip("root is asked for, and a kernel that lets it choose numbers")
    world.add_worker(case)
    case.code(world.berm("agent", "set", "worker", "--may-start", "none"), 0)
    case.that(world.supervise(), "it does not listen")
    # Root may, and a client that hands its connection on is served while it is there.
    answer = told(hold(world, False))
    case.that(harness.wait_for(lambda: lines(sandbox) == 1, LONG), "root's own did not run", answer)
    taken = 0
    for _ in range(ROUNDS):
        holder = hold(world, True, world.become())
        holder.wait(LONG * harness.SLOWER)
        other = take_number(holder.pid)
        taken += other is not None
        try:
            answer = told(holder)
        finally:
            if other:
                harness.stop(other)
        # Refused in words, or the supervisor had closed the connection already.
        case.that(any(word in answer for word in ("may start", "Broken pipe", "reset by peer")), answer)
    case.summary = "%d rounds, the number was taken in %d, none was begun" % (ROUNDS, taken)
    case.that(taken > 0, case.summary)
    # What is asked now is answered after all that was asked before.
    case.that(world.ask("/bin/true").code == 126, "the user is served")
    case.that(lines(sandbox) == 1, "%d runs began" % lines(sandbox))
    case.that(world.show()["runs_total"] == 1, world.show())


@row("replayed")
def the_bytes_of_a_request_are_nobodys_right(world, sandbox, case):
    """X10: the same bytes again are another run of who sends them, with all that is asked of one; from another user
    they are nothing."""
    world.add_worker(case)
    case.that(world.supervise(), "it does not listen")
    packet = request(run=run_of(argv=APPENDS))
    null = os.open("/dev/null", os.O_RDWR)
    answers = []
    try:
        for uid in (sandbox.uid, sandbox.uid, 65533):
            if sandbox.mode == "root":
                os.setegid(uid)
                os.seteuid(uid)
            elif uid == 65533:
                continue
            try:
                answers.append(raw_run(world.socket, packet, [null] * 3))
            finally:
                if sandbox.mode == "root":
                    os.seteuid(0)
                    os.setegid(0)
            case.that(harness.wait_for(lambda: lines(sandbox) == min(len(answers), 2), LONG), lines(sandbox), answers)
    finally:
        os.close(null)
    case.that(len(answers) < 3 or b"65533" in answers[2], answers)
    case.that(harness.wait_for(lambda: world.show().get("runs_total") == 2, LONG), world.show())
    case.that(lines(sandbox) == 2, lines(sandbox))


@row("silent")
def who_is_never_answered_asks_a_few_times(world, sandbox, case):
    """Sessions that end before they say anything: each client asks some times more, and then says so."""
    asked = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(world.socket)
        os.chmod(world.socket, 0o666)
        server.listen(16)
        server.settimeout(0.1)
        process = subprocess.Popen(world.call("/bin/echo", "ran"), env=world.environment(), text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        until = time.monotonic() + 2 * LONG * harness.SLOWER
        while process.poll() is None and time.monotonic() < until:
            try:
                with server.accept()[0] as peer:
                    asked.append(peer.recv(1 << 17)[:1])
            except TimeoutError:
                pass
        out, errors = process.communicate(timeout=LONG)
    case.that(process.returncode == 125 and out == "" and "berm: " in errors, process.returncode, out, errors)
    case.that(2 <= len(asked) <= 8 and set(asked) == {b"\x08"}, asked)
    case.summary = "it asked %d times" % len(asked)


ROWS = [
    ("a number of a process that is used again is nobody's right", a_number_that_is_used_again_is_nobodys_right),
    ("who is never answered asks a few times", who_is_never_answered_asks_a_few_times),
    ("the bytes of a request are nobody's right", the_bytes_of_a_request_are_nobodys_right),
]
