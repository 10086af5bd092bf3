"""The read-execute-print loop: what is on record when, what is seen, what ends it."""

import json
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent_eval.agent.asking import Asking
from agent_eval.agent.instructions import read_instructions
from agent_eval.agent.loop import Agent, converse
from agent_eval.basics.conversation import Reply, ToolCall, Usage
from agent_eval.errors import (
    AgentEvalError,
    Blame,
    GaveUp,
    LimitReached,
    ModelUnavailable,
    RequestRefused,
    SandboxDied,
    Stopped,
)
from agent_eval.graders.proposed import suspicion
from agent_eval.models.base import AttemptFailed, Model
from agent_eval.models.control import Control, Turn, bash, python, say, submit
from agent_eval.models.endpoint import from_environment
from agent_eval.models.openai_chat import OpenAIChat
from agent_eval.person.oversight import Nobody, Person
from agent_eval.record.budget import Account, Amounts, limits_of
from agent_eval.record.reading import content_bytes, read_events, rebuild_request
from agent_eval.record.redact import NOTHING, Redactor
from agent_eval.record.transcript import Transcript
from agent_eval.record.verify import verify
from agent_eval.scenario.model import ModelArguments
from tests.helpers import (
    NASTY,
    ModelInMemory,
    SandboxInMemory,
    as_json,
    executed,
    kinds_on_disk,
    loaded,
)
from tests.models.server import Answer, completion, point_at, serving

pytestmark = pytest.mark.anyio

Script = Generator[Turn, str, None]


@dataclass
class World:
    """One agent with all it needs, and where it is recorded."""

    agent: Agent
    run: Path

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        return [event for event in read_events(self.run) if event["kind"] in kinds or not kinds]

    def told(self) -> list[str]:
        """What the model was shown after the frame and the task."""
        texts = [str(event["message"]["content"]) for event in self.events("message")]
        return texts[2:]

    def check_books(self) -> None:
        """Nothing is left set aside, and the record adds up to what was spent."""
        account = self.agent.asking.account
        assert account.reserved == Amounts()
        total: dict[str, float] = {}
        for event in self.events():
            for name, amount in event.get("settled", {}).items():
                total[name] = total.get(name, 0) + amount
        spent = {name: value for name, value in account.spent.record().items() if value}
        assert total == pytest.approx(spent, abs=1e-6)


def world(
    tmp_path: Path,
    mind: Model | Callable[[str], Script],
    sandbox: SandboxInMemory | None = None,
    stopping: Callable[[], bool] = lambda: False,
    person: Person | None = None,
    redactor: Redactor = NOTHING,
    **fields: Any,
) -> World:
    """An agent on a small scenario; a function in the place of a model is a control's script."""
    scenario = loaded(tmp_path, **fields)
    run = tmp_path / "run"
    instructions = read_instructions(scenario)
    asking = Asking(
        name="0",
        model=Control("script", mind) if callable(mind) else mind,
        tools=() if scenario.scenario.model.tool_format == "fenced" else instructions.tools,
        wanted=scenario.scenario.model,
        account=Account("0", limits_of(scenario.scenario.budget.model_dump())),
        transcript=Transcript.create(run, redactor),
    )
    given = (asking, scenario.scenario, instructions, sandbox or SandboxInMemory(), stopping)
    suspicious = suspicion(scenario.scenario.approve)
    agent = Agent(*given, person=person or Nobody(), suspicious=suspicious)
    return World(agent, run)


async def converse_in(world: World) -> str:
    """The whole conversation."""
    with world.agent.asking.transcript:
        world.agent.begin()
        try:
            return await converse(world.agent)
        finally:
            await world.agent.asking.model.close()


async def ended_by(world: World, error: type[BaseException]) -> Any:
    """The error that ends the conversation; the books are checked."""
    with pytest.raises(error) as caught:
        await converse_in(world)
    world.check_books()
    return caught.value


