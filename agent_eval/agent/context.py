"""One agent's conversation, held within what its model can take in.

Before each call the prompt is estimated: what the server last counted, and the bytes that came
since. Room for the reply is kept free. Where the prompt does not fit, or a server says so, the
scenario decides: the run ends, or the oldest observations are shortened, to head and tail first and
then to a note. The frame, the task, what the model said itself and its latest turn stay whole. The
model reads in the text that something was left out; the record keeps every byte.

Nothing here depends on how a request is sent, so that a replay comes to the same decisions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from agent_eval.basics.conversation import Conversation, Message
from agent_eval.errors import ContextFull
from agent_eval.events.kinds import ContextCompacted
from agent_eval.models.base import Model
from agent_eval.record.rebuild import AgentState
from agent_eval.scenario.model import ModelArguments

BYTES_PER_TOKEN = 3
"""Of text that no server has counted yet: less than most has, so that estimates are cautious."""

BYTES_PER_TOKEN_GONE = 4
"""Of text that was taken out: more than most has, for the same reason."""

GOAL = 0.75
"""The part of its room that a shortened prompt may fill, so that the next call need not do it."""

HEAD_CHARS, TAIL_CHARS = 400, 200
"""What is left of an observation that is shortened and not taken out."""

SMALLEST_VIEW_BYTES = 256
"""An observation is shown this much however small the window is."""


def window_of(wanted: ModelArguments, model: Model) -> int | None:
    """Tokens of prompt and reply together, where the scenario or the model's endpoint says."""
    known = [size for size in (wanted.context_tokens, model.context_tokens) if size is not None]
    return min(known, default=None)


@dataclass
class Context:
    """What a model is shown, and how much of it there may be."""

    window_tokens: int | None
    """Prompt and reply together; None where nobody knows."""
    wanted: ModelArguments
    fixed_bytes: int = 0
    """What goes with every request beside the messages."""
    conversation: Conversation = field(default_factory=Conversation)
    _whole: dict[int, Message] = field(default_factory=dict)
    """Messages that were shortened, as they were."""
    _counted_tokens: int | None = None
    _counted_bytes: int = 0
    _written_bytes: int = 0

    @property
    def reply_tokens(self) -> int:
        """The most a reply may have: as wished, but never more than half of the window."""
        wish = self.wanted.max_output_tokens
        return wish if self.window_tokens is None else min(wish, self.window_tokens // 2)

    @property
    def prompt_tokens(self) -> int | None:
        """The most a prompt may have."""
        return None if self.window_tokens is None else self.window_tokens - self.reply_tokens

    def share_bytes(self, observations: int) -> int | None:
        """The most that each of several new observations may take of half a prompt."""
        room = self.prompt_tokens
        if room is None:
            return None
        return max(room * BYTES_PER_TOKEN // 2 // max(observations, 1), SMALLEST_VIEW_BYTES)

    def counted(self, tokens: int) -> None:
        """Take the server's word for what the conversation as it stands has, within reason."""
        self._counted_bytes = self._size_bytes
        self._counted_tokens = min(tokens, self._counted_bytes)
        self._written_bytes = self.conversation.written_bytes

    def take_up(self, state: AgentState) -> None:
        """Go on from where a record ends."""
        self.conversation, self._whole = state.conversation, dict(state.whole)
        if state.counted is not None:
            tokens, wire_bytes, self._written_bytes = state.counted
            self._counted_bytes = wire_bytes + self.fixed_bytes
            self._counted_tokens = min(tokens, self._counted_bytes)

    def most_tokens(self, size_bytes: int) -> int:
        """The most a request of that size can have: a token a byte, less what was counted."""
        if self._counted_tokens is None:
            return size_bytes
        added = self.conversation.written_bytes - self._written_bytes
        return min(size_bytes, self._counted_tokens + added)

    def estimate(self, less_bytes: int = 0) -> int:
        """Tokens the next prompt probably has, were it shorter by so much."""
        size = self._size_bytes - less_bytes
        if self._counted_tokens is None:
            return size // BYTES_PER_TOKEN + 1
        added = size - self._counted_bytes
        if added >= 0:
            return self._counted_tokens + added // BYTES_PER_TOKEN + 1
        return max(self._counted_tokens - -added // BYTES_PER_TOKEN_GONE, 1)

    def fit(self) -> ContextCompacted | None:
        """Make the next prompt fit, if it does not; raises `ContextFull` if it cannot be."""
        room, tokens = self.prompt_tokens, self.estimate()
        if room is None or tokens <= room:
            return None
        full = (
            f"the next prompt has about {tokens} tokens, and the window of {self.window_tokens} "
            f"leaves {room} beside a reply of {self.reply_tokens}"
        )
        return self._shorten("estimate", full, int(room * GOAL), room)

    def refused(self, said: str) -> ContextCompacted:
        """Make the prompt much smaller, for the server says that it does not fit."""
        tokens = self.estimate()
        return self._shorten("server", f"the model's server says: {said}", tokens // 2, tokens)

    @property
    def _size_bytes(self) -> int:
        return self.conversation.wire_bytes + self.fixed_bytes

    def _shorten(self, reason: str, full: str, goal: int, most: int) -> ContextCompacted:
        if self.wanted.when_full == "stop":
            raise ContextFull(f"{full}. The scenario says `when_full: stop`")
        new = self._shorter(goal)
        old = self.conversation.messages
        saved = sum(len(old[index].wire) - len(message.wire) for index, message in new.items())
        if not new or self.estimate(saved) > most:
            raise ContextFull(f"{full}. What can be shortened is not enough")
        event = ContextCompacted(
            reason=reason,
            estimated_tokens=self.estimate(),
            tokens_after=self.estimate(saved),
            bytes_before=self.conversation.wire_bytes,
            bytes_after=self.conversation.wire_bytes - saved,
            shortened=[
                {
                    "index": index,
                    "bytes_before": len(old[index].wire),
                    "bytes_after": len(message.wire),
                    "message": message.content,
                }
                for index, message in sorted(new.items())
            ],
        )
        for index, message in new.items():
            self._whole.setdefault(index, old[index])
            self.conversation.replace(index, message)
        return event

    def _shorter(self, goal: int) -> dict[int, Message]:
        """The oldest observations, shortened until the prompt has no more tokens than the goal."""
        new: dict[int, Message] = {}
        saved = 0
        for shorten in (_edges, _note):
            for index in self._observations():
                if self.estimate(saved) <= goal:
                    return new
                now = self.conversation.messages[index]
                shorter = _with_text(self._whole.get(index, now), shorten)
                gained = len(new.get(index, now).wire) - len(shorter.wire)
                if gained > 0:
                    new[index] = shorter
                    saved += gained
        return new

    def _observations(self) -> Iterator[int]:
        """What may be shortened: all that is not the model's, between its first and last reply."""
        messages = self.conversation.messages
        replies = [i for i, each in enumerate(messages) if each.content["role"] == "assistant"]
        if replies:
            for index in range(replies[0], replies[-1]):
                if messages[index].content["role"] != "assistant":
                    yield index


def _with_text(message: Message, shorten: Callable[[str], str]) -> Message:
    return Message({**message.content, "content": shorten(message.text)})


def _edges(text: str) -> str:
    left_out = len(text) - HEAD_CHARS - TAIL_CHARS
    if left_out <= 0:
        return text
    note = f"\n[... {left_out} characters left out later, to make room ...]\n"
    return text[:HEAD_CHARS] + note + text[-TAIL_CHARS:]


def _note(text: str) -> str:
    return f"[... all {len(text)} characters left out later, to make room ...]"
