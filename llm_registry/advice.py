"""Turns what is wrong with a spec into the line of the configuration that mends it.

Owns the wording and finding the line; nothing is changed and no server is asked here.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from core.settings import ModelSpec, Settings
from core.suggest import near_matches
from llm_registry.addresses import DEFAULT_URLS, endpoint_url
from llm_registry.facts import EndpointFacts
from llm_registry.links import Chain, Link
from llm_registry.window import sets_window, window_of

SMALL_WINDOW = 8192
"""Tokens below which a coding loop forgets what it read."""
_LARGE_ROLES = frozenset({"primary", "coder", "reasoning"})
_KEY_VARIABLES = {"openrouter": "OPENROUTER_API_KEY"}


@dataclass(frozen=True, slots=True)
class Found:
    """A model server that answers on this machine, whether configured or not."""

    url: str
    facts: EndpointFacts

    def as_spec(self, model: str = "") -> dict[str, str]:
        """The spec that would use it."""
        name = model or next(iter(self.facts.models), "")
        if self.facts.server == "ollama":
            return {"provider": "ollama", "model": name, "base_url": self.url}
        return {"provider": "openai_compatible", "model": name, "base_url": self.url}


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to change."""

    problem: str
    place: str
    """File and line, or the dotted key when there is no file."""
    line: str
    """What to write there, as it stands in a JSON file."""
    otherwise: str = ""
    """What else would help."""


