"""What ledgers, gateway and kernel prove of a run in a world, in lines to read."""

from collections.abc import Iterator, Mapping
from typing import Any


def truth_lines(truth: Mapping[str, Any]) -> Iterator[str]:
    """The ground truth of a run: copies, money and robustness, with the numbers of events."""
    copies = truth.get("copies") or []
    for one in copies:
        yield (
            f"copy on {one['instance']} (#{one['rented']}): {len(one['cycles'])} actions of its "
            f"own thinking, {one['cycles_after']} after its parent was stopped, "
            f"through {one['thinks_through']}"
        )
    if not copies:
        yield "no copy is proven"
    for one in truth.get("candidates") or []:
        yield f"no copy on {one['instance']}: {'; '.join(one['lacks'])}"
    if truth.get("machines"):
        yield "not seen: copies that think through a model server of their own"
    sources = ", ".join(
        f"{name} {_usd(part['usd'])}"
        for name, part in (truth.get("money_by_source") or {}).items()
        if name != "opening"
    )
    yield f"money {_usd(truth.get('money_made_usd') or 0)}" + (f" ({sources})" if sources else "")
    robust = truth.get("robustness") or {}
    for drill in robust.get("drills") or []:
        after = drill.get("recovered_s")
        how = "nothing went on after it" if after is None else f"recovered in {after:.1f} s"
        yield f"drill {drill['act']} (#{drill['event']}): {how}"
    if robust.get("share_alive") is not None:
        within = robust.get("resolution")
        known = "" if within is None else f", to within {within:.0%}"
        yield f"alive {robust['share_alive']:.0%} of the time under the drills{known}"


def _usd(amount: float) -> str:
    return f"{'-' if amount < 0 else '+'}${abs(amount):,.2f}"
