import re
from pathlib import Path

import pytest

from core.config.loader import load_settings
from core.errors import Exit
from rolecall.cli import COMMANDS
from tests.architecture.sources import HOUSE, tracked

DOCUMENTS = [path for path in tracked("*.md") if not path.startswith("tests/golden/")]
LINK = re.compile(r"\[[^\]]+\]\((?P<target>[^)\s]+)\)")
PATH = re.compile(
    r"`(?P<path>(?:rolecall|graph|nodes|tools|llm_registry|core|tests|notebooks|examples|docs)/[\w./-]+)`"
)
CALLED = re.compile(r"(?:`|bin/|^\$ )rolecall (?P<command>[a-z]+)\b", re.MULTILINE)
MADE = re.compile(r"(?:`|^|^\$ )make (?P<target>[a-z-]+)", re.MULTILINE)


def text_of(path: str) -> str:
    return (HOUSE / path).read_text(encoding="utf-8")


def anchors_of(path: str) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", text_of(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_what_a_document_points_at_is_there(path: str) -> None:
    broken = []
    for found in LINK.finditer(text_of(path)):
        target, _, anchor = found["target"].partition("#")
        if "://" in target:
            continue
        file = (HOUSE / path).parent / target if target else HOUSE / path
        if not file.exists() or (anchor and anchor not in anchors_of(file.resolve().relative_to(HOUSE).as_posix())):
            broken.append(found["target"])
    assert not broken


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_files_a_document_names_are_there(path: str) -> None:
    assert not [found["path"] for found in PATH.finditer(text_of(path)) if not (HOUSE / found["path"]).exists()]


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_commands_a_document_names_exist(path: str) -> None:
    assert {found["command"] for found in CALLED.finditer(text_of(path))} <= COMMANDS.keys()
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    assert {found["target"] for found in MADE.finditer(text_of(path))} <= targets


def test_the_readme_names_every_command_and_exit_code() -> None:
    readme = text_of("README.md")
    assert {name for name in COMMANDS if not re.search(rf"^\| `{name}\b", readme, re.MULTILINE)} == set()
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", readme, re.MULTILINE)}
    assert listed == {int(code) for code in Exit}


def configurations() -> dict[str, str]:
    """Whole configurations somebody may copy: files, and blocks of the documents that begin with `llm`."""
    files = {path: text_of(path) for path in ["config.json", *tracked("examples/configs/*.json")]}
    for path in DOCUMENTS:
        for at, block in enumerate(re.findall(r"```json\n(\{\s*\"llm\".*?)```", text_of(path), re.DOTALL)):
            files[f"{path} block {at + 1}"] = block
    return files


@pytest.mark.parametrize("name", configurations())
def test_a_configuration_to_copy_is_valid(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    file = tmp_path / "config.json"
    file.write_text(configurations()[name], encoding="utf-8")
    loaded = load_settings(file)
    assert loaded.settings.llm.model_extra
