"""Names, attributes and literals: another variable, attribute, method, function or constant."""

from __future__ import annotations

import ast
from typing import Iterator

from rolecall_search.program.typeinfo import NUMBERS, compatible
from rolecall_search.templates.base import BUILTIN_NAMES, Context, Proposal

FUNCTION_GROUPS = (
    ("any", "all"), ("min", "max"), ("sorted", "list", "reversed", "set", "tuple"),
    ("int", "float", "round", "str"), ("floor", "ceil"), ("sum", "len", "max", "min"),
    ("isinstance", "issubclass"), ("list", "set", "tuple", "dict", "frozenset"),
    ("str", "repr"), ("range", "enumerate", "len", "reversed"), ("print", "str"),
    ("filter", "map"), ("sqrt", "isqrt"), ("heappush", "heappop"), ("bytes", "bytearray"),
    ("hasattr", "getattr"), ("ord", "chr"), ("hex", "bin", "oct"), ("type", "isinstance"),
    ("deepcopy", "copy"), ("OrderedDict", "dict", "defaultdict"), ("sin", "cos"), ("next", "iter"),
    ("bisect_left", "bisect_right", "bisect"), ("dumps", "loads"), ("isnan", "isinf"),
    ("abs", "int"), ("log", "log2", "log10"), ("gcd", "lcm"), ("permutations", "combinations"),
    ("Lock", "RLock"), ("Semaphore", "BoundedSemaphore"), ("Queue", "SimpleQueue"),
)  # fmt: skip
METHOD_GROUPS = (
    ("append", "extend", "add", "insert", "appendleft"), ("lower", "upper", "title", "capitalize"),
    ("strip", "lstrip", "rstrip"), ("startswith", "endswith"), ("find", "rfind", "index"),
    ("rfind", "rindex", "index"), ("keys", "values", "items"), ("get", "pop", "setdefault"),
    ("split", "rsplit", "splitlines", "partition"), ("partition", "rpartition"),
    ("pop", "popleft", "remove"), ("union", "intersection", "difference", "symmetric_difference"),
    ("issubset", "issuperset", "isdisjoint"), ("add", "discard", "remove", "update"),
    ("ljust", "rjust", "center", "zfill"), ("isdigit", "isalpha", "isalnum", "isnumeric"),
    ("isdecimal", "isdigit"), ("isupper", "islower", "isspace"), ("encode", "decode"),
    ("match", "search", "fullmatch"), ("findall", "finditer", "search"), ("read", "readline"),
    ("readlines", "readline", "read"), ("write", "writelines"), ("group", "groups"),
    ("sort", "reverse"), ("copy", "deepcopy"), ("update", "setdefault"), ("items", "iteritems"),
    ("total_seconds", "seconds"), ("removeprefix", "lstrip"), ("removesuffix", "rstrip"),
    ("put", "put_nowait"), ("debug", "info", "warning", "error"), ("popitem", "pop"),
    ("extend", "extendleft", "appendleft"), ("format", "format_map"), ("count", "index", "find"),
    ("isoformat", "strftime"), ("casefold", "lower"), ("exists", "is_file", "is_dir"),
    ("name", "stem", "suffix"), ("utcnow", "now"), ("weekday", "isoweekday"),
    ("Lock", "RLock"), ("Semaphore", "BoundedSemaphore"),
)  # fmt: skip
CONSTANTS = {
    "int": ("1", "0", "-1", "2"), "float": ("0.0", "1.0"), "bool": ("True", "False"),
    "str": ('""',), "list": ("[]",), "dict": ("{}",), "NoneType": ("None",), "set": ("set()",),
}  # fmt: skip


