# SPDX-License-Identifier: Apache-2.0
"""What a tool finds inside: files and their owners, /proc and /dev, network, names."""
import os
import stat

import harness

LOOPBACK = """
import socket, threading
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    server = socket.socket(family, socket.SOCK_STREAM)
    server.bind((address, 0)); server.listen(1)
    def serve():
        c, _ = server.accept(); c.sendall(c.recv(100).upper()); c.close()
    t = threading.Thread(target=serve); t.start()
    client = socket.create_connection(server.getsockname()[:2]); client.sendall(b"hello")
    print(client.recv(100).decode()); t.join()
a, b = socket.socketpair(); a.send(b"x"); print(b.recv(1).decode())
"""
OUTSIDE = """
import socket, time
start = time.monotonic()
for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
    s = socket.socket(family, socket.SOCK_STREAM); s.settimeout(5)
    try:
        s.connect((address, 80)); print("CONNECTED")
    except OSError as e:
        print(type(e).__name__, e.errno)
try:
    print(socket.getaddrinfo("example.org", 80))
except OSError as e:
    print("no name")
print("took", round(time.monotonic() - start, 1))
"""


def writes_belong_to_caller(sandbox, case):
    result = sandbox.shell("umask; echo a > made; mkdir dir; echo b > dir/file; ln -s made link; echo c >> there")
    case.code(result, 0)
    for name in ("made", "dir", "dir/file", "link"):
        st = os.lstat(sandbox.ws + "/" + name)
        case.that(st.st_uid == sandbox.uid, "%s belongs to %d, not %d" % (name, st.st_uid, sandbox.uid))
    case.that(stat.S_IMODE(os.stat(sandbox.ws + "/made").st_mode) == 0o644, "mode of a new file")


def writes_of_plain_root(sandbox, case):
    """As root without sudo the tool has an id of its own, and files still belong to the owner of the tree."""
    if sandbox.mode != "root":
        case.summary = "only as root"
        return
    sandbox.sudo = False
    sandbox.file("there", "x\n")
    os.chmod(sandbox.ws + "/there", 0o600)
    result = sandbox.shell("cat there && echo a > made && mkdir dir && id -u")
    case.code(result, 0)
    case.that("0" not in result.text.split(), "uid 0 inside", result.text)
    for name in ("made", "dir"):
        owner = os.lstat(sandbox.ws + "/" + name).st_uid
        case.that(owner == sandbox.uid, "%s belongs to %d, not %d" % (name, owner, sandbox.uid))


def denied_and_protected(sandbox, case):
    sandbox.file("secret", "hidden words\n")
    sandbox.file(".git/hooks/pre-commit", "#!/bin/sh\n", 0o755)
    result = sandbox.shell("cat secret; cat .git/hooks/pre-commit; echo x >> .git/hooks/pre-commit; "
                           "echo x > .git/hooks/new; echo x > .envrc; ls -a; rm -f secret")
    case.that("hidden words" not in result.text, "the denied file was read")
    case.that("#!/bin/sh" in result.text, "a protected file must be readable", result.text)
    case.that(os.listdir(sandbox.ws + "/.git/hooks") == ["pre-commit"], os.listdir(sandbox.ws + "/.git/hooks"))
    with open(sandbox.ws + "/.git/hooks/pre-commit", encoding="ascii") as file:
        case.that(file.read() == "#!/bin/sh\n", "the hook was changed")
    case.that(sorted(os.listdir(sandbox.ws)) == [".git", "secret"], sorted(os.listdir(sandbox.ws)))


# On a host with systemd every mount is shared. $1 is the workspace, the rest is berm's command line.
SHARED_HOST = """
mount --make-rshared /
ws=$1; shift
"$@" &
for i in $(seq 200); do [ -e "$ws/started" ] && break; sleep 0.05; done
echo "host sees: $(grep -c " $ws/" /proc/self/mountinfo)"
mount -t tmpfs none "$ws/late" && : > "$ws/late/of-the-host"
: > "$ws/go"
wait $!
echo "host sees after: $(grep -v " $ws/late " /proc/self/mountinfo | grep -c " $ws/")"
umount "$ws/late"
"""


def shared_mounts(sandbox, case):
    """The run's covers stay in the run, and what the host mounts during it stays on the host."""
    if sandbox.mode == "user":
        case.summary = "only where mounts can be made"
        return
    sandbox.file("secret", "hidden words\n")
    sandbox.file("late/here", "")
    tool = sandbox.command(["/bin/sh", "-c", "touch started; until [ -e go ]; do sleep 0.05; done; ls late"])
    result = harness.run(["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", SHARED_HOST, "sh",
                          sandbox.ws] + tool, env=sandbox.environment(), cwd=sandbox.ws, timeout=60)
    case.code(result, 0)
    case.that(result.text.splitlines() == ["host sees: 0", "here", "host sees after: 0"], *result.describe())


def nothing_else_is_there(sandbox, case):
    result = sandbox.run(["ls", "-a", "/", "/home", "/root", "/var", "/srv", "/mnt"])
    for name in ("boot", "work", "lost+found"):
        case.that(name not in result.text.split(), "/%s is visible" % name)
    case.that(sandbox.home not in result.text, "home is visible")


def processes(sandbox, case):
    result = sandbox.shell("ls /proc | grep -c '^[0-9]'; cat /proc/self/stat | cut -d' ' -f1; ls -d /proc/1 2>&1")
    lines = result.text.split()
    case.that(int(lines[0]) <= 6 and int(lines[1]) < 20, result.text)


