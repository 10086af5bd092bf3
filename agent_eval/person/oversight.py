"""A person's part in what one agent does.

Before an action starts, and before the model sees what came of it, the agent asks here. Where the
scenario has a person decide, the agent waits, the decision goes on record, and only then does
anything follow from it. Nothing passes for want of an answer: without a person, or past the time
that the scenario gives, an action waits.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import anyio

from agent_eval.agent.actions import Action, Delegate, Malformed, Run, Submit, action_of, rewritten
from agent_eval.agent.asking import Asking, Offer
from agent_eval.basics.conversation import Reply, ToolCall
from agent_eval.basics.tasks import beside
from agent_eval.errors import Stopped
from agent_eval.events.operator import Intervened, PersonAwaited
from agent_eval.person.options import Option, choice_bits, listed, ranked
from agent_eval.record.budget import plain
from agent_eval.record.rebuild import AgentState
from agent_eval.scenario.approval import Approval, Suspicion

CHOICES = {
    "action": ("approve", "reject", "edit_action", "simulate", "hint"),
    "answer": ("approve", "reject", "override_refusal", "hint"),
    "malformed": ("approve", "fix_tool", "simulate", "hint"),
    "silence": ("approve", "override_refusal", "hint"),
    "observation": ("approve", "edit_observation", "hint"),
    "options": ("pick_option", "reject", "hint"),
}
"""What a person can do about each thing that is asked; options are rejected all at once."""

NEED_TEXT = ("edit_action", "fix_tool", "override_refusal", "hint")
"""Decisions that are none without words."""

NOT_ALLOWED = "A person did not allow it."
"""What the model reads of a rejection without words."""

Outcome = TypeVar("Outcome")

LOOK_EVERY_S = 0.1
"""Whether the run is to end is looked at so often while a person is waited for."""


@dataclass(frozen=True)
class Question:
    """What a person is to decide on."""

    agent: str
    about: str
    """One of `CHOICES`."""
    call: int
    text: str
    """The code, the answer, the arguments, the reply, the observation or all options."""
    said: str
    """What the model said in its reply."""
    tool: str | None = None
    detail: str | None = None
    """What else the model asked for, or what is wrong with its call."""
    spent: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    note: str | None = None
    """Why the last decision could not be carried out."""
    options: tuple[str, ...] = ()
    """What is to be picked from, likeliest first."""


@dataclass(frozen=True)
class Decision:
    """What a person decided."""

    type: str
    """One of the question's choices."""
    text: str = ""
    """The new code or observation, or the words for the model."""
    tool: str | None = None
    """The tool that a call is fixed to; left out means the one it named."""
    look: bool = False
    """Whether the person also decides what the model sees of the action."""
    who: str | None = None
    """Who decided, where that is not the one who was asked."""
    rank: int | None = None
    """Which option is picked, from 1."""


class Person(Protocol):
    """Somebody who can be asked; several agents may ask at the same time."""

    @property
    def name(self) -> str:
        """Who it is, for the record."""

    async def decide(self, question: Question) -> Decision:
        """Wait for a decision, as long as it takes; a cancelled wait leaves nothing behind."""


class Nobody:
    """No person is there: whatever is asked waits."""

    name = "nobody"

    async def decide(self, question: Question) -> Decision:  # noqa: ARG002 - nobody looks
        """Wait until the run ends."""
        await anyio.sleep_forever()
        raise AssertionError


@dataclass(frozen=True)
class Answered:
    """An action that is not done: a person answers in its place."""

    call: ToolCall
    text: str


