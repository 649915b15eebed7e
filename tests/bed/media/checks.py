"""The checks; each gets an empty folder. It shares no code with remuda."""

import hashlib
import json
import os
import shutil
import subprocess

import machine
from common import REMUDA, Failed, expect, output, read, read_bytes, refused, run, sha256, write
from machine import Machine, facts
from net import Network

HERE = os.path.dirname(os.path.abspath(__file__))
ALL = []


def check(slow=False):
    def register(function):
        function.slow = slow
        ALL.append(function)
        return function

    return register


def same(a, b, what):
    if a != b:
        raise Failed(f"{what}: {a!r:.2000} is not {b!r:.2000}")


def sealed(folder, profile=None):
    """Generates and seals in `folder`; the tree."""
    run(REMUDA, "seed", "new", cwd=folder)
    run(REMUDA, "gen", *([profile] if profile else []), "--no-images", cwd=folder)
    (cluster,) = os.listdir(f"{folder}/out")
    return f"{folder}/out/{cluster}"


def with_archives(tree, archives):
    """Makes the tree one with these image tarballs: names and contents, or sizes of sparse files. Each is said to have
    every image."""
    os.makedirs(f"{tree}/images", exist_ok=True)
    manifest = json.loads(read_bytes(f"{tree}/manifest.json"))
    images = dict.fromkeys(manifest["images"].values(), "sha256:" + 64 * "0")
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
        known.append(
            {
                "engine": name.rsplit("-", 1)[0],
                "arch": "amd64",
                "file": name,
                "size": os.path.getsize(path),
                "sha256": sha256(path),
                "images": images,
            }
        )
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
        for path in output("isoinfo", f"-{kind}", "-f", "-i", iso).split("\n"):
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
    with_archives(tree, {"system-docker-0123456789ab.tar": os.urandom(3_000_001), "containerd-ba9876543210.tar": b"small"})
    run(REMUDA, "gen", "--no-images", cwd=folder)
    run(REMUDA, "iso", "node-01", "--images", cwd=folder)
    iso = f"{tree}/sealed/node-01.iso"
    same(oct(os.stat(iso).st_mode & 0o777), "0o600", "the drive's mode")
    same(output("blkid", "-s", "LABEL", "-o", "value", iso).strip(), "config-2", "the label")
    wanted = {
        "openstack/latest/user_data": sha256(f"{tree}/sealed/node-01/cloud-config.yml"),
        "images/system-docker-0123456789ab.tar": sha256(f"{tree}/images/system-docker-0123456789ab.tar"),
        "images/containerd-ba9876543210.tar": sha256(f"{tree}/images/containerd-ba9876543210.tar"),
    }
    for reader, into in extracted(folder, iso).items():
        found = files(into)
        found.pop("openstack/latest/meta_data.json")
        same(found, wanted, f"as {reader} reads it")
        meta = json.loads(read_bytes(f"{into}/openstack/latest/meta_data.json"))
        same(meta["hostname"], "node-01", "the host name in meta_data.json")


@check()
def drive_is_reproducible(folder):
    """a config drive has the same bytes elsewhere, later, under another umask, time zone and locale"""
    tree = sealed(folder)
    run(REMUDA, "iso", "--all", "--no-images", cwd=folder)
    first = {name: sha256(f"{tree}/sealed/{name}.iso") for name in ["node-01", "node-02", "node-03"]}
    other = f"{folder}/another place"
    os.makedirs(other)
    run("cp", "-a", f"{folder}/remuda.seed", other)
    run(
        "sh",
        "-c",
        f"umask 077; export TZ=Asia/Tokyo LC_ALL=C RAYON_NUM_THREADS=1; '{REMUDA}' gen --no-images && '{REMUDA}' iso --all --no-images",
        cwd=other,
    )
    same({name: sha256(f"{other}/out/vagrant/sealed/{name}.iso") for name in first}, first, "the drives' hashes")


