"""The arguments of a tool call, as a model wrote them; and output as a model sees it."""

from agent_eval.agent.actions import MAX_CODE_BYTES, Run, action_of, head_and_tail
from agent_eval.basics.conversation import ToolCall
from agent_eval.record.transcript import line_of

TOOLS = ("bash", "python")
SEEDS = (
    b'bash\n{"command":"ls","timeout_s":3}',
    b'python\n{"code":"\\ud800","timeout_s":1e999}',
    b'submit\n{"answer":"x","more":1}',
    b'bash\n{"command":"a\\u0000b","timeout_s":' + b"9" * 400 + b"}",
    b"rm\n{}",
    b"bash\n" + b'{"command":' * 300,
    b'bash\n{"command":"x","timeout_s":' + b"1" * 5000 + b"}",
)


def check(data: bytes) -> None:
    """Something that can be done, or words that the model can use; either can be recorded."""
    name, _, arguments = data.decode(errors="surrogateescape").partition("\n")
    action = action_of(ToolCall("c", name, arguments), TOOLS)
    fields = vars(action).copy()
    line_of(fields | {"call": vars(fields.pop("call"))})
    if isinstance(action, Run):
        assert len(action.code.encode("utf-8", "surrogatepass")) <= MAX_CODE_BYTES
        assert action.timeout_s is None or 0 < min(action.timeout_s, 3600.0) <= 3600
    for limit in (0, 7, 64):
        view = head_and_tail(data, limit)
        line_of({"view": view})
        assert len(view) <= 4 * limit + 60
