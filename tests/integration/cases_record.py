# SPDX-License-Identifier: Apache-2.0
"""The flight recorder from outside: what a run leaves in the log, and what happens when it or its disk fails."""
import ctypes
import json
import os
import random
import resource
import shutil
import signal
import stat
import subprocess
import threading
import time

import harness
import inventory
from sandbox import Skip

ROUNDS = 50
ROUNDS_MAX = 10 * ROUNDS
# Say something to a recorder that makes sense, and print what it answers.
TALK = """import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(5)
try:
    s.connect(sys.argv[1])
except OSError as error:
    print("closed", error.errno)
    sys.exit()
try:
    s.send(b"\\x08\\x01")
except BrokenPipeError:
    pass
try:
    print("said", s.recv(1000))
except OSError as error:
    print("silent", error.errno)
"""
AT_ONCE = 40


def entries(sandbox, state, live=False):
    """(records, verdict) of a log; the records as the dictionaries of their bodies with what is around them."""
    result = harness.run([sandbox.log_show, state] + (["live"] if live else []), timeout=60)
    lines = result.text.splitlines()
    if not lines:
        return [], "nothing: " + result.errors
    return [json.loads(line)["record"] for line in lines[:-1]], lines[-1]


def closed(sandbox, state):
    """End the recorder of that directory as a shutdown does, then read."""
    inventory.end_recorders(state)
    return entries(sandbox, state)


def of_run(records, run):
    return [record for record in records if record.get("run") == run]


def fresh_state(sandbox, name):
    """A state directory of this row alone; not there yet."""
    path = "%s/state-%s" % (sandbox.top, name)
    shutil.rmtree(path, ignore_errors=True)
    return path


def status_of(result):
    for line in result.errors.splitlines():
        if line.startswith("{"):
            return json.loads(line)
    return {}


def recorded(sandbox, state, tool, *options, **popen):
    result = sandbox.run(tool, "--json", "--state-dir", state, *options, **popen)
    return result, status_of(result)


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def a_run_is_in_the_log(sandbox, case):
    state = fresh_state(sandbox, "one")
    sandbox.file("secret", "mine\n")
    script = "cat secret; cat secret; cat secret; exit 7"
    result, status = recorded(sandbox, state, ["/bin/sh", "-c", script])
    case.code(result, 7)
    case.that(status.get("recorder") == "recorded", status)
    for name, mode in (("log", 0o750), ("keys", 0o700), ("recorder.sock", 0o600), ("keys/recorder.key", 0o600),
                       ("log/0000000001.seg", 0o640)):
        case.that(mode_of(state + "/" + name) == mode, "%s: %o" % (name, mode_of(state + "/" + name)))
    records, verdict = entries(sandbox, state, live=True)
    case.that(verdict == "good", "live: " + verdict)
    records, verdict = closed(sandbox, state)
    case.that(verdict == "good", verdict)
    mine = of_run(records, status["run"])
    if not case.that(len(mine) >= 2, records):
        return
    start, end = mine[0].get("run_start", {}), mine[-1].get("run_end", {})
    case.that(start.get("argv") == ["/bin/sh", "-c", script], start)
    case.that(start.get("caller_uid") == sandbox.uid if sandbox.mode != "userns" else True, start, sandbox.uid)
    case.that(start.get("caller_pid") == os.getpid(), start)
    case.that(start.get("plan_digest") == status["plan_digest"], start)
    case.that(start.get("working_directory") == sandbox.ws, start)
    case.that("landlock" in start.get("enforced_by", "") or "mount" in start.get("enforced_by", ""), start)
    case.that((end.get("outcome"), end.get("exit_code")) == ("exited", 7), end)
    case.that(end.get("resources", {}).get("max_rss_kib", 0) > 0, end)
    case.that(end.get("denials") == status["denials_total"], end, status["denials_total"])
    case.that([record["run_sequence"] for record in mine] == list(range(1, len(mine) + 1)), mine)


