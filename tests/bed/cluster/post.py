"""The post's own cluster: line kubernetes-2015, with the programs of 2015 that `scripts/components --all` builds.

With etcd 2.0.5, the last that the module proxy has, a kubelet now and then hears of no new pod after the control plane
rebooted as etcd's proxy: the API server's watch through it is silent. With 2.0.10, the line's own, this wasn't seen."""

import itertools
import json
import os
import time

from cluster import Cluster
from common import Failed, component, expect, until
from scenarios import DYNAMIC, KEY

DISCOVERY = 'etcd: {bootstrap: {discovery: "http://10.77.0.1:8087", size: 1}}'
NODES = DYNAMIC.replace("role: control-plane", "roles: [etcd, control-plane]").replace("role: worker", "roles: [etcd, worker]")


def profile(more=DISCOVERY, nodes=NODES):
    """The line as it is, but for where its programs come from."""
    programs = {
        "etcd": (component("etcd-2."), "etcd", "etcdctl"),
        "flannel": (component("flannel-0.12."), "flanneld"),
        **{
            name: (component("kubernetes-0."), name)
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet")
        },
    }
    components = {
        name: {"version": folder.rpartition("-")[2], "files": {f"/usr/local/bin/{file}": {"path": f"{folder}/{file}"} for file in files}}
        for name, (folder, *files) in programs.items()
    }
    return f"""\
cluster: bed
target: rancheros-1.5
line: kubernetes-2015
network: {{nodes: 10.77.0.0/24, gateway: 10.77.0.1, nameservers: [10.77.0.1]}}
defaults: {{ssh_keys: ["{KEY}"]}}
images: {{components: {json.dumps(components)}}}
{more}
nodes:
{nodes}
"""


class Post(Cluster):
    """Plain HTTP, and nodes that are called by their addresses."""

    shown = [["get", "minions", "--api-version=v1beta1"], ["get", "pods", "-o", "json"], ["get", "events"]]

    def access(self):
        return ["-s", f"http://{self.address('m-1')}:8080", "--api-version=v1beta3"]

    def kubectl_path(self):
        return f"{component('kubernetes-0.')}/kubectl"

    def ask(self, url):
        return self.switch.run("/usr/bin/curl", "-sfL", "--max-time", "5", url).stdout

    def etcd_health(self, node):
        """A proxy answers with what the member says."""
        return '"health": "true"' in self.ask(f"http://{self.address(node)}:2379/health")

    def wait_api(self, seconds=120):
        until("the API is healthy", seconds, lambda: self.ask(f"http://{self.address('m-1')}:8080/healthz") == "ok")

    def workers(self):
        return [name for name in self.machines if name.startswith("w-")]

    def wait_ready(self, nodes=None, seconds=180):
        until("the workers are Ready", seconds, lambda: {self.address(name) for name in nodes or self.workers()} <= set(self.ready_nodes()))


