#!/usr/bin/python3
"""What the lists of kubernetes-1.20 say of flags' values and of feature gates, beside what its programs say of them.

    tests/bed/engine/flags.py COMPONENTS

`scripts/compare-lines --check` does the same for the lines that share lists; this asks with its functions.
"""

import contextlib
import io
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LISTS = ROOT / "templates/kubernetes-1.20/flags"


def functions():
    """Those of the script, which does nothing but show its help."""
    given, sys.argv = sys.argv, ["compare-lines", "--help"]
    with contextlib.redirect_stdout(io.StringIO()):
        found = runpy.run_path(str(ROOT / "scripts/compare-lines"))
    sys.argv = given
    return found


def main(components):
    ask, wrong = functions(), []
    kubernetes = components / "kubernetes-1.20.2"
    for name in ask["KUBERNETES"]:
        marks = ask["marks_of"](LISTS / name)
        values = ask["values_of"](kubernetes / name, marks)
        for flag, ((*words,),) in marks.items():
            # One that the program doesn't show has no type in the list either.
            if " ".join(words) != values.get(flag, ""):
                wrong.append(f"{name} --{flag}: the list has `{' '.join(words)}`, the program `{values.get(flag, '')}`")
    listed = {name: " ".join(words) for name, (words,) in ask["marks_of"](LISTS / "gates").items()}
    known = ask["gates_in"](kubernetes / name for name in ask["KUBERNETES"])
    wrong += [
        f"the gate {name}: {listed.get(name)}, not {known.get(name)}"
        for name in sorted(listed.keys() | known.keys())
        if listed.get(name) != known.get(name)
    ]
    print("\n".join(wrong) or f"{len(listed)} feature gates, and the values of all flags, are what the programs say")
    return bool(wrong)


sys.exit(main(Path(sys.argv[1])))
