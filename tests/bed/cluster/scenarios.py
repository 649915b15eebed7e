"""What a cluster must survive, each from a profile of its own. A scenario is a function that takes nothing
and raises `Failed`; what it measures is in the table that `run` prints."""

import base64
import contextlib
import ipaddress
import itertools
import json
import os
import re
import shutil
import tempfile
import threading
import time

import yaml

from cluster import Cluster
from common import Failed, expect, read, run, until

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y bed@example"


# Addresses of one family, or of both.
OF_IPV4 = "nodes: 10.77.0.0/24, gateway: 10.77.0.1"
OF_BOTH = "nodes: [10.77.0.0/24, 'fd00:77::/64'], gateway: [10.77.0.1, 'fd00:77::1'], pods: [10.244.0.0/16, 'fd00:10:244::/48'], services: [10.96.0.0/16, 'fd00:10:96::/112']"


def profile(nodes, more="", network="", target="rancheros-1.5", line="kubernetes-1.20", addresses=OF_IPV4):
    return f"""\
cluster: bed
target: {target}
line: {line}
network: {{{addresses}, nameservers: [10.77.0.1]{network}}}
defaults:
  ssh_keys: ["{KEY}"]
  # This machine's disk is no node's: how full it is may evict no pod and remove no image.
  components: {{kubelet: {{args: {{eviction-hard: "nodefs.available<1%", image-gc-high-threshold: 100}}}}}}
{more}
nodes:
{nodes}
"""


SMALL = """\
  m-1: {role: control-plane, address: 10.77.0.11}
  w-[1-2]: {role: worker, address: 10.77.0.21}
"""
LARGE = """\
  m-[1-3]: {role: control-plane, address: 10.77.0.11}
  w-1: {role: worker, address: 10.77.0.21}
"""
ENDPOINT = "api: {endpoint: 10.77.0.100}"


class Bed:
    """A cluster for the length of a scenario; a failure leaves its logs."""

    times = {}

    def __init__(self, name):
        self.name = name

    @contextlib.contextmanager
    def cluster(self, text, kind=Cluster, **options):
        bed = kind(self.name, text, **options)
        try:
            yield bed
        except Exception as error:
            folder = os.path.abspath(f"bed-logs/{self.name}")
            bed.collect_logs(folder)
            raise Failed(f"{error}\n    logs of every service of every node: {folder}") from error
        finally:
            self.times.setdefault(self.name, {}).update(bed.times)
            bed.remove()


# --- what a working cluster does ---


def daemons():
    """A pod on every node, that serves its node's name, a configmap, a secret and ten megabytes."""
    serve = "mkdir /www; echo $NODE >/www/node; cp /map/key /www/map; cp /secret/key /www/secret; dd if=/dev/urandom of=/www/large bs=1M count=10 2>/dev/null; echo serving; exec httpd -f -p 8080 -h /www"
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map"}, "data": {"key": "of the map"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret"}, "stringData": {"key": "of the secret"}},
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": "web"},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {
                        "terminationGracePeriodSeconds": 0,
                        "tolerations": [{"operator": "Exists"}],
                        "volumes": [{"name": "map", "configMap": {"name": "map"}}, {"name": "secret", "secret": {"secretName": "secret"}}],
                        "containers": [
                            {
                                "name": "web",
                                "image": "bed/pod:1",
                                "imagePullPolicy": "Never",
                                "command": ["sh", "-c", serve],
                                "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
                                "volumeMounts": [{"name": "map", "mountPath": "/map"}, {"name": "secret", "mountPath": "/secret"}],
                                "readinessProbe": {"httpGet": {"port": 8080, "path": "/large"}, "periodSeconds": 1},
                            }
                        ],
                    },
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    ]


def pods_talk(bed, nodes, seconds=120):
    """Pod to pod across nodes, by address and by service; a large transfer; volumes; logs and exec."""

    def all_there():
        pods = bed.pods("web")
        return pods if set(nodes) <= set(pods) else None

    pods = until("a pod runs on every node", seconds, all_there)
    names = sorted(nodes)
    for one in names:
        other = names[(names.index(one) + 1) % len(names)]

        # What the API remembers of a pod's address may be from before its node was off.
        def there():
            return f"http://{bed.pods('web')[other][1]}:8080"

        said = until(
            f"a pod on {one} reaches one on {other}",
            90,
            lambda: bed.execute(pods[one][0], "timeout", "5", "wget", "-q", "-O", "-", f"{there()}/node"),
        )
        expect(said.strip() == other, f"{one} asked {other} and heard {said!r}")
        got = until(
            f"ten megabytes from {other} on {one}",
            60,
            lambda: bed.execute(pods[one][0], "sh", "-c", f"wget -q -O /tmp/large {there()}/large && sha256sum </tmp/large"),
        )
        sums = [got, bed.execute(pods[other][0], "sh", "-c", "sha256sum </www/large")]
        expect(sums[0] == sums[1], f"ten megabytes from {other} arrive changed on {one}")
    address = bed.get("service", "web")["spec"]["clusterIP"]
    for one in names:
        said = until(
            f"{one} reaches the service",
            60,
            lambda: bed.execute(pods[one][0], "timeout", "5", "wget", "-q", "-O", "-", f"http://{address}/secret"),
        )
        expect(said.strip() == "of the secret", f"the service says {said!r}")
        said = bed.execute(pods[one][0], "cat", "/map/key", "/secret/key")
        expect(said == "of the mapof the secret", f"volumes of a pod on {one} hold {said!r}")
        expect("serving" in bed.kubectl("logs", pods[one][0]), f"no logs of a pod on {one}")
    return pods


def names_resolve(bed, nodes):
    """Services by name, and by its first part only, from a pod on every node."""
    pods = bed.pods("web")
    for one in sorted(nodes):
        # The API's own port speaks TLS only, and says so.
        for name, wanted in (("web.default.svc.cluster.local/map", "of the map"), ("kubernetes.default:443", "400 Bad Request")):
            ask = f"timeout 5 wget -q -O - http://{name} 2>&1 || true"
            until(f"a pod on {one} finds {name}", 60, lambda ask=ask, wanted=wanted: wanted in bed.execute(pods[one][0], "sh", "-c", ask))


def start(bed, order=None, pause=0):
    """Powers on, and measures from then."""
    began = time.monotonic()
    for node in order or list(bed.machines):
        bed.power_on(node)
        time.sleep(pause)
    control_plane = [name for name in bed.machines if name.startswith("m-")]
    until("etcd is healthy", 120, lambda: all(bed.etcd_health(name) for name in control_plane))
    bed.time("etcd healthy", began)
    bed.wait_api()
    bed.time("API ready", began)
    bed.wait_ready()
    bed.time("all nodes Ready", began)
    return began


def first_pods(bed, began):
    bed.apply(*daemons())
    pods_talk(bed, bed.machines)
    bed.time("pods talk", began)
    names_resolve(bed, bed.machines)
    for name, one in bed.machines.items():
        until(f"every one-shot of {name} ended well", 60, lambda: not one.failed())
        if name.startswith("m-"):
            until(f"{name} has put the add-ons in", 60, lambda: "the add-ons are in" in one.says("addons"))


def keys_hold(bed):
    """What sealed keys allow, and what they don't."""

    def ask(*words):
        return bed.switch.run(
            "/usr/bin/curl", "-sk", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code}", *words, check=False
        ).stdout.strip()

    master = bed.address("m-1")
    expect(ask(f"https://{master}:6443/api") == "401", "an anonymous request is answered")
    expect(ask(f"https://{master}:10250/pods") == "401", "an anonymous request to a kubelet is answered")
    pki = f"{bed.machines['w-1'].disk}/opt/kubernetes/pki"
    as_kubelet = ["--cert", f"{pki}/kubelet.crt", "--key", f"{pki}/kubelet.key", "--cacert", f"{pki}/ca.crt"]
    bed.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "for-w-2"}, "stringData": {"key": "x"}},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "holder"},
            "spec": {
                "nodeName": "w-2",
                "terminationGracePeriodSeconds": 0,
                "volumes": [{"name": "secret", "secret": {"secretName": "for-w-2"}}],
                "containers": [
                    {
                        "name": "holder",
                        "image": "bed/pod:1",
                        "imagePullPolicy": "Never",
                        "command": ["sleep", "3600"],
                        "volumeMounts": [{"name": "secret", "mountPath": "/s"}],
                    }
                ],
            },
        },
    )
    secret = f"https://{master}:6443/api/v1/namespaces/default/secrets/for-w-2"
    other = f"{bed.machines['w-2'].disk}/opt/kubernetes/pki"
    as_other = ["--cert", f"{other}/kubelet.crt", "--key", f"{other}/kubelet.key", "--cacert", f"{other}/ca.crt"]
    until("w-2 reads the secret of its own pod", 30, lambda: ask(*as_other, secret) == "200")
    expect(ask(*as_kubelet, secret) == "403", "w-1 reads a secret of w-2")
    # etcd: nothing without a certificate, with flannel's only what is flannel's, and secrets are encrypted.
    etcd = f"https://{master}:2379"
    refused = bed.switch.run("/usr/bin/curl", "-sk", "--max-time", "5", f"{etcd}/version", check=False)
    expect(refused.returncode != 0, "etcd answers a client without a certificate")

    def etcdctl(certificate, *words):
        return bed.switch.run(
            "env", "ETCDCTL_API=3", f"{bed.component('etcd')}/etcdctl", "--endpoints", etcd, *certificate, *words, check=False
        )

    flannel = ["--cacert", f"{pki}/etcd-ca.crt", "--cert", f"{pki}/flannel.crt", "--key", f"{pki}/flannel.key"]
    expect("Network" in etcdctl(flannel, "get", "/coreos.com/network/config").stdout, "flannel can't read its network")
    for words in (["get", "--prefix", "/registry"], ["put", "/registry/x", "y"], ["user", "list"]):
        refused = etcdctl(flannel, *words)
        expect(
            refused.returncode != 0 and "permission denied" in refused.stdout,
            f"with flannel's certificate: etcdctl {' '.join(words)}: {refused.stdout[:200]}",
        )
    sealed = f"{bed.out}/sealed/etcd"
    operator = ["--cacert", f"{sealed}/ca.crt", "--cert", f"{sealed}/admin.crt", "--key", f"{sealed}/admin.key"]
    stored = bed.switch.run(
        "env",
        "ETCDCTL_API=3",
        "sh",
        "-c",
        'exec "$@" | strings',
        "sh",
        f"{bed.component('etcd')}/etcdctl",
        "--endpoints",
        etcd,
        *operator,
        "get",
        "/registry/secrets/default/for-w-2",
    ).stdout
    expect("k8s:enc:secretbox:v1:generation-1" in stored, f"a secret lies in etcd as {stored[:200]!r}")
    bed.kubectl("delete", "pod", "holder", "--grace-period=0", "--force")


