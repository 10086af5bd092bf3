"""The world's ledger on record: every account and every posting is written before it is there."""

from collections.abc import Callable

from agent_eval.events.event import Event
from agent_eval.events.services import BankOpened, BankPosted
from agent_eval.world.clock import WorldClock
from agent_eval.world.ledger import Bank, Holding, Posting


def open_bank_ledger(clock: WorldClock, record: Callable[[Event, None], None]) -> Bank:
    """An empty ledger that goes by the world's clock and puts all it does on record."""

    def opened(holding: Holding) -> None:
        fact = BankOpened(
            account=holding.number,
            holder=holding.holder,
            owner=holding.owner,
            overdraft_cents=holding.overdraft_cents,
        )
        record(fact, None)

    def posted(posting: Posting) -> None:
        record(_fact(posting), None)

    return Bank(now=clock.now, on_open=opened, on_post=posted)


def _fact(posting: Posting) -> BankPosted:
    return BankPosted(
        posting=posting.number,
        at=posting.at.isoformat(),
        entries=[{"account": name, "cents": cents} for name, cents in posting.entries.items()],
        memo=posting.memo,
        source=posting.source,
        sandbox=posting.sandbox,
    )
