"""A person's part in the loop: what is on record when, what is done, what the model sees.

The loop, the record and the decisions are the real ones; decisions come from a file's form, or from
a person in memory where it matters when they come.
"""

import json
from collections.abc import Callable, Generator, Sequence
from math import log2
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent_eval.agent.delegate import Copy, Family
from agent_eval.agent.loop import converse
from agent_eval.basics.conversation import Reply, ToolCall, Usage
from agent_eval.errors import GaveUp, LimitReached, OperatorError, Stopped
from agent_eval.events.kinds import RunOpened
from agent_eval.events.operator import INTERVENTIONS
from agent_eval.models.base import Model
from agent_eval.models.choose import choose
from agent_eval.models.control import Control, Turn, bash, delegate, either, python, say, submit
from agent_eval.person.decisions import Decisions, Scripted, read_decisions
from agent_eval.person.oversight import CHOICES, Decision, Nobody, Question
from agent_eval.record.reading import (
    choice_bits_in,
    content_bytes,
    interventions_in,
    read_events,
    rebuild_request,
)
from agent_eval.record.rebuild import rebuild, rebuilt
from agent_eval.record.redact import Redactor
from agent_eval.record.transcript import Transcript
from agent_eval.record.verify import reopened, verify
from agent_eval.scenario.approval import Approval
from tests.agent.test_loop import Script, World, converse_in, ended_by, world
from tests.helpers import ModelInMemory, SandboxInMemory, kinds_on_disk, loaded
from tests.record.test_rebuild import OPENED, PLENTY, agent_on, cut, said_by

pytestmark = pytest.mark.anyio

Written = dict[str, Any]


def decided(*decisions: Written) -> Scripted:
    """Somebody who decides as a file would say."""
    return Scripted("file:test", Decisions.model_validate({"decisions": decisions}).decisions)


def overseen(
    tmp_path: Path, mind: Model | Callable[[str], Script], *decisions: Written, **fields: Any
) -> tuple[World, SandboxInMemory]:
    """An agent whose every action waits for a decision, and its sandbox."""
    sandbox = SandboxInMemory()
    fields = {"approve": {}} | fields
    there = world(tmp_path, mind, sandbox, person=decided(*decisions), **fields)
    return there, sandbox


def types_of(there: World) -> list[str]:
    return [event["type"] for event in there.events("intervened")]


def test_the_types_are_those_that_others_rely_on() -> None:
    names = "simulate override_refusal fix_tool approve reject edit_action edit_observation hint"
    assert set(INTERVENTIONS) == {*names.split(), "pick_option"}
    assert {each for choices in CHOICES.values() for each in choices} == set(INTERVENTIONS)


def one_action(_task: str) -> Script:
    seen = yield bash("rm -rf /srv", say="Away with it.")
    yield submit(seen)


async def test_a_decision_is_on_record_before_anything_follows_from_it(tmp_path: Path) -> None:
    there, sandbox = overseen(tmp_path, one_action, {"type": "approve", "times": None})
    on_disk: list[list[str]] = []
    sandbox.at_execution = lambda: on_disk.append(kinds_on_disk(there.run))
    await converse_in(there)
    assert on_disk[0][-2:] == ["intervened", "action.started"]
    kinds = [kind for kind in kinds_on_disk(there.run) if not kind.startswith("model.")]
    action = ["intervened", "action.started", "action.ended", "message"]
    assert kinds == ["message", "message", *action, "intervened", "submitted"]
    first, second = there.events("intervened")
    (called,) = there.events("action.started")
    assert first["call_id"] == called["call_id"] and first["call"] == 1
    assert first["before"] == first["after"] == {"tool": "bash", "code": "rm -rf /srv"}
    assert (first["about"], second["about"]) == ("action", "answer")
    assert (first["who"], first["waited_s"] >= 0) == ("file:test", True)
    there.check_books()
    assert not verify(there.run).faults