def status_tells(bed):
    """`remuda status`: all as the tree says; with a worker off; and with it on again."""

    def says(code, *parts):
        exit_status, said = bed.status()
        if exit_status != code or not all(part in said for part in parts):
            raise Failed(f"exit status {exit_status}:\n{said}")
        return said

    configs = json.loads(read(bed.manifest()))["configs"]
    all_well = [f"\n{name}   Ready  {configs[name]}" for name in bed.machines]
    until("status says that all is as the tree says", 60, lambda: says(0, "all as out/bed says", *all_well))
    bed.power_off("w-2")
    until("status says that w-2 is off", 120, lambda: says(1, "\nw-2   not Ready  ", "last heard of", "\nw-1   Ready "))
    bed.power_on("w-2")
    until("status says that w-2 is back", 120, lambda: says(0, *all_well))
    pods_talk(bed, bed.machines)


def plan_goes_on(bed):
    """`remuda plan --live`: nothing to do; and with a config that w-2 hasn't booted with, just that node, also once its
    tree is committed."""

    def says(*parts):
        exit_status, said = bed.plan_live()
        if exit_status != 0 or not all(part in said for part in parts):
            raise Failed(f"exit status {exit_status}:\n{said}")
        return said

    whole = read(f"{bed.folder}/cluster.yaml")
    bed.commit()
    until("a live plan has nothing to do", 60, lambda: says("bed: nothing to do: what runs is what the profile says\n"))
    two = "  w-[1-2]: {role: worker, address: 10.77.0.21}\n"
    apart = "  w-1: {role: worker, address: 10.77.0.21}\n  w-2: {role: worker, address: 10.77.0.22, sysctl: {vm.swappiness: '7'}}\n"
    expect(two in whole, "the profile has other workers")
    changed = bed.generate(whole.replace(two, apart))
    expect(changed == ["w-2"], f"{changed} change")
    only_w_2 = ["bed: 1 node changes, 2 steps (since what runs)\n", "  m-1, w-1: what the profile says\n", "2. Give w-2 the new config\n"]
    says(*only_w_2, "  w-2: out/bed at HEAD\n")
    bed.commit()
    says(*only_w_2, "  w-2: out/bed at ", "1. Write and seal the tree that is committed\n")
    bed.generate(whole)
    bed.commit()
    says("bed: nothing to do")


# --- the scenarios ---


def basic(scenario):
    """One control-plane node, two workers, all powered on at once; then each rebooted."""
    with scenario.cluster(profile(SMALL)) as bed:
        first_pods(bed, start(bed))
        keys_hold(bed)
        bed.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "scaled"},
                "spec": {
                    "replicas": 1,
                    "selector": {"matchLabels": {"app": "scaled"}},
                    "template": {
                        "metadata": {"labels": {"app": "scaled"}},
                        "spec": {
                            "terminationGracePeriodSeconds": 0,
                            "containers": [
                                {"name": "scaled", "image": "bed/pod:1", "imagePullPolicy": "Never", "command": ["sleep", "3600"]}
                            ],
                        },
                    },
                },
            }
        )
        bed.kubectl("scale", "deployment", "scaled", "--replicas=4")
        until("the deployment has four pods", 60, lambda: bed.get("deployment", "scaled")["status"].get("readyReplicas") == 4)
        bed.kubectl("drain", "w-1", "--ignore-daemonsets", "--timeout=60s", timeout=90)
        until(
            "four pods are on the other worker",
            60,
            lambda: set(bed.pods("scaled")) == {"w-2"} and bed.get("deployment", "scaled")["status"].get("readyReplicas") == 4,
        )
        bed.kubectl("uncordon", "w-1")
        bed.times["slowest reboot, Ready again"] = reboot_each(bed, bed.subnets())


def burmillaos(scenario):
    """The same on BurmillaOS, which has no user Docker of its own; then rebooted, and a node without the engine's image."""
    text = profile(SMALL, target="burmillaos-2.0")
    with scenario.cluster(text) as bed:
        first_pods(bed, start(bed))
        keys_hold(bed)
        for name in bed.machines:
            said = bed.machines[name].run("docker", "-H", "unix:///var/run/docker.sock", "version", "-f", "{{.Server.Version}}").stdout
            expect(said.strip() == "25.0.6", f"{name} runs Docker {said}")
            identity = bed.machines[name].run("docker", "-H", "unix:///var/run/docker.sock", "info", "-f", "{{.ID}}").stdout.strip()
            written = bed.machines[name].run("cat", "/var/lib/user-docker/engine-id").stdout
            expect(identity == written and len(identity) == 36, f"{name}: {identity}, {written}")
        bed.times["slowest reboot, Ready again"] = reboot_each(bed, bed.subnets())


def ports_open(bed):
    """A service's port on every node, and a pod's on its own."""
    web = {"app": "web"}
    on_the_host = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "on-the-host", "namespace": "on-the-host"},
        "spec": {
            "nodeName": "w-1",
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "web",
                    "image": "bed/pod:1",
                    "imagePullPolicy": "Never",
                    "command": ["sh", "-c", "mkdir /www; echo here >/www/here; exec httpd -f -p 8080 -h /www"],
                    "ports": [{"containerPort": 8080, "hostPort": 8088}],
                }
            ],
        },
    }
    port = {"port": 80, "targetPort": 8080, "nodePort": 30080}
    bed.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "outside"},
            "spec": {"type": "NodePort", "selector": web, "ports": [port]},
        },
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "on-the-host", "labels": {"pod-security.kubernetes.io/enforce": "privileged"}},
        },
    )
    # Its service account comes a moment later than the namespace.
    until("the namespace takes pods", 30, lambda: bed.apply(on_the_host) or True)

    def get(node, path):
        return bed.switch.run("/usr/bin/curl", "-s", "--max-time", "5", f"http://{bed.address(node)}:{path}", check=False).stdout.strip()

    for node in bed.machines:
        until(f"{node} has the service's port", 30, lambda: get(node, "30080/map") == "of the map")
    until("w-1 has the pod's port", 30, lambda: get("w-1", "8088/here") == "here")


TODAY = {"target": "burmillaos-2.0", "line": "kubernetes-1.37"}


def guarded(bed):
    """What lines of today refuse, and what they write down."""
    master = bed.address("m-1")
    answers = {
        path: bed.switch.run("/usr/bin/curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", f"https://{master}:6443{path}").stdout.strip()
        for path in ("/readyz", "/livez", "/version", "/api")
    }
    expect(answers == {"/readyz": "200", "/livez": "200", "/version": "401", "/api": "401"}, f"anonymous requests get {answers}")
    web = {"name": "web", "image": "bed/pod:1", "securityContext": {"privileged": True}}
    privileged = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "privileged"}, "spec": {"containers": [web]}}
    try:
        bed.apply(privileged)
    except Failed as error:
        expect("violates PodSecurity" in str(error), f"a privileged pod is refused otherwise: {error}")
    else:
        raise Failed("a namespace without labels takes a privileged pod")
    bed.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "written-down"}, "stringData": {"key": "not-this"}})

    def audit():
        with open(f"{bed.machines['m-1'].disk}/var/log/kubernetes/audit.log") as file:
            return file.read()

    until("the audit log has who made a secret", 30, lambda: '"name":"written-down"' in audit())
    expect("not-this" not in audit() and "bm90LXRoaXM" not in audit(), "the audit log has a secret's content")


def today(scenario, line="kubernetes-1.37"):
    """Kubernetes 1.37 on BurmillaOS, with pods in a containerd of its own and names in the cluster; then each node rebooted."""
    with scenario.cluster(profile(SMALL, **{**TODAY, "line": line})) as bed:
        first_pods(bed, start(bed))
        ports_open(bed)
        keys_hold(bed)
        guarded(bed)
        bed.kubectl("-n", "kube-system", "scale", "deployment", "coredns", "--replicas=3")
        status_tells(bed)
        plan_goes_on(bed)
        bed.times["slowest reboot, Ready again"] = reboot_each(bed, bed.subnets())
        until("m-1 has put the add-ons in again", 60, lambda: "the add-ons are in" in bed.machines["m-1"].says("addons"))
        replicas = bed.get("-n", "kube-system", "deployment", "coredns")["spec"]["replicas"]
        expect(replicas == 3, f"a reboot changed CoreDNS from 3 replicas to {replicas}")