def denials_add_up(sandbox, case):
    state = fresh_state(sandbox, "denials")
    script = ("for i in 1 2 3 4 5; do unshare -U true; done; "
              "python3 -c 'import socket; socket.socket(socket.AF_VSOCK, 1)'")
    result, status = recorded(sandbox, state, ["/bin/sh", "-c", script])
    records, verdict = closed(sandbox, state)
    case.that(verdict == "good", verdict)
    told = {}
    for record in of_run(records, status["run"]):
        if "denial" in record:
            denial = record["denial"]
            told.setdefault(denial["id"], []).append(denial.get("count", 1))
            case.that(denial["rule"].get("by") == "seccomp", "refused by", denial["rule"])
    case.that(status["denials"], "nothing was refused", *result.describe())
    wanted = {row["id"]: row["count"] for row in status["denials"]}
    case.that({key: sum(counts) for key, counts in told.items()} == wanted, told, wanted)
    case.that(any(counts[0] == 1 for counts in told.values()), told)


def refused_starts_are_recorded(sandbox, case):
    state = fresh_state(sandbox, "refused")
    result, status = recorded(sandbox, state, ["/no/such/program"])
    case.code(result, 127)
    broken = sandbox.write_text(sandbox.top + "/broken.yaml", "version: 1\nname: broken\nno_such_key: 1\n")
    again, other = recorded(sandbox, state, ["/bin/true"], profile=broken)
    case.code(again, 2)
    records, verdict = closed(sandbox, state)
    case.that(verdict == "good", verdict)
    for run, outcome in ((status.get("run"), "refused"), (other.get("run"), "setup_failed")):
        mine = of_run(records, run)
        if case.that(len(mine) == 2 and "run_start" in mine[0], run, mine):
            case.that(mine[1]["run_end"]["outcome"] == outcome and mine[1]["run_end"]["reason"], mine[1])


def a_killed_berm_has_an_end(sandbox, case):
    state = fresh_state(sandbox, "killed")
    process = sandbox.start(["/bin/sleep", "60"], "--state-dir", state)
    wait_for(case, "a start", lambda: any("run_start" in record for record in entries(sandbox, state, True)[0]))
    time.sleep(0.1)
    harness.stop(process)
    process.communicate()
    wait_for(case, "an end", lambda: any("run_end" in record for record in entries(sandbox, state, True)[0]))
    records, verdict = closed(sandbox, state)
    case.that(verdict == "good", verdict)
    ends = [record["run_end"] for record in records if "run_end" in record]
    case.that(len(ends) == 1 and ends[0]["outcome"] == "killed" and "receipt" in ends[0]["reason"], ends)


def wait_for(case, what, condition, seconds=10):
    end = time.monotonic() + seconds * harness.SLOWER
    while time.monotonic() < end:
        try:
            if condition():
                return True
        except (OSError, ValueError):
            pass
        time.sleep(0.02)
    return case.that(False, "waited in vain for " + what)


def many_at_once_share_a_log(sandbox, case):
    state = fresh_state(sandbox, "many")
    processes = [sandbox.start(["/bin/true"], "--json", "--state-dir", state) for _ in range(AT_ONCE)]
    runs = []
    for process in processes:
        _, errors = process.communicate(timeout=120 * harness.SLOWER)
        lines = [line for line in errors.decode().splitlines() if line.startswith("{")]
        case.that(process.returncode == 0, "exit %s: %s" % (process.returncode, errors.decode()[-300:]))
        runs += [json.loads(line)["run"] for line in lines]
    records, verdict = closed(sandbox, state)
    case.that(verdict == "good", verdict)
    for run in runs:
        mine = of_run(records, run)
        case.that(len(mine) == 2 and "run_start" in mine[0] and "run_end" in mine[1], run, mine)
    case.that(len(set(runs)) == AT_ONCE, len(runs))
    case.that(sum("opened" in record for record in records) == 1, "recorders: %d" % sum("opened" in r for r in records))


class Killer(threading.Thread):
    """Kills the recorder of a directory at moments that are drawn, until it is told to stop."""

    def __init__(self, state, seed):
        super().__init__()
        self.state, self.random, self.over, self.killed = state, random.Random(seed), threading.Event(), 0

    def run(self):
        # Now and then a whole second: a recorder that is never let begin cannot record anything.
        longest_s = (0.02, 0.06, 0.06, 0.2, 1)
        while not self.over.wait(self.random.random() * self.random.choice(longest_s) * harness.SLOWER):
            for pid in inventory.recorders(self.state):
                try:
                    os.kill(pid, signal.SIGKILL)
                    self.killed += 1
                except OSError:
                    pass


