# SPDX-License-Identifier: Apache-2.0
"""What somebody who decides about staged changes gets to see: nothing that is committed is out of sight."""
import os
import shutil
import struct

import harness
from cases_changes import changes, contents, profile, row, shell, show, the_run
from sandbox import Skip


def told(sandbox, run, *options):
    return changes(sandbox, "show", *options, run).text


@row
def what_is_in_new_directories_is_shown(sandbox, case):
    for number in range(3):
        sandbox.file("src/f%d" % number, "one\n")
    case.code(shell(sandbox, "cp -rp src s; echo evil >> s/f1; rm -rf src; mv s src; mkdir -p .github/workflows;"
                    " echo run > .github/workflows/ci.yml; chmod 755 .github/workflows/ci.yml"), 0)
    run = the_run(sandbox, case)
    text = told(sandbox, run, "--diff")
    for part in ("create    .github/ (3 names)\n        + .github/workflows/\n        + .github/workflows/ci.yml"
                 " (mode 0755)\n",
                 "replace   src/ (4 names)\n        ~ src/f1\n          (2 names in it stay as they are)\n",
                 "--- src/f1\n+++ src/f1\n@@ -1,1 +1,2 @@\n one\n+evil\n",
                 "+++ .github/workflows/ci.yml\n@@ -0,0 +1,1 @@\n+run\n"):
        case.that(part in text, "not shown: %r in" % part, text)
    listed = {r["path"]: r for r in show(sandbox, run)["changes"]}
    case.that([entry["path"] for entry in listed["src"]["within"]] == ["src/f1"], listed["src"])
    case.that(listed["src"]["unchanged"] == 2, listed["src"])


@row
def the_diff_is_a_patch(sandbox, case):
    """What was shown makes of the tree as it was, by a program that knows nothing of berm, what a commit makes it."""
    for name, lines in {"middle": 30, "gone": 5, "emptied": 3, "grows": 10}.items():
        sandbox.file(name, "".join("%d\n" % number for number in range(lines)))
    sandbox.file("unended", "no newline")
    before = sandbox.top + "/before"
    shutil.rmtree(before, ignore_errors=True)
    shutil.copytree(sandbox.ws, before)
    case.code(shell(sandbox, "sed -i 15s/.*/x/ middle; rm gone; : > emptied; sed -i 1i0 grows; echo a > new;"
                    " echo more >> unended; mkdir d; echo b > d/file"), 0)
    run = the_run(sandbox, case)
    text = told(sandbox, run, "--diff")
    case.code(changes(sandbox, "commit", run), 0)
    with open(before + ".patch", "w", encoding="utf-8") as file:
        file.write(text)
    case.code(harness.run(["git", "apply", "-p0", before + ".patch"], cwd=before), 0)
    case.that(contents(before) == contents(sandbox.ws), contents(before), text)


@row
def links_and_modes_are_shown(sandbox, case):
    sandbox.file("conf", "x\n")
    sandbox.file("old", "x\n")
    case.code(shell(sandbox, "ln -s ../../.bashrc build.log; rm conf; ln -s /etc conf; mkdir d; ln -s / d/root;"
                    " echo tool > tool; chmod 777 tool; mv old run; chmod 755 run"), 0)
    run = the_run(sandbox, case)
    text = told(sandbox, run)
    for part in ("create    build.log -> ../../.bashrc\n", "replace   conf -> /etc (was a file)\n", "+ d/root -> /\n",
                 "create    run (was old) (mode 0755)\n", "create    tool (mode 0777)\n"):
        case.that(part in text, "not shown: %r in" % part, text)
    listed = {r["path"]: r for r in show(sandbox, run)["changes"]}
    case.that(listed["conf"]["after"]["to"] == "/etc" and listed["build.log"]["after"]["to"] == "../../.bashrc", listed)


@row
def noise_hides_nothing(sandbox, case):
    """One file cannot use up what another's diff needs, and what is left out is counted."""
    sandbox.file("AAA", "")
    sandbox.file("long", "x" * 5000 + "1" + "y" * 5000 + "\n")
    sandbox.file("end", "same\n")
    sandbox.file("zzz", "one\n")
    case.code(shell(sandbox, "yes noise | head -c 200000 > AAA; sed -i s/x1y/x2y/ long; printf same > end;"
                    " echo two > zzz; head -c 300000 /dev/zero | tr '\\0' a > big; head -c 9 /dev/zero > bin;"
                    " mkdir many; for n in $(seq 1200); do :> many/n$n; done"), 0)
    run = the_run(sandbox, case)
    text = told(sandbox, run, "--diff")
    for part in ("more lines of this file are not shown)", "+++ zzz\n@@ -1,1 +1,1 @@\n-one\n+two\n", "x1y",
                 "x2y", "-same\n+same\n\\ No newline at end of file\n", "+++ big\n(too large to be shown)\n",
                 "+++ bin\n(binary)\n",
                 "(200 more names in it are not shown; --all shows them)\n"):
        case.that(part in text, "not shown: %r" % part, text[:300])
    case.that("n1200\n" not in text.split("---")[0] or "n999" not in text.split("---")[0], "bounded")
    every = told(sandbox, run, "--all")
    case.that(every.count("+ many/") == 1200 and "not shown" not in every, every.count("+ many/"))


