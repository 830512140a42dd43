# SPDX-License-Identifier: Apache-2.0
"""Agents from outside: identity, who may start one, and budgets that outlive a run, a kill and a rename."""
import fcntl
import hashlib
import json
import os
import shutil
import signal
import stat
import struct
import subprocess
import time

import harness
import inventory
from cases_record import wait_for
from sandbox import Skip

BREAKER = "pace:\n  alternate:\n    when: [{event: denial, count: 50, within: 1m}]\n"
# Who starts somebody else's agent has no say in where its state is: here it is at root's usual place for one command,
# which is the first process of its own process namespace and takes its recorder with it.
USUAL_PLACE = """
[ -d /var/lib/berm ] || { mount -t tmpfs -o mode=0755 none /var/lib && mkdir -m 0711 /var/lib/berm; } || exit 99
mount --bind "$1" /var/lib/berm && shift || exit 99
exec "$@"
"""
AT_ONCE = 200
BUDGET = 12


class World:
    """A state directory of one row, and berm's words for it."""

    def __init__(self, sandbox, name, caps="blast_radius: {files_changed: 5}\n"):
        self.sandbox = sandbox
        self.state = "%s/agents-%s" % (sandbox.top, name)
        shutil.rmtree(self.state, ignore_errors=True)
        self.profile = sandbox.write_profile("agent-" + name, caps + BREAKER)
        os.chmod(self.profile, 0o644)

    def environment(self, operator=True):
        values = self.sandbox.environment(BERM_STATE_DIR=self.state)
        if operator:
            values.pop("SUDO_UID", None)
            values.pop("SUDO_GID", None)
        else:
            values.pop("BERM_STATE_DIR")
        return values

    def berm(self, *words, operator=True, timeout=60, **more):
        """As the operator, or as who is allowed a command of root's by sudo, which lets no BERM_STATE_DIR through."""
        command = [self.sandbox.berm, *words]
        if not operator:
            return self.as_starter(command, timeout, **more)
        return harness.run(command, env=dict(self.environment(), **more), cwd=self.sandbox.ws, timeout=timeout)

    def as_starter(self, command, timeout=60, **more):
        # A recorder out here would take the other process namespace for a run of its own.
        inventory.end_recorders(self.state)
        return harness.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation",
                            "private", "/bin/sh", "-c", USUAL_PLACE, "sh", self.state] + command,
                           env=dict(self.environment(operator=False), **more), cwd=self.sandbox.ws, timeout=timeout)

    def add(self, name="worker", *options, tier="2"):
        return self.berm("agent", "add", name, "--json", "--role", "does things", "--accountable-human",
                         "Ada <ada@example.org>", "-p", self.profile, "-C", self.sandbox.ws, "--tier", tier, *options)

    def command(self, tool, *options, agent="worker"):
        return [self.sandbox.berm, "run", "--agent", agent, *options, "--", *tool]

    def run(self, tool, *options, agent="worker", operator=True, **more):
        return self.berm(*self.command(tool, *options, agent=agent)[1:], operator=operator, **more)

    def shell(self, script, *options, **more):
        return self.run(["/bin/sh", "-c", script], *options, **more)

    def show(self, name="worker"):
        result = self.berm("agent", "show", "--json", name)
        return json.loads(result.text) if result.code == 0 else {}

    def used(self, name="worker"):
        return {(row["counter"], row["window"]): row["used"] for row in self.show(name).get("budgets", [])}

    def close(self):
        inventory.end_recorders(self.state)
        shutil.rmtree(self.state, ignore_errors=True)


def row(name, **more):
    """A row with a state directory of its own, that is removed whatever comes of it."""
    def wrap(function):
        def judged(sandbox, case):
            world = World(sandbox, name, **more)
            try:
                function(world, sandbox, case)
            finally:
                world.close()
        return judged
    return wrap


def touch(*names):
    return "; ".join("echo x > %s" % name for name in names)


@row("life")
def an_agent_is_who_it_was(world, sandbox, case):
    case.code(world.berm("pace", "group", "lab"), 0)
    case.code(world.add("worker", "--budget", "files_changed=9/day", "--group", "lab"), 0)
    first = world.show()
    case.that(first.get("role") == "does things" and first.get("accountable_human") == "Ada <ada@example.org>", first)
    case.that(stat.S_IMODE(os.stat(world.state + "/agents").st_mode) == 0o700, "agents/ is open to others")
    case.that(stat.S_IMODE(os.stat(world.state + "/agents/worker").st_mode) == 0o600, "its file is open to others")
    case.code(world.add(), 1)
    case.code(world.shell(touch("a", "b", "c")), 0)
    case.code(world.berm("agent", "set", "worker", "--name", "other"), 0)
    case.that(world.run(["true"]).code == 2, "the old name runs")
    renamed = world.show("other")
    case.that(renamed.get("id") == first.get("id") and renamed.get("runs_total") == 1, renamed)
    case.that(world.used("other").get(("files_changed", "day")) == 3, renamed)
    case.code(world.berm("agent", "retire", "other"), 2)
    case.code(world.berm("agent", "retire", "other", "--reason", "its work is done"), 0)
    case.that(world.run(["true"], agent="other").code == 2, "a retired agent runs")
    result = world.run(["true"], agent=first["id"])
    case.that(result.code == 126 and "its work is done" in result.errors, *result.describe())
    # The name is free, the id and what was used up are another's.
    case.code(world.add("other"), 0)
    case.that(world.show("other").get("id") != first["id"], "an id was used again")
    case.that(world.show(first["id"]).get("retired_reason") == "its work is done", world.show(first["id"]))
    listed = json.loads(world.berm("agent", "list", "--json", "--retired").text)["agents"]
    case.that(len(listed) == 2, listed)
    # Each change is in the log, by whom and under which id.
    told = [json.loads(line) for line in world.berm("log", "--json").text.splitlines()]
    told = [line for line in told if line.get("kind") == "agent_change"]
    case.that([line.get("agent") == first["id"] for line in told] == [True, True, True, False], told)
    words = [json.dumps(line) for line in told]
    case.that(len(words) == 4 and "worker" in words[1] and "its work is done" in words[2], told)


