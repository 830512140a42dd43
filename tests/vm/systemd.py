#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Berm's units under a real systemd: tests/vm/systemd.py BUILD [--kernel 6.1|6.12], prints TAP

Boots a guest of tools/vm whose PID 1 is the systemd that is installed here, with what "meson install" puts in
place, and tries there what docs/operating.md says of the units. By hand, no part of tools/check: it needs a host
that has systemd and python3 as Debian packages, besides what tools/vm needs. Rows: tests/vm/systemd_rows.py."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
SECONDS = 350
# What tools/vm wants of a guest's init, done by a service: "begun", the command with its output, "exit N", and off.
SERVICE = """[Unit]
Description=The command of tools/vm
After=sysinit.target

[Service]
Type=exec
Environment=HOME=/root LANG=C.UTF-8
ExecStart=/bin/sh /vm/service
"""
SCRIPT = """for module in virtio_pci virtio_console; do modprobe $module 2>/dev/null; done
for port in /sys/class/virtio-ports/*; do read -r name <"$port/name" && ln -s "/dev/${port##*/}" "/run/$name"; done
exec 3>/run/berm.status
echo begun >&3
sh /vm/command </dev/null 2>&1 3>&- | cat >/run/berm.out
cat /run/code >&3
sync
poweroff -f
"""


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def main(words):
    if not words or (len(words) > 1 and (len(words) != 3 or words[1] != "--kernel")):
        sys.exit(__doc__)
    build, kernel = os.path.abspath(words[0]), words[2] if len(words) == 3 else "6.12"
    with tempfile.TemporaryDirectory() as top:
        subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", top + "/tree"],
                       check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=120)
        argv = [SOURCE + "/tools/vm", "--kernel", kernel, "--timeout", str(SECONDS), "--memory", "2048",
                "--berm", build + "/supervisor/berm", "--package", "systemd", "--package", "python3",
                "--append", "init=/lib/systemd/systemd systemd.unit=multi-user.target systemd.wants=vm.service "
                            "systemd.unified_cgroup_hierarchy=1 systemd.firstboot=off "
                            "systemd.mask=serial-getty@ttyS0.service systemd.mask=kmod-static-nodes.service "
                            "systemd.mask=getty.target",
                "--carry", write(top + "/machine-id", "0123456789abcdef" * 2 + "\n") + ":/etc/machine-id",
                "--carry", write(top + "/vm.service", SERVICE) + ":/etc/systemd/system/vm.service",
                "--carry", write(top + "/script", SCRIPT) + ":/vm/service",
                "--carry", HERE + "/systemd_rows.py:/opt/systemd_rows.py",
                "--carry", SOURCE + "/profiles:/usr/share/berm/profiles"]
        for folder in sorted(os.listdir(top + "/tree")):
            argv += ["--carry", "%s/tree/%s:/%s" % (top, folder, folder)]
        return subprocess.run([*argv, "--", "sh", "-c", "python3 /opt/systemd_rows.py; echo exit $? >/run/code"],
                              stdin=subprocess.DEVNULL, timeout=SECONDS * 4, check=False).returncode


sys.exit(main(sys.argv[1:]))
