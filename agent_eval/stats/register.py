"""Predictions made before what they predict, in a file whose lines are chained by their hashes.

A prediction is worth something if it can be shown to be older than the runs it is about. Each line
holds the hash of the one before, as a transcript's events do, and its own; whoever keeps the last
hash can show that nothing before it was changed, taken away or written anew. What came is compared
with the stated interval, and refused where one of its runs began before the prediction was made.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent_eval.basics.conversation import untrusted_json
from agent_eval.errors import OperatorError, TranscriptBroken

GENESIS = "0" * 64


@dataclass(frozen=True)
class Forecast:
    """What is foretold, and everything that it rests on."""

    metric: str
    """What is measured, in words that leave no choice afterwards."""
    target: str
    """The model, or the runs, that it is about."""
    form: str
    parameters: dict[str, list[float]]
    models: list[str]
    """Those it was fitted on."""
    data_sha256: str
    code_sha256: str
    predicted: float
    low: float
    high: float
    level: float = 0.95
    at: float | None = None
    """Where on the form's axis that is: compute, a day, or minutes."""
    problems: list[str] = field(default_factory=list)
    """Those that the metric is a mean over."""

    @property
    def digest(self) -> str:
        """SHA-256 of the forecast, as hexadecimal."""
        said = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(said.encode()).hexdigest()


@dataclass(frozen=True)
class Registered:
    """A forecast with its place in the register."""

    number: int
    time: datetime
    forecast: Forecast
    line_sha256: str


@dataclass(frozen=True)
class Checked:
    """What came of a forecast."""

    registered: Registered
    observed: float

    @property
    def hit(self) -> bool:
        """Whether what came lies within the stated interval."""
        return self.registered.forecast.low <= self.observed <= self.registered.forecast.high


def register(file: Path, forecast: Forecast) -> Registered:
    """Append a forecast, forced to disk before this returns."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+b") as lines:
        fcntl.flock(lines, fcntl.LOCK_EX)
        lines.seek(0)
        before = list(_read(lines.read().splitlines(keepends=True), file))
        now = datetime.now(UTC)
        line = {
            "number": len(before) + 1,
            "time": now.isoformat(),
            "digest": forecast.digest,
            "forecast": asdict(forecast),
            "prev": before[-1].line_sha256 if before else GENESIS,
        }
        raw = _raw(line | {"seal": _seal(line)})
        lines.write(raw)
        lines.flush()
        os.fsync(lines.fileno())
    return Registered(len(before) + 1, now, forecast, hashlib.sha256(raw).hexdigest())


def registered(file: Path) -> list[Registered]:
    """All forecasts in a register; raises `TranscriptBroken` where its chain does not hold."""
    try:
        return list(_read(file.read_bytes().splitlines(keepends=True), file))
    except OSError as error:
        raise OperatorError(f"the register {file} cannot be read: {error.strerror}") from error


def check(one: Registered, observed: float, began: Sequence[datetime]) -> Checked:
    """Hold what came against a forecast; `began` is when each run that it rests on started.

    Raises `OperatorError` where a run is older than the registration, or there is none.
    """
    if not began:
        raise OperatorError("there is no run to hold against the forecast")
    first = min(began)
    if first <= one.time:
        raise OperatorError(
            f"forecast {one.number} was registered at {one.time:%Y-%m-%d %H:%M:%S} UTC, and a run "
            f"it is to be held against began at {first:%Y-%m-%d %H:%M:%S}: it foretells nothing. "
            "Hold it against runs that were started afterwards"
        )
    return Checked(one, observed)


def _raw(line: dict[str, Any]) -> bytes:
    return json.dumps(line, sort_keys=True).encode() + b"\n"


def _seal(line: dict[str, Any]) -> str:
    """A line's hash in itself: the last line has no other after it that would hold its hash."""
    return hashlib.sha256(_raw(line)).hexdigest()


def _read(lines: list[bytes], file: Path) -> Iterator[Registered]:
    prev = GENESIS
    for number, raw in enumerate(lines, start=1):
        try:
            line: dict[str, Any] = untrusted_json(raw)
            forecast = Forecast(**line["forecast"])
            told = Registered(
                int(line["number"]),
                datetime.fromisoformat(line["time"]),
                forecast,
                hashlib.sha256(raw).hexdigest(),
            )
            sealed = line.pop("seal")
            whole = raw == _raw(line | {"seal": sealed}) and sealed == _seal(line)
            linked = (line["prev"], line["digest"], told.number) == (prev, forecast.digest, number)
        except (KeyError, TypeError, ValueError) as error:
            raise TranscriptBroken(f"{file}, line {number}, is no forecast: {error!r}") from error
        if not (whole and linked):
            raise TranscriptBroken(f"{file}, line {number}, was changed after it was registered")
        prev = told.line_sha256
        yield told
