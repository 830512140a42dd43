# SPDX-License-Identifier: Apache-2.0
"""berm kill: runs are stopped, looked at and ended without a word from their own berms. What the tools did is looked at
from outside of the runs."""
import json
import os
import shutil
import signal
import subprocess
import time

import harness
from sandbox import Skip

AT_ONCE = 20
DEGRADED = "--allow-degraded=bpf,notify,landlock"
# Nothing of what is to be killed lets itself be talked to.
DEAF = "trap '' INT TERM HUP; "
WRITES = "i=0; while :; do i=$((i+1)); echo $i > tick.$1; done"
FORKS = "while :; do (sleep 0.01 & ); sleep 0.002; done"
DOUBLE = "(setsid sh -c 'while :; do date > late.$1; done' sh $1 &) ; sleep 300"


def own_place(sandbox):
    """A runtime directory of one's own, so that --all means the runs of this row."""
    place = sandbox.top + "/runtime"
    os.makedirs(place, mode=0o700, exist_ok=True)
    return sandbox.environment(XDG_RUNTIME_DIR=place)


def kill(sandbox, *words, env=None):
    return harness.run([sandbox.berm, "kill", *words], env=env or sandbox.environment(), cwd=sandbox.ws)


def start(sandbox, script, number=0, env=None):
    return sandbox.start(["/bin/sh", "-c", script, "sh", str(number)], env=env or sandbox.environment())


def id_of(sandbox, process, case, env=None):
    """The id of the run that this berm has, from berm ps."""
    until = time.monotonic() + 20 * harness.SLOWER
    while time.monotonic() < until:
        result = harness.run([sandbox.berm, "ps", "--json"], env=env or sandbox.environment(), cwd=sandbox.ws)
        for run in json.loads(result.text)["runs"]:
            if run["pid"] == process.pid:
                return run["run"]
        time.sleep(0.02)
    case.that(False, "berm ps does not show it")
    return None


def content(sandbox, name):
    try:
        with open(sandbox.ws + "/" + name, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGKILL)
    return process.communicate(timeout=20 * harness.SLOWER)


def one_that_is_deaf_goes(sandbox, case):
    process = start(sandbox, DEAF + WRITES, 1)
    run = id_of(sandbox, process, case)
    case.that(harness.wait_for(lambda: content(sandbox, "tick.1"), 20), "it does not write")
    result = kill(sandbox, "--json", "--reason", "went\nwrong", run[:20])
    last = content(sandbox, "tick.1")
    case.code(result, 0)
    told = json.loads(result.text)
    case.that(len(told["killed"]) == 1 and told["killed"][0]["run"] == run and told["killed"][0]["gone"], told)
    case.that(told["recorded"], result.errors)
    time.sleep(0.2)
    case.that(content(sandbox, "tick.1") == last, "it went on after it was said to be gone")
    _, errors = process.communicate(timeout=20 * harness.SLOWER)
    case.that(process.returncode == 137, process.returncode)
    # What the person said is bytes of somebody else to who reads it.
    case.that(b"killed by uid %d, pid" % os.getuid() in errors and b"went\\x0awrong" in errors, errors)
    with open("%s/evidence/%s" % (sandbox.state, told["killed"][0]["evidence"]), encoding="utf-8") as file:
        seen = json.load(file)
    # On a machine that is slower than the time for looking it says so.
    words = [" ".join(found["arguments"]) for found in seen["processes"] or []]
    case.that(seen["cut"] or any("tick.$1" in line for line in words), seen)
    log = harness.run([sandbox.berm, "log", "--json"], env=sandbox.environment(), cwd=sandbox.ws)
    case.that(run in log.text and '"kill"' in log.text, log.text[-2000:])
    verdict = harness.run([sandbox.berm, "log", "verify"], env=sandbox.environment(), cwd=sandbox.ws)
    case.code(verdict, 0)


def kept(sandbox, run):
    """The names in the upper layer of a run that lasts."""
    top = "%s/changes/%s" % (sandbox.state, run)
    return {name for _, _, files in os.walk(top) for name in files}


