"""The stream of candidate patches, best first.

Owns the order: suspicion of the line times the prior of the template. It validates nothing.
"""

from __future__ import annotations

import ast
import heapq
import math
import re
from dataclasses import dataclass, field
from typing import Iterator, Optional

from rolecall_search.evidence.documents import Documented, read_documents
from rolecall_search.evidence.errors import asked_for
from rolecall_search.evidence.history import undone
from rolecall_search.evidence.kinship import behind
from rolecall_search.evidence.localize import Suspicion
from rolecall_search.program.source import FUNCTION_TYPES, Edit, SourceFile, Unit
from rolecall_search.program.typeinfo import UnitTypes, infer
from rolecall_search.templates.base import Context, Hints, Proposal, make_context
from rolecall_search.templates.operator_tables import BINARY, misfits
from rolecall_search.templates.registry import proposals

POWER = 1.5
HEADER_SHARE = 0.8
MAX_PRIOR = 2.5
LEAST_PRIOR = 0.02
MOST_NODES = 300
BURST = 2
MISSING_BOOST = 3.0
# One slip of the finger at one node, tried before anything made up of several names.
SWAPS = frozenset(
    {"arithmetic operator", "assignment operator", "comparison operator", "boolean operator",
     "drop a sign or negation", "negate a condition", "flip a flag", "constant off by one"}
)  # fmt: skip
SWAP_BOOST = 1.5
NAMED_ENTRY, OTHER_ENTRY = 4.0, 0.5
# The more one template says at one place, the less each of its edits counts.
CROWD = 6.0
USES_UNUSED = 2.5
WRITTEN_ELSEWHERE, LEAST_REPEATED = 1.5, 6
ODD_OPERATOR = 1.4
UNDO_PRIOR, UNDO_AGE = 1.8, 0.2
WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(eq=False)
class Candidate:
    """One patch to try."""

    source: SourceFile
    unit: Optional[Unit]
    edits: tuple[Edit, ...]
    template: str
    line: int
    score: float
    covering: frozenset[int] = frozenset()
    fresh: bool = False
    """Whether only a fresh import shows its effect."""


@dataclass(order=True)
class _Spot:
    rank: float
    order: int
    source: SourceFile = field(compare=False)
    unit: Optional[Unit] = field(compare=False)
    nodes: list[ast.AST] = field(compare=False)
    line: int = field(compare=False)
    suspicion: float = field(compare=False)


