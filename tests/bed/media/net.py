"""A network of namespaces: a switch, a host that is the network's DHCP server, and one that boots machines."""

import os
import signal

from common import run, spawn


def ip(*words, **options):
    run("ip", *words, **options)


class Network:
    """10.20.0.0/16: 10.20.0.1 hands out addresses and knows nothing of booting, 10.20.0.2 boots machines."""

    def __init__(self, folder):
        self.folder = folder
        self.name = f"rm{os.getpid()}"
        self.switch, self.dhcp, self.boot = (f"{self.name}-{part}" for part in ["sw", "dhcp", "boot"])
        self.processes = []

    def __enter__(self):
        for space in [self.switch, self.dhcp, self.boot]:
            ip("netns", "add", space)
            ip("-n", space, "link", "set", "lo", "up")
        ip("-n", self.switch, "link", "add", "br0", "type", "bridge")
        ip("-n", self.switch, "link", "set", "br0", "up")
        for space, address in [(self.dhcp, "10.20.0.1/16"), (self.boot, "10.20.0.2/16")]:
            port = space.replace(self.name, "p")
            ip("-n", self.switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("-n", self.switch, "link", "set", port, "master", "br0", "up")
            ip("-n", space, "address", "add", address, "dev", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for space in [self.switch, self.dhcp, self.boot]:
            ip("netns", "del", space, check=False)

    def inside(self, space):
        return ["ip", "netns", "exec", space]

    def start(self, space, log, *words, cwd=None):
        """Runs a server until the end; its output goes to `log`."""
        self.processes.append(spawn(f"{self.folder}/{log}", *self.inside(space), *words, cwd=cwd))

    def addresses(self, hosts=()):
        """The network's own DHCP server. `hosts`: MAC → host name."""
        words = [f"--dhcp-host={mac},{host}" for mac, host in hosts]
        self.start(
            self.dhcp,
            "dhcp.log",
            "dnsmasq",
            "--no-daemon",
            "--conf-file=/dev/null",
            "--port=0",
            "--log-dhcp",
            "--interface=eth0",
            f"--dhcp-leasefile={self.folder}/leases",
            "--dhcp-range=10.20.200.1,10.20.200.99,255.255.0.0",
            "--user=root",
            *words,
        )

    def tap(self, name):
        """A port for a machine: qemu's words for it."""
        ip("-n", self.switch, "tuntap", "add", name, "mode", "tap")
        ip("-n", self.switch, "link", "set", name, "master", "br0", "up")
        return f"tap,ifname={name},script=no,downscript=no,model=virtio-net-pci"
