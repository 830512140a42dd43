# SPDX-License-Identifier: Apache-2.0
"""Random trees, random tools: what is listed is the difference, a commit is what the tool would have done without berm,
a rollback is nothing. TREES=N tries N trees instead of a few, TREES_SEED=N begins there."""
import json
import os
import random
import shutil
import stat
import subprocess

import harness
import trees
from cases_changes import changes, profile, row, shell, show, the_run, waiting
from sandbox import Skip

FEW = 45
KINDS = {stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFREG: "file"}


class Entry:
    """One name, whatever its mode says."""

    def __init__(self, path):
        st = os.lstat(path)
        self.mode, self.ino, self.uid = st.st_mode, st.st_ino, st.st_uid
        self.kind = KINDS.get(stat.S_IFMT(st.st_mode), "other")
        self.times = (st.st_mtime_ns, st.st_ctime_ns, st.st_gid, st.st_nlink)
        self.data, self.names = None, {}
        if self.kind == "link":
            self.data = os.readlink(path)
        elif self.kind == "file":
            with opened(path, st, 0o400):
                with open(path, "rb") as file:
                    attributes = {name: os.getxattr(path, name) for name in sorted(os.listxattr(path))}
                    self.data = (file.read(), attributes, st.st_mtime_ns)
        elif self.kind == "directory":
            with opened(path, st, 0o500):
                for name in sorted(os.listdir(path)):
                    self.names[name] = Entry(path + b"/" + name)

    def all(self):
        """Everything that a rollback leaves as it is."""
        return (self.mode, self.ino, self.uid, self.times, self.data,
                {name: entry.all() for name, entry in self.names.items()})

    def made(self):
        """What a commit can make of it."""
        if self.kind == "other":
            return None
        mode = None if self.kind == "link" else stat.S_IMODE(self.mode)
        return [self.kind, mode, self.data, self.uid, {name: entry.made() for name, entry in self.names.items()
                                                      if entry.kind != "other"}]

    def closed(self):
        """Whether its owner, who is not root, cannot look at all of it."""
        needed = {"directory": 0o500, "file": 0o400}.get(self.kind, 0)
        return self.mode & needed != needed or any(entry.closed() for entry in self.names.values())


class opened:
    """The owner may look into what he closed to himself. Times change only where he may not."""

    def __init__(self, path, st, needed):
        self.path, self.mode = path, stat.S_IMODE(st.st_mode)
        self.needed = self.mode | needed

    def __enter__(self):
        if self.needed != self.mode:
            os.chmod(self.path, self.needed)

    def __exit__(self, *why):
        if self.needed != self.mode:
            os.chmod(self.path, self.mode)


def differ(path, before, after, rows, whole=None):
    """The rows of the difference beneath one directory that stays, and what is to become of it. whole: all that a
    directory that comes has, or has not any more."""
    becomes = {}
    for name in sorted(set(before.names) | set(after.names)):
        own = path + name
        old, new = before.names.get(name), after.names.get(name)
        if new and new.kind == "other":
            rows.append(("left-out", own))
            becomes[name] = old and old.made()
        elif not new:
            rows.append(("delete", own))
        elif not old:
            rows.append(("create", own))
        elif old.kind != new.kind or (old.kind == "directory" and old.ino != new.ino):
            rows.append(("replace", own))
        elif old.kind == "directory":
            inside = []
            becomes[name] = differ(own + b"/", old, new, inside, whole)
            if (old.mode ^ new.mode) & 0o1777 or (inside and old.mode & 0o700 != 0o700):
                rows.append(("mode", own))
            rows += inside
        elif (old.mode, old.data) != (new.mode, new.data) and (old.kind != "link" or old.data != new.data):
            rows.append(("modify", own))
        else:
            becomes[name] = old.made()
        if name not in becomes and new:
            becomes[name] = new.made()
        if whole is not None and new and rows and rows[-1][1] == own and rows[-1][0] in ("create", "replace"):
            whole[own] = within(own, old if rows[-1][0] == "replace" else None, new)
    return ["directory", stat.S_IMODE(after.mode), None, after.uid,
            {name: made for name, made in becomes.items() if made}]


def within(path, old, new):
    """The names in a directory that comes which are to be listed: (name, there before, there afterwards)."""
    found = set()
    before = old.names if old and old.kind == new.kind == "directory" else {}
    for name in set(before) | set(new.names):
        a, b = before.get(name), new.names.get(name)
        own = path + b"/" + name
        b = None if b and b.kind == "other" else b
        if not a and not b:
            continue
        same = a and b and a.kind == b.kind and (
            stat.S_IMODE(a.mode) == stat.S_IMODE(b.mode) or a.kind == "link") and (
            a.data[:2] == b.data[:2] if a.kind == "file" else a.data == b.data)
        if not same:
            found.add((own, bool(a), bool(b)))
        if b and b.kind == "directory":
            found |= within(own, a, b)
    return found


