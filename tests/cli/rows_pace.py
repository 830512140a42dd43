# SPDX-License-Identifier: Apache-2.0
"""Rows about `berm pace` of groups: phases, who may change them, and what is left when berm is killed."""
import fcntl
import json
import os
import random
import re
import signal
import subprocess
import time

from bench import expect, expect_result

import inventory  # noqa: E402, from tests/support, which bench brings in

AUTHORITY = """version: 1
keys:
  - {name: alice, key: %s, roles: [security, risk-owner, incident-commander, observer]}
people:
  - {name: bob, uid: %d, roles: [operator, kill-key]}
sources:
  - {name: judge, uid: %d, triggers: [external, rogue]}
  - {name: other, uid: %d, triggers: [external, rogue]}
"""


def caller():
    """The uid that berm acts for here: who logged in, where root does not say it came through another door."""
    try:
        with open("/proc/self/loginuid", encoding="ascii") as file:
            login = int(file.read())
    except (OSError, ValueError):
        login = 0
    return os.geteuid() if os.geteuid() or login in (0, 0xffffffff) else login


class World:
    """A state directory of its own, with a key of alice."""

    def __init__(self, bench, name, authority=True):
        self.bench = bench
        self.state = os.path.join(bench.top, "pace-" + name)
        os.makedirs(self.state, mode=0o700)
        self.key = self.state + ".key"
        made = bench.call("pace", "key", self.key)
        expect_result(made, 0, r"^[0-9a-f]{64}\n$")
        me = caller()
        self.authority = os.path.join(self.state, "authority.yaml")
        if authority:
            self.write(AUTHORITY % (made.text.strip(), me, me, me + 1))

    def write(self, text, mode=0o600):
        with open(self.authority, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.authority, mode)

    def pace(self, verb, *words, **options):
        return self.bench.call("pace", verb, "--state-dir", self.state, *words, **options)

    def show(self, group="crew"):
        shown = self.pace("show", "--json", group)
        expect(shown.code == 0, *shown.describe())
        return json.loads(shown.text)

    def phase(self, group="crew"):
        return self.show(group)["phase"]

    def agent(self, name, *options):
        """An agent of that name; its id."""
        profile = self.state + ".yaml"
        with open(profile, "w", encoding="utf-8") as file:
            file.write("version: 1\nname: held\nfs:\n  read: [/usr]\n")
        made = self.bench.call("agent", "add", "--state-dir", self.state, "--json", "--role", "does things",
                               "--accountable-human", "Ada", "-p", profile, "--tier", "1", *options, name)
        expect(made.code == 0, *made.describe())
        return json.loads(made.text)["id"]

    def set(self, *words):
        return self.bench.call("agent", "set", "--state-dir", self.state, *words)

    def about(self, start, words, group):
        """What berm tells to sign, as if the group were in that phase."""
        shown = self.show(group)
        told = shown["to_sign"]
        if "dismissed" in words:
            told = shown["decisions"][0]["to_sign"]
        elif "explained" in words:
            told = shown["to_sign_explained"]
        parts = told.split(":")
        parts[1] = start
        return ":".join(parts)

    def sign(self, role, start, end, *words, group="crew", key=None, about=None):
        path = "%s.%d.sig" % (self.state, random.getrandbits(60))
        made = self.bench.call("pace", "sign", "--key", key or self.key, "--as", role, "--reason", "for a test", *words,
                               "--out", path, about or self.about(start, words, group), end)
        expect_result(made, 0, "", r"signed as %s: the group %s from " % (role, group))
        return path

    def records(self):
        shown = self.bench.call("log", "--json", "--state-dir", self.state)
        expect(shown.code == 0, *shown.describe())
        lines = [json.loads(line)["record"] for line in shown.text.splitlines()]
        return [line for line in lines if "phase_change" in line]


