"""The parts of a run's world that have money in them, and which model thinks for it.

Added to the world by `agent_eval.run.worlds`. The model under test answers at the world's
language-model API on the run's own budget; a stand-in has an account of its own.
"""

from agent_eval.person.steering import Steering
from agent_eval.record.budget import Account, Roles, limits_of
from agent_eval.record.prices import refuse_unpriced
from agent_eval.run.plan import Plan
from agent_eval.scenario.market import Lm
from agent_eval.world.services.bank import open_bank
from agent_eval.world.services.jobs import open_jobs
from agent_eval.world.services.lm_api import open_lm_api
from agent_eval.world.services.thinking import STAND_IN, SUBJECT, Thinking
from agent_eval.world.world import Builder


def furnish_market(
    builder: Builder, plan: Plan, account: Account, steering: Steering, roles: Roles
) -> None:
    """Add the bank, the language-model API and the job market, those that there are.

    The bank comes first: the others, and all who are paid, have accounts there.
    """
    asked = builder.asked
    if asked.bank is not None:
        builder.add("bank", open_bank(asked.bank, builder.around("bank")))
    if asked.lm is not None:
        thinking = thinking_for(asked.lm, plan, account, steering, roles)
        builder.add("lm", open_lm_api(asked.lm, builder.around("lm"), thinking))
    if asked.jobs is not None:
        builder.add("jobs", open_jobs(asked.jobs, builder.around("jobs")))


def thinking_for(
    asked: Lm, plan: Plan, account: Account, steering: Steering, roles: Roles
) -> Thinking:
    """Who answers at the language-model API, and on whose account."""
    arguments = plan.loaded.scenario.model
    if asked.model is None:
        who = SUBJECT, plan.model, arguments, account, plan.redactor
        return Thinking(*who, going=steering.going, recalled=plan.recalled)
    limits = limits_of({"usd": asked.stand_in_usd, "tokens": asked.stand_in_tokens})
    model = plan.model_of(asked.model)
    own = roles.of(STAND_IN, limits)
    refuse_unpriced("stand-in at world.lm", asked.model, model.price, own.limits.get("usd"))
    who = "stand-in", model, arguments, own, plan.redactor
    return Thinking(*who, going=steering.going, recalled=plan.recalled)
