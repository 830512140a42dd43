# SPDX-License-Identifier: Apache-2.0
"""A host with services, in a network namespace and with an /etc of the test's own."""
import ctypes
import errno
import fcntl
import os
import selectors
import socket
import struct
import subprocess
import tempfile
import threading
import time

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
TCP_FASTOPEN = 23

POOL, POOL6 = "10.143.0.0/16", "fd62:6572:6d00::/64"
GOOD, OTHER = "198.51.100.1", "198.51.100.2"
GOOD6, OTHER6 = "2001:db8::1", "2001:db8::2"
METADATA = "169.254.169.254"
MORE = ["198.51.100.%d" % last for last in range(11, 20)]
PORT, OTHER_PORT = 4711, 4712
ADDRESSES = [GOOD, OTHER, METADATA, "127.0.0.1", GOOD6, OTHER6, "::1"] + MORE


class World:
    """Counts what arrives, by (local address, port, "tcp" or "udp")."""

    def __init__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.bytes = {}
        self.peers = []
        self.lock = threading.Lock()
        self.selector = selectors.DefaultSelector()
        self.connections = {}
        self.stop = False

    def call(self, name, *words):
        if getattr(self.libc, name)(*words):
            number = ctypes.get_errno()
            raise OSError(number, "%s: %s" % (name, os.strerror(number)))

    def enter(self):
        """Of this process and all that it starts, for good."""
        self.call("unshare", CLONE_NEWNS | CLONE_NEWNET)
        self.call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
        own = tempfile.mkdtemp(prefix="berm-etc-").encode()
        self.call("mount", b"tmpfs", own, b"tmpfs", 0, b"mode=0755")
        subprocess.run(["cp", "-a", "/etc/.", own.decode()], check=True)
        os.makedirs(own.decode() + "/berm", exist_ok=True)
        self.call("mount", own, b"/etc", None, MS_BIND, None)
        self.call("umount2", own, 2)
        os.rmdir(own)
        for stale in ("ceiling.yaml", "network.yaml"):
            if os.path.exists("/etc/berm/" + stale):
                os.unlink("/etc/berm/" + stale)
        self.configure("version: 1\npool: %s\npool6: %s\n" % (POOL, POOL6))
        self.bring_up()

    def configure(self, text):
        with open("/etc/berm/network.yaml", "w", encoding="ascii") as file:
            file.write(text)
        os.chmod("/etc/berm/network.yaml", 0o644)

    def bring_up(self):
        """lo with every address that the rows need (netdevice(7))."""
        four, six = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        up = struct.pack("=16sh22x", b"lo", 1)
        fcntl.ioctl(four, 0x8914, up)  # SIOCSIFFLAGS
        for number, address in enumerate(a for a in ADDRESSES if "." in a and a != "127.0.0.1"):
            label = ("lo:%d" % number).encode()
            request = struct.pack("=16sHH4s16x", label, socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(four, 0x8916, request[:40])  # SIOCSIFADDR
        index = socket.if_nametoindex("lo")
        for address in (GOOD6, OTHER6):
            fcntl.ioctl(six, 0x8916, socket.inet_pton(socket.AF_INET6, address) + struct.pack("=Ii", 128, index))
        with open("/proc/sys/net/ipv4/tcp_fastopen", "w", encoding="ascii") as file:
            file.write(str(1 | 2 | 0x200 | 4))  # both sides, without cookies

    def serve(self):
        for address in ADDRESSES:
            for port in (PORT, OTHER_PORT):
                self.listen(address, port)
        # What listens everywhere listens on the links of runs as well.
        self.listen("0.0.0.0", 4799)
        self.listen("::", 4798)
        threading.Thread(target=self.loop, daemon=True).start()

    def listen(self, address, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for kind, name in ((socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")):
            made = socket.socket(family, kind)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if name == "tcp":
                made.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 64)
            self.bind(made, address, port)
            if name == "tcp":
                made.listen(64)
            made.setblocking(False)
            self.selector.register(made, selectors.EVENT_READ, (name, (address, port, name)))

    @staticmethod
    def bind(made, address, port):
        """A new IPv6 address is ready a moment after it was given."""
        for _ in range(100):
            try:
                made.bind((address, port))
                return
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:
                    raise
            time.sleep(0.02)
        made.bind((address, port))

    def loop(self):
        while not self.stop:
            for key, _ in self.selector.select(0.2):
                kind, where = key.data
                with self.lock:
                    self.take(key.fileobj, kind, where)

    def add(self, where, count):
        self.bytes[where] = self.bytes.get(where, 0) + count

    def take(self, source, kind, where):
        try:
            if kind == "tcp":
                made, peer = source.accept()
                self.peers.append(peer[0])
                made.setblocking(False)
                self.add(where, 0)
                self.selector.register(made, selectors.EVENT_READ, ("stream", where))
            elif kind == "udp":
                data, peer = source.recvfrom(70000)
                self.peers.append(peer[0])
                self.add(where, len(data))
            else:
                data = source.recv(65536)
                self.add(where, len(data))
                if not data:
                    self.drop(source)
        except BlockingIOError:
            pass
        except OSError:
            self.drop(source)

    def drop(self, source):
        self.selector.unregister(source)
        source.close()

    def reset(self):
        """Forget what arrived; what is still on its way has arrived first."""
        self.settle()
        with self.lock:
            self.bytes.clear()
            self.peers.clear()

    def settle(self):
        before = None
        while True:
            with self.lock:
                now = dict(self.bytes)
            if now == before:
                return now
            before = now
            time.sleep(0.15)

    def links(self):
        return sorted(name for _, name in socket.if_nameindex() if name.startswith("berm-"))

    def tables(self):
        """The names of all nf_tables tables of this namespace."""
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
        made.settimeout(3)
        request = struct.pack("=IHHIIBBH", 20, 10 << 8 | 1, 1 | 0x300, 1, 0, 0, 0, 0)
        made.send(request)
        names = []
        while True:
            data = made.recv(65536)
            while data:
                length, kind = struct.unpack("=IH", data[:6])
                if kind in (2, 3):
                    return names
                size = struct.unpack("=H", data[20:22])[0]
                names.append(data[24:20 + size].rstrip(b"\0").decode())
                data = data[(length + 3) & ~3:]
