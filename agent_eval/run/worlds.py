"""The world of a run: opened before its first sandbox is up, closed after the last one is gone.

Here it is decided which services a scenario's world has, and each sandbox is given its end of it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from agent_eval.models.control import Control
from agent_eval.person.steering import Steering
from agent_eval.record.budget import Account, Roles
from agent_eval.record.transcript import Transcript
from agent_eval.run.folk import furnish_folk, let_people_out
from agent_eval.run.housing import Housing
from agent_eval.run.instances import furnish_cloud
from agent_eval.run.market import furnish_market
from agent_eval.run.plan import Plan
from agent_eval.scenario.world import World as Asked
from agent_eval.world.world import Builder, Means, opened


@dataclass(frozen=True)
class Ground:
    """What a run has that its world stands on."""

    plan: Plan
    transcript: Transcript
    account: Account
    steering: Steering
    housing: Housing
    began: datetime
    """The moment at which the run began, or the one that is done again."""
    roles: Roles = field(default_factory=lambda: Roles(None))
    """Who pays for stand-ins."""


@asynccontextmanager
async def standing(ground: Ground) -> AsyncIterator[None]:
    """Have the world of the scenario stand during the block, if it has one.

    The sandboxes that are brought up meanwhile are connected with it.
    """
    asked = ground.plan.scenario.world
    if asked is None:
        yield
        return
    means = Means(
        ground.transcript,
        ground.account,
        ground.steering.wall,
        ground.steering.clock,
        ground.began,
    )
    async with opened(_as_it_passes(asked, ground), means, partial(_furnish, ground)) as world:
        ground.housing.world = world
        let_people_out(world)
        try:
            yield
        finally:
            ground.housing.world = None


def _as_it_passes(asked: Asked, ground: Ground) -> Asked:
    """The world with the speed that its clock has for whoever plays, or had before."""
    past = ground.plan.past
    if past is not None and past.course is not None and past.course.speed is not None:
        return asked.model_copy(update={"speed": past.course.speed})
    if asked.speed_of_controls is None or not isinstance(ground.plan.model, Control):
        return asked
    return asked.model_copy(update={"speed": asked.speed_of_controls})


def _furnish(ground: Ground, builder: Builder) -> None:
    """Add the services that the scenario asks for; those that others pay through come first."""
    furnish_market(builder, ground.plan, ground.account, ground.steering, ground.roles)
    furnish_folk(builder, ground.plan, ground.steering, ground.roles)
    furnish_cloud(builder, ground.housing, ground.transcript, ground.account)
