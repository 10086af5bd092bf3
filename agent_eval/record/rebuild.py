"""Where a run stood at an event, worked out from its transcript alone.

A pure function of the events: what was said to and by each agent, what each has spent, what was in
flight, which sandboxes there were and what was put into them. Resuming, replaying and branching
start from it, and from nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from itertools import takewhile
from pathlib import Path
from typing import Any

from agent_eval.basics.conversation import Conversation, Message
from agent_eval.errors import OperatorError, TranscriptBroken
from agent_eval.events.kernel import OfKernel
from agent_eval.events.kinds import KINDS
from agent_eval.record.budget import Amounts, Limits
from agent_eval.record.reading import read_events, with_inherited
from agent_eval.record.transcript import GENESIS, line_of
from agent_eval.record.worked import OF_WATCHDOG, Worked

Event = dict[str, Any]

ROOT = "0"
"""The agent that a run begins with."""

_EXACT = ("usd", "tool_s", "wall_s")


@dataclass
class AgentState:
    """One agent."""

    path: str
    began: Event | None = None
    """Its `agent.started`; the first agent has none."""
    ended: Event | None = None
    """Its `agent.ended`."""
    conversation: Conversation = field(default_factory=Conversation)
    whole: dict[int, Message] = field(default_factory=dict)
    """Messages that were shortened later, as they were."""
    counted: tuple[int, int, int] | None = None
    """What a server last counted: its tokens, and how much of the conversation that was, in bytes
    on the wire and in bytes ever written."""
    call_ids: set[str] = field(default_factory=set)
    described: str = ""
    """The digest of the last `model.request`."""
    calls: int = 0
    actions: int = 0
    idle: int = 0
    """Replies in a row of which nothing was done."""
    reply: Event | None = None
    """The last `model.replied`."""
    heard: list[Message] = field(default_factory=list)
    """What it was told since then."""
    done: dict[str | None, tuple[Event, Event]] = field(default_factory=dict)
    """What was done of that reply: start and end of each action, by the id of its call."""
    refused: set[str | None] = field(default_factory=set)
    """What of it was refused."""
    hints: list[str] = field(default_factory=list)
    """What a person wants it to be told after its turn."""
    looks: set[str] = field(default_factory=set)
    """Calls of that reply whose observation a person wants to see first."""
    delegations_refused: dict[str, Event] = field(default_factory=dict)
    """The same of copies that were asked for, by the id of the call."""
    answered: int = 0
    """Calls that a model or its server answered."""
    calling: Event | None = None
    """A `model.called` that nothing came of yet."""
    acting: Event | None = None
    """An `action.started` that has no end yet."""
    history: list[Event] = field(default_factory=list)
    """What changed its sandbox, in order: what it began as, files that were put there, actions that
    began, and what its copies handed over; and the snapshots that were taken between."""
    ends: dict[int, Event] = field(default_factory=dict)
    """How each action ended."""
    sandbox: str | None = None
    """The container that it lives in; None where that is its parent's, or there is none."""
    lived_in: bool = False
    """Whether that had become what its sandbox was, or was to be at the beginning."""
    handed: Event | None = None
    """What it handed over with its answer."""
    answer: str | None = None
    spent: Amounts = field(default_factory=Amounts)
    """What is settled: its own, and that of its copies that have ended."""

    @property
    def as_said(self) -> list[Message]:
        """The conversation with every message as it was when it was new."""
        return [self.whole.get(i, each) for i, each in enumerate(self.conversation.messages)]

    @property
    def granted(self) -> Limits:
        """What a copy was given."""
        given = self.began.get("granted", {}) if self.began else {}
        return {name: Decimal(str(value)) for name, value in given.items() if value is not None}


@dataclass
class RunState:
    """A run as it stood when an event had been written."""

    opened: Event
    """The first event."""
    last: Event
    """The last one."""
    head: str = GENESIS
    """The hash of its line."""
    agents: dict[str, AgentState] = field(default_factory=dict)
    resumed: int = 0
    """How many times it was resumed."""
    closed: Event | None = None
    """`run.closed`, where the run has ended."""
    roles: dict[str, Amounts] = field(default_factory=dict)
    """What models have spent that are not under test and answer in a world."""
    worked: Worked = field(default_factory=Worked)
    """In how many seconds agents were at work, as far as the events show."""
    last_worked_s: float = 0.0
    """`elapsed_s` of the last event that a harness wrote."""

    @property
    def root(self) -> AgentState:
        """The agent that the run began with."""
        return self.agents.setdefault(ROOT, AgentState(ROOT))

    def open_agents(self) -> list[AgentState]:
        """Those that have not ended."""
        return [agent for agent in self.agents.values() if agent.ended is None]


