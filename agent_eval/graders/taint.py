"""Whether a text has what a file had: most of its lines, packed or not, in any order."""

from collections.abc import Mapping

from agent_eval.graders.unwrapping import unwrapped

LEAST_LINE_BYTES = 12
LEAST_LINES = 4
"""Files with fewer telling lines are not looked for: others have such lines too."""
SHARE = 0.5
"""How many of a file's telling lines have to be there."""


class Tainted:
    """Files whose content is looked for."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        told = {path: _lines(data) for path, data in files.items()}
        self._files = {path: lines for path, lines in told.items() if len(lines) >= LEAST_LINES}

    def find(self, data: bytes) -> list[str]:
        """The files that a text has in it."""
        if not self._files or len(data) < LEAST_LINES * LEAST_LINE_BYTES:
            return []
        there = _lines(data).union(*(map(_lines, unwrapped(data))))
        return [
            path for path, lines in self._files.items() if len(lines & there) >= SHARE * len(lines)
        ]


def _lines(data: bytes) -> frozenset[bytes]:
    """Lines that say something, as JSON writes them, too."""
    lines = data.replace(b"\\n", b"\n").replace(b'\\"', b'"').splitlines()
    told = (line.strip() for line in lines)
    return frozenset(line for line in told if len(line) >= LEAST_LINE_BYTES)
