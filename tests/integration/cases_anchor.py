# SPDX-License-Identifier: Apache-2.0
"""Where the operator keeps the heads of a log: what is taken off its end, or put in its place, is noticed."""
import json
import os
import shutil
import stat
import time

import cases_record
import harness
import inventory

# Keeps the newest head of each log in a file, as docs/recorder.md wants it of a command.
KEEPER = """#!/bin/sh
dir=%(dir)s
%(also)s
case $1 in
publish) cat >$dir/head.new && mv $dir/head.new $dir/head ;;
latest) [ ! -e $dir/head ] || cat $dir/head ;;
esac
"""


def verify(sandbox, state, *options):
    return harness.run([sandbox.berm, "log", "verify", "--state-dir", state] + list(options), env=sandbox.environment())


def prepare(sandbox, name, anchor):
    """(state directory, directory of its anchor); `anchor` is what stands in the operator's file."""
    state, kept = cases_record.fresh_state(sandbox, name), "%s/kept-%s" % (sandbox.top, name)
    os.makedirs(state, 0o700)
    shutil.rmtree(kept, ignore_errors=True)
    os.mkdir(kept)
    sandbox.write_text(state + "/recorder.yaml", "version: 1\nanchor: %s\n" % (anchor % {"kept": kept}))
    return state, kept


def keeper(sandbox, name, also=""):
    """A command of the operator's; `also` goes first."""
    kept = "%s/kept-%s" % (sandbox.top, name)
    path = sandbox.write_text("%s/keeper-%s" % (sandbox.bin, name), KEEPER % {"dir": kept, "also": also})
    os.chmod(path, 0o755)
    return path


def close(sandbox, case, state):
    records, verdict = cases_record.closed(sandbox, state)
    case.that(verdict == "good", verdict)
    for role in ("anchor", "sinks"):  # both write into the directory, which rows copy
        cases_record.wait_for(case, "the end of its " + role, lambda: not inventory.processes_of(role, state), 20)
    return records


def one_run(sandbox, case, state, code=0, tool=("/bin/true",), **options):
    result, status = cases_record.recorded(sandbox, state, list(tool), **options)
    case.code(result, code)
    return result, status


def put_back(state, copy, *names):
    for name in names:
        shutil.rmtree(state + "/" + name)
        shutil.copytree(copy + "/" + name, state + "/" + name)


def older_logs_fail(sandbox, case, name, anchor):
    state, kept = prepare(sandbox, name, anchor)
    copy = state + "-copy"
    shutil.rmtree(copy, ignore_errors=True)
    one_run(sandbox, case, state)
    cases_record.wait_for(case, "a head", lambda: any(n.endswith("head") for n in os.listdir(kept)), 20)
    result = verify(sandbox, state)
    case.that(result.code == 0 and "anchor    reached" in result.text, "while it is written", *result.describe())
    close(sandbox, case, state)
    result = verify(sandbox, state)
    case.that(result.code == 0 and "reached; 0 records" in result.text and "kept in" in result.text, *result.describe())
    shutil.copytree(state, copy)
    for _ in range(2):
        one_run(sandbox, case, state)
        close(sandbox, case, state)
    case.code(verify(sandbox, state), 0)
    shutil.copytree(state, copy + "-new", dirs_exist_ok=True)
    # The log alone, as it was: what came since is cut off its end.
    put_back(state, copy, "log")
    result = verify(sandbox, state)
    case.that(result.code == 1 and "(ends_early)" in result.text, "the log put back", *result.describe())
    # Log and keys: without an anchor there is nothing to see.
    put_back(state, copy, "log", "keys")
    result = verify(sandbox, state)
    case.that(result.code == 1 and "(ends_early)" in result.text, "log and keys put back", *result.describe())
    result, status = cases_record.recorded(sandbox, state, ["/bin/true"])
    case.code(result, 125)
    case.that("older copy" in status.get("recorder", ""), *result.describe())
    # All of it gone.
    put_back(state, copy + "-new", "log", "keys")
    case.code(verify(sandbox, state), 0)
    for segment in os.listdir(state + "/log"):
        if segment.endswith(".seg"):
            os.unlink(state + "/log/" + segment)
    case.code(verify(sandbox, state), 1)
    os.rename(state + "/recorder.yaml", state + "/away")
    put_back(state, copy, "log", "keys")
    case.code(verify(sandbox, state), 0)  # which is why it is to be kept elsewhere
    shutil.rmtree(copy)
    shutil.rmtree(copy + "-new")


