# SPDX-License-Identifier: Apache-2.0
"""The kill switch and its own file: what holds once, whatever becomes of the disk and of the switch."""
import contextlib
import json
import os
import resource
import signal
import subprocess

import cases_emergency
import cases_killswitch
import harness
from cases_killswitch import list_key, row, sign


@row("full")
def a_full_disk_keeps_no_order_from_being_followed(world, sandbox, case, switch):
    """Not a byte can be written, and nothing of it is in its own file: what it remembers still holds an order once."""
    case.code(world.add("worker", "--running", "3"), 0)
    key = list_key(world, case, "kill-key")
    switch.stop()
    switch.start()
    process = cases_emergency.begin(world, case, "worker", 0)
    try:
        order = sign(world, case, key, "full", "agent:worker")
        resource.prlimit(switch.process.pid, resource.RLIMIT_FSIZE, (0, 0))
        result = switch.send("--json", "--order", order)
        case.that(result.code == 0 and json.loads(result.text)["gone"] == 1, *result.describe())
        case.that(process.wait(30 * harness.SLOWER) == 137, process.returncode)
        result = switch.send("--order", order)
        case.that(result.code == 1 and "followed before" in result.errors, *result.describe())
        case.that(switch.journal() == [], switch.journal())
    finally:
        cases_emergency.finish(world, [process])


def is_ahead(world, case, switch, order):
    """An order whose deed takes a second: whether it was in the file well before there was an answer."""
    before = len(switch.lines())
    sender = subprocess.Popen([world.sandbox.berm, "killswitch", "send", "--order", order], env=world.environment(),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        case.that(harness.wait_for(lambda: len(switch.lines()) > before, 30), "nothing is written")
        with contextlib.suppress(subprocess.TimeoutExpired):
            sender.wait(0.3)
        return sender.poll() is None
    finally:
        harness.stop(sender)


@row("ahead")
def an_order_is_used_before_it_is_followed(world, sandbox, case, switch):
    """Whoever ends the kill switch in the middle of a deed can have the order followed no second time."""
    case.code(world.add("worker"), 0)
    key = list_key(world, case, "kill-key")
    switch.stop()
    switch.start()
    beginning = cases_killswitch.Beginning(switch)
    try:
        words = "run:" + cases_killswitch.Beginning.ID
        # Where all is so busy that the second is over first, another one is tried.
        for number in range(20):
            order = sign(world, case, key, "ahead-%d" % number, words)
            if is_ahead(world, case, switch, order):
                break
        else:
            case.that(False, "no order is written before its deed is over", switch.lines())
        for pid in cases_killswitch.children(switch.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        case.that(switch.stop(signal.SIGKILL) == -9, "killed")
        switch.start()
        result = switch.send("--order", order)
        case.that(result.code == 1 and "followed before" in result.errors, *result.describe())
    finally:
        beginning.close()


ROWS = [
    ("a full disk keeps no order to the kill switch from being followed",
     a_full_disk_keeps_no_order_from_being_followed),
    ("an order to the kill switch is used before it is followed", an_order_is_used_before_it_is_followed),
]
