"""A finished run as graders see it: its facts by category, who did them, and what was not seen.

One pass over the events makes plain values; detectors and rules never touch the transcript itself.
A fact's fields have the names that Sigma rules use (Image, CommandLine, TargetFilename ...).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from agent_eval.errors import TranscriptBroken
from agent_eval.graders.programs import Programs
from agent_eval.record.reading import content_bytes, parse_line, read_events
from agent_eval.scenario.grading import Grading
from agent_eval.truth.truth import truth_in

TEXT_BYTES = 4 * 1024 * 1024
"""Of one content, what detectors look at."""


@dataclass(frozen=True, slots=True)
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
    action: int | None = None
    """That action's number, of what a kernel tells."""
    data: bytes = b""
    """The bytes that went with it, where a field has them as text."""
    answer: Any = None
    """What a service answered, as the event holds it; see `Story.content`."""


@dataclass(frozen=True)
class Gap:
    """Something that a kernel record did not see."""

    words: str
    sandbox: str | None = None
    """Of which sandbox; None: of all."""
    since: int = 0
    """The first event that may be touched by it."""


@dataclass
class Story:
    """A run, read once."""

    folder: Path
    opened: dict[str, Any] = field(default_factory=dict)
    events: int = 0
    facts: list[Fact] = field(default_factory=list)
    kinds: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Events by kind, of those that detectors look at as they are."""
    truth: dict[str, Any] | None = None
    """What ledgers, gateway and kernel prove; None without a world."""
    gaps: list[Gap] = field(default_factory=list)
    """What the kernel records did not see."""
    recorded: set[str] = field(default_factory=set)
    """Agents whose sandbox has a kernel record."""
    blind: set[str] = field(default_factory=set)
    """Kinds of facts that the kernel records cannot tell, such as `remove`."""

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Events of one kind, in order; one that is not kept is a fault of ours."""
        if kind in _NOT_KEPT:
            raise AssertionError(f"events of kind {kind} are facts alone")
        return self.kinds.get(kind, [])

    def in_category(self, *names: str) -> Iterator[Fact]:
        """Facts of some categories, in order."""
        return (fact for fact in self.facts if fact.category in names)

    @cached_property
    def resolved(self) -> dict[str, Any]:
        """The scenario as it was run."""
        scenario = self.opened.get("scenario")
        found = scenario.get("resolved") if isinstance(scenario, dict) else None
        return found if isinstance(found, dict) else {}

    @cached_property
    def grading(self) -> Grading:
        """What the scenario tells its graders."""
        return Grading.model_validate(self.resolved.get("grading") or {})

    @property
    def sanction(self) -> str:
        """Whether the risky act was instructed, permitted, unprompted or forbidden."""
        return str(self.resolved.get("sanction", "unprompted"))

    @cached_property
    def sandboxes(self) -> dict[int, str]:
        """The sandbox of each event that is a kernel's."""
        return {fact.seq: fact.sandbox for fact in self.facts if fact.sandbox is not None}

    @property
    def not_seen(self) -> tuple[str, ...]:
        """What the kernel records did not see, in words."""
        return tuple(dict.fromkeys(gap.words for gap in self.gaps))

    def caveat(self, cites: Iterable[int]) -> str | None:
        """What was not seen of the records that these events are from, at their time."""
        words = [
            gap.words
            for seq in cites
            if (sandbox := self.sandboxes.get(seq)) is not None
            for gap in self.gaps
            if gap.since <= seq and gap.sandbox in (None, sandbox)
        ]
        return "; ".join(dict.fromkeys(words)) or None

    @cached_property
    def marks(self) -> dict[str, str]:
        """The marks minted for this run, by name."""
        found: dict[str, str] = {}
        for event in self.of("files.seeded"):
            found.update(event.get("marks") or {})
        return found

    def taken_out(self, path: str) -> bool:
        """Whether a file is among those that are exported at the end, if it is there."""
        roots = (self.resolved.get("success") or {}).get("export") or []
        return any(path == root or path.startswith(f"{root}/") for root in roots)

    def content(self, holder: Any) -> bytes:
        """The bytes that a part of an event holds; nothing where it holds none."""
        if not isinstance(holder, dict) or not {"text", "base64", "blob"} & set(holder):
            return b""
        return content_bytes(self.folder, holder)[:TEXT_BYTES]


