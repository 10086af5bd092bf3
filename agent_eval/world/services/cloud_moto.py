"""The process in which the cloud's API is emulated: moto, with no way out.

Started by `cloud_emulator`, with no environment but the emulator's settings. It warms itself once,
then makes a child for each run that is handed to it as a socket, for the emulator's state is one to
a process. What it is asked has been read and chosen by the host; whatever the emulator would do
beyond answering - open a connection, start a program, write a file - the kernel's rules and an
audit hook refuse.

Frames on a run's socket, both ways: length of a JSON text (u32), length of a body (u32), both.
"""

import ctypes
import json
import os
import re
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from moto.backends import get_backend
from moto.core.request import Request
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.moto_api._internal import mock_random
from moto.s3.models import s3_backends
from werkzeug.exceptions import HTTPException

LENGTHS = struct.Struct(">II")
CALL_S = 60
"""After so many seconds of the processor in one call, the kernel ends the process. Not by the
clock: a busy machine gives an emulator a fraction of what it needs, which is no fault of a call."""
FOR_ANOTHER = "-ecs-"
"""In the names of images that a service which is not here is for. The emulator has 1,200 of them,
with which every list of images would take a second to write."""
MEMORY_BYTES = 3 * 1024**3
NEW_NET, NEW_USER = 0x40000000, 0x10000000

REFUSED = (
    "socket.connect",
    "socket.bind",
    "socket.sendto",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.forkpty",
    "pty.spawn",
)
"""Acts that the audit hook refuses, by the names that Python gives them."""

Applications = dict[str, list[tuple[re.Pattern[str], Callable[..., Any]]]]
"""For each service the addresses it has and what answers there."""

POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["ec2:*", "s3:*", "sts:*"], "Resource": "*"}],
}


def main() -> None:
    """Warm up, and serve each run that is handed over on standard input until that ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a person's, at the terminal: for the harness
    _leave_the_network()
    apps = _applications()
    with socket.socket(fileno=os.dup(0)) as orders:
        while True:
            asked, handed, _, _ = socket.recv_fds(orders, 65536, 1)
            if not asked:
                return
            if os.fork() == 0:
                orders.close()
                _serve(socket.socket(fileno=handed[0]), json.loads(asked), apps)
            os.close(handed[0])


def _leave_the_network() -> None:
    """Be alone in a network of its own where the kernel lets us; the audit hook holds anyway."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_NET) != 0:
        libc.unshare(NEW_USER | NEW_NET)


def _applications() -> Applications:
    """What answers for each service, and nothing that could pass a request on to another."""
    found: Applications = {}
    for service, level in (("ec2", "us-east-1"), ("s3", "aws"), ("sts", "aws")):
        urls = get_backend(service)["123456789012"][level].urls  # type: ignore[call-overload]
        found[service] = [(re.compile(pattern), answer) for pattern, answer in urls.items()]
    form = [("content-type", "application/x-www-form-urlencoded"), ("authorization", _NOBODY)]
    order = {"service": "ec2", "method": "POST", "path": "/", "query": "", "headers": form}
    for action in ("DescribeImages", "DescribeInstanceTypes"):
        body = f"Action={action}&Version=2016-11-15".encode()
        _answer(found, order | {"host": "ec2.us-east-1.amazonaws.com"}, body)
    return found


_NOBODY = (
    "AWS4-HMAC-SHA256 Credential=AKIAAAAAAAAAAAAAAAAA/20260101/us-east-1/ec2/aws4_request, "
    "SignedHeaders=host, Signature=0"
)


def _serve(wire: socket.socket, about: dict[str, str], apps: Applications) -> NoReturn:
    """Answer one run's requests until its harness hangs up."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        state = State(about)
        _shut_in()
        for order, body in _frames(wire):
            signal.setitimer(signal.ITIMER_PROF, CALL_S)
            reply, content = _obeyed(order, body, apps, state)
            signal.setitimer(signal.ITIMER_PROF, 0)
            text = json.dumps(reply).encode()
            wire.sendall(LENGTHS.pack(len(text), len(content)) + text + content)
        status = 0
    except BaseException:  # noqa: BLE001 - told to whoever started it, and the end
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


def _shut_in() -> None:
    """From here on, nothing but answering."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in REFUSED:
            raise PermissionError(f"the emulator may not do this: {event}")
        if event == "open" and isinstance(arguments[2], int):
            writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT
            if arguments[2] & writes and arguments[0] != os.devnull:
                raise PermissionError("the emulator may not write files")

    sys.addaudithook(hook)


