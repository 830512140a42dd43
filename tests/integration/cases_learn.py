# SPDX-License-Identifier: Apache-2.0
"""berm learn: real tools and hostile ones, and what comes of the profiles that are proposed."""
import json
import os
import shutil
import subprocess

import harness
import sandbox as sandboxes

PROFILES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "profiles")
MAKEFILE = """all:
	mkdir -p build
	for f in src/*.c; do cc -c $$f -o build/$$(basename $$f .c).o || exit 1; done
	cc build/*.o -o build/prog
"""
RACE = """import ctypes, os, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
names = [os.fsencode(name) for name in sys.argv[1:]]
size = max(map(len, names)) + 1
buffer = ctypes.create_string_buffer(size)
over = False
def turn():
    while not over:
        for name in names:
            ctypes.memmove(buffer, name + b"\\0", len(name) + 1)
thread = threading.Thread(target=turn)
thread.start()
read = b""
for i in range(3000):
    fd = libc.syscall(257, -100, buffer, 0, 0)
    if fd >= 0:
        read += os.read(fd, 100)
        os.close(fd)
over = True
thread.join()
sys.exit(b"hidden" in read)
"""


def base(sandbox):
    path = sandbox.top + "/base-linux.yaml"
    if not os.path.exists(path):
        shutil.copy(PROFILES + "/base-linux.yaml", path)
        os.chmod(path, 0o644)
    return path


def learn(sandbox, tool, *options, name="learned", timeout=120):
    """(result, what --json told or None, the proposal's path)"""
    out = "%s/%s.yaml" % (sandbox.top, name)
    words = list(options)
    if "--base" not in words:
        words += ["--base", base(sandbox)]
    result = harness.run([sandbox.berm, "learn", "--json", "-C", sandbox.ws, "-o", out, *words, "--", *tool],
                         env=sandbox.environment(), cwd=sandbox.ws, timeout=timeout)
    return result, json.loads(result.text) if result.text.startswith("{") else None, out


def forget(out):
    for path in (out, out[:-len(".yaml")] + ".learn.json"):
        if os.path.exists(path):
            os.unlink(path)


def granted(told):
    keys = ("fs.read", "fs.write", "exec.allow")
    return {(line["key"], line["path"]) for line in told["proposed"] if line["key"] in keys}


def looks(told):
    return {(row["operation"], row["object"]): row["why"] for row in told["not_proposed"]}


def a_build_is_learnt_and_runs_under_what_was_learnt(sandbox, case):
    if not shutil.which("cc") or not shutil.which("make"):
        raise sandboxes.Skip("no C compiler and make")
    for i in range(9):
        sandbox.file("src/f%d.c" % i, "int f%d(void) { return %d; }\n" % (i, i))
    sandbox.file("src/main.c", "int main(void) { return 0; }\n")
    sandbox.file("Makefile", MAKEFILE)
    result, told, out = learn(sandbox, ["make"], "--runs", "2", "--verify")
    try:
        if not case.code(result, 0):
            return
        case.that(told["verified"] == 0 and told["wrong"] == 0 and told["lost"] == 0, told)
        case.that(os.path.isdir(sandbox.state + "/log"), "its runs were not recorded")
        case.that(("fs.write", sandbox.ws) in granted(told), granted(told))
        case.that(told["diff"]["direction"] == "WIDER", told["diff"]["direction"])
        caps = {row["key"]: row for row in told["caps"]}
        cap = caps["blast_radius.files_changed"]
        case.that(0 < 2 * cap["peak"] <= cap["proposed"] <= 3 * cap["peak"], cap)
        shutil.rmtree(sandbox.ws + "/build")
        case.code(sandbox.run(["make"], profile=out), 0)
        case.that(os.path.exists(sandbox.ws + "/build/prog"), "nothing was built")
        refused = sandbox.run(["sh", "-c", "echo x > .git/hooks/pre-commit"], profile=out)
        case.that(refused.code != 0, "a hook was planted under the learnt profile")
        check = harness.run([sandbox.berm, "profile", "check", "-C", sandbox.ws, out], env=sandbox.environment())
        case.code(check, 0)
        case.summary = "%d observations" % told["checked"]
    finally:
        forget(out)


def what_was_there_before_is_granted_narrowly(sandbox, case):
    sandbox.file("build/old", "")
    sandbox.file("data/in", "1\n")
    sandbox.file("keep/mine", "mine\n")
    result, told, out = learn(sandbox, ["sh", "-c", "cat data/in > build/new"])
    try:
        if not case.code(result, 0):
            return
        case.that({row for row in granted(told) if row[1].startswith(sandbox.ws)} ==
                  {("fs.write", sandbox.ws + "/build"), ("fs.read", sandbox.ws)}, granted(told))
        case.code(sandbox.run(["sh", "-c", "cat data/in > build/new"], profile=out), 0)
        for script in ("echo x > keep/mine", "rm keep/mine", "echo x > new", "echo x > data/in"):
            case.that(sandbox.run(["sh", "-c", script], profile=out).code != 0, "went through: " + script)
    finally:
        forget(out)


