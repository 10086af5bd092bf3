"""Both directions of the pipe, with a hostile other end."""

import json
from typing import Any

import anyio
import pytest

from agent_eval.agent.actions import MAX_CODE_BYTES
from agent_eval.basics.conversation import wire_json
from agent_eval.errors import Blame, SandboxDied
from agent_eval.sandbox.frames import CONTROL, END, MAX_PAYLOAD_BYTES, Decoder, encode
from agent_eval.sandbox.pipe import MAX_REPORTS, Pipe
from tests.sandbox.wire import Wire, served

pytestmark = pytest.mark.anyio


async def test_data_and_reports_find_their_channels() -> None:
    async with served() as (wire, pipe):
        one, two = pipe.channel(1000), pipe.channel(1000)
        assert (one.number, two.number) == (1, 2)
        wire.writes(1, b"for one")
        wire.writes(2, b"for two")
        wire.writes(1, b", more")
        wire.says("done", channel=2, action=5)
        wire.says("ready", python="3.11")
        wire.says("ended", channel=1)
        assert await pipe.report(two) == {"op": "done", "channel": 2, "action": 5}
        assert await pipe.report() == {"op": "ready", "python": "3.11"}
        assert (await pipe.report(one) or {})["op"] == "ended"
        assert one.take() == (b"for one, more", 0)
        assert one.take() == (b"", 0)
        assert two.take() == (b"for two", 0)


async def test_any_split_of_the_stream_is_the_same() -> None:
    async with served() as (wire, pipe):
        channel = pipe.channel(10**6)
        stream = encode(1, 1, b"x" * 1000) + encode(CONTROL, 0, b'{"op":"done","channel":1}')
        for byte in stream:
            wire.raw(bytes([byte]))
        assert (await pipe.report(channel) or {})["op"] == "done"
        assert channel.take() == (b"x" * 1000, 0)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"Traceback (most recent call last):", "a frame of"),
        (encode(9, 0, b""), "a frame of type 9"),
        (b"\xff\xff\xff\xff\x00\x00\x00\x00\x00", "a frame of 4294967295 bytes"),
        (encode(CONTROL, 0, b"{"), "a report that is not JSON"),
        (encode(CONTROL, 0, b"\xff\xfe"), "a report that is not JSON"),
        (encode(CONTROL, 0, b"[" * 100_000), "a report that is not JSON"),
        (encode(CONTROL, 0, b"1" * 5000), "a report that is not JSON"),
        (encode(CONTROL, 0, b"[]"), "a report that is not an object"),
        (encode(CONTROL, 0, b'"done"'), "a report that is not an object"),
        (encode(CONTROL, 0, b'{"op": "x"}') * (MAX_REPORTS + 1), "more reports than orders"),
    ],
)
async def test_what_breaks_the_rules_ends_the_sandbox(said: bytes, words: str) -> None:
    async with served() as (wire, pipe):
        channel = pipe.channel(100)
        wire.raw(said)
        with pytest.raises(SandboxDied, match=words) as caught:
            await pipe.report(channel)
        assert caught.value.blame is Blame.MODEL
        with pytest.raises(SandboxDied, match="broke the rules"):
            await pipe.order("run")
        assert not wire.sent, "nothing is sent to one that broke the rules"


async def test_the_end_of_the_pipe_wakes_everyone_who_waits() -> None:
    died: list[str] = []

    async def wait(pipe: Pipe, room: int) -> None:
        try:
            await pipe.report(pipe.channel(room))
        except SandboxDied as error:
            died.append(str(error))
            assert error.blame is Blame.INFRASTRUCTURE

    async with served() as (wire, pipe):
        async with anyio.create_task_group() as tasks:
            for room in (10, 20, 30):
                tasks.start_soon(wait, pipe, room)
            await anyio.wait_all_tasks_blocked()
            wire.hangs_up()
        assert died == ["the sandbox closed its end of the pipe"] * 3
        pipe.end("another reason", Blame.MODEL)
        assert str(pipe.died) == died[0], "the first reason counts"


