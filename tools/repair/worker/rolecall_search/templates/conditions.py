"""Conditions: negated, replaced, weakened or strengthened by guards made from names in scope."""

from __future__ import annotations

import ast
from typing import Iterator

from rolecall_search.program.source import Edit
from rolecall_search.program.typeinfo import NUMBERS, SIZED, Types, may_be
from rolecall_search.templates.base import Context, Proposal

NONE = frozenset({"NoneType"})
PAIRED = 9
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


def tested(node: ast.AST) -> Iterator[ast.AST]:
    """The conditions in a node."""
    if isinstance(node, (ast.If, ast.While, ast.IfExp, ast.Assert)):
        yield node.test
    elif isinstance(node, ast.comprehension):
        yield from node.ifs


def negate(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A condition negated or made constant."""
    for test in tested(node):
        if not is_not(test):
            # The `not` that is lost stood before one operand more often than before all of them.
            prior = 0.3 if isinstance(test, ast.BoolOp) else 0.55
            yield context.swap(test, f"not {context.wrapped(test)}", "negate a condition", prior)
        yield context.swap(test, "True", "fixed condition", 0.2)
        yield context.swap(test, "False", "fixed condition", 0.2)
    if isinstance(node, (ast.Name, ast.Attribute, ast.Call)):
        parent = context.parent(node)
        if isinstance(parent, (ast.BoolOp, ast.IfExp)) or (
            isinstance(parent, (ast.Return, ast.keyword)) and context.type_of(node) == {"bool"}
        ):
            yield context.swap(node, f"not {context.text(node)}", "negate a condition", 0.45)
    if isinstance(node, (ast.Compare, ast.BoolOp)) and isinstance(
        context.parent(node), (ast.Return, ast.BoolOp, ast.Assign)
    ):
        yield context.swap(node, f"not ({context.text(node)})", "negate a condition", 0.35)


def ternary(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """The branches of a conditional expression swapped or one taken."""
    if not isinstance(node, ast.IfExp):
        return
    body, test, other = (context.text(part) for part in (node.body, node.test, node.orelse))
    text = f"{other} if {test} else {body}"
    yield context.swap(node, text, "swap branches", 0.5, tight=False)
    yield context.swap(node, body, "take one branch", 0.3, tight=False)
    yield context.swap(node, other, "take one branch", 0.3, tight=False)


def guards(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """`c` becomes `c or g`, `c and g`, `g`, for guards `g` over names in scope."""
    for test in tested(node):
        text = context.wrapped(test) if isinstance(test, (ast.BoolOp, ast.IfExp)) else (context.text(test))
        used = {inner.id for inner in ast.walk(test) if isinstance(inner, ast.Name)}
        for guard, prior in conditions(context, used):
            if guard == text:
                continue
            strong = prior * (1.2 if isinstance(node, (ast.If, ast.While)) else 0.7)
            for made in (f"{guard} or {text}", f"{text} or {guard}"):
                yield context.swap(test, made, "weaken a condition", strong * 0.55, tight=False)
            for made in (f"{guard} and {text}", f"{text} and {guard}"):
                yield context.swap(test, made, "strengthen a condition", strong * 0.55, tight=False)
            constant = isinstance(test, ast.Constant)
            share = 1.3 if constant else 0.3
            yield context.swap(test, guard, "another condition", strong * share)
    yield from _filters(context, node)


def better_than_known(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """`k not in best` becomes `k not in best or cost < best[k]`; `k in best` the same with `and`."""
    for test in tested(node):
        if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], (ast.In, ast.NotIn)):
            continue
        types = context.type_of(test.comparators[0])
        held = f"{context.text(test.comparators[0])}[{context.text(test.left)}]"
        word = "or" if isinstance(test.ops[0], ast.NotIn) else "and"
        for name in context.names if may_be(types, frozenset({"dict", "defaultdict"})) else ():
            kinds = context.types.names.get(name, frozenset())
            if kinds & NUMBERS or not kinds:
                for symbol, prior in (("<", 0.3), (">", 0.25), ("!=", 0.1), ("==", 0.1)):
                    made = f"{context.text(test)} {word} {name} {symbol} {held}"
                    yield context.swap(test, made, "compare with what is known", prior, tight=False)


def truthiness(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A truth test becomes a test for None or emptiness, and vice versa."""
    for test in tested(node):
        inner = test.operand if is_not(test) else test
        if isinstance(inner, (ast.Name, ast.Attribute, ast.Subscript, ast.NamedExpr)):
            text = context.wrapped(inner)
            forms = (
                (f"{text} is None", f'{text} is None or {text} == ""', f"{text} == 0")
                if is_not(test)
                else (f"{text} is not None", f'{text} is not None and {text} != ""', f"{text} > 0")
            )
            for form, prior in zip(forms, (0.6, 0.3, 0.15)):
                yield context.swap(test, form, "test for None", prior, tight=False)
        if isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.Is, ast.IsNot)):
            text = context.text(test.left)
            made = f"not {text}" if isinstance(test.ops[0], ast.Is) else text
            yield context.swap(test, made, "test truthiness", 0.4)


