# SPDX-License-Identifier: Apache-2.0
"""Rows about what an operator wants to happen when a group's phase changes: groups.yaml."""
import json
import os

from bench import expect, expect_result
from rows_pace import World, wait_until

TOLD = """#!/bin/sh
# One file a call, whole when it has its name.
new=$(mktemp %(dir)s/.new.XXXXXX) && cat > "$new" && mv "$new" "%(dir)s/told.${new##*.}"
"""


class Told:
    """A program that is told, and what it heard."""

    def __init__(self, world):
        self.folder = world.state + ".told"
        os.mkdir(self.folder)
        self.program = self.folder + "/program"
        with open(self.program, "w", encoding="utf-8") as file:
            file.write(TOLD % {"dir": self.folder})
        os.chmod(self.program, 0o755)
        self.file = os.path.join(world.state, "groups.yaml")

    def write(self, text):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.file, 0o600)

    def heard(self):
        found = []
        for name in os.listdir(self.folder):
            if name.startswith("told."):
                with open(os.path.join(self.folder, name), encoding="utf-8") as file:
                    found.append(json.load(file))
        return sorted(found, key=lambda change: change["change"])


def somebody_is_told_of_each_change(bench):
    world = World(bench, "notify", authority=False)
    told = Told(world)
    told.write("version: 1\ngroups: [{name: crew, notify: [%s]}]\n" % told.program)
    expect_result(world.pace("group", "--tier", "2", "crew"), 0, r"^crew  primary")
    expect_result(world.pace("group", "--tier", "2", "others"), 0, r"^others  primary")
    world.agent("alpha", "--group", "crew")
    expect_result(world.pace("declare", "--reason", "odd \"answers\"", "--agent", "alpha", "crew", "alternate"), 0,
                  r"; notify, isolate, ")
    wait_until(lambda: len(told.heard()) == 1)
    change = told.heard()[0]
    expect([change[name] for name in ("group", "before", "after", "agent", "reason", "authority", "change")] ==
           ["crew", "primary", "alternate", "alpha", "odd \"answers\"", "operator", 1], change)
    expect("notify" not in change["required"] and "isolate" in change["actions"], change)
    body = world.records()[-1]["phase_change"]
    expect("notify" in body["actions"] and "notify" not in body.get("required", []), body)
    # Another group's change, and a refusal, are nobody's business.
    expect_result(world.pace("declare", "--reason", "x", "others", "alternate"), 0, r"still required: notify")
    expect(world.pace("recover", "--reason", "x", "crew").code == 1, "a refusal")
    expect_result(world.pace("declare", "--reason", "x", "crew", "emergency"), 0, r"notify")
    wait_until(lambda: len(told.heard()) == 2)
    expect(told.heard()[1]["after"] == "emergency" and told.heard()[1]["runs_left"] == 0, told.heard())


def a_program_that_cannot_be_started_is_still_required(bench):
    world = World(bench, "deaf", authority=False)
    told = Told(world)
    expect_result(world.pace("group", "--tier", "2", "crew"), 0, r"^crew  primary")
    expect_result(world.pace("group", "--tier", "2", "other"), 0, r"^other  primary")
    told.write("version: 1\ngroups: [{notify: [/does/not/exist]}]\n")
    expect_result(world.pace("declare", "--reason", "x", "crew", "alternate"), 0, r"still required: notify",
                  r"group crew: nobody is notified: /does/not/exist: No such file")
    expect("notify" in world.records()[-1]["phase_change"]["required"], "the record")
    told.write("version: 1\ngroups: [{notify: [/bin/true], too: much}]\n")
    expect_result(world.pace("declare", "--reason", "x", "other", "emergency"), 0, r"still required: notify",
                  r"groups.yaml:2:\d+: .*unknown key `too`")
    expect(world.phase("other") == "emergency", "nobody waits for a program")


ROWS = [somebody_is_told_of_each_change, a_program_that_cannot_be_started_is_still_required]
