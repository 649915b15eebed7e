"""A node's operating system, played: what RancherOS does with a cloud-config, from power-on.

Runs as the first process of a machine's own namespaces (machine.py makes them), in a root folder that is
its disk. Written from what RancherOS's and BurmillaOS's sources do with a config; it shares nothing with
remuda but the files. What it can't play faithfully it refuses.

    ros.py DISK TOOLS    DISK: the machine's disk; TOOLS: a folder with base-image.tar and runtime
"""

import base64
import collections
import glob
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import sys
import tarfile
import threading
import time

import yaml

import cgroups
from programs import Failed, read, read_bytes, run, spawn

CONFIG = "/var/lib/rancher/conf/cloud-config.d/user_config.yml"
SYSTEM = "unix:///run/system-docker.sock"
USER = "unix:///var/run/docker.sock"
LOG = "/var/log/bed"

TOP = {"hostname", "ssh_authorized_keys", "write_files", "rancher"}
RANCHER = {"environment", "network", "modules", "sysctl", "preload_wait", "system_docker", "docker", "registry_auths", "services", "ssh"}
DOCKER = {"bip", "extra_args", "storage_driver", "log_driver", "log_opts", "live_restore", "registry_mirror", "insecure_registry"}

REGISTRIES = {"registry_mirror", "insecure_registry"}
# Where the client of both engines finds the accounts of `registry_auths`.
ACCOUNTS = "/run/bed/accounts"

# The OS's own services that only hold volumes: what each mounts.
VOLUMES = {
    "system-volumes": [
        "/dev:/host/dev",
        "/etc/docker:/etc/docker",
        "/etc/hosts:/etc/hosts",
        "/etc/resolv.conf:/etc/resolv.conf",
        "/lib/modules:/lib/modules",
        "/lib/firmware:/lib/firmware",
        "/run:/run",
        "/var/run:/var/run",
        "/var/log:/var/log",
        "/usr/share/ros:/usr/share/ros",
        "/var/lib/rancher:/var/lib/rancher",
    ],
    "command-volumes": ["/run/bed/ros:/usr/bin/ros", "/run/bed/system-docker:/usr/bin/system-docker"],
    "user-volumes": ["/home:/home", "/opt:/opt", "/var/lib/kubelet:/var/lib/kubelet"],
    "container-data-volumes": ["/var/lib/user-docker:/var/lib/docker"],
    "media-volumes": ["/media:/media:shared", "/mnt:/mnt:shared"],
}
# The OS's own services that do something here. `console` and `docker` are played by this program.
BUILT_IN = ["network", "cloud-init-execute", "console", "docker", "preload-user-images"]
IGNORED = {"ntp", "syslog", "udev", "udev-cold", "acpid", "logrotate", "preload-system-images", "subscriber", "system-docker"}


class Refused(Exception):
    """What this program can't play."""


def log(*words):
    print(f"{time.monotonic() - STARTED:7.2f}", *words, flush=True)


STARTED = time.monotonic()


# --- the config -----------------------------------------------------------------------------------------


def texts(value, what):
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"{what} is no list of texts: {value!r}")


def check_types(config):
    """One value of the wrong type, and the OS drops the whole config."""
    if not isinstance(config, dict):
        raise TypeError("no mapping")
    rancher = config.get("rancher", {})
    for name, service in rancher.get("services", {}).items():
        if not isinstance(name, str) or not isinstance(service, dict) or not service:
            raise TypeError(f"service {name!r} is no mapping")
        for key, value in service.items():
            what = f"{name}.{key}"
            if key in ("command", "entrypoint") and not isinstance(value, str):
                texts(value, what)
            elif key in ("environment", "labels") and isinstance(value, dict):
                if any(not isinstance(item, str) for item in value):
                    raise TypeError(f"{what}: a key that is no text")
            elif key in ("volumes", "volumes_from", "links", "cap_add", "devices", "environment", "labels", "ports", "dns"):
                texts(value, what)
            elif key in ("privileged", "read_only", "tty", "stdin_open") and not isinstance(value, bool):
                raise TypeError(f"{what} is no boolean")
            elif key in ("image", "net", "pid", "ipc", "uts", "restart", "user", "working_dir") and not isinstance(value, str):
                raise TypeError(f"{what} is no text")
    for file in config.get("write_files", []):
        for key in ("path", "content", "permissions", "container", "encoding", "owner"):
            if key in file and not isinstance(file[key], str):
                raise TypeError(f"write_files: {key} is no text: {file[key]!r}")
    for name, value in rancher.get("sysctl", {}).items():
        if not isinstance(value, str):
            raise TypeError(f"sysctl {name} is no text")
    texts(rancher.get("modules", []), "modules")