def variable(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Another name in scope of a compatible type."""
    if not isinstance(node, ast.Name) or isinstance(node.ctx, ast.Del):
        return
    parent = context.parent(node)
    if isinstance(parent, ast.Call) and parent.func is node and node.id not in context.names:
        yield from _function(context, node)
        return
    types = context.type_of(node)
    store = isinstance(node.ctx, ast.Store)
    for name in context.names:
        other = context.types.names.get(name, frozenset())
        if name == node.id or not compatible(types, other):
            continue
        prior = 0.5 if types and other else 0.28
        if not types and not other and context.types.names:
            prior = 0.15
        prior *= 1.0 + 0.35 * alike(name, node.id)
        yield context.swap(node, name, "another variable", prior * (0.5 if store else 1.0))
    if not store:
        yield from _own_attribute(context, node)
        yield from _constant_instead(context, node)


def _constant_instead(context: Context, node: ast.Name) -> Iterator[Proposal]:
    if isinstance(context.parent(node), (ast.Attribute, ast.Subscript)):
        return
    types = context.type_of(node)
    for kind, texts in CONSTANTS.items():
        if kind in types:
            for text in texts:
                prior = 0.3 if text in "01" else 0.15
                yield context.swap(node, text, "constant instead of variable", prior)
    if not types:
        for text in ("0", "1", "None"):
            yield context.swap(node, text, "constant instead of variable", 0.1)


def _own_attribute(context: Context, node: ast.Name) -> Iterator[Proposal]:
    owner = context.types.names.get("self", frozenset())
    for name, types in context.types.attributes_of(owner).items():
        if compatible(context.type_of(node), types):
            prior = 0.5 if name.lstrip("_") == node.id else 0.15
            yield context.swap(node, f"self.{name}", "attribute instead of variable", prior)
    if node.id in context.names and node.id not in BUILTIN_NAMES:
        return
    for name in context.globals:
        if name != node.id and name.isupper() == node.id.isupper():
            yield context.swap(node, name, "another global", 0.12 + 0.2 * alike(name, node.id))


def _function(context: Context, node: ast.Name) -> Iterator[Proposal]:
    for other, prior in siblings(node.id, FUNCTION_GROUPS):
        if other in BUILTIN_NAMES or other in context.globals:
            yield context.swap(node, other, "another function", prior)
    for name in context.globals:
        if name != node.id and not name.isupper():
            prior = 0.12 + 0.3 * alike(name, node.id)
            yield context.swap(node, name, "another function", prior)


def attribute(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Another attribute or method of the same owner."""
    if not isinstance(node, ast.Attribute):
        return
    parent = context.parent(node)
    called = isinstance(parent, ast.Call) and parent.func is node
    start = f"{context.wrapped(node.value)}."
    owner = context.type_of(node.value)
    seen = {node.attr}
    for other, prior in siblings(node.attr, METHOD_GROUPS):
        if called and other not in seen:
            seen.add(other)
            yield context.swap(node, start + other, "another method", prior)
    if called:
        for other in context.types.methods_of(owner):
            if other not in seen:
                prior = 0.2 + 0.4 * alike(other, node.attr)
                yield context.swap(node, start + other, "another method", prior)
        return
    yield from _value_instead(context, node, start)
    if not owner:
        yield from _seen_attributes(context, node, start)


def _value_instead(context: Context, node: ast.Attribute, start: str) -> Iterator[Proposal]:
    """A method that returns the value, a property, another attribute of a compatible type."""
    for other, prior in siblings(node.attr, METHOD_GROUPS):
        yield context.swap(node, f"{start}{other}()", "method instead of attribute", 0.5 * prior)
    owner = context.type_of(node.value)
    types = context.type_of(node)
    values = dict.fromkeys(context.src.properties_of(owner), frozenset[str]())
    for other, kinds in {**values, **context.types.attributes_of(owner)}.items():
        if other != node.attr and compatible(types, kinds):
            prior = 0.45 + 0.3 * alike(other, node.attr)
            yield context.swap(node, start + other, "another attribute", prior)


def add_attribute(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """One attribute access more or fewer: `x` and `x.next`."""
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Call)) or not _load(node):
        return
    parent = context.parent(node)
    if isinstance(parent, ast.Call) and parent.func is node:
        return
    types = context.type_of(node)
    text = context.text(node)
    for other, kinds in context.types.attributes_of(types).items():
        if not other.startswith("_") or text == "self":
            prior = 0.3 if kinds & types else 0.2
            yield context.swap(node, f"{text}.{other}", "add an attribute access", prior)
    if isinstance(node, ast.Attribute) and not isinstance(node.value, ast.Name):
        yield context.swap(node, context.text(node.value), "drop an attribute access", 0.2)
    elif isinstance(node, ast.Attribute) and context.text(node.value) in context.names:
        yield context.swap(node, context.text(node.value), "drop an attribute access", 0.15)


