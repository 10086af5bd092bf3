"""Replies and actions as they are on record, and back.

Of the last reply of a run that is taken up again, what was done and not told yet is told from the
record; what was not done is still to do.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from agent_eval.basics.conversation import Reply
from agent_eval.events.kinds import ActionEnded
from agent_eval.models.replay import reply_of
from agent_eval.record.budget import Amounts
from agent_eval.record.reading import content_bytes
from agent_eval.record.rebuild import AgentState
from agent_eval.record.transcript import Transcript
from agent_eval.sandbox.supervisor import Execution

INTERRUPTED = "harness"
"""The cause of an action's end where the harness was lost while it ran."""


def reply_in(event: dict[str, Any]) -> Reply:
    """A recorded reply as the agent had it: its calls under the ids that were told apart."""
    reply = reply_of(event)
    ids = [call["id"] for call in event["message"].get("tool_calls") or ()]
    calls = [replace(call, id=name) for call, name in zip(reply.calls, ids, strict=True)]
    return replace(reply, calls=tuple(calls))


def observed(state: AgentState) -> int:
    """How many actions of the last reply the model has been told of."""
    results = [each for each in state.heard if each.content["role"] == "tool"]
    native = state.reply is not None and state.reply["message"].get("tool_calls")
    return len(results) if native else len(state.heard)


def end_of(action: int, done: Execution, spent: Amounts, transcript: Transcript) -> ActionEnded:
    """How an action ended, for the record."""
    output = transcript.content(done.output)
    return ActionEnded(
        action=action,
        duration_s=round(done.duration_s, 6),
        output=output | ({"dropped_bytes": done.dropped_bytes} if done.dropped_bytes else {}),
        rung=done.rung,
        settled=spent.record(),
        reported_exit=done.reported_exit,
        cause=done.cause,
        session="lost" if done.session_lost else "kept",
    )


def execution_of(run: Path, ended: dict[str, Any]) -> Execution:
    """A recorded action's end."""
    return Execution(
        output=content_bytes(run, ended["output"]),
        dropped_bytes=ended["output"].get("dropped_bytes", 0),
        duration_s=ended["duration_s"],
        rung=ended["rung"],
        cause=ended.get("cause"),
        reported_exit=ended.get("reported_exit"),
        session_lost=ended["session"] == "lost",
    )
