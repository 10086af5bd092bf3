"""Worlds that stand: their services over real sockets, what is on record, and what may fail."""

import json
import resource
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from agent_eval.basics.open_files import KEPT_BACK
from agent_eval.errors import LimitReached, ScenarioError
from agent_eval.record.budget import Account
from agent_eval.record.verify import verify
from agent_eval.scenario.world import Gateway as Bounds
from agent_eval.scenario.world import World as Asked
from agent_eval.world.base import Origin
from tests.world.worlds import AGENT, Served, staged, trusted, until

pytestmark = pytest.mark.anyio
COPY = Origin("0.1", "0.1")


async def who(request: Request) -> Response:
    origin = request.state.origin
    return JSONResponse({"sandbox": origin.sandbox, "agent": origin.agent})


async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type="application/octet-stream")


async def never_reads(_request: Request) -> Response:
    return PlainTextResponse("no", 401)


async def slowly(_request: Request) -> Response:
    async def bits() -> AsyncIterator[str]:
        for each in range(3):
            yield f"data: {each}\n\n"

    return StreamingResponse(bits(), media_type="text/event-stream")


async def fails(_request: Request) -> Response:
    raise RuntimeError("what it broke of")


async def fails_late(_request: Request) -> Response:
    async def bits() -> AsyncIterator[str]:
        yield "half"
        raise RuntimeError("in the middle")

    return StreamingResponse(bits())


async def hangs(_request: Request) -> Response:
    await anyio.sleep_forever()
    raise AssertionError


ROUTES = {
    "/who": who,
    "/echo": echo,
    "/closed": never_reads,
    "/slowly": slowly,
    "/fails": fails,
    "/late": fails_late,
    "/hangs": hangs,
}


def service(*hosts: str) -> Served:
    every = ["GET", "POST", "PUT"]
    app = Starlette(routes=[Route(path, each, methods=every) for path, each in ROUTES.items()])
    return Served(app, hosts or ("echo.internal",))


async def test_a_service_is_reached_by_http_and_tls_and_knows_whose_the_stream_is(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path, {"echo": service()}) as stage:
        for scheme in ("http", "https"):
            for origin in (AGENT, COPY):
                answer = await stage.fetch(f"{scheme}://echo.internal/who", origin=origin)
                assert json.loads(answer.body)["sandbox"] == origin.sandbox
        lied = await stage.fetch("http://echo.internal/who", headers={"x-origin": "0.1"})
        assert json.loads(lied.body)["sandbox"] == "0"
    events = stage.events("world.exchange")
    assert [each["sandbox"] for each in events] == ["0", "0.1", "0", "0.1", "0"]
    assert [each["agent"] for each in events] == ["0", "0.1", "0", "0.1", "0"]
    assert [each["port"] for each in events] == [80, 80, 443, 443, 80]
    assert verify(stage.folder).faults == []


async def test_an_exchange_is_on_record_with_what_was_said(tmp_path: Path) -> None:
    async with staged(tmp_path, {"echo": service()}) as stage:
        answer = await stage.fetch(
            "http://echo.internal/echo?a=1", b'{"amount": 5}', {"content-type": "application/json"}
        )
        assert answer.body == b'{"amount": 5}'
        event = stage.events("world.exchange")[0]
    assert (event["method"], event["path"], event["status"]) == ("POST", "/echo?a=1", 200)
    assert event["name"] == "echo.internal"
    assert event["service"] == "echo"
    assert event["request"] == {"bytes": 13, "text": '{"amount": 5}'}
    assert event["response"] == {"bytes": 13, "text": '{"amount": 5}'}
    assert event["request_type"] == "application/json"
    assert event["at"].startswith("2026-11-02T09:00:0")
    assert answer.headers["date"].startswith("Mon, 02 Nov 2026 09:00:0")


async def test_it_is_on_record_before_the_answer_is_there(tmp_path: Path) -> None:
    async with staged(tmp_path, {"echo": service()}) as stage:
        for each in range(20):
            await stage.fetch("http://echo.internal/who")
            assert len(stage.events("world.exchange")) == each + 1
        await stage.fetch("http://echo.internal/slowly")
        begun, whole = stage.events("world.answering", "world.exchange")[-2:]
        assert begun["kind"] == "world.answering"
        assert begun["exchange"] == whole["exchange"] == 21
        assert whole["response"]["text"] == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


