"""What the beds share: programs that are run, waited for and expected to say something."""

import base64
import json
import os
import sys

BED = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(BED))
# The machines that `remuda try` plays are the beds' too.
sys.path.append(f"{ROOT}/play")
from programs import Failed, output, read, read_bytes, run, sha256, spawn, until, write  # noqa: E402

__all__ = ["Failed", "output", "read", "read_bytes", "run", "sha256", "spawn", "until", "write"]
# The program, and the folder that scripts/components fills.
REMUDA = os.path.abspath(os.environ.get("REMUDA", f"{ROOT}/target/release/remuda"))
COMPONENTS = os.path.abspath(os.environ.get("COMPONENTS", f"{ROOT}/components"))


# The smallest cluster, up to `images:`; and its components, each of which can be replaced by something small.
PROFILE = """\
cluster: c
target: rancheros-1.5
line: kubernetes-1.20
network: {nodes: 10.0.0.0/16, gateway: 10.0.0.1}
defaults:
  ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y a@b]
nodes:
  one: {roles: [control-plane, worker], address: 10.0.0.2}
images:
"""
PROGRAMS = ("etcd", "flannel", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
OF_PODS = ("coredns", "pause")


def small_components(base, names=(*PROGRAMS, *OF_PODS)):
    """Lines for a profile's `images.components`: each component is this base with the file `small` on it, which an image of
    pods starts."""

    def started(name):
        return "" if name in PROGRAMS else ", entrypoint: [/small]"

    return "".join(f"    {name}: {{from: {{{base}}}, files: !override {{/small: small}}{started(name)}}}\n" for name in names)


def refused(*words, status=None, **options):
    """The output of a program that must fail, with this exit status or with any."""
    done = run(*words, check=False, **options)
    if done.returncode != status if status is not None else not done.returncode:
        raise Failed(f"{' '.join(map(str, words))}: exit status {done.returncode}, it should fail\n{done.stdout.strip()[-3000:]}")
    return done.stdout


def expect(condition, what):
    if not condition:
        raise Failed(what)


def component(start):
    """The folder of the newest component whose name begins so."""
    found = sorted(name for name in os.listdir(COMPONENTS) if name.startswith(start))
    expect(found, f"{COMPONENTS} has no {start}…: run scripts/components --all")
    return f"{COMPONENTS}/{found[-1]}"


def registry_config(folder, address, tls=None, **more):
    """Writes the configuration of a docker-registry that keeps all in `folder` and listens at `address` (HOST:PORT); its path."""
    http = {"addr": address, **({"tls": tls} if tls else {})}
    storage = {"filesystem": {"rootdirectory": f"{folder}/data"}}
    config = {"version": 0.1, "log": {"level": "info"}, "storage": storage, "http": http, **more}
    write(f"{folder}/config.yml", json.dumps(config))
    return f"{folder}/config.yml"


def htpasswd(folder, user, password):
    """The `auth` of a registry that only this user may read; writes the file of passwords into `folder`."""
    import crypt  # Python 3.13 no longer has it, and few beds need it

    hashed = crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH)).replace("$2b$", "$2y$")
    write(f"{folder}/htpasswd", f"{user}:{hashed}\n")
    return {"htpasswd": {"realm": "bed", "path": f"{folder}/htpasswd"}}


def account(user, password):
    """A login, as a Docker client's config.json has it."""
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}