class Stream:
    """Generates candidates line by line and yields them by score."""

    def __init__(
        self,
        sources: dict[str, SourceFile],
        suspicion: Suspicion,
        types: dict[Unit, UnitTypes],
        hints: Hints,
        history: Optional[dict[str, tuple[str, ...]]] = None,
    ) -> None:
        self._suspicion = suspicion
        self._types = types
        self._hints = hints
        self._contexts: dict[tuple[str, Optional[Unit]], Context] = {}
        self._documents: dict[Unit, Documented] = {}
        self.spots = sorted(self._find_spots(sources))
        self._heap: list[tuple[float, int, Candidate]] = []
        self._count = 0
        for path, texts in (history or {}).items():
            if path in sources:
                self._undo_changes(sources[path], texts)

    def _undo_changes(self, source: SourceFile, texts: tuple[str, ...]) -> None:
        """What stood before at suspicious lines is tried early."""
        scores = self._suspicion.scores.get(source.path, {})
        for edit, lines, age in undone(source, texts):
            suspicion = max((scores.get(line, 0.0) for line in lines), default=0.0)
            if suspicion <= 0:
                continue
            unit = source.unit_at(edit.start, edit.end)
            covering = self._covering(source, unit)
            score = suspicion**POWER * UNDO_PRIOR / (1.0 + UNDO_AGE * age)
            self._count += 1
            candidate = Candidate(
                source, unit, (edit,), "as it was before", lines[0], score, covering, fresh=not covering
            )  # fmt: skip
            heapq.heappush(self._heap, (-score, self._count, candidate))

    def _find_spots(self, sources: dict[str, SourceFile]) -> Iterator[_Spot]:
        order = 0
        for path, source in sources.items():
            scores = statement_scores(source, self._suspicion.scores.get(path, {}))
            lines = {line for name, line, _ in self._hints.crashed if name == path}
            for statement, factor in behind(source, lines).items() if lines else ():
                scores[statement] = scores.get(statement, 0.0) * factor
            groups: dict[ast.AST, list[ast.AST]] = {}
            collect(source.tree, groups)
            for statement, nodes in groups.items():
                score = scores.get(statement, 0.0)
                if score > 0:
                    order += 1
                    unit = source.unit_at(*source.span(statement))
                    score *= ODD_OPERATOR if self._is_odd(nodes, unit) else 1.0
                    yield _Spot(-score, order, source, unit, nodes, statement.lineno, score)

    def _is_odd(self, nodes: list[ast.AST], unit: Optional[Unit]) -> bool:
        """Whether an operator is applied to values that do not support it."""
        types = self._types.get(unit, UnitTypes()) if unit is not None else UnitTypes()
        return any(
            misfits(BINARY[type(node.op)][0], infer(node.left, types), infer(node.right, types))
            for node in nodes
            if isinstance(node, ast.BinOp)
        )

    def __iter__(self) -> Iterator[Candidate]:
        at = 0
        while self._heap or at < len(self.spots):
            burst = 0
            while at < len(self.spots) and self._next_bound(at) >= self._best():
                self._expand(self.spots[at])
                at += 1
                burst += 1
                if burst >= BURST and self._heap:
                    break
            if self._heap:
                yield heapq.heappop(self._heap)[2]

    def _next_bound(self, at: int) -> float:
        return self.spots[at].suspicion ** POWER * MAX_PRIOR

    def _best(self) -> float:
        return -self._heap[0][0] if self._heap else -1.0

    def _expand(self, spot: _Spot) -> None:
        context = self._context(spot.source, spot.unit).near(spot.line)
        covering = self._covering(spot.source, spot.unit)
        shares = {node: self._entry_share(spot, node) for node in spot.nodes}
        raised, documented = self._raised_in(spot), self._documented(spot)
        made = []
        for node in sorted(spot.nodes, key=lambda node: -shares[node])[:MOST_NODES]:
            for proposal in proposals(context, node):
                if proposal.prior >= LEAST_PRIOR:
                    weight = self._weight(spot.source, context, proposal)
                    weight *= proposal.prior * shares[node] * asked_for(raised, proposal.template)
                    weight *= documented.weight(proposal.template, _written(proposal))
                    made.append((weight, getattr(node, "lineno", spot.line), proposal))
        made.sort(key=lambda entry: -entry[0])
        before: dict[str, int] = {}
        for weight, line, proposal in made:
            count = before[proposal.template] = before.get(proposal.template, -1) + 1
            score = spot.suspicion**POWER * weight / math.sqrt(1.0 + count / CROWD)
            self._count += 1
            candidate = Candidate(
                spot.source, spot.unit, proposal.edits, proposal.template, line, score, covering, not covering,
            )  # fmt: skip
            heapq.heappush(self._heap, (-score, self._count, candidate))

    def _weight(self, source: SourceFile, context: Context, proposal: Proposal) -> float:
        """The evidence for an edit in its text and in the file."""
        weight = SWAP_BOOST if proposal.template in SWAPS else 1.0
        if self._hints.missing and self._removes_missing(source, proposal):
            weight *= MISSING_BOOST
        if context.unused and not context.unused.isdisjoint(WORD.findall(_written(proposal))):
            weight *= USES_UNUSED
        return weight * (WRITTEN_ELSEWHERE if self._written_elsewhere(source, proposal) else 1.0)

    @staticmethod
    def _written_elsewhere(source: SourceFile, proposal: Proposal) -> bool:
        """Whether the file says the very same at another place: programs repeat themselves."""
        if len(proposal.edits) != 1:
            return False
        edit = proposal.edits[0]
        text = edit.text.strip()
        if len(text) < LEAST_REPEATED or text.isidentifier() or text in source.text[edit.start : edit.end]:
            return False
        return text in source.text

    def _raised_in(self, spot: _Spot) -> frozenset[str]:
        """The types of the exceptions that failing tests raised in a statement's function."""
        if spot.unit is None:
            return frozenset()
        first, last = spot.unit.first_line, spot.unit.node.end_lineno or 0
        return frozenset(
            kind for path, line, kind in self._hints.crashed if path == spot.source.path and first <= line <= last
        )

    def _documented(self, spot: _Spot) -> Documented:
        if spot.unit is None:
            return Documented()
        if spot.unit not in self._documents:
            self._documents[spot.unit] = read_documents(spot.source, spot.unit)
        return self._documents[spot.unit]

    def _entry_share(self, spot: _Spot, node: ast.AST) -> float:
        """For a module-level table: more for entries whose key the failing tests mention."""
        at, parents = node, spot.source.parents
        while spot.unit is None and at in parents and not isinstance(at, ast.stmt):
            parent = parents[at]
            if isinstance(parent, ast.Dict) and at in parent.values:
                key = parent.keys[parent.values.index(at)]
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    return NAMED_ENTRY if key.value in self._hints.literals else OTHER_ENTRY
            at = parent
        return 1.0

    def _removes_missing(self, source: SourceFile, proposal: Proposal) -> bool:
        """Whether an edit removes a name that does not exist."""
        for edit in proposal.edits:
            removed = source.text[edit.start : edit.end]
            if any(name in removed and name not in edit.text for name in self._hints.missing):
                return len(removed) < 200
        return False

    def _covering(self, source: SourceFile, unit: Optional[Unit]) -> frozenset[int]:
        """The tests that ran the unit; an edit cannot reach the others."""
        if unit is None:
            return frozenset()
        first, last = unit.first_line, unit.node.end_lineno or 0
        found: set[int] = set()
        for line in range(first, last + 1):
            found |= self._suspicion.covering.get((source.path, line), set())
        return frozenset(found)

    def _context(self, source: SourceFile, unit: Optional[Unit]) -> Context:
        key = (source.path, unit)
        if key not in self._contexts:
            types = self._types.get(unit, UnitTypes()) if unit is not None else UnitTypes()
            self._contexts[key] = make_context(source, unit, types, self._hints)
        return self._contexts[key]


