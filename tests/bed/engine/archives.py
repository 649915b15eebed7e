#!/usr/bin/python3
"""What remuda makes of an archive is what the engine makes of it, or remuda refuses it.

archives.py REMUDA [SEED]      on the engine that DOCKER_HOST names

Some 600 root filesystems (dialects of tar x odd entries x compressions) go into the engine by `docker import`, and
through remuda by `docker load`. Then every path's type, mode, owner, link, extended attributes and bytes are compared
in the engine's own folders. As root.
"""

import collections
import concurrent.futures
import gzip
import hashlib
import itertools
import json
import lzma
import os
import pathlib
import random
import shutil
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from common import PROFILE, expect, output, run, small_components

DIALECTS = ("v7", "ustar", "gnu", "pax")
# VFS_CAP_REVISION_2 with cap_dac_override and cap_dac_read_search..: its bytes contain a line end.
CAPABILITY = bytes([1, 0, 0, 2, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])

Member = collections.namedtuple("Member", "name kind data mode uid gid link records raw", defaults=(b"", 0o644, 0, 0, b"", (), None))


def m(name, kind=b"0", data=b"", mode=None, **more):
    name = name.encode() if isinstance(name, str) else name
    link = more.pop("link", b"")
    link = link.encode() if isinstance(link, str) else link
    usual = {b"5": 0o755, b"2": 0o777}.get(kind, 0o644)
    return Member(name, kind, data, usual if mode is None else mode, link=link, **more)


def folder(name, mode=None, **more):
    return m(name, b"5", mode=mode, **more)


def octal(value, length):
    text = b"%0*o" % (length - 1, value)
    return text + b"\0" if len(text) < length else b"\x80" + value.to_bytes(length - 1, "big")


def block(name, kind, size, mode, uid, gid, link, dialect, prefix=b"", tail=None):
    head = name.ljust(100, b"\0") + octal(mode, 8) + octal(uid, 8) + octal(gid, 8) + octal(size, 12) + octal(0, 12)
    head += b" " * 8 + kind + link.ljust(100, b"\0")
    if dialect == "gnu":
        head += b"ustar  \0"
    elif dialect in ("ustar", "pax"):
        head += b"ustar\00000"
    head = head.ljust(345, b"\0") + prefix
    head = bytearray((head if tail is None else head[:345].ljust(386, b"\0") + tail).ljust(512, b"\0"))
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


def padded(data):
    return data + b"\0" * (-len(data) % 512)


def pax(records):
    text = b""
    for key, value in records:
        value = value if isinstance(value, bytes) else str(value).encode()
        rest = len(key) + len(value) + 3
        length = rest + 1
        while length != rest + len(str(length)):
            length = rest + len(str(length))
        text += b"%d %s=%s\n" % (length, key.encode(), value)
    return text


def entry(one, dialect):
    """A member's bytes; None if the dialect can't say it."""
    if one.raw is not None:
        return one.raw
    out, records, name, link, prefix, kind = b"", list(one.records), one.name, one.link, b"", one.kind
    if dialect == "v7":
        if kind == b"5":
            name, kind = name.rstrip(b"/") + b"/", b"\0"
        elif kind == b"0":
            kind = b"\0"
    if records and dialect != "pax":
        return None
    if len(name) > 100 or len(link) > 100:
        if dialect == "v7":
            return None
        if dialect == "gnu":
            for text, flag in ((name, b"L"), (link, b"K")):
                if len(text) > 100:
                    out += block(b"././@LongLink", flag, len(text) + 1, 0o644, 0, 0, b"", dialect) + padded(text + b"\0")
        elif dialect == "pax":
            records += [("path", name)] if len(name) > 100 else []
            records += [("linkpath", link)] if len(link) > 100 else []
        else:
            cut = name.rfind(b"/", 0, 156)
            if len(link) > 100 or cut < 0 or len(name) - cut - 1 > 100:
                return None
            prefix, name = name[:cut], name[cut + 1 :]
    uid, gid = one.uid, one.gid
    if max(uid, gid) >= 8**7:
        if dialect == "pax":
            records, uid, gid = [*records, ("uid", uid), ("gid", gid)], 0, 0
        elif dialect != "gnu":
            return None
    if records:
        text = pax(records)
        out += block(b"././@PaxHeader", b"x", len(text), 0o644, 0, 0, b"", dialect) + padded(text)
    return out + block(name[:100], kind, len(one.data), one.mode, uid, gid, link[:100], dialect, prefix) + padded(one.data)