@dataclass
class Oversight:
    """Asks a person, where the scenario wants one, and puts on record what was decided."""

    asking: Asking
    rule: Approval | None
    """Which actions wait; None where none does."""
    person: Person
    tools: Sequence[str]
    suspicious: Suspicion | None = None
    """Tries the rules that the scenario names."""
    hints: list[str] = field(default_factory=list)
    """What the model is to be told after its turn."""
    _looks: set[str] = field(default_factory=set)
    """Calls whose observation the person wants to see first."""

    def take_up(self, state: AgentState) -> None:
        """Go on from where a record ends."""
        self.hints = list(state.hints)
        self._looks = set(state.looks)

    async def allowed(self, action: Action) -> Action | Answered:
        """What is to be done in the place of an action: itself, or what a person says."""
        about, text = _told(action)
        if self.rule is None or not self.rule.waits(action.call.name, text, self.suspicious):
            return action
        subject = _Subject(about, action, action.call)
        question = self._question(subject, text, detail=_besides(action))
        return await self._decided(subject, question, self._outcome_of(action))

    async def replied(self) -> Reply:
        """The model's next reply: the only one that it gives, or the one that a person picks."""
        if self.rule is None or self.rule.options is None:
            return await self.asking.ask()
        offers: list[Offer] = []
        picked: Option | None = None
        while picked is None:  # where none is any good, as many again are ranked among them
            offers += await self.asking.options(self.rule.options)
            picked = await self._picked(ranked([offer.reply for offer in offers]))
        return self.asking.pick(offers[picked.first])

    async def _picked(self, options: list[Option]) -> Option | None:
        """The option that a person picks; None where it is to be none of them."""
        subject = _Subject("options", listed(options))
        question = self._question(
            subject, listed(options), options=tuple(each.text for each in options)
        )

        def outcome_of(decision: Decision) -> Option | None:
            if decision.type == "reject":
                return None
            if decision.rank is None or not 1 <= decision.rank <= len(options):
                raise _Unusable(f"pick one of the {len(options)} options, by its number")
            return options[decision.rank - 1]

        return await self._decided(subject, question, outcome_of)

    async def seen(self, call: ToolCall, text: str, action: int | None = None) -> str:
        """What the model sees of an action, whose real output is on record by now."""
        if call.id not in self._looks:
            return text
        self._looks.remove(call.id)
        subject = _Subject("observation", text, call, action)

        def outcome_of(decision: Decision) -> str:
            return decision.text if decision.type == "edit_observation" else text

        return await self._decided(subject, self._question(subject, text), outcome_of)

    async def reply_to_silence(self, nudge: str) -> str:
        """What the model is told after a reply in which it does nothing: a refusal, as a rule."""
        if self.rule is None or not self.rule.everything:
            return nudge
        subject = _Subject("silence", self._said())

        def outcome_of(decision: Decision) -> str:
            return decision.text if decision.type == "override_refusal" else nudge

        question = self._question(subject, self._said())
        return await self._decided(subject, question, outcome_of)

    def _outcome_of(self, action: Action) -> Callable[[Decision], Action | Answered]:
        """What follows from each decision on an action; raises where nothing can."""

        def outcome_of(decision: Decision) -> Action | Answered:
            call = action.call
            match decision.type:
                case "reject":
                    return Answered(call, f"[not done: {decision.text or NOT_ALLOWED}]")
                case "simulate" | "override_refusal":
                    return Answered(call, decision.text)
                case "edit_action" | "fix_tool":
                    # Of a call that is no good, nothing but its name is kept.
                    base = replace(call, arguments="{}") if decision.type == "fix_tool" else call
                    tool = decision.tool or call.name
                    changed = action_of(rewritten(base, tool, decision.text), self.tools)
                    if isinstance(changed, Malformed):
                        raise _Unusable(changed.reason)
                    return changed
            return action

        return outcome_of

    # --- asking ---------------------------------------------------------------------------------

    def _said(self) -> str:
        """What the model said in its last reply."""
        messages = reversed(self.asking.conversation.messages)
        return next(each.text for each in messages if each.content["role"] == "assistant")

    def _question(self, subject: "_Subject", text: str, **more: Any) -> Question:
        account = self.asking.account
        return Question(
            agent=self.asking.name,
            about=subject.about,
            call=self.asking.calls,
            text=text,
            said="" if subject.about in ("silence", "options") else self._said(),
            tool=subject.call.name if subject.call else None,
            spent=account.record(),
            limits={name: plain(limit) for name, limit in account.limits.items()},
            **more,
        )

    async def _decided(
        self, subject: "_Subject", question: Question, outcome_of: Callable[[Decision], Outcome]
    ) -> Outcome:
        """Ask until there is a decision that can be carried out, and put each on record."""
        waited_s = 0.0
        while True:
            decision, passed_s = await self._waited_for_a_person(subject, question)
            waited_s += passed_s
            try:
                decision = self._sound(question, decision)
                outcome = outcome_of(decision)
            except _Unusable as error:
                question = replace(question, note=str(error))
                continue
            if decision.type != "hint":
                decision = self._looked_at(decision, outcome)
                self._record(subject, decision, waited_s, _plainly(outcome))
                return outcome
            self._record(subject, decision, waited_s, {"text": decision.text})
            self.hints.append(decision.text)
            question, waited_s = replace(question, note=None), 0.0

    def _looked_at(self, decision: Decision, outcome: object) -> Decision:
        """The decision, and whether another one on the observation follows it."""
        wanted = decision.look or (self.rule is not None and self.rule.observations)
        if wanted and isinstance(outcome, Run | Delegate):
            self._looks.add(outcome.call.id)
            return replace(decision, look=True)
        return replace(decision, look=False)

    def _sound(self, question: Question, decision: Decision) -> Decision:
        """The decision without secrets of the host; raises where it does not fit the question."""
        if decision.type not in CHOICES[question.about]:
            known = ", ".join(CHOICES[question.about])
            raise _Unusable(f"{decision.type} is not among {known}")
        if decision.type in NEED_TEXT and not decision.text.strip():
            raise _Unusable(f"{decision.type} needs words")
        return replace(decision, text=self.asking.transcript.redactor.text(decision.text))

    async def _waited_for_a_person(
        self, subject: "_Subject", question: Question
    ) -> tuple[Decision, float]:
        """The one place where an agent waits for a person; raises `Stopped` if the run is ended."""
        began, decision = time.monotonic(), None
        with anyio.CancelScope() as scope, self.asking.steering.behind_a_person():
            async with beside() as tasks:
                tasks.start_soon(self._leave_when_stopping, scope)
                tasks.start_soon(self._pause_past_its_time, subject)
                decision = await self.person.decide(question)
        if decision is None:
            raise Stopped("a person ended the run while an action waited for one")
        return decision, time.monotonic() - began

    async def _leave_when_stopping(self, scope: anyio.CancelScope) -> None:
        while not self.asking.steering.stopping:  # noqa: ASYNC110 - it is a question, not an event
            await anyio.sleep(LOOK_EVERY_S)
        scope.cancel()

    async def _pause_past_its_time(self, subject: "_Subject") -> None:
        """Where nobody decides in time, have the whole run stand still until somebody does."""
        steering, timeout_s = self.asking.steering, self.rule.timeout_s if self.rule else None
        if timeout_s is None:
            return
        await anyio.sleep(timeout_s)
        call_id = subject.call.id if subject.call else None
        event = PersonAwaited(
            about=subject.about, waited_s=timeout_s, call=self.asking.calls, call_id=call_id
        )
        self.asking.transcript.write(event, self.asking.name)
        with steering.clock.standing():
            await anyio.sleep_forever()

    def _record(
        self, subject: "_Subject", decision: Decision, waited_s: float, after: dict[str, Any]
    ) -> None:
        rank = decision.rank if decision.type == "pick_option" else None
        event = Intervened(
            type=decision.type,
            about=subject.about,
            who=decision.who or self.person.name,
            waited_s=round(waited_s, 3),
            call=self.asking.calls,
            before=_plainly(subject.thing),
            after=after,
            call_id=subject.call.id if subject.call else None,
            action=subject.action,
            look=True if decision.look else None,
            rank=rank,
            bits=choice_bits(rank) if rank else None,
        )
        self.asking.transcript.write(event, self.asking.name)