def works(task: str) -> Script:
    assert task == "Do the small job."
    seen = yield bash("echo one", say="First.") + python("2", timeout_s=7)
    assert seen == "echo one\n[exit status 0]\n2\n[exit status 0]"
    yield bash("echo three")
    yield submit("done") + bash("never")


async def test_everything_is_on_record_before_it_happens(tmp_path: Path) -> None:
    sandbox = SandboxInMemory()
    there = world(tmp_path, works, sandbox)
    on_disk: list[list[str]] = []
    sandbox.at_execution = lambda: on_disk.append(kinds_on_disk(there.run))
    assert await converse_in(there) == "done"
    beginning = ["message", "message", "model.request", "model.called", "model.replied"]
    action = ["action.started", "action.ended", "message"]
    assert kinds_on_disk(there.run) == [
        *(*beginning, *action, *action),
        *("model.called", "model.replied", *action),
        *("model.called", "model.replied", "submitted"),
    ]
    for at_execution, number in zip(on_disk, (1, 2, 3), strict=True):
        assert at_execution[-1] == "action.started", "an action is on disk before it starts"
        assert at_execution.count("action.started") == number
        assert at_execution.count("action.ended") == number - 1
        assert "model.replied" in at_execution
    assert sandbox.seen[0][:2] == ("bash", "echo one")
    assert [one[0] for one in sandbox.seen] == ["bash", "python", "bash"]
    assert [one[2] for one in sandbox.seen] == [60, 7, 60]
    there.check_books()
    assert not verify(there.run).faults


async def test_actions_and_messages_are_numbered_and_tied_together(tmp_path: Path) -> None:
    there = world(tmp_path, works)
    await converse_in(there)
    indexes = [event["index"] for event in there.events("message", "model.replied")]
    assert indexes == list(range(len(indexes)))
    started, ended = there.events("action.started"), there.events("action.ended")
    assert [event["action"] for event in started] == [1, 2, 3]
    assert [event["action"] for event in ended] == [1, 2, 3]
    assert [event["call"] for event in started] == [1, 1, 2]
    results = [event["message"] for event in there.events("message")][2:]
    assert [one["tool_call_id"] for one in results] == [event["call_id"] for event in started]
    called = there.events("model.called")
    assert [event["sees"] for event in called] == [[[0, 1]], [[0, 4]], [[0, 6]]]
    (answer,) = there.events("submitted")
    assert (answer["answer"], answer["call"]) == ("done", 3)
    for one, other in pairwise(there.events()):
        assert one["seq"] + 1 == other["seq"]


def never_ends(_task: str) -> Script:
    while True:
        yield bash("again")


@pytest.mark.parametrize(
    ("budget", "limit", "calls", "actions"),
    [
        ({"steps": 3}, "steps", 3, 3),
        ({"tool_s": 1.0}, "tool_s", 5, 4),
        ({"output_bytes": 15}, "output_bytes", 4, 3),
        ({"output_tokens": 300, "tokens": None}, "output_tokens", None, None),
        ({"tokens": 20_000}, "tokens", None, None),
    ],
)
async def test_a_limit_ends_the_run_where_it_should(
    tmp_path: Path,
    budget: dict[str, float | None],
    limit: str,
    calls: int | None,
    actions: int | None,
) -> None:
    there = world(tmp_path, never_ends, budget={"steps": 500} | budget)
    error = await ended_by(there, LimitReached)
    assert (error.limit, error.blame) == (limit, Blame.LIMIT)
    assert f"{limit}: " in str(error)
    account = there.agent.asking.account
    assert all(getattr(account.spent, name) <= most for name, most in account.limits.items())
    if calls is not None:
        assert len(there.events("model.replied")) == calls
        assert len(there.events("action.started")) == actions
    assert len(there.events("action.started")) == len(there.events("action.ended"))