def sparse_gnu(name):
    pieces, size = [(1024, b"a" * 512), (8192, b"b" * 700)], 20000
    tail = b"".join(octal(at, 12) + octal(len(data), 12) for at, data in pieces).ljust(96, b"\0") + b"\0" + octal(size, 12)
    data = b"".join(data for _, data in pieces)
    return m(name, raw=block(name.encode(), b"S", len(data), 0o644, 0, 0, b"", "gnu", tail=tail) + padded(data))


def sparse_gnu_long(name):
    pieces, size = [(index * 4096, bytes([65 + index]) * 512) for index in range(40)], 200_000
    fields = [octal(at, 12) + octal(len(data), 12) for at, data in pieces]
    tail = b"".join(fields[:4]) + b"\1" + octal(size, 12)
    more = b""
    for start in range(4, 40, 21):
        more += b"".join(fields[start : start + 21]).ljust(504, b"\0") + (b"\1" if start + 21 < 40 else b"\0") + b"\0" * 7
    data = b"".join(data for _, data in pieces)
    return m(name, raw=block(name.encode(), b"S", len(data), 0o644, 0, 0, b"", "gnu", tail=tail) + more + padded(data))


def sparse_pax(name, form):
    pieces, size = [(1024, b"a" * 512), (8192, b"b" * 700)], 20000
    data = b"".join(data for _, data in pieces)
    numbers = [number for at, piece in pieces for number in (at, len(piece))]
    records = [("GNU.sparse.size", size), ("GNU.sparse.numblocks", len(pieces))]
    if form == "0.0":
        records += [("GNU.sparse.numbytes" if index % 2 else "GNU.sparse.offset", number) for index, number in enumerate(numbers)]
        return m(name, data=data, records=records)
    records += [("GNU.sparse.name", name)]
    if form == "0.1":
        return m(f"GNUSparseFile.1/{name}", data=data, records=[*records, ("GNU.sparse.map", ",".join(map(str, numbers)))])
    records = [("GNU.sparse.major", 1), ("GNU.sparse.minor", 0), ("GNU.sparse.name", name), ("GNU.sparse.realsize", size)]
    text = "".join(f"{number}\n" for number in (len(pieces), *numbers)).encode()
    return m(f"GNUSparseFile.1/{name}", data=padded(text) + data, records=records)