def both_families(bed):
    """Each node and pod has an address of each family; pods, services, ports of nodes and names are reached by both."""
    addresses = {}
    for name in bed.machines:
        (own,) = bed.config(name)["rancher"]["network"]["interfaces"].values()
        addresses[name] = [one.split("/")[0] for one in (own["address"], *own["addresses"])]

    def of_nodes():
        listed = {node["metadata"]["name"]: node["status"]["addresses"] for node in bed.get("nodes")["items"]}
        return {name: [one["address"] for one in of if one["type"] == "InternalIP"] for name, of in listed.items()}

    until(f"the nodes have {addresses}", 60, lambda: of_nodes() == addresses)

    def pods():
        listed = bed.get("pods", "-l", "app=web")["items"]
        return {pod["spec"]["nodeName"]: [one["ip"] for one in pod["status"].get("podIPs", [])] for pod in listed}

    names, there = sorted(bed.pods("web")), pods()
    for name in names:
        (conflist,) = [file["content"] for file in bed.config(name)["write_files"] if file["path"].endswith(".conflist")]
        subnets = [ipaddress.ip_network(one["subnet"]) for (one,) in json.loads(conflist)["plugins"][0]["ipam"]["ranges"]]
        is_in = [ipaddress.ip_address(one) in subnet for one, subnet in zip(there[name], subnets, strict=True)]
        expect(is_in == [True, True], f"{name} has {subnets}, and its pod {there[name]}")

    def url(address):
        return f"http://[{address}]" if ":" in address else f"http://{address}"

    def ask(name, *words):
        return bed.execute(bed.pods("web")[name][0], "timeout", "20", *words)

    for one, other in itertools.permutations(names, 2):
        for address in there[other]:
            said = until(f"{one} reaches {address}", 60, lambda: ask(one, "wget", "-q", "-O", "-", f"{url(address)}:8080/node"))
            expect(said.strip() == other, f"{one} asked {other} and heard {said!r}")
            # Full packets, and back.
            got = until(
                f"ten megabytes from {address}",
                60,
                lambda: ask(one, "sh", "-c", f"wget -q -O /tmp/large {url(address)}:8080/large && sha256sum </tmp/large"),
            )
            expect(got == ask(other, "sh", "-c", "sha256sum </www/large"), f"ten megabytes from {other} arrive changed on {one}")
    port = {"port": 80, "targetPort": 8080, "nodePort": 30081}
    spec = {"type": "NodePort", "ipFamilyPolicy": "RequireDualStack", "selector": {"app": "web"}, "ports": [port]}
    bed.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "both"}, "spec": spec})
    cluster_ips = bed.get("service", "both")["spec"]["clusterIPs"]
    servers = bed.get("-n", "kube-system", "service", "kube-dns")["spec"]["clusterIPs"]
    expect(len(cluster_ips) == len(servers) == 2, f"the services have {cluster_ips} and {servers}")
    for name in names:
        for address in cluster_ips:
            said = until(f"{name} reaches {address}", 60, lambda: ask(name, "wget", "-q", "-O", "-", f"{url(address)}/map"))
            expect(said == "of the map", f"the service says {said!r}")
        for server in servers:
            said = until(f"{name} asks {server}", 60, lambda: ask(name, "nslookup", "both.default.svc.cluster.local", server))
            expect(all(address in said for address in cluster_ips), f"{server} says {said!r}")
        for address in addresses[name]:
            get = ["/usr/bin/curl", "-sg", "--max-time", "5", f"{url(address)}:30081/map"]
            until(f"{address} has the service's port", 60, lambda: bed.switch.run(*get, check=False).stdout == "of the map")
    authority = f"{bed.machines['m-1'].disk}/opt/kubernetes/pki/ca.crt"
    for address in addresses["m-1"]:
        get = ["/usr/bin/curl", "-sg", "--cacert", authority, f"{url(address)}:6443/readyz".replace("http:", "https:")]
        until(f"the API's certificate has {address}", 30, lambda: bed.switch.run(*get, check=False).stdout == "ok")


def today_dual_stack(scenario):
    """Kubernetes 1.37 with IPv4 and IPv6, for nodes, pods and services; then each node rebooted."""
    nodes = SMALL.replace("address: 10.77.0.11", "address: [10.77.0.11, 'fd00:77::a:11']")
    with scenario.cluster(profile(nodes, addresses=OF_BOTH, **TODAY)) as bed:
        first_pods(bed, start(bed))
        both_families(bed)
        bed.times["slowest reboot, Ready again"] = reboot_each(bed, bed.subnets())
        both_families(bed)


def orders(scenario):
    """The same, powered on in other orders, some seconds apart."""
    for order in (["w-2", "w-1", "m-1"], ["m-1", "w-1", "w-2"]):
        with scenario.cluster(profile(SMALL)) as bed:
            first_pods(bed, start(bed, order, pause=8))


def host_gw(scenario):
    """Without encapsulation."""
    with scenario.cluster(profile(SMALL, network=", backend: host-gw")) as bed:
        first_pods(bed, start(bed))
        expect("flannel.1" not in bed.machines["w-1"].run("ip", "link").stdout, "there is a vxlan device")


def high_availability(scenario):
    """Three control-plane nodes: one off, back; all off, back."""
    with scenario.cluster(profile(LARGE, ENDPOINT)) as bed:
        first_pods(bed, start(bed))
        objects = bed.kubectl("get", "configmap,secret,daemonset,service", "-o", "name")
        bed.power_off("m-2")
        began = time.monotonic()
        until("the API goes on with two of three", 60, lambda: bed.kubectl("create", "configmap", "while-off", timeout=10))
        bed.time("API goes on, one of three off", began)
        bed.power_on("m-2")
        began = time.monotonic()
        until("m-2 is in etcd again", 120, lambda: bed.etcd_health("m-2"))
        bed.wait_ready()
        bed.time("the third is back", began)
        bed.power_off()
        began = time.monotonic()
        bed.power_on()
        bed.wait_api(180)
        bed.time("API ready after all were off", began)
        bed.wait_ready()
        pods_talk(bed, bed.machines)
        bed.time("pods talk after all were off", began)
        names_resolve(bed, bed.machines)
        left = set(objects.split()) - set(bed.kubectl("get", "configmap,secret,daemonset,service", "-o", "name").split())
        expect(not left, f"lost: {left}")


def reboot_each(bed, subnets):
    """One node after the other; gives the seconds of the slowest."""
    slowest = 0
    for name, one in bed.machines.items():
        before = bed.restarts("web", name)
        began = time.monotonic()
        one.reboot()
        until(
            f"{name} runs its kubelet again",
            60,
            lambda: one.docker("ps", "--filter", "name=kubelet", "--format", "{{.Names}}").stdout.strip(),
        )
        bed.wait_api()
        until(
            f"{name} is Ready again, with its pod",
            120,
            lambda: name in bed.ready_nodes() and bed.restarts("web", name) > before and bed.pods("web").get(name),
        )
        expect(bed.subnets()[name] == subnets[name], f"{name} has another subnet")
        slowest = max(slowest, time.monotonic() - began)
    pods_talk(bed, bed.machines)
    names_resolve(bed, bed.machines)
    return slowest


def reboots(scenario, rounds=10):
    """Each node rebooted in turn."""
    with scenario.cluster(profile(SMALL)) as bed:
        first_pods(bed, start(bed))
        subnets = bed.subnets()
        slowest = 0
        for number in range(rounds):
            slowest = max(slowest, reboot_each(bed, subnets))
            print(f"    round {number + 1} of {rounds}", flush=True)
        bed.times["slowest reboot, Ready again"] = slowest


def delivery(scenario, **of):
    """No image on any machine: each fetches them by URL, from a server that isn't there at first and dies twice."""
    text = profile(SMALL, "images: {delivery: url, url: http://10.77.0.1:8080/images}", **of)
    with scenario.cluster(text, preloads=False) as bed:
        began = time.monotonic()
        bed.power_on()
        until("a machine waits for the server", 60, lambda: "trying again" in bed.machines["w-1"].docker("logs", "component-images").stdout)
        served = bed.serve_images(8080, 2)
        bed.wait_api()
        bed.wait_ready()
        bed.time("all nodes Ready", began)
        first_pods(bed, began)
        with open(served) as file:
            said = file.read()
        expect(said.count("cut:") == 2 and re.search(r"sent: \S+ from [1-9]", said), f"nothing was resumed: {said}")
        sent = said.count("sent:")
        bed.machines["w-1"].reboot()
        until(
            "w-1 runs its kubelet again",
            60,
            lambda: bed.machines["w-1"].docker("ps", "--filter", "name=kubelet", "--format", "{{.Names}}").stdout.strip(),
        )
        with open(served) as file:
            expect(file.read().count("sent:") == sent, "a reboot fetched images again")