def a_group_goes_down_and_back_with_authority(bench):
    world = World(bench, "walk")
    expect_result(world.pace("group", "--tier", "2", "crew"), 0, r"^crew  primary  tier 2")
    spare = world.agent("spare", "--group", "crew")
    alpha = world.agent("alpha", "--group", "crew")
    world.agent("stranger")
    for agent, said in (("nobody", "no agent is called nobody"), ("stranger", "is of no group")):
        expect_result(world.pace("group", "--backup", agent, "crew"), 2, "", said)
        expect_result(world.pace("declare", "--reason", "x", "--agent", agent, "crew", "A"), 2, "", said)
    expect_result(world.pace("group", "--backup", "spare", "crew"), 0, r"\n  backup       spare\n")
    expect_result(world.pace("group", "--backup", "alpha", "crew"), 1, "", r"bob may not set this")
    expect(world.phase() == "primary", "an agent of another group")
    expect_result(world.pace("declare", "--reason", "x", "--agent", "alpha", "crew", "A"), 0,
                  r"^crew: primary -> alternate \(declared by operator bob\); isolate, .*; still required: notify, ")
    expect_result(world.pace("declare", "--reason", "x", "crew", "C"), 1, "",
                  r"refused: an operator may not .* contingency; this needs the security role or ")
    signed = world.sign("security", "alternate", "contingency")
    expect_result(world.pace("declare", "--signature", signed, "crew", "C"),
                  0, r"alternate -> contingency .*security alice")
    expect_result(world.pace("declare", "crew", "emergency"), 0, r"contingency -> emergency \(kill by kill-key bob\)")
    expect_result(world.pace("recover", "--reason", "x", "crew", "primary"),
                  1, "", r"recovery may not: .*is contingency")
    short = world.sign("risk-owner", "emergency", "contingency", "--review", "root-cause,sign-off")
    expect_result(world.pace("recover", "--signature", short, "crew"), 1, "", r"missing: gap-closed, baselines")
    whole = world.sign("risk-owner", "emergency", "contingency", "--review", "root-cause,gap-closed,baselines,sign-off")
    expect_result(world.pace("recover", "--signature", whole, "crew"), 0, r"emergency -> contingency")
    early = world.sign("risk-owner", "contingency", "alternate")
    expect_result(world.pace("recover", "--signature", early, "crew"),
                  1, "", r"lasts 4 hours in tier 2\. .* in [34] h ")
    told = [record["phase_change"] for record in world.records()]
    expect(told.pop(0)["result"] == "noted", "the group was made")
    expect(world.show()["isolated"][0]["agent_id"] == alpha != spare, world.show())
    expect(told[1]["agent"] == "alpha" and told[1]["agent_id"] == alpha, told[1])
    expect([one.get("result") for one in told] == ["noted", "changed", "refused", "changed", "changed", "refused",
                                                    "refused", "changed", "refused"], told)
    expect(told[3]["by"] == "alice" and told[3]["authority"] == "security", told[3])
    expect(len(told[3]["signature_key"]) > 32, told[3])
    expect({"kill-runs", "revoke-scopes", "seal-evidence"} <= set(told[4]["actions"]), told[4])
    expect((told[4]["required"], told[4]["runs_gone"], told[4]["runs_left"]) == (["notify"], 0, 0), told[4])
    expect(all(record.get("group") == "crew" for record in world.records()), world.records())
    expect_result(bench.call("log", "verify", "--state-dir", world.state), 0, r"^PASS")
    whole = bench.call("log", "--json", "--state-dir", world.state).text.splitlines()
    expect(not any("run_end" in line for line in whole),
           "an act has a receipt")