def credentials_home_and_network_are_refused_and_shown(sandbox, case):
    """Real denials while it learns: nothing of these comes out, and none of them is proposed."""
    secret = sandbox.home + "/.aws/credentials"
    os.makedirs(os.path.dirname(secret))
    sandbox.write_text(secret, "hidden\n")
    sandbox.write_text(sandbox.home + "/.gitconfig", "hidden\n")
    env = sandbox.file(".env", "K=hidden\n")
    key = sandbox.file("deep/er/server.key", "hidden\n")
    script = ("cat %s %s %s %s /etc/shadow; touch %s/nope; ls / /opt; python3 -c 'import socket; "
              "socket.socket().connect_ex((\"192.0.2.7\", 443))'; unshare -r true; cp /bin/true t; ./t; exit 0" %
              (secret, sandbox.home + "/.gitconfig", env, key, sandbox.home))
    result, told, out = learn(sandbox, ["sh", "-c", script])
    try:
        if not case.code(result, 0):
            return
        case.that("hidden" not in result.errors, "a secret came out", result.errors)
        case.that(not os.path.exists(sandbox.home + "/nope"), "the home was written to")
        shown = looks(told)
        for wanted in (("read", secret), ("read", env), ("read", key), ("read", "/etc/shadow")):
            case.that(shown.get(wanted) == "credentials", wanted, shown)
        case.that(("connect", "192.0.2.7:443") in shown and ("syscall", "unshare") in shown and
                  ("exec", sandbox.ws + "/t") in shown and ("read", sandbox.home + "/.gitconfig") in shown and
                  ("read", "/") in shown, shown)
        case.that(all(path.startswith(("/etc/", "/opt/", sandbox.ws)) for _, path in granted(told)), granted(told))
        denied = {line["path"] for line in told["proposed"] if line["key"] == "fs.deny"}
        case.that(denied == {env, key}, denied)
        again = sandbox.run(["cat", env, key], profile=out)
        case.that(again.code != 0 and "hidden" not in again.text, "the proposal gives credentials away")
    finally:
        forget(out)


def hostile_names_stay_names(sandbox, case):
    names = ["new\nline", "tab\t", "q\"uote", "e\x1b[31msc", "y: - #aml", "}, {path: /", "$x${HOME}", "glob*?",
             "back\\slash", "\r\n  write: [/]", "bidi\u202e", "..."]
    script = ("import os\nfor n in %r:\n os.makedirs(os.path.join('d', n))\n"
              " open(os.path.join('d', n, 'f'), 'w').write('x')\n"
              "os.mkdir(b'd/\\xff\\xfe')\n" % names)
    os.mkdir(sandbox.ws + "/d")
    sandbox.own(sandbox.ws + "/d")
    result, told, out = learn(sandbox, ["python3", "-c", script])
    try:
        if not case.code(result, 0):
            return
        case.that(len(os.listdir(sandbox.ws + "/d")) == len(names) + 1, "the tool was kept from its work")
        writes = {path for key, path in granted(told) if key == "fs.write"}
        case.that(writes == {sandbox.ws + "/d"}, writes)
        with open(out, "rb") as file:
            text = file.read()
        case.that(b"\x1b" not in text and b"\r" not in text and "\u202e".encode() not in text, text)
        case.that(told["wrong"] == 0, told)
    finally:
        forget(out)


def a_raced_path_string_proposes_nothing(sandbox, case):
    """What the supervisor reads may not be what the kernel opens; the walls decide, and what they refuse is no line."""
    hidden = sandbox.top + "/elsewhere"
    os.makedirs(hidden, exist_ok=True)
    sandbox.write_text(hidden + "/file", "hidden\n")
    key = sandbox.file("own.key", "hidden\n")
    good = sandbox.file("good", "good\n")
    result, told, out = learn(sandbox, ["python3", "-c", RACE, good, hidden + "/file", key, "/etc/hostname"])
    try:
        if not case.code(result, 0):
            return
        case.that(all(path.startswith(("/etc/", "/opt/", sandbox.ws)) and path != key for _, path in granted(told)),
                  granted(told))
        case.that(("fs.deny", key) in {(line["key"], line["path"]) for line in told["proposed"]}, told["proposed"])
        case.that(told["wrong"] == 0, told)
        case.summary = "%d looks" % len(told["not_proposed"])
    finally:
        forget(out)


def a_flood_of_names(sandbox, case, count):
    script = ("import os\nfor i in range(%d):\n try: os.open('/opt/none/%%d/x%%d' %% (i %% 977, i), 0)\n"
              " except OSError: pass\n"
              "open('late', 'w')\n" % count)
    result, told, out = learn(sandbox, ["python3", "-c", script], timeout=500)
    try:
        if not case.code(result, 0):
            return
        case.that(told["lost"] >= count - 4096, told["lost"])
        case.that(("fs.write", sandbox.ws) in granted(told), "what came after the flood is lost", granted(told))
        case.that(os.path.getsize(out) < 65536, os.path.getsize(out))
        with open(out, encoding="utf-8") as file:
            case.that("something is missing" in file.read(), "the loss is not said")
        case.summary = "%d not kept" % told["lost"]
    finally:
        forget(out)


