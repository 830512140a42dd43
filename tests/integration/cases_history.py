# SPDX-License-Identifier: Apache-2.0
"""Many clients ask for things of one state directory at once: what they were answered has to be as if each request had
happened at one moment. Half of the runs are asked for at a supervisor. HISTORY_ALL=1: 200 clients for a minute."""
import json
import os
import random
import threading
import time

import harness
import linear
from cases_supervise import row

ALL = bool(os.environ.get("HISTORY_ALL"))
CLIENTS, SECONDS, EACH = (200, 60, 6) if ALL else (24, 6, 2)
PHASES = ("primary", "alternate", "contingency", "emergency")
RUNS_LIMIT = 9
# A request that came to nothing because of the crowd (a lock that was not had in time) is one that nobody heard of.
HEARD_SHARE = 0.8
# What ends for good has another object each second, so that every second has answers that could be wrong.
FRESH = {"p", "x"}
ANSWERS = {"window": {"ok"}, "phase": {"ok", "refused"}, "role": {"ok"}, "halt": {"ok", True, False},
           "run": {"admitted", "refused"}}


class Clients:
    """What is asked and answered, by object."""

    def __init__(self, world, seed):
        self.world = world
        self.lock = threading.Lock()
        self.ops = {}
        self.wrong = []
        self.seed = seed
        self.values = iter(range(1000, 10 ** 9))

    def ask(self, *words):
        return harness.run([self.world.sandbox.berm, *words], env=self.world.environment(), cwd="/", timeout=120)

    def note(self, name, call, action, answer, client):
        end = time.monotonic() if answer is not None else linear.FOREVER
        with self.lock:
            self.ops.setdefault(name, []).append(linear.Op(call, end, action, answer, client))

    def value(self):
        with self.lock:
            return next(self.values)

    # Each asks once and notes it: (what, which) is the object.

    def window(self, name, rng, client):
        call = time.monotonic()
        if rng.random() < 0.5:
            value = self.value()
            result = self.ask("pace", "group", "--window", "%dms" % value, name)
            self.note(("window", name), call, ("write", value), "ok" if result.code == 0 else None, client)
        else:
            shown = self.shown("pace", "show", "--json", name)
            self.note(("window", name), call, ("read",), shown and shown["window_ms"], client)

    def phase(self, name, rng, client):
        call = time.monotonic()
        if rng.random() < 0.3:
            wanted = rng.choice((1, 1, 1, 3))
            result = self.ask("pace", "declare", "--reason", "history", name, PHASES[wanted])
            answer = "ok" if result.code == 0 else "refused" if result.code == 1 else None
            self.note(("phase", name), call, ("raise", wanted), answer, client)
        else:
            shown = self.shown("pace", "show", "--json", name)
            self.note(("phase", name), call, ("read",),
                      shown and (PHASES.index(shown["phase"]), shown["changes"]), client)

    def role(self, name, rng, client):
        call = time.monotonic()
        if rng.random() < 0.5:
            value = self.value()
            result = self.ask("agent", "set", name, "--role", str(value))
            self.note(("role", name), call, ("write", value), "ok" if result.code == 0 else None, client)
        else:
            shown = self.shown("agent", "show", "--json", name)
            self.note(("role", name), call, ("read",), shown and int(shown["role"]), client)

    def halt(self, name, rng, client):
        call = time.monotonic()
        kind = rng.choice(("set", "clear", "read"))
        if kind == "set":
            # Whoever halts waits for no lock, so that its "was_halted" is no promise (daemon/halts.c).
            answer = "ok" if self.ask("halt", "--drain", "1ms", "agent:" + name).code == 0 else None
        elif kind == "clear":
            result = self.ask("halt", "--lift", "agent:" + name)
            answer = {0: True, 2: False}.get(result.code)
        else:
            told = self.shown("halt", "--json")
            answer = told and any(one["of"] == "agent " + name for one in told["halted"])
        self.note(("halt", name), call, (kind,), answer, client)

    def run(self, name, rng, client):
        call = time.monotonic()
        if rng.random() < 0.5:
            by = ("--socket", self.world.socket) if rng.random() < 0.5 else ()
            result = self.ask("run", *by, "--agent", name, "--", "/bin/true")
            answer = "admitted" if result.code == 0 else "refused" if result.code == 126 else None
            self.note(("run", name), call, ("start",), answer, client)
        else:
            shown = self.shown("agent", "show", "--json", name)
            self.note(("run", name), call, ("read",), shown and shown["runs_total"], client)

    def shown(self, *words):
        result = self.ask(*words)
        return json.loads(result.text) if result.code == 0 else None

    def client(self, number, until):
        rng = random.Random(self.seed * 1000 + number)
        kinds = (self.window, self.phase, self.role, self.halt, self.run)
        letters = "wprhx"
        try:
            while time.monotonic() < until:
                kind = rng.randrange(len(kinds))
                letter = letters[kind]
                which = int(SECONDS - (until - time.monotonic())) if letter in FRESH else rng.randrange(EACH)
                kinds[kind]("%s%d" % (letter, min(max(which, 0), SECONDS - 1)), rng, number)
        except Exception as error:  # told by the row
            with self.lock:
                self.wrong.append("%s: %s" % (type(error).__name__, error))