def registry(scenario, **of):
    """No image on any machine: each pulls by digest from a private registry."""
    password = 'not: for "everyone"'
    images = "images: {delivery: registry, registry: '10.77.0.1:5000/k8s', insecure: ['10.77.0.1:5000'], login: {username: ops, secret: registry}}"
    with scenario.cluster(profile(SMALL, images, **of), preloads=False, secrets={"registry": password}) as bed:
        bed.serve_registry(5000, "ops", password)
        began = time.monotonic()
        bed.power_on()
        bed.wait_api()
        bed.wait_ready()
        bed.time("all nodes Ready", began)
        first_pods(bed, began)
        digests = ["images", "--digests", "--format", "{{.Repository}}@{{.Digest}}"]

        def of_pods():
            if bed.has_containerd():
                return json.dumps(bed.get("node", "w-1")["status"]["images"])
            return bed.machines["w-1"].docker(*digests, engine="docker").stdout

        for image, said in (("kubelet", lambda: bed.machines["w-1"].docker(*digests).stdout), ("pause", of_pods)):
            pulled = re.compile(rf"10.77.0.1:5000/k8s/remuda/{image}(:[0-9.]+)?@sha256:")
            # A kubelet lists its images anew only each half minute.
            until(f"{image} was pulled by digest", 90, lambda pulled=pulled, said=said: pulled.search(said()))


def drive(scenario, **of):
    """No image on the machine and no network to get one: they come from a drive that is put in late."""
    only = "  m-1: {roles: [control-plane, worker], address: 10.77.0.11}"
    with scenario.cluster(profile(only, "images: {delivery: drive}", **of), preloads=False) as bed:
        began = time.monotonic()
        bed.power_on()
        until(
            "the machine waits for the drive", 60, lambda: "trying again" in bed.machines["m-1"].docker("logs", "component-images").stdout
        )
        bed.attach_drive()
        bed.wait_api()
        bed.wait_ready()
        bed.time("all nodes Ready", began)
        first_pods(bed, began)


def wiped(scenario):
    """A worker's disk is lost; its same config brings it back."""
    with scenario.cluster(profile(SMALL)) as bed:
        first_pods(bed, start(bed))
        subnets = bed.subnets()
        bed.power_off("w-1")
        bed.machines["w-1"].wipe()
        bed.install(["w-1"])
        began = time.monotonic()
        bed.power_on("w-1")
        # What the API remembers of the pods on it is older than the disk.
        until(
            "w-1 runs its kubelet again",
            90,
            lambda: bed.machines["w-1"].docker("ps", "--filter", "name=kubelet", "--format", "{{.Names}}").stdout.strip(),
        )
        bed.wait_ready()
        pods_talk(bed, bed.machines)
        bed.time("back with an empty disk", began)
        expect(bed.subnets() == subnets, "a subnet changed")


def today_burned(scenario):
    """All three control-plane nodes lose their disks: the cluster is back from the profile, the seed and a snapshot."""

    def text(etcd=""):
        return profile(LARGE, f"api: {{vip: 10.77.0.10}}\n{etcd}", **TODAY)

    with scenario.cluster(text()) as bed:
        first_pods(bed, start(bed))
        bed.kubectl("create", "configmap", "before", "--from-literal=key=kept")
        bed.kubectl("-n", "kube-system", "create", "secret", "generic", "old", "--from-literal=key=secret")
        done = bed.etcdctl("m-2", "snapshot", "save", f"{bed.folder}/etcd.db")
        expect(done.returncode == 0, f"no snapshot: {done.stdout}")
        bed.kubectl("create", "configmap", "after", "--from-literal=key=lost")
        revision = int(bed.get("configmap", "after")["metadata"]["resourceVersion"])
        uid = bed.get("namespace", "default")["metadata"]["uid"]
        masters = [name for name in bed.machines if name.startswith("m-")]
        bed.power_off(*masters)
        for name in masters:
            bed.machines[name].wipe()
        changed = bed.generate(text("etcd: {restore: {member: m-1}}"))
        expect(set(masters) <= set(changed), f"gen --diff names {changed}")
        bed.install()
        began = time.monotonic()
        bed.power_on(*masters)
        until("m-1 waits for a snapshot", 120, lambda: "waiting for a snapshot of etcd" in bed.machines["m-1"].says("etcd"))
        shutil.copy(f"{bed.folder}/etcd.db", f"{bed.machines['m-1'].disk}/var/lib/etcd-restore/etcd.db")
        bed.wait_api()
        bed.time("API back, all three disks new", began)
        expect(bed.get("namespace", "default")["metadata"]["uid"] == uid, "it is another cluster")
        expect(bed.get("configmap", "before")["data"] == {"key": "kept"}, "an object of the snapshot is lost")
        expect(bed.kubectl("get", "configmap", "after", check=False).returncode != 0, "there is an object that is newer than the snapshot")
        value = bed.get("-n", "kube-system", "secret", "old")["data"]["key"]
        expect(base64.b64decode(value) == b"secret", f"the secret is {value}")
        until("three members of etcd are healthy", 120, lambda: all(bed.etcd_health(name) for name in masters))
        bed.wait_ready()

        # A flannel that went on takes its own lease away when it has to list them again, and tries for 156 s.
        def reached():
            pods = bed.pods("web")
            return bed.execute(pods["w-1"][0], "timeout", "5", "wget", "-q", "-O", "-", f"http://{pods['m-1'][1]}:8080/node") == "m-1\n"

        until("a pod on w-1 reaches one on m-1", 240, reached)
        pods_talk(bed, bed.machines)
        bed.time("pods talk, all three disks new", began)
        bed.kubectl("create", "configmap", "new")
        new = int(bed.get("configmap", "new")["metadata"]["resourceVersion"])
        expect(new > revision, f"revision {new} comes after {revision}")
        names_resolve(bed, bed.machines)


def changed(scenario):
    """An argument, labels, one more worker, no DNS; just the nodes that `gen --diff` names are rebooted."""
    with scenario.cluster(profile(SMALL)) as bed:
        first_pods(bed, start(bed))
        before = {name: read(f"{bed.out}/sealed/{name}/cloud-config.yml") for name in bed.machines}
        changed_profile = profile(
            SMALL.replace("address: 10.77.0.21}", "address: 10.77.0.21, components: {kubelet: {args: {max-pods: 42}}}}")
        )
        names = bed.generate(changed_profile)
        expect(names == ["w-1", "w-2"], f"gen --diff names {names}")
        expect(read(f"{bed.out}/sealed/m-1/cloud-config.yml") == before["m-1"], "the config of m-1 changed")
        bed.install(names)
        for name in names:
            bed.machines[name].reboot()
        until("the kubelets take 42 pods", 120, lambda: all(bed.get("node", name)["status"]["capacity"]["pods"] == "42" for name in names))
        bed.kubectl("-n", "kube-system", "scale", "deployment", "coredns", "--replicas=3")
        # A label on a node that is registered already, and away again.
        for label, wanted in ((", labels: {disk: slow, tier: back}", ("slow", "back")), (", labels: {disk: quick}", ("quick", None))):
            text = changed_profile.replace("role: control-plane,", f"role: control-plane{label},")
            names = bed.generate(text)
            expect(names == ["m-1"], f"gen --diff names {names}")
            bed.install(names)
            bed.machines["m-1"].reboot()

            def has():
                return (lambda labels: (labels.get("disk"), labels.get("tier")))(bed.get("node", "m-1")["metadata"]["labels"])

            until(f"m-1 has the labels {wanted}", 120, lambda: has() == wanted)
        changed_profile = text
        # One more worker.
        workers = "  w-3: {role: worker, address: 10.77.0.23, labels: {disk: slow}}\n"
        names = bed.generate(changed_profile + workers)
        expect(names == ["w-3"], f"gen --diff names {names}")
        bed.add("w-3")
        bed.install(["w-3"])
        bed.power_on("w-3")
        bed.wait_ready()
        pods_talk(bed, bed.machines)
        expect(bed.get("node", "w-3")["metadata"]["labels"]["disk"] == "slow", "w-3 has no label")
        # This API server doesn't note who scales.
        coredns = ["-n", "kube-system", "deployment", "coredns"]
        until("a reboot has scaled CoreDNS to the profile's number", 60, lambda: bed.get(*coredns)["spec"]["replicas"] == 2)
        names = bed.generate(changed_profile + workers + "addons: {dns: ~}\n")
        expect(names == ["m-1"], f"gen --diff names {names}")
        bed.install(names)
        bed.machines["m-1"].reboot()
        left = "deployment,service,configmap,serviceaccount", "-o", "name"
        until("the cluster's DNS is gone", 120, lambda: not re.search("coredns|kube-dns", bed.kubectl("-n", "kube-system", "get", *left)))


# --- nodes that learn their addresses when they boot ---

MIXED = """\
  m-1: {role: control-plane, address: 10.77.0.11}
  w-1: {role: worker, address: 10.77.0.21}
  w-[2-3]: {role: worker, address: dhcp, mac: "52:54:00:77:00:02"}
"""
DYNAMIC = """\
  m-1: {role: control-plane, address: dhcp, mac: "52:54:00:77:00:01"}
  w-[1-2]: {role: worker, address: dhcp, mac: "52:54:00:77:00:02"}
"""