async def test_what_was_said_before_the_end_is_still_heard() -> None:
    async with served() as (wire, pipe):
        channel = pipe.channel(100)
        wire.says("ended", channel=1, exit=3)
        wire.hangs_up()
        await anyio.wait_all_tasks_blocked()
        assert (await pipe.report(channel) or {})["exit"] == 3
        with pytest.raises(SandboxDied):
            await pipe.report(channel)


async def test_more_data_than_there_is_room_for_is_counted_and_dropped() -> None:
    async with served() as (wire, pipe):
        channel = pipe.channel(300_000)
        wire.writes(1, b"a" * 299_999)
        wire.writes(1, b"bcd")
        assert await pipe.report(channel) is None, "whoever waits learns of it"
        wire.writes(1, b"e" * 10**6)
        await anyio.wait_all_tasks_blocked()
        data, dropped = channel.take()
        assert (data, dropped) == (b"a" * 299_999 + b"b", 2 + 10**6)
        wire.writes(1, b"again")
        wire.says("done", channel=1)
        assert (await pipe.report(channel) or {})["op"] == "done"
        assert channel.take() == (b"again", 0)


async def test_data_for_nobody_is_thrown_away() -> None:
    async with served() as (wire, pipe):
        channel = pipe.channel(100)
        pipe.forget(channel)
        pipe.forget(channel)
        for number in (0, 1, 7, 2**32 - 1):
            wire.raw(encode(1, number, b"x" * 100))
            wire.raw(encode(END, number, b""))
        odd: list[Any] = [7, -1, 2**70, 1.5, "1", None, [1], {"a": 1}, 1e300]
        for number in odd:
            wire.says("done", channel=number)
        wire.says("ready")
        assert await pipe.report() == {"op": "ready"}
        assert channel.take() == (b"", 0)
        assert pipe.died is None


async def test_numbers_that_json_cannot_hold_do_not_get_through() -> None:
    async with served() as (wire, pipe):
        wire.raw(encode(CONTROL, 0, b'{"op": "x", "a": NaN, "b": [1e999, -Infinity]}'))
        report = await pipe.report()
        assert report == {"op": "x", "a": None, "b": [None, None]}
        wire_json(report)


async def test_orders_and_data_are_sent_in_frames() -> None:
    async with served() as (wire, pipe):
        channel = pipe.channel(10)
        await pipe.order("put", channel=1)
        await pipe.data(channel, b"x" * (2 * MAX_PAYLOAD_BYTES + 7))
        await pipe.end_data(channel)
        frames = list(Decoder().feed(bytes(wire.sent)))
        assert json.loads(frames[0][2]) == {"op": "put", "channel": 1}
        assert [(kind, number, len(data)) for kind, number, data in frames[1:]] == [
            (1, 1, MAX_PAYLOAD_BYTES),
            (1, 1, MAX_PAYLOAD_BYTES),
            (1, 1, 7),
            (2, 1, 0),
        ]


@pytest.mark.slow
@pytest.mark.parametrize("char", ["x", '"', "\x01", "é", "\ud800", "🦜"])
async def test_the_longest_code_of_any_text_can_be_ordered(char: str) -> None:
    code = char * (MAX_CODE_BYTES // len(char.encode("utf-8", "surrogatepass")))
    async with served() as (wire, pipe):
        await pipe.order("run", channel=1, action=1, code=code)
        assert wire.orders[0]["code"] == code
        with pytest.raises(ValueError, match="an order larger"):
            await pipe.order("run", code=code * 20)


async def test_a_broken_wire_ends_the_sandbox() -> None:
    async with served() as (wire, pipe):
        wire.broken = True
        with pytest.raises(SandboxDied, match="the pipe into the sandbox is broken") as caught:
            await pipe.order("run")
        assert caught.value.blame is Blame.INFRASTRUCTURE
        wire.broken = False
        with pytest.raises(SandboxDied):
            await pipe.order("run")
        assert not wire.sent


async def test_a_cancelled_order_is_still_sent_whole() -> None:
    wire = Wire()
    pipe = Pipe(wire)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await pipe.order("run", code="x" * 1000)
    await pipe.order("freeze")
    assert [order["op"] for order in wire.orders] == ["run", "freeze"]
