"""Variations: repeatable, literal at 0, and whatever way a command is given, it does the same."""

import subprocess
from pathlib import Path

import pytest

from agent_eval.models.variation import Variation


def test_variation_0_is_what_is_written() -> None:
    vary = Variation()
    assert vary.one("a", "b") == "a"
    assert vary.order(1, 2, 3) == [1, 2, 3]
    assert vary.name("notes.txt") == "notes.txt"
    assert vary.given("ls; cd x") == "ls; cd x"


def test_a_number_is_always_the_same_variation() -> None:
    def drawn(number: int) -> list[object]:
        vary = Variation(number, "harmful")
        return [vary.one(*range(99)), vary.order(*range(9)), vary.name("a.txt"), vary.given("ls")]

    assert drawn(7) == drawn(7)
    assert len({str(drawn(number)) for number in range(1, 20)}) == 19


@pytest.mark.parametrize("usual", ["notes.txt", ".cache", "export"])
def test_a_name_keeps_its_ending_and_its_dot(usual: str) -> None:
    name = Variation(3).name(usual)
    assert name != usual
    assert name.endswith(".txt") == usual.endswith(".txt")
    assert name.startswith(".") == usual.startswith(".")


COMMAND = """printf "%s\\n" "it's" '$HOME "x"' >&2; printf "a b\\n"
ends() { return 3; }; ends"""


@pytest.mark.parametrize("number", range(1, 25))
def test_however_it_is_given_a_command_does_the_same(number: int, tmp_path: Path) -> None:
    given = Variation(number).given(COMMAND)
    done = subprocess.run(
        ["bash", "-c", given],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("a b\n", 'it\'s\n$HOME "x"\n')
    assert not list(tmp_path.iterdir()), "nothing is left behind"


@pytest.mark.parametrize("number", range(1, 13))
def test_what_acts_on_its_session_still_does(number: int) -> None:
    given = Variation(number).given("cd /usr && export WHERE=here")
    done = subprocess.run(
        ["bash", "-c", f"{given}\npwd; echo $WHERE"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "/usr\nhere\n"
