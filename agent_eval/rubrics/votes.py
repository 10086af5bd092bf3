"""Votes of a grader: each is one call, paid by the evaluator's ledger.

None counts that is not in the form that was asked for, and no failure is a class.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from agent_eval.basics.conversation import Reply, Request, wire_json
from agent_eval.errors import LimitReached, ModelUnavailable, OperatorError
from agent_eval.models.base import AttemptFailed, ContextOverflow, Model
from agent_eval.models.paying import Bill, Paying, completed, usage_of
from agent_eval.models.retry import with_retries
from agent_eval.record.budget import Account, Amounts
from agent_eval.record.redact import NOTHING, Redactor
from agent_eval.rubrics.answer import NotInForm
from agent_eval.rubrics.question import Question
from agent_eval.scenario.model import ModelArguments

MOST_KEPT_CHARS = 16_384
"""Of a raw answer, what is kept on record."""


@dataclass(frozen=True)
class Vote:
    """One vote, whatever came of it."""

    mapping: dict[str, str]
    fence: str
    key: str
    request_sha256: str
    settled: dict[str, Any]
    choice: str | None = None
    """The rubric's class; None where the vote does not count."""
    features: dict[str, str] = field(default_factory=dict)
    why: str = ""
    invalid: str | None = None
    """What is wrong with an answer that is not in the form."""
    failed: str | None = None
    """Why there is no answer."""
    raw: str | None = None
    served: str | None = None
    """The model that the server says it was."""
    usage: dict[str, Any] | None = None
    unpaid: bool = False
    """Whether its worst cost did not fit what was left, beside others that were under way."""

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


@dataclass
class Voter:
    """A model that grades, and who pays for it."""

    model: Model
    wanted: ModelArguments
    account: Account
    redactor: Redactor = NOTHING
    """Takes the host's secrets out of what goes to the model and of what comes from it."""
    not_by: frozenset[str] = frozenset()
    """Names that the servers of the model under test gave it: an answer by such a one is none."""
    gone: str | None = None
    """Why it is not asked any more."""

    def __post_init__(self) -> None:
        self._paying = Paying(self.account, self.model, self.wanted)

    async def vote(self, question: Question) -> Vote:
        """Ask once; whatever fails makes a vote that does not count."""
        request, worst = self._ready(question)
        bill, about = Bill(Amounts()), (question.mapping, question.fence, question.key)
        told: dict[str, Any] = {}
        try:
            if self.gone:
                raise ModelUnavailable(self.gone)
            reply = await self._answered(request, worst, bill)
            told = self._told(question, reply) | {"usage": asdict(usage_of(reply, request))}
        except ModelUnavailable as error:
            self.gone = told["failed"] = self.redactor.text(str(error))
        except (LimitReached, ContextOverflow, OperatorError) as error:
            told["failed"] = self.redactor.text(str(error))
            told["unpaid"] = isinstance(error, LimitReached)
        return Vote(*about, request.sha256(), bill.spent.record(), **told)

    def _ready(self, question: Question) -> tuple[Request, Amounts]:
        size = len(wire_json(self.model.arguments(self.wanted.max_output_tokens)))
        size += sum(len(message.wire) + 1 for message in question.messages)
        room = self._paying.room(size, self.wanted.max_output_tokens)
        request = Request(question.messages, (), self.model.arguments(room), size)
        return request, self._paying.worst(size, room)  # no text has more tokens than bytes

    async def _answered(self, request: Request, worst: Amounts, bill: Bill) -> Reply:
        async def attempt(_: int) -> Reply:
            async with self.model.turn():
                with self._paying.charged(worst, bill) as charge:
                    reply = await completed(self.model, request)
                    charge.spent = self._paying.cost(usage_of(reply, request), worst)
            self._paying.refuse_overspending("the grader's server")
            return reply

        def failed(_: int, error: AttemptFailed, retry_in_s: float | None) -> None:
            """Its cost is on the bill already."""

        return await with_retries(attempt, failed, self.wanted.attempts)

    def _told(self, question: Question, reply: Reply) -> dict[str, Any]:
        """What an answer says; a model that may not grade has said nothing."""
        raw = self.redactor.text(reply.text)
        told: dict[str, Any] = {"raw": raw[:MOST_KEPT_CHARS], "served": reply.model or None}
        if reply.model in self.not_by:
            return told | {
                "failed": f"its server says that it is {reply.model}, the model under test: name "
                "another, or allow it with --allow-self-grading"
            }
        try:
            said, choice = question.read(raw)
        except NotInForm as error:
            return told | {"invalid": str(error)}
        return told | {"choice": choice, "features": said.features, "why": said.why[:2000]}
