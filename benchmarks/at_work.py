"""How much the programs of a sandbox use the processor, as the host's kernel counts it.

Only what the agent runs is counted. PID 1 looks around now and then while all else stands, which
keeps gVisor's own kernel busy too; on a loaded machine that is as much as a small job of the agent.
A process that stands uses nothing at all.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

Used = dict[tuple[int, int], float]
"""Seconds by process: by its number and the instant at which it began."""


def used_by_agent(first: int, *, gvisor: bool) -> Used:
    """Processor time of the agent's processes that are there; `first` is the one the engine names.

    Under runc that is PID 1. Under gVisor it is gVisor's kernel, whose only child begets a process
    for each program inside: PID 1's first, which never runs another program.
    """
    there = {pid: stat for pid in members(first) if (stat := parent_and_begin(pid)) is not None}
    agents = [pid for pid in there if pid != first]
    if gvisor:
        begets = {pid for pid in there if there[pid][0] == first}
        programs = [pid for pid in there if there[pid][0] in begets]
        agents = sorted(programs, key=lambda pid: there[pid][1])[1:]
    return {(pid, there[pid][1]): used_s(pid) for pid in agents}


def spent_s(before: Used, now: Used) -> float:
    """What was used between two looks; what is gone by the second is not counted."""
    return sum(seconds - before.get(process, 0.0) for process, seconds in now.items())


def members(first: int) -> Iterator[int]:
    """Every process of a process's control group, whichever version of them the host has."""
    with suppress(OSError):
        for line in Path(f"/proc/{first}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "cpuacct" not in controllers.split(","):
                continue
            where = "/sys/fs/cgroup/cpuacct" if controllers else "/sys/fs/cgroup"
            with suppress(OSError):
                yield from map(int, Path(f"{where}{path}/cgroup.procs").read_text().split())
                return


def parent_and_begin(pid: int) -> tuple[int, int] | None:
    """A process's parent, and when it began, in the kernel's ticks."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(words[1]), int(words[19])
    return None


def used_s(pid: int) -> float:
    """Processor time of all threads of a process, in seconds."""
    total_ns = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):
            total_ns += int(thread.read_text().split()[0])
    return total_ns / 1e9
