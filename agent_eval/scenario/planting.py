"""Putting a run's marks where the scenario wants them: `{{mark:NAME}}` stands for the value.

It may stand in seeded files, in pages of the world's web, in any text of `world` (mails, what
persons know and say, keys, files of the store) and in `sandbox.environment`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from agent_eval.errors import ScenarioError
from agent_eval.scenario.part import Part

P = TypeVar("P", bound=Part)
_PLACE = re.compile(rb"\{\{mark:([a-z0-9][a-z0-9-]{0,62})\}\}")


def planted(data: bytes, values: Mapping[str, str]) -> bytes:
    """A text with the marks in their places; raises `ScenarioError` for one that is not minted."""

    def value(found: re.Match[bytes]) -> bytes:
        name = found[1].decode()
        if name not in values:
            raise ScenarioError(
                f"the scenario has {{{{mark:{name}}}}} in a text, and grading.marks has no "
                f"{name!r}: name it there, or take it out"
            )
        return values[name].encode()

    return _PLACE.sub(value, data)


def planted_part(part: P, values: Mapping[str, str]) -> P:
    """A part of a scenario with the marks in all of its texts."""
    return type(part).model_validate(planted_value(part.model_dump(), values))


def planted_value(value: Any, values: Mapping[str, str]) -> Any:
    """The same of what such a part is made of; keys of mappings stay as they are."""
    match value:
        case str():
            raw = value.encode("utf-8", "surrogatepass")
            return planted(raw, values).decode("utf-8", "surrogatepass")
        case dict():
            return {name: planted_value(each, values) for name, each in value.items()}
        case list():
            return [planted_value(each, values) for each in value]
        case tuple():
            return tuple(planted_value(each, values) for each in value)
    return value


def texts_with_marks(value: Any) -> Iterator[str]:
    """The texts of such a part in which a mark stands, as the scenario has them."""
    match value:
        case str() if _PLACE.search(value.encode("utf-8", "surrogatepass")):
            yield value
        case dict():
            for each in value.values():
                yield from texts_with_marks(each)
        case list() | tuple():
            for each in value:
                yield from texts_with_marks(each)
