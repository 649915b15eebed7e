"""An operator's upgrade: what `remuda plan` prints, typed as it stands, while clients read and write."""

import base64
import itertools
import json
import os
import subprocess
import threading
import time

import yaml

from common import COMPONENTS, REMUDA, Failed, expect, until, write
from scenarios import SMALL, TODAY, Client, daemons, first_pods, names_resolve, pods_talk, profile, start

NODES = """\
  m-[1-3]: {role: control-plane, address: 10.77.0.11}
  w-[1-2]: {role: worker, address: 10.77.0.21}
"""
VIP = "10.77.0.10"

# `ssh rancher@ADDRESS COMMAND…`: a shell on that machine, without the network between. What a machine does to itself is
# left to the bed, which holds its plug.
SSH = """#!/bin/bash
[ "$1" != -o ] || shift 2
address=${1#*@}
shift
case "$*" in
  "sudo reboot" | "sudo poweroff") touch "ORDERS/$2-$address"; exit 0 ;;
esac
read -r first <"ORDERS/$address" && init=$(pgrep -P "$first") || { echo "ssh: $address: no route to host" >&2; exit 255; }
exec nsenter -a -r -w -t "$init" bash -c '
  sudo() { "$@"; }
  system-docker() { docker -H unix:///run/system-docker.sock "$@"; }
  eval "$1"' ssh "$*"
"""

# All machines of the bed have this one's boot ID: the bed says which boot of theirs it is.
KUBECTL = """#!/bin/bash
case "$*" in
  *nodeInfo.bootID*) exec cat "ORDERS/boot-$3" ;;
esac
exec PROGRAM "$@"
"""


