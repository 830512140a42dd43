# SPDX-License-Identifier: Apache-2.0
"""exec.hash: pin. What runs is what the plan has the digest of, whatever is done to the file from outside."""
import json
import os
import re
import shutil
import subprocess
import threading

import harness

from sandbox import SYSTEM

PROGRAM = "/usr/bin/basename"  # its --version names the package; one byte of that name tells two contents apart
WORD = b"GNU coreutils"
OLD, NEW = "coreutils", "cOreutils"
# An emulated host is slow, and may never meet both ends.
ROUNDS, ROUNDS_MOST = (25, 500) if harness.SLOWER == 1 else (8, 16)
PROFILE = """version: 1
name: pinned
fs:
  read: [%s]
  write: ["${WORKDIR}"]
exec:
  default: %s
  allow: [%s]
  hash: %s
%s"""
# Starts what it is told to, one line each, and says how that ended.
LOOP = "while read -r program; do \"$program\" --version; echo \"= $?\"; done"


class Program:
    """A program whose one byte can be turned, in a directory that only the outside can write."""

    def __init__(self, sandbox, directory, name="tool"):
        self.path = directory + "/" + name
        os.makedirs(directory, exist_ok=True)
        if os.path.lexists(self.path):
            os.unlink(self.path)
        shutil.copy(PROGRAM, self.path)
        os.chmod(self.path, 0o755)
        with open(self.path, "rb") as file:
            self.places = [match.start() + WORD.index(b"o", 4) for match in re.finditer(WORD, file.read())]
        sandbox.own(self.path)

    def turn(self, new, fd=None):
        """In place: the same file, other bytes."""
        mine = os.open(self.path, os.O_WRONLY) if fd is None else fd
        for place in self.places:
            os.pwrite(mine, b"O" if new else b"o", place)
        if fd is None:
            os.close(mine)

    def replace(self):
        """Another file with other bytes under the same name."""
        other = self.path + ".other"
        shutil.copy(self.path, other)
        os.chmod(other, 0o755)
        fd = os.open(other, os.O_WRONLY)
        self.turn(True, fd)
        os.close(fd)
        os.rename(other, self.path)


def write_profile(sandbox, allow, hash_word="pin", default="deny", read=(), more=""):
    paths = [path for path in SYSTEM if os.path.exists(path)] + list(read)
    return sandbox.write_text(sandbox.top + "/pinned.yaml", PROFILE % (
        ", ".join(paths), default, ", ".join(allow), hash_word, more))


