"""Where a run stood, by its transcript alone: held against the run itself at every event."""

import shutil
from collections.abc import Generator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_eval.agent.asking import Asking
from agent_eval.agent.instructions import read_instructions
from agent_eval.agent.loop import Agent, converse
from agent_eval.basics.conversation import Reply, ToolCall, Usage
from agent_eval.errors import AgentEvalError, OperatorError
from agent_eval.events.event import Event
from agent_eval.events.folk import PeoplePlayed
from agent_eval.events.kinds import ActionEnded, ModelFailed, RunOpened
from agent_eval.events.services import LmRefused
from agent_eval.models.base import AttemptFailed, ContextOverflow, Model
from agent_eval.models.control import Control, Script, Turn, bash, python, say, submit
from agent_eval.person.oversight import Nobody, Person
from agent_eval.record.budget import Account, Amounts, limits_of
from agent_eval.record.prices import PriceCard
from agent_eval.record.reading import read_events
from agent_eval.record.rebuild import AgentState, RunState, amounts_of, rebuild, rebuilt
from agent_eval.record.transcript import EVENTS, Transcript
from agent_eval.record.verify import reopened, verify
from agent_eval.scenario.model import Loaded
from tests.helpers import (
    ModelInMemory,
    SandboxInMemory,
    executed,
    folder,
    lines_of_run,
    loaded,
)

pytestmark = pytest.mark.anyio

CARD = PriceCard(Decimal(1000), Decimal(100), Decimal(4000), "d", "s")
PLENTY = {"usd": None, "tokens": None, "steps": 500, "tool_s": None, "output_bytes": None}
OPENED: dict[str, Any] = {
    "run": "r",
    "format": 1,
    "scenario": {},
    "model": {"price": None},
    "prompts": {},
    "package": {},
    "engine": None,
    "asked": {},
    "in_force": None,
    "command_line": [],
    "canary": "c",
}


def agent_on(
    transcript: Transcript,
    scenario: Loaded,
    model: Model,
    person: Person | None = None,
    **more: Any,
) -> Agent:
    """An agent that writes there."""
    instructions = read_instructions(scenario)
    fenced = scenario.scenario.model.tool_format == "fenced"
    asking = Asking(
        name="0",
        model=model,
        tools=() if fenced else instructions.tools,
        wanted=scenario.scenario.model,
        account=Account("0", limits_of(scenario.scenario.budget.model_dump())),
        transcript=transcript,
    )
    sandbox = SandboxInMemory(**more)
    return Agent(asking, scenario.scenario, instructions, sandbox, person=person or Nobody())


def said_by(agent: Agent | AgentState) -> list[dict[str, Any]]:
    conversation = agent.asking.conversation if isinstance(agent, Agent) else agent.conversation
    return [message.content for message in conversation.messages]


def check(agent: Agent, state: RunState) -> None:
    """What the record tells is what the agent has in hand, in the middle of whatever it does."""
    root, asking = state.root, agent.asking
    assert said_by(root) == said_by(agent)
    assert root.as_said == [
        asking.context._whole.get(index, message)
        for index, message in enumerate(asking.conversation.messages)
    ]
    if state.last["kind"] == "model.called":
        assert root.calls == asking.calls
        assert root.actions == agent._actions and root.call_ids == asking._call_ids
        assert root.idle == agent._idle
        assert root.spent == asking.account.spent
        assert amounts_of(state.last["reserved"]) == asking.account.reserved
        assert root.counted is None or root.counted[0] >= (asking.context._counted_tokens or 0)
    if state.last["kind"] == "action.started":
        assert root.acting == state.last and root.spent == asking.account.spent


