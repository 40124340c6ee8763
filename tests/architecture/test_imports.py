import json
import subprocess
import sys

import pytest

from tests.unit.rolecall.command_line import HOUSE

HEAVY = ("langchain", "langchain_core", "langgraph", "langsmith", "pydantic", "rich", "httpx", "asyncio")

LOADED_AFTER = """
import contextlib, io, json, sys
sys.argv = ["rolecall", *sys.argv[1:]]
from rolecall.__main__ import main
with contextlib.redirect_stdout(io.StringIO()):
    assert main() == 0
print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["--version"]], ids=" ".join)
def test_help_and_version_import_nothing_heavy(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED_AFTER, *words], cwd=HOUSE, capture_output=True, text=True, check=True
    )

    loaded = set(json.loads(done.stdout))
    assert "rolecall.cli" in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("module", ["threads", "steering", "work", "runs", "setup"])
def test_the_service_knows_no_terminal_and_loads_no_graph_before_a_verb_is_called(module: str) -> None:
    """What of ours it may import is kept by import-linter."""
    heavy = ("langchain", "langgraph", "graph.", "nodes.", "tools.", "llm_registry.", "argparse", "rich", "termios")
    probe = f"import sys, rolecall.service.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], cwd=HOUSE, capture_output=True, text=True, check=True)
    assert not [name for name in done.stdout.split() if f"{name}.".startswith(heavy)]
