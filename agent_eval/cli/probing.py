"""`agent-eval doctor --model`: what a server can do, written where runs find it."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import click

from agent_eval.basics.display import printable
from agent_eval.errors import OperatorError
from agent_eval.models.base import Model
from agent_eval.models.catalogue import Catalogue, profile_of, read_catalogue
from agent_eval.models.choose import endpoint_named, reached
from agent_eval.models.endpoint import Endpoint, without_password
from agent_eval.models.limiter import Limiters
from agent_eval.models.probe import most_tokens, probed
from agent_eval.models.profile import Profile, write_profile
from agent_eval.record.budget import Account, Limits
from agent_eval.scenario.model import ModelArguments

CONTEXT_TOKENS = 16_384


@dataclass(frozen=True)
class Wish:
    """What the operator wants to know, and what it may cost."""

    model: str
    models: Path | None
    prices: Path | None
    context: int | None
    usd: float | None


def probe_model(wish: Wish) -> None:
    """Say what it may cost, ask the server, write the profile, and say how to use it."""
    catalogue = read_catalogue(wish.models, profiles=False) if wish.models else None
    endpoint = _endpoint(wish.model, catalogue)
    # Answers to questions this short are soon there, and arguments are what is being found out.
    limits = {name: endpoint.arguments[name] for name in _LIMITS if name in endpoint.arguments}
    model = reached(endpoint, ModelArguments(**limits), wish.prices, wish.usd, Limiters())
    context = wish.context
    if context is None:
        context = min(endpoint.context_tokens or CONTEXT_TOKENS, CONTEXT_TOKENS)
    account = Account("doctor", _limits(model, context, wish.usd))
    profile = anyio.run(partial(_asked, model, endpoint, account, context))
    if wish.models and catalogue and wish.model in catalogue.endpoints:
        file = profile_of(wish.models, wish.model)
    else:
        file = Path(f"{endpoint.model.replace('/', '_')}.profile.yaml")
    write_profile(file, profile)
    for line in _report(profile, account, file, wish):
        click.echo(printable(line))


_LIMITS = ("connect_timeout_s", "first_byte_timeout_s", "idle_timeout_s", "request_timeout_s",
           "extra_body")  # fmt: skip


def _endpoint(name: str, catalogue: Catalogue | None) -> Endpoint:
    endpoint = endpoint_named(name, catalogue)
    if endpoint is None:
        listed = f"; the list has {', '.join(catalogue.endpoints)}" if catalogue else ""
        raise OperatorError(
            f"{name!r} names no server: use openai/NAME, or a name in the list that --models "
            f"gives{listed}"
        )
    return endpoint


def _limits(model: Model, context: int, usd: float | None) -> Limits:
    """What the probe may spend; said before, and refused if it is more than the operator allows."""
    read, written = most_tokens(context)
    said = f"asking {model.name}: at most {read:,} tokens read and {written:,} written"
    if model.price is None:
        click.echo(printable(f"{said}; its price is not known"))
        return {}
    worst = model.price.worst(read, written)
    click.echo(printable(f"{said}, ${worst:.4f}; as a rule less than half of it"))
    if usd is not None and not worst <= usd:
        raise OperatorError(
            f"that is above the limit of {usd:g} dollars: --context N with fewer than {context} "
            "tokens costs less (0 leaves the long prompts out), --usd N allows more"
        )
    return {"usd": worst}


async def _asked(model: Model, endpoint: Endpoint, account: Account, context: int) -> Profile:
    try:
        return await probed(model, without_password(endpoint.address), account, context, _say)
    finally:
        await model.close()


def _say(line: str) -> None:
    click.echo(printable(f"  {line}"))


def _report(profile: Profile, account: Account, file: Path, wish: Wish) -> list[str]:
    """What was found and what to do with it."""
    spent = account.spent
    tokens = f"{spent.input_tokens:,} tokens read, {spent.output_tokens:,} written"
    lines = [
        f"  usage: {profile.usage}",
        f"  parallel calls: {'yes' if profile.parallel_calls else 'no'}",
        f"  reasoning: {'shown' if profile.reasoning else 'not shown'}"
        + (f", and {profile.reasoning_back} when it comes back" if profile.reasoning_back else ""),
        f"spent       {tokens}, ${spent.usd:.4f}",
        f"profile     {file}",
    ]
    if profile.usage != "always":
        lines.append(
            "note        replies without usage cost all that was reserved for them; where that is "
            "too dear, say `missing_usage: estimated`"
        )
    if not profile.output_tokens_field:
        lines.append("note        no field limits a reply here, so it may cost more than reserved")
    if not wish.models:
        laid = " ".join(f"-M {name}={value}" for name, value in _options(profile).items())
        lines.append(
            "next        name the profile in a list of models (agent-eval run --help shows the "
            f"form: `profile: {file}`)" + (f", or run with {laid}" if laid else "")
        )
    return lines


def _options(profile: Profile) -> dict[str, object]:
    return {name: value for name, value in profile.arguments().items() if value is not None}
