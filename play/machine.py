"""Machines: namespaces on one bridge, each with a disk, that are powered on and off."""

import fcntl
import io
import ipaddress
import json
import os
import shutil
import signal
import tarfile
import tempfile
import time

import cgroups
from programs import Failed, read, run, sha256, spawn, write

HERE = os.path.dirname(os.path.abspath(__file__))

# What a service on the OS's base image runs first: it writes the files that are for this service.
ROS = """#!/bin/sh
[ "$1" = entrypoint ] || exit 64
shift
[ ! -f "/run/bed/files/$BED_SERVICE.tar" ] || tar -x -p -C / -f "/run/bed/files/$BED_SERVICE.tar"
exec "$@"
"""


# The client of system-docker, as the OS's base image sees it.
SYSTEM_DOCKER = """#!/bin/sh
exec /docker/ld-linux-x86-64.so.2 --library-path /docker /docker/docker -H unix:///run/system-docker.sock "$@"
"""


# What busybox's DHCP client calls.
UDHCPC = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip address flush dev "$interface" scope global
ip address add "$ip/$mask" dev "$interface"
[ -z "$router" ] || ip route add default via "$router" dev "$interface"
"""


def tools(folder):
    """What ros.py takes into a machine: the base image, `ros`, the container runtime."""
    os.makedirs(folder, exist_ok=True)
    for name, text in (("ros", ROS), ("system-docker", SYSTEM_DOCKER), ("udhcpc", UDHCPC)):
        write(f"{folder}/{name}", text, 0o755)
    shutil.copy(f"{HERE}/runtime", folder)
    busybox_image(f"{folder}/base-image.tar", "bed/os-base:latest", {"Entrypoint": ["/usr/bin/ros", "entrypoint"]}, docker_client())


def docker_client():
    """The files that Docker's client needs, in a folder of its own."""
    libraries = [word for word in run("ldd", "/usr/bin/docker").stdout.split() if word.startswith("/")]
    return {f"docker/{os.path.basename(path)}": path for path in ["/usr/bin/docker", *libraries]}


def busybox_image(path, name, config, files=None):
    """A `docker load` archive with busybox, and `files`: path in it → path here."""
    with tempfile.TemporaryDirectory() as work:
        tree = f"{work}/tree"
        os.makedirs(f"{tree}/bin")
        shutil.copy("/usr/bin/busybox", f"{tree}/bin/busybox")
        for applet in run(f"{tree}/bin/busybox", "--list").stdout.split():
            if applet != "busybox":
                os.symlink("busybox", f"{tree}/bin/{applet}")
        for folder in ("usr/bin", "etc", "tmp", "proc", "sys", "dev", "run", "var"):
            os.makedirs(f"{tree}/{folder}")
        for to, source in (files or {}).items():
            os.makedirs(os.path.dirname(f"{tree}/{to}"), exist_ok=True)
            shutil.copy(source, f"{tree}/{to}")
        run("tar", "-C", tree, "-cf", f"{work}/layer.tar", ".")
        image_archive(path, name, {"Env": ["PATH=/bin:/usr/bin"], **config}, [f"{work}/layer.tar"])


def image_archive(path, name, config, layers):
    """A `docker load` archive of layers' tarballs, the lowest first."""
    image = {
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer)}" for layer in layers]},
    }
    names = [f"{number}.tar" for number in range(len(layers))]
    texts = {"manifest.json": [{"Config": "config.json", "RepoTags": [name], "Layers": names}], "config.json": image}
    with tarfile.open(path, "w") as tar:
        for part, value in texts.items():
            member, text = tarfile.TarInfo(part), json.dumps(value).encode()
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
        for part, layer in zip(names, layers, strict=True):
            tar.add(layer, part)


# The size of the conntrack table can't be set in a namespace: this machine gets the one that kube-proxy
# wants (it leaves alone what is right already), and its own back at the end.
CONNTRACK = "/proc/sys/net/netfilter/nf_conntrack_max"


