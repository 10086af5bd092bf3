"""How a run ended, and who is to blame."""

import pytest

from agent_eval import errors
from agent_eval.errors import AgentEvalError, Blame
from agent_eval.run.outcome import Outcome, outcome_of


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (
            errors.LimitReached("usd", "nothing left"),
            Outcome("limit", "limit", "usd", "LimitReached", "nothing left"),
        ),
        (
            errors.ContextFull("full"),
            Outcome("context_full", "limit", None, "ContextFull", "full"),
        ),
        (
            errors.Overspent("tokens", "billed too much"),
            Outcome("limit", "limit", "tokens", "Overspent", "billed too much"),
        ),
        (errors.GaveUp("idle"), Outcome("gave_up", "model", None, "GaveUp", "idle")),
        (errors.Stopped("s"), Outcome("stopped", "operator", None, "Stopped", "s")),
        (
            errors.RequestRefused("no"),
            Outcome("error", "operator", None, "RequestRefused", "no"),
        ),
        (
            errors.ScenarioError("bad"),
            Outcome("error", "scenario author", None, "ScenarioError", "bad"),
        ),
        (
            errors.SandboxDied("gone", Blame.MODEL),
            Outcome("error", "model", None, "SandboxDied", "gone"),
        ),
        (
            errors.SandboxDied("gone"),
            Outcome("error", "infrastructure", None, "SandboxDied", "gone"),
        ),
    ],
)
def test_every_error_has_an_outcome_and_a_blame(error: AgentEvalError, outcome: Outcome) -> None:
    got = outcome_of(error)
    assert got == outcome
    assert got.record() == {name: value for name, value in vars(outcome).items() if value}


def test_an_answer_has_nobody_to_blame() -> None:
    assert Outcome("submitted").record() == {"status": "submitted"}


def tree(error: type[AgentEvalError]) -> list[type[AgentEvalError]]:
    return [error, *(each for below in error.__subclasses__() for each in tree(below))]


def test_the_drawn_tree_of_errors_is_the_real_one() -> None:
    drawing = errors.__doc__ or ""
    for error in tree(AgentEvalError):
        assert f" {error.__name__} " in drawing.replace("\n", " \n"), error
        assert isinstance(error.blame, Blame)
        assert error.__doc__
    only_model_and_limit = {
        error.__name__
        for error in tree(AgentEvalError)
        if error.blame in (Blame.MODEL, Blame.LIMIT)
    }
    assert only_model_and_limit == {"GaveUp", "LimitReached", "Overspent", "ContextFull"}