def a_recorder_that_is_killed_loses_nothing_acknowledged(sandbox, case):
    state = fresh_state(sandbox, "storm")
    killer = Killer(state, 4711)
    killer.start()
    receipts = {}
    try:
        for number in range(ROUNDS_MAX):
            # A fast machine is through with its rounds before there were kills worth the name.
            if number >= ROUNDS and killer.killed > ROUNDS // 5:
                break
            result, status = recorded(sandbox, state, ["/bin/sh", "-c", "exit %d" % (number % 100)])
            if status.get("recorder") == "recorded":
                case.code(result, number % 100)
                receipts[status["run"]] = number % 100
            else:
                # A machine that is so busy that no recorder begins between two kills: nothing is started unrecorded.
                case.that(result.code == 125 and "does not answer" in result.errors, number, *result.describe())
    finally:
        killer.over.set()
        killer.join()
    # Whoever comes next mends what the last kill left.
    case.code(recorded(sandbox, state, ["/bin/true"])[0], 0)
    records, verdict = closed(sandbox, state)
    case.that(verdict == "good", verdict)
    for run, code in receipts.items():
        mine = {}
        for record in of_run(records, run):
            body = {key: value for key, value in record.items() if key in ("run_start", "run_end")}
            # The same number twice is the same record, told again.
            case.that(mine.setdefault(record["run_sequence"], body) == body, "two records %d of %s" % (
                record["run_sequence"], run), mine, body)
        case.that(sorted(mine) == [1, 2] and mine[2]["run_end"]["exit_code"] == code, run, mine)
    case.that(killer.killed > ROUNDS // 5, "only %d kills" % killer.killed)
    case.that(len(receipts) > ROUNDS // 2, "only %d receipts" % len(receipts))
    case.summary = "%d kills, %d receipts" % (killer.killed, len(receipts))


def a_recorder_killed_under_a_run_is_followed_by_another(sandbox, case):
    state = fresh_state(sandbox, "followed")
    process = sandbox.start(["/bin/sleep", "1.5"], "--json", "--state-dir", state)
    for _ in range(3):
        if wait_for(case, "a recorder", lambda: inventory.recorders(state)):
            time.sleep(0.2)
            for pid in inventory.recorders(state):
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
    _, errors = process.communicate(timeout=60)
    status = json.loads(errors.decode().splitlines()[-1])
    case.that(process.returncode == 0 and status["recorder"] == "recorded", process.returncode, errors)
    records, verdict = closed(sandbox, state)
    case.that(verdict == "good", verdict)
    mine = of_run(records, status["run"])
    case.that({1, 2} == {record["run_sequence"] for record in mine}, mine)
    case.that(sum("opened" in record for record in records) >= 3, [r for r in records if "opened" in r])


def no_run_where_nothing_can_be_written(sandbox, case):
    # Where even root of a host or of a user namespace makes nothing.
    state = "/proc/berm-state"
    if sandbox.mode == "user":
        state = fresh_state(sandbox, "closed")
        os.makedirs(state, 0o500)
    sandbox.file("ran", "no\n")
    result, status = recorded(sandbox, state, ["/bin/sh", "-c", "echo yes > ran"])
    case.code(result, 125)
    case.that(status.get("outcome") == "setup_failed" and "--state-dir" in result.errors, *result.describe())
    with open(sandbox.ws + "/ran", encoding="ascii") as file:
        case.that(file.read() == "no\n", "the tool ran")


def somebody_elses_directory_is_refused(sandbox, case):
    state = fresh_state(sandbox, "loose")
    os.mkdir(state)
    os.chmod(state, 0o777)
    result, _ = recorded(sandbox, state, ["/bin/true"])
    case.code(result, 125)
    case.that("others may write to it" in result.errors, *result.describe())


def mount_small(path, bytes_):
    libc = ctypes.CDLL(None, use_errno=True)
    os.mkdir(path)
    if libc.mount(b"none", path.encode(), b"tmpfs", 0, b"size=%d,mode=0700" % bytes_):
        raise Skip("no mount here: errno %d" % ctypes.get_errno())
    return libc


def a_full_disk_stops_runs_and_leaves_last_words(sandbox, case):
    if sandbox.mode != "root":
        raise Skip("a small disk is mounted by root")
    state = fresh_state(sandbox, "full")
    libc = mount_small(state, 8 << 20)
    try:
        process = sandbox.start(["/bin/sh", "-c", "while :; do unshare -U true; python3 -c 'import socket; "
                                 "socket.socket(socket.AF_VSOCK, 1)'; sleep 0.1; done"], "--json", "--state-dir", state)
        wait_for(case, "a start", lambda: any("run_start" in r for r in entries(sandbox, state, True)[0]))
        filler = fill_up(state)
        # Others write until the room that the segment has is used up.
        codes = []
        for number in range(3000):
            words = ["x" * 100000, str(number)]
            result, status = recorded(sandbox, state, ["/bin/true"] + words)
            codes.append((result.code, status.get("outcome")))
            if result.code:
                break
        case.that(codes[-1] == (125, "setup_failed"), codes[-3:])
        process.wait(timeout=30)
        _, errors = process.communicate()
        case.that(process.returncode == 125, "exit %s" % process.returncode, errors[-500:])
        os.unlink(filler)
        records, verdict = closed(sandbox, state)
        case.that(verdict == "good", verdict)
        case.that(any("trouble" in record for record in records), records[-3:])
        case.code(recorded(sandbox, state, ["/bin/true"])[0], 0)
        case.that(closed(sandbox, state)[1] == "good", "afterwards")
        case.summary = "%d runs" % len(codes)
    finally:
        inventory.end_recorders(state)
        libc.umount2(state.encode(), 2)


def fill_up(directory):
    path = directory + "/filler"
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass
    return path


def another_user_cannot_connect(sandbox, case):
    if sandbox.mode != "root":
        raise Skip("only root can be two users")
    state = fresh_state(sandbox, "others")
    case.code(recorded(sandbox, state, ["/bin/true"])[0], 0)
    command = ["python3", "-c", TALK, state + "/recorder.sock"]
    os.chmod(state, 0o711)
    as_user = harness.run(command, preexec_fn=harness.become(sandbox.uid))
    case.that(as_user.text.startswith("closed 13"), *as_user.describe())
    # Also where the modes are of no help.
    os.chmod(state + "/recorder.sock", 0o666)
    as_user = harness.run(command, preexec_fn=harness.become(sandbox.uid))
    case.that("own user" in as_user.text, *as_user.describe())


def the_tool_cannot_reach_the_state(sandbox, case):
    """A profile that grants everything around the state directory, to be read and written."""
    state = sandbox.ws + "/state"
    shutil.rmtree(state, ignore_errors=True)
    script = ("ls state; cat state/keys/recorder.key; cat state/log/*; echo x > state/mine; mv state away; "
              "rm -rf state; ls -d state; python3 -c 'import socket; "
              "socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(\"state/recorder.sock\")'")
    result, status = recorded(sandbox, state, ["/bin/sh", "-c", script])
    case.that(status.get("recorder") == "recorded", *result.describe())
    case.that("recorder.key" not in result.text and "seg" not in result.text and "keys" not in result.text,
              *result.describe())
    case.that(result.text.splitlines()[-1:] == ["state"], *result.describe())
    case.that("Error" in result.errors, "connected", *result.describe())
    records, verdict = closed(sandbox, state)
    case.that(verdict == "good" and len(of_run(records, status["run"])) >= 2, verdict)
    case.that(os.path.exists(state + "/keys/recorder.key") and not os.path.exists(state + "/mine"), os.listdir(state))


def a_socket_that_was_granted_is_refused_inside(sandbox, case):
    """Even with a way to the socket: whoever is inside of a run is known by its second pid."""
    state = fresh_state(sandbox, "granted")
    case.code(recorded(sandbox, state, ["/bin/true"])[0], 0)
    inside = harness.run(["unshare", "-Urpf", "python3", "-c", TALK, state + "/recorder.sock"])
    case.that("inside of a run" in inside.text or "own user" in inside.text, *inside.describe())


def an_idle_recorder_ends_and_closes_the_log(sandbox, case):
    state = fresh_state(sandbox, "idle")
    case.code(recorded(sandbox, state, ["/bin/true"])[0], 0)
    pids = inventory.recorders(state)
    case.that(len(pids) == 1, pids)
    wait_for(case, "the recorder's end", lambda: not inventory.recorders(state), 20)
    records, verdict = entries(sandbox, state)
    case.that(verdict == "good", verdict)
    case.that(not os.path.exists(state + "/recorder.sock"), os.listdir(state))
    case.that(records[-1].get("seal", {}).get("reason") == "SEAL_CLOSE", records[-1])


def the_recorder_has_no_rights(sandbox, case):
    state = fresh_state(sandbox, "rights")
    case.code(recorded(sandbox, state, ["/bin/true"])[0], 0)
    pids = inventory.recorders(state)
    if not case.that(len(pids) == 1, pids):
        return
    status = inventory.read("/proc/%d/status" % pids[0])
    found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        case.that(int(found[name], 16) == 0, name, found[name])
    case.that((found["NoNewPrivs"], found["Seccomp"]) == ("1", "2"), found["NoNewPrivs"], found["Seccomp"])
    case.that(found["PPid"] != str(os.getpid()), "it is our child")
    limits = inventory.read("/proc/%d/limits" % pids[0])
    case.that(not limits or "Max core file size        0" in limits, limits)


def who_sets_the_posture_is_recorded(sandbox, case):
    state = fresh_state(sandbox, "posture")
    process = sandbox.start(["/bin/sleep", "30"], "--json", "--state-dir", state)
    wait_for(case, "a start", lambda: any("run_start" in r for r in entries(sandbox, state, True)[0]))
    run = [record["run"] for record in entries(sandbox, state, True)[0] if "run_start" in record][0]
    for word in ("frozen", "open"):
        wait_for(case, word, lambda w=word: harness.run([sandbox.berm, "pace", "set", run, w],
                                                       env=sandbox.environment()).code == 0)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    records, verdict = closed(sandbox, state)
    case.that(verdict == "good", verdict)
    changes = [record["posture_change"] for record in of_run(records, run) if "posture_change" in record]
    case.that(len(changes) == 2 and changes[0]["before"] == changes[1]["after"] == 0, changes)
    case.that(all(change["by"].startswith("uid ") and "pid " in change["by"] for change in changes), changes)


def take_away(state):
    """The recorder dies, and no other one finds its directory."""
    os.rename(state, state + ".away")
    with open(state, "w", encoding="ascii"):
        pass
    for pid in inventory.recorders(state):
        os.kill(pid, signal.SIGKILL)


def failing_midway(sandbox, case, name, more, seconds="3"):
    """(exit code, status) of a run that loses its recorder for good while it lasts."""
    state = fresh_state(sandbox, name)
    shutil.rmtree(state + ".away", ignore_errors=True)
    if os.path.isfile(state):
        os.unlink(state)
    profile = sandbox.write_profile(name, more)
    process = sandbox.start(["/bin/sleep", seconds], "--json", "--state-dir", state, profile=profile)
    wait_for(case, "a start", lambda: any("run_start" in r for r in entries(sandbox, state, True)[0]))
    time.sleep(0.2)
    take_away(state)
    _, errors = process.communicate(timeout=60)
    return process.returncode, json.loads(errors.decode().splitlines()[-1]), errors.decode()


def a_run_that_loses_its_recorder_is_stopped(sandbox, case):
    start = time.monotonic()
    code, status, errors = failing_midway(sandbox, case, "lost-stop", "", "60")
    case.that(code == 125 and status["outcome"] == "setup_failed", code, errors)
    case.that(status["recorder"].startswith("not recorded: "), status["recorder"])
    case.that(time.monotonic() - start < 30 * harness.SLOWER, "it took %.1f s" % (time.monotonic() - start))


def a_profile_can_let_it_go_on(sandbox, case):
    more = "recorder: {on_failure: continue}\n"
    code, status, errors = failing_midway(sandbox, case, "lost-continue", more)
    case.that(code == 0 and status["outcome"] == "exited", code, errors)
    case.that(status["recorder"].startswith("not recorded: ") and "berm: run: not recorded" in errors, errors)
    profile = sandbox.write_profile("never", more)
    result, status = recorded(sandbox, "/proc/berm-state", ["/bin/sh", "-c", "exit 3"], profile=profile)
    case.code(result, 3)
    case.that(status["recorder"].startswith("not recorded: "), status)


def a_profile_can_make_it_an_emergency(sandbox, case):
    more = "recorder: {on_failure: emergency}\nblast_radius: {processes_started: 1000}\n"
    code, status, errors = failing_midway(sandbox, case, "lost-emergency", more, "60")
    case.that(status["outcome"] == "breaker" and status["phase"] == "emergency", code, errors)
    case.that(any(trip["kind"] == "recorder" for trip in status["trips"]), status["trips"])
    more = "recorder: {on_failure: emergency}\n"
    code, status, errors = failing_midway(sandbox, case, "lost-unmetered", more, "60")
    case.that(status["outcome"] == "breaker", code, errors)


def activity_is_recorded_where_it_is_asked_for(sandbox, case):
    more = ("recorder: {level: %s}\nblast_radius: {files_changed: 1000, files_deleted: 100, processes_started: 100}\n")
    script = "echo x > new; mv new other; rm other; /bin/true"
    found = {}
    for level in ("decisions", "activity"):
        state = fresh_state(sandbox, level)
        profile = sandbox.write_profile(level, more % level)
        result, status = recorded(sandbox, state, ["/bin/sh", "-c", script], "--allow-degraded", "bpf", profile=profile)
        case.code(result, 0)
        records, verdict = closed(sandbox, state)
        case.that(verdict == "good", verdict)
        mine = of_run(records, status.get("run"))
        found[level] = [record for record in mine if "file" in record or "exec" in record]
        case.that([r["run_sequence"] for r in mine] == list(range(1, len(mine) + 1)), mine)
    case.that(not found["decisions"], found["decisions"])
    kinds = {kind for record in found["activity"] for kind in ("file", "exec") if kind in record}
    case.that(kinds == {"file", "exec"} and len(found["activity"]) >= 5, found["activity"])
    case.that(all(record.get("evidence", {}).get("pid", 0) > 1 for record in found["activity"]), found["activity"])
    case.summary = "%d" % len(found["activity"])

def the_first_process_of_a_container_closes_the_log(sandbox, case):
    """When it ends the kernel kills everything in its pid namespace, the recorder too."""
    if sandbox.mode != "user":
        raise Skip("the container is a user namespace of an ordinary user")
    state = fresh_state(sandbox, "container")
    command = ["unshare", "-Urpf", "--mount-proc"] + sandbox.command(["/bin/sh", "-c", "exit 5"], "--state-dir", state)
    result = harness.run(command, env=sandbox.environment(), cwd=sandbox.ws)
    case.code(result, 5)
    case.that(not inventory.recorders(state), "it goes on")
    records, verdict = entries(sandbox, state)
    case.that(verdict == "good" and any("run_end" in record for record in records), verdict, records)



def a_limit_on_file_sizes_is_a_failure_like_others(sandbox, case):
    """RLIMIT_FSIZE of the caller: the kernel would end the recorder with SIGXFSZ."""
    def limit(size):
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    state = fresh_state(sandbox, "small-files")
    long = ["x" * 10000] * 9
    result, status = recorded(sandbox, state, ["/bin/true"] + long, preexec_fn=limit(4096))
    case.code(result, 125)
    case.that("File too large" in status.get("recorder", ""), *result.describe())
    profile = sandbox.write_profile("small-files", "recorder: {on_failure: continue}\n")
    result, status = recorded(sandbox, state, ["/bin/sh", "-c", "exit 3"] + long, profile=profile,
                              preexec_fn=limit(4096))
    case.code(result, 3)
    case.that("File too large" in status.get("recorder", ""), *result.describe())
    # Room for some records and no more: the one that does not fit stops its run, not those before it.
    result, status = recorded(sandbox, state, ["/bin/true"], preexec_fn=limit(64 << 10))
    case.code(result, 0)
    for _ in range(20):
        # With the limit too, since another recorder may be tried after the one that failed.
        result, status = recorded(sandbox, state, ["/bin/true"] + long, preexec_fn=limit(64 << 10))
        if result.code != 0:
            break
    case.code(result, 125)
    case.that("File too large" in status.get("recorder", ""), *result.describe())
    wait_for(case, "the recorder's end", lambda: not inventory.recorders(state))
    case.code(recorded(sandbox, state, ["/bin/true"])[0], 0)
    records, verdict = closed(sandbox, state)
    case.that(verdict == "good", verdict)
    case.that(sum("run_end" in record for record in records) >= 2, records)


def a_file_of_the_operator_that_is_wrong_stops_runs(sandbox, case):
    state = fresh_state(sandbox, "wrong-file")
    os.makedirs(state, 0o700)
    for text, place, advice in (("", ":1:1: ", "write `version: 1`"),
                                ("max_size: 1GiB\n", ":1:1: ", "add `version: 1`"),
                                ("version: 1\nanchor:\n  directory: here\n", ":3:14: ", "absolute path"),
                                ("version: 1\nanchor: {directory: %s/heads}\n" % state, ":2:", "beside the log"),
                                ("version: 1\nanchor: {}\n", ":2:9: ", "add one")):
        sandbox.write_text(state + "/recorder.yaml", text)
        result, status = recorded(sandbox, state, ["/bin/true"])
        case.code(result, 125)
        case.that(state + "/recorder.yaml" + place in status.get("recorder", ""), text, *result.describe())
        case.that(advice in status.get("recorder", ""), text, *result.describe())
    sandbox.write_text(state + "/recorder.yaml", "version: 1\n")
    case.code(recorded(sandbox, state, ["/bin/true"])[0], 0)
    case.that(closed(sandbox, state)[1] == "good", "the log")


ROWS = (
    ("a run is in the log, with its modes and its receipt", a_run_is_in_the_log),
    ("the refusals in the log add up to those of the status record", denials_add_up),
    ("starts that are refused are recorded", refused_starts_are_recorded),
    ("a run whose berm was killed has an end in the log", a_killed_berm_has_an_end),
    ("runs at once share a log", many_at_once_share_a_log),
    ("kill -9 of the recorder at any moment loses nothing that was acknowledged",
     a_recorder_that_is_killed_loses_nothing_acknowledged),
    ("a recorder that is killed under a run is followed by another one",
     a_recorder_killed_under_a_run_is_followed_by_another),
    ("no run where nothing can be written", no_run_where_nothing_can_be_written),
    ("a limit on the size of files is a failure like others, and does not kill the recorder",
     a_limit_on_file_sizes_is_a_failure_like_others),
    ("an operator's file that is empty or wrong stops runs, and says where and what to do",
     a_file_of_the_operator_that_is_wrong_stops_runs),
    ("a state directory that others may write to is refused", somebody_elses_directory_is_refused),
    ("a full disk stops runs and leaves last words", a_full_disk_stops_runs_and_leaves_last_words),
    ("another user cannot tell the recorder anything", another_user_cannot_connect),
    ("the tool cannot reach the log, the keys or the socket", the_tool_cannot_reach_the_state),
    ("a way to the socket is of no use inside of a run", a_socket_that_was_granted_is_refused_inside),
    ("an idle recorder closes the log and ends", an_idle_recorder_ends_and_closes_the_log),
    ("the first process of a container closes the log before it ends", the_first_process_of_a_container_closes_the_log),
    ("the recorder has no rights and is nobody's child", the_recorder_has_no_rights),
    ("who sets a posture is recorded", who_sets_the_posture_is_recorded),
    ("a run that loses its recorder for good is stopped", a_run_that_loses_its_recorder_is_stopped),
    ("a profile can let a run go on without a recorder", a_profile_can_let_it_go_on),
    ("a profile can make a lost recorder an emergency", a_profile_can_make_it_an_emergency),
    ("what was let through is recorded where the profile asks for it", activity_is_recorded_where_it_is_asked_for),
)
