# SPDX-License-Identifier: Apache-2.0
"""What a tool tries on the network. Usage: tool.py DEED WORD...; one line for each try: "ok" or an errno's name."""
import ctypes
import errno
import fcntl
import ipaddress
import os
import socket
import struct
import sys
import threading
import time

MSG_FASTOPEN = 0x20000000
TCP_FASTOPEN_CONNECT = 30
PATIENCE = 3


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def say(words):
    """In one write, since several threads do it."""
    os.write(1, (str(words) + "\n").encode())


def tell(deed, *words):
    try:
        deed(*words)
        say("ok")
    except OSError as error:
        # EAGAIN and EINPROGRESS are what a socket's own time limits end in (socket(7)).
        late = error.errno in (None, errno.EAGAIN, errno.EINPROGRESS)
        say("ETIMEDOUT" if late else errno.errorcode.get(error.errno, error.errno))


def stream(address):
    made = socket.socket(family_of(address), socket.SOCK_STREAM)
    # Not settimeout(): a socket that does not block sends nothing with the first packet.
    for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
        made.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", PATIENCE, 0))
    return made


def finish(connection):
    """Wait until the other side has read everything."""
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(4096):
        pass
    connection.close()


def tcp(address, port, size):
    connection = stream(address)
    connection.connect((address, int(port)))
    connection.sendall(b"x" * int(size))
    finish(connection)


def tcp_slowly(address, port, size):
    """Not blocking, as an event loop does it."""
    connection = socket.socket(family_of(address), socket.SOCK_STREAM)
    connection.setblocking(False)
    code = connection.connect_ex((address, int(port)))
    if code not in (0, errno.EINPROGRESS):
        raise OSError(code, "connect")
    connection.settimeout(PATIENCE)
    connection.sendall(b"x" * int(size))
    finish(connection)


def fast_open(address, port, size):
    connection = stream(address)
    connection.sendto(b"x" * int(size), MSG_FASTOPEN, (address, int(port)))
    finish(connection)


def fast_open_connect(address, port, size):
    connection = stream(address)
    connection.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    connection.connect((address, int(port)))
    connection.sendall(b"x" * int(size))
    finish(connection)


def udp(address, port, size):
    made = socket.socket(family_of(address), socket.SOCK_DGRAM)
    made.sendto(b"x" * int(size), (address, int(port)))


def udp_connected(address, port, size):
    made = socket.socket(family_of(address), socket.SOCK_DGRAM)
    made.connect((address, int(port)))
    made.send(b"x" * int(size))


def udp_elsewhere(good, port, address, other_port, size):
    """A socket connected to a good peer, a message with another address."""
    made = socket.socket(family_of(address), socket.SOCK_DGRAM)
    made.connect((good, int(port)))
    made.sendmsg([b"x" * int(size)], [], 0, (address, int(other_port)))


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32), ("vectors", ctypes.POINTER(Vector)),
                ("count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
                ("flags", ctypes.c_int), ("hole", ctypes.c_int), ("sent", ctypes.c_uint)]


def many(port, size, *addresses):
    """sendmmsg(2) to several addresses; how many the kernel took."""
    libc = ctypes.CDLL(None, use_errno=True)
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    messages = (Message * len(addresses))()
    keep = []
    for message, address in zip(messages, addresses):
        name = ctypes.create_string_buffer(
            struct.pack("=H", socket.AF_INET) + struct.pack("!H", int(port)) + socket.inet_aton(address) + bytes(8), 16)
        data = ctypes.create_string_buffer(b"x" * int(size), int(size))
        vector = Vector(ctypes.addressof(data), int(size))
        keep += [name, data, vector]
        message.name, message.name_length = ctypes.addressof(name), 16
        message.vectors, message.count = ctypes.pointer(vector), 1
    say(libc.sendmmsg(made.fileno(), messages, len(addresses), 0))


