"""Machines: qemu without KVM, Debian's cloud kernel, and an initrd of busybox that acts as a node's early boot
does (init.sh says which facts of the OS it plays). Kernel and modules are kept in a cache."""

import glob
import os
import shutil
import subprocess
import time

from common import Failed, output, run

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "remuda", "media")
MODULES = ["virtio_pci", "virtio_blk", "virtio_net", "ata_piix", "sr_mod", "isofs", "sd_mod"]


def kernel():
    """The unpacked kernel package: its vmlinuz and its tree of modules."""
    depends = output("apt-cache", "depends", "linux-image-cloud-amd64")
    package = next(line.split()[-1] for line in depends.splitlines() if "Depends: linux-image-" in line)
    folder = f"{CACHE}/{package}"
    if not os.path.isdir(folder):
        os.makedirs(CACHE, exist_ok=True)
        fresh = f"{folder}.{os.getpid()}"
        os.makedirs(fresh)
        os.chmod(CACHE, 0o755)
        run("apt-get", "download", "-qq", package, cwd=fresh)
        (deb,) = glob.glob(f"{fresh}/*.deb")
        run("dpkg-deb", "-x", deb, fresh)
        os.remove(deb)
        version = os.listdir(f"{fresh}/lib/modules")[0]
        run("depmod", "-b", fresh, version)
        os.rename(fresh, folder)
    return glob.glob(f"{folder}/boot/vmlinuz-*")[0], folder


def initrd(folder):
    """Makes `folder`/vmlinuz and `folder`/initrd."""
    vmlinuz, tree = kernel()
    root = f"{folder}/initrd.d"
    for name in ["bin", "modules", "usr/bin", "proc", "sys", "dev", "mnt", "run", "etc", "tmp"]:
        os.makedirs(f"{root}/{name}")
    shutil.copy("/bin/busybox", f"{root}/bin/busybox")
    for name in ["init", "ros"]:
        shutil.copy(f"{HERE}/{name}.sh", f"{root}/init" if name == "init" else f"{root}/usr/bin/ros")
    for script in [f"{root}/init", f"{root}/usr/bin/ros"]:
        os.chmod(script, 0o755)
    # What busybox has not, or not well.
    for program in ["blkid", "mke2fs"]:
        path = shutil.which(program, path="/usr/sbin:/sbin")
        libraries = output("ldd", path)
        for file in [path, *(word for word in libraries.split() if word.startswith("/"))]:
            os.makedirs(os.path.dirname(f"{root}{file}"), exist_ok=True)
            shutil.copy(file, f"{root}{file}")
    version = os.listdir(f"{tree}/lib/modules")[0]
    order = []
    for module in MODULES:
        shown = run("modprobe", "-d", tree, "-S", version, "--show-depends", module, check=False).stdout
        for line in shown.splitlines():
            if line.startswith("insmod ") and line.split()[1] not in order:
                order.append(line.split()[1])
    for number, path in enumerate(order):
        shutil.copy(path, f"{root}/modules/{number:02}-{os.path.basename(path)}")
    shutil.copy(vmlinuz, f"{folder}/vmlinuz")
    with open(f"{folder}/initrd", "wb") as out:
        names = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
        archive = subprocess.run(["cpio", "--quiet", "-H", "newc", "-o"], cwd=root, input=names, capture_output=True, check=True).stdout
        packed = subprocess.run(["gzip", "-1n"], input=archive, capture_output=True, check=True).stdout
        # What comes behind it doesn't come to lie at a multiple of four.
        out.write(packed + b"\0" * ((1 - len(packed)) % 4))


class Machine:
    """A machine that runs. What its console says is in `log`."""

    def __init__(self, folder, name, *words, inside=(), memory=512):
        self.log = f"{folder}/{name}.log"
        command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", str(memory), "-nographic", "-no-reboot", "-nodefaults"]
        command += ["-serial", f"file:{self.log}", "-monitor", "none", *words]
        self.process = subprocess.Popen([*inside, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def said(self):
        if not os.path.exists(self.log):
            return ""
        with open(self.log, errors="replace") as file:
            return file.read().replace("\r", "")

    def wait(self, timeout=120, until=None):
        """Until it is off, or says `until`; what it said."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if until and until in self.said():
                return self.said()
            if self.process.poll() is not None:
                if self.process.returncode or (until and until not in self.said()):
                    break
                return self.said()
            time.sleep(0.2)
        problem = self.process.stderr.read().decode() if self.process.poll() is not None else ""
        raise Failed(f"the machine didn't {'say ' + until if until else 'end'} in {timeout} s: {problem}\n{self.said()[-3000:]}")

    def off(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.off()


def facts(said):
    """What init.sh found: lines `NODE KEY VALUE`, as a mapping."""
    found = {}
    for line in said.splitlines():
        words = line.split(" ", 2)
        if words[0] == "NODE" and len(words) == 3:
            found.setdefault(words[1], []).append(words[2])
    return found