async def test_an_action_gets_no_more_than_what_is_left(tmp_path: Path) -> None:
    answers = [executed(b"x" * 70, duration_s=0.75), executed(b"", duration_s=0.25)]
    sandbox = SandboxInMemory(answers)
    budget = {"tool_s": 1, "output_bytes": 100}
    there = world(tmp_path, never_ends, sandbox, budget=budget)
    assert (await ended_by(there, LimitReached)).limit == "tool_s"
    assert [(one[2], one[3]) for one in sandbox.seen] == [(1.0, 100), (0.25, 30)]


async def test_an_action_that_took_more_than_its_share_is_booked_as_it_was(tmp_path: Path) -> None:
    over = executed(b"x" * 50, dropped_bytes=5000, duration_s=9.5, cause="output", rung="kill")
    there = world(
        tmp_path, never_ends, SandboxInMemory([over]), budget={"tool_s": 3, "output_bytes": 100}
    )
    await ended_by(there, LimitReached)
    assert there.agent.asking.account.spent.tool_s == Decimal("9.5")
    assert there.agent.asking.account.spent.output_bytes == 5050
    (ended,) = there.events("action.ended")
    assert ended["output"]["dropped_bytes"] == 5000


async def test_the_time_that_a_model_may_ask_for_is_bounded(tmp_path: Path) -> None:
    sandbox = SandboxInMemory()

    def asks(_task: str) -> Script:
        for timeout_s in (None, 5, 99, 10**400, 0.001):
            yield bash("x", timeout_s)
        yield submit("done")

    limits = {"timeout_s": 10, "max_timeout_s": 20, "max_output_bytes": 5000}
    there = world(tmp_path, asks, sandbox, actions=limits)
    await converse_in(there)
    assert [(one[2], one[3]) for one in sandbox.seen] == [
        (wanted, 5000) for wanted in (10, 5, 20, 20, 0.001)
    ]
    assert [event["timeout_s"] for event in there.events("action.started")] == [
        10,
        5,
        20,
        20,
        0.001,
    ]
    there.check_books()


USED = Usage(10, 10)


def calling(*calls: tuple[str, str]) -> Reply:
    given = tuple(ToolCall(f"c{n}", name, text) for n, (name, text) in enumerate(calls))
    return Reply("", given, usage=USED)


BAD = ("bash", '{"cmd": 1}')
GOOD = ("bash", '{"command": "ok"}')
DONE = ("submit", '{"answer": "done"}')


async def test_malformed_calls_are_answered_counted_and_bounded(tmp_path: Path) -> None:
    replies = [calling(BAD, GOOD, ("rm", "{}")), calling(BAD), calling(BAD), calling(GOOD),
               calling(BAD), calling(BAD, DONE)]  # fmt: skip
    sandbox = SandboxInMemory()
    there = world(tmp_path, ModelInMemory(replies), sandbox, actions={"max_idle_replies": 2})
    assert await converse_in(there) == "done"
    refused = there.events("action.refused")
    assert [event["call"] for event in refused] == [1, 1, 2, 3, 5, 6]
    assert refused[0]["reason"] == "bash needs 'command', a string."
    assert (refused[1]["tool"], refused[1]["call_id"]) == ("rm", "c2")
    assert there.told()[0] == "[not done: bash needs 'command', a string.]"
    assert len(sandbox.seen) == 2
    answered = [event["message"].get("tool_call_id") for event in there.events("message")][2:]
    asked = [
        call["id"]
        for event in there.events("model.replied")
        for call in event["message"].get("tool_calls", ())
    ]
    assert answered == asked[:-1], "every call but the last has its answer"
    assert len(set(asked)) == len(asked) == 9, "though the model gave the same ids again"
    there.check_books()


async def test_nothing_but_malformed_calls_ends_the_run(tmp_path: Path) -> None:
    model = ModelInMemory([calling(BAD)])
    there = world(tmp_path, model, actions={"max_idle_replies": 3})
    error = await ended_by(there, GaveUp)
    assert error.blame is Blame.MODEL
    assert "4 replies in a row" in str(error)
    assert len(model.seen) == 4
    assert len(there.events("action.refused")) == 3, "the last one need not be answered"


