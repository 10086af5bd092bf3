"""A file of decisions: read strictly, and never a way around a person."""

from pathlib import Path
from typing import Any

import pytest

from agent_eval.errors import OperatorError
from agent_eval.events.operator import Intervened
from agent_eval.person.decisions import Scripted, Written, read_decisions
from agent_eval.person.oversight import Question
from agent_eval.record.transcript import Transcript

pytestmark = pytest.mark.anyio

ASKED = Question("0", "action", 1, "rm -rf /srv", "", tool="bash")


def test_yaml_and_json_lines_say_the_same(tmp_path: Path) -> None:
    yaml, lines = tmp_path / "d.yaml", tmp_path / "d.jsonl"
    yaml.write_text(
        "decisions:\n"
        "  - {type: reject, text: No., when: {tool: bash, text: 'rm\\b'}, times: 2}\n"
        "  - {type: approve, times: null}\n"
    )
    lines.write_text(
        '{"type": "reject", "text": "No.", "when": {"tool": "bash", "text": "rm\\\\b"}, '
        '"times": 2}\n\n{"type": "approve", "times": null}\n'
    )
    assert read_decisions(yaml) == ("file:d.yaml", read_decisions(lines)[1])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{type: aprove}", "type"),
        ("{type: approve, txt: x}", "did you mean text?"),
        ("{type: approve, when: {code: x}}", "unknown key"),
        ("{type: hint}", "hint needs words"),
        ("{type: edit_action, text: ' '}", "edit_action needs words"),
        ("{type: approve, tool: bash}", "only `fix_tool` takes one"),
        ("{type: hint, text: x, times: null}", "leave no room for a decision"),
        ("{type: fix_tool, text: x, when: {about: answer}}", "cannot be decided about answer"),
        ("{type: approve, when: {text: '(?=x)'}}", "look-around"),
        ("{type: approve, times: 0}", "times"),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "d.yaml"
    file.write_text(f"decisions:\n  - {{type: approve}}\n  - {line}\n")
    with pytest.raises(OperatorError) as caught:
        read_decisions(file)
    assert f"{file}:3: " in str(caught.value) and said in str(caught.value)


@pytest.mark.parametrize("line", ["{", "[]", '{"type": "approve", "x": 1}', '{"type": "hint"}'])
def test_a_fault_in_json_lines_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "d.jsonl"
    file.write_text(f'{{"type": "approve"}}\n{line}\n')
    with pytest.raises(OperatorError, match=r"d\.jsonl:2: "):
        read_decisions(file)


async def test_the_first_that_is_left_and_fits_decides() -> None:
    script = Scripted(
        "file:x",
        (
            Written(type="edit_observation", text="x", times=None),
            Written.model_validate({"type": "reject", "when": {"agent": "0.1"}}),
            Written.model_validate({"type": "reject", "when": {"tool": "python"}}),
            Written.model_validate({"type": "reject", "when": {"text": "^mv"}}),
            Written(type="simulate", text="gone", who="ann"),
            Written(type="approve", times=2),
        ),
    )
    decided = [await script.decide(ASKED) for _ in range(3)]
    assert [each.type for each in decided] == ["simulate", "approve", "approve"]
    assert (decided[0].text, decided[0].who) == ("gone", "ann")
    with pytest.raises(OperatorError, match="no decision that fits is left"):
        await script.decide(ASKED)


async def test_a_run_that_is_taken_up_again_goes_on_with_what_is_left(tmp_path: Path) -> None:
    """What was decided before the cut is not decided again by the same line of a file."""
    decisions = (
        Written.model_validate({"type": "hint", "text": "x", "when": {"tool": "bash"}}),
        Written.model_validate({"type": "approve", "look": True, "when": {"text": "^rm"}}),
        Written.model_validate({"type": "edit_observation", "text": "o", "when": {"tool": "bash"}}),
        Written(type="reject", text="second"),
    )
    subject: dict[str, Any] = {"who": "x", "waited_s": 0.0, "call": 1, "call_id": "c"}
    code, seen = {"tool": "bash", "code": ASKED.text}, {"text": "seen"}
    with Transcript.create(tmp_path / "run") as transcript:
        for kind, about, before in (
            ("hint", "action", code),
            ("approve", "action", code),
            ("edit_observation", "observation", seen),
        ):
            transcript.write(
                Intervened(type=kind, about=about, before=before, after=before, **subject)
            )
    script = Scripted("file:x", decisions)
    script.go_on(tmp_path / "run")
    assert (await script.decide(ASKED)).text == "second"
    branch = Scripted("file:x", decisions)
    branch.go_on(tmp_path / "run", at=0)
    assert (await branch.decide(ASKED)).type == "approve", "what came after the event is left"
    with pytest.raises(OperatorError, match="no decision"):
        await script.decide(ASKED)
