"""The kernel record under gVisor: its kernel sends what it does to a socket of ours.

The sending is part of the system call, so what an action did is in the socket before the action can
be reported as ended. While the socket is full the kernel tries again, so a slow receiver holds the
sandbox up and loses nothing.
"""

import json
import os
import select
import socket
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent_eval.sandbox import gvisor_wire as wire
from agent_eval.sandbox.gvisor_facts import SIGNALS, Translator
from agent_eval.sandbox.kernel import Fact

CONFIG = "pod-init.json"
"""What `sandbox/runsc-recorded` looks for in a sandbox's folder."""

PENDING = 20_000
"""Facts that may wait to be drained; then the sandbox waits."""

PENDING_BYTES = 16 * 1024 * 1024
"""Bytes that those may have come in."""

AT_ONCE = 32
"""Packets taken between two looks at how many wait."""

IN_SOCKET = 1_000
"""Packets a drain takes at most; far more than fit into the socket at one time."""

_WHO = ["time", "thread_id", "group_id"]
_POINTS = {
    "sentry/clone": _WHO,
    "sentry/execve": [*_WHO, "cwd"],
    "sentry/exit_notify_parent": _WHO,
    # A start whose environment or folder is not text is not in `sentry/execve`, and one whose
    # arguments are not is nowhere but among the raw calls: gVisor drops what it cannot encode.
    "syscall/execve/enter": _WHO,
    "syscall/execveat/enter": _WHO,
    # Of a raw call's end gVisor says whose it is only where its beginning is asked for as well.
    "syscall/sysno/59/enter": _WHO,
    "syscall/sysno/59/exit": _WHO,
    "syscall/sysno/322/enter": _WHO,
    "syscall/sysno/322/exit": _WHO,
    "syscall/open/exit": [*_WHO, "cwd"],
    "syscall/openat/exit": [*_WHO, "cwd"],
    "syscall/creat/exit": [*_WHO, "cwd"],
    "syscall/connect/exit": _WHO,
    "syscall/bind/exit": _WHO,
    "syscall/setuid/exit": _WHO,
    "syscall/setgid/exit": _WHO,
    "syscall/setresuid/exit": _WHO,
    "syscall/setresgid/exit": _WHO,
    **{f"syscall/sysno/{one}/{end}": _WHO for one in SIGNALS for end in ("enter", "exit")},
}
_WITH_FOLDER = ("syscall/openat/exit", "syscall/execveat/enter")

PROMISES = {
    "who": "every process, from the first instruction of the container",
    "start": "every program that starts: the file that runs, its arguments and folder; where its "
    "environment is not UTF-8 text, the file as it was called; where its arguments are not, or are "
    "longer than about 200 KB, only that something started",
    "fork": "every new process; threads are not told apart from their process",
    "exit": "every process but the first of the container",
    "open": "files opened for writing, and marked files opened for reading, by the path that was "
    "used (links are not followed); not where that path or the process's folder is not UTF-8 text",
    "connect": "every address, with what came of it",
    "bind": "every address, with what came of it",
    "user": "setuid, setgid, setresuid, setresgid",
    "signal": "every one to PID 1 by its number, or to all processes (-1), with what came of it",
    "remove": "not seen: gVisor tells no path, and names of files could forge its log of calls",
    "rename": "not seen, for the same reason",
    "trust": "what gVisor's kernel says; a program that has broken it may say anything",
}


