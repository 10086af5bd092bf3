"""Mail: mailboxes behind an HTTP API, mail between them and to persons, and bounces.

Nothing leaves the world: an address is a mailbox of the scenario, a simulated person's, or of
nobody.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import anyio
from anyio.abc import TaskGroup
from pydantic import Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent_eval.events.folk import MailDelivered, MailRead, MailSent
from agent_eval.scenario.folk import Mail
from agent_eval.world.base import HTTP_PORTS, Around, Origin
from agent_eval.world.minds import Heard, Reaction
from agent_eval.world.persons import Persons
from agent_eval.world.services.answers import (
    Asked,
    Quota,
    asked,
    fault,
    keyed,
    number,
    origin_of,
    page,
)

MOST_MAILS, MOST_CHARACTERS = 1000, 16 * 1024 * 1024
"""What one mailbox holds; beyond it the oldest goes."""

DOCS = """# Mail

Send your mailbox's key with each request: `Authorization: Bearer KEY`. Bodies are JSON.

    GET    /v1/mails?folder=inbox        what is there, newest first: id, from, subject, at, read
    GET    /v1/mails?folder=sent         what you sent
           &limit=50&before=ID           how many; older than that one
    GET    /v1/mails/ID                  one of them, with its text
    DELETE /v1/mails/ID                  remove it
    POST   /v1/mails                     {{"to": ["a@example.com"], "subject": "...", "text": "...",
                                          "name": "shown with your address, if you like",
                                          "in_reply_to": ID}}

    curl -s -H "Authorization: Bearer $KEY" {url}/v1/mails

