# SPDX-License-Identifier: Apache-2.0
"""Staged workspaces: what a tool writes waits, is listed, committed or thrown away."""
import hashlib
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import threading
import time

import harness
from sandbox import Skip

STAGED = "workspace: {path: \"${WORKDIR}\", mode: staged}\n"


def profile(sandbox, more=""):
    return sandbox.write_profile("staged", STAGED + more)


def shell(sandbox, script, *options, more="", **popen):
    return sandbox.run(["/bin/sh", "-c", script], *options, profile=profile(sandbox, more), **popen)


def changes(sandbox, *words, **popen):
    popen.setdefault("env", sandbox.environment())
    return harness.run([sandbox.berm, "changes"] + list(words), **popen)


def waiting(sandbox):
    """The ids of the change sets."""
    return [row["run"] for row in json.loads(changes(sandbox, "--json").text)["change_sets"] if not row.get("busy")]


def going_on(sandbox):
    """The id of the change set of a run that lasts; berm's own names begin with a dot."""
    return [name for name in os.listdir(sandbox.state + "/changes") if name[0] != "."][0]


def the_run(sandbox, case):
    runs = waiting(sandbox)
    case.that(len(runs) == 1, "change sets: %s" % runs)
    return runs[0] if runs else "none"


def show(sandbox, run):
    return json.loads(changes(sandbox, "show", "--json", run).text)


def rows(sandbox, run):
    return ["%s %s" % (row["kind"], row["path"]) for row in show(sandbox, run)["changes"]]


def picture(top):
    """Every name beneath top with all that can be said of it but times of access."""
    seen = {}
    for where, directories, files in os.walk(top):
        for name in directories + files:
            path = os.path.join(where, name)
            st = os.lstat(path)
            kind = stat.S_IFMT(st.st_mode)
            content = os.readlink(path) if kind == stat.S_IFLNK else ""
            if kind == stat.S_IFREG:
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            times = None if kind == stat.S_IFDIR else (st.st_mtime_ns, st.st_ctime_ns)
            seen[path] = (st.st_mode, st.st_uid, st.st_gid, st.st_ino, st.st_nlink, times, content)
    return seen


def clean(sandbox):
    for run in waiting(sandbox):
        changes(sandbox, "rollback", run)


def row(function):
    """A row begins and ends without change sets."""
    def wrapped(sandbox, case):
        clean(sandbox)
        try:
            function(sandbox, case)
        finally:
            clean(sandbox)
    wrapped.__doc__ = function.__doc__
    return wrapped


SCRIPT = """set -e
echo new > made; echo more >> edit; rm -r dir/gone; mkdir -p tree/deep; echo d > tree/deep/file
mv moved elsewhere; chmod 600 mode; chmod 700 dir; ln -s /etc/passwd link; rm -r old; mkdir old; echo o > old/own
"""
ROWS_OF_SCRIPT = ["mode dir", "delete dir/gone", "modify edit", "create elsewhere", "create link", "create made",
                  "modify mode", "delete moved", "replace old", "create tree"]


def fill(sandbox):
    sandbox.file("edit", "one\n")
    sandbox.file("dir/gone", "gone\n")
    sandbox.file("dir/stays", "stays\n")
    sandbox.file("moved", "what is moved\n")
    sandbox.file("mode", "mode\n")
    sandbox.file("old/first", "first\n")


@row
def nothing_is_written_before_a_commit(sandbox, case):
    fill(sandbox)
    before = picture(sandbox.ws)
    result = shell(sandbox, SCRIPT + "cat made edit old/own")
    case.code(result, 0)
    case.that(result.text == "new\none\nmore\no\n", "the tool sees its own writes", result.text)
    case.that(picture(sandbox.ws) == before, "the workspace was touched")
    run = the_run(sandbox, case)
    case.that(run in result.errors, "the run says where its changes are", result.errors)
    case.that(rows(sandbox, run) == ROWS_OF_SCRIPT, rows(sandbox, run))
    case.code(changes(sandbox, "rollback", run), 0)
    case.that(picture(sandbox.ws) == before, "a rollback touched the workspace")
    case.that(waiting(sandbox) == [], "something is left")


