# SPDX-License-Identifier: Apache-2.0
"""The rows of run.py. An attack gets through outside (the same program, the same words, no berm) and not inside."""
import os
import shutil
import signal
import time

import clone
import harness
from world import GOOD, GOOD6, METADATA, MORE, OTHER, OTHER6, OTHER_PORT, PORT

HERE = os.path.dirname(os.path.abspath(__file__))
ALLOW = "{cidr: %s/%d, ports: [%s]%s}"
BOTH = [ALLOW % (GOOD, 32, PORT, ""), ALLOW % (GOOD6, 128, PORT, "")]
TRANSPORTS = ("tcp", "tcp-slowly", "fast-open", "fast-open-connect", "udp", "udp-connected")


class Bench:
    def __init__(self, sandbox, world):
        self.sandbox = sandbox
        self.world = world
        self.case = None
        self.tool = sandbox.bin + "/tool.py"
        shutil.copy(HERE + "/tool.py", self.tool)
        self.profiles = 0

    def for_case(self, case):
        self.case = case
        return self

    def that(self, good, *words):
        return self.case.that(good, *words)

    def command(self, *words):
        return ["/usr/bin/python3", self.tool] + [str(word) for word in words]

    def profile(self, allow, more=""):
        """allow: entries of network.allow; more: further top-level keys."""
        self.profiles += 1
        lines = "network:\n  allow:\n%s" % "".join("    - %s\n" % entry for entry in allow) if allow else ""
        return self.sandbox.write_profile("network-%d" % self.profiles, lines + more, read=[self.sandbox.bin])

    def inside(self, *words, allow=tuple(BOTH), more="", code=0):
        """The lines that the tool printed in a run."""
        result = self.sandbox.run(self.command(*words), profile=self.profile(allow, more))
        self.case.code(result, code)
        return result.text.split()

    def outside(self, *words):
        return harness.run(self.command(*words)).text.split()

    def arrived(self):
        return {where: count for where, count in self.world.settle().items()}

    def expect(self, wanted):
        got = self.arrived()
        self.that(got == wanted, "arrived %r, not %r" % (got, wanted))

    def attack(self, *deeds, allow=tuple(BOTH), more="", code="EPERM"):
        """Each deed (a line of words) gets through outside; inside each is told the code, and nothing arrives."""
        self.world.reset()
        lines = self.outside("batch", *deeds)
        self.that(lines == ["ok"] * len(deeds), "control said %r" % lines)
        control = self.arrived()
        self.world.reset()
        lines = self.inside("batch", *deeds, allow=allow, more=more)
        self.that(len(lines) == len(deeds), "inside said %r" % lines)
        for deed, line in zip(deeds, lines):
            self.that(line == code, "%s: %s inside, not %s" % (deed, line, code))
        got = self.arrived()
        self.that(control and not got, "%r arrived from outside, %r from inside" % (control, got))


def allowed_is_reached(b):
    wanted, deeds = {}, []
    for deed in TRANSPORTS:
        kind = "udp" if deed.startswith("udp") else "tcp"
        size = 1000 if kind == "udp" else 100000 if deed.startswith("tcp") else 700
        for address in (GOOD, GOOD6):
            deeds.append("%s %s %d %d" % (deed, address, PORT, size))
            wanted[(address, PORT, kind)] = wanted.get((address, PORT, kind), 0) + size
    lines = b.inside("batch", *deeds)
    b.that(lines == ["ok"] * len(deeds), lines)
    b.expect(wanted)


def others_are_refused(b):
    b.attack(*["%s %s %d 10" % (deed, address, port) for deed in TRANSPORTS
               for address, port in ((GOOD, OTHER_PORT), (OTHER, PORT), (GOOD6, OTHER_PORT), (OTHER6, PORT))])


