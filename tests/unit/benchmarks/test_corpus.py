import ast
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.repair import corpus
from benchmarks.repair.corpus import Bug
from benchmarks.repair.ten import ten

MANIFEST = corpus.load_manifest()
HANDMADE = corpus.load_handmade()
HARD = corpus.load_hard()


def a_bug(**changes: object) -> Bug:
    values = {"id": "x", "kind": "mutated", "program": "p", "path": "a.py", "line": 2, "operator": "o"}
    return Bug.model_validate({**values, "old": "b = 1", "new": "b = 2", **changes})


def test_the_corpus_is_large_and_spread_enough() -> None:
    per_package = Counter(bug.program for bug in MANIFEST.bugs)
    assert len(MANIFEST.bugs) >= 44
    assert len(per_package) >= 10
    assert len(HANDMADE) >= 160
    assert sum(bool(bug.also) for bug in HANDMADE) >= 4
    assert sum(bug.operator.startswith("hang") for bug in HARD) >= 10
    assert sum(not bug.operator.startswith("hang") for bug in HARD) >= 10


def test_ids_name_one_bug_each() -> None:
    ids = Counter(bug.id for bug in (*MANIFEST.bugs, *HANDMADE, *HARD))
    assert [name for name, count in ids.items() if count > 1] == []


def test_the_manifest_holds_single_lines_and_no_other_code() -> None:
    assert [bug.id for bug in MANIFEST.bugs if "\n" in bug.old + bug.new or bug.old == bug.new] == []


def test_every_package_is_pinned_by_hash() -> None:
    assert all(len(package.sha256) == 64 for package in MANIFEST.packages)
    assert {bug.program for bug in MANIFEST.bugs} == {package.name for package in MANIFEST.packages}


@pytest.mark.parametrize("bug", [*HANDMADE, *HARD], ids=lambda bug: bug.id)
def test_a_handmade_bug_goes_in_and_out_again(bug: Bug, tmp_path: Path) -> None:
    sources = {path: (corpus.home(bug) / path).read_text("utf-8") for path in bug.changes()}
    for path, source in sources.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(source, "utf-8")
    bug.write(tmp_path)
    for path, source in sources.items():
        assert ast.dump(ast.parse((tmp_path / path).read_text("utf-8"))) != ast.dump(ast.parse(source))
    assert bug.originals(tmp_path) == sources


def test_two_faults_of_one_file_do_not_move_each_other(tmp_path: Path) -> None:
    bug = a_bug(path="a.py", line=3, old="c = 3", new="c = 0", also=[
        {"path": "a.py", "line": 1, "old": "a = 1\n", "new": ""}, {"path": "b.py", "line": 1, "old": "x", "new": "y"},
    ])  # fmt: skip
    (tmp_path / "a.py").write_text("a = 1\nb = 2\nc = 3\n", "utf-8")
    (tmp_path / "b.py").write_text("x\n", "utf-8")
    bug.write(tmp_path)
    assert (tmp_path / "a.py").read_text("utf-8") == "b = 2\nc = 0\n"
    assert bug.originals(tmp_path) == {"a.py": "a = 1\nb = 2\nc = 3\n", "b.py": "x\n"}


def test_a_bug_is_put_on_its_own_line() -> None:
    assert a_bug().inject("b = 1\nb = 1\nb = 1\n") == "b = 1\nb = 2\nb = 1\n"


def test_a_bug_that_does_not_fit_the_file_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2"):
        a_bug().inject("b = 1\n\nb = 1\n")


def test_a_handmade_snippet_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "p"
    program.mkdir()
    (program / "a.py").write_text("x = 1\nx = 1\n", encoding="utf-8")
    listing = '[{"name": "n", "category": "c", "path": "a.py", "old": "x = 1", "new": "x = 2"}]'
    (program / "bugs.json").write_text(listing, encoding="utf-8")
    with pytest.raises(ValueError, match="not exactly once"):
        corpus.load_handmade(tmp_path)


def test_the_ten_come_from_ten_packages() -> None:
    assert len({bug.program for bug in ten(MANIFEST)}) == 10
    assert ten(MANIFEST) == ten(MANIFEST)
