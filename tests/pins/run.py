#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the meter's programs are pinned, and what happens to those who start, share, damage and replace the pins.
Everything happens in a mount namespace of the test's own, with a /run/berm of its own, on a host whose kernel takes at
least the programs of cgroups. Programs and links are told apart by the numbers that the kernel gives them."""
import argparse
import ctypes
import glob
import mmap
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import harness  # noqa: E402

RUNTIME = "/run/berm"
OWN = RUNTIME + "/bpf"
PROFILE = """version: 1
name: pins
fs: {read: [%s]}
network: {mode: host}
blast_radius: {bytes_sent: 1000000, hosts_contacted: 10}
"""
CLONE_NEWNS = 0x20000
MS_PRIVATE_REC = (1 << 18) | 0x4000
MNT_DETACH = 2
BPF_OBJ_PIN, BPF_OBJ_GET, BPF_OBJ_GET_INFO, BPF_PROG_GET_NEXT_ID = 6, 7, 15, 11
LIBC = ctypes.CDLL(None, use_errno=True)
SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]


def checked(value, what):
    if value < 0:
        raise OSError(ctypes.get_errno(), "%s: %s" % (what, os.strerror(ctypes.get_errno())))
    return value


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer((attributes + bytes(64))[:64], 64)
    return checked(LIBC.syscall(SYS_BPF, command, buffer, 64), "bpf(%d)" % command)


def get(path):
    name = ctypes.create_string_buffer(path.encode())
    return bpf(BPF_OBJ_GET, ctypes.addressof(name).to_bytes(8, sys.byteorder))


def pin(fd, path):
    name = ctypes.create_string_buffer(path.encode())
    bpf(BPF_OBJ_PIN, ctypes.addressof(name).to_bytes(8, sys.byteorder) + fd.to_bytes(4, sys.byteorder))


def link_numbers(path):
    """(link, program) of a pinned link: struct bpf_link_info begins with type, id, prog_id."""
    fd = get(path)
    try:
        info = ctypes.create_string_buffer(128)
        bpf(BPF_OBJ_GET_INFO, fd.to_bytes(4, sys.byteorder) + (128).to_bytes(4, sys.byteorder)
            + ctypes.addressof(info).to_bytes(8, sys.byteorder))
        words = [int.from_bytes(info.raw[i:i + 4], sys.byteorder) for i in (0, 4, 8)]
        return words[1], words[2]
    finally:
        os.close(fd)


def programs_of_the_host():
    """Numbers of all programs that are loaded, by anybody."""
    numbers, number = set(), 0
    while True:
        buffer = ctypes.create_string_buffer(number.to_bytes(4, sys.byteorder) + bytes(60), 64)
        if LIBC.syscall(SYS_BPF, BPF_PROG_GET_NEXT_ID, buffer, 64) < 0:
            return numbers
        number = int.from_bytes(buffer.raw[4:8], sys.byteorder)
        numbers.add(number)


def mount(kind, where, options=""):
    checked(LIBC.mount(b"pins", where.encode(), kind.encode(), 0, options.encode()), "mount " + where)


def detach(where):
    checked(LIBC.umount2(where.encode(), MNT_DETACH), "unmount " + where)


class Wrong(Exception):
    pass


def expect(truth, *details):
    if not truth:
        raise Wrong("\n".join(str(detail) for detail in details) or "expectation")


class Bench:
    def __init__(self, berm):
        self.berm = os.path.abspath(berm)
        self.top = tempfile.mkdtemp(prefix="berm-pins-", dir="/var/tmp")
        os.chmod(self.top, 0o755)
        system = [path for path in ("/usr", "/lib", "/lib64", "/bin") if os.path.exists(path)]
        self.profile = self.top + "/pins.yaml"
        with open(self.profile, "w", encoding="utf-8") as file:
            file.write(PROFILE % ", ".join(system))

    def reset(self):
        """No runtime directory, no pins, no bpffs."""
        LIBC.umount2(OWN.encode(), MNT_DETACH)
        LIBC.umount2(RUNTIME.encode(), MNT_DETACH)
        mount("tmpfs", RUNTIME, "mode=755")
        while os.path.ismount("/sys/fs/bpf"):
            detach("/sys/fs/bpf")

    def words(self, *tool, state="state"):
        return [self.berm, "run", "-p", self.profile, "-C", "/usr", "--state-dir", self.top + "/" + state, *tool]

    def start(self, *tool, code=0, **options):
        result = harness.run(self.words(*(tool or ("/bin/true",))), timeout=120, **options)
        expect(result.code == code, *result.describe())
        return result

    def sets(self, base=OWN + "/meter"):
        """Directories of links that a start would adopt."""
        return sorted(path for path in glob.glob(base + "/abi-*/links-*") if "/links-old-" not in path
                      and not path.endswith("-new"))

    def links(self, base=OWN + "/meter"):
        """Name of each pinned link: (link, program)."""
        found = self.sets(base)
        expect(len(found) == 1, "sets of links: %s" % found)
        return {name: link_numbers(os.path.join(found[0], name)) for name in os.listdir(found[0])
                if not name.startswith("list_") and name != "note"}


def a_start_pins_and_the_next_adopts(bench):
    bench.start()
    with open("/proc/self/mountinfo", encoding="ascii") as file:
        lines = [line for line in file if " %s " % OWN in line]
    expect(len(lines) == 1 and re.search(" rw,nosuid,nodev,noexec[, ].* - bpf ", lines[0]), lines)
    for directory in (OWN, OWN + "/meter", bench.sets()[0]):
        expect(os.stat(directory).st_mode & 0o777 == 0o700, directory)
    before, loaded = bench.links(), programs_of_the_host()
    expect("net_egress" in before, before)
    for _ in range(3):
        bench.start()
    expect(bench.links() == before, "the second start did not adopt", before, bench.links())
    expect(all(program in loaded for _, program in before.values()), before)
    expect(not glob.glob(RUNTIME + "/proof-*"), "a proof left its directory")


def starts_at_once_make_one_set(bench):
    processes = [subprocess.Popen(bench.words("/bin/true"), stderr=subprocess.PIPE, text=True) for _ in range(6)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        expect(process.returncode == 0, process.returncode, errors)
    with open("/proc/self/mountinfo", encoding="ascii") as file:
        expect(sum(" %s " % OWN in line for line in file) == 1, "mounted more than once")
    bench.links()
    expect(not glob.glob(OWN + "/meter/abi-*/links-old-*") and not glob.glob(OWN + "/meter/abi-*/*-new"),
           "something is left over", os.listdir(os.path.dirname(bench.sets()[0])))


def digest(bench):
    result = harness.run([bench.berm, "profile", "show", "--plan", bench.profile], timeout=60)
    return re.search("(?m)^digest [0-9a-f]{64}$", result.text).group()


def looking_loads_nothing(bench):
    """A program is given a number when it is loaded, and numbers go up: what is loaded and gone has left a gap."""
    for words in (["show", "--origin"], ["show", "--plan"], ["check"]):
        result = harness.run([bench.berm, "profile", *words, bench.profile], timeout=60)
        expect(result.code == 0 and "cgroup programs" in result.text + result.errors, *result.describe())
        expect(not os.path.exists(OWN), "looking has mounted a bpffs")
    probed = digest(bench)
    bench.start()
    before = bench.links()
    expect(probed == digest(bench), "the plan is another one once the programs are loaded")
    expect(bench.links() == before, "looking has changed the pins")


def a_bpffs_of_the_host_is_used(bench):
    mount("bpf", "/sys/fs/bpf")
    bench.start()
    before = bench.links("/sys/fs/bpf/berm")
    bench.start()
    expect(bench.links("/sys/fs/bpf/berm") == before, "did not adopt")
    expect(not os.path.exists(OWN), "mounted one of its own all the same")


def a_name_that_somebody_took_is_left_alone(bench):
    mount("bpf", "/sys/fs/bpf")
    os.mkdir("/sys/fs/bpf/berm")
    os.chown("/sys/fs/bpf/berm", harness.TOOL_UID, harness.TOOL_UID)
    bench.start()
    bench.links()
    expect(os.listdir("/sys/fs/bpf/berm") == [], "pins in a directory of somebody else")


def something_else_in_the_place_is_refused(bench):
    def a_file():
        with open(OWN, "w", encoding="ascii"):
            pass

    def a_link():
        os.mkdir(bench.top + "/elsewhere", 0o700)
        os.symlink(bench.top + "/elsewhere", OWN)

    def somebodys():
        os.mkdir(OWN, 0o700)
        os.chown(OWN, harness.TOOL_UID, harness.TOOL_UID)

    def open_to_all():
        os.mkdir(OWN)
        os.chmod(OWN, 0o777)

    def a_tmpfs():
        os.mkdir(OWN, 0o700)
        mount("tmpfs", OWN, "mode=700")

    def an_open_bpffs():
        os.mkdir(OWN, 0o700)
        mount("bpf", OWN)

    for make in (a_file, a_link, somebodys, open_to_all, a_tmpfs, an_open_bpffs):
        bench.reset()
        make()
        result = bench.start(code=126)
        expect(OWN in result.errors, make.__name__, *result.describe())


def runtime_that_others_may_write_to_is_refused(bench):
    os.chmod(RUNTIME, 0o777)
    result = bench.start(code=126)
    expect("others than root may write" in result.errors, *result.describe())


def replaced(bench, name, other):
    """Pin what `other` is in the place of a link or map."""
    directory = bench.sets()[0]
    fd = get(os.path.join(directory, other))
    target = os.path.normpath(os.path.join(directory, name))
    os.unlink(target)
    pin(fd, target)
    os.close(fd)


def damaged_sets_are_not_adopted(bench):
    def other_link():
        replaced(bench, "net_egress", "net_ingress")

    def other_map():
        replaced(bench, "../maps/controls", "../maps/tasks" if os.path.exists(
            bench.sets()[0] + "/../maps/tasks") else "../maps/runs")

    def map_for_a_link():
        replaced(bench, "net_connect4", "../maps/runs")

    def no_link():
        os.unlink(bench.sets()[0] + "/net_bind4")

    def no_note():
        os.unlink(bench.sets()[0] + "/note")

    def other_note():
        replaced(bench, "note", "../maps/runs")

    def link_for_the_note():
        replaced(bench, "note", "net_bind4")

    for damage in (other_link, map_for_a_link, no_link, no_note, other_note, link_for_the_note):
        bench.reset()
        bench.start()
        before = bench.links()
        damage()
        bench.start()
        after = bench.links()
        expect(sorted(after) == sorted(before), damage.__name__, before, after)
        expect(not set(after.values()) & set(before.values()), "%s: adopted" % damage.__name__, before, after)
        bench.start()
        expect(bench.links() == after, "%s: what put it right is not adopted" % damage.__name__)
    # A map of another shape in the place of ours: there is nothing to be put right without taking it away.
    bench.reset()
    bench.start()
    other_map()
    result = bench.start(code=125)
    expect("controls" in result.errors, *result.describe())


class Sleeper:
    """A metered run that lasts."""

    def __init__(self, bench):
        self.process = subprocess.Popen(bench.words("/bin/sleep", "60"), stderr=subprocess.PIPE, text=True)
        os.set_blocking(self.process.stderr.fileno(), False)
        self.said = ""
        deadline = time.monotonic() + 60
        while not glob.glob(RUNTIME + "/runs/*.sock") and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)

    def says(self, words, seconds):
        deadline = time.monotonic() + seconds
        while words not in self.said and time.monotonic() < deadline:
            try:
                self.said += os.read(self.process.stderr.fileno(), 65536).decode()
            except BlockingIOError:
                time.sleep(0.05)
        return words in self.said

    def end(self):
        os.set_blocking(self.process.stderr.fileno(), True)
        self.process.send_signal(signal.SIGTERM)
        self.process.stderr.close()
        self.process.wait(timeout=30)


def taken_away_is_noticed(bench):
    def unmounted():
        detach(OWN)

    def hidden():
        mount("tmpfs", OWN, "mode=700")

    def unlinked():
        os.unlink(bench.sets()[0] + "/net_connect6")

    for way in (unmounted, hidden, unlinked):
        bench.reset()
        bench.start()
        sleeper = Sleeper(bench)
        try:
            expect(not sleeper.says("detached", 2), "%s: too early" % way.__name__, sleeper.said)
            way()
            expect(sleeper.says("the meter's programs were detached", 4 * harness.SLOWER), way.__name__, sleeper.said)
            expect(sleeper.says("is frozen", 4 * harness.SLOWER), way.__name__, sleeper.said)
        finally:
            sleeper.end()


def an_upgrade_is_followed(bench):
    """As if what is pinned were of another build: the directory has its digest for a name."""
    bench.start()
    sleeper = Sleeper(bench)
    try:
        now = bench.sets()[0]
        before = bench.links()
        os.rename(now, re.sub("links-[0-9a-f]{16}", "links-0123456789abcdef", now))
        bench.start()
        after = bench.links()
        expect(not set(after.values()) & set(before.values()), "an upgrade adopted the old links", before, after)
        expect(not sleeper.says("detached", 3), sleeper.said)
        old, deadline = {program for _, program in before.values()}, time.monotonic() + 20
        while old & programs_of_the_host() and time.monotonic() < deadline:
            time.sleep(0.2)
        expect(not old & programs_of_the_host(), "the old programs stay attached", before, sleeper.said)
        expect(bench.links() == after and sleeper.process.poll() is None, sleeper.said)
    finally:
        sleeper.end()


def elsewhere_has_its_own(bench):
    """Where the pins cannot be seen a start works all the same, and leaves them alone."""
    bench.start()
    before = bench.links()
    hidden = ["unshare", "-m", "sh", "-c", "umount -l %s && exec \"$@\"" % OWN, "-"]
    result = harness.run(hidden + bench.words("/bin/true"), timeout=120)
    expect(result.code == 0, *result.describe())
    expect(bench.links() == before, "the pins of the others have changed")
    # Owners of slots are known by their pid, which means something else there.
    elsewhere = ["unshare", "-p", "-f", "--mount-proc"] + bench.words("/bin/true", state="elsewhere")
    result = harness.run(elsewhere, timeout=120)
    expect(result.code == 0, *result.describe())
    expect(bench.links() == before, "the pins of another pid namespace have changed")


def slots_of_the_dead_are_given_back(bench):
    """A supervisor that is killed leaves its slot; a later start takes it back, whatever the make is."""
    bench.start()
    for _ in range(3):
        sleeper = Sleeper(bench)
        sleeper.process.kill()
        sleeper.process.wait()
        sleeper.process.stderr.close()
        for name in glob.glob(RUNTIME + "/runs/*.sock"):
            os.unlink(name)
    # What is left of a killed run ends by itself, later where the machine is busy.
    for _ in range(20):
        bench.start()
        if not owners(bench):
            return
        time.sleep(0.5)
    raise Wrong("slots that are still taken: %s" % owners(bench))


def owners(bench):
    """Slots that somebody has: struct meter_control is posture and owner."""
    fd = get(os.path.dirname(bench.sets()[0]) + "/maps/controls")
    try:
        with mmap.mmap(fd, 4096 * 8, mmap.MAP_SHARED, mmap.PROT_READ) as memory:
            return [slot for slot in range(1, 2048) if memory[slot * 8 + 4:slot * 8 + 8] != bytes(4)]
    finally:
        os.close(fd)


ROWS = [a_start_pins_and_the_next_adopts, starts_at_once_make_one_set, looking_loads_nothing,
        a_bpffs_of_the_host_is_used, a_name_that_somebody_took_is_left_alone, something_else_in_the_place_is_refused,
        runtime_that_others_may_write_to_is_refused, damaged_sets_are_not_adopted, taken_away_is_noticed,
        an_upgrade_is_followed, elsewhere_has_its_own, slots_of_the_dead_are_given_back]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--berm", help="the program under test, else $BERM")
    parser.add_argument("--only", help="rows whose name holds this")
    arguments = parser.parse_args()
    berm = harness.find_berm(arguments.berm)
    if not harness.enter_mode("root") or LIBC.unshare(CLONE_NEWNS) < 0:
        print("1..0 # SKIP the meter's programs need root")
        return 1 if os.environ.get("MUST_RUN") else harness.SKIPPED
    checked(LIBC.mount(b"none", b"/", None, MS_PRIVATE_REC, None), "make / private")
    os.makedirs(RUNTIME, exist_ok=True)
    bench = Bench(berm)
    tap = harness.Tap()
    try:
        for row in ROWS:
            if arguments.only and arguments.only not in row.__name__:
                continue
            details = []
            try:
                bench.reset()
                row(bench)
            except (Wrong, OSError, ValueError, subprocess.SubprocessError) as error:
                details = [error]
            tap.row(not details, row.__name__.replace("_", " "), details)
    finally:
        LIBC.umount2(OWN.encode(), MNT_DETACH)
        shutil.rmtree(bench.top, ignore_errors=True)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
