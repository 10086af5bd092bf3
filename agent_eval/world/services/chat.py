"""What may be asked of a language model through the world's API: the allow-list, and nothing more.

Pure. A program in a sandbox sends a chat completion; what goes to the model's own provider is made
anew of the parts named here. Whatever else there is would be a way out of the sandbox or a place to
leave things: tools that the provider runs, connectors, addresses of pictures and files, schemas
kept elsewhere, stored replies, metadata. It is refused by name, never dropped in silence, so that
the caller knows and the record shows that it was tried.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from agent_eval.basics.conversation import untrusted_json

MAX_MESSAGES = 2_000
MAX_TOOLS = 128
_ID = r"^[A-Za-z0-9_.:-]{1,64}$"

Identifier = Annotated[str, StringConstraints(pattern=_ID)]
FunctionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Nothing = Annotated[list[Any], Field(max_length=0)] | None
"""What clients send along though there is nothing in it."""


class NotOffered(Exception):
    """A request that asks for what is not on the list, or is no request."""

    def __init__(self, message: str, param: str = "") -> None:
        super().__init__(message)
        self.param = param
        """Where in the request, for instance `messages.0.content`."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _TextPart(_Form):
    type: Literal["text"]
    text: str


_Content = str | list[_TextPart]


class _Function(_Form):
    name: FunctionName
    arguments: str


class _ToolCall(_Form):
    id: Identifier
    type: Literal["function"] = "function"
    function: _Function


class _System(_Form):
    role: Literal["system", "developer"]
    content: _Content
    name: Identifier | None = None


class _User(_Form):
    role: Literal["user"]
    content: _Content
    name: Identifier | None = None


class _Assistant(_Form):
    role: Literal["assistant"]
    content: _Content | None = None
    name: Identifier | None = None
    tool_calls: list[_ToolCall] | None = None
    refusal: None = None
    annotations: Nothing = None
    audio: None = None
    function_call: None = None


class _ToolResult(_Form):
    role: Literal["tool"]
    content: _Content
    tool_call_id: Identifier


_Message = Annotated[_System | _User | _Assistant | _ToolResult, Field(discriminator="role")]


class _Described(_Form):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Tool(_Form):
    type: Literal["function"]
    function: _Described


class _Named(_Form):
    name: FunctionName


class _ChosenTool(_Form):
    type: Literal["function"]
    function: _Named


class _StreamOptions(_Form):
    include_usage: bool | None = None


_Penalty = Annotated[float, Field(ge=-2, le=2)]
_Stop = Annotated[str, StringConstraints(max_length=200)]


class _Completion(_Form):
    """All that is taken."""

    model: Annotated[str, StringConstraints(max_length=200)]
    messages: Annotated[list[_Message], Field(min_length=1, max_length=MAX_MESSAGES)]
    tools: Annotated[list[_Tool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | _ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    stop: _Stop | Annotated[list[_Stop], Field(max_length=4)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Literal[1] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None


_PASSED_ON = (
    *("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "stop"),
    *("tool_choice", "parallel_tool_calls"),
)


@dataclass(frozen=True)
class Call:
    """A chat completion, made anew."""

    model: str
    """As the caller names it."""
    messages: tuple[dict[str, Any], ...]
    tools: tuple[dict[str, Any], ...]
    sampling: dict[str, Any]
    """Fields that are passed on as they are."""
    max_output_tokens: int | None
    stream: bool
    usage_at_end: bool
    """Whether a reply in pieces ends with what it used."""

    @property
    def results(self) -> list[str]:
        """Ids of the tool calls whose results are among the messages."""
        return [each["tool_call_id"] for each in self.messages if each["role"] == "tool"]


def rebuilt(body: bytes) -> Call:
    """The request in these bytes, of allowed parts only; raises `NotOffered`."""
    try:
        asked = _Completion.model_validate(untrusted_json(body))
    except ValidationError as error:
        raise _refusal(error) from error
    except ValueError as error:
        raise NotOffered(f"The body is not JSON that can be read: {error}") from error
    tools = tuple(each.model_dump(exclude_none=True) for each in asked.tools or ())
    for place, tool in enumerate(tools):
        _hold_schema(tool["function"].get("parameters"), f"tools.{place}.function.parameters")
    given = asked.model_dump(include=set(_PASSED_ON), exclude_none=True)
    if not tools and {"tool_choice", "parallel_tool_calls"} & set(given):
        raise NotOffered("tool_choice and parallel_tool_calls need tools.", "tool_choice")
    limits = [each for each in (asked.max_tokens, asked.max_completion_tokens) if each]
    return Call(
        model=asked.model,
        messages=tuple(_message(each) for each in asked.messages),
        tools=tools,
        sampling=given,
        max_output_tokens=min(limits) if limits else None,
        stream=bool(asked.stream),
        usage_at_end=bool(asked.stream_options and asked.stream_options.include_usage),
    )


def _message(given: _System | _User | _Assistant | _ToolResult) -> dict[str, Any]:
    """One message with its text in one piece."""
    plain = given.model_dump(exclude_none=True, exclude={"annotations"})
    if isinstance(plain.get("content"), list):
        plain["content"] = "".join(part["text"] for part in plain["content"])
    if plain["role"] == "developer":
        plain["role"] = "system"
    if plain["role"] == "assistant":
        if not plain.get("tool_calls"):
            plain.pop("tool_calls", None)
            plain.setdefault("content", "")
        plain.setdefault("content", None)
    return plain


def _hold_schema(schema: Any, where: str) -> None:
    """Refuse a schema that points out of itself: whoever reads it might fetch the rest."""
    level = [schema]
    while level:
        for each in level:
            if isinstance(each, dict):
                _hold_names(each, where)
        level = [inner for each in level for inner in _inside(each)]


def _hold_names(schema: dict[str, Any], where: str) -> None:
    for name in ("$ref", "$dynamicRef", "$recursiveRef"):
        to = schema.get(name, "#")
        if isinstance(to, str) and not to.startswith("#"):
            raise NotOffered(f"{name} must point into the same schema.", where)
    for name in ("$schema", "$id", "$vocabulary"):
        if isinstance(schema.get(name), (str, dict)):
            raise NotOffered(f"{name} is not supported in a schema.", where)


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


_UNION = re.compile(r"^(str|list\[.*|_\w+|function-.*|constrained-.*|literal\[.*|nullable.*)$")


def _refusal(error: ValidationError) -> NotOffered:
    """What is wrong with a request, in the words of its first fault."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    fault = next((each for each in faults if each["type"] == "extra_forbidden"), faults[0])
    where = ".".join(str(step) for step in fault["loc"] if not _UNION.match(str(step)))[:200]
    if fault["type"] == "extra_forbidden":
        return NotOffered(f"Unsupported parameter: '{where}'.", where)
    return NotOffered(f"Invalid value for '{where or 'the body'}': {fault['msg']}"[:500], where)
