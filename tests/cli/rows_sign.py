# SPDX-License-Identifier: Apache-2.0
"""Rows about `berm profile sign` and `verify`, with minisign(1) on the other side."""
import os
import shutil

from bench import GOOD, expect, expect_result, harness

PASSWORD = "untrusted comment: k\nRWRTY0Iy" + "A" * 203 + "=\n"


def minisign(bench, *words):
    return harness.run(["minisign", *words], env=bench.environment, cwd=bench.top)


def make_key(bench, name):
    path = os.path.join(bench.top, name)
    for old in (path, path + ".pub"):
        if os.path.exists(old):
            os.unlink(old)
    told = bench.object("profile", "sign", "--json", "--new-key", path)
    expect(os.stat(path).st_mode & 0o777 == 0o600 and told["file"] == path, told)
    return path, told["public_key"]


def fresh(bench, name):
    path = bench.write(name + ".yaml", (GOOD % "x").replace("name: good", "name: " + name))
    if os.path.exists(path + ".minisig"):
        os.unlink(path + ".minisig")
    return path


def signatures_are_made_for_minisign_and_for_berm(bench):
    key, public = make_key(bench, "ops.key")
    path = fresh(bench, "signed")
    expect_result(bench.call("profile", "verify", path, "-P", public), 1, "^BAD  .*yaml.minisig: No such file")
    expect_result(bench.call("profile", "sign", "-k", key, "-c", "reviewed SEC-412", path), 0,
                  r"^wrote \S+signed\.yaml\.minisig  key [0-9A-F]{16}  profile=signed version=1 time=\d{4}-\d\d-\d\dT"
                  r"\d\d:\d\d:\d\dZ counter=1 reviewed SEC-412\n$")
    for words in (["-P", public], ["-k", key + ".pub"]):
        expect_result(bench.call("profile", "verify", path, *words), 0, r"^ok   \S+  key [0-9A-F]{16}  trusted com")
    result = minisign(bench, "-V", "-P", public, "-m", path)
    expect(result.code == 0 and "Trusted comment: profile=signed version=1" in result.text, *result.describe())
    told = bench.object("profile", "verify", "--json", path, "-P", public)
    expect((told["good"], told["profile"], told["profile_version"], told["counter"], told["comment"]) ==
           (True, "signed", 1, 1, "reviewed SEC-412"), told)
    with open(path, "a", encoding="ascii") as file:
        file.write("\n")
    expect_result(bench.call("profile", "verify", path, "-P", public), 1, "BAD .* the file is not what was signed")
    expect(minisign(bench, "-V", "-P", public, "-m", path).code != 0, "minisign takes a changed file")


def signatures_of_minisign_are_taken(bench):
    made = minisign(bench, "-G", "-f", "-W", "-p", "theirs.pub", "-s", "theirs.key")
    expect(made.code == 0, *made.describe())
    path, public = fresh(bench, "theirs"), bench.top + "/theirs.pub"
    expect(minisign(bench, "-S", "-s", "theirs.key", "-m", path).code == 0, "minisign signs")
    told = bench.object("profile", "verify", "--json", path, "-k", public)
    expect(told["good"] and told["counter"] is None and "hashed" in told["comment"], told)
    expect_result(bench.call("profile", "verify", path, "-k", public, "--at-least", "1"), 1, "it has no counter")
    # Their key in our hand, and back.
    os.unlink(path + ".minisig")
    expect_result(bench.call("profile", "sign", "-k", bench.top + "/theirs.key", path), 0, "counter=1")
    expect(minisign(bench, "-V", "-p", "theirs.pub", "-m", path).code == 0, "minisign takes ours")
    expect(minisign(bench, "-S", "-l", "-s", "theirs.key", "-m", path).code == 0, "minisign signs in its old form")
    expect_result(bench.call("profile", "verify", path, "-k", public), 1, "legacy")
    # Our key in theirs.
    ours, public = make_key(bench, "given.key")
    expect(minisign(bench, "-S", "-s", ours, "-m", path, "-t", "profile=theirs counter=9 by hand").code == 0, "signs")
    told = bench.object("profile", "verify", "--json", path, "-P", public)
    expect((told["counter"], told["comment"]) == (9, "by hand"), told)
    expect(minisign(bench, "-S", "-s", ours, "-m", path, "-t", "profile=other counter=9").code == 0, "signs")
    expect_result(bench.call("profile", "verify", path, "-P", public), 1, "signed as profile other, and it is theirs")


