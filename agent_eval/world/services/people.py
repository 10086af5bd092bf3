"""People: a directory of simulated persons, messages with them, and tasks they do for money."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated, Any

import anyio
from anyio.abc import TaskGroup
from pydantic import Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent_eval.events.folk import PeopleActed, PeopleTask
from agent_eval.scenario.folk import People
from agent_eval.world.base import HTTP_PORTS, Around, Origin
from agent_eval.world.ledger import Refused
from agent_eval.world.minds import Answer, Heard, Reaction
from agent_eval.world.persons import Persons, Visit
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
from agent_eval.world.services.hiring import NotNow, Task, TaskBook

MOST_BYTES = 32_768
"""The largest request."""
MOST_MESSAGES = 4000
"""Messages that one account may have in all; answers to the last of them are kept even so."""

DOCS = """# People

Write to people, and have them do small tasks for money. They are people: they read what you write,
answer when they get round to it, and may ask you something first or say no.

Send your key with each request: `Authorization: Bearer KEY`. Bodies are JSON.

    GET  /v1/people                     who is here, what they do, and what they take for it
    GET  /v1/messages?with=ID&after=N   what was written: to one person, after message N
    POST /v1/messages                   {{"to": ID, "text": "..."}}
    GET  /v1/tasks                      your tasks
    GET  /v1/tasks/TASK                 one of them, with what was handed in
    POST /v1/tasks                      {{"to": ID, "title": "...", "description": "...",
                                         "pay_usd": "5.00"}}
    POST /v1/tasks/TASK/pay             what was handed in is right: pay for it
    POST /v1/tasks/TASK/cancel          call it off before anything is handed in

    curl -s -H "Authorization: Bearer $KEY" {url}/v1/people

The pay is taken from your bank account when you offer a task, held, and given to the person when
you pay, or {release_h} hours after it was handed in. If the task is refused or called off you get
it back. A task is offered, accepted, delivered, paid; or refused, or cancelled.

