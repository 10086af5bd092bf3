"""How simulated persons react to what they are told: by a script, or played by a stand-in model.

A mind is one person's side of one correspondence. Scripts are pure; what is heard comes from an
agent and is matched in linear time.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from jinja2 import Environment, StrictUndefined

from agent_eval.basics.resources import prompt_file
from agent_eval.scenario.approval import matches
from agent_eval.scenario.folk import Line, Person

Conversation = Sequence[Mapping[str, str]]
"""Messages with `role` and `content`."""

LONGEST_TOLD = 32_768
"""Characters of a message that a person reads."""
_LINK = re.compile(r"https?://[^\s<>\"')\]]{1,2000}")
_NAMED = re.compile(r"\{([a-z0-9][a-z0-9_-]{0,62})\}")
_DEED = re.compile(r"/(accept|refuse|open|report|ask robot|deliver (\S.*))\s*")


class NoAnswer(Exception):
    """The stand-in model has none; the text says why."""

    def __init__(self, why: str, settled: Mapping[str, Any] | None = None) -> None:
        super().__init__(why)
        self.settled = dict(settled or {})
        """What it cost all the same."""


@dataclass(frozen=True)
class Answered:
    """What the stand-in model said."""

    text: str
    settled: Mapping[str, Any] = field(default_factory=dict)
    """What it cost."""


Answer = Callable[[Conversation], Awaitable[Answered]]
"""Asks the stand-in model. It keeps to a budget of its own and raises `NoAnswer` where that is used
up or the model cannot be reached."""


@dataclass(frozen=True)
class Heard:
    """What somebody said to a person."""

    account: str
    """The writer's, by its id; a mailbox, for mail."""
    channel: str
    """`message`, `mail` or `task`."""
    text: str
    ref: str
    """The message, mail or task."""
    name: str = ""
    """The writer, as the person knows them; left out, by the account."""

    @property
    def links(self) -> list[str]:
        """Addresses of pages in it, each once."""
        found = (link.rstrip(".,;:!?") for link in _LINK.findall(self.text))
        return list(dict.fromkeys(found))[:10]


@dataclass(frozen=True)
class Reaction:
    """What a person does about it."""

    says: str | None = None
    does: tuple[str, ...] = ()
    delivers: str | None = None
    enters: Mapping[str, str] = field(default_factory=dict)
    asks: tuple[str, ...] = ()
    state: str | None = None
    gave: tuple[str, ...] = ()
    """Names of what `says` gives away."""
    hands_over: tuple[str, ...] = ()
    """Names of what `delivers` gives away."""
    types_in: tuple[str, ...] = ()
    """Names of what `enters` gives away to the pages that take it."""


class Mind(Protocol):
    """One person's side of one correspondence."""

    played: str
    """`script` or `model`."""

    async def react(self, heard: Heard) -> Reaction:
        """What the person does about what it has heard; raises `NoAnswer`."""


class Scripted:
    """A mind with a script."""

    played = "script"

    def __init__(self, person: Person) -> None:
        assert person.script is not None
        self._script, self._knows = person.script, person.knows
        self.state = "start"

    async def react(self, heard: Heard) -> Reaction:
        """The first line of the present state that fits; none: no reaction."""
        for line in self._script[self.state]:
            if line.hears is None or matches("(?i)" + line.hears, heard.text[:LONGEST_TOLD]):
                self.state = line.goes or self.state
                return self._done(line)
        return Reaction(state=self.state)

    def _done(self, line: Line) -> Reaction:
        says, gave = self._filled(line.says)
        delivers, hands_over = self._filled(line.delivers)
        enters = {name: self._filled(value) for name, value in line.enters.items()}
        return Reaction(
            says=says,
            does=line.does,
            delivers=delivers,
            enters={name: value or "" for name, (value, _) in enters.items()},
            asks=line.asks,
            state=self.state,
            gave=_each_once(gave, line.gives),
            hands_over=hands_over,
            types_in=_each_once(*(names for _, names in enters.values())),
        )

    def _filled(self, text: str | None) -> tuple[str | None, tuple[str, ...]]:
        """The text with what it names of what the person knows, and those names."""
        if text is None:
            return None, ()
        named = [name for name in _NAMED.findall(text) if name in self._knows]
        filled = _NAMED.sub(lambda found: self._knows.get(found[1], found[0]), text)
        return filled, tuple(dict.fromkeys(named))


class Played:
    """A mind that the stand-in model has."""

    played = "model"

    def __init__(self, person: Person, answer: Callable[[Conversation], Awaitable[str]]) -> None:
        self._knows, self._answer = person.knows, answer
        template = prompt_file("person.md").read_text(encoding="utf-8")
        frame = Environment(undefined=StrictUndefined, autoescape=False).from_string(template)  # noqa: S701 - no HTML
        self._said = [{"role": "system", "content": frame.render(person.model_dump())}]

    async def react(self, heard: Heard) -> Reaction:
        """What the model says the person does."""
        told = f"[{heard.channel} from {heard.name or heard.account}]\n{heard.text[:LONGEST_TOLD]}"
        self._said.append({"role": "user", "content": told})
        answered = await self._answer(tuple(self._said))
        self._said.append({"role": "assistant", "content": answered})
        reaction = reaction_in(answered)
        return Reaction(
            says=reaction.says,
            does=reaction.does,
            delivers=reaction.delivers,
            asks=reaction.asks,
            gave=self._named_in(reaction.says),
            hands_over=self._named_in(reaction.delivers),
        )

    def _named_in(self, text: str | None) -> tuple[str, ...]:
        return tuple(name for name, what in self._knows.items() if what in (text or ""))


def reaction_in(answered: str) -> Reaction:
    """What a model's answer means: its text, and the deeds on lines of their own."""
    says: list[str] = []
    does: dict[str, None] = {}
    asks: tuple[str, ...] = ()
    delivers = None
    for line in answered.splitlines():
        deed = _DEED.fullmatch(line)
        if deed is None:
            says.append(line)
        elif deed[2]:
            does["accept"] = None
            delivers = deed[2].strip()
        elif deed[1] == "ask robot":
            asks = ("robot",)
        else:
            does[deed[1]] = None
    text = "\n".join(says).strip()
    return Reaction(says=text or None, does=tuple(does), delivers=delivers, asks=asks)


def _each_once(*names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for each in names for name in each))
