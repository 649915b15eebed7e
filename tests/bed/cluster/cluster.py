"""A cluster on machines, from nothing but what `remuda gen` wrote."""

import ipaddress
import json
import os
import shutil
import subprocess
import tempfile
import time

import yaml

import machine
from common import BED, COMPONENTS, REMUDA, Failed, account, component, htpasswd, output, read, registry_config, run, spawn, until, write

HERE = os.path.dirname(os.path.abspath(__file__))


class Cluster:
    """`profile`: its text; `files`: what is beside it. The switch has the gateway's address, or the nodes' network's last one."""

    shown = [["get", "nodes", "-o", "wide"], ["get", "pods", "-A", "-o", "wide"], ["get", "events", "-A"]]

    def __init__(self, name, profile, folder=None, extra=(), preloads=True, secrets=None, files=None):
        self.name, self.extra, self.preloads, self.secrets = name, extra, preloads, secrets or {}
        self.files = files or {}
        self.times = {}
        self.forwards = []
        self.drive = None
        self.machines = {}
        network = yaml.safe_load(profile)["network"]
        nodes = ipaddress.ip_network(network["nodes"])
        self.switch = machine.Switch(name, f"{network.get('gateway', nodes.broadcast_address - 1)}/{nodes.prefixlen}")
        self.folder = folder or tempfile.mkdtemp(prefix=f"bed-{name}-")
        try:
            self.build(profile)
        except BaseException:
            self.remove()
            raise

    def build(self, profile):
        self.tools = f"{self.folder}/tools"
        machine.tools(self.tools)
        # What the pods of the tests are made of: an image that the operator preloads beside remuda's.
        machine.busybox_image(f"{self.folder}/pod.tar", "bed/pod:1", {"Cmd": ["sh"]})
        self.generate(profile)
        for node in sorted(os.listdir(f"{self.out}/nodes")):
            self.add(node)
        self.install()
        self.balance(yaml.safe_load(profile).get("api", {}))

    def balance(self, api):
        """An endpoint that is no node's address is the user's load balancer's: this one's."""
        endpoint = api.get("endpoint")
        if not endpoint:
            return
        masters = [self.address(node) for node in self.machines if "kube-apiserver" in self.config(node)["rancher"]["services"]]
        if endpoint not in masters and endpoint not in self.machines:
            self.load_balancer(endpoint, api.get("port", 6443), masters)

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

    def remuda(self, *words, **options):
        return run(REMUDA, *words, cwd=self.folder, **options)

    def generate(self, profile):
        """What an operator does: write the profile, seed once, gen. Gives the nodes that change."""
        write(f"{self.folder}/cluster.yaml", profile)
        for name, text in self.files.items():
            write(f"{self.folder}/{name}", text)
        if not os.path.exists(f"{self.folder}/remuda.seed"):
            self.remuda("seed", "new")
            for secret, value in self.secrets.items():
                self.remuda("secret", "set", secret, "cluster.yaml", input=value)
        if "discovery:" in profile and not os.path.exists(f"{self.folder}/cluster.lock"):
            self.serve_discovery()
            self.new_token()
        changed = []
        if os.path.isdir(f"{self.folder}/out"):
            text = output(REMUDA, "gen", "cluster.yaml", "--diff", "--format", "json", cwd=self.folder)
            changed = json.loads(text)["changed_nodes"]
        said = self.remuda("gen", "cluster.yaml", "--components", COMPONENTS, *self.extra).stdout
        self.out = f"{self.folder}/out/{json.loads(read(self.manifest()))['cluster']}"
        self.kubeconfig = f"{self.out}/sealed/admin.kubeconfig"
        self.said = said
        return changed

    def manifest(self):
        (name,) = os.listdir(f"{self.folder}/out")
        return f"{self.folder}/out/{name}/manifest.json"

    def images(self):
        folder = f"{self.out}/images"
        names = [name for name in os.listdir(folder) if name.endswith(".tar") and not name.startswith(".")] if os.path.isdir(folder) else []
        engines = ["system-docker", "containerd" if self.has_containerd() else "docker"]
        images = {engine: [f"{folder}/{name}" for name in names if self.preloads and name.startswith(f"{engine}-")] for engine in engines}
        images[engines[1]].append(f"{self.folder}/pod.tar")
        return images

    def has_containerd(self):
        """Whether pods run in the cluster's own containerd, not in user Docker."""
        return any("containerd" in self.config(node)["rancher"]["services"] for node in self.machines)

    def install(self, nodes=None):
        for node in nodes or self.machines:
            self.machines[node].install(f"{self.out}/sealed/{node}/cloud-config.yml", self.images())

    def power_on(self, *nodes):
        for node in nodes or self.machines:
            self.machines[node].power_on()

    def power_off(self, *nodes):
        for node in nodes or self.machines:
            self.machines[node].power_off()

    # --- from outside, as an operator sees it

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

    def status(self):
        """`remuda status`: its exit status, and what it says."""
        return self.asks("status", "cluster.yaml")

    def plan_live(self):
        """`remuda plan --live`: its exit status, and what it says."""
        return self.asks("plan", "cluster.yaml", "--live", "--kubeconfig", self.kubeconfig)

    def asks(self, *words):
        """What remuda says where it finds kubectl and the API: its exit status, and its output."""
        path = f"PATH={os.path.dirname(self.kubectl_path())}:{os.environ['PATH']}"
        done = run(*self.outside(), "env", path, REMUDA, *words, cwd=self.folder, check=False)
        return done.returncode, done.stdout

    def commit(self):
        """What of the tree is for git, into a repository of the folder's."""
        git = ["git", "-C", self.folder, "-c", "user.name=bed", "-c", "user.email=bed@example.com"]
        run(*git, "init", "-q")
        out = os.path.relpath(self.out, self.folder)
        run(*git, "add", "-A", "cluster.yaml", f"{out}/nodes", f"{out}/manifest.json", f"{out}/graph.svg")
        run(*git, "commit", "-qm", "a tree")

    def access(self):
        return ["--kubeconfig", self.kubeconfig]

    def kubectl_path(self):
        return f"{self.component('kube-apiserver', 'kubernetes')}/kubectl"

    def component(self, name, folder=None):
        """The folder of a component in the version that this cluster runs."""
        version = json.loads(read(self.manifest()))["images"][name].rpartition(":")[2]
        return component(f"{folder or name}-{version}")

    def get(self, *words):
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def ready_nodes(self):
        nodes = self.get("nodes")["items"]

        def is_ready(node):
            return any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"]["conditions"])

        return sorted(node["metadata"]["name"] for node in nodes if is_ready(node))

    def wait_api(self, seconds=120):
        """Until it is ready, and knows what the admin may do: at a first boot, the add-ons bring the binding."""
        until("the API is ready", seconds, lambda: self.kubectl("get", "--raw", "/readyz", timeout=5) == "ok")
        until("the admin may do everything", seconds, lambda: self.kubectl("auth", "can-i", "*", "*", timeout=5).strip() == "yes")

    def wait_ready(self, nodes=None, seconds=180):
        wanted = sorted(nodes or self.machines)
        until(f"{', '.join(wanted)} are Ready", seconds, lambda: set(wanted) <= set(self.ready_nodes()))

    def etcdctl(self, node, *words):
        """etcd's own client, with the operator's certificate."""
        sealed = f"{self.out}/sealed/etcd"
        host = self.address(node) if self.is_static(node) else f"{node}.bed.test"
        keys = [f"--cacert={sealed}/ca.crt", f"--cert={sealed}/admin.crt", f"--key={sealed}/admin.key"]
        ask = ["env", "ETCDCTL_API=3", f"{self.component('etcd')}/etcdctl", f"--endpoints=https://{host}:2379", *keys]
        return run(*self.outside(), *ask, *words, check=False)

    def etcd_health(self, node):
        return self.etcdctl(node, "--command-timeout=3s", "endpoint", "health").returncode == 0

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

    def give(self, **addresses):
        """What the nodes get by DHCP when they ask next; `_` in a name stands for a dash."""
        macs = {node.replace("_", "-"): address for node, address in addresses.items()}
        self.switch.give({self.machines[node].cards[0][1]: (node, address) for node, address in macs.items()})

    def apply(self, *objects):
        self.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def pods(self, label):
        """Node → (pod's name, its address), of those that are ready."""

        def is_ready(pod):
            return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))

        pods = [
            pod for pod in self.get("pods", "-l", f"app={label}")["items"] if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]
        ]
        return {pod["spec"]["nodeName"]: (pod["metadata"]["name"], pod["status"]["podIP"]) for pod in pods if "podIP" in pod["status"]}

    def restarts(self, label, node):
        """How often the containers of a node's pods were started again: what the API says of a pod's state may be older."""
        pods = [pod for pod in self.get("pods", "-l", f"app={label}")["items"] if pod["spec"].get("nodeName") == node]
        return sum(one["restartCount"] for pod in pods for one in pod["status"].get("containerStatuses", []))

    def execute(self, pod, *words, timeout=60):
        return self.kubectl("exec", pod, "--", *words, timeout=timeout)

    def subnets(self):
        """Node → its bridge's address: the node's subnet of the pod network."""
        bridge = "cni0" if self.has_containerd() else "docker0"

        def show(one):
            return one.run("ip", "-j", "-4", "address", "show", bridge).stdout

        return {name: json.loads(show(one))[0]["addr_info"][0]["local"] for name, one in self.machines.items()}

    def load_balancer(self, address, ports, backends):
        """What a profile's VIP stands for: forwards TCP to whichever backend answers."""
        self.switch.ip("address", "add", f"{address}/32", "dev", "br0")
        self.serve("balancer", "/usr/bin/python3", f"{HERE}/forward.py", address, str(ports), *backends)

    def serve(self, name, *words):
        """Starts a program on the nodes' network, until the bed is removed; its log."""
        log = f"{self.folder}/{name}.log"
        self.forwards.append(spawn(log, "nsenter", f"--net=/run/netns/{self.switch.name}", *words))
        return log

    def serve_images(self, port, cuts):
        """An HTTP server for the image tarballs that dies in the middle of its first answers."""
        return self.serve("server", "/usr/bin/python3", f"{BED}/fickle.py", f"{self.out}/images", str(port), str(cuts))

    def serve_registry(self, port, user, password):
        """A registry that wants a login, filled by `remuda image push`."""
        folder, host = f"{self.folder}/registry", f"{self.switch.address}:{port}"
        config = registry_config(folder, host, auth=htpasswd(folder, user, password))
        write(f"{folder}/docker/config.json", json.dumps({"auths": {host: account(user, password)}}))
        self.serve("registry", "docker-registry", "serve", config)
        ask = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{host}/v2/"]
        until("the registry wants a login", 20, lambda: self.switch.run(*ask, check=False).stdout == "401")
        self.switch.run("env", f"DOCKER_CONFIG={folder}/docker", REMUDA, "image", "push", "cluster.yaml", cwd=self.folder)

    def attach_drive(self):
        """A file system labelled as a config drive, with the image tarballs on it. Every machine of the bed sees it."""
        folder, image = f"{self.folder}/drive", f"{self.folder}/drive.img"
        os.makedirs(folder)
        shutil.copytree(f"{self.out}/images", f"{folder}/images")
        size = sum(os.path.getsize(f"{folder}/images/{name}") for name in os.listdir(f"{folder}/images"))
        with open(image, "w") as file:
            file.truncate((size // (1 << 20) + 1) * (5 << 18) + (64 << 20))
        run("mkfs.ext4", "-q", "-L", "config-2", "-d", folder, image)
        self.drive = run("losetup", "--find", "--show", "--read-only", image).stdout.split()[-1]

    def serve_mirror(self, port):
        """A registry with an image for pods and one for system-docker that are nowhere else: bed/mirrored:1 and :2."""
        config = registry_config(f"{self.folder}/registry", f":{port}")
        log = self.serve("registry", "docker-registry", "serve", config)
        for tag in ("1", "2"):
            copy = [
                "skopeo",
                "copy",
                "--dest-tls-verify=false",
                f"docker-archive:{self.folder}/pod.tar",
                f"docker://127.0.0.1:{port}/bed/mirrored:{tag}",
            ]
            until("the registry takes an image", 30, lambda: self.switch.run(*copy))
        return log

    def serve_discovery(self):
        """A discovery service, on the switch's address and port 8087."""
        self.serve("discovery", f"{BED}/discovery/serve", f"{self.folder}/discovery", str(self.switch.own.ip))
        url = f"http://{self.switch.own.ip}:8087/new?size=1"
        until("the discovery service answers", 30, lambda: self.switch.run("/usr/bin/curl", "-sf", url))

    def new_token(self):
        return run("nsenter", f"--net=/run/netns/{self.switch.name}", REMUDA, "discovery", "new", "cluster.yaml", cwd=self.folder)

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
        if self.drive:
            run("losetup", "--detach", self.drive)
        for _ in range(20):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not os.path.exists(self.folder):
                return
            time.sleep(0.5)
