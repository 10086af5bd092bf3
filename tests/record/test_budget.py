"""The ledger: nothing is lost, nothing is spent twice, no limit is passed."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent_eval.errors import Blame, LimitReached
from agent_eval.record.budget import (
    LIMITED,
    SHARED,
    ZERO,
    Account,
    Amounts,
    Hold,
    Limits,
    Roles,
    limits_of,
    plain,
)
from agent_eval.scenario.model import Budget

COUNTS = st.integers(0, 40)
DECIMALS = st.decimals(0, 40, places=6)
AMOUNTS = st.builds(
    Amounts,
    input_tokens=COUNTS,
    cached_input_tokens=COUNTS,
    output_tokens=COUNTS,
    reasoning_tokens=COUNTS,
    usd=DECIMALS,
    steps=COUNTS,
    tool_s=DECIMALS,
    wall_s=DECIMALS,
    output_bytes=COUNTS,
)
LIMITS = st.dictionaries(st.sampled_from([n for n in LIMITED if n not in SHARED]), DECIMALS)


def total(amounts: list[Amounts]) -> Amounts:
    return sum(amounts, Amounts())


def state_of(account: Account) -> Any:
    return (account.spent, account.reserved, dict(account.granted))


class Tree(RuleBasedStateMachine):
    """Random reserving, settling, granting and closing over a tree of accounts."""

    def __init__(self) -> None:
        super().__init__()
        limits = dict.fromkeys(LIMITED, Decimal(150)) | {"steps": Decimal(90)}
        del limits["wall_s"]
        self.root = Account("0", limits)
        self.open: list[tuple[Account, Account | None]] = [(self.root, None)]
        self.holds: list[tuple[Account, Hold]] = []
        self.booked: list[Amounts] = []
        """All that was ever settled or spent, anywhere."""
        self.over = False
        """Whether something was settled above its reservation: then limits may be passed."""

    def pick(self, data: st.DataObject) -> tuple[Account, Account | None]:
        return data.draw(st.sampled_from(self.open))

    @rule(data=st.data(), amounts=AMOUNTS)
    def reserve(self, data: st.DataObject, amounts: Amounts) -> None:
        account, _ = self.pick(data)
        before = state_of(account)
        free = {name: account.free(name) for name in LIMITED}
        short = [
            name
            for name in LIMITED
            if (left := free[name]) is not None and getattr(amounts, name) > left
        ]
        try:
            self.holds.append((account, account.reserve(amounts)))
        except LimitReached as error:
            assert error.limit == short[0], "the first limit in the way is named"
            assert error.blame is Blame.LIMIT
            assert state_of(account) == before, "a refused reservation changes nothing"
        else:
            assert not short
            assert account.reserved == before[1] + amounts

    @precondition(lambda self: bool(self.holds))
    @rule(data=st.data(), share=st.decimals(0, 1, places=2), more=AMOUNTS | st.none())
    def settle(self, data: st.DataObject, share: Decimal, more: Amounts | None) -> None:
        account, hold = self.holds.pop(data.draw(st.integers(0, len(self.holds) - 1)))
        if more is None:  # at most what was set aside
            held = hold.amounts
            steps, read = int(held.steps * share), int(held.input_tokens * share)
            spent = Amounts(input_tokens=read, steps=steps, usd=held.usd * share)
        else:
            spent = more
            self.over = True
        before = account.spent
        hold.settle(spent)
        self.booked.append(spent)
        assert account.spent == before + spent
        after = state_of(account)
        with pytest.raises(ValueError, match="ended already"):
            hold.settle(spent)
        with pytest.raises(ValueError, match="ended already"):
            hold.release()
        assert state_of(account) == after, "a second settling changes nothing"

    @precondition(lambda self: bool(self.holds))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        account, hold = self.holds.pop(data.draw(st.integers(0, len(self.holds) - 1)))
        before = account.spent
        hold.release()
        assert account.spent == before

    @rule(data=st.data(), limits=LIMITS)
    def grant(self, data: st.DataObject, limits: Limits) -> None:
        account, _ = self.pick(data)
        name = f"{account.name}.{len(account.granted) + 1}"
        if name in account.granted:
            return
        free = {each: account.free(each) for each in LIMITED}
        before = state_of(account)
        try:
            child = account.grant(name, limits)
        except LimitReached as error:
            assert limits[error.limit] > (free[error.limit] or 0)
            assert state_of(account) == before, "a refused grant changes nothing"
            return
        self.open.append((child, account))
        for each in LIMITED:
            left = free[each]
            if left is not None:
                wanted = limits.get(each, ZERO)
                assert account.free(each) == left - wanted, "taken at once"
                assert child.free(each) == wanted, "what was not asked for is a grant of nothing"

    @precondition(lambda self: len(self.open) > 1)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(1, len(self.open) - 1))
        child, parent = self.open[at]
        assert parent is not None
        if child.granted or any(account is child for account, _ in self.holds):
            before = state_of(parent)
            with pytest.raises(ValueError, match="still has"):
                parent.close(child)
            assert state_of(parent) == before
            return
        before_spent, free = parent.spent, {each: parent.free(each) for each in LIMITED}
        parent.close(child)
        del self.open[at]
        assert parent.spent == before_spent + child.spent
        for each, left in free.items():
            if left is not None and not self.over:
                unspent = child.limits[each] - getattr(child.spent, each)
                assert parent.free(each) == left + unspent, "what is left comes back"
        with pytest.raises(ValueError, match="no open grant"):
            parent.close(child)

    @invariant()
    def nothing_is_lost(self) -> None:
        held = {id(account): Amounts() for account, _ in self.open}
        for account, hold in self.holds:
            held[id(account)] += hold.amounts
        for account, _ in self.open:
            assert account.reserved == held[id(account)]
            for name, limit in account.limits.items():
                granted = sum((grant[name] for grant in account.granted.values()), ZERO)
                used = getattr(account.spent, name) + getattr(account.reserved, name) + granted
                free = account.free(name)
                assert free is not None
                assert free == max(limit - used, ZERO), "limit = spent + reserved + granted + free"
                assert used <= limit or self.over
        assert total([account.spent for account, _ in self.open]) == total(self.booked)

    def teardown(self) -> None:
        for _, hold in self.holds:
            hold.settle(hold.amounts)
            self.booked.append(hold.amounts)
        for child, parent in reversed(self.open[1:]):
            assert parent is not None
            parent.close(child)
        assert self.root.spent == total(self.booked), "after all is closed the root has it all"
        assert self.root.reserved == Amounts()
        assert not self.root.granted


TestTree = Tree.TestCase
TestTree.settings = settings(deadline=None, max_examples=40, stateful_step_count=30)


@given(LIMITS, AMOUNTS)
def test_settling_above_the_reservation_leaves_nothing_free_and_never_less(
    limits: Limits, spent: Amounts
) -> None:
    account = Account("0", limits)
    account.spend(spent)
    for name in LIMITED:
        free = account.free(name)
        assert (free is None) == (name not in limits)
        assert free is None or free >= 0
        over = name in limits and getattr(spent, name) >= limits[name]
        assert (free == 0) == over
    first = account.exhausted()
    assert first == next((name for name in LIMITED if account.free(name) == 0), None)
    if first is not None:
        change: dict[str, Any] = {{"tokens": "input_tokens"}.get(first, first): 1}
        one_of = replace(Amounts(), **change)
        with pytest.raises(LimitReached, match="is left of"):
            account.reserve(one_of)


def test_a_limit_can_be_used_up_to_the_last_unit() -> None:
    account = Account("0", limits_of({"usd": 0.3, "steps": 3, "tokens": None}))
    for _ in range(3):
        account.reserve(Amounts(usd=Decimal("0.1"), steps=1, input_tokens=10**9)).settle(
            Amounts(usd=Decimal("0.1"), steps=1)
        )
    assert account.free("usd") == 0, "decimals do not drift as floats would"
    assert account.exhausted() == "usd"
    with pytest.raises(LimitReached, match=r"usd: .* 0.01 and 0 is left of 0.3"):
        account.reserve(Amounts(usd=Decimal("0.01")))
    account.reserve(Amounts()).release()


def test_tokens_are_those_read_and_written() -> None:
    account = Account("0", {"tokens": Decimal(10), "output_tokens": Decimal(4)})
    with pytest.raises(LimitReached) as caught:
        account.reserve(Amounts(input_tokens=6, output_tokens=5))
    assert caught.value.limit == "tokens"
    with pytest.raises(LimitReached) as caught:
        account.reserve(Amounts(input_tokens=1, output_tokens=5))
    assert caught.value.limit == "output_tokens"
    account.reserve(Amounts(input_tokens=6, output_tokens=4, cached_input_tokens=10**6))


def test_what_makes_no_sense_is_refused_and_changes_nothing() -> None:
    account = Account("0", {"steps": Decimal(5)})
    other = Account("1", {"steps": Decimal(5)})
    child = account.grant("0.1", {"steps": Decimal(2)})
    before = state_of(account)
    for act in (
        lambda: account.reserve(Amounts(steps=-1)),
        lambda: account.reserve(Amounts(usd=Decimal("-0.01"))),
        lambda: account.grant("0.2", {"steps": Decimal(-3)}),
        lambda: account.grant("0.1", {"steps": Decimal(1)}),
        lambda: other.close(child),
    ):
        with pytest.raises(ValueError, match=r"zero|open"):
            act()
        assert state_of(account) == before


def test_records_hold_what_is_not_zero_as_json_values() -> None:
    account = Account("0", {})
    account.spend(Amounts(input_tokens=5, output_tokens=2, usd=Decimal("0.25"), tool_s=Decimal(0)))
    assert account.record() == {"input_tokens": 5, "output_tokens": 2, "usd": 0.25, "tokens": 7}
    assert Account("0", {}).record() == {"tokens": 0}
    assert (plain(3), plain(Decimal("1.5"))) == (3, 1.5)
    limits = limits_of(Budget(usd=0.1, steps=None).model_dump())
    assert limits["usd"] == Decimal("0.1")
    assert "steps" not in limits
    assert set(limits) <= set(LIMITED)


def test_models_beside_the_one_under_test_have_caps_of_their_own() -> None:
    run, roles = Account("0", limits_of({"usd": 1.0})), Roles(0.5)
    grader = roles.of("grader")
    grader.reserve(Amounts(usd=Decimal("0.4"))).settle(Amounts(output_tokens=7, usd=Decimal("0.4")))
    with pytest.raises(LimitReached, match="usd"):
        grader.reserve(Amounts(usd=Decimal("0.2")))
    assert roles.of("grader") is grader
    roles.of("world").reserve(Amounts(usd=Decimal("0.5"))).release()
    assert run.free("usd") == 1, "none of it is the agents'"
    spent = {"output_tokens": 7, "usd": 0.4, "tokens": 7}
    assert roles.record() == {"grader": spent}, "a role that spent nothing is left out"
    Roles(None).of("grader").reserve(Amounts(usd=Decimal(1000)))
    for own, usd in (("0.2", "0.2"), ("9", "0.5")):
        tight = Roles(0.5).of("persons", limits_of({"usd": float(own), "tokens": 7}))
        assert (tight.free("usd"), tight.free("tokens")) == (Decimal(usd), Decimal(7))
    gone_on_with = Roles(0.5, {"persons": Amounts(usd=Decimal("0.4"))}).of("persons")
    assert gone_on_with.free("usd") == Decimal("0.1"), "what was spent before counts"
