"""A cluster on machines, from nothing but an out tree: its sealed configs and its tarballs."""

import json
import os
import shutil
import subprocess
import time

import yaml

import machine
from programs import Failed, spawn, until, write

HERE = os.path.dirname(os.path.abspath(__file__))


class Played:
    """`folder` is removed with the cluster; `address`: this machine's on the nodes' network, with the prefix length, as
    `further` ones have it; `program`: kubectl."""

    shown = [["get", "nodes", "-o", "wide"], ["get", "pods", "-A", "-o", "wide"], ["get", "events", "-A"]]

    def __init__(self, name, address, folder, program=None, further=()):
        self.folder, self.program = folder, program
        self.times = {}
        self.forwards = []
        self.machines = {}
        self.switch = machine.Switch(name, address, *further)

    def place(self, out):
        """The tree of which the machines are made."""
        self.out, self.kubeconfig = out, f"{out}/sealed/admin.kubeconfig"

    def make_machines(self):
        self.tools = f"{self.folder}/tools"
        machine.tools(self.tools)
        for node in sorted(os.listdir(f"{self.out}/nodes")):
            self.add(node)
        self.install()

    def balance(self, endpoint, port):
        """An endpoint that is no node's address is the user's load balancer's: this one's."""
        masters = [self.address(node) for node in self.machines if "kube-apiserver" in self.config(node)["rancher"]["services"]]
        if endpoint not in masters and endpoint not in self.machines:
            self.load_balancer(endpoint, port, masters)

    def add(self, node):
        self.machines[node] = machine.Machine(node, self.switch, f"{self.folder}/machines", self.tools, self.cards(node))

    def config(self, node):
        with open(f"{self.out}/nodes/{node}/cloud-config.yml") as file:
            return yaml.safe_load(file)

    def cards(self, node):
        """The network cards that a node's config speaks of; the first is the node's own where none has an address."""
        cards = []
        interfaces = self.config(node)["rancher"]["network"]["interfaces"]
        for key, settings in interfaces.items():
            bridge = "br1" if settings.get("dhcp") and (cards or self.is_static(node)) else "br0"
            cards.append(("eth0", key[4:], bridge) if key.startswith("mac=") else (key.replace("*", "0"), None, bridge))
        return cards

    def is_static(self, node):
        return any("address" in one for one in self.config(node)["rancher"]["network"]["interfaces"].values())

    def has_containerd(self):
        """Whether pods run in the cluster's own containerd, not in user Docker."""
        return any("containerd" in self.config(node)["rancher"]["services"] for node in self.machines)

    def images(self):
        """The tarballs that are put on each machine: engine → paths."""
        folder = f"{self.out}/images"
        names = sorted(name for name in os.listdir(folder) if name.endswith(".tar")) if os.path.isdir(folder) else []
        engines = ["system-docker", "containerd" if self.has_containerd() else "docker"]
        return {engine: [f"{folder}/{name}" for name in names if name.startswith(f"{engine}-")] for engine in engines}

    def install(self, nodes=None):
        for node in nodes or self.machines:
            self.machines[node].install(f"{self.out}/sealed/{node}/cloud-config.yml", self.images())

    def power_on(self, *nodes):
        for node in nodes or self.machines:
            self.machines[node].power_on()

    def power_off(self, *nodes):
        for node in nodes or self.machines:
            self.machines[node].power_off()

    def outside(self):
        """How a program is run on the nodes' network, and with its name server."""
        write(f"{self.folder}/resolv.conf", f"nameserver {self.switch.own.ip}\n")
        script = f'mount --bind {self.folder}/resolv.conf /etc/resolv.conf; exec "$@"'
        return ["nsenter", f"--net=/run/netns/{self.switch.name}", "unshare", "--mount", "sh", "-c", script, "outside"]

    def kubectl(self, *words, check=True, timeout=30, input=None):
        done = subprocess.run(
            [*self.outside(), self.kubectl_path(), *self.access(), *words],
            capture_output=True,
            text=True,
            timeout=timeout,
            input=input,
        )
        if check and done.returncode:
            raise Failed(f"kubectl {' '.join(words)}: {done.stderr.strip()[-500:]}")
        return done.stdout if check else done

    def kubectl_path(self):
        return self.program

    def access(self):
        return ["--kubeconfig", self.kubeconfig]

    def get(self, *words):
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def ready_nodes(self):
        nodes = self.get("nodes")["items"]

        def is_ready(node):
            return any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"]["conditions"])

        return sorted(node["metadata"]["name"] for node in nodes if is_ready(node))

    def wait_api(self, seconds=120):
        """Until it is ready, and knows what the admin may do: at a first boot, the add-ons bring the binding."""
        until("the API is ready", seconds, lambda: self.kubectl("get", "--raw", "/readyz", timeout=15) == "ok")
        until("the admin may do everything", seconds, lambda: self.kubectl("auth", "can-i", "*", "*", timeout=15).strip() == "yes")

    def wait_ready(self, nodes=None, seconds=180):
        wanted = sorted(nodes or self.machines)
        until(f"{', '.join(wanted)} are Ready", seconds, lambda: set(wanted) <= set(self.ready_nodes()))

    def address(self, node):
        interfaces = self.config(node)["rancher"]["network"]["interfaces"]
        known = [one["address"] for one in interfaces.values() if "address" in one]
        if known:
            return known[0].split("/")[0]
        one = self.machines[node]
        shown = one.run("ip", "-j", "-4", "address", "show", one.cards[0][0]).stdout
        if "local" not in shown:
            raise Failed(f"{node} has no address")
        return json.loads(shown)[0]["addr_info"][0]["local"]

    def load_balancer(self, address, ports, backends):
        """What a profile's VIP stands for: forwards TCP to whichever backend answers."""
        self.switch.ip("address", "add", f"{address}/32", "dev", "br0")
        self.serve("balancer", "/usr/bin/python3", f"{HERE}/forward.py", address, str(ports), *backends)

    def serve(self, name, *words):
        """Starts a program on the nodes' network, until the bed is removed; its log."""
        log = f"{self.folder}/{name}.log"
        self.forwards.append(spawn(log, "nsenter", f"--net=/run/netns/{self.switch.name}", *words))
        return log

    def time(self, what, since):
        self.times[what] = time.monotonic() - since
        print(f"    {what}: {self.times[what]:.1f} s", flush=True)

    def collect_logs(self, folder):
        for name, one in self.machines.items():
            one.collect_logs(f"{folder}/{name}")
        with open(f"{folder}/kubernetes", "w") as file:
            for words in self.shown:
                try:
                    file.write(self.kubectl(*words, check=False, timeout=10).stdout + "\n")
                except (subprocess.TimeoutExpired, Failed) as error:
                    file.write(f"kubectl {' '.join(words)}: no answer: {error}\n")

    def remove(self):
        """Takes everything down without a trace."""
        for process in self.forwards:
            process.terminate()
        for one in self.machines.values():
            one.power_off()
        self.switch.remove()
        for _ in range(20):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not os.path.exists(self.folder):
                return
            time.sleep(0.5)
