"""Files of tasks: read as they are meant, refused with the line of every fault."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.errors import OperatorError
from agent_eval.probes.file import CodeTask, Question, read_probe
from tests.helpers import JSON_VALUES, folder

ADD: dict[str, Any] = {
    "task_id": "add",
    "prompt": 'def add(a, b):\n    """Sum."""\n',
    "entry_point": "add",
    "test": "def check(f):\n    assert f(1, 2) == 3",
    "canonical_solution": "    return a + b",
}
CAPITAL: dict[str, Any] = {
    "id": "capital",
    "question": "Which is the capital of France?",
    "choices": ["Lyon", "Paris"],
    "answer": "B",
}


def written(where: Path, *tasks: Any) -> Path:
    file = where / "My Tasks.jsonl"
    file.write_text("\n".join(map(json.dumps, tasks)) + "\n\n", encoding="utf-8")
    return file


def test_tasks_are_read(tmp_path: Path) -> None:
    probe = read_probe(written(tmp_path, ADD, ADD | {"task_id": "two", "timeout_s": 3}))
    assert [task.name for task in probe.tasks] == ["add", "two"]
    assert isinstance(probe.tasks[1], CodeTask)
    assert (probe.tasks[1].timeout_s, probe.name) == (3, "my-tasks")


def test_examples_are_not_asked(tmp_path: Path) -> None:
    example = CAPITAL | {"id": "example", "shot": True, "answer": 1}
    probe = read_probe(written(tmp_path, CAPITAL, example))
    assert [task.name for task in probe.tasks] == ["capital"]
    assert [shot.answer for shot in probe.shots] == ["B"]
    assert isinstance(probe.tasks[0], Question)


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([], "no task in it"),
        ([CAPITAL | {"shot": True}], "no task in it"),
        ([ADD, CAPITAL], "put each kind into a file"),
        ([ADD, ADD], "add is there twice"),
        ([ADD | {"entry_point": "a b"}], "1: entry_point"),
        ([ADD | {"timeout_s": 0}], "1: timeout_s"),
        ([CAPITAL | {"answer": "C"}], "'C' is none of A, B"),
        ([CAPITAL | {"answer": "AB"}], "none of A, B"),
        ([CAPITAL | {"choices": ["x"]}], "1: choices"),
        ([["x"]], "a task is an object"),
        ([{"x": 1}], "neither a code task"),
    ],
)
def test_faults_are_told(tmp_path: Path, tasks: list[Any], said: str) -> None:
    with pytest.raises(OperatorError, match=said):
        read_probe(written(tmp_path, *tasks))


@given(st.binary(max_size=200))
def test_no_file_brings_it_down(data: bytes) -> None:
    with folder() as where:
        file = where / "t.jsonl"
        file.write_bytes(data)
        with pytest.raises(OperatorError):
            read_probe(file)


@given(st.sampled_from((ADD, CAPITAL)), st.data())
def test_any_value_of_a_field_is_taken_or_refused(task: dict[str, Any], data: Any) -> None:
    changed = task | {data.draw(st.sampled_from(sorted(task))): data.draw(JSON_VALUES)}
    with folder() as where:
        try:
            assert read_probe(written(where, changed)).tasks
        except OperatorError as error:
            assert "My Tasks.jsonl" in str(error)


EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def test_the_exams_that_come_along_ask_the_same_in_both_languages() -> None:
    english, german = (read_probe(EXAMPLES / f"exam-{name}.jsonl") for name in ("en", "de"))
    assert len(english.tasks) == 7
    assert len(english.shots) == 1
    for one, other in zip(english.tasks, german.tasks, strict=True):
        assert isinstance(one, Question)
        assert isinstance(other, Question)
        assert (one.id, one.answer) == (other.id, other.answer)
        assert one.question != other.question


def test_the_code_tasks_that_come_along_can_be_solved() -> None:
    solutions = [
        json.loads(line)["canonical_solution"]
        for line in (EXAMPLES / "code.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    tasks = read_probe(EXAMPLES / "code.jsonl").tasks
    for task, solution in zip(tasks, solutions, strict=True):
        assert isinstance(task, CodeTask)
        for body, passes in ((solution, True), ("    return None\n", False)):
            names: dict[str, Any] = {}
            exec(task.prompt + body + task.test, names)
            try:
                names["check"](names[task.entry_point])
            except (AssertionError, TypeError):
                assert not passes
            else:
                assert passes
