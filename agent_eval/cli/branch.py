"""`agent-eval branch`: a new run that goes on from an event of another one."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from agent_eval.cli.again import Wanted, goes_on, plan_again, redo_of
from agent_eval.cli.run import one, told
from agent_eval.errors import OperatorError
from agent_eval.past.branch import Branching, branch_run
from agent_eval.person.steering import Steering
from agent_eval.record.rebuild import rebuilt
from agent_eval.run.plan import Plan
from agent_eval.run.run import Result


@click.command("branch")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--at", required=True, type=click.IntRange(0), metavar="SEQ",
              help="The event to go on from, by the number at its line in `show`.")  # fmt: skip
@click.option("--model", "-m", help="Another model, named as in `run`.")
@click.option("--system", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Another system prompt.")  # fmt: skip
@click.option("--edit", "edits", multiple=True, metavar="INDEX=TEXT",
              help="Another text for a message of the first agent; or =@FILE.")  # fmt: skip
@click.option("--runs", type=click.Path(file_okay=False, path_type=Path),
              help="Where the branch's folder goes; usually beside RUN.")  # fmt: skip
@goes_on
def command(
    run: Path, at: int, edits: tuple[str, ...], ignore: tuple[str, ...], allow_differences: bool,
    **given: object,
) -> None:  # fmt: skip
    """Make a new run that goes on from event SEQ of the folder RUN.

    It has the messages, budget, agents and sandboxes of that moment. A sandbox begins as the
    nearest snapshot with memory before it, or anew, and the actions after that are done again and
    compared with the record, as `resume` does. A call or an action that was under way then is made
    anew.
    """
    folder, wanted = run.absolute(), Wanted(**given)  # type: ignore[arg-type]
    plan = plan_again(folder, rebuilt(folder, at), replace(wanted, changes=True), at)
    changed = {0: plan.instructions.system} if wanted.system else {}
    branching = Branching(
        redo=redo_of(folder, plan.redactor, ignore),
        at=at,
        edits=changed | _edits(edits),
        another_model=wanted.model is not None,
        allow_differences=allow_differences,
    )

    async def act(watched: Plan, steering: Steering) -> Result:
        return await branch_run(watched, branching, steering)

    raise click.exceptions.Exit(told(partial(one, plan, act), plan.runs))


def _edits(given: Sequence[str]) -> dict[int, str]:
    edits = {}
    for each in given:
        index, separator, text = each.partition("=")
        if not separator or not index.isdigit():
            raise OperatorError(f"--edit {each}: write INDEX=TEXT, or INDEX=@FILE")
        if text.startswith("@"):
            try:
                text = Path(text[1:]).read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                raise OperatorError(f"--edit {each}: {error}") from error
        edits[int(index)] = text
    return edits
