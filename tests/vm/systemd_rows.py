#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What docs/operating.md says of the systemd units, tried in the guest of tests/vm/systemd.py: prints TAP.

The rows are one story, in their order: each begins with what the one before it left behind. The agent "worker" works in
/srv/work, "homely" in the home of the user (uid 1000) who starts both."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

BERM, USER, LONG = "/usr/local/bin/berm", 1000, 60
UNIT_CGROUP = "/system.slice/berm.service"
PROFILE = """version: 1
name: worker
extends: [coding-agent-metered]
limits: {memory: 64MiB}
"""
# Says every fifth of a second that it goes on, by a file that only grows.
BEATS = "while :; do echo beat >>%s; sleep 0.2; done"


class Wrong(Exception):
    pass


def that(fact, words):
    if not fact:
        raise Wrong(words)


def run(*argv, uid=0, code=0):
    """Run a program to its end, as root or as the user; code is what it must end with (None: anything)."""
    done = subprocess.run(argv, text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=LONG, check=False,
                          **as_user(uid))
    that(code is None or done.returncode == code,
         "%s: exit %d\n%s%s" % (" ".join(argv), done.returncode, done.stdout, done.stderr))
    return done


def as_user(uid):
    home = "/home/user" if uid else "/root"
    who = {"user": uid, "group": uid, "extra_groups": []} if uid else {}
    return {"cwd": home, "env": {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": home}, **who}


def wait_for(fact, words):
    until = time.monotonic() + LONG
    while time.monotonic() < until:
        found = fact()
        if found:
            return found
        time.sleep(0.1)
    raise Wrong("after %d s: %s" % (LONG, words))


def ask(*tool, agent="worker", code=0):
    return run(BERM, "run", "--agent", agent, "--", *tool, uid=USER, code=code).stdout


def prop(unit, name):
    return run("systemctl", "show", "--value", "--property", name, unit).stdout.strip()


def main_pid():
    return int(prop("berm.service", "MainPID"))


def status():
    done = run(BERM, "supervise", "--status", "--json", code=None)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def runs():
    return json.loads(run(BERM, "ps", "--json").stdout)["runs"]


def cgroup_of(pid):
    with open("/proc/%d/cgroup" % pid, encoding="ascii") as f:
        return f.read().strip().removeprefix("0::")


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def process_with(words):
    """The number of the process whose command line has these words and is no berm."""
    for pid in (p for p in os.listdir("/proc") if p.isdigit()):
        line = read("/proc/%s/cmdline" % pid).replace("\0", " ")
        if words in line and "berm" not in line and int(pid) != os.getpid():
            return int(pid)
    return None


class Beating:
    """A run of worker that writes a line five times a second, and its client."""

    def __init__(self, name):
        self.file = "/srv/work/" + name
        self.client = subprocess.Popen([BERM, "run", "--agent", "worker", "--", "sh", "-c", BEATS % self.file],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                       **as_user(USER))
        wait_for(lambda: read(self.file), "the run does not begin")

    def goes_on(self):
        that(self.client.poll() is None, "its client ended: %s" % self.client.poll())
        before = len(read(self.file))
        wait_for(lambda: len(read(self.file)) > before + 10, "the run does not go on")

    def ended(self, code):
        that(self.client.wait(LONG) == code, "the client's exit code is %d" % self.client.returncode)
        that(not process_with(self.file), "the run's process is still there")


LIVE = {}


def begin():
    for folder in ("/srv/work", "/home/user/work"):
        os.makedirs(folder)
        shutil.chown(folder, USER, USER)
    os.makedirs("/etc/berm/profiles")
    with open("/etc/berm/profiles/worker.yaml", "w", encoding="ascii") as f:
        f.write(PROFILE)
    for name, place in (("worker", "/srv/work"), ("homely", "/home/user/work")):
        run(BERM, "agent", "add", name, "--role", "works", "--accountable-human", "Ada <ada@example.org>", "--profile",
            "worker", "--tier", "2", "-C", place, "--may-start", str(USER), "--cooldown", "none", "--processes", "40")


def starts():
    run("systemctl", "enable", "--now", "berm.socket", "berm-kill.service")
    that(prop("berm.socket", "ActiveState") == "active", "the socket's unit is not active")
    that(prop("berm-kill.service", "ActiveState") == "active", "the kill switch's unit is not active")
    that(prop("berm.service", "ActiveState") == "inactive", "the service runs before anybody came")
    that(os.stat("/run/berm/supervisor.sock").st_mode & 0o777 == 0o666, "the socket's mode")


def serves():
    that(ask("sh", "-c", "id -u; pwd; echo made >/srv/work/made").split() == [str(USER), "/srv/work"], "what it says")
    that(os.stat("/srv/work/made").st_uid == USER, "the file that it made is not the user's")
    that(prop("berm.service", "ActiveState") == "active", "the service does not run")


def home():
    ask("sh", "-c", "echo made >/home/user/work/made", agent="homely")
    that(read("/home/user/work/made") == "made\n", "a file that a run made in a home directory is not there")
    ask("sh", "-c", "echo x >/home/user/beside || echo x >/srv/work/beside", agent="homely", code=None)
    that(not os.path.exists("/home/user/beside") and not os.path.exists("/srv/work/beside"), "it wrote elsewhere")


def limits():
    run_ = LIVE["run"] = Beating("beats")
    pid = wait_for(lambda: process_with("echo beat"), "no process of the run")
    group = cgroup_of(pid)
    that(re.fullmatch(UNIT_CGROUP + "/berm-[0-9a-f]{16}(/.*)?", group), "the run is in " + group)
    top = "/sys/fs/cgroup" + re.match(UNIT_CGROUP + "/berm-[0-9a-f]{16}", group).group(0)
    that(read(top + "/memory.max") == "%d\n" % (64 << 20), "memory.max is " + read(top + "/memory.max"))
    that(0 < int(read(top + "/pids.max")) <= 60, "pids.max is " + read(top + "/pids.max"))
    that(cgroup_of(main_pid()) == UNIT_CGROUP + "/supervisor", "the supervisor is in " + cgroup_of(main_pid()))
    run_.goes_on()


def memory():
    ask("python3", "-c", "x = bytearray(32 << 20)")
    ask("python3", "-c", "x = bytearray(200 << 20)", code=137)


def reload():
    before, inode = main_pid(), os.stat("/proc/%d/exe" % main_pid()).st_ino
    shutil.copy2(BERM, BERM + ".new")
    os.rename(BERM + ".new", BERM)
    many = "for i in 1 2 3 4 5 6 7 8; do %s run --agent homely -- true || exit 9; done" % BERM
    asks = subprocess.Popen(["sh", "-c", many], stdin=subprocess.DEVNULL, **as_user(USER))
    run("systemctl", "reload", "berm")
    wait_for(lambda: os.stat("/proc/%d/exe" % before).st_ino != inode, "it is the old program still")
    that(asks.wait(LONG * 2) == 0, "somebody was turned away")
    that(main_pid() == before and wait_for(status, "no answer")["pid"] == before, "it is another process")
    that(prop("berm.service", "NRestarts") == "0", "it was restarted")
    LIVE["run"].goes_on()


def frozen():
    one = runs()[0]["run"]
    run(BERM, "pace", "set", one, "frozen")
    before = main_pid()
    run("systemctl", "reload", "berm")
    wait_for(lambda: status().get("pid") == before, "no answer after the reload")
    that(runs()[0]["posture"] == "frozen", "it is %s" % runs()[0])
    still = len(read(LIVE["run"].file))
    ask("sleep", "1", agent="homely")
    that(len(read(LIVE["run"].file)) == still, "a frozen run goes on")
    run(BERM, "pace", "set", one, "open")
    LIVE["run"].goes_on()


def restart():
    """Before systemd 254 nothing can be started in a unit's cgroup while cgroups with limits are beneath it."""
    before = main_pid()
    run("systemctl", "restart", "berm", code=None)
    wait_for(lambda: prop("berm.service", "ExecMainStatus") == "219", "it was started beside a run with limits")
    waiting = subprocess.Popen([BERM, "run", "--agent", "homely", "--", "sh", "-c", "echo late >/home/user/work/late"],
                               stdin=subprocess.DEVNULL, **as_user(USER))
    LIVE["run"].goes_on()
    that(waiting.poll() is None, "who asked meanwhile was turned away")
    run(BERM, "kill", "--reason", "tried", "--all")
    LIVE["run"].ended(137)
    that(waiting.wait(LONG) == 0 and read("/home/user/work/late") == "late\n", "who waited was not served")
    that(main_pid() not in (0, before), "it is not another process")


def killed():
    wait_for(lambda: not runs(), "runs last")
    before = main_pid()
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: main_pid() not in (0, before), "nobody starts it again")
    that(ask("id", "-u") == "%d\n" % USER, "it does not serve")


def stop():
    LIVE["run"] = Beating("stopped")
    run("systemctl", "stop", "berm.socket", "berm.service")
    LIVE["run"].goes_on()
    run(BERM, "kill", "--reason", "tried", "--all")
    LIVE["run"].ended(137)


def switch():
    run("systemctl", "start", "berm.socket")
    LIVE["run"] = Beating("switched")
    run("systemctl", "stop", "berm.socket", "berm.service")
    LIVE["run"].goes_on()
    before = int(prop("berm-kill.service", "MainPID"))
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: int(prop("berm-kill.service", "MainPID")) not in (0, before), "the switch is not started again")
    said = wait_for(lambda: run(BERM, "killswitch", "send", "--reason", "tried", "agent:worker", code=None).stdout,
                    "the switch does not answer")
    that(said.startswith("1 gone, 0 left"), said)
    LIVE["run"].ended(137)


