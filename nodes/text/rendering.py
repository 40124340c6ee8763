"""Renders prompt templates, foreign text in fences. Values are data: none is read as a template. Knows no node."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from nodes.text.quoting import fence


def bullets(items: Iterable[object]) -> str:
    """A list, one item per line."""
    return "\n".join(f"- {item}" for item in items)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("nodes", "prompts"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        autoescape=False,  # noqa: S701 - Markdown for a model, not HTML
    )
    environment.filters |= {"fence": fence, "bullets": bullets}
    return environment


def render(name: str, /, **values: Any) -> str:
    """Render `nodes/prompts/<name>.md.j2`.

    Raises:
        jinja2.UndefinedError: The template names a value that was not given.
        jinja2.TemplateNotFound: There is no such template.
    """
    return _environment().get_template(f"{name}.md.j2").render(**values).strip()
