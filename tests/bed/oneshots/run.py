#!/usr/bin/python3
"""Each script of the release lines that waits for something, on real parts and under each failure: what it waits for
isn't there for a minute; answers wrongly; the network comes late; the script is killed while it waits and while it
works; and it is run again. It must say what it waits for, go on, and end right.

    tests/bed/oneshots/run.py [--wait SECONDS] [SCRIPT…]

Wants root, Debian's etcd, etcd-discovery and busybox-static, openssl, and $COMPONENTS as `scripts/components --tested`
fills it.
"""

import base64
import glob
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import tomllib

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from common import BED, ROOT, Failed, component, expect, output, read, run, sha256, spawn, until, write

FAR, OWN, LATER = "10.9.9.1", "10.9.9.2", "10.9.9.3"
# Those on the OS's base image find no `timeout` there that takes its seconds as busybox's of today does.
AT_ONCE = 5


class Script:
    """A running script, as the node's shell runs it; all that its runs say is in one log."""

    def __init__(self, node, name, *words, **variables):
        self.node, self.name, self.variables = node, name, variables
        (self.path,) = glob.glob(f"{ROOT}/templates/*/files/{name}")
        self.words, self.log = words, f"{node.work}/{name}.log"
        self.process = None
        write(self.log, "")

    def start(self):
        environment = {**os.environ, "PATH": f"{self.node.work}/bin:{self.node.path}", **self.variables}
        self.process = spawn(self.log, "busybox", "sh", self.path, *self.words, env=environment, start_new_session=True)
        return self

    def kill(self):
        """With all that it started, as the engine does it."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def says(self, text, seconds=30):
        def is_said():
            said = read(self.log)
            expect(text in said, said[-300:])
            return True

        until(f"{self.name} says {text!r}", seconds, is_said)

    def says_anew(self, text, seconds=30):
        write(self.log, "")
        self.says(text, seconds)

    def is_on(self):
        return self.process.poll() is None

    def ends(self, seconds=40):
        def has_ended():
            expect(not self.is_on(), read(self.log)[-300:])
            return True

        until(f"{self.name} ends", seconds, has_ended)
        expect(self.process.returncode == 0, f"{self.name} ended with {self.process.returncode}: {read(self.log)[-300:]}")

    def again(self):
        self.start().ends()


class Portal(http.server.BaseHTTPRequestHandler):
    """Answers everything with a page of its own, as what stands between a node and a network does."""

    def page(self):
        text = b"<html>Please log in</html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = page

    def log_message(self, *_):
        pass


class Node:
    """This process's own namespaces: a node with one card, eth0. At the other end of its cable, `far` is another machine."""

    def __init__(self, wait):
        self.wait, self.passed, self.programs, self.path = wait, [], [], os.environ["PATH"]
        run("mount", "--make-rprivate", "/")
        for folder in ("/run", "/opt", "/mnt", "/srv"):
            run("mount", "-t", "tmpfs", "tmpfs", folder)
        for path in ("/var/lib/rancher", "/var/lib/etcd"):
            os.makedirs(path, exist_ok=True)
            run("mount", "-t", "tmpfs", "tmpfs", path)
        self.work = "/srv/work"
        os.makedirs(f"{self.work}/bin")
        os.symlink(shutil.which("busybox"), f"{self.work}/bin/wget")
        # system-docker: notes what it is asked, and refuses once what $work/refuse says.
        write(f"{self.work}/bin/system-docker", f'#!/bin/sh\necho "$@" >>{self.work}/asked\n! rm {self.work}/refuse 2>/dev/null\n', 0o755)
        self.far = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self.programs.append(self.far)
        run("ip", "link", "set", "lo", "up")
        until("far's own network", 30, lambda: os.readlink(f"/proc/{self.far.pid}/ns/net") != os.readlink("/proc/self/ns/net"))
        run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "far", "netns", str(self.far.pid))
        self.at_far("ip", "link", "set", "lo", "up")
        self.at_far("ip", "address", "add", f"{FAR}/24", "dev", "far")
        self.at_far("ip", "link", "set", "far", "up")

    def at_far(self, *words):
        return output("nsenter", f"--net=/proc/{self.far.pid}/ns/net", *words)

    def connect(self, address=OWN):
        run("ip", "link", "set", "eth0", "up")
        run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        run("ip", "route", "add", "default", "via", FAR)

    def program(self, *words, far=False, **variables):
        log = f"{self.work}/{os.path.basename(words[0])}.program"
        enter = ["nsenter", f"--net=/proc/{self.far.pid}/ns/net"] if far else []
        process = spawn(log, *enter, *words, env={**os.environ, **variables}, start_new_session=True)
        self.programs.append(process)
        return process

    def portal(self, port, far=False):
        """Until it is killed."""
        return self.program(sys.executable, __file__, "portal", str(port), far=far)

    def end(self, process):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def ok(self, failure):
        self.passed.append(failure)

    def absent(self, script, text):
        """Whatever it waits for isn't there: it waits, says so, and goes on saying so."""
        script.says(text)
        time.sleep(self.wait)
        script.says_anew(text)
        expect(script.is_on(), "it gave up")
        self.ok("absent")

    def killed(self, script, text):
        script.kill()
        write(script.log, "")
        script.start().says(text)
        self.ok("killed")

    def etcd(self):
        """Of line kubernetes-2015, on this node."""
        self.path = f"{component('etcd-2.')}:{os.environ['PATH']}"
        return self.program(
            f"{component('etcd-2.')}/etcd",
            "--data-dir",
            f"{self.work}/etcd",
            "--listen-client-urls",
            "http://127.0.0.1:2379,http://127.0.0.1:4001",
            "--advertise-client-urls",
            "http://127.0.0.1:2379",
        )

    def key(self, key):
        return json.loads(output("curl", "-sf", f"http://127.0.0.1:2379/v2/keys{key}"))["node"]

    def discovery(self):
        service = self.program(f"{BED}/discovery/serve", f"{self.work}/discovery", FAR, far=True)
        until("the discovery service", 30, lambda: self.at_far("curl", "-sf", f"http://{FAR}:8087/new?size=1"))
        return service

    def token(self, size=1):
        return self.at_far("curl", "-sf", f"http://{FAR}:8087/new?size={size}").strip()


# --- line kubernetes-2015 and what both lines have


def node_address(node):
    known = "/run/kubernetes/address.env"
    script = Script(node, "node-address.sh", NODE_INTERFACE="eth0").start()
    node.absent(script, "waiting for an address on eth0")
    run("ip", "link", "set", "eth0", "up")
    run("ip", "address", "add", "169.254.7.7/16", "dev", "eth0", "scope", "link")
    script.says_anew("waiting for an address on eth0")
    expect(not os.path.exists(known), "an address that reaches nobody was taken")
    node.ok("wrong")
    node.killed(script, "waiting for an address on eth0")
    route = Script(node, "node-address.sh").start()
    route.says("waiting for an address on the interface with the default route")
    node.connect()
    script.ends()
    route.ends()
    expect(read(known) == f"NODE_ADDRESS={OWN}\n", read(known))
    node.ok("late")
    script.again()
    mac = read("/sys/class/net/eth0/address").strip()
    Script(node, "node-address.sh", NODE_MAC=mac).again()
    expect(read(known) == f"NODE_ADDRESS={OWN}\n", read(known))
    node.ok("again")


