"""What a run is made of, and the first event, which says so.

Put together by whoever starts a run; `run` carries it out.
"""

import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from agent_eval.agent.context import window_of
from agent_eval.agent.instructions import Instructions
from agent_eval.events.kinds import FORMAT, FilesSeeded, RunOpened
from agent_eval.models.base import Model
from agent_eval.models.choose import choose
from agent_eval.past.past import Past
from agent_eval.person.oversight import Nobody, Person
from agent_eval.record.budget import Account
from agent_eval.record.rebuild import ROOT
from agent_eval.record.redact import Redactor, host_secrets
from agent_eval.run.outcome import Outcome
from agent_eval.run.provenance import package_facts
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.engine import plain_settings
from agent_eval.sandbox.pid1 import program_digest
from agent_eval.sandbox.settings import Asked
from agent_eval.scenario.approval import Suspicion
from agent_eval.scenario.grading import mint
from agent_eval.scenario.model import Loaded, Scenario
from agent_eval.scenario.planting import planted_part
from agent_eval.world.services.recalled import Recalled

LEASE_S = 3600.0
"""Seconds for which a sandbox is kept when the harness is lost, so that its run can be resumed."""


class Work(Protocol):
    """What is done in the sandbox of a run in the place of one conversation."""

    async def talk(self, setting: Any, account: Account, sandbox: Sandbox) -> Outcome:
        """Do it; `setting` is what all agents of the run have in common."""

    def verdict(self) -> tuple[str, str]:
        """What stands for success, and why."""

    def summary(self) -> dict[str, Any]:
        """What `run.json` says of it."""


@dataclass(frozen=True)
class Plan:
    """Everything a run is made of."""

    loaded: Loaded
    model: Model
    instructions: Instructions
    runs: Path
    command_line: list[str]
    changed: dict[str, Any]
    """What the command line laid over the scenario."""
    epoch: int = 1
    """Which of several equal runs it is."""
    key: bytes | None = None
    lease_s: float = LEASE_S
    past: Past | None = None
    """What there is of the run, if it is taken up again."""
    listener: Callable[[dict[str, Any]], None] | None = None
    watching: Callable[[Path], Callable[[dict[str, Any]], list[Any]]] | None = None
    """Given the run's folder, what looks at its events and says what was found; see `run.alarm`."""
    redactor: Redactor = field(default_factory=lambda: Redactor(host_secrets(os.environ)))
    """Takes the host's secrets out of all that is written and sent."""
    named: Callable[[str], Model] | None = None
    """Makes one more model by its name, for those who answer in the scenario's world."""
    recalled: Recalled | None = None
    """What the world's language-model API answered in the run whose actions are done again."""
    work: Work | None = None
    """What is done, where that is no conversation about the scenario's task."""
    person: Person = field(default_factory=Nobody)
    """Who decides on actions, where the scenario has them wait for a person."""

    suspicious: Suspicion | None = None
    """Tries the rules by which actions wait for one."""

    @cached_property
    def marks(self) -> dict[str, str]:
        """The marks of this run; one that goes on has those that it began with."""
        root = self.past.state.agents.get(ROOT) if self.past else None
        for event in root.history if root else ():
            if event["kind"] == FilesSeeded.kind:
                return dict(event.get("marks") or {})
        return mint(self.loaded.scenario.grading.marks)

    @cached_property
    def scenario(self) -> Scenario:
        """The scenario as it is played: with the marks of this run in sandbox and world."""
        written = self.loaded.scenario
        world = planted_part(written.world, self.marks) if written.world else None
        sandbox = planted_part(written.sandbox, self.marks)
        return written.model_copy(update={"sandbox": sandbox, "world": world})

    @property
    def waits_for_somebody(self) -> bool:
        """Whether actions wait for a person, and none has been named yet."""
        return self.loaded.scenario.approve is not None and isinstance(self.person, Nobody)

    @property
    def title_of_model(self) -> str:
        """The model by its name, and `self-hosted` where another program thinks with it."""
        hosted = self.loaded.scenario.subject is not None
        return f"self-hosted {self.model.name}" if hosted else self.model.name

    def model_of(self, name: str) -> Model:
        """A further model, with the prices, servers and limits of the run's own."""
        return self.named(name) if self.named else choose(name, self.loaded, None)


def run_id(title: str) -> str:
    """A name for a run that no other has."""
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{re.sub('[@#]', '-', title)}-{now}-{secrets.token_hex(3)}"


def made_on(facts: dict[str, Any], image: dict[str, Any], runtime: str) -> dict[str, Any]:
    """What the engine is and runs, for the first event."""
    return {
        **facts,
        "runtimes": sorted(facts["runtimes"]),
        "runtime": {"name": runtime, **facts["runtimes"][runtime]},
        "image": image,
        "supervisor_sha256": program_digest(),
    }


def scenario_facts(plan: Plan) -> dict[str, Any]:
    """The scenario as the first event has it."""
    return {
        "title": plan.loaded.title,
        "digest": plan.loaded.digest,
        "files": plan.loaded.file_digests,
        "folder": str(plan.loaded.folder.resolve()),
        "variant": plan.loaded.variant,
        **({"milestone": plan.loaded.milestone} if plan.loaded.milestone else {}),
        "resolved": plan.loaded.scenario.model_dump(mode="json"),
    }


def model_facts(plan: Plan) -> dict[str, Any]:
    """The model as the first event has it."""
    wanted, model = plan.loaded.scenario.model, plan.model
    return {
        "name": plan.title_of_model,
        "arguments": model.arguments(wanted.max_output_tokens),
        "context_tokens": window_of(wanted, model),
        "price": model.price.record() if model.price else None,
        **model.about(),
    }


def opening(plan: Plan, asked: Asked, stated: dict[str, Any], about: dict[str, Any]) -> RunOpened:
    """The first event of a run: where everything in it comes from."""
    host = stated["HostConfig"]
    return RunOpened(
        run=asked.run,
        format=FORMAT,
        epoch=plan.epoch,
        scenario=scenario_facts(plan),
        model=model_facts(plan),
        prompts=plan.instructions.digests,
        package=package_facts(),
        engine=about,
        asked={"sandbox": plain_settings(asked), "command_line": plan.changed},
        in_force={name: host.get(name) for name in _STATED},
        command_line=plan.command_line,
        canary=plan.loaded.scenario.canary,
        secrets=len(plan.redactor),
    )


_STATED = (
    "Runtime", "NetworkMode", "ReadonlyRootfs", "CapAdd", "CapDrop", "Memory", "MemorySwap",
    "NanoCpus", "PidsLimit", "Tmpfs", "Ulimits", "Dns", "IpcMode", "ShmSize", "Privileged",
)  # fmt: skip
"""What the engine states of a container and the first event keeps; the audit has the rest."""
