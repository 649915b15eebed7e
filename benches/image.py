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
import subprocess
import sys
import tempfile

from common import CORES, HERE, REMUDA, build, row, table, timed

COMPONENTS = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else HERE / "components").resolve()
PROFILE = HERE / "profiles/vagrant.yaml"


def size(files):
    return sum(file.stat().st_size for file in files)


def compared(rows, first):
    """Rows of a name, what `timed` said, and the result's size; ratios are to the first."""
    table(first, "time", "of remuda's", "CPU of remuda's", "size", "most memory")
    ours = rows[0][1]
    for name, took, made in rows:
        made = f"{made / 1e6:.0f} MB" if made else ""
        row(
            name,
            f"{took.seconds * 1000:.0f} ms",
            f"{took.seconds / ours.seconds:.2f}",
            f"{took.cpu / ours.cpu:.2f}",
            made,
            f"{took.memory:.0f} MB" if "remuda" in name else "",
        )
    print()


def main():
    build()
    work = pathlib.Path(tempfile.mkdtemp())
    try:
        zipped = work / "zipped.yaml"
        zipped.write_text(PROFILE.read_text() + "\nimages: {gzip: true}\n")

        def remuda(profile):
            return [REMUDA, "image", "build", profile, "--components", COMPONENTS, "-o", work / "out"]

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
        compared(rows, "plain")

        packed = timed(remuda(zipped), fresh)
        rows = [("`remuda image build` with `gzip: true`", packed, size(made(".tar.gz")))]
        gz = work / "one.tar.gz"
        if shutil.which("pigz"):
            rows.append(
                (
                    f"`pigz -6 -p {CORES}`, `sha256sum`",
                    timed(f"tar cf - -C {layers} . | pigz -6 -p {CORES} >{gz} && sha256sum {gz}"),
                    size([gz]),
                )
            )
        rows.append(("`tar czf`, then `sha256sum`", timed(f"tar czf {gz} -C {layers} . && sha256sum {gz}"), size([gz])))
        compared(rows, "gzip")
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
