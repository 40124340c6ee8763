"""Turns what is wrong with a spec into the configuration line that fixes it.

Owns the wording; changes nothing and asks no server.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.config.settings import EMBEDDED, USUAL_FALLBACK, ModelSpec, Settings
from core.suggest import near_matches
from llm_registry.diagnosis.config_edits import ConfigFile
from llm_registry.diagnosis.endpoint_guesses import FoundServer
from llm_registry.diagnosis.live_checks import LiveChecks
from llm_registry.discovery.context_window import cannot_set_window, context_window, num_ctx_for
from llm_registry.discovery.server_info import EndpointFacts, EndpointProblem
from llm_registry.providers.catalog import provider_names
from llm_registry.specs.addresses import DEFAULT_URLS, endpoint_url, sets_window
from llm_registry.specs.network import is_local
from llm_registry.specs.role_chains import Chain, ChainLink

SMALL_WINDOW = 8192
"""Tokens below which a coding loop forgets what it read."""
_LARGE_ROLES = frozenset({"primary", "coder", "reasoning"})
_KEY_VARIABLES = {"openrouter": "OPENROUTER_API_KEY"}
_SOMEWHERE = {"ollama": "http://HOST:11434", "openai_compatible": "http://HOST:PORT/v1"}


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to change."""

    problem: str
    place: str
    """File and line, or the dotted key when there is no file; empty when no line needs changing."""
    line: str
    """What to write there, as it appears in a JSON file."""
    otherwise: str = ""
    """What else would help, or the only remedy when there is no line."""
    urgent: bool = True
    """A role is served worse than configured, if this spec is its first choice."""