def nothing_forged_replayed_or_meant_for_another_is_taken(bench):
    world = World(bench, "forged")
    for group in ("crew", "team"):
        expect(world.pace("group", group).code == 0, group)
    signed = world.sign("security", "primary", "contingency")
    stranger = world.key + ".stranger"
    bench.call("pace", "key", stranger)
    text = open(signed, encoding="utf-8").read()
    foreign = world.sign("security", "primary", "contingency", key=stranger)
    role = world.sign("kill-key", "primary", "emergency")

    def changed(old, new):
        path = "%s.%d" % (signed, random.getrandbits(60))
        expect(old in text, text)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))
        return path

    for path, words, code, said in (
            (foreign, ("crew", "C"), 1, "its key is not listed"),
            (role, ("crew", "E"), 1, "without the role"),
            (changed("for a test", "for a rest"), ("crew", "C"), 1, "signature is not one of this key"),
            (changed("group: crew", "group: team"), ("team", "C"), 1, "signature is not one of this key"),
            (changed("role: security", "role: operator"), ("crew", "C"), 1, "signature is not one of this key"),
            (changed("signed: ", "signed: 1"), ("crew", "C"), 1, "signature is not one of this key"),
            (changed("\nfrom", "\n\nfrom"), ("crew", "C"), 2, "its from"),
            (changed("role: security", "role: agent"), ("crew", "C"), 2, "not written as"),
            (changed("key: ", "key: 00"), ("crew", "C"), 2, "its key"),
            (changed("changes: 0", "changes: 1"), ("crew", "C"), 1, "signature is not one of this key"),
            (changed("agent: none", "agent: 01ARZ3NDEKTSV4RRFFQ69G5FAV"), ("crew", "C"), 1, "not one of this key"),
            (signed, ("team", "C"), 2, "signed for the group crew"),
            (signed, ("crew", "A"), 2, "signed for the way to contingency"),
            ("/nonexistent", ("crew", "C"), 2, "No such file")):
        expect_result(world.pace("declare", "--signature", path, *words), code, "", said)
        expect(world.phase(words[0]) == "primary", path)
    expect_result(world.pace("declare", "--signature", signed, "crew", "C"), 0, r"primary -> contingency")
    expect_result(world.pace("declare", "--signature", signed, "crew", "C"), 1, "", r"it was used before")
    back = world.sign("security", "contingency", "alternate")
    expect(world.pace("recover", "--signature", back, "crew").code == 0, "one step back")
    # The group is in another phase, and then in the first one again: neither makes an old statement good.
    expect_result(world.pace("declare", "--signature", signed, "crew", "C"), 1, "", r"it was used before")
    # What restricts holds where the group has gone a part of the way since; what loosens does not.
    late = world.sign("security", "contingency", "alternate")
    expect_result(world.pace("recover", "--signature", late, "crew"), 1, "", r"not in the phase that it begins with")
    early = world.sign("security", "primary", "contingency", group="team")
    expect(world.pace("declare", "--reason", "x", "team", "A").code == 0, "an agent trips its breaker")
    expect_result(world.pace("declare", "--signature", early, "team", "C"), 0, r"alternate -> contingency")


def who_is_not_listed_changes_nothing(bench):
    world = World(bench, "unlisted")
    expect(world.pace("group", "crew").code == 0, "a group")
    world.write("version: 1\n")
    for verb, words in (("declare", ("crew", "A")), ("declare", ("crew", "E")), ("recover", ("crew",)),
                        ("explain", ("crew",)), ("dismiss", ("crew",))):
        expect_result(world.pace(verb, "--reason", "x", *words), 1, "", r"authority.yaml does not list this uid")
    expect_result(world.pace("trigger", "--from", "judge", "crew", "rogue"), 1, "", r"lists no source of that name")
    expect_result(world.pace("group", "--tier", "3", "crew"), 1, "", r"does not list it")
    expect(world.phase() == "primary", "somebody changed it")


def a_second_source_or_the_window_brings_emergency(bench):
    world = World(bench, "signals")
    for group in ("crew", "slow", "calm"):
        expect(world.pace("group", "--window", "1s" if group == "slow" else "5m", group).code == 0, group)
        world.agent(group + "-alpha", "--group", group)
        expect_result(world.pace("trigger", "--from", "judge", "--agent", group + "-alpha", group, "rogue"), 0,
                      r"a decision about emergency is open \(rogue by automatic judge\); contain")
    # The same of somebody else is one signal all the same, and the question is another one.
    asked = world.show()["decisions"][0]["to_sign"]
    expect_result(world.pace("trigger", "--from", "judge", "crew", "rogue"), 0, r"decision about emergency is open")
    expect([one["agent"] for one in world.show()["decisions"][0]["more"]] == [None], world.show())
    expect(world.show()["decisions"][0]["to_sign"] != asked, asked)
    expect_result(world.pace("trigger", "--from", "judge", "crew", "rogue"), 0, r"^crew: primary, as before")
    expect_result(world.pace("trigger", "--from", "judge", "crew", "exfiltration"),
                  1, "", r"does not list that trigger")
    expect_result(world.pace("trigger", "--from", "other", "crew", "rogue"), 1, "", r"lists no source of that name")
    expect(world.phase() == "primary", "one source is one signal")
    seen = world.sign("observer", "primary", "emergency", "--evidence", "exfiltration")
    expect_result(world.pace("declare", "--evidence", "exfiltration", "--signature", seen, "crew", "E"),
                  0, r"primary -> emergency \(second-signal")
    no = world.sign("incident-commander", "primary", "emergency", "--evidence", "dismissed", group="calm")
    expect_result(world.pace("dismiss", "--signature", no, "calm"),
                  0, r"as before \(dismissed by incident-commander alice\)")
    # The window of "slow" is over whenever a machine comes to look: it is waited for, not slept for.
    until = time.monotonic() + 60
    while world.phase("slow") != "emergency" and time.monotonic() < until:
        time.sleep(0.1)
    expect(world.phase("slow") == "emergency", "the window is over")
    expect(world.phase("calm") == "primary", "somebody said no")
    # What time brought is written and recorded with the next act, whatever that is.
    world.pace("declare", "slow", "E")
    expect(any(record["phase_change"]["trigger"] == "window" for record in world.records()), world.records())


