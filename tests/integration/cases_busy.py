# SPDX-License-Identifier: Apache-2.0
"""RT-11: a host full of runs that want to stay is empty a second after the order, and nothing was done after the time
that is recorded; also while everything that watches over these runs is stopped."""
import contextlib
import os
import shutil

import busy
import harness
from sandbox import Skip

RUNS = int(os.environ.get("BERM_BUSY_RUNS", "20"))
LIMITS = "limits: {pids: %d}\n" % (2 * busy.BOMB_TASKS)
METER = "blast_radius: {files_changed: 1000000000}\n" \
    "pace:\n  alternate:\n    when: [{event: denial, count: 64, within: 1m}]\n"
SOON_MS = 1000


def row(*stopped):
    """Who is stopped when the order comes."""
    def judged(sandbox, case):
        if sandbox.mode == "userns":
            raise Skip("--all of root there is more than this row's runs")
        if not os.path.exists("/usr/bin/perl"):
            raise Skip("needs perl")
        place = contextlib.nullcontext() if sandbox.mode == "user" else busy.apart()
        top = "%s/busy-%s" % (sandbox.top, "-".join(stopped))
        os.mkdir(top, 0o755)
        environment = sandbox.environment()
        for name in ("SUDO_UID", "SUDO_GID"):
            environment.pop(name, None)
        profiles = (sandbox.write_profile("busy", LIMITS), sandbox.write_profile("busy-metered", LIMITS + METER))
        for profile in profiles:
            os.chmod(profile, 0o644)
        with place:
            crowd = busy.Crowd(sandbox.berm, top, RUNS, profiles, environment,
                               sandbox.uid if sandbox.mode == "root" else None)
            try:
                order(crowd, case, stopped)
            except OSError as error:
                case.that(False, error)
            finally:
                codes = crowd.finish()
        case.that(set(codes) == {137}, codes)
        shutil.rmtree(top)
    return judged


def order(crowd, case, stopped):
    slow = harness.slowness()
    crowd.start()
    if stopped:
        case.that(crowd.stop(*stopped) >= (RUNS + 1 if "supervisor" in stopped else 1), "who is stopped")
    told = crowd.kill()
    if not case.that(told["code"] == (3 if "recorder" in stopped else 0) and "t_boot_ns" in told, told):
        return
    case.that(told["gone"] == RUNS and told["tasks_left"] == 0, told)
    # All were at work until then, and somebody else went on: it is seen what is done after T.
    awake = sum(busy.is_own(number) or "supervisor" not in stopped for number in range(RUNS))
    case.that(told["at_work"] >= awake and told["before"] >= RUNS and told["control"] > 0, told)
    case.that(told["after"] == 0 and told["newest_ms"] < 0, told)
    # Less than a second, on a machine that has nothing else to do (tests/bench has the figures): the crowd is gone, and
    # who is there now was there before.
    slow = max(1.0, slow, harness.slowness())
    allowed = 3 * SOON_MS * slow
    case.that(told["last_gone_ms"] < allowed * harness.SLOWER, allowed, told)
    crowd.go_on()
    if "recorder" not in stopped:
        case.that(crowd.recorded_t() == (told["t_boot_ns"], RUNS), crowd.recorded_t(), told)
    case.summary = "%d runs, the last gone %.0f ms after the order, the last write %.0f ms before that" % (
        RUNS, told["last_gone_ms"], -told["newest_ms"])


ROWS = [
    ("busy runs are gone a second after the order", row()),
    ("busy runs are gone a second after the order, their supervisors stopped", row("supervisor")),
    ("busy runs are gone a second after the order, supervisors and recorder stopped", row("supervisor", "recorder")),
]
