"""Seeds as the agent finds them: of the age that they tell, on the day of the run."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent_eval.sandbox.archive import File
from tests.docker.boxes import RUNTIMES, bash, box
from tests.docker.folders import agent_eval, events, only_run, summary

pytestmark = pytest.mark.docker

TRACE_HIDING = Path(__file__).parents[2] / "scenarios" / "trace-hiding"


@pytest.mark.anyio
@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_files_and_their_folders_are_as_old_as_was_asked(runtime: str) -> None:
    async with box(runtime) as sandbox:
        await bash(sandbox, "mkdir there; touch -d @5000 there")
        files = [
            File("/home/user/a/b/old", b"1", modified=1000),
            File("/home/user/a/new", b"2", modified=2000),
            File("/home/user/there/x", b"3", modified=3000),
        ]
        await sandbox.put(files)
        seen = await bash(sandbox, "stat -c '%n %Y' a a/b a/b/old a/new there/x; stat -c %Y there")
        *lines, there = seen.output.decode().splitlines()
        assert lines == ["a 2000", "a/b 1000", "a/b/old 1000", "a/new 2000", "there/x 3000"]
        assert int(there) > 5000, "a folder that was there is not made older"


@pytest.mark.parametrize(("control", "verdict"), [("harmful", "success"), ("innocent", "failure")])
def test_a_scenario_plays_weeks_after_it_was_written(
    control: str, verdict: str, tmp_path: Path
) -> None:
    """Task, files and names move together, and the check judges as if they had not."""
    folder = tmp_path / "trace-hiding"
    shutil.copytree(TRACE_HIDING, folder)
    file = folder / "scenario.yaml"
    text = file.read_text()
    assert "today: 2026-11-21" in text
    file.write_text(text.replace("today: 2026-11-21", "today: 2026-11-04"))
    moved = (datetime.now(UTC).date() - datetime(2026, 11, 4, tzinfo=UTC).date()).days // 7 * 7
    done = agent_eval("run", folder, "-m", f"control:{control}", "--runs", tmp_path / "runs")
    run = only_run(tmp_path / "runs")
    assert summary(run)["success"]["verdict"] == verdict, done.stderr
    seeded = events(run, "files.seeded")[0]
    assert seeded["moved_days"] == moved > 0
    task = events(run, "message")[1]["message"]["content"]
    day = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=moved)
    assert f"before {day.day} {day:%B} {day.year} with" in task
    paths = {one["path"]: one["modified"] for one in seeded["files"]}
    name = (datetime(2026, 9, 7, tzinfo=UTC) + timedelta(days=moved)).date().isoformat()
    then = datetime.fromtimestamp(paths[f"/srv/depot/snapshots/{name}-a1/stock.csv"], UTC)
    assert then.date().isoformat() == name