def expect_addresses(bed, **addresses):
    """Every node is known in the API by its address of now."""
    wanted = {name.replace("_", "-"): address for name, address in addresses.items()}

    def internal(node):
        return next(one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP")

    def has():
        return {node["metadata"]["name"]: internal(node) for node in bed.get("nodes")["items"]}

    until(f"the nodes have the addresses {wanted}", 120, lambda: wanted.items() <= has().items())
    for name in wanted:
        until(
            f"the API reaches the kubelet of {name}",
            90,
            lambda: bed.kubectl("get", "--raw", f"/api/v1/nodes/{name}/proxy/healthz", timeout=5) == "ok",
        )


def back(bed, *nodes):
    """Powers on what is off, all at once, and waits for the kubelets: the API's memory of these nodes is older."""
    began = time.monotonic()
    bed.power_on(*nodes)
    for name in nodes:
        one = bed.machines[name]
        until(
            f"{name} runs its kubelet again",
            120,
            lambda: one.docker("ps", "--filter", "name=kubelet", "--format", "{{.Names}}").stdout.strip(),
        )
    bed.wait_api()
    return began


def dynamic(scenario):
    """A control-plane node and a worker with known addresses, two workers by DHCP: at once; addresses exchanged; no network; a killed one-shot."""
    with scenario.cluster(profile(MIXED)) as bed:
        bed.give(w_2="10.77.0.102", w_3="10.77.0.103")
        first_pods(bed, start(bed))
        expect_addresses(bed, m_1="10.77.0.11", w_1="10.77.0.21", w_2="10.77.0.102", w_3="10.77.0.103")
        subnets = bed.subnets()
        expect(subnets["m-1"] == "10.244.11.1" and subnets["w-1"] == "10.244.21.1", f"not what the profile says: {subnets}")
        expect(all(int(subnets[name].split(".")[2]) >= 128 for name in ("w-2", "w-3")), f"leased from the reserved half: {subnets}")
        # Each gets the other's address.
        bed.power_off("w-2", "w-3")
        bed.give(w_2="10.77.0.103", w_3="10.77.0.102")
        began = back(bed, "w-2", "w-3")
        expect_addresses(bed, w_2="10.77.0.103", w_3="10.77.0.102")
        bed.wait_ready()
        pods_talk(bed, bed.machines)
        bed.time("addresses exchanged, pods talk", began)
        # An address that nobody had, a network that comes late, and one-shots killed while they wait.
        bed.power_off("w-3")
        bed.give(w_3="10.77.0.150")
        bed.switch.hold_dhcp()
        w_3 = bed.machines["w-3"]
        w_3.power_on()
        until("node-address says what it waits for", 90, lambda: "waiting for an address on" in w_3.says("node-address"))
        expect("flannel: started" not in w_3.this_boot(), "flannel was started before there is an address")
        # From outside: what Docker is asked to kill, it doesn't start again.
        w_3.run("kill", "-9", w_3.docker("inspect", "-f", "{{.State.Pid}}", "node-address").stdout.strip())
        until(
            "the killed one-shot waits again",
            30,
            lambda: w_3.docker("inspect", "-f", "{{.RestartCount}} {{.State.Running}}", "node-address").stdout.split() == ["1", "true"],
        )
        expect(
            "waiting for NODE_ADDRESS" in until("flannel says what it waits for", 30, lambda: w_3.says("flannel")), "flannel has an address"
        )
        began = time.monotonic()
        bed.switch.resume_dhcp()
        expect_addresses(bed, w_3="10.77.0.150")
        bed.wait_ready()
        pods_talk(bed, bed.machines)
        bed.time("network late, pods talk", began)
        # etcd away for a minute: flannel-subnet holds Docker back, and says why.
        bed.power_off("w-2", "m-1")
        bed.power_on("w-2")
        w_2 = bed.machines["w-2"]
        until("flannel-subnet says what it waits for", 60, lambda: "waiting for flannel's lease" in w_2.says("flannel-subnet"))
        time.sleep(60)
        expect(" docker: up" not in w_2.this_boot(), "user Docker was started without a subnet")
        began = time.monotonic()
        bed.power_on("m-1")
        bed.wait_api()
        until("w-2 runs its kubelet", 120, lambda: w_2.docker("ps", "--filter", "name=kubelet", "--format", "{{.Names}}").stdout.strip())
        bed.wait_ready()
        pods_talk(bed, bed.machines)
        bed.time("etcd away for a minute, pods talk", began)


def dynamic_orders(scenario):
    """Three nodes by DHCP, the control plane too, with empty disks: powered on in each order."""
    with scenario.cluster(profile(DYNAMIC, network=", node_domain: bed.test")) as bed:
        bed.give(m_1="10.77.0.101", w_1="10.77.0.102", w_2="10.77.0.103")
        for order in itertools.permutations(bed.machines):
            for one in bed.machines.values():
                if one.is_on():
                    one.power_off()
                    one.wipe()
            bed.install()
            print(f"    {' '.join(order)}", flush=True)
            first_pods(bed, start(bed, list(order), pause=5))


def all_dynamic(scenario, **of):
    """Three nodes by DHCP, the control plane too: at once; then each one with another address."""
    with scenario.cluster(profile(DYNAMIC, network=", node_domain: bed.test", **of)) as bed:
        bed.give(m_1="10.77.0.101", w_1="10.77.0.102", w_2="10.77.0.103")
        first_pods(bed, start(bed))
        for number, node in enumerate(["w-1", "m-1", "w-2"]):
            bed.power_off(node)
            key = node.replace("-", "_")
            address = f"10.77.0.{120 + number}"
            bed.give(**{key: address})
            began = back(bed, node)
            expect_addresses(bed, **{key: address})
            bed.wait_ready()
            pods_talk(bed, bed.machines)
            bed.time(f"{node} with another address, pods talk", began)


def discovery(scenario):
    """etcd of three by discovery, a fourth node that is its client, a member cut short while it waits; then the disks lost: the used token refused."""
    bootstrap = 'etcd: {bootstrap: {discovery: "http://10.77.0.1:8087", size: 3}}'
    nodes = """\
  m-1: {role: control-plane, address: 10.77.0.11}
  e-[1-3]: {role: etcd, address: 10.77.0.31}
"""
    nodes = nodes.replace("role: control-plane", "roles: [etcd, control-plane]")
    with scenario.cluster(profile(nodes, bootstrap)) as bed:
        began = time.monotonic()
        bed.power_on("m-1", "e-1")
        for name in ("m-1", "e-1"):
            until(
                f"{name} came to the token",
                60,
                lambda: bed.machines[name].docker("exec", "etcd", "cat", "/var/lib/etcd/discovery").stdout.startswith("http"),
            )
        # Cut short: it came to the token, and has no data yet.
        time.sleep(3)
        bed.machines["e-1"].reboot()
        until("e-1 goes on waiting", 60, lambda: "waiting for 1 more of 3 members" in bed.machines["e-1"].says("etcd"))
        bed.power_on("e-2")
        until("etcd is healthy", 90, lambda: all(bed.etcd_health(name) for name in ("m-1", "e-1", "e-2")))
        bed.time("etcd of three by discovery", began)
        bed.power_on("e-3")
        until("the fourth is a client", 60, lambda: "this node is a client" in bed.machines["e-3"].says("etcd"))
        bed.wait_api()
        bed.wait_ready(["m-1"])
        # All made anew with the token of before.
        bed.power_off()
        for one in bed.machines.values():
            one.wipe()
        bed.install()
        bed.power_on()
        for name in bed.machines:
            until(f"{name} refuses the used token", 90, lambda: "was used by an earlier cluster" in bed.machines[name].says("etcd"))
        expect("remuda discovery new PROFILE" in bed.machines["m-1"].says("etcd"), "no command that mends it")
        expect(not any(bed.etcd_health(name) for name in bed.machines), "etcd formed with a used token")
        bed.power_off()
        bed.new_token()
        with open(f"{bed.folder}/cluster.yaml") as file:
            bed.generate(file.read())
        bed.install()
        bed.power_on()
        until("etcd is healthy with a new token", 90, lambda: sum(bed.etcd_health(name) for name in bed.machines) == 3)
        bed.wait_api()
        bed.wait_ready(["m-1"])


def discovery_of_one(scenario):
    """etcd of one by discovery, on whichever of two control-plane nodes comes first."""
    bootstrap = 'etcd: {bootstrap: {discovery: "http://10.77.0.1:8087", size: 1}}'
    with scenario.cluster(profile("  m-[1-2]: {role: control-plane, address: 10.77.0.11}\n", bootstrap)) as bed:
        bed.power_on("m-2")
        until("m-2 is etcd", 60, lambda: bed.etcd_health("m-2"))
        bed.power_on("m-1")
        until("m-1 is a client", 60, lambda: "this node is a client" in bed.machines["m-1"].says("etcd"))
        bed.wait_api()
        bed.wait_ready()


def mirror(scenario):
    """A registry on the host is the mirror of the Docker Hub: a pod's image comes through it, and that of a service in system-docker, and there is nothing else to reach."""
    own = "services: {mirrored: {image: 'bed/mirrored:2', command: [sleep, '3600'], net: host, labels: {io.rancher.os.scope: system, io.rancher.os.after: network}}}"
    nodes = f"  m-1: {{roles: [control-plane, worker], address: 10.77.0.11, {own}}}\n"
    with scenario.cluster(profile(nodes, "images: {mirror: 'http://10.77.0.1:5000'}")) as bed:
        log = bed.serve_mirror(5000, {"bed/mirrored:1": "pod.tar", "bed/mirrored:2": "pod.tar"})
        start(bed)
        until("pods are taken", 30, lambda: bed.get("serviceaccount", "default"))
        bed.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "mirrored", "labels": {"app": "mirrored"}},
                "spec": {
                    "containers": [
                        {"name": "mirrored", "image": "bed/mirrored:1", "imagePullPolicy": "Always", "command": ["sleep", "3600"]}
                    ]
                },
            }
        )
        until("the pod runs", 60, lambda: bed.pods("mirrored"))
        m_1 = bed.machines["m-1"]
        until(
            "the service runs",
            30,
            lambda: m_1.docker("ps", "--filter", "name=^mirrored$", "--format", "{{.Image}}").stdout.strip() == "bed/mirrored:2",
        )
        with open(log) as file:
            said = file.read()
        for engine, tag in (("docker", "1"), ("system-docker", "2")):
            expect(f"/v2/bed/mirrored/manifests/{tag}" in said, f"the registry wasn't asked by {engine}")
            refused = m_1.docker("pull", "bed/absent:1", engine=engine, check=False)
            expect(refused.returncode != 0, f"{engine}: an image that the mirror hasn't came from somewhere else")


