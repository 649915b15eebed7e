#!/usr/bin/python3
"""What templates/kubernetes/values say of flags, judged by the programs themselves.

    tests/bed/components/values.py [LINE]...

For each line whose programs are in $COMPONENTS (or that is named): with all the good values of a program at once it
starts, and remuda accepts them; on each bad one it exits, and remuda refuses it. The programs run without rights, and
find neither each other nor an engine: as soon as they look for these, they have taken their flags.
"""

import base64
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

import yaml

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from common import COMPONENTS, REMUDA, Failed, expect, output, read, run, write

LINES = {
    "1.37": ("kubernetes-1.37", "etcd-3.7"),
    "1.36": ("kubernetes-1.36", "etcd-3.6"),
    "1.35": ("kubernetes-1.35", "etcd-3.6"),
    "1.20": ("kubernetes-1.20", "etcd-3.4"),
}
# What a program says once it has taken its flags.
TAKEN = {
    "etcd": "ready to serve client requests|became leader",
    "kube-apiserver": "createTransport failed|error reconnecting|dial tcp 127.0.0.1:1:",
    "kube-controller-manager": "ttempting to acquire leader lease",
    # It elects nobody before it knows all nodes.
    "kube-scheduler": "Serving securely",
    "kubelet": "failed to run Kubelet",
}
# On a busy machine a program has taken its flags, or is gone, within this many seconds.
PATIENCE = 120
# By program: flags with values that are good together, and those on which it exits, of all lines; then of some.
GOOD = {
    "etcd": {
        "heartbeat-interval": "200",
        "election-timeout": "1000",
        "quota-backend-bytes": "8589934592",
        "max-wals": "0",
        "auto-compaction-mode": "revision",
        "auto-compaction-retention": "1000",
        "auth-token": "simple",
        "log-level": "info",
        "backend-batch-interval": "100ms",
        "max-txn-ops": "128",
        "snapshot-count": "0",
        "pre-vote": "T",
        "cipher-suites": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    },
    "kube-apiserver": {
        "goaway-chance": "0.02",
        "request-timeout": "0s",
        "max-requests-inflight": "0x10",
        "runtime-config": "api/alpha=true,apps/v1",
        "service-node-port-range": "30000+100",
        "authorization-mode": "RBAC,Node",
        "audit-log-mode": "batch",
        "vmodule": "a=1,b=2",
        "service-account-max-token-expiration": "1h",
        "tls-cipher-suites": "TLS_AES_128_GCM_SHA256",
        "watch-cache-sizes": "pods#100",
        "endpoint-reconciler-type": "none",
        "feature-gates": "AllBeta=false",
        "profiling": "F",
    },
    "kube-controller-manager": {
        "controllers": "*,-nodelifecycle",
        "leader-elect-lease-duration": "20s",
        "leader-elect-renew-deadline": "15s",
        "leader-elect-resource-lock": "leases",
        "min-resync-period": "0",
        "feature-gates": "AllBeta=false",
    },
    "kube-scheduler": {"tls-min-version": "VersionTLS12", "feature-gates": "AllBeta=false"},
    "kubelet": {
        "max-pods": "0",
        "eviction-hard": "memory.available<100Mi,nodefs.available<10%",
        "image-gc-high-threshold": "81",
        "kube-reserved": "cpu=100m,memory=1Gi",
        "reserved-cpus": "0",
        "oom-score-adj": "-1000",
        "hairpin-mode": "none",
        "register-with-taints": "a=b:NoSchedule,c:NoExecute",
        "container-log-max-files": "2",
        "enforce-node-allocatable": "pods",
    },
}
BAD = {
    "etcd": [
        ("heartbeat-interval", "100ms"),
        ("heartbeat-interval", "0"),
        ("heartbeat-interval", "201"),
        ("election-timeout", "499"),
        ("election-timeout", "50001"),
        ("quota-backend-bytes", "8Gi"),
        ("snapshot-count", "-1"),
        ("max-wals", "x"),
        ("max-txn-ops", "-1"),
        ("max-request-bytes", "1.5MiB"),
        ("log-level", "verbose"),
        ("auto-compaction-mode", "foo"),
        ("auto-compaction-retention", "1h30"),
        ("auth-token", "foo"),
        ("cipher-suites", "FOO"),
        ("listen-metrics-urls", "nope"),
        ("backend-batch-interval", "1"),
        ("grpc-keepalive-timeout", "5"),
        ("pre-vote", "maybe"),
    ],
    "kube-apiserver": [
        ("tls-cipher-suites", "TLS_FOO"),
        ("service-node-port-range", "40000-30000"),
        ("service-node-port-range", "1-70000"),
        ("audit-log-maxsize", "-1"),
        ("storage-backend", "etcd2"),
        ("runtime-config", "foo/v1=true"),
        ("logging-format", "yaml"),
        ("vmodule", "x"),
        ("default-watch-cache-size", "abc"),
        ("watch-cache-sizes", "pods"),
        ("apiserver-count", "0"),
        ("service-account-max-token-expiration", "1m"),
        ("audit-log-truncate-max-batch-size", "1"),
        ("authorization-mode", "Node,RBAC,RBAC"),
        ("authorization-mode", "Node,RBAC,ABAC"),
        ("authorization-mode", "Node,RBAC,Webhook"),
        ("enable-admission-plugins", "NodeRestriction, AlwaysPullImages"),
        ("feature-gates", "Foo=true"),
    ],
    "kube-controller-manager": [
        ("controllers", "*,foo"),
        ("leader-elect-resource-lock", "foo"),
        ("leader-elect-renew-deadline", "60s"),
        ("secure-port", "99999"),
        ("feature-gates", "Foo=true"),
    ],
    "kube-scheduler": [("secure-port", "70000"), ("feature-gates", "Foo=true")],
    "kubelet": [
        ("max-pods", "-1"),
        ("eviction-hard", "foo"),
        ("image-gc-high-threshold", "101"),
        ("image-gc-high-threshold", "80"),
        ("image-gc-low-threshold", "90"),
        ("hairpin-mode", "foo"),
        ("oom-score-adj", "-2000"),
        ("enforce-node-allocatable", "foo"),
        ("enforce-node-allocatable", "pods,kube-reserved"),
        ("reserved-cpus", "a-b"),
        ("tls-cipher-suites", "FOO"),
        ("port", "0"),
        ("healthz-port", "99999"),
        ("cgroups-per-qos", "false"),
        ("event-qps", "-1"),
        ("feature-gates", "Foo=true"),
    ],
}
SINCE_1_35 = {
    "etcd": [("tls-min-version", "TLS1.9"), ("feature-gates", "Foo=true"), ("warning-apply-duration", "x"), ("logger", "capnslog")],
    "kube-apiserver": [
        ("max-requests-inflight", "-1"),
        ("request-timeout", "-5s"),
        ("min-request-timeout", "-1"),
        ("goaway-chance", "0.03"),
        ("shutdown-delay-duration", "-1s"),
        ("v", "-1"),
        ("storage-media-type", "application/xml"),
        ("emulated-version", "1.20"),
        ("emulated-version", "kube=1.38"),
        ("strict-transport-security-directives", "x"),
        ("authorization-config", "/dev/null"),
    ],
    "kube-controller-manager": [("cloud-provider", "aws"), ("leader-elect-resource-lock", "endpoints")],
    "kubelet": [("seccomp-default", "2"), ("container-log-max-files", "1"), ("register-with-taints", "foo")],
}
PROFILE = """\
cluster: x
target: {target}
line: kubernetes-{line}
network: {{nodes: 10.0.0.0/24, gateway: 10.0.0.1}}
etcd: {{snapshots: {{}}}}
defaults:
  ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y a@b]
  components: {components}
nodes: {{one: {{roles: [control-plane, worker], address: 10.0.0.11}}}}
"""


