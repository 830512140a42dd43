#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Attacks, each run outside where it must get through and behind the walls where it must not."""
import argparse
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import harness  # noqa: E402
import rows  # noqa: E402
import rows_fs  # noqa: E402
import rows_kernel  # noqa: E402
import rows_proc  # noqa: E402
import rows_state  # noqa: E402
import world as worlds  # noqa: E402

TABLE = rows_fs.ROWS + rows_proc.ROWS + rows_kernel.ROWS + rows_state.ROWS


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=("root", "user", "userns"), default=os.environ.get("ESCAPE_MODE", "root"))
    parser.add_argument("--berm", help="the program under test, else $BERM")
    parser.add_argument("--programs", default=os.environ.get("ESCAPE_PROGRAMS"), help="where the payloads were built")
    parser.add_argument("--only", action="append", help="rows whose id or title holds this")
    parser.add_argument("--slow", action="store_true", help="the rows that take long, instead of the others")
    parser.add_argument("--controls", action="store_true", help="only what must get through outside")
    parser.add_argument("--times", action="store_true", help="print how long each row took")
    parser.add_argument("--keep", action="store_true", help="leave the tree for looking at")
    arguments = parser.parse_args()
    berm = harness.find_berm(arguments.berm)
    if not arguments.programs:
        parser.error("--programs or ESCAPE_PROGRAMS: where is escape-payload?")
    if not harness.enter_mode(arguments.mode):
        print("1..0 # SKIP mode %s needs root of the host" % arguments.mode)
        return 1 if os.environ.get("MUST_RUN") else harness.SKIPPED
    world = worlds.World(arguments.mode, berm, os.path.abspath(arguments.programs))
    tap = harness.Tap()
    try:
        for row in TABLE:
            wanted = not arguments.only or any(word in row.ident + " " + row.title for word in arguments.only)
            if wanted and arguments.mode in row.modes and (arguments.only or row.slow == arguments.slow):
                start = time.monotonic()
                rows.judge(world, row, tap, arguments.controls)
                if arguments.times:
                    print("# %.1f s" % (time.monotonic() - start))
    finally:
        if not arguments.keep:
            world.close()
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
