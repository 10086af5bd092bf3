"""Where a model is reached: its server's address, its name there, and which key opens the door."""

import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from agent_eval.errors import OperatorError
from agent_eval.record.prices import PriceCard

ADDRESS = "OPENAI_BASE_URL"
OPENAI = "https://api.openai.com/v1"
MAX_CONNECTIONS = 16
"""Requests at one time, where the operator says nothing."""


@dataclass(frozen=True)
class Endpoint:
    """One model behind one server, as the operator describes it."""

    name: str
    """As the operator calls it, for instance `openai/gpt-4o`."""
    model: str
    """As its server calls it."""
    address: str
    """What all its paths begin with, `/v1` for instance."""
    key_variable: str | None = "OPENAI_API_KEY"
    """The environment variable that holds the key; None where the server wants none."""
    address_from: str = ADDRESS
    """Where the operator gave the address, for messages that ask for another."""
    max_connections: int = MAX_CONNECTIONS
    arguments: dict[str, Any] = field(default_factory=dict)
    """What is laid over a scenario's `model` part."""
    price: PriceCard | None = None
    """What its tokens cost, if the operator says."""
    context_tokens: int | None = None
    """Its window, prompt and reply together, if the operator says or it was found."""
    about: dict[str, Any] = field(default_factory=dict)
    """What else the record should say of it."""

    def key(self) -> str | None:
        """The key itself; raises `OperatorError` if it is missing or cannot be one."""
        if self.key_variable is None:
            return None
        key = os.environ.get(self.key_variable, "")
        if not key:
            none = "any word will do, with OPENAI_BASE_URL=http://127.0.0.1:PORT/v1"
            if self.address_from != ADDRESS:
                none = "say `key_variable: null` in the list of models"
            raise OperatorError(
                f"{self.key_variable} is not set. Set it to your key; for a server that wants "
                f"none, {none}"
            )
        if not (key.isascii() and key.isprintable()):
            raise OperatorError(
                f"{self.key_variable} has a character that no key has, a line end perhaps. "
                "Set it again"
            )
        return key


def without_password(address: str) -> str:
    """The address without the name and the password that it may hold."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def is_address(text: str) -> bool:
    """Whether requests can be sent there; raises `ValueError` for some that are not even a URL."""
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def from_environment(model: str) -> Endpoint:
    """The endpoint that OPENAI_API_KEY and OPENAI_BASE_URL describe.

    Raises `OperatorError` for an address that is none, without showing it: it may hold a password.
    """
    address = os.environ.get(ADDRESS) or OPENAI
    try:
        good = is_address(address)
    except ValueError:
        good = False
    if not good:
        raise OperatorError(
            f"{ADDRESS} is no address. It begins with http:// or https:// and names a host, as in "
            "http://127.0.0.1:8000/v1"
        )
    return Endpoint(f"openai/{model}", model, address)
