# SPDX-License-Identifier: Apache-2.0
"""A metered run and the verbs that look at it while it lasts: berm run, ps, inspect, pace. Every effect is looked at
from outside of the run."""
import json
import os
import signal
import struct
import subprocess
import time

import harness
import inventory

FILES = 100
# The verb waits two seconds: too little for an emulated host to stop as many.
TASKS = 500 if harness.SLOWER == 1 else 100
DEGRADED = "--allow-degraded=bpf,notify,landlock"
METER = """blast_radius: {files_deleted: 25, files_changed: 1000, processes_started: 5000, warn_at: 50%%, on_exceed: %s}
pace:
  alternate: {when: [{event: denial, count: 3, within: 10m}], then: {fs_write: deny, network: deny}}
  contingency: {then: {run: freeze}}
  emergency: {when: [{event: escape_attempt}], then: {run: kill}}
"""
ESCAPES = "import ctypes,sys\nl=ctypes.CDLL(None)\nprint(l.mount(b'x',b'/tmp',b'tmpfs',0,None),flush=True)\n" \
    "import time\ntime.sleep(20)\n"
DENIED = "import ctypes,os\nl=ctypes.CDLL(None)\n" \
    "for n in range(4):\n" \
    " try:\n  open('out%d'%n,'w').close()\n except OSError as e: print('refused at',n,e.errno)\n" \
    " l.syscall(179,0,0,0,0,0)\n"


def metered(sandbox, on_exceed="alternate", name="metered"):
    return sandbox.write_profile(name, METER % on_exceed)


def fill(sandbox):
    for number in range(FILES):
        sandbox.file("tree/%03d" % number, "x\n")


def left(sandbox):
    return len(os.listdir(sandbox.ws + "/tree"))


def berm(sandbox, *words, **options):
    options.setdefault("env", sandbox.environment())
    return harness.run([sandbox.berm, *words], cwd=sandbox.ws, **options)


def running(sandbox):
    """The runs that berm ps lists for this sandbox's profiles, as objects."""
    result = berm(sandbox, "ps", "--json")
    return [run for run in json.loads(result.text)["runs"] if sandbox.ws in " ".join(run["command"])]


def freezes(sandbox):
    return harness.wait_for(lambda: any(found["posture"] == "frozen" for found in running(sandbox)))


def start(sandbox, script, *options, profile=None):
    """A run with the workspace among its words, and its id."""
    process = sandbox.start(["sh", "-c", script, sandbox.ws], DEGRADED, *options, profile=profile)
    harness.wait_for(lambda: running(sandbox))
    found = running(sandbox)
    return process, found[0]["run"] if found else None


def finish(process):
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=20 * harness.SLOWER)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()


def cap_is_exact(sandbox, case):
    """rm -rf stops at the cap: the files are counted from outside, with the control that without a cap all go."""
    fill(sandbox)
    profile = metered(sandbox)
    result, record = sandbox.record(["rm", "-rf", "tree"], DEGRADED, profile=profile)
    case.that(result.code == 1, *result.describe())
    case.that(left(sandbox) == FILES - 25, "%d files are left" % left(sandbox))
    counter = record["counters"]["files_deleted"]
    case.that(counter["value"] == 25 and counter["limit"] == 25, counter)
    case.that(record["posture"] == "read-only" and record["phase"] == "alternate", record["posture"], record["phase"])
    kinds = [(trip["kind"], trip["counter"], trip["line"]) for trip in record["trips"]]
    case.that([kind[:2] for kind in kinds] == [("warning", "files_deleted"), ("cap", "files_deleted")], kinds)
    case.that(all(kind[2] > 0 for kind in kinds), "a trip has no line", kinds)
    case.that("blast_radius.files_deleted 25" in result.errors, "footer:", result.errors)
    case.code(sandbox.run(["rm", "-rf", "tree"], DEGRADED), 0)
    case.that(not os.path.exists(sandbox.ws + "/tree"), "the control left files")


