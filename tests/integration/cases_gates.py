# SPDX-License-Identifier: Apache-2.0
"""Gates and ceilings from outside: programs that judge, who they are, and who answers what they leave to a person."""
import os

import harness
from cases_approvals import JUDGE, TOUCH, YES, ran, row


@row("gates")
def the_strictest_gate_wins(world, sandbox, case):
    yes, no = world.gate("yes", YES), world.gate("no", "echo '{\"decision\":\"deny\",\"reason\":\"not this\"}'")
    for bodies, code in (((yes,), 0), ((yes, no), 126), ((no, yes), 126)):
        sandbox.fresh()
        world.gates(*bodies)
        result = world.run(*TOUCH)
        case.that(result.code == code and ran(sandbox) == (code == 0), *result.describe())
        case.that(code == 0 or "the gate no says no: not this" in result.errors, *result.describe())
    question = world.question("yes")
    case.that(question["argv"] == list(TOUCH) and question["on"] == "run" and question["gate"] == "yes", question)
    told = world.records()
    case.that(len(told) == 5 and all("approver" not in entry for entry in told), told)
    case.that({(entry["gate"], entry["answer"]) for entry in told} == {("yes", "allowed"), ("no", "denied")}, told)


# Whatever a program does that is no answer is a no.
FAILURES = [
    ("nothing", "true"), ("code", "exit 1"), ("text", "echo yes"), ("two", YES + ";" + YES),
    ("member", "echo '{\"decision\":\"allow\",\"allow\":true}'"),
    ("twice", "echo '{\"decision\":\"deny\",\"decision\":\"allow\"}'"),
    ("scope", "echo '{\"decision\":\"allow\",\"scope\":\"profile\"}'"),
    ("killed", YES + "; kill -9 $$"), ("much", "head -c 100000 /dev/zero"),
    ("exit-two", YES + "; exit 2"),
]


@row("failures")
def what_is_no_answer_is_no(world, sandbox, case):
    for name, body in FAILURES:
        world.gates(world.gate(name, body))
        result = world.run(*TOUCH)
        case.that(result.code == 126 and not ran(sandbox), name, *result.describe())
    # Whoever was stopped meanwhile finds an answer that came in time, and looks too late.
    world.gates(world.gate("late", "kill -STOP $PPID; (exec >/dev/null; sleep 2; kill -CONT $PPID) & " + YES,
                           ", timeout: 1s"))
    result = world.run(*TOUCH)
    case.that(result.code == 126 and "in time" in result.errors and not ran(sandbox), *result.describe())
    world.gates(world.gate("hangs", "sleep 1000", ", timeout: 300ms"))
    result = world.run(*TOUCH)
    case.that(result.code == 126 and "in time" in result.errors and not ran(sandbox), *result.describe())
    world.use("gates: [{name: absent, exec: [/nonexistent/judge], on: [run]}]\n")
    case.code(world.run(*TOUCH), 126)
    path = world.program("open", YES, 0o777)
    world.use("gates: [{name: open, exec: [%s, open], on: [run]}]\n" % path)
    result = world.run(*TOUCH)
    case.that(result.code == 126 and "alone can write" in result.errors and not ran(sandbox), *result.describe())


@row("ask")
def a_gate_can_ask_for_a_person(world, sandbox, case):
    for gate in (world.gate("ask", "echo '{\"decision\":\"ask\"}'"),
                 world.gate("broken", "exit 7", ", on_error: ask")):
        sandbox.fresh()
        world.gates(gate)
        process = world.start(*TOUCH)
        asked = world.waiting(case, [1])
        case.that(not ran(sandbox), "it ran")
        case.code(world.berm("approve", asked[0]["id"]), 0)
        case.code(world.end(process), 0)
        case.that(ran(sandbox), "it did not run")


@row("exec")
def a_program_can_answer(world, sandbox, case):
    approve = world.program("approve", YES)
    world.use("approvals: {on: [run], channels: [exec], exec: [%s, approve], timeout: 60s}\n" % approve)
    case.code(world.run(*TOUCH), 0)
    case.that(ran(sandbox), "it did not run")
    question = world.question("approve")
    case.that(question["id"] and question["gate"] is None, question)
    world.program("approve", "exit 2")
    case.code(world.run(*TOUCH), 126)
    world.program("approve", "exit 1")
    result = world.run(*TOUCH)
    case.that(result.code == 126 and "nobody can be asked" in result.errors, *result.describe())
    told = world.records()
    case.that([entry["answer"] for entry in told] == ["once", "denied", "unreachable"], told)
    case.that(told[0]["approver"] == approve + ": a judge" and told[0]["channel"] == "exec", told)