class Operator:
    """Somebody at a shell, in the folder with the profile and its git repository."""

    def __init__(self, bed):
        self.bed, self.orders = bed, f"{bed.folder}/orders"
        os.makedirs(self.orders)
        write(f"{bed.folder}/bin/ssh", SSH.replace("ORDERS", self.orders), 0o755)
        os.symlink(REMUDA, f"{bed.folder}/bin/remuda")
        write(f"{bed.folder}/bin/kubectl", KUBECTL.replace("ORDERS", self.orders).replace("PROGRAM", bed.kubectl_path()), 0o755)
        os.symlink(COMPONENTS, f"{bed.folder}/components")
        who = {f"GIT_{role}_{what}": "bed@bed.test" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        path = f"{bed.folder}/bin:{os.environ['PATH']}"
        # Of the configs that the machines have, whatever the tree says by now.
        self.addresses = {name: bed.address(name) for name in bed.machines}
        self.environment = {**os.environ, **who, "PATH": path, "GIT_EDITOR": "sh -c 'echo upgraded >\"$1\"' --"}
        bed.commit()

    def type(self, script, seconds=600):
        """Runs lines of shell, and boots the machines that they reboot."""
        for name in self.addresses:
            self.note(name)
        words = [*self.bed.outside(), "bash", "-eo", "pipefail", "-c", script]
        process = subprocess.Popen(
            words,
            cwd=self.bed.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = []
        reader = threading.Thread(target=lambda: said.extend(process.stdout), daemon=True)
        reader.start()
        began = time.monotonic()
        while process.poll() is None:
            if time.monotonic() - began > seconds:
                process.kill()
                raise Failed(f"not done within {seconds} s:\n{script}\n{''.join(said)[-3000:]}")
            self.obey()
            time.sleep(0.2)
        reader.join()
        self.obey()
        if process.returncode:
            raise Failed(f"exit status {process.returncode}:\n{script}\n{''.join(said)[-3000:]}")
        return "".join(said)

    def obey(self):
        """What was said to machines: to boot again, or to go off."""
        for name, address in self.addresses.items():
            for word in ("reboot", "poweroff"):
                order = f"{self.orders}/{word}-{address}"
                if os.path.exists(order):
                    os.remove(order)
                    one = self.bed.machines[name]
                    one.reboot() if word == "reboot" else one.power_off()
                    self.note(name)

    def note(self, name):
        """Which process is the machine now, and which boot it is."""
        one, pid = self.bed.machines[name], f"{self.orders}/{self.addresses[name]}"
        if one.process is None:
            if os.path.exists(pid):
                os.remove(pid)
            return
        write(pid, f"{one.process.pid}\n")
        write(f"{self.orders}/boot-{name}", f"{one.powered_on}\n")

    def plan(self, *more):
        return json.loads(self.type(" ".join(["remuda plan cluster.yaml --format json 2>/dev/null", *more])))

    def follow(self, plan, hands=lambda title, nodes: None):
        """Types each step, for each of its nodes or for all at once, and waits for its check. `hands` do what is done at
        the machines, between a step's commands and its check; they get its title and the names of its nodes."""
        for step in plan["steps"]:
            nodes = step["nodes"] or [{"name": "", "address": ""}]
            for some in [nodes] if step["at_once"] > 1 else [[node] for node in nodes]:
                began, names = time.monotonic(), [node["name"] for node in some]
                for part in ("run", "until"):
                    for node in some:
                        which = [f"NODE={node['name']}", f"ADDRESS={node['address']}"]
                        # As in one shell, which remembers what boot of a machine it saw.
                        seen = f"{self.orders}/seen-{node['name']}"
                        lines = {
                            "run": [*step["run"], f"declare -p BOOT >{seen} 2>/dev/null || true"],
                            "until": [f". {seen}", *step["until"]],
                        }[part]
                        self.type("\n".join([*plan["setup"], *which, *lines]))
                    if part == "run":
                        hands(step["title"], names)
                print(f"    {step['title']} {' '.join(names)}: {time.monotonic() - began:.0f} s", flush=True)


class Writer(Client):
    """Makes one object after the other through the API, and knows which of them the API said it has."""

    numbers = itertools.count(1)

    def __init__(self, bed, address):
        self.made, self.keys = [], []
        with open(bed.kubeconfig) as file:
            user = yaml.safe_load(file)["users"][0]["user"]
        for option, key in (("--cert", "client-certificate-data"), ("--key", "client-key-data")):
            path = f"{bed.folder}/writer{option}.pem"
            write(path, base64.b64decode(user[key]).decode(), 0o600)
            self.keys += [option, path]
        super().__init__(bed, address)

    def ask(self):
        name = f"written-{next(self.numbers)}"
        body = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
        url = f"https://{self.address}:6443/api/v1/namespaces/default/configmaps"
        ask = ["curl", "-sk", "--max-time", "2", *self.keys, "-H", "Content-Type: application/json", "-d", body, "-o", "/dev/null"]
        said = self.bed.switch.run(*ask, "-w", "%{http_code}", url, check=False).stdout
        if said == "201":
            self.made.append(name)
        return said


class Visitor(Client):
    """Asks for a page at its port on every node: whether it is there on any."""

    def ask(self):
        urls = [f"http://{self.bed.address(name)}:30090/" for name in self.bed.machines]
        ask = ["curl", "-sZ", "--max-time", "0.7", "-o", "/dev/null", "-w", "%{http_code} "]
        return self.bed.switch.run(*ask, *urls, check=False).stdout


def page():
    """Two pods with a page, never on one node, never both away."""
    labels = {"app": "page"}
    spread = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}
    ]}}  # fmt: skip
    container = {
        "name": "page",
        "image": "bed/pod:1",
        "imagePullPolicy": "Never",
        # Who is asked to end goes on until nobody sends anything any more.
        "command": [
            "sh",
            "-c",
            "trap 'sleep 3; exit' TERM; mkdir /www; echo here >/www/index.html; httpd -p 8080 -h /www; while :; do sleep 1; done",
        ],
        "readinessProbe": {"httpGet": {"port": 8080, "path": "/"}, "periodSeconds": 1},
    }
    pod = {"metadata": {"labels": labels}, "spec": {"affinity": spread, "containers": [container]}}
    deployment = {"replicas": 2, "selector": {"matchLabels": labels}, "template": pod}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "page"}, "spec": deployment},
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "page"},
         "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "page"},
         "spec": {"type": "NodePort", "selector": labels, "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30090}]}},
    ]  # fmt: skip


def of_line(line, nodes=NODES):
    text = profile(nodes, f"api: {{vip: {VIP}}}", **{**TODAY, "line": line})
    return text.replace("defaults:\n", "defaults:\n  disk: /dev/sda\n")


