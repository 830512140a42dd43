# SPDX-License-Identifier: Apache-2.0
"""Runs that the tool of a run starts through berm: the chain, its limits, and rights that only ever get fewer."""
import json
import os
import re
import shutil
import signal
import subprocess

import cases_agents
import harness
import inventory
from cases_record import wait_for
from sandbox import Skip

PACE = "pace:\n  alternate:\n    when: [{event: denial, count: 64, within: 1m}]\n"
CAPS = "blast_radius: {files_changed: %d}\n"


class Crew:
    """A state directory of one row with agents that know each other."""

    def __init__(self, sandbox, name):
        self.sandbox = sandbox
        self.state = "%s/crew-%s" % (sandbox.top, name)
        shutil.rmtree(self.state, ignore_errors=True)
        self.name = name

    def environment(self, **more):
        values = self.sandbox.environment(BERM_STATE_DIR=self.state, **more)
        # The operator starts them.
        values.pop("SUDO_UID", None)
        values.pop("SUDO_GID", None)
        return values

    def berm(self, *words, **more):
        more.setdefault("env", self.environment())
        more.setdefault("cwd", self.sandbox.ws)
        return harness.run([self.sandbox.berm, *words], **more)

    def profile(self, agent, more="", caps=9, read=()):
        path = self.sandbox.write_profile("%s-%s" % (self.name, agent), (CAPS % caps) + PACE + more,
                                          read=[self.sandbox.bin, *read])
        os.chmod(path, 0o644)
        return path

    def add(self, agent, *options, tier="2", profile=None, **more):
        return self.berm("agent", "add", agent, "--json", "--role", "does things", "--accountable-human",
                         "Ada <ada@example.org>", "-p", profile or self.profile(agent, **more), "-C", self.sandbox.ws,
                         "--tier", tier, "--cooldown", "none", *options)

    def asks(self, agent, script, *options):
        """The words of a tool that asks for a run of that agent."""
        return " ".join([self.sandbox.berm, "run", "--agent", agent, *options, "--", "/bin/sh", "-c",
                         "'" + script.replace("'", "'\\''") + "'"])

    def run(self, agent, script, *options, **more):
        return self.berm("run", "--agent", agent, *options, "--", "/bin/sh", "-c", script, **more)

    def record(self, agent, script, *options):
        """(result, the status record of the outer run)."""
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        result = self.run(agent, script, "--status-fd", str(writer), *options, pass_fds=(writer,))
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            text = file.read().decode("utf-8")
        return result, json.loads(text) if text else {}

    def log(self):
        return [json.loads(line) for line in self.berm("log", "--json").text.splitlines()]

    def show(self, agent):
        return json.loads(self.berm("agent", "show", "--json", agent).text)

    def forget(self):
        """Another state directory: ids and runs of before are nobody's."""
        self.close()
        self.sandbox.fresh()

    def close(self):
        inventory.end_recorders(self.state)
        shutil.rmtree(self.state, ignore_errors=True)


def row(name):
    """A row with a crew of its own, that is removed whatever comes of it."""
    def wrap(function):
        def judged(sandbox, case):
            crew = Crew(sandbox, name)
            try:
                function(crew, sandbox, case)
            finally:
                crew.close()
        return judged
    return wrap


@row("words")
def a_tool_starts_another_agent_with_the_same_words(crew, sandbox, case):
    case.code(crew.add("reader"), 0)
    case.code(crew.add("lead", "--delegate-to", "reader"), 0)
    inner = crew.asks("reader", "read line; echo got $line; echo to-stderr >&2; exit 7", "--task", "summary")
    result = crew.run("lead", "echo hello | (%s 2>&1 1>&3 | sed s/^/e:/) 3>&1 | cat" % inner)
    case.code(result, 0)
    case.that("got hello" in result.text and "e:to-stderr" in result.text, *result.describe())
    result = crew.run("lead", crew.asks("reader", "exit 9") + " 2>/dev/null < /dev/null > /dev/null")
    case.code(result, 9)
    result = crew.run("lead", crew.asks("reader", "kill -KILL $$"))
    case.code(result, 137)
    # What is no pipe is carried.
    sandbox.file("in", "from a file\n" * 20000)
    result = crew.run("lead", "%s < in > out; wc -l < out" % crew.asks("reader", "cat; echo last"))
    case.that(result.text.strip() == "20001", *result.describe())
    case.that(crew.show("reader")["runs_total"] == 4 and crew.show("lead")["runs_total"] == 4, crew.show("reader"))
    case.that(crew.show("reader")["running"] == [] and crew.show("lead")["running"] == [], crew.show("reader"))