BASE = [folder("./"), folder("./bin"), m("./bin/sh", data=b"#!x\n", mode=0o755), folder("./tmp", 0o1777), folder("./root", 0o700)]
LONG = "/".join(["d" * 60] * 3) + "/file"
# What is added to BASE, and what remuda must say of it: nothing, or a part of a refusal.
KINDS = {
    "plain": ([], None),
    "owners": ([folder("./home/", uid=1000, gid=1000), m("./home/x", uid=1000, gid=1001, mode=0o640)], None),
    "setuid": ([m("./bin/su", mode=0o4755), m("./bin/wall", mode=0o2755), folder("./var/", 0o2775, gid=8)], None),
    "large owner": ([m("./big", uid=3_000_000, gid=4_000_000)], None),
    "root 0700": ([], None),
    "no slash": ([folder("./srv"), m("./srv/x")], None),
    "parents implied": ([m("./a/b/c/d", data=b"deep")], None),
    "long name": ([m("./" + LONG, data=b"long")], None),
    "longest name": ([m("./" + "n" * 240, data=b"long")], None),
    "long link": ([m("./l", b"2", link="/".join(["t" * 70] * 3))], None),
    "long hard link": ([m("./" + LONG, data=b"long"), m("./0", b"1", link="./" + LONG)], None),
    "links": ([m("./x", b"2", link="/bin/sh"), m("./y", b"2", link="../../etc"), m("./bin/z", b"2", link="sh")], None),
    "odd names": ([m("./a b"), m("./new\nline"), m("./ü"), m("./'\"\\$"), m("./-x"), m("./...")], None),
    "hard link": ([m("./f", data=b"1"), m("./g", b"1", link="./f")], None),
    "hard link, other order": ([m("./f", data=b"1"), m("./a", b"1", link="f"), m("./z", b"1", link="f")], None),
    "hard link to hard link": ([m("./f", data=b"1"), m("./b", b"1", link="f"), m("./a", b"1", link="b")], None),
    "hard link to link": ([m("./s", b"2", link="bin/sh"), m("./r", b"1", link="s")], None),
    "hard link with a mode": ([m("./f", data=b"1"), m("./a", b"1", link="f", mode=0o4711, uid=7, gid=8)], None),
    "hard link to a later file": ([m("./a", b"1", link="f"), m("./f", data=b"1")], "isn't a file in the archive before it"),
    "hard link to nothing": ([m("./a", b"1", link="no")], '"no"'),
    "hard link to a folder": ([m("./a", b"1", link="bin")], "is a folder"),
    "hard link out": ([m("./a", b"1", link="../../etc/passwd")], "links out of the image"),
    "twice": ([m("./f", data=b"1"), m("./f", data=b"2")], '"./f" is a duplicate'),
    "twice by another name": ([m("./f", data=b"1"), m("f", data=b"2")], '"f" is a duplicate'),
    "folder twice": ([folder("./d"), folder("d/", 0o700)], '"d/" is a duplicate'),
    "not UTF-8": ([m(b"./caf\xe9")], "caf\\xe9"),
    "link that isn't UTF-8": ([m("./l", b"2", link=b"caf\xe9")], "UTF-8"),
    "whiteout": ([m("./bin/.wh.sh")], ".wh."),
    "opaque": ([m("./bin/.wh..wh..opq")], ".wh."),
    "user attribute": ([m("./f", records=[("SCHILY.xattr.user.note", b"a\nb=\0c")])], None),
    "capability": ([m("./bin/ping", mode=0o755, data=b"p", records=[("SCHILY.xattr.security.capability", CAPABILITY)])], None),
    "attribute of a folder": ([folder("./d", 0o750, records=[("SCHILY.xattr.trusted.x", "1"), ("SCHILY.xattr.user.y", "2")])], None),
    "capability and long name": ([m("./" + LONG, records=[("SCHILY.xattr.security.capability", CAPABILITY)])], None),
    "capability and hard link": (
        [m("./f", records=[("SCHILY.xattr.security.capability", CAPABILITY)]), m("./a", b"1", link="f")],
        None,
    ),
    "sparse, GNU": ([sparse_gnu("sparse")], None),
    "sparse, GNU, many holes": ([sparse_gnu_long("sparse")], None),
    "sparse 0.0": ([sparse_pax("sparse", "0.0")], None),
    "sparse 0.1": ([sparse_pax("sparse", "0.1")], None),
    "sparse 1.0": ([sparse_pax("sparse", "1.0")], None),
    "pax path": ([m("./wrong", data=b"1", records=[("path", "./right/ü")])], None),
    "pax time": ([m("./f", records=[("mtime", "1234567890.123456789")])], None),
    "pax comment": ([m("./f", data=b"1", records=[("comment", "x" * 3000)])], None),
    "pax size": (
        [
            m(
                "./f",
                raw=block(b"./@x", b"x", 9, 0o644, 0, 0, b"", "pax")
                + padded(pax([("size", 3)]))
                + block(b"./f", b"0", 0, 0o644, 0, 0, b"", "pax")
                + padded(b"abc"),
            )
        ],
        None,
    ),
    "pax broken": ([m("./f", raw=block(b"./@x", b"x", 10, 0o644, 0, 0, b"", "pax") + padded(b"99 a=b\nxyz"))], "malformed"),
    "pax with zeros": ([m("./f", raw=block(b"./@x", b"x", 12, 0o644, 0, 0, b"", "pax") + padded(pax([("a", 12)])))], "malformed"),
    "pipe": ([m("./p", b"6")], '"./p" isn\'t a file'),
    "device": ([m("./null", b"3")], '"./null" isn\'t a file'),
    "volume label": ([m("label", b"V")], "'V'"),
    "contiguous": ([m("./c", b"7", data=b"1")], "'7'"),
    "another volume": ([m("./c", b"M", data=b"1")], "'M'"),
    "absolute": ([m("/abs", data=b"1")], '"/abs" leads out'),
    "up": ([m("../up", data=b"1")], '"../up" leads out'),
    "below a file": ([m("./f", data=b"1"), m("./f/g", data=b"2")], "isn't a folder"),
    "below a link": ([m("./l", b"2", link="bin"), m("./l/g", data=b"2")], "isn't a folder"),
    "empty": ([m("./e"), folder("./d")], None),
    "large": ([m("./large", data=bytes(range(256)) * 2000)], None),
    "hard link with a size": ([m("./f", data=b"1"), m("./h", raw=block(b"./h", b"1", 5, 0o644, 0, 0, b"./f", "ustar"))], None),
    "ends in a file": ("end", "ends within it"),
    "ends in a header": ("head", "ends too early"),
    "without an end": ("bare", None),
    "something behind the end": ("behind", None),
    "a block of zeros in the middle": ("hole", "after a block of zeros"),
    "a wrong checksum": ("sum", "wrong checksum"),
}