@check()
def cloud_init_finds_it(folder):
    """Debian's cloud-init identifies the drive as ConfigDrive and reads the sealed config from it"""
    tree = sealed(folder)
    run(REMUDA, "iso", "node-02", "--no-images", cwd=folder)
    iso = f"{tree}/sealed/node-02.iso"
    # ds-identify asks what machine this is and blkid what filesystems there are: a VM with that drive.
    os.makedirs(f"{folder}/bin")
    for name, line in {"blkid": f"exec /usr/sbin/blkid -c /dev/null -o export '{iso}'", "systemd-detect-virt": "echo kvm"}.items():
        write(f"{folder}/bin/{name}", f"#!/bin/sh\n{line}\n", 0o755)
    root = f"{folder}/root"
    run("mkdir", "-p", f"{root}/etc")
    run("cp", "-a", "/etc/cloud", f"{root}/etc/cloud")
    for path in ["run", "proc/1", "sys/class/dmi/id", "dev", "var/lib/cloud"]:
        os.makedirs(f"{root}/{path}", exist_ok=True)
    for path, text in {"proc/cmdline": "quiet\n", "proc/uptime": "1 1\n", "proc/1/environ": ""}.items():
        write(f"{root}/{path}", text)
    environment = dict(os.environ, PATH=f"{folder}/bin:{os.environ['PATH']}", PATH_ROOT=root, DI_LOG="stderr", DEBUG_LEVEL="1")
    said = run("/usr/lib/cloud-init/ds-identify", "--force", env=environment, check=False).stdout
    chosen = read(f"{root}/run/cloud-init/cloud.cfg") if os.path.exists(f"{root}/run/cloud-init/cloud.cfg") else said
    if "ConfigDrive" not in chosen:
        raise Failed(f"ds-identify chose {chosen}")
    run("xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/", f"{folder}/mounted")
    script = (
        "import sys, hashlib; from cloudinit.sources.DataSourceConfigDrive import read_config_drive;"
        "found = read_config_drive(sys.argv[1]);"
        "print(hashlib.sha256(found['userdata']).hexdigest(), found['metadata']['local-hostname'], len(found['metadata']['instance-id']))"
    )
    found = output("/usr/bin/python3", "-c", script, f"{folder}/mounted").split()
    same(found, [sha256(f"{tree}/sealed/node-02/cloud-config.yml"), "node-02", "36"], "what cloud-init reads")


@check()
def devices_in_use_are_refused(folder):
    """a device is written with --force alone, and not while it, or a partition of it, is mounted"""
    tree = sealed(folder)
    disk = f"{folder}/disk"
    with open(disk, "wb") as file:
        file.truncate(8 << 20)
    loop = output("losetup", "--find", "--show", disk).strip()
    try:
        said = refused(REMUDA, "iso", "node-01", "--no-images", "--to", loop, cwd=folder, status=3)
        expect("--force" in said, f"--force is named: {said}")
        run("mkfs.ext4", "-q", loop)
        os.makedirs(f"{folder}/mounted")
        run("mount", loop, f"{folder}/mounted")
        try:
            said = refused(REMUDA, "iso", "node-01", "--no-images", "--to", loop, "--force", cwd=folder, status=3)
            expect("mounted" in said, f"it is said to be mounted: {said}")
        finally:
            run("umount", f"{folder}/mounted")
        run(REMUDA, "iso", "node-01", "--no-images", "--to", loop, "--force", cwd=folder)
        run(REMUDA, "iso", "node-01", "--no-images", cwd=folder)
        iso = read_bytes(f"{tree}/sealed/node-01.iso")
        expect(read_bytes(loop)[: len(iso)] == iso, "the device has the drive's bytes")
        with open(disk, "r+b") as file:
            file.truncate(1 << 17)
        run("losetup", "-c", loop)
        refused(REMUDA, "iso", "node-01", "--no-images", "--to", loop, "--force", cwd=folder, status=3)
    finally:
        run("losetup", "-d", loop)


@check(slow=True)
def drive_beyond_4_gb(folder):
    """a config drive with a tarball of more than 4 GiB: xorriso and 7z read its bytes"""
    tree = sealed(folder)
    name = "system-docker-0123456789ab.tar"
    with_archives(tree, {name: (4 << 30) + (300 << 20) + 17, "containerd-ba9876543210.tar": b"behind"})
    run(REMUDA, "gen", "--no-images", cwd=folder)
    run(REMUDA, "iso", "node-01", "--images", cwd=folder)
    iso = f"{tree}/sealed/node-01.iso"
    wanted = {name: sha256(f"{tree}/images/{name}"), "containerd-ba9876543210.tar": hashlib.sha256(b"behind").hexdigest()}
    os.remove(f"{tree}/images/{name}")
    run("xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/images", f"{folder}/xorriso")
    same(files(f"{folder}/xorriso"), wanted, "as xorriso reads it")
    run("rm", "-rf", f"{folder}/xorriso")
    run("7z", "x", "-y", f"-o{folder}/7z", iso, "images")
    same(files(f"{folder}/7z/images"), wanted, "as 7z reads it")


def disk(folder, name, size=256 << 20):
    path = f"{folder}/{name}"
    with open(path, "wb") as file:
        file.truncate(size)
    return path


