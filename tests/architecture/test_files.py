import ast
import re
import tomllib
from collections.abc import Iterable

import pytest

from tests.architecture.sources import HOUSE, ROOMS, functions_of, python_files, tracked, tree_of

LINES_IN_FILE = 400
LINES_IN_FUNCTION = 60
JUNK_DRAWERS = {"utils", "util", "helpers", "helper", "misc", "common"}
SHADOWS = {"mcp", "code", "types", "src", "langgraph"}
"""Packages of others that a folder of this name would hide."""
NOBODY = ("you", "user", "ada", "adam", "bob")
"""People of examples."""
MACHINE_PATH = re.compile(rf"(?<![\w.])/(?:(?:work|root|Users)/\w|home/(?!(?:{'|'.join(NOBODY)})\b)\w)[\w.-]*")
INDEX_HOST = re.compile(r"-index-url[ =]+\S+|--find-links[ =]+\S+|--trusted-host[ =]+\S+|/simple/|pythonhosted\.")
"""pip-compile's switches against them begin with `--no-emit`."""


def text_of(path: str) -> str:
    return (HOUSE / path).read_bytes().decode("utf-8", errors="replace")


def test_the_rules_look_at_something() -> None:
    assert {path.split("/")[0] for path in python_files()} >= {*ROOMS, "tests", "benchmarks"}


def test_files_are_short_enough_to_read() -> None:
    lines = {path: len(text_of(path).splitlines()) for path in python_files()}
    assert not {path: count for path, count in lines.items() if count > LINES_IN_FILE}


def test_functions_are_short_enough_to_read() -> None:
    lengths = {
        f"{path}: {function.name}": (function.end_lineno or 0) - function.lineno + 1
        for path in python_files()
        for function in functions_of(path)
    }
    assert not {name: length for name, length in lengths.items() if length > LINES_IN_FUNCTION}


def test_nothing_is_named_after_nothing() -> None:
    named = {part.removesuffix(".py"): path for path in python_files() for part in path.split("/")}
    assert not {named[name] for name in named.keys() & JUNK_DRAWERS}


def test_no_folder_hides_a_package_of_others() -> None:
    assert not {path.split("/")[0] for path in tracked() if "/" in path} & SHADOWS


def test_an_init_holds_a_docstring_only() -> None:
    inits = [path for path in python_files(product_only=True) if path.endswith("__init__.py")]
    assert len(inits) >= len(ROOMS)
    more = [path for path in inits if len(tree_of(path).body) != 1 or not isinstance(tree_of(path).body[0], ast.Expr)]
    assert not more


def test_every_module_says_what_it_owns() -> None:
    assert not [path for path in python_files(product_only=True) if not ast.get_docstring(tree_of(path))]


def futures_in(paths: Iterable[str]) -> list[str]:
    return [
        path
        for path in paths
        for node in tree_of(path).body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]


def test_annotations_are_real_where_the_graph_reads_them() -> None:
    """As strings they widen a node's input to the whole state and hide what a tool is injected with."""
    rooms = ("nodes/", "graph/", "tools/", "core/")
    product = [path for path in python_files(product_only=True) if path.startswith(rooms)]
    assert not [path for path in futures_in(product) if not path.startswith("tools/repair/worker/")]


@pytest.mark.parametrize("forbidden", [MACHINE_PATH, INDEX_HOST], ids=["machine paths", "index hosts"])
def test_nothing_tells_of_the_machine_it_was_made_on(forbidden: re.Pattern[str]) -> None:
    switches = re.compile(r"--no-emit-\S+")
    own = "tests/architecture/test_files.py"
    found = {
        f"{path}: {match[0]}"
        for path in tracked()
        if path != own and (match := forbidden.search(switches.sub("", text_of(path))))
    }
    assert not found


def test_what_tells_of_a_machine_is_known_when_seen() -> None:
    assert MACHINE_PATH.search("in /work/somewhere")
    assert MACHINE_PATH.search('"/home/grace/x"')
    assert not MACHINE_PATH.search("repo/work/somewhere, /home/you/models")
    assert INDEX_HOST.search("--index-url https://example.org")
    assert INDEX_HOST.search("https://example.org" + "/simple/six")


LOCKS = ("requirements.lock", "tests/servers/litellm.lock")


def lock_lines(lock: str) -> list[str]:
    lines = text_of(lock).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_hashed_and_names_no_place(lock: str) -> None:
    assert "://" not in text_of(lock)
    assert len(lock_lines(lock)) > 50
    assert not [line for line in lock_lines(lock) if not re.match(r"[\w.-]+==\S+.* --hash=sha256:[0-9a-f]{64}", line)]


def test_the_lock_pins_whatever_the_project_asks_for() -> None:
    table = tomllib.loads(text_of("pyproject.toml"))
    asked = [*table["build-system"]["requires"], *table["project"]["dependencies"]]
    for extra in table["project"]["optional-dependencies"].values():
        asked += extra
    names = {re.split(r"[\[<>=!~ ]", wish, maxsplit=1)[0].lower().replace("_", "-") for wish in asked}
    assert names - {line.split("==")[0] for line in lock_lines("requirements.lock")} == set()
