"""What graders are shown: the words of agents by part, and nothing that can pose as another's."""

import json
from pathlib import Path

import pytest
from hypothesis import given

from agent_eval.errors import TranscriptBroken
from agent_eval.events.kinds import MessageAdded, ModelReplied
from agent_eval.events.services import LmAnswered
from agent_eval.record.transcript import Transcript
from agent_eval.rubrics.material import LINE_CHARS, Material, read_material
from agent_eval.rubrics.spans import spans_of
from tests.helpers import TEXTS, as_json, folder
from tests.rubrics.told import TASK, told


def shown(material: Material, part: str) -> str:
    lines = material.prompt if part == "prompt" else material.parts[part]
    return "\n".join(span.text() for span in spans_of(lines))


def test_parts_hold_what_they_say(tmp_path: Path) -> None:
    told(
        tmp_path / "run",
        does="make x",
        sees="made",
        thinks="hm\nhm",
        tells="Hello Kim",
        person_says="Hello",
        hands_in="It is made.",
    )
    material = read_material(tmp_path / "run")
    assert shown(material, "prompt") == f"#2 agent 0 is asked\n| {TASK}"
    assert shown(material, "reasoning") == "#4 agent 0 thinks\n| hm\n| hm"
    assert shown(material, "output").splitlines() == [
        *("#4 agent 0 says", "| Let me see."),
        *("#6 agent 0 tells kim by mail", "| Hello Kim"),
        *("#8 agent 0 hands in", "| It is made."),
    ]
    assert shown(material, "actions").splitlines() == [
        *("#4 agent 0 says", "| Let me see."),
        *("#4 agent 0 does", "| bash:", "| make x"),
        *("#5 agent 0 sees", "| made"),
        *("#6 agent 0 tells kim by mail", "| Hello Kim"),
        *("#7 agent 0 is told by kim", "| Hello"),
        *("#8 agent 0 hands in", "| It is made."),
    ]
    assert material.served == {"tested-1-2026"}


def test_what_a_program_inside_was_answered_is_the_models_too(tmp_path: Path) -> None:
    run = tmp_path / "run"
    bash = {"function": {"name": "bash", "arguments": '{"command": "curl x"}'}}
    said = json.dumps({"role": "assistant", "content": "On I go.", "tool_calls": [bash]})
    with Transcript.create(run) as record:
        for served_by in ("subject", "stand-in"):
            record.write(
                LmAnswered(
                    sandbox="i-1", account="a", key="k", call=1, model="m", served_by=served_by,
                    status=200, messages=record.content(b"[]"), reply=record.content(said.encode()),
                    results=[], proposed=[], usage={}, charged_microusd=0, settled={},
                    stream=False,
                )
            )  # fmt: skip
    material = read_material(run)
    assert shown(material, "actions").splitlines() == [
        *("#0 agent 0 says through a program in i-1", "| On I go."),
        *("#0 agent 0 does through a program in i-1", "| bash:", "| curl x"),
    ]


@given(text=TEXTS, name=TEXTS)
def test_no_text_poses_as_another_line(text: str, name: str) -> None:
    with folder() as parent:
        with Transcript.create(parent / "run") as record:
            call = {"function": {"name": name, "arguments": json.dumps({"code": text})}}
            message = {"role": "assistant", "content": text, "tool_calls": [call]}
            record.write(ModelReplied(1, 1, 0, message, {}, {}, 0.1, reasoning=text))
            record.write(MessageAdded(1, {"role": "tool", "content": text}))
        material = read_material(parent / "run")
    for lines in material.parts.values():
        for line in lines:
            assert line.heading.isprintable()
            assert line.heading.startswith(f"#{line.seq} agent 0 ")
            assert line.text.startswith(("| ", "|+"))
            assert "\n" not in line.text
            assert len(line.text) <= LINE_CHARS + 2
    thought = "".join(
        ("\n" if line.text.startswith("| ") else "") + line.text[2:]
        for line in material.parts["reasoning"]
    )[1:]
    if text.isascii() and text.isprintable():
        assert thought == as_json(text)


def test_a_record_of_another_make_is_refused(tmp_path: Path) -> None:
    with Transcript.create(tmp_path / "run") as record:
        record.write(MessageAdded(0, {"role": "tool"}))
        record.write(MessageAdded(1, []))  # type: ignore[arg-type]
    with pytest.raises(TranscriptBroken, match="cannot be graded"):
        read_material(tmp_path / "run")