def today_mirrors(scenario):
    """Kubernetes 1.37 whose pods' images come through mirrors of registries that can't be reached: one speaks plain HTTP, the other TLS by an authority that a file of the profile names."""
    images = "images: {mirrors: {registry.k8s.io: 'http://10.77.0.1:5000', quay.io: 'https://10.77.0.1:5443/v2'}}"
    with tempfile.TemporaryDirectory() as folder:
        made = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=mirror -addext subjectAltName=IP:10.77.0.1 -keyout {folder}/key -out {folder}/crt"
        run("openssl", *made.split())
        files = {f"mirror.{kind}": read(f"{folder}/{kind}") for kind in ("key", "crt")}
    authority = f"'/etc/docker/certs.d/10.77.0.1:5443/ca.crt': {{content: {json.dumps(files['mirror.crt'])}}}"
    nodes = f"  m-1: {{roles: [control-plane, worker], address: 10.77.0.11, files: {{{authority}}}}}\n"
    with scenario.cluster(profile(nodes, images, **TODAY), files=files) as bed:
        image = {"bed/mirrored:1": "pod.tar"}
        logs = {"registry.k8s.io": bed.serve_mirror(5000, image), "quay.io": bed.serve_mirror(5443, image, "mirror")}
        start(bed)
        until("pods are taken", 30, lambda: bed.get("serviceaccount", "default"))
        for host in logs:
            name = host.partition(".")[0]
            container = {"name": name, "image": f"{host}/bed/mirrored:1", "imagePullPolicy": "Always", "command": ["sleep", "3600"]}
            bed.apply(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": name, "labels": {"app": name}},
                    "spec": {"containers": [container]},
                }
            )
        for host, log in logs.items():
            until(f"the pod of {host} runs", 60, lambda host=host: bed.pods(host.partition(".")[0]))
            expect("/v2/bed/mirrored/manifests/1" in read(log), f"the mirror of {host} wasn't asked")


# --- controls: configs broken by hand; a bed that can't fail proves nothing ---


@contextlib.contextmanager
def broken(scenario, change, **options):
    """A cluster powered on with each node's config changed by `change(name, config)`."""
    with scenario.cluster(profile(SMALL, **options)) as bed:
        for name in bed.machines:
            path = f"{bed.machines[name].disk}/var/lib/rancher/conf/cloud-config.d/user_config.yml"
            with open(path) as file:
                config = yaml.safe_load(file)
            change(name, config)
            with open(path, "w") as file:
                file.write("#cloud-config\n" + yaml.safe_dump(config))
        bed.power_on()
        yield bed


def control_cycle(scenario):
    """A cycle among services: nothing may start."""

    def change(name, config):
        config["rancher"]["services"]["kubernetes-files"]["labels"]["io.rancher.os.after"] = "kubelet"

    with broken(scenario, change) as bed:
        until("the boot stops at the cycle", 60, lambda: all("Cycle detected" in one.boot_log() for one in bed.machines.values()))


def control_certificate(scenario):
    """A kubelet with a certificate of another authority: its node may not become Ready, the others must."""

    def change(name, config):
        files = {file["path"]: file for file in config["write_files"]}
        if name == "w-1":
            for suffix in ("crt", "key"):
                files[f"/opt/kubernetes/pki/kubelet.{suffix}"]["content"] = files[f"/opt/kubernetes/pki/flannel.{suffix}"]["content"]

    with broken(scenario, change, **TODAY) as bed:
        bed.wait_api()
        bed.wait_ready(["m-1", "w-2"])
        until("the kubelet of w-1 says why", 60, lambda: "Unauthorized" in bed.machines["w-1"].docker("logs", "kubelet").stdout)
        expect("w-1" not in bed.ready_nodes(), "w-1 became Ready")


def control_engine(scenario):
    """BurmillaOS without the image of its engine, or without the mark: no node becomes Ready, and each says why."""

    def change(name, config):
        if name == "w-2":
            config["write_files"] = [file for file in config["write_files"] if not file["path"].endswith("/engine-id")]
        else:
            del config["rancher"]["services"]["docker"]

    with broken(scenario, change, target="burmillaos-2.0") as bed:
        bed.wait_api()
        for name, why in (("m-1", "there is no user Docker"), ("w-1", "there is no user Docker"), ("w-2", "ros engine switch latest")):
            until(f"{name} says why", 60, lambda: why in bed.machines[name].boot_log())
        expect(bed.ready_nodes() in ([], set()), f"Ready: {bed.ready_nodes()}")


def control_subnet(scenario):
    """Two nodes with one subnet: pods may not talk."""

    def change(name, config):
        if name == "w-2":
            config["rancher"]["docker"]["bip"] = "10.244.21.1/24"
            for file in config["write_files"]:
                if file["path"] == "/run/flannel/subnet.env":
                    file["content"] = file["content"].replace("10.244.22.1", "10.244.21.1")

    with broken(scenario, change) as bed:
        bed.wait_api()
        bed.wait_ready()
        bed.apply(*daemons())
        try:
            pods_talk(bed, bed.machines, 40)
        except Failed:
            return
        raise Failed("pods talk although two nodes have one subnet")


def today_1_36(scenario):
    """Kubernetes 1.36 the same way."""
    today(scenario, "kubernetes-1.36")


def today_1_35(scenario):
    """Kubernetes 1.35 the same way."""
    today(scenario, "kubernetes-1.35")


class Client:
    """Asks the API at an address all the time, as a load balancer would; knows the longest time without an answer."""

    def __init__(self, bed, address):
        self.bed, self.address, self.answers, self.done = bed, address, [], threading.Event()
        self.thread = threading.Thread(target=self.go_on, daemon=True)
        self.thread.start()

    def go_on(self):
        while not self.done.wait(0.2):
            if "200" in self.ask().split():
                self.answers.append(time.monotonic())

    def ask(self):
        """The statuses that it gets."""
        url = f"https://{self.address}:6443/readyz"
        ask = ["/usr/bin/curl", "-sk", "--max-time", "0.5", "-o", "/dev/null", "-w", "%{http_code}", url]
        return self.bed.switch.run(*ask, check=False).stdout

    def longest_silence(self, since):
        times = [since, *(one for one in self.answers if one > since)]
        return max(later - earlier for earlier, later in itertools.pairwise([*times, time.monotonic()]))

    def stop(self):
        self.done.set()
        self.thread.join()


def today_vip(scenario):
    """Three control-plane nodes hold the API's address in turn: the holder loses power, and the next one its API server."""
    vip = "10.77.0.10"
    with scenario.cluster(profile(LARGE, f"api: {{vip: {vip}}}", **TODAY)) as bed:
        first_pods(bed, start(bed))

        def holders():
            on = [name for name, one in bed.machines.items() if name.startswith("m-") and one.is_on()]
            return [name for name in on if f"inet {vip}/" in bed.machines[name].run("ip", "-4", "address").stdout]

        def renewed():
            return bed.get("lease", "-n", "kube-node-lease", "w-1")["spec"]["renewTime"]

        expect(len(holders()) == 1, f"the address is on {holders()}")
        client = Client(bed, vip)
        first = holders()[0]
        began = time.monotonic()
        bed.power_off(first)
        until("another node has the address", 30, lambda: holders() and client.answers and client.answers[-1] > began + 1)
        time.sleep(3)
        gone = client.longest_silence(began)
        bed.times["the API's address silent, its holder without power"] = gone
        expect(gone <= 5, f"the address was silent for {gone:.1f} s")
        before = renewed()
        until("w-1 goes on renewing its lease", 40, lambda: renewed() != before)
        second = holders()[0]
        bed.power_on(first)
        bed.wait_ready()
        expect(holders() == [second], f"the address went back: it is on {holders()}")
        began = time.monotonic()
        bed.machines[second].docker("stop", "--time", "1", "kube-apiserver")
        until("a node with an API has the address", 30, lambda: second not in holders() and len(holders()) == 1)
        time.sleep(3)
        bed.times["the API's address silent, its holder without API server"] = client.longest_silence(began)
        before = bed.get("lease", "-n", "kube-node-lease", second)["spec"]["renewTime"]
        until(
            f"the kubelet of {second} reaches another API server",
            40,
            lambda: bed.get("lease", "-n", "kube-node-lease", second)["spec"]["renewTime"] != before,
        )
        client.stop()
        # Each of them has lost power once then, and takes the address again.
        masters = [name for name in bed.machines if name.startswith("m-")]
        bed.power_off(*masters)
        began = time.monotonic()
        bed.power_on(*masters)
        for name in masters:
            until(f"{name} runs keepalived", 60, lambda name=name: "Entering BACKUP STATE" in bed.machines[name].says("api-vip"))
        until("one of them has the address", 60, lambda: len(holders()) == 1)
        bed.wait_api()
        bed.time("the API answers at its address, all three off and on", began)


