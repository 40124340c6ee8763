"""Renders prompt templates. Owns how foreign text is fenced; knows no node."""

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def fence(text: object, tag: str) -> str:
    """Wrap text from files, tools or people in tags which the text itself can neither close nor forge.

    Args:
        text: What to show; shown stripped.
        tag: Name of the tag, letters only.
    """
    # Models are no parsers: to them a closing tag in capitals or with spaces closes too. The task and guidance are
    # what a model follows, so no file or check may bring one of its own.
    marks = rf"<(?=\s*/\s*{tag}|\s*/?\s*(?:task|guidance)\b)"
    inner = re.sub(marks, r"<\\", str(text).strip(), flags=re.IGNORECASE)
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