def a_directory_notices_older_logs(sandbox, case):
    older_logs_fail(sandbox, case, "directory", "{directory: %(kept)s}")


def a_command_notices_older_logs(sandbox, case):
    older_logs_fail(sandbox, case, "command", "{command: [%s]}" % keeper(sandbox, "command"))


def both_are_asked(sandbox, case):
    """A place that was put back as well does not help where the other one was not."""
    path = keeper(sandbox, "both")
    state, kept = prepare(sandbox, "both", "{directory: %%(kept)s/heads, command: [%s]}" % path)
    os.mkdir(kept + "/heads")
    one_run(sandbox, case, state)
    close(sandbox, case, state)
    shutil.copytree(state, state + "-copy", dirs_exist_ok=True)
    shutil.copytree(kept, kept + "-copy", dirs_exist_ok=True)
    one_run(sandbox, case, state)
    close(sandbox, case, state)
    case.code(verify(sandbox, state), 0)
    put_back(state, state + "-copy", "log", "keys")
    put_back(kept, kept + "-copy", "heads")
    case.code(verify(sandbox, state), 1)
    # What one of them cannot say is not passed over.
    shutil.rmtree(kept + "/heads")
    result = verify(sandbox, state)
    case.that(result.code == 3 and "--anchor" in result.errors, *result.describe())
    case.code(verify(sandbox, state, "--anchor", kept + "/head"), 1)


def doctor(sandbox, state):
    result = harness.run([sandbox.berm, "doctor", "--json"], env=sandbox.environment(BERM_STATE_DIR=state))
    return [row for row in json.loads(result.text)["features"] if row["name"] == "anchor"][0]


def an_anchor_that_fails_is_recorded_and_shown(sandbox, case):
    state, kept = prepare(sandbox, "failing", "{directory: %(kept)s/heads}")
    case.that(doctor(sandbox, state)["state"] == "weaker", doctor(sandbox, state))
    one_run(sandbox, case, state, tool=("/bin/sleep", "3"))
    records = close(sandbox, case, state)
    troubles = [record["trouble"] for record in records if "trouble" in record]
    case.that(len(troubles) == 1 and troubles[0]["operation"] == "anchor", troubles)
    found = doctor(sandbox, state)
    case.that(found["state"] == "weaker" and "kept-failing/heads: No such file" in found["detail"], found)
    result = verify(sandbox, state)
    case.that(result.code == 3 and "No such file" in result.errors, *result.describe())
    # It comes back while a run lasts.

    def codes(number):
        one_run(sandbox, case, state)
        records = cases_record.entries(sandbox, state, True)[0]
        return [record["trouble"].get("error") for record in records if "trouble" in record][number:]
    cases_record.wait_for(case, "another record of it", lambda: codes(1), 20)
    os.mkdir(kept + "/heads")
    cases_record.wait_for(case, "a record that it works", lambda: codes(2) == [None], 20)
    close(sandbox, case, state)
    found = doctor(sandbox, state)
    case.that(found["state"] == "yes" and "directory %s/heads" % kept in found["detail"], found)
    result = verify(sandbox, state)
    case.that(result.code == 0 and "reached" in result.text, *result.describe())


def an_anchor_that_is_required_stops_runs(sandbox, case):
    state, _ = prepare(sandbox, "required", "{directory: %(kept)s/heads, required: true}")
    result, status = one_run(sandbox, case, state, 125)
    case.that("No such file" in status["recorder"], *result.describe())
    path = keeper(sandbox, "refusing", "[ $1 != publish ] || exit 1")
    state, _ = prepare(sandbox, "refusing", "{command: [%s], required: true}" % path)
    result, status = one_run(sandbox, case, state, 125, ("/bin/sleep", "600"))
    case.that("ended with code 1" in status["recorder"], *result.describe())
    profile = sandbox.write_profile("unanchored", "recorder: {on_failure: continue}\n")
    result, status = one_run(sandbox, case, state, 0, ("/bin/sleep", "4"), profile=profile)
    case.that(status["recorder"].startswith("not recorded: "), *result.describe())
    # A later head than ours ends it whether it is required or not.
    path = keeper(sandbox, "later", "[ $1 != publish ] || exit 3")
    state, _ = prepare(sandbox, "later", "{command: [%s]}" % path)
    result, status = one_run(sandbox, case, state, 125, ("/bin/sleep", "600"))
    case.that("knows a later head" in status["recorder"], *result.describe())