@check()
def drive_is_found_at_boot(folder):
    """a booted machine finds the drive by its label, as a CD and as a disk, and reads the sealed config and the tarballs"""
    tree = sealed(folder)
    archives = {"containerd-ba9876543210.tar": b"small", "system-docker-0123456789ab.tar": os.urandom(1_000_001)}
    with_archives(tree, archives)
    run(REMUDA, "gen", "--no-images", cwd=folder)
    run(REMUDA, "iso", "node-01", "--images", cwd=folder)
    machine.initrd(folder)
    boot = ["-kernel", f"{folder}/vmlinuz", "-initrd", f"{folder}/initrd", "-append", "console=ttyS0 quiet"]
    iso = f"{tree}/sealed/node-01.iso"
    for name, attached in {"cd": ["-cdrom", iso], "stick": ["-drive", f"file={iso},format=raw,if=virtio,readonly=on"]}.items():
        with Machine(folder, name, *boot, *attached) as node:
            said = node.wait()
            found = facts(said)
            if os.environ.get("SHOW"):
                print(said)
        same(found["config"], [f"boot.yml 400 {sha256(f'{tree}/sealed/node-01/cloud-config.yml')}"], f"the config on a {name}")
        same(
            sorted(found["image"]),
            [f"drive {archive} {sha256(f'{tree}/images/{archive}')}" for archive in archives],
            f"the images on a {name}",
        )


PXE = """
cluster: net
target: rancheros-1.5
line: kubernetes-1.20
network: {nodes: 10.20.0.0/16, pods: 10.128.0.0/12, gateway: 10.20.0.1}
media: {url: "http://10.20.0.2:8080"%s}
defaults: {console: ttyS0, kernel_args: [panic=10]}
nodes:
  m: {role: control-plane, address: 10.20.0.11, mac: "52:54:00:20:00:11"}
  w: {role: worker, address: 10.20.0.12, %s}
"""


def profile(folder, text):
    write(f"{folder}/p.yaml", text)
    return "p.yaml"


def serve(net, folder, tree, port="8080"):
    """The boot host: HTTP, and dnsmasq with the configuration as it was generated but for the TFTP folder."""
    served = f"{tree}/sealed/pxe.d"
    for name in ["vmlinuz", "initrd"]:
        shutil.copy(f"{folder}/{name}", served)
    net.start(net.boot, "http.log", "/usr/bin/python3", "-u", "-m", "http.server", port, cwd=served)
    os.makedirs(f"{folder}/tftp")
    for name in ["undionly.kpxe", "ipxe.efi"]:
        shutil.copy(f"/usr/lib/ipxe/{name}", f"{folder}/tftp")
    conf = read(f"{tree}/media/pxe/dnsmasq.conf").replace("tftp-root=/srv/tftp", f"tftp-root={folder}/tftp")
    write(f"{folder}/dnsmasq.conf", conf)
    run("chmod", "755", folder)
    net.start(net.boot, "proxy.log", "dnsmasq", "--no-daemon", f"--conf-file={folder}/dnsmasq.conf", "--user=root")


def of_sealed(tree, node):
    return sha256(f"{tree}/sealed/{node}/cloud-config.yml")


@check()
def dnsmasq_accepts_its_configuration(folder):
    """dnsmasq --test passes on the generated configuration"""
    tree = sealed(folder, profile(folder, PXE % ("", 'mac: "52:54:00:20:00:12"')))
    said = run("dnsmasq", "--test", f"--conf-file={tree}/media/pxe/dnsmasq.conf").stdout
    expect("syntax check OK" in said, said)
    with open(f"{tree}/media/pxe/dnsmasq.conf", "a") as file:
        file.write("pxe-servise=x\n")
    refused("dnsmasq", "--test", f"--conf-file={tree}/media/pxe/dnsmasq.conf", status=1)


