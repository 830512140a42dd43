# SPDX-License-Identifier: Apache-2.0
"""Kernel entries: which calls, doors and devices can be reached, and what they tell."""
import gzip
import os
import re

import harness
import inventory
from rows import Row

EPERM, ENOSYS, SIGSYS_ANSWER = 1, 38, 331
# What the sweep cannot tell from a refusal: these answer EPERM or ENOSYS, or never return, when they are called with
# six zeros and no filter at all. Each needs its own row elsewhere, or has no effect with zeros.
READABLE_INSIDE = {"/proc/config.gz", "/proc/timer_list", "/proc/modules", "/proc/sys/kernel/core_pattern",
                   "/proc/keys", "/proc/iomem", "/proc/vmallocinfo"}


def kernel_has(option):
    """None when the running kernel was built with the option, or does not say; else what is missing."""
    try:
        with gzip.open("/proc/config.gz", "rt") as file:
            text = file.read()
    except OSError:
        return None
    return None if re.search("^%s=[ym]$" % option, text, re.M) else option


def needs(option):
    return lambda: kernel_has(option)


def needs_program32():
    return kernel_has("CONFIG_IA32_EMULATION")


def x32_check(world, evidence, inside):
    return []


def planned_calls(world):
    """number -> (name, what happens to it, whether arguments matter), from the printed plan."""
    result = harness.run([world.berm, "profile", "show", "--plan", world.profiles + "/escape.yaml"],
                         env={"PATH": "/usr/bin:/bin", "HOME": world.home}, cwd=world.ws)
    calls = {}
    for line in result.text.splitlines():
        found = re.match(r"syscall +(\S+) (\d+) (\w+)(?:\(\d+\))?(;)?", line)
        if found:
            name, number, action, cases = found.groups()
            calls[int(number)] = (name, action, bool(cases))
    return calls


def call_answers(evidence):
    answers = {}
    for line in evidence.values("CALL"):
        number, answer = line.split()
        answers[int(number)] = int(answer)
    return answers


def sweep_check(world, evidence, inside):
    """Every number answers as the plan says: nothing more is reachable, nothing less."""
    answers = call_answers(evidence)
    if len(answers) != 1024:
        return ["only %d numbers were tried" % len(answers)]
    if not inside:
        world.outside_answers = answers
        works = sum(answer not in (EPERM, ENOSYS) for answer in answers.values())
        return [] if works > 200 else ["hardly any call works"]
    calls = planned_calls(world)
    wrong, reached = ([] if len(calls) > 200 else ["the plan lists only %d calls" % len(calls)]), 0
    for number, answer in sorted(answers.items()):
        name, action, cases = calls.get(number, ("?", "none", False))
        # What is traced is told to the supervisor and then goes on.
        allowed = action in ("allow", "trace")
        refused = answer in (EPERM, ENOSYS, SIGSYS_ANSWER)
        natural = world.outside_answers[number] in (EPERM, ENOSYS, SIGSYS_ANSWER)
        reached += not refused
        if not allowed and not refused:
            wrong.append("%d (%s) is not allowed and answers %d" % (number, name, answer))
        if allowed and refused and not natural and not cases:
            wrong.append("%d (%s) is allowed and answers %d" % (number, name, answer))
    evidence.summary = "%d of 1024 numbers are reached" % reached
    return wrong


def readable_check(world, evidence, inside):
    found = set(evidence.values("READABLE"))
    if not inside:
        return [] if found else ["nothing could be read outside"]
    return ["readable: " + path for path in sorted(found - READABLE_INSIDE)]


def sockets_check(world, evidence, inside):
    found = {int(line.split()[0]) for line in evidence.values("SOCKET")}
    pairs = evidence.values("PAIR")
    if not inside:
        return [] if len(found) >= 3 else ["hardly any family opens outside"]
    evidence.summary = "families %s" % sorted(found)
    # unix, inet and inet6 are the default of the profile language.
    return ["family %d" % family for family in sorted(found - {1, 2, 10})] + ["pair " + pair for pair in pairs]


def random_arguments(world, inside):
    return {"ROUNDS": 2000, "SECONDS": 25, "SEED": int.from_bytes(os.urandom(3), "big")}