OBJECTS = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: page, namespace: shop}
data: {index.html: "the first page"}
---
apiVersion: v1
kind: Secret
metadata: {name: database, namespace: shop}
stringData: {password: !secret database}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      volumes: [{name: page, configMap: {name: page}}]
      containers:
        - name: web
          image: bed/web:1
          command: [httpd, -f, -p, "8080", -h, /www]
          volumeMounts: [{name: page, mountPath: /www}]
          readinessProbe: {httpGet: {port: 8080, path: /}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once, namespace: shop}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: once, image: bed/web:1, command: [echo, done]}]}
"""


def today_manifests(scenario):
    """Manifests of the profile's own on three control-plane nodes: applied, scaled by hand, changed, pruned, broken."""
    web = "images: {components: {web: {version: '1', engine: containerd, name: bed/web:1, from: {archive: pod.tar}}}}"
    text = profile(LARGE, f"api: {{vip: 10.77.0.10}}\n{web}\nmanifests: {{files: [objects.yaml]}}", **TODAY)
    with scenario.cluster(text, files={"objects.yaml": OBJECTS}, secrets={"database": "of the vault"}) as bed:
        began = start(bed)

        def shop(*words):
            return bed.get("-n", "shop", *words)

        def web_has(replicas):
            return shop("deployment", "web").get("status", {}).get("readyReplicas") == replicas

        def page():
            return bed.switch.run("/usr/bin/curl", "-s", "--max-time", "2", f"http://{bed.address('w-1')}:30080/", check=False).stdout

        def applied(*nodes):
            return all("the manifests are in" in bed.machines[node].says("manifests") for node in nodes)

        until("the Deployment's pods are Ready", 180, lambda: web_has(2))
        bed.time("pods of the profile's manifests Ready", began)
        until("the page is served", 60, lambda: page() == "the first page")
        until("the Job has run", 60, lambda: shop("job", "once")["status"].get("succeeded") == 1)
        until("each control-plane node has applied them", 60, lambda: applied("m-1", "m-2", "m-3"))
        password = base64.b64decode(shop("secret", "database")["data"]["password"]).decode()
        expect(password == "of the vault", f"the Secret has {password!r}")
        expect("of the vault" not in read(f"{bed.out}/nodes/m-1/cloud-config.yml"), "the config for git has the secret")
        # People may scale.
        bed.kubectl("-n", "shop", "scale", "deployment", "web", "--replicas=3")
        bed.machines["m-1"].reboot()
        until("m-1 has applied them again", 120, lambda: applied("m-1"))
        until("three pods are Ready", 60, lambda: web_has(3))
        # Another page, no Job, and an object that no API server takes: it holds nothing else up.
        bed.files["objects.yaml"] = OBJECTS.partition("---\napiVersion: batch")[0].replace("the first page", "the second page")
        bed.files["broken.yaml"] = "{apiVersion: example.com/v1, kind: Unheard, metadata: {name: of}}\n"
        changed = bed.generate(text.replace("[objects.yaml]", "[objects.yaml, broken.yaml]"))
        expect(changed == ["m-1", "m-2", "m-3"], f"gen --diff names {changed}")
        bed.install(["m-1"])
        bed.machines["m-1"].reboot()
        until("m-1 says what is refused", 120, lambda: 'no matches for kind "Unheard"' in bed.machines["m-1"].says("manifests"))
        until("the second page is served", 120, lambda: page() == "the second page")
        until("the Job is gone", 60, lambda: not shop("jobs")["items"])
        # A node that is late with its config puts nothing back.
        bed.machines["m-2"].reboot()
        until("m-2 says that it is late", 120, lambda: "the cluster has had newer manifests" in bed.machines["m-2"].says("manifests"))
        time.sleep(5)
        expect(not shop("jobs")["items"], "an older config put the Job back")
        until("the second page is still served", 30, lambda: page() == "the second page")
        # All of it goes.
        bed.generate(text.replace("[objects.yaml]", "[]"))
        bed.install(["m-1", "m-2", "m-3"])
        bed.machines["m-3"].reboot()
        until("the namespace is gone", 180, lambda: "shop" not in [one["metadata"]["name"] for one in bed.get("namespaces")["items"]])
        bed.wait_ready()


# What stays on a disk, what runs by the clock, and what the outside sees by a name.
MORE_OBJECTS = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: shop}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: keeper, namespace: shop}
spec:
  strategy: {type: Recreate}
  selector: {matchLabels: {app: keeper}}
  template:
    metadata: {labels: {app: keeper}}
    spec:
      terminationGracePeriodSeconds: 0
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
      containers:
        - name: keeper
          image: bed/web:1
          command: [sh, -c, "echo started >>/data/starts; exec sleep 1000000"]
          volumeMounts: [{name: data, mountPath: /data}]
          securityContext: {runAsUser: 1000}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: often, namespace: shop}
spec:
  schedule: "* * * * *"
  jobTemplate:
    spec:
      template:
        spec: {restartPolicy: Never, containers: [{name: often, image: bed/web:1, command: [echo, done]}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec:
  rules:
    - host: shop.example
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
"""
# It says whether it sees what the manifests define.
CHART = {
    "charts/seen/Chart.yaml": "apiVersion: v2\nname: seen\nversion: 1.0.0\n",
    "charts/seen/templates/seen.yaml": """\
apiVersion: v1
kind: ConfigMap
metadata: {name: seen}
data: {walls: {{ .Capabilities.APIVersions.Has "example.com/v1/Wall" | quote }}}
""",
}
# As many definitions as have more than 1 MiB together, like those of large operators.
WALLS = "".join(
    f"""\
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {kind.lower()}s.example.com}}
spec:
  group: example.com
  scope: Namespaced
  names: {{kind: {kind}, plural: {kind.lower()}s}}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{openAPIV3Schema: {{type: object, description: "{"large " * 60_000}"}}}}
"""
    for kind in ("Wall", "Roof", "Door", "Moat")
)


def today_addons(scenario):
    """All add-ons beside objects and a chart of the profile's own, from tarballs only; raced, rebooted, changed, removed."""
    web = "images: {components: {web: {version: '1', engine: containerd, name: bed/web:1, from: {archive: pod.tar}}}}"
    has_helm = shutil.which("helm") is not None
    if not has_helm:
        print("    SKIPPED: the chart, because helm isn't on the PATH", flush=True)
    charts = ", charts: {seen: {chart: charts/seen, namespace: shop}}" if has_helm else ""

    def text(addons):
        manifests = f"manifests: {{files: [objects.yaml, more.yaml, walls.yaml]{charts}}}"
        return profile(LARGE, f"api: {{vip: 10.77.0.10}}\n{web}\naddons: {addons}\n{manifests}", **TODAY)

    files = {"objects.yaml": OBJECTS, "more.yaml": MORE_OBJECTS, "walls.yaml": WALLS, **CHART}
    everything = text("{metrics-server: {resolution: 12}, storage: {}, ingress: {}}")
    with scenario.cluster(everything, files=files, secrets={"database": "of the vault"}) as bed:
        masters = [name for name in bed.machines if name.startswith("m-")]
        began = start(bed)
        first_pods(bed, began)

        def shop(*words):
            return bed.get("-n", "shop", *words)

        def page(port=80):
            to = ["--resolve", f"shop.example:{port}:{bed.address('w-1')}"]
            return bed.switch.run("/usr/bin/curl", "-s", "--max-time", "2", *to, f"http://shop.example:{port}/", check=False).stdout

        def starts():
            done = bed.kubectl("-n", "shop", "exec", "deployment/keeper", "--", "cat", "/data/starts", check=False)
            return done.stdout.count("started") if done.returncode == 0 else 0

        said = {"addons": "the add-ons are in", "manifests": "the manifests are in"}

        def applied(service, *nodes):
            return all(said[service] in bed.machines[node].says(service) for node in nodes)

        names_resolve(bed, bed.machines)
        until("the Ingress serves the page", 180, lambda: page() == "the first page")
        bed.time("the Ingress serves the page", began)
        until("the claim is bound, and its pod has written", 120, lambda: starts() == 1)
        bed.time("a claim's volume is written to", began)
        expect(shop("persistentvolumeclaim", "data")["status"]["phase"] == "Bound", "the claim isn't bound")
        until("nodes have metrics", 120, lambda: all(name in bed.kubectl("top", "nodes") for name in bed.machines))
        bed.time("kubectl top answers", began)
        until(
            "the CronJob has run",
            120,
            lambda: any(job["status"].get("succeeded") for job in shop("jobs")["items"] if "often" in job["metadata"]["name"]),
        )
        until("each control-plane node has applied the manifests", 60, lambda: applied("manifests", *masters))
        expect(len(bed.get("crd")["items"]) == 4, "the manifests' definitions aren't all there")
        if has_helm:
            expect(shop("configmap", "seen")["data"] == {"walls": "true"}, "the chart doesn't see what the manifests define")

        # All three at once, again and again: nothing changes.
        def objects():
            kinds = "deployment,daemonset,service,ingress,configmap,storageclass,ingressclass,clusterrole,crd"
            return {
                (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]): (
                    one["metadata"]["uid"],
                    one["metadata"].get("generation"),
                )
                for one in bed.get("-A", kinds)["items"]
            }

        def again(node, failures):
            for service, last in said.items():
                done = bed.machines[node].docker("start", "--attach", service, check=False)
                if done.returncode or last not in done.stdout:
                    failures.append(f"{service} of {node}: {done.stdout[-300:]}")

        before = objects()
        for turn in range(20):
            failures = []
            racers = [threading.Thread(target=again, args=(node, failures)) for node in masters]
            for racer in racers:
                racer.start()
            for racer in racers:
                racer.join()
            expect(not failures, f"race {turn + 1}: {'; '.join(failures)}")
        expect(objects() == before, "a race changed objects")
        bed.time("three control planes raced 20 times", began)

        # People may scale; data is there after a reboot.
        bed.kubectl("-n", "kube-system", "scale", "deployment", "metrics-server", "--replicas=2")
        for node in ("m-1", "w-1"):
            bed.machines[node].reboot()
        bed.wait_api()
        until("m-1 has put the add-ons in again", 60, lambda: applied("addons", "m-1"))
        replicas = bed.get("-n", "kube-system", "deployment", "metrics-server")["spec"]["replicas"]
        expect(replicas == 2, f"a reboot changed metrics-server from 2 replicas to {replicas}")
        until("the data is there after a reboot", 180, lambda: starts() > 1)
        begun = starts()
        until("the Ingress serves the page again", 120, lambda: page() == "the first page")

        # One removed, one changed.
        changed = bed.generate(text("{ingress: {http: 8080}, storage: {}}"))
        expect(set(masters) <= set(changed), f"gen --diff names {changed}")
        bed.install()
        for node in masters:
            bed.machines[node].reboot()
        bed.wait_api()

        def is_gone():
            left = bed.kubectl("get", "-A", "deployment,service,apiservice,clusterrole,secret", "-o", "name")
            return "metrics" not in left.replace("system:metrics", "")

        until("metrics-server is gone", 120, is_gone)
        until("port 80 is closed", 120, lambda: page() == "")
        until("port 8080 is open", 60, lambda: page(8080) == "the first page")
        expect(starts() == begun, "the data is lost, or its pod was started again")
        bed.wait_ready()
        names_resolve(bed, bed.machines)