def what_it_was_in_is_kept(sandbox, case):
    """Posture and phase, and where its writes are: also of a run whose berm answers nobody when it is killed."""
    rules = "workspace: {path: \"${WORKDIR}\", mode: staged}\nblast_radius: {files_changed: 9, on_exceed: alternate}\n"
    process = sandbox.start(["/bin/sh", "-c", "echo made > made; " + DEAF + "while :; do sleep 0.05; done"], DEGRADED,
                            profile=sandbox.write_profile("kept", rules), env=sandbox.environment())
    evidence = []
    try:
        run = id_of(sandbox, process, case)
        case.that(harness.wait_for(lambda: "made" in kept(sandbox, run), AT_ONCE), "it does not write")
        case.code(harness.run([sandbox.berm, "pace", "set", run, "read-only"], env=sandbox.environment()), 0)
        process.send_signal(signal.SIGSTOP)
        told = json.loads(kill(sandbox, "--json", run).text)
        with open("%s/evidence/%s" % (sandbox.state, told["killed"][0]["evidence"]), encoding="utf-8") as file:
            evidence = json.load(file)
    finally:
        end(process)
    listed = harness.run([sandbox.berm, "changes", "show", "--json", run], env=sandbox.environment())
    case.that(evidence["posture"] == "read-only" and evidence["changes"] == run, evidence)
    case.that(evidence["phase"] == "primary" and evidence["agent_id"] is None, evidence)
    case.that([change["path"] for change in json.loads(listed.text)["changes"]] == ["made"], *listed.describe())
    harness.run([sandbox.berm, "changes", "rollback", run], env=sandbox.environment())


def a_stopped_berm_is_not_asked(sandbox, case):
    """The supervisor of the run is stopped, and so would never answer, reap or write anything."""
    process = start(sandbox, DEAF + DOUBLE, 2)
    try:
        run = id_of(sandbox, process, case)
        case.that(harness.wait_for(lambda: content(sandbox, "late.2"), 20), "its grandchild does not write")
        process.send_signal(signal.SIGSTOP)
        for words in (("ps", "--json"), ("top", "--once", "--json")):
            result = harness.run([sandbox.berm, *words], env=sandbox.environment(), cwd=sandbox.ws)
            listed = json.loads(result.text)
            case.that([found["run"] for found in listed["silent"]].count(run) == 1, words, listed["silent"])
        result = harness.run([sandbox.berm, "top", "--once"], env=sandbox.environment(), cwd=sandbox.ws)
        case.that(run in result.text and "does not answer" in result.text, *result.describe())
        begun = time.monotonic()
        result = kill(sandbox, "--json", run)
        took = time.monotonic() - begun
        last = content(sandbox, "late.2")
        case.code(result, 0)
        case.that(json.loads(result.text)["killed"][0]["gone"], result.text)
        case.that(took < 5 * harness.SLOWER, "%.1f s" % took)
        time.sleep(0.2)
        case.that(content(sandbox, "late.2") == last, "it went on")
        log = harness.run([sandbox.berm, "log", "--json"], env=sandbox.environment(), cwd=sandbox.ws)
        case.that('"kill"' in log.text, "not in the log while its berm is stopped")
        case.code(kill(sandbox, run), 2)
        process.send_signal(signal.SIGCONT)
        case.that(process.wait(20 * harness.SLOWER) == 137, "exit %s" % process.returncode)
    finally:
        end(process)
    case.summary = "%.0f ms" % (took * 1000)


def all_go_at_once(sandbox, case):
    """Writers, forkers and orphans together; only as an ordinary user, since root's --all is the whole host."""
    if sandbox.mode != "user":
        raise Skip("--all of root would end runs of others")
    env = own_place(sandbox)
    scripts = (WRITES, FORKS, DOUBLE)
    processes = [start(sandbox, DEAF + scripts[number % 3], number, env) for number in range(AT_ONCE)]
    try:
        listed = [sandbox.berm, "ps", "--json"]
        begun = harness.wait_for(
            lambda: len(json.loads(harness.run(listed, env=env, cwd=sandbox.ws).text)["runs"]) == AT_ONCE, 60)
        case.that(begun, "not all have begun")
        ticks = ["%s/tick.%d" % (sandbox.ws, n) for n in range(0, AT_ONCE, 3)]
        case.that(harness.wait_for(lambda: all(os.path.exists(name) for name in ticks), 20), "not all write")
        for process in processes[::2]:
            process.send_signal(signal.SIGSTOP)
        result = kill(sandbox, "--all", "--json", env=env)
        after = {name: content(sandbox, name) for name in os.listdir(sandbox.ws)}
        case.code(result, 0)
        told = json.loads(result.text)["killed"]
        case.that(len(told) == AT_ONCE and all(run["gone"] for run in told), told)
        time.sleep(0.3)
        case.that({name: content(sandbox, name) for name in os.listdir(sandbox.ws)} == after, "something went on")
        case.code(kill(sandbox, "--all", env=env), 0)
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
        for process in processes:
            case.that(process.wait(20 * harness.SLOWER) == 137, "exit %s" % process.returncode)
            end(process)
    case.summary = "%d runs, the last gone after %.0f ms" % (AT_ONCE, max(run["gone_after_us"] for run in told) / 1000)


