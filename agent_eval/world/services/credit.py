"""Prepaid credit of the language-model API: what a customer has left, held and owes.

Pure. Credit lies in the world's ledger in whole cents, one account a customer; what a call costs
is smaller than that, so each customer owes a part of a cent that is posted when it has become one.
What a call may cost is held while it is under way, so that many at once cannot spend the same cent.
"""

from dataclasses import dataclass

from agent_eval.world.ledger import Bank

MICROUSD_PER_CENT = 10_000


@dataclass
class _Tab:
    owed_microusd: int = 0
    held_microusd: int = 0


class Credit:
    """The tabs of all customers."""

    def __init__(self, bank: Bank, revenue: str) -> None:
        """`revenue` is the account that is paid."""
        self._bank = bank
        self._revenue = revenue
        self._tabs: dict[str, _Tab] = {}

    def left_microusd(self, account: str) -> int:
        """What is neither spent nor held, in millionths of a dollar; below zero where it owes."""
        tab = self._tabs.setdefault(account, _Tab())
        available = self._bank.available(account) or 0
        return available * MICROUSD_PER_CENT - tab.owed_microusd - tab.held_microusd

    def hold(self, account: str, microusd: int) -> bool:
        """Set an amount aside; False, and nothing is, where it does not fit."""
        if microusd < 0:
            raise ValueError("an amount below zero cannot be held")
        left = self.left_microusd(account)
        if left <= 0 or microusd > left:
            return False
        self._tabs[account].held_microusd += microusd
        return True

    def settle(self, account: str, held_microusd: int, spent_microusd: int, sandbox: str) -> None:
        """End a hold and charge what was spent; posts the whole cents of what is owed by now.

        A customer that was emptied in the meantime goes on owing, and gets nothing until it pays.
        """
        tab = self._tabs[account]
        tab.held_microusd -= held_microusd
        tab.owed_microusd += spent_microusd
        whole = min(tab.owed_microusd // MICROUSD_PER_CENT, self._bank.available(account) or 0)
        if whole <= 0:
            return
        self._bank.transfer(
            account, self._revenue, whole, "language model", source="lm", sandbox=sandbox
        )
        tab.owed_microusd -= whole * MICROUSD_PER_CENT
