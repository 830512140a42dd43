# SPDX-License-Identifier: Apache-2.0
"""The contract of berm run: exit codes, records, streams, signals, environment, directory."""
import os
import pty
import shlex
import signal
import subprocess
import threading
import time

import harness
import inventory
from cases_record import wait_for

STREAM_BYTES = 100 << 20
READERS = 30


def own_codes(sandbox, case):
    for code in (0, 1, 42, 124, 125, 255):
        case.code(sandbox.shell("exit %d" % code), code)


def signal_codes(sandbox, case):
    for name in ("KILL", "SEGV", "TERM", "ABRT"):
        case.code(sandbox.shell("kill -%s $$" % name), 128 + getattr(signal, "SIG" + name))


def not_found(sandbox, case):
    for name in ("no-such-program", "/usr/bin/no-such-program", "./no-such-program", "/absent/x"):
        result = sandbox.run([name])
        case.code(result, 127)
        case.that(result.errors.startswith("berm: ") and name in result.errors, "no reason:", result.errors)
        case.that(result.stdout == b"", "stdout is not empty")


def not_executable(sandbox, case):
    path = sandbox.file("plain", "text\n")
    for name in (path, sandbox.ws):
        result = sandbox.run([name])
        case.code(result, 126)
        case.that(result.errors.startswith("berm: "), "no reason:", result.errors)


def time_limit(sandbox, case):
    start = time.monotonic()
    case.code(sandbox.run(["sleep", "20"], "--timeout", "300ms"), 124)
    case.code(sandbox.shell("trap '' TERM; sleep 20 & sleep 20; sleep 20", "--timeout", "300ms"), 124)
    took = time.monotonic() - start
    case.that(took < 8, "took %.1f s" % took)
    result, record = sandbox.record(["sleep", "20"], "--timeout", "200ms")
    case.that(record and record["outcome"] == "timeout" and record["code"] == 124, "record %s" % record)
    case.code(sandbox.run(["true"], "--timeout", "30s"), 0)


def bad_input(sandbox, case):
    plain = [sandbox.berm, "run"]
    for words in ([], ["-p", sandbox.profile], ["--no-such-option", "true"],
                  ["-p", sandbox.profile, "--timeout", "soon", "true"],
                  ["-p", sandbox.profile, "--allow-degraded=everything", "--", "true"]):
        result = sandbox_run(sandbox, plain + words)
        case.code(result, 2)
        case.that("usage: berm run" in result.errors or "berm" in result.errors, "no usage:", result.errors)


def sandbox_run(sandbox, argv):
    return harness.run(argv, env=sandbox.environment(), cwd=sandbox.ws)


def bad_profile(sandbox, case):
    path = sandbox.write_text(sandbox.top + "/bad.yaml", "version: 1\nname: bad\nfs:\n  reads: [/usr]\n")
    result = sandbox.run(["true"], profile=path)
    case.that(result.code in (2, 125), "exit %s" % result.code)
    case.that("bad.yaml:4:3: error[E" in result.errors and "did you mean" in result.errors, result.errors)
    case.that("read" in result.errors, "no suggestion", result.errors)


def pending_section(sandbox, case):
    path = sandbox.write_profile("pending", "blast_radius:\n  tool_calls: 25\n")
    result = sandbox.run(["true"], profile=path)
    case.code(result, 125)
    case.that("blast_radius" in result.errors and "pending.yaml" in result.errors, result.errors)


def record_of_success(sandbox, case):
    result, record = sandbox.record(["sh", "-c", "exit 3"])
    case.code(result, 3)
    if not case.that(record, "no record"):
        return
    case.that(record.get("version") == 1 and record.get("outcome") == "exited" and record.get("code") == 3, record)
    case.that(record.get("denials") == [], "denials", record.get("denials"))
    case.that(len(record.get("plan_digest", "")) == 64, "plan_digest", record.get("plan_digest"))
    case.that(isinstance(record.get("enforcement"), dict) and record["enforcement"], "enforcement", record)
    case.that(isinstance(record.get("duration_ms"), int), "duration_ms", record)
    case.that(result.errors == "", "stderr is not silent:", result.errors)


def record_of_signal(sandbox, case):
    result, record = sandbox.record(["sh", "-c", "kill -9 $$"])
    case.code(result, 137)
    case.that(record and record["outcome"] == "signaled" and record["signal"] in (9, "KILL", "SIGKILL"), record)
    result, record = sandbox.record(["/no/such"])
    case.that(record and record["outcome"] == "refused" and record["code"] == 127, record)


