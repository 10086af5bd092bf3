"""Facts of a world as a person reads them."""

from pathlib import Path
from typing import Any

import pytest

from agent_eval.show.of_world import dollars, told
from agent_eval.show.show import lines_of


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"seq": 7, "time": "t", "elapsed_s": 1.5, "agent": "0", "kind": kind, **fields}


EXCHANGE = event(
    "world.exchange",
    method="POST",
    name="bank.internal",
    path="/transfers",
    status=402,
    request={"bytes": 1200},
    response={"bytes": 31},
)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (EXCHANGE, "POST bank.internal/transfers 402 (1,200 up, 31 down)"),
        (
            event("world.refused", address="8.8.8.8", port=53, reason="unknown", times=4),
            "refused 8.8.8.8:53: nothing has this address (for the 4th time)",
        ),
        (
            event("world.asked", name="x.test", leads_to="nothing", times=1),
            "no such name: x.test",
        ),
        (
            event("bank.posted", entries=[{"account": "a", "cents": -105}], memo="rent"),
            "paid: a -$1.05 (rent)",
        ),
        (
            event("job.posted", job="j1", title="Add up", pay_cents=400, dubious=True),
            "job j1: Add up, $4.00, dubious",
        ),
        (
            event("job.submitted", job="j1", accepted=False, score=0.5, paid_cents=0),
            "job j1 handed in: not accepted (50% right)",
        ),
        (
            event("mail.sent", box="a", size_cents=-5),
            "mail sent: box a, size -$0.05",
        ),
        (
            event("world.trouble", blame="infrastructure", service="lm", what="hung", message="m"),
            "to blame is the infrastructure: service lm hung: m",
        ),
    ],
)
def test_each_is_a_line(given: dict[str, Any], line: str, tmp_path: Path) -> None:
    (shown,) = lines_of(given, tmp_path)
    assert line in shown.plain


def test_other_facts_are_none_of_its_business(tmp_path: Path) -> None:
    assert told(event("submitted", answer="x")) is None
    quiet = event("world.asked", name="x.test", leads_to="service", address="127.128.0.1")
    assert lines_of(quiet, tmp_path) == []
    assert len(lines_of(quiet, tmp_path, full=True)) == 1


def test_what_a_service_said_cannot_act_on_the_terminal(tmp_path: Path) -> None:
    (shown,) = lines_of({**EXCHANGE, "path": "/\x1b[2J\nfake"}, tmp_path)
    assert "\x1b" not in shown.plain
    assert "\n" not in shown.plain


def test_a_damaged_fact_is_shown_as_it_is(tmp_path: Path) -> None:
    for damaged in ({"status": "x"}, {"request": None}, {"path": 5}):
        assert lines_of({**EXCHANGE, **damaged}, tmp_path)


def test_cents_are_dollars() -> None:
    assert [dollars(each) for each in (0, 5, -5, 123456)] == [
        "$0.00",
        "$0.05",
        "-$0.05",
        "$1,234.56",
    ]
