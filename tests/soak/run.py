#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One metered run that does ordinary work for a long time: no trip, no work that fails, and counters that agree with
two oracles that berm has no part in: what the tree holds before and after each job, and what strace counts of the same
job outside of berm. Prints what it saw; a round is every job once."""
import argparse
import collections
import json
import os
import select
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
PROFILES = os.path.join(os.path.dirname(TESTS), "profiles")
sys.path[:0] = [HERE, TESTS + "/integration", TESTS + "/support"]

import harness  # noqa: E402
import jobs  # noqa: E402
import oracle  # noqa: E402
import sandbox as sandboxes  # noqa: E402

# The shipped profile with stricter states: one attempt to escape ends it, three refusals make it read-only. Its caps
# are those of a command, and this is a day of them.
PROFILE = """version: 1
name: soak
extends: [coding-agent-metered]
limits: {wall_time: 12h}
blast_radius: {files_changed: 100000000, files_deleted: 100000000, processes_started: 100000000}
pace:
  alternate: {when: [{event: denial, count: 3, within: 10m}]}
  emergency: {when: [{event: escape_attempt}], then: {run: kill}}
"""
JOB_SECONDS = 300
GROWTH_KB = 8192  # of the supervisor's memory between the second round and the last one
FILES = ("files_changed", "files_created", "files_deleted", "processes_started", "programs_started")


class Soak:
    def __init__(self, sandbox, minutes, share):
        self.sandbox, self.seconds, self.share = sandbox, minutes * 60, share
        for name in os.listdir(PROFILES):
            shutil.copy(os.path.join(PROFILES, name), sandbox.top)
        self.profile = sandbox.write_text(sandbox.top + "/soak.yaml", PROFILE)
        jobs.seed(sandbox.ws + "/in")
        os.mkdir(sandbox.ws + "/w")
        for directory, names, files in os.walk(sandbox.ws):
            for name in [".", *names, *files]:
                sandbox.own(os.path.join(directory, name))
        shutil.copy(HERE + "/inside.py", sandbox.ws)
        self.jobs, self.absent = jobs.usable()
        self.rounds = 0
        self.wrong, self.unequal = [], []
        self.exact = collections.Counter()
        self.memory = []

    # ---- the run ----

    def begin(self):
        reader, writer = os.pipe()
        self.process = self.sandbox.start(
            ["/usr/bin/python3", self.sandbox.ws + "/inside.py"], "--status-fd", str(writer), "--allow-degraded=cgroup",
            profile=self.profile, stdin=subprocess.PIPE, stderr=open(self.sandbox.top + "/errors", "wb"),
            pass_fds=(writer,), env=self.sandbox.environment(IN=self.sandbox.ws + "/in"))
        os.close(writer)
        self.status = reader
        self.run = None
        if self.process.stdout.readline() != b"ready\n":
            self.process.wait(60)
            sys.exit("the run did not begin: " + self.errors())

    def script(self, job):
        """Written outside, before the tree is looked at."""
        return self.sandbox.file("scripts/" + job.name, "IN=%s/in\nexport IN\n%s" % (self.sandbox.ws, job.script))

    def tell(self, job, script):
        """What the job did: its code and the end of its output, or None where the run is over."""
        request = {"script": script, "directory": self.sandbox.ws + "/w/" + job.name}
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        if not select.select([self.process.stdout], [], [], JOB_SECONDS * harness.SLOWER)[0]:
            return {"code": "none", "tail": "no end after %d s" % JOB_SECONDS}
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def look(self):
        """The run as berm inspect shows it."""
        if not self.run:
            listed = harness.run([self.sandbox.berm, "ps", "--json"], env=self.sandbox.environment())
            self.run = [run["run"] for run in json.loads(listed.text)["runs"] if run["pid"] == self.process.pid][0]
        shown = harness.run([self.sandbox.berm, "inspect", "--json", self.run], env=self.sandbox.environment())
        return json.loads(shown.text)

    # ---- one job ----

    def prepare(self, job):
        directory = self.sandbox.ws + "/w/" + job.name
        shutil.rmtree(directory, ignore_errors=True)
        os.mkdir(directory)
        self.sandbox.own(directory)
        return self.script(job)

    def one(self, job):
        script = self.prepare(job)
        top = self.sandbox.ws
        before_tree, before = oracle.tree(top), self.look()
        answer = self.tell(job, script)
        if answer is None:
            self.wrong.append("round %d, %s: the run is over" % (self.rounds, job.name))
            return False
        after, after_tree = self.look(), oracle.tree(top)
        if answer["code"] != 0:
            self.wrong.append("round %d, %s: exit %s\n%s" % (self.rounds, job.name, answer["code"], answer["tail"]))
        if after["posture"] != "open" or after["phase"] != "primary" or after["trips"]:
            self.wrong.append("round %d, %s: %s" % (self.rounds, job.name, after["trips"]))
            return False
        done = {name: after["counters"][name]["value"] - before["counters"][name]["value"] for name in FILES}
        self.compare(job, done, oracle.difference(before_tree, after_tree))
        if self.rounds == 0:
            self.compare_calls(job, done)
        return True

    def compare(self, job, done, seen):
        """A counter is never less than what the tree shows: a name that was made and removed again is not there."""
        for counter, names in seen.items():
            if done[counter] < len(names):
                self.wrong.append("round %d, %s: %s grew by %d, the tree says %d: %s" % (
                    self.rounds, job.name, counter, done[counter], len(names), sorted(names)[:5]))

    def compare_calls(self, job, done):
        """The same job outside, call by call."""
        script = self.prepare(job)
        # Root of a user namespace gives files away outside, which the tool inside is not.
        if job.name == "names" or self.sandbox.mode == "userns":
            return
        seen = oracle.calls(["/bin/sh", "-e", script], self.sandbox, job.name)
        if seen is None:
            return
        # The one that starts the job is a fork and a program of the run's own process.
        seen["processes_started"] += 1
        self.exact["compared"] += 1
        differences = {name: (done[name], seen[name]) for name in FILES if done[name] != seen[name]}
        self.exact["equal"] += not differences
        if differences:
            print("# %s: counted and seen by strace differ: %s" % (job.name, differences), flush=True)
        for name, (counted, calls) in differences.items():
            if abs(counted - calls) > oracle.TOLERANCE * calls + 4:
                self.unequal.append("%s: %s is %d, strace counts %d" % (job.name, name, counted, calls))

    # ---- all of it ----

    def round(self):
        begun = time.monotonic()
        for job in self.jobs:
            start = time.monotonic()
            if not self.one(job):
                return False
            # Others work on this machine: the share of the time that is spent working is bounded.
            time.sleep((time.monotonic() - start) * (1 / self.share - 1))
        self.memory.append(resident_kb(self.process.pid))
        state = self.look()
        print("# round %d: %d jobs in %.0f s, %s, supervisor %d KiB, refusals %s" % (
            self.rounds, len(self.jobs), time.monotonic() - begun,
            ", ".join("%s %d" % (name, state["counters"][name]["value"]) for name in (*FILES, "denials")),
            self.memory[-1], words(state["denials"]) or "none"), flush=True)
        return True

    def go(self):
        end = time.monotonic() + self.seconds
        self.begin()
        while self.round():
            self.rounds += 1
            if time.monotonic() >= end or self.wrong:
                break
        self.process.stdin.close()
        self.process.wait(60)
        with os.fdopen(self.status, "rb") as file:
            return json.loads(file.read())

    def judge(self, tap, record, begun):
        minutes = (time.monotonic() - begun) / 60
        tap.row(record["outcome"] == "exited" and not self.wrong and self.rounds > 0,
                "%d rounds of %d jobs in %.0f minutes of one run, every job well" % (
                    self.rounds, len(self.jobs), minutes), self.wrong + [record["outcome"], self.errors()])
        tap.row(not record["trips"] and record["posture"] == "open",
                "trips: %d; refusals that count: %d; refusals by kind: %s" % (
                    len(record["trips"]), record["counters"]["denials"]["value"], words(record["denials"]) or "none"),
                record["trips"])
        tap.row(self.memory[-1] - self.memory[min(1, len(self.memory) - 1)] < GROWTH_KB if self.memory else False,
                "the supervisor's memory: %s KiB" % " .. ".join(str(kb) for kb in (self.memory[:1] + self.memory[-1:])))
        if self.exact["compared"]:
            tap.row(self.exact["equal"] > 0 and not self.unequal,
                    "jobs whose every counter is what strace counts outside: %d of %d" % (
                        self.exact["equal"], self.exact["compared"]), self.unequal)
        elif self.sandbox.mode != "userns":
            tap.skip("counters against strace", "strace cannot trace here")
        for name in self.absent:
            tap.skip("job " + name, "its programs are not installed")

    def errors(self):
        with open(self.sandbox.top + "/errors", encoding="utf-8", errors="replace") as file:
            return file.read()[-2000:]


def words(denials):
    return ", ".join("%s %s x%d" % (d["op"], d["target"], d["count"]) for d in denials)


def resident_kb(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return int([line.split()[1] for line in file if line.startswith("VmRSS")][0])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=("root", "user", "userns"), default=os.environ.get("BERM_MODE", "root"))
    parser.add_argument("--berm", help="the program under test, else $BERM")
    parser.add_argument("--minutes", type=float, default=0, help="0: one round")
    parser.add_argument("--share", type=float, default=1, help="of the time that is spent working, at most")
    arguments = parser.parse_args()
    berm = harness.find_berm(arguments.berm)
    if not harness.enter_mode(arguments.mode):
        print("1..0 # SKIP mode %s needs root of the host" % arguments.mode)
        return 1 if os.environ.get("MUST_RUN") else harness.SKIPPED
    os.nice(19)
    sandbox = sandboxes.Sandbox(arguments.mode, berm, "/nonexistent")
    tap = harness.Tap()
    begun = time.monotonic()
    try:
        soak = Soak(sandbox, arguments.minutes, arguments.share)
        soak.judge(tap, soak.go(), begun)
    finally:
        sandbox.close()
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
