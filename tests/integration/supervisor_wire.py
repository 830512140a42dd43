# SPDX-License-Identifier: Apache-2.0
"""The packets of a supervisor, made by hand: what berm itself would never send."""
import array
import os
import socket

import harness

LONG = 30  # seconds that a test waits for what comes at once


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    return varint(number << 3 | 2) + varint(len(value)) + value


def run_of(agent=b"worker", argv=(b"/bin/sh", b"-c", b"echo x > ran"), task=b""):
    return field(1, agent) + b"".join(field(2, word) for word in argv) + (field(3, task) if task else b"")


def request(kind=1, version=1, run=None):
    return field(1, version) + field(2, kind) + (field(3, run) if run is not None else b"")


def connect(path):
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(LONG * harness.SLOWER)
    peer.connect(path)
    return peer


class signals_pipe:
    """The pipe that comes with a request for a run: its reading end, while the client is to live."""

    def __enter__(self):
        self.reader, self.writer = os.pipe()
        return self.reader

    def __exit__(self, *_):
        os.close(self.reader)
        os.close(self.writer)


def is_begun(answer):
    return answer == field(1, 1) + field(6, 1)


def raw_run(path, packet, stdio):
    """The same for a run, with the pipe of signals."""
    with signals_pipe() as reader:
        return raw(path, packet, [*stdio, reader])


def raw(path, packet, fds=()):
    """What the supervisor says to a packet; asked again where it says that these are too many at once."""
    answers = []

    def ask():
        answers.append(raw_once(path, packet, fds))
        return b"too many requests" not in answers[-1]

    return answers[-1] if harness.wait_for(ask, LONG) else b""


def raw_once(path, packet, fds):
    with connect(path) as peer:
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            peer.sendmsg([packet], control)
        except BrokenPipeError:
            pass
        for _ in range(3):
            try:
                answer = peer.recv(200000)
                if not is_begun(answer):
                    return answer
            except ConnectionResetError:
                pass
        return b""
