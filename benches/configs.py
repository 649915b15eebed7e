#!/usr/bin/python3
"""How fast configs are generated and sealed, and config drives are made, beside what the machine and other tools do.

configs.py [NODES…]      numbers of nodes (default: 3 1000 10000 100000)

Everything happens below $TMPDIR, with warm files: in memory, if that is a tmpfs. Beside it, in the same run: `cp -a` of
the same tree, which is what the file system alone takes; `sha256sum` of it, which remuda must do too; OpenSSL's
signatures; Butane, the config transpiler of Fedora CoreOS, on configs with the same files and services; xorriso. Needs
openssl, xorriso, python3-yaml, and go for Butane.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

from common import CORES, REMUDA, Took, build, ms, ratio, row, table, timed

BUTANE = "0.25.1"
# As many configs and drives as are enough to know what one takes.
SOME = 100
# As PEM, or as that in base64.
PRIVATE_KEY = "BEGIN PRIVATE KEY|LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t"


def profile(nodes):
    return f"""\
cluster: bench
target: rancheros-1.5
line: kubernetes-1.20
network: {{nodes: 10.0.0.0/14, pods: 10.128.0.0/9, node_prefix: 26, services: 10.96.0.0/16, gateway: 10.0.0.1}}
nodes:
  m: {{role: control-plane, address: 10.0.0.101}}
  w-[000001-{nodes - 1:06}]: {{role: worker, address: 10.1.0.1}}