REPLIES = st.lists(
    st.one_of(
        st.builds(
            lambda text, calls, used, reasoning: Reply(
                text,
                tuple(ToolCall(*call) for call in calls),
                reasoning,
                usage=used and Usage(*used),
            ),
            st.text(max_size=20),
            st.lists(
                st.tuples(
                    st.sampled_from(["a", "b", "", "a b"]),
                    st.sampled_from(["bash", "python", "nothing"]),
                    st.sampled_from(['{"command": "x"}', '{"code": "y\\u00e9"}', "no", "{}"]),
                ),
                max_size=3,
            ),
            st.none() | st.tuples(st.integers(1, 5000), st.integers(0, 100), st.just(0)),
            st.sampled_from(["", "thought"]),
        ),
        st.builds(
            lambda billed: AttemptFailed("no", may_be_billed=billed, retry_after_s=0.0),
            st.booleans(),
        ),
        st.just(ContextOverflow("too long")),
    ),
    max_size=7,
)
LAST = Reply("", (ToolCall("z", "submit", '{"answer": "done"}'),), usage=Usage(3, 4))


@pytest.mark.slow
@given(
    answers=REPLIES,
    outputs=st.lists(st.binary(max_size=3000), max_size=4),
    shape=st.sampled_from(["native", "fenced"]),
    window=st.sampled_from([None, 4000]),
)
@settings(max_examples=40)
async def test_at_every_event_it_is_what_the_agent_had(
    answers: list[Any], outputs: list[bytes], shape: str, window: int | None
) -> None:
    with folder() as tmp_path:
        wanted = {"tool_format": shape, "context_tokens": window, "attempts": 3}
        scenario = loaded(tmp_path, model=wanted, budget=PLENTY)
        run = tmp_path / "run"
        with Transcript.create(run) as transcript:
            transcript.write(RunOpened(**OPENED))
            agent = agent_on(
                transcript,
                scenario,
                ModelInMemory([*answers, LAST], CARD),
                answers=[executed(output) for output in outputs],
            )
            transcript.listener = lambda _event: check(agent, rebuild(read_events(run)))
            agent.begin()
            try:
                await converse(agent)
            except AgentEvalError:
                assert agent.asking.account.reserved == Amounts()
        state = rebuilt(run)
        check(agent, state)
        assert state.root.spent == agent.asking.account.spent


def wanders(task: str) -> Generator[Turn, str, None]:
    """What a script can do in a conversation; what it hears decides what it does."""
    seen = yield bash(f"echo {task}", say="First.") + python("2")
    yield say("I think.")
    for number in range(4):
        seen += yield bash(f"{number} {len(seen)}") + bash("again")
    yield say("I think again.")
    yield submit(f"{len(seen)}")


def blunders(task: str) -> Generator[Turn, str, None]:
    """What a script cannot write in blocks, too."""
    seen = yield bash(f"echo {task}", timeout_s=7)
    seen += yield Turn("", (("nothing", {}), ("bash", {"command": 7})))
    seen += yield Turn("Lost.", (("nothing", {}), ("bash", {"command": "x"}), ("nothing", {})))
    seen += yield Turn("Lost.", (("nothing", {}),)) + bash("y")
    for _ in range(5):
        seen += yield bash("z")
    yield submit(f"{len(seen)}")


LONG = [executed(b"long " * 500)] * 30


def cut(run: Path, at: int, to: Path) -> Path:
    """A run as it would be had its harness died after that event."""
    shutil.copytree(run, to)
    to.joinpath(EVENTS).write_bytes(b"".join(lines_of_run(run)[: at + 1]))
    return to


