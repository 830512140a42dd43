# SPDX-License-Identifier: Apache-2.0
"""Commits of staged changes that are held: what is kept was shown, and somebody said yes to just that."""
import json
import os
import signal
import subprocess

import harness
from cases_approvals import Terminal, YES, as_leader, row
from cases_changes import STAGED

ASKS = STAGED + "approvals: {on: [commit], timeout: 120s}\n"
WRITES = ("/bin/sh", "-c", "echo two >> edit; mkdir new; echo x > new/name; rm gone")


def fill(sandbox):
    sandbox.file("edit", "one\n")
    sandbox.file("gone", "gone\n")


def stage(world, sandbox, case, *words):
    """One change set: its run. Nobody is asked before the run itself."""
    fill(sandbox)
    case.code(world.berm("run", *words, "-p", world.profile, "--", *WRITES), 0)
    sets = json.loads(world.berm("changes", "--json").text)["change_sets"]
    case.that(len(sets) == 1, sets)
    return sets[0]["run"]


def begin(world, run, *words, **options):
    """Its commit, which goes on."""
    options.setdefault("stdin", subprocess.DEVNULL)
    process = subprocess.Popen([world.sandbox.berm, "changes", "commit", *words, run], env=world.environment(),
                               cwd=world.sandbox.ws, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    world.started.append(process)
    return process


def kept(sandbox):
    with open(sandbox.ws + "/edit", encoding="utf-8") as file:
        whole = file.read() == "one\ntwo\n"
    there = [whole, os.path.exists(sandbox.ws + "/new/name"), not os.path.exists(sandbox.ws + "/gone")]
    return all(there) if all(there) or not any(there) else None


def shown(world, run):
    return json.loads(world.berm("changes", "show", "--json", run).text)["shown"]


@row("commit-yes")
def an_approved_commit_is_made(world, sandbox, case):
    world.use(ASKS)
    run = stage(world, sandbox, case)
    process = begin(world, run)
    asked = world.waiting(case, [1])[0]
    digest = shown(world, run)
    case.that(kept(sandbox) is False, "it was kept before anybody answered")
    case.that(asked["on"] == "commit" and asked["argv"] == [run] and asked["directory"] == sandbox.ws, asked)
    for part in ("list %s, create 1, modify 1, delete 1\n" % digest, "delete    gone\n", "new/ (2 names)\n",
                 "+ new/name\n", "+two\n"):
        case.that(part in asked["details"], "not shown: %r" % part, asked["details"])
    case.code(world.berm("approve", "--reason", "looks good", asked["id"]), 0)
    case.code(world.end(process), 0)
    case.that(kept(sandbox), "it was not kept")
    told = world.records()
    case.that(len(told) == 1 and told[0]["operation"] == "commit" and told[0]["answer"] == "once" and
              told[0]["target"] == run and told[0]["digest"] == asked["digest"] and told[0]["approver"], told)
    case.that([entry["action"] for entry in world.records("change_set")] == ["commit"], "the commit is not recorded")


@row("commit-no")
def what_nobody_approves_is_not_kept(world, sandbox, case):
    world.use(ASKS)
    run = stage(world, sandbox, case)
    process = begin(world, run)
    asked = world.waiting(case, [1])[0]
    case.code(world.berm("deny", "--reason", "not today", asked["id"]), 0)
    result = world.end(process)
    case.that(result.code == 1 and "not today" in result.errors and kept(sandbox) is False, *result.describe())
    process = begin(world, run)
    again = world.waiting(case, [1])[0]
    case.that(again["id"] != asked["id"] and again["digest"] == asked["digest"], asked, again)
    process.send_signal(signal.SIGTERM)
    result = world.end(process)
    case.that(result.code != 0 and kept(sandbox) is False, *result.describe())
    case.code(world.berm("approve", again["id"]), 1)
    case.code(world.berm("changes", "rollback", run), 0)
    world.use(ASKS.replace("120s", "1s"))
    run = stage(world, sandbox, case)
    result = world.end(begin(world, run))
    case.that(result.code == 1 and "nobody approved" in result.errors and kept(sandbox) is False, *result.describe())
    answers = [entry["answer"] for entry in world.records()]
    case.that(answers == ["denied", "withdrawn", "timeout"], answers)


@row("commit-again")
def another_list_is_another_question(world, sandbox, case):
    """What is not what was shown when the answer comes is not kept."""
    world.use(ASKS)

    def underneath(_run):
        sandbox.file("edit", "somebody else\n")

    def staged(run):
        with open("%s/changes/%s/layers/upper/edit" % (world.state, run), "a", encoding="utf-8") as file:
            file.write("evil\n")

    def dropped(run):
        case.code(world.berm("changes", "rollback", run), 0)
    for change, words in ((underneath, "in the way"), (staged, ""), (dropped, "no change set")):
        sandbox.fresh()
        run = stage(world, sandbox, case)
        process = begin(world, run)
        asked = world.waiting(case, [1])[0]
        change(run)
        case.code(world.berm("approve", asked["id"]), 0)
        result = world.end(process)
        case.that(result.code != 0 and words in result.errors, change.__name__, *result.describe())
        case.that(not os.path.exists(sandbox.ws + "/new") and os.path.exists(sandbox.ws + "/gone"), change.__name__)
        if change is not dropped:
            # Nobody is asked for what could not be kept anyway.
            if change is underneath:
                result = world.berm("changes", "commit", run)
                case.that(result.code == 1 and "in the way" in result.errors, *result.describe())
                case.that(world.approvals() == [], world.approvals())
            case.code(world.berm("changes", "rollback", run), 0)


@row("commit-gates")
def gates_judge_what_would_be_kept(world, sandbox, case):
    yes, no = world.gate("yes", YES, on="[run, commit]"), world.gate("no", "exit 2", on="[commit]")
    on_run = world.gate("start", "exit 2", on="[run]")
    world.use(STAGED + "gates:\n" + yes + no)
    run = stage(world, sandbox, case)
    case.that(world.question("yes")["on"] == "run", world.question("yes"))
    result = world.berm("changes", "commit", run)
    case.that(result.code == 1 and "the gate no says no" in result.errors and kept(sandbox) is False,
              *result.describe())
    question = world.question("yes")
    case.that(question["on"] == "commit" and question["run"] == run and question["gate"] == "yes", question)
    listed = {entry["path"]: entry for entry in question["changes"]["changes"]}
    case.that({path: entry["kind"] for path, entry in listed.items()} ==
              {"edit": "modify", "gone": "delete", "new": "create"}, listed)
    case.that([entry["path"] for entry in listed["new"]["within"]] == ["new/name"], listed["new"])
    case.that(question["changes"]["shown"] == shown(world, run), question["changes"])
    case.code(world.berm("changes", "rollback", run), 0)
    # What the profile says later is nothing to what was staged before; and a gate for runs judges no commit.
    world.use(STAGED + "gates:\n" + yes)
    sandbox.fresh()
    run = stage(world, sandbox, case)
    world.use(STAGED + "gates:\n" + no + on_run)
    case.code(world.berm("changes", "commit", run), 0)
    case.that(kept(sandbox), "it was not kept")
    told = [(entry["operation"], entry["gate"], entry["answer"]) for entry in world.records()]
    case.that(sorted(told) == sorted([("run", "yes", "allowed")] * 2 + [("commit", "yes", "allowed")] * 2 +
                                     [("commit", "no", "denied")]), told)


@row("commit-ask")
def a_gate_leaves_a_commit_to_a_person(world, sandbox, case):
    world.use(STAGED + "gates:\n" + world.gate("broken", "exit 7", ", on_error: ask", on="[commit]"))
    run = stage(world, sandbox, case)
    process = begin(world, run)
    asked = world.waiting(case, [1])[0]
    case.that("wants a person" in (asked["why"] or ""), asked)
    case.code(world.berm("approve", asked["id"]), 0)
    case.code(world.end(process), 0)
    case.that(kept(sandbox), "it was not kept")


@row("commit-ceiling")
def a_ceiling_holds_commits_for_whoever_ran(world, sandbox, case):
    """It counts as it was when the run ran: the profile's words and a ceiling that goes change nothing."""
    ceiling = sandbox.write_profile("commit-ceiling", "approvals: {on: [commit], channels: [socket], timeout: 120s}\n")
    approve = world.program("approve", YES)
    world.use(STAGED + "approvals: {channels: [exec, socket], exec: [%s, approve]}\n" % approve)
    run = stage(world, sandbox, case, "--ceiling", ceiling)
    os.unlink(ceiling)
    world.use(STAGED)
    process = begin(world, run)
    asked = world.waiting(case, [1])[0]
    case.that(not os.path.exists(world.top + "/approve.question"), "the profile's program was asked")
    case.code(world.berm("approve", asked["id"]), 0)
    case.code(world.end(process), 0)
    case.that(kept(sandbox), "it was not kept")


@row("commit-shown")
def what_was_seen_before_holds_beside_the_answer(world, sandbox, case):
    world.use(ASKS)
    run = stage(world, sandbox, case)
    result = world.berm("changes", "commit", "--shown", "0" * 64, run)
    case.that(result.code == 1 and "not what was shown" in result.errors, *result.describe())
    case.that(world.approvals("--all") == [], world.approvals("--all"))
    both = []
    for count in (1, 2):
        # While one waits the set is nobody's: it can be looked at, and another one asks the same.
        both.append(begin(world, run, "--shown", shown(world, run)))
        asked = world.waiting(case, [count])[0]
    case.code(world.berm("approve", "--waiting", "2", asked["id"]), 0)
    codes = sorted(world.end(process).code for process in both)
    # One commits; the other finds nothing, or somebody at work.
    case.that(codes[0] == 0 and codes[1] in (1, 2) and kept(sandbox), codes)


@row("commit-terminal")
def the_terminal_shows_what_would_be_kept(world, sandbox, case):
    world.use(ASKS.replace("timeout", "channels: [tty], timeout"))
    run = stage(world, sandbox, case)
    for word, code in (("d", 1), (None, 0)):
        terminal = Terminal()
        try:
            process = begin(world, run, preexec_fn=as_leader(terminal.theirs))
            yes = terminal.asked(case)
            for part in ("wants to keep what this run changed, in " + sandbox.ws, run, "delete    gone", "+two"):
                case.that(part in terminal.shown, "not shown: %r" % part, terminal.shown)
            terminal.type((word or yes.lower()) + "\n")
            result = world.end(process)
            case.that(result.code == code and kept(sandbox) == (code == 0), *result.describe())
        finally:
            terminal.close()


@row("commit-nothing")
def a_hold_that_can_never_be_is_told(world, sandbox, case):
    world.use("approvals: {on: [commit]}\n")
    result = world.berm("profile", "check", world.profile)
    case.that("approvals.on" in result.text + result.errors and "staged" in result.text + result.errors,
              *result.describe())
    result = harness.run([sandbox.berm, "run", "-p", world.profile, "--", "/bin/true"], env=world.environment(),
                         cwd=sandbox.ws)
    case.code(result, 0)


ROWS = [
    ("an approved commit is made, with what was shown", an_approved_commit_is_made),
    ("what a person denies, nobody answers or somebody takes back is not kept", what_nobody_approves_is_not_kept),
    ("what is another list when the answer comes is not kept", another_list_is_another_question),
    ("gates judge the list of a commit, and the strictest answer wins", gates_judge_what_would_be_kept),
    ("a gate can leave a commit to a person", a_gate_leaves_a_commit_to_a_person),
    ("a ceiling holds commits, and as it was when the run ran", a_ceiling_holds_commits_for_whoever_ran),
    ("the digest that was seen holds beside the answer", what_was_seen_before_holds_beside_the_answer),
    ("the terminal shows what would be kept, and answers", the_terminal_shows_what_would_be_kept),
    ("who asks before commits and stages nothing is told so", a_hold_that_can_never_be_is_told),
]