def breaker_makes_read_only(sandbox, case):
    """Three refusals within ten minutes: the files made before are there, those after are not."""
    result, record = sandbox.record(["python3", "-c", DENIED], DEGRADED, profile=metered(sandbox))
    case.code(result, 0)
    made = sorted(name for name in os.listdir(sandbox.ws) if name.startswith("out"))
    case.that(made == ["out0", "out1", "out2"], "made %s" % made, *result.describe())
    case.that(record["posture"] == "read-only", record["posture"])
    case.that(any(trip["kind"] == "breaker" for trip in record["trips"]), record["trips"])


def escape_kills(sandbox, case):
    start_s = time.monotonic()
    result, record = sandbox.record(["python3", "-c", ESCAPES], DEGRADED, profile=metered(sandbox))
    case.code(result, 137)
    case.that(record["outcome"] == "breaker" and record["posture"] == "dead", record["outcome"], record["posture"])
    case.that(record["phase"] == "emergency", record["phase"])
    case.that(time.monotonic() - start_s < 10 * harness.SLOWER, "it went on")


# Numbers of x86_64, arguments.
ORDINARY = {"unshare": (272, 0x10000000), "clone": (56, 0x10000000 | 17, 0, 0, 0, 0), "ptrace": (101, 0, 0, 0, 0),
            "process_vm_readv": (310, 1, 0, 0, 0, 0, 0), "pidfd_getfd": (438, 0, 0, 0), "chroot": (161, 0),
            "perf_event_open": (298, 0, 0, -1, -1, 0)}
ESCAPING = {"mount": (165, 0, 0, 0, 0, 0), "umount2": (166, 0, 0), "setns": (308, 0, 0), "bpf": (321, 0, 0, 0),
            "open_by_handle_at": (304, -1, 0, 0), "pivot_root": (155, 0, 0), "userfaultfd": (323, 0),
            "finit_module": (313, 0, 0, 0), "fsopen": (430, 0, 0), "seccomp": (317, 1, 8, 0),
            "ioctl": (16, 0, 0x5412, 0)}
CLASSES = """blast_radius: {files_changed: 1000}
pace: {emergency: {when: [{event: escape_attempt}], then: {run: kill}}}
"""
TRIES = "import ctypes,time\nl=ctypes.CDLL(None,use_errno=True)\nfor words in %r:\n" \
    " print(l.syscall(*[ctypes.c_long(w) for w in words]),ctypes.get_errno(),flush=True)\n" \
    "time.sleep(%s)\nopen('after','w').close()\n"


def ordinary_goes_on(sandbox, case):
    """What debuggers, leak detectors, browsers and build tools try is refused and counted, and the run goes on."""
    profile = sandbox.write_profile("classes", CLASSES)
    script = TRIES % (list(ORDINARY.values()), 0)
    result, record = sandbox.record(["python3", "-c", script], DEGRADED, profile=profile)
    case.code(result, 0)
    case.that(result.text.split() == ["-1", "1"] * len(ORDINARY), result.text)
    case.that(os.path.exists(sandbox.ws + "/after") and record["posture"] == "open", record["trips"])
    case.that(record["counters"]["denials"]["value"] == len(ORDINARY), record["counters"]["denials"])
    case.that({denial["target"] for denial in record["denials"]} == set(ORDINARY), record["denials"])
    # Outside the first of them works, where the user may make namespaces at all.
    outside = harness.run(["python3", "-c", TRIES % ([ORDINARY["unshare"]], 0)], cwd=sandbox.ws)
    case.that(outside.text.split()[:1] == ["0"], *outside.describe())


LISTED = """import ctypes
l = ctypes.CDLL(None, use_errno=True)
attr = (ctypes.c_uint * 28)(1, 112, 9)  # a software event that counts nothing
for words in ((298, attr, 0, -1, -1, 0), (272, 0x10000000)):
    words = [w if w is attr else ctypes.c_long(w) for w in words]
    print(l.syscall(*words) >= 0, ctypes.get_errno(), flush=True)
open("after", "w").close()
"""


