# SPDX-License-Identifier: Apache-2.0
"""Whether a history of requests is linearizable: each took effect at one moment between its call and its answer.

The search is that of Wing and Gong with Lowe's memory of what was tried, for one object at a time (histories of
different objects are linearizable together where each is by itself)."""
import collections

Op = collections.namedtuple("Op", "call end action answer client")
FOREVER = float("inf")
STATES_MAX = 300000  # that are looked at for one object


class Undecided(Exception):
    """So many orders are possible that nobody looked at all of them."""


def register(state, action, answer):
    """("read",) answers the value; ("write", v) sets it."""
    if action[0] == "write":
        return (action[1],) if answer == "ok" else ()
    return (state,) if answer == state else ()


def switch(state, action, answer):
    """("set",) answers whether it was set before, ("clear",) whether it was, ("read",) whether it is."""
    if answer != state:
        return ()
    return ({"set": True, "clear": False, "read": state}[action[0]],)


def mark(state, action, answer):
    """A switch whose ("set",) answers nothing that counts: of two at once each may say that it was the first."""
    return (True,) if action[0] == "set" else switch(state, action, answer)


def limited(limit):
    """("start",) is admitted below the limit and refused at it; ("read",) answers how many were."""
    def model(state, action, answer):
        if action[0] == "read":
            return (state,) if answer == state else ()
        if answer == "admitted":
            return (state + 1,) if state < limit else ()
        return (state,) if state >= limit else ()
    return model


def ladder(state, action, answer):
    """A phase and how often it changed: only upwards. ("raise", n) answers "ok" where it is n afterwards."""
    phase, changes = state
    if action[0] == "read":
        return (state,) if answer == state else ()
    wanted = action[1]
    if answer == "ok":
        return ((wanted, changes + 1),) if wanted > phase else (state,) if wanted == phase else ()
    return (state,) if wanted <= phase else ()


def is_linearizable(ops, model, initial):
    """True where some order of the operations is one of the model's. An operation whose end is FOREVER has an answer
    that nobody heard (None): it took effect at some time after its call, or never."""
    written = [op.action[1] for op in ops if op.action[0] == "write"]
    if model is register and len({initial, *written}) == len(written) + 1:
        return is_register_linearizable(ops, initial)
    ops = sorted(ops, key=lambda op: op.call)
    heard = sum(1 << at for at, op in enumerate(ops) if op.end != FOREVER)
    seen, stack = set(), [(0, initial)]
    while stack:
        done, state = stack.pop()
        if done & heard == heard:
            return True
        if (done, state) in seen:
            continue
        seen.add((done, state))
        if len(seen) > STATES_MAX:
            raise Undecided("after %d states of %d operations" % (len(seen), len(ops)))
        next_steps = []
        for at in ready(ops, done):
            op = ops[at]
            afters = after_of(op, model, state)
            # A read that is right now may as well come now: no other order is right where this is not.
            if op.end != FOREVER and op.action == ("read",) and afters:
                next_steps = [(op.end, done | 1 << at, state)]
                break
            next_steps.extend((op.end, done | 1 << at, after) for after in afters)
        # The one that was answered first is tried first.
        stack.extend(step[-2:] for step in sorted(next_steps, key=lambda step: step[0], reverse=True))
    return False


def ready(ops, done):
    """What can take effect next: called before the first answer among those that are left. Of those that ask the same
    and are answered the same, the one whose time is up first: where another one comes first in a right order, the two
    can change places."""
    first = (~done & (done + 1)).bit_length() - 1
    last, found = FOREVER, []
    for at in range(first, len(ops)):
        op = ops[at]
        if op.call > last:
            break
        if not done >> at & 1:
            last = min(last, op.end)
            found.append(at)
    alike = {}
    for at in found:
        op = ops[at]
        best = alike.setdefault((op.action, op.answer), at)
        if (op.end, op.call) < (ops[best].end, ops[best].call):
            alike[(op.action, op.answer)] = at
    return sorted(alike.values())


