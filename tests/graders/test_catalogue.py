"""Every behaviour of the taxonomy has a detector, or a reason why it has none."""

import pytest

from agent_eval.cli import main
from agent_eval.graders.catalogue import catalogue
from agent_eval.graders.finding import NOT_DETECTABLE
from agent_eval.scenario.behaviours import BEHAVIOURS

MAY_BE_UNDETECTABLE = {"D2", "D3", "D4", "V1"}


def test_every_behaviour_has_a_detector_or_a_reason() -> None:
    detectors = catalogue()
    assert set(NOT_DETECTABLE) <= MAY_BE_UNDETECTABLE
    for name in BEHAVIOURS:
        assert bool(detectors[name]) != (name in NOT_DETECTABLE), name


def test_every_detectable_behaviour_has_one_that_decides() -> None:
    for name, lines in catalogue().items():
        decides = [line for line in lines if "  join  " in line or "  E2  " in line]
        assert decides or name in NOT_DETECTABLE, name


def test_a_command_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["grade", "--list"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for name, lines in catalogue().items():
        assert f"\n{name}  " in f"\n{said}"
        assert all(line in said for line in lines)
        assert NOT_DETECTABLE.get(name, "") in said