async def test_a_model_that_only_talks_is_nudged_and_then_given_up(tmp_path: Path) -> None:
    def talks(_task: str) -> Script:
        yield say("I think")
        yield bash("ls")
        while True:
            seen = yield say("I think again")
            assert "no action" in seen

    there = world(tmp_path, talks, actions={"max_idle_replies": 2})
    assert "3 replies in a row" in str(await ended_by(there, GaveUp))
    nudge = there.agent.instructions.nudge
    assert there.told() == [nudge, "ls\n[exit status 0]", nudge, nudge]
    roles = [event["message"]["role"] for event in there.events("message")]
    assert roles == ["system", "user", "user", "tool", "user", "user"]


async def test_fenced_blocks_are_actions_where_there_are_no_tools(tmp_path: Path) -> None:
    text = "Look:\n```bash\nls -la\n```\nand\n````python\nprint('```')\n````\nbye"
    model = ModelInMemory(
        [
            Reply(text, (ToolCall("c", "bash", '{"command": "not offered"}'),), usage=USED),
            Reply("no block", usage=USED),
            Reply("```submit\nthe answer\n```", usage=USED),
        ]
    )
    sandbox = SandboxInMemory()
    there = world(tmp_path, model, sandbox, model={"tool_format": "fenced"})
    assert await converse_in(there) == "the answer"
    assert [one[:2] for one in sandbox.seen] == [("bash", "ls -la"), ("python", "print('```')")]
    assert [event["message"]["role"] for event in there.events("message")][2:] == ["user"] * 3
    for request in model.seen:
        body = json.loads(request.body())
        assert "tools" not in body
        assert all("tool_calls" not in message for message in body["messages"])
    there.check_books()


@pytest.mark.parametrize(
    ("done", "view"),
    [
        (executed(b"out\n"), "out\n[exit status 0]"),
        (executed(b"out"), "out\n[exit status 0]"),
        (executed(b"", reported_exit=7), "[exit status 7]"),
        (executed(b"", reported_exit=None), "[no exit status]"),
        (
            executed(b"x", rung="interrupt", cause="timeout", reported_exit=130),
            "x\n[stopped after 60 s; exit status 130]",
        ),
        (
            executed(b"", rung="kill", cause="timeout", reported_exit=None, session_lost=True),
            "[stopped after 60 s; this session ended; your next call starts a new one]",
        ),
        (
            executed(b"y", dropped_bytes=9, rung="kill", cause="output", session_lost=True),
            (
                "y\n[stopped: it wrote too much; exit status 0; this session ended; your next call "
                "starts a new one]"
            ),
        ),
        (executed(b"\xff\x00\x1b[2J"), "\\xff\x00\x1b[2J\n[exit status 0]"),
    ],
)
async def test_what_the_model_sees_of_an_action(tmp_path: Path, done: Any, view: str) -> None:
    def acts(_task: str) -> Script:
        seen = yield bash("x")
        assert seen == view
        yield submit("done")

    there = world(tmp_path, acts, SandboxInMemory([done]))
    await converse_in(there)
    (ended,) = there.events("action.ended")
    assert content_bytes(there.run, ended["output"]) == done.output
    assert (ended["rung"], ended.get("cause")) == (done.rung, done.cause)
    assert ended["session"] == ("lost" if done.session_lost else "kept")
    assert ended.get("reported_exit") == done.reported_exit


async def test_long_output_is_kept_whole_and_shown_shortened(tmp_path: Path) -> None:
    output = b"head" + b"x" * 100_000 + b"tail"

    def acts(_task: str) -> Script:
        seen = yield bash("x")
        assert seen.startswith("headxxx")
        assert "[... 99008 bytes left out ...]" in seen
        assert seen.endswith("tail\n[exit status 0]")
        yield submit("done")

    there = world(tmp_path, acts, SandboxInMemory([executed(output)]), actions={"view_bytes": 1000})
    await converse_in(there)
    (ended,) = there.events("action.ended")
    assert "blob" in ended["output"]
    assert content_bytes(there.run, ended["output"]) == output


