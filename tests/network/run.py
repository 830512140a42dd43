#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What reaches the network from a run and what does not, counted by those who listen. Each attack is first made
outside, where it must get through. Everything happens in a network namespace of the test's own."""
import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE] + [os.path.join(os.path.dirname(HERE), name) for name in ("support", "integration")]

import harness  # noqa: E402
import rows  # noqa: E402
import sandbox as sandboxes  # noqa: E402
import world as worlds  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--berm", help="the program under test, else $BERM")
    parser.add_argument("--only", action="append", help="rows whose title holds this")
    arguments = parser.parse_args()
    berm = harness.find_berm(arguments.berm)
    if not harness.enter_mode("root"):
        print("1..0 # SKIP links of runs need root")
        return 1 if os.environ.get("MUST_RUN") else harness.SKIPPED
    world = worlds.World()
    world.enter()
    world.serve()
    sandbox = sandboxes.Sandbox("root", berm, "")
    bench = rows.Bench(sandbox, world)
    tap = harness.Tap()
    try:
        for title, function in rows.ROWS:
            if not arguments.only or any(word in title for word in arguments.only):
                world.reset()
                sandboxes.judge(bench.sandbox, tap, title, lambda _, case, f=function: f(bench.for_case(case)))
    finally:
        world.stop = True
        sandbox.close()
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