def listed_calls_are_no_escape(sandbox, case):
    """What the profile lists among its calls and the kernel's programs refuse all the same is a denial."""
    profile = sandbox.write_profile("listed", CLASSES + "syscalls: {allow: [perf_event_open, unshare]}\n")
    result, record = sandbox.record(["python3", "-c", LISTED], DEGRADED, profile=profile)
    case.code(result, 0)
    case.that(os.path.exists(sandbox.ws + "/after") and record["posture"] == "open", record["trips"])
    if "bpf (" in json.dumps(record["enforcement"]):  # elsewhere the host itself decides
        words = result.text.split()
        early = words[1:2] == ["13"]  # perf_event_paranoid of the host answers before the programs are asked
        case.that(words == ["False", "13" if early else "1", "False", "1"], result.text)
        case.that(record["counters"]["denials"]["value"] == (1 if early else 2), record["counters"]["denials"])


def each_escape_kills(sandbox, case):
    """One try of each is the last thing that a run does."""
    profile = sandbox.write_profile("classes", CLASSES)
    for name, words in ESCAPING.items():
        result, record = sandbox.record(["python3", "-c", TRIES % ([words], 20)], DEGRADED, profile=profile)
        case.that(record["outcome"] == "breaker" and result.code == 137, name, record["outcome"], *result.describe())
        case.that(not os.path.exists(sandbox.ws + "/after"), name + ": it went on")
        trips = [(trip["kind"], trip["phase"]) for trip in record["trips"]]
        case.that(trips == [("breaker", "emergency")], name, trips)
    case.summary = "%d calls" % len(ESCAPING)


def canary_kills(sandbox, case):
    """A decoy that is opened ends the run where the kernel's programs see it; elsewhere the start is refused."""
    more = (METER % "alternate").replace("event: escape_attempt", "event: canary_touched")
    profile = sandbox.write_profile("canary", more)
    with open(profile, encoding="utf-8") as file:
        text = file.read()
    sandbox.write_text(profile, text.replace("  deny:\n", "  canaries: [\"${WORKDIR}/wallet\"]\n  deny:\n"))
    sandbox.file("wallet", "coins\n")
    result, record = sandbox.record(["sh", "-c", "echo begun; cat wallet; sleep 20"], profile=profile)
    if sandbox.mode == "root" and record and "bpf" in record["enforcement"].get("pace.emergency.when", ""):
        case.code(result, 137)
        case.that(record["outcome"] == "breaker" and record["phase"] == "emergency", record)
        case.that(result.text == "begun\n", result.text)
    else:
        case.code(result, 125)
        case.that("pace.emergency.when" in result.errors and "bpf" in result.errors, result.errors)


# From the crossing on everything is refused; the processes stop some milliseconds later. A shell would be at its end by
# then: it can start no sleep, and the redirection after it is refused.
PERSISTS = """import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for name in os.listdir('tree'):
    try:
        os.unlink('tree/' + name)
    except OSError:
        pass
until = time.monotonic() + 30 * %d
while time.monotonic() < until:
    time.sleep(0.05)
    try:
        open('after', 'w').close()
        break
    except OSError:
        pass
""" % harness.SLOWER


def start_persisting(sandbox):
    process = sandbox.start(["python3", "-c", PERSISTS, sandbox.ws], DEGRADED, profile=metered(sandbox, "contingency"))
    harness.wait_for(lambda: running(sandbox))
    found = running(sandbox)
    return process, found[0]["run"] if found else None


def exceeding_freezes(sandbox, case):
    """The run is stopped where it is, berm says why and how to go on, and going on works."""
    fill(sandbox)
    process, run = start_persisting(sandbox)
    case.that(freezes(sandbox), "it is not frozen")
    time.sleep(0.3)
    case.that(not os.path.exists(sandbox.ws + "/after"), "a frozen run went on")
    case.that(left(sandbox) == FILES - 25, "%d files are left" % left(sandbox))
    if case.that(run, "no run is listed"):
        result = berm(sandbox, "pace", "set", run[:20], "open")
        case.code(result, 0)
        case.that(run in result.text and "open (primary)" in result.text, result.text)
    out, errors = process.communicate(timeout=20 * harness.SLOWER)
    case.that(os.path.exists(sandbox.ws + "/after"), "it did not go on")
    case.that(process.returncode == 0, "exit %s" % process.returncode, out, errors)
    case.that(b"is frozen by blast_radius.files_deleted 25" in errors and b"berm pace set" in errors, errors)
    case.that(left(sandbox) == FILES - 25, "the cap gave way")


