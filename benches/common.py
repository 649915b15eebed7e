"""What the benchmarks share."""

import os
import pathlib
import statistics
import subprocess
import time
import typing

HERE = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))
REMUDA = TARGET / "release/remuda"
CORES = len(os.sched_getaffinity(0))
RUNS = 3


class Took(typing.NamedTuple):
    """Medians of seconds and of CPU seconds, user and system; the most memory of one process, in MB."""

    seconds: float
    cpu: float
    memory: float


def build():
    subprocess.run(["cargo", "build", "--release", "--locked", "-q"], cwd=HERE, check=True)


def timed(command, prepare=lambda: None, runs=RUNS):
    """What a command takes, a list or a line of shell; `prepare` comes before each run, and isn't counted."""
    times, cpu, memory = [], [], 0
    for _ in range(runs):
        prepare()
        started = time.monotonic()
        child = subprocess.Popen(command, shell=isinstance(command, str), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        times.append(time.monotonic() - started)
        if status:
            raise SystemExit(f"{command}: {said.decode()}")
        cpu.append(usage.ru_utime + usage.ru_stime)
        memory = max(memory, usage.ru_maxrss)
    return Took(statistics.median(times), statistics.median(cpu), memory / 1024)


def table(first, *heads):
    print(f"| {first} |", *(f"{head} |" for head in heads))
    print("|---|" + "---|" * len(heads))


def row(name, *cells):
    print(f"| {name} |", *(f"{cell} |" for cell in cells))


def ms(took):
    return f"{took.seconds * 1000:,.0f} ms" if took.seconds > 0.02 else f"{took.seconds * 1000:.1f} ms"


def ratio(took, limit):
    """By time and by CPU, which doesn't depend on what else the machine does."""
    return f"{took.seconds / limit.seconds:.2f}, {took.cpu / limit.cpu:.2f}"
