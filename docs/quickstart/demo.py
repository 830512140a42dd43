#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tools/quickstart shows: demo.py BERM PROFILES

Makes a small project, a home and a service of this machine in a temporary directory, lets a tool of an agent
build and test the project behind the profile coding-agent, then runs a hostile tool once without Berm and once
behind it, and tells from Berm's status record what was refused by which line. Exits 0 when everything that
should work worked, and everything that should be refused was; 1 otherwise."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.realpath(__file__))
RUN_SECONDS = 60
# attempt -> what it is, whether it should work behind the walls (IN_VAIN: it may, on something that is gone
# with the run), what the status record calls it
IN_VAIN = "in vain"
ATTEMPTS = {
    "source": ("read a source file of the project", True, None),
    "key": ("read the private key ~/.ssh/id_ed25519", False, "/.ssh/id_ed25519"),
    "secrets": ("read the project's secrets in .env", False, "/.env"),
    "outside": ("change a file of another project", False, "/other/main.c"),
    "startup": ("append a line to ~/.bashrc", IN_VAIN, None),
    "hook": ("plant a git hook in the project", False, "/.git/hooks/post-checkout"),
    "service": ("talk to a service of this machine", False, None),
    "network": ("connect to 192.0.2.1 port 443", False, "192.0.2.1:443"),
}
# Not without Berm: the quickstart sends nothing into your network.
ONLY_BEHIND = ("network",)


class World:
    """The directory that everything happens in, and a service that answers one word."""

    def __init__(self, place):
        self.home, self.other = os.path.join(place, "home"), os.path.join(place, "other")
        self.project = os.path.join(place, "project")
        os.makedirs(os.path.join(self.home, ".ssh"), 0o700)
        os.mkdir(self.other)
        shutil.copytree(os.path.join(HERE, "project"), self.project)
        shutil.copy(os.path.join(HERE, "tool.py"), self.project)
        self.put(os.path.join(self.home, ".ssh/id_ed25519"), "not a real key, but it could be yours\n", 0o600)
        self.reset()
        self.put(os.path.join(self.project, ".env"), "PASSWORD=not-a-real-one\n", 0o600)
        self.environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": self.home, "LANG": "C.UTF-8",
                            "BERM_STATE_DIR": os.path.join(place, "state")}
        for words in (["init", "-q"], ["add", "words.c", "Makefile", "check.sh", "README.md"],
                      ["-c", "user.name=You", "-c", "user.email=you@example.org", "commit", "-q", "-m",
                       "words: count lines, words and bytes"]):
            subprocess.run(["git", *words], cwd=self.project, env=self.environment, check=True,
                           stdin=subprocess.DEVNULL, timeout=RUN_SECONDS)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    @staticmethod
    def put(path, text, mode):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)

    def serve(self):
        while True:
            peer, _ = self.listener.accept()
            with peer:
                peer.sendall(b"hello")

    def reset(self):
        """What the tool is after, as it was before: what it did without Berm is taken away."""
        self.put(os.path.join(self.home, ".bashrc"), "# start of a shell\n", 0o644)
        self.put(os.path.join(self.other, "main.c"), "int main(void);\n", 0o644)
        hook = os.path.join(self.project, ".git/hooks/post-checkout")
        if os.path.exists(hook):
            os.unlink(hook)

    def tool(self, attempts):
        return ["/usr/bin/python3", os.path.join(self.project, "tool.py"), self.home, self.project, self.other,
                str(self.port), *attempts]

    def outside(self, attempts):
        done = subprocess.run(self.tool(attempts), cwd=self.project, env=self.environment, text=True, check=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=RUN_SECONDS)
        return results(done.stdout)


def results(text):
    entries = [json.loads(line) for line in text.splitlines()]
    return {entry["attempt"]: entry for entry in entries}


class Berm:
    def __init__(self, program, profiles, world):
        self.program, self.profiles, self.world = program, profiles, world
        self.profile = os.path.join(profiles, "coding-agent.yaml")

    def run(self, command):
        """Run a command of the tool; returns its exit code, its output and the status record."""
        reading, writing = os.pipe()
        with os.fdopen(reading, encoding="utf-8") as status:
            argv = [self.program, "run", "-p", self.profile, "-C", self.world.project, "--trace-denials",
                    "--status-fd", str(writing), "--", *command]
            done = subprocess.run(argv, env=self.world.environment, pass_fds=[writing], text=True, check=False,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=RUN_SECONDS)
            os.close(writing)
            record = status.read()
        return done, json.loads(record) if record else None

    def ask(self, *words):
        return subprocess.run([self.program, *words], env=self.world.environment, cwd=self.world.project, text=True,
                              check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=RUN_SECONDS).stdout


def say(text=""):
    print(text, flush=True)


def heading(number, text):
    say(f"\n{number}. {text}\n")


def indented(text, prefix="     "):
    for line in text.rstrip("\n").split("\n"):
        say(prefix + line)


def show_build(berm):
    """A real job: history, compiler, tests. Returns what went wrong."""
    heading(1, "An agent's tool builds the project and runs its tests, behind profiles/coding-agent.yaml")
    command = "git log --oneline && make check && echo 'A line of words.' | ./words"
    say(f"   $ berm run -p profiles/coding-agent.yaml -- sh -c {command!r}")
    done, record = berm.run(["sh", "-c", command])
    indented(done.stdout + done.stderr)
    if done.returncode != 0:
        return [f"the build ended with {done.returncode}"]
    say(f"\n   It worked, in {record['duration_ms']} ms. It wrote into the project only; the rest of the disk,\n"
        "   your home and the network were not there for it.")
    return []