ENDS = "while [ ! -e go ]; do sleep 0.01; done; rm -rf tree 2>/dev/null; exit 7"


def first_process(supervisor):
    """The state of PID 1 of the run, as /proc has it; empty where there is none."""
    children = inventory.read("/proc/%d/task/%d/children" % (supervisor, supervisor)).split()
    states = [inventory.read("/proc/%s/stat" % child) for child in children]
    return "".join(state.rpartition(") ")[2][:1] for state in states if "(berm-init)" in state)


def ends_while_it_freezes(sandbox, case):
    """From the crossing on everything is refused, some milliseconds before anything is stopped. Who ends by itself
    meanwhile was killed by nobody. The supervisor sleeps, so that these milliseconds last."""
    profile = metered(sandbox, "contingency")
    _, record = sandbox.record(["true"], DEGRADED, profile=profile)
    # Where the supervisor counts, nothing goes on while it sleeps: there it stays awake, and lets the run go on.
    in_kernel = "bpf (" in json.dumps(record["enforcement"])
    fill(sandbox)
    process, run = start(sandbox, ENDS, profile=profile)
    if in_kernel:
        process.send_signal(signal.SIGSTOP)
    sandbox.file("go", "")
    if in_kernel:
        case.that(harness.wait_for(lambda: first_process(process.pid) == "Z"), "the run goes on")
        process.send_signal(signal.SIGCONT)
    elif case.that(run and freezes(sandbox), "it is not frozen"):
        case.code(berm(sandbox, "pace", "set", run, "open"), 0)
    _, errors = process.communicate(timeout=20 * harness.SLOWER)
    case.that(process.returncode == 7, "ended with %s" % process.returncode, errors)
    case.that(left(sandbox) == FILES - 25, "%d files are left" % left(sandbox))
    case.summary = "the supervisor slept" if in_kernel else "the supervisor counts"


FILLS = """import fcntl, os, time
flags = fcntl.fcntl(2, fcntl.F_GETFL)
fcntl.fcntl(2, fcntl.F_SETFL, flags | os.O_NONBLOCK)
for size in (4096, 1):
    try:
        while os.write(2, b'x' * size):
            pass
    except BlockingIOError:
        pass
fcntl.fcntl(2, fcntl.F_SETFL, flags)
os.system('rm -rf tree 2>/dev/null')
time.sleep(%d)
open('after', 'w').close()
""" % harness.SLOWER


def nobody_reads(sandbox, case):
    """A tool that fills the pipe on stderr stops berm from saying something, and from nothing else."""
    fill(sandbox)
    profile = metered(sandbox, "contingency")
    process = sandbox.start(["python3", "-c", FILLS, sandbox.ws], DEGRADED, profile=profile)
    case.that(freezes(sandbox), "it is not frozen")
    case.that(left(sandbox) == FILES - 25, "%d files are left" % left(sandbox))
    for found in running(sandbox):
        case.code(berm(sandbox, "pace", "set", found["run"], "open"), 0)
    case.that(harness.wait_for(lambda: os.path.exists(sandbox.ws + "/after")), "it did not go on")
    _, errors = finish(process)
    case.that(errors.count(b"x") >= 65536, "%d bytes" % len(errors))


def interrupt_ends_frozen(sandbox, case):
    """Ctrl-C ends a run that cannot handle it any more."""
    fill(sandbox)
    process, _ = start_persisting(sandbox)
    case.that(freezes(sandbox), "it is not frozen")
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10 * harness.SLOWER)
    case.that(process.returncode == 128 + signal.SIGINT, "exit %s" % process.returncode)
    case.that(time.monotonic() - begun < 5 * harness.SLOWER, "it took long")