def with_learned(node):
    script = Script(node, "with-learned.sh", "echo", "at", "$NODE_ADDRESS:1", "of", "http://$API_ENDPOINT").start()
    node.absent(script, "waiting for NODE_ADDRESS in /run/kubernetes/address.env")
    write("/run/kubernetes/address.env", "NODE_ADDRESS=\n")
    script.says_anew("waiting for NODE_ADDRESS")
    node.ok("wrong")
    node.killed(script, "waiting for NODE_ADDRESS")
    write("/run/kubernetes/address.env", f"NODE_ADDRESS={OWN}\n")
    script.says("waiting for API_ENDPOINT in /run/kubernetes/api.env")
    write("/run/kubernetes/api.env", f"API_ENDPOINT={FAR}:8080\n")
    script.ends()
    script.says(f"at {OWN}:1 of http://{FAR}:8080")
    node.ok("late")
    write(script.log, "")
    script.again()
    expect(read(script.log) == f"at {OWN}:1 of http://{FAR}:8080\n", read(script.log))
    node.ok("again")


def flannel_subnet(node):
    hook, env = "/run/kubernetes/docker", "/run/flannel/subnet.env"
    script = Script(node, "flannel-subnet.sh").start()
    node.absent(script, "waiting for flannel's lease")
    for text in (
        "",
        "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=\n",
        "FLANNEL_SUBNET=10.244\n",
        "FLANNEL_SUBNET=(;\n",
        "FLANNEL_SUBNET=$(reboot)\n",
    ):
        write(env, text)
        script.says_anew("waiting for flannel's lease")
        expect(script.is_on() and not os.path.exists(hook), f"{text!r} was taken")
    node.ok("wrong")
    node.killed(script, "waiting for flannel's lease")
    write(env, "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.130.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n")
    script.ends()
    expect(read(hook) == "DOCKER_OPTS=--bip=10.244.130.1/24\n", read(hook))
    node.ok("late")
    script.again()
    expect(read(hook) == "DOCKER_OPTS=--bip=10.244.130.1/24\n", read(hook))
    node.ok("again")


def pod_subnet(node):
    env, config = "/run/flannel/subnet.env", "/run/kubernetes/cni/10-flannel.conflist"
    write("/opt/kubernetes/cni.conflist", '{"subnet": "@SUBNET@"}')
    script = Script(node, "pod-subnet.sh").start()
    node.absent(script, "waiting for flannel's lease")
    for text in ("", "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=\n", "FLANNEL_SUBNET=10.244\n", "FLANNEL_SUBNET=$(reboot)\n"):
        write(env, text)
        script.says_anew("waiting for flannel's lease")
        expect(script.is_on() and not os.path.exists(config), f"{text!r} was taken")
    node.ok("wrong")
    node.killed(script, "waiting for flannel's lease")
    write(env, "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.130.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n")
    script.ends()
    expect(read(config) == '{"subnet": "10.244.130.0/24"}', read(config))
    node.ok("late")
    for lease, network in (
        ("10.244.130.1/24", "10.244.130.0/24"),
        ("10.244.131.65/26", "10.244.131.64/26"),
        ("10.251.64.1/18", "10.251.64.0/18"),
    ):
        write(env, f"FLANNEL_SUBNET={lease}\n")
        script.again()
        expect(network in read(config), read(config))
    node.ok("again")


def api_vip(node):
    write("/opt/kubernetes/keepalived.conf", "interface DEVICE\ndev DEVICE\n")
    write(
        f"{node.work}/bin/keepalived",
        "#!/bin/sh\ncat /run/keepalived.conf; ls /run/*.pid 2>/dev/null; echo 1 >/run/keepalived.pid; echo 2 >/run/vrrp.pid\n",
        0o755,
    )
    script = Script(node, "api-vip.sh", ADDRESS=OWN).start()
    node.absent(script, f"waiting for {OWN}")
    node.connect(LATER)
    script.says_anew(f"waiting for {OWN}")
    expect(script.is_on(), "another address was taken")
    node.ok("wrong")
    node.killed(script, f"waiting for {OWN}")
    run("ip", "address", "add", f"{OWN}/24", "dev", "eth0")
    script.ends()
    expect("interface eth0\ndev eth0\n" in read(script.log), read(script.log))
    node.ok("late")
    script.again()
    expect(".pid" not in read(script.log), "it finds itself running already")
    node.ok("again")


def containerd(node):
    """Nothing that it waits for: it writes what containerd reads, anew at each start."""
    registries = "/run/kubernetes/registries"
    write("/opt/kubernetes/registry-login", "images.example.com:5000\nnode\np w'\"$1\n")
    first = {"MIRROR": "http://10.0.0.2:5000", "INSECURE": "10.0.0.3:5000 images.example.com:5000"}
    first["MIRRORS"] = "registry.k8s.io=http://10.0.0.2:5000 quay.io=https://images.example.com:5000/v2/quay"
    Script(node, "containerd.sh", "echo", "started", **first).again()
    names = ["10.0.0.3:5000", "docker.io", "images.example.com:5000", "quay.io", "registry.k8s.io"]
    expect(sorted(os.listdir(registries)) == names, str(os.listdir(registries)))
    plain = ["https://10.0.0.3:5000", "http://10.0.0.3:5000"]
    hosts = {name: tomllib.loads(read(f"{registries}/{name}/hosts.toml")) for name in os.listdir(registries)}
    expect(list(hosts["10.0.0.3:5000"]["host"]) == plain, str(hosts))
    expect(all(one["skip_verify"] and "header" not in one for one in hosts["10.0.0.3:5000"]["host"].values()), str(hosts))
    expect(list(hosts["docker.io"]["host"]) == ["http://10.0.0.2:5000"] and hosts["docker.io"]["server"].startswith("https://"), str(hosts))
    expect(list(hosts["registry.k8s.io"]["host"]) == ["http://10.0.0.2:5000", "https://registry.k8s.io"], str(hosts))
    mirror, own = hosts["quay.io"]["host"].values()
    expect(mirror["override_path"] and "header" in mirror and "override_path" not in own and "header" not in own, str(hosts))
    account = base64.b64encode(b"node:p w'\"$1").decode()
    for one in hosts["images.example.com:5000"]["host"].values():
        expect(one["header"] == {"authorization": f"Basic {account}"}, "another account")
    expect(os.stat(f"{registries}/images.example.com:5000/hosts.toml").st_mode & 0o777 == 0o600, "everybody reads the password")
    os.remove("/opt/kubernetes/registry-login")
    Script(node, "containerd.sh", "echo", "started").again()
    expect(os.listdir(registries) == [] and os.path.isdir("/run/kubernetes/cni"), "what was there stays")

    def propagation():
        return output("findmnt", "--noheadings", "--output", "PROPAGATION", "/").strip()

    expect(propagation() == "private", f"without being told to, it makes the root {propagation()}")
    Script(node, "containerd.sh", "echo", "started", SHARES="mounts").again()
    expect(propagation() == "shared", f"the root is {propagation()}")
    node.ok("again")


