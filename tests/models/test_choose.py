"""A model by the name that the operator gave."""

from pathlib import Path

import pytest

from agent_eval.errors import OperatorError, ScenarioError, TranscriptBroken, UnknownPrice
from agent_eval.events.kinds import ModelReplied
from agent_eval.models.choose import choose
from agent_eval.models.control import Control
from agent_eval.models.openai_chat import OpenAIChat
from agent_eval.models.replay import Replay
from agent_eval.record.transcript import EVENTS, Transcript
from tests.helpers import loaded, made_run
from tests.models.server import point_at

pytestmark = pytest.mark.anyio

PRICES = "mine: {input: 1, cached: 1, output: 1, as_of: '2026-01-01', source: s}\n"


async def test_a_server_is_chosen_with_its_price(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(monkeypatch, "http://127.0.0.1:1/v1")
    prices = tmp_path / "prices.yaml"
    prices.write_text(PRICES)
    scenario = loaded(tmp_path)
    for name, own in (("gpt-4o", None), ("mine", prices)):
        model = choose(f"openai/{name}", scenario, own)
        assert isinstance(model, OpenAIChat)
        assert model.name == f"openai/{name}"
        assert model.price is not None
        await model.close()
    with pytest.raises(UnknownPrice, match="'mine'"):
        choose("openai/mine", scenario, None)
    free = loaded(tmp_path, budget={"usd": None})
    model = choose("openai/org/model:tag", free, None)
    assert (model.name, model.price) == ("openai/org/model:tag", None)
    await model.close()


def test_an_unknown_price_is_refused_before_a_missing_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UnknownPrice):
        choose("openai/nobody-knows", loaded(tmp_path), None)
    with pytest.raises(OperatorError, match="OPENAI_API_KEY is not set"):
        choose("openai/gpt-4o", loaded(tmp_path), None)


def test_controls_and_recordings_are_chosen(tmp_path: Path) -> None:
    scenario = loaded(tmp_path)
    scenario.folder.joinpath("controls.py").write_text("def quiet(task):\n    yield\n")
    assert isinstance(choose("control:quiet", scenario, None), Control)
    with pytest.raises(OperatorError, match="no control 'loud'"):
        choose("control:loud", scenario, None)
    run = tmp_path / "run"
    usage = {"input_tokens": 1, "output_tokens": 1}
    with Transcript.create(run) as transcript:
        for agent in ("0", "0.1", "0"):
            said = {"role": "assistant", "content": agent}
            transcript.write(ModelReplied(1, 1, 0, said, usage, {}, 0.1), agent)
    replay = choose(f"replay:{run}", scenario, None)
    assert isinstance(replay, Replay)
    assert replay.about() == {"replies": 2}, "those of the first agent"
    with pytest.raises(OperatorError, match="is no run"):
        choose(f"replay:{tmp_path}", scenario, None)
    run.joinpath(EVENTS).write_bytes(b"{}\n")
    with pytest.raises(TranscriptBroken):
        choose(f"replay:{run}", scenario, None)
    made_run(tmp_path / "empty")
    assert choose(f"replay:{tmp_path / 'empty'}", scenario, None).about() == {"replies": 0}


@pytest.mark.parametrize(
    "name",
    ["", "gpt-4o", "openai", "openai/", "openai:gpt-4o", "control", "control:", "control/x",
     "replay:", "replay", "anthropic/x", "OPENAI/gpt-4o", "/", ":"],
)  # fmt: skip
def test_a_name_that_is_none_is_refused_with_those_that_are(name: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="names no model") as caught:
        choose(name, loaded(tmp_path), None)
    for form in ("openai/NAME", "control:NAME", "replay:RUN"):
        assert form in str(caught.value)


def test_controls_that_do_not_load_are_refused_at_once(tmp_path: Path) -> None:
    scenario = loaded(tmp_path)
    scenario.folder.joinpath("controls.py").write_text("def x(:")
    with pytest.raises(ScenarioError, match="SyntaxError"):
        choose("control:x", scenario, None)