async def test_long_bodies_are_counted_and_kept_to_a_limit(tmp_path: Path) -> None:
    asked = Asked(gateway=Bounds(kept_body_bytes=1000, max_request_bytes=1_000_000))
    async with staged(tmp_path, {"echo": service()}, asked) as stage:
        body = b"x" * 300_000
        assert (await stage.fetch("http://echo.internal/echo", body)).body == body
        event = stage.events("world.exchange")[0]
        for each in (event["request"], event["response"]):
            assert (each["bytes"], each["dropped_bytes"]) == (300_000, 299_000)
        unread = await stage.fetch("https://echo.internal/closed", body)
        assert unread.status == 401
        assert stage.events("world.exchange")[1]["request"]["bytes"] >= 1000
        too_long = {"content-length": "1000001", "expect": "100-continue"}
        assert (await stage.fetch("http://echo.internal/echo", b"", too_long)).status == 413
        assert stage.events("world.exchange")[2]["status"] == 413


@pytest.mark.parametrize("kept", [0, 65536], ids=["by the service", "before it"])
async def test_a_body_without_a_length_is_bounded_too(tmp_path: Path, kept: int) -> None:
    asked = Asked(gateway=Bounds(max_request_bytes=5000, kept_body_bytes=kept))
    async with staged(tmp_path, {"echo": service()}, asked) as stage:
        sock = await stage.stream("echo.internal", 80)

        def send() -> bytes:
            sock.settimeout(60)
            head = (
                b"POST /echo HTTP/1.1\r\nhost: echo.internal\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            chunk = b"%x\r\n" % 4000 + b"y" * 4000 + b"\r\n"
            sock.sendall(head + 2 * chunk + b"0\r\n\r\n")
            return sock.recv(1000)

        assert b" 413 " in await anyio.to_thread.run_sync(send)
        sock.close()


async def test_all_that_a_sandbox_sends_at_one_time_is_bounded(tmp_path: Path) -> None:
    """Many bodies that never end would be held in memory."""
    asked = Asked(gateway=Bounds(held_request_bytes=100_000, kept_body_bytes=0))
    head = b"POST /echo HTTP/1.1\r\nhost: echo.internal\r\ncontent-length: 90000\r\n\r\n"
    async with staged(tmp_path, {"echo": service()}, asked) as stage:
        url, other = "http://echo.internal/echo", Origin("1", "1")
        begun = await stage.stream("echo.internal", 80)
        begun.sendall(head + b"x" * 80_000)
        with anyio.fail_after(60):
            while (await stage.fetch(url, b"y" * 30_000)).status != 503:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert (await stage.fetch(url, b"y" * 30_000, origin=other)).status == 200
        begun.close()
        with anyio.fail_after(60):
            while (await stage.fetch(url, b"y" * 30_000)).status != 200:  # noqa: ASYNC110
                await anyio.sleep(0.01)
    assert not stage.events("world.trouble")


@pytest.mark.parametrize(("path", "status"), [("/fails", 500), ("/hangs", 504)])
async def test_a_service_that_fails_is_a_plain_error_and_whose_fault_it_is(
    path: str, status: int, tmp_path: Path
) -> None:
    asked = Asked(gateway=Bounds(patience_s=0.5))
    async with staged(tmp_path, {"echo": service()}, asked) as stage:
        answer = await stage.fetch(f"https://echo.internal{path}")
        assert answer.status == status
        assert b"what it broke of" not in answer.body
        assert (await stage.fetch("https://echo.internal/who")).status == 200
    trouble, first = stage.events("world.trouble")[0], stage.events("world.exchange")[0]
    assert trouble["blame"] == "infrastructure"
    assert trouble["service"] == "echo"
    assert trouble["what"] == {500: "crashed", 504: "hung"}[status]
    assert first["status"] == status
    assert first["exchange"] == trouble["exchange"]


@pytest.mark.slow
async def test_a_service_that_lets_nobody_else_go_on_is_ended_and_they_go_on(
    tmp_path: Path,
) -> None:
    async def endless(_scope: Scope, _receive: Receive, _send: Send) -> None:
        time.sleep(1000)  # noqa: ASYNC251 - it is what is not to be done

    services = {"endless": Served(endless, ("endless.internal",)), "echo": service()}
    async with staged(tmp_path, services) as stage:
        assert (await stage.fetch("https://endless.internal/")).status == 504
        assert (await stage.fetch("https://echo.internal/who")).status == 200
        await until(lambda: stage.events("world.trouble"))
    (trouble,) = stage.events("world.trouble")
    assert (trouble["blame"], trouble["service"]) == ("infrastructure", "endless")
    assert trouble["what"] == "stalled"
    assert "time.sleep(1000)" in trouble["detail"]


async def test_an_answer_that_breaks_off_is_trouble_and_no_whole_answer(tmp_path: Path) -> None:
    async with staged(tmp_path, {"echo": service()}) as stage:
        with pytest.raises(Exception, match=r"IncompleteRead|closed"):
            await stage.fetch("http://echo.internal/late")
        assert stage.events("world.trouble")[0]["what"] == "crashed"
        assert stage.events("world.exchange")[0]["response"]["text"] == "half"


@pytest.mark.slow
async def test_patience_does_not_run_out_while_the_run_is_paused(tmp_path: Path) -> None:
    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await asked_for.wait()
        await PlainTextResponse("at last")(scope, receive, send)

    asked_for = anyio.Event()
    asked = Asked(gateway=Bounds(patience_s=5))
    async with staged(tmp_path, {"slow": Served(waits, ("slow.internal",))}, asked) as stage:
        stage.clock.hold()
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                assert (await stage.fetch("http://slow.internal/")).status == 200

            tasks.start_soon(ask)
            await anyio.sleep(6)
            asked_for.set()


async def test_background_work_that_ends_closes_its_service_and_no_other(tmp_path: Path) -> None:
    breaks = anyio.Event()

    @asynccontextmanager
    async def background() -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:

            async def work() -> None:
                await breaks.wait()
                raise RuntimeError("its process is gone")

            tasks.start_soon(work)
            yield
            tasks.cancel_scope.cancel()

    frail = service("frail.internal")
    frail.background = background
    async with staged(tmp_path, {"frail": frail, "echo": service()}) as stage:
        assert (await stage.fetch("http://frail.internal/who")).status == 200
        breaks.set()
        await until(lambda: stage.events("world.trouble"))
        assert (await stage.fetch("http://frail.internal/who")).status == 503
        assert (await stage.fetch("http://echo.internal/who")).status == 200
    assert stage.events("world.trouble")[0]["what"] == "ended"
    assert stage.events("world.closed")[0]["counts"]["troubles"] == 1


async def test_services_are_closed_in_the_order_opposite_to_their_opening(tmp_path: Path) -> None:
    said: list[str] = []

    def telling(name: str) -> Served:
        @asynccontextmanager
        async def background() -> AsyncIterator[None]:
            said.append(f"{name} opens")
            yield
            said.append(f"{name} closes")

        made = service(f"{name}.internal")
        made.background = background
        return made

    async with staged(tmp_path, {"a": telling("a"), "b": telling("b")}):
        assert said == ["a opens", "b opens"]
    assert said[2:] == ["b closes", "a closes"]


async def test_unknown_names_and_addresses_are_refused_and_on_record(tmp_path: Path) -> None:
    async with staged(tmp_path, {"echo": service()}) as stage:
        gateway = stage.world.gateway
        assert gateway.resolve(COPY, "example.com") is None
        for address, port in (("8.8.8.8", 443), ("169.254.169.254", 80), ("127.200.1.1", 80)):
            assert await gateway.connect(COPY, address, port) is None
        own = gateway.resolve(COPY, "echo.internal")
        assert own is not None
        assert await gateway.connect(COPY, own, 22) is None
    asked = stage.events("world.asked")
    assert [(each["name"], each["leads_to"]) for each in asked] == [
        ("example.com", "nothing"),
        ("echo.internal", "service"),
    ]
    refused = stage.events("world.refused")
    assert [(each["address"], each["port"], each["reason"]) for each in refused] == [
        ("8.8.8.8", 443, "unknown"),
        ("169.254.169.254", 80, "unknown"),
        ("127.200.1.1", 80, "unknown"),
        (own, 22, "port"),
    ]
    assert {each["sandbox"] for each in asked + refused} == {"0.1"}


async def test_what_is_tried_again_and_again_does_not_fill_the_record(tmp_path: Path) -> None:
    async with staged(tmp_path, {"echo": service()}) as stage:
        for _ in range(1000):
            assert stage.world.gateway.resolve(AGENT, "example.com") is None
            assert await stage.world.gateway.connect(AGENT, "1.2.3.4", 5) is None
    for kind in ("world.asked", "world.refused"):
        assert [each["times"] for each in stage.events(kind)] == [2**each for each in range(10)]
    assert stage.events("world.closed")[0]["counts"] == {"asked": 1000, "refused": 1000}


async def test_a_sandbox_has_so_many_streams_and_another_its_own(tmp_path: Path) -> None:
    asked = Asked(gateway=Bounds(max_streams=8))
    async with staged(tmp_path, {"echo": service()}, asked) as stage:
        held = [await stage.stream("echo.internal", 80) for _ in range(8)]
        address = stage.world.gateway.resolve(AGENT, "echo.internal")
        assert address is not None
        await anyio.wait_all_tasks_blocked()
        assert await stage.world.gateway.connect(AGENT, address, 80) is None
        assert stage.events("world.refused")[0]["reason"] == "full"
        assert (await stage.fetch("http://echo.internal/who", origin=COPY)).status == 200
        for each in held:
            each.close()
        with anyio.fail_after(60):
            connect = stage.world.gateway.connect
            while (sock := await connect(AGENT, address, 80)) is None:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        sock.close()


def open_files() -> set[int]:
    """The numbers of this process's open files."""
    return {int(file.name) for file in Path("/proc/self/fd").iterdir()}


async def test_streams_leave_the_harness_files_of_its_own(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with staged(tmp_path, {"echo": service()}) as stage:
        socks = [await stage.stream("echo.internal", 80)]
        allowed = socks[0].fileno() + KEPT_BACK + 60
        taken = open_files()
        room = len(set(range(allowed - KEPT_BACK)) - taken)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, before[1]))
        try:
            address = stage.world.gateway.resolve(AGENT, "echo.internal")
            assert address is not None
            while sock := await stage.world.gateway.connect(AGENT, address, 80):
                socks.append(sock)
            assert abs(2 * (len(socks) - 1) - room) <= 8, "each takes two"
            (tmp_path / "other").write_text("still possible")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            for sock in socks:
                sock.close()
        (refused,) = stage.events("world.refused")
    assert refused["reason"] == "full"
    assert str(allowed) in refused["detail"]


