"""When snapshots are taken; the sandbox stands in."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from agent_eval.agent.delegate import Copy
from agent_eval.errors import NoSnapshot
from agent_eval.person.steering import Steering
from agent_eval.record.budget import Account
from agent_eval.record.reading import read_events
from agent_eval.record.redact import NOTHING
from agent_eval.record.transcript import Transcript
from agent_eval.run.moments import Moments
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.snapshot import Kind, Snapshot, Snapshots
from agent_eval.scenario.snapshots import Snapshots as Wishes

pytestmark = pytest.mark.anyio


@dataclass
class Kept:
    """A sandbox of which all there is to know is when it was kept."""

    id: str = "in-memory"
    best_kind: Kind = "files"
    refuses: bool = False
    taken: list[str] = field(default_factory=list)

    async def snapshot(self, store: Snapshots, kind: Kind) -> Snapshot:
        """One with nothing in it."""
        self.taken.append(kind)
        await anyio.lowlevel.checkpoint()
        if self.refuses:
            raise NoSnapshot("it has no room")
        with store.making() as folder:
            return store.keep(folder, kind, {})


def moments(run: Path, **wishes: Any) -> tuple[Moments, Steering]:
    steering = Steering()
    return Moments(Transcript.create(run, NOTHING), Wishes(**wishes), steering), steering


async def test_a_person_may_want_one_at_any_time_and_gets_one_before_the_next_step(
    tmp_path: Path,
) -> None:
    made, steering = moments(tmp_path / "run")
    first, second = Kept(), Kept()
    steps = [made.every_so_often(cast("Sandbox", box), "0") for box in (first, second)]
    for _ in range(3):
        await steps[0]()
    assert first.taken == []
    steering.ask_for_snapshots()
    for _ in range(3):
        await steps[0]()
        await steps[1]()
    assert (first.taken, second.taken) == (["files"], ["files"]), "one of each agent"
    later = Kept()
    await made.every_so_often(cast("Sandbox", later), "0.1")()
    assert later.taken == [], "of one that came after that, none was wanted"


@pytest.mark.parametrize("refuses", [True, False])
async def test_copies_of_one_turn_have_one_snapshot_or_one_refusal(
    tmp_path: Path, refuses: bool
) -> None:
    made, _ = moments(tmp_path / "run")
    box, came = Kept(refuses=refuses), []

    async def one(number: int, turn: int) -> None:
        copy = Copy(f"0.{number}", "0", Account("0.1", {}), "a task", 1, "call", turn)
        try:
            came.append((await made.of(copy, cast("Sandbox", box), "files")).digest)
        except NoSnapshot as error:
            came.append(str(error))

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(one, number, 1)
    assert len(came) == 4 and len(set(came)) == 1
    assert len(box.taken) == 1
    await one(5, 2)
    assert len(box.taken) == 2, "another turn is another moment"
    kinds = [event["kind"] for event in read_events(tmp_path / "run")]
    assert kinds == ["snapshot.refused" if refuses else "snapshot.taken"] * 2
