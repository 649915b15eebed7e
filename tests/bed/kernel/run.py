#!/usr/bin/python3
"""A cluster of one node on another kernel than this machine's, with cgroup v2: `remuda try` in a virtual machine.

  tests/bed/kernel/run.py [SUITE…]      the kernels of these releases of Debian (default: bullseye bookworm)

bullseye has 5.10, like BurmillaOS 2.0; bookworm has 6.1. The virtual machine is user-mode Linux: a kernel as a process,
which needs nothing of the processor that a build machine may lack. It has one processor and no cpuset, so kubelets run
on cgroup v2 only. Its root is Debian 12 with what docs/try.md asks for; init.sh is its first process.

Needs root, the packages of `scripts/packages test`, Debian's servers, 8 GB of memory and 16 GB in $TMPDIR; takes the
program from REMUDA, components from COMPONENTS. Ten minutes for each kernel on an idle machine.
"""

import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from common import COMPONENTS, REMUDA, expect, read, run, until

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
VERSIONS = {"bullseye": "5.10", "bookworm": "6.1"}


def debian(suite, folder, packages, variant):
    run("mmdebstrap", "--quiet", f"--variant={variant}", f"--include={','.join(packages)}", suite, folder)


def make_root(folder):
    """A folder with Debian 12 and this bed's files."""
    debian("bookworm", folder, PACKAGES, "minbase")
    os.rename(f"{folder}/usr/sbin/runc", f"{folder}/usr/sbin/runc.real")
    for name, place in (("init.sh", "init"), ("runc", "usr/sbin/runc"), ("one.yaml", "one.yaml")):
        run("install", "-m", "755", f"{HERE}/{name}", f"{folder}/{place}")
    for name in ("host", "components"):
        os.mkdir(f"{folder}/{name}")


def boot(suite, root, folder):
    """Runs the machine until it is off; what it said on its console."""
    kernel, disk = f"{folder}/kernel", f"{folder}/disk"
    debian(suite, kernel, ["user-mode-linux"], "extract")
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
    suites = sys.argv[1:] or list(VERSIONS)
    expect(set(suites) <= set(VERSIONS), f"the suites are {', '.join(VERSIONS)}")
    with tempfile.TemporaryDirectory(prefix="remuda-kernel-", dir="/var/tmp") as folder:
        root = f"{folder}/root"
        make_root(root)
        for suite in suites:
            started = time.monotonic()
            with tempfile.TemporaryDirectory(dir=folder) as own:
                said = boot(suite, root, own)
            passed = f"kernel {VERSIONS[suite]}." in said and "the cluster works, and nothing is left" in said
            if not passed:
                print(said[-6000:])
                sys.exit(f"FAILED: {suite}")
            print("\n".join(line for line in said.splitlines() if "Ready:" in line or line.startswith("kernel ")))
            print(f"ok: a node on the kernel of {suite} ({time.monotonic() - started:.0f} s)", flush=True)


main()
