#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The notify make of the meter on real runs: what is counted, what is refused, and who cannot get past it. Effects are
looked at from outside, and each row has a run beside it in which the same deed gets through."""
import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path[:0] = [HERE, TESTS + "/integration", TESTS + "/support"]

import cases  # noqa: E402
import harness  # noqa: E402
import sandbox as sandboxes  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=("root", "user", "userns"), default=os.environ.get("BERM_MODE", "root"))
    parser.add_argument("--build", required=True, help="the directory with gate-run and gate-payload")
    parser.add_argument("--only", action="append", help="rows whose title holds this")
    parser.add_argument("--rounds", type=int, default=cases.ROUNDS, help="of the storm at a cap")
    parser.add_argument("--seconds", type=float, default=15, help="after which the storm's rounds end earlier")
    arguments = parser.parse_args()
    if not harness.enter_mode(arguments.mode):
        print("1..0 # SKIP mode %s needs root of the host" % arguments.mode)
        return 1 if os.environ.get("MUST_RUN") else harness.SKIPPED
    sandbox = sandboxes.Sandbox(arguments.mode, arguments.build + "/gate-run", "/nonexistent")
    world = cases.World(sandbox, arguments.build, arguments.rounds, arguments.seconds)
    tap = harness.Tap()
    try:
        for title, function in cases.rows():
            if not arguments.only or any(word in title for word in arguments.only):
                sandboxes.judge(sandbox, tap, title, lambda _, case, run=function: run(world, case))
    finally:
        sandbox.close()
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
