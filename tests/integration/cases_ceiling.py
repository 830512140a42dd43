# SPDX-License-Identifier: Apache-2.0
"""The operator's ceiling over runs of a supervisor: /etc/berm/ceiling.yaml, in an /etc of the daemon's own."""
import os
import shutil

import cases_supervise
import harness
from cases_approvals import JUDGE, YES
from sandbox import SYSTEM, Skip

# What programs read there beside the places that every profile of these tests grants.
ETC = tuple(path for path in SYSTEM if path.startswith("/etc/")) + ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf")
OWN_ETC = "mount --bind \"$1\" /etc && shift || exit 99; exec \"$@\""

CEILING = """version: 1
name: ceiling
fs: {read: [/], write: ["%(write)s"]}
exec: {default: allow}
env: {pass: ["*"]}
limits: {open_files: %(files)d}
blast_radius: {files_deleted: %(deleted)d, on_exceed: deny}
"""
NO = "echo '{\"decision\": \"deny\", \"reason\": \"not here\"}'"
# Told in words, since a run's exit code is that of its last one.
TRIES = """: %s; exec 2>&-; ulimit -n
(echo x > free/made) && echo made in free
(echo x > made) && echo made beside
rm free/a && echo lost a
rm free/b && echo lost b
exit 0
"""


class World(cases_supervise.Supervised):
    """A supervisor that finds another /etc than who asks it."""

    def __init__(self, sandbox):
        super().__init__(sandbox, "ceiling")
        # Of its own, and with room for files that no profile has a word for.
        self.top = sandbox.top + "/ceiling"
        self.etc = self.top + "/etc"
        os.makedirs(self.etc + "/berm")
        for path in ETC:
            if os.path.isdir(path):
                shutil.copytree(path, self.top + path, symlinks=True, ignore=shutil.ignore_patterns("private"))
            elif os.path.exists(path):
                shutil.copy(path, self.top + path)

    def supervisor_command(self):
        return ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", OWN_ETC, "sh", self.etc,
                *super().supervisor_command()]

    def ceiling(self, text):
        """In one step, as an editor would."""
        path = self.etc + "/berm/ceiling.yaml"
        self.sandbox.write_text(path + ".new", text)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    def judge(self):
        """Says no to what has a word in it."""
        path = self.top + "/judge"
        self.sandbox.write_text(path, JUDGE % {"top": self.top, "body": "if grep -q forbidden %s/judge.question; then "
                                               "%s; else %s; fi" % (self.top, NO, YES)})
        os.chmod(path, 0o755)
        return "gates: [{name: law, exec: [%s, judge], on: [run]}]\n" % path

    def tries(self, word):
        """What a run may do: the lines that it says, and the result."""
        self.sandbox.fresh()
        for name in ("a", "b"):
            self.sandbox.file("free/" + name, "x\n")
        result = self.ask("/bin/sh", "-c", TRIES % word)
        return result.text.splitlines(), result

    def close(self):
        super().close()
        shutil.rmtree(self.top, ignore_errors=True)


def the_operators_ceiling_holds_for_runs_of_a_supervisor(sandbox, case):
    """By what a run can do, for each text of the file that the daemon's operator writes while it lasts."""
    if sandbox.mode == "user":
        raise Skip("only root gives a process another /etc")
    world = World(sandbox)
    try:
        under_ceilings(world, sandbox, case)
    finally:
        world.close()


def under_ceilings(world, sandbox, case):
    world.add_worker(case)
    world.ceiling(CEILING % {"write": sandbox.ws + "/free", "files": 900, "deleted": 1} + world.judge())
    case.that(world.supervise(), "it does not listen")
    told, result = world.tries("first")
    case.that(told == ["900", "made in free", "lost a"] and result.code == 0, told, *result.describe())
    result = world.ask("/bin/sh", "-c", "echo forbidden > free/ran")
    case.that(result.code == 126 and "the gate law says no: not here" in result.errors, *result.describe())
    case.that(not os.path.exists(sandbox.ws + "/free/ran"), "it ran")

    # Another one, while the daemon lasts: the next run is under that.
    world.ceiling(CEILING % {"write": sandbox.ws, "files": 700, "deleted": 2})
    told, result = world.tries("forbidden")
    case.that(told == ["700", "made in free", "made beside", "lost a", "lost b"] and result.code == 0, told,
              *result.describe())

    # One that cannot be read is none that is not there.
    world.ceiling("version: 1\nname: ceiling\nlimits: {open_files: many}\n")
    told, result = world.tries("broken")
    case.that(told == [] and result.code == 2 and "/etc/berm/ceiling.yaml:3:" in result.errors, told,
              *result.describe())
    case.that(sorted(os.listdir(sandbox.ws)) == ["free"], os.listdir(sandbox.ws))
    os.unlink(world.etc + "/berm/ceiling.yaml")
    told, result = world.tries("none")
    case.that(told[1:] == ["made in free", "made beside", "lost a", "lost b"] and told[0] not in ("700", "900"), told,
              *result.describe())
    case.that(harness.wait_for(lambda: world.status().get("runs") == 0, cases_supervise.LONG), world.status())
    case.that(not os.path.exists("/etc/berm/ceiling.yaml"), "this machine has got a ceiling")


ROWS = [
    ("the operator's ceiling holds for runs of a supervisor, as it is when they begin",
     the_operators_ceiling_holds_for_runs_of_a_supervisor),
]
