"""What a scenario may say: every field, its default and its limits, in one place.

Made by `scenario_file` from YAML; read by everything that runs or grades. A scenario is a value:
resolved (its variant applied), frozen, and with a digest of all that can influence a run.
"""

import hashlib
import json
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ByteSize, Field, StringConstraints, model_validator

from agent_eval.scenario.approval import Approval
from agent_eval.scenario.grading import Expect, Grading
from agent_eval.scenario.part import Part, Text
from agent_eval.scenario.questions import Question
from agent_eval.scenario.snapshots import Snapshots
from agent_eval.scenario.subject import Subject, refuse_unless_hosted
from agent_eval.scenario.success import InsidePath, Milestone, Name, Success, refuse_disorder
from agent_eval.scenario.world import World

Sanction = Literal["instructed", "permitted", "unprompted", "forbidden"]
Verdict = Literal["success", "partial", "failure", "unscored"]

Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
Value = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=4096)]
OURS = frozenset({"HOME", "USER", "LOGNAME", "SHELL", "PATH", "HOSTNAME"})
"""Variables that sessions rely on."""

HOME = "/home/user"
MIB = 1024 * 1024


def _plain_path(path: str) -> bool:
    """Whether a path says where it leads: no `..`, no `.`, no doubled or closing slash."""
    plain = PurePosixPath(path)
    return str(plain) == path and ".." not in plain.parts and plain.root == "/"


class SeedFile(Part):
    """One file that is in the sandbox before the agent looks; owned by the agent's user."""

    to: InsidePath
    """Where it goes: under the home folder, `/tmp` or one of `sandbox.writable`."""
    source: Text | None = None
    """A file in the scenario's folder. A folder is copied with all that is in it."""
    text: str | None = None
    """The content itself."""
    shipped: Literal["subject"] | None = None
    """A folder that ships with this package: `subject` is the self-hosted agent."""
    mode: Annotated[str, StringConstraints(pattern=r"^0?[0-7]{3}$")] | None = None
    """Permission bits, octal; left out means 0644, or 0755 for a source that can be executed."""
    age_s: Annotated[float, Field(ge=0, le=10**9)] | None = None
    """Seconds before the start that it was last changed; left out means the last moment that its
    text or name tells, or else about three weeks."""

    @model_validator(mode="after")
    def _one_content(self) -> "SeedFile":
        if [self.source, self.text, self.shipped].count(None) != 2:
            raise ValueError("give one of `source`, `text` and `shipped`")
        return self


class Delegation(Part):
    """How far the agent may copy itself; caps hold for the whole tree of copies."""

    max_depth: int = Field(default=0, ge=0, le=10)
    """Generations of copies below the first agent; 0 means that it has no tool for that."""
    max_at_once: int = Field(default=4, ge=1, le=1000)
    """Copies that may be alive at one time."""
    max_total: int = Field(default=16, ge=1, le=10000)
    """Copies that may be made in all."""
    max_share: float = Field(default=0.5, gt=0, le=1)
    """The part of what an agent has left that it may grant to one copy."""
    start: Literal["live", "home", "fresh", "shared"] = "home"
    """What a copy starts from: `live`, its parent's sandbox with memory and processes (gVisor
    only); `home`, its parent's files at that instant; `fresh`, the files of the scenario;
    `shared`, the parent's own sandbox, with sessions of its own."""


class Budget(Part):
    """What one run may use in all. A limit that is left out does not limit."""

    usd: float | None = Field(default=1.0, ge=0)
    """Dollars paid to the model's provider."""
    tokens: int | None = Field(default=2_000_000, gt=0)
    """Tokens read and written by the model; input includes what came from a cache."""
    output_tokens: int | None = Field(default=None, gt=0)
    """Tokens written by the model, reasoning included."""
    steps: int | None = Field(default=50, gt=0)
    """Calls of the model that were answered."""
    wall_s: float | None = Field(default=3600, gt=0)
    """Seconds from the first call of the model to the end."""
    tool_s: float | None = Field(default=1800, gt=0)
    """Seconds that actions took in all."""
    output_bytes: int | None = Field(default=100 * MIB, gt=0)
    """Bytes that actions wrote in all."""
    record_bytes: int | None = Field(default=256 * MIB, gt=0)
    """Bytes of events that the kernel record may come to; beyond them the sandbox is ended."""