def containerd_images(node):
    folder = "/var/lib/rancher/preload/containerd"
    component_path = component("containerd-2.")
    node.path = f"{component_path}:{os.environ['PATH']}"
    ctr = [f"{component_path}/ctr", "--address", "/run/kubernetes/containerd/containerd.sock", "--namespace", "k8s.io"]

    def start():
        root = f'root = "{node.work}/containerd"\nstate = "/run/kubernetes/containerd"\n'
        socket = '[grpc]\n  address = "/run/kubernetes/containerd/containerd.sock"\n'
        write(f"{node.work}/containerd.toml", f"version = 3\n{root}{socket}")
        return node.program(f"{component_path}/containerd", "--config", f"{node.work}/containerd.toml")

    def pinned(name):
        return "io.cri-containerd.pinned=pinned" in output(*ctr, "images", "list", f"name==docker.io/bed/{name}:1")

    os.makedirs(folder)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as layer:
        entry = tarfile.TarInfo("file")
        entry.size = 3 << 20
        layer.addfile(entry, io.BytesIO(os.urandom(entry.size)))
    archive = archive.getvalue()
    for name in ("a", "b"):
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(archive).hexdigest()}"]},
        }
        manifest = [{"Config": "config.json", "RepoTags": [f"bed/{name}:1"], "Layers": ["layer.tar"]}]
        files = {"config.json": json.dumps(config).encode(), "layer.tar": archive, "manifest.json": json.dumps(manifest).encode()}
        with tarfile.open(f"{node.work}/{name}.tar", "w") as tar:
            for path, content in files.items():
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    with open(f"{node.work}/a.tar", "rb") as file:
        whole = file.read()
    with open(f"{folder}/a.tar", "wb") as file:
        file.write(whole[: 1 << 20])
    script = Script(node, "containerd-images.sh").start()
    node.absent(script, "waiting for containerd")
    node.killed(script, "waiting for containerd")
    start()
    script.says("trying again in 5 seconds")
    expect(not os.path.exists(f"{folder}/a.tar.done"), "half a tarball was taken")
    node.ok("wrong")
    with open(f"{folder}/a.tar", "wb") as file:
        file.write(whole)
    # In the middle of its work.
    for pause in (0.05, 0.2):
        script.kill()
        script.start()
        time.sleep(pause)
    script.ends()
    expect(pinned("a") and os.path.exists(f"{folder}/a.tar.done"), "not pinned")
    with open(f"{node.work}/b.tar", "rb") as file, gzip.open(f"{folder}/b.tar.gz", "wb") as packed:
        packed.write(file.read())
    write(script.log, "")
    script.again()
    expect(pinned("b") and "loading a.tar" not in read(script.log), "loaded again")
    # Of remuda's own that are loaded, the last two stay, of each engine; what isn't loaded, or is somebody's, stays too.
    for engine in ("system-docker", "containerd"):
        names = [f"{engine}-amd64-{letter * 12}.tar" for letter in "abcd"]
        of_engine = f"/var/lib/rancher/preload/{engine}"
        for age, name in enumerate([*names[:3], f"{names[3]}.gz", "theirs.tar"]):
            write(f"{of_engine}/{name}", "")
            if name != names[0] or engine == "containerd":
                write(f"{of_engine}/{name}.done", "")
                os.utime(f"{of_engine}/{name}.done", (age, age))
    script.again()
    left = {
        engine: {name for name in os.listdir(f"/var/lib/rancher/preload/{engine}") if "done" not in name}
        for engine in ("system-docker", "containerd")
    }
    kept = {"cccccccccccc.tar", "dddddddddddd.tar.gz"}
    expect(left["containerd"] == {*(f"containerd-amd64-{name}" for name in kept), "theirs.tar", "a.tar", "b.tar.gz"}, str(left))
    wanted = {*(f"system-docker-amd64-{name}" for name in (*kept, "aaaaaaaaaaaa.tar")), "theirs.tar"}
    expect(left["system-docker"] == wanted, str(left))
    script.again()
    node.ok("again")


def applies(node, script, start, *pauses):
    """Through every failure of the API, and killed in the middle of its work, until it ends; `start` starts the API."""
    node.absent(script, "waiting for the API")
    portal = node.portal(6443, far=True)
    node.connect()
    script.says_anew("waiting for the API")
    node.ok("wrong")
    node.killed(script, "waiting for the API")
    node.end(portal)
    run("ip", "address", "flush", "dev", "eth0")
    start()
    run("ip", "address", "add", f"{OWN}/24", "dev", "eth0")
    for pause in pauses:
        script.kill()
        script.start()
        time.sleep(pause)
    script.ends()
    node.ok("late")


def addons(node):
    start, kubectl, _ = api_of_today(node)
    shutil.copy("/opt/kubernetes/kubelet.kubeconfig", "/opt/kubernetes/addons.kubeconfig")
    labels = {"app": "dns"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "dns", "image": "dns:1"}]}}
    dns = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "dns", "namespace": "kube-system"}}
    os.makedirs("/opt/kubernetes/addons")
    os.makedirs("/opt/kubernetes/addons-replicas")
    write("/opt/kubernetes/addons/dns.yaml", json.dumps({**dns, "spec": {"selector": {"matchLabels": labels}, "template": pod}}))
    write("/opt/kubernetes/addons-replicas/dns.yaml", json.dumps({**dns, "spec": {"replicas": 2}}))
    for name in ("one", "two"):
        add_on = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "kube-system"}, "data": {"key": "ours"}}
        write(f"/opt/kubernetes/addons/{name}.yaml", json.dumps(add_on))
    paths = [f"/opt/kubernetes/addons/{name}.yaml" for name in ("dns", "one", "two")] + ["/opt/kubernetes/addons-replicas/dns.yaml"]
    admins = "ClusterRoleBinding.v1.rbac.authorization.k8s.io/default/remuda:admins:1"
    objects = ["Deployment.v1.apps/kube-system/dns", "ConfigMap.v1./kube-system/one", "ConfigMap.v1./kube-system/two", admins]

    def has(gone=""):
        words = [word for word in paths + objects if not gone or not word.removesuffix(".yaml").endswith(f"/{gone}")]
        write("/opt/kubernetes/addons-names", "".join(f"{word}\n" for word in words))

    has()
    script = Script(node, "addons.sh").start()
    applies(node, script, start, 0.1, 0.2, 0.3)
    kubectl("--namespace=kube-system", "patch", "configmap", "one", "-p", '{"data": {"key": "theirs", "more": "theirs"}}')
    script.again()
    there = json.loads(kubectl("--namespace=kube-system", "get", "configmap", "one", "-o", "json", "--show-managed-fields"))
    expect(there["data"] == {"key": "ours", "more": "theirs"}, str(there["data"]))
    expect("remuda" in [one["manager"] for one in there["metadata"]["managedFields"]], "another manager")

    def replicas():
        return json.loads(kubectl("--namespace=kube-system", "get", "deployment", "dns", "-o", "json"))["spec"]["replicas"]

    # Whoever scales by hand keeps it so; nobody else's number is put back after a change of ours.
    expect(replicas() == 2, f"{replicas()} replicas, not the add-on's")
    kubectl("--namespace=kube-system", "scale", "deployment", "dns", "--replicas=5")
    write(script.log, "")
    script.again()
    expect("somebody else has set stay" in read(script.log) and replicas() == 5, f"{replicas()} replicas: {read(script.log)[-300:]}")
    write("/opt/kubernetes/addons-replicas/dns.yaml", json.dumps({**dns, "spec": {"replicas": 3}}))
    script.again()
    expect(replicas() == 5, f"{replicas()} replicas, not a person's")
    # What fails for another reason is tried again.
    write("/opt/kubernetes/addons-replicas/dns.yaml", json.dumps({**dns, "spec": {"replicas": "many"}}))
    script.start().says_anew("waiting for the API")
    script.kill()
    write("/opt/kubernetes/addons-replicas/dns.yaml", json.dumps({**dns, "spec": {"replicas": 3}}))

    # An add-on that the profile no longer has is removed, though its file is still on the disk; what a person made stays.
    def there():
        found = json.loads(kubectl("--namespace=kube-system", "get", "deployments,configmaps", "-o", "json"))["items"]
        return {one["metadata"]["name"] for one in found}

    kubectl("--namespace=kube-system", "create", "configmap", "theirs")
    kubectl("create", "clusterrolebinding", "remuda:admins:1", "--clusterrole=cluster-admin", "--group=remuda:admins:1")
    # With a new key, the old one's rights stay until somebody takes them.
    has(gone="remuda:admins:1")
    script.again()
    kubectl("get", "clusterrolebinding", "remuda:admins:1")
    has(gone="two")
    script.again()
    expect({"dns", "one", "theirs"} <= there() and "two" not in there(), str(there()))
    has(gone="dns")
    script.again()
    expect({"one", "theirs"} <= there() and "dns" not in there(), str(there()))
    # A node that boots with the config of before puts it back, and the next one removes it again.
    has()
    script.again()
    expect({"dns", "one", "two"} <= there(), str(there()))
    # What the profile's own manifests have now isn't removed.
    os.makedirs("/opt/kubernetes/manifests")
    write("/opt/kubernetes/manifests/names", f"{objects[1]}\n")
    has(gone="one")
    script.again()
    expect({"dns", "one", "two"} <= there(), str(there()))
    node.ok("again")


