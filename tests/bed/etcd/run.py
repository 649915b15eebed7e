#!/usr/bin/python3
"""etcd's members come and go by their own configs: real etcd, started as the sealed configs say, on nodes that lose
power at any moment, while clients write and read.

    tests/bed/etcd/run.py [--line LINE] [--rounds N] [--at-once N] [--seed SEED] [--off SECONDS] [SCENARIO…]

Wants root, an etcd of that line (Debian's is 3.4) and the userland in $COMPONENTS. With --at-once, so many clusters live
beside each other, each with a seed of its own: mostly they wait.
"""

import argparse
import base64
import concurrent.futures
import json
import os
import random
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import yaml

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from common import COMPONENTS, REMUDA, Failed, expect, output, read, read_bytes, run, spawn, until, write

PROFILE = """\
cluster: members
target: {target}
line: {line}
network: {{nodes: 10.77.0.0/24, gateway: 10.77.0.1}}
defaults:
  ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y a@b]
{etcd}
nodes:
  c-1: {{role: control-plane, address: 10.77.0.9}}
  "m-[1-{size}]": {{role: etcd, address: 10.77.0.11}}
"""

# A node's init, for one service that restarts always, like its container: in namespaces and folders of its own.
INIT = """\
mount -t overlay overlay -o "lowerdir=$1/userland,upperdir=$2/upper,workdir=$2/work" "$2/system" &&
mount --bind "$2/disk" "$2/system/var/lib/etcd" &&
mount --bind "$2/restore" "$2/system/var/lib/etcd-restore" &&
mount --bind "$2/opt" "$2/system/opt/kubernetes" &&
mount -t tmpfs tmpfs "$2/system/tmp" &&
mount --rbind /dev "$2/system/dev" || exit
shift 2
while true; do
  unshare --pid --fork --kill-child sh -c 'mount -t proc proc "$BED/system/proc" && exec chroot "$BED/system" "$@"' service "$@"
  sleep 0.2
done
"""


class Node:
    def __init__(self, bed, number):
        self.bed, self.name, self.address = bed, f"m-{number}", f"10.77.0.{10 + number}"
        self.work, self.process = f"{bed.work}/m-{number}", None
        for folder in ("upper", "work", "system", "opt", "disk", "restore"):
            os.makedirs(f"{self.work}/{folder}")
        for folder in ("var/lib/etcd", "var/lib/etcd-restore", "opt/kubernetes", "tmp", "proc", "dev"):
            os.makedirs(f"{self.work}/upper/{folder}")
        self.log = f"{self.work}/log"
        write(self.log, "")
        # Its cable and card stay: only programs and memory go with the power.
        self.net = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        until("a network", 10, lambda: os.readlink(f"/proc/{self.net.pid}/ns/net") != os.readlink("/proc/self/ns/net"))
        card = f"m{number}"
        run("ip", "link", "add", card, "type", "veth", "peer", "name", "eth0", "netns", self.net.pid)
        run("ip", "link", "set", card, "master", "br0", "up")
        for words in (["link", "set", "lo", "up"], ["address", "add", f"{self.address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"]):
            run("nsenter", f"--net=/proc/{self.net.pid}/ns/net", "ip", *words)
        self.cable = card

    def on(self):
        """Boots from the config that the tree has now."""
        config = yaml.safe_load(read(f"{self.bed.sealed}/{self.name}/cloud-config.yml"))
        for file in config["write_files"]:
            if file["path"].startswith("/opt/kubernetes/"):
                text = file["content"]
                text = base64.b64decode(text).decode() if file.get("encoding") in ("base64", "b64") else text
                write(
                    f"{self.work}/opt/{file['path'].removeprefix('/opt/kubernetes/')}", text, int(str(file.get("permissions", "0644")), 8)
                )
        service = config["rancher"]["services"]["etcd"]
        given = service.get("environment", {})
        given = dict(one.split("=", 1) for one in given) if isinstance(given, list) else given
        env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "BED": self.work,
            **{key: str(value) for key, value in given.items()},
        }
        self.cable_up(True)
        enter = ["nsenter", f"--net=/proc/{self.net.pid}/ns/net", "unshare", "--mount", "--pid", "--fork", "--kill-child"]
        words = ["sh", "-c", INIT, "init", self.bed.work, self.work, *service["command"]]
        self.process = spawn(self.log, *enter, *words, env=env, start_new_session=True)

    def cable_up(self, is_up):
        run("ip", "link", "set", self.cable, "up" if is_up else "down")

    def off(self):
        """Loses power: nobody on the network hears of it."""
        if self.process:
            self.cable_up(False)
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            # What it had mounted goes with its last process.
            self.process = None
            time.sleep(0.3)

    def lose_disk(self):
        shutil.rmtree(f"{self.work}/disk")
        os.makedirs(f"{self.work}/disk")

    def give(self, path, content=None):
        """Puts a snapshot, or what there is of it, where this node looks for one."""
        with open(f"{self.work}/restore/etcd.db", "wb") as file:
            file.write(read_bytes(path) if content is None else content)

    def take(self):
        os.remove(f"{self.work}/restore/etcd.db")

    def says(self, text, seconds=60):
        def is_said():
            expect(text in self.since(), self.since()[-600:])
            return True

        until(f"{self.name} says {text!r}", seconds, is_said)

    def mark(self):
        self.marked = os.path.getsize(self.log)

    def since(self):
        with open(self.log) as file:
            file.seek(getattr(self, "marked", 0))
            return file.read()

    def tells(self, most=25):
        """The last that its script said, and what etcd warned of."""
        lines = [line for line in self.since().splitlines() if "failed to write status" not in line]
        of_script = [line for line in lines if not line.startswith("{")]
        warnings = [line for line in lines if line.startswith("{") and '"level":"info"' not in line]
        return [*of_script[-most:], *warnings[-most:]]


