# SPDX-License-Identifier: Apache-2.0
"""Ordinary work of a coding agent, one shell script a job. Each runs in an empty directory of its own, finds what it
works on in $IN, ends with exit code 0, and does the same each time."""
import collections
import json
import os
import shutil
import subprocess

Job = collections.namedtuple("Job", "name programs script")
OPTIONAL = ("cmake", "bpftool")  # where they are there; tools/install-deps brings all the others

GIT = """
export GIT_CONFIG_GLOBAL=$PWD/gitconfig
git config --global user.name berm; git config --global user.email berm@example.org
git config --global init.defaultBranch main; git config --global gc.auto 0
git config --global advice.detachedHead false
"""

JOBS = [
    Job("git", ("git",), GIT + """
git clone -q "$IN/bare.git" clone; cd clone
git switch -q -c topic; for n in 1 2 3; do echo $n >> topic.txt; git add topic.txt; git commit -q -m "topic $n"; done
git switch -q main; echo main >> main.txt; git add .; git commit -q -m main
git switch -q topic; git rebase -q main; git stash list; echo dirty >> topic.txt; git stash -q; git stash pop -q
git checkout -q .; git log --oneline --stat | wc -l; git blame numbers.txt | wc -l; git grep -c line | wc -l
git init -q --bare ../pushed.git; git push -q ../pushed.git topic
git worktree add -q ../tree main; git worktree remove ../tree; git tag -a v1 -m v1; git archive v1 | tar tf - | wc -l
git -c pack.threads=1 gc -q --prune=now; git fsck --no-progress; git status --short | wc -l; git clean -qfdx
"""),
    Job("make", ("gcc", "make"), """
cp -r "$IN/c" src; cd src; make -s -j2; ./main; touch add.c; make -s; ./main; make -s clean
gcc -shared -fPIC -o libadd.so add.c; gcc -o linked main.c -L. -ladd -Wl,-rpath,"$PWD"; ./linked
ar rcs libadd.a add.c; nm main.c 2>/dev/null || true; gcc -g -O0 -pthread -o threads threads.c; ./threads
strip threads; ./threads; readelf -d linked | wc -l; objdump -d threads | wc -l
"""),
    Job("meson", ("meson", "ninja", "gcc"), """
cp -r "$IN/c" src; cd src; meson setup build >/dev/null; ninja -C build -j2 >/dev/null; meson test -C build >/dev/null
DESTDIR=$PWD/dest meson install --quiet -C build; ninja -C build -t clean >/dev/null
"""),
    Job("python", ("python3",), """
cp -r "$IN/python" src; cd src; python3 -m unittest -q; python3 -m compileall -q .
python3 -m venv --without-pip venv; venv/bin/python -c 'import sys; assert sys.prefix != sys.base_prefix'
python3 -m zipfile -c app.pyz __main__.py; python3 app.pyz
"""),
    Job("node", ("node",), """
cp -r "$IN/node" src; cd src; node test.js; node --test unit.test.js >/dev/null; node -p process.version
"""),
    Job("npm", ("node", "npm"), """
cp -r "$IN/app" src; cd src; npm ci --offline --no-audit --no-fund --silent; npm test --silent; npm ls --all >/dev/null
npm run build --silent; npm pack --silent >/dev/null; rm -rf node_modules
"""),
    Job("files", ("perl", "tar", "find", "sed"), """
mkdir tree; for n in $(seq 40); do mkdir -p tree/$((n % 4)); echo "line $n" > tree/$((n % 4))/$n.txt; done
tar czf tree.tgz tree; mkdir out; tar xzf tree.tgz -C out; diff -r tree out/tree; cp -a tree copy; mv copy moved
find moved -name '*.txt' -exec sed -i 's/line/row/' {} +; grep -r row moved | wc -l; ls -lR moved | wc -l
perl -e 'open(F, ">", "p"); print F $_ for 1..9; close F; rename "p", "q"; unlink "q"'
install -m 755 tree.tgz installed; ln -s tree link; ln tree.tgz hard; truncate -s 1M sparse
dd if=/dev/zero of=z bs=64k count=4 2>&1
chmod -R go-w moved; touch -d 2020-01-01 z; mktemp -d; df . | wc -l; ps ax | wc -l; nice true; timeout 5 true
seq 1000 | sort -R --random-source=tree.tgz | sort -n | sha256sum; printf 'a b\\n' | xargs -n1 echo; date; uname -a
awk 'BEGIN { print 1 + 1 }'; rm -rf tree moved out
"""),
    # Who the tool is, and what a name leads to: only a run has an answer for its user.
    Job("names", ("python3", "node", "perl"), """
id; whoami; ls -l / | wc -l; perl -e 'die if !(getpwuid($<))[0]'; getent hosts localhost | wc -l
python3 -c 'import getpass, os, pwd, socket; print(getpass.getuser(), pwd.getpwuid(os.getuid()), socket.getfqdn())'
python3 -c 'import socket; socket.getaddrinfo("localhost", 80)'; tar cf - . | tar tvf - | wc -l
git config --list | wc -l
node -e 'require("os").userInfo(); require("dns").lookup("localhost", () => 0)'
"""),
    Job("sqlite", ("sqlite3",), """
sqlite3 a.db 'PRAGMA journal_mode=WAL; CREATE TABLE t(n); INSERT INTO t VALUES(1),(2); SELECT sum(n) FROM t;'
sqlite3 a.db '.backup b.db'; sqlite3 b.db 'DELETE FROM t; VACUUM; PRAGMA integrity_check;'
"""),
    Job("ripgrep", ("rg",), "rg -c line \"$IN\" | wc -l; rg --files \"$IN\" | wc -l\n"),
    Job("cmake", ("cmake", "gcc"), """
cp -r "$IN/c" src; cmake -S src -B build >/dev/null; cmake --build build >/dev/null; ./build/main
"""),
    Job("bpftool", ("bpftool", "clang"), """
printf 'int counter;__attribute__((section("socket"),used)) int f(void*c){counter++;return 0;}char L[] \\
__attribute__((section("license"),used))="GPL";' > a.c
clang -g -O2 -target bpf -c a.c -o a.o; bpftool gen skeleton a.o > a.h; bpftool btf dump file a.o format c | wc -l
"""),
]