def manifests(node):
    start, kubectl, _ = api_of_today(node)
    shutil.copy("/opt/kubernetes/kubelet.kubeconfig", "/opt/kubernetes/manifests.kubeconfig")
    folder = "/opt/kubernetes/manifests"
    os.makedirs(folder)
    labels = {"app": "web"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}}
    one = {**web, "spec": {"selector": {"matchLabels": labels}, "template": pod}}
    shop = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}

    def settings(name, value, namespace="default"):
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": {"key": value}}

    def named(object):
        group, _, version = object["apiVersion"].rpartition("/")
        kind, there = object["kind"], object["metadata"]
        return f"{kind}.{version}.{group}/{there.get('namespace', 'default')}/{there['name']}\n"

    def given(fingerprint, objects, replicas=None):
        shutil.rmtree(folder)
        os.makedirs(folder)
        if objects:
            write(f"{folder}/objects.yaml", "".join(f"---\n{json.dumps(object, indent=2)}\n" for object in objects))
            write(f"{folder}/names", "".join(map(named, objects)))
        if replicas:
            write(f"{folder}/replicas.yaml", json.dumps({**web, "spec": {"replicas": replicas}}))
        return Script(node, "manifests.sh", fingerprint)

    def found(kind, name, namespace="default"):
        return json.loads(kubectl(f"--namespace={namespace}", "get", kind, name, "--ignore-not-found", "-o", "json") or "null")

    script = given("first", [shop, one, settings("one", "first"), settings("two", "first", "shop")], 2).start()
    applies(node, script, start, 0.1, 0.3, 0.6)
    expect(found("deployment", "web", "shop")["spec"]["replicas"] == 2, "not the manifest's replicas")
    # Whoever scales by hand, and what others made, stay.
    kubectl("--namespace=shop", "scale", "deployment", "web", "--replicas=5")
    kubectl("create", "configmap", "mine")
    script.again()
    expect(found("deployment", "web", "shop")["spec"]["replicas"] == 5, "a person's replicas are gone")
    # Another set takes away what isn't in it, and a broken object in it holds nothing else up.
    broken = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Broken", "namespace": "default"}}
    unheard = {"apiVersion": "example.com/v1", "kind": "Unheard", "metadata": {"name": "of", "namespace": "default"}}
    second = given("second", [broken, unheard, shop, one, settings("one", "second")]).start()
    second.says("not all manifests are in")
    expect(found("configmap", "one")["data"]["key"] == "second", "the broken one held another up")
    second.kill()
    expect(found("configmap", "two", "shop") is None, "the broken one kept another from being removed")
    third = given("third", [shop, one, settings("one", "third")])
    third.again()
    expect(found("configmap", "two", "shop") is None, "what isn't in the manifests any more is still there")
    expect(found("configmap", "mine") is not None, "what somebody else made is gone")
    expect(found("deployment", "web", "shop")["spec"]["replicas"] == 5, "a person's replicas are gone")
    # An older config boots late.
    old = given("first", [shop, one, settings("one", "first"), settings("two", "first", "shop")], 2)
    old.again()
    expect("has had newer manifests" in read(old.log), read(old.log)[-300:])
    expect(found("configmap", "one")["data"]["key"] == "third", "older manifests are back")
    # Several nodes at once, and nothing left.
    given("fourth", [])
    racers = [Script(node, "manifests.sh", "fourth").start() for _ in range(3)]
    for racer in racers:
        racer.ends()
    expect(found("configmap", "one") is None and found("configmap", "mine") is not None, "not only the last manifests are gone")
    noted = found("configmap", "remuda-manifests", "kube-system")["data"]
    expect(noted == {"fingerprints": "first second third fourth", "objects": ""}, str(noted))
    node.ok("again")


def component_images(node):
    images = {name: os.urandom(3 << 20) for name in ("a.tar", "b.tar")}
    archives = " ".join(
        f"{engine}:{name}:{hashlib.sha256(images[name]).hexdigest()}" for engine, name in (("system-docker", "a.tar"), ("docker", "b.tar"))
    )
    script = Script(node, "component-images.sh", IMAGES_FROM=f"http://{FAR}:8080/images", ARCHIVES=archives).start()
    node.absent(script, "trying again in 5 seconds")
    node.killed(script, "trying again in 5 seconds")
    portal = node.portal(8080, far=True)
    node.connect()
    script.says("a.tar is not what the config says: it is brought anew")
    folder = "/var/lib/rancher/preload"
    expect(not os.path.exists(f"{folder}/system-docker/a.tar"), "a wrong image was kept")
    node.ok("wrong")
    node.end(portal)
    for name, content in images.items():
        os.makedirs(f"{node.work}/images", exist_ok=True)
        with open(f"{node.work}/images/{name}", "wb") as file:
            file.write(content)
    # Cut short: half of it is there. system-docker refuses it once.
    script.kill()
    with open(f"{folder}/system-docker/a.tar.part", "wb") as file:
        file.write(images["a.tar"][: 1 << 20])
    write(f"{node.work}/refuse", "")
    server = node.program(sys.executable, f"{BED}/fickle.py", f"{node.work}/images", "8080", "0", far=True)
    script.start().ends()
    expect(re.search(r"sent: \S+ from 1048576", read(f"{node.work}/{os.path.basename(sys.executable)}.program")), "it wasn't gone on with")
    expect(read(f"{node.work}/asked").count("load -i") == 2, read(f"{node.work}/asked"))
    expect(sha256(f"{folder}/docker/b.tar") == hashlib.sha256(images["b.tar"]).hexdigest(), "the user's image is another")
    node.ok("late")
    node.end(server)
    script.again()
    expect(read(f"{node.work}/asked").count("load -i") == 2, "loaded again")
    node.ok("again")


def flannel_conf(node):
    node.path = f"{component('etcd-2.')}:{os.environ['PATH']}"
    config = '{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}'
    script = Script(node, "flannel-conf.sh", FLANNEL_CONFIG=config, FLANNEL_RESERVED="10.244.0.0-17").start()
    node.absent(script, "waiting for etcd on this node")
    portal = node.portal(2379)
    script.says_anew("waiting for etcd on this node")
    expect(script.is_on(), "a wrong answer was taken")
    node.ok("wrong")
    node.end(portal)
    node.killed(script, "waiting for etcd on this node")
    script.kill()
    node.etcd()
    # In the middle: at some moments of its work.
    for pause in (0.01, 0.03, 0.06):
        script.start()
        time.sleep(pause)
        script.kill()
    script.again()
    for _ in ("once", "again"):
        expect(node.key("/coreos.com/network/config")["value"] == config, "another network")
        expect(
            [one["key"] for one in node.key("/coreos.com/network/subnets")["nodes"]] == ["/coreos.com/network/subnets/10.244.0.0-17"],
            "nothing is reserved",
        )
        script.again()
    node.ok("again")


