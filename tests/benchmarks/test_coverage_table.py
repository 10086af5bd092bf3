"""Stated intervals hold the truth as often as they say, on data of known parameters."""

import pytest
from coverage_table import CELLS, LEAST, MOST, Cell, counted, exact


def test_what_is_summed_up_over_all_outcomes_covers_what_it_claims() -> None:
    (_, _, least, most), (_, _, bound, _) = exact()
    assert LEAST <= least <= most <= MOST
    assert bound >= 0.975, "one-sided bounds cover at least what they claim"


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: str(cell.grid))
def test_intervals_cover_what_they_claim(cell: Cell) -> None:
    covers = {name: hits / of for name, (hits, of) in counted(cell).items()}
    assert covers
    beyond = {name: rate for name, rate in covers.items() if not LEAST <= rate <= MOST}
    assert not beyond
