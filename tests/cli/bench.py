# SPDX-License-Identifier: Apache-2.0
"""Shared by the rows of the command line: a directory to work in, and what is expected of berm."""
import json
import os
import pty
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))

import harness  # noqa: E402

GOOD = """version: 1
name: good
description: for tests
fs:
  read:
    - /usr
    - ${WORKDIR}
    - {path: /nonexistent/%s, optional: true, reason: "not here"}
  write: ["${WORKDIR}/out"]
  deny: ["${WORKDIR}/secret"]
"""


class Bench:
    """A directory with profiles, and how to call berm in it."""

    def __init__(self, berm, write_log):
        self.berm = os.path.abspath(berm)
        self.write_log = os.path.abspath(write_log)
        # Not in /tmp: a run has one of its own, where it may write.
        self.top = os.path.realpath(tempfile.mkdtemp(prefix="berm-cli-", dir="/var/tmp"))
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": self.top, "XDG_CONFIG_HOME": self.top + "/config",
                            "BERM_STATE_DIR": self.top + "/state"}
        for name in ("ws/out", "config/berm/profiles"):
            os.makedirs(os.path.join(self.top, name))
        self.write("good.yaml", GOOD % "x")
        self.write("ws/base.yaml", "version: 1\nname: base\n")
        self.write("config/berm/profiles/named.yaml", "version: 1\nname: named\nextends: [other]\n")
        self.write("config/berm/profiles/other.yaml", "version: 1\nname: other\n")
        os.symlink("secret", self.top + "/ws/link")

    def write(self, name, text):
        path = os.path.join(self.top, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path

    def call(self, *words, more=None, **options):
        environment = dict(self.environment, **(more or {}))
        options.setdefault("cwd", self.top + "/ws")
        return harness.run([self.berm, *words], env=environment, **options)

    def object(self, *words, code=0, **options):
        result = self.call(*words, **options)
        expect(result.code == code, *result.describe())
        expect(result.text.count("\n") == 1 and result.text.endswith("\n"), "not one line", result.text)
        return json.loads(result.text)

    def on_terminal(self, *words, more=None):
        """What the program writes to a terminal."""
        ours, theirs = pty.openpty()
        try:
            self.call(*words, more=dict({"TERM": "xterm"}, **(more or {})), stdout=theirs)
            return os.read(ours, 65536).decode()
        finally:
            os.close(ours)
            os.close(theirs)


class Wrong(Exception):
    pass


def expect(truth, *details):
    if not truth:
        raise Wrong("\n".join(str(detail) for detail in details) or "expectation")


def expect_result(result, code, stdout="", stderr=""):
    """stdout and stderr are patterns that must be found; "" is nothing at all."""
    expect(result.code == code, "exit should be %d" % code, *result.describe())
    for pattern, text in ((stdout, result.text), (stderr, result.errors)):
        expect(re.search(pattern, text) if pattern else text == "", "wanted %r" % pattern, *result.describe())
