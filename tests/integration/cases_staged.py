# SPDX-License-Identifier: Apache-2.0
"""Staged workspaces that are metered, and tools that attack what is staged."""
import json
import os
import shutil
import stat
import subprocess

import harness
import inventory
from cases_changes import (STAGED, changes, contents, going_on, picture, profile, row, rows, shell, show, the_run,
                           told_of, waiting)
from sandbox import Skip

DEGRADED = "--allow-degraded=bpf,notify,landlock"
METERED = """blast_radius: {files_changed: 4, files_deleted: 3, bytes_written: 1MiB, on_exceed: deny}
"""
# No other file is opened for writing: where the filter counts, it counts opens.
WRITES = """for n in 1 2; do dd if=/dev/zero of=e$n bs=1000 count=1 conv=notrunc oflag=append status=none; done
for n in 3 4; do dd if=/dev/zero of=n$n bs=1000 count=1 status=none; done; echo "changed $?"
dd if=/dev/zero of=n5 bs=1000 count=1 status=none; echo "over $?"
rm d1 d2 tree/d3; echo "deleted $?"; rm d4; echo "kept $?"
"""


@row
def metered(sandbox, case):
    """The kernel sees each write twice, in the overlay and in the directory beneath it: it counts once. What is copied
    up is nobody's write."""
    for number in range(1, 6):
        sandbox.file("e%d" % number, "e" * 50000)
        sandbox.file("d%d" % number, "d")
    sandbox.file("tree/d3", "d")
    before = contents(sandbox.ws)
    metered_profile = sandbox.write_profile("staged", STAGED + METERED)
    result, record = sandbox.record(["/bin/sh", "-c", WRITES], DEGRADED, profile=metered_profile)
    found = dict(line.split() for line in result.text.splitlines() if len(line.split()) == 2)
    case.that(found == {"changed": "0", "over": "1", "deleted": "0", "kept": "1"}, found, *result.describe())
    counters = {name: counter["value"] for name, counter in record["counters"].items()}
    case.that(counters["files_changed"] == 4 and counters["files_deleted"] == 3, counters)
    case.that([trip["counter"] for trip in record["trips"] if trip["kind"] == "cap"]
              == ["files_changed", "files_deleted"], record["trips"])
    in_kernel = "bpf (" in json.dumps(record["enforcement"])
    if in_kernel:
        case.that(counters["bytes_written"] == 4000, counters)
    case.summary = "the kernel's programs count" if in_kernel else "the filter counts"
    case.that(contents(sandbox.ws) == before, "the workspace was touched")
    run = the_run(sandbox, case)
    case.that(rows(sandbox, run) == ["delete d1", "delete d2", "modify e1", "modify e2", "create n3", "create n4",
                                     "delete tree/d3"], rows(sandbox, run))
    case.code(changes(sandbox, "commit", run), 0)
    case.that(sorted(contents(sandbox.ws)) == ["d3", "d4", "d5", "e1", "e2", "e3", "e4", "e5", "n3", "n4", "tree"],
              sorted(contents(sandbox.ws)))


def victim_of(sandbox):
    """A directory that no run was granted."""
    path = sandbox.top + "/victim"
    shutil.rmtree(path, ignore_errors=True)
    os.mkdir(path)
    sandbox.write_text(path + "/file", "precious\n")
    sandbox.own(path)
    sandbox.own(path + "/file")
    return path


PLANTS = r"""
import os, shutil, sys
victim = sys.argv[1]
os.symlink(victim + "/file", "planted"); os.symlink("/", "root"); os.symlink("../" * 9 + victim[1:], "up")
shutil.rmtree("dir"); os.symlink(victim, "dir")                    # a directory becomes a link to another place
os.unlink("plain"); os.mkdir("plain"); open("plain/file", "w").write("x")   # a file becomes a directory
shutil.rmtree("tree"); open("tree", "w").write("a file now")       # a directory becomes a file
shutil.rmtree("old"); os.mkdir("old"); open("old/own", "w").write("x")      # another directory, opaque
for path in ("dir/file", "planted", "up"):
    try:
        open(path, "w").write("through a link"); print("WRITTEN", path)
    except OSError as error:
        pass
"""