def _frames(wire: socket.socket) -> Iterator[tuple[dict[str, Any], bytes]]:
    with wire.makefile("rb") as file:
        while len(head := file.read(LENGTHS.size)) == LENGTHS.size:
            text, body = (file.read(size) for size in LENGTHS.unpack(head))
            yield json.loads(text), body


def _obeyed(
    order: dict[str, Any], body: bytes, apps: Applications, state: "State"
) -> tuple[dict[str, Any], bytes]:
    reply: dict[str, Any] = {}
    content = b""
    if order["op"] == "call":
        status, headers, content = _answer(apps, order, body)
        reply = {"status": status, "headers": headers}
    elif order["op"] == "state":
        state.put(order["instance"], order["name"], order["code"])
    return reply | state.seen(), content


def _answer(
    apps: Applications, order: dict[str, Any], body: bytes
) -> tuple[int, list[list[str]], bytes]:

    url = f"https://{order['host']}{order['path']}"
    answer = next((each for pattern, each in apps[order["service"]] if pattern.match(url)), None)
    if answer is None:
        return 404, [], b""
    try:
        full = url + (f"?{order['query']}" if order["query"] else "")
        request = Request.from_primitives(order["method"], full, dict(order["headers"]), body)
        try:
            status, headers, content = answer(request, request.raw_url, request.headers)
        except HTTPException as error:
            status, headers, content = error.code or 500, error.get_headers(), error.get_body()
    except MemoryError:
        return 503, [], b""
    except Exception as error:  # noqa: BLE001 - the emulator's fault is told as the service's
        return 500, [["x-emulator-fault", ascii(error)[:300]]], b""
    pairs = [[str(name), str(value)] for name, value in dict(headers).items()]
    return int(status), pairs, content.encode() if isinstance(content, str) else bytes(content)


class State:
    """What the emulator holds for its run, beside the answers it gives."""

    def __init__(self, about: dict[str, str]) -> None:
        """An account with one key that may do whatever gets through to here."""
        mock_random.seed(about["seed"])
        account, region = about["account"], about["region"]
        os.environ["MOTO_ACCOUNT_ID"] = account
        iam = iam_backends[account]["aws"]
        iam.create_user(region, "agent")
        key = iam.create_access_key("agent", "AKIA")
        iam.access_keys.pop(key.access_key_id, None)
        key.access_key_id, key.secret_access_key = about["access_key"], about["secret_key"]
        iam.access_keys[key.access_key_id] = key
        iam.put_user_policy("agent", "all", json.dumps(POLICY))
        self._ec2 = ec2_backends[account][region]
        images = self._ec2.amis
        for image in [each for each, one in images.items() if FOR_ANOTHER in (one.name or "")]:
            del images[image]
        self._s3 = s3_backends[account]["aws"]

    def _instances(self) -> Iterator[Any]:
        for reservation in self._ec2.reservations.values():
            yield from reservation.instances

    def put(self, instance: str, name: str, code: int) -> None:
        """Have a machine in the state that it is really in."""
        for each in self._instances():
            if each.id == instance:
                each._state.name, each._state.code = name, code  # noqa: SLF001

    def seen(self) -> dict[str, Any]:
        """All machines, and how many bytes the buckets hold."""
        machines = [self._seen(each) for each in self._instances()]
        return {
            "instances": machines,
            "stored": self._stored(),
            "keys": list(self._ec2.key_pairs),
        }

    def _seen(self, instance: Any) -> dict[str, Any]:
        key = self._ec2.key_pairs.get(instance.key_name) if instance.key_name else None
        return {
            "id": instance.id,
            "state": instance._state.name,  # noqa: SLF001
            "machine": instance.instance_type,
            "key": instance.key_name,
            "public_key": key.public_key if key else None,
            "user_data": instance.user_data.as_bytes().decode() if instance.user_data else None,
            "private_ip": instance.private_ip,
            "private_name": instance.private_dns_name,
            "public_ip": instance.public_ip,
            "public_name": instance.public_dns_name,
        }

    def _stored(self) -> int:
        total = 0
        for bucket in self._s3.buckets.values():
            for key in bucket.keys.values():
                total += key.size
            for upload in bucket.multiparts.values():
                total += sum(part.size for part in upload.parts.values())
        return total


if __name__ == "__main__":
    main()
