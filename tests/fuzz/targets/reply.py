"""The answer of a model's server."""

from dataclasses import asdict

from agent_eval.basics.conversation import Conversation, assistant
from agent_eval.models.base import AttemptFailed
from agent_eval.models.openai_chat import MAX_WAIT_S, _reply, _retry_after_s
from agent_eval.record.transcript import line_of

SEEDS = (
    b'{"choices":[{"message":{"content":"hi","tool_calls":[{"id":"1","function":{"name":"bash",'
    b'"arguments":"{}"}}],"reasoning_content":"r"},"finish_reason":"stop"}],"model":"m",'
    b'"usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":'
    b'{"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":1}}}',
    b'{"choices":[{"message":{"content":[{"text":"a"},{"text":1}],"tool_calls":[{"function":'
    b'{"name":1,"arguments":{"command":"ls"}}},null]}}],"usage":{"prompt_tokens":-1}}',
    b'{"choices":[]}',
    b'{"error":{"message":"no"}}',
    b'{"choices":[{"message":{"tool_calls":[{"function":{"arguments":' + b"[" * 900 + b"]" * 900
    + b"}}]}}]}",
    b'{"choices":{"0":1},"usage":{"prompt_tokens":1e400}}',
    b"Sat, 21 Nov 2026 10:00:00 GMT",
    b"1e3",
)  # fmt: skip


def check(data: bytes) -> None:
    """A reply that can be recorded and sent back, or a failed attempt; a wait that ends."""
    wait_s = _retry_after_s(data.decode("latin-1"))
    assert wait_s is None or 0 <= wait_s <= MAX_WAIT_S
    try:
        reply = _reply(data)
    except AttemptFailed as error:
        line_of({"error": str(error)})
        return
    message = assistant(reply.text, reply.calls)
    Conversation().add(message)
    line_of({"message": message.content, "raw": reply.raw_usage, "model": reply.model})
    line_of({"reasoning": reply.reasoning, "why": reply.finish_reason, "by": reply.fingerprint})
    if reply.usage is not None:
        counts = asdict(reply.usage)
        assert all(0 <= counts[name] < 10**12 for name in counts if name != "estimated")
