#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tools/vm promises, tried on both kernels: machine.py TOOLS_VM BERM, prints TAP."""
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

VM, BERM = (os.path.abspath(word) for word in sys.argv[1:3])
# One boot answers many questions; each prints "word=answer".
FACTS = r"""
echo release=$(uname -r)
echo lsm=$(cat /sys/kernel/security/lsm)
echo controllers=$(cat /sys/fs/cgroup/session/cgroup.controllers)
echo own=$(cat /proc/self/cgroup)
echo lo=$(cat /sys/class/net/lo/flags)
echo bpffs=$(grep -c ' /sys/fs/bpf bpf ' /proc/mounts)
echo user=$(su user -c 'id -u') userns=$(su user -c 'unshare -Ur id -u')
echo btf=$(test -s /sys/kernel/btf/vmlinux && echo yes)
modprobe overlay && echo overlay=yes
mkdir /n && mount -t tmpfs t /n && mkdir /n/old && unshare -m pivot_root /n /n/old && echo pivot=yes
echo sum=$(echo carried | /usr/bin/sha1sum.gnu)
echo berm=$(command -v berm)
echo "variable=$GREETING directory=$PWD"
echo again >/dev/stdout
echo noise >&2
exit 42
"""


def vm(*options, command, seconds=240, tmp=None):
    env = {**os.environ, "TMPDIR": tmp} if tmp else None
    return subprocess.run([sys.executable, VM, "--berm", BERM, *options, "--", *command], text=True, env=env,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=seconds, check=False)


def facts(version):
    done = vm("--kernel", version, "--carry", "/usr/bin/sha1sum:/usr/bin/sha1sum.gnu", "--env", "GREETING=a  b",
              "--chdir", "/mnt", command=["sh", "-c", FACTS])
    wanted = ["release=" + version + ".", "landlock", "yama", ",bpf", "cpu io memory", "pids", "own=0::/session",
              "lo=0x9", "bpffs=1", "user=1000 userns=0", "btf=yes", "overlay=yes", "pivot=yes",
              "sum=" + hashlib.sha1(b"carried\n").hexdigest(), "berm=/usr/bin/berm",
              "variable=a  b directory=/mnt", "\nagain\n"]
    absent = [w for w in wanted if w not in done.stdout]
    noise = "".join(line for line in done.stderr.splitlines(True) if "it is started again" not in line)
    if done.returncode != 42 or noise != "noise\n" or absent:
        return f"exit {done.returncode}, absent {absent}, errors {done.stderr!r}\n{done.stdout}"
    return None


def ends(options, script, code, said):
    """The command ends the machine in its own way: wanted are this exit code and these words."""
    with tempfile.TemporaryDirectory() as tmp:
        done = vm(*options, command=["sh", "-c", script], tmp=tmp)
        left = os.listdir(tmp)
    if done.returncode != code or said not in done.stdout + done.stderr or left:
        return f"exit {done.returncode}, left behind {left}\n{done.stdout}{done.stderr}"
    return None


def stopped():
    """A tools/vm that is told to stop takes its machine with it and leaves no files."""
    with tempfile.TemporaryDirectory() as tmp:
        process = subprocess.Popen([sys.executable, VM, "--berm", BERM, "--kernel", "6.12", "--", "sleep", "1000"],
                                   env={**os.environ, "TMPDIR": tmp}, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while time.monotonic() < until and not machines(tmp):
            time.sleep(0.1)
        begun = machines(tmp)
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        left, running = os.listdir(tmp), machines(tmp)
    if not begun or code != 128 + signal.SIGTERM or left or running:
        return f"machines {begun} before, {running} after; exit {code}; left behind {left}"
    return None


def started_again():
    """A machine that ends before init began is started once more, and only what the second one does is seen."""
    with tempfile.TemporaryDirectory() as tmp, ThreadPoolExecutor(1) as pool:
        done = pool.submit(vm, "--kernel", "6.12", command=["sh", "-c", "echo once; exit 7"], tmp=tmp)
        until = time.monotonic() + 60
        while time.monotonic() < until and not machines(tmp):
            time.sleep(0.02)
        for pid in machines(tmp):
            os.kill(pid, signal.SIGKILL)
        done = done.result()
        left = os.listdir(tmp)
    if (done.returncode, done.stdout) != (7, "once\n") or "started again" not in done.stderr or left:
        return f"exit {done.returncode}, left behind {left}\n{done.stdout}{done.stderr}"
    return None


def machines(tmp):
    """Processes of qemu that have this directory in their arguments."""
    found = []
    for pid in (p for p in os.listdir("/proc") if p.isdigit()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read()
        except OSError:
            continue
        if words.startswith(b"qemu-system") and tmp.encode() in words:
            found.append(int(pid))
    return found


TESTS = [
    ("everything that is promised is there on 6.1", lambda: facts("6.1")),
    ("everything that is promised is there on 6.12", lambda: facts("6.12")),
    ("kernel arguments take the BPF LSM away",
     lambda: ends(["--kernel", "6.12", "--append", "lsm=landlock"],
                  "grep -q bpf /sys/kernel/security/lsm || echo none of it; exit 5", 5, "none of it")),
    ("a kernel panic is told apart from every exit code of the command",
     lambda: ends(["--kernel", "6.1"], "echo c >/proc/sysrq-trigger", 119, "sysrq triggered crash")),
    ("a machine that ends before init began is started again", started_again),
    ("a kernel that never comes to init is given up",
     lambda: ends(["--kernel", "6.12", "--append", "root=/dev/nvme9n9"], "true", 119, "Unable to mount root")),
    ("a command that takes too long ends the machine",
     lambda: ends(["--kernel", "6.1", "--timeout", "20"], "echo before; sleep 1000", 121, "before")),
    ("what the command leaves running does not hold the machine",
     lambda: ends(["--kernel", "6.1", "--timeout", "60"], "setsid sleep 1000 & echo out; exit 3", 3, "out")),
    ("a missing command is 127", lambda: ends(["--kernel", "6.1"], "exec not-there", 127, "not-there")),
    ("a tools/vm that is stopped leaves nothing", stopped),
    ("an unknown kernel is wrong use", lambda: ends(["--kernel", "5.4"], "true", 2, "--kernel is one of")),
    ("a path that is not there cannot be carried",
     lambda: ends(["--kernel", "6.1", "--carry", "/not/there"], "true", 118, "there is no such file")),
]


def main():
    print(f"1..{len(TESTS)}", flush=True)
    with ThreadPoolExecutor(2) as pool:
        for number, ((name, _), problem) in enumerate(zip(TESTS, pool.map(lambda t: t[1](), TESTS)), 1):
            print(f"{'not ok' if problem else 'ok'} {number} - {name}", flush=True)
            if problem:
                print("# " + problem.rstrip().replace("\n", "\n# "), flush=True)


main()
