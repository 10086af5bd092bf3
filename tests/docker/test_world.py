"""A world as unmodified programs in real sandboxes meet it, and what a whole run has of it."""

import io
import json
import subprocess
import tarfile
from collections.abc import AsyncIterator
from importlib import metadata
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from agent_eval.record.verify import verify
from agent_eval.run.housing import network_of
from agent_eval.sandbox.archive import File
from agent_eval.scenario.world import Gateway as Bounds
from agent_eval.scenario.world import World as Asked
from agent_eval.world.base import Origin
from tests.docker.boxes import RUNTIMES, bash, box
from tests.docker.folders import agent_eval, events, only_run, scenario, summary
from tests.world.worlds import AGENT, Served, staged

pytestmark = pytest.mark.docker
ON_EACH = pytest.mark.parametrize("runtime", RUNTIMES)
SLOW_S = 200.0


async def who(request: Request) -> Response:
    origin = request.state.origin
    body = (await request.body()).decode()
    return JSONResponse({"sandbox": origin.sandbox, "method": request.method, "body": body})


async def fails(_request: Request) -> Response:
    raise RuntimeError("what it broke of")


async def hangs(_request: Request) -> Response:
    await anyio.sleep_forever()
    raise AssertionError


async def chat(request: Request) -> Response:
    """A chat completion that says how many messages it was sent, in one piece or in many."""
    asked = json.loads(await request.body())
    text = f"I read {len(asked['messages'])} messages."
    whole: dict[str, Any] = {"id": "c", "created": 1, "model": asked["model"]}
    if not asked.get("stream"):
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return JSONResponse({**whole, "object": "chat.completion", "choices": [choice]})

    async def bits() -> AsyncIterator[str]:
        for word in text.split(" "):
            choice = {"index": 0, "finish_reason": None, "delta": {"content": f"{word} "}}
            chunk = {**whole, "object": "chat.completion.chunk", "choices": [choice]}
            yield f"data: {json.dumps(chunk)}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(bits(), media_type="text/event-stream")


def services(pages: Path) -> dict[str, Served]:
    """A world for programs: it echoes, fails, completes chats and has a folder of files."""
    routes = [
        Route("/who", who, methods=["GET", "POST"]),
        Route("/fails", fails),
        Route("/hangs", hangs),
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Mount("/files", StaticFiles(directory=pages)),
    ]
    return {"echo": Served(Starlette(routes=routes), ("echo.internal",))}


def repository(parent: Path) -> None:
    """A bare repository as a plain web server has it."""
    work, bare = parent / "work", parent / "pages" / "tool.git"
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    steps = [
        ("init", "-q", "-b", "main", str(work)),
        ("-C", str(work), *identity, "commit", "-q", "--allow-empty", "-m", "the one commit"),
        ("clone", "-q", "--bare", str(work), str(bare)),
        ("-C", str(bare), "update-server-info"),
    ]
    for each in steps:
        subprocess.run(["git", *each], check=True, capture_output=True)


def client_library() -> bytes:
    """The openai package with all that it needs, as this environment has it."""
    buffer, done = io.BytesIO(), set[str]()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:

        def add(name: str) -> None:
            normal = name.lower().replace("_", "-")
            if normal in done:
                return
            done.add(normal)
            try:
                found = metadata.distribution(name)
            except metadata.PackageNotFoundError:
                return
            for file in found.files or ():
                path = Path(str(found.locate_file(file)))
                if ".." not in file.parts and "__pycache__" not in file.parts and path.is_file():
                    tar.add(path, str(file))
            for needed in found.requires or ():
                if "extra ==" not in needed:
                    add(
                        "".join(
                            each if each.isalnum() or each in "-_." else " " for each in needed
                        ).split()[0]
                    )

        add("openai")
    return buffer.getvalue()


REQUESTS = """
import json, urllib.request, requests
for scheme in ("http", "https"):
    with urllib.request.urlopen(f"{scheme}://echo.internal/who", b"by urllib") as answer:
        print(json.load(answer)["body"])
    print(requests.post(f"{scheme}://echo.internal/who", data="by requests").json()["body"])
"""

