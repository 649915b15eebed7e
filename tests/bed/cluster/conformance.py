"""Upstream's own judge: Kubernetes' conformance tests, on a cluster of the newest line. The images that the tests name
are made here of what scripts/components built, and reach the nodes as the profile's components; a mirror has those that
tests always pull."""

import io
import json
import os
import tarfile
import tempfile
import time

import machine
from cluster import Cluster
from common import component, expect, run, until
from scenarios import SMALL, TODAY, profile, start

TESTS = "registry.k8s.io/e2e-test-images"
NODE = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def agnhost(more=None, **config):
    return {"agnhost": "/agnhost", **(more or {})}, {"Entrypoint": ["/agnhost"], "Cmd": ["pause"], **config}


# Image → what of the tests' component, or of COMPONENT:, lies where in it, where it links to, or what it says; and its
# config.
IMAGES = {
    f"{TESTS}/agnhost:2.66.1": agnhost(),
    f"{TESTS}/agnhost:2.55": agnhost(),
    f"{TESTS}/busybox:1.37.0-2": ({"-> busybox": "/usr/bin/sh"}, {"Cmd": ["sh"]}),
    f"{TESTS}/glibc-dns-testing:2.1.1": ({}, {"Cmd": ["sh"]}),
    # Its own base is Alpine's, and a test asks for that.
    f"{TESTS}/kitten:1.8": agnhost(
        {"kitten/data.json": "/data.json", "kitten/kitten.jpg": "/kitten.jpg", "= NAME='Alpine Linux'\n": "/etc/os-release"},
        Cmd=["test-webserver"],
    ),
    f"{TESTS}/nautilus:1.8": agnhost(
        {"nautilus/data.json": "/data.json", "nautilus/nautilus.jpg": "/nautilus.jpg"}, Cmd=["test-webserver"]
    ),
    f"{TESTS}/nginx:1.27.0-2": ({}, {"Cmd": ["nginx", "-g", "daemon off;"]}),
    f"{TESTS}/nginx:1.28.0-2": ({}, {"Cmd": ["nginx", "-g", "daemon off;"]}),
    f"{TESTS}/nonewprivs:1.4": ({"nonewprivs": "/usr/local/bin/nnp"}, {"Cmd": ["nnp"]}),
    f"{TESTS}/nonroot:1.5": ({}, {"Cmd": ["sh"], "User": "1234"}),
    f"{TESTS}/sample-apiserver:1.29.2": ({"sample-apiserver": "/sample-apiserver"}, {"Entrypoint": ["/sample-apiserver"]}),
    "registry.k8s.io/etcd:3.7.0-0": ({"etcd-3.7:etcd": "/usr/local/bin/etcd"}, {"Cmd": ["etcd"]}),
    "registry.k8s.io/pause:3.10.2": ({"pause-3.10:pause": "/pause"}, {"Entrypoint": ["/pause"]}),
}
# Those that some tests pull although they are there.
PULLED = (f"{TESTS}/agnhost:2.66.1", f"{TESTS}/kitten:1.8")
# What a change of a line is judged by: minutes.
FOCUS = r"\[sig-network\].*\[Conformance\]|\[sig-node\] Prob.*\[Conformance\]|\[sig-storage\] .*(ConfigMap|Secrets|Projected|EmptyDir).*\[Conformance\]"


def tag(image):
    return image.rpartition("/")[2].replace(":", "-").replace(".", "-")


def write_layer(layer, files):
    with tarfile.open(layer, "w") as archive:
        for path, to in files.items():
            if path.startswith("-> "):
                link = tarfile.TarInfo(to.lstrip("/"))
                link.type, link.linkname = tarfile.SYMTYPE, path.removeprefix("-> ")
                archive.addfile(link)
                continue
            if path.startswith("= "):
                text = tarfile.TarInfo(to.lstrip("/"))
                content = path.removeprefix("= ").encode()
                text.size, text.mode = len(content), 0o444
                archive.addfile(text, io.BytesIO(content))
                continue
            of, _, path = path.rpartition(":")
            path = f"{component(of or 'conformance-')}/{path}"
            entry = archive.gettarinfo(path, to)
            # What has no new privileges would have them by this.
            entry.mode |= 0o4555 if path.endswith("/nonewprivs") else 0o555
            with open(path, "rb") as file:
                archive.addfile(entry, file)