"""


def butane(work):
    """Built once, from the Go module proxy."""
    program = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"), f"remuda/butane-{BUTANE}")
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        said = subprocess.run(["go", "mod", "download", "-json", f"github.com/coreos/butane@v{BUTANE}"], stdout=subprocess.PIPE, check=True)
        shutil.copytree(json.loads(said.stdout)["Dir"], work / "butane")
        subprocess.run(["chmod", "-R", "u+w", work / "butane"], check=True)
        subprocess.run(
            ["go", "build", "-mod=mod", "-o", program, "./internal"],
            cwd=work / "butane",
            env={**os.environ, "CGO_ENABLED": "0"},
            check=True,
        )
    return program


def for_butane(path):
    """A config with the files and services of one of ours."""
    config = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    files = [
        {"path": one["path"], "mode": int(one["permissions"], 8), "contents": {"inline": one["content"]}} for one in config["write_files"]
    ]
    units = [
        {"name": f"{name}.service", "enabled": True, "contents": yaml.safe_dump(one)} for name, one in config["rancher"]["services"].items()
    ]
    return yaml.safe_dump({"variant": "fcos", "version": "1.5.0", "storage": {"files": files}, "systemd": {"units": units}})


def signature():
    """The seconds of CPU that OpenSSL takes for one."""
    said = subprocess.run(["openssl", "speed", "-seconds", "2", "ecdsap256"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
    number, seconds = re.search(r"sign.* for 2s: (\d+) .* in ([\d.]+)s", said.stderr.decode()).groups()
    return float(seconds) / int(number)


class Bench:
    def __init__(self, work, nodes):
        self.nodes, self.profile, self.out, self.copy = nodes, work / f"{nodes}.yaml", work / f"out-{nodes}", work / "copy"
        self.profile.write_text(profile(nodes))
        self.seed = work / "remuda.seed"
        self.runs = 30 if nodes < 100 else 3 if nodes <= 10_000 else 1
        self.tree = self.out / "bench"

    def gen(self, *words):
        return [REMUDA, "gen", self.profile, "-o", self.out, "--no-images", *words]

    def fresh(self):
        shutil.rmtree(self.out, ignore_errors=True)

    def timed(self, command, prepare=lambda: None):
        return timed(command, prepare, self.runs)

    def copied(self):
        return self.timed(["cp", "-a", self.out, self.copy], lambda: shutil.rmtree(self.copy, ignore_errors=True))

    def hashed(self):
        return self.timed(f"find {self.tree} -type f -print0 | xargs -0 -P {CORES} -n 2000 sha256sum")

    def written(self):
        written = self.timed(self.gen("--no-seal"), self.fresh)
        unchanged, check = self.timed(self.gen("--no-seal")), self.timed(self.gen("--no-seal", "--check"))
        copied, hashed = self.copied(), self.hashed()
        memory = max(one.memory for one in (written, unchanged, check))
        row(
            f"{self.nodes:,}",
            ms(written),
            ms(unchanged),
            ms(check),
            f"{memory:.0f} MB",
            ms(copied),
            ratio(written, copied),
            ms(hashed),
            ratio(written, hashed),
        )
        return written

    def sealed(self):
        written = self.timed(self.gen("--seed", self.seed), self.fresh)
        unchanged = self.timed(self.gen("--seed", self.seed))
        text = subprocess.run(["grep", "-rchE", PRIVATE_KEY, self.tree / "sealed"], stdout=subprocess.PIPE, check=False).stdout
        made = sum(map(int, text.split()))
        # A key pair is a multiplication of the base point, as a signature is, and each has one of both.
        cpu = 2 * made * signature()
        openssl = Took(cpu / CORES, cpu, 0)
        copied, hashed = self.copied(), self.hashed()
        memory = max(written.memory, unchanged.memory)
        row(
            f"{self.nodes:,}",
            ms(written),
            ms(unchanged),
            f"{memory:.0f} MB",
            f"{made:,}",
            ms(openssl),
            ratio(written, openssl),
            ms(copied),
            ms(hashed),
            ratio(unchanged, hashed),
        )


def main():
    build()
    numbers = [int(number) for number in sys.argv[1:]] or [3, 1000, 10_000, 100_000]
    work = pathlib.Path(tempfile.mkdtemp())
    try:
        subprocess.run([REMUDA, "seed", "new", work / "remuda.seed"], check=True, stderr=subprocess.DEVNULL)
        print("### Configs, without keys\n")
        table(
            "nodes",
            "written",
            "unchanged",
            "`--check`",
            "most memory",
            "`cp -a`",
            "written to `cp -a`",
            "`sha256sum`",
            "written to `sha256sum`",
        )
        written = {}
        for number in numbers:
            bench = Bench(work, number)
            written[number] = bench.written()
            if number != 1000:
                bench.fresh()
        version = timed([REMUDA, "--version"], runs=30)
        print(f"\n`remuda --version`, which is the start of a process: {ms(version)}.\n")
        others(work, written)
        print("### Configs, sealed\n")
        table(
            "nodes",
            "sealed",
            "unchanged",
            "most memory",
            "private keys",
            "OpenSSL",
            "sealed to OpenSSL",
            "`cp -a`",
            "`sha256sum`",
            "unchanged to `sha256sum`",
        )
        # Sealed, the largest would be 3 GB.
        for number in (number for number in numbers if number <= 10_000):
            bench = Bench(work, number)
            bench.sealed()
            if number != 1000:
                bench.fresh()
        drives(work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def others(work, written):
    """Butane, a process for each config, as it is used."""
    if 1000 not in written:
        return
    program, inputs, outputs = butane(work), work / "butane-in", work / "butane-out"
    inputs.mkdir()
    outputs.mkdir()
    configs = sorted((work / "out-1000/bench/nodes").glob("*/cloud-config.yml"))[:SOME]
    for path in configs:
        (inputs / f"{path.parent.name}.bu").write_text(for_butane(path))
    took = timed(f"ls {inputs} | xargs -P {CORES} -I@ {program} {inputs}/@ -o {outputs}/@.ign")
    made = [path for path in outputs.glob("*.ign") if path.stat().st_size > 1000]
    assert len(made) == len(configs), f"Butane wrote {len(made)} configs, not {len(configs)}"
    ours = written[1000]
    print(
        f"Butane, {CORES} processes at a time: {took.seconds / SOME * 1000:.1f} ms for each config with the same files and services, of 1,000 nodes; "
        f"that is {took.seconds / SOME / (ours.seconds / 1000):.0f} times what remuda takes for one, and {took.cpu / SOME / (ours.cpu / 1000):.0f} times the CPU.\n"
    )


def drives(work):
    """Config drives of sealed configs, beside xorriso's with the same file."""
    bench = Bench(work, 1000)
    if not (bench.tree / "sealed").exists():
        return
    took = timed([REMUDA, "iso", "--all", "-p", bench.profile, "-o", bench.out, "--no-images"])
    nodes = sorted(path for path in (bench.tree / "sealed").iterdir() if path.is_dir() and (path / "cloud-config.yml").exists())[:SOME]
    other = work / "xorriso"
    other.mkdir()
    names = " ".join(path.name for path in nodes)
    make = f"xorriso -as mkisofs -quiet -R -J -V config-2 -graft-points -o {other}/@.iso openstack/latest/user_data={bench.tree}/sealed/@/cloud-config.yml"
    xorriso = timed(f"echo {names} | xargs -n 1 | xargs -P {CORES} -I@ {make}")
    assert len(list(other.glob("*.iso"))) == len(nodes)
    print("\n### Config drives\n")
    table("1,000 drives", "time", "of remuda's", "CPU of remuda's", "most memory")
    row("`remuda iso --all`", ms(took), "1.00", "1.00", f"{took.memory:.0f} MB")
    whole = Took(xorriso.seconds * 1000 / len(nodes), xorriso.cpu * 1000 / len(nodes), xorriso.memory)
    row(
        f"`xorriso`, {CORES} at a time, from {len(nodes)}",
        ms(whole),
        f"{whole.seconds / took.seconds:.2f}",
        f"{whole.cpu / took.cpu:.2f}",
        f"{whole.memory:.0f} MB",
    )
    copied = timed(f"cp -a {bench.tree}/sealed {work}/drives", lambda: shutil.rmtree(work / "drives", ignore_errors=True))
    row("`cp -a` of the folder", ms(copied), f"{copied.seconds / took.seconds:.2f}", f"{copied.cpu / took.cpu:.2f}", "")


if __name__ == "__main__":
    main()