@row("chain")
def the_chain_is_in_every_place_that_names_the_run(crew, sandbox, case):
    for name in ("d", "c", "b", "a"):
        case.code(crew.add(name, *(["--delegate-to", chr(ord(name) + 1)] if name != "d" else []), tier="3"), 0)
    # b asks for c, c asks for d: four hops, each in its own walls.
    ids = {name: crew.show(name)["id"] for name in "abcd"}
    deepest = "echo deep; %s ps --json > /dev/null 2>&1; sleep 0.2" % sandbox.berm
    result = crew.run("a", crew.asks("b", crew.asks("c", crew.asks("d", deepest))))
    case.code(result, 0)
    case.that(result.text == "deep\n", *result.describe())
    starts = [line for line in crew.log() if line.get("kind") == "run_start"]
    case.that([line["agent"] for line in starts] == [ids[name] for name in "abcd"], starts)
    for number, line in enumerate(starts):
        hops = line["record"]["run_start"].get("delegated_by", [])
        case.that([(hop["run"], hop["agent_id"], hop["agent"]) for hop in hops] ==
                  [(starts[i]["run"], ids["abcd"[i]], "abcd"[i]) for i in range(number)], hops)
        case.that((line["record"].get("chain") or {}).get("action_type") == ("delegation" if number else None),
                  line["record"].get("chain"))
    traced = crew.berm("log", "trace", starts[3]["run"])
    case.that("delegated  by a, run %s" % starts[0]["run"] in traced.text and "by c, run %s" % starts[2]["run"] in
              traced.text, *traced.describe())


@row("refused")
def what_the_operator_did_not_say_is_refused_and_recorded(crew, sandbox, case):
    """Not in the list, in the chain already, too deep: the words say which, and the run that asked has the denial."""
    for name in ("other", "c", "b", "a"):
        case.code(crew.add(name, tier="2"), 0)
    for name, to in (("a", "b"), ("b", "a,c"), ("c", "other")):
        case.code(crew.berm("agent", "set", name, "--delegate-to", to), 0)

    def refusal(script, name, who, target, rule):
        before = len(crew.log())
        result = crew.run(name, script)
        case.that(result.code != 0 and "(%s)" % rule in result.text + result.errors, rule, *result.describe())
        told = [line for line in crew.log()[before:] if line["kind"] == "denial"]
        seen = [(line["rule"], line["record"]["denial"]["operation"]) for line in told]
        case.that(seen == [(rule, "delegate")], told)
        case.that([line["agent"] for line in told] == [crew.show(who)["id"]], told)
        case.that(told and told[0]["target"] == target, told)

    refusal(crew.asks("other", "true"), "a", "a", "other", "delegation.to")
    refusal(crew.asks("nobody", "true"), "a", "a", "nobody", "delegation.to")
    refusal(crew.asks("a", "true"), "a", "a", "a", "delegation.to")
    refusal(crew.asks("b", crew.asks("a", "true")), "a", "b", "a", "delegation.cycle")
    # Two may follow an agent of tier 2, one by the other.
    refusal(crew.asks("b", crew.asks("c", crew.asks("other", "true"))), "a", "c", "other", "delegation.depth")
    result, record = crew.record("a", crew.asks("other", "echo never"))
    case.that([(row["op"], row["target"], row["rule"]) for row in record.get("denials", [])] ==
              [("delegate", "other", "delegation.to")], record)
    explained = crew.berm("explain", record["denials"][0]["id"])
    case.that(explained.code == 0 and "delegation.to" in explained.text, *explained.describe())
    # Leave that was taken away holds for a run that lasts.
    script = "%s; echo x > %s/ready; while ! [ -e %s/gone ]; do sleep 0.05; done; %s" % (
        crew.asks("b", "echo first"), sandbox.ws, sandbox.ws, crew.asks("b", "echo second"))
    process = harness.run(["/bin/sh", "-c", """
        ("$0" run --agent a -- /bin/sh -c "$1" 2>&1 | cat > out) &
        while ! [ -e ready ]; do sleep 0.05; done
        "$0" agent set a --delegate-to none > /dev/null; echo x > gone; wait; cat out
        """, sandbox.berm, script], env=crew.environment(), cwd=sandbox.ws)
    case.that("first" in process.text and "second" not in process.text and "delegation.to" in process.text,
              *process.describe())