class Sandbox(Part):
    """The container: what it is made of and how much of the machine it gets."""

    image: Text = "agent-eval-sandbox:latest"
    """An image the engine has; any with Python 3.8 or later and bash."""
    runtime: Literal["any", "runc", "runsc"] = "any"
    """`any` is gVisor where the engine has it; `runsc` refuses to run without gVisor."""
    memory_bytes: ByteSize = Field(default=ByteSize(512 * MIB), ge=64 * MIB)
    """Memory of all processes together, files in memory included; there is no swap."""
    cpus: float = Field(default=1.0, gt=0, le=64)
    """Processor cores."""
    processes: int = Field(default=128, ge=16, le=4096)
    """Processes and threads at one time."""
    open_files: int = Field(default=512, ge=256, le=65536)
    """Open files of one process."""
    home_bytes: ByteSize = Field(default=ByteSize(64 * MIB), ge=MIB)
    """Room in the home folder."""
    tmp_bytes: ByteSize = Field(default=ByteSize(64 * MIB), ge=MIB)
    """Room in `/tmp`."""
    writable: dict[InsidePath, Annotated[ByteSize, Field(ge=64 * 1024)]] = Field(
        default_factory=dict
    )
    """More folders the agent can write, with their room; everything else is read-only."""
    hostname: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] = "server"
    """The machine's name as seen inside."""
    environment: dict[Variable, Value] = Field(default_factory=dict)
    """Variables that all programs of the agent find, beside the usual ones."""
    record: Literal["auto", "required", "off"] = "auto"
    """Whether its kernel records what programs do: `auto` is where that can be done."""
    marked: tuple[InsidePath, ...] = ()
    """Files and folders whose opening for reading is recorded too; for writing, all are."""

    @model_validator(mode="after")
    def _may_be_writable(self) -> "Sandbox":
        for top in self.writable:
            if not _plain_path(top):
                raise ValueError(f"writable: {top}: write the path without `.`, `..` and `//`")
            if PurePosixPath(top).parts[1] in ("proc", "sys", "dev"):
                raise ValueError(f"writable: {top} belongs to the kernel")
            if PurePosixPath(top).parts[1] == "run":
                raise ValueError(f"writable: {top} belongs to the supervisor of the sandbox")
            if top in (HOME, "/tmp"):  # noqa: S108 - a path inside the sandbox
                raise ValueError(f"writable: {top} is there already; see home_bytes and tmp_bytes")
        return self

    @model_validator(mode="after")
    def _ours_stay(self) -> "Sandbox":
        for name in sorted(OURS & set(self.environment)):
            raise ValueError(f"environment: {name} is set by the sandbox; take another name")
        return self

    @model_validator(mode="after")
    def _fits(self) -> "Sandbox":
        room = self.home_bytes + self.tmp_bytes + sum(self.writable.values())
        if room > 4 * self.memory_bytes:
            raise ValueError(
                f"writable folders of {room} bytes in all live in memory, and memory_bytes is "
                f"{int(self.memory_bytes)}: raise memory_bytes or lower the others"
            )
        return self


class Actions(Part):
    """What bounds a single action, and what the model sees of it."""

    timeout_s: float = Field(default=60, gt=0, le=86400)
    """Seconds an action may take where the model asks for nothing else."""
    max_timeout_s: float = Field(default=600, gt=0, le=86400)
    """The most the model may ask for."""
    view_bytes: int = Field(default=16384, ge=256)
    """Bytes of an action's output that the model sees: the head and the tail."""
    max_output_bytes: ByteSize = Field(default=ByteSize(10 * MIB), ge=4096, le=1024 * MIB)
    """Bytes one action may write; one that writes more is killed."""
    max_idle_replies: int = Field(default=3, ge=1)
    """Replies without a usable action, one after the other, before the run ends."""

    @model_validator(mode="after")
    def _ordered(self) -> "Actions":
        if self.timeout_s > self.max_timeout_s:
            raise ValueError("timeout_s is above max_timeout_s")
        return self


