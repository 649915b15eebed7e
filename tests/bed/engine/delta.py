#!/usr/bin/python3
"""A tarball of `remuda image diff` is refused by an engine without the layers that it leaves out, and gives one with
them every image.

delta.py REMUDA      on the Docker engine that DOCKER_HOST names, and on a containerd that it starts

CONTAINERD is a folder with containerd and ctr, otherwise they are Debian's. As root.
"""

import json
import os
import pathlib
import sys
import tarfile
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from common import PROFILE, expect, output, run, small_components, spawn

PROGRAM = os.path.abspath(sys.argv[1])
FOLDER = os.environ.get("CONTAINERD", "/usr/bin")


def pack(work, out, text):
    """The tarball of images that change with `text`, on a base that doesn't."""
    (work / "small").write_text(text)
    base = "rootfs: base.tar"
    (work / "p.yaml").write_text(
        f"{PROFILE}  components:\n{small_components(base)}"
        f"    same: {{version: '1', engine: docker, from: {{{base}}}}}\n"
        f"    app: {{version: '1', engine: docker, from: {{{base}}}, files: {{/app: small}}}}\n"
    )
    run(PROGRAM, "image", "build", "p.yaml", "-o", out, cwd=work, env=dict(os.environ, XDG_CACHE_HOME=f"{work}/cache"))
    return next((work / out / "c/images").glob("docker-*.tar"))


def images(tarball):
    """Names and IDs, as the tarball has them."""
    with tarfile.open(tarball) as tar:
        listed = json.load(tar.extractfile("manifest.json"))
    return {image["RepoTags"][0]: pathlib.Path(image["Config"]).name.removesuffix(".json") for image in listed}


class Docker:
    def load(self, tarball):
        return run("docker", "load", "-i", tarball, check=False)

    def id(self, name):
        return output("docker", "image", "inspect", "-f", "{{.Id}}", name).strip().removeprefix("sha256:")

    def stop(self):
        pass


class Containerd:
    def __init__(self, work):
        self.address = f"{work}/socket"
        config = work / "config.toml"
        config.write_text(
            f'version = 2\nroot = "{work}/root"\nstate = "{work}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]\n'
            f'[grpc]\naddress = "{self.address}"\n'
        )
        self.process = spawn(f"{work}/log", f"{FOLDER}/containerd", "-c", config)
        for _ in range(100):
            if self.ctr("version", check=False).returncode == 0:
                return
            time.sleep(0.2)
        expect(False, f"containerd didn't start: {pathlib.Path(work, 'log').read_text()[-2000:]}")

    def ctr(self, *words, by=run, **options):
        return by(f"{FOLDER}/ctr", "--address", self.address, "--namespace", "k8s.io", *words, **options)

    def load(self, tarball):
        # As containerd-images.sh does on a node.
        return self.ctr("images", "import", tarball, check=False)

    def id(self, name):
        manifest = next(
            line.split()[2] for line in self.ctr("images", "list", by=output).splitlines() if line.startswith(f"docker.io/{name} ")
        )
        checked = self.ctr("images", "check", f"name==docker.io/{name}", by=output)
        expect("complete" in checked and "incomplete" not in checked, checked)
        return json.loads(self.ctr("content", "get", manifest, by=output))["config"]["digest"].removeprefix("sha256:")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def main():
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        with tarfile.open(work / "base.tar", "w") as tar:
            info = tarfile.TarInfo("lib")
            info.size = 1 << 20
            with open("/dev/urandom", "rb") as noise:
                tar.addfile(info, noise)
        old, new = pack(work, "old", "one\n"), pack(work, "new", "two\n")
        run(PROGRAM, "image", "diff", "old/c", "new/c", cwd=work, env=dict(os.environ, XDG_CACHE_HOME=f"{work}/cache"))
        delta = work / "delta" / new.name
        expect(delta.stat().st_size < 100_000 < new.stat().st_size, f"{delta.stat().st_size} bytes of {new.stat().st_size}")
        (work / "containerd").mkdir()
        for engine in (Docker(), Containerd(work / "containerd")):
            kind = type(engine).__name__
            try:
                done = engine.load(delta)
                expect(done.returncode != 0, f"{kind} without the layers took the delta: {done.stdout}")
                for tarball in (old, delta):
                    done = engine.load(tarball)
                    expect(done.returncode == 0, f"{kind}: {tarball}: {done.stdout}")
                    got = {name: engine.id(name) for name in images(tarball)}
                    expect(got == images(tarball), f"{kind}: {tarball}: {got}")
            finally:
                engine.stop()
            expect(images(delta) == images(new), f"{images(delta)}, not {images(new)}")
    print("ok: Docker and containerd load a delta onto what it is a delta to")


main()