A mail for an address that does not exist comes back as a mail from the server. A mail has at most
20 addresses and {size_bytes} bytes (413), and you may send {per_hour} in an hour (429).
400: not as described here. 401: key missing or unknown. 404: no such mail.
"""

Where = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}@[A-Za-z0-9][A-Za-z0-9.-]{0,250}$")
]


class _Mail(Asked):
    to: Annotated[list[Where], Field(min_length=1, max_length=20)]
    subject: Annotated[str, Field(max_length=500, pattern=r"^[^\r\n]*$")] = ""
    text: str
    name: Annotated[str, Field(max_length=100, pattern=r'^[^\r\n<>"]*$')] = ""
    in_reply_to: str | None = Field(default=None, max_length=40)


@dataclass
class Letter:
    """A mail as one mailbox has it."""

    id: str
    folder: str
    """`inbox` or `sent`."""
    sender: str
    to: list[str]
    subject: str
    text: str
    at: datetime
    read: bool = False
    in_reply_to: str | None = None
    mark: str | None = None

    def head(self) -> dict[str, Any]:
        """What a list shows of it."""
        return {
            "id": self.id,
            "from": self.sender,
            "to": self.to,
            "subject": self.subject,
            "at": self.at.isoformat(timespec="seconds"),
            "read": self.read,
            "in_reply_to": self.in_reply_to,
        }


class MailService:
    """The service."""

    ports = HTTP_PORTS

    def __init__(self, settings: Mail, around: Around, persons: Persons | None) -> None:
        self.hosts = (settings.host,)
        self._settings, self._around, self._persons = settings, around, persons
        self._tokens = {address: each.token for address, each in settings.mailboxes.items()}
        self._quota = Quota(settings.per_hour, 3600)
        self._written = 0
        self._tasks: TaskGroup | None = None
        self.boxes = {address: self._planted(address) for address in settings.mailboxes}
        self.app = Starlette(
            routes=[
                Route("/", self._docs),
                Route("/v1/mails", self._list),
                Route("/v1/mails", self._send, methods=["POST"]),
                Route("/v1/mails/{mail}", self._read),
                Route("/v1/mails/{mail}", self._delete, methods=["DELETE"]),
            ],
            exception_handlers={HTTPException: fault},
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Mails are on their way in this block."""
        async with anyio.create_task_group() as self._tasks:
            try:
                yield
            finally:
                self._tasks.cancel_scope.cancel()

    def _planted(self, address: str) -> list[Letter]:
        start = self._around.clock.now()
        mails = sorted(self._settings.mailboxes[address].inbox, key=lambda mail: -mail.age_s)
        return [
            Letter(
                id=self._next_id(),
                folder="inbox",
                sender=mail.sender,
                to=[address],
                subject=mail.subject,
                text=mail.text,
                at=start - timedelta(seconds=mail.age_s),
                read=mail.read,
                mark=mail.mark,
            )
            for mail in mails
        ]

    def _next_id(self) -> str:
        self._written += 1
        return f"m{self._written}"

    async def _docs(self, _request: Request) -> Response:
        url, settings = f"https://{self._settings.host}", self._settings
        return page(
            DOCS.format(url=url, size_bytes=int(settings.size_bytes), per_hour=settings.per_hour)
        )

    async def _list(self, request: Request) -> Response:
        address = keyed(request, self._tokens)
        folder = request.query_params.get("folder", "inbox")
        if folder not in ("inbox", "sent"):
            raise HTTPException(400, "folder: inbox or sent")
        mails = [mail for mail in reversed(self.boxes[address]) if mail.folder == folder]
        before = request.query_params.get("before")
        places = [place for place, mail in enumerate(mails) if mail.id == before]
        if before is not None:
            mails = mails[places[0] + 1 :] if places else []
        limit = number(request, "limit", 1, 200, 50)
        return JSONResponse({"mails": [mail.head() for mail in mails[:limit]]})

    async def _read(self, request: Request) -> Response:
        address, mail = self._mail(request)
        if not mail.read:
            origin = origin_of(request)
            fact = MailRead(mail.id, address, origin.sandbox, mail.mark)
            self._around.record(fact, origin)
            mail.read = True
        return JSONResponse(mail.head() | {"text": mail.text})

    async def _delete(self, request: Request) -> Response:
        address, mail = self._mail(request)
        self.boxes[address].remove(mail)
        return Response(status_code=204)

    def _mail(self, request: Request) -> tuple[str, Letter]:
        address, wanted = keyed(request, self._tokens), request.path_params["mail"]
        for mail in reversed(self.boxes[address]):  # of one to oneself, the one that came
            if mail.id == wanted:
                return address, mail
        raise HTTPException(404, "You have no such mail.")

    async def _send(self, request: Request) -> Response:
        address = keyed(request, self._tokens)
        wanted = await asked(request, _Mail, int(self._settings.size_bytes))
        self._quota.take(address, self._around.clock.now_s())
        mail = Letter(
            id=self._next_id(),
            folder="sent",
            sender=f"{wanted.name} <{address}>" if wanted.name else address,
            to=list(dict.fromkeys(each.lower() for each in wanted.to)),
            subject=wanted.subject,
            text=wanted.text,
            at=self._around.clock.now(),
            read=True,
            in_reply_to=wanted.in_reply_to,
        )
        self._keep(address, mail)
        self._post(mail, address, origin_of(request))
        return JSONResponse(mail.head(), status_code=202)

    def _keep(self, address: str, mail: Letter) -> None:
        box = self.boxes[address]
        box.append(mail)
        held = sum(len(each.text) for each in box)
        while len(box) > MOST_MAILS or held > MOST_CHARACTERS:
            held -= len(box.pop(0).text)

    def _post(self, mail: Letter, address: str | None, origin: Origin | None) -> None:
        """Put a mail on its way; `address` is the mailbox that it leaves and bounces to."""
        fact = MailSent(
            mail=mail.id,
            account=address,
            sender=mail.sender,
            to=mail.to,
            subject=mail.subject,
            text=mail.text,
            sandbox=origin.sandbox if origin else None,
            in_reply_to=mail.in_reply_to,
        )
        self._around.record(fact, origin)
        assert self._tasks is not None
        for to in mail.to:
            self._tasks.start_soon(self._deliver, mail, to, address, origin)

    async def _deliver(
        self, mail: Letter, to: str, address: str | None, origin: Origin | None
    ) -> None:
        clock, persons = self._around.clock, self._persons
        takes_s = sum(self._settings.takes_s) / 2
        if persons is not None:
            takes_s = persons.span(self._settings.takes_s, mail.id, to)
        await clock.sleep(takes_s)
        person = persons.at_mail(to) if persons else None
        outcome = "mailbox" if to in self.boxes else "person" if person else "bounced"
        self._around.record(MailDelivered(mail.id, to, outcome), origin)
        if outcome == "mailbox":
            copy = Letter(**vars(mail) | {"folder": "inbox", "read": False, "at": clock.now()})
            self._keep(to, copy)
        elif person and persons and address:
            text = f"From: {mail.sender}\nSubject: {mail.subject}\n\n{mail.text}"

            async def react(reaction: Reaction) -> None:
                self._answer(mail, to, address, reaction)

            persons.hear(person, Heard(address, "mail", text, mail.id), origin, react)
        elif address:
            text = f"Your mail could not be delivered to {to}: there is no such address.\n\n> "
            text += "\n> ".join(mail.text[:2000].splitlines())
            server = f"Mail server <mailer-daemon@{self._settings.host}>"
            self._write(server, address, f"Undelivered: {mail.subject}", text, mail.id)

    def _answer(self, mail: Letter, person_at: str, address: str, reaction: Reaction) -> None:
        if reaction.says is None or self._persons is None:
            return
        name = self._persons.at_mail(person_at) or ""
        sender = f"{self._persons.settings.persons[name].name} <{person_at}>"
        subject = mail.subject if mail.subject.lower().startswith("re:") else f"Re: {mail.subject}"
        self._write(sender, address, subject, reaction.says, mail.id)

    def _write(self, sender: str, to: str, subject: str, text: str, in_reply_to: str) -> None:
        """A mail that no mailbox sends: a person's, or the server's."""
        mail = Letter(
            id=self._next_id(),
            folder="inbox",
            sender=sender,
            to=[to],
            subject=subject,
            text=text,
            at=self._around.clock.now(),
            in_reply_to=in_reply_to,
        )
        self._post(mail, None, None)


def open_mail(settings: Mail, around: Around, persons: Persons | None = None) -> MailService:
    """Mail as a scenario sets it; `persons` are those of the same world, where it has any."""
    return MailService(settings, around, persons)
