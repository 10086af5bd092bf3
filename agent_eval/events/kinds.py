"""Every fact a run can record: the whole vocabulary of `events.jsonl`.

What a sandbox's kernel tells is in `kernel_events`, the tree of agents in `agent_events`, what a
person does to a run while it goes on in `operator_events`, what sandboxes were at a moment and what
began as that in `state_events`, what the world was asked in `world`; all else is on this page.

Each class is one kind of event; its fields are plain JSON values. The transcript adds `seq`,
`time`, `elapsed_s`, `agent`, `kind` and `prev` to each. Readers take events as plain dictionaries
and never need this module.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import agent_eval.events.agents
import agent_eval.events.alarm
import agent_eval.events.cloud
import agent_eval.events.drills
import agent_eval.events.folk
import agent_eval.events.operator
import agent_eval.events.probes
import agent_eval.events.services
import agent_eval.events.state
import agent_eval.events.world  # noqa: F401 - their kinds are among those of `Event` below
from agent_eval.events.event import Event
from agent_eval.events.kernel import OfKernel

FORMAT = 1
"""Version of the vocabulary; raised when a field changes its meaning or goes away."""


@dataclass(frozen=True)
class RunOpened(Event):
    """The first event: where everything in this run comes from."""

    kind: ClassVar[str] = "run.opened"
    run: str
    format: int
    scenario: dict[str, Any]
    """The resolved scenario, its title, digest and the digests of its files."""
    model: dict[str, Any]
    """Name, arguments, price card and where it is reached."""
    prompts: dict[str, str]
    """SHA-256 of each prompt file in use."""
    package: dict[str, Any]
    """Version and commit of this package, versions of Python and of what it stands on."""
    engine: dict[str, Any] | None
    """Versions of engine and runtime, digest of the image and of the supervisor."""
    asked: dict[str, Any]
    """Settings asked for: the container's, and what the command line changed."""
    in_force: dict[str, Any] | None
    """The same settings as the engine states them."""
    command_line: list[str]
    canary: str
    origin: dict[str, Any] | None = None
    """Of a replay or a branch: `what` it is, the `run` it comes from, `seq` of the event of that
    one that it was made of, and `head`, the hash of that event."""
    secrets: int = 0
    """How many secrets of the host are looked for and taken out, by value."""
    epoch: int = 1
    """Which of the equal runs of a command it is, from 1."""


@dataclass(frozen=True)
class SandboxReady(Event):
    """The sandbox is up, measured from inside, and its shell answers."""

    kind: ClassVar[str] = "sandbox.ready"
    container: str
    runtime: str
    ready_s: float
    audit: list[dict[str, Any]]
    """One row a setting: asked, what the engine says, what was measured inside, and whether ok."""


@dataclass(frozen=True)
class FilesSeeded(Event):
    """Files put into the sandbox before the agent's first look."""

    kind: ClassVar[str] = "files.seeded"
    files: list[dict[str, Any]]
    """Path, mode, when it claims to have been changed (seconds since 1970), and content of each."""
    moved_days: int = 0
    """By how many days the dates in them and in the task were moved; see a scenario's `today`."""
    marks: dict[str, str] = field(default_factory=dict)
    """The secrets and watermarks minted for this run, by name; see a scenario's `grading`."""


@dataclass(frozen=True)
class MilestoneBegun(Event):
    """The state that the run begins from was built, in a sandbox apart, by a reference control."""

    kind: ClassVar[str] = "milestone.begun"
    milestone: str
    """The one that is reached already."""
    reference: str
    did: list[dict[str, Any]]
    """Tool, code and output of each of its actions, in order."""


@dataclass(frozen=True)
class MessageAdded(Event):
    """A message that no model wrote joined the conversation: frame, task, observation or nudge."""

    kind: ClassVar[str] = "message"
    index: int
    """Place in the agent's conversation, from 0."""
    message: dict[str, Any]


@dataclass(frozen=True)
class ModelCalled(Event):
    """The model is about to be called; written before the request leaves."""

    kind: ClassVar[str] = "model.called"
    call: int
    attempt: int
    sees: list[list[int]]
    """What it gets: ranges [first, last] of message indexes, both included."""
    arguments: str
    """SHA-256 of the request without its messages; the content is in `model.request`."""
    reserved: dict[str, Any]
    request_sha256: str | None = None
    """SHA-256 of the request's exact bytes, where they go over a wire."""


@dataclass(frozen=True)
class ModelRequest(Event):
    """What is sent with every request beside the messages; written when it changes."""

    kind: ClassVar[str] = "model.request"
    digest: str
    arguments: dict[str, Any]
    tools: list[dict[str, Any]]


@dataclass(frozen=True)
class ModelFailed(Event):
    """An attempt came to nothing."""

    kind: ClassVar[str] = "model.failed"
    call: int
    attempt: int
    error: str
    settled: dict[str, Any]
    """What it cost: the full reservation where the server may have billed it."""
    duration_s: float
    status: int | None = None
    retry_in_s: float | None = None
    context_full: bool | None = None
    """True where the server says that the request does not fit the model's window."""


@dataclass(frozen=True)
class ContextCompacted(Event):
    """Older observations were shortened to make room; from here on the model sees them so.

    Their full text stays on record: in the `message` that brought it and in `action.ended`.
    """

    kind: ClassVar[str] = "context.compacted"
    reason: str
    """`estimate`: the next prompt would not fit; `server`: the server refused one that did not."""
    estimated_tokens: int
    tokens_after: int
    bytes_before: int
    """All messages on the wire."""
    bytes_after: int
    shortened: list[dict[str, Any]]
    """Of each: `index`, `bytes_before`, `bytes_after`, and `message` as the model sees it now."""


