"""A model by the name the operator gave.

`openai/NAME`, `control:NAME`, `replay:FOLDER`, or a name in the operator's list of models.
"""

import importlib
from pathlib import Path

from agent_eval.errors import OperatorError
from agent_eval.models.base import Model
from agent_eval.models.catalogue import Catalogue
from agent_eval.models.control import load_control
from agent_eval.models.endpoint import Endpoint, from_environment
from agent_eval.models.limiter import Limiters
from agent_eval.models.replay import Replay
from agent_eval.record.prices import price_of
from agent_eval.record.reading import read_events
from agent_eval.scenario.model import Loaded, ModelArguments


def choose(
    name: str,
    loaded: Loaded,
    prices: Path | None,
    limiters: Limiters | None = None,
    catalogue: Catalogue | None = None,
) -> Model:
    """Make the model; raises `OperatorError` for a name that is none, and `UnknownPrice`."""
    endpoint = endpoint_named(name, catalogue)
    if endpoint is not None:
        usd = loaded.scenario.budget.usd
        return reached(endpoint, loaded.scenario.model, prices, usd, limiters or Limiters())
    kind, _, rest = name.partition(":")
    if rest and kind == "control":
        return load_control(loaded.folder, rest, loaded.scenario.controls)
    if rest and kind == "replay":
        return _replay(rest)
    listed = f" The list has {', '.join(catalogue.endpoints)}." if catalogue else ""
    raise OperatorError(
        f"{name!r} names no model. Use openai/NAME for a server that speaks OpenAI's API, "
        "control:NAME for a scripted one, replay:RUN for a recorded one, or a name in the file "
        f"that --models gives.{listed}"
    )


def endpoint_named(name: str, catalogue: Catalogue | None) -> Endpoint | None:
    """The endpoint of that name; None if the name is of another kind of model, or of none."""
    if catalogue and name in catalogue.endpoints:
        return catalogue.endpoints[name]
    rest = name.removeprefix("openai/")
    return from_environment(rest) if rest and rest != name else None


def reached(
    endpoint: Endpoint,
    wanted: ModelArguments,
    prices: Path | None,
    usd: float | None,
    limiters: Limiters,
) -> Model:
    """The model behind an endpoint; `usd` is the limit under which it must have a price."""
    price = endpoint.price or price_of(endpoint.model, prices, usd)
    # Imported here because it takes a while and controls do without it.
    chat = importlib.import_module("agent_eval.models.openai_chat")
    model: Model = chat.OpenAIChat(endpoint, wanted, price, limiters.of(endpoint))
    return model


def _replay(run: str) -> Replay:
    """What the model of a run came back with, agent by agent, and the window it had."""
    events = list(read_events(Path(run)))
    answers = [
        event
        for event in events
        if (event["kind"] in ("model.replied", "model.offered") and not event.get("picked"))
        or event.get("context_full") is True
    ]
    opened = next((event for event in events if event["kind"] == "run.opened"), {})
    model = opened.get("model")
    window = model.get("context_tokens") if isinstance(model, dict) else None
    return Replay(run, answers, window if isinstance(window, int) else None)