# What stands for kinds that the engine doesn't read: files with the same content.
INSTEAD = {
    "sparse, GNU": (20_000, [(1024, b"a" * 512), (8192, b"b" * 700)]),
    "sparse, GNU, many holes": (200_000, [(index * 4096, bytes([65 + index]) * 512) for index in range(40)]),
}


def with_holes(size, parts):
    data = bytearray(size)
    for at, part in parts:
        data[at : at + len(part)] = part
    return bytes(data)


def archive(kind, dialect, instead=False):
    """The plain tar of a kind; None if the dialect can't have it."""
    added = [m("sparse", data=with_holes(*INSTEAD[kind]))] if instead else KINDS[kind][0]
    base = [folder("./", 0o711, uid=5), *BASE[1:]] if kind == "root 0700" else BASE
    members = [*base, *(added if isinstance(added, list) else [m("./last", data=b"x" * 1000)])]
    parts = [entry(one, dialect) for one in members]
    if None in parts:
        return None
    end = b"\0" * 1024
    if added == "end":
        return b"".join(parts)[:-700]
    if added == "head":
        return b"".join(parts)[: -1024 - 200]
    if added == "hole":
        return b"".join([*parts[:-1], b"\0" * 512, parts[-1], end])
    if added == "sum":
        return b"".join([*parts[:-1], b"?" + parts[-1][1:], end])
    return b"".join(parts) + {"bare": b"", "behind": end + b"junk" * 200}.get(added if isinstance(added, str) else "", end)


def zstd(data):
    return subprocess.run(["zstd", "-q", "-3", "--check", "-c"], input=data, capture_output=True, check=True).stdout


def pieces(data):
    third = len(data) // 3
    return [data[:third], data[third : 2 * third], data[2 * third :]]


SKIP = b"\x5a\x2a\x4d\x18" + (9).to_bytes(4, "little") + b"skip this"
COMPRESSIONS = {
    "plain": lambda data: data,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "gzip of members": lambda data: b"".join(gzip.compress(part, mtime=0) for part in [*pieces(data), b""]),
    "xz": lzma.compress,
    "xz of streams": lambda data: b"".join(lzma.compress(part) + b"\0" * 4 for part in pieces(data)),
    "zstd": zstd,
    "zstd of frames": lambda data: b"".join(map(zstd, pieces(data))),
    "zstd, skipped first": lambda data: SKIP + zstd(data),
    "zstd, skipped between": lambda data: SKIP.join(map(zstd, pieces(data))),
    "zstd, skipped last": lambda data: b"".join(map(zstd, pieces(data))) + SKIP + SKIP,
}


def corpus(seed):
    """Kind, dialect, compression and the plain tar; each compression comes in turn, from where the seed says."""
    turn = itertools.cycle(random.Random(seed).sample(sorted(COMPRESSIONS), len(COMPRESSIONS)))
    for kind, dialect in itertools.product(KINDS, DIALECTS):
        tar = archive(kind, dialect)
        if tar is not None:
            for _ in range(3):
                yield kind, dialect, next(turn), tar


