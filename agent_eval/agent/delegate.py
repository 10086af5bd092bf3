"""Delegation: whether there may be another copy, what it may spend, and what comes back.

One `Family` a run, for the caps hold for the whole tree. Grants leave the parent's account before
a copy exists. What a copy starts from and how it lives is the business of `run`, which hands over
the function that does it.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from agent_eval.agent.actions import Delegate
from agent_eval.agent.asking import Asking
from agent_eval.basics.tasks import beside, together
from agent_eval.errors import Blame, LimitReached
from agent_eval.events.agents import DelegationRefused
from agent_eval.record.budget import SHARED, Account, Limits, plain
from agent_eval.record.rebuild import AgentState
from agent_eval.scenario.model import HOME, Delegation

FRACTIONS = {"usd": Decimal("0.000001"), "tool_s": Decimal("0.001")}
"""What can be granted in parts, and how small those are; all else is granted in whole numbers."""

MOST = Decimal(10**15)
"""The most of anything that is granted where its parent has no limit to compare it with."""


class Mortal(Protocol):
    """What a family needs of a parent's sandbox."""

    async def gone(self) -> None:
        """Wait until it is gone; raises `SandboxDied` then."""


@dataclass(frozen=True)
class Copy:
    """A copy that was granted: who it is and what it is to do."""

    name: str
    parent: str
    account: Account
    task: str
    call: int
    call_id: str
    turn: int
    """The same for all that are made in one go, and for no others of the run."""


@dataclass(frozen=True)
class Refusal:
    """Why there is no copy."""

    cap: str
    reason: str


@dataclass(frozen=True)
class Over:
    """What came of a delegation before its run was taken up again."""

    reason: str
    """What the parent is told of it."""


S = TypeVar("S", bound=Mortal)