MODELS = {"window": (linear.register, 300000), "phase": (linear.ladder, (0, 0)), "role": (linear.register, 0),
          "halt": (linear.mark, False), "run": (linear.limited(RUNS_LIMIT), 0)}


def make(world, case):
    limited = ("--runs-per-hour", str(RUNS_LIMIT), "--running", "1000")
    for number in range(SECONDS):
        for letter in "wp" if number < EACH else "p":
            case.code(world.berm("pace", "group", "--tier", "2", "%s%d" % (letter, number)), 0)
        for letter, more in (("r", ()), ("h", ()), ("x", limited)):
            if letter != "x" and number >= EACH:
                continue
            name = "%s%d" % (letter, number)
            case.code(world.add(name, *more), 0)
            case.code(world.berm("agent", "set", name, "--role", "0"), 0)


@row("history")
def a_history_of_many_clients_is_linearizable(world, sandbox, case):
    case.that(linear.self_test() == [], "the checker is wrong about: %s" % linear.self_test())
    make(world, case)
    case.that(world.supervise(), "no supervisor listens")
    seed = int(os.environ.get("HISTORY_SEED", "0")) or random.randrange(1, 10 ** 6)
    clients = Clients(world, seed)
    until = time.monotonic() + SECONDS
    threads = [threading.Thread(target=clients.client, args=(number, until)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    case.that(not clients.wrong, *clients.wrong[:5])
    asked = unheard = 0
    writes = {}
    for (kind, name), ops in sorted(clients.ops.items()):
        model, initial = MODELS[kind]
        # A read that was not answered says nothing.
        kept = [op for op in ops if op.answer is not None or op.action != ("read",)]
        asked += len(ops)
        unheard += sum(op.answer is None for op in ops)
        writes.setdefault(kind, []).extend(op.answer for op in ops if op.action != ("read",))
        try:
            right = linear.is_linearizable(kept, model, initial)
        except linear.Undecided as why:
            case.that(False, "HISTORY_SEED=%d: %s %s is not decided %s" % (seed, kind, name, why))
            continue
        case.that(right, "HISTORY_SEED=%d: %s %s:" % (seed, kind, name), *sorted(kept))
    kinds = {kind for kind, _ in clients.ops}
    case.that(kinds == set(MODELS), kinds)
    for kind, answers in sorted(writes.items()):
        heard = [answer for answer in answers if answer is not None]
        case.that(len(heard) > HEARD_SHARE * len(answers),
                  "%s: %d of %d writes heard" % (kind, len(heard), len(answers)))
        case.that(ANSWERS[kind] <= set(heard), "%s: only %s was answered" % (kind, set(heard)))
    case.summary = ("%d clients, %d s, %d requests of %d objects, %d unanswered" %
                    (CLIENTS, SECONDS, asked, len(clients.ops), unheard))


ROWS = [("what many clients at once are answered is linearizable", a_history_of_many_clients_is_linearizable)]
