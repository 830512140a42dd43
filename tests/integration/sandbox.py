# SPDX-License-Identifier: Apache-2.0
"""A workspace with a profile, and berm run in it."""
import json
import os
import shutil
import subprocess
import tempfile

import harness
import inventory

SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ssl",
          "/etc/python3", "/etc/python3.11", "/etc/npmrc")
PROFILE = """version: 1
name: integration
fs:
  read:
%s
  write:
    - "${WORKDIR}"
  deny:
    - "${WORKDIR}/secret"
  protect:
    - "${WORKDIR}/.git/hooks"
    - "${WORKDIR}/.envrc"
exec:
  allow:
    - {path: "${WORKDIR}"}
env:
  pass: [PATH, LANG, "LC_*"]
  set: {SET_BY_PROFILE: "yes"}
%s"""


class Sandbox:
    def __init__(self, mode, berm, cache, log_show=None):
        self.mode = mode
        self.top = tempfile.mkdtemp(prefix="integration-", dir="/var/tmp" if os.path.isdir("/var/tmp") else "/tmp")
        os.chmod(self.top, 0o755)
        self.token = os.path.basename(self.top)
        self.cache = cache
        self.uid = harness.TOOL_UID if mode == "root" else os.getuid()
        self.bin = self.top + "/bin"
        os.mkdir(self.bin)
        self.berm = self.bin + "/berm"
        shutil.copy(berm, self.berm)
        self.log_show = log_show and shutil.copy(log_show, self.bin + "/log-show")
        self.ws = self.top + "/ws"
        self.home = self.top + "/home"
        self.state = self.top + "/state"
        self.profile = self.write_profile("integration")
        self.sudo = True
        self.fresh()

    def write_profile(self, name, more="", read=()):
        paths = [path for path in SYSTEM if os.path.exists(path)] + list(read)
        lines = "\n".join("    - \"%s\"" % path for path in paths)
        return self.write_text(self.top + "/%s.yaml" % name, PROFILE % (lines, more))

    def write_text(self, path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def fresh(self):
        """An empty workspace and home."""
        for directory in (self.ws, self.home):
            shutil.rmtree(directory, ignore_errors=True)
            os.mkdir(directory, 0o755)
            self.own(directory)
        self.sudo = True

    def own(self, path):
        if self.mode == "root":
            os.lchown(path, self.uid, self.uid)

    def file(self, name, text, mode=0o644):
        """A file of the workspace, owned by the tool's user."""
        path = self.ws + "/" + name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.write_text(path, text)
        os.chmod(path, mode)
        while path.startswith(self.ws):
            self.own(path)
            path = os.path.dirname(path)
        return self.ws + "/" + name

    def environment(self, **more):
        values = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": self.home, "LANG": "C.UTF-8",
                  "BERM_STATE_DIR": self.state}
        if self.mode == "root" and self.sudo:
            values.update(SUDO_UID=str(self.uid), SUDO_GID=str(self.uid))
        values.update(more)
        return values

    def command(self, tool, *options, profile=None, directory=True):
        where = ["-C", self.ws] if directory else []
        return [self.berm, "run", "-p", profile or self.profile] + where + list(options) + ["--"] + list(tool)

    def run(self, tool, *options, profile=None, directory=True, **popen):
        popen.setdefault("env", self.environment())
        popen.setdefault("cwd", self.ws)
        popen.setdefault("timeout", 60)
        return harness.run(self.command(tool, *options, profile=profile, directory=directory), **popen)

    def shell(self, script, *options, **popen):
        return self.run(["/bin/sh", "-c", script], *options, **popen)

    def start(self, tool, *options, profile=None, **popen):
        popen.setdefault("stdin", subprocess.DEVNULL)
        popen.setdefault("stdout", subprocess.PIPE)
        popen.setdefault("stderr", subprocess.PIPE)
        popen.setdefault("env", self.environment())
        return subprocess.Popen(self.command(tool, *options, profile=profile), cwd=self.ws, **popen)

    def record(self, tool, *options, **popen):
        """Run with --status-fd: (result, the record as a dictionary, or None when there was none)."""
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        result = self.run(tool, "--status-fd", str(writer), *options, pass_fds=(writer,), **popen)
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            text = file.read()
        lines = text.decode("utf-8").splitlines()
        return result, json.loads(lines[0]) if len(lines) == 1 else None

    def close(self):
        inventory.end_recorders(self.token)
        shutil.rmtree(self.top, ignore_errors=True)


class Skip(Exception):
    """What a row needs is not installed here."""


class Case:
    """Collects what is wrong with one row."""

    def __init__(self):
        self.wrong = []
        self.summary = ""

    def that(self, good, *words):
        if not good:
            self.wrong += [str(word) for word in words]
        return good

    def code(self, result, wanted):
        return self.that(result.code == wanted, "exit %s, not %s" % (result.code, wanted), *result.describe())


def judge(sandbox, tap, title, function):
    sandbox.fresh()
    case = Case()
    before = inventory.take([sandbox.token])
    try:
        function(sandbox, case)
    except Skip as reason:
        tap.skip(title, str(reason))
        return
    except Exception as error:  # a broken row must not hide the ones after it
        case.wrong.append("%s: %s" % (type(error).__name__, error))
    case.wrong += inventory.settle(before, [sandbox.token])
    tap.row(not case.wrong, title + (": " + case.summary if case.summary else ""), case.wrong)
