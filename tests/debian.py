#!/usr/bin/env python3
"""Pins what root filesystems of Debian's packages are made of: templates/debian/packages.yaml.

Run it after a point release or a security fix, on a Debian 12 machine, whose servers it asks; then `cargo test`,
and read `git diff`. Which packages, and what becomes of them, is said in templates/debian/rootfs.yaml. apt checks the
signatures of Debian's indexes, and each package against them.

With --compare, it pins nothing: it has remuda make the root filesystems of the packages in DIR, and compares each with
what scripts/components made of the same versions: paths, types, modes, owners, links and bytes.
"""

import argparse
import datetime
import email.utils
import fnmatch
import hashlib
import http.server
import json
import os
import re
import subprocess
import tarfile
import tempfile
import threading
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "templates/debian/rootfs.yaml"
OUT = ROOT / "templates/debian/packages.yaml"
ARCHES = ["amd64", "arm64"]
SUITES = ["debian bookworm", "debian bookworm-updates", "debian-security bookworm-security"]
DEPENDS = ["depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances"]


class Apt:
    """Debian's indexes for one architecture, beside those of the machine."""

    def __init__(self, folder: Path, arch: str):
        for name in ["lists/partial", "cache/archives/partial"]:
            (folder / name).mkdir(parents=True)
        keys = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
        targets = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], check=True, capture_output=True, text=True)
        server = next(uri.removesuffix("debian/") for uri in targets.stdout.split() if uri.endswith("/debian/"))
        sources = [f"deb {keys} {server}{suite} main\n" for suite in SUITES]
        (folder / "sources.list").write_text("".join(sources))
        (folder / "status").touch()
        options = {
            "APT::Architecture": arch,
            "APT::Architectures": arch,
            "APT::Sandbox::User": "",
            "Dir::State": folder,
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Dir::Etc::sourcelist": folder / "sources.list",
            "Dir::Etc::sourceparts": "-",
        }
        self.lists = folder / "lists"
        self.options = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        self("apt-get", "update", "-qq")

    def __call__(self, program: str, *words: str, cwd: Path | None = None) -> str:
        return subprocess.run([program, *self.options, *words], check=True, stdout=subprocess.PIPE, text=True, cwd=cwd).stdout

    def released(self) -> tuple[str, datetime.datetime]:
        """The point release, and when the youngest of the indexes was made."""
        heads = [path.read_text().split("\nSHA256:")[0] for path in sorted(self.lists.glob("*_InRelease"))]
        version = next(line for head in heads for line in head.splitlines() if re.fullmatch(r"Version: 12\.\d+", line))
        dates = [line.removeprefix("Date: ") for head in heads for line in head.splitlines() if line.startswith("Date: ")]
        return version.removeprefix("Version: "), max(email.utils.parsedate_to_datetime(date) for date in dates)

    def names(self, wanted: list[str], unused: list[str]) -> list[str]:
        """The packages that are wanted and all that these depend on, without the unused."""
        listed = self("apt-cache", *DEPENDS, *wanted).splitlines()
        names = {line.split(":")[0] for line in listed if re.match("[a-z0-9]", line)}
        return sorted(name for name in names if not any(fnmatch.fnmatchcase(name, pattern) for pattern in unused))

    def records(self, names: list[str]) -> dict[str, dict[str, str]]:
        """What the index says of the version that apt would install."""
        found = {}
        for record in self("apt-cache", "show", "--no-all-versions", *names).split("\n\n"):
            fields = dict(line.split(": ", 1) for line in record.splitlines() if re.match(r"[A-Z][\w-]*: ", line))
            if fields:
                found[fields["Package"]] = fields
        return found


def licenses(tree: Path) -> list[str]:
    """The short names in the package's machine-readable copyright file; nothing if it isn't machine-readable."""
    found = set()
    for path in tree.glob("usr/share/doc/*/copyright"):
        text = path.read_text(errors="replace") if path.is_file() else ""
        if text.startswith("Format:"):
            found.update(line.removeprefix("License:").strip() for line in text.splitlines() if line.startswith("License:"))
    return sorted(found - {""})


def applets(busybox: bytes) -> list[str]:
    """busybox's table of applets, which `busybox --list` prints: sorted names, each with a NUL behind it."""
    start = busybox.index(b"\0[\0[[\0") + 1
    names = busybox[start : busybox.index(b"\0\0", start)].decode().split("\0")
    assert names == sorted(names) and len(names) > 200, names
    return names


def flow(items: dict[str, object]) -> str:
    dumped = yaml.safe_dump(items, default_flow_style=True, sort_keys=False, width=10**6)
    return dumped.strip()