class Family(Generic[S]):
    """All agents of a run."""

    def __init__(
        self,
        rules: Delegation,
        live: Callable[[Copy, S], Awaitable[str]],
        past: Mapping[str, AgentState] | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """`live` has a copy live beside its parent's sandbox and returns what that is told.

        `past` is the tree as it is on record, where its run is taken up again; `stopping` says
        whether a person wants it to end.
        """
        self._stopping = stopping
        self._rules = rules
        self._live = live
        self._past = past or {}
        self._alive = 0
        self._turn = 0
        begun = [state.began for state in self._past.values() if state.began]
        self._made = len(begun)
        self._children = Counter(str(event["parent"]) for event in begun)
        self._trouble: dict[str, str] = {}
        """What ended an agent that had copies, by its name, if it was an error at hand."""

    async def delegate(self, asking: Asking, sandbox: S, actions: Sequence[Delegate]) -> list[str]:
        """Have copies do tasks side by side; returns what the parent is told of each.

        A copy that is refused is told of in words. Whatever ends the run or the parent's sandbox
        meanwhile ends them all, and comes out of here as the error it is.
        """
        self._turn += 1
        granted = self._granted(asking, actions)
        told = ["" if isinstance(each, Copy) else each.reason for each in granted]

        async def one(place: int, copy: Copy) -> None:
            try:
                told[place] = await self._live(copy, sandbox)
            except Exception as error:
                self._note(copy.parent, error)
                raise
            finally:
                self._alive -= 1
                asking.account.close(copy.account)

        copies = [(place, each) for place, each in enumerate(granted) if isinstance(each, Copy)]
        if copies:
            async with beside() as tasks:
                tasks.start_soon(self._watch, asking.name, sandbox)
                with asking.steering.behind_copies():
                    await together([partial(one, place, copy) for place, copy in copies])
        return told

    async def _watch(self, parent: str, sandbox: S) -> None:
        """A copy does not outlive its parent."""
        try:
            await sandbox.gone()
        except Exception as error:
            self._note(parent, error)
            raise

    def _note(self, parent: str, error: Exception) -> None:
        self._trouble.setdefault(parent, str(error))

    def trouble(self, parent: str) -> str | None:
        """The error that ended an agent with all of its copies, or one that it is a copy of."""
        while parent:
            if parent in self._trouble:
                return self._trouble[parent]
            parent = parent.rpartition(".")[0]
        return None

    def _granted(self, asking: Asking, actions: Sequence[Delegate]) -> list[Copy | Refusal | Over]:
        """Grant or refuse, one after the other; nothing here waits."""
        account = asking.account
        before = {name: account.free(name) or Decimal(0) for name in account.limits}
        share = min(Decimal(str(self._rules.max_share)), Decimal(1) / (len(actions) + 1))
        usual = {name: free * share for name, free in before.items() if name not in SHARED}
        granted: list[Copy | Refusal | Over] = []
        for action in actions:
            answer = self._on_record(asking, action) or (
                self._refused(asking.name) or self._grant(asking, action, usual)
            )
            if isinstance(answer, Refusal):
                asking.record(
                    DelegationRefused(
                        asking.calls, action.call.id, action.task, answer.cap, answer.reason
                    )
                )
            granted.append(answer)
        return granted

    def _on_record(self, asking: Asking, action: Delegate) -> Copy | Over | None:
        """What came of a delegation before its run was taken up again: a copy that goes on, too."""
        own, call = self._past.get(asking.name), (asking.calls, action.call.id)
        if own and (refused := own.delegations_refused.get(action.call.id)):
            return Over(refused["reason"])
        for name, state in self._past.items():
            began = state.began or {}
            if (began.get("parent"), began.get("call"), began.get("call_id")) != (
                asking.name,
                *call,
            ):
                continue
            if state.ended is not None:
                return Over(told_of(name, state.ended["outcome"], state.answer, state.handed))
            account = asking.account.grant(name, state.granted)
            account.spent = state.spent
            self._alive += 1
            return Copy(name, asking.name, account, began["task"], *call, self._turn)
        return None

    def _refused(self, parent: str) -> Refusal | None:
        rules = self._rules
        if self._stopping():
            return Refusal("ending", "no copy was made: this run is about to end")
        if parent.count(".") >= rules.max_depth:
            return Refusal(
                "depth", f"no copy was made: there may be {rules.max_depth} generations of copies"
            )
        if self._made >= rules.max_total:
            return Refusal("total", f"no copy was made: there may be {rules.max_total} in all")
        if self._alive >= rules.max_at_once:
            return Refusal(
                "at_once", f"no copy was made: there may be {rules.max_at_once} at one time"
            )
        return None

    def _grant(self, asking: Asking, action: Delegate, usual: Limits) -> Copy | Refusal:
        account = asking.account
        try:
            limits = {**usual, **self._wished(account, action)}
            limits = {name: _portion(name, value) for name, value in limits.items()}
            for name, value in limits.items():
                if not value and account.limits.get(name) != 0:
                    raise LimitReached(name, f"too little is left of {name}")
            name = f"{asking.name}.{self._children[asking.name] + 1}"
            own = account.grant(name, limits)
        except LimitReached as error:
            return Refusal("budget", f"no copy was made: {error}")
        self._children[asking.name] += 1
        self._made += 1
        self._alive += 1
        return Copy(name, asking.name, own, action.task, asking.calls, action.call.id, self._turn)

    def _wished(self, account: Account, action: Delegate) -> Limits:
        """What was asked for by name; raises `LimitReached` where that is too large a part."""
        wished = {name: min(Decimal(str(value)), MOST) for name, value in action.budget.items()}
        for name, value in wished.items():
            free = account.free(name)
            most = None if free is None else free * Decimal(str(self._rules.max_share))
            if most is not None and value > most:
                raise LimitReached(
                    name, f"{plain(value):g} {name} is more than the {plain(most):g} it may have"
                )
        return wished


def _portion(name: str, value: Decimal) -> Decimal:
    return value.quantize(FRACTIONS.get(name, Decimal(1)), ROUND_DOWN)


def told_of(
    copy: str, outcome: dict[str, Any], answer: str | None, handed: dict[str, Any] | None
) -> str:
    """What a parent is told of a copy that has ended, by what is on record of it."""
    if outcome["status"] != "submitted":
        return f"[copy {copy} ended without an answer: {_in_its_world(outcome)}]"
    words = list(handed["refused"]) if handed else []
    if handed and handed["files"]:
        own = f"{HOME}/from-{copy}"
        names = [str(one["path"]).removeprefix(own + "/") for one in handed["files"]]
        words.insert(0, f"its files are in {own}: {', '.join(names)}")
    return (
        f"[copy {copy} ended with its answer]\n{answer}\n"
        f"[{'; '.join(words) or 'no files came with it'}]"
    )


def _in_its_world(outcome: dict[str, Any]) -> str:
    """What ended a copy, as its parent may hear it: an agent on a server that knows no other."""
    error, limit = outcome.get("error"), outcome.get("limit")
    if error == "SandboxDied" and outcome.get("blame") != Blame.LIMIT:
        return "its machine broke down"
    if error == "SandboxDied" or limit == "record_bytes":
        return "its machine had too much to bear"
    if error == "NoSnapshot":
        return "no copy of this machine could be made"
    if error == "ContextFull":
        return "it had too much to keep in mind"
    return f"it used up the {limit} it had" if limit else str(outcome.get("message"))
