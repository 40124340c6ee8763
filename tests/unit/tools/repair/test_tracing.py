"""What a tracer that looks at some functions only has seen."""

from rolecall_search.runtime.tracing import TraceTracer


def test_each_take_has_the_lines_since_the_last(tmp_path) -> None:  # type: ignore[no-untyped-def]
    name = str(tmp_path / "program.py")
    space: dict[str, object] = {}
    exec(compile("def f(x):\n    y = x + 1\n    return y\n", name, "exec"), space)
    tracer = TraceTracer(lambda path: path == name)
    tracer.only(frozenset({(name, 2)}))
    tracer.start()
    seen = []
    for _ in range(2):
        space["f"](1)  # type: ignore[operator]
        seen.append(tracer.take())
    tracer.stop()
    assert all(set(lines[name]) >= {2, 3} for lines in seen)
