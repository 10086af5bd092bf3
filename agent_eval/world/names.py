"""What leads where in a world: names and addresses of its services and instances.

A service's address follows from its name alone, so that it is the same in every run. All names one
level below a wildcard share an address: however many are asked for, this stays small.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from agent_eval.world.base import Dial

ADDRESSES = IPv4Network("127.128.0.0/9")
"""Always local to a sandbox, also to one that is restored; what is below is the agent's own."""

LONGEST_NAME = 253


@dataclass(frozen=True)
class Place:
    """What a name or an address leads to: a service or an instance."""

    name: str
    """The first name it has; `*.x` for all below `x`."""
    address: str
    service: str | None = None
    sandbox: str | None = None
    dial: Dial | None = None

    @property
    def is_a(self) -> str:
        """`service` or `instance`."""
        return "service" if self.service else "instance"

    def covers(self, name: str) -> bool:
        """Whether a name is its own, or one of those its wildcard stands for."""
        return name == self.name or (self.name.startswith("*.") and _above(name) == self.name)


class Directory:
    """Every name and address of one world."""

    def __init__(self) -> None:
        self._by_name: dict[str, Place] = {}
        self._by_address: dict[str, Place | None] = {}
        self._of_sandbox: dict[str, Place] = {}

    def offer(self, service: str, hosts: Iterable[str]) -> None:
        """Have a service reached by its names; raises `ValueError` where one is taken."""
        for host in sorted(hosts):
            name = plain(host)
            if name in self._by_name:
                raise ValueError(f"{name} is the name of two services of the world")
            self._add(Place(name, self._free(name), service))

    def find(self, name: str) -> Place | None:
        """What a name leads to, if anything."""
        name = plain(name)
        return self._by_name.get(name) or self._by_name.get(_above(name))

    def at(self, address: str) -> Place | None:
        """What an address leads to, if anything."""
        return self._by_address.get(address)

    def appear(self, sandbox: str, names: tuple[str, ...], dial: Dial) -> str:
        """Have an instance reached from now on; returns its address.

        A name that is an address itself leads there as well where a program connects to it.
        """
        if sandbox in self._of_sandbox:
            raise ValueError(f"{sandbox} is there already")
        taken = [
            name for name in map(plain, names) if name in {**self._by_name, **self._by_address}
        ]
        if taken:
            raise ValueError(f"{taken[0]} is the name of something else")
        first = plain(names[0]) if names else sandbox
        place = Place(first, self._free(sandbox), sandbox=sandbox, dial=dial)
        self._of_sandbox[sandbox] = place
        self._add(place, *names)
        return place.address

    def vanish(self, sandbox: str) -> None:
        """Have an instance reached no longer; nobody else ever gets its address."""
        place = self._of_sandbox.pop(sandbox, None)
        if place is None:
            return
        for name in [name for name, each in self._by_name.items() if each is place]:
            del self._by_name[name]
        for address in [address for address, each in self._by_address.items() if each is place]:
            del self._by_address[address]
        self._by_address[place.address] = None

    def _add(self, place: Place, *names: str) -> None:
        self._by_address[place.address] = place
        for name in names or (place.name,):
            (self._by_address if _is_address(name) else self._by_name)[plain(name)] = place

    def _free(self, name: str) -> str:
        """The address that follows from a name; the next one that is free if it has gone."""
        most = ADDRESSES.num_addresses - 2
        wanted = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
        first = int(ADDRESSES.network_address) + 1
        while (address := str(IPv4Address(first + wanted % most))) in self._by_address:
            wanted += 1
        return address


def plain(name: str) -> str:
    """A name as it is compared: lower case, without the last dot."""
    return name[: LONGEST_NAME + 1].rstrip(".").lower()


def _is_address(name: str) -> bool:
    try:
        IPv4Address(name)
    except ValueError:
        return False
    return True


def _above(name: str) -> str:
    """The wildcard that would stand for a name."""
    return "*." + name.partition(".")[2]