class Switch:
    """Two bridges in a network namespace of their own: br0 is the nodes' network, with an address of this machine's
    address on it; br1 gives addresses by DHCP, as a hypervisor's NAT does, if anybody asks. On br0 who asks
    gets the address that `give` said; NAME.bed.test follows it."""

    def __init__(self, name, address, *further):
        self.name, self.address = name, address.split("/")[0]
        self.own, self.given = ipaddress.ip_interface(address), {}
        self.hosts, self.leases = (tempfile.NamedTemporaryFile("w", prefix=f"{name}-{what}-") for what in ("hosts", "leases"))  # noqa: SIM115
        # One cluster at a time: the second would set the first one's conntrack table back at its end.
        self.lock = open("/run/remuda-bed.lock", "w")  # noqa: SIM115
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed("another played cluster is up on this machine") from None
        with open(CONNTRACK) as file:
            self.conntrack = file.read()
        with open(CONNTRACK, "w") as file:
            file.write("131072")
        self.controllers = cgroups.Controllers()
        run("ip", "netns", "delete", self.name, check=False)  # of a cluster that was killed
        run("ip", "netns", "add", self.name)
        self.dhcp = None
        for bridge, own in (("br0", address), ("br1", "10.0.2.1/24")):
            self.ip("link", "add", bridge, "type", "bridge")
            self.ip("address", "add", own, "dev", bridge)
            self.ip("link", "set", bridge, "up")
        for own in further:
            self.ip("address", "add", own, "dev", "br0", "nodad")
        self.ip("link", "set", "lo", "up")

    def serve_dhcp(self):
        if self.dhcp is None:
            self.dhcp = spawn(
                "/dev/null",
                "nsenter",
                f"--net=/run/netns/{self.name}",
                "/usr/sbin/dnsmasq",
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--interface=br0",
                "--interface=br1",
                "--bind-interfaces",
                "--dhcp-range=10.0.2.50,10.0.2.250,1h",
                f"--dhcp-range={self.own.network.network_address},static,1h",
                f"--dhcp-hostsfile={self.hosts.name}",
                "--domain=bed.test",
                "--local=/bed.test/",
                f"--dhcp-leasefile={self.leases.name}",
                "--user=root",
                "--pid-file=",
            )

    def give(self, addresses):
        """From now on; `addresses`: MAC → (name, address)."""
        self.given.update(addresses)
        self.hosts.seek(0)
        self.hosts.truncate()
        self.hosts.writelines(f"{mac},{address},{name}\n" for mac, (name, address) in self.given.items())
        self.hosts.flush()
        if self.dhcp is not None:
            # The server anew, without these machines' leases: it would keep an address for its last holder.
            self.dhcp.kill()
            self.dhcp.wait()
            self.dhcp = None
            with open(self.leases.name) as file:
                kept = [line for line in file if line.split()[1:2] != [] and line.split()[1] not in addresses]
            with open(self.leases.name, "w") as file:
                file.writelines(kept)
            self.serve_dhcp()

    def hold_dhcp(self):
        self.dhcp.send_signal(signal.SIGSTOP)

    def resume_dhcp(self):
        self.dhcp.send_signal(signal.SIGCONT)

    def ip(self, *words):
        return run("ip", "-n", self.name, *words)

    def run(self, *words, **options):
        return run("nsenter", f"--net=/run/netns/{self.name}", *words, **options)

    def remove(self):
        if self.dhcp is not None:
            self.dhcp.kill()
        run("ip", "netns", "delete", self.name, check=False)
        with open(CONNTRACK, "w") as file:
            file.write(self.conntrack)
        self.controllers.take_back()
        self.lock.close()


