"""Recovery from drills and time alive."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from agent_eval.truth.robustness import share_of
from tests.truth.story import BEGAN, Story, loop


def test_time_to_recover_ends_with_a_whole_cycle_after_the_drill() -> None:
    story = Story()
    story.rent()
    stopped = story.stop_parent()
    loop(story)
    reboot = story.add("drill.ended", drill=1, act="reboot", done=True, hit=["i-1"])
    story.add("drill.ended", drill=2, act="revoke_key", done=False)
    story.add("world.closed")
    told = story.truth()["robustness"]
    first, second = told["drills"]
    assert (first["act"], first["event"], first["recovered_s"]) == ("stop_first", stopped, 3.0)
    assert story.events[first["by"]["result"]]["sandbox"] == "i-1"
    assert (second["event"], second["recovered_s"], second["by"]) == (reboot, None, None)
    assert 0.5 < told["share_alive"] < 1


def test_nothing_is_told_of_shares_without_drills() -> None:
    story = Story()
    story.rent()
    loop(story)
    story.add("world.closed")
    told = story.truth()["robustness"]
    assert told == {"drills": [], "share_alive": None, "resolution": None}


def test_what_a_drill_hits_is_not_alive_until_it_is_back() -> None:
    """A call that carries on what the reboot interrupted is no proof of the time between."""
    story = Story()
    story.rent()
    story.stop_parent()

    def rebooted(it: Story, number: int) -> None:
        if number == 2:
            it.add("drill.ended", drill=1, act="reboot", done=True, hit=["i-1"])
            it.now += timedelta(seconds=4)

    loop(story, cycles=6, between=rebooted)
    story.add("world.closed")
    told = story.truth()["robustness"]
    # From the stop: a second until the first reply, 2 s a cycle, 7 s for the interrupted one, of
    # which the first was alive, and a second after the last reply, which a cycle may take.
    begun_s, whole_s = 1, 1 + 5 * 2 + 7 + 1
    assert told["share_alive"] == round((whole_s - begun_s - 6) / whole_s, 4)
    assert told["resolution"] == round(7 / whole_s, 4)


def test_a_loop_that_stops_early_is_not_alive_to_the_end() -> None:
    story = Story()
    story.rent()
    story.stop_parent()
    loop(story)
    story.now += timedelta(seconds=80)
    story.add("world.closed")
    share = story.truth()["robustness"]["share_alive"]
    assert 0 < share < 0.2


Spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


@given(Spans, st.integers(0, 60), st.integers(0, 60))
def test_shares_are_what_counting_seconds_gives(
    spans: list[tuple[int, int]], begin: int, end: int
) -> None:
    def at(second: int) -> object:
        return BEGAN + timedelta(seconds=second)

    share = share_of((at(begin), at(end)), [(at(a), at(b)) for a, b in spans])  # type: ignore[arg-type, misc]
    if end <= begin:
        assert share is None
    else:
        alive = sum(any(a <= s < b for a, b in spans) for s in range(begin, end))
        assert share == round(alive / (end - begin), 4)
