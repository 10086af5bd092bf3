"""When what the sandboxes of a run are gets kept: a part of the scenario."""

from typing import Literal

from pydantic import ByteSize, Field

from agent_eval.scenario.part import Part

MIB = 1024 * 1024


class Snapshots(Part):
    """When what a sandbox is gets kept beside the run, to branch from and to resume quickly.

    Each costs a moment in which the sandbox stands still (`took_s` in `snapshot.taken`), and disk.
    """

    every_steps: int | None = Field(default=None, gt=0)
    """Steps of an agent after which its sandbox is kept again."""
    every_s: float | None = Field(default=None, gt=0)
    """Seconds after which it is, at the next step."""
    holds: Literal["best", "memory", "files"] = "best"
    """What is kept; `best` is with memory where that can be done, under gVisor."""
    limit_bytes: ByteSize = Field(default=ByteSize(4096 * MIB), gt=0)
    """Disk that all of a run may take up; the oldest that nobody needs make room."""