C_MAIN = """#include <stdio.h>
int add(int, int);
int main(void) { printf("%d\\n", add(2, 40)); return add(1, -1); }
"""
C_THREADS = """#include <pthread.h>
#include <stdio.h>
static void *work(void *n) { FILE *f = tmpfile(); fprintf(f, "x"); fclose(f); return n; }
int main(void) {
	pthread_t t[8];
	for (int i = 0; i < 8; i++) pthread_create(&t[i], 0, work, 0);
	for (int i = 0; i < 8; i++) pthread_join(t[i], 0);
	return 0;
}
"""
MAKEFILE = """CFLAGS = -O2 -Wall
main: main.o add.o
	$(CC) -o $@ $^
clean:
	rm -f main *.o
"""
MESON = """project('soak', 'c')
main = executable('main', 'main.c', 'add.c', install: true)
test('main', main)
"""
CMAKE = """cmake_minimum_required(VERSION 3.10)
project(soak C)
add_executable(main main.c add.c)
"""
PYTHON_TEST = '''import asyncio, concurrent.futures, multiprocessing, os, shutil, socket, sqlite3, subprocess
import tempfile, threading, unittest


def square(n):
    return n * n


class T(unittest.TestCase):
    def test_files(self):
        with tempfile.TemporaryDirectory() as d:
            for n in range(20):
                with open(os.path.join(d, str(n)), "w") as f:
                    f.write("x")
            shutil.copytree(d, d + "/copy")
            shutil.make_archive(d + "/archive", "gztar", d + "/copy")
            self.assertEqual(len(os.listdir(d)), 22)

    def test_children(self):
        self.assertEqual(subprocess.check_output(["echo", "a"]), b"a\\n")
        self.assertEqual(subprocess.run("exit 3", shell=True).returncode, 3)

    def test_pools(self):
        with multiprocessing.Pool(2) as pool:
            self.assertEqual(pool.map(square, range(5)), [0, 1, 4, 9, 16])
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            self.assertEqual(list(pool.map(square, range(3))), [0, 1, 4])

    def test_database(self):
        with tempfile.TemporaryDirectory() as d:
            c = sqlite3.connect(d + "/db")
            c.execute("create table t(n)")
            c.executemany("insert into t values(?)", [(n,) for n in range(50)])
            c.commit()
            self.assertEqual(c.execute("select sum(n) from t").fetchone()[0], 1225)
            c.close()

    def test_server(self):
        async def main():
            async def serve(reader, writer):
                writer.write(await reader.readline())
                writer.close()
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("localhost", port, family=socket.AF_INET)
            writer.write(b"hello\\n")
            self.assertEqual(await reader.readline(), b"hello\\n")
            writer.close()
            server.close()
        asyncio.run(main())

    def test_threads(self):
        done = []
        threads = [threading.Thread(target=done.append, args=(n,)) for n in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        self.assertEqual(len(done), 8)
'''
NODE_TEST = """const { execSync, spawnSync, fork } = require("child_process"); const fs = require("fs");
const os = require("os"); const net = require("net"); const http = require("http"); const assert = require("assert");
const { Worker, isMainThread } = require("worker_threads"); const crypto = require("crypto");
if (!isMainThread) { process.exit(0); }
assert.strictEqual(execSync("echo hi").toString(), "hi\\n"); spawnSync("true");
const d = fs.mkdtempSync(os.tmpdir() + "/n"); fs.writeFileSync(d + "/a", crypto.randomBytes(64));
fs.renameSync(d + "/a", d + "/b"); fs.cpSync(d, "copy", { recursive: true }); fs.rmSync(d, { recursive: true });
const w = fs.watch("."); w.close(); new Worker(__filename);
const s = http.createServer((q, r) => r.end("pong")).listen(0, "127.0.0.1", () =>
  http.get({ port: s.address().port, host: "127.0.0.1" }, r => r.on("data", d => { console.log("" + d); s.close(); })));
"""
NODE_UNIT = """const test = require("node:test"); const assert = require("node:assert");
test("adds", () => assert.strictEqual(1 + 1, 2));
test("later", async () => { await new Promise(r => setTimeout(r, 1)); });
"""


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def seed(directory):
    """What the jobs work on. Made by whoever calls, outside of every run."""
    for name, text in (("main.c", C_MAIN), ("add.c", "int add(int a, int b) { return a + b; }\n"),
                       ("threads.c", C_THREADS), ("Makefile", MAKEFILE), ("meson.build", MESON),
                       ("CMakeLists.txt", CMAKE)):
        write(directory + "/c/" + name, text)
    write(directory + "/python/test_it.py", PYTHON_TEST)
    write(directory + "/python/__main__.py", "print('main')\n")
    write(directory + "/node/test.js", NODE_TEST)
    write(directory + "/node/unit.test.js", NODE_UNIT)
    seed_git(directory)
    if shutil.which("npm"):
        seed_npm(directory)


