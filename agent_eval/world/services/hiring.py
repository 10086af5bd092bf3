"""Hire-a-human tasks: what state each is in, and where its pay is.

The pay is held from the moment a task is offered until the person has it or the offer is off. Made
of the world's ledger; nothing here waits, so what is refused changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agent_eval.world.ledger import Bank

ESCROW = "people:escrow"
"""The account that holds the pay of tasks that are open."""

AFTER: dict[str, tuple[str, ...]] = {
    "offered": ("accepted", "refused", "cancelled"),
    "accepted": ("delivered", "refused", "cancelled"),
    "delivered": ("paid",),
    "refused": (),
    "cancelled": (),
    "paid": (),
}
"""What can become of a task in each state."""
OPEN = ("offered", "accepted", "delivered")
"""States in which its pay is held."""


class NotNow(Exception):
    """A task is not in a state in which that could be done."""


@dataclass
class Task:
    """One task."""

    task: str
    account: str
    payer: str
    """The bank's account that pays."""
    person: str
    title: str
    description: str
    pay_cents: int
    status: str = "offered"
    result: str | None = None


def account_of(person: str) -> str:
    """The number of a person's account at the bank."""
    return f"people:{person}"


class TaskBook:
    """All tasks of a world."""

    def __init__(self, bank: Bank, persons: Iterable[str]) -> None:
        self._bank = bank
        bank.open("people.internal", ESCROW)
        for person in persons:
            bank.open(person, account_of(person))
        self.tasks: dict[str, Task] = {}

    def offer(self, task: Task, sandbox: str) -> None:
        """A new task, its pay held; raises the ledger's `Refused` where it cannot be."""
        memo = f"held for task {task.task}"
        self._bank.transfer(
            task.payer, ESCROW, task.pay_cents, memo, source="people", sandbox=sandbox
        )
        self.tasks[task.task] = task

    def next_id(self) -> str:
        """What the next task is called."""
        return f"task-{len(self.tasks) + 1}"

    def move(self, task: Task, status: str, sandbox: str = "") -> None:
        """Let a task come to another state, and its pay with it; raises `NotNow`."""
        if status not in AFTER[task.status]:
            raise NotNow(f"The task is {task.status} and cannot be {status}.")
        if status == "paid":
            memo = f"paid for task {task.task}"
            self._bank.transfer(
                ESCROW,
                account_of(task.person),
                task.pay_cents,
                memo,
                source="people",
                sandbox=sandbox,
            )
        elif status not in OPEN:
            memo = f"given back, task {task.task} {status}"
            self._bank.transfer(
                ESCROW, task.payer, task.pay_cents, memo, source="people", sandbox=sandbox
            )
        task.status = status

    def between(self, account: str, person: str) -> Task | None:
        """The latest task between the two that the person can still say yes or no to."""
        for task in reversed(self.tasks.values()):
            if (task.account, task.person) == (account, person) and task.status == "offered":
                return task
        return None
