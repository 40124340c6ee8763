"""Converts alternative spellings of the configuration into ours: a top-level `models` map, role `coding`, short tools.

Owns nothing but the shape of the tree; values are checked in `validation`.
"""

from collections.abc import Mapping
from typing import Any

from core.config.files import merge_settings
from core.config.settings import ROLES, USUAL_FALLBACK, ModelRole, role_name
from core.errors import ConfigError

_KEYS = {"id": "model", "endpoint": "base_url"}


def in_own_spelling(tree: Mapping[str, Any]) -> dict[str, Any]:
    """One source of settings in our own spelling.

    A top-level `models` is a map of specs, each with the `role` it serves; several for one role are fallbacks for one
    another in their order; if none is `primary`, the reasoning model is, else the coder, else the first one.

    Raises:
        ConfigError: A role is given under two names.
    """
    new = dict(tree)
    if isinstance(llm := new.get("llm"), Mapping):
        new["llm"] = _llm(llm)
    if isinstance(models := new.get("models"), Mapping):
        del new["models"]
        new["llm"] = merge_settings(
            _by_roles(models), written if isinstance(written := new.get("llm", {}), Mapping) else {}
        )
    if isinstance(tools := new.get("tools"), Mapping):
        new["tools"] = {name: _tool(entry) for name, entry in tools.items()}
    return new


def _llm(llm: Mapping[str, Any]) -> dict[str, Any]:
    if {"coding", ModelRole.CODER.value} <= llm.keys():
        raise ConfigError("llm.coding: the same role as llm.coder, which is also set", hint="leave one of them out")
    new = {name if name == "models" else role_name(name): _entry(entry) for name, entry in llm.items()}
    if isinstance(named := llm.get("models"), Mapping):
        new["models"] = {name: _entry(entry) for name, entry in named.items()}
    return new


def _entry(entry: Any) -> Any:
    if isinstance(entry, str):
        return role_name(entry)
    if not isinstance(entry, Mapping):
        return entry
    # One source may say `id` and another `model`: they meet under one name, and the stronger source wins.
    new = {name if (other := _KEYS.get(name, name)) in entry else other: value for name, value in entry.items()}
    if isinstance(fallback := new.get("fallback"), list | tuple):
        new["fallback"] = [role_name(name) if isinstance(name, str) else name for name in fallback]
    return new


def _tool(entry: Any) -> Any:
    if not isinstance(entry, Mapping):
        return {"role": role_name(entry)} if isinstance(entry, str) else entry
    new = {"role" if name == "model" and "role" not in entry else name: value for name, value in entry.items()}
    if isinstance(role := new.get("role"), str):
        new["role"] = role_name(role)
    if isinstance(roles := new.get("offered_to"), list | tuple):
        new["offered_to"] = [role_name(role) if isinstance(role, str) else role for role in roles]
    return new


def _by_roles(models: Mapping[str, Any]) -> dict[str, Any]:
    """A map of specs with roles, as roles and named models; a spec named after a role becomes that role's own."""
    specs: dict[str, Any] = {}
    serving: dict[str, list[str]] = {}
    for given, entry in models.items():
        name = role_name(given)
        plain = isinstance(entry, Mapping)
        specs[name] = _entry({key: value for key, value in entry.items() if key != "role"} if plain else entry)
        wanted = entry.get("role") if plain else None
        for role in wanted if isinstance(wanted, list) else [wanted] if wanted else []:
            serving.setdefault(role_name(str(role)), []).append(name)
    for name in specs:
        if name in ROLES:
            serving.setdefault(name, [name])
    stands_in = serving.get(ModelRole.REASONING) or serving.get(ModelRole.CODER) or list(specs)[:1]
    serving.setdefault(ModelRole.PRIMARY.value, stands_in)
    llm: dict[str, Any] = {"models": {name: spec for name, spec in specs.items() if name not in ROLES}}
    llm |= {name: spec for name, spec in specs.items() if name in ROLES}
    for role, (first, *others) in ((role, names) for role, names in serving.items() if names):
        if first != role:
            llm[role] = first
        if others and isinstance(spec := specs[first], dict):
            spec.setdefault("fallback", [*others, *USUAL_FALLBACK.get(role, ())])
    return llm
