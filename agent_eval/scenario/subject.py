"""Another program as the subject of a scenario, in the place of this program's own loop."""

from pydantic import Field

from agent_eval.scenario.folk import Name
from agent_eval.scenario.part import Part, Text
from agent_eval.scenario.world import World


class Subject(Part):
    """A program that thinks through the world's language-model API and acts by itself.

    It is run once, in the home folder, as the agent's user; the run ends when it does. It finds
    OPENAI_BASE_URL and OPENAI_API_KEY (of an account of that API), MODEL and TASK in its
    environment, and what it writes last, in one line, is its answer.
    """

    command: Text
    """What is typed into bash to start it."""
    account: Name | None = Field(default=None)
    """Whose key it is given, by name; left out, the first of the API's accounts."""


def refuse_unless_hosted(
    subject: Subject | None, world: World | None, record: str, *, own: bool
) -> None:
    """Raise `ValueError` where the rest of a scenario does not do for such a subject.

    `own` says whether there is what only this program's loop has: copies, approval.
    """
    if subject is not None and (why := _against(subject, world, record, own=own)):
        raise ValueError(f"subject: {why}")


def _against(subject: Subject, world: World | None, record: str, *, own: bool) -> str | None:
    lm = world.lm if world else None
    if world is None or lm is None or lm.model is not None:
        return "it thinks through world.lm, with the model under test: name no stand-in there"
    account = lm.accounts.get(subject.account or next(iter(lm.accounts), ""))
    if account is None or not account.keys:
        return "world.lm.accounts has no such account with a key that it could be given"
    if record != "required":
        return "what it does only the kernel record tells: write `sandbox: {record: required}`"
    if own:
        return "copies and approval are for this program's own loop"
    if any(drill.announcement is not None for drill in world.drills):
        return "it reads no announcements of drills"
    return None
