"""Finds and reads configuration files, JSON or YAML. Owns where to look for them; their content is checked later.

A target repository never configures the agent silently: its file is read only when it is trusted.
"""

import json
import math
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from core.errors import ConfigError

CONFIG_VARIABLE = "ROLECALL_CONFIG"
ENV_PREFIX = "ROLECALL_"
SEPARATOR = "__"
"""Between the parts of a setting's name in a variable."""
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""How a value names an environment variable."""
_MOST_VALUES = 100_000
PROJECT_NAMES = ("rolecall.json", "rolecall.yaml", "rolecall.yml")
_NAMES = ("config.json", "config.yaml", "config.yml")


def find_config(config: Path | None) -> Path | None:
    """The user's configuration file: the given one, `$ROLECALL_CONFIG`, the user's own, or the one of this checkout.

    An empty `$ROLECALL_CONFIG` means none at all. `None` when there is none.

    Raises:
        ConfigError: The given file, or the one named by the variable, does not exist.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    if config is not None:
        return _existing(config, "--config")
    if named is not None:
        return _existing(Path(named), f"${CONFIG_VARIABLE}") if named else None
    return _first(new_config().parent, _NAMES) or _checkout_config()


def new_config() -> Path:
    """Where a user without a configuration file would create one."""
    return user_config_path("rolecall", appauthor=False) / _NAMES[0]


def user_config() -> Path:
    """The user's own configuration file, existing or not."""
    return _first(new_config().parent, _NAMES) or new_config()


def is_sample(path: Path | None) -> bool:
    """Whether a file is the one of this checkout, which belongs to rolecall's developers, not to its user."""
    return path is not None and path == _checkout_config()


def find_project_config(repo: Path) -> Path | None:
    """The configuration in a repository, `None` when it has none.

    Raises:
        ConfigError: It is a link or not a file: a repository is trusted only with its own content.
    """
    for name in PROJECT_NAMES:
        try:
            found = (repo / name).lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(found.st_mode):
            what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not a file"
            raise ConfigError(f"{repo / name} is {what}, so it is not read", hint="leave out --trust-project")
        return repo / name
    return None


def trust_warnings(path: Path) -> tuple[str, ...]:
    """Who else can change a configuration, and thus who gets the user's keys; one sentence each."""
    try:
        found = path.stat()
    except OSError:
        return ()
    said: list[str] = []
    if found.st_uid not in {os.geteuid(), 0}:
        said.append(f"{path} belongs to another user (uid {found.st_uid}), who can change where your keys are sent")
    if found.st_mode & stat.S_IWOTH:
        said.append(f"{path} is writable by every user of this machine: chmod o-w {path}")
    return tuple(said)


def read_config(path: Path, *, follow: bool = True) -> dict[str, Any]:
    """Read a file.

    Args:
        path: JSON, or YAML by its extension.
        follow: Whether it may be a link, as users keep their own.

    Raises:
        ConfigError: It cannot be read, or has a syntax error; gives line and column.
    """
    try:
        text = _text(path, follow=follow)
        value = _yaml(text, path) if path.suffix in {".yaml", ".yml"} else _json(text, path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise ConfigError(f"{path} is nested too deeply") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path} must contain an object of sections, got {type(value).__name__}")
    return value


def _json(text: str, path: Path) -> Any:
    if not text.strip():
        return {}
    try:
        return parse_strict_json(text)
    except _TwiceError:
        return _yaml(text.replace("\t", " "), path)  # holds all of JSON, and names the place


class _TwiceError(ValueError):
    """One of two values would be silently lost."""


def parse_strict_json(text: str) -> Any:
    """Read JSON without duplicate keys in an object and with only finite numbers.

    Raises:
        ValueError: It is not; the text of the error quotes no value.
    """
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _TwiceError(f"the key {key!r} is duplicated in one object")
        found[key] = value
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a usable number")


def _yaml(text: str, path: Path) -> Any:
    import yaml  # noqa: PLC0415 - most users write JSON, and this takes as long as a whole command

    class Unique(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
            keys: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                    if key.value in keys:
                        raise yaml.constructor.ConstructorError(
                            None, None, f"the key {key.value!r} is duplicated in one object", key.start_mark
                        )
                    keys.add(key.value)
            return super().construct_mapping(node, deep)

    try:
        # A safe loader, which makes plain values only.
        value = yaml.load(text, Loader=Unique)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        raise ConfigError(f"{path}, {place}: {error.problem or 'not valid YAML'}") from error
    if _unfolded(value, {}) > _MOST_VALUES:
        raise ConfigError(f"{path}: its aliases expand to more than {_MOST_VALUES:,} values")
    return value


def _unfolded(value: Any, known: dict[int, float]) -> float:
    """How many values a document has once aliases are expanded; infinitely many if it is self-referencing."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = math.inf
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_unfolded(one, known) for one in inner)
    return known[id(value)]


def _text(path: Path, *, follow: bool) -> str:
    if follow:
        return path.read_text(encoding="utf-8")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, encoding="utf-8") as file:
        return file.read()


def _existing(path: Path, source: str) -> Path:
    absolute = path.expanduser().absolute()
    if not absolute.is_file():
        raise ConfigError(f"{source} names {str(path)!r}, which does not exist")
    return absolute


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _checkout_config() -> Path | None:
    # Found by the place of this file and never by the current directory, which may be anybody's.
    top = Path(__file__).resolve().parents[2]
    return top / "config.json" if (top / "pyproject.toml").is_file() and (top / "config.json").is_file() else None


def merge_settings(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Merge one tree of settings over another; lists and plain values replace, objects are merged."""
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        merged[key] = (
            merge_settings(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


def nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    """A tree of settings with one value; a path of one part at least."""
    for part in reversed(path[1:]):
        value = {part: value}
    return {path[0]: value}


def dotted_leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The plain values of a tree by dotted key."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            found |= dotted_leaves(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
