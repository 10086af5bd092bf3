"""One request over HTTP: it ends, whatever the other end does, and says whether it had left."""

import time
import tracemalloc

import anyio
import httpx2
import pytest

from agent_eval.errors import OperatorError
from agent_eval.models.base import AttemptFailed
from agent_eval.models.wire import MAX_ANSWER_BYTES, Wire
from agent_eval.scenario.model import ModelArguments
from tests.models.server import Answer, deaf, serving

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


def wire_to(address: str, **limits: float) -> Wire:
    """A wire without TLS, whose authorities take a while to read."""
    wanted = ModelArguments(**limits)  # type: ignore[arg-type]
    return Wire(address, "a-key", wanted, httpx2.AsyncHTTPTransport(verify=False))


async def test_bytes_go_and_come_as_they_are() -> None:
    body = bytes(range(256)) * 100
    with serving(Answer(body, 418, {"X-Theirs": "2"})) as server:
        wire = wire_to(server.address + "/")
        answer = await wire.post("/chat", body)
        await wire.close()
    assert (answer.status, answer.content, answer.headers["x-theirs"]) == (418, body, "2")
    (came,) = server.came
    assert (came.path, came.body, came.headers["authorization"]) == (
        "/v1/chat",
        body,
        "Bearer a-key",
    )
    assert came.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("raw", "limit", "words", "sent"),
    [
        ((60.0,), "first_byte_timeout_s", "no answer began within 0.3 s", True),
        ((HEAD, 60.0), "idle_timeout_s", "stopped in its middle and 0.3 s passed", True),
        ((HEAD, *[b"x", 0.05] * 1000), "request_timeout_s", "no whole answer within 0.3 s", True),
        (None, "connect_timeout_s", "no connection within 0.3 s", False),
        (None, "request_timeout_s", "no whole answer within 0.3 s", False),
    ],
)
async def test_each_limit_has_its_own_words(
    raw: tuple[bytes | float, ...] | None, limit: str, words: str, sent: bool
) -> None:
    with deaf() if raw is None else serving(Answer(raw=raw)) as server:
        wire = wire_to(server.address, **{limit: 0.3})
        started = time.monotonic()
        with pytest.raises(AttemptFailed, match=words) as caught:
            await wire.post("/x", b"{}")
        await wire.close()
    assert limit in str(caught.value)
    assert caught.value.may_be_billed == sent
    assert time.monotonic() - started < 30


async def test_an_end_from_outside_goes_through() -> None:
    with serving(Answer(raw=(HEAD, 60.0))) as server:
        wire = wire_to(server.address)
        with anyio.move_on_after(0.3) as scope:
            await wire.post("/x", b"{}")
        assert scope.cancelled_caught
        await wire.close()


async def test_what_a_server_sends_without_end_takes_no_memory() -> None:
    part = b"x" * 65536
    with serving(Answer(raw=(HEAD, *[part] * 100_000))) as server:
        wire = wire_to(server.address)
        tracemalloc.start()
        try:
            with pytest.raises(AttemptFailed, match="cut off at") as caught:
                await wire.post("/x", b"{}")
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            await wire.close()
    assert caught.value.may_be_billed
    assert most < 4 * MAX_ANSWER_BYTES


async def test_connections_that_were_closed_are_opened_anew() -> None:
    with serving(Answer({})) as server:
        wire = wire_to(server.address)
        for _ in range(5):
            assert (await wire.post("/x", b"{}")).status == 200
        await wire.close()
    assert len(server.came) == 5


@pytest.mark.parametrize("address", ["", "x", "ftp://x/v1", "http://"])
async def test_an_address_that_is_none_is_the_operators(address: str) -> None:
    wire = wire_to(address)
    with pytest.raises(OperatorError):
        await wire.post("/x", b"{}")
    await wire.close()
