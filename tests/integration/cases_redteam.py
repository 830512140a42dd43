# SPDX-License-Identifier: Apache-2.0
"""berm redteam: what it says of this host, that nothing of it stays, and that each of its rows can fail: a berm that
lacks what the row is about must not pass it."""
import json
import os
import signal
import subprocess

import harness

# Each scenario beside a berm that is broken in the way that it has to find. Words of sh; "$real" is the true one.
NO_WALLS = """
if [ "$1" = run ]; then while [ "$1" != -- ]; do shift; done; shift; exec "$@"; fi
exec "$real" "$@"
"""
BROKEN = {
    "RT-02": NO_WALLS,
    "RT-03": NO_WALLS,
    "RT-09": NO_WALLS,
    # What the judge says yes to may do anything.
    "RT-15": """
case "$*" in
    "run --json --agent judged "*) shift 5; exec "$@";;
esac
exec "$real" "$@"
""",
    # Every agent is another one: nobody counts what they did together.
    "RT-10": """
case "$*" in
    "run --json --agent new "*|"run --json --agent drip "*) shift 4; exec "$real" run --json --agent free "$@";;
esac
exec "$real" "$@"
""",
    # Says that all are gone, and does nothing.
    "RT-11": """
[ "$1" != kill ] || exec echo '{"killed": [], "recorded": true, "took_us": 1}'
exec "$real" "$@"
""",
    # A phase is what anybody says, for whoever begins next; the runs that last hear nothing of it.
    "RT-12": """
if [ "$1 $2" = "pace declare" ] || [ "$1 $2" = "pace recover" ]; then
    for phase; do :; done
    echo "$phase" > "$BERM_STATE_DIR/phase"; exit 0
fi
if [ "$1 $2" = "pace show" ] && [ -f "$BERM_STATE_DIR/phase" ]; then
    exec printf '[{"phase": "%s", "to_sign": "crew:primary:0:%032d"}]\\n' "$(cat "$BERM_STATE_DIR/phase")" 0
fi
exec "$real" "$@"
""",
    "RT-16": NO_WALLS,
}
TESTED = sorted(BROKEN)


def redteam(sandbox, *words, timeout=120):
    return harness.run([sandbox.berm, "redteam", "--directory", sandbox.top, *words], env=sandbox.environment(),
                       cwd=sandbox.ws, timeout=timeout)


def rows_of(case, result):
    try:
        return {row["scenario"]: row for row in json.loads(result.text)["results"]}
    except (ValueError, KeyError):
        case.that(False, *result.describe())
        return {}


def left(sandbox):
    return [name for name in os.listdir(sandbox.top) if name.startswith("berm-redteam-")]


def this_host_passes(sandbox, case):
    result = redteam(sandbox, "--json")
    rows = rows_of(case, result)
    case.code(result, 0)
    for name, row in sorted(rows.items()):
        good = row["result"] == "pass" if name in TESTED else row["result"] in ("pass", "not tested")
        case.that(good, json.dumps(row))
        case.that(("controls_verified" in row) == (row["result"] == "pass"), json.dumps(row))
        if row["result"] == "pass":
            case.that(row["control_effects"] > 0 and row["attempts"] > 0 and row["effects"] == 0, json.dumps(row))
    case.that(len(rows) == 8, sorted(rows))
    case.that(rows.get("RT-12", {}).get("pace_readiness_percent") == 100, rows.get("RT-12"))
    case.that(not left(sandbox), left(sandbox))
    case.that(not os.path.exists(sandbox.state + "/agents"), "the real state directory has agents now")


def a_broken_berm_is_found(name):
    def judged(sandbox, case):
        wrapper = sandbox.write_text("%s/bin/broken-%s" % (sandbox.top, name),
                                     "#!/bin/sh\nreal=%s\n%s" % (sandbox.berm, BROKEN[name]))
        os.chmod(wrapper, 0o755)
        result = redteam(sandbox, "--json", "--only", name, "--berm", wrapper)
        row = rows_of(case, result).get(name, {})
        case.that(result.code == 1 and row.get("result") == "FAIL" and row.get("effects") != 0 or
                  name == "RT-11" and row.get("result") == "FAIL", *result.describe())
        case.that(not left(sandbox), left(sandbox))
    return judged


def words_and_a_signal(sandbox, case):
    for words in (("--only", "RT-99"), ("x",), ("--berm", "berm"), ("--directory", "relative"), ("act", "nothing"),
                  ("act",), ("act", "write")):
        result = harness.run([sandbox.berm, "redteam", *words], env=sandbox.environment(), cwd=sandbox.ws)
        case.that(result.code == 2, words, *result.describe())
    result = redteam(sandbox, "--list", "--json")
    case.that(result.code == 0 and len(json.loads(result.text)) == 8, *result.describe())
    result = redteam(sandbox, "--directory", "/proc")
    case.that(result.code == 3, *result.describe())
    # In the middle of it: what there is goes, and it is not a pass.
    process = subprocess.Popen([sandbox.berm, "redteam", "--json", "--directory", sandbox.top, "--only", "RT-11"],
                               env=sandbox.environment(), cwd=sandbox.ws, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        harness.wait_for(lambda: any(os.path.exists("%s/%s/work" % (sandbox.top, name)) for name in left(sandbox)), 30)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60 * harness.SLOWER)
        case.that(process.returncode in (1, 3) and b'"result":"pass"' not in out, process.returncode, out)
        case.that(not left(sandbox), left(sandbox))
    finally:
        harness.stop(process)


ROWS = [("every scenario that can be tried here passes, and nothing of it stays", this_host_passes),
        ("words, and a signal in the middle", words_and_a_signal)]
ROWS += [("a berm that is broken for %s does not pass it" % name, a_broken_berm_is_found(name)) for name in TESTED]
