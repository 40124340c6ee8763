"""What stood before at a suspicious line is among the first candidates."""

from pathlib import Path

import pytest
from rolecall_search.candidates import Stream
from rolecall_search.evidence.localize import Suspicion
from rolecall_search.program.source import SourceFile
from rolecall_search.templates.base import Hints

from benchmarks.repair.prepare import commit_all, run
from tools.repair.history import earlier_texts

BEFORE = "def f(a):\n    if a is None:\n        return 0\n    b = a * 3\n    return b\n\n\ndef g(a):\n    return a\n"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("    b = a * 3\n", "    b = a * 4 + 1\n", 4),
        ("    if a is None:\n        return 0\n", "", 2),
        ("    return b\n", "", 4),
        ("    return b\n", "    b += 1\n    return b\n", 5),
    ],
    ids=["changed", "lost", "lost at the end", "added"],
)
def test_a_change_is_undone_early(tmp_path: Path, old: str, new: str, line: int) -> None:
    path = tmp_path / "program.py"
    path.write_text(BEFORE.replace(old, new), encoding="utf-8")
    source = SourceFile.load(str(path), "program.py")
    suspicion = Suspicion(scores={str(path): {line: 0.5}}, covering={(str(path), line): {0}})
    stream = Stream({str(path): source}, suspicion, {}, Hints(), {str(path): (BEFORE,)})
    first = [candidate for _, candidate in zip(range(3), stream, strict=False)]
    undone = [candidate for candidate in first if source.apply(candidate.edits) == BEFORE]
    assert undone
    assert undone[0].unit is source.units[0]


async def test_git_tells_what_stood_before(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    for number in range(3):
        (root / "p.py").write_text(f"a = {number}  # ü\n", encoding="utf-8")
        if number:
            who = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
            run(["git", *who, "commit", "-q", "-a", "-m", "Change"], root)
        else:
            commit_all(root)
    assert await earlier_texts(root) == {"p.py": ["a = 2  # ü\n", "a = 1  # ü\n", "a = 0  # ü\n"]}
    assert await earlier_texts(tmp_path) == {}