@row("words")
def what_is_mandatory_is_demanded(world, sandbox, case):
    base = ["agent", "add", "worker", "-p", world.profile, "--tier", "2"]
    human, role = ["--accountable-human", "Ada"], ["--role", "r"]
    for words in (base + human, base + role, base + role + ["--accountable-human", " "],
                  base + human + ["--role", "two\nlines"], base + human + ["--role", "x" * 201],
                  base + human + role + ["--tier", "4"], base + human + role + ["--budget", "files_changed=5"],
                  base + human + role + ["--budget", "denials=5/day"],
                  base + human + role + ["--budget", "files_changed=-1/day"],
                  base + human + role + ["--budget", "files_changed=5/week"],
                  base + human + role + ["--may-start", "nobody-has-this-name"],
                  base + human + role + ["--group", "../lab"],
                  base + human + role + ["--runs-per-hour", "many"], base + human + role + ["--runs-per-hour", "-1"],
                  base + human + role + ["--running", "x"], base + human + role + ["--running", "1025"],
                  base + human + role + ["--retries", "x"], base + human + role + ["--retries", "-1"],
                  base + human + role + ["--processes", "x"], base + human + role + ["--starts", "1e3"],
                  base + human + role + ["--cooldown", "soon"], base + human + role + ["--cooldown", "-1s"],
                  base + human + role + ["--time-box", "soon"], base + human + role + ["--time-box", "-1s"],
                  base + human + role + ["--runs-per-hour", "0"], base + human + role + ["--running", "0"],
                  base + human + role + ["--processes", "0"], base + human + role + ["--starts", "0"],
                  ["agent", "add", "../worker"] + base[3:] + human + role,
                  ["agent", "add", "Worker"] + base[3:] + human + role):
        result = world.berm(*words)
        case.that(result.code == 2, words, *result.describe())
    case.that(not os.listdir(world.state + "/agents"), os.listdir(world.state + "/agents"))
    result = world.berm("run", "--agent", "worker", "-p", world.profile, "--", "true")
    case.that(result.code == 2 and "own profile" in result.errors, *result.describe())
    case.that(world.run(["true"]).code == 2, "an agent that is none")


@row("budget", caps="blast_radius: {files_changed: 6}\n")
def a_budget_outlives_runs(world, sandbox, case):
    case.code(world.add("worker", "--budget", "files_changed=10/day", "--budget", "files_changed=1000/lifetime"), 0)
    case.code(world.shell(touch(*"abcd")), 0)
    case.that(world.used() == {("files_changed", "day"): 4, ("files_changed", "lifetime"): 4}, world.used())
    # Six are left, and six the profile allows; then none.
    result = world.shell(touch(*"ABCDEFGH"))
    case.that(len(os.listdir(sandbox.ws)) == 10, os.listdir(sandbox.ws), *result.describe())
    result = world.run(["true"])
    case.that(result.code == 126 and "files_changed (10 per day)" in result.errors, *result.describe())
    case.that(len(os.listdir(sandbox.ws)) == 10, os.listdir(sandbox.ws))
    inventory.end_recorders(world.state)
    log = world.berm("log", "--json")
    case.that("files_changed (10 per day)" in log.text and world.show()["id"] in log.text, log.text[-500:])
    # Another agent of the same profile has its own.
    case.code(world.add("second", "--budget", "files_changed=10/day"), 0)
    case.code(world.run(["true"], agent="second"), 0)
    case.that(world.show()["lifetime"]["files_changed"] == 10, world.show())


