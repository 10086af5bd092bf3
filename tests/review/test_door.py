"""Who is let into the review site: over real connections, with all that others could try."""

from pathlib import Path

import pytest

from agent_eval.review.door import POLICY
from tests.helpers import made_run
from tests.review.serving import TOKEN, Reader, served


@pytest.fixture
def reader(tmp_path: Path) -> object:
    made_run(tmp_path / "runs" / "one")
    with served(tmp_path / "runs", tmp_path / "cache") as one:
        yield one


def test_only_who_has_the_token_comes_in(reader: Reader) -> None:
    stranger = Reader(reader.port)
    for path in ("/", "/run/one", "/static/review.js", "/?token=wrong", "/?token="):
        answer = stranger.ask(path)
        assert answer.status == 403
        assert b"one" not in answer.body
    came = stranger.ask(f"/run/one?token={TOKEN}&at=1")
    assert came.status == 303
    assert came.headers["location"] == "/run/one?at=1"
    assert "HttpOnly" in came.headers["set-cookie"]
    assert "SameSite=strict" in came.headers["set-cookie"]
    assert reader.ask("/run/one").status == 200


def test_the_way_out_of_a_token_never_leads_to_another_site(reader: Reader) -> None:
    came = reader.ask(f"//elsewhere.example/?token={TOKEN}")
    assert came.headers["location"].startswith("/elsewhere.example")


def test_another_name_for_this_machine_is_refused(reader: Reader) -> None:
    port = reader.port
    for host in ("elsewhere.example", f"elsewhere.example:{port}", "127.0.0.1", "localhost:1"):
        assert reader.ask("/", headers={"Host": host}).status == 421
    for host in (f"localhost:{port}", f"127.0.0.1:{port}"):
        assert reader.ask("/", headers={"Host": host}).status == 200


def test_nothing_is_written_from_another_site(reader: Reader) -> None:
    own = f"http://127.0.0.1:{reader.port}"
    for origin in ({}, {"Origin": "null"}, {"Origin": "http://elsewhere.example"}):
        assert reader.ask("/", "POST", origin, {}).status == 403
    assert reader.ask("/", "POST", {"Origin": own}, {}).status == 405


def test_every_answer_forbids_what_a_transcript_could_bring(reader: Reader) -> None:
    for path in ("/", "/run/one", "/run/none", "/static/review.css", "/run/one/event/0/raw"):
        headers = reader.ask(path).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none'")


def test_readers_have_names_of_their_own(tmp_path: Path) -> None:
    made_run(tmp_path / "runs" / "one")
    with served(tmp_path / "runs", tmp_path / "cache", {"first": "ada", "second": "bob"}) as ada:
        bob = Reader(ada.port)
        bob.enter("second")
        assert bob.cookie != ada.cookie
        assert bob.ask("/").status == ada.ask("/").status == 200
