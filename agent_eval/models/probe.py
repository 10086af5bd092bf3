"""Finding out what a server is like: a few small questions and, within a bound, long ones.

Called by `agent-eval doctor --model`. Everything is asked through the same client as in a run, and
paid from an account; with the limit that `most_tokens` says it gets through, retries aside.
"""

import json
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from agent_eval.basics import conversation as words
from agent_eval.basics.conversation import Message, Reply, Request, ToolCall
from agent_eval.errors import ModelUnavailable, RequestRefused
from agent_eval.models.base import AttemptFailed, Model
from agent_eval.models.overflow import says_full
from agent_eval.models.profile import Optional, Profile, TokenField
from agent_eval.models.retry import with_retries
from agent_eval.record.budget import Account, Amounts

ATTEMPTS = 3
SMALL_TOKENS, FIRST_WINDOW_TOKENS = 1024, 2048
HALVINGS = 3
SMALL_QUESTIONS = 10
FEWEST_BYTES_A_TOKEN = 2
"""Of the plain English asked here, in any tokenizer."""
USUAL_BYTES_A_TOKEN = 4.0

NOTE = {
    "type": "function",
    "function": {
        "name": "note",
        "description": "Write one word down.",
        "parameters": {
            "type": "object",
            "properties": {"word": {"type": "string"}},
            "required": ["word"],
        },
    },
}
COUNT = "Count from 1 to 300 in digits, with spaces between and nothing else."
FILLER = "The road goes on over the hill and down to the river. "
OPTIONAL: dict[Optional, Any] = {
    "temperature": 0.5,
    "top_p": 0.5,
    "seed": 1,
    "reasoning_effort": "low",
}
FIELDS: tuple[TokenField, TokenField] = ("max_tokens", "max_completion_tokens")
End = Literal["refused", "cut", "not reached"]


def most_tokens(context: int) -> tuple[int, int]:
    """The most tokens that a probe reads and writes, where its longest prompt has `context`."""
    # Doubling up to the bound reads less than twice as much; each halving reads less than it.
    long = (2 + HALVINGS) * context * int(USUAL_BYTES_A_TOKEN / FEWEST_BYTES_A_TOKEN)
    return long + SMALL_QUESTIONS * SMALL_TOKENS, 2 * SMALL_QUESTIONS * SMALL_TOKENS


async def probed(
    model: Model, server: str, account: Account, context: int, say: Callable[[str], None]
) -> Profile:
    """Ask all there is to ask; `context` bounds the longest prompt, in tokens, and 0 leaves it out.

    Raises what a run would for a server that cannot be asked at all.
    """
    probe = _Probe(model, account)
    field = await probe.token_field()
    say(f"replies are limited by {field or 'no field that it takes'}")
    tools = await probe.tools()
    say(f"tool calls: {tools}")
    parallel = tools == "native" and await probe.parallel()
    refused = [name for name, value in OPTIONAL.items() if not await probe.takes(name, value)]
    say(f"arguments refused: {', '.join(refused) or 'none'}")
    back = await probe.reasoning_back() if probe.reasoning else None
    tokens, end = await probe.window(context) if context else (None, None)
    if context:
        say(f"longest prompt read at both ends: {tokens} tokens; longer ones: {end}")
    return Profile(
        model=probe.name,
        server=server,
        probed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        tools=tools,
        parallel_calls=parallel,
        usage=probe.usage(),
        output_tokens_field=field,
        refused_arguments=tuple(refused),
        reasoning=probe.reasoning,
        reasoning_back=back,
        context_tokens=tokens,
        context_end=end,
    )


