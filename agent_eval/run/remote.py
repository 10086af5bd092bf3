"""Steering a run from another terminal: both ends of the wire, the harness's and the caller's.

While a run can be steered its harness listens on a unix socket in a folder that only its user can
enter. A caller sends one line and gets one back. Whose process it is the kernel says; nobody else's
is listened to. A socket on which nobody listens is what a harness leaves that was killed.
"""

import contextlib
import hashlib
import json
import os
import pwd
import re
import socket
import stat
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import structlog

from agent_eval.basics.conversation import untrusted_json
from agent_eval.basics.tasks import beside
from agent_eval.errors import OperatorError
from agent_eval.events.operator import OperatorSteered
from agent_eval.person.elsewhere import Elsewhere
from agent_eval.person.oversight import Person
from agent_eval.person.steering import Steering
from agent_eval.record.transcript import Transcript
from agent_eval.sandbox.ready_socket import ReadySocket

PATIENCE_S = 10.0
"""How long either end waits for a line of the other."""

NEW_S = 60.0
MAX_LINE_BYTES = 8 * 1024 * 1024
"""More than the code of an action can take."""
_CREDENTIALS = struct.Struct("3i")

log = structlog.get_logger()

ACTS = {
    "stop": (Steering.drain, "ends after its current step"),
    "stop_now": (Steering.cancel, "ends at once"),
    "pause": (Steering.pause, "is paused: nothing new starts, all in its sandboxes stands still"),
    "continue": (Steering.go_on, "goes on"),
    "snapshot": (
        Steering.ask_for_snapshots,
        "keeps what each agent's sandbox is, before the agent's next step",
    ),
}
"""What can be asked of a run, what that does, and what is said of it."""


def meeting_place() -> Path:
    """The folder of this user's sockets, made if need be; raises `OperatorError` if it is not ours.

    Not the session's own runtime folder, which goes when the user logs out and runs go on.
    """
    folder = Path("/tmp") / f"agent-eval-{os.getuid()}"  # noqa: S108 - it is looked at before use
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise OperatorError(f"cannot make the folder {folder}: {error.strerror}") from error
    private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
    if not private or found.st_uid != os.getuid():
        raise OperatorError(
            f"{folder} is not a private folder of yours, so no run can be steered through it. "
            "Remove it, or have its owner do so"
        )
    return folder


def _address(folder: Path) -> Path:
    """Where the harness of the run in a folder listens; short, as such addresses have to be."""
    folder = folder.resolve()
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()
    name = re.sub(r"[^\w.-]", "_", folder.name, flags=re.ASCII)
    return meeting_place() / f"{digest[:16]}-{name[:50]}.sock"


# --- the harness's end ----------------------------------------------------------------------------


@asynccontextmanager
async def within_reach(
    steering: Steering, transcript: Transcript, person: Person | None = None
) -> AsyncIterator[None]:
    """Let the run be steered from elsewhere during the block, and keep its clock going.

    Where its `person` may be elsewhere, what waits for one can be decided from there.

    Where nobody can listen the run goes on without; its own terminal can still end it.
    """
    with _listening(transcript.folder) as listener:
        async with beside() as tasks:
            tasks.start_soon(steering.clock.keep_beating)
            if listener is not None:
                tasks.start_soon(_serve, listener, _End(steering, transcript, person))
            yield


@contextlib.contextmanager
def _listening(folder: Path) -> Iterator[socket.socket | None]:
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            address = _address(folder)
            address.unlink(missing_ok=True)  # a dead harness left it, for the record has one writer
            listener.bind(str(address))
            address.chmod(0o600)
            listener.listen()
            listener.settimeout(0)
        except (OperatorError, OSError) as error:
            log.warning("this run cannot be steered from another terminal", error=str(error))
            yield None
            return
        try:
            yield listener
        finally:
            address.unlink(missing_ok=True)


async def _serve(listener: socket.socket, end: "_End") -> None:
    """Hear every caller; not with anyio's listener, for the reason that `ReadySocket` gives."""
    async with anyio.create_task_group() as callers:
        while True:
            await anyio.wait_readable(listener)
            try:
                callers.start_soon(end.answer, listener.accept()[0])
            except OSError:  # that one is gone again, or there are too many open files
                await anyio.sleep(0.1)


