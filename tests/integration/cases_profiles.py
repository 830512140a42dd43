# SPDX-License-Identifier: Apache-2.0
"""The shipped profiles at their work: what each is for goes, what it is against does not."""
import glob
import os
import shutil

import harness
from cases_tools import need

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHIPPED = sorted(os.path.basename(path)[:-5] for path in glob.glob(SOURCE + "/profiles/*.yaml"))
WITH_WORK = [name for name in SHIPPED if name != "base-linux"]
SAFE = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}

# Each plants something that makes a later `git status` of somebody else run a program.
PLANTS = {
    "a hook": ("mkdir -p .git/hooks && printf '#!/bin/sh\\ntouch MARK\\n' > .git/hooks/post-checkout && "
               "chmod +x .git/hooks/post-checkout", "git checkout -q -b other"),
    "a setting": ("git config core.fsmonitor 'touch MARK; false'", "git status"),
    "another common directory": (
        "cp -r .git common && git config -f common/config core.fsmonitor 'touch MARK; false' && "
        "echo ../common > .git/commondir", "git status"),
    "a repository in the index": (
        "git init -q sub && cd sub && git config user.name a && git config user.email a@b && echo x > x && "
        "git add x && git commit -q -m x && id=$(git rev-parse HEAD) && "
        "git config core.fsmonitor 'touch MARK; false' && cd .. && "
        "git update-index --add --cacheinfo 160000,$id,sub", "git status"),
    "another .git": (
        "mv .git aside && cp -r aside .git && git config core.fsmonitor 'touch MARK; false'", "git status"),
}


def profile(sandbox, name):
    """A copy that the tool's user may read and not change."""
    directory = sandbox.top + "/profiles"
    if not os.path.isdir(directory):
        shutil.copytree(SOURCE + "/profiles", directory)
        for path in glob.glob(directory + "/*"):
            os.chmod(path, 0o644)
    return "%s/%s.yaml" % (directory, name)


def repository(sandbox):
    shutil.rmtree(sandbox.ws)
    os.mkdir(sandbox.ws, 0o755)
    harness.run(["git", "init", "-q", "-b", "main", sandbox.ws])
    sandbox.file("a.c", "int main(void) { return 7; }\n")
    harness.run(["sh", "-c", "git add a.c && git -c user.name=a -c user.email=a@b commit -q -m one"],
                cwd=sandbox.ws, env=sandbox.environment(**SAFE))
    for directory, names, files in os.walk(sandbox.ws):
        for name in names + files:
            sandbox.own(os.path.join(directory, name))
    sandbox.own(sandbox.ws)


def listing(top):
    """Names, kinds, modes and contents beneath a directory."""
    found = {}
    for directory, names, files in os.walk(top):
        for name in names + files:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            content = None
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    content = file.read()
            found[os.path.relpath(path, top)] = (status.st_mode, status.st_uid, content)
    return found


def all_start(sandbox, case):
    sandbox.file("data", "some\n")
    for name in WITH_WORK:
        result = sandbox.shell("cat data && python3 -c '"
                               "import ssl, multiprocessing as m; print(m.Pool(2).map(abs, [-3]))'",
                               profile=profile(sandbox, name))
        case.that(result.code == 0 and result.text == "some\n[3]\n", name, *result.describe())


def git_looks(sandbox, case):
    need("git")
    repository(sandbox)
    sandbox.file("b.c", "new\n")
    before = listing(sandbox.ws)
    for name in WITH_WORK:
        result = sandbox.shell("git log --oneline | wc -l; git status --short; git diff --stat; git blame a.c | wc -l",
                               profile=profile(sandbox, name))
        case.that(result.code == 0 and result.text == "1\n?? b.c\n1\n", name, *result.describe())
    case.that(listing(sandbox.ws) == before, "something is left in the repository")


def git_is_sealed(sandbox, case):
    need("git")
    mark = sandbox.home + "/mark"
    for name in ("coding-agent", "mcp-server", "no-network-compute", "ci-build"):
        for what, (plant, trigger) in PLANTS.items():
            script = plant.replace("MARK", mark)
            repository(sandbox)
            sandbox.shell(script, profile=profile(sandbox, name))
            outside(sandbox, trigger)
            case.that(not os.path.exists(mark), "%s: %s was planted and ran outside" % (name, what))
            case.that(not os.path.exists(sandbox.ws + "/.git/commondir"), "%s: %s" % (name, what))
    for what, (plant, trigger) in PLANTS.items():
        repository(sandbox)
        outside(sandbox, plant.replace("MARK", mark))
        outside(sandbox, trigger)
        case.that(os.path.exists(mark), "control: %s does nothing without walls" % what)
        if os.path.exists(mark):
            os.remove(mark)


def outside(sandbox, script):
    return harness.run(["sh", "-c", script], cwd=sandbox.ws, env=sandbox.environment(**SAFE))


def names_are_kept(sandbox, case):
    """What other programs would pick up cannot come to be, and nothing is left of the placeholders."""
    kept = (".git", ".envrc", ".mcp.json", ".claude", ".codex", ".gemini", ".cursor", ".vscode")
    script = "; ".join("mkdir %s || echo x > %s; mv other %s" % (name, name, name) for name in kept)
    sandbox.file("other/file", "x\n")
    before = listing(sandbox.ws)
    sandbox.shell(script, profile=profile(sandbox, "coding-agent"))
    case.that(listing(sandbox.ws) == before, "the workspace is not as before",
              sorted(set(listing(sandbox.ws)) ^ set(before)))