def in_flight(state: AgentState) -> Sequence[Event]:
    """How a call and an action end that nobody waits for any more."""
    events: list[Event] = []
    if called := state.calling:
        events.append(
            ModelFailed(called["call"], called["attempt"], "lost", called["reserved"], 0.0)
        )
    if started := state.acting:
        output = {"bytes": 0, "text": ""}
        events.append(
            ActionEnded(
                started["action"], 0.0, output, "sandbox", {"tool_s": started["timeout_s"]},
                cause="harness", session="kept",
            )
        )  # fmt: skip
    return events


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "script"), [("native", wanders), ("fenced", wanders), ("native", blunders)]
)
async def test_an_agent_goes_on_from_every_event_as_if_nothing_had_been(
    tmp_path: Path, shape: str, script: Script
) -> None:
    """What is not in flight is neither lost nor done twice; a script is told all again."""
    wanted = {"tool_format": shape, "context_tokens": 6000, "max_output_tokens": 400}
    scenario = loaded(tmp_path, model=wanted, budget=PLENTY)
    whole = tmp_path / "whole"
    with Transcript.create(whole) as transcript:
        transcript.write(RunOpened(**OPENED))
        agent = agent_on(transcript, scenario, Control("script", script), answers=LONG)
        agent.begin()
        answer = await converse(agent)
    uninterrupted = [said_by(agent), answer, agent.asking.account.spent]
    recorded = list(read_events(whole))
    assert "context.compacted" in {event["kind"] for event in recorded}
    for at, event in enumerate(recorded[:-1]):
        run = cut(whole, at, tmp_path / str(at))
        flying = event["kind"] in ("model.called", "action.started")
        with reopened(run) as transcript:
            for ending in in_flight(rebuilt(run).root):
                transcript.write(ending)
            state = rebuilt(run).root
            agent = agent_on(transcript, scenario, Control("script", script), answers=LONG)
            agent.asking.account.spent = state.spent
            answer = await converse(agent, state)
        if flying:
            assert answer and agent.asking.calls >= recorded[-2].get("call", 0)
        else:
            assert [said_by(agent), answer, agent.asking.account.spent] == uninterrupted
        ends = [each["action"] for each in read_events(run) if each["kind"] == "action.ended"]
        assert ends == sorted(set(ends)), "no action is done twice"
        assert not verify(run).faults


async def test_an_interrupted_action_is_told_and_not_done_again(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, budget=PLENTY)
    run = tmp_path / "run"

    def script(task: str) -> Generator[Turn, str, None]:
        seen = yield bash("slow")
        yield submit(seen)

    with Transcript.create(run) as transcript:
        transcript.write(RunOpened(**OPENED))
        agent = agent_on(transcript, scenario, Control("s", script), answers=[KeyboardInterrupt()])
        agent.begin()
        with pytest.raises(KeyboardInterrupt):
            await converse(agent)
    started = next(event for event in read_events(run) if event["kind"] == "action.started")
    cut_off = cut(run, started["seq"], tmp_path / "cut")
    with reopened(cut_off) as transcript:
        for ending in in_flight(rebuilt(cut_off).root):
            transcript.write(ending)
        agent = agent_on(transcript, scenario, Control("s", script))
        answer = await converse(agent, rebuilt(cut_off).root)
    assert "interrupted by a fault outside" in answer
    assert agent.sandbox.seen == []  # type: ignore[attr-defined]


def test_an_event_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Transcript.create(run) as transcript:
        transcript.write(RunOpened(**OPENED))
    assert rebuilt(run, 0).last["kind"] == "run.opened"
    with pytest.raises(OperatorError, match="no event 1"):
        rebuilt(run, 1)


def test_what_a_stand_in_cost_is_its_roles_and_not_the_agents(tmp_path: Path) -> None:
    run, cost = tmp_path / "run", {"steps": 1, "usd": 0.25}
    with Transcript.create(run) as transcript:
        transcript.write(RunOpened(**OPENED))
        transcript.write(PeoplePlayed("kim", "agent", {"text": "[]"}, cost))
        transcript.write(LmRefused("0", "main", 503, "no answer", settled=cost, role="lm"))
        transcript.write(LmRefused("0", "main", 503, "no answer", settled=cost))
    state = rebuilt(run)
    assert state.root.spent == Amounts(steps=1, usd=Decimal("0.25"))
    assert state.roles == dict.fromkeys(("persons", "lm"), state.root.spent)
