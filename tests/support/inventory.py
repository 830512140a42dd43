# SPDX-License-Identifier: Apache-2.0
"""What a host holds that a run could leave behind. Two inventories must be equal: before and after."""
import os
import re
import signal
import time

import harness

# Where a supervisor could leave something. Its directory for temporary files is the caller's TMPDIR, which is part of
# what a driver compares; other people's files in /tmp are nobody's business here.
TEMPORARY = ("/run", "/run/berm", "/dev/shm", "/dev/mqueue")
# Made by the first run after a boot, and there for the next ones.
STANDING = {"/run/berm", "/run/berm/runs", "/run/berm/bpf"}
STANDING_MOUNT = " /run/berm/bpf "
# A recorder outlives the runs that it serves, and ends by itself when there was none for a while.
RECORDER = " --role=recorder "
SINKS = "--role=sinks"
NAMESPACES = ("mnt", "net", "pid", "ipc", "uts", "user", "cgroup")


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "backslashreplace")
    except OSError:
        return ""


def processes(words):
    """Processes whose command line holds one of the words: {pid: command line}."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        line = read("/proc/%s/cmdline" % name).replace("\0", " ")
        if RECORDER in line or SINKS in line:
            continue
        if any(word in line for word in words):
            found[int(name)] = line.strip()
    return found


def recorders(word):
    """Recorders of a state directory whose path holds the word: [pid]."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()
            and re.search(RECORDER + ".*" + re.escape(word), read("/proc/%s/cmdline" % name).replace("\0", " "))]


def processes_of(role, state):
    """What acts in that role for that state directory: "sinks" and "anchor" end a moment after the recorder."""
    return [name for name in os.listdir("/proc") if name.isdigit()
            and "--role=%s %s" % (role, state) in read("/proc/%s/cmdline" % name).replace("\0", " ")]


def end_recorders(word, number=signal.SIGTERM):
    """They close their log first."""
    pids = recorders(word)
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            pass
    end = time.monotonic() + 5
    while pids and time.monotonic() < end:
        time.sleep(0.01)
        pids = [pid for pid in pids if pid in recorders(word)]


def cgroups():
    """Directories of the v2 hierarchy that berm could have made."""
    found = set()
    for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if not os.path.exists(top + "/cgroup.controllers"):
            continue
        for directory, _, _ in os.walk(top):
            if "berm" in os.path.basename(directory):
                found.add(directory)
    return found


def holders():
    """Namespaces that a process of this host holds other than our own: {"net:[1]": command}."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        for kind in NAMESPACES:
            try:
                link = os.readlink("/proc/%s/ns/%s" % (name, kind))
            except OSError:
                continue
            found[link] = read("/proc/%s/comm" % name).strip()
    return found


def temporary_files():
    found = set()
    for directory in TEMPORARY:
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        found.update(directory + "/" + name for name in names if "berm" in name)
    return found - STANDING


def take(words):
    """words: what the command lines of this test's own processes have in common."""
    return {
        "process": processes(words),
        "mount": {line for line in read("/proc/self/mountinfo").splitlines() if STANDING_MOUNT not in line},
        "cgroup": cgroups(),
        "file": temporary_files(),
    }


def difference(before, after):
    """What is new and what is gone, as text lines."""
    lines = []
    for kind in before:
        for item in after[kind]:
            if item not in before[kind]:
                value = after[kind][item] if isinstance(after[kind], dict) else ""
                lines.append("left behind: %s %s %s" % (kind, item, value))
        if kind == "mount":
            lines += ["gone: %s" % item for item in before[kind] - after[kind]]
    return lines


def settle(before, words, seconds=10.0):
    """Compare again until nothing is left or the time is over; returns what is left."""
    end = time.monotonic() + seconds * harness.SLOWER
    while True:
        left = difference(before, take(words))
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.02)
