"""The commands `models` and `doctor`: what serves which role, how well, and what to change."""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import Exit
from rolecall.invocation import Invocation
from rolecall.output.event_text import token_count, without_control_characters
from rolecall.output.jsonl import write_answer
from rolecall.output.warnings import warn
from rolecall.service import setup
from rolecall.service.lookup import SetupRequest
from rolecall.service.setup import BenchRequest, DoctorRequest
from rolecall.thread_options import asked, repo_of

if TYPE_CHECKING:
    from llm_registry.diagnosis.bench import Comparison
    from llm_registry.diagnosis.doctor import Diagnosis, RoleHealth, SpecHealth
    from llm_registry.records.call_log import SpecStatistics


def models(options: argparse.Namespace, invocation: Invocation) -> int:
    """Print what serves each role, and what was measured in this repository; or compare models."""
    return _bench(options) if options.action == "bench" else _models(options)


def doctor(options: argparse.Namespace, invocation: Invocation) -> int:
    """Check every role; exits 3 for a configuration that no run would accept, 4 for a role that nothing can serve."""
    request = DoctorRequest(repo=repo_of(options), options=asked(options), live=options.live)
    health = setup.doctor(request, on_warning=warn)
    diagnosis, holds = health.diagnosis, health.sandbox_holds
    if options.json:
        write_answer({"healthy": health.healthy, "sandbox": health.sandbox, **diagnosis.model_dump(mode="json")})
    else:
        print(
            without_control_characters(
                "\n".join((f"{'sandbox' if holds else 'SANDBOX':<10} {health.sandbox}", *doctor_lines(diagnosis)))
            )
        )
    if diagnosis.invalid or not holds:
        invocation.next_command = invocation.call("config", "path")
        return int(Exit.CONFIG)
    if not diagnosis.unserved:
        return 0
    invocation.next_command = invocation.call("config", "path")
    return int(Exit.NO_MODEL)


def _models(options: argparse.Namespace) -> int:
    found = setup.models(SetupRequest(repo=repo_of(options), options=asked(options)), on_warning=warn)
    diagnosis, figures = found.diagnosis, found.figures
    if options.json:
        from dataclasses import asdict

        roles = [role.model_dump(mode="json") for role in diagnosis.roles]
        write_answer({"config": diagnosis.config, "roles": roles, "figures": [asdict(one) for one in figures]})
        return 0
    shown = {spec.name: f"{spec.name} ({spec.quantization})" for spec in diagnosis.specs if spec.quantization}
    lines = [
        f"{role.role:<11} {shown.get(role.serves, role.serves) or 'no model':<32} {_why(role.reason)}"
        for role in diagnosis.roles
    ]
    if figures:
        lines += ["", "measured in this repository:", *measured(figures)]
    print(without_control_characters("\n".join(line.rstrip() for line in lines)))
    return 0


def _bench(options: argparse.Namespace) -> int:
    request = BenchRequest(
        repo=repo_of(options), options=asked(options), role=options.role, models=tuple(options.specs),
        limit=options.limit,
    )  # fmt: skip
    compared = setup.compare_models(request, on_warning=warn)
    if options.json:
        write_answer(compared.model_dump(mode="json"))
    else:
        print(without_control_characters("\n".join(compared_lines(compared))))
    return int(Exit.DONE) if any(one.good for one in compared.models) else int(Exit.NO_MODEL)


def compared_lines(compared: "Comparison") -> Iterator[str]:
    """A line per model, and its answer to each question."""
    kind = "recorded calls" if compared.recorded else "built-in questions"
    yield f"{len(compared.questions)} {kind} of {compared.role}"
    for one in compared.models:
        yield ""
        parts = [f"{one.good} of {one.asked} good"]
        if one.seconds is not None:
            parts.append(f"median {one.seconds:.2f} s")
        if one.first_token_s is not None:
            parts.append(f"first token {one.first_token_s:.2f} s")
        if one.tokens_per_s is not None:
            parts.append(f"{one.tokens_per_s:.0f} tokens/s")
        if one.cost_usd:
            parts.append(f"{one.cost_usd:.4f} USD")
        yield f"{one.model:<32} {'  '.join(parts)}"
        for question, said in zip(compared.questions, one.answers, strict=True):
            yield f"  {question}"
            yield f"    {' '.join(said.split())[:100] or 'no answer'}"
        yield from (f"  error: {error}" for error in one.errors)