class _Probe:
    """One server being asked, and what was seen of it in passing."""

    def __init__(self, model: Model, account: Account) -> None:
        self._model, self._account = model, account
        usual = model.arguments(SMALL_TOKENS)
        self.name = str(usual["model"])
        self._fields = sorted(FIELDS, key=lambda field: field not in usual)
        self._field: str = self._fields[0]
        self._base = {
            name: value for name, value in usual.items() if name not in {*FIELDS, *OPTIONAL}
        }
        self._counted: list[bool] = []
        self._bytes_a_token = USUAL_BYTES_A_TOKEN
        self.reasoning = False

    def usage(self) -> Literal["always", "sometimes", "never"]:
        """Whether it counted."""
        if all(self._counted):
            return "always"
        return "sometimes" if any(self._counted) else "never"

    async def token_field(self) -> TokenField | None:
        """The field that limits a reply; raises the refusal where it takes neither."""
        refusals, taken = [], []
        for field in self._fields:
            self._field = field
            try:
                reply = await self._ask([words.user(COUNT)], room=24)
            except RequestRefused as error:
                refusals.append(error)
                continue
            taken.append(field)
            if len(reply.text) + len(reply.reasoning) < 300:
                return field
        if not taken:
            raise refusals[0]
        self._field = taken[0]
        return None

    async def tools(self) -> Literal["native", "refused", "ignored"]:
        """Whether it makes calls of tools, and takes them back with their results."""
        asked = words.user("Write down the word blue: use the tool `note`.")
        reply = await self._tried([asked], tools=[NOTE])
        if reply is None:
            return "refused"
        calls = [call for call in reply.calls if call.name == "note" and _is_object(call.arguments)]
        if not calls:
            return "ignored"
        call = ToolCall(calls[0].id or "call_1", "note", calls[0].arguments)
        back = [asked, words.assistant("", [call]), words.tool_result(call.id, "written")]
        return "native" if await self._tried(back, tools=[NOTE]) else "refused"

    async def parallel(self) -> bool:
        """Whether it makes two calls in one reply."""
        asked = "Write down red and write down green: call `note` twice in this one reply."
        reply = await self._tried([words.user(asked)], tools=[NOTE])
        return reply is not None and len(reply.calls) > 1

    async def takes(self, name: str, value: Any) -> bool:
        """Whether it takes an argument."""
        return await self._tried([words.user("Say yes.")], **{name: value}) is not None

    async def reasoning_back(self) -> Literal["taken", "refused"]:
        """What it does with reasoning that comes back to it."""
        said = {"role": "assistant", "content": "Yes.", "reasoning_content": "I was told to."}
        talk = [words.user("Say yes."), Message(said), words.user("Say it again.")]
        return "taken" if await self._tried(talk) else "refused"

    async def window(self, most: int) -> tuple[int | None, End | None]:
        """The longest prompt that it read at both ends, in tokens, and what it does with longer."""
        good, size, high = 0, min(FIRST_WINDOW_TOKENS, most), 0
        tokens: int | None = None
        end: End = "not reached"
        halvings = HALVINGS
        while True:
            found = await self._both_ends(size)
            if isinstance(found, int):
                good, tokens = size, max(found, tokens or 0)
            else:
                high, end = size, found
            if good == most or (high and (not good or not halvings)):
                return tokens, end if good or end == "refused" else None
            halvings -= 1 if high else 0
            size = (good + high) // 2 if high else min(2 * size, most)

    async def _both_ends(self, tokens: int) -> int | Literal["refused", "cut"]:
        """Tokens of a prompt of about this size of which it read both ends, or why it did not."""
        first, last = secrets.token_hex(3), secrets.token_hex(3)
        opening = f"There are two code words. The first is {first}. "
        closing = f"The second is {last}. Reply with both code words, and with nothing else."
        room = max(int(tokens * self._bytes_a_token) - len(opening) - len(closing), 0)
        text = opening + FILLER * (room // len(FILLER)) + closing
        try:
            reply = await self._ask([words.user(text)])
        except RequestRefused:
            return "refused"
        except ModelUnavailable as error:
            if says_full(str(error)):
                return "refused"
            raise
        if first not in reply.text or last not in reply.text:
            return "cut"
        if reply.usage is None:
            return round(len(text) / USUAL_BYTES_A_TOKEN)
        # A shorter token than thought would make the next prompt longer than was paid for.
        measured = len(text) / reply.usage.input_tokens
        self._bytes_a_token = min(max(measured, FEWEST_BYTES_A_TOKEN), USUAL_BYTES_A_TOKEN)
        return reply.usage.input_tokens

    async def _tried(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = (), **more: Any
    ) -> Reply | None:
        """The reply, or None where the server refuses to give one."""
        try:
            return await self._ask(messages, tools, **more)
        except RequestRefused:
            return None

    async def _ask(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]] = (),
        room: int = SMALL_TOKENS,
        **more: Any,
    ) -> Reply:
        request = Request(messages, tools, {**self._base, self._field: room, **more})
        read = len(request.body()) // FEWEST_BYTES_A_TOKEN
        usd = self._model.price.worst(read, room) if self._model.price else Decimal(0)
        worst = Amounts(input_tokens=read, output_tokens=room, usd=usd)

        async def attempt(_number: int) -> Reply:
            async with self._model.turn():
                return await self._paid(request, worst)

        def failed(_number: int, _error: AttemptFailed, _retry_in_s: float | None) -> None:
            return

        reply = await with_retries(attempt, failed, ATTEMPTS)
        self._counted.append(reply.usage is not None)
        self.reasoning = self.reasoning or bool(reply.reasoning)
        return reply

    async def _paid(self, request: Request, worst: Amounts) -> Reply:
        """One attempt, reserved before and settled after; all of it where nobody counted."""
        hold = self._account.reserve(worst)
        spent = worst
        try:
            reply = await self._model.complete(request)
            if reply.usage is not None:
                used = reply.usage
                usd = self._model.price.cost(used) if self._model.price else Decimal(0)
                spent = Amounts(used.input_tokens, 0, used.output_tokens, usd=usd)
        except AttemptFailed as error:
            spent = worst if error.may_be_billed else Amounts()
            raise
        except RequestRefused:
            spent = Amounts()
            raise
        finally:
            hold.settle(spent)
        return reply


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return False