def bind(address, port, kind):
    made = socket.socket(family_of(address), socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    made.bind((address, int(port)))
    if kind == "tcp":
        made.listen()


def make(family, kind, protocol):
    socket.socket(int(family), int(kind), int(protocol)).close()


def option(level, name, kind, value):
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    made.setsockopt(int(level), int(name), bytes.fromhex(value))


def broadcast(address, port, size):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    made.sendto(b"x" * int(size), (address, int(port)))


def own_address(address, port):
    made = socket.socket(family_of(address), socket.SOCK_DGRAM)
    made.connect((address, int(port)))
    return made.getsockname()[0]


def gateway(good, port, deed, *words):
    """The deed on the host's end of the link: the address before the run's own."""
    perform(deed, str(ipaddress.ip_address(own_address(good, port)) - 1), *words)


def loopback():
    """The run's own talk with itself, both families, both protocols, with payload."""
    for address in ("127.0.0.1", "127.9.9.9", "::1"):
        server = socket.create_server((address, 0), family=family_of(address))
        client = socket.create_connection(server.getsockname()[:2])
        peer, _ = server.accept()
        client.sendall(b"y" * 5000)
        client.shutdown(socket.SHUT_WR)
        total = 0
        while True:
            part = peer.recv(65536)
            if not part:
                break
            total += len(part)
        datagram = socket.socket(family_of(address), socket.SOCK_DGRAM)
        datagram.bind((address, 0))
        datagram.sendto(b"z" * 100, datagram.getsockname()[:2])
        datagram.settimeout(PATIENCE)
        if total != 5000 or len(datagram.recv(200)) != 100:
            raise OSError(errno.EIO, "loopback")


def change_interface():
    """What a tool would do to its link if it had a capability: each must fail."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    name = b"berm0".ljust(16, b"\0")
    address = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton("10.1.2.3"))
    route = struct.pack("=Q", 0) + struct.pack("=HH4s8x", socket.AF_INET, 0, bytes(4)) * 3 + bytes(96)
    requests = {"SIOCSIFADDR": (0x8916, name + address), "SIOCSIFFLAGS": (0x8914, name + struct.pack("=h22x", 0)),
                "SIOCSIFMTU": (0x8922, name + struct.pack("=i20x", 9000)), "SIOCADDRT": (0x890B, route),
                "SIOCDELRT": (0x890C, route), "SIOCSIFNAME": (0x8923, name + b"other".ljust(24, b"\0"))}
    for number, argument in requests.values():
        tell(fcntl.ioctl, made.fileno(), number, argument)
    tell(make, 16, socket.SOCK_RAW, 0)  # AF_NETLINK
    tell(lambda: open("/proc/sys/net/ipv4/conf/berm0/rp_filter", "w", encoding="ascii").write("0"))


def send_until_denied(address, port, bad, bad_port):
    """A stream in a thread that cares for no error, and after a while something that is refused."""
    connection = stream(address)
    tell(connection.connect, (address, int(port)))

    def send():
        while True:
            try:
                connection.sendall(b"x" * 100)
            except OSError:
                pass
            time.sleep(0.01)
    threading.Thread(target=send, daemon=True).start()
    time.sleep(1)
    tell(tcp, bad, bad_port, 1)
    time.sleep(5)
    tell(tcp, address, port, 1)


def wait(address, port, seconds):
    tell(tcp, address, port, 1)
    say(own_address(address, port))
    time.sleep(float(seconds))


def each(deed, port, size, *addresses):
    for address in addresses:
        perform(deed, address, port, size)


def in_threads(count, address, port, size):
    """The same from many threads at once: nothing may slip through between them."""
    threads = [threading.Thread(target=tell, args=(udp, address, port, size)) for _ in range(int(count))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def batch(*lines):
    """Several deeds after one another, each a line of words; each says one thing."""
    for line in lines:
        perform(*line.split())


SPEAKING = {"batch": batch, "each": each, "many": many, "gateway": gateway, "change-interface": change_interface,
            "send-until-denied": send_until_denied, "wait": wait, "in-threads": in_threads}
DEEDS = {"tcp": tcp, "tcp-slowly": tcp_slowly, "fast-open": fast_open, "fast-open-connect": fast_open_connect,
         "udp": udp, "udp-connected": udp_connected, "udp-elsewhere": udp_elsewhere, "bind": bind, "make": make,
         "option": option, "broadcast": broadcast, "loopback": loopback}


def perform(deed, *words):
    if deed in SPEAKING:
        SPEAKING[deed](*words)
    else:
        tell(DEEDS[deed], *words)


if __name__ == "__main__":
    perform(*sys.argv[1:])
    os._exit(0)  # threads that still send
