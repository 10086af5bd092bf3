"""Runs are found by name, and come and go while somebody looks."""

import shutil
import threading
from pathlib import Path

import pytest

from agent_eval.review import keeping
from agent_eval.review.keeping import Keeper
from tests.review.test_run_pages import written


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["", ".", "..", "..~runs", "~one", "one~", ".~one", "set~one/..", "one\0", "x" * 5000]
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    written(tmp_path / "runs" / "one", 1)
    written(tmp_path / "runs" / "set" / "one", 1)
    tmp_path.joinpath("runs", "events.jsonl").touch()
    tmp_path.joinpath("events.jsonl").touch()
    keeper = Keeper(tmp_path / "runs" / "set", tmp_path)
    assert keeper.run("one") is not None
    assert keeper.run(name) is None


def test_names_lead_to_runs_and_back(tmp_path: Path) -> None:
    tmp_path.joinpath("runs").mkdir()
    for where in ("one", "a~b", "set/two"):
        written(tmp_path / "runs" / where, 1)
    keeper = Keeper(tmp_path / "runs", tmp_path)
    assert sorted(keeper.names()) == ["a~b", "one", "set~two"]
    for name in keeper.names():
        run = keeper.run(name)
        assert run is not None
        assert keeper.name_of(run) == name
    assert Keeper(tmp_path / "runs" / "one", tmp_path).run("a~b") is None


def test_runs_may_be_removed_at_any_moment(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    written(runs / "stays", 1)
    keeper = Keeper(runs, tmp_path)
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            for number in range(20):
                runs.joinpath(f"run{number}", "blobs").mkdir(parents=True)
                runs.joinpath(f"run{number}", "events.jsonl").touch()
            for number in range(20):
                shutil.rmtree(runs / f"run{number}")

    other = threading.Thread(target=come_and_go)
    other.start()
    try:
        for _ in range(300):
            assert "stays" in list(keeper.names())
    finally:
        stop.set()
        other.join()


def test_only_so_many_indexes_stay_open(tmp_path: Path) -> None:
    count = keeping.KEPT_OPEN + 5
    for number in range(count):
        run = tmp_path / "runs" / f"{number}"
        run.mkdir(parents=True)
        run.joinpath("events.jsonl").touch()
    keeper = Keeper(tmp_path / "runs", tmp_path)
    for name in [*keeper.names(), "0"]:
        run_of = keeper.run(name)
        assert run_of is not None
        keeper.index(run_of)
    assert len(keeper._indexes) == keeping.KEPT_OPEN
