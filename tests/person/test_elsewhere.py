"""A person who attaches to a run: told what waits, heard once, and never by accident."""

import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent_eval.errors import OperatorError
from agent_eval.person.elsewhere import Elsewhere, question_of
from agent_eval.person.oversight import Decision, Nobody, Person, Question
from agent_eval.person.steering import Steering
from agent_eval.record.transcript import Transcript
from agent_eval.run.remote import decide, living, question_in, within_reach
from tests.helpers import NASTY

pytestmark = pytest.mark.anyio

ASKED = Question("0.1", "action", 3, f"rm \ud800{NASTY}" + "x" * 500_000, "so", tool="bash")


@asynccontextmanager
async def run(tmp_path: Path, person: Person) -> AsyncIterator[Path]:
    """A run that does nothing but wait for its person."""
    with Transcript.create(tmp_path / "run") as transcript, anyio.fail_after(60):
        async with within_reach(Steering(), transcript, person):
            yield transcript.folder


async def told(folder: Path) -> dict[str, Any]:
    """What waits, asked from another thread, as from another process."""
    return await anyio.to_thread.run_sync(question_in, folder)


async def decided(folder: Path, number: Any, **decision: Any) -> None:
    await anyio.to_thread.run_sync(decide, folder, number, decision)


async def test_whoever_attaches_is_told_what_waits_and_decides(tmp_path: Path) -> None:
    person = Elsewhere()
    came: dict[str, Decision] = {}

    async def ask(question: Question) -> None:
        came[question.agent] = await person.decide(question)

    async with run(tmp_path, person) as folder:
        assert await told(folder) == {}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, ASKED)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(ask, Question("0.2", "answer", 1, "done", ""))
            await anyio.wait_all_tasks_blocked()
            first = await told(folder)
            assert question_of(first["question"]) == ASKED and first["others"] == 1
            (going,) = await anyio.to_thread.run_sync(
                lambda: [each for each in living() if each["folder"] == str(folder)]
            )
            assert going["state"] == "waiting for a person"
            await decided(folder, first["number"], **asdict(Decision("reject", "no", who="root!")))
            second = await told(folder)
            assert (second["question"]["agent"], second["others"]) == ("0.2", 0)
            with pytest.raises(OperatorError, match="decided already"):
                await decided(folder, first["number"], type="approve")
            await decided(folder, second["number"], type="approve")
        assert await told(folder) == {}
    who = getpass.getuser()
    assert came["0.1"] == Decision("reject", "no", who=who), "who it was the kernel says"
    assert came["0.2"] == Decision("approve", who=who)


@pytest.mark.parametrize(
    ("number", "decision"),
    [
        (7, {"type": "approve"}),
        ("1", {"type": "approve"}),
        (True, {"type": "approve"}),
        (None, {"type": "approve"}),
        (1, {"type": ["approve"]}),
        (1, {"text": "x"}),
        (1, "approve"),
    ],
)
async def test_what_is_no_decision_decides_nothing(
    tmp_path: Path, number: Any, decision: Any
) -> None:
    person = Elsewhere()
    async with run(tmp_path, person) as folder, anyio.create_task_group() as tasks:
        tasks.start_soon(person.decide, ASKED)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(OperatorError):
            await anyio.to_thread.run_sync(partial(decide, folder, number, decision))
        assert (await told(folder))["number"] == 1, "it still waits"
        tasks.cancel_scope.cancel()
    assert person.first() == {}, "a wait that is over leaves nothing behind"


async def test_a_run_with_a_person_of_its_own_is_decided_there(tmp_path: Path) -> None:
    async with run(tmp_path, Nobody()) as folder:
        with pytest.raises(OperatorError, match="nothing in it waits"):
            await decided(folder, 1, type="approve")