def set_from_outside(sandbox, case):
    """pace set changes processes that run already: from one write to the next, and back."""
    script = "n=0; while [ $n -lt 2000 ]; do n=$((n+1)); { true > w/$n; } 2>/dev/null; sleep 0.01; done"
    os.mkdir(sandbox.ws + "/w")
    sandbox.own(sandbox.ws + "/w")
    process, run = start(sandbox, script, profile=metered(sandbox))
    if not case.that(run, "no run is listed"):
        finish(process)
        return

    def made():
        return len(os.listdir(sandbox.ws + "/w"))

    case.that(harness.wait_for(lambda: made() > 2), "nothing is written")
    for posture in ("read-only", "frozen"):
        case.code(berm(sandbox, "pace", "set", run, posture), 0)
        before = made()
        time.sleep(0.3)
        case.that(made() == before, "%s: %d files more" % (posture, made() - before))
        shown = berm(sandbox, "pace", "show", run)
        case.that(posture in shown.text, shown.text)
        case.code(berm(sandbox, "pace", "set", run, "open"), 0)
        before = made()
        case.that(harness.wait_for(lambda: made() > before), "%s: it does not go on" % posture)
    _, errors = finish(process)
    case.that(b"was set to read-only from outside" in errors, errors)
    case.that(b"by posture set from outside of the run" in errors and b"by berm itself" not in errors, errors)


def not_metered(sandbox, case):
    """A run without a meter is listed, can be frozen, and cannot be told what to refuse."""
    process, run = start(sandbox, "while :; do echo x >> log; sleep 0.01; done")
    if not case.that(run, "no run is listed"):
        finish(process)
        return

    def size():
        return os.path.getsize(sandbox.ws + "/log") if os.path.exists(sandbox.ws + "/log") else 0

    result = berm(sandbox, "pace", "set", run, "read-only")
    case.code(result, 1)
    case.that("nothing meters this run" in result.errors, result.errors)
    case.code(berm(sandbox, "pace", "set", run, "frozen"), 0)
    before = size()
    time.sleep(0.3)
    case.that(size() == before, "a frozen run wrote")
    case.code(berm(sandbox, "pace", "set", run, "open"), 0)
    case.that(harness.wait_for(lambda: size() > before), "it does not go on")
    finish(process)


def shown(sandbox, case):
    """ps and inspect show counters against caps, and nothing of what was ended."""
    fill(sandbox)
    process, run = start(sandbox, "rm tree/00?; sleep 30", profile=metered(sandbox))
    if not case.that(run, "no run is listed"):
        finish(process)
        return

    def deleted():
        return json.loads(berm(sandbox, "inspect", "--json", run).text)["counters"]["files_deleted"]

    case.that(harness.wait_for(lambda: deleted()["value"] == 10), deleted())
    case.that(deleted()["limit"] == 25, deleted())
    table = berm(sandbox, "ps")
    case.that("files_deleted 10/25" in table.text and run in table.text, table.text)
    page = berm(sandbox, "inspect", run.lower()[:22])
    case.that("files_deleted     10          25" in page.text and "enforced by" in page.text, page.text)
    finish(process)
    case.that(not running(sandbox), "an ended run is listed")
    gone = berm(sandbox, "inspect", run)
    case.that(gone.code == 2 and run in gone.errors, *gone.describe())


def left_by_the_killed(sandbox, case):
    """A berm that was killed leaves a name; ps removes it, and its run is gone."""
    process, run = start(sandbox, "echo begun > begun; sleep 50; echo over > over")
    case.that(harness.wait_for(lambda: os.path.exists(sandbox.ws + "/begun")), "it did not begin")
    process.kill()
    process.communicate()
    case.that(harness.wait_for(lambda: not running(sandbox)), "a killed run is listed")
    gone = berm(sandbox, "inspect", run or "0")
    case.that(gone.code == 2, *gone.describe())


def forgotten_cgroups(sandbox, case):
    """A cgroup whose berm and janitor were both killed is removed when the next run ends, and none that is young."""
    if sandbox.mode != "root":
        return
    before = inventory.cgroups()
    process, _ = start(sandbox, "sleep 30", profile=metered(sandbox))
    try:
        made = inventory.cgroups() - before
        if not made:
            return  # no cgroup of version 2 here
        parent = os.path.dirname(made.pop())
        old, young = parent + "/berm-00000000deadbeef", parent + "/berm-00000000feedbeef"
        for path in (old, young):
            os.makedirs(path, exist_ok=True)
        os.utime(old, (time.time() - 600, time.time() - 600))
    finally:
        finish(process)
    case.that(not os.path.exists(old), "it is still there")
    case.that(os.path.exists(young), "a young one was removed")
    os.rmdir(young)