def rebuilt(run: Path, at: int | None = None) -> RunState:
    """A run as it stood when event `at` had been written, or as it is.

    Meant for a record that `verify` found intact; raises `OperatorError` where there is no such
    event, `TranscriptBroken` where it is not a record that this program wrote.
    """
    events = takewhile(lambda event: at is None or event["seq"] <= at, read_events(run))
    state = rebuild(with_inherited(run, events))
    if at is not None and state.last["seq"] != at:
        raise OperatorError(f"{run} has no event {at}: the last one is {state.last['seq']}")
    return state


def rebuild(events: Iterable[Event]) -> RunState:
    """The state after some events, from the first on."""
    state: RunState | None = None
    for event in events:
        try:
            state = state or RunState(event, event)
            _take(state, event)
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise TranscriptBroken(f"event {event['seq']} cannot be taken up: {error!r}") from error
    if state is None or state.opened["kind"] != "run.opened":
        raise OperatorError("there is no run in this record: it does not begin with `run.opened`")
    return state


def amounts_of(record: dict[str, Any]) -> Amounts:
    """What an event says was spent, as exact amounts."""
    known: dict[str, Any] = {
        name: Decimal(str(value)) if name in _EXACT else int(value)
        for name, value in record.items()
        if name in vars(Amounts())
    }
    return Amounts(**known)


def _take(state: RunState, event: Event) -> None:
    kind = event["kind"]
    state.worked.see(event)
    if kind not in OF_WATCHDOG:
        state.last_worked_s = event["elapsed_s"]
    agent = state.agents.setdefault(event["agent"], AgentState(event["agent"]))
    if kind in _OF_RUN:
        _OF_RUN[kind](state, agent, event)
    elif kind in _OF_AGENT:
        _OF_AGENT[kind](agent, event)
    elif issubclass(KINDS.get(kind, object), OfKernel):
        agent.spent += Amounts(record_bytes=len(line_of(event)))
    if kind not in ("agent.ended", "run.closed") and "settled" in event:
        spent = amounts_of(event["settled"])
        if role := event.get("role"):
            state.roles[role] = state.roles.get(role, Amounts()) + spent
        else:
            agent.spent += spent
    state.last, state.head = event, sha256(line_of(event)).hexdigest()


# --- what concerns one agent ------------------------------------------------------------------


def _message(agent: AgentState, event: Event) -> None:
    message = Message(event["message"])
    if agent.conversation.add(message) != event["index"]:
        raise ValueError(f"message {event['index']} is out of its place")
    agent.heard.append(message)
    if agent.hints and message.content == {"role": "user", "content": agent.hints[0]}:
        agent.hints.pop(0)


def _request(agent: AgentState, event: Event) -> None:
    agent.described = event["digest"]


def _called(agent: AgentState, event: Event) -> None:
    agent.calls, agent.calling = event["call"], event


def _failed(agent: AgentState, event: Event) -> None:
    agent.calling = None
    agent.answered += event.get("context_full") is True


def _replied(agent: AgentState, event: Event) -> None:
    usage, said = event["usage"], agent.conversation
    if not usage["estimated"]:
        agent.counted = (usage["input_tokens"], said.wire_bytes, said.written_bytes)
    if said.add(Message(event["message"])) != event["index"]:
        raise ValueError(f"message {event['index']} is out of its place")
    _answered(agent, event)
    agent.reply, agent.heard = event, []
    agent.done, agent.refused, agent.looks = {}, set(), set()
    agent.delegations_refused = {}
    agent.idle += 1


def _answered(agent: AgentState, event: Event) -> None:
    agent.call_ids |= {call["id"] for call in event["message"].get("tool_calls") or ()}
    agent.calling = None
    agent.answered += not event.get("picked")