def _seen_attributes(context: Context, node: ast.Attribute, start: str) -> Iterator[Proposal]:
    base = getattr(node.value, "id", "")
    for name in sorted(context.src.attributes.get(base, set()) - {node.attr}):
        prior = 0.3 if base else 0.08
        yield context.swap(node, start + name, "another attribute", prior)


def constant(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Another literal."""
    if not isinstance(node, ast.Constant) or isinstance(context.parent(node), ast.JoinedStr):
        return
    value = node.value
    if isinstance(value, bool):
        prior = 0.3 if context.negated(node) else 0.85
        yield context.swap(node, str(not value), "flip a flag", prior)
        yield context.swap(node, "None", "another constant", 0.15)
    elif value is None:
        yield from _instead_of_none(context, node)
    elif isinstance(value, int):
        yield from _near_integers(context, node, value)
        yield from _instead_of_integer(context, node)
    elif isinstance(value, float):
        for text in {str(value + 1), str(value - 1), str(value * 10), str(value / 10), "0.0", "1.0"}:
            yield context.swap(node, text, "another constant", 0.25)
    if type(value) in (int, float):
        for literal in context.hints.literals:
            if _number(literal) and literal != context.text(node):
                yield context.swap(node, literal, "a constant of the tests", 0.1)


def _instead_of_none(context: Context, node: ast.Constant) -> Iterator[Proposal]:
    for text, prior in (("True", 0.15), ("False", 0.2), ("0", 0.2), ('""', 0.15), ("[]", 0.2)):
        yield context.swap(node, text, "another constant", prior)
    for name in context.names:
        yield context.swap(node, name, "variable instead of constant", 0.15)


def _near_integers(context: Context, node: ast.Constant, value: int) -> Iterator[Proposal]:
    negated = isinstance(context.parent(node), ast.UnaryOp)
    near = {value + 1: 0.9, value - 1: 0.9, 0: 0.4, 1: 0.4, -1: 0.3, 2: 0.3, -value: 0.25}
    near.update({k: p for k, p in ((value * 10, 0.12), (value // 10, 0.12), (value * 2, 0.12),
                                   (value + 2, 0.15), (value - 2, 0.12)) if k not in near})  # fmt: skip
    for number in _other_numbers(context, node):
        near.setdefault(number, 0.15)
    near.pop(value, None)
    for number, prior in near.items():
        if negated and (number < 0 or (number, value) == (0, 1)):
            continue
        template = "constant off by one" if abs(number - value) == 1 else "another constant"
        yield context.swap(node, str(number), template, prior)


def _instead_of_integer(context: Context, node: ast.Constant) -> Iterator[Proposal]:
    for name in context.names:
        types = context.types.names.get(name, frozenset())
        number = compatible(types, frozenset({"int"}))
        if number:
            prior = 0.3 if types else 0.12
            yield context.swap(node, name, "variable instead of constant", prior)
        if types & {"list", "str", "tuple", "dict", "set", "deque"}:
            prior = 0.2 if number else 0.15
            yield context.swap(node, f"len({name})", "length instead of constant", prior)
    yield context.swap(node, "None", "another constant", 0.12)
    texts, prior = ("True", "False", "0.0", "float('inf')", "float('-inf')", '""', "[]"), 0.06
    if isinstance(context.parent(node), (ast.Assign, ast.Return, ast.AnnAssign)):
        texts, prior = (*texts, "{}"), 0.1
    elif not isinstance(context.parent(node), (ast.Call, ast.keyword, ast.arguments, ast.Compare)):
        return
    for text in texts:
        yield context.swap(node, text, "another constant", prior)


def _other_numbers(context: Context, node: ast.Constant) -> Iterator[int]:
    root = context.unit.node if context.unit is not None else context.src.tree
    for other in ast.walk(root):
        if isinstance(other, ast.Constant) and type(other.value) is int and other is not node:
            yield other.value


def container(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Another empty or one-element display; wrap and unwrap."""
    if isinstance(node, ast.Dict) and not node.keys:
        for text in ("[]", "set()", "None"):
            yield context.swap(node, text, "another container", 0.25)
    if isinstance(node, ast.Call) and context.text(node) in ("set()", "list()", "dict()"):
        for text in ("[]", "{}", "set()"):
            yield context.swap(node, text, "another container", 0.25)
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)) and _load(node):
        if not node.elts:
            yield from _fill(context, node)
        elif len(node.elts) == 1:
            text = context.text(node.elts[0])
            yield context.swap(node, text, "unwrap a container", 0.35, tight=False)
        yield from _change_elements(context, node)
    places = (ast.Call, ast.Return, ast.Assign, ast.BinOp, ast.Yield)
    wrapped = isinstance(node, (ast.Name, ast.Call, ast.Subscript, ast.BinOp)) and _load(node)
    if wrapped and isinstance(context.parent(node), places):
        yield context.swap(node, f"[{context.text(node)}]", "wrap in a list", 0.14)


