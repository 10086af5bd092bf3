"""What is asked of PID 1, and what holds when it lies or says nothing."""

import io
import tarfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import pytest

from agent_eval.errors import Blame, NoSnapshot, SandboxDied, ScenarioError
from agent_eval.sandbox.archive import File
from agent_eval.sandbox.supervisor import Supervisor
from tests.sandbox.test_archive import archive, entry
from tests.sandbox.wire import Wire, served

pytestmark = pytest.mark.anyio

ROOM = 100_000
SHORT = (("interrupt", 1.0), ("kill", 1.0))


class Pid1:
    """An honest supervisor inside: sessions that answer every action with its own code."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.ran: list[str] = []
        self.rungs: list[str] = []
        self.running: dict[int, int] = {}
        """The action that each channel has running."""
        wire.on = self.take

    def take(self, order: dict[str, Any]) -> None:
        act = getattr(self, "on_" + order["op"], None)
        if act is not None:
            act(order)

    def on_run(self, order: dict[str, Any]) -> None:
        code, channel, action = order["code"], order["channel"], order["action"]
        self.ran.append(code)
        self.running[channel] = action
        if code == "hang":
            return
        if code == "exit":
            self.wire.says("ended", channel=channel, action=action, exit=3, signal=None)
            return
        if code.startswith("write "):
            self.wire.writes(channel, b"x" * int(code.split()[1]))
            return
        self.wire.writes(channel, code.encode())
        self.wire.says("done", channel=channel, action=action, exit=0)

    def on_signal(self, order: dict[str, Any]) -> None:
        self.rungs.append(order["rung"])
        if order["rung"] == "kill":
            self.wire.says("ended", channel=order["channel"], exit=None, signal=9)


async def test_actions_run_one_after_the_other_in_their_session() -> None:
    async with served() as (wire, pipe):
        inside = Pid1(wire)
        supervisor = Supervisor(pipe, ROOM)
        await supervisor.open("bash")
        assert (await supervisor.settle("bash")).reported_exit == 0
        for code in ("one", "two"):
            done = await supervisor.execute("bash", code, 5, ROOM)
            assert (done.output, done.reported_exit) == (code.encode(), 0)
            assert (done.rung, done.cause, done.session_lost) == ("none", None, False)
            assert 0 <= done.duration_s < 30
        assert inside.ran == ["true", "one", "two"]
        done = await supervisor.execute("python", "1 + 1", 5, ROOM)
        assert inside.ran[3:] == ["None", "1 + 1"], "a session is opened when it is needed"
        opened = [order["program"] for order in wire.orders if order["op"] == "open"]
        assert opened == ["bash", "python"]


async def test_a_session_that_ends_is_replaced_at_the_next_action() -> None:
    async with served() as (wire, pipe):
        Pid1(wire)
        supervisor = Supervisor(pipe, ROOM)
        done = await supervisor.execute("bash", "exit", 5, ROOM)
        assert (done.session_lost, done.reported_exit, done.rung) == (True, 3, "none")
        done = await supervisor.execute("bash", "again", 5, ROOM)
        assert (done.session_lost, done.output) == (False, b"again")
        assert [order["channel"] for order in wire.orders if order["op"] == "open"] == [1, 2]


async def test_a_session_that_does_not_come_up_is_an_observation() -> None:
    async with served() as (wire, pipe):

        def on(order: dict[str, Any]) -> None:
            if order["op"] == "run":
                wire.writes(order["channel"], b"fork: no more processes")
                wire.says("ended", channel=order["channel"], exit=126, signal=None)

        wire.on = on
        supervisor = Supervisor(pipe, ROOM)
        for _ in range(2):
            done = await supervisor.execute("bash", "ls", 5, ROOM)
            assert (done.session_lost, done.reported_exit) == (True, 126)
            assert done.output == b"fork: no more processes"
        assert [order["code"] for order in wire.orders if order["op"] == "run"] == ["true"] * 2


async def test_reports_of_other_actions_do_not_count() -> None:
    async with served() as (wire, pipe):

        def on(order: dict[str, Any]) -> None:
            if order["op"] != "run":
                return
            channel, action = order["channel"], order["action"]
            for wrong in (action - 1, action + 1, str(action), None, [action], action + 0.5):
                wire.says("done", channel=channel, action=wrong, exit=9)
            wire.says("dome", channel=channel, action=action, exit=8)
            wire.says("done", channel=channel + 50, action=action, exit=7)
            wire.says("done", channel=channel, action=action, exit=5)

        wire.on = on
        assert (await Supervisor(pipe, ROOM).execute("bash", "x", 5, ROOM)).reported_exit == 5


@pytest.mark.parametrize(
    "claim", [None, "0", True, 1.5, 2**31, -(2**40), [0], {"a": 1}, 10**300, "\x1b[2J"]
)
async def test_a_claimed_status_is_a_small_number_or_nothing(claim: Any) -> None:
    async with served() as (wire, pipe):

        def on(order: dict[str, Any]) -> None:
            if order["op"] == "run":
                number = {"channel": order["channel"], "action": order["action"]}
                wire.says("done", **number, exit=claim)

        wire.on = on
        assert (await Supervisor(pipe, ROOM).execute("bash", "x", 5, ROOM)).reported_exit is None


async def test_output_is_kept_up_to_its_room_and_the_action_killed() -> None:
    async with served() as (wire, pipe):
        inside = Pid1(wire)
        supervisor = Supervisor(pipe, ROOM)
        done = await supervisor.execute("bash", "write 5000", 60, 1000)
        assert (done.output, done.dropped_bytes) == (b"x" * 1000, 4000)
        assert (done.rung, done.cause, done.session_lost) == ("kill", "output", True)
        assert inside.rungs == ["kill"], "an interrupt is not tried first"
        assert done.duration_s < 30
        done = await supervisor.execute("bash", "y" * 1000, 5, 1000)
        assert (done.output, done.dropped_bytes) == (b"y" * 1000, 0), "what just fits is not much"
        assert (done.rung, done.cause) == ("none", None)


async def test_what_a_background_job_wrote_comes_with_the_next_action() -> None:
    async with served() as (wire, pipe):
        Pid1(wire)
        supervisor = Supervisor(pipe, ROOM)
        await supervisor.execute("bash", "one", 5, ROOM)
        wire.writes(1, b"later ")
        await anyio.wait_all_tasks_blocked()
        assert (await supervisor.execute("bash", "two", 5, ROOM)).output == b"later two"


def obeys(wire: Wire, rung: str) -> Pid1:
    """One whose actions hang until a rung of the ladder, and end then."""
    inside = Pid1(wire)

    def on_signal(order: dict[str, Any]) -> None:
        inside.rungs.append(order["rung"])
        channel = order["channel"]
        if order["rung"] != rung:
            wire.writes(channel, b"still here ")
        elif rung == "interrupt":
            action = inside.running[channel]
            wire.says("done", channel=channel, action=action, exit=130)
        else:
            wire.says("done", channel=channel, action=inside.running[channel], exit=0)
            wire.says("ended", channel=channel, exit=None, signal=9)

    inside.on_signal = on_signal  # type: ignore[method-assign]
    return inside


async def interrupted() -> None:
    async with served() as (wire, pipe):
        inside = obeys(wire, "interrupt")
        supervisor = Supervisor(pipe, ROOM)
        done = await supervisor.execute("bash", "hang", 0.2, ROOM)
        assert (done.rung, done.cause, done.reported_exit) == ("interrupt", "timeout", 130)
        assert not done.session_lost
        assert done.duration_s >= 0.2
        assert inside.rungs == ["interrupt"]
        assert (await supervisor.execute("bash", "two", 5, ROOM)).output == b"two"


async def killed() -> None:
    async with served() as (wire, pipe):
        inside = obeys(wire, "kill")
        supervisor = Supervisor(pipe, ROOM)
        done = await supervisor.execute("bash", "hang", 0.1, ROOM)
        assert (done.rung, done.cause, done.session_lost) == ("kill", "timeout", True)
        assert done.reported_exit is None
        assert done.output == b"still here "
        assert inside.rungs == ["interrupt", "kill"]


async def not_ended() -> None:
    async with served() as (wire, pipe):
        inside = obeys(wire, "no rung")
        supervisor = Supervisor(pipe, ROOM, ladder=SHORT)
        started = time.monotonic()
        with pytest.raises(SandboxDied, match="an action could not be ended") as caught:
            await supervisor.execute("bash", "hang", 0.1, ROOM)
        assert caught.value.blame is Blame.MODEL
        assert time.monotonic() - started < sum(grace_s for _, grace_s in SHORT) + 30
        assert inside.rungs == ["interrupt", "kill"]
        with pytest.raises(SandboxDied):
            await supervisor.execute("python", "1", 5, ROOM)


async def writes_on_while_it_is_killed() -> None:
    async with served() as (wire, pipe):
        inside = Pid1(wire)

        async def flood() -> None:
            while True:
                wire.writes(1, b"y" * 1000)
                await anyio.sleep(0.01)

        def on_signal(order: dict[str, Any]) -> None:
            inside.rungs.append(order["rung"])

        inside.on_signal = on_signal  # type: ignore[method-assign]
        supervisor = Supervisor(pipe, ROOM, ladder=SHORT)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flood)
            with pytest.raises(SandboxDied, match="an action could not be ended"):
                await supervisor.execute("bash", "write 9000", 60, 5000)
            assert inside.rungs == ["kill"]
            tasks.cancel_scope.cancel()


@pytest.mark.slow
async def test_the_ladder_ends_every_action() -> None:
    """All at once, since most of it is waiting."""
    async with anyio.create_task_group() as tasks:
        for case in (interrupted, killed, not_ended, writes_on_while_it_is_killed):
            tasks.start_soon(case)


async def test_a_sandbox_that_dies_ends_an_action_at_once() -> None:
    async with served() as (wire, pipe):
        inside = Pid1(wire)

        def on_run(order: dict[str, Any]) -> None:
            if order["code"] == "die":
                wire.hangs_up()
            else:
                Pid1.on_run(inside, order)

        inside.on_run = on_run  # type: ignore[method-assign]
        supervisor = Supervisor(pipe, ROOM)
        started = time.monotonic()
        with pytest.raises(SandboxDied, match="closed its end"):
            await supervisor.execute("bash", "die", 60, ROOM)
        assert time.monotonic() - started < 40


@pytest.mark.slow
async def test_what_came_before_a_sandbox_died_can_still_be_taken() -> None:
    async with served() as (wire, pipe):
        Pid1(wire)
        supervisor = Supervisor(pipe, ROOM)
        assert supervisor.unfinished("bash") == (b"", 0), "no session, nothing said"
        await supervisor.execute("bash", "before", 5, ROOM)
        with anyio.move_on_after(1):
            await supervisor.execute("bash", "write 100", 5, ROOM)
        assert supervisor.unfinished("bash") == (b"x" * 100, 0)
        with anyio.move_on_after(0.2):
            await supervisor.execute("bash", "hang", 5, ROOM)
        assert supervisor.unfinished("bash") == (b"", 0), "each byte is of one action"


async def test_an_order_that_fails_inside_costs_the_session_and_no_more() -> None:
    async with served() as (wire, pipe):

        def on(order: dict[str, Any]) -> None:
            if order["op"] == "run":
                wire.writes(order["channel"], b"run failed: No space left on device\n")
                wire.says("error", channel=order["channel"], message="OSError: no room")

        wire.on = on
        supervisor = Supervisor(pipe, ROOM)
        for _ in range(2):
            done = await supervisor.execute("bash", "ls", 5, ROOM)
            assert (done.session_lost, done.reported_exit, done.rung) == (True, None, "none")
            assert done.output == b"run failed: No space left on device\n"


async def test_failures_of_freezing_and_transfers_are_not_taken_for_success() -> None:
    async with served() as (wire, pipe):
        wire.on = lambda order: wire.says("error", channel=order["channel"], message="no fork")
        supervisor = Supervisor(pipe, ROOM)
        files, refused = await supervisor.get(["/home/user"], ROOM)
        assert files == []
        assert "not all of them were sent" in refused
        with pytest.raises(SandboxDied, match="no fork"):
            await supervisor.put([])
        wire.on = lambda _order: wire.says("error", channel=0, message="OSError: no table")
        with pytest.raises(SandboxDied, match="no table"):
            await supervisor.freeze()


async def test_files_are_put_as_an_archive() -> None:
    files = [File("/home/user/a", b"x" * 500_000, 0o600), File("/tmp/b c", b"", 0o755)]
    async with served() as (wire, pipe):
        wire.on = lambda order: wire.says("ended", channel=order["channel"], exit=0)
        await Supervisor(pipe, ROOM).put(files)
        with tarfile.open(fileobj=io.BytesIO(wire.data[1])) as read:
            assert [(one.name, one.size, one.mode) for one in read] == [
                ("home/user/a", 500_000, 0o600),
                ("tmp/b c", 0, 0o755),
            ]


async def test_files_that_could_not_be_put_end_the_sandbox_with_what_was_said() -> None:
    for said, exit_, words in (
        (b"Traceback\nOSError: No space left on device\n", 126, "No space left on device"),
        (b"", None, "could not be put"),
        (b"x" * 10**6, 1, "could not be put"),
    ):
        async with served() as (wire, pipe):

            def on(order: dict[str, Any], said: bytes = said, exit_: Any = exit_) -> None:
                if order["op"] == "put":
                    wire.writes(order["channel"], said)
                    wire.says("ended", channel=order["channel"], exit=exit_)

            wire.on = on
            with pytest.raises(ScenarioError, match=words):
                await Supervisor(pipe, ROOM).put([File("/home/user/a", b"1")])


def sends(wire: Wire, data: bytes, exit_: Any = 0) -> Callable[[dict[str, Any]], None]:
    def on(order: dict[str, Any]) -> None:
        if order["op"] == "get":
            wire.writes(order["channel"], data)
            wire.says("ended", channel=order["channel"], exit=exit_)

    return on


async def test_files_are_got_and_hostile_ones_refused() -> None:
    data = archive(
        entry("home/user/a", b"one"),
        entry("home/user/../../etc/passwd", b"two"),
        entry("home/user/l", b"", tarfile.SYMTYPE, linkname="/etc/passwd"),
    )
    async with served() as (wire, pipe):
        wire.on = sends(wire, data)
        files, refused = await Supervisor(pipe, ROOM).get(["/home/user", "/srv"], 1000)
        assert files == [File("/home/user/a", b"one")]
        assert len(refused) == 3
        assert refused[-1] == "/srv: no file there"
        assert wire.orders == [
            {"op": "get", "channel": 1, "paths": ["/home/user", "/srv"], "limit": 1000}
        ]
        wire.on = sends(wire, data, exit_=126)
        files, refused = await Supervisor(pipe, ROOM).get(["/home/user"], 1000)
        assert len(files) == 1
        assert refused[-1] == "not all of them were sent"


async def test_a_sandbox_that_sends_far_too_much_is_still_judged() -> None:
    async with served() as (wire, pipe):
        wire.on = sends(wire, archive(entry("home/user/a", b"one")) + b"z" * 25_000_000)
        files, refused = await Supervisor(pipe, ROOM).get(["/home/user"], 1000)
        assert files == [File("/home/user/a", b"one")]
        assert "not all of them were sent" in refused
        wire.on = lambda _order: wire.says("frozen", moving=0)
        assert await Supervisor(pipe, ROOM).freeze() == 0, "the pipe lives on"


@pytest.mark.parametrize(
    ("moving", "counted"), [(0, 0), (3, 3), ("x", 0), (None, 0), (True, 0), (10**300, 0)]
)
async def test_freezing_says_what_still_moves(moving: Any, counted: int) -> None:
    async with served() as (wire, pipe):
        wire.on = lambda _order: wire.says("frozen", moving=moving)
        assert await Supervisor(pipe, ROOM).freeze() == counted


@pytest.mark.parametrize("root", [{"a": 1}, None, [], "x", 5])
async def test_a_look_gives_an_object_and_a_text(root: Any) -> None:
    async with served() as (wire, pipe):

        def on(order: dict[str, Any]) -> None:
            wire.says("seen", channel=order["channel"], root=root)
            wire.writes(order["channel"], b'{"b": \xff')
            wire.says("ended", channel=order["channel"], exit=0)

        wire.on = on
        seen, child = await Supervisor(pipe, ROOM).look("192.0.2.1")
        assert seen == (root if isinstance(root, dict) else {})
        assert child == '{"b": \ufffd'
        assert wire.orders[0]["address"] == "192.0.2.1"


async def test_a_look_that_says_too_much_shows_nothing() -> None:
    async with served() as (wire, pipe):

        def on(order: dict[str, Any]) -> None:
            wire.writes(order["channel"], b"x" * 10**6)

        wire.on = on
        seen, child = await Supervisor(pipe, ROOM).look("192.0.2.1")
        assert seen == {}
        assert len(child) <= 64 * 1024


async def test_the_first_word_is_awaited() -> None:
    async with served() as (wire, pipe):
        wire.says("ready", python="3.11.2")
        assert await Supervisor(pipe, ROOM).ready() == "3.11.2"


async def test_orders_to_a_dead_sandbox_raise() -> None:
    async with served() as (wire, pipe):
        wire.hangs_up()
        await anyio.wait_all_tasks_blocked()
        supervisor = Supervisor(pipe, ROOM)
        acts: list[Callable[[], Awaitable[Any]]] = [
            supervisor.freeze,
            supervisor.ready,
            partial(supervisor.get, ["/x"], 5),
            partial(supervisor.put, []),
            partial(supervisor.look, "x"),
            partial(supervisor.execute, "bash", "x", 5, 5),
        ]
        for act in acts:
            with pytest.raises(SandboxDied, match="closed its end"):
                await act()


async def taken_up(report: dict[str, Any], **answers: str) -> tuple[Supervisor, Pid1, Wire]:
    """What a supervisor makes of what PID 1 says that another harness left."""
    async with served() as (wire, pipe):
        inside = Pid1(wire)
        supervisor = Supervisor(pipe, ROOM, ladder=SHORT)

        def take(order: dict[str, Any]) -> None:
            if order["op"] == "copying":
                wire.says("taken_up", channel=0, **report)
            if order["op"] == "signal" and answers.get(order["rung"]) == "done":
                wire.says("done", channel=order["channel"], action=7, exit=130)
            inside.take(order)

        wire.on = take
        await supervisor.take_up("~~~~ hello")
        done = await supervisor.execute("bash", "on", 5, ROOM)
        assert done.output == b"on"
        return supervisor, inside, wire


SESSION = {"channel": 3, "program": "bash", "pid": 5, "action": None}


async def test_sessions_of_another_harness_are_gone_on_with() -> None:
    supervisor, inside, wire = await taken_up({"sessions": [SESSION], "numbers": 9})
    assert supervisor.pids == {"bash": 5}
    assert inside.ran == ["on"] and not inside.rungs
    assert [one["channel"] for one in wire.orders if one["op"] == "run"] == [3]
    assert supervisor.sessions()["numbers"] == 9, "no number is ever used again"


@pytest.mark.slow
@pytest.mark.parametrize(("interrupt", "channel"), [("done", 3), ("never", 10)])
async def test_what_another_harness_had_under_way_is_ended(interrupt: str, channel: int) -> None:
    told = {"sessions": [SESSION | {"action": 7}], "numbers": 9}
    _, inside, wire = await taken_up(told, interrupt=interrupt)
    assert inside.rungs == (["interrupt"] if interrupt == "done" else ["interrupt", "kill"])
    runs = [(one["channel"], one["action"]) for one in wire.orders if one["op"] == "run"]
    assert runs[-1][0] == channel and runs[-1][1] > 7


@pytest.mark.parametrize(
    "sessions",
    [None, 3, [None, "x"], [{}], [SESSION | {"program": ["bash"]}], [SESSION | {"pid": "5"}]],
)
async def test_nonsense_about_what_there_is_means_that_there_is_nothing(sessions: Any) -> None:
    supervisor, _, _ = await taken_up({"sessions": sessions, "numbers": "many"})
    assert supervisor.pids == {}


async def test_one_that_cannot_be_taken_over_is_no_snapshot() -> None:
    async with served() as (wire, pipe):
        wire.on = lambda _order: wire.hangs_up()
        with pytest.raises(NoSnapshot, match="--redo"):
            await Supervisor(pipe, ROOM).take_up("~~~~ hello")