def a_lie_about_the_place_kills_nobody(sandbox, case):
    """A place that points at a process which is no run's, with everything else as it is in a true one."""
    env = own_place(sandbox)
    if sandbox.mode != "user":
        env = sandbox.environment()
    process = start(sandbox, "sleep 300", 3, env)
    victim = subprocess.Popen(["/bin/sleep", "300"])
    try:
        run = id_of(sandbox, process, case, env)
        places = [path for path in (env.get("XDG_RUNTIME_DIR", "") + "/berm/runs", "/run/berm/runs",
                                    "/tmp/berm-%d/runs" % os.geteuid()) if os.path.exists(path + "/%s.place" % run)]
        if not case.that(len(places) == 1, "no place", places):
            return
        name = places[0] + "/%s.place" % run
        with open(name, "rb") as file:
            true = file.read()
        pid, begun = field(true, 3), field(true, 4)
        # Also with the time at which the other one began, which anybody can read.
        other = true.replace(number(3, pid), number(3, victim.pid), 1)
        lies = [other, other.replace(number(4, begun), number(4, start_of(victim.pid)), 1), b"", b"\xff" * 100,
                true.replace(number(3, pid), number(3, 1), 1), true.replace(number(4, begun), number(4, begun + 1), 1)]
        for lie in lies:
            with open(name, "wb") as file:
                file.write(lie)
            result = kill(sandbox, run, env=env)
            case.that(result.code in (1, 2), "exit %d" % result.code, *result.describe())
            case.that(victim.poll() is None, "somebody else was killed")
            case.that(process.poll() is None, "the run was killed by a lie")
        with open(name, "wb") as file:
            file.write(true)
        case.code(kill(sandbox, run, env=env), 0)
        process.wait(20 * harness.SLOWER)
        case.that(victim.poll() is None, "somebody else was killed")
    finally:
        victim.kill()
        victim.wait()
        end(process)


