"""Docker: everything that is asked of the engine, creation beside removal.

The SDK is synchronous, so each call runs in a thread, a few at a time. Every container carries its
run and its lease before it starts; nothing without that label is ever touched.
"""

import contextlib
import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import anyio
import anyio.abc
import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_fixed

from agent_eval.errors import Blame, EngineUnavailable
from agent_eval.sandbox.kernel import MEETING_PLACE
from agent_eval.sandbox.ready_socket import ReadySocket
from agent_eval.sandbox.settings import (
    GVISOR,
    RECORDED_RUNC,
    RUN_LABEL,
    Asked,
)

CALLS_AT_ONCE = 8
HOW_TO_GET_ONE = "Run `make setup` in a checkout, or `agent-eval setup`, and try again"
USUAL_ADDRESS = "unix:///var/run/docker.sock"
_SIGNALLED = (128 + 9, 128 + 15)
"""Statuses of a PID 1 that was sent SIGKILL or SIGTERM, as nothing inside may."""

_HEADER_BYTES = 8
_LOOKS, _LOOK_S = 12, 0.5
"""How often, and how far apart, it is asked why a sandbox that was killed was killed."""
_STDOUT = 1
_STDERR_KEPT_BYTES = 4096


class Engine:
    """One Docker engine."""

    def __init__(self, timeout_s: int = 120) -> None:
        address = os.environ.get("DOCKER_HOST") or USUAL_ADDRESS
        try:
            _knock(address, timeout_s)
            self._client = docker.from_env(timeout=timeout_s)
        except (DockerException, requests.RequestException, OSError) as error:
            raise EngineUnavailable(
                f"no Docker engine answers at {address}: {_words(error)}. {HOW_TO_GET_ONE}"
            ) from error
        self._limiter = anyio.CapacityLimiter(CALLS_AT_ONCE)

    async def call(self, what: str, function: Callable[[], Any]) -> Any:
        """Run one call of the SDK in a thread; its errors come out as ours."""
        try:
            return await anyio.to_thread.run_sync(function, limiter=self._limiter)
        except ImageNotFound as error:
            raise EngineUnavailable(f"{what}: {_words(error)}. {HOW_TO_GET_ONE}") from error
        except (DockerException, requests.RequestException, OSError) as error:
            raise EngineUnavailable(f"{what}: {_words(error)}") from error

    def close(self) -> None:
        """Close the connections to the engine."""
        self._client.close()

    async def facts(self) -> dict[str, Any]:
        """Versions and what the engine runs on."""
        info = await self.call("asking the engine what it is", self._client.info)
        return {
            "engine": info["ServerVersion"],
            "kernel": info["KernelVersion"],
            "system": info["OperatingSystem"],
            "storage": info["Driver"],
            "cgroup_version": info.get("CgroupVersion", "1"),
            "local": self._client.api.base_url.startswith(
                "http+docker:"
            ),  # a socket of this machine
            "runtimes": {
                name: {"path": one.get("path"), "args": one.get("runtimeArgs") or []}
                for name, one in sorted(info["Runtimes"].items())
            },
        }

    async def image(self, name: str) -> dict[str, Any]:
        """Identity of an image: its id, and the digests of its layers (what is really in it)."""
        image = await self.call(f"image {name}", lambda: self._client.images.get(name))
        return {"name": name, "id": image.id, "layers": image.attrs["RootFS"].get("Layers", [])}

    async def create(self, asked: Asked, command: list[str]) -> "Container":
        """Make a container that is not running yet."""
        arguments = asked.create_arguments(command)
        try:
            made = await self.call(
                "creating the sandbox", lambda: self._client.containers.create(**arguments)
            )
        except EngineUnavailable as error:
            refused = error.__cause__
            if not isinstance(refused, APIError) or isinstance(refused, NotFound):
                raise
            raise EngineUnavailable(
                f"the engine refuses to make the sandbox: {_words(refused)}. Change what the "
                "scenario asks for under `sandbox`, or run it where there is as much"
            ) from error
        return Container(self, self._client.api, made.id, made.labels, made.attrs)

    async def ours(self, run: str | None = None) -> list["Container"]:
        """Every container that some run of this program made, or one run."""
        label = RUN_LABEL if run is None else f"{RUN_LABEL}={run}"
        # Not `containers.list`, which looks at each of them and waits for one that is stuck.
        found = await self.call(
            "listing sandboxes",
            lambda: self._client.api.containers(all=True, filters={"label": label}),
        )
        return [Container(self, self._client.api, one["Id"], one["Labels"]) for one in found]


