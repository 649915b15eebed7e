"""A cluster on machines, from nothing but what `remuda gen` wrote."""

import ipaddress
import json
import os
import shutil
import tempfile

import yaml

import machine
from common import BED, COMPONENTS, REMUDA, account, component, htpasswd, output, read, registry_config, run, until, write
from played import Played


def families(value):
    """A value of the profile's for one family or two, as a list."""
    return value if isinstance(value, list) else [value]


class Cluster(Played):
    """`profile`: its text; `files`: what is beside it. The switch has the gateway's address, or the nodes' network's last one."""

    def __init__(self, name, profile, folder=None, extra=(), preloads=True, secrets=None, files=None):
        network = yaml.safe_load(profile)["network"]
        nodes, *second = [ipaddress.ip_network(one) for one in families(network["nodes"])]
        gateway, *further = families(network.get("gateway", str(nodes.broadcast_address - 1)))
        further = [f"{one}/{of.prefixlen}" for one, of in zip(further, second, strict=True)]
        super().__init__(f"bed-{name}", f"{gateway}/{nodes.prefixlen}", folder or tempfile.mkdtemp(prefix=f"bed-{name}-"), further=further)
        self.extra, self.preloads, self.secrets = extra, preloads, secrets or {}
        self.files = files or {}
        self.drive = None
        try:
            self.build(profile)
        except BaseException:
            self.remove()
            raise

    def build(self, profile):
        # What the pods of the tests are made of: an image that the operator preloads beside remuda's.
        machine.busybox_image(f"{self.folder}/pod.tar", "bed/pod:1", {"Cmd": ["sh"]})
        self.generate(profile)
        self.make_machines()
        api = yaml.safe_load(profile).get("api", {})
        if "endpoint" in api:
            self.balance(api["endpoint"], api.get("port", 6443))

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
        self.place(os.path.dirname(self.manifest()))
        self.said = said
        return changed

    def manifest(self):
        (name,) = os.listdir(f"{self.folder}/out")
        return f"{self.folder}/out/{name}/manifest.json"

    def images(self):
        images = super().images()
        if not self.preloads:
            images = {engine: [] for engine in images}
        images[list(images)[1]].append(f"{self.folder}/pod.tar")
        return images

    # --- from outside, as an operator sees it

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

    def kubectl_path(self):
        return f"{self.component('kube-apiserver', 'kubernetes')}/kubectl"

    def component(self, name, folder=None):
        """The folder of a component in the version that this cluster runs."""
        version = json.loads(read(self.manifest()))["images"][name].rpartition(":")[2]
        return component(f"{folder or name}-{version}")

    def etcdctl(self, node, *words):
        """etcd's own client, with the operator's certificate."""
        sealed = f"{self.out}/sealed/etcd"
        host = self.address(node) if self.is_static(node) else f"{node}.bed.test"
        keys = [f"--cacert={sealed}/ca.crt", f"--cert={sealed}/admin.crt", f"--key={sealed}/admin.key"]
        ask = ["env", "ETCDCTL_API=3", f"{self.component('etcd')}/etcdctl", f"--endpoints=https://{host}:2379", *keys]
        return run(*self.outside(), *ask, *words, check=False)

    def etcd_health(self, node):
        return self.etcdctl(node, "--command-timeout=3s", "endpoint", "health").returncode == 0

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

    def serve_mirror(self, port, images, certificate=None):
        """A registry with these images, a name each and its archive in the cluster's folder. With `certificate`, files of
        that name in the folder, it speaks TLS."""
        tls = certificate and {"certificate": f"{self.folder}/{certificate}.crt", "key": f"{self.folder}/{certificate}.key"}
        config = registry_config(f"{self.folder}/registry-{port}", f":{port}", tls)
        log = self.serve(f"registry-{port}", "docker-registry", "serve", config)
        for name, archive in images.items():
            to = ["--dest-tls-verify=false", f"docker-archive:{self.folder}/{archive}", f"docker://127.0.0.1:{port}/{name}"]
            until("the registry takes an image", 30, lambda to=to: self.switch.run("skopeo", "copy", *to))
        return log

    def serve_discovery(self):
        """A discovery service, on the switch's address and port 8087."""
        self.serve("discovery", f"{BED}/discovery/serve", f"{self.folder}/discovery", str(self.switch.own.ip))
        url = f"http://{self.switch.own.ip}:8087/new?size=1"
        until("the discovery service answers", 30, lambda: self.switch.run("/usr/bin/curl", "-sf", url))

    def new_token(self):
        return run("nsenter", f"--net=/run/netns/{self.switch.name}", REMUDA, "discovery", "new", "cluster.yaml", cwd=self.folder)

    def remove(self):
        """Takes everything down without a trace."""
        super().remove()
        if self.drive:
            run("losetup", "--detach", self.drive)