def _why(reason: str) -> str:
    return "" if reason == "first choice" else f"({reason})"


def measured(figures: "Iterable[SpecStatistics]") -> Iterator[str]:
    """What each spec did for each role, one line each; unknown values are omitted."""
    for one in figures:
        parts = [_calls(one.calls)]
        if one.failures:
            parts.append("failed: " + ", ".join(f"{kind} {count}" for kind, count in sorted(one.failures.items())))
        if one.total_s is not None:
            parts.append(f"median {one.total_s:.2f} s")
        if one.tokens_per_s is not None:
            parts.append(f"{one.tokens_per_s:.0f} tokens/s")
        counts = ((one.input_tokens, "in"), (one.output_tokens, "out"))
        if counted := [f"{token_count(count)} {way}" for count, way in counts if count is not None]:
            parts.append(", ".join(counted))
        if one.cost_usd:
            unknown = f" and {_calls(one.unpriced_calls)} of unknown price" if one.unpriced_calls else ""
            parts.append(f"{one.cost_usd:.4f} USD{unknown}")
        yield f"{one.role:<11} {one.spec:<32} {'  '.join(parts)}"


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"


def doctor_lines(diagnosis: "Diagnosis") -> Iterator[str]:
    """The findings in lines: roles, models, servers, and what to change."""
    yield f"config     {diagnosis.config or 'none: every role is served by the embedded engine'}"
    if diagnosis.own_config:
        own = Path(diagnosis.own_config)
        yield f"{'':<10} It ships with rolecall: do not edit it; edit a copy, which is then used instead:"
        yield f"{'':<10} mkdir -p {own.parent} && cp -n {diagnosis.config} {own}"
    yield ""
    shown: set[str] = set()
    for role in diagnosis.roles:
        falls = f", then {', '.join(role.falls_to)}" if role.falls_to else ""
        yield f"{_mark(role):<3} {role.role:<11} {_served(role)}{falls}"
        if _why(role.reason) and role.reason not in shown:
            shown.add(role.reason)
            yield f"{'':<15} {_why(role.reason)}"
    yield from (f"NO  {said}; no run can start until this is fixed" for said in diagnosis.invalid)
    yield ""
    for spec in diagnosis.specs:
        yield from _spec_told(spec)
    yield from (f"found      {server}" for server in diagnosis.servers_found)
    for remedy in diagnosis.remedies:
        yield ""
        yield f"{'change' if remedy.urgent else 'consider':<10} {remedy.problem}"
        if remedy.line:
            yield f"{'':<10} {remedy.place}: {remedy.line}"
        if remedy.otherwise:
            yield f"{'':<10} {'or: ' if remedy.line else ''}{remedy.otherwise}"
    if not diagnosis.live:
        yield ""
        yield "The models themselves were not tested; --live has each one call a tool, write JSON and show its speed."


def _mark(role: "RoleHealth") -> str:
    if not role.serves:
        return "NO" if role.needed else "--"
    return "!!" if role.replaced else "ok"


def _served(role: "RoleHealth") -> str:
    if not role.serves:
        return "nothing can serve it" if role.needed else "nothing serves it, and no run needs it"
    if role.engine_only:
        return f"{role.serves}: no configured model can serve; it only repairs failing Python tests"
    return f"{role.serves} instead" if role.replaced else role.serves


def _spec_told(spec: "SpecHealth") -> Iterator[str]:
    window = f"window {token_count(spec.window)} ({spec.window_source})" if spec.window else ""
    known = "  ".join(part for part in (spec.server, spec.address, window, spec.quantization) if part)
    yield f"{'ok' if spec.ok else 'NO':<3} {spec.name:<32} {known}".rstrip()
    for said in (spec.error, spec.window_warning):
        if said:
            yield f"{'':<15} {said}"
    for name, trip in (("tool call", spec.tool_call), ("JSON", spec.json_object)):
        if trip is not None:
            yield f"{'':<15} {name}: {'ok' if trip.ok else f'failed: {trip.detail}'} ({trip.seconds:.1f} s)"
    if spec.tokens_per_s is not None:
        first = f", first after {spec.first_token_s:.2f} s" if spec.first_token_s is not None else ""
        yield f"{'':<15} {spec.tokens_per_s:.0f} tokens/s{first}"