def tree(root):
    """Every path below a folder of the engine."""
    seen, files = {}, {}
    for at, folders, names in os.walk(os.fsencode(root)):
        for name in [b"", *folders, *names] if os.fsencode(root) == at else [*folders, *names]:
            path = os.path.join(at, name) if name else at
            there = os.lstat(path)
            attributes = {key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)}
            own = {key: value for key, value in attributes.items() if not key.startswith("trusted.overlay.")}
            content = b""
            if stat.S_ISREG(there.st_mode):
                content = pathlib.Path(os.fsdecode(path)).read_bytes()
            elif stat.S_ISLNK(there.st_mode):
                content = os.readlink(path)
            short = os.path.relpath(path, os.fsencode(root))
            inode = files.setdefault(there.st_ino, short) if there.st_nlink > 1 and not stat.S_ISDIR(there.st_mode) else None
            seen[short] = (oct(there.st_mode), there.st_uid, there.st_gid, own, content, inode)
    groups = collections.defaultdict(list)
    for path, value in seen.items():
        groups[value[5]].append(path)
    return {path: (*value[:5], sorted(groups[value[5]]) if value[5] else None) for path, value in seen.items()}


class Engine:
    def __init__(self):
        self.driver, self.root = output("docker", "info", "-f", "{{.Driver}} {{.DockerRootDir}}").split()

    def layers(self, image):
        """The folders of an image's layers, the lowest first."""
        chain = None
        folders = []
        for layer in json.loads(output("docker", "image", "inspect", "-f", "{{json .RootFS.Layers}}", image)):
            chain = layer if chain is None else "sha256:" + hashlib.sha256(f"{chain} {layer}".encode()).hexdigest()
            note = f"{self.root}/image/{self.driver}/layerdb/sha256/{chain.removeprefix('sha256:')}/cache-id"
            name = pathlib.Path(note).read_text()
            folders.append(f"{self.root}/{self.driver}/" + (f"dir/{name}" if self.driver == "vfs" else f"{name}/diff"))
        return folders


def build(remuda, place, components):
    """Packs a profile's images: the tarball, or what remuda says against it."""
    (place / "small").write_text("small\n")
    (place / "empty.tar").write_bytes(b"\0" * 1024)
    small = small_components("rootfs: empty.tar")
    (place / "p.yaml").write_text(f"{PROFILE}  components:\n{small}{components}")
    done = run(remuda, "image", "build", "p.yaml", check=False, cwd=place, env=dict(os.environ, XDG_CACHE_HOME=f"{place}/cache"))
    expect(done.returncode in (0, 1), f"exit status {done.returncode}: {done.stdout}")
    return (None if done.returncode else next((place / "out/c/images").glob("docker-*.tar"))), done.stdout


class Judge:
    def __init__(self, remuda, work):
        self.remuda, self.work, self.engine = remuda, pathlib.Path(work), Engine()

    def imported(self, number, tar, refusal):
        if refusal is not None:
            return None, "it is refused anyway"
        done = subprocess.run(["docker", "import", "-", f"imported:{number}"], input=tar, capture_output=True)
        return (tree(self.engine.layers(f"imported:{number}")[0]), "") if done.returncode == 0 else (None, done.stderr.decode())

    def judge(self, number, kind, dialect, compression, tar, engine):
        """What is wrong with remuda's image of this archive."""
        place = self.work / str(number)
        place.mkdir()
        (place / "base.tar").write_bytes(COMPRESSIONS[compression](tar))
        tarball, said = build(self.remuda, place, f"    x: {{version: '{number}', engine: docker, from: {{rootfs: base.tar}}}}\n")
        wanted, refusal = KINDS[kind][1], None
        if wanted is not None:
            if tarball or wanted not in said or "base.tar" not in said or f"remuda/x:{number}" not in said:
                refusal = f"remuda should refuse it with {wanted!r}, and name image and archive: {said}"
        elif tarball is None:
            refusal = f"remuda refuses it: {said}"
        elif engine[0] is None:
            refusal = f"the engine refuses it, remuda doesn't: {engine[1]}"
        else:
            loaded = run("docker", "load", "-i", tarball, check=False)
            if loaded.returncode:
                refusal = f"the engine doesn't load it: {loaded.stdout}"
            else:
                refusal = differs(engine[0], tree(self.engine.layers(f"remuda/x:{number}")[0]), tar)
        shutil.rmtree(place)
        return refusal and f"{kind}, {dialect}, {compression}: {refusal}"