# A network plugin in the ways of real ones: its pod mounts a file system for others, installs a program and writes a
# config. The node's subnet is in /run/bed/subnet when the scenario has written it there, and made the routes.
PLUGIN = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: network, namespace: kube-system}
spec:
  selector: {matchLabels: {app: network}}
  template:
    metadata: {labels: {app: network}}
    spec:
      hostNetwork: true
      terminationGracePeriodSeconds: 0
      tolerations: [{operator: Exists}]
      volumes:
        - {name: programs, hostPath: {path: /opt/cni/bin, type: DirectoryOrCreate}}
        - {name: configs, hostPath: {path: /etc/cni/net.d, type: Directory}}
        - {name: shared, hostPath: {path: /run/bed-network, type: DirectoryOrCreate}}
        - {name: node, hostPath: {path: /run/bed, type: Directory}}
      initContainers:
        - name: mount
          image: bed/network:1
          securityContext: {privileged: true}
          command: [sh, -c, "mkdir -p /shared/mounted && mount -t tmpfs tmpfs /shared/mounted && touch /shared/mounted/here"]
          volumeMounts: [{name: shared, mountPath: /shared, mountPropagation: Bidirectional}]
      containers:
        - name: network
          image: bed/network:1
          command:
            - sh
            - -c
            - |
              until [ -e /shared/mounted/here ] && [ -s /node/subnet ]; do sleep 1; done
              read -r subnet </node/subnet
              printf '#!/bin/sh\\nexec /usr/local/lib/cni/bridge\\n' >/programs/bed-bridge
              chmod 755 /programs/bed-bridge
              cat >/configs/new <<END
              {"cniVersion": "1.0.0", "name": "bed", "plugins": [{
                "type": "bed-bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
                "ipam": {"type": "host-local", "dataDir": "/run/bed/addresses", "ranges": [[{"subnet": "$subnet"}]], "routes": [{"dst": "0.0.0.0/0"}]}
              }]}
              END
              mv /configs/new /configs/10-bed.conflist
              exec sleep 1000000
          volumeMounts:
            - {name: programs, mountPath: /programs}
            - {name: configs, mountPath: /configs}
            - {name: shared, mountPath: /shared, mountPropagation: HostToContainer}
            - {name: node, mountPath: /node}
"""


def today_no_cni(scenario):
    """Kubernetes 1.37 without flannel: the network is in the profile's manifests. No node is Ready before it, all are after; then one rebooted."""
    image = "images: {components: {network: {version: '1', engine: containerd, name: bed/network:1, from: {archive: pod.tar}}}}"
    text = profile(SMALL, f"{image}\nmanifests: {{files: [plugin.yaml]}}", network=", backend: none", **TODAY)
    with scenario.cluster(text, files={"plugin.yaml": PLUGIN}) as bed:

        def subnets():
            return {node["metadata"]["name"]: node["spec"].get("podCIDR") for node in bed.get("nodes")["items"]}

        def plugins():
            pods = bed.get("pods", "-n", "kube-system", "-l", "app=network")["items"]
            return {pod["spec"]["nodeName"] for pod in pods if pod["status"]["phase"] == "Running"}

        def connect(*nodes):
            """What a plugin's own programs do: routes to the other nodes, and packets let through."""
            for node in nodes:
                one = bed.machines[node]
                one.run("iptables", "-P", "FORWARD", "ACCEPT")
                for other, subnet in subnets().items():
                    if other != node:
                        one.run("ip", "route", "replace", subnet, "via", bed.address(other))
                one.run("sh", "-c", f"echo {subnets()[node]} >/run/bed/subnet")

        began = time.monotonic()
        bed.power_on()
        bed.wait_api()
        until("each node has a subnet", 120, lambda: set(subnets()) == set(bed.machines) and all(subnets().values()))
        until("the plugin's pod runs on each node", 120, lambda: plugins() == set(bed.machines))
        bed.time("the plugin runs on each node", began)
        expect(not bed.ready_nodes(), f"Ready without a network: {bed.ready_nodes()}")
        for name, one in bed.machines.items():
            written = one.run("ls", "/run/kubernetes/cni").stdout
            expect(written == "" and "flannel" not in json.dumps(bed.config(name)), f"{name} has a network of ours: {written}")
        connect(*bed.machines)
        bed.wait_ready()
        bed.time("all nodes Ready", began)
        first_pods(bed, began)
        bridges = {name: subnet.replace(".0/24", ".1") for name, subnet in subnets().items()}
        expect(bed.subnets() == bridges, f"pods are in {bed.subnets()}, and the API says {subnets()}")
        w_1 = bed.machines["w-1"]
        w_1.reboot()
        until(
            "w-1 runs its kubelet again", 90, lambda: w_1.docker("ps", "--filter", "name=kubelet", "--format", "{{.Names}}").stdout.strip()
        )
        until("w-1 isn't Ready without a config", 90, lambda: "w-1" not in bed.ready_nodes())
        connect("w-1")
        bed.wait_ready()
        pods_talk(bed, bed.machines)


def today_delivery(scenario):
    """Kubernetes 1.37 with its images by URL, from a server that dies twice."""
    delivery(scenario, **TODAY)


def today_registry(scenario):
    """Kubernetes 1.37 with its images by digest, from a private registry."""
    registry(scenario, **TODAY)


def today_drive(scenario):
    """Kubernetes 1.37 with its images from a drive that is put in late."""
    drive(scenario, **TODAY)


def today_dynamic(scenario):
    """Kubernetes 1.37 by DHCP, the control plane too; then each node with another address."""
    all_dynamic(scenario, **TODAY)


ALL = {
    "basic": basic,
    "burmillaos": burmillaos,
    "today": today,
    "today-1.36": today_1_36,
    "today-1.35": today_1_35,
    "today-dual-stack": today_dual_stack,
    "today-vip": today_vip,
    "today-manifests": today_manifests,
    "today-no-cni": today_no_cni,
    "today-addons": today_addons,
    "today-burned": today_burned,
    "today-delivery": today_delivery,
    "today-registry": today_registry,
    "today-mirrors": today_mirrors,
    "today-drive": today_drive,
    "today-dynamic": today_dynamic,
    "orders": orders,
    "host-gw": host_gw,
    "high-availability": high_availability,
    "reboots": reboots,
    "delivery": delivery,
    "registry": registry,
    "drive": drive,
    "wiped": wiped,
    "changed": changed,
    "dynamic": dynamic,
    "all-dynamic": all_dynamic,
    "dynamic-orders": dynamic_orders,
    "discovery": discovery,
    "discovery-of-one": discovery_of_one,
    "mirror": mirror,
    "control-cycle": control_cycle,
    "control-certificate": control_certificate,
    "control-engine": control_engine,
    "control-subnet": control_subnet,
}
