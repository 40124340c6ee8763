"""What the search process sends back, treated as data: code under repair runs there and may write anything.

Owns the checks between the pipe and a `RepairResult`. No answer can make a file readable that is not a source of
the repository, and no patch is believed to pass: whoever applies one runs the checks.
"""

import hashlib
import io
import json
import tokenize
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError, field_validator

from core.secret_files import SecretFiles
from tools.files.untrusted_files import read_untrusted
from tools.repair.patches import apply_spans, exact_edit, unified_diff
from tools.repair.result import (
    Confidence,
    Disagreement,
    Frozen,
    Patch,
    RepairEvent,
    RepairResult,
    Status,
    SuspiciousLine,
)

MAX_LINE_BYTES = 32 * 1024 * 1024
MAX_SOURCE_BYTES = 4 * 1024 * 1024
EVENTS = frozenset({"collecting", "baseline", "suspicious", "progress"})
_PRIVATE = frozenset({".git", ".hg", ".svn", ".rolecall"})

_Name = Annotated[str, Field(max_length=1000)]
_Text = Annotated[str, Field(max_length=20_000)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Source(Frozen):
    path: _Name

    @field_validator("path")
    @classmethod
    def _is_source(cls, path: str) -> str:
        place = PurePosixPath(path)
        inside = not place.is_absolute() and ".." not in place.parts and path.isprintable()
        if not inside or place.suffix != ".py" or _PRIVATE & {part.lower() for part in place.parts}:
            raise ValueError("not a source file of the repository")
        return path


class _Patch(_Source):
    sha256: str
    """Of the text that the search edited."""
    edits: Annotated[tuple[tuple[NonNegativeInt, NonNegativeInt, _Text], ...], Field(min_length=1, max_length=100)]
    line: PositiveInt
    template: _Name
    score: _Finite
    validated_by: NonNegativeInt
    whole: bool = False
    still_failing: Annotated[tuple[_Text, ...], Field(max_length=100_000)] = ()
    mended: Annotated[tuple[_Text, ...], Field(max_length=100_000)] = ()
    cluster: int
    confidence: Confidence
    reason: _Text


class _Suspicious(_Source):
    line: PositiveInt
    score: _Finite
    text: _Text


class _Disagreement(Frozen):
    call: _Text
    outputs: Annotated[tuple[_Text, ...], Field(max_length=100)]


class _Answer(Frozen):
    status: Status
    stop_reason: _Text
    patches: Annotated[tuple[dict[str, Any], ...], Field(max_length=100)]
    suspicious: Annotated[tuple[dict[str, Any], ...], Field(max_length=100)]
    disagreement: _Disagreement | None
    tried: NonNegativeInt
    elapsed_s: _Finite
    failing: Annotated[tuple[_Text, ...], Field(max_length=100_000)]
    passing: NonNegativeInt
    phases: dict[_Name, _Finite] = Field(default={}, max_length=100)
    cpu_s: _Finite = 0.0
    validation_s: _Finite = 0.0


def read_line(line: bytes) -> RepairEvent | dict[str, Any] | None:
    """An event, the answer as it was sent, or `None` for a line that is neither."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    kind = fields.pop("event", None) if isinstance(fields, dict) else None
    if kind == "result" and isinstance(fields.get("result"), dict):
        answer: dict[str, Any] = fields["result"]
        return answer
    return RepairEvent(kind=kind, fields=fields) if isinstance(kind, str) and kind in EVENTS else None


def result_of(
    root: Path, sent: dict[str, Any], hidden: SecretFiles | None = None, base: Mapping[str, str] | None = None
) -> RepairResult:
    """The result that an answer describes; blocking, reads the files it names.

    Patches for anything but a plain source of the repository, unchanged since the search, are dropped, and the stop
    reason says so.

    Args:
        root: The directory that was searched.
        sent: The answer.
        hidden: Which files are hidden.
        base: By path: the text the search started from, if not the file's. Patches then contain both steps.
    """
    try:
        answer = _Answer.model_validate(sent)
    except ValidationError:
        return RepairResult(status="interrupted", stop_reason="the search process returned an invalid answer")
    patches = [_patch(root, raw, hidden or SecretFiles(), base or {}) for raw in answer.patches]
    kept = tuple(patch for patch in patches if patch is not None)
    reason, status, disagreement = answer.stop_reason, answer.status, answer.disagreement
    if len(kept) < len(patches):
        reason += f"; {len(patches) - len(kept)} patches were rejected: not for the repository's current sources"
        disagreement = None
    if status in {"plausible", "partial"} and not kept:
        status = "none"
    return RepairResult(
        status=status, patches=kept, suspicious=_suspicious(answer.suspicious), tried=answer.tried,
        disagreement=Disagreement(**disagreement.model_dump()) if disagreement else None,
        elapsed_s=answer.elapsed_s, failing=answer.failing, passing=answer.passing, stop_reason=reason,
        phases=answer.phases, cpu_s=answer.cpu_s, validation_s=answer.validation_s,
    )  # fmt: skip


def _suspicious(sent: tuple[dict[str, Any], ...]) -> tuple[SuspiciousLine, ...]:
    found = []
    for raw in sent:
        try:
            found.append(SuspiciousLine(**_Suspicious.model_validate(raw).model_dump()))
        except ValidationError:
            continue  # a line of another file is no help
    return tuple(found)


def _patch(root: Path, raw: dict[str, Any], hidden: SecretFiles, base: Mapping[str, str]) -> Patch | None:
    try:
        sent = _Patch.model_validate(raw)
    except ValidationError:
        return None
    on_disk = None if hidden.hides(sent.path) else _source(root, sent.path)
    before = on_disk if on_disk is None else base.get(sent.path, on_disk)
    if on_disk is None or before is None or hashlib.sha256(before.encode()).hexdigest() != sent.sha256:
        return None
    spans = sorted(sent.edits)
    ends = [0, *(end for _, end, _ in spans)]
    if any(not ends[at] <= start <= end <= len(before) for at, (start, end, _) in enumerate(spans)):
        return None
    after = apply_spans(before, spans)
    fields = sent.model_dump(exclude={"path", "edits", "sha256"})
    steps = [(path, _source(root, path) or "", text) for path, text in base.items()]
    edits = [exact_edit(*step) for step in (*steps, (sent.path, before, after))]
    final = {**{path: (old, text) for path, old, text in steps}, sent.path: (on_disk, after)}
    diff = "".join(unified_diff(path, *texts) for path, texts in sorted(final.items()))
    return Patch(diff=diff, edits=tuple(edits), sha256=hashlib.sha256(after.encode()).hexdigest(), **fields)


def patched_texts(root: Path, patch: Patch) -> dict[str, str]:
    """By path: the whole text of each patched file; blocking."""
    texts: dict[str, str] = {}
    for edit in patch.edits:
        before = texts.get(edit.path) or _source(root, edit.path) or ""
        texts[edit.path] = before.replace(edit.old, edit.new, 1)
    return texts


def _source(root: Path, name: str) -> str | None:
    """The text with its own line endings, decoded as the interpreter does."""
    data = read_untrusted(root, name, max_bytes=MAX_SOURCE_BYTES)
    if data is None:
        return None
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return None