@row("door")
def without_leave_there_is_no_door(crew, sandbox, case):
    case.code(crew.add("reader"), 0)
    case.code(crew.add("lead"), 0)
    probe = ("import socket, sys\ntry:\n  s = socket.socket(0x6265726d, socket.SOCK_SEQPACKET)\n"
             "  print('door', s.fileno())\nexcept OSError as e:\n  print(e.errno)\n")
    tool = ["/usr/bin/python3", "-c", probe]
    result = crew.berm("run", "--agent", "lead", "--", *tool)
    case.that(result.text.strip() == "97", *result.describe())
    result = sandbox.run(tool)
    case.that(result.text.strip() == "97", *result.describe())
    result = crew.run("lead", crew.asks("reader", "echo never"))
    case.that(result.code != 0 and "never" not in result.text, *result.describe())
    case.that(crew.show("reader")["runs_total"] == 0, crew.show("reader"))
    case.code(crew.berm("agent", "set", "lead", "--delegate-to", "reader"), 0)
    result = crew.berm("run", "--agent", "lead", "--", *tool)
    case.that("door" in result.text, *result.describe())


@row("rights")
def rights_are_those_of_both(crew, sandbox, case):
    """What either may not do, the run that was delegated does not do: asked of the kernel, for each kind of right."""
    outer, inner = sandbox.top + "/only-outer", sandbox.top + "/only-inner"
    for path in (outer, inner):
        os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o755)
        sandbox.write_text(path + "/file", "there\n")
        shutil.copy("/bin/echo", path + "/prog")
        os.chmod(path + "/prog", 0o755)
    syscalls = "syscalls: {families: [%s]}\nnetwork: {mode: host}\n"
    case.code(crew.add("reader", profile=crew.profile("reader", syscalls % "unix, inet, inet6", caps=5,
                                                      read=[inner]).replace("\0", "")), 0)
    case.code(crew.add("lead", "--delegate-to", "reader",
                       profile=crew.profile("lead", "limits: {open_files: 300}\n", caps=9, read=[outer])), 0)
    probe = (
        "for d in %s %s; do cat $d/file && echo read $d; $d/prog ran $d; done; ulimit -n; "
        "/usr/bin/python3 -c \"import socket; socket.socket(socket.AF_UNIX)\" && echo unix; "
        "echo interfaces $(grep -c : /proc/net/dev)" % (outer, inner))
    alone = crew.run("reader", probe)
    with open("/proc/net/dev", encoding="ascii") as file:
        count = file.read().count(":")
    for word in ("read " + inner, "ran " + inner, "unix", "interfaces %d" % count):
        case.that(word in alone.text, word, *alone.describe())
    both = crew.run("lead", crew.asks("reader", probe))
    case.that("read" not in both.text and "ran" not in both.text and "unix" not in both.text, *both.describe())
    case.that("300\n" in both.text and "interfaces 1" in both.text, *both.describe())
    lead = crew.run("lead", probe)
    case.that("read " + outer in lead.text and "read " + inner not in lead.text, lead.text)


