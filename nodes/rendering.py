"""Renders prompt templates. Owns how foreign text is fenced; knows no node."""

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def fence(text: object, tag: str) -> str:
    """Wrap text from files, tools or people in tags which the text itself cannot close.

    Args:
        text: What to show; shown stripped.
        tag: Name of the tag, letters only.
    """
    # Models are no parsers: to them a closing tag in capitals or with spaces closes too.
    inner = re.sub(rf"<(?=\s*/\s*{tag})", r"<\\", str(text).strip(), flags=re.IGNORECASE)
    return f"<{tag}>\n{inner}\n</{tag}>"


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
    environment.filters["fence"] = fence
    return environment


def render(name: str, /, **values: Any) -> str:
    """Render `nodes/prompts/<name>.md.j2`.

    Raises:
        jinja2.UndefinedError: The template names a value that was not given.
        jinja2.TemplateNotFound: There is no such template.
    """
    return _environment().get_template(f"{name}.md.j2").render(**values).strip()
