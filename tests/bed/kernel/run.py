#!/usr/bin/python3
"""A cluster of one node on cgroup v2, and on Debian 12's own kernel: `remuda try` in a virtual machine.

  tests/bed/kernel/run.py

The virtual machine is user-mode Linux: a kernel as a process, which needs nothing of the processor that a build machine
may lack. It has one processor and no cpuset, so kubelets run on cgroup v2 only. Its root has what docs/try.md asks for;
init.sh is its first process.

Needs root, the packages of `scripts/packages test`, Debian's servers, 8 GB of memory and 16 GB in /var/tmp; takes the
program from REMUDA, components from COMPONENTS. Ten minutes on an idle machine.
"""

import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from common import COMPONENTS, REMUDA, read, run, until

HERE = os.path.dirname(os.path.abspath(__file__))
# What docs/try.md asks for, and kmod for the kernel's modules.
PACKAGES = [
    "docker.io",
    "runc",
    "iptables",
    "iproute2",
    "procps",
    "util-linux",
    "jq",
    "busybox-static",
    "dnsmasq-base",
    "python3-yaml",
    "kmod",
]


def debian(folder, packages, variant):
    run("mmdebstrap", "--quiet", f"--variant={variant}", f"--include={','.join(packages)}", "bookworm", folder)


def make_root(folder):
    """A folder with Debian 12 and this bed's files."""
    debian(folder, PACKAGES, "minbase")
    os.rename(f"{folder}/usr/sbin/runc", f"{folder}/usr/sbin/runc.real")
    for name, place in (("init.sh", "init"), ("runc", "usr/sbin/runc"), ("one.yaml", "one.yaml")):
        run("install", "-m", "755", f"{HERE}/{name}", f"{folder}/{place}")
    for name in ("host", "components"):
        os.mkdir(f"{folder}/{name}")


def boot(root, folder):
    """Runs the machine until it is off; what it said on its console."""
    kernel, disk = f"{folder}/kernel", f"{folder}/disk"
    debian(kernel, ["user-mode-linux"], "extract")
    run("cp", "-a", f"{kernel}/usr/lib/uml/modules", f"{root}/lib/")
    run("truncate", "--size=14G", disk)
    run("mke2fs", "-q", "-t", "ext4", "-d", root, disk)
    log = f"{folder}/console"
    words = ["mem=7G", f"ubd0={disk}", "root=/dev/ubda", "rw", "init=/init", "con=null", "con0=null,fd:1"]
    words += [f"remuda={REMUDA}", f"components={COMPONENTS}"]
    with open(log, "wb") as console:
        # Its memory is a file in $TMPDIR.
        memory = {**os.environ, "TMPDIR": "/dev/shm"}
        machine = subprocess.Popen(
            [f"{kernel}/usr/bin/linux.uml", *words],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            env=memory,
            process_group=0,
        )
    try:
        until("the machine is off", 3600, lambda: machine.poll() is not None)
    finally:
        # Each process in there is one out here.
        subprocess.run(["kill", "-KILL", "--", f"-{machine.pid}"], stderr=subprocess.DEVNULL)
        machine.wait()
    return read(log).replace("\r", "")


def main():
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="remuda-kernel-", dir="/var/tmp") as folder:
        root = f"{folder}/root"
        make_root(root)
        said = boot(root, folder)
    print("\n".join(line for line in said.splitlines() if "Ready:" in line or line.startswith("kernel ")))
    if "the cluster works, and nothing is left" not in said:
        print(said[-6000:])
        sys.exit("FAILED: a cluster on cgroup v2")
    print(f"ok: a cluster on cgroup v2 ({time.monotonic() - started:.0f} s)")


main()