@row("privilege")
def a_program_has_nothing_of_berms(world, _sandbox, case):
    world.gates(world.gate("looks", "exec 2>&1; { id -u; env | sort; echo fds $(ls /proc/self/fd); pwd;"
                           " grep -E 'Cap|NoNewPrivs' /proc/self/status; } > %s/seen; %s" % (world.top, YES)))
    case.code(world.run("/bin/true"), 0)
    with open(world.top + "/seen", encoding="utf-8") as file:
        seen = file.read().splitlines()
    case.that("NoNewPrivs:\t1" in seen, seen)
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        case.that("%s:\t%016x" % (name, 0) in seen, seen)
    # The fourth is the directory that ls reads.
    case.that([line.split()[1:] for line in seen if line.startswith("fds ")] == [["0", "1", "2", "3"]], seen)
    case.that("BERM_STATE_DIR" not in "".join(seen) and "/" in seen, seen)


@row("ceiling")
def a_ceiling_asks_whatever_the_profile_says(world, sandbox, case):
    approve = world.program("approve", YES)
    ceiling = sandbox.write_profile("ceiling-approvals", "approvals: {on: [run], channels: [socket]}\ngates:\n" +
                                    world.gate("law", YES))
    os.chmod(ceiling, 0o644)
    world.use("")
    result = None
    for more in ("", "approvals: {on: [run], channels: [exec, socket], exec: [%s, approve]}\n" % approve):
        sandbox.fresh()
        world.use(more)
        process = world.start(*TOUCH, words=["--ceiling", ceiling])
        asked = world.waiting(case, [1])
        case.that(not ran(sandbox), "the profile's program answered for the ceiling")
        case.code(world.berm("approve", asked[0]["id"]), 0)
        result = world.end(process)
        case.code(result, 0)
    world.use("approvals: {on: [run], channels: [tty]}\n")
    result = world.end(world.start(*TOUCH, words=["--ceiling", ceiling]))
    case.that(result.code == 2 and "nobody can be asked" in result.errors, *result.describe())


@row("law")
def what_a_ceilings_gate_leaves_to_a_person_is_for_its_channels(world, sandbox, case):
    approve = world.program("approve", YES)
    ceiling = sandbox.write_text(sandbox.top + "/law.yaml", "version: 1\nname: law\ngates:\n" +
                                 world.gate("law", "echo '{\"decision\": \"ask\"}'"))
    os.chmod(ceiling, 0o644)
    for channels in ("exec", "exec, socket"):
        world.use("approvals: {channels: [%s], exec: [%s, approve], timeout: 120s}\n" % (channels, approve))
        process = world.start(*TOUCH, words=["--ceiling", ceiling])
        if "socket" in channels:
            asked = world.waiting(case, [1])
            case.code(world.berm("deny", asked[0]["id"]), 0)
        result = world.end(process)
        case.that(result.code == 126 and not ran(sandbox), *result.describe())
        case.that(not os.path.exists(world.top + "/approve.question"), "the profile's program was asked")


@row("uid")
def whose_gate_it_is_says_who_it_runs_as(world, sandbox, case):
    """As root for somebody: what that one wrote runs as that one, also where it is called a ceiling."""
    if sandbox.mode != "root":
        return
    for name, owner, expected in (("profile", None, sandbox.uid), ("callers", sandbox.uid, sandbox.uid),
                                  ("roots", 0, 0)):
        # The gate's file is root's in each case: only its user differs.
        gate = "gates:\n" + world.gate(name, "id -u > %s/%s.uid; %s" % (world.top, name, YES))
        words = []
        world.use(gate if owner is None else "")
        if owner is not None:
            own = sandbox.write_profile("approvals-own", gate)
            os.chmod(own, 0o644)
            os.chown(own, owner, owner)
            words = ["--ceiling", own]
        os.chmod(world.top, 0o1777)
        result = harness.run([sandbox.berm, "run", *words, "-p", world.profile, "--state-dir", world.state, "--",
                              "/bin/true"], env=dict(sandbox.environment(), SUDO_UID=str(sandbox.uid),
                                                     SUDO_GID=str(sandbox.uid)), cwd=sandbox.ws)
        case.code(result, 0)
        with open("%s/%s.uid" % (world.top, name), encoding="utf-8") as file:
            case.that(file.read().strip() == str(expected), name, expected)
        os.unlink("%s/%s.uid" % (world.top, name))


