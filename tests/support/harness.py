# SPDX-License-Identifier: Apache-2.0
"""Shared by the drivers in Python: TAP, the three ways to be started, and running a program with a time limit.

Modes: root     the supervisor is root of the host
       user     an ordinary user without any right
       userns   root of a user namespace that an ordinary user made
A driver that was started as root enters the other two by itself."""
import ctypes
import os
import signal
import subprocess
import sys
import time

TOOL_UID = 54321  # nobody has it: the ordinary user of the tests
CLONE_NEWUSER = 0x10000000
# An emulated processor needs more time for the same; limits that only end what hangs are stretched.
SLOWER = 6 if "QEMU" in open("/proc/cpuinfo", encoding="utf-8").read() else 1
SKIPPED = 77


class Tap:
    """One line a row. tools/check lets a skip pass only where the same row passed in another place."""

    def __init__(self):
        self.number = 0
        self.failed = 0

    def row(self, good, text, details=()):
        self.number += 1
        if not good:
            self.failed += 1
        print("%s %d - %s" % ("ok" if good else "not ok", self.number, text.replace("#", "\\#")))
        for line in details:
            for piece in str(line).splitlines()[:60]:
                print("# " + piece.encode("ascii", "backslashreplace").decode()[:400])
        sys.stdout.flush()

    def not_applicable(self, text, reason):
        """The kernel lacks what the row is about: said, and counted as good."""
        self.row(True, "%s: N/A (%s)" % (text, reason))

    def skip(self, text, reason):
        self.number += 1
        print("ok %d - %s # SKIP %s" % (self.number, text, reason))

    def finish(self):
        print("1..%d" % self.number)
        return 1 if self.failed else 0


class Result:
    def __init__(self, code, stdout, stderr, seconds, timed_out):
        self.code = code
        self.stdout = stdout
        self.stderr = stderr
        self.seconds = seconds
        self.timed_out = timed_out

    @property
    def text(self):
        return self.stdout.decode("utf-8", "backslashreplace")

    @property
    def errors(self):
        return self.stderr.decode("utf-8", "backslashreplace")

    def describe(self):
        return ["exit %s after %.2f s%s" % (self.code, self.seconds, ", timed out" if self.timed_out else ""),
                "stdout: " + self.text[-2000:], "stderr: " + self.errors[-2000:]]


def run(argv, timeout=60, **options):
    """Run to the end, or end it after timeout seconds. Output is collected unless redirected."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    start = time.monotonic()
    process = subprocess.Popen(argv, **options)
    timed_out = False
    try:
        out, errors = process.communicate(timeout=timeout * SLOWER)
    except subprocess.TimeoutExpired:
        timed_out = True
        process.kill()
        # A survivor may hold the pipe open: do not wait for the end of file for ever.
        try:
            out, errors = process.communicate(timeout=5)
        except subprocess.TimeoutExpired as late:
            out, errors = late.stdout or b"", late.stderr or b""
    return Result(process.returncode, out or b"", errors or b"", time.monotonic() - start, timed_out)


def become(uid, gid=None):
    """For preexec_fn: give every right of root away."""
    def change():
        os.setgroups([])
        os.setresgid(gid or uid, gid or uid, gid or uid)
        os.setresuid(uid, uid, uid)
    return change


def unshare_user():
    """This process becomes root of a user namespace of its own."""
    uid, gid = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", "0 %d 1" % uid), ("gid_map", "0 %d 1" % gid)):
        with open("/proc/self/" + name, "w", encoding="ascii") as file:
            file.write(text)


def forget_login():
    """Who logged in is the caller of what root does (docs/agents.md): here the tests say who that is."""
    try:
        with open("/proc/self/loginuid", "w", encoding="ascii") as file:
            file.write("4294967295")
    except OSError:
        pass


def enter_mode(mode):
    """Become what the mode says, for good. False when this process cannot."""
    if mode == "root":
        return os.geteuid() == 0 and read_uid_map().split()[2] != "1"
    if os.geteuid() == 0 and read_uid_map().split()[2] != "1":
        become(TOOL_UID)()
        # A change of user makes a process not dumpable, and then /proc/self is root's.
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
    if mode == "userns":
        unshare_user()
    return True


def read_uid_map():
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return file.read()


def find_berm(argument):
    path = argument or os.environ.get("BERM")
    if not path or not os.access(path, os.X_OK):
        sys.exit("no berm at %r: give --berm or set BERM" % path)
    return os.path.abspath(path)


def wait_for(condition, seconds=10):
    """Whether it comes to hold; on an emulated machine the time is stretched."""
    until = time.monotonic() + seconds * SLOWER
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.01)
    return False


def a_second(berm):
    """The second that an operator may have to wait, with room for a machine that does other things at the time: figures
    are for tests/bench. What waits for somebody else's time limit takes longer than this on any machine."""
    idle = sorted(run([berm, "--version"]).seconds for _ in range(3))[1]
    return max(3.0, 60 * idle) * max(1.0, slowness()) * SLOWER


def slowness():
    """How many times longer this process takes for what it does than on a machine of its own."""
    begun, used = time.monotonic(), time.process_time()
    while time.process_time() - used < 0.1:
        pass
    return (time.monotonic() - begun) / 0.1


def stop(process):
    """End a process that a test started."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()
