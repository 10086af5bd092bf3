"""What a server was found to be like: written by `agent-eval doctor --model`, followed by runs.

A profile says what a server does; what a run should do about it is `arguments`. It is bound to one
model at one address, and a run records the whole of it with its digest.
"""

import io
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML

from agent_eval.errors import OperatorError
from agent_eval.scenario.model import digest_of
from agent_eval.scenario.part import Part, Text
from agent_eval.scenario.strict_yaml import built, parse

Optional = Literal["temperature", "top_p", "seed", "reasoning_effort"]
TokenField = Literal["max_tokens", "max_completion_tokens"]


class Profile(Part):
    """One model behind one server, as it answered."""

    model: Text
    """Its name there."""
    server: Text
    """The address it was asked at."""
    probed_at: Text
    """When, in UTC."""
    tools: Literal["native", "refused", "ignored"]
    """Whether it makes tool calls when it is offered tools; if not, runs use fenced blocks."""
    parallel_calls: bool
    """Whether it makes several in one reply."""
    usage: Literal["always", "sometimes", "never"]
    """Whether it says how many tokens it read and wrote."""
    output_tokens_field: TokenField | None
    """The field that limits a reply; null where none of those it takes does."""
    refused_arguments: tuple[Optional, ...] = ()
    """Arguments that it refuses; runs leave them out."""
    reasoning: bool
    """Whether it shows its reasoning apart from its answer."""
    reasoning_back: Literal["taken", "refused"] | None = None
    """What it does with reasoning that it is shown again; runs never show it."""
    context_tokens: int | None = None
    """The longest prompt of which it read both ends, as it counts or else estimated."""
    context_end: Literal["refused", "cut", "not reached"] | None = None
    """What it does with longer ones; `not reached` where none was tried."""

    def arguments(self) -> dict[str, Any]:
        """What a run lays over a scenario's `model` part because of it."""
        laid: dict[str, Any] = dict.fromkeys(self.refused_arguments)
        if self.tools != "native":
            laid["tool_format"] = "fenced"
        if self.output_tokens_field:
            laid["output_tokens_field"] = self.output_tokens_field
        return laid

    def window(self) -> int | None:
        """The model's window, where its end was seen."""
        return self.context_tokens if self.context_end in ("refused", "cut") else None

    def record(self) -> dict[str, Any]:
        """The profile and its digest as JSON values."""
        values = self.model_dump(mode="json")
        return {**values, "sha256": digest_of(values)}


def read_profile(file: Path) -> Profile:
    """The profile in a file; raises `OperatorError` with its line and fault."""
    return built(Profile, file, parse(file, OperatorError, "a profile"), OperatorError)


def write_profile(file: Path, profile: Profile) -> None:
    """Write it where `read_profile` will find it; raises `OperatorError` if that cannot be."""
    text = io.StringIO(
        "# Written by `agent-eval doctor --model`; runs follow it. See its --help.\n"
    )
    text.seek(0, io.SEEK_END)
    YAML(typ="safe", pure=True).dump(profile.model_dump(mode="json"), text)
    try:
        file.write_text(text.getvalue(), encoding="utf-8")
    except OSError as error:
        raise OperatorError(f"{file}: cannot be written: {error.strerror}") from error
