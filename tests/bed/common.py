"""What the beds share: programs that are run, waited for and expected to say something."""

import base64
import hashlib
import json
import os
import subprocess
import time

BED = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(BED))
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


def small_components(base, names=PROGRAMS):
    """Lines for a profile's `images.components`: each component is this base with the file `small` on it."""
    return "".join(f"    {name}: {{from: {{{base}}}, files: !override {{/small: small}}}}\n" for name in names)


class Failed(Exception):
    """What a bed expects doesn't hold. A person sees only the text of it."""


def run(*words, check=True, **options):
    """Runs a program. `stdout` of the result has both streams. With `check`, another exit status than 0 raises `Failed`."""
    words = [str(word) for word in words]
    done = subprocess.run(words, **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options})
    if check and done.returncode:
        raise Failed(f"{' '.join(words)}: exit status {done.returncode}\n{(done.stdout or '').strip()[-3000:]}")
    return done


def spawn(log, *words, **options):
    """Starts a program in the background; its output is appended to the file `log`."""
    with open(log, "a") as file:
        return subprocess.Popen(words, **{"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file, **options})


def output(*words, **options):
    """What a program writes to its standard output."""
    words = [str(word) for word in words]
    done = subprocess.run(words, capture_output=True, text=True, **options)
    if done.returncode:
        raise Failed(f"{' '.join(words)}: exit status {done.returncode}\n{(done.stdout + done.stderr).strip()[-3000:]}")
    return done.stdout


def refused(*words, status=None, **options):
    """The output of a program that must fail, with this exit status or with any."""
    done = run(*words, check=False, **options)
    if done.returncode != status if status is not None else not done.returncode:
        raise Failed(f"{' '.join(map(str, words))}: exit status {done.returncode}, it should fail\n{done.stdout.strip()[-3000:]}")
    return done.stdout


def expect(condition, what):
    if not condition:
        raise Failed(what)


def until(what, seconds, test):
    """Waits until `test` returns something true, and returns that. The last failure of `test` is in the error."""
    start, last = time.monotonic(), None
    while time.monotonic() - start < seconds:
        try:
            value = test()
            if value:
                return value
        except (Failed, OSError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
            last = error
        time.sleep(0.5)
    raise Failed(f"{what}: not within {seconds} s" + (f"; the last that was heard: {last}" if last else ""))


def read(path):
    with open(path) as file:
        return file.read()


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, text, mode=0o644):
    """Writes a file, and makes its folder."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def component(start):
    """The folder of the newest component whose name begins so."""
    found = sorted(name for name in os.listdir(COMPONENTS) if name.startswith(start))
    expect(found, f"{COMPONENTS} has no {start}…: run scripts/components --all")
    return f"{COMPONENTS}/{found[-1]}"


def registry_config(folder, address, **more):
    """Writes the configuration of a docker-registry that keeps all in `folder` and listens at `address` (HOST:PORT); its path."""
    storage = {"filesystem": {"rootdirectory": f"{folder}/data"}}
    config = {"version": 0.1, "log": {"level": "info"}, "storage": storage, "http": {"addr": address}, **more}
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
