# SPDX-License-Identifier: Apache-2.0
"""What of a run reaches the log, and what of the log reaches other places: secrets and sinks."""
import json
import os
import random
import socket
import string
import subprocess
import time

import cases_record
import harness
import inventory
from sandbox import Skip

LETTERS = string.ascii_uppercase + string.digits
# Before, beginning and length of what is secret, behind.
KINDS = (
    ("https:" + "//user:", "", 14, "@host.example/path"),
    ("--password=", "", 12, ""),
    ("X-Api-Key: ", "", 24, ""),
    ("", "AKIA", 16, ""),
    ("", "ghp" + "_", 36, ""),
    ("", "sk" + "-", 40, ""),
    ("Authorization: Bearer ", "", 30, ""),
    ("in the middle ", "", 20, " of words"),  # known by its variable alone
    ("a", "", 18, "b"),                       # the same, without a border
    ("id ", "ACME-", 12, ""),                 # by the profile's expression
)


def secret(kind, number):
    """A secret with its digits, so that nobody takes it for a word."""
    before, begin, length, behind = KINDS[kind]
    text = "".join(random.choice(LETTERS) for _ in range(length - 3)) + "%03d" % number
    return before, begin + text, behind


def bytes_of(state):
    found = b""
    for name in os.listdir(state + "/log"):
        with open(state + "/log/" + name, "rb") as file:
            found += file.read()
    return found


def a_hundred_secrets_reach_no_byte_of_the_log(sandbox, case):
    state = cases_record.fresh_state(sandbox, "secrets")
    profile = sandbox.write_profile("secrets", "recorder: {redact: ['ACME-[A-Z0-9]+']}\n", )
    words, variables, secrets = [], {}, []
    for number in range(100):
        kind = number % len(KINDS)
        before, value, behind = secret(kind, number)
        secrets.append(value)
        words.append(before + value + behind)
        if kind in (7, 8):
            variables["HIDDEN%d_TOKEN" % number] = value
    result, status = cases_record.recorded(sandbox, state, ["/bin/sh", "-c", ":", "word"] + words, profile=profile,
                                           env=sandbox.environment(**variables))
    case.code(result, 0)
    records, verdict = cases_record.closed(sandbox, state)
    case.that(verdict == "good", verdict)
    data = bytes_of(state)
    # Any eight characters of one would be enough to know it again.
    left = [value for value in secrets for at in range(len(value) - 8)
            if value[at:at + 8].encode() in data and value[at:at + 8] not in ("ACME-",)]
    case.that(not left, sorted(set(left)))
    start = [record["run_start"] for record in cases_record.of_run(records, status["run"]) if "run_start" in record]
    case.that(len(start) == 1 and len(start[0]["argv"]) == 104, start)
    case.that(data.count(b"[redacted:") >= 100, data.count(b"[redacted:"))
    case.that(b"host.example/path" in data and b"of words" in data, "harmless words are gone")
    case.summary = "%d" % data.count(b"[redacted:")


def lines_of(path):
    try:
        with open(path, "rb") as file:
            return file.read().splitlines()
    except OSError:
        return []


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def the_operators_sinks_get_every_record(sandbox, case):
    state = cases_record.fresh_state(sandbox, "sinks")
    os.makedirs(state, 0o700)
    out, program = sandbox.top + "/sink.jsonl", sandbox.top + "/program.out"
    for path in (out, program):
        if os.path.exists(path):
            os.remove(path)
    sandbox.write_text(state + "/recorder.yaml", "version: 1\nsinks:\n"
                       "  - {type: file, format: jsonl, path: %s}\n"
                       "  - {type: exec, format: ocsf, command: [/bin/sh, -c, 'cat >>%s']}\n" % (out, program))
    runs = []
    for _ in range(3):
        result, status = cases_record.recorded(sandbox, state, ["/bin/true"])
        case.code(result, 0)
        runs.append(status["run"])
    records, verdict = cases_record.closed(sandbox, state)
    case.that(verdict == "good", verdict)
    case.that(wait_for(lambda: not inventory.processes_of("sinks", state)), "the process that sends is still there")
    told = [json.loads(line)["record"] for line in lines_of(out)]
    case.that([r["sequence"] for r in told] == list(range(1, len(told) + 1)), [r["sequence"] for r in told])
    # The log's own records, heads and seals, are among them.
    case.that([r for r in told if r["sequence"] in {q["sequence"] for q in records}] == records, told)
    case.that(len(lines_of(program)) == len(told), len(lines_of(program)))
    case.that(all("class_uid" in json.loads(line) for line in lines_of(program)), lines_of(program)[:1])
    case.that(set(runs) <= {r.get("run") for r in told}, runs)
    # It goes on where it ended.
    cases_record.recorded(sandbox, state, ["/bin/true"])
    records, _ = cases_record.closed(sandbox, state)
    case.that(wait_for(lambda: not inventory.processes_of("sinks", state)), "the process that sends is still there")
    again = [json.loads(line)["record"]["sequence"] for line in lines_of(out)]
    case.that(again == list(range(1, len(again) + 1)) and len(again) > len(told), again)
    case.that(again[-1] >= records[-1]["sequence"], again)