def protocols_are_told_apart(b):
    only_tcp = [ALLOW % (GOOD, 32, PORT, ", proto: tcp")]
    only_udp = [ALLOW % (GOOD, 32, PORT, ", proto: udp")]
    udp, tcp = "udp %s %d 10" % (GOOD, PORT), "tcp %s %d 20" % (GOOD, PORT)
    b.attack(udp, allow=only_tcp)
    b.attack(tcp, allow=only_udp)
    b.world.reset()
    b.inside("batch", udp, allow=only_udp)
    b.inside("batch", tcp, allow=only_tcp)
    b.expect({(GOOD, PORT, "udp"): 10, (GOOD, PORT, "tcp"): 20})


def every_spelling_is_the_same(b):
    b.world.reset()
    lines = b.inside("tcp", "::ffff:" + GOOD, PORT, 10)
    b.that(lines == ["ok"], lines)
    b.expect({(GOOD, PORT, "tcp"): 10})
    b.attack(*["%s %s %d 10" % (deed, spelling, PORT) for deed in TRANSPORTS
               for spelling in ("::ffff:" + OTHER, "::FFFF:198.51.100.2", "0:0:0:0:0:ffff:c633:6402")])
    b.world.reset()
    odd = ("::" + OTHER, "64:ff9b::" + OTHER, "::")
    lines = b.inside("batch", *["%s %s %d 10" % (deed, spelling, PORT) for deed in TRANSPORTS for spelling in odd])
    b.that(len(lines) == len(odd) * len(TRANSPORTS), lines)
    b.expect({})


def datagrams_are_judged_one_by_one(b):
    b.world.reset()
    b.that(b.outside("many", PORT, 10, GOOD, OTHER, GOOD) == ["3"], "control")
    b.expect({(GOOD, PORT, "udp"): 20, (OTHER, PORT, "udp"): 10})
    b.world.reset()
    lines = b.inside("many", PORT, 10, GOOD, OTHER, GOOD)
    b.that(lines == ["1"], lines)
    b.expect({(GOOD, PORT, "udp"): 10})
    b.attack("udp-elsewhere %s %d %s %d 10" % (GOOD, PORT, OTHER, PORT),
             "udp-elsewhere %s %d %s %d 10" % (GOOD, PORT, GOOD, OTHER_PORT), "udp %s %d 0" % (OTHER, PORT))


def odd_sockets_are_refused(b):
    # (family, type, protocol): raw, ICMP, ICMP echo, packet, SCTP, netlink, vsock, MPTCP, UDP-Lite
    odd = [(2, 3, 255), (2, 3, 1), (10, 3, 58), (2, 2, 1), (17, 3, 3), (2, 1, 132), (16, 3, 0), (40, 1, 0), (2, 1, 262),
           (2, 2, 136)]
    deeds = ["make %d %d %d" % one for one in odd]
    through = b.outside("batch", *deeds).count("ok")
    b.that(through >= 4, "outside only %d of them can be made" % through)
    lines = b.inside("batch", *deeds)
    b.that(len(lines) == len(odd) and "ok" not in lines, list(zip(odd, lines)))
    b.that(b.inside("batch", "make 2 1 0", "make 2 2 0", "make 10 1 6", "make 10 2 17") == ["ok"] * 4, "plain sockets")


def loopback_is_the_runs_own(b):
    lines = b.inside("batch", "loopback", "bind 127.0.0.1 %d tcp" % PORT)
    b.that(lines == ["ok", "ok"], lines)
    deeds = ["%s %s %d 10" % (deed, address, PORT) for deed in ("tcp", "udp") for address in ("127.0.0.1", "::1")]
    b.world.reset()
    b.that(b.outside("batch", *deeds) == ["ok"] * 4, "control")
    b.that(len(b.arrived()) == 4, "control")
    b.world.reset()
    b.inside("batch", *deeds)
    b.expect({})


