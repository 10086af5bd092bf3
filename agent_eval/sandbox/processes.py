"""The processes of the sandboxes, each followed from its sandbox's first by the kernel's events.

A process is followed from its fork to the end of its last thread. An execution that was asked for
is kept aside until the kernel says that it succeeded; one that failed, such as the search along
PATH, is no start.

The kernel tells every listener of the whole host, so this program listens once for all of its
sandboxes. Whoever asks first takes in what is about any of them, and the others find it done.
"""

import threading
from dataclasses import dataclass, replace

from agent_eval.sandbox.held import numbers, program_of, threads
from agent_eval.sandbox.kernel import Fact
from agent_eval.sandbox.process_events import Event, ProcessEvents

MAX_NEWS = 40_000
"""Facts of one sandbox that wait to be asked for; what comes then is lost, as from a full queue."""


@dataclass(slots=True, kw_only=True)
class Process:
    """One of them."""

    sandbox: "Processes"
    inside: int
    """Its number in the sandbox; where that is not known, that of its nearest known ancestor."""
    threads: set[int]
    known: bool = True
    silent: bool = False
    """Whether it is still the runtime's own program, which is not to be recorded."""
    starting: Fact | None = None
    """The execution that it asked for last."""


class Listening:
    """The one subscription, there while somebody needs it, and all that are followed by it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.all: dict[int, Process] = {}
        """By their numbers on the host."""
        self._events: ProcessEvents | None = None
        self._sandboxes = 0

    def join(self) -> ProcessEvents:
        """Listen for one sandbox more; raises `NotAsAsked` where that cannot be."""
        with self.lock:
            self._events = self._events or ProcessEvents()
            self._sandboxes += 1
            return self._events

    def leave(self, sandbox: "Processes") -> None:
        """Follow the processes of one sandbox no longer."""
        with self.lock:
            self.all = {at: one for at, one in self.all.items() if one.sandbox is not sandbox}
            self._sandboxes -= 1
            if self._events and not self._sandboxes:
                self._events.close()
                self._events = None


_LISTENING = Listening()


class Processes:
    """Those of one sandbox."""

    def __init__(self, listening: Listening = _LISTENING, max_news: int = MAX_NEWS) -> None:
        """Raises `NotAsAsked` where the kernel's events cannot be had."""
        self._listening = listening
        self._events = listening.join()
        self._lost_before = self._events.lost
        self._dropped = 0
        self._max_news = max_news
        self._news: list[Fact] = []
        self.expected: set[int] = set()
        """Those whose execution was asked for, until it is known what came of it."""

    def fileno(self) -> int:
        """For `poll`: ready when there may be news, of this sandbox or of another."""
        return self._events.fileno()

    @property
    def lost(self) -> int:
        """Events, of whatever process, that were not taken in since this is there."""
        return self._events.lost - self._lost_before + self._dropped

    def close(self) -> None:
        """Follow them no longer."""
        self._listening.leave(self)

    def adopt(self, process: int) -> None:
        """Follow a process that the runtime is about to turn into the sandbox's."""
        found = numbers(process)
        if found is None or found.inside is None:
            return
        with self._listening.lock:
            self._take_in()
            self._follow(process, found.inside, threads(process), silent=True)

    def of(self, thread: int) -> Process | None:
        """The process of a thread that is held; None if it is of no sandbox."""
        with self._listening.lock:
            if (known := self._listening.all.get(thread)) and known.known and not self.lost:
                return known  # its first thread; so most are found without a look
            found = numbers(thread)
            if found is None or found.inside is None:
                return None
            process = self._listening.all.get(found.process)
            if process is None or not process.known:  # where its fork got lost
                return self._follow(found.process, found.inside, threads(found.process))
            return process

    def start(self, thread: int, process: Process, fact: Fact) -> None:
        """A thread asks for an execution, which is a fact once it succeeded."""
        with self._listening.lock:
            process.starting = fact
            self.expected.add(thread)

    def news(self) -> list[Fact]:
        """What happened in this sandbox up to now, in order."""
        with self._listening.lock:
            self._take_in()
            news, self._news = self._news, []
        return news

    def _follow(
        self, number: int, inside: int, threads: set[int], *, silent: bool = False
    ) -> Process:
        made = Process(sandbox=self, inside=inside, threads=threads, silent=silent)
        self._listening.all[number] = made
        return made

    def _take_in(self) -> None:
        """Take in what happened up to now in any sandbox; to be called with the lock."""
        for event in self._events.waiting():
            about = event.parent if event.what == "fork" else event.process
            process = self._listening.all.get(about)
            if process is not None:
                process.sandbox.told(event, process)

    def told(self, event: Event, process: Process) -> None:
        """Take in what the kernel tells of one of its processes; with the lock."""
        fact = None
        if event.what == "fork":
            fact = self._forked(event, process)
        elif event.what == "exec":
            self.expected -= {*process.threads, event.process}
            fact = self._started(event.process, process)
        elif event.what == "exit":
            fact = self._exited(event, process)
        if fact is None:
            return
        if len(self._news) < self._max_news:
            self._news.append(replace(fact, time_ns=self._events.when_ns(event)))
        else:
            self._dropped += 1

    def _forked(self, event: Event, parent: Process) -> Fact | None:
        if event.thread != event.process:
            parent.threads.add(event.thread)
            return None
        only = {event.process}
        found = numbers(event.process)
        if found is None:  # gone already; its own children still must find their way up
            self._follow(event.process, parent.inside, only).known = False
            return None
        if found.inside is None:
            return None
        self._follow(event.process, found.inside, only, silent=parent.silent)
        return None if parent.silent else Fact("fork", parent.inside, 0, {"child": found.inside})

    @staticmethod
    def _started(number: int, process: Process) -> Fact:
        process.silent = False
        process.threads = {number}  # an execution ends all others; their exits may come later
        asked, process.starting = process.starting, None
        runs = program_of(number)
        if asked is None:
            return Fact("start", process.inside, 0, {"program": runs} if runs else {})
        fields = dict(asked.fields)
        if runs and runs != fields.get("program"):
            fields["runs"] = runs
        return replace(asked, fields=fields)

    def _exited(self, event: Event, process: Process) -> Fact | None:
        process.threads.discard(event.thread)
        self.expected.discard(event.thread)
        if process.threads:
            return None
        del self._listening.all[event.process]
        if not process.known or process.silent:
            return None
        signal = event.status & 0x7F
        fields = {"signal": signal} if signal else {"status": event.status >> 8 & 0xFF}
        return Fact("exit", process.inside, 0, fields)