class Prompts(Part):
    """Files in the scenario's folder that replace the package's own prompts."""

    system: Text | None = None
    """The system prompt, a Jinja template."""
    nudge: Text | None = None
    """What the model reads after a reply without an action, a Jinja template."""
    tools: Text | None = None
    """Names and descriptions of the tools, YAML."""


_SENT_BY_US = {
    *("model", "messages", "tools", "functions", "stream", "n", "max_tokens"),
    *("max_completion_tokens", "temperature", "top_p", "seed", "reasoning_effort"),
}
"""Fields of a request that budget and record rely on."""


class ModelArguments(Part):
    """What is sent to the model's server beside the messages; left out means not sent."""

    temperature: float | None = Field(default=None, ge=0)
    """Sampling temperature."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Nucleus sampling."""
    seed: int | None = None
    """Seed for sampling, where the server has one."""
    max_output_tokens: int = Field(default=4096, ge=16)
    """Tokens one reply may have, reasoning included; what is reserved before a call."""
    reasoning_effort: Text | None = None
    """Passed through as it is."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """More fields of the request, passed through as they are."""
    tool_format: Literal["native", "fenced"] = "native"
    """`fenced`: the model writes actions as fenced blocks, for servers without tool calls."""
    output_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    """The name the server has for the limit of a reply; found from its address if left out."""
    attempts: int = Field(default=5, ge=1, le=20)
    """Tries of one call before the server counts as unavailable."""
    connect_timeout_s: float = Field(default=20, gt=0)
    """Seconds until a connection stands."""
    first_byte_timeout_s: float = Field(default=600, gt=0)
    """Seconds from sending until an answer begins; a model that thinks long is silent so long."""
    idle_timeout_s: float = Field(default=60, gt=0)
    """Seconds of silence in the middle of an answer."""
    context_tokens: int | None = Field(default=None, ge=256)
    """The model's window, prompt and reply together; the server's own where that is smaller."""
    when_full: Literal["stop", "compact"] = "compact"
    """When the window is full: end the run, or shorten the oldest observations first."""
    request_timeout_s: float = Field(default=600, gt=0)
    """Seconds one try may take in all."""
    missing_usage: Literal["reserved", "estimated"] = "reserved"
    """What a reply costs whose server does not say: all that was reserved, or an estimate."""

    @model_validator(mode="after")
    def _only_more(self) -> "ModelArguments":
        taken = sorted(_SENT_BY_US & set(self.extra_body))
        if taken:
            raise ValueError(
                f"extra_body: {', '.join(taken)} is sent by this program; what can be chosen of it "
                "has a field of its own here"
            )
        try:
            json.dumps(self.extra_body, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"extra_body: not JSON: {error}") from error
        return self


class Control(Part):
    """A scripted model in `controls.py` that shows what the scenario's graders must tell apart."""

    harm: bool
    """True: it does the harm and must be flagged. False: it looks alike and must not be."""
    success: Verdict
    """How its answer is judged."""
    summary: Text
    """What it does, in a sentence."""
    expect: Expect | None = None
    """What graders must say of it; left out means that nothing may be flagged."""


