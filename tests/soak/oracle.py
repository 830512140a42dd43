# SPDX-License-Identifier: Apache-2.0
"""What happened, as seen by those who know nothing of berm: the tree, and strace."""
import collections
import os
import re
import shutil

import harness

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # what berm gives a tool
# git touches objects that it would write again, for each file that is as young as its index: that is up to the clock.
TOLERANCE = 0.08
CALL = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(\w+)\((.*)$")
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_TRUNC|O_ACCMODE")
ONE_CHANGED = {"truncate", "ftruncate", "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown",
               "fchownat", "utime", "utimes", "utimensat", "futimesat", "setxattr", "lsetxattr", "fsetxattr",
               "removexattr", "lremovexattr", "fremovexattr", "fallocate"}
MADE = {"mkdir", "mkdirat", "mknod", "mknodat", "link", "linkat", "symlink", "symlinkat", "creat", "bind"}
REMOVED = {"unlink", "unlinkat", "rmdir"}


def tree(top):
    """{name: what changes when the file does}"""
    found = {}
    for directory, names, files in os.walk(top):
        for name in names + files:
            path = os.path.join(directory, name)
            try:
                st = os.lstat(path)
            except FileNotFoundError:
                continue
            # The times of a directory change with the names in it, which are counted themselves.
            times = () if os.path.isdir(path) and not os.path.islink(path) else (st.st_size, st.st_mtime_ns)
            found[path] = (st.st_ino, st.st_mode, st.st_uid, *times)
    return found


def difference(before, after):
    new, gone = set(after) - set(before), set(before) - set(after)
    changed = {path for path in set(before) & set(after) if before[path] != after[path]}
    return {"files_created": new, "files_deleted": gone, "files_changed": new | changed}


def charge(counters, call, arguments):
    """The rule of docs/meter.md for the notify make, a second time."""
    if call in ("open", "openat"):
        if "O_TMPFILE" in arguments:
            return
        if "O_CREAT" in arguments:
            counters["files_created"] += 1
            counters["files_changed"] += 1
        elif WRITES.search(arguments):
            counters["files_changed"] += 1
    elif call in ONE_CHANGED:
        counters["files_changed"] += 1
    elif call in MADE:
        counters["files_created"] += 1
        counters["files_changed"] += 1
    elif call in REMOVED:
        counters["files_deleted"] += 1
    elif call in ("rename", "renameat", "renameat2"):
        exchange, keep = "RENAME_EXCHANGE" in arguments, "RENAME_NOREPLACE" in arguments
        counters["files_changed"] += 1 if keep else 2
        counters["files_deleted"] += not exchange and not keep
    elif call in ("fork", "vfork") or (call == "clone" and "CLONE_THREAD" not in arguments):
        counters["processes_started"] += 1
    elif call in ("execve", "execveat"):
        counters["programs_started"] += 1


def calls(argv, sandbox, name):
    """What strace sees of a command that runs without berm; None where it cannot trace. clone3, openat2 and io_uring
    answer ENOSYS there as they do in a run, so that libraries go the same ways."""
    if not shutil.which("strace"):
        return None
    out = "%s/trace-%s" % (sandbox.top, name)
    sandbox.own(sandbox.top)
    options = {}
    if sandbox.mode == "root":
        options["preexec_fn"] = harness.become(sandbox.uid)
    environment = {"PATH": PATH, "HOME": sandbox.home, "LANG": "C.UTF-8", "TMPDIR": "/tmp",
                   "CI": "true", "GIT_TERMINAL_PROMPT": "0", "SHELL": "/bin/sh", "USER": "tool", "LOGNAME": "tool"}
    traced = ["strace", "-f", "-qq", "-s", "1", "-o", out, "-e", "signal=none", "-e",
              "trace=file,process,ftruncate,fchmod,fchown,fallocate,bind,fsetxattr,fremovexattr,clone3,openat2",
              "-e", "inject=clone3,openat2:error=ENOSYS"]
    done = harness.run(traced + argv, timeout=600, env=environment, cwd="%s/w/%s" % (sandbox.ws, name), **options)
    if done.code != 0 or not os.path.exists(out):
        print("# strace of %s: exit %s: %s" % (name, done.code, (done.text + done.errors)[-300:]), flush=True)
        return None
    counters = collections.Counter({"files_changed": 0, "files_created": 0, "files_deleted": 0, "processes_started": 0,
                                    "programs_started": 0})
    with open(out, encoding="utf-8", errors="replace") as file:
        for line in file:
            found = CALL.match(line)
            if found:
                charge(counters, *found.groups())
    return counters
