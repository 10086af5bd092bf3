"""That a sandbox which has come up is what was asked for, before anything runs in it.

Used by `container`.
"""

from agent_eval.errors import NotAsAsked
from agent_eval.sandbox import pid1
from agent_eval.sandbox.audit import OUTSIDE, audit, refuse_unless_ok
from agent_eval.sandbox.engine import Container
from agent_eval.sandbox.rows import Row
from agent_eval.sandbox.settings import Asked
from agent_eval.sandbox.supervisor import Supervisor

SHELL = "bash"
"""The session that every sandbox has; the others begin when they are first used, and many never."""


async def proven(supervisor: Supervisor, container: Container, asked: Asked) -> list[Row]:
    """Start the shell, audit while it comes up, and let it answer once."""
    await supervisor.open(SHELL)
    await supervisor.rename(pid1.TITLE)
    rows = await audited(supervisor, container, asked)
    answer = await supervisor.settle(SHELL)
    if answer.session_lost or answer.reported_exit != 0:
        said = answer.output.decode(errors="replace")[-300:]
        raise NotAsAsked(
            f"the {SHELL} session does not answer in image {asked.image}: {said!r}. An "
            "image needs bash and Python 3.8 or later on its PATH"
        )
    return rows


async def audited(supervisor: Supervisor, container: Container, asked: Asked) -> list[Row]:
    """Audit it; raises `NotAsAsked` naming what is not as asked."""
    root, child = await supervisor.look(OUTSIDE)
    rows = audit(asked, await container.stated(), root, child)
    refuse_unless_ok(rows)
    return rows
