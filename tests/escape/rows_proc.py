# SPDX-License-Identifier: Apache-2.0
"""Other processes, programs that were not granted, terminals, and what a run leaves alive."""
import fcntl
import os
import signal
import struct
import subprocess
import termios
import time

import harness
import inventory
from rows import Row
from rows_fs import finish, spawn

EXEC = """exec:
  default: deny
  allow:
    - {path: "%s/escape-payload"}
"""
SYSTEM = ("/usr", "/lib", "/lib64", "/bin")


def system_paths():
    return [path for path in SYSTEM if os.path.exists(path)]


def exec_profile(world):
    return world.profile("exec", read=system_paths(), more=EXEC % world.bin)


def system_profile(world):
    return world.profile("system", read=system_paths())


def exec_arguments(world, inside):
    return {"FORBIDDEN": "/bin/echo", "SELF": world.payload}


def kill_survivors(world):
    """End what the control left alive: only processes that run our own copy of the payload."""
    for pid, line in inventory.processes([world.token]).items():
        if "/bin/escape-" in line:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def beats(world):
    texts = {}
    for number in range(4):
        path = "%s/beat-%d" % (world.ws, number)
        texts[number] = inventory.read(path)
    return texts


def after_survivors(world, evidence, inside):
    """Which heartbeats go on after the end? A stopped one may have been cut in the middle of a write."""
    time.sleep(0.3)
    first = beats(world)
    time.sleep(0.7)
    second = beats(world)
    evidence.started = [number for number in first if first[number]]
    evidence.beating = [number for number in first if first[number] != second[number]]
    evidence.left = [line for line in inventory.processes([world.token]).values() if "/bin/escape-" in line]
    kill_survivors(world)


def survivors_check(world, evidence, inside):
    if not inside:
        return [] if evidence.beating else ["nothing survived outside"]
    wrong = ["heart %d beats after the end" % number for number in evidence.beating]
    wrong += ["alive: " + line for line in evidence.left]
    return wrong + ([] if evidence.started else ["no heart ever beat inside"])


def on_terminal(world, argv, options, inside):
    """The payload's stdin is a terminal, and its session leader's words are what the attacker wants to type."""
    master, slave = os.openpty()
    inner = options.pop("preexec_fn", None)

    def preexec():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        if inner:
            inner()

    start = time.monotonic()
    process = spawn(argv, dict(options, stdin=slave, preexec_fn=preexec))
    result = finish(process, start, options["timeout"])
    pending = struct.unpack("i", fcntl.ioctl(slave, termios.FIONREAD, b"\0\0\0\0"))[0]
    world.discipline = struct.unpack("i", fcntl.ioctl(slave, termios.TIOCGETD, b"\0\0\0\0"))[0]
    world.pending = pending
    os.close(slave)
    os.close(master)
    return result


def injected_check(world, evidence, inside):
    if not inside:
        return [] if world.pending else ["nothing was typed outside"]
    return ["%d bytes were typed into the terminal" % world.pending] if world.pending else []


def injection_lacking():
    text = inventory.read("/proc/sys/dev/tty/legacy_tiocsti").strip()
    return "TIOCSTI for ordinary users (dev.tty.legacy_tiocsti=0)" if text == "0" else None


def many_terminals_check(world, evidence, inside):
    count = int((evidence.values("COUNT") or ["0"])[0])
    # The host has pty.max (4096) for everybody; a run must not be able to take all of them.
    limit = int(inventory.read("/proc/sys/kernel/pty/max") or 4096)
    if inside:
        used = int(inventory.read("/proc/sys/kernel/pty/nr") or 0)
        evidence.summary = "%d terminals" % count
        return ["took %d of %d terminals" % (count, limit)] if count + used >= limit else []
    return []


def memfd_lacking():
    return None if os.path.exists("/proc/sys/vm/memfd_noexec") else "vm.memfd_noexec"


def cgroup_arguments(world, inside):
    if inside:
        return {}
    for top in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        if os.path.exists(top + "/cgroup.controllers"):
            return {"CGROUP": top}
    return {}


def cgroup_lacking():
    found = cgroup_arguments(None, False)
    return None if found else "cgroup v2"


def launcher_arguments(world, inside):
    # Outside, a copy that nobody executes: the control must not overwrite what the next row starts.
    return {"LAUNCHER": world.berm}


def restore_berm(world, evidence, inside):
    """The positive control really destroys it."""
    if not inside:
        with open(world.berm_copy, "rb") as source, open(world.berm, "wb") as target:
            target.write(source.read())


def keep_berm(world, inside):
    # Nobody executes it any more: a program that runs cannot be written to, whoever asks.
    inventory.end_recorders(world.token)
    world.berm_copy = world.top + "/profiles/berm.copy"
    if not os.path.exists(world.berm_copy):
        with open(world.berm, "rb") as source, open(world.berm_copy, "wb") as target:
            target.write(source.read())
    # As writable as a careless installation could make it.
    os.chmod(world.berm, 0o777)
    if world.mode == "root":
        os.chown(world.berm, world.uid, world.uid)


def launcher_script(world, inside):
    """The tool is a script whose interpreter is whoever starts it."""
    return [world.ws + "/self-script"]


def plant_script(world, inside):
    world.write(world.ws + "/self-script", "#!/proc/self/exe\n")
    os.chmod(world.ws + "/self-script", 0o755)


