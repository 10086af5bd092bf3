"""Options: which replies come to the same, which is likeliest, what it costs to pick one."""

from math import log2

from hypothesis import given
from hypothesis import strategies as st

from agent_eval.basics.conversation import Reply, ToolCall
from agent_eval.person.options import choice_bits, listed, ranked
from tests.helpers import TEXTS


def reply(text: str, *codes: str) -> Reply:
    calls = tuple(ToolCall(f"c{n}", "bash", f'{{"command": "{c}"}}') for n, c in enumerate(codes))
    return Reply(text=text, calls=calls)


def test_what_asks_for_the_same_is_one_option_and_the_frequent_comes_first() -> None:
    replies = [reply("rare", "a"), reply("so", "b"), reply("thus", "b"), reply("talk"), reply("c")]
    options = ranked(replies)
    assert [(each.first, each.times) for each in options] == [(1, 2), (0, 1), (3, 1), (4, 1)]
    assert options[0].text == "so\nbash: b"
    assert listed(options).startswith("1. (2 of 5)\nso\nbash: b\n\n2. (1 of 5)\nrare")


@given(st.lists(st.tuples(TEXTS, st.lists(TEXTS, max_size=2)), min_size=1, max_size=6))
def test_every_reply_is_in_one_option_whatever_it_says(said: list[tuple[str, list[str]]]) -> None:
    replies = [
        Reply(text=text, calls=tuple(ToolCall("c", "bash", arguments) for arguments in given))
        for text, given in said
    ]
    options = ranked(replies)
    assert sum(option.times for option in options) == len(replies)
    assert len({option.first for option in options}) == len(options)
    assert [option.times for option in options] == sorted(
        (option.times for option in options), reverse=True
    )
    assert listed(options)


def test_bits_are_those_of_the_source() -> None:
    assert [choice_bits(1), choice_bits(2), choice_bits(4)] == [1, log2(6), log2(20)]