@pytest.mark.parametrize("endless", [b"0\r\n" + b"x: y\r\n" * 9_000, b"0\r\nx:", b"1;"])
async def test_what_stands_around_and_after_a_body_is_bounded(
    tmp_path: Path, endless: bytes
) -> None:
    """Trailers would be kept in memory, and nobody waits for them."""
    begin = b"POST /echo HTTP/1.1\r\nHost: echo.internal\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with staged(tmp_path, {"echo": service()}) as stage:
        sock = await stage.stream("echo.internal", 80)

        def talk() -> bytes:
            sock.settimeout(60)
            sock.sendall(begin + b"5\r\nhello\r\n" + endless)
            with suppress(BrokenPipeError, ConnectionResetError):
                while True:
                    sock.sendall(b"y" * 1_000)
            return sock.recv(100)

        assert b" 400 " in await anyio.to_thread.run_sync(talk)
        sock.close()
        await until(lambda: stage.events("world.exchange"))
        exchange, refused = *stage.events("world.exchange"), *stage.events("world.refused")
    assert exchange["request"]["bytes"] == 5
    assert refused["reason"] == "not_http"


async def test_what_is_no_http_is_on_record_with_its_beginning(tmp_path: Path) -> None:
    async with staged(tmp_path, {"echo": service()}) as stage:
        for said in (b"SSH-2.0-OpenSSH_9.2\r\n", b"GET / HTTP/1.1\r\nx: " + b"y" * 200_000):
            sock = await stage.stream("echo.internal", 80)

            def talk(sock: socket.socket = sock, said: bytes = said) -> bytes:
                sock.settimeout(60)
                with suppress(BrokenPipeError):  # not all of it is waited for
                    sock.sendall(said)
                return sock.recv(100)

            assert b" 400 " in await anyio.to_thread.run_sync(talk)
            sock.close()
        first, second = stage.events("world.refused")
    assert first["reason"] == second["reason"] == "not_http"
    assert first["sent"] == {"bytes": 21, "text": "SSH-2.0-OpenSSH_9.2\r\n"}
    assert second["sent"]["bytes"] > 65536
    assert second["sent"]["dropped_bytes"] == second["sent"]["bytes"] - 1024


