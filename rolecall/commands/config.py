"""The command `config`: where the settings come from, what they are, whether they are valid, what they may contain."""

import argparse
import json
import sys

from core.text import safe_json
from rolecall.invocation import Invocation
from rolecall.output.jsonl import write_answer
from rolecall.output.warnings import warn
from rolecall.service import setup
from rolecall.service.setup import ConfigRequest, ConfigResult
from rolecall.thread_options import asked, repo_of

_SAMPLE = "This file ships with rolecall. Copy it and edit the copy, which is then used instead: {own}"


def config(options: argparse.Namespace, invocation: Invocation) -> int:
    """Show, locate, validate or describe the configuration."""
    return {"schema": _schema, "path": _path, "show": _show, "validate": _validate}[options.action](options)


def _schema(options: argparse.Namespace) -> int:
    from core.config.json_schema import schema_text

    sys.stdout.write(schema_text())
    return 0


def _path(options: argparse.Namespace) -> int:
    from core.config.files import user_config

    own, found = user_config(), None if options.user else _config(options)
    path = own if found is None else found.path
    if options.json:
        write_answer({"path": str(path) if path else None, "user": str(own)})
    elif path is None:
        print(f"no configuration file: every role is served by the embedded engine; create {own}", file=sys.stderr)
    else:
        print(path)
        if found is not None and found.sample:
            print(_SAMPLE.format(path=path, own=own), file=sys.stderr)
    return 0


def _show(options: argparse.Namespace) -> int:
    found = _config(options)
    if options.json:
        write_answer(found.model_dump(mode="json", include={"path", "sources", "settings"}))
        return 0
    print(f"from {found.path or 'the defaults, there is no configuration file'}", file=sys.stderr)
    print(safe_json(json.dumps(found.settings, indent=2, ensure_ascii=False)))
    return 0


def _validate(options: argparse.Namespace) -> int:
    path = _config(options, validated=True).path
    if options.json:
        write_answer({"valid": True, "path": str(path) if path else None})
    else:
        print(f"{path} is valid" if path else "no configuration file; the defaults are valid")
    return 0


def _config(options: argparse.Namespace, *, validated: bool = False) -> ConfigResult:
    request = ConfigRequest(repo=repo_of(options), options=asked(options), validated=validated)
    return setup.config(request, on_warning=warn)