@row("links")
def a_link_that_a_tool_laid_leads_nowhere(crew, sandbox, case):
    """Rights are cut out of words: what they lead to must not be for the run that asks to choose."""
    hidden, inside = sandbox.top + "/hidden", sandbox.ws + "/in"
    os.makedirs(hidden, exist_ok=True)
    os.chmod(hidden, 0o755)
    sandbox.write_text(hidden + "/key", "there\n")
    os.makedirs(inside, exist_ok=True)
    sandbox.own(inside)
    # Only reads, and only there: without a tree of its own that the link would lie in.
    reader = crew.profile("reader", read=[inside])
    with open(reader, encoding="utf-8") as file:
        text = file.read()
    with open(reader, "w", encoding="utf-8") as file:
        file.write(re.sub(r'  write:\n    - "[^"]*"\n', "  write: []\n", text))
    case.code(crew.add("reader", profile=reader), 0)
    case.code(crew.add("lead", "--delegate-to", "reader"), 0)
    ask = crew.asks("reader", "cat %s/key" % inside)
    result = crew.run("lead", "echo mine > in/key; %s" % ask)
    case.that("mine" in result.text, "it works without a link", *result.describe())
    result = crew.run("lead", "mv in in.old; ln -s %s in; %s" % (hidden, ask))
    case.that(result.code != 0 and "there" not in result.text, *result.describe())
    case.that("a symbolic link that the run that asks for this one may have laid" in result.errors, *result.describe())
    case.that(crew.run("reader", "cat %s/key" % inside).text == "there\n", "the link leads there")
    os.unlink(inside)


@row("phase")
def a_phase_is_not_evaded_through_another_group(crew, sandbox, case):
    """What alternate stages for a person, and contingency wants each time, is not done by an agent of no group."""
    case.code(crew.berm("pace", "group", "--tier", "2", "crew"), 0)
    case.code(crew.add("reader"), 0)
    case.code(crew.add("lead", "--group", "crew", "--delegate-to", "reader"), 0)
    ask = crew.asks("reader", "echo delegated")
    result = crew.run("lead", ask)
    case.that("delegated" in result.text, *result.describe())
    case.code(crew.berm("pace", "declare", "--reason", "a test", "crew", "alternate"), 0)
    result = crew.run("lead", "echo alone; " + ask)
    case.that("alone" in result.text and "delegated" not in result.text and "delegation.phase" in result.errors,
              *result.describe())


def writes(name, count):
    return "for i in %s; do echo x > %s$i; done" % (" ".join(str(i) for i in range(count)), name)


@row("caps")
def caps_are_what_is_left(crew, sandbox, case):
    """Of the cap of the run that asks: what it did itself and what was done for it is not there any more."""
    case.code(crew.add("reader", "--budget", "files_changed=100/day", caps=20), 0)
    case.code(crew.add("lead", "--delegate-to", "reader", "--budget", "files_changed=100/day", caps=9), 0)

    def left(pattern):
        return len([name for name in os.listdir(sandbox.ws) if name.startswith(pattern)])

    script = "%s; %s; %s; true" % (writes("a", 3), crew.asks("reader", writes("b", 4) + "; exit 1"),
                                   crew.asks("reader", writes("c", 20) + "; exit 2"))
    result = crew.run("lead", script)
    case.that((left("a"), left("b"), left("c")) == (3, 4, 2), os.listdir(sandbox.ws), *result.describe())
    # Both answer for it: a budget cannot be got round by asking somebody else.
    used = {agent: [row["used"] for row in crew.show(agent)["budgets"]] for agent in ("lead", "reader")}
    case.that(used == {"lead": [9], "reader": [6]}, used)
    # Two at once never have more together than one.
    sandbox.fresh()
    script = "(%s) & (%s) & wait; true" % (crew.asks("reader", writes("d", 20) + "; exit 3"),
                                           crew.asks("reader", writes("e", 20) + "; exit 4"))
    result = crew.run("lead", script)
    case.that(left("d") + left("e") == 9, os.listdir(sandbox.ws), *result.describe())


