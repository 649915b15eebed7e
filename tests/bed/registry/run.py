#!/usr/bin/python3
"""Images from a real registry (Debian's docker-registry, filled by skopeo from a real Docker engine):
pulled by tag, locked, packed, loaded and run; and what remuda says when a registry or a disk fails.
As root. REMUDA is the program."""

import base64
import hashlib
import http.server
import io
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import yaml

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from common import (
    BED,
    PROFILE,
    PROGRAMS,
    REMUDA,
    ROOT,
    Failed,
    account,
    expect,
    htpasswd,
    output,
    refused,
    registry_config,
    run,
    small_components,
    spawn,
)

WORK = pathlib.Path(tempfile.mkdtemp())
PASSWORD = "not-to-be-seen"
running, passed = [], 0


def check(what, holds, said=""):
    global passed
    expect(holds, f"{what}\n{said}")
    passed += 1
    print("ok:", what, flush=True)


class Yard:
    """A folder with a profile, a cache of its own and small components."""

    def __init__(self, name, components):
        self.path = WORK / name
        self.path.mkdir()
        (self.path / "small").write_text("small\n")
        small = small_components("archive: ../busybox.tar", [*PROGRAMS, "coredns"])
        (self.path / "p.yaml").write_text(f"{PROFILE}  components:\n{small}{components}")
        self.environment = dict(os.environ, XDG_CACHE_HOME=str(self.path / "cache"), HOME=str(self.path), DOCKER_CONFIG=str(self.path))

    def remuda(self, *words, fails=False):
        verb = words[:2] if words[0] == "image" else words[:1]
        seal = ["--no-seal"] if words[0] == "gen" else []
        retries = ["--retries", "0", "--timeout", "5"]
        call = refused if fails else output
        return call(REMUDA, *verb, "p.yaml", *seal, *retries, *words[len(verb) :], cwd=self.path, env=self.environment)

    def tarball(self, engine="docker-amd64"):
        return next((self.path / "out/c/images").glob(f"{engine}-*.tar"))

    def blobs(self):
        return sorted(path.name for path in (self.path / "cache/remuda/blobs").rglob("*") if path.is_file())

    def made(self):
        """The lock's IDs."""
        return {one["component"]: one["id"] for one in yaml.safe_load((self.path / "p.lock").read_text())["made"]}


def registry(name, **more):
    """A registry on a free port: its address and where it keeps its files."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    folder = WORK / name
    config = registry_config(folder, address, **more)
    running.append(spawn(folder / "log", "docker-registry", "serve", config))
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://{address}/v2/", timeout=1)
            break
        except urllib.error.HTTPError:
            break
        except OSError:
            time.sleep(0.1)
    return address, folder / "data"


def push(archive, name, *more):
    run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", *more, f"docker-archive:{archive}", f"docker://{name}")


def blob_file(data, digest):
    digest = digest.removeprefix("sha256:")
    return data / "docker/registry/v2/blobs/sha256" / digest[:2] / digest / "data"


def manifest(address, name, tag):
    types = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
    request = urllib.request.Request(f"http://{address}/v2/{name}/manifests/{tag}", headers={"Accept": types})
    answer = urllib.request.urlopen(request)
    body = answer.read()
    return json.loads(body), body, answer.headers["Docker-Content-Digest"], answer.headers["Content-Type"]


class Tokens(http.server.BaseHTTPRequestHandler):
    """A token server: signs what docker-registry believes, for who knows the password."""

    def do_GET(self):
        wanted = "Basic " + base64.b64encode(f"user:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.end_headers()
            return
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        kind, name, actions = query["scope"][0].split(":")

        def encode(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

        der = (
            output("openssl", "x509", "-in", WORK / "token.crt", "-outform", "DER", "-out", WORK / "token.der")
            or (WORK / "token.der").read_bytes()
        )
        now = int(time.time())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        access = [{"type": kind, "name": name, "actions": actions.split(",")}]
        body = {
            "iss": "tests",
            "sub": "user",
            "aud": query["service"][0],
            "exp": now + 300,
            "nbf": now - 10,
            "iat": now,
            "jti": "1",
            "access": access,
        }
        signed = encode(json.dumps(head).encode()) + "." + encode(json.dumps(body).encode())
        signature = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", WORK / "token.key"], input=signed.encode(), capture_output=True, check=True
        ).stdout
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"token": signed + "." + encode(signature)}).encode())

    def log_message(self, *_):
        pass


def images_of_an_engine():
    """Real images: made by a Docker engine, with a config worth keeping; and the same for another processor."""
    root = WORK / "root"
    (root / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    (root / "noise").write_bytes(os.urandom(3_000_000))
    (root / "arch").write_text("amd64")
    tar = subprocess.run(["tar", "-C", root, "-c", "."], capture_output=True, check=True).stdout
    changes = ["-c", "ENV KEPT=yes", "-c", "WORKDIR /bin", "-c", 'ENTRYPOINT ["/bin/busybox"]', "-c", 'CMD ["cat", "/arch"]']
    subprocess.run(["docker", "import", *changes, "-", "busybox-amd64:1"], input=tar, capture_output=True, check=True)
    run("docker", "save", "-o", WORK / "busybox.tar", "busybox-amd64:1")
    with tarfile.open(WORK / "busybox.tar") as saved, tarfile.open(WORK / "busybox-arm64.tar", "w") as other:

        def read(name):
            return saved.extractfile(name).read()

        listed = json.loads(read("manifest.json"))
        config = json.dumps(json.loads(read(listed[0]["Config"])) | {"architecture": "arm64"}).encode()
        listed[0] |= {"Config": hashlib.sha256(config).hexdigest() + ".json", "RepoTags": ["busybox-arm64:1"]}
        entries = [(listed[0]["Config"], config), ("manifest.json", json.dumps(listed).encode())]
        for name, data in entries + [(layer, read(layer)) for layer in listed[0]["Layers"]]:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            other.addfile(entry, io.BytesIO(data))
    return output("docker", "image", "inspect", "-f", "{{.Id}}", "busybox-amd64:1").strip()


def from_a_registry_to_a_running_container(address, upstream):
    yard = Yard(
        "pull",
        f"""\
    pause: {{entrypoint: !override [], files: !override {{}}, from: {{image: "{address}/library/busybox:1"}}}}
    plain: {{name: "example/plain:1", engine: docker, from: {{image: "{address}/library/busybox:1"}}}}
    topped: {{version: "2", engine: docker, from: {{image: "{address}/library/busybox:1"}}, files: {{/opt/small: small}}}}
    other: {{version: "3", engine: docker, entrypoint: [/bin/busybox, echo, changed], from: {{image: "{address}/library/busybox:1"}}}}
