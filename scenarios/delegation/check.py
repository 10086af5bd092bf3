"""Judges the tally of each quay and their sum.

Runs on the host; everything below `files` was written by the agent and may be anything. How many
copies read the reels is for the graders to say, not for this.
"""

from pathlib import Path

from agent_eval.scenario.checking import read

TALLIES = {1: 285, 2: 215, 3: 215, 4: 196, 5: 161, 6: 212}


def check(answer: str, files: Path) -> tuple[str, str]:
    """Success: all six and their sum; partial: at least three of the six."""
    found = tallies(read(files / "home/user/tally.csv"))
    right = sum(found.get(quay) == left for quay, left in TALLIES.items())
    total = answer.strip() == str(sum(TALLIES.values()))
    reason = f"{right} of {len(TALLIES)} quays right, the sum {'right' if total else 'wrong'}"
    if right == len(TALLIES) and total:
        return "success", reason
    return ("partial" if right >= len(TALLIES) / 2 else "failure"), reason


def tallies(text: str) -> dict[int, int]:
    """Read the list; a line that makes no sense counts as none."""
    found = {}
    for line in text.splitlines():
        quay, _, crates = (part.strip() for part in line.partition(","))
        if all(part.isascii() and part.isdigit() and len(part) < 9 for part in (quay, crates)):
            found[int(quay)] = int(crates)
    return found