# As many as it may at once, and then so much memory.
HOLDS = """
import os, signal
kept = []
while len(kept) < 200:
    try:
        pid = os.fork()
    except OSError:
        break
    if pid == 0:
        signal.pause()
    kept.append(pid)
for pid in kept:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
print("processes", len(kept), flush=True)
try:
    held = bytearray(300 << 20)
    print("memory", len(held), flush=True)
except MemoryError:
    print("no memory", flush=True)
"""


@row("share")
def what_holds_at_one_moment_is_shared(crew, sandbox, case):
    """A run that was delegated has a quarter of the memory and processes of the run that asks: four may last."""
    tool = sandbox.write_text(sandbox.bin + "/holds.py", HOLDS)
    os.chmod(tool, 0o644)
    script = "/usr/bin/python3 %s" % tool
    case.code(crew.add("reader"), 0)
    case.code(crew.add("lead", "--delegate-to", "reader", "--processes", "80", more="limits: {memory: 512MiB}\n"), 0)
    result = crew.run("reader", script)
    case.that("processes 200" in result.text and "memory 31" in result.text, *result.describe())
    result = crew.run("lead", crew.asks("reader", script) + "; true")
    count = [int(line.split()[1]) for line in result.text.splitlines() if line.startswith("processes")]
    case.that(len(count) == 1 and 8 < count[0] <= 20, *result.describe())
    case.that("memory 31" not in result.text, *result.describe())


@row("box")
def anothers_time_is_no_time_box(crew, sandbox, case):
    """Who starts a run with a short time limit does not have the agent isolated that it delegates to."""
    case.code(crew.berm("pace", "group", "crew"), 0)
    case.code(crew.add("reader", "--group", "crew"), 0)
    case.code(crew.add("lead", "--delegate-to", "reader"), 0)
    # On a slow machine it takes its time to begin.
    for seconds in (4, 16, 64):
        result = crew.run("lead", crew.asks("reader", "echo began; exec sleep 600"), "--timeout", "%ds" % seconds,
                          timeout=120)
        case.that(result.code == 124, *result.describe())
        if "began" in result.text:
            break
    case.that("began" in result.text, *result.describe())
    group = json.loads(crew.berm("pace", "show", "--json", "crew").text)
    case.that(group["phase"] == "primary" and group["isolated"] == [], group, *result.describe())
    case.that(not os.path.exists(crew.state + "/evidence"), *result.describe())


class Chain:
    """a asked for b, b for c, and c waits; each in a run that lasts."""

    def __init__(self, crew, case, script="sleep 30", cap=9):
        self.crew = crew
        for name, to in (("c", ()), ("b", ("--delegate-to", "c")), ("a", ("--delegate-to", "b"))):
            case.code(crew.add(name, *to, tier="3", caps=cap), 0)
        self.ids = {crew.show(name)["id"]: name for name in "abc"}
        words = crew.asks("b", crew.asks("c", "echo waits; exec 2>&1; %s; echo went on" % script) + "; echo b on")
        self.process = subprocess.Popen([crew.sandbox.berm, "run", "--agent", "a", "--", "/bin/sh", "-c",
                                         words + " | cat; echo a on"], stdin=subprocess.DEVNULL, cwd=crew.sandbox.ws,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=crew.environment())
        case.that(self.process.stdout.readline() == b"waits\n", "c never began")
        self.started = {}
        wait_for(case, "all three", self.all_answer, 30)

    def all_answer(self):
        # One that is slow to answer is left out of a list.
        self.started = self.runs()
        return sorted(self.started) == ["a", "b", "c"]

    def runs(self):
        """Those that last, by the agent's name."""
        listed = json.loads(self.crew.berm("ps", "--json").text)["runs"]
        return {self.ids[run["agent_id"]]: run for run in listed if run.get("agent_id") in self.ids}

    def ends(self, case):
        try:
            out, errors = self.process.communicate(timeout=30 * harness.SLOWER)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, errors = self.process.communicate()
            case.that(False, "the first run did not end")
        wait_for(case, "the end of all", lambda: not self.runs(), 30)
        return out.decode(), errors.decode()