def a_sink_that_takes_nothing_delays_no_run(sandbox, case):
    state = cases_record.fresh_state(sandbox, "slow-sink")
    os.makedirs(state, 0o700)
    sandbox.write_text(state + "/recorder.yaml", "version: 1\nsinks:\n"
                       "  - {type: exec, command: [/bin/sleep, '5']}\n  - {type: file, path: /proc/none/there}\n")
    begin = time.monotonic()
    result, _ = cases_record.recorded(sandbox, state, ["/bin/true"])
    case.code(result, 0)
    case.that(time.monotonic() - begin < 5, time.monotonic() - begin)
    _, verdict = cases_record.closed(sandbox, state)
    case.that(verdict == "good", verdict)
    wait_for(lambda: not inventory.processes_of("sinks", state))



RSYSLOG = """global(workDirectory="%(top)s" maxMessageSize="128k")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="%(top)s/log.sock" UseSpecialParser="off" ParseHostname="on" RateLimit.Interval="0")
template(name="parts" type="string" string="%%app-name%%\\t%%msgid%%\\t%%syslogfacility%%\\t%%procid%%\\t%%msg%%\\n")
action(type="omfile" file="%(top)s/out" template="parts")
"""


def program(*paths):
    """The first of them that is there, or a loud skip."""
    for path in paths:
        if os.access(path, os.X_OK):
            return path
    raise Skip("no %s; tools/install-deps all installs it" % paths[0])


def run_and_close(sandbox, case, state):
    """The records of one run that was refused something, all of them sent."""
    sandbox.file("secret", "mine\n")
    result, _ = cases_record.recorded(sandbox, state, ["/bin/sh", "-c", "cat secret; exit 0"])
    case.code(result, 0)
    records, verdict = cases_record.closed(sandbox, state)
    case.that(verdict == "good", verdict)
    case.that(wait_for(lambda: not inventory.processes_of("sinks", state)), "the process that sends is still there")
    return records


def rsyslog_takes_every_record(sandbox, case):
    daemon = program("/usr/sbin/rsyslogd")
    state, top = cases_record.fresh_state(sandbox, "rsyslog"), sandbox.top + "/rsyslog"
    os.makedirs(state, 0o700)
    os.mkdir(top)
    sandbox.write_text(top + "/conf", RSYSLOG % {"top": top})
    sandbox.write_text(state + "/recorder.yaml", "version: 1\nsinks:\n"
                       "  - {type: syslog, format: jsonl, path: %s/log.sock}\n" % top)
    with open(top + "/told", "wb") as told:
        process = subprocess.Popen([daemon, "-n", "-f", top + "/conf", "-i", top + "/pid"], stdin=subprocess.DEVNULL,
                                   stdout=told, stderr=told)
    try:
        case.that(wait_for(lambda: os.path.exists(top + "/log.sock")), inventory.read(top + "/told"))
        records = run_and_close(sandbox, case, state)
        wait_for(lambda: len(lines_of(top + "/out")) >= len(records))
    finally:
        process.terminate()
        process.wait(timeout=30)
    lines = [line.decode().split("\t", 4) for line in lines_of(top + "/out")]
    case.that(all(len(line) == 5 and line[0] == "berm" and line[2] == "13" for line in lines), lines[:3])
    sent = [json.loads(line[4])["record"] for line in lines]
    case.that([r["sequence"] for r in sent] == list(range(1, len(sent) + 1)), [r["sequence"] for r in sent])
    case.that([r for r in sent if r["sequence"] in {q["sequence"] for q in records}] == records, sent)
    kinds = {line[1] for line in lines}
    case.that({"run_start", "run_end"} <= kinds, kinds)
    case.summary = "%d" % len(lines)


