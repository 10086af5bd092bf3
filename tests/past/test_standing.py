"""What is known of the processes of a sandbox whose harness was lost."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent_eval.past.standing import lineage_of
from agent_eval.sandbox.kernel import Fact
from agent_eval.sandbox.lineage import Cause, Lineage

NOBODY: dict[str, Any] = {"causes": {}, "of_pid_1": []}
PIDS = st.integers(1, 9)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fork"), PIDS, st.integers(2, 12)),
        st.tuples(st.just("exit"), st.integers(2, 12), st.just(0)),
        st.tuples(st.just("begin"), st.just(0), st.integers(1, 5)),
    )
)


@given(STEPS)
def test_who_caused_what_is_known_from_the_record_as_it_was_known_then(
    steps: list[tuple[str, int, int]],
) -> None:
    lineage, events = Lineage(), []
    lineage.cause_of(Fact("fork", 1, 0, {"child": 2}))
    events.append({"kind": "process.forked", "pid": 1, "child": 2, "agent": "0"})
    lineage.session("bash", 2)
    for what, pid, other in steps:
        if what == "begin":
            lineage.begin("bash", Cause(other, "0"))
            continue
        fact = Fact(what, pid, 0, {"child": other} if what == "fork" else {})
        cause = lineage.cause_of(fact)
        kind = "process.forked" if what == "fork" else "process.exited"
        event = {"kind": kind, "pid": pid, "agent": cause.agent if cause else "0"}
        event |= {"child": other} if what == "fork" else {}
        events.append(event | ({"action": cause.action} if cause else {}))
    then, now = lineage.record(), lineage_of(events, NOBODY)
    assert now["of_pid_1"] == then["of_pid_1"]
    sessions = {str(pid) for pid in then["sessions"].values()}
    for pid, cause in then["causes"].items():  # sessions belong to their next action
        assert pid in sessions or now["causes"][pid] == cause