async def test_a_rejected_action_is_not_done_and_the_model_reads_why(tmp_path: Path) -> None:
    there, sandbox = overseen(
        tmp_path,
        one_action,
        {"type": "reject", "text": "Not on this machine.", "when": {"text": "rm"}},
        {"type": "approve"},
    )
    assert await converse_in(there) == "[not done: Not on this machine.]"
    assert not sandbox.seen and not there.events("action.started")
    assert there.told() == ["[not done: Not on this machine.]"]
    rejected = there.events("intervened")[0]
    assert rejected["before"]["code"] == "rm -rf /srv"
    assert rejected["after"] == {"text": "[not done: Not on this machine.]"}


async def test_an_edited_action_runs_as_edited_and_both_are_on_record(tmp_path: Path) -> None:
    there, sandbox = overseen(
        tmp_path,
        lambda _: iter_of(bash("rm -rf /srv", timeout_s=7), submit("x")),
        {"type": "edit_action", "text": "ls /srv"},
        {"type": "approve"},
    )
    await converse_in(there)
    assert [seen[:3] for seen in sandbox.seen] == [("bash", "ls /srv", 7)]
    (started,) = there.events("action.started")
    assert started["input"] == {"code": "ls /srv"}
    edited = there.events("intervened")[0]
    assert edited["before"]["code"] == "rm -rf /srv" and edited["after"]["code"] == "ls /srv"


def iter_of(*turns: Turn) -> Generator[Turn, str, None]:
    """A script that says its turns whatever it sees."""
    for turn in turns:  # noqa: UP028 - a generator is sent what is seen
        yield turn


async def test_a_simulated_action_is_not_done_and_seems_to_be(tmp_path: Path) -> None:
    there, sandbox = overseen(
        tmp_path,
        one_action,
        {"type": "simulate", "text": "removed\n[exit status 0]"},
        {"type": "approve"},
    )
    assert await converse_in(there) == "removed\n[exit status 0]"
    assert not sandbox.seen and there.told() == ["removed\n[exit status 0]"]


async def test_the_model_sees_an_edited_observation_and_the_real_one_stays_on_record(
    tmp_path: Path,
) -> None:
    there, _ = overseen(
        tmp_path,
        lambda _: iter_of(bash("cat key") + python("2"), submit("x")),
        {"type": "approve", "look": True},
        {"type": "edit_observation", "text": "no such file", "when": {"text": "exit status 0"}},
        {"type": "approve", "times": None},
    )
    await converse_in(there)
    first, _ = there.events("action.ended")
    assert content_bytes(there.run, first["output"]) == b"cat key"
    assert there.told() == ["no such file", "2\n[exit status 0]"]
    kinds = kinds_on_disk(there.run)
    ended = kinds.index("action.ended")
    assert kinds[ended : ended + 3] == ["action.ended", "intervened", "message"]
    edited = there.events("intervened")[1]
    assert (edited["about"], edited["action"]) == ("observation", 1)
    assert edited["before"] == {"text": "cat key\n[exit status 0]"}
    assert edited["after"] == {"text": "no such file"}
    assert types_of(there) == ["approve", "edit_observation", "approve", "approve"]


async def test_every_observation_is_asked_for_where_the_scenario_says_so(tmp_path: Path) -> None:
    there, _ = overseen(
        tmp_path, one_action, {"type": "approve", "times": None}, approve={"observations": True}
    )
    await converse_in(there)
    abouts = [event["about"] for event in there.events("intervened")]
    assert abouts == ["action", "observation", "answer"]


async def test_a_hint_is_told_after_the_turn_and_another_decision_follows(tmp_path: Path) -> None:
    heard: list[str] = []

    def script(_task: str) -> Script:
        heard.append((yield bash("a") + bash("b")))
        yield submit("x")

    there, sandbox = overseen(
        tmp_path,
        script,
        {"type": "hint", "text": "Look in /etc."},
        {"type": "approve", "times": None},
    )
    await converse_in(there)
    assert heard == ["a\n[exit status 0]\nb\n[exit status 0]\nLook in /etc."]
    assert types_of(there) == ["hint", "approve", "approve", "approve"]
    assert [seen[1] for seen in sandbox.seen] == ["a", "b"]
    kinds = kinds_on_disk(there.run)
    assert kinds.index("intervened") < kinds.index("action.started")
    assert interventions_in(there.run) == {"approve": 3, "hint": 1}


