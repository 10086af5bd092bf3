"""Paying for calls of a model: whatever becomes of them, the books balance."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.basics.conversation import Reply, Request, Usage
from agent_eval.errors import LimitReached, ModelUnavailable, Overspent, RequestRefused
from agent_eval.models.base import AttemptFailed, ContextOverflow
from agent_eval.models.paying import Paying, completed, usage_of
from agent_eval.record.budget import Account, Amounts, limits_of
from agent_eval.record.prices import PriceCard
from agent_eval.scenario.model import ModelArguments
from tests.helpers import ModelInMemory

CARD = PriceCard(Decimal(1000), Decimal(100), Decimal(4000), "d", "s")


def paying(usd: float | None = 1.0, **wanted: str) -> Paying:
    account = Account("role grader", limits_of({"usd": usd}))
    return Paying(account, ModelInMemory([], CARD), ModelArguments.model_validate(wanted))


ENDS: list[tuple[BaseException | None, str]] = [
    (None, "known"),
    (AttemptFailed("x", may_be_billed=True), "worst"),
    (AttemptFailed("x", may_be_billed=False), "nothing"),
    (ContextOverflow("x", may_be_billed=True), "worst"),
    (RequestRefused("x"), "nothing"),
    (ModelUnavailable("x"), "nothing"),
    (KeyboardInterrupt(), "worst"),
    (ValueError("x"), "worst"),
]


@given(
    calls=st.lists(
        st.tuples(st.sampled_from(ENDS), st.integers(0, 400), st.integers(1, 400)), max_size=12
    ),
    usd=st.floats(0, 2),
)
def test_nothing_stays_set_aside_and_no_limit_is_passed(
    calls: list[tuple[tuple[BaseException | None, str], int, int]], usd: float
) -> None:
    pays = paying(usd)
    expected = Amounts()
    for (error, what), reads, room in calls:
        worst = pays.worst(reads, room)
        known = pays.cost(Usage(reads // 2, room // 2), worst)
        before = pays.account.spent
        try:
            with pays.charged(worst) as charge:
                if error is not None:
                    raise error
                charge.spent = known
        except LimitReached:
            assert pays.account.spent == before
            continue
        except BaseException as raised:  # noqa: BLE001 - it is the one that was raised above
            assert raised is error
        expected += {"known": known, "worst": worst, "nothing": Amounts()}[what]
    assert pays.account.spent == expected
    assert pays.account.reserved == Amounts()
    assert pays.account.spent.usd <= Decimal(str(usd))


def test_a_server_that_does_not_count_is_paid_all_or_by_size_as_asked() -> None:
    request = Request((), (), {}, 400)
    usage = usage_of(Reply("x" * 40), request)
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (101, 11, True)
    worst = paying().worst(400, 100)
    assert paying().cost(usage, worst) == worst
    assert paying(missing_usage="estimated").cost(usage, worst).input_tokens == 101


def test_a_server_that_bills_beyond_its_cap_breaks_the_limit_aloud() -> None:
    pays = paying(0.5)
    with pays.charged(pays.worst(10, 10)) as charge:
        charge.spent = pays.cost(Usage(10, 1000), charge.spent)
    with pytest.raises(Overspent, match="the grader's server billed more"):
        pays.refuse_overspending("the grader's server")


@pytest.mark.anyio
async def test_words_for_a_full_window_are_told_apart() -> None:
    full = RequestRefused("maximum context length is 8192 tokens")
    with pytest.raises(ContextOverflow):
        await completed(ModelInMemory([full]), Request((), (), {}))
    with pytest.raises(RequestRefused):
        await completed(ModelInMemory([RequestRefused("no")]), Request((), (), {}))