def an_answer_holds_for_the_question_that_was_read(bench):
    """A signed "no" to a false alarm is kept back until there is another one, and is taken to another host."""
    world = World(bench, "answers")
    for group in ("crew", "team"):
        expect(world.pace("group", group).code == 0, group)
    expect(world.pace("trigger", "--from", "judge", "crew", "rogue").code == 0, "a false alarm")
    no = ("incident-commander", "primary", "emergency", "--evidence", "dismissed")
    first = world.sign(*no)
    kept = world.sign(*no)
    expect_result(world.pace("dismiss", "--signature", first, "crew", "contingency"),
                  2, "", r"signed for the way to emergency")
    expect_result(world.pace("dismiss", "--signature", first, "crew"), 0, r"as before")
    expect(world.pace("trigger", "--from", "judge", "crew", "rogue").code == 0, "the real one")
    expect_result(world.pace("dismiss", "--signature", kept, "crew"), 1, "", r"answers another question")
    expect(len(world.show()["decisions"]) == 1, world.show())
    plain = world.show()["to_sign"]
    for about, words, said in (
            (plain, ("--evidence", "dismissed"), "what is asked"),
            (world.show()["decisions"][0]["to_sign"], (), "question's digest"),
            (plain + ":", (), "not what"), ("crew:P", (), "not what")):
        expect_result(bench.call("pace", "sign", "--key", world.key, "--as", "incident-commander", *words, about, "E"),
                      2, "", said)
    # The same keys, a group of the same name, on another host.
    other = World(bench, "answers-2", authority=False)
    with open(world.authority, encoding="utf-8") as file:
        other.write(file.read())
    expect(other.pace("group", "crew").code == 0, "crew of the other host")
    expect(other.pace("trigger", "--from", "judge", "crew", "rogue").code == 0, "an alarm there")
    here = world.sign(*no)
    expect_result(other.pace("dismiss", "--signature", here, "crew"), 1, "", r"one of the same name on another host")
    expect_result(world.pace("dismiss", "--signature", here, "crew"), 0, r"as before")


def an_agent_stays_where_it_is_held(bench):
    """Neither a new name nor another group, nor another agent of the same name, takes an agent out of its isolation."""
    world = World(bench, "held")
    expect(world.pace("group", "crew").code == 0, "a group")
    expect_result(world.set("nobody", "--group", "crew"), 2, "", r"no agent is called")
    alpha = world.agent("alpha", "--group", "crew")
    world.agent("beta", "--group", "crew")
    expect_result(world.set("beta", "--group", "nowhere"), 2, "", r"there is no group")
    expect(world.set("alpha", "--name", "gamma").code == 0 and world.set("gamma", "--name", "alpha").code == 0, "free")
    expect(world.pace("trigger", "--from", "judge", "--agent", "alpha", "crew", "external").code == 0, "a suspicion")
    for words in (("alpha", "--name", "gamma"), ("alpha", "--group", "none"), ("beta", "--group", "none"),
                  (alpha, "--group", "crew")):
        expect_result(world.set(*words), 1, "", r"group crew is in alternate: .* by the risk owner or the security")
    retire = ("agent", "retire", "--state-dir", world.state, "--reason", "x", "alpha")
    expect_result(bench.call(*retire), 1, "", r"directory or budget by the risk owner")
    expect(world.set("alpha", "--role", "still does things").code == 0, "what it is for is no way out")
    expect([one["agent_id"] for one in world.show()["isolated"]] == [alpha], world.show())
    # A person who may take the group back may do it, and whoever gets the name is somebody else.
    with open(world.authority, encoding="utf-8") as file:
        world.write(file.read().replace("roles: [operator, kill-key]", "roles: [operator, security]"))
    expect(world.set("alpha", "--name", "gamma").code == 0, "with authority")
    another = world.agent("alpha", "--group", "crew")
    shown = world.show()["isolated"]
    expect([(one["agent"], one["agent_id"]) for one in shown] == [("gamma", alpha)] and another != alpha, shown)
    # In emergency it is the risk owner's alone.
    sign = world.sign("incident-commander", "alternate", "emergency", "--evidence", "rogue")
    expect(world.pace("declare", "--evidence", "rogue", "--signature", sign, "crew", "E").code == 0, "emergency")
    expect_result(world.set("beta", "--group", "none"), 1, "", r"in emergency: .* by the risk owner alone")