class Loop:
    """A run that goes on while the outside changes files."""

    def __init__(self, sandbox, profile, *options):
        self.process = sandbox.start(["/bin/sh", "-c", LOOP], *options, profile=profile, stdin=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL)

    def start(self, path):
        """What the program said first, and its exit code."""
        self.process.stdin.write(path.encode() + b"\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.startswith(b"= "):
                return (lines or [""])[0], int(line[2:])
            lines.append(line.decode())
        return "the run is over", -1

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(timeout=60)


def places(sandbox):
    """In a read grant, in the tree that the run writes, and granted by its own name."""
    return {"read": Program(sandbox, sandbox.top + "/prog"), "write": Program(sandbox, sandbox.ws),
            "file": Program(sandbox, sandbox.top + "/single")}


def rewritten_in_place(sandbox, case):
    programs = places(sandbox)
    allow = ["/bin/sh"] + [program.path for program in programs.values()]
    read = [sandbox.top + "/prog", programs["file"].path]
    for word, wanted in (("pin", OLD), ("off", NEW)):
        for program in programs.values():
            program.turn(False)
        loop = Loop(sandbox, write_profile(sandbox, allow, word, read=read))
        for name, program in programs.items():
            said, code = loop.start(program.path)
            case.that(OLD in said and code == 0, "%s, %s: before: %r, exit %d" % (word, name, said, code))
            program.turn(True)
            said, code = loop.start(program.path)
            case.that(wanted in said and code == 0, "%s, %s: rewritten: %r, exit %d" % (word, name, said, code))
        case.that(loop.close() == 0, "the run did not end well")


def replaced_by_another(sandbox, case):
    """The old bytes or nothing: the mount goes with the old name, and the new file was never allowed to run."""
    programs = places(sandbox)
    allow = ["/bin/sh"] + [program.path for program in programs.values()]
    loop = Loop(sandbox, write_profile(sandbox, allow, read=[sandbox.top + "/prog", programs["file"].path]))
    for name, program in programs.items():
        said, code = loop.start(program.path)
        case.that(OLD in said and code == 0, "%s: before: %r, exit %d" % (name, said, code))
        program.replace()
        said, code = loop.start(program.path)
        case.that(NEW not in said and code in (0, 126), "%s: replaced: %r, exit %d" % (name, said, code))
        os.unlink(program.path)
        said, code = loop.start(program.path)
        case.that(NEW not in said and code in (0, 126, 127), "%s: removed: %r, exit %d" % (name, said, code))
    case.that(loop.close() == 0, "the run did not end well")
    for program in programs.values():
        shutil.copy(PROGRAM, program.path)
        os.chmod(program.path, 0o755)
        sandbox.own(program.path)
    os.rename(programs["read"].path, programs["read"].path + "2")
    os.symlink("tool2", programs["read"].path)
    result = sandbox.run([programs["read"].path, "--version"], profile=write_profile(
        sandbox, allow, read=[sandbox.top + "/prog", programs["file"].path]))
    case.that(result.code == 0 and OLD in result.text, "by a link:", *result.describe())


def digest_of(sandbox, profile, program, new):
    program.turn(new)
    result, record = sandbox.record([program.path, "--version"], profile=profile)
    return result, record and record["plan_digest"]


def turn_in_place(program, stop):
    fd = os.open(program.path, os.O_WRONLY)
    new = False
    while not stop.is_set():
        new = not new
        program.turn(new, fd)
    os.close(fd)


def turn_by_name(program, stop):
    """Two files that take the name by turns."""
    kept = [program.path + ".old", program.path + ".new"]
    for new, path in enumerate(kept):
        program.turn(new)
        shutil.copy(program.path, path)
        os.chmod(path, 0o755)
    while not stop.is_set():
        for path in kept:
            os.link(path, program.path + ".next")
            os.rename(program.path + ".next", program.path)


def start_while(sandbox, case, turn):
    """Start until both ends were met: what ran is what the digest of the plan says, or nothing ran."""
    program = Program(sandbox, sandbox.top + "/prog")
    case.that(len(program.places) == 1, "the word is there %d times" % len(program.places))
    profile = write_profile(sandbox, [program.path], read=[sandbox.top + "/prog"])
    known = {}
    for new, word in ((False, OLD), (True, NEW)):
        result, digest = digest_of(sandbox, profile, program, new)
        case.that(result.code == 0 and word in result.text, *result.describe())
        known[digest] = word
    case.that(len(known) == 2, "the plan is the same for both: %s" % known)
    ends = {"ran": 0, "refused": 0}
    stop = threading.Event()
    turner = threading.Thread(target=turn, args=(program, stop))
    turner.start()
    try:
        for i in range(ROUNDS_MOST):
            if i >= ROUNDS and ends["ran"] and ends["refused"]:
                break
            result, record = sandbox.record([program.path, "--version"], profile=profile)
            ends["ran" if result.code == 0 else "refused"] += 1
            if result.code == 0:
                wanted = known.get(record["plan_digest"])
                case.that(wanted and wanted in result.text, "digest %s" % record["plan_digest"], *result.describe())
            else:
                said = "exec.hash" in result.errors and "pinned.yaml:8:" in result.errors
                case.that(result.code == 126 and result.text == "" and (said or "denied" in result.errors),
                          *result.describe())
    finally:
        stop.set()
        turner.join()
    case.that(ends["refused"] > 0, "the race was never met: %s" % ends)
    case.summary = "%(ran)d ran, %(refused)d refused" % ends


def changed_while_starting(sandbox, case):
    """A thread turns a byte as fast as it can."""
    start_while(sandbox, case, turn_in_place)


def replaced_while_starting(sandbox, case):
    start_while(sandbox, case, turn_by_name)


def held_inside(sandbox, case):
    program = Program(sandbox, sandbox.ws)
    sandbox.file("kept", "#!/bin/sh\necho kept\n", 0o755)
    os.link(program.path, sandbox.ws + "/alias")
    allow = ["/bin/sh", "/usr/bin/mv", "/usr/bin/rm", "/usr/bin/cp", "/usr/bin/ln", "/usr/bin/chmod", program.path]
    profile = write_profile(sandbox, allow)
    script = """
echo x >>tool; echo "append $?"; mv kept tool; echo "mv $?"; rm -f tool; echo "rm $?"; chmod 700 tool; echo "chmod $?"
./alias --version >/dev/null; echo "alias $?"; cp tool copy; ./copy --version >/dev/null; echo "copy $?"
ln tool hard; echo "ln $?"; ./kept; echo "kept $?"; ./tool --version >/dev/null; echo "tool $?"
"""
    with open(program.path, "rb") as file:
        before = file.read()
    result = sandbox.shell(script, profile=profile)
    found = dict(line.split() for line in result.text.splitlines() if len(line.split()) == 2)
    for name in ("append", "mv", "rm", "chmod", "ln"):
        case.that(found.get(name) not in (None, "0"), "%s was let through: %s" % (name, found), *result.describe())
    for name in ("alias", "copy", "kept"):
        case.that(found.get(name) == "126", "%s was run: %s" % (name, found), *result.describe())
    case.that(found.get("tool") == "0", "the program itself: %s" % found, *result.describe())
    with open(program.path, "rb") as file:
        case.that(file.read() == before, "the file of the program was changed")


def scripts(sandbox, case):
    """An interpreter is a program like any other: to be named, and pinned with it."""
    path = sandbox.top + "/prog/script"
    os.makedirs(sandbox.top + "/prog", exist_ok=True)
    for allow, wanted in (([path], 126), ([path, "/bin/sh"], 0)):
        sandbox.write_text(path, "#!/bin/sh\nread -r go; echo old\n")
        os.chmod(path, 0o755)
        process = sandbox.start([path], profile=write_profile(sandbox, allow, read=[sandbox.top + "/prog"]),
                                stdin=subprocess.PIPE)
        out, errors = process.communicate(b"go\n", timeout=60)
        case.that(process.returncode == wanted and (out == b"old\n") == (wanted == 0),
                  "with %s: exit %d, %r, %r" % (allow, process.returncode, out, errors))
    loop = Loop(sandbox, write_profile(sandbox, [path, "/bin/sh"], read=[sandbox.top + "/prog"]))
    for text in ("#!/bin/sh\nread -r go; echo new\n", ""):
        loop.process.stdin.write(path.encode() + b"\n\n")
        loop.process.stdin.flush()
        said = [loop.process.stdout.readline() for _ in range(2)]
        case.that(said == [b"old\n", b"= 0\n"], "a script that was rewritten: %s" % said)
        if text:
            sandbox.write_text(path, text)
    loop.close()


def refusals(sandbox, case):
    program = Program(sandbox, sandbox.top + "/prog")
    read = [sandbox.top + "/prog"]
    large = sandbox.top + "/prog/large"
    with open(large, "wb") as file:
        file.truncate((512 << 20) + 1)
    hidden = Program(sandbox, sandbox.top + "/prog", "hidden").path
    if sandbox.mode == "root":
        os.chown(hidden, 0, 0)
    os.chmod(hidden, 0o711 if sandbox.mode == "root" else 0o311)
    rows = [("a directory", [sandbox.top + "/prog"], "deny", "", "is a directory"),
            ("a default that allows", [program.path], "allow", "", "write exec.default: deny"),
            ("too large", [large], "deny", "", "larger than 512MiB"),
            ("more than the run's memory", [program.path], "deny", "limits: {memory: 16KiB}\n", "limits.memory")]
    if sandbox.mode != "userns":  # root of a namespace reads what it owns
        rows.append(("unreadable", [hidden], "deny", "", hidden))
    for what, allow, default, more, words in rows:
        result = sandbox.run([allow[0]], profile=write_profile(sandbox, allow, default=default, read=read, more=more))
        case.that(result.code in (125, 126, 2) and words in result.errors, what + ":", *result.describe())
    os.unlink(large)


def directories(sandbox, case):
    """An entry that is a directory would make programs of what lies beneath it, whether it is a grant or not."""
    program = Program(sandbox, sandbox.top + "/prog")
    evil = Program(sandbox, sandbox.ws, "evil").path
    read = [sandbox.top + "/prog"]
    os.symlink(sandbox.top, sandbox.top + "/link")
    home = sandbox.shell("echo ~").text.strip()
    for what, entry, attack in (
            ("what lies above a read grant", sandbox.top, program.path + " --version"),
            ("what leads there by a link", sandbox.top + "/link", program.path + " --version"),
            ("everything", "/", evil + " --version"),
            ("the run's own /tmp", "/tmp", "cp %s /tmp/x; /tmp/x --version" % evil),
            ("the run's own /dev/shm", "/dev/shm", "cp %s /dev/shm/x; /dev/shm/x --version" % evil),
            ("the private home", "{path: %s, optional: true}" % home, "cp %s ~/x; ~/x --version" % evil),
            ("what can be written", sandbox.ws, evil + " --version")):
        allow = ["/bin/sh", "/usr/bin/cp", entry]
        result = sandbox.shell(attack, profile=write_profile(sandbox, allow, read=read))
        said = "pinned.yaml:8:" in result.errors and "is a directory" in result.errors \
            and "one by one" in result.errors and "pinned.yaml:9)" in result.errors
        case.that(result.code == 2 and result.text == "" and said, what + ":", *result.describe())
        # The attack itself is one: without the pin it runs.
        free = sandbox.shell(attack, profile=write_profile(sandbox, allow, "off", read=read))
        case.that(free.code == 0 and OLD in free.text, what + ", not pinned:", *free.describe())


def replaced_where_it_can_be_written(sandbox, case):
    """A file that is a write grant by itself: only the copy can be executed, and not what takes its place."""
    program = Program(sandbox, sandbox.top + "/prog")
    with open(write_profile(sandbox, ["/bin/sh", program.path]), encoding="utf-8") as file:
        text = file.read().replace("${WORKDIR}", program.path)
    loop = Loop(sandbox, sandbox.write_text(sandbox.top + "/pinned.yaml", text), "-C", "/")
    said, code = loop.start(program.path)
    case.that(OLD in said and code == 0, "before: %r, exit %d" % (said, code))
    program.replace()
    said, code = loop.start(program.path)
    case.that(NEW not in said and code in (0, 126), "replaced: %r, exit %d" % (said, code))
    loop.close()


def under_a_ceiling(sandbox, case):
    """A ceiling that pins does so whatever a profile leaves out."""
    program = Program(sandbox, sandbox.top + "/prog")
    names = "[/bin/sh, /usr/bin/cp, %s]" % program.path
    profile = sandbox.write_text(sandbox.top + "/profile.yaml", """version: 1
name: free
fs:
  read: [%s]
  write: ["${WORKDIR}"]
""" % ", ".join([path for path in SYSTEM if os.path.exists(path)] + [sandbox.top + "/prog"]))

    def run(ceiling, script):
        path = sandbox.write_text(sandbox.top + "/ceiling.yaml", """version: 1
name: ceiling
fs: {read: [/], write: [/]}
exec: {%s}
""" % ceiling)
        return sandbox.shell(script, "--ceiling", path, profile=profile)

    free = run("default: allow", "/usr/bin/basename --version")
    case.that(free.code == 0 and OLD in free.text, "nothing is pinned:", *free.describe())
    none = run("hash: pin", "/usr/bin/basename --version")
    case.that(none.code == 126 and none.text == "", "nobody names a program:", *none.describe())
    case.that("ceiling.yaml:4" in none.errors and "names no program" in none.errors, "why not:", *none.describe())
    named = run("hash: pin, allow: " + names, program.path + " --version")
    case.that(named.code == 0 and OLD in named.text, "the ceiling names it:", *named.describe())
    other = run("hash: pin, allow: " + names, "/usr/bin/basename --version")
    case.that(other.code == 126 and other.text == "", "another program:", *other.describe())
    tree = run("hash: pin, allow: [/bin/sh, %s]" % (sandbox.top + "/prog"), program.path + " --version")
    said = "ceiling.yaml:4:" in tree.errors and "is a directory" in tree.errors
    case.that(tree.code == 2 and said, "a tree in the ceiling:", *tree.describe())


def plan_shows_digests(sandbox, case):
    program = Program(sandbox, sandbox.top + "/prog")
    profile = write_profile(sandbox, [program.path], read=[sandbox.top + "/prog"])
    shown = harness.run([sandbox.berm, "profile", "show", profile, "--plan"], env=sandbox.environment(), cwd=sandbox.ws)
    sums = subprocess.run(["b2sum", "-l", "256", program.path], capture_output=True, text=True, check=True).stdout
    case.that("blake2b=" + sums.split()[0] in shown.text, sums, *shown.describe())
    result, record = sandbox.record([program.path, "--version"], profile=profile)
    case.code(result, 0)
    case.that("hashed copies" in json.dumps(record), "the status record does not say how: %s" % record)


METERED = """blast_radius: {files_changed: 4, bytes_written: 1MiB, on_exceed: deny}
pace:
  alternate: {when: [{event: denial, count: 3, within: 10m}], then: {fs_write: deny, network: deny}}
"""
WRITES = """for n in 1 2 3; do ./dd if=/dev/zero of=out$n bs=1000 count=$n; done
/usr/bin/basename --version; echo "other $?"
./dd if=/dev/zero of=out4 bs=1000 count=4; echo "last $?"
./dd if=/dev/zero of=out5 bs=1000 count=5; echo "over $?"
"""
REFUSED = """for n in 1 2 3; do ./dd if=/dev/zero of=.env$n bs=1 count=1; done
./dd if=/dev/zero of=out bs=1 count=1; echo "write $?"; ./dd --version; echo "read $?"
"""
DEGRADED = "--allow-degraded=bpf,notify,landlock"


def metered(sandbox, case):
    """The copy of a program that is pinned is what the meter knows: it is let run, what it writes is counted to the
    byte where the kernel's programs do that, and what they refuse it trips the breaker."""
    path = sandbox.ws + "/dd"
    shutil.copy("/usr/bin/dd", path)
    sandbox.own(path)
    profile = write_profile(sandbox, ["/bin/sh", path], more=METERED)
    with open(profile, encoding="utf-8") as file:
        text = file.read()
    sandbox.write_text(profile, text.replace("exec:\n", "  deny: [\"${WORKDIR}/**/.env*\"]\nexec:\n", 1))
    result, record = sandbox.record(["/bin/sh", "-c", WRITES], DEGRADED, profile=profile)
    found = dict(line.split() for line in result.text.splitlines() if len(line.split()) == 2)
    case.that(found == {"other": "126", "last": "0", "over": "1"}, found, *result.describe())
    sizes = {name: os.path.getsize(sandbox.ws + "/" + name) for name in os.listdir(sandbox.ws) if "out" in name}
    case.that(sizes == {"out%d" % n: n * 1000 for n in range(1, 5)}, sizes)
    counters = {name: counter["value"] for name, counter in record["counters"].items()}
    case.that(counters["files_changed"] == 4, counters)
    case.that([trip["counter"] for trip in record["trips"] if trip["kind"] == "cap"] == ["files_changed"],
              record["trips"])
    in_kernel = "bpf (" in json.dumps(record["enforcement"])
    if in_kernel:  # the shell and five of dd
        case.that(counters["bytes_written"] == 10000 and counters["programs_started"] == 6, counters)
    case.summary = "the kernel's programs count" if in_kernel else "the filter counts"

    for name in sizes:
        os.unlink(sandbox.ws + "/" + name)
    result, record = sandbox.record(["/bin/sh", "-c", REFUSED], DEGRADED, profile=profile)
    case.that("read 0" in result.text, *result.describe())
    if in_kernel:
        case.that("write 1" in result.text and record["posture"] == "read-only", record["posture"], *result.describe())
        case.that(any(trip["kind"] == "breaker" for trip in record["trips"]), record["trips"])
        case.that(record["counters"]["denials"]["value"] == 3, record["counters"]["denials"])
        case.that(os.listdir(sandbox.ws) == ["dd"], os.listdir(sandbox.ws))
    else:  # names that are not there yet are nobody's to protect
        case.that("write 0" in result.text and record["posture"] == "open", record["posture"], *result.describe())


ROWS = [
    ("a pinned program that is rewritten in place goes on as it was", rewritten_in_place),
    ("a pinned program that is replaced or removed never runs as another", replaced_by_another),
    ("a program changed while a run starts: what its plan says, or nothing", changed_while_starting),
    ("a program replaced while a run starts: what its plan says, or nothing", replaced_while_starting),
    ("a pinned program cannot be changed from inside, and no other name of it runs", held_inside),
    ("a pinned script needs its interpreter named, and is read as it was", scripts),
    ("what cannot be pinned is refused, with the reason", refusals),
    ("a directory in exec.allow is refused wherever it is, and makes nothing executable", directories),
    ("a pinned program that is a write grant by itself", replaced_where_it_can_be_written),
    ("a ceiling that pins holds for a profile that says nothing of programs", under_a_ceiling),
    ("the plan shows the digest that b2sum gives", plan_shows_digests),
    ("what a pinned program does is counted, capped and tripped over by the meter", metered),
]
