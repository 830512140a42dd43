# SPDX-License-Identifier: Apache-2.0
"""Rows about `berm log`: logs are written by write-log, which uses the recorder itself."""
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time

from bench import GOOD, HERE, expect, expect_result, harness

RUN = "01JD7Z3K9QAAAAAAAAAAAAAAAA"
OTHER = "01JD80000QBBBBBBBBBBBBBBBB"
UTC = {"TZ": "UTC"}


def make_log(bench, name, kind, *words):
    """A state directory with a log, made once."""
    directory = os.path.join(bench.top, name)
    if not os.path.isdir(directory):
        os.mkdir(directory)
        result = harness.run([bench.write_log, directory, kind, *words])
        expect(result.code == 0, *result.describe())
    return directory


def copy_log(bench, source, name):
    directory = os.path.join(bench.top, name)
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(source, directory)
    return directory


def segment(directory, number=1):
    return "%s/log/%010d.seg" % (directory, number)


def change(directory, offset, number=1):
    """Flip a bit of a segment."""
    with open(segment(directory, number), "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def log(bench, directory, *words, more=None, **options):
    return bench.call("log", *words, "--state-dir", directory, more=dict(UTC, **(more or {})), **options)


def objects(result, code=0):
    expect(result.code == code, *result.describe())
    return [json.loads(line) for line in result.text.splitlines()]


def is_clean(text):
    """Nothing that a terminal would obey, or that hides how a line is read."""
    return all(c == "\n" or (c.isprintable() and c not in "\u202e\u200b") for c in text)


def log_shows_every_kind_of_record_as_written_here(bench):
    directory = make_log(bench, "all", "all")
    result = log(bench, directory)
    expect_result(result, 0, r"^20", "")
    with open(os.path.join(HERE, "log.golden"), encoding="utf-8") as file:
        golden = file.read()
    shown = re.sub(r"berm \d+\.\d+\.\d+", "berm VERSION", result.text)
    expect(shown == golden, "not as in log.golden:", shown)
    expect(is_clean(result.text), "something of a tool got through", repr(result.text))
    expect(log(bench, directory, "--unchecked").text == result.text, "--unchecked shows something else")


def log_takes_the_time_zone(bench):
    directory = make_log(bench, "all", "all")
    first = log(bench, directory, more={"TZ": "XXX-2"}).text.splitlines()[0]
    expect(first.startswith("2026-11-22 22:14:03 "), first)


def log_filters(bench):
    directory = make_log(bench, "all", "all")

    def lines(*words):
        result = log(bench, directory, *words)
        expect_result(result, 0, "" if not result.text else "^2", "")
        return result.text.splitlines()

    everything = lines()
    for words, wanted in ((["--run", RUN], [line for line in everything if RUN in line]),
                          (["--run", "01JD8"], [line for line in everything if OTHER in line]),
                          (["--run", "01"], [line for line in everything if RUN in line or OTHER in line]),
                          (["--run", "7"], []),
                          (["--agent", "coder"], [line for line in everything if RUN in line]),
                          (["--agent", "cod"], []),
                          (["--since", "2026-11-22T20:14:18Z"], everything[-4:]),
                          (["--since", "2026-11-22 20:14:18"], everything[-4:]),
                          (["--since", "2026-11-22T22:14:18+02:00"], everything[-4:]),
                          (["--since", "2026-11-22"], everything), (["--since", "2026-11-23"], []),
                          (["--limit", "3"], everything[-3:]), (["-n1"], everything[-1:]),
                          (["-n", "100"], everything), (["-n", "2", "--run", RUN],
                                                        [line for line in everything if RUN in line][-2:])):
        expect(lines(*words) == wanted, words, *lines(*words))
    denied = lines("--denied")
    expect(len(denied) == 7 and all(re.search(" (DENY|TRIP|FAIL|ASK) ", line) for line in denied), *denied)
    expect(not any("ENOENT" in line or "once" in line for line in denied), *denied)
    expect(lines("--denied", "-n", "2", "--run", RUN) == [line for line in denied if RUN in line][-2:], "together")
    own = [line for line in lines("--all") if line not in everything]
    expect(len(own) == 3 and all(re.search(r" NOTE  LOG  (seal|segment) ", line) for line in own), *own)


def log_says_what_is_wrong_with_its_words(bench):
    directory = make_log(bench, "all", "all")
    for words, said in ((["x"], 'unknown verb "log x"'), (["-f", "--", "x"], "takes no words: x"),
                        (["--since", "yesterday"], '"yesterday" is no time'),
                        (["--since", "2026-02-31"], "is no time"), (["--limit", "0"], "over zero"),
                        (["--limit", "-1"], "needs a value"), (["-n", "100001"], "at most 100000"),
                        (["--run="], "empty"), (["verifu"], 'did you mean "verify"'),
                        (["--key", bench.top + "/none"], "the key .*No such file"),
                        (["--key", bench.top + "/good.yaml"], "the key"),
                        (["--anchor", bench.top + "/none"], "the anchor"),
                        (["--anchor", bench.top], "the anchor .*No such file")):
        expect_result(log(bench, directory, *words), 2, "", said)
    expect_result(bench.call("log", "--state-dir", bench.top + "/nowhere"), 2, "", "there is no .*/nowhere")


def an_empty_log_is_said_and_where_it_was_looked_for(bench):
    expect_result(bench.call("log", "--state-dir", bench.top + "/ws"), 0, "",
                  r"^berm: log: nothing was ever recorded here: there is no log in \S+/ws/log\n$")
    if os.geteuid() != 0:
        own = {"BERM_STATE_DIR": ""}
        expect_result(bench.call("log", more=own), 0, "", r"there is no log in %s/\.local/state/berm/log" % bench.top)
        own["XDG_STATE_HOME"] = bench.top + "/s"
        expect_result(bench.call("log", more=own), 0, "", r"there is no log in %s/s/berm/log" % bench.top)
    expect_result(bench.call("log", "verify", "--state-dir", bench.top + "/ws"), 3, "", "nothing was ever recorded")


def log_json_has_stable_names(bench):
    directory = make_log(bench, "all", "all")
    told = objects(log(bench, directory, "--json"))
    expect(len(told) == 20, len(told))
    names = ["sequence", "time", "kind", "verdict", "area", "denied", "operation", "detail", "run", "agent", "group",
             "target", "rule", "file", "line", "by", "count", "id", "program", "pid", "previous_entry_hash",
             "entry_hash", "record", "verified"]
    for item in told:
        expect(list(item) == names, list(item))
        expect(item["verified"] is True and is_clean(json.dumps(item, ensure_ascii=False)), item)
    expect({item["kind"] for item in told} >= {"opened", "run_start", "denial", "exec", "file", "network", "trip",
                                              "posture_change", "phase_change", "approval", "loss", "run_end"},
           "a kind is missing")
    denial = next(item for item in told if item["kind"] == "denial")
    wanted = {"time": "2026-11-22T20:14:05.000000000Z", "verdict": "DENY", "area": "FILE", "operation": "read",
              "run": RUN, "agent": "coder", "group": "team", "target": "/srv/ann/.ssh/id_ed25519", "rule": "fs.deny",
              "file": "/etc/berm/profiles/coding-agent.yaml", "line": 22, "by": "mount+landlock", "count": 14,
              "id": RUN + "-1", "program": "/usr/bin/node", "pid": 4121, "denied": True}
    expect({key: denial[key] for key in wanted} == wanted, denial)
    for before, after in zip(told, told[1:]):
        if after["sequence"] == before["sequence"] + 1:
            expect(after["previous_entry_hash"] == before["entry_hash"], "hashes do not follow", after)
    hostile = [item for item in told if item["kind"] == "denial"][2]["target"]
    expect(hostile == '/tmp/a|b=c\\\\d"e\\x0a\\x0d\\x1b[31m\\x80\\xff\\u{202e},%s{}<x>\\x09/last\\x07', hostile)


def hostile_text_can_be_had_back_from_the_log(bench):
    """What is shown of it says each byte: undoing the escapes gives what the tool wrote."""
    directory = make_log(bench, "all", "all")
    shown = [item for item in objects(log(bench, directory, "--json")) if item["kind"] == "denial"][2]["target"]

    def byte(match):
        if match.group(1):
            return bytes([int(match.group(1), 16)])
        return chr(int(match.group(2), 16)).encode() if match.group(2) else b"\\"

    pattern = re.compile(rb"\\x([0-9a-f]{2})|\\u\{([0-9a-f]+)\}|\\\\")
    back = pattern.sub(lambda m: byte(m), shown.encode())
    wanted = b"/tmp/a|b=c\\d\"e\n\r\x1b[31m\x80\xff\xe2\x80\xae,%s{}<x>\t/last\x07"
    expect(back == wanted, back, wanted)


def colours_of_log_are_for_terminals(bench):
    directory = make_log(bench, "all", "all")
    expect("\033[31mDENY \033[0m" in bench.on_terminal("log", "--denied", "--state-dir", directory), "no colour")
    expect("\033" not in bench.on_terminal("log", "--state-dir", directory, more={"NO_COLOR": "1"}), "NO_COLOR")


def verify_passes_and_says_by_which_key(bench):
    directory = make_log(bench, "all", "all")
    expect_result(log(bench, directory, "verify"), 0,
                  r"^PASS  %s/log: 23 records in 1 segment, closed\n  key       %s/keys/recorder\.pub \(of uid %d\)\n"
                  r"  anchor    none: what is missing at the end cannot be noticed\n$" %
                  (re.escape(directory), re.escape(directory), os.geteuid()))
    result = log(bench, directory, "verify", "-v", "--anchor", directory + "/anchor")
    expect_result(result, 0,
                  r"anchor    reached; 0 records came after it\n  looked at \d+ bytes, 2 seals in .* records/s")
    told = bench.object("log", "verify", "--json", "--state-dir", directory)
    wanted = {"version": 1, "verdict": "PASS", "reason": "good", "records": 23, "segments": 1, "seals": 2,
              "closed": True, "live": False, "anchor": False, "key": directory + "/keys/recorder.pub",
              "log": directory + "/log", "sealed_record": 23, "key_owner": os.geteuid()}
    expect({key: told.get(key) for key in wanted} == wanted, told)
    expect(told["records_per_second"] > 0 and told["seconds"] > 0, told)


def verify_fails_with_record_segment_and_reason(bench):
    original = make_log(bench, "all", "all")
    directory = copy_log(bench, original, "changed")
    change(directory, 1500)
    result = log(bench, directory, "verify")
    expect_result(result, 1,
                  r"^FAIL  \S+: segment 1, record \d+, byte \d+: the record was changed, .*\(hash\)\n"
                  r"  what is under the seal of record 1 and before it is as it was recorded\n")
    told = bench.object("log", "verify", "--json", "--state-dir", directory, code=1)
    expect(told["verdict"] == "FAIL" and told["reason"] == "hash" and told["segment"] == 1, told)
    directory = copy_log(bench, original, "cut")
    os.truncate(segment(directory), os.path.getsize(segment(directory)) - 5)
    expect(bench.object("log", "verify", "--json", "--state-dir", directory, code=1)["reason"] == "cut", "cut")
    os.unlink(segment(directory))
    expect(bench.object("log", "verify", "--json", "--state-dir", directory, code=1)["reason"] == "no_log", "no log")
    shutil.rmtree(directory + "/log")
    expect(bench.object("log", "verify", "--json", "--state-dir", directory, code=1)["reason"] == "no_log", "away")


def verify_takes_no_key_out_of_the_log(bench):
    original = make_log(bench, "all", "all")
    directory = copy_log(bench, original, "keyed")
    pin = bench.top + "/pin"
    shutil.copy(directory + "/keys/recorder.pub", pin)
    expect_result(log(bench, directory, "verify", "--key", pin), 0, r"key       %s/pin" % re.escape(bench.top))
    shutil.copy(pin, directory + "/log/recorder.pub")
    for path in (directory + "/log/recorder.pub", directory + "/keys/../log/recorder.pub"):
        expect_result(log(bench, directory, "verify", "--key", path), 2, "", "is in the log itself")
    os.symlink(directory + "/log/recorder.pub", directory + "/outside.pub")
    expect_result(log(bench, directory, "verify", "--key", directory + "/outside.pub"), 2, "", "is in the log itself")
    shutil.rmtree(directory + "/keys")
    os.symlink("log", directory + "/keys")
    expect_result(log(bench, directory, "verify"), 3, "", "no key to check with: .* is in the log itself")
    os.unlink(directory + "/keys")
    expect_result(log(bench, directory, "verify"), 3, "", "no key to check with: .*No such file")


def verify_wants_a_key_that_others_cannot_change(bench):
    directory = copy_log(bench, make_log(bench, "all", "all"), "open")
    for path in (directory + "/keys/recorder.pub", directory + "/keys"):
        mode = os.stat(path).st_mode
        os.chmod(path, mode | 0o022)
        expect_result(log(bench, directory, "verify"), 3, "", "others than its owner could change")
        os.chmod(path, mode)
    expect_result(log(bench, directory, "verify"), 0, "^PASS")


def verify_wants_the_key_of_this_log(bench):
    original = make_log(bench, "all", "all")
    other = make_log(bench, "small", "many", "3")
    key = other + "/keys/recorder.pub"
    told = bench.object("log", "verify", "--json", "--state-dir", original, "--key", key, code=1)
    expect(told["reason"] == "foreign", told)


def an_anchor_tells_of_an_older_copy(bench):
    directory = make_log(bench, "grown", "many", "3")
    old = copy_log(bench, directory, "older")
    expect(harness.run([bench.write_log, directory, "many", "3"]).code == 0, "write on")
    anchor = directory + "/anchor"
    expect_result(log(bench, directory, "verify", "--anchor", anchor), 0, "anchor    reached; 0 records")
    expect_result(log(bench, old, "verify"), 0, "^PASS")
    told = bench.object("log", "verify", "--json", "--state-dir", old, "--anchor", anchor, code=1)
    expect(told["reason"] == "ends_early" and told["anchor"] is True, told)
    head = [name for name in os.listdir(anchor) if name.endswith(".head")][0]
    expect_result(log(bench, old, "verify", "--anchor", anchor + "/" + head), 1, r"\(ends_early\)")


def a_log_that_fails_is_shown_behind_a_warning(bench):
    directory = copy_log(bench, make_log(bench, "all", "all"), "forged")
    size = os.path.getsize(segment(directory))
    change(directory, size - 600)
    result = log(bench, directory)
    expect(result.code == 1 and result.text.count("\n") > 15, *result.describe())
    expect(re.search(r"^berm: log: WARNING: THIS LOG FAILS THE CHECK, what is shown may be forged: segment 1, record "
                     r"\d+: the record was changed", result.errors), *result.describe())
    marks = [line[19] for line in result.text.splitlines()]
    expect(marks[0] == " " and marks[-1] == "!" and "".join(marks).rstrip("!").strip() == "", marks)
    told = [item["verified"] for item in objects(log(bench, directory, "--json"), code=1)]
    expect(told[0] is True and told[-1] is False and told == sorted(told, reverse=True), told)


def garbage_in_a_log_is_passed_over(bench):
    directory = copy_log(bench, make_log(bench, "all", "all"), "garbage")
    with open(segment(directory), "r+b") as file:
        file.seek(2000)
        file.write(b"\xff" * 500)
    with open(segment(directory, 3), "wb") as file:
        file.write(os.urandom(5000))
    for words in ([], ["--unchecked"], ["--json"], ["-n", "4"]):
        result = log(bench, directory, *words)
        expect(result.code == (0 if words == ["--unchecked"] else 1), *result.describe())
        expect("WARNING" in result.errors and is_clean(result.text), *result.describe())


def who_has_no_right_to_the_key_sees_the_log_unchecked(bench):
    directory = copy_log(bench, make_log(bench, "all", "all"), "keyless")
    shutil.rmtree(directory + "/keys")
    result = log(bench, directory)
    expect_result(result, 0, "^2", r"^berm: log: not checked against a key \(.*\): what is shown may be forged")
    expect(len(result.text.splitlines()) == 20, result.text)
    expect(all(item["verified"] is None for item in objects(log(bench, directory, "--json"))), "nothing vouches for it")
    if os.geteuid() == 0:
        os.chmod(directory + "/log", 0o750)
        blocked = log(bench, directory, preexec_fn=harness.become(harness.TOOL_UID))
        expect_result(blocked, 3, "", r"open \S+/log: Permission denied")


class Live:
    """A log that is being written; the clock is the real one, segments are small."""

    def __init__(self, bench, name):
        self.directory = os.path.join(bench.top, name)
        os.mkdir(self.directory)
        self.process = subprocess.Popen([bench.write_log, self.directory, "live"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        expect(self.process.stdout.readline() == "open\n", "the writer did not start")

    def write(self, word="x"):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def a_live_log_can_be_read_and_checked(bench):
    with Live(bench, "live") as live:
        for _ in range(100):
            live.write()
        told = bench.object("log", "verify", "--json", "--state-dir", live.directory)
        expect(told["verdict"] == "PASS" and told["live"] is True and told["segments"] > 2, told)
        expect_result(log(bench, live.directory, "verify"), 0, r"being written\n(.*\n)*  open end  \d+ records")
        lines = [line for line in log(bench, live.directory).text.splitlines() if " open " in line]
        expect(len(lines) == 100 and lines[-1].split()[5].endswith("file-99.c"), *lines[-3:])
        expect(len(log(bench, live.directory, "-n", "60").text.splitlines()) == 60, "over several segments")
    expect_result(log(bench, live.directory, "verify"), 0, "closed")


def read_line(stream, seconds=20):
    """The next line, or an error when it does not come."""
    def late(*_):
        raise TimeoutError
    signal.signal(signal.SIGALRM, late)
    signal.alarm(int(seconds * harness.SLOWER))
    try:
        return stream.readline()
    except TimeoutError:
        expect(False, "no line came")
    finally:
        signal.alarm(0)


def follow_shows_what_comes_over_rotations_and_crashes(bench):
    with Live(bench, "followed") as live:
        live.write()
        shown = subprocess.Popen([bench.berm, "log", "--follow", "--json", "--state-dir", live.directory],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=bench.environment)
        try:
            sequences = []
            for number in range(60):
                if number:
                    live.write()
                while True:
                    item = json.loads(read_line(shown.stdout))
                    sequences.append(item["sequence"])
                    if item["kind"] == "file":
                        break
                expect(item["target"].endswith("/file-%d.c" % number), number, item)
            expect(sequences == sorted(set(sequences)), "not each once, in order", sequences)
            live.process.stdin.write("crash\n")
            live.process.stdin.flush()
            live.process.wait(30)
            again = harness.run([bench.write_log, live.directory, "many", "2"])
            expect(again.code == 0, *again.describe())
            kinds = []
            while kinds[-2:] != ["file", "file"]:
                kinds.append(json.loads(read_line(shown.stdout))["kind"])
            expect("opened" in kinds, kinds)
        finally:
            harness.stop(shown)
            shown.stdout.close()
            shown.stderr.close()


def follow_ends_when_nobody_reads(bench):
    with Live(bench, "unread") as live:
        live.write()
        shown = subprocess.Popen([bench.berm, "log", "-f", "--state-dir", live.directory], stdout=subprocess.PIPE,
                                 env=bench.environment)
        shown.stdout.readline()
        shown.stdout.close()
        end = time.monotonic() + 30 * harness.SLOWER
        while shown.poll() is None and time.monotonic() < end:
            live.write()
            time.sleep(0.05)
        ended = shown.poll()
        harness.stop(shown)
        expect(ended in (-signal.SIGPIPE, 3), ended)


def peak_kib(bench, *words):
    """The most memory that berm had at a time."""
    process = subprocess.Popen([bench.berm, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=dict(bench.environment, ASAN_OPTIONS="quarantine_size_mb=1"))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    expect(process.returncode == 0, *words)
    return usage.ru_maxrss


def memory_does_not_grow_with_the_log(bench):
    small = make_log(bench, "small", "many", "3")
    large = make_log(bench, "large", "many", "60000")
    for words in (["log"], ["log", "--json"], ["log", "verify"], ["log", "export", "--format", "ocsf"],
                  ["log", "trace", "01"], ["log", "--limit", "10"]):
        before, after = [peak_kib(bench, *words, "--state-dir", directory) for directory in (small, large)]
        # The log has 13 MiB; a sanitizer keeps some of what was freed.
        expect(after < before + 8192, words, before, after)


def log_to_a_full_disk_is_no_success(bench):
    directory = make_log(bench, "all", "all")
    with open("/dev/full", "wb") as full:
        for words in ([], ["--json"], ["verify"]):
            expect_result(log(bench, directory, *words, stdout=full), 3, "", r"cannot write to stdout: No space left")


def trace_tells_a_run_from_start_to_end(bench):
    directory = make_log(bench, "all", "all")
    result = log(bench, directory, "trace", "01JD7")
    expect_result(result, 0, r"^run        %s\nagent      coder of team\nasked by   alice \(uid 1000, pid 4000\)" % RUN)
    for said in ("in         /srv/repo", r"profile    coding-agent  1f3c0+", r"plan       3031\w+",
                 "enforced   mount\\+landlock, seccomp; missing and accepted: idmap",
                 " DENY  FILE read ", " START ", " END ",
                 "ended      exited, code 3, after 65400 ms", "denied     16", "counters   files_deleted 25 of 25",
                 r"output     /srv/repo/report\.json  3031\w+  12 bytes", r"output     /tmp/a\|b=c.*  link\n",
                 "used       1500 ms user, 0 ms system, 40960 KiB", "lost       7 records", "check      PASS: ",
                 "activity   2 programs, 1 file operations, 2 network operations recorded; --all lists them"):
        expect(re.search(said, result.text), said, result.text)
    expect(is_clean(result.text) and " EXEC exec      git status" not in result.text, result.text)
    expect(" EXEC exec      git status" in log(bench, directory, "trace", "--all", RUN).text, "--all")
    for words, said in ((["trace"], "one run"), (["trace", "a", "b"], "one run"), (["trace", ""], "one run"),
                        (["trace", "01JD"], "more than one run begins with 01JD: %s, %s" % (RUN, OTHER)),
                        (["trace", "7"], "no run that was recorded begins with 7")):
        expect_result(log(bench, directory, *words), 2, "", said)


def trace_has_the_names_of_the_decision_trace(bench):
    directory = make_log(bench, "all", "all")
    told = bench.object("log", "trace", "--json", "--state-dir", directory, RUN)
    expect(list(told) == ["trace_id", "workflow_id", "workflow_name", "timestamp", "accountable_human", "subject",
                          "agent_chain", "evaluation", "resolution", "regulatory_mapping", "berm"], list(told))
    expect(list(told["subject"]) == ["description", "input_hash", "risk_classification"], told["subject"])
    expect(list(told["evaluation"]) == ["tactical_judge", "domain_judges", "inter_judge_conflict",
                                        "strategic_evaluator", "meta_evaluation"], told["evaluation"])
    expect(told["resolution"] == {"outcome": "exited", "human_decision": "once", "human_reasoning": None,
                                  "human_decision_timestamp": "2026-11-22T20:14:16.000000000Z"}, told["resolution"])
    expect(told["regulatory_mapping"] == {"explainability_standard": None, "decision_traceable": False,
                                          "human_oversight_documented": True}, told["regulatory_mapping"])
    expect(told["trace_id"] == RUN and told["workflow_name"] == "coding-agent", told)
    expect(told["accountable_human"] is None, told)
    expect(len(told["agent_chain"]) == 10 and told["berm"]["execs"] == 2 and told["berm"]["check"] == "PASS", told)
    for link in told["agent_chain"]:
        expect(list(link) == ["agent_id", "action", "evidence", "confidence", "chain_entry_ref"], link)
        expect(link["agent_id"] == "coder", link)
        expect(link["chain_entry_ref"]["entry_hash"] == link["evidence"][0]["entry_hash"], link)
    expect(told["berm"]["start"]["record"]["run_start"]["caller_name"] == "alice", told["berm"])
    # Nothing was lost in this one.
    other = bench.object("log", "trace", "--json", "--state-dir", directory, OTHER)
    expect(other["regulatory_mapping"]["decision_traceable"] is True, other["regulatory_mapping"])
    expect(is_clean(json.dumps(told, ensure_ascii=False)), "something of a tool got through")


def export_writes_a_line_a_record(bench):
    directory = make_log(bench, "all", "all")
    for name in ("ocsf", "ecs", "cef", "jsonl"):
        result = log(bench, directory, "export", "--format", name)
        lines = result.text.splitlines()
        expect(result.code == 0 and len(lines) == 23 and is_clean(result.text), name, *result.describe())
        expect(all(line.startswith("CEF:0|") for line in lines) if name == "cef" else all(map(json.loads, lines)), name)
        expect(len(log(bench, directory, "export", "--format", name, "--run", OTHER).text.splitlines()) == 4, name)
        expect(log(bench, directory, "export", "--format=" + name, "-n1").text == lines[-1] + "\n", name)
    ocsf = [json.loads(line) for line in log(bench, directory, "export", "--format", "ocsf").text.splitlines()]
    count = sum("outputs" in one["unmapped"] for one in ocsf)
    outputs = next(one["unmapped"]["outputs"] for one in ocsf if "outputs" in one["unmapped"])
    expect(outputs[0] == {"path": "/srv/repo/report.json", "blake2b": b"0123456789abcdef".hex() * 2, "state": None} and
           outputs[1]["state"] == "link" and "blake2b" not in outputs[1], outputs)
    ecs = [json.loads(line) for line in log(bench, directory, "export", "--format", "ecs").text.splitlines()]
    ended = next(one for one in ecs if "outputs" in one.get("labels", {}))
    hashed = b"0123456789abcdef".hex() * 2
    told = ended["labels"]["outputs"]
    expect(ended["related"] == {"hash": [hashed]}, ended)
    expect(told[0] == hashed + " /srv/repo/report.json" and told[1].startswith("link /"), told)
    expect(sum("related" in one for one in ecs) == count, "only who has outputs has hashes")
    cef = log(bench, directory, "export", "--format", "cef").text
    expect(cef.count(" cs5=%s /srv/repo/report.json; link /" % hashed) == count and "fileHash" not in cef, cef)
    expect(any(event.get("policy", {}).get("name") == "coding-agent" for event in ocsf), "the profile's name")
    for words, said in (([], "--format is missing"), (["--format", "xml"], '"xml" is no format'),
                        (["--format", "cef", "x"], "takes no words: x"),
                        (["--format", "cef", "--since", "x"], "no time")):
        expect_result(log(bench, directory, "export", *words), 2, "", said)
    changed = copy_log(bench, directory, "exported")
    change(changed, 1500)
    expect_result(log(bench, changed, "export", "--format", "cef"), 1, "^CEF", "WARNING: THIS LOG FAILS")


def explain_tells_a_refusal_of_the_log(bench):
    directory = make_log(bench, "all", "all")
    state = ["--state-dir", directory]
    result = bench.call("explain", RUN + "-1", *state, more=UTC)
    expect_result(result, 0, r"^DENY  read /srv/ann/\.ssh/id_ed25519\n"
                             r"  rule:      fs\.deny  \(/etc/berm/profiles/coding-agent\.yaml:22\)\n"
                             r"  by:        mount\+landlock\n  count:     14x, first 2026-11-22 20:14:05\n"
                             r"  program:   node\(4121\)\n  run:       %s of coder, profile coding-agent, for alice\n"
                             r"  advice:    none, the profile could not be read: .*--profile names it\n$" % RUN)
    expect(bench.call("explain", RUN + ".1", *state, more=UTC).text == result.text, "either separator")
    hostile = bench.call("explain", RUN + "-3", *state)
    expect_result(hostile, 0, r"^DENY  write /tmp/a\|b=c\\\\d\"e\\x0a")
    expect(is_clean(hostile.text), repr(hostile.text))
    for line, said in (("fs: {read: [/usr]}", r"  advice:    should stay denied: it holds keys or passwords\n"),
                       ("fs: {read: [/srv]}", r"  advice:    the profile of today allows it\n")):
        path = bench.write("coding-agent.yaml", "version: 1\nname: coding-agent\n%s\n" % line)
        told = bench.call("explain", RUN + "-1", "-p", path, *state)
        expect_result(told, 0, said)
        expect(re.search(r"  note:      %s or what it extends is not what the run had" % re.escape(path), told.text),
               told.text)
    told = bench.object("explain", "--json", OTHER + "-1", "-p", path, *state)
    expect(told["denial"]["target"] == "bpf" and told["count"] == 2 and told["profile"] == "changed", told)
    expect(told["keep_denied"] is True and "should stay denied" in told["hint"] and told["verified"] is True, told)
    for words, said in (([RUN + "-9"], "no refusal %s-9 was recorded" % RUN),
                        (["7" * 26 + "-1"], "no refusal"), ([RUN + "-"], "no message has the code"),
                        ([RUN + "-1", RUN + "-2"], "one code or one refusal")):
        expect_result(bench.call("explain", *words, *state), 2, "", said)
    changed = copy_log(bench, directory, "explained")
    change(changed, os.path.getsize(segment(changed)) - 600)
    expect_result(bench.call("explain", OTHER + "-1", "--state-dir", changed), 1,
                  "WARNING:   this record may be forged", "WARNING: THIS LOG FAILS")
    empty = bench.call("explain", RUN + "-1", "--state-dir", bench.top + "/ws")
    expect_result(empty, 2, "", "nothing was ever recorded")


def a_real_run_is_in_the_log_and_its_refusals_are_explained(bench):
    """From the run to the line of its profile, through the recorder and the log."""
    os.makedirs(bench.top + "/ws/secret", exist_ok=True)
    with open(bench.top + "/ws/secret/key", "w", encoding="ascii") as file:
        file.write("k")
    state = os.path.join(bench.top, "real")
    words = ["run", "-p", "../good.yaml", "--json", "--trace-denials", "--state-dir", state, "--", "cat", "secret/key"]
    run = bench.call(*words)
    expect(run.code == 1, *run.describe())
    status = json.loads(run.errors.splitlines()[-1])
    denial = next(one for one in status["denials"] if one["target"].endswith("/secret/key"))
    lines = log(bench, state, "--run", status["run"]).text.splitlines()
    expect(" START RUN  good " in lines[0], *lines)
    expect(" END   RUN " in lines[-1] and any(" DENY " in line and denial["id"] in line for line in lines), *lines)
    expect_result(log(bench, state, "verify"), 0, "^PASS")
    told = bench.call("explain", denial["id"], "--state-dir", state)
    expect_result(told, 0, r"^DENY  read \S+/secret/key\n  rule:      fs\.deny  \(\.\./good\.yaml:10\)\n"
                             r'  line:      deny: \["\$\{WORKDIR\}/secret"\]\n')
    expect("note:" not in told.text, "the profile is the one that the run had", told.text)
    path = os.path.realpath(bench.top + "/good.yaml")
    told = bench.object("explain", "--json", denial["id"], "--state-dir", state)
    expect(told["profile"] == "same" and told["rule_file"] == "same" and told["rule_path"] == path, told)
    expect(told["rule_line"] == 'deny: ["${WORKDIR}/secret"]', told)
    with open(path, "r", encoding="utf-8") as file:
        was = file.read()
    # A line more at its beginning, and another name: still the run's profile, and no line of it is quoted.
    with open(path, "w", encoding="utf-8") as file:
        file.write("# changed\n" + was.replace("name: good", "name: other"))
    told = bench.call("explain", denial["id"], "--state-dir", state)
    expect_result(told, 0, r"note:      %s was changed since the run" % re.escape(path))
    expect_result(told, 0, r"note:      not what the run had: %s;" % re.escape(path))
    expect("  line:  " not in told.text and "advice:    none" not in told.text, told.text)
    told = bench.object("explain", "--json", denial["id"], "--state-dir", state)
    expect((told["rule_file"], told["rule_line"], told["profile"]) == ("changed", None, "changed"), told)
    os.rename(path, path + ".away")
    expect_result(bench.call("explain", denial["id"], "--state-dir", state), 0,
                  r"note:      %s cannot be read today\n(.*\n)*  advice:    none" % re.escape(path))
    os.unlink(path + ".away")
    bench.write("good.yaml", GOOD % "x")
    digest = hashlib.blake2b(was.encode(), digest_size=32).hexdigest()
    expect_result(log(bench, state, "trace", status["run"]), 0,
                  r"command    cat secret/key\n(.*\n)*read from  %s  %s\n(.*\n)*ended      exited, code 1"
                  % (re.escape(path), digest))
    start = json.loads(log(bench, state, "--json", "--run", status["run"]).text.splitlines()[0])["record"]["run_start"]
    expect(start["profile_files"] == [{"path": path, "digest": digest, "name": "../good.yaml"}], start)


def a_profile_named_by_its_path_is_found_again_with_what_it_extends(bench):
    """The rule is of a file that the profile extends; that one is changed, and nobody names the profile."""
    os.makedirs(bench.top + "/ws/secret", exist_ok=True)
    with open(bench.top + "/ws/secret/key", "w", encoding="ascii") as file:
        file.write("k")
    base = bench.write("walls.yaml", GOOD % "x")
    path = bench.write("upper.yaml", "version: 1\nname: upper\nextends: [./walls.yaml]\n")
    state = os.path.join(bench.top, "extended")
    run = bench.call("run", "-p", path, "--json", "--trace-denials", "--state-dir", state, "--", "cat", "secret/key")
    expect(run.code == 1, *run.describe())
    status = json.loads(run.errors.splitlines()[-1])
    denial = next(one["id"] for one in status["denials"] if one["target"].endswith("/secret/key"))
    told = bench.call("explain", denial, "--state-dir", state)
    expect_result(told, 0, r"line:      deny: ")
    expect("note:" not in told.text and "advice:    none" not in told.text, told.text)
    bench.write("walls.yaml", GOOD % "x" + "# more\n")
    told = bench.call("explain", denial, "--state-dir", state)
    expect_result(told, 0, r"note:      not what the run had: %s; the advice" % re.escape(os.path.realpath(base)))


ROWS = [explain_tells_a_refusal_of_the_log, a_real_run_is_in_the_log_and_its_refusals_are_explained,
        a_profile_named_by_its_path_is_found_again_with_what_it_extends,
        trace_tells_a_run_from_start_to_end, trace_has_the_names_of_the_decision_trace,
        export_writes_a_line_a_record, log_shows_every_kind_of_record_as_written_here, log_takes_the_time_zone,
        log_filters, log_says_what_is_wrong_with_its_words, an_empty_log_is_said_and_where_it_was_looked_for,
        log_json_has_stable_names, hostile_text_can_be_had_back_from_the_log, colours_of_log_are_for_terminals,
        verify_passes_and_says_by_which_key, verify_fails_with_record_segment_and_reason,
        verify_takes_no_key_out_of_the_log, verify_wants_a_key_that_others_cannot_change,
        verify_wants_the_key_of_this_log, an_anchor_tells_of_an_older_copy,
        a_log_that_fails_is_shown_behind_a_warning, garbage_in_a_log_is_passed_over,
        who_has_no_right_to_the_key_sees_the_log_unchecked, a_live_log_can_be_read_and_checked,
        follow_shows_what_comes_over_rotations_and_crashes, follow_ends_when_nobody_reads,
        log_to_a_full_disk_is_no_success,
        memory_does_not_grow_with_the_log]