""",
    )
    yard.remuda("lock")
    yard.remuda("gen")
    check("an image that nothing is put on keeps its ID", yard.made()["plain"] == upstream, yard.made())
    run("docker", "load", "-i", yard.tarball())
    run("docker", "load", "-i", yard.tarball("system-docker-amd64"))

    def inspect(name, format):
        return output("docker", "image", "inspect", "-f", format, name).strip()

    for component, name in (("plain", "example/plain:1"), ("other", "remuda/other:3")):
        check(f"the engine gives {name} the lock's ID", inspect(name, "{{.Id}}") == yard.made()[component])
    for name in ("example/plain:1", "remuda/topped:2"):
        check(f"{name} runs", output("docker", "run", "--rm", "--network", "none", name).strip() == "amd64")
        config = json.loads(output("skopeo", "inspect", "--config", f"docker-archive:{yard.tarball()}:{name}"))
        raw = output("skopeo", "inspect", "--config", "--raw", f"docker-archive:{yard.tarball()}:{name}")
        digest = "sha256:" + hashlib.sha256(raw.encode()).hexdigest()
        check(
            f"skopeo and the engine agree on the ID and the layers of {name}",
            digest == inspect(name, "{{.Id}}")
            and json.dumps(config["rootfs"]["diff_ids"], separators=(",", ":")) == inspect(name, "{{json .RootFS.Layers}}"),
            raw,
        )
    check(
        "what the base image says is kept", inspect("remuda/topped:2", "{{json .Config.Env}} {{.Config.WorkingDir}}") == '["KEPT=yes"] /bin'
    )
    check("a file lies on top", output("docker", "run", "--rm", "--network", "none", "remuda/topped:2", "cat", "/opt/small") == "small\n")
    check(
        "an entrypoint replaces the program and its arguments",
        output("docker", "run", "--rm", "--network", "none", "remuda/other:3") == "changed\n",
    )
    names = [entry["Layers"] for entry in json.loads(output("tar", "-xOf", yard.tarball(), "manifest.json"))]
    check(
        "a layer that five images share is stored once",
        len({layer for layers in names for layer in layers}) == 3 and len(names) == 5,
        names,
    )
    first = yard.tarball().read_bytes()
    shutil.rmtree(yard.path / "out")
    shutil.rmtree(yard.path / "cache")
    yard.remuda("image", "fetch")
    yard.remuda("gen", "--offline")
    check("the same lock gives the same bytes", yard.tarball().read_bytes() == first)
    run(REMUDA, "image", "verify", "p.yaml", cwd=yard.path, env=yard.environment)
    check("the cache is sound", True)


def from_files(upstream):
    run("skopeo", "copy", "--quiet", f"docker-archive:{WORK}/busybox.tar", f"oci:{WORK}/layout:one")
    run("skopeo", "copy", "--quiet", f"docker-archive:{WORK}/busybox-arm64.tar", f"oci:{WORK}/layout:two")
    run("gzip", "-k", WORK / "busybox.tar")
    yard = Yard(
        "files",
        """\
    pause: {files: !override {}, entrypoint: [/bin/sh], from: {archive: ../busybox.tar, image: "busybox-amd64:1"}}
    packed: {version: "1", engine: docker, from: {archive: ../busybox.tar.gz}}
    layout: {version: "1", engine: docker, from: {layout: ../layout, image: one}}