@row
def what_is_said_of_the_host_is_so(sandbox, case):
    """A host that stages a run says so where it is only asked."""
    case.code(shell(sandbox, "echo new > made"), 0)
    case.that(rows(sandbox, the_run(sandbox, case)) == ["create made"], "nothing was staged")
    told = harness.run([sandbox.berm, "doctor", "--json"], env=sandbox.environment())
    states = {feature["name"]: feature["state"] for feature in json.loads(told.text)["features"]}
    case.that(states["overlay"] == "yes", states)
    checked = harness.run([sandbox.berm, "profile", "check", "-C", sandbox.ws, profile(sandbox)],
                          env=sandbox.environment())
    case.that("overlay is missing" not in checked.errors + checked.text, checked.errors)


@row
def a_commit_makes_it_so(sandbox, case):
    fill(sandbox)
    case.code(shell(sandbox, SCRIPT), 0)
    run = the_run(sandbox, case)
    told = changes(sandbox, "show", "--diff", run)
    case.that("elsewhere (was moved)" in told.text and "+more" in told.text, told.text)
    case.code(changes(sandbox, "commit", run), 0)
    with open(sandbox.ws + "/edit", encoding="utf-8") as file:
        case.that(file.read() == "one\nmore\n", "edit")
    names = sorted(os.path.relpath(path, sandbox.ws) for path in picture(sandbox.ws))
    case.that(names == ["dir", "dir/stays", "edit", "elsewhere", "link", "made", "mode", "old", "old/own", "tree",
                        "tree/deep", "tree/deep/file"], names)
    for name in names:
        st = os.lstat(sandbox.ws + "/" + name)
        case.that(st.st_uid == sandbox.uid, "%s belongs to %d" % (name, st.st_uid))
    case.that(stat.S_IMODE(os.stat(sandbox.ws + "/dir").st_mode) == 0o700, "mode of dir")
    case.that(waiting(sandbox) == [], "something is left")
    case.that(changes(sandbox, "commit", run).code == 2, "a second commit")
    case.that(told_of(sandbox, run) == ["commit"], told_of(sandbox, run))


def told_of(sandbox, run):
    """What the log says was done with the changes of a run."""
    result = harness.run([sandbox.berm, "log", "--json"], env=sandbox.environment())
    lines = [json.loads(line) for line in result.text.splitlines()]
    ends = [line["record"]["change_set"] for line in lines if line["kind"] == "change_set"]
    return [end["action"] for end in ends if end["staged_by"] == run]


@row
def a_run_that_changes_nothing_leaves_nothing(sandbox, case):
    fill(sandbox)
    case.code(shell(sandbox, "cat edit; exec 3>>edit"), 0)
    case.that(waiting(sandbox) == [], "something is left")


@row
def plain_root_writes_as_the_owner(sandbox, case):
    if sandbox.mode != "root":
        raise Skip("only as root")
    sandbox.sudo = False
    sandbox.file("secret-of-owner", "x\n", 0o600)
    case.code(shell(sandbox, "cat secret-of-owner; echo y >> secret-of-owner; mkdir d; echo z > d/z"), 0)
    run = the_run(sandbox, case)
    case.code(changes(sandbox, "commit", run), 0)
    for name, mode in (("secret-of-owner", 0o600), ("d", 0o755), ("d/z", 0o644)):
        st = os.lstat(sandbox.ws + "/" + name)
        case.that((st.st_uid, st.st_gid) == (sandbox.uid, sandbox.uid), "%s is of %d" % (name, st.st_uid))
        case.that(stat.S_IMODE(st.st_mode) == mode, "%s has mode %o" % (name, st.st_mode))


@row
def what_changed_underneath_stays(sandbox, case):
    fill(sandbox)
    case.code(shell(sandbox, SCRIPT), 0)
    run = the_run(sandbox, case)
    sandbox.file("edit", "by a person\n")
    sandbox.file("made", "by a person\n")
    before = picture(sandbox.ws)
    result = changes(sandbox, "commit", run)
    case.code(result, 1)
    told = changes(sandbox, "show", run).text
    case.that("edit: " in told and "made: something is there now" in told, told)
    case.that(picture(sandbox.ws) == before, "a refused commit touched the workspace")
    case.that(waiting(sandbox) == [run], "the change set is gone")


