# SPDX-License-Identifier: Apache-2.0
"""RT-11: from the order to the last task of a host full of busy runs, and what was done after it."""
import os
import shutil
import signal
import subprocess
import time

import busy
import harness

RUNS = int(os.environ.get("BERM_BUSY_RUNS", "100"))
ROUNDS = int(os.environ.get("BERM_BUSY_ROUNDS", "5"))
BERM_UID, PEER_UID = 54376, 54377  # nobody has them
LIMITS = "limits: {pids: %d}\n" % (2 * busy.BOMB_TASKS)
WRITE = "  write: [\"${WORKDIR}\"]\n"
BWRAP = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-all", "--die-with-parent"]
METER = ("blast_radius: {files_changed: 1000000000}\n"
         "pace:\n  alternate:\n    when: [{event: denial, count: 64, within: 1m}]\n")
VARIANTS = (("all running", ()), ("supervisors SIGSTOPped", ("supervisor",)), ("recorders SIGSTOPped", ("recorder",)))


def figures(bench):
    if os.geteuid():
        return
    profiles = []
    for name, more in (("own", ""), ("metered", METER)):
        profiles.append(bench.write_profile("crowd-" + name, WRITE + LIMITS + more))
    berm = shutil.copy(bench.berm, bench.top + "/crowd-berm")
    bench.line("crowd: runs of each round", "%d (%s)" % (RUNS, ", ".join(name for name, _ in busy.KINDS)))
    for name, stopped in VARIANTS:
        told = [one(bench, berm, profiles, stopped) for _ in range(ROUNDS)]
        title = "kill --all, %s: " % name
        bench.line(title + "order to last task gone", spread([one["last_gone_ms"] for one in told]))
        bench.line(title + "order to the verb at work", spread([one["begun_ms"] for one in told]))
        bench.line(title + "the verb, with evidence and record", spread([one["verb_ms"] for one in told]))
        bench.line(title + "runs gone, tasks left", "%d, %d" % (sum(one["gone"] for one in told),
                                                                sum(one["tasks_left"] for one in told)))
        bench.line(title + "files written before T, after T", "%d, %d" % (sum(one["before"] for one in told),
                                                                          sum(one["after"] for one in told)))
        bench.line(title + "last write, before T", spread([-one["newest_ms"] for one in told]))
        bench.line(title + "the same count of who is no run", "%d" % sum(one["control"] for one in told))
    for name, lead in (("bwrap --unshare-all", BWRAP), ("no sandbox", [])):
        bench.line("a loop of SIGKILL, %s: order to last task gone" % name,
                   spread([peer(bench, lead) for _ in range(ROUNDS)]))


def spread(values):
    values = sorted(values)
    return "%.0f ms median, %.0f ms at most of %d" % (values[len(values) // 2], values[-1], len(values))


def one(bench, berm, profiles, stopped):
    top = bench.top + "/crowd"
    os.mkdir(top, 0o755)
    environment = {name: value for name, value in bench.environment.items() if name != "BERM_STATE_DIR"}
    with busy.apart():
        crowd = busy.Crowd(berm, top, RUNS, profiles, environment, BERM_UID)
        try:
            crowd.start()
            crowd.stop(*stopped)
            return crowd.kill()
        finally:
            crowd.finish()
            shutil.rmtree(top)


def of_uid(uid):
    found = []
    for pid in busy.pids():
        try:
            if os.stat("/proc/%d" % pid).st_uid == uid and not busy.is_dead(pid):
                found.append(pid)
        except OSError:
            pass
    return found


def peer(bench, lead):
    """Milliseconds until nothing of that user is left, each killed as it is found, again and again."""
    work = bench.top + "/peer"
    os.mkdir(work, 0o755)
    os.chown(work, PEER_UID, PEER_UID)
    # All have one user, whose processes are as many as those of all runs together are.
    limit = ["prlimit", "--nproc=%d" % (busy.BOMB_TASKS * RUNS), "setpriv", "--reuid=%d" % PEER_UID,
             "--regid=%d" % PEER_UID, "--clear-groups"]
    bind = ["--bind", work, work, "--chdir", work] if lead else []
    tools = [subprocess.Popen(limit + lead + bind + busy.tool(number), cwd=work, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for number in range(RUNS)]
    marks = ["%s/mark.%d" % (work, number) for number in range(RUNS)]
    harness.wait_for(lambda: all(map(os.path.exists, marks)), 60)
    time.sleep(2)
    ordered = time.monotonic()
    left = of_uid(PEER_UID)
    while left and time.monotonic() - ordered < 60:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        left = of_uid(PEER_UID)
    took = (time.monotonic() - ordered) * 1000
    for process in tools:
        process.wait()
    shutil.rmtree(work)
    return took
