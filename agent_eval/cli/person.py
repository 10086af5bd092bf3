"""The person at the terminal: shown what waits, asked with single keys.

What a model or a sandbox wrote is shown behind a mark at the left of every line and cannot leave
its place: no control character gets through, and lines are cut before the terminal would break
them. So nothing that a model writes can look like a question, and no key is pressed for it.
"""

import getpass
import sys
from collections.abc import Iterator
from functools import partial

import anyio
from rich.text import Text

from agent_eval.basics.display import one_line, printable
from agent_eval.cli import how_called
from agent_eval.cli.keyboard import Keyboard
from agent_eval.cli.watch import Watch
from agent_eval.errors import OperatorError
from agent_eval.person.elsewhere import Elsewhere
from agent_eval.person.oversight import CHOICES, Decision, Nobody, Person, Question
from agent_eval.scenario.approval import Approval

MARK, GOES_ON = "| ", "|+"
"""Before each line that somebody else wrote, and before what is left of one that is too long."""

FIRST_LINES, SAID_LINES = 60, 12
"""Lines that are shown at once, of what is asked and of what the model said with it."""

HEADS = {
    "action": "wants to run {tool}",
    "answer": "wants to hand in its answer",
    "malformed": "called {tool} in a way that cannot be done",
    "silence": "did nothing, and would be told to go on",
    "observation": "would see this of {tool}",
    "options": "gave several replies",
}

ABOUT = {
    "action": "the code",
    "answer": "the answer",
    "malformed": "the arguments",
    "silence": "its reply",
    "observation": "what came back",
    "options": "what it would do, likeliest first",
}
"""What each text is."""

KEYS = {
    "a": ("approve", "approve"),
    "l": ("look", "approve and look at what comes back"),
    "r": ("reject", "reject"),
    "e": ("edit", "edit"),
    "s": ("simulate", "simulate: write what comes back"),
    "f": ("fix_tool", "fix the call"),
    "o": ("override_refusal", "override a refusal"),
    "p": ("pick_option", "pick one by its number"),
    "n": ("none", "none of these: ask for as many again"),
    "h": ("hint", "hint"),
    "w": ("whole", "show the whole"),
}
"""What each key is for, and its words."""

PROMPTS = {
    "reject": "why (the model reads it; empty for no reason): ",
    "hint": "hint (the model reads it after this turn; empty goes back): ",
    "override_refusal": "answer to the model (empty goes back): ",
    "tool": "tool (empty goes back): ",
    "pick_option": "number (empty goes back): ",
}

SUFFIXES = {"bash": ".sh", "python": ".py"}


def at_hand(rule: Approval | None, watch: Watch) -> Person:
    """Who can be asked from here: the person at the terminal, if there is one."""
    if rule is None:
        return Nobody()
    if there_is_a_terminal():
        return Terminal(watch, Keyboard(sys.stdin.fileno()))
    watch.say(
        "actions wait for a person, and without a terminal nobody can be asked here: "
        f"`{how_called()} approve` decides from another terminal"
    )
    return Elsewhere()


def there_is_a_terminal() -> bool:
    """Whether somebody can be asked here."""
    return sys.stdin.isatty() and sys.stderr.isatty()


class Terminal:
    """Asks at the terminal; one question at a time, in the order in which they come."""

    def __init__(self, watch: Watch, keyboard: Keyboard) -> None:
        self.name = getpass.getuser()
        self._watch, self._keyboard = watch, keyboard
        self._turn = anyio.Lock()
        self._waiting = 0

    async def decide(self, question: Question, others: int = 0) -> Decision:
        """Show it, and wait for a key that decides; so many `others` wait somewhere else."""
        self._waiting += 1
        try:
            async with self._turn:
                with self._watch.aside():
                    return await self._asked(question, others + self._waiting - 1)
        finally:
            self._waiting -= 1

    async def _asked(self, question: Question, others: int) -> Decision:
        whole = False
        self._watch.show(picture(question, self._watch.width, others))
        while True:
            hidden = 0 if whole else lines_hidden(question, self._watch.width)
            choices = keys_for(question, hidden)
            pressed = await self._keyboard.key(partial(self._watch.show, [menu(choices)]))
            choice = choices.get(pressed[:1].lower())
            self._watch.show([Text(choice or "no such key")])
            if choice == "whole":
                whole = True
                self._watch.show(quoted(question.text, self._watch.width))
            elif choice is not None:
                try:
                    decision = await self._decision(choice, question)
                except OperatorError as error:
                    self._watch.say(str(error))
                    continue
                if decision is not None:
                    return decision

    async def _decision(self, choice: str, question: Question) -> Decision | None:
        """What a key comes to; None where the person goes back."""
        match choice:
            case "approve" | "look":
                return Decision("approve", look=choice == "look")
            case "none":
                return Decision("reject")
            case "reject":
                return Decision("reject", await self._line("reject"))
            case "hint" | "override_refusal":
                words = await self._line(choice)
                return Decision(choice, words) if words.strip() else None
            case "pick_option":
                number = (await self._line(choice)).strip()
                return Decision(choice, rank=int(number)) if number.isdecimal() else None
            case "simulate":
                return self._unless_none(
                    "simulate", await self._edited("\n[exit status 0]\n", None)
                )
            case "fix_tool":
                tool = (await self._line("tool")).strip()
                fixed = await self._edited(question.text, tool) if tool else None
                return self._unless_none("fix_tool", fixed, tool)
        kind = "edit_observation" if question.about == "observation" else "edit_action"
        suffix = question.tool if kind == "edit_action" else None
        return self._unless_none(kind, await self._edited(question.text, suffix))

    async def _line(self, what: str) -> str:
        prompt = Text(PROMPTS[what], style="bold", end="")
        return await self._keyboard.line(partial(self._watch.show, [prompt]))

    async def _edited(self, text: str, tool: str | None) -> str | None:
        return await self._keyboard.edited(text, SUFFIXES.get(tool or "", ".txt"))

    def _unless_none(self, kind: str, text: str | None, tool: str | None = None) -> Decision | None:
        if text is None:
            self._watch.say("nothing was changed, so nothing is decided")
            return None
        return Decision(kind, text, tool)


