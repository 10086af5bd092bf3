"""Which action caused what, over trees of processes."""

from hypothesis import given
from hypothesis import strategies as st

from agent_eval.sandbox.kernel import Fact
from agent_eval.sandbox.lineage import Cause, Lineage

FIRST, SECOND = Cause(1, "0"), Cause(2, "0.1")


def fork(pid: int, child: int) -> Fact:
    return Fact("fork", pid, 0, {"child": child})


def start(pid: int) -> Fact:
    return Fact("start", pid, 0)


def user(pid: int) -> Fact:
    return Fact("user", pid, 0, {"call": "setuid", "uid": 1000})


def gone(pid: int) -> Fact:
    return Fact("exit", pid, 0, {"status": 0})


def with_session(pid: int = 2) -> Lineage:
    lineage = Lineage()
    assert lineage.cause_of(fork(1, pid)) is None
    assert lineage.session("bash", pid)
    assert lineage.cause_of(start(pid)) is None
    return lineage


def test_what_a_session_makes_belongs_to_the_action_that_runs_in_it() -> None:
    lineage = with_session()
    assert lineage.cause_of(fork(2, 3)) is None, "nothing runs yet"
    lineage.begin("bash", FIRST)
    assert lineage.cause_of(fork(2, 4)) == FIRST
    assert lineage.cause_of(start(4)) == FIRST
    assert lineage.cause_of(start(3)) is None


def test_what_an_earlier_action_left_behind_stays_its_own() -> None:
    lineage = with_session()
    lineage.begin("bash", FIRST)
    lineage.cause_of(fork(2, 3))
    lineage.cause_of(fork(3, 4))
    assert lineage.cause_of(gone(3)) == FIRST
    lineage.begin("bash", SECOND)
    assert lineage.cause_of(fork(4, 5)) == FIRST, "the grandchild of a parent that is gone"
    assert lineage.cause_of(start(5)) == FIRST
    assert lineage.cause_of(fork(2, 6)) == SECOND


def test_a_session_is_believed_only_if_pid_1_made_it() -> None:
    lineage = with_session()
    lineage.begin("bash", FIRST)
    lineage.cause_of(fork(2, 3))
    assert not lineage.session("python", 3)
    assert not lineage.session("python", 99)
    lineage.begin("python", SECOND)
    assert lineage.cause_of(start(3)) == FIRST


def test_what_else_pid_1_makes_belongs_to_no_action() -> None:
    lineage = with_session()
    lineage.begin("bash", FIRST)
    lineage.cause_of(fork(1, 9))
    assert lineage.cause_of(start(9)) is None


def test_a_session_that_opens_within_an_action_is_that_actions() -> None:
    lineage = with_session()
    lineage.cause_of(gone(2))
    lineage.begin("bash", FIRST)
    for told_early in (True, False):
        lineage.cause_of(fork(1, 7))
        assert lineage.cause_of(user(7)) is None, "that is PID 1 still, which becomes the user"
        if told_early:
            assert lineage.session("bash", 7)
            assert lineage.cause_of(user(7)) is None
        assert lineage.cause_of(start(7)) is None
        if not told_early:
            assert lineage.session("bash", 7)
        assert lineage.cause_of(fork(7, 8)) == FIRST
        assert lineage.cause_of(start(7)) == FIRST, "only its first program is PID 1's choice"
        lineage.cause_of(gone(7))


def test_a_number_that_is_used_again_is_another_process() -> None:
    lineage = with_session()
    lineage.begin("bash", FIRST)
    lineage.cause_of(fork(2, 3))
    lineage.cause_of(gone(3))
    lineage.cause_of(fork(1, 3))
    assert lineage.cause_of(start(3)) is None


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(2, 12), st.booleans()), max_size=60))
def test_a_child_has_the_cause_its_parent_had(steps: list[tuple[int, int, bool]]) -> None:
    lineage = with_session()
    lineage.begin("bash", FIRST)
    for pid, child, ends in steps:
        if ends:
            lineage.cause_of(gone(child))
            assert lineage.cause_of(start(child)) is None
        elif pid != child:
            parents = lineage.cause_of(fork(pid, child))
            assert lineage.cause_of(start(child)) == parents
