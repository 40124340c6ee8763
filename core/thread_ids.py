"""The short name of a thread, for its branch and for people. Makes no ids."""

_BY_TIME = "7"
"""The version digit of ids that begin with the time, as LangGraph's server makes them."""
_AT = 12
"""Where the digit stands."""
_DIGITS = 8


def short_id(thread_id: str) -> str:
    """Eight hexadecimal digits of a thread's UUID: the first, or the last where the first tell only the minute."""
    digits = thread_id.replace("-", "").lower()
    return digits[-_DIGITS:] if len(digits) == 32 and digits[_AT] == _BY_TIME else digits[:_DIGITS]
