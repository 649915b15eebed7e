#!/usr/bin/python3
"""What remuda takes as a service's value, a real engine takes; what it refuses, the engine refuses.

values.py REMUDA IMAGE      on the engine that DOCKER_HOST names, which has IMAGE: one that stays up
"""

import concurrent.futures
import http.client
import json
import os
import socket
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from common import expect, run

# The option of `docker create` that says what a service's key says.
OPTIONS = {
    "volumes": "-v",
    "volumes_from": "--volumes-from",
    "net": "--net",
    "pid": "--pid",
    "ipc": "--ipc",
    "uts": "--uts",
    "restart": "--restart",
    "ports": "-p",
    "expose": "--expose",
    "links": "--link",
    "devices": "--device",
    "cap_add": "--cap-add",
    "cap_drop": "--cap-drop",
    "security_opt": "--security-opt",
    "extra_hosts": "--add-host",
    "dns": "--dns",
    "dns_search": "--dns-search",
    "hostname": "--hostname",
    "user": "--user",
    "working_dir": "--workdir",
    "log_driver": "--log-driver",
    "mac_address": "--mac-address",
    "cpuset": "--cpuset-cpus",
    "mem_limit": "--memory",
    "memswap_limit": "--memory-swap",
    "cpu_quota": "--cpu-quota",
    "cpu_shares": "--cpu-shares",
}
LISTS = {
    "volumes",
    "volumes_from",
    "ports",
    "expose",
    "links",
    "devices",
    "cap_add",
    "cap_drop",
    "security_opt",
    "extra_hosts",
    "dns",
    "dns_search",
}

TAKEN = """
image IMAGE
volumes /opt/a:/a | volumes /opt/a:/a:ro | volumes /opt/a:/a:rw,shared | volumes /opt/a:/a:Z,rslave | volumes named-volume:/a
volumes /a | volumes /opt/a:/a/ | volumes named-volume:/a:nocopy | volumes /opt/a:/a:cached | volumes_from other | volumes_from other:ro
net host | net none | net bridge | net container:other | pid host | pid container:other | ipc host | uts host
restart always | restart no | restart unless-stopped | restart on-failure | restart on-failure:3
ports 8080 | ports 18080:80 | ports 127.0.0.1:18081:80 | ports 18082:53/udp | ports 18083-18085:80-82 | ports 18090-18095:80
ports 127.0.0.1::80 | expose 8080 | expose 53/udp | expose 80-82 | links other | links other:alias
devices /dev/null | devices /dev/null:/dev/other | devices /dev/null:rw | devices /dev/null:/dev/other:r
cap_add NET_ADMIN | cap_add net_admin | cap_add ALL | cap_drop MKNOD
security_opt label:disable | security_opt label=disable | security_opt seccomp:unconfined | security_opt no-new-privileges | security_opt no-new-privileges:true
extra_hosts name:10.0.0.1 | extra_hosts name:::1 | dns 10.0.0.1 | dns_search example.com | hostname a-name.example
user 0 | user 0:0 | user 1000:1000 | working_dir /tmp | log_driver json-file | log_driver none
cpuset 0 | cpuset 0-1 | mem_limit 6291456 | mem_limit 0 | cpu_quota 1000 | cpu_shares 2
"""
REFUSED = """
image Capitals | image UP/name:1 | image a:1:2 | image http://host/name:1 | image name:-tag | image a//b:1 | image name@sha256:abc | image "a b"
volumes /a:/b:bogus | volumes :/x | volumes /opt/a:/ | volumes rel/ative:/a | volumes /opt/a:rel | volumes /opt/a:/a:ro,rw
volumes /opt/a:/a:ro:x | volumes named-volume:/a:shared | volumes /opt/a:/a:nocopy | volumes_from other:bogus
net hosts | net container: | net mynet | pid junk | ipc junk | uts container:other | uts junk
restart sometimes | restart always:3 | restart on-failure:x | restart on-failure:1:2
ports abc | ports 99999:1 | ports 80:0x50 | ports 18100-18102:80-84 | ports 300.0.0.1:18103:80 | ports 80/sctps | ports 18104:82-80
expose abc | expose 99999 | links nobody-there | devices relative | devices /dev/null:/dev/other:x | devices a:b:c:d
cap_add NETADMIN | cap_add CAP_NONE | security_opt junk | security_opt junk=1 | extra_hosts x | extra_hosts x:y | dns name
dns_search "a b" | working_dir relative | log_driver jsonfile | mac_address zz | cpuset a-b
cpuset a-b | cpuset 3-1 | mem_limit 5 | mem_limit 4194303 | cpu_quota 999
"""
# The engine is newer than a node's system-docker, or takes what is of no use.
STRICTER = """
cap_add CAP_NET_ADMIN | ports 80/sctp | ipc private | log_driver local | links "other:a b" | user ":::"
"""