def the_hosts_end_is_no_way_around(b):
    """Services on all addresses of the host listen on the link too: only the rules keep a run from them."""
    deeds = ["gateway %s %d %s %d 10" % (good, PORT, deed, port) for good, port in ((GOOD, 4799), (GOOD6, 4798))
             for deed in TRANSPORTS]
    lines = b.inside("batch", *deeds)
    b.that(lines == ["EPERM"] * len(deeds), lines)
    b.expect({})
    whole = BOTH + [ALLOW % ("10.143.0.0", 16, 4799, "")]
    lines = b.inside("gateway", GOOD, PORT, "tcp", 4799, 10, allow=whole)
    b.that(lines == ["ok"], "control: %r" % lines)
    b.expect({("0.0.0.0", 4799, "tcp"): 10})


def metadata_needs_its_own_entry(b):
    wide = BOTH + [ALLOW % ("169.0.0.0", 8, PORT, "")]
    b.attack(*["%s %s %d 10" % (deed, METADATA, PORT) for deed in TRANSPORTS], allow=wide)
    b.world.reset()
    lines = b.inside("tcp", METADATA, PORT, 10, allow=[ALLOW % (METADATA, 32, PORT, "")])
    b.that(lines == ["ok"], lines)
    b.expect({(METADATA, PORT, "tcp"): 10})


def deny_wins(b):
    more = "  deny:\n    - {cidr: %s/32}\n" % OTHER
    wide = [ALLOW % ("198.51.100.0", 24, PORT, "")]
    b.attack("tcp %s %d 10" % (OTHER, PORT), "udp %s %d 10" % (OTHER, PORT), allow=wide, more=more)
    b.world.reset()
    b.that(b.inside("tcp", GOOD, PORT, 10, allow=wide, more=more) == ["ok"], "its neighbour")
    b.expect({(GOOD, PORT, "tcp"): 10})


def sent_bytes_stop_at_the_cap(b):
    cap = "blast_radius:\n  bytes_sent: 10KiB\n"
    b.world.reset()
    lines = b.inside("in-threads", 40, GOOD, PORT, 1000, more=cap)
    b.that(lines.count("ok") == 10, "%d went out" % lines.count("ok"))
    b.expect({(GOOD, PORT, "udp"): 10000})
    b.world.reset()
    b.that(b.outside("in-threads", 40, GOOD, PORT, 1000).count("ok") == 40, "control")
    for size in (10239, 10240, 10241, 100000):
        b.world.reset()
        b.inside("tcp", GOOD, PORT, size, more=cap)
        got = b.arrived().get((GOOD, PORT, "tcp"), -1)
        b.that(got == size if size <= 10240 else 0 <= got <= 10240, "%d of %d arrived" % (got, size))


def contacted_hosts_stop_at_the_cap(b):
    cap = "blast_radius:\n  hosts_contacted: 3\n"
    wide = [ALLOW % ("198.51.100.0", 24, PORT, "")]
    b.world.reset()
    lines = b.inside("each", "udp", PORT, 5, *(MORE[:3] + MORE[:3] + MORE[3:] + MORE[:3]), allow=wide, more=cap)
    b.that(lines == ["ok"] * 6 + ["EPERM"] * 6 + ["ok"] * 3, lines)
    b.expect({(address, PORT, "udp"): 15 for address in MORE[:3]})
    b.world.reset()
    lines = b.inside("each", "tcp", PORT, 5, *MORE[:5], allow=wide, more=cap)
    b.that(lines == ["ok"] * 3 + ["EPERM"] * 2, lines)
    b.expect({(address, PORT, "tcp"): 5 for address in MORE[:3]})


