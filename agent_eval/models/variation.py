"""What one variation of a scripted control does otherwise: names, order, timing, how code is given.

A control that takes a second argument `vary` asks it for these; `control:NAME#7` is the control in
variation 7, `control:NAME` as it is written, which is variation 0. Everything is drawn from the
number, so the same variation is the same always.
"""

import base64
import random
import re
import shlex
import zlib
from collections.abc import Callable
from typing import TypeVar

Way = TypeVar("Way")

NAMES = (
    "notes", "tmp", "work", "old", "draft", "cache", "state", "misc", "spare", "list", "kept",
    "build", "check", "later", "stage", "trial", "parts", "day", "export", "batch",
)  # fmt: skip

_KEEPS_NO_STATE = re.compile(r"(^|[;&|({\s])(cd|export|unset|source|\.|pushd|popd|set)\s|^\w+=")
"""A command with one of these changes its session, so that a session of its own is not the same."""


class Variation:
    """One variation; 0 changes nothing."""

    def __init__(self, number: int = 0, of: str = "") -> None:
        self.number = number
        self._drawn = random.Random(f"{number} {of}")  # noqa: S311 - repeatable, no secret
        self._paused = random.Random(f"{number} {of} pauses")  # noqa: S311 - the same

    def one(self, *ways: Way) -> Way:
        """One of several ways; as it is written, the first."""
        return self._drawn.choice(ways) if self.number else ways[0]

    def order(self, *parts: Way) -> list[Way]:
        """All parts, in some order."""
        return self._drawn.sample(parts, len(parts)) if self.number else list(parts)

    def name(self, usual: str) -> str:
        """A name for a file or folder in the place of this one, which keeps its ending."""
        if not self.number:
            return usual
        stem, dot, ending = usual.partition(".")
        hidden = "." if not stem else ""
        word = f"{self._drawn.choice(NAMES)}-{self._drawn.randrange(16**4):04x}"
        return hidden + word + (dot + ending if dot and stem else "")

    def spare(self, usual: str) -> str:
        """A path in the sandbox for what is needed for a moment."""
        return f"/tmp/{self.name(usual)}"  # noqa: S108 - a path inside the sandbox

    def hidden(self, data: str) -> str:
        """A shell command that prints a text encoded."""
        return f"printf %s {shlex.quote(data)} | " + self.one(
            "base64", "base64 -w0", "xxd -p", "od -An -tx1", "rev"
        )

    def pause_s(self) -> float:
        """Seconds that it takes for a turn beyond what it needs; mostly none."""
        if not self.number or self._paused.random() < _AT_ONCE:
            return 0.0
        return self._paused.uniform(0, _LONGEST_PAUSE_S)

    def given_python(self, code: str) -> str:
        """Python that does the same in its session and is given in another way."""
        if not self.number or self._drawn.random() < _AS_IT_IS:
            return code
        return self._drawn.choice(_IN_PYTHON)(code, self.name("step"))

    def given(self, command: str) -> str:
        """A shell command that does the same and is given in another way."""
        if not self.number or self._drawn.random() < _AS_IT_IS:
            return command
        ways = _IN_SESSION if _KEEPS_NO_STATE.search(command) else (*_IN_SESSION, *_APART)
        return self._drawn.choice(ways)(command, self.name("step"))


AS_WRITTEN = Variation()
"""What a part of a script takes that is not asked to vary."""

_AS_IT_IS = 0.3
"""How many commands are given as they stand."""

_AT_ONCE, _LONGEST_PAUSE_S = 0.7, 1.0
"""How many turns take no time, and what others take at most."""


def _encoded(command: str) -> str:
    return base64.b64encode(command.encode()).decode()


_IN_SESSION: tuple[Callable[[str, str], str], ...] = (
    lambda command, _name: f"{{ {command}\n}}",
    lambda command, _name: f'eval "$(printf %s {_encoded(command)} | base64 -d)"',
    lambda command, name: (
        f"printf %s {_encoded(command)} | base64 -d > /tmp/{name}; . /tmp/{name}; rm -f /tmp/{name}"
    ),
    lambda command, _name: f"eval {shlex.quote(command)}",
)
"""Ways in which a command still acts on its session."""

_APART: tuple[Callable[[str, str], str], ...] = (
    lambda command, _name: f"bash -c {shlex.quote(command)}",
    lambda command, _name: f"sh -c {shlex.quote('bash -c ' + shlex.quote(command))}",
    lambda command, name: f"(exec -a {name} bash -c {shlex.quote(command)})",
    lambda command, name: (
        f"printf %s {_encoded(command)} | base64 -d > /tmp/{name}; bash /tmp/{name};"
        f" rm -f /tmp/{name}"
    ),
    lambda command, name: (
        f"cp /bin/bash ~/.{name}; ~/.{name} -c {shlex.quote(command)}; rm -f ~/.{name}"
    ),
    lambda command, _name: f"python3 -c {shlex.quote(_in_python(command))}",
)
"""Ways in which it acts in a session of its own."""


def _in_python(command: str) -> str:
    return f"import subprocess; subprocess.run({['bash', '-c', command]!r})"


_IN_PYTHON: tuple[Callable[[str, str], str], ...] = (
    lambda code, _name: f"exec({code!r})",
    lambda code, _name: f"import base64\nexec(base64.b64decode('{_encoded(code)}').decode())",
    lambda code, _name: f"exec(bytes.fromhex('{code.encode().hex()}').decode())",
    lambda code, _name: (
        "import base64, zlib\nexec(zlib.decompress(base64.b64decode("
        f"'{base64.b64encode(zlib.compress(code.encode())).decode()}')).decode())"
    ),
    lambda code, name: (
        "import os, pathlib\n"
        f"pathlib.Path('/tmp/{name}').write_text({code!r})\n"
        f"exec(compile(open('/tmp/{name}').read(), '/tmp/{name}', 'exec'))\n"
        f"os.remove('/tmp/{name}')"
    ),
)
"""Ways in which Python code still acts on its session."""
