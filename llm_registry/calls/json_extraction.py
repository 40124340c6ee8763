"""Finds JSON objects in what models say: bare, fenced, within text, and with the mistakes weak models make.

Owns the reading; the caller decides whether an object is the wanted one. An object that was cut off is not
completed: half an answer must not pass for a complete one.
"""

import ast
import json
import re
import warnings
from collections.abc import Iterator
from typing import Any

_STRING = r'"(?:[^"\\]|\\.)*"'
_TRAILING_COMMA = re.compile(rf"({_STRING})|,(?=\s*[}}\]])", re.DOTALL)
_MOST_LITERAL = 20_000
"""Characters of a Python literal that are read; its parser is slow and recursive."""


def json_objects_in(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects in a text, the outermost ones, in order: bare, fenced or within text."""
    decoder, start = json.JSONDecoder(strict=False), text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except ValueError:
            end = start + 1
        except RecursionError:
            # Its inner objects are none of the outermost ones.
            return
        else:
            yield value
        start = text.find("{", end)


def repaired_objects_in(text: str) -> Iterator[dict[str, Any]]:
    """Objects invalid because of a small mistake: an extra comma, Python's quotes, an object written as a string."""
    inner = _as_json(text) if text.lstrip().startswith('"') else None
    if isinstance(inner, str):
        yield from json_objects_in(inner)
    span = text[text.find("{") : text.rfind("}") + 1]
    if not span:
        return
    whole = _TRAILING_COMMA.sub(lambda found: found.group(1) or "", span)
    for read in (_as_json, _as_python):
        value = read(whole)
        if isinstance(value, dict):
            yield value
            return


def json_mistake_in(text: str) -> str:
    """Why the first object of a text cannot be read, worded for the model; "" when there is none or it can."""
    start = text.find("{")
    if start < 0:
        return ""
    try:
        json.JSONDecoder(strict=False).raw_decode(text, start)
    except ValueError as error:
        return f"the JSON object is not valid: {error}"
    except RecursionError:
        return "the JSON object is nested too deeply"
    return ""


def _as_json(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _as_python(text: str) -> Any:
    if len(text) > _MOST_LITERAL:
        return None
    try:
        with warnings.catch_warnings():
            # Python warns of escapes that mean nothing to it.
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None
