"""What can be known of the engine's side without one."""

import gc
import socket
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, cast

import anyio
import pytest
from docker.errors import APIError
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.errors import Blame, EngineUnavailable
from agent_eval.record.transcript import line_of
from agent_eval.sandbox.engine import Attached, Container, Engine, plain_settings, runtime_for
from agent_eval.sandbox.ready_socket import ReadySocket
from agent_eval.sandbox.settings import (
    GVISOR,
    RECORDED_RUNC,
    asked_for,
)
from agent_eval.scenario.model import Sandbox

pytestmark = pytest.mark.anyio


class Holder:
    """Stands in for the SDK's response, which owns the connection."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def chunk(stream: int, data: bytes) -> bytes:
    """A piece of a stream in the engine's multiplexed form."""
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


async def received(sent: list[bytes]) -> tuple[bytes, bytes]:
    """All of standard output, and what is kept of standard error."""
    ours, theirs = socket.socketpair()
    holder = Holder()
    attached = Attached(ReadySocket(ours), holder)
    whole = b""
    with theirs:
        for piece in sent:
            theirs.sendall(piece)
        theirs.shutdown(socket.SHUT_WR)
        while data := await attached.receive():
            whole += data
        await attached.send(b"hello")
        assert theirs.recv(10) == b"hello"
        await attached.close()
        assert holder.closed
    assert await attached.receive() == b""
    return whole, attached.stderr


@given(
    st.lists(st.tuples(st.sampled_from((1, 2)), st.binary(max_size=300)), max_size=8),
    st.lists(st.floats(0, 1), max_size=6),
)
def test_output_is_taken_out_of_the_engines_form(
    chunks: list[tuple[int, bytes]], cuts: list[float]
) -> None:
    data = b"".join(chunk(*one) for one in chunks)
    places = [0, *sorted(int(cut * len(data)) for cut in cuts), len(data)]
    sent = [data[start:end] for start, end in pairwise(places)]
    out, errors = anyio.run(received, sent)
    assert out == b"".join(one for stream, one in chunks if stream == 1)
    assert errors == b"".join(one for stream, one in chunks if stream == 2)[-4096:]


@pytest.mark.parametrize("address", ["unix:///no/such/engine.sock", "tcp://127.0.0.1:1"])
def test_no_engine_is_an_error_in_words_that_leaves_nothing_open(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(EngineUnavailable) as caught:
            Engine()
        said = str(caught.value)
        del caught
        gc.collect()
    assert not [each for each in warned if issubclass(each.category, ResourceWarning)]
    assert said.startswith(f"no Docker engine answers at {address}: ")
    assert "setup" in said
    assert "('" not in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "blame", "words"),
    [
        ({"Running": True, "Paused": True}, Blame.INFRASTRUCTURE, "paused"),
        ({"Running": True}, Blame.MODEL, "still runs"),
        ({"OOMKilled": True, "ExitCode": 137}, Blame.LIMIT, "memory_bytes"),
        ({"OOMKilled": False, "ExitCode": 137}, Blame.INFRASTRUCTURE, "status 137"),
        ({"ExitCode": 143}, Blame.INFRASTRUCTURE, "status 143"),
        ({"ExitCode": 0}, Blame.MODEL, "status 0"),
        ({"ExitCode": 2, "Error": "it broke"}, Blame.MODEL, "status 2 it broke"),
    ],
)
async def test_who_is_to_blame_for_the_end_of_a_sandbox(
    state: dict[str, Any], blame: Blame, words: str
) -> None:
    said, blamed = await Container(cast("Engine", Asks()), Stated(state), "x", {}).why_dead()
    assert (blamed, words in said) == (blame, True), said


async def test_memory_that_ran_out_is_found_even_if_the_engine_forgot_to_state_it() -> None:
    api = Stated({"OOMKilled": False, "ExitCode": 137}, {"status": "oom"})
    _, blamed = await Container(cast("Engine", Asks()), api, "x", {}).why_dead()
    assert blamed is Blame.LIMIT


class Stated:
    """Stands in for the SDK's client: states this of the container."""

    def __init__(self, state: dict[str, Any], *events: dict[str, Any]) -> None:
        self.state = state
        self.happened = events

    def inspect_container(self, _number: str) -> dict[str, Any]:
        return {"State": self.state}

    def events(self, **_: Any) -> Iterator[dict[str, Any]]:
        return iter(self.happened)


class Removes:
    """Stands in for the SDK's client: refuses a removal some times, as the engine does."""

    def __init__(self, *refusals: str) -> None:
        self.refusals = list(refusals)
        self.asked = 0

    def inspect_container(self, _number: str) -> dict[str, Any]:
        return {"State": {"Status": "running", "ExitCode": 0}}

    def remove_container(self, _number: str, **_: Any) -> None:
        self.asked += 1
        if self.refusals:
            raise APIError("500", explanation=self.refusals.pop(0))


class Asks:
    """Stands in for the engine: calls the SDK at once."""

    async def call(self, _what: str, function: Callable[[], Any]) -> Any:
        return function()


async def test_a_container_that_ends_while_it_is_killed_is_removed_all_the_same() -> None:
    api = Removes("Could not kill running container x - Container x is not running")
    state = await Container(cast("Engine", Asks()), api, "x", {}).remove()
    assert (api.asked, state["Status"]) == (2, "running")


async def test_an_engine_that_cannot_remove_is_not_asked_for_ever() -> None:
    api = Removes("the disk is broken")
    with pytest.raises(EngineUnavailable, match="the disk is broken"):
        await Container(cast("Engine", Asks()), api, "x", {}).remove()
    assert api.asked == 1


async def test_only_the_end_of_standard_error_is_kept() -> None:
    out, errors = await received([chunk(2, b"x" * 10_000), chunk(2, b"the end"), chunk(1, b"o")])
    assert out == b"o"
    assert len(errors) == 4096
    assert errors.endswith(b"xthe end")


async def test_a_piece_that_was_cut_off_is_no_output() -> None:
    assert await received([chunk(1, b"whole"), chunk(1, b"torn")[:-1]]) == (b"whole", b"")


def test_the_runtime_is_the_best_that_the_wish_allows() -> None:
    with_it: dict[str, Any] = {"runtimes": {"runc": {}, GVISOR: {}}}
    without: dict[str, Any] = {"runtimes": {"runc": {}, "runsc": {}}}
    assert runtime_for("any", with_it) == runtime_for("runsc", with_it) == GVISOR
    assert runtime_for("runc", with_it) == runtime_for("any", without) == "runc"
    assert runtime_for("runc", with_it, recorded=True) == RECORDED_RUNC
    assert runtime_for("any", with_it, recorded=True) == GVISOR
    with pytest.raises(EngineUnavailable, match=r"requires gVisor.*agent-eval setup --runtimes"):
        runtime_for("runsc", without)


def test_settings_are_recorded_as_plain_values() -> None:
    plain = plain_settings(asked_for(Sandbox(), "run-1", "runc", 5))
    assert plain["run"] == "run-1"
    line_of(plain)
