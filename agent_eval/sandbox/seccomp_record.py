"""The kernel record under runc: what programs ask for, held until it is on record.

    notifications    calls that wait for an answer
    held, calls      who waits, and what for
    process_events   the kernel's account of forks, executions and exits
    processes        who is whose child, and which executions succeeded

A call that waits is put on record, then let go on: a slow harness slows the sandbox and loses
nothing. With this thread dead the listeners are closed and the calls fail, so nothing runs unseen.
"""

import array
import contextlib
import json
import os
import select
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent_eval.errors import NotAsAsked
from agent_eval.sandbox.calls import said
from agent_eval.sandbox.held import memory
from agent_eval.sandbox.kernel import MEETING_PLACE, Fact
from agent_eval.sandbox.notifications import Notification, let_go_on, prompt, receive, still_waits
from agent_eval.sandbox.process_events import ProcessEvents
from agent_eval.sandbox.processes import Processes
from agent_eval.sandbox.settings import RECORDED_RUNC

SOCKET = "seccomp"
"""The socket's name in a sandbox's private folder; `sandbox/runc-recorded` knows it too."""

MAX_WAITING, MAX_WAITING_BYTES = 20_000, 16 * 1024 * 1024
"""Facts that may wait to be drained, and the bytes read for them; then the sandbox is held."""

PROMISES = {
    "start": "every execution that succeeded. Program, arguments and folder are as they lay in "
    "memory when the call was held, and another thread may change them before the kernel reads "
    "them; `runs` is the file that really ran where that differs and could be seen in time",
    "fork": "every one whose child could still be looked at; parents are true for all",
    "exit": "every process whose fork or start is in the record",
    "open": "every open for writing, creating or truncating that was asked for, by the path it "
    "leads to, whether it succeeded or not; no open for reading, of marked files neither",
    "connect": "every one asked for; not datagrams sent with an address of their own",
    "bind": "every one asked for",
    "user": "every change of user or group asked for",
    "signal": "every one to PID 1 that was asked for, by its number or by a descriptor of it; not "
    "those to all processes at once, as PID 1 sends them too and must wait for nobody",
    "remove": "every one asked for, files and folders",
    "rename": "every one asked for",
    "repeats": "a call that a signal interrupts is asked for again, and recorded again",
    "lost": "forks, starts and exits of the whole host that did not get here, of whatever process",
}

_NOTIFICATION_BYTES, _NEWS_BYTES = 80, 76
_NEWS_S = 0.25
"""Seconds after which the kernel's events are taken at the latest, and for how long after an
execution was asked for they are waited for."""
_GREETING_S, _GREETING_BYTES = 30.0, 1024 * 1024
_CLOSE_S = 30.0


def unavailable(facts: Mapping[str, Any]) -> str | None:
    """Why no sandbox under runc can have a record here; None if it can. `facts` are the engine's.

    Reading what a held thread asks for takes root, on the machine where the engine runs.
    """
    if RECORDED_RUNC not in facts["runtimes"] or not MEETING_PLACE.is_dir():
        return f"the engine has no runtime {RECORDED_RUNC}; `agent-eval setup --runtimes` adds it"
    if os.geteuid() != 0:
        return "under runc it takes root to read what a held program asks for; run as root"
    try:
        ProcessEvents().close()
    except NotAsAsked as error:
        return str(error)
    return None