class Adviser:
    """Knows the configuration file and what runs on this machine.

    Args:
        settings: As loaded.
        file: The file they came from.
        found: Servers that answer on the usual ports of this machine.
        nearby: By name of spec, the server that answers close to a wrong address.
    """

    def __init__(
        self, settings: Settings, file: ConfigFile, found: Sequence[FoundServer], nearby: Mapping[str, FoundServer]
    ) -> None:
        self._llm = settings.llm
        self._file = file
        self._found = found
        self._nearby = nearby

    def for_spec(self, link: ChainLink, facts: EndpointFacts, roles: Iterable[str]) -> tuple[Advice, ...]:
        """What to change about one spec; empty when it can serve."""
        if link.embedded or link.spec.provider == "scripted":
            return ()
        broken = self._unusable(link, facts)
        return broken or tuple(self._narrow(link, facts, frozenset(roles)))

    def _unusable(self, link: ChainLink, facts: EndpointFacts) -> tuple[Advice, ...]:
        """What keeps a spec from serving."""
        if link.spec.provider not in provider_names():
            near = near_matches(link.spec.provider, provider_names()) or ("openai_compatible",)
            return (self._advise(link, f"{link.name}: {facts.error}", ("provider",), near[0]),)
        if link.spec.provider == "openrouter" and not link.spec.api_key:
            return (
                self._refused(
                    link, replace(facts, problem=EndpointProblem.KEY_REFUSED, error="the key was refused: none is set")
                ),
            )
        if link.spec.provider == "gguf" and facts.error:
            return (self._no_file(link, facts),)
        if facts.connected and not facts.reachable:
            return (Advice(f"{link.name}: {facts.error}; it is busy, or it hangs", "", "",
                           "try again when it is idle, or restart the server; --live waits longer",
                           urgent=False),)  # fmt: skip
        if facts.misplaced or not facts.reachable:
            return tuple(self._absent(link, facts))
        return self._unwilling(link, facts)

    def _unwilling(self, link: ChainLink, facts: EndpointFacts) -> tuple[Advice, ...]:
        """What keeps a reachable server from serving."""
        if facts.error:
            return (self._refused(link, facts),)
        return (self._no_model(link, facts),) if facts.offers(link.spec.model) is False else ()

    def for_trips(
        self, link: ChainLink, trips: LiveChecks, roles: Iterable[str], *, callers: Sequence[str],
        writers: Sequence[str], behind: Collection[str],
    ) -> Iterable[Advice]:  # fmt: skip
        """What to change about a spec that was tried out.

        Args:
            link: The spec.
            trips: How it did.
            roles: Which roles it serves.
            callers: Who called the tool, by role or named model.
            writers: Who gave the JSON object.
            behind: Who is in a chain with the spec.
        """
        if trips.error:
            place, line = ("", "") if link.spec.fallback else self._fallback(link)
            yield Advice(f"{link.name}: {trips.error}", place, line, "check the server's log, or restart it")
            return
        if not trips.tool_call.ok and "coder" in roles:
            hint = "for llama.cpp start the server with --jinja; for vLLM with --enable-auto-tool-choice"
            problem = f"{link.name} cannot call tools, which `coder` needs: {trips.tool_call.detail}"
            other = next((name for name in callers if name not in {link.origin, "coder"}), None)
            place, line = self._file.edit(("llm", "coder"), other) if other else ("", "")
            yield Advice(problem, place, line, hint if other else f"use a model that can; {hint}")
        if not trips.json.ok and link.spec.api == "responses":
            yield self._advise(
                link, f"{link.name} ignores the requested format in /v1/responses: {trips.json.detail}",
                ("api",), "auto", "JSON objects are then requested through chat completions",
            )  # fmt: skip
        elif not trips.json.ok:
            yield self._no_objects(link, trips, writers, behind)

    def _no_objects(
        self, link: ChainLink, trips: LiveChecks, writers: Sequence[str], behind: Collection[str]
    ) -> Advice:
        """The embedded engine cannot help here: it only fills in objects for a repair."""
        problem = f"{link.name} does not return a valid JSON object: {trips.json.detail}"
        standing = [name for name in writers if name in behind]
        if standing:
            said = f"{standing[0]}, which does, is used instead; a larger model would save time"
            return Advice(problem, "", "", said, urgent=False)
        what = "a larger model, or a server with json_schema"
        if not writers:
            return Advice(problem, "", "", f"take {what}", urgent=False)
        rest = [name for name in link.spec.fallback or () if name != EMBEDDED]
        last = [EMBEDDED] if EMBEDDED in (link.spec.fallback or ()) else []
        return self._advise(link, problem, ("fallback",), [*rest, writers[0], *last], what, urgent=False)

    def for_pairs(self, links: Iterable[ChainLink], facts: Mapping[str, EndpointFacts]) -> Iterable[Advice]:
        """Specs that make Ollama reload one model again and again, because each requests a different window."""
        widest: dict[tuple[str, str], tuple[str, int]] = {}
        asked = [(link, num_ctx_for(link.spec, facts[link.name])) for link in links if sets_window(link.spec)]
        for link, tokens in sorted(asked, key=lambda pair: -(pair[1] or 0)):
            other, most = widest.setdefault((link.endpoint, link.spec.model), (link.name, tokens or 0))
            if tokens is not None and tokens != most:
                problem = (
                    f"{link.name} asks for {tokens} tokens and {other} for {most} of the same model, which is reloaded"
                )
                key = ("options", "num_ctx") if link.spec.options.get("num_ctx") else ("context_length",)
                yield self._advise(link, f"{problem} on each switch", key, most, urgent=False)

    def for_role(self, chain: Chain) -> tuple[Advice, ...]:
        """What to change about a role that only the embedded engine serves."""
        if any(not link.embedded for link in chain.links):
            return ()
        entry = (self._llm.__pydantic_extra__ or {}).get(chain.role)
        if isinstance(entry, ModelSpec) and not entry.enabled:
            problem = f"the model configured for {chain.role!r} is disabled"
            return (Advice(problem, *self._file.edit(("llm", chain.role, "enabled"), value=True)),)
        spec = next((one.as_spec() for one in self._found if one.facts.models), None)
        example: dict[str, Any] = {
            **(spec or {"provider": "ollama", "model": "NAME", "base_url": DEFAULT_URLS["ollama"]}),
            "fallback": [EMBEDDED],
        }
        seen = "a server that answers here" if spec else "no model server was found on this machine; start one"
        return (
            Advice(
                f"no model is configured for {chain.role!r}; only the embedded engine (no LLM) serves it",
                *self._file.edit(("llm", chain.role), example), seen,
            ),
        )  # fmt: skip

    def _absent(self, link: ChainLink, facts: EndpointFacts) -> Iterable[Advice]:
        """The address is wrong, or no server is running."""
        spec, url = link.spec, endpoint_url(link.spec)
        problem = f"{link.name}: {facts.error}{'' if facts.misplaced or not url else f' at {url}'}"
        near, stay = self._nearby.get(link.name), _stay(url, facts)
        if near is None and url and not is_local(url):
            yield Advice(problem, "", "", "check the address and the network; set HTTPS_PROXY if you need a proxy")
            return
        other = near or self._elsewhere(spec)
        if other is None:
            example = _SOMEWHERE.get(spec.provider, _SOMEWHERE["openai_compatible"])
            yield self._advise(link, problem, ("base_url",), example, stay)
            return
        wanted = {"provider": other.provider, "base_url": other.url}
        if other.facts.offers(spec.model) is False:
            like = near_matches(spec.model, other.facts.models)
            wanted["model"] = like[0] if like else other.first_model()
        now = {"provider": spec.provider, "base_url": spec.base_url, "model": spec.model}
        if (spec.provider == "ollama") == (other.provider == "ollama"):
            del wanted["provider"]
        server = other.facts.server if other.facts.server != "generic" else "a server"
        what = f"{server} answers there{'' if near or not url else f'; or {stay}'}"
        for key in [key for key, value in wanted.items() if value != now[key]]:
            yield self._advise(link, problem, (key,), wanted[key], what)
            problem = f"{link.name}: and also"

    def _no_file(self, link: ChainLink, facts: EndpointFacts) -> Advice:
        problem = f"{link.name}: {facts.error}"
        if facts.problem is EndpointProblem.EXTRA_MISSING:
            return Advice(problem, "", "")
        given = str(link.spec.options.get("path") or link.spec.model)
        path = Path(given).expanduser()
        folder = path if path.is_dir() else path.parent
        there = sorted(str(one) for one in folder.glob("*.gguf") if one != path) if folder.is_dir() else []
        near = near_matches(str(path), there) or there
        key = ("options", "path") if link.spec.options.get("path") else ("model",)
        names = ", ".join(Path(one).name for one in there[:5])
        what = f"{folder} contains {names}" if names else "nothing is downloaded"
        return self._advise(link, problem, key, near[0] if near else "/path/to/a/file.gguf", what)

    def _refused(self, link: ChainLink, facts: EndpointFacts) -> Advice:
        if facts.problem is EndpointProblem.KEY_REFUSED:
            if named := self._file.variable(self._path(link, ("api_key",))):
                return Advice(f"{link.name}: {facts.error}", "the environment", f"export {named}=A-VALID-KEY")
            variable = _KEY_VARIABLES.get(link.spec.provider, "MY_API_KEY")
            return self._advise(link, f"{link.name}: {facts.error}", ("api_key",), f"${{{variable}}}",
                                f"export {variable}=… with a valid key")  # fmt: skip
        if facts.problem is EndpointProblem.NO_CREDIT:
            return self._advise(link, f"{link.name}: {facts.error}", ("enabled",), value=False,
                                otherwise="raise the key's limit")  # fmt: skip
        if facts.uncertain and not link.spec.api_key and link.spec.provider != "ollama":
            return self._advise(link, f"{link.name}: {facts.error}", ("api_key",), "${MY_API_KEY}",
                                "export MY_API_KEY=…; --live shows whether it works anyway",
                                urgent=False)  # fmt: skip
        tell = "; --live shows whether it works anyway" if facts.uncertain else ", and try again"
        return Advice(f"{link.name}: {facts.error}", "", "", f"check the server's log{tell}",
                      urgent=not facts.uncertain)  # fmt: skip

    def _no_model(self, link: ChainLink, facts: EndpointFacts) -> Advice:
        wanted = link.spec.model
        near = near_matches(wanted, facts.models) or (FoundServer(endpoint_url(link.spec), facts).first_model(),)
        otherwise = f"it offers {', '.join(facts.models[:8])}"
        if facts.server == "ollama" and wanted:
            otherwise = f"`ollama pull {wanted}`, or one it has: {', '.join(facts.models[:8])}"
        problem = f"{link.name}: the server has no model {wanted!r}" if wanted else f"{link.name}: no model is set"
        return self._advise(link, problem, ("model",), near[0], otherwise)

    def _narrow(self, link: ChainLink, facts: EndpointFacts, roles: frozenset[str]) -> Iterable[Advice]:
        window = context_window(link.spec, facts)
        if window.warning and not cannot_set_window(link.spec, facts):
            yield self._advise(link, f"{link.name}: {window.warning}", ("context_length",), "auto", urgent=False)
        if "coder" in roles and facts.calls_tools(link.spec.model) is False:
            able = next((name for name, can in facts.tools.items() if can), "")
            problem = f"{link.name}: the model cannot call tools, which `coder` needs"
            if able:
                yield self._advise(link, problem, ("model",), able, "or another one that can")
            else:
                yield Advice(problem, "", "", "use a model that can; start llama.cpp's server with --jinja")
        large = sorted(roles & _LARGE_ROLES)
        narrow = window.tokens is None or (window.tokens < SMALL_WINDOW and bool(large))
        if narrow and facts.server == "ollama" and not sets_window(link.spec):
            yield from self._leave_v1(link, window.tokens)
            return
        if window.tokens is None:
            yield self._advise(
                link, f"{link.name}: the server does not report its context size", ("context_length",),
                SMALL_WINDOW, "enter the context size the server was started with", urgent=False,
            )  # fmt: skip
        elif narrow:
            yield self._small(
                link, facts, f"a context window of {window.tokens} tokens is small for {', '.join(large)}"
            )

    def _leave_v1(self, link: ChainLink, tokens: int | None) -> Iterable[Advice]:
        """Ollama sets the window of a call in its own protocol only."""
        known = f"{tokens} tokens" if tokens else "its default, which may be 4096 tokens,"
        problem = f"{link.name}: Ollama uses {known} for this model, and its /v1 cannot request more"
        root = endpoint_url(link.spec).removesuffix("/v1")
        for key, value, now in (("base_url", root, link.spec.base_url), ("provider", "ollama", link.spec.provider)):
            if value != now:
                yield self._advise(link, problem, (key,), value, urgent=False)
                problem = f"{link.name}: and also"

    def _small(self, link: ChainLink, facts: EndpointFacts, problem: str) -> Advice:
        """What widens a window: the line that narrows it, or else the server."""
        window, said = context_window(link.spec, facts), f"{link.name}: {problem}"
        wanted = min(2 * SMALL_WINDOW, window.limit or 2 * SMALL_WINDOW)
        if window.tokens is not None and wanted <= window.tokens:
            return Advice(
                said, "", "", "the model supports no more; use one with a larger context window", urgent=False
            )
        if sets_window(link.spec) or link.spec.provider == "gguf":
            key = ("options", "num_ctx") if link.spec.options.get("num_ctx") else ("context_length",)
            return self._advise(link, said, key, wanted, urgent=False)
        loaded = facts.window(link.spec.model)
        if window.source == "configured" and loaded is not None:
            return self._advise(link, said, ("context_length",), "auto", f"the server loaded {loaded}", urgent=False)
        return Advice(said, "", "", f"load the model with {wanted} tokens of context in the server", urgent=False)

    def _elsewhere(self, spec: ModelSpec) -> FoundServer | None:
        """A server that answers: one that has the model, or else speaks the same protocol, or else any."""
        able = [one for one in self._found if one.facts.models and one.url != endpoint_url(spec)]
        having = [one for one in able if one.facts.offers(spec.model)]
        alike = [one for one in able if (one.provider == "ollama") == (spec.provider == "ollama")]
        return next(iter([*having, *alike, *able]), None)

    def _fallback(self, link: ChainLink) -> tuple[str, str]:
        """The line that adds the embedded engine as a fallback; nothing if it already is one."""
        given = link.spec.fallback or USUAL_FALLBACK.get(link.origin, ())
        if EMBEDDED in given:
            return "", ""
        edit = self._file.edit(self._path(link, ("fallback",)), [*given, EMBEDDED])
        return edit.place, edit.line

    def _advise(
        self,
        link: ChainLink,
        problem: str,
        key: tuple[str, ...],
        value: Any,
        otherwise: str = "",
        *,
        urgent: bool = True,
    ) -> Advice:
        edit = self._file.edit(self._path(link, key), value)
        return Advice(problem, edit.place, edit.line, otherwise, urgent)

    def _path(self, link: ChainLink, key: tuple[str, ...]) -> tuple[str, ...]:
        named = ("models",) if link.origin in self._llm.models else ()
        return ("llm", *named, link.origin, *key)


def _stay(url: str, facts: EndpointFacts) -> str:
    """What helps when the address is correct."""
    if facts.problem is EndpointProblem.UNTRUSTED_CERTIFICATE:
        return f"give the server at {url} a certificate that this machine trusts"
    return f"start the server at {url}" if url else "set it to your server's address"