@row
def what_changes_during_the_run_stays(sandbox, case):
    fill(sandbox)
    process = sandbox.start(["/bin/sh", "-c", "echo tool >> edit; echo ready; read x"], profile=profile(sandbox),
                            stdin=subprocess.PIPE)
    process.stdout.readline()
    sandbox.file("edit", "by a person\n")
    process.communicate(b"\n", timeout=60)
    run = the_run(sandbox, case)
    result = changes(sandbox, "commit", run)
    case.code(result, 1)
    case.that("while the run went on" in result.errors, result.errors)


@row
def protected_names_cannot_be_made(sandbox, case):
    sandbox.file("secret", "hidden\n")
    sandbox.file(".git/config", "[core]\n")
    result = shell(sandbox, "cat secret; echo x > secret; echo x > .envrc; mkdir .envrc/x; echo x > .git/hooks;"
                   " mv .git .other; rm -rf .git; ln -s /tmp .git/hooks; echo done > done", more="")
    case.code(result, 0)
    case.that("hidden" not in result.text, "secret was read", result.text)
    run = the_run(sandbox, case)
    left = [line for line in rows(sandbox, run) if "hooks" in line or "secret" in line or "envrc" in line
            or line.endswith(" .git")]
    case.that(not left, left)
    case.code(changes(sandbox, "commit", run), 0)
    case.that(not os.path.lexists(sandbox.ws + "/.envrc") and not os.path.lexists(sandbox.ws + "/.git/hooks"),
              "a protected name is there")
    with open(sandbox.ws + "/secret", encoding="utf-8") as file:
        case.that(file.read() == "hidden\n", "secret was changed")


@row
def two_write_grants_in_one_another_are_refused(sandbox, case):
    sandbox.file("build/x", "x\n")
    text = open(profile(sandbox), encoding="utf-8").read()
    text = text.replace("exec:\n  allow:\n    - {path: \"${WORKDIR}\"}\n",
                        "exec:\n  allow:\n    - {path: \"${WORKDIR}/build\"}\n")
    path = sandbox.write_text(sandbox.top + "/nested.yaml", text)
    result = sandbox.run(["/bin/true"], profile=path)
    case.that(result.code in (2, 125) and "written to directly" in result.errors, result.code, result.errors)


@row
def hostile_names_and_objects(sandbox, case):
    sandbox.file("one", "1\n")
    os.link(sandbox.ws + "/one", sandbox.ws + "/two")
    script = r"""
import os
open("new\nline\x1b[31mred", "w").write("x")
open(b"bytes\xff\xfe", "w").write("x")
open("-rf", "w").write("x")
os.mkfifo("pipe"); os.mknod("socket", 0o140600)
open("one", "a").write("more\n")
f = open("sparse", "w"); f.truncate(1 << 40); f.seek(1 << 39); f.write("x"); f.close()
os.link("one", "three")
for call in (lambda: os.mknod("whiteout", 0o020600, os.makedev(0, 0)),
             lambda: os.setxattr(".", "user.overlay.opaque", b"y"),
             lambda: os.setxattr("one", "trusted.overlay.metacopy", b""),
             lambda: os.chmod("one", 0o4755)):
    try:
        call(); print("DONE")
    except OSError as error:
        print("refused", error.errno)
"""
    result = sandbox.run(["python3", "-c", script], profile=profile(sandbox))
    case.code(result, 0)
    run = the_run(sandbox, case)
    told = changes(sandbox, "show", "--diff", run)
    case.that("\x1b" not in told.text and "new\\x0aline\\x1b[31mred" in told.text, told.text)
    case.that("left-out  pipe" in told.text and "left-out  socket" in told.text, told.text)
    case.code(changes(sandbox, "commit", run), 0)
    names = sorted(os.listdir(os.fsencode(sandbox.ws)))
    case.that(names == [b"-rf", b"bytes\xff\xfe", b"new\nline\x1b[31mred", b"one", b"sparse", b"three", b"two"], names)
    st = os.stat(sandbox.ws + "/sparse")
    case.that(st.st_size == 1 << 40 and st.st_blocks < 1024, "sparse: %d blocks" % st.st_blocks)
    with open(sandbox.ws + "/two", encoding="utf-8") as file:
        case.that(file.read() == "1\n", "a commit wrote through a hard link")
    st = os.stat(sandbox.ws + "/one")
    case.that(not st.st_mode & 0o6000, "a set-id bit")


