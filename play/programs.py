"""Programs that are run and waited for, and files."""

import hashlib
import os
import subprocess
import time


class Failed(Exception):
    """What must hold doesn't. A person sees only the text of it."""


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