async def test_a_client_that_does_not_trust_the_authority_goes_no_further(tmp_path: Path) -> None:
    async with staged(tmp_path, {"echo": service()}) as stage:
        sock = await stage.stream("echo.internal", 443)

        def shake_hands() -> None:
            sock.settimeout(60)
            with sock:
                ssl.create_default_context().wrap_socket(sock, server_hostname="echo.internal")

        with pytest.raises(ssl.SSLCertVerificationError):
            await anyio.to_thread.run_sync(shake_hands)
        await until(lambda: stage.events("world.refused"))
        assert stage.events("world.refused")[0]["reason"] == "tls"


async def test_a_certificate_is_for_its_name_and_those_one_level_below(tmp_path: Path) -> None:
    services = {"s3": service("*.s3.test", "s3.test")}
    async with staged(tmp_path, services) as stage:
        for host in ("s3.test", "bucket.s3.test"):
            assert (await stage.fetch(f"https://{host}/who")).status == 200
        assert [each["name"] for each in stage.events("world.exchange")] == [
            "s3.test",
            "bucket.s3.test",
        ]
        sock = await stage.stream("bucket.s3.test", 443)
        pem = stage.world.gateway.authority.pem.decode()
        with pytest.raises(ssl.SSLCertVerificationError):
            await anyio.to_thread.run_sync(trusted, sock, "a.bucket.s3.test", pem)


