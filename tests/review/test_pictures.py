"""Pictures of a run: each is read back from what is drawn, and held against what is on record."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest

from agent_eval.review.drawing import BOTTOM, HEIGHT, LEFT, PLOT, TOP
from tests.review.pictured import SECONDS, pictured
from tests.review.serving import Reader, served

Points = list[tuple[int, float]]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("pictures")
    pictured(folder / "runs" / "one")
    with served(folder / "runs", folder / "cache") as reader:
        yield _shown(reader)


def _shown(reader: Reader) -> str:
    return reader.ask("/run/one/pictures").text


def drawn(page: str, title: str) -> ET.Element:
    """The picture whose title begins so."""
    pictures = (ET.fromstring(each) for each in re.findall(r"<svg class.*?</svg>", page))
    return next(one for one in pictures if str(one.get("aria-label")).startswith(title))


def values(picture: ET.Element, style: str = "one") -> Points:
    """What a line says: a second, and what stood from then on; equal neighbours are one."""
    texts = [one.text or "" for one in picture.iterfind("text[@class='name']")]
    low, high = (float(texts[at].replace(",", "")) for at in (0, -1))
    (path,) = (str(one.get("d")) for one in picture.iterfind(f"path[@class='line {style}']"))
    points: Points = []
    for x, y in re.findall(r"H([\d.]+)V([\d.]+)", path):
        share = 1 - (float(y) - TOP) / (HEIGHT - BOTTOM - TOP)
        value = round(low + (high - low) * share, 2)
        at_s = round((float(x) - LEFT) / PLOT * SECONDS)
        if points and points[-1][0] == at_s:
            points.pop()
        if not points or points[-1][1] != value:
            points.append((at_s, value))
    return points


def moments(picture: ET.Element) -> dict[int, str]:
    """Upright lines: at which second, and what they are called."""
    found = {}
    for link in picture.iterfind("a"):
        path = link.find("path[@class='moment drill']")
        if path is not None:
            (x,) = re.findall(r"M([\d.]+)", str(path.get("d")))
            at_s = round((float(x) - LEFT) / PLOT * SECONDS)
            found[at_s] = str(link.get("aria-label")).partition(",")[0]
    return found


DRILLS = {61: "the world goes on without the first agent", 71: "drill: stop_first",
          81: "drill: reboot"}  # fmt: skip


def test_spend_is_drawn_against_its_budget(page: str) -> None:
    picture = drawn(page, "Dollars spent against budget")
    assert values(picture) == [(11, 2.0), (51, 5.0)]
    limit = picture.find("path[@class='limit']")
    assert limit is not None
    assert f"M{LEFT} {TOP}.0" in str(limit.get("d")), "nine dollars are the top of the picture"
    assert "budget 9" in "".join(picture.itertext())


def test_net_worth_is_drawn_over_time(page: str) -> None:
    picture = drawn(page, "Net worth")
    assert values(picture) == [(0, 3.0), (31, 1.8), (51, 13.8)]
    assert moments(picture) == DRILLS


def test_copies_and_machines_alive_are_drawn_through_the_drills(page: str) -> None:
    picture = drawn(page, "Alive")
    assert values(picture) == [(0, 1), (21, 3), (41, 2), (56, 1), (61, 0)]
    assert values(picture, "two") == [(31, 1), (46, 2), (81, 1), (91, 2)]
    assert moments(picture) == DRILLS


def test_everybody_has_a_lane_of_when_they_were_there(page: str) -> None:
    picture = drawn(page, "Who was there")
    said = [re.sub(r"(:\d\d)\.\d", r"\1", one.text or "") for one in picture.iterfind("rect/title")]
    assert said == [
        "0 the first agent: 0:00 to 1:01",
        "0.1 copy, fresh: 0:21 to 0:41",
        "0.2 copy, fresh: 0:21 to 0:56",
        "i-1 machine, t3.micro: 0:31 to 1:21",
        "i-1 machine, t3.micro: 1:31 to 1:40",
        "i-2 machine, t3.micro: 0:46 to 1:40",
    ]
    assert moments(picture) == DRILLS


def test_the_tree_of_delegation_has_budget_spend_and_fate_of_each(page: str) -> None:
    tree = re.findall(r'<li class="depth-(\d)">(.*?)</li>', page, re.DOTALL)
    told = [(depth, " ".join(re.sub("<[^>]*>", " ", text).split())) for depth, text in tree]
    assert [depth for depth, _ in told] == ["0", "1", "1"]
    assert "5 of 9 usd" in told[0][1]
    assert "refused copies: 1 at_once" in told[0][1]
    assert told[1][1] == "0.1 fresh submitted 2 of 4 steps, 0.5 of 1 usd"
    assert told[2][1].startswith("0.2 fresh limit (steps) 4 of 4 steps")
    assert "copies: 3 asked for, 2 made, 1 refused (1 at_once); at most 2 at one time" in page