def show_attempts(world, berm):
    """The hostile tool without Berm and behind it; returns the status record and what went wrong."""
    heading(2, "The same agent runs a tool that reads what it may, then tries what it may not")
    outside = world.outside([name for name in ATTEMPTS if name not in ONLY_BEHIND])
    world.reset()
    done, record = berm.run(world.tool(ATTEMPTS))
    behind = results(done.stdout)
    if not record or set(behind) != set(ATTEMPTS):
        indented(done.stderr)
        return record, [f"the hostile tool did not run to its end (exit code {done.returncode})"]
    say(f"   {'attempt':<42}{'without berm':<16}behind berm")
    wrong = []
    for name, (text, wanted, _) in ATTEMPTS.items():
        before = "not tried" if name in ONLY_BEHIND else "worked" if outside[name]["worked"] else "failed"
        after = behind[name]
        shown = ("worked, on an empty home of its own" if wanted == IN_VAIN else "worked") if after["worked"] \
            else "refused: " + after["said"]
        say(f"   {text:<42}{before:<16}{shown}")
        if before == "failed":
            wrong.append(f"{text}: failed without Berm too, so it shows nothing: {outside[name]['said']}")
        if after["worked"] != bool(wanted):
            wrong.append(f"{text}: {after['said']}")
    if not changed(world):
        say("\n   Looked at from outside: nothing that the tool was after has changed.")
    return record, wrong + changed(world)


def changed(world):
    """Effects on the disk, looked at from outside: what the tool says of itself proves nothing."""
    found = []
    for path, text in ((os.path.join(world.home, ".bashrc"), "# start of a shell\n"),
                       (os.path.join(world.other, "main.c"), "int main(void);\n")):
        with open(path, encoding="utf-8") as f:
            if f.read() != text:
                found.append(f"{path} was changed")
    if os.path.exists(os.path.join(world.project, ".git/hooks/post-checkout")):
        found.append("a git hook was planted")
    return found


def show_reasons(berm, record):
    """Each denial of the record with the line of the profile; returns what went wrong."""
    heading(3, "What was refused, by which rule and line (the status record of berm run)")
    unseen = {text: part for text, wanted, part in ATTEMPTS.values() if part and not wanted}
    for denial in record["denials"]:
        unseen = {t: p for t, p in unseen.items() if not denial["target"].endswith(p)}
        target = denial["target"].replace(berm.world.project, "PROJECT").replace(berm.world.home, "~")
        target = target.replace(berm.world.other, "OTHER")
        say(f"   {denial['op']} {target}: {denial['rule']}")
        if target == "~/.bashrc":
            say("       what it reached was the empty home of the run, not yours; the profile grants neither")
        elif denial["file"]:
            with open(denial["file"], encoding="utf-8") as f:
                line = f.read().split("\n")[denial["line"] - 1].strip()
            say(f"       {os.path.basename(denial['file'])}:{denial['line']}: {line}")
        else:
            say("       no line grants it, and what is not granted is refused")
        if denial["hint"]:
            hint = denial["hint"].replace(berm.world.project, "${WORKDIR}").replace(berm.world.home, "${HOME}")
            hint = hint.replace(berm.world.other, "/path/to/other")
            say(f"       {'' if hint.startswith('should') else 'a line that would allow it: '}{hint}")
    say("\n   The service of this machine is missing from the list: the tool has a loopback network of its\n"
        "   own, where nobody listens, so nothing had to be refused.")
    say("\n   The profile can be asked beforehand as well:")
    say("   $ berm profile explain profiles/coding-agent.yaml write .git/hooks/post-checkout")
    said = berm.ask("profile", "explain", berm.profile, "write", ".git/hooks/post-checkout")
    indented(said.replace(berm.world.project, "PROJECT").replace(berm.profiles, "profiles"))
    wrong = [f"{text}: the status record does not name it" for text in unseen]
    return wrong if "DENY" in said else [*wrong, "berm profile explain does not say DENY"]


def show_host(berm, record):
    """What this host lacks, in Berm's own words."""
    heading(4, "What held it here, and what this host lacks (berm doctor tells more)")
    for rule, by in record["enforcement"].items():
        say(f"   {rule:<20}{by}")
    say()
    features = json.loads(berm.ask("doctor", "--json"))["features"]
    lacking = [f for f in features if f["state"] != "yes"]
    for feature in lacking:
        say(f"   {feature['name']} is {'missing' if feature['state'] == 'no' else 'weaker'}: {feature['detail']}")
        if "costs" in feature:
            say(f"       costs: {feature['costs']}")
    if not lacking:
        say("   This host lacks nothing that Berm uses.")


def main():
    program, profiles = (os.path.realpath(word) for word in sys.argv[1:3])
    # Not in /tmp: a run has a private one, and a path there would be about that.
    with tempfile.TemporaryDirectory(prefix="berm-quickstart-", dir="/var/tmp") as place:
        world = World(place)
        berm = Berm(program, profiles, world)
        wrong = show_build(berm)
        if not wrong:
            record, wrong = show_attempts(world, berm)
            if record and record["denials"]:
                wrong += show_reasons(berm, record)
                show_host(berm, record)
    for text in wrong:
        say(f"\nNOT AS IT SHOULD BE: {text}")
    if not wrong:
        say("\nAll as it should be. Next: write a profile of your own (docs/profile-reference.md), and read\n"
            "docs/threat-model.md to know what these walls do not hold.")
    return 1 if wrong else 0


sys.exit(main())