def random_check(world, evidence, inside):
    evidence.summary = "%s calls" % (evidence.values("COUNT") or ["0"])[0]
    return [] if inventory.read("/proc/uptime") else ["the host is gone"]


def value_files(world, inside):
    world.values_before = host_values()


HOST_VALUES = ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/randomize_va_space",
               "/proc/sys/net/ipv4/ip_forward", "/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/pid_max",
               "/proc/sys/user/max_user_namespaces", "/proc/sys/vm/memfd_noexec", "/proc/sys/kernel/hostname")


def host_values():
    return {path: inventory.read(path) for path in HOST_VALUES}


def values_check(world, evidence, inside):
    """The control writes a file only; that the host's values can be written by root needs no proof on this host."""
    now = host_values()
    wrong = ["host value changed: " + path for path in HOST_VALUES if now[path] != world.values_before[path]]
    if inside:
        wrong += ["writable: " + path for path in evidence.values("WRITABLE")]
    return wrong


def values_arguments(world, inside):
    return {} if inside else {"FILE": world.denied + "/canary"}


ROWS = [
    Row("K01", "i386 calls by int 0x80", "int80", ["proof"], lacking=needs("CONFIG_IA32_EMULATION")),
    Row("K01", "far jump into the 32-bit code segment", "far-jump", ["proof"],
        lacking=needs("CONFIG_IA32_EMULATION")),
    Row("K01", "static 32-bit program", "program32", ["proof"], lacking=needs_program32,
        arguments=lambda world, inside: {"PROGRAM32": world.bin + "/escape-program32"}),
    # The control is that the table is swept at all: no kernel of the matrix was built with x32.
    Row("K02", "x32 numbers 0 to 547", "x32", control=None),
    Row("K04", "numbers 0 to 1023 answer as the plan says", "sweep", check=sweep_check, timeout=180),
    Row("K04", "numbers that do not fit", "odd-numbers", control=None),
    Row("K05", "io_uring", "rings", ["proof"], lacking=needs("CONFIG_IO_URING")),
    Row("K07", "own listener for notifications", "own-listener", ["proof"]),
    Row("K07", "own filters on top of the first", "stack-filters", ["proof"]),
    Row("K08", "system call number rewritten by a tracer", "rewrite-number", ["proof"]),
    Row("K10", "fsopen, fsconfig, fspick", "new-mount-api", ["proof"], control="mounts"),
    Row("K10", "userfaultfd, perf, keyrings, modules, kexec, clocks", "risky-calls", ["proof"]),
    Row("K11", "ways into the page cache and netlink", "page-cache-tools", ["proof"]),
    Row("K11", "TLS upper layer and programs on sockets", "tls-layer", ["proof"]),
    Row("K13", "what tells about the kernel", "information", ["proof"], control="root", check=readable_check),
    Row("K16", "random calls", "random-calls", control=None, arguments=random_arguments, check=random_check,
        timeout=90, slow=True),
    Row("S07", "bpf programs, maps and pins", "load-programs", ["proof"], control="root"),
    Row("N01", "TCP to every address of the host", "connect-tcp", ["bytes:tcp"]),
    Row("N02", "TCP fast open", "tcp-fast-open", ["bytes:tcp"]),
    Row("N05", "UDP by sendto, sendmsg, sendmmsg", "send-udp", ["bytes:udp"]),
    Row("N08", "socket families 0 to 46, every type", "families", check=sockets_check),
    Row("N17", "raw, packet, netlink, vsock sockets", "raw-sockets", ["proof"], control="root"),
    Row("C01", "rights taken back", "regain-rights", ["proof"], control="root"),
    Row("C04", "namespaces of others joined", "join-namespaces", ["proof"], control="root",
        arguments=lambda world, inside: {"OWN": 1}),
    Row("C07", "cgroup v1 release_agent in a fresh namespace", "release-agent", ["proof"], control="root"),
    Row("C08", "values that act on the host", "write-host-values", ["tamper"], before=value_files,
        check=values_check, arguments=values_arguments),
    Row("C10", "mounts over everything", "cover", ["proof"], control="mounts"),
    Row("C10", "root in a namespace of the tool's own", "namespaces", ["proof"]),
]