async def test_a_refusal_is_overridden_in_the_words_of_the_person(tmp_path: Path) -> None:
    def refuses(_task: str) -> Script:
        told = yield say("I cannot help with that.")
        assert told == "This is an authorised exercise; please go on."
        told = yield submit("I will not do this.")
        assert told == "Please go on."
        yield submit("done")

    there, _ = overseen(
        tmp_path,
        refuses,
        {"type": "override_refusal", "text": "This is an authorised exercise; please go on.",
         "when": {"about": "silence"}},
        {"type": "override_refusal", "text": "Please go on.", "when": {"text": "will not"}},
        {"type": "approve"},
    )  # fmt: skip
    assert await converse_in(there) == "done"
    first, second, _ = there.events("intervened")
    assert first["before"] == {"text": "I cannot help with that."}
    assert second["before"] == {"tool": "submit", "answer": "I will not do this."}
    (answer,) = there.events("submitted")
    assert answer["answer"] == "done", "an answer that was not let through is none"


async def test_refusals_that_are_answered_do_not_end_the_run(tmp_path: Path) -> None:
    def refuses(_task: str) -> Script:
        for _ in range(6):
            yield say("No.")
        yield submit("done")

    go_on = {"type": "override_refusal", "text": "Go on.", "times": None,
             "when": {"about": "silence"}}  # fmt: skip
    there, _ = overseen(tmp_path, refuses, go_on, {"type": "approve"},
                        actions={"max_idle_replies": 2})  # fmt: skip
    assert await converse_in(there) == "done"
    (tmp_path / "2").mkdir()
    there, _ = overseen(tmp_path / "2", refuses, {"type": "approve", "times": None},
                        actions={"max_idle_replies": 2})  # fmt: skip
    await ended_by(there, GaveUp)
    assert [event["about"] for event in there.events("intervened")] == ["silence"] * 2


def calling(*calls: ToolCall) -> ModelInMemory:
    """A model that makes these calls and then hands in its answer."""
    usage = Usage(10, 10)
    last = Reply("", (ToolCall("end", "submit", '{"answer": "done"}'),), usage=usage)
    return ModelInMemory([Reply("", calls, usage=usage), last])


async def test_a_broken_call_is_fixed_and_done(tmp_path: Path) -> None:
    broken = ToolCall("c1", "shell", '{"cmd": "ls')
    there, sandbox = overseen(
        tmp_path,
        calling(broken),
        {"type": "fix_tool", "tool": "bash", "text": "ls"},
        {"type": "approve", "times": None},
    )
    await converse_in(there)
    assert [seen[:2] for seen in sandbox.seen] == [("bash", "ls")]
    fixed = there.events("intervened")[0]
    assert fixed["before"] == {"tool": "shell", "arguments": '{"cmd": "ls'}
    assert fixed["after"] == {"tool": "bash", "code": "ls"}
    assert not there.events("action.refused")
    assert there.events("message")[2]["message"]["tool_call_id"] == "c1"


async def test_a_person_plays_a_tool_that_is_not_there(tmp_path: Path) -> None:
    browse = ToolCall("c1", "browse", '{"url": "http://shop.example/"}')
    there, sandbox = overseen(
        tmp_path,
        calling(browse),
        {"type": "simulate", "text": "A page with a form.", "when": {"tool": "browse"}},
        {"type": "approve", "times": None},
    )
    await converse_in(there)
    assert there.told() == ["A page with a form."] and not sandbox.seen


