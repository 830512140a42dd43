# SPDX-License-Identifier: Apache-2.0
"""Hashes of declared outputs in the receipt of a run."""
import hashlib
import os

import harness
from cases_record import closed, fresh_state, of_run, recorded

OUTPUTS = """recorder:
  outputs:
    - "${WORKDIR}/report.json"
    - "${WORKDIR}/made/late"
    - "${WORKDIR}/made"
    - "${WORKDIR}/link"
    - "${WORKDIR}/way/key"
    - "${WORKDIR}/pipe"
    - "${WORKDIR}/missing"
    - "${WORKDIR}/sparse"
    - "${WORKDIR}/secret/key"
"""
SCRIPT = """printf '{"ok": true}' > report.json
mkdir made
ln -s %s/key link
ln -s %s way
mkfifo pipe
truncate -s 8G sparse
(sleep 0.3; echo late > made/late) & wait"""


def digest(data):
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def outputs_are_hashed_when_all_is_over(sandbox, case):
    """What the tool makes of the names of its outputs must not lead the supervisor to other files."""
    state, beside = fresh_state(sandbox, "outputs"), sandbox.top + "/beside"
    os.makedirs(beside, exist_ok=True)
    sandbox.write_text(beside + "/key", "not the run's\n")
    sandbox.file("secret/key", "its own, and hidden from it\n")
    profile = sandbox.write_profile("outputs", OUTPUTS)
    result, status = recorded(sandbox, state, ["/bin/sh", "-c", SCRIPT % (beside, beside)], profile=profile)
    case.code(result, 0)
    wanted = {"report.json": (None, 12, digest(b'{"ok": true}')), "made/late": (None, 5, digest(b"late\n")),
              "made": ("not_a_file", 0, None), "link": ("link", 0, None), "way/key": ("link", 0, None),
              "pipe": ("not_a_file", 0, None), "missing": ("missing", 0, None), "sparse": ("too_large", 8 << 30, None),
              "secret/key": (None, 28, digest(b"its own, and hidden from it\n"))}
    told = {os.path.relpath(one["path"], sandbox.ws): (one["state"], one["bytes"], one["digest"])
            for one in status.get("outputs", [])}
    case.that(told == wanted, told, *result.describe())
    records, verdict = closed(sandbox, state)
    case.that(verdict == "good", verdict)
    end = of_run(records, status["run"])[-1].get("run_end", {})
    told = {os.path.relpath(one["path"], sandbox.ws): (one.get("state"), one.get("bytes", 0), one.get("digest"))
            for one in end.get("outputs", [])}
    case.that(told == wanted, told)
    shown = harness.run([sandbox.berm, "log", "trace", status["run"], "--state-dir", state],
                        env=sandbox.environment(), cwd=sandbox.ws)
    for words in ("%s/report.json  %s  12 bytes\n" % (sandbox.ws, digest(b'{"ok": true}')),
                  "%s/link  link\n" % sandbox.ws, "%s/sparse  too_large  %d bytes\n" % (sandbox.ws, 8 << 30)):
        case.that(("output     " + words) in shown.text, words, shown.text)


def a_run_that_never_was_has_no_outputs(sandbox, case):
    profile = sandbox.write_profile("outputs", OUTPUTS)
    sandbox.file("report.json", "of yesterday\n")
    result, status = recorded(sandbox, fresh_state(sandbox, "outputs"), ["/nonexistent/tool"], profile=profile)
    case.code(result, 127)
    case.that(status.get("outputs") == [], status)


ROWS = (
    ("declared outputs are hashed when the last process is gone, and no link is followed",
     outputs_are_hashed_when_all_is_over),
    ("a run that never was has no outputs", a_run_that_never_was_has_no_outputs),
)
