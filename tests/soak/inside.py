# SPDX-License-Identifier: Apache-2.0
"""The tool of the soak: one process that lasts for the whole run and does the jobs it is told, a JSON line each."""
import json
import subprocess
import sys

print("ready", flush=True)
for line in sys.stdin:
    job = json.loads(line)
    with open("/dev/null", "rb") as nothing:
        done = subprocess.run(["/bin/sh", "-e", job["script"]], cwd=job["directory"], stdin=nothing,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    tail = done.stdout.decode("utf-8", "backslashreplace")[-1500:]
    print(json.dumps({"code": done.returncode, "tail": tail}), flush=True)