def api_publish(node):
    node.path = f"{component('etcd-2.')}:{os.environ['PATH']}"
    script = Script(node, "api-publish.sh", f"{OWN}:8080").start()
    node.absent(script, "waiting for etcd on this node")
    portal = node.portal(2379)
    script.says_anew("waiting for etcd on this node")
    expect(script.is_on(), "a wrong answer was taken")
    node.ok("wrong")
    node.end(portal)
    node.killed(script, "waiting for etcd on this node")
    node.etcd()
    script.ends()
    expect(node.key("/rancher.io/k8s/master")["value"] == f"{OWN}:8080", "not published")
    script.again()
    Script(node, "api-publish.sh", f"{LATER}:8080").again()
    expect(node.key("/rancher.io/k8s/master")["value"] == f"{LATER}:8080", "not published anew")
    node.ok("again")


def api_endpoint(node):
    env, asked = "/run/kubernetes/api.env", f"{node.work}/asked"
    script = Script(node, "api-endpoint.sh").start()
    node.absent(script, "waiting for etcd on this node")
    portal = node.portal(2379)
    script.says_anew("waiting for etcd on this node")
    node.end(portal)
    node.killed(script, "waiting for etcd on this node")
    etcd = node.etcd()

    def publish(value):
        return until(
            "etcd takes it",
            30,
            lambda: output(
                "curl", "-sf", "-XPUT", "http://127.0.0.1:2379/v2/keys/rancher.io/k8s/master", "--data-urlencode", f"value={value}"
            ),
        )

    publish("no endpoint; reboot")
    script.says_anew("waiting for etcd on this node")
    publish(f"{FAR}:8080")
    until("it is read", 30, lambda: read(env) == f"API_ENDPOINT={FAR}:8080\n")
    expect(not os.path.exists(asked), "something was started anew at the first reading")
    publish("10.9.9.1")
    time.sleep(AT_ONCE)
    expect(read(env) == f"API_ENDPOINT={FAR}:8080\n", "a wrong answer was taken")
    node.ok("wrong")
    publish(f"{LATER}:8080")
    restarted = "restart kubelet\nrestart kube-proxy\nrestart register-node\n"
    until("what was told the old one is started anew", 30, lambda: read(asked) == restarted)
    expect(read(env) == f"API_ENDPOINT={LATER}:8080\n", read(env))
    # etcd away, and it is killed: no move is missed, and none made up.
    node.end(etcd)
    script.kill()
    script.start()
    node.etcd()
    until("etcd is back", 30, lambda: node.key("/rancher.io/k8s/master"))
    time.sleep(AT_ONCE)
    expect(read(asked) == restarted, "started anew without a move")
    script.kill()
    publish(f"{FAR}:8080")
    script.start()
    until("the move is seen", 30, lambda: read(asked) == restarted * 2)
    node.ok("again")


def discovery_token(node):
    os.makedirs("/var/lib/etcd", exist_ok=True)
    mark = "/var/lib/etcd/discovery"
    url = f"http://{FAR}:8087/0123456789abcdef0123456789abcdef"
    script = Script(node, "discovery-token.sh", TOKEN=url, NAME="m-1").start()
    node.absent(script, f"waiting for an answer about the token {url}")
    portal = node.portal(8087, far=True)
    node.connect()
    script.says_anew("waiting for an answer about the token")
    expect(not os.path.exists(mark), "a wrong answer was taken")
    node.ok("wrong")
    node.killed(script, "waiting for an answer about the token")
    node.end(portal)
    script.kill()
    run("ip", "address", "flush", "dev", "eth0")
    node.discovery()
    run("ip", "address", "add", f"{OWN}/24", "dev", "eth0")
    script.start().says("doesn't know the token")
    expect(not os.path.exists(mark), "an unknown token was taken")
    script.kill()
    run("ip", "address", "flush", "dev", "eth0")
    script = Script(node, "discovery-token.sh", TOKEN=node.token(), NAME="m-1").start()
    script.says("waiting for an answer about the token")
    run("ip", "address", "add", f"{OWN}/24", "dev", "eth0")
    script.ends()
    expect(read(mark).strip() == script.variables["TOKEN"], "no mark")
    node.ok("late")
    # Its own etcd came to it, and lost nothing: this token is its own. With an empty disk it isn't.
    node.at_far("curl", "-sf", "-XPUT", f"{script.variables['TOKEN']}/abc", "-d", f"value=m-1=http://{OWN}:2380")
    script.again()
    os.remove(mark)
    script.start().says("was used by an earlier cluster")
    expect(script.is_on(), "a used token was taken")
    script.kill()
    os.makedirs("/var/lib/etcd/data/member/wal")
    script.again()
    node.ok("again")


def etcd_members(node):
    """A member that comes back with another address: etcd and the discovery service are told."""
    node.discovery()
    token, etcd = node.token(), component("etcd-2.")

    def known(url):
        return url in node.at_far("curl", "-sf", token)

    def script(address):
        urls = [
            "--listen-client-urls",
            "http://0.0.0.0:2379",
            "--advertise-client-urls",
            f"http://{address}:2379",
            "--listen-peer-urls",
            f"http://{address}:2380",
            "--initial-advertise-peer-urls",
            f"http://{address}:2380",
        ]
        return Script(
            node,
            "etcd-members.sh",
            f"http://{address}:2380",
            f"{etcd}/etcd",
            "--name",
            "m-1",
            "--data-dir",
            "/var/lib/etcd/data",
            "--discovery",
            token,
            *urls,
            TOKEN=token,
            NAME="m-1",
        )

    node.connect()
    one = script(OWN).start()
    one.says(f"know this member at http://{OWN}:2380")
    one.kill()
    run("ip", "address", "flush", "dev", "eth0")
    run("ip", "address", "add", f"{LATER}/32", "dev", "eth0")  # no route to the discovery service
    one = script(LATER).start()
    node.absent(one, "waiting for etcd and for the discovery service")
    expect(known(f"http://{OWN}:2380"), "it is told already")
    node.killed(one, "waiting for etcd and for the discovery service")
    run("ip", "address", "flush", "dev", "eth0")
    services = [process for process in node.programs if process.args[-1] == FAR]
    run("ip", "address", "add", f"{LATER}/24", "dev", "eth0")
    one.says(f"know this member at http://{LATER}:2380")
    expect(
        known(f"m-1=http://{LATER}:2380") and not known(f"http://{OWN}:2380"),
        f"the discovery service knows it elsewhere: {node.at_far('curl', '-sf', token)} {read(one.log)[-300:]}",
    )
    expect(f'"peerURLs":["http://{LATER}:2380"]' in output("curl", "-sf", "http://127.0.0.1:2379/v2/members"), "etcd knows it elsewhere")
    node.ok("late")
    for process in services:
        node.end(process)
    one.kill()
    portal = node.portal(8087, far=True)
    one.start().says_anew("waiting for etcd and for the discovery service")
    node.ok("wrong")
    node.end(portal)
    node.discovery()
    one.kill()
    write(one.log, "")
    one.start().says(f"know this member at http://{LATER}:2380")
    node.ok("again")


