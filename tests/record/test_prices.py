"""Price cards: exact, dated, and never guessed."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.basics.conversation import Usage
from agent_eval.errors import Blame, OperatorError, UnknownPrice
from agent_eval.record.prices import FREE, PriceCard, price_of, read_cards

CARD = "{input: 2.5, cached: 1.25, output: 10, as_of: '2026-01-01', source: a page}"
PRICES = st.decimals(0, 100, places=3)


def test_every_card_that_ships_says_when_and_from_where() -> None:
    cards = read_cards()
    assert {"gpt-4o", "gpt-4o-mini"} <= set(cards)
    for name, card in cards.items():
        assert card.input > 0, name
        assert 0 <= card.cached <= card.input, name
        assert card.output >= card.input, name
        assert len(card.as_of) == len("2026-01-31"), name
        assert card.source, name


def test_a_cost_counts_fresh_cached_and_written_tokens_each_at_their_price() -> None:
    card = PriceCard(Decimal("2.5"), Decimal("1.25"), Decimal(10), "d", "s")
    usage = Usage(input_tokens=1000, output_tokens=100, cached_input_tokens=400)
    assert card.cost(usage) == Decimal("0.003")
    assert card.worst(1000, 100) == Decimal("0.0035")
    assert card.record() == {
        "input": "2.5",
        "cached": "1.25",
        "output": "10",
        "as_of": "d",
        "source": "s",
    }
    assert FREE.worst(10**9, 10**9) == 0


@given(PRICES, PRICES, PRICES, *[st.integers(0, 10**7)] * 4)
def test_no_call_costs_more_than_the_worst_that_was_set_aside(
    read: Decimal, cached: Decimal, written: Decimal, fresh: int, hit: int, out: int, more: int
) -> None:
    card = PriceCard(read, cached, written, "d", "s")
    cost = card.cost(Usage(fresh + hit, out, hit))
    assert 0 <= cost <= card.worst(fresh + hit, out) <= card.worst(fresh + hit + more, out + more)


def test_the_operators_own_cards_come_first(tmp_path: Path) -> None:
    own = tmp_path / "prices.yaml"
    own.write_text(f"gpt-4o: {CARD}\nmine: {CARD.replace('10', '0')}\n")
    card = price_of("gpt-4o", own, 1.0)
    assert card is not None
    assert (card.input, card.source) == (Decimal("2.5"), "a page")
    assert price_of("mine", own, 1.0) is not None
    shipped = price_of("gpt-4o", None, 1.0)
    assert shipped == read_cards()["gpt-4o"]


def test_an_unknown_price_refuses_under_a_limit_only() -> None:
    with pytest.raises(
        UnknownPrice, match=r"'nobody/knows'.*0.5 dollars.*--prices.*--usd none"
    ) as it:
        price_of("nobody/knows", None, 0.5)
    assert it.value.blame is Blame.OPERATOR
    with pytest.raises(UnknownPrice):
        price_of("nobody/knows", None, 0.0)
    assert price_of("nobody/knows", None, None) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "cannot be read as price cards"),
        (b"\xff", "cannot be read as price cards"),
        ("- a\n", "must map model names"),
        ("", "must map model names"),
        ("m: 5", "m: needs input"),
        ("m: []", "m: needs input"),
        ("m: {}", "KeyError: 'input'"),
        (f"m: {CARD}\nm: {CARD}", "cannot be read"),
        (f"m: {CARD.replace('2.5', '-1')}", "0 or more"),
        (f"m: {CARD.replace('2.5', '.nan')}", "0 or more"),
        (f"m: {CARD.replace('2.5', '.inf')}", "0 or more"),
        (f"m: {CARD.replace('2.5', 'cheap')}", "InvalidOperation"),
        (f"m: {CARD.replace('2.5', 'null')}", "InvalidOperation"),
        (f"m: {CARD.replace(', source: a page', '')}", "KeyError: 'source'"),
    ],
)
def test_a_wrong_file_of_prices_is_refused_by_name(
    tmp_path: Path, text: str | bytes, words: str
) -> None:
    file = tmp_path / "p.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(OperatorError, match=words) as caught:
        read_cards(file)
    assert str(caught.value).startswith(f"{file}:")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be read"):
        price_of("m", tmp_path / "none.yaml", None)
