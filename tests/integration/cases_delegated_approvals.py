# SPDX-License-Identifier: Apache-2.0
"""Runs that a tool asks for and that wait for a person: who hears what, whose rate counts, and for how long."""
import json
import os
import shutil
import subprocess

import harness
from cases_approvals import JUDGE, YES
from cases_delegation import Crew

HELD = "approvals: {on: [run], channels: [socket], timeout: 10m%s}\n"


class HeldCrew(Crew):
    """A crew whose runs wait for people: those that were started in the background, and what is asked about them."""

    def __init__(self, sandbox, name):
        super().__init__(sandbox, name)
        self.started = []

    def start(self, agent, script):
        process = subprocess.Popen([self.sandbox.berm, "run", "--agent", agent, "--", "/bin/sh", "-c", script],
                                   env=self.environment(), cwd=self.sandbox.ws, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.started.append(process)
        return process

    def end(self, process):
        output, errors = process.communicate(timeout=60 * harness.SLOWER)
        return harness.Result(process.returncode, output, errors, 0, False)

    def approvals(self, *options):
        return json.loads(self.berm("approvals", "--json", *options).text)["approvals"]

    def waiting(self, agent):
        """The one question about a run of that agent."""
        found = []

        def is_there():
            found[:] = [entry for entry in self.approvals() if entry["agent"] == agent]
            return len(found) == 1
        if not harness.wait_for(is_there, 60):
            raise AssertionError("nobody waits for %s: %s" % (agent, self.approvals("--all")))
        return found[0]

    def close(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.communicate()
        super().close()


def row(name):
    def wrap(function):
        def judged(sandbox, case):
            crew = HeldCrew(sandbox, name)
            try:
                function(crew, sandbox, case)
            finally:
                crew.close()
        return judged
    return wrap


@row("heard")
def both_sides_hear_of_a_delegated_run_that_is_held(crew, sandbox, case):
    """The tool that it waits for a person; the person and the programs who delegated it."""
    judges = sandbox.top + "/judges-heard"
    shutil.rmtree(judges, ignore_errors=True)
    os.mkdir(judges, 0o755)
    judge = judges + "/judge"
    sandbox.write_text(judge, JUDGE % {"top": judges, "body": YES})
    os.chmod(judge, 0o755)
    gates = "gates: [{name: judge, exec: [%s, judge], on: [run]}]\n" % judge
    case.code(crew.add("reader", more=HELD % "" + gates), 0)
    case.code(crew.add("lead", "--delegate-to", "reader"), 0)
    process = crew.start("lead", crew.asks("reader", "echo it ran") + " 2> %s/heard" % sandbox.ws)
    question = crew.waiting("reader")
    starts = [line for line in crew.log() if line.get("kind") == "run_start"]
    chain = [{"run": starts[0]["run"], "agent": "lead", "agent_id": crew.show("lead")["id"]}]
    case.that(question["delegated_by"] == chain, question, chain)
    listed = crew.berm("approvals")
    case.that("asked for by the agent lead, run " + starts[0]["run"] in listed.text, *listed.describe())
    with open(judges + "/judge.question", encoding="utf-8") as file:
        shown = json.load(file)
    case.that(shown["delegated_by"] == chain, shown)

    def heard():
        with open(sandbox.ws + "/heard", encoding="utf-8") as file:
            return "it waits until a person has answered" in file.read()
    case.that(harness.wait_for(heard, 30), "who waits was told nothing")
    case.code(crew.berm("approve", question["id"]), 0)
    result = crew.end(process)
    case.that(result.code == 0 and result.text == "it ran\n", *result.describe())


@row("both")
def a_delegated_run_is_held_by_what_either_profile_says(crew, _sandbox, case):
    """A yes to the run above is none to what that asks for."""
    case.code(crew.add("plain"), 0)
    case.code(crew.add("reader", more=HELD % ""), 0)
    case.code(crew.add("lead", "--delegate-to", "plain", more=HELD % ""), 0)
    case.code(crew.add("free", "--delegate-to", "reader"), 0)
    process = crew.start("lead", crew.asks("plain", "echo it ran"))
    case.code(crew.berm("approve", crew.waiting("lead")["id"]), 0)
    case.code(crew.berm("deny", crew.waiting("plain")["id"]), 0)
    result = crew.end(process)
    case.that(result.code == 126 and "it ran" not in result.text, *result.describe())
    process = crew.start("free", crew.asks("reader", "echo it ran"))
    case.code(crew.berm("deny", crew.waiting("reader")["id"]), 0)
    result = crew.end(process)
    case.that(result.code == 126 and "it ran" not in result.text, *result.describe())


@row("each")
def two_runs_that_ask_for_the_same_are_two_questions(crew, sandbox, case):
    """A yes is for what one run asked for, and not for the same wish of another one."""
    case.code(crew.add("reader", more=HELD % ""), 0)
    case.code(crew.add("lead", "--delegate-to", "reader"), 0)
    script = crew.asks("reader", "echo ran >> %s/ran" % sandbox.ws)
    first, second = crew.start("lead", script), crew.start("lead", script)
    case.that(harness.wait_for(lambda: len(crew.approvals()) == 2, 60), crew.approvals("--all"))
    questions = crew.approvals()
    case.that(len({entry["digest"] for entry in questions}) == 2 and
              len({entry["delegated_by"][0]["run"] for entry in questions}) == 2, questions)
    case.code(crew.berm("approve", questions[0]["id"]), 0)
    # What is denied is not tried again for a while: the other one has to have begun.
    begun = harness.wait_for(lambda: os.path.exists(sandbox.ws + "/ran"), 60)
    case.code(crew.berm("deny", questions[1]["id"]), 0)
    results = [crew.end(process) for process in (first, second)]
    words = [line for result in results for line in result.describe()]
    case.that(begun and sorted(result.code for result in results) == [0, 126], *words)
    with open(sandbox.ws + "/ran", encoding="utf-8") as file:
        case.that(file.read() == "ran\n", *words)


@row("gone")
def an_answer_after_the_run_above_has_ended_starts_nothing(crew, sandbox, case):
    """Its question is taken back at once, whether the run ended, was killed, or only who asked is gone."""
    case.code(crew.add("reader", more=HELD % ""), 0)
    case.code(crew.add("lead", "--delegate-to", "reader"), 0)
    asks = crew.asks("reader", "touch %s/ran" % sandbox.ws)
    until = "while ! [ -e %s/over ]; do sleep 0.05; done" % sandbox.ws
    for name, script in (("ended", "%s & %s" % (asks, until)), ("killed", asks),
                         ("asker", "%s & asker=$!; %s; kill -KILL $asker; sleep 1000" % (asks, until))):
        sandbox.fresh()
        process = crew.start("lead", script)
        question = crew.waiting("reader")
        if name == "killed":
            case.code(crew.berm("kill", question["delegated_by"][0]["run"]), 0)
        else:
            sandbox.file("over", "")
        case.that(harness.wait_for(lambda: not crew.approvals(), 60), name, crew.approvals())
        answered = crew.berm("approve", question["id"])
        case.that(answered.code == 1 and "withdrawn" in answered.errors, name, *answered.describe())
        if name == "asker":
            case.code(crew.berm("kill", question["delegated_by"][0]["run"]), 0)
        crew.end(process)
        case.that(not os.path.exists(sandbox.ws + "/ran"), name, "it ran")


@row("flood")
def who_asks_too_often_keeps_nobody_else_from_being_asked(crew, sandbox, case):
    """What a tool asks for counts for its own agent: the one that it asks for is still asked about."""
    rate = HELD % ", rate: {max: 2, within: 1h}"
    case.code(crew.add("reader", more=rate), 0)
    case.code(crew.add("lead", "--delegate-to", "reader"), 0)
    for number in range(2):
        process = crew.start("lead", crew.asks("reader", "echo %d" % number))
        case.code(crew.berm("deny", crew.waiting("reader")["id"]), 0)
        case.code(crew.end(process), 126)
    result = crew.run("lead", crew.asks("reader", "echo more"))
    case.that(result.code == 126 and "nobody is asked more often" in result.text + result.errors, *result.describe())
    process = crew.start("reader", "touch %s/ran" % sandbox.ws)
    case.code(crew.berm("approve", crew.waiting("reader")["id"]), 0)
    case.code(crew.end(process), 0)
    case.that(os.path.exists(sandbox.ws + "/ran"), "it did not run")


ROWS = [
    ("approvals: a delegated run that is held tells the tool that it waits, and the person who delegated it",
     both_sides_hear_of_a_delegated_run_that_is_held),
    ("approvals: a delegated run is held by what either profile says, and a yes above is no yes below",
     a_delegated_run_is_held_by_what_either_profile_says),
    ("approvals: two runs that ask for the same run are two questions, and a yes is for one",
     two_runs_that_ask_for_the_same_are_two_questions),
    ("approvals: the question of a delegated run goes with the run above and with who asked, and starts nothing then",
     an_answer_after_the_run_above_has_ended_starts_nothing),
    ("approvals: a tool that asks for another agent's runs too often uses up its own agent's rate alone",
     who_asks_too_often_keeps_nobody_else_from_being_asked),
]
