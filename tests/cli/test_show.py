"""`agent-eval show`: what people would rather look at than read of a run, in a terminal."""

import re
from itertools import groupby
from pathlib import Path

from click.testing import CliRunner

from agent_eval.cli.show import command
from tests.review.pictured import pictured


def test_a_terminal_draws_spend_net_worth_who_is_alive_and_the_tree(tmp_path: Path) -> None:
    pictured(tmp_path / "runs" / "one")
    run, names = str(tmp_path / "runs" / "one"), ["-h", "--help"]
    done = CliRunner().invoke(command, [run], help_option_names=names)
    assert done.exit_code == 0, done.output

    def line(name: str) -> tuple[list[tuple[str, int]], str]:
        """Each height with its columns, of 2.5 seconds each, and what is said of it."""
        (found,) = re.findall(rf"^{name} +([▁-█]+)  (.*)$", done.output, re.MULTILINE)
        return [(height, len(list(same))) for height, same in groupby(found[0])], found[1]

    assert line("dollars") == ([("▁", 4), ("▄", 16), ("█", 20)], "5 of 9")
    assert line("net worth") == ([("▃", 12), ("▂", 8), ("█", 20)], "$13.80")
    copies = [("▁", 8), ("█", 8), ("▅", 6), ("▁", 18)]
    assert line("copies") == (copies, "at most 2, 0 at the end")
    machines = [("▁", 12), ("▅", 6), ("█", 14), ("▅", 4), ("█", 4)]
    assert line("machines") == (machines, "at most 2, 2 at the end")
    tree = done.output[done.output.index("copies: 3 asked for") :].splitlines()
    assert tree == [
        "copies: 3 asked for, 2 made, 1 refused (1 at_once); at most 2 at one time",
        "0  2 steps, 5 of 9 usd  submitted  refused copies: 1 at_once",
        "├── 0.1 fresh  2 of 4 steps, 0.5 of 1 usd  submitted",
        "└── 0.2 fresh  4 of 4 steps, 0 of 1 usd  limit (steps)",
    ]