@check()
def machines_boot_from_the_network(folder):
    """iPXE beside the network's own DHCP server: two machines by their MACs into their own configs (one by a UUID alone), an unknown third into the page"""
    tree = sealed(folder, profile(folder, PXE % ("", 'uuid: "4C4C4544-0042-3510-8051-B4C04F4E4D31"')))
    with_archives(tree, {"system-docker-0123456789ab.tar": os.urandom(100_001), "docker-ba9876543210.tar": b"small"})
    run(REMUDA, "gen", "p.yaml", "--no-images", cwd=folder)
    run(REMUDA, "pxe", "wrap", "-p", "p.yaml", cwd=folder)
    machine.initrd(folder)
    with Network(folder) as net:
        net.addresses()
        serve(net, folder, tree)
        inside = net.inside(net.switch)
        with (
            Machine(folder, "m", "-boot", "n", "-nic", f"{net.tap('t1')},mac=52:54:00:20:00:11", inside=inside) as m,
            Machine(
                folder,
                "w",
                "-boot",
                "n",
                "-uuid",
                "4c4c4544-0042-3510-8051-b4c04f4e4d31",
                "-nic",
                f"{net.tap('t2')},mac=52:54:00:99:00:12",
                inside=inside,
            ) as w,
            Machine(
                folder,
                "x",
                "-boot",
                "n",
                "-machine",
                "graphics=off",
                "-smbios",
                "type=1,serial=ABC-123,manufacturer=Maker",
                "-nic",
                f"{net.tap('t3')},mac=52:54:00:99:00:13",
                inside=inside,
            ) as x,
        ):
            try:
                for name, node in [("m", m), ("w", w)]:
                    found = facts(node.wait())
                    same(found["config"], [f"boot.yml 400 {of_sealed(tree, name)}"], f"the config of {name}")
                    same(
                        sorted(found["image"]),
                        sorted(
                            f"{engine} {file} {sha256(f'{tree}/images/{file}')}"
                            for engine, file in [("system-docker", "system-docker-0123456789ab.tar"), ("docker", "docker-ba9876543210.tar")]
                        ),
                        f"the images of {name}",
                    )
                    expect("console=ttyS0 panic=10" in found["cmdline"][0], f"the command line {found['cmdline']}")
                page = x.wait(until="it looks again")
            except Failed:
                print(x.said()[-3000:], read(f"{folder}/http.log")[-3000:], read(f"{folder}/proxy.log")[-3000:])
                raise
            for expected in ["no node of cluster net", "52:54:00:99:00:13", "ABC-123", "Maker", "10.20.200."]:
                expect(expected in page, f"{expected} is on the page: {page[-2000:]}")


@check(slow=True)
def configs_by_url(folder):
    """by URL: machines known by serial number and by DHCP host name fetch their configs, one into a state partition made of an empty disk; a disk in use is not touched"""
    text = PXE.replace("media: {", "images: {delivery: registry, registry: r.example.com}\nmedia: {") % (
        ", config: url",
        "serial: S-1, interface: eth0, disk: /dev/vda",
    )
    # What is packed is known from the tree, as in a checkout.
    os.makedirs(f"{folder}/out/net/images")
    with open(f"{folder}/out/net/manifest.json", "w") as file:
        json.dump({"remuda": "", "files": {}}, file)
    with_archives(f"{folder}/out/net", {"system-docker-0123456789ab.tar": b"large", "docker-ba9876543210.tar": b"small"})
    tree = sealed(folder, profile(folder, text + "  h: {role: worker, address: 10.20.0.13, interface: eth0, disk: /dev/vda}\n"))
    machine.initrd(folder)
    used = disk(folder, "used")
    with open(used, "r+b") as file:
        file.write(b"somebody's")
    with Network(folder) as net:
        net.addresses(hosts=[("52:54:00:99:00:13", "h")])
        serve(net, folder, tree)
        inside = net.inside(net.switch)
        empty = ["-drive", f"file={disk(folder, 'empty')},format=raw,if=virtio", "-boot", "n"]
        with (
            Machine(
                folder, "w", *empty, "-smbios", "type=1,serial=S-1", "-nic", f"{net.tap('t2')},mac=52:54:00:99:00:12", inside=inside
            ) as w,
            Machine(
                folder,
                "h",
                "-boot",
                "n",
                "-drive",
                f"file={used},format=raw,if=virtio",
                "-nic",
                f"{net.tap('t3')},mac=52:54:00:99:00:13",
                inside=inside,
            ) as h,
        ):
            found = facts(w.wait())
            same(found["source"], ["url"], "the source")
            same(found["formatted"], ["/dev/vda"], "what was formatted")
            same([line.split()[-1] for line in found["config"]], [of_sealed(tree, "w")], "the config of w")
            found = facts(h.wait())
            same(found["stopped"], ["no state partition"], "a node whose disk is somebody else's")
    same(read_bytes(used)[:10], b"somebody's", "the disk in use")


