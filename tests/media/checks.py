"""The checks; each gets an empty folder. It shares no code with remuda."""
import hashlib
import json
import os
import subprocess
import sys

REMUDA = os.environ["REMUDA"]
HERE = os.path.dirname(os.path.abspath(__file__))
ALL = []


def check(slow=False):
    def register(function):
        function.slow = slow
        ALL.append(function)
        return function

    return register


def run(*words, cwd=None, status=0, **more):
    """Runs a program; its output. Another status than the one wanted is an error that shows it."""
    done = subprocess.run([str(word) for word in words], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if status is not None and done.returncode != status:
        raise AssertionError(f"{' '.join(map(str, words))}: status {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


def same(a, b, what):
    if a != b:
        raise AssertionError(f"{what}: {a!r:.2000} is not {b!r:.2000}")


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hash_of(file)


def hash_of(file):
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def sealed(folder, profile=None):
    """Generates and seals in `folder`; the tree."""
    run(REMUDA, "seed", "new", cwd=folder)
    run(REMUDA, "gen", *([profile] if profile else []), "--no-images", cwd=folder)
    (cluster,) = os.listdir(f"{folder}/out")
    return f"{folder}/out/{cluster}"


def with_archives(tree, archives):
    """Makes the tree one with these image tarballs: names and contents, or sizes of sparse files."""
    os.makedirs(f"{tree}/images", exist_ok=True)
    known = []
    for name, content in archives.items():
        path = f"{tree}/images/{name}"
        with open(path, "wb") as file:
            if isinstance(content, int):
                for offset in range(0, content, 1 << 28):
                    file.seek(offset)
                    file.write(b"at %d" % offset)
                file.truncate(content)
            else:
                file.write(content)
        known.append({"engine": name.rsplit("-", 1)[0], "arch": "amd64", "file": name, "size": os.path.getsize(path), "sha256": sha256(path)})
    manifest = json.loads(read(f"{tree}/manifest.json"))
    manifest["archives"] = known
    with open(f"{tree}/manifest.json", "w") as file:
        json.dump(manifest, file, indent=2)
        file.write("\n")


def extracted(folder, iso):
    """What each reader takes out of an image: reader → its folder. isoinfo can't read what is read by
    extents of 4 GiB."""
    readers = {}
    for name in ["xorriso", "7z", "isoinfo-R", "isoinfo-J"]:
        into = f"{folder}/{name}"
        os.makedirs(into)
        readers[name] = into
    run("xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/", readers["xorriso"])
    run("chmod", "-R", "u+rwX", readers["xorriso"])
    run("7z", "x", "-y", f"-o{readers['7z']}", iso)
    for kind in "RJ":
        for path in run("isoinfo", f"-{kind}", "-f", "-i", iso).split("\n"):
            into = f"{readers['isoinfo-' + kind]}{path}"
            if path and os.path.isfile(readers["xorriso"] + path):
                os.makedirs(os.path.dirname(into), exist_ok=True)
                with open(into, "wb") as file:
                    subprocess.run(["isoinfo", f"-{kind}", "-x", path, "-i", iso], stdout=file, check=True)
    return readers


def files(folder):
    """Every file below a folder with its hash."""
    found = {}
    for at, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(at, name)
            found[os.path.relpath(path, folder)] = sha256(path)
    return found


@check()
def drive_is_read_alike(folder):
    """a config drive: xorriso, isoinfo (Rock Ridge, Joliet) and 7z read the same bytes, which are the sealed config and the tarballs"""
    tree = sealed(folder)
    with_archives(tree, {"system-docker-0123456789ab.tar": os.urandom(3_000_001), "docker-ba9876543210.tar": b"small"})
    run(REMUDA, "iso", "node-01", "--images", cwd=folder)
    iso = f"{tree}/sealed/node-01.iso"
    same(oct(os.stat(iso).st_mode & 0o777), "0o600", "the drive's mode")
    same(run("blkid", "-s", "LABEL", "-o", "value", iso).strip(), "config-2", "the label")
    wanted = {
        "openstack/latest/user_data": sha256(f"{tree}/sealed/node-01/cloud-config.yml"),
        "images/system-docker-0123456789ab.tar": sha256(f"{tree}/images/system-docker-0123456789ab.tar"),
        "images/docker-ba9876543210.tar": sha256(f"{tree}/images/docker-ba9876543210.tar"),
    }
    for reader, into in extracted(folder, iso).items():
        found = files(into)
        found.pop("openstack/latest/meta_data.json")
        same(found, wanted, f"as {reader} reads it")
        meta = json.loads(read(f"{into}/openstack/latest/meta_data.json"))
        same(meta["hostname"], "node-01", "the host name in meta_data.json")


@check()
def drive_is_reproducible(folder):
    """a config drive has the same bytes elsewhere, later, under another umask, time zone and locale"""
    tree = sealed(folder)
    run(REMUDA, "iso", "--all", cwd=folder)
    first = {name: sha256(f"{tree}/sealed/{name}.iso") for name in ["node-01", "node-02", "node-03"]}
    other = f"{folder}/another place"
    os.makedirs(other)
    run("cp", "-a", f"{folder}/remuda.seed", other)
    run("sh", "-c", f"umask 077; export TZ=Asia/Tokyo LC_ALL=C RAYON_NUM_THREADS=1; '{REMUDA}' gen --no-images && '{REMUDA}' iso --all", cwd=other)
    same({name: sha256(f"{other}/out/vagrant/sealed/{name}.iso") for name in first}, first, "the drives' hashes")


@check()
def cloud_init_finds_it(folder):
    """Debian's cloud-init identifies the drive as ConfigDrive and reads the sealed config from it"""
    tree = sealed(folder)
    run(REMUDA, "iso", "node-02", cwd=folder)
    iso = f"{tree}/sealed/node-02.iso"
    # ds-identify asks what machine this is and blkid what filesystems there are: a VM with that drive.
    os.makedirs(f"{folder}/bin")
    for name, line in {"blkid": f"exec /usr/sbin/blkid -c /dev/null -o export '{iso}'", "systemd-detect-virt": "echo kvm"}.items():
        with open(f"{folder}/bin/{name}", "w") as file:
            file.write(f"#!/bin/sh\n{line}\n")
        os.chmod(f"{folder}/bin/{name}", 0o755)
    root = f"{folder}/root"
    run("mkdir", "-p", f"{root}/etc")
    run("cp", "-a", "/etc/cloud", f"{root}/etc/cloud")
    for path in ["run", "proc/1", "sys/class/dmi/id", "dev", "var/lib/cloud"]:
        os.makedirs(f"{root}/{path}", exist_ok=True)
    for path, text in {"proc/cmdline": "quiet\n", "proc/uptime": "1 1\n", "proc/1/environ": ""}.items():
        with open(f"{root}/{path}", "w") as file:
            file.write(text)
    environment = dict(os.environ, PATH=f"{folder}/bin:{os.environ['PATH']}", PATH_ROOT=root, DI_LOG="stderr", DEBUG_LEVEL="1")
    said = run("/usr/lib/cloud-init/ds-identify", "--force", env=environment, status=None)
    chosen = read(f"{root}/run/cloud-init/cloud.cfg").decode() if os.path.exists(f"{root}/run/cloud-init/cloud.cfg") else said
    if "ConfigDrive" not in chosen:
        raise AssertionError(f"ds-identify chose {chosen}")
    run("xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/", f"{folder}/mounted")
    script = (
        "import sys, hashlib; from cloudinit.sources.DataSourceConfigDrive import read_config_drive;"
        "found = read_config_drive(sys.argv[1]);"
        "print(hashlib.sha256(found['userdata']).hexdigest(), found['metadata']['local-hostname'], len(found['metadata']['instance-id']))"
    )
    found = run("/usr/bin/python3", "-c", script, f"{folder}/mounted").split()
    same(found, [sha256(f"{tree}/sealed/node-02/cloud-config.yml"), "node-02", "36"], "what cloud-init reads")


@check()
def devices_in_use_are_refused(folder):
    """a device is written with --force alone, and not while it, or a partition of it, is mounted"""
    tree = sealed(folder)
    disk = f"{folder}/disk"
    with open(disk, "wb") as file:
        file.truncate(8 << 20)
    loop = run("losetup", "--find", "--show", disk).strip()
    try:
        said = run(REMUDA, "iso", "node-01", "--to", loop, cwd=folder, status=3)
        same("--force" in said, True, f"--force is named: {said}")
        run("mkfs.ext4", "-q", loop)
        os.makedirs(f"{folder}/mounted")
        run("mount", loop, f"{folder}/mounted")
        try:
            said = run(REMUDA, "iso", "node-01", "--to", loop, "--force", cwd=folder, status=3)
            same("mounted" in said, True, f"it is said to be mounted: {said}")
        finally:
            run("umount", f"{folder}/mounted")
        run(REMUDA, "iso", "node-01", "--to", loop, "--force", cwd=folder)
        run(REMUDA, "iso", "node-01", cwd=folder)
        iso = read(f"{tree}/sealed/node-01.iso")
        same(read(loop)[: len(iso)] == iso, True, "the device has the drive's bytes")
        with open(disk, "r+b") as file:
            file.truncate(1 << 17)
        run("losetup", "-c", loop)
        run(REMUDA, "iso", "node-01", "--to", loop, "--force", cwd=folder, status=3)
    finally:
        run("losetup", "-d", loop)


@check(slow=True)
def drive_beyond_4_gb(folder):
    """a config drive with a tarball of more than 4 GiB: xorriso and 7z read its bytes"""
    tree = sealed(folder)
    name = "system-docker-0123456789ab.tar"
    with_archives(tree, {name: (4 << 30) + (300 << 20) + 17, "docker-ba9876543210.tar": b"behind"})
    run(REMUDA, "iso", "node-01", "--images", cwd=folder)
    iso = f"{tree}/sealed/node-01.iso"
    wanted = {name: sha256(f"{tree}/images/{name}"), "docker-ba9876543210.tar": hashlib.sha256(b"behind").hexdigest()}
    os.remove(f"{tree}/images/{name}")
    run("xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/images", f"{folder}/xorriso")
    same(files(f"{folder}/xorriso"), wanted, "as xorriso reads it")
    run("rm", "-rf", f"{folder}/xorriso")
    run("7z", "x", "-y", f"-o{folder}/7z", iso, "images")
    same(files(f"{folder}/7z/images"), wanted, "as 7z reads it")
