# SPDX-License-Identifier: Apache-2.0
"""A real job over a link: git clones from a daemon of the host, and a relay between them counts every byte."""
import os
import select
import shutil
import socket
import subprocess
import threading
import time

from world import GOOD, World

DAEMON, RELAY = 4721, 4722


class Relay:
    """Passes on what comes, and counts it: sent by the clients, received by them."""

    def __init__(self):
        self.sent = self.received = 0
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        World.bind(self.listener, GOOD, RELAY)
        self.listener.listen(8)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client, socket.create_connection(("127.0.0.1", DAEMON)) as server:
                self.pass_on(client, server)

    def pass_on(self, client, server):
        ends = [client, server]
        while ends:
            for end in select.select(ends, [], [], 10)[0]:
                data = end.recv(65536)
                if end is client:
                    self.sent += len(data)
                else:
                    self.received += len(data)
                other = server if end is client else client
                if data:
                    other.sendall(data)
                else:
                    ends.remove(end)
                    try:
                        other.shutdown(socket.SHUT_WR)
                    except OSError:
                        return

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)


def repository(top):
    one = ["git", "-C", top + "/origin", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    os.makedirs(top + "/origin")
    subprocess.run([*one, "init", "-q", "-b", "main"], check=True)
    for number in range(50):
        with open("%s/origin/%d" % (top, number), "wb") as file:
            file.write(os.urandom(3000))
    subprocess.run([*one, "add", "."], check=True)
    subprocess.run([*one, "commit", "-q", "-m", "one"], check=True)


def is_up():
    try:
        socket.create_connection(("127.0.0.1", DAEMON)).close()
        return True
    except OSError:
        return False


def every_byte_of_a_clone_is_counted(b):
    top = b.sandbox.top + "/served"
    repository(top)
    daemon = subprocess.Popen(["git", "daemon", "--reuseaddr", "--export-all", "--base-path=" + top,
                               "--listen=127.0.0.1", "--port=%d" % DAEMON], stdin=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    for _ in range(200):
        if is_up():
            break
        time.sleep(0.02)
    relay = Relay()
    try:
        profile = b.profile(["{cidr: %s/32, ports: [%d], proto: tcp}" % (GOOD, RELAY)],
                            "blast_radius: {bytes_sent: 1MiB, hosts_contacted: 5}\n")
        result, record = b.sandbox.record(["git", "clone", "-q", "git://%s:%d/origin" % (GOOD, RELAY), "clone"],
                                          profile=profile)
        b.case.code(result, 0)
        b.that(len(os.listdir(b.sandbox.ws + "/clone")) == 51, *result.describe())
        counters = {name: counter["value"] for name, counter in record["counters"].items()}
        b.that(counters["bytes_sent"] == relay.sent > 100, "sent %d, counted %s" % (relay.sent, counters))
        b.that(counters["bytes_received"] == relay.received > 150000, "received %d, counted %s" % (
            relay.received, counters))
        b.that(counters["hosts_contacted"] == 1 and not record["trips"], counters, record["trips"])
        b.case.summary = "%d bytes sent, %d received" % (relay.sent, relay.received)
    finally:
        relay.close()
        daemon.terminate()
        daemon.wait()
        shutil.rmtree(top, ignore_errors=True)
