"""A folder of runs, its index, and what is missing of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent_eval.errors import OperatorError
from agent_eval.events.kinds import RunClosed, RunOpened
from agent_eval.record.runset import INDEX, Entry, RunSet, Wanted, cell_of, entry_of, sets_in
from agent_eval.record.transcript import Transcript

SUBMITTED = {"status": "submitted"}
LOST = {"status": "error", "blame": "infrastructure"}
STOPPED = {"status": "stopped", "blame": "operator"}
LIMIT = {"status": "limit", "blame": "limit", "limit": "usd"}


def opening(name: str, epoch: int = 1, **model: Any) -> RunOpened:
    return RunOpened(
        run=name,
        format=1,
        epoch=epoch,
        scenario={"title": "small", "digest": "d" * 64},
        model={"name": "m", "arguments": {"temperature": 0.5}, **model},
        prompts={"system": "e" * 64},
        package={},
        engine=None,
        asked={"command_line": {"budget": {"usd": 2.0}}},
        in_force=None,
        command_line=[],
        canary="",
    )


def made(
    folder: Path,
    name: str,
    epoch: int = 1,
    outcome: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
    **model: Any,
) -> Path:
    """A run in the folder; one without an outcome goes on."""
    with Transcript.create(folder / name) as transcript:
        transcript.write(opening(name, epoch, **model))
        if outcome is not None:
            transcript.write(RunClosed(outcome, {"usd": 0.25}))
            said = {"success": {"verdict": "success", "reason": ""}, "spent": {"usd": 0.25}}
            transcript.seal(
                {"run": name, "outcome": outcome, "ended": "now", **said, **(more or {})}
            )
    return folder / name


def test_a_cell_is_all_that_makes_runs_equal_but_for_chance() -> None:
    usual = vars(opening("a"))
    assert cell_of(usual) == cell_of(vars(opening("b", epoch=7)))
    other = [
        {"scenario": {"title": "small@other", "digest": "d" * 64}},
        {"scenario": {"title": "small", "digest": "f" * 64}},
        {"model": usual["model"] | {"name": "n"}},
        {"model": usual["model"] | {"arguments": {"temperature": 0.6}}},
        {"model": usual["model"] | {"server": "http://other/v1"}},
        {"model": {"name": "none", "price": None}},  # of a replay, which asks none
        {"prompts": {"system": "0" * 64}},
        {"asked": {"command_line": {"budget": {"usd": 3.0}}}},
        {"origin": {"what": "branch", "run": "a", "seq": 3}},
    ]
    cells = [cell_of(usual | change) for change in other]
    assert len({cell_of(usual), *cells}) == len(other) + 1


@pytest.mark.parametrize(
    ("outcome", "there", "counts"),
    [(SUBMITTED, True, True), (LIMIT, True, True), (LOST, False, False), (STOPPED, False, False),
     ({"status": "error", "blame": "scenario author"}, True, False), (None, False, False)],
)  # fmt: skip
def test_what_is_there_and_what_counts(
    outcome: dict[str, Any] | None, there: bool, counts: bool, tmp_path: Path
) -> None:
    entry = entry_of(made(tmp_path, "a", outcome=outcome))
    assert (entry.there, entry.counts) == (there, counts)
    assert (entry.head is not None) == (outcome is not None)


def test_only_what_is_missing_is_missing(tmp_path: Path) -> None:
    for name, epoch, outcome in (("a", 1, SUBMITTED), ("b", 2, LOST), ("c", 4, LIMIT)):
        made(tmp_path, name, epoch, outcome)
    made(tmp_path, "d", 3, SUBMITTED, server="http://elsewhere/v1")
    runs = RunSet.read(tmp_path)
    cell = runs.entries["a"].cell
    assert runs.missing(Wanted(cell, "small", "m", 5)) == [2, 3, 5]
    assert runs.missing(Wanted("another", "small", "m", 2)) == [1, 2]
    made(tmp_path, "e", 2, SUBMITTED)
    assert RunSet.read(tmp_path).missing(Wanted(cell, "small", "m", 5)) == [3, 5]


def test_the_index_is_made_again_from_the_runs_alone(tmp_path: Path) -> None:
    for epoch in (1, 2):
        made(tmp_path, f"r{epoch}", epoch, SUBMITTED)
    runs = RunSet.read(tmp_path)
    runs.want(Wanted(runs.entries["r1"].cell, "small", "m", 3))
    runs.save()
    runs.add(made(tmp_path, "r3", 3, LIMIT))
    whole = RunSet.read(tmp_path)
    assert list(whole.entries) == ["r1", "r2", "r3"]
    assert [one.epochs for one in whole.wanted.values()] == [3]
    tmp_path.joinpath(INDEX).unlink()
    assert RunSet.read(tmp_path).entries == whole.entries


def test_an_index_that_is_torn_or_wrong_is_mended_by_the_runs(tmp_path: Path) -> None:
    made(tmp_path, "a", 1, SUBMITTED)
    made(tmp_path, "open", 2)
    index = tmp_path / INDEX
    entry = entry_of(tmp_path / "a")
    gone, bent = replace(entry, run="gone"), {"run": "a", "outcome": SUBMITTED, "more": 1}
    lines: list[Any] = [{"plan": [{"odd": 1}]}, vars(gone), bent, [], 7]
    index.write_bytes(b"\xff\n" + b"\n".join(json.dumps(each).encode() for each in lines) + b'\n{"')
    runs = RunSet.read(tmp_path)
    assert runs.entries == {"a": entry, "open": entry_of(tmp_path / "open")}
    assert runs.wanted == {}

    lie = replace(entry, verdict="failure")
    index.write_text(json.dumps(vars(lie)) + "\n")
    assert RunSet.read(tmp_path).entries["a"] == lie, "a sealed run is not read again"
    runs = RunSet.read(tmp_path)
    runs.rebuild()
    assert runs.entries["a"] == entry, "but for a rebuild"


def test_what_is_no_run_is_left_out_and_said(tmp_path: Path) -> None:
    made(tmp_path, "a", 1, SUBMITTED)
    for name, line in (("junk", b"{}\n"), ("empty", b""), ("odd", b'{"seq":0}\n')):
        tmp_path.joinpath(name).mkdir()
        tmp_path.joinpath(name, "events.jsonl").write_bytes(line)
    made(tmp_path, "bent", 1, SUBMITTED).joinpath("run.json").write_text('{"outcome": 3}')
    tmp_path.joinpath("other").mkdir()
    runs = RunSet.read(tmp_path)
    assert list(runs.entries) == ["a"]
    assert set(runs.unreadable) == {"junk", "empty", "odd", "bent"}
    with pytest.raises(OperatorError, match="not there"):
        RunSet.read(tmp_path / "nowhere")


def test_sets_below_are_read_with_the_folder(tmp_path: Path) -> None:
    made(tmp_path, "a", 1, SUBMITTED)
    for below in ("first", "second"):
        tmp_path.joinpath(below).mkdir()
        made(tmp_path / below, "b", 1, SUBMITTED)
    made(tmp_path / "a", "inside-a-run", 1, SUBMITTED)
    tmp_path.joinpath("second", "junk").mkdir()
    tmp_path.joinpath("second", "junk", "events.jsonl").write_bytes(b"{}\n")
    runs = RunSet.within(tmp_path)
    assert sorted(runs.entries) == ["a", "first/b", "second/b"]
    assert all(tmp_path.joinpath(one.run, "run.json").is_file() for one in runs.entries.values())
    assert list(runs.unreadable) == ["second/junk"]
    assert sets_in(tmp_path) == [tmp_path, tmp_path / "first", tmp_path / "second"]


def test_two_processes_do_not_work_on_one_set(tmp_path: Path) -> None:
    one, other = RunSet(tmp_path).held(), RunSet(tmp_path).held()
    with one, pytest.raises(OperatorError, match="another agent-eval"), other:
        pass
    with RunSet(tmp_path).held():
        pass


def test_an_entry_survives_the_index(tmp_path: Path) -> None:
    runs = RunSet(tmp_path)
    entry = Entry("r", "c", 2, "s", "m", LIMIT, "partial", {"usd": None}, "h", "then", "now")
    runs.entries["r"] = entry
    runs.save()
    made(tmp_path, "r", 9)
    assert RunSet.read(tmp_path).entries == {"r": entry}
