#!/usr/bin/python3
"""Registries that answer in odd ways: remuda reads and fills those that skopeo does, and shows no other host a
password or token. REMUDA is the program; skopeo (Debian's) is the judge, at the same server."""

import base64
import hashlib
import http.server
import io
import json
import os
import pathlib
import socket
import sys
import tarfile
import tempfile
import threading
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from common import PROFILE, REMUDA, account, expect, run, small_components

PASSWORD, TOKEN = "not-to-be-seen", "token-not-to-be-seen"
IDENTITY = "identity/not+to-be-seen"
BASIC = "Basic " + base64.b64encode(f"user:{PASSWORD}".encode()).decode()
OCI = "application/vnd.oci.image."


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("hello")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"hi"))
    return out.getvalue()


LAYER = layer()
BLOBS = {digest(LAYER): LAYER}


def described(data, kind, **more):
    BLOBS[digest(data)] = data
    return {"mediaType": kind, "digest": digest(data), "size": len(data), **more}


def manifest(arch="amd64", **more):
    config = {"architecture": arch, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [digest(LAYER)]}}
    body = {
        "schemaVersion": 2,
        "mediaType": OCI + "manifest.v1+json",
        "config": described(json.dumps(config).encode(), OCI + "config.v1+json"),
    }
    return json.dumps({**body, "layers": [described(LAYER, OCI + "layer.v1.tar")], **more}).encode()


def entry(data, arch="amd64", **more):
    platform = {} if arch is None else {"platform": {"os": "linux", "architecture": arch}}
    return described(data, OCI + "manifest.v1+json", **{**platform, **more})


def index(*entries):
    return json.dumps({"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": entries}).encode()


