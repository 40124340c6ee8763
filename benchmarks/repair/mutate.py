"""Makes `mutated.json`: picks cosmic-ray mutations by a seed and keeps those that the tests see.

Needs cosmic-ray beside this repository's own requirements (`pip install cosmic-ray`), which is why
nothing else imports this module. A mutation is drawn by its place in the code, evenly over all
places of a package's modules, so frequent constructs give frequent bugs.
"""

import argparse
import ast
import importlib.metadata
import random
import re
import shutil
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from cosmic_ray.ast import Visitor, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from benchmarks.repair import corpus, prepare
from benchmarks.repair.corpus import Bug, Manifest, Package

SEED = 20261121
PER_PACKAGE = 3
PER_FAMILY = 2
NEEDS_ARGUMENTS = {"core/VariableInserter", "core/VariableReplacer"}


class _Places(Visitor):
    """Collects where an operator would change something."""

    def __init__(self, operator: object) -> None:
        self.operator = operator
        self.found: list[tuple[int, int]] = []

    def visit(self, node: object) -> object:
        self.found.extend(start for start, _ in self.operator.mutation_positions(node))
        return node


def places(source: str) -> dict[tuple[int, int], list[tuple[str, int]]]:
    """Map each place in a module to the (operator, occurrence) pairs that apply there."""
    tree = get_ast(source)
    found: dict[tuple[int, int], list[tuple[str, int]]] = defaultdict(list)
    for name in sorted(set(operator_names()) - NEEDS_ARGUMENTS):
        visitor = _Places(get_operator(name)())
        visitor.walk(tree)
        for occurrence, start in enumerate(visitor.found):
            found[start].append((name, occurrence))
    return found


def one_line(source: str, mutated: str) -> tuple[int, str, str] | None:
    """Return (line, old, new) if exactly one line differs and the programs are different."""
    before, after = source.split("\n"), mutated.split("\n")
    if len(before) != len(after):
        return None
    changed = [i for i, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
    if len(changed) != 1:
        return None
    try:
        same = ast.dump(ast.parse(source)) == ast.dump(ast.parse(mutated))
    except SyntaxError:
        return None
    at = changed[0]
    return None if same else (at + 1, before[at], after[at])


def family(operator: str) -> str:
    """Return the operator's kind: all variants of one replacement are one kind."""
    return operator.removeprefix("core/").split("_")[0]


def draw(package: Package, tree: Path, rng: random.Random) -> Iterator[Bug]:
    """Yield one-line mutations of a package in random order, without end of the list repeated."""
    paths = sorted({p for pattern in package.sources for p in tree.glob(pattern)})
    texts = {p: p.read_bytes().decode("utf-8") for p in paths}
    spots = [(p, start, ops) for p in paths for start, ops in sorted(places(texts[p]).items())]
    rng.shuffle(spots)
    for path, _, operators in spots:
        name, occurrence = rng.choice(operators)
        mutated = mutate_code(texts[path], get_operator(name)(), occurrence)
        change = mutated and one_line(texts[path], mutated)
        if change:
            line, old, new = change
            relative = path.relative_to(tree).as_posix()
            identity = f"{package.name}:{path.stem}:{line}:{family(name)}"
            yield Bug(id=identity, kind="mutated", program=package.name, path=relative, line=line,
                      operator=name, old=old, new=new)  # fmt: skip


def failing(root: Path, python: Path, package: Package, limit_s: float) -> tuple[str, ...] | None:
    """Run all tests; return the failing ones, or None if they did not end in time."""
    env = {**prepare.environment(python, package.pythonpath), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [str(python), "-m", "pytest", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(argv, cwd=root, env=env, text=True, capture_output=True,
                              timeout=limit_s, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    named = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return tuple(dict.fromkeys(named)) or (("(collection)",) if done.returncode else ())


def choose(package: Package, cache: Path, rng: random.Random) -> Iterator[Bug]:
    """Yield the chosen bugs of one package.

    Raises:
        RuntimeError: its own tests are red before anything was changed.
    """
    tree, python = prepare.fetch(package, cache), prepare.interpreter(package.requires, cache)
    taken: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "work"
        shutil.copytree(tree, root)
        if failing(root, python, package, 120):
            raise RuntimeError(f"{package.name} is red as it came")
        for bug in draw(package, tree, rng):
            if taken[family(bug.operator)] >= PER_FAMILY:
                continue
            target = root / bug.path
            original = target.read_bytes()
            target.write_bytes(bug.inject(original.decode("utf-8")).encode("utf-8"))
            red = failing(root, python, package, 45)
            target.write_bytes(original)
            if red or (red is None and not taken["hangs"]):
                taken[family(bug.operator)] += 1
                taken["hangs"] += red is None
                yield bug.model_copy(update={"failing": (red or ("(hangs)",))[:5]})


def main() -> None:
    """Choose the bugs of the packages named in a manifest and write them into it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cache", type=Path, default=prepare.CACHE)
    parser.add_argument("--corpus", type=Path, default=corpus.HERE, help="folder with mutated.json")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--per-package", type=int, default=PER_PACKAGE)
    options = parser.parse_args()
    target = options.corpus / "mutated.json"
    manifest = corpus.load_manifest(target)
    bugs: list[Bug] = []
    for package in manifest.packages:
        rng = random.Random(f"{options.seed}:{package.name}")
        for bug in choose(package, options.cache, rng):
            bugs.append(bug)
            print(f"{bug.id}\n  - {bug.old}\n  + {bug.new}\n  {len(bug.failing)}", flush=True)
            if len([b for b in bugs if b.program == package.name]) == options.per_package:
                break
    tool = f"cosmic-ray {importlib.metadata.version('cosmic-ray')}"
    chosen = Manifest(tool=tool, seed=options.seed, packages=manifest.packages, bugs=tuple(bugs))
    target.write_text(chosen.model_dump_json(indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