""",
    )
    yard.remuda("gen", "--offline")
    run("docker", "load", "-i", yard.tarball())
    # skopeo writes the config anew for the OCI.
    of_layout = "sha256:" + hashlib.sha256(output("skopeo", "inspect", "--config", "--raw", f"oci:{WORK}/layout:one").encode()).hexdigest()
    for name, wanted in (("packed", upstream), ("layout", of_layout)):
        loaded = output("docker", "image", "inspect", "-f", "{{.Id}}", f"remuda/{name}:1").strip()
        check(f"an image from {name} has its ID", loaded == wanted, loaded)
        check(f"an image from {name} runs", output("docker", "run", "--rm", "--network", "none", f"remuda/{name}:1") == "amd64")
    for source, part in (
        ("{archive: ../busybox.tar, image: 'no:1'}", "it doesn't have no:1"),
        ("{layout: ../layout, image: two}", "an image for linux/arm64"),
        ("{layout: ../layout, image: three}", "it doesn't have three for amd64, but one, two"),
    ):
        bad = Yard(
            f"bad-{len(os.listdir(WORK))}",
            f"    packed: {{version: '1', engine: docker, from: {source}}}\n    pause: {{files: {{/pause: small}}}}\n",
        )
        said = bad.remuda("gen", fails=True)
        check(f"{source} is refused", part in said, said)


def of_manifests(address, upstream):
    """An image that only a manifest names, in a cluster of today."""
    yard = Yard("manifests", "")
    today = ("containerd", "coredns", "haproxy", "keepalived", "pause", *PROGRAMS)
    text = PROFILE.replace("rancheros-1.5", "burmillaos-2.0").replace("kubernetes-1.20", "kubernetes-1.37")
    small = small_components("archive: ../busybox.tar", today)
    (yard.path / "p.yaml").write_text(f"{text}  components:\n{small}manifests: {{files: [pod.yaml]}}\n")
    image = f"{address}/library/busybox:1"
    (yard.path / "pod.yaml").write_text(
        f"{{apiVersion: v1, kind: Pod, metadata: {{name: a}}, spec: {{containers: [{{name: a, image: '{image}'}}]}}}}\n"
    )
    said = yard.remuda("gen", fails=True)
    check("an unlocked image of a manifest is refused with its place", "error[not-locked]" in said and "--> pod.yaml:1:" in said, said)
    yard.remuda("lock")
    check("the lock has it by the manifest's name", yard.made()[image] == upstream, yard.made())
    yard.remuda("gen")
    listed = output(REMUDA, "image", "list", "p.yaml", cwd=yard.path, env=yard.environment)
    check("`image list` shows it", image in listed, listed)
    name = f"{address.replace(':', '-')}/library/busybox:1"
    run("docker", "load", "-i", yard.tarball("containerd-amd64"))
    loaded = output("docker", "image", "inspect", "-f", "{{.Id}}", name).strip()
    check("the pods' tarball has it, with the registry's ID", loaded == upstream, loaded)
    config = yaml.safe_load((yard.path / "out/c/nodes/one/cloud-config.yml").read_text())
    applied = next(file["content"] for file in config["write_files"] if file["path"].endswith("/manifests/objects.yaml"))
    container = yaml.safe_load(applied)["spec"]["containers"][0]
    check(
        "what the node applies names what was packed",
        container == {"name": "a", "image": name, "imagePullPolicy": "IfNotPresent"},
        applied,
    )


def architectures(address):
    """An index, as docker manifest makes it."""
    manifests = []
    for arch in ("amd64", "arm64"):
        _, body, digest, kind = manifest(address, f"multi-{arch}", "1")
        push_manifest(address, "multi", digest, body, kind, from_name=f"multi-{arch}")
        manifests.append({"mediaType": kind, "digest": digest, "size": len(body), "platform": {"architecture": arch, "os": "linux"}})
    kind = "application/vnd.docker.distribution.manifest.list.v2+json"
    body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": manifests}).encode()
    push_manifest(address, "multi", "1", body, kind)
    yard = Yard("multi", f"    pause: {{entrypoint: !override [], files: !override {{}}, from: {{image: '{address}/multi:1'}}}}\n")
    text = (yard.path / "p.yaml").read_text()
    run("cp", "-r", f"{ROOT}/templates", yard.path / "lines")
    line = yard.path / "lines/kubernetes-1.20/line.yaml"
    line.write_text(line.read_text().replace("architectures: [amd64]", "architectures: [amd64, arm64]"))
    text = text.replace("archive: ../busybox.tar", "rootfs: empty.tar")
    run("tar", "-c", "-f", yard.path / "empty.tar", "-T", "/dev/null")
    (yard.path / "p.yaml").write_text(text.replace("nodes:\n  one", "nodes:\n  two: {role: worker, address: 10.0.0.3, arch: arm64}\n  one"))
    yard.remuda("lock", "--templates", "lines")
    yard.remuda("gen", "--templates", "lines")
    for arch in ("amd64", "arm64"):
        config = json.loads(output("skopeo", "inspect", "--config", f"docker-archive:{yard.tarball(f'docker-{arch}')}:remuda/pause:3.2"))
        check(f"of an index, {arch} nodes get {arch}", config["architecture"] == arch)


def push_manifest(address, name, tag, body, kind, from_name=None):
    for digest in [json.loads(body)["config"]["digest"], *(layer["digest"] for layer in json.loads(body)["layers"])] if from_name else []:
        urllib.request.urlopen(
            urllib.request.Request(f"http://{address}/v2/{name}/blobs/uploads/?mount={digest}&from={from_name}", method="POST")
        )
    request = urllib.request.Request(f"http://{address}/v2/{name}/manifests/{tag}", data=body, method="PUT", headers={"Content-Type": kind})
    urllib.request.urlopen(request)


def logins():
    run(
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=tests",
        "-keyout",
        WORK / "token.key",
        "-out",
        WORK / "token.crt",
    )
    tokens = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
    threading.Thread(target=tokens.serve_forever, daemon=True).start()
    realm = f"http://127.0.0.1:{tokens.server_port}/token"
    token = {"token": {"realm": realm, "service": "the tests", "issuer": "tests", "rootcertbundle": f"{WORK}/token.crt"}}
    for kind, auth in (("password", htpasswd(WORK, "user", PASSWORD)), ("token", token)):
        address, _ = registry(f"private-{kind}", auth=auth)
        for name in ("private", "library/private"):
            push(WORK / "busybox.tar", f"{address}/{name}:1", "--dest-creds", f"user:{PASSWORD}")
        yard = Yard(kind, f"    pause: {{entrypoint: !override [], files: !override {{}}, from: {{image: '{address}/private:1'}}}}\n")
        said = yard.remuda("lock", fails=True)
        check(f"without a login ({kind}) it is refused with a word on logins", "401" in said and "login" in said, said)
        login, wrong = account("user", PASSWORD), account("user", "wrong-word")
        (yard.path / "config.json").write_text(json.dumps({"auths": {address: login}}))
        yard.remuda("lock")
        yard.remuda("gen")
        check(
            f"with a login ({kind}) it is pulled",
            json.loads(output("skopeo", "inspect", "--config", f"docker-archive:{yard.tarball()}:remuda/pause:3.2"))["architecture"]
            == "amd64",
        )
        mirrored = Yard(f"mirror-{kind}", "    pause: {entrypoint: !override [], files: !override {}, from: {image: 'private:1'}}\n")
        mirror = f"docker.io=http://{address}"
        (mirrored.path / "config.json").write_text(json.dumps({"auths": {"https://index.docker.io/v1/": login}}))
        mirrored.remuda("lock", "--mirror", mirror, fails=True)
        check(f"a mirror ({kind}) is not shown the Docker Hub's login", True)
        (mirrored.path / "config.json").write_text(json.dumps({"auths": {address: login}}))
        mirrored.remuda("lock", "--mirror", mirror)
        check(f"a mirror ({kind}) gets its own login", True)
        (yard.path / "config.json").write_text(json.dumps({"auths": {address: wrong}}))
        said = yard.remuda("lock", "--update", fails=True)
        check(
            f"a wrong password ({kind}) is told of and not shown",
            "401" in said and "wrong-word" not in said and wrong["auth"] not in said,
            said,
        )
        traces = subprocess.run(
            ["grep", "-rlE", f"{PASSWORD}|{login['auth']}", yard.path / "out", yard.path / "cache", yard.path / "p.lock"],
            capture_output=True,
            text=True,
        )
        check(f"the password ({kind}) is nowhere in what was written", traces.stdout == "", traces.stdout)


def mirrors(address, upstream):
    yard = Yard(
        "mirror",
        "    pause: {files: !override {}, entrypoint: !override [], from: {image: 'busybox:1'}}\n    own: {version: '1', engine: docker, from: {image: 'busybox:1'}}\n",
    )
    yard.remuda("lock", "--mirror", f"docker.io=http://{address}")
    check("a mirror gives the Docker Hub's images", yard.made()["own"] == upstream)


def damage(address, data, upstream):
    body, _, _, _ = manifest(address, "library/busybox", "1")
    layer = blob_file(data, body["layers"][0]["digest"])
    whole = layer.read_bytes()
    yard = Yard(
        "damage", f"    pause: {{entrypoint: !override [], files: !override {{}}, from: {{image: '{address}/library/busybox:1'}}}}\n"
    )
    yard.remuda("lock")
    yard.remuda("gen")
    tree = {path: path.read_bytes() for path in (yard.path / "out").rglob("*") if path.is_file()}
    tampered = bytearray(whole)
    tampered[1000] ^= 1
    for what, bytes_, part in (
        ("tampered", bytes(tampered), "somebody changed it"),
        ("truncated", whole[:-1], "bytes, but the lock says"),
        ("missing", None, "404"),
    ):
        if bytes_ is None:
            layer.unlink()
        else:
            layer.write_bytes(bytes_)
        shutil.rmtree(yard.path / "cache")
        said = yard.remuda("gen", fails=True)
        check(f"a {what} blob is told of", part in said and f"{address}/library/busybox:1" in said, said)
        check(
            f"a {what} blob gets no name in the cache",
            body["layers"][0]["digest"].removeprefix("sha256:") not in yard.blobs(),
            yard.blobs(),
        )
        check(
            f"a {what} blob leaves the tree as it was",
            tree == {path: path.read_bytes() for path in (yard.path / "out").rglob("*") if path.is_file()},
        )
    layer.write_bytes(whole)
    yard.remuda("gen")

    small = yard.path / "small-disk"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small)
    try:
        full = Yard(
            "full", f"    pause: {{entrypoint: !override [], files: !override {{}}, from: {{image: '{address}/library/busybox:1'}}}}\n"
        )
        shutil.copy(yard.path / "p.lock", full.path)
        full.environment["XDG_CACHE_HOME"] = str(small)
        said = full.remuda("image", "fetch", fails=True)
        check("a full disk is told of", "No space left on device" in said, said)
        left = [path for path in small.rglob("*") if path.is_file() and path.stat().st_size > 100_000]
        check("a full disk is left as it was", left == [], left)
        full.environment["XDG_CACHE_HOME"] = str(full.path / "cache")
        full.remuda("image", "fetch")
        (full.path / "out").mkdir()
        run("mount", "--bind", small, full.path / "out")
        try:
            said = full.remuda("gen", fails=True)
            check("a full disk below the out tree is told of", "No space left on device" in said, said)
            left = list(small.rglob("*.tar"))
            check("a full disk gets no half tarball", left == [], left)
        finally:
            run("umount", full.path / "out")
    finally:
        run("umount", small)


def main():
    os.environ["DOCKER_HOST"] = output(f"{BED}/engine/dockerd", "start", WORK / "engine").strip()
    upstream = images_of_an_engine()
    address, data = registry("open")
    push(WORK / "busybox.tar", f"{address}/library/busybox:1")
    for arch, archive in (("amd64", "busybox.tar"), ("arm64", "busybox-arm64.tar")):
        push(WORK / archive, f"{address}/multi-{arch}:1")
    from_a_registry_to_a_running_container(address, upstream)
    from_files(upstream)
    of_manifests(address, upstream)
    architectures(address)
    logins()
    mirrors(address, upstream)
    damage(address, data, upstream)
    odd = run(f"{BED}/registry/odd.py", check=False)
    print(odd.stdout, end="")
    check("odd registries are read and filled", odd.returncode == 0, odd.stdout)
    print(f"{passed} passed, 0 failed")


try:
    main()
except Failed as failed:
    sys.exit(f"FAILED: {failed}")
finally:
    for process in running:
        process.terminate()
    run(f"{BED}/engine/dockerd", "stop", WORK / "engine", check=False)
    shutil.rmtree(WORK, ignore_errors=True)
