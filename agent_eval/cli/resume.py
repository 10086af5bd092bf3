"""`agent-eval resume`: going on with a run whose process was killed."""

from functools import partial
from pathlib import Path

import click

from agent_eval.cli.again import Wanted, goes_on, plan_again, redo_of
from agent_eval.cli.run import one, told
from agent_eval.past.resume import Wishes, resumable, resume_run
from agent_eval.person.steering import Steering
from agent_eval.run.plan import Plan
from agent_eval.run.run import Result


@click.command("resume")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--system", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The system prompt that the run was started with.")  # fmt: skip
@click.option("--redo", "anew", is_flag=True,
              help="Do the actions again even where the sandbox still stands.")  # fmt: skip
@goes_on
def command(
    run: Path, ignore: tuple[str, ...], allow_differences: bool, anew: bool, **given: object
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
    plan = plan_again(folder, resumable(folder), Wanted(**given))  # type: ignore[arg-type]
    wishes = Wishes(redo_of(folder, plan.redactor, ignore), allow_differences, anew)

    async def act(watched: Plan, steering: Steering) -> Result:
        return await resume_run(watched, folder, wishes, steering)

    raise click.exceptions.Exit(told(partial(one, plan, act), folder))