def an_older_profile_has_a_lower_counter(bench):
    key, public = make_key(bench, "count.key")
    path = fresh(bench, "counted")
    for count in ("1", "2", "3"):
        expect_result(bench.call("profile", "sign", "-k", key, path), 0, " counter=%s\n$" % count)
    expect_result(bench.call("profile", "verify", path, "-P", public, "--at-least", "3"), 0, "^ok ")
    old = bench.top + "/old.minisig"
    shutil.copy(path + ".minisig", old)
    expect_result(bench.call("profile", "sign", "-k", key, "--counter", "10", path), 0, " counter=10\n$")
    expect_result(bench.call("profile", "verify", path, "-P", public, "--at-least", "4"), 0, "^ok ")
    expect_result(bench.call("profile", "verify", path, "-P", public, "-x", old, "--at-least", "4"), 1,
                  "its counter is 3: an older one")
    with open(path + ".minisig", "w", encoding="ascii") as file:
        file.write("nothing\n")
    expect_result(bench.call("profile", "sign", "-k", key, path), 2, "", "and --counter is not given: not a signature")
    expect_result(bench.call("profile", "sign", "-k", key, "--counter", "11", path), 0, " counter=11\n$")


def keys_are_believed_where_nobody_else_can_put_them(bench):
    key, public = make_key(bench, "dir.key")
    path = fresh(bench, "believed")
    expect_result(bench.call("profile", "sign", "-k", key, path), 0, "^wrote ")
    keys = bench.top + "/keys"
    os.makedirs(keys, exist_ok=True)
    expect_result(bench.call("profile", "verify", path, "--keys", keys), 2, "", r"no key to believe: no \*\.pub")
    other, _ = make_key(bench, "other.key")
    shutil.copy(other + ".pub", keys + "/a.pub")
    expect_result(bench.call("profile", "verify", path, "--keys", keys), 1,
                  "BAD .* signed with key [0-9A-F]{16}, which is not among the 1 that are trusted")
    shutil.copy(key + ".pub", keys + "/b.pub")
    expect_result(bench.call("profile", "verify", path, "--keys", keys), 0, "^ok ")
    os.chmod(keys, 0o777)
    expect_result(bench.call("profile", "verify", path, "--keys", keys), 2, "", "others can write to")
    os.chmod(keys, 0o755)
    with open(keys + "/b.pub", "a", encoding="ascii") as file:
        file.write("more\n")
    expect_result(bench.call("profile", "verify", path, "--keys", keys), 2, "", "b.pub: not a public key")
    expect_result(bench.call("profile", "verify", path, "-P", public, "--keys", keys), 2, "", "one of --public-key")
    expect_result(bench.call("profile", "verify", path, "-P", public[:-1]), 2, "", "not a public key")
    expect_result(bench.call("profile", "verify", bench.top + "/not-there.yaml", "-P", public), 2, "", "not-there.yaml")


def secret_keys_are_used_only_where_they_are_secret(bench):
    key, _ = make_key(bench, "secret.key")
    path = fresh(bench, "guarded")
    expect_result(bench.call("profile", "sign", "--new-key", key), 2, "", "is there already")
    os.chmod(key, 0o640)
    expect_result(bench.call("profile", "sign", "-k", key, path), 2, "", r"can be used by others \(chmod 600\)")
    os.chmod(key, 0o600)
    os.symlink(key, key + ".link")
    expect_result(bench.call("profile", "sign", "-k", key + ".link", path), 2, "", "symbolic links")
    os.unlink(key + ".link")
    locked = bench.write("locked.key", PASSWORD)
    os.chmod(locked, 0o600)
    expect_result(bench.call("profile", "sign", "-k", locked, path), 2, "",
                  r"minisign -S (.*\n)*.*the key has a password, and berm asks for none")
    expect_result(bench.call("profile", "sign", "-k", key, "-c", "two\nlines", path), 2, "", "one line")
    bad = bench.write("guarded2.yaml", "version: 1\nname: guarded2\nnothing: 1\n")
    expect_result(bench.call("profile", "sign", "-k", key, bad), 2, "", "unknown key")
    expect(not os.path.exists(path + ".minisig") and not os.path.exists(bad + ".minisig"), "something was signed")
    # Halves that do not belong together make no signature.
    with open(key, encoding="ascii") as file:
        lines = file.read().splitlines()
    with open(key, "w", encoding="ascii") as file:
        file.write(lines[0] + "\n" + lines[1][:120] + ("A" if lines[1][120] != "A" else "B") + lines[1][121:] + "\n")
    expect_result(bench.call("profile", "sign", "-k", key, path), 2, "", "does not make good signatures")
    expect(not os.path.exists(path + ".minisig"), "something was signed")
    expect(not [name for name in os.listdir(bench.top) if ".minisig." in name], "a file is left behind")


ROWS = [signatures_are_made_for_minisign_and_for_berm, signatures_of_minisign_are_taken,
        an_older_profile_has_a_lower_counter, keys_are_believed_where_nobody_else_can_put_them,
        secret_keys_are_used_only_where_they_are_secret]