def a_small_flood_is_counted(sandbox, case):
    a_flood_of_names(sandbox, case, 8000)


def a_large_flood_is_counted(sandbox, case):
    a_flood_of_names(sandbox, case, 100000)


def runs_are_added_to_earlier_ones(sandbox, case):
    os.mkdir(sandbox.ws + "/a")
    os.mkdir(sandbox.ws + "/b")
    sandbox.own(sandbox.ws + "/a")
    sandbox.own(sandbox.ws + "/b")
    result, told, out = learn(sandbox, ["sh", "-c", "echo x > a/x"])
    seen = out[:-len(".yaml")] + ".learn.json"
    try:
        case.code(result, 0)
        before = os.stat(out).st_mtime_ns
        result, told, _ = learn(sandbox, ["sh", "-c", "echo x > b/x"])
        case.code(result, 2)
        case.that("--force" in result.errors and os.stat(out).st_mtime_ns == before, *result.describe())
        result, told, _ = learn(sandbox, ["sh", "-c", "echo x > b/x"], "--merge", seen, "--force")
        if not case.code(result, 0):
            return
        runs = {line["path"]: line["runs"] for line in told["proposed"] if line["key"] == "fs.write"}
        case.that(told["runs"] == 2 and runs == {sandbox.ws + "/a": 1, sandbox.ws + "/b": 1}, runs)
        with open(out, encoding="utf-8") as file:
            case.that("1 of 2 runs (low coverage)" in file.read(), "the coverage is not said")
        with open(seen, encoding="utf-8") as file:
            text = file.read()
        for change in (("\"runs\":2", "\"runs\":65"), ("\"version\":1", "\"version\":2"), ("{", "["),
                       (sandbox.ws, "/elsewhere"), ("\"operation\":\"read\"", "\"operation\":\"grant\"")):
            sandbox.write_text(seen, text.replace(*change, 1))
            result, told, _ = learn(sandbox, ["true"], "--merge", seen, "--force")
            case.that(result.code == 2, change, *result.describe())
    finally:
        forget(out)


def a_command_that_fails_is_said(sandbox, case):
    os.mkdir(sandbox.ws + "/a")
    sandbox.own(sandbox.ws + "/a")
    result, told, out = learn(sandbox, ["sh", "-c", "echo x > a/x; exit 3"])
    case.code(result, 1)
    case.that(told and told["failed"] == 1 and os.path.exists(out), told)
    forget(out)
    result, told, out = learn(sandbox, ["no-such-program"])
    case.that(result.code == 2 and not os.path.exists(out), "a program that is not there", *result.describe())
    for where in ("/", "/etc", "/usr/bin") + ((sandbox.home,) if sandbox.mode != "root" else ()):
        result = harness.run([sandbox.berm, "learn", "-o", out, "--base", base(sandbox), "-C", where, "--", "true"],
                             env=sandbox.environment(), cwd=sandbox.ws)
        case.that(result.code == 2 and "no place to learn in" in result.errors and not os.path.exists(out),
                  *result.describe())


def real_tools_are_learnt(sandbox, case):
    tried = []
    sandbox.file("m.py", "import json, sqlite3, ssl\njson.dump({}, open('out/p.json', 'w'))\n")
    sandbox.file("n.js", "require('fs').writeFileSync('out/n.json', '{}')\n")
    os.mkdir(sandbox.ws + "/out")
    sandbox.own(sandbox.ws + "/out")
    subprocess.run(["git", "init", "-q", "."], cwd=sandbox.ws, check=False)
    for directory, _, files in os.walk(sandbox.ws + "/.git"):
        for path in [directory] + [directory + "/" + name for name in files]:
            sandbox.own(path)
    for tool in (["/usr/bin/python3", "m.py"], ["git", "status", "--short"], ["node", "n.js"],
                 ["perl", "-e", "print 1"]):
        if not shutil.which(tool[0]):
            continue
        result, told, out = learn(sandbox, tool, "--verify")
        try:
            if case.code(result, 0):
                case.that(told["verified"] == 0 and told["wrong"] == 0, tool, told)
                tried.append(os.path.basename(tool[0]))
        finally:
            forget(out)
    case.that(tried, "no tool was there")
    case.summary = " ".join(tried)


ROWS = [
    ("a build is learnt and runs under what was learnt", a_build_is_learnt_and_runs_under_what_was_learnt),
    ("what was there before is granted narrowly", what_was_there_before_is_granted_narrowly),
    ("credentials, the home and the network are refused and shown", credentials_home_and_network_are_refused_and_shown),
    ("hostile names stay names", hostile_names_stay_names),
    ("a raced path string proposes nothing", a_raced_path_string_proposes_nothing),
    ("a flood of names is counted", a_small_flood_is_counted),
    ("runs are added to earlier ones", runs_are_added_to_earlier_ones),
    ("a command that fails is said", a_command_that_fails_is_said),
    ("real tools are learnt", real_tools_are_learnt),
]
SLOW = [("a flood of 100000 names is counted", a_large_flood_is_counted)]
