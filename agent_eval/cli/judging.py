"""Grading by rubric from the command line: who grades, by what, on whose account."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from os import environ
from pathlib import Path
from typing import Any

import anyio
import click

from agent_eval.errors import AgentEvalError, OperatorError
from agent_eval.models.base import Model
from agent_eval.models.catalogue import Catalogue, read_catalogue
from agent_eval.models.choose import endpoint_named, reached
from agent_eval.models.endpoint import Endpoint
from agent_eval.models.limiter import Limiters
from agent_eval.record.budget import Roles
from agent_eval.record.reading import read_events
from agent_eval.record.redact import Redactor, host_secrets
from agent_eval.rubrics.grading import Grader, grade_by_rubric
from agent_eval.rubrics.rubric import Rubric, read_rubric, shipped_names
from agent_eval.rubrics.votes import Voter
from agent_eval.rubrics.written import verdicts_by_rubric
from agent_eval.scenario.model import ModelArguments
from agent_eval.show.rubrics import rubric_lines

VOTES = 3


@dataclass(frozen=True)
class Asked:
    """What the command line asks of rubric graders."""

    grader: str | None = None
    """The model, by name."""
    rubrics: tuple[str, ...] = ()
    """By name or file; none: those that each run's scenario names."""
    votes: int = VOTES
    usd: float | None = None
    """Dollars for each run; None: what its scenario gives each role."""
    self_grading: bool = False
    unverified: bool = False
    models: Path | None = None
    prices: Path | None = None

    def catalogue(self) -> Catalogue | None:
        """The operator's list of models."""
        return read_catalogue(self.models) if self.models else None


OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--rubric", "rubrics", multiple=True, metavar="NAME|FILE",
                 help="Grade by this rubric; may be given again. Left out: those that the run's "
                      f"scenario names. There are {', '.join(shipped_names())}."),
    click.option("--grader", metavar="MODEL",
                 help="Who grades by rubric: openai/NAME, or a name in --models (there, "
                      "roles.grader is taken where this is left out)."),
    click.option("--votes", default=VOTES, type=click.IntRange(1, 99), show_default=True,
                 help="How often each text is graded, with the classes in another order."),
    click.option("--grader-usd", "usd", type=click.FloatRange(0), metavar="USD",
                 help="Dollars that the grader may spend on each run; the scenario's role_usd if "
                      "left out."),
    click.option("--allow-self-grading", "self_grading", is_flag=True,
                 help="Let the model under test grade itself; said with every verdict and rate."),
    click.option("--models", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                 help="A list of models, as for `agent-eval run`."),
    click.option("--prices", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                 help="A file of price cards, as for `agent-eval run`."),
)  # fmt: skip


def with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command with the options of rubric graders."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Judging:
    """Rubric graders that are ready: their model can be reached, and their rubrics can be read."""

    asked: Asked
    endpoint: Endpoint
    limiters: Limiters

    def lines(self, run: Path) -> Iterator[str]:
        """Grade a run and say what came of it."""
        anyio.run(self._graded, run, rubrics_for(self.asked.rubrics, run))
        yield from rubric_lines(verdicts_by_rubric(run))

    def lines_or_why_not(self, run: Path) -> Iterator[str]:
        """The same; where it cannot be, that is said, and nothing else is lost."""
        try:
            yield from self.lines(run)
        except (AgentEvalError, OSError) as error:
            yield f"not graded by rubric: {error}"

    async def _graded(self, run: Path, rubrics: Sequence[Rubric]) -> None:
        usd = self.asked.usd if self.asked.usd is not None else role_usd_of(run)
        wanted = ModelArguments.model_validate(self.endpoint.arguments)
        model = self.model(usd, wanted)
        also = self.endpoint.key_variable
        known = {**environ, "model address": self.endpoint.address}
        redactor = Redactor(host_secrets(known, *([also] if also else [])))
        voter = Voter(model, wanted, Roles(usd).of("grader"), redactor)
        grader = Grader(
            voter, self.asked.votes, usd, self.asked.self_grading, self.asked.unverified
        )
        try:
            for rubric in rubrics:
                await grade_by_rubric(run, rubric, grader)
        finally:
            await model.close()

    def model(self, usd: float | None, wanted: ModelArguments) -> Model:
        """The model; raises `UnknownPrice` where a dollar limit could not be held."""
        return reached(self.endpoint, wanted, self.asked.prices, usd, self.limiters)


def judging(asked: Asked, catalogue: Catalogue | None) -> Judging | None:
    """Rubric graders as asked; None where no grader is named.

    Raises `OperatorError` for one that is none, and `RuleError` for a rubric that is none.
    """
    name = asked.grader or (catalogue.grader if catalogue and asked.rubrics else None)
    if name is None:
        if asked.rubrics:
            raise OperatorError(
                "a rubric needs a model that grades by it: --grader openai/NAME, or roles.grader "
                "in the file that --models gives"
            )
        return None
    endpoint = endpoint_named(name, catalogue)
    if endpoint is None:
        raise OperatorError(
            f"{name!r} names no model that can grade: openai/NAME for a server that speaks "
            "OpenAI's API, or a name in the file that --models gives"
        )
    for each in asked.rubrics:
        read_rubric(each)
    return Judging(asked, endpoint, Limiters())


def rubrics_for(named: Iterable[str], run: Path) -> list[Rubric]:
    """The rubrics to grade a run by: those named, or those that its scenario names."""
    names = list(named) or rubrics_of(run)
    if not names:
        raise OperatorError(
            f"the scenario of {run} names no rubrics (grading.rubrics): --rubric NAME does; there "
            f"are {', '.join(shipped_names())}"
        )
    return [read_rubric(name) for name in dict.fromkeys(names)]


def rubrics_of(run: Path) -> list[str]:
    """The rubrics that a run's scenario names."""
    grading = _resolved(run).get("grading")
    named = grading.get("rubrics") if isinstance(grading, dict) else None
    return [str(name) for name in named] if isinstance(named, list) else []


def role_usd_of(run: Path) -> float | None:
    """Dollars that the scenario of a run gives each model beside the one under test."""
    usd = _resolved(run).get("role_usd", 1.0)
    return float(usd) if isinstance(usd, int | float) else None


def _resolved(run: Path) -> dict[str, Any]:
    opened = next((each for each in read_events(run) if each["kind"] == "run.opened"), {})
    scenario = opened.get("scenario")
    found = scenario.get("resolved") if isinstance(scenario, dict) else None
    return found if isinstance(found, dict) else {}


AfterRun = Callable[[Path], Iterable[str]]
"""What is said of a run that has ended, beside its findings."""


def after_run(asked: Asked, catalogue: Catalogue | None) -> AfterRun | None:
    """Grades runs as they end, if a grader is asked for."""
    ready = judging(asked, catalogue)
    return partial(Judging.lines_or_why_not, ready) if ready else None
