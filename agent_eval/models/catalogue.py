"""`--models FILE`: the operator's models by name, each with its server, key, price and window.

    models:
      local:
        model: qwen3-8b                            # its name at the server
        base_url: http://127.0.0.1:8000/v1
        key_variable: null                         # or the environment variable that holds the key
        arguments: {temperature: 0.7, missing_usage: estimated}
        price: {input: 0, cached: 0, output: 0, as_of: "2026-01-31", source: runs on this machine}
        context_tokens: 32768
        max_connections: 4
    roles: {agent: local, world: local, grader: local}

A profile beside the file, `local.profile.yaml`, is followed where there is one. A price that is not
given is looked up by the model's name and is never taken for zero.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator
from ruamel.yaml.comments import CommentedMap

from agent_eval.errors import OperatorError
from agent_eval.models.endpoint import MAX_CONNECTIONS, Endpoint, is_address, without_password
from agent_eval.models.profile import Profile, read_profile
from agent_eval.record.prices import PriceCard
from agent_eval.scenario.model import ModelArguments
from agent_eval.scenario.part import Part, Text
from agent_eval.scenario.strict_yaml import built, line_of, parse

ModelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$")]
Dollars = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


class Price(Part):
    """Dollars per million tokens, with a date and a source; zeros are a price like any other."""

    input: Dollars
    """For tokens read."""
    cached: Dollars
    """For tokens read from a cache."""
    output: Dollars
    """For tokens written."""
    as_of: Text
    """The day on which it was so."""
    source: Text
    """Who says so."""


class Listed(Part):
    """One model behind one server."""

    model: Text
    """Its name at the server."""
    base_url: Text
    """What all paths of the server begin with; ends in `/v1` as a rule."""
    key_variable: str | None
    """The environment variable that holds the key, never the key; null where none is wanted."""
    arguments: ModelArguments = ModelArguments()
    """Laid over a scenario's `model` part; the command line's `-M` is laid over these."""
    price: Price | None = None
    """What its tokens cost; looked up by the model's name if left out."""
    context_tokens: int | None = Field(default=None, ge=256)
    """Its window, prompt and reply together."""
    max_connections: int = Field(default=MAX_CONNECTIONS, ge=1, le=10_000)
    """Requests at one time, of all runs of one command together."""
    profile: Text | None = None
    """The profile to follow, from this file's folder; NAME.profile.yaml if that is there."""

    @model_validator(mode="after")
    def _reachable(self) -> "Listed":
        # Neither is shown in the refusal: a key may have got into the one, a password the other.
        if self.key_variable is not None and not _VARIABLE.fullmatch(self.key_variable):
            raise ValueError(
                "key_variable: give the name of an environment variable, in capitals, and never "
                "the key itself"
            )
        if not is_address(self.base_url):
            raise ValueError("base_url: begins with http:// or https:// and names a host")
        return self


class Roles(Part):
    """Who plays which part, by name."""

    agent: ModelName | None = None
    """The model under test, where the command line names none."""
    world: ModelName | None = None
    """Who speaks for the people and services of the simulated world."""
    grader: ModelName | None = None
    """Who judges, where a rule cannot."""


class _File(Part):
    models: dict[ModelName, Listed]
    """The models by name."""
    roles: Roles = Roles()
    """Who plays which part."""


@dataclass(frozen=True)
class Catalogue:
    """The models that the operator listed, ready to be asked."""

    endpoints: dict[str, Endpoint]
    agent: str | None
    grader: str | None = None


def read_catalogue(file: Path, *, profiles: bool = True) -> Catalogue:
    """The models in a file; raises `OperatorError` that names file, line, fault and remedy.

    Without `profiles` none is followed, for they are about to be made.
    """
    tree = parse(file, OperatorError, "a list of models")
    listed = built(_File, file, tree, OperatorError)
    for role, name in listed.roles.model_dump(exclude_none=True).items():
        if name not in listed.models:
            raise OperatorError(
                f"{file}:{line_of(tree, ('roles', role))}: roles.{role}: there is no model "
                f"{name!r}; there are {', '.join(listed.models) or 'none'}"
            )
    roles = {
        role: {"name": name, "model": listed.models[name].model}
        for role, name in listed.roles.model_dump(exclude_none=True).items()
        if role != "agent"
    }
    endpoints = {}
    for name, each in listed.models.items():
        profile = _profile(file, tree, name, each) if profiles else None
        endpoints[name] = _endpoint(file, name, each, profile, roles)
    return Catalogue(endpoints, listed.roles.agent, listed.roles.grader)


def profile_of(file: Path, name: str) -> Path:
    """Where the profile of a model in that list is looked for."""
    return file.with_name(f"{name}.profile.yaml")


def _endpoint(
    file: Path, name: str, listed: Listed, profile: Profile | None, roles: dict[str, Any]
) -> Endpoint:
    laid = profile.arguments() if profile else {}
    return Endpoint(
        name=name,
        model=listed.model,
        address=listed.base_url,
        key_variable=listed.key_variable,
        address_from=f"base_url of {name} in {file}",
        max_connections=listed.max_connections,
        arguments=laid | listed.arguments.model_dump(exclude_unset=True),
        price=PriceCard(**dict(listed.price)) if listed.price else None,
        context_tokens=listed.context_tokens or (profile.window() if profile else None),
        about={
            **({"profile": profile.record()} if profile else {}),
            **({"roles": roles} if roles else {}),
        },
    )


def _profile(file: Path, tree: CommentedMap, name: str, listed: Listed) -> Profile | None:
    place = profile_of(file, name)
    if listed.profile is not None:
        place = file.parent / listed.profile
    elif not place.exists():
        return None
    profile = read_profile(place)
    if (profile.model, profile.server) != (listed.model, without_password(listed.base_url)):
        raise OperatorError(
            f"{file}:{line_of(tree, ('models', name))}: {place.name} is the profile of "
            f"{profile.model!r} at {profile.server}, and this is another: make it anew with "
            f"`agent-eval doctor --models {file} --model {name}`, or remove it"
        )
    return profile