@row
def planted_links_lead_nowhere(sandbox, case):
    victim = victim_of(sandbox)
    before = picture(victim)
    for name in ("dir/file", "dir/deep/file", "tree/file", "old/first", "old/own"):
        sandbox.file(name, "old\n")
    sandbox.file("plain", "old\n")
    result = sandbox.run(["python3", "-c", PLANTS, victim], profile=profile(sandbox))
    case.code(result, 0)
    case.that("WRITTEN" not in result.text, result.text)
    run = the_run(sandbox, case)
    case.that(rows(sandbox, run) == ["replace dir", "replace old", "replace plain", "create planted", "create root",
                                     "replace tree", "create up"], rows(sandbox, run))
    case.code(changes(sandbox, "show", "--diff", run), 0)
    case.code(changes(sandbox, "commit", run), 0)
    case.that(picture(victim) == before, "the commit went through a link")
    case.that(os.readlink(sandbox.ws + "/dir") == victim, "dir is no link")
    os.unlink(sandbox.ws + "/dir")
    for name in ("root", "planted", "up"):
        os.unlink(sandbox.ws + "/" + name)
    seen = {name: text for name, text in contents(sandbox.ws).items() if not text.startswith("0o")}
    case.that(seen == {"old/own": "x", "plain/file": "x", "tree": "a file now"}, seen)


OVERLAYS_OWN = r"""
import os, sys
done = []
def attempt(name, call, *words):
    try:
        call(*words); done.append(name)
    except (OSError, ValueError):
        pass
for device in (0, os.makedev(1, 3), os.makedev(1, 1)):
    for kind in (0o020666, 0o060666):
        attempt("mknod", os.mknod, "device", kind, device)
for mode in (0o4755, 0o2755, 0o6755):
    attempt("chmod", os.chmod, "keep/file", mode)
    attempt("create", lambda: os.close(os.open("set-id", os.O_CREAT | os.O_WRONLY, mode)))
attempt("mkdir", os.mkdir, "set-id", 0o2777)
for name, value in (("opaque", b"y"), ("redirect", b"/etc"), ("metacopy", b""), ("whiteout", b"y"),
                    ("origin", b"x"), ("nlink", b"U+1")):
    for path in (".", "keep", "keep/file"):
        attempt("trusted." + name, os.setxattr, path, "trusted.overlay." + name, value)
        try:  # from 6.7 on it is kept under another name
            os.setxattr(path, "user.overlay." + name, value)
        except OSError:
            pass
attempt("security", os.setxattr, "keep/file", "security.capability", b"\x01" * 20)
print(" ".join(done))
"""


@row
def nobody_else_speaks_for_the_overlay(sandbox, case):
    """What an upper directory says by devices and attributes only the kernel says there."""
    sandbox.file("keep/file", "kept\n")
    result = sandbox.run(["python3", "-c", OVERLAYS_OWN], profile=profile(sandbox))
    case.code(result, 0)
    case.that(result.text.strip() == "", "done: " + result.text)
    for run in waiting(sandbox):
        case.code(changes(sandbox, "commit", run), 0)
    case.that(contents(sandbox.ws) == {"keep": "0o40755", "keep/file": "kept\n"}, contents(sandbox.ws))


