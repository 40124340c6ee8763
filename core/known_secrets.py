"""The secrets this process knows: keys, headers and addresses in the settings, and what the environment has under
names that mean a secret. They are gathered once per run and hidden wherever content is stored or sent."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from core.config.files import (
    ENV_PREFIX,
    SEPARATOR,
    VARIABLE,
    find_config,
    find_project_config,
    nested,
    parse_strict_json,
    read_config,
)
from core.errors import ConfigError
from core.redaction import Redactor, map_texts

if TYPE_CHECKING:
    from core.config.settings import LLMSettings, ModelSpec, Settings

_SECRET_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|DSN"
    r"|(^|_)(AUTH|PAT|PWD|PASS|COOKIE|SALT|PIN)(_|$)",
    re.IGNORECASE,
)
_PLAIN_HEADERS = frozenset(
    {"user-agent", "accept", "accept-language", "content-type", "http-referer", "referer", "x-title"}
)
"""Headers that identify the caller or the request; hiding their values would mask ordinary words."""
_INNER = frozenset({"models", "options", "headers", "otlp_headers"})
"""Parts of a setting's path that the name of its secret leaves out."""
_NOT_SECRET_NAMES = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK", "KEYMAP", "XKEYSYMDB"})


def is_secret_name(name: str) -> bool:
    """Whether a variable or setting of this name contains a secret."""
    return bool(_SECRET_NAME.search(name)) and name not in _NOT_SECRET_NAMES


def known_secrets(settings: "Settings", environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Secrets by the name they are shown under.

    Args:
        settings: Their specs and collectors contain keys.
        environment: Variables; those of this process when `None`.
    """
    given = os.environ if environment is None else environment
    return _named((*_of_tree(settings.model_dump()), *_of_environment(given)))


def environment_secrets() -> dict[str, str]:
    """Secrets of this process's environment alone."""
    return _named(_of_environment(os.environ))


def redactor_of(settings: "Settings") -> Redactor:
    """A redactor for everything this process knows to be secret."""
    return Redactor(known_secrets(settings))


def unchecked_redactor(config: Path | None, project: Path | None) -> Redactor:
    """A redactor for the secrets of unvalidated settings: validating takes longer than a short command.

    It knows everything `redactor_of` knows, and the values that a stronger source replaced. A file that cannot
    be read adds nothing.

    Args:
        config: The file given on the command line.
        project: The repository whose own file is trusted, if it is.
    """
    trees: list[Mapping[str, Any]] = []
    with suppress(ConfigError):
        trees += [read_config(file) for file in [find_config(config)] if file is not None]
    with suppress(ConfigError):
        own = find_project_config(project) if project is not None else None
        trees += [read_config(own, follow=False)] if own is not None else []
    for name, value in os.environ.items():
        if name.startswith(ENV_PREFIX):
            trees.append(nested(name.removeprefix(ENV_PREFIX).lower().split(SEPARATOR), _tree(value)))
    written = [pair for tree in trees for pair in _of_tree(map_texts(tree, _filled))]
    return Redactor(_named((*written, *_of_environment(os.environ))))


def _named(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for where, value in pairs:
        if value and value not in found.values():
            found.setdefault(where, value)
    return found


def _filled(text: str) -> str:
    return VARIABLE.sub(lambda name: os.environ.get(name[1], ""), text)


def _tree(value: str) -> Any:
    with suppress(ValueError):
        return parse_strict_json(value)
    return value


def _of_tree(tree: Mapping[str, Any], *above: str) -> Iterator[tuple[str, str]]:
    """The secrets of a tree of settings, found by the names of its keys."""
    where = ".".join(part for part in above if part not in _INNER)
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _of_tree(value, *above, name)
        elif name == "api_key":
            yield f"{where}.api_key", str(value)
        elif above and above[-1] in {"headers", "otlp_headers"}:
            yield from _of_header(f"{where}.{name}", name, str(value))
        elif name in {"base_url", "endpoint", "otlp_endpoint", "url"}:
            yield from _of_address(f"{where}.{'base_url' if name == 'endpoint' else name}", str(value))


def spec_secrets(spec: "ModelSpec") -> tuple[str, ...]:
    """What must never be shown of a spec, even if short: its key, its headers, and any of both in its address."""
    return tuple(dict.fromkeys(value for _, value in _of_tree(spec.model_dump(), "spec") if value))


def llm_secrets(llm: "LLMSettings") -> tuple[str, ...]:
    """The same for all specs, to be masked wherever messages are stored."""
    return tuple(dict.fromkeys(value for _, value in _of_tree(llm.model_dump(), "llm") if value))


def _of_header(where: str, name: str, value: str) -> Iterator[tuple[str, str]]:
    if name.lower() not in _PLAIN_HEADERS:
        yield where, value
        yield f"{where}.token", value.rpartition(" ")[2]


def _of_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in environment.items():
        if is_secret_name(name) and not value.startswith("/"):
            yield name, value
        elif "://" in value:
            yield from _of_address(name, value)


def _of_address(where: str, address: str) -> Iterator[tuple[str, str]]:
    if "://" not in address:
        return
    parts = urlsplit(address)
    yield f"{where}.password" if parts.password else f"{where}.user", unquote(parts.password or parts.username or "")
    for name, value in parse_qsl(parts.query):
        if is_secret_name(name):
            yield f"{where}.{name}", value
