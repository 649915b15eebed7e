#!/usr/bin/python3
"""What remuda makes for machines, read by the programs that read it there.

  tests/bed/media/run.py            what fits into the gate
  tests/bed/media/run.py --all      also what takes gigabytes or minutes
  tests/bed/media/run.py NAME...    these checks alone

Needs root (namespaces, devices) and the packages of `scripts/packages test`; takes the program from
REMUDA. Everything is made in a folder of its own and goes away with it.
"""

import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import checks


def main():
    words = sys.argv[1:]
    every = "--all" in words
    names = [word for word in words if word != "--all"]
    chosen = [check for check in checks.ALL if (check.__name__ in names if names else every or not check.slow)]
    unknown = set(names) - {check.__name__ for check in checks.ALL}
    if unknown:
        sys.exit(f"there is no check {', '.join(sorted(unknown))}; there are {', '.join(c.__name__ for c in checks.ALL)}")
    failed = []
    for check in chosen:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="remuda-media-") as folder:
            try:
                check(folder)
            except Exception as error:  # every check is tried
                failed.append(check.__name__)
                print(f"FAILED: {check.__name__}: {error}", flush=True)
                continue
        print(f"ok: {check.__doc__.strip()} ({time.monotonic() - started:.1f} s)", flush=True)
    print(f"{len(chosen) - len(failed)} passed, {len(failed)} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
