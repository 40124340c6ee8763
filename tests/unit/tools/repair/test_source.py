"""Units compile alone, and offsets fit the text whatever it holds."""

import os
from pathlib import Path
from textwrap import dedent

import pytest
from rolecall_search.program.source import Edit, SourceFile, signature_of
from rolecall_search.trials.live import LiveCode


def load(folder: Path, text: str) -> SourceFile:
    path = folder / "program.py"
    path.write_text(text, encoding="utf-8")
    return SourceFile.load(str(path), "program.py")


def test_offset_counts_characters_not_bytes(tmp_path: Path) -> None:
    source = load(tmp_path, 'def f(a):\n    return "häßlich" + a\n')
    value = source.units[0].node.body[0].value.right
    start, end = source.span(value)
    assert source.text[start:end] == "a"


@pytest.mark.parametrize(
    "text",
    [
        "class A:\n    def f(self):\n        return super().__init__()\n",
        "if True:\n    class A:\n        def f(self):\n            return self.__x\n",
        "class A:\n\tclass B:\n\t\tdef f(self):\n\t\t\treturn 1\n",
        "try:\n    def f():\n        return 1\nexcept OSError:\n    pass\n",
        "class A:\n    @property\n    def f(self):\n        return [x for x in self.y]\n",
    ],
    ids=["super", "private name", "tabs", "in a try", "decorated"],
)
def test_unit_compiles_to_the_same_code_as_in_its_module(tmp_path: Path, text: str) -> None:
    source = load(tmp_path, text)
    unit = source.units[0]
    alone = source.compile_unit(unit, ())

    def search(code: object) -> object:
        for const in code.co_consts:
            if hasattr(const, "co_consts"):
                found = const if const.co_name == "f" else search(const)
                if found is not None:
                    return found
        return None

    whole = search(compile(text, source.path, "exec"))
    assert signature_of(alone) == signature_of(whole)


def test_live_functions_get_the_new_code_behind_decorators_and_closures(tmp_path: Path) -> None:
    text = dedent("""
        import functools

        def loud(function):
            @functools.wraps(function)
            def inner(*args):
                return function(*args)
            return inner

        class A:
            def make(self):
                def nested(x):
                    return x - 1
                return nested

        @loud
        def f(x):
            return x - 1
    """)
    source = load(tmp_path, text)
    scope: dict[str, object] = {}
    exec(compile(text, source.path, "exec"), scope)
    f, nested = scope["f"], scope["A"]().make()
    live = LiveCode(os.path.realpath)
    for unit in source.units:
        at = source.text.find("x - 1", unit.start, unit.end)
        if at >= 0:
            edits = (Edit(at, at + 5, "x + 1"),)
            live.swap(source, unit, source.compile_unit(unit, edits))
    assert (f(1), nested(1), scope["A"]().make()(1)) == (2, 2, 2)
