"""Keeps keys and private places out of what is stored, exported or pasted. Owns patterns, not policy."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MASK = "***"
_MIN_SECRET = 6
"""A shorter configured key ("none", "x") is no secret, and masking it would eat ordinary words."""

_PATTERNS = (
    (re.compile(r"(?i)\b(authorization[\"']?\s*[=:]\s*[\"']?(?:\w+\s+)?)[^\s\"',;}]{4,}"), rf"\1{MASK}"),
    # With a digit in it: "basic set-up" and "bearer of news" are no keys.
    (re.compile(r"(?i)\b(bearer|basic)\s+(?=\S*\d)[\w\-.~+/=]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"\b(sk|pk|rk|hf|gsk|xai|ghp|gho|github_pat|AIza)[-_][\w\-]{6,}"), MASK),
    (
        re.compile(
            r"(?i)((?:api[-_]?key|token|secret|password|passwd)[\"']?\s*[=:]\s*[\"']?)(?!\d+\b|\$\{)[^\s\"'&,;}]{6,}"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.\-]*://)[^/\s@:]*:[^/\s@]+@"), rf"\1{MASK}@"),
    # A name alone before the host of a web address is a token, as some gateways want it.
    (re.compile(r"(?i)\b(https?://)[^/\s@:?#]+@"), rf"\1{MASK}@"),
)
_QUERY = re.compile(r"(?i)(\bhttps?://[^\s?\"'<>]*\?)(?=[\w%])[^\s\"'<>)]+")
"""Of an address, what follows its question mark; the mark that ends a sentence is followed by nothing."""
NOT_SECRET = frozenset(
    {"not-needed", "not_needed", "none", "ollama", "lm-studio", "sk-no-key-required", "dummy", "EMPTY"}
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Mask the given secrets and whatever looks like one: keys, bearer tokens, passwords in URLs."""
    for secret in secrets:
        if len(secret) >= _MIN_SECRET and secret not in NOT_SECRET:
            text = text.replace(secret, MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact_tree(value: Any, secrets: Iterable[str] = ()) -> Any:
    """`redact` every text of a JSON tree. Masking the written JSON instead would break it, and miss quoted keys."""
    known = tuple(secrets)
    if isinstance(value, str):
        return redact(value, known)
    if isinstance(value, dict):
        return {key: redact_tree(inner, known) for key, inner in value.items()}
    return [redact_tree(inner, known) for inner in value] if isinstance(value, list | tuple) else value


def without_query(text: str) -> str:
    """Mask the query strings of addresses, which is where some gateways want their keys."""
    return _QUERY.sub(rf"\1{MASK}", text)


def pasteable(text: str, secrets: Iterable[str] = ()) -> str:
    """Like `redact`, without query strings, and the home folder becomes `~`: safe to put into a public report."""
    home = str(Path.home())
    masked = without_query(redact(text, secrets))
    return re.sub(rf"{re.escape(home)}(?=/|$|[\s'\":,)])", "~", masked) if len(home) > 1 else masked