@dataclass(frozen=True)
class _End:
    """The harness's end of all wires to one run."""

    steering: Steering
    transcript: Transcript
    person: Person | None

    async def answer(self, caller: socket.socket) -> None:
        """Hear one caller; what it does wrong is nobody's trouble but its own."""
        with contextlib.suppress(ValueError, OSError), caller:
            peer = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            with anyio.move_on_after(PATIENCE_S):
                await self._obey(ReadySocket(caller), *_CREDENTIALS.unpack(peer)[:2])

    async def _obey(self, stream: ReadySocket, pid: int, uid: int) -> None:
        asked = untrusted_json(await _line(stream))
        asked = asked if isinstance(asked, dict) else {}
        act, tty = str(asked.get("act")), asked.get("tty")
        if uid != os.getuid():
            await _say(stream, error="this run is another user's")
        elif act == "status":
            await _say(stream, **self._state())
        elif act in ("question", "decide"):
            await _say(stream, **self._of_a_person(act, asked, uid))
        elif act not in ACTS:
            await _say(stream, error=f"there is no way to {act!r} a run")
        elif act == "pause" and self.steering.stopping:
            await _say(stream, error="it is ending already, and cannot be paused")
        else:
            does, words = ACTS[act]
            self.transcript.write(OperatorSteered(act, uid, pid, tty and str(tty)[:100]))
            does(self.steering)
            if act == "continue" and self.steering.paused:
                words = "still waits for the person who is to decide on an action"
            with anyio.move_on_after(PATIENCE_S, shield=True):  # to end at once ends this, too
                await _say(stream, said=words)

    def _of_a_person(self, act: str, asked: dict[str, Any], uid: int) -> dict[str, Any]:
        """What waits for a person, or what became of a decision."""
        if not isinstance(self.person, Elsewhere):
            return {"error": "nothing in it waits for a person at another terminal"}
        if act == "question":
            return self.person.first()
        why_not = self.person.answer(asked.get("number"), asked.get("decision"), _name_of(uid))
        return {"said": "decided"} if why_not is None else {"error": why_not}

    def _state(self) -> dict[str, Any]:
        ending, paused = self.steering.stopping, self.steering.paused
        state = "ending" if ending else "paused" if paused else "running"
        if isinstance(self.person, Elsewhere) and self.person.first() and not ending:
            state = "waiting for a person"
        return {"folder": str(self.transcript.folder.resolve()), "pid": os.getpid(), "state": state}


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


async def _line(stream: ReadySocket) -> bytes:
    data = b""
    while not data.endswith(b"\n") and len(data) < MAX_LINE_BYTES:
        came = await stream.receive(65536)
        if not came:
            raise ValueError("it hung up in the middle of a line")
        data += came
    return data


async def _say(stream: ReadySocket, **fields: Any) -> None:
    await stream.send(json.dumps(fields).encode() + b"\n")


# --- the caller's end -----------------------------------------------------------------------------


class NobodyListens(Exception):
    """The harness is gone, or the run cannot be steered now."""


def question_in(folder: Path) -> dict[str, Any]:
    """What waits for a person in a run: its `number`, the `question`, how many `others` wait.

    Empty where nothing does. Raises like `steer`.
    """
    return _asked(_address(folder), {"act": "question"})


def decide(folder: Path, number: int, decision: dict[str, Any]) -> None:
    """Decide on what waits. Raises like `steer`."""
    answer = _asked(_address(folder), {"act": "decide", "number": number, "decision": decision})
    if "error" in answer:
        raise OperatorError(f"{folder.name}: {answer['error']}")


def steer(folder: Path, act: str, tty: str | None = None) -> str:
    """Ask the harness of the run in a folder for one of `ACTS`; returns what it says to that.

    Raises `NobodyListens`, or `OperatorError` where it does not do so.
    """
    answer = _asked(_address(folder), {"act": act, "tty": tty})
    if "error" in answer:
        raise OperatorError(f"{folder.name}: {answer['error']}")
    return str(answer["said"])


def living() -> Iterator[dict[str, Any]]:
    """Every run of this user that can be steered: its `folder`, `state`, and `pid` of its harness.

    What dead harnesses left in the folder of sockets is removed, unless it is so new that it may
    belong to one that is just about to listen.
    """
    for address in sorted(meeting_place().glob("*.sock")):
        try:
            yield _asked(address, {"act": "status"})
        except NobodyListens:
            with contextlib.suppress(FileNotFoundError):
                if time.time() - address.lstat().st_mtime > NEW_S:
                    address.unlink()
        except OperatorError as error:
            yield {"folder": address.stem.partition("-")[2], "pid": None, "state": str(error)}


def _asked(address: Path, line: dict[str, Any]) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE_S)
        try:
            sock.connect(str(address))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NobodyListens from error
        except OSError as error:
            raise OperatorError(f"cannot reach {address}: {error.strerror}") from error
        try:
            sock.sendall(json.dumps(line).encode() + b"\n")
            answer = untrusted_json(sock.makefile("rb").readline(MAX_LINE_BYTES))
        except (TimeoutError, ValueError) as error:
            raise OperatorError(
                f"its harness does not answer within {PATIENCE_S:g} s: is it stopped (Ctrl-Z, "
                "SIGSTOP)? Then let it go on, or kill it"
            ) from error
        except OSError as error:  # it ended just now
            raise NobodyListens from error
    return answer if isinstance(answer, dict) else {"error": "its answer makes no sense"}
