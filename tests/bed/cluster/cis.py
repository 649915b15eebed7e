"""The CIS Kubernetes Benchmark, asked of a running cluster. docs/cis.md says what is found."""

import json
import re

from common import ROOT, expect, read
from scenarios import SMALL, TODAY, first_pods, profile, start

FOLDER = "/opt/kubernetes"
STRONG = {f"TLS_ECDHE_ECDSA_WITH_{cipher}" for cipher in ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256")}


def said():
    """What docs/cis.md says: check → outcome, of those that a node can be asked."""
    rows = re.findall(r"^\| (\d[\d.]*) \|[^|]*\| (pass|miss) \|", read(f"{ROOT}/docs/cis.md"), re.MULTILINE)
    return dict(rows)


class Node:
    """A machine, as root sees it."""

    def __init__(self, bed, name):
        self.machine = bed.machines[name]
        # What the kubelet made of its config.
        self.kubelet = json.loads(bed.kubectl("get", "--raw", f"/api/v1/nodes/{name}/proxy/configz"))["kubeletconfig"]

    def sh(self, command):
        return self.machine.run("sh", "-c", command).stdout

    def flags(self, program):
        """Those of the running program."""
        words = self.sh(f"tr '\\0' '\\n' </proc/$(pgrep -o -x {program[:15]})/cmdline").split("\n")
        return dict(word.removeprefix("--").partition("=")[::2] for word in words if word.startswith("--"))

    def files(self, at_most, *paths):
        """Whether files, and all below folders, have this mode or a stricter one, and whether they are root's."""
        lines = self.sh(f"find {' '.join(paths)} ! -type l -printf '%m %U:%G %p\\n'").splitlines()
        expect(lines, f"there is none of {paths}")
        modes, owners = zip(*(line.split()[:2] for line in lines), strict=True)
        return all(int(mode, 8) & ~at_most == 0 for mode in modes), all(owner == "0:0" for owner in owners)


def of_control_plane(bed, master):
    api, manager, scheduler = (master.flags(name) for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"))
    etcd = master.flags("etcd")
    plugins, off = api["enable-admission-plugins"].split(","), api.get("disable-admission-plugins", "").split(",")
    modes = api["authorization-mode"].split(",")
    admin = master.sh("find / -xdev -name 'admin*kubeconfig'; find / -xdev -name admin.conf")
    providers = master.sh(f"cat {api['encryption-provider-config']}")
    policy = master.sh(f"cat {api['audit-policy-file']}")
    yield "1.1.11", master.files(0o700, etcd["data-dir"], "-maxdepth 0")[0]
    yield "1.1.12", not master.files(0o700, etcd["data-dir"], "-maxdepth 0")[1]
    yield from zip(("1.1.13", "1.1.14"), (not admin, not admin), strict=True)
    yield from zip(("1.1.15", "1.1.16"), master.files(0o600, scheduler["kubeconfig"]), strict=True)
    yield from zip(("1.1.17", "1.1.18"), master.files(0o600, manager["kubeconfig"]), strict=True)
    yield "1.1.19", master.files(0o755, f"{FOLDER}/pki")[1]
    yield "1.1.20", master.files(0o644, f"{FOLDER}/pki", "-name '*.crt'")[0]
    yield "1.1.21", master.files(0o600, f"{FOLDER}/pki", "-name '*.key'")[0]
    ask = ["curl", "-sk", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}"]
    url = f"https://{bed.address('m-1')}:6443"
    asked = {path: bed.switch.run(*ask, f"{url}{path}").stdout for path in ("/livez", "/api", "/version", "/metrics")}
    expect(asked.pop("/livez") == "200" and set(asked.values()) == {"401"}, f"who is anonymous hears {asked}")
    yield "1.2.1", api.get("anonymous-auth") == "false"
    yield "1.2.2", "token-auth-file" not in api
    yield "1.2.3", "DenyServiceExternalIPs" in plugins
    yield "1.2.4", {"kubelet-client-certificate", "kubelet-client-key"} <= set(api)
    yield "1.2.5", "kubelet-certificate-authority" in api
    yield "1.2.6", "AlwaysAllow" not in modes
    yield "1.2.7", "Node" in modes
    yield "1.2.8", "RBAC" in modes
    yield "1.2.9", "EventRateLimit" in plugins
    yield "1.2.10", "AlwaysAdmit" not in plugins
    yield "1.2.11", "AlwaysPullImages" in plugins
    yield "1.2.12", "ServiceAccount" not in off
    yield "1.2.13", "NamespaceLifecycle" not in off
    yield "1.2.14", "NodeRestriction" in plugins
    yield "1.2.15", api["profiling"] == "false"
    yield "1.2.16", "audit-log-path" in api and bool(master.sh(f"cat {api['audit-log-path']} | head -c 100"))
    yield "1.2.17", int(api["audit-log-maxage"]) >= 30
    yield "1.2.18", int(api["audit-log-maxbackup"]) >= 10
    yield "1.2.19", int(api["audit-log-maxsize"]) >= 100
    yield "1.2.20", api.get("request-timeout", "60s") != "0"
    yield "1.2.21", api.get("service-account-lookup", "true") == "true"
    yield "1.2.22", "service-account-key-file" in api
    yield "1.2.23", {"etcd-certfile", "etcd-keyfile"} <= set(api)
    yield "1.2.24", {"tls-cert-file", "tls-private-key-file"} <= set(api)
    yield "1.2.25", "client-ca-file" in api
    yield "1.2.26", "etcd-cafile" in api
    yield "1.2.27", "secrets" in providers
    yield "1.2.28", re.search(r"providers:\s+- (\w+)", providers)[1] in ("secretbox", "aescbc", "kms")
    yield "1.2.29", set(api["tls-cipher-suites"].split(",")) <= STRONG
    yield "1.2.30", api["service-account-extend-token-expiration"] == "false"
    yield "1.3.1", "terminated-pod-gc-threshold" in manager
    yield "1.3.2", manager["profiling"] == "false"
    yield "1.3.3", manager["use-service-account-credentials"] == "true"
    yield "1.3.4", "service-account-private-key-file" in manager
    yield "1.3.5", "root-ca-file" in manager
    yield "1.3.6", "RotateKubeletServerCertificate=false" not in manager.get("feature-gates", "")
    yield "1.3.7", manager["bind-address"] == "127.0.0.1"
    yield "1.4.1", scheduler["profiling"] == "false"
    yield "1.4.2", scheduler["bind-address"] == "127.0.0.1"
    yield "2.1", {"cert-file", "key-file"} <= set(etcd)
    yield "2.2", etcd["client-cert-auth"] == "true"
    yield "2.3", etcd.get("auto-tls", "false") == "false"
    yield "2.4", {"peer-cert-file", "peer-key-file"} <= set(etcd)
    yield "2.5", etcd["peer-client-cert-auth"] == "true"
    yield "2.6", etcd.get("peer-auto-tls", "false") == "false"
    yield "2.7", master.sh(f"cat {etcd['trusted-ca-file']}") != master.sh(f"cat {api['client-ca-file']}")
    yield "3.1.1", "client-certificate-data" not in read(bed.kubeconfig)
    yield "3.1.3", api.get("enable-bootstrap-token-auth", "false") == "false"
    yield "3.2.1", bool(policy)
    yield "3.2.2", "secrets" in policy and "Metadata" in policy


def of_node(node):
    kubelet, config = node.flags("kubelet"), node.kubelet
    proxy = node.flags("kube-proxy")
    metrics = re.search(r"^metricsBindAddress: *\"?([^\"\s]*)", node.sh(f"cat {proxy['config']}"), re.MULTILINE)
    yield from zip(("1.1.9", "1.1.10"), node.files(0o600, "/run/kubernetes/cni", "-type f"), strict=True)
    yield from zip(("4.1.3", "4.1.4"), node.files(0o600, f"{FOLDER}/kube-proxy.kubeconfig"), strict=True)
    yield from zip(("4.1.5", "4.1.6"), node.files(0o600, kubelet["kubeconfig"]), strict=True)
    yield from zip(("4.1.7", "4.1.8"), node.files(0o644, config["authentication"]["x509"]["clientCAFile"]), strict=True)
    yield from zip(("4.1.9", "4.1.10"), node.files(0o600, kubelet["config"]), strict=True)
    yield "4.2.1", not config["authentication"]["anonymous"]["enabled"]
    yield "4.2.2", config["authorization"]["mode"] == "Webhook"
    yield "4.2.3", "clientCAFile" in config["authentication"]["x509"]
    yield "4.2.4", not config.get("readOnlyPort")
    yield "4.2.5", config["streamingConnectionIdleTimeout"] not in ("0", "0s")
    yield "4.2.6", config["makeIPTablesUtilChains"]
    yield "4.2.7", "hostname-override" not in kubelet
    yield "4.2.8", config["eventRecordQPS"] >= 0
    yield "4.2.9", "tlsCertFile" in config and "tlsPrivateKeyFile" in config
    yield "4.2.10", config.get("rotateCertificates", False)
    yield "4.2.11", config.get("featureGates", {}).get("RotateKubeletServerCertificate", True)
    yield "4.2.12", set(config["tlsCipherSuites"]) <= STRONG
    yield "4.2.13", config["podPidsLimit"] > 0
    yield "4.2.14", config["seccompDefault"]
    # Its default is this machine.
    yield "4.3.1", metrics is None or metrics[1].partition(":")[0] in ("", "127.0.0.1")


def of_policies(bed):
    def may(*words):
        return bed.kubectl("auth", "can-i", *words, "--as=somebody", "--as-group=system:authenticated", check=False).stdout.strip() == "yes"

    def takes(container=None, **spec):
        """Whether a namespace that says nothing takes such a pod."""
        one = {"name": "one", "image": "bed/pod:1", **(container or {})}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "one", "namespace": "default"},
            "spec": {"containers": [one], **spec},
        }
        done = bed.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(pod), check=False)
        expect(done.returncode == 0 or "PodSecurity" in done.stderr, done.stderr)
        return done.returncode == 0

    def context(**more):
        return {"securityContext": more}

    bound = {
        subject["name"]
        for binding in bed.get("clusterrolebindings")["items"]
        if binding["roleRef"]["name"] == "cluster-admin"
        for subject in binding["subjects"]
    }
    groups = json.loads(bed.kubectl("auth", "whoami", "-o", "json"))["status"]["userInfo"]["groups"]
    yield "5.1.1", bound - {"system:masters"} <= set(groups)
    yield "5.1.2", not may("get", "secrets")
    yield "5.1.4", not may("create", "pods")
    yield "5.1.5", bed.get("serviceaccount", "default").get("automountServiceAccountToken") is False
    yield "5.1.7", "system:masters" not in groups
    yield "5.2.1", not takes(context(privileged=True))
    yield "5.2.2", not takes(context(privileged=True))
    yield "5.2.3", not takes(hostPID=True)
    yield "5.2.4", not takes(hostIPC=True)
    yield "5.2.5", not takes(hostNetwork=True)
    yield "5.2.6", not takes(context(allowPrivilegeEscalation=True))
    yield "5.2.7", not takes(context(runAsUser=0))
    yield "5.2.8", not takes()
    yield "5.2.9", not takes(context(capabilities={"add": ["CHOWN"]}))
    yield "5.2.10", not takes(securityContext={"windowsOptions": {"hostProcess": True}}, hostNetwork=True)
    yield "5.2.11", not takes(volumes=[{"name": "host", "hostPath": {"path": "/"}}])
    yield "5.2.12", not takes({"ports": [{"containerPort": 80, "hostPort": 80}]})
    deny = {"podSelector": {}, "policyTypes": ["Ingress"]}
    bed.apply({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "deny"}, "spec": deny})
    (one, _), (_, address), *_ = bed.pods("web").values()
    yield "5.3.1", not bed.execute(one, "timeout", "5", "wget", "-q", "-O", "-", f"http://{address}:8080/node").strip()
    yield "5.6.2", all(node.kubelet["seccompDefault"] for node in (Node(bed, name) for name in bed.machines))


def cis(scenario):
    """Each check of the CIS Kubernetes Benchmark that a node can be asked has the outcome that docs/cis.md says."""
    with scenario.cluster(profile(SMALL, **TODAY)) as bed:
        first_pods(bed, start(bed))
        found = dict([*of_control_plane(bed, Node(bed, "m-1")), *of_policies(bed)])
        for name in bed.machines:
            found.update({check: outcome and found.get(check, True) for check, outcome in of_node(Node(bed, name))})
        outcomes = {check: "pass" if outcome else "miss" for check, outcome in found.items()}
        wrong = [f"{check}: {outcomes.get(check)}, not {outcome}" for check, outcome in said().items() if outcomes.get(check) != outcome]
        print(f"    {sum(found.values())} of {len(found)} checks pass", flush=True)
        expect(
            not wrong and outcomes.keys() == said().keys(), f"docs/cis.md is wrong: {'; '.join(wrong) or outcomes.keys() ^ said().keys()}"
        )


ALL = {"cis": cis}