@row
def attributes_are_shown(sandbox, case):
    sandbox.file("plain", "x\n")
    try:
        os.setxattr(sandbox.ws + "/plain", "user.had", b"1")
    except OSError:
        return
    script = "import os; os.setxattr('plain', 'user.new', b'1'); os.removexattr('plain', 'user.had')"
    case.code(sandbox.run(["python3", "-c", script], profile=profile(sandbox)), 0)
    run = the_run(sandbox, case)
    text = told(sandbox, run)
    case.that("modify    plain (attributes: user.new, -user.had)\n" in text, text)


@row
def names_cannot_speak_for_berm(sandbox, case):
    script = "for n in 'README (was old)' 'x\"y' 'a -> b' '\u3164' '\ufe0f'; do echo x > \"$n\"; done"
    case.code(shell(sandbox, script), 0)
    text = told(sandbox, the_run(sandbox, case))
    for part in ('create    "README (was old)"\n', 'create    "x\\"y"\n', 'create    "a -> b"\n',
                 "create    \\u{3164}\n", "create    \\u{fe0f}\n"):
        case.that(part in text, "not shown: %r in" % part, text)


@row
def a_commit_can_be_bound_to_what_was_shown(sandbox, case):
    sandbox.file("edit", "one\n")
    case.code(shell(sandbox, "echo two >> edit"), 0)
    run = the_run(sandbox, case)
    shown = show(sandbox, run)["shown"]
    case.that("shown: %s\n" % shown in told(sandbox, run), told(sandbox, run))
    for wrong in ("0" * 64, shown[:-1]):
        result = changes(sandbox, "commit", "--shown", wrong, run)
        case.that(result.code == 1 and "not what was shown" in result.errors, *result.describe())
    case.code(changes(sandbox, "commit", "--shown", shown, run), 0)
    with open(sandbox.ws + "/edit", encoding="utf-8") as file:
        case.that(file.read() == "one\ntwo\n", "edit")


def access_list(*entries):
    """The value of system.posix_acl_*: (tag, permissions, id), as the kernel has them in posix_acl_xattr.h."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@row
def nobody_may_read_what_they_may_not(sandbox, case):
    """The default access list of the workspace is none of a file that has no list."""
    none = 0xffffffff
    default = access_list((1, 7, none), (2, 6, 4242), (4, 5, none), (16, 7, none), (32, 5, none))
    own = access_list((1, 6, none), (2, 4, 4343), (4, 0, none), (16, 4, none), (32, 0, none))
    for name in ("kept", "listed"):
        sandbox.file(name, "one\n")
        os.chmod(os.path.join(sandbox.ws, name), 0o640)
    try:
        os.setxattr(sandbox.ws + "/listed", "system.posix_acl_access", own)
        os.setxattr(sandbox.ws, "system.posix_acl_default", default)
    except OSError as error:
        raise Skip("no access lists here: %s" % error)
    case.code(shell(sandbox, "set -e; echo two > kept; echo two > listed; echo new > fresh; mkdir d; echo x > d/f"), 0)
    run = the_run(sandbox, case)
    case.code(changes(sandbox, "commit", run), 0)
    os.removexattr(sandbox.ws, "system.posix_acl_default")

    def lists(name):
        path = os.path.join(sandbox.ws, name)
        return {each: os.getxattr(path, each) for each in os.listxattr(path) if "posix_acl" in each}

    for name in ("kept", "fresh", "d", "d/f"):
        case.that(lists(name) == {}, name, lists(name))
    case.that(lists("listed") == {"system.posix_acl_access": own}, lists("listed"))
    case.that(os.stat(sandbox.ws + "/kept").st_mode & 0o777 == 0o640, "its mode")
    with open(sandbox.ws + "/kept", encoding="ascii") as file:
        text = file.read()
    case.that(text == "two\n", text, changes(sandbox, "show", run).text)


ROWS = [
    ("staged: what is in new and in replaced directories is shown", what_is_in_new_directories_is_shown),
    ("staged: the diff that is shown is a patch", the_diff_is_a_patch),
    ("staged: where links lead and who may run what is shown", links_and_modes_are_shown),
    ("staged: noise keeps nothing from being shown", noise_hides_nothing),
    ("staged: attributes that come and go are shown", attributes_are_shown),
    ("staged: names cannot speak for berm", names_cannot_speak_for_berm),
    ("staged: an access list that is handed on is none of a file without one", nobody_may_read_what_they_may_not),
    ("staged: a commit can be bound to what was shown", a_commit_can_be_bound_to_what_was_shown),
]
