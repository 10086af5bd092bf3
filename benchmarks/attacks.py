"""Every attack of sandbox/hostile on every runtime, beside another sandbox that goes on working.

Prints a table of what happened; `--write` puts it into sandbox/README.md, between its marks. Ends
with status 1 if a promise did not hold.

    .venv/bin/python benchmarks/attacks.py --write
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

import anyio
import structlog
from figures import machine
from running import runtimes, save, table

from sandbox.hostile.campaign import ATTACKS
from tests.escape.attacking import Seen, campaign

README = Path(__file__).parents[1] / "sandbox" / "README.md"
BEGIN, END = "<!-- attacks -->", "<!-- end of attacks -->"
HEAD = ["attack", "runtime", "what happened inside", "the run", "s", "harness +MB", "neighbour s"]


def main() -> None:
    asked = _arguments()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    about = machine()
    wanted = [attack for attack in ATTACKS if re.search(asked.only, attack.name)]
    seen = []
    for runtime in runtimes():
        with tempfile.TemporaryDirectory(prefix="agent-eval-attacks-") as folder:
            seen += anyio.run(campaign, wanted, runtime, Path(folder))
    seen.sort(key=lambda one: wanted.index(one.attack))
    text = report(seen, about)
    print(text)
    save(asked.json, [vars(one) | {"attack": one.attack.name} for one in seen])
    if asked.write:
        write(text)
    sys.exit(any(one.faults for one in seen))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Carry out every attack and say what came of it.")
    parser.add_argument("--only", default="", help="attacks whose name has this (an expression)")
    parser.add_argument("--write", action="store_true", help="put the table into sandbox/README.md")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    asked = parser.parse_args()
    if asked.write and asked.only:
        parser.error("--write: only with all attacks")
    return asked


def report(seen: list[Seen], about: dict[str, object]) -> str:
    """The table, with where and when, and what did not hold."""
    rows = [
        [one.attack.name, one.runtime, _inside(one), one.ending, round(one.seconds, 1),
         round(one.growth_mb), one.neighbour_s]
        for one in seen
    ]  # fmt: skip
    faults = [
        f"- {one.attack.name} [{one.runtime}]: {fault}" for one in seen for fault in one.faults
    ]
    said = ", ".join(f"{name} {value}" for name, value in about.items())
    return "\n".join([table(HEAD, rows), "", f"Made by `benchmarks/attacks.py`: {said}.", *faults])


def _inside(one: Seen) -> str:
    """What it came to in words, and what there is to say of it."""
    died = one.message.removeprefix("the sandbox died: ")
    words = [word for word in (one.inside, died) if word]
    if one.attack.note.startswith(("runc: ", "runsc: ")):
        runtime, _, note = one.attack.note.partition(": ")
        words += [note] if runtime == one.runtime else []
    elif one.attack.note:
        words.append(one.attack.note)
    return "; ".join(words).replace("|", "/") or "-"


def write(text: str) -> None:
    """Put the table between its marks."""
    whole = README.read_text(encoding="utf-8")
    before, _, rest = whole.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