def register_node(node):
    api = f"http://{FAR}:8080"
    script = Script(node, "register-node.sh", OWN, api).start()
    node.absent(script, f"waiting for the API at {api}")
    portal = node.portal(8080, far=True)
    node.connect()
    time.sleep(AT_ONCE)
    expect(script.is_on(), "a wrong answer was taken")
    node.ok("wrong")
    node.killed(script, f"waiting for the API at {api}")
    node.end(portal)
    run("ip", "address", "flush", "dev", "eth0")
    node.program(f"{component('etcd-2.')}/etcd", "--data-dir", f"{node.work}/etcd", far=True)
    node.program(
        f"{component('kubernetes-0.')}/kube-apiserver",
        "--address=0.0.0.0",
        "--port=8080",
        "--portal_net=10.100.0.0/16",
        "--etcd_servers=http://127.0.0.1:2379",
        f"--public_address_override={FAR}",
        far=True,
    )
    until("the API is healthy", 30, lambda: node.at_far("curl", "-sf", f"{api}/healthz") == "ok")
    run("ip", "address", "add", f"{OWN}/24", "dev", "eth0")
    script.ends()
    script.says(f"{OWN} is registered")

    def minions():
        return [(one["id"], one["hostIP"]) for one in json.loads(node.at_far("curl", "-sf", f"{api}/api/v1beta2/minions"))["items"]]

    expect(minions() == [(OWN, OWN)], f"registered are {minions()}")
    node.ok("late")
    script.again()
    expect(minions() == [(OWN, OWN)], f"registered are {minions()}")
    node.ok("again")


# --- the lines of Kubernetes


def certificates(node):
    """An authority, and by it a server on FAR, OWN and 127.0.0.1, and etcd's root."""
    folder = f"{node.work}/pki"
    os.makedirs(folder)
    run(
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=ca",
        "-keyout",
        f"{folder}/ca.key",
        "-out",
        f"{folder}/ca.crt",
        "-days",
        "9",
    )
    for name, subject in (("server", "/CN=server"), ("root", "/CN=root")):
        write(f"{folder}/{name}.ext", f"subjectAltName=IP:{FAR},IP:{OWN},IP:127.0.0.1\n")
        run(
            "openssl",
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            subject,
            "-keyout",
            f"{folder}/{name}.key",
            "-out",
            f"{folder}/{name}.csr",
        )
        run(
            "openssl",
            "x509",
            "-req",
            "-in",
            f"{folder}/{name}.csr",
            "-CA",
            f"{folder}/ca.crt",
            "-CAkey",
            f"{folder}/ca.key",
            "-CAcreateserial",
            "-days",
            "9",
            "-extfile",
            f"{folder}/{name}.ext",
            "-out",
            f"{folder}/{name}.crt",
        )
    run("openssl", "pkey", "-in", f"{folder}/server.key", "-pubout", "-out", f"{folder}/server.pub")
    return folder


def flannel_network(node):
    folder, url = certificates(node), f"https://{FAR}:2379"
    node.path = f"{component('etcd-3.4.')}:{os.environ['PATH']}"
    access = {
        "ETCDCTL_API": "3",
        "ETCDCTL_ENDPOINTS": url,
        "ETCDCTL_CACERT": f"{folder}/ca.crt",
        "ETCDCTL_CERT": f"{folder}/root.crt",
        "ETCDCTL_KEY": f"{folder}/root.key",
    }
    config = '{"Network":"10.244.0.0/16"}'
    script = Script(node, "flannel-network.sh", FLANNEL_CONFIG=config, FLANNEL_RESERVED="10.244.0.0-17", **access).start()
    node.absent(script, f"waiting for etcd at {url}")
    portal = node.portal(2379, far=True)
    node.connect()
    time.sleep(AT_ONCE)
    script.says_anew(f"waiting for etcd at {url}")
    node.ok("wrong")
    node.killed(script, f"waiting for etcd at {url}")
    node.end(portal)
    run("ip", "address", "flush", "dev", "eth0")
    node.program(
        f"{component('etcd-3.4.')}/etcd",
        "--data-dir",
        f"{node.work}/etcd",
        "--listen-client-urls",
        url,
        "--advertise-client-urls",
        url,
        "--client-cert-auth",
        "--trusted-ca-file",
        f"{folder}/ca.crt",
        "--cert-file",
        f"{folder}/server.crt",
        "--key-file",
        f"{folder}/server.key",
        far=True,
    )
    script.says_anew(f"waiting for etcd at {url}")
    run("ip", "address", "add", f"{OWN}/24", "dev", "eth0")
    # In the middle: at many moments of its work.
    for pause in range(1, 40, 3):
        script.kill()
        script.start()
        time.sleep(pause / 100)
    script.ends()
    node.ok("late")
    script.again()

    def etcdctl(*words):
        return output(f"{component('etcd-3.4.')}/etcdctl", *words, env={**os.environ, **access})

    expect(config in etcdctl("get", "/coreos.com/network/config"), "another network")
    expect("reserved" in etcdctl("get", "/coreos.com/network/subnets/10.244.0.0-17"), "nothing is reserved")
    expect("Authentication Status: true" in etcdctl("auth", "status") or "flannel" in etcdctl("user", "get", "flannel"), "no rights")
    node.ok("again")


def etcd_snapshots(node):
    """Each that it keeps is whole, in the order of etcd's revisions, and can be restored."""
    programs, folder = component("etcd-3.7."), f"{node.work}/snapshots"
    node.path = f"{programs}:{os.environ['PATH']}"
    os.makedirs(folder)
    access = {"ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": "http://127.0.0.1:2379"}

    def snapshots():
        return sorted(glob.glob(f"{folder}/etcd-*.db"))

    def put(number):
        run(f"{programs}/etcdctl", "put", "key", f"value {number}", env={**os.environ, **access})

    write(f"{folder}/new.db.part", "a half one")
    script = Script(node, "etcd-snapshots.sh", EVERY="2", KEEP="3", DIRECTORY=folder, **access).start()
    # Its message is said once, not again and again.
    script.says("waiting for etcd on this node")
    expect(script.is_on() and os.listdir(folder) == [], str(os.listdir(folder)))
    node.ok("absent")
    portal = node.portal(2379)
    time.sleep(AT_ONCE)
    expect(script.is_on() and os.listdir(folder) == [], str(os.listdir(folder)))
    node.end(portal)
    node.ok("wrong")
    node.killed(script, "waiting for etcd on this node")
    node.program(f"{programs}/etcd", "--data-dir", f"{node.work}/etcd")
    script.says("saved ", 60)
    node.ok("late")
    for number in range(6):
        put(number)
        time.sleep(1.5)
        # At any moment.
        script.kill()
        script.start()
    put("last")
    until("old ones go", 30, lambda: expect("saved" in read(script.log) and len(snapshots()) == 3, str(snapshots())) or True)
    time.sleep(5)
    script.kill()
    expect(all(os.stat(one).st_mode & 0o777 == 0o600 for one in snapshots()), "everybody reads them")
    run(f"{programs}/etcdutl", "snapshot", "restore", snapshots()[-1], "--data-dir", f"{node.work}/restored")
    node.program(
        f"{programs}/etcd",
        "--data-dir",
        f"{node.work}/restored",
        "--listen-client-urls=http://127.0.0.1:3379",
        "--advertise-client-urls=http://127.0.0.1:3379",
        "--listen-peer-urls=http://127.0.0.1:3380",
    )
    access["ETCDCTL_ENDPOINTS"] = "http://127.0.0.1:3379"

    def is_restored():
        said = output(f"{programs}/etcdctl", "get", "key", env={**os.environ, **access})
        expect("value last" in said, said)
        return True

    until("what was restored answers", 30, is_restored)
    node.ok("again")