@row("own")
def a_judge_that_the_run_can_change_is_refused(world, sandbox, case):
    inside = sandbox.file("judge", JUDGE % {"top": world.top, "body": YES}, 0o755)
    world.use("gates: [{name: own, exec: [%s, own], on: [run]}]\n" % inside)
    result = world.run(*TOUCH)
    case.that(result.code == 2 and "could change" in result.errors and not ran(sandbox), *result.describe())


@row("swap")
def a_judge_that_others_can_replace_is_not_asked(world, sandbox, case):
    """In a directory that others can write to, behind a link there, or through one: also once it was trusted."""
    shared, kept = world.top + "/shared", world.top + "/kept"
    for path in (shared, kept):
        os.mkdir(path, 0o755)
        world.sandbox.write_text(path + "/judge", JUDGE % {"top": world.top, "body": YES})
        os.chmod(path + "/judge", 0o755)
    os.symlink(kept, shared + "/way")
    os.symlink(kept + "/judge", shared + "/link")
    # A link in a place of one's own that leads through such a place.
    os.symlink(shared + "/way", kept + "/through")
    for place in ("shared/judge", "shared/way/judge", "shared/link", "kept/through/judge"):
        world.use("gates: [{name: judge, exec: [%s/%s, judge], on: [run]}]\n" % (world.top, place))
        for mode, code in ((0o755, 0), (0o777, 126), (0o775, 126), (0o1777, 0)):
            os.chmod(shared, mode)
            sandbox.fresh()
            result = world.run(*TOUCH)
            case.that(result.code == code and ran(sandbox) == (code == 0), place, "%o" % mode, *result.describe())
            case.that(code == 0 or "of such owners alone" in result.errors, place, *result.describe())


@row("lines")
def a_value_writes_no_lines_of_its_own(world, sandbox, case):
    """What is shown of a variable is one line, and who reads it is told where that is cut."""
    world.use("approvals: {on: [run], channels: [socket], timeout: 10m}\n")
    for value, cut in (("x\nasked for by the agent boss", False), ("y" * 5000, True)):
        sandbox.fresh()
        process = world.start(*TOUCH, words=["--env", "WORD=" + value])
        asked = world.waiting(case, [1])[0]
        lines = asked["details"].splitlines()
        case.that("environment: WORD=" + value.replace("\n", "\\n") in lines and
                  not any(line.startswith("asked for") for line in lines), lines)
        listed = world.berm("approvals")
        case.that(("not all of it" in listed.text) == cut, *listed.describe())
        case.code(world.berm("deny", asked["id"]), 0)
        case.code(world.end(process), 126)


ROWS = [
    ("what is shown of a variable is one line, and said to be cut where it is", a_value_writes_no_lines_of_its_own),
    ("a judge that others can put another one in place of is not asked", a_judge_that_others_can_replace_is_not_asked),
    ("of several gates the strictest answer wins, and each is recorded", the_strictest_gate_wins),
    ("whatever is no answer of a gate is no", what_is_no_answer_is_no),
    ("a gate can ask for a person", a_gate_can_ask_for_a_person),
    ("a program can answer instead of a person", a_program_can_answer),
    ("a program that is asked has nothing of berm's", a_program_has_nothing_of_berms),
    ("what a ceiling's gate leaves to a person no program of the profile decides",
     what_a_ceilings_gate_leaves_to_a_person_is_for_its_channels),
    ("a gate runs as whose line it is", whose_gate_it_is_says_who_it_runs_as),
    ("what a ceiling wants asked is asked, and answered its way", a_ceiling_asks_whatever_the_profile_says),
    ("a judge that the run can change is refused", a_judge_that_the_run_can_change_is_refused),
]