class Judge:
    """The programs of a line, with the flags and files that remuda gives them."""

    def __init__(self, line, folder):
        self.line, self.folder = line, folder
        self.bins = [self.newest(name) for name in LINES[line]]
        self.profile({})
        output(REMUDA, "seed", "new", cwd=folder)
        output(REMUDA, "gen", "--no-images", cwd=folder)
        config = yaml.safe_load(read(f"{folder}/out/x/sealed/one/cloud-config.yml"))
        for file in config["write_files"]:
            text = base64.b64decode(file["content"]).decode() if "encoding" in file else file["content"]
            write(f"{folder}{file['path']}", self.here(text), 0o644)
        self.services = config["rancher"]["services"]

    @staticmethod
    def newest(start):
        found = sorted(name for name in os.listdir(COMPONENTS) if name.startswith(f"{start}."))
        return f"{COMPONENTS}/{found[-1]}" if found else None

    def here(self, text):
        return text.replace("/opt/kubernetes", f"{self.folder}/opt/kubernetes")

    def profile(self, components):
        """Writes the profile with these flags, by program."""
        # JSON is YAML.
        said = json.dumps({name: {"args": flags} for name, flags in components.items()})
        target = "rancheros-1.5" if self.line == "1.20" else "burmillaos-2.0"
        write(f"{self.folder}/cluster.yaml", PROFILE.format(target=target, line=self.line, components=said))

    def remuda(self, program, flags):
        """What remuda says against these flags."""
        self.profile({program: flags})
        said = run(REMUDA, "validate", cwd=self.folder, check=False)
        return "" if said.returncode == 0 else said.stdout

    def program(self, program, flags):
        """What the program says before it exits; nothing if it has taken these flags."""
        work = tempfile.mkdtemp(dir=self.folder)
        os.chmod(work, 0o777)
        port = random.randint(20000, 29000)
        own = {}
        if program == "etcd":
            client, peer = f"https://127.0.0.1:{port}", f"https://127.0.0.1:{port + 1}"
            own = {
                "data-dir": f"{work}/data",
                "listen-client-urls": client,
                "advertise-client-urls": client,
                "initial-cluster": f"one={peer}",
            }
            own |= {"listen-peer-urls": peer, "initial-advertise-peer-urls": peer, "listen-metrics-urls": f"http://127.0.0.1:{port + 2}"}
            own |= {"initial-cluster-state": "new"}
        elif program == "kubelet":
            own = {"root-dir": work, "cert-dir": work}
        else:
            own = {"secure-port": str(port), "cert-dir": work}
            if program == "kube-apiserver":
                own |= {"etcd-servers": "https://127.0.0.1:1", "audit-log-path": f"{work}/audit.log"}
        words = [str(word) for word in self.services[program]["command"]]
        given = dict(word.removeprefix("--").split("=", 1) for word in words[words.index(program) + 1 :])
        given = {flag: self.here(value) for flag, value in given.items()} | own | flags
        binary = f"{self.bins[program == 'etcd']}/{program}"
        unprivileged = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        with open(f"{work}/said", "wb") as log:
            process = subprocess.Popen(
                [*unprivileged, binary, *(f"--{flag}={value}" for flag, value in given.items())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=work,
            )
        try:
            began = time.monotonic()
            while time.monotonic() - began < PATIENCE:
                gone = process.poll() is not None
                said = read(f"{work}/said")
                if re.search(TAKEN[program], said):
                    # What it says last may still be that it exits.
                    return "" if program == "kubelet" or not gone else said
                if gone:
                    return said or "nothing"
                time.sleep(0.1)
            raise Failed(f"{program} neither takes nor refuses {flags} within {PATIENCE} s; it says:\n{said[-2000:]}")
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(work)

    def judge(self):
        """All values; how many there were."""
        count = 0
        for program, good in GOOD.items():
            said = self.remuda(program, good)
            expect(not said, f"{self.line}: remuda refuses good values of {program}:\n{said}")
            said = self.program(program, good)
            expect(not said, f"{self.line}: {program} exits on values that should be good:\n{said[-2000:]}")
            bad = BAD[program] + (SINCE_1_35.get(program, []) if self.line != "1.20" else [])
            for flag, value in bad:
                expect(self.remuda(program, {flag: value}), f"{self.line}: remuda accepts --{flag}={value} of {program}")
                expect(self.program(program, {flag: value}), f"{self.line}: {program} takes --{flag}={value}, which remuda refuses")
            count += len(good) + len(bad)
        return count


def main(lines):
    os.umask(0o022)
    judged = 0
    for line in lines or LINES:
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            if not lines and not all(Judge.newest(name) for name in LINES[line]):
                continue
            count = Judge(line, folder).judge()
            print(f"ok: {count} values are what the programs of kubernetes-{line} take", flush=True)
            judged += 1
    expect(judged, f"{COMPONENTS} has the programs of no line: run scripts/components --tested")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failed as problem:
        sys.exit(f"FAILED: {problem}")
