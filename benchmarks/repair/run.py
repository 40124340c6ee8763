"""One command for the repair benchmark: prepares each bug, asks an engine, judges, prints.

Owns the order of things and the file of results, so that a run can be judged again after reading.
"""

import argparse
import json
import os
import platform
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.repair import corpus, leftovers, prepare
from benchmarks.repair.corpus import Bug, Manifest
from benchmarks.repair.engines import ENGINES, PROJECT, Answer, Order, ask
from benchmarks.repair.judge import Bench, Book, fingerprint, judge, load_verdicts
from benchmarks.repair.table import GOOD, HEAD, Row, line, markdown, ratios
from benchmarks.repair.ten import ten

DOCS = PROJECT / "docs" / "repair-benchmark.md"
SEALED = corpus.HERE / "sealed"
LISTED = 5


def measure(bug: Bug, manifest: Manifest, verdicts: Book, options: argparse.Namespace) -> Row:
    """Prepare one red repository, let the engine work in it, and judge what came."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        root, temporary, mark = Path(scratch) / bug.program, Path(scratch) / "tmp", uuid.uuid4().hex
        temporary.mkdir()
        python, package = prepare.materialise(bug, manifest, options.cache, root, options.corpus)
        env = prepare.environment(python, package.pythonpath)
        before = leftovers.photograph(root)
        marked = {**env, "TMPDIR": str(temporary), leftovers.MARK: mark}
        answer = ask(options.engine, Order(root, python, marked, options.budget))
        found = leftovers.changes(before, leftovers.photograph(root))
        found += leftovers.processes(mark, root) + leftovers.temporaries(temporary)
        return assess(bug, answer, Bench(root, python, env), verdicts, found)


def assess(bug: Bug, answer: Answer, bench: Bench, verdicts: Book, found: Sequence[str]) -> Row:
    """Judge every patch on offer; the row is about the first, the rank about the best."""
    proposals = answer.proposals[:LISTED]
    judged = [judge(bug, proposal.diff, bench, verdicts) for proposal in proposals]
    rank = next((at for at, said in enumerate(judged, 1) if said in GOOD), 0)
    first = proposals[0] if proposals else None
    return Row(
        bug=bug.id,
        kind=bug.kind,
        category=bug.operator,
        judgement=judged[0] if judged else "none",
        rank=rank,
        patches=len(answer.proposals),
        confidence=first.confidence if first else "",
        template=first.template if first else "",
        tried=answer.tried,
        elapsed_s=answer.elapsed_s,
        load=answer.load,
        phases=dict(answer.phases),
        cpu_s=answer.cpu_s,
        validation_s=answer.validation_s,
        status=answer.status,
        note=answer.note,
        leftovers=tuple(found),
        diff=first.diff if first else "",
        others=tuple(proposal.diff for proposal in proposals[1:]),
    )


def again(bug: Bug, old: Row, manifest: Manifest, verdicts: Book, options: argparse.Namespace) -> Row:
    """Judge a recorded answer anew, without asking the engine."""
    diffs = [old.diff, *old.others] if old.diff else []
    if old.judgement not in {"unread", "wrong", "correct"} and not old.others:
        return old
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        root = Path(scratch) / bug.program
        python, package = prepare.materialise(bug, manifest, options.cache, root, options.corpus)
        bench = Bench(root, python, prepare.environment(python, package.pythonpath))
        judged = [judge(bug, diff, bench, verdicts) for diff in diffs]
    rank = next((at for at, said in enumerate(judged, 1) if said in GOOD), 0)
    return old.model_copy(update={"judgement": judged[0], "rank": rank})


def selected(manifest: Manifest, options: argparse.Namespace) -> list[Bug]:
    """Return the bugs the options ask for, mutated ones first."""
    if options.ten:
        return ten(manifest)
    if options.only == "hard":
        bugs = [*corpus.load_hard(options.corpus / "hard")]
    else:
        bugs = [*manifest.bugs, *corpus.load_handmade(options.corpus / "handmade")]
        bugs = [b for b in bugs if options.only in {None, b.kind}]
    return [b for b in bugs if options.filter in b.id]


def measure_all(bugs: Sequence[Bug], options: argparse.Namespace) -> Iterator[Row]:
    """Yield a row per bug in order, as they come."""
    manifest = corpus.load_manifest(options.corpus / "mutated.json")
    verdicts = load_verdicts(options.corpus / "verdicts.json")
    recorded = {row.bug: row for row in load_rows(options.out)}

    def one(bug: Bug) -> Row:
        old = recorded.get(bug.id)
        if options.rejudge and old:
            return again(bug, old, manifest, verdicts, options)
        if options.missing and old:
            return old
        return measure(bug, manifest, verdicts, options)

    with ThreadPoolExecutor(options.jobs) as pool:
        yield from pool.map(one, bugs)


def load_rows(path: Path) -> list[Row]:
    """Read recorded rows; none if there is no file."""
    return [Row.model_validate(row) for row in json.loads(path.read_text("utf-8"))] if path.exists() else []


def save_row(path: Path, row: Row) -> None:
    """Put a row into the file of results in place of an older one of the same bug."""
    rows = {old.bug: old for old in load_rows(path)} | {row.bug: row}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([r.model_dump() for r in rows.values()], indent=1), encoding="utf-8")


def about(options: argparse.Namespace) -> list[str]:
    """Return the page's head: what was measured and how."""
    return [
        (
            f"One-line bugs made by {corpus.load_manifest(options.corpus / 'mutated.json').tool} in PyPI packages with "
            "their own tests, and hand-made ones in small programs, each given "
            f"{options.budget:g} s of wall time on {os.cpu_count()} cores with Python {platform.python_version()}. "
            "`make bench-repair` prints the table of the tuned part anew; `python -m benchmarks.repair.run --missing "
            "--write-docs` writes this page from what is recorded."
        ),
        "",
        f"- Sealed part: {_counted(SEALED)}. People who had not read the engine made it; it was run once, at the end.",
        f"- Tuned part: {_counted(options.corpus)}. The engine was changed while it was being run.",
        "",
        (
            "A mutation was drawn by its place in the code, evenly over all places of a package, and kept if the "
            "package's own tests turn red. The corpus holds names, versions, hashes and the changed line, no package; "
            "`python -m benchmarks.repair.prepare` fetches the rest."
        ),
        "",
        (
            "Seconds are of the wall. *Load* is the machine's load average when the search began; one search "
            "alone brings it to the number of cores, and what is above that was taken by other work."
        ),
        "",
        (
            "*Restored*: the patched program equals the original. *Correct*: it differs from it, passes all tests, "
            "and a reader found it right (`verdicts.json` beside the corpus has the reason). *Wrong*: it passes all "
            "tests and a reader found it wrong. *Right first* counts only the first patch offered; *right one at* says "
            "where the first right one stands in the list."
        ),
    ]


