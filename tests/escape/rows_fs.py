# SPDX-License-Identifier: Apache-2.0
"""Files: reaching them by other names, changing what is protected, undoing mounts, races."""
import os
import stat
import subprocess
import time

import harness
import inventory
from rows import Row


def wait_for(path, seconds=10):
    end = time.monotonic() + seconds
    while not os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.01)
    return os.path.exists(path)


def finish(process, start, timeout):
    """Collect what harness.run() would have returned."""
    timed_out = False
    try:
        out, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        process.kill()
        out, errors = process.communicate()
    return harness.Result(process.returncode, out, errors, time.monotonic() - start, timed_out)


def spawn(argv, options):
    options = dict(options)
    options.pop("timeout", None)
    for name in ("stdout", "stderr"):
        options.setdefault(name, subprocess.PIPE)
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(argv, **options)


def new_files(world):
    return [path for path, _ in world.workspace_files()]


def with_mode(world, bits):
    return [path for path, st in world.workspace_files() if not stat.S_ISLNK(st.st_mode) and st.st_mode & bits]


def set_id_check(world, evidence, inside):
    found = with_mode(world, 0o6000)
    if not inside:
        return [] if len(found) > 1 else ["no set-id file was made outside"]
    return ["set-id: " + path for path in found]


def node_check(world, evidence, inside):
    found = [path for path, st in world.workspace_files() if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode)]
    if not inside:
        return [] if found else ["no node was made outside"]
    return ["node: " + path for path in found if not path.endswith("planted-node")]


def plant_node(world, inside):
    os.mknod(world.ws + "/planted-node", stat.S_IFCHR | 0o666, os.makedev(1, 11))
    os.chmod(world.ws + "/planted-node", 0o666)


def capability_check(world, evidence, inside):
    found = [path for path in new_files(world)
             if not os.path.islink(path) and "security.capability" in os.listxattr(path)]
    if not inside:
        return [] if found else ["no file capability was set outside"]
    return ["file capability: " + path for path in found]


def private_check(world, evidence, inside):
    places = [world.outer["TMPFILE"], world.outer["SHMFILE"], world.outer["HOMEFILE"]]
    found = [path for path in places if os.path.exists(path)]
    for path in found:
        os.unlink(path)
    if not inside:
        return [] if len(found) == 3 else ["only %s were written outside" % found]
    return ["on the host: " + path for path in found]


def private_arguments(world, inside):
    world.outer = {"TMPFILE": "/tmp/planted-" + world.token, "SHMFILE": "/dev/shm/planted-" + world.token,
                   "HOMEFILE": world.home + "/planted"}
    return world.outer


def make_deep(world, inside):
    os.makedirs(world.ws + "/deep/er")
    world.open_up(world.ws)


def move_away(world, argv, options, inside):
    """While the payload stands in W/deep/er, that directory leaves the grant."""
    start = time.monotonic()
    process = spawn(argv, options)
    if wait_for(world.ws + "/ready"):
        os.rename(world.ws + "/deep/er", world.denied + "/er")
    world.write(world.ws + "/moved", "moved\n")
    result = finish(process, start, options["timeout"])
    world.remove(world.denied + "/er")
    return result


def race_arguments(world, inside):
    return {"ROUNDS": 100000, "SECONDS": 60} if inside else {"ROUNDS": 20000, "SECONDS": 20}


def race_check(world, evidence, inside):
    notes = [line for line in evidence.values("NOTE") if "rounds" in line]
    if not notes:
        return ["no rounds were counted"]
    rounds, swaps = int(notes[0].split()[0]), int(notes[0].split()[2])
    evidence.summary = "0 of %d rounds, %d exchanges" % (rounds, swaps)
    # What is pinned cannot be exchanged at all; elsewhere the race has to have been one.
    enough = rounds >= 1000 and (swaps >= 1000 or evidence.pinned and inside)
    return [] if enough else ["too few rounds: " + notes[0]]


def pinned_race_check(world, evidence, inside):
    evidence.pinned = True
    return race_check(world, evidence, inside)


def swap_grant(world, inside):
    os.mkdir(world.ws + "/p")
    os.symlink(world.denied, world.ws + "/l")
    world.open_up(world.ws)


def many_runs(world, argv, options, inside):
    """Somebody who may write W exchanges W/p and a link to D, while run after run is granted W/p."""
    rounds = 150 if inside else 40
    swapper = spawn([world.payload, "swap-for-others", "W=" + world.ws, "SECONDS=120"], options)
    wait_for(world.ws + "/ready")
    start, texts, refused, began = time.monotonic(), [], 0, 0
    before = inventory.take([world.token])
    while began + refused < rounds and time.monotonic() - start < 60:
        result = harness.run(argv, **options)
        texts.append(result.stdout)
        if b"BEGIN" in result.stdout:
            began += 1
        else:
            refused += 1
    left = [line for line in inventory.settle(before, [world.token]) if "swap-for-others" not in line]
    world.write(world.ws + "/stop", "stop\n")
    finish(swapper, start, 20)
    # Back to where the first directory was, so that the tree is compared and not the exchange.
    texts.append(("NOTE %d began, %d refused\n%s" % (began, refused, "\n".join(left))).encode())
    texts.append(b"\nBEGIN use-granted-path\nDONE use-granted-path\n" if began else b"\nnothing began\n")
    return harness.Result(0, b"".join(texts), result.stderr, time.monotonic() - start, False)


def many_runs_check(world, evidence, inside):
    left = [line for line in evidence.lines if line.startswith("left behind")]
    evidence.summary = [line for line in evidence.values("NOTE") if "refused" in line][0]
    return left