def rows(text, verdict):
    for row in text.replace("\n", "|").split("|"):
        if row.strip():
            key, value = row.strip().split(" ", 1)
            yield key, value.strip('"'), verdict


def refused_by_remuda(remuda, table):
    """Whether remuda says an error of each row's line."""
    lines = ["cluster: a", "target: rancheros-1.5", "line: kubernetes-1.20", "network: {nodes: 10.0.0.0/24, gateway: 10.0.0.1}"]
    lines += ["nodes: {n: {roles: [control-plane, worker], address: 10.0.0.2}}", "defaults:", "  services:"]
    lines += ["    other: {image: 'a:1', labels: {io.rancher.os.scope: system}}"]
    at = {}
    for number, (key, value, _) in enumerate(table):
        number_like = key in ("mem_limit", "memswap_limit", "cpu_quota", "cpu_shares")
        text = value if number_like else json.dumps(value)
        image = "" if key == "image" else "image: 'a:1', "
        text = f"[{text}]" if key in LISTS else text
        lines.append(f"    row-{number}: {{{image}{key}: {text}, labels: {{io.rancher.os.scope: system}}}}")
        at[len(lines)] = number
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as profile:
        profile.write("\n".join(lines) + "\n")
        profile.flush()
        said = run(remuda, "validate", "--format", "json", profile.name, check=False, stderr=None)
    beside = {"port-clash", "name-taken", "other-engine"}
    errors = [one for one in json.loads(said.stdout)["diagnostics"] if one["severity"] == "error" and one["code"] not in beside]
    stray = [one for one in errors if one["line"] not in at]
    expect(not stray, stray)
    return {at[one["line"]] for one in errors}


def docker(*words):
    return run("docker", *words, check=False)


class Engine(http.client.HTTPConnection):
    """The engine's own API, by its socket."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(os.environ["DOCKER_HOST"].removeprefix("unix://"))


def mount_refused(image, value):
    """What the engine says against a mount, asked as libcompose asks it. A client reads it first, and clients of
    several versions take different ones."""
    engine = Engine("engine")
    config = json.dumps({"Image": image, "HostConfig": {"Binds": [value]}})
    engine.request("POST", "/containers/create", config, {"Content-Type": "application/json"})
    made = json.load(engine.getresponse())
    return made.get("message") or start(made["Id"], value)


def start(name, value):
    """What the engine says against starting it; then it is removed."""
    # How mounts propagate is for the host to allow: a node's does.
    if "shared" in value or "slave" in value:
        docker("rm", "-fv", name)
        return ""
    started = docker("start", name)
    docker("rm", "-fv", name)
    return started.stdout.strip() if started.returncode else ""


def refused_by_engine(image, key, value):
    """What the engine says against it; nothing, if it made and started such a container."""
    if key == "volumes" and ":" in value:
        return mount_refused(image, value)
    words = [] if key == "image" else [OPTIONS[key], value + "b" if key.startswith("mem") else value]
    made = docker("create", "--pull", "never", *words, value.replace("IMAGE", image) if key == "image" else image)
    if made.returncode:
        return made.stdout.strip()
    return start(made.stdout.split()[-1], value)


def main(remuda, image):
    table = [*rows(TAKEN, "taken"), *rows(REFUSED, "refused"), *rows(STRICTER, "stricter")]
    shown = [(key, value.replace("IMAGE", image), verdict) for key, value, verdict in table]
    ours = refused_by_remuda(remuda, shown)
    docker("run", "-d", "--name", "other", "--net", "bridge", image)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        engine = list(pool.map(lambda row: refused_by_engine(image, row[0], row[1]), shown))
    docker("rm", "-f", "other")
    wrong = []
    for number, (key, value, verdict) in enumerate(shown):
        if (number in ours) != (verdict != "taken"):
            wrong.append(f"{key}: {value}: remuda {'refuses' if number in ours else 'takes'} it")
        if bool(engine[number]) != (verdict == "refused"):
            wrong.append(f"{key}: {value}: the engine {'says: ' + engine[number] if engine[number] else 'takes it'}")
    print("\n".join(wrong) or f"ok: remuda and the engine agree on {len(table)} values")
    sys.exit(bool(wrong))


main(*sys.argv[1:])