def runtime_for(wish: str, facts: dict[str, Any], *, recorded: bool = False) -> str:
    """The engine's name for the runtime a scenario wishes for; `facts` are the engine's.

    `recorded` says that there is to be a kernel record, and `seccomp_record` that there can be.
    """
    runtimes = facts["runtimes"]
    if wish == "runc" or (wish == "any" and GVISOR not in runtimes):
        return RECORDED_RUNC if recorded else "runc"
    if GVISOR not in runtimes:
        raise EngineUnavailable(
            f"the scenario requires gVisor and the engine has no runtime {GVISOR}. "
            "`agent-eval setup --runtimes` adds it where gVisor is installed"
        )
    return GVISOR


class Container:
    """One container of ours."""

    def __init__(
        self,
        engine: Engine,
        api: Any,
        number: str,
        labels: dict[str, str],
        as_made: dict[str, Any] | None = None,
    ) -> None:
        self._engine = engine
        self._api = api
        self.id = number
        self.labels = labels
        self.as_made = as_made or {}
        """What the engine said of it when it had made it here."""

    async def stated(self) -> dict[str, Any]:
        """What the engine says of it now."""
        inspect = partial(self._api.inspect_container, self.id)
        return dict(await self._engine.call("inspecting the sandbox", inspect))

    async def attach(self) -> "Attached":
        """Its standard input and output; to be taken before it starts, so that nothing is lost."""
        wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        holder = await self._engine.call(
            "attaching to the sandbox", partial(self._api.attach_socket, self.id, wanted)
        )
        sock = getattr(holder, "_sock", holder)
        if not isinstance(sock, socket.socket) or not hasattr(sock, "sendall"):
            raise EngineUnavailable(
                "the engine is reached in a way that has no plain socket; set DOCKER_HOST to a "
                "unix:// or tcp:// address"
            )
        return Attached(ReadySocket(sock), holder)

    async def start(self) -> None:
        """Start its PID 1."""
        await self._engine.call("starting the sandbox", partial(self._api.start, self.id))

    async def runs(self) -> bool:
        """Whether the engine says that it runs, or says nothing."""
        try:
            return bool((await self.stated())["State"].get("Running"))
        except EngineUnavailable:
            return True

    async def pause(self) -> bool:
        """Stop it as it stands; whether it was running at all."""
        state = (await self.stated())["State"]
        if state.get("Running") and not state.get("Paused"):
            await self._engine.call("pausing the sandbox", partial(self._api.pause, self.id))
        return bool(state.get("Running"))

    async def why_dead(self) -> tuple[str, Blame]:
        """What the engine knows of its end, and who that points to."""
        try:
            for _ in range(_LOOKS):
                state = (await self.stated())["State"]
                if state.get("OOMKilled") or state.get("ExitCode") not in _SIGNALLED:
                    break
                # The engine can hear of the end before it hears that memory ran out.
                state["OOMKilled"] = await self._ran_out_of_memory()
                if state["OOMKilled"]:
                    break
                await anyio.sleep(_LOOK_S)
        except EngineUnavailable as error:
            return _why_unknown(error), Blame.INFRASTRUCTURE
        return _why(state)

    async def _ran_out_of_memory(self) -> bool:
        """Whether the engine reported it, even if it forgot to state it."""
        filters = {"container": self.id, "event": "oom"}
        events = partial(
            self._api.events, since=1, until=int(time.time()), filters=filters, decode=True
        )
        return any(await self._engine.call("asking what happened", lambda: list(events())))

    async def remove(self) -> dict[str, Any]:
        """Remove it, running or not; returns the last state the engine stated."""
        state: dict[str, Any] = {}
        with contextlib.suppress(EngineUnavailable):
            state = (await self.stated())["State"]
            if state.get("Paused"):  # gVisor cannot be killed while it is
                await self._engine.call("waking the sandbox", partial(self._api.unpause, self.id))
        again = AsyncRetrying(
            retry=retry_if_exception(_died_meanwhile),
            wait=wait_fixed(0.2),
            stop=stop_after_attempt(10),
            sleep=anyio.sleep,
            reraise=True,
        )
        try:
            await again(
                anyio.to_thread.run_sync,
                partial(self._api.remove_container, self.id, force=True, v=True),
                abandon_on_cancel=True,
            )
        except NotFound:
            pass
        except (APIError, requests.RequestException) as error:
            if "already in progress" not in str(error):
                raise EngineUnavailable(f"removing the sandbox: {_words(error)}") from error
        shutil.rmtree(MEETING_PLACE / self.id, ignore_errors=True)  # left by a harness that died
        return {name: state[name] for name in ("Status", "OOMKilled", "ExitCode") if name in state}