def founders(*numbers):
    return {"founders": [f"m-{number}" for number in numbers]}


class Bed:
    def __init__(self, line, work, rng):
        self.line, self.work, self.rng, self.clusters = line, work, rng, set()
        self.seconds_off = 3
        self.target = "burmillaos-2.0" if line != "kubernetes-1.20" else "rancheros-1.5"
        self.sealed = f"{work}/out/members/sealed"
        os.makedirs(f"{work}/userland/usr/local/bin")
        run("tar", "-C", f"{work}/userland", "-xf", f"{COMPONENTS}/userland-12/rootfs.tar")
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "br0", "type", "bridge")
        run("ip", "address", "add", "10.77.0.1/24", "dev", "br0")
        run("ip", "link", "set", "br0", "up")
        run(REMUDA, "seed", "new", f"{work}/seed")
        self.nodes = [Node(self, number) for number in range(1, 6)]
        self.config(1, founders(1))
        image = yaml.safe_load(read(f"{self.sealed}/m-1/cloud-config.yml"))["rancher"]["services"]["etcd"]["image"]
        version = image.rsplit(":", 1)[1]
        source = f"{COMPONENTS}/etcd-{version}"
        source = source if os.path.isdir(source) else "/usr/bin"
        for program in ("etcd", "etcdctl", "etcdutl"):
            if os.path.exists(f"{source}/{program}"):
                shutil.copy(f"{source}/{program}", f"{work}/userland/usr/local/bin/{program}")
        self.version = run(f"{source}/etcd", "--version").stdout.splitlines()[0]
        self.keys = ssl.create_default_context(cafile=f"{self.sealed}/etcd/ca.crt")
        self.keys.load_cert_chain(f"{self.sealed}/etcd/admin.crt", f"{self.sealed}/etcd/admin.key")

    def config(self, size, etcd=None, again=True):
        """The profile as it is now, with this in `etcd`; `again`: of a new cluster, which no tree knows."""
        if again:
            shutil.rmtree(f"{self.work}/out", ignore_errors=True)
        text = f"etcd: {json.dumps(etcd)}" if etcd else ""
        write(f"{self.work}/members.yaml", PROFILE.format(target=self.target, line=self.line, etcd=text, size=size))
        run(REMUDA, "gen", f"{self.work}/members.yaml", "-o", f"{self.work}/out", "--seed", f"{self.work}/seed", "--no-images")

    def ask(self, address, path, body=None, seconds=3):
        request = urllib.request.Request(f"https://{address}:2379/v3/{path}", json.dumps(body or {}).encode())
        try:
            with urllib.request.urlopen(request, timeout=seconds, context=self.keys) as answer:
                answer = json.load(answer)
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise Failed(f"{address}: {error}") from None
        cluster = answer.get("header", {}).get("cluster_id")
        if cluster:
            self.clusters.add(cluster)
            expect(len(self.clusters) == 1, f"two clusters: {self.clusters}")
        return answer

    def etcdctl(self, *words):
        pki = f"{self.sealed}/etcd"
        keys = [f"--cacert={pki}/ca.crt", f"--cert={pki}/admin.crt", f"--key={pki}/admin.key"]
        return output(f"{self.work}/userland/usr/local/bin/etcdctl", *keys, *words, env={**os.environ, "ETCDCTL_API": "3"})

    def members(self):
        """The members, as one says that has a quorum."""
        for node in self.nodes:
            try:
                self.ask(node.address, "kv/range", {"key": base64.b64encode(b"x").decode()})
                return self.ask(node.address, "cluster/member/list")["members"]
            except Failed:
                continue
        raise Failed("nobody has a quorum")

    def voters(self, *numbers):
        """Waits until exactly these vote, and no one is a learner."""

        def they_do():
            members = self.members()
            names = sorted(member.get("name", "?") for member in members if not member.get("isLearner"))
            expect(len(names) == len(members) and names == [f"m-{n}" for n in numbers], json.dumps(members))
            for number in numbers:
                self.ask(self.nodes[number - 1].address, "kv/range", {"key": base64.b64encode(b"x").decode()})
            return True

        until(f"{numbers} vote", 180, they_do)

    def remove(self, number):
        """As docs/members.md has it: off, then out."""
        self.nodes[number - 1].off()

        def is_gone():
            ours = [member for member in self.members() if member.get("name") == f"m-{number}"]
            for member in ours:
                for node in self.nodes:
                    if node.process:
                        try:
                            self.ask(node.address, "cluster/member/remove", {"ID": member["ID"]})
                        except Failed:
                            continue
            return not ours

        until(f"m-{number} is removed", 60, is_gone)

    def clear(self):
        for node in self.nodes:
            node.off()
            node.lose_disk()
        self.clusters.clear()

    def end(self):
        for node in self.nodes:
            node.off()
            node.net.kill()