def differs(wanted, got, tar):
    for path in sorted({*wanted, *got}):
        one, other = wanted.get(path), got.get(path)
        # Engines of several versions give folders that no entry names different modes.
        if one and other and one[0].startswith("0o4") and os.path.basename(path) in (b"a", b"b", b"c", b"d" * 60, b"right"):
            one, other = one[1:], other[1:]
        if one != other:
            return f"{path!r} is {str(one)[:300]} by import, {str(other)[:300]} by remuda"
    return None


LOWER = [
    folder("./"),
    folder("sticky", 0o1777),
    folder("private", 0o700),
    folder("srv"),
    folder("srv/app", 0o2750, uid=1000, gid=1001, records=[("mtime", "1234567890.5"), ("SCHILY.xattr.trusted.x", "1")]),
    m("srv/app/old", data=b"old"),
    folder("gone", 0o700),
    m("gone/x"),
    folder("opaque", 0o711),
    m("opaque/x"),
    m("file", data=b"f"),
    m("link", b"2", link="srv"),
    m(b"caf\xe9", data=b"not UTF-8"),
    m("pipe", b"6"),
]
UPPER = [m(".wh.gone"), folder("opaque", 0o711), m("opaque/.wh..wh..opq"), m("opaque/y", data=b"y")]
PUT = ["/sticky/seed", "/private/x", "/srv/app/new", "/srv/app/old", "/srv/app/sub/x", "/gone/x", "/opaque/z"]
# What is put on a base, the base's layers, and what remuda says against it.
ON_BASES = [
    (PUT, [LOWER, UPPER], None),
    (["/file/below"], [LOWER], "/file is a file in the base image"),
    (["/srv"], [LOWER], "/srv is a folder in the base image"),
    (["/link/x"], [LOWER], "/link is a link in a lower layer"),
    (["/a/.wh.b"], [LOWER], "removal of a file"),
    (["/gone"], [LOWER, UPPER], None),
    (["/x"], [[*LOWER, m("file")], UPPER], '"file" is in the layer twice'),
    (["/x"], [[*LOWER, m("./file")], UPPER], '"./file" is in the layer twice'),
    (["/x"], [LOWER, [sparse_gnu("sparse")]], '"sparse" is a sparse file'),
    (["/x"], [LOWER, [sparse_pax("sparse", "1.0")]], None),
    (["/x"], [LOWER, [m("../x")]], '"../x" leads out of the image'),
]


