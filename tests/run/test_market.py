"""Who thinks for programs in the world, and on whose account."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from agent_eval.agent.instructions import read_instructions
from agent_eval.errors import LimitReached, OperatorError, UnknownPrice
from agent_eval.person.steering import Steering
from agent_eval.record.budget import Account, Amounts, Roles, limits_of
from agent_eval.run.market import thinking_for
from agent_eval.run.plan import Plan
from agent_eval.scenario.market import Lm
from tests.helpers import ModelInMemory, loaded

SCRIPTS = """
from agent_eval.models.control import say

def friend(task):
    yield say("a friend")
"""


def plan_in(folder: Path) -> Plan:
    scenario = loaded(folder)
    scenario.folder.joinpath("controls.py").write_text(SCRIPTS)
    model = ModelInMemory([])
    return Plan(scenario, model, read_instructions(scenario), folder / "runs", [], {})


@pytest.mark.anyio
async def test_the_model_under_test_thinks_on_the_runs_own_budget(tmp_path: Path) -> None:
    plan, account = plan_in(tmp_path), Account("0", limits_of({"tokens": 100}))
    found = thinking_for(Lm(), plan, account, Steering(), Roles(1.0))
    assert found.served_by == "subject"
    assert found.model is plan.model
    assert found.account is account


@pytest.mark.anyio
async def test_a_stand_in_thinks_on_an_account_of_its_own(tmp_path: Path) -> None:
    plan, account = plan_in(tmp_path), Account("0", limits_of({"tokens": 100}))
    asked, roles = Lm(model="control:friend", stand_in_tokens=50), Roles(0.25)
    found = thinking_for(asked, plan, account, Steering(), roles)
    assert found.account is roles.of("lm"), "what it spends is in the run's totals, by its role"
    assert found.account.free("usd") == Decimal("0.25"), "the smaller of two limits holds"
    assert (found.served_by, found.model.name) == ("stand-in", "control:friend")
    assert found.account is not account
    with pytest.raises(LimitReached):
        found.account.reserve(Amounts(input_tokens=51))
    with pytest.raises(OperatorError):
        thinking_for(Lm(model="control:nobody"), plan, account, Steering(), Roles(1.0))


@pytest.mark.anyio
async def test_a_stand_in_without_a_price_is_refused_where_its_limit_could_not_be_held(
    tmp_path: Path,
) -> None:
    plan, account = plan_in(tmp_path), Account("0", {})
    unpriced = ModelInMemory([], price=None)
    plan = replace(plan, named=lambda _: unpriced)
    for asked, usd in (
        (Lm(model="openai/x"), None),
        (Lm(model="openai/x", stand_in_usd=None), 1.0),
    ):
        with pytest.raises(UnknownPrice, match=r"for 'openai/x', which .*--prices FILE"):
            thinking_for(asked, plan, account, Steering(), Roles(usd))
    free = Lm(model="openai/x", stand_in_usd=None)
    assert thinking_for(free, plan, account, Steering(), Roles(None)).model is unpriced
