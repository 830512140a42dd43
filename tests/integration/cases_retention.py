# SPDX-License-Identifier: Apache-2.0
"""Old records go when nobody has to keep them any more, and the log still verifies."""
import json
import os

import cases_record
import harness
import inventory


def verified(sandbox, case, state):
    result = harness.run([sandbox.berm, "log", "verify", "--json", "--state-dir", state], env=sandbox.environment())
    case.code(result, 0)
    return json.loads(result.text) if result.text.startswith("{") else {}


def one_run(sandbox, case, state, *options, **popen):
    """The record of a run's start, when its recorder has ended and let go what may go."""
    result, status = cases_record.recorded(sandbox, state, ["/bin/true"], *options, **popen)
    case.code(result, 0)
    records, verdict = cases_record.closed(sandbox, state)
    case.that(verdict == "good", verdict)
    for role in ("recorder", "sinks"):
        cases_record.wait_for(case, "the end of its " + role, lambda: not inventory.processes_of(role, state), 20)
    starts = [record["run_start"] for record in cases_record.of_run(records, status["run"]) if "run_start" in record]
    case.that(len(starts) == 1, records)
    return records, starts[0] if starts else {}


def old_records_go(sandbox, case):
    state = cases_record.fresh_state(sandbox, "old")
    os.makedirs(state, 0o700)
    made = harness.run([sandbox.log_show, state, "write-old"])
    case.code(made, 0)
    # Run, the segments that it begins and ends in: three years ago, kept for a day, 1 year, 7 years and a day.
    runs = [(words[0], int(words[1]), int(words[2])) for words in map(str.split, made.text.splitlines())]
    case.that(len(runs) == 4 and runs[0][2] > 1, made.text)
    before = verified(sandbox, case, state)
    case.that((before["removed_segments"], before["segments"]) == (0, runs[3][2]), before)
    # The operator's hold: whatever its age, nothing goes.
    with open(state + "/hold", "wb"):
        pass
    records, _ = one_run(sandbox, case, state)
    held = verified(sandbox, case, state)
    case.that(held["removed_segments"] == 0 and held["records"] > before["records"], held)
    case.that(all(cases_record.of_run(records, run) for run, _, _ in runs), "runs are gone that were held")
    # Without it the first two go, the third wanted seven years, and what is behind it waits for it.
    os.unlink(state + "/hold")
    profile = sandbox.write_profile("kept", "recorder: {keep: 400d}\n")
    _, start = one_run(sandbox, case, state, profile=profile)
    case.that(start.get("keep_ms") == 400 * 24 * 3600 * 1000, start)
    after = verified(sandbox, case, state)
    case.that(after["removed_segments"] == runs[2][1] - 1, after, made.text)
    records, verdict = cases_record.entries(sandbox, state)
    case.that(verdict == "good", verdict)
    left = [run for run, _, _ in runs if any("run_start" in record for record in cases_record.of_run(records, run))]
    case.that(left == [runs[2][0], runs[3][0]], left)
    gone = [record["retention"] for record in records if "retention" in record]
    case.that(len(gone) == 1 and gone[0].get("rule") == "age", gone)
    # Once a day is enough; and what is left is not thinned out by later runs.
    one_run(sandbox, case, state)
    case.that(verified(sandbox, case, state)["removed_segments"] == after["removed_segments"], "more went")
    # A removed segment that nobody may have removed is a fault all the same.
    for name in sorted(os.listdir(state + "/log"))[:1]:
        os.unlink(state + "/log/" + name)
    result = harness.run([sandbox.berm, "log", "verify", "--state-dir", state], env=sandbox.environment())
    case.code(result, 1)


ROWS = (
    ("old records go when their profile lets them, not while they are held, and the log verifies", old_records_go),
)