def digest_is_stable(sandbox, case):
    digests = {sandbox.record(["true"])[1]["plan_digest"] for _ in range(3)}
    case.that(len(digests) == 1, digests)


def denial_footer(sandbox, case):
    script = "import os\ntry:\n os.unshare\nexcept AttributeError:\n pass\nimport ctypes\nl=ctypes.CDLL(None)\n" \
        "print(l.unshare(0x10000000))\nprint(l.mount(b'x',b'/tmp',b'tmpfs',0,None))\n"
    result, record = sandbox.record(["python3", "-c", script])
    case.code(result, 0)
    case.that(result.text.split() == ["-1", "-1"], result.text)
    denials = (record or {}).get("denials") or []
    found = {denial["target"]: denial for denial in denials}
    case.that({"unshare", "mount"} <= set(found), "denials %s" % denials)
    for denial in denials:
        case.that(set(denial) >= {"id", "op", "target", "rule", "line", "count", "hint"}, denial)
    case.that("unshare" in result.errors and result.errors.startswith("berm: "), "footer:", result.errors)


def every_denial_is_counted(sandbox, case):
    """A flood is counted to the last call, and the lists stay short."""
    script = "import ctypes\nl=ctypes.CDLL(None)\nfor n in range(6000):\n" \
        " l.unshare(0x10000000) if n % 2 else l.socket(n % 400 + 100, 1, 0)\n"
    result, record = sandbox.record(["python3", "-c", script])
    case.code(result, 0)
    counted = sum(denial["count"] for denial in record["denials"]) + record.get("denials_not_listed", 0)
    case.that(record.get("denials_total") == 6000 and counted == 6000, "total %s, listed %s" % (
        record.get("denials_total"), counted))
    case.that(len(result.errors.splitlines()) < 200, "the footer has %d lines" % len(result.errors.splitlines()))


def words_of_the_tool_are_escaped(sandbox, case):
    """Terminal sequences in names never reach the caller's terminal by way of berm's own lines."""
    hostile = "no\x1b]52;c;x\x07such\r\nname\u202e"
    result = sandbox.run([hostile])
    case.code(result, 127)
    traced = sandbox.run(["cat", "/etc/" + hostile], "--trace-denials")
    for text in (result.stderr, b"\n".join(line for line in traced.stderr.splitlines() if line.startswith(b"berm"))):
        bad = [byte for byte in text if byte < 32 and byte != 10 or byte == 127]
        case.that(not bad and "\u202e".encode() not in text, "raw bytes %s in %r" % (bad, text))
    case.that("berm:" in traced.errors and "such" in traced.errors, "the refused path is not reported", traced.errors)


def traced_names_are_followed(sandbox, case):
    """--trace-denials goes by what a name leads to: a granted file behind a link is not reported, nor is the run's
    own home; what is missing is reported where it would be."""
    profile = sandbox.write_text(sandbox.top + "/usr-only.yaml", "version: 1\nname: usr-only\nfs:\n  read: [/usr]\n"
                                 "  write: [\"%s\"]\n" % sandbox.ws)
    os.symlink("/etc", sandbox.ws + "/elsewhere")
    script = "cat /lib/os-release; echo x > $HOME/mine; cat /lib/absent; echo x > elsewhere/new; cat /etc/shadow"
    result, record = sandbox.record(["/usr/bin/sh", "-c", script], "--trace-denials", profile=profile)
    seen = {(denial["op"], denial["target"]) for denial in record["denials"]}
    case.that(b"PRETTY_NAME" in result.stdout, "the file behind the link cannot be read")
    case.that(("write", "/etc/new") in seen and ("read", "/etc/shadow") in seen, seen)
    case.that(not [target for _, target in seen if "os-release" in target or "mine" in target or "absent" in target],
              seen)


def berm_in_berm(sandbox, case):
    """A run inside a run is refused cleanly: the walls inside cannot be built."""
    profile = sandbox.write_profile("nested", read=[sandbox.bin, sandbox.profile])
    result = sandbox.run([sandbox.berm, "run", "-p", sandbox.profile, "--", "true"], profile=profile)
    case.code(result, 125)
    case.that("berm: " in result.errors, result.errors)