def of_layers(layers, form, place):
    """An image of these layers, as `docker save` or an OCI layout has it; its `from` in a profile."""
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}
    config["rootfs"]["diff_ids"] = ["sha256:" + hashlib.sha256(one).hexdigest() for one in layers]
    packed = [COMPRESSIONS["zstd, skipped between" if form == "zstd" else "gzip of members"](one) for one in layers]
    text = json.dumps(config).encode()
    if form == "saved":
        names = [f"{number}.tar" for number in range(len(layers))]
        files = {"c.json": text, **dict(zip(names, layers, strict=True))}
        files["manifest.json"] = json.dumps([{"Config": "c.json", "RepoTags": ["base:1"], "Layers": names}]).encode()
    else:
        files = {}

        def blob(data, kind, **more):
            name = hashlib.sha256(data).hexdigest()
            files[f"blobs/sha256/{name}"] = data
            return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{name}", "size": len(data), **more}

        manifest = {"schemaVersion": 2, "config": blob(text, "config.v1+json")}
        manifest["layers"] = [blob(one, "layer.v1.tar") for one in packed]
        named = {"annotations": {"org.opencontainers.image.ref.name": "1"}}
        files["index.json"] = json.dumps({"manifests": [blob(json.dumps(manifest).encode(), "manifest.v1+json", **named)]}).encode()
        files["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    if form == "folder":
        for name, data in files.items():
            (place / "base" / name).parent.mkdir(parents=True, exist_ok=True)
            (place / "base" / name).write_bytes(data)
        return "{layout: base, image: '1'}"
    tar = b"".join(entry(m(name, data=data), "gnu") for name, data in files.items()) + b"\0" * 1024
    (place / "base").write_bytes(COMPRESSIONS["zstd of frames"](tar) if form == "zstd" else tar)
    return "{archive: base}"


def merged(folders):
    """What a container sees of an engine's layers."""
    with tempfile.TemporaryDirectory() as at:
        lower = ":".join([*reversed(folders), at] if len(folders) == 1 else reversed(folders))
        run("mount", "-t", "overlay", "overlay", "-o", f"ro,lowerdir={lower}", at)
        try:
            times = {}
            for path, _, _ in os.walk(os.fsencode(at)):
                times[os.path.relpath(path, os.fsencode(at))] = os.lstat(path).st_mtime_ns
            return tree(at), times
        finally:
            run("umount", at)


def on_bases(judge):
    """Files on images: what was below keeps its attributes, in whatever form the image came."""
    count = 0
    for (put, members, wanted), form in itertools.product(ON_BASES, ("saved", "oci", "zstd", "folder")):
        count += 1
        place = judge.work / f"base-{count}"
        place.mkdir()
        layers = [b"".join(entry(one, "pax") for one in layer) + b"\0" * 1024 for layer in members]
        base = of_layers(layers, form, place)
        files = ", ".join(f"{path}: small" for path in put)
        tarball, said = build(judge.remuda, place, f"    x: {{version: 'b{count}', engine: docker, from: {base}, files: {{{files}}}}}\n")
        what = f"{put} on a base ({form})"
        if wanted is not None:
            expect(tarball is None and wanted in said and f"remuda/x:b{count}" in said and "cache" not in said, f"{what}: {said}")
            continue
        expect(tarball, f"{what}: {said}")
        run("docker", "load", "-i", tarball)
        folders = judge.engine.layers(f"remuda/x:b{count}")
        (before, times), (after, later) = merged(folders[:-1]), merged(folders)
        for path, value in before.items():
            if f"/{os.fsdecode(path)}" not in put:
                expect(after.get(path) == value, f"{what}: {path!r} was {value}, is {after.get(path)}")
        for path in times.keys() - {b"."}:
            expect(later[path] == times[path], f"{what}: {path!r} has another time")
        for path in put:
            got = after[os.fsencode(path[1:])]
            expect((got[0], got[4]) == ("0o100755", b"small\n"), f"{what}: {path} is {got}")
        expect(b"caf\xe9" in after, f"{what}: a name that isn't UTF-8 is lost")
    return count


def main(remuda, seed="1"):
    remuda = os.path.abspath(remuda)
    with tempfile.TemporaryDirectory() as work:
        judge = Judge(remuda, work)
        print(f"ok: {on_bases(judge)} images with files on top keep what was below, or are refused by name", flush=True)
        cases = list(corpus(seed))
        plain = {}
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for kind, dialect, _, tar in cases:
                if (kind, dialect) not in plain:
                    known = archive(kind, dialect, instead=True) if kind in INSTEAD else tar
                    plain[kind, dialect] = pool.submit(judge.imported, f"{len(plain)}", known, KINDS[kind][1])
            jobs = [
                pool.submit(judge.judge, number, kind, dialect, compression, tar, plain[kind, dialect].result())
                for number, (kind, dialect, compression, tar) in enumerate(cases)
            ]
            wrong = [job.result() for job in jobs]
        seen = [one for job in plain.values() if job.result()[0] for one in job.result()[0].values()]
        expect(any("security.capability" in one[3] for one in seen), "the engine's folders keep no capabilities: nothing is compared")
        wrong = [one for one in wrong if one]
        expect(not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong[:40]))
        expect(len(cases) >= 500, len(cases))
        print(f"ok: {len(cases)} archives become what the engine makes of them, or are refused by name")


main(*sys.argv[1:])
