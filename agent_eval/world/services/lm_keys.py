"""The keys of the language-model API's customers: by customer and name, each with its secret."""

import random
from collections.abc import Mapping

from starlette.requests import Request

from agent_eval.world.services.answers import key_of


class Keys:
    """All keys that work now."""

    def __init__(self, given: Mapping[str, Mapping[str, str]], source: random.Random) -> None:
        """`given` has for each customer its keys by name; new secrets come from `source`."""
        self._random = source
        self._secrets = {
            f"{account}/{name}": secret
            for account, keys in given.items()
            for name, secret in keys.items()
        }

    def of(self, account: str) -> list[str]:
        """The names of a customer's keys, the oldest first."""
        parts = [each.split("/", 1) for each in self._secrets]
        return [name for owner, name in parts if owner == account]

    def sent_with(self, request: Request) -> tuple[str, str] | None:
        """The customer and the name of the key that a request carries, if it is one."""
        found = key_of(request, self._secrets)
        if found is None:
            return None
        account, _, name = found.partition("/")
        return account, name

    def new_secret(self) -> str:
        """A secret that no key has yet."""
        return f"sk-{self._random.getrandbits(160):040x}"

    def add(self, account: str, name: str, secret: str) -> None:
        """Have a new key work."""
        self._secrets[f"{account}/{name}"] = secret

    def remove(self, account: str, name: str) -> None:
        """Have a key stop working."""
        del self._secrets[f"{account}/{name}"]