def etcd_discovery(node):
    node.path = f"{component('etcd-3.4.')}:{os.environ['PATH']}"
    urls = [
        "--listen-client-urls",
        "http://127.0.0.1:2379",
        "--advertise-client-urls",
        f"http://{OWN}:2379",
        "--listen-peer-urls",
        "http://0.0.0.0:2380",
        "--initial-advertise-peer-urls",
        f"http://{OWN}:2380",
    ]

    def start(token, size="1"):
        return Script(
            node,
            "etcd-discovery.sh",
            f"{component('etcd-3.4.')}/etcd",
            "--name",
            "m-1",
            "--data-dir",
            "/var/lib/etcd",
            *urls,
            TOKEN=token,
            SIZE=size,
            NAME="m-1",
        ).start()

    def answers():
        return run("curl", "-sf", "http://127.0.0.1:2379/health", check=False).returncode == 0

    script = start(f"http://{FAR}:8087/0123456789abcdef0123456789abcdef")
    script.says("waiting for an answer about the token")
    time.sleep(node.wait)
    expect(script.is_on(), "it gave up")
    node.ok("absent")
    portal = node.portal(8087, far=True)
    node.connect()
    time.sleep(AT_ONCE * 2)
    expect(script.is_on() and not answers() and not os.path.exists("/var/lib/etcd/discovery"), "a wrong answer was taken")
    node.ok("wrong")
    node.killed(script, "waiting for an answer about the token")
    node.end(portal)
    script.kill()
    run("ip", "address", "flush", "dev", "eth0")
    node.discovery()
    run("ip", "address", "add", f"{OWN}/24", "dev", "eth0")
    script.start().says("doesn't know the token")
    script.kill()
    run("ip", "address", "flush", "dev", "eth0")
    script = start(node.token())
    script.says("waiting for an answer about the token")
    run("ip", "address", "add", f"{OWN}/24", "dev", "eth0")
    until("etcd answers", 30, answers)
    node.ok("late")
    script.kill()
    # One of three, cut short while it waits for the others: it has come to the token, and knows that it did.
    shutil.rmtree("/var/lib/etcd/member")
    token = node.token(3)
    waiting = start(token, "3")
    until("it came to the token", 30, lambda: "m-1=" in node.at_far("curl", "-sf", token))
    waiting.kill()
    waiting.start().says("waiting for 2 more of 3 members")
    waiting.kill()
    shutil.rmtree("/var/lib/etcd/member", ignore_errors=True)
    script = start(node.token())
    until("etcd answers", 30, answers)
    script.kill()
    script.start()
    until("etcd answers", 30, answers)
    node.ok("again")


def etcd_member(node):
    """m-1 is this node; the other member, at the other end of the cable, is called as its certificate is: server."""
    programs, pki, data = component("etcd-3."), certificates(node), "/var/lib/etcd"
    node.path = f"{programs}:{os.environ['PATH']}"
    for name, source in (("etcd-ca.crt", "ca.crt"), ("etcd-peer.crt", "root.crt"), ("etcd-peer.key", "root.key")):
        os.makedirs("/opt/kubernetes/pki", exist_ok=True)
        shutil.copy(f"{pki}/{source}", f"/opt/kubernetes/pki/{name}")
    access = {"ETCDCTL_API": "3", "ETCDCTL_CACERT": f"{pki}/ca.crt", "ETCDCTL_CERT": f"{pki}/root.crt", "ETCDCTL_KEY": f"{pki}/root.key"}

    def etcd(name, key, address, *more):
        tls = [("cert-file", f"{pki}/{key}.crt"), ("key-file", f"{pki}/{key}.key"), ("trusted-ca-file", f"{pki}/ca.crt")]
        flags = [f"--{prefix}{flag}={value}" for flag, value in tls for prefix in ("", "peer-")]
        flags += ["--client-cert-auth", "--peer-client-cert-auth", f"--name={name}", "--initial-cluster-token=c"]
        flags += [f"--listen-client-urls=https://{address}:2379,https://127.0.0.1:2379", f"--advertise-client-urls=https://{address}:2379"]
        flags += [f"--listen-peer-urls=https://{address}:2380", f"--initial-advertise-peer-urls=https://{address}:2380"]
        return [f"{programs}/etcd", *flags, *more]

    def start(peers=f"m-1={OWN} server={FAR}", founders="m-1"):
        command = etcd("m-1", "root", OWN, f"--data-dir={data}")
        return Script(node, "etcd-member.sh", *command, PEERS=peers, FOUNDERS=founders, CLUSTER="c", NAME="m-1", **access).start()

    waits = "to see that a majority of the members has none (1 of 2 so far)"
    script = start()
    script.says(waits)
    time.sleep(node.wait)
    expect(script.is_on() and not os.path.exists(f"{data}/member"), "it founded without having seen the other")
    node.ok("absent")
    portals = [node.portal(port, far=True) for port in (2379, 2380)]
    node.connect()
    time.sleep(AT_ONCE)
    expect(script.is_on() and not os.path.exists(f"{data}/member"), "a wrong answer was taken")
    node.ok("wrong")
    node.killed(script, waits)
    script.kill()
    for portal in portals:
        node.end(portal)
    other = start(founders="server")
    other.says("waiting for the cluster, of which nobody answers")
    other.kill()
    # An empty member says so on the peer port, to whoever has a certificate; together they may found.
    state = f"{node.work}/state"
    write(state, "empty\n")
    tls = f"cert={pki}/server.crt,key={pki}/server.key,cafile={pki}/ca.crt,verify=1"
    far = node.program("socat", f"OPENSSL-LISTEN:2380,reuseaddr,fork,{tls}", f"SYSTEM:cat {state}", far=True)
    script = start(founders="m-1 server")
    script.says("founding: waiting for a majority of m-1 server")
    asked = ["socat", "-u", f"OPENSSL:{OWN}:2380,{tls},commonname=root", "-"]
    expect(node.at_far(*asked) == "founding\n", "it doesn't say that it founds")
    script.kill()
    write(state, "founding\n")
    script.start().says("founding the cluster")
    script.kill()
    node.end(far)
    expect(os.path.exists(f"{data}/member-id"), "it doesn't know who it is")
    for path in os.listdir(data):
        shutil.rmtree(f"{data}/{path}") if os.path.isdir(f"{data}/{path}") else os.remove(f"{data}/{path}")
    # A cluster: joined, at whatever moment it is cut short.
    cluster = etcd("server", "server", FAR, f"--data-dir={node.work}/far", f"--initial-cluster=server=https://{FAR}:2380")
    node.program(*cluster, far=True)
    script = start()
    script.says("joining as member")
    for pause in (0.05, 0.3, 0.8):
        script.kill()
        script.start()
        time.sleep(pause)
    script.says("this member has caught up: it votes")
    node.ok("late")
    script.kill()
    script.start().says("data here, and no other member has a majority behind it: starting as member")
    local = [f"{programs}/etcdctl", "--endpoints=https://127.0.0.1:2379"]
    until("etcd answers", 30, lambda: output(*local, "endpoint", "health", env={**os.environ, **access}) is not None)
    members = output(*local, "member", "list", env={**os.environ, **access}).splitlines()
    expect(len(members) == 2 and all(line.endswith(", false") for line in members), str(members))
    node.ok("again")


def api_of_today(node):
    """Kubernetes's own, and what the scripts call it with: this node's access, which isn't there yet."""
    programs = component("kubernetes-1.37.")
    folder = f"{node.work}/pki" if os.path.isdir(f"{node.work}/pki") else certificates(node)
    node.path = f"{programs}:{os.environ['PATH']}"
    write(f"{node.work}/tokens", "secret,kubelet,1,system:masters\n")
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"https://{FAR}:6443", "certificate-authority": f"{folder}/ca.crt"}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
    }
    write("/opt/kubernetes/kubelet.kubeconfig", json.dumps(kubeconfig))

    def start():
        node.program(f"{component('etcd-3.7.')}/etcd", "--data-dir", f"{node.work}/etcd", far=True)
        node.program(
            f"{programs}/kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--advertise-address={FAR}",
            f"--token-auth-file={node.work}/tokens",
            "--authorization-mode=RBAC",
            f"--tls-cert-file={folder}/server.crt",
            f"--tls-private-key-file={folder}/server.key",
            f"--service-account-key-file={folder}/server.pub",
            f"--service-account-signing-key-file={folder}/server.key",
            "--service-account-issuer=x",
            "--service-cluster-ip-range=10.100.0.0/16",
            far=True,
        )
        until("the API is ready", 90, lambda: kubectl("get", "--raw", "/readyz") == "ok")

    def kubectl(*words, **options):
        return output(
            "nsenter",
            f"--net=/proc/{node.far.pid}/ns/net",
            f"{programs}/kubectl",
            "--kubeconfig=/opt/kubernetes/kubelet.kubeconfig",
            "--cache-dir=/srv/cache",
            *words,
            **options,
        )

    def register():
        there = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "w-1", "labels": {"own": "kept"}},
            "status": {"addresses": [{"type": "InternalIP", "address": OWN}]},
        }
        kubectl("create", "-f", "-", input=json.dumps(there))

    return start, kubectl, register


