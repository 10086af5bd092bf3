"""What leads where."""

import socket
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_eval.world.names import ADDRESSES, Directory


async def dial(port: int) -> socket.socket:
    raise ConnectionRefusedError(port)


def directory(**hosts: tuple[str, ...]) -> Directory:
    made = Directory()
    for name, each in hosts.items():
        made.offer(name, each)
    return made


def test_a_name_leads_to_its_service_and_so_does_its_address() -> None:
    names = directory(bank=("bank.internal",), lm=("llm.internal", "api.llm.internal"))
    for asked in ("llm.internal", "LLM.Internal", "llm.internal."):
        place = names.find(asked)
        assert place is not None
        assert place.service == "lm"
        assert IPv4Address(place.address) in ADDRESSES
        assert names.at(place.address) is place
    assert names.find("internal") is None
    assert names.find("x.bank.internal") is None
    assert names.find("") is None
    assert names.at("8.8.8.8") is None


def test_a_wildcard_stands_for_one_level_and_a_name_goes_before_it() -> None:
    names = directory(cloud=("*.s3.test",), docs=("docs.s3.test",))
    bucket = names.find("bucket.s3.test")
    assert bucket is not None
    assert bucket.service == "cloud"
    assert bucket.covers("bucket.s3.test")
    assert not bucket.covers("bucket.s4.test")
    assert names.find("a.bucket.s3.test") is None
    assert names.find("s3.test") is None
    docs = names.find("docs.s3.test")
    assert docs is not None
    assert docs.service == "docs"


def test_a_hundred_thousand_names_below_a_wildcard_take_no_room() -> None:
    names = directory(cloud=("*.s3.test",))
    found = {names.find(f"b{each}.s3.test") for each in range(100_000)}
    assert len(found) == 1


def test_addresses_are_the_same_in_every_run() -> None:
    one = directory(a=("a.test",), b=("b.test",)).find("b.test")
    other = directory(b=("b.test",), c=("c.test",), a=("a.test",)).find("b.test")
    assert one is not None
    assert other is not None
    assert one.address == other.address


def test_no_two_services_have_a_name() -> None:
    with pytest.raises(ValueError, match=r"b\.test"):
        directory(a=("b.test",), b=("B.test.",))


def test_an_instance_comes_and_goes_and_nobody_gets_its_address() -> None:
    names = directory(a=("a.test",))
    own = names.appear("i-1", ("ip-10-0-0-5.test", "54.1.2.3"), dial)
    place = names.find("ip-10-0-0-5.test")
    assert place is not None
    assert place.sandbox == "i-1"
    assert names.at(own) is names.at("54.1.2.3") is place
    with pytest.raises(ValueError, match="there already"):
        names.appear("i-1", (), dial)
    with pytest.raises(ValueError, match="something else"):
        names.appear("i-2", ("a.test",), dial)
    with pytest.raises(ValueError, match="something else"):
        names.appear("i-2", ("54.1.2.3",), dial)
    names.vanish("i-1")
    names.vanish("i-1")
    assert names.find("ip-10-0-0-5.test") is names.at(own) is names.at("54.1.2.3") is None
    assert names.appear("i-1", ("ip-10-0-0-5.test", "54.1.2.3"), dial) != own


@given(st.sets(st.from_regex(r"[a-z]{1,12}\.test", fullmatch=True), max_size=40))
def test_every_name_has_an_address_of_its_own(hosts: set[str]) -> None:
    names = directory(a=tuple(hosts))
    places = [names.find(host) for host in hosts]
    assert len({place.address for place in places if place}) == len(hosts)


@given(st.text(max_size=300))
def test_any_text_may_be_asked_for(name: str) -> None:
    place = directory(a=("a.test", "*.b.test")).find(name)
    assert place is None or place.service == "a"