async def test_any_text_gets_through_the_loop(tmp_path: Path) -> None:
    code = NASTY.replace("\0", "") + "\ud800"
    reply = Reply(code, (ToolCall(code, "bash", json.dumps({"command": code})),), code, USED)
    sandbox = SandboxInMemory()
    there = world(tmp_path, ModelInMemory([reply, calling(DONE)]), sandbox)
    assert await converse_in(there) == "done"
    assert sandbox.seen[0][1] == code
    (started,) = there.events("action.started")
    assert started["input"]["code"] == as_json(code)
    (first, _) = there.events("model.replied")
    assert first["calls_as_given"][0]["id"] == as_json(code)
    assert started["call_id"] == first["message"]["tool_calls"][0]["id"] == "call_1"
    assert not verify(there.run).faults


async def test_a_sandbox_that_dies_ends_the_run_and_its_action(tmp_path: Path) -> None:
    died = SandboxDied("gone", Blame.MODEL)
    sandbox = SandboxInMemory([executed(b"1"), died], so_far=(b"said before it died\n", 7))
    there = world(tmp_path, never_ends, sandbox)
    assert await ended_by(there, SandboxDied) is died
    assert kinds_on_disk(there.run)[-2:] == ["action.started", "action.ended"]
    first, last = there.events("action.ended")
    assert first["rung"] == "none"
    assert (last["rung"], last["cause"], last["session"]) == ("sandbox", "died", "lost")
    said = {"bytes": 20, "text": "said before it died\n", "dropped_bytes": 7}
    assert last["output"] == said, "what came before the death is not lost"
    assert last["settled"]["output_bytes"] == 27, "what it wrote, and the time it took"
    assert last["settled"].get("tool_s", 0) < 60


@dataclass
class Hangs(SandboxInMemory):
    """Never answers."""

    async def execute(self, *_: object, **__: object) -> Any:
        await anyio.sleep_forever()


async def test_an_action_that_is_cancelled_is_settled_and_on_record(tmp_path: Path) -> None:
    there = world(tmp_path, never_ends, Hangs(so_far=(b"so far", 0)))
    with anyio.move_on_after(0.05) as scope:
        await converse_in(there)
    assert scope.cancelled_caught
    (ended,) = there.events("action.ended")
    assert (ended["rung"], ended["cause"]) == ("sandbox", "cancelled")
    assert ended["output"] == {"bytes": 6, "text": "so far"}
    there.check_books()


@pytest.mark.parametrize(
    "error",
    [
        RequestRefused("no"),
        ModelUnavailable("down"),
        AttemptFailed("cut", may_be_billed=True, retry_after_s=0),
        RuntimeError("a fault"),
    ],
)
async def test_a_model_that_fails_leaves_the_books_right(tmp_path: Path, error: Exception) -> None:
    model = ModelInMemory([calling(GOOD), error])
    there = world(tmp_path, model, model={"attempts": 2})
    expected = ModelUnavailable if isinstance(error, AttemptFailed) else type(error)
    raised = await ended_by(there, expected)
    assert isinstance(raised, AgentEvalError | RuntimeError)
    assert kinds_on_disk(there.run)[-1] == "model.failed"


async def test_a_person_ends_the_run_after_the_current_step(tmp_path: Path) -> None:
    sandbox = SandboxInMemory()
    there = world(tmp_path, never_ends, sandbox, stopping=lambda: len(sandbox.seen) >= 2)
    error = await ended_by(there, Stopped)
    assert error.blame is Blame.OPERATOR
    assert len(sandbox.seen) == 2
    assert kinds_on_disk(there.run)[-1] == "message", "the step was finished"