def shown(path):
    """As JSON has it: what is no UTF-8 is replaced byte by byte."""
    return "".join("\ufffd" if 0xdc80 <= ord(c) <= 0xdcff else c for c in path.decode("utf-8", "surrogateescape"))


def copy(source, to):
    """Without what links files to each other: in an overlay each name is a file of its own."""
    st = os.lstat(source)
    if stat.S_ISLNK(st.st_mode):
        os.symlink(os.readlink(source), to)
    elif stat.S_ISDIR(st.st_mode):
        os.mkdir(to)
        for name in os.listdir(source):
            copy(source + b"/" + name, to + b"/" + name)
        os.chmod(to, stat.S_IMODE(st.st_mode))
    else:
        shutil.copy2(source, to)
    os.chown(to, st.st_uid, st.st_gid, follow_symlinks=False)


def remove(path):
    for where, directories, _ in os.walk(path):
        for name in directories:
            if not os.path.islink(where + b"/" + name):
                os.chmod(where + b"/" + name, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def own_all(sandbox, top):
    if sandbox.mode == "root":
        for where, directories, files in os.walk(top):
            for name in directories + files:
                os.lchown(where + b"/" + name, sandbox.uid, sandbox.uid)


class Trial:
    """One tree, one tool."""

    def __init__(self, sandbox, case, seed):
        self.sandbox, self.case, self.seed = sandbox, case, seed
        self.ws, self.copy = sandbox.ws.encode(), sandbox.top.encode() + b"/copy"
        self.rng = random.Random(seed)
        self.linked = False

    def that(self, good, *words):
        return self.case.that(good, "seed %d:" % self.seed, *words)

    def tool(self, directory, profile_path):
        with open(trees.__file__, encoding="utf-8") as file:
            program = file.read()
        command = [self.sandbox.berm, "run", "-p", profile_path, "-C", directory, "--", "python3", "-c", program,
                   str(self.seed), "alone" if self.linked else "links"]
        return harness.run(command, env=self.sandbox.environment(), cwd=directory)

    def begin(self):
        remove(self.ws)
        remove(self.copy)
        os.mkdir(self.ws, 0o755)
        trees.fill(self.ws, self.rng)
        self.sandbox.own(self.ws)
        own_all(self.sandbox, self.ws)
        copy(self.ws, self.copy)
        self.linked = any(os.lstat(where + b"/" + name).st_nlink > 1
                          for where, _, files in os.walk(self.ws) for name in files)

    def go(self):
        """"committed", "refused", "rolled back", "nothing" or None."""
        self.begin()
        before, model = Entry(self.ws), Entry(self.copy)
        held = [os.open(where, os.O_PATH) for where, _, _ in os.walk(self.copy)]
        direct = self.tool(self.copy, self.sandbox.profile)
        staged = self.tool(self.ws, profile(self.sandbox))
        if not self.that(direct.code == 0 and staged.code == 0 and direct.text == staged.text, "it went another way",
                         *other_lines(direct.text, staged.text), direct.errors, staged.errors):
            return None
        after = Entry(self.copy)
        for fd in held:
            os.close(fd)
        rows, whole = [], {}
        if (after.mode ^ before.mode) & 0o1777:
            rows.append(("left-out", b"."))
        becomes = differ(b"", model, after, rows, whole)
        becomes[1] = stat.S_IMODE(before.mode)
        self.that(Entry(self.ws).all() == before.all(), "the workspace was touched by the run")
        if not rows:
            self.that(not waiting(self.sandbox), "a change set without changes", waiting(self.sandbox))
            return "nothing"
        return self.settle(before, after, rows, whole, becomes)

    def settle(self, before, after, rows, whole, becomes):
        run = the_run(self.sandbox, self.case)
        told = show(self.sandbox, run)
        found = sorted((entry["kind"], entry["path"]) for entry in told["changes"])
        wanted = sorted((kind, shown(path)) for kind, path in rows)
        closed = before.closed() or after.closed()
        if not self.that(closed or found == wanted, "it is not the difference",
                         "more: %s" % sorted(set(found) - set(wanted)), "less: %s" % sorted(set(wanted) - set(found))):
            return None
        if not closed:
            self.look_within(told, whole)
        if self.rng.randrange(4) == 0:
            result = changes(self.sandbox, "rollback", run)
            self.that(result.code == 0 and Entry(self.ws).all() == before.all(), "rolled back", *result.describe())
            return self.end("rolled back")
        result = changes(self.sandbox, "commit", run)
        if not told["can_be_committed"]:
            self.that(closed and result.code == 1, told.get("in_the_way"), *result.describe())
            self.that(Entry(self.ws).all() == before.all(), "a refused commit did something")
            self.that(changes(self.sandbox, "rollback", run).code == 0, "what is refused can be rolled back")
            return self.end("refused")
        now = Entry(self.ws).made()
        self.that(result.code == 0 and now == becomes, "another tree than without berm", *result.describe(),
                  *unlike("", now, becomes))
        return self.end("committed")

    def look_within(self, told, whole):
        for entry in told["changes"]:
            if entry["kind"] not in ("create", "replace"):
                continue
            found = sorted((inner["path"], "before" in inner, "after" in inner) for inner in entry["within"])
            wanted = sorted((shown(path), old, new) for top, paths in whole.items() if shown(top) == entry["path"]
                            for path, old, new in paths)
            self.that(found == wanted, "in %r" % entry["path"], "more: %s" % sorted(set(found) - set(wanted)),
                      "less: %s" % sorted(set(wanted) - set(found)))

    def end(self, how):
        self.that(not waiting(self.sandbox), "a change set is left")
        self.that(not os.listdir(self.sandbox.state + "/changes"), "something is left of a change set")
        return how


def other_lines(direct, staged):
    lines = zip(direct.splitlines(), staged.splitlines())
    return ["%s; staged: %s" % pair for pair in lines if pair[0] != pair[1]][:3]


def unlike(path, found, wanted):
    """Where two trees differ."""
    if found is None or wanted is None or found[:4] != wanted[:4]:
        yield "%s: %s, not %s" % (path[:60], str(found and found[:4])[-120:], str(wanted and wanted[:4])[-120:])
    if found and wanted:
        for name in sorted(set(found[4]) | set(wanted[4])):
            yield from unlike("%s/%s" % (path, ascii(name)), found[4].get(name), wanted[4].get(name))


@row
def random_trees(sandbox, case):
    """Without berm, the tool would have done the same."""
    count = int(os.environ.get("TREES", FEW))
    first = int(os.environ.get("TREES_SEED", "0")) or random.randrange(1, 10 ** 9)
    ends = {}
    for seed in range(first, first + count):
        how = Trial(sandbox, case, seed).go()
        ends[how] = ends.get(how, 0) + 1
        if case.wrong:
            break
    remove(sandbox.ws.encode())
    remove(sandbox.top.encode() + b"/copy")
    os.mkdir(sandbox.ws)
    sandbox.own(sandbox.ws)
    case.summary = "seeds from %d: %s" % (first, json.dumps(ends))
    case.that(case.wrong or count < FEW or (ends.get("committed", 0) > count / 4 and ends.get("rolled back")), ends)


@row
def names_of_one_file(sandbox, case):
    """One goes with its directory, one is written to: what the commit does to the one is no change of the other."""
    for name in ("goes", "swaps", "stays"):
        os.link(sandbox.file(name + "/file", name), sandbox.ws + "/" + name + "-too")
    sandbox.own(sandbox.ws)
    script = "rm -r goes; echo w > goes-too; rm -r swaps; mkdir swaps; chmod 600 swaps-too; echo w > stays/file; " \
             "rm stays-too; mkdir stays-too"
    case.code(shell(sandbox, script), 0)
    run = the_run(sandbox, case)
    case.code(changes(sandbox, "commit", run), 0)
    case.that(sorted(os.listdir(sandbox.ws)) == ["goes-too", "stays", "stays-too", "swaps", "swaps-too"],
              os.listdir(sandbox.ws))


@row
def a_pipe_hides_nothing(sandbox, case):
    """No commit makes it, and what had its name goes with the directory."""
    sandbox.file("dir/important", "important")
    case.code(shell(sandbox, "rm -r dir; mkdir dir; mkfifo dir/important dir/other"), 0)
    run = the_run(sandbox, case)
    told = show(sandbox, run)["changes"]
    case.that([(inner["path"], "after" in inner) for inner in told[0]["within"]] == [("dir/important", False)], told)
    case.that("- dir/important" in changes(sandbox, "show", run).text, changes(sandbox, "show", run).text)
    case.code(changes(sandbox, "commit", run), 0)
    case.that(not os.listdir(sandbox.ws + "/dir"), os.listdir(sandbox.ws + "/dir"))


CLOSES = "import os; [os.setxattr(name, \"user.a\", b\"v\") for name in (\"new\", \"old\")]; os.chmod(\"old\", 0o200)"


@row
def attributes_of_closed_files(sandbox, case):
    """The owner of the workspace need not be able to read what was staged: berm does."""
    if sandbox.mode != "root":
        raise Skip("who runs the tool owns all")
    path = sandbox.file("old", "old")
    sandbox.sudo = False  # the run has a uid of its own
    case.code(shell(sandbox, "umask 077; echo new > new; python3 -c '%s'" % CLOSES), 0)
    run = the_run(sandbox, case)
    case.code(changes(sandbox, "commit", run), 0)
    case.that(os.getxattr(path, "user.a") == b"v" and os.getxattr(sandbox.ws + "/new", "user.a") == b"v", "attributes")


def taken(sandbox):
    os.rename(sandbox.ws + "/dir", sandbox.ws + "/aside")


def exchanged(sandbox):
    taken(sandbox)
    os.rename(sandbox.ws + "/other", sandbox.ws + "/dir")


@row
def directories_that_move_during_the_run(sandbox, case):
    """A person takes a directory away, or puts another one there: nothing is written into the one or the other."""
    for act, why in ((taken, "dir: it was taken out of the workspace"), (exchanged, "dir: it was moved")):
        remove(sandbox.ws.encode())
        os.mkdir(sandbox.ws)
        sandbox.own(sandbox.ws)
        sandbox.file("dir/file", "old\n")
        sandbox.file("other/file", "of another one\n")
        process = sandbox.start(["/bin/sh", "-c", "echo new > dir/file; echo ready; read x; echo late > dir/late"],
                                profile=profile(sandbox), stdin=subprocess.PIPE)
        process.stdout.readline()
        act(sandbox)
        before = Entry(sandbox.ws.encode()).all()
        process.communicate(b"\n", timeout=60 * harness.SLOWER)
        run = the_run(sandbox, case)
        result = changes(sandbox, "commit", run)
        case.that(result.code == 1 and why in result.errors, act.__name__, *result.describe())
        case.that(Entry(sandbox.ws.encode()).all() == before, "the commit changed something")
        case.code(changes(sandbox, "rollback", run), 0)


def attached(image):
    """A device of that image that nobody else has: found and taken in one step."""
    return subprocess.run(["losetup", "-f", "--show", image], check=True, capture_output=True, text=True).stdout.strip()


@row
def a_disk_with_another_number(sandbox, case):
    """After a boot no device needs to have the number that it had: what was staged can be committed all the same."""
    if sandbox.mode != "root" or not shutil.which("mkfs.ext4") or not os.path.exists("/dev/loop-control"):
        raise Skip("loop devices are root's")
    image = sandbox.top + "/image"
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    devices, numbers = [], set()
    try:
        for verb, wanted in (("show", {"edit": b"one\n"}), ("commit", {"edit": b"one\nmore\n"})):
            devices.append(attached(image))
            subprocess.run(["mount", devices[-1], sandbox.ws], check=True)
            numbers.add(os.stat(sandbox.ws).st_dev)
            if verb == "show":
                sandbox.own(sandbox.ws)
                sandbox.file("edit", "one\n")
                case.code(shell(sandbox, "echo more >> edit; mkdir new"), 0)
            case.code(changes(sandbox, verb, the_run(sandbox, case)), 0)
            with open(sandbox.ws + "/edit", "rb") as file:
                case.that(file.read() == wanted["edit"], verb)
            subprocess.run(["umount", sandbox.ws], check=True)
            if verb == "show":  # the first device stays taken: the copy cannot have its number
                image = shutil.copy(image, sandbox.top + "/image-copy")
        case.that(len(numbers) == 2, "the number was the same: %s" % numbers)
    finally:
        subprocess.run(["umount", "-q", sandbox.ws], check=False)
        for device in devices:
            subprocess.run(["losetup", "-d", device], check=False, stderr=subprocess.DEVNULL)


ROWS = [
    ("staged: a disk that has another number after a boot is the same one", a_disk_with_another_number),
    ("staged: nothing is written to a directory that moved during the run", directories_that_move_during_the_run),
    ("staged: a pipe hides nothing that goes", a_pipe_hides_nothing),
    ("staged: attributes of files that are closed to the workspace's owner are kept", attributes_of_closed_files),
    ("staged: of a file with several names each is a name of its own", names_of_one_file),
    ("staged: of random trees the list is the difference, a commit what the tool did, a rollback nothing",
     random_trees),
]
