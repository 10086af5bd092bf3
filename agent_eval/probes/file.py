r"""A probe: a file of JSON lines, one task each, either all code or all choices.

    {"task_id": "add", "prompt": "def add(a, b):\n    ...", "entry_point": "add",
     "test": "def check(candidate):\n    assert candidate(1, 2) == 3", "timeout_s": 5}

    {"id": "capital", "question": "Which is the capital of France?",
     "choices": ["Lyon", "Paris"], "answer": "B", "shot": false}

The first is the form of HumanEval (arXiv 2107.03374), whose other fields are not read; `timeout_s`
may be left out. Of an exam, questions with `shot: true` are shown with their answers before each
other one. An exam in another language is another file.
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from agent_eval.basics.conversation import untrusted_json
from agent_eval.errors import OperatorError
from agent_eval.scenario.part import Text

MAX_TIMEOUT_S = 600.0
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


class _Task(BaseModel):
    """What both kinds share; fields that are not known are left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class CodeTask(_Task):
    """A function to be written, and the tests that it has to pass."""

    task_id: Text
    prompt: Text
    entry_point: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    test: Text
    timeout_s: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)] = 10.0

    @property
    def name(self) -> str:
        """What it is called in results."""
        return self.task_id


def _as_letter(value: Any) -> Any:
    """An answer that is a place, from 0, as the letter that stands there."""
    place = isinstance(value, int) and not isinstance(value, bool)
    return ascii_uppercase[value] if place and 0 <= value < len(ascii_uppercase) else value


class Question(_Task):
    """A question with options, one of them right."""

    id: Text
    question: Text
    choices: Annotated[tuple[Text, ...], Field(min_length=2, max_length=len(ascii_uppercase))]
    answer: Annotated[Text, BeforeValidator(_as_letter)]
    shot: bool = False
    """Whether it is an example, shown with its answer and never asked."""

    @property
    def name(self) -> str:
        """What it is called in results."""
        return self.id

    @property
    def letters(self) -> str:
        """What its options go by."""
        return ascii_uppercase[: len(self.choices)]

    @model_validator(mode="after")
    def _has_its_answer(self) -> "Question":
        if len(self.answer) != 1 or self.answer not in self.letters:
            raise ValueError(f"answer: {self.answer!r} is none of {', '.join(self.letters)}")
        return self


Task = CodeTask | Question


@dataclass(frozen=True)
class Probe:
    """A file of tasks."""

    file: Path
    tasks: tuple[Task, ...]
    """Those that are asked."""
    shots: tuple[Question, ...]
    sha256: str
    """Of the file, as hexadecimal."""

    @property
    def name(self) -> str:
        """The file's, as far as a scenario could be called so."""
        return _NOT_IN_NAMES.sub("-", self.file.stem.lower()).strip("-")[:50] or "probe"


def read_probe(file: Path) -> Probe:
    """Read a probe; raises `OperatorError` that names the line of every fault."""
    try:
        return probe_of(file, file.read_bytes())
    except OSError as error:
        raise OperatorError(f"{file}:1: cannot be read: {error}") from error


def probe_of(file: Path, data: bytes) -> Probe:
    """The same out of the bytes of a file."""
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise OperatorError(f"{file}:1: cannot be read as UTF-8 text: {error}") from error
    read: list[Task] = []
    faults = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            read.append(_task(untrusted_json(line)))
        except ValidationError as error:
            faults += [f"{file}:{number}: {_told(each)}" for each in error.errors()]
        except ValueError as error:
            faults.append(f"{file}:{number}: {error}")
    if faults:
        raise OperatorError("\n".join(faults[:20]))
    shots = tuple(task for task in read if isinstance(task, Question) and task.shot)
    tasks = tuple(task for task in read if not (isinstance(task, Question) and task.shot))
    _refuse_mixed(file, tasks, shots)
    return Probe(file, tasks, shots, hashlib.sha256(data).hexdigest())


def _task(value: Any) -> Task:
    if not isinstance(value, dict):
        raise ValueError("a task is an object, {...}")  # noqa: TRY004 - told with its line
    if "entry_point" in value:
        return CodeTask.model_validate(value)
    if "question" in value:
        return Question.model_validate(value)
    raise ValueError(
        "neither a code task (task_id, prompt, entry_point, test) nor a question "
        "(id, question, choices, answer)"
    )


def _told(fault: Any) -> str:
    where = ".".join(map(str, fault["loc"]))
    said = str(fault["msg"]).removeprefix("Value error, ")
    return f"{where}: {said}" if where else said


def _refuse_mixed(file: Path, tasks: tuple[Task, ...], shots: tuple[Question, ...]) -> None:
    if not tasks:
        raise OperatorError(f"{file}: there is no task in it to be asked")
    if len({type(task) for task in (*tasks, *shots)}) > 1:
        raise OperatorError(f"{file}: code tasks and questions: put each kind into a file")
    names = Counter(task.name for task in tasks)
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise OperatorError(f"{file}: {', '.join(twice[:5])} is there twice; each needs a name")
