# SPDX-License-Identifier: Apache-2.0
"""Many runs at once through a supervisor's socket, each with its own amount of work and its own exit code: what one
counts or answers for another is seen. The bench has a thousand, the integration row some dozens."""
import json
import os
import re
import subprocess
import time

STARTING = 4  # on their way at a time
FILES, PROGRAMS, CODES = 7, 5, 11  # coprime: no run within 385 has all three of another
# Waits without a process of its own, until its standard input ends.
TOOL = ("i=0; while [ $i -lt $1 ]; do i=$((i+1)); echo > w.$3.$i || exit 99; done; "
        "i=0; while [ $i -lt $2 ]; do i=$((i+1)); /bin/true || exit 98; done; echo > ready.$3; read x; exit $4")


def files_of(number):
    return number % FILES + 1


def programs_of(number):
    return number % PROGRAMS


def field(pid, file, name):
    """KiB."""
    with open("/proc/%d/%s" % (pid, file), encoding="ascii") as text:
        return int(re.search(r"^%s:\s*([0-9]+)" % name, text.read(), re.M).group(1))


class Crowd:
    """call: the words of a client before its tool, by number. start_as: preexec_fn of a client, by number."""

    def __init__(self, where, call, environment, start_as=lambda number: None):
        self.where, self.call, self.environment, self.start_as = where, call, environment, start_as
        self.runs, self.starts, self.wrong = {}, [], []
        self.source, self.gate = os.pipe()

    def start_one(self, number):
        tool = ["/bin/sh", "-c", TOOL, "sh", str(files_of(number)), str(programs_of(number)), str(number),
                str(number % CODES)]
        self.runs[number] = subprocess.Popen(
            self.call(number) + tool, env=self.environment, cwd="/", stdin=self.source, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, preexec_fn=self.start_as(number))

    def start(self, count, patience=120):
        """Milliseconds until the tool of each was at work. None of them ends."""
        began = {}
        while len(self.starts) < count:
            while len(began) < STARTING and len(self.runs) < count:
                number = len(self.runs)
                began[number] = time.monotonic()
                self.start_one(number)
            for number in [n for n in began if os.path.exists("%s/ready.%d" % (self.where, n))]:
                self.starts.append((time.monotonic() - began.pop(number)) * 1000)
            for number, since in began.items():
                if self.runs[number].poll() is not None:
                    raise OSError("run %d ended: %s" % (number, self.runs[number].stderr.read()))
                if time.monotonic() - since > patience:
                    raise OSError("run %d of %d does not begin" % (number, len(self.runs)))
            time.sleep(0.001)
        self.starts.sort()

    def start_words(self):
        return "%.0f ms median, %.0f ms p99, %.0f ms at most, %d on their way at a time" % (
            self.starts[len(self.starts) // 2], self.starts[len(self.starts) * 99 // 100], self.starts[-1], STARTING)

    def all_last(self):
        return [number for number, run in self.runs.items() if run.poll() is not None] == []

    def let_go(self):
        """The tools that still wait come to their end."""
        for fd in (self.gate, self.source):
            if fd >= 0:
                os.close(fd)
        self.gate = self.source = -1

    def check(self, number, killed, patience=120):
        """Wait for its end, and hold what it says against what it did."""
        errors = self.runs[number].communicate(timeout=patience)[1].decode("utf-8", "backslashreplace")
        try:
            told = json.loads(errors.strip().splitlines()[-1])
        except (ValueError, IndexError):
            self.wrong.append("run %d said: %s" % (number, errors[-300:]))
            return
        counted = {name: told.get("counters", {}).get(name, {}).get("value") for name in
                   ("files_changed", "processes_started")}
        wanted = {"files_changed": files_of(number) + 1, "processes_started": programs_of(number)}
        code = 137 if killed else number % CODES
        if (counted, self.runs[number].returncode, told.get("code")) != (wanted, code, code):
            self.wrong.append("run %d: %s and exit %s, not %s and %d" % (
                number, counted, self.runs[number].returncode, wanted, code))

    def close(self):
        self.let_go()
        for run in self.runs.values():
            if run.poll() is None:
                run.kill()
            run.wait()
            run.stderr.close()


def sessions(state):
    """The processes that sessions of that state directory are, with what they have forked."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open("/proc/%s/cmdline" % name, "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if b"--role=session" in words and state.encode() in words:
            found.append(int(name))
    return found


def pss(pids):
    """KiB of all together, shared pages divided; of those that are still there."""
    total = 0
    for pid in pids:
        try:
            total += field(pid, "smaps_rollup", "Pss")
        except OSError:
            pass
    return total