def once_or_again(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """`if` becomes `while` and back."""
    if not isinstance(node, (ast.If, ast.While)) or node.orelse:
        return
    start = context.src.span(node)[0]
    word, other, prior = ("if", "while", 0.3) if isinstance(node, ast.If) else ("while", "if", 0.15)
    if context.src.text.startswith(word, start):
        yield Proposal((Edit(start, start + len(word), other),), "if or while", prior)


def is_not(test: ast.AST) -> bool:
    """Whether a condition is a negation."""
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)


def conditional_value(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A value only under a guard: `e` becomes `e if g else []`."""
    if isinstance(node, (ast.For, ast.comprehension)):
        yield from _conditional(context, node.iter, ("[]",))
    elif isinstance(node, (ast.Return, ast.Assign)) and node.value is not None:
        yield from _conditional(context, node.value, ("[]", "0", "None", '""', "False", "1"))


def _conditional(context: Context, value: ast.expr, others: tuple[str, ...]) -> Iterator[Proposal]:
    if isinstance(value, (ast.Constant, ast.IfExp, ast.List, ast.Tuple)):
        return
    used = {inner.id for inner in ast.walk(value) if isinstance(inner, ast.Name)}
    text = context.text(value)
    yield from _special_case(context, value, text)
    yield from _parts(context, value, text)
    for name in context.names:
        types = context.types.names.get(name, frozenset())
        near = 0.5 if name in used else 0.2
        for guard in (name, f"{name} is not None"):
            for other in others:
                made = f"{text} if {guard} else {other}"
                share = 1.0 if types else 0.5
                yield context.swap(value, made, "conditional value", 0.25 * near * share)


def _parts(context: Context, value: ast.expr, text: str) -> Iterator[Proposal]:
    """Of a value made of several names, one of them alone where another is empty: `f"{a}-{b}" if a else b`."""
    names = list(dict.fromkeys(
        inner.id for inner in ast.walk(value) if isinstance(inner, ast.Name) and inner.id in context.names
    ))  # fmt: skip
    for one in names[:4] if isinstance(value, (ast.JoinedStr, ast.BinOp)) else ():
        for other in names[:4]:
            alike = context.types.names.get(other, frozenset()) & {"str", "list", "tuple"}
            if one != other and alike:
                yield context.swap(value, f"{text} if {one} else {other}", "conditional value", 0.25)


def _special_case(context: Context, value: ast.expr, text: str) -> Iterator[Proposal]:
    """Another value in a special case.

    `e` becomes `other if name else e` for a name that nothing reads or that is tested elsewhere, and
    `len(x)` becomes `len(x[0]) if x else 0`.
    """
    types = context.type_of(value)
    owner = context.types.names.get("self", frozenset())
    others = {name: kinds for name, kinds in context.types.names.items() if name in context.names}
    others.update({f"self.{name}": kinds for name, kinds in context.types.attributes_of(owner).items()})
    looked_at = {node.test.id for node in ast.walk(context.unit.node if context.unit else value)
                 if isinstance(node, (ast.If, ast.IfExp, ast.While)) and isinstance(node.test, ast.Name)}  # fmt: skip
    for name in sorted((context.unused | looked_at) & set(context.names)):
        for other, kinds in others.items():
            if other not in (name, text) and types & kinds:
                yield context.swap(value, f"{other} if {name} else {text}", "conditional value", 0.2)
                yield context.swap(value, f"{text} if {name} else {other}", "conditional value", 0.2)
    yield from _flagged(context, value, text)
    if isinstance(value, ast.Call) and len(value.args) == 1 and not value.keywords:
        part = context.text(value.args[0])
        if may_be(context.type_of(value.args[0]), SIZED):
            for other in ("0", "None"):
                made = f"{context.text(value.func)}({part}[0]) if {part} else {other}"
                yield context.swap(value, made, "first element if any", 0.25)


def _flagged(context: Context, value: ast.expr, text: str) -> Iterator[Proposal]:
    """What a flag decides: `Not(e) if negative else e` for a flag nothing reads, `ON if lit else OFF` for any."""
    flags = {name for name in context.names if "bool" in context.types.names.get(name, frozenset())}
    _, functions = context.src.plain_calls(context.src.tree)
    for name in sorted(context.unused & set(context.names)):
        made = [f"not {text}", f"-{text}", *(f"{function}({text})" for function in functions)]
        for other in made[:20]:
            yield context.swap(value, f"{other} if {name} else {text}", "conditional value", 0.15)
    if isinstance(value, ast.Name) and value.id in context.globals:
        others = [name for name in context.globals if name.isupper() and name != value.id and value.id.isupper()]
        for name in sorted(flags):
            for other in others[:8]:
                yield context.swap(value, f"{text} if {name} else {other}", "conditional value", 0.2)
                yield context.swap(value, f"{other} if {name} else {text}", "conditional value", 0.2)


def operand_guards(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """An operand of `or` holds only under a flag: `a or b` becomes `a or (flag and b)`."""
    if not isinstance(node, ast.BoolOp) or not isinstance(node.op, ast.Or):
        return
    used = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    for name in context.names:
        if name in used or "bool" not in context.types.names.get(name, frozenset()):
            continue
        for value in node.values:
            for guard in (name, f"not {name}"):
                inner = context.wrapped(value) if isinstance(value, (ast.BoolOp, ast.IfExp)) else context.text(value)
                made = f"({guard} and {inner})"
                yield context.swap(value, made, "strengthen a condition", 0.3 if guard == name else 0.12)


def _filters(context: Context, node: ast.AST) -> Iterator[Proposal]:
    """A comprehension gets a filter, or loses one."""
    if not isinstance(node, ast.comprehension):
        return
    for test in node.ifs:
        start, end = context.src.span(test)
        at = context.src.text.rfind("if", 0, start)
        if at >= 0:
            yield _cut(context, at, end)
    if not node.ifs:
        yield from _filters_by_text(context, node)
        names = [n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)]
        text = context.text(node.iter)
        for name in names:
            for guard in (name, f"{name} is not None", f"{name}.strip()", f"{name} != 0"):
                made = f"{text} if {guard}"
                yield context.swap(node.iter, made, "filter a comprehension", 0.25)
            for other in context.names:
                if other != name:
                    for symbol in ("!=", "in", "not in", "<", ">"):
                        made = f"{text} if {name} {symbol} {other}"
                        yield context.swap(node.iter, made, "filter a comprehension", 0.08)


def _filters_by_text(context: Context, node: ast.comprehension) -> Iterator[Proposal]:
    """Only those that give something, or whose attribute is one of the short texts of the tests or of the function."""
    text = context.text(node.iter)
    whole = context.parent(node)
    one = whole.elt if isinstance(whole, (ast.ListComp, ast.SetComp, ast.GeneratorExp)) else None
    if isinstance(one, (ast.Call, ast.Attribute, ast.Subscript)):
        yield context.swap(node.iter, f"{text} if {context.text(one)}", "filter a comprehension", 0.2)
    literals = dict.fromkeys([*context.strings, *context.hints.literals])
    short = [literal for literal in literals if len(literal) <= 12 and '"' not in literal and "\\" not in literal]
    for name in (inner.id for inner in ast.walk(node.target) if isinstance(inner, ast.Name)):
        for attribute, kinds in context.types.attributes_of(context.types.names.get(name, frozenset())).items():
            for literal in short[:12] if "str" in kinds else ():
                made = f'{text} if {name}.{attribute} == "{literal}"'
                yield context.swap(node.iter, made, "filter a comprehension", 0.1)


def _cut(context: Context, start: int, end: int) -> Proposal:
    while start > 0 and context.src.text[start - 1] == " ":
        start -= 1
    return Proposal((Edit(start, end, ""),), "drop a filter", 0.35)


def conditions(context: Context, used: set[str]) -> Iterator[tuple[str, float]]:
    """Conditions over the names in scope; those `used` nearby come first."""
    for name in context.names:
        near = 1.0 if name in used else 0.55
        types = context.types.names.get(name, frozenset())
        for guard, prior in simple_guards(name, types, none_errors=_none_errors(context)):
            yield guard, prior * near
    owner = context.types.names.get("self", frozenset())
    for name, types in context.types.attributes_of(owner).items():
        for guard, prior in simple_guards(f"self.{name}", types, none_errors=_none_errors(context)):
            yield guard, prior * 0.5
    yield from text_guards(context)
    yield from _attribute_guards(context, used)
    yield from pair_guards(context, used)


def _none_errors(context: Context) -> bool:
    return bool(context.hints.errors & {"AttributeError", "TypeError"})


def simple_guards(name: str, types: Types, *, none_errors: bool) -> Iterator[tuple[str, float]]:
    """Conditions over one name."""
    known = bool(types)
    if may_be(types, NONE):
        prior = (0.6 if known else 0.25) * (1.3 if none_errors else 0.8)
        yield f"{name} is None", prior
        yield f"{name} is not None", prior
    if not known or types & (SIZED | {"bool", "NoneType"}) or not types <= NUMBERS:
        yield f"not {name}", 0.4 if known else 0.25
        yield name, 0.4 if known else 0.25
    if types & SIZED:
        yield f"len({name}) > 1", 0.2
        yield f"len({name}) == 1", 0.15
        yield f"len({name}) <= 1", 0.15
    if may_be(types, NUMBERS - {"bool"}):
        share = 1.0 if known else 0.3
        for symbol, prior in (("==", 0.35), ("<", 0.3), ("<=", 0.25), (">", 0.3), (">=", 0.2), ("!=", 0.3)):
            yield f"{name} {symbol} 0", prior * share
        for symbol in ("==", "<=", ">", "<"):
            yield f"{name} {symbol} 1", 0.15 * share
    if not known or (types - NUMBERS - NONE - SIZED):
        return
    if len(types & {"str", "list", "int", "tuple", "dict"}) > 1:
        for kind in sorted(types & {"str", "list", "int", "tuple", "dict"}):
            yield f"isinstance({name}, {kind})", 0.3
            yield f"not isinstance({name}, {kind})", 0.25


def text_guards(context: Context) -> Iterator[tuple[str, float]]:
    """Whether a text begins with one of the marks that the documentation quotes."""
    for name in context.names if context.marks else ():
        if "str" in context.types.names.get(name, frozenset()):
            for mark in context.marks:
                yield f'{name}.startswith("{mark}")', 0.3


def plural_guards(context: Context) -> Iterator[tuple[str, float]]:
    """Membership as of a sibling: beside `one.day in self.days` also `one.month in self.months`."""
    owner = context.types.names.get("self", frozenset())
    held = [name for name, kinds in context.types.attributes_of(owner).items() if kinds & SIZED and name.endswith("s")]
    root = context.unit.node if context.unit is not None else context.src.tree
    for node in ast.walk(root) if held else ():
        if not isinstance(node, ast.Compare) or not isinstance(node.left, ast.Attribute):
            continue
        for name in held if isinstance(node.ops[0], (ast.In, ast.NotIn)) else ():
            yield f"{context.text(node.left.value)}.{name[:-1]} not in self.{name}", 0.6
            yield f"{context.text(node.left.value)}.{name[:-1]} in self.{name}", 0.2


def _attribute_guards(context: Context, used: set[str]) -> Iterator[tuple[str, float]]:
    """Conditions over attributes that the unit reads anyway, and over those of nearby names."""
    seen = set()
    for text, types in read_attributes(context):
        seen.add(text)
        for guard, prior in simple_guards(text, types, none_errors=_none_errors(context)):
            yield guard, prior * 0.6
    for name in context.names:
        if name not in used:
            continue
        owner = context.types.names.get(name, frozenset())
        for attribute, types in context.types.attributes_of(owner).items():
            if f"{name}.{attribute}" not in seen:
                for guard, prior in simple_guards(f"{name}.{attribute}", types, none_errors=False):
                    yield guard, prior * 0.5


def read_attributes(context: Context) -> list[tuple[str, Types]]:
    """The attribute chains a unit reads, without calls, and their types."""
    found: dict[str, Types] = {}
    root = context.unit.node if context.unit is not None else context.src.tree
    for node in ast.walk(root):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            parent = context.parent(node)
            called = isinstance(parent, ast.Call) and parent.func is node
            text = context.text(node)
            if not called and text not in found and text.replace(".", "").isidentifier():
                types = context.type_of(node)
                if types:
                    found[text] = types
    return list(found.items())[:12]


def pair_guards(context: Context, used: set[str]) -> Iterator[tuple[str, float]]:
    """Comparisons of two names of similar types, and membership."""
    known = context.types.names
    names = context.names[:PAIRED]
    for at, one in enumerate(names):
        left = known.get(one, frozenset())
        for other in names[at + 1 :]:
            right = known.get(other, frozenset())
            near = 0.5 + 0.25 * ((one in used) + (other in used))
            if left & NUMBERS and right & NUMBERS:
                for symbol in COMPARISONS:
                    yield f"{one} {symbol} {other}", 0.2 * near
            elif left and right and left & right - NONE:
                yield f"{one} == {other}", 0.15 * near
                yield f"{one} != {other}", 0.15 * near
        for other in names:
            right = known.get(other, frozenset())
            if other != one and left and right & SIZED - {"str"} and not left & {"list", "dict", "set"}:
                near = 0.5 + 0.25 * ((one in used) + (other in used))
                yield f"{one} in {other}", 0.2 * near
                yield f"{one} not in {other}", 0.2 * near
            if other != one and left & {"int"} and right & {"list", "str", "tuple"}:
                for symbol in ("<", ">=", "=="):
                    yield f"{one} {symbol} len({other})", 0.2 * (0.6 if other not in used else 1.0)


FAMILY = (negate, ternary, guards, better_than_known, truthiness, once_or_again, conditional_value, operand_guards)