@row
def attributes_that_look_like_the_overlays(sandbox, case):
    """The kernel escapes them, from 6.7 on, and refuses them before: in no case do they delete anything."""
    seen = []
    for name in ("overlay.opaque", "overlay.whiteout", "overlay.redirect", "more.overlay.opaque", "plain"):
        sandbox.fresh()
        sandbox.file("keep/file", "kept\n")
        script = "import os; os.setxattr('keep', 'user.%s', b'y'); os.mkdir('new'); os.setxattr('new', 'user.%s', b'y')"
        result = sandbox.run(["python3", "-c", script % (name, name)], profile=profile(sandbox))
        for run in waiting(sandbox):
            ended = changes(sandbox, "commit", run)
            case.code(ended, 0)
            seen.append(ended.code if result.code == 0 else "refused")
            changes(sandbox, "rollback", run)
        case.that(contents(sandbox.ws).get("keep/file") == "kept\n", name, contents(sandbox.ws))
    case.summary = str(seen)


PROTECTED = r"""
import os, shutil
done = []
def attempt(call, *words):
    try:
        call(*words); done.append(call.__name__ + " " + " ".join(words))
    except OSError:
        pass
open("mine", "w").write("evil")
os.mkdir("directory"); open("directory/pre-commit", "w").write("evil")
for name in ("secret", ".envrc", ".git/hooks", ".git/hooks/pre-commit"):
    for source in ("mine", "directory"):
        attempt(os.rename, source, name)
        attempt(os.link, source, name)
        attempt(os.symlink, source, name)
    attempt(lambda path: open(path, "w").write("evil"), name)
    attempt(os.unlink, name)
    attempt(os.rmdir, name)
    attempt(os.rename, name, "away")
attempt(os.rename, ".git", "away")
attempt(os.rename, "directory", ".git")
try:
    shutil.rmtree(".git/hooks"); done.append("rmtree")
except OSError:
    pass
print(done)
"""


@row
def nothing_takes_a_protected_name(sandbox, case):
    sandbox.file("secret", "hidden\n")
    sandbox.file(".git/hooks/pre-commit", "#!/bin/sh\n", 0o755)
    sandbox.file(".git/config", "[core]\n")
    before = picture(sandbox.ws)
    result = sandbox.run(["python3", "-c", PROTECTED], profile=profile(sandbox))
    case.code(result, 0)
    case.that(result.text.strip() == "[]", result.text)
    run = the_run(sandbox, case)
    case.that(rows(sandbox, run) == ["create directory", "create mine"], rows(sandbox, run))
    case.code(changes(sandbox, "commit", run), 0)
    after = picture(sandbox.ws)
    case.that({path: after.get(path) for path in before} == before, "a protected name was changed")
    case.that(not os.path.lexists(sandbox.ws + "/.envrc"), ".envrc is there")


@row
def files_of_others_stay_theirs(sandbox, case):
    """The workspace is one person's, some of what lies in it is root's."""
    if sandbox.mode != "root":
        raise Skip("only as root")
    for name in ("theirs", "shut", "sub/theirs", "deep/sub/theirs"):
        sandbox.file(name, "of root\n", 0o600 if name == "shut" else 0o644)
        os.chown(sandbox.ws + "/" + name, 0, 0)
    for name in ("deep/sub", "empty"):
        os.makedirs(sandbox.ws + "/" + name, exist_ok=True)
        os.chown(sandbox.ws + "/" + name, 0, 0)
    before = picture(sandbox.ws)
    for sudo in (True, False):
        sandbox.sudo = sudo
        result = shell(sandbox, "for f in theirs shut sub/theirs deep/sub/theirs; do (echo x >> $f) && echo WRITTEN $f;"
                       " cat $f; chmod 666 $f; chown 1000 $f; mv $f $f.moved && mv $f.moved $f; done 2>&1;"
                       " rm -rf deep; rmdir empty; cat shut; echo x > mine")
        case.that("WRITTEN" not in result.text, result.text)
        for run in waiting(sandbox):
            listed = show(sandbox, run)
            ended = changes(sandbox, "commit", run)
            case.that(ended.code in (0, 1), *ended.describe())
            case.that(not [r for r in listed["changes"] if r["path"] == "shut" and r["kind"] == "modify"], listed)
            changes(sandbox, "rollback", run)
        for path, state in before.items():
            now = picture(sandbox.ws).get(path)
            if now:  # what its directory's owner may delete, he may delete
                case.that(now[1:3] == state[1:3] and now[0] == state[0] and now[-1] == state[-1], path, state, now)