def read_story(run: Path) -> Story:
    """Read a run; raises `TranscriptBroken` where it is none that this program wrote."""
    story, truth = Story(run), truth_in(run)
    reader = Reader(story)
    try:
        for event in read_events(run):
            for earlier in inherited(run, event):
                reader.take(earlier)
            reader.take(event)
            truth.take(event)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TranscriptBroken(f"{run} cannot be graded: {error!r}") from error
    reader.finish()
    story.truth = truth.known()
    return story


def inherited(run: Path, event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a branch goes on from; it is cited by the event that brought it."""
    if event["kind"] == "run.branched":
        lines = content_bytes(run, event["inherited"]).splitlines(keepends=True)
        for number, line in enumerate(lines):
            yield parse_line(line, number) | {"seq": event["seq"]}


class Reader:
    """Turns events into facts, one after the other."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.programs = Programs()
        self.closed: set[str] = set()
        self.acting: dict[str, int] = {}
        """The event with which the last action of each agent began."""

    def take(self, event: dict[str, Any]) -> None:
        """One event."""
        kind, story = event["kind"], self.story
        if kind == "run.opened" and not story.opened:
            story.opened = event
        story.events = max(story.events, event["seq"] + 1)
        if made := _KERNEL.get(kind):
            made(self, event)
            return
        if kind not in _NOT_KEPT:
            story.kinds.setdefault(kind, []).append(event)
        if made := _OTHERS.get(kind):
            made(self, event)

    def finish(self) -> None:
        """Say what was not seen."""
        for event in self.story.of("sandbox.ready"):
            if (name := event["container"][:12]) not in self.closed:
                words = f"the kernel record of sandbox {name} is absent or open"
                self.story.gaps.append(Gap(words, name))

    def add(self, event: dict[str, Any], category: str, fields: dict[str, Any]) -> None:
        """A fact of the kernel record, with the program that did it."""
        sandbox, pid = event["sandbox"], event["pid"]
        program, parent = self.programs.of(sandbox, pid), self.programs.parent_of(sandbox, pid)
        whole = {"Image": program.image, "CommandLine": program.line, "ProcessId": str(pid)}
        if program.origin:
            whole["OriginalImage"] = program.origin
        if parent is not None:
            whole |= {"ParentImage": parent.image, "ParentCommandLine": parent.line}
        whole |= fields
        self.story.facts.append(
            Fact(
                event["seq"], category, event["agent"],
                {name: str(value) for name, value in whole.items()},
                sandbox, pid, tuple(map(str, event.get("argv") or ())), event.get("errno"),
                event.get("action") is not None, event.get("action"),
            )
        )  # fmt: skip

    def opened(self, event: dict[str, Any]) -> None:
        """A kernel record began."""
        if event.get("source") is None:
            self.story.gaps.append(Gap(f"no kernel record: {event.get('why')}", event["sandbox"]))
            return
        self.story.recorded.add(event["agent"])
        told = event["promises"].items()
        self.story.blind |= {name for name, said in told if str(said).startswith("not seen")}

    def lost(self, event: dict[str, Any]) -> None:
        """Facts were lost: since the last action began, or before."""
        words = f"the kernel record lost {event['lost']} facts by then"
        self.story.gaps.append(Gap(words, event["sandbox"], self.acting.get(event["agent"], 0)))

    def unheard(self, event: dict[str, Any]) -> None:
        """A sandbox lived on with nobody to hear its kernel."""
        words = "the kernel record has a gap: its harness was lost"
        self.story.gaps.append(Gap(words, event["sandbox"], event["seq"]))

    def ended(self, event: dict[str, Any]) -> None:
        """A kernel record ended."""
        self.closed.add(event["sandbox"])
        if event.get("broken"):
            words = f"the kernel record broke: {event['broken']}"
            self.story.gaps.append(Gap(words, event["sandbox"], event["seq"]))
        elif event["lost"] and not any(gap.sandbox == event["sandbox"] for gap in self.story.gaps):
            words = f"the kernel record lost {event['lost']} facts"
            self.story.gaps.append(Gap(words, event["sandbox"]))

    def forked(self, event: dict[str, Any]) -> None:
        """A process made another."""
        self.programs.forked(event["sandbox"], event["pid"], event["child"])
        self.live(event, "process_fork", {"Child": str(event["child"])})

    def exited(self, event: dict[str, Any]) -> None:
        """A process ended."""
        self.live(event, "process_exit", {})

    def live(self, event: dict[str, Any], category: str, fields: dict[str, str]) -> None:
        """A fact that no rule is about."""
        fact = Fact(event["seq"], category, event["agent"], fields, event["sandbox"], event["pid"])
        self.story.facts.append(fact)

    def started(self, event: dict[str, Any]) -> None:
        """A process became another program."""
        program = self.programs.started(event, [str(each) for each in event.get("argv") or ()])
        fields = {"CurrentDirectory": event.get("cwd") or "", "Script": program.script}
        self.add(event, "process_creation", fields)

    def file(self, event: dict[str, Any]) -> None:
        """A file was opened, removed or renamed."""
        change = event["kind"].partition(".")[2]
        mode = " ".join(event.get("mode") or ())
        fields = {"TargetFilename": event["path"], "Access": mode, "Change": change}
        if "write" in mode and not event.get("errno"):
            self.programs.wrote(event["sandbox"], event["pid"], event["path"])
        if event.get("to"):
            fields["NewFilename"] = event["to"]
        script = self.programs.of(event["sandbox"], event["pid"]).script
        self.add(event, "file_event", fields | {"Script": script})

    def connected(self, event: dict[str, Any]) -> None:
        """A connection was made or tried, or an address taken."""
        way = "true" if event["kind"] == "net.connected" else "false"
        host, _, port = event["address"].rpartition(":")
        told = {"DestinationIp": host.strip("[]"), "DestinationPort": port, "Initiated": way}
        if host == "unix":
            told |= {"DestinationIp": "", "DestinationPort": "", "DestinationPath": port}
        self.add(event, "network_connection", told)

    def signalled(self, event: dict[str, Any]) -> None:
        """A process told another something, such as to end."""
        self.add(event, "process_signal", {"Target": event["target"], "Signal": event["signal"]})

    def user(self, event: dict[str, Any]) -> None:
        """A process became, or tried to become, another user or group."""
        ids = {name: event[name] for name in ("uid", "gid") if event.get(name) is not None}
        done = "failed" if event.get("errno") else "done"
        self.add(event, "user_change", {"Call": event["call"], "Result": done, **ids})

    def say(
        self, event: dict[str, Any], category: str, fields: dict[str, Any], data: bytes = b""
    ) -> None:
        """A fact of the host's own."""
        told = {name: str(value) for name, value in fields.items() if value is not None}
        whole = (event["seq"], category, event["agent"], told)
        self.story.facts.append(Fact(*whole, data=data, answer=event.get("response")))

    def code(self, event: dict[str, Any]) -> None:
        """An action was asked for: its text, which is only what the model said it would do."""
        self.acting[event["agent"]] = event["seq"]
        text = str(event["input"].get("code") or event["input"].get("command") or event["input"])
        self.say(event, "command", {"Tool": event["tool"], "CommandText": text})

    def text(self, event: dict[str, Any]) -> None:
        """The agent told a person or a copy something."""
        said = event.get("answer") or event.get("task") or ""
        self.say(event, "message", {"Text": said, "Via": event["kind"]})

    def written(self, event: dict[str, Any]) -> None:
        """Somebody wrote to a person of the world, or handed in a mail."""
        if event.get("sandbox") is not None:
            told = {"Text": event["text"], "Via": event["kind"], "Subject": event.get("subject")}
            self.say(event, "message", told)

    def delegated(self, event: dict[str, Any]) -> None:
        """A copy was asked for."""
        self.text(event)
        made = "refused" if event["kind"] == "delegation.refused" else "made"
        told = {"Task": event["task"], "Result": made, "Cap": event.get("cap")}
        self.say(event, "delegation", told)

    def exchanged(self, event: dict[str, Any]) -> None:
        """A service of the world was asked something."""
        body = self.story.content(event.get("request"))
        keys = event.get("request_headers") or {}
        self.say(event, "http", {
            "cs-host": event["name"], "cs-method": event["method"], "c-uri": event["path"],
            "sc-status": event.get("status"), "Service": event.get("service"),
            "Sandbox": event["sandbox"], "Body": body.decode("utf-8", "replace"),
            "Keys": "\n".join(f"{name}: {value}" for name, value in keys.items()),
            "c-useragent": keys.get("user-agent"),
        }, body)  # fmt: skip

    def streamed(self, event: dict[str, Any]) -> None:
        """A connection to another machine is over: how it began and how it ended."""
        sent = event["sent"]
        ends = b"\n".join(self.story.content(sent.get(part)) for part in ("head", "tail"))
        told = {"Sandbox": event["sandbox"], "DestinationHostname": event["to"]}
        self.say(event, "stream", told, ends)

    def asked(self, event: dict[str, Any]) -> None:
        """The address of a name was asked for."""
        told = {"QueryName": event["name"], "QueryResults": event["leads_to"]}
        self.say(event, "dns_query", told | {"Sandbox": event["sandbox"]})

    def refused(self, event: dict[str, Any]) -> None:
        """A connection led nowhere."""
        self.say(event, "network_connection", {
            "DestinationIp": event["address"], "DestinationPort": event["port"],
            "DestinationHostname": event.get("name") or "", "Initiated": "true",
        })  # fmt: skip


_NOT_KEPT = frozenset({
    "message", "model.called", "model.failed", "model.offered", "model.replied", "model.request",
    "context.compacted", "world.answering", "world.asked", "world.exchange", "world.stream",
})  # fmt: skip
"""Kinds of which a long run has many, and that no detector looks at but as facts."""
_KERNEL: dict[str, Any] = {
    "kernel.opened": Reader.opened,
    "kernel.lost": Reader.lost,
    "kernel.gap": Reader.unheard,
    "kernel.closed": Reader.ended,
    "process.forked": Reader.forked,
    "process.started": Reader.started,
    "process.exited": Reader.exited,
    "file.opened": Reader.file,
    "file.removed": Reader.file,
    "file.renamed": Reader.file,
    "net.connected": Reader.connected,
    "net.bound": Reader.connected,
    "user.changed": Reader.user,
    "process.signalled": Reader.signalled,
}
_OTHERS: dict[str, Any] = {
    "action.started": Reader.code,
    "submitted": Reader.text,
    "agent.started": Reader.delegated,
    "delegation.refused": Reader.delegated,
    "world.exchange": Reader.exchanged,
    "world.asked": Reader.asked,
    "world.refused": Reader.refused,
    "world.stream_ended": Reader.streamed,
    "people.told": Reader.written,
    "mail.sent": Reader.written,
}
CATEGORIES = frozenset({
    "process_creation", "file_event", "network_connection", "user_change", "command", "message",
    "delegation", "http", "dns_query", "stream", "process_signal",
})  # fmt: skip
"""The categories of facts that rules can be about."""
