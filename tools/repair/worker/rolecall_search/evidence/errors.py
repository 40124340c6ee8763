"""Which kinds of edit an exception suggests.

Owns the table from exceptions to templates. It knows nothing of lines.
"""

from __future__ import annotations

GUARDS = frozenset(
    {"weaken a condition", "strengthen a condition", "early exit", "early exit on a type", "guard a statement",
     "conditional value", "test for None", "empty instead of None"}
)  # fmt: skip
BOUNDS = frozenset(
    {"off by one", "constant off by one", "slice bounds", "another index", "comparison operator", "lower bound",
     "comparison operators", "first element if any"}
)  # fmt: skip
ARGUMENTS = frozenset(
    {"another variable", "swap arguments", "swap two names", "pass an argument through", "add an operand", "off by one",
     "another default", "flip a flag", "add an option", "add a slice", "slice bounds"}
)  # fmt: skip
ASKED = {
    "AttributeError": GUARDS | {"another attribute", "another method", "wrap in a call", "unwrap a call"},
    "TypeError": GUARDS | {"wrap in a call", "arithmetic operator", "await", "missing call"},
    "KeyError": GUARDS | {"tolerant look-up", "catch another exception", "add an argument", "method used elsewhere"},
    "IndexError": GUARDS | BOUNDS,
    "ZeroDivisionError": GUARDS | {"bound", "comparison operator"},
    "RecursionError": ARGUMENTS | {"early exit", "another condition", "comparison operator", "weaken a condition"},
    "StopIteration": frozenset({"add an argument", "catch another exception"}),
    "ValueError": frozenset(
        {"catch another exception", "another exception type", "early exit", "strengthen a condition"}
    ),
}
ASKED_BOOST = 1.4


def asked_for(kinds: frozenset[str], template: str) -> float:
    """The factor for a kind of edit in a function in which exceptions of these kinds were raised."""
    return ASKED_BOOST if any(template in ASKED.get(kind, ()) for kind in kinds) else 1.0
