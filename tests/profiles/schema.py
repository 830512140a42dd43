#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""profiles/profile-v1.schema.json judges profiles as an editor would: schema.py SOURCE-DIRECTORY

Needs the Debian packages python3-yaml and python3-jsonschema. Prints TAP.
What berm's own parser says about the same files is tests/unit/test-policy-shipped.c.
"""
import glob
import json
import os
import sys

import jsonschema
import yaml

GOOD = {
    "the least profile": "{version: 1, name: a}",
    "sections with nothing in them": "{version: 1, name: a, fs: , network: , exec: , env: , limits: }",
    "lists with nothing in them": "{version: 1, name: a, fs: {read: , write: []}, env: {pass: , set: }}",
    "paths in both forms":
        '{version: 1, name: a, fs: {read: [/usr, {path: "${HOME}/x", optional: true, reason: why}]}}',
    "programs in both forms": "{version: 1, name: a, exec: {deny: [/usr/bin/sudo, {command: [git, push]}]}}",
    "an ask with its access": "{version: 1, name: a, fs: {ask: [{path: /x, access: write}]}}",
    "globs where they are understood": '{version: 1, name: a, fs: {deny: ["/w/**/.env*"], protect: ["/w/*/x"]}}',
    "network rules":
        '{version: 1, name: a, network: {allow: [{host: "**.example.org", ports: [443, "80-90"], proto: tcp}]}}',
    "sizes with and without a unit": "{version: 1, name: a, limits: {memory: 2GiB, file_size: 4096}}",
    "half a processor": "{version: 1, name: a, limits: {cpu: 0.5}}",
    "a recovery in words and by itself":
        "{version: 1, name: a, pace: {alternate: {recover: manual}, contingency: {recover: {after: 15m}}}}",
    "a server of tools":
        "{version: 1, name: a, tools: {servers: {files: {command: [mcp], args: {write: {path: {under: /w}}}}}}}",
    "entries taken out": "{version: 1, name: a, remove: {fs.read: [/etc/ssl]}}",
}

BAD = {
    "no version": "{name: a}",
    "no name": "{version: 1}",
    "another version": "{version: 2, name: a}",
    "a version in quotes": '{version: "1", name: a}',
    "an upper-case name": "{version: 1, name: Agent}",
    "an unknown key": "{version: 1, name: a, fss: {}}",
    "an unknown key in a section": "{version: 1, name: a, fs: {reed: []}}",
    "an unknown key in an entry": "{version: 1, name: a, fs: {read: [{path: /x, optionl: true}]}}",
    "an entry without its path": "{version: 1, name: a, fs: {read: [{optional: true}]}}",
    "a list that is a string": "{version: 1, name: a, fs: {read: /usr}}",
    "a section that is a list": "{version: 1, name: a, fs: []}",
    "a relative path": "{version: 1, name: a, fs: {read: [usr]}}",
    "a home written with ~": '{version: 1, name: a, fs: {read: ["~/x"]}}',
    "a truth value that is a word": '{version: 1, name: a, fs: {tmp: {private: "no"}}}',
    "an unknown word": "{version: 1, name: a, on_unsupported: ignore}",
    "an access of the wrong kind": "{version: 1, name: a, fs: {ask: [{path: /x, access: exec}]}}",
    "a size of the wrong kind": "{version: 1, name: a, limits: {memory: 2GB}}",
    "a time without a unit": '{version: 1, name: a, limits: {wall_time: "30"}}',
    "a count below its least": "{version: 1, name: a, limits: {pids: 0}}",
    "a count above its most": "{version: 1, name: a, requires: {landlock: 65}}",
    "no processors": "{version: 1, name: a, limits: {cpu: 0}}",
    "an empty command": "{version: 1, name: a, exec: {deny: [{command: []}]}}",
    "port zero": "{version: 1, name: a, network: {allow: [{host: a.example, ports: [0]}]}}",
    "a port too high": "{version: 1, name: a, network: {allow: [{host: a.example, ports: [65536]}]}}",
    "no ports": "{version: 1, name: a, network: {allow: [{host: a.example, ports: []}]}}",
    "a bare star for a host": '{version: 1, name: a, network: {allow: [{host: "*"}]}}',
    "a network that allows by default": "{version: 1, name: a, network: {default: allow}}",
    "a variable with a bad name": "{version: 1, name: a, env: {set: {1A: x}}}",
    "a variable that is a number": "{version: 1, name: a, env: {set: {A: 1}}}",
    "a test of nothing": "{version: 1, name: a, tests: [{do: open /x, expect: deny}]}",
    "a test that expects nonsense": "{version: 1, name: a, tests: [{do: read /x, expect: denied}]}",
}


def main():
    profiles = os.path.join(sys.argv[1], "profiles")
    with open(os.path.join(profiles, "profile-v1.schema.json"), encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    results = []
    shipped = sorted(glob.glob(os.path.join(profiles, "*.yaml")))
    results.append((bool(shipped), "there are profiles"))
    for path in shipped:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        name = os.path.basename(path)
        errors = [f"{list(e.absolute_path)}: {e.message}" for e in validator.iter_errors(yaml.safe_load(text))]
        results.append((not errors, f"{name} is good {errors or ''}"))
        results.append((text.startswith("# yaml-language-server: $schema=profile-v1.schema.json\n"),
                        f"{name} tells editors about the schema"))
    for kind, table, wanted in (("is good", GOOD, True), ("is refused", BAD, False)):
        for name, text in table.items():
            results.append((validator.is_valid(yaml.safe_load(text)) == wanted, f"{name} {kind}"))
    print(f"1..{len(results)}")
    for number, (good, name) in enumerate(results, 1):
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
    return 0 if all(good for good, _ in results) else 1


sys.exit(main())
