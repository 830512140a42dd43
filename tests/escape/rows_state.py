# SPDX-License-Identifier: Apache-2.0
"""What a tool is handed: descriptors, directory, rights, /proc and /dev, and the other programs of the host."""
import ctypes
import mmap
import os
import resource
import signal

import harness
import inventory
from rows import Row

KERNEL_NODES = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "fd", "stdin", "stdout",
                "stderr", "mqueue", "console"}


def chain(*functions):
    def change():
        for function in functions:
            if function:
                function()
    return change


def outside_identity(world, inside):
    return harness.become(world.uid) if world.mode == "root" and not inside else None


def thousand_descriptors(world, inside):
    def open_many():
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        paths = ["/", world.denied, world.denied + "/canary", world.top, "/proc"]
        for number in range(1000):
            os.set_inheritable(os.open(paths[number % len(paths)], os.O_RDONLY), True)

    return {"close_fds": False, "preexec_fn": chain(open_many, outside_identity(world, inside))}


def stdin_of(path):
    def options(world, inside):
        world.stdin = os.open(path(world), os.O_RDONLY)
        values = {"stdin": world.stdin}
        identity = outside_identity(world, inside)
        if identity:
            values["preexec_fn"] = identity
        return values
    return options


def close_stdin(world, evidence, inside):
    os.close(world.stdin)


def hostile_launch(world, inside):
    """What a careless caller could hand down. All of it must be gone at the tool's first instruction."""
    def change():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM})
        signal.setitimer(signal.ITIMER_REAL, 300)
        os.umask(0)
        os.nice(5)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        # As services often have it: the tool must not be spared where memory runs out. Needs CAP_SYS_RESOURCE.
        for adjustment in ("500", "-500"):
            try:
                with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
                    file.write(adjustment)
            except OSError:
                pass
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        libc = ctypes.CDLL(None)
        libc.prctl(1, signal.SIGUSR1)  # PR_SET_PDEATHSIG
        libc.prctl(36, 1)  # PR_SET_CHILD_SUBREAPER

    return {"preexec_fn": chain(change, outside_identity(world, inside)), "cwd": "/"}


def values_of(evidence):
    found = {}
    for line in evidence.lines:
        key, colon, value = line.partition(":")
        if colon:
            found.setdefault(key, []).append(" ".join(value.split()))
    return found


# key: what it must be inside, for every time that it is printed.
GOLDEN = {
    "CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000",
    "CapBnd": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
    "SigBlk": "0000000000000000", "SigIgn": "0000000000000000", "SigPnd": "0000000000000000",
    "ShdPnd": "0000000000000000", "TracerPid": "0", "umask": "022", "pdeathsig": "0", "itimer": "0",
    "scheduler": "0", "keepcaps": "0", "child_subreaper": "0", "session": "inside", "controlling terminal": "no",
}
REPEATED = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
NAMESPACES = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")


def posture_faults(world, values):
    faults = []
    for key, wanted in GOLDEN.items():
        for value in values.get(key, ["missing"]):
            if value != wanted:
                faults.append("%s is %s, not %s" % (key, value, wanted))
    # 1 is what stops a core pattern that is a pipe, which 0 does not (core(5)).
    if values.get("limit CORE") not in (["0 0"], ["1 1"]):
        faults.append("limit CORE is %s" % values.get("limit CORE"))
    for prefix, count in (("thread", 8), ("child", 4)):
        for key in REPEATED:
            found = values.get("%s %s" % (prefix, key), [])
            if len(found) != count or set(found) != {GOLDEN[key]}:
                faults.append("%s of every %s: %s" % (key, prefix, found))
    for kind in NAMESPACES:
        if values.get("ns " + kind) == [os.readlink("/proc/self/ns/" + kind)]:
            faults.append("namespace %s is the host's" % kind)
    faults += ["descriptor: %s -> %s" % (key, value) for key, value in values.items()
               if key.startswith("fd ") and int(key[3:]) > 2]
    faults += ["signal %s" % key for key in values if key.startswith("signal ")]
    if "0" in (values.get("Uid") or ["0"])[0].split():
        faults.append("uid 0: %s" % values.get("Uid"))
    if int((values.get("oom_score_adj") or ["-1"])[0]) < 0:
        faults.append("oom_score_adj %s" % values.get("oom_score_adj"))
    return faults + mount_faults(world, values)


def mount_faults(world, values):
    faults = []
    points = {key[6:]: value[-1] for key, value in values.items() if key.startswith("mount ")}
    for point, value in points.items():
        options = value.split()[0].split(",")
        if point == "/proc":
            wanted = {"nosuid", "nodev", "noexec"}
        elif point.startswith("/dev/"):
            wanted = {"nosuid", "noexec"}
        elif point == world.ws or point == "/tmp":
            wanted = {"nosuid", "nodev", "noexec"}
        elif point == "/dev":
            wanted = {"nosuid", "noexec", "ro"}
        else:
            wanted = {"nosuid", "nodev"}
        if point in ("/", world.ro, world.bin):
            wanted = wanted | {"ro"}
        missing = wanted - set(options)
        if missing:
            faults.append("mount %s lacks %s: %s" % (point, ",".join(sorted(missing)), value))
    for point in (world.ws, world.ro, "/proc", "/dev", "/"):
        if point not in points:
            faults.append("no mount at " + point)
    return faults