def a_group_that_is_damaged_or_not_ours_is_refused(bench):
    world = World(bench, "damaged")
    expect(world.pace("group", "crew").code == 0, "a group")
    path = os.path.join(world.state, "groups", "crew")
    with open(path, "rb") as file:
        good = file.read()

    def put(data, mode=0o600):
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)

    refused = [(good[:cut], 0o600) for cut in (0, 10, 47, len(good) - 1)]
    refused += [(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:], 0o600) for at in range(0, len(good), 7)]
    refused += [(good + b"\0", 0o600), (good, 0o640), (good, 0o602)]
    for data, mode in refused:
        put(data, mode)
        for verb, words in (("show", ("crew",)), ("declare", ("crew", "E")), ("recover", ("--reason", "x", "crew"))):
            result = world.pace(verb, *words)
            expect(result.code in (1, 3) and result.text == "", *result.describe())
        with open(path, "rb") as file:
            expect(file.read() == data, "a damaged file was written over")
    put(good)
    os.rename(path, os.path.join(world.state, "groups", "team"))
    expect_result(world.pace("show", "team"), 3, "", r"the file of the group team is the one of crew")


def an_authority_file_with_a_mistake_gives_nobody_authority(bench):
    world = World(bench, "authority")
    good = open(world.authority, encoding="utf-8").read()
    expect(world.pace("group", "crew").code == 0, "a group")
    me = caller()
    for old, new, said in (
            ("version: 1", "version: 2", "version must be 1"),
            ("keys:", "kees:", "unknown key `kees`; did you mean `keys`"),
            ("roles: [operator, kill-key]", "roles: [operator, agent]", "`agent` cannot be one of `roles`"),
            ("roles: [operator, kill-key]", "roles: [operator, observer]", "`observer` cannot be one of `roles`"),
            ("roles: [operator, kill-key]", "roles: [operator, operator]", "`operator` is there twice"),
            ("roles: [operator, kill-key]", "roles: []", "at least one entry"),
            ("roles: [operator, kill-key]", "role: [operator]", "`roles` is missing"),
            ("name: bob", "name: Bob", "`Bob` is no name"),
            ("name: other", "name: judge", "`judge` is there twice"),
            ("uid: %d, triggers" % (me + 1), "uid: %d, triggers" % me, "`other` has the uid of `judge`: two names are"),
            ("name: judge", "name: alice", "`alice` is a source and a key"),
            ("name: judge", "name: judge.new", "`judge.new` is no name"),
            ("uid: %d, roles" % me, "uid: -1, roles", "number of a user"),
            ("uid: %d, roles" % me, "uid: 4294967295, roles", "number of a user"),
            ("triggers: [external, rogue]", "triggers: [kill]", "`kill` cannot be one of `triggers`"),
            ("triggers: [external, rogue]", "triggers: [rogue], observer: maybe", "true or false"),
            ("key: ", "key: 0", "64 hexadecimal digits")):
        expect(old in good, old)
        world.write(good.replace(old, new, 1))
        expect_result(world.pace("declare", "crew", "E"), 2, "", re.escape(said))
        expect(world.phase() == "primary", said)
    world.write(good, 0o620)
    expect_result(world.pace("declare", "crew", "E"), 2, "", r"authority.yaml is writable by others")
    expect(world.phase() == "primary", "by a file that others can write")
    world.write(good)
    expect(world.pace("declare", "crew", "E").code == 0, "as it was")


