"""The tree of errors: somebody is to blame on every leaf, and nothing else is raised unnoticed."""

import ast
import re
from pathlib import Path

import pytest

import agent_eval
from agent_eval import errors
from agent_eval.basics.resources import shipped
from agent_eval.cli.ending import code_of
from agent_eval.errors import AgentEvalError, Blame
from agent_eval.run.outcome import Outcome, outcome_of

PACKAGE = Path(agent_eval.__file__).parent

SIGNALS = {
    "AttemptFailed": "asked again, and in the end ModelUnavailable",
    "ContextOverflow": "asked again with less, and in the end ContextFull",
    "BadFrame": "the pipe ends the sandbox for it",
    "NotAMessage": "the source of the kernel record breaks off for it",
    "_Unusable": "the person is asked again, with what is wrong with the decision",
    "HTTPException": "the framework of the world's services answers with it",
    "Refused": "the cloud answers with it",
    "EmulatorBroken": "the cloud answers 503 and puts trouble on record",
    "NotHoused": "the cloud ends the machine, and says so on record",
    "NotNow": "the service of people answers with it",
    "NoAnswer": "the person stays silent",
    "NotSo": "the job market answers with it",
    "NotOffered": "the language-model API answers with it",
    "BadPosting": "the service that asked for it answers with it",
    "NoSuchAccount": "the same",
    "NoMoney": "the same",
    "NothingToDo": "the drill is on record as one that met nothing",
    "NotInForm": "the answer of a judge that is none is counted as such",
    "ConnectError": "the visiting person finds no page",
}
"""Exceptions of ours outside the tree: each is caught by the module beside it."""

BUILT_IN = {
    "ValueError": "a caller's fault, or caught by the parser beside it",
    "TypeError": "the same",
    "OSError": "explained by the block around it",
    "AssertionError": "what cannot happen",
    "RuntimeError": "a control's own fault, which is the scenario author's",
    "PermissionError": "the emulator's own way out, refused in its process",
    "ConnectionRefusedError": "whoever dials a port inside is told by it that nobody listens",
    "ConnectionAbortedError": "the gateway breaks a stream off with it",
}


def tree(error: type[AgentEvalError]) -> list[type[AgentEvalError]]:
    return [error, *(each for below in error.__subclasses__() for each in tree(below))]


NAMES = {error.__name__ for error in tree(AgentEvalError)}


def test_the_drawing_names_everybody_who_is_to_blame() -> None:
    """A blame in the drawing holds for all below it, and is the one that the class has."""
    inherited: dict[int, str] = {}
    drawn = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^([ │├└─]*)─ (\w+) +(\S.*?)(?:   .*)?$", line)
        if not found:
            continue
        depth, name, first = len(found[1]), found[2], found[3]
        if first in {str(blame) for blame in Blame}:
            inherited[depth] = first
            drawn[name] = first
        else:
            drawn[name] = inherited[max(each for each in inherited if each < depth)]
    assert drawn == {error.__name__: str(error.blame) for error in tree(AgentEvalError)[1:]}


def test_whatever_is_raised_has_a_blame_or_is_caught_beside() -> None:
    known = NAMES - {"AgentEvalError", "InfrastructureError"} | SIGNALS.keys() | BUILT_IN.keys()
    without = []
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
                continue
            module, _, name = ast.unparse(node.exc.func).rpartition(".")
            if module.startswith("click") or name.lstrip("_").islower():
                continue  # click's own, and functions that make one of ours
            if name not in known:
                without.append(f"{file.relative_to(PACKAGE)}:{node.lineno}: {name}")
    assert without == []


def test_every_signal_is_still_there() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py"))
    for name in (*SIGNALS, *BUILT_IN):
        assert re.search(rf"raise (\w+\.)?{name}\(", text), name


def made(error: type[AgentEvalError]) -> AgentEvalError:
    return error("usd", "x") if issubclass(error, errors.LimitReached) else error("x")


@pytest.mark.parametrize("error", tree(AgentEvalError), ids=lambda error: error.__name__)
def test_every_error_becomes_an_outcome_with_blame_and_exit_code(
    error: type[AgentEvalError],
) -> None:
    outcome = outcome_of(made(error))
    assert outcome.blame == error.blame
    assert outcome.counts == (error.blame in (Blame.MODEL, Blame.LIMIT))
    assert code_of(outcome) in (0, 2, 3, 4, 130)


def test_the_table_of_outcomes_in_the_docs_is_what_the_code_does() -> None:
    page = shipped("scenarios").parent / "docs" / "record.md"
    rows = re.findall(
        r"^\| `(\w+)` \| ([\w ]+) \| [^|]+ \| (\d+) \| (yes|no) \|$",
        page.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    stated = set(re.findall(r"\w+", _status_words())) - {"or"}
    assert {status for status, *_ in rows} == stated
    for status, blame, code, counts in rows:
        outcome = Outcome(status, None if blame == "nobody" else Blame(blame))
        assert code_of(outcome) == int(code), status
        assert outcome.counts == (counts == "yes"), status
    assert {blame for status, blame, *_ in rows if status == "error"} == {str(b) for b in Blame}


def _status_words() -> str:
    """What `Outcome.status` says it can be."""
    text = PACKAGE.joinpath("run/outcome.py").read_text(encoding="utf-8")
    found = re.search(r'status: str\n    """(.*?)\.', text, re.DOTALL)
    assert found
    return found[1]
