"""Events that findings cite, quoted as the terminal tells them."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agent_eval.errors import AgentEvalError
from agent_eval.record.reading import events_file, parse_line
from agent_eval.show.show import lines_of

QUOTED_CHARACTERS = 700
"""Of one event."""


@dataclass(frozen=True)
class Quote:
    """An event in words; no character in it acts on anything."""

    seq: int
    text: str


def quoted(run: Path, seqs: Iterable[int]) -> dict[int, Quote]:
    """These events of a run, in words; those that are not there are left out."""
    wanted, found = set(seqs), {}
    with contextlib.suppress(AgentEvalError, OSError), events_file(run).open("rb") as file:
        for number, line in enumerate(file):
            if number in wanted:
                found[number] = Quote(number, _words(line, number, run))
                wanted.discard(number)
            if not wanted:
                break
    return found


def _words(line: bytes, number: int, run: Path) -> str:
    try:
        told = lines_of(parse_line(line, number), run, full=True)
    except AgentEvalError as error:
        return f"({error})"
    text = "\n".join(each.plain.strip() for each in told)
    if len(text) <= QUOTED_CHARACTERS:
        return text
    return f"{text[:QUOTED_CHARACTERS]} [... {len(text) - QUOTED_CHARACTERS} more characters]"
