#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verbs that build no sandbox, as a person and as a program see them: tests/cli/run.py BERM WRITE-LOG. One TAP line
a row."""
import json
import os
import re
import shutil
import sys
import xml.etree.ElementTree

import rows_log
import rows_hooks
import rows_pace
import rows_sign
from bench import GOOD, Bench, Wrong, expect, expect_result, harness

import inventory  # noqa: E402, from tests/support, which bench brings in


def help_lists_every_verb(bench):
    result = bench.call("help")
    expect_result(result, 0, r"usage: berm VERB")
    verbs = re.findall(r"^  ([a-z]+) {2,}\S", result.text, re.M)
    expect({"run", "profile", "doctor", "explain", "help", "log"} <= set(verbs), verbs)
    return verbs


def every_verb_explains_itself(bench):
    verbs = [[name] for name in help_lists_every_verb(bench)]
    verbs += [["profile", name] for name in ("check", "show", "explain", "diff", "test", "try", "schema", "reference")]
    verbs += [["pace", name] for name in
              ("show", "declare", "recover", "explain", "dismiss", "trigger", "group", "sign", "key", "set")]
    verbs += [["log", name] for name in ("verify", "trace", "export")]
    for verb in verbs:
        for words in ([*verb, "--help"], [*verb, "-h"], ["help", *verb]):
            expect_result(bench.call(*words), 0, r"usage: berm %s" % " ".join(verb))
        expect_result(bench.call(*verb, "--no-such-option"), 2, "",
                      r"^berm: %s: unknown option --no-such-option\n(.*\n)*usage: berm" % " ".join(verb))


def wrong_verbs_are_named(bench):
    expect_result(bench.call(), 2, "", r"^berm: a verb is missing\nusage: berm VERB(.*\n)*verbs: .*\brun\b")
    expect_result(bench.call("docter"), 2, "", r'unknown verb "docter"; did you mean "doctor"\?')
    expect_result(bench.call("profile"), 2, "", r"a verb is missing(.*\n)*usage: berm profile check")
    expect_result(bench.call("profile", "shov"), 2, "", r'did you mean "show"(.*\n)*usage: berm profile check')
    expect_result(bench.call("--profile"), 2, "", r"unknown option --profile")
    expect_result(bench.call("help", "doctor", "more"), 2, "", r'"doctor" has no verb "more"')


def runs_are_named_by_their_beginning(bench):
    """Without a run: what the verbs about runs say, in a directory of runs of this test alone."""
    own = {"XDG_RUNTIME_DIR": bench.top}
    if os.geteuid() != 0:
        expect_result(bench.call("ps", more=own), 0, r"^RUN +PROFILE +POSTURE +PHASE")
        expect(bench.object("ps", "--json", more=own) == {"runs": []}, "runs that nobody started")
    for words in (["inspect", "7ZZZZZZZZZ"], ["pace", "show", "7ZZZZZZZZZ"], ["pace", "set", "7ZZZZZZZZZ", "open"]):
        expect_result(bench.call(*words, more=own), 2, "", r"^berm: %s: no run begins with 7ZZZZZZZZZ\n$" % " ".join(
            word for word in words if word.islower() and word != "open"))
    for word in ("", "../x", "no such"):
        expect_result(bench.call("inspect", word, more=own), 2, "", r"the beginning of its id")
    expect_result(bench.call("pace", "set", "7Z", "dead"), 2, "", r'"dead" is no posture: open, read-only or frozen')
    expect_result(bench.call("pace", "set", "7Z"), 2, "", r"a run and a posture")
    expect_result(bench.call("ps", "x"), 2, "", r"takes no words: x")
    expect_result(bench.call("inspect"), 2, "", r"one run")


def version_is_one_line(bench):
    expect_result(bench.call("--version"), 0, r"^berm \d+\.\d+\.\d+\n$")


def doctor_tells_every_feature(bench):
    told = bench.object("doctor", "--json")
    names = [feature["name"] for feature in told["features"]]
    expect({"kernel", "landlock", "seccomp", "notify", "cgroup", "userns", "netns", "link", "idmap", "memfd_noexec",
            "bpf", "pins", "lockdown"} <= set(names) and len(names) == len(set(names)), names)
    for feature in told["features"]:
        expect(feature["state"] in ("yes", "weaker", "no") and feature["detail"] and feature["gives"], feature)
        expect(feature["state"] == "yes" or (feature["costs"] and feature["how"]), feature)
    expect(told["missing"] == [], told["missing"])
    text = bench.call("doctor")
    expect_result(text, 0, r"^berm ")
    for name in names:
        expect(re.search(r"^%s +(yes|weaker|no) " % name, text.text, re.M), name, text.text)
    expect(max(len(line) for line in text.text.splitlines()) <= 100, "a line is too long", text.text)


def doctor_requires(bench):
    expect_result(bench.call("doctor", "--require", "kernel=4.0"), 0, r"kernel")
    expect_result(bench.call("doctor", "--require", "kernel=4.0", "--require", "landlock=4000,kernel=99.1"), 3,
                  "kernel", r"^berm: doctor: this host does not have landlock=4000\nberm: .*kernel=99\.1\n$")
    told = bench.object("doctor", "--json", "--require=landlock=4000", code=3)
    expect(told["missing"] == ["landlock=4000"], told["missing"])
    for word, said in (("lndlock", 'did you mean "landlock"'), ("landlock=x", "not an ABI"),
                       ("kernel=six", "not a kernel"),
                       ("cgroup=gpu", "memory, pids"), ("notify=2", "has no levels"), ("=", "no feature")):
        expect_result(bench.call("doctor", "--require", word), 2, "", said)


def colours_are_for_terminals(bench):
    expect("\033[" in bench.on_terminal("doctor"), "a terminal shows no colour")
    for more in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        expect("\033[" not in bench.on_terminal("doctor", more=more), more)
    expect("\033[" not in bench.call("doctor", more={"TERM": "xterm"}).text, "a pipe shows colour")


def check_says_ok(bench):
    good = bench.top + "/good.yaml"
    expect_result(bench.call("profile", "check", good), 0, r"(?m)^ok: good \(\d+ rules, \d+ notes?\)$")
    told = bench.object("profile", "check", "--json", good)
    expect(told["ok"] is True and told["profile"] == "good" and told["error"] is None, told)
    expect("mount" in told["enforcement"]["fs.read"], told["enforcement"])


def check_points_at_mistakes(bench):
    path = bench.write("bad.yaml", "version: 1\nname: bad\nfs:\n  reads: [/usr]\n")
    result = bench.call("profile", "check", path)
    expect_result(result, 2, "", r"(?m)^%s:4:3: error\[E\d+\]: .*did you mean `read`" % re.escape(path))
    expect("    4 |   reads: [/usr]\n      |   ^" in result.errors, result.errors)
    told = bench.object("profile", "check", "--json", path, code=2)
    expect(told["ok"] is False and any(":4:3: error[E" in line for line in told["diagnostics"]), told)
    path = bench.write("absent.yaml", "version: 1\nname: absent\nfs:\n  read: [/nonexistent/y]\n")
    expect_result(bench.call("profile", "check", path), 2, "", r"absent\.yaml:4:10: error\[E\d+\]: .*/nonexistent/y")
    for words in ([], ["a", "b"]):
        expect_result(bench.call("profile", "check", *words), 2, "", r"usage: berm profile check")


def check_runs_the_tests_of_the_profile(bench):
    tests = "tests:\n  - {do: read /usr/x, expect: %s, name: programs}\n  - {do: tool a.b, expect: deny}\n"
    base = "version: 1\nname: tested\nfs: {read: [/usr]}\n"
    path = bench.write("tested.yaml", base + tests % "allow")
    expect_result(bench.call("profile", "check", path), 0, r"2 tests, 1 passed, 0 failed, 1 skipped\nok: tested ")
    bench.write("tested.yaml", base + tests % "deny")
    expect_result(bench.call("profile", "check", path), 1,
                  r"tested\.yaml:5:5: failed: programs: read /usr/x is allow by fs\.read /usr .*, expected deny\n"
                  r"2 tests, 0 passed, 1 failed, 1 skipped\nbad: tested ")
    told = bench.object("profile", "check", "--json", path, code=1)
    expect(told["ok"] is False and told["tests"]["failed"] == 1 and len(told["tests"]["failures"]) == 1, told)


def check_says_what_this_host_cannot(bench):
    path = bench.write("much.yaml", "version: 1\nname: much\nrequires: {landlock: 60}\n")
    expect_result(bench.call("profile", "check", path), 3, "", r"much\.yaml:3:\d+: .*landlock")


def profiles_are_found_by_name_but_not_here(bench):
    expect_result(bench.call("profile", "check", "named"), 0, r"(?m)^ok: named ")
    expect_result(bench.call("profile", "check", "base"), 2, "", r"no profile named base(.*)config/berm/profiles")
    expect_result(bench.call("profile", "check", "./base.yaml"), 0, r"(?m)^ok: base ")
    expect_result(bench.call("profile", "check", "base.yaml"), 0, r"(?m)^ok: base ")
    path = bench.write("above.yaml", "version: 1\nname: above\nextends: [good]\n")
    expect_result(bench.call("profile", "check", path), 0, r"(?m)^ok: above ")


def show_names_every_rule(bench):
    good = bench.top + "/good.yaml"
    result = bench.call("profile", "show", good)
    expect_result(result, 0, r"^good: for tests\n")
    expect(re.search(r"(?m)^fs\.read +%s/ws$" % bench.top, result.text), result.text)
    result = bench.call("profile", "show", good, "--effective", "--origin")
    expect_result(result, 0, r"(?m)^fs\.deny +%s/ws/secret +\S*good\.yaml:10 +\S" % bench.top)
    rules = bench.object("profile", "show", "--json", good)["rules"]
    found = {(rule["key"], rule["value"]): rule for rule in rules}
    expect(found["fs.write", bench.top + "/ws/out"]["place"].endswith("good.yaml:9"), rules)
    expect(found["fs.read", "/nonexistent/x"]["reason"] == "not here", rules)
    pending = bench.write("pending.yaml", "version: 1\nname: pending\nblast_radius: {tool_calls: 3}\n")
    result = bench.call("profile", "show", "--origin", pending)
    expect_result(result, 0, r"blast_radius\.tool_calls .*pending\.yaml:3 +not by this build")
    capped = bench.write("capped.yaml", "version: 1\nname: capped\n"
                         "blast_radius: {files_deleted: 3, on_exceed: emergency}\n")
    result = bench.call("profile", "show", "--origin", capped)
    expect_result(result, 0, r"(?m)^blast_radius\.files_deleted +3 .*capped\.yaml:3 +(bpf|notify)")
    expect_result(bench.call("profile", "check", capped), 0, r"(?m)^blast_radius\.files_deleted 3: by (bpf|notify)")
    deep = bench.write("deep.yaml", "version: 1\nname: deep\nfs: {read: [{path: /usr/%s, optional: true}]}\n"
                       "pace: {contingency: {when: [{event: blast_radius, above: 200%%}], then: {run: freeze}}}\n"
                       "blast_radius: {files_deleted: 3}\n" % ("x" * 60))
    result = bench.call("profile", "show", "--origin", deep)
    expect_result(result, 0, r"(?m)^fs\.read +/usr/x{60}  +\S*deep\.yaml:3 +\S")
    for rule in bench.object("profile", "show", "--json", deep)["rules"]:
        cells = [re.escape(rule[cell]) for cell in ("key", "value", "place", "by") if rule[cell]]
        expect(re.search("(?m)^%s" % "  +".join(cells), result.text), rule, result.text)
    expect_result(bench.call("profile", "show", "--plan", capped), 0,
                  r"(?m)^meter +cap files_deleted <= 3 -> emergency \(dead\) +# blast_radius\.files_deleted")


def plans_are_the_same_every_time(bench):
    plans = {bench.call("profile", "show", "--plan", bench.top + "/good.yaml").text for _ in range(3)}
    digests = {re.search(r"(?m)^digest [0-9a-f]{64}$", plan).group() for plan in plans}
    expect(len(digests) == 1, digests)
    other = bench.call("profile", "show", "--plan", bench.write("other.yaml", GOOD % "z")).text
    expect(digests.pop() not in other, "another profile has the same digest")


def explain_decides(bench):
    good = bench.top + "/good.yaml"
    for operation, what, code, said in (
            ("read", "/usr/bin/env", 0, "^ALLOW  read "), ("read", "file", 0, "^ALLOW  read %s/ws/file" % bench.top),
            ("write", "file", 1, "^DENY  write"), ("write", "out/x", 0, "^ALLOW"),
            ("read", "secret/key", 1, r"^DENY (.*\n)*  rule: +fs\.deny .*good\.yaml:10"),
            ("read", "link/key", 1, "^DENY  read %s/ws/secret/key" % bench.top),
            ("syscall", "bpf", 1, "^DENY"), ("syscall", "read", 0, "^ALLOW"), ("env", "AWS_SECRET", 1, "^DENY"),
            ("connect", "example.com:443", 1, "^DENY"), ("read", "~/x", 0, "^ALLOW  read .*ws/~/x")):
        expect_result(bench.call("profile", "explain", good, operation, what), code, said)
    told = bench.object("profile", "explain", "--json", good, "write", "/etc/x", code=1)
    expect(told["decision"] == "deny" and told["operation"] == "write" and told["object"] == "/etc/x", told)
    expect_result(bench.call("profile", "explain", good, "read", "../x"), 2, "", r'no "\.\."')
    expect_result(bench.call("profile", "explain", good, "rread", "/x"), 2, "", r'did you mean "read"')
    expect_result(bench.call("profile", "explain", good, "read"), 2, "", r"usage: berm profile explain")


def a_ceiling_narrows(bench):
    good = bench.top + "/good.yaml"
    ceiling = bench.write("ceiling.yaml", "version: 1\nname: ceiling\nfs:\n  read: [/usr]\n")
    expect_result(bench.call("profile", "explain", good, "read", "file"), 0, "^ALLOW")
    expect_result(bench.call("profile", "explain", "--ceiling", ceiling, good, "read", "file"), 1, "^DENY")
    expect_result(bench.call("profile", "explain", good, "read", "file", more={"BERM_CEILING": ceiling}), 1, "^DENY")
    expect_result(bench.call("profile", "explain", "--ceiling", ceiling, good, "read", "/usr/bin/env"), 0, "^ALLOW")
    expect_result(bench.call("profile", "explain", "--ceiling", bench.top + "/none.yaml", good, "read", "file"), 2, "",
                  "none.yaml")


def diff_tells_what_became_wider(bench):
    old = bench.write("old.yaml", "version: 1\nname: old\nfs:\n  read: [/usr]\n  deny: [/usr/local]\n"
                      "limits: {pids: 64}\n")
    new = bench.write("new.yaml", "version: 1\nname: new\nfs:\n  read: [/usr, /usr/bin]\nlimits: {pids: 32}\n")
    result = bench.call("profile", "diff", old, new)
    expect_result(result, 0, r"(?m)^WIDER +fs\.deny +- /usr/local +%s:5  \(read /usr/local: deny -> allow\)\n"
                             r"NARROWER +limits\.pids +64 -> 32 +%s:6 -> %s:5\n"
                             r"SAME +fs\.read +\+ /usr/bin +%s:4\nSAME +\d+ sections\n$"
                  % tuple(re.escape(path) for path in (old, old, new, new)))
    less = bench.write("less.yaml", "version: 1\nname: less\n")
    last = bench.write("last.yaml", "version: 1\nname: last\nextends: [./old.yaml]\nlimits: {pids: 8}\n")
    for least, first, second, code in (("wider", old, new, 1), ("any", old, new, 1), ("any", old, old, 0),
                                       ("wider", new, less, 1), ("wider", old, last, 0), ("any", old, last, 1)):
        result = bench.call("profile", "diff", "--fail-on", least, first, second)
        expect(result.code == code and not result.errors, least, *result.describe())
    told = bench.object("profile", "diff", "--json", old, new)
    expect(told["direction"] == "WIDER" and "network" in told["same"] and "fs" not in told["same"], told)
    wider = [line for line in told["lines"] if line["direction"] == "WIDER"]
    expect(wider == [{"direction": "WIDER", "key": "fs.deny", "was": "/usr/local", "now": None,
                      "was_at": {"file": old, "line": 5}, "now_at": None,
                      "example": "read /usr/local: deny -> allow"}], wider)


def diff_compares_the_profiles_and_not_the_site(bench):
    old = bench.write("old.yaml", "version: 1\nname: old\nfs: {read: [/usr]}\n")
    new = bench.write("new.yaml", "version: 1\nname: new\nfs: {read: [/usr, /opt, \"/srv/${RUN_ID}\"]}\n")
    ceiling = bench.write("ceiling.yaml", "version: 1\nname: ceiling\nfs: {read: [/usr]}\n")
    expect_result(bench.call("profile", "diff", "--fail-on=wider", old, new), 1, r"WIDER .*/opt")
    expect_result(bench.call("profile", "diff", "--fail-on=wider", "--ceiling", ceiling, old, new), 0, "SAME")
    expect_result(bench.call("profile", "diff", "--fail-on=any", new, new), 0, r"^SAME +\d+ sections\n$")
    expect_result(bench.call("profile", "diff", old), 2, "", "wants two profiles")
    expect_result(bench.call("profile", "diff", "--fail-on=maybe", old, new), 2, "", "wider or any, not")
    expect_result(bench.call("profile", "diff", old, bench.top + "/none.yaml"), 2, "", "none.yaml")


TESTED = """version: 1
name: tested
fs: {read: [/usr], deny: [/usr/local]}
tests:
  - {do: read /usr/x, expect: allow}
  - {do: read /usr/local/x, expect: %s, name: "no <local> & \\" \\u00e9"}
"""


def tests_of_a_profile_run(bench):
    path = bench.write("tested.yaml", TESTED % "deny")
    expect_result(bench.call("profile", "test", path), 0,
                  r"^PASS %s  read /usr/x\nPASS \S+  no <local> & . é\n2 passed, 0 failed, 0 skipped\n$"
                  % re.escape(path))
    bench.write("tested.yaml", TESTED % "allow")
    expect_result(bench.call("profile", "test", "--fail-only", path), 1,
                  r"^FAIL \S+tested\.yaml  no .*\n     line 6: expected allow, got deny by fs\.deny /usr/local "
                  r"\(%s:3\)\n1 passed, 1 failed, 0 skipped\n$" % re.escape(path))
    told = bench.object("profile", "test", "--json", path, code=1)
    expect((told["passed"], told["failed"], told["skipped"]) == (1, 1, 0), told)
    expect([case["outcome"] for case in told["suites"][0]["cases"]] == ["PASS", "FAIL"], told)
    report = bench.top + "/report.xml"
    expect(bench.call("profile", "test", "--junit", report, path).code == 1, "a failure passes with --junit")
    suites = xml.etree.ElementTree.parse(report).getroot()
    expect(suites.tag == "testsuites" and suites.get("tests") == "2" and suites.get("failures") == "1", suites.attrib)
    cases = suites.findall("testsuite/testcase")
    expect([case.get("name") for case in cases] == ["read /usr/x", "no <local> & \" \u00e9"], [c.attrib for c in cases])
    expect("got deny by fs.deny" in cases[1].find("failure").get("message"), cases[1].attrib)
    expect_result(bench.call("profile", "test", "--junit", "/dev/full", bench.write("one.yaml", TESTED % "deny")), 3,
                  "2 passed", "cannot write /dev/full: No space")


def test_files_stand_beside_profiles(bench):
    top = os.path.join(bench.top, "suite")
    os.makedirs(top, exist_ok=True)
    profile = bench.write("suite/agent.yaml", "version: 1\nname: agent\nfs: {read: [/usr, \"${WORKDIR}\"]}\n")
    tests = bench.write("suite/agent.test.yaml",
                        "vars: {WORKDIR: /srv/repo}\ncases:\n  - {do: read /srv/repo/x, expect: allow, name: one}\n"
                        "  - {run: ['true'], expect_exit: 0}\n")
    for word in (profile, tests, top):
        expect_result(bench.call("profile", "test", word), 0,
                      r"PASS %s  one\nSKIP \S+  run true  \(needs --live\)\n1 passed, 0 failed, 1 skipped"
                      % re.escape(tests))
    bench.write("suite/agent.test.yaml", "cases:\n  - {do: read /usr/x, expect: denied}\n")
    expect_result(bench.call("profile", "test", profile), 2, "",
                  r"agent\.test\.yaml:2:\d+: error\[E\d+\]: `expect` is one of")
    bench.write("suite/agent.test.yaml", "profile: none.yaml\ncases:\n  - {do: read /usr/x, expect: deny}\n")
    expect_result(bench.call("profile", "test", tests), 2, "", r"no such profile: \S+suite/none\.yaml")


def an_empty_run_of_tests_fails(bench):
    empty = bench.write("empty.yaml", "version: 1\nname: empty\n")
    only = bench.write("only.yaml", "version: 1\nname: only\ntests: [{do: tool a.b, expect: deny}]\n")
    os.makedirs(bench.top + "/nothing", exist_ok=True)
    for words in ([empty], [bench.top + "/nothing"], [only], [empty, only]):
        result = bench.call("profile", "test", *words)
        expect(result.code == 2 and "no test ran" in result.errors, words, *result.describe())
    expect_result(bench.call("profile", "test"), 2, "", r"usage: berm profile test")
    expect_result(bench.call("profile", "test", bench.top + "/absent.test.yaml"), 2, "", "absent.test.yaml")


def tries_are_told_by_number(bench):
    path = bench.top + "/ws/new"
    result = bench.call("profile", "try", "read", "/usr/bin/env", "write", path, "read", "/nonexistent",
                        "connect", "127.0.0.1:1", "connect", "unix:/nonexistent")
    rows = result.text.splitlines()
    expect(result.code == 1 and [row.split()[0] for row in rows] == ["0", "0", "2", "111", "2"], *result.describe())
    expect(rows[0].split()[2] == str(os.stat("/usr/bin/env").st_ino) and not os.path.exists(path), *rows)
    expect_result(bench.call("profile", "try", "read"), 2, "", "wants pairs")
    expect_result(bench.call("profile", "try", "syscall", "bpf"), 2, "", "cannot be tried")


def codes_are_explained(bench):
    codes = re.findall(r"(?m)^([EWN]\d{3})  ", bench.call("explain").text)
    expect(len(codes) > 30, codes)
    for code in codes:
        expect_result(bench.call("explain", code), 0, r"^%s: .+\n\n.{40}" % code)
    expect_result(bench.call("explain", "e" + codes[0][1:].lstrip("0")), 0, "^" + codes[0])
    for word in ("E999", "X001", "E", "", "E001x"):
        expect_result(bench.call("explain", word), 2, "", "no message has the code")


def schema_and_reference_are_printed(bench):
    schema = json.loads(bench.call("profile", "schema").text)
    expect(schema["$schema"].startswith("http://json-schema.org/draft-07/"), schema.get("$schema"))
    expect_result(bench.call("profile", "reference"), 0, r"(?m)^\| `read`")


def a_full_disk_is_no_success(bench):
    with open("/dev/full", "wb") as full:
        for words in (["profile", "schema"], ["doctor"], ["help"], ["--version"]):
            expect_result(bench.call(*words, stdout=full), 3, "", r"^berm: cannot write to stdout: No space left")


def closed_streams_do_no_harm(bench):
    """Our own files must not take the place of a closed stdout."""
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        result = harness.run(["sh", "-c", '"$0" profile check "$1" %s' % closed, bench.berm, bench.top + "/good.yaml"],
                             env=bench.environment, cwd=bench.top + "/ws")
        expect(result.code == 0 and not result.errors, closed, *result.describe())
    with open(bench.top + "/good.yaml", encoding="utf-8") as file:
        expect(file.read() == GOOD % "x", "something was written into the profile")


def profiles_are_not_changed(bench):
    before = {name: os.stat(bench.top + "/" + name).st_mtime_ns for name in ("good.yaml", "ws", "ws/out")}
    for verb in ("check", "show"):
        bench.call("profile", verb, bench.top + "/good.yaml")
    expect(before == {name: os.stat(bench.top + "/" + name).st_mtime_ns for name in before}, "something was touched")


ROWS = [help_lists_every_verb, every_verb_explains_itself, wrong_verbs_are_named, version_is_one_line,
        runs_are_named_by_their_beginning,
        doctor_tells_every_feature, doctor_requires, colours_are_for_terminals, check_says_ok, check_points_at_mistakes,
        check_runs_the_tests_of_the_profile,
        check_says_what_this_host_cannot, profiles_are_found_by_name_but_not_here, show_names_every_rule,
        plans_are_the_same_every_time, explain_decides, a_ceiling_narrows, diff_tells_what_became_wider,
        diff_compares_the_profiles_and_not_the_site, tests_of_a_profile_run, test_files_stand_beside_profiles,
        an_empty_run_of_tests_fails, tries_are_told_by_number, codes_are_explained,
        schema_and_reference_are_printed, a_full_disk_is_no_success, closed_streams_do_no_harm,
        profiles_are_not_changed, *rows_sign.ROWS, *rows_log.ROWS, *rows_pace.ROWS, *rows_hooks.ROWS]


def main():
    bench = Bench(sys.argv[1], sys.argv[2])
    tap = harness.Tap()
    try:
        for row in ROWS:
            title = row.__name__.replace("_", " ")
            try:
                row(bench)
                tap.row(True, title)
            except Wrong as wrong:
                tap.row(False, title, [wrong])
    finally:
        inventory.end_recorders(os.path.basename(bench.top))
        shutil.rmtree(bench.top)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
