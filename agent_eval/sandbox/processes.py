"""The processes of one sandbox, followed from its first by the kernel's events.

A process is followed from its fork to the end of its last thread. An execution that was asked for
is kept aside until the kernel says that it succeeded; one that failed, such as the search along
PATH, is no start.
"""

from dataclasses import dataclass, replace

from agent_eval.sandbox.held import numbers, program_of, threads
from agent_eval.sandbox.kernel import Fact
from agent_eval.sandbox.process_events import Event, ProcessEvents


@dataclass(slots=True, kw_only=True)
class Process:
    """One of them."""

    inside: int
    """Its number in the sandbox; where that is not known, that of its nearest known ancestor."""
    threads: set[int]
    known: bool = True
    silent: bool = False
    """Whether it is still the runtime's own program, which is not to be recorded."""
    starting: Fact | None = None
    """The execution that it asked for last."""


class Processes:
    """All of them, by their numbers on the host."""

    def __init__(self, events: ProcessEvents) -> None:
        self._events = events
        self._all: dict[int, Process] = {}
        self.expected: set[int] = set()
        """Those whose execution was asked for, until it is known what came of it."""

    def adopt(self, process: int) -> None:
        """Follow a process that the runtime is about to turn into the sandbox's."""
        found = numbers(process)
        if found is not None and found.inside is not None:
            self._all[process] = Process(inside=found.inside, threads=threads(process), silent=True)

    def of(self, thread: int) -> Process | None:
        """The process of a thread that is held; None if it is of no sandbox."""
        if (known := self._all.get(thread)) and known.known and not self._events.lost:
            return known  # its first thread; so most are found without a look
        found = numbers(thread)
        if found is None or found.inside is None:
            return None
        process = self._all.get(found.process)
        if process is None or not process.known:  # where its fork got lost
            process = Process(inside=found.inside, threads=threads(found.process))
            self._all[found.process] = process
        return process

    def start(self, thread: int, process: Process, fact: Fact) -> None:
        """A thread asks for an execution, which is a fact once it succeeded."""
        process.starting = fact
        self.expected.add(thread)

    def news(self) -> list[Fact]:
        """What happened up to now, in order."""
        return [
            replace(fact, time_ns=self._events.when_ns(event))
            for event in self._events.waiting()
            for fact in self._told(event)
        ]

    def _told(self, event: Event) -> list[Fact]:
        if event.what == "fork":
            return self._forked(event)
        process = self._all.get(event.process)
        if process is None:
            return []
        if event.what == "exec":
            self.expected -= {*process.threads, event.process}
            return self._started(event.process, process)
        return self._exited(event, process) if event.what == "exit" else []

    def _forked(self, event: Event) -> list[Fact]:
        parent = self._all.get(event.parent)
        if parent is None:
            return []
        if event.thread != event.process:
            parent.threads.add(event.thread)
            return []
        only = {event.process}
        found = numbers(event.process)
        if found is None:  # gone already; its own children still must find their way up
            self._all[event.process] = Process(inside=parent.inside, threads=only, known=False)
            return []
        if found.inside is None:
            return []
        self._all[event.process] = Process(inside=found.inside, threads=only, silent=parent.silent)
        return [] if parent.silent else [Fact("fork", parent.inside, 0, {"child": found.inside})]

    @staticmethod
    def _started(number: int, process: Process) -> list[Fact]:
        process.silent = False
        process.threads = {number}  # an execution ends all others; their exits may come later
        asked, process.starting = process.starting, None
        runs = program_of(number)
        if asked is None:
            return [Fact("start", process.inside, 0, {"program": runs} if runs else {})]
        fields = dict(asked.fields)
        if runs and runs != fields.get("program"):
            fields["runs"] = runs
        return [replace(asked, fields=fields)]

    def _exited(self, event: Event, process: Process) -> list[Fact]:
        process.threads.discard(event.thread)
        self.expected.discard(event.thread)
        if process.threads:
            return []
        del self._all[event.process]
        if not process.known or process.silent:
            return []
        signal = event.status & 0x7F
        fields = {"signal": signal} if signal else {"status": event.status >> 8 & 0xFF}
        return [Fact("exit", process.inside, 0, fields)]
