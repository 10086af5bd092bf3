"""What a model's tokens cost, as data with a date and a source.

A price that is not known is None and never zero: under a dollar limit such a model refuses to run.
"""

from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from agent_eval.basics.conversation import Usage
from agent_eval.errors import OperatorError, UnknownPrice

CARDS = Path(__file__).parents[1] / "models" / "prices.yaml"
MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class PriceCard:
    """Dollars per million tokens; a cached input token costs `cached`, any other `input`."""

    input: Decimal
    cached: Decimal
    output: Decimal
    as_of: str
    source: str

    def cost(self, usage: Usage) -> Decimal:
        """Dollars for one call."""
        fresh = usage.input_tokens - usage.cached_input_tokens
        total = fresh * self.input + usage.cached_input_tokens * self.cached
        return (total + usage.output_tokens * self.output) / MILLION

    def worst(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Dollars a call of this size costs at most."""
        dearest = max(self.input, self.cached)
        return (input_tokens * dearest + output_tokens * self.output) / MILLION

    def record(self) -> dict[str, Any]:
        """The card as JSON values."""
        return {name: str(value) for name, value in asdict(self).items()}


FREE = PriceCard(Decimal(0), Decimal(0), Decimal(0), "always", "runs on this machine, by a script")


def read_cards(file: Path = CARDS) -> dict[str, PriceCard]:
    """Price cards by model name; raises `OperatorError` naming file and card."""
    try:
        tree = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise OperatorError(f"{file}: cannot be read as price cards: {error}") from error
    if not isinstance(tree, dict):
        raise OperatorError(f"{file}: must map model names to price cards")
    return {str(name): _card(file, str(name), card) for name, card in tree.items()}


def _card(file: Path, name: str, card: Any) -> PriceCard:
    try:
        amounts = [Decimal(str(card[field])) for field in ("input", "cached", "output")]
        if not all(amount.is_finite() and amount >= 0 for amount in amounts):
            raise ValueError("a price is a number of dollars, 0 or more")
        read, cached, written = amounts
        return PriceCard(read, cached, written, str(card["as_of"]), str(card["source"]))
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise OperatorError(
            f"{file}: {name}: needs input, cached and output (dollars per million tokens), as_of "
            f"and source ({type(error).__name__}: {error})"
        ) from error


def price_of(model: str, extra: Path | None, usd_limit: float | None) -> PriceCard | None:
    """The card of a model, from the operator's file first; refuses an unknown one under a limit."""
    cards = read_cards() | (read_cards(extra) if extra else {})
    card = cards.get(model)
    if card is None and usd_limit is not None:
        raise UnknownPrice(
            f"no price is known for {model!r}, so the limit of {usd_limit:g} dollars could not be "
            "held. Give its price with --prices FILE (agent-eval run --help shows the form), or "
            "lift the limit with --usd none"
        )
    return card


def refuse_unpriced(role: str, model: str, price: PriceCard | None, limit: Decimal | None) -> None:
    """Refuse a model beside the one under test whose dollar limit could not be held.

    Raises `UnknownPrice`; with a price, or without a limit, nothing happens.
    """
    if price is None and limit is not None:
        raise UnknownPrice(
            f"no price is known for {model!r}, which is to be the {role}, so its limit of "
            f"{limit:g} dollars could not be held. Give its price with --prices FILE, or in the "
            "list of --models; 0 has to be said as well"
        )
