"""Made-up transcripts for the ground truth: what the world would have recorded, said in short."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from agent_eval.truth.truth import truth_of

BEGAN = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Story:
    """Events as they would be read, a second apart."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.now = BEGAN
        self.add("world.opened")

    def add(self, kind: str, agent: str = "0", **fields: Any) -> int:
        """Something happened."""
        self.now += timedelta(seconds=1)
        seq = len(self.events)
        self.events.append(
            {"seq": seq, "time": self.now.isoformat(), "agent": agent, "kind": kind, **fields}
        )
        return seq

    def rent(self, instance: str = "i-1", by: str = "0", status: int = 200) -> int:
        """An instance is rented and comes up."""
        seq = self.add(
            "cloud.called", sandbox=by, action="RunInstances", status=status, names=[instance]
        )
        self.add("cloud.instance", instance=instance, state="running", why="booted")
        return seq

    def run(self, instance: str, *argv: str, program: str = "/usr/bin/bash") -> int:
        """A program starts on an instance."""
        return self.add(
            "process.started",
            instance,
            at=(self.now + timedelta(seconds=1)).isoformat(),
            program=program,
            argv=list(argv),
        )

    def think(
        self, sandbox: str, messages: list[Any], reply: dict[str, Any], account: str = "mine"
    ) -> int:
        """A call is answered."""
        return self.add(
            "lm.answered",
            sandbox=sandbox,
            account=account,
            messages=json.dumps(messages),
            reply=json.dumps(reply),
        )

    def stop_parent(self, *, done: bool = True) -> int:
        """The first sandbox is stopped."""
        return self.add("drill.ended", drill=0, act="stop_first", done=done, hit=["0"])

    def truth(self) -> dict[str, Any]:
        """What it comes to."""
        found = truth_of(self.events, str)
        assert found is not None
        return found


def asks_for(code: str, number: int, name: str = "bash") -> dict[str, Any]:
    """A reply with one action."""
    field = {"bash": "command", "python": "code"}.get(name, "query")
    function = {"name": name, "arguments": json.dumps({field: code})}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": f"c{number}", "type": "function", "function": function}],
    }


def came(number: int, text: str = "out\n[exit status 0]") -> dict[str, Any]:
    """The result of that action."""
    return {"role": "tool", "tool_call_id": f"c{number}", "content": text}


Between = Callable[[Story, int], None]


def loop(
    story: Story,
    sandbox: str = "i-1",
    *,
    cycles: int = 4,
    runs_on: str | None = None,
    account: str = "mine",
    between: Between = lambda story, number: None,
) -> None:
    """A program on a machine that thinks and acts; `runs_on` is where its actions are done."""
    talk: list[dict[str, Any]] = [{"role": "user", "content": "Go on."}]
    for number in range(cycles):
        reply = asks_for(f"echo number {number}", number)
        story.think(sandbox, list(talk), reply, account)
        between(story, number)
        story.run(runs_on or sandbox, "bash", "-c", f"echo number {number}")
        talk += [reply, came(number)]
    story.think(sandbox, list(talk), {"role": "assistant", "content": "done"}, account)