def an_anchor_that_is_not_mounted_is_missed(sandbox, case):
    """Its directory is there, and empty: an older copy of log and keys must not begin the history anew in it."""
    state, kept = prepare(sandbox, "mounted", "{directory: %(kept)s}")
    one_run(sandbox, case, state)
    close(sandbox, case, state)
    shutil.copytree(state, state + "-copy", dirs_exist_ok=True)
    one_run(sandbox, case, state)
    close(sandbox, case, state)
    os.rename(kept, kept + "-away")
    os.mkdir(kept)
    put_back(state, state + "-copy", "log", "keys")
    one_run(sandbox, case, state)
    records = close(sandbox, case, state)
    troubles = [record["trouble"] for record in records if "trouble" in record]
    case.that([trouble["operation"] for trouble in troubles] == ["anchor"] and troubles[0].get("error"), troubles)
    case.that(not os.listdir(kept), os.listdir(kept))
    found = doctor(sandbox, state)
    case.that(found["state"] == "weaker" and "is it mounted?" in found["detail"], found)
    case.code(verify(sandbox, state), 2)
    # Where it is required nothing runs.
    os.rename(state + "/recorder.yaml", state + "/away")
    sandbox.write_text(state + "/recorder.yaml", "version: 1\nanchor: {directory: %s, required: true}\n" % kept)
    result, status = one_run(sandbox, case, state, 125)
    case.that("is it mounted?" in status["recorder"], *result.describe())
    # With the witness, the older copy is what it is; and the log goes on where it was not touched.
    os.rename(state + "/away", state + "/recorder.yaml")
    os.rmdir(kept)
    os.rename(kept + "-away", kept)
    result, status = one_run(sandbox, case, state, 125)
    case.that("older copy" in status["recorder"], *result.describe())


def a_command_that_hangs_delays_no_run(sandbox, case):
    path = keeper(sandbox, "hanging", "[ $1 != publish ] || sleep 100 </dev/null >/dev/null")
    state, kept = prepare(sandbox, "hanging", "{command: [%s]}" % path)
    for _ in range(3):
        start = time.monotonic()
        one_run(sandbox, case, state)
        took = time.monotonic() - start
        case.that(took < 3 * harness.SLOWER, "%.1f s" % took)
    close(sandbox, case, state)
    case.that(not os.listdir(kept), os.listdir(kept))

    found = doctor(sandbox, state)
    case.that(found["state"] == "weaker" and "did not end in time" in found["detail"], found)
    # It was executed with nothing of berm's.
    path = keeper(sandbox, "nothing", "env >%(top)s/nothing.env; ls -l /proc/self/fd >%(top)s/nothing.fd; "
                  "pwd >%(top)s/nothing.pwd" % {"top": sandbox.top})
    state, _ = prepare(sandbox, "nothing", "{command: [%s]}" % path)
    one_run(sandbox, case, state)
    close(sandbox, case, state)
    with open(sandbox.top + "/nothing.env", encoding="utf-8") as file:
        names = {line.split("=")[0] for line in file}
    case.that(names <= {"PATH", "PWD", "SHLVL", "_", "OLDPWD"}, names)
    with open(sandbox.top + "/nothing.fd", encoding="utf-8") as file:
        case.that("socket:" not in file.read(), "a socket is open in it")
    with open(sandbox.top + "/nothing.pwd", encoding="utf-8") as file:
        case.that(file.read() == "/\n", "its directory")
    mode = stat.S_IMODE(os.stat(state + "/anchor/status").st_mode)
    case.that(mode == 0o640, "%o" % mode)


ROWS = (
    ("an older log, a log without its end and no log at all fail where a directory is the anchor",
     a_directory_notices_older_logs),
    ("an older log, a log without its end and no log at all fail where a command is the anchor",
     a_command_notices_older_logs),
    ("a directory and a command are both asked", both_are_asked),
    ("an anchor that fails is recorded and shown, and taken up again", an_anchor_that_fails_is_recorded_and_shown),
    ("an anchor that is required stops runs when it fails", an_anchor_that_is_required_stops_runs),
    ("an anchor's directory that is not mounted is not one that never had a head",
     an_anchor_that_is_not_mounted_is_missed),
    ("an anchor's command that hangs delays no run, and gets nothing of berm's", a_command_that_hangs_delays_no_run),
)