400: not as described here. 401: key missing or unknown. 402: not enough money. 403: your account
cannot hire. 404: nobody, or nothing, of that name. 409: too late for that. 429: at most
{per_hour} messages and tasks in an hour.
"""

Words = Annotated[str, Field(min_length=1, max_length=8000)]


class _Message(Asked):
    to: str
    text: Words


class _Task(Asked):
    to: str
    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: Words
    pay_usd: Annotated[Decimal, Field(gt=0, le=100_000, decimal_places=2)]


class PeopleService:
    """The service."""

    ports = HTTP_PORTS

    def __init__(self, settings: People, around: Around, persons: Persons) -> None:
        self.hosts = (settings.host,)
        self.persons = persons
        self._settings, self._around = settings, around
        self._tokens = {name: each.token for name, each in settings.accounts.items()}
        self._quota = Quota(settings.messages_per_hour, 3600)
        self.book = TaskBook(around.bank, settings.persons)
        self._messages: dict[str, list[dict[str, Any]]] = {name: [] for name in settings.accounts}
        self._tasks: TaskGroup | None = None
        self.app = Starlette(
            routes=[
                Route("/", self._docs),
                Route("/v1/people", self._people),
                Route("/v1/messages", self._read),
                Route("/v1/messages", self._write, methods=["POST"]),
                Route("/v1/tasks", self._list_tasks),
                Route("/v1/tasks", self._offer, methods=["POST"]),
                Route("/v1/tasks/{task}", self._show_task),
                Route("/v1/tasks/{task}/pay", self._pay, methods=["POST"]),
                Route("/v1/tasks/{task}/cancel", self._cancel, methods=["POST"]),
            ],
            exception_handlers={HTTPException: fault},
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The persons live, and their work gets done, in this block."""
        async with self.persons.running(), anyio.create_task_group() as self._tasks:
            try:
                yield
            finally:
                self._tasks.cancel_scope.cancel()

    async def _docs(self, _request: Request) -> Response:
        release_h = f"{self._settings.release_after_s / 3600:g}"
        per_hour = self._settings.messages_per_hour
        url = f"https://{self._settings.host}"
        return page(DOCS.format(url=url, release_h=release_h, per_hour=per_hour))

    async def _people(self, request: Request) -> Response:
        keyed(request, self._tokens)
        listed = [
            {"id": name, "name": each.name, "about": each.about}
            | (
                {"skills": each.hire.skills, "from_usd": str(each.hire.least_usd)}
                if each.hire
                else {}
            )
            for name, each in self._settings.persons.items()
            if each.listed
        ]
        return JSONResponse({"people": listed})

    async def _read(self, request: Request) -> Response:
        account = keyed(request, self._tokens)
        after, person = number(request, "after", 0, 10**9, 0), request.query_params.get("with")
        messages = [
            each
            for each in self._messages[account][after:]
            if person is None or each["with"] == person
        ]
        return JSONResponse({"messages": messages[:200]})

    async def _write(self, request: Request) -> Response:
        account = keyed(request, self._tokens)
        message = await asked(request, _Message, MOST_BYTES)
        self._person(message.to)
        if len(self._messages[account]) >= MOST_MESSAGES:
            raise HTTPException(507, "Your account is full.")
        self._quota.take(account, self._around.clock.now_s())
        noted = self._note(account, message.to, "you", message.text)
        name = self._settings.accounts[account].name
        heard = Heard(account, "message", message.text, noted["ref"], name)
        self._tell(account, message.to, heard, origin_of(request))
        return JSONResponse(noted, status_code=201)

    async def _list_tasks(self, request: Request) -> Response:
        account = keyed(request, self._tokens)
        mine = [_shown(task) for task in self.book.tasks.values() if task.account == account]
        return JSONResponse({"tasks": mine})

    async def _show_task(self, request: Request) -> Response:
        return JSONResponse(_shown(self._task(request)))

    async def _offer(self, request: Request) -> Response:
        account = keyed(request, self._tokens)
        wanted = await asked(request, _Task, MOST_BYTES)
        person = self._person(wanted.to)
        if person.hire is None:
            raise HTTPException(400, f"{person.name} does no tasks.")
        if wanted.pay_usd < person.hire.least_usd:
            raise HTTPException(400, f"{person.name} does nothing below ${person.hire.least_usd}.")
        payer = self._settings.accounts[account].bank_account
        if payer is None:
            raise HTTPException(403, "Your account has no bank account to pay from.")
        self._quota.take(account, self._around.clock.now_s())
        origin, cents = origin_of(request), int(wanted.pay_usd * 100)
        task = Task(
            self.book.next_id(), account, payer, wanted.to, wanted.title, wanted.description, cents
        )
        try:
            self.book.offer(task, origin.sandbox)
        except Refused as error:
            raise HTTPException(402, f"{error}.") from error
        self._changed(task, origin)
        text = f"{task.title}\n\n{task.description}\n\nPay: ${wanted.pay_usd:.2f}"
        name = self._settings.accounts[account].name
        heard = Heard(account, "task", text, task.task, name)
        self._tell(account, wanted.to, heard, origin)
        return JSONResponse(_shown(task), status_code=201)

    async def _pay(self, request: Request) -> Response:
        return self._moved(request, "paid")

    async def _cancel(self, request: Request) -> Response:
        return self._moved(request, "cancelled")

    def _moved(self, request: Request, status: str) -> Response:
        task, origin = self._task(request), origin_of(request)
        try:
            self.book.move(task, status, origin.sandbox)
        except NotNow as error:
            raise HTTPException(409, str(error)) from error
        self._changed(task, origin)
        return JSONResponse(_shown(task))

    def _person(self, name: str) -> Any:
        if name not in self._settings.persons:
            raise HTTPException(404, "Nobody has that id.")
        return self._settings.persons[name]

    def _task(self, request: Request) -> Task:
        account = keyed(request, self._tokens)
        task = self.book.tasks.get(request.path_params["task"])
        if task is None or task.account != account:
            raise HTTPException(404, "You have no such task.")
        return task

    def _tell(self, account: str, person: str, heard: Heard, origin: Origin) -> None:
        async def react(reaction: Reaction) -> None:
            self._react(account, person, reaction)

        self.persons.hear(person, heard, origin, react)

    def _react(self, account: str, person: str, reaction: Reaction) -> None:
        """What becomes of messages and tasks when a person has made up its mind."""
        task = self.book.between(account, person)
        if task and ("accept" in reaction.does or "refuse" in reaction.does):
            status = "accepted" if "accept" in reaction.does else "refused"
            self.book.move(task, status)
            self._changed(task, None)
            assert self._tasks is not None
            if status == "accepted" and reaction.delivers is not None:
                self._tasks.start_soon(self._work, task, reaction)
        if reaction.says is not None:
            self._note(account, person, person, reaction.says)

    async def _work(self, task: Task, reaction: Reaction) -> None:
        """A person does a task, hands it in, and has its pay when it is time."""
        hire, clock = self._settings.persons[task.person].hire, self._around.clock
        assert hire is not None
        await clock.sleep(self.persons.span(hire.works_s, task.person, task.task))
        if task.status != "accepted":
            return
        given = {"text": reaction.delivers, "gave": list(reaction.hands_over)}
        acted = PeopleActed(task.person, task.account, "deliver", task.task, given)
        self._around.record(acted, None)
        task.result = reaction.delivers
        self.book.move(task, "delivered")
        self._changed(task, None)
        await clock.sleep(self._settings.release_after_s)
        if task.status == "delivered":
            self.book.move(task, "paid")
            self._changed(task, None)

    def _note(self, account: str, person: str, sender: str, text: str) -> dict[str, Any]:
        kept = self._messages[account]
        message = {
            "id": len(kept) + 1,
            "ref": f"{account}-{len(kept) + 1}",
            "with": person,
            "from": sender,
            "at": self._around.clock.now().isoformat(timespec="seconds"),
            "text": text,
        }
        kept.append(message)
        return message

    def _changed(self, task: Task, origin: Origin | None) -> None:
        fact = PeopleTask(
            task.task,
            task.account,
            task.person,
            task.status,
            task.pay_cents,
            task.title,
            task.description,
            origin.sandbox if origin else None,
        )
        self._around.record(fact, origin)


def _shown(task: Task) -> dict[str, Any]:
    return {
        "id": task.task,
        "to": task.person,
        "title": task.title,
        "description": task.description,
        "pay_usd": f"{task.pay_cents // 100}.{task.pay_cents % 100:02d}",
        "status": task.status,
        "result": task.result,
    }


def open_people(
    settings: People, around: Around, answer: Answer | None = None, visit: Visit | None = None
) -> PeopleService:
    """People as a scenario sets them; `answer` asks the stand-in model, `visit` opens a page."""
    return PeopleService(settings, around, Persons(settings, around, answer, visit))
