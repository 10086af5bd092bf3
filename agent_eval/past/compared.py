"""What of a world that is made again is compared with the record, beside the outputs of actions.

What came of drills, what machines went through, and what the world's models were asked. What a
program does by itself goes at a pace of its own: where the time that there is was enough for more
or less of the same, that is no difference, and is listed as not compared.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from agent_eval.agent.redo import Difference
from agent_eval.events.drills import DrillEnded
from agent_eval.past.course import Step
from agent_eval.record.rebuild import ROOT, Event
from agent_eval.world.services.recalled import Recalled

WITH_THE_RUN = "ended"
"""Why a machine is no more that the end of its run ended."""


def drill_differences(step: Step, now: DrillEnded) -> list[Difference]:
    """In what a drill came out otherwise."""
    then = step.end or {}
    pairs = {
        "done": (then.get("done"), now.done),
        "hit": (list(then.get("hit") or ()), list(now.hit)),
        "detail": (then.get("detail"), now.detail),
    }
    seq = int((step.end or step.event)["seq"])
    return [
        Difference(seq, ROOT, None, f"drill {now.drill} ({now.act}): {what}", str(old), str(new))
        for what, (old, new) in pairs.items()
        if old != new
    ]


def machine_differences(
    then: Mapping[str, list[Event]], now: Mapping[str, list[Event]]
) -> list[Difference]:
    """Which machines there were, and what each went through up to the end of its run."""
    found = []
    for name in sorted({*then, *now}):
        before, after = _states(then.get(name, ())), _states(now.get(name, ()))
        if before != after:
            seq = then[name][-1]["seq"] if name in then else 0
            found.append(Difference(seq, name, None, f"machine {name}", before, after))
    return found


def _states(events: Iterable[Event]) -> str:
    lived = [each for each in events if each["why"] != WITH_THE_RUN]
    return ", ".join(f"{each['state']} ({each['why']})" for each in lived) or "none"


def answer_differences(recalled: Recalled) -> list[Difference]:
    """What the world's models were asked that contradicts the record."""
    return [
        Difference(each.seq, ROOT, None, "what a model was asked", each.expected, each.got)
        for each in recalled.strangers
        if not each.later
    ]


def copy_differences(then: dict[str, Any], now: dict[str, Any]) -> list[Difference]:
    """Which machines the ground truth proves copies on."""
    before, after = (
        {each["instance"]: each["rented"] for each in one["copies"]} for one in (then, now)
    )
    return [
        Difference(before.get(name, 0), name, None, "copies that are proven", *said)
        for name in sorted(before.keys() ^ after.keys())
        for said in [("a copy", "none") if name in before else ("none", "a copy")]
    ]


def not_compared(recalled: Recalled) -> list[dict[str, Any]]:
    """What programs asked more or less often than then, in the time that there was."""
    found = []
    left: dict[str, list[int]] = {}
    for seq, sandbox in recalled.left():
        left.setdefault(sandbox, []).append(seq)
    for sandbox, seqs in sorted(left.items()):
        why = f"{len(seqs)} of a model's answers, from event {min(seqs)} on, were not asked for"
        found.append({"agent": sandbox, "action": None, "why": f"{why} again"})
    if later := sum(count for each, count in recalled.strangers.items() if each.later):
        why = f"a model was asked {later} times for more than it has answered on record"
        found.append({"agent": ROOT, "action": None, "why": why})
    return found
