"""A machine's control groups: one in each hierarchy of this machine, where its cgroup namespace has its root.

Version 1 has a hierarchy for each controller, version 2 one for all. There, a group that gives controllers to groups
below it may have no processes: a machine's own go into its group `init`.
"""

import contextlib
import os
import time

from programs import Failed, read, run

# What engines and kubelets need of each version.
NEEDED = {1: {"cpu", "cpuset", "devices", "freezer", "memory", "pids"}, 2: {"cpu", "memory", "pids"}}
# What machines get of version 2, where this machine has it. A kernel for one processor has no cpuset.
GIVEN = NEEDED[2] | {"cpuset", "hugetlb", "io"}


def hierarchies():
    """The version in use, and each hierarchy's folder and mount options. Where both are mounted, 1 has the controllers."""
    mounts = [line.split() for line in read("/proc/self/mounts").splitlines()]
    of = {kind: [(folder, options) for _, folder, one, options, *_ in mounts if one == kind] for kind in ("cgroup", "cgroup2")}
    return (1, of["cgroup"]) if of["cgroup"] else (2, of["cgroup2"])


def absent():
    """The version in use, and what it lacks here."""
    version, found = hierarchies()
    has = set()
    for folder, options in found:
        has |= set(options.split(",") if version == 1 else read(f"{folder}/cgroup.controllers").split())
    return version, sorted(NEEDED[version] - has)


class Controllers:
    """Those that machines get, until `take_back`. In version 1, every group has them."""

    def __init__(self):
        version, found = hierarchies()
        self.file, self.added = f"{found[0][0]}/cgroup.subtree_control", []
        if version == 2:
            available = set(read(f"{found[0][0]}/cgroup.controllers").split())
            for name in sorted(GIVEN & available - set(read(self.file).split())):
                write(self.file, f"+{name}")
                self.added.append(name)

    def take_back(self):
        for name in self.added:
            # Another program may have come to use it.
            with contextlib.suppress(Failed):
                write(self.file, f"-{name}")


def write(path, text):
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError as error:
        raise Failed(f"writing {text} to {path}: {error.strerror}") from error


def enter(name):
    """Makes a machine's groups; the words before a program that runs in them, in namespaces of its own."""
    version, found = hierarchies()
    joins, inside = [], []
    for folder, _ in found:
        group = f"{folder}/{name}"
        os.makedirs(group, exist_ok=True)
        joins.append(f"echo $$ >{group}/cgroup.procs")
        if version == 2:
            os.makedirs(f"{group}/init", exist_ok=True)
            given = " ".join(f"+{one}" for one in read(f"{group}/cgroup.controllers").split() if one in GIVEN)
            inside += [f"echo $$ >{group}/init/cgroup.procs", f"echo {given} >{group}/cgroup.subtree_control"]
        for file in ("cpuset.cpus", "cpuset.mems"):
            # A group of version 1 begins without any.
            if version == 1 and os.path.exists(f"{folder}/{file}"):
                write(f"{group}/{file}", read(f"{folder}/{file}"))
    return [*shell(joins), "unshare", "--cgroup", *shell(inside)]


def engine_arguments():
    """Containers see the machine's groups, as on a node: with version 2, an engine would give them a namespace."""
    return ["--default-cgroupns-mode", "host"] if hierarchies()[0] == 2 else []


def shell(lines):
    return ["sh", "-e", "-c", "\n".join([*lines, 'exec "$@"']), "machine"]


def mount(folder):
    """All hierarchies, as a process in a machine sees them."""
    version, found = hierarchies()
    if version == 2:
        run("mount", "-t", "cgroup2", "cgroup2", folder)
        return
    run("mount", "-t", "tmpfs", "tmpfs", folder)
    for line in read("/proc/self/cgroup").splitlines():
        _, controllers, _ = line.split(":", 2)
        if controllers:
            one = f"{folder}/{controllers.removeprefix('name=')}"
            os.makedirs(one)
            run("mount", "-t", "cgroup", "-o", controllers, "cgroup", one)


def remove(name):
    """The groups of a machine that is off, and those that its engines made below them."""
    for folder, _ in hierarchies()[1]:
        for _ in range(50):
            left = False
            for group, _, _ in os.walk(f"{folder}/{name}", topdown=False):
                try:
                    os.rmdir(group)
                except OSError:
                    left = True
            if not left:
                break
            time.sleep(0.1)
