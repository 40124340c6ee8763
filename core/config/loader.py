"""Loads the settings: command line over environment over files over defaults.

Owns the order of sources and remembers which of them gave each value. Names and values are checked in
`validation`.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config.compatibility import in_own_spelling
from core.config.files import (
    ENV_PREFIX,
    SEPARATOR,
    dotted_leaves,
    find_config,
    find_project_config,
    merge_settings,
    parse_strict_json,
    read_config,
    trust_warnings,
)
from core.config.settings import Settings
from core.config.validation import validate_settings
from core.errors import ConfigError
from core.suggest import did_you_mean


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Valid settings and where they come from."""

    settings: Settings
    path: Path | None
    """The user's configuration file, `None` when there is none."""
    sources: Mapping[str, str]
    """Dotted key to source, for every value that is not a default. Contains no values."""
    warnings: tuple[str, ...] = ()
    """Notes for the user about where they come from, one sentence each."""


def load_settings(
    config: Path | None = None,
    *,
    repo: Path | None = None,
    trust_project: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> LoadedSettings:
    """Load the settings.

    Args:
        config: The file given on the command line.
        repo: The target repository; its own `rolecall.json` lies over the user's file when it is trusted.
        trust_project: Whether it is.
        overrides: Values of the command line, as a tree or with dotted keys.

    Raises:
        ConfigError: Anything is invalid; the text names file, key and near matches.
    """
    path = find_config(config)
    layers: list[tuple[str, dict[str, Any]]] = []
    if path is not None:
        layers.append((str(path), in_own_spelling(read_config(path))))
    project = find_project_config(repo) if repo is not None and trust_project else None
    if project is not None:
        layers.append((str(project), in_own_spelling(read_config(project, follow=False))))
    layers.append(("environment", in_own_spelling(_from_environment())))
    layers.append(("command line", in_own_spelling(_tree(overrides or {}))))
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, layer in layers:
        merged = merge_settings(merged, layer)
        sources |= dict.fromkeys(dotted_leaves(layer), source)
    settings, left_out = validate_settings(merged, sources)
    return LoadedSettings(settings, path, sources, (*(trust_warnings(path) if path else ()), *left_out))


def _from_environment() -> dict[str, Any]:
    known = [name for name in Settings.model_fields if name != "schema_"]
    for variable in os.environ:
        section = variable.removeprefix(ENV_PREFIX).split(SEPARATOR)[0].lower()
        if variable.startswith(ENV_PREFIX) and SEPARATOR in variable and section not in known:
            raise ConfigError(f"environment variable {variable}: no section {section!r}{did_you_mean(section, known)}")
    if not any(_section(variable) in known for variable in os.environ):
        return {}
    from core.config.environment import read_sections  # noqa: PLC0415 - few set a variable, and this takes long

    try:
        given = read_sections()
    except ValueError as error:
        why = f": {error.__cause__}" if error.__cause__ else ""
        raise ConfigError(f"environment: {error}{why}", hint="give objects and lists as JSON") from error
    return _with_parts({key: _parsed(value) for key, value in given.items()})


def _section(variable: str) -> str:
    name = variable.lower()
    prefix = ENV_PREFIX.lower()
    return name.removeprefix(prefix).split(SEPARATOR)[0] if name.startswith(prefix) else ""


def _with_parts(given: dict[str, Any]) -> dict[str, Any]:
    """Merge variables for part of a role over the one for the whole role, which would otherwise hide them."""
    beginning = f"{ENV_PREFIX}LLM{SEPARATOR}"
    named = [name for name in os.environ if name.startswith(beginning)]
    for variable in sorted(named, key=lambda name: name.count(SEPARATOR)):
        inner: Any = _parsed(os.environ[variable])
        for part in reversed(variable.removeprefix(ENV_PREFIX).lower().split(SEPARATOR)):
            inner = {part: inner}
        given = merge_settings(given, inner)
    return given


def _parsed(value: Any) -> Any:
    """Read lists and objects given as JSON below keys that the sections do not fix, such as roles."""
    if isinstance(value, Mapping):
        return {key: _parsed(inner) for key, inner in value.items()}
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            return parse_strict_json(value)
        except json.JSONDecodeError:
            return value  # a name may begin so; `validation` says it where an object was meant
        except ValueError as error:
            raise ConfigError(f"environment: {error}") from error
    return value


def _tree(overrides: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in overrides.items():
        inner: Any = _tree(value) if isinstance(value, Mapping) else value
        for part in reversed(key.split(".")):
            inner = {part: inner}
        tree = merge_settings(tree, inner)
    return tree
