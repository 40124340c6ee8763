"""Diffs apply with git, and exact edits fit an edit tool."""

import subprocess
from pathlib import Path

import pytest

from tools.repair.patches import apply_spans, exact_edit, unified_diff

REPEATED = "def f():\n    x = 1\n    return x\n\n\ndef g():\n    x = 1\n    return x\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (REPEATED, REPEATED.replace("    return x\n\n", "    return x + 1\n\n")),
        ("a = 1\nb = 2", "a = 1\nb = 3"),
        ("a = 1\r\nb = 2\r\n", "a = 1\r\nb = 3\r\n"),
        ("a = 1\nb = 2\n", "a = 1\n"),
        ("a = 1\n", "a = 1\nb = 2\n"),
    ],
    ids=["repeated lines", "no last newline", "crlf", "deletion", "insertion"],
)
def test_diff_and_edit_make_the_new_text(tmp_path: Path, before: str, after: str) -> None:
    file = tmp_path / "m.py"
    file.write_bytes(before.encode())
    diff = unified_diff("m.py", before, after)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=diff.encode(), check=True)
    edit = exact_edit("m.py", before, after)
    assert before.count(edit.old) == 1
    assert before.replace(edit.old, edit.new) == after
    assert file.read_bytes().decode() == after


def test_spans_are_applied_from_the_original_offsets() -> None:
    assert apply_spans("abcdef", [(4, 5, "XX"), (0, 1, "")]) == "bcdXXf"
