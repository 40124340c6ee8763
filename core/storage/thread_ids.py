"""The ids of threads: what is a valid id, and the short name made from it for its branch and for people. Makes no ids.

An id becomes part of paths, branches and refs, so nothing but a UUID is accepted.
"""

import re

from core.errors import ThreadError

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BY_TIME = "7"
"""The version digit of ids that start with the time, as LangGraph's server makes them."""
_AT = 12
"""The position of that digit."""
_DIGITS = 8


def is_thread_id(text: object) -> bool:
    """Whether something is a UUID as rolecall writes it: lower case, with its four hyphens."""
    return isinstance(text, str) and _UUID.fullmatch(text) is not None


def require_thread_id(text: str) -> str:
    """Give an id back that is one.

    Raises:
        ThreadError: It is no UUID.
    """
    if not is_thread_id(text):
        raise ThreadError(f"{text[:80]!r} is not a thread id", hint="`rolecall threads list` shows them")
    return text


def short_id(thread_id: str) -> str:
    """Eight hexadecimal digits of a thread's UUID: the first, or the last where the first tell only the minute.

    Raises:
        ThreadError: It is no UUID.
    """
    digits = require_thread_id(thread_id).replace("-", "")
    return digits[-_DIGITS:] if digits[_AT] == _BY_TIME else digits[:_DIGITS]