class SeccompRecord:
    """The record of one sandbox. A thread asks, keeps and lets go; `drain` hands over."""

    name = "seccomp"
    promises: Mapping[str, str] = PROMISES

    _processes: Processes
    _socket: socket.socket
    _container: str

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self.lost = 0
        self.received_bytes = 0
        self.broken: str | None = None
        self._changed = threading.Condition()  # guards the facts and the processes
        self._facts: list[Fact] = []
        self._held_bytes = 0
        self._listeners: set[int] = set()
        self._connected = self._closing = False
        self._expecting, self._expecting_until = False, 0.0
        self._poll = select.poll()
        self._thread: threading.Thread | None = None
        self._stack = contextlib.ExitStack()

    def listen(self, folder: Path) -> None:
        """Be ready for the runtime; raises `NotAsAsked` where that cannot be."""
        self._container = folder.name
        with contextlib.ExitStack() as stack:
            self._processes = Processes()
            stack.callback(self._processes.close)
            self._socket = stack.enter_context(socket.socket(socket.AF_UNIX))
            try:
                self._socket.bind(str(folder / SOCKET))
            except OSError as error:
                raise NotAsAsked(f"the kernel record cannot listen in {folder}: {error}") from error
            self._socket.listen(8)
            self._bell, rope = os.pipe()
            stack.callback(os.close, self._bell)
            self._stack = stack.pop_all()
        self._rope = rope
        for each in (self._socket.fileno(), self._bell):
            self._poll.register(each, select.POLLIN)
        self._poll.register(self._processes.fileno(), 0)
        self._thread = threading.Thread(target=self._serve, name="kernel record", daemon=True)
        self._thread.start()

    def connected(self) -> bool:
        """Whether the runtime handed over a listener, and it is served."""
        return self._connected and self.broken is None

    def drain(self) -> list[Fact]:
        """Every fact up to now."""
        with self._changed:
            if self._thread and not self._closing and self.broken is None:
                self._take_news()
            facts, self._facts, self._held_bytes = self._facts, [], 0
            self._changed.notify_all()
        return facts

    def close(self) -> None:
        """Let go of it all; what the sandbox asks from here on fails."""
        if self._closing or self._thread is None:
            return
        with self._changed:
            self._take_news()
            self._closing = True
            self._changed.notify_all()
        os.close(self._rope)
        self._thread.join(_CLOSE_S)
        self._stack.close()

    def _serve(self) -> None:
        reason: str | None = "its thread ended by a fault of this program"
        try:
            while not self._closing:
                self._turn()
            reason = None
        except (OSError, ValueError, KeyError) as error:
            reason = f"it cannot go on: {error!r}"
        finally:
            self.broken = self.broken or reason
            for listener in self._listeners:
                os.close(listener)

    def _turn(self) -> None:
        soon = bool(self._processes.expected) and time.monotonic() < self._expecting_until
        if soon != self._expecting:
            self._expecting = soon
            self._poll.modify(self._processes.fileno(), select.POLLIN if soon else 0)
        for ready, how in self._poll.poll(_NEWS_S * 1000):
            if ready == self._socket.fileno():
                self._greet()
            elif ready in self._listeners and how & select.POLLIN:
                self._answer(ready)
            elif ready in self._listeners:  # the last process under this filter is gone
                self._poll.unregister(ready)
                self._listeners.remove(ready)
                os.close(ready)
        with self._changed:
            if not self._closing and not self._is_full():
                self._take_news()

    def _greet(self) -> None:
        """Take the listener that the runtime sends as it starts a process in the sandbox."""
        connection, _ = self._socket.accept()
        with connection:
            connection.settimeout(_GREETING_S)
            state, descriptors = _received(connection)
        names = state["fds"]
        for name, each in zip(names, descriptors, strict=True):
            if name != "seccompFd" or state.get("metadata") != self._container:
                os.close(each)
                continue
            with self._changed:
                self._take_news()
                self._processes.adopt(int(state["pid"]))
            prompt(each)
            self._listeners.add(each)
            self._poll.register(each, select.POLLIN)
            self._connected = True

    def _answer(self, listener: int) -> None:
        one = receive(listener)
        if one is None:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._closing or not self._is_full())
            if self._closing:
                return
            self._take_news()
            self._keep(listener, one)
        let_go_on(listener, one)

    def _keep(self, listener: int, one: Notification) -> None:
        process = self._processes.of(one.thread)
        if process is None or (process.silent and one.call != "execve"):
            return
        with memory(one.thread) as read:
            asked = said(one, read)
        if asked is None or not still_waits(listener, one):
            return
        self.received_bytes += _NOTIFICATION_BYTES + read.read_bytes
        self._held_bytes += _NOTIFICATION_BYTES + read.read_bytes
        what, fields = asked
        fact = Fact(what, process.inside, time.time_ns(), fields)
        if what == "start":
            self._processes.start(one.thread, process, fact)
            self._expecting_until = time.monotonic() + _NEWS_S
        else:
            self._facts.append(fact)

    def _is_full(self) -> bool:
        return len(self._facts) >= self._max_waiting or self._held_bytes >= MAX_WAITING_BYTES

    def _take_news(self) -> None:
        news = self._processes.news()
        self.lost = self._processes.lost
        self.received_bytes += _NEWS_BYTES * len(news)
        self._facts += news


def _received(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """What the runtime says of the process, and the descriptors it hands over."""
    room = socket.CMSG_SPACE(16 * array.array("i").itemsize)
    text, ancillary, _, _ = connection.recvmsg(65536, room, socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) // descriptors.itemsize * descriptors.itemsize])
    whole = bytearray(text)
    while len(whole) < _GREETING_BYTES and (more := connection.recv(65536)):
        whole += more
    return json.loads(whole), list(descriptors)