def run(argv, directory, **more):
    subprocess.run(argv, cwd=directory, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   env={**os.environ, "HOME": directory, **more}, timeout=300)


def seed_git(directory):
    top = directory + "/repository"
    for number in range(60):
        write("%s/d%d/f%d.txt" % (top, number % 5, number), "line %d\n" % number * 20)
    write(top + "/numbers.txt", "".join("line %d\n" % number for number in range(200)))
    one = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    run([*one, "init", "-q", "-b", "main"], top)
    for number in range(5):
        with open(top + "/numbers.txt", "a", encoding="ascii") as file:
            file.write("more %d\n" % number)
        run([*one, "add", "."], top)
        run([*one, "commit", "-q", "-m", "commit %d" % number], top)
    run(["git", "clone", "-q", "--bare", top, directory + "/bare.git"], directory)
    shutil.rmtree(top)


def seed_npm(directory):
    """An application with packages that lie beside it as files, so that npm ci needs no registry."""
    names = ["left", "right", "deep", "tool"]
    app = directory + "/app"
    for name in names:
        package = {"name": "soak-" + name, "version": "1.0.0", "main": "index.js"}
        if name == "tool":
            package["bin"] = {"soak-tool": "cli.js"}
        package["scripts"] = {"postinstall": "node -e 0"}
        write(directory + "/packages/%s/package.json" % name, json.dumps(package))
        write(directory + "/packages/%s/index.js" % name, "module.exports = '%s';\n" % name)
        write(directory + "/packages/%s/cli.js" % name, "#!/usr/bin/env node\nconsole.log('tool');\n")
        for number in range(15):
            write(directory + "/packages/%s/lib/f%d.js" % (name, number), "module.exports = %d;\n" % number)
        os.makedirs(app, exist_ok=True)
        run(["npm", "pack", "--silent", "--pack-destination", app], directory + "/packages/" + name)
    write(app + "/index.test.js", "for (const n of ['left', 'right', 'deep', 'tool']) require('soak-' + n);\n")
    write(app + "/package.json", json.dumps({
        "name": "soak-app", "version": "1.0.0",
        "scripts": {"test": "node index.test.js && soak-tool", "build": "mkdir -p dist && cp index.test.js dist/"},
        "dependencies": {"soak-" + name: "file:soak-%s-1.0.0.tgz" % name for name in names}}))
    run(["npm", "install", "--package-lock-only", "--offline", "--no-audit", "--no-fund", "--silent"], app)


def usable():
    """(the jobs whose programs are here, the names of the others)"""
    path = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    there = [job for job in JOBS if all(shutil.which(program, path=path) for program in job.programs)]
    return there, [job.name for job in JOBS if job not in there and job.name not in OPTIONAL]