class Attached:
    """PID 1's standard streams, taken out of the engine's multiplexed form."""

    def __init__(self, stream: Any, holder: Any) -> None:
        self._stream = stream
        self._holder = holder  # the SDK's response owns the connection
        self._raw = bytearray()
        self.stderr = b""
        """The last bytes PID 1 wrote to its standard error: a traceback, if it failed."""

    async def send(self, data: bytes) -> None:
        """Write to PID 1's standard input."""
        await self._stream.send(data)

    async def receive(self) -> bytes:
        """What PID 1 wrote to its standard output next; empty at the end."""
        while True:
            out = self._taken()
            if out:
                return out
            try:
                came = await self._stream.receive(131072)
            except (OSError, anyio.ClosedResourceError):
                return b""
            if not came:
                return b""
            self._raw += came

    def _taken(self) -> bytes:
        """What is there of standard output; views, since bulk would be copied at each step."""
        parts: list[memoryview] = []
        at = 0
        with memoryview(self._raw) as raw:
            while (start := at + _HEADER_BYTES) <= len(raw):
                end = start + int.from_bytes(raw[at + 4 : start], "big")
                if end > len(raw):
                    break
                if raw[at] == _STDOUT:
                    parts.append(raw[start:end])
                else:
                    self.stderr = (self.stderr + bytes(raw[start:end]))[-_STDERR_KEPT_BYTES:]
                at = end
            out = b"".join(parts)
            parts.clear()  # what is looked at cannot be shortened
        del self._raw[:at]
        return out

    async def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            await self._stream.aclose()
        self._holder.close()


def plain_settings(asked: Asked) -> dict[str, Any]:
    """What was asked for, as JSON values."""
    return asdict(asked)


def _knock(address: str, timeout_s: int) -> None:
    """Raise `OSError` where nobody listens; the SDK does so too, and leaves its socket open."""
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(timeout_s)
            sock.connect(address.removeprefix("unix://"))


def _why_unknown(error: EngineUnavailable) -> str:
    """What it says of an end that the engine has nothing to say of it."""
    if isinstance(error.__cause__, NotFound):
        return (
            "something outside removed its container (`docker rm`?). The model is not to blame: "
            "run it again"
        )
    return (
        f"the engine does not answer any more ({error}). When it runs again, `agent-eval reap` "
        "removes what is left of the sandbox, and the run can be made again"
    )


def _why(state: dict[str, Any]) -> tuple[str, Blame]:
    """What a state that the engine states says of an end, and who that points to."""
    code = state.get("ExitCode")
    if state.get("Paused"):
        return (
            "something outside paused its container (`docker pause`?). The model is not to "
            "blame: run it again, and leave it running"
        ), Blame.INFRASTRUCTURE
    if state.get("OOMKilled"):
        return "it used more memory than `sandbox.memory_bytes` allows", Blame.LIMIT
    if state.get("Running"):
        return "its container still runs", Blame.MODEL
    if code in _SIGNALLED:
        return (
            f"something outside killed it (status {code}, and not for its own use of memory): "
            "`docker kill`, an engine that stops, or a machine out of memory. The model is not "
            "to blame: run it again"
        ), Blame.INFRASTRUCTURE
    return f"PID 1 ended with status {code} {state.get('Error') or ''}".strip(), Blame.MODEL


def _died_meanwhile(error: BaseException) -> bool:
    """Whether the engine gave up a removal because the container ended while it was killed."""
    return isinstance(error, APIError) and "is not running" in str(error)


def _words(error: Exception) -> str:
    """What went wrong, without the wrappings of the libraries between here and the engine."""
    text = error.explanation if isinstance(error, APIError) else None
    root: BaseException = error
    while inner := [each for each in root.args if isinstance(each, BaseException)]:
        root = inner[0]
    if isinstance(root, OSError) and root.strerror:
        text = root.strerror
    return " ".join(str(text or root).split())[:300]
