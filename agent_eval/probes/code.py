"""Code tasks: what the model is asked, the program that its answer becomes, what that said.

The answer, the tests and the verdict share a process, as in every harness of this form: a program
that looks for it can say "passed" itself. What stands against that is what costs nothing: a word
that only the end of the tests says, so that a program which just exits has not passed; a process of
its own for each answer; and nothing left over from the one before.
"""

import ast
import re
from typing import Literal

from agent_eval.probes.file import CodeTask

Verdict = Literal["passed", "failed", "timeout", "unparseable"]

SYSTEM = (
    "You complete Python functions. Answer with the whole function, imports included, in one block "
    "fenced as ```python, and with nothing else."
)

_BLOCK = re.compile(r"^```[ \t]*(?:python|py|python3)?[ \t]*\n(.*?)^```", re.MULTILINE | re.DOTALL)

_BEFORE = """
import os as _os, shutil as _shutil, signal as _signal, resource as _resource, time as _time
_signal.signal(_signal.SIGINT, _signal.default_int_handler)
for _ in range(3):
    try:
        _os.kill(-1, 9)
    except OSError:
        break
    _time.sleep(0.002)
for _top in (_os.path.expanduser("~"), "/tmp"):
    for _entry in list(_os.scandir(_top)):
        try:
            _shutil.rmtree(_entry.path) if _entry.is_dir(follow_symlinks=False) else (
                _os.unlink(_entry.path))
        except OSError:
            pass
_resource.setrlimit(_resource.RLIMIT_AS, ({memory}, {memory}))
_os.chdir(_os.path.expanduser("~"))
del _os, _shutil, _signal, _resource, _time, _top
"""


def messages_of(task: CodeTask) -> list[tuple[str, str]]:
    """Role and text of each message of the request."""
    asked = f"Complete this function.\n\n```python\n{task.prompt.rstrip()}\n```"
    return [("system", SYSTEM), ("user", asked)]


def code_in(reply: str) -> str | None:
    """The program in an answer; None where there is none that is Python.

    That is the first fenced block, or the whole answer where there is no fence.
    """
    found = _BLOCK.search(reply.replace("\r\n", "\n").rstrip() + "\n")
    if found is None and "```" in reply:
        return None
    code = found[1] if found else reply
    return code if code.strip() and "\0" not in code else None


def completed(task: CodeTask, code: str) -> str | None:
    """The whole program: the answer after what the prompt defines before the function.

    An answer that only goes on where the prompt ends is put there. None where it is no Python.
    """
    begins = rf"^(?:async )?def {task.entry_point}\b"
    program = f"{task.prompt.rstrip()}\n{code}"
    if re.search(rf"{begins}|^{task.entry_point}\s*=", code, re.MULTILINE):
        program = f"{re.split(begins, task.prompt, flags=re.MULTILINE)[0]}\n{code}"
    try:
        ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return program


def program_of(task: CodeTask, program: str, word: str, memory_bytes: int) -> str:
    """What the sandbox runs: nothing left from before, the answer, its tests, then the word."""
    return (
        f"{_BEFORE.format(memory=memory_bytes)}\n"
        f"_own = {{'__name__': 'answer'}}\n"
        f"exec(compile({program!r}, 'answer', 'exec'), _own)\n"
        f"exec(compile({task.test!r}, 'test', 'exec'), _own)\n"
        f"_own['check'](_own[{task.entry_point!r}]) if 'check' in _own else None\n"
        f"print('\\n' + {word!r}, flush=True)\n"
    )


def verdict_of(output: bytes, word: str, *, over_time: bool) -> Verdict:
    """What came of it."""
    if over_time:
        return "timeout"
    said = output.rstrip().splitlines()
    return "passed" if said and said[-1] == word.encode() else "failed"