def journald_takes_every_record(sandbox, case):
    """A journald of its own, whose /run is a directory of this row."""
    if sandbox.mode != "root":
        raise Skip("journald runs as root")
    daemon, reader = program("/lib/systemd/systemd-journald"), program("/usr/bin/journalctl")
    state = cases_record.fresh_state(sandbox, "journald")
    os.makedirs(state, 0o700)
    run = sandbox.top + "/journald/"
    os.makedirs(run)
    script = "mount --bind %s /run && mkdir -p /run/systemd/journal /run/log/journal && exec %s" % (run, daemon)
    process = subprocess.Popen(["unshare", "-m", "--propagation", "private", "/bin/sh", "-c", script],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = run + "log/journal"
    sandbox.write_text(state + "/recorder.yaml", "version: 1\nsinks:\n"
                       "  - {type: journald, format: jsonl, path: %ssystemd/journal/socket}\n" % run)
    try:
        def read(word):
            directory = [journal + "/" + name for name in os.listdir(journal)]
            told = harness.run([reader, "-D", directory[0], "-o", "json", "--no-pager", "--all",
                                "SYSLOG_IDENTIFIER=" + word])
            return [json.loads(line) for line in told.text.splitlines()]

        def is_ready():
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                    sender.sendto(b"MESSAGE=x\nSYSLOG_IDENTIFIER=probe\n", run + "systemd/journal/socket")
                return bool(read("probe"))
            except (OSError, IndexError):
                return False
        case.that(wait_for(is_ready, 60), "no journald")
        records = run_and_close(sandbox, case, state)
        wait_for(lambda: len(read("berm")) >= len(records))
        entries = read("berm")
    finally:
        process.terminate()
        process.wait(timeout=30)
    sent = [json.loads(entry["BERM_RECORD"])["record"] for entry in entries]
    case.that([r["sequence"] for r in sent] == list(range(1, len(sent) + 1)), [r["sequence"] for r in sent])
    case.that([r for r in sent if r["sequence"] in {q["sequence"] for q in records}] == records, sent)
    case.that(all(entry["MESSAGE"] and entry["MESSAGE_ID"] and entry["_COMM"] == "berm-sinks" for entry in entries),
              entries[:1])
    case.summary = "%d" % len(entries)


NONE = "0000000000000000"


def status_of(pid):
    lines = inventory.read("/proc/%s/status" % pid).splitlines()
    return {name: words.strip() for name, _, words in (line.partition(":") for line in lines)}


def not_confined(sandbox, state):
    """What is wrong with berm's processes of that state directory, as words; a starter at work is so for a moment."""
    roles = [pid for role in ("recorder", "sinks", "anchor") for pid in inventory.processes_of(role, state)]
    found = {pid: status_of(pid) for pid in roles}
    if not all(found.values()):
        return ["a process that has just ended"]
    names = sorted(status["Name"] for status in found.values())
    wrong = [] if names == ["berm-anchor", "berm-recorder", "berm-sinks", "berm-starter", "berm-starter"] else names
    for pid, status in found.items():
        starter = status["Name"] == "berm-starter"
        words = [status[name] for name in ("Seccomp", "NoNewPrivs", "CapEff", "CapPrm")]
        if words[0] != "0" if starter else words != ["2", "1", NONE, NONE]:
            wrong += [status["Name"]] + words
        # Others cannot look into processes that are not dumpable, and have no bounding set to empty.
        if sandbox.mode == "root" and not starter and status["CapBnd"] != NONE:
            wrong += [status["Name"], status["CapBnd"]]
        if sandbox.mode == "root" and starter and sorted(os.listdir("/proc/%s/fd" % pid)) != ["0", "1", "2", "3"]:
            wrong += ["a starter has", *os.listdir("/proc/%s/fd" % pid)]
    return wrong


def berms_own_processes_are_confined(sandbox, case):
    """Each role while it works; who starts commands for it has a socket and nothing else."""
    state, kept = cases_record.fresh_state(sandbox, "confined"), sandbox.top + "/kept-confined"
    os.makedirs(state, 0o700)
    os.mkdir(kept)
    program = sandbox.write_text(sandbox.bin + "/witness", "#!/bin/sh\ncat >/dev/null\n")
    os.chmod(program, 0o755)
    sandbox.write_text(state + "/recorder.yaml", "version: 1\nsinks:\n"
                       "  - {type: file, format: jsonl, path: %s/lines}\n"
                       "  - {type: exec, format: jsonl, command: [/bin/sh, -c, 'cat >>%s/piped']}\n"
                       "anchor: {directory: %s, command: [%s]}\n" % (kept, kept, kept, program))
    process = sandbox.start(["/bin/sh", "-c", "while [ ! -e over ]; do sleep 0.05; done"], "--state-dir", state)
    try:
        # All of them work: a record came through each way.
        cases_record.wait_for(case, "lines", lambda: lines_of(kept + "/lines") and lines_of(kept + "/piped"), 30)
        cases_record.wait_for(case, "a head", lambda: any(n.endswith("head") for n in os.listdir(kept)), 30)
        if not cases_record.wait_for(case, "the walls", lambda: not not_confined(sandbox, state), 20):
            case.that(False, *not_confined(sandbox, state))
    finally:
        sandbox.file("over", "")
        process.communicate(timeout=60)
    records, verdict = cases_record.closed(sandbox, state)
    case.that(verdict == "good", verdict)
    for role in ("sinks", "anchor"):
        cases_record.wait_for(case, "its end", lambda name=role: not inventory.processes_of(name, state), 20)
    told = [json.loads(line)["record"] for line in lines_of(kept + "/lines")]
    case.that([r for r in told if r["sequence"] in {q["sequence"] for q in records}] == records, told)
    cases_record.wait_for(case, "the program's lines", lambda: len(lines_of(kept + "/piped")) == len(told), 20)


ROWS = (
    ("a hundred secrets reach no byte of the log", a_hundred_secrets_reach_no_byte_of_the_log),
    ("the operator's sinks get every record, and go on where they ended", the_operators_sinks_get_every_record),
    ("rsyslog takes every record, with its parts in their places", rsyslog_takes_every_record),
    ("journald takes every record as fields", journald_takes_every_record),
    ("a sink that takes nothing delays no run", a_sink_that_takes_nothing_delays_no_run),
    ("berm's own processes are confined while they work", berms_own_processes_are_confined),
)