def pod(name, address):
    serve = (
        f"mkdir /www; echo {name} >/www/name; dd if=/dev/urandom of=/www/large bs=1M count=10 2>/dev/null; exec httpd -f -p 8080 -h /www"
    )
    return {
        "kind": "Pod",
        "apiVersion": "v1beta3",
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {
            "host": address,
            "containers": [{"name": "web", "image": "bed/pod:1", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", serve]}],
        },
    }


def create(bed, *objects):
    for one in objects:
        bed.kubectl("create", "-f", "-", input=json.dumps(one))


def on_flannel(bed):
    """docker0 of each node is on the subnet that flannel leased it, of those that aren't reserved, and no two have one."""
    subnets = bed.subnets()
    for name, address in subnets.items():
        leased = bed.machines[name].run("cat", "/run/flannel/subnet.env").stdout
        if f"FLANNEL_SUBNET={address}/" not in leased:
            raise Failed(f"{name}: docker0 has {address}, flannel leased {leased}")
    expect(len(set(subnets.values())) == len(subnets), f"subnets collide: {subnets}")
    expect(all(int(address.split(".")[2]) >= 128 for address in subnets.values()), f"leased from the reserved half: {subnets}")
    return True


NUMBERS = itertools.count(1)


def pods_talk(bed):
    """A new pod on each worker; each reaches the other's across nodes."""
    # This kubelet takes a pod for the one that had its name before.
    workers, number = bed.workers(), next(NUMBERS)
    for name in workers:
        bed.kubectl("delete", "pod", f"{name}-{number - 1}", check=False)
        until(f"a pod for {name} is taken", 60, lambda: create(bed, pod(f"{name}-{number}", bed.address(name))) is None)

    def there():
        found = {one["metadata"]["name"]: one["status"] for one in bed.get("pods", "-l", "app=web")["items"]}
        running = {name: found[f"{name}-{number}"] for name in workers}
        return (
            {name: one["podIP"] for name, one in running.items()}
            if all(one["phase"] == "Running" and one["podIP"] for one in running.values())
            else None
        )

    addresses = until("a pod runs on each worker", 120, there)
    for one, other in itertools.permutations(workers, 2):

        def execute(*words):
            return bed.machines[one].docker("exec", container(bed, one, number), *words, engine="docker").stdout

        said = until(
            f"a pod on {one} reaches one on {other}",
            60,
            lambda: execute("timeout", "5", "wget", "-q", "-O", "-", f"http://{addresses[other]}:8080/name"),
        )
        expect(said.strip() == f"{other}-{number}", f"{one} asked {other} and heard {said!r}")
        sums = [
            execute("sh", "-c", f"wget -q -O - http://{addresses[other]}:8080/large | sha256sum"),
            bed.machines[other].docker("exec", container(bed, other, number), "sha256sum", "/www/large", engine="docker").stdout,
        ]
        expect(sums[0].split()[0] == sums[1].split()[0], f"ten megabytes from {other} arrive changed on {one}")


def container(bed, worker, number):
    names = (
        bed.machines[worker]
        .docker("ps", "--filter", f"name=k8s_web.*_{worker}-{number}_default", "--format", "{{.Names}}", engine="docker")
        .stdout.split()
    )
    if not names:
        raise Failed(f"no container of a pod on {worker}")
    return names[0]


def all_of_it_works(bed):
    """What the post looked at, and what its scheduler, its controllers and its proxies are for."""
    master = f"http://{bed.address('m-1')}:8080"
    expect("swagger" in bed.ask(f"{master}/swagger-ui/").lower(), "no swagger page")
    minions = bed.kubectl("get", "minions", "--api-version=v1beta1")
    expect(all(bed.address(name) in minions for name in bed.workers()), f"minions: {minions}")
    template = pod("scaled", "")
    del template["spec"]["host"]
    labels = template["metadata"]["labels"] = {"app": "scaled"}
    spec = {"replicas": 4, "selector": labels, "template": {"metadata": template["metadata"], "spec": template["spec"]}}
    create(
        bed,
        {"kind": "ReplicationController", "apiVersion": "v1beta3", "metadata": {"name": "scaled"}, "spec": spec},
        {
            "kind": "Service",
            "apiVersion": "v1beta3",
            "metadata": {"name": "scaled"},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    )

    def spread():
        pods = [one for one in bed.get("pods", "-l", "app=scaled")["items"] if one["status"].get("phase") == "Running"]
        return len(pods) == 4 and {one["spec"]["host"] for one in pods} == {bed.address(name) for name in bed.workers()}

    until("four pods run, on both workers", 60, spread)
    address = bed.get("service", "scaled")["spec"]["portalIP"]
    # A kube-proxy that was there before the API asks again after a minute.
    for name, one in bed.machines.items():
        until(
            f"{name} reaches the service",
            120,
            lambda: one.run("curl", "-sf", "--max-time", "5", f"http://{address}/name").stdout.strip() == "scaled",
        )


def up(bed, order=None, pause=0):
    began = time.monotonic()
    for name in order or list(bed.machines):
        bed.power_on(name)
        time.sleep(pause)
    heals(bed, began)
    return began


def heals(bed, began):
    """All that the post's cluster is, with the addresses of now."""
    until("etcd answers on each node", 120, lambda: all(bed.etcd_health(name) for name in bed.machines))
    bed.wait_api()
    bed.time("API healthy", began)
    endpoint = f"{bed.address('m-1')}:8080"
    for name in bed.machines:

        def published():
            return json.loads(bed.ask(f"http://{bed.address(name)}:2379/v2/keys/rancher.io/k8s/master"))["node"]["value"]

        until(f"{name}'s etcd has {endpoint}", 60, lambda: published() == endpoint)
    for name in bed.workers():
        until(
            f"{name} reads {endpoint}",
            60,
            lambda: bed.machines[name].run("cat", "/run/kubernetes/api.env").stdout.strip() == f"API_ENDPOINT={endpoint}",
        )
    bed.wait_ready()
    bed.time("workers Ready", began)
    until("docker0 of each node is on the subnet that flannel leased it", 60, lambda: on_flannel(bed))
    pods_talk(bed)
    bed.time("pods talk", began)


def post(scenario):
    """The post's cluster, all of it of 2015: three nodes by DHCP, powered on at once."""
    with scenario.cluster(profile(), kind=Post) as bed:
        bed.give(m_1="10.77.0.101", w_1="10.77.0.102", w_2="10.77.0.103")
        up(bed)
        all_of_it_works(bed)


def post_addresses(scenario):
    """The same; then each node boots with another address, the one that is etcd among them."""
    with scenario.cluster(profile(), kind=Post) as bed:
        bed.give(m_1="10.77.0.101", w_1="10.77.0.102", w_2="10.77.0.103")
        up(bed)
        for number, node in enumerate(bed.machines):
            bed.power_off(node)
            bed.give(**{node.replace("-", "_"): f"10.77.0.{120 + number}"})
            role = "member" if os.path.exists(f"{bed.machines[node].disk}/var/lib/etcd/data/member") else "proxy"
            began = time.monotonic()
            bed.power_on(node)
            print(f"    {node}, etcd's {role}, with another address", flush=True)
            heals(bed, began)


def post_orders(scenario):
    """The same, with empty disks and a fresh token, powered on in each order."""
    with scenario.cluster(profile(), kind=Post) as bed:
        bed.give(m_1="10.77.0.101", w_1="10.77.0.102", w_2="10.77.0.103")
        for order in itertools.permutations(bed.machines):
            bed.power_off()
            for one in bed.machines.values():
                one.wipe()
            bed.new_token()
            bed.generate(profile())
            bed.install()
            print(f"    {' '.join(order)}", flush=True)
            up(bed, order, pause=5)


ALL = {"post": post, "post-addresses": post_addresses, "post-orders": post_orders}
