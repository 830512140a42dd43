# SPDX-License-Identifier: Apache-2.0
"""What a row is, and how it is judged."""
import inventory

import harness


class Row:
    """One technique against one profile.

    effects   what the positive control outside must show, each of them: "leak" the secret came out, "tamper" the
              guarded tree changed, "proof" the payload was given what it asked for, "bytes:NAME" a listener heard
              something, "dead" the victim died. Inside, none of all of them may be seen, listed or not.
    control   who runs the control: "user" (the tool's own user), "root", "mounts" (in a mount namespace that has
              the covers berm makes), None (there is no outside for it)
    check     extra judgement: function(world, evidence, inside) giving lines of what is wrong
    before    function(world, inside), called after the tree was reset
    beside    function(world, process, inside), called while the payload runs
    allowed   proofs that are no escape, as prefixes
    ends      False: the payload may be killed before it says DONE
    lacking   function() giving why this kernel cannot have the row, or None
    may_refuse  berm may also refuse the whole run, with a reason
    modes     in which the row makes sense; a control that needs root of the host has only "root"
    """

    def __init__(self, ident, title, attack, effects=(), **options):
        self.ident = ident
        self.title = title
        self.attack = attack
        self.effects = tuple(effects)
        self.control = options.pop("control", "user")
        self.arguments = options.pop("arguments", {})
        self.profile = options.pop("profile", "escape")
        self.check = options.pop("check", None)
        self.before = options.pop("before", None)
        self.beside = options.pop("beside", None)
        self.after = options.pop("after", None)
        self.allowed = tuple(options.pop("allowed", ()))
        self.ends = options.pop("ends", True)
        self.lacking = options.pop("lacking", lambda: None)
        self.modes = options.pop("modes", ("root",) if self.control == "root" else ("root", "user", "userns"))
        self.victim = options.pop("victim", False)
        self.slow = options.pop("slow", False)
        self.timeout = options.pop("timeout", 60)
        self.command = options.pop("command", None)
        self.options = options.pop("run_options", ())
        self.popen = options.pop("popen", None)
        self.may_refuse = options.pop("may_refuse", False)
        self.directory = options.pop("directory", True)
        self.sudo = options.pop("sudo", True)
        if options:
            raise TypeError("row %s: unknown %s" % (title, ", ".join(options)))


class Evidence:
    """What one run left to see."""

    def __init__(self, world, result, before):
        self.world = world
        self.pinned = False
        self.result = result
        self.lines = result.text.splitlines()
        self.proofs = [line for line in self.lines if line.startswith("PROOF ")]
        after = world.snapshot()
        self.changed = sorted(path for path in set(before) | set(after) if before.get(path) != after.get(path))
        self.leak = world.leaked(result.stdout)
        world.listeners.drain()
        self.heard = {name: count for name, count in world.listeners.bytes.items() if count}
        self.dead = bool(world.victim) and not world.victim_alive()

    def values(self, word):
        """What follows the word on the lines that begin with it."""
        return [line[len(word) + 1:] for line in self.lines if line.startswith(word + " ")]

    def seen(self, allowed=()):
        """Every effect, with what was seen: {"leak": …}."""
        found = {}
        proofs = [line for line in self.proofs if not line[6:].startswith(tuple(allowed))] if allowed else self.proofs
        if self.leak:
            found["leak"] = self.leak
        if self.changed:
            found["tamper"] = ", ".join(self.changed[:8])
        if proofs:
            found["proof"] = "; ".join(proofs[:8])
        for name, count in self.heard.items():
            found["bytes:" + name] = "%d bytes" % count
        if self.dead:
            found["dead"] = "the victim died"
        return found


