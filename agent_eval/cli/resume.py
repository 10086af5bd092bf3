"""`agent-eval resume`: going on with a run whose process was killed."""

import sys
from dataclasses import replace
from pathlib import Path

import click

from agent_eval.cli.again import Wanted, goes_on, plan_again, redo_of
from agent_eval.cli.run import guard, one
from agent_eval.cli.voice import lasting
from agent_eval.past.resume import Wishes, resume_run
from agent_eval.person.decisions import Scripted, read_decisions
from agent_eval.person.steering import Steering
from agent_eval.record.rebuild import rebuilt
from agent_eval.run.plan import Plan
from agent_eval.run.run import Result


@click.command("resume")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--models", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The list of models that the run was started with.")  # fmt: skip
@click.option("--system", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The system prompt that the run was started with.")  # fmt: skip
@click.option("--redo", "anew", is_flag=True,
              help="Do the actions again even where the sandbox still stands.")  # fmt: skip
@click.option("--approve-with", type=click.Path(exists=True, path_type=Path), metavar="FILE",
              help="The decisions it was started with; those taken are left out.")  # fmt: skip
@goes_on
def command(
    run: Path, ignore: tuple[str, ...], allow_differences: bool, anew: bool,
    approve_with: Path | None, **given: object,
) -> None:  # fmt: skip
    """Go on with the folder RUN, whose process or machine was lost before the run ended.

    Messages, budget and agents are taken from the transcript. A sandbox under gVisor that still
    stands goes on with all that it was. Else the recorded actions are done again in a new one, and
    what comes back is compared with the record: a difference is recorded, shown, and ends the
    command with 4, unless --allow-differences is given. A model call that was
    under way is settled at all that was set aside for it and made again; an action that was under
    way is ended, and the model is told so.
    """
    folder = run.absolute()
    state = rebuilt(folder)
    plan = plan_again(folder, state, Wanted(**given), guard)  # type: ignore[arg-type]
    if approve_with is not None:
        person = Scripted(*read_decisions(approve_with))
        person.go_on(folder)
        plan = replace(plan, person=person)
    wishes = Wishes(redo_of(folder, plan.redactor, ignore), allow_differences, anew)

    async def act(watched: Plan, steering: Steering) -> Result:
        return await resume_run(watched, folder, wishes, steering)

    with lasting(sys.stdout, sys.stderr):
        code = one(plan, act)
    raise click.exceptions.Exit(code)