OPENAI = """
import sys; sys.path.insert(0, "/home/user/lib")
import openai
client = openai.OpenAI(api_key="sk-1", base_url="https://echo.internal/v1", max_retries=0)
asked = dict(model="m", messages=[{"role": "user", "content": "hello"}])
print(client.chat.completions.create(**asked).choices[0].message.content)
for chunk in client.chat.completions.create(**asked, stream=True):
    print(chunk.choices[0].delta.content, end="|")
"""


@ON_EACH
@pytest.mark.anyio
async def test_unmodified_programs_work(runtime: str, tmp_path: Path) -> None:
    repository(tmp_path)
    asked = Asked(gateway=Bounds(patience_s=2))
    async with staged(tmp_path, services(tmp_path / "pages"), asked) as stage:
        network = network_of(stage.world, AGENT)
        async with box(runtime, network=network, home_bytes="160MiB") as sandbox:

            async def said(command: str) -> str:
                ended = await bash(sandbox, command, SLOW_S)
                return ended.output.decode(errors="replace").strip()

            for scheme in ("http", "https"):
                answer = await said(f"curl -sS -d hello {scheme}://echo.internal/who")
                assert json.loads(answer) == {"sandbox": "0", "method": "POST", "body": "hello"}
            assert "the one commit" in await said(
                "cd; git clone -q https://echo.internal/files/tool.git && git -C tool log"
            )
            status = "curl -sS -o /dev/null -w '%{http_code}' https://echo.internal"
            assert await said(f"{status}/fails") == "500"
            assert await said(f"{status}/hangs") == "504"
            code = f"cat > t.py <<'END'\n{REQUESTS}\nEND\npython3 t.py"
            assert (await said(code)).split("\n") == ["by urllib", "by requests"] * 2
            await sandbox.put([File("/home/user/lib.tgz", client_library())])
            await said("mkdir lib; tar xzf lib.tgz -C lib; rm lib.tgz")
            answer = await said(f"cat > t.py <<'END'\n{OPENAI}\nEND\npython3 t.py")
            assert answer == "I read 1 messages.\nI |read |1 |messages. |", answer
    exchanges = stage.events("world.exchange")
    assert {each["sandbox"] for each in exchanges} == {"0"}
    assert [each["what"] for each in stage.events("world.trouble")] == ["crashed", "hung"]
    assert len(stage.events("world.answering")) >= 1


@ON_EACH
@pytest.mark.anyio
async def test_two_worlds_side_by_side_do_not_reach_each_other(
    runtime: str, tmp_path: Path
) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "other").mkdir()
    mine, theirs = services(tmp_path / "pages"), services(tmp_path / "pages")
    theirs["echo"].hosts = ("theirs.internal",)
    async with (
        staged(tmp_path, mine) as one,
        staged(tmp_path / "other", theirs) as other,
        box(runtime, network=network_of(one.world, Origin("0", "0"))) as sandbox,
    ):
        address = other.world.gateway.resolve(AGENT, "theirs.internal")
        tried = f"curl -sS https://theirs.internal/who; curl -sSk https://{address}/who"
        ended = await bash(sandbox, tried)
        assert b"Could not resolve host" in ended.output
        assert b"sandbox" not in ended.output
    assert other.events("world.exchange", "world.refused") == []
    assert [each["address"] for each in one.events("world.refused")] == [address]
    # A resolver whose answer is late asks again.
    assert {each["name"] for each in one.events("world.asked")} == {"theirs.internal"}


SEEKS = """
LOOK = '''
import socket
def met(address, port):
    try:
        with socket.create_connection((address, port), 60) as sock:
            return sock.recv(1)
    except OSError as error:
        return type(error).__name__
for place in (("8.8.8.8", 53), ("169.254.169.254", 80), ("10.0.0.1", 22)):
    print(met(*place))
for name in ("example.com", "c2VjcmV0.example.com"):
    try:
        print(socket.gethostbyname(name))
    except socket.gaierror:
        print("no such name")
'''
def seeks(task):
    seen = yield python(LOOK)
    assert seen.count("ConnectionResetError") == 3, seen
    assert seen.count("no such name") == 2, seen
    yield submit("done")
"""


