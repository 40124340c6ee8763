"""Calls: arguments swapped, dropped, added; calls removed, wrapped around, awaited."""

from __future__ import annotations

import ast
from typing import Iterator

from rolecall_search.program.source import Edit
from rolecall_search.program.typeinfo import NUMBERS, SEQUENCES, SIZED, Types, may_be
from rolecall_search.templates.base import Context, Proposal

FLAGS = {
    "sorted": ("reverse=True",), "sort": ("reverse=True",), "enumerate": ("1",), "open": (),
    "split": ("1",), "round": ("2",), "get": ("0", "[]", '""', "None", "{}", "False"),
    "pop": ("None", "0", "-1"), "next": ("None",), "min": ("default=0", "default=None"),
    "max": ("default=0", "default=None"), "getattr": ("None",), "zip": ("strict=True",),
    "join": (), "print": (), "sum": ("[]", "0.0"), "strftime": (), "splitlines": ("True",),
    "popitem": ("last=False", "0"), "mkdir": ("parents=True", "exist_ok=True"), "makedirs": ("exist_ok=True",),
    "dumps": ("sort_keys=True", "indent=2", "ensure_ascii=False"), "replace": ("1",), "int": ("10",),
}  # fmt: skip
TEXT = frozenset({"str"})
PLAIN_METHODS = {
    "bytes": ("decode",), "datetime": ("date", "time", "timestamp", "isoformat"), "date": ("isoformat",),
    "timedelta": ("total_seconds",), "PosixPath": ("resolve", "as_posix"), "Match": ("group", "groups", "end"),
}  # fmt: skip
TEXT_METHODS = frozenset({"lower", "upper", "split", "title", "capitalize", "replace", "rsplit"})
MUTABLE = frozenset({"list", "dict", "set", "deque", "defaultdict", "OrderedDict", "Counter"})
PLACES = (ast.Return, ast.Assign, ast.Call, ast.For, ast.Compare, ast.Yield, ast.keyword,
          ast.AugAssign, ast.comprehension, ast.Dict, ast.BinOp, ast.Starred, ast.ListComp, ast.SetComp,
          ast.GeneratorExp, ast.Tuple, ast.List, ast.IfExp)  # fmt: skip


