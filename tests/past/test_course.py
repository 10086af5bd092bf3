"""What a run went through, read from its record."""

from pathlib import Path
from typing import Any

from agent_eval.events.drills import DrillAnnounced, DrillBegun, DrillEnded
from agent_eval.events.event import Event
from agent_eval.events.kinds import ActionEnded, ActionStarted, FilesSeeded
from agent_eval.events.world import WorldOpened
from agent_eval.past.compared import drill_differences, machine_differences
from agent_eval.past.course import course_of
from agent_eval.record.transcript import Transcript


def started(action: int) -> ActionStarted:
    return ActionStarted(action, 1, "bash", {"code": "true"}, timeout_s=5)


def ended(action: int) -> ActionEnded:
    return ActionEnded(action, 0.1, {"bytes": 0, "text": ""}, "none", {})


def begun(drill: int) -> DrillBegun:
    return DrillBegun(drill, "reboot", "at_s 5", announced=False)


def course_with(tmp_path: Path, *events: Event, last: int | None = None) -> Any:
    with Transcript.create(tmp_path / "run") as transcript:
        transcript.write(WorldOpened(1, "2026-01-01T00:00:00+00:00", 50.0, [], "none"))
        for event in events:
            transcript.write(event)
    return course_of(tmp_path / "run", last)


def test_a_drill_in_the_middle_of_an_action_stands_there(tmp_path: Path) -> None:
    done = DrillEnded(0, "reboot", done=True, hit=("i-1",))
    told = DrillAnnounced(2, "Soon.")
    course = course_with(
        *(tmp_path, FilesSeeded([]), told, started(1), begun(0), done, ended(1)),
        *(begun(0), done, begun(1), started(2)),
    )
    told_of = [(one.event["kind"], one.place, one.over) for one in course.steps]
    assert told_of == [
        ("files.seeded", 1, 1),
        ("action.started", 3, 6),
        ("drill.begun", 4, 5),
        ("action.started", 10, None),
    ], "done again, it stands where it was; cut off, it is still to do"
    assert course.drills_done == {0}
    assert course.announced == {2: "Soon."}
    assert (course.speed, course.moves) == (50.0, True)
    moments = [one.moment_s for one in course.steps]
    assert moments == sorted(moments) and moments[0] >= 0
    assert [one.place for one in course.without_unfinished().steps] == [1, 3, 4]

    (drill,) = [one for one in course.steps if one.event["kind"] == "drill.begun"]
    assert drill_differences(drill, done) == []
    nothing = DrillEnded(0, "reboot", done=False, detail="no instance runs")
    found = {one.what: (one.expected, one.got) for one in drill_differences(drill, nothing)}
    assert found["drill 0 (reboot): hit"] == ("['i-1']", "[]")
    assert found["drill 0 (reboot): done"] == ("True", "False")


def test_what_came_later_is_left_out(tmp_path: Path) -> None:
    course = course_with(tmp_path, started(1), ended(1), begun(0), last=2)
    assert [one.event["kind"] for one in course.steps] == ["action.started"]
    assert not course.moves


def test_machines_are_compared_by_what_they_went_through() -> None:
    def lived(*states: str) -> list[dict[str, Any]]:
        return [{"seq": n, "state": each, "why": "asked"} for n, each in enumerate(states)]

    over = {"seq": 9, "state": "terminated", "why": "ended"}
    then = {"i-1": [*lived("pending", "running"), over], "i-2": lived("pending")}
    assert machine_differences(then, {"i-1": lived("pending", "running"), "i-2": then["i-2"]}) == []
    (one, other) = machine_differences(then, {"i-1": lived("pending")})
    assert (one.agent, one.got) == ("i-1", "pending (asked)")
    assert (other.what, other.got) == ("machine i-2", "none")
