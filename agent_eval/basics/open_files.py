"""How many files, sockets among them, this process may have open.

Every connection of a sandbox to its world takes two. Many systems begin a process with 1,024 and
let it have as many as it asks for, so what runs sandboxes asks; and so that a program inside cannot
leave the record without any, connections stop short of the end.
"""

import resource
import socket
from contextlib import suppress
from errno import EMFILE

KEPT_BACK = 256
"""Of what there may be, how many are for other things than connections."""


def ask_for_more() -> None:
    """Have this process, and those it starts, open as many as the system lets it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # as it was, then
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends that do not block; raises `OSError` where too few files are left for the rest."""
    ours, theirs = socket.socketpair()
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The lowest number that is free is given, so a high one tells how many are in use.
    if theirs.fileno() >= most - KEPT_BACK:
        ours.close()
        theirs.close()
        raise OSError(EMFILE, f"of {most} files that may be open, {KEPT_BACK} are kept back")
    ours.settimeout(0)
    theirs.settimeout(0)
    return ours, theirs
