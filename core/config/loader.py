"""Loads the settings: command line over environment over files over defaults.

Owns the order of sources and records which of them set each value. Names and values are checked in
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
    nested,
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
        repo: The target repository; its own `rolecall.json` overrides the user's file when it is trusted.
        trust_project: Whether it is.
        overrides: Values of the command line, as a tree.

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
    layers.append(("command line", in_own_spelling(overrides or {})))
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, layer in layers:
        merged = merge_settings(merged, layer)
        sources |= dict.fromkeys(dotted_leaves(layer), source)
    settings, left_out = validate_settings(merged, sources)
    return LoadedSettings(settings, path, sources, (*(trust_warnings(path) if path else ()), *left_out))


def _from_environment() -> dict[str, Any]:
    """The values that variables give: those for a part of a section lie over the one for all of it."""
    known = [name for name in Settings.model_fields if name != "schema_"]
    tree: dict[str, Any] = {}
    named = [name for name in os.environ if name.upper().startswith(ENV_PREFIX)]
    for variable in sorted(named, key=lambda name: name.count(SEPARATOR)):
        section, *keys = variable[len(ENV_PREFIX) :].lower().split(SEPARATOR)
        if section in known:
            tree = merge_settings(tree, nested((section, *keys), _parsed(variable)))
        elif keys:
            raise ConfigError(f"environment variable {variable}: no section {section!r}{did_you_mean(section, known)}")
    return tree


def _parsed(variable: str) -> Any:
    """Read lists and objects, which are given as JSON."""
    value = os.environ[variable]
    if value.lstrip()[:1] not in {"[", "{"}:
        return value
    try:
        return parse_strict_json(value)
    except json.JSONDecodeError:
        return value  # a name may begin so; `validation` says it where an object was meant
    except ValueError as error:
        raise ConfigError(f"environment variable {variable}: {error}") from error
