"""The command `config`: where the settings come from, what they are, whether they hold, what may stand in them."""

import argparse
import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from core.errors import RepositoryError
from core.text import safe_json
from rolecall.invocation import Invocation
from rolecall.lookup import folder_of, settings_for, top_of
from rolecall.output.jsonl import write_answer

if TYPE_CHECKING:
    from core.config.loader import LoadedSettings
    from core.config.settings import Settings

_SECRET_KEYS = ("key", "authorization", "password", "passphrase", "secret", "token", "credentials", "cookie",
                "auth", "extra_body")  # fmt: skip
_SAMPLE = "This one came with rolecall. Copy it and change the copy, which counts instead: {own}"
_PLAIN_HEADERS = frozenset({"accept", "content-type", "user-agent", "http-referer", "x-title"})


def config(options: argparse.Namespace, invocation: Invocation) -> int:
    """Show, locate, validate or describe the configuration."""
    return {"schema": _schema, "path": _path, "show": _show, "validate": _validate}[options.action](options)


def _schema(options: argparse.Namespace) -> int:
    from core.config.json_schema import schema_text

    sys.stdout.write(schema_text())
    return 0


def _path(options: argparse.Namespace) -> int:
    from core.config.files import is_sample, user_config

    own = user_config()
    path = own if options.user else _load(options).path
    if options.json:
        write_answer({"path": str(path) if path else None, "user": str(own)})
    elif path is None:
        print(f"no configuration file: every role is served by the embedded engine; make {own}", file=sys.stderr)
    else:
        print(path)
        if is_sample(path):
            print(_SAMPLE.format(path=path, own=own), file=sys.stderr)
    return 0


def _show(options: argparse.Namespace) -> int:
    loaded = _load(options)
    settings = _shown(loaded.settings)
    if options.json:
        write_answer(
            {"path": str(loaded.path) if loaded.path else None, "sources": dict(loaded.sources), "settings": settings}
        )
        return 0
    print(f"from {loaded.path or 'the defaults, there is no configuration file'}", file=sys.stderr)
    print(safe_json(json.dumps(settings, indent=2, ensure_ascii=False)))
    return 0


def _validate(options: argparse.Namespace) -> int:
    from llm_registry.providers.catalog import check_spec
    from llm_registry.records.telemetry import require_exporter
    from llm_registry.specs.role_chains import resolve_chain, role_names

    loaded = _load(options)
    llm = loaded.settings.llm
    for name in (*role_names(loaded.settings), *llm.models):
        for link in resolve_chain(llm, name).links:
            check_spec(link.spec, link.origin)
    require_exporter(loaded.settings.telemetry)
    if options.json:
        write_answer({"valid": True, "path": str(loaded.path) if loaded.path else None})
    else:
        print(f"{loaded.path} is valid" if loaded.path else "no configuration file; the defaults are valid")
    return 0


def _load(options: argparse.Namespace) -> "LoadedSettings":
    return asyncio.run(_settings(options))


async def _settings(options: argparse.Namespace) -> "LoadedSettings":
    folder = folder_of(options)
    try:
        top = await top_of(folder)
    except RepositoryError:
        top = None  # the settings may be looked at anywhere
    return await settings_for(options, top)


def _shown(settings: "Settings") -> dict[str, Any]:
    """The settings as anybody may see them: by name, by form, and by what is known to be secret."""
    from core.known_secrets import redactor_of

    shown: dict[str, Any] = redactor_of(settings).clean_tree(masked(settings.model_dump(mode="json", by_alias=True)))
    return shown


def masked(value: Any, key: str = "") -> Any:
    """The settings without their secrets: keys, headers that carry one, passwords and query strings of addresses."""
    from core.redaction import MASK, NOT_SECRET, redact, without_query

    if isinstance(value, dict) and key.lower().endswith("headers"):
        # Any of them may be a key, whatever it is called.
        return {name: inner if name.lower() in _PLAIN_HEADERS else MASK for name, inner in value.items()}
    plain_key = key.lower().replace("-", "_")
    if isinstance(value, dict):
        # What lies below such a key is as secret as it, and a body may hold a key under any name.
        below = key if plain_key.endswith(_SECRET_KEYS) else ""
        return {name: masked(inner, below or name) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, key) for inner in value]
    if not isinstance(value, str) or not value or value in NOT_SECRET:
        return value
    return MASK if plain_key.endswith(_SECRET_KEYS) else without_query(redact(value))
