"""What a sandbox's network is made of, as the sandbox is given it.

Whoever makes a sandbox says what is behind its connections and names; this package only carries
them, and knows nothing of what they lead to.
"""

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """The other end of one sandbox's network."""

    connect: Callable[[str, int], Awaitable[socket.socket | None]]
    """Given the address and port that a program wanted to reach, the socket it is connected with,
    say one end of a pair, which is closed here; None has the program's connection reset."""
    resolve: Callable[[str], str | None]
    """The address of a name, or None if there is none. The name is in lower case and without its
    last dot; what no host's name has in it is escaped as `\\ddd`. Asked for whatever type of record
    a program wants."""
    authority_pem: str = ""
    """Certificates of the authorities that programs inside trust, and no others."""
