"""Reading and writing outlines as indented text."""

from outline.tree import Node

INDENT = "  "


def loads(text):
    """Build a tree from lines; two spaces deeper means a child.

    Raises:
        ValueError: a line jumps more than one level down.
    """
    root = Node("")
    stack = [root]
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        title = line.lstrip(" ")
        level = (len(line) - len(title)) // len(INDENT)
        if level >= len(stack):
            raise ValueError(f"line {number} is indented too far")
        del stack[level + 1 :]
        stack.append(stack[-1].append(Node(title.rstrip())))
    return root


def dumps(root, level=0):
    lines = []
    for child in root.children:
        lines.append(INDENT * level + child.title)
        if child.children:
            lines.append(dumps(child, level + 1))
    return "\n".join(lines)


def numbered(root, prefix=""):
    """Yield `1.2 Title` lines."""
    for index, child in enumerate(root.children, start=1):
        number = f"{prefix}{index}"
        yield f"{number} {child.title}"
        yield from numbered(child, number + ".")