def nobody_else(sandbox, case):
    """Another user is refused, and so is a process of the run itself, which has the owner's uid."""
    if sandbox.mode != "root":
        return
    process, run = start(sandbox, "sleep 30", profile=metered(sandbox))
    if case.that(run, "no run is listed"):
        result = harness.run([sandbox.berm, "pace", "set", run, "frozen"], env={"PATH": "/usr/bin:/bin"},
                             preexec_fn=harness.become(harness.TOOL_UID + 7))
        case.that(result.code in (1, 2), *result.describe())
        case.that(running(sandbox)[0]["posture"] == "open", "it was frozen by a stranger")
        owner = harness.run([sandbox.berm, "pace", "set", run, "frozen"], env={"PATH": "/usr/bin:/bin"},
                            preexec_fn=harness.become(harness.TOOL_UID))
        case.that(owner.code == 0, "the owner is refused:", *owner.describe())
    finish(process)


def not_from_inside(sandbox, case):
    """The socket is granted to the tool, which has the owner's uid: it is refused all the same."""
    directory = runtime_directory(sandbox)
    profile = sandbox.write_profile("inside", METER % "deny", read=[directory, sandbox.bin])
    os.makedirs(directory, exist_ok=True)
    script = "import socket,os,glob,time\ntime.sleep(0.2)\nfound=sorted(glob.glob('%s/*.sock') or os.listdir('%s'))\n" \
        "s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n" \
        "s.connect(os.path.join('%s',found[-1]))\n" \
        "try:\n s.send(bytes([8,1,16,2,24,31]))\nexcept OSError: pass\n" \
        "print(s.recv(65536))\n" % (directory, directory, directory)
    result = sandbox.run(["python3", "-c", script], DEGRADED, profile=profile)
    refused = b"only the owner" in result.stdout or "PermissionError" in result.errors or result.code != 0
    case.that(refused and b"frozen" not in result.stderr, *result.describe())


def runtime_directory(sandbox):
    if sandbox.mode == "root":
        return "/run/berm/runs"
    return "/tmp/berm-%d/runs" % os.geteuid()


def five_hundred_stop(sandbox, case):
    """From the word to the last task of 500: every task writes the time, and the last one counts."""
    script = "import os,time,mmap,struct\nm=mmap.mmap(-1,8)\n" \
        "for n in range(%d):\n if os.fork()==0:\n  while True:\n   m[:]=struct.pack('d',time.time())\n" \
        "   open('last','r+b').write(m[:])\n   time.sleep(%g)\n" \
        "open('ready','w').close()\ntime.sleep(60)\n" % (TASKS, 0.05 * harness.SLOWER)
    sandbox.file("last", "01234567")
    sandbox.file("tasks.py", script)
    process, run = start(sandbox, "exec python3 tasks.py", profile=sandbox.write_profile("tasks"))
    if not case.that(run, "no run is listed"):
        finish(process)
        return
    case.that(harness.wait_for(lambda: os.path.exists(sandbox.ws + "/ready"), 30), "not begun")
    before = time.time()
    case.code(berm(sandbox, "pace", "set", run, "frozen"), 0)
    after = time.time()
    last = written(sandbox)
    time.sleep(0.3)
    case.that(written(sandbox) == last, "a task went on")
    case.summary = "the last of %d tasks wrote %.1f ms after the verb began, which took %.1f ms" % (
        TASKS, max(0, last - before) * 1000, (after - before) * 1000)
    finish(process)