def environment_is_scrubbed(sandbox, case):
    values = sandbox.environment(AWS_SECRET_ACCESS_KEY="x", LD_PRELOAD="/x.so", LC_ALL="C", NAMED="one",
                                 SET_BY_PROFILE="no")
    result = sandbox.run(["env"], "--env", "NAMED", "--env", "GIVEN=two words", env=values)
    found = dict(line.split("=", 1) for line in result.text.splitlines())
    case.that(found.get("NAMED") == "one" and found.get("GIVEN") == "two words", found)
    case.that(found.get("LC_ALL") == "C" and found.get("SET_BY_PROFILE") == "yes", found)
    case.that("AWS_SECRET_ACCESS_KEY" not in found and "LD_PRELOAD" not in found, found)
    for name in ("PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "SHELL", "BERM_RUN"):
        case.that(name in found, "%s is missing" % name)


def directory(sandbox, case):
    sandbox.file("sub/file", "x\n")
    case.that(sandbox.run(["pwd"]).text.strip() == sandbox.ws, "pwd is not -C")
    result = sandbox.run(["pwd"], directory=False, cwd=sandbox.ws)
    case.that(result.text.strip() == sandbox.ws, "pwd without -C:", *result.describe())
    result = sandbox.run(["true"], "-C", sandbox.ws + "/none")
    case.that(result.code in (2, 125) and "none" in result.errors, *result.describe())


def binary_stream(sandbox, case):
    """100 MiB of every byte through the tool, unchanged."""
    block = bytes(range(256)) * 4096
    process = sandbox.start(["cat"], stdin=subprocess.PIPE)

    def feed():
        for _ in range(STREAM_BYTES // len(block)):
            process.stdin.write(block)
        process.stdin.close()

    writer = threading.Thread(target=feed)
    writer.start()
    start, total, good = time.monotonic(), 0, True
    while True:
        data = process.stdout.read(len(block))
        if not data:
            break
        good &= data == block[:len(data)]
        total += len(data)
    writer.join()
    case.that(good and total == STREAM_BYTES, "%d bytes came back" % total)
    case.that(process.wait() == 0 and process.stderr.read() == b"", "exit or stderr")
    process.stdout.close()
    process.stderr.close()
    case.summary = "%.0f MB/s" % (total / 1e6 / (time.monotonic() - start))


def streams_apart(sandbox, case):
    result = sandbox.shell("echo out; echo err >&2; cat", stdin=subprocess.DEVNULL)
    case.that(result.stdout == b"out\n" and result.stderr == b"err\n", *result.describe())


def terminal(sandbox, case):
    """A terminal stays one, and the tool has no way to type into it."""
    master, slave = pty.openpty()
    result = sandbox.run(["sh", "-c", "test -t 0 && test -t 1 && stty size && exit 7"], stdin=slave, stdout=slave)
    os.close(slave)
    os.close(master)
    case.code(result, 7)


def signals_forwarded(sandbox, case):
    for name in ("TERM", "INT", "HUP", "USR1", "USR2", "QUIT"):
        script = "trap 'echo got; exit 9' %s; echo ready; while :; do sleep 0.05; done" % name
        process = sandbox.start(["sh", "-c", script])
        process.stdout.readline()
        process.send_signal(getattr(signal, "SIG" + name))
        out, errors = process.communicate(timeout=10)
        case.that(process.returncode == 9 and out == b"got\n",
                  "%s: exit %s %r %r" % (name, process.returncode, out, errors))


def default_signal(sandbox, case):
    process = sandbox.start(["sh", "-c", "echo ready; sleep 20"])
    process.stdout.readline()
    process.terminate()
    process.communicate(timeout=10)
    case.that(process.returncode == 143, "exit %s" % process.returncode)


def orphans_end(sandbox, case):
    start = time.monotonic()
    case.code(sandbox.shell("setsid sleep 50 >/dev/null 2>&1 & exit 4"), 4)
    case.that(time.monotonic() - start < 5, "waited for the orphan")


def is_quiet(path):
    """Nobody writes to it any more: who did, did ten times a second."""
    before = os.stat(path).st_mtime_ns
    time.sleep(2)
    return os.stat(path).st_mtime_ns == before


# Four processes that send the first process of the run what it takes, and one whose children are that process's.
BUSY = """
import os, signal, time
for number in range(6):
    if os.fork() == 0:
        while True:
            if number < 4:
                os.kill(1, signal.SIGRTMIN)
            elif number == 4 and os.fork() == 0:
                if os.fork() == 0:
                    os._exit(0)
                os._exit(0)
            elif number == 4:
                os.wait()
            else:
                open("alive", "w").write(str(time.monotonic()))
                time.sleep(0.1)
while True:
    signal.pause()
"""


def signals_do_not_keep_the_time_away(sandbox, case):
    """Who floods the first process of a run with signals, and with orphans, still ends in time without berm."""
    process = sandbox.start(["/usr/bin/python3", "-c", BUSY], "--timeout", "3s")
    wait_for(case, "the tool", lambda: os.path.exists(sandbox.ws + "/alive"))
    process.send_signal(signal.SIGSTOP)
    wait_for(case, "the end of the tool", lambda: is_quiet(sandbox.ws + "/alive"), 60)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=60 * harness.SLOWER)
    case.that(process.returncode == 124, process.returncode)


def time_goes_on_while_berm_is_stopped(sandbox, case):
    """A terminal does not stop berm; who can stop it by force stops no clock with it."""
    script = ["/bin/sh", "-c", "while :; do date > alive; sleep 0.1; done"]
    process = sandbox.start(script, "--timeout", "2s", process_group=0)
    wait_for(case, "the tool", lambda: os.path.exists(sandbox.ws + "/alive"))
    for number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        process.send_signal(number)
    process.communicate(timeout=60 * harness.SLOWER)
    case.that(process.returncode == 124, process.returncode)
    os.unlink(sandbox.ws + "/alive")
    process = sandbox.start(script, "--timeout", "2s", process_group=0)
    wait_for(case, "the tool", lambda: os.path.exists(sandbox.ws + "/alive"))
    process.send_signal(signal.SIGSTOP)
    wait_for(case, "the end of the tool", lambda: is_quiet(sandbox.ws + "/alive"), 60)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=60 * harness.SLOWER)
    case.that(process.returncode == 124, process.returncode)


