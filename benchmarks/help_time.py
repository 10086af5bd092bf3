"""How long `agent-eval --help` takes, beside a Python that does nothing.

.venv/bin/python benchmarks/help_time.py --rounds 20 --json
"""

import argparse
import json
import subprocess
import sys
import time

from figures import as_lines, machine, median_ms

WAYS = {"help": ["-m", "agent_eval", "--help"], "bare_python": ["-c", "pass"]}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the start of the command line.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    about = machine()
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(asked.rounds + 1):
        for name, words in WAYS.items():
            started = time.monotonic()
            subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
            if number:  # the first round fills the caches
                taken[name].append(time.monotonic() - started)
    figures = {f"{name}_ms": median_ms(times) for name, times in taken.items()}
    figures = {"rounds": asked.rounds, **figures, **about}
    print(json.dumps(figures) if asked.json else as_lines(figures))


if __name__ == "__main__":
    main()