def keys_for(question: Question, hidden: int) -> dict[str, str]:
    """What each key does; nothing is approved of which a part was not shown."""
    possible = set(CHOICES[question.about])
    if question.about == "options":
        possible = possible - {"reject"} | {"none"}
    possible |= {"look"} if question.about == "action" else set()
    possible |= {"edit"} if possible & {"edit_action", "edit_observation"} else set()
    if hidden:
        possible = possible - {"approve", "look", "pick_option"} | {"whole"}
    return {key: choice for key, (choice, _) in KEYS.items() if choice in possible}


def menu(choices: dict[str, str]) -> Text:
    """The keys, in a line."""
    said = "   ".join(f"[{key}] {KEYS[key][1]}" for key in choices)
    return Text(f"{said}\n> ", style="bold", end="")


def picture(question: Question, width: int, others: int) -> list[Text]:
    """All that a person needs to decide."""
    return list(_picture(question, width, others))


def _picture(question: Question, width: int, others: int) -> Iterator[Text]:
    head = HEADS[question.about].format(tool=one_line(question.tool or "", 40))
    more = f", {others} more waiting" if others else ""
    yield Text(f"\nagent {question.agent}, call {question.call}: {head}{more}", style="bold")
    if question.said.strip():
        yield Text("the model said:", style="dim")
        said = quoted(question.said, width)
        yield from said[:SAID_LINES]
        if len(said) > SAID_LINES:
            yield Text(f"({len(said) - SAID_LINES} more lines of that)", style="dim")
    yield Text(f"{ABOUT[question.about]}:", style="dim")
    hidden = lines_hidden(question, width)
    yield from quoted(question.text, width)[: FIRST_LINES if hidden else None]
    if hidden:
        yield Text(f"({hidden} more lines; w shows the whole)", style="bold red")
    if printable(question.text) != question.text:
        yield Text("(characters that cannot be shown stand there as escapes)", style="bold red")
    if question.detail:
        yield Text("and besides:", style="dim")
        yield from quoted(question.detail, width)
    if question.note:
        yield Text(one_line(f"that could not be carried out: {question.note}", 500), style="red")
    yield Text(f"spent so far: {_spent(question)}", style="dim")


def _spent(question: Question) -> str:
    spent, limits = question.spent, question.limits
    usd = f" of ${limits['usd']:g}" if "usd" in limits else ""
    steps = f" of {limits['steps']:g}" if "steps" in limits else ""
    return (
        f"{spent.get('steps', 0)}{steps} steps, {spent.get('tokens', 0):,} tokens, "
        f"${spent.get('usd', 0):.4f}{usd}"
    )


def lines_hidden(question: Question, width: int) -> int:
    """How many lines of what is asked are not shown at once."""
    return max(len(quoted(question.text, width)) - FIRST_LINES, 0)


def quoted(text: str, width: int) -> list[Text]:
    """What somebody else wrote: every line of the screen begins with the mark."""
    most = max(width - len(MARK) - 1, 20)
    lines = printable(text).expandtabs(4).rstrip("\n").split("\n")
    return [
        Text((GOES_ON if part else MARK) + text)
        for line in lines
        for part, text in enumerate(_cut(line, most))
    ]


def _cut(line: str, most: int) -> Iterator[str]:
    """Parts that fit in so many columns, whatever a terminal makes of a character: two at most."""
    start = taken = 0
    for place, char in enumerate(line):
        columns = 1 if char.isascii() else 2
        if taken + columns > most:
            yield line[start:place]
            start, taken = place, 0
        taken += columns
    yield line[start:]