@row
def a_full_disk_keeps_the_workspace_whole(sandbox, case):
    """A commit that finds no room, and a run whose state directory has none."""
    if sandbox.mode != "root":
        raise Skip("only as root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", sandbox.ws], check=True)
    try:
        sandbox.own(sandbox.ws)
        sandbox.file("edit", "one\n")
        before = contents(sandbox.ws)
        case.code(shell(sandbox, "echo more >> edit; head -c 3000000 /dev/zero > big; mkdir d; echo x > d/x"), 0)
        run = the_run(sandbox, case)
        result = changes(sandbox, "commit", run)
        case.that(result.code in (1, 3) and "No space" in result.errors, *result.describe())
        case.that(contents(sandbox.ws) == before, "a commit without room changed the workspace", contents(sandbox.ws))
        case.that(waiting(sandbox) == [run], "the change set is gone")
        subprocess.run(["mount", "-o", "remount,size=8m", sandbox.ws], check=True)
        case.code(changes(sandbox, "commit", run), 0)
        case.that(contents(sandbox.ws)["edit"] == "one\nmore\n", contents(sandbox.ws)["edit"])
    finally:
        subprocess.run(["umount", sandbox.ws], check=True)


FILLS = {"bytes": "head -c 35000000 /dev/zero > big; while head -c 200000 /dev/zero >> big; do sleep 1; done; exit 7",
         "inodes": "for n in $(seq 165); do : > f$n; done; while : > f$n; do n=$((n+1)); sleep 1; done; exit 7"}


@row
def no_run_fills_the_state(sandbox, case):
    """A run is ended before it has the last of the disk that berm's own state is on, and none begins there then."""
    if sandbox.mode != "root":
        raise Skip("only as root")
    state = sandbox.top + "/small"
    os.mkdir(state, 0o700)
    for what, script in FILLS.items():
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0700,size=40m,nr_inodes=200", "none", state], check=True)
        try:
            environment = sandbox.environment(BERM_STATE_DIR=state)
            result = shell(sandbox, script, env=environment)
            case.that(result.code not in (0, 7) and "is ended: the disk" in result.errors, what, *result.describe())
            there = os.statvfs(state)
            case.that(there.f_bavail * there.f_bsize > 1 << 20 and there.f_favail > 5, what, there)
            again = shell(sandbox, "echo ran", env=environment)
            case.that(again.code == 125 and "ran" not in again.text and "nearly" in again.errors, *again.describe())
            runs = json.loads(changes(sandbox, "--json", env=environment).text)["change_sets"]
            case.that(len(runs) == 1 and "error" not in runs[0], runs)
            case.code(changes(sandbox, "rollback", runs[0]["run"], env=environment), 0)
            case.code(shell(sandbox, "true", env=environment), 0)
        finally:
            inventory.end_recorders(sandbox.token)
            subprocess.run(["umount", state], check=True)
    os.rmdir(state)


# What a call can take is taken before anybody looks: as one file, as many, and as bytes.
AT_ONCE = """
import errno, os, sys, time
def fill(take):
    step, number = 1 << 40, 0
    while step >= 4096:
        try:
            take(number, step)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            step //= 2
        number += 1
def one(number, step):
    os.posix_fallocate(big, os.lseek(big, 0, os.SEEK_END), step)
def many(number, step):
    file = os.open("f%d" % number, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(file, 0, step)
    finally:
        os.close(file)
def written(number, step):
    size = min(step, len(block))
    if os.write(big, block[:size]) < size:
        raise OSError(errno.ENOSPC, "short")
block = b"x" * (1 << 20)
big = os.open("big", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
print("began", flush=True)
fill({"one": one, "many": many, "written": written}[sys.argv[1]])
while True:
    time.sleep(1)
"""


