"""Finds and reads configuration files, JSON or YAML. Owns where they are looked for; their content is checked later.

A target repository never configures the agent silently: its own file is read only when it is trusted.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from platformdirs import user_config_path

from core.errors import ConfigError

CONFIG_VARIABLE = "ROLECALL_CONFIG"
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
    """Where a user who has no configuration file makes one."""
    return user_config_path("rolecall", appauthor=False) / _NAMES[0]


def user_config() -> Path:
    """The user's own configuration file, there or to be made."""
    return _first(new_config().parent, _NAMES) or new_config()


def is_sample(path: Path | None) -> bool:
    """Whether a file is the one of this checkout, which belongs to whoever develops rolecall and not to its user."""
    return path is not None and path == _checkout_config()


def find_project_config(repo: Path) -> Path | None:
    """The configuration a repository carries, `None` when it carries none."""
    return _first(repo, PROJECT_NAMES)


def read_config(path: Path) -> dict[str, Any]:
    """Read a file.

    Raises:
        ConfigError: It cannot be read, or line and column of what is wrong with its syntax.
    """
    try:
        text = path.read_text(encoding="utf-8")
        value = yaml.safe_load(text) if path.suffix in {".yaml", ".yml"} else _json(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}") from error
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{path}, {_mark(error)}: {error.problem or 'not valid YAML'}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path} holds a {type(value).__name__} where an object of sections is wanted")
    return value


def _json(text: str) -> Any:
    if not text.strip():
        return {}
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is given twice in one object")
        found[key] = value
    return found


def _mark(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"


def _existing(path: Path, source: str) -> Path:
    absolute = path.expanduser().absolute()
    if not absolute.is_file():
        raise ConfigError(f"{source} names {str(path)!r}, and there is no such file")
    return absolute


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _checkout_config() -> Path | None:
    # Found by the place of this file and never by the current directory, which may be anybody's.
    top = Path(__file__).resolve().parents[1]
    return top / "config.json" if (top / "pyproject.toml").is_file() and (top / "config.json").is_file() else None


def merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one tree of settings over another; lists and plain values replace, objects are merged."""
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The plain values of a tree by dotted key."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            found |= leaves(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
