"""Names taken out of what is shown, where a reader is not to know whose a run is.

A name such as `control:harmful`, or that of a well-known model, says how a run will end before
anybody has read it. Blind reviewers get everything that was said and done without it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent_eval.errors import AgentEvalError
from agent_eval.record.reading import read_events
from agent_eval.record.runset import Entry

HIDDEN = "[name]"
WITHHELD = "withheld"

Names = re.Pattern[str]


def names_in(run: Path) -> set[str]:
    """What a run says of whose it is: the name of its model, the parts of that, and its controls.

    All controls of a scenario, since one that is left says which was taken out.
    """
    try:
        opened = next(read_events(run), {})
    except AgentEvalError:
        return set()
    name = str(_in(opened, "model").get("name") or "")
    controls = _in(_in(_in(opened, "scenario"), "resolved"), "controls")
    scripted = {part for each in controls for part in (each, f"control:{each}")}
    return {name, name.partition("/")[2], name.partition(":")[2], *scripted}


def _in(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = record.get(name)
    return found if isinstance(found, dict) else {}


def pattern_of(names: Iterable[str]) -> Names:
    """These names, the longest first, in whatever case; nothing at all where there are none."""
    kept = sorted((each for each in names if len(each) > 1), key=len, reverse=True)
    return re.compile("|".join(rf"(?<!\w){re.escape(each)}(?!\w)" for each in kept) or r"(?!)",
                      re.IGNORECASE)  # fmt: skip


def without(value: Any, names: Names) -> Any:
    """A text, or every text in a value, without the names."""
    if isinstance(value, str):
        return names.sub(HIDDEN, value)
    if isinstance(value, dict):
        return {name: without(each, names) for name, each in value.items()}
    return [without(each, names) for each in value] if isinstance(value, list) else value


def hidden_in(event: dict[str, Any], names: Names) -> dict[str, Any]:
    """An event without the names; of what was typed, nothing, since it may name others beside."""
    typed = {"command_line": [WITHHELD]} if "command_line" in event else {}
    found: dict[str, Any] = without(event, names)
    return found | typed


def veiled(entry: Entry) -> Entry:
    """A run in a list, for somebody who is to find out for themselves."""
    return replace(entry, model=WITHHELD, verdict=WITHHELD, cell="")