class Judged(Cluster):
    """Its profile names archives beside it, one an image."""

    def build(self, text):
        source = component("conformance-")
        for image, (files, config) in IMAGES.items():
            layers = [f"{source}/rootfs.tar"]
            if files:
                layers.append(f"{self.folder}/layer.tar")
                write_layer(layers[1], files)
            machine.image_archive(f"{self.folder}/{tag(image)}.tar", image, {"Env": [NODE], **config}, layers)
        super().build(text)

    def judge(self, focus, processes):
        """Runs the tests that `focus` names: name → (state, message). What is marked as serial runs with one process only."""
        # A folder of its own: what another run reported may not be taken for this one's.
        source, report = component("conformance-"), tempfile.mkdtemp(prefix="report-", dir=self.folder)
        path = f"PATH={os.path.dirname(self.kubectl_path())}:{os.environ['PATH']}"
        words = [f"{source}/ginkgo", f"--procs={processes}", f"--focus={focus}", *([r"--skip=\[Serial\]"] if processes > 1 else [])]
        words += [
            "--silence-skips",
            "--no-color",
            "--timeout=4h",
            "--output-dir",
            report,
            "--json-report=report.json",
            f"{source}/e2e.test",
        ]
        given = [
            "--provider=skeleton",
            "--kubeconfig",
            self.kubeconfig,
            "--kubectl-path",
            self.kubectl_path(),
            f"--num-nodes={len(self.machines) - 1}",
        ]
        said, log = f"{report}/report.json", f"{report}/log"
        with open(log, "w") as file:
            run(*self.outside(), "env", path, *words, "--", *given, cwd=report, stdout=file, check=False)
        with open(log) as file:
            expect(os.path.exists(said), f"the tests didn't begin: {file.read()[-2000:]}")
        found = {}
        with open(said) as file:
            for suite in json.load(file):
                for spec in suite["SpecReports"] or []:
                    if spec["State"] != "skipped" and spec["LeafNodeType"] == "It":
                        name = " ".join([*(spec["ContainerHierarchyTexts"] or []), spec["LeafNodeText"]])
                        found[name] = (spec["State"], spec.get("Failure", {}).get("Message", ""))
        return found


def judged(scenario, *parts):
    entries = "".join(
        f"    {tag(image)}: {{version: '1', engine: containerd, name: '{image}', from: {{archive: {tag(image)}.tar}}}}\n"
        for image in IMAGES
    )
    text = profile(SMALL, f"images:\n  mirrors: {{registry.k8s.io: 'http://10.77.0.1:5000'}}\n  components:\n{entries}", **TODAY)
    with scenario.cluster(text, kind=Judged) as bed:
        bed.serve_mirror(5000, {image.removeprefix("registry.k8s.io/"): f"{tag(image)}.tar" for image in PULLED})
        start(bed)
        until("a name server runs", 120, lambda: bed.get("-n", "kube-system", "deployment", "coredns")["status"].get("readyReplicas"))
        began = time.monotonic()
        found, failed = {}, {}
        for focus, processes in parts:
            part = bed.judge(focus, processes)
            expect(part, f"no test is called {focus}")
            found.update(part)
            for name, (state, message) in part.items():
                if state != "passed":
                    failed[name] = message
                    print(f"    failed: {name}\n        {message[:400]}", flush=True)
            print(f"    {len(found) - len(failed)} of {len(found)} passed", flush=True)
        bed.time(f"{len(found)} conformance tests", began)
        expect(len(found) > 40, f"only {len(found)} tests ran")
        expect(not failed, f"{len(failed)} of {len(found)} failed")


def focus(scenario):
    """Kubernetes' conformance tests of networking, names, services, probes and volumes."""
    judged(scenario, (FOCUS, 4))


def whole(scenario):
    """All of Kubernetes' conformance tests: those that may beside one another, then those that may not."""
    judged(scenario, (r"\[Conformance\]", 4), (r"\[Conformance\].*\[Serial\]", 1))


ALL = {"conformance-focus": focus, "conformance": whole}