def journal():
    said = run("journalctl", "--no-pager", "-o", "cat", "-u", "berm.service", "-u", "berm-kill.service").stdout
    that("ready" in said, "nothing says that it is ready:\n" + said)
    run("systemctl", "start", "berm.socket")
    run(BERM, "run", "--agent", "nobody-has-this-name", "--", "true", uid=USER, code=126)
    wait_for(lambda: "user %d was refused" % USER in run("journalctl", "--no-pager", "-u", "berm.service").stdout,
             "the journal has no line of a refused request")


ROWS = [
    ("agents are registered", begin),
    ("the socket and the kill switch start, the service waits for somebody", starts),
    ("a user starts an agent over the socket, in /srv", serves),
    ("a run has its directory in /home, and nothing beside it", home),
    ("a run has its cgroup with its limits in the unit's, the supervisor a leaf", limits),
    ("the limit of memory holds", memory),
    ("reload makes the same process the new program, and nobody is turned away", reload),
    ("a frozen run stays frozen over a reload", frozen),
    ("restart beside a run with limits: the run goes on, who asks waits and is served when it has ended", restart),
    ("after kill -9 the service comes back and serves", killed),
    ("runs outlive stop, and berm kill --all ends them", stop),
    ("the kill switch comes back after kill -9, and kills without a supervisor", switch),
    ("the journal has their words", journal),
]


def main():
    version = int(re.match(r"systemd (\d+)", run("systemctl", "--version").stdout).group(1))
    if version >= 254:
        sys.exit("systemd %d: these rows are about one before 254" % version)
    print("1..%d" % len(ROWS), flush=True)
    for number, (name, row) in enumerate(ROWS, 1):
        try:
            row()
        except (Wrong, OSError, LookupError, ValueError, subprocess.TimeoutExpired) as problem:
            said = run("journalctl", "--no-pager", "-u", "berm.service", "-u", "berm-kill.service", code=None).stdout
            words = "%s: %s\n%s" % (type(problem).__name__, problem, said)
            print("not ok %d - %s\n# %s" % (number, name, words.replace("\n", "\n# ")), flush=True)
            print("Bail out! the rows after it begin with what it leaves behind", flush=True)
            return 1
        print("ok %d - %s" % (number, name), flush=True)
    return 0


sys.exit(main())
