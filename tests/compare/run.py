#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same harm done to berm's log and to journald's sealed journal: tests/compare/run.py BERM WRITE-LOG [NUMBER]

Who notices? Prints the table of docs/recorder-comparison.md. NUMBER: how many of each case that is drawn by lot (50).
Root, systemd-journald and journalctl are needed. journald runs in a mount namespace of its own, with its own /run and
/var/log: that of the host is not touched. No part of tools/check, since it needs systemd and takes some minutes."""
import glob
import hashlib
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

JOURNALD = "/lib/systemd/systemd-journald"
SEAL_SECONDS = 2
LINES = 200
CRASHES = 5


# ---- berm's side: docs/record-format.md ----

class BermLog:
    name = "berm"

    def __init__(self, berm, write_log, top):
        self.berm, self.write_log, self.top = berm, write_log, top
        self.good = os.path.join(top, "berm")
        os.mkdir(self.good)
        self.write(self.good)
        self.older = self.copy("berm-older")
        self.write(self.good)

    def write(self, directory, end=""):
        """Two hundred records, a seal after each forty, several segments."""
        words = "".join("x\n" + ("seal\n" if n % 40 == 39 else "") for n in range(LINES))
        subprocess.run([self.write_log, directory, "live"], input=words + end, text=True, stdout=subprocess.DEVNULL,
                       check=True)

    def copy(self, name, source=None):
        target = os.path.join(self.top, name)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source or self.good, target)
        return target

    def passes(self, directory, *words, key=None):
        # The key is the one that was pinned when the log began.
        key = key or self.good + "/keys/recorder.pub"
        result = subprocess.run([self.berm, "log", "verify", "--state-dir", directory, "--key", key, *words],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=False)
        if result.returncode > 1:
            raise RuntimeError("berm log verify: exit %d" % result.returncode)
        return result.returncode == 0

    def files(self, directory):
        return sorted(glob.glob(directory + "/log/*.seg"))

    def used(self, path):
        return os.path.getsize(path)

    def records(self, path):
        """(start, length, of the record itself (start, length), is it a seal) of each frame."""
        with open(path, "rb") as file:
            data = file.read()
        at, found = 64, []
        while at < len(data):
            length, kind = struct.unpack_from("<IB", data, at)
            whole = 8 + length + (64 if kind == 2 else 0) + 32
            found.append((at, whole, (at + 8, length), kind == 2))
            at += whole
        return found

    def swap(self, path):
        """Two records of the same length change places, and their hashes stay: the easy way."""
        records = [r for r in self.records(path) if not r[3]]
        pairs = [(a, b) for a in records for b in records if a[0] < b[0] and a[2][1] == b[2][1]]
        return [(a[2], b[2]) for a, b in pairs]

    def strip_seals(self, directory):
        """All seals out of it, a record changed, and every hash computed anew."""
        before = bytes(32)
        for path in self.files(directory):
            with open(path, "rb") as file:
                data = file.read()
            out = bytearray(data[:32] + before)
            log_id = data[8:24]
            for number, (start, _, body, sealed) in enumerate(self.records(path)):
                if sealed and number > 0:
                    continue
                frame = bytearray(data[start:start + 8] + data[body[0]:body[0] + body[1]])
                frame = frame.replace(b"/module/", b"/mOdule/")
                if sealed:
                    frame += data[body[0] + body[1]:body[0] + body[1] + 64]
                before = hashlib.blake2b(before + frame, digest_size=32, salt=log_id, person=b"berm record 1").digest()
                out += frame + before
            with open(path, "wb") as file:
                file.write(out)

    def new_with_present_key(self, directory):
        """Who has root now throws the log away and lets the recorder go on with the keys that are there."""
        shutil.rmtree(directory + "/log")
        result = subprocess.run([self.write_log, directory, "many", "20"], stderr=subprocess.DEVNULL, check=False)
        return result.returncode == 0 or bool(self.files(directory))

    def crash(self, directory):
        self.write(directory, "crash\n")

    def go_on(self, directory):
        self.write(directory)

    def remove(self, directory):
        shutil.rmtree(directory + "/log")


# ---- journald's side: the journal file format of systemd ----

class Journal:
    name = "journald"

    def __init__(self, top):
        self.top = top
        self.good = os.path.join(top, "journal")
        os.makedirs(self.good)
        self.key = self.inside(self.good, "setup write")
        self.older = self.copy("journal-older")
        self.inside(self.good, "write")

    def inside(self, directory, what):
        """Run journald on this directory, in a mount namespace. Gives the verification key of `setup`."""
        words = ["unshare", "--mount", sys.executable, os.path.abspath(__file__), "--inside", directory, what]
        result = subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=300, check=True)
        return result.stdout.strip()

    copy = BermLog.copy

    def passes(self, directory, *_, key=None):
        files = self.files(directory)
        if not files:
            # Without a file journalctl has nothing to say.
            words = ["--directory", directory]
        else:
            words = [word for path in files for word in ("--file", path)]
        try:
            return subprocess.run(["journalctl", "--verify", "--verify-key", key or self.key, *words],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60,
                                  check=False).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def files(self, directory):
        # One that was not closed as it should gets a "~" when journald puts it aside.
        return sorted(glob.glob(directory + "/*/*.journal") + glob.glob(directory + "/*/*.journal~"))

    def objects(self, path):
        """(start, length, type) of each object."""
        with open(path, "rb") as file:
            data = file.read()
        header, last = struct.unpack_from("<Q", data, 88)[0], struct.unpack_from("<Q", data, 136)[0]
        at, found = header, []
        while at <= last:
            size = struct.unpack_from("<Q", data, at + 8)[0]
            found.append((at, size, data[at]))
            at += (size + 7) // 8 * 8
        return found

    def used(self, path):
        start, size, _ = self.objects(path)[-1]
        return start + size

    def records(self, path):
        """Entries and their data: what was said. Tags are the seals. Of data only the payload: links before it change
        as the file grows, and are under no seal."""
        return [(start, size, (start + skip, size - skip), kind == 7) for start, size, kind in self.objects(path)
                for skip in (64 if kind == 1 else 16,) if kind in (1, 3, 7)]

    def swap(self, path):
        entries = [(start, size) for start, size, kind in self.objects(path) if kind == 3]
        pairs = [(a, b) for a in entries for b in entries if a[0] < b[0] and a[1] == b[1]]
        return [((a[0] + 16, a[1] - 16), (b[0] + 16, b[1] - 16)) for a, b in pairs]

    def strip_seals(self, directory):
        """The same number of other lines, written by journald without sealing, in place of the journal."""
        for path in self.files(directory):
            os.unlink(path)
        os.unlink(glob.glob(directory + "/*/fss")[0])
        self.inside(directory, "write unsealed")

    def new_with_present_key(self, directory):
        for path in self.files(directory):
            os.unlink(path)
        self.inside(directory, "write")
        return True

    def crash(self, directory):
        self.inside(directory, "write kill")

    def go_on(self, directory):
        self.inside(directory, "write")

    def remove(self, directory):
        for path in self.files(directory):
            os.unlink(path)


def inside(directory, what):
    """In a mount namespace of our own: a journald with its files in `directory`."""
    with open("/etc/machine-id", encoding="ascii") as file:
        machine = file.read().strip()
    for command in (["mount", "--make-rprivate", "/"], ["mount", "-t", "tmpfs", "none", "/run"],
                    ["mount", "-t", "tmpfs", "none", "/var/log"]):
        subprocess.run(command, check=True)
    for path in ("/run/systemd/journal", "/run/systemd/journald.conf.d", "/run/log", "/var/log/journal"):
        os.makedirs(path)
    subprocess.run(["mount", "--bind", directory, "/var/log/journal"], check=True)
    os.makedirs("/var/log/journal/" + machine, exist_ok=True)
    with open("/run/systemd/journald.conf.d/test.conf", "w", encoding="ascii") as file:
        file.write("[Journal]\nStorage=persistent\nSeal=%s\nReadKMsg=no\nAudit=no\nRateLimitBurst=0\n"
                   "SyncIntervalSec=1s\n" % ("no" if "unsealed" in what else "yes"))
    if "setup" in what:
        made = subprocess.run(["journalctl", "--setup-keys", "--interval=%ds" % SEAL_SECONDS], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        print(made.stdout.strip().splitlines()[-1])
    open("/run/systemd/journal/flushed", "w", encoding="ascii").close()
    journald = subprocess.Popen([JOURNALD], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 30
    while not os.path.exists("/run/systemd/journal/socket") and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(1)
    to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    for number in range(LINES):
        to.sendto(b"MESSAGE=line %d of somebody\nPRIORITY=6\n" % number, "/run/systemd/journal/socket")
        time.sleep(4 * SEAL_SECONDS / LINES)
    time.sleep(1)
    journald.send_signal(signal.SIGKILL if "kill" in what else signal.SIGTERM)
    journald.wait(60)


# ---- what is done to them ----

def flip(path, offset, bit):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << bit)]))


def by_lot(log, number, harm):
    """How many of so many were noticed. harm(directory, path) gives what takes it back, so that one copy serves all."""
    directory = log.copy(log.name + "-harmed")
    noticed = done = 0
    for _ in range(number):
        path = random.choice(log.files(directory))
        with open(path, "rb") as file:
            before = file.read()
        harm(path)
        noticed += not log.passes(directory)
        done += 1
        with open(path, "wb") as file:
            file.write(before)
    return "%d of %d" % (noticed, done)


def flips_anywhere(log, number):
    return by_lot(log, number, lambda path: flip(path, random.randrange(log.used(path)), random.randrange(8)))


def flips_in_records(log, number):
    def harm(path):
        start, length = random.choice(log.records(path))[2]
        flip(path, start + random.randrange(length), random.randrange(8))
    return by_lot(log, number, harm)


def cuts_anywhere(log, number):
    return by_lot(log, number, lambda path: os.truncate(path, random.randrange(log.used(path))))


def cuts_at_records(log, number):
    return by_lot(log, number, lambda path: os.truncate(path, random.choice(log.records(path)[1:])[0]))


def cuts_behind_seals(log, number):
    def harm(path):
        start, length, _, _ = random.choice([record for record in log.records(path) if record[3]][:-1])
        os.truncate(path, start + length)
    return by_lot(log, number, harm)


def exchanges(log, number):
    def harm(path):
        pairs = log.swap(path)
        if not pairs:
            flip(path, 70, 1)
            return
        (a, length), (b, _) = random.choice(pairs)
        with open(path, "r+b") as file:
            data = file.read()
            file.seek(a)
            file.write(data[b:b + length])
            file.seek(b)
            file.write(data[a:a + length])
    return by_lot(log, number, harm)


def once(log, harm):
    directory = log.copy(log.name + "-harmed")
    harm(directory)
    return "passes" if log.passes(directory) else "noticed"


def seals_stripped(log, _):
    return once(log, log.strip_seals)


def present_key(log, _):
    return once(log, log.new_with_present_key)


def removed(log, _):
    return once(log, log.remove)


def wrong_key(log, _):
    if log.name == "journald":
        other = os.path.join(log.top, "journal-other")
        os.makedirs(other, exist_ok=True)
        key = log.inside(other, "setup write")
    else:
        other = os.path.join(log.top, "berm-other")
        os.makedirs(other, exist_ok=True)
        log.write(other)
        key = other + "/keys/recorder.pub"
    return "passes" if log.passes(log.good, key=key) else "noticed"


def older_copy(log, _):
    return "passes" if log.passes(log.older) else "noticed"


def older_copy_with_anchor(log, _):
    if log.name == "journald":
        return "has none"
    return "passes" if log.passes(log.older, "--anchor", log.good + "/anchor") else "noticed"


def untouched(log, _):
    return "passes" if log.passes(log.good) else "FAILS"


def after_a_crash(log, _):
    at_rest = later = 0
    for _ in range(CRASHES):
        directory = log.copy(log.name + "-crashed")
        log.crash(directory)
        at_rest += log.passes(directory)
        log.go_on(directory)
        later += log.passes(directory)
    return "passes %d of %d; after the next start %d of %d" % (at_rest, CRASHES, later, CRASHES)


CASES = [
    ("nothing: closed and started again", untouched, "passes"),
    ("the writer killed (SIGKILL), nothing changed", after_a_crash, None),
    ("a bit flipped, anywhere in the used part", flips_anywhere, "all"),
    ("a bit flipped in what was recorded or in a seal", flips_in_records, "all"),
    ("a file cut at any byte", cuts_anywhere, "all"),
    ("a file cut between two records", cuts_at_records, "all"),
    ("a file cut behind a seal", cuts_behind_seals, "all"),
    ("two records exchanged", exchanges, "all"),
    ("seals taken out, content changed", seals_stripped, "noticed"),
    ("another log's key", wrong_key, "noticed"),
    ("all thrown away, begun anew with the present key", present_key, "noticed"),
    ("all thrown away", removed, "noticed"),
    ("an older copy put back", older_copy, None),
    ("an older copy put back, anchor given", older_copy_with_anchor, "noticed"),
]


def as_wanted(told, wanted):
    if wanted == "all":
        return len(set(told.split(" of "))) == 1
    return wanted is None or told == wanted


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--inside":
        return inside(sys.argv[2], sys.argv[3])
    if len(sys.argv) < 3 or os.geteuid() != 0 or not os.path.exists(JOURNALD) or not shutil.which("journalctl"):
        print(__doc__, file=sys.stderr)
        return 77
    number = int(sys.argv[3]) if len(sys.argv) > 3 else 50
    random.seed(4711)
    top = tempfile.mkdtemp(prefix="berm-compare-", dir="/var/tmp")
    bad = 0
    try:
        logs = [BermLog(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), top), Journal(top)]
        print("| what was done | `berm log verify` | `journalctl --verify` |\n|---|---|---|")
        for words, case, wanted in CASES:
            told = [case(log, number) for log in logs]
            bad += not as_wanted(told[0], wanted)
            print("| %s | %s | %s |" % (words, *told), flush=True)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