async def test_copies_wait_for_a_person_like_any_action(tmp_path: Path) -> None:
    """One task is edited, one is refused, one goes as it is; the model hears of each in order."""
    made: list[Copy] = []

    async def live(copy: Copy, _sandbox: SandboxInMemory) -> str:
        made.append(copy)
        return f"did {copy.task}"

    there, _ = overseen(
        tmp_path,
        lambda _: iter_of(delegate("a") + delegate("b", budget={"steps": 3}) + delegate("c"),
                          submit("x")),
        {"type": "reject", "text": "not b", "when": {"tool": "delegate", "text": "b"}},
        {"type": "edit_action", "text": "A", "when": {"text": "a"}, "look": True},
        {"type": "edit_observation", "text": "A is done"},
        {"type": "approve", "times": None},
        delegation={"max_depth": 1},
    )  # fmt: skip
    there.agent.family = Family(there.agent.scenario.delegation, live)
    await converse_in(there)
    assert sorted(copy.task for copy in made) == ["A", "c"]
    assert there.told() == ["A is done", "[not done: not b]", "did c"]
    refused = next(e for e in there.events("intervened") if e["type"] == "reject")
    assert refused["before"] == {"tool": "delegate", "task": "b", "budget": {"steps": 3}}


@pytest.mark.parametrize("arguments", ['{"command": "x", "cwd": "/"}', '{"command": 7}', "[]"])
async def test_of_a_broken_call_only_what_a_person_wrote_is_done(
    tmp_path: Path, arguments: str
) -> None:
    there, sandbox = overseen(
        tmp_path,
        calling(ToolCall("c1", "bash", arguments)),
        {"type": "fix_tool", "text": "ls"},
        {"type": "approve", "times": None},
    )
    await converse_in(there)
    assert [seen[:2] for seen in sandbox.seen] == [("bash", "ls")]


async def test_only_what_the_rule_names_waits(tmp_path: Path) -> None:
    there, sandbox = overseen(
        tmp_path,
        lambda _: iter_of(bash("ls"), bash("curl x"), python("curl"), say("hm"), submit("curl")),
        {"type": "reject", "text": "no"},
        approve={"tools": ["bash"], "code": r"\b(curl|wget)\b"},
    )
    await converse_in(there)
    assert [seen[:2] for seen in sandbox.seen] == [("bash", "ls"), ("python", "curl")]
    assert types_of(there) == ["reject"]


async def test_only_what_detection_rules_describe_waits(tmp_path: Path) -> None:
    later, plain = "echo hi; crontab - < /tmp/jobs", "ls /etc/cron.d"
    there, sandbox = overseen(
        tmp_path,
        lambda _: iter_of(bash(plain), bash(later), bash("curl x"), python("1"), submit("done")),
        {"type": "reject", "text": "no", "times": 2},
        approve={"rules": ["R5"], "code": "curl"},
    )
    await converse_in(there)
    assert [seen[:2] for seen in sandbox.seen] == [("bash", plain), ("python", "1")]
    assert types_of(there) == ["reject", "reject"]


def test_without_anybody_to_try_its_rules_all_waits() -> None:
    assert Approval(rules=("R5",)).waits("bash", "ls")
    assert not Approval(rules=("R5",), tools=("bash",)).waits("python", "1")


@pytest.mark.parametrize("evil", ["(a+)+$", "(a|aa)+$", "(.*a){12}b$"])
def test_no_code_makes_the_rule_slow(evil: str) -> None:
    """With a backtracking engine any of these would go on for longer than the universe."""
    assert not Approval(code=evil).waits("bash", "a" * 200_000 + "!")


def test_code_that_cannot_be_matched_waits_and_fits_no_decision() -> None:
    assert Approval(code="rm").waits("bash", "\ud800")
    question = Question("0", "action", 1, "\ud800", "", "bash")
    (written,) = Decisions.model_validate(
        {"decisions": [{"type": "approve", "when": {"text": "."}}]}
    ).decisions
    assert not written.fits(question)