ARTIFACT = manifest(artifactType="application/x-signature", config=described(b"{}", "application/vnd.oci.empty.v1+json"))
ATTESTATION = {
    "platform": {"os": "unknown", "architecture": "unknown"},
    "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
}
RIGHT = entry(manifest())
INDEXES = {
    "index-attestation": index(entry(ARTIFACT, **ATTESTATION), RIGHT),
    "index-artifact": index(
        entry(ARTIFACT, artifactType="application/x-signature", platform={"os": "unknown", "architecture": "unknown"}), RIGHT
    ),
    "index-no-platform": index(entry(ARTIFACT, None), RIGHT),
    "index-only-no-platform": index(entry(manifest(), None)),
    "index-unknown-kind": index(described(b'{"x": 1}', "application/x-unknown", platform={"os": "plan9", "architecture": "amd64"}), RIGHT),
    "index-other-arch": index(entry(manifest("arm64"), "arm64")),
    "index-nested": index(described(index(RIGHT), OCI + "index.v1+json")),
    "index-odd-digest": index({**RIGHT, "digest": "blake3:00ff", "platform": {"os": "x", "architecture": "y"}}, RIGHT),
    "artifact": ARTIFACT,
    "other-arch": manifest("arm64"),
}
# How a repository asks for a login: the headers of its 401.
CHALLENGES = {
    "basic": lambda realm: ['Basic realm="x"'],
    "bearer": lambda realm: [f'Bearer realm="{realm}",service="s"'],
    "bearer-access-token": lambda realm: [f'Bearer realm="{realm}?kind=access",service="s"'],
    "bearer-after-others": lambda realm: ["Negotiate", f'Bearer realm="{realm}",service="s"'],
    "bearer-before-basic": lambda realm: [f'Bearer realm="{realm}",service="s"', 'Basic realm="x"'],
    "bearer-in-one-header": lambda realm: [f'Negotiate, Bearer service="a \\"b\\", c", realm="{realm}"'],
    "bearer-lower-case": lambda realm: [f'bearer REALM="{realm}" , SERVICE=s'],
    "bearer-query": lambda realm: [f'Bearer realm="{realm}?a=b",service="s"'],
    "bearer-post-404": lambda realm: [f'Bearer realm="{realm}?post=404",service="s"'],
    "bearer-post-405": lambda realm: [f'Bearer realm="{realm}?post=405",service="s"'],
    "realm-redirects": lambda realm: [f'Bearer realm="{realm}/moved",service="s"'],
    "realm-redirects-away": lambda realm: [f'Bearer realm="{realm}/away",service="s"'],
}
LOGGED_IN = {*CHALLENGES, "blob-within", "blob-away", "blob-away-asks"}
# remuda reads these, which the judge doesn't; and doesn't what would show a password to another host.
MORE = {
    "bearer-in-one-header",
    "bearer-lower-case",
    "index-nested",
    "index-odd-digest",
    "index-artifact",
    "index-no-platform",
    "realm-redirects",
}
NEVER = {"realm-redirects-away", "blob-away-asks", "artifact", "other-arch", "index-other-arch", "loop"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, values in headers.items():
            for value in values if isinstance(values, list) else [values]:
                self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            out = b""
            while size := int(self.rfile.readline(), 16):
                out += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return out
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def proven(self):
        return self.headers.get("Authorization") in (BASIC, f"Bearer {TOKEN}")


class Foreign(Handler):
    """Another host: what it is shown is written down."""

    def everything(self):
        body = self.body()
        self.server.shown.append(self.headers.get("Authorization") or (body.decode() if self.path.startswith("/token") else None))
        parts = urllib.parse.urlparse(self.path)
        if parts.path.startswith("/asks"):
            self.answer(401, WWW_Authenticate='Basic realm="give it to me"')
        elif parts.path.startswith("/token"):
            self.answer(200, json.dumps({"token": TOKEN}).encode() if self.headers.get("Authorization") or body else b"{}")
        elif self.command in ("PUT", "PATCH"):
            self.server.home.put(parts, body)
            self.answer(202 if self.command == "PATCH" else 201, Location=f"http://127.0.0.1:{self.server.server_port}{self.path}")
        else:
            data = BLOBS.get(parts.path.rsplit("/", 1)[-1])
            self.answer(200 if data else 404, data or b"")

    do_GET = do_HEAD = do_PUT = do_PATCH = do_POST = everything


class Registry(Handler):
    """Pulls: the repository's name is the way. Pushes: the server's `way`."""

    def everything(self):
        body = self.body()
        here, away = f"http://{self.headers['Host']}", f"http://127.0.0.1:{self.server.foreign.server_port}"
        parts = urllib.parse.urlparse(self.path)
        if parts.path.startswith("/token"):
            form = urllib.parse.parse_qs(body.decode())
            is_known = (form.get("grant_type"), form.get("refresh_token")) == (["refresh_token"], [IDENTITY])
            is_known = is_known and bool(form.get("service") and form.get("scope") and form.get("client_id"))
            if self.command == "POST" and "post=" in parts.query:
                return self.answer(int(parts.query.split("post=")[1][:3]))
            if not self.headers.get("Authorization") and not is_known:
                return self.answer(401)
            if parts.path != "/token":
                return self.answer(307, Location=("/token?" if parts.path == "/token/moved" else f"{away}/token?") + parts.query)
            access = "kind=access" in parts.query
            return self.answer(200, json.dumps({"token": "", "access_token": TOKEN} if access else {"token": TOKEN}).encode())
        if parts.path.rstrip("/") == "/v2":
            way = self.server.way
            # skopeo asks here first, whatever the repository is.
            return self.answer(200) if way not in LOGGED_IN or self.proven() else self.challenge(way, here)
        words = parts.path.split("/")
        way = words[2]
        if way in LOGGED_IN and not self.proven():
            return self.challenge(way, here)
        if way == "push":
            return self.pushed(words, parts, body, here, away)
        if words[-2] == "manifests":
            if way == "manifest-moved" and words[3] == "x":
                return self.answer(301, Location=f"/v2/{way}/moved/manifests/{words[-1]}")
            if way == "loop":
                return self.answer(302, Location=self.path)
            data = BLOBS.get(words[-1]) or INDEXES.get(way) or manifest()
            return self.answer(200, data, Content_Type=json.loads(data)["mediaType"])
        data = BLOBS.get(words[-1], b"")
        to = {
            "blob-away": f"{away}/blob/{words[-1]}",
            "blob-away-asks": f"{away}/asks/{words[-1]}",
            "blob-within": f"{here}/v2/blob-within/moved/blobs/{words[-1]}",
            "blob-dots": f"../../../blob-dots/moved/./blobs/{words[-1]}#part",
            "blob-no-scheme": f"//127.0.0.1:{self.server.foreign.server_port}/blob/{words[-1]}",
        }.get(way)
        if to and words[3] == "x":
            return self.answer(308 if way == "blob-dots" else 307, Location=to)
        return self.answer(200 if data else 404, data)

    def challenge(self, way, here):
        self.answer(401, WWW_Authenticate=CHALLENGES.get(way, CHALLENGES["bearer"])(f"{here}/token"))

    def pushed(self, words, parts, body, here, away):
        way, path = self.server.way, parts.path
        upload = "/".join(words[:4]) + "/blobs/uploads/one"
        if not self.proven() and "login" in way:
            return self.challenge("bearer", here)
        if words[-2] == "manifests" and self.command == "PUT":
            self.server.manifests[path] = body
            return self.answer({"manifest-202": 202, "manifest-200": 200, "manifest-204": 204}.get(way, 201))
        if self.command == "HEAD":
            return self.answer(405 if way == "head-405" else 200 if words[-1] in self.server.blobs else 404)
        if self.command == "POST":
            if way.startswith("post-30") and "again=1" not in parts.query:
                return self.answer(int(way[5:8]), Location=("?again=1" if "relative" in way else f"{here}{path}?again=1"))
            location = {
                "absolute": here + upload,
                "query": upload + "?state=a%2Fb&c=d",
                "empty-query": upload + "?",
                "dots": "../uploads/one",
                "no-scheme": "//" + here.removeprefix("http://") + upload,
                "fragment": upload + "?a=b#part",
                "away-login": f"{away}{upload}",
                "put-307-login": upload,
            }.get(way, upload)
            return self.answer({"post-201": 201, "post-200": 200}.get(way, 202), Location=location)
        if self.command == "PUT" and way == "put-307-login":
            return self.answer(307, Location=f"{away}{self.path}")
        self.server.put(parts, body)
        if self.command == "PATCH":
            return self.answer(202, Location=self.path)
        return self.answer({"put-200": 200, "put-202": 202, "put-204": 204}.get(way, 201))

    do_GET = do_HEAD = do_PUT = do_PATCH = do_POST = everything


class Home(http.server.ThreadingHTTPServer):
    way, blobs, manifests, begun = "", {}, {}, b""

    def put(self, parts, body):
        self.begun += body
        for name in urllib.parse.parse_qs(parts.query).get("digest", []):
            self.blobs[name] = self.begun
            self.begun = b""

    def forget(self, way):
        self.way, self.blobs, self.manifests, self.begun = way, {}, {}, b""

    def is_whole(self):
        """Whether what was pushed can be pulled."""
        texts = [json.loads(text) for text in self.manifests.values()]
        wanted = [blob["digest"] for text in texts for blob in [text["config"], *text["layers"]]]
        return bool(texts) and all(digest(self.blobs.get(name, b"")) == name for name in wanted)


PULLS = [
    *CHALLENGES,
    *INDEXES,
    "plain",
    "manifest-moved",
    "loop",
    "blob-away",
    "blob-away-asks",
    "blob-within",
    "blob-dots",
    "blob-no-scheme",
]
PUSHES = [
    "plain",
    "absolute",
    "query",
    "empty-query",
    "dots",
    "no-scheme",
    "fragment",
    "away-login",
    "put-307-login",
    "login",
    "post-307",
    "post-308",
    "post-307-relative",
    "post-201",
    "post-200",
    "put-200",
    "put-202",
    "put-204",
    "manifest-200",
    "manifest-202",
    "manifest-204",
    "head-405",
]


def remuda(place, *words):
    environment = dict(
        os.environ, XDG_CACHE_HOME=f"{place}/cache", HOME=str(place), DOCKER_CONFIG=str(place), PATH=f"{place}:{os.environ['PATH']}"
    )
    environment.pop("XDG_RUNTIME_DIR", None)
    verb = words[:2] if words[0] == "image" else words[:1]
    rest = ["--no-seal"] if words[0] == "gen" else []
    return run(
        REMUDA, *verb, "p.yaml", *rest, *words[len(verb) :], "--retries", "0", "--timeout", "5", check=False, cwd=place, env=environment
    )


def yard(work, name, login, images):
    place = work / name
    place.mkdir()
    (place / "small").write_text("small\n")
    (place / "empty.tar").write_bytes(b"\0" * 1024)
    small = small_components("rootfs: empty.tar")
    (place / "p.yaml").write_text(PROFILE + images.replace("COMPONENTS", small))
    (place / "config.json").write_text(json.dumps(login))
    return place


def logins(address):
    """Each way to keep a login, and whether Debian's skopeo reads it."""
    right, wrong = account("user", PASSWORD), account("user", "wrong")
    return {
        "of-the-host": ({"auths": {address: right}}, True),
        "of-a-namespace": ({"auths": {f"{address}/basic": right, address: wrong}}, True),
        "of-a-repository": ({"auths": {f"{address}/basic/x": right, f"{address}/basic": wrong}}, True),
        "of-another-namespace": ({"auths": {f"{address}/other": right}}, True),
        "of-a-url": ({"auths": {f"http://{address}/v1/": right}}, True),
        "in-fields": ({"auths": {address: {"username": "user", "password": PASSWORD}}}, False),
        "by-a-helper": ({"credHelpers": {address: "bed"}}, True),
        "by-the-store": ({"credsStore": "bed"}, False),
    }


def identities(address):
    """Identity tokens: a repository's way, the login, and whether it can be pulled; None for what the judge says."""
    token = {"auths": {address: {**account("user", ""), "identitytoken": IDENTITY}}}
    return {
        "identity": ("bearer", token, None),
        "identity-by-a-helper": ("bearer", {"credHelpers": {address: "token"}}, None),
        "identity-access-token": ("bearer-access-token", token, None),
        "identity-without-post": ("bearer-post-404", token, True),
        "identity-post-forbidden": ("bearer-post-405", token, True),
        "identity-redirects": ("realm-redirects", token, True),
        "identity-redirects-away": ("realm-redirects-away", token, False),
        "identity-before-basic": ("bearer-before-basic", token, None),
        "identity-for-basic": ("basic", token, False),
    }


def put_helpers(folder, name="$name"):
    """Two credential helpers: one knows a password, the other an identity token."""
    for helper, user, secret in (("bed", "user", PASSWORD), ("token", "<token>", IDENTITY)):
        path = folder / f"docker-credential-{helper}"
        answer = json.dumps({"Username": user, "Secret": secret})
        path.write_text(f'#!/bin/sh\nread name\n[ "$name" = "{name}" ] || exit 1\necho \'{answer}\'\n')
        path.chmod(0o755)


def own_address():
    """An address of this machine that a node could use: remuda refuses to push to loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]


def main():
    foreign, home = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Foreign), Home(("0.0.0.0", 0), Registry)
    foreign.shown, foreign.home, home.foreign = [], home, foreign
    for server in (foreign, home):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{home.server_port}"
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        pushed = f"{own_address()}:{home.server_port}"
        login = {"auths": {address: account("user", PASSWORD), pushed: account("user", PASSWORD)}}
        (work / "auth.json").write_text(json.dumps(login))

        def skopeo(*words, auth=f"{work}/auth.json"):
            path = f"{work}:{os.environ['PATH']}"
            done = run(
                "skopeo", "--override-arch", "amd64", "copy", "-q", "--authfile", auth, *words, check=False, env=dict(os.environ, PATH=path)
            )
            return done.returncode == 0, done.stdout

        def pulled(way, name, login, auth):
            home.forget(way)
            judged = skopeo("--src-tls-verify=false", f"docker://{address}/{way}/x:1", f"dir:{work}/{name}-judge", auth=auth)
            foreign.shown.clear()
            place = yard(
                work,
                name,
                login,
                f"  components:\nCOMPONENTS    x: {{version: '1', engine: docker, from: {{image: '{address}/{way}/x:1'}}}}\n",
            )
            put_helpers(place, address)
            done = remuda(place, "lock")
            said = done.stdout
            if done.returncode == 0:
                done = remuda(place, "image", "fetch")
                said += done.stdout
            expect(done.returncode in (0, 3), f"{name}: exit status {done.returncode}: {said}")
            expect(not any(foreign.shown), f"{name}: another host was shown {foreign.shown}")
            expect(not any(secret in said for secret in (PASSWORD, TOKEN, BASIC, IDENTITY)), f"{name}: a secret is in {said}")
            return done.returncode == 0, judged, said

        for way in PULLS:
            got, judged, said = pulled(way, way, login, f"{work}/auth.json")
            wanted = way not in NEVER and (way in MORE or judged[0])
            expect(got == wanted and (got or way in NEVER), f"pull {way}: remuda {got}: {said}\nskopeo {judged}")
            count += 1
        put_helpers(work)
        for way, (login_file, is_judged) in logins(address).items():
            (work / f"{way}.json").write_text(json.dumps(login_file))
            got, judged, said = pulled("basic", f"login-{way}", login_file, f"{work}/{way}.json")
            expect(got == (judged[0] if is_judged else True), f"login {way}: remuda {got}: {said}\nskopeo {judged}")
            count += 1
        for name, (way, login_file, wanted) in identities(address).items():
            (work / f"{name}.json").write_text(json.dumps(login_file))
            got, judged, said = pulled(way, name, login_file, f"{work}/{name}.json")
            expect(got == (judged[0] if wanted is None else wanted), f"login {name}: remuda {got}: {said}\nskopeo {judged}")
            count += 1

        images = f"  delivery: registry\n  registry: {pushed}/push\n  insecure: ['{pushed}']\n  components:\nCOMPONENTS"
        place = yard(work, "push", login, images)
        done = remuda(place, "gen")
        expect(done.returncode == 0, done.stdout)
        tarball = next((place / "out/c/images").glob("docker-*.tar"))
        for way in PUSHES:
            home.forget(way)
            judged = skopeo("--dest-tls-verify=false", f"docker-archive:{tarball}", f"docker://{pushed}/push/x:1")
            judged = (judged[0] and home.is_whole(), judged[1])
            home.forget(way)
            foreign.shown.clear()
            done = remuda(place, "image", "push")
            got = done.returncode == 0
            expect(not got or home.is_whole(), f"push {way}: it isn't there: {done.stdout}")
            expect(got or not judged[0], f"push {way}: remuda: {done.stdout}\nskopeo {judged}")
            expect(got, f"push {way}: {done.stdout}")
            expect(not any(foreign.shown), f"push {way}: another host was shown {foreign.shown}")
            count += 1
    print(f"ok: {count} odd ways of registries, judged beside skopeo")


main()