@check(slow=True)
def installs_once(folder):
    """a machine that is to be installed is, from the network, with config and images on its disk; booted the same way again it is left alone and is the node"""
    text = PXE % ("", "disk: /dev/vda, install: true, mac: '52:54:00:20:00:12'")
    tree = sealed(folder, profile(folder, text))
    with_archives(tree, {"system-docker-0123456789ab.tar": os.urandom(100_001), "docker-ba9876543210.tar": b"small"})
    run(REMUDA, "gen", "p.yaml", "--no-images", cwd=folder)
    machine.initrd(folder)
    run(REMUDA, "pxe", "wrap", "w", "-p", "p.yaml", "--images", "--initrd", "initrd", "--to", "initrd-w", cwd=folder)
    boot = [
        "-kernel",
        f"{folder}/vmlinuz",
        "-initrd",
        f"{folder}/initrd-w",
        "-append",
        "console=ttyS0 quiet",
        "-drive",
        f"file={disk(folder, 'disk')},format=raw,if=virtio",
    ]
    # A tarball that isn't what was packed: nothing stays of the install.
    broken = disk(folder, "broken")
    whole = read_bytes(f"{folder}/initrd-w")
    with open(f"{folder}/initrd-b", "wb") as file:
        file.write(whole.replace(b"small", b"smell"))
    with Machine(folder, "broken", *[word.replace("initrd-w", "initrd-b").replace("/disk,", "/broken,") for word in boot]) as node:
        said = node.wait()
    expect("docker-ba9876543210.tar is not what was packed" in said and "rebooting" not in said, said[-2000:])
    same(read_bytes(broken)[: 1 << 20].strip(b"\0"), b"", "the disk of the machine that couldn't be installed")
    with Machine(folder, "first", *boot) as node:
        said = node.wait()
    found = facts(said)
    same([line.split()[0] for line in found["config"]], ["install.yml"], "the configs of the first boot")
    same(found.get("image"), None, "nothing is loaded into memory that is for the disk")
    same(found["installing"], ["/dev/vda append=console=tty0 console=ttyS0 panic=10"], "the command")
    expect("w is installed; rebooting" in said and "over" not in found, said[-2000:])
    for name, words in {"again": boot, "disk": [word.replace("initrd-w", "initrd") for word in boot]}.items():
        with Machine(folder, name, *words) as node:
            found = facts(node.wait())
        same(found["state"], ["/dev/vda1"], "the state partition")
        same(
            [line.split()[0] + " " + line.split()[-1] for line in found["config"]],
            [f"user_config.yml {of_sealed(tree, 'w')}"],
            f"{name}: the config on the disk",
        )
        same(len(found["image"]), 2, f"{name}: the images on the disk")
        expect("installing" not in found, f"{name}: it is not installed again")


@check()
def vagrant_validates(folder):
    """vagrant validate passes on the Vagrantfile, for libvirt and for VirtualBox, and names a drive that isn't there"""
    tree = sealed(folder)
    run(REMUDA, "iso", "--all", "--no-images", cwd=folder)
    # VirtualBox itself isn't to be had: Vagrant asks it for its version alone.
    os.makedirs(f"{folder}/bin")
    write(f"{folder}/bin/VBoxManage", "#!/bin/sh\necho 6.1.50r161033\n", 0o755)
    environment = dict(os.environ, HOME=folder, PATH=f"{folder}/bin:/usr/bin:/bin")
    for provider in ["libvirt", "virtualbox"]:
        said = run("vagrant", "validate", cwd=f"{tree}/media", env=dict(environment, VAGRANT_DEFAULT_PROVIDER=provider)).stdout
        expect("validated successfully" in said, said)
    os.remove(f"{tree}/sealed/node-02.iso")
    said = refused("vagrant", "up", "node-02", cwd=f"{tree}/media", env=dict(environment, VAGRANT_DEFAULT_PROVIDER="libvirt"), status=1)
    expect("node-02.iso isn't there: run `remuda iso --all`" in said, said)
    refused("vagrant", "validate", cwd=f"{tree}/media", env=dict(environment, VAGRANT_DEFAULT_PROVIDER="virtualbox"), status=1)