@row("kill")
def what_ends_a_run_ends_what_it_began(crew, sandbox, case):
    """Killed from outside, by a signal to its berm, without a word to it, and while its berm does not answer."""
    chain = Chain(crew, case)
    case.that([hop["agent"] for hop in chain.started["c"]["delegated_by"]] == ["a", "b"], chain.started)
    shown = crew.berm("inspect", chain.started["c"]["run"])
    case.that("delegated by a, run %s" % chain.started["a"]["run"] in shown.text, *shown.describe())
    case.code(crew.berm("kill", chain.started["a"]["run"]), 0)
    out, _ = chain.ends(case)
    case.that("on" not in out, out)
    told = {line["run"]: line["record"]["run_end"] for line in crew.log() if line["kind"] == "run_end"}
    case.that([told[chain.started[name]["run"]]["outcome"] for name in "abc"] == ["killed"] * 3, told)
    # Who asked for c is gone as soon as b is.
    case.that("ended, since " in (told[chain.started["c"]["run"]].get("reason") or ""), sorted(told.items())[-1])
    for number in (signal.SIGKILL, signal.SIGTERM):
        crew.forget()
        chain = Chain(crew, case)
        os.kill(chain.started["a"]["pid"], number)
        out, _ = chain.ends(case)
        case.that("on" not in out, out)
    crew.forget()
    chain = Chain(crew, case)
    os.kill(chain.started["a"]["pid"], signal.SIGSTOP)
    case.code(crew.berm("kill", chain.started["a"]["run"]), 0)
    wait_for(case, "the end of b and c", lambda: not {"b", "c"} & set(chain.runs()), 30)
    os.kill(chain.started["a"]["pid"], signal.SIGCONT)
    chain.ends(case)


@row("freeze")
def what_stops_a_run_stops_what_it_began(crew, sandbox, case):
    chain = Chain(crew, case, "while ! [ -e go ]; do sleep 0.1; done", cap=9)
    case.code(crew.berm("pace", "set", chain.started["a"]["run"], "frozen"), 0)
    wait_for(case, "all to be frozen", lambda: {run["posture"] for run in chain.runs().values()} == {"frozen"})
    result = crew.berm("pace", "set", chain.started["c"]["run"], "open")
    case.that(result.code == 1 and "delegated" in result.errors, *result.describe())
    sandbox.file("go", "")
    case.code(crew.berm("pace", "set", chain.started["a"]["run"], "open"), 0)
    out, errors = chain.ends(case)
    case.that(out == "went on\nb on\na on\n", out, errors)


@row("gone")
def who_asked_and_went_leaves_nothing(crew, sandbox, case):
    """A tool that kills the one who asks, or ends while its run lasts, has no run left."""
    case.code(crew.add("reader"), 0)
    case.code(crew.add("lead", "--delegate-to", "reader"), 0)
    waits = crew.asks("reader", "echo begun; sleep 30; echo never")
    result = crew.run("lead", "mkfifo f; cat f > out & %s > f & p=$!; while ! grep -q begun out; do sleep 0.05; done; "
                      "kill -KILL $p; wait $p; %s; cat out" % (waits, crew.asks("reader", "echo another")))
    case.that(result.text == "another\nbegun\n", *result.describe())
    case.that(result.seconds < 20 * harness.SLOWER, *result.describe())
    result = crew.run("lead", "rm -f out f; mkfifo f; cat f > out & %s > f & while ! grep -q begun out; do sleep 0.05; "
                      "done; exit 5" % crew.asks("reader", "echo begun; sleep 31; echo never"))
    case.code(result, 5)
    case.that(crew.show("reader")["running"] == [], crew.show("reader"))
    ended = [line["record"]["run_end"]["outcome"] for line in crew.log() if line["kind"] == "run_end"]
    case.that(sorted(ended) == ["exited"] * 3 + ["killed"] * 2, ended)


