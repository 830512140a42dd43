# SPDX-License-Identifier: Apache-2.0
"""A host for attackers: a tree with things to steal and to break, listeners that count, and a process to kill.

Everything has mode 0666 or 0777 and belongs to the tool's own user, so that no row passes because of ordinary
permissions: what refuses must be a wall."""
import os
import selectors
import shutil
import socket
import stat
import subprocess
import tempfile
import threading

import harness
import inventory

PROTECTED = (".git/config", ".git/hooks", ".claude", ".mcp.json", ".envrc", ".vscode", "fresh/.git/hooks")
SIBLINGS = ("-evil", "2", ".", " ")
PROFILE = """version: 1
name: %(name)s
fs:
  read:
    - "%(bin)s"
    - "%(ro)s"
%(read)s  write:
    - "%(ws)s"
%(write)s  deny:
    - "%(ws)s/denied"
  protect:
%(protect)s
%(more)s"""


class Listeners:
    """Sockets of the host, read in a thread; bytes by name."""

    def __init__(self):
        self.bytes = {}
        self.paths = []
        self.selector = selectors.DefaultSelector()
        self.quiet = threading.Event()
        self.waker, other = socket.socketpair()
        self.selector.register(other, selectors.EVENT_READ, "stop")
        self.thread = threading.Thread(target=self.loop, daemon=True)

    def add(self, name, family, kind, address):
        sock = socket.socket(family, kind)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM and family != socket.AF_UNIX:
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
            except OSError:
                pass
        sock.bind(address)
        if kind != socket.SOCK_DGRAM:
            sock.listen(64)
        if family == socket.AF_UNIX and not address.startswith("\0"):
            os.chmod(address, 0o777)
            self.paths.append(address)
        sock.setblocking(False)
        self.bytes.setdefault(name, 0)
        self.selector.register(sock, selectors.EVENT_READ, (name, kind != socket.SOCK_DGRAM))
        return sock

    def loop(self):
        while True:
            ready = self.selector.select(0.02)
            if not ready:
                self.quiet.set()
            for key, _ in ready:
                if key.data == "stop":
                    return
                name, accepts = key.data
                try:
                    if accepts:
                        connection, _ = key.fileobj.accept()
                        connection.setblocking(False)
                        self.selector.register(connection, selectors.EVENT_READ, (name, False))
                        continue
                    data = key.fileobj.recv(65536)
                except OSError:
                    continue
                self.bytes[name] += len(data)
                if not data and key.fileobj.type != socket.SOCK_DGRAM:
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()

    def drain(self):
        """Wait until everything that was sent so far is counted."""
        self.quiet.clear()
        self.quiet.wait(5)

    def reset(self):
        for name in self.bytes:
            self.bytes[name] = 0

    def close(self):
        self.waker.send(b"x")
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        for path in self.paths:
            if os.path.exists(path):
                os.unlink(path)