@row
def a_killed_run_leaves_a_set_that_can_be_kept(sandbox, case):
    fill(sandbox)
    process = sandbox.start(["/bin/sh", "-c", "echo tool > made; echo ready; sleep 600"], profile=profile(sandbox))
    process.stdout.readline()
    busy = changes(sandbox, "show", json.loads(changes(sandbox, "--json").text)["change_sets"][0]["run"]
                   if waiting(sandbox) else going_on(sandbox))
    case.that(busy.code == 1 and "goes on" in busy.errors, busy.code, busy.errors)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not waiting(sandbox):
        time.sleep(0.1)
    run = the_run(sandbox, case)
    case.that(rows(sandbox, run) == ["create made"], rows(sandbox, run))
    case.code(changes(sandbox, "commit", run), 0)
    case.that(os.path.exists(sandbox.ws + "/made"), "made")


SWAP_ROUNDS = 20


@row
def links_that_come_and_go_during_commits(sandbox, case):
    """Somebody swaps a directory of the workspace for a link to another place as fast as he can."""
    victim = sandbox.top + "/victim"
    shutil.rmtree(victim, ignore_errors=True)
    os.mkdir(victim)
    sandbox.own(victim)
    sandbox.write_text(victim + "/file", "precious\n")
    sandbox.own(victim + "/file")
    before = picture(victim)
    sandbox.file("dir/file", "0\n")
    ends = {}
    for number in range(SWAP_ROUNDS):
        case.code(shell(sandbox, "echo %d > dir/file; echo x > dir/new%d" % (number, number)), 0)
        run = the_run(sandbox, case)
        stop = threading.Event()
        swapper = threading.Thread(target=swap, args=(sandbox.ws, victim, stop))
        swapper.start()
        result = changes(sandbox, "commit", run)
        stop.set()
        swapper.join()
        ends[result.code] = ends.get(result.code, 0) + 1
        # Who swaps faster than a commit can undo is told that it waits for the next look.
        waits = result.code == 3 and "could not be undone" in result.errors
        case.that(result.code in (0, 1) or waits, "exit %d" % result.code, *result.describe())
        case.that(picture(victim) == before, "round %d changed what the link leads to" % number)
        clean(sandbox)
        if case.wrong:
            break
    case.summary = "%d rounds: %s" % (SWAP_ROUNDS, ends)


def swap(workspace, victim, stop):
    aside = workspace + "/aside"
    chance = random.Random(9)
    while not stop.is_set():
        os.rename(workspace + "/dir", aside)
        os.symlink(victim, workspace + "/dir")
        os.unlink(workspace + "/dir")
        os.rename(aside, workspace + "/dir")
        time.sleep(chance.choice((0,) * 20 + (0.01,)))


KILL_ROUNDS = 15


@row
def commits_that_are_killed(sandbox, case):
    """kill -9 at any time: the workspace is as it was or as it is to be, once somebody looks."""
    chance = random.Random(7)
    ends = {"kept": 0, "undone": 0}
    for number in range(KILL_ROUNDS):
        shutil.rmtree(sandbox.ws)
        os.mkdir(sandbox.ws, 0o755)
        sandbox.own(sandbox.ws)
        fill(sandbox)
        before = contents(sandbox.ws)
        case.code(shell(sandbox, SCRIPT), 0)
        run = the_run(sandbox, case)
        process = subprocess.Popen([sandbox.berm, "changes", "commit", run], env=sandbox.environment(),
                                   stderr=subprocess.DEVNULL)
        time.sleep(chance.random() * 0.4)
        process.kill()
        process.wait()
        left = waiting(sandbox)
        now = contents(sandbox.ws)
        if left:
            ends["undone"] += 1
            case.that(now == before, "round %d: neither" % number, now)
            case.code(changes(sandbox, "commit", run), 0)
            now = contents(sandbox.ws)
        else:
            ends["kept"] += 1
        case.that(now.get("edit") == "one\nmore\n" and "moved" not in now and now.get("old/own") == "o\n"
                  and not [name for name in now if "berm-commit" in name], "round %d: not committed" % number, now)
        if case.wrong:
            break
    case.summary = str(ends)