class Scenario(Part):
    """One scenario, resolved."""

    name: Name
    """The name of its folder."""
    summary: Text
    """What happens, in a sentence."""
    risk: Text
    """What risk it tests, and where the idea comes from."""
    sanction: Sanction
    """Whether the risky act is instructed, permitted, unprompted or forbidden."""
    canary: Annotated[str, StringConstraints(pattern=r"^agent-eval:canary:[0-9a-f-]{36}$")]
    """A string that must never be in training data; `agent-eval new` makes one."""
    task: Text
    """What the agent is told to do: its first message."""
    success: Success
    """How its answer is judged."""
    subject: Subject | None = None
    """Another program that is the subject, in the place of this program's loop."""
    today: Annotated[date, Field(ge=date(2000, 1, 1), lt=date(2100, 1, 1))] | None = None
    """The day that `files` and `task` take for today. With the day of a run, all days in them
    (`2026-11-01`, `1 November 2026`) move by whole weeks; what is exported is moved back before it
    is judged. Left out means that nothing moves."""
    files: tuple[SeedFile, ...] = ()
    """What is in the sandbox from the start."""
    tools: tuple[Literal["bash", "python"], ...] = ("bash", "python")
    """What the agent can act with; `submit` is always there."""
    delegation: Delegation = Delegation()
    """How far it may copy itself."""
    budget: Budget = Budget()
    """What a run may use."""
    role_usd: float | None = Field(default=1.0, ge=0)
    """Dollars that each model beside the one under test may spend: those that play persons
    (`persons`) or answer at the world's `lm`, and the `grader`. A smaller limit of its own holds
    where one has it; null lifts this one."""
    sandbox: Sandbox = Sandbox()
    """Where it runs."""
    world: World | None = None
    """What it sees as the internet; left out means that it has no network."""
    snapshots: Snapshots = Snapshots()
    """When what its sandboxes are is kept."""
    actions: Actions = Actions()
    """What bounds a single action."""
    approve: Approval | None = None
    """Which actions wait for a person; left out means that none does."""
    prompts: Prompts = Prompts()
    """Prompts of its own."""
    model: ModelArguments = ModelArguments()
    """What is sent to the model's server."""
    grading: Grading = Grading()
    """What its graders need to know: marks, and whose files are what."""
    questions: tuple[Question, ...] = ()
    """What every reviewer of a run answers; in no digest, for no run depends on it."""
    controls: dict[Name, Control] = Field(default_factory=dict)
    """The scripted models in `controls.py`."""
    milestones: tuple[Milestone, ...] = ()
    """States on the way to success, in order, each with a start state and code that checks it."""

    @property
    def offered(self) -> tuple[str, ...]:
        """What the agent can act with, copies included; `submit` aside."""
        return (*self.tools, "delegate") if self.delegation.max_depth else self.tools

    @model_validator(mode="after")
    def _milestones_in_order(self) -> "Scenario":
        refuse_disorder(self.milestones, self.controls)
        if self.milestones and self.world is not None:
            raise ValueError("milestones: they begin from files alone; leave out these or `world`")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> "Scenario":
        own = bool(self.delegation.max_depth) or self.approve is not None
        refuse_unless_hosted(self.subject, self.world, self.sandbox.record, own=own)
        if len(set(self.tools)) != len(self.tools) or not self.tools:
            raise ValueError("tools: name one or both of `bash` and `python`, each once")
        writable = (HOME, "/tmp", *self.sandbox.writable)  # noqa: S108 - a path inside the sandbox
        targets = [seed.to for seed in self.files]
        for index, target in enumerate(targets):
            place = f"files.{index}.to"
            if not _plain_path(target):
                raise ValueError(f"{place}: {target}: write the path without `.`, `..` and `//`")
            if not any(PurePosixPath(target).is_relative_to(top) for top in writable):
                raise ValueError(
                    f"{place}: {target} is not under a folder the agent can write "
                    f"({', '.join(writable)}): add its folder to sandbox.writable"
                )
            if target in targets[:index]:
                raise ValueError(f"{place}: {target} is given twice; give each target once")
        return self


def digest_of(value: Any) -> str:
    """SHA-256 of a value's canonical JSON (sorted keys, no spaces), as hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Loaded(BaseModel, frozen=True):
    """A scenario together with where it came from and what its folder holds."""

    scenario: Scenario
    folder: Path
    variant: str | None = None
    milestone: str | None = None
    """The one that is to be reached, where that is all; `scenario` has its success then."""
    file_digests: dict[str, str]
    """SHA-256 of every file in the folder that can influence a run, by its path there; with
    ` executable` after it where the file may be run, since a seed of it may be as well."""

    @property
    def title(self) -> str:
        """`name` or `name@variant`, and `#milestone` after it."""
        variant = f"@{self.variant}" if self.variant else ""
        return self.scenario.name + variant + (f"#{self.milestone}" if self.milestone else "")

    @property
    def begins_at(self) -> Milestone | None:
        """The milestone before the one that is to be reached: where the run begins."""
        names = [each.name for each in self.scenario.milestones]
        place = names.index(self.milestone) if self.milestone else 0
        return self.scenario.milestones[place - 1] if place else None

    @property
    def digest(self) -> str:
        """SHA-256 over the resolved scenario and its files, as hexadecimal."""
        resolved = self.scenario.model_dump(mode="json", exclude={"questions"})
        whole = {"scenario": resolved, "files": self.file_digests}
        return digest_of(whole | ({"milestone": self.milestone} if self.milestone else {}))
