"""Where a finding becomes an intervention: level, opinion, policy, inbox row, log entry, event. Reads no state."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.config.settings import EMBEDDED, Settings
from core.context import Models
from core.errors import BudgetError
from core.events import EventSink
from core.known_secrets import redactor_of
from core.storage.database import Database
from graph.store.inbox import SqliteInbox
from graph.supervisor.escalation import (
    Action,
    Intervention,
    ThreadPosition,
    is_permitted,
    next_action,
    stronger_of,
)
from graph.supervisor.intervention_log import InterventionLog, intervention_verdict
from graph.supervisor.judge import Judgement, Suggestion, ask_judge, can_judge, serves_work, suggest_by_rule
from graph.supervisor.rules import Finding, RuleInput, find_problems
from graph.supervisor.snapshot import Snapshot

AUTHOR = "supervisor"
WORKER = "coder"
KIND_OF: dict[str, str] = {
    "nudge": "nudge",
    "reprioritize": "prioritize",
    "milestone": "milestone",
    "replan": "replan",
    "switch_model": "model",
    "pause": "pause",
}


@dataclass(frozen=True, slots=True)
class InterventionCase:
    """What is being decided."""

    finding: Finding
    level: Action
    snapshot: Snapshot


class Supervisor:
    """Decides and acts for one thread.

    Args:
        thread_id: The thread.
        database: With inbox and interventions.
        models: For opinions.
        settings: Of the run.
        events: Told of every intervention.
    """

    def __init__(
        self, thread_id: str, database: Database, *, models: Models, settings: Settings, events: EventSink
    ) -> None:
        self._thread_id = thread_id
        self._models, self._settings, self._events = models, settings.supervisor, events
        self._redactor = redactor_of(settings)
        self._inbox = SqliteInbox(database, thread_id, self._redactor)
        self._ledger = InterventionLog(database, thread_id)
        self._past: list[Intervention] = []
        self._done: frozenset[str] | None = None
        self._thinking: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Read what was done before in this thread, by whichever process."""
        self._past = list(await self._ledger.all())

    async def consider(self, snapshot: Snapshot) -> None:
        """Settle what is open and intervene if a rule fires; an opinion is formed in the background."""
        await self._settle(snapshot)
        reached = self._milestone(snapshot)
        if self._thinking is not None:
            if not self._thinking.done():
                return
            thinking, self._thinking = self._thinking, None
            thinking.result()
        found = find_problems(RuleInput(snapshot, self._settings.rules, self._models.window(WORKER)))
        if found:
            await self._intervene(found[0], snapshot)
        elif reached and self._judges() and not serves_work(self._models):
            finding = Finding("milestone", f"step {reached} was just finished", "")
            self._think(InterventionCase(finding, "nothing", snapshot))

    async def close(self) -> None:
        """Give up an opinion that is still being formed."""
        if self._thinking is not None and not self._thinking.done():
            self._thinking.cancel()
            await asyncio.wait({self._thinking})

    async def finish(self, snapshot: Snapshot) -> None:
        """The thread has ended: what is still open after its last checks had no effect anyone can see."""
        await self._settle(snapshot)
        await self._close({item.id: "no check followed" for item in self._open()})

    async def _intervene(self, finding: Finding, snapshot: Snapshot) -> None:
        place = ThreadPosition(_step(snapshot), snapshot.work, time.time(), stronger=self._stronger() is not None)
        level = next_action(self._past, place, self._settings)
        if level is None:
            return
        case = InterventionCase(finding, level, snapshot)
        if level == "nudge" or not self._judges():
            # The first word is the rule's own: it must be there before the next call of the model, not after it.
            await self._act(case, Judgement(suggest_by_rule(finding, level)))
        else:
            self._think(case)

    def _think(self, case: InterventionCase) -> None:
        self._thinking = asyncio.create_task(self._form_opinion(case), name="supervisor judge")

    async def _form_opinion(self, case: InterventionCase) -> None:
        try:
            opinion = await ask_judge(case.finding, case.snapshot, self._models, thread=self._thread_id)
        except BudgetError as error:
            self._events.emit("warning", message=f"no budget left to ask the supervisor model: {error.message}")
            opinion = None
        if opinion is None:
            self._events.emit("warning", message="the supervisor model did not answer; using the rules alone")
        if opinion is None and case.level == "nothing":
            return
        await self._act(case, opinion or Judgement(suggest_by_rule(case.finding, case.level)))

    async def _act(self, case: InterventionCase, opinion: Judgement) -> None:
        wanted = self._completed(self._raised(opinion.suggestion, case))
        if wanted.action != "nothing" and self._was_said(wanted, case):
            # The same words again would tell the model nothing; counted as made, so that the escalation goes on.
            said = wanted.model_copy(update={"text": "", "reason": "the same message was already sent in this step"})
            await self._record(case, said, opinion, None)
            return
        applied = wanted.action != "nothing" and is_permitted(wanted.action, self._settings.policy)
        inbox_id = await self._put(wanted, case) if applied else None
        await self._record(case, wanted, opinion, inbox_id)
        if applied or wanted.action == "nothing" or case.level == "nothing":
            return
        words = opinion.suggestion.text
        nudge = suggest_by_rule(case.finding, "nudge").model_copy(update={"text": words} if words else {})
        if is_permitted("nudge", self._settings.policy) and not self._was_said(nudge, case):
            await self._record(case, nudge, Judgement(nudge), await self._put(nudge, case))

    def _raised(self, suggestion: Suggestion, case: InterventionCase) -> Suggestion:
        """What the judge wants, or the level of the escalation where that is higher, with the judge's words added.

        A judgement that nothing is wrong is accepted once per step.
        """
        doubted = suggestion.action == "nothing" and case.level != "nothing" and self._was_let_pass(case)
        action = case.level if doubted else stronger_of(suggestion.action, case.level)
        if action == suggestion.action:
            return suggestion
        own = suggest_by_rule(case.finding, action)
        return own.model_copy(update={"text": f"{own.text} {suggestion.text}".strip(), "reason": suggestion.reason})

    def _was_let_pass(self, case: InterventionCase) -> bool:
        return any(item.action == "nothing" and item.step == _step(case.snapshot) for item in self._past)

    def _was_said(self, wanted: Suggestion, case: InterventionCase) -> bool:
        text = _words(wanted, case)
        return any(item.applied and item.text == text and item.step == _step(case.snapshot) for item in self._past)

    def _completed(self, suggestion: Suggestion) -> Suggestion:
        """A switch needs another model, a reorder needs steps: what cannot be done becomes a nudge."""
        empty = (
            (suggestion.action == "switch_model" and self._stronger() is None)
            or (suggestion.action == "reprioritize" and not suggestion.steps)
            or (suggestion.action == "milestone" and suggestion.milestone is None)
        )
        if not empty:
            return suggestion
        return suggestion.model_copy(update={"action": "nudge" if suggestion.text else "nothing"})

    async def _put(self, wanted: Suggestion, case: InterventionCase) -> int:
        payload: dict[str, Any] = {"rule": case.finding.rule, "reason": case.finding.reason}
        match wanted.action:
            case "reprioritize":
                payload["steps"] = list(wanted.steps)
            case "milestone":
                payload["milestone"] = wanted.milestone.model_dump(mode="json") if wanted.milestone else {}
            case "switch_model":
                payload |= {"role": WORKER, "use": self._stronger(), "step": _step(case.snapshot)}
        return await self._inbox.put(
            self._thread_id, kind=KIND_OF[wanted.action], author=AUTHOR, text=_words(wanted, case), payload=payload
        )

    async def _record(
        self, case: InterventionCase, wanted: Suggestion, opinion: Judgement, inbox_id: int | None
    ) -> None:
        snapshot, applied = case.snapshot, inbox_id is not None
        hide = self._redactor.clean
        entry = Intervention(
            rule=case.finding.rule,
            reason=hide(case.finding.reason if not wanted.reason else f"{case.finding.reason}; {wanted.reason}"),
            action=wanted.action,
            text=hide(_words(wanted, case) if applied else wanted.text),
            applied=applied,
            step=_step(snapshot),
            work=snapshot.work,
            inbox_id=inbox_id,
            failing=snapshot.last.failing if snapshot.last else None,
            cost=opinion.cost,
        )
        self._past.append(await self._ledger.add(entry))
        self._events.emit(
            "intervention", rule=entry.rule, action=entry.action, text=entry.text, reason=entry.reason, applied=applied
        )

    def _open(self) -> list[Intervention]:
        return [item for item in self._past if item.applied and item.outcome is None]

    async def _settle(self, snapshot: Snapshot) -> None:
        last, after = snapshot.last, {}
        for item in self._open():
            if item.inbox_id in snapshot.refused:
                after[item.id] = f"refused: {snapshot.refused[item.inbox_id]}"
            elif last and last.at > item.work:
                after[item.id] = intervention_verdict(item.failing, last.failing)
        for item in await self._close(after):
            self._tell_outcome(item)

    async def _close(self, outcomes: Mapping[int, str]) -> list[Intervention]:
        """Record what came of interventions, and return them."""
        if not outcomes:
            return []
        await self._ledger.settle(outcomes)
        self._past = [replace(item, outcome=outcomes.get(item.id, item.outcome)) for item in self._past]
        return [item for item in self._past if item.id in outcomes]

    def _tell_outcome(self, item: Intervention) -> None:
        outcome = str(item.outcome)
        text = outcome if outcome.startswith("refused") else f"the checks that followed: {outcome}"
        self._events.emit("intervention", rule=item.rule, action=item.action, text=text, applied=True, outcome=outcome)

    def _milestone(self, snapshot: Snapshot) -> str:
        """The step finished since the last poll, if others follow; empty on the first poll."""
        before, self._done = self._done, frozenset(snapshot.done)
        left = any(step.id not in self._done for step in snapshot.steps)
        new = self._done - before if before is not None and left else frozenset()
        return next((step for step in snapshot.done if step in new), "")

    def _judges(self) -> bool:
        return self._settings.judge and can_judge(self._models)

    def _stronger(self) -> str | None:
        """A role served by a different model than the working one; never a paid one without the user's consent."""
        working = self._models.served(WORKER).spec
        for role in ("reasoning", "primary"):
            spec = self._models.served(role).spec
            if spec not in (working, "", EMBEDDED):
                return role
        return None


def _words(wanted: Suggestion, case: InterventionCase) -> str:
    """What the thread is told."""
    return wanted.text or wanted.reason or case.finding.reason


def _step(snapshot: Snapshot) -> str:
    return snapshot.step.id if snapshot.step else snapshot.node