@check(slow=True)
def matchbox_serves_it(folder):
    """matchbox serves each machine its kernel, initrd and config from the generated groups and profiles"""
    tree = sealed(folder, profile(folder, PXE % (", matchbox: true", 'uuid: "4C4C4544-0042-3510-8051-B4C04F4E4D31"')))
    environment = dict(os.environ, GOFLAGS="-mod=mod", CGO_ENABLED="0")
    os.makedirs(f"{folder}/go")
    write(f"{folder}/go/go.mod", "module matchbox\ngo 1.21\n")
    run("go", "get", "github.com/poseidon/matchbox/cmd/matchbox@v0.11.0", cwd=f"{folder}/go", env=environment)
    run("go", "build", "-o", f"{folder}/matchbox", "github.com/poseidon/matchbox/cmd/matchbox", cwd=f"{folder}/go", env=environment)
    with Network(folder) as net:
        net.start(
            net.boot,
            "matchbox.log",
            f"{folder}/matchbox",
            "-address=127.0.0.1:8080",
            f"-data-path={tree}/sealed/matchbox.d",
            "-assets-path=",
            "-log-level=debug",
        )

        def ask(query, status=0):
            return run(
                *net.inside(net.boot),
                "curl",
                "-sf",
                "--retry",
                "5",
                "--retry-connrefused",
                f"http://127.0.0.1:8080/ipxe?{query}",
                status=status,
            )

        for query, node in [("mac=52-54-00-20-00-11", "m"), ("uuid=4c4c4544-0042-3510-8051-b4c04f4e4d31&mac=52-54-00-99-00-99", "w")]:
            script = ask(query)
            own = read(
                f"{tree}/sealed/pxe.d/"
                + ("mac-52-54-00-20-00-11.ipxe" if node == "m" else "uuid-4c4c4544-0042-3510-8051-b4c04f4e4d31.ipxe")
            )
            path = next(line.split()[3] for line in own.splitlines() if line.startswith("initrd --name config"))
            expect(f"initrd --name config http://10.20.0.2:8080/{path}" in script, f"{node}: {script}")
            expect("kernel http://10.20.0.2:8080/vmlinuz initrd=initrd initrd=config" in script, script)
        ask("mac=52-54-00-99-00-99", status=22)


def vendors_iso(folder, loader):
    """An ISO as the vendor makes it (rancher/os, scripts/package-iso), with a busybox that plays the node; or the
    same with GRUB, for BIOS and UEFI."""
    machine.initrd(folder)
    cd = f"{folder}/cd"
    os.makedirs(f"{cd}/boot/{loader}")
    os.makedirs(f"{cd}/rancheros")
    shutil.copy(f"{folder}/vmlinuz", f"{cd}/boot/vmlinuz-6.1-rancher")
    shutil.copy(f"{folder}/initrd", f"{cd}/boot/initrd-v1.5.8")
    with open(f"{cd}/rancheros/installer.tar.gz", "wb") as file:
        file.write(os.urandom(1 << 20))
    iso = f"{folder}/rancheros.iso"
    if loader == "grub":
        with open(f"{cd}/boot/grub/grub.cfg", "w") as file:
            file.write(
                'serial --unit=0\nterminal_output serial\nset timeout=1\nmenuentry "RancherOS v1.5.8" {\n'
                "  linux /boot/vmlinuz-6.1-rancher vendor=yes console=ttyS0\n  initrd /boot/initrd-v1.5.8\n}\n"
            )
        run("grub-mkrescue", "-o", iso, cd, "--", "-volid", "RancherOS")
        return iso
    texts = {
        "isolinux/isolinux.cfg": "SERIAL 0\nUI menu.c32\nTIMEOUT 10\nPROMPT 0\n\n# doesn't appear to work here?\nINCLUDE ../global.cfg\n\n"
        "LABEL rancheros-previous\n  MENU LABEL Previous RancherOS Version\n  MENU DISABLE\nINCLUDE ../linux-previous.cfg\n\n"
        "LABEL rancheros-current\n  MENU LABEL Current RancherOS Version\n  MENU DISABLE\nINCLUDE ../linux-current.cfg\n\nMENU TITLE RancherOS\n",
        "global.cfg": "APPEND vendor=yes console=ttyS0\n",
        "linux-current.cfg": "\nDEFAULT rancheros-v1.5.8\nLABEL rancheros-v1.5.8\n    SAY rancheros-v1.5.8\n    MENU LABEL RancherOS v1.5.8\n"
        "    KERNEL ../vmlinuz-6.1-rancher\n    INITRD ../initrd-v1.5.8\n\nLABEL rancheros-v1.5.8-debug\n    MENU LABEL Debug logging\n"
        "    COM32 cmd.c32\n    APPEND rancheros-v1.5.8 rancher.debug=true\n",
    }
    for name, text in texts.items():
        write(f"{cd}/boot/{name}", text)
    shutil.copy("/usr/lib/ISOLINUX/isolinux.bin", f"{cd}/boot/isolinux")
    for name in ["ldlinux.c32", "menu.c32", "libutil.c32", "libcom32.c32", "cmd.c32"]:
        shutil.copy(f"/usr/lib/syslinux/modules/bios/{name}", f"{cd}/boot/isolinux")
    run(
        "xorriso",
        "-as",
        "mkisofs",
        "-l",
        "-J",
        "-R",
        "-V",
        "RancherOS",
        "-no-emul-boot",
        "-boot-load-size",
        "4",
        "-boot-info-table",
        "-b",
        "boot/isolinux/isolinux.bin",
        "-c",
        "boot/isolinux/boot.cat",
        "-isohybrid-mbr",
        "/usr/lib/ISOLINUX/isohdpfx.bin",
        "-o",
        iso,
        cd,
    )
    return iso


