"""Keys in the address of `--model ROLE=PROVIDER:MODEL@URL`: they are used for their run and stored nowhere.

Owns the references `${NAME}` that replace them, in a thread's row and on the command line of a detached run.
"""

import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from core.errors import UsageError
from core.known_secrets import is_secret_name
from core.redaction import redact, without_query

_ADDRESS = re.compile(r"https?://")
_REFERENCE = re.compile(r"\$\{(\w+)\}")


def keys_to_references(models: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """References for the keys of addresses.

    Args:
        models: Role to spec, as given on the command line.

    Returns:
        The same with `${NAME}` for each key, and the keys by these names.
    """
    kept: dict[str, str] = {}
    keys: dict[str, str] = {}
    for role, wanted in models.items():
        base = f"ROLECALL_KEY_OF_{re.sub(r'[^A-Za-z0-9]+', '_', role).upper()}"
        begin = found.start() if (found := _ADDRESS.search(wanted)) else len(wanted)
        head, text = wanted[:begin], wanted[begin:]
        for number, (before, key, after) in enumerate(_keys_in(text), start=1):
            name = base if number == 1 else f"{base}_{number}"
            keys[name] = unquote(key)
            text = text.replace(f"{before}{key}{after}", f"{before}${{{name}}}{after}", 1)
        kept[role] = head + text
    return kept, keys


def fill_references(role: str, address: str, environment: Mapping[str, str] | None = None) -> str:
    """An address with the values of the variables it refers to.

    Raises:
        UsageError: One of them is not set.
    """
    variables = os.environ if environment is None else environment

    def value(found: re.Match[str]) -> str:
        if not variables.get(found.group(1)):
            raise UsageError(
                f"--model {role}: its address needs {found.group()}, which is not set",
                hint=f"keys given with --model are not stored with a thread: set {found.group(1)}, "
                f"or give --model {role}=… again",
            )
        return quote(variables[found.group(1)], safe="")

    return _REFERENCE.sub(value, address)


def redact_spec(wanted: str) -> str:
    """What was requested, as it may appear in a message."""
    return without_query(redact(wanted))


def _keys_in(address: str) -> Iterator[tuple[str, str, str]]:
    """Keys as written, between what comes before and after them; references are not keys."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return
    written = [(":", parts.password, "@") if parts.password else ("//", parts.username or "", "@")]
    for pair in parts.query.split("&"):
        name, _, value = pair.partition("=")
        if parse_qsl(pair) and is_secret_name(unquote(name)):
            written.append((f"{name}=", value, ""))
    yield from (one for one in written if one[1] and not _REFERENCE.fullmatch(unquote(one[1])))
