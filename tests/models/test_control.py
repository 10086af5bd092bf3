"""Scripted controls: generators that see, react and are held to their form."""

import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from agent_eval.basics import conversation as words
from agent_eval.basics.conversation import Message, Request
from agent_eval.errors import Blame, OperatorError, ScenarioError
from agent_eval.models.control import (
    Control,
    Turn,
    bash,
    either,
    load_control,
    python,
    say,
    submit,
    tokens_in,
)
from agent_eval.models.fenced import calls_in
from agent_eval.record.prices import FREE

pytestmark = pytest.mark.anyio

HEADING = "from agent_eval.models.control import *\n"


TOOLS = ({"type": "function", "function": {"name": "bash"}},)


def request(*messages: Message, size: int = 4000, tools: Any = TOOLS) -> Request:
    return Request([words.system("frame"), words.user("the task"), *messages], tools, {}, size)


def curious(task: str) -> Generator[Turn, str, None]:
    seen = yield bash("ls", say=f"I was told: {task}")
    seen = yield python(f"print({seen!r})", timeout_s=5) + submit("early")
    yield say(f"and saw: {seen}")


async def test_a_script_sees_the_task_and_what_came_since_its_last_turn() -> None:
    control = Control("curious", curious)
    first = await control.complete(request())
    assert first.text == "I was told: the task"
    assert json.loads(first.calls[0].arguments) == {"command": "ls"}
    said = words.assistant(first.text, first.calls)
    second = await control.complete(request(said, words.tool_result("call_1", "a.txt")))
    assert [call.name for call in second.calls] == ["python", "submit"]
    assert json.loads(second.calls[0].arguments) == {"code": "print('a.txt')", "timeout_s": 5}
    seen = [words.tool_result("call_2", "one"), words.user("two")]
    third = await control.complete(request(said, words.user("old"), said, *seen))
    assert third.text == "and saw: one\ntwo"
    assert third.calls == ()
    ids = [call.id for reply in (first, second) for call in reply.calls]
    assert len(set(ids)) == 3
    for _ in range(2):
        last = await control.complete(request())
        assert last.text == "I have nothing more to do."
    await control.close()


async def test_without_tool_calls_a_script_acts_in_blocks() -> None:
    control = Control("curious", curious)
    first = await control.complete(request(tools=()))
    assert (first.text, first.calls) == ("I was told: the task\n```bash\nls\n```", ())
    told = (words.assistant(first.text, ()), words.user("`````"))
    second = await control.complete(request(*told, tools=()))
    assert [json.loads(call.arguments) for call in calls_in(second.text, ["python", "submit"])] == [
        {"code": "print('`````')"},
        {"answer": "early"},
    ]
    await control.close()


async def test_tokens_are_estimated_so_that_budgets_act() -> None:
    control = Control("curious", curious)
    reply = await control.complete(request(size=4000))
    assert reply.usage is not None
    assert reply.usage.estimated
    assert reply.usage.input_tokens == tokens_in(4000) == 1001
    assert 0 < reply.usage.output_tokens < 100
    assert control.price is FREE
    assert (control.remote, control.name) == (False, "control:curious")
    assert control.arguments(77) == {"model": "control:curious", "max_tokens": 77}
    assert control.about() == {}
    await control.close()


def test_turns_add_up() -> None:
    both = bash("ls", say="a") + python("1", say="b") + say("c")
    assert both.text == "a\nb\nc"
    assert [name for name, _ in both.calls] == ["bash", "python"]
    assert Turn() + Turn() == Turn()


def fails_at_once(task: str) -> Generator[Turn, str, None]:
    raise IndexError("no match")
    yield bash(task)


def fails_later(task: str) -> Generator[Turn, str, None]:
    seen = yield bash(task)
    yield submit(seen.splitlines()[5])


def yields_text(task: str) -> Any:
    yield task


def yields_what_json_cannot_hold(task: str) -> Generator[Turn, str, None]:
    yield Turn(task, (("bash", {"command": b"bytes"}),))


def takes_two(task: str, other: str) -> Any:
    yield bash(task + other)


@pytest.mark.parametrize(
    ("script", "turns", "words_"),
    [
        (fails_at_once, 1, "IndexError: no match"),
        (fails_later, 2, "IndexError"),
        (yields_text, 1, "AttributeError"),
        (yields_what_json_cannot_hold, 1, "TypeError"),
        (takes_two, 1, "TypeError"),
        (lambda _task: 5, 1, "TypeError"),
    ],
)
async def test_a_script_that_fails_is_its_authors_fault(
    script: Any, turns: int, words_: str
) -> None:
    control = Control("broken", script)
    news = [words.assistant("", []), words.user("seen")]
    for turn in range(turns - 1):
        await control.complete(request(*news * turn))
    with pytest.raises(ScenarioError, match=f"control:broken failed at .*: {words_}") as caught:
        await control.complete(request(*news * (turns - 1)))
    assert caught.value.blame is Blame.SCENARIO


def wavers(_task: str) -> Generator[Turn, str, None]:
    seen = yield either(bash("a"), bash("b"))
    yield submit(seen)


async def test_who_asks_again_for_the_same_gets_what_else_it_might_say() -> None:
    control = Control("c", wavers)
    first = [await control.complete(request()) for _ in range(4)]
    commands = [json.loads(reply.calls[0].arguments)["command"] for reply in first]
    assert commands == ["a", "b", "a", "b"]
    news = words.assistant("", []), words.user("seen")
    later = [await control.complete(request(*news)) for _ in range(2)]
    assert {json.loads(reply.calls[0].arguments)["answer"] for reply in later} == {"seen"}
    assert len({reply.calls[0].id for reply in [*first, *later]}) == 6


async def test_closing_stops_the_script_where_it_stands() -> None:
    ended: list[str] = []

    def script(task: str) -> Generator[Turn, str, None]:
        try:
            yield bash(task)
        finally:
            ended.append("tidied up")

    control = Control("c", script)
    await control.close()
    await control.complete(request())
    await control.close()
    await control.close()
    assert ended == ["tidied up"]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_controls_are_loaded_from_the_scenarios_folder(tmp_path: Path) -> None:
    tmp_path.joinpath("controls.py").write_text(
        HEADING + "def does_harm(task):\n    yield submit(task)\n"
    )
    before = set(sys.modules)
    for name in ("does_harm", "does-harm"):
        control = load_control(tmp_path, name)
        reply = await control.complete(request())
        assert json.loads(reply.calls[0].arguments) == {"answer": "the task"}
        assert control.name == f"control:{name}"
        await control.close()
    assert set(sys.modules) == before, "the author's code takes the name of nothing else"
    assert names_in(tmp_path) == ["controls.py"], "nothing is left behind"


@pytest.mark.parametrize(
    ("text", "error", "words_"),
    [
        (None, OperatorError, "has no controls.py, so there is no control:harmful"),
        ("", OperatorError, "has no control 'harmful'"),
        ("harmful = 5", OperatorError, "has no control 'harmful'"),
        ("def harmful(:", ScenarioError, "SyntaxError"),
        ("import nothing_of_this_name", ScenarioError, "ModuleNotFoundError"),
        ("1 / 0", ScenarioError, "ZeroDivisionError"),
        ("\0", ScenarioError, "controls.py: "),
    ],
)
def test_what_cannot_be_loaded_is_refused_by_name(
    tmp_path: Path, text: str | None, error: type[Exception], words_: str
) -> None:
    if text is not None:
        tmp_path.joinpath("controls.py").write_text(text)
    with pytest.raises(error, match=words_):
        load_control(tmp_path, "harmful")
