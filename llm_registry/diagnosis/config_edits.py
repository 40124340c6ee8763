"""Finds where a value is in a configuration file, and writes the line that would replace it.

Owns places and lines; changes nothing.
"""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml


class ConfigEdit(NamedTuple):
    """A place and what to write there."""

    place: str
    """File and line, or the dotted key when there is no file."""
    line: str
    """As it appears in a JSON file, its comma included where the line it replaces has one."""


@dataclass(frozen=True, slots=True)
class ConfigOrigin:
    """Where settings came from."""

    path: Path | None = None
    """The user's file."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Dotted key to the file, `environment` or `command line`."""
    new: Path | None = None
    """Where a user without a file would create one."""
    sample: bool = False
    """The file ships with the program and is not the user's."""


NOWHERE = ConfigOrigin()


class ConfigFile:
    """The text of the configuration file. Creating an instance reads the file.

    Args:
        origin: Where the settings came from.
    """

    def __init__(self, origin: ConfigOrigin) -> None:
        self._origin = origin
        self._path = origin.path
        self._text = self._path.read_text(encoding="utf-8") if self._path is not None and self._path.is_file() else ""
        self._root = _compose(self._text)

    def edit(self, path: Sequence[str], value: Any) -> ConfigEdit:
        """Where to write a value, and the line to write.

        Args:
            path: The parts of the dotted key.
            value: The JSON value it should have.
        """
        source = self._source(path)
        if source == "environment":
            return _export(path, value)
        if source not in {"", "command line", str(self._path)}:
            return ConfigFile(ConfigOrigin(Path(source))).edit(path, value)
        if self._path is None and self._origin.new is not None and not source:
            nested = value
            for part in reversed(path):
                nested = {part: nested}
            place = f"{self._origin.new}, a new file ({'.'.join(path)})"
            return ConfigEdit(place, json.dumps(nested, ensure_ascii=False))
        return self._in_file(path, value)

    def variable(self, path: Sequence[str]) -> str:
        """The environment variable that the text of a value names as `${NAME}`; empty when it names none."""
        found, rest = _walk(self._root, path)
        text = found[1].value if found is not None and not rest else ""
        named = re.fullmatch(r"\$\{(\w+)\}", text) if isinstance(text, str) else None
        return named[1] if named else ""

    def _source(self, path: Sequence[str]) -> str:
        """The source of the value, or else of the others in its spec."""
        sources, dotted = self._origin.sources, ".".join(path)
        spec = ".".join(path[: 3 if list(path[1:2]) == ["models"] else 2])
        given = (sources[key] for key in sources if key == dotted or key.startswith(f"{dotted}."))
        near = (sources[key] for key in sources if key.startswith(f"{spec}."))
        return next(given, next(near, ""))

    def _in_file(self, path: Sequence[str], value: Any) -> ConfigEdit:
        # The sample is not to be changed: its copy has the same lines.
        file = self._origin.new if self._origin.sample and self._origin.new else self._path
        dotted, written = ".".join(path), f"{json.dumps(path[-1])}: {json.dumps(value, ensure_ascii=False)}"
        found, rest = _walk(self._root, path)
        if self._path is None or found is None:
            return ConfigEdit(dotted, written)
        key, held = found
        first, last = key.start_mark.line, held.end_mark.line
        if rest:
            if last == first:
                return ConfigEdit(f"{file}:{first + 1}, in it ({dotted})", written)
            comma = "," if self._is_json() and held.value else ""
            return ConfigEdit(f"{file}:{first + 1}, below it ({dotted})", written + comma)
        # The end of a block in YAML is where the next thing begins.
        block = held.end_mark.column == 0 and last > first
        lines = f"{first + 1}" if last == first or block else f"{first + 1}-{last + 1}"
        return ConfigEdit(f"{file}:{lines} ({dotted})", written + self._comma(key, held))

    def _is_json(self) -> bool:
        return self._path is not None and self._path.suffix == ".json"

    def _comma(self, key: yaml.Node, held: yaml.Node) -> str:
        """The comma after a pair that has its lines to itself."""
        if not self._is_json():
            return ""
        begins = self._text.rfind("\n", 0, key.start_mark.index) + 1
        alone = not self._text[begins : key.start_mark.index].strip()
        after = self._text[held.end_mark.index :].partition("\n")[0].strip()
        return "," if alone and after == "," else ""


def _export(path: Sequence[str], value: Any) -> ConfigEdit:
    """The same for a value that an environment variable gives, which a file could not change."""
    name = "ROLECALL_" + "__".join(part.upper() for part in path)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return ConfigEdit(f"the environment ({'.'.join(path)})", f"export {name}={shlex.quote(text)}")


def _compose(text: str) -> yaml.Node | None:
    try:
        # Tabs are blanks in JSON, but not in YAML, which else holds all of JSON.
        return yaml.compose(text.replace("\t", " "), Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None


def _walk(node: yaml.Node | None, path: Sequence[str]) -> tuple[tuple[yaml.Node, yaml.Node] | None, Sequence[str]]:
    """The pair of a key, or of its nearest parent plus the missing parts."""
    found: tuple[yaml.Node, yaml.Node] | None = None
    for at, key in enumerate(path):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        match = next((pair for pair in pairs if pair[0].value == key), None)
        if match is None:
            return found, path[at:]
        found, node = match, match[1]
    return found, ()
