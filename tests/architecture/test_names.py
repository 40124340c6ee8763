import ast
from collections.abc import Iterable, Iterator

from tests.architecture.sources import WORKER, python_files, tree_of

ALLOWED = {
    "main": "where a program of its own begins: the command line and the processes it starts",
    "build": "the one function of each file in llm_registry/providers",
}
HANDLER = ["options", "invocation"]
"""Arguments of the function behind a command, which is called as the command is and as what it asks for may be."""


def public_names(tree: ast.Module) -> Iterator[str]:
    """Classes, functions and aliases of types at the top of a module; constants and variables of types are none."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [] if [one.arg for one in node.args.args] == HANDLER else [node.name]
        elif isinstance(node, ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [one.id for one in node.targets if isinstance(one, ast.Name) and not one.id.isupper()]
        else:
            continue
        yield from (name for name in names if not name.startswith("_"))


def shared_names(files: Iterable[tuple[str, ast.Module]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path, tree in files:
        for name in public_names(tree):
            found.setdefault(name, []).append(path)
    return {name: paths for name, paths in found.items() if len(paths) > 1}


def test_no_two_public_things_share_a_name() -> None:
    house = [path for path in python_files(product_only=True) if not path.startswith(WORKER)]
    assert shared_names((path, tree_of(path)) for path in house).keys() == ALLOWED.keys()


def test_a_shared_name_is_found() -> None:
    one, other = ast.parse("class Answer: ...\nT = 1\n"), ast.parse("Answer = int | str\nT = 2\ndef _Answer(): ...\n")
    command, verb = ast.parse("def run(options, invocation): ..."), ast.parse("def run(request): ...")
    files = [("core/one.py", one), ("tools/other.py", other), ("rolecall/run.py", command), ("graph/run.py", verb)]
    assert shared_names(files) == {"Answer": ["core/one.py", "tools/other.py"]}