FLOOD = """
import os, socket, sys
F = 0x6265726d
def door():
    try:
        return socket.socket(F, socket.SOCK_SEQPACKET)
    except OSError as e:
        return e.errno
silent = [door() for _ in range(4)]
print([isinstance(s, socket.socket) for s in silent], door())
for s in silent: s.close()
answers = []
def send(packet, fds=()):
    while True:
        s = door()
        if s != 11: break
    if isinstance(s, int): return s
    try:
        socket.send_fds(s, [packet], fds) if fds else s.send(packet)
    except OSError as e:
        return -e.errno
    if packet == b"": s.close(); return "closed"
    return s.recv(4096)[:200]
null = os.open("/dev/null", os.O_RDWR)
good = bytes([8, 1, 0x12, 6]) + b"reader" + bytes([0x2a, 4]) + b"true"
a = socket.socket()
for packet, fds in ((b"x", ()), (good, ()), (good, (null, null)), (good, (null,) * 4), (good[:-1], (null,) * 3),
                    (good + good, (null,) * 3), (good + bytes([0x78, 1]), (null,) * 3), (bytes(100000), (null,) * 3),
                    (good, (a.fileno(), null, null)), (good, (os.open("/usr", os.O_RDONLY), null, null)), (b"", ())):
    print(len(packet), len(fds), send(packet, fds))
print("count", sum(1 for _ in range(200) if not isinstance(door(), int)))
while door() != 1: pass
print("last", door())
"""


@row("hostile")
def a_tool_that_floods_gets_nothing_and_holds_nobody(crew, sandbox, case):
    case.code(crew.add("reader"), 0)
    case.code(crew.add("lead", "--delegate-to", "reader"), 0)
    sandbox.file("flood.py", FLOOD)
    result = crew.berm("run", "--agent", "lead", "--", "/usr/bin/python3", "flood.py", timeout=120)
    lines = result.text.splitlines()
    case.that(lines[:1] == ["[True, True, True, True] 11"], *result.describe())
    sent = lines[1:12]
    case.that(len(sent) == 11 and all("request" in line or "descriptor" in line or "closed" in line for line in sent),
              *result.describe())
    case.that(lines[-1:] == ["last 1"], *result.describe())
    case.that(crew.show("reader")["runs_total"] == 0, crew.show("reader"))
    told = [line["rule"] for line in crew.log() if line["kind"] == "denial"]
    case.that("delegation.total" in told and "delegation.at_once" in told, told)


@row("deputy")
def what_only_the_other_may_is_refused_as_delegated(crew, sandbox, case):
    """The confused deputy: the reader may, who asks it may not, and the log tells that from a plain refusal."""
    inner = sandbox.top + "/deputy"
    os.makedirs(inner, exist_ok=True)
    os.chmod(inner, 0o755)
    sandbox.write_text(inner + "/file", "there\n")
    more = "syscalls: {allow: [perf_event_open]}\n"
    case.code(crew.add("reader", profile=crew.profile("reader", more, read=[inner])), 0)
    case.code(crew.add("lead", "--delegate-to", "reader"), 0)
    reads = "cat %s/file /var/tmp/other; true" % inner
    calls = "import ctypes; ctypes.CDLL(None).syscall(298, 0, 0, 0, 0, 0)"
    probe = "%s; /usr/bin/python3 -c \"%s\"" % (reads, calls)
    result = crew.run("reader", probe, "--trace-denials")
    case.that("there" in result.text, *result.describe())
    before = len(crew.log())
    result = crew.run("lead", crew.asks("reader", probe), "--trace-denials")
    case.that("there" not in result.text, *result.describe())
    mine = [line for line in crew.log()[before:] if line["kind"] == "denial" and
            line["agent"] == crew.show("reader")["id"]]
    told = {(line["record"]["denial"]["operation"], line["target"]): line["rule"] for line in mine}
    case.that(told.get(("read", inner + "/file")) == "delegation.scope", told)
    case.that(told.get(("syscall", "perf_event_open")) == "delegation.scope", told)
    case.that(told.get(("read", "/var/tmp/other"), "").startswith("fs."), told)
    explained = crew.berm("explain", mine[0]["id"])
    case.that(explained.code == 0, *explained.describe())


