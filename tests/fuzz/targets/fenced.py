"""Actions as fenced blocks in what a model says."""

import json

from agent_eval.agent.actions import Malformed, Run, Submit, action_of
from agent_eval.models.fenced import calls_in, fenced

TOOLS = ("bash", "python")
SEEDS = (
    b"I look.\n```bash\nls\n```\nand\n````python\n```\nx\n```\n````\n```submit\ndone\n```",
    b"```bash\nnever closed",
    b"``` bash \r\na\r\n```   \n~~~\n```bash```\n",
    b"`" * 200 + b"bash\n" + b"`" * 199,
)


def check(data: bytes) -> None:
    """Actions say what stands in the text, in its order, and come back from their own blocks."""
    text, at = data.decode(errors="surrogateescape"), 0
    plain = text.replace("\r\n", "\n")
    for call in calls_in(text, [*TOOLS, "submit"]):
        given = json.loads(call.arguments)
        (body,) = given.values()
        at = plain.index(body, at)
        assert isinstance(action_of(call, TOOLS), Run | Submit | Malformed)
        if "\r" not in body:
            again = calls_in(fenced(call.name, given), [call.name])
            assert [each.arguments for each in again] == [call.arguments]
