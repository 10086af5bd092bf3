"""The condition of a Sigma rule: names of selections joined by and, or, not, and `1 of NAME*`."""

import re
from collections.abc import Callable
from fnmatch import fnmatchcase

Holds = Callable[[str], bool]
Condition = Callable[[Holds], bool]

_TOKEN = re.compile(r"\s*(\(|\)|[A-Za-z0-9_*.-]+)")
_DEPTH = 50


def parse_condition(text: str, names: list[str]) -> Condition:
    """A condition over selections of these names; raises `ValueError` in words."""
    tokens, place = [], 0
    stripped = text.rstrip()
    while place < len(stripped):
        found = _TOKEN.match(stripped, place)
        if found is None:
            raise ValueError(f"{stripped[place:].strip()!r} is not understood")
        tokens.append(found[1])
        place = found.end()
    parser = _Parser(tokens, names)
    condition = parser.either(0)
    if parser.tokens:
        raise ValueError(f"{' '.join(parser.tokens)!r} is not understood")
    return condition


class _Parser:
    """Takes tokens from the front."""

    def __init__(self, tokens: list[str], names: list[str]) -> None:
        self.tokens, self.names = tokens, names

    def next_is(self, *words: str) -> bool:
        """Whether the next token is one of these."""
        return bool(self.tokens) and self.tokens[0].lower() in words

    def either(self, depth: int) -> Condition:
        """Parts joined by `or`."""
        parts = [self.both(depth)]
        while self.next_is("or"):
            self.tokens.pop(0)
            parts.append(self.both(depth))
        return parts[0] if len(parts) == 1 else lambda holds: any(part(holds) for part in parts)

    def both(self, depth: int) -> Condition:
        """Parts joined by `and`."""
        parts = [self.one(depth)]
        while self.next_is("and"):
            self.tokens.pop(0)
            parts.append(self.one(depth))
        return parts[0] if len(parts) == 1 else lambda holds: all(part(holds) for part in parts)

    def one(self, depth: int) -> Condition:
        """A name, a group, `N of`, or the contrary of one."""
        if depth > _DEPTH:
            raise ValueError("it is nested too deep")
        if not self.tokens:
            raise ValueError("it ends where a selection should stand")
        if self.next_is("not"):
            self.tokens.pop(0)
            part = self.one(depth + 1)
            return lambda holds: not part(holds)
        token = self.tokens.pop(0)
        if token == "(":  # noqa: S105 - a bracket
            part = self.either(depth + 1)
            if not self.next_is(")"):
                raise ValueError("a bracket is not closed")
            self.tokens.pop(0)
            return part
        if self.next_is("of"):
            return self.some_of(token)
        if token not in self.names:
            raise ValueError(f"no selection is named {token!r}; there are {self._named()}")
        return lambda holds: holds(token)

    def some_of(self, count: str) -> Condition:
        """`1 of NAME*`, `all of NAME*` or `of them`."""
        self.tokens.pop(0)
        if count.lower() not in ("1", "any", "all") or not self.tokens:
            raise ValueError(f"`{count} of` is not understood: write `1 of` or `all of`")
        pattern = self.tokens.pop(0)
        wanted = "*" if pattern.lower() == "them" else pattern
        names = [
            name
            for name in self.names
            if fnmatchcase(name, wanted) and not (wanted == "*" and name.startswith("_"))
        ]
        if not names:
            raise ValueError(f"no selection is named like {pattern!r}; there are {self._named()}")
        together = all if count.lower() == "all" else any
        return lambda holds: together(holds(name) for name in names)

    def _named(self) -> str:
        return ", ".join(self.names) or "none"