def start_of(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
        return int(file.read().rsplit(")", 1)[1].split()[19])


def number(tag, value):
    """A field of protobuf with a number."""
    out = bytearray([tag << 3])
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(message, tag):
    """The number of that field, where only fields with one-byte tags come before it."""
    at = 0
    while at < len(message):
        found, kind = message[at] >> 3, message[at] & 7
        at += 1
        value, shift = 0, 0
        while True:
            value |= (message[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if message[at - 1] < 128:
                break
        if found == tag:
            return value
        if kind == 2:
            at += value
    return None


def wrong_words_are_refused(sandbox, case):
    for words in ((), ("--all", "01"), ("a", "b"), ("",), ("--reason", "x" * 201, "01")):
        result = kill(sandbox, *words)
        case.that(result.code == 2 and "usage: berm kill" in result.errors, words, *result.describe())
    for word, why in (("no/such", "no run, no agent and no group"), ("0" * 27, "1 to 26 letters"),
                      ("run:u", "1 to 26 letters")):
        result = kill(sandbox, word)
        case.that(result.code == 2 and why in result.errors, *result.describe())
    result = kill(sandbox, "7ZZZZZZZZZ")
    case.that(result.code == 2 and "no run begins with" in result.errors, *result.describe())


def somebody_elses_run_stays(sandbox, case):
    if sandbox.mode != "root":
        raise Skip("needs two users")
    sandbox.sudo = False
    process = start(sandbox, "sleep 300", 4)
    try:
        run = id_of(sandbox, process, case)
        stranger = harness.run(["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups", sandbox.berm, "kill", run],
                               env=sandbox.environment(HOME="/nonexistent"), cwd="/")
        case.that(stranger.code == 2, *stranger.describe())
        case.that(process.poll() is None, "it was killed by a stranger")
        case.code(kill(sandbox, run), 0)
        process.wait(20 * harness.SLOWER)
    finally:
        end(process)


def a_user_cannot_shield_a_run(sandbox, case):
    """Somebody writes places with the id of a run of root's, of their own processes, and more than are looked at."""
    if sandbox.mode != "root":
        raise Skip("needs two users")
    stranger = 54329
    directory = "/tmp/berm-%d" % stranger
    if os.path.exists(directory):
        raise Skip("somebody has that uid")
    mine = ["setpriv", "--reuid=%d" % stranger, "--regid=%d" % stranger, "--clear-groups"]
    process = start(sandbox, "sleep 300", 5)
    fake = subprocess.Popen(mine + ["unshare", "-Urpf", "sleep", "300"])
    try:
        run = id_of(sandbox, process, case)
        with open("/run/berm/runs/%s.place" % run, "rb") as file:
            true = file.read()
        case.that(harness.wait_for(lambda: children(fake.pid), 20), "no process of the stranger's")
        first = children(fake.pid)
        place = true.replace(number(3, field(true, 3)), number(3, first[0]), 1)
        place = place.replace(number(4, field(true, 4)), number(4, start_of(first[0])), 1)
        os.makedirs(directory + "/runs", 0o700)
        for name in [run] + ["%026d" % n for n in range(300)]:
            with open("%s/runs/%s.place" % (directory, name), "wb") as file:
                file.write(place)
        for path in (directory, directory + "/runs"):
            os.chown(path, stranger, stranger)
        result = kill(sandbox, "--json", run)
        case.code(result, 0)
        told = json.loads(result.text)["killed"]
        case.that([(found["run"], found["uid"], found["gone"]) for found in told] == [(run, sandbox.uid, True)], told)
        process.wait(20 * harness.SLOWER)
        case.that(fake.poll() is None, "a whole id of one's own run means that run")
        result = kill(sandbox, "--json", "%026d" % 7)
        case.code(result, 0)
        told = json.loads(result.text)["killed"]
        case.that(len(told) == 1 and told[0]["uid"] == stranger and told[0]["gone"], told)
        fake.wait(20 * harness.SLOWER)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        fake.kill()
        fake.wait()
        end(process)


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def no_descriptors_is_no_end(sandbox, case):
    """What could not be looked at is told, and is not taken to be gone."""
    env = own_place(sandbox) if sandbox.mode == "user" else sandbox.environment()
    processes = [start(sandbox, "sleep 300", n, env) for n in range(4)]
    try:
        runs = [id_of(sandbox, process, case, env) for process in processes]
        if sandbox.mode == "user":
            result = harness.run(["sh", "-c", "ulimit -n 7; exec \"$@\"", "sh", sandbox.berm, "kill", "--all"], env=env,
                                 cwd=sandbox.ws)
            case.that(result.code == 1 and "Too many open files" in result.text, *result.describe())
        for run, process in zip(runs, processes):
            # Its berm may still be about to end: then the run is gone, and the berm follows.
            if process.poll() is None:
                result = kill(sandbox, run, env=env)
                case.that(result.code == 0 or "no run begins with" in result.errors, *result.describe())
            process.wait(20 * harness.SLOWER)
    finally:
        for process in processes:
            end(process)


ROWS = [
    ("a run that ignores signals is killed, with evidence and record", one_that_is_deaf_goes),
    ("evidence has what the run was in, and where its writes are", what_it_was_in_is_kept),
    ("a run is killed while its berm is stopped", a_stopped_berm_is_not_asked),
    ("all runs go at once", all_go_at_once),
    ("a lie about the place of a run kills nobody", a_lie_about_the_place_kills_nobody),
    ("wrong words are refused", wrong_words_are_refused),
    ("a run of somebody else stays", somebody_elses_run_stays),
    ("nobody shields a run with places of their own", a_user_cannot_shield_a_run),
    ("a run that could not be looked at is not said to be gone", no_descriptors_is_no_end),
]