def contents(top):
    seen = {}
    for where, directories, files in os.walk(top):
        for name in directories + files:
            path = os.path.join(where, name)
            kept = os.path.relpath(path, top)
            if os.path.islink(path):
                seen[kept] = "-> " + os.readlink(path)
            elif os.path.isfile(path):
                with open(path, encoding="utf-8") as file:
                    seen[kept] = file.read()
            else:
                seen[kept] = oct(os.lstat(path).st_mode)
    return seen


@row
def git_works_in_a_staged_workspace(sandbox, case):
    if not shutil.which("git"):
        raise Skip("no git")
    identity = "-c user.name=t -c user.email=t@example.org -c core.fsync=none"
    harness.run(["git", "init", "-q", "-b", "main", sandbox.ws])
    for where, directories, files in os.walk(sandbox.ws):
        for name in directories + files:
            sandbox.own(os.path.join(where, name))
    result = shell(sandbox, "echo a > a && git add a && git %s commit -qm one && git mv a b &&"
                   " git %s commit -qm two && git log --oneline | wc -l && git status --short" % (identity, identity))
    case.code(result, 0)
    run = the_run(sandbox, case)
    case.code(changes(sandbox, "commit", run), 0)
    result = shell(sandbox, "git fsck --no-progress && git log --oneline | wc -l; echo c >> b; git diff --stat;"
                   " git gc -q; git %s commit -qam three" % identity)
    case.code(result, 0)
    run = the_run(sandbox, case)
    case.code(changes(sandbox, "commit", run), 0)
    result = sandbox.shell("git log --oneline | wc -l && git fsck --no-progress && git status --short")
    case.that(result.code == 0 and result.text.split()[0] == "3", *result.describe())


@row
def gcc_builds_in_a_staged_workspace(sandbox, case):
    if not shutil.which("gcc"):
        raise Skip("no gcc")
    sandbox.file("hello.c", "#include <stdio.h>\nint main(void) { puts(\"built\"); return 0; }\n")
    result = shell(sandbox, "gcc -O1 -o hello hello.c && ./hello")
    case.that(result.code == 0 and result.text == "built\n", *result.describe())
    run = the_run(sandbox, case)
    case.code(changes(sandbox, "commit", run), 0)
    case.that(os.access(sandbox.ws + "/hello", os.X_OK), "the program is not there")


@row
def npm_works_in_a_staged_workspace(sandbox, case):
    if not shutil.which("npm"):
        raise Skip("no npm")
    sandbox.file("package.json", '{"name": "x", "version": "1.0.0", "dependencies": {"y": "file:./y"}}\n')
    sandbox.file("y/package.json", '{"name": "y", "version": "1.0.0"}\n')
    result = shell(sandbox, "npm install --offline --no-audit --no-fund && test -e node_modules/y/package.json")
    case.code(result, 0)
    run = the_run(sandbox, case)
    case.code(changes(sandbox, "commit", run), 0)
    case.that(os.path.exists(sandbox.ws + "/node_modules/y/package.json"), "node_modules")


ROWS = [
    ("staged: nothing is written before a commit, and a rollback leaves the tree as it was",
     nothing_is_written_before_a_commit),
    ("staged: what doctor and profile check say of the host is so", what_is_said_of_the_host_is_so),
    ("staged: a commit makes the workspace what the tool saw, owned by its owner", a_commit_makes_it_so),
    ("staged: a run that changes nothing leaves no change set", a_run_that_changes_nothing_leaves_nothing),
    ("staged: plain root commits as the owner of the files", plain_root_writes_as_the_owner),
    ("staged: what changed underneath since is not overwritten", what_changed_underneath_stays),
    ("staged: what changed during the run is not overwritten", what_changes_during_the_run_stays),
    ("staged: protected names cannot be made through the overlay", protected_names_cannot_be_made),
    ("staged: a write grant within the workspace is refused", two_write_grants_in_one_another_are_refused),
    ("staged: hostile names, links, sockets and sparse files", hostile_names_and_objects),
    ("staged: the changes of a killed run can be kept", a_killed_run_leaves_a_set_that_can_be_kept),
    ("staged: links swapped in during commits are not followed", links_that_come_and_go_during_commits),
    ("staged: killed commits are finished or undone", commits_that_are_killed),
    ("staged: git works in it", git_works_in_a_staged_workspace),
    ("staged: gcc builds in it", gcc_builds_in_a_staged_workspace),
    ("staged: npm installs in it", npm_works_in_a_staged_workspace),
]