@ON_EACH
def test_a_run_with_an_empty_world_refuses_everything_and_says_so(
    runtime: str, tmp_path: Path
) -> None:
    folder = scenario(tmp_path, SEEKS, world={"seed": 3, "speed": 60, "start": "2026-11-02T09:00Z"})
    runs = tmp_path / "runs"
    done = agent_eval("run", folder, "-m", "control:seeks", "--runs", runs, "--runtime", runtime)
    assert done.returncode == 0, done.stderr + done.stdout
    run = only_run(runs)
    assert verify(run, summary(run)["head"]).good
    kinds = [each["kind"] for each in events(run)]
    assert kinds.index("world.opened") < kinds.index("sandbox.ready")
    assert kinds.index("world.closed") < kinds.index("sandbox.removed")
    opened = events(run, "world.opened")[0]
    assert (opened["seed"], opened["speed"]) == (3, 60)
    assert opened["start"] == "2026-11-02T09:00:00.000+00:00"
    refused = [(each["address"], each["port"]) for each in events(run, "world.refused")]
    assert refused == [("8.8.8.8", 53), ("169.254.169.254", 80), ("10.0.0.1", 22)]
    asked = [each["name"] for each in events(run, "world.asked")]
    assert asked == ["example.com", "c2vjcmv0.example.com"]
    assert events(run, "world.closed")[0]["passed_s"] > 0
    shown = agent_eval("show", run).stdout
    assert "refused 169.254.169.254:80" in shown
    assert "no such name: c2vjcmv0.example.com" in shown

    again = agent_eval("replay", run, "--runs", tmp_path / "replays")
    assert again.returncode == 0, again.stdout + again.stderr
    replayed = only_run(tmp_path / "replays")
    assert len(events(replayed, "world.refused")) == 3
    assert events(replayed, "world.opened")[0]["start"] == opened["start"]


ASKS = """
ASK = '''
import json, urllib.request
body = {"model": "chat-1", "messages": [{"role": "user", "content": "who are you?"}]}
headers = {"authorization": "Bearer sk-agent-0123456789abcdef", "content-type": "application/json"}
asked = urllib.request.Request("https://llm.internal/v1/chat/completions",
                               json.dumps(body).encode(), headers)
print(json.load(urllib.request.urlopen(asked))["choices"][0]["message"]["content"])
'''
def asks(task):
    seen = yield python(ASK)
    assert "a friend" in seen, seen
    yield submit("done")

def friend(task):
    yield say("I am a friend.")
"""


def test_a_program_thinks_through_the_world_and_is_answered_the_same_when_done_again(
    tmp_path: Path,
) -> None:
    account = {"keys": {"main": "sk-agent-0123456789abcdef"}, "credit_cents": 500}
    world = {"lm": {"model": "control:friend", "accounts": {"agent": account}}}
    folder, runs = scenario(tmp_path, ASKS, world=world), tmp_path / "runs"
    done = agent_eval("run", folder, "-m", "control:asks", "--runs", runs)
    assert done.returncode == 0, done.stderr + done.stdout
    run = only_run(runs)
    assert verify(run, summary(run)["head"]).good
    (answered,) = events(run, "lm.answered")
    (exchange,) = events(run, "world.exchange")
    assert answered["sandbox"] == exchange["sandbox"] == "0"
    assert answered["seq"] < exchange["seq"]
    assert events(run, "bank.posted")
    done = agent_eval("replay", run, "--runs", tmp_path / "again")
    assert done.returncode == 0, done.stdout + done.stderr
    (given,) = events(only_run(tmp_path / "again"), "lm.answered")
    assert (given["reply"], given["settled"]) == (answered["reply"], {})
