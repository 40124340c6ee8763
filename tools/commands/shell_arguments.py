"""Which arguments of a program are known to be harmless, as data and its only reader. Owns flags and operands; what
a path may be is up to the caller.

Only what is listed is known; an abbreviated long option, an unknown flag or an unexpected value is not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Operands = Literal["paths", "texts", "none", "pattern", "script", "one path", "anything"]


class UnknownArgumentError(ValueError):
    """An argument that is not known to be harmless; the text is the argument."""


@dataclass(frozen=True, slots=True)
class ArgRule:
    """The arguments known of one program.

    Flags are written as words. A `:` after one takes a value, `@` takes a path, `=?` may take a value after an equals
    sign. Short ones may be combined, as in `-rn`.
    """

    flags: str = ""
    operands: Operands = "paths"
    """"pattern" and "script": the first one is not a path, unless a flag of `instead` is given."""
    instead: str = ""
    """Flags that replace the first operand."""
    walled: str = ""
    """Flags that are harmless only in bubblewrap: they follow links, or look at hidden files."""
    ends: str = ""
    """A flag after whose value everything belongs to another program."""
    digits: bool = False
    """Whether `-5` is a flag."""
    script: str = ""
    """What a script may be, as a regular expression."""
    whole: bool = False
    """Whether flags of one dash are words, as in `-name`, and nothing ends them: those of an expression."""
    signs: str = ""
    """Operands that only join the parts of an expression."""


@dataclass(slots=True)
class SortedArguments:
    """The classified arguments."""

    paths: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    values: dict[str, list[str]] = field(default_factory=dict)


def sort_arguments(words: Sequence[str], rule: ArgRule, *, walls: bool) -> SortedArguments:
    """Sort the arguments of a program into flags, paths and texts.

    Args:
        words: What follows the name of the program.
        rule: What is known about it.
        walls: Whether commands run in bubblewrap.

    Raises:
        UnknownArgumentError: One of them is not known to be harmless.
    """
    known = SortedArguments()
    if rule.operands == "anything":
        return SortedArguments(texts=list(words))
    read = _read_flags(list(words), _table(rule, walls=walls), rule, known)
    operands = [word for word in read if word not in rule.signs.split()]
    free = rule.operands in {"pattern", "script"} and not known.flags & set(rule.instead.split())
    if free and operands:
        known.texts.append(operands.pop(0))
    if rule.operands == "none" and operands:
        raise UnknownArgumentError(operands[0])
    if rule.operands == "one path" and len(operands) > 1:
        raise UnknownArgumentError(operands[1])
    (known.texts if rule.operands == "texts" else known.paths).extend(operands)
    if rule.operands == "script":
        _check_scripts([*(known.texts if free else ()), *known.values.get("-e", ())], rule.script)
    return known


def leading_arguments(words: Sequence[str], rule: ArgRule) -> tuple[SortedArguments, list[str]]:
    """The flags before the first operand, and everything from there on.

    Raises:
        UnknownArgumentError: A flag is not known to be harmless.
    """
    known, rest, table = SortedArguments(), list(words), _table(rule, walls=True)
    while rest and rest[0].startswith("-") and rest[0] != "-" and rule.ends not in known.flags:
        _flag(rest.pop(0), rest, table, known)
    return known, rest


def _table(rule: ArgRule, *, walls: bool) -> dict[str, str]:
    table = {}
    for word in f"{rule.flags} {rule.walled if walls else ''}".split():
        name = word.removesuffix("=?").rstrip(":@")
        table[name] = word[len(name) :]
    return table


def _read_flags(words: list[str], table: dict[str, str], rule: ArgRule, known: SortedArguments) -> list[str]:
    """Read the flags into `known`; the rest are operands."""
    operands: list[str] = []
    while words:
        word = words.pop(0)
        if rule.whole and word.startswith("-"):
            _whole(word, words, table, known)
        elif word == "--":
            return operands + words
        elif word == "-" or not word.startswith("-"):
            operands.append(word)
        elif rule.digits and re.fullmatch(r"-\d+", word):
            known.flags.add("-digits")
        else:
            _flag(word, words, table, known)
    return operands


def _flag(word: str, rest: list[str], table: dict[str, str], known: SortedArguments) -> None:
    (_long if word.startswith("--") else _short)(word, rest, table, known)


def _long(word: str, rest: list[str], table: dict[str, str], known: SortedArguments) -> None:
    name, equals, value = word.partition("=")
    kind = table.get(name)
    if kind is None or (kind == "" and equals):
        raise UnknownArgumentError(word)
    known.flags.add(name)
    if kind in {":", "@"}:
        if not equals and not rest:
            raise UnknownArgumentError(word)
        _keep(name, kind, value if equals else rest.pop(0), known)


def _short(word: str, rest: list[str], table: dict[str, str], known: SortedArguments) -> None:
    for at, letter in enumerate(word[1:], start=1):
        name = f"-{letter}"
        kind = table.get(name)
        if kind is None:
            raise UnknownArgumentError(word)
        known.flags.add(name)
        if kind == "=?":
            return
        if kind:
            value = word[at + 1 :]
            if not value and not rest:
                raise UnknownArgumentError(word)
            _keep(name, kind, value or rest.pop(0), known)
            return


def _whole(word: str, rest: list[str], table: dict[str, str], known: SortedArguments) -> None:
    kind = table.get(word)
    if kind is None or (kind and not rest):
        raise UnknownArgumentError(word)
    known.flags.add(word)
    if kind:
        _keep(word, kind, rest.pop(0), known)


def _keep(name: str, kind: str, value: str, known: SortedArguments) -> None:
    known.values.setdefault(name, []).append(value)
    if kind == "@":
        known.paths.append(value)


def _check_scripts(scripts: list[str], allowed: str) -> None:
    for script in scripts:
        # Where a bracket may hold the delimiter, programs differ in where a pattern ends: then one command, no more.
        if not re.fullmatch(allowed, script) or ("[" in script and ";" in script):
            raise UnknownArgumentError(script)
    if not scripts:
        raise UnknownArgumentError("no script")