@pytest.mark.slow
async def test_nothing_goes_through_without_a_person(tmp_path: Path) -> None:
    sandbox = SandboxInMemory()
    there = world(tmp_path, one_action, sandbox, approve={"timeout_s": 0.2}, person=Nobody())
    with anyio.move_on_after(1.5) as scope:
        await converse_in(there)
    assert scope.cancelled_caught
    assert not sandbox.seen and not there.events("action.started")
    (awaited,) = there.events("person.awaited")
    assert (awaited["about"], awaited["waited_s"]) == ("action", 0.2)
    there.check_books()


async def test_a_run_that_is_ended_does_not_wait_for_a_person(tmp_path: Path) -> None:
    sandbox = SandboxInMemory()
    there = world(tmp_path, one_action, sandbox, approve={}, person=Nobody())

    async def ctrl_c() -> None:
        await anyio.sleep(0.3)
        there.agent.asking.steering.drain()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ctrl_c)
        error = await ended_by(there, Stopped)
    assert "waited for" in str(error) and not sandbox.seen


async def test_a_file_without_a_decision_ends_the_run_and_nothing_is_done(tmp_path: Path) -> None:
    there, sandbox = overseen(tmp_path, one_action, {"type": "reject", "when": {"agent": "0.1"}})
    error = await ended_by(there, OperatorError)
    assert "no decision that fits is left" in str(error) and "rm -rf /srv" in str(error)
    assert not sandbox.seen


class InMemory:
    """A person who decides in turn, and remembers what was asked."""

    name = "ann"

    def __init__(self, *decisions: Decision) -> None:
        self.left = list(decisions)
        self.asked: list[Question] = []

    async def decide(self, question: Question) -> Decision:
        self.asked.append(question)
        return self.left.pop(0)


async def test_a_decision_that_cannot_be_carried_out_is_asked_for_again(tmp_path: Path) -> None:
    person = InMemory(
        Decision("edit_action", "nul \0 byte"),
        Decision("hint", "  "),
        Decision("fix_tool", "ls", tool="bash"),
        Decision("edit_action", "ls"),
        Decision("approve"),
    )
    sandbox = SandboxInMemory()
    there = world(tmp_path, one_action, sandbox, approve={}, person=person)
    await converse_in(there)
    notes = [question.note for question in person.asked]
    assert notes[0] is None and notes[4] is None
    assert all(notes[1:4]) and "NUL" in str(notes[1])
    assert types_of(there) == ["edit_action", "approve"]
    question = person.asked[0]
    assert (question.agent, question.tool, question.text) == ("0", "bash", "rm -rf /srv")
    assert question.said == "Away with it." and question.spent["steps"] == 1
    assert question.limits["steps"] == 50


async def test_a_secret_that_a_person_types_is_taken_out_of_all_that_follows(
    tmp_path: Path,
) -> None:
    sandbox = SandboxInMemory()
    person = InMemory(Decision("edit_action", "curl -H key-of-the-host-1"), Decision("approve"))
    redactor = Redactor({"SOME_API_KEY": "key-of-the-host-1"})
    there = world(tmp_path, one_action, sandbox, approve={}, person=person, redactor=redactor)
    await converse_in(there)
    assert "key-of-the-host-1" not in there.run.joinpath("events.jsonl").read_text()
    (started,) = there.events("action.started")
    assert started["input"]["code"] == sandbox.seen[0][1], "what is done is what is on record"


async def test_several_agents_ask_at_the_same_time(tmp_path: Path) -> None:
    """Each agent waits for its own decision only; a script may tell them apart."""
    person = decided(
        {"type": "reject", "when": {"agent": "0.2"}}, {"type": "approve", "times": None}
    )
    sandboxes = [SandboxInMemory() for _ in range(3)]
    agents = []
    for number, sandbox in enumerate(sandboxes):
        folder = tmp_path / str(number)
        folder.mkdir()
        there = world(folder, one_action, sandbox, approve={}, person=person)
        there.agent.asking.name = f"0.{number}"
        agents.append(there)
    async with anyio.create_task_group() as tasks:
        for there in agents:
            tasks.start_soon(converse_in, there)
    assert [len(sandbox.seen) for sandbox in sandboxes] == [1, 1, 0]
    assert types_of(agents[2]) == ["reject", "approve"]


