"""Thread ids: what a valid id is, and its short form for the branch and for people. Creates no ids.

An id becomes part of paths, branches and refs, so nothing but a UUID is accepted.
"""

import re

from core.errors import ThreadError

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BY_TIME = "7"
"""The version digit of ids that start with a timestamp, as LangGraph's server creates them."""
_AT = 12
"""The position of that digit."""
_DIGITS = 8


def is_thread_id(text: object) -> bool:
    """Whether something is a UUID as rolecall writes it: lower case, with its four hyphens."""
    return isinstance(text, str) and _UUID.fullmatch(text) is not None


def require_thread_id(text: str) -> str:
    """Return an id that is valid.

    Raises:
        ThreadError: It is not a UUID.
    """
    if not is_thread_id(text):
        raise ThreadError(f"{text[:80]!r} is not a thread id", hint="`rolecall threads list` shows them")
    return text


def short_id(thread_id: str) -> str:
    """Eight hexadecimal digits of a thread's UUID: the first, or the last where the first only encode the minute.

    Raises:
        ThreadError: It is not a UUID.
    """
    digits = require_thread_id(thread_id).replace("-", "")
    return digits[-_DIGITS:] if digits[_AT] == _BY_TIME else digits[:_DIGITS]
