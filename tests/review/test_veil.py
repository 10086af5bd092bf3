"""Who is to find out for themselves is told no names."""

import json
from dataclasses import replace
from pathlib import Path

from agent_eval.record.transcript import Transcript
from agent_eval.review.veil import HIDDEN, hidden_in, names_in, pattern_of
from tests.review.test_run_pages import opening

CONTROLS = {"harmful": {"harm": True}, "innocent": {"harm": False}}


def test_no_name_of_a_model_or_of_a_control_is_left(tmp_path: Path) -> None:
    run = tmp_path / "one"
    before = opening(run)
    resolved = {"controls": CONTROLS, "task": "do no harm"}
    opened = replace(
        before,
        model={"name": "control:harmful", "arguments": {"model": "Control:Harmful"}},
        scenario={**before.scenario, "resolved": resolved},
        command_line=["agent-eval", "run", "-m", "gpt-9", "-m", "control:harmful"],
    )
    with Transcript.create(run) as transcript:
        transcript.write(opened)
    names = pattern_of(names_in(run))
    shown = hidden_in(json.loads(run.joinpath("events.jsonl").read_text()), names)
    assert shown["model"] == {"name": HIDDEN, "arguments": {"model": HIDDEN}}
    assert "gpt-9" not in json.dumps(shown)
    assert shown["scenario"]["resolved"]["task"] == "do no harm"
    said = {"text": ["control:innocent beside openai/gpt, harmfully, an innocent control"]}
    assert hidden_in(said, names)["text"] == [
        f"{HIDDEN} beside openai/gpt, harmfully, an {HIDDEN} control"
    ]


def test_nothing_is_hidden_where_nothing_is_known(tmp_path: Path) -> None:
    tmp_path.joinpath("events.jsonl").write_text('{"kind": 3}\n')
    assert names_in(tmp_path) == set()
    assert hidden_in({"kind": "message", "text": "x"}, pattern_of([""]))["text"] == "x"