BOOT = """
cluster: disc
target: rancheros-1.5
line: kubernetes-1.20
network: {nodes: 10.20.0.0/16, pods: 10.128.0.0/12, gateway: 10.20.0.1}
defaults: {kernel_args: [panic=10]}
nodes:
  m: {role: control-plane, address: 10.20.0.11}
  w: {role: worker, address: 10.20.0.12, disk: /dev/vda, install: true}
"""
IMAGES = {"system-docker-0123456789ab.tar": os.urandom(300_001), "docker-ba9876543210.tar": b"small"}


def boot_isos(folder, loader, text=BOOT):
    tree = sealed(folder, profile(folder, text))
    with_archives(tree, IMAGES)
    run(REMUDA, "gen", "p.yaml", "--no-images", cwd=folder)
    vendor = vendors_iso(folder, loader)
    run(REMUDA, "iso", "--all", "--from", vendor, "-p", "p.yaml", cwd=folder)
    return tree, vendor


def runs_from(folder, name, tree, *words):
    """A machine that runs m from its boot ISO, with config and images."""
    with Machine(folder, name, *words, memory=768) as node:
        found = facts(node.wait(240))
    same(found["config"], [f"boot.yml 400 {of_sealed(tree, 'm')}"], f"{name}: the config")
    same(sorted(line.split()[1] for line in found["image"]), sorted(IMAGES), f"{name}: the images")
    same(
        sorted(line.split()[2] for line in found["image"]),
        sorted(hashlib.sha256(content).hexdigest() for content in IMAGES.values()),
        f"{name}: the images",
    )
    for word in ["vendor=yes", "panic=10"]:
        expect(word in found["cmdline"][0], f"{name}: {word} in {found['cmdline']}")


@check()
def vendors_isolinux_iso(folder):
    """the vendor's ISO, customized, boots by its own isolinux as CD and as stick, with config and images; another one installs the node; xorriso sees the vendor's files unchanged; the same bytes again"""
    tree, vendor = boot_isos(folder, "isolinux")
    iso = f"{tree}/sealed/m.boot.iso"
    first = sha256(iso)
    run(REMUDA, "iso", "m", "--from", vendor, "-p", "p.yaml", cwd=folder)
    same(sha256(iso), first, "the same ISO again")
    same(oct(os.stat(iso).st_mode & 0o777), "0o600", "the mode")
    shown = output(REMUDA, "iso", "show", iso)
    for expected in [
        "m of cluster disc",
        "boots      BIOS",
        "label      RancherOS",
        "initrd     /var/lib/rancher/preload/docker/docker-ba9876543210.tar, 5 bytes",
    ]:
        expect(expected in shown, shown)
    run("xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/", f"{folder}/out-of-it")
    run("chmod", "-R", "u+rwX", f"{folder}/out-of-it")
    found, wanted = files(f"{folder}/out-of-it"), files(f"{folder}/cd")
    changed = [path for path, digest in wanted.items() if found.get(path) != digest]
    # isolinux.bin has the table that xorriso put into it.
    same(sorted(changed), ["boot/isolinux/isolinux.bin", "boot/isolinux/isolinux.cfg"], "the vendor's files that changed")
    runs_from(folder, "cd-rom", tree, "-cdrom", iso)
    runs_from(folder, "stick", tree, "-drive", f"file={iso},format=raw,if=virtio,readonly=on")
    state = ["-drive", f"file={disk(folder, 'disk')},format=raw,if=virtio"]
    w = ["-cdrom", f"{tree}/sealed/w.boot.iso", "-boot", "d", *state]
    with Machine(folder, "install", *w) as node:
        said = node.wait()
    same(facts(said)["installing"], ["/dev/vda append=panic=10"], said[-2000:])
    expect("w is installed; rebooting" in said, said[-2000:])
    with Machine(folder, "again", *w) as node:
        found = facts(node.wait())
    same(
        [line.split()[0] + " " + line.split()[-1] for line in found["config"]],
        [f"user_config.yml {of_sealed(tree, 'w')}"],
        "the config on the disk",
    )
    same(len(found["image"]), 2, "the images on the disk")