def secrets_are_hidden(sandbox, case):
    sandbox.file(".env", "KEY=hidden-value\n")
    sandbox.file(".env.example", "KEY=\n")
    for name in WITH_WORK:
        result = sandbox.shell("cat .env.example; cat .env; grep -r hidden-value . ; cp .env copy; "
                               "mv .env moved; ln .env link; test ! -s .env || echo seen",
                               profile=profile(sandbox, name))
        case.that(result.text == "KEY=\n", name, *result.describe())
    case.that(listing(sandbox.ws)[".env"][2] == b"KEY=hidden-value\n", "the secret is not as before")


def read_only_changes_nothing(sandbox, case):
    sandbox.file("data", "some\n")
    sandbox.file("run", "#!/bin/sh\necho ran\n", 0o755)
    before = listing(sandbox.ws)
    result = sandbox.shell("cat data; echo x > new; echo x >> data; rm data; mv data other; touch data; chmod 0 data; "
                           "mkdir d; ln data l; ln -s data s; ./run", profile=profile(sandbox, "read-only"))
    case.that(result.text == "some\n", *result.describe())
    case.that(listing(sandbox.ws) == before, "the workspace is not as before")
    case.that("ran" in sandbox.shell("./run", profile=profile(sandbox, "coding-agent")).text, "control: ./run")


def results_are_no_programs(sandbox, case):
    for name in ("no-network-compute", "mcp-server", "coding-agent", "ci-build"):
        runs = name in ("coding-agent", "ci-build")
        result = sandbox.shell("cp /bin/echo ./mine && cp /bin/echo /tmp/mine; ./mine here; /tmp/mine there",
                               profile=profile(sandbox, name))
        case.that(result.text == ("here\nthere\n" if runs else ""), name, *result.describe())


def sockets_by_family(sandbox, case):
    script = ("import socket\n"
              "for f in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):\n"
              "    try: socket.socket(f).close(); print(f.name)\n"
              "    except OSError: pass\n"
              "print(len(socket.socketpair()))\n")
    for name, wanted in (("coding-agent", "AF_INET\nAF_INET6\n2\n"), ("ci-build", "AF_INET\nAF_INET6\n2\n"),
                         ("mcp-server", "2\n"), ("read-only", "2\n"), ("no-network-compute", "2\n")):
        result = sandbox.run(["python3", "-c", script], profile=profile(sandbox, name))
        case.that(result.text == wanted, name, *result.describe())
    case.that("AF_UNIX" in outside(sandbox, "python3 -c '%s'" % script).text, "control: AF_UNIX")


def builds_and_tests(sandbox, case):
    need("gcc", "make", "git")
    repository(sandbox)
    sandbox.file("Makefile", "all:\n\tcc -O2 a.c -o a.out\n\t./a.out; test $$? = 7\n")
    sandbox.file("t.py", "import unittest\nclass T(unittest.TestCase):\n  def test(self): self.assertTrue(1)\n")
    for name in ("coding-agent", "coding-agent-metered", "ci-build"):
        result = sandbox.shell("make -s && python3 -m unittest -q t && git clone -q . copy && cd copy && echo b > b && "
                               "git add b && git -c user.name=a -c user.email=a@b commit -q -m b && "
                               "git log --oneline | wc -l && rm -rf ../copy", profile=profile(sandbox, name))
        case.that(result.code == 0 and result.text == "2\n", name, *result.describe())


def a_metered_run_has_an_end(sandbox, case):
    """A command that removes far too much leaves most of it, and is over soon."""
    many = 7000
    for i in range(many):
        sandbox.file("work/%d" % i, "")
    result = sandbox.shell("rm -rf work; echo over > over; cat a.c", profile=profile(sandbox, "coding-agent-metered"))
    left = len(os.listdir(sandbox.ws + "/work"))
    case.that(left == many - 5000, "%d of %d are left" % (left, many), *result.describe())
    case.that(not os.path.exists(sandbox.ws + "/over"), "it could still write")
    case.that("files_deleted" in result.errors and "coding-agent-metered.yaml" in result.errors, *result.describe())
    result = sandbox.shell("rm -rf work; echo over > over", profile=profile(sandbox, "coding-agent"))
    case.that(not os.path.exists(sandbox.ws + "/work"), "control: coding-agent removes all", *result.describe())


ROWS = [
    ("every shipped profile runs python and its workers", all_start),
    ("git looks and leaves nothing behind", git_looks),
    ("nothing planted in a repository runs outside", git_is_sealed),
    ("names that other programs pick up stay free", names_are_kept),
    ("secrets of the project are hidden", secrets_are_hidden),
    ("read-only changes nothing", read_only_changes_nothing),
    ("results are programs only where builds are", results_are_no_programs),
    ("sockets are made of the listed families only", sockets_by_family),
    ("coding-agent and ci-build build, test and clone", builds_and_tests),
    ("a metered agent cannot empty a repository", a_metered_run_has_an_end),
]