def who_reads_a_tree_starts_beside_who_writes_it(sandbox, case):
    """A run that may write holds the names that are denied and not there with placeholders, which come and go."""
    text = inventory.read(sandbox.profile)
    reading = sandbox.write_text(sandbox.top + "/reading.yaml", text.replace("  write:\n", ""))
    end = sandbox.top + "/enough"
    writing = " ".join(shlex.quote(word) for word in sandbox.command(["/bin/true"]))
    script = "n=0; while [ ! -e %s ]; do %s || exit 1; n=$((n+1)); done; echo $n" % (end, writing)
    writers = [subprocess.Popen(["/bin/sh", "-c", script], env=sandbox.environment(), cwd=sandbox.ws, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
               for _ in range(2)]
    failed = [result for result in (sandbox.run(["/bin/true"], profile=reading) for _ in range(READERS))
              if result.code]
    sandbox.write_text(end, "")
    told = [writer.communicate(timeout=60 * harness.SLOWER) for writer in writers]
    os.unlink(end)
    case.that(not failed, "%d of %d failed" % (len(failed), READERS), *(failed[0].describe() if failed else ()))
    case.that(all(writer.returncode == 0 for writer in writers), told)
    case.summary = "%d runs beside %s that write, %d failed" % (
        READERS, "+".join(words[0].strip() for words in told), len(failed))


ROWS = [
    ("the tool's own exit code", own_codes),
    ("who reads a tree starts while those who write it come and go", who_reads_a_tree_starts_beside_who_writes_it),
    ("a run ends in time although its berm was stopped", time_goes_on_while_berm_is_stopped),
    ("a run whose berm was stopped ends in time whatever signals it sends", signals_do_not_keep_the_time_away),
    ("128 + n for a signal", signal_codes),
    ("127 for what is not there", not_found),
    ("126 for what cannot be executed", not_executable),
    ("124 for the time limit, also when TERM is ignored", time_limit),
    ("2 and the usage for bad words", bad_input),
    ("a mistake in a profile is shown with line and suggestion", bad_profile),
    ("125 for a section that cannot be enforced yet", pending_section),
    ("record of a run that ended by itself", record_of_success),
    ("record of a signal and of a refusal", record_of_signal),
    ("the digest of a plan is the same every time", digest_is_stable),
    ("refused calls are in the record and in the footer", denial_footer),
    ("every refused call is counted, the lists are bounded", every_denial_is_counted),
    ("what a tool says is escaped in our own lines", words_of_the_tool_are_escaped),
    ("traced names are followed", traced_names_are_followed),
    ("a run inside a run is refused", berm_in_berm),
    ("environment holds what was named", environment_is_scrubbed),
    ("working directory", directory),
    ("100 MiB of binary data", binary_stream),
    ("stdout and stderr are apart and unchanged", streams_apart),
    ("a terminal stays a terminal", terminal),
    ("signals reach the tool", signals_forwarded),
    ("a signal that the tool does not catch ends it", default_signal),
    ("orphans end with the tool", orphans_end),
]