def posture_check(world, evidence, inside):
    faults = posture_faults(world, values_of(evidence))
    if inside:
        return faults
    return [] if len(faults) > 20 else ["outside looks like inside"] + faults


def first_check(world, evidence, inside):
    values = values_of(evidence)
    lowest = (evidence.lines or ["?"])[0]
    faults = ["%s is %s" % (key, values.get(key)) for key in REPEATED if values.get(key) != [GOLDEN[key]]]
    if inside:
        return faults + ([] if lowest == "3" else ["lowest free descriptor is " + lowest])
    return [] if faults else ["outside looks like inside"]


def first_command(world, inside):
    return [world.bin + "/escape-first"]


def cwd_check(world, evidence, inside):
    found = evidence.values("CWD")
    if inside and found and not found[0].startswith(world.ws):
        return ["stands in " + found[0]]
    return []


def cwd_row(title, directory, outside):
    """-C DIR, which must be refused or end inside of the grant; the control stands where the attacker wants to be."""
    return Row("L02", title, "working-directory", ["leak"], check=cwd_check, directory=False, may_refuse=True,
               run_options=lambda world: ["-C", directory(world)], before=link_to_outside,
               popen=lambda world, inside: dict(outside_cwd(world, inside)))


def outside_cwd(world, inside):
    values = {} if inside else {"cwd": world.denied}
    identity = outside_identity(world, inside)
    if identity:
        values["preexec_fn"] = identity
    if inside:
        # The supervisor holds a directory of the host, as CVE-2024-21626 had it.
        def hold():
            os.dup2(os.open(world.denied, os.O_RDONLY | os.O_DIRECTORY), 7)
        values.update(preexec_fn=hold, close_fds=False)
    return values


def link_to_outside(world, inside):
    os.symlink(world.denied, world.ws + "/cwd-link")


GROUP = 54999


def group_file(world, inside):
    os.chmod(world.denied, 0o755)
    path = world.ro + "/group-canary"
    world.write(path, world.secret)
    os.chown(path, 0, GROUP)
    os.chmod(path, 0o040)


def with_group(world, inside):
    def change():
        os.setgroups([GROUP])
        if not inside:
            os.setresgid(world.uid, world.uid, world.uid)
            os.setresuid(world.uid, world.uid, world.uid)
    return {"preexec_fn": change}


def groups_check(world, evidence, inside):
    return ["NOTE " + line for line in evidence.values("NOTE") if inside and line.startswith("group ")]


def plant_socket(place, kind=1):
    """A listener that lies in a grant, as docker.sock (kind 1: streams) under a directory that was bound for something
    else, or the log's socket (kind 2: datagrams)."""
    def plant(world, inside):
        path = "%s/docker-%s.sock" % (getattr(world, place), os.urandom(3).hex())
        world.listeners.add("docker", 1, kind, path)
        world.listeners.reset()
        world.granted = path
    return plant


def forget_socket(world, evidence, inside):
    os.unlink(world.granted)


def hidden_arguments(world, inside):
    return {"SOCKET1": world.sockets + "/bus", "SOCKET2": world.sockets + "/agent", "SOCKET3": world.tmp_socket}


class SystemV:
    """Objects that the host's other programs hold, with the secret in them."""

    def __init__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.shmat.restype = ctypes.c_void_p
        self.queue = -1

    def make(self, world, inside):
        self.shared = self.libc.shmget(0, mmap.PAGESIZE, 0o1666)
        address = self.libc.shmat(self.shared, None, 0)
        ctypes.memmove(address, world.secret.encode() + b"\0", len(world.secret) + 1)
        self.libc.shmdt(ctypes.c_void_p(address))

    def remove(self, world, evidence, inside):
        self.libc.shmctl(self.shared, 0, None)

    def make_posix(self, world, inside):
        self.name = "/berm-" + world.token
        with open("/dev/shm" + self.name, "w", encoding="ascii") as file:
            file.write(world.secret)
        os.chmod("/dev/shm" + self.name, 0o666)
        self.queue = self.libc.mq_open(self.name.encode(), os.O_RDWR | os.O_CREAT, 0o666, None)
        self.libc.mq_send(self.queue, world.secret.encode(), len(world.secret), 1)
        world.posix_name = self.name

    def remove_posix(self, world, evidence, inside):
        os.unlink("/dev/shm" + self.name)
        if self.queue >= 0:
            os.close(self.queue)
            self.libc.mq_unlink(self.name.encode())


OBJECTS = SystemV()


def host_network(world):
    return world.profile("host-network", more="network:\n  mode: host\nsyscalls:\n  families: [unix, inet, inet6]\n")


