import ast
import tomllib
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from tests.architecture.sources import HOUSE, WORKER, python_files, tree_of

MODULES_IN_FOLDER = 14
"""More than this nobody takes in at a glance."""


def name_of(path: str) -> str:
    return path.removeprefix(WORKER).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {name_of(path): path for path in python_files(product_only=True)}


def imported_by(module: str) -> Iterator[str]:
    """Modules of ours that a module imports, wherever that stands: also in a function, also for types only."""
    for node in ast.walk(tree_of(MODULES[module])):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def between_neighbours(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Imports as arrows between the two entries of one folder in which their ends lie, be these modules or folders."""
    arrows: dict[str, set[str]] = {}
    for module, others in imports.items():
        for other in others:
            here, there = module.split("."), other.split(".")
            shared = next((at for at, (one, two) in enumerate(zip(here, there, strict=False)) if one != two), None)
            if shared is not None:
                arrows.setdefault(".".join(here[: shared + 1]), set()).add(".".join(there[: shared + 1]))
    return arrows


def circle_in(imports: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(between_neighbours(imports)).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


def folders_with_rooms() -> set[str]:
    """Packages of the house that hold packages."""
    inner = [path.split("/") for path in python_files(product_only=True) if not path.startswith(WORKER)]
    return {".".join(parts[:-2]) for parts in inner if parts[-1] == "__init__.py" and len(parts) > 2}


def test_no_folder_is_crowded() -> None:
    held: dict[str, int] = {}
    for path in MODULES.values():
        folder, _, name = path.rpartition("/")
        held[folder] = held.get(folder, 0) + (name != "__init__.py")
    assert not {folder: count for folder, count in held.items() if count > MODULES_IN_FOLDER}


def test_imports_make_no_circle_between_modules_or_folders() -> None:
    assert not circle_in({module: set(imported_by(module)) for module in MODULES})


def test_a_circle_would_be_seen() -> None:
    assert circle_in({"a.x": {"a.y.z"}, "a.y.w": {"a.x"}})
    assert not circle_in({"a.x": {"a.y.z"}, "a.y.w": {"a.y.z"}})
    assert "rolecall.service.runs" in set(imported_by("rolecall.commands.run")), "a function's import counts"
    assert "core.config.settings" in set(imported_by("rolecall.service.setup")), "an import for types counts"


def test_every_package_with_rooms_has_its_staircase() -> None:
    table = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = [each for each in table["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    whole = {name for each in contracts if each.get("exhaustive") for name in each.get("containers", ())}
    assert folders_with_rooms() - whole == set()