def preload(world, inside):
    world.preloaded = world.denied + "/preloaded"
    return {"env": {"PATH": "/usr/bin:/bin", "LD_PRELOAD": world.bin + "/escape-preload.so",
                    "ESCAPE_PRELOAD": world.denied + "/preloaded", "HOME": world.home}}


def preload_command(world, inside):
    return [world.payload, "environment"] if inside else ["/bin/true"]


SMUGGLED = {
    "BASH_ENV": "/x", "ENV": "/x", "LD_AUDIT": "/x.so", "LD_PRELOAD": "", "LD_LIBRARY_PATH": "/x",
    "GLIBC_TUNABLES": "glibc.malloc.check=1", "PYTHONSTARTUP": "/x", "PYTHONPATH": "/x", "NODE_OPTIONS": "--require=/x",
    "GIT_SSH_COMMAND": "/x", "GIT_EXTERNAL_DIFF": "/x", "PERL5OPT": "-Mx", "RUBYOPT": "-rx", "SSH_AUTH_SOCK": "/x",
    "AWS_SECRET_ACCESS_KEY": "x", "KUBECONFIG": "/x", "GITHUB_TOKEN": "x", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/x",
    "DOCKER_HOST": "unix:///x", "XDG_RUNTIME_DIR": "/x", "DISPLAY": ":0", "GPG_AGENT_INFO": "x", "IFS": "x",
}


def smuggle(world, inside):
    values = {"PATH": "/usr/bin:/bin", "HOME": world.home, "OWN_SECRET": world.secret}
    values.update(SMUGGLED)
    if world.mode == "root" and inside:
        values.update(SUDO_UID=str(world.uid), SUDO_GID=str(world.uid))
    return {"env": values}


def smuggled_check(world, evidence, inside):
    names = [line.split("=")[0] for line in evidence.values("ENV")]
    found = [name for name in names if name in SMUGGLED or name.startswith("SUDO_") or name == "OWN_SECRET"]
    if not inside:
        return [] if len(found) >= len(SMUGGLED) else ["outside only %s" % found]
    return ["carried in: " + name for name in found]


ROWS = [
    Row("P01", "program outside of exec.allow", "exec-forbidden", ["proof"], profile=exec_profile,
        arguments=exec_arguments),
    Row("P02", "the same program under other names", "exec-copies", ["proof"], profile=exec_profile,
        arguments=exec_arguments),
    Row("P02", "interpreter line of a script", "exec-script", ["proof"], profile=exec_profile,
        arguments=exec_arguments),
    Row("P04", "programs without a name, where exec goes by a list", "fileless", ["proof"], profile=exec_profile,
        arguments=exec_arguments),
    # Without a list the tool may run any code anyway; that memory files are not executable then is root's alone to set.
    Row("P04", "programs without a name: memfd, O_TMPFILE, unlinked", "fileless", ["proof"], modes=("root",),
        arguments=exec_arguments, lacking=memfd_lacking),
    Row("P05", "environment that loads code or carries secrets", "environment", ["leak"], popen=smuggle,
        check=smuggled_check),
    Row("P07", "memory and files of other processes through /proc", "inspect-others", ["proof"], victim=True),
    Row("P07", "ptrace of other processes and of the run's own PID 1", "trace-others", ["proof"], victim=True),
    Row("P07", "process_vm_readv and writev of others", "read-others", ["proof"], victim=True),
    Row("P07", "descriptors of others by pidfd_getfd, kcmp", "steal-descriptors", ["proof"], victim=True),
    Row("P08", "kill everything that can be named", "kill-others", ["dead"], victim=True),
    Row("P08", "SIGIO to a host process by descriptor", "signal-by-descriptor", ["dead"], victim=True),
    Row("P08", "limits and priority of a host process", "change-limits", ["proof"], victim=True),
    Row("P10", "words typed into the caller's terminal (TIOCSTI)", "inject", beside=on_terminal,
        check=injected_check, lacking=injection_lacking),
    Row("P10", "line discipline of the caller's terminal (TIOCSETD)", "set-discipline", ["proof"],
        beside=on_terminal),
    Row("P10", "console commands (TIOCLINUX, TIOCCONS)", "console-commands", ["proof"], beside=on_terminal),
    Row("P10", "controlling terminal of the caller's session taken (TIOCSCTTY)", "steal-terminal", ["proof"],
        control="root", beside=on_terminal),
    Row("P11", "daemons that outlive the tool", "survive", check=survivors_check, after=after_survivors),
    Row("P11", "fork storm while the tool ends", "fork-storm", check=survivors_check, after=after_survivors),
    Row("P13", "clone into another cgroup", "into-cgroup", ["proof"], control="root", arguments=cgroup_arguments,
        lacking=cgroup_lacking),
    Row("P14", "personality and modify_ldt", "personality", ["proof"]),
    Row("F22", "code mapped from a file that the tool may write", "map-executable", ["proof"]),
    Row("L05", "LD_PRELOAD of the caller in the supervisor", "environment", ["tamper"], popen=preload,
        command=preload_command, ends=False),
    Row("L07", "launcher overwritten through /proc", "overwrite-launcher", ["tamper"], before=keep_berm,
        after=restore_berm, arguments=launcher_arguments, timeout=120),
    Row("L07", "tool whose interpreter is /proc/self/exe", None, control=None, before=plant_script,
        command=launcher_script),
    Row("R13", "all pseudo terminals of the host", "many-terminals", control=None, check=many_terminals_check),
]
