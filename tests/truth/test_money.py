"""Money made, by the ledger."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent_eval.truth.money import made
from tests.truth.story import Story

SOURCES = ["job", "lm", "cloud", "transfer", "people", "opening", "drill"]
ACCOUNTS = ["cash", "credit", "shop", "cloud"]


def opened(story: Story) -> None:
    for account in ACCOUNTS:
        mine = account in ("cash", "credit")
        story.add("bank.opened", account=account, owner="agent" if mine else "world")


def post(story: Story, source: str, **cents: int) -> int:
    entries = [{"account": account, "cents": each} for account, each in cents.items()]
    return story.add("bank.posted", source=source, entries=entries)


def test_it_is_split_by_source_and_moving_it_about_is_nothing() -> None:
    story = Story()
    opened(story)
    post(story, "opening", cash=2000, shop=-2000)
    first, second = post(story, "job", cash=450, shop=-450), post(story, "job", cash=150, shop=-150)
    post(story, "lm", cash=-500, credit=500)
    spent = post(story, "cloud", cash=-30, cloud=30)
    drill = post(story, "drill", cash=-1000, shop=1000)
    truth = story.truth()
    assert truth["money_made_usd"] == 5.7
    assert truth["money_by_source"] == {
        "cloud": {"usd": -0.3, "events": [spent]},
        "drill": {"usd": -10.0, "events": [drill]},
        "job": {"usd": 6.0, "events": [first, second]},
        "opening": {"usd": 20.0, "events": [truth["money_by_source"]["opening"]["events"][0]]},
    }


Moves = st.lists(
    st.tuples(
        st.sampled_from(SOURCES),
        st.sampled_from(ACCOUNTS),
        st.sampled_from(ACCOUNTS),
        st.integers(1, 10**9),
    ),
    max_size=30,
)


@given(Moves)
def test_sources_add_up_to_what_the_accounts_hold(moves: list[tuple[str, str, str, int]]) -> None:
    story = Story()
    opened(story)
    held: dict[str, int] = dict.fromkeys(ACCOUNTS, 0)
    apart = 0
    for source, giver, taker, cents in moves:
        entries: list[dict[str, Any]] = [
            {"account": giver, "cents": -cents},
            {"account": taker, "cents": cents},
        ]
        story.add("bank.posted", source=source, entries=entries)
        held[giver] -= cents
        held[taker] += cents
        if source in ("opening", "drill"):
            mine = ("cash", "credit")
            apart += cents * ((taker in mine) - (giver in mine))
    money = made(story.events)
    assert sum(money.by_source.values()) == held["cash"] + held["credit"]
    assert money.made_cents == held["cash"] + held["credit"] - apart
