"""`rolecall repair` and `rolecall run` on the same faults: they agree, and what they claim a fresh pytest confirms.

Owns the comparison. A fault on which they differ ends the command with 1.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.repair import corpus, prepare
from benchmarks.repair.corpus import Bug, Manifest
from benchmarks.repair.engines import Answer, Order, ask
from benchmarks.repair.verify import tests_failing

FAULTS = (
    "boltons:dictutils:350:AddNot", "semver:version:447:ReplaceComparisonOperator", "isodate:isostrf:69:NumberReplacer",
    "cronspec:names-case", "cronspec:due-and-quote", "gridworld:copy-is-view", "invoice:shared-tags",
    "logscan:stamp-slice", "newsfeed:await-lost", "querylang:texts-by-case", "stockroom:tag-default",
    "shell:loop", "trees:base-case", "native:exit", "wire:fixture",
)  # fmt: skip
"""Of every kind: injected, lost, exchanged, two at once, at module level, unmended, hanging, crashing, recursing."""


def compare(bug: Bug, manifest: Manifest, options: argparse.Namespace) -> tuple[Answer, Answer, list[str]]:
    """Let both work on one red repository; returns their answers and how they differ."""
    with tempfile.TemporaryDirectory(prefix="agree-") as scratch:
        root = Path(scratch) / bug.program
        python, package = prepare.materialise(bug, manifest, options.cache, root, options.corpus)
        order = Order(root, python, prepare.environment(python, package.pythonpath), options.budget)
        searched, done = ask("repair", order), ask("run", order)
        branch = subprocess.run(
            ["git", "for-each-ref", "--format=%(refname)", "refs/heads/rolecall"],
            cwd=root, text=True, capture_output=True, check=True,
        ).stdout.split()  # fmt: skip
        tree = Path(scratch) / "branch" / bug.program
        subprocess.run(["git", "worktree", "add", "-q", "--detach", tree, *branch[:1]], cwd=root, check=True)
        red = tests_failing(tree, python, package.pythonpath)
    return searched, done, list(differences(searched, done, red))


def differences(searched: Answer, done: Answer, red: tuple[str, ...]) -> Iterator[str]:
    """How the answers of `repair` and `run` differ from each other, and from the tests red on the run's branch."""
    passes = searched.status in {"plausible", "nothing_fails"}
    if passes != (done.status == "done"):
        yield f"verdict: repair says {searched.status}, run says {done.status}"
    if passes != (not red):
        yield f"claim: repair says {searched.status}, red on the branch: {', '.join(red) or 'nothing'}"
    first = searched.proposals[0] if searched.proposals else None
    patch = done.proposals[0].diff if done.proposals else ""
    if changed(first.diff if first else "") != changed(patch):
        yield f"patch: repair offers\n{first.diff if first else 'none'}\nrun made\n{patch or 'none'}"
    if first is None:
        return
    if first.claim not in done.report:
        yield f"claim: repair says {first.claim!r}, the report of the run does not"
    if not passes and set(red) != set(first.still_failing):
        yield f"claim: {', '.join(first.still_failing)} still fail, red on the branch: {', '.join(red)}"


def changed(diff: str) -> list[str]:
    """The lines a diff takes and gives, and the files."""
    return [line.rstrip() for line in diff.splitlines() if line.startswith(("+", "-"))]


def main() -> None:
    """Compare on each fault and print a line for it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--bug", action="append", help="id of a fault instead of the usual ones; may be given again")
    parser.add_argument("--corpus", type=Path, default=corpus.HERE, help="folder with mutated.json and handmade/")
    parser.add_argument("--cache", type=Path, default=prepare.CACHE)
    parser.add_argument(
        "--budget", type=float, default=60, help="seconds per search; a run takes those of the configuration, 60"
    )
    options = parser.parse_args()
    manifest = corpus.load_manifest(options.corpus / "mutated.json")
    folder = options.corpus
    bugs = {bug.id: bug for bug in (
        *manifest.bugs, *corpus.load_handmade(folder / "handmade"), *corpus.load_hard(folder / "hard"),
    )}  # fmt: skip
    wrong = 0
    for name in options.bug or FAULTS:
        searched, done, differing = compare(bugs[name], manifest, options)
        wrong += bool(differing)
        seconds = f"{searched.elapsed_s:6.1f} s {done.elapsed_s:6.1f} s  load {searched.load:.1f}"
        print(f"{name:<46} {searched.status:<14} {done.status:<8} {seconds}  {'DIFFERS' if differing else 'agree'}")
        print("".join(f"  {line}\n" for line in differing), end="", flush=True)
    if wrong:
        raise SystemExit(f"{wrong} differ")


if __name__ == "__main__":
    main()
