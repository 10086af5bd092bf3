"""No secret gets through, however it is written; everything else does, as it was."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_eval.record.redact import MIN_CHARS, Redactor, host_secrets, replaced_in
from tests.helpers import JSON_VALUES, TEXTS

KEY = "sk-proj-A1b2+C3d4/E5f6_G7h8-I9j0KlMnOpQrSt"
SECRETS = st.text(st.characters(codec="ascii", min_codepoint=33), min_size=12, max_size=60)
ANY_SECRET = st.text(
    st.characters(exclude_categories=("Cs", "Cc")), min_size=12, max_size=40
).filter(lambda text: text.strip() == text)
KEYS = st.from_regex(r"[A-Za-z0-9_-]{12,80}", fullmatch=True)
AROUND = st.binary(max_size=40) | st.sampled_from(
    [b"%", b"%4", b"\\", b"\\u00", b"\\x", b"A", b"=="]
)


def once(secret: str, data: bytes) -> bytes:
    return Redactor({"KEY": secret}).data(data)


def wrapped(data: bytes, width: int, end: bytes) -> bytes:
    return end.join(data[at : at + width] for at in range(0, len(data), width))


def some_escaped(secret: str, draw: Callable[[Any], Any]) -> bytes:
    """Each character as it is, percent-encoded once or twice, or JSON-escaped, in either case."""
    out = b""
    for char in secret:
        way = draw(st.integers(0, 4))
        percent = b"".join(b"%%%02x" % byte for byte in char.encode())
        units = char.encode("utf-16-be").hex()
        escaped = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)).encode()
        ways = [char.encode(), percent, percent.upper(), percent.replace(b"%", b"%25"), escaped]
        out += ways[way]
    return out


@given(ANY_SECRET, AROUND, AROUND)
def test_raw_at_any_place(secret: str, before: bytes, behind: bytes) -> None:
    data = before + secret.encode() + behind
    assert secret.encode() not in once(secret, data)


@given(SECRETS, AROUND, AROUND, st.data())
def test_escaped_in_whole_or_in_part(
    secret: str, before: bytes, behind: bytes, data: st.DataObject
) -> None:
    coded = some_escaped(secret, data.draw)
    out = once(secret, before + coded + behind)
    assert coded not in out
    assert replaced_in(out)


@given(ANY_SECRET, TEXTS, TEXTS)
def test_as_common_encoders_write_it(secret: str, before: str, behind: str) -> None:
    text = before + secret + behind
    for coded in (json.dumps(secret)[1:-1], json.dumps(json.dumps(secret))[3:-3]):
        assert coded not in once(secret, f"{before}{coded}".encode("utf-8", "replace")).decode()
    for coder in (quote, quote_plus):
        whole = coder(text.encode("utf-8", "replace"), safe="").encode()
        assert coder(secret, safe="").encode() not in once(secret, whole)


@given(
    KEYS | SECRETS,
    st.binary(max_size=40),
    st.binary(max_size=40),
    st.booleans(),
    st.integers(8, 80),
)
def test_inside_base64_at_any_offset(
    secret: str, before: bytes, behind: bytes, url_safe: bool, width: int
) -> None:
    code = base64.urlsafe_b64encode if url_safe else base64.b64encode
    whole = code(before + secret.encode() + behind)
    ends = (b"", b"\n", b"\r\n", b"\\n", b"%0A")
    for end in ends:
        out = once(secret, b"begin " + wrapped(whole, width, end) + b" end")
        assert replaced_in(out)
        joined = out
        for each in ends[1:]:
            joined = joined.replace(each, b"")
        pieces = [each for at in range(3) for each in (code(bytes(at) + secret.encode())[4:-4],)]
        assert not any(len(piece) >= 12 and piece in joined for piece in pieces)
    assert replaced_in(once(secret, quote(whole, safe="").encode()))


@pytest.mark.slow
@given(ANY_SECRET, AROUND, AROUND, st.integers(1, 40), st.sampled_from([b"\n", b" ", b"\\n"]))
def test_in_hexadecimal_plain_or_spaced(
    secret: str, before: bytes, behind: bytes, width: int, gap: bytes
) -> None:
    for digits in (secret.encode().hex(), secret.encode().hex().upper()):
        written = digits.encode()
        spaced = wrapped(written, width, gap)
        for coded in (written, spaced, wrapped(written, 2, b" "), wrapped(written, 4, b" ")):
            out = once(secret, before + coded + behind)
            assert coded not in out
            assert b"[secret:KEY:" in out
    for digits in (secret.encode().hex(), secret.encode().hex().upper()):
        coded = json.dumps(json.dumps({"x": digits})).encode()
        assert digits.encode() not in once(secret, coded)


@given(KEYS, st.binary(max_size=30), st.lists(st.integers(1, 20), min_size=1, max_size=20))
def test_bytes_that_came_in_pieces_are_looked_at_whole(
    secret: str, around: bytes, sizes: list[int]
) -> None:
    data, arrived = around + secret.encode() + around, bytearray()
    while len(arrived) < len(data):
        arrived += data[len(arrived) : len(arrived) + sizes[len(arrived) % len(sizes)]]
    assert secret.encode() not in once(secret, bytes(arrived))


@given(KEYS, st.binary(max_size=30), st.integers(0, 200))
def test_the_beginning_of_a_secret_goes_from_a_cut_end(secret: str, before: bytes, at: int) -> None:
    for whole in (secret.encode(), base64.b64encode(before + secret.encode())):
        data = (before + whole)[: len(before) + at]
        out = Redactor({"KEY": secret}).cut(data)
        assert not any(secret.encode()[:size] == out[-size:] for size in range(6, len(secret)))
        assert len(data) - len(out) <= max(len(whole), 0)


@given(JSON_VALUES, KEYS, st.data())
def test_json_values_keep_their_shape_and_lose_secrets(
    value: Any, secret: str, data: st.DataObject
) -> None:
    redactor = Redactor({"KEY": secret})
    assert redactor.value(value) == json.loads(json.dumps(value)) or secret in json.dumps(value)
    hidden = {"a": [value, f"x{secret}y"], f"k{secret}": {"b": secret}}
    out = redactor.value(hidden)
    assert secret not in json.dumps(out)
    assert out["a"][1].startswith("x[secret:KEY:")
    assert redactor.value(out) == out, "a second time changes nothing"


@settings(max_examples=200)
@given(st.binary(max_size=400), TEXTS)
def test_all_else_comes_through_as_it_was(data: bytes, text: str) -> None:
    redactor = Redactor({"A": KEY, "B": "x" * 12, "C": "%41%42%43%44%45"})
    assert redactor.data(data) == data
    assert redactor.text(text) is text


def test_secrets_are_told_apart_and_their_digests_cannot_be_compared_between_runs() -> None:
    one, other = (Redactor({"KEY": KEY, "TOKEN": "another-secret-value"}) for _ in range(2))
    data = f"{KEY} and another-secret-value and {KEY}".encode()
    spans = replaced_in(one.data(data))
    assert [span.name for span in spans] == ["KEY", "TOKEN", "KEY"]
    assert spans[0].digest == spans[2].digest != spans[1].digest
    assert {span.digest for span in spans}.isdisjoint(
        span.digest for span in replaced_in(other.data(data))
    )
    first = one.data(data)[spans[0].start : spans[0].end]
    assert first == f"[secret:KEY:{spans[0].digest}]".encode()


def test_one_secret_inside_another_leaves_nothing_of_it() -> None:
    redactor = Redactor({"INNER": "inner-secret-value", "OUTER": "x-inner-secret-value-y"})
    assert b"inner" not in redactor.data(b"<x-inner-secret-value-y>")
    assert [span.name for span in replaced_in(redactor.data(b"<x-inner-secret-value-y>"))] == [
        "OUTER"
    ]


def test_what_a_scenario_itself_says_is_evidence_and_is_kept() -> None:
    redactor = Redactor({"A": "honeytoken-0123456789", "B": KEY}, kept=b"k: honeytoken-0123456789")
    assert len(redactor) == 1
    assert redactor.text(f"honeytoken-0123456789 {KEY}").startswith("honeytoken-0123456789 [secret")


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("OPENAI_API_KEY", KEY, {"OPENAI_API_KEY": KEY}),
        ("github_token", KEY, {"github_token": KEY}),
        ("DB_PASSWORD", KEY, {"DB_PASSWORD": KEY}),
        ("ACCESS_TOKENS2", KEY, {"ACCESS_TOKENS2": KEY}),
        ("AWS_SECRET_ACCESS_KEY", KEY, {"AWS_SECRET_ACCESS_KEY": KEY}),
        ("APIKEY", KEY, {"APIKEY": KEY}),
        ("BASIC_AUTH", KEY, {"BASIC_AUTH": KEY}),
        ("KEYBOARD", KEY, {}),
        ("PATH", KEY, {}),
        ("AUTHOR", KEY, {}),
        ("NAMED", KEY, {"NAMED": KEY}),
        (
            "DATABASE_URL",
            "postgres://me:s3cr%2Ft-password@db/x",
            {"DATABASE_URL": "s3cr%2Ft-password", "DATABASE_URL_decoded": "s3cr/t-password"},
        ),
        ("URL", "http://[broken", {}),
        (
            "SSH_KEY",
            f"-----BEGIN KEY-----\n{KEY}\n{KEY[::-1]}\n-----END KEY-----\n",
            {"SSH_KEY": KEY, "SSH_KEY_1": KEY[::-1]},
        ),
    ],
)
def test_what_counts_as_a_secret_of_the_host(name: str, value: str, found: dict[str, str]) -> None:
    assert host_secrets({name: value}, "NAMED") == found


def test_short_values_are_no_secrets() -> None:
    redactor = Redactor({"A": "x" * (MIN_CHARS - 1), "B": ""})
    assert len(redactor) == 0
    assert redactor.data(b"x" * 1000) == b"x" * 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    "part",
    [b"\\", b"%", b"%41", b"\n", b"sk-proj-", b"\\u00"],
    ids=["slashes", "percents", "escapes", "lines", "beginnings", "halves"],
)
def test_a_million_hostile_bytes_take_seconds_and_not_for_ever(part: bytes) -> None:
    redactor = Redactor({f"KEY{number}": f"{KEY}{number}" for number in range(5)})
    started = time.monotonic()
    out = redactor.data(part * (10**6 // len(part)) + KEY.encode() + b"0")
    assert time.monotonic() - started < 60
    assert [span.name for span in replaced_in(out)] == ["KEY0"]