@row("status")
def a_run_says_whose_it_is(world, sandbox, case):
    case.code(world.berm("pace", "group", "lab"), 0)
    case.code(world.add("worker", "--group", "lab"), 0)
    result = world.run(["true"], "--json")
    told = [json.loads(line) for line in result.errors.splitlines() if line.startswith("{")]
    case.that(len(told) == 1 and told[0]["agent"] == "worker" and told[0]["agent_id"] == world.show()["id"] and
              told[0]["group"] == "lab", *result.describe())
    process = subprocess.Popen(world.command(["sleep", "30"]), env=world.environment(), cwd=sandbox.ws,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        rows, end = [], time.monotonic() + 20
        while not rows and time.monotonic() < end:
            answer = world.berm("ps", "--json")
            rows = [run for run in json.loads(answer.text or "{}").get("runs", []) if run["pid"] == process.pid]
        case.that(rows and rows[0]["agent"] == "worker" and rows[0]["group"] == "lab", rows)
        case.that("worker" in world.berm("ps").text, world.berm("ps").text)
        running = world.show()["running"]
        case.that(rows and len(running) == 1 and running[0]["run"] == rows[0]["run"] and
                  running[0]["reserved"] == {}, running)
    finally:
        process.terminate()
        process.communicate(timeout=20)
    case.that(world.show()["running"] == [], world.show()["running"])


@row("once")
def of_many_at_once_exactly_so_many_start(world, sandbox, case):
    """The budget of runs an hour, asked for by many at the same time."""
    case.code(world.add("worker", "--runs-per-hour", str(BUDGET), "--running", "1000"), 0)
    processes = []
    for number in range(AT_ONCE):
        processes.append(subprocess.Popen(world.command(["/bin/sh", "-c", "echo ran"]), env=world.environment(),
                                          cwd=sandbox.ws, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                          stderr=subprocess.PIPE))
    ran, refused, other = 0, 0, []
    for process in processes:
        out, errors = process.communicate(timeout=300)
        ran += out == b"ran\n"
        if process.returncode == 126 and b"runs_per_hour: %d" % BUDGET in errors:
            refused += 1
        elif process.returncode != 0:
            other.append((process.returncode, errors[-300:]))
    case.that(ran == BUDGET, "%d ran, not %d" % (ran, BUDGET))
    case.that(ran + refused == AT_ONCE, "%d refused" % refused, other[:3])
    agent = world.show()
    case.that(agent["runs_total"] == BUDGET and agent["running"] == [], agent)
    case.summary = "%d of %d" % (ran, AT_ONCE)


@row("reserve", caps="blast_radius: {files_changed: 3}\n")
def runs_at_once_have_no_more_together(world, sandbox, case):
    case.code(world.add("worker", "--budget", "files_changed=7/day", "--running", "100"), 0)
    processes = [subprocess.Popen(world.command(["/bin/sh", "-c", "for i in 1 2 3 4 5; do echo x > $$.%d.$i; done; "
                                                 "sleep 1" % number]),
                                  env=world.environment(), cwd=sandbox.ws, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for number in range(12)]
    for process in processes:
        process.wait(timeout=120)
    made = len(os.listdir(sandbox.ws))
    case.that(made <= 7, "%d files were made with a budget of 7" % made)
    case.that(world.used()[("files_changed", "day")] == made, world.used(), made)
    # What came back may be used, and no more than that.
    for _ in range(4):
        world.shell("for i in 1 2 3 4 5; do echo x > again.$$.$(date +%N).$i; done")
    case.that(len(os.listdir(sandbox.ws)) == 7, os.listdir(sandbox.ws))


@row("killed", caps="blast_radius: {files_changed: 4}\n")
def a_run_that_was_killed_is_not_free(world, sandbox, case):
    case.code(world.add("worker", "--budget", "files_changed=10/day", "--cooldown", "none"), 0)
    for used in (4, 8, 10):
        process = subprocess.Popen(world.command(["/bin/sh", "-c", "echo x > made; echo; exec sleep 6%d" % used]),
                                   env=world.environment(), cwd=sandbox.ws, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
        process.stdout.close()
        # It still counts as running until somebody asks to start; either way it counts.
        case.that(world.used()[("files_changed", "day")] == used, used, world.used())
        end = time.monotonic() + 10
        while inventory.processes([sandbox.token]) and time.monotonic() < end:
            time.sleep(0.05)
    result = world.run(["true"])
    case.that(result.code == 126 and "files_changed (10 per day)" in result.errors, *result.describe())
    case.that("reserved" not in result.errors and world.show()["lifetime"]["files_changed"] == 10, *result.describe())
    case.that(world.show()["running"] == [], world.show())


@row("tries")
def the_same_call_again_has_to_wait(world, sandbox, case):
    # Only there nothing has to wait.
    case.code(world.add("worker", "--cooldown", "none", "--retries", "2", tier="1"), 0)
    for _ in range(3):
        case.code(world.shell("exit 3", "--task", "t1"), 3)
    result = world.shell("exit 3", "--task", "t1")
    case.that(result.code == 126 and "retries: 2" in result.errors, *result.describe())
    case.code(world.shell("exit 3", "--task", "t2"), 3)
    case.code(world.shell("exit 4", "--task", "t1"), 4)
    case.code(world.shell("exit 3"), 3)
    case.code(world.berm("agent", "set", "worker", "--cooldown", "1h", "--task-required"), 0)
    result = world.shell("exit 4", "--task", "t1")
    case.that(result.code == 126 and "cooldown" in result.errors, *result.describe())
    result = world.shell("exit 0")
    case.that(result.code == 126 and "name its task" in result.errors, *result.describe())
    case.code(world.shell("exit 0", "--task", "t3"), 0)


@row("rates")
def rates_are_those_of_the_agent(world, sandbox, case):
    """Runs an hour, runs at once and the time box: as they were set, over runs and renames."""
    case.code(world.add("worker", "--running", "1", "--runs-per-hour", "9", "--time-box", "1s", tier="2"), 0)
    shown = world.show()
    case.that((shown["running_max"], shown["runs_per_hour"], shown["time_box_ms"]) == (1, 9, 1000), shown)
    case.code(world.berm("agent", "set", "worker", "--time-box", "none"), 0)
    case.that(world.show()["time_box_ms"] == 4 * 3600000, world.show())
    case.code(world.run(["true"]), 0)
    path = sandbox.top + "/rates.out"
    with open(path, "wb") as out:
        process = subprocess.Popen(world.command(["/bin/sh", "-c", "read go"]), env=world.environment(),
                                   cwd=sandbox.ws, stdin=subprocess.PIPE, stdout=out, stderr=out)
    try:
        wait_for(case, "the run", lambda: world.show()["running"], 60)
        result = world.run(["true"])
        case.that(result.code == 126 and "(running: 1)" in result.errors, *result.describe())
    finally:
        process.stdin.close()
        process.wait(timeout=60 * harness.SLOWER)
    # A tier's time box is the most that an agent can have, and less is kept.
    case.code(world.berm("agent", "set", "worker", "--time-box", "9h"), 0)
    case.that(world.show()["time_box_ms"] == 4 * 3600000, world.show())
    case.code(world.berm("agent", "set", "worker", "--time-box", "1s", "--name", "other"), 0)
    # On a slow machine it takes its time to begin, and there is nothing to look at before that.
    for seconds in (1, 8, 64):
        case.code(world.berm("agent", "set", "other", "--time-box", "%ds" % seconds), 0)
        result = world.shell("echo began; exec sleep 60%d" % seconds, agent="other", timeout=120)
        case.that(result.code == 124, *result.describe())
        if "began" in result.text:
            break
    case.that("time box of " in result.errors and " is over" in result.errors, *result.describe())
    case.that(len(os.listdir(world.state + "/evidence")) == 1, os.listdir(world.state + "/evidence"))
    count = world.show("other")["runs_within_hour"]
    case.that(count == world.show("other")["runs_total"] >= 3, world.show("other"))
    case.code(world.berm("agent", "set", "other", "--runs-per-hour", str(count)), 0)
    result = world.run(["true"], agent="other")
    case.that(result.code == 126 and "(runs_per_hour: %d); try again in" % count in result.errors, *result.describe())
    told = [json.loads(line)["detail"] for line in world.berm("log", "--json").text.splitlines()
            if json.loads(line).get("kind") == "agent_change"]
    case.that("time_box_ms 14400000 -> 1000" in str(told), told)


@row("tier")
def tiers_differ(world, sandbox, case):
    plain = sandbox.write_profile("agent-tier-plain")
    capped = sandbox.write_profile("agent-tier-capped", "blast_radius: {files_changed: 5}\n")
    unrecorded = sandbox.write_profile("agent-tier-unrecorded", "blast_radius: {files_changed: 5}\nrecorder: "
                                       "{on_failure: continue}\n" + BREAKER)
    case.code(world.add("one", tier="1"), 0)
    result = world.shell("cat seen; echo x > new || echo refused", agent="one")
    sandbox.file("seen", "mine\n")
    result = world.shell("cat seen; echo x > new || echo refused", agent="one")
    case.that(result.text.split() == ["mine", "refused"], *result.describe())
    # What another run left in the workspace is read and does not run, and there is nobody to send it to.
    shutil.copy("/bin/true", sandbox.ws + "/planted")
    online = sandbox.write_profile("agent-tier-online", "network: {mode: host}\n")
    with open(online, encoding="utf-8") as file:
        text = file.read()
    sandbox.write_text(online, text.replace('exec:\n  allow:\n    - {path: "${WORKDIR}"}\n', ""))
    case.code(world.berm("agent", "set", "one", "-p", online), 0)
    result = world.shell("./planted || echo refused; cat /proc/net/dev", agent="one")
    case.that(result.text.startswith("refused") and
              [line.split(":")[0].strip() for line in result.text.splitlines() if ":" in line] == ["lo"],
              *result.describe())
    for tier in ("2", "3"):
        case.code(world.berm("agent", "set", "one", "--tier", tier, "-p", plain), 0)
        result = world.run(["true"], agent="one")
        case.that(result.code == 126 and "has to have a cap" in result.errors, *result.describe())
        case.code(world.berm("agent", "set", "one", "-p", capped), 0)
        result = world.run(["true"], agent="one")
        case.that(result.code == 126 and "has to have a breaker" in result.errors, *result.describe())
        for number, (caps, when) in enumerate((("files_changed: 5", "{event: recorder_failed}"),
                                               ("files_changed: 5", "{event: canary_touched}"),
                                               ("processes_started: 5", "{event: denial, count: 5, within: 1s}"))):
            weak = sandbox.write_profile("agent-tier-weak-%d" % number, "blast_radius: {%s}\npace:\n  alternate:\n"
                                         "    when: [%s]\n" % (caps, when))
            case.code(world.berm("agent", "set", "one", "-p", weak), 0)
            result = world.run(["true"], agent="one")
            words = "breaker that can trip" if "files" in caps else "cap on what it changes"
            case.that(result.code == 126 and words in result.errors, when, *result.describe())
        case.code(world.berm("agent", "set", "one", "-p", world.profile), 0)
        case.code(world.shell("echo x > new-" + tier, agent="one"), 0)
        # Fail posture: closed by default, and closed always.
        case.code(world.berm("agent", "set", "one", "-p", unrecorded), 0)
        result = world.shell("echo x > unrecorded-" + tier, agent="one")
        case.that(result.code == {"2": 0, "3": 126}[tier], tier, *result.describe())
        case.that(tier == "2" or "never runs without being recorded" in result.errors, *result.describe())


@row("blind")
def what_nobody_counts_is_not_started(world, sandbox, case):
    """Bytes written are counted in the kernel only; where nobody does, degrading is no way around a budget."""
    case.code(world.add("worker", "--budget", "bytes_written=1MiB/day"), 0)
    if world.run(["true"]).code == 0:
        raise Skip("this host counts bytes")
    result = world.run(["true"], "--allow-degraded=bpf")
    case.that(result.code == 125 and "budget of bytes_written" in result.errors, *result.describe())
    case.that(world.show()["running"] == [] and world.used()[("bytes_written", "day")] == 0, world.show())


def forge(state, name, change):
    """Another message with a good checksum."""
    path = state + "/agents/" + name
    with open(path, "rb") as file:
        raw = file.read()
    payload = change(raw[48:])
    head = b"BERMSTAT" + struct.pack("<II", 1, len(payload))
    digest = hashlib.blake2b(head + b"berm.wire.Agent\0" + payload, digest_size=32, person=b"berm state file").digest()
    with open(path, "wb") as file:
        file.write(head + digest + payload)


@row("forged")
def a_file_that_is_not_ours_is_refused_with_words(world, sandbox, case):
    case.code(world.add(), 0)
    path = world.state + "/agents/worker"
    with open(path, "rb") as file:
        good = file.read()

    def put(data):
        with open(path, "wb") as file:
            file.write(data)

    def refused(code, words):
        for result in (world.run(["true"]), world.berm("agent", "show", "worker")):
            case.that(result.code == code(result), words, *result.describe())
            case.that(words in result.errors, words, *result.describe())

    def host(result):
        return 125 if "berm: run" in result.errors else 3

    def no(result):
        return 126 if "berm: run" in result.errors else 1

    forge(world.state, "worker", lambda payload: payload)
    case.code(world.run(["true"]), 0)
    good = open(path, "rb").read()
    put(good[:-1])
    refused(host, "another length")
    put(good[:20])
    refused(host, "was cut")
    put(good[:-1] + bytes([good[-1] ^ 1]))
    refused(host, "checksum")
    put(good.replace(b"BERMSTAT\1", b"BERMSTAT\2", 1))
    refused(host, "version")
    put(good)
    forge(world.state, "worker", lambda payload: payload + b"\xf8\x07\x01")
    refused(host, "does not know")
    put(good)
    forge(world.state, "worker", lambda payload: payload.replace(b"does things", b"does\x1b[2Jgs!"))
    refused(host, "role")
    put(good)
    shutil.copy(path, world.state + "/agents/copy")
    result = world.run(["true"], agent="copy")
    case.that(result.code == 125 and "copied" in result.errors, *result.describe())
    listed = world.berm("agent", "list")
    case.that(listed.code == 1 and "1 cannot be read" in listed.errors and "worker" in listed.text, *listed.describe())
    os.unlink(world.state + "/agents/copy")
    os.chmod(path, 0o640)
    refused(no, "others have a right")
    os.chmod(path, 0o600)
    os.rename(path, world.state + "/agents/away")
    os.symlink("away", path)
    refused(host, "is no file")
    os.unlink(path)
    os.mkfifo(path, 0o600)
    refused(host, "is no file")
    os.unlink(path)
    os.rename(world.state + "/agents/away", path)
    os.chmod(world.state + "/agents", 0o777)
    refused(no, "others may write")
    os.chmod(world.state + "/agents", 0o700)
    case.code(world.run(["true"]), 0)


@row("others")
def others_start_only_what_they_may(world, sandbox, case):
    if sandbox.mode != "root":
        # There is one user here: what belongs to another one is refused as such.
        case.code(world.add("worker", "--may-start", "12345,@12345"), 0)
        case.that(world.show()["may_start"] == [{"uid": 12345}, {"gid": 12345}], world.show())
        case.code(world.run(["true"]), 0)
        return
    # The profile is the operator's, and nobody else can write to where it is.
    case.code(world.add(), 0)
    result = world.run(["true"], operator=False)
    case.that(result.code == 126 and "may_start" in result.errors, *result.describe())
    # Not even that there is one, or one with a name like that, or that something is wrong with it.
    def told(name, *options):
        answer = world.run(["true"], "--json", *options, agent=name, operator=False)
        record = json.loads(answer.errors.splitlines()[-1])
        case.that(record.get("agent") is None and record.get("agent_id") is None, record)
        words = answer.errors.replace(record["run"], "RUN").replace(name, "NAME")
        return answer.code, [line for line in words.splitlines() if line.startswith("berm: ")]

    expected = told("workex")
    case.that(expected == told("worker") and expected[0] == 126 and "worker" not in str(expected), expected,
              told("worker"))
    case.that(told("worker", "-C", "/") == expected, told("worker", "-C", "/"))
    os.rename(world.profile, world.profile + ".away")
    case.that(told("worker") == expected, told("worker"))
    os.rename(world.profile + ".away", world.profile)
    os.chmod(world.state + "/agents/worker", 0o640)
    case.that(told("worker") == expected, told("worker"))
    os.chmod(world.state + "/agents/worker", 0o600)
    # Whatever the door is that root was reached by.
    for door in ({"DOAS_USER": "nobody"}, {"PKEXEC_UID": str(sandbox.uid)}, {"DOAS_USER": "nobody", "SUDO_UID": "0"}):
        result = world.run(["true"], operator=False, **{"SUDO_UID": "", **door})
        case.that(result.code == 126 and "may_start" in result.errors, door, *result.describe())
    for words in (str(sandbox.uid), "@%d" % sandbox.uid):
        case.code(world.berm("agent", "set", "worker", "--may-start", words), 0)
        result = world.shell("id -u; pwd", operator=False)
        case.that(result.code == 0 and result.text.split() == [str(sandbox.uid), sandbox.ws], *result.describe())
    for options in (["-C", "/"], ["--env", "A=b"], ["--allow-degraded=bpf"], ["--ceiling", world.profile]):
        result = world.run(["true"], *options, operator=False)
        case.that(result.code == 126 and "operator" in result.errors, options, *result.describe())
    # A profile of the caller's own is never that of the operator's agent.
    os.chown(world.profile, sandbox.uid, sandbox.uid)
    result = world.run(["true"], operator=False)
    case.that(result.code == 2, *result.describe())
    os.chown(world.profile, 0, 0)
    case.code(world.berm("agent", "set", "worker", "-C", "none", "--may-start", str(sandbox.uid)), 0)
    result = world.run(["true"], operator=False)
    case.that(result.code == 126 and "no directory of its own" in result.errors, *result.describe())
    case.code(world.berm("agent", "set", "worker", "--may-start", "none"), 0)
    case.that(world.run(["true"], operator=False).code == 126, "who may no longer start it did")


def replace(path, content):
    """As berm writes it: another file of that name."""
    with open(path + ".test", "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
    os.rename(path + ".test", path)


def waits_for_lock(pid):
    """It has read the agent and opens the lock again and again."""
    end = time.monotonic() + 9
    while time.monotonic() < end:
        try:
            if any(os.readlink(entry.path).endswith("/govern.lock") for entry in os.scandir("/proc/%d/fd" % pid)):
                return True
        except OSError:
            pass
        time.sleep(0.01)
    return False


# The starter's own run: she may freeze it, and not set it free again. $1 is berm, $2 her uid.
LOOSEN = """
"$1" run --agent worker -- /bin/sh -c 'echo > loosen.begun; exec sleep 60' &
berm=$!
for i in $(seq 1200); do [ -e loosen.begun ] && break; sleep 0.05; done
run=$("$1" agent show --json worker | grep -o '"run":"[0-9A-Z]*"' | cut -d'"' -f4)
as="setpriv --reuid=$2 --regid=$2 --clear-groups"
$as "$1" pace set "$run" frozen > /dev/null; echo frozen $?
$as "$1" pace set "$run" open > /dev/null; echo again $?
env -u SUDO_UID -u SUDO_GID "$1" pace set "$run" open > /dev/null; echo open $?
kill "$berm"; wait
"""


def tree_of(path):
    """Each name below, with its mode and time: what would show that somebody was there."""
    found = {}
    for directory, _, files in os.walk(path):
        for name in [directory] + [directory + "/" + file for file in files]:
            info = os.lstat(name)
            found[name] = (info.st_mode, info.st_uid, info.st_mtime_ns)
    return found


@row("place")
def others_do_not_say_where_the_state_is(world, sandbox, case):
    """Another store has other agents and budgets, and even a refusal would make files there as root."""
    if sandbox.mode != "root":
        raise Skip("there is one user here")
    case.code(world.add("worker", "--may-start", str(sandbox.uid)), 0)
    case.code(world.run(["true"], operator=False), 0)
    inventory.end_recorders(world.state)
    # A real store that the operator has elsewhere, one that is not there yet, and a directory with a log of the host's.
    other, host = World(sandbox, "place-other"), sandbox.top + "/like-var"
    case.code(other.add("worker", "--may-start", str(sandbox.uid)), 0)
    inventory.end_recorders(other.state)
    os.makedirs(host + "/log/journal", mode=0o755)
    for place in (other.state, host, sandbox.top + "/none/yet"):
        before = tree_of(place)
        for options, more in ((["--state-dir", place], {}), ([], {"BERM_STATE_DIR": place})):
            for name in ("worker", "nobody"):
                result = world.shell("echo ran", *options, agent=name, operator=False, **more)
                case.that(result.code == 126 and "--state-dir" in result.errors, place, name, *result.describe())
        case.that(tree_of(place) == before, place, before, tree_of(place))
    case.that(not os.path.exists(sandbox.top + "/none"), "a way was made for somebody")
    # The refusals are in the log of the usual place, and the operator may name any.
    refused = [json.loads(line) for line in world.berm("log", "--json").text.splitlines() if "--state-dir" in line]
    case.that(len(refused) >= 12, refused)
    case.code(world.run(["true"], "--state-dir", other.state), 0)
    other.close()
    # Even for the operator a log of the host's does not become berm's own.
    result = world.run(["true"], "--state-dir", host)
    case.that(stat.S_IMODE(os.stat(host + "/log").st_mode) == 0o755, *result.describe())
    shutil.rmtree(host)


@row("moved", caps="blast_radius: {files_changed: 50}\n")
def an_agents_directory_is_not_found_through_a_link(world, sandbox, case):
    """A run that may write beside it would choose what the agent's next run may write (CVE-2024-42472)."""
    source, target = sandbox.ws + "/src", sandbox.top + "/precious"
    project = source + "/project"
    for directory in (source, project, target, target + "/project"):
        os.mkdir(directory)
        sandbox.own(directory)
    case.code(world.add("other"), 0)
    case.code(world.add("worker", "-C", project, "--may-start", str(sandbox.uid)), 0)
    case.code(world.shell("pwd > here"), 0)
    starters = (True, False) if sandbox.mode == "root" else (True,)
    moves = (("mv src/project src/p2 && ln -s %s src/project" % target, "rm src/project && mv src/p2 src/project"),
             ("mv src s2 && ln -s %s src" % target, "rm src && mv s2 src"),
             ("mv src/project src/p2 && ln -s p2 src/project", "rm src/project && mv src/p2 src/project"))
    for there, back in moves:
        case.code(world.shell(there, agent="other"), 0)
        for operator in starters:
            result = world.shell("echo x > planted", operator=operator)
            case.that(result.code == 126 and "replaced by a link" in result.errors, there, operator, *result.describe())
        case.code(world.shell(back, agent="other"), 0)
        for operator in starters:
            case.code(world.shell("pwd > here", operator=operator), 0)
    found = [name for _, _, names in os.walk(target) for name in names]
    case.that(not found, "written where the link led", found)
    case.that(world.show()["running"] == [], world.show())


@row("taken")
def a_change_that_is_refused_changes_nothing(world, sandbox, case):
    """Several changes at once are one: neither made nor half made without a line in the log."""
    case.code(world.add("worker", "--budget", "files_changed=9/day"), 0)
    case.code(world.add("other"), 0)
    path = world.state + "/agents/worker"

    def content():
        with open(path, "rb") as file:
            return file.read()

    def told():
        lines = [json.loads(line) for line in world.berm("log", "--json").text.splitlines()]
        # Whether a seal covers a record already ("verified") is another matter: that comes a second later.
        return [line["record"] for line in lines if line.get("kind") == "agent_change"]

    before, records = (content(), os.stat(path).st_ino), told()
    wider = ["--budget", "files_changed=99999999/day", "--may-start", "12345", "--tier", "3", "--role", "another"]
    for more, code in ((["--name", "other"], 1), (["--name", "worker"], 1), (["--name", "../x"], 2),
                       (["--name", "third", "--role", " "], 2), (["--name", "third", "--retries", "x"], 2)):
        result = world.berm("agent", "set", "worker", *wider, *more)
        case.that(result.code == code, more, *result.describe())
        case.that((content(), os.stat(path).st_ino) == before, "it was changed", more)
    case.that(told() == records, told())
    case.code(world.berm("agent", "set", "worker", *wider, "--name", "third"), 0)
    third = world.show("third")
    case.that(third.get("tier") == 3 and third.get("role") == "another" and third["budgets"][0]["limit"] == 99999999 and
              third["may_start"] == [{"uid": 12345}], third)
    new = told()[len(records):]
    case.that(len(new) == 1 and "99999999" in json.dumps(new) and "worker" in json.dumps(new), new)


@row("waits")
def what_a_run_is_made_of_is_what_is_admitted(world, sandbox, case):
    """A start that is kept waiting while its operator narrows the agent does not begin as the former one."""
    case.code(world.berm("pace", "group", "lab"), 0)
    case.code(world.add("worker", tier="3"), 0)
    case.code(world.run(["true"]), 0)
    path, other = world.state + "/agents/worker", sandbox.write_profile("agent-waits-other", BREAKER)
    os.chmod(other, 0o644)
    for options in (["--tier", "1"], ["-p", other], ["-C", sandbox.top], ["--group", "lab"]):
        with open(path, "rb") as file:
            former = file.read()
        case.code(world.berm("agent", "set", "worker", *options), 0)
        with open(path, "rb") as file:
            narrowed = file.read()
        replace(path, former)
        kept_waiting(world, sandbox, case, lambda: replace(path, narrowed))
        replace(path, former)
    with open(world.profile, encoding="utf-8") as file:
        text = file.read()

    def narrow():
        # So long at least as counts.
        time.sleep(1.2)
        sandbox.write_text(world.profile, text.replace("files_changed: 5", "files_changed: 4"))

    kept_waiting(world, sandbox, case, narrow)
    case.code(world.run(["true"]), 0)


def kept_waiting(world, sandbox, case, change):
    """A start that waits for the lock while something changes is refused."""
    with open(world.state + "/govern.lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(world.command(["/bin/sh", "-c", "echo ran"]), env=world.environment(),
                                   cwd=sandbox.ws, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        case.that(waits_for_lock(process.pid), "it never asked")
        change()
    out, errors = process.communicate(timeout=30)
    case.that(process.returncode == 126 and b"changed while" in errors and not out, out, errors)


@row("loosen")
def who_starts_an_agent_does_not_undo_its_breaker(world, sandbox, case):
    if sandbox.mode != "root":
        raise Skip("there is one user here")
    case.code(world.add("worker", "--may-start", str(sandbox.uid)), 0)
    try:
        result = world.as_starter(["/bin/sh", "-c", LOOSEN, "sh", sandbox.berm, str(sandbox.uid)])
    finally:
        if os.path.exists(sandbox.ws + "/loosen.begun"):
            os.unlink(sandbox.ws + "/loosen.begun")
    words = result.text.split()
    case.that(words == ["frozen", "0", "again", "1", "open", "0"] and "only the operator" in result.errors,
              *result.describe())


@row("unheard")
def a_run_that_lost_its_recorder_did_run(world, sandbox, case):
    """Its exit code says that berm failed; it is a failed call all the same, and waits as such."""
    case.code(world.add("worker", "--cooldown", "1h"), 0)
    script = ["/bin/sh", "-c", "echo x > made; [ -e again ] || exec sleep 60"]
    process = subprocess.Popen(world.command(script), env=world.environment(), cwd=sandbox.ws,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    end = time.monotonic() + 20
    while not os.path.exists(sandbox.ws + "/made") and time.monotonic() < end:
        time.sleep(0.05)
    log = world.state + "/log"
    os.rename(log, log + ".away")
    with open(log, "w", encoding="ascii"):
        pass
    for pid in inventory.recorders(world.state):
        os.kill(pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    case.that(process.returncode == 125 and b"record" in errors, process.returncode, errors)
    os.unlink(log)
    os.rename(log + ".away", log)
    sandbox.file("again", "")
    result = world.run(script)
    case.that(result.code == 126 and "cooldown" in result.errors, *result.describe())
    case.that(world.show()["lifetime"]["files_changed"] == 1, world.show())


def started(world, sandbox, script, *options):
    """A run whose tool has begun and waits for its standard input to end."""
    process = subprocess.Popen(world.command(["/bin/sh", "-c", script + "; echo begun; read end || :"], *options),
                               env=world.environment(), cwd=sandbox.ws, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    process.stdout.readline()
    return process


def children_of(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
        return file.read().split()


@row("locked", caps="blast_radius: {files_changed: 4}\n")
def an_end_does_not_wait_for_the_lock(world, sandbox, case):
    """Whoever holds the lock of all, however long, makes nobody's run cost more than it did."""
    case.code(world.add("worker", "--budget", "files_changed=10/day", "--cooldown", "none"), 0)
    process = started(world, sandbox, touch("a"))
    with open(world.state + "/govern.lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _, errors = process.communicate(timeout=60 * harness.SLOWER)
        case.that(process.returncode == 0 and b"could not be told" not in errors, process.returncode, errors)
    case.that(world.show()["running"][0]["lasts"] is False, world.show())
    case.code(world.run(["true"]), 0)
    case.that(world.show()["running"] == [], world.show()["running"])
    case.that(world.used()[("files_changed", "day")] == 1, world.used(), world.show()["lost"])
    case.that(os.listdir(world.state + "/agents.ends") == [], os.listdir(world.state + "/agents.ends"))
    # Who wants it gone meanwhile has to wait for that.
    process = started(world, sandbox, touch("b", "c"))
    with open(world.state + "/govern.lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process.stdin.close()
        wait_for(case, "the end", lambda: not children_of(process.pid))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
            process.send_signal(number)
        wait_for(case, "its end with the lock held", lambda: process.poll() is not None, 60)
    process.stdout.close()
    process.stderr.close()
    case.code(world.run(["true"]), 0)
    case.that(world.used()[("files_changed", "day")] == 3 and world.show()["running"] == [], world.show())
    case.that(world.show()["lost"] == [], world.show())


@row("late")
def a_run_that_is_over_says_how(world, sandbox, case):
    """A signal that comes after its end, while its agent cannot be told, was for the run."""
    case.code(world.add(), 0)
    process = started(world, sandbox, "trap 'exit 7' EXIT", "--json")
    with open(world.state + "/govern.lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process.stdin.close()
        wait_for(case, "the end", lambda: not children_of(process.pid))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            process.send_signal(number)
    errors = process.stderr.read()
    process.wait(timeout=60 * harness.SLOWER)
    process.stdout.close()
    process.stderr.close()
    told = [json.loads(line) for line in errors.splitlines() if line.startswith(b"{")]
    case.that(process.returncode == 7 and len(told) == 1 and told[0]["code"] == 7, process.returncode, errors)


@row("early", caps="blast_radius: {files_changed: 4}\n")
def a_run_that_is_killed_before_its_tool_starts_costs_a_run(world, sandbox, case):
    case.code(world.add("worker", "--budget", "files_changed=10/day", "--cooldown", "1h"), 0)
    case.code(world.run(["true"]), 0)
    recorders = inventory.recorders(world.state)
    case.that(len(recorders) == 1, recorders)
    # The tool is not started before the recorder has answered.
    for number in recorders:
        os.kill(number, signal.SIGSTOP)
    try:
        process = subprocess.Popen(world.command(["/bin/sh", "-c", "echo x > made"]), env=world.environment(),
                                   cwd=sandbox.ws, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        wait_for(case, "the admission", lambda: len(world.show()["running"]) == 1)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20 * harness.SLOWER)
    finally:
        for number in recorders:
            os.kill(number, signal.SIGCONT)
    wait_for(case, "its processes to end", lambda: not inventory.processes([sandbox.token]))
    case.that(not os.path.exists(sandbox.ws + "/made"), "it ran")
    case.that(world.used()[("files_changed", "day")] == 4, world.used())
    # Neither what it had reserved, nor a failure: the same command starts at once.
    case.code(world.shell("echo x > made"), 0)
    agent = world.show()
    case.that(world.used()[("files_changed", "day")] == 1 and agent["runs_total"] == 3, agent)
    case.that(agent["running"] == [] and agent["lost"] == [], agent)


@row("settle", caps="blast_radius: {files_changed: 4}\n")
def a_lost_run_can_be_settled(world, sandbox, case):
    case.code(world.add("worker", "--budget", "files_changed=4/lifetime", "--cooldown", "none"), 0)
    process = started(world, sandbox, touch("a"))
    run = world.show()["running"][0]["run"]

    def settle(*words, reason="the disk was looked at"):
        return world.berm("agent", "settle", "--json", "worker", run, *words, "--reason", reason)

    case.code(settle("--done", "files_changed=1"), 2)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20 * harness.SLOWER)
    wait_for(case, "its processes to end", lambda: not inventory.processes([sandbox.token]))
    for words in (["--done", "files_changed=5"], ["--done", "files_changed=4", "--done", "bytes_sent=1"]):
        case.code(settle(*words), 1)
    for words in (["--done", "files_changed"], ["--done", "denials=1"], ["--done", "files_changed=none"], []):
        case.code(settle(*words), 2)
    case.code(settle("--done", "files_changed=1", reason=" "), 2)
    case.code(settle("--done", "files_changed=1"), 0)
    case.that(world.used()[("files_changed", "lifetime")] == 1, world.show())
    case.that(world.show()["lost"][0]["counts_as"] == {"files_changed": 1}, world.show())
    case.code(world.run(["true"]), 0)
    told = [json.loads(line) for line in world.berm("log", "--json").text.splitlines()]
    told = [line for line in told if line.get("operation") == "settle"]
    case.that(len(told) == 1 and told[0]["detail"].startswith(
        "the disk was looked at: lost %s files_changed 4 -> %s files_changed 1" % (run, run)), told)


@row("changes")
def each_change_is_told_with_what_it_was(world, sandbox, case):
    case.code(world.add("worker", "--budget", "files_changed=9/day"), 0)
    case.code(world.berm("agent", "set", "worker", "-C", "/", "--task-required", "--may-start", "12345", "--budget",
                         "files_changed=10/day", "--name", "other"), 0)
    told = [json.loads(line) for line in world.berm("log", "--json").text.splitlines()]
    told = [line["detail"] for line in told if line.get("kind") == "agent_change"]
    case.that(len(told) == 2 and told[1].startswith(
        "name worker -> other, directory %s -> /, may_start none -> user 12345, budgets files_changed 9 per day -> "
        "files_changed 10 per day, task_required false -> true" % sandbox.ws), told)
    case.that("directory none -> %s, tier none -> 2" % sandbox.ws in told[0], told)


@row("own")
def what_is_berms_own_is_out_of_every_runs_reach(world, sandbox, case):
    """The places by which berm kill finds runs, and the usual state directory where another one is named."""
    if sandbox.mode != "user":
        raise Skip("as root these directories are another user's: the next row")
    # Of this row alone: another suite of this process may have made the sandbox's own.
    runtime, own_home = sandbox.top + "/own-runtime", sandbox.top + "/own-home"
    home = own_home + "/.local"
    for directory in (runtime, own_home, home):
        shutil.rmtree(directory, ignore_errors=True)
        os.mkdir(directory, 0o700)
    usual = home + "/state/berm"
    profile = sandbox.write_profile("own")
    with open(profile, encoding="utf-8") as file:
        text = file.read()
    sandbox.write_text(profile, text.replace('  write:\n', '  write:\n    - "%s"\n    - "%s"\n' % (runtime, home)))
    values = dict(world.environment(), XDG_RUNTIME_DIR=runtime, HOME=own_home)
    values.pop("XDG_STATE_HOME", None)

    def run(script):
        return harness.run([sandbox.berm, "run", "-p", profile, "--", "/bin/sh", "-c", script], env=values,
                           cwd=sandbox.ws, timeout=60)

    # Also where it was not there yet.
    for _ in range(2):
        result = run("echo x > %s/mine; echo x > %s/mine; ls %s/berm/runs %s/log; "
                     "mkdir -p %s/agents %s/berm/runs; echo x > %s/agents/forged; echo x > %s/berm/runs/x.place; "
                     "mv %s/berm %s/away; mv %s %s.away; echo done"
                     % (runtime, home, runtime, usual, usual, runtime, usual, runtime, runtime, runtime, usual, usual))
        case.that(result.text == "done\n", *result.describe())
        names = sorted(name for top in (runtime, home) for _, _, files in os.walk(top) for name in files)
        case.that(names == ["mine", "mine"], names)
        case.that(sorted(os.listdir(runtime)) == ["berm", "mine"] and os.listdir(home + "/state") == ["berm"],
                  os.listdir(runtime), os.listdir(home))
    for directory in (runtime, own_home):
        shutil.rmtree(directory)


# The home of whom root works for, a runtime directory of that user, and a /tmp, for one command.
CALLERS_PLACES = """
mount -t tmpfs -o mode=0755 none /run/user && mkdir -m 0700 /run/user/$1 && chown $1 /run/user/$1 || exit 99
mount -t tmpfs -o mode=1777 none /tmp && mount --bind "$2" /etc/passwd && shift 2 || exit 99
"$@"; code=$?
find /run/user /tmp -printf 'left %p %U %m\\n'
exit $code
"""


def beside_the_callers_own(world, sandbox, profile, script):
    passwd = sandbox.write_text(sandbox.top + "/passwd", "root:x:0:0::/root:/bin/sh\nhelper:x:%d:%d::%s:/bin/sh\n"
                                % (sandbox.uid, sandbox.uid, sandbox.home))
    inventory.end_recorders(world.state)
    return harness.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation",
                        "private", "/bin/sh", "-c", CALLERS_PLACES, "sh", str(sandbox.uid), passwd, sandbox.berm,
                        "run", "-p", profile, "--", "/bin/sh", "-c", script],
                       env=sandbox.environment(BERM_STATE_DIR=world.state), cwd=sandbox.ws, timeout=60)


@row("callers")
def whom_root_works_for_keeps_their_own(world, sandbox, case):
    """By sudo the tool has the rights of that user: what their own berm keeps is not the tool's."""
    if sandbox.mode != "root":
        raise Skip("root works for itself here")
    places = ["%s/.local/state/berm" % sandbox.home, "/run/user/%d/berm" % sandbox.uid, "/tmp/berm-%d" % sandbox.uid]
    grants = "".join('    - "%s"\n' % path for path in (sandbox.home + "/.local", "/run/user/%d" % sandbox.uid, "/tmp"))
    for grant in ("write", "read"):
        os.mkdir(sandbox.home + "/.local", 0o700)
        sandbox.own(sandbox.home + "/.local")
        profile = sandbox.write_profile("callers-" + grant)
        with open(profile, encoding="utf-8") as file:
            text = file.read()
        sandbox.write_text(profile, text.replace("  %s:\n" % grant, "  %s:\n%s" % (grant, grants)))
        # Absent at first, there the second time.
        for _ in range(2):
            result = beside_the_callers_own(world, sandbox, profile, "; ".join(
                "ls %s && echo seen; mkdir -p %s/x && echo made; mv %s %s.away && echo moved" % ((place,) * 4)
                for place in places) + "; echo done")
            lines = result.text.splitlines()
            left = [line.split()[1:] for line in lines if line.startswith("left ")]
            case.that([line for line in lines if not line.startswith("left ")] == ["done"], grant, *result.describe())
            for place in places[1:]:
                case.that([place, str(sandbox.uid), "700"] in left, grant, place, left)
            case.that([one for one in left if "/x" in one[0] or "away" in one[0]] == [], grant, left)
            case.that(os.path.isdir(places[0]) and os.stat(places[0]).st_uid == sandbox.uid, grant, places[0])
            case.that(os.listdir(places[0]) == [], places[0])
        shutil.rmtree(sandbox.home + "/.local")


# Forks until it may not, keeping what it started; then, one after the other, as often as it may.
SPAWN = """
import os, signal, sys
def fork():
    try:
        return os.fork()
    except OSError:
        return -1
kept = []
while sys.argv[1] == "at-once" and len(kept) < 200:
    pid = fork()
    if pid < 0:
        break
    if pid == 0:
        signal.pause()
    kept.append(pid)
one = 0
while sys.argv[1] == "in-all" and one < 200:
    pid = fork()
    if pid < 0:
        break
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    one += 1
print(len(kept) or one, flush=True)
"""


@row("spawn", caps="blast_radius: {files_changed: 5}\n")
def a_run_starts_so_many_processes(world, sandbox, case):
    case.code(world.berm("pace", "group", "--tier", "2", "crew"), 0)
    case.code(world.add("worker", "--group", "crew", "--processes", "20", "--cooldown", "none"), 0)

    def spawn(how):
        return world.run(["/usr/bin/python3", "-c", SPAWN, how])

    shown = world.show()
    case.that(shown["processes_max"] == 20 and shown["starts_max"] == 10000, shown)
    result = spawn("at-once")
    case.that(result.code == 0 and 10 < int(result.text) <= 20, *result.describe())
    case.that(world.show()["lifetime"]["processes_started"] >= int(result.text), world.show())
    case.code(world.berm("agent", "set", "worker", "--processes", "100", "--starts", "30"), 0)
    log = [json.loads(line) for line in world.berm("log", "--json").text.splitlines()]
    case.that("processes_max 20 -> 100, starts_max 10000 -> 30" in json.dumps(log[-1]), log[-1])
    path = sandbox.top + "/spawn.out"
    with open(path, "wb") as out:
        process = subprocess.Popen(world.command(["/usr/bin/python3", "-c", SPAWN, "in-all"]), stdout=out, stderr=out,
                                   stdin=subprocess.DEVNULL, env=world.environment(), cwd=sandbox.ws)
    try:
        # Exactly so many, and its group knows that it wanted more: people look at what it is.
        wait_for(case, "the word to the group",
                 lambda: "knows of it (cap)" in inventory.read(path) or process.poll() is not None, 60)
    finally:
        process.terminate()
        process.wait(timeout=60 * harness.SLOWER)
    # Where nobody had time for it the next start tells.
    world.run(["true"])
    group = json.loads(world.berm("pace", "show", "--json", "crew").text)
    case.that([one["agent"] for one in group["isolated"]] == ["worker"], group)
    case.that(world.used() == {} and world.show()["running"] == [], world.show())
    case.code(world.add("quiet", tier="1"), 0)
    case.that(world.show("quiet")["processes_max"] == 512 and world.show("quiet")["starts_max"] is None,
              world.show("quiet"))


@row("full")
def a_start_that_cannot_be_written_down_is_none(world, sandbox, case):
    case.code(world.add(), 0)
    # A directory in the place of the temporary file cannot be taken away by a write.
    os.mkdir(world.state + "/agents/worker.new")
    result = world.shell("echo x > ran")
    case.that(result.code == 125 and "cannot write the state file" in result.errors, *result.describe())
    case.that(not os.path.exists(sandbox.ws + "/ran"), "it ran")
    os.rmdir(world.state + "/agents/worker.new")
    case.code(world.run(["true"]), 0)
    case.that(world.show()["runs_total"] == 1, world.show())


ROWS = [
    ("an agent keeps its id and what it used up; a retired one never comes back", an_agent_is_who_it_was),
    ("role, accountable human, profile and tier are mandatory, and everything is read strictly",
     what_is_mandatory_is_demanded),
    ("a budget narrows each run and outlives them all", a_budget_outlives_runs),
    ("status record, berm ps and berm agent show name the agent and the run", a_run_says_whose_it_is),
    ("of many starts at once exactly as many as the budget has are admitted", of_many_at_once_exactly_so_many_start),
    ("runs at once have no more together than the budget", runs_at_once_have_no_more_together),
    ("a run whose berm was killed counts as all that it had reserved", a_run_that_was_killed_is_not_free),
    ("a run has so many processes at once and starts so many, and its group hears of more",
     a_run_starts_so_many_processes),
    ("retries, cooldown and tasks", the_same_call_again_has_to_wait),
    ("rates and the time box are as the agent has them, and an agent has no more than its tier",
     rates_are_those_of_the_agent),
    ("tier 1 changes nothing, tiers 2 and 3 want caps and a breaker", tiers_differ),
    ("a budget of what nobody counts here refuses the start by name", what_nobody_counts_is_not_started),
    ("a damaged, forged, copied or replaced file is refused with words", a_file_that_is_not_ours_is_refused_with_words),
    ("others start only what they may, and choose nothing about it", others_start_only_what_they_may),
    ("others do not say where the state is, and nothing is touched there", others_do_not_say_where_the_state_is),
    ("an agent's directory is never found through a link", an_agents_directory_is_not_found_through_a_link),
    ("several changes at once are made all or none, and recorded", a_change_that_is_refused_changes_nothing),
    ("an agent that is changed while a run is prepared does not start", what_a_run_is_made_of_is_what_is_admitted),
    ("who starts an agent may freeze its run, and not set it free", who_starts_an_agent_does_not_undo_its_breaker),
    ("a run that lost its recorder counts as one that failed", a_run_that_lost_its_recorder_did_run),
    ("a run that ends while the lock is held costs what it did", an_end_does_not_wait_for_the_lock),
    ("a run that is over says how it ended, whatever signals come then", a_run_that_is_over_says_how),
    ("a run that is killed before its tool starts costs a run and nothing else",
     a_run_that_is_killed_before_its_tool_starts_costs_a_run),
    ("who knows what a lost run did settles it, on the record", a_lost_run_can_be_settled),
    ("each change is recorded with what it was before", each_change_is_told_with_what_it_was),
    ("where runs are found, and the usual state directory, are out of every run's reach",
     what_is_berms_own_is_out_of_every_runs_reach),
    ("what the berm of the caller keeps is out of reach of runs by sudo", whom_root_works_for_keeps_their_own),
    ("a start that cannot be written down does not run", a_start_that_cannot_be_written_down_is_none),
]
