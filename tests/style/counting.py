#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whoever counts the tests must not count wrong: counting.py TOOLS_DIR, prints TAP.

Rows of test programs with the verdicts that tools/run-tests has to give, and rows of results with the sum
that tools/check has to make of them."""
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import subprocess
import sys
import tempfile
import time

TOOLS = os.path.abspath(sys.argv[1])
# name, protocol, shell script, wanted (verdict, name) pairs
PROGRAMS = [
    ("good lines pass", "tap", "echo 1..2; echo ok 1 - a; echo ok 2 - b", [("passed", "a"), ("passed", "b")]),
    ("a bad line fails", "tap", "echo 1..1; echo not ok 1 - a; exit 1", [("failed", "a")]),
    ("a name may hold a number sign", "tap", "echo 1..1; echo 'ok 1 - issue #12'", [("passed", "issue #12")]),
    ("a skip is a skip, with its reason", "tap", "echo 1..1; echo 'ok 1 - a # SKIP no cgroup'", [("skipped", "a")]),
    ("cmocka puts the name behind the skip", "tap", "echo 1..1; echo 'ok 1 # SKIP a'", [("skipped", "a")]),
    ("all skipped is a skip", "tap", "echo '1..0 # SKIP no root'", [("skipped", "everything")]),
    ("a thing to do is a failure", "tap", "echo 1..1; echo 'not ok 1 - a # todo later'", [("failed", "a")]),
    ("fewer lines than planned fail", "tap", "echo 1..2; echo ok 1 - a", [("passed", "a"), ("failed", "stream")]),
    ("more lines than planned fail", "tap", "echo 1..1; echo ok 1 - a; echo ok 2 - b",
     [("passed", "a"), ("passed", "b"), ("failed", "stream")]),
    ("no plan fails", "tap", "echo ok 1 - a", [("passed", "a"), ("failed", "stream")]),
    ("a plan of nothing fails", "tap", "echo hello", None),
    ("bailing out fails", "tap", "echo 1..1; echo ok 1 - a; echo 'Bail out! broken'",
     [("passed", "a"), ("failed", "stream")]),
    ("a crash after good lines fails", "tap", "echo 1..1; echo ok 1 - a; kill -SEGV $$",
     [("passed", "a"), ("failed", "exit code")]),
    ("indented lines are somebody else's", "tap", "echo 1..1; echo '  not ok 1 - x'; echo ok 1 - a",
     [("passed", "a")]),
    ("running over its time fails", "tap", "echo 1..1; echo ok 1 - a; sleep 60", [("passed", "a"), ("failed", "time")]),
    ("exit code 0 passes", "exitcode", "true", [("passed", "")]),
    ("exit code 1 fails", "exitcode", "exit 1", [("failed", "")]),
    ("exit code 77 skips", "exitcode", "echo no root; exit 77", [("skipped", "")]),
    ("a signal fails", "exitcode", "kill -KILL $$", [("failed", "")]),
]
SAME = ("t", "t")
# name, the test in both places, results of place one, results of place two, wanted (passed, failed, skipped)
SUMS = [
    ("passes of two places add up", SAME, [("passed", "a")], [("passed", "a")], (2, 0, 0)),
    ("a skip is fine where it passed in another place", SAME, [("skipped", "a")], [("passed", "a")], (1, 0, 1)),
    ("a skip is a failure where it passed nowhere", SAME, [("skipped", "a")], [("skipped", "a")], (0, 2, 0)),
    ("a pass of another row does not excuse a skip", SAME, [("skipped", "a")], [("passed", "b")], (1, 1, 0)),
    ("a failure elsewhere does not excuse a skip", SAME, [("skipped", "a")], [("failed", "a")], (0, 2, 0)),
    ("a pass of another test does not excuse a skip", ("t", "u"), [("skipped", "a")], [("passed", "a")], (1, 1, 0)),
    ("a row of integration may run as another user", ("integration-user-x", "integration-root-x"), [("skipped", "a")],
     [("passed", "a: 3 ms")], (1, 0, 1)),
    ("a row of another suite of integration is another row", ("integration-user-x", "integration-root-y"),
     [("skipped", "a")], [("passed", "a")], (1, 1, 0)),
    ("an escape that was not tried as that user was not tried", ("escape-user", "escape-root"), [("skipped", "a")],
     [("passed", "a")], (1, 1, 0)),
]


def run_tests(tests, *options):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as listed:
        json.dump(tests, listed)
        listed.flush()
        done = subprocess.run([os.path.join(TOOLS, "run-tests"), *options, listed.name], text=True, check=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=120)
    return [json.loads(text) for text in done.stdout.splitlines()]


def as_test(name, protocol, script, timeout=20):
    return {"name": name, "cmd": ["sh", "-c", script], "env": {}, "timeout": timeout, "protocol": protocol,
            "is_parallel": True}


def programs():
    listed = [as_test(name, protocol, script, 2 if "sleep" in script else 20)
              for name, protocol, script, _ in PROGRAMS]
    for (name, _, _, wanted), entry in zip(PROGRAMS, run_tests(listed, "--jobs", "2")):
        seen = [(verdict, point) for verdict, point, _ in entry["results"]]
        good = seen == wanted if wanted is not None else any(v == "failed" for v, _ in seen)
        yield name, None if good and entry["test"] == name else f"wanted {wanted}, got {entry['results']}"


def orphans():
    """What a test leaves in its session is gone after it."""
    with tempfile.TemporaryDirectory() as place:
        mark = os.path.join(place, "mark")
        run_tests([as_test("leaves", "exitcode", f"(sleep 2; touch {mark}) & exit 0")])
        time.sleep(3)
        return "the child that was left behind went on" if os.path.exists(mark) else None


def load_check():
    loader = importlib.machinery.SourceFileLoader("check", os.path.join(TOOLS, "check.py"))
    spec = importlib.util.spec_from_loader("check", loader)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def sums():
    check = load_check()
    for name, tests, one, two, wanted in SUMS:
        run = check.Run()
        with contextlib.redirect_stdout(io.StringIO()):
            for place, test, results in (("one", tests[0], one), ("two", tests[1], two)):
                run.record(place, [{"test": test, "output": "", "results": [[v, n, "why"] for v, n in results]}])
            skipped = check.settle_skips(run)
        os.rmdir(run.home)
        os.rmdir(run.work)
        seen = (run.passed, run.failed, skipped)
        yield name, None if seen == wanted else f"wanted {wanted}, got {seen}"


def main():
    rows = [*programs(), ("a test's leftovers end with it", orphans()), *sums()]
    print(f"1..{len(rows)}")
    for number, (name, problem) in enumerate(rows, 1):
        print(f"{'not ok' if problem else 'ok'} {number} - {name}")
        if problem:
            print("# " + problem)


main()