def refuse_unknown(mapping, known, what):
    unknown = set(mapping) - set(known)
    if unknown:
        raise Refused(f"{what}: {', '.join(sorted(map(str, unknown)))} is nothing that is played here")


def load_config():
    text = read_bytes(CONFIG).decode("ascii")
    if not text.startswith("#cloud-config\n"):
        raise Refused("the config does not begin with #cloud-config")
    # The OS puts metadata in place of these, anywhere in the text.
    text = re.sub(r"(?<!\\)\$(public|private)_ipv[46]", "", text)
    try:
        config = yaml.safe_load(text)
        check_types(config)
    except (yaml.YAMLError, TypeError) as error:
        log("CONFIG DROPPED:", error)
        return {}
    refuse_unknown(config, TOP, "the config")
    refuse_unknown(config.get("rancher", {}), RANCHER, "rancher")
    refuse_unknown(config.get("rancher", {}).get("docker", {}), DOCKER, "rancher.docker")
    refuse_unknown(config.get("rancher", {}).get("system_docker", {}), REGISTRIES, "rancher.system_docker")
    return config


# --- the machine before any service ---------------------------------------------------------------------


def set_up_network(network, hostname):
    refuse_unknown(network, {"interfaces", "dns"}, "rancher.network")
    run("ip", "link", "set", "lo", "up")
    links = {link["ifname"]: link["address"] for link in json.loads(run("ip", "-j", "link").stdout)}
    for key, settings in network.get("interfaces", {"eth*": {"dhcp": True}}).items():
        refuse_unknown(settings, {"address", "addresses", "gateway", "gateway_ipv6", "mtu", "dhcp"}, f"interface {key}")
        if key.startswith("mac="):
            names = [name for name, mac in links.items() if mac.lower() == key[4:].lower()]
        else:
            pattern = re.escape(key).replace(r"\*", ".*")
            names = [name for name in links if re.fullmatch(pattern, name)]
        for name in names:
            # In the OS's order: a link that isn't up has no routes yet.
            for address in [settings.get("address"), *settings.get("addresses", [])]:
                if address:
                    run("ip", "address", "add", address, "dev", name)
            if "mtu" in settings:
                run("ip", "link", "set", name, "mtu", str(settings["mtu"]))
            run("ip", "link", "set", name, "up")
            if settings.get("dhcp"):
                # Without an answer it goes on asking, as the OS's client does, and the boot goes on.
                run(
                    "busybox",
                    "udhcpc",
                    "-i",
                    name,
                    "-b",
                    "-q",
                    "-t",
                    "5",
                    "-T",
                    "1",
                    "-A",
                    "1",
                    "-x",
                    f"hostname:{hostname}",
                    "-s",
                    "/run/bed/udhcpc",
                )
            if "gateway" in settings:
                run("ip", "route", "add", "default", "via", settings["gateway"])
            if "gateway_ipv6" in settings:
                run("ip", "-6", "route", "add", "default", "via", settings["gateway_ipv6"])
        if not names:
            log(f"network: no interface is {key}")
    dns = network.get("dns", {})
    with open("/etc/resolv.conf", "w") as file:
        file.writelines(f"nameserver {address}\n" for address in dns.get("nameservers", []))
        file.writelines(f"search {' '.join(dns['search'])}\n" for _ in [0] if dns.get("search"))


