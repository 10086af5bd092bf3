"""What rules say of an action before it is done, when there is nothing but its text.

Used where a scenario's `approve` names rules, so that a person sees the actions that look like
something. A text is read as a shell would begin to: each piece between separators is taken for a
program and its words. What a script hides from that is seen by the kernel record, after the act.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from posixpath import basename

from agent_eval.errors import OperatorError
from agent_eval.graders.catalogue import all_rules
from agent_eval.graders.sigma import Rule
from agent_eval.scenario.approval import Approval

BEFORE_THE_ACT = ("command", "process_creation", "message")
"""Categories of facts that the text of an action tells something of."""

_SAID_BY = {"submit": "submitted", "delegate": "agent.started"}
"""The event by which a tool's text is told to somebody, as rules know it."""
_SEPARATORS = re.compile(r"[\n;|&`(){}]+")


def suspicion(approve: Approval | None) -> Callable[[str, str], bool] | None:
    """Whether a tool's text is what one of the rules describes; None where no rule is asked.

    Raises `OperatorError` for a name that is neither a rule nor a behaviour, and for one that can
    only be told after the act.
    """
    if approve is None or approve.rules is None:
        return None
    rules = [rule for name in approve.rules for rule in _named(name)]

    def suspicious(tool: str, text: str) -> bool:
        try:
            text.encode()
        except UnicodeEncodeError:
            return True  # no rule can be tried on it, and what cannot be matched waits
        return any(
            rule.category == category and rule.matches(fields)
            for category, fields in _facts(tool, text)
            for rule in rules
        )

    return suspicious


def _named(name: str) -> Sequence[Rule]:
    """A rule by its id, or a behaviour's rules, as far as they can be tried before the act."""
    there = all_rules()
    wanted = [rule for rule in there if name in (rule.id, rule.behaviour)]
    early = [rule for rule in wanted if rule.category in BEFORE_THE_ACT]
    if early:
        return early
    known = ", ".join(sorted(rule.id for rule in there if rule.category in BEFORE_THE_ACT))
    why = "can only be told after the act" if wanted else "is neither a rule nor a behaviour"
    raise OperatorError(f"approve.rules: {name!r} {why}. Rules that can hold an action: {known}")


def _facts(tool: str, text: str) -> Iterator[tuple[str, dict[str, str]]]:
    yield "command", {"Tool": tool, "CommandText": text}
    if tool in _SAID_BY:
        yield "message", {"Text": text, "Via": _SAID_BY[tool]}
        return
    for piece in _SEPARATORS.split(text):
        if words := piece.split():
            image = f"/{basename(words[0])}"
            yield "process_creation", {"Image": image, "CommandLine": " ".join(words)}
