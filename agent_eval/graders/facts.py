"""A finished run as graders see it: its facts by category, who did them, and what was not seen.

One pass over the events makes plain values; detectors and rules never touch the transcript itself.
A fact's fields have the names that Sigma rules use (Image, CommandLine, TargetFilename ...).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_eval.errors import TranscriptBroken
from agent_eval.record.reading import content_bytes, parse_line, read_events
from agent_eval.scenario.grading import Grading

TEXT_BYTES = 4 * 1024 * 1024
"""Of one content, what detectors look at."""


@dataclass(frozen=True)
class Fact:
    """One thing that happened."""

    seq: int
    category: str
    agent: str
    fields: dict[str, str]
    sandbox: str | None = None
    pid: int | None = None
    argv: tuple[str, ...] = ()
    errno: int | None = None
    caused: bool = True
    """Whether an action of an agent caused it."""


@dataclass
class Story:
    """A run, read once."""

    folder: Path
    opened: dict[str, Any] = field(default_factory=dict)
    events: int = 0
    facts: list[Fact] = field(default_factory=list)
    kinds: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Events by kind, but for those of the kernel record."""
    gaps: list[str] = field(default_factory=list)
    """What the kernel records did not see, in words."""
    recorded: set[str] = field(default_factory=set)
    """Agents whose sandbox has a kernel record."""
    blind: set[str] = field(default_factory=set)
    """Kinds of facts that the kernel records cannot tell, such as `remove`."""

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Events of one kind, in order."""
        return self.kinds.get(kind, [])

    def in_category(self, *names: str) -> Iterator[Fact]:
        """Facts of some categories, in order."""
        return (fact for fact in self.facts if fact.category in names)

    @property
    def resolved(self) -> dict[str, Any]:
        """The scenario as it was run."""
        scenario = self.opened.get("scenario")
        found = scenario.get("resolved") if isinstance(scenario, dict) else None
        return found if isinstance(found, dict) else {}

    @property
    def grading(self) -> Grading:
        """What the scenario tells its graders."""
        return Grading.model_validate(self.resolved.get("grading") or {})

    @property
    def sanction(self) -> str:
        """Whether the risky act was instructed, permitted, unprompted or forbidden."""
        return str(self.resolved.get("sanction", "unprompted"))

    @property
    def marks(self) -> dict[str, str]:
        """The marks minted for this run, by name."""
        found: dict[str, str] = {}
        for event in self.of("files.seeded"):
            found.update(event.get("marks") or {})
        return found

    def content(self, holder: Any) -> bytes:
        """The bytes that a part of an event holds; nothing where it holds none."""
        if not isinstance(holder, dict) or not {"text", "base64", "blob"} & set(holder):
            return b""
        return content_bytes(self.folder, holder)[:TEXT_BYTES]


def read_story(run: Path) -> Story:
    """Read a run; raises `TranscriptBroken` where it is none that this program wrote."""
    story = Story(run)
    reader = _Reader(story)
    try:
        for event in _placed(run):
            reader.take(event)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TranscriptBroken(f"{run} cannot be graded: {error!r}") from error
    reader.finish()
    return story


def _placed(run: Path) -> Iterator[dict[str, Any]]:
    """The events of a run; what a branch inherited is cited by the event that brought it."""
    for event in read_events(run):
        if event["kind"] == "run.branched":
            lines = content_bytes(run, event["inherited"]).splitlines(keepends=True)
            for number, line in enumerate(lines):
                yield parse_line(line, number) | {"seq": event["seq"]}
        yield event


class _Reader:
    """Turns events into facts; remembers which process is which program."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.programs: dict[tuple[str, int], tuple[str, str, str]] = {}
        """Image, command line and script of each process."""
        self.parents: dict[tuple[str, int], int] = {}
        self.closed: set[str] = set()

    def take(self, event: dict[str, Any]) -> None:
        """One event."""
        kind, story = event["kind"], self.story
        if kind == "run.opened" and not story.opened:
            story.opened = event
        story.events = max(story.events, event["seq"] + 1)
        if made := _KERNEL.get(kind):
            made(self, event)
            return
        story.kinds.setdefault(kind, []).append(event)
        if made := _OTHERS.get(kind):
            made(self, event)

    def finish(self) -> None:
        """Say what was not seen."""
        for event in self.story.of("sandbox.ready"):
            if event["container"][:12] not in self.closed:
                name = event["container"][:12]
                self.story.gaps.append(f"the kernel record of sandbox {name} is absent or open")

    def add(self, event: dict[str, Any], category: str, fields: dict[str, Any]) -> None:
        """A fact of the kernel record, with the program that did it."""
        sandbox, pid = event["sandbox"], event["pid"]
        image, line, _ = self.programs.get((sandbox, pid), ("", "", ""))
        whole = {"Image": image, "CommandLine": line, "ProcessId": str(pid)} | fields
        parent = self.parents.get((sandbox, pid))
        if parent is not None:
            parent_image, parent_line, _ = self.programs.get((sandbox, parent), ("", "", ""))
            whole |= {"ParentImage": parent_image, "ParentCommandLine": parent_line}
        self.story.facts.append(
            Fact(
                event["seq"], category, event["agent"],
                {name: str(value) for name, value in whole.items()},
                sandbox, pid, tuple(map(str, event.get("argv") or ())), event.get("errno"),
                event.get("action") is not None,
            )
        )  # fmt: skip

    def opened(self, event: dict[str, Any]) -> None:
        """A kernel record began."""
        if event["source"] is None:
            self.story.gaps.append(f"no kernel record: {event.get('why')}")
            return
        self.story.recorded.add(event["agent"])
        told = event["promises"].items()
        self.story.blind |= {name for name, said in told if str(said).startswith("not seen")}

    def lost(self, event: dict[str, Any]) -> None:
        """Facts were lost."""
        self.story.gaps.append(f"the kernel record lost {event['lost']} facts by then")

    def ended(self, event: dict[str, Any]) -> None:
        """A kernel record ended."""
        self.closed.add(event["sandbox"])
        if event.get("broken"):
            self.story.gaps.append(f"the kernel record broke: {event['broken']}")
        elif event["lost"]:
            self.story.gaps.append(f"the kernel record lost {event['lost']} facts")

    def forked(self, event: dict[str, Any]) -> None:
        """A process made another, which runs the same program for now."""
        sandbox = event["sandbox"]
        self.parents[sandbox, event["child"]] = event["pid"]
        if known := self.programs.get((sandbox, event["pid"])):
            self.programs[sandbox, event["child"]] = known

    def started(self, event: dict[str, Any]) -> None:
        """A process became another program."""
        argv = [str(each) for each in event.get("argv") or ()]
        image, line = str(event.get("runs") or event.get("program") or ""), " ".join(argv)
        script = argv[1] if len(argv) > 1 and argv[1].startswith("/") else ""
        self.programs[event["sandbox"], event["pid"]] = (image, line, script)
        fields = {"CurrentDirectory": event.get("cwd") or "", "Script": script}
        self.add(event, "process_creation", fields)

    def file(self, event: dict[str, Any]) -> None:
        """A file was opened, removed or renamed."""
        change = event["kind"].partition(".")[2]
        mode = " ".join(event.get("mode") or ())
        fields = {"TargetFilename": event["path"], "Access": mode, "Change": change}
        _, _, script = self.programs.get((event["sandbox"], event["pid"]), ("", "", ""))
        if event.get("to"):
            fields["NewFilename"] = event["to"]
        self.add(event, "file_event", fields | {"Script": script})

    def connected(self, event: dict[str, Any]) -> None:
        """A connection was made or tried, or an address taken."""
        host, _, port = event["address"].rpartition(":")
        way = "true" if event["kind"] == "net.connected" else "false"
        told = {"DestinationIp": host.strip("[]"), "DestinationPort": port, "Initiated": way}
        self.add(event, "network_connection", told)

    def user(self, event: dict[str, Any]) -> None:
        """A process became, or tried to become, another user or group."""
        ids = {name: event[name] for name in ("uid", "gid") if event.get(name) is not None}
        done = "failed" if event.get("errno") else "done"
        self.add(event, "user_change", {"Call": event["call"], "Result": done, **ids})

    def say(self, event: dict[str, Any], category: str, fields: dict[str, Any]) -> None:
        """A fact of the host's own."""
        told = {name: str(value) for name, value in fields.items() if value is not None}
        self.story.facts.append(Fact(event["seq"], category, event["agent"], told))

    def code(self, event: dict[str, Any]) -> None:
        """An action was asked for: its text, which is only what the model said it would do."""
        text = str(event["input"].get("code") or event["input"].get("command") or event["input"])
        self.say(event, "command", {"Tool": event["tool"], "CommandText": text})

    def text(self, event: dict[str, Any]) -> None:
        """The agent told a person or a copy something."""
        said = event.get("answer") or event.get("task") or ""
        self.say(event, "message", {"Text": said, "Via": event["kind"]})

    def delegated(self, event: dict[str, Any]) -> None:
        """A copy was asked for."""
        self.text(event)
        made = "refused" if event["kind"] == "delegation.refused" else "made"
        told = {"Task": event["task"], "Result": made, "Cap": event.get("cap")}
        self.say(event, "delegation", told)

    def exchanged(self, event: dict[str, Any]) -> None:
        """A service of the world was asked something."""
        body = self.story.content(event.get("request")).decode("utf-8", "replace")
        self.say(event, "http", {
            "cs-host": event["name"], "cs-method": event["method"], "c-uri": event["path"],
            "sc-status": event.get("status"), "Service": event.get("service"),
            "Sandbox": event["sandbox"], "Body": body,
        })  # fmt: skip

    def asked(self, event: dict[str, Any]) -> None:
        """The address of a name was asked for."""
        told = {"QueryName": event["name"], "QueryResults": event["leads_to"]}
        self.say(event, "dns_query", told)

    def refused(self, event: dict[str, Any]) -> None:
        """A connection led nowhere."""
        self.say(event, "network_connection", {
            "DestinationIp": event["address"], "DestinationPort": event["port"],
            "DestinationHostname": event.get("name") or "", "Initiated": "true",
        })  # fmt: skip


_KERNEL: dict[str, Any] = {
    "kernel.opened": _Reader.opened,
    "kernel.lost": _Reader.lost,
    "kernel.closed": _Reader.ended,
    "process.forked": _Reader.forked,
    "process.started": _Reader.started,
    "process.exited": lambda _reader, _event: None,
    "file.opened": _Reader.file,
    "file.removed": _Reader.file,
    "file.renamed": _Reader.file,
    "net.connected": _Reader.connected,
    "net.bound": _Reader.connected,
    "user.changed": _Reader.user,
}
_OTHERS: dict[str, Any] = {
    "action.started": _Reader.code,
    "submitted": _Reader.text,
    "agent.started": _Reader.delegated,
    "delegation.refused": _Reader.delegated,
    "world.exchange": _Reader.exchanged,
    "world.asked": _Reader.asked,
    "world.refused": _Reader.refused,
}
CATEGORIES = frozenset({
    "process_creation", "file_event", "network_connection", "user_change", "command", "message",
    "delegation", "http", "dns_query",
})  # fmt: skip
"""The categories of facts that rules can be about."""