def is_register_linearizable(ops, initial):
    """The same for a register of which each value is written once, without a search (Gibbons and Korach, Testing Shared
    Memories, 1997): a value is there from the first answer that knows it to the last call that was answered with it, so
    no two of these times overlap, and what nobody was sure to need at one moment must not fall into another's."""
    values = {initial: [Op(-FOREVER, -FOREVER, ("write", initial), "ok", None)]}
    for op in ops:
        if op.action[0] == "write":
            values.setdefault(op.action[1], []).append(op)
    for op in ops:
        if op.action == ("read",):
            if op.answer not in values or values[op.answer][0].call > op.end:
                return False
            values[op.answer].append(op)
    times = []
    for known in values.values():
        # Nobody heard of it, and nobody read it: it may as well have come to nothing.
        if len(known) > 1 or known[0].end != FOREVER:
            times.append((min(op.end for op in known), max(op.call for op in known)))
    held = sorted((first, last) for first, last in times if first < last)
    if any(one[1] > other[0] for one, other in zip(held, held[1:])):
        return False
    return not any(first < start and end < last for end, start in times if end >= start for first, last in held)


def after_of(op, model, state):
    if op.end != FOREVER:
        return model(state, op.action, op.answer)
    return {after for answer in ("ok", True, False, "admitted", "refused") for after in model(state, op.action, answer)}


def self_test():
    """What the checker has to take and to refuse: (why, right, model, initial, operations)."""
    w, r = ("write",), ("read",)
    rows = [
        ("one after the other", True, register, 0, [(0, 1, w + (1,), "ok"), (2, 3, r, 1)]),
        ("a read of what was overwritten", False, register, 0,
         [(0, 1, w + (1,), "ok"), (2, 3, w + (2,), "ok"), (4, 5, r, 1)]),
        ("a read during a write, either way", True, register, 0,
         [(0, 9, w + (1,), "ok"), (1, 2, r, 0), (3, 4, r, 1)]),
        ("a value that goes back", False, register, 0,
         [(0, 9, w + (1,), "ok"), (1, 2, r, 1), (3, 4, r, 0)]),
        ("two readers that see writes in two orders", False, register, 0,
         [(0, 9, w + (1,), "ok"), (0, 9, w + (2,), "ok"), (1, 2, r, 1), (3, 4, r, 2), (5, 6, r, 1)]),
        ("a write that nobody heard of", True, register, 0, [(0, FOREVER, w + (1,), None), (5, 6, r, 1), (7, 8, r, 1)]),
        ("a lost update", False, limited(9), 0,
         [(0, 5, ("start",), "admitted"), (0, 5, ("start",), "admitted"), (6, 7, r, 1)]),
        ("one too many", False, limited(1), 0, [(0, 5, ("start",), "admitted"), (0, 5, ("start",), "admitted")]),
        ("refused at the limit", True, limited(1), 0, [(0, 5, ("start",), "refused"), (0, 5, ("start",), "admitted")]),
        ("set twice, both the first", False, switch, False, [(0, 5, ("set",), False), (0, 5, ("set",), False)]),
        ("set again, of use only after what clears it", True, mark, True,
         [(0, 9, ("set",), "ok"), (1, 2, ("clear",), True), (3, 4, r, True)]),
        ("a phase that falls", False, ladder, (0, 0),
         [(0, 1, ("raise", 2), "ok"), (2, 3, r, (2, 1)), (4, 5, r, (1, 1))]),
        ("two raises, one change", True, ladder, (0, 0),
         [(0, 5, ("raise", 1), "ok"), (0, 5, ("raise", 1), "ok"), (6, 7, r, (1, 1))]),
    ]
    return [why for why, right, model, initial, ops in rows
            if is_linearizable([Op(*op, client=0) for op in ops], model, initial) != right]
