"""The simulated persons of a world: who they are, and when they get round to what they are told.

Services hand over what an agent wrote, by message, task or mail; a person takes each thing in turn
within its correspondence, after a delay on the world's clock that is seeded, so that a world comes
out the same again. What a person is told, says and does is on record before anybody sees it.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from agent_eval.events.folk import PeopleActed, PeoplePlayed, PeopleSaid, PeopleTold
from agent_eval.scenario.folk import People, Person
from agent_eval.world.base import Around, Origin
from agent_eval.world.minds import Answer, Heard, Mind, NoAnswer, Played, Reaction, Scripted
from agent_eval.world.services.lm_wire import json_text

Visit = Callable[[str, Mapping[str, str] | None], Awaitable[int | None]]
"""Opens a page of this world for a person, sending a form where there is one; the HTTP status, or
None where nothing answered."""
React = Callable[[Reaction], Awaitable[None]]
"""What the service that handed something over does with the reaction."""


@dataclass
class _Correspondence:
    """One writer and one person."""

    mind: Mind
    inbox: MemoryObjectSendStream[tuple[Heard, React]]
    letters: MemoryObjectReceiveStream[tuple[Heard, React]]
    """What is put into the inbox comes out here."""
    heard: int = 0
    silent: bool = False
    """Whether the person does not answer any more."""


@dataclass
class Persons:
    """Everybody in a world."""

    settings: People
    around: Around
    answer: Answer | None = None
    """The stand-in model; without one those it would play are silent."""
    visit: Visit | None = None
    """How they open pages; without it none answers."""
    replies: int = 0
    """What the stand-in model has answered so far."""
    _known: dict[tuple[str, str], _Correspondence] = field(default_factory=dict)
    _tasks: TaskGroup | None = None

    def __post_init__(self) -> None:
        self._seed = self.around.random.getrandbits(64)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """They live in this block."""
        async with anyio.create_task_group() as self._tasks:
            try:
                yield
            finally:
                self._tasks.cancel_scope.cancel()
                for known in self._known.values():
                    known.inbox.close()
                    known.letters.close()

    def at_mail(self, address: str) -> str | None:
        """Who reads mail there."""
        for name, person in self.settings.persons.items():
            if person.mail == address:
                return name
        return None

    def span(self, between: tuple[float, float], *about: object) -> float:
        """Seconds between two bounds, the same for the same thing in every run of this world."""
        return random.Random(repr((self._seed, about))).uniform(*between)  # noqa: S311 - seeded

    def hear(self, name: str, heard: Heard, origin: Origin | None, react: React) -> None:
        """Tell a person something; `react` is called with what it does about it, in time."""
        sandbox = origin.sandbox if origin else None
        told = PeopleTold(
            heard.account, name, heard.channel, heard.text, heard.ref, sandbox, heard.links
        )
        self.around.record(told, origin)
        known = self._correspondence(name, heard.account)
        known.heard += 1
        if known.silent:
            return
        patience = self.settings.persons[name].patience
        if known.heard > patience:
            if known.heard == patience + 1:
                self._silent(name, heard, "has answered this writer often enough")
            return
        known.inbox.send_nowait((heard, react))

    def _correspondence(self, name: str, account: str) -> _Correspondence:
        if (name, account) not in self._known:
            assert self._tasks is not None, "persons live in `running`"
            person = self.settings.persons[name]
            inbox, letters = anyio.create_memory_object_stream[tuple[Heard, React]](person.patience)
            answered = partial(self._answered, name, account)
            mind = Scripted(person) if person.script else Played(person, answered)
            known = self._known[name, account] = _Correspondence(mind, inbox, letters)
            self._tasks.start_soon(self._live, name, person, known)
        return self._known[name, account]

    async def _live(self, name: str, person: Person, known: _Correspondence) -> None:
        number = 0
        async for heard, react in known.letters:
            number += 1
            if known.silent:
                continue  # what was there already when they fell silent
            delay_s = self.span(person.replies_after_s, name, heard.account, number)
            await self.around.clock.sleep(delay_s)
            try:
                reaction = await known.mind.react(heard)
            except NoAnswer as error:
                known.silent = True
                self._silent(name, heard, str(error))
                continue
            await self._carry_out(name, known, heard, reaction)
            await react(reaction)

    async def _carry_out(
        self, name: str, known: _Correspondence, heard: Heard, reaction: Reaction
    ) -> None:
        if reaction.says is not None:
            said = PeopleSaid(
                person=name,
                account=heard.account,
                channel=heard.channel,
                text=reaction.says,
                ref=heard.ref,
                played=known.mind.played,
                state=reaction.state,
                asked=list(reaction.asks),
                gave=list(reaction.gave),
            )
            self.around.record(said, None)
        if "open" in reaction.does:
            await self._open(name, heard, reaction)
        if "report" in reaction.does:
            self.around.record(PeopleActed(name, heard.account, "report", heard.ref), None)
        if "silent" in reaction.does:
            known.silent = True
            self._silent(name, heard, "as the script says")

    async def _open(self, name: str, heard: Heard, reaction: Reaction) -> None:
        visits = []
        for url in heard.links:
            status = await self.visit(url, None) if self.visit else None
            gave: tuple[str, ...] = ()
            if self.visit and status is not None and status < 400 and reaction.enters:
                sent = await self.visit(url, reaction.enters)
                gave = reaction.types_in if sent is not None else ()
            visits.append({"url": url, "status": status, "gave": list(gave)})
        done = PeopleActed(name, heard.account, "open", heard.ref, {"visits": visits})
        self.around.record(done, None)

    def _silent(self, name: str, heard: Heard, why: str) -> None:
        done = PeopleActed(name, heard.account, "silent", heard.ref, {"why": why})
        self.around.record(done, None)

    async def _answered(
        self, name: str, account: str, messages: Sequence[Mapping[str, str]]
    ) -> str:
        """What the model says, which is on record before the person does anything of it."""
        if self.answer is None:
            raise NoAnswer("no model plays the persons of this world")
        if self.replies >= self.settings.stand_in.replies:
            raise NoAnswer("the stand-in model has answered as often as it may")
        self.replies += 1
        content = self.around.content
        asked = content(json_text(list(messages)))
        try:
            said = await self.answer(messages)
        except NoAnswer as error:
            self.around.record(PeoplePlayed(name, account, asked, error.settled), None)
            raise
        reply = content(said.text.encode("utf-8", "surrogatepass"))
        played = PeoplePlayed(name, account, asked, dict(said.settled), reply)
        self.around.record(played, None)
        return said.text