@check()
def isos_that_are_not_understood(folder):
    """an ISO that can't be made a node's is refused with the reason, and nothing is written: none of the vendor's layout, one of ours, no ISO; a node that would not start from one"""
    tree = sealed(folder, profile(folder, BOOT.replace("address: 10.20.0.11", "address: 10.20.0.11, disk: /dev/vda")))
    with_archives(tree, IMAGES)
    run(REMUDA, "gen", "p.yaml", "--no-images", cwd=folder)
    run(REMUDA, "iso", "m", "--no-images", "-p", "p.yaml", cwd=folder)

    def iso(name, texts, *words):
        cd = f"{folder}/{name}"
        for path, text in texts.items():
            os.makedirs(os.path.dirname(f"{cd}/{path}"), exist_ok=True)
            write(f"{cd}/{path}", text)
        os.makedirs(f"{cd}/boot", exist_ok=True)
        shutil.copy("/usr/lib/ISOLINUX/isolinux.bin", f"{cd}/boot/b.bin")
        run("xorriso", "-as", "mkisofs", "-R", "-V", name.upper(), *words, "-o", f"{folder}/{name}.iso", cd)
        return f"{folder}/{name}.iso"

    boots = ["-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "-b", "boot/b.bin"]
    menu = {"boot/isolinux/isolinux.cfg": "LABEL a\nKERNEL /v\nINITRD /i\n", "v": "", "i": ""}
    for file, problem in [
        (f"{folder}/remuda.seed", "isn't an ISO 9660 image"),
        (f"{tree}/sealed/m.iso", "remuda made it"),
        (iso("silent", menu), "doesn't boot"),
        (iso("other", {"v": ""}, *boots), "no boot menu that remuda knows"),
        (
            iso("hollow", {**menu, "boot/isolinux/isolinux.cfg": "LABEL a\nKERNEL /nowhere\nINITRD /i\n"}, *boots),
            "boots /nowhere, which doesn't exist",
        ),
        (iso("taken", {**menu, "images/a": ""}, *boots), "already has a /images"),
        (iso("fine", menu, *boots), "stay in memory: nothing would start"),
    ]:
        said = refused(REMUDA, "iso", "m" if "fine" in file else "w", "--no-images", "--from", file, "-p", "p.yaml", cwd=folder, status=3)
        expect(problem in said, said)
        same(
            sorted(name for name in os.listdir(f"{tree}/sealed") if "boot" in name or name.startswith(".")),
            [],
            f"what is left in sealed/ after {file}",
        )


@check()
def vendors_grub_iso(folder):
    """the same with GRUB as the boot loader, by BIOS"""
    tree, _ = boot_isos(folder, "grub")
    runs_from(folder, "bios", tree, "-cdrom", f"{tree}/sealed/m.boot.iso")


@check(slow=True)
def vendors_grub_iso_by_uefi(folder):
    """and by UEFI, as CD and as stick"""
    tree, _ = boot_isos(folder, "grub")
    iso = f"{tree}/sealed/m.boot.iso"
    firmware = ["-bios", "/usr/share/ovmf/OVMF.fd"]
    runs_from(folder, "uefi", tree, *firmware, "-cdrom", iso)
    runs_from(folder, "uefi-stick", tree, *firmware, "-drive", f"file={iso},format=raw,if=virtio,readonly=on")


@check(slow=True)
def a_machine_boots_by_uefi(folder):
    """UEFI's own network boot, which is no iPXE: dnsmasq gives it iPXE by TFTP, and that the node's config"""
    tree = sealed(folder, profile(folder, PXE % ("", 'mac: "52:54:00:20:00:12"')))
    machine.initrd(folder)
    with Network(folder) as net:
        net.addresses()
        serve(net, folder, tree)
        port = net.tap("t1").replace(",model=virtio-net-pci", ",id=net")
        words = [
            "-bios",
            "/usr/share/ovmf/OVMF.fd",
            "-netdev",
            port,
            "-device",
            "virtio-net-pci,netdev=net,mac=52:54:00:20:00:12,romfile=,bootindex=1",
        ]
        with Machine(folder, "w", *words, inside=net.inside(net.switch), memory=1024) as node:
            try:
                said = node.wait(300)
                found = facts(said)
                expect("config" in found, said[-4000:])
            except Failed:
                print(read(f"{folder}/proxy.log")[-3000:], read(f"{folder}/http.log")[-2000:])
                raise
        same(found["config"], [f"boot.yml 400 {of_sealed(tree, 'w')}"], "the config")
        expect("sent" in read(f"{folder}/proxy.log") and "ipxe.efi" in read(f"{folder}/proxy.log"), "iPXE came by TFTP")