class _Unusable(Exception):
    """A decision that cannot be carried out; says why."""


@dataclass(frozen=True)
class _Subject:
    """What a decision is about, as the record names it."""

    about: str
    thing: Action | str
    call: ToolCall | None = None
    action: int | None = None


def _told(action: Action) -> tuple[str, str]:
    """What an action is to the person who decides, and its text."""
    match action:
        case Run():
            return "action", action.code
        case Delegate():
            return "action", action.task
        case Submit():
            return "answer", action.answer
        case Malformed():
            return "malformed", action.call.arguments


def _besides(action: Action) -> str | None:
    """What else it asks for, or what is wrong with it."""
    match action:
        case Run(timeout_s=float() | int() as asked_s):
            return f"to run for {min(asked_s, 1e9):g} s at most"
        case Delegate() if action.budget:
            granted = (f"{min(value, 1e15):g} {name}" for name, value in action.budget.items())
            return f"with {', '.join(granted)}"
        case Submit() if action.files:
            return f"with the files {', '.join(action.files)}"
        case Malformed():
            return f"it cannot be done: {action.reason}"
    return None


def _plainly(thing: object) -> dict[str, Any]:
    """What was asked for, or what the model reads, for the record."""
    match thing:
        case Run():
            return {"tool": thing.program, "code": thing.code}
        case Delegate():
            return {"tool": "delegate", "task": thing.task, "budget": thing.budget}
        case Submit():
            return {"tool": "submit", "answer": thing.answer}
        case Malformed():
            return {"tool": thing.call.name, "arguments": thing.call.arguments}
        case Answered() | Option():
            return {"text": thing.text}
        case _:
            return {"text": thing or ""}