def left(place):
    there = os.statvfs(place)
    return there.f_bavail * there.f_bsize


@row
def no_call_takes_the_last_of_the_disk(sandbox, case):
    """However quick a tool is: what berm needs is there when it is dead, and other runs go on and are recorded."""
    if sandbox.mode != "root":
        raise Skip("only as root")
    state = sandbox.top + "/small"
    os.mkdir(state, 0o700)
    for what in ("one", "many", "written"):
        # A twentieth is 5 MiB, the half of which no run can have.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0700,size=100m", "none", state], check=True)
        other = None
        try:
            environment = sandbox.environment(BERM_STATE_DIR=state)
            other = sandbox.start(["/bin/sh", "-c", "echo ready; read x; echo x >> there; echo ended"],
                                  profile=sandbox.write_profile("staged-other"), env=environment,
                                  stdin=subprocess.PIPE)
            case.that(other.stdout.readline() == b"ready\n", what, "the other run did not begin")
            result = sandbox.run(["python3", "-c", AT_ONCE, what], profile=profile(sandbox), env=environment)
            case.that("began" in result.text and result.code not in (0, 1), what, *result.describe())
            case.that("is ended: the disk" in result.errors, what, *result.describe())
            case.that(left(state) >= 1 << 20, what, "left: %d" % left(state))
            case.that(not os.path.exists(state + "/changes/.room"), what, os.listdir(state + "/changes"))
            out, errors = other.communicate(b"\n", timeout=60 * harness.SLOWER)
            case.that(other.returncode == 0 and b"ended" in out, what, "the other run:", out, errors)
            case.code(sandbox.run(["true"], env=environment), 0)
            runs = json.loads(changes(sandbox, "--json", env=environment).text)["change_sets"]
            case.that(len(runs) == 1 and "error" not in runs[0], what, runs)
            case.code(changes(sandbox, "rollback", runs[0]["run"], env=environment), 0)
            case.code(shell(sandbox, "true", env=environment), 0)
        finally:
            if other:
                harness.stop(other)
            inventory.end_recorders(sandbox.token)
            subprocess.run(["umount", state], check=True)
    os.rmdir(state)


@row
def a_run_that_goes_on_is_left_alone(sandbox, case):
    sandbox.file("edit", "one\n")
    before = picture(sandbox.ws)
    process = sandbox.start(["/bin/sh", "-c", "echo two > edit; echo ready; read x; echo three >> edit"],
                            profile=profile(sandbox), stdin=subprocess.PIPE)
    process.stdout.readline()
    run = going_on(sandbox)
    for verb in ("show", "commit", "rollback"):
        result = changes(sandbox, verb, run)
        case.that(result.code == 1 and "goes on" in result.errors, verb, *result.describe())
    case.that(picture(sandbox.ws) == before, "the workspace was touched")
    process.communicate(b"\n", timeout=60 * harness.SLOWER)
    case.code(changes(sandbox, "commit", run), 0)
    with open(sandbox.ws + "/edit", encoding="utf-8") as file:
        case.that(file.read() == "two\nthree\n", "edit")


@row
def names_that_share_a_file_are_told(sandbox, case):
    sandbox.file("one", "1\n")
    os.link(sandbox.ws + "/one", sandbox.ws + "/two")
    case.code(shell(sandbox, "echo more >> one; mkdir d; echo x > d/a; ln d/a d/b; ln d/a c"), 0)
    run = the_run(sandbox, case)
    listed = {r["path"]: r for r in show(sandbox, run)["changes"]}
    case.that(listed["one"]["before"]["links"] == 2, listed["one"])
    case.that(listed["d"]["linked"] == 2 and listed["c"]["linked"] == 1, listed)
    told = changes(sandbox, "show", run).text
    case.that("1 more name" in told and "each becomes a file" in told, told)
    case.code(changes(sandbox, "commit", run), 0)
    case.that({name: os.stat(sandbox.ws + "/" + name).st_nlink for name in ("one", "two", "c", "d/a", "d/b")}
              == {"one": 1, "two": 1, "c": 1, "d/a": 1, "d/b": 1}, "names still share a file")
    case.that(stat.S_ISREG(os.lstat(sandbox.ws + "/c").st_mode), "c")