def node_labels(node):
    start, kubectl, register = api_of_today(node)
    fingerprint = "/opt/kubernetes/config-fingerprint"
    write(fingerprint, "0123456789abcdef")
    script = Script(node, "node-labels.sh", NODE="w-1", LABELS="disk=ssd rack=7").start()
    node.absent(script, "waiting for the API, and for this node in it")
    portal = node.portal(6443, far=True)
    node.connect()
    script.says_anew("waiting for the API")
    node.end(portal)
    run("ip", "address", "flush", "dev", "eth0")
    start()
    run("ip", "address", "add", f"{OWN}/24", "dev", "eth0")
    script.says_anew("waiting for the API")  # it isn't registered
    node.ok("wrong")
    node.killed(script, "waiting for the API")
    register()
    script.ends()

    def metadata():
        return json.loads(kubectl("get", "node", "w-1", "-o", "json"))["metadata"]

    def labels():
        return {key: value for key, value in metadata()["labels"].items() if "/" not in key}

    def says_its_config():
        config = metadata()["annotations"]["remuda/config"]
        expect(config == read(fingerprint), f"the node says that it runs {config}")

    expect(labels() == {"own": "kept", "disk": "ssd", "rack": "7"}, f"labels: {labels()}")
    says_its_config()
    node.ok("late")
    write(fingerprint, "fedcba9876543210")
    changed = Script(node, "node-labels.sh", NODE="w-1", LABELS="disk=nvme")
    for pause in (0.05, 0.15, 0.25):
        changed.start()
        time.sleep(pause)
        changed.kill()
    changed.again()
    changed.again()
    expect(labels() == {"own": "kept", "disk": "nvme"}, f"labels: {labels()}")
    says_its_config()
    node.ok("again")


def node_names(node):
    start, _, register = api_of_today(node)
    write("/run/kubernetes/hosts", "127.0.0.1 localhost\n")

    def hosts():
        return read("/run/kubernetes/hosts")

    script = Script(node, "node-names.sh").start()
    node.absent(script, "waiting for the API")
    portal = node.portal(6443, far=True)
    node.connect()
    script.says_anew("waiting for the API")
    expect(hosts() == "127.0.0.1 localhost\n", "a wrong answer was taken")
    node.ok("wrong")
    node.killed(script, "waiting for the API")
    node.end(portal)
    run("ip", "address", "flush", "dev", "eth0")
    start()
    register()
    run("ip", "address", "add", f"{OWN}/24", "dev", "eth0")
    until("it is written", 30, lambda: hosts() == f"127.0.0.1 localhost\n{OWN} w-1\n")
    node.ok("late")
    # The API away: what is known stays.
    script.kill()
    run("ip", "address", "flush", "dev", "eth0")
    write(script.log, "")
    script.start().says("waiting for the API")
    expect(hosts() == f"127.0.0.1 localhost\n{OWN} w-1\n", "what was known is gone")
    run("ip", "address", "add", f"{OWN}/24", "dev", "eth0")
    script.says(f"{OWN} w-1")
    expect(hosts() == f"127.0.0.1 localhost\n{OWN} w-1\n", hosts())
    node.ok("again")


FAILURES = ["absent", "wrong", "late", "killed", "again"]
SCRIPTS = {
    "node-address.sh": node_address,
    "with-learned.sh": with_learned,
    "flannel-subnet.sh": flannel_subnet,
    "pod-subnet.sh": pod_subnet,
    "api-vip.sh": api_vip,
    "containerd.sh": containerd,
    "containerd-images.sh": containerd_images,
    "addons.sh": addons,
    "manifests.sh": manifests,
    "component-images.sh": component_images,
    "flannel-conf.sh": flannel_conf,
    "api-publish.sh": api_publish,
    "api-endpoint.sh": api_endpoint,
    "discovery-token.sh": discovery_token,
    "etcd-members.sh": etcd_members,
    "register-node.sh": register_node,
    "flannel-network.sh": flannel_network,
    "etcd-discovery.sh": etcd_discovery,
    "etcd-snapshots.sh": etcd_snapshots,
    "etcd-member.sh": etcd_member,
    "node-labels.sh": node_labels,
    "node-names.sh": node_names,
}
# What can't happen to a script.
SPARED = {
    "flannel-conf.sh": {"late"},
    "api-publish.sh": {"late"},
    "api-endpoint.sh": {"late"},
    "containerd-images.sh": {"late"},
    "containerd.sh": {"absent", "wrong", "late", "killed"},
}


def inside(name, wait):
    node = Node(wait)
    try:
        SCRIPTS[name](node)
        error = None
    except Failed as failed:
        error = str(failed)
        for path in sorted(glob.glob(f"{node.work}/*.program")):
            print(f"--- {name}: {os.path.basename(path)}\n{read(path)[-1500:]}", file=sys.stderr)
    finally:
        for process in node.programs:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                process.kill()
    print(json.dumps([node.passed, error]), flush=True)


def main():
    words, wait = sys.argv[1:], 60
    if words[:1] == ["portal"]:
        return http.server.ThreadingHTTPServer(("", int(words[1])), Portal).serve_forever()
    if words[:1] == ["inside"]:
        return inside(words[1], float(words[2]))
    if words[:1] == ["--wait"]:
        wait = int(words[1])
        del words[:2]
    there = {os.path.basename(path) for path in glob.glob(f"{ROOT}/templates/*/files/*.sh")}
    if set(words) - set(SCRIPTS) or there != set(SCRIPTS):
        sys.exit(f"{__doc__}\nscripts: {', '.join(SCRIPTS)}; without a test: {', '.join(there - set(SCRIPTS))}")
    began, results = time.monotonic(), {}

    def one(name):
        enter = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        done = subprocess.run([*enter, sys.executable, __file__, "inside", name, str(wait)], stdout=subprocess.PIPE, text=True)
        results[name] = json.loads(done.stdout or '[[], "it broke"]')

    threads = [threading.Thread(target=one, args=(name,)) for name in words or SCRIPTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"| {'':20} | {' | '.join(FAILURES)} |")
    failed = []
    for name in words or SCRIPTS:
        passed, error = results[name]
        wanted = [failure for failure in FAILURES if failure not in SPARED.get(name, ())]
        cells = ["ok" if failure in passed else "-" if failure not in wanted else "FAILED" for failure in FAILURES]
        print(f"| {name:20} | {' | '.join(f'{cell:{len(failure)}}' for cell, failure in zip(cells, FAILURES, strict=True))} |")
        if error or "FAILED" in cells:
            failed.append(f"{name}: {error}")
    print("\n".join(f"FAILED: {line}" for line in failed))
    print(f"{sum(len(passed) for passed, _ in results.values())} passed, {len(failed)} failed, {time.monotonic() - began:.0f} s")
    sys.exit(1 if failed else 0)


main()