def pin(debs: Path | None) -> None:
    recipe = yaml.safe_load(RECIPE.read_text())
    packages, rootfs, commands, dates = {}, {}, [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        debs = debs or folder / "debs"
        for arch in ARCHES:
            apt = Apt(folder / arch, arch)
            version, date = apt.released()
            dates.append(date)
            names = set()
            for name, one in recipe["rootfs"].items():
                unused = [pattern for pattern in recipe["unused"] if pattern not in one.get("used", [])]
                rootfs.setdefault(name, {})[arch] = apt.names(one["wanted"], unused)
                names.update(rootfs[name][arch])
            packages[arch] = {}
            records = apt.records(sorted(names))
            assert records.keys() == names, f"{arch}: the index has no {names - records.keys()}"
            (debs / arch).mkdir(parents=True, exist_ok=True)
            apt("apt-get", "download", "-qq", *(f"{name}={record['Version']}" for name, record in records.items()), cwd=debs / arch)
            for name, record in sorted(records.items()):
                tree = folder / "trees" / arch / name
                tree.mkdir(parents=True)
                subprocess.run(["dpkg-deb", "-x", next(debs.glob(f"{arch}/{name}_*.deb")), tree], check=True)
                archive = "debian-security" if record["Filename"].startswith("pool/updates/") else "debian"
                packages[arch][name] = {
                    "version": record["Version"],
                    "path": f"{archive}/{record['Filename']}",
                    "digest": f"sha256:{record['SHA256']}",
                    "size": int(record["Size"]),
                    "licenses": licenses(tree),
                }
            commands.append(applets((folder / "trees" / arch / "busybox-static/bin/busybox").read_bytes()))
    assert all(one == commands[0] for one in commands), "busybox has other applets on other processors"
    # What was published last is in a snapshot by then: several are made each day.
    snapshot = max(dates) + datetime.timedelta(hours=36)
    lines = [
        f"# Debian {version}, with the security fixes until {max(dates):%d %B %Y}, as its signed indexes have them.",
        "# Made by tests/debian.py from rootfs.yaml: don't edit it.",
        f"snapshot: {snapshot:%Y%m%d}T000000Z",
        "# The applets of busybox.",
        f"commands: {flow(commands[0])}",
        "rootfs:",
        *(f"  {name}: {flow(arches)}" for name, arches in rootfs.items()),
        "packages:",
    ]
    for arch, all_of in packages.items():
        lines += [f"  {arch}:", *(f"    {name}: {flow(one)}" for name, one in all_of.items())]
    OUT.write_text("\n".join(lines) + "\n")


PROFILE = """\
cluster: c
target: burmillaos-2.0
line: kubernetes-1.37
network: {nodes: 10.0.0.0/16, gateway: 10.0.0.1}
defaults: {ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y a@b]}
nodes: {one: {roles: [control-plane, worker], address: 10.0.0.2}}
images: {components: {mine: {version: "1", engine: containerd, from: {debian: NAME}}}}
"""
# The recipes lay out what rootfs.yaml leaves out.
KNOWN = "usr/lib/*/libelogind.so.0*"


def entries(path: Path) -> dict[str, tuple]:
    """What an archive has, by path. Folders that are only in the names of others count too."""
    found, names = {}, {}
    with tarfile.open(path) as tar:
        for member in tar:
            name = member.name.removeprefix("./").rstrip("/")
            own = (member.type, oct(member.mode), member.uid, member.gid, member.linkname)
            if member.islnk():
                names.setdefault(member.linkname.removeprefix("./"), []).append(name)
            elif name not in ("", "."):
                found[name] = (*own, hashlib.sha256(tar.extractfile(member).read()).hexdigest()) if member.isfile() else own
    for first, others in names.items():
        both = sorted([first, *others])
        found.update(dict.fromkeys(both, (*found[first], *both)))
    for name in list(found):
        for parent in list(Path(name).parents)[:-1]:
            found.setdefault(str(parent), (tarfile.DIRTYPE, "0o755", 0, 0, ""))
    return found


def compare(debs: Path, remuda: Path, components: Path) -> int:
    pinned = yaml.safe_load(OUT.read_text())
    served = {}
    for name, package in pinned["packages"]["amd64"].items():
        archive, path = package["path"].split("/", 1)
        served[f"/archive/{archive}/{pinned['snapshot']}/{path}"] = next(debs.glob(f"amd64/{name}_*.deb"))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(served[self.path].read_bytes())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    differences = 0
    for name in pinned["rootfs"]:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "p.yaml").write_text(PROFILE.replace("NAME", name))
            mirror = f"snapshot.debian.org=http://127.0.0.1:{server.server_port}"
            environment = {**os.environ, "XDG_CACHE_HOME": temporary}
            words = [remuda.resolve(), "lock", "p.yaml", "--mirror", mirror]
            subprocess.run(words, cwd=folder, env=environment, check=True, stderr=subprocess.DEVNULL)
            [note] = (folder / "remuda/debian").iterdir()
            digest = json.loads(note.read_text())["digest"].removeprefix("sha256:")
            ours = entries(folder / "remuda/blobs/sha256" / digest[:2] / digest)
        theirs = entries(components / name / "rootfs.tar")
        for path in sorted(ours.keys() | theirs.keys()):
            if ours.get(path) != theirs.get(path) and not fnmatch.fnmatchcase(path, KNOWN):
                differences += 1
                print(f"{name}: {path}: {ours.get(path)}, but the recipe has {theirs.get(path)}")
        print(f"{name}: {len(ours)} paths compared")
    return differences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the packages in DIR")
    parser.add_argument("--compare", type=Path, nargs=3, metavar=("DIR", "REMUDA", "COMPONENTS"))
    arguments = parser.parse_args()
    if arguments.compare:
        raise SystemExit(min(compare(*arguments.compare), 1))
    pin(arguments.keep)


main()
