"""The secrets this process knows: keys, headers and addresses of the settings, and what the environment holds under
names that mean a secret. They are gathered once per run and hidden wherever content is kept or sent."""

import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from core.redaction import Redactor
from core.settings import ModelSpec, Settings

_SECRET_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|DSN"
    r"|(^|_)(AUTH|PAT|PWD|PASS|COOKIE|SALT|PIN)(_|$)",
    re.IGNORECASE,
)
_NOT_SECRET_NAMES = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK", "KEYMAP", "XKEYSYMDB"})


def known_secrets(settings: Settings, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Secrets by the name they are shown under.

    Args:
        settings: Whose specs and collectors hold keys.
        environment: Variables; those of this process when `None`.
    """
    found: dict[str, str] = {}
    for where, value in (*_of_settings(settings), *_of_environment(os.environ if environment is None else environment)):
        if value and value not in found.values():
            found.setdefault(where, value)
    return found


def redactor_of(settings: Settings) -> Redactor:
    """What hides everything this process knows to be secret."""
    return Redactor(known_secrets(settings))


def _of_settings(settings: Settings) -> Iterator[tuple[str, str]]:
    for name, entry in {**settings.llm.models, **(settings.llm.__pydantic_extra__ or {})}.items():
        if isinstance(entry, ModelSpec):
            yield f"llm.{name}.api_key", entry.api_key
            for header, value in (entry.options.get("headers") or {}).items():
                yield f"llm.{name}.{header}", str(value)
                yield f"llm.{name}.{header}.token", str(value).rpartition(" ")[2]
            yield from _of_address(f"llm.{name}.base_url", entry.base_url)
    for header, value in settings.telemetry.otlp_headers.items():
        yield f"telemetry.{header}", value
        yield f"telemetry.{header}.token", value.rpartition(" ")[2]
    yield from _of_address("telemetry.otlp_endpoint", settings.telemetry.otlp_endpoint)
    yield from _of_address("checkpoint.url", settings.checkpoint.url)


def _of_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in environment.items():
        if _SECRET_NAME.search(name) and name not in _NOT_SECRET_NAMES and not value.startswith("/"):
            yield name, value
        elif "://" in value:
            yield from _of_address(name, value)


def _of_address(where: str, address: str) -> Iterator[tuple[str, str]]:
    if "://" not in address:
        return
    parts = urlsplit(address)
    yield f"{where}.password" if parts.password else f"{where}.user", unquote(parts.password or parts.username or "")
    for name, value in parse_qsl(parts.query):
        if _SECRET_NAME.search(name):
            yield f"{where}.{name}", value
