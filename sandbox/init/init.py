"""PID 1 of the container: the one that answers at the other end of the pipe.

Standard library only, Python 3.8 or later, so that it runs in any image. It arrives through the
pipe that it then serves, so nothing of it has to be in the image. It runs as root with the few
capabilities it needs to become the user and to signal it; whatever it starts runs as that user, in
process groups of its own.

The host trusts nothing that comes from here. What this program promises is only convenience: order,
fairness and honest reports for as long as nobody has taken it over. The user's processes are taken
to be unfriendly: they must not make it wait, grow, end, or write anywhere but to the pipe. So no
descriptor here ever blocks, nothing is imported or looked up where they can write, and an order
that fails is answered with `error`.

Frames, both ways: length (u32, of what follows), type (u8), channel (u32), payload.
  type 0  control: a JSON object with "op"      type 1  data of a channel      type 2  end of data
  type 3 to 9  streams and names, where there is a network
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import struct
import sys
import time

TYPE_CHECKING = False  # `typing` itself would take 5 to 10 ms to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HEAD = struct.Struct(">IBI")
CONTROL, DATA, END = 0, 1, 2
CHUNK = 65536
OUT_LIMIT = 1 << 20  # bytes waiting for the host before sources are no longer read


class Init:
    """The whole of it: what it knows, the orders it takes, and its loop."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.errands = part("errands", settings)
        still = part("stillness", settings)
        self.stillness = still["Stillness"](settings["silence_s"], still["processes"])
        becoming = part("becoming", settings)
        self.open_fds = becoming["open_fds"]
        self.run_dir = becoming["RUN_DIR"]
        started = part("children", settings)
        self.transfer = started["Child"]
        self.children = started["Children"](self, still, becoming, settings)
        self.copying = part("copying", settings)["Copying"](self, started, settings)
        self.rest_s: float = self.stillness.keep()
        self.out = bytearray()
        self.inbox = bytearray()
        self.select = selectors.DefaultSelector()
        self.paused = False
        self.wake, self.waker = os.pipe()
        self.network: Any = None
        self.bulk: Any = None
        if "network" in settings:
            self.bulk = part("streams", settings)["Streams"](self)
            self.network = part("network", settings)["Network"](self, self.bulk)

    # --- the pipe -------------------------------------------------------------------------------

    def send(self, kind: int, channel: int, payload: bytes) -> None:
        self.out += HEAD.pack(len(payload) + 5, kind, channel) + payload
        self.flush()

    def say(self, op: str, **fields: Any) -> None:
        fields["op"] = op
        self.send(CONTROL, 0, json.dumps(fields).encode())

    def flush(self) -> None:
        self.write_out()
        if self.bulk and not self.out and self.bulk.pull():
            self.write_out()
        self.watch_output()

    def write_out(self) -> None:
        while self.out:
            try:
                sent = os.write(1, memoryview(self.out)[: 2 * CHUNK])
            except BlockingIOError:
                break
            except OSError:
                os._exit(0)  # nobody will ever read this: the container ends with this process
            del self.out[:sent]

    def watch_output(self) -> None:
        """Wait for room only while something waits; read sources only while there is room."""
        if self.out or (self.bulk and self.bulk.waits()):
            self.watch(1, selectors.EVENT_WRITE, self.flush)
        else:
            self.unwatch(1)
        full = len(self.out) > OUT_LIMIT
        if full != self.paused:
            self.paused = full
            self.children.tend_all()

    def watch(self, fd: int, events: int, act: Callable[..., object], *arguments: Any) -> None:
        if fd not in self.select.get_map():
            self.select.register(fd, events, (act, arguments))

    def unwatch(self, fd: int) -> None:
        if fd in self.select.get_map():
            self.select.unregister(fd)

    def read_pipe(self) -> None:
        try:
            data = os.read(0, CHUNK)
        except BlockingIOError:
            return
        if not data:
            os._exit(0)  # the host is gone for good: the container ends with this process
        self.stillness.heard()
        self.inbox += data
        self.copying.look_for_greeting(len(data))
        while len(self.inbox) >= HEAD.size:
            size, kind, channel = HEAD.unpack_from(self.inbox)
            if len(self.inbox) < 4 + size:
                return
            payload = bytes(self.inbox[HEAD.size : 4 + size])
            del self.inbox[: 4 + size]
            self.hear(kind, channel, payload)

    def hear(self, kind: int, channel: int, payload: bytes) -> None:
        if kind == CONTROL:
            self.obey(json.loads(payload))
            return
        if kind > END:
            self.network.hear(kind, channel, payload)
            return
        self.children.hear(channel, payload, ends=kind == END)

    def obey(self, order: dict[str, Any]) -> None:
        """Carry out an order; one that fails is answered all the same."""
        op, channel = order.pop("op"), order.get("channel", 0)
        try:
            getattr(self, "do_" + op)(**order)
        except Exception as error:
            if op in ("open", "run"):
                self.send(DATA, channel, f"{op} failed: {error}\n".encode()[:300])
            self.give_up(channel, error)

    def give_up(self, channel: int, error: Exception) -> None:
        """Report what went wrong; a child whose pipes failed is of no more use to anybody."""
        self.children.abandon(channel)
        self.say("error", channel=channel, message=f"{type(error).__name__}: {error}"[:300])

    # --- orders ---------------------------------------------------------------------------------

    def do_open(self, channel: int, program: str) -> None:
        self.children.open(channel, program)

    def do_run(self, channel: int, action: int, code: str) -> None:
        self.children.run(channel, action, code)

    def do_signal(self, channel: int, rung: str) -> None:
        self.children.signal(channel, rung)

    def do_put(self, channel: int) -> None:
        self.children.start(
            self.transfer(channel), self.errands["unpack"], feed=(0,), output=(1, 2)
        )

    def do_get(self, channel: int, paths: list[str], limit: int) -> None:
        self.children.start(
            self.transfer(channel), lambda: self.errands["pack"](paths, limit), output=(1,)
        )

    def do_copying(self, what: str, **order: Any) -> None:
        """Do a part of what it takes to be copied, or to be a copy."""
        getattr(self.copying, what)(**order)

    def do_network(self, **order: Any) -> None:
        """Have a network, whose other end is the host's."""
        self.network.up(**order)

    def do_rename(self, title: str) -> None:
        """Go by a plain name in the list of processes."""
        self.errands["rename"](title)

    def do_look(self, channel: int, address: str) -> None:
        """Report what is in force, seen by root and by a child, as the user."""
        self.say("seen", channel=channel, root=self.errands["look"]())
        self.children.start(
            self.transfer(channel), lambda: self.errands["send_look"](address), output=(1,)
        )

    def do_freeze(self) -> None:
        """End every process but this one, for good."""
        self.say("frozen", moving=self.children.freeze())

    def do_beat(self) -> None:
        """The host is there, and holds nothing."""
        self.stillness.let_go()

    def do_stand(self) -> None:
        """All is to stand still until the next beat."""
        self.stillness.held = True

    def do_ping(self, number: int) -> None:
        self.say(
            "pong", number=number, descriptors=len(self.open_fds()), children=len(self.children.all)
        )

    # --- the loop -------------------------------------------------------------------------------

    def serve(self) -> None:
        """Work until the host hangs up; whatever goes wrong is said, and work goes on."""
        # Nothing that may have to be imported later comes from where the user can write.
        stdlib = os.path.join(sys.base_prefix, "")
        sys.path[:] = [path for path in sys.path if path.startswith(stdlib)]
        os.makedirs(self.run_dir, mode=0o755, exist_ok=True)
        for fd in (0, 1, self.wake, self.waker):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for ignored in (signal.SIGPIPE, signal.SIGINT):
            signal.signal(ignored, signal.SIG_IGN)
        self.watch(0, selectors.EVENT_READ, self.read_pipe)
        self.watch(self.wake, selectors.EVENT_READ, self.children.reap)
        self.say("ready", python=sys.version.split()[0])
        while True:
            try:
                self.turn()
            except Exception as error:
                self.give_up(0, error)
                time.sleep(0.1)

    def turn(self) -> None:
        for key, _ in self.select.select(self.rest_s):
            # An earlier callback of the same round may have closed this one's descriptor.
            current = self.select.get_map().get(key.fd)
            if current is None:
                continue
            act, arguments = current.data
            try:
                act(*arguments)
            except Exception as error:
                if not arguments:
                    raise
                self.give_up(arguments[0].channel, error)
        self.rest_s = self.stillness.keep()


def part(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What a program that came with this one defines."""
    names: dict[str, Any] = {"__name__": name}
    exec(settings["code_of"](name), names)
    return names


if __name__ == "__main__":
    Init(globals()["SETTINGS"]).serve()  # put there by what starts this program