async def test_the_decisions_of_a_run_decide_the_same_again(tmp_path: Path) -> None:
    """From the record alone, whatever was decided; and every request can still be rebuilt."""
    calls = [
        ToolCall("c1", "bash", json.dumps({"command": "one"})),
        ToolCall("c2", "bash", json.dumps({"command": "two"})),
        ToolCall("c3", "browse", "{}"),
        ToolCall("c4", "python", json.dumps({"code": "3"})),
        ToolCall("c5", "bash", "{"),
    ]
    decisions: Sequence[Written] = [
        {"type": "hint", "text": "One hint."},
        {"type": "edit_action", "text": "uno", "look": True, "who": "ann"},
        {"type": "edit_observation", "text": "eins"},
        {"type": "reject", "text": "not two"},
        {"type": "simulate", "text": "a page"},
        {"type": "approve"},
        {"type": "fix_tool", "tool": "bash", "text": "five"},
        {"type": "approve"},
    ]
    first_model, second_model = calling(*calls), calling(*calls)
    there, sandbox = overseen(tmp_path, first_model, *decisions)
    await converse_in(there)
    name, recorded = read_decisions(there.run)
    assert name == "replay:run"
    (tmp_path / "again").mkdir()
    again_in = SandboxInMemory()
    again = world(tmp_path / "again", second_model, again_in, approve={},
                  person=Scripted(name, recorded))  # fmt: skip
    await converse_in(again)
    assert again_in.seen == sandbox.seen
    assert [seen[1] for seen in sandbox.seen] == ["uno", "3", "five"]
    assert again.told() == there.told() and "One hint." in there.told()
    for one, other in zip(there.events("intervened"), again.events("intervened"), strict=True):
        same = ("type", "about", "before", "after", "call", "call_id")
        assert [one.get(each) for each in same] == [other.get(each) for each in same]
    assert again.events("intervened")[1]["who"] == "ann"
    sent = [request.body() for request in first_model.seen]
    assert [rebuild_request(there.run, call) for call in (1, 2)] == sent


async def test_past_its_time_the_run_pauses_and_no_wall_time_passes(tmp_path: Path) -> None:
    sandbox = SandboxInMemory()
    decided = anyio.Event()

    class Slow(Nobody):
        async def decide(self, question: Question) -> Decision:
            await decided.wait()
            return Decision("approve")

    there = world(tmp_path, one_action, sandbox, approve={"timeout_s": 0.1}, person=Slow())
    steering = there.agent.asking.steering
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(converse_in, there)
        while not there.events("person.awaited"):  # noqa: ASYNC110 - as anybody else would see it
            await anyio.sleep(0.02)
        before_s = steering.wall.now_s()
        assert steering.paused, "its sandboxes stand still with its clock"
        await anyio.sleep(0.3)
        assert steering.wall.now_s() == before_s and not sandbox.seen
        decided.set()
    assert not steering.paused and len(sandbox.seen) == 1
    assert there.events("intervened")[0]["waited_s"] >= 0.4


class Steady:
    """Decides by what it is asked and what is on record, and so the same when asked again."""

    name = "steady"

    def __init__(self, run: Path) -> None:
        self._run = run

    async def decide(self, question: Question) -> Decision:
        hinted = interventions_in(self._run).get("hint")
        match question.about, question.text:
            case "action", "two" if not hinted:
                return Decision("hint", "Look in /etc.")
            case "action", "three":
                return Decision("reject", "not three")
            case "action", "four":
                return Decision("simulate", "four was done")
            case "action", "five":
                return Decision("edit_action", "5", look=True)
            case "observation", _:
                return Decision("edit_observation", "a five")
            case "silence", _:
                return Decision("override_refusal", "Please do.")
            case "malformed", _:
                return Decision("fix_tool", "fixed", tool="bash")
        return Decision("approve")