class Load:
    """Clients that each count in their own key, and read each other's: what was acknowledged, or read, is never gone."""

    def __init__(self, bed, count=3):
        self.bed, self.stop, self.wrong = bed, False, []
        self.acknowledged, self.read, self.tried = [0] * count, [0] * count, [0] * count
        self.threads = [threading.Thread(target=self.client, args=(number,)) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def key(self, number):
        return base64.b64encode(f"counter-{number}".encode()).decode()

    def look(self, node, number):
        """What a node says of a counter: nothing older than what anybody knew before, nothing that nobody wrote."""
        floor = max(self.acknowledged[number], self.read[number])
        pairs = self.bed.ask(node.address, "kv/range", {"key": self.key(number)}).get("kvs", [])
        value = int(base64.b64decode(pairs[0]["value"])) if pairs else 0
        expect(
            floor <= value <= self.tried[number], f"LOST: counter-{number} is {value} on {node.name}, not {floor} to {self.tried[number]}"
        )
        self.read[number] = max(self.read[number], value)

    def client(self, number):
        rng = random.Random(number)
        try:
            while not self.stop:
                node = rng.choice(self.bed.nodes)
                if not node.process:
                    time.sleep(0.05)
                    continue
                try:
                    self.look(node, rng.randrange(len(self.tried)))
                    self.tried[number] += 1
                    wanted = self.tried[number]
                    value = base64.b64encode(str(wanted).encode()).decode()
                    self.bed.ask(node.address, "kv/put", {"key": self.key(number), "value": value})
                    self.acknowledged[number] = wanted
                except Failed as failed:
                    if "LOST" in str(failed) or "two clusters" in str(failed):
                        raise
                    time.sleep(0.1)
        except Failed as failed:
            self.wrong.append(str(failed))

    def end(self):
        before = sum(self.acknowledged)
        until("writes are acknowledged again", 60, lambda: self.wrong or sum(self.acknowledged) > before + 3)
        self.stop = True
        for thread in self.threads:
            thread.join()
        expect(not self.wrong, "; ".join(self.wrong))
        for node in self.bed.nodes:
            for number in range(len(self.tried) if node.process else 0):
                self.look(node, number)
        return sum(self.acknowledged)


def cut(bed, nodes, most=3.0):
    """Cuts the power at some moment, once or twice: mostly of one of them, sometimes of all."""
    for _ in range(bed.rng.randint(1, 2)):
        gone = bed.rng.sample(nodes, bed.rng.choice((1, 1, 1, len(nodes))))
        time.sleep(bed.rng.uniform(0, most))
        for node in gone:
            node.off()
        time.sleep(bed.rng.uniform(0, 1))
        for node in gone:
            node.on()


def go(bed):
    """5 → 3, while the power of those that stay is cut."""
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        for number in bed.rng.sample((4, 5), 2):
            cutting = beside.submit(cut, bed, bed.nodes[:3])
            bed.remove(number)
            cutting.result()


def shrink(bed):
    """Five founders, of which two go."""
    bed.config(5)
    for node in bed.nodes:
        node.on()
    bed.voters(1, 2, 3, 4, 5)
    load = Load(bed)
    go(bed)
    bed.voters(1, 2, 3)
    return f"{load.end()} writes"


def grow(bed):
    """1 → 3 → 5 → 3, each step cut short."""
    one, two, three, four, five = bed.nodes
    bed.config(1, founders(1))
    one.on()
    bed.voters(1)
    load = Load(bed)
    for size, new in ((3, [two, three]), (5, [four, five])):
        bed.config(size, founders(1), again=False)
        bed.rng.shuffle(new)
        for node in new:
            node.on()
        cut(bed, bed.nodes[:size])
        bed.voters(*range(1, size + 1))
    go(bed)
    bed.config(3, founders(), again=False)
    bed.voters(1, 2, 3)
    for node in bed.nodes[:3]:
        node.off()
    for node in bed.rng.sample(bed.nodes[:3], 3):
        node.on()
    bed.voters(1, 2, 3)
    return f"{load.end()} writes"


def three(bed):
    bed.config(3)
    for node in bed.nodes[:3]:
        node.on()
    began = time.monotonic()
    bed.voters(1, 2, 3)
    return time.monotonic() - began


def founding(bed):
    """Three founders at once, cut short at some moment."""
    bed.config(3)
    for node in bed.nodes[:3]:
        time.sleep(bed.rng.uniform(0, 1))
        node.on()
    cut(bed, bed.nodes[:3], 2.0)
    bed.voters(1, 2, 3)


def one_late(bed):
    """Three founders, one of them off at the first boot."""
    bed.config(3)
    numbers = bed.rng.sample((1, 2, 3), 3)
    for number in numbers[:2]:
        bed.nodes[number - 1].on()
    until("two found", 60, lambda: len(bed.members()) == 3)
    load = Load(bed)
    bed.nodes[numbers[2] - 1].on()
    bed.voters(1, 2, 3)
    return f"{load.end()} writes"


def only_one(bed):
    """Three founders, two of them off: nobody founds."""
    bed.config(3)
    bed.nodes[0].on()
    bed.nodes[0].says("to see that a majority of the members has none (1 of 3 so far)")
    time.sleep(5)
    expect(not os.path.exists(f"{bed.nodes[0].work}/disk/member"), "it founded alone")
    bed.nodes[2].on()
    until("two found", 60, lambda: len(bed.members()) == 3)


def lost_disk(bed):
    """One of three comes back empty; its old disk comes back later."""
    three(bed)
    load = Load(bed)
    node = bed.rng.choice(bed.nodes[:3])
    number = bed.nodes.index(node) + 1
    node.off()
    os.rename(f"{node.work}/disk", f"{node.work}/stale")
    os.makedirs(f"{node.work}/disk")
    node.on()
    node.says("joining as member")
    bed.voters(1, 2, 3)
    node.off()
    shutil.rmtree(f"{node.work}/disk")
    os.rename(f"{node.work}/stale", f"{node.work}/disk")
    node.mark()
    node.on()
    node.says("the cluster no longer has this member")
    bed.voters(1, 2, 3)
    expect(os.path.isdir(f"{node.work}/disk/old/wal"), "the stale data is gone")
    return f"m-{number}, {load.end()} writes"


def lost_alone(bed):
    """A disk is lost while the two others are off: it waits; with one of them it still does."""
    three(bed)
    load = Load(bed)
    time.sleep(1)
    one, *others = bed.rng.sample(bed.nodes[:3], 3)
    for node in bed.nodes[:3]:
        node.off()
    one.lose_disk()
    one.mark()
    one.on()
    one.says("no data here: waiting for the cluster")
    time.sleep(5)
    others[0].on()
    one.says(f"waiting for the cluster of {others[0].name}")
    expect(not os.path.exists(f"{one.work}/disk/member"), "it started without its data")
    others[1].on()
    bed.voters(1, 2, 3)
    return f"{load.end()} writes"


def all_off(bed):
    took = three(bed)
    load = Load(bed)
    time.sleep(2)
    for node in bed.nodes[:3]:
        node.off()
    time.sleep(bed.seconds_off)
    for node in bed.nodes[:3]:
        node.on()
    began = time.monotonic()
    bed.voters(1, 2, 3)
    return f"off for {bed.seconds_off} s, founded in {took:.1f} s, back in {time.monotonic() - began:.1f} s, {load.end()} writes"


def restored(bed):
    """All disks are lost, and one member has a snapshot: a cluster with all that it had. With data on a disk, none is made."""
    three(bed)
    load = Load(bed)
    time.sleep(2)
    load.end()
    snapshot = f"{bed.work}/etcd.db"
    bed.etcdctl("snapshot", "save", snapshot, "--endpoints=https://10.77.0.11:2379")
    for node in bed.nodes[:3]:
        node.off()
    bed.nodes[0].lose_disk()
    bed.config(3, {"restore": {"member": "m-1"}}, again=False)
    one, two, third = bed.nodes[:3]
    one.give(snapshot)
    for node in (one, two):
        node.mark()
        node.on()
    one.says(f"waiting for the cluster of {two.name}")
    time.sleep(3)
    expect(not os.path.exists(f"{one.work}/disk/member"), "it restored beside a member that has data")
    for node in (one, two):
        node.off()
        node.lose_disk()
    third.lose_disk()
    one.take()
    bed.clusters.clear()
    for node in bed.rng.sample(bed.nodes[:3], 3):
        node.mark()
        node.on()
    one.says("waiting for a snapshot of etcd in")
    one.give(snapshot, read_bytes(snapshot)[:20000])
    one.says("waiting for a snapshot that can be restored")
    one.off()
    one.on()
    began = time.monotonic()
    one.give(snapshot)
    one.says("restored ")
    bed.voters(1, 2, 3)
    took = time.monotonic() - began
    for number, wanted in enumerate(load.acknowledged):
        pairs = bed.ask(third.address, "kv/range", {"key": load.key(number)})["kvs"]
        value = int(base64.b64decode(pairs[0]["value"]))
        expect(wanted <= value <= load.tried[number], f"counter-{number} is {value}, not {wanted}")
    bed.config(3, founders(1), again=False)
    for node in bed.nodes[:3]:
        node.off()
        node.on()
    bed.voters(1, 2, 3)
    return f"{took:.1f} s from the snapshot to three that vote"


def rights(bed):
    """1 → 3 where etcd has users, as every cluster with flannel: each member may still add itself, whoever leads."""

    def etcdctl(*words):
        return bed.etcdctl("--endpoints=https://10.77.0.11:2379,https://10.77.0.13:2379", *words)

    bed.config(1, founders(1))
    bed.nodes[0].on()
    bed.voters(1)
    etcdctl("user", "add", "root", "--no-password")
    etcdctl("user", "grant-role", "root", "root")
    etcdctl("auth", "enable")
    bed.config(3, founders(1), again=False)
    for node in bed.nodes[1:3]:
        node.on()

    def all_vote():
        members = etcdctl("member", "list").splitlines()
        expect(len(members) == 3 and all(", started, " in line and line.endswith(", false") for line in members), str(members))
        return True

    until("three vote", 90, all_vote)

    def ids():
        return {line.split(", ")[2]: line.split(", ")[0] for line in etcdctl("member", "list").splitlines()}

    # The first that the second one asks isn't the leader: it can't hand on that somebody shall vote.
    before = ids()
    etcdctl("move-leader", before["m-3"])
    bed.nodes[1].off()
    bed.nodes[1].lose_disk()
    bed.nodes[1].on()
    until("the second one is another member", 60, lambda: ids()["m-2"] != before["m-2"])
    until("three vote again", 60, all_vote)


SCENARIOS = {one.__name__: one for one in (all_off, founding, one_late, only_one, lost_disk, lost_alone, restored, rights, shrink, grow)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--line", default="kubernetes-1.37")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--off", type=int, default=3)
    parser.add_argument("--inside", action="store_true")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    words = parser.parse_args()
    if set(words.scenarios) - set(SCENARIOS):
        sys.exit(f"{__doc__}\nscenarios: {', '.join(SCENARIOS)}")
    if not words.inside:
        alone = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv, "--inside"]
        seeds = range(words.seed, words.seed + words.at_once)
        running = [subprocess.Popen([*alone, "--seed", str(seed)]) for seed in seeds]
        signal.signal(signal.SIGTERM, lambda *_: [one.kill() for one in running])
        statuses = [one.wait() for one in running]
        sys.exit(1 if any(statuses) else 0)
    # An overlay's folders must be on a file system that can have them.
    work = tempfile.mkdtemp(prefix="etcd-", dir="/run")
    run("mount", "-t", "tmpfs", "tmpfs", work)
    bed, failed = Bed(words.line, work, random.Random(words.seed)), False
    bed.seconds_off = words.off
    print(f"seed {words.seed}: {bed.version}", flush=True)
    try:
        for number in range(1, words.rounds + 1):
            for name in words.scenarios or SCENARIOS:
                began = time.monotonic()
                said = SCENARIOS[name](bed)
                bed.clear()
                print(
                    f"seed {words.seed}, round {number}: {name}: {time.monotonic() - began:.0f} s{f': {said}' if said else ''}", flush=True
                )
    except Failed as wrong:
        failed = True
        print(f"FAILED: seed {words.seed}, round {number}: {name}: {wrong}", flush=True)
        for node in bed.nodes:
            print(f"--- {node.name}, {'on' if node.process else 'off'}\n" + "\n".join(node.tells()), flush=True)
    finally:
        bed.end()
        run("umount", "-l", work, check=False)
        shutil.rmtree(work, ignore_errors=True)
    os._exit(1 if failed else 0)


main()