def arguments(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Swap two arguments, drop one, add one."""
    if not isinstance(node, ast.Call):
        return
    spans = [context.src.span(argument) for argument in node.args]
    texts = [context.text(argument) for argument in node.args]
    for at in range(len(texts)):
        for other in range(at + 1, len(texts)):
            parts = texts[:]
            parts[at], parts[other] = parts[other], parts[at]
            prior = 0.6 if other == at + 1 else 0.3
            yield _call(context, node, parts, "swap arguments", prior)
    for at in range(len(spans)):
        prior = 0.3 if len(spans) > 1 else 0.15
        yield _call(context, node, texts[:at] + texts[at + 1 :], "drop an argument", prior)
    yield from _keywords(context, node, texts)
    yield from _zones(context, node)
    yield from _added(context, node, texts)


def _call(context: Context, node: ast.Call, args: list[str], template: str, prior: float) -> Proposal:
    keywords = [context.text(keyword) for keyword in node.keywords]
    text = f"{context.text(node.func)}({', '.join([*args, *keywords])})"
    return context.swap(node, text, template, prior)


def _keywords(context: Context, node: ast.Call, texts: list[str]) -> Iterator[Proposal]:
    keywords = [context.text(keyword) for keyword in node.keywords]
    called = context.text(node.func)
    for at in range(len(keywords)):
        rest = keywords[:at] + keywords[at + 1 :]
        text = f"{called}({', '.join([*texts, *rest])})"
        yield context.swap(node, text, "drop a keyword argument", 0.3)
    for at, keyword in enumerate(node.keywords):
        for other in node.keywords[at + 1 :]:
            if keyword.arg and other.arg:
                parts = keywords[:]
                parts[at] = f"{keyword.arg}={context.text(other.value)}"
                parts[node.keywords.index(other)] = f"{other.arg}={context.text(keyword.value)}"
                text = f"{called}({', '.join([*texts, *parts])})"
                yield context.swap(node, text, "swap keyword values", 0.3)


def _zones(context: Context, node: ast.Call) -> Iterator[Proposal]:
    """A time converted to a zone instead of labelled with it, and vice versa."""
    if not isinstance(node.func, ast.Attribute):
        return
    owner = context.text(node.func.value)
    zones = [keyword.value for keyword in node.keywords if keyword.arg == "tzinfo"]
    if node.func.attr == "replace" and len(zones) == 1 and len(node.keywords) == 1:
        yield context.swap(node, f"{owner}.astimezone({context.text(zones[0])})", "another method", 0.6)
    if node.func.attr == "astimezone" and len(node.args) == 1:
        yield context.swap(node, f"{owner}.replace(tzinfo={context.text(node.args[0])})", "another method", 0.6)


def _added(context: Context, node: ast.Call, texts: list[str]) -> Iterator[Proposal]:
    name = called_name(node)
    keywords = {keyword.arg for keyword in node.keywords}
    for extra in FLAGS.get(name, ()):
        key = extra.split("=")[0]
        if "=" in extra and key not in keywords:
            keyword_texts = [context.text(keyword) for keyword in node.keywords]
            inner = ", ".join([*texts, *keyword_texts, extra])
            yield context.swap(node, f"{context.text(node.func)}({inner})", "add an option", 0.35)
        elif "=" not in extra and len(texts) < 3:
            yield _call(context, node, [*texts, extra], "add an argument", 0.25)
    yield from _known_parameters(context, node, texts, name)
    if name == "range" and len(texts) == 1:
        for start in ("1", *context.names):
            prior = 0.5 if start == "1" else 0.1
            yield _call(context, node, [start, *texts], "add a range start", prior)
    if name == "range" and len(texts) == 2:
        yield _call(context, node, [*texts, "-1"], "add a range step", 0.2)
        yield _call(context, node, [*texts, "2"], "add a range step", 0.15)


def _known_parameters(context: Context, node: ast.Call, texts: list[str], name: str) -> Iterator[Proposal]:
    """An argument the called function of this file takes and the call leaves out."""
    given = {keyword.arg for keyword in node.keywords}
    function = context.src.functions.get(name)
    if function is None:
        return
    names = [arg.arg for arg in [*function.args.args, *function.args.kwonlyargs]]
    names = [arg for arg in names if arg not in ("self", "cls")]
    for parameter in names[len(texts) :]:
        if parameter in given:
            continue
        if parameter in context.names:
            extra = f"{parameter}={parameter}"
            yield _plus(context, node, texts, extra, 0.5)
        positional = parameter == (names[len(texts) : len(texts) + 1] or [""])[0]
        owner = context.types.names.get("self", frozenset())
        if parameter in context.types.attributes_of(owner):
            value = f"self.{parameter}"
            yield _plus(context, node, texts, value if positional and not given else f"{parameter}={value}", 0.5)
        for value in context.names:
            yield _plus(context, node, texts, f"{parameter}={value}", 0.1)
        yield _plus(context, node, texts, f"{parameter}=True", 0.1)


def _plus(context: Context, node: ast.Call, texts: list[str], extra: str, prior: float) -> Proposal:
    keywords = [context.text(keyword) for keyword in node.keywords]
    inner = ", ".join([*texts, *keywords, extra])
    text = f"{context.text(node.func)}({inner})"
    return context.swap(node, text, "pass an argument through", prior)


def called_name(node: ast.Call) -> str:
    """The last part of the name of what is called."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return getattr(node.func, "id", "")


def unwrap(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A call becomes one of its arguments, or the owner of its method."""
    if not isinstance(node, ast.Call):
        return
    for argument in node.args:
        if not isinstance(argument, ast.Starred):
            yield context.swap(node, context.text(argument), "unwrap a call", 0.45, tight=False)
    if isinstance(node.func, ast.Attribute):
        prior = 0.35 if not node.args else 0.12
        yield context.swap(node, context.text(node.func.value), "drop a method call", prior)
    if not node.args and not node.keywords:
        yield context.swap(node, context.text(node.func), "drop a call", 0.2)
    for name in context.names:
        if context.unit is not None and len(node.args) > 0:
            yield context.swap(node, name, "variable instead of call", 0.25)


def wrap(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """Wrap a value in a conversion, a copy or a bound."""
    kinds = (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.BinOp, ast.BoolOp, ast.GeneratorExp, ast.ListComp)
    if not isinstance(node, kinds):
        return
    parent = context.parent(node)
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return
    if not isinstance(parent, PLACES) or (isinstance(parent, ast.Call) and parent.func is node):
        return
    text = context.text(node)
    types = context.type_of(node)
    yield from _copy(context, node)
    for name, prior in _wrappers(types, parent):
        yield context.swap(node, f"{name}({text})", "wrap in a call", prior)
    for method, prior in _methods(types, node):
        yield context.swap(node, f"{context.wrapped(node)}.{method}", "add a method call", prior)
    yield from _each(context, node, text)
    if types & NUMBERS:
        yield context.swap(node, f"{text} ** 2", "square", 0.16, tight=False)
    if isinstance(node, (ast.Name, ast.Attribute)) and not types:
        yield context.swap(node, f"{text}()", "missing call", 0.2)


def _each(context: Context, node: ast.AST, text: str) -> Iterator[Proposal]:
    """A conversion of each element: of numbers that are joined, of rows that are kept."""
    parent = context.parent(node)
    inner = context.types_within(node)
    if isinstance(parent, ast.Call) and called_name(parent) == "join" and "str" not in inner:
        yield context.swap(node, f"map(str, {text})", "wrap in a call", 0.4)
    for kind in ("list", "tuple") if inner & SEQUENCES and isinstance(parent, ast.Assign) else ():
        yield context.swap(node, f"[{kind}(inner) for inner in {text}]", "deep copy", 0.15)
    if "str" in context.type_of(node) and "re" in context.globals:
        yield context.swap(node, f"re.escape({text})", "wrap in a call", 0.15)


def _copy(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A name bound to a mutable value gets its own copy."""
    parent = context.parent(node)
    types = context.type_of(node) & MUTABLE
    if not types or not isinstance(parent, ast.Assign) or parent.value is not node:
        return
    if isinstance(node, (ast.Name, ast.Attribute)):
        text = context.text(node)
        for kind in sorted(types & {"list", "dict", "set"}):
            yield context.swap(node, f"{kind}({text})", "copy instead of alias", 0.4)
        yield context.swap(node, f"{text}.copy()", "copy instead of alias", 0.35)


def copied_argument(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A call, a display or a loop gets a copy: `f(x)` becomes `f(dict(x))`; a list of lists a deep copy."""
    if not isinstance(node, (ast.Name, ast.Attribute)) or not isinstance(node.ctx, ast.Load):
        return
    parent = context.parent(node)
    if isinstance(parent, ast.Call) and parent.func is node:
        return
    types = context.type_of(node)
    text = context.text(node)
    if isinstance(parent, (ast.Call, ast.Dict, ast.Tuple, ast.List, ast.keyword, ast.Return)):
        for kind in sorted(types & {"list", "dict", "set"}):
            yield context.swap(node, f"{kind}({text})", "copy instead of alias", 0.3)
    if isinstance(parent, (ast.Assign, ast.Return, ast.Call)) and "copy" in context.types.methods_of(types):
        yield context.swap(node, f"{text}.copy()", "copy instead of alias", 0.5)
    inner = context.types_within(node) & {"list", "dict", "set"}
    for kind in sorted(inner) if isinstance(parent, ast.Call) and context.text(parent.func) == "list" else ():
        yield context.swap(parent, f"[{kind}(inner) for inner in {text}]", "deep copy", 0.4)


def or_empty(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A lookup that may return None: `d.get(k, e)` becomes `d.get(k) or e`, `x` becomes `x or e`."""
    if not isinstance(node, (ast.Call, ast.Name, ast.Attribute, ast.Subscript)):
        return
    share = 1.6 if context.hints.errors & {"TypeError", "AttributeError"} else 1.0
    text, prior, empties = context.text(node), 0.0, ("()", "[]", '""', "{}", "0")
    if isinstance(node, ast.Call) and called_name(node) == "get" and isinstance(node.func, ast.Attribute):
        prior = 0.15 if len(node.args) == 1 else 0.0
        if len(node.args) == 2:
            text = f"{context.text(node.func)}({context.text(node.args[0])})"
            prior, empties = 0.4, (context.text(node.args[1]),)
    elif not isinstance(node, ast.Call) and _reads_number(context, node):
        prior, empties = 0.3, ("0",)
    elif not isinstance(node, ast.Call) and "NoneType" in context.type_of(node):
        prior = 0.12 if isinstance(node.ctx, ast.Load) and isinstance(context.parent(node), PLACES) else 0.0
    for other in empties if prior else ():
        yield context.swap(node, f"{text} or {other}", "empty instead of None", prior * share, tight=False)


def _reads_number(context: Context, node: ast.AST) -> bool:
    """Whether a text is what `int` or `float` is called with."""
    parent = context.parent(node)
    named = isinstance(parent, ast.Call) and context.text(parent.func) in ("int", "float", "Decimal")
    return named and parent.args == [node] and "str" in context.type_of(node)


def _wrappers(types: Types, parent: object) -> Iterator[tuple[str, float]]:
    if may_be(types, SIZED | {"generator", "map", "filter", "zip", "dict_keys", "dict_values"}):
        known = 1.0 if types else 0.5
        for name in ("list", "sorted", "set", "tuple", "reversed", "len", "sum"):
            yield name, (0.22 if name in ("list", "sorted", "len", "reversed") else 0.14) * known
    if types & {"dict", "defaultdict"}:
        yield "dict", 0.2
    if types & {"set", "generator"} or not types:
        yield "frozenset", 0.08
    if not types or types & NUMBERS:
        known = 1.0 if types else 0.5
        for name in ("abs", "int", "float", "str", "round"):
            yield name, (0.2 if name in ("abs", "int", "str") else 0.12) * known
    if types and not types & (NUMBERS | TEXT | SIZED):
        yield "str", 0.2
    if types & TEXT:
        yield "int", 0.25
        yield "float", 0.12
        yield "repr", 0.08
    if isinstance(parent, ast.Return):
        yield "bool", 0.15


def _methods(types: Types, node: ast.AST) -> Iterator[tuple[str, float]]:
    if types & TEXT or (not types and isinstance(node, ast.Name)):
        known = 1.0 if types else 0.3
        for name in ("strip()", "lower()", "upper()", "split()", "rstrip()", "lstrip()"):
            yield name, (0.3 if name in ("strip()", "lower()") else 0.15) * known
    if types & {"list", "dict", "set", "deque"}:
        yield "copy()", 0.3
    if types & {"dict", "defaultdict", "OrderedDict", "Counter"}:
        for name in ("items()", "values()", "keys()"):
            yield name, 0.25
    for kind, names in PLAIN_METHODS.items():
        for name in names if kind in types else ():
            yield f"{name}()", 0.25


def chained(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """One more string method in a chain: `x.lower()` becomes `x.strip().lower()`."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    owner = node.func.value
    types = context.type_of(owner)
    if types & TEXT or (not types and node.func.attr in TEXT_METHODS):
        end = context.src.span(owner)[1]
        for method, prior in (("strip()", 0.35), ("lower()", 0.25), ("rstrip()", 0.12)):
            if f".{method}" not in context.text(node):
                edit = Edit(end, end, f".{method}")
                yield Proposal((edit,), "add a method call", prior)


def removed_characters(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A string loses some characters: `.replace(",", "")`."""
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call)):
        return
    parent = context.parent(node)
    is_text = isinstance(parent, PLACES) and context.type_of(node) & TEXT
    if not is_text and not _text_piece(context, node):
        return
    if isinstance(parent, ast.Call) and parent.func is node:
        return
    for character in (",", " ", "-", "_", ".", "$", "%"):
        text = f'{context.wrapped(node)}.replace("{character}", "")'
        yield context.swap(node, text, "remove characters", 0.1)
    for pair in ('" ", "_"', '"_", " "', '"-", "_"'):
        text = f"{context.wrapped(node)}.replace({pair})"
        yield context.swap(node, text, "remove characters", 0.08)


def _text_piece(context: Context, node: ast.AST) -> bool:
    """Whether a node is an element of a split string."""
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr in ("split", "rsplit", "partition", "rpartition")
        and isinstance(getattr(node, "ctx", None), ast.Load)
        and isinstance(context.parent(node), PLACES)
    )


def bounded(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """`x = e` becomes `x = max(x, e)`; values get a lower or upper bound."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        types = context.type_of(target) | context.type_of(node.value)
        if isinstance(target, (ast.Name, ast.Attribute, ast.Subscript)) and may_be(types, NUMBERS):
            first, value = context.text(target), context.text(node.value)
            for name in ("max", "min"):
                prior = 0.4 if context.loop_of(node) is not None else 0.15
                yield context.swap(node.value, f"{name}({first}, {value})", "bound", prior)
    if isinstance(node, (ast.Return, ast.Assign)) and node.value is not None:
        types = context.type_of(node.value)
        if may_be(types, NUMBERS) and not isinstance(node.value, (ast.Tuple, ast.List, ast.Dict)):
            value = context.text(node.value)
            known = 1.0 if types else 0.5
            for bound in ("0", "1"):
                prior = (0.3 if bound == "0" else 0.15) * known
                yield context.swap(node.value, f"max({bound}, {value})", "bound", prior)
                yield context.swap(node.value, f"min({bound}, {value})", "bound", prior / 3)
            yield from _bounds_by_names(context, node.value, value)


def _bounds_by_names(context: Context, node: ast.AST, value: str) -> Iterator[Proposal]:
    for name in context.names:
        types = context.types.names.get(name, frozenset())
        if types & NUMBERS and name != value:
            yield context.swap(node, f"max({value}, {name})", "bound", 0.12)
            yield context.swap(node, f"min({value}, {name})", "bound", 0.12)
        elif types & SEQUENCES:
            yield context.swap(node, f"min({value}, len({name}))", "bound", 0.08)
    owner = context.types.names.get("self", frozenset())
    for name, types in context.types.attributes_of(owner).items():
        if types & NUMBERS and f"self.{name}" != value:
            for function in ("min", "max"):
                text = f"{function}(self.{name}, {value})"
                yield context.swap(node, text, "bound", 0.15)


def asynchronous(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A missing or needless `await`; `yield` and `yield from`."""
    if isinstance(node, ast.Call):
        function = context.function_of(node)
        if isinstance(function, ast.AsyncFunctionDef):
            parent = context.parent(node)
            if not isinstance(parent, ast.Await):
                yield context.swap(node, f"await {context.text(node)}", "await", 0.6, tight=False)
    if isinstance(node, ast.Await):
        yield context.swap(node, context.text(node.value), "drop await", 0.3, tight=False)
    if isinstance(node, ast.Yield) and node.value is not None:
        text = context.text(node.value)
        yield context.swap(node, f"yield from {text}", "yield from", 0.8)
        yield context.swap(node, f"return {text}", "return instead of yield", 0.1)
    if isinstance(node, ast.YieldFrom):
        yield context.swap(node, f"yield {context.text(node.value)}", "yield", 0.7)


FAMILY = (arguments, unwrap, wrap, chained, removed_characters, bounded, asynchronous, copied_argument, or_empty)
