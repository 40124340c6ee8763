"""The command `config`: where the settings come from, what they are, whether they hold, what may stand in them."""

import argparse
import asyncio
import json
import sys
from typing import Any

from core.errors import RepositoryError
from rolecall.invocation import Invocation
from rolecall.jsonl import answer
from rolecall.place import folder_of, settings_for, top_of

_SECRET = "…"  # noqa: S105 - what is shown in place of one


def config(options: argparse.Namespace, invocation: Invocation) -> int:
    """Show, locate, validate or describe the configuration."""
    return {"schema": _schema, "path": _path, "show": _show, "validate": _validate}[options.action](options)


def _schema(options: argparse.Namespace) -> int:
    from core.settings import Settings

    print(json.dumps(Settings.model_json_schema(by_alias=True), indent=2, ensure_ascii=False))
    return 0


def _path(options: argparse.Namespace) -> int:
    loaded = _load(options)
    if options.json:
        answer({"path": str(loaded.path) if loaded.path else None})
    elif loaded.path:
        print(loaded.path)
    else:
        print("no configuration file: every role is served by the embedded engine", file=sys.stderr)
    return 0


def _show(options: argparse.Namespace) -> int:
    loaded = _load(options)
    settings = masked(loaded.settings.model_dump(mode="json", by_alias=True))
    if options.json:
        answer({"path": str(loaded.path) if loaded.path else None, "sources": loaded.sources, "settings": settings})
        return 0
    print(f"from {loaded.path or 'the defaults, there is no configuration file'}", file=sys.stderr)
    print(json.dumps(settings, indent=2, ensure_ascii=False))
    return 0


def _validate(options: argparse.Namespace) -> int:
    loaded = _load(options)
    if options.json:
        answer({"valid": True, "path": str(loaded.path) if loaded.path else None})
    else:
        print(f"{loaded.path} is valid" if loaded.path else "no configuration file; the defaults are valid")
    return 0


def _load(options: argparse.Namespace) -> Any:
    return asyncio.run(_settings(options))


async def _settings(options: argparse.Namespace) -> Any:
    folder = folder_of(options)
    try:
        top = await top_of(folder)
    except RepositoryError:
        top = None  # the settings may be looked at anywhere
    return await settings_for(options, top)


def masked(value: Any) -> Any:
    """The settings without their secrets."""
    if isinstance(value, dict):
        return {key: _SECRET if _is_secret(key, inner) else masked(inner) for key, inner in value.items()}
    return [masked(inner) for inner in value] if isinstance(value, list) else value


def _is_secret(key: str, value: object) -> bool:
    harmless = {"", "not-needed"}
    words = ("api_key", "authorization", "password", "secret", "token")
    return isinstance(value, str) and value not in harmless and any(key.lower().endswith(word) for word in words)