def needs_a_person(_task: str) -> Script:
    seen = yield bash("one") + bash("two") + bash("three")
    for _ in range(3):
        seen += yield say("I would rather not.")
    seen += yield bash("four") + bash("five") + bash("six")
    for _ in range(3):
        seen += yield Turn("", (("nothing", {}),))
    yield submit(seen)


@pytest.mark.slow
async def test_a_run_that_was_cut_off_at_any_event_goes_on_with_its_person(tmp_path: Path) -> None:
    """Whatever was decided and not yet carried out is asked for again; no hint is lost."""
    scenario = loaded(tmp_path, approve={}, budget=PLENTY, actions={"max_idle_replies": 2})
    whole = tmp_path / "whole"
    with Transcript.create(whole) as transcript:
        transcript.write(RunOpened(**OPENED))
        agent = agent_on(transcript, scenario, Control("s", needs_a_person), Steady(whole))
        agent.begin()
        answer = await converse(agent)
    assert "a five" in answer and "Look in /etc." in answer and "fixed" in answer
    recorded = list(read_events(whole))
    types = [event["type"] for event in recorded if event["kind"] == "intervened"]
    assert set(types) == set(INTERVENTIONS) - {"pick_option"}
    for at, event in enumerate(recorded[:-1]):
        if event["kind"] in ("model.called", "action.started"):
            continue  # what is in flight is the business of others
        run = cut(whole, at, tmp_path / str(at))
        with reopened(run) as transcript:
            state = rebuilt(run).root
            again = agent_on(transcript, scenario, Control("s", needs_a_person), Steady(run))
            again.asking.account.spent = state.spent
            assert await converse(again, state) == answer, event
        assert said_by(again) == said_by(agent), event
        assert not verify(run).faults


async def test_a_person_is_shown_all_that_an_action_asks_for(tmp_path: Path) -> None:
    """However large a number a model writes."""
    person = InMemory(*[Decision("reject")] * 4, Decision("approve"))
    files = ToolCall("4", "submit", '{"answer": "x", "files": ["a", "b"]}')
    calls = [
        ToolCall("1", "bash", '{"command": "x", "timeout_s": 7}'),
        ToolCall("2", "bash", '{"command": "x", "timeout_s": 1%s}' % ("0" * 400)),
        ToolCall("3", "delegate", '{"task": "x", "budget": {"steps": 1%s}}' % ("0" * 400)),
        files,
    ]
    there = world(tmp_path, calling(*calls), SandboxInMemory(), approve={}, person=person,
                  delegation={"max_depth": 1})  # fmt: skip
    await converse_in(there)
    assert [question.detail for question in person.asked] == [
        "to run for 7 s at most",
        "to run for 1e+09 s at most",
        "with 1e+15 steps",
        "with the files a, b",
        None,
    ]


async def test_blocks_in_place_of_calls_are_overseen_alike(tmp_path: Path) -> None:
    there, sandbox = overseen(
        tmp_path,
        one_action,
        {"type": "edit_action", "text": "ls"},
        {"type": "approve"},
        model={"tool_format": "fenced"},
    )
    await converse_in(there)
    assert [seen[:2] for seen in sandbox.seen] == [("bash", "ls")]


async def test_nobody_is_asked_where_the_scenario_does_not_say_so(tmp_path: Path) -> None:
    there = world(tmp_path, one_action, SandboxInMemory(), person=Nobody())
    with there.agent.asking.transcript:
        there.agent.begin()
        await converse(there.agent)
    assert not there.events("intervened")


# --- picking among options ----------------------------------------------------------------------


def undecided(_task: str) -> Script:
    """Would rather look around, and one time in three does the work."""
    look = bash("ls", say="I look around.")
    seen = yield either(look, bash("make", say="I do it."), look)
    yield submit(seen)


PICKS = ({"type": "pick_option", "when": {"text": "make"}}, {"type": "pick_option"})


