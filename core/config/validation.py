"""Checks a merged tree of settings and turns it into `Settings`: names, aliases, `${VARIABLES}`, values.

Owns the wording of what is wrong: the key, the source it came from, and the near match of a wrong name.
"""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from core.config.files import VARIABLE
from core.config.settings import EMBEDDED, ROLES, LLMSettings, ModelRole, ModelSpec, Settings
from core.errors import ConfigError
from core.suggest import did_you_mean

_NO = frozenset({"0", "false", "no", "off", "f", "n"})

Sources = Mapping[str, str]


def validate_settings(tree: Mapping[str, Any], sources: Sources) -> tuple[Settings, tuple[str, ...]]:
    """Build settings from a tree, and say what was left out, one sentence each.

    Args:
        tree: Merged from all sources.
        sources: Dotted key to source, for messages.

    Raises:
        ConfigError: Says which key of which source is wrong, and how.
    """
    tree, left_out = _without_unused(tree, sources)
    resolved = _resolve(tree, "", sources)
    llm = resolved.get("llm", {})
    if not isinstance(llm, Mapping):
        raise ConfigError(f"llm: expected an object of roles, got {type(llm).__name__}{_from('llm', sources)}")
    specs = _check_specs(llm, sources)
    if isinstance(tools := resolved.get("tools"), Mapping):
        resolved = {**resolved, "tools": {name: _by_model(entry, specs) for name, entry in tools.items()}}
    try:
        settings = Settings.model_validate({**resolved, "llm": specs})
    except ValidationError as error:
        raise _explain(error, (), sources, Settings) from error
    _check_names(settings, sources)
    return settings, left_out