def a_trip_cuts_what_is_connected(b):
    pace = ("pace:\n  alternate:\n    when: [{event: denial, count: 1, within: 10m}]\n"
            "    then: {network: deny}\n")
    b.world.reset()
    lines = b.outside("send-until-denied", GOOD, PORT, OTHER, PORT)
    before = b.arrived().get((GOOD, PORT, "tcp"), 0)
    b.that(lines == ["ok", "ok", "ok"] and before > 20000, "control: %r, %d" % (lines, before))
    b.world.reset()
    process = b.sandbox.start(b.command("send-until-denied", GOOD, PORT, OTHER, PORT), profile=b.profile(BOTH, pace))
    said = [process.stdout.readline().decode().strip() for _ in range(2)]
    b.that(said == ["ok", "EPERM"], said)
    time.sleep(0.3)  # what left before is on its way
    first = b.arrived().get((GOOD, PORT, "tcp"), 0)
    time.sleep(2)
    second = b.arrived().get((GOOD, PORT, "tcp"), 0)
    b.that(0 < first == second, "%d bytes before, %d two seconds after" % (first, second))
    rest = process.stdout.read().decode().split()
    process.wait()
    b.that(rest == ["EPERM"], "a new connection after that: %r" % rest)


def large_datagrams_go_in_pieces(b):
    lines = b.inside("each", "udp", PORT, 20000, GOOD, GOOD6)
    b.that(lines == ["ok", "ok"], lines)
    b.expect({(GOOD, PORT, "udp"): 20000, (GOOD6, PORT, "udp"): 20000})
    b.attack("udp %s %d 20000" % (OTHER, PORT), "udp %s %d 20000" % (OTHER6, PORT))
    b.world.reset()
    lines = b.inside("each", "udp", PORT, 20000, GOOD, GOOD, more="blast_radius:\n  bytes_sent: 30000\n")
    b.that(lines == ["ok", "EPERM"], lines)
    b.expect({(GOOD, PORT, "udp"): 20000})


def nothing_listens_unasked(b):
    deeds = ["bind %s 4900 %s" % (address, kind) for address in ("0.0.0.0", "::") for kind in ("tcp", "udp")]
    b.that(b.outside("batch", *deeds) == ["ok"] * 4, "control")
    lines = b.inside("batch", *deeds, "bind 127.0.0.1 4900 tcp", "bind ::1 4900 udp")
    b.that(lines == ["EPERM"] * 4 + ["ok"] * 2, lines)


def options_are_refused(b):
    # (level, option, socket, value)
    options = {"SO_BINDTODEVICE": (1, 25, "tcp", b"berm0\0"), "SO_MARK": (1, 36, "tcp", b"\1\0\0\0"),
               "IP_TRANSPARENT": (0, 19, "tcp", b"\1\0\0\0"),
               "IP_OPTIONS": (0, 4, "udp", b"\x83\x07\x04\xc6\x33\x64\x02\0"),
               "TCP_ULP": (6, 31, "tcp", b"tls\0"), "IP_ADD_MEMBERSHIP": (0, 35, "udp", b"\xe0\0\0\xfb\0\0\0\0"),
               "IP_MULTICAST_IF": (0, 32, "udp", b"\0\0\0\0"), "SO_ATTACH_FILTER": (1, 26, "udp", bytes(16)),
               "SO_ATTACH_BPF": (1, 50, "udp", b"\0\0\0\0"), "SO_ATTACH_REUSEPORT_CBPF": (1, 51, "udp", bytes(16))}
    deeds = {name: "option %d %d %s %s" % (level, number, kind, value.hex())
             for name, (level, number, kind, value) in options.items()}
    lines = b.inside("batch", *deeds.values())
    b.that(lines == ["EPERM"] * len(deeds), list(zip(deeds, lines)))
    through = [deeds[name] for name in ("SO_MARK", "IP_TRANSPARENT", "IP_OPTIONS")]
    b.that(b.outside("batch", *through) == ["ok"] * 3, "control")
    b.that(b.inside("option", 6, 1, "tcp", "01000000") == ["ok"], "TCP_NODELAY")


def broadcast_and_multicast_are_refused(b):
    four = ["broadcast %s %d 10" % (address, PORT)
            for address in ("255.255.255.255", "224.0.0.251", "239.255.255.250", "10.143.255.255")]
    six = ["udp %s %d 10" % (address, PORT) for address in ("ff02::fb%berm0", "ff02::1%berm0")]
    lines = b.inside("batch", *four, *six)
    b.that(len(lines) == 6 and lines[:4] == ["EPERM"] * 4 and "ok" not in lines, lines)


