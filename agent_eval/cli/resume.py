"""`agent-eval resume`: going on with a run whose process was killed."""

import sys
from dataclasses import replace
from pathlib import Path

import click

from agent_eval.cli.again import Wanted, plan_again, redo_of
from agent_eval.cli.run import guard, one
from agent_eval.cli.voice import lasting
from agent_eval.past.resume import Wishes, resume_run
from agent_eval.person.decisions import Scripted, read_decisions
from agent_eval.person.steering import Steering
from agent_eval.record.rebuild import rebuilt
from agent_eval.run.plan import LEASE_S, Plan
from agent_eval.run.run import Result


@click.command("resume")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--scenario", help="Where the scenario is now, if it is not where it was.")
@click.option("--models", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The list of models that the run was started with.")  # fmt: skip
@click.option("--prices", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The file of price cards.")  # fmt: skip
@click.option("--system", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The system prompt that the run was started with.")  # fmt: skip
@click.option("--key", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A file with a key to sign the record with.")  # fmt: skip
@click.option("--lease", "lease_s", default=LEASE_S, type=click.FloatRange(0, 1e6), metavar="S",
              help="As in `run`.", show_default=True)  # fmt: skip
@click.option("--ignore", multiple=True, metavar="REGEX",
              help="What does not matter in compared output; may be given again.")  # fmt: skip
@click.option("--allow-differences", is_flag=True,
              help="Go on though actions that are done again come out otherwise.")  # fmt: skip
@click.option("--redo", "anew", is_flag=True,
              help="Do the actions again even where the sandbox still stands.")  # fmt: skip
@click.option("--approve-with", type=click.Path(exists=True, path_type=Path), metavar="FILE",
              help="The decisions it was started with; those taken are left out.")  # fmt: skip
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