def _counted(folder: Path) -> str:
    manifest, handmade = corpus.load_manifest(folder / "mutated.json"), corpus.load_handmade(folder / "handmade")
    return (
        f"{len(manifest.bugs)} mutations in {len(manifest.packages)} packages (seed {manifest.seed}), {len(handmade)} "
        f"hand-made bugs in {len({bug.program for bug in handmade})} programs"
    )


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure the repair search on the corpus.")
    parser.add_argument("--only", choices=["mutated", "handmade", "hard"])
    parser.add_argument("--corpus", type=Path, default=corpus.HERE, help="folder with mutated.json and handmade/")
    parser.add_argument("--ten", action="store_true", help="the ten bugs for the whole product")
    parser.add_argument("--filter", default="", help="part of a bug's id")
    parser.add_argument("--engine", choices=sorted(ENGINES), default="module")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--budget", type=float, default=60, help="seconds per bug")
    parser.add_argument("--cache", type=Path, default=prepare.CACHE)
    parser.add_argument("--out", type=Path, help="file of results; default in the cache")
    parser.add_argument("--missing", action="store_true", help="keep the recorded rows, run the rest")
    parser.add_argument("--rejudge", action="store_true", help="judge the recorded rows anew")
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args(argv)
    options.out = options.out or options.cache / f"results-{options.engine}.json"
    return options


def main() -> None:
    """Run, print, record."""
    options = parse()
    rows = []
    print(HEAD)
    for row in measure_all(selected(corpus.load_manifest(options.corpus / "mutated.json"), options), options):
        rows.append(row)
        save_row(options.out, row)
        print(line(row), flush=True)
    for row in rows:
        if row.judgement == "unread":
            print(f"\nto read: {row.bug} {fingerprint(row.diff)}\n{row.diff}")
    print("\n" + "\n".join(ratios(rows)))
    print("failures: " + ", ".join(row.bug for row in rows if not row.mended))
    if options.write_docs:
        DOCS.parent.mkdir(exist_ok=True)
        sealed = load_rows(options.cache / "results-sealed.json")
        DOCS.write_text(markdown(rows, sealed, about(options)), encoding="utf-8")


if __name__ == "__main__":
    main()