def what_restricts_needs_no_recorder_and_what_loosens_does(bench):
    world = World(bench, "recorder")
    for group in ("crew", "team"):
        expect(world.pace("group", group).code == 0, group)
    signed = world.sign("security", "primary", "contingency")
    expect(world.pace("declare", "--signature", signed, "crew", "C").code == 0, "C")
    inventory.end_recorders(os.path.basename(world.state))
    os.rename(world.state + "/log", world.state + "/kept")
    with open(world.state + "/log", "w", encoding="ascii"):
        pass
    result = world.pace("declare", "team", "E")
    expect_result(result, 0, r"primary -> emergency", r"not recorded: ")
    expect(world.phase("team") == "emergency", "the kill switch waits for the recorder")
    back = world.sign("security", "contingency", "alternate")
    expect_result(world.pace("recover", "--signature", back, "crew"),
                  3, "", r"nothing was changed, since it could not be recorded")
    expect(world.phase() == "contingency", "loosened without a record")


def a_kill_switch_waits_for_nobody(bench):
    """Somebody holds the group's lock and that of the state; the recorder hangs, and many signals come in."""
    world = World(bench, "waits")
    for group in ("crew", "team"):
        expect(world.pace("group", group).code == 0, group)
    world.agent("alpha", "--group", "crew")
    with open(world.state + "/groups/crew.lock", "rb") as one, open(world.state + "/govern.lock", "rb") as all_of_it:
        for lock in (one, all_of_it):
            fcntl.flock(lock, fcntl.LOCK_EX)
        expect_result(world.pace("declare", "--evidence", "rogue", "crew", "E"), 1, "", "an operator may not")
        expect_result(world.pace("declare", "--reason", "it leaks", "--agent", "alpha", "crew", "E"), 0,
                      r"^crew: primary -> emergency \(kill by kill-key bob\)", r"stands beside the group")
        expect(world.phase() == "emergency", "it does not hold")
        expect(os.path.exists(world.state + "/groups/crew.kill"), "it was written over what somebody worked at")
        expect([name["name"] for name in json.loads(world.pace("show", "--json").text)] == ["crew", "team"], "names")
    expect(world.phase() == "emergency" and not os.path.exists(world.state + "/groups/crew.kill"), "not taken in")
    told = [one["phase_change"] for one in world.records() if one["phase_change"].get("result") == "changed"]
    expect(told and all((one["trigger"], one["by"], one["number"], one["reason"]) ==
                        ("kill", "bob", 1, "it leaks") for one in told), told)
    expect(world.show()["isolated"][0]["agent"] == "alpha", world.show())
    pids = inventory.recorders(os.path.basename(world.state))
    command = [bench.berm, "pace", "trigger", "--state-dir", world.state, "--from", "judge", "team", "external"]
    running = []
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        running += [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                     env=bench.environment) for _ in range(8)]
        wait_until(lambda: world.phase("team") == "alternate")
        running.append(subprocess.Popen([bench.berm, "pace", "declare", "--state-dir", world.state, "team", "E"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=bench.environment))
        began = time.monotonic()
        wait_until(lambda: world.phase("team") == "emergency")
        print("# emergency with the recorder stopped and 8 signals: %.2f s" % (time.monotonic() - began))
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        for process in running:
            process.wait(timeout=60)


def wait_until(condition):
    until = time.monotonic() + 60
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    expect(condition(), "it never came")


def a_setting_that_is_more_restrictive_wins(bench):
    world = World(bench, "floor")
    expect_result(world.pace("group", "--at-least", "alternate", "--tier", "3", "crew"), 0, r"^crew  alternate  tier 3")
    back = world.sign("risk-owner", "alternate", "primary")
    result = world.pace("recover", "--signature", back, "crew")
    expect_result(result, 1, "", r"the operator's setting keeps this group at least in alternate")
    expect_result(world.pace("group", "--at-least", "primary", "crew"), 1, "", r"bob may not set this: .*risk owner")
    expect_result(world.pace("group", "--at-least", "contingency", "crew"), 1, "", r"which needs the security role")
    expect_result(world.pace("group", "--tier", "1", "crew"), 1, "", r"it is set in primary")
    with open(world.authority, encoding="utf-8") as file:
        world.write(file.read().replace("roles: [operator, kill-key]", "roles: [operator, security]"))
    expect_result(world.pace("group", "--at-least", "emergency", "crew"), 1, "", r"commander or the kill key")
    expect_result(world.pace("group", "--at-least", "contingency", "crew"), 0, r"^crew  contingency")
    expect(world.phase() == "contingency", "the floor holds at once")


def a_group_whose_file_is_gone_is_the_risk_owners(bench):
    world = World(bench, "anew")
    for group in ("crew", "team"):
        expect(world.pace("group", group).code == 0, group)
    world.agent("alpha", "--group", "crew")
    expect(world.pace("declare", "crew", "E").code == 0, "E")
    for group in ("crew", "team"):
        os.unlink(world.state + "/groups/" + group)
    expect_result(world.pace("group", "crew"), 1, "", r"agents say that the group was there")
    expect(world.pace("show", "crew").code != 0, "it is there")
    expect_result(world.pace("group", "team"), 0, r"^team  primary")
    with open(world.authority, encoding="utf-8") as file:
        world.write(file.read().replace("roles: [operator, kill-key]", "roles: [operator, risk-owner]"))
    expect_result(world.pace("group", "crew"), 0, r"^crew  primary")


def who_asks_through_a_door_is_nobody_else(bench):
    """Root's berm for somebody else has that one's authority, not root's."""
    if os.geteuid() != 0:
        print("# as root only: doors are believed of root alone")
        return
    world = World(bench, "doors")
    expect(world.pace("group", "--tier", "2", "crew").code == 0, "a group")
    world.agent("alpha", "--group", "crew")
    both = {"SUDO_UID": "4001", "PKEXEC_UID": "4002"}
    for more, said in (({"SUDO_UID": "4001"}, "does not list this uid"),
                       ({"PKEXEC_UID": "4001"}, "does not list this uid"), (both, "names different people")):
        for words in (("declare", "--reason", "x", "crew", "A"), ("declare", "crew", "E"),
                      ("recover", "--reason", "x", "crew"), ("dismiss", "--reason", "x", "crew")):
            expect_result(world.pace(*words, more=more), 1, "", said)
        expect_result(world.pace("group", "--window", "1s", "crew", more=more), 1, "", "does not list it|different")
    expect(world.phase() == "primary", world.show())
    # A listed one has what is listed, whoever root is: nothing of the kill key here.
    text = AUTHORITY % (32 * "ab", 4001, 4001, 4002)
    world.write(text.replace("[operator, kill-key]", "[operator]"))
    expect_result(world.pace("declare", "crew", "E", more={"SUDO_UID": "4001"}), 1, "", "an operator may not")
    expect_result(world.pace("declare", "crew", "E"), 1, "", "does not list this uid")
    expect_result(world.pace("declare", "--reason", "x", "crew", "A", more={"SUDO_UID": "4001"}), 0, "by operator bob")
    for more in ({"SUDO_UID": "4001"}, {"SUDO_UID": "4003"}, both):
        result = bench.call("agent", "set", "--state-dir", world.state, "alpha", "--group", "none", more=more)
        expect(result.code == 1, *result.describe())
    # Two sources are known by the uids of who calls.
    expect_result(world.pace("trigger", "--from", "judge", "crew", "rogue", more={"SUDO_UID": "4002"}),
                  1, "", "no source of that name")
    expect_result(world.pace("trigger", "--from", "judge", "crew", "rogue"), 1, "", "no source of that name")
    expect_result(world.pace("trigger", "--from", "judge", "crew", "rogue", more={"SUDO_UID": "4001"}),
                  0, "decision about emergency is open")
    expect_result(world.pace("trigger", "--from", "other", "crew", "rogue", more={"SUDO_UID": "4001"}),
                  1, "", "no source of that name")
    expect(world.phase() == "alternate", world.show())
    expect_result(world.pace("trigger", "--from", "other", "crew", "rogue", more={"SUDO_UID": "4002"}),
                  0, r"alternate -> emergency \(second-signal")


def without_a_list_the_host_says_who_is_the_owner(bench):
    world = World(bench, "unlisted-owner", authority=False)
    more = {"SUDO_UID": "4001"} if os.geteuid() == 0 else {}
    expect(world.pace("group", "crew", more=more).code == 0, "a group")
    if os.geteuid() == 0:
        both = {"SUDO_UID": "4001", "PKEXEC_UID": "4002"}
        expect_result(world.pace("declare", "crew", "E", more=both), 1, "", "names different people")
    expect_result(world.pace("declare", "crew", "E", more=more), 0, "primary -> emergency")


def of_many_at_once_one_changes_the_phase(bench):
    world = World(bench, "many")
    expect(world.pace("group", "crew").code == 0, "a group")
    signatures = [world.sign("security", "primary", "contingency") for _ in range(6)]
    command = [bench.berm, "pace", "declare", "--state-dir", world.state, "--json", "--signature"]
    running = [subprocess.Popen([*command, path, "crew", "C"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                env=bench.environment) for path in signatures]
    results = [json.loads(process.communicate(timeout=60)[0])["result"] for process in running]
    expect(sorted(results) == ["changed"] + ["refused"] * 5, results)
    state = json.loads(world.pace("show", "--json", "crew").text)
    expect(state["phase"] == "contingency" and state["changes"] == 1, state)


def a_kill_leaves_the_old_phase_or_the_new_one(bench):
    """The act is killed at any moment; the next one finds a whole group, and the log has what the file has."""
    world = World(bench, "killed")
    seen = set()
    began = time.monotonic()
    took = None
    for turn in range(25):
        group = "g%d" % turn
        expect(world.pace("group", group).code == 0, group)
        process = subprocess.Popen([bench.berm, "pace", "declare", "--state-dir", world.state, "--reason", "x", group,
                                    "A"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=bench.environment)
        started = time.monotonic()
        if took is None:
            process.wait(timeout=60)
            took = time.monotonic() - started
        else:
            time.sleep(random.random() * took)
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=60)
        phase = world.phase(group)
        expect(phase in ("primary", "alternate"), phase)
        seen.add(phase)
        expect(world.pace("declare", group, "E").code == 0, "after a kill")
        told = {(one["phase_change"]["before"], one["phase_change"]["after"]) for one in world.records()
                if one.get("group") == group and one["phase_change"].get("result") == "changed"}
        expect(told == ({(0, 3)} if phase == "primary" else {(0, 1), (1, 3)}), phase, told)
        if time.monotonic() - began > 8:
            break
    expect("alternate" in seen, seen)
    expect_result(bench.call("log", "verify", "--state-dir", world.state), 0, r"^PASS")


def keys_are_files_of_their_own(bench):
    world = World(bench, "keys")
    expect(os.stat(world.key).st_mode & 0o777 == 0o600, "mode")
    expect_result(bench.call("pace", "key", world.key), 2, "", r"File exists")
    os.chmod(world.key, 0o640)
    about = "crew:primary:0:" + 32 * "a"
    words = ("--as", "security", about, "C")
    expect_result(bench.call("pace", "sign", "--key", world.key, *words), 1, "", r"mode 0600")
    os.chmod(world.key, 0o600)
    expect_result(bench.call("pace", "sign", "--key", world.key, "--as", "agent", about, "C"),
                  2, "", r"--as with a role")
    expect_result(bench.call("pace", "sign", "--key", world.key, "--reason", "a\nb", *words),
                  2, "", r"one line of UTF-8")
    expect_result(bench.call("pace", "sign", "--key", world.key, *words),
                  0, r"^berm pace statement 2\ngroup: crew\nid: aaaa", r"signed as")


ROWS = [a_group_goes_down_and_back_with_authority, an_answer_holds_for_the_question_that_was_read,
        an_agent_stays_where_it_is_held, nothing_forged_replayed_or_meant_for_another_is_taken,
        who_is_not_listed_changes_nothing, a_second_source_or_the_window_brings_emergency,
        a_group_that_is_damaged_or_not_ours_is_refused, an_authority_file_with_a_mistake_gives_nobody_authority,
        what_restricts_needs_no_recorder_and_what_loosens_does, a_setting_that_is_more_restrictive_wins,
        a_group_whose_file_is_gone_is_the_risk_owners, who_asks_through_a_door_is_nobody_else,
        without_a_list_the_host_says_who_is_the_owner, a_kill_switch_waits_for_nobody,
        of_many_at_once_one_changes_the_phase,
        a_kill_leaves_the_old_phase_or_the_new_one, keys_are_files_of_their_own]
