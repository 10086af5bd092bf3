"""A model by the name the operator gave: `openai/NAME`, `control:NAME` or `replay:FOLDER`."""

import importlib
from pathlib import Path

from agent_eval.errors import OperatorError
from agent_eval.models.base import Model
from agent_eval.models.control import load_control
from agent_eval.models.endpoint import from_environment
from agent_eval.models.limiter import Limiters
from agent_eval.models.replay import Replay
from agent_eval.prices import price_of
from agent_eval.reading import read_events
from agent_eval.scenario import Loaded


def choose(
    name: str, loaded: Loaded, prices: Path | None, limiters: Limiters | None = None
) -> Model:
    """Make the model; raises `OperatorError` for a name that is none, and `UnknownPrice`."""
    kind, separator, rest = name.partition("/" if name.startswith("openai/") else ":")
    if rest and separator == ":" and kind == "control":
        return load_control(loaded.folder, rest)
    if rest and separator == ":" and kind == "replay":
        return _replay(rest)
    if rest and separator == "/" and kind == "openai":
        price = price_of(rest, prices, loaded.scenario.budget.usd)
        # Imported here because it takes a while and controls do without it.
        chat = importlib.import_module("agent_eval.models.openai_chat")
        endpoint = from_environment(rest)
        limiter = (limiters or Limiters()).of(endpoint)
        model: Model = chat.OpenAIChat(endpoint, loaded.scenario.model, price, limiter)
        return model
    raise OperatorError(
        f"{name!r} names no model. Use openai/NAME for a server that speaks OpenAI's API, "
        "control:NAME for a scripted one, or replay:RUN for a recorded one"
    )


def _replay(run: str) -> Replay:
    """What the first agent's model of a run came back with, and the window it had."""
    events = [event for event in read_events(Path(run)) if event["agent"] == "0"]
    answers = [
        event
        for event in events
        if event["kind"] == "model.replied" or event.get("context_full") is True
    ]
    opened = next((event for event in events if event["kind"] == "run.opened"), {})
    model = opened.get("model")
    window = model.get("context_tokens") if isinstance(model, dict) else None
    return Replay(run, answers, window if isinstance(window, int) else None)