@dataclass(frozen=True)
class ModelReplied(Event):
    """The model's answer, written before anything in it is done."""

    kind: ClassVar[str] = "model.replied"
    call: int
    attempt: int
    index: int
    message: dict[str, Any]
    usage: dict[str, Any]
    settled: dict[str, Any]
    duration_s: float
    reasoning: str | None = None
    finish_reason: str | None = None
    model: str | None = None
    fingerprint: str | None = None
    raw_usage: dict[str, Any] | None = None
    calls_as_given: list[dict[str, Any]] | None = None
    """The calls as they came, where `message` holds them in a form that a server takes back."""
    picked: bool | None = None
    """True where a person picked it among several: then it was paid for in `model.offered`."""


@dataclass(frozen=True)
class ModelOffered(Event):
    """One of several answers to the same prompt, of which a person is to pick one.

    It is paid for here. The one that is picked comes as `model.replied` of the same call, where
    nothing more is settled; the others are no part of the conversation.
    """

    kind: ClassVar[str] = "model.offered"
    call: int
    attempt: int
    message: dict[str, Any]
    usage: dict[str, Any]
    settled: dict[str, Any]
    duration_s: float
    reasoning: str | None = None
    finish_reason: str | None = None
    model: str | None = None
    fingerprint: str | None = None
    raw_usage: dict[str, Any] | None = None
    calls_as_given: list[dict[str, Any]] | None = None


@dataclass(frozen=True)
class ActionStarted(Event):
    """An action is about to be done; written before it starts."""

    kind: ClassVar[str] = "action.started"
    action: int
    call: int
    """The model call that asked for it."""
    tool: str
    input: dict[str, Any]
    call_id: str | None = None
    timeout_s: float | None = None


@dataclass(frozen=True)
class ActionEnded(Event):
    """An action is over; written before the model sees anything of it."""

    kind: ClassVar[str] = "action.ended"
    action: int
    duration_s: float
    output: dict[str, Any]
    """`bytes`, and the content as `text`, `base64` or `blob`; `dropped_bytes` if any were."""
    rung: str
    """What ended it: none (itself), interrupt, kill, or sandbox (the sandbox ended with it)."""
    settled: dict[str, Any]
    reported_exit: int | None = None
    """What the session says its status was: a claim of the sandbox."""
    cause: str | None = None
    """Why the harness stepped in: timeout or output; why the sandbox ended: died or cancelled."""
    session: str = "kept"
    """`kept`, or `lost`: the next action meets a new session."""


@dataclass(frozen=True)
class ActionRefused(Event):
    """The model asked for something that cannot be done; it is told why."""

    kind: ClassVar[str] = "action.refused"
    call: int
    reason: str
    tool: str | None = None
    call_id: str | None = None


@dataclass(frozen=True)
class Submitted(Event):
    """The model handed in its answer."""

    kind: ClassVar[str] = "submitted"
    call: int
    answer: str


@dataclass(frozen=True)
class OperatorActed(Event):
    """A person stepped in."""

    kind: ClassVar[str] = "operator.acted"
    act: str


@dataclass(frozen=True)
class SandboxFrozen(Event):
    """Every process of the agent was stopped for good."""

    kind: ClassVar[str] = "sandbox.frozen"
    moving: int
    """Processes that did not stop; other than 0 only when the supervisor was tampered with."""


@dataclass(frozen=True)
class HarnessGap(Event):
    """The harness was stopped, or its machine suspended, and went on; the sandbox froze itself."""

    kind: ClassVar[str] = "harness.gap"
    silent_s: float
    """Seconds without a heartbeat, time in which the machine was suspended included."""


@dataclass(frozen=True)
class HarnessLost(Event):
    """The harness ended without a word; written by the watchdog, which outlives it."""

    kind: ClassVar[str] = "harness.lost"
    lease_s: float
    """For how long the run's sandboxes are kept from now on, so that it can be resumed."""
    lease: str
    """When that ends: seconds since 1970, seconds since the machine's start, and which start."""


@dataclass(frozen=True)
class SandboxPaused(Event):
    """A sandbox was paused by the engine, for it has no harness any more."""

    kind: ClassVar[str] = "sandbox.paused"
    container: str
    until: str
    """When it is removed unless the run was resumed, for people to read."""
    lease: str
    """The same, as in `harness.lost`."""


@dataclass(frozen=True)
class FilesExported(Event):
    """Files taken out after the sandbox was frozen."""

    kind: ClassVar[str] = "files.exported"
    files: list[dict[str, Any]]
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SuccessJudged(Event):
    """How the answer was judged."""

    kind: ClassVar[str] = "success.judged"
    verdict: str
    reason: str


@dataclass(frozen=True)
class SandboxRemoved(Event):
    """The sandbox is gone."""

    kind: ClassVar[str] = "sandbox.removed"
    container: str
    state: dict[str, Any]


@dataclass(frozen=True)
class Trouble(Event):
    """Something went wrong that a reviewer should know of, and who is to blame."""

    kind: ClassVar[str] = "trouble"
    blame: str
    error: str
    message: str
    detail: str | None = None


@dataclass(frozen=True)
class TranscriptRepaired(Event):
    """The last line was torn; its bytes were set aside and the record ends before it."""

    kind: ClassVar[str] = "transcript.repaired"
    torn_bytes: int
    kept_in: str


@dataclass(frozen=True)
class RunClosed(Event):
    """The last event of a complete transcript."""

    kind: ClassVar[str] = "run.closed"
    outcome: dict[str, Any]
    spent: dict[str, Any]


KINDS: dict[str, type[Event]] = {
    cls.kind: cls
    for cls in (*Event.__subclasses__(), *OfKernel.__subclasses__())
    if cls is not OfKernel
}
"""Every kind by its name."""