def _written(proposal: Proposal) -> str:
    """What an edit writes."""
    return proposal.edits[0].text if len(proposal.edits) == 1 else " ".join(edit.text for edit in proposal.edits)


def collect(tree: ast.AST, groups: dict[ast.AST, list[ast.AST]]) -> None:
    """Group expression nodes by the statement they belong to (headers of compound ones)."""
    for statement in ast.walk(tree):
        if isinstance(statement, (ast.stmt, ast.ExceptHandler)):
            groups[statement] = [statement, *_own_nodes(statement)]


def _own_nodes(statement: ast.AST) -> Iterator[ast.AST]:
    todo = [child for child in ast.iter_child_nodes(statement) if not isinstance(child, (ast.stmt, ast.ExceptHandler))]
    while todo:
        node = todo.pop(0)
        if not isinstance(node, (ast.expr_context, ast.operator, ast.cmpop, ast.boolop)):
            yield node
        todo += [child for child in ast.iter_child_nodes(node) if not isinstance(child, (ast.stmt, ast.ExceptHandler))]


def statement_scores(source: SourceFile, lines: dict[int, float]) -> dict[ast.AST, float]:
    """The score of each statement: of its own lines, without those of inner statements."""
    scores: dict[ast.AST, float] = {}
    _score_block(source.tree, lines, scores)
    _score_constants(source, scores)
    return scores


def _score_block(node: ast.AST, lines: dict[int, float], scores: dict[ast.AST, float]) -> float:
    """Score the statements below `node`; returns the best score found there."""
    best = 0.0
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.stmt, ast.ExceptHandler, ast.expr)) and not hasattr(child, "body"):
            continue
        below = _score_block(child, lines, scores)
        if isinstance(child, (ast.stmt, ast.ExceptHandler)):
            own = max((lines.get(line, 0.0) for line in _own_lines(child)), default=0.0)
            if isinstance(child, (*FUNCTION_TYPES, ast.ClassDef)):
                own = max(own, below * HEADER_SHARE)
            elif isinstance(child, (ast.Try, ast.With, ast.ExceptHandler)):
                own = max(own, below * 0.6 if isinstance(child, ast.ExceptHandler) else own)
            scores[child] = own
            below = max(below, own)
        best = max(best, below)
    return best


def _own_lines(statement: ast.AST) -> range:
    first = statement.lineno
    last = statement.end_lineno or first
    body = getattr(statement, "body", None)
    if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
        last = max(first, body[0].lineno - 1)
    return range(first, last + 1)


def _score_constants(source: SourceFile, scores: dict[ast.AST, float]) -> None:
    """A module or class constant is as suspicious as the code that uses its name."""
    uses: dict[str, float] = {}
    for statement, score in list(scores.items()):
        if score <= 0 or isinstance(statement, ast.ClassDef):
            continue
        for node in _own_nodes(statement):
            name = getattr(node, "id", None) or getattr(node, "attr", None)
            if name:
                uses[name] = max(uses.get(name, 0.0), score)
    for statement, own in list(scores.items()):
        targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and source.unit_at(*source.span(statement)) is None:
            names = [getattr(target, "id", "") for target in targets]
            best = max((uses.get(name, 0.0) for name in names), default=0.0)
            scores[statement] = max(own, best * HEADER_SHARE)