@row
def closed_directories_are_committed(sandbox, case):
    """What package managers leave behind: directories that not even their owner may write to."""
    sandbox.file("goes/in/file", "x\n", 0o444)
    sandbox.file("shut/edit", "one\n")
    for name in ("goes/in", "goes", "shut"):
        os.chmod(sandbox.ws + "/" + name, 0o555)
    case.code(shell(sandbox, "mkdir -p ro/deep && echo n > ro/deep/f && chmod 555 ro/deep ro && chmod -R u+w goes &&"
                    " rm -r goes && chmod u+w shut && echo two > shut/edit && chmod 555 shut"), 0)
    run = the_run(sandbox, case)
    result = changes(sandbox, "commit", run)
    case.that(result.code == 0 and not result.errors, *result.describe())
    case.that(contents(sandbox.ws) == {"ro": "0o40555", "ro/deep": "0o40555", "ro/deep/f": "n\n", "shut": "0o40555",
                                       "shut/edit": "two\n"}, contents(sandbox.ws))
    case.that(told_of(sandbox, run) == ["commit"], told_of(sandbox, run))
    case.that(not os.listdir(sandbox.state + "/changes"), os.listdir(sandbox.state + "/changes"))
    subprocess.run(["chmod", "-R", "u+w", sandbox.ws], check=True)


@row
def whatever_a_tool_leaves_can_be_dropped(sandbox, case):
    """Each of these once made a change set that no verb could look at or remove."""
    deep = "import os\nfor i in range(700): os.mkdir('d'); os.chdir('d')\nos.chmod('.', 0o555)"
    for script in ("mkdir -p d/e; echo x > d/e/f; chmod 0 d/e; chmod 555 d", "echo x >> in/src; chmod 0 in",
                   "echo x > f; chmod 0 .", "python3 -c \"%s\"" % deep):
        sandbox.fresh()
        sandbox.file("in/src", "x\n")
        before = contents(sandbox.ws)
        case.code(shell(sandbox, script), 0)
        run = the_run(sandbox, case)
        shown = changes(sandbox, "show", run)
        case.code(shown, 0)
        case.code(changes(sandbox, "rollback", run), 0)
        case.that(contents(sandbox.ws) == before, script, contents(sandbox.ws))
        case.that(not os.listdir(sandbox.state + "/changes"), script, os.listdir(sandbox.state + "/changes"))


METER_ROWS = [("staged: what is written to an overlay is counted once, and capped", metered)]
ROWS = [
    ("staged: planted links and exchanged directories lead nowhere", planted_links_lead_nowhere),
    ("staged: deleted names, opaque directories, devices and set-id bits are the kernel's to make",
     nobody_else_speaks_for_the_overlay),
    ("staged: attributes that look like the overlay's delete nothing", attributes_that_look_like_the_overlays),
    ("staged: nothing takes or moves a protected name", nothing_takes_a_protected_name),
    ("staged: files of others stay theirs", files_of_others_stay_theirs),
    ("staged: a full disk keeps the workspace whole", a_full_disk_keeps_the_workspace_whole),
    ("staged: no run takes the last of the disk that the state is on", no_run_fills_the_state),
    ("staged: no call of a run takes the last of that disk", no_call_takes_the_last_of_the_disk),
    ("staged: the changes of a run that goes on are left alone", a_run_that_goes_on_is_left_alone),
    ("staged: directories closed to their owner are committed, and the log says so", closed_directories_are_committed),
    ("staged: whatever a tool leaves can be dropped", whatever_a_tool_leaves_can_be_dropped),
    ("staged: names that share a file are told, and become files", names_that_share_a_file_are_told),
]