def under_load(bed, operator, plan, what):
    """Follows a plan while clients ask the API, a page, and write: nothing is silent for long, and nothing is lost."""
    clients = api, visitor, writer = Client(bed, VIP), Visitor(bed, VIP), Writer(bed, VIP)
    until("the clients are answered", 30, lambda: api.answers and visitor.answers and writer.made)
    began = time.monotonic()
    operator.follow(plan)
    bed.time(what, began)
    for client in clients:
        client.stop()
    silences = {f"{what}: the API silent, at most": api, f"{what}: the page silent, at most": visitor}
    for name, client in silences.items():
        bed.times[name] = client.longest_silence(began)
    there = {one["metadata"]["name"] for one in bed.get("configmap")["items"]}
    lost = [name for name in writer.made if name not in there]
    print(f"    {len(writer.made)} objects were made meanwhile", flush=True)
    expect(not lost, f"the API said that it has them, and they are lost: {lost}")
    until("status says that all is as the tree says", 60, lambda: bed.status()[0] == 0)
    expect(not operator.plan()["steps"], "the plan has steps left")
    for name in silences:
        expect(bed.times[name] <= 10, f"{name}: {bed.times[name]:.1f} s")


def with_page(bed):
    """Starts the cluster, and a page in it."""
    first_pods(bed, start(bed))
    bed.apply(*page())
    until("the page has two pods", 120, lambda: bed.get("deployment", "page")["status"].get("readyReplicas") == 2)
    return Operator(bed)


def upgrade(scenario, old="kubernetes-1.36", new="kubernetes-1.37"):
    """From Kubernetes 1.36 to 1.37 by the steps that `remuda plan` prints, under a client's load."""
    with scenario.cluster(of_line(old)) as bed:
        operator = with_page(bed)
        write(f"{bed.folder}/cluster.yaml", of_line(new))
        plan = operator.plan()
        expect(len(plan["steps"]) == 5, f"the plan has these steps: {[step['title'] for step in plan['steps']]}")
        under_load(bed, operator, plan, "upgraded")
        versions = {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in bed.get("nodes")["items"]}
        expect(all(one.startswith(f"v{new.removeprefix('kubernetes-')}.") for one in versions.values()), f"the kubelets are {versions}")
        pods_talk(bed, bed.machines)
        names_resolve(bed, bed.machines)


def upgrade_1_36(scenario):
    """From Kubernetes 1.35 to 1.36 the same way."""
    upgrade(scenario, "kubernetes-1.35", "kubernetes-1.36")


def os_version(scenario, old="v2.0.4", new="v2.0.5"):
    """To another version of the OS and back, by the steps that `remuda plan` prints, under a client's load. Where machines
    boot from has the version before the plan's steps, as a boot server has."""

    def of(version):
        return of_line("kubernetes-1.37").replace("line:", f"os_version: {version}\nline:", 1)

    def machines_have(version):
        for one in bed.machines.values():
            one.os_version = version

    with scenario.cluster(of(old)) as bed:
        machines_have(old)
        operator = with_page(bed)
        for version, what in ((new, "the newer OS"), (old, "the older OS again")):
            machines_have(version)
            write(f"{bed.folder}/cluster.yaml", of(version))
            under_load(bed, operator, operator.plan(), what)


def add_on(scenario, **of):
    """A running cluster of Kubernetes 1.20 gets its DNS by the steps that `remuda plan` prints; only the control-plane node reboots."""

    def text(addons=""):
        return profile(SMALL, addons, **of).replace("defaults:\n", "defaults:\n  disk: /dev/sda\n")

    with scenario.cluster(text("addons: {dns: ~}")) as bed:
        began = start(bed)
        bed.apply(*daemons())
        pods_talk(bed, bed.machines)
        bed.time("pods talk", began)
        operator, booted = Operator(bed), {name: one.powered_on for name, one in bed.machines.items()}
        write(f"{bed.folder}/cluster.yaml", text())
        began = time.monotonic()
        operator.follow(operator.plan())
        names_resolve(bed, bed.machines)
        bed.time("names found", began)
        rebooted = [name for name, one in bed.machines.items() if one.powered_on != booted[name]]
        expect(rebooted == ["m-1"], f"{rebooted} were rebooted")
        # No node can pull it.
        pods = bed.get("-n", "kube-system", "pods", "-l", "k8s-app=kube-dns")["items"]
        until("both pods run", 60, lambda: bed.get("-n", "kube-system", "deployment", "coredns")["status"].get("readyReplicas") == 2)
        expect({pod["spec"]["nodeName"] for pod in pods} & {"w-1", "w-2"}, f"no worker runs one: {pods}")


def today_add_on(scenario):
    """Kubernetes 1.37 gets its DNS the same way."""
    add_on(scenario, **TODAY)


ALL = {"add-on": add_on, "today-add-on": today_add_on, "upgrade": upgrade, "upgrade-1.36": upgrade_1_36, "os-version": os_version}
