"""Parses a bash command line into simple commands, with bash's own grammar. Owns the parsing; judges nothing.

It understands plain words, lists, pipelines, redirections to nowhere and assignments before a command. Everything else
in the shell is refused because it is not listed here, so callers can rely on knowing every part of the line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

MAX_BYTES = 16_000
_BETWEEN = {
    "program": {";", "\n"}, "list": {"&&", "||", ";"}, "pipeline": {"|"}, "redirected_statement": set[str](),
    "negated_command": {"!"},
}  # fmt: skip
"""The nodes that contain commands, with the operators understood in them."""
_TO_NOWHERE = re.compile(r"([12]?>{1,2}|&>{1,2})[ \t]*/dev/null|[12]?>&[12]|0?<[ \t]*/dev/null")
_PLAIN = re.compile(r"[^\s\\'\"`$(){}<>|&;#!*?\[\]]|(?<=[^\s;|&])[#!](?!\()")
"""A letter of a word that the shell takes literally; `#` and `!` only inside a word."""
_GLOB = re.compile(r"[*?]|\[[\w.,-]+\]")
_HOME = re.compile(r"(?<![\w^~@])~")
"""Unless it counts the parents of a commit."""
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=([\w.,:+@%-]*)")
_IN_QUOTES = re.compile(r'\\[\\"$`]|[^\\"$`]|\\(?=[^\\"$`\n])|\$(?=["|)])')
"""A piece of a double-quoted string with nothing to expand."""


class UnsupportedShellError(ValueError):
    """The line contains shell syntax that is not supported here; the text says what."""


@dataclass(frozen=True, slots=True)
class ShellWord:
    """One word as the program gets it."""

    text: str
    pattern: str = ""
    """As a pattern for file names, when the shell would look for files; else empty."""


@dataclass(frozen=True, slots=True)
class SimpleCommand:
    """A program with its arguments, and what is set in its environment."""

    words: tuple[ShellWord, ...]
    assignments: tuple[tuple[str, str], ...] = ()


def read_commands(line: str) -> tuple[SimpleCommand, ...]:
    """The simple commands of a line, in their order.

    Raises:
        UnsupportedShellError: It contains something that is not understood for certain.
    """
    try:
        source = line.encode()
    except UnicodeEncodeError:
        raise UnsupportedShellError("broken characters") from None
    if len(source) > MAX_BYTES:
        raise UnsupportedShellError("a very long line")
    if any(not (letter.isprintable() or letter in "\t\n") for letter in line):
        raise UnsupportedShellError("control characters")
    root = Parser(Language(tree_sitter_bash.language())).parse(source).root_node
    if root.has_error:
        raise UnsupportedShellError("a line that is not a shell command")
    _check_gaps(root, source)
    commands = tuple(_commands(root))
    if not commands:
        raise UnsupportedShellError("an empty line")
    return commands


def _check_gaps(root: Node, source: bytes) -> None:
    """Only blanks may be between tokens: what the grammar passes over, the shell may not."""
    at = 0
    for start, end in (*_leaves(root), (len(source), len(source))):
        if source[at:start].strip(b" \t\n"):
            raise UnsupportedShellError("something between the arguments")
        at = end


def _leaves(node: Node) -> Iterator[tuple[int, int]]:
    """Spans of the tokens; quoted strings count as one, because blanks in them are part of them."""
    if node.child_count == 0 or node.type == "string":
        yield node.start_byte, node.end_byte
        return
    for child in node.children:
        yield from _leaves(child)


def _commands(node: Node) -> Iterator[SimpleCommand]:
    if node.type == "command":
        yield _command(node)
        return
    if node.type not in _BETWEEN:
        raise UnsupportedShellError(node.type.replace("_", " "))
    for child in node.children:
        if child.type == "file_redirect" and node.type == "redirected_statement":
            _check_redirection(child)
        elif child.is_named:
            yield from _commands(child)
        elif child.type not in _BETWEEN[node.type]:
            raise UnsupportedShellError(f"the operator {child.type.strip() or 'newline'}")


def _command(node: Node) -> SimpleCommand:
    words: list[ShellWord] = []
    assignments: list[tuple[str, str]] = []
    for child in node.children:
        if child.type == "variable_assignment" and not words:
            assignments.append(_assignment(child))
        elif child.type == "file_redirect":
            _check_redirection(child)
        elif child.type == "command_name":
            words.append(_word(child.children[0] if child.child_count == 1 else child))
        else:
            words.append(_word(child))
    if not words or words[0].pattern:
        raise UnsupportedShellError("a command without a name")
    return SimpleCommand(tuple(words), tuple(assignments))


def _assignment(node: Node) -> tuple[str, str]:
    found = _ASSIGNMENT.fullmatch(_text(node))
    if not found:
        raise UnsupportedShellError("an assignment")
    return found[1], found[2]


def _check_redirection(node: Node) -> None:
    if not _TO_NOWHERE.fullmatch(_text(node)):
        raise UnsupportedShellError("a redirection")


def _word(node: Node) -> ShellWord:
    """Read a word letter by letter: the grammar says where it ends, not what it means."""
    if node.type not in {"word", "number", "raw_string", "string", "concatenation"}:
        raise UnsupportedShellError(node.type.replace("_", " "))
    source = _text(node)
    if source == "!":
        return ShellWord(source)
    read: list[str] = []
    pattern: list[str] = []
    at = 0
    while at < len(source):
        at, piece, as_pattern = _piece(source, at)
        read.append(piece)
        pattern.append(as_pattern)
    text, whole = "".join(read), "".join(pattern)
    return ShellWord(text, whole if _has_glob(whole) else "")


def _piece(source: str, at: int) -> tuple[int, str, str]:
    """The next part of a word: where it ends, its text, and its text as a pattern for file names."""
    letter = source[at]
    if letter == "'":
        end = source.find("'", at + 1)
        if end < 0:
            raise UnsupportedShellError("an open quote")
        return end + 1, source[at + 1 : end], _literal(source[at + 1 : end])
    if letter == '"':
        end, text = _quoted(source, at + 1)
        return end, text, _literal(text)
    if letter == "\\" and at + 1 < len(source) and source[at + 1] != "\n":
        return at + 2, source[at + 1], _literal(source[at + 1])
    glob = _GLOB.match(source, at)
    if glob:
        return glob.end(), glob.group(), glob.group()
    if not _PLAIN.match(source, at) or _HOME.match(source, at):
        raise UnsupportedShellError(f"the character {letter}")
    return at + 1, letter, letter


def _quoted(source: str, at: int) -> tuple[int, str]:
    read = []
    while at < len(source) and source[at] != '"':
        found = _IN_QUOTES.match(source, at)
        if not found:
            raise UnsupportedShellError("an expansion in quotes")
        piece = found.group()
        read.append(piece[1:] if len(piece) == 2 else piece)
        at = found.end()
    if at >= len(source):
        raise UnsupportedShellError("an open quote")
    return at + 1, "".join(read)


def _literal(text: str) -> str:
    """Text without any pattern characters."""
    return re.sub(r"([*?\[])", r"[\1]", text)


def _has_glob(pattern: str) -> bool:
    return bool(re.search(r"[*?]|\[[^*?\[]", re.sub(r"\[[*?\[]\]", "", pattern)))


def _text(node: Node) -> str:
    return (node.text or b"").decode()
