"""What every script here counts in the same way. Standard library only, any Python from 3.10."""

import os
import statistics
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any


def median_ms(seconds: Sequence[float]) -> float:
    """The median of some times, in milliseconds."""
    return round(statistics.median(seconds) * 1000, 3)


def step_figures(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile of all steps, and medians of their first and last fifth."""
    fifth = max(1, len(seconds) // 5)
    first, last = median_ms(seconds[:fifth]), median_ms(seconds[-fifth:])
    ordered = sorted(seconds)
    return {
        "median_ms": median_ms(seconds),
        "p95_ms": round(ordered[int(0.95 * (len(ordered) - 1))] * 1000, 3),
        "first_fifth_ms": first,
        "last_fifth_ms": last,
        "last_over_first": round(last / first, 3),
    }


def cpu_figures(seconds: Sequence[float]) -> dict[str, float]:
    """Processor time of this process for a step: the mean, and medians of first and last fifth."""
    fifth = max(1, len(seconds) // 5)
    return {
        "cpu_ms_per_step": round(statistics.fmean(seconds) * 1000, 3),
        "cpu_first_fifth_ms": median_ms(seconds[:fifth]),
        "cpu_last_fifth_ms": median_ms(seconds[-fifth:]),
    }


def between(stamps: Sequence[float]) -> list[float]:
    """The time from each stamp to the next."""
    return [later - earlier for earlier, later in pairwise(stamps)]


def peak_memory_mb() -> float:
    """The most memory this process ever had resident.

    Not `ru_maxrss`, which a process inherits from the one that started it.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return round(int(line.split()[1]) / 1024, 1)


def folder_bytes(folder: Path) -> int:
    """The size of all files below a folder, as `ls` shows it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def machine() -> dict[str, Any]:
    """Where and when something was measured, and how busy the machine was just before."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 2**30),
        "load_1min": round(os.getloadavg()[0], 2),
        "python": sys.version.split()[0],
    }


def as_lines(figures: dict[str, Any]) -> str:
    """Figures for a person: one a line."""
    width = max(map(len, figures))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in figures.items())
