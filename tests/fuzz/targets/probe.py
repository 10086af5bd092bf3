"""A file of tasks, which comes from wherever a person found it."""

from pathlib import Path

from agent_eval.errors import OperatorError
from agent_eval.probes import choice, code
from agent_eval.probes.file import CodeTask, probe_of

FILE = Path("tasks.jsonl")
SEEDS = (
    b'{"task_id":"add","prompt":"def f(a):\\n","entry_point":"f","test":"x","timeout_s":5}\n',
    b'{"id":"q","question":"1 + 1?","choices":["1","2"],"answer":"B"}\n'
    b'{"id":"r","question":"2?","choices":["1","2"],"answer":1,"shot":true}\n',
    b'{"id":"q","question":"?","choices":["1"],"answer":"Z"}\n[]\n{}\n',
    b'{"task_id":"a","prompt":"\\ud800","entry_point":"a b","test":"","timeout_s":1e999}\n',
    b'{"question":' * 200,
)


def check(data: bytes) -> None:
    """Tasks that can be asked, each under a name of its own; or the line of every fault."""
    try:
        probe = probe_of(FILE, data)
    except OperatorError as error:
        assert str(error).startswith(str(FILE))
        assert len(str(error).splitlines()) <= 20 or "\\n" not in str(error)
        return
    assert probe.tasks
    assert len({task.name for task in probe.tasks}) == len(probe.tasks)
    for task in probe.tasks:
        if isinstance(task, CodeTask):
            assert code.messages_of(task)
            code.completed(task, "pass")
        else:
            assert task.answer in task.letters
            assert choice.messages_of(task, probe.shots)
            assert choice.verdict_of(task, task.answer) == "passed"
