"""What PID 1 does to be copied, and when it finds itself a copy.

Comes with init.py and under its rules: standard library only, Python 3.8 or later.
"""

from __future__ import annotations

import select
import struct

TYPE_CHECKING = False  # as in init.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Copying:
    """The orders for it."""

    def __init__(self, init: Any, started: dict[str, Any], settings: dict[str, Any]) -> None:
        """`started` is what the program of the children defines."""
        self.init = init
        self.children = init.children
        self.transfer = started["Child"]
        self.session = started["Session"]
        self.moving = settings["moving"]
        self.greeting = settings["greeting"].encode()  # of a host that is new to this pipe

    def hold(self, channel: int) -> None:
        """Say nothing more, half a frame neither, until the host speaks: all is about to be copied.

        So a copy finds both ways of the pipe between two frames.
        """
        init = self.init
        if init.bulk:
            init.bulk.held = True  # until it goes on, or as a copy has a network of its own
        init.say("held", channel=channel)
        while init.out:
            select.select([], [1], [], init.stillness.keep())
            init.flush()
        while not select.select([0], [], [], init.stillness.keep())[0]:
            pass

    def go_on(self) -> None:
        """Speak again, as after any order."""
        if self.init.bulk:
            self.init.bulk.held = False
            self.init.flush()

    def renew(self, channel: int, env: dict[str, str], seed: int, greeting: str) -> None:
        """Be another than the one that this is a copy of, as far as that can be."""
        init = self.init
        self.children.env.update(env)
        for child in self.without_transfers(greeting):
            anew = struct.pack(">QI", 0, 0) if child.program == "python" else b"RANDOM=%d\n" % seed
            child.waiting += anew
            self.children.feed(child)
        init.say("renewed", channel=channel)

    def look_for_greeting(self, new: int) -> None:
        """Begin anew with a host that knows nothing of what was half said, either way.

        Only a host can: nobody else knows the greeting, which is never said but in answer to it.
        """
        init, greeting = self.init, self.greeting
        at = init.inbox.find(greeting, max(len(init.inbox) - new - len(greeting), 0))
        if at >= 0:
            del init.inbox[: at + len(greeting)]
            if init.bulk:
                init.bulk.held = True  # until it has a network of its own
            init.out[:] = greeting
            init.flush()

    def take_up(self, channel: int, greeting: str) -> None:
        """Tell a host that has just come what there is."""
        init = self.init
        numbers = max(self.children.all, default=0)
        sessions = [
            {"channel": one.channel, "program": one.program, "pid": one.pid, "action": one.action}
            for one in self.without_transfers(greeting)
        ]
        init.say("taken_up", channel=channel, sessions=sessions, numbers=numbers)

    def without_transfers(self, greeting: str) -> list[Any]:
        """End what another host had sent for or was sending; returns the sessions."""
        self.greeting = greeting.encode()
        children = list(self.children.all.values())
        for child in children:
            if not isinstance(child, self.session):
                self.children.kill_tree(child.pid)
        return [child for child in children if isinstance(child, self.session)]

    def save(self, channel: int, folders: list[str], limit: int) -> None:
        """Send all that is in some folders, for the same to be laid out elsewhere.

        Meanwhile nobody changes it: all that runs stands still.
        """
        stood = self.init.stillness.those("Tt")
        self.init.stillness.stop_all()
        child = self.transfer(channel)
        child.at_end = lambda: self.let_go(stood)
        try:
            self.children.start(child, self.child("save", folders, limit), output=(1,))
        except Exception:
            self.let_go(stood)
            raise

    def let_go(self, stood: set[int]) -> None:
        """Let all go on but for those who had been told to stand by somebody else."""
        stillness = self.init.stillness
        stillness.stopped_before &= stood
        if not stillness.silent:
            stillness.stopped_before = stood
            stillness.let_all_go()

    def lay_out(self, channel: int, size: int) -> None:
        """Take what `save` sent; the host waits to be told how much of it was taken."""
        child = self.transfer(channel)
        child.taken = 0
        self.children.start(child, self.child("lay_out", size), feed=(0,), output=(1, 2))

    def drop(self, channel: int) -> None:
        """End a transfer that the host has no more use for."""
        child = self.children.all.get(channel)
        if child is not None and not isinstance(child, self.session):
            self.children.kill_tree(child.pid)

    def child(self, what: str, *arguments: object) -> Callable[[], object]:
        """What a child does to move files; read in by the child, since few ever do."""

        def body() -> None:
            program: dict[str, Any] = {"__name__": "moving"}
            exec(compile(self.moving, "moving", "exec"), program)
            program[what](*arguments)

        return body
