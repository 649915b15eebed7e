#!/usr/bin/python3
"""How fast images are packed: the default cluster's real programs into `docker load` tarballs.

image.py [COMPONENTS]      the folder that scripts/components filled (default: components)

Beside it, in the same run and with as many cores: what hashing alone takes (`sha256sum` over the layers, beside
`sha256sum` over the tarballs), `tar` and `sha256sum`, `pigz`, and real image builders on the same files: crane
(go-containerregistry, which ko uses too), umoci, buildah, and skopeo (to which nix2container leaves the copying). Those that
aren't there are left out; buildah needs root. Everything happens below $TMPDIR, with warm files. Each figure is the median
of three runs; CPU is user and system time of the whole command.
"""

import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
COMPONENTS = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else HERE / "components").resolve()
PROFILE = HERE / "profiles/vagrant.yaml"
RUNS = 3


def timed(command, prepare=lambda: None):
    """Median seconds and CPU seconds, most memory in MB."""
    times, cpu, memory = [], [], 0
    for _ in range(RUNS):
        prepare()
        started = time.monotonic()
        child = subprocess.Popen(command, shell=isinstance(command, str), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        times.append(time.monotonic() - started)
        if status:
            raise SystemExit(f"{command}: {said.decode()}")
        cpu.append(usage.ru_utime + usage.ru_stime)
        memory = max(memory, usage.ru_maxrss)
    return statistics.median(times), statistics.median(cpu), memory / 1024


def size(files):
    return sum(file.stat().st_size for file in files)


def table(rows, first):
    """Prints rows of a name, what `timed` said, and the result's size; ratios are to the first."""
    print(f"| {first} | time | of remuda's | CPU of remuda's | size | most memory |\n|---|---|---|---|---|---|")
    (_, (seconds, cpu, _), _) = rows[0]
    for name, (took, used, memory), made in rows:
        made = f"{made / 1e6:.0f} MB" if made else ""
        print(f"| {name} | {took * 1000:.0f} ms | {took / seconds:.2f} | {used / cpu:.2f} | {made} | {f'{memory:.0f} MB'} |")
    print()


def main():
    subprocess.run(["cargo", "build", "--release", "--locked", "-q"], cwd=HERE, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))
    work = pathlib.Path(tempfile.mkdtemp())
    try:
        zipped = work / "zipped.yaml"
        zipped.write_text(PROFILE.read_text() + "\nimages: {gzip: true}\n")

        def remuda(profile):
            return [target / "release/remuda", "image", "build", profile, "--components", COMPONENTS, "-o", work / "out"]

        def fresh():
            shutil.rmtree(work / "out", ignore_errors=True)

        def made(end):
            return sorted(work.glob(f"out/*/images/*{end}"))

        plain = timed(remuda(PROFILE), fresh)
        tarballs = made(".tar")
        again = timed(remuda(PROFILE))
        # The same bytes for all others: what the tarballs' layers have in them.
        layers = work / "layers"
        for tarball in tarballs:
            place = layers / tarball.name
            place.mkdir(parents=True)
            subprocess.run(["tar", "-xf", tarball, "-C", place], check=True)
        files, tars = f"{layers}/*/layer-*.tar", f"{work}/out/*/images/*.tar"
        one = work / "one.tar"
        rows = [
            ("`remuda image build`", plain, size(tarballs)),
            ("the same, nothing changed", again, 0),
            ("`sha256sum` of layers, beside `sha256sum` of tarballs", timed(f"sha256sum {files} & sha256sum {tars}; wait"), 0),
            (
                "`tar cf`, then `sha256sum`",
                timed(f"tar cf {one} -C {layers} . && sha256sum {one}", lambda: one.unlink(missing_ok=True)),
                size([one]),
            ),
        ]
        layer, archive = work / "layer.tar", work / "archive.tar"
        subprocess.run(["tar", "-cf", layer, "-C", layers, "."], check=True)

        def gone():
            archive.unlink(missing_ok=True)
            shutil.rmtree(work / "oci", ignore_errors=True)

        builders = {
            "crane": f"crane append --new_layer {layer} --new_tag a:1 --output {archive}",
            "umoci": f"umoci init --layout {work}/oci && umoci new --image {work}/oci:a && umoci insert --rootless --image {work}/oci:a {layers} /a",
        }
        if os.getuid() == 0:
            storage = f"buildah --root {work}/storage --runroot {work}/run --storage-driver vfs"
            builders["buildah"] = (
                f"c=$({storage} from scratch) && {storage} copy -q $c {layers} /a && "
                f"{storage} commit -q --disable-compression $c docker-archive:{archive}:a:1 && {storage} rm $c"
            )
        said = {"crane": "`crane append`", "umoci": "`umoci insert` (gzip, as it always does)", "buildah": "`buildah` from, copy, commit"}
        for name, command in builders.items():
            if shutil.which(name):
                rows.append(
                    (said[name], timed(command, gone), size([archive] if archive.exists() else (work / "oci").glob("blobs/sha256/*")))
                )
        # nix2container leaves the copying to skopeo: of an archive with plain layers, as buildah's is.
        if shutil.which("skopeo") and archive.exists():
            archive.rename(work / "source.tar")
            rows.append(
                (
                    "`skopeo copy` of such an archive",
                    timed(f"skopeo copy docker-archive:{work}/source.tar docker-archive:{archive}:a:1", gone),
                    size([archive]),
                )
            )
        table(rows, "plain")

        packed = timed(remuda(zipped), fresh)
        rows = [("`remuda image build` with `gzip: true`", packed, size(made(".tar.gz")))]
        cores = len(os.sched_getaffinity(0))
        gz = work / "one.tar.gz"
        if shutil.which("pigz"):
            rows.append(
                (
                    f"`pigz -6 -p {cores}`, `sha256sum`",
                    timed(f"tar cf - -C {layers} . | pigz -6 -p {cores} >{gz} && sha256sum {gz}"),
                    size([gz]),
                )
            )
        rows.append(("`tar czf`, then `sha256sum`", timed(f"tar czf {gz} -C {layers} . && sha256sum {gz}"), size([gz])))
        table(rows, "gzip")
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