def grant_of_link(world):
    return world.profile("link-grant", write=(world.ws + "/p",))


def grant_through_link(world, inside):
    os.symlink(world.denied, world.ws + "/p")


def protect_through_link(world):
    return world.profile("link-protect", more="", protect="    - \"%s/conf/settings\"\n" % world.ws)


def link_to_real(world, inside):
    os.mkdir(world.ws + "/conf-real")
    os.symlink("conf-real", world.ws + "/conf")
    world.open_up(world.ws)


def planted_check(world, evidence, inside):
    planted = inventory.read(world.ws + "/conf/settings") == "evil\n"
    if not inside:
        return [] if planted else ["nothing was planted outside"]
    return ["the protected name was planted"] if planted else []


def core_check(world, evidence, inside):
    return ["core file in the read-only grant"] if inside and any("core" in path for path in evidence.changed) else []


def core_lacking():
    return None if inventory.read("/proc/sys/kernel/core_pattern").startswith("core") else "core files in the cwd"


ROWS = [
    Row("F01", "read outside of every grant, by ../ and by name", "traverse-read", ["leak"]),
    Row("F01", "write outside of every grant, by ../ and by name", "traverse-write", ["tamper"]),
    Row("F01", "O_PATH descriptor opened again through /proc/self/fd", "traverse-reopen", ["leak", "tamper"]),
    Row("F01", "whole visible tree searched for secrets", "walk-tree", ["leak"],
        arguments=lambda world, inside: {"TOP": "/" if inside else world.top}),
    Row("F01", "links out of the grant, left by somebody else", "planted-link", ["leak", "tamper"]),
    Row("F01", "chroot twice, pivot_root", "change-root", ["proof"], control="root"),
    Row("F01", "file handles of the whole file system", "file-handles", ["proof"], control="root"),
    Row("F01", "/tmp, /dev/shm and home are not the host's", "private-places", check=private_check,
        arguments=private_arguments),
    Row("F02", "sibling directories that share the prefix of a grant", "sibling-prefix", ["tamper"]),
    Row("F04", "chain of 39 links that ends outside", "symlink-chain", ["leak", "tamper"]),
    Row("F04", "loop of links ends by itself", "symlink-loop"),
    Row("F05", "race: directory and link exchanged while its file is written", "exchange", ["leak"],
        arguments=race_arguments, check=race_check, timeout=120, slow=True),
    Row("F07", "protected files replaced by every verb", "replace-protected", ["tamper"]),
    Row("F07", "parents of protected files carried away", "replace-parent", ["tamper"]),
    Row("F07", "denied and read-only files linked or moved out", "hard-link-out", ["leak", "tamper"]),
    Row("F07", "race: parents of protected files exchanged", "parent-races", ["tamper", "leak"],
        arguments=race_arguments, check=pinned_race_check, timeout=120, slow=True),
    Row("F07", "protected name behind a link in the grant", "replace-link", profile=protect_through_link,
        before=link_to_real, check=planted_check, may_refuse=True),
    Row("F08", "protected names that did not exist", "create-absent", ["tamper"]),
    Row("F08", "placeholder of a protected name replaced", "remove-placeholder", ["tamper"]),
    Row("F10", "read-only grant mounted writable", "remount-writable", ["tamper"], control="mounts"),
    Row("F10", "tree cloned without its covers", "clone-tree", ["tamper", "proof"], control="mounts",
        arguments=lambda world, inside: {"PARENT": "/" if inside else world.top}),
    Row("F10", "cover of a denied directory taken off", "uncover", ["leak"], control="mounts"),
    Row("F10", "every verb that changes a read-only grant", "change-read-only", ["tamper"]),
    Row("F10", "read-only file changed through a mapping", "map-read-only", ["tamper"]),
    Row("F11", "directory moved out of the grant from outside", "disconnected", ["leak"], before=make_deep,
        beside=move_away),
    Row("F13", "device nodes made", "make-nodes", ["proof"], control="root", check=node_check),
    Row("F13", "device node left by somebody else", "open-planted-node", ["proof"], control="root",
        before=plant_node),
    Row("F13", "set-id bits by every call that sets a mode", "set-id", check=set_id_check),
    Row("F13", "file capabilities", "file-capabilities", control="root", check=capability_check),
    Row("F14", "descriptors without rights used with empty paths", "empty-path", ["leak", "tamper"]),
    Row("F16", "the kernel writes: accounting, swap, quota", "kernel-writes", ["proof"], control="root"),
    Row("F16", "core file in a read-only grant", "core-dump", ["tamper"], check=core_check, lacking=core_lacking),
    Row("F16", "fanotify watches", "watch-mounts", ["proof"], control="root"),
    Row("F17", "whiteouts", "whiteouts", check=node_check),
    Row("F19", "denied file by every spelling of its name", "spellings", ["leak", "tamper"]),
    Row("F20", "existence of names outside of every grant", "oracle", ["proof"]),
    Row("M07", "grant exchanged with a link while runs start", "use-granted-path", ["tamper"],
        profile=grant_of_link, before=swap_grant, beside=many_runs, check=many_runs_check, timeout=20, slow=True,
        arguments=lambda world, inside: {"P": world.ws + "/p"}),
    Row("M07", "grant whose name is a link in a writable grant", "use-granted-path", ["leak", "tamper"],
        profile=grant_of_link, before=grant_through_link, may_refuse=True,
        arguments=lambda world, inside: {"P": world.ws + "/p"}),
]