def scope_lacking():
    """Landlock tells its version by a call: 6 brought scopes."""
    version = ctypes.CDLL(None).syscall(444, None, 0, 1)
    return None if version >= 6 else "Landlock scopes (ABI %d)" % version


def nodes_check(world, evidence, inside):
    names = {line.split()[0] for line in evidence.values("NODE")}
    if not inside:
        return [] if names - KERNEL_NODES else ["outside looks like inside"]
    return ["node " + name for name in sorted(names - KERNEL_NODES)]


def mount_list_check(world, evidence, inside):
    text = evidence.result.text
    # The path of a grant is known to who was granted it, and home has its name; siblings and the profile do not.
    words = [world.denied, world.profiles, world.sockets, world.abstract]
    found = [word for word in words if word in text]
    if not inside:
        return [] if world.abstract in text else ["/proc/net/unix does not show the host's sockets outside"]
    return ["shows " + word for word in found]


def own_values_check(world, evidence, inside):
    wrote = set(evidence.values("WROTE"))
    if not inside:
        return [] if wrote else ["nothing could be written outside"]
    # Its own slack and, as every process may, its own values upwards.
    own = {"/proc/self/oom_score_adj", "/proc/self/uid_map", "/proc/self/loginuid"}
    return ["wrote " + path for path in sorted(wrote) if path.startswith("/proc/1/") or path in own]


ROWS = [
    Row("L01", "1000 inherited descriptors", "inherited", ["proof", "leak"], popen=thousand_descriptors),
    Row("L01", "stdin opened again for writing", "reopen-stdio", ["tamper"], after=close_stdin,
        popen=stdin_of(lambda world: world.denied + "/canary")),
    Row("L01", "stdin is a directory of the host", "directory-stdin", ["leak", "tamper"], after=close_stdin,
        popen=stdin_of(lambda world: world.denied), may_refuse=True),
    cwd_row("working directory /proc/self/fd/7", lambda world: "/proc/self/fd/7", None),
    cwd_row("working directory /proc/1/root", lambda world: "/proc/1/root" + world.denied, None),
    cwd_row("working directory by ..", lambda world: world.ws + "/../outside", None),
    cwd_row("working directory by a link", lambda world: world.ws + "/cwd-link", None),
    Row("L08", "posture of a hostile launch, every thread and child", "posture", check=posture_check,
        popen=hostile_launch),
    Row("L11", "memory shared with somebody outside", "shared-maps", control=None),
    Row("C11", "posture at the first instruction", None, check=first_check, command=first_command),
    Row("C05", "groups of the supervisor", "supplementary-groups", ["leak"], control="root", before=group_file,
        popen=with_group, check=groups_check,
        arguments=lambda world, inside: {"GROUPFILE": world.ro + "/group-canary"}),
    Row("S04", "command lines of host processes", "list-processes", ["proof"], victim=True),
    Row("S04", "process ids near a known one", "guess-processes", ["proof"], victim=True),
    Row("S05", "values of PID 1 and of itself", "own-process-values", check=own_values_check, control="root"),
    Row("S08", "tracefs, debugfs, sysfs, bpffs", "pseudo-file-systems", ["proof"], control="root"),
    Row("S08", "nodes in /dev", "device-nodes", check=nodes_check, allowed=()),
    Row("S08", "devices of the host", "device-access", ["proof"], control="root"),
    Row("S10", "names of the host in the mount table and /proc/net", "mount-list", check=mount_list_check),
    Row("I01", "socket in a read-only grant", "granted-socket", ["bytes:docker"], before=plant_socket("ro"),
        after=forget_socket, arguments=lambda world, inside: {"SOCKET": world.granted}),
    Row("I01", "datagram socket in a read-only grant", "granted-socket", ["bytes:docker"], before=plant_socket("ro", 2),
        after=forget_socket, arguments=lambda world, inside: {"SOCKET": world.granted}),
    Row("I01", "socket in a writable grant", "granted-socket", ["bytes:docker"], before=plant_socket("ws"),
        after=forget_socket, arguments=lambda world, inside: {"SOCKET": world.granted}),
    Row("I02", "buses and agents outside of every grant, X11 in /tmp", "hidden-sockets", ["bytes:bus", "bytes:x11"],
        arguments=hidden_arguments),
    Row("I04", "abstract socket of the host", "abstract-socket", ["bytes:abstract"],
        arguments=lambda world, inside: {"SOCKET": "@" + world.abstract}),
    Row("I04", "abstract socket of the host, in the host's network", "abstract-socket", ["bytes:abstract"],
        profile=host_network, lacking=scope_lacking, arguments=lambda world, inside: {"SOCKET": "@" + world.abstract}),
    Row("I05", "System V shared memory and queues", "system-v", ["leak"], before=OBJECTS.make,
        after=OBJECTS.remove),
    Row("I05", "POSIX shared memory and queues", "posix-objects", ["leak"], before=OBJECTS.make_posix,
        after=OBJECTS.remove_posix,
        arguments=lambda world, inside: {"QUEUE": world.posix_name, "SHM": world.posix_name}),
]