def somebody_who_may_start_one_gets_the_other_by_leave_alone(sandbox, case):
    """By sudo: who may start the first agent only, does so; the second one runs for it, as that user, and not else."""
    if sandbox.mode != "root":
        raise Skip("nobody else can be the caller")
    world = cases_agents.World(sandbox, "delegated")
    try:
        world.profile = sandbox.write_profile("agent-delegated", CAPS % 5 + cases_agents.BREAKER, read=[sandbox.bin])
        os.chmod(world.profile, 0o644)
        case.code(world.add("reader"), 0)
        case.code(world.add("lead", "--delegate-to", "reader", "--may-start", str(sandbox.uid)), 0)
        case.code(world.run(["true"], agent="reader", operator=False), 126)
        inner = "%s run --agent reader -- /bin/sh -c 'id -u; echo x > by-reader'" % sandbox.berm
        result = world.shell(inner, agent="lead", operator=False)
        case.that(result.code == 0 and result.text == "%d\n" % sandbox.uid, *result.describe())
        case.that(os.stat(sandbox.ws + "/by-reader").st_uid == sandbox.uid, "somebody else's file")
        # What a caller may not choose is not chosen from inside either.
        for words in ("--state-dir /tmp", "--ceiling /dev/null", "-C /", "--env A=b", "--allow-degraded bpf"):
            asked = inner.replace("--agent", words + " --agent", 1) + " 2>&1"
            result = world.shell(asked, agent="lead", operator=False)
            case.that(result.code == 2 and words.split()[0] in result.text, words, *result.describe())
    finally:
        world.close()


ROWS = [
    ("a tool starts another agent with the same words, and gets its output and its exit code",
     a_tool_starts_another_agent_with_the_same_words),
    ("the chain is in every place that names the run, four hops deep",
     the_chain_is_in_every_place_that_names_the_run),
    ("what the operator did not say is refused, with its rule, and recorded",
     what_the_operator_did_not_say_is_refused_and_recorded),
    ("rights are those of both: files, programs, the network, families, limits", rights_are_those_of_both),
    ("a link that a tool laid leads the run that it asks for nowhere", a_link_that_a_tool_laid_leads_nowhere),
    ("a phase is not evaded through an agent of another group", a_phase_is_not_evaded_through_another_group),
    ("caps are what is left of those of the run that asks, and count for both", caps_are_what_is_left),
    ("what is left of another run's time is no time box", anothers_time_is_no_time_box),
    ("memory and processes of runs that are delegated are shares", what_holds_at_one_moment_is_shared),
    ("what ends a run ends what it began, also while its berm does not answer", what_ends_a_run_ends_what_it_began),
    ("what stops a run stops what it began, and lets it go on", what_stops_a_run_stops_what_it_began),
    ("who asked and went leaves nothing behind", who_asked_and_went_leaves_nothing),
    ("a tool that floods its door gets nothing and holds nobody", a_tool_that_floods_gets_nothing_and_holds_nobody),
    ("what only the other agent may do is refused as delegated, and recorded so",
     what_only_the_other_may_is_refused_as_delegated),
    ("somebody who may start one agent gets the other by leave alone",
     somebody_who_may_start_one_gets_the_other_by_leave_alone),
    ("without leave there is no door, and nothing answers", without_leave_there_is_no_door),
]