async def test_the_picked_option_is_what_the_model_said_and_all_are_paid(tmp_path: Path) -> None:
    there, sandbox = overseen(tmp_path, undecided, *PICKS, approve={"options": 3})
    await converse_in(there)
    assert [seen[1] for seen in sandbox.seen] == ["make"], "and nobody is asked a second time"
    picked, last = there.events("intervened")
    assert (picked["type"], picked["about"], picked["rank"]) == ("pick_option", "options", 2)
    assert picked["bits"] == pytest.approx(log2(6))
    assert (last["rank"], last["bits"]) == (1, 1.0)
    assert picked["after"] == {"text": "I do it.\nbash: make"}
    assert "1. (2 of 3)\nI look around." in picked["before"]["text"]
    assert choice_bits_in(there.run) == pytest.approx(1 + log2(6))
    offered = there.events("model.offered")
    assert len(offered) == 6 and len(there.events("model.replied")) == 2
    said = there.events("model.replied")[0]
    assert (said["call"], said["settled"], said["picked"]) == (2, {}, True)
    assert said["message"] == offered[1]["message"]
    account = there.agent.asking.account
    assert account.spent.steps == 6 == sum(event["settled"]["steps"] for event in offered)
    there.check_books()
    assert not verify(there.run).faults
    opened = there.events()[0] | {"kind": "run.opened"}
    state = rebuild([opened, *there.events()]).root
    assert (state.spent.record(), state.answered, state.calls) == (account.spent.record(), 6, 6)
    # Each request can be built again, and those for one pick are the same.
    assert rebuild_request(there.run, 1) == rebuild_request(there.run, 3)
    assert "make" in rebuild_request(there.run, 4).decode()
    assert "look around" not in rebuild_request(there.run, 4).decode()


async def test_picks_can_be_made_again_from_the_record(tmp_path: Path) -> None:
    first, _ = overseen(tmp_path, undecided, *PICKS, approve={"options": 3})
    await converse_in(first)
    again = Scripted(*read_decisions(first.run))
    sandbox = SandboxInMemory()
    fields: Written = {"approve": {"options": 3}}
    (tmp_path / "again").mkdir()
    second = world(
        tmp_path / "again",
        choose(f"replay:{first.run}", loaded(tmp_path), None),
        sandbox,
        person=again,
        **fields,
    )
    await converse_in(second)
    assert [seen[1] for seen in sandbox.seen] == ["make"]
    assert [e["rank"] for e in second.events("intervened")] == [2, 1]


async def test_a_limit_ends_the_sampling_and_nothing_of_it_is_done(tmp_path: Path) -> None:
    there, sandbox = overseen(
        tmp_path, undecided, *PICKS, approve={"options": 3}, budget={"steps": 2}
    )
    with pytest.raises(LimitReached):
        await converse_in(there)
    assert not sandbox.seen and not there.events("intervened", "model.replied")
    assert len(there.events("model.offered")) == 2
    there.check_books()


async def test_where_no_option_is_any_good_as_many_again_are_ranked_among_them(
    tmp_path: Path,
) -> None:
    none = {"type": "reject", "when": {"about": "options"}}
    there, sandbox = overseen(tmp_path, undecided, none, *PICKS, approve={"options": 2})
    await converse_in(there)
    assert [seen[1] for seen in sandbox.seen] == ["make"]
    refused, picked, _ = there.events("intervened")
    assert (refused["type"], refused["after"], refused.get("bits")) == (
        "reject",
        {"text": ""},
        None,
    )
    assert "(1 of 2)" in refused["before"]["text"]
    assert "(1 of 4)" in picked["before"]["text"]
    assert [each["call"] for each in there.events("model.offered")] == [1, 2, 3, 4, 5, 6]
    there.check_books()
    assert not verify(there.run).faults


@pytest.mark.parametrize("decision", [{"rank": 7}, {"when": {"text": "of 3"}}])
async def test_an_option_that_is_not_there_cannot_be_picked(
    tmp_path: Path, decision: Written
) -> None:
    picks = {"type": "pick_option", **decision}
    there, sandbox = overseen(tmp_path, undecided, picks, approve={"options": 3})
    with pytest.raises(OperatorError, match="one of the 2 options"):
        await converse_in(there)
    assert not sandbox.seen