def _without_unused(tree: Mapping[str, Any], sources: Sources) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Disable the specs that nothing uses and whose `${VARIABLES}` are not set: they need not stop a run."""
    llm = tree.get("llm")
    if not isinstance(llm, Mapping):
        return tree, ()
    named = llm["models"] if isinstance(llm.get("models"), Mapping) else {}
    entries = {**named, **{name: entry for name, entry in llm.items() if name != "models"}}
    used = _used(tree, entries)
    said: list[str] = []
    new = {**llm, "models": dict(named)} if named else dict(llm)
    for name, entry in entries.items():
        if name in used or not isinstance(entry, Mapping):
            continue
        try:
            _resolve(entry, f"llm.{name}" if name in llm else f"llm.models.{name}", sources)
        except ConfigError as error:
            where = new if name in llm else new["models"]
            where[name] = {**entry, "enabled": False}
            said.append(f"{error.message}; nothing uses it, so it is left out")
    return {**tree, "llm": new}, tuple(said)


def _used(tree: Mapping[str, Any], entries: Mapping[str, Any]) -> set[str]:
    """The roles that runs ask, and what serves them."""
    watcher = tree.get("supervisor")
    off = isinstance(watcher, Mapping) and str(watcher.get("enabled", True)).lower() in _NO
    asked = [role for role in ROLES if role != ModelRole.RESEARCH and not (off and role == ModelRole.SUPERVISOR)]
    tools = tree.get("tools")
    for entry in tools.values() if isinstance(tools, Mapping) else ():
        target = entry.get("role") if isinstance(entry, Mapping) else None
        asked += [name for name, one in entries.items()
                  if name == target or (isinstance(one, Mapping) and one.get("model") == target)]  # fmt: skip
    used: set[str] = set()
    while asked:
        name = asked.pop()
        if name in used:
            continue
        used.add(name)
        entry = entries.get(name)
        after = entry.get("fallback") if isinstance(entry, Mapping) else [entry]
        asked += [one for one in (after if isinstance(after, list | tuple) else ()) if isinstance(one, str)]
    return used


def _by_model(entry: Any, specs: Mapping[str, Any]) -> Any:
    """A tool that names the model of a spec means that spec."""
    wanted = entry.get("role") if isinstance(entry, Mapping) else None
    known = {**specs, **specs["models"]}
    if wanted in {*ROLES, *known, EMBEDDED}:
        return entry
    found = [name for name, spec in known.items() if isinstance(spec, ModelSpec) and spec.model == wanted]
    return {**entry, "role": found[0]} if found else entry


def _check_specs(llm: Mapping[str, Any], sources: Sources) -> dict[str, Any]:
    named = llm.get("models", {})
    if not isinstance(named, Mapping):
        raise ConfigError(f"llm.models: expected an object of named specs{_from('llm.models', sources)}")
    roles = {name: _spec(entry, ("llm", name), sources) for name, entry in llm.items() if name != "models"}
    models = {name: _spec(entry, ("llm", "models", name), sources) for name, entry in named.items()}
    for name, entry in models.items():
        if isinstance(entry, str):
            raise ConfigError(f"llm.models.{name}: expected a spec, got a name")
    return {**roles, "models": models}


def _spec(entry: Any, where: tuple[str, ...], sources: Sources) -> ModelSpec | str:
    if isinstance(entry, str):
        _require_name(entry, ".".join(where), sources)
        return entry
    if not isinstance(entry, Mapping):
        raise ConfigError(
            f"{'.'.join(where)}: expected a spec or a role name, got {type(entry).__name__}"
            f"{_from('.'.join(where), sources)}"
        )
    try:
        return ModelSpec.model_validate(entry)
    except ValidationError as error:
        raise _explain(error, where, sources, ModelSpec) from error


def _require_name(entry: str, key: str, sources: Sources) -> None:
    """Text that starts like JSON was meant to be a spec; it may contain a key and is not quoted."""
    if entry[:1] not in {"{", "["}:
        return
    try:
        json.loads(entry)
        why = "expected a spec, got a string"
    except json.JSONDecodeError as error:
        why = f"not valid JSON at character {error.pos + 1}: {error.msg}"
    raise ConfigError(f"{key}: {why}{_from(key, sources)}")


def _check_names(settings: Settings, sources: Sources) -> None:
    llm = settings.llm
    entries = llm.__pydantic_extra__ or {}
    known = {*ROLES, *entries, *llm.models, EMBEDDED}
    used = {tool.role for tool in settings.tools.values() if tool.role} | {target for _, target in _references(llm)}
    for name in entries:
        if name not in ROLES and name not in used:
            raise ConfigError(
                f"llm.{name}: unknown role{did_you_mean(name, ROLES)}{_from(f'llm.{name}', sources)}",
                hint="a custom role must be named by a tool in `tools`; named models belong in `llm.models`",
            )
    _check_tools(settings, known, sources)
    for key, target in _references(llm):
        if target not in known:
            said = f"{target!r} is neither a role nor a named model{did_you_mean(target, known)}"
            raise ConfigError(f"{key}: {said}{_from(key, sources)}")
    if circle := alias_cycle(llm):
        raise ConfigError(f"llm.{circle[0]}: circular aliases: {' -> '.join(circle)}")


def _check_tools(settings: Settings, known: set[str], sources: Sources) -> None:
    for tool, entry in settings.tools.items():
        if entry.role and entry.role not in known:
            said = f"unknown role {entry.role!r}{did_you_mean(entry.role, known)}"
            raise ConfigError(f"tools.{tool}.role: {said}{_from(f'tools.{tool}.role', sources)}")
        for role in entry.offered_to or ():
            if role not in ROLES:
                said = f"unknown role {role!r}{did_you_mean(role, ROLES)}"
                raise ConfigError(f"tools.{tool}.offered_to: {said}{_from(f'tools.{tool}.offered_to', sources)}")


def _references(llm: LLMSettings) -> Iterator[tuple[str, str]]:
    """Names that entries refer to, each with the key it stands at."""
    for name, entry in {**(llm.__pydantic_extra__ or {}), **llm.models}.items():
        if isinstance(entry, str):
            yield f"llm.{name}", entry
        else:
            yield from ((f"llm.{name}.fallback", target) for target in entry.fallback or ())


def alias_cycle(llm: LLMSettings) -> tuple[str, ...]:
    """Roles that are only aliases of one another, in order; empty when there is no cycle."""
    entries = llm.__pydantic_extra__ or {}
    # A role without an entry of its own follows `primary`.
    follows = {role: "primary" for role in ROLES if "primary" in entries and role not in {*entries, *llm.models}}
    for start in entries:
        path = [start]
        while isinstance(target := entries.get(path[-1], follows.get(path[-1])), str):
            if target in path:
                return (*path[path.index(target) :], target)
            path.append(target)
    return ()


def _resolve(value: Any, key: str, sources: Sources, *, disabled: bool = False) -> Any:
    """A tree with the values of its `${VARIABLES}`.

    Raises:
        ConfigError: One of them is not set, or a number is not finite.
    """
    if isinstance(value, Mapping):
        off = disabled or str(value.get("enabled", True)).lower() in _NO
        return {
            name: _resolve(inner, f"{key}.{name}" if key else str(name), sources, disabled=off)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_resolve(inner, key, sources, disabled=disabled) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key}: the number must be finite{_from(key, sources)}")
    if not isinstance(value, str):
        return value

    def read(found: re.Match[str]) -> str:
        name = found.group(1)
        if name in os.environ or disabled:
            return os.environ.get(name, "")
        raise ConfigError(
            f"{key}: the environment variable {name} is not set{_from(key, sources)}",
            hint=f'set {name}, or disable the spec with "enabled": false',
        )

    return VARIABLE.sub(read, value)


def _explain(error: ValidationError, where: tuple[str, ...], sources: Sources, model: type[BaseModel]) -> ConfigError:
    problem = error.errors(include_url=False, include_input=False)[0]
    path = tuple(str(part) for part in problem["loc"])
    key = ".".join((*where, *path))
    if key not in sources and key.rpartition(".")[0] in sources:
        # The last part names a branch of a union, which nobody wrote.
        key = key.rpartition(".")[0]
    if problem["type"] == "extra_forbidden":
        known = _known_keys(model, path[:-1])
        return ConfigError(f"{key}: unknown key{did_you_mean(path[-1], known)}{_from(key, sources)}",
                           hint=f"known keys: {', '.join(sorted(known))}" if known else "")  # fmt: skip
    hint = "give objects and lists as JSON" if problem["type"] in {"model_type", "dict_type", "tuple_type"} else ""
    return ConfigError(f"{key}: {problem['msg']}{_from(key, sources)}", hint=hint)


def _known_keys(model: type[BaseModel], path: tuple[str, ...]) -> set[str]:
    current: Any = model
    parts = iter(path)
    for part in parts:
        annotation = current.model_fields[part].annotation if part in current.model_fields else None
        current = _model_in(annotation)
        if current is None:
            return set()
        if get_origin(annotation) is dict:
            next(parts, None)  # a name of the user's
    names = {field.alias or name for name, field in current.model_fields.items()}
    return names | ({"id", "endpoint"} if current is ModelSpec else set())


def _model_in(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _from(key: str, sources: Sources) -> str:
    source = sources.get(key) or next((sources[known] for known in sources if known.startswith(f"{key}.")), "")
    return f" (in {source})" if source else ""
