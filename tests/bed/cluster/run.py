#!/usr/bin/python3
"""Runs scenarios on real parts and prints what each took.

    tests/bed/cluster/run.py [--reboots N] [SCENARIO…]      all of them without a name

Wants root, docker.io, python3-yaml, curl, and the program and components that REMUDA and COMPONENTS name
(target/release/remuda and components/ of this project by default). SYSTEM_DOCKERD and USER_DOCKERD name other
engines than Debian's.
"""

import os
import sys
import time

sys.path.insert(0, os.path.abspath(f"{__file__}/../.."))
sys.path.append(os.path.abspath(f"{__file__}/../../../../play"))
import cis
import conformance
import post
import scenarios
import second_day
import upgrade
from common import Failed

ALL = {**scenarios.ALL, **upgrade.ALL, **second_day.ALL, **post.ALL, **conformance.ALL, **cis.ALL}


def main():
    words, rounds = sys.argv[1:], 10
    if "--reboots" in words:
        at = words.index("--reboots")
        rounds = int(words[at + 1])
        del words[at : at + 2]
    if set(words) - set(ALL):
        sys.exit(f"{__doc__}\nscenarios: {', '.join(ALL)}")
    failed, took = [], {}
    for name in words or ALL:
        print(f"{name}: {ALL[name].__doc__}", flush=True)
        bed, began = scenarios.Bed(name), time.monotonic()
        try:
            ALL[name](bed, rounds) if name == "reboots" else ALL[name](bed)
            took[name] = time.monotonic() - began
            print(f"ok: {name}, {took[name]:.0f} s", flush=True)
        except Failed as error:
            failed.append(name)
            print(f"FAILED: {name}: {error}", flush=True)
    print("\n| scenario | measured | |\n|---|---|---|")
    for name, times in scenarios.Bed.times.items():
        for what, seconds in times.items():
            print(f"| {name} | {what} | {seconds:.0f} s |")
    print(f"\n{len(took)} passed, {len(failed)} failed")
    sys.exit(1 if failed else 0)


main()
