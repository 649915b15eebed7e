#!/usr/bin/python3
"""How fast images are packed: 300 MB of incompressible data in three files, into a `docker load` tarball.

Beside it, in the same run: `tar cf` followed by `sha256sum` (what naming a tarball by its content takes at
least by hand), and real image builders on the same files: umoci (an OCI layout) and buildah (from scratch,
pushed as a docker-archive). Everything happens in a folder under $TMPDIR; each number is the median of five
runs with warm files. Needs umoci and buildah, and root for buildah."""

import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
NAMES = ["etcd-3.4.23/etcd", "flannel-0.28.9/flanneld", "kubernetes-1.20.2/kubelet"]
SMALL = [
    "etcd-3.4.23/etcdctl",
    "pause-3.2/pause",
    *(f"kubernetes-1.20.2/{name}" for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubectl")),
]
RUNS = 5


def timed(command, prepare=lambda: None, runs=RUNS):
    times, memory = [], 0
    for _ in range(runs):
        prepare()
        started = time.monotonic()
        child = subprocess.Popen(command, shell=isinstance(command, str), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        times.append(time.monotonic() - started)
        if status:
            raise SystemExit(f"{command}: {said.decode()}")
        memory = max(memory, usage.ru_maxrss)
    return statistics.median(times), memory / 1024


def main():
    subprocess.run(["cargo", "build", "--release", "--locked", "-q"], cwd=HERE, check=True)
    work = pathlib.Path(tempfile.mkdtemp())
    try:
        components = work / "components"
        for name in NAMES + SMALL:
            (components / name).parent.mkdir(parents=True, exist_ok=True)
            # By another process: the most memory of a child is never said to be less than its parent's.
            size = 100_000_000 if name in NAMES else 5
            subprocess.run(f"head -c {size} /dev/urandom >{components / name}", shell=True, check=True)
        (components / "userland-12").mkdir()
        subprocess.run(["tar", "-cf", components / "userland-12/rootfs.tar", "-C", components, "pause-3.2"], check=True)
        profile = HERE / "profiles/rancheros.yaml"
        remuda = [HERE / "target/release/remuda", "image", "build", profile, "--components", components, "-o", work / "out"]
        rows = []

        def fresh():
            return shutil.rmtree(work / "out", ignore_errors=True)

        seconds, memory = timed(remuda, fresh)
        rows.append(("remuda image build", seconds, memory))
        again, _ = timed(remuda)
        rows.append(("the same, nothing changed", again, 0))
        zipped = work / "zipped.yaml"
        zipped.write_text(profile.read_text() + "\nimages: {gzip: true}\n")
        seconds_gzip, memory_gzip = timed([*remuda[:3], zipped, *remuda[4:]], fresh, 3)
        by_hand, _ = timed(
            f"tar cf {work}/t.tar -C {components} . && sha256sum {work}/t.tar", lambda: (work / "t.tar").unlink(missing_ok=True)
        )
        rows.append(("`tar cf`, then `sha256sum`", by_hand, 0))
        tar_gzip, _ = timed(f"tar czf {work}/t.tar.gz -C {components} . && sha256sum {work}/t.tar.gz", runs=3)
        umoci = f"umoci init --layout {work}/oci && umoci new --image {work}/oci:a && umoci insert --rootless --image {work}/oci:a {components} /a"
        builders = [("umoci insert (gzip, as it always does)", umoci, lambda: shutil.rmtree(work / "oci", ignore_errors=True))]
        if os.getuid() == 0:
            storage = f"--root {work}/storage --runroot {work}/run --storage-driver vfs"
            buildah = (
                f"c=$(buildah {storage} from scratch) && buildah {storage} copy -q $c {components} /a && "
                f"buildah {storage} commit -q --disable-compression $c docker-archive:{work}/b.tar:a:1"
            )

            def clean():
                (work / "b.tar").unlink(missing_ok=True)
                subprocess.run(f"buildah {storage} rm -a", shell=True, capture_output=True)

            builders.append(("buildah from, copy, commit", buildah, clean))
        for name, command, prepare in builders:
            rows.append((name, timed(command, prepare, 3)[0], 0))
        rows += [("remuda, gzip", seconds_gzip, memory_gzip), ("`tar czf`, then `sha256sum`", tar_gzip, 0)]
        print("| 300 MB | time | of remuda's | most memory |\n|---|---|---|---|")
        for name, took, memory in rows:
            print(f"| {name} | {took * 1000:.0f} ms | {took / seconds:.2f} | {f'{memory:.0f} MB' if memory else ''} |")
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
