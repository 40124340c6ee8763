"""Says for each bug whether the original text is among the engine's candidates, and at which place.

Owns the look at the stream of candidates: the tests run once for the coverage, no candidate is tried.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from benchmarks.repair import corpus, prepare
from benchmarks.repair.corpus import Bug

LOOK = Path(__file__).with_name("reach_look.py")
LIMIT_S = 60.0
EARLY = (1, 10, 100, 500, 2000)


class Reached(BaseModel):
    """Where the original stands among the candidates; 0 when it is not among them."""

    id: str
    operator: str
    place: int = 0
    template: str = ""
    made: int = 0
    line_rank: int = 0
    """Place of the faulty statement among all by suspicion."""
    note: str = ""


def look(bug: Bug, python: Path, folder: Path = corpus.HERE) -> Reached:
    """Find the place of the original of `bug`; for a bug with several faults, of any of them."""
    with tempfile.TemporaryDirectory(prefix="reach-") as scratch:
        root, temp = Path(scratch) / "program", Path(scratch) / "temp"
        manifest = corpus.load_manifest()
        prepare.materialise(bug, manifest, prepare.CACHE, root, folder)
        asked = {
            "root": str(root),
            "test_args": [],
            "budget_s": LIMIT_S,
            "workers": 1,
            "temp": str(temp),
            "wanted": _wanted(bug, root),
        }
        env = {**prepare.environment(python), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
        told = _ask([str(python), "-B", str(LOOK)], asked, root, env)
    return Reached(id=bug.id, operator=bug.operator, **told)


def _wanted(bug: Bug, root: Path) -> dict[str, list[str]]:
    """The texts that put one fault right, by file."""
    wanted: dict[str, list[str]] = {}
    for path, changes in bug.changes().items():
        source = (root / path).read_bytes().decode("utf-8")
        for change in changes:
            line = source[: source.index(change.new)].count("\n") + 1 if source.count(change.new) == 1 else change.line
            mended = change.model_copy(update={"line": line}).mend(source)
            wanted.setdefault(os.path.realpath(root / path), []).append(mended)
    return wanted


def _ask(argv: Sequence[str], asked: dict[str, Any], root: Path, env: dict[str, str]) -> dict[str, Any]:
    try:
        done = subprocess.run(
            argv,
            input=json.dumps(asked).encode(),
            cwd=root,
            env=env,
            capture_output=True,
            timeout=LIMIT_S + 5,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"note": "no answer in time"}
    for line in done.stdout.splitlines():
        told = json.loads(line)
        if told["event"] == "reach":
            return dict(told["reached"])
    return {"note": "the search ended without a look"}


def summary(found: Sequence[Reached]) -> str:
    """One line: how many are reached, and by how many candidates."""
    reached = [entry for entry in found if entry.place]
    shares = [f"{sum(entry.place <= most for entry in reached)} within {most}" for most in EARLY]
    return f"{len(reached)}/{len(found)} reached ({len(reached) / max(1, len(found)):.0%}); " + ", ".join(shares)


def main() -> None:
    """Print the place of each original."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--corpus", type=Path, default=corpus.HERE, help="folder with handmade/")
    parser.add_argument("--program", action="append", help="only this one; may be given again")
    parser.add_argument("--bug", action="append", help="only this one; may be given again")
    options = parser.parse_args()
    python = prepare.interpreter((), prepare.CACHE)
    bugs = corpus.load_handmade(options.corpus / "handmade")
    found = []
    for bug in bugs:
        if (options.program and bug.program not in options.program) or (options.bug and bug.id not in options.bug):
            continue
        entry = look(bug, python, options.corpus)
        found.append(entry)
        place = f"{entry.place:>6}" if entry.place else "  none"
        text = f"{place} of {entry.made:>6}  line {entry.line_rank:>3}  {entry.id:<36} {entry.operator:<40}"
        print(text, entry.template or entry.note, file=sys.stdout, flush=True)
    print(summary(found))


if __name__ == "__main__":
    main()