def the_tool_cannot_change_its_link(b):
    lines = b.inside("change-interface")
    b.that(len(lines) == 8 and "ok" not in lines, lines)


def start_waiting(b, seconds=30):
    process = b.sandbox.start(b.command("wait", GOOD, PORT, seconds), profile=b.profile(BOTH))
    return process, process.stdout.readline().decode().strip(), process.stdout.readline().decode().strip()


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds * harness.SLOWER
    while time.monotonic() < end and not condition():
        time.sleep(0.05)
    return condition()


def kill_leaves_nothing(b):
    process, said, own = start_waiting(b)
    b.that(said == "ok" and len(b.world.links()) == 1, said, b.world.links())
    b.that(own.startswith("10.143."), own)
    process.send_signal(signal.SIGKILL)
    process.wait()
    b.that(wait_until(lambda: not b.world.links()), b.world.links())
    b.that(not b.world.tables(), b.world.tables())
    with open("/proc/net/fib_trie", encoding="ascii") as file:
        b.that("10.143." not in file.read(), "an address or a route is left")


def the_end_leaves_nothing(b):
    for words in (("tcp", GOOD, PORT, 1), ("each", "tcp", PORT, 1, OTHER)):
        b.inside(*words)
        b.that(not b.world.links() and not b.world.tables(), "at once: %r" % b.world.links())


def many_at_once(b):
    b.world.reset()
    started = [b.sandbox.start(b.command("wait", GOOD, PORT, 30), profile=b.profile(BOTH)) for _ in range(20)]
    lines = [(process.stdout.readline().decode().strip(), process.stdout.readline().decode().strip())
             for process in started]
    b.that(all(said == "ok" for said, _ in lines), lines)
    b.that(len({own for _, own in lines}) == 20, lines)
    b.that(len(b.world.links()) == 20, b.world.links())
    b.arrived()
    with b.world.lock:
        b.that(len(set(b.world.peers)) == 20, b.world.peers)
    for process in started:
        process.send_signal(signal.SIGTERM)
    for process in started:
        process.communicate()
    b.that(not b.world.links(), b.world.links())


def configured(b, text, words, *, code=2, mode=0o644):
    with open("/etc/berm/network.yaml", encoding="ascii") as file:
        before = file.read()
    try:
        b.world.configure(text)
        os.chmod("/etc/berm/network.yaml", mode)
        result = b.sandbox.run(b.command("tcp", GOOD, PORT, 1), profile=b.profile(BOTH))
        b.case.code(result, code)
        b.that(words in result.errors, "%r not in %s" % (words, result.errors))
        b.that("ok" not in result.text, result.text)
    finally:
        b.world.configure(before)


def what_is_configured_wrongly_is_said(b):
    start = "version: 1\npool: 10.143.0.0/16\n"
    configured(b, "version: 1\npool: 10.143.0.0/31\n", "/etc/berm/network.yaml:2:7: error[E030]")
    configured(b, start + "upling: eth0\n", "/etc/berm/network.yaml:3:1: error[E003]")
    configured(b, start, "writable by others", mode=0o666)
    configured(b, start + "uplink: eth9\n", "the uplink eth9 is no network interface", code=125)
    configured(b, "version: 1\npool: 198.51.100.0/24\n", "addresses of the pool are in use on lo", code=125)
    os.rename("/etc/berm/network.yaml", "/etc/berm/away")
    try:
        result = b.sandbox.run(b.command("tcp", GOOD, PORT, 1), profile=b.profile(BOTH))
        b.case.code(result, 125)
        b.that("network.yaml" in result.errors, result.errors)
    finally:
        os.rename("/etc/berm/away", "/etc/berm/network.yaml")