CORE_LIMIT = """
import resource
print(resource.getrlimit(resource.RLIMIT_CORE))
for limit in (0, 0), (0, 1):
    try:
        resource.setrlimit(resource.RLIMIT_CORE, limit)
    except (OSError, ValueError):
        pass
print(resource.getrlimit(resource.RLIMIT_CORE))
"""


def no_core_handler(sandbox, case):
    """With any limit but 1 the kernel starts the core dump handler of the host, as its root, for a crash inside."""
    result = sandbox.run(["python3", "-c", CORE_LIMIT])
    case.code(result, 0)
    case.that(result.text == "(1, 1)\n(1, 1)\n", *result.describe())


def devices(sandbox, case):
    result = sandbox.shell("ls /dev; echo x > /dev/null; head -c 8 /dev/urandom | wc -c; "
                           "echo f > /dev/full || echo full; head -c 3 /dev/zero | od -An -c; "
                           "echo in | cat /dev/stdin; echo shm > /dev/shm/x; cat /dev/shm/x")
    words = result.text.split()
    case.that({"8", "full", "\\0", "in", "shm"} <= set(words), *result.describe())
    # As under sudo, a pipe of another user can be written to, but not be opened again by its name.
    if sandbox.mode != "root":
        case.that(sandbox.shell("echo out > /dev/stdout").text == "out\n", "/dev/stdout cannot be opened")
    script = "import os,pty; m,s=pty.openpty(); os.write(m,b'x\\n'); print(os.read(s,9))"
    result = sandbox.run(["python3", "-c", script])
    case.that("x" in result.text, "openpty:", *result.describe())


def names(sandbox, case):
    result = sandbox.shell("id -un; id -u; hostname; getent hosts localhost; cat /etc/hostname; echo $HOME; cd; pwd")
    case.code(result, 0)
    words = result.text.split()
    case.that(words[2] not in ("", os.uname().nodename), "host name %s" % words[2])
    case.that(words[0] != str(words[1]), "the user has no name")


def loopback(sandbox, case):
    result = sandbox.run(["python3", "-c", LOOPBACK])
    case.that(result.text.split() == ["HELLO", "HELLO", "x"], *result.describe())


def no_other_network(sandbox, case):
    result = sandbox.run(["python3", "-c", OUTSIDE])
    case.code(result, 0)
    case.that("CONNECTED" not in result.text and "no name" in result.text, *result.describe())
    case.that(float(result.text.split()[-1]) < 2.0, "not refused at once", result.text)
    result = sandbox.shell("cat /proc/net/dev | tail -n +3 | cut -d: -f1; cat /proc/net/route | wc -l")
    case.that(result.text.split() == ["lo", "1"], "interfaces and routes", result.text)


def private_places(sandbox, case):
    result = sandbox.shell("ls -a /tmp; echo x > /tmp/file && echo x > $HOME/file && ls /tmp $HOME")
    case.code(result, 0)
    case.that(not os.path.exists(sandbox.home + "/file"), "home is the host's")


def everyday_calls(sandbox, case):
    """What ordinary programs need: pools of processes, shared semaphores, locks, databases, threads."""
    script = """
import multiprocessing, sqlite3, threading, tempfile, mmap, os, fcntl, subprocess, concurrent.futures
def square(x): return x * x
if __name__ == "__main__":
    with multiprocessing.Pool(4) as pool: print(sum(pool.map(square, range(100))))
    db = sqlite3.connect("test.db"); db.execute("pragma journal_mode=wal"); db.execute("create table t(x)")
    db.executemany("insert into t values (?)", [(i,) for i in range(1000)]); db.commit()
    print(db.execute("select sum(x) from t").fetchone()[0])
    with concurrent.futures.ThreadPoolExecutor(8) as pool: print(len(list(pool.map(square, range(50)))))
    with tempfile.TemporaryFile() as f:
        f.write(b"x" * 4096); f.flush(); m = mmap.mmap(f.fileno(), 4096); m[0] = 65; print(m[0])
    with open("lock", "w") as f: fcntl.flock(f, fcntl.LOCK_EX); fcntl.lockf(f, fcntl.LOCK_EX); print("locked")
    print(subprocess.run(["sh", "-c", "echo sub | tr a-z A-Z"], capture_output=True, text=True).stdout.strip())
    os.link("lock", "hard"); os.rename("hard", "moved"); os.utime("moved"); os.chmod("moved", 0o600); print("files")
"""
    sandbox.file("everyday.py", script)
    result = sandbox.run(["python3", "everyday.py"])
    case.that(result.text.split() == ["328350", "499500", "50", "65", "locked", "SUB", "files"], *result.describe())
    case.that(result.errors == "", "stderr:", result.errors)


ROWS = [
    ("files made by the tool belong to the caller", writes_belong_to_caller),
    ("files of a run by plain root belong to the owner of the tree", writes_of_plain_root),
    ("denied is hidden, protected is readable, absent stays absent", denied_and_protected),
    ("no mount passes between the run and a host that shares its mounts", shared_mounts),
    ("nothing else is there", nothing_else_is_there),
    ("only its own processes", processes),
    ("no crash of a tool starts a handler on the host", no_core_handler),
    ("devices", devices),
    ("user and host have names", names),
    ("loopback works in both families", loopback),
    ("no other network, refused at once", no_other_network),
    ("/tmp and home are private and writable", private_places),
    ("pools, semaphores, locks, databases, threads", everyday_calls),
]
