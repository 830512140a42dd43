# SPDX-License-Identifier: Apache-2.0
"""Programs that others wrote, at their ordinary work inside."""
import json
import os
import select
import shutil
import subprocess
import time

import harness
from sandbox import Skip

MCP_PACKAGE = "@modelcontextprotocol/server-filesystem"
MCP_SERVER = "node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"
STRESS = ("--pipe", "2", "--fork", "2", "--vm", "1", "--vm-bytes", "32M", "--dentry", "1", "--hdd", "1", "--hdd-bytes",
          "4M", "--futex", "1", "--mmap", "1", "--mmap-bytes", "16M", "--poll", "1", "--switch", "1", "--rename", "1",
          "--sock", "1", "--shm", "1", "--msg", "1", "--get", "1", "--signal", "1", "--sigsegv", "1")


def fill_cache(directory):
    """Install the programs that come from a registry, once, before any right is given away."""
    npm = shutil.which("npm")
    if not npm or os.path.exists(directory + "/" + MCP_SERVER):
        return directory
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)
        subprocess.run([npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts",
                        "--prefix", directory, MCP_PACKAGE],
                       timeout=300, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        pass  # the row that needs it says so
    return directory


def need(*programs):
    for program in programs:
        if not shutil.which(program, path="/usr/local/bin:/usr/bin:/bin"):
            raise Skip("%s is not installed" % program)


def git_work(sandbox, case):
    script = """set -e
git config --global user.name berm && git config --global user.email berm@example.org
git init -q -b main repo && cd repo
seq 1000 > numbers && git add . && git commit -q -m first
git checkout -q -b topic && echo more >> numbers && git commit -q -a -m second
cd .. && git clone -q repo copy && cd copy && git log --oneline | wc -l
git checkout -q -b other main~0 2>/dev/null || git checkout -q -b other
git gc -q && git fsck && git status --short | wc -l && git stash list | wc -l
"""
    result = sandbox.shell(script)
    case.code(result, 0)
    case.that(result.text.split()[:1] == ["2"], *result.describe())


def git_in_repository(sandbox, case):
    """The workspace is itself a repository: commits work, its hooks stay what they are."""
    harness.run(["git", "init", "-q", "-b", "main", sandbox.ws])
    for directory, names, files in os.walk(sandbox.ws):
        for name in names + files:
            sandbox.own(os.path.join(directory, name))
    result = sandbox.shell("git config --global user.name a && git config --global user.email a@b && "
                           "echo x > file && git add file && git commit -q -m one && git log --oneline && git status")
    case.code(result, 0)
    result = sandbox.shell("printf '#!/bin/sh\\n' > .git/hooks/post-commit")
    case.that(result.code != 0, "a hook was planted")
    case.that(not os.path.exists(sandbox.ws + "/.git/hooks/post-commit"), "the hook is on the host")


def build_c(sandbox, case):
    need("gcc", "make")
    sandbox.file("main.c", "#include <stdio.h>\nint add(int, int);\n"
                 "int main(void) { printf(\"%d\\n\", add(2, 40)); }\n")
    sandbox.file("add.c", "int add(int a, int b) { return a + b; }\n")
    sandbox.file("Makefile", "CFLAGS = -O2 -Wall\nmain: main.o add.o\n\t$(CC) -o $@ $^\n")
    result = sandbox.shell("make -s && ./main && file ./main >/dev/null; ls -l main | cut -c1-4")
    case.code(result, 0)
    case.that(result.text.split()[:1] == ["42"], *result.describe())


def python_tests(sandbox, case):
    sandbox.file("test_it.py", """import unittest, subprocess, tempfile, os, json
class T(unittest.TestCase):
    def test_files(self):
        with tempfile.TemporaryDirectory() as d:
            open(os.path.join(d, "f"), "w").write("x"); self.assertEqual(os.listdir(d), ["f"])
    def test_child(self):
        self.assertEqual(subprocess.check_output(["echo", "a"]), b"a\\n")
    def test_json(self):
        self.assertEqual(json.loads("[1]"), [1])
""")
    result = sandbox.run(["python3", "-m", "unittest", "-v"])
    case.code(result, 0)
    case.that("Ran 3 tests" in result.errors, *result.describe())


def node_tests(sandbox, case):
    need("node", "npm")
    sandbox.file("package.json", json.dumps({"name": "t", "version": "1.0.0", "scripts": {"test": "node test.js"}}))
    sandbox.file("test.js", """const { execSync } = require("child_process"); const fs = require("fs");
const os = require("os"); const net = require("net"); const assert = require("assert");
assert.strictEqual(execSync("echo hi").toString(), "hi\\n");
fs.writeFileSync("out.txt", os.tmpdir()); assert(fs.existsSync("out.txt"));
const s = net.createServer(c => c.end("pong")).listen(0, "127.0.0.1", () =>
  net.connect(s.address().port, "127.0.0.1").on("data", d => { console.log("node says " + d); s.close(); }));
""")
    result = sandbox.run(["npm", "test", "--silent"], profile=node_profile(sandbox), timeout=120)
    case.code(result, 0)
    case.that("node says pong" in result.text, *result.describe())


def node_profile(sandbox):
    prefix = os.path.dirname(os.path.dirname(os.path.realpath(shutil.which("node"))))
    return sandbox.write_profile("node", read=[prefix] if prefix not in ("/usr",) else [])


class Server:
    """A JSON-RPC peer on stdin and stdout, one message a line (MCP, stdio transport)."""

    def __init__(self, process):
        self.process = process
        self.buffer = b""
        self.number = 0

    def send(self, message):
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def call(self, method, parameters, seconds=30):
        self.number += 1
        self.send({"jsonrpc": "2.0", "id": self.number, "method": method, "params": parameters})
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if b"\n" in self.buffer:
                line, self.buffer = self.buffer.split(b"\n", 1)
                message = json.loads(line)
                if message.get("id") == self.number:
                    return message
                continue
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    break
                self.buffer += data
        raise RuntimeError("no answer to %s" % method)


def text_of(answer):
    return " ".join(piece.get("text", "") for piece in answer.get("result", {}).get("content", []))


def mcp_server(sandbox, case):
    """A real MCP file server, told it may serve more than its profile grants."""
    server = sandbox.cache + "/" + MCP_SERVER
    need("node")
    if not os.path.exists(server):
        raise Skip("%s could not be installed" % MCP_PACKAGE)
    sandbox.file("notes.txt", "what was granted\n")
    sandbox.file("secret", "hidden words\n")
    outside = sandbox.write_text(sandbox.top + "/outside.txt", "hidden words\n")
    os.chmod(outside, 0o666)
    profile = sandbox.write_profile("mcp", read=[sandbox.cache])
    process = sandbox.start(["node", server, sandbox.ws, "/"], profile=profile, stdin=subprocess.PIPE)
    peer = Server(process)
    try:
        answer = peer.call("initialize", {"protocolVersion": "2025-06-18", "capabilities": {},
                                          "clientInfo": {"name": "berm-test", "version": "1"}})
        case.that("serverInfo" in answer.get("result", {}), answer)
        peer.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        tools = {tool["name"] for tool in peer.call("tools/list", {})["result"]["tools"]}
        case.that({"read_text_file", "write_file"} <= tools, tools)

        def tool(name, **arguments):
            return text_of(peer.call("tools/call", {"name": name, "arguments": arguments}))

        case.that("what was granted" in tool("read_text_file", path=sandbox.ws + "/notes.txt"), "cannot read the grant")
        tool("write_file", path=sandbox.ws + "/new.txt", content="written\n")
        for path in (sandbox.ws + "/secret", outside, "/etc/shadow", sandbox.profile):
            answer = tool("read_text_file", path=path)
            case.that("hidden words" not in answer and "root:" not in answer, "read %s" % path, answer)
        tool("write_file", path=outside, content="changed\n")
        tool("write_file", path=sandbox.ws + "/.git/hooks/post-checkout", content="#!/bin/sh\n")
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            case.that(False, "the server does not end with its stdin")
            process.kill()
            process.wait()
        errors = process.stderr.read().decode("utf-8", "replace")
        process.stdout.close()
        process.stderr.close()
    with open(outside, encoding="ascii") as file:
        case.that(file.read() == "hidden words\n", "wrote outside")
    case.that(os.path.exists(sandbox.ws + "/new.txt"), "did not write inside", errors)
    case.that(not os.path.exists(sandbox.ws + "/.git"), "planted a hook")


def stress(sandbox, case):
    need("stress-ng")
    result = sandbox.run(["stress-ng", "--timeout", "4", "--temp-path", sandbox.ws, "--metrics-brief"] + list(STRESS),
                         timeout=120)
    # 0: all well, 3: a stressor was not supported here; 2 would be a failed one.
    case.that(result.code in (0, 3), *result.describe())


def stressors(name):
    """All that stress-ng has of a class, eight at a time: one by one they would take minutes."""
    said = subprocess.run(["stress-ng", "--class", name + "?"], capture_output=True, text=True, check=False)
    # vm-segv stops itself for a tracer, which no run can have: it would wait minutes for nobody.
    names = [one for one in (said.stdout + said.stderr).partition("stressors:")[2].split() if one != "vm-segv"]
    return [names[at:at + 8] for at in range(0, len(names), 8)]


def stress_classes(sandbox, case):
    need("stress-ng")
    count = 0
    for name in ("filesystem", "vm", "pipe", "scheduler"):
        for some in stressors(name):
            count += len(some)
            words = [word for one in some for word in ("--" + one, "1")]
            result = sandbox.run(["stress-ng", *words, "--timeout", "1", "--temp-path", sandbox.ws], timeout=500)
            # What a wall refuses fails its stressor (2), also by a signal of its own: the storm is what matters here.
            case.that(not result.timed_out and result.code in (0, 1, 2, 3, 4, 5, 6, 137), *some, *result.describe())
    case.that(count > 100, f"stress-ng named {count} stressors")
    case.that(sandbox.run(["true"]).code == 0, "no run after the storm")


ROWS = [
    ("git init, commit, branch, clone, gc", git_work),
    ("git in a workspace that is a repository", git_in_repository),
    ("make, gcc and the program they build", build_c),
    ("python unit tests", python_tests),
    ("npm test with children, files and a local server", node_tests),
    ("an MCP file server of others, over stdio", mcp_server),
    ("stress-ng: pipes, forks, memory, files, futexes, sockets", stress),
]
SLOW = [
    ("stress-ng by classes", stress_classes),
]