def a_full_pool_is_said(b):
    b.world.configure("version: 1\npool: 10.143.0.0/29\n")
    try:
        running = [start_waiting(b)[0] for _ in range(2)]
        result = b.sandbox.run(b.command("tcp", GOOD, PORT, 1), profile=b.profile(BOTH))
        b.case.code(result, 125)
        b.that("all 2 links of the pool 10.143.0.0/29 are in use" in result.errors, result.errors)
        for process in running:
            process.send_signal(signal.SIGTERM)
            process.communicate()
        result = b.sandbox.run(b.command("tcp", GOOD, PORT, 1), profile=b.profile(BOTH))
        b.case.code(result, 0)
    finally:
        b.world.configure("version: 1\npool: 10.143.0.0/16\npool6: fd62:6572:6d00::/64\n")


def without_pool6_there_is_no_ipv6(b):
    b.world.configure("version: 1\npool: 10.143.0.0/16\n")
    try:
        lines = b.inside("tcp", GOOD6, PORT, 1)
        b.that(lines == ["ENETUNREACH"] or lines == ["EADDRNOTAVAIL"], lines)
        b.that(b.inside("tcp", GOOD, PORT, 1) == ["ok"], "IPv4")
    finally:
        b.world.configure("version: 1\npool: 10.143.0.0/16\npool6: fd62:6572:6d00::/64\n")


def a_closed_profile_has_no_link(b):
    """The control of all rows: without network.allow there is nothing to reach and nothing is made."""
    b.world.reset()
    process = b.sandbox.start(["/bin/sleep", "2"], profile=b.profile(()))
    b.that(not wait_until(b.world.links, 1), "a link without a rule")
    process.wait()
    lines = b.inside("each", "tcp", PORT, 1, GOOD, GOOD6, allow=())
    b.that("ok" not in lines, lines)
    b.expect({})


ROWS = [
    ("N01 an allowed address and port gets every byte", allowed_is_reached),
    ("N01 N02 other ports and addresses get none, however it is tried", others_are_refused),
    ("N01 TCP and UDP are told apart", protocols_are_told_apart),
    ("N04 an address is the same in every spelling", every_spelling_is_the_same),
    ("N05 datagrams are judged one by one", datagrams_are_judged_one_by_one),
    ("N08 N17 sockets other than TCP and UDP are not made", odd_sockets_are_refused),
    ("N11 nothing listens on the link unasked", nothing_listens_unasked),
    ("N16 loopback is the run's own, the host's is out of reach", loopback_is_the_runs_own),
    ("N16 services on all addresses of the host are out of reach by the link", the_hosts_end_is_no_way_around),
    ("N16 N23 metadata needs an entry of its own", metadata_needs_its_own_entry),
    ("deny wins over a wider allow", deny_wins),
    ("N19 options that change where packets go are refused", options_are_refused),
    ("N20 the tool cannot change its link", the_tool_cannot_change_its_link),
    ("N22 a trip cuts what is connected", a_trip_cuts_what_is_connected),
    ("N23 broadcast and multicast are refused", broadcast_and_multicast_are_refused),
    ("N25 sent bytes stop at the cap", sent_bytes_stop_at_the_cap),
    ("N25 contacted hosts stop at the cap", contacted_hosts_stop_at_the_cap),
    ("every byte of a git clone is counted", clone.every_byte_of_a_clone_is_counted),
    ("large datagrams go in pieces and are judged as one", large_datagrams_go_in_pieces),
    ("berm killed leaves no link, route, address or filter", kill_leaves_nothing),
    ("the end of a run leaves nothing, at once", the_end_leaves_nothing),
    ("twenty runs at once have twenty links", many_at_once),
    ("what is configured wrongly is said with its place", what_is_configured_wrongly_is_said),
    ("a full pool is said, and a run that ended gives back", a_full_pool_is_said),
    ("without pool6 there is no IPv6", without_pool6_there_is_no_ipv6),
    ("without network.allow there is no link", a_closed_profile_has_no_link),
]
