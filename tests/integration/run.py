#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""berm run with real tools: what a user may rely on. One TAP line a row; nothing may be left behind by any."""
import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]

import cases_anchor  # noqa: E402
import cases_agents  # noqa: E402
import cases_busy  # noqa: E402
import cases_backup  # noqa: E402
import cases_ceiling  # noqa: E402
import cases_changes  # noqa: E402
import cases_crowd  # noqa: E402
import cases_approvals  # noqa: E402
import cases_commit  # noqa: E402
import cases_delegated_approvals  # noqa: E402
import cases_delegation  # noqa: E402
import cases_emergency  # noqa: E402
import cases_failpoints  # noqa: E402
import cases_learn  # noqa: E402
import cases_gates  # noqa: E402
import cases_halt  # noqa: E402
import cases_held  # noqa: E402
import cases_history  # noqa: E402
import cases_kill  # noqa: E402
import cases_killswitch  # noqa: E402
import cases_killswitch_disk  # noqa: E402
import cases_live  # noqa: E402
import cases_meter  # noqa: E402
import cases_outputs  # noqa: E402
import cases_pace  # noqa: E402
import cases_pinned  # noqa: E402
import cases_profiles  # noqa: E402
import cases_record  # noqa: E402
import cases_redteam  # noqa: E402
import cases_retention  # noqa: E402
import cases_run  # noqa: E402
import cases_shown  # noqa: E402
import cases_sinks  # noqa: E402
import cases_staged  # noqa: E402
import cases_supervise  # noqa: E402
import cases_supervise_peer  # noqa: E402
import cases_supervise_x  # noqa: E402
import cases_tools  # noqa: E402
import cases_trees  # noqa: E402
import cases_world  # noqa: E402
import cases_writes  # noqa: E402
import harness  # noqa: E402
import sandbox as sandboxes  # noqa: E402

SUITES = {"run": cases_run.ROWS, "world": cases_world.ROWS, "tools": cases_tools.ROWS,
          "meter": cases_meter.ROWS + cases_staged.METER_ROWS,
          "live": cases_live.ROWS,
          "kill": cases_kill.ROWS + cases_halt.ROWS + cases_emergency.ROWS + cases_killswitch.ROWS +
                  cases_killswitch_disk.ROWS + cases_busy.ROWS,
          "record": cases_record.ROWS + cases_anchor.ROWS + cases_outputs.ROWS + cases_retention.ROWS +
                    cases_sinks.ROWS,
          "profiles": cases_profiles.ROWS, "changes": cases_changes.ROWS + cases_staged.ROWS + cases_shown.ROWS +
                    cases_trees.ROWS,
          "learn": cases_learn.ROWS, "pinned": cases_pinned.ROWS, "agents": cases_agents.ROWS,
          "pace": cases_pace.ROWS + cases_backup.ROWS,
          "delegation": cases_delegation.ROWS + cases_delegated_approvals.ROWS,
          "supervise": cases_supervise.ROWS + cases_ceiling.ROWS + cases_crowd.ROWS,
          "control": cases_supervise_x.ROWS + cases_supervise_peer.ROWS,
          "approvals": cases_approvals.ROWS + cases_gates.ROWS + cases_commit.ROWS + cases_writes.ROWS +
          cases_held.ROWS,
          "slow": cases_tools.SLOW + cases_learn.SLOW}
USUAL = ("run", "world", "tools", "profiles", "meter", "live", "kill", "learn", "changes", "record", "pinned",
         "agents", "pace", "delegation", "supervise", "control", "approvals")
SUITES["redteam"] = cases_redteam.ROWS
SUITES["failpoints"] = cases_failpoints.ROWS
SUITES["history"] = cases_history.ROWS
USUAL += ("redteam", "history")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=("root", "user", "userns"), default=os.environ.get("BERM_MODE", "root"))
    parser.add_argument("--berm", help="the program under test, else $BERM")
    parser.add_argument("--cache", default=os.environ.get("BERM_TEST_CACHE", "/var/tmp/berm-test-cache"),
                        help="where programs of others are installed once")
    parser.add_argument("--suite", action="append", choices=sorted(SUITES), help="else all but slow")
    parser.add_argument("--log-show", help="the program that reads a log, for the suite record")
    parser.add_argument("--only", action="append", help="rows whose title holds this")
    parser.add_argument("--fill", action="store_true", help="only install the programs of others")
    arguments = parser.parse_args()
    cache = cases_tools.fill_cache(arguments.cache)
    if arguments.fill:
        return 0
    berm = harness.find_berm(arguments.berm)
    if not harness.enter_mode(arguments.mode):
        print("1..0 # SKIP mode %s needs root of the host" % arguments.mode)
        return 1 if os.environ.get("MUST_RUN") else harness.SKIPPED
    log_show = arguments.log_show and os.path.abspath(arguments.log_show)
    if arguments.mode == "root":
        harness.forget_login()
    sandbox = sandboxes.Sandbox(arguments.mode, berm, cache, log_show)
    tap = harness.Tap()
    try:
        for suite in arguments.suite or USUAL:
            for title, function in SUITES[suite]:
                if not arguments.only or any(word in title for word in arguments.only):
                    sandboxes.judge(sandbox, tap, title, function)
    finally:
        sandbox.close()
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
