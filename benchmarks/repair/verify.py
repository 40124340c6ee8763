"""Checks our own programs of a corpus: green as they stand, red with each bug in them.

Owns the runs that show it and the tests recorded as failing. A bug that leaves its program green, in
part or as a whole, or a program that is red by itself, ends the command with 1.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.repair import corpus, prepare
from benchmarks.repair.corpus import Bug, Change

LIMIT_S = 20.0
NAMED = 5
_LINE = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


def tests_failing(root: Path, python: Path, pythonpath: str) -> tuple[str, ...]:
    """Run `python -m pytest -q` in a fresh process and return what fails; empty if all is green.

    A run that does not end is `(hangs)`, one that ends without naming a test is `(crashes)`.
    """
    env = {**prepare.environment(python, pythonpath), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [str(python), "-m", "pytest", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider"]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            argv,
            cwd=root,
            env=env,
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            return ("(hangs)",)
        finally:
            _end_group(process)
        said.seek(0)
        named = tuple(dict.fromkeys(_LINE.findall(said.read())))
    return named if code == 1 and named else (*named, "(crashes)") if code else ()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.communicate()


def failing_with(bug: Bug | None, home: Path, python: Path) -> tuple[str, ...]:
    """Return the tests that fail in a copy of the program with the bug in it, or as it stands."""
    with tempfile.TemporaryDirectory(prefix="verify-") as scratch:
        root = Path(scratch) / home.name
        shutil.copytree(home, root, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
        if bug:
            bug.write(root)
        return tests_failing(root, python, "")


def alone(bug: Bug) -> list[Bug]:
    """Return each fault of a bug with several as a bug by itself."""
    faults = [bug, *bug.also]
    return [
        bug.model_copy(
            update={**fault.model_dump(include=set(Change.model_fields)), "also": (), "id": f"{bug.id} #{at}"}
        )
        for at, fault in enumerate(faults, 1)
    ]


def record(listing: Path, seen: dict[str, tuple[str, ...]]) -> None:
    """Write the failing tests into a `bugs.json`; the first ones where there are many."""
    entries = json.loads(listing.read_text(encoding="utf-8"))
    for entry in entries:
        entry["failing"] = list(seen[f"{listing.parent.name}:{entry['name']}"][:NAMED])
    listing.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run each program as it stands and with each of its bugs."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cache", type=Path, default=prepare.CACHE)
    parser.add_argument("--corpus", type=Path, default=corpus.HERE, help="folder with handmade/ and hard/")
    parser.add_argument("--program", action="append", help="only this one; may be given again")
    parser.add_argument("--record", action="store_true", help="write the failing tests into bugs.json")
    options = parser.parse_args()
    python = prepare.interpreter((), options.cache)
    folder: Path = options.corpus
    bugs = [*corpus.load_handmade(folder / "handmade"), *corpus.load_hard(folder / "hard")]
    bugs = [bug for bug in bugs if not options.program or bug.program in options.program]
    homes = sorted({corpus.home(bug, folder) for bug in bugs})
    with ThreadPoolExecutor(2) as pool:
        before = list(pool.map(lambda home: failing_with(None, home, python), homes))
        after = list(pool.map(lambda bug: failing_with(bug, corpus.home(bug, folder), python), bugs))
        parts = [part for bug in bugs if bug.also for part in alone(bug)]
        apart = list(pool.map(lambda part: failing_with(part, corpus.home(part, folder), python), parts))
    seen = {bug.id: tests for bug, tests in zip(bugs, after, strict=True)}
    for bug in bugs:
        tests = seen[bug.id]
        print(f"{bug.id:<44} {bug.operator:<34} {len(tests):>4}  {tests[0] if tests else 'GREEN'}")
    wrong = [f"{home.name} is red: {tests}" for home, tests in zip(homes, before, strict=True) if tests]
    wrong += [f"{name} leaves everything green" for name, tests in seen.items() if not tests]
    wrong += [f"{part.id} is green" for part, tests in zip(parts, apart, strict=True) if not tests]
    if options.record and not wrong:
        for home in homes:
            record(home / "bugs.json", seen)
    print(f"{len(bugs)} bugs in {len(homes)} programs", dict(Counter(bug.kind for bug in bugs)))
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