class GvisorSource:
    """The facts of one sandbox under gVisor."""

    name = "gvisor"
    promises: Mapping[str, str] = PROMISES

    def __init__(self, marked: Sequence[str] = (), pending: int = PENDING) -> None:
        self._pending = pending
        self.lost = 0
        self.received_bytes = 0
        self.broken: str | None = None
        self._translator = Translator(marked)
        self._facts: list[Fact] = []
        self._held_bytes = 0
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._connection: socket.socket | None = None
        self._stop_read = self._stop_write = -1
        self._thread = threading.Thread(target=self._serve, name="gvisor-record", daemon=True)
        self._closed = False

    def listen(self, folder: Path) -> None:
        """Be ready, before the container starts; `folder` is its private one."""
        endpoint = folder / "sink"
        self._stop_read, self._stop_write = os.pipe()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(endpoint))
        self._listener.listen(1)
        (folder / CONFIG).write_text(json.dumps(session(endpoint)), encoding="utf-8")
        self._thread.start()

    def connected(self) -> bool:
        """Whether the sandbox's kernel reports here, once the container has started."""
        return self._connection is not None

    def drain(self) -> list[Fact]:
        """Every fact that was sent before this call and not handed over yet, in order."""
        with self._lock:
            self._receive(IN_SOCKET)
            facts, self._facts, self._held_bytes = self._facts, [], 0
        return facts

    def close(self) -> None:
        """Stop receiving; may be called twice. What has come by now can still be drained."""
        with self._lock:
            if self._closed:
                return
            self._receive(IN_SOCKET)
            self._closed = True
        if self._stop_write < 0:
            return  # it never listened
        os.close(self._stop_write)
        if self._thread.is_alive():
            self._thread.join()
        os.close(self._stop_read)
        for sock in (self._listener, self._connection):
            if sock is not None:
                sock.close()

    def _serve(self) -> None:
        """Take what comes until told to stop, so that the sandbox never waits for the harness."""
        assert self._listener is not None
        if self._wait(self._listener):
            return
        connection, _ = self._listener.accept()
        if self._wait(connection):
            connection.close()
            return
        connection.recv(wire.PACKET_BYTES)
        connection.send(wire.HANDSHAKE)
        connection.settimeout(0)
        self._connection = connection
        while not self._wait(connection):
            with self._lock:
                full = self._is_full()
                if not full:
                    self._receive(AT_ONCE)
                over = self.broken is not None
            if over or (full and self._wait(None, 10)):
                return

    def _wait(self, sock: socket.socket | None, wait_ms: int | None = None) -> bool:
        """Wait until something comes, or for so long; whether it is time to stop."""
        poll = select.poll()
        poll.register(self._stop_read, select.POLLIN)
        if sock is not None:
            poll.register(sock, select.POLLIN)
        return any(fd == self._stop_read for fd, _ in poll.poll(wait_ms))

    def _receive(self, most: int) -> None:
        """Take what is there, so many packets at most, with the lock held; never waits."""
        if self._connection is None or self._closed or self.broken:
            return
        for _ in range(most):
            try:
                data, _, flags, _ = self._connection.recvmsg(wire.PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                self.broken = f"its socket failed: {error.strerror}"
                return
            if not data:
                self.broken = "the sandbox's kernel closed it"
                return
            self.received_bytes += len(data)
            self._held_bytes += len(data)
            try:
                self._take(data, whole=not flags & socket.MSG_TRUNC)
            except wire.NotAMessage as error:
                self.broken = f"the sandbox's kernel sent {error}"
                return

    def _is_full(self) -> bool:
        return len(self._facts) >= self._pending or self._held_bytes >= PENDING_BYTES

    def _take(self, data: bytes, *, whole: bool) -> None:
        if not whole:
            raise wire.NotAMessage("a packet larger than any should be")
        packet = wire.read_packet(data)
        self.lost = max(self.lost, packet.dropped)
        if packet.message is not None:
            self._facts.extend(self._translator.facts(packet.kind, packet.message))


def session(endpoint: Path) -> dict[str, Any]:
    """The trace session that gVisor is to start a container with."""
    points = []
    for name, context in _POINTS.items():
        point: dict[str, Any] = {"name": name, "context_fields": context}
        if name in _WITH_FOLDER:
            point["optional_fields"] = ["fd_path"]
        points.append(point)
    config = {
        "endpoint": str(endpoint),
        "retries": 100_000,
        "backoff": "25us",
        "backoff_max": "1ms",
    }
    sink = {"name": "remote", "config": config, "ignore_setup_error": False}
    return {"trace_session": {"name": "Default", "points": points, "sinks": [sink]}}