def _fill(context: Context, node: ast.AST) -> Iterator[Proposal]:
    loop = context.parent(node)
    if isinstance(loop, (ast.For, ast.AsyncFor, ast.comprehension)) and loop.iter is node:
        # A loop over nothing is surely not meant.
        for name in (*context.names, *context.globals):
            types = context.types.names.get(name, frozenset())
            prior = 1.0 if name in context.names else 0.6
            if not types & NUMBERS:
                yield context.swap(node, name, "variable instead of container", prior)
        return
    yield context.swap(node, "[[]]", "another container", 0.45)
    yield context.swap(node, "{}", "another container", 0.2)
    yield context.swap(node, "set()", "another container", 0.2)
    yield context.swap(node, "None", "another container", 0.2)
    for name in context.names:
        yield context.swap(node, f"[{name}]", "put into a container", 0.35)
        yield context.swap(node, name, "variable instead of container", 0.2)
    for text in ("[0]", "[1]", "[None]", "['']"):
        yield context.swap(node, text, "put into a container", 0.15)


def _change_elements(context: Context, node: ast.AST) -> Iterator[Proposal]:
    elements = [context.text(entry) for entry in node.elts]
    start, end = context.src.span(node)
    whole = context.src.text[start:end]
    if not elements or len(elements) > 12:
        return
    opening, closing = (whole[0], whole[-1]) if whole[0] in "([{" else ("", "")
    comma = "," if isinstance(node, ast.Tuple) else ""

    def build(parts: list[str]) -> str:
        tail = comma if len(parts) == 1 else ""
        return f"{opening}{', '.join(parts)}{tail}{closing}"

    for at in range(len(elements) - 1):
        parts = elements[:]
        parts[at], parts[at + 1] = parts[at + 1], parts[at]
        yield context.swap(node, build(parts), "swap elements", 0.45)
    if len(elements) > 2:
        for parts in ([*elements[1:], elements[0]], [elements[-1], *elements[:-1]], elements[::-1]):
            yield context.swap(node, build(parts), "another order", 0.2)
    for at in range(len(elements)):
        if len(elements) > 1:
            parts = elements[:at] + elements[at + 1 :]
            yield context.swap(node, build(parts), "drop an element", 0.12)
    for name in context.names:
        yield context.swap(node, build([*elements, name]), "add an element", 0.08)


def siblings(name: str, groups: tuple[tuple[str, ...], ...]) -> Iterator[tuple[str, float]]:
    """The names used in the same place as `name`, with priors."""
    seen = {name}
    for group in groups:
        if name in group:
            for other in group:
                if other not in seen:
                    seen.add(other)
                    yield other, 0.8 if len(group) == 2 else 0.5


def alike(one: str, other: str) -> float:
    """How similar two names are, from 0 to 1: by common words and common prefix."""
    words, others = set(one.lower().split("_")), set(other.lower().split("_"))
    shared = len(words & others) / max(len(words | others), 1)
    prefix = 0
    for left, right in zip(one, other):
        if left != right:
            break
        prefix += 1
    return max(shared, prefix / max(len(one), len(other), 1))


def _number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()


def _load(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


FAMILY = (variable, attribute, add_attribute, constant, container)