async def test_while_the_run_is_paused_no_action_and_no_call_starts(tmp_path: Path) -> None:
    """Paused at each of the two: what is on its way comes to its end, and nothing follows."""
    sandbox = SandboxInMemory()
    model = ModelInMemory([calling(GOOD), calling(DONE)])
    there = world(tmp_path, model, sandbox)
    steering = there.agent.asking.steering
    sandbox.at_execution = model.at_call = steering.pause
    answers: list[str] = []

    async def whole() -> None:
        answers.append(await converse_in(there))

    with anyio.fail_after(100):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(whole)
            await anyio.wait_all_tasks_blocked()
            assert (len(model.seen), len(sandbox.seen)) == (1, 0), "the action waits"
            assert kinds_on_disk(there.run)[-1] == "model.replied"
            steering.go_on()
            await anyio.wait_all_tasks_blocked()
            assert (len(model.seen), len(sandbox.seen)) == (1, 1), "the call waits"
            assert kinds_on_disk(there.run)[-1] == "message"
            steering.go_on()
    assert answers == ["done"]


async def test_a_run_that_is_paused_leaves_its_turn_to_others(tmp_path: Path) -> None:
    """One that was paused while it waited for its turn at the server gives it back."""
    model = ModelInMemory([calling(DONE)])
    there = world(tmp_path, model)
    steering = there.agent.asking.steering
    limiter, taken = anyio.CapacityLimiter(1), 0

    @asynccontextmanager
    async def turn() -> AsyncIterator[None]:
        nonlocal taken
        async with limiter:
            taken += 1
            yield

    model.turn = turn  # type: ignore[method-assign]
    with anyio.fail_after(100):
        async with anyio.create_task_group() as tasks:
            await limiter.acquire()
            tasks.start_soon(converse_in, there)
            await anyio.wait_all_tasks_blocked()
            steering.pause()
            limiter.release()
            await anyio.wait_all_tasks_blocked()
            assert (taken, limiter.borrowed_tokens, len(model.seen)) == (1, 0, 0)
            steering.go_on()
    assert (taken, len(model.seen)) == (2, 1)


async def test_a_whole_conversation_over_a_wire_is_rebuilt_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        Answer({"error": {"message": "slow down"}}, 429, {"Retry-After": "0"}),
        Answer(completion(NASTY, [("bash", {"command": f"echo {NASTY[1:5]}"})])),
        Answer(b"garbage"),
        Answer(completion(None, [("python", {"code": "é\ud800"}), ("nope", "{")], usage=None)),
        Answer(completion("I only talk", reasoning_content="and think")),
        Answer(completion("", [("submit", {"answer": NASTY})])),
    ]
    with serving(*answers) as server:
        point_at(monkeypatch, server.address)
        wanted = ModelArguments(seed=7, extra_body={"top_k": 5})
        model = OpenAIChat(from_environment("m"), wanted, None)
        fields: dict[str, Any] = {
            "model": wanted.model_dump(exclude_defaults=True),
            "budget": {"usd": None},
        }
        there = world(tmp_path, model, SandboxInMemory([executed(b"\xff\x00out")]), **fields)
        assert await converse_in(there) == NASTY
        came = [request.body for request in server.came]
    called = there.events("model.called")
    sent = [rebuild_request(there.run, event["call"], event["attempt"]) for event in called]
    assert sent == came
    assert len(sent) == 6
    assert [(event["call"], event["attempt"]) for event in called] == [
        *((1, 1), (1, 2)),
        *((2, 1), (2, 2)),
        *((3, 1), (4, 1)),
    ]
    assert b"and think" not in b"".join(came), "reasoning is kept apart"
    assert all(json.loads(body)["top_k"] == 5 for body in came)
    (thought,) = [event for event in there.events("model.replied") if "reasoning" in event]
    assert thought["reasoning"] == "and think"
    there.check_books()
    assert not verify(there.run).faults