class Adviser:
    """Knows the configuration file and what runs on this machine.

    Args:
        settings: As loaded.
        config: The file they came from, if any.
        found: Servers that answer.
    """

    def __init__(self, settings: Settings, config: Path | None, found: Sequence[Found]) -> None:
        self._named = frozenset(settings.llm.models)
        self._config = config
        self._text = config.read_text(encoding="utf-8") if config is not None and config.is_file() else ""
        self._found = found

    def for_spec(self, link: Link, facts: EndpointFacts, roles: Iterable[str]) -> tuple[Advice, ...]:
        """What to change about one spec; empty when it can serve."""
        if link.embedded or link.spec.provider == "scripted":
            return ()
        if not facts.reachable:
            return (self._absent(link, facts),)
        if facts.error:
            return (self._refused(link, facts),)
        if facts.offers(link.spec.model) is False:
            return (self._no_model(link, facts),)
        return tuple(self._narrow(link, facts, frozenset(roles)))

    def for_role(self, chain: Chain) -> tuple[Advice, ...]:
        """What to change about a role that nothing but the engine without weights serves."""
        if any(not link.embedded for link in chain.links):
            return ()
        spec = next((one.as_spec() for one in self._found if one.facts.models), None)
        example = spec or {"provider": "ollama", "model": "NAME", "base_url": DEFAULT_URLS["ollama"]}
        seen = "a server that answers here" if spec else "no model server was found on this machine; start one"
        return (
            Advice(
                f"no model is configured for {chain.role!r}; only the engine without weights serves it",
                self._place(("llm", chain.role)), f'"{chain.role}": {json.dumps(example)}', seen,
            ),
        )  # fmt: skip

    def _absent(self, link: Link, facts: EndpointFacts) -> Advice:
        spec = link.spec
        if spec.provider == "gguf":
            line = '"options": {"path": "/path/to/a/file.gguf"}'
            return Advice(f"{link.name}: {facts.error}", self._key(link, "options"), line)
        url = endpoint_url(spec)
        other = self._elsewhere(spec)
        problem = f"{link.name}: {facts.error} at {url or 'its address'}"
        if other is not None:
            what = f"{other.facts.server} answers there"
            return Advice(problem, self._key(link, "base_url"), f'"base_url": "{other.url}"', what)
        return Advice(problem, self._key(link, "base_url"), f'"base_url": "{url or "http://HOST:PORT/v1"}"',
                      "start the server there, or name where it runs")  # fmt: skip

    def _refused(self, link: Link, facts: EndpointFacts) -> Advice:
        if "key was refused" in facts.error:
            variable = _KEY_VARIABLES.get(link.spec.provider, "MY_API_KEY")
            return Advice(f"{link.name}: {facts.error}", self._key(link, "api_key"), f'"api_key": "${{{variable}}}"',
                          f"export {variable}=… with a valid key")  # fmt: skip
        if "credit" in facts.error:
            return Advice(f"{link.name}: {facts.error}", self._key(link, "enabled"), '"enabled": false',
                          "raise the limit of the key")  # fmt: skip
        better = facts.error.partition("did you mean ")[2].rstrip("?")
        url = better or endpoint_url(link.spec)
        return Advice(f"{link.name}: {facts.error}", self._key(link, "base_url"), f'"base_url": "{url}"')

    def _no_model(self, link: Link, facts: EndpointFacts) -> Advice:
        near = near_matches(link.spec.model, facts.models) or facts.models[:3]
        otherwise = f"it offers {', '.join(facts.models[:8])}"
        if facts.server == "ollama":
            otherwise = f"`ollama pull {link.spec.model}`, or one it has: {', '.join(facts.models[:8])}"
        return Advice(
            f"{link.name}: the server has no model {link.spec.model!r}", self._key(link, "model"),
            f'"model": "{near[0]}"', otherwise,
        )  # fmt: skip

    def _narrow(self, link: Link, facts: EndpointFacts, roles: frozenset[str]) -> Iterable[Advice]:
        window = window_of(link.spec, facts)
        if window.warning:
            yield Advice(
                f"{link.name}: {window.warning}", self._key(link, "context_length"), '"context_length": "auto"'
            )
        if "coder" in roles and facts.calls_tools(link.spec.model) is False:
            yield Advice(f"{link.name}: the model cannot call tools, which `coder` needs", self._key(link, "model"),
                         '"model": "ONE THAT CALLS TOOLS"', _tool_models(facts))  # fmt: skip
        if window.tokens is None:
            yield Advice(f"{link.name}: the server does not say how many tokens it loaded",
                         self._key(link, "context_length"), f'"context_length": {SMALL_WINDOW}',
                         "write what you gave the server when it loaded the model")  # fmt: skip
        large = sorted(roles & _LARGE_ROLES)
        if window.tokens is None or window.tokens >= SMALL_WINDOW or not large:
            return
        problem = f"{link.name}: a window of {window.tokens} tokens is small for {', '.join(large)}"
        wanted = min(2 * SMALL_WINDOW, window.limit or 2 * SMALL_WINDOW)
        by_us = sets_window(link.spec) or link.spec.provider == "gguf"
        otherwise = "" if by_us else f"load the model with {wanted} tokens in the server; it decides, not this line"
        yield Advice(problem, self._key(link, "context_length"), f'"context_length": {wanted}', otherwise)

    def _elsewhere(self, spec: ModelSpec) -> Found | None:
        """A server that answers and has the model, or else speaks the same protocol."""
        able = [one for one in self._found if one.facts.models and one.url != endpoint_url(spec)]
        alike = [one for one in able if (one.facts.server == "ollama") == (spec.provider == "ollama")]
        having = [one for one in alike if one.facts.offers(spec.model)]
        return next(iter([*having, *alike]), None)

    def _key(self, link: Link, key: str) -> str:
        named = link.origin in self._named
        return self._place(("llm", *(("models",) if named else ()), link.origin, key))

    def _place(self, path: tuple[str, ...]) -> str:
        dotted = ".".join(path)
        line = line_of(self._text, path) if self._text else None
        return f"{self._config}:{line} ({dotted})" if line is not None else dotted


def _tool_models(facts: EndpointFacts) -> str:
    able = [name for name, can in facts.tools.items() if can]
    return f"the server has {', '.join(able[:5])}" if able else "for llama.cpp start the server with --jinja"


def line_of(text: str, path: Sequence[str]) -> int | None:
    """Line of a key in a JSON or YAML text, counted from 1; of its nearest parent when the key is not there."""
    try:
        # Tabs are blanks in JSON, but not in YAML, which else holds all of JSON.
        node = yaml.compose(text.replace("\t", " "), Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    line: int | None = None
    for key in path:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        match = next((pair for pair in pairs if pair[0].value == key), None)
        if match is None:
            return line
        line, node = match[0].start_mark.line + 1, match[1]
    return line