def load_modules(modules):
    built_in = "".join(read(path) for path in glob.glob("/lib/modules/*/modules.builtin"))
    for module in modules:
        if not (os.path.exists(f"/sys/module/{module}") or f"/{module}.ko" in built_in or built_in == ""):
            log(f"modules: no {module} on this machine")


def engine_of(variable):
    """This machine's engine, or another: what a RancherOS node has is Docker 17.06 and 19.03."""
    return os.environ.get(variable) or shutil.which("dockerd")


def start_docker(dockerd, socket, root, state, arguments, launcher=()):
    words = [
        *launcher,
        dockerd,
        "-H",
        socket,
        "--data-root",
        root,
        "--exec-root",
        f"/run/{state}",
        "-p",
        f"/run/{state}.pid",
        "--add-runtime",
        "plain=/run/bed/runtime",
        "--default-runtime",
        "plain",
        *cgroups.engine_arguments(),
        *arguments,
    ]
    log("starting", *words)
    path = f"{os.path.dirname(dockerd)}:{os.environ['PATH']}"
    process = spawn(f"{LOG}/{state}.log", *words, start_new_session=True, env={**os.environ, "PATH": path})
    for _ in range(600):
        if run("docker", "-H", socket, "version", check=False).returncode == 0:
            return process
        if process.poll() is not None:
            raise Failed(f"dockerd {state} exited with {process.returncode}")
        time.sleep(0.1)
    raise Failed(f"dockerd {state} doesn't answer")


def registries(given):
    """An engine's arguments."""
    mirror = ["--registry-mirror", given["registry_mirror"]] if "registry_mirror" in given else []
    return mirror + [word for host in given.get("insecure_registry", []) for word in ("--insecure-registry", host)]


def preload(socket, folder):
    """Every file in the folder that has no NAME.done beside it."""
    if not os.path.isdir(folder):
        return
    for name in sorted(os.listdir(folder)):
        path = f"{folder}/{name}"
        if name.endswith(".done") or os.path.exists(path + ".done"):
            continue
        loaded = run("docker", "-H", socket, "load", "-i", path, check=False)
        log(f"preload {path}: {'loaded' if loaded.returncode == 0 else loaded.stdout.strip()}")
        if loaded.returncode == 0:
            open(path + ".done", "w").close()


