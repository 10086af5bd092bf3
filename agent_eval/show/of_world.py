"""What a run's sandboxes did in their world, each fact in a line to read."""

from typing import Any

from agent_eval.basics.display import one_line

SERVICES = {
    *("bank", "lm", "job", "mail", "people", "cloud", "web", "packages", "store", "world"),
    *("drill", "aftermath"),
}
"""Kinds of events begin with these, where a world wrote them."""

WHY = {
    "unknown": "nothing has this address",
    "port": "not this port",
    "full": "too many streams",
    "closed": "nothing listens there",
    "tls": "the client would not go on",
    "not_http": "what came is no HTTP",
}
VALUE_CHARACTERS = 60


def quiet(event: dict[str, Any]) -> bool:
    """Whether a reader of the conversation does not miss it: a name that is there."""
    return event["kind"] == "world.asked" and event.get("address") is not None


def told(event: dict[str, Any]) -> tuple[str, str] | None:
    """A fact of a world in words, with the style of its line; None where it is no such fact."""
    kind = event["kind"]
    if kind.partition(".")[0] not in SERVICES:
        return None
    if kind in _TELLERS:
        return _TELLERS[kind](event)
    own = {name: each for name, each in event.items() if name not in _EVERY}
    words = [f"{name.removesuffix('_cents')} {_value(name, each)}" for name, each in own.items()]
    return f"{kind.replace('.', ' ')}: {', '.join(words)}", "blue"


_EVERY = ("seq", "time", "elapsed_s", "agent", "kind", "prev")


def _value(name: str, value: Any) -> str:
    """A field in short; what is in cents as dollars."""
    if name.endswith("cents") and isinstance(value, int):
        return dollars(value)
    if isinstance(value, list) and value and isinstance(value[0], dict) and "cents" in value[0]:
        return "; ".join(f"{each.get('account')} {dollars(each['cents'])}" for each in value)
    if isinstance(value, dict) and "bytes" in value:
        return f"{value['bytes']:,} bytes"
    return one_line(str(value), VALUE_CHARACTERS)


def dollars(cents: int) -> str:
    """Cents as dollars: `-$1.05`."""
    return f"{'-' if cents < 0 else ''}${abs(cents) // 100:,}.{abs(cents) % 100:02}"


def _opened(event: dict[str, Any]) -> tuple[str, str]:
    hosts = [host for each in event["services"] for host in each["hosts"]]
    names = ", ".join(hosts) or "no names at all"
    speed = "" if event["speed"] == 1 else f", {event['speed']:g} times as fast"
    return f"a world from {event['start']}{speed}, seed {event['seed']}: {names}", "dim"


def _closed(event: dict[str, Any]) -> tuple[str, str]:
    counts = ", ".join(f"{count} {what}" for what, count in event["counts"].items()) or "nothing"
    return f"the world is over after {event['passed_s']:g} s of its own: {counts}", "dim"


def _asked(event: dict[str, Any]) -> tuple[str, str]:
    if event["leads_to"] == "nothing":
        return f"no such name: {event['name']}{_times(event)}", "red"
    return f"{event['name']} is {event['address']}{_times(event)}", "dim"


def _exchange(event: dict[str, Any]) -> tuple[str, str]:
    status = event.get("status")
    sizes = f"{event['request']['bytes']:,} up, {event['response']['bytes']:,} down"
    where = f"{event['method']} {event['name']}{one_line(event['path'], 100)}"
    failed = status is None or status >= 400
    return f"{where} {status or 'broken off'} ({sizes})", "red" if failed else "blue"


def _stream(event: dict[str, Any]) -> tuple[str, str]:
    return f"stream {event['stream']} to {event['to']} ({event['name']}:{event['port']})", "blue"


def _stream_ended(event: dict[str, Any]) -> tuple[str, str]:
    sizes = f"{event['sent']['bytes']:,} bytes up, {event['received']['bytes']:,} down"
    return f"stream {event['stream']} ended: {sizes}, {event['duration_s']:.2f} s", "blue"


def _refused(event: dict[str, Any]) -> tuple[str, str]:
    name = f" ({event['name']})" if event.get("name") else ""
    why = WHY.get(event["reason"], event["reason"])
    return f"refused {event['address']}:{event['port']}{name}: {why}{_times(event)}", "red"


def _trouble(event: dict[str, Any]) -> tuple[str, str]:
    said = one_line(event["message"], 200)
    blame = f"to blame is the {event['blame']}"
    return f"{blame}: service {event['service']} {event['what']}: {said}", "bold red"


def _posted(event: dict[str, Any]) -> tuple[str, str]:
    moved = _value("entries", event["entries"])
    where = f", for {event['sandbox']}" if event.get("sandbox") else ""
    return f"paid: {moved} ({one_line(event['memo'], VALUE_CHARACTERS)}{where})", "blue"


def _lm_called(event: dict[str, Any]) -> tuple[str, str]:
    return f"language model: call {event['call']} from {event['sandbox']}", "dim"


def _lm_answered(event: dict[str, Any]) -> tuple[str, str]:
    tools = f", {len(event['results'])} results in, {len(event['proposed'])} actions out"
    who = f"call {event['call']} from {event['sandbox']} on the account {event['account']}"
    return f"language model: {who}{tools}, answered by the {event['served_by']}", "blue"


def _job_posted(event: dict[str, Any]) -> tuple[str, str]:
    dubious = ", dubious" if event["dubious"] else ""
    title = one_line(event["title"], VALUE_CHARACTERS)
    return f"job {event['job']}: {title}, {dollars(event['pay_cents'])}{dubious}", "dim"


def _job_submitted(event: dict[str, Any]) -> tuple[str, str]:
    judged = f"accepted, {dollars(event['paid_cents'])}" if event["accepted"] else "not accepted"
    return f"job {event['job']} handed in: {judged} ({event['score']:.0%} right)", "blue"


def _instance(event: dict[str, Any]) -> tuple[str, str]:
    machine = f"machine {event['instance']} ({event['machine']}, {event['private_ip']})"
    detail = f": {one_line(event['detail'], 200)}" if event.get("detail") else ""
    return f"{machine} is {event['state']} ({event['why']}){detail}", "blue"


def _times(event: dict[str, Any]) -> str:
    return f" (for the {event['times']}th time)" if event.get("times", 1) > 2 else ""


_TELLERS = {
    "bank.posted": _posted,
    "lm.called": _lm_called,
    "lm.answered": _lm_answered,
    "job.posted": _job_posted,
    "job.submitted": _job_submitted,
    "cloud.instance": _instance,
    "world.opened": _opened,
    "world.closed": _closed,
    "world.asked": _asked,
    "world.exchange": _exchange,
    "world.stream": _stream,
    "world.stream_ended": _stream_ended,
    "world.refused": _refused,
    "world.trouble": _trouble,
}
