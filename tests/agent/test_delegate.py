"""Delegation: caps, grants, order, and a ledger that adds up whatever the tree does."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent_eval.agent.actions import Malformed, action_of
from agent_eval.basics.conversation import ToolCall
from agent_eval.errors import (
    AgentEvalError,
    Blame,
    GaveUp,
    LimitReached,
    ModelUnavailable,
    Overspent,
    SandboxDied,
    Stopped,
)
from agent_eval.models.control import Turn, bash, delegate, say, submit
from agent_eval.record.prices import PriceCard
from tests.families import Script, SharedInMemory, Talkative, Whole, family, plays
from tests.helpers import folder

pytestmark = pytest.mark.anyio

PRICE = PriceCard(Decimal(100), Decimal(10), Decimal(1000), "2026-11-01", "a test")


def refused(there: Whole) -> list[tuple[str, str]]:
    return [(event["agent"], event["cap"]) for event in there.events("delegation.refused")]


# --- what a copy is and hears ---------------------------------------------------------------------


async def test_a_copy_sees_its_task_and_its_parent_hears_the_answer(tmp_path: Path) -> None:
    def mind(task: str) -> Script:
        if task == "Count.":
            seen = yield bash("1")
            yield submit(f"counted {seen[0]}")
            return
        seen = yield delegate("Count.", {"steps": 7})
        assert "[copy 0.1 ended with its answer]\ncounted 1\n" in seen
        yield submit("done")

    there = family(tmp_path, mind)
    assert await there.answer() == "done"
    there.check_books()
    (started,) = there.events("agent.started")
    assert (started["agent"], started["parent"], started["task"]) == ("0.1", "0", "Count.")
    assert started["granted"]["steps"] == 7
    assert "wall_s" not in started["granted"], "time passes for all at once"
    (ended,) = there.events("agent.ended")
    assert (ended["outcome"], ended["answer"]) == ({"status": "submitted"}, "counted 1")
    assert ended["spent"]["steps"] == 2
    frame, task = [
        event["message"] for event in there.events("message") if event["agent"] == "0.1"
    ][:2]
    assert "You are such a copy yourself" in frame["content"] and "7 replies" in frame["content"]
    assert task == {"role": "user", "content": "Count."}


async def test_a_run_that_a_person_ends_makes_no_more_copies(tmp_path: Path) -> None:
    def mind(task: str) -> Script:
        yield bash("1") + delegate("Count.")
        yield submit("never")

    box = SharedInMemory()
    there = family(tmp_path, mind, box)
    box.at_execution = there.steering.drain
    with pytest.raises(Stopped):
        await there.answer()
    assert refused(there) == [("0", "ending")]
    assert not there.events("agent.started")
    there.check_books()


async def test_side_by_side_in_one_turn_and_otherwise_in_order(tmp_path: Path) -> None:
    """All wait for each other, so they end only if they live at once; answers keep their order."""
    together = anyio.Event()
    alive: list[str] = []
    finished: list[str] = []

    class Meeting(SharedInMemory):
        async def execute(self, program: str, code: str, *given: Any, **more: Any) -> Any:
            if code.startswith("meet"):
                alive.append(code)
                if len(alive) == 3:
                    together.set()
                await together.wait()
                for _ in range(10 * (4 - int(code[-1]))):  # the last comes first
                    await anyio.lowlevel.checkpoint()
                finished.append(code)
            return await super().execute(program, code, *given, **more)

    def mind(task: str) -> Script:
        if task.startswith("Go"):
            yield bash(f"meet {task[-1]}" if "meet" in task else "alone")
            yield submit(f"answer to {task}")
            return
        yield (
            delegate("Go meet 1")
            + delegate("Go meet 2")
            + delegate("Go meet 3")
            + bash("between")
            + delegate("Go alone 4")
        )
        yield submit("done")

    sandbox = Meeting()
    there = family(tmp_path, mind, sandbox)
    with anyio.fail_after(60):
        assert await there.answer() == "done"
    there.check_books()
    assert finished == ["meet 3", "meet 2", "meet 1"]
    answers = [text.split("\n")[1] if "copy" in text else text for text in there.told()]
    assert [each[:18] for each in answers] == [
        *(f"answer to Go meet {n}"[:18] for n in (1, 2, 3)),
        "between\n[exit stat",
        "answer to Go alone"[:18],
    ]
    assert [text[:9] for text in there.told() if "copy" in text] == [
        f"[copy 0.{n}" for n in (1, 2, 3, 4)
    ]
    codes = [code for program, code, *_ in sandbox.seen if program == "bash"]
    assert codes[-2:] == ["between", "alone"], "what stands between is done between"


# --- refusals -------------------------------------------------------------------------------------

CAPS: dict[str, tuple[dict[str, Any], dict[str, Any], Turn, str]] = {
    "depth": ({"max_depth": 1}, {}, delegate("deeper"), "there may be 1 generations"),
    "total": ({"max_total": 2}, {}, delegate("a") + delegate("b") + delegate("c"), "2 in all"),
    "at_once": ({"max_at_once": 1}, {}, delegate("a") + delegate("b"), "1 at one time"),
    "budget": ({}, {"steps": 10}, delegate("a", {"steps": 9}), "9 steps is more than the 4.5"),
}


@pytest.mark.parametrize("cap", CAPS)
async def test_a_refusal_is_told_and_on_record(cap: str, tmp_path: Path) -> None:
    caps, budget, turn, words = CAPS[cap]
    asked = [str(given["task"]) for _, given in turn.calls]

    def mind(task: str) -> Script:
        if task == "deeper":
            seen = yield delegate("too deep")
            assert words in seen, seen
            yield submit("as deep as it goes")
        elif task in asked:
            yield submit("small")
        yield turn
        yield submit("done")

    there = family(tmp_path, mind, delegation=caps, budget={"steps": 50, **budget})
    assert await there.answer() == "done"
    there.check_books()
    (event,) = there.events("delegation.refused")
    assert event["cap"] == cap
    assert words in event["reason"]
    assert event["call_id"].startswith("call_")
    assert event["task"] in (*asked, "too deep")
    assert any(words in text for text in there.told(event["agent"])), "it was told in words"
    made = len(asked) - (cap != "depth")
    assert len(there.events("agent.started")) == made


async def test_with_nothing_left_there_is_no_copy_and_the_run_ends_by_its_limit(
    tmp_path: Path,
) -> None:
    def mind(task: str) -> Script:
        while True:
            yield delegate("a") if task == "Do the small job." else submit("a")

    there = family(tmp_path, mind, budget={"steps": 4, "usd": None})
    with pytest.raises(LimitReached):
        await there.answer()
    there.check_books()
    assert refused(there)[-1] == ("0", "budget")
    assert "too little is left of steps" in there.told()[-1]
    assert there.first.asking.account.spent.steps == 4


async def test_caps_hold_for_the_whole_tree_whoever_asks(tmp_path: Path) -> None:
    """A storm: copies that do nothing but make copies."""

    def mind(task: str) -> Script:
        for _ in range(3):
            yield delegate("more") + delegate("more") + delegate("more")
        yield submit("done")

    caps = {"max_depth": 3, "max_at_once": 5, "max_total": 12, "max_share": 1}
    there = family(tmp_path, mind, delegation=caps, budget={"steps": 500, "usd": 5})
    alive = peak = 0
    assert await there.answer() == "done"
    there.check_books()
    for event in there.events("agent.started", "agent.ended"):
        alive += 1 if event["kind"] == "agent.started" else -1
        peak = max(peak, alive)
    started = [event["agent"] for event in there.events("agent.started")]
    assert len(started) == 12
    assert peak <= 5
    assert max(name.count(".") for name in started) <= 3
    assert {"total", "at_once"} <= {cap for _, cap in refused(there)}


# --- arguments of every form ----------------------------------------------------------------------

WRONG: list[Any] = [
    {},
    [],
    "a task",
    None,
    {"task": None},
    {"task": 3},
    {"task": ["a"]},
    {"task": ""},
    {"task": " \n"},
    {"task": "x" * 600_000},
    {"task": "a", "budget": 5},
    {"task": "a", "budget": [1]},
    {"task": "a", "budget": "all"},
    {"task": "a", "budget": {"usd": "1"}},
    {"task": "a", "budget": {"usd": None}},
    {"task": "a", "budget": {"usd": 0}},
    {"task": "a", "budget": {"usd": -1}},
    {"task": "a", "budget": {"usd": True}},
    {"task": "a", "budget": {"wall_s": 5}},
    {"task": "a", "budget": {"usd": 1, "sandboxes": 1}},
    {"task": "a", "files": ["x"]},
    {"task": "a", "start": "live"},
]


def call_of(arguments: Any, name: str = "delegate") -> ToolCall:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall("c", name, text)


@pytest.mark.parametrize("arguments", [*WRONG, '{"task": "a", "budget": {"usd": NaN}}', "{"])
def test_wrong_arguments_are_explained(arguments: Any) -> None:
    read = action_of(call_of(arguments), ["bash", "delegate"])
    assert isinstance(read, Malformed)
    assert read.reason


def test_without_copies_there_is_no_such_tool_and_no_files() -> None:
    read = action_of(call_of({"task": "a"}), ["bash"])
    assert isinstance(read, Malformed) and "no tool 'delegate'" in read.reason
    read = action_of(call_of({"answer": "a", "files": ["x"]}, "submit"), ["bash"])
    assert isinstance(read, Malformed) and "files" in read.reason


@pytest.mark.parametrize(
    "files", ["x", {"a": 1}, [1], [None], [""], ["a\0b"], ["x"] * 101, ["x" * 5000], ["a\ud800"]]
)
def test_wrong_files_are_explained(files: Any) -> None:
    read = action_of(call_of({"answer": "a", "files": files}, "submit"), ["delegate"])
    assert isinstance(read, Malformed) and "files" in read.reason


@pytest.mark.parametrize(
    "budget",
    [{"usd": 1e300}, {"tokens": 10**300}, {"steps": 1e-300}, {"usd": 5e-324}, {"steps": 0.5}],
)
async def test_a_wish_of_any_size_is_granted_or_refused_in_words(
    budget: dict[str, float], tmp_path: Path
) -> None:
    """Where nothing is limited there is no share to compare it with."""

    def mind(task: str) -> Script:
        if task == "a":
            yield submit("a")
        seen = yield delegate("a", budget)
        yield submit(seen)

    there = family(tmp_path, mind, budget={"usd": None, "tokens": None, "steps": 1000})
    answer = await there.answer()
    there.check_books()
    assert "copy" in answer


SURROGATE = "half of one: \ud800"


async def test_texts_of_every_kind_pass_both_ways(tmp_path: Path) -> None:
    """A model may write half of a pair of surrogates as a JSON escape."""

    def mind(task: str) -> Script:
        if task == SURROGATE:
            yield submit(SURROGATE + "\0\x1b[2J")
        seen = yield delegate(SURROGATE)
        assert "ended with its answer]\nhalf of one: " in seen, seen
        yield submit("done")

    there = family(tmp_path, mind)
    assert await there.answer() == "done"
    there.check_books()


async def test_an_answer_of_any_length_is_cut_to_what_a_model_is_shown(tmp_path: Path) -> None:
    def mind(task: str) -> Script:
        if task == "a":
            yield submit("y" * 3_000_000)
        seen = yield delegate("a")
        assert "bytes left out" in seen and len(seen) < 5000
        yield submit("done")

    there = family(tmp_path, mind, actions={"view_bytes": 4096})
    assert await there.answer() == "done"
    assert there.events("agent.ended")[0]["answer"] == "y" * 3_000_000


async def test_fenced_blocks_delegate_too(tmp_path: Path) -> None:
    def mind(task: str) -> Script:
        if "part" in task:
            yield bash("one")
            yield submit(f"did {task.strip()}")
        seen = yield delegate("part 1\nwith ```fences```") + delegate("part 2") + bash("echo")
        assert seen.index("did part 1") < seen.index("did part 2") < seen.index("[exit status 0]")
        yield submit("done")

    there = family(tmp_path, mind, model={"tool_format": "fenced"})
    assert await there.answer() == "done"
    there.check_books()
    assert set(there.ended()) == {"0.1", "0.2"}


# --- conservation ---------------------------------------------------------------------------------

BUDGETS = st.none() | st.dictionaries(
    st.sampled_from(["usd", "tokens", "steps"]),
    st.integers(1, 6) | st.floats(0.001, 3) | st.integers(1000, 50_000),
    min_size=1,
)
ACTIONS = st.just(["fail"]) | st.sampled_from([["bash", "x"], ["bash", "long " * 400]])
TURNS: st.SearchStrategy[Any] = st.recursive(
    st.lists(st.lists(ACTIONS, min_size=1, max_size=2), min_size=1, max_size=2),
    lambda inner: st.lists(
        st.lists(ACTIONS | st.tuples(st.just("delegate"), inner, BUDGETS), min_size=1, max_size=4),
        min_size=1,
        max_size=3,
    ),
    max_leaves=12,
)
CAP = st.fixed_dictionaries(
    {
        "max_depth": st.integers(1, 4),
        "max_at_once": st.integers(1, 6),
        "max_total": st.integers(1, 12),
        "max_share": st.floats(0.1, 1),
    }
)
LIMITS = st.fixed_dictionaries(
    {
        "usd": st.none() | st.floats(0.5, 60),
        "tokens": st.none() | st.integers(2_000, 300_000),
        "steps": st.none() | st.integers(2, 40),
        "output_bytes": st.none() | st.integers(1, 20_000),
    }
)


def check_grants(there: Whole, *, may_exceed: bool) -> None:
    """No copy spent more than it was granted, and the parts are within the whole."""
    granted = {event["agent"]: event["granted"] for event in there.events("agent.started")}
    for event in there.events("agent.ended"):
        for name, limit in granted[event["agent"]].items():
            assert may_exceed or event["spent"].get(name, 0) <= limit + 1e-9, (event, name)
    for name, limit in there.first.asking.account.limits.items():
        if name != "wall_s":
            assert may_exceed or there.first.asking.account.used(name) <= limit, name


def lived(*given: Any, **fields: Any) -> tuple[Whole, AgentEvalError | None]:
    """A family that has lived, and what ended it."""

    async def whole() -> tuple[Whole, AgentEvalError | None]:
        there = family(*given, **fields)
        try:
            with anyio.fail_after(120):
                await there.answer()
        except AgentEvalError as error:
            return there, error
        return there, None

    return anyio.run(whole)


@pytest.mark.slow
@settings(max_examples=20)
@given(turns=TURNS, caps=CAP, budget=LIMITS, waits=st.integers(0, 3))
def test_nothing_is_lost_in_any_tree(
    turns: Any, caps: dict[str, Any], budget: dict[str, Any], waits: int
) -> None:
    with folder() as parent:
        model = Talkative(plays, price=PRICE)
        task = json.dumps(turns)
        there, error = lived(
            parent,
            model,
            SharedInMemory(waits=waits),
            caps,
            budget=budget,
            task=task,
            model={"max_output_tokens": 500},
        )
        assert error is None or isinstance(error, LimitReached | GaveUp)
        assert not isinstance(error, Overspent)
        there.check_books()
        check_grants(there, may_exceed=False)


@pytest.mark.slow
@settings(max_examples=20)
@given(
    turns=TURNS,
    budget=LIMITS,
    extra=st.lists(st.sampled_from([0, 0, 0, 1, 700, 50_000]), min_size=1, max_size=9),
)
@example(
    turns=[[["delegate", [[["bash", "x"]]], None], ["delegate", [[["bash", "x"]]], None]]],
    budget={"usd": None, "tokens": 20_000, "steps": None, "output_bytes": None},
    extra=[0, 50_000],
)
def test_a_server_that_bills_beyond_a_limit_ends_the_run(
    turns: Any, budget: dict[str, Any], extra: list[int]
) -> None:
    """The root is over by no more than what calls were billed beyond what they had set aside."""
    with folder() as parent:
        model = Talkative(plays, extra, PRICE)
        there, error = lived(
            parent, model, budget=budget, task=json.dumps(turns), model={"max_output_tokens": 500}
        )
        there.check_books()
        check_grants(there, may_exceed=isinstance(error, Overspent))
        called = {
            (event["agent"], event["call"], event["attempt"]): event["reserved"]
            for event in there.events("model.called")
        }
        account = there.first.asking.account
        for name in ("usd", "output_tokens"):
            limit = account.limits.get(name)
            beyond = sum(
                max(event["settled"].get(name, 0) - reserved.get(name, 0), 0)
                for event in there.events("model.replied")
                if (reserved := called[event["agent"], event["call"], event["attempt"]])
            )
            if limit is not None:
                assert float(account.used(name) - limit) <= beyond + 1e-6
        if isinstance(error, Overspent):
            last = there.events("model.replied", "model.called")[-1]
            assert last["kind"] == "model.replied" or there.events("model.failed"), (
                "no call after it"
            )


async def test_one_call_that_bills_too_much_is_all_that_is_over(tmp_path: Path) -> None:
    """The copy's bill breaks its own grant and the run's budget; the others are ended at once."""

    def mind(task: str) -> Script:
        if task == "wait":
            yield bash("wait")
        if task == "spend":
            yield bash("x")
            yield submit("never")
        yield delegate("wait") + delegate("spend") + delegate("wait")
        yield submit("never")

    model = Talkative(mind, [0, 0, 0, 0, 100_000])
    there = family(tmp_path, model, budget={"tokens": 60_000}, model={"max_output_tokens": 500})
    with anyio.fail_after(60), pytest.raises(Overspent, match="billed more than it was asked for"):
        await there.answer()
    there.check_books()
    ended = there.ended()
    (spender,) = [name for name, each in ended.items() if each["status"] != "ended_with_parent"]
    assert ended[spender]["limit"] == "tokens"
    assert ended[spender]["status"] == "limit"
    for name in set(ended) - {spender}:
        assert "another copy ended the run: tokens: the server billed" in ended[name]["message"]
    over = there.first.asking.account.used("tokens") - 60_000
    assert 0 < over <= 100_000


# --- what ends what -------------------------------------------------------------------------------


async def test_what_a_copy_brings_upon_itself_ends_only_the_copy(tmp_path: Path) -> None:
    def mind(task: str) -> Script:
        if task == "idle":
            while True:
                yield say("I do nothing.")
        if task == "spend":
            while True:
                yield bash("x")
        if task == "whole":
            yield submit("fine")
        seen = yield delegate("idle") + delegate("spend", {"steps": 2}) + delegate("whole")
        yield submit(seen)

    there = family(tmp_path, mind)
    answer = await there.answer()
    there.check_books()
    assert {name: each["status"] for name, each in there.ended().items()} == {
        "0.1": "gave_up",
        "0.2": "limit",
        "0.3": "submitted",
    }
    assert "[copy 0.1 ended without an answer: 4 replies in a row" in answer
    assert "[copy 0.2 ended without an answer: it used up the steps it had]" in answer
    assert "[copy 0.3 ended with its answer]\nfine" in answer


class Broken(Talkative):
    """A server that is gone when a copy of this task asks it."""

    async def complete(self, request: Any) -> Any:
        if any(message.content.get("content") == "gone" for message in request.messages):
            raise ModelUnavailable("the server is gone")
        return await super().complete(request)

    def of_copy(self, agent: str) -> "Broken":
        return Broken(self._script)


def deep(bottom: str) -> Callable[[str], Script]:
    """Two side by side: one waits, the other has one below it that meets its end."""

    def mind(task: str) -> Script:
        if task == "wait":
            yield delegate("wait in bash")
        if task == "wait in bash":
            yield bash("wait")
        if task == "below":
            yield delegate(bottom)
        if task == bottom:
            yield bash(bottom)
        yield delegate("wait") + delegate("below")
        yield submit("never")

    return mind


async def test_a_model_server_that_is_gone_ends_the_run_and_every_copy_says_why(
    tmp_path: Path,
) -> None:
    there = family(tmp_path, Broken(deep("gone")), budget={"steps": 500})
    with anyio.fail_after(60), pytest.raises(ModelUnavailable):
        await there.answer()
    there.check_books()
    ended = there.ended()
    assert ended["0.2.1"]["error"] == "ModelUnavailable"
    assert ended["0.2.1"]["blame"] == "infrastructure"
    for name in ("0.1", "0.1.1"):
        assert ended[name]["status"] == "ended_with_parent"
        assert "the server is gone" in ended[name]["message"]


async def test_a_sandbox_that_dies_ends_all_who_live_in_it_and_they_say_why(tmp_path: Path) -> None:
    sandbox = SharedInMemory()

    def mind(task: str) -> Script:
        if task == "dies":
            sandbox.death = SandboxDied("something ate all memory", Blame.LIMIT)
        if task != "Do the small job.":
            yield bash("wait")
        yield delegate("waits") + delegate("dies")
        yield submit("never")

    there = family(tmp_path, mind, sandbox)
    with anyio.fail_after(60), pytest.raises(SandboxDied):
        await there.answer()
    there.check_books()
    for each in there.ended().values():
        assert each["status"] == "ended_with_parent"
        assert "something ate all memory" in each["message"]


async def test_what_ended_one_branch_is_not_blamed_for_the_end_of_another(tmp_path: Path) -> None:
    """A copy dies with its own copies by its own doing; later a person ends the run."""
    sandbox = SharedInMemory()

    def mind(task: str) -> Script:
        if task == "first":
            yield delegate("dies")
        if task == "dies":
            sandbox.death = SandboxDied("long ago", Blame.MODEL)
        if task in ("dies", "second"):
            yield bash("wait")
        yield delegate("first")
        sandbox.death = None
        yield delegate("second")
        yield submit("never")

    class Sturdy(SharedInMemory):
        """Its copies live in the other one, and it does not die with that."""

        @asynccontextmanager
        async def shared(self, agent: str) -> AsyncIterator[SharedInMemory]:
            yield sandbox

    there = family(tmp_path, mind, Sturdy())

    async def ends() -> None:
        while not any(event["agent"] == "0.2" for event in there.events("action.started")):  # noqa: ASYNC110 - it looks at what is on record
            await anyio.sleep(0.01)
        there.steering.cancel()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ends)
            with there.steering.scope:
                await there.answer()
    there.check_books()
    ended = there.ended()
    assert "long ago" in ended["0.1.1"]["message"]
    assert ended["0.1"]["status"] == "error"
    assert "its machine broke down" in there.told()[0], "it hears nothing of what it lives in"
    assert ended["0.2"]["message"] == "a person ended the run, its parent 0 with it"


async def test_a_person_who_ends_the_run_after_the_step_ends_copies_after_theirs(
    tmp_path: Path,
) -> None:
    def mind(task: str) -> Script:
        if task == "busy":
            while True:
                yield bash("x")
        yield delegate("busy") + delegate("busy")
        yield submit("never")

    sandbox = SharedInMemory(waits=2)
    there = family(tmp_path, mind, sandbox, budget={"steps": 500, "usd": None})
    sandbox.at_execution = lambda: there.steering.drain() if len(sandbox.seen) > 9 else None
    with anyio.fail_after(60), pytest.raises(AgentEvalError, match="a person ended the run"):
        await there.answer()
    there.check_books()
    assert {each["status"] for each in there.ended().values()} == {"stopped"}
    (first,) = [e for e in there.events("message") if e["agent"] == "0"][-1:]
    assert "a person ended the run" in first["message"]["content"], "it heard of its copies"