def files_for(config, container):
    """A tar of the files that a container writes when it starts, for `ros entrypoint`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for file in config.get("write_files", []):
            if file.get("container", "console") != container:
                continue
            refuse_unknown(file, {"path", "content", "permissions", "container", "encoding", "owner"}, file["path"])
            content = file["content"].encode()
            if file.get("encoding") in ("base64", "b64"):
                content = base64.b64decode(content)
            elif file.get("encoding"):
                raise Refused(f"encoding {file['encoding']}")
            if file.get("owner") not in (None, "root", "root:root"):
                raise Refused(f"owner {file['owner']}")
            entry = tarfile.TarInfo(file["path"].lstrip("/"))
            entry.size, entry.mode = len(content), int(file.get("permissions", "0644"), 8)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


# --- services -------------------------------------------------------------------------------------------

PLAIN = {  # key → option of `docker create`
    "net": "--network",
    "pid": "--pid",
    "ipc": "--ipc",
    "uts": "--uts",
    "restart": "--restart",
    "user": "--user",
    "working_dir": "--workdir",
    "hostname": "--hostname",
    "log_driver": "--log-driver",
}
LISTS = {
    "volumes": "--volume",
    "volumes_from": "--volumes-from",
    "cap_add": "--cap-add",
    "cap_drop": "--cap-drop",
    "devices": "--device",
    "links": "--link",
    "ports": "--publish",
    "dns": "--dns",
    "security_opt": "--security-opt",
    "extra_hosts": "--add-host",
}
FLAGS = {"privileged": "--privileged", "read_only": "--read-only", "tty": "--tty", "stdin_open": "--interactive"}


class Service:
    def __init__(self, name, keys, environment):
        self.name, self.keys = name, keys
        labels = keys.get("labels", {})
        if isinstance(labels, list):
            labels = dict(item.split("=", 1) for item in labels)
        self.labels = {key: str(value) for key, value in labels.items()}
        self.environment = environment
        self.up = threading.Event()

    def label(self, name, default=""):
        return self.labels.get(f"io.rancher.os.{name}", default)

    def names(self, label):
        names = [name.strip() for name in self.label(label).split(",") if name.strip()]
        return ["cloud-init-execute" if name == "cloud-init" else name for name in names]

    @property
    def socket(self):
        return SYSTEM if self.label("scope") == "system" else USER

    def hard(self):
        """Dependencies that hold whatever the labels say."""
        keys = self.keys
        named = [link.split(":")[0] for link in keys.get("links", [])] + [item.split(":")[0] for item in keys.get("volumes_from", [])]
        if keys.get("net", "").startswith("container:"):
            named.append(keys["net"].split(":", 1)[1])
        if self.socket == USER:
            named.append("docker")
        return named

    def variables(self):
        given = self.keys.get("environment", [])
        for item in [f"{key}={value}" for key, value in given.items()] if isinstance(given, dict) else given:
            if "=" in item:
                yield item
                continue
            value = self.environment.get(f"{self.name}/{item}", self.environment.get(item))
            if value is not None:
                yield f"{item}={value}"

    def create(self):
        keys = self.keys
        known = {*PLAIN, *LISTS, *FLAGS, "image", "command", "entrypoint", "environment", "labels"}
        refuse_unknown(keys, known, f"service {self.name}")
        words = ["--name", self.name]
        for key, option in PLAIN.items():
            words += [option, keys[key]] if key in keys else []
        for key, option in LISTS.items():
            words += [word for item in keys.get(key, []) for word in (option, item)]
        for key, option in FLAGS.items():
            words += [option] if keys.get(key) else []
        for item in self.variables():
            words += ["--env", item]
        words += ["--env", f"BED_SERVICE={self.name}"]
        digest = hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()
        for key, value in {**self.labels, "bed.hash": digest}.items():
            words += ["--label", f"{key}={value}"]

        def as_words(value):
            return shlex.split(value) if isinstance(value, str) else list(value)

        command = as_words(keys.get("command", []))
        if "entrypoint" in keys:
            entrypoint = as_words(keys["entrypoint"])
            words, command = [*words, "--entrypoint", entrypoint[0]], entrypoint[1:] + command
        there = run("docker", "-H", self.socket, "inspect", "-f", '{{index .Config.Labels "bed.hash"}}', self.name, check=False)
        if there.returncode == 0:
            if there.stdout.strip() == digest and self.labels.get("io.docker.compose.rebuild") != "always":
                return
            log(f"{self.name}: its config changed; made anew")
            run("docker", "-H", self.socket, "rm", "-f", self.name)
        if run("docker", "-H", self.socket, "image", "inspect", keys["image"], check=False).returncode:
            pulled = run("docker", "--config", ACCOUNTS, "-H", self.socket, "pull", keys["image"], check=False)
            if pulled.returncode:
                raise Failed(f"no image {keys['image']}: {pulled.stdout.strip()[-200:]}")
        run("docker", "-H", self.socket, "create", *words, keys["image"], *command)

    def start(self):
        self.create()
        if self.label("createonly") == "true":
            return
        run("docker", "-H", self.socket, "start", self.name)
        log(f"{self.name}: started")
        if self.label("detach", "true") == "false":
            code = run("docker", "-H", self.socket, "wait", self.name).stdout.strip()
            log(f"{self.name}: exited with {code}")


class Boot:
    def __init__(self, config, tools, version):
        self.config, self.tools = config, tools
        self.rancher = config.get("rancher", {})
        self.events = {name: threading.Event() for name in BUILT_IN}
        base = next((service["image"] for service in self.given().values() if "os-base" in service.get("image", "")), "rancher/os-base:v0")
        if version:
            base = f"{base.partition(':')[0]}:{version}"
        self.base_image = base
        self.is_burmilla = base.startswith("burmilla/")
        self.starts_docker = True
        environment = self.rancher.get("environment", {})
        self.services = {}
        for name, volumes in VOLUMES.items():
            keys = {
                "image": base,
                "volumes": volumes,
                "command": ["true"],
                "labels": {"io.rancher.os.scope": "system", "io.rancher.os.createonly": "true"},
            }
            self.services[name] = Service(name, {**keys, **self.given().get(name, {})}, environment)
        all_volumes = {
            "image": base,
            "volumes_from": list(VOLUMES),
            "labels": {"io.rancher.os.scope": "system", "io.rancher.os.createonly": "true"},
        }
        self.services["all-volumes"] = Service("all-volumes", all_volumes, environment)
        for name, keys in self.given().items():
            if name == "docker" and self.is_burmilla:
                refuse_unknown(keys, {"image", "labels"}, "service docker")
                self.starts_docker = Service(name, keys, environment).label("createonly") != "true"
                continue
            if name in BUILT_IN or name in IGNORED:
                raise Refused(f"changes to the OS's own service {name}")
            if name not in self.services:
                if "image" not in keys:
                    log(f"{name}: can't be loaded: no image; skipped")
                    continue
                self.services[name] = Service(name, keys, environment)

    def given(self):
        return self.rancher.get("services", {})

    def dependencies(self):
        """Who waits for whom; names that don't exist are dropped without a word, as the OS does."""
        waits = collections.defaultdict(set)
        known = set(self.services) | set(BUILT_IN)
        for name, service in self.services.items():
            for other in service.hard() + service.names("after"):
                if other in known and other != name:
                    waits[name].add(other)
            for other in service.names("before"):
                if other in known and other != name:
                    waits[other].add(name)
        waits["docker"] |= set(Service("docker", self.given().get("docker", {}), {}).names("after")) & known
        seen, path = set(), []

        def visit(name):
            if name in path:
                raise Refused(f"Cycle detected: {' -> '.join(path[path.index(name) :] + [name])}: nothing is started")
            if name not in seen:
                path.append(name)
                for other in sorted(waits[name]):
                    visit(other)
                path.pop()
                seen.add(name)

        for name in sorted(known):
            visit(name)
        return waits

    def wait_for(self, names):
        for name in names:
            (self.services[name].up if name in self.services else self.events[name]).wait()

    def before_services(self):
        hostname = self.config.get("hostname", "rancher")
        run("hostname", hostname)
        with open("/etc/hosts", "w") as file:
            file.write(f"127.0.0.1 localhost\n127.0.1.1 {hostname}\n")
        os.makedirs("/run/bed/files")
        containers = {file.get("container", "console") for file in self.config.get("write_files", [])}
        for container in containers:
            with open(f"/run/bed/files/{container}.tar", "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(files_for(self.config, container))
        load_modules(self.rancher.get("modules", []))
        set_up_network(self.rancher.get("network", {}), hostname)
        own = ["--bip", "172.18.42.1/16", "--restart=false", *registries(self.rancher.get("system_docker", {}))]
        start_docker(engine_of("SYSTEM_DOCKERD"), SYSTEM, "/var/lib/system-docker", "system-docker", own)
        os.makedirs(ACCOUNTS)
        accounts = {
            host: base64.b64encode(f"{one['username']}:{one['password']}".encode()).decode()
            for host, one in self.rancher.get("registry_auths", {}).items()
        }
        with open(f"{ACCOUNTS}/config.json", "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            json.dump({"auths": {host: {"auth": account} for host, account in accounts.items()}}, file)
        if run("docker", "-H", SYSTEM, "image", "inspect", self.base_image, check=False).returncode:
            run("docker", "-H", SYSTEM, "load", "-i", "/run/bed/base-image.tar")
            run("docker", "-H", SYSTEM, "tag", "bed/os-base", self.base_image)
        loading = threading.Thread(target=preload, args=(SYSTEM, "/var/lib/rancher/preload/system-docker"))
        loading.start()
        if self.rancher.get("preload_wait"):
            loading.join()

    def network(self):
        for _ in range(200):
            if run("ip", "route", "show", "default").stdout.strip():
                return
            time.sleep(0.1)
        log("network: no default route after 20 s")

    def cloud_init_execute(self):
        for name, value in self.rancher.get("sysctl", {}).items():
            set_to = run("sysctl", "-w", f"{name}={value}", check=False)
            if set_to.returncode:
                log("sysctl:", set_to.stdout.strip())

    def console(self):
        files = "/run/bed/files/console.tar"
        if os.path.exists(files):
            # The console sees user Docker's data where the host has it elsewhere.
            run("tar", "-x", "-p", "-C", "/", "--transform", "s|^var/lib/docker/|var/lib/user-docker/|", "-f", files)
        open("/run/console-done", "w").close()
        if self.is_burmilla and not os.path.exists("/var/lib/user-docker/engine-id"):
            raise Refused("`ros engine switch latest`, which fetches another user Docker: no engine-id says that one has run")

    def docker(self):
        if not self.starts_docker:
            return
        while not os.path.exists("/run/console-done"):
            time.sleep(0.1)
        dockerd = self.engine() if self.is_burmilla else engine_of("USER_DOCKERD")
        given, arguments = self.rancher.get("docker", {}), []
        for key, option in (("bip", "--bip"), ("storage_driver", "--storage-driver"), ("log_driver", "--log-driver")):
            arguments += [option, given[key]] if key in given else []
        arguments += registries(given)
        for item in sorted(given.get("log_opts", {}).items()):
            arguments += ["--log-opt", "=".join(item)]
        arguments += ["--live-restore"] if given.get("live_restore") else []
        arguments += given.get("extra_args", [])
        hook = "/var/lib/rancher/conf/docker"
        # As `ros docker-init` does it: a shell reads all of it once more.
        line = f"[ -e {hook} ] && source {hook}; printf '%s\\0' {' '.join(arguments)} $DOCKER_OPTS"
        arguments = run("bash", "-c", line).stdout.split("\0")[:-1]
        # Inside the console's own mounts: the host's /var/lib/kubelet is seen there as user-volumes mounts it.
        shared = [volume.split(":") for volume in self.services["user-volumes"].keys["volumes"]]
        lines = ["mount --make-private /"]
        for parts in shared:
            if len(parts) < 3 or "shared" not in parts[2].split(","):
                lines.append(f"mount --bind {parts[0]} {parts[0]}; mount --make-rprivate {parts[0]}")
        lines += [
            "mount --make-shared /",
            "mount --bind /var/lib/user-docker /var/lib/docker",
            "mount --make-shared /var/lib/docker",
            'exec "$@"',
        ]
        launcher = ["unshare", "--mount", "--propagation", "unchanged", "sh", "-e", "-c", "\n".join(lines), "console"]
        start_docker(dockerd, USER, "/var/lib/docker", "docker", arguments, launcher)

    def engine(self):
        """`ros user-docker` on BurmillaOS: its dockerd comes out of the image of the service `docker`."""
        image = self.given().get("docker", {}).get("image", "burmilla/os-docker:latest")
        made = run("docker", "-H", SYSTEM, "create", "--name", "docker", "--network", "host", image, "ros", "user-docker", check=False)
        if made.returncode and "already in use" not in made.stdout:
            raise Failed(f"there is no user Docker: {made.stdout.strip()[-200:]}")
        for folder in ("engine", "engine-plugins"):
            run("rm", "-rf", f"/var/lib/rancher/{folder}")
            run("docker", "-H", SYSTEM, "cp", f"docker:/{folder}", f"/var/lib/rancher/{folder}")
        return "/var/lib/rancher/engine/dockerd"

    def preload_user_images(self):
        preload(USER, "/var/lib/rancher/preload/docker")

    def run(self):
        self.before_services()
        waits = self.dependencies()
        waits["docker"].add("console")
        waits["preload-user-images"] |= {"docker", "console"}
        played = {
            "network": self.network,
            "cloud-init-execute": self.cloud_init_execute,
            "console": self.console,
            "docker": self.docker,
            "preload-user-images": self.preload_user_images,
        }

        def start(name):
            self.wait_for(waits[name])
            try:
                if name in played:
                    played[name]()
                    log(f"{name}: up")
                else:
                    self.services[name].start()
            except Refused as error:
                refuse(error)
            except Exception as error:
                # The OS goes on: dependents are started all the same, this one is not tried again.
                log(f"{name}: FAILED: {error}")
            (self.services[name].up if name in self.services else self.events[name]).set()

        threads = [threading.Thread(target=start, args=(name,)) for name in [*played, *self.services]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log("all services were started")


def refuse(error):
    log("REFUSED:", error)
    os.kill(1, signal.SIGTERM)


# --- the machine's root ---------------------------------------------------------------------------------

FOLDERS = [
    "dev",
    "etc/docker",
    "home",
    "lib/modules",
    "media",
    "mnt",
    "opt",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr",
    "var/lib/docker",
    "var/lib/kubelet",
    "var/lib/rancher/conf/cloud-config.d",
    "var/lib/system-docker",
    "var/lib/user-docker",
    "var/log/bed",
    "var/tmp",
]
OF_HOST = ["passwd", "group", "nsswitch.conf", "ld.so.cache", "alternatives", "protocols", "services"]


def enter(disk, tools):
    """The disk becomes `/`: what is written lasts, but for /run."""
    run("mount", "--make-rprivate", "/")
    run("mount", "--bind", disk, disk)
    for folder in FOLDERS:
        if folder != "lib/modules":
            os.makedirs(f"{disk}/{folder}", exist_ok=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        if not os.path.lexists(f"{disk}/{name}"):
            os.symlink(f"usr/{name}", f"{disk}/{name}")
    if not os.path.lexists(f"{disk}/var/run"):
        os.symlink("../run", f"{disk}/var/run")
    for name in OF_HOST:
        run("cp", "-a", "-f", "-T", f"/etc/{name}", f"{disk}/etc/{name}")
    # The OS has one iptables, of the kind that the components have: with two, each drops what the other let pass.
    for name in ("iptables", "ip6tables"):
        run("ln", "-sfn", f"/usr/sbin/{name}-legacy", f"{disk}/etc/alternatives/{name}")
    run("mount", "--rbind", "/dev", f"{disk}/dev")
    run("mount", "-t", "proc", "proc", f"{disk}/proc")
    run("mount", "-t", "sysfs", "sysfs", f"{disk}/sys")
    cgroups.mount(f"{disk}/sys/fs/cgroup")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", f"{disk}/run")
    os.makedirs(f"{disk}/run/bed")
    # The programs are this machine's; what is made below /usr (an empty /lib/modules) goes at power-off.
    os.makedirs(f"{disk}/run/bed/usr/upper/lib/modules")
    os.makedirs(f"{disk}/run/bed/usr/work")
    layers = f"lowerdir=/usr,upperdir={disk}/run/bed/usr/upper,workdir={disk}/run/bed/usr/work"
    run("mount", "-t", "overlay", "-o", layers, "overlay", f"{disk}/usr")
    for name in os.listdir(tools):
        run("cp", f"{tools}/{name}", f"{disk}/run/bed/{name}")
    os.makedirs(f"{disk}/run/old")
    run("pivot_root", disk, f"{disk}/run/old")
    os.chdir("/")
    run("umount", "-l", "/run/old")
    run("mount", "--make-rshared", "/")
    # The OS's own mount, so that a service can share it or not.
    run("mount", "--bind", "/var/lib/kubelet", "/var/lib/kubelet")
    run("mount", "--make-shared", "/var/lib/kubelet")


def main():
    disk, tools, version = sys.argv[1:]
    enter(disk, tools)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    if os.fork() == 0:
        sys.stdout = open(f"{LOG}/boot.log", "a", buffering=1)  # noqa: SIM115
        log(f"--- power on, {time.strftime('%H:%M:%S')}")
        try:
            Boot(load_config(), "/run/bed", version).run()
        except Refused as error:
            refuse(error)
        except Exception as error:
            log("BOOT STOPPED:", error)
        os._exit(0)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(1)


if __name__ == "__main__":
    main()