class Machine:
    """`cards`: (interface's name, its MAC or None, its bridge) of each network card."""

    def __init__(self, name, switch, folder, tools_folder, cards):
        self.name, self.switch, self.tools, self.cards = name, switch, tools_folder, cards
        self.netns = f"{switch.name}-{name}"
        self.folder = f"{folder}/{name}"
        self.disk = f"{self.folder}/disk"
        self.process = None
        # What it boots next, if not what its config is for.
        self.os_version = ""
        os.makedirs(self.disk, exist_ok=True)

    def install(self, config, images):
        """Puts config and image tarballs where the OS looks for them; `images`: engine → paths."""
        folder = f"{self.disk}/var/lib/rancher"
        os.makedirs(f"{folder}/conf/cloud-config.d", exist_ok=True)
        shutil.copy(config, f"{folder}/conf/cloud-config.d/user_config.yml")
        for engine, paths in images.items():
            os.makedirs(f"{folder}/preload/{engine}", exist_ok=True)
            for path in paths:
                target = f"{folder}/preload/{engine}/{os.path.basename(path)}"
                if not os.path.exists(target):
                    try:
                        os.link(path, target)
                    except OSError:
                        shutil.copy(path, target)

    def port(self, index):
        return f"{self.name[-9:]}.{index}"

    def power_on(self):
        assert self.process is None, f"{self.name} is on"
        run("ip", "netns", "delete", self.netns, check=False)
        run("ip", "netns", "add", self.netns)
        for index, (interface, mac, bridge) in enumerate(self.cards):
            port = self.port(index)
            self.switch.ip("link", "add", port, "type", "veth", "peer", "name", interface, "netns", self.netns)
            self.switch.ip("link", "set", port, "master", bridge, "up")
            if mac:
                run("ip", "-n", self.netns, "link", "set", interface, "address", mac)
            if bridge == "br1" or self.switch.given:
                self.switch.serve_dhcp()
        self.process = spawn(
            f"{self.folder}/console.log",
            "nsenter",
            f"--net=/run/netns/{self.netns}",
            *cgroups.enter(self.netns),
            "unshare",
            "--mount",
            "--uts",
            "--ipc",
            "--pid",
            "--fork",
            "--kill-child",
            "/usr/bin/python3",
            f"{HERE}/ros.py",
            self.disk,
            self.tools,
            self.os_version,
            start_new_session=True,
        )
        self.powered_on = time.monotonic()

    def init(self):
        """The machine's first process, seen from here."""
        if self.process is None:
            raise Failed(f"{self.name} is off")
        for _ in range(100):
            children = run("pgrep", "-P", str(self.process.pid), check=False).stdout.split()
            if children:
                return int(children[0])
            time.sleep(0.05)
        raise Failed(f"{self.name} has no first process: see {self.folder}/console.log")

    def power_off(self):
        """Pulls the plug."""
        if self.process is None:
            return
        children = run("pgrep", "-P", str(self.process.pid), check=False).stdout.split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self.process = None
        for index in range(len(self.cards)):
            run("ip", "-n", self.switch.name, "link", "delete", self.port(index), check=False)
        run("ip", "netns", "delete", self.netns, check=False)
        cgroups.remove(self.netns)

    def reboot(self):
        self.power_off()
        self.power_on()

    def wipe(self):
        assert self.process is None, f"{self.name} is on"
        shutil.rmtree(self.disk)
        os.makedirs(self.disk)

    def is_on(self):
        return self.process is not None and self.process.poll() is None

    def run(self, *words, **options):
        """A command inside the machine."""
        return run("nsenter", "-a", "-r", "-w", "-t", str(self.init()), *words, **options)

    def docker(self, *words, engine="system-docker", **options):
        return self.run("docker", "-H", f"unix:///run/{'docker' if engine == 'docker' else engine}.sock", *words, **options)

    def failed(self):
        """The containers of system-docker that ended with an error and are not started again."""
        listed = self.docker("ps", "-a", "--filter", "status=exited", "--format", "{{.Names}} {{.Status}}").stdout.splitlines()
        return [line for line in listed if "Exited (0)" not in line]

    def boot_log(self):
        path = f"{self.disk}/var/log/bed/boot.log"
        return read(path) if os.path.exists(path) else ""

    def this_boot(self):
        return self.boot_log().rpartition("--- power on")[2]

    def says(self, service):
        """What a service in system-docker said since the machine was powered on."""
        return self.docker("logs", "--since", f"{time.monotonic() - self.powered_on:.0f}s", service, check=False).stdout

    def collect_logs(self, folder):
        """The logs of every service, in one folder."""
        os.makedirs(folder, exist_ok=True)
        logs = f"{self.disk}/var/log/bed"
        if os.path.isdir(logs):
            shutil.copytree(logs, folder, dirs_exist_ok=True)
        if os.path.exists(f"{self.folder}/console.log"):
            shutil.copy(f"{self.folder}/console.log", folder)
        if not self.is_on():
            return
        for engine in ("system-docker", "docker"):
            listed = self.docker("ps", "-a", "--format", "{{.Names}}", engine=engine, check=False)
            for name in listed.stdout.split() if listed.returncode == 0 else []:
                text = self.docker("logs", "--timestamps", name, engine=engine, check=False).stdout
                with open(f"{folder}/{name[:100]}.log", "w") as file:
                    file.write(text)
            with open(f"{folder}/{engine}.containers", "w") as file:
                file.write(self.docker("ps", "-a", engine=engine, check=False).stdout)
