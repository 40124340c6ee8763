"""Some kinds of damage to a real thread, met by the real command line; `make damage` does all of them."""

import subprocess
import sys
from pathlib import Path

from benchmarks.damage.kinds import KINDS
from core.errors import Exit

HERE = (
    "last checkpoint is noise",
    "full under the worktree",
    "deleted: branch",
)


def test_the_table_has_every_kind_and_none_is_an_internal_error() -> None:
    groups = {kind.group for kind in KINDS}
    assert groups == {"files", "rows", "blobs", "locks", "disk", "permissions", "deleted", "clock"}
    assert len({kind.title for kind in KINDS}) == len(KINDS) >= 25
    assert Exit.INTERNAL not in {kind.code for kind in KINDS}


def test_damage_is_answered_with_one_sentence_and_loses_nothing() -> None:
    chosen = [word for name in HERE for word in ("--only", name)]
    command = [sys.executable, "-m", "benchmarks.damage", *chosen]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(HERE)} kinds of damage" in done.stdout
