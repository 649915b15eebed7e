"""Runs the cluster of a profile on this machine until Enter or Ctrl-C, and takes it down without a trace.

    up.py FOLDER ORDER      FOLDER: of its own, and removed; ORDER: what `remuda try` says, in JSON

Exit status: 0 it ran; 3 something is missing here, or it didn't start; 130 interrupted; `remuda gen`'s own.
"""

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time

import cgroups
from programs import Failed

# Each program that a played machine uses, and the package of Debian and Ubuntu that has it.
PROGRAMS = {
    "bash": "bash",
    "busybox": "busybox-static",
    "dnsmasq": "dnsmasq-base",
    "docker": "docker.io",
    "dockerd": "docker.io",
    "ip": "iproute2",
    "iptables-legacy": "iptables",
    "jq": "jq",
    "nsenter": "util-linux",
    "pgrep": "procps",
    "runc": "runc",
    "sysctl": "procps",
    "tar": "tar",
    "unshare": "util-linux",
}
LOGS = "remuda-try-logs"
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Missing(Exception):
    """What this machine lacks, a line each."""


def look(order):
    """Everything that this machine lacks."""
    lacks = []
    if not hasattr(hashlib, "file_digest"):
        lacks.append(f"Python 3.11 or newer: {sys.executable} is {platform.python_version()}")
    if os.geteuid() != 0:
        lacks.append("root: a node is a set of namespaces, which only root can make")
    if platform.machine() != "x86_64":
        lacks.append(f"an x86-64 processor: this one is {platform.machine()}")
    packages = {package for name, package in PROGRAMS.items() if not shutil.which(name)}
    packages |= {"python3-yaml"} if importlib.util.find_spec("yaml") is None else set()
    busybox = shutil.which("busybox")
    if busybox and subprocess.run(["ldd", busybox], capture_output=True).returncode == 0:
        packages.add("busybox-static")
    if packages:
        lacks.append(f"programs: `apt-get install {' '.join(sorted(packages))}`")
    version, absent = cgroups.absent()
    if order["cgroups"] not in (None, version):
        lacks.append(
            f"cgroup v{order['cgroups']}, the only one that this release line runs on: this machine has v{version}. For v1, boot it "
            "with the kernel's argument `systemd.unified_cgroup_hierarchy=0`, which systemd knows up to version 255"
        )
    elif absent:
        lacks.append(f"in its cgroup v{version}: {', '.join(absent)}")
    if shutil.which("modprobe"):
        subprocess.run(["modprobe", "-a", "overlay", "nf_conntrack", "br_netfilter", "vxlan"], capture_output=True)
    if not os.path.exists("/proc/sys/net/netfilter/nf_conntrack_max"):
        lacks.append("the kernel's module nf_conntrack: `modprobe nf_conntrack`")
    with open("/proc/filesystems") as file:
        if "overlay" not in file.read().split():
            lacks.append("the kernel's file system overlay: `modprobe overlay`")
    if lacks:
        raise Missing("this machine lacks:\n" + "\n".join(f"- {one}" for one in lacks))


def find_kubectl(order):
    folder = f"{order['components']}/kubernetes-{order['kubernetes']}"
    found = shutil.which(f"{folder}/kubectl") or shutil.which("kubectl")
    if found is None:
        raise Missing(f"kubectl: on the PATH, or in {folder}")
    return os.path.abspath(found)


def generate(folder, order):
    """The out tree from which the machines boot. It is in `folder`: the operator's own stays as it is."""
    words = [order["remuda"], "gen", *order["gen"], "--out", f"{folder}/out"]
    if not order["has_seed"]:
        subprocess.run([order["remuda"], "seed", "new", f"{folder}/seed"], check=True, stderr=subprocess.DEVNULL)
        words += ["--seed", f"{folder}/seed"]
    done = subprocess.run(words, stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.returncode)
    (name,) = os.listdir(f"{folder}/out")
    return f"{folder}/out/{name}"


def bring_up(cluster, seconds):
    start = time.monotonic()
    cluster.power_on()
    print("powered on:", ", ".join(cluster.machines), flush=True)
    cluster.wait_api(seconds)
    cluster.time("API ready", start)
    cluster.wait_ready(seconds=seconds - int(time.monotonic() - start))
    cluster.time("all nodes Ready", start)


def say(cluster):
    """How to look inside."""
    print(f"\n  nsenter --net=/run/netns/{cluster.switch.name} {cluster.kubectl_path()} --kubeconfig {cluster.kubeconfig} get nodes")
    for name, one in cluster.machines.items():
        print(f"  nsenter -a -r -w -t {one.init()} docker -H unix:///run/system-docker.sock ps    # {name}")
    print(flush=True)


def play(folder, order):
    look(order)
    kubectl, tree = find_kubectl(order), generate(folder, order)
    import played  # now that this machine has what it imports

    cluster = played.Played("remuda-try", order["address"], folder, kubectl)
    try:
        cluster.place(tree)
        cluster.make_machines()
        if order["endpoint"]:
            cluster.balance(*order["endpoint"])
        bring_up(cluster, order["wait"])
        say(cluster)
        input("Enter takes it down. ")
    except EOFError:
        pass
    except Failed:
        cluster.collect_logs(os.path.abspath(LOGS))
        print(f"the logs of every service: {os.path.abspath(LOGS)}", file=sys.stderr)
        raise
    finally:
        # A second Ctrl-C would leave half of it.
        for name in ENDS:
            signal.signal(name, signal.SIG_IGN)
        print("taking it down", flush=True)
        cluster.remove()


def main():
    folder, order = sys.argv[1], json.loads(sys.argv[2])

    def interrupt(*_):
        raise KeyboardInterrupt

    for name in ENDS:
        signal.signal(name, interrupt)
    try:
        play(folder, order)
    except KeyboardInterrupt:
        sys.exit(130)
    except (Missing, Failed) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(3)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
