# SPDX-License-Identifier: Apache-2.0
"""berm profile test --live: the kernel is asked what the model says."""
import json
import os
import shutil
import subprocess

import harness

PROFILE_TESTS = """tests:
  - {do: read /usr/bin/env, expect: allow}
  - {do: read /usr, expect: allow}
  - {do: read /etc/passwd, expect: allow}
  - {do: "read ${WORKDIR}/secret/key", expect: deny}
  - {do: "read ${WORKDIR}/file", expect: allow}
  - {do: read /var/tmp, expect: deny}
  - {do: "write ${WORKDIR}/file", expect: allow}
  - {do: "write ${WORKDIR}/new", expect: allow}
  - {do: "write ${WORKDIR}", expect: allow}
  - {do: "write ${WORKDIR}/.git/hooks/pre-commit", expect: deny}
  - {do: write /usr/bin/new, expect: deny}
  - {do: write /tmp/new, expect: allow}
  - {do: exec /usr/bin/env, expect: allow}
  - {do: exec /bin/sh, expect: allow}
  - {do: "connect 127.0.0.1:9", expect: allow}
  - {do: "connect 192.0.2.1:443", expect: deny}
"""


def world(sandbox):
    sandbox.file("file", "mine\n")
    sandbox.file("secret/key", "hidden\n")
    sandbox.file(".git/hooks/old", "#!/bin/sh\n", 0o755)
    return sandbox.write_profile("live", PROFILE_TESTS)


def test(sandbox, *words):
    result = harness.run([sandbox.berm, "profile", "test", "--json", "-C", sandbox.ws, *words],
                         env=sandbox.environment(), cwd=sandbox.ws, timeout=60)
    told = json.loads(result.text) if result.text else {"suites": []}
    return result, [case for suite in told["suites"] for case in suite["cases"]]


def model_and_kernel_agree(sandbox, case):
    profile = world(sandbox)
    before = os.stat(sandbox.ws + "/file").st_mtime_ns
    result, cases = test(sandbox, "--live", profile)
    case.code(result, 0)
    case.that(len(cases) == 16 and all(row["outcome"] == "PASS" for row in cases), *cases)
    untried = [row for row in cases if row["why"]]
    # The check of execve() came with Linux 6.14.
    case.that(all(row["why"] == "not tried: needs Linux 6.14" and row["name"].startswith("exec") for row in untried),
              *untried)
    left = sorted(os.listdir(sandbox.ws))
    case.that(left == [".git", "file", "secret"], "left behind", left)
    case.that(os.stat(sandbox.ws + "/file").st_mtime_ns == before, "a file was changed")
    case.summary = "%d of 16 tried" % (16 - len(untried))


def kernel_allows_what_the_model_denies(sandbox, case):
    """A name that comes later cannot be kept away by static walls: the weakness is found, not hidden."""
    more = "tests: [{do: \"write ${WORKDIR}/sub/late.pem\", expect: deny}]\n"
    sandbox.file("sub/other", "")
    profile = sandbox.write_profile("weak", more)
    with open(profile, encoding="utf-8") as file:
        text = file.read()
    text = text.replace("deny:\n", "deny:\n    - {path: \"${WORKDIR}/**/*.pem\", optional: true}\n", 1)
    sandbox.write_text(profile, text)
    result, cases = test(sandbox, profile)
    case.code(result, 0)
    result, cases = test(sandbox, "--live", profile)
    case.code(result, 1)
    case.that(len(cases) == 1 and cases[0]["why"] == "the model says deny (fs.deny), the kernel allowed it", *cases)
    case.that(not os.path.exists(sandbox.ws + "/sub/late.pem"), "the attempt was left behind")


def kernel_refuses_what_the_model_allows(sandbox, case):
    """A program that runs cannot be written to, whatever a profile says."""
    shutil.copy("/bin/sleep", sandbox.ws + "/busy")
    sandbox.own(sandbox.ws + "/busy")
    with subprocess.Popen([sandbox.ws + "/busy", "60"]) as busy:
        try:
            profile = sandbox.write_profile("busy", "tests: [{do: \"write ${WORKDIR}/busy\", expect: allow}]\n")
            result, cases = test(sandbox, "--live", profile)
        finally:
            busy.kill()
    case.code(result, 1)
    case.that(len(cases) == 1 and cases[0]["outcome"] == "FAIL" and
              cases[0]["why"] == "the model says allow (fs.write), the kernel refused: Text file busy", *cases)


def commands_really_run(sandbox, case):
    profile = world(sandbox)
    sandbox.write_text(sandbox.top + "/live.test.yaml",
                       "cases:\n"
                       "  - {name: reads, run: [sh, -c, 'cat file'], expect_exit: 0}\n"
                       "  - {name: hidden, run: [sh, -c, 'cat secret/key'], expect_exit: 1}\n"
                       "  - {name: wrong, run: [sh, -c, 'exit 3'], expect_exit: 4}\n"
                       "  - {name: absent, run: [no-such-program], expect_exit: 127}\n")
    result, cases = test(sandbox, sandbox.top + "/live.test.yaml")
    case.code(result, 2)
    case.that([row["outcome"] for row in cases] == ["SKIP"] * 4, *cases)
    result, cases = test(sandbox, "--live", profile)
    case.code(result, 1)
    found = {row["name"]: (row["outcome"], row["why"]) for row in cases[-4:]}
    case.that(found == {"reads": ("PASS", None), "hidden": ("PASS", None), "absent": ("PASS", None),
                        "wrong": ("FAIL", "expected exit 4, got 3")}, found)
    case.that("mine" in result.errors, "the tool's words are not on stderr", *result.describe())


def a_run_that_cannot_start_is_no_success(sandbox, case):
    profile = sandbox.write_profile("pending", "blast_radius:\n  tool_calls: 25\n" + PROFILE_TESTS)
    world(sandbox)
    result, cases = test(sandbox, "--live", profile)
    case.code(result, 3)
    case.that("blast_radius" in result.errors, *result.describe())


def what_a_test_stages_is_dropped(sandbox, case):
    profile = sandbox.write_profile("staged", "workspace: {path: \"${WORKDIR}\", mode: staged}\n" + PROFILE_TESTS)
    world(sandbox)
    shutil.rmtree(sandbox.state, ignore_errors=True)
    result, _ = test(sandbox, "--live", profile)
    case.code(result, 0)
    case.that("staged" not in result.errors, *result.describe())
    sets = sandbox.state + "/changes"
    case.that(os.path.isdir(sets) and not os.listdir(sets), "a test left changes to be kept or dropped")
    shutil.rmtree(sandbox.state)


ROWS = [
    ("model and kernel agree, and nothing is left behind", model_and_kernel_agree),
    ("a live test fails where the kernel allows more", kernel_allows_what_the_model_denies),
    ("a live test fails where the kernel allows less", kernel_refuses_what_the_model_allows),
    ("commands of a test file really run", commands_really_run),
    ("a live test of a profile that cannot run is no success", a_run_that_cannot_start_is_no_success),
    ("what the tests of a staged profile write is dropped", what_a_test_stages_is_dropped),
]