CONTINUES = """import ctypes, os, signal, time
libc = ctypes.CDLL(None, use_errno=True)
signal.signal(signal.SIGCONT, lambda *_: None)
tick = os.open("tick", os.O_RDWR | os.O_CREAT)
for n in range(40):
    timer, event = ctypes.c_void_p(), (ctypes.c_int * 16)(0, 0, signal.SIGCONT, 0)
    times = (ctypes.c_long * 4)(0, 400000000, 0, 10000000 * (n + 1))
    if libc.timer_create(1, event, ctypes.byref(timer)) or libc.timer_settime(timer, 0, times, None):
        raise OSError(ctypes.get_errno(), "timer")
for n in range(100000):
    os.pwrite(tick, b"%012d" % n, 0)
    time.sleep(0.001)
"""


def continues_itself(sandbox, case):
    """Where a run is stopped by signals, what has SIGCONT sent to itself by timers is killed."""
    sandbox.file("continues.py", CONTINUES)
    process, run = start(sandbox, "exec python3 continues.py", profile=sandbox.write_profile("tasks"))
    if not case.that(run, "no run is listed"):
        finish(process)
        return

    def tick():
        with open(sandbox.ws + "/tick", "rb") as file:
            return file.read()

    case.that(harness.wait_for(lambda: os.path.exists(sandbox.ws + "/tick") and tick()), "not begun")
    case.code(berm(sandbox, "pace", "set", run, "frozen"), 0)
    time.sleep(2)
    before = tick()
    time.sleep(1)
    case.that(tick() == before, "it goes on")
    ended = process.poll()
    finish(process)
    # Without a meter and without limits it has no cgroup, whoever started it.
    case.that(ended == 137, "ended with %s" % ended)


def stays_frozen(sandbox, case):
    """Who does nothing of the kind is not killed, whatever its threads wait for."""
    script = "import os,threading,time\n" \
        "for n in range(20): threading.Thread(target=time.sleep,args=(60,),daemon=True).start()\n" \
        "if os.fork()==0: os.system('sleep 60')\n" \
        "open('ready','w').close()\nos.system('while :; do sleep 0.1; done')\n"
    sandbox.file("waits.py", script)
    process, run = start(sandbox, "exec python3 waits.py", profile=sandbox.write_profile("tasks"))
    case.that(harness.wait_for(lambda: os.path.exists(sandbox.ws + "/ready")), "not begun")
    case.code(berm(sandbox, "pace", "set", run or "0", "frozen"), 0)
    time.sleep(2.5)
    case.that(process.poll() is None, "it was killed")
    case.code(berm(sandbox, "pace", "set", run or "0", "open"), 0)
    time.sleep(0.5)
    case.that(process.poll() is None, "it ended")
    finish(process)


def written(sandbox):
    with open(sandbox.ws + "/last", "rb") as file:
        return struct.unpack("d", file.read(8))[0]


ROWS = [
    ("a cap of 25 deleted files lets exactly 25 go", cap_is_exact),
    ("three refusals make a run read-only", breaker_makes_read_only),
    ("an attempt to escape kills the run", escape_kills),
    ("what debuggers and browsers try is refused, and the run goes on", ordinary_goes_on),
    ("a call that the profile lists is no attempt to escape", listed_calls_are_no_escape),
    ("each escape kills the run", each_escape_kills),
    ("a touched canary kills the run, or the start is refused", canary_kills),
    ("a crossed cap freezes, and pace set open lets the run go on", exceeding_freezes),
    ("a tool that ends while its run is frozen ends as it says", ends_while_it_freezes),
    ("a pipe on stderr that nobody reads stops nobody", nobody_reads),
    ("Ctrl-C ends a frozen run", interrupt_ends_frozen),
    ("pace set changes what running processes may do at once", set_from_outside),
    ("a run without a meter can be frozen and nothing else", not_metered),
    ("ps and inspect show counters against caps", shown),
    ("what a killed berm left is removed", left_by_the_killed),
    ("an empty cgroup that was forgotten is removed", forgotten_cgroups),
    ("nobody but the owner and root sets a posture", nobody_else),
    ("a run cannot set its own posture", not_from_inside),
    ("a frozen run that continues itself is killed", continues_itself),
    ("a frozen run that does not is not", stays_frozen),
    ("hundreds of tasks are stopped from outside", five_hundred_stop),
]