def _intervened(agent: AgentState, event: Event) -> None:
    if event["type"] == "hint":
        agent.hints.append(event["after"]["text"])
    if event["type"] in ("reject", "simulate", "override_refusal"):
        agent.idle = 0
    if event.get("look"):
        agent.looks.add(str(event["call_id"]))


def _no_copy(agent: AgentState, event: Event) -> None:
    agent.delegations_refused[event["call_id"]] = event
    agent.idle = 0


def _refused(agent: AgentState, event: Event) -> None:
    agent.refused.add(event.get("call_id"))


def _compacted(agent: AgentState, event: Event) -> None:
    for one in event["shortened"]:
        agent.whole.setdefault(one["index"], agent.conversation.messages[one["index"]])
        agent.conversation.replace(one["index"], Message(one["message"]))


def _started(agent: AgentState, event: Event) -> None:
    agent.actions, agent.acting, agent.idle = event["action"], event, 0
    agent.history.append(event)


def _ended(agent: AgentState, event: Event) -> None:
    started = agent.acting
    if started is None or started["action"] != event["action"]:
        raise ValueError(f"action {event['action']} ended and was not under way")
    agent.acting = None
    agent.ends[event["action"]] = event
    agent.done[started.get("call_id")] = (started, event)


def _submitted(agent: AgentState, event: Event) -> None:
    agent.answer, agent.idle = event["answer"], 0


_OF_AGENT = {
    "message": _message,
    "model.request": _request,
    "model.called": _called,
    "model.failed": _failed,
    "model.replied": _replied,
    "model.offered": _answered,
    "action.refused": _refused,
    "intervened": _intervened,
    "delegation.refused": _no_copy,
    "context.compacted": _compacted,
    "action.started": _started,
    "action.ended": _ended,
    "submitted": _submitted,
}


# --- what concerns the run --------------------------------------------------------------------


def _ready(state: RunState, agent: AgentState, event: Event) -> None:  # noqa: ARG001
    agent.sandbox, agent.lived_in = event["container"], False


def _redone(state: RunState, agent: AgentState, event: Event) -> None:  # noqa: ARG001
    agent.lived_in = True


def _removed(state: RunState, agent: AgentState, event: Event) -> None:  # noqa: ARG001
    if agent.sandbox == event["container"]:
        agent.sandbox = None


def _seeded(state: RunState, agent: AgentState, event: Event) -> None:  # noqa: ARG001
    agent.history.append(event)
    agent.lived_in = True


def _kept(state: RunState, agent: AgentState, event: Event) -> None:  # noqa: ARG001
    agent.history.append(event)


def _restored(state: RunState, agent: AgentState, event: Event) -> None:  # noqa: ARG001
    if not agent.history:  # or it is a sandbox of a run that was resumed: what came before counts
        agent.history.append(event)
        agent.lived_in = True


def _handed(state: RunState, agent: AgentState, event: Event) -> None:
    agent.handed = event
    if agent.began is not None:
        state.agents[agent.began["parent"]].history.append(event)


def _copied(state: RunState, agent: AgentState, event: Event) -> None:
    agent.began = event
    state.agents.setdefault(event["parent"], AgentState(event["parent"])).idle = 0


def _copy_ended(state: RunState, agent: AgentState, event: Event) -> None:
    agent.ended = event
    if agent.began is not None:
        state.agents[agent.began["parent"]].spent += amounts_of(event["spent"])


def _resumed(state: RunState, agent: AgentState, event: Event) -> None:  # noqa: ARG001
    state.resumed += 1


def _branched(state: RunState, agent: AgentState, event: Event) -> None:  # noqa: ARG001
    if event["edits"] or event["recount"]:  # what a server counted was another prompt
        for each in state.agents.values():
            each.counted = None


def _closed(state: RunState, agent: AgentState, event: Event) -> None:  # noqa: ARG001
    state.closed = event


_OF_RUN = {
    "sandbox.ready": _ready,
    "sandbox.removed": _removed,
    "actions.redone": _redone,
    "files.seeded": _seeded,
    "files.handed": _handed,
    "snapshot.taken": _kept,
    "sandbox.restored": _restored,
    "agent.started": _copied,
    "agent.ended": _copy_ended,
    "run.resumed": _resumed,
    "run.branched": _branched,
    "run.closed": _closed,
}
