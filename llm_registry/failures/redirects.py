"""Redirects are reported and never followed: the spec decides where keys and prompts go, not a server's `Location`.

Owns the wording of such a refusal and the hooks that HTTP clients call for each response.
"""

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

from llm_registry.failures.errors import CallFailure, ErrorKind

_HOST = re.compile(r"[A-Za-z0-9.\-_:]{1,253}")
UNREADABLE = "another address"


def is_redirect(status: int) -> bool:
    """Whether a status is a redirect; none of them is an answer to what we ask."""
    return 300 <= status < 400


def origin_of(url: str) -> str:
    """Scheme, host and unusual port of an address, without user, path and query; empty when it has none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(host):
        return ""
    name = f"[{host}]" if ":" in host else host
    usual = port is None or port == (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{name}" + ("" if usual else f":{port}")


def same_origin(one: str, other: str) -> bool:
    """Whether two addresses are one server: what belongs to the first may be sent to the second."""
    return bool(origin_of(one)) and origin_of(one) == origin_of(other)


def target_of(asked: str, location: str) -> str:
    """Where a redirect leads, as much of it as is safe to show: scheme, host and port.

    Args:
        asked: The address that was asked.
        location: The header of its answer, which may be anything.
    """
    try:
        return origin_of(urljoin(asked, location)) or UNREADABLE
    except ValueError:
        return UNREADABLE


def redirect_failure(status: int, asked: str, location: str) -> CallFailure:
    """The failure for a redirect."""
    target = target_of(asked, location)
    place = "another path on the same server" if target == origin_of(asked) else target
    said = f"HTTP {status} redirects to {place}; redirects are never followed"
    return CallFailure(ErrorKind.REDIRECTED, said, final=True)


async def refuse_redirects(response: Any) -> None:
    """Hook of an asynchronous client for each response.

    Raises:
        CallFailure: It is a redirect.
    """
    refuse_redirects_sync(response)


def refuse_redirects_sync(response: Any) -> None:
    """The same for a client that is not asynchronous."""
    if is_redirect(response.status_code):
        raise redirect_failure(response.status_code, str(response.request.url), response.headers.get("location", ""))
