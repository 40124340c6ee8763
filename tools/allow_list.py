"""Which commands run without asking. Reads a shell line conservatively: what it does not understand is asked for.

This is a question of manners, not the wall: the sandbox is the wall.
"""

import re
import shlex
from collections.abc import Sequence

_SEPARATORS = {"&&", "||", ";", "|"}
_ASSIGNMENT = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*=")
_LOADERS = ("PATH=", "LD_", "DYLD_", "BASH_ENV=", "ENV=", "IFS=", "PYTHONSTARTUP=", "GIT_", "NODE_OPTIONS=")
_HARMLESS_REDIRECTION = re.compile(r"\s*(2>&1|&?[12]?>\s*/dev/null)(?=\s|$|[|;&])")
_SUBSTITUTION = re.compile(r"`|\$\(|\$\{")
_OTHER_SYNTAX = re.compile(r"[\n<>(){}]|(?<!&)&(?!&)")
_DANGEROUS_FLAGS = {
    "find": ("-exec", "-execdir", "-delete", "-ok", "-okdir", "-fprint", "-fprintf", "-fls"),
    "rg": ("--pre",),
    "git": ("--output", "--ext-diff", "-O"),
    "sed": ("-i", "--in-place"),
}


class AllowList:
    """Beginnings of commands, compared word by word."""

    def __init__(self, beginnings: Sequence[str]) -> None:
        self._beginnings = [shlex.split(beginning) for beginning in beginnings]

    def allows(self, command: str) -> bool:
        """Whether every part of a shell line begins like one of the list."""
        plain = _HARMLESS_REDIRECTION.sub(" ", command.strip())
        bare, expanded = _visible_to_shell(plain)
        if not plain or _OTHER_SYNTAX.search(bare) or _SUBSTITUTION.search(expanded):
            return False
        try:
            parts = _split(plain)
        except ValueError:
            return False
        return all(self._allows_part(part) for part in parts)

    def _allows_part(self, words: list[str]) -> bool:
        while words and _ASSIGNMENT.match(words[0]):
            if words[0].startswith(_LOADERS):
                return False
            words = words[1:]
        if not words:
            return False
        if words[0] == "cd":
            return len(words) == 2 and _stays_inside(words[1])
        flags = _DANGEROUS_FLAGS.get(words[0], ())
        if any(word.split("=")[0] in flags for word in words[1:]):
            return False
        return any(words[: len(beginning)] == beginning for beginning in self._beginnings if beginning)


def _split(line: str) -> list[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";|&")
    lexer.whitespace_split = True
    lexer.commenters = ""
    parts: list[list[str]] = [[]]
    for word in lexer:
        if word in _SEPARATORS:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts[:-1] if not parts[-1] and line.rstrip().endswith(";") else parts


def _visible_to_shell(line: str) -> tuple[str, str]:
    """The line as the shell reads operators in it (nothing quoted), and as it expands it (double quotes too)."""
    bare, expanded, quote, escaped = [], [], "", False
    for char in line:
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif quote != "'":
            expanded.append(char)
            bare.append(" " if quote else char)
    return "".join(bare), "".join(expanded)


def _stays_inside(path: str) -> bool:
    return not path.startswith(("/", "~", "-", "$")) and ".." not in path.split("/")