class World:
    def __init__(self, mode, berm, programs):
        self.mode = mode
        self.top = tempfile.mkdtemp(prefix="escape-", dir="/var/tmp" if os.path.isdir("/var/tmp") else "/tmp")
        os.chmod(self.top, 0o755)
        self.token = os.path.basename(self.top)
        self.secret = "SECRET-" + os.urandom(12).hex()
        # In mode root the tree belongs to the caller that SUDO_UID names; everywhere else to ourselves.
        self.uid = harness.TOOL_UID if mode == "root" else os.getuid()
        self.bin = self.make_programs(berm, programs)
        self.berm = self.bin + "/berm"
        self.payload = self.bin + "/escape-payload"
        self.ws = self.top + "/ws"
        self.ro = self.top + "/ro"
        self.denied = self.top + "/outside"
        self.hidden = self.ws + "/denied"
        self.home = self.top + "/home"
        self.profiles = self.top + "/profiles"
        self.tmp = self.top + "/tmp"
        self.state = self.top + "-state"  # berm's own: nothing of it is made easy to write to
        os.mkdir(self.profiles, 0o755)
        self.profile("escape")
        self.listeners = Listeners()
        self.sockets = self.top + "/sockets"
        os.mkdir(self.sockets, 0o777)
        os.chmod(self.sockets, 0o777)
        self.listen()
        self.victim = None
        self.reset()

    def make_programs(self, berm, programs):
        directory = self.top + "/bin"
        os.mkdir(directory, 0o755)
        shutil.copy(berm, directory + "/berm")
        for name in os.listdir(programs):
            path = programs + "/" + name
            if name.startswith("escape-") and os.path.isfile(path) and os.access(path, os.X_OK):
                shutil.copy(path, directory + "/" + name)
        for name in os.listdir(directory):
            os.chmod(directory + "/" + name, 0o755)
        return directory

    def profile(self, name, read=(), write=(), more="", **changes):
        """Write a profile and return its path. The sections that rows vary are arguments."""
        values = {
            "name": name, "bin": self.bin, "ro": self.ro, "ws": self.ws, "more": more,
            "read": "".join("    - \"%s\"\n" % path for path in read),
            "write": "".join("    - \"%s\"\n" % path for path in write),
            "protect": "".join("    - \"%s/%s\"\n" % (self.ws, path) for path in PROTECTED),
        }
        values.update(changes)
        path = "%s/%s.yaml" % (self.profiles, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(PROFILE % values)
        return path

    def listen(self):
        add = self.listeners.add
        self.port = add("tcp", socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", 0)).getsockname()[1]
        add("udp", socket.AF_INET, socket.SOCK_DGRAM, ("0.0.0.0", self.port))
        try:
            add("tcp", socket.AF_INET6, socket.SOCK_STREAM, ("::", self.port))
            add("udp", socket.AF_INET6, socket.SOCK_DGRAM, ("::", self.port))
        except OSError:
            pass  # a host without IPv6: the rows of the other family still tell
        for name in ("bus", "agent"):
            add(name, socket.AF_UNIX, socket.SOCK_STREAM, self.sockets + "/" + name)
        self.abstract = "berm-test-" + self.token
        add("abstract", socket.AF_UNIX, socket.SOCK_STREAM, "\0" + self.abstract)
        add("abstract", socket.AF_UNIX, socket.SOCK_DGRAM, "\0" + self.abstract + "-dgram")
        self.tmp_socket = "/tmp/.X11-" + self.token
        add("x11", socket.AF_UNIX, socket.SOCK_STREAM, self.tmp_socket)
        self.listeners.thread.start()

    def reset(self):
        """The tree as it was, whatever the last attack left of it."""
        for directory in (self.ws, self.ro, self.denied, self.home, self.tmp):
            self.remove(directory)
            os.mkdir(directory)
        for suffix in SIBLINGS:
            self.remove(self.ws + suffix)
            os.mkdir(self.ws + suffix)
        self.write(self.denied + "/canary", self.secret + "\n")
        self.write(self.denied + "/acct", "")
        self.write(self.ro + "/file", "read only\n" * 512)
        self.write(self.hidden + "/canary", self.secret + "\n")
        self.write(self.ws + "/plain.txt", "plain\n")
        self.write(self.ws + "/.git/config", "[core]\n")
        self.write(self.ws + "/.git/hooks/pre-commit", "#!/bin/sh\n")
        self.write(self.ws + "/.claude/settings.json", "{}\n")
        self.write(self.home + "/.ssh/id_ed25519", self.secret)
        os.symlink(self.denied, self.ws + "/planted-link")
        os.symlink(self.denied + "/canary", self.ws + "/planted-file")
        self.open_up(self.top)
        self.listeners.reset()

    def write(self, path, text):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def remove(self, path):
        if os.path.islink(path) or os.path.isfile(path):
            os.unlink(path)
            return
        for directory, _, _ in os.walk(path):
            os.chmod(directory, 0o700)
        shutil.rmtree(path, ignore_errors=True)

    def open_up(self, top):
        for directory, names, files in os.walk(top):
            if directory == self.top:
                for name in ("bin", "profiles"):
                    names.remove(name)
            for name in names + files:
                path = directory + "/" + name
                if not os.path.islink(path):
                    os.chmod(path, 0o777 if os.path.isdir(path) else 0o666)
                if self.mode == "root":
                    os.lchown(path, self.uid, self.uid)
        return top

    def snapshot(self):
        """Everything that an attack must not change: {path: what it is}."""
        found = {}
        for top in (self.ro, self.denied, self.home, self.tmp, self.hidden, self.bin, self.profiles):
            self.describe_tree(top, found)
        for suffix in SIBLINGS:
            self.describe_tree(self.ws + suffix, found)
        for name in PROTECTED:
            self.describe_tree(self.ws + "/" + name, found)
        return found

    def describe_tree(self, top, found):
        self.describe(top, found)
        for directory, names, files in os.walk(top):
            for name in names + files:
                self.describe(directory + "/" + name, found)

    def describe(self, path, found):
        try:
            st = os.lstat(path)
        except OSError:
            return
        content = None
        if stat.S_ISREG(st.st_mode) and st.st_size < 1 << 20:
            with open(path, "rb") as file:
                content = file.read()
        attributes = sorted(os.listxattr(path, follow_symlinks=False))
        when = st.st_mtime_ns if stat.S_ISREG(st.st_mode) else 0
        found[path] = (oct(st.st_mode), st.st_size if content is not None else 0, when, st.st_uid, attributes, content)

    def workspace_files(self):
        """(path, lstat) of everything in the grant."""
        for directory, names, files in os.walk(self.ws):
            for name in names + files:
                path = directory + "/" + name
                yield path, os.lstat(path)

    def leaked(self, output):
        """Where the secret turned up: stdout, or a file of the grant that is not the hidden one."""
        if self.secret.encode() in output:
            return "stdout"
        for path, st in self.workspace_files():
            if path.startswith(self.hidden) or not stat.S_ISREG(st.st_mode) or st.st_size > 1 << 20:
                continue
            try:
                with open(path, "rb") as file:
                    if self.secret.encode() in file.read():
                        return path
            except OSError:
                continue
        return None

    def start_victim(self):
        """A process of the tool's user with the secret in its memory: (pid, address)."""
        options = {"preexec_fn": harness.become(self.uid)} if self.mode == "root" else {}
        self.victim = subprocess.Popen(
            [self.payload, "victim", "SECRET=" + self.secret], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
            **options)
        words = []
        while not words or words[0] != "VICTIM":
            words = self.victim.stdout.readline().decode().split()
        return int(words[1]), int(words[2])

    def victim_alive(self):
        try:
            self.victim.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            return True
        return False

    def stop_victim(self):
        if self.victim:
            harness.stop(self.victim)
            self.victim.stdout.close()
            self.victim = None

    def close(self):
        self.stop_victim()
        self.listeners.close()
        inventory.end_recorders(self.token)
        shutil.rmtree(self.state, ignore_errors=True)
        self.remove(self.top)