async def test_a_name_in_a_header_is_only_believed_where_it_leads_here(tmp_path: Path) -> None:
    async with staged(tmp_path, {"echo": service(), "bank": service("bank.internal")}) as stage:
        await stage.fetch("http://echo.internal/who", headers={"host": "bank.internal"})
        event = stage.events("world.exchange")[0]
        assert (event["name"], event["service"]) == ("echo.internal", "echo")


async def test_two_worlds_do_not_reach_each_other(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    async with (
        staged(tmp_path, {"echo": service()}) as one,
        staged(tmp_path / "b", {"bank": service("bank.internal")}) as other,
    ):
        assert one.world.gateway.resolve(AGENT, "bank.internal") is None
        address = other.world.gateway.resolve(AGENT, "bank.internal")
        assert address is not None
        assert await one.world.gateway.connect(AGENT, address, 443) is None
        sock = await one.stream("echo.internal", 443)
        pem = other.world.gateway.authority.pem.decode()
        with pytest.raises(ssl.SSLCertVerificationError):
            await anyio.to_thread.run_sync(trusted, sock, "echo.internal", pem)
        await other.fetch("https://bank.internal/who")
    assert one.events("world.exchange") == []


async def test_a_record_that_is_full_ends_the_run(tmp_path: Path) -> None:
    account = Account("0", {"record_bytes": Decimal(20_000)})

    async def fill() -> None:
        async with staged(tmp_path, {"echo": service()}, None, account) as stage:
            for _ in range(100):
                await stage.fetch("http://echo.internal/echo", b"z" * 4000)

    with pytest.raises(LimitReached, match="record_bytes"):
        await fill()


async def test_names_that_two_services_want_are_the_scenarios_fault(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"echo\.internal"):
        async with staged(tmp_path, {"a": service(), "b": service()}):
            pass
