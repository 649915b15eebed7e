#!/usr/bin/env python3
"""Pins what root filesystems of Debian's packages are made of: templates/debian/packages.yaml.

  python3 tests/debian.py          fetch Debian's indexes and the packages, and write the file
  python3 tests/debian.py DIR      the same, and keep the packages in DIR

Run it after a point release or a security fix, on a machine with apt that reaches deb.debian.org; then `cargo test`,
and read `git diff`. Which packages, and what becomes of them, is said in templates/debian/rootfs.yaml. apt checks the
signatures of Debian's indexes, and each package against them.
"""

import datetime
import email.utils
import fnmatch
import re
import subprocess
import sys
import tempfile
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
        sources = [f"deb {keys} http://deb.debian.org/{suite} main\n" for suite in SUITES]
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


def main() -> None:
    recipe = yaml.safe_load(RECIPE.read_text())
    packages, rootfs, commands, dates = {}, {}, [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        debs = Path(sys.argv[1]) if len(sys.argv) > 1 else folder / "debs"
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


main()