def arguments_of(world, row, inside):
    values = {"W": world.ws, "D": world.denied, "RO": world.ro, "HIDDEN": world.hidden, "PORT": world.port,
              "INSIDE": int(inside), "TOKEN": world.token}
    extra = row.arguments(world, inside) if callable(row.arguments) else row.arguments
    values.update(extra)
    if world.victim:
        values.update(PID=world.victim_pid, ADDRESS=world.victim_address)
    if row.control == "mounts" and not inside:
        values["SETUP"] = "mounts"
    return ["%s=%s" % pair for pair in values.items() if pair[1] is not None]


def command_of(world, row, inside):
    if row.command:
        return row.command(world, inside)
    return [world.payload, row.attack] + arguments_of(world, row, inside)


def profile_of(world, row):
    return row.profile(world) if callable(row.profile) else "%s/%s.yaml" % (world.profiles, row.profile)


def berm_command(world, row, tool):
    profile = profile_of(world, row)
    options = row.options(world) if callable(row.options) else list(row.options)
    where = ["-C", world.ws] if row.directory else []
    return [world.berm, "run", "-p", profile, "--state-dir", world.state] + where + options + ["--"] + tool


def environment_of(world, row, inside):
    values = {"PATH": "/usr/bin:/bin", "HOME": world.home, "TMPDIR": world.tmp, "LANG": "C"}
    if world.mode == "root" and inside and row.sudo:
        values.update(SUDO_UID=str(world.uid), SUDO_GID=str(world.uid), SUDO_USER="tool")
    return values


def run_once(world, row, inside):
    """Run the payload outside or inside and gather what it did."""
    world.reset()
    if row.before:
        row.before(world, inside)
    if row.victim:
        world.victim_pid, world.victim_address = world.start_victim()
    tool = command_of(world, row, inside)
    argv = berm_command(world, row, tool) if inside else tool
    snapshot = world.snapshot()
    options = {"env": environment_of(world, row, inside), "cwd": world.ws, "timeout": row.timeout}
    if not inside and world.mode == "root" and row.control != "root":
        options["preexec_fn"] = harness.become(world.uid)
    if row.popen:
        options.update(row.popen(world, inside))
    if row.beside:
        result = row.beside(world, argv, options, inside)
    else:
        result = harness.run(argv, **options)
    evidence = Evidence(world, result, snapshot)
    if row.after:
        row.after(world, evidence, inside)
    world.stop_victim()
    return evidence


def ran(row, evidence):
    """Lines of what is wrong with the run itself: a refusal of berm or a dead payload is no wall."""
    wrong = []
    if row.may_refuse and evidence.result.code in (2, 125, 126) and "berm: " in evidence.result.errors:
        return wrong
    if row.attack and "BEGIN " + row.attack not in evidence.lines:
        wrong.append("the payload never began")
    if row.ends and row.attack and "DONE " + row.attack not in evidence.lines:
        wrong.append("the payload did not come to its end")
    if evidence.result.timed_out:
        wrong.append("timed out")
    return wrong


def judge(world, row, tap, controls_only=False):
    title = "%s %s" % (row.ident, row.title)
    reason = row.lacking()
    if reason:
        tap.not_applicable(title, "kernel lacks " + reason)
        return
    if row.control:
        control = run_once(world, row, False)
        seen = control.seen()
        missing = [effect for effect in row.effects if effect not in seen]
        wrong = ran(row, control) if row.ends else []
        if row.check:
            wrong += row.check(world, control, False) or []
        if missing or wrong:
            tap.row(False, title + ": the control outside does not get through", [
                "not seen: " + ", ".join(missing), "seen: %s" % seen] + wrong + control.result.describe())
            return
    if controls_only:
        tap.row(True, title + ": control")
        return
    before = inventory.take([world.token])
    inside = run_once(world, row, True)
    seen = inside.seen(row.allowed)
    wrong = ran(row, inside) + ["%s: %s" % pair for pair in seen.items()]
    if row.check:
        wrong += row.check(world, inside, True) or []
    wrong += inventory.settle(before, [world.token])
    if wrong:
        tap.row(False, title, wrong + inside.result.describe())
    else:
        tap.row(True, title + (": " + inside.summary if getattr(inside, "summary", None) else ""))
